//! Multipart uploads.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html> and, for the limits, `qfacts.html` beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksum::{Algorithm, Checksum, Claimed, Hashes, is_composite, set_checksum, set_checksum_value};
use super::copy::{no_source, source_permit, source_too_large, unknown_algorithm};
use super::put::{body_length, metadata, precondition, tags, trailers};
use super::read::{Conditions, Held, MAX_PARTS, part_number};
use super::{Backend, no_such_upload, precondition_failed, refusal, store_failure, unix_seconds, wire_time};
use crate::access::{Grants, check_md5, error};
use crate::front::MAX_OBJECT;
use crate::permit::{AbortUpload, Permit, WriteObject};
use crate::store::{Assembly, Attributes, Found, NotDone, PartRow, Refused, Upload, UploadId, UploadSettings};
use crate::target::Authorizer;

/// Every part but the last has at least so many bytes.
const MIN_PART: u64 = 5 * 1024 * 1024;

impl Backend {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<WriteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        let (algorithm, composite) = checksum_of_upload(
            input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
            input.checksum_type.as_ref().map(ChecksumType::as_str),
        )?;
        let settings = UploadSettings {
            attributes: Attributes {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                expires: input.expires.map(unix_seconds),
                metadata: metadata(input.metadata)?,
                checksum: None,
            },
            tags: tags(&request.headers)?,
            algorithm: algorithm.map(|algorithm| algorithm.name().to_owned()),
            composite,
            initiator: initiator(&request.extensions),
        };
        let id = self
            .store
            .create_upload(&permit, self.clock.now(), settings)
            .await
            .map_err(store_failure)?
            .map_err(refusal)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id.to_string()),
            checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: algorithm.map(|_| checksum_type(composite)),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<WriteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        let number = part_number(input.part_number)?;
        let length = body_length(input.content_length)?;
        let claimed = Claimed::of(&request.headers)?;
        // Before the body comes: what is for no upload is not worth sending.
        let upload = self.upload(&permit, &input.upload_id).await?;
        let kept = match chosen(&upload)? {
            None => Algorithm::Crc64Nvme,
            Some(chosen) if claimed.algorithm() == Some(chosen) => chosen,
            Some(chosen) => {
                return Err(error(
                    "InvalidRequest",
                    format!(
                        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                        chosen.name().to_ascii_lowercase(),
                        claimed
                            .algorithm()
                            .map_or_else(|| "null".to_owned(), |actual| actual.name().to_ascii_lowercase()),
                    ),
                ));
            }
        };
        let hashes = claimed.hashes_and(kept);
        let (staged, hashes) = self.receive(&permit, input.body, Some(length), hashes).await?;
        let (etag, claimed, kept) = claimed.check_both(hashes, trailers(&request.extensions).as_ref())?;
        let part = PartRow {
            number,
            size: length,
            etag: etag.clone(),
            checksum: Some(kept.stored()),
            modified: self.clock.now(),
        };
        self.store
            .put_part(permit, upload.id, staged, part)
            .await
            .map_err(store_failure)?
            .map_err(refusal)?;
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..UploadPartOutput::default()
        };
        set_checksum_value!(output, Some(claimed));
        Ok(S3Response::new(output))
    }

    pub(super) async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let source = source_permit(grants, &input.copy_source)?;
        let permit: Permit<WriteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        let number = part_number(input.part_number)?;
        let range = input.copy_source_range.as_deref().map(copy_range).transpose()?;
        let conditions = Conditions {
            matching: input.copy_source_if_match,
            none_matching: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        };
        let upload = self.upload(&permit, &input.upload_id).await?;
        let algorithm = chosen(&upload)?.unwrap_or(Algorithm::Crc64Nvme);
        let found = self
            .store
            .read(source.clone(), None, move |row, _| {
                if conditions.check(&row.etag, row.modified) != Held::Yes {
                    return Err(precondition_failed());
                }
                let (start, end) = range.unwrap_or((0, row.size));
                if end > row.size || (range.is_some() && start >= row.size) {
                    return Err(error(
                        "InvalidArgument",
                        format!("Range specified is not valid for source object of size: {}", row.size),
                    ));
                }
                if end.saturating_sub(start) > MAX_OBJECT {
                    return Err(source_too_large());
                }
                Ok(Some(start..end))
            })
            .await
            .map_err(store_failure)?;
        let Found { row, content, .. } =
            found.map_err(|stopped| no_source(stopped, grants, &request.extensions, &source))?;
        let (staged, hashes) = self.receive_copy(&permit, content, Hashes::new(algorithm)).await?;
        let (etag, value) = hashes.finish();
        let modified = self.clock.now();
        let checksum = Checksum { algorithm, value };
        let part = PartRow {
            number,
            size: staged.size(),
            etag: etag.clone(),
            checksum: Some(checksum.stored()),
            modified,
        };
        self.store
            .put_part(permit, upload.id, staged, part)
            .await
            .map_err(store_failure)?
            .map_err(refusal)?;
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(wire_time(modified)),
            ..CopyPartResult::default()
        };
        if upload.settings.algorithm.is_some() {
            set_checksum_value!(result, Some(checksum));
        }
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: self.told(&source, row.version),
            ..UploadPartCopyOutput::default()
        }))
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<WriteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        check_md5(&request.headers, &request.extensions)?;
        let precondition = precondition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let id = UploadId::parse(&input.upload_id).ok_or_else(no_such_upload)?;
        let wanted = Wanted {
            parts: wanted_parts(
                input
                    .multipart_upload
                    .and_then(|upload| upload.parts)
                    .unwrap_or_default(),
            )?,
            checksums: [
                (Algorithm::Crc32, input.checksum_crc32),
                (Algorithm::Crc32c, input.checksum_crc32c),
                (Algorithm::Crc64Nvme, input.checksum_crc64nvme),
                (Algorithm::Sha1, input.checksum_sha1),
                (Algorithm::Sha256, input.checksum_sha256),
            ]
            .into_iter()
            .filter_map(|(algorithm, value)| Some((algorithm, value?)))
            .collect(),
            kind: input.checksum_type.map(|kind| kind.as_str().to_owned()),
            size: input.mpu_object_size,
        };
        let (etag, modified) = (wanted.etag(), self.clock.now());
        let plan = {
            let etag = etag.clone();
            move |upload: &Upload, parts: &[PartRow]| wanted.plan(upload, parts, &etag, modified)
        };
        let status = self.status(&permit);
        let completed = self
            .store
            .complete_upload(permit, id, precondition, status, plan)
            .await
            .map_err(store_failure)?
            .map_err(|refused| match refused {
                NotDone::Plan(error) => error,
                NotDone::Refused(Refused::NoSuchKey) => grants.missing_key(&request.extensions, &input.bucket),
                NotDone::Refused(refused) => refusal(refused),
            })?;
        // Asked again, because the answer got lost: only the same question has the same answer.
        if completed.before && completed.etag != etag {
            return Err(no_such_upload());
        }
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(completed.etag)),
            version_id: completed.version.map(|version| version.to_string()),
            ..CompleteMultipartUploadOutput::default()
        };
        set_checksum!(output, Checksum::from_stored(completed.checksum.as_ref()));
        Ok(S3Response::new(output))
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<AbortUpload> = grants.permit(&input.bucket, Some(&input.key))?;
        let id = UploadId::parse(&input.upload_id).ok_or_else(no_such_upload)?;
        self.store
            .abort_upload(permit, id)
            .await
            .map_err(store_failure)?
            .map_err(refusal)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn upload(&self, permit: &Permit<WriteObject>, id: &str) -> S3Result<Upload> {
        let id = UploadId::parse(id).ok_or_else(no_such_upload)?;
        let found = self.store.upload(permit, id).await.map_err(store_failure)?;
        found.ok_or_else(no_such_upload)
    }
}

