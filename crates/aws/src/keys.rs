//! Whose signature a client makes, and credentials that are renewed before they end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tracing::warn;

use crate::ClientError;
use crate::chain::reasons;

/// How long before their end credentials are renewed.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// How long credentials without an end are kept: a file may have new ones.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// How long a source may take. The instance's and a command's are the slow ones; a command may ask its user.
const LONGEST_SEARCH: Duration = Duration::from_secs(120);

/// Who signs.
#[derive(Clone, Default)]
pub(crate) enum Keys {
    /// Nobody: requests are anonymous.
    #[default]
    Nobody,
    /// One set of credentials.
    Fixed(Credentials),
    /// Credentials from a source that has new ones when they end.
    Renewed(Arc<Renewed>),
}

/// Credentials of a source, kept until shortly before their end. Many callers that find them ended wait for one renewal.
pub(crate) struct Renewed {
    source: SharedCredentialsProvider,
    known: Mutex<Option<Known>>,
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    credentials: Credentials,
    /// When to look for new ones.
    until: SystemTime,
}

impl Keys {
    pub(crate) fn renewed(source: SharedCredentialsProvider) -> Self {
        Self::Renewed(Arc::new(Renewed {
            source,
            known: Mutex::new(None),
            renewal: tokio::sync::Mutex::new(()),
        }))
    }

    /// Credentials that are good now; `None` if requests are anonymous.
    pub(crate) async fn credentials(&self) -> Result<Option<Credentials>, ClientError> {
        match self {
            Self::Nobody => Ok(None),
            Self::Fixed(credentials) => Ok(Some(credentials.clone())),
            Self::Renewed(renewed) => renewed.credentials().await.map(Some),
        }
    }

    /// Says that a service took credentials for ended; whether there may be others.
    pub(crate) fn refused(&self, access_key_id: &str) -> bool {
        let Self::Renewed(renewed) = self else {
            return false;
        };
        let mut known = renewed.known();
        if known
            .as_ref()
            .is_some_and(|known| known.credentials.access_key_id() == access_key_id)
        {
            *known = None;
        }
        true
    }
}

impl Renewed {
    async fn credentials(&self) -> Result<Credentials, ClientError> {
        if let Some(credentials) = self.current(SystemTime::now()) {
            return Ok(credentials);
        }
        // Waiting here is waiting for the one renewal; nothing else is held.
        let _renewing = self.renewal.lock().await;
        let now = SystemTime::now();
        if let Some(credentials) = self.current(now) {
            return Ok(credentials);
        }
        let found = tokio::time::timeout(LONGEST_SEARCH, self.source.provide_credentials()).await;
        let reason = match found {
            Ok(Ok(credentials)) => {
                let until = until(&credentials, now);
                *self.known() = Some(Known {
                    credentials: credentials.clone(),
                    until,
                });
                return Ok(credentials);
            }
            Ok(Err(error)) => match reasons(&error) {
                // The SDK goes on with a list of all that it tried.
                text if text.contains("no credentials found in chain") => {
                    "neither the environment nor a profile, a web identity token, the container or the instance has any"
                        .to_owned()
                }
                text => text,
            },
            Err(_) => format!("their source has not answered within {} s", LONGEST_SEARCH.as_secs()),
        };
        // Renewal is early, so those before may still be good.
        let mut known = self.known();
        if let Some(known) = known.as_mut()
            && known.credentials.expiry().is_none_or(|end| end > now)
        {
            warn!(%reason, "credentials could not be renewed yet");
            known.until = now + Duration::from_secs(30);
            return Ok(known.credentials.clone());
        }
        Err(ClientError::Credentials { reason })
    }

