use std::ops::Range;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use irsa_core::Timestamp;
use s3s::dto::{
    ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Metadata,
    Range as WireRange, Timestamp as WireTimestamp,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksum::{Checksum, set_checksum};
use super::versions::not_there;
use super::{Backend, not_implemented, precondition_failed, store_failure, unix_seconds, wire_time};
use crate::access::{Grants, error};
use crate::permit::{Permit, ReadObject};
use crate::store::{Attributes, Content, Found, NotDone, ObjectPart, ObjectRow};

/// The greatest number of a part.
pub(super) const MAX_PARTS: u32 = 10_000;
/// The type of objects that were stored without one.
const DEFAULT_TYPE: &str = "binary/octet-stream";

/// The conditions of a read: RFC 9110, section 13.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) matching: Option<ETagCondition>,
    pub(super) none_matching: Option<ETagCondition>,
    pub(super) modified_since: Option<WireTimestamp>,
    pub(super) unmodified_since: Option<WireTimestamp>,
}

/// What came of the conditions.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Held {
    Yes,
    NotModified,
    Failed,
}

impl Conditions {
    /// In the order of RFC 9110, 13.2.2: an entity tag is stronger than a date.
    pub(super) fn check(&self, etag: &str, modified: Timestamp) -> Held {
        let seconds = modified.unix_seconds();
        let matches = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(wanted) => wanted.value() == etag,
        };
        let strong = |condition: &ETagCondition| match condition {
            ETagCondition::ETag(ETag::Weak(_)) => false,
            other => matches(other),
        };
        match (&self.matching, &self.unmodified_since) {
            (Some(condition), _) if !strong(condition) => return Held::Failed,
            (None, Some(limit)) if seconds > unix_seconds(limit.clone()) => return Held::Failed,
            _ => {}
        }
        match (&self.none_matching, &self.modified_since) {
            (Some(condition), _) if matches(condition) => Held::NotModified,
            (None, Some(limit)) if seconds <= unix_seconds(limit.clone()) => Held::NotModified,
            _ => Held::Yes,
        }
    }
}

/// What a read asks for, however its request is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) matching: Option<ETagCondition>,
    pub(crate) none_matching: Option<ETagCondition>,
    pub(crate) modified_since: Option<WireTimestamp>,
    pub(crate) unmodified_since: Option<WireTimestamp>,
    pub(crate) range: Option<WireRange>,
    pub(crate) part: Option<i32>,
    /// Whether the checksum is to be told.
    pub(crate) checksum: bool,
    /// Whether the bytes themselves are wanted.
    pub(crate) content: bool,
}

/// A read as it is planned on the object's row.
#[derive(Clone)]
struct Plan {
    conditions: Conditions,
    range: Option<WireRange>,
    part: Option<u32>,
}

