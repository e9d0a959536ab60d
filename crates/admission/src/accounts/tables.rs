//! Accounts as they lie in memory: clusters have tens of thousands of them.

use std::collections::HashMap;

use super::{Account, Entry, Rest};

/// How many beginnings of role ARNs are kept apart from their ends, and how long one may be. `arn:aws:iam::111122223333:role/` has 31 bytes.
pub(super) const MAX_PREFIXES: usize = 100;
const MAX_PREFIX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Accounts with annotations of ours, by the hashes of their keys. Of two with one hash the later counts, and the other is looked up.
    pub(super) entries: HashMap<u64, Packed>,
    /// What some of these say beside the role.
    pub(super) rests: HashMap<u64, Box<Rest>>,
    /// What role ARNs begin with.
    pub(super) prefixes: Vec<Box<str>>,
    /// Accounts without, by hash: the second since `Accounts::start` from which that can be relied on.
    pub(super) unbound: HashMap<u64, u32>,
}

/// An account's key and role in one piece of memory. Clusters have tens of thousands of these.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Packed(Box<str>);

/// What a [`Packed`] holds.
pub(super) struct Parts<'a> {
    /// The number of the role's prefix, from 1; 0: it has none.
    pub(super) prefix: u32,
    pub(super) key: &'a str,
    /// What stands after the prefix.
    pub(super) role: &'a str,
}

impl Packed {
    /// The prefix's number is a character of its own, and names have no zeros.
    pub(super) fn parts(&self) -> Parts<'_> {
        let mut characters = self.0.chars();
        let prefix = characters.next().map_or(0, u32::from);
        let (key, role) = characters.as_str().split_once('\0').unwrap_or_default();
        Parts { prefix, key, role }
    }

    pub(super) fn is_bound(&self) -> bool {
        let parts = self.parts();
        parts.prefix > 0 || !parts.role.is_empty()
    }
}

impl Tables {
    /// An account is as it was read.
    pub(super) fn set(&mut self, hash: u64, account: Account) {
        let Some(Entry { role_arn, rest }) = account.entry else {
            self.entries.remove(&hash);
            self.rests.remove(&hash);
            return;
        };
        let packed = self.pack(&account.key, &role_arn);
        // Most are as they were: their memory stays where it is.
        if self.entries.get(&hash) != Some(&packed) {
            self.entries.insert(hash, packed);
        }
        match rest {
            Some(rest) => drop(self.rests.insert(hash, rest)),
            None => drop(self.rests.remove(&hash)),
        }
    }

    pub(super) fn pack(&mut self, key: &str, role_arn: &str) -> Packed {
        let (prefix, role) = match self.prefix_of(role_arn) {
            Some((number, role)) => (number, role),
            None => ('\0', role_arn),
        };
        let length = prefix.len_utf8().saturating_add(key.len()).saturating_add(role.len());
        let mut text = String::with_capacity(length.saturating_add(1));
        text.push(prefix);
        text.push_str(key);
        text.push('\0');
        text.push_str(role);
        Packed(text.into_boxed_str())
    }

    /// The roles of a cluster are of a few accounts. The number of what the ARN begins with, and the rest.
    pub(super) fn prefix_of<'a>(&mut self, role_arn: &'a str) -> Option<(char, &'a str)> {
        let end = role_arn.find(":role/")?.saturating_add(":role/".len());
        let (prefix, role) = role_arn.split_at_checked(end)?;
        let known = self.prefixes.iter().position(|known| **known == *prefix);
        let place = match known {
            Some(place) => place,
            None if self.prefixes.len() < MAX_PREFIXES && prefix.len() <= MAX_PREFIX => {
                self.prefixes.push(prefix.into());
                self.prefixes.len().checked_sub(1)?
            }
            None => return None,
        };
        let number = u32::try_from(place.checked_add(1)?).ok()?;
        Some((char::from_u32(number)?, role))
    }

    /// The entry of this account, and not of another with its hash.
    pub(super) fn entry(&self, hash: u64, key: &str) -> Option<&Packed> {
        self.entries.get(&hash).filter(|entry| entry.parts().key == key)
    }

    pub(super) fn role_arn(&self, entry: &Packed) -> String {
        let parts = entry.parts();
        let place = usize::try_from(parts.prefix)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let prefix = place.and_then(|place| self.prefixes.get(place));
        [prefix.map_or("", |prefix| prefix), parts.role].concat()
    }

    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.rests.shrink_to_fit();
        self.unbound.shrink_to_fit();
    }
}
