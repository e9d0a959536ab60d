//! Versions: what answers tell of them, what is told of one that is not there, and their listing.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html> and `DeleteMarker.html` beside it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, DeleteMarkerEntry, ETag, ListObjectVersionsInput, ListObjectVersionsOutput,
    ObjectVersion, ObjectVersionStorageClass,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksum::is_composite;
use super::listing::{Encoding, is_as_decided, max_keys};
use super::multipart::checksum_type;
use super::{Backend, owner, refusal, store_failure, wire_time};
use crate::access::{Grants, error, invalid_version};
use crate::bucket::Versioning;
use crate::permit::{ListVersions, Permit, Verb};
use crate::store::{ListedVersion, Marker, Refused, Status, Version, VersionQuery};

const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");

impl Backend {
    /// How versioning is set for the permit's very bucket when the store asks.
    pub(super) fn status<V: Verb>(&self, permit: &Permit<V>) -> Status {
        let (buckets, id) = (Arc::clone(&self.buckets), permit.bucket());
        let name = permit.target().bucket.clone().unwrap_or_default();
        Arc::new(move || {
            let record = buckets.get(&name).filter(|record| record.id == id)?;
            Some(record.settings.versioning)
        })
    }

    /// The version that an answer tells: that of any object in a bucket that has or had versions, and the one that was asked for.
    pub(super) fn told<V: Verb>(&self, permit: &Permit<V>, version: Version) -> Option<String> {
        let has_versions = || {
            let record = permit
                .target()
                .bucket
                .as_deref()
                .and_then(|name| self.buckets.get(name));
            record.is_some_and(|record| record.settings.versioning != Versioning::Off)
        };
        let tells = permit.version().is_some() || version != Version::NULL || has_versions();
        tells.then(|| version.to_string())
    }

    pub(super) async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ListVersions> = grants.permit(&input.bucket, None)?;
        is_as_decided(permit.target(), input.prefix.as_deref(), input.delimiter.as_deref())?;
        let encode = Encoding::of(input.encoding_type.as_ref())?;
        let max_keys = max_keys(input.max_keys)?;
        let key_marker = input.key_marker.unwrap_or_default();
        let after_version = match input.version_id_marker.as_deref() {
            None => None,
            Some("") => {
                return Err(error("InvalidArgument", "A version-id marker cannot be empty."));
            }
            Some(_) if key_marker.is_empty() => {
                return Err(error(
                    "InvalidArgument",
                    "A version-id marker cannot be specified without a key marker.",
                ));
            }
            Some(marker) => Some(Version::parse(marker).ok_or_else(invalid_version)?),
        };
        let query = VersionQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after: key_marker.clone(),
            after_version,
            limit: usize::try_from(max_keys).unwrap_or_default(),
        };
        let page = self.store.list_versions(permit, query).await.map_err(store_failure)?;
        let (next_key, next_version) = match page.entries.last().filter(|_| page.truncated) {
            None => (None, None),
            Some(ListedVersion::Prefix(prefix)) => (Some(encode.text(prefix)), None),
            Some(ListedVersion::Object { key, row, .. }) => (Some(encode.text(key)), Some(row.version.to_string())),
            Some(ListedVersion::Marker { key, version, .. }) => (Some(encode.text(key)), Some(version.to_string())),
        };
        let owner = grants.bucket.as_ref().map(|record| owner(record.account));
        let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut order = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            match entry {
                ListedVersion::Prefix(prefix) => prefixes.push(CommonPrefix {
                    prefix: Some(encode.text(&prefix)),
                }),
                ListedVersion::Object { key, row, latest } => {
                    order.push(Listed::Version);
                    let checksum = row.attributes.checksum;
                    versions.push(ObjectVersion {
                        checksum_type: checksum.as_ref().map(|(_, value)| checksum_type(is_composite(value))),
                        checksum_algorithm: checksum.map(|(algorithm, _)| vec![ChecksumAlgorithm::from(algorithm)]),
                        e_tag: Some(ETag::Strong(row.etag)),
                        is_latest: Some(latest),
                        key: Some(encode.text(&key)),
                        last_modified: Some(wire_time(row.modified)),
                        owner: owner.clone(),
                        restore_status: None,
                        size: i64::try_from(row.size).ok(),
                        storage_class: Some(ObjectVersionStorageClass::from_static(
                            ObjectVersionStorageClass::STANDARD,
                        )),
                        version_id: Some(row.version.to_string()),
                    });
                }
                ListedVersion::Marker {
                    key,
                    version,
                    modified,
                    latest,
                } => {
                    order.push(Listed::DeleteMarker);
                    markers.push(DeleteMarkerEntry {
                        is_latest: Some(latest),
                        key: Some(encode.text(&key)),
                        last_modified: Some(wire_time(modified)),
                        owner: owner.clone(),
                        version_id: Some(version.to_string()),
                    });
                }
            }
        }
        let mut response = S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(encode.text(&input.prefix.unwrap_or_default())),
            key_marker: Some(encode.text(&key_marker)),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            next_key_marker: next_key,
            next_version_id_marker: next_version,
            max_keys: Some(max_keys),
            delimiter: input.delimiter.map(|delimiter| encode.text(&delimiter)),
            is_truncated: Some(page.truncated),
            encoding_type: input.encoding_type,
            versions: Some(versions),
            delete_markers: Some(markers),
            common_prefixes: Some(prefixes),
            request_charged: None,
        });
        response.extensions.insert(ListingOrder(Arc::new(order)));
        Ok(response)
    }
}

