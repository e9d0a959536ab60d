//! Multipart uploads: parts that arrive one by one in any order, and become an object at once or never.
//!
//! An upload's id is bound to its bucket and key: under another key there is no such upload. Its parts have content files of their
//! own, which the object takes over when the upload is completed, so that nothing is copied.

use std::ops::Range;
use std::sync::Arc;

use irsa_core::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::content::{ContentId, Contents, Garbage, Piece, Sealed};
use super::index::{Index, Touched};
use super::rows::{self, json, to_json};
use super::{
    Attributes, NotDone, ObjectRow, ObjectStoreError, Precondition, Refused, Status, Tags, Version, bucket_key,
};
use crate::bucket::Versioning;

/// The name of an upload: the milliseconds of its beginning and 80 random bits, so that the order of ids is the order of time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct UploadId([u8; 16]);

impl UploadId {
    fn new(now: Timestamp) -> Self {
        let [t0, t1, t2, t3, t4, t5] = Self::time(now);
        // All but the two bytes of a version 4 UUID that are not wholly random.
        let [a, b, c, d, e, f, _, g, _, h, i, j, ..] = Uuid::new_v4().into_bytes();
        Self([t0, t1, t2, t3, t4, t5, a, b, c, d, e, f, g, h, i, j])
    }

    fn time(now: Timestamp) -> [u8; 6] {
        let millis = u64::try_from(now.unix_millis()).unwrap_or_default().to_be_bytes();
        let [_, _, time @ ..] = millis;
        time
    }

    /// Reads what [`UploadId`]'s `Display` wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Uppercase digits would be a second name for one upload.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The owner of its parts, and the content of the object that it becomes.
    fn owner(self) -> ContentId {
        ContentId(self.0)
    }
}

impl std::fmt::Display for UploadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What is laid down when an upload begins.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct UploadSettings {
    /// The headers of the object.
    pub(crate) attributes: Attributes,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Tags,
    /// The checksum algorithm that the client chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) algorithm: Option<String>,
    /// Whether the object's checksum is one of its parts' checksums.
    pub(crate) composite: bool,
    /// Who began it.
    pub(crate) initiator: String,
}

/// An upload that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: UploadId,
    pub(crate) key: String,
    pub(crate) started: Timestamp,
    pub(crate) settings: UploadSettings,
}

/// One part of an upload or of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PartRow {
    /// 1 to 10,000. In an object, parts are counted from one.
    pub(crate) number: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// The MD5 in hex.
    pub(crate) etag: String,
    /// Algorithm and value in base64.
    pub(crate) checksum: Option<(String, String)>,
    pub(crate) modified: Timestamp,
}

/// The object that an upload becomes.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    /// The numbers of its parts, in order.
    pub(crate) parts: Vec<u32>,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Attributes,
}

/// What became of a completion.
#[derive(Clone, Debug)]
pub(crate) struct Completed {
    pub(crate) etag: String,
    pub(crate) checksum: Option<(String, String)>,
    /// The object's version, if its bucket has versions.
    pub(crate) version: Option<Version>,
    /// Whether an earlier request did it.
    pub(crate) before: bool,
}

/// What to list of the uploads of a bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadQuery {
    pub(crate) prefix: String,
    pub(crate) delimiter: String,
    /// Only what comes after this key; with an upload id, also later uploads of this key.
    pub(crate) after: String,
    pub(crate) after_upload: Option<UploadId>,
    pub(crate) limit: usize,
}

/// One entry of a listing of uploads.
#[derive(Clone, Debug)]
pub(crate) enum ListedUpload {
    Upload(Box<Upload>),
    Prefix(String),
}

const UPLOAD: &str = "id, key, started, settings";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        id: UploadId(row.get(0)?),
        key: String::from_utf8_lossy(row.get_ref(1)?.as_blob()?).into_owned(),
        started: Timestamp::from_unix_millis(row.get(2)?),
        settings: json(row, 3)?.unwrap_or_default(),
    })
}

fn part(row: &Row<'_>) -> rusqlite::Result<PartRow> {
    Ok(PartRow {
        number: row.get(0)?,
        size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
        etag: row.get(2)?,
        checksum: json(row, 3)?,
        modified: Timestamp::from_unix_millis(row.get(4)?),
    })
}

/// An upload, if it is one of this bucket and key.
pub(super) fn find(connection: &Connection, bucket: Uuid, key: &str, id: UploadId) -> rusqlite::Result<Option<Upload>> {
    connection
        .prepare_cached(&format!(
            "SELECT {UPLOAD} FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3"
        ))?
        .query_row(params![id.0, bucket_key(bucket), key.as_bytes()], upload)
        .optional()
}

