use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{ObjectStoreError, blocking, private};

/// Content up to this many bytes is read and written in one piece.
const SMALL: u64 = 64 * 1024;
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

    /// Opens a content for reading: small pieces are read at once, large ones while they are sent.
    pub(super) fn read(self: &Arc<Self>, id: ContentId, range: Range<u64>) -> Result<Content, ObjectStoreError> {
        let piece = Piece {
            content: id,
            range: range.clone(),
        };
        self.read_pieces(vec![piece], range, None)
    }

    /// Opens the pieces of `range` for reading; the first file now, so that what is gone shows before anything is sent.
    pub(super) fn read_pieces(
        self: &Arc<Self>,
        pieces: Vec<Piece>,
        range: Range<u64>,
        pin: Option<Pinning>,
    ) -> Result<Content, ObjectStoreError> {
        let remaining = range.end.saturating_sub(range.start);
        let mut rest = pieces.into_iter();
        let Some(first) = rest.next() else {
            return Ok(Content {
                range,
                remaining: 0,
                source: Source::Memory(Bytes::new()),
            });
        };
        let path = self.path(first.content);
        let file = open_at(&path, first.range.start).map_err(|source| fail("open", &path, source))?;
        let left = first.range.end.saturating_sub(first.range.start);
        if remaining <= SMALL && left == remaining {
            let bytes = read_piece(&file, remaining).map_err(|source| fail("read", &path, source))?;
            return Ok(Content {
                range,
                remaining,
                source: Source::Memory(bytes),
            });
        }
        Ok(Content {
            range,
            remaining,
            source: Source::Files(Files {
                contents: Arc::clone(self),
                current: file,
                left,
                rest,
                _pin: pin,
            }),
        })
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
        let to = self.path(sealed.id);
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
        sync_folder(&self.folder(sealed.id))?;
        Ok(sealed)
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
    queue: mpsc::Sender<PathBuf>,
}

impl Janitor {
    pub(super) fn start() -> Self {
        let (queue, paths) = mpsc::channel::<PathBuf>();
        let worker = move || {
            for path in paths {
                if let Err(error) = fs::remove_file(&path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(path = %path.display(), %error, "cannot remove a content file");
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("s3-janitor".to_owned()).spawn(worker) {
            tracing::warn!(%error, "removed objects keep their files until the next start");
        }
        Self { queue }
    }

    fn remove(&self, path: PathBuf) {
        // Nobody listens when the thread could not be started; the next start sweeps.
        let _ = self.queue.send(path);
    }
}

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
    pub(super) fn new(contents: Arc<Contents>) -> Self {
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
    pub(super) fn seal(mut self) -> Result<Sealed, ObjectStoreError> {
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
    fn new(contents: Arc<Contents>, size: u64) -> Self {
        Self {
            id: ContentId::new(contents.generation),
            contents,
            size,
            keep: false,
        }
    }

    pub(super) fn id(&self) -> ContentId {
        self.id
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// A row names it now.
    pub(super) fn keep(mut self) {
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

/// Bytes of an object, in memory or still in their files. What is being read stays readable when the object is replaced.
pub(crate) struct Content {
    /// Which bytes of the object they are.
    range: Range<u64>,
    remaining: u64,
    source: Source,
}

enum Source {
    Memory(Bytes),
    Files(Files),
    Reading(JoinHandle<io::Result<(Files, Bytes)>>),
    /// Read to its end, or failed.
    Done,
}

/// Content files that are read one after the other.
struct Files {
    contents: Arc<Contents>,
    current: File,
    /// Bytes that are wanted of the current file.
    left: u64,
    rest: std::vec::IntoIter<Piece>,
    _pin: Option<Pinning>,
}

impl Files {
    /// The next bytes; at least one, unless all were read.
    fn read(mut self) -> io::Result<(Self, Bytes)> {
        while self.left == 0 {
            let Some(next) = self.rest.next() else {
                return Ok((self, Bytes::new()));
            };
            self.current = open_at(&self.contents.path(next.content), next.range.start)?;
            self.left = next.range.end.saturating_sub(next.range.start);
        }
        let length = self.left.min(PIECE);
        let bytes = read_piece(&self.current, length)?;
        self.left = self.left.saturating_sub(length);
        Ok((self, bytes))
    }

    fn start(self) -> Source {
        Source::Reading(tokio::task::spawn_blocking(move || self.read()))
    }
}

impl Content {
    pub(super) fn empty() -> Self {
        Self {
            range: 0..0,
            remaining: 0,
            source: Source::Done,
        }
    }

    /// Which bytes of the object they are.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Makes it the body of a response.
    pub(crate) fn into_body(self) -> s3s::Body {
        match self.source {
            Source::Memory(bytes) => bytes.into(),
            Source::Done => Bytes::new().into(),
            _ => s3s::dto::StreamingBlob::new(self).into(),
        }
    }
}

impl Stream for Content {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let (bytes, next) = match std::mem::replace(&mut self.source, Source::Done) {
                Source::Done => return Poll::Ready(None),
                Source::Memory(bytes) => (bytes, Source::Done),
                Source::Files(files) => {
                    self.source = files.start();
                    continue;
                }
                Source::Reading(mut read) => {
                    let Poll::Ready(read) = Pin::new(&mut read).poll(cx) else {
                        self.source = Source::Reading(read);
                        return Poll::Pending;
                    };
                    match read.map_err(io::Error::other).flatten() {
                        Ok((files, bytes)) => {
                            // The next bytes are read while these are sent.
                            let more = self.remaining > bytes.len() as u64;
                            (bytes, if more { files.start() } else { Source::Done })
                        }
                        Err(error) => {
                            self.remaining = 0;
                            return Poll::Ready(Some(Err(error.into())));
                        }
                    }
                }
            };
            if bytes.is_empty() {
                // The files held less than the row says.
                let missing = std::mem::take(&mut self.remaining) > 0;
                return Poll::Ready(missing.then(|| Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())));
            }
            self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
            self.source = next;
            return Poll::Ready(Some(Ok(bytes)));
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content")
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl ByteStream for Content {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

fn open_at(path: &Path, start: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    if start > 0 {
        file.seek(SeekFrom::Start(start))?;
    }
    Ok(file)
}

/// Exactly `length` bytes from where the file stands; an early end is an error.
fn read_piece(file: &File, length: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
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
