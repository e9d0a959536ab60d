//! Tags of objects.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>.

use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag, TagSet,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::versions::not_there;
use super::{Backend, store_failure};
use crate::access::{Grants, error};
use crate::permit::{DeleteTags, Permit, ReadTags, WriteTags};
use crate::store::Tags;

const MAX_TAGS: usize = 10;
/// In characters, as are those of values.
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;

impl Backend {
    pub(super) async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ReadTags> = grants.permit(&input.bucket, Some(&input.key))?;
        let found = self.store.tags(permit.clone()).await.map_err(store_failure)?;
        let (tags, version) = found
            .map_err(|refused| not_there(refused, grants, &request.extensions, &input.bucket, permit.version()))?;
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: tags
                .into_iter()
                .map(|(key, value)| Tag {
                    key: Some(key),
                    value: Some(value),
                })
                .collect(),
            version_id: self.told(&permit, version),
        }))
    }

    pub(super) async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<WriteTags> = grants.permit(&input.bucket, Some(&input.key))?;
        let tags = of_document(&input.tagging.tag_set)?;
        let done = self.store.set_tags(permit.clone(), tags).await.map_err(store_failure)?;
        let version =
            done.map_err(|refused| not_there(refused, grants, &request.extensions, &input.bucket, permit.version()))?;
        Ok(S3Response::new(PutObjectTaggingOutput {
            version_id: self.told(&permit, version),
        }))
    }

    pub(super) async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<DeleteTags> = grants.permit(&input.bucket, Some(&input.key))?;
        let done = self.store.delete_tags(permit.clone()).await.map_err(store_failure)?;
        let version =
            done.map_err(|refused| not_there(refused, grants, &request.extensions, &input.bucket, permit.version()))?;
        Ok(S3Response::new(DeleteObjectTaggingOutput {
            version_id: self.told(&permit, version),
        }))
    }
}

/// The tags of a document.
pub(crate) fn of_document(given: &TagSet) -> S3Result<Tags> {
    let tags = given
        .iter()
        .map(|tag| match (&tag.key, &tag.value) {
            (Some(key), Some(value)) => Ok((key.clone(), value.clone())),
            _ => Err(error(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            )),
        })
        .collect::<S3Result<Tags>>()?;
    check(tags)
}

/// The tags of the header `x-amz-tagging`: the form of a query.
pub(crate) fn of_header(given: &str) -> S3Result<Tags> {
    let tags = form_urlencoded::parse(given.as_bytes())
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    check(tags)
}

fn check(tags: Tags) -> S3Result<Tags> {
    let invalid = |message: &'static str| -> S3Error { error("InvalidTag", message) };
    if tags.len() > MAX_TAGS {
        return Err(error("BadRequest", "Object tags cannot be greater than 10"));
    }
    for (number, (key, value)) in tags.iter().enumerate() {
        check_tag(key, value)?;
        if tags.iter().take(number).any(|(other, _)| other == key) {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

/// The rules for one tag, of an object or of a bucket.
pub(super) fn check_tag(key: &str, value: &str) -> S3Result<()> {
    let invalid = |message: &'static str| -> S3Error { error("InvalidTag", message) };
    let is_allowed = |text: &str| {
        text.chars().all(|character| {
            character.is_alphanumeric()
                || character == ' '
                || matches!(character, '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@')
        })
    };
    if key.is_empty() || key.chars().count() > MAX_TAG_KEY || !is_allowed(key) {
        return Err(invalid("The TagKey you have provided is invalid"));
    }
    if value.chars().count() > MAX_TAG_VALUE || !is_allowed(value) {
        return Err(invalid("The TagValue you have provided is invalid"));
    }
    if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        return Err(invalid("System tags cannot be added/updated by requester"));
    }
    Ok(())
}