/// Up to `limit` parts after a number.
pub(super) fn parts(
    connection: &Connection,
    owner: ContentId,
    after: u32,
    limit: usize,
) -> rusqlite::Result<Vec<PartRow>> {
    connection
        .prepare_cached(
            "SELECT number, size, etag, checksum, modified FROM parts WHERE owner = ?1 AND number > ?2
             ORDER BY number LIMIT ?3",
        )?
        .query_map(params![owner.0, after, i64::try_from(limit).unwrap_or(i64::MAX)], part)?
        .collect()
}

/// The parts of an upload; `None`: there is no such upload of this bucket and key.
pub(super) fn upload_parts(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    id: UploadId,
    after: u32,
    limit: usize,
) -> rusqlite::Result<Option<(Upload, Vec<PartRow>)>> {
    let Some(upload) = find(connection, bucket, key, id)? else {
        return Ok(None);
    };
    Ok(Some((upload, parts(connection, id.owner(), after, limit)?)))
}

/// Which files hold these bytes of an object that was uploaded in parts.
pub(super) fn pieces(connection: &Connection, owner: ContentId, range: &Range<u64>) -> rusqlite::Result<Vec<Piece>> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT content, start, size FROM parts WHERE owner = ?1 AND start < ?3 AND start + size > ?2 ORDER BY number",
        )?
        .query_map(params![owner.0, signed(range.start), signed(range.end)], |row| {
            let start = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
            let size = u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            let end = range.end.min(start.saturating_add(size));
            Ok(Piece {
                content: ContentId(row.get(0)?),
                range: range.start.saturating_sub(start)..end.saturating_sub(start),
            })
        })?
        .collect()
}

/// Where a part of an object begins, and its row; `number` counts from one.
pub(super) fn part_of_object(
    connection: &Connection,
    owner: ContentId,
    number: u32,
) -> rusqlite::Result<Option<(u64, PartRow)>> {
    connection
        .prepare_cached(
            "SELECT number, size, etag, checksum, modified, start FROM parts WHERE owner = ?1 AND number = ?2",
        )?
        .query_row(params![owner.0, number], |row| {
            Ok((u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(), part(row)?))
        })
        .optional()
}

/// One page of the uploads of a bucket by key, those of one key in the order of time; whether there is more.
pub(super) fn list(
    connection: &Connection,
    bucket: Uuid,
    query: &UploadQuery,
) -> Result<(Vec<ListedUpload>, bool), ObjectStoreError> {
    let mut entries = Vec::new();
    if query.limit == 0 {
        return Ok((entries, false));
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {UPLOAD} FROM uploads WHERE bucket = ?1 AND (key, id) >= (?2, ?3) ORDER BY key, id"
    ))?;
    let (mut key, mut id) = first(query);
    'seek: loop {
        let mut found = statement.query(params![bucket_key(bucket), key, id])?;
        while let Some(row) = found.next()? {
            let name = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let Some(rest) = name.strip_prefix(query.prefix.as_bytes()) else {
                return Ok((entries, false));
            };
            if entries.len() == query.limit {
                return Ok((entries, true));
            }
            if let Some(end) = super::listing::find(rest, query.delimiter.as_bytes()) {
                let prefix = name.get(..query.prefix.len().saturating_add(end)).unwrap_or(name);
                (key, id) = (super::listing::after_all(prefix), Vec::new());
                entries.push(ListedUpload::Prefix(String::from_utf8_lossy(prefix).into_owned()));
                continue 'seek;
            }
            entries.push(ListedUpload::Upload(Box::new(upload(row)?)));
        }
        return Ok((entries, false));
    }
}

/// The smallest key and id that the page may hold.
fn first(query: &UploadQuery) -> (Vec<u8>, Vec<u8>) {
    let (prefix, after) = (query.prefix.as_bytes(), query.after.as_bytes());
    match query.after_upload {
        Some(UploadId(id)) if after >= prefix => {
            let mut next = id.to_vec();
            next.push(0);
            (after.to_vec(), next)
        }
        _ => (
            super::listing::first_key(&super::ListQuery {
                prefix: query.prefix.clone(),
                delimiter: query.delimiter.clone(),
                after: query.after.clone(),
                limit: query.limit,
            }),
            Vec::new(),
        ),
    }
}

