//! The cluster's service accounts: their names and annotations, and nothing else of them.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount as Object;
use kube::api::Api;
use kube::core::{ObjectMeta, PartialObjectMeta};

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
    let api: Api<PartialObjectMeta<Object>> = Api::all(cluster.client());
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
