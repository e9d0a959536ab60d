//! The file: its lock, its mode, its making, and the first look at one that exists.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::StoreError;
use crate::sqlite::SqliteOptions;
use crate::sqlite::table::{self, damaged, failure};

/// Marks the file as ours (SQLite's `application_id`): `irsa`.
const APPLICATION: i32 = 0x6972_7361;

/// The version of the tables (SQLite's `user_version`).
const FORMAT: i32 = 1;

pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Held for as long as the connection lives. The kernel releases it however the process ends.
    pub(super) lock: Lock,
}

/// The lock of a database.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting has the file open until it runs its program.
        drop(self.0.unlock());
    }
}

/// Locks the database and opens it, or makes it first.
pub(super) fn open(path: &Path, options: SqliteOptions) -> Result<Opened, StoreError> {
    let path = resolve(path)?;
    let lock = lock(&path)?;
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // SQLite would throw such a log away, and with it every record that is only there.
            if fs::exists(beside(&path, "-wal")).unwrap_or(true) {
                return Err(damaged(&path, "its write-ahead log is there, but it is not"));
            }
            create(&path)?;
            fs::metadata(&path).map_err(|error| unavailable(&path, &error))?
        }
        Err(error) => return Err(unavailable(&path, &error)),
    };
    // A new database gets its name when it is complete, so an empty file is one that lost its content; SQLite would start afresh.
    if metadata.len() == 0 {
        return Err(damaged(&path, "the file is empty"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|error| unavailable(&path, &error))?;
    }
    let connection = Connection::open_with_flags(&path, FLAGS).map_err(|error| failure(&path, &error))?;
    // Before the first write: what is not ours is left as it is.
    check_format(&connection, &path)?;
    set_up(&connection, options).map_err(|error| failure(&path, &error))?;
    if connection.is_readonly("main").map_err(|error| failure(&path, &error))? {
        return Err(StoreError::Unavailable {
            reason: format!("`{}` is read-only", path.display()),
        });
    }
    Ok(Opened { connection, path, lock })
}

/// One name for one file: follows links, and makes the folder if there is none.
fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(path) = fs::canonicalize(path) {
        return Ok(path);
    }
    let (Some(name), parent) = (path.file_name(), path.parent()) else {
        return Err(StoreError::Unavailable {
            reason: format!("`{}` is not the path of a file", path.display()),
        });
    };
    let folder = parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| fs::canonicalize(folder))
        .map(|folder| folder.join(name))
        .map_err(|error| unavailable(folder, &error))
}

/// Takes the lock of a file beside the database. Not of the database: SQLite's own locks live there, and backup tools use them.
fn lock(path: &Path) -> Result<Lock, StoreError> {
    let beside = beside(path, ".lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| unavailable(&beside, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(unavailable(&beside, &error)),
    }
}

/// Makes an empty database under another name and renames it when it is complete and on disk.
fn create(path: &Path) -> Result<(), StoreError> {
    let draft = beside(path, ".new");
    for leftover in [
        draft.clone(),
        beside(path, ".new-wal"),
        beside(path, ".new-shm"),
        beside(path, ".new-journal"),
    ] {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unavailable(&leftover, &error)),
            _ => (),
        }
    }
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|error| unavailable(&draft, &error))?;
    let fill = || -> rusqlite::Result<()> {
        let connection = Connection::open_with_flags(&draft, FLAGS)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        table::create(&connection)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|error| failure(path, &error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    file.sync_all()
        .and_then(|()| fs::rename(&draft, path))
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| unavailable(path, &error))
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn set_up(connection: &Connection, options: SqliteOptions) -> rusqlite::Result<()> {
    // An operator's backup tool may hold the file for a moment.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", 4 << 20, |_| Ok(()))?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name| -> Result<i32, StoreError> {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|error| failure(path, &error))
    };
    if pragma("application_id")? != APPLICATION {
        return Err(damaged(
            path,
            "it is a database of another program, or its head is overwritten",
        ));
    }
    match pragma("user_version")? {
        FORMAT => Ok(()),
        newer if newer > FORMAT => Err(StoreError::Damaged {
            path: path.to_path_buf(),
            reason: format!("its format {newer} is newer than the format {FORMAT} that this version of irsa knows"),
            advice: "start the newer version again, or restore a backup from before the upgrade".to_owned(),
        }),
        unknown => Err(damaged(path, &format!("its format {unknown} is unknown"))),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::StorageFull {
        return StoreError::Full {
            path: path.to_path_buf(),
        };
    }
    StoreError::Unavailable {
        reason: format!("`{}`: {error}", path.display()),
    }
}
