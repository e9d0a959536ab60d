use serde::{Deserialize, Serialize};

use super::cors::CorsRule;
use super::policy::BucketPolicy;

/// What the owner of a bucket can set. The default is what a new bucket has.
///
/// It is stored in this form, so a field that is added must have a default that is right for the buckets that are there already.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BucketSettings {
    /// Whether objects have versions.
    pub versioning: Versioning,
    /// Whether the owner said that no deletion needs MFA, which is so for every bucket here; it is told again when asked.
    pub mfa_delete_disabled: bool,
    /// The bucket policy.
    pub policy: Option<BucketPolicy>,
    /// What keeps the bucket from becoming public; `None`: nothing does.
    pub public_access_block: Option<PublicAccessBlock>,
    /// Which pages of other origins may use the bucket; empty: none.
    pub cors: Vec<CorsRule>,
    /// The bucket's tags.
    pub tags: Vec<(String, String)>,
    /// Whether ownership controls are set. They can only say what is so without them too: that there are no ACLs.
    pub ownership_controls: bool,
    /// What the owner said of keys of buckets, which encryption with S3's own keys does not use; it is told again when asked.
    pub bucket_key: bool,
}

impl Default for BucketSettings {
    fn default() -> Self {
        Self {
            versioning: Versioning::Off,
            mfa_delete_disabled: false,
            policy: None,
            public_access_block: Some(PublicAccessBlock::ALL),
            cors: Vec::new(),
            tags: Vec::new(),
            ownership_controls: true,
            bucket_key: false,
        }
    }
}

/// What keeps a bucket from becoming public. New buckets have it whole.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PublicAccessBlock {
    /// Public ACLs are refused. ACLs are off here, so all are.
    pub block_public_acls: bool,
    /// Public ACLs do not count. None counts here.
    pub ignore_public_acls: bool,
    /// A bucket policy that is public is refused.
    pub block_public_policy: bool,
    /// A bucket policy that is public lets in nobody from outside of the owner's account.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// All of it.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// Whether the objects of a bucket have versions. A bucket that ever had them never goes back to [`Versioning::Off`].
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html>.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Versioning {
    /// They never had.
    #[default]
    Off,
    /// Each write makes one.
    Enabled,
    /// They had: those are kept, and what is written now replaces the version `null`.
    Suspended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_settings_read_back_and_old_ones_still_do() {
        let settings = BucketSettings {
            versioning: Versioning::Suspended,
            mfa_delete_disabled: true,
            policy: Some(BucketPolicy {
                text: "{}".to_owned(),
                principals: Vec::new(),
            }),
            public_access_block: None,
            cors: vec![CorsRule {
                id: Some("a".to_owned()),
                allowed_headers: vec!["*".to_owned()],
                allowed_methods: vec!["GET".to_owned()],
                allowed_origins: vec!["https://*.example.com".to_owned()],
                expose_headers: Vec::new(),
                max_age_seconds: Some(60),
            }],
            tags: vec![("team".to_owned(), "blue".to_owned())],
            ownership_controls: false,
            bucket_key: true,
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<BucketSettings>(&text).unwrap(), settings);
        assert_eq!(
            serde_json::from_str::<BucketSettings>("{}").unwrap(),
            BucketSettings::default()
        );
        // Of a newer version of the program, which may mean a restriction by it.
        assert!(serde_json::from_str::<BucketSettings>(r#"{"later": true}"#).is_err());
    }
}
