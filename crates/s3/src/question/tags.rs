//! What questions say about the tags of objects.

use http::HeaderMap;
use s3s::S3Result;

use crate::access::error;
use crate::backend::tagging;
use crate::operation::Operation;
use crate::permit::EXISTING_TAG;
use crate::store::Tags;
use crate::target::Target;

/// Actions whose requests have the keys `s3:ExistingObjectTag/…`.
const EXISTING_TAG_ACTIONS: [&str; 14] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectAttributes",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging",
    "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersionTagging",
    "s3:GetObjectAcl",
    "s3:GetObjectVersionAcl",
    "s3:PutObjectAcl",
    "s3:PutObjectVersionAcl",
];

/// Whether decisions on a target may depend on the tags that its object has.
pub(super) fn knows_existing_tags(target: &Target) -> bool {
    target.key.is_some() && EXISTING_TAG_ACTIONS.contains(&target.action)
}

pub(super) fn add_existing(target: &mut Target, tags: &[(String, String)]) {
    for (name, value) in tags {
        target
            .context
            .push((format!("{EXISTING_TAG}{name}").into(), vec![value.clone()]));
    }
}

/// Puts the tags that a request brings into a question whose action knows such keys.
pub(super) fn add_request_tags(target: &mut Target, tags: &Tags) {
    if !matches!(
        target.action,
        "s3:PutObject" | "s3:PutObjectTagging" | "s3:PutObjectVersionTagging"
    ) || tags.is_empty()
    {
        return;
    }
    for (name, value) in tags {
        target
            .context
            .push((format!("s3:RequestObjectTag/{name}").into(), vec![value.clone()]));
    }
    let names = tags.iter().map(|(name, _)| name.clone()).collect();
    target.context.push(("s3:RequestObjectTagKeys".into(), names));
}

/// The header with the tags of a new object.
pub(crate) fn tagging_header(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("x-amz-tagging")
        .map(|value| value.to_str().unwrap_or_default())
}

pub(super) fn replaces_tags(headers: &HeaderMap) -> bool {
    headers
        .get("x-amz-tagging-directive")
        .is_some_and(|directive| directive.as_bytes() == b"REPLACE")
}

/// The tags that a write gives its object; a copy does only if it says so. `None`: none are given.
pub(super) fn request_tags(operation: &Operation, headers: &HeaderMap) -> S3Result<Option<Tags>> {
    if operation.name == "CopyObject" && !replaces_tags(headers) {
        return Ok(None);
    }
    if let Some(header) = headers.get("x-amz-tagging")
        && header.to_str().is_err()
    {
        return Err(error(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
        ));
    }
    tagging_header(headers).map(tagging::of_header).transpose()
}
