//! Files of contents: their names, who reads them, and who removes them.

mod reading;
mod staged;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use uuid::Uuid;

pub(crate) use reading::Content;
pub(super) use staged::Sealed;
pub(crate) use staged::{Digest, Staged};

use super::{ObjectStoreError, private};

/// Content up to this many bytes is read and written in one piece.
pub(super) const SMALL: u64 = 64 * 1024;
/// Larger content is read and written in pieces of this size.
const PIECE: u64 = 256 * 1024;

/// The name of one content file: the generation of the process that wrote it (a random number), and 62 random bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ContentId(pub(crate) [u8; 16]);

impl ContentId {
    fn new(generation: u64) -> Self {
        let mut id = [0; 16];
        let (head, tail) = id.split_at_mut(8);
        head.copy_from_slice(&generation.to_be_bytes());
        // Bytes 8 to 15 of a version 4 UUID are random but for two bits.
        tail.copy_from_slice(Uuid::new_v4().into_bytes().split_at(8).1);
        Self(id)
    }

    /// Which process wrote it.
    pub(super) fn generation(self) -> u64 {
        let mut head = [0; 8];
        head.copy_from_slice(self.0.split_at(8).0);
        u64::from_be_bytes(head)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        hex::decode(name).ok()?.try_into().ok().map(Self)
    }
}

/// The folders of content files.
pub(crate) struct Contents {
    objects: PathBuf,
    uploads: PathBuf,
    generation: u64,
    janitor: Janitor,
    pins: Mutex<HashMap<ContentId, Pinned>>,
}

/// An object of several parts that is being read: its files are opened one after the other, so they stay until its readers are done.
#[derive(Default)]
struct Pinned {
    readers: usize,
    /// What was removed in the meantime.
    removed: Vec<ContentId>,
}

/// Content files that no row names any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Garbage {
    /// What their readers have pinned, if they are parts of one object.
    pub(super) owner: Option<ContentId>,
    pub(super) files: Vec<ContentId>,
}

/// One stretch of one content file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    pub(super) content: ContentId,
    /// Which of the file's bytes.
    pub(super) range: Range<u64>,
}

impl Contents {
    pub(super) fn open(root: &Path, generation: u64, janitor: Janitor) -> Result<Self, ObjectStoreError> {
        let this = Self {
            objects: root.join("content"),
            uploads: root.join("uploads"),
            generation,
            janitor,
            pins: Mutex::default(),
        };
        if !this.objects.is_dir() {
            // Made under another name first, so that the folder is whole when it is there.
            let fresh = root.join("content.new");
            for number in 0..=u8::MAX {
                let folder = fresh.join(hex::encode([number]));
                private::create_folder(&folder).map_err(|source| fail("create", &folder, source))?;
            }
            sync_folder(&fresh)?;
            fs::rename(&fresh, &this.objects).map_err(|source| fail("create", &this.objects, source))?;
            sync_folder(root)?;
        }
        for folder in std::iter::once(this.objects.clone()).chain(this.folders()) {
            private::close(&folder).map_err(|source| fail("close to others", &folder, source))?;
        }
        this.clear_uploads()?;
        Ok(this)
    }

