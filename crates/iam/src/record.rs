//! What is stored, one JSON object a record. The encodings live here and nowhere else.

use serde::{Deserialize, Serialize};

/// An account: the boundary of everything else.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRecord {
    /// Twelve digits.
    pub id: String,
    /// A name for operators.
    pub name: String,
    /// Milliseconds since the epoch.
    pub created: i64,
}

/// A tag as its owner wrote it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// Up to 256 characters.
    pub value: String,
}

/// A policy that lives inside its role or user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InlinePolicy {
    /// The name as first written; it is looked up without regard to case.
    pub name: String,
    /// The document as sent.
    pub document: String,
}

/// A user or role that a trust policy names, as it was when the policy was written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedPrincipal {
    /// The ARN in the document.
    pub arn: String,
    /// The unique id behind it: another entity made later under the same name is not trusted.
    pub id: String,
}

/// A role.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRecord {
    /// The name as created.
    pub name: String,
    /// Begins and ends with a slash.
    pub path: String,
    /// `AROA…`.
    pub id: String,
    /// Milliseconds since the epoch.
    pub created: i64,
    /// The trust policy as sent.
    pub trust_policy: String,
    /// The users and roles that the trust policy names.
    pub trusted_principals: Vec<TrustedPrincipal>,
    /// Empty if none was given.
    pub description: Option<String>,
    /// Seconds, 3600 to 43200.
    pub max_session_duration: i32,
    /// ARN of the managed policy that is the permissions boundary.
    pub permissions_boundary: Option<String>,
    /// Inline policies in the order of their creation.
    pub inline_policies: Vec<InlinePolicy>,
    /// ARNs of attached managed policies in the order of their attachment.
    pub attached_policies: Vec<String>,
    /// Tags in the order in which they were written.
    pub tags: Vec<Tag>,
}

/// A user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UserRecord {
    /// The name as created.
    pub name: String,
    /// Begins and ends with a slash.
    pub path: String,
    /// `AIDA…`.
    pub id: String,
    /// Milliseconds since the epoch.
    pub created: i64,
    /// ARN of the managed policy that is the permissions boundary.
    pub permissions_boundary: Option<String>,
    /// Inline policies in the order of their creation.
    pub inline_policies: Vec<InlinePolicy>,
    /// ARNs of attached managed policies in the order of their attachment.
    pub attached_policies: Vec<String>,
    /// Tags in the order in which they were written.
    pub tags: Vec<Tag>,
}

/// One version of a managed policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyVersion {
    /// The number behind the `v`.
    pub number: u32,
    /// The document as sent.
    pub document: String,
    /// Milliseconds since the epoch.
    pub created: i64,
}

/// A customer managed policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRecord {
    /// The name as created.
    pub name: String,
    /// Begins and ends with a slash.
    pub path: String,
    /// `ANPA…`.
    pub id: String,
    /// Milliseconds since the epoch.
    pub created: i64,
    /// Milliseconds since the epoch of the last change of a version.
    pub updated: i64,
    /// Empty if none was given.
    pub description: Option<String>,
    /// Oldest first; never empty.
    pub versions: Vec<PolicyVersion>,
    /// Number of the version in force.
    pub default_version: u32,
    /// The number that the next version gets: numbers are never used twice.
    pub next_version: u32,
    /// Tags in the order in which they were written.
    pub tags: Vec<Tag>,
}

/// An OIDC provider.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRecord {
    /// The issuer URL without its scheme, exactly as registered: the provider's identity.
    pub url: String,
    /// Audiences, unique, in the order in which they were added.
    pub client_ids: Vec<String>,
    /// SHA-1 thumbprints in lower case.
    pub thumbprints: Vec<String>,
    /// Milliseconds since the epoch.
    pub created: i64,
    /// Tags in the order in which they were written.
    pub tags: Vec<Tag>,
}

/// Whether a long-term key may be used.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AccessKeyStatus {
    /// It may.
    Active,
    /// It is kept, and refused.
    Inactive,
}

impl AccessKeyStatus {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }
}

/// A long-term access key of a user, or of the account's root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeyRecord {
    /// `AKIA…`.
    pub id: String,
    /// The secret, sealed under the key-encryption key with the id as associated data; base64.
    pub sealed_secret: String,
    /// The user's name as created; none for the root.
    pub user: Option<String>,
    /// Whether it may be used.
    pub status: AccessKeyStatus,
    /// Milliseconds since the epoch.
    pub created: i64,
}