impl Plan {
    fn new(wanted: Wanted) -> S3Result<Self> {
        let part = wanted.part.map(part_number).transpose()?;
        if wanted.range.is_some() && part.is_some() {
            return Err(error(
                "InvalidRequest",
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        Ok(Self {
            conditions: Conditions {
                matching: wanted.matching,
                none_matching: wanted.none_matching,
                modified_since: wanted.modified_since,
                unmodified_since: wanted.unmodified_since,
            },
            range: wanted.range,
            part,
        })
    }

    fn bytes(&self, row: &ObjectRow, part: Option<&ObjectPart>) -> S3Result<Range<u64>> {
        match self.conditions.check(&row.etag, row.modified) {
            Held::Yes => {}
            Held::NotModified => return Err(not_modified(row)),
            Held::Failed => return Err(precondition_failed()),
        }
        if self.part.is_some() {
            return match part {
                Some(part) => Ok(part.start..part.start.saturating_add(part.row.size)),
                None => {
                    let mut refused = error("InvalidPartNumber", "The requested partnumber is not satisfiable");
                    refused.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
                    Err(refused)
                }
            };
        }
        match &self.range {
            None => Ok(0..row.size),
            Some(range) => range
                .check(row.size)
                .ok()
                .filter(|bytes| !bytes.is_empty())
                .ok_or_else(|| {
                    let mut refused = error("InvalidRange", "The requested range is not satisfiable");
                    let mut headers = HeaderMap::new();
                    if let Ok(value) = HeaderValue::try_from(format!("bytes */{}", row.size)) {
                        headers.insert(header::CONTENT_RANGE, value);
                    }
                    refused.set_headers(headers);
                    refused
                }),
        }
    }
}

/// The number of a part.
pub(super) fn part_number(given: i32) -> S3Result<u32> {
    u32::try_from(given)
        .ok()
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .ok_or_else(|| {
            error(
                "InvalidArgument",
                "Part number must be an integer between 1 and 10000, inclusive",
            )
        })
}

/// What an answer tells of an object.
pub(crate) struct Read {
    pub(crate) row: Arc<ObjectRow>,
    part: Option<ObjectPart>,
    /// Which of its bytes the answer is about, if the request asks for some.
    pub(crate) range: Option<Range<u64>>,
    /// None of it, if it is not wanted.
    pub(crate) content: Content,
    /// How many tags it has, if it has some and the caller may know.
    pub(crate) tags: Option<i32>,
    pub(crate) version: Option<String>,
    /// If it is to be told: of the whole object, or of the part.
    pub(crate) checksum: Option<Checksum>,
}

impl Read {
    /// How many bytes the answer is about.
    pub(crate) fn length(&self) -> u64 {
        self.range
            .as_ref()
            .map_or(self.row.size, |range| range.end.saturating_sub(range.start))
    }

    /// The value of `Content-Range`. Nothing has no first byte.
    pub(crate) fn content_range(&self) -> Option<String> {
        let range = self.range.as_ref().filter(|range| !range.is_empty())?;
        let last = range.end.saturating_sub(1);
        Some(format!("bytes {}-{last}/{}", range.start, self.row.size))
    }

    pub(crate) fn content_type(&self) -> &str {
        self.row.attributes.content_type.as_deref().unwrap_or(DEFAULT_TYPE)
    }

    pub(crate) fn expires(&self) -> Option<WireTimestamp> {
        let seconds = self.row.attributes.expires?;
        Some(wire_time(Timestamp::from_unix_seconds(seconds)))
    }

    pub(crate) fn modified(&self) -> WireTimestamp {
        wire_time(self.row.modified)
    }

    /// Of how many parts the object is, if one of them was asked for.
    pub(crate) fn parts(&self) -> Option<i32> {
        let parts = self.part.as_ref().map(|_| self.row.parts).filter(|parts| *parts > 0)?;
        i32::try_from(parts).ok()
    }
}

impl Backend {
    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ReadObject> = grants.permit(&input.bucket, Some(&input.key))?;
        if input.sse_customer_key.is_some() {
            return Err(not_implemented());
        }
        let wanted = Wanted {
            matching: input.if_match,
            none_matching: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
            range: input.range,
            part: input.part_number,
            checksum: input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED"),
            content: true,
        };
        let read = self.read_object(permit, wanted, grants, &request.extensions).await?;
        let attributes = &read.row.attributes;
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_length: Some(wire_length(read.length())),
            content_range: read.content_range(),
            content_type: Some(read.content_type().to_owned()),
            e_tag: Some(ETag::Strong(read.row.etag.clone())),
            expires: read.expires(),
            last_modified: Some(read.modified()),
            metadata: metadata_of(attributes),
            parts_count: read.parts(),
            tag_count: read.tags,
            version_id: read.version,
            ..GetObjectOutput::default()
        };
        set_checksum!(output, read.checksum);
        output.body = Some(read.content.into_body().into());
        Ok(S3Response::new(output))
    }

    pub(super) async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ReadObject> = grants.permit(&input.bucket, Some(&input.key))?;
        if input.sse_customer_key.is_some() {
            return Err(not_implemented());
        }
        let wanted = Wanted {
            matching: input.if_match,
            none_matching: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
            range: input.range,
            part: input.part_number,
            checksum: input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED"),
            content: false,
        };
        let read = self.read_object(permit, wanted, grants, &request.extensions).await?;
        let attributes = &read.row.attributes;
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_length: Some(wire_length(read.length())),
            content_range: read.content_range(),
            content_type: Some(read.content_type().to_owned()),
            e_tag: Some(ETag::Strong(read.row.etag.clone())),
            expires: read.expires(),
            last_modified: Some(read.modified()),
            metadata: metadata_of(attributes),
            parts_count: read.parts(),
            version_id: read.version,
            ..HeadObjectOutput::default()
        };
        set_checksum!(output, read.checksum);
        let mut response = S3Response::new(output);
        if let Some(count) = read.tags {
            response
                .headers
                .insert(HeaderName::from_static("x-amz-tagging-count"), HeaderValue::from(count));
        }
        Ok(response)
    }

    /// Reads what was allowed; every read of an object comes here.
    pub(crate) async fn read_object(
        &self,
        permit: Permit<ReadObject>,
        wanted: Wanted,
        grants: &Grants,
        extensions: &Extensions,
    ) -> S3Result<Read> {
        let (checksum, content) = (wanted.checksum, wanted.content);
        let plan = Plan::new(wanted)?;
        let (is_range, part) = (plan.range.is_some(), plan.part);
        let planned = plan.clone();
        let found = self
            .store
            .read(permit.clone(), part, move |row, part| {
                let bytes = planned.bytes(row, part)?;
                Ok(content.then_some(bytes))
            })
            .await;
        let Found {
            row,
            part,
            content: bytes,
        } = found.map_err(store_failure)?.map_err(|stopped| match stopped {
            NotDone::Plan(error) => error,
            NotDone::Refused(refused) => {
                let bucket = permit.target().bucket.as_deref().unwrap_or_default();
                not_there(refused, grants, extensions, bucket, permit.version())
            }
        })?;
        let range = match is_range || part.is_some() {
            true if content => Some(bytes.range()),
            true => Some(plan.bytes(&row, part.as_ref())?),
            false => None,
        };
        let told = checksum && !is_range;
        let stored = match &part {
            Some(part) => part.row.checksum.as_ref(),
            None => row.attributes.checksum.as_ref(),
        };
        Ok(Read {
            checksum: stored
                .filter(|_| told)
                .and_then(|stored| Checksum::from_stored(Some(stored))),
            tags: tag_count(grants, extensions, &permit, &row),
            version: self.told(&permit, row.version),
            row,
            part,
            range,
            content: bytes,
        })
    }
}

