use futures_util::StreamExt as _;
use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksum::{Algorithm, Checksum, Hashes, set_checksum};
use super::read::{Conditions, Held};
use super::{
    Backend, changed, not_implemented, precondition_failed, put, refusal, store_failure, unix_seconds, wire_time,
};
use crate::access::{Grants, error};
use crate::front::MAX_OBJECT;
use crate::permit::{Permit, ReadObject, WriteObject};
use crate::store::{Attributes, Content, Found, NewRow, ObjectRow, Precondition, Staged, Tags};

impl Backend {
    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let CopySource::Bucket {
            bucket: source_bucket,
            key: source_key,
            version_id: None,
        } = &input.copy_source
        else {
            return Err(not_implemented());
        };
        let source: Permit<ReadObject> = grants.permit(source_bucket, Some(source_key))?;
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
        if !replaces
            && replaced_tags.is_none()
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
        let row = loop {
            let (check, whole) = (conditions.clone(), wanted);
            let found: Option<Result<Found, S3Error>> = self
                .store
                .read(source.clone(), None, changed, move |row, _| {
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
            let Some(read) = found else {
                return Err(grants.missing_key(&request.extensions, source_bucket));
            };
            let Found { row: old, content, .. } = read?;
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
                let done = self.store.commit(destination, staged, new, Precondition::None).await;
                break done.map_err(store_failure)?.map_err(refusal)?;
            }
            let linked = self.store.link(&source, old.content, destination.clone(), new).await;
            match linked.map_err(store_failure)? {
                Some(done) => break done.map_err(refusal)?,
                // Replaced since it was looked up: the next round sees the new content.
                None if attempts < 16 => attempts = attempts.saturating_add(1),
                None => return Err(error("InternalError", crate::front::INTERNAL)),
            }
        };
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(row.etag)),
            last_modified: Some(wire_time(row.modified)),
            ..CopyObjectResult::default()
        };
        set_checksum!(result, Checksum::from_stored(row.attributes.checksum.as_ref()));
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
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
