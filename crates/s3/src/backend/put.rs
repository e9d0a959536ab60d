use std::sync::Arc;

use futures_util::StreamExt as _;
use http::header::HeaderName;
use http::{Extensions, HeaderMap};
use s3s::dto::{ETag, ETagCondition, Metadata, PutObjectInput, PutObjectOutput, StreamingBlob};
use s3s::{S3Request, S3Response, S3Result};

use super::checksum::{Claimed, Hashes, set_checksum};
use super::{Backend, not_implemented, refusal, store_failure, unix_seconds};
use crate::access::{Grants, error};
use crate::front::{Arrival, INCOMPLETE, MAX_OBJECT, TOO_LARGE};
use crate::permit::{Permit, WriteObject};
use crate::post::FormUpload;
use crate::store::{Attributes, NewRow, Precondition, Refused, Staged, Tags};

/// User metadata may have so many bytes, names and values together.
const MAX_METADATA: usize = 2048;

impl Backend {
    pub(super) async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<WriteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        // How long a form's file is, its end tells.
        let length = match request.extensions.get::<FormUpload>() {
            Some(FormUpload) => None,
            None => Some(body_length(input.content_length)?),
        };
        let precondition = precondition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let claimed = Claimed::of(&request.headers)?;
        let tags = tags(&request.headers)?;
        let mut attributes = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            expires: input.expires.map(unix_seconds),
            metadata: metadata(input.metadata)?,
            checksum: None,
        };

        let (staged, hashes) = self.receive(&permit, input.body, length, claimed.hashes()).await?;
        let trailers = trailers(&request.extensions);
        let (etag, checksum) = claimed.check(hashes, trailers.as_ref())?;
        attributes.checksum = Some(checksum.stored());
        let row = NewRow {
            etag,
            modified: self.clock.now(),
            attributes,
            tags,
        };
        let status = self.status(&permit);
        let written = self
            .store
            .commit(permit, staged, row, precondition, status)
            .await
            .map_err(store_failure)?
            .map_err(|refused| match refused {
                Refused::NoSuchKey => grants.missing_key(&request.extensions, &input.bucket),
                other => refusal(other),
            })?;
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(written.row.etag)),
            version_id: written.version.map(|version| version.to_string()),
            ..PutObjectOutput::default()
        };
        set_checksum!(output, Some(checksum));
        Ok(S3Response::new(output))
    }
}

impl Backend {
    /// Takes the body of an object or of a part, which must have this length if one is given.
    pub(super) async fn receive(
        &self,
        permit: &Permit<WriteObject>,
        body: Option<StreamingBlob>,
        length: Option<u64>,
        mut hashes: Hashes,
    ) -> S3Result<(Staged, Hashes)> {
        let mut staged = self.store.stage(permit);
        if let Some(mut body) = body {
            while let Some(piece) = body.next().await {
                // The reason is kept with the body, and told instead of this.
                let bytes = piece.map_err(|_| error("IncompleteBody", INCOMPLETE))?;
                if staged.size().saturating_add(bytes.len() as u64) > length.unwrap_or(MAX_OBJECT) {
                    return Err(error("IncompleteBody", INCOMPLETE));
                }
                (staged, hashes) = staged.push(bytes, hashes).await.map_err(store_failure)?;
            }
        }
        if length.is_some_and(|length| staged.size() != length) {
            return Err(error("IncompleteBody", INCOMPLETE));
        }
        staged.finish(hashes).await.map_err(store_failure)
    }
}

/// The length of a body, which must be known before it comes.
pub(super) fn body_length(given: Option<i64>) -> S3Result<u64> {
    let length = given.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| {
        error(
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )
    })?;
    if length > MAX_OBJECT {
        return Err(error("EntityTooLarge", TOO_LARGE));
    }
    Ok(length)
}

/// The tags that a write gives its object.
pub(super) fn tags(headers: &HeaderMap) -> S3Result<Tags> {
    match crate::question::tagging_header(headers) {
        None => Ok(Tags::new()),
        Some(given) => super::tagging::of_header(given),
    }
}

/// The headers that came behind the body.
pub(super) fn trailers(extensions: &Extensions) -> Option<HeaderMap> {
    extensions.get::<Arc<Arrival>>().and_then(|arrival| arrival.trailers())
}

/// The condition of a write. S3 knows `If-None-Match` with `*` only.
pub(super) fn precondition(
    matching: Option<&ETagCondition>,
    none_matching: Option<&ETagCondition>,
) -> S3Result<Precondition> {
    match (matching, none_matching) {
        (None, None) => Ok(Precondition::None),
        (None, Some(ETagCondition::Any)) => Ok(Precondition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Precondition::Present),
        (Some(ETagCondition::ETag(ETag::Strong(etag))), None) => Ok(Precondition::ETag(etag.clone())),
        _ => Err(not_implemented()),
    }
}

/// A condition that stands in a header of its own, for operations whose input does not have it.
pub(super) fn condition(headers: &HeaderMap, name: &HeaderName) -> S3Result<Option<ETagCondition>> {
    let invalid = || error("InvalidArgument", format!("The {name} header is not valid."));
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(invalid()),
        (None, None) => Ok(None),
        (Some(value), None) => ETagCondition::parse_http_header(value.as_bytes())
            .map(Some)
            .map_err(|_| invalid()),
    }
}

/// User metadata in the order of names.
pub(super) fn metadata(given: Option<Metadata>) -> S3Result<Vec<(String, String)>> {
    let mut metadata: Vec<(String, String)> = given.into_iter().flatten().collect();
    let size: usize = metadata
        .iter()
        .map(|(name, value)| name.len().saturating_add(value.len()))
        .sum();
    if size > MAX_METADATA {
        return Err(error(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
        ));
    }
    metadata.sort_unstable();
    Ok(metadata)
}