/// What a request says of an object or of a version that is not there, or not as it was when that was decided. Whether it is there is told
/// to those who may know.
pub(super) fn not_there(
    refused: Refused,
    grants: &Grants,
    extensions: &Extensions,
    bucket: &str,
    version: Option<Version>,
) -> S3Error {
    match (refused, version) {
        (Refused::NoSuchKey, _) => grants.missing_key(extensions, bucket),
        (Refused::NoSuchVersion, _) => grants.missing_version(extensions, bucket),
        (Refused::Marker(marker), None) => {
            let mut refused = grants.missing_key(extensions, bucket);
            if refused.code().as_str() == "NoSuchKey" {
                refused.set_headers(marker_headers(marker));
            }
            refused
        }
        (Refused::Marker(marker), Some(_)) => {
            let mut refused = error(
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            );
            let mut headers = marker_headers(marker);
            headers.insert(header::ALLOW, HeaderValue::from_static("DELETE"));
            super::read::insert_modified(&mut headers, marker.modified);
            refused.set_headers(headers);
            refused
        }
        (other, _) => refusal(other),
    }
}

fn marker_headers(marker: Marker) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(DELETE_MARKER, HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::try_from(marker.version.to_string()) {
        headers.insert(VERSION_ID, id);
    }
    headers
}

/// The order of a listing of versions: its document is written kind by kind, and S3's holds both kinds in one order.
#[derive(Clone)]
pub(crate) struct ListingOrder(Arc<Vec<Listed>>);

#[derive(Clone, Copy)]
enum Listed {
    Version,
    DeleteMarker,
}

impl ListingOrder {
    /// Puts versions and delete markers into their order.
    pub(crate) fn apply(&self, document: &Bytes) -> Bytes {
        let text = String::from_utf8_lossy(document);
        let (head, versions, rest) = run(&text, "<Version>", "</Version>");
        let (start, markers, middle) = run(head, "<DeleteMarker>", "</DeleteMarker>");
        let others = [start, middle, rest].concat();
        // They come last in the document.
        let (others, end) = others.split_at(others.rfind("</").unwrap_or(others.len()));
        let (mut versions, mut markers) = (versions.into_iter(), markers.into_iter());
        let mut ordered = String::with_capacity(text.len());
        ordered.push_str(others);
        for kind in self.0.iter() {
            let next = match kind {
                Listed::Version => versions.next(),
                Listed::DeleteMarker => markers.next(),
            };
            ordered.push_str(next.unwrap_or_default());
        }
        ordered.push_str(end);
        ordered.into()
    }
}

/// What is before the elements of one name, which follow each other; the elements; and what is after them.
fn run<'a>(text: &'a str, open: &str, close: &str) -> (&'a str, Vec<&'a str>, &'a str) {
    let start = text.find(open).unwrap_or(text.len());
    let (head, mut rest) = text.split_at(start);
    let mut elements = Vec::new();
    while rest.starts_with(open)
        && let Some(end) = rest.find(close)
    {
        let (element, after) = rest.split_at(end.saturating_add(close.len()));
        elements.push(element);
        rest = after;
    }
    (head, elements, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stay_whole_in_any_order() {
        use Listed::{DeleteMarker as M, Version as V};
        for (kinds, document, expected) in [
            (vec![], "<R><A>1</A></R>", "<R><A>1</A></R>"),
            (
                vec![M],
                "<R><DeleteMarker>1</DeleteMarker><Z/></R>",
                "<R><Z/><DeleteMarker>1</DeleteMarker></R>",
            ),
            (
                vec![V],
                "<R><A/><Version>1</Version></R>",
                "<R><A/><Version>1</Version></R>",
            ),
            (
                vec![V, M, M, V],
                "<R><DeleteMarker>2</DeleteMarker><DeleteMarker>3</DeleteMarker><K>k</K><Version>1</Version><Version>4</Version></R>",
                "<R><K>k</K><Version>1</Version><DeleteMarker>2</DeleteMarker><DeleteMarker>3</DeleteMarker><Version>4</Version></R>",
            ),
        ] {
            let ordered = ListingOrder(Arc::new(kinds)).apply(&Bytes::from_static(document.as_bytes()));
            assert_eq!(String::from_utf8_lossy(&ordered), expected);
        }
    }
}
