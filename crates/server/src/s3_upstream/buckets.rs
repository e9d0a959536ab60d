//! The registry of buckets, with those of stores behind us: theirs have a record only once something was set.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use irsa_core::{AccountId, Timestamp};
use irsa_s3::{BucketRecord, BucketSettings, Buckets, BucketsError};

use super::{Behind, Places};

/// Buckets here and there.
pub(crate) struct UpstreamBuckets {
    pub(crate) inner: Arc<dyn Buckets>,
    pub(crate) places: Arc<Places>,
    /// The region of all that is behind us, as clients see it.
    pub(crate) region: String,
}

impl UpstreamBuckets {
    /// The record of a bucket that is in a store behind us, whether it is there or not: the store knows. It is its store's account's.
    pub(crate) fn of_upstream(&self, name: &str) -> Option<Arc<BucketRecord>> {
        let behind = self.places.of(name)?;
        Some(self.recorded(name, behind).unwrap_or_else(|| {
            Arc::new(BucketRecord {
                name: name.to_owned(),
                id: id_behind(name),
                account: behind.account,
                region: self.region.clone(),
                created: Timestamp::from_unix_seconds(0),
                settings: BucketSettings::default(),
            })
        }))
    }

    /// An embedded bucket of the same name is another bucket, and its settings are not this one's.
    fn recorded(&self, name: &str, behind: &Behind) -> Option<Arc<BucketRecord>> {
        let record = self.inner.get(name)?;
        (record.id == id_behind(name) && record.account == behind.account).then_some(record)
    }
}

/// What tells a bucket behind us from an embedded one, whose id is random.
pub(crate) fn id_behind(name: &str) -> uuid::Uuid {
    let hash = digest::digest(&digest::SHA256, format!("irsa s3 upstream {name}").as_bytes());
    let mut bytes = [0; 16];
    for (byte, of_hash) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *of_hash;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[async_trait]
impl Buckets for UpstreamBuckets {
    fn list(&self, account: AccountId) -> Vec<Arc<BucketRecord>> {
        let mut records = self.inner.list(account);
        records.retain(|record| self.places.of(&record.name).is_none());
        records
    }

    fn get(&self, name: &str) -> Option<Arc<BucketRecord>> {
        self.of_upstream(name).or_else(|| self.inner.get(name))
    }

    async fn create(&self, record: BucketRecord) -> Result<(), BucketsError> {
        match self.of_upstream(&record.name) {
            Some(theirs) => Err(BucketsError::Exists(theirs)),
            None => self.inner.create(record).await,
        }
    }

    async fn update(&self, record: &BucketRecord, settings: BucketSettings) -> Result<(), BucketsError> {
        let Some(behind) = self.places.of(&record.name) else {
            return self.inner.update(record, settings).await;
        };
        if self.recorded(&record.name, behind).is_some() {
            return self.inner.update(record, settings).await;
        }
        if self.inner.get(&record.name).is_some() {
            return Err(BucketsError::Unavailable(
                "the embedded store has a bucket of this name, whose record is in the way".into(),
            ));
        }
        if record.settings != BucketSettings::default() {
            return Err(BucketsError::Changed);
        }
        let record = BucketRecord {
            settings,
            ..record.clone()
        };
        self.inner.create(record).await.map_err(|error| match error {
            BucketsError::Exists(_) => BucketsError::Changed,
            error => error,
        })
    }

    async fn delete(&self, record: &BucketRecord) -> Result<(), BucketsError> {
        match self.places.of(&record.name) {
            Some(behind) if self.recorded(&record.name, behind).is_none() => Ok(()),
            _ => self.inner.delete(record).await,
        }
    }
}
