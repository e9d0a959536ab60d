//! The canonical request.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-canonical-request>.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::error::{SigV4Error, excerpt};
use crate::presented::RequestHead;
use crate::rules::PathStyle;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same without the slash.
const RESERVED_IN_KEYS: &AsciiSet = &RESERVED.remove(b'/');

/// Writes the canonical request; `canonical_headers` comes from [`canonical_headers`], `signed_headers` is the sorted
/// list, `payload` the hash or word for the body.
pub(crate) fn canonical_request(
    head: &RequestHead<'_>,
    canonical_headers: &[u8],
    signed_headers: &str,
    skip_signature: bool,
    path_style: PathStyle,
    payload: &[u8],
) -> Vec<u8> {
    let mut request = Vec::with_capacity(canonical_headers.len().saturating_add(1024));
    request.extend_from_slice(head.method.as_bytes());
    request.push(b'\n');
    match path_style {
        PathStyle::Verbatim => verbatim_path(head.path, &mut request),
        PathStyle::Normalised => normalised_path(head.path, &mut request),
    }
    request.push(b'\n');
    canonical_query(head.query, skip_signature, &mut request);
    for part in [
        b"\n",
        canonical_headers,
        b"\n",
        signed_headers.as_bytes(),
        b"\n",
        payload,
    ] {
        request.extend_from_slice(part);
    }
    request
}

/// Writes the signed headers, a line each: the values of one name joined by commas.
pub(crate) fn canonical_headers(headers: &HeaderMap, names: &[&str]) -> Result<Vec<u8>, SigV4Error> {
    let mut lines = Vec::with_capacity(1024);
    for name in names {
        let mut values = headers.get_all(*name).iter();
        let Some(first) = values.next() else {
            return Err(SigV4Error::SignedHeaderAbsent { name: excerpt(name) });
        };
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        folded(first.as_bytes(), &mut lines);
        for value in values {
            lines.push(b',');
            folded(value.as_bytes(), &mut lines);
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

/// S3: the path decoded and encoded once, and its slashes left, however they were written: the key is the decoded path, so one key has one
/// canonical path. Nothing is merged, so different keys have different ones.
///
/// "Encode the forward slash character, '/', everywhere except in the object key name":
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>. The SDK for Java writes the second of two slashes as `%2F`,
/// and signs a slash.
fn verbatim_path(path: &str, request: &mut Vec<u8>) {
    if path.is_empty() {
        request.push(b'/');
        return;
    }
    if path.bytes().all(|byte| byte == b'/' || is_unreserved(byte)) {
        request.extend_from_slice(path.as_bytes());
        return;
    }
    for piece in percent_encode(&Cow::from(percent_decode(path.as_bytes())), RESERVED_IN_KEYS) {
        request.extend_from_slice(piece.as_bytes());
    }
}

/// Other services: dot segments and empty ones removed, then every segment encoded as it was sent.
fn normalised_path(path: &str, request: &mut Vec<u8>) {
    let mut kept: Vec<&str> = Vec::with_capacity(8);
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    for segment in &kept {
        request.push(b'/');
        encode_into(segment.as_bytes(), request);
    }
    // A path that names a folder keeps its last slash; the root is one anyway.
    let folder = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    if kept.is_empty() || folder {
        request.push(b'/');
    }
}

/// Names and values decoded and encoded again, sorted by the encoded name, then value; a name without `=` has an
/// empty value.
fn canonical_query(query: &str, skip_signature: bool, request: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .collect();
    if skip_signature {
        pairs.retain(|(name, _)| !name.eq_ignore_ascii_case(b"X-Amz-Signature"));
    }
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            request.push(b'&');
        }
        request.extend_from_slice(name);
        request.push(b'=');
        request.extend_from_slice(value);
    }
}

fn recoded(text: &str) -> Cow<'_, [u8]> {
    if text.bytes().all(is_unreserved) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut encoded = Vec::with_capacity(text.len());
    encode_into(&decode_query(text), &mut encoded);
    Cow::Owned(encoded)
}

