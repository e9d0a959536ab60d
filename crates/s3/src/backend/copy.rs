use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::checksum::{Checksum, set_checksum};
use super::read::{Conditions, Held};
use super::{Backend, not_implemented, precondition_failed, put, refusal, store_failure, unix_seconds, wire_time};
use crate::access::{Grants, error};
use crate::permit::{Permit, ReadObject, WriteObject};
use crate::store::{Attributes, Content, NewRow, ObjectRow};

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
        if !replaces && (source.bucket(), source.key()) == (destination.bucket(), destination.key()) {
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
        let mut attempts = 0_u32;
        let row = loop {
            let found: Option<Result<(ObjectRow, Content), S3Error>> = self
                .store
                .read(source.clone(), |_| Ok(None))
                .await
                .map_err(store_failure)?;
            let Some(read) = found else {
                return Err(grants.missing_key(&request.extensions, source_bucket));
            };
            let (old, _) = read?;
            if conditions.check(&old.etag, old.modified) != Held::Yes {
                return Err(precondition_failed());
            }
            let mut attributes = if replaces {
                replacement.clone()
            } else {
                old.attributes.clone()
            };
            attributes.checksum.clone_from(&old.attributes.checksum);
            let new = NewRow {
                etag: old.etag,
                modified: self.clock.now(),
                attributes,
            };
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
}
