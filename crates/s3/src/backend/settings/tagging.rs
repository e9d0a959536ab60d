//! The tags of a bucket. As on S3 they mean nothing to policies unless the bucket is told so (PutBucketAbac), which is not done here.

use std::collections::HashSet;

use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput, Tag,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, answer, malformed, not_set};
use crate::access::error;
use crate::backend::tagging::check_tag;

const MAX_TAGS: usize = 50;

impl Backend {
    pub(in crate::backend) async fn get_bucket_tagging(
        &self,
        request: &S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let record = self.decided(request)?;
        if record.settings.tags.is_empty() {
            return Err(not_set("NoSuchTagSet", "The TagSet does not exist"));
        }
        let tag = |(key, value): &(String, String)| Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        answer(GetBucketTaggingOutput {
            tag_set: record.settings.tags.iter().map(tag).collect(),
        })
    }

    pub(in crate::backend) async fn put_bucket_tagging(
        &self,
        request: &S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        self.decided(request)?;
        let given = &request.input.tagging.tag_set;
        if given.len() > MAX_TAGS {
            return Err(error("BadRequest", "Bucket tag count cannot be greater than 50"));
        }
        let mut seen = HashSet::new();
        let mut tags = Vec::with_capacity(given.len());
        for tag in given {
            let (Some(key), Some(value)) = (&tag.key, &tag.value) else {
                return Err(malformed());
            };
            check_tag(key, value)?;
            if !seen.insert(key) {
                return Err(error("InvalidTag", "Cannot provide multiple Tags with the same key"));
            }
            tags.push((key.clone(), value.clone()));
        }
        self.change(request, |settings| {
            settings.tags.clone_from(&tags);
            Ok(())
        })
        .await?;
        answer(PutBucketTaggingOutput {})
    }

    pub(in crate::backend) async fn delete_bucket_tagging(
        &self,
        request: &S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.change(request, |settings| {
            settings.tags.clear();
            Ok(())
        })
        .await?;
        answer(DeleteBucketTaggingOutput {})
    }
}
