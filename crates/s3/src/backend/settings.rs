//! Operations on the settings of buckets: they are decided like all, and need no object store.

mod absent;
mod cors;
mod encryption;
mod ownership;
mod policy;
mod public_access_block;
mod tagging;
mod versioning;

pub(super) use ownership::{full_control, no_acls};

use std::sync::Arc;

use http::StatusCode;
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::Backend;
use crate::access::{Grants, check_digest, error, unguarded};
use crate::bucket::{BucketRecord, BucketSettings, BucketsError};

/// The operations, each of them a method of [`Backend`] by the same name. They are written as `async_trait` would.
macro_rules! operations {
    () => {
        $crate::backend::settings::operations! {
            delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput;
            delete_bucket_encryption: DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput;
            delete_bucket_lifecycle: DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput;
            delete_bucket_ownership_controls: DeleteBucketOwnershipControlsInput => DeleteBucketOwnershipControlsOutput;
            delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput;
            delete_bucket_replication: DeleteBucketReplicationInput => DeleteBucketReplicationOutput;
            delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput;
            delete_bucket_website: DeleteBucketWebsiteInput => DeleteBucketWebsiteOutput;
            delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput;
            get_bucket_accelerate_configuration: GetBucketAccelerateConfigurationInput => GetBucketAccelerateConfigurationOutput;
            get_bucket_acl: GetBucketAclInput => GetBucketAclOutput;
            get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput;
            get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput;
            get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput;
            get_bucket_logging: GetBucketLoggingInput => GetBucketLoggingOutput;
            get_bucket_notification_configuration: GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput;
            get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput;
            get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput;
            get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput;
            get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput;
            get_bucket_request_payment: GetBucketRequestPaymentInput => GetBucketRequestPaymentOutput;
            get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput;
            get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput;
            get_bucket_website: GetBucketWebsiteInput => GetBucketWebsiteOutput;
            get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput;
            get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput;
            put_bucket_accelerate_configuration: PutBucketAccelerateConfigurationInput => PutBucketAccelerateConfigurationOutput;
            put_bucket_acl: PutBucketAclInput => PutBucketAclOutput;
            put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput;
            put_bucket_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput;
            put_bucket_lifecycle_configuration: PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput;
            put_bucket_logging: PutBucketLoggingInput => PutBucketLoggingOutput;
            put_bucket_notification_configuration: PutBucketNotificationConfigurationInput => PutBucketNotificationConfigurationOutput;
            put_bucket_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput;
            put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput;
            put_bucket_replication: PutBucketReplicationInput => PutBucketReplicationOutput;
            put_bucket_request_payment: PutBucketRequestPaymentInput => PutBucketRequestPaymentOutput;
            put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput;
            put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput;
            put_bucket_website: PutBucketWebsiteInput => PutBucketWebsiteOutput;
            put_object_lock_configuration: PutObjectLockConfigurationInput => PutObjectLockConfigurationOutput;
            put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput;
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
            Box::pin(async move { Backend::$name(self, &request).await })
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

/// An answer with nothing but this in it.
#[expect(clippy::unnecessary_wraps, reason = "it stands where refusals stand")]
fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

/// A setting that we have not.
fn not_done(what: &'static str) -> S3Error {
    error("NotImplemented", format!("{what} is not implemented."))
}

/// A setting that the bucket does not have.
fn not_set(code: &str, message: &'static str) -> S3Error {
    let mut error = error(code, message);
    error.set_status_code(StatusCode::NOT_FOUND);
    error
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
