use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use http::Method;
use serde_json::{Value, json};

use crate::{Client, ClientError, Session, encode_path};

/// EKS, as a session sees it.
#[derive(Clone, Debug)]
pub struct Eks {
    pub(crate) client: Client,
    pub(crate) session: Session,
}

/// A cluster, as far as it says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterDescription {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its state, such as `ACTIVE` or `CREATING`.
    pub status: String,
    /// The version of Kubernetes, such as `1.36`.
    pub version: Option<String>,
    /// The issuer of its service account tokens.
    pub issuer: Option<String>,
    /// The URL of its API.
    pub endpoint: Option<String>,
    /// The certificate authority of its API: PEM in base64.
    pub certificate_authority: Option<String>,
    /// Whether it is a cluster of somebody else that is only registered there.
    pub is_connected: bool,
    /// The id of a cluster on an Outpost, which its tokens name instead of the name.
    pub id: Option<String>,
}

/// A cluster to be, as a server of our own records it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewCluster {
    /// Its name.
    pub name: String,
    /// The role of its control plane, which EKS demands.
    pub role_arn: String,
    /// The version of Kubernetes, such as `1.36`.
    pub version: Option<String>,
    /// Its own issuer; without one, the server hosts one.
    pub issuer: Option<String>,
    /// The keys of its issuer (a JWKS), if they are not to be fetched.
    pub keys: Option<Value>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A bearer token for a cluster's API.
#[derive(Clone)]
pub struct ClusterToken {
    pub(crate) token: String,
    pub(crate) until: SystemTime,
}

impl Eks {
    /// `DescribeCluster`.
    ///
    /// # Errors
    /// See [`ClientError`]; that there is none is one ([`ClientError::is_not_found`]).
    pub async fn describe_cluster(&self, name: &str) -> Result<ClusterDescription, ClientError> {
        let path = format!("/clusters/{}", encode_path(name).replace('/', "%2F"));
        let answer = self
            .client
            .json_about(
                "DescribeCluster".to_owned(),
                Some(format!("cluster `{name}`")),
                "eks",
                Method::GET,
                &path,
                None,
            )
            .await?;
        self.read(&answer)
    }

    /// `CreateCluster`, for a server that needs no network or nodes: one of our own.
    ///
    /// # Errors
    /// See [`ClientError`]; that there is one already may be the work of this very call.
    pub async fn create_cluster(&self, cluster: &NewCluster) -> Result<ClusterDescription, ClientError> {
        let mut body = json!({
            "name": cluster.name,
            "roleArn": cluster.role_arn,
            "resourcesVpcConfig": {},
        });
        if let Some(version) = &cluster.version {
            body["version"] = json!(version);
        }
        if !cluster.tags.is_empty() {
            body["tags"] = json!(cluster.tags);
        }
        if let Some(issuer) = &cluster.issuer {
            body["oidc"] = json!({ "issuer": issuer });
            if let Some(keys) = &cluster.keys {
                body["oidc"]["keys"] = keys.clone();
            }
        }
        let answer = self
            .client
            .json_about(
                "CreateCluster".to_owned(),
                Some(format!("cluster `{}`", cluster.name)),
                "eks",
                Method::POST,
                "/clusters",
                Some(&body),
            )
            .await?;
        self.read(&answer)
    }

    /// The token with which `aws eks get-token` lets `kubectl` in; see [`Session::cluster_token`]. `name` is the cluster's
    /// name, or the `id` of one that has one.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn cluster_token(&self, name: &str) -> Result<ClusterToken, ClientError> {
        self.session.cluster_token(name).await
    }

    fn read(&self, answer: &Value) -> Result<ClusterDescription, ClientError> {
        let cluster = &answer["cluster"];
        let text = |pointer: &str| {
            cluster
                .pointer(pointer)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(ToOwned::to_owned)
        };
        let needed = |pointer: &str| {
            text(pointer).ok_or_else(|| {
                self.client
                    .unreadable(format!("the cluster has no `{}`", &pointer[1..]))
            })
        };
        Ok(ClusterDescription {
            name: needed("/name")?,
            arn: needed("/arn")?,
            status: text("/status").unwrap_or_default(),
            version: text("/version"),
            issuer: text("/identity/oidc/issuer"),
            endpoint: text("/endpoint"),
            certificate_authority: text("/certificateAuthority/data"),
            is_connected: cluster.get("connectorConfig").is_some_and(|config| !config.is_null()),
            id: text("/id"),
        })
    }
}

impl ClusterToken {
    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// Until when clusters take it: 14 minutes, or less if the credentials end before. Making another one costs no call.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.until
    }
}

impl fmt::Debug for ClusterToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterToken")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
