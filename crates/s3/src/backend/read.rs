use std::ops::Range;

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
use crate::store::{Attributes, Found, NotDone, ObjectPart, ObjectRow};

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

/// A read as it is planned on the object's row.
struct Plan {
    conditions: Conditions,
    range: Option<WireRange>,
    part: Option<u32>,
}

impl Plan {
    fn new(conditions: Conditions, range: Option<WireRange>, part: Option<i32>) -> S3Result<Self> {
        let part = part.map(part_number).transpose()?;
        if range.is_some() && part.is_some() {
            return Err(error(
                "InvalidRequest",
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        Ok(Self {
            conditions,
            range,
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

impl Backend {
    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ReadObject> = grants.permit(&input.bucket, Some(&input.key))?;
        if input.sse_customer_key.is_some() {
            return Err(not_implemented());
        }
        let conditions = Conditions {
            matching: input.if_match,
            none_matching: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let plan = Plan::new(conditions, input.range, input.part_number)?;
        let (is_range, part) = (plan.range.is_some(), plan.part);
        let found = self
            .store
            .read(permit.clone(), part, move |row, part| plan.bytes(row, part).map(Some))
            .await;
        let Found { row, part, content } = found.map_err(store_failure)?.map_err(|stopped| match stopped {
            NotDone::Plan(error) => error,
            NotDone::Refused(refused) => {
                not_there(refused, grants, &request.extensions, &input.bucket, permit.version())
            }
        })?;
        let range = (is_range || part.is_some()).then(|| content.range());
        let common = Common::of(&row, range.as_ref(), part.as_ref());
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: row.attributes.cache_control.clone(),
            content_disposition: row.attributes.content_disposition.clone(),
            content_encoding: row.attributes.content_encoding.clone(),
            content_language: row.attributes.content_language.clone(),
            content_length: Some(common.length),
            content_range: common.range,
            content_type: Some(common.content_type),
            e_tag: Some(common.etag),
            expires: common.expires,
            last_modified: Some(common.modified),
            metadata: common.metadata,
            parts_count: common.parts,
            tag_count: tag_count(grants, &request.extensions, &permit, &row),
            version_id: self.told(&permit, row.version),
            ..GetObjectOutput::default()
        };
        if !is_range && input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED") {
            set_checksum!(output, common.checksum);
        }
        output.body = Some(content.into_body().into());
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
        let conditions = Conditions {
            matching: input.if_match,
            none_matching: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let plan = Plan::new(conditions, input.range, input.part_number)?;
        let is_range = plan.range.is_some();
        let found: Result<Found, NotDone<S3Error>> = self
            .store
            .read(permit.clone(), plan.part, |_, _| Ok(None))
            .await
            .map_err(store_failure)?;
        let Found { row, part, .. } = found.map_err(|stopped| match stopped {
            NotDone::Plan(error) => error,
            NotDone::Refused(refused) => {
                not_there(refused, grants, &request.extensions, &input.bucket, permit.version())
            }
        })?;
        let bytes = plan.bytes(&row, part.as_ref())?;
        let range = (is_range || part.is_some()).then_some(bytes);
        let common = Common::of(&row, range.as_ref(), part.as_ref());
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: row.attributes.cache_control.clone(),
            content_disposition: row.attributes.content_disposition.clone(),
            content_encoding: row.attributes.content_encoding.clone(),
            content_language: row.attributes.content_language.clone(),
            content_length: Some(common.length),
            content_range: common.range,
            content_type: Some(common.content_type),
            e_tag: Some(common.etag),
            expires: common.expires,
            last_modified: Some(common.modified),
            metadata: common.metadata,
            parts_count: common.parts,
            version_id: self.told(&permit, row.version),
            ..HeadObjectOutput::default()
        };
        if !is_range && input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED") {
            set_checksum!(output, common.checksum);
        }
        let mut response = S3Response::new(output);
        if let Some(count) = tag_count(grants, &request.extensions, &permit, &row) {
            response
                .headers
                .insert(HeaderName::from_static("x-amz-tagging-count"), HeaderValue::from(count));
        }
        Ok(response)
    }
}

/// How many tags the object has, for those who may know its tags.
fn tag_count(grants: &Grants, extensions: &Extensions, permit: &Permit<ReadObject>, row: &ObjectRow) -> Option<i32> {
    (!row.tags.is_empty() && grants.may_read_tags(extensions, permit.target()))
        .then(|| i32::try_from(row.tags.len()).ok())
        .flatten()
}

/// What GetObject and HeadObject say alike.
struct Common {
    length: i64,
    range: Option<String>,
    content_type: String,
    etag: ETag,
    expires: Option<WireTimestamp>,
    modified: WireTimestamp,
    metadata: Option<Metadata>,
    /// Of how many parts the object is, if one of them was asked for.
    parts: Option<i32>,
    /// Of the whole object, or of the part.
    checksum: Option<Checksum>,
}

impl Common {
    fn of(row: &ObjectRow, range: Option<&Range<u64>>, part: Option<&ObjectPart>) -> Self {
        let length = range.map_or(row.size, |range| range.end.saturating_sub(range.start));
        Self {
            length: i64::try_from(length).unwrap_or(i64::MAX),
            // Nothing has no first byte.
            range: range
                .filter(|range| !range.is_empty())
                .map(|range| format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), row.size)),
            content_type: row
                .attributes
                .content_type
                .clone()
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            etag: ETag::Strong(row.etag.clone()),
            expires: row
                .attributes
                .expires
                .map(|seconds| wire_time(Timestamp::from_unix_seconds(seconds))),
            modified: wire_time(row.modified),
            metadata: metadata_of(&row.attributes),
            parts: part
                .filter(|_| row.parts > 0)
                .and_then(|_| i32::try_from(row.parts).ok()),
            checksum: Checksum::from_stored(match part {
                Some(part) => part.row.checksum.as_ref(),
                None => row.attributes.checksum.as_ref(),
            }),
        }
    }
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
