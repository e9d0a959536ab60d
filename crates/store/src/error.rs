use std::path::PathBuf;

use crate::Revision;

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// A compare failed and nothing was written. The caller read something that has changed since: read again and retry, or give up.
    #[error("the record was changed by someone else")]
    Conflict,
    /// The transaction breaks a limit of the store. A bug of the caller's, or its own limits are too wide.
    #[error("the transaction is not valid: {reason}")]
    Invalid {
        /// Which limit.
        reason: String,
    },
    /// There is no space left. Nothing was written; the store works again as soon as there is space.
    #[error("no space is left for the database `{}`", .path.display())]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// The file is not what this program wrote. An operator must act: the message says how.
    #[error("the database `{}` cannot be used: {reason}; {advice}", .path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// Another process has the database open.
    #[error("the database `{}` is in use by another process; stop that one, or choose another data folder", .path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// Revisions that a watch needs were compacted.
    #[error("the changes before revision {oldest} are gone; load again")]
    Compacted {
        /// The oldest revision that a watch may start after.
        oldest: Revision,
    },
    /// The store cannot be reached or read right now. Whether a transaction was applied is only known after the next load.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
}