/// A name or value of the query as bytes; a plus sign is a space, as all signers have it.
pub(crate) fn decode_query(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode(spaced.as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}

fn encode_into(bytes: &[u8], request: &mut Vec<u8>) {
    for piece in percent_encode(bytes, RESERVED) {
        request.extend_from_slice(piece.as_bytes());
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A header's value without spaces around it, and with runs of spaces inside of it folded to one.
fn folded(value: &[u8], request: &mut Vec<u8>) {
    let value = value.trim_ascii();
    if !value.contains(&b' ') {
        request.extend_from_slice(value);
        return;
    }
    let mut after_space = false;
    for byte in value {
        let space = *byte == b' ';
        if !(space && after_space) {
            request.push(*byte);
        }
        after_space = space;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(style: PathStyle, path: &str) -> String {
        let mut written = Vec::new();
        match style {
            PathStyle::Verbatim => verbatim_path(path, &mut written),
            PathStyle::Normalised => normalised_path(path, &mut written),
        }
        String::from_utf8(written).unwrap()
    }

    fn query(query: &str) -> String {
        let mut written = Vec::new();
        canonical_query(query, true, &mut written);
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn adv_sv_17_an_object_key_stays_what_it_is() {
        for (sent, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "//"),
            ("/b//k", "/b//k"),
            ("/b/./k", "/b/./k"),
            ("/b/../k", "/b/../k"),
            ("/b/a%2Fb", "/b/a/b"),
            ("/b/a%2fb", "/b/a/b"),
            ("/b/a/%2Fb", "/b/a//b"),
            ("/b%2Fa", "/b/a"),
            ("/b/a/b", "/b/a/b"),
            ("/b/a%252Fb", "/b/a%252Fb"),
            ("/b/a+b", "/b/a%2Bb"),
            ("/b/a%2Bb", "/b/a%2Bb"),
            ("/b/a%20b", "/b/a%20b"),
            ("/b/a%2520b", "/b/a%2520b"),
            ("/b/%41", "/b/A"),
            ("/b/%E1%88%B4", "/b/%E1%88%B4"),
            ("/b/ሴ", "/b/%E1%88%B4"),
            ("/b/%ff", "/b/%FF"),
            ("/b/%", "/b/%25"),
            ("/b/%zz", "/b/%25zz"),
            ("/b/!'()*", "/b/%21%27%28%29%2A"),
            ("/b/k/", "/b/k/"),
        ] {
            assert_eq!(path(PathStyle::Verbatim, sent), canonical, "{sent}");
        }
    }

    #[test]
    fn adv_sv_17_other_paths_are_normalised_and_encoded_twice() {
        for (sent, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/..", "/"),
            ("/../..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a//b/", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/a%2Fb", "/a%252Fb"),
            ("/a%20b", "/a%2520b"),
            ("/a/%2E%2E/b", "/a/%252E%252E/b"),
        ] {
            assert_eq!(path(PathStyle::Normalised, sent), canonical, "{sent}");
        }
    }

    #[test]
    fn adv_sv_18_queries() {
        for (sent, canonical) in [
            ("", ""),
            ("acl", "acl="),
            ("acl=", "acl="),
            ("=v", "=v"),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1", "a=1&a=2"),
            ("a=1&A=1", "A=1&a=1"),
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("a=b=c", "a=b%3Dc"),
            ("a=x+y", "a=x%20y"),
            ("a=x%2By", "a=x%2By"),
            ("%61=1", "a=1"),
            ("a=%7e", "a=~"),
            ("a=%ff%", "a=%FF%25"),
            ("&&a=1&", "a=1"),
            ("a=1&X-Amz-Signature=00", "a=1"),
            ("a=1&X%2DAmz-Signature=00", "a=1"),
        ] {
            assert_eq!(query(sent), canonical, "{sent}");
        }
    }

    #[test]
    fn adv_sv_16_header_values_are_trimmed_and_folded() {
        for (sent, canonical) in [
            (b"".as_slice(), b"".as_slice()),
            (b"  a  ", b"a"),
            (b"a   b  c", b"a b c"),
            (b"\"a   b\"", b"\"a b\""),
            (b"a\tb", b"a\tb"),
            (b"\xe9  \xff", b"\xe9 \xff"),
        ] {
            let mut written = Vec::new();
            folded(sent, &mut written);
            assert_eq!(written, canonical);
        }
    }
}
