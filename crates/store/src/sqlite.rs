//! The embedded backend: one SQLite file, one thread that owns it.

mod file;
mod recent;
mod table;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::sqlite::recent::Recent;
use crate::sqlite::table::Table;
use crate::sqlite::writer::Job;
use crate::{BoxFuture, Change, Entry, Revision, Store, StoreError, Transaction, Watch};

/// Settings of [`SqliteStore`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SqliteOptions {
    /// The most pages of 4 KiB that the file may have; `None`: as many as the disk holds. A transaction beyond it fails with
    /// [`StoreError::Full`].
    pub max_pages: Option<u32>,
}

/// A store in one SQLite file, for one process.
///
/// A thread of its own takes all transactions that wait, applies them in their order in one SQL transaction and answers all of them after
/// one flush to the disk. Dropping the store finishes what is queued and releases the file.
pub struct SqliteStore {
    path: PathBuf,
    // `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    recent: Arc<Recent>,
    revision: watch::Receiver<Revision>,
}

impl SqliteStore {
    /// Opens the database at `path`, or makes it, readable by its owner alone, if there is no such file.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open; [`StoreError::Damaged`] if it is not a whole database of this program's
    /// format; [`StoreError::Full`] and [`StoreError::Unavailable`] if it cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// Opens or makes the database at `path` with settings of the caller's.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_with(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let opened = file::open(path, options)?;
        let table = Table::new(opened.connection, opened.path.clone())?;
        let recent = Arc::new(Recent::default());
        let (jobs, queue) = mpsc::channel(writer::QUEUE);
        let (announce, revision) = watch::channel(table.revision());
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let recent = Arc::clone(&recent);
                let lock = opened.lock;
                move || {
                    writer::run(table, queue, &recent, &announce);
                    // After the connection is closed: the next process must find nothing in use.
                    drop(lock);
                }
            })
            .map_err(|error| StoreError::Unavailable {
                reason: format!("cannot start the store's thread: {error}"),
            })?;
        Ok(Self {
            path: opened.path,
            jobs: Some(jobs),
            writer: Some(writer),
            recent,
            revision,
        })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a job and waits for its answer.
    async fn ask<T>(
        jobs: Option<mpsc::Sender<Job>>,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let (answer, wait) = oneshot::channel();
        jobs.ok_or_else(closed)?.send(job(answer)).await.map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }
}

impl Store for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<(Revision, Vec<Entry>), StoreError>> {
        Box::pin(Self::ask(self.jobs.clone(), |answer| Job::Load { answer }))
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async move {
            transaction.check()?;
            Self::ask(self.jobs.clone(), |answer| Job::Commit { transaction, answer }).await
        })
    }

    fn watch(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>> {
        Box::pin(async move {
            Self::ask(self.jobs.clone(), |answer| Job::CheckWatch { after, answer }).await?;
            let watch: Box<dyn Watch> = Box::new(SqliteWatch {
                seen: after,
                recent: Arc::clone(&self.recent),
                revision: self.revision.clone(),
                jobs: self.jobs.as_ref().ok_or_else(closed)?.downgrade(),
            });
            Ok(watch)
        })
    }

    fn compact(&self, through: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(Self::ask(self.jobs.clone(), move |answer| Job::Compact {
            through,
            answer,
        }))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the thread has been reported by the panic hook already.
            drop(writer.join());
        }
    }
}

/// Takes changes from memory as long as the recent ones reach back far enough, else from the table.
struct SqliteWatch {
    seen: Revision,
    recent: Arc<Recent>,
    revision: watch::Receiver<Revision>,
    // Weak: a watch does not keep the store open.
    jobs: mpsc::WeakSender<Job>,
}

impl Watch for SqliteWatch {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StoreError>> {
        Box::pin(async move {
            let seen = self.seen;
            self.revision
                .wait_for(|current| *current > seen)
                .await
                .map_err(|_| closed())?;
            let changes = match self.recent.after(seen) {
                Some(changes) => changes,
                None => SqliteStore::ask(self.jobs.upgrade(), |answer| Job::Changes { after: seen, answer }).await?,
            };
            if let Some(last) = changes.last() {
                self.seen = last.revision;
            }
            Ok(changes)
        })
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable {
        reason: "it has been closed".to_owned(),
    }
}
