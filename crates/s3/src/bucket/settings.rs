use serde::{Deserialize, Serialize};

/// What the owner of a bucket can set. The default is what a new bucket has.
///
/// It is stored in this form, so a field that is added must have a default that is right for the buckets that are there already.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BucketSettings {
    /// Whether objects have versions.
    pub versioning: Versioning,
    /// Whether the owner said that no deletion needs MFA, which is so for every bucket here; it is told again when asked.
    pub mfa_delete_disabled: bool,
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
