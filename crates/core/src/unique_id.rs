use std::fmt;
use std::str::FromStr;

use crate::AccountId;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The kind of thing that a unique id names.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes>.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdPrefix {
    /// A role, `AROA`.
    Role,
    /// A user, `AIDA`.
    User,
    /// A group, `AGPA`.
    Group,
    /// A managed policy, `ANPA`.
    ManagedPolicy,
    /// An instance profile, `AIPA`.
    InstanceProfile,
}

impl IdPrefix {
    /// The four letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role => "AROA",
            Self::User => "AIDA",
            Self::Group => "AGPA",
            Self::ManagedPolicy => "ANPA",
            Self::InstanceProfile => "AIPA",
        }
    }
}

/// A stable unique id such as `AROAEXAMPLE1234567890`: prefix and 17 characters of base32.
///
/// It survives nothing but its entity: a role made anew under an old name has another one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UniqueId(Box<str>);

impl UniqueId {
    /// Makes an id from random bytes (85 bits of them are used).
    #[must_use]
    pub fn from_random(prefix: IdPrefix, random: [u8; 17]) -> Self {
        let tail = random.iter().map(|byte| base32_character(*byte));
        Self(prefix.as_str().chars().chain(tail).collect())
    }

    /// Takes an id that was stored or sealed by us.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An access key id: `AKIA…` for a long-term key, `ASIA…` for temporary credentials.
///
/// As on AWS, the sixteen characters after the prefix carry the account number, so that GetAccessKeyInfo needs no
/// look-up: base32 gives 80 bits, of which bits 1 to 40 are the account.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccessKeyId(Box<str>);

impl AccessKeyId {
    /// Makes a long-term key's id.
    #[must_use]
    pub fn long_term(account: AccountId, random: [u8; 5]) -> Self {
        Self::mint("AKIA", account, random)
    }

    /// Makes the id of temporary credentials.
    #[must_use]
    pub fn temporary(account: AccountId, random: [u8; 5]) -> Self {
        Self::mint("ASIA", account, random)
    }

    fn mint(prefix: &str, account: AccountId, random: [u8; 5]) -> Self {
        let random = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        // Bit 79 is set, so that the first character is never one that reads as a padded zero; 39 bits are random.
        let bits = 1_u128 << 79 | u128::from(account.number()) << 39 | random & ((1 << 39) - 1);
        let tail = (0..16_u32).map(|index| base32_character((bits >> (75 - 5 * index) & 31) as u8));
        Self(prefix.chars().chain(tail).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the prefix is that of temporary credentials, which need a session token.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }

    /// The account that is written into an id of 20 characters; `None` for ids of any other form.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        let tail = self.0.get(4..).filter(|tail| tail.len() == 16)?;
        let mut bits = 0_u128;
        for byte in tail.bytes() {
            let digit = BASE32.iter().position(|character| *character == byte)?;
            bits = bits << 5 | digit as u128;
        }
        AccountId::from_number(u64::try_from(bits >> 39 & ((1 << 40) - 1)).ok()?)
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccessKeyId {
    type Err = AccessKeyIdError;

    /// 16 to 128 word characters (the STS model's `accessKeyIdType`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !(16..=128).contains(&text.len()) || !word {
            return Err(AccessKeyIdError(text.chars().take(128).collect()));
        }
        Ok(Self(text.into()))
    }
}

/// The text is not an access key id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an access key id: 16 to 128 letters, digits and underscores are needed")]
pub struct AccessKeyIdError(String);

fn base32_character(value: u8) -> char {
    BASE32
        .get(usize::from(value & 31))
        .map_or('A', |byte| char::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_readable_from_the_key() {
        for number in [0, 1, 111_122_223_333, 999_999_999_999] {
            let account = AccountId::from_number(number).unwrap();
            let key = AccessKeyId::temporary(account, [255, 1, 2, 3, 254]);
            assert_eq!(key.as_str().len(), 20);
            assert!(key.is_temporary());
            assert_eq!(key.account(), Some(account));
            assert!(!AccessKeyId::long_term(account, [0; 5]).is_temporary());
        }
    }

    #[test]
    fn ids_have_twenty_one_characters() {
        let id = UniqueId::from_random(IdPrefix::Role, [255; 17]);
        assert_eq!(id.as_str(), "AROA77777777777777777");
    }

    #[test]
    fn not_access_key_ids() {
        for bad in ["", "AKIA", "AKIA/AAAAAAAAAAAAAAA", &"A".repeat(129)] {
            assert!(bad.parse::<AccessKeyId>().is_err(), "{bad}");
        }
    }
}
