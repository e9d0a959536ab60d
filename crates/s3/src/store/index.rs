use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use irsa_core::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::content::{Contents, Garbage, Sealed};
use super::rows::{self, Stored};
use super::{Deleted, ObjectRow, ObjectStoreError, Precondition, Refused, Tags, Version, Versioning, bucket_key};

/// The version of the tables, kept in SQLite's `user_version`.
const VERSION: i64 = 2;
/// So many writes share one commit at most.
const GROUP: usize = 512;
/// So many idle read connections are kept.
const IDLE_READERS: usize = 8;

/// What makes version 1 of nothing, and each version of the one before.
const STEPS: [&str; 2] = [
    "
BEGIN IMMEDIATE;
CREATE TABLE objects (
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    content BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX objects_content ON objects (content);
PRAGMA user_version = 1;
COMMIT;
",
    // `content` of an object with parts is the `owner` of its parts, as it was the id of the upload.
    "
BEGIN IMMEDIATE;
ALTER TABLE objects ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN tags TEXT;
ALTER TABLE objects ADD COLUMN version BLOB;
ALTER TABLE objects ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
CREATE INDEX objects_tagged ON objects (bucket) WHERE tags IS NOT NULL;
CREATE TABLE versions (
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    version BLOB,
    content BLOB,
    parts INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    tags TEXT,
    PRIMARY KEY (bucket, key, sequence)
) WITHOUT ROWID;
CREATE UNIQUE INDEX versions_content ON versions (content) WHERE content IS NOT NULL;
CREATE INDEX versions_id ON versions (bucket, key, version);
CREATE INDEX versions_tagged ON versions (bucket) WHERE tags IS NOT NULL;
CREATE TABLE uploads (
    id BLOB NOT NULL PRIMARY KEY,
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    started INTEGER NOT NULL,
    settings TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX uploads_key ON uploads (bucket, key, id);
CREATE TABLE parts (
    owner BLOB NOT NULL,
    number INTEGER NOT NULL,
    content BLOB NOT NULL,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    modified INTEGER NOT NULL,
    PRIMARY KEY (owner, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX parts_content ON parts (content);
CREATE TABLE completed (
    id BLOB NOT NULL PRIMARY KEY,
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    version BLOB
) WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;
",
];

/// Which object has which content. One thread writes, and gathers the writes that wait into one commit.
pub(super) struct Index {
    /// `None` while it is dropped.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

impl Drop for Index {
    fn drop(&mut self) {
        // The writer ends when nobody can send it more. Waiting for it keeps the folder locked until the last write is settled.
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, ObjectStoreError> {
        let connection = connect(path)?;
        prepare(&connection).map_err(|error| match error {
            ObjectStoreError::Index(source) => diagnose(path, source),
            other => other,
        })?;
        let (jobs, queue) = mpsc::channel::<Box<dyn Job>>();
        let writer = std::thread::Builder::new()
            .name("s3-index".to_owned())
            .spawn(move || write_all(&connection, &queue))
            .map_err(|source| super::content::fail("start the writer of", path, source))?;
        Ok(Self {
            jobs: Some(jobs),
            writer: Some(writer),
            readers: Arc::new(Readers {
                path: path.to_owned(),
                idle: Mutex::new(Vec::new()),
            }),
        })
    }

    pub(super) fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.readers)
    }

    /// Looks one object up. Blocks.
    pub(super) fn find(&self, bucket: Uuid, key: &str) -> Result<Option<ObjectRow>, ObjectStoreError> {
        self.readers
            .with(|connection| Ok(rows::current(connection, bucket, key)?.and_then(|row| row.object)))
    }

    /// Looks one version up, or the newest, which may be a delete marker. Blocks.
    #[cfg_attr(not(test), expect(dead_code, reason = "operations on versions are not there yet"))]
    pub(super) fn find_version(
        &self,
        bucket: Uuid,
        key: &str,
        version: Option<Version>,
    ) -> Result<Option<Stored>, ObjectStoreError> {
        self.readers.with(|connection| match version {
            Some(version) => Ok(rows::version(connection, bucket, key, version)?),
            None => match rows::current(connection, bucket, key)? {
                Some(row) => Ok(Some(row)),
                None => Ok(rows::newest(connection, bucket, key)?),
            },
        })
    }

    pub(super) async fn put(
        &self,
        bucket: Uuid,
        key: String,
        mut row: ObjectRow,
        file: Sealed,
        precondition: Precondition,
        versioning: Versioning,
    ) -> Result<Result<ObjectRow, Refused>, ObjectStoreError> {
        let mut file = Some(file);
        self.submit(
            move |connection, closed| {
                if closed.contains(&bucket) {
                    return Ok(Err(Refused::BucketGone));
                }
                let current = rows::current(connection, bucket, &key)?;
                if let Err(refused) = check(&precondition, etag_of(current.as_ref())) {
                    return Ok(Err(refused));
                }
                let mut garbage = Vec::new();
                let (version, sequence) =
                    rows::supersede(connection, bucket, &key, current.as_ref(), versioning, &mut garbage)?;
                row.version = version;
                rows::insert(connection, bucket, &key, &row, sequence)?;
                Ok(Ok((row.clone(), garbage)))
            },
            move |outcome| {
                if let Ok(Ok((_, garbage))) = outcome
                    && let Some(file) = file.take()
                {
                    garbage.iter().for_each(|garbage| file.contents().discard_all(garbage));
                    file.keep();
                }
            },
        )
        .await
        .map(|done| done.map(|(row, _)| row))
    }

    /// Removes an object, or hides it behind a delete marker.
    pub(super) async fn delete(
        &self,
        bucket: Uuid,
        key: String,
        contents: Arc<Contents>,
        precondition: Precondition,
        versioning: Versioning,
        now: Timestamp,
    ) -> Result<Result<Deleted, Refused>, ObjectStoreError> {
        self.submit(
            move |connection, closed| {
                let mut garbage = Vec::new();
                let current = rows::current(connection, bucket, &key)?;
                if let Err(refused) = check(&precondition, etag_of(current.as_ref())) {
                    return Ok(Err(refused));
                }
                if versioning == Versioning::Off && current.is_none() {
                    return Ok(Ok((Deleted::default(), garbage)));
                }
                if versioning != Versioning::Off && closed.contains(&bucket) {
                    return Ok(Err(Refused::BucketGone));
                }
                let (version, sequence) =
                    rows::supersede(connection, bucket, &key, current.as_ref(), versioning, &mut garbage)?;
                let mut deleted = Deleted {
                    existed: current.is_some(),
                    ..Deleted::default()
                };
                if versioning != Versioning::Off {
                    rows::insert_marker(connection, bucket, &key, version, now, sequence)?;
                    (deleted.version, deleted.marker) = (Some(version), true);
                }
                Ok(Ok((deleted, garbage)))
            },
            move |outcome| {
                if let Ok(Ok((_, garbage))) = outcome {
                    garbage.iter().for_each(|garbage| contents.discard_all(garbage));
                }
            },
        )
        .await
        .map(|done| done.map(|(deleted, _)| deleted))
    }

    /// Removes one version for good; what is under it comes to light.
    #[cfg_attr(not(test), expect(dead_code, reason = "operations on versions are not there yet"))]
    pub(super) async fn delete_version(
        &self,
        bucket: Uuid,
        key: String,
        version: Version,
        contents: Arc<Contents>,
        precondition: Precondition,
    ) -> Result<Result<Deleted, Refused>, ObjectStoreError> {
        self.submit(
            move |connection, _| {
                let mut garbage = Vec::new();
                let found = rows::version(connection, bucket, &key, version)?;
                if let Err(refused) = check(&precondition, etag_of(found.as_ref())) {
                    return Ok(Err(refused));
                }
                let Some(found) = found else {
                    return Ok(Ok((Deleted::default(), garbage)));
                };
                let is_current =
                    rows::current(connection, bucket, &key)?.is_some_and(|current| current.version == version);
                if is_current {
                    // As if versioning were off: for good.
                    rows::supersede(connection, bucket, &key, Some(&found), Versioning::Off, &mut garbage)?;
                } else {
                    rows::delete_old(connection, bucket, &key, version, &mut garbage)?;
                }
                rows::promote(connection, bucket, &key)?;
                let deleted = Deleted {
                    existed: true,
                    version: Some(version),
                    marker: found.object.is_none(),
                };
                Ok(Ok((deleted, garbage)))
            },
            move |outcome| {
                if let Ok(Ok((_, garbage))) = outcome {
                    garbage.iter().for_each(|garbage| contents.discard_all(garbage));
                }
            },
        )
        .await
        .map(|done| done.map(|(deleted, _): (Deleted, Vec<Garbage>)| deleted))
    }

    /// The buckets in which objects have tags, or will have them when their upload is completed.
    pub(super) fn tagged(&self) -> Result<HashSet<Uuid>, ObjectStoreError> {
        self.readers.with(|connection| {
            let mut statement = connection.prepare(
                "SELECT DISTINCT bucket FROM objects WHERE tags IS NOT NULL
                 UNION SELECT DISTINCT bucket FROM versions WHERE tags IS NOT NULL
                 UNION SELECT DISTINCT bucket FROM uploads",
            )?;
            let buckets = statement.query_map([], |row| row.get::<_, [u8; 16]>(0).map(Uuid::from_bytes))?;
            Ok(buckets.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Gives an object other tags, if it has those that the decision saw.
    pub(super) async fn set_tags(
        &self,
        bucket: Uuid,
        key: String,
        seen: Tags,
        tags: Tags,
    ) -> Result<Result<(), Refused>, ObjectStoreError> {
        self.submit(
            move |connection, _| {
                let Some(object) = rows::current(connection, bucket, &key)?.and_then(|row| row.object) else {
                    return Ok(Err(Refused::NoSuchKey));
                };
                let seen: Vec<(&str, &str)> = seen.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                if !super::tagging::same_tags(&seen, &object.tags) {
                    return Ok(Err(Refused::Changed));
                }
                connection
                    .prepare_cached("UPDATE objects SET tags = ?3 WHERE bucket = ?1 AND key = ?2")?
                    .execute(rusqlite::params![
                        bucket_key(bucket),
                        key.as_bytes(),
                        rows::tags_column(&tags)?
                    ])?;
                Ok(Ok(()))
            },
            |_| {},
        )
        .await
    }

    pub(super) async fn close_bucket(&self, bucket: Uuid) -> Result<bool, ObjectStoreError> {
        self.submit(
            move |connection, closed| {
                let occupied = connection
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)
                             OR EXISTS (SELECT 1 FROM versions WHERE bucket = ?1)",
                    )?
                    .query_row([bucket_key(bucket)], |row| row.get::<_, bool>(0))?;
                if !occupied {
                    closed.insert(bucket);
                }
                Ok(!occupied)
            },
            |_| {},
        )
        .await
    }

    pub(super) async fn reopen_bucket(&self, bucket: Uuid) -> Result<(), ObjectStoreError> {
        self.submit(
            move |_, closed| {
                closed.remove(&bucket);
                Ok(())
            },
            |_| {},
        )
        .await
    }

    /// Hands a write to the writer. `run` may run twice, in transactions of which the first is rolled back; `settle` runs
    /// once, when the outcome is on disk, also when the caller has gone away.
    pub(super) async fn submit<T, R, S>(&self, run: R, settle: S) -> Result<T, ObjectStoreError>
    where
        T: Send + 'static,
        R: FnMut(&Connection, &mut Closed) -> rusqlite::Result<T> + Send + 'static,
        S: FnMut(&Result<T, ObjectStoreError>) + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let job = Submitted {
            run,
            settle,
            value: None,
            answer,
        };
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(Box::new(job)).ok())
            .ok_or(ObjectStoreError::Stopped)?;
        outcome.await.unwrap_or(Err(ObjectStoreError::Stopped))
    }
}

/// Buckets that take no more objects. They are removed from the registry next; ids are never used again.
pub(super) type Closed = HashSet<Uuid>;

trait Job: Send {
    fn run(&mut self, connection: &Connection, closed: &mut Closed) -> rusqlite::Result<()>;
    fn settle(self: Box<Self>, commit: Result<(), ObjectStoreError>);
}

struct Submitted<T, R, S> {
    run: R,
    settle: S,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, ObjectStoreError>>,
}

impl<T, R, S> Job for Submitted<T, R, S>
where
    T: Send + 'static,
    R: FnMut(&Connection, &mut Closed) -> rusqlite::Result<T> + Send,
    S: FnMut(&Result<T, ObjectStoreError>) + Send,
{
    fn run(&mut self, connection: &Connection, closed: &mut Closed) -> rusqlite::Result<()> {
        self.value = Some((self.run)(connection, closed)?);
        Ok(())
    }

    fn settle(mut self: Box<Self>, commit: Result<(), ObjectStoreError>) {
        let outcome = commit.and_then(|()| self.value.take().ok_or(ObjectStoreError::Stopped));
        (self.settle)(&outcome);
        // The caller may have gone away; the outcome stands.
        let _ = self.answer.send(outcome);
    }
}

/// The writer: takes what waits, and commits it at once.
fn write_all(connection: &Connection, queue: &mpsc::Receiver<Box<dyn Job>>) {
    let mut closed = Closed::new();
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        match commit(connection, &mut group, &mut closed) {
            Ok(()) => group.into_iter().for_each(|job| job.settle(Ok(()))),
            // One bad write must not take the others along: each is tried again alone.
            Err(_) => {
                for job in group {
                    let mut alone = [job];
                    let outcome = commit(connection, &mut alone, &mut closed);
                    if let Err(error) = &outcome {
                        tracing::error!(%error, "the object index cannot be written");
                    }
                    let [job] = alone;
                    job.settle(outcome.map_err(ObjectStoreError::Index));
                }
            }
        }
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>], closed: &mut Closed) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = group
        .iter_mut()
        .try_for_each(|job| job.run(connection, closed))
        .and_then(|()| connection.execute_batch("COMMIT"));
    if done.is_err() && !connection.is_autocommit() {
        // A failed rollback leaves the transaction open, and the next `BEGIN` fails in its turn: nothing is acknowledged.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

/// Read connections; each serves one look-up at a time.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Runs a query. Blocks.
    pub(super) fn with<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ObjectStoreError>,
    ) -> Result<T, ObjectStoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path)?;
                connection.execute_batch("PRAGMA query_only = ON")?;
                connection
            }
        };
        let outcome = query(&connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        outcome
    }
}

