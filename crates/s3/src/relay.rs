//! What a proxy before another S3 store writes and reads: documents made anew of what was decided, and the store's answers.
//!
//! Two readers of one document may read it differently, so none is handed on as it came: what was decided is what is written.

mod uploads;

pub use uploads::rename_uploads;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use irsa_core::{AccountId, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Tagging;
use s3s::xml::{DeError, DeResult, Deserialize, Deserializer};

use crate::backend::checksum::Integrity;
use crate::backend::owner;
use crate::front::{Body, ErrorDocument, Identifiers, S3Outcome, escape, full};
use crate::question::{KeyQuestions, S3Refusal, copy_source};

/// Elements within elements that are read of an answer.
const MAX_DEPTH: usize = 16;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What became of one key of a multi-object delete.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeletedKey {
    /// The key.
    pub key: String,
    /// The version that was meant or is deleted.
    pub version: Option<String>,
    /// Whether a delete marker was made or removed.
    pub marker: bool,
    /// The version of that marker.
    pub marker_version: Option<String>,
    /// Error code and message; `None`: it is deleted.
    pub error: Option<(String, String)>,
}

/// Percent-encodes a key or a parameter so that it can be read in one way only; in keys, slashes stay.
#[must_use]
pub fn encode(text: &str, keep_slash: bool) -> String {
    const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const KEY: AsciiSet = UNRESERVED.remove(b'/');
    utf8_percent_encode(text, if keep_slash { &KEY } else { &UNRESERVED }).to_string()
}

/// Whether all stores read a key in one way. Some keep objects in files and make one file of several keys, or a file elsewhere: of keys with
/// empty segments, with `.` or `..` for one, with a backslash or with a zero. What a key ends with is not a segment.
#[must_use]
pub fn is_plain_key(key: &str) -> bool {
    let inner = key.strip_suffix('/').unwrap_or(key);
    !key.contains(['\\', '\0']) && inner.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// The same of what keys begin with: its last segment may go on.
#[must_use]
pub fn is_plain_prefix(prefix: &str) -> bool {
    let mut segments = prefix.rsplit('/');
    segments.next() != Some("..")
        && !prefix.contains(['\\', '\0'])
        && segments.all(|segment| !matches!(segment, "" | "." | ".."))
}

/// The key that a copy reads, if it can be told.
#[must_use]
pub fn source_key(headers: &HeaderMap) -> Option<String> {
    copy_source(headers).ok().map(|source| source.1)
}

/// The document of a multi-object delete with these keys; its answer is to name all of them.
#[must_use]
pub fn write_deletion(keys: &[&KeyQuestions]) -> Bytes {
    let mut text = format!("{DECLARATION}<Delete xmlns=\"{NAMESPACE}\">");
    for key in keys {
        text.push_str("<Object>");
        element(&mut text, "Key", Some(&key.key));
        element(&mut text, "VersionId", key.version.as_deref());
        element(
            &mut text,
            "ETag",
            key.etag.as_ref().map(|etag| format!("\"{etag}\"")).as_deref(),
        );
        text.push_str("</Object>");
    }
    text.push_str("<Quiet>false</Quiet></Delete>");
    text.into()
}

/// Reads the answer to a multi-object delete.
#[must_use]
pub fn read_deletion(document: &[u8]) -> Option<Vec<DeletedKey>> {
    let mut keys = Vec::new();
    let mut reader = Deserializer::new(document);
    reader
        .named_element("DeleteResult", |reader| {
            reader.for_each_element(|reader, name| {
                let is_error = match name {
                    b"Deleted" => false,
                    b"Error" => true,
                    _ => return skip(reader, 0),
                };
                let (mut key, mut code, mut message) = (DeletedKey::default(), String::new(), String::new());
                reader.for_each_element(|reader, name| {
                    match name {
                        b"Key" => key.key = text(reader)?,
                        b"VersionId" => key.version = Some(text(reader)?).filter(|version| !version.is_empty()),
                        b"DeleteMarker" => key.marker = text(reader)? == "true",
                        b"DeleteMarkerVersionId" => {
                            key.marker_version = Some(text(reader)?).filter(|version| !version.is_empty());
                        }
                        b"Code" => code = text(reader)?,
                        b"Message" => message = text(reader)?,
                        _ => skip(reader, 0)?,
                    }
                    Ok(())
                })?;
                key.error = is_error.then_some((code, message));
                keys.push(key);
                Ok(())
            })
        })
        .ok()?;
    Some(keys)
}

/// The answer to a multi-object delete.
#[must_use]
pub fn write_deleted(keys: &[DeletedKey], quiet: bool) -> Bytes {
    let mut text = format!("{DECLARATION}<DeleteResult xmlns=\"{NAMESPACE}\">");
    for key in keys {
        let name = if key.error.is_some() { "Error" } else { "Deleted" };
        if quiet && key.error.is_none() {
            continue;
        }
        text.push_str(&format!("<{name}>"));
        element(&mut text, "Key", Some(&key.key));
        element(&mut text, "VersionId", key.version.as_deref());
        element(&mut text, "DeleteMarker", key.marker.then_some("true"));
        element(&mut text, "DeleteMarkerVersionId", key.marker_version.as_deref());
        if let Some((code, message)) = &key.error {
            element(&mut text, "Code", Some(code));
            element(&mut text, "Message", Some(message));
        }
        text.push_str(&format!("</{name}>"));
    }
    text.push_str("</DeleteResult>");
    text.into()
}

/// A list of buckets, or a part of one.
#[derive(Clone, Debug, Default)]
pub struct ListedBuckets {
    /// Their names, and when they were made.
    pub buckets: Vec<(String, Option<Timestamp>)>,
    /// The token of the next part.
    pub next: Option<String>,
}

/// Reads a list of buckets.
#[must_use]
pub fn read_buckets(document: &[u8]) -> Option<ListedBuckets> {
    let (mut buckets, mut next) = (Vec::new(), None);
    let mut reader = Deserializer::new(document);
    reader
        .named_element("ListAllMyBucketsResult", |reader| {
            reader.for_each_element(|reader, name| match name {
                b"Buckets" => reader.for_each_element(|reader, _| {
                    let (mut bucket, mut created) = (String::new(), None);
                    reader.for_each_element(|reader, name| {
                        match name {
                            b"Name" => bucket = text(reader)?,
                            b"CreationDate" => created = Timestamp::parse_iso8601(&text(reader)?),
                            _ => skip(reader, 0)?,
                        }
                        Ok(())
                    })?;
                    buckets.push((bucket, created));
                    Ok(())
                }),
                b"ContinuationToken" => {
                    next = Some(text(reader)?).filter(|token| !token.is_empty());
                    Ok(())
                }
                _ => skip(reader, 0),
            })
        })
        .ok()?;
    Some(ListedBuckets { buckets, next })
}

/// The document that says in which region a bucket is to be made.
#[must_use]
pub fn write_bucket_place(region: &str) -> Bytes {
    let mut text = format!("{DECLARATION}<CreateBucketConfiguration xmlns=\"{NAMESPACE}\">");
    element(&mut text, "LocationConstraint", Some(region));
    text.push_str("</CreateBucketConfiguration>");
    text.into()
}

/// The document with the tags of an object.
#[must_use]
pub fn write_tags(tags: &[(String, String)]) -> Bytes {
    let mut text = format!("{DECLARATION}<Tagging xmlns=\"{NAMESPACE}\"><TagSet>");
    for (key, value) in tags {
        text.push_str("<Tag>");
        element(&mut text, "Key", Some(key));
        element(&mut text, "Value", Some(value));
        text.push_str("</Tag>");
    }
    text.push_str("</TagSet></Tagging>");
    text.into()
}

/// Reads the tags of an object.
#[must_use]
pub fn read_tags(document: &[u8]) -> Option<Vec<(String, String)>> {
    let read = Tagging::deserialize(&mut Deserializer::new(document)).ok()?;
    read.tag_set
        .into_iter()
        .map(|tag| Some((tag.key?, tag.value?)))
        .collect()
}

/// Code and message of an error document.
#[must_use]
pub fn read_error(document: &[u8]) -> Option<(String, String)> {
    let (mut code, mut message) = (String::new(), String::new());
    let mut reader = Deserializer::new(document);
    reader
        .named_element("Error", |reader| {
            reader.for_each_element(|reader, name| {
                match name {
                    b"Code" => code = text(reader)?,
                    b"Message" => message = text(reader)?,
                    _ => skip(reader, 0)?,
                }
                Ok(())
            })
        })
        .ok()?;
    (!code.is_empty()).then_some((code, message))
}

/// The only ACL of an object whose bucket has ACLs off: the account that owns the bucket may do everything.
#[must_use]
pub fn write_acl(account: AccountId) -> Bytes {
    let id = owner(account).id;
    let mut text = format!("{DECLARATION}<AccessControlPolicy xmlns=\"{NAMESPACE}\"><Owner>");
    element(&mut text, "ID", id.as_deref());
    text.push_str("</Owner><AccessControlList><Grant>");
    text.push_str("<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">");
    element(&mut text, "ID", id.as_deref());
    text.push_str("</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>");
    text.into()
}

/// The value of `Content-MD5` for a document.
#[must_use]
pub fn content_md5(document: &[u8]) -> String {
    STANDARD.encode(Md5::checksum(document))
}

/// The bucket that a copy reads, if it can be told.
#[must_use]
pub fn source_bucket(headers: &HeaderMap) -> Option<String> {
    copy_source(headers).ok().map(|source| source.0)
}

/// Whether a document is the one that its `Content-MD5` says; for operations whose other checksums are not those of the document.
///
/// # Errors
/// It is not.
pub fn check_md5(headers: &HeaderMap, document: &[u8]) -> Result<(), S3Refusal> {
    let of_document: HeaderMap = headers
        .get_all("content-md5")
        .iter()
        .map(|value| (HeaderName::from_static("content-md5"), value.clone()))
        .collect();
    check_digest(&of_document, None, document)
}

/// Whether a document is the one that its headers, or its trailer, say.
///
/// # Errors
/// It is not.
pub fn check_digest(headers: &HeaderMap, trailers: Option<&HeaderMap>, document: &[u8]) -> Result<(), S3Refusal> {
    let mut integrity = Integrity::of(headers)?;
    integrity.update(document);
    integrity.finish(trailers).map(drop)
}

/// An error answer of S3.
#[must_use]
pub fn refusal(refused: &S3Refusal, resource: &str, outcome: &S3Outcome, identifiers: &Identifiers) -> Response<Body> {
    let text = ErrorDocument::new(&refused.code, &refused.message).write(resource, outcome, identifiers);
    let mut response = Response::new(full(text.into()));
    *response.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn element(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        text.push_str(&format!("<{name}>{}</{name}>", escape(value)));
    }
}

pub(crate) fn text(reader: &mut Deserializer<'_>) -> DeResult<String> {
    reader.text(|text| Ok(text.to_owned()))
}

/// Passes over what a document has besides.
pub(crate) fn skip(reader: &mut Deserializer<'_>, depth: usize) -> DeResult {
    if depth > MAX_DEPTH {
        return Err(DeError::InvalidContent);
    }
    reader.for_each_element(|reader, _| skip(reader, depth.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_written() {
        let document = br#"<?xml version="1.0"?><DeleteResult xmlns="x"><Other><A>1</A></Other><Deleted><Key>a &amp; b</Key>
            <DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>v2</DeleteMarkerVersionId></Deleted>
            <Error><Key>c&#xa;</Key><Code>AccessDenied</Code><Message>no</Message><VersionId></VersionId></Error></DeleteResult>"#;
        let keys = read_deletion(document).unwrap();
        assert_eq!(
            (keys[0].key.as_str(), keys[0].marker, &keys[0].error),
            ("a & b", true, &None)
        );
        assert_eq!(keys[0].marker_version.as_deref(), Some("v2"));
        assert_eq!((keys[1].key.as_str(), &keys[1].version), ("c\n", &None));
        assert_eq!(keys[1].error, Some(("AccessDenied".to_owned(), "no".to_owned())));
        let again = write_deleted(&keys, false);
        assert_eq!(read_deletion(&again).unwrap(), keys);
        let quiet = write_deleted(&keys, true);
        assert_eq!(read_deletion(&quiet).unwrap(), keys[1..]);
        assert!(read_deletion(b"<html>").is_none());
        let error =
            br#"<Error><Code>NoSuchKey</Code><Message>m</Message><Key>k</Key><Nested><Code>X</Code></Nested></Error>"#;
        assert_eq!(read_error(error), Some(("NoSuchKey".to_owned(), "m".to_owned())));
        assert_eq!(read_error(b"<html><body>502</body></html>"), None);
        let deep = format!("<Error>{}", "<a>".repeat(100_000));
        assert_eq!(read_error(deep.as_bytes()), None);
        let tags = vec![("k<".to_owned(), "v&\n".to_owned())];
        assert_eq!(read_tags(&write_tags(&tags)), Some(tags));
        let list = br#"<ListAllMyBucketsResult><Owner><ID>i</ID></Owner><Buckets><Bucket><Name>b</Name>
            <CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket></Buckets><ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>"#;
        let ListedBuckets { buckets, next } = read_buckets(list).unwrap();
        assert_eq!(
            (buckets[0].0.as_str(), buckets[0].1.is_some(), next.as_deref()),
            ("b", true, Some("t"))
        );
    }

    #[test]
    fn keys_with_one_reading() {
        for key in ["a", "a/b", "a/", "a/b/", ".a", "a..", "a/...", "%2e%2e", "a b", "ä"] {
            assert!(is_plain_key(key), "{key}");
            assert!(is_plain_prefix(key), "{key}");
        }
        for key in [
            "", "/", "//", "/a", "a//b", "a//", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../", "a\\b",
            "a\0",
        ] {
            assert!(!is_plain_key(key), "{key}");
        }
        for prefix in ["", ".", "a/.", "a/"] {
            assert!(is_plain_prefix(prefix), "{prefix}");
        }
        for prefix in ["/", "/a", "..", "../", "a/../", "a//", "a//b", "a/..", "a\\", "./"] {
            assert!(!is_plain_prefix(prefix), "{prefix}");
        }
    }

    #[test]
    fn keys_are_encoded_in_one_way() {
        assert_eq!(
            encode("a/../b//c d+e%2Fä\u{1}?#", true),
            "a/../b//c%20d%2Be%252F%C3%A4%01%3F%23"
        );
        assert_eq!(encode("a/b~-._", false), "a%2Fb~-._");
    }
}