fn wire_length(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// How many tags the object has, for those who may know its tags.
fn tag_count(grants: &Grants, extensions: &Extensions, permit: &Permit<ReadObject>, row: &ObjectRow) -> Option<i32> {
    (!row.tags.is_empty() && grants.may_read_tags(extensions, permit.target()))
        .then(|| i32::try_from(row.tags.len()).ok())
        .flatten()
}

fn metadata_of(attributes: &Attributes) -> Option<Metadata> {
    (!attributes.metadata.is_empty()).then(|| attributes.metadata.iter().cloned().collect())
}

/// 304, with the headers that a cache needs.
fn not_modified(row: &ObjectRow) -> S3Error {
    let mut answer = error("NotModified", "Not Modified");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(format!("\"{}\"", row.etag)) {
        headers.insert(header::ETAG, value);
    }
    insert_modified(&mut headers, row.modified);
    answer.set_headers(headers);
    answer
}

pub(super) fn insert_modified(headers: &mut HeaderMap, modified: Timestamp) {
    let mut date = Vec::new();
    if wire_time(modified)
        .format(s3s::dto::TimestampFormat::HttpDate, &mut date)
        .is_ok()
        && let Ok(value) = HeaderValue::from_bytes(&date)
    {
        headers.insert(header::LAST_MODIFIED, value);
    }
}
