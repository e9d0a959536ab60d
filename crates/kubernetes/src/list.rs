//! All of a cluster's namespaces and service accounts, as metadata, and which fields of theirs are whose.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::ask::Ask;
use crate::cluster::Cluster;
use crate::error::CallError;
use crate::service_accounts::is_name;

/// Metadata and nothing else, of one object and of a list.
/// See <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>.
pub(crate) const PARTIAL_OBJECT: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// Objects a page.
const PAGE: u32 = 500;
/// How often a list begins anew because the API server no longer has the state that its first page was of.
const RESTARTS: u32 = 3;

/// A service account's metadata, and what of it is a field manager's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccountMetadata {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The keys of the labels that the manager has applied.
    pub owned_labels: BTreeSet<String>,
    /// The keys of the annotations that the manager has applied.
    pub owned_annotations: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Option<Vec<Object>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    uid: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Option<Vec<ManagedFields>>,
}

/// See <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ManagedFields {
    manager: String,
    operation: String,
    subresource: String,
    fields_v1: Option<Fields>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:metadata")]
    metadata: MetadataFields,
}

/// Keys are `f:<key>`, whatever the key is made of, and `.` for the map itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct MetadataFields {
    #[serde(rename = "f:labels")]
    labels: BTreeMap<String, IgnoredAny>,
    #[serde(rename = "f:annotations")]
    annotations: BTreeMap<String, IgnoredAny>,
}

fn owned(fields: &BTreeMap<String, IgnoredAny>) -> impl Iterator<Item = String> {
    fields
        .keys()
        .filter_map(|key| key.strip_prefix("f:"))
        .map(str::to_owned)
}

impl AccountMetadata {
    fn read(metadata: Metadata, manager: &str) -> Self {
        let mut account = Self {
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            ..Self::default()
        };
        for fields in metadata.managed_fields.unwrap_or_default() {
            // What the same program wrote in another way is not what an apply lets go of.
            if fields.manager == manager && fields.operation == "Apply" && fields.subresource.is_empty() {
                let fields = fields.fields_v1.unwrap_or_default().metadata;
                account.owned_labels.extend(owned(&fields.labels));
                account.owned_annotations.extend(owned(&fields.annotations));
            }
        }
        account
    }
}

/// The names of all namespaces, those that are being deleted among them.
///
/// Needs `list` of `namespaces`.
///
/// # Errors
/// A refusal, or no answer.
pub async fn list_namespaces(cluster: &Cluster) -> Result<BTreeSet<String>, CallError> {
    let objects = list(cluster, "namespaces").await?;
    Ok(objects.into_iter().map(|metadata| metadata.name).collect())
}

/// All service accounts of the cluster, by namespace and name, with what is `manager`'s of each by server-side apply.
///
/// Needs `list` of `serviceaccounts`.
///
/// # Errors
/// A refusal, or no answer.
pub async fn list_all_service_accounts(cluster: &Cluster, manager: &str) -> Result<Vec<AccountMetadata>, CallError> {
    let objects = list(cluster, "serviceaccounts").await?;
    let mut accounts: Vec<_> = objects
        .into_iter()
        .map(|metadata| AccountMetadata::read(metadata, manager))
        .collect();
    accounts.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(accounts)
}

/// One service account as it is now, with what is `manager`'s by server-side apply; `None`: there is no such account.
///
/// Needs `get` of `serviceaccounts`.
///
/// # Errors
/// A refusal, or no answer.
pub async fn look_up_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    manager: &str,
) -> Result<Option<AccountMetadata>, CallError> {
    // These become parts of a path.
    if !is_name(namespace) || !is_name(name) {
        return Ok(None);
    }
    let target = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
    let ask = Ask {
        accept: PARTIAL_OBJECT,
        ..Ask::get("get", "serviceaccounts", Some(namespace), target)
    };
    match cluster.ask(&ask).await {
        Ok(answer) => Ok(Some(AccountMetadata::read(answer.read::<Object>()?.metadata, manager))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// All objects of a kind, of one state of the cluster.
async fn list(cluster: &Cluster, resource: &'static str) -> Result<Vec<Metadata>, CallError> {
    let mut restarts = 0;
    loop {
        // Pages may be too slow for a cluster that forgets fast; then it is all at once.
        let limit = if restarts < RESTARTS { PAGE } else { 0 };
        match pages(cluster, resource, limit).await {
            Err(CallError::Refused { code: 410, .. }) if limit > 0 => {
                restarts += 1;
                tracing::debug!(resource, restarts, "the list has become too old, and begins anew");
            }
            listed => return listed,
        }
    }
}

async fn pages(cluster: &Cluster, resource: &'static str, limit: u32) -> Result<Vec<Metadata>, CallError> {
    let mut objects = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut target = format!("/api/v1/{resource}?limit={limit}");
        if let Some(token) = &token {
            target.push_str("&continue=");
            target.extend(utf8_percent_encode(token, NON_ALPHANUMERIC));
        }
        let ask = Ask {
            accept: PARTIAL_LIST,
            ..Ask::get("list", resource, None, target)
        };
        let page: Page = cluster.ask(&ask).await?.read()?;
        objects.extend(page.items.unwrap_or_default().into_iter().map(|object| object.metadata));
        let next = page.metadata.token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(objects);
        }
        if next == token {
            return Err(CallError::Unreachable("its list does not go on".to_owned()));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests;
