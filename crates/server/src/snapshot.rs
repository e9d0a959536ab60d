//! What one request reads: everything at one revision of the store.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_core::{AccountId, Timestamp};
use irsa_credentials::{EpochKey, EpochKeys, KeyEncryptionKey};
use irsa_s3::{BucketRecord, BucketSettings, CompiledPolicy};
use irsa_store::Revision;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};

/// The key under which the first account's number is kept: its root may make other accounts.
pub(crate) const OPERATOR_ACCOUNT: &str = "server/operator-account";
/// The prefix of the keys that sessions are sealed with.
pub(crate) const EPOCH_PREFIX: &str = "credentials/epoch/";
/// The prefix of buckets.
pub(crate) const BUCKET_PREFIX: &str = "s3/bucket/";

/// One consistent state of everything. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) revision: Revision,
    pub(crate) iam: irsa_iam::State,
    pub(crate) oidc: irsa_oidc::State,
    pub(crate) eks: irsa_eks::State,
    pub(crate) buckets: RedBlackTreeMapSync<String, Bucket>,
    pub(crate) operator_account: Option<AccountId>,
    epochs: RedBlackTreeMapSync<u32, [u8; 32]>,
    pub(crate) epoch_keys: Option<Arc<EpochKeys>>,
}

/// A bucket, its policy compiled once for all requests.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) record: Arc<BucketRecord>,
    pub(crate) policy: Option<Arc<CompiledPolicy>>,
    pub(crate) revision: Revision,
}

/// A record that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// One of IAM's.
    #[error(transparent)]
    Iam(#[from] irsa_iam::StateError),
    /// A hosted issuer.
    #[error(transparent)]
    Oidc(#[from] irsa_oidc::OidcError),
    /// A cluster.
    #[error(transparent)]
    Eks(#[from] irsa_eks::StateError),
    /// One of the server's own.
    #[error("the record `{key}` can't be read: {reason}")]
    Record {
        /// The store's key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// A bucket as it is stored.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredBucket {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) settings: BucketSettings,
}

impl StoredBucket {
    /// What is stored of a bucket.
    pub(crate) fn of(record: &BucketRecord, settings: BucketSettings) -> Self {
        Self {
            name: record.name.clone(),
            id: record.id.to_string(),
            account: record.account.to_string(),
            region: record.region.clone(),
            created: record.created.unix_millis(),
            settings,
        }
    }
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self {
            revision: 0,
            iam: irsa_iam::State::default(),
            oidc: irsa_oidc::State::default(),
            eks: irsa_eks::State::default(),
            buckets: RedBlackTreeMapSync::default(),
            operator_account: None,
            epochs: RedBlackTreeMapSync::default(),
            epoch_keys: None,
        }
    }

    /// Takes in one change of the store.
    pub(crate) fn apply(
        &mut self,
        key: &str,
        value: Option<&[u8]>,
        revision: Revision,
        kek: &KeyEncryptionKey,
    ) -> Result<(), SnapshotError> {
        let unreadable = |reason: String| SnapshotError::Record {
            key: key.to_owned(),
            reason,
        };
        self.revision = self.revision.max(revision);
        if irsa_iam::State::owns(key) {
            self.iam.apply(key, value, revision, kek)?;
        } else if key.starts_with("oidc/") {
            self.oidc.apply(key, value, kek)?;
        } else if irsa_eks::State::owns(key) {
            self.eks.apply(key, value, revision)?;
        } else if let Some(name) = key.strip_prefix(BUCKET_PREFIX) {
            match value {
                Some(value) => {
                    let stored: StoredBucket =
                        serde_json::from_slice(value).map_err(|error| unreadable(error.to_string()))?;
                    let bucket = BucketRecord {
                        account: stored
                            .account
                            .parse()
                            .map_err(|_| unreadable(format!("`{}` is no account", stored.account)))?,
                        created: Timestamp::from_unix_millis(stored.created),
                        name: stored.name,
                        id: stored
                            .id
                            .parse()
                            .map_err(|_| unreadable(format!("`{}` is no id", stored.id)))?,
                        region: stored.region,
                        settings: stored.settings,
                    };
                    let policy = bucket.settings.policy.as_ref();
                    let policy = policy
                        .map(|policy| policy.compile(name))
                        .transpose()
                        .map_err(|error| unreadable(error.to_string()))?;
                    let bucket = Bucket {
                        record: Arc::new(bucket),
                        policy: policy.map(Arc::new),
                        revision,
                    };
                    self.buckets.insert_mut(name.to_owned(), bucket);
                }
                None => drop(self.buckets.remove_mut(name)),
            }
        } else if let Some(number) = key.strip_prefix(EPOCH_PREFIX) {
            let epoch: u32 = number
                .parse()
                .map_err(|_| unreadable("the epoch is no number".to_owned()))?;
            match value {
                Some(value) => {
                    let sealed = STANDARD.decode(value).map_err(|error| unreadable(error.to_string()))?;
                    let opened = kek
                        .open(key.as_bytes(), &sealed)
                        .map_err(|error| unreadable(error.to_string()))?;
                    let bytes: [u8; 32] = opened
                        .as_slice()
                        .try_into()
                        .map_err(|_| unreadable("the key has a wrong length".to_owned()))?;
                    self.epochs.insert_mut(epoch, bytes);
                }
                None => drop(self.epochs.remove_mut(&epoch)),
            }
            let mut keys: Vec<EpochKey> = self
                .epochs
                .iter()
                .rev()
                .map(|(epoch, bytes)| EpochKey::new(*epoch, bytes))
                .collect();
            self.epoch_keys = (!keys.is_empty()).then(|| {
                let current = keys.remove(0);
                Arc::new(EpochKeys::new(current, keys))
            });
        } else if key == OPERATOR_ACCOUNT {
            let text = value
                .map(std::str::from_utf8)
                .transpose()
                .map_err(|error| unreadable(error.to_string()))?;
            self.operator_account = text
                .map(|text| text.parse().map_err(|_| unreadable(format!("`{text}` is no account"))))
                .transpose()?;
        } else {
            return Err(unreadable(
                "its kind is unknown: a newer version of the program may have written it".to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use irsa_s3::Versioning;

    fn read(value: &str) -> Result<Arc<BucketRecord>, SnapshotError> {
        let mut snapshot = Snapshot::empty();
        snapshot.apply(
            "s3/bucket/logs",
            Some(value.as_bytes()),
            1,
            &KeyEncryptionKey::from_bytes([7; 32]),
        )?;
        Ok(Arc::clone(&snapshot.buckets.get("logs").unwrap().record))
    }

    #[test]
    fn a_bucket_of_an_older_data_folder_has_the_settings_of_a_new_one() {
        let old = r#"{"name": "logs", "id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "account": "111122223333",
            "region": "us-east-1", "created": 1767323045000"#;
        let record = read(&format!("{old}}}")).unwrap();
        assert_eq!(record.settings, BucketSettings::default());
        assert_eq!(record.created, Timestamp::from_unix_millis(1_767_323_045_000));
        let with = read(&format!(r#"{old}, "settings": {{"versioning": "Enabled"}}}}"#)).unwrap();
        assert_eq!(with.settings.versioning, Versioning::Enabled);
        // What is not known may restrict.
        assert!(read(&format!(r#"{old}, "settings": {{"lock": true}}}}"#)).is_err());
        assert!(read(&format!(r#"{old}, "lock": true}}"#)).is_err());
    }
}
