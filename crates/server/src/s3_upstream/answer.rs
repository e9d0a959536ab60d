//! The answers of a store, as the caller may see them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::BodyExt;
use irsa_s3::relay::read_error;
use irsa_s3::{Head, S3Refusal};
use irsa_upstream::{ResponseBody, UpstreamError};
use tokio::time::Instant;

/// The largest document that is read of an answer: 1,000 keys with their messages, 10,000 buckets.
pub(super) const MAX_DOCUMENT: usize = 8 << 20;
/// The largest error document.
const MAX_ERROR: usize = 64 << 10;
/// Headers that go on to the caller, besides those that begin with `x-amz-`.
const PASSED: [HeaderName; 11] = [
    header::ACCEPT_RANGES,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
];

/// What says which server answered, or is ours to say.
const KEPT_BACK: [&str; 6] = [
    "x-amz-request-id",
    "x-amz-id-2",
    "x-amz-bucket-region",
    "x-amz-tagging-count",
    "x-amz-access-point-alias",
    "x-amz-cf-id",
];

/// Codes that are about our credentials at the store, not about the caller's.
const OUR_FAULT: [&str; 13] = [
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "MissingSecurityHeader",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "XAmzContentSHA256Mismatch",
    "InvalidClientTokenId",
];

const INTERNAL: &str = "We encountered an internal error. Please try again.";

/// The headers that the caller sees.
pub(super) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for (name, value) in headers {
        let text = name.as_str();
        let is_amz = text.starts_with("x-amz-") && !KEPT_BACK.contains(&text);
        if is_amz || PASSED.contains(name) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// The number of tags that the store says the object has.
pub(super) fn tag_count(headers: &HeaderMap) -> Option<(HeaderName, http::HeaderValue)> {
    let name = HeaderName::from_static("x-amz-tagging-count");
    let value = headers.get(&name)?.clone();
    Some((name, value))
}

/// What is told of a delete marker with its error.
pub(super) fn of_markers(headers: &HeaderMap) -> HeaderMap {
    let mut told = HeaderMap::new();
    for name in ["x-amz-delete-marker", "x-amz-version-id"] {
        if let Some(value) = headers.get(name) {
            told.insert(name, value.clone());
        }
    }
    told
}

/// No answer.
pub(super) fn no_answer(error: &UpstreamError) -> S3Refusal {
    tracing::error!(%error, "the S3 store behind the server did not answer");
    match error {
        UpstreamError::Unreachable { .. } | UpstreamError::Deadline { .. } | UpstreamError::Credentials(_) => {
            S3Refusal::new("ServiceUnavailable", "Service is unable to handle request.")
        }
        UpstreamError::Broken { .. } => S3Refusal::new("InternalError", INTERNAL),
        // What the caller sent can't be written as a request.
        UpstreamError::Request { .. } => S3Refusal::new("InvalidRequest", "The request can't be sent on."),
    }
}

/// An answer that is none of S3's.
pub(super) fn unreadable(what: &'static str) -> S3Refusal {
    tracing::error!(what, "the S3 store behind the server gave an answer that can't be read");
    S3Refusal::new("InternalError", INTERNAL)
}

/// The store does not let us do what the caller may do.
pub(super) fn own_failure(status: u16, code: Option<&str>) -> S3Refusal {
    tracing::error!(
        status,
        code,
        "the S3 store behind the server refused our own credentials or request"
    );
    S3Refusal::new("InternalError", INTERNAL)
}

/// An error of the store in our words: code and message, and nothing about the store.
pub(super) fn failed(status: StatusCode, document: &[u8], head: &Head<'_>) -> S3Refusal {
    let said = read_error(document);
    let code = said.as_ref().map(|(code, _)| code.as_str());
    if status.is_redirection() || code.is_some_and(|code| OUR_FAULT.contains(&code)) {
        return own_failure(status.as_u16(), code);
    }
    if status == StatusCode::FORBIDDEN && matches!(code, None | Some("AccessDenied")) {
        // The message would name our identity there.
        tracing::warn!(
            operation = head.operation.name,
            "the S3 store behind the server denies what the policies allow"
        );
        return S3Refusal::new("AccessDenied", "Access Denied");
    }
    match said {
        Some((code, message)) if is_code(&code) => S3Refusal {
            status: if status.is_client_error() || status.is_server_error() {
                status.as_u16()
            } else {
                // An error that came after a 200.
                S3Refusal::new(&code, "").status
            },
            code,
            message: message.chars().take(1024).collect(),
        },
        _ => {
            let (code, message) = by_status(status, head.place.key.is_some());
            S3Refusal {
                code: code.to_owned(),
                message: message.to_owned(),
                status: if status == StatusCode::BAD_GATEWAY || status == StatusCode::GATEWAY_TIMEOUT {
                    503
                } else {
                    status.as_u16()
                },
            }
        }
    }
}

fn is_code(code: &str) -> bool {
    code.len() <= 128
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Answers to HEAD have no document, and some stores give none.
fn by_status(status: StatusCode, of_object: bool) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("BadRequest", "Bad Request"),
        404 if of_object => ("NoSuchKey", "The specified key does not exist."),
        404 => ("NoSuchBucket", "The specified bucket does not exist"),
        405 => (
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        ),
        409 => (
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try again.",
        ),
        411 => (
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        ),
        412 => (
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        ),
        416 => ("InvalidRange", "The requested range is not satisfiable"),
        429 => ("SlowDown", "Please reduce your request rate."),
        501 => (
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
        ),
        502..=504 => ("ServiceUnavailable", "Service is unable to handle request."),
        _ => ("InternalError", INTERNAL),
    }
}

/// Reads a document of an answer.
pub(super) async fn read(mut body: ResponseBody, most: usize) -> Result<Bytes, S3Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::error!(%error, "an answer of the S3 store behind the server broke off");
            S3Refusal::new("InternalError", INTERNAL)
        })?;
        if let Ok(data) = frame.into_data() {
            if whole.len().saturating_add(data.len()) > most {
                return Err(unreadable("an answer is too large"));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

/// Reads an error document; what can't be read says nothing.
pub(super) async fn read_failure(body: ResponseBody) -> Bytes {
    read(body, MAX_ERROR).await.unwrap_or_default()
}

/// Reads the document of an answer that may be an error for all its 200. `wait` is called again and again while it takes longer than
/// `patience`.
pub(super) async fn read_patiently(
    mut body: ResponseBody,
    patience: Duration,
    mut wait: impl FnMut(),
) -> Result<Bytes, S3Refusal> {
    let mut whole = BytesMut::new();
    let mut ticks = tokio::time::interval_at(Instant::now() + patience, patience);
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = ticks.tick() => {
                wait();
                continue;
            }
        };
        let frame = match frame {
            None => return Ok(whole.freeze()),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::error!(%error, "an answer of the S3 store behind the server broke off");
                return Err(S3Refusal::new("InternalError", INTERNAL));
            }
        };
        if let Ok(data) = frame.into_data() {
            // What it sends while it works is nothing.
            let data = if whole.is_empty() {
                data.trim_ascii_start()
            } else {
                &data
            };
            if whole.len().saturating_add(data.len()) > MAX_DOCUMENT {
                return Err(unreadable("an answer is too large"));
            }
            whole.extend_from_slice(data);
        }
    }
}
