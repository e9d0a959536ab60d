//! Reads of objects, which most requests are, from the head to the bytes without the general way of all operations.
//!
//! What is not read here as plainly as a client writes it takes the general way, before anything was asked about it: only that one finds words for what is wrong
//! with a request. Questions, permits, records and answers are the same, and a test holds both ways together.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use s3s::S3Result;
use s3s::dto::{ETagCondition, Range, Timestamp as WireTimestamp, TimestampFormat};

use super::{Body, INTERNAL};
use crate::access::{Door, Recorder, error};
use crate::backend::Backend;
use crate::backend::read::{Read, Wanted};
use crate::permit::{Permit, ReadObject};
use crate::route::Head;
use crate::target::Authorizer;

pub(super) struct Direct {
    pub(super) door: Door,
    pub(super) backend: Backend,
}

impl Direct {
    /// Answers a request without a body, whose head is prepared. `None`: it takes the general way, and nothing was asked or written down yet.
    pub(super) async fn answer(&self, parts: &Parts, recorder: &Recorder) -> Option<S3Result<Response<Body>>> {
        let authorizer = parts.extensions.get::<Arc<dyn Authorizer>>()?;
        let head = self.door.questioner.head(parts).ok()?;
        let wanted = wanted(&head)?;
        Some(self.read(&head, wanted, &**authorizer, parts, recorder).await)
    }

    async fn read(
        &self,
        head: &Head<'_>,
        wanted: Wanted,
        authorizer: &dyn Authorizer,
        parts: &Parts,
        recorder: &Recorder,
    ) -> S3Result<Response<Body>> {
        {
            let mut outcome = recorder.outcome();
            outcome.operation = Some(head.operation);
            outcome.bucket.clone_from(&head.place.bucket);
            outcome.key.clone_from(&head.place.key);
        }
        let grants = self.door.decide(head, authorizer, recorder).await?;
        let bucket = head.place.bucket.as_deref().unwrap_or_default();
        let permit: Permit<ReadObject> = grants.permit(bucket, head.place.key.as_deref())?;
        let has_content = wanted.content;
        let read = self
            .backend
            .read_object(permit, wanted, &grants, &parts.extensions)
            .await?;
        let mut response = Response::new(super::full(bytes::Bytes::new()));
        // A HEAD of a part is made partial with all others.
        if has_content && read.content_range().is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        write(&read, response.headers_mut())?;
        if has_content {
            *response.body_mut() = match read.content.in_memory() {
                Ok(bytes) => super::full(bytes),
                Err(content) => content.boxed_unsync(),
            };
        }
        Ok(response)
    }
}

/// What a request wants, if it is a plain read.
pub(super) fn wanted(head: &Head<'_>) -> Option<Wanted> {
    let content = match head.operation.name {
        "GetObject" => true,
        "HeadObject" => false,
        _ => return None,
    };
    if head.query.iter().any(|(name, _)| name.starts_with("response-")) {
        return None;
    }
    for name in ["x-amz-expected-bucket-owner", "x-amz-request-payer"] {
        single(head, &HeaderName::from_static(name))?;
    }
    let condition = |name| match single(head, &name)? {
        Some(value) => ETagCondition::parse_http_header(value.as_bytes()).ok().map(Some),
        None => Some(None),
    };
    let date = |name| match single(head, &name)? {
        Some(text) => WireTimestamp::parse(TimestampFormat::HttpDate, text).ok().map(Some),
        None => Some(None),
    };
    Some(Wanted {
        matching: condition(header::IF_MATCH)?,
        none_matching: condition(header::IF_NONE_MATCH)?,
        modified_since: date(header::IF_MODIFIED_SINCE)?,
        unmodified_since: date(header::IF_UNMODIFIED_SINCE)?,
        range: match single(head, &header::RANGE)? {
            Some(text) => Some(Range::parse(text).ok()?),
            None => None,
        },
        part: match head.parameter("partNumber") {
            Some(number) => Some(number.parse().ok()?),
            None => None,
        },
        checksum: single(head, &HeaderName::from_static("x-amz-checksum-mode"))? == Some("ENABLED"),
        content,
    })
}

