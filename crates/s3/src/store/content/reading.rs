//! Contents that are read: in memory, or file by file while they are sent.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;

use super::super::ObjectStoreError;
use super::{ContentId, Contents, PIECE, Piece, Pinning, SMALL, fail};
use crate::front::BoxError;

impl Contents {
    /// Opens a content for reading: small pieces are read at once, large ones while they are sent.
    pub(in crate::store) fn read(
        self: &Arc<Self>,
        id: ContentId,
        range: Range<u64>,
    ) -> Result<Content, ObjectStoreError> {
        let piece = Piece {
            content: id,
            range: range.clone(),
        };
        self.read_pieces(vec![piece], range, None)
    }

    /// Opens the pieces of `range` for reading; the first file now, so that what is gone shows before anything is sent.
    pub(in crate::store) fn read_pieces(
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
    /// The next bytes; at least one, unless all were read. `buffer` is empty, and has room for a piece.
    fn read(mut self, buffer: Vec<u8>) -> io::Result<(Self, Bytes)> {
        while self.left == 0 {
            let Some(next) = self.rest.next() else {
                return Ok((self, Bytes::new()));
            };
            self.current = open_at(&self.contents.path(next.content), next.range.start)?;
            self.left = next.range.end.saturating_sub(next.range.start);
        }
        let length = self.left.min(PIECE);
        let bytes = fill(buffer, &self.current, length)?;
        self.left = self.left.saturating_sub(length);
        Ok((self, bytes))
    }

    /// Begins to read some of the bytes that remain.
    fn start(self, remaining: u64) -> Source {
        // The buffer is made here and not where it is filled: allocators keep some memory for each thread that takes any, and of threads that may
        // block there are hundreds.
        let buffer = Vec::with_capacity(usize::try_from(remaining.min(PIECE)).unwrap_or_default());
        Source::Reading(tokio::task::spawn_blocking(move || self.read(buffer)))
    }
}

impl Content {
    pub(in crate::store) fn empty() -> Self {
        Self {
            range: 0..0,
            remaining: 0,
            source: Source::Done,
        }
    }

    /// These bytes of an object that is in memory; `None`: it has none such.
    pub(in crate::store) fn of_memory(whole: &Bytes, range: Range<u64>) -> Option<Self> {
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        let bytes = (start <= end && end <= whole.len()).then(|| whole.slice(start..end))?;
        Some(Self {
            remaining: bytes.len() as u64,
            range,
            source: Source::Memory(bytes),
        })
    }

    /// The bytes, if they are in memory and begin with the object's first.
    pub(in crate::store) fn whole(&self) -> Option<Bytes> {
        match &self.source {
            Source::Memory(bytes) if self.range.start == 0 => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Which bytes of the object they are.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The bytes, if they are here.
    pub(crate) fn in_memory(self) -> Result<Bytes, Self> {
        match self.source {
            Source::Memory(bytes) => Ok(bytes),
            Source::Done => Ok(Bytes::new()),
            source => Err(Self { source, ..self }),
        }
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
                    self.source = files.start(self.remaining);
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
                            let more = self.remaining.saturating_sub(bytes.len() as u64);
                            let next = if more > 0 { files.start(more) } else { Source::Done };
                            (bytes, next)
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

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_next(cx).map_ok(Frame::data)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
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
    let buffer = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    fill(buffer, file, length)
}

fn fill(mut bytes: Vec<u8>, file: &File, length: u64) -> io::Result<Bytes> {
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}
