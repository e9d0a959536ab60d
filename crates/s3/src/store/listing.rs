use irsa_core::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Attributes, ObjectStoreError, bucket_key};

/// What to list of a bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListQuery {
    /// Only keys that begin so.
    pub(crate) prefix: String,
    /// Keys that share everything up to and with this are given as one common prefix. Empty: none are.
    pub(crate) delimiter: String,
    /// Only what comes after this in the order of bytes, keys and common prefixes alike.
    pub(crate) after: String,
    /// At most so many keys and common prefixes together.
    pub(crate) limit: usize,
}

/// A page of a listing, in the order of the keys' bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ListPage {
    pub(crate) entries: Vec<Listed>,
    /// Whether there is more after the last entry.
    pub(crate) truncated: bool,
}

/// One entry of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Listed {
    Object {
        key: String,
        size: u64,
        etag: String,
        modified: Timestamp,
        /// Algorithm and value of the stored checksum.
        checksum: Option<(String, String)>,
    },
    Prefix(String),
}

impl Listed {
    /// What the next page comes after.
    pub(crate) fn position(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// Lists one page. Costs one index seek for each common prefix, and one step for each object, however many keys are behind a prefix.
pub(super) fn list(connection: &Connection, bucket: Uuid, query: &ListQuery) -> Result<ListPage, ObjectStoreError> {
    let mut page = ListPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut statement = connection.prepare_cached(
        "SELECT key, size, etag, modified, attributes FROM objects WHERE bucket = ?1 AND key >= ?2 ORDER BY key",
    )?;
    let mut from = first_key(query);
    'seek: loop {
        let mut rows = statement.query(params![bucket_key(bucket), from])?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let Some(rest) = key.strip_prefix(query.prefix.as_bytes()) else {
                return Ok(page);
            };
            if page.entries.len() == query.limit {
                page.truncated = true;
                return Ok(page);
            }
            if let Some(end) = find(rest, query.delimiter.as_bytes()) {
                let length = query.prefix.len().saturating_add(end);
                let prefix = key.get(..length).unwrap_or(key);
                from = after_all(prefix);
                page.entries.push(Listed::Prefix(text(prefix)));
                continue 'seek;
            }
            let attributes = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
            let attributes: Attributes = serde_json::from_str(attributes).map_err(ObjectStoreError::Row)?;
            page.entries.push(Listed::Object {
                key: text(key),
                size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
                etag: row.get(2)?,
                modified: Timestamp::from_unix_millis(row.get(3)?),
                checksum: attributes.checksum,
            });
        }
        return Ok(page);
    }
}

/// The smallest key that the page may hold.
pub(super) fn first_key(query: &ListQuery) -> Vec<u8> {
    let (prefix, after) = (query.prefix.as_bytes(), query.after.as_bytes());
    if after.is_empty() || after < prefix {
        return prefix.to_vec();
    }
    // `after` in the middle of a common prefix means that the common prefix is behind us.
    if let Some(rest) = after.strip_prefix(prefix)
        && let Some(end) = find(rest, query.delimiter.as_bytes())
    {
        return after_all(after.get(..prefix.len().saturating_add(end)).unwrap_or(after));
    }
    let mut next = after.to_vec();
    next.push(0);
    next
}

/// The smallest text that is greater than all that begin with `prefix`: its last byte is one more. UTF-8 has no byte 255.
pub(super) fn after_all(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    if let Some(last) = next.last_mut() {
        *last = last.saturating_add(1);
    }
    next
}

/// Where the first `needle` ends. An empty needle is nowhere.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
        .map(|at| at.saturating_add(needle.len()))
}

fn text(key: &[u8]) -> String {
    // Keys are written from texts, and a delimiter ends at a character's end.
    String::from_utf8_lossy(key).into_owned()
}
