use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rusqlite::params;

use super::ObjectStoreError;
use super::content::{ContentId, Contents};
use super::index::Readers;
use super::private;

/// The sweep of a store that is open. With it the sweep ends: it takes what others write for left over.
pub(super) struct Sweeping {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// Removes, on a thread of its own, the content files of earlier processes that no row names: an upload that was cut off between
/// its file and its row, or a removal cut off between its row and its file. The files that stay become private.
pub(super) fn start(contents: Arc<Contents>, readers: Arc<Readers>) -> Sweeping {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let worker = move || match sweep(&contents, &readers, &stopped) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed content files that a crash left over"),
        Err(error) => tracing::warn!(%error, "content files that a crash left over stay until the next start"),
    };
    let worker = std::thread::Builder::new().name("s3-sweep".to_owned()).spawn(worker);
    if let Err(error) = &worker {
        tracing::warn!(%error, "content files that a crash left over stay until the next start");
    }
    Sweeping {
        stop,
        worker: worker.ok(),
    }
}

/// Sweeps all folders, unless it is stopped; the number of files that went.
pub(super) fn sweep(contents: &Contents, readers: &Readers, stop: &AtomicBool) -> Result<u64, ObjectStoreError> {
    let mut removed = 0_u64;
    for folder in contents.folders() {
        let names = match fs::read_dir(&folder) {
            Ok(names) => names,
            Err(source) => return Err(super::content::fail("open", &folder, source)),
        };
        for entry in names.flatten() {
            if stop.load(Ordering::Relaxed) {
                return Ok(removed);
            }
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
