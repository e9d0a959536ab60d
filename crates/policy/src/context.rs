//! The condition keys of one request.

use std::fmt;

/// A key's name folded to 32 bits without regard to ASCII case. Collisions are settled by comparing the names.
#[inline]
pub(crate) fn key_hash(key: &[u8]) -> u32 {
    const CASE: u64 = 0x2020_2020_2020_2020;
    fn word(bytes: &[u8]) -> u64 {
        let mut word = [0_u8; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        u64::from_le_bytes(word) | CASE
    }
    // Keys of one service share their beginning, keys of one issuer too: the ends tell them apart, with the length.
    let head = match key.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk) | CASE,
        None => word(key),
    };
    let tail = match key.last_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk) | CASE,
        None => 0,
    };
    let middle = match key.get(key.len() / 2..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) => u64::from_le_bytes(*chunk) | CASE,
        None => 0,
    };
    let mixed = head.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ tail.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(23)
        ^ middle.wrapping_mul(0x1656_67b1_9e37_79f9).rotate_left(41)
        ^ (key.len() as u64).wrapping_mul(0x27d4_eb2f_1656_67c5);
    let [.., a, b, c, d] = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Whether two names differ in ASCII case at most. Mostly they do not differ at all, which is the quicker question.
#[inline]
pub(crate) fn same_name(one: &[u8], other: &[u8]) -> bool {
    same(one, other) || differ_in_case(one, other)
}

#[cold]
#[inline(never)]
fn differ_in_case(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether two texts are equal. Most are short: up to 32 bytes are compared in place, without a call.
#[inline]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    /// Compares the first and the last `N` bytes, which overlap in texts shorter than both.
    #[inline]
    fn ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk::<N>() && one.last_chunk::<N>() == other.last_chunk::<N>()
    }
    one.len() == other.len()
        && match one.len() {
            0..4 => one.iter().eq(other),
            4..8 => ends::<4>(one, other),
            8..16 => ends::<8>(one, other),
            16..=32 => ends::<16>(one, other),
            _ => one == other,
        }
}

/// A condition key as a policy names it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: Box<str>,
    hash: u32,
}

impl Key {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            hash: key_hash(text.as_bytes()),
        }
    }
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    key: Span,
    /// The value in the texts; of a list, its range in `spans`.
    value: Span,
    list: bool,
}

/// The condition keys of one request: case-insensitive names, each with a single value or a list.
///
/// Built once per request, so it is a few growing buffers: all texts stand in one string, and a table of bytes leads
/// from a key's hash to its entry. The first keys are in the table; those of an unusually long list are searched.
#[derive(Clone)]
pub struct Context {
    texts: String,
    entries: Vec<Entry>,
    spans: Vec<Span>,
    /// By hash, with linear probing: the number of an entry plus one, or zero.
    table: [u8; TABLE],
}

/// Slots of the table, a power of two.
const TABLE: usize = 128;
/// Entries in the table: half of it stays empty, so a probe ends.
const IN_TABLE: usize = 64;

/// What a request says about one key.
#[derive(Clone, Copy)]
pub enum Values<'c> {
    /// Nothing. An empty list counts as nothing too.
    Absent,
    /// One value of a single-valued key.
    Single(&'c str),
    /// The values of a multivalued key; at least one.
    List(ValueList<'c>),
}

/// The values of a multivalued key.
#[derive(Clone, Copy)]
pub struct ValueList<'c> {
    texts: &'c str,
    spans: &'c [Span],
}

impl<'c> ValueList<'c> {
    /// The values in the order they were given.
    pub fn iter(self) -> impl Iterator<Item = &'c str> {
        self.spans.iter().map(move |span| slice(self.texts, *span))
    }

    /// How many values there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Never: an empty list is [`Values::Absent`].
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }
}

/// A key that differs only in case from one that is there already.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the condition key `{0}` is there twice")]
pub struct RepeatedKeyError(String);

impl Context {
    const EMPTY: Self = Self {
        texts: String::new(),
        entries: Vec::new(),
        spans: Vec::new(),
        table: [0; TABLE],
    };

    /// No keys, and room for those of a usual request.
    #[must_use]
    pub fn new() -> Self {
        Self {
            texts: String::with_capacity(1024),
            entries: Vec::with_capacity(32),
            spans: Vec::new(),
            table: [0; TABLE],
        }
    }

    /// Gives `key` one value, in place of what it had.
    // Inlined so that the hash of a name that is a constant of the caller is one too.
    #[inline]
    pub fn set(&mut self, key: &str, value: impl AsRef<str>) {
        self.set_one(key, key_hash(key.as_bytes()), value.as_ref());
    }

