//! The rows of objects and of their versions, as one transaction changes them.
//!
//! `objects` has the current version of each object, unless that is a delete marker. `versions` has all others, and delete markers,
//! which have no content. Versions of one key are in the order of their sequence numbers.

use irsa_core::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::content::{ContentId, Garbage};
use super::version::Naming;
use super::{Marker, ObjectRow, Refused, Version, bucket_key};
use crate::bucket::Versioning;

/// What is read of a row of either table.
pub(super) const COLUMNS: &str = "content, parts, size, etag, modified, attributes, tags, version, sequence";

/// A row of either table.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// `None`: a delete marker.
    pub(super) object: Option<ObjectRow>,
    /// Version and time, of an object too.
    pub(super) marker: Marker,
    /// The place among the versions of the key; the newest has the highest.
    pub(super) sequence: i64,
}

/// Reads a row whose columns from `at` on are [`COLUMNS`].
pub(super) fn stored(row: &Row<'_>, at: usize) -> rusqlite::Result<Stored> {
    let column = |number: usize| at.saturating_add(number);
    let version = Version(row.get(column(7))?);
    let modified = Timestamp::from_unix_millis(row.get(column(4))?);
    let object = match row.get::<_, Option<[u8; 16]>>(column(0))? {
        None => None,
        Some(content) => Some(ObjectRow {
            content: ContentId(content),
            parts: u32::try_from(row.get::<_, i64>(column(1))?).unwrap_or_default(),
            size: u64::try_from(row.get::<_, i64>(column(2))?).unwrap_or_default(),
            etag: row.get(column(3))?,
            modified,
            attributes: json(row, column(5))?.unwrap_or_default(),
            tags: json(row, column(6))?.unwrap_or_default(),
            version,
        }),
    };
    Ok(Stored {
        object,
        marker: Marker { version, modified },
        sequence: row.get(column(8))?,
    })
}

/// A column that holds JSON or nothing.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)? else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// A value as the JSON of a column.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The current version, unless it is a delete marker.
pub(super) fn current(connection: &Connection, bucket: Uuid, key: &str) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM objects WHERE bucket = ?1 AND key = ?2"))?
        .query_row(params![bucket_key(bucket), key.as_bytes()], |row| stored(row, 0))
        .optional()
}

/// The newest of the versions that are not the current object.
pub(super) fn newest(connection: &Connection, bucket: Uuid, key: &str) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM versions WHERE bucket = ?1 AND key = ?2 ORDER BY sequence DESC LIMIT 1"
        ))?
        .query_row(params![bucket_key(bucket), key.as_bytes()], |row| stored(row, 0))
        .optional()
}

/// Finds a version that is not the current object by its id. SQLite would rather look through all versions of the key.
pub(super) fn by_id() -> String {
    format!("SELECT {COLUMNS} FROM versions INDEXED BY versions_id WHERE bucket = ?1 AND key = ?2 AND version IS ?3")
}

/// One version of an object, current or not.
pub(super) fn version(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    version: Version,
) -> rusqlite::Result<Option<Stored>> {
    if let Some(row) = current(connection, bucket, key)?.filter(|row| row.marker.version == version) {
        return Ok(Some(row));
    }
    connection
        .prepare_cached(&by_id())?
        .query_row(params![bucket_key(bucket), key.as_bytes(), version.0], |row| {
            stored(row, 0)
        })
        .optional()
}

/// The version that is meant: the one of this id, or the newest.
pub(super) fn find(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    wanted: Option<Version>,
) -> rusqlite::Result<Result<ObjectRow, Refused>> {
    let found = match wanted {
        Some(wanted) => version(connection, bucket, key, wanted)?,
        None => match current(connection, bucket, key)? {
            Some(row) => Some(row),
            None => newest(connection, bucket, key)?,
        },
    };
    Ok(match found {
        Some(Stored { object: Some(row), .. }) => Ok(row),
        Some(Stored { marker, .. }) => Err(Refused::Marker(marker)),
        None if wanted.is_some() => Err(Refused::NoSuchVersion),
        None => Err(Refused::NoSuchKey),
    })
}

/// Makes room for a new newest version: keeps or removes what is there, as the bucket's versioning says. The version and the sequence
/// number of the new one.
pub(super) fn supersede(
    connection: &Connection,
    naming: &Naming,
    bucket: Uuid,
    key: &str,
    current: Option<&Stored>,
    versioning: Versioning,
    garbage: &mut Vec<Garbage>,
) -> rusqlite::Result<(Version, i64)> {
    let newest = newest(connection, bucket, key)?;
    let last = current.into_iter().chain(&newest).map(|row| row.sequence).max();
    match current {
        None => {}
        // Also where versioning is off: a version with an id of its own goes only by its id.
        Some(row) if versioning == Versioning::Enabled || row.marker.version != Version::NULL => {
            connection
                .prepare_cached(&format!(
                    "INSERT INTO versions (bucket, key, {COLUMNS}) SELECT bucket, key, {COLUMNS} FROM objects
                     WHERE bucket = ?1 AND key = ?2"
                ))?
                .execute(params![bucket_key(bucket), key.as_bytes()])?;
            delete_current(connection, bucket, key)?;
        }
        Some(row) => {
            if let Some(object) = &row.object {
                garbage.push(contents(connection, object)?);
            }
            delete_current(connection, bucket, key)?;
        }
    }
    let sequence = last.map_or(0, |last| last.saturating_add(1));
    if versioning == Versioning::Enabled {
        return Ok((naming.name(sequence), sequence));
    }
    if newest.is_some() {
        delete_old(connection, bucket, key, Version::NULL, garbage)?;
    }
    Ok((Version::NULL, sequence))
}

