//! Whose tokens an API server issues, and the keys that they are signed with: by the former it is known which cluster it is.

use serde::Deserialize;
use serde_json::Value;

use crate::ask::Ask;
use crate::cluster::Cluster;
use crate::error::CallError;

/// The path of the discovery document, which is no resource.
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The path of the keys.
const KEYS: &str = "/openid/v1/jwks";

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

/// The `issuer` that the API server names in its discovery document.
/// See <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>.
///
/// Needs what the ClusterRole `system:service-account-issuer-discovery` grants.
///
/// # Errors
/// A refusal, or no answer; [`CallError::is_not_found`]: its issuer is no `https` URL, and so there is no document.
pub async fn issuer(cluster: &Cluster) -> Result<String, CallError> {
    let ask = Ask::get("get", DISCOVERY, None, DISCOVERY.to_owned());
    let document: Discovery = cluster.ask(&ask).await?.read()?;
    Ok(document.issuer)
}

/// The public keys of the tokens that the API server issues: a JSON Web Key Set (RFC 7517, section 5).
///
/// Needs what the ClusterRole `system:service-account-issuer-discovery` grants.
///
/// # Errors
/// A refusal, or no answer; [`CallError::is_not_found`]: its issuer is no `https` URL, and so there is no document.
pub async fn signing_keys(cluster: &Cluster) -> Result<Value, CallError> {
    let ask = Ask {
        accept: "application/jwk-set+json, application/json",
        ..Ask::get("get", KEYS, None, KEYS.to_owned())
    };
    cluster.ask(&ask).await?.read()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake::{Reply, api_server, refusal};

    #[tokio::test]
    async fn the_issuer_and_its_keys_are_what_the_documents_say() {
        let keys = json!({"keys": [{"kty": "RSA", "kid": "a"}]});
        let told = keys.clone();
        let (cluster, _) = api_server(move |head, _| match head {
            "GET /.well-known/openid-configuration" => {
                Reply::Json(200, json!({"issuer": "https://oidc.example/id/A", "x": 1}))
            }
            "GET /openid/v1/jwks" => Reply::Json(200, told.clone()),
            _ => Reply::Json(404, refusal(404, "NotFound")),
        })
        .await;
        assert_eq!(issuer(&cluster).await.unwrap(), "https://oidc.example/id/A");
        assert_eq!(signing_keys(&cluster).await.unwrap(), keys);
    }

    #[tokio::test]
    async fn who_may_not_read_it_is_told_what_is_missing() {
        let (cluster, _) = api_server(|_, _| Reply::Json(403, refusal(403, "Forbidden"))).await;
        assert_eq!(
            issuer(&cluster).await.unwrap_err().to_string(),
            "no permission to get /.well-known/openid-configuration: Forbidden"
        );
        let (cluster, _) = api_server(|_, _| Reply::Json(200, json!({"keys": []}))).await;
        assert!(matches!(issuer(&cluster).await, Err(CallError::Unreachable(_))));
    }
}
