use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};

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
}

impl Contents {
    pub(super) fn open(root: &Path, generation: u64, janitor: Janitor) -> Result<Self, ObjectStoreError> {
        let this = Self {
            objects: root.join("content"),
            uploads: root.join("uploads"),
            generation,
            janitor,
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
    pub(super) fn read(&self, id: ContentId, range: Range<u64>) -> Result<Content, ObjectStoreError> {
        let path = self.path(id);
        let mut file = File::open(&path).map_err(|source| fail("open", &path, source))?;
        let length = range.end.saturating_sub(range.start);
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start))
                .map_err(|source| fail("read", &path, source))?;
        }
        if length > SMALL {
            return Ok(Content {
                range,
                remaining: length,
                source: Source::File(Arc::new(file)),
            });
        }
        let bytes = read_piece(&file, length).map_err(|source| fail("read", &path, source))?;
        Ok(Content {
            range,
            remaining: length,
            source: Source::Memory(bytes),
        })
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

/// Bytes of an object, in memory or still in their file. An open file stays readable when the object is replaced.
#[derive(Debug)]
pub(crate) struct Content {
    /// Which bytes of the object they are.
    range: Range<u64>,
    remaining: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File(Arc<File>),
    Reading(Arc<File>, JoinHandle<io::Result<Bytes>>),
}

impl Content {
    pub(super) fn empty() -> Self {
        Self {
            range: 0..0,
            remaining: 0,
            source: Source::Memory(Bytes::new()),
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
            _ => s3s::dto::StreamingBlob::new(self).into(),
        }
    }

    fn start(file: Arc<File>, remaining: u64) -> Source {
        let reader = Arc::clone(&file);
        let length = remaining.min(PIECE);
        Source::Reading(file, tokio::task::spawn_blocking(move || read_piece(&reader, length)))
    }
}

impl Stream for Content {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let remaining = self.remaining;
            match &mut self.source {
                _ if remaining == 0 => return Poll::Ready(None),
                Source::Memory(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.remaining = 0;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Source::File(file) => {
                    let file = Arc::clone(file);
                    self.source = Self::start(file, remaining);
                }
                Source::Reading(file, piece) => {
                    let piece = ready!(Pin::new(piece).poll(cx)).map_err(io::Error::other).flatten();
                    let file = Arc::clone(file);
                    let bytes = match piece {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            self.remaining = 0;
                            return Poll::Ready(Some(Err(error.into())));
                        }
                    };
                    self.remaining = remaining.saturating_sub(bytes.len() as u64);
                    // The next piece is read while this one is sent.
                    self.source = if self.remaining > 0 {
                        Self::start(file, self.remaining)
                    } else {
                        Source::File(file)
                    };
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

impl ByteStream for Content {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
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
