//! Listings of versions.

use irsa_core::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::listing::{after_all, find, first_key};
use super::rows::{self, COLUMNS};
use super::version::Naming;
use super::{ListQuery, ObjectRow, ObjectStoreError, Version, bucket_key};

/// What to list of the versions of a bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct VersionQuery {
    /// Only keys that begin so.
    pub(crate) prefix: String,
    /// Keys that share everything up to and with this are given as one common prefix. Empty: none are.
    pub(crate) delimiter: String,
    /// Only what comes after this key; with a version, also older versions of this key.
    pub(crate) after: String,
    pub(crate) after_version: Option<Version>,
    /// At most so many versions and common prefixes together.
    pub(crate) limit: usize,
}

/// A page of versions: in the order of the keys' bytes, those of one key from new to old.
#[derive(Clone, Debug, Default)]
pub(crate) struct VersionPage {
    pub(crate) entries: Vec<ListedVersion>,
    /// Whether there is more after the last entry.
    pub(crate) truncated: bool,
}

/// One entry of a listing of versions.
#[derive(Clone, Debug)]
pub(crate) enum ListedVersion {
    Object {
        key: String,
        row: Box<ObjectRow>,
        latest: bool,
    },
    Marker {
        key: String,
        version: Version,
        modified: Timestamp,
        latest: bool,
    },
    Prefix(String),
}

/// Where a page begins.
struct Start {
    key: Vec<u8>,
    /// Only versions of the key that are older than the one at this place; `None`: all of them.
    below: Option<i64>,
}

/// Lists one page. Costs one index seek for each common prefix and one step for each version: both tables are in the order of the
/// listing, and what they hold is merged.
pub(super) fn list(
    connection: &Connection,
    naming: &Naming,
    bucket: Uuid,
    query: &VersionQuery,
) -> Result<VersionPage, ObjectStoreError> {
    let mut page = VersionPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut start = first(connection, naming, bucket, query)?;
    // The key of the entry before; a version of the same key is not its latest.
    let mut before = start.below.map(|_| start.key.clone());
    if let Some(below) = start.below {
        let mut rest = connection.prepare_cached(&merged(REST_OF_KEY))?;
        let mut rows = rest.query(params![bucket_key(bucket), start.key, below])?;
        while let Some(row) = rows.next()? {
            if page.entries.len() == query.limit {
                page.truncated = true;
                return Ok(page);
            }
            page.entries.push(entry(row, false)?);
        }
        start.key.push(0);
    }
    let mut statement = connection.prepare_cached(&merged(FROM_KEY))?;
    'seek: loop {
        let mut rows = statement.query(params![bucket_key(bucket), start.key])?;
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
                let prefix = key.get(..query.prefix.len().saturating_add(end)).unwrap_or(key);
                start.key = after_all(prefix);
                page.entries
                    .push(ListedVersion::Prefix(String::from_utf8_lossy(prefix).into_owned()));
                continue 'seek;
            }
            let latest = before.as_deref() != Some(key);
            if latest {
                before = Some(key.to_vec());
            }
            page.entries.push(entry(row, latest)?);
        }
        return Ok(page);
    }
}

const REST_OF_KEY: &str = "key = ?2 AND sequence < ?3";
const FROM_KEY: &str = "key >= ?2";

/// What a listing asks.
#[cfg(test)]
pub(super) fn statements() -> [String; 2] {
    [REST_OF_KEY, FROM_KEY].map(merged)
}

/// All versions that are so, in the order of the listing.
fn merged(condition: &str) -> String {
    format!(
        "SELECT key, {COLUMNS} FROM objects WHERE bucket = ?1 AND {condition}
         UNION ALL SELECT key, {COLUMNS} FROM versions WHERE bucket = ?1 AND {condition}
         ORDER BY key, sequence DESC"
    )
}

fn entry(row: &rusqlite::Row<'_>, latest: bool) -> Result<ListedVersion, ObjectStoreError> {
    let key = String::from_utf8_lossy(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?).into_owned();
    let stored = rows::stored(row, 1)?;
    Ok(match stored.object {
        Some(row) => ListedVersion::Object {
            key,
            row: Box::new(row),
            latest,
        },
        None => ListedVersion::Marker {
            key,
            version: stored.marker.version,
            modified: stored.marker.modified,
            latest,
        },
    })
}

fn first(
    connection: &Connection,
    naming: &Naming,
    bucket: Uuid,
    query: &VersionQuery,
) -> Result<Start, ObjectStoreError> {
    let (prefix, after) = (query.prefix.as_bytes(), query.after.as_bytes());
    if let Some(version) = query.after_version
        && let Some(rest) = after.strip_prefix(prefix)
        && find(rest, query.delimiter.as_bytes()).is_none()
    {
        let place = match rows::version(connection, bucket, &query.after, version)? {
            Some(found) => Some(found.sequence),
            // It is gone. Where it was tells its name; the null version's does not, and then nothing is left out rather than too much.
            None => naming.place(version),
        };
        return Ok(Start {
            key: after.to_vec(),
            below: place,
        });
    }
    let key = first_key(&ListQuery {
        prefix: query.prefix.clone(),
        delimiter: query.delimiter.clone(),
        after: query.after.clone(),
        limit: query.limit,
    });
    Ok(Start { key, below: None })
}
