use std::net::IpAddr;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

/// A request as its client sent it to the proxy.
#[derive(Clone)]
pub struct Original {
    /// The method.
    pub method: Method,
    /// The target in origin form, not decoded.
    pub uri: Uri,
    /// The headers, exactly one `host` among them.
    pub headers: HeaderMap,
    /// The body, as far as the proxy shows it.
    pub body: OriginalBody,
    /// The client's address, as the proxy knows it.
    pub source_ip: IpAddr,
    /// Whether the client came over TLS, as the proxy knows it.
    pub secure_transport: bool,
}

/// The body of a request that a proxy asks about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OriginalBody {
    /// All of it; empty if the request is known to have none.
    Whole(Bytes),
    /// It may be there or not, in part or not: nothing may depend on it.
    Unseen,
}

/// Why a proxy's question can't be answered. Values of the request are never part of the texts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OriginalError {
    /// The proxy does not say something that it must.
    #[error("the proxy does not send {0}")]
    Missing(&'static str),
    /// The proxy says something twice; what the client sent was not replaced.
    #[error("{0} comes more than once: the proxy must replace what clients send")]
    Repeated(&'static str),
    /// A value that has no meaning.
    #[error("{what} can't be used: {reason}")]
    Malformed {
        /// What.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A header of the client may be several that the proxy joined.
    #[error("the header `{0}` has a comma, so it could be several that the proxy joined: let it send raw headers")]
    Joined(String),
}

pub(crate) fn malformed(what: &'static str, reason: &'static str) -> OriginalError {
    OriginalError::Malformed { what, reason }
}

/// The most that a target and a header's value may have: more than any proxy lets through by default.
const MAX_TARGET: usize = 32 * 1024;

/// A target as it stood in the request line. What servers cut off or read in two ways is refused: fragments, absolute forms, backslashes.
pub(crate) fn target(text: &[u8]) -> Result<Uri, OriginalError> {
    let wrong = |reason| malformed("the request target", reason);
    if text.len() > MAX_TARGET {
        return Err(wrong("it is too long"));
    }
    if text.first() != Some(&b'/') {
        return Err(wrong("it does not begin with a slash"));
    }
    if text.iter().any(|byte| matches!(byte, b'#' | b'\\' | 0..=b' ' | 0x7f..)) {
        return Err(wrong("it has characters that a target can't have"));
    }
    let read = PathAndQuery::try_from(text).map_err(|_| wrong("it has characters that a target can't have"))?;
    if read.as_str().as_bytes() != text {
        return Err(wrong("it has more than one reading"));
    }
    Ok(Uri::from(read))
}

pub(crate) fn method(text: &[u8]) -> Result<Method, OriginalError> {
    let wrong = || malformed("the method", "it is no method");
    // Methods are case-sensitive, but servers exist that do not know it.
    if text.iter().any(u8::is_ascii_lowercase) {
        return Err(wrong());
    }
    Method::from_bytes(text).map_err(|_| wrong())
}

/// A host name, with a port or without. An empty one is none.
pub(crate) fn host(text: &[u8]) -> Result<HeaderValue, OriginalError> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(byte);
    if text.is_empty() || text.len() > 512 || !text.iter().all(plain) {
        return Err(malformed("the host", "it is no host name"));
    }
    HeaderValue::from_bytes(text).map_err(|_| malformed("the host", "it is no host name"))
}

/// Adds a header of the client.
pub(crate) fn add(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), OriginalError> {
    let name = HeaderName::from_bytes(name).map_err(|_| malformed("a header", "its name is no name"))?;
    // Some servers read it as the header with a hyphen in its place, which was not asked about.
    if name.as_str().contains('_') {
        return Err(malformed("a header", "its name has an underscore"));
    }
    let value = HeaderValue::from_bytes(value).map_err(|_| malformed("a header", "its value is not valid"))?;
    if headers.len() >= MAX_HEADERS {
        return Err(malformed("the headers", "there are too many"));
    }
    headers
        .try_append(name, value)
        .map_err(|_| malformed("the headers", "there are too many"))?;
    Ok(())
}

const MAX_HEADERS: usize = 512;

/// What the headers say about the length of the body; `Err` if they contradict each other.
pub(crate) fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, OriginalError> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(malformed("`content-length`", "it comes more than once"));
    }
    parse_length(length.as_bytes()).map(Some)
}

/// Digits and nothing else: a sign or a list has a second reading.
pub(crate) fn parse_length(text: &[u8]) -> Result<u64, OriginalError> {
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("`content-length`", "it is no length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_reading() {
        for text in [
            "/",
            "//a",
            "/a/../b?c=%2f&d",
            "/%zz",
            "/a//b/",
            "/a?",
            "/a??b",
            "/a:b@c;d='(!*)",
            "/a{b}\"",
        ] {
            let uri = target(text.as_bytes()).unwrap();
            assert_eq!(uri.to_string(), text);
            assert_eq!(uri.path(), text.split('?').next().unwrap());
        }
        for text in [
            &b""[..],
            b"*",
            b"a",
            b"http://h/a",
            b"?a",
            b"/a b",
            b"/a#b",
            b"/a\\b",
            b"/a\r\nb",
            b"/\xc3\xa9",
            b"/\xff",
            b"/a\x00",
            b"/a\x7f",
        ] {
            assert!(target(text).is_err(), "{text:?}");
        }
        assert!(target(format!("/{}", "a".repeat(MAX_TARGET)).as_bytes()).is_err());
    }

    #[test]
    fn hosts_methods_and_lengths() {
        for text in ["s3.example.com:4566", "[::1]:80", "bucket.s3"] {
            assert!(host(text.as_bytes()).is_ok(), "{text}");
        }
        for text in ["", "a,b", "a b", "a/b", "a@b", "a\r\nb"] {
            assert!(host(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(method(b"PROPFIND").is_ok());
        for text in ["", "get", "G T", "GET\r\n"] {
            assert!(method(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(parse_length(b"017"), Ok(17));
        for text in ["", "+1", "-1", "1,1", " 1", "0x1", "99999999999999999999"] {
            assert!(parse_length(text.as_bytes()).is_err(), "{text}");
        }
    }
}
