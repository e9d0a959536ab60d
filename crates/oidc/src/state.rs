use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use irsa_core::{AccountId, Timestamp};
use irsa_credentials::KeyEncryptionKey;
use irsa_store::Transaction;
use irsa_token::JwkSet;
use rpds::HashTrieMapSync;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hosted::{HostedIssuer, OidcError, PREFIX};
use crate::provider_url::ProviderUrl;

/// Where the records of given key sets lie in the store.
const KEYS_PREFIX: &str = "oidc/keys/";

/// The issuers whose keys are known without fetching: those that we host, and those whose key sets an operator gave us. Cheap to clone.
#[derive(Clone, Default)]
pub struct State {
    by_id: HashTrieMapSync<String, Arc<HostedIssuer>>,
    by_url: HashTrieMapSync<String, Arc<HostedIssuer>>,
    /// By the rest of the record's key: account, slash, URL.
    given: HashTrieMapSync<String, Arc<JwkSet>>,
}

impl State {
    /// Takes one change of the store; `None` is a deletion. Keys of other crates are no concern.
    ///
    /// # Errors
    /// If a record cannot be read. What was known before stays.
    pub fn apply(
        &mut self,
        key: &str,
        value: Option<&[u8]>,
        key_encryption_key: &KeyEncryptionKey,
    ) -> Result<(), OidcError> {
        if let Some(id) = key.strip_prefix(PREFIX) {
            let issuer = value
                .map(|record| HostedIssuer::from_record(id, record, key_encryption_key))
                .transpose()?;
            if let Some(known) = self.by_id.get(id) {
                self.by_url.remove_mut(&known.issuer_url().to_owned());
                self.by_id.remove_mut(id);
            }
            if let Some(issuer) = issuer.map(Arc::new) {
                self.by_url
                    .insert_mut(issuer.issuer_url().to_owned(), Arc::clone(&issuer));
                self.by_id.insert_mut(id.to_owned(), issuer);
            }
        } else if let Some(name) = key.strip_prefix(KEYS_PREFIX) {
            match value {
                None => {
                    self.given.remove_mut(name);
                }
                Some(record) => {
                    let damaged = |reason: String| OidcError::Damaged {
                        key: key.to_owned(),
                        reason,
                    };
                    let record: KeysRecord =
                        serde_json::from_slice(record).map_err(|error| damaged(error.to_string()))?;
                    let keys = JwkSet::parse(record.keys.get().as_bytes())?;
                    self.given.insert_mut(name.to_owned(), Arc::new(keys));
                }
            }
        }
        Ok(())
    }

    /// The hosted issuer of exactly this URL.
    #[must_use]
    pub fn hosted(&self, issuer_url: &str) -> Option<&Arc<HostedIssuer>> {
        self.by_url.get(issuer_url)
    }

    /// The hosted issuer of this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Arc<HostedIssuer>> {
        self.by_id.get(id)
    }

    /// All hosted issuers, in no order.
    pub fn hosted_issuers(&self) -> impl Iterator<Item = &Arc<HostedIssuer>> {
        self.by_id.values()
    }

    /// The keys that verify tokens of this issuer in this account, if they are known without fetching. A key set that was given for an
    /// account counts in no other.
    #[must_use]
    pub fn keys(&self, account: AccountId, issuer_url: &str) -> Option<&Arc<JwkSet>> {
        if let Some(issuer) = self.hosted(issuer_url) {
            return Some(issuer.keys());
        }
        if self.given.is_empty() {
            return None;
        }
        self.given.get(&given_name(account, issuer_url))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("hosted", &self.by_id.size())
            .field("given", &self.given.size())
            .finish()
    }
}

/// Adds to a transaction that tokens of an issuer are verified in `account` with a key set that an operator brings, so that the issuer
/// need not be reachable. Replaces the set that was given before.
///
/// # Errors
/// If the key set is none, holds private keys, or holds no usable key.
pub fn put_given_keys(
    transaction: Transaction,
    account: AccountId,
    issuer_url: &ProviderUrl,
    key_set: &[u8],
    now: Timestamp,
) -> Result<Transaction, OidcError> {
    if JwkSet::parse(key_set)?.is_empty() {
        return Err(OidcError::NoUsableKey);
    }
    let record = KeysRecord {
        keys: serde_json::from_slice(key_set).map_err(|_| OidcError::Encode)?,
        given: now.unix_millis(),
    };
    let record: Bytes = serde_json::to_vec(&record).map_err(|_| OidcError::Encode)?.into();
    Ok(transaction.put(given_keys_key(account, issuer_url.as_str()), record))
}

/// The key under which a given key set lies: what to delete to end it.
#[must_use]
pub fn given_keys_key(account: AccountId, issuer_url: &str) -> String {
    format!("{KEYS_PREFIX}{}", given_name(account, issuer_url))
}

fn given_name(account: AccountId, issuer_url: &str) -> String {
    format!("{account}/{issuer_url}")
}

#[derive(Deserialize, Serialize)]
struct KeysRecord {
    keys: Box<RawValue>,
    /// Milliseconds since 1970.
    given: i64,
}
