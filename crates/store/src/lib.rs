//! Where records live between two starts: a revisioned key-value store with compare-and-swap and watch.
//!
//! The model is etcd's, so that one machine (SQLite) and many (etcd) look the same from above: every transaction that changes something
//! makes one new revision; a key remembers the revision that created it and the one that wrote it last; a transaction states what it
//! expects of the keys it read, and writes everything or nothing; a watch delivers whole revisions, in order, from any revision that
//! compaction has not passed.
//!
//! Invariants:
//! - `commit` answers after the transaction is on disk. What was answered survives `kill -9` and a power cut.
//! - Nothing on the request path reads from here. A reader loads once and follows the watch.
//! - A damaged file is an error that says what to do about it. It is never a panic and never a shorter list of records.
//!
//! [`suite`] says what every backend must do.

mod error;
mod model;
mod sqlite;
pub mod suite;

use std::pin::Pin;

pub use error::StoreError;
pub use model::{Change, Compare, Entry, Revision, Transaction, Write};
pub use sqlite::{SqliteOptions, SqliteStore};

/// A future in a box, as an object-safe trait needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A revisioned key-value store.
pub trait Store: Send + Sync {
    /// Every key that exists, in byte order of the keys, and the revision at which that is so.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if any record fails its check, [`StoreError::Unavailable`] if the store cannot be read.
    fn load(&self) -> BoxFuture<'_, Result<(Revision, Vec<Entry>), StoreError>>;

    /// Applies `transaction` whole if every compare holds, and answers with its revision once it is on disk.
    ///
    /// A transaction that changes nothing (no writes, or only deletes of absent keys) makes no revision: the answer is then the current
    /// one. If the future is dropped, the transaction may or may not be applied.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a compare fails and [`StoreError::Invalid`] if the transaction exceeds a limit; nothing is written
    /// then. Also [`StoreError::Full`], [`StoreError::Damaged`] and [`StoreError::Unavailable`].
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, StoreError>>;

    /// Follows the changes of all revisions after `after`, which is a revision that [`Store::load`], [`Store::commit`] or a
    /// [`Change`] named.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if some of those are gone: load again and watch from there.
    fn watch(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>>;

    /// Forgets values that were replaced or deleted at or before revision `through`. A watch from an earlier revision is refused
    /// afterwards. Revisions that do not exist yet, or that are compacted already, change nothing.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Damaged`] and [`StoreError::Unavailable`].
    fn compact(&self, through: Revision) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A running watch.
pub trait Watch: Send {
    /// Waits for the next changes: one whole revision or several, in order, never a part of one. Nothing is lost if the future is
    /// dropped before it is done.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the watcher fell behind compaction: load again and watch from there.
    /// [`StoreError::Unavailable`] if the store has been closed.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StoreError>>;
}
