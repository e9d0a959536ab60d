//! The keys of one ConfigMap or Secret, without what stands under them.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::core::Request;
use kube::core::params::GetParams;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cluster::Cluster;
use crate::error::CallError;
use crate::service_accounts::is_name;

/// Whose keys are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeysOf {
    /// A ConfigMap's: those of `data`, which alone become variables.
    ConfigMap,
    /// A Secret's.
    Secret,
}

#[derive(Deserialize)]
struct Object {
    data: Option<BTreeMap<String, IgnoredAny>>,
}

/// Asks for the keys of one object as it is now; `None`: there is no such object.
///
/// There is no way to ask an API server for keys alone: the values cross the wire, and are dropped unread.
///
/// Needs `get` of `configmaps` or `secrets`.
///
/// # Errors
/// No answer within the deadline, or a refusal.
pub async fn look_up_keys(
    cluster: &Cluster,
    of: KeysOf,
    namespace: &str,
    name: &str,
    deadline: Duration,
) -> Result<Option<Vec<String>>, CallError> {
    // These become parts of a path.
    if !is_name(namespace) || !is_name(name) {
        return Ok(None);
    }
    let kind = match of {
        KeysOf::ConfigMap => "configmaps",
        KeysOf::Secret => "secrets",
    };
    let request = Request::new(format!("/api/v1/namespaces/{namespace}/{kind}"))
        .get(name, &GetParams::default())
        .map_err(kube::Error::BuildRequest)?;
    match cluster
        .call_within(deadline, cluster.client().request::<Object>(request))
        .await
    {
        Ok(object) => Ok(Some(object.data.unwrap_or_default().into_keys().collect())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake::{Reply, api_server, refusal};

    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn keys_and_no_values() {
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "aws"},
            "data": {"AWS_REGION": "eu-west-1", "B": ""}, "binaryData": {"C": "AA=="}});
        let mut answers = vec![
            Reply::Json(200, object),
            Reply::Json(200, json!({"metadata": {}, "data": null})),
            Reply::Json(404, refusal(404, "NotFound")),
            Reply::Json(403, refusal(403, "Forbidden")),
        ]
        .into_iter();
        let (cluster, requests) = api_server(move |_, _| answers.next().unwrap()).await;
        let ask = async |of, name: &str| look_up_keys(&cluster, of, "app", name, LONG).await;
        assert_eq!(
            ask(KeysOf::ConfigMap, "aws").await,
            Ok(Some(vec!["AWS_REGION".to_owned(), "B".to_owned()]))
        );
        assert_eq!(ask(KeysOf::Secret, "empty").await, Ok(Some(Vec::new())));
        assert_eq!(ask(KeysOf::Secret, "gone").await, Ok(None));
        assert!(ask(KeysOf::Secret, "closed").await.unwrap_err().is_forbidden());
        // What is no name is not asked for.
        assert_eq!(ask(KeysOf::Secret, "../pods/x").await, Ok(None));
        let asked: Vec<String> = requests.lock().unwrap().iter().map(|(head, _)| head.clone()).collect();
        assert_eq!(
            asked,
            [
                "GET /api/v1/namespaces/app/configmaps/aws",
                "GET /api/v1/namespaces/app/secrets/empty",
                "GET /api/v1/namespaces/app/secrets/gone",
                "GET /api/v1/namespaces/app/secrets/closed"
            ]
        );
    }
}
