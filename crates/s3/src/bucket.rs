pub(crate) mod cors;
pub(crate) mod policy;
mod public;
mod settings;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use irsa_core::{AccountId, Timestamp};
use uuid::Uuid;

pub use cors::CorsRule;
pub use policy::{BoundPrincipal, BucketPolicy, CompiledPolicy, NamedPrincipal};
pub use settings::{BucketSettings, PublicAccessBlock, Versioning};

/// One bucket as it is recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketRecord {
    /// The name, unique over all accounts.
    pub name: String,
    /// Which bucket of that name it is: a bucket made again under an old name has a new id, and none of the old one's objects.
    pub id: Uuid,
    /// The owner.
    pub account: AccountId,
    /// The region, such as `us-east-1`.
    pub region: String,
    /// When it was made.
    pub created: Timestamp,
    /// What its owner set; [`Buckets::update`] changes it.
    pub settings: BucketSettings,
}

/// The registry of buckets: the server keeps it in its revisioned store.
#[async_trait]
pub trait Buckets: Send + Sync {
    /// All buckets of an account in the order of their names.
    fn list(&self, account: AccountId) -> Vec<Arc<BucketRecord>>;

    /// The bucket of that name, whoever owns it. From memory: every request asks.
    fn get(&self, name: &str) -> Option<Arc<BucketRecord>>;

    /// Records a new bucket; it is on disk and visible to [`Buckets::get`] when this returns.
    ///
    /// # Errors
    /// [`BucketsError::Exists`] when the name is taken, also by a creation at the same time.
    async fn create(&self, record: BucketRecord) -> Result<(), BucketsError>;

    /// Gives this very bucket (same name and same id) other settings, if it still has those of `record`: of two who read the same
    /// settings and change them, one is refused. What is new is on disk and visible to [`Buckets::get`] when this returns.
    ///
    /// # Errors
    /// [`BucketsError::Missing`] when the bucket is gone or replaced, [`BucketsError::Changed`] when its settings are others by now.
    async fn update(&self, record: &BucketRecord, settings: BucketSettings) -> Result<(), BucketsError>;

    /// Removes this very bucket: same name and same id.
    ///
    /// # Errors
    /// [`BucketsError::Missing`] when it is gone or replaced.
    async fn delete(&self, record: &BucketRecord) -> Result<(), BucketsError>;
}

/// Buckets that are to be listed beside those of the registry; put them into the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct MoreBuckets(pub Vec<Arc<BucketRecord>>);

/// Why the registry refused.
#[derive(Debug, thiserror::Error)]
pub enum BucketsError {
    /// The name is taken by this bucket.
    #[error("the bucket `{}` exists", .0.name)]
    Exists(Arc<BucketRecord>),
    /// There is no such bucket any more.
    #[error("the bucket does not exist")]
    Missing,
    /// Its settings are not those any more that the change was made from.
    #[error("the bucket's settings were changed by others in between")]
    Changed,
    /// The account has as many buckets as its quota allows.
    #[error("the account has {limit} buckets, and may not have more")]
    TooMany {
        /// The quota.
        limit: usize,
    },
    /// The registry cannot be written.
    #[error("the bucket registry cannot be written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A registry in memory, for tests and for a server that keeps nothing.
#[derive(Debug, Default)]
pub struct MemoryBuckets {
    records: Mutex<BTreeMap<String, Arc<BucketRecord>>>,
}

impl MemoryBuckets {
    fn records(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<BucketRecord>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Buckets for MemoryBuckets {
    fn list(&self, account: AccountId) -> Vec<Arc<BucketRecord>> {
        let records = self.records();
        records
            .values()
            .filter(|record| record.account == account)
            .cloned()
            .collect()
    }

    fn get(&self, name: &str) -> Option<Arc<BucketRecord>> {
        self.records().get(name).cloned()
    }

    async fn create(&self, record: BucketRecord) -> Result<(), BucketsError> {
        let mut records = self.records();
        if let Some(existing) = records.get(&record.name) {
            return Err(BucketsError::Exists(Arc::clone(existing)));
        }
        records.insert(record.name.clone(), Arc::new(record));
        Ok(())
    }

    async fn update(&self, record: &BucketRecord, settings: BucketSettings) -> Result<(), BucketsError> {
        let mut records = self.records();
        let existing = records
            .get_mut(&record.name)
            .filter(|existing| existing.id == record.id)
            .ok_or(BucketsError::Missing)?;
        if existing.settings != record.settings {
            return Err(BucketsError::Changed);
        }
        Arc::make_mut(existing).settings = settings;
        Ok(())
    }

    async fn delete(&self, record: &BucketRecord) -> Result<(), BucketsError> {
        let mut records = self.records();
        match records.get(&record.name) {
            Some(existing) if existing.id == record.id => {
                records.remove(&record.name);
                Ok(())
            }
            _ => Err(BucketsError::Missing),
        }
    }
}

/// Whether S3 accepts the name for a new general purpose bucket.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
#[must_use]
pub fn is_valid_bucket_name(name: &str) -> bool {
    // `amzn-s3-demo-` is reserved too, for the names in AWS's documents; people copy them, and here they harm nobody.
    const PREFIXES: [&str; 2] = ["xn--", "sthree-"];
    const SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&name.len())
        && bytes
            .iter()
            .all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'-'))
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
        && !looks_like_address(name)
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Four numbers with dots between, also when they are too large for an address.
fn looks_like_address(name: &str) -> bool {
    name.split('.').count() == 4
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_the_rules() {
        for good in [
            "abc",
            "my-bucket",
            "a.b.c",
            "0ab",
            "amzn-s3-demo-bucket",
            &"a".repeat(63),
            "1.2.3",
            "a.2.3.4",
        ] {
            assert!(is_valid_bucket_name(good), "{good}");
        }
        for bad in [
            "",
            "ab",
            &"a".repeat(64),
            "Abc",
            "a_b",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a..b",
            "192.168.5.4",
            "999.1.1.1",
            "xn--abc",
            "sthree-a",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "abc/",
            "äbc",
            "a b",
            "abc\0",
        ] {
            assert!(!is_valid_bucket_name(bad), "{bad}");
        }
    }
}
