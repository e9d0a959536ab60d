use futures_util::StreamExt as _;
use http::{Extensions, header};
use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksum::{Algorithm, Checksum, Hashes, set_checksum};
use super::read::{Conditions, Held};
use super::versions::not_there;
use super::{Backend, not_implemented, precondition_failed, put, refusal, store_failure, unix_seconds, wire_time};
use crate::access::{Grants, error};
use crate::front::MAX_OBJECT;
use crate::permit::{Permit, ReadObject, WriteObject};
use crate::store::{
    Attributes, Content, Found, NewRow, NotDone, ObjectRow, Precondition, Refused, Staged, Status, Tags,
};

impl Backend {
    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let source = source_permit(grants, &input.copy_source)?;
        let destination: Permit<WriteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        let replaces = match input.metadata_directive.as_ref().map(|directive| directive.as_str()) {
            None | Some("COPY") => false,
            Some("REPLACE") => true,
            Some(_) => return Err(error("InvalidArgument", "Unknown metadata directive.")),
        };
        let replaced_tags: Option<Tags> = match input.tagging_directive.as_ref().map(|directive| directive.as_str()) {
            None | Some("COPY") => None,
            Some("REPLACE") => Some(put::tags(&request.headers)?),
            Some(_) => return Err(error("InvalidArgument", "Unknown tagging directive.")),
        };
        // To copy an older version over the object is how it is restored.
        if !replaces
            && replaced_tags.is_none()
            && source.version().is_none()
            && (source.bucket(), source.key()) == (destination.bucket(), destination.key())
        {
            return Err(error(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                 metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        let conditions = Conditions {
            matching: input.copy_source_if_match,
            none_matching: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        };
        let precondition = put::precondition(
            put::condition(&request.headers, &header::IF_MATCH)?.as_ref(),
            put::condition(&request.headers, &header::IF_NONE_MATCH)?.as_ref(),
        )?;
        // A link knows no condition.
        let needs_bytes = {
            let is_conditional = !matches!(precondition, Precondition::None);
            move |row: &ObjectRow, wanted| is_conditional || needs_bytes(row, wanted)
        };
        let replacement = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            expires: input.expires.map(unix_seconds),
            metadata: put::metadata(input.metadata)?,
            checksum: None,
        };
        let wanted = match input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str()) {
            None => None,
            Some(name) => Some(Algorithm::named(name).ok_or_else(unknown_algorithm)?),
        };
        let mut attempts = 0_u32;
        let status = self.status(&destination);
        let (written, source_version) = loop {
            let (check, whole) = (conditions.clone(), wanted);
            let found = self
                .store
                .read(source.clone(), None, move |row, _| {
                    if check.check(&row.etag, row.modified) != Held::Yes {
                        return Err(precondition_failed());
                    }
                    if row.size > MAX_OBJECT {
                        return Err(source_too_large());
                    }
                    // Bytes are only needed where something is computed of them.
                    Ok(needs_bytes(row, whole).then_some(0..row.size))
                })
                .await
                .map_err(store_failure)?;
            let Found { row: old, content, .. } =
                found.map_err(|stopped| no_source(stopped, grants, &request.extensions, &source))?;
            let mut attributes = if replaces {
                replacement.clone()
            } else {
                old.attributes.clone()
            };
            attributes.checksum.clone_from(&old.attributes.checksum);
            let mut new = NewRow {
                etag: old.etag.clone(),
                modified: self.clock.now(),
                attributes,
                tags: replaced_tags.clone().unwrap_or_else(|| old.tags.clone()),
            };
            if needs_bytes(&old, wanted) {
                let algorithm = wanted
                    .or_else(|| {
                        Checksum::from_stored(old.attributes.checksum.as_ref()).map(|checksum| checksum.algorithm)
                    })
                    .unwrap_or(Algorithm::Crc64Nvme);
                let (staged, hashes) = self.receive_copy(&destination, content, Hashes::new(algorithm)).await?;
                let (etag, value) = hashes.finish();
                (new.etag, new.attributes.checksum) = (etag, Some((algorithm.name().to_owned(), value)));
                let done = self.store.commit(destination, staged, new, precondition, status).await;
                let done = done.map_err(store_failure)?.map_err(|refused| match refused {
                    // A condition on an object that is not there.
                    Refused::NoSuchKey => grants.missing_key(&request.extensions, &input.bucket),
                    other => refusal(other),
                })?;
                break (done, old.version);
            }
            let linked = self
                .store
                .link(&source, old.content, destination.clone(), new, Status::clone(&status))
                .await;
            match linked.map_err(store_failure)? {
                Some(done) => break (done.map_err(refusal)?, old.version),
                // Replaced since it was looked up: the next round sees the new content.
                None if attempts < 16 => attempts = attempts.saturating_add(1),
                None => return Err(error("InternalError", crate::front::INTERNAL)),
            }
        };
        let row = written.row;
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(row.etag)),
            last_modified: Some(wire_time(row.modified)),
            ..CopyObjectResult::default()
        };
        set_checksum!(result, Checksum::from_stored(row.attributes.checksum.as_ref()));
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: self.told(&source, source_version),
            version_id: written.version.map(|version| version.to_string()),
            ..CopyObjectOutput::default()
        }))
    }

    /// Takes bytes of another object.
    pub(super) async fn receive_copy(
        &self,
        permit: &Permit<WriteObject>,
        mut content: Content,
        mut hashes: Hashes,
    ) -> S3Result<(Staged, Hashes)> {
        let mut staged = self.store.stage(permit);
        while let Some(piece) = content.next().await {
            let bytes = piece.map_err(|failure| {
                tracing::error!(error = %failure, "the source of a copy could not be read");
                error("InternalError", crate::front::INTERNAL)
            })?;
            (staged, hashes) = staged.push(bytes, hashes).await.map_err(store_failure)?;
        }
        staged.finish(hashes).await.map_err(store_failure)
    }
}

/// The permit to read the source of a copy.
pub(super) fn source_permit(grants: &Grants, source: &CopySource) -> S3Result<Permit<ReadObject>> {
    match source {
        // Which version is in the permit.
        CopySource::Bucket { bucket, key, .. } => grants.permit(bucket, Some(key)),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(not_implemented()),
    }
}

/// Why the source of a copy was not read.
pub(super) fn no_source(
    stopped: NotDone<S3Error>,
    grants: &Grants,
    extensions: &Extensions,
    source: &Permit<ReadObject>,
) -> S3Error {
    match stopped {
        NotDone::Plan(error) => error,
        NotDone::Refused(Refused::Marker(_)) if source.version().is_some() => error(
            "InvalidRequest",
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
        NotDone::Refused(refused) => {
            let bucket = source.target().bucket.as_deref().unwrap_or_default();
            not_there(refused, grants, extensions, bucket, source.version())
        }
    }
}

/// Whether a copy has other digests than its source: one that was put at once does not, unless another checksum is asked for.
fn needs_bytes(row: &ObjectRow, wanted: Option<Algorithm>) -> bool {
    let has = Checksum::from_stored(row.attributes.checksum.as_ref()).map(|checksum| checksum.algorithm);
    row.parts > 0 || wanted.is_some_and(|wanted| has != Some(wanted))
}

pub(super) fn unknown_algorithm() -> S3Error {
    error(
        "InvalidRequest",
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
    )
}

pub(super) fn source_too_large() -> S3Error {
    error(
        "InvalidRequest",
        format!("The specified copy source is larger than the maximum allowable size for a copy source: {MAX_OBJECT}"),
    )
}
