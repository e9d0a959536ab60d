use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use irsa_core::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::content::{ContentId, Contents, Sealed};
use super::{ObjectRow, ObjectStoreError, Precondition, Refused, bucket_key};

/// The version of the tables, kept in SQLite's `user_version`.
const VERSION: i64 = 1;
/// So many writes share one commit at most.
const GROUP: usize = 512;
/// So many idle read connections are kept.
const IDLE_READERS: usize = 8;

const TABLES: &str = "
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
";

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
        self.readers.with(|connection| find(connection, bucket, key))
    }

    pub(super) async fn put(
        &self,
        bucket: Uuid,
        key: String,
        row: ObjectRow,
        file: Sealed,
        precondition: Precondition,
    ) -> Result<Result<ObjectRow, Refused>, ObjectStoreError> {
        let attributes = serde_json::to_string(&row.attributes).map_err(ObjectStoreError::Row)?;
        let mut file = Some(file);
        self.submit(
            move |connection, closed| {
                if closed.contains(&bucket) {
                    return Ok(Err(Refused::BucketGone));
                }
                let old = content_and_etag(connection, bucket, &key)?;
                if let Err(refused) = check(&precondition, old.as_ref().map(|(_, etag)| etag.as_str())) {
                    return Ok(Err(refused));
                }
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO objects (bucket, key, content, size, etag, modified, attributes)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        bucket_key(bucket),
                        key.as_bytes(),
                        row.content.0,
                        i64::try_from(row.size).unwrap_or(i64::MAX),
                        row.etag,
                        row.modified.unix_millis(),
                        attributes,
                    ])?;
                Ok(Ok((row.clone(), old.map(|(content, _)| content))))
            },
            move |outcome| {
                if let Ok(Ok((_, old))) = outcome
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
        .map(|done| done.map(|(row, _)| row))
    }

    pub(super) async fn delete(
        &self,
        bucket: Uuid,
        key: String,
        contents: Arc<Contents>,
        precondition: Precondition,
    ) -> Result<Result<bool, Refused>, ObjectStoreError> {
        self.submit(
            move |connection, _| {
                let Some((content, etag)) = content_and_etag(connection, bucket, &key)? else {
                    return Ok(check(&precondition, None).map(|()| None));
                };
                if let Err(refused) = check(&precondition, Some(&etag)) {
                    return Ok(Err(refused));
                }
                connection
                    .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
                    .execute(params![bucket_key(bucket), key.as_bytes()])?;
                Ok(Ok(Some(content)))
            },
            move |outcome| {
                if let Ok(Ok(Some(content))) = outcome {
                    contents.discard(*content);
                }
            },
        )
        .await
        .map(|done| done.map(|content| content.is_some()))
    }

    pub(super) async fn close_bucket(&self, bucket: Uuid) -> Result<bool, ObjectStoreError> {
        self.submit(
            move |connection, closed| {
                let occupied = connection
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)")?
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
    async fn submit<T, R, S>(&self, run: R, settle: S) -> Result<T, ObjectStoreError>
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
type Closed = HashSet<Uuid>;

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
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => connection.execute_batch(TABLES)?,
        VERSION => {
            // Touches both trees, so that a file cut short is noticed now and not at the first request.
            connection.query_row("SELECT max(bucket) FROM objects", [], |_| Ok(()))?;
            connection.query_row("SELECT max(content) FROM objects", [], |_| Ok(()))?;
        }
        found => return Err(ObjectStoreError::Newer { found, known: VERSION }),
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

fn find(connection: &Connection, bucket: Uuid, key: &str) -> Result<Option<ObjectRow>, ObjectStoreError> {
    let row = connection
        .prepare_cached("SELECT content, size, etag, modified, attributes FROM objects WHERE bucket = ?1 AND key = ?2")?
        .query_row(params![bucket_key(bucket), key.as_bytes()], |row| {
            Ok((
                row.get::<_, [u8; 16]>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, String>(4)?,
            ))
        })
        .optional()?;
    let Some((content, size, etag, modified, attributes)) = row else {
        return Ok(None);
    };
    Ok(Some(ObjectRow {
        content: ContentId(content),
        size: u64::try_from(size).unwrap_or_default(),
        etag,
        modified: Timestamp::from_unix_millis(modified),
        attributes: serde_json::from_str(&attributes).map_err(ObjectStoreError::Row)?,
    }))
}

fn content_and_etag(connection: &Connection, bucket: Uuid, key: &str) -> rusqlite::Result<Option<(ContentId, String)>> {
    connection
        .prepare_cached("SELECT content, etag FROM objects WHERE bucket = ?1 AND key = ?2")?
        .query_row(params![bucket_key(bucket), key.as_bytes()], |row| {
            Ok((ContentId(row.get(0)?), row.get(1)?))
        })
        .optional()
}

fn check(precondition: &Precondition, etag: Option<&str>) -> Result<(), Refused> {
    match (precondition, etag) {
        (Precondition::None, _) | (Precondition::Absent, None) | (Precondition::Present, Some(_)) => Ok(()),
        (Precondition::ETag(wanted), Some(etag)) if wanted == etag => Ok(()),
        (Precondition::Present | Precondition::ETag(_), None) => Err(Refused::NoSuchKey),
        (Precondition::Absent | Precondition::ETag(_), Some(_)) => Err(Refused::Precondition),
    }
}

#[cfg(test)]
pub(super) fn create_tables(connection: &Connection) {
    connection.execute_batch(TABLES).unwrap();
}
