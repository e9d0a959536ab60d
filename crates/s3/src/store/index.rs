use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use irsa_core::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::content::{Contents, Garbage, Sealed};
use super::recent::{Recent, Writing};
use super::rows::{self, Stored};
use super::schema;
use super::version::Naming;
use super::{Deleted, ObjectRow, ObjectStoreError, Precondition, Refused, Status, Tags, Version, Written, bucket_key};
use crate::bucket::Versioning;

/// So many writes share one commit at most.
const GROUP: usize = 512;
/// So many idle read connections are kept.
const IDLE_READERS: usize = 8;

/// Which object has which content. One thread writes, and gathers the writes that wait into one commit.
pub(super) struct Index {
    /// `None` while it is dropped.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    naming: Arc<Naming>,
    recent: Arc<Recent>,
}

/// What a write may change besides uploads: so that nobody reads an object of yesterday, no write goes without saying it.
pub(super) enum Touched<'a> {
    /// Versions of one object, the newest among them.
    Object(Uuid, &'a str),
    /// No object.
    Nothing,
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
        schema::prepare(&connection).map_err(|error| match error {
            ObjectStoreError::Index(source) => diagnose(path, source),
            other => other,
        })?;
        let secret = connection.query_row("SELECT value FROM secrets WHERE name = 'versions'", [], |row| {
            row.get(0)
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
            naming: Arc::new(Naming::new(secret)),
            recent: Arc::new(Recent::new()),
        })
    }

    pub(super) fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.readers)
    }

    /// Objects that were read a moment ago.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(super) fn naming(&self) -> Arc<Naming> {
        Arc::clone(&self.naming)
    }

    /// Looks up the version of this id, or the newest. Blocks.
    pub(super) fn find(
        &self,
        bucket: Uuid,
        key: &str,
        version: Option<Version>,
    ) -> Result<Result<ObjectRow, Refused>, ObjectStoreError> {
        self.readers
            .with(|connection| Ok(rows::find(connection, bucket, key, version)?))
    }

    pub(super) async fn put(
        &self,
        bucket: Uuid,
        key: String,
        mut row: ObjectRow,
        file: Sealed,
        precondition: Precondition,
        status: Status,
    ) -> Result<Result<Written, Refused>, ObjectStoreError> {
        let (mut file, naming) = (Some(file), self.naming());
        self.submit(
            Touched::Object(bucket, &key.clone()),
            move |connection, closed| {
                let Some(versioning) = status().filter(|_| !closed.contains(&bucket)) else {
                    return Ok(Err(Refused::BucketGone));
                };
                let current = rows::current(connection, bucket, &key)?;
                if let Err(refused) = check(&precondition, etag_of(current.as_ref())) {
                    return Ok(Err(refused));
                }
                let (mut garbage, current) = (Vec::new(), current.as_ref());
                let (version, sequence) =
                    rows::supersede(connection, &naming, bucket, &key, current, versioning, &mut garbage)?;
                row.version = version;
                rows::insert(connection, bucket, &key, &row, sequence)?;
                let written = Written {
                    row: row.clone(),
                    version: versioning.tells(version),
                };
                Ok(Ok((written, garbage)))
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
        .map(|done| done.map(|(written, _)| written))
    }

    /// Removes an object, or hides it behind a delete marker.
    pub(super) async fn delete(
        &self,
        bucket: Uuid,
        key: String,
        contents: Arc<Contents>,
        precondition: Precondition,
        status: Status,
        now: Timestamp,
    ) -> Result<Result<Deleted, Refused>, ObjectStoreError> {
        let naming = self.naming();
        self.submit(
            Touched::Object(bucket, &key.clone()),
            move |connection, closed| {
                let Some(versioning) = status().filter(|_| !closed.contains(&bucket)) else {
                    return Ok(Err(Refused::BucketGone));
                };
                let mut garbage = Vec::new();
                let current = rows::current(connection, bucket, &key)?;
                if let Err(refused) = check(&precondition, etag_of(current.as_ref())) {
                    return Ok(Err(refused));
                }
                let existed = current.is_some();
                // Should the registry have forgotten that there are versions, they are hidden, and not removed.
                let has_versions = versioning != Versioning::Off
                    || current.as_ref().is_some_and(|row| row.marker.version != Version::NULL)
                    || rows::newest(connection, bucket, &key)?.is_some();
                if !has_versions {
                    rows::remove(connection, bucket, &key, Version::NULL, &mut garbage)?;
                    let deleted = Deleted {
                        existed,
                        ..Deleted::default()
                    };
                    return Ok(Ok((deleted, garbage)));
                }
                let current = current.as_ref();
                let (version, sequence) =
                    rows::supersede(connection, &naming, bucket, &key, current, versioning, &mut garbage)?;
                rows::insert_marker(connection, bucket, &key, version, now, sequence)?;
                let deleted = Deleted {
                    existed,
                    version: Some(version),
                    marker: true,
                };
                Ok(Ok((deleted, garbage)))
            },
            discard(contents),
        )
        .await
        .map(|done| done.map(|(deleted, _)| deleted))
    }

    /// Removes one version for good. A condition is about the newest version, whichever goes.
    pub(super) async fn delete_version(
        &self,
        bucket: Uuid,
        key: String,
        version: Version,
        contents: Arc<Contents>,
        precondition: Precondition,
    ) -> Result<Result<Deleted, Refused>, ObjectStoreError> {
        self.submit(
            Touched::Object(bucket, &key.clone()),
            move |connection, _| {
                let mut garbage = Vec::new();
                let current = rows::current(connection, bucket, &key)?;
                if let Err(refused) = check(&precondition, etag_of(current.as_ref())) {
                    return Ok(Err(refused));
                }
                let found = rows::remove(connection, bucket, &key, version, &mut garbage)?;
                let deleted = Deleted {
                    existed: found.is_some(),
                    version: Some(version),
                    marker: found.is_some_and(|found| found.object.is_none()),
                };
                Ok(Ok((deleted, garbage)))
            },
            discard(contents),
        )
        .await
        .map(|done| done.map(|(deleted, _)| deleted))
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

    /// Gives a version other tags, if it has those that the decision saw. Which version that is.
    pub(super) async fn set_tags(
        &self,
        bucket: Uuid,
        key: String,
        version: Option<Version>,
        seen: Tags,
        tags: Tags,
    ) -> Result<Result<Version, Refused>, ObjectStoreError> {
        self.submit(
            Touched::Object(bucket, &key.clone()),
            move |connection, _| {
                let object = match rows::find(connection, bucket, &key, version)? {
                    Ok(object) => object,
                    Err(refused) => return Ok(Err(refused)),
                };
                let seen: Vec<(&str, &str)> = seen.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                if !super::tagging::same_tags(&seen, &object.tags) {
                    return Ok(Err(Refused::Changed));
                }
                for table in ["objects", "versions"] {
                    connection
                        .prepare_cached(&format!(
                            "UPDATE {table} SET tags = ?4 WHERE bucket = ?1 AND key = ?2 AND version IS ?3"
                        ))?
                        .execute(rusqlite::params![
                            bucket_key(bucket),
                            key.as_bytes(),
                            object.version.0,
                            rows::tags_column(&tags)?
                        ])?;
                }
                Ok(Ok(object.version))
            },
            |_| {},
        )
        .await
    }

    pub(super) async fn close_bucket(&self, bucket: Uuid) -> Result<bool, ObjectStoreError> {
        self.submit(
            Touched::Nothing,
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
            Touched::Nothing,
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
    pub(super) async fn submit<T, R, S>(&self, touched: Touched<'_>, run: R, settle: S) -> Result<T, ObjectStoreError>
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
            writing: match touched {
                Touched::Object(bucket, key) => Some(self.recent.write(bucket, key)),
                Touched::Nothing => None,
            },
            answer,
        };
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(Box::new(job)).ok())
            .ok_or(ObjectStoreError::Stopped)?;
        outcome.await.unwrap_or(Err(ObjectStoreError::Stopped))
    }
}

/// What became of a write: done, refused, or failed.
type Outcome<T, E> = Result<Result<T, E>, ObjectStoreError>;

/// Removes the contents that a write has left without a row, once it is on disk.
pub(super) fn discard<T, E>(contents: Arc<Contents>) -> impl FnMut(&Outcome<(T, Vec<Garbage>), E>) + Send + 'static {
    move |outcome| {
        if let Ok(Ok((_, garbage))) = outcome {
            garbage.iter().for_each(|garbage| contents.discard_all(garbage));
        }
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
    writing: Option<Writing>,
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

    fn settle(self: Box<Self>, commit: Result<(), ObjectStoreError>) {
        let Self {
            run,
            mut settle,
            value,
            writing,
            answer,
        } = *self;
        let outcome = commit.and_then(|()| value.ok_or(ObjectStoreError::Stopped));
        settle(&outcome);
        // With them goes what they did not keep: before anybody is told.
        drop((run, settle, writing));
        // The caller may have gone away; the outcome stands.
        let _ = answer.send(outcome);
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
