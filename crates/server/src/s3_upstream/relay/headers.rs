//! Which headers go on to a store.

use http::{HeaderMap, HeaderName, HeaderValue};
use irsa_s3::relay::encode;
use irsa_s3::{Question, ResourceKind, S3Refusal};

use super::Relay;
use crate::s3_upstream::between_stores;

/// Headers of a content that is written.
const OF_CONTENT: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];
/// Headers that ask for a part of an object, or for it only if.
const OF_READING: [&str; 5] = [
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
];
/// Headers that make a write depend on what is there.
const OF_WRITING: [&str; 4] = [
    "if-match",
    "if-none-match",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
];
/// Headers of a row that are between the caller and us: who owns what, and what is decided here.
const OURS: [&str; 6] = [
    "x-amz-bucket-object-lock-enabled",
    "x-amz-copy-source",
    "x-amz-expected-bucket-owner",
    "x-amz-mfa",
    "x-amz-object-ownership",
    "x-amz-source-expected-bucket-owner",
];

impl Relay<'_> {
    /// A header that may come once.
    pub(super) fn single(&self, name: &HeaderName) -> Result<Option<&HeaderValue>, S3Refusal> {
        let mut given = self.head.headers().get_all(name).iter();
        match (given.next(), given.next()) {
            (_, Some(_)) => Err(S3Refusal::new("InvalidArgument", "A header was given more than once")),
            (given, None) => Ok(given),
        }
    }

    /// The headers that go on: those that the operation has, and nothing that somebody could take for more.
    pub(super) fn headers(&self) -> Result<HeaderMap, S3Refusal> {
        let name = self.head.operation.name;
        let writes_content = matches!(name, "PutObject" | "CopyObject" | "CreateMultipartUpload");
        let has_content = matches!(name, "PutObject" | "UploadPart");
        let reads = matches!(name, "GetObject" | "HeadObject");
        let writes_if = matches!(name, "PutObject" | "CompleteMultipartUpload" | "DeleteObject");
        let is_document = matches!(
            self.head.operation.resource,
            ResourceKind::NewBucket | ResourceKind::Keys | ResourceKind::Tagged
        );
        let mut kept = HeaderMap::new();
        for header in self.head.headers().keys() {
            let text = header.as_str();
            let passes = if let Some(rest) = text.strip_prefix("x-amz-") {
                if OURS.contains(&text) || is_document && rest.starts_with("checksum-") {
                    false
                } else if rest.starts_with("meta-") {
                    writes_content
                } else {
                    let of_checksums = rest.starts_with("checksum-") || rest == "sdk-checksum-algorithm" && has_content;
                    of_checksums || rest == "optional-object-attributes" || self.head.takes_header(text)
                }
            } else {
                let unheeded = OF_WRITING.contains(&text) && !writes_if && !reads && !self.head.operation.read_only;
                if unheeded {
                    return Err(S3Refusal::new(
                        "NotImplemented",
                        "A header you provided implies functionality that is not implemented",
                    ));
                }
                OF_CONTENT.contains(&text) && writes_content
                    || OF_READING.contains(&text) && reads
                    || OF_WRITING.contains(&text) && writes_if
                    || text == "content-md5" && has_content
                    || text == "user-agent"
            };
            if passes && let Some(value) = self.single(header)? {
                // Stores read other conditions in their own ways, and some not at all.
                let is_other = text == "if-none-match" && !self.head.operation.read_only && value != "*";
                if is_other || text == "x-amz-tagging" && self.is_copy_with_its_tags() {
                    return Err(S3Refusal::new(
                        "NotImplemented",
                        "A header you provided implies functionality that is not implemented",
                    ));
                }
                kept.insert(header.clone(), value.clone());
            }
        }
        Ok(kept)
    }

    /// Whether it copies tags along, so that those of its own were not asked about.
    fn is_copy_with_its_tags(&self) -> bool {
        let directive = self.head.headers().get("x-amz-tagging-directive");
        self.head.operation.name == "CopyObject" && directive.is_none_or(|directive| directive != "REPLACE")
    }

    /// The source of a copy as it was decided, written in one way.
    pub(super) fn copy_source(&self, source: &Question) -> Result<HeaderValue, S3Refusal> {
        let target = &source.target;
        let bucket = target.bucket.as_deref().unwrap_or_default();
        let key = target.key.as_deref().unwrap_or_default();
        let there = self.upstreams.places.of(bucket);
        if there.is_none_or(|there| there.upstream.endpoint() != self.behind.upstream.endpoint()) {
            return Err(between_stores());
        }
        let mut text = format!("/{bucket}/{}", encode(key, true));
        if let Some(version) = &target.version {
            text.push_str("?versionId=");
            text.push_str(&encode(version, false));
        }
        HeaderValue::from_str(&text).map_err(|_| S3Refusal::new("InvalidArgument", "The copy source is not valid."))
    }
}
