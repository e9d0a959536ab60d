//! Credentials for upstreams from the AWS SDK's chain, kept until they are about to end.

use std::time::{Duration, SystemTime};

use irsa_upstream::{CredentialError, CredentialSource, Credentials};
use tokio::sync::Mutex;

/// How long before their end credentials are renewed.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// How long credentials without an end are kept: a file may have new ones.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// The SDK's chain over the environment of this process.
#[derive(Default)]
pub(super) struct Environment {
    known: Mutex<Option<(Credentials, SystemTime)>>,
}

#[async_trait::async_trait]
impl CredentialSource for Environment {
    async fn credentials(&self) -> Result<Credentials, CredentialError> {
        let mut known = self.known.lock().await;
        let now = SystemTime::now();
        if let Some((credentials, until)) = &*known
            && now < *until
        {
            return Ok(credentials.clone());
        }
        let chain = irsa_aws::default_chain().await.map_err(|error| CredentialError {
            reason: error.to_string(),
        })?;
        let found = chain.credentials;
        let until = match found.expiry() {
            Some(expiry) => expiry.checked_sub(EARLY).unwrap_or(now),
            None => now + KEPT,
        };
        let credentials = Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().to_owned().into(),
            session_token: found.session_token().map(|token| token.to_owned().into()),
        };
        *known = Some((credentials.clone(), until));
        Ok(credentials)
    }
}
