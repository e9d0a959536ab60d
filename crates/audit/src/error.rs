use std::io;
use std::path::{Path, PathBuf};

use crate::Problem;

/// Why the journal did not do what it was asked. Whoever appends must refuse what the record is about.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no space left for the record, or the journal has reached the size that an operator allows it.
    #[error("no space is left for the audit journal in `{}`", .folder.display())]
    Full {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// A file of the journal could not be read or written.
    #[error("the audit journal's `{}` failed: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The last flush to the disk failed. Nothing is accepted until one works; the journal keeps trying.
    #[error("the audit journal in `{}` could not be flushed to the disk", .folder.display())]
    NotFlushed {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// The record is not one JSON object on one line of at most [`Journal::MAX_RECORD`](crate::Journal::MAX_RECORD) bytes. A bug of
    /// the caller's.
    #[error(
        "the audit record is not one line of JSON of at most {} bytes",
        crate::Journal::MAX_RECORD
    )]
    Malformed,
    /// Another process writes this journal.
    #[error("the audit journal in `{}` is in use by another process", .folder.display())]
    Locked {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// There is no journal there.
    #[error("there is no audit journal in `{}`", .folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The end of the journal is not as this program left it, in a way that no crash explains.
    #[error(
        "{problem}; keep the folder as evidence, check it with `irsa audit verify`, and move it away to begin a new journal"
    )]
    Damaged {
        /// What is wrong and where.
        problem: Problem,
    },
}

impl AuditError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ) {
            return Self::Full {
                folder: path.parent().unwrap_or(path).to_path_buf(),
            };
        }
        Self::File {
            path: path.to_path_buf(),
            source,
        }
    }
}
