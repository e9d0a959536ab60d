use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use irsa_core::{AccountId, Timestamp};
use irsa_token::JwkSet;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::FetchError;
use crate::fetch::{Fetched, fetch};
use crate::options::FetchOptions;
use crate::tls::Trust;

mod entry;

use entry::{Entry, Step, Waited};

/// The keys of issuers that others host, fetched when they are needed and remembered.
///
/// Each account has its own memory of an issuer, bound to the thumbprints of its provider. One fetch runs at a time for each of these; it
/// belongs to nobody, so that a caller who goes away takes nothing along. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Trusted {
    shared: Arc<Shared>,
}

struct Shared {
    options: FetchOptions,
    trust: Trust,
    fetches: Semaphore,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    accounts: HashMap<AccountId, HashMap<Box<str>, Arc<Entry>>>,
    count: usize,
}

impl Trusted {
    /// Makes a fetcher that remembers nothing yet. Reads no file.
    ///
    /// # Errors
    /// If one of the extra certificates is not a certificate.
    pub fn new(options: FetchOptions) -> Result<Self, ExtraCaError> {
        let trust =
            Trust::new(options.extra_ca.clone(), options.system_ca).map_err(|error| ExtraCaError(error.to_string()))?;
        Ok(Self {
            shared: Arc::new(Shared {
                fetches: Semaphore::new(options.maximum_fetches.clamp(1, Semaphore::MAX_PERMITS)),
                trust,
                options,
                entries: Mutex::default(),
            }),
        })
    }

    /// The keys of an issuer that is registered in `account` under exactly this URL, with these thumbprints.
    ///
    /// Fetches if nothing is known, if what is known is too old, or if it lacks `wanted_kid`, within the limits of [`FetchOptions`]; where
    /// no fetch is due, the set may lack the wanted key. `now` decides about ages; the network has its deadline on the machine's clock.
    ///
    /// # Errors
    /// Why there are no keys, or why there are none newer than those that lack the wanted key.
    pub async fn keys(
        &self,
        account: AccountId,
        issuer_url: &str,
        thumbprints: &[String],
        wanted_kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<JwkSet>, FetchError> {
        let entry = self.shared.entry(account, issuer_url, thumbprints, now);
        let mut waited = Waited::No;
        loop {
            let mut done = match entry.step(wanted_kid, now, waited, &self.shared.options) {
                Step::Answer(answer) => return answer,
                Step::AnswerAndBegin(keys, end) => {
                    self.begin(Arc::clone(&entry), issuer_url, now, end);
                    return Ok(keys);
                }
                Step::Join(done) => {
                    waited = Waited::ForOthers;
                    done
                }
                Step::Begin(end, done) => {
                    self.begin(Arc::clone(&entry), issuer_url, now, end);
                    waited = Waited::ForOwn;
                    done
                }
            };
            if done.changed().await.is_err() {
                // The fetch died with its runtime.
                return Err(FetchError::Abandoned {
                    issuer: issuer_url.to_owned(),
                });
            }
        }
    }

    /// Forgets what is known of an issuer in an account: to be called when its provider is changed or deleted, or by an operator who
    /// knows that a key was withdrawn. A fetch that is under way ends unheard by later calls.
    pub fn forget(&self, account: AccountId, issuer_url: &str) {
        self.shared.lock().remove(account, issuer_url);
    }

    /// Forgets every issuer.
    pub fn forget_all(&self) {
        *self.shared.lock() = Entries::default();
    }

    fn begin(&self, entry: Arc<Entry>, issuer_url: &str, now: Timestamp, end: watch::Sender<()>) {
        let shared = Arc::clone(&self.shared);
        let issuer_url = issuer_url.to_owned();
        tokio::spawn(async move {
            let began = Instant::now();
            let result = match timeout(shared.options.deadline, shared.fetches.acquire()).await {
                Ok(_permit) => shared.fetch(&issuer_url, entry.thumbprints()).await,
                Err(_) => Err(FetchError::Busy {
                    issuer: issuer_url.clone(),
                }),
            };
            if let Err(error) = &result {
                tracing::warn!(issuer = %issuer_url, %error, "the keys of an issuer cannot be fetched");
            }
            entry.finish(result, now, began.elapsed(), &shared.options);
            end.send_replace(());
        });
    }
}

impl fmt::Debug for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trusted")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

/// A certificate authority that was given in the options is no certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a certificate authority for issuers cannot be read: {0}")]
pub struct ExtraCaError(String);

impl Shared {
    async fn fetch(self: &Arc<Self>, issuer_url: &str, thumbprints: &[String]) -> Result<Fetched, FetchError> {
        if !self.trust.is_loaded() {
            let shared = Arc::clone(self);
            // If loading fails, the fetch fails for want of authorities, which is logged.
            let _ = tokio::task::spawn_blocking(move || shared.trust.load()).await;
        }
        fetch(&self.options, &self.trust, issuer_url, thumbprints).await
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of an issuer; a new one if there is none, or if it was made under other thumbprints.
    fn entry(&self, account: AccountId, issuer_url: &str, thumbprints: &[String], now: Timestamp) -> Arc<Entry> {
        let mut entries = self.lock();
        if let Some(entry) = entries
            .accounts
            .get(&account)
            .and_then(|issuers| issuers.get(issuer_url))
            && entry.thumbprints() == thumbprints
        {
            entry.touch(now);
            return Arc::clone(entry);
        }
        entries.remove(account, issuer_url);
        if entries.count >= self.options.maximum_issuers {
            entries.remove_least_used();
        }
        let entry = Arc::new(Entry::new(thumbprints, now));
        entries
            .accounts
            .entry(account)
            .or_default()
            .insert(issuer_url.into(), Arc::clone(&entry));
        entries.count += 1;
        entry
    }
}

impl Entries {
    fn remove(&mut self, account: AccountId, issuer_url: &str) {
        let Some(issuers) = self.accounts.get_mut(&account) else {
            return;
        };
        if issuers.remove(issuer_url).is_some() {
            self.count -= 1;
        }
        if issuers.is_empty() {
            self.accounts.remove(&account);
        }
    }

    fn remove_least_used(&mut self) {
        let all = self.accounts.iter().flat_map(|(account, issuers)| {
            issuers
                .iter()
                .map(move |(url, entry)| (entry.last_used(), *account, url))
        });
        if let Some((_, account, url)) = all.min_by_key(|(last_used, ..)| *last_used) {
            let url = url.clone();
            self.remove(account, &url);
        }
    }
}
