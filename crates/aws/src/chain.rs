use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;

use crate::{Client, ClientError};

/// What the environment of this process gives to a program that uses an AWS SDK.
#[derive(Debug)]
pub struct Chain {
    /// The credentials that the chain found.
    pub credentials: Credentials,
    /// `AWS_REGION` or what stands for it.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL` or what stands for it; `None` means AWS itself.
    pub endpoint: Option<String>,
}

/// The chain found no credentials.
#[derive(Debug, thiserror::Error)]
#[error("the AWS SDK found no credentials: {reason}")]
pub struct ChainError {
    /// The SDK's reasons, outermost first.
    pub reason: String,
}

/// Runs the default credential chain of the AWS SDK for Rust over the environment of this process: static keys, profiles,
/// a web identity token with a role (`AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`), the container's and the
/// instance's. `AWS_ENDPOINT_URL` sends its call of STS to another server.
///
/// # Errors
/// No source has credentials, or the one that should have them was refused.
pub async fn default_chain() -> Result<Chain, ChainError> {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
    let provider = config.credentials_provider().ok_or_else(|| ChainError {
        reason: "there is no provider".to_owned(),
    })?;
    let credentials = provider.provide_credentials().await.map_err(|error| ChainError {
        reason: reasons(&error),
    })?;
    Ok(Chain {
        credentials,
        region: config.region().map(ToString::to_string),
        endpoint: config.endpoint_url().map(ToOwned::to_owned),
    })
}

impl Chain {
    /// A client with these credentials.
    ///
    /// # Errors
    /// There is no endpoint, or one that is none.
    pub fn client(&self) -> Result<Client, ClientError> {
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        Client::new(
            endpoint,
            self.region.as_deref().unwrap_or("us-east-1"),
            self.credentials.clone(),
        )
    }
}

/// The texts of an error and its causes, each once.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
