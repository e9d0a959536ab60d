//! What keeps a bucket from becoming public.

use s3s::dto::{
    DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput,
    PublicAccessBlockConfiguration, PutPublicAccessBlockInput, PutPublicAccessBlockOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, answer, not_set};
use crate::bucket::PublicAccessBlock;

impl Backend {
    pub(in crate::backend) async fn get_public_access_block(
        &self,
        request: &S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let record = self.decided(request)?;
        let Some(block) = record.settings.public_access_block else {
            return Err(not_set(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
            ));
        };
        answer(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(PublicAccessBlockConfiguration {
                block_public_acls: Some(block.block_public_acls),
                block_public_policy: Some(block.block_public_policy),
                ignore_public_acls: Some(block.ignore_public_acls),
                restrict_public_buckets: Some(block.restrict_public_buckets),
            }),
        })
    }

    /// What the document does not name is off afterwards.
    pub(in crate::backend) async fn put_public_access_block(
        &self,
        request: &S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let given = &request.input.public_access_block_configuration;
        let block = PublicAccessBlock {
            block_public_acls: given.block_public_acls.unwrap_or_default(),
            block_public_policy: given.block_public_policy.unwrap_or_default(),
            ignore_public_acls: given.ignore_public_acls.unwrap_or_default(),
            restrict_public_buckets: given.restrict_public_buckets.unwrap_or_default(),
        };
        self.change(request, |settings| {
            settings.public_access_block = Some(block);
            Ok(())
        })
        .await?;
        answer(PutPublicAccessBlockOutput {})
    }

    pub(in crate::backend) async fn delete_public_access_block(
        &self,
        request: &S3Request<DeletePublicAccessBlockInput>,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        self.change(request, |settings| {
            settings.public_access_block = None;
            Ok(())
        })
        .await?;
        answer(DeletePublicAccessBlockOutput {})
    }
}