/// Makes this the current version; there must be none.
pub(super) fn insert(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    row: &ObjectRow,
    sequence: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO objects (bucket, key, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        ))?
        .execute(params![
            bucket_key(bucket),
            key.as_bytes(),
            row.content.0,
            row.parts,
            i64::try_from(row.size).unwrap_or(i64::MAX),
            row.etag,
            row.modified.unix_millis(),
            to_json(&row.attributes)?,
            tags_column(&row.tags)?,
            row.version.0,
            sequence,
        ])?;
    Ok(())
}

/// Tags as a column: nothing if there are none.
pub(super) fn tags_column(tags: &[(String, String)]) -> rusqlite::Result<Option<String>> {
    (!tags.is_empty()).then(|| to_json(&tags)).transpose()
}

/// Makes a delete marker the newest version.
pub(super) fn insert_marker(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    version: Version,
    modified: Timestamp,
    sequence: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO versions (bucket, key, parts, size, etag, modified, attributes, version, sequence)
             VALUES (?1, ?2, 0, 0, '', ?3, '{}', ?4, ?5)",
        )?
        .execute(params![
            bucket_key(bucket),
            key.as_bytes(),
            modified.unix_millis(),
            version.0,
            sequence
        ])?;
    Ok(())
}

/// Removes one version, whichever it is; what is under the newest comes to light. `None`: there is none of this id.
pub(super) fn remove(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    wanted: Version,
    garbage: &mut Vec<Garbage>,
) -> rusqlite::Result<Option<Stored>> {
    let Some(found) = version(connection, bucket, key, wanted)? else {
        return Ok(None);
    };
    let current = current(connection, bucket, key)?;
    match (&found.object, current.filter(|row| row.marker.version == wanted)) {
        (Some(object), Some(_)) => {
            garbage.push(contents(connection, object)?);
            delete_current(connection, bucket, key)?;
        }
        _ => drop(delete_old(connection, bucket, key, wanted, garbage)?),
    }
    promote(connection, bucket, key)?;
    Ok(Some(found))
}

/// Removes the current version, whose contents are dealt with.
fn delete_current(connection: &Connection, bucket: Uuid, key: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
        .execute(params![bucket_key(bucket), key.as_bytes()])?;
    Ok(())
}

/// Removes a version that is not the current object; whether there was one.
fn delete_old(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    version: Version,
    garbage: &mut Vec<Garbage>,
) -> rusqlite::Result<bool> {
    let place = params![bucket_key(bucket), key.as_bytes(), version.0];
    let found = connection
        .prepare_cached(&by_id())?
        .query_row(place, |row| stored(row, 0))
        .optional()?;
    let Some(found) = found else { return Ok(false) };
    if let Some(object) = &found.object {
        garbage.push(contents(connection, object)?);
    }
    connection
        .prepare_cached("DELETE FROM versions WHERE bucket = ?1 AND key = ?2 AND version IS ?3")?
        .execute(place)?;
    Ok(true)
}

/// After a version was removed: the newest one that is left becomes current, if it is no delete marker.
fn promote(connection: &Connection, bucket: Uuid, key: &str) -> rusqlite::Result<()> {
    if current(connection, bucket, key)?.is_some() {
        return Ok(());
    }
    let Some(newest) = newest(connection, bucket, key)?.filter(|row| row.object.is_some()) else {
        return Ok(());
    };
    let place = params![bucket_key(bucket), key.as_bytes(), newest.sequence];
    connection
        .prepare_cached(&format!(
            "INSERT INTO objects (bucket, key, {COLUMNS}) SELECT bucket, key, {COLUMNS} FROM versions
             WHERE bucket = ?1 AND key = ?2 AND sequence = ?3"
        ))?
        .execute(place)?;
    connection
        .prepare_cached("DELETE FROM versions WHERE bucket = ?1 AND key = ?2 AND sequence = ?3")?
        .execute(place)?;
    Ok(())
}

/// The content files of an object that goes, and away with the rows of its parts.
fn contents(connection: &Connection, object: &ObjectRow) -> rusqlite::Result<Garbage> {
    if object.parts == 0 {
        return Ok(Garbage {
            owner: None,
            files: vec![object.content],
        });
    }
    remove_parts(connection, object.content)
}

/// Removes all parts of an upload, or of an object that was one.
pub(super) fn remove_parts(connection: &Connection, owner: ContentId) -> rusqlite::Result<Garbage> {
    let files = connection
        .prepare_cached("SELECT content FROM parts WHERE owner = ?1")?
        .query_map([owner.0], |row| row.get(0).map(ContentId))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    connection
        .prepare_cached("DELETE FROM parts WHERE owner = ?1")?
        .execute([owner.0])?;
    Ok(Garbage {
        owner: Some(owner),
        files,
    })
}