fn connect(path: &Path) -> Result<Connection, ObjectStoreError> {
    let connection = Connection::open(path).map_err(|source| diagnose(path, source))?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(32);
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(|source| diagnose(path, source))?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), ObjectStoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(steps) = usize::try_from(found).ok().and_then(|done| STEPS.get(done..)) else {
        return Err(ObjectStoreError::Newer { found, known: VERSION });
    };
    for step in steps {
        connection.execute_batch(step)?;
    }
    // Touches the trees, so that a file cut short is noticed now and not at the first request.
    for (column, table) in [("bucket", "objects"), ("content", "objects"), ("owner", "parts")] {
        connection.query_row(&format!("SELECT max({column}) FROM {table}"), [], |_| Ok(()))?;
    }
    Ok(())
}

fn diagnose(path: &Path, source: rusqlite::Error) -> ObjectStoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => ObjectStoreError::Damaged {
            path: path.to_owned(),
            source,
        },
        _ => ObjectStoreError::Index(source),
    }
}

fn etag_of(row: Option<&Stored>) -> Option<&str> {
    row.and_then(|row| row.object.as_ref())
        .map(|object| object.etag.as_str())
}

pub(super) fn check(precondition: &Precondition, etag: Option<&str>) -> Result<(), Refused> {
    match (precondition, etag) {
        (Precondition::None, _) | (Precondition::Absent, None) | (Precondition::Present, Some(_)) => Ok(()),
        (Precondition::ETag(wanted), Some(etag)) if wanted == etag => Ok(()),
        (Precondition::Present | Precondition::ETag(_), None) => Err(Refused::NoSuchKey),
        (Precondition::Absent | Precondition::ETag(_), Some(_)) => Err(Refused::Precondition),
    }
}

/// The first version of the tables, as releases before multipart uploads made it.
#[cfg(test)]
pub(super) fn create_first_tables(connection: &Connection) {
    connection.execute_batch(STEPS[0]).unwrap();
}

#[cfg(test)]
pub(super) fn create_tables(connection: &Connection) {
    STEPS.iter().for_each(|step| connection.execute_batch(step).unwrap());
}