/// The algorithm that was chosen when the upload began.
fn chosen(upload: &Upload) -> S3Result<Option<Algorithm>> {
    match &upload.settings.algorithm {
        None => Ok(None),
        Some(name) => Algorithm::named(name).map(Some).ok_or_else(unknown_algorithm),
    }
}

/// Who began an upload, for those who list uploads.
fn initiator(extensions: &http::Extensions) -> String {
    extensions
        .get::<std::sync::Arc<dyn Authorizer>>()
        .and_then(|authorizer| authorizer.principal())
        .unwrap_or_default()
}

pub(super) fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}

/// The algorithm that the client chooses, and whether its checksums are over those of the parts.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.
fn checksum_of_upload(algorithm: Option<&str>, kind: Option<&str>) -> S3Result<(Option<Algorithm>, bool)> {
    let algorithm = match algorithm {
        None => None,
        Some(name) => Some(Algorithm::named(&name.to_ascii_uppercase()).ok_or_else(unknown_algorithm)?),
    };
    let composite = match (algorithm, kind) {
        (None, None) => false,
        (None, Some(_)) => {
            return Err(error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            ));
        }
        (Some(algorithm), None) => algorithm != Algorithm::Crc64Nvme,
        (Some(algorithm), Some(ChecksumType::COMPOSITE)) if algorithm != Algorithm::Crc64Nvme => true,
        (Some(algorithm), Some(ChecksumType::FULL_OBJECT)) if algorithm.is_linear() => false,
        (Some(algorithm), Some(kind @ (ChecksumType::COMPOSITE | ChecksumType::FULL_OBJECT))) => {
            return Err(error(
                "InvalidRequest",
                format!(
                    "The {kind} checksum type cannot be used with the {} checksum algorithm.",
                    algorithm.name().to_ascii_lowercase()
                ),
            ));
        }
        (Some(_), Some(_)) => {
            return Err(error(
                "InvalidRequest",
                "Value for x-amz-checksum-type header is invalid.",
            ));
        }
    };
    Ok((algorithm, composite))
}

