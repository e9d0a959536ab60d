//! Requests to S3 that servers read in more than one way.
//!
//! What is decided is what this program reads; what is done is what the store behind the proxy reads. S3 gives each of these requests one
//! meaning, but stores exist that give it another: they resolve dots, take a plus for a space, cut a path at a semicolon, read a parameter
//! as if it were not there. So these requests are refused. All of them are ones that SDKs do not send, or send only if they are told to.

mod document;

use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode;

pub use document::document;

/// A part of a request can be read in two ways.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{part} can be read in two ways: {reason}")]
pub struct TwoReadings {
    /// Which part: `the path`.
    pub part: Part,
    /// Why.
    pub reason: &'static str,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Its path.
    Path,
    /// A key in a document.
    Key,
    /// The object that it copies.
    CopySource,
    /// Its query.
    Query,
    /// A header.
    Header,
    /// The document in its body.
    Document,
}

impl Part {
    /// The part in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "the path",
            Self::Key => "a key",
            Self::CopySource => "`x-amz-copy-source`",
            Self::Query => "the query",
            Self::Header => "a header",
            Self::Document => "the document",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

type Read = Result<(), TwoReadings>;

fn refused(part: Part, reason: &'static str) -> Read {
    Err(TwoReadings { part, reason })
}

/// Checks a path as it stands in the request line.
///
/// # Errors
/// It has another reading.
pub fn path(path: &str) -> Read {
    segments(Part::Path, path.as_bytes())
}

/// Checks a path or a part of one, still encoded.
fn segments(part: Part, path: &[u8]) -> Read {
    let slashes = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
    if path.contains(&b'+') {
        return refused(part, "a plus is a space for some servers: write `%2B`");
    }
    if path.contains(&b';') {
        return refused(part, "a semicolon ends a path for some servers: write `%3B`");
    }
    if !is_encoded_well(path) {
        return refused(part, "a percent sign encodes nothing");
    }
    let decoded: Vec<u8> = percent_decode(path).collect();
    if slashes(path) != slashes(&decoded) {
        return refused(part, "it has encoded slashes");
    }
    if encodes_structure(&decoded) {
        return refused(part, "it is encoded twice");
    }
    plain_segments(part, decoded.strip_prefix(b"/").unwrap_or(&decoded))
}

/// Checks a decoded path without its first slash: one at its end is part of a name, and no other has nothing behind it.
fn plain_segments(part: Part, path: &[u8]) -> Read {
    if path.iter().any(|byte| matches!(byte, b'\\' | 0)) {
        return refused(part, "it has a backslash or a zero byte");
    }
    let inner = path.strip_suffix(b"/").unwrap_or(path);
    if path.is_empty() {
        return Ok(());
    }
    for segment in inner.split(|byte| *byte == b'/') {
        match segment {
            b"" => return refused(part, "it has two slashes in a row"),
            b"." | b".." => return refused(part, "it has a segment of dots"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether each percent sign begins the code of a byte.
fn is_encoded_well(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, byte)| {
        let code = text.get(at + 1..at + 3);
        *byte != b'%' || code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether a decoded text would have other segments if it were decoded once more.
fn encodes_structure(decoded: &[u8]) -> bool {
    const CODES: [&[u8]; 4] = [b"%00", b"%2e", b"%2f", b"%5c"];
    decoded
        .windows(3)
        .any(|window| CODES.iter().any(|code| window.eq_ignore_ascii_case(code)))
}

/// Checks a key of a document. `is_literal`: the store takes every key as it is.
///
/// # Errors
/// It has another reading.
pub fn key(key: &str, is_literal: bool) -> Read {
    if key.trim() != key {
        return refused(Part::Key, "it begins or ends with spaces, which some servers cut off");
    }
    if is_literal || key.is_empty() {
        return Ok(());
    }
    plain_segments(Part::Key, key.as_bytes())
}

/// Checks the value of `x-amz-copy-source`. `is_literal`: the store takes every key as it is.
///
/// # Errors
/// It has another reading.
pub fn copy_source(value: &[u8], is_literal: bool) -> Read {
    let part = Part::CopySource;
    let mut parts = value.splitn(2, |byte| *byte == b'?');
    let (path, version) = (parts.next().unwrap_or_default(), parts.next());
    if let Some(version) = version {
        let Some(version) = version.strip_prefix(b"versionId=") else {
            return refused(
                part,
                "a question mark begins something else than a version: write `%3F`",
            );
        };
        if version.iter().any(|byte| b"?&;+#".contains(byte)) {
            return refused(part, "it has more than a version behind its question mark");
        }
        if !is_encoded_well(version) {
            return refused(part, "a percent sign encodes nothing");
        }
    }
    // Some servers take it for a URL or for a form: then these are no part of its path.
    if path.iter().any(|byte| matches!(byte, b'#' | b'+' | b';' | b'&')) {
        return refused(part, "it has a character that must be encoded");
    }
    if is_literal {
        return Ok(());
    }
    if path.windows(3).any(|window| window.eq_ignore_ascii_case(b"%3f")) {
        return refused(part, "some servers decode it before they look for a question mark");
    }
    segments(part, path)
}

/// Parameters that say by being there what is asked for, and have no value.
const FLAGS: [&str; 23] = [
    "accelerate",
    "acl",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "tagging",
    "uploads",
    "versioning",
    "versions",
    "website",
    "legal-hold",
];
/// Parameters that say nothing without a value: some servers take them for absent then, and the request for another one.
const VALUED: [&str; 3] = ["partNumber", "uploadId", "versionId"];
/// Parameters that are numbers, and that policies compare.
const NUMBERS: [&str; 5] = [
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
];

/// Checks a query without the parameters of the signature. `is_presigned`: SDKs put headers there. `is_literal`: the store takes every key
/// as it is.
///
/// # Errors
/// It has another reading.
pub fn query(query: &str, is_presigned: bool, is_literal: bool) -> Read {
    let part = Part::Query;
    // It parts parameters for some servers, and for others makes them be passed over.
    if query.contains(';') {
        return refused(part, "a semicolon parts parameters for some servers: write `%3B`");
    }
    if query.contains('+') {
        return refused(part, "a plus is a space for some servers only: write `%20` or `%2B`");
    }
    if !is_encoded_well(query.as_bytes()) {
        return refused(part, "a percent sign encodes nothing");
    }
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode(text.as_bytes()).decode_utf8().map(String::from);
        let (Ok(name), Ok(value)) = (decode(name), decode(value)) else {
            return refused(part, "it has bytes that are no UTF-8");
        };
        if name.contains('\0') || value.contains('\0') {
            return refused(part, "it has a zero byte");
        }
        parameter(&name, &value, is_presigned, is_literal)?;
    }
    Ok(())
}

fn parameter(name: &str, value: &str, is_presigned: bool, is_literal: bool) -> Read {
    let part = Part::Query;
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("x-amz-") {
        // For S3 these stand for headers where the signature stands beside them. Other servers pass them over.
        if !is_presigned {
            return refused(part, "a header stands in it, and no signature");
        }
        if lower.starts_with("x-amz-copy-source") {
            return refused(
                part,
                "the source of a copy stands in it: for some servers it would be no copy",
            );
        }
        return Ok(());
    }
    // S3 passes over what begins so. Other stores have orders there.
    if lower.starts_with("x-") && name != "x-id" {
        return refused(part, "it has a parameter that only other servers know");
    }
    if FLAGS.contains(&name) && !value.is_empty() {
        return refused(
            part,
            "a parameter has a value that some servers look for, and others not",
        );
    }
    if VALUED.contains(&name) && value.is_empty() {
        return refused(part, "a parameter without its value is none for some servers");
    }
    if NUMBERS.contains(&name)
        && (value.is_empty() || value.len() > 10 || !value.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return refused(part, "a number is not written in digits");
    }
    if name == "prefix" && !is_literal {
        // A store of files could look into another folder.
        if value.starts_with('/') {
            return refused(part, "the prefix begins with a slash");
        }
        return plain_segments(part, value.as_bytes());
    }
    Ok(())
}

/// Beginnings of headers that other stores of objects know as S3 knows `x-amz-`.
const VENDORS: [&str; 14] = [
    "x-bz-",
    "x-copy-from",
    "x-cos-",
    "x-emc-",
    "x-goog-",
    "x-ibm-",
    "x-minio-",
    "x-ms-",
    "x-object-manifest",
    "x-obs-",
    "x-oss-",
    "x-rgw-",
    "x-symlink-target",
    "x-tos-",
];

/// Checks the headers of a request with this method. `decides_by_body`: what is asked for stands in its document.
///
/// # Errors
/// They have another reading.
pub fn headers(method: &Method, headers: &HeaderMap, decides_by_body: bool) -> Read {
    let part = Part::Header;
    for name in headers.keys() {
        if VENDORS.iter().any(|start| name.as_str().starts_with(start)) {
            return refused(part, "it is an order for some servers, and nothing for S3");
        }
    }
    let has = |name: header::HeaderName, text: &str| {
        headers.get_all(name).iter().any(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .to_ascii_lowercase()
                .contains(text)
        })
    };
    if *method == Method::POST && has(header::CONTENT_TYPE, "multipart/") {
        return refused(part, "the type of the body is a form's for some servers");
    }
    if decides_by_body {
        let is_harmless = |coding: &[u8]| {
            let coding = coding.trim_ascii();
            [&b""[..], b"identity", b"aws-chunked"]
                .iter()
                .any(|known| coding.eq_ignore_ascii_case(known))
        };
        let codings = headers.get_all(header::CONTENT_ENCODING).iter();
        if !codings
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .all(is_harmless)
        {
            return refused(part, "some servers decode the document, and others not");
        }
        if has(header::CONTENT_TYPE, "charset") && !has(header::CONTENT_TYPE, "utf-8") {
            return refused(part, "the document is in another character set for some servers");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
