//! Operations on the settings of buckets: they are decided like all, and need no object store.

mod versioning;

use std::sync::Arc;

use s3s::{S3Error, S3Request, S3Result};

use super::Backend;
use crate::access::{Grants, check_digest, error, unguarded};
use crate::bucket::{BucketRecord, BucketSettings, BucketsError};

/// The operations, each of them a method of [`Backend`] by the same name. They are written as `async_trait` would.
macro_rules! operations {
    () => {
        $crate::backend::settings::operations! {
            get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput;
            put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput;
        }
    };
    ($($name:ident: $input:ident => $output:ident;)*) => {$(
        fn $name<'backend, 'call>(
            &'backend self,
            request: S3Request<s3s::dto::$input>,
        ) -> std::pin::Pin<Box<dyn Future<Output = S3Result<S3Response<s3s::dto::$output>>> + Send + 'call>>
        where
            'backend: 'call,
            Self: 'call,
        {
            Box::pin(async move { Ok(S3Response::new(Backend::$name(self, &request).await?)) })
        }
    )*};
}
pub(super) use operations;

/// How often a change is tried again when others change other settings of the bucket at the same time.
const ATTEMPTS: usize = 16;

impl Backend {
    /// The bucket, if the request's operation was allowed on it.
    fn decided<T>(&self, request: &S3Request<T>) -> S3Result<Arc<BucketRecord>> {
        let grants = Grants::of(&request.extensions)?;
        let record = grants.bucket.clone().ok_or_else(|| unguarded("no bucket"))?;
        grants.allows_operation(&record.name)?;
        Ok(record)
    }

    /// Changes the bucket's settings, if the request's operation was allowed on it and its document arrived as it was sent. `change`
    /// is run again on newer settings if others changed some in between.
    async fn change<T: Sync>(
        &self,
        request: &S3Request<T>,
        change: impl Fn(&mut BucketSettings) -> S3Result<()> + Send + Sync,
    ) -> S3Result<()> {
        let mut record = self.decided(request)?;
        check_digest(request)?;
        for _ in 0..ATTEMPTS {
            let mut settings = record.settings.clone();
            change(&mut settings)?;
            if settings == record.settings {
                return Ok(());
            }
            match self.buckets.update(&record, settings).await {
                Ok(()) => return Ok(()),
                Err(BucketsError::Changed) => {
                    record = self
                        .buckets
                        .get(&record.name)
                        .filter(|newer| newer.id == record.id)
                        .ok_or_else(no_such_bucket)?;
                }
                Err(BucketsError::Missing) => return Err(no_such_bucket()),
                Err(failure) => return Err(super::buckets::registry_failure(&failure)),
            }
        }
        Err(error(
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try again.",
        ))
    }
}

fn no_such_bucket() -> S3Error {
    error("NoSuchBucket", "The specified bucket does not exist")
}

/// A document that is no instance of the schema.
fn malformed() -> S3Error {
    error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}