    /// Gives `key` a list of values, in place of what it had.
    pub fn set_list<V: AsRef<str>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) {
        let name = self.push_text(key);
        let start = offset(self.spans.len());
        for value in values {
            let span = self.push_text(value.as_ref());
            self.spans.push(span);
        }
        let value = Span {
            start,
            end: offset(self.spans.len()),
        };
        self.put(key.as_bytes(), key_hash(key.as_bytes()), name, value, true);
    }

    fn set_one(&mut self, key: &str, hash: u32, value: &str) {
        let name = self.push_text(key);
        let value = self.push_text(value);
        self.put(key.as_bytes(), hash, name, value, false);
    }

    /// As [`set`](Self::set), for keys that come from outside.
    ///
    /// # Errors
    /// The key is there already, in any case: such a request is refused, because either value could be the lie.
    pub fn try_set(&mut self, key: &str, value: impl AsRef<str>) -> Result<(), RepeatedKeyError> {
        self.refuse_repeat(key)?;
        self.set(key, value);
        Ok(())
    }

    /// As [`set_list`](Self::set_list), for keys that come from outside.
    ///
    /// # Errors
    /// As [`try_set`](Self::try_set).
    pub fn try_set_list<V: AsRef<str>>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), RepeatedKeyError> {
        self.refuse_repeat(key)?;
        self.set_list(key, values);
        Ok(())
    }

    /// Takes `key` away.
    pub fn remove(&mut self, key: &str) {
        let hash = key_hash(key.as_bytes());
        let is_key = |entry: &Entry| entry.is(key.as_bytes(), hash, &self.texts);
        if let Some(index) = self.entries.iter().position(is_key) {
            self.entries.swap_remove(index);
            self.table = [0; TABLE];
            for index in 0..self.entries.len() {
                self.enter(index);
            }
        }
    }

    /// What the request says about `key`, whose case does not matter.
    #[must_use]
    pub fn get(&self, key: &str) -> Values<'_> {
        self.values(self.entry(key.as_bytes(), key_hash(key.as_bytes())))
    }

    /// Every key with its values, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Values<'_>)> {
        self.entries
            .iter()
            .map(|entry| (slice(&self.texts, entry.key), self.values(Some(entry))))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub(crate) fn find(&self, key: &Key) -> Values<'_> {
        self.values(self.entry(key.text.as_bytes(), key.hash))
    }

    #[inline]
    fn values(&self, entry: Option<&Entry>) -> Values<'_> {
        let Some(entry) = entry else {
            return Values::Absent;
        };
        if !entry.list {
            return Values::Single(slice(&self.texts, entry.value));
        }
        match self.spans.get(entry.value.start as usize..entry.value.end as usize) {
            Some(spans) if !spans.is_empty() => Values::List(ValueList {
                texts: &self.texts,
                spans,
            }),
            _ => Values::Absent,
        }
    }

    #[inline]
    fn entry(&self, key: &[u8], hash: u32) -> Option<&Entry> {
        for slot in probe(hash) {
            let number = self.table.get(slot).copied().unwrap_or_default();
            if number == 0 {
                break;
            }
            let entry = self.entries.get(usize::from(number).wrapping_sub(1));
            if entry.is_some_and(|entry| entry.is(key, hash, &self.texts)) {
                return entry;
            }
        }
        let rest = self.entries.get(IN_TABLE..)?;
        rest.iter().find(|entry| entry.is(key, hash, &self.texts))
    }

    /// Puts an entry into the table, if it is one of the first.
    fn enter(&mut self, index: usize) {
        let (Some(entry), true) = (self.entries.get(index), index < IN_TABLE) else {
            return;
        };
        for slot in probe(entry.hash) {
            if let Some(free @ 0) = self.table.get_mut(slot) {
                *free = u8::try_from(index.saturating_add(1)).unwrap_or_default();
                return;
            }
        }
    }

    fn refuse_repeat(&self, key: &str) -> Result<(), RepeatedKeyError> {
        match self.entry(key.as_bytes(), key_hash(key.as_bytes())) {
            Some(_) => Err(RepeatedKeyError(key.chars().take(128).collect())),
            None => Ok(()),
        }
    }

    /// Puts an entry in place of the one with its name, or beside the others.
    fn put(&mut self, name: &[u8], hash: u32, key: Span, value: Span, list: bool) {
        let entry = Entry { hash, key, value, list };
        let number = self.entries.len();
        if number < IN_TABLE {
            for slot in probe(hash) {
                let Some(place) = self.table.get_mut(slot) else {
                    break;
                };
                if *place == 0 {
                    *place = u8::try_from(number.saturating_add(1)).unwrap_or_default();
                    self.entries.push(entry);
                    return;
                }
                let old = self.entries.get_mut(usize::from(*place).wrapping_sub(1));
                if let Some(old) = old
                    && old.is(name, hash, &self.texts)
                {
                    *old = entry;
                    return;
                }
            }
        }
        let old = self.entries.iter_mut().find(|old| old.is(name, hash, &self.texts));
        match old {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    fn push_text(&mut self, text: &str) -> Span {
        let start = offset(self.texts.len());
        self.texts.push_str(text);
        Span {
            start,
            end: offset(self.texts.len()),
        }
    }
}

impl Entry {
    #[inline]
    fn is(&self, key: &[u8], hash: u32, texts: &str) -> bool {
        self.hash == hash
            && texts
                .as_bytes()
                .get(self.key.start as usize..self.key.end as usize)
                .is_some_and(|name| same_name(name, key))
    }
}

/// What patterns without variables are matched under.
pub(crate) static NO_KEYS: Context = Context::EMPTY;

impl Default for Context {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("(absent)"),
            Self::Single(value) => write!(f, "{value:?}"),
            Self::List(values) => f.debug_list().entries(values.iter()).finish(),
        }
    }
}

