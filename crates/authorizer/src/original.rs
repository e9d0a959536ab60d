use std::net::{IpAddr, Ipv6Addr};

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
    /// What the client came over, as the proxy knows it.
    pub transport: Transport,
}

/// What a client's connection to its proxy is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Not TLS.
    Plain,
    /// TLS; its version as the condition key `s3:TlsVersion` has it, such as `1.3`, if the proxy says it.
    Tls(Option<&'static str>),
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

/// A host, with a port or without. Those that some servers take for another host, or for none, are refused: capitals, which not all of them
/// fold before they look for a bucket in it; and ports that are no ports, which some cut off and others do not.
pub(crate) fn host(text: &[u8]) -> Result<HeaderValue, OriginalError> {
    let wrong = |reason| malformed("the host", reason);
    let read = std::str::from_utf8(text).map_err(|_| wrong("it is no host name"))?;
    let (name, port) = match read.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            address.parse::<Ipv6Addr>().map_err(|_| wrong("it is no address"))?;
            match rest.strip_prefix(':') {
                None if rest.is_empty() => (None, None),
                None => return Err(wrong("it is no host name")),
                port => (None, port),
            }
        }
        None => match read.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(read), None),
        },
    };
    if text.iter().any(u8::is_ascii_uppercase) {
        return Err(wrong("it has capitals"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_some_and(|name| name.is_empty() || name.len() > 255 || !name.bytes().all(plain)) {
        return Err(wrong("it is no host name"));
    }
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0') && port.parse::<u16>().is_ok()
    };
    if port.is_some_and(|port| !is_port(port)) {
        return Err(wrong("its port is no port"));
    }
    HeaderValue::from_bytes(text).map_err(|_| wrong("it is no host name"))
}

/// Headers by which some servers do another method than the request's.
const METHODS: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// Refuses headers of the client that make another request of it for some servers, or another header of themselves.
pub(crate) fn check_header(name: &HeaderName, value: &HeaderValue) -> Result<(), OriginalError> {
    let wrong = |reason| malformed("a header", reason);
    // Some servers read it as the header with a hyphen in its place, which was not asked about.
    if name.as_str().contains('_') {
        return Err(wrong("its name has an underscore"));
    }
    if METHODS.contains(&name.as_str()) {
        return Err(wrong("it asks for another method"));
    }
    // What comes over a connection that became another protocol's, nobody asks about.
    if *name == header::UPGRADE {
        return Err(wrong("it asks for another protocol"));
    }
    // Proxies take away the headers that it names: those were decided on, and would not arrive.
    if *name == header::CONNECTION {
        let mut options = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let harmless = |option: &[u8]| {
            [&b""[..], b"close", b"keep-alive"]
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known))
        };
        if !options.all(harmless) {
            return Err(wrong("`connection` names others that go"));
        }
    }
    Ok(())
}

/// Adds a header of the client.
pub(crate) fn add(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), OriginalError> {
    let name = HeaderName::from_bytes(name).map_err(|_| malformed("a header", "its name is no name"))?;
    let value = HeaderValue::from_bytes(value).map_err(|_| malformed("a header", "its value is not valid"))?;
    check_header(&name, &value)?;
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
    fn headers_that_make_another_request() {
        for (name, value) in [
            ("x_amz_copy_source", "/b/k"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("x-http-method", "DELETE"),
            ("x-method-override", "DELETE"),
            ("upgrade", "h2c"),
            ("connection", "close, x-amz-tagging"),
            ("connection", "upgrade"),
        ] {
            let mut headers = HeaderMap::new();
            let added = add(&mut headers, name.as_bytes(), value.as_bytes());
            assert!(
                matches!(added, Err(OriginalError::Malformed { .. })),
                "{name}: {added:?}"
            );
            assert!(headers.is_empty(), "{name}");
        }
        for (name, value) in [("connection", "Keep-Alive"), ("connection", ""), ("x-b3-traceid", "1")] {
            assert_eq!(add(&mut HeaderMap::new(), name.as_bytes(), value.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn hosts_methods_and_lengths() {
        for text in [
            "s3.example.com:4566",
            "[::1]:80",
            "[2001:db8::a]",
            "bucket.s3",
            "a:65535",
            "a_b",
            "127.0.0.1:1",
        ] {
            assert!(host(text.as_bytes()).is_ok(), "{text}");
        }
        for text in [
            "",
            "a,b",
            "a b",
            "a/b",
            "a@b",
            "a\r\nb",
            "Photos.s3.example.com",
            "s3.example.COM",
            "[2001:DB8::1]",
            "a:",
            "a:0",
            "a:080",
            "a:+80",
            "a:65536",
            "a:99999",
            "a:80:80",
            "a:x",
            ":80",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[::g]",
            "[]",
            "::1",
            "é",
        ] {
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
