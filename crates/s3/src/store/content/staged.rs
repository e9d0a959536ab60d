//! Contents on their way: from the first bytes of an upload to a file that a row may name.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::super::{ObjectStoreError, blocking, private};
use super::{ContentId, Contents, Janitor, PIECE, fail, sync_folder};

/// The content of an upload that is under way; its file is removed when this is dropped before it is sealed.
pub(crate) struct Staged {
    contents: Arc<Contents>,
    /// What has arrived and is not in the file.
    pending: Vec<Bytes>,
    pending_size: u64,
    file: Option<Temporary>,
    size: u64,
}

/// A file under `uploads`.
struct Temporary {
    path: PathBuf,
    file: Arc<File>,
    janitor: Janitor,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            self.janitor.remove(std::mem::take(&mut self.path));
        }
    }
}

impl Staged {
    pub(in crate::store) fn new(contents: Arc<Contents>) -> Self {
        Self {
            contents,
            pending: Vec::new(),
            pending_size: 0,
            file: None,
            size: 0,
        }
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Takes more bytes. `digest` sees all of them in order, on a thread that may compute.
    pub(crate) async fn push<D>(mut self, bytes: Bytes, mut digest: D) -> Result<(Self, D), ObjectStoreError>
    where
        D: Digest,
    {
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.pending_size = self.pending_size.saturating_add(bytes.len() as u64);
        self.pending.push(bytes);
        if self.pending_size <= PIECE {
            return Ok((self, digest));
        }
        blocking(move || {
            self.flush(&mut digest)?;
            Ok((self, digest))
        })
        .await
    }

    /// Ends the upload: `digest` has seen everything.
    pub(crate) async fn finish<D: Digest>(mut self, mut digest: D) -> Result<(Self, D), ObjectStoreError> {
        if self.file.is_none() {
            // Small enough to be hashed here, and nothing is on disk before the caller has checked it.
            for bytes in &self.pending {
                digest.update(bytes);
            }
            return Ok((self, digest));
        }
        blocking(move || {
            self.flush(&mut digest)?;
            Ok((self, digest))
        })
        .await
    }

    fn flush(&mut self, digest: &mut impl Digest) -> Result<(), ObjectStoreError> {
        for bytes in &self.pending {
            digest.update(bytes);
        }
        self.write_pending()
    }

    fn write_pending(&mut self) -> Result<(), ObjectStoreError> {
        let temporary = match self.file.take() {
            Some(temporary) => temporary,
            None => {
                let path = self.contents.uploads.join(Uuid::new_v4().simple().to_string());
                let file = private::file_options()
                    .create_new(true)
                    .open(&path)
                    .map_err(|source| fail("write", &path, source))?;
                Temporary {
                    path,
                    file: Arc::new(file),
                    janitor: self.contents.janitor.clone(),
                }
            }
        };
        for bytes in self.pending.drain(..) {
            (&*temporary.file)
                .write_all(&bytes)
                .map_err(|source| fail("write", &temporary.path, source))?;
        }
        self.pending_size = 0;
        self.file = Some(temporary);
        Ok(())
    }

    /// Puts the content on disk under its own name.
    pub(in crate::store) fn seal(mut self) -> Result<Sealed, ObjectStoreError> {
        self.write_pending()?;
        let Some(mut temporary) = self.file.take() else {
            return Err(ObjectStoreError::Stopped);
        };
        temporary
            .file
            .sync_all()
            .map_err(|source| fail("write", &temporary.path, source))?;
        let sealed = Sealed::new(Arc::clone(&self.contents), self.size);
        let path = self.contents.path(sealed.id);
        fs::rename(&temporary.path, &path).map_err(|source| fail("write", &path, source))?;
        temporary.path = PathBuf::new();
        sync_folder(&self.contents.folder(sealed.id))?;
        Ok(sealed)
    }
}

/// What is computed over an upload.
pub(crate) trait Digest: Send + 'static {
    /// The next bytes.
    fn update(&mut self, bytes: &[u8]);
}

/// A content file on disk that no row names yet; it is removed when this is dropped, unless it is kept.
pub(crate) struct Sealed {
    contents: Arc<Contents>,
    id: ContentId,
    size: u64,
    keep: bool,
}

impl Sealed {
    pub(super) fn new(contents: Arc<Contents>, size: u64) -> Self {
        Self {
            id: ContentId::new(contents.generation),
            contents,
            size,
            keep: false,
        }
    }

    pub(in crate::store) fn id(&self) -> ContentId {
        self.id
    }

    pub(in crate::store) fn size(&self) -> u64 {
        self.size
    }

    pub(in crate::store) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// A row names it now.
    pub(in crate::store) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if !self.keep {
            self.contents.discard(self.id);
        }
    }
}
