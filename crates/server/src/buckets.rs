//! The registry of buckets, kept in the server's store.

use std::sync::Arc;

use irsa_core::AccountId;
use irsa_s3::{BucketRecord, BucketSettings, Buckets, BucketsError};
use irsa_store::{StoreError, Transaction};

use crate::keeper::Keeper;
use crate::snapshot::{BUCKET_PREFIX, Bucket, Snapshot, StoredBucket};

/// S3's default is 10,000 general purpose buckets an account.
const MAX_BUCKETS: usize = 10_000;

pub(crate) struct StoreBuckets {
    keeper: Arc<Keeper>,
    /// Held while one changes: who comes after sees what was changed, and need not fail and try again.
    changing: tokio::sync::Mutex<()>,
}

impl StoreBuckets {
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        Self {
            keeper,
            changing: tokio::sync::Mutex::new(()),
        }
    }
}

#[async_trait::async_trait]
impl Buckets for StoreBuckets {
    fn list(&self, account: AccountId) -> Vec<Arc<BucketRecord>> {
        self.keeper
            .snapshot()
            .buckets
            .values()
            .map(|bucket| &bucket.record)
            .filter(|record| record.account == account)
            .cloned()
            .collect()
    }

    fn get(&self, name: &str) -> Option<Arc<BucketRecord>> {
        self.keeper
            .snapshot()
            .buckets
            .get(name)
            .map(|bucket| Arc::clone(&bucket.record))
    }

    async fn create(&self, record: BucketRecord) -> Result<(), BucketsError> {
        let _changing = self.changing.lock().await;
        if self.list(record.account).len() >= MAX_BUCKETS {
            return Err(BucketsError::TooMany { limit: MAX_BUCKETS });
        }
        let key = format!("{BUCKET_PREFIX}{}", record.name);
        let value = stored(&StoredBucket::of(&record, record.settings.clone()))?;
        match self
            .keeper
            .commit(Transaction::default().when_absent(key.clone()).put(key, value))
            .await
        {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict) => match self.get(&record.name) {
                Some(existing) => Err(BucketsError::Exists(existing)),
                None => Err(BucketsError::Unavailable(
                    "the bucket was made and removed by others in between".into(),
                )),
            },
            Err(error) => Err(BucketsError::Unavailable(Box::new(error))),
        }
    }

    async fn update(&self, record: &BucketRecord, settings: BucketSettings) -> Result<(), BucketsError> {
        let _changing = self.changing.lock().await;
        let key = format!("{BUCKET_PREFIX}{}", record.name);
        let snapshot = self.keeper.snapshot();
        let bucket = existing(&snapshot, record)?;
        let current = &bucket.record;
        if current.settings != record.settings {
            return Err(BucketsError::Changed);
        }
        let value = stored(&StoredBucket::of(current, settings))?;
        let transaction = Transaction::default()
            .when_modified_at(key.clone(), bucket.revision)
            .put(key, value);
        self.keeper.commit(transaction).await.map_err(|error| match error {
            StoreError::Conflict => BucketsError::Changed,
            error => BucketsError::Unavailable(Box::new(error)),
        })
    }

    async fn delete(&self, record: &BucketRecord) -> Result<(), BucketsError> {
        let _changing = self.changing.lock().await;
        let key = format!("{BUCKET_PREFIX}{}", record.name);
        let snapshot = self.keeper.snapshot();
        let bucket = existing(&snapshot, record)?;
        let transaction = Transaction::default()
            .when_modified_at(key.clone(), bucket.revision)
            .delete(key);
        self.keeper.commit(transaction).await.map_err(|error| match error {
            StoreError::Conflict => BucketsError::Missing,
            error => BucketsError::Unavailable(Box::new(error)),
        })
    }
}

/// This very bucket, as it is now.
fn existing<'s>(snapshot: &'s Snapshot, record: &BucketRecord) -> Result<&'s Bucket, BucketsError> {
    let bucket = snapshot.buckets.get(&record.name);
    bucket
        .filter(|bucket| bucket.record.id == record.id)
        .ok_or(BucketsError::Missing)
}

fn stored(bucket: &StoredBucket) -> Result<Vec<u8>, BucketsError> {
    serde_json::to_vec(bucket).map_err(|error| BucketsError::Unavailable(Box::new(error)))
}