/// The slots to look at for a hash, in order.
fn probe(hash: u32) -> impl Iterator<Item = usize> {
    let first = hash as usize;
    (0..TABLE).map(move |step| first.wrapping_add(step) % TABLE)
}

/// A request of 4 GiB never gets here: bodies and headers are bounded far below. Beyond it, values read as empty.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn slice(texts: &str, span: Span) -> &str {
    texts.get(span.start as usize..span.end as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_values_keep_it() {
        let mut context = Context::new();
        context.set("aws:SourceIp", "10.0.0.1");
        context.set_list("aws:TagKeys", ["A", "b"]);
        context.set_list("aws:CalledVia", Vec::<String>::new());
        assert!(matches!(context.get("AWS:SOURCEIP"), Values::Single("10.0.0.1")));
        assert!(matches!(context.get("aws:tagkeys"), Values::List(list) if list.iter().eq(["A", "b"])));
        assert!(matches!(context.get("aws:CalledVia"), Values::Absent));
        assert!(matches!(context.get("aws:Source"), Values::Absent));
        assert_eq!(context.len(), 3);
    }

    #[test]
    fn set_replaces_and_try_set_refuses() {
        let mut context = Context::default();
        context.set("k", "1");
        context.set("K", "2");
        assert!(matches!(context.get("k"), Values::Single("2")));
        assert!(context.try_set("k", "3").is_err());
        assert!(context.try_set_list("K", ["3"]).is_err());
        assert!(context.try_set("k2", "3").is_ok());
        context.remove("k");
        assert!(matches!(context.get("k"), Values::Absent));
        assert!(matches!(context.get("K2"), Values::Single("3")));
    }

    #[test]
    fn more_keys_than_the_table_holds() {
        let mut context = Context::new();
        for key in 0..300 {
            context.set(&format!("aws:RequestTag/key-{key}"), format!("{key}"));
        }
        context.remove("aws:requesttag/KEY-7");
        context.remove("aws:requesttag/KEY-299");
        for key in 0..299 {
            let found = context.get(&format!("AWS:requesttag/key-{key}"));
            match found {
                Values::Single(value) => assert_eq!(value, key.to_string()),
                other => assert!(key == 7 && matches!(other, Values::Absent), "{key}: {other:?}"),
            }
        }
        assert_eq!(context.len(), 298);
    }

    #[test]
    fn hashes_tell_common_keys_apart_and_ignore_case() {
        let keys = [
            "aws:PrincipalArn",
            "aws:PrincipalAccount",
            "aws:PrincipalOrgID",
            "aws:PrincipalType",
            "aws:userid",
            "aws:username",
            "aws:SourceIp",
            "aws:SourceVpc",
            "aws:SourceVpce",
            "aws:SecureTransport",
            "aws:CurrentTime",
            "aws:EpochTime",
            "aws:UserAgent",
            "aws:referer",
            "aws:RequestedRegion",
            "s3:prefix",
            "s3:delimiter",
            "s3:max-keys",
            "s3:x-amz-acl",
            "aws:TokenIssueTime",
            "aws:MultiFactorAuthPresent",
            "aws:FederatedProvider",
            "sts:RoleSessionName",
            "oidc.example.com/id/A:sub",
            "oidc.example.com/id/A:aud",
            "oidc.example.com/id/A:amr",
        ];
        let hashes: std::collections::HashSet<u32> = keys.iter().map(|key| key_hash(key.as_bytes())).collect();
        assert_eq!(hashes.len(), keys.len());
        for key in keys {
            assert_eq!(key_hash(key.as_bytes()), key_hash(key.to_ascii_uppercase().as_bytes()));
        }
    }
}
