//! The registry of buckets, kept in the server's store.

use std::sync::Arc;

use irsa_core::AccountId;
use irsa_s3::{BucketRecord, Buckets, BucketsError};
use irsa_store::{StoreError, Transaction};

use crate::keeper::Keeper;
use crate::snapshot::{BUCKET_PREFIX, StoredBucket};

/// S3's default is 10,000 general purpose buckets an account.
const MAX_BUCKETS: usize = 10_000;

pub(crate) struct StoreBuckets {
    pub(crate) keeper: Arc<Keeper>,
}

#[async_trait::async_trait]
impl Buckets for StoreBuckets {
    fn list(&self, account: AccountId) -> Vec<Arc<BucketRecord>> {
        self.keeper
            .snapshot()
            .buckets
            .values()
            .map(|(bucket, _)| bucket)
            .filter(|bucket| bucket.account == account)
            .cloned()
            .collect()
    }

    fn get(&self, name: &str) -> Option<Arc<BucketRecord>> {
        self.keeper
            .snapshot()
            .buckets
            .get(name)
            .map(|(bucket, _)| Arc::clone(bucket))
    }

    async fn create(&self, record: BucketRecord) -> Result<(), BucketsError> {
        if self.list(record.account).len() >= MAX_BUCKETS {
            return Err(BucketsError::TooMany { limit: MAX_BUCKETS });
        }
        let key = format!("{BUCKET_PREFIX}{}", record.name);
        let stored = StoredBucket {
            name: record.name.clone(),
            id: record.id.to_string(),
            account: record.account.to_string(),
            region: record.region,
            created: record.created.unix_millis(),
        };
        let value = serde_json::to_vec(&stored).map_err(|error| BucketsError::Unavailable(Box::new(error)))?;
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

    async fn delete(&self, record: &BucketRecord) -> Result<(), BucketsError> {
        let key = format!("{BUCKET_PREFIX}{}", record.name);
        let snapshot = self.keeper.snapshot();
        let (_, revision) = snapshot
            .buckets
            .get(&record.name)
            .filter(|(current, _)| current.id == record.id)
            .ok_or(BucketsError::Missing)?;
        let transaction = Transaction::default()
            .when_modified_at(key.clone(), *revision)
            .delete(key);
        self.keeper.commit(transaction).await.map_err(|error| match error {
            StoreError::Conflict => BucketsError::Missing,
            error => BucketsError::Unavailable(Box::new(error)),
        })
    }
}
