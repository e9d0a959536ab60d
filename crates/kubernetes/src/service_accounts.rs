//! The cluster's service accounts: their names and annotations, and nothing else of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount as Object;
use kube::api::Api;
use kube::core::ObjectMeta;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::cluster::Cluster;
use crate::error::CallError;
use crate::watch::{Change, WatchOptions, follow};

/// A service account, as far as it is of interest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its annotations under the prefix that was asked for.
    pub annotations: BTreeMap<String, String>,
}

/// An account of a list: its metadata without what is long and of no interest, such as who manages which field. Half of what a page would hold in memory
/// is never made.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Short")]
struct Item {
    metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct Short {
    #[serde(default)]
    metadata: ShortMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ShortMetadata {
    namespace: Option<String>,
    name: Option<String>,
    resource_version: Option<String>,
    annotations: Option<ShortAnnotations>,
}

/// Annotations but for the one with which `kubectl apply` writes the whole object down once more.
#[derive(Default)]
struct ShortAnnotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for ShortAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ShortAnnotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut kept = ShortAnnotations::default();
                while let Some(key) = members.next_key::<String>()? {
                    if key == LAST_APPLIED {
                        members.next_value::<IgnoredAny>()?;
                    } else {
                        kept.0.insert(key, members.next_value()?);
                    }
                }
                Ok(kept)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl From<Short> for Item {
    fn from(Short { metadata }: Short) -> Self {
        Self {
            metadata: ObjectMeta {
                namespace: metadata.namespace,
                name: metadata.name,
                resource_version: metadata.resource_version,
                annotations: metadata.annotations.map(|annotations| annotations.0),
                ..ObjectMeta::default()
            },
        }
    }
}

/// Asked for as service accounts, and as their metadata alone.
impl kube::Resource for Item {
    type DynamicType = ();
    type Scope = <Object as kube::Resource>::Scope;

    fn metadata_api() -> bool {
        true
    }

    fn kind((): &()) -> Cow<'_, str> {
        Object::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Object::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Object::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Object::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl ServiceAccount {
    fn read(metadata: ObjectMeta, prefix: &str) -> Self {
        let mut annotations = metadata.annotations.unwrap_or_default();
        annotations.retain(|key, _| under(key, prefix));
        Self {
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            annotations,
        }
    }
}

/// Whether `key` is `<prefix>/…`.
fn under(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

/// Tells of all service accounts of the cluster and whatever happens to them, until it is dropped; it never ends. Only metadata crosses the wire, a
/// page at a time, and only annotations under `<prefix>/` are handed on. Accounts without any are told of too: they are known to be there.
///
/// Needs `list` and `watch` of `serviceaccounts`.
pub async fn watch_service_accounts(
    cluster: &Cluster,
    prefix: &str,
    options: WatchOptions,
    mut on_change: impl FnMut(Change<ServiceAccount>),
) {
    let api: Api<Item> = Api::all(cluster.client());
    follow("service accounts", cluster, api, None, options, |change| {
        on_change(match change {
            Change::Relisting => Change::Relisting,
            Change::Present(object) => Change::Present(ServiceAccount::read(object.metadata, prefix)),
            Change::Complete => Change::Complete,
            Change::Lost => Change::Lost,
            Change::Found => Change::Found,
            Change::Removed(object) => Change::Removed(ServiceAccount::read(object.metadata, prefix)),
        });
    })
    .await;
}

/// Asks for one service account as it is now; `None`: there is no such account.
///
/// Needs `get` of `serviceaccounts`.
///
/// # Errors
/// No answer within the deadline, or a refusal.
pub async fn look_up_service_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    prefix: &str,
    deadline: Duration,
) -> Result<Option<ServiceAccount>, CallError> {
    // These become parts of a path.
    if !is_name(namespace) || !is_name(name) {
        return Ok(None);
    }
    let api: Api<Object> = Api::namespaced(cluster.client(), namespace);
    match cluster.call_within(deadline, api.get_metadata_opt(name)).await {
        Ok(found) => Ok(found.map(|object| ServiceAccount::read(object.metadata, prefix))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an object can have this name at all: no name of Kubernetes holds anything else.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    !name.is_empty() && name.len() <= 253 && name.bytes().all(plain) && !name.starts_with('.') && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_annotations_under_the_prefix_are_kept() {
        let metadata: ObjectMeta = serde_json::from_value(serde_json::json!({
            "namespace": "app", "name": "reader", "annotations": {
                "eks.amazonaws.com/role-arn": "arn", "eks.amazonaws.com.example/role-arn": "no", "eks.amazonaws.com": "no",
                "kubectl.kubernetes.io/last-applied-configuration": "long"},
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}],
        }))
        .unwrap();
        let account = ServiceAccount::read(metadata, "eks.amazonaws.com");
        assert_eq!((account.namespace.as_str(), account.name.as_str()), ("app", "reader"));
        let expected = BTreeMap::from([("eks.amazonaws.com/role-arn".to_owned(), "arn".to_owned())]);
        assert_eq!(account.annotations, expected);
    }

    #[test]
    fn what_is_long_is_not_read() {
        let item: Item = serde_json::from_value(serde_json::json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
                "namespace": "app", "name": "reader", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"},
                "annotations": {"eks.amazonaws.com/role-arn": "arn", LAST_APPLIED: "{}", "other": ""},
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}]},
        }))
        .unwrap();
        let keys: Vec<&str> = item
            .metadata
            .annotations
            .iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(keys, ["eks.amazonaws.com/role-arn", "other"]);
        assert_eq!(item.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(item.metadata.managed_fields, None);
        for empty in ["{}", r#"{"metadata": {}}"#, r#"{"metadata": {"annotations": null}}"#] {
            let item: Item = serde_json::from_str(empty).unwrap();
            assert_eq!(
                ServiceAccount::read(item.metadata, "eks.amazonaws.com"),
                ServiceAccount::default()
            );
        }
    }

    #[test]
    fn what_is_no_name_never_becomes_a_path() {
        for good in ["a", "default", "s3-reader.v2", &"a".repeat(253)] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "..",
            ".",
            "../secrets",
            "a/b",
            "a?b",
            "A",
            "a%2fb",
            "a b",
            "é",
            &"a".repeat(254),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