impl Index {
    pub(super) async fn create_upload(
        &self,
        bucket: Uuid,
        key: String,
        started: Timestamp,
        settings: UploadSettings,
    ) -> Result<Result<UploadId, Refused>, ObjectStoreError> {
        let id = UploadId::new(started);
        self.submit(
            Touched::Nothing,
            move |connection, closed| {
                if closed.contains(&bucket) {
                    return Ok(Err(Refused::BucketGone));
                }
                connection
                    .prepare_cached(
                        "INSERT INTO uploads (id, bucket, key, started, settings) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        id.0,
                        bucket_key(bucket),
                        key.as_bytes(),
                        started.unix_millis(),
                        to_json(&settings)?,
                    ])?;
                Ok(Ok(id))
            },
            |_| {},
        )
        .await
    }

    /// Makes a file a part of an upload, in the place of an earlier one of its number.
    pub(super) async fn put_part(
        &self,
        bucket: Uuid,
        key: String,
        id: UploadId,
        part: PartRow,
        file: Sealed,
    ) -> Result<Result<(), Refused>, ObjectStoreError> {
        let content = file.id();
        let mut file = Some(file);
        self.submit(
            Touched::Nothing,
            move |connection, closed| {
                if closed.contains(&bucket) {
                    return Ok(Err(Refused::BucketGone));
                }
                if find(connection, bucket, &key, id)?.is_none() {
                    return Ok(Err(Refused::NoSuchUpload));
                }
                let old = connection
                    .prepare_cached("SELECT content FROM parts WHERE owner = ?1 AND number = ?2")?
                    .query_row(params![id.0, part.number], |row| row.get(0).map(ContentId))
                    .optional()?;
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO parts (owner, number, content, start, size, etag, checksum, modified)
                         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        id.0,
                        part.number,
                        content.0,
                        i64::try_from(part.size).unwrap_or(i64::MAX),
                        part.etag,
                        part.checksum.as_ref().map(to_json).transpose()?,
                        part.modified.unix_millis(),
                    ])?;
                Ok(Ok(old))
            },
            move |outcome| {
                if let Ok(Ok(old)) = outcome
                    && let Some(file) = file.take()
                {
                    if let Some(old) = old {
                        file.contents().discard(*old);
                    }
                    file.keep();
                }
            },
        )
        .await
        .map(|done| done.map(drop))
    }

    /// Makes an upload an object. `plan` sees the upload and all of its parts, in the transaction that does it, and may run twice.
    #[expect(clippy::too_many_arguments, reason = "where, what, how, and where the garbage goes")]
    pub(super) async fn complete<E, P>(
        &self,
        bucket: Uuid,
        key: String,
        id: UploadId,
        precondition: Precondition,
        status: Status,
        mut plan: P,
        contents: Arc<Contents>,
    ) -> Result<Result<Completed, NotDone<E>>, ObjectStoreError>
    where
        E: Send + 'static,
        P: FnMut(&Upload, &[PartRow]) -> Result<Assembly, E> + Send + 'static,
    {
        let naming = self.naming();
        self.submit(
            Touched::Object(bucket, &key.clone()),
            move |connection, closed| {
                let Some(versioning) = status().filter(|_| !closed.contains(&bucket)) else {
                    return Ok(Err(NotDone::Refused(Refused::BucketGone)));
                };
                let Some(upload) = find(connection, bucket, &key, id)? else {
                    return Ok(match completed(connection, bucket, &key, id, versioning)? {
                        Some(completed) => Ok((completed, Vec::new())),
                        None => Err(NotDone::Refused(Refused::NoSuchUpload)),
                    });
                };
                let parts = parts(connection, id.owner(), 0, usize::MAX)?;
                let assembly = match plan(&upload, &parts) {
                    Ok(assembly) => assembly,
                    Err(error) => return Ok(Err(NotDone::Plan(error))),
                };
                let current = rows::current(connection, bucket, &key)?;
                let etag = current.as_ref().and_then(|row| row.object.as_ref()).map(|row| row.etag.as_str());
                if let Err(refused) = super::index::check(&precondition, etag) {
                    return Ok(Err(NotDone::Refused(refused)));
                }
                let (mut garbage, current) = (Vec::new(), current.as_ref());
                let (version, sequence) =
                    rows::supersede(connection, &naming, bucket, &key, current, versioning, &mut garbage)?;
                let (size, unused) = assemble(connection, id.owner(), &parts, &assembly.parts)?;
                garbage.push(unused);
                let completed = Completed {
                    etag: assembly.etag.clone(),
                    checksum: assembly.attributes.checksum.clone(),
                    version: versioning.tells(version),
                    before: false,
                };
                let row = ObjectRow {
                    content: id.owner(),
                    parts: u32::try_from(assembly.parts.len()).unwrap_or(u32::MAX),
                    size,
                    etag: assembly.etag,
                    modified: assembly.modified,
                    attributes: assembly.attributes,
                    tags: upload.settings.tags,
                    version,
                };
                rows::insert(connection, bucket, &key, &row, sequence)?;
                connection
                    .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
                    .execute([id.0])?;
                connection
                    .prepare_cached(
                        "INSERT INTO completed (id, bucket, key, etag, checksum, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![
                        id.0,
                        bucket_key(bucket),
                        key.as_bytes(),
                        row.etag,
                        completed.checksum.as_ref().map(to_json).transpose()?,
                        version.0,
                    ])?;
                Ok(Ok((completed, garbage)))
            },
            super::index::discard(contents),
        )
        .await
        .map(|done| done.map(|(completed, _)| completed))
    }

    /// Ends an upload; its parts go.
    pub(super) async fn abort_upload(
        &self,
        bucket: Uuid,
        key: String,
        id: UploadId,
        contents: Arc<Contents>,
    ) -> Result<Result<(), Refused>, ObjectStoreError> {
        self.submit(
            Touched::Nothing,
            move |connection, _| {
                if find(connection, bucket, &key, id)?.is_none() {
                    return Ok(Err(Refused::NoSuchUpload));
                }
                remove(connection, id).map(Ok)
            },
            move |outcome| {
                if let Ok(Ok(garbage)) = outcome {
                    contents.discard_all(garbage);
                }
            },
        )
        .await
        .map(|done| done.map(drop))
    }

    /// Ends up to `limit` uploads: those that began before an instant, or all of a bucket that is gone. How many there were.
    pub(super) async fn end_uploads(
        &self,
        which: Ending,
        limit: usize,
        contents: Arc<Contents>,
    ) -> Result<usize, ObjectStoreError> {
        self.submit(
            Touched::Nothing,
            move |connection, _| {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let ids: Vec<UploadId> = match which {
                    Ending::Before(instant) => {
                        let first = UploadId::time(instant);
                        connection
                            .prepare_cached("DELETE FROM completed WHERE id < ?1")?
                            .execute([first.as_slice()])?;
                        connection
                            .prepare_cached("SELECT id FROM uploads WHERE id < ?1 LIMIT ?2")?
                            .query_map(params![first.as_slice(), limit], |row| row.get(0).map(UploadId))?
                            .collect::<rusqlite::Result<_>>()?
                    }
                    Ending::Of(bucket) => connection
                        .prepare_cached("SELECT id FROM uploads WHERE bucket = ?1 LIMIT ?2")?
                        .query_map(params![bucket_key(bucket), limit], |row| row.get(0).map(UploadId))?
                        .collect::<rusqlite::Result<_>>()?,
                };
                ids.into_iter()
                    .map(|id| remove(connection, id))
                    .collect::<rusqlite::Result<Vec<_>>>()
            },
            move |outcome| {
                if let Ok(garbage) = outcome {
                    garbage.iter().for_each(|garbage| contents.discard_all(garbage));
                }
            },
        )
        .await
        .map(|ended| ended.len())
    }
}