    fn current(&self, now: SystemTime) -> Option<Credentials> {
        let known = self.known();
        let known = known.as_ref().filter(|known| now < known.until)?;
        Some(known.credentials.clone())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when credentials are used before new ones are looked for.
fn until(credentials: &Credentials, now: SystemTime) -> SystemTime {
    let Some(end) = credentials.expiry() else {
        return now + KEPT;
    };
    let left = end.duration_since(now).unwrap_or_default();
    // Some sources give them out for no longer than the margin itself.
    now + left.saturating_sub(EARLY).max(left / 2)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future;

    use super::*;

    /// Gives out numbered credentials with these lifetimes, then none.
    #[derive(Debug)]
    struct Numbered {
        lifetimes: Vec<Option<Duration>>,
        given: Arc<AtomicU64>,
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.given.fetch_add(1, Ordering::SeqCst);
            let lifetime = self.lifetimes.get(usize::try_from(number).unwrap());
            future::ProvideCredentials::ready(match lifetime {
                Some(lifetime) => Ok(Credentials::new(
                    format!("AKID{number}"),
                    "do-not-show",
                    None,
                    lifetime.map(|lifetime| SystemTime::now() + lifetime),
                    "test",
                )),
                None => Err(CredentialsError::not_loaded("the file is gone")),
            })
        }
    }

    fn keys(lifetimes: &[Option<Duration>]) -> (Keys, Arc<AtomicU64>) {
        let given = Arc::new(AtomicU64::new(0));
        let source = Numbered {
            lifetimes: lifetimes.to_vec(),
            given: Arc::clone(&given),
        };
        (Keys::renewed(SharedCredentialsProvider::new(source)), given)
    }

    async fn id(keys: &Keys) -> String {
        let credentials = keys.credentials().await.unwrap().unwrap();
        credentials.access_key_id().to_owned()
    }

    #[tokio::test]
    async fn they_are_kept_and_found_once() {
        let (keys, given) = keys(&[Some(Duration::from_secs(3600))]);
        let (first, second) = tokio::join!(id(&keys), id(&keys));
        assert_eq!((first.as_str(), second.as_str()), ("AKID0", "AKID0"));
        assert_eq!(given.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn ended_ones_are_renewed() {
        let (keys, _) = keys(&[Some(Duration::ZERO), None]);
        assert_eq!(id(&keys).await, "AKID0");
        assert_eq!(id(&keys).await, "AKID1");
        assert_eq!(id(&keys).await, "AKID1");
    }

    #[tokio::test]
    async fn refused_ones_are_forgotten_and_no_others() {
        let (keys, _) = keys(&[None, None]);
        assert_eq!(id(&keys).await, "AKID0");
        assert!(keys.refused("AKID7"));
        assert_eq!(id(&keys).await, "AKID0");
        assert!(keys.refused("AKID0"));
        assert_eq!(id(&keys).await, "AKID1");
    }

    #[tokio::test]
    async fn a_renewal_that_fails_early_does_no_harm_and_one_that_fails_late_is_told() {
        let (early, _) = keys(&[Some(Duration::from_secs(60))]);
        assert_eq!(id(&early).await, "AKID0");
        let Keys::Renewed(renewed) = &early else { unreachable!() };
        renewed.known().as_mut().unwrap().until = SystemTime::UNIX_EPOCH;
        assert_eq!(id(&early).await, "AKID0");

        let (late, _) = keys(&[Some(Duration::ZERO)]);
        assert_eq!(id(&late).await, "AKID0");
        let error = late.credentials().await.unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.starts_with("there are no AWS credentials: ") && shown.contains("the file is gone"),
            "{shown}"
        );
        assert!(!format!("{error:?}").contains("do-not-show"));
    }

    #[test]
    fn renewal_is_five_minutes_early_or_at_half_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let after = |lifetime: u64| {
            let credentials = Credentials::new("a", "b", None, Some(now + Duration::from_secs(lifetime)), "test");
            until(&credentials, now).duration_since(now).unwrap().as_secs()
        };
        assert_eq!((after(3600), after(900), after(400), after(0)), (3300, 600, 200, 0));
    }
}
