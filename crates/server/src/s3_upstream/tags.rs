//! Tags of objects behind us, where a decision depends on them.

use http::{Method, StatusCode};
use irsa_s3::relay::{encode, read_error, read_tags};
use irsa_s3::{BucketRecord, ObjectTags, S3Refusal, Target};

use super::{Behind, Desk, S3Upstreams, answer};

/// The tags that the store has.
pub(super) struct UpstreamTags<'a> {
    upstreams: &'a S3Upstreams,
    behind: &'a Behind,
    desk: &'a Desk,
}

impl<'a> UpstreamTags<'a> {
    pub(super) fn new(upstreams: &'a S3Upstreams, behind: &'a Behind, desk: &'a Desk) -> Self {
        Self {
            upstreams,
            behind,
            desk,
        }
    }
}

#[async_trait::async_trait]
impl ObjectTags for UpstreamTags<'_> {
    async fn tags(
        &self,
        bucket: &BucketRecord,
        target: &Target,
        copied: bool,
    ) -> Result<Vec<(String, String)>, S3Refusal> {
        if !copied && !self.desk.authorizer.depends_on_tags(target) {
            return Ok(Vec::new());
        }
        // What a copy reads may be in another store; then it is refused, but not for its tags.
        let behind = self
            .upstreams
            .places
            .of(&bucket.name)
            .map_or(self.behind, |behind| behind);
        let key = target.key.as_deref().unwrap_or_default();
        // It will be refused; until then its name is told to nobody.
        if !self.upstreams.takes(key) {
            return Ok(Vec::new());
        }
        let path = format!("/{}/{}", bucket.name, encode(key, true));
        let query = match &target.version {
            None => "tagging=".to_owned(),
            Some(version) => format!("tagging=&versionId={}", encode(version, false)),
        };
        let (status, document) = self.upstreams.ask(behind, Method::GET, &path, &query).await?;
        let code = || read_error(&document).map(|(code, _)| code).unwrap_or_default();
        match status {
            StatusCode::OK => {
                read_tags(&document).ok_or_else(|| answer::unreadable("the tags of an object can't be read"))
            }
            // A store that has no tags, and an object that is not there, have none.
            StatusCode::NOT_IMPLEMENTED => Ok(Vec::new()),
            StatusCode::NOT_FOUND
                if matches!(
                    &*code(),
                    "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NoSuchTagSet"
                ) =>
            {
                Ok(Vec::new())
            }
            // A delete marker.
            StatusCode::METHOD_NOT_ALLOWED => Ok(Vec::new()),
            status => {
                tracing::warn!(
                    status = status.as_u16(),
                    code = code(),
                    "tags that a decision depends on can't be known"
                );
                Err(S3Refusal::new("AccessDenied", "Access Denied"))
            }
        }
    }
}

/// For requests that are about no object.
pub(super) struct NoTags;

#[async_trait::async_trait]
impl ObjectTags for NoTags {
    async fn tags(&self, _: &BucketRecord, _: &Target, _: bool) -> Result<Vec<(String, String)>, S3Refusal> {
        Err(S3Refusal::new("AccessDenied", "Access Denied"))
    }
}