/// Which uploads end though nobody asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Before(Timestamp),
    Of(Uuid),
}

fn remove(connection: &Connection, id: UploadId) -> rusqlite::Result<Garbage> {
    connection
        .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
        .execute([id.0])?;
    rows::remove_parts(connection, id.owner())
}

fn completed(
    connection: &Connection,
    bucket: Uuid,
    key: &str,
    id: UploadId,
    versioning: Versioning,
) -> rusqlite::Result<Option<Completed>> {
    connection
        .prepare_cached("SELECT etag, checksum, version FROM completed WHERE id = ?1 AND bucket = ?2 AND key = ?3")?
        .query_row(params![id.0, bucket_key(bucket), key.as_bytes()], |row| {
            Ok(Completed {
                etag: row.get(0)?,
                checksum: json(row, 1)?,
                version: versioning.tells(Version(row.get(2)?)),
                before: true,
            })
        })
        .optional()
}

/// Counts the chosen parts from one, lays them end to end, and removes the others. The object's size, and the files that go.
fn assemble(
    connection: &Connection,
    owner: ContentId,
    parts: &[PartRow],
    chosen: &[u32],
) -> rusqlite::Result<(u64, Garbage)> {
    let mut garbage = Garbage {
        owner: Some(owner),
        files: Vec::new(),
    };
    let mut take = connection.prepare_cached("DELETE FROM parts WHERE owner = ?1 AND number = ?2 RETURNING content")?;
    let mut place =
        connection.prepare_cached("UPDATE parts SET number = ?3, start = ?4 WHERE owner = ?1 AND number = ?2")?;
    let (mut count, mut size) = (0_u32, 0_u64);
    // Both are in the order of numbers, and a part's new number is never greater than its old one.
    for part in parts {
        if chosen.binary_search(&part.number).is_err() {
            let content = take.query_row(params![owner.0, part.number], |row| row.get(0).map(ContentId))?;
            garbage.files.push(content);
            continue;
        }
        count = count.saturating_add(1);
        place.execute(params![
            owner.0,
            part.number,
            count,
            i64::try_from(size).unwrap_or(i64::MAX)
        ])?;
        size = size.saturating_add(part.size);
    }
    Ok((size, garbage))
}
