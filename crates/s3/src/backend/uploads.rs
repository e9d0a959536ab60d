//! What there is of multipart uploads.

use irsa_core::AccountId;
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, ETag, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListPartsInput, ListPartsOutput, MultipartUpload, Part, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::checksum::{Checksum, set_checksum_value};
use super::listing::{Encoding, MAX_KEYS};
use super::multipart::checksum_type;
use super::{Backend, no_such_upload, owner, store_failure, wire_time};
use crate::access::{Grants, error};
use crate::permit::{ListParts, ListUploads, Permit};
use crate::store::{ListedUpload, PartRow, Upload, UploadId, UploadQuery, UploadSettings};

impl Backend {
    pub(super) async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ListParts> = grants.permit(&input.bucket, Some(&input.key))?;
        let id = UploadId::parse(&input.upload_id).ok_or_else(no_such_upload)?;
        let max_parts = page_size(input.max_parts, "max-parts")?;
        let marker = input.part_number_marker.unwrap_or_default();
        let after = u32::try_from(marker).map_err(|_| {
            error(
                "InvalidArgument",
                "Argument part-number-marker must be an integer between 0 and 2147483647",
            )
        })?;
        let limit = usize::try_from(max_parts).unwrap_or_default();
        let found = self.store.list_parts(permit, id, after, limit).await;
        let (upload, mut parts) = found.map_err(store_failure)?.ok_or_else(no_such_upload)?;
        let truncated = parts.len() > limit && limit > 0;
        parts.truncate(limit);
        let account = grants.bucket.as_ref().map(|record| record.account);
        let settings = &upload.settings;
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload.id.to_string()),
            checksum_algorithm: settings.algorithm.clone().map(ChecksumAlgorithm::from),
            checksum_type: settings.algorithm.as_ref().map(|_| checksum_type(settings.composite)),
            initiator: Some(initiator(settings, account)),
            owner: account.map(owner),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            max_parts: Some(max_parts),
            part_number_marker: Some(marker),
            next_part_number_marker: parts
                .last()
                .filter(|_| truncated)
                .and_then(|part| i32::try_from(part.number).ok()),
            is_truncated: Some(truncated),
            parts: Some(parts.into_iter().map(|part| wire_part(part, settings)).collect()),
            ..ListPartsOutput::default()
        }))
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ListUploads> = grants.permit(&input.bucket, None)?;
        let encode = Encoding::of(input.encoding_type.as_ref())?;
        let max_uploads = page_size(input.max_uploads, "max-uploads")?;
        let key_marker = input.key_marker.unwrap_or_default();
        // Without a key there is nothing for an upload to be after.
        let after_upload = match input.upload_id_marker.as_deref().filter(|_| !key_marker.is_empty()) {
            None | Some("") => None,
            Some(marker) => {
                Some(UploadId::parse(marker).ok_or_else(|| error("InvalidArgument", "Invalid uploadId marker"))?)
            }
        };
        let query = UploadQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after: key_marker.clone(),
            after_upload,
            limit: usize::try_from(max_uploads).unwrap_or_default(),
        };
        let (entries, truncated) = self.store.list_uploads(permit, query).await.map_err(store_failure)?;
        let (next_key, next_upload) = match entries.last().filter(|_| truncated) {
            None => (None, None),
            Some(ListedUpload::Upload(upload)) => (Some(encode.text(&upload.key)), Some(upload.id.to_string())),
            Some(ListedUpload::Prefix(prefix)) => (Some(encode.text(prefix)), Some(String::new())),
        };
        let account = grants.bucket.as_ref().map(|record| record.account);
        let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                ListedUpload::Upload(upload) => uploads.push(wire_upload(&upload, encode, account)),
                ListedUpload::Prefix(prefix) => prefixes.push(CommonPrefix {
                    prefix: Some(encode.text(&prefix)),
                }),
            }
        }
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(encode.text(&input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| encode.text(&delimiter)),
            key_marker: Some(encode.text(&key_marker)),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            next_key_marker: next_key,
            next_upload_id_marker: next_upload,
            max_uploads: Some(max_uploads),
            is_truncated: Some(truncated),
            encoding_type: input.encoding_type,
            uploads: Some(uploads),
            common_prefixes: Some(prefixes),
            request_charged: None,
        }))
    }
}

fn page_size(given: Option<i32>, name: &str) -> S3Result<i32> {
    match given {
        None => Ok(MAX_KEYS),
        Some(count) if count < 0 => Err(error(
            "InvalidArgument",
            format!("Argument {name} must be an integer between 0 and 2147483647"),
        )),
        Some(count) => Ok(count.min(MAX_KEYS)),
    }
}

/// Who began an upload: a principal's ARN, or the account that owns the bucket if that is not known.
fn initiator(settings: &UploadSettings, account: Option<AccountId>) -> Initiator {
    if settings.initiator.is_empty() {
        return Initiator {
            display_name: None,
            id: account.and_then(|account| owner(account).id),
        };
    }
    let name = settings.initiator.rsplit('/').next().map(str::to_owned);
    Initiator {
        display_name: name,
        id: Some(settings.initiator.clone()),
    }
}

fn wire_part(part: PartRow, settings: &UploadSettings) -> Part {
    let mut wire = Part {
        part_number: i32::try_from(part.number).ok(),
        size: i64::try_from(part.size).ok(),
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(wire_time(part.modified)),
        ..Part::default()
    };
    if settings.algorithm.is_some() {
        set_checksum_value!(wire, Checksum::from_stored(part.checksum.as_ref()));
    }
    wire
}

fn wire_upload(upload: &Upload, encode: Encoding, account: Option<AccountId>) -> MultipartUpload {
    let settings = &upload.settings;
    MultipartUpload {
        key: Some(encode.text(&upload.key)),
        upload_id: Some(upload.id.to_string()),
        initiated: Some(wire_time(upload.started)),
        initiator: Some(initiator(settings, account)),
        owner: account.map(owner),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: settings.algorithm.clone().map(ChecksumAlgorithm::from),
        checksum_type: settings.algorithm.as_ref().map(|_| checksum_type(settings.composite)),
    }
}