    /// Removes the uploads of an earlier process: nobody waits for them.
    fn clear_uploads(&self) -> Result<(), ObjectStoreError> {
        match fs::remove_dir_all(&self.uploads) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(fail("remove", &self.uploads, source));
            }
            _ => {}
        }
        private::create_folder(&self.uploads).map_err(|source| fail("create", &self.uploads, source))
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (0..=u8::MAX).map(|number| self.objects.join(hex::encode([number])))
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    fn folder(&self, id: ContentId) -> PathBuf {
        self.objects.join(hex::encode([id.0[15]]))
    }

    fn path(&self, id: ContentId) -> PathBuf {
        self.folder(id).join(hex::encode(id.0))
    }

    /// Keeps the parts of an object until the pin is dropped. Look the object up again after this: it may have gone before.
    pub(super) fn pin(self: &Arc<Self>, owner: ContentId) -> Pinning {
        let mut pins = self.pins();
        let pinned = pins.entry(owner).or_default();
        pinned.readers = pinned.readers.saturating_add(1);
        drop(pins);
        Pinning {
            contents: Arc::clone(self),
            owner,
        }
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<ContentId, Pinned>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content of an object is gone though its row is not.
    pub(super) fn lost(&self, bucket: Uuid) -> ObjectStoreError {
        tracing::error!(%bucket, "an object's content file is missing");
        fail("open", &self.objects, io::ErrorKind::NotFound.into())
    }

    /// Makes a second name for a content, by a hard link where possible.
    pub(super) fn duplicate(self: &Arc<Self>, id: ContentId) -> Result<Sealed, ObjectStoreError> {
        let from = self.path(id);
        let size = fs::metadata(&from).map_err(|source| fail("open", &from, source))?.len();
        let sealed = Sealed::new(Arc::clone(self), size);
        let to = self.path(sealed.id());
        // Content files are never written again, so two names may share one. File systems limit the number of names.
        if let Err(error) = fs::hard_link(&from, &to) {
            if error.kind() == io::ErrorKind::NotFound {
                return Err(fail("open", &from, error));
            }
            fs::copy(&from, &to).map_err(|source| fail("write", &to, source))?;
            File::open(&to)
                .and_then(|file| file.sync_all())
                .map_err(|source| fail("write", &to, source))?;
        }
        sync_folder(&self.folder(sealed.id()))?;
        Ok(sealed)
    }

    /// Waits until all is removed that was to be removed.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        let (done, wait) = mpsc::channel();
        self.janitor
            .queue
            .send(Box::new(move || done.send(()).unwrap()))
            .unwrap();
        wait.recv().unwrap();
    }

    /// Removes a content that no row names any more, soon.
    pub(super) fn discard(&self, id: ContentId) {
        self.janitor.remove(self.path(id));
    }

    /// Removes contents that no row names any more: soon, or when the last reader of their object is done.
    pub(super) fn discard_all(&self, garbage: &Garbage) {
        if let Some(owner) = garbage.owner
            && let Some(pinned) = self.pins().get_mut(&owner)
        {
            pinned.removed.extend_from_slice(&garbage.files);
            return;
        }
        garbage.files.iter().for_each(|id| self.discard(*id));
    }
}

/// See [`Contents::pin`].
pub(super) struct Pinning {
    contents: Arc<Contents>,
    owner: ContentId,
}

impl Drop for Pinning {
    fn drop(&mut self) {
        let mut pins = self.contents.pins();
        let Some(pinned) = pins.get_mut(&self.owner) else {
            return;
        };
        pinned.readers = pinned.readers.saturating_sub(1);
        if pinned.readers == 0 {
            let removed = pins.remove(&self.owner).unwrap_or_default().removed;
            drop(pins);
            removed.into_iter().for_each(|id| self.contents.discard(id));
        }
    }
}

/// Removes files away from the threads that serve. What it does not get to, the next start sweeps.
#[derive(Clone)]
pub(super) struct Janitor {
    queue: mpsc::Sender<Task>,
}

type Task = Box<dyn FnOnce() + Send>;

impl Janitor {
    pub(super) fn start() -> Self {
        let (queue, tasks) = mpsc::channel::<Task>();
        let worker = move || {
            for task in tasks {
                task();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("s3-janitor".to_owned()).spawn(worker) {
            tracing::warn!(%error, "removed objects keep their files until the next start");
        }
        Self { queue }
    }

    fn remove(&self, path: PathBuf) {
        let remove = move || {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove a content file");
            }
        };
        // Nobody listens when the thread could not be started; the next start sweeps.
        let _ = self.queue.send(Box::new(remove));
    }
}

fn sync_folder(folder: &Path) -> Result<(), ObjectStoreError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|source| fail("write", folder, source))
}

pub(super) fn fail(action: &'static str, path: &Path, source: io::Error) -> ObjectStoreError {
    ObjectStoreError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