/// A header that comes once, as text, if it comes. `None`: it comes in another way.
fn single<'h>(head: &Head<'h>, name: &HeaderName) -> Option<Option<&'h str>> {
    let mut values = head.headers().get_all(name).iter();
    let Some(value) = values.next() else {
        return Some(None);
    };
    let text = value.to_str().ok().filter(|text| !text.is_empty())?;
    values.next().is_none().then_some(Some(text))
}

/// The headers of an answer, in the order of the general way.
fn write(read: &Read, headers: &mut HeaderMap) -> S3Result<()> {
    let attributes = &read.row.attributes;
    headers.reserve(16);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let mut text = |name: HeaderName, value: Option<&str>| -> S3Result<()> {
        if let Some(value) = value {
            headers.insert(name, of_text(value)?);
        }
        Ok(())
    };
    text(header::CACHE_CONTROL, attributes.cache_control.as_deref())?;
    if let Some(checksum) = &read.checksum {
        text(checksum.header(), Some(checksum.value()))?;
        let kind = checksum.kind();
        text(HeaderName::from_static("x-amz-checksum-type"), Some(kind.as_str()))?;
    }
    text(header::CONTENT_DISPOSITION, attributes.content_disposition.as_deref())?;
    text(header::CONTENT_ENCODING, attributes.content_encoding.as_deref())?;
    text(header::CONTENT_LANGUAGE, attributes.content_language.as_deref())?;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(read.length()));
    if let Some(range) = read.content_range() {
        headers.insert(header::CONTENT_RANGE, of_text(&range)?);
    }
    headers.insert(header::CONTENT_TYPE, of_text(read.content_type())?);
    let mut etag = String::with_capacity(read.row.etag.len().saturating_add(2));
    // Writing to a string cannot fail.
    let _ = write!(etag, "\"{}\"", read.row.etag);
    headers.insert(header::ETAG, HeaderValue::try_from(etag).map_err(unwritable)?);
    if let Some(expires) = read.expires() {
        headers.insert(header::EXPIRES, of_date(&expires)?);
    }
    headers.insert(header::LAST_MODIFIED, of_date(&read.modified())?);
    for (name, value) in &attributes.metadata {
        let name = format!("x-amz-meta-{name}");
        let name = HeaderName::try_from(name).map_err(unwritable)?;
        headers.insert(name, of_text(&encoded_words(value))?);
    }
    if let Some(parts) = read.parts() {
        headers.insert(
            HeaderName::from_static("x-amz-mp-parts-count"),
            HeaderValue::from(parts),
        );
    }
    if let Some(tags) = read.tags {
        headers.insert(HeaderName::from_static("x-amz-tagging-count"), HeaderValue::from(tags));
    }
    if let Some(version) = &read.version {
        headers.insert(HeaderName::from_static("x-amz-version-id"), of_text(version)?);
    }
    Ok(())
}

fn of_text(text: &str) -> S3Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(unwritable)
}

fn of_date(date: &WireTimestamp) -> S3Result<HeaderValue> {
    let mut text = Vec::with_capacity(32);
    date.format(TimestampFormat::HttpDate, &mut text).map_err(unwritable)?;
    HeaderValue::try_from(text).map_err(unwritable)
}

fn unwritable<E>(_: E) -> s3s::S3Error {
    error("InternalError", INTERNAL)
}

/// Text that is no plain ASCII, in the words of RFC 2047, section 2, as S3 tells metadata.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>.
fn encoded_words(text: &str) -> std::borrow::Cow<'_, str> {
    /// Bytes of a text that fills more than one word.
    const WORD: usize = 45;
    /// Bytes of a text that is one word.
    const ONLY_WORD: usize = 47;
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.into();
    }
    let most = if text.len() <= ONLY_WORD { ONLY_WORD } else { WORD };
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // A character has four bytes at most.
        let (word, next) = rest.split_at(rest.floor_char_boundary(most));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = next;
    }
    words.join(" ").into()
}
