//! A cluster whose issuer the server hosts, and what a pod of it needs.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::Client;

/// The audience that STS expects.
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// A cluster, its issuer, and the IAM provider that trusts it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its issuer's URL.
    pub issuer: String,
    /// ARN of the OIDC provider.
    pub provider_arn: String,
}

impl Cluster {
    /// Creates the cluster and the provider for its issuer.
    pub async fn create(client: &Client, name: &str) -> Result<Self> {
        let body = json!({"name": name, "roleArn": "arn:aws:iam::111122223333:role/cluster", "resourcesVpcConfig": {}});
        let answer = client.json("eks", "POST", "/clusters", Some(&body)).await?;
        let value = answer.value()?;
        let issuer = value
            .pointer("/cluster/identity/oidc/issuer")
            .and_then(Value::as_str)
            .with_context(|| format!("the new cluster has no issuer: {value}"))?
            .to_owned();
        Self::foreign(client, name, &issuer).await
    }

    /// A cluster with an issuer that the server does not host: the provider that trusts it.
    pub async fn foreign(client: &Client, name: &str, issuer: &str) -> Result<Self> {
        let parameters = [
            ("Action", "CreateOpenIDConnectProvider"),
            ("Url", issuer),
            ("ClientIDList.member.1", AUDIENCE),
            // Else the server would have to ask the issuer for one.
            ("ThumbprintList.member.1", "0123456789012345678901234567890123456789"),
        ];
        let provider_arn = client
            .must("iam", &parameters)
            .await?
            .must_xml("OpenIDConnectProviderArn")?;
        Ok(Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            provider_arn,
        })
    }

    /// The trust policy of the documents: this service account and no other.
    pub fn trust(&self, namespace: &str, service_account: &str) -> String {
        let provider = self.issuer.trim_start_matches("https://");
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Federated": self.provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {
                    format!("{provider}:aud"): AUDIENCE,
                    format!("{provider}:sub"): format!("system:serviceaccount:{namespace}:{service_account}"),
                }},
            }],
        })
        .to_string()
    }

    /// Makes a role that a service account may assume; hands back its ARN.
    pub async fn role(&self, client: &Client, name: &str, namespace: &str, service_account: &str) -> Result<String> {
        let trust = self.trust(namespace, service_account);
        let parameters = [
            ("Action", "CreateRole"),
            ("RoleName", name),
            ("AssumeRolePolicyDocument", trust.as_str()),
        ];
        client.must("iam", &parameters).await?.must_xml("Arn")
    }

    /// A token of a service account, valid for an hour.
    pub async fn token(&self, client: &Client, namespace: &str, service_account: &str) -> Result<String> {
        let path = format!(
            "/clusters/{}/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            self.name
        );
        let body = json!({"spec": {"audiences": [AUDIENCE], "expirationSeconds": 3600}});
        let answer = client.json("irsa", "POST", &path, Some(&body)).await?;
        match answer.value()?.pointer("/status/token") {
            Some(Value::String(token)) => Ok(token.clone()),
            _ => bail!("no token came: {}", answer.text()),
        }
    }
}

/// Parameters of a token exchange.
pub fn exchange<'a>(role_arn: &'a str, session_name: &'a str, token: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", role_arn),
        ("RoleSessionName", session_name),
        ("WebIdentityToken", token),
    ]
}
