//! Namespaces and service accounts as they should be: server-side apply with a field manager of our own.
//!
//! See <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ask::{APPLY, Answer, Ask, JSON};
use crate::cluster::{CallError, Cluster};
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
        Err(CallError::Forbidden { .. }) => Ok(()),
        // It was going, and has gone.
        Err(error) if error.is_not_found() => Err(CallError::NamespaceTerminating(name.to_owned())),
        Err(error) => Err(error),
    }
}

/// Server-side apply with `force`: these labels and annotations are `manager`'s, and none else of the account; it is made where it is not there. Labels
/// and annotations that it had applied before and that are not among these go, unless they are others' as well. Everything else stays as it is.
///
/// Without any labels and annotations this lets go of the account as [`release_service_account`] does: it makes none.
///
/// Needs `patch` of `serviceaccounts`, and `create` where there is none.
///
/// # Errors
/// A refusal, or no answer; there is no such namespace, or it is being deleted, or the account is.
pub async fn apply_service_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    manager: &str,
) -> Result<(), CallError> {
    if labels.is_empty() && annotations.is_empty() {
        return release_service_account(cluster, namespace, name, manager).await;
    }
    let mut metadata = Map::new();
    for (key, values) in [("labels", labels), ("annotations", annotations)] {
        if !values.is_empty() {
            metadata.insert(key.to_owned(), json!(values));
        }
    }
    let answer = apply(cluster, namespace, name, metadata, manager).await?;
    match answer.read::<Object>()?.metadata.deletion_timestamp {
        // Something holds it back until it has cleaned up; then it goes with all that was applied.
        Some(_) => Err(CallError::Refused {
            code: 409,
            reason: "Conflict".to_owned(),
            message: format!("the service account `{namespace}/{name}` is being deleted: try again when it is gone"),
        }),
        None => Ok(()),
    }
}

/// Lets go of an account: the labels and annotations that `manager` had applied go, unless they are others' as well, and everything else stays. An
/// account that is not there is left so.
///
/// Needs `get` and `patch` of `serviceaccounts`.
///
/// # Errors
/// A refusal, or no answer.
pub async fn release_service_account(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    manager: &str,
) -> Result<(), CallError> {
    let mut round = 1;
    loop {
        let Some(seen) = look(cluster, namespace, name).await? else {
            return Ok(());
        };
        // An apply makes what is not there. With the unique id of one that has gone it doesn't.
        let metadata = Map::from_iter([("uid".to_owned(), Value::String(seen.uid))]);
        match apply(cluster, namespace, name, metadata, manager).await {
            // Older API servers do so all the same.
            Ok(answer) if answer.created() => {
                let uid = answer.read::<Object>()?.metadata.uid;
                return delete_service_account(cluster, namespace, name, &uid).await;
            }
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) if error.is_conflict() && round < ROUNDS => round += 1,
            Err(error) => return Err(error),
        }
    }
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

async fn apply(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    mut metadata: Map<String, Value>,
    manager: &str,
) -> Result<Answer, CallError> {
    let manager = utf8_percent_encode(manager, NON_ALPHANUMERIC);
    let target = format!("{}?fieldManager={manager}&force=true", path(namespace, name)?);
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(namespace));
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    let ask = Ask {
        method: Method::PATCH,
        accept: PARTIAL_OBJECT,
        body: Some((APPLY, body.to_string().into_bytes())),
        ..Ask::get("patch", RESOURCE, Some(namespace), target)
    };
    cluster.ask(&ask).await
}

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
