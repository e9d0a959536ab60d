//! The words of the table: access levels, types of condition keys, and where global keys come from.

use std::fmt;

/// What kind of access an action gives, in AWS's five levels.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_understand-policy-summary-access-level-summaries.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessLevel {
    /// Sees that resources exist.
    List,
    /// Reads contents and attributes.
    Read,
    /// Creates, changes or deletes.
    Write,
    /// Changes tags only.
    Tagging,
    /// Grants or changes permissions.
    PermissionsManagement,
}

impl AccessLevel {
    /// All of them, from harmless to powerful.
    pub const ALL: [Self; 5] = [
        Self::List,
        Self::Read,
        Self::Write,
        Self::Tagging,
        Self::PermissionsManagement,
    ];

    /// As AWS writes it, `Permissions management` for example.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "List",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Tagging => "Tagging",
            Self::PermissionsManagement => "Permissions management",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The letter that stands for it in the table.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::List => "L",
            Self::Read => "R",
            Self::Write => "W",
            Self::Tagging => "T",
            Self::PermissionsManagement => "P",
        }
    }

    pub(crate) fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.letter() == letter)
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The type of one value of a condition key. It decides which condition operators fit.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Text.
    String,
    /// A decimal number.
    Numeric,
    /// `true` or `false`.
    Bool,
    /// A date and time.
    Date,
    /// An ARN.
    Arn,
    /// An IP address or range.
    IpAddress,
    /// Bytes, base64 in the policy.
    Binary,
}

impl ValueType {
    const ALL: [Self; 7] = [
        Self::String,
        Self::Numeric,
        Self::Bool,
        Self::Date,
        Self::Arn,
        Self::IpAddress,
        Self::Binary,
    ];

    /// As AWS writes it: `String`, `Numeric`, `Bool`, `Date`, `ARN`, `IPAddress` or `Binary`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Numeric => "Numeric",
            Self::Bool => "Bool",
            Self::Date => "Date",
            Self::Arn => "ARN",
            Self::IpAddress => "IPAddress",
            Self::Binary => "Binary",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The type of a condition key: the type of its values, and whether a request can bring several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyType {
    /// The type of one value.
    pub value: ValueType,
    /// Whether the key is multivalued (AWS writes `ArrayOfString`): its conditions need `ForAllValues` or `ForAnyValue`.
    pub is_multivalued: bool,
}

impl KeyType {
    /// Reads AWS's spelling, `ArrayOfARN` for example.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let single = name.strip_prefix("ArrayOf");
        let value = ValueType::ALL
            .into_iter()
            .find(|value| value.name() == single.unwrap_or(name))?;
        Some(Self {
            value,
            is_multivalued: single.is_some(),
        })
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_multivalued {
            formatter.write_str("ArrayOf")?;
        }
        formatter.write_str(self.value.name())
    }
}

/// What a global condition key tells about.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyCategory {
    /// The principal that asks.
    Principal,
    /// The role session that asks.
    Session,
    /// The network the request came through.
    Network,
    /// The resource that is asked for.
    Resource,
    /// The request itself.
    Request,
}

impl KeyCategory {
    const ALL: [Self; 5] = [
        Self::Principal,
        Self::Session,
        Self::Network,
        Self::Resource,
        Self::Request,
    ];

    /// In one lower-case word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Session => "session",
            Self::Network => "network",
            Self::Resource => "resource",
            Self::Request => "request",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

impl fmt::Display for KeyCategory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How many actions something covers, by access level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Width {
    /// Of level [`AccessLevel::List`].
    pub list: usize,
    /// Of level [`AccessLevel::Read`].
    pub read: usize,
    /// Of level [`AccessLevel::Write`].
    pub write: usize,
    /// Of level [`AccessLevel::Tagging`].
    pub tagging: usize,
    /// Of level [`AccessLevel::PermissionsManagement`].
    pub permissions_management: usize,
}

impl Width {
    /// Of all levels.
    #[must_use]
    pub fn total(&self) -> usize {
        let counts = AccessLevel::ALL.into_iter().map(|level| self.count(level));
        counts.fold(0, usize::saturating_add)
    }

    /// Of one level.
    #[must_use]
    pub fn count(&self, level: AccessLevel) -> usize {
        match level {
            AccessLevel::List => self.list,
            AccessLevel::Read => self.read,
            AccessLevel::Write => self.write,
            AccessLevel::Tagging => self.tagging,
            AccessLevel::PermissionsManagement => self.permissions_management,
        }
    }

    pub(crate) fn add(&mut self, level: AccessLevel, count: usize) {
        let known = self.count_mut(level);
        *known = known.saturating_add(count);
    }

    pub(crate) fn count_mut(&mut self, level: AccessLevel) -> &mut usize {
        match level {
            AccessLevel::List => &mut self.list,
            AccessLevel::Read => &mut self.read,
            AccessLevel::Write => &mut self.write,
            AccessLevel::Tagging => &mut self.tagging,
            AccessLevel::PermissionsManagement => &mut self.permissions_management,
        }
    }
}
