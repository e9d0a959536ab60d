use std::fs;
use std::sync::Arc;

use rusqlite::params;

use super::ObjectStoreError;
use super::content::{ContentId, Contents};
use super::index::Readers;
use super::private;

/// Removes, on a thread of its own, the content files of earlier processes that no row names: an upload that was cut off between
/// its file and its row, or a removal cut off between its row and its file. The files that stay become private.
pub(super) fn start(contents: Arc<Contents>, readers: Arc<Readers>) {
    let worker = move || match sweep(&contents, &readers) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed content files that a crash left over"),
        Err(error) => tracing::warn!(%error, "content files that a crash left over stay until the next start"),
    };
    if let Err(error) = std::thread::Builder::new().name("s3-sweep".to_owned()).spawn(worker) {
        tracing::warn!(%error, "content files that a crash left over stay until the next start");
    }
}

/// Sweeps all folders; the number of files that went.
pub(super) fn sweep(contents: &Contents, readers: &Readers) -> Result<u64, ObjectStoreError> {
    let mut removed = 0_u64;
    for folder in contents.folders() {
        let names = match fs::read_dir(&folder) {
            Ok(names) => names,
            Err(source) => return Err(super::content::fail("open", &folder, source)),
        };
        for entry in names.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(ContentId::parse) else {
                continue;
            };
            // What this process writes gets its row in a moment.
            if id.generation() == contents.generation() {
                continue;
            }
            // Earlier releases wrote files that others could read.
            if let Err(error) = private::close(&entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "cannot close a content file to others");
            }
            let named = readers.with(|connection| {
                Ok(connection
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM objects WHERE content = ?1)
                             OR EXISTS (SELECT 1 FROM parts WHERE content = ?1)
                             OR EXISTS (SELECT 1 FROM versions WHERE content = ?1)",
                    )?
                    .query_row(params![id.0], |row| row.get::<_, bool>(0))?)
            })?;
            if !named && fs::remove_file(entry.path()).is_ok() {
                removed = removed.saturating_add(1);
            }
        }
    }
    Ok(removed)
}
