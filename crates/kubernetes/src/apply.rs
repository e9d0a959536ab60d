//! Namespaces and service accounts as they should be: server-side apply with a field manager of our own.
//!
//! See <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ask::{APPLY, Ask, JSON};
use crate::cluster::Cluster;
use crate::error::CallError;
use crate::list::PARTIAL_OBJECT;
use crate::service_accounts::is_name;

/// How often something is read again that others change at the same time.
const ROUNDS: u32 = 5;

/// An object's metadata, as far as a change asks for it.
#[derive(Debug, Default, Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    uid: String,
    deletion_timestamp: Option<String>,
}

/// Makes a namespace; one that is there already is well.
///
/// Needs `create` of `namespaces`.
///
/// # Errors
/// A refusal, or no answer; the namespace is there, but is being deleted.
pub async fn create_namespace(cluster: &Cluster, name: &str) -> Result<(), CallError> {
    checked(name)?;
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let ask = Ask {
        method: Method::POST,
        body: Some((JSON, body.to_string().into_bytes())),
        ..Ask::get("create", "namespaces", None, "/api/v1/namespaces".to_owned())
    };
    match cluster.ask(&ask).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_conflict() => is_terminating(cluster, name).await,
        Err(error) => Err(error),
    }
}

/// An error where a namespace that is there goes. Whoever may not look takes it as it is.
async fn is_terminating(cluster: &Cluster, name: &str) -> Result<(), CallError> {
    let target = format!("/api/v1/namespaces/{name}");
    let ask = Ask {
        accept: PARTIAL_OBJECT,
        ..Ask::get("get", "namespaces", None, target)
    };
    match cluster.ask(&ask).await {
        Ok(answer) => match answer.read::<Object>()?.metadata.deletion_timestamp {
            Some(_) => Err(CallError::NamespaceTerminating(name.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.is_forbidden() => Ok(()),
        // It was going, and has gone.
        Err(error) if error.is_not_found() => Err(CallError::NamespaceTerminating(name.to_owned())),
        Err(error) => Err(error),
    }
}

/// Server-side apply with `force`: these labels and annotations are `manager`'s, and none else of the account; it is made where it is not there. Labels
/// and annotations that it had applied before and that are not among these go, unless they are others' as well. Everything else stays as it is.
///
/// With a `uid` it is that account or none: nothing is made, and no other account of the name is changed.
///
/// Needs `patch` of `serviceaccounts`, and `create` where there is none.
///
/// # Errors
/// A refusal, or no answer; there is no such namespace, or it is being deleted, or the account is; [`CallError::is_conflict`]: the account of this `uid`
/// is not there.
pub async fn apply_service_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    uid: Option<&str>,
    manager: &str,
) -> Result<(), CallError> {
    let mut metadata = Map::new();
    for (key, values) in [("labels", labels), ("annotations", annotations)] {
        if !values.is_empty() {
            metadata.insert(key.to_owned(), json!(values));
        }
    }
    let applied = apply(cluster, namespace, name, metadata, uid, manager).await?;
    match applied {
        Applied::Gone => Err(conflict(format!(
            "the service account `{namespace}/{name}` that was seen is not there any more"
        ))),
        // Something holds it back until it has cleaned up; then it goes with all that was applied.
        Applied::Done(Metadata {
            deletion_timestamp: Some(_),
            ..
        }) => Err(conflict(format!(
            "the service account `{namespace}/{name}` is being deleted: try again when it is gone"
        ))),
        Applied::Done(_) => Ok(()),
    }
}

/// Lets go of the account of this `uid`: the labels and annotations that `manager` had applied go, unless they are others' as well, and everything else
/// stays. One that is not there is well.
///
/// Needs `get` and `patch` of `serviceaccounts`.
///
/// # Errors
/// A refusal, or no answer.
pub async fn release_service_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    uid: &str,
    manager: &str,
) -> Result<(), CallError> {
    // Another account of the name has nothing of ours that was seen.
    apply(cluster, namespace, name, Map::new(), Some(uid), manager)
        .await
        .map(|_| ())
}

/// What became of an apply.
enum Applied {
    Done(Metadata),
    /// The account of that unique id is not there.
    Gone,
}

fn conflict(message: String) -> CallError {
    CallError::Refused {
        code: 409,
        reason: "Conflict".to_owned(),
        message,
    }
}

/// Applies until nobody else changes the account at the same time.
async fn apply(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    mut metadata: Map<String, Value>,
    uid: Option<&str>,
    manager: &str,
) -> Result<Applied, CallError> {
    let path = path(namespace, name)?;
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(namespace));
    if let Some(uid) = uid {
        // An apply makes what is not there. With the unique id of what has gone it doesn't.
        metadata.insert("uid".to_owned(), json!(uid));
    }
    let manager = utf8_percent_encode(manager, NON_ALPHANUMERIC);
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    let ask = Ask {
        method: Method::PATCH,
        accept: PARTIAL_OBJECT,
        body: Some((APPLY, body.to_string().into_bytes())),
        ..Ask::get(
            "patch",
            RESOURCE,
            Some(namespace),
            format!("{path}?fieldManager={manager}&force=true"),
        )
    };
    for _ in 0..ROUNDS {
        match cluster.ask(&ask).await {
            Ok(answer) => {
                let made = answer.created();
                let metadata = answer.read::<Object>()?.metadata;
                if made && uid.is_some() {
                    // Older API servers make it all the same.
                    delete_service_account(cluster, namespace, name, &metadata.uid).await?;
                    return Ok(Applied::Gone);
                }
                return Ok(Applied::Done(metadata));
            }
            // Another account, none, or a change between reading and writing: only a look tells.
            Err(error) if error.is_conflict() || (error.is_invalid() && uid.is_some()) => {
                let there = look(cluster, namespace, name).await?;
                if uid.is_some() && uid != there.as_ref().map(|metadata| metadata.uid.as_str()) {
                    return Ok(Applied::Gone);
                }
                if error.is_invalid() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(conflict(format!(
        "the service account `{namespace}/{name}` is being changed by others all the time"
    )))
}

async fn look(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<Metadata>, CallError> {
    let ask = Ask {
        accept: PARTIAL_OBJECT,
        ..Ask::get("get", RESOURCE, Some(namespace), path(namespace, name)?)
    };
    match cluster.ask(&ask).await {
        Ok(answer) => Ok(Some(answer.read::<Object>()?.metadata)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

const RESOURCE: &str = "serviceaccounts";

/// Deletes a service account, if it is still the one of this unique id; one that is not there is well.
///
/// Needs `delete` of `serviceaccounts`.
///
/// # Errors
/// A refusal, or no answer; [`CallError::is_conflict`]: another account has the name by now, and stays.
pub async fn delete_service_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<(), CallError> {
    let body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
    let ask = Ask {
        method: Method::DELETE,
        body: Some((JSON, body.to_string().into_bytes())),
        ..Ask::get("delete", RESOURCE, Some(namespace), path(namespace, name)?)
    };
    match cluster.ask(&ask).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

fn path(namespace: &str, name: &str) -> Result<String, CallError> {
    checked(namespace)?;
    checked(name)?;
    Ok(format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}"))
}

/// These become parts of a path.
fn checked(name: &str) -> Result<(), CallError> {
    if is_name(name) {
        return Ok(());
    }
    Err(CallError::Refused {
        code: 422,
        reason: "Invalid".to_owned(),
        message: format!("`{name}` is not a name that Kubernetes takes"),
    })
}

#[cfg(test)]
mod tests;
