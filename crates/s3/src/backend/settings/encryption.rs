//! Encryption at rest with S3's own keys, which is what every bucket is said to have.

use s3s::dto::{
    DeleteBucketEncryptionInput, DeleteBucketEncryptionOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    PutBucketEncryptionInput, PutBucketEncryptionOutput, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, answer, malformed, not_done};
use crate::access::error;

impl Backend {
    pub(in crate::backend) async fn get_bucket_encryption(
        &self,
        request: &S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                kms_master_key_id: None,
                sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
            }),
            bucket_key_enabled: Some(self.decided(request)?.settings.bucket_key),
        };
        answer(GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration { rules: vec![rule] }),
        })
    }

    pub(in crate::backend) async fn put_bucket_encryption(
        &self,
        request: &S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        self.decided(request)?;
        let [rule] = request.input.server_side_encryption_configuration.rules.as_slice() else {
            return Err(malformed());
        };
        if let Some(default) = &rule.apply_server_side_encryption_by_default {
            match default.sse_algorithm.as_str() {
                ServerSideEncryption::AES256 if default.kms_master_key_id.is_none() => {}
                ServerSideEncryption::AES256 => {
                    return Err(error(
                        "InvalidArgument",
                        "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
                    ));
                }
                ServerSideEncryption::AWS_KMS | ServerSideEncryption::AWS_KMS_DSSE => {
                    return Err(not_done("Encryption with keys of KMS"));
                }
                _ => return Err(malformed()),
            }
        }
        let bucket_key = rule.bucket_key_enabled.unwrap_or_default();
        self.change(request, |settings| {
            settings.bucket_key = bucket_key;
            Ok(())
        })
        .await?;
        answer(PutBucketEncryptionOutput {})
    }

    /// Back to what a new bucket has.
    pub(in crate::backend) async fn delete_bucket_encryption(
        &self,
        request: &S3Request<DeleteBucketEncryptionInput>,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.change(request, |settings| {
            settings.bucket_key = false;
            Ok(())
        })
        .await?;
        answer(DeleteBucketEncryptionOutput {})
    }
}
