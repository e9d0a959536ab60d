//! What is stored of a cluster, and how the API shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A cluster.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterRecord {
    /// The name: unique in its account and region.
    pub name: String,
    /// The owner's number.
    pub account: String,
    /// Where it is registered.
    pub region: String,
    /// Milliseconds since the epoch.
    pub created: i64,
    /// The Kubernetes version as told.
    pub version: Option<String>,
    /// The cluster role's ARN as told.
    pub role_arn: Option<String>,
    /// `resourcesVpcConfig` as told.
    pub network: Option<Value>,
    /// Whether it was made by RegisterCluster: only such a one can be deregistered.
    #[serde(default)]
    pub registered: bool,
    /// For registered clusters: the provider as told, such as `OTHER`.
    pub connector_provider: Option<String>,
    /// The issuer of its service account tokens.
    pub issuer: String,
    /// Whether we host the issuer, and under which id.
    pub hosted_issuer_id: Option<String>,
    /// Whether the issuer's keys were given with it: then nothing is fetched.
    pub keys_given: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl ClusterRecord {
    /// The ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:eks:{}:{}:cluster/{}", self.region, self.account, self.name)
    }

    /// The `cluster` of answers.
    pub(crate) fn describe(&self) -> Value {
        let network = self
            .network
            .clone()
            .unwrap_or_else(|| json!({ "subnetIds": [], "securityGroupIds": [] }));
        let mut cluster = json!({
            "name": self.name,
            "arn": self.arn(),
            "createdAt": self.created as f64 / 1000.0,
            "version": self.version.as_deref().unwrap_or("1.36"),
            "roleArn": self.role_arn.as_deref().unwrap_or_default(),
            "resourcesVpcConfig": network,
            "identity": { "oidc": { "issuer": self.issuer } },
            "status": "ACTIVE",
            "tags": self.tags,
            "health": { "issues": [] },
        });
        if let (Some(provider), Value::Object(members)) = (&self.connector_provider, &mut cluster) {
            let role_arn = self.role_arn.as_deref().unwrap_or_default();
            members.insert(
                "connectorConfig".to_owned(),
                json!({ "provider": provider, "roleArn": role_arn }),
            );
        }
        cluster
    }
}
