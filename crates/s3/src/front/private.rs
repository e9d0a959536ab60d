//! What `s3s` may see of a request. It logs each request whole, so nothing reaches it that it needs not know, and what does reach it
//! shows no value when it is printed.

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use s3s::S3Result;

use crate::operation::{COMMON_HEADERS, operations};

/// Takes the place of a value that means nothing to us. The name stays, for it decides the answer.
const HIDDEN: &str = "hidden";

/// Headers besides `x-amz-` that an operation reads, or that say where the body ends and which bucket is meant.
const HEADERS: [HeaderName; 16] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    header::CONTENT_TYPE,
    header::EXPIRES,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::ORIGIN,
    header::RANGE,
    header::TRANSFER_ENCODING,
];

/// Removes or hides what no operation of ours reads: cookies and credentials for others, keys of the client (which end in a refusal
/// by their name), and whatever else may be a secret.
pub(super) fn hide(parts: &mut Parts) -> S3Result<()> {
    hide_headers(&mut parts.headers);
    hide_query(parts)
}

fn hide_headers(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in names {
        if !name.as_str().starts_with("x-amz-") {
            if !HEADERS.contains(&name) {
                headers.remove(name);
            }
        } else if !is_read(name.as_str()) {
            headers.insert(name, HeaderValue::from_static(HIDDEN));
        }
    }
    for value in headers.values_mut() {
        value.set_sensitive(true);
    }
}

/// Whether an operation reads the value of this `x-amz-` header.
fn is_read(name: &str) -> bool {
    name.starts_with("x-amz-meta-")
        || COMMON_HEADERS.contains(&name)
        || operations().any(|operation| operation.headers.iter().any(|(known, _)| *known == name))
}

fn hide_query(parts: &mut Parts) -> S3Result<()> {
    let Some(query) = parts.uri.query() else {
        return Ok(());
    };
    // This one has no entry, and is told apart by its value.
    let is_known = |name: &str| name == "select-type" || operations().any(|operation| operation.query.contains(&name));
    let kept: Vec<String> = query
        .split('&')
        .map(
            |raw| match (raw.split_once('='), form_urlencoded::parse(raw.as_bytes()).next()) {
                (Some((name, _)), Some((decoded, _))) if !is_known(&decoded) => format!("{name}={HIDDEN}"),
                _ => raw.to_owned(),
            },
        )
        .collect();
    super::set_query(parts, &kept.join("&"))
}