/// First byte and the one after the last of `bytes=first-last`.
fn copy_range(text: &str) -> S3Result<(u64, u64)> {
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    text.strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .and_then(|(first, last)| Some((number(first)?, number(last)?.checked_add(1)?)))
        .filter(|(first, end)| first < end)
        .ok_or_else(|| {
            error(
                "InvalidArgument",
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
                 zero-based offsets of the first and last bytes to copy",
            )
        })
}

/// A part as the client names it.
struct WantedPart {
    number: u32,
    /// The MD5.
    digest: Vec<u8>,
    etag: String,
    checksums: Vec<(Algorithm, String)>,
}

/// The parts of the document: in order, and each with its entity tag.
fn wanted_parts(given: Vec<CompletedPart>) -> S3Result<Vec<WantedPart>> {
    let malformed = || {
        error(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    if given.is_empty() || given.len() > usize::try_from(MAX_PARTS).unwrap_or(usize::MAX) {
        return Err(malformed());
    }
    let mut parts: Vec<WantedPart> = Vec::with_capacity(given.len());
    for part in given {
        let number = part_number(part.part_number.ok_or_else(malformed)?)?;
        let etag = part.e_tag.ok_or_else(malformed)?.value().to_ascii_lowercase();
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(error(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
            ));
        }
        parts.push(WantedPart {
            number,
            digest: hex::decode(&etag).map_err(|_| invalid_part())?,
            etag,
            checksums: [
                (Algorithm::Crc32, part.checksum_crc32),
                (Algorithm::Crc32c, part.checksum_crc32c),
                (Algorithm::Crc64Nvme, part.checksum_crc64nvme),
                (Algorithm::Sha1, part.checksum_sha1),
                (Algorithm::Sha256, part.checksum_sha256),
            ]
            .into_iter()
            .filter_map(|(algorithm, value)| Some((algorithm, value?)))
            .collect(),
        });
    }
    Ok(parts)
}

fn invalid_part() -> S3Error {
    error(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified \
         entity tag may not match the part's entity tag.",
    )
}

/// What the client wants the upload to become.
struct Wanted {
    parts: Vec<WantedPart>,
    /// Of the object.
    checksums: Vec<(Algorithm, String)>,
    kind: Option<String>,
    size: Option<i64>,
}

impl Wanted {
    /// The MD5 of the parts' MD5s, and how many they are.
    fn etag(&self) -> String {
        let mut hash = Md5::new();
        for part in &self.parts {
            hash.update(&part.digest);
        }
        format!("{}-{}", hex::encode(hash.finalize()), self.parts.len())
    }

    /// Checks all that the client says against what has arrived.
    fn plan(
        &self,
        upload: &Upload,
        arrived: &[PartRow],
        etag: &str,
        modified: irsa_core::Timestamp,
    ) -> S3Result<Assembly> {
        let chosen = chosen(upload)?;
        let composite = upload.settings.composite;
        let mut parts = Vec::with_capacity(self.parts.len());
        for wanted in &self.parts {
            let part = arrived
                .binary_search_by_key(&wanted.number, |part| part.number)
                .ok()
                .and_then(|at| arrived.get(at))
                .filter(|part| part.etag == wanted.etag)
                .ok_or_else(invalid_part)?;
            for (algorithm, value) in &wanted.checksums {
                let same = part
                    .checksum
                    .as_ref()
                    .is_none_or(|(name, kept)| name != algorithm.name() || kept == value);
                if !same || chosen.is_some_and(|chosen| chosen != *algorithm) {
                    return Err(invalid_part());
                }
            }
            if let Some(chosen) = chosen.filter(|_| composite && wanted.checksums.is_empty()) {
                return Err(error(
                    "InvalidRequest",
                    format!(
                        "The upload was created using a {} checksum. The complete request must include the checksum for each \
                         part. It was missing for part {} in the request.",
                        chosen.name().to_ascii_lowercase(),
                        wanted.number
                    ),
                ));
            }
            parts.push(part);
        }
        if let Some((_, all_but_last)) = parts.split_last()
            && all_but_last.iter().any(|part| part.size < MIN_PART)
        {
            return Err(error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            ));
        }
        let size = parts.iter().fold(0_u64, |size, part| size.saturating_add(part.size));
        if self.size.is_some_and(|claimed| u64::try_from(claimed) != Ok(size)) {
            return Err(error(
                "InvalidRequest",
                "The provided 'x-amz-mp-object-size' header does not match what was computed.",
            ));
        }
        let checksum = self.checksum(chosen.unwrap_or(Algorithm::Crc64Nvme), composite, &parts)?;
        Ok(Assembly {
            parts: parts.iter().map(|part| part.number).collect(),
            etag: etag.to_owned(),
            modified,
            attributes: Attributes {
                checksum: Some(checksum.stored()),
                ..upload.settings.attributes.clone()
            },
        })
    }

    fn checksum(&self, algorithm: Algorithm, composite: bool, parts: &[&PartRow]) -> S3Result<Checksum> {
        if self
            .kind
            .as_ref()
            .is_some_and(|kind| kind != checksum_type(composite).as_str())
        {
            return Err(error(
                "InvalidRequest",
                format!(
                    "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
                    checksum_type(composite).as_str()
                ),
            ));
        }
        let values = parts.iter().map(|part| {
            let value = part.checksum.as_ref().map_or("", |(_, value)| value.as_str());
            (value, part.size)
        });
        let computed = if composite {
            Checksum::composite(algorithm, values.map(|(value, _)| value))
        } else {
            Checksum::whole(algorithm, values)
        };
        let Some(computed) = computed else {
            return Err(error("InternalError", crate::front::INTERNAL));
        };
        for (claimed, value) in &self.checksums {
            // A composite value may come without the number of parts.
            let claimed_value = if composite && !is_composite(value) {
                format!("{value}-{}", parts.len())
            } else {
                value.clone()
            };
            let (digest, _) = claimed_value.split_once('-').unwrap_or((&claimed_value, ""));
            if STANDARD.decode(digest).is_err() {
                return Err(error(
                    "InvalidRequest",
                    format!("Value for {} header is invalid.", claimed.header()),
                ));
            }
            if *claimed != algorithm || claimed_value != computed.value {
                return Err(error(
                    "BadDigest",
                    format!(
                        "The {} you specified did not match the calculated checksum.",
                        claimed.name()
                    ),
                ));
            }
        }
        Ok(computed)
    }
}
