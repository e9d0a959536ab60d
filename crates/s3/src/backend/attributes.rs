use s3s::dto::{
    Checksum as WireChecksum, ETag, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ObjectPart, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::checksum::{Checksum, set_checksum, set_checksum_value};
use super::listing::MAX_KEYS;
use super::versions::not_there;
use super::{Backend, not_implemented, store_failure, wire_time};
use crate::access::{Grants, error};
use crate::permit::{Permit, ReadAttributes, ReadObject};

impl Backend {
    pub(super) async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        // Both actions count: what is told is of the object's content too.
        let _: Permit<ReadObject> = grants.permit(&input.bucket, Some(&input.key))?;
        let permit: Permit<ReadAttributes> = grants.permit(&input.bucket, Some(&input.key))?;
        if input.sse_customer_key.is_some() {
            return Err(not_implemented());
        }
        let wanted = wanted(&input.object_attributes)?;
        let wants = |name: &str| wanted.iter().any(|given| given == name);
        let found = self.store.describe(permit.clone()).await.map_err(store_failure)?;
        let row = found
            .map_err(|refused| not_there(refused, grants, &request.extensions, &input.bucket, permit.version()))?;
        let checksum = Checksum::from_stored(row.attributes.checksum.as_ref());
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(wire_time(row.modified)),
            version_id: self.told(&permit, row.version),
            e_tag: wants("ETag").then(|| ETag::Strong(row.etag.clone())),
            object_size: i64::try_from(row.size).ok().filter(|_| wants("ObjectSize")),
            storage_class: wants("StorageClass").then(|| StorageClass::from_static(StorageClass::STANDARD)),
            ..GetObjectAttributesOutput::default()
        };
        if wants("Checksum") && checksum.is_some() {
            let mut wire = WireChecksum::default();
            set_checksum!(wire, checksum.clone());
            output.checksum = Some(wire);
        }
        if wants("ObjectParts") && row.parts > 0 {
            let max_parts = match input.max_parts {
                None => MAX_KEYS,
                Some(count) if count < 0 => {
                    return Err(error(
                        "InvalidArgument",
                        "Argument max-parts must be an integer between 0 and 2147483647",
                    ));
                }
                Some(count) => count.min(MAX_KEYS),
            };
            let marker = input.part_number_marker.unwrap_or_default();
            let after = u32::try_from(marker).map_err(|_| {
                error(
                    "InvalidArgument",
                    "Argument part-number-marker must be an integer between 0 and 2147483647",
                )
            })?;
            let limit = usize::try_from(max_parts).unwrap_or_default();
            let mut parts = self
                .store
                .parts_of(permit, &row, after, limit)
                .await
                .map_err(store_failure)?;
            let truncated = parts.len() > limit && limit > 0;
            parts.truncate(limit);
            let last = parts.last().and_then(|part| i32::try_from(part.number).ok());
            output.object_parts = Some(GetObjectAttributesParts {
                is_truncated: Some(truncated),
                max_parts: Some(max_parts),
                part_number_marker: Some(marker),
                next_part_number_marker: last.filter(|_| truncated),
                total_parts_count: i32::try_from(row.parts).ok(),
                parts: Some(
                    parts
                        .into_iter()
                        .map(|part| {
                            let mut wire = ObjectPart {
                                part_number: i32::try_from(part.number).ok(),
                                size: i64::try_from(part.size).ok(),
                                ..ObjectPart::default()
                            };
                            set_checksum_value!(wire, Checksum::from_stored(part.checksum.as_ref()));
                            wire
                        })
                        .collect(),
                ),
            });
        }
        Ok(S3Response::new(output))
    }
}

/// The attributes that are asked for: names with commas between, in one header or several.
fn wanted(given: &[s3s::dto::ObjectAttributes]) -> S3Result<Vec<String>> {
    const NAMES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    let names: Vec<String> = given
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    if names.iter().any(|name| !NAMES.contains(&name.as_str())) {
        return Err(error("InvalidArgument", "Invalid attribute name specified."));
    }
    Ok(names)
}
