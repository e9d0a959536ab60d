use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_core::AccountId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::crypto::{Checksum as _, Sha256};
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass,
};
use s3s::{S3Request, S3Response, S3Result};
use uuid::Uuid;

use super::checksum::is_composite;
use super::multipart::checksum_type;
use super::{Backend, owner, store_failure, wire_time};
use crate::access::{Grants, error};
use crate::permit::{ListBucket, Permit};
use crate::store::{ListPage, ListQuery, Listed};
use crate::target::Target;

/// A page has at most so many entries, whatever the client asks for.
pub(super) const MAX_KEYS: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const URL_ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

impl Backend {
    pub(super) async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit = listing_permit(
            grants,
            &input.bucket,
            input.prefix.as_deref(),
            input.delimiter.as_deref(),
        )?;
        let encode = Encoding::of(input.encoding_type.as_ref())?;
        let max_keys = max_keys(input.max_keys)?;
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after: input.marker.clone().unwrap_or_default(),
            limit: usize::try_from(max_keys).unwrap_or_default(),
        };
        let page = self.store.list(permit, query).await.map_err(store_failure)?;
        // Without a delimiter, the next page begins after the last key, which the client has.
        let next = page
            .entries
            .last()
            .filter(|_| page.truncated && input.delimiter.as_ref().is_some_and(|text| !text.is_empty()))
            .map(|entry| encode.text(entry.position()));
        let truncated = page.truncated;
        let (contents, prefixes) = entries(page, encode, grants.bucket.as_ref().map(|record| record.account));
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encode.text(&input.prefix.unwrap_or_default())),
            marker: Some(encode.text(&input.marker.unwrap_or_default())),
            max_keys: Some(max_keys),
            is_truncated: Some(truncated),
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            delimiter: input.delimiter.map(|delimiter| encode.text(&delimiter)),
            next_marker: next,
            encoding_type: input.encoding_type,
            request_charged: None,
        }))
    }

    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit = listing_permit(
            grants,
            &input.bucket,
            input.prefix.as_deref(),
            input.delimiter.as_deref(),
        )?;
        let encode = Encoding::of(input.encoding_type.as_ref())?;
        let max_keys = max_keys(input.max_keys)?;
        let prefix = input.prefix.unwrap_or_default();
        let delimiter = input.delimiter.clone().unwrap_or_default();
        let binding = binding(permit.bucket(), &prefix, &delimiter);
        let after = match &input.continuation_token {
            Some(token) => position(token, binding)
                .ok_or_else(|| error("InvalidArgument", "The continuation token provided is incorrect"))?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let query = ListQuery {
            prefix: prefix.clone(),
            delimiter,
            after,
            limit: usize::try_from(max_keys).unwrap_or_default(),
        };
        let page = self.store.list(permit, query).await.map_err(store_failure)?;
        let next = page
            .entries
            .last()
            .filter(|_| page.truncated)
            .map(|entry| token(entry.position(), binding));
        let (truncated, count) = (page.truncated, page.entries.len());
        let account = grants
            .bucket
            .as_ref()
            .map(|record| record.account)
            .filter(|_| input.fetch_owner == Some(true));
        let (contents, prefixes) = entries(page, encode, account);
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encode.text(&prefix)),
            max_keys: Some(max_keys),
            key_count: i32::try_from(count).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(truncated),
            next_continuation_token: next,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            delimiter: input.delimiter.map(|delimiter| encode.text(&delimiter)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|start| encode.text(&start)),
            request_charged: None,
        }))
    }
}

/// The permit, if what is listed is what was decided: policies restrict prefixes.
fn listing_permit(
    grants: &Grants,
    bucket: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
) -> S3Result<Permit<ListBucket>> {
    let permit: Permit<ListBucket> = grants.permit(bucket, None)?;
    is_as_decided(permit.target(), prefix, delimiter)?;
    Ok(permit)
}

/// That what is listed is what was decided.
pub(super) fn is_as_decided(target: &Target, prefix: Option<&str>, delimiter: Option<&str>) -> S3Result<()> {
    if target.condition("s3:prefix") != prefix || target.condition("s3:delimiter") != delimiter {
        return Err(error("AccessDenied", "Access Denied"));
    }
    Ok(())
}

pub(super) fn max_keys(given: Option<i32>) -> S3Result<i32> {
    match given {
        None => Ok(MAX_KEYS),
        Some(count) if count < 0 => Err(error(
            "InvalidArgument",
            "Argument maxKeys must be an integer between 0 and 2147483647",
        )),
        Some(count) => Ok(count.min(MAX_KEYS)),
    }
}

/// How keys are written into a listing.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(super) fn of(given: Option<&EncodingType>) -> S3Result<Self> {
        match given.map(|encoding| encoding.as_str()) {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(error("InvalidArgument", "Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => utf8_percent_encode(text, &URL_ENCODED).to_string(),
        }
    }
}

fn entries(page: ListPage, encode: Encoding, account: Option<AccountId>) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    let owner = account.map(owner);
    for entry in page.entries {
        match entry {
            Listed::Prefix(prefix) => prefixes.push(CommonPrefix {
                prefix: Some(encode.text(&prefix)),
            }),
            Listed::Object {
                key,
                size,
                etag,
                modified,
                checksum,
            } => contents.push(Object {
                checksum_type: checksum.as_ref().map(|(_, value)| checksum_type(is_composite(value))),
                checksum_algorithm: checksum.map(|(algorithm, _)| vec![ChecksumAlgorithm::from(algorithm)]),
                e_tag: Some(ETag::Strong(etag)),
                key: Some(encode.text(&key)),
                last_modified: Some(wire_time(modified)),
                owner: owner.clone(),
                restore_status: None,
                size: i64::try_from(size).ok(),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            }),
        }
    }
    (contents, prefixes)
}

/// What a continuation token belongs to: a token of one listing means nothing in another.
fn binding(bucket: Uuid, prefix: &str, delimiter: &str) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(bucket.as_bytes());
    for text in [prefix, delimiter] {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let digest = hash.finalize();
    let mut tag = [0; 8];
    tag.iter_mut()
        .zip(digest.as_ref() as &[u8])
        .for_each(|(to, from)| *to = *from);
    tag
}

fn token(position: &str, binding: [u8; 8]) -> String {
    let mut bytes = binding.to_vec();
    bytes.extend_from_slice(position.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn position(token: &str, binding: [u8; 8]) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let position = bytes.strip_prefix(&binding)?;
    String::from_utf8(position.to_vec()).ok()
}
