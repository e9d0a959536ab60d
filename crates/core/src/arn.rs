use std::fmt;
use std::str::FromStr;

use crate::AccountId;

/// An Amazon Resource Name, `arn:partition:service:region:account:resource`, split at its first five colons.
///
/// The fields are kept as they were written; the resource may hold colons and slashes.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Arn {
    text: Box<str>,
    /// Byte positions of the first five colons.
    colons: [u16; 5],
}

impl Arn {
    /// The longest ARN that AWS accepts anywhere is 2048 characters; a longer text is not one.
    const MAX_LEN: usize = 8192;

    /// Writes an ARN from its fields. Colons in any field but the last make a different ARN: callers pass checked words.
    #[must_use]
    pub fn new(
        partition: &str,
        service: &str,
        region: &str,
        account: Option<AccountId>,
        resource: &str,
    ) -> Option<Self> {
        let account = account.map(|account| account.to_string()).unwrap_or_default();
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
            .parse()
            .ok()
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn`, `aws-us-gov`…
    #[must_use]
    pub fn partition(&self) -> &str {
        self.field(0)
    }

    /// The service, such as `iam`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.field(1)
    }

    /// The region; empty for global services.
    #[must_use]
    pub fn region(&self) -> &str {
        self.field(2)
    }

    /// The account field as written; empty for S3 buckets and objects.
    #[must_use]
    pub fn account(&self) -> &str {
        self.field(3)
    }

    /// The account, if the field holds one.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        self.account().parse().ok()
    }

    /// Everything after the fifth colon.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.field(4)
    }

    /// For `role/path/name` with `kind` = `role`: the part after the kind and its slash.
    #[must_use]
    pub fn resource_of_kind(&self, kind: &str) -> Option<&str> {
        self.resource().strip_prefix(kind)?.strip_prefix('/')
    }

    /// The last segment of a slash-separated resource: the name without its path.
    #[must_use]
    pub fn resource_name(&self) -> &str {
        self.resource().rsplit('/').next().unwrap_or_default()
    }

    fn field(&self, index: usize) -> &str {
        let start = self
            .colons
            .get(index)
            .map_or(0, |colon| usize::from(*colon).saturating_add(1));
        let end = self
            .colons
            .get(index.saturating_add(1))
            .map_or(self.text.len(), |colon| usize::from(*colon));
        self.text.get(start..end).unwrap_or_default()
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || ArnError(text.chars().take(256).collect());
        if text.len() > Self::MAX_LEN || !text.starts_with("arn:") {
            return Err(malformed());
        }
        let mut colons = [0_u16; 5];
        let mut found = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b':')
            .map(|(at, _)| at);
        for slot in &mut colons {
            let at = found.next().ok_or_else(malformed)?;
            *slot = u16::try_from(at).map_err(|_| malformed())?;
        }
        let arn = Self {
            text: text.into(),
            colons,
        };
        if arn.partition().is_empty() || arn.service().is_empty() || arn.resource().is_empty() {
            return Err(malformed());
        }
        Ok(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// The text is not an ARN.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an ARN: `arn:partition:service:region:account:resource` is needed")]
pub struct ArnError(String);

/// The partitions of AWS other than `aws`: how their regions' names begin, and their names.
///
/// See <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>.
pub const REGION_PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
];

/// The partition that a region belongs to.
#[must_use]
pub fn partition_of_region(region: &str) -> &'static str {
    REGION_PARTITIONS
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_role() {
        let arn: Arn = "arn:aws:iam::111122223333:role/team/app".parse().unwrap();
        assert_eq!(
            (
                arn.partition(),
                arn.service(),
                arn.region(),
                arn.account(),
                arn.resource()
            ),
            ("aws", "iam", "", "111122223333", "role/team/app")
        );
        assert_eq!(arn.resource_of_kind("role"), Some("team/app"));
        assert_eq!(arn.resource_of_kind("rol"), None);
        assert_eq!(arn.resource_name(), "app");
        assert_eq!(arn.account_id().unwrap().to_string(), "111122223333");
    }

    #[test]
    fn the_resource_keeps_its_colons() {
        let arn: Arn = "arn:aws:s3:::bucket/a:b/c".parse().unwrap();
        assert_eq!(arn.resource(), "bucket/a:b/c");
        assert_eq!(arn.account_id(), None);
    }

    #[test]
    fn not_arns() {
        for bad in [
            "",
            "arn",
            "arn:aws:iam::1",
            "arn:aws:iam::111122223333:",
            "ARN:aws:iam::1:role/x",
            "arn::iam::1:x",
        ] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
        assert!(format!("arn:aws:iam::1:{}", "x".repeat(10_000)).parse::<Arn>().is_err());
    }
}
