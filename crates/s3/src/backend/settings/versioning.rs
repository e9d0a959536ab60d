//! Whether a bucket has versions.

use std::sync::Arc;

use s3s::dto::{
    BucketVersioningStatus, GetBucketVersioningInput, GetBucketVersioningOutput, MFADelete, MFADeleteStatus,
    PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, answer, malformed};
use crate::access::error;
use crate::bucket::Versioning;
use crate::target::Authorizer;

impl Backend {
    pub(in crate::backend) async fn get_bucket_versioning(
        &self,
        request: &S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let settings = &self.decided(request)?.settings;
        let status = match settings.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        };
        answer(GetBucketVersioningOutput {
            mfa_delete: settings
                .mfa_delete_disabled
                .then(|| MFADeleteStatus::from_static(MFADeleteStatus::DISABLED)),
            status: status.map(BucketVersioningStatus::from_static),
        })
    }

    /// MFA delete takes a device of the root user, and root users have none here, so it is refused as S3 refuses those without.
    pub(in crate::backend) async fn put_bucket_versioning(
        &self,
        request: &S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let record = self.decided(request)?;
        let given = &request.input.versioning_configuration;
        let mfa_delete_disabled = match given.mfa_delete.as_ref().map(MFADelete::as_str) {
            None => false,
            Some(MFADelete::DISABLED) => true,
            Some(MFADelete::ENABLED) => {
                let is_root = request
                    .extensions
                    .get::<Arc<dyn Authorizer>>()
                    .and_then(|authorizer| authorizer.principal())
                    .is_some_and(|arn| arn.ends_with(&format!(":{}:root", record.account)));
                return Err(error(
                    "AccessDenied",
                    if is_root || request.input.mfa.is_none() {
                        "Mfa Authentication must be used for this request"
                    } else {
                        "This operation may only be performed by the bucket owner"
                    },
                ));
            }
            Some(_) => return Err(malformed()),
        };
        let versioning = match given.status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            Some(_) => return Err(malformed()),
            None => {
                return Err(error(
                    "IllegalVersioningConfigurationException",
                    "The Versioning element must be specified",
                ));
            }
        };
        self.change(request, |settings| {
            settings.versioning = versioning;
            settings.mfa_delete_disabled |= mfa_delete_disabled;
            Ok(())
        })
        .await?;
        answer(PutBucketVersioningOutput {})
    }
}
