//! Whose tokens an API server issues: by this it is known which cluster it is.

use serde::Deserialize;

use crate::ask::Ask;
use crate::cluster::{CallError, Cluster};

/// The path of the discovery document, which is no resource.
const DISCOVERY: &str = "/.well-known/openid-configuration";

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
