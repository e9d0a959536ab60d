//! The ceiling of S3: a bare hyper server that moves the same bytes between the same kind of files and sockets, and does nothing else.
//!
//! A GET opens a file and reads it. A PUT writes a file beside the others, flushes it, gives it its name, flushes the folder, and puts a row into a log whose
//! flush all PUTs that wait share: what a store must do whose 200 means that the object stays. No signatures, no hashes, no policies, no index, no audit.
//! It is an upstream as well: what a proxy costs shows best before one that costs nothing.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll, ready},
};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};

/// Content up to this many bytes is read and written in one piece.
const SMALL: u64 = 64 * 1024;
/// Larger content is read and written in pieces of this size.
const PIECE: u64 = 256 * 1024;
/// So many rows share one flush at most.
const GROUP: usize = 512;

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

struct Folder {
    path: PathBuf,
    /// For names of files that are not whole.
    number: AtomicU64,
    log: mpsc::Sender<Row>,
}

/// A line of the log, and who waits for it.
struct Row {
    line: String,
    written: oneshot::Sender<()>,
}

/// Serves until killed; prints its address once it listens.
pub(crate) fn main(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let (rows, queue) = mpsc::channel();
    std::thread::spawn(move || write_rows(&log, &queue));
    let folder = Arc::new(Folder {
        path: folder.to_owned(),
        number: AtomicU64::default(),
        log: rows,
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let mut stdout = io::stdout();
            writeln!(stdout, "{}", listener.local_addr()?)?;
            stdout.flush()?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let folder = Arc::clone(&folder);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&folder), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        })
}

/// The log's only writer: all rows that wait share a flush.
fn write_rows(mut log: &File, queue: &mpsc::Receiver<Row>) {
    while let Ok(first) = queue.recv() {
        let rows: Vec<Row> = std::iter::once(first).chain(queue.try_iter().take(GROUP)).collect();
        let lines: String = rows.iter().map(|row| row.line.as_str()).collect();
        if log.write_all(lines.as_bytes()).and_then(|()| log.sync_data()).is_err() {
            // Those who wait see that nobody will answer.
            continue;
        }
        for row in rows {
            let _ = row.written.send(());
        }
    }
}

async fn answer(folder: Arc<Folder>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    // One bucket, whose keys are the names of files.
    let name = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let outcome = match head.method {
        Method::GET => get(&folder.path.join(name)),
        Method::PUT if name.is_empty() => Ok(empty()),
        Method::PUT => put(folder, name, body).await.map(|()| empty()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    Ok(outcome.unwrap_or_else(|error| {
        let mut answer = full(error.to_string());
        *answer.status_mut() = match error.kind() {
            io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        answer
    }))
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::ETAG,
        HeaderValue::from_static("\"0123456789abcdef0123456789abcdef\""),
    );
    headers.insert(
        header::LAST_MODIFIED,
        HeaderValue::from_static("Sun, 01 Nov 2026 00:00:00 GMT"),
    );
    headers
}

fn full(bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync());
    *answer.headers_mut() = headers();
    answer
}

fn empty() -> Answer {
    full("")
}

fn get(path: &Path) -> io::Result<Answer> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
        file.read_to_end(&mut bytes)?;
        return Ok(full(bytes));
    }
    let body = FileBody {
        left: length,
        reading: read_on(file, length),
    };
    let mut answer = Response::new(body.boxed_unsync());
    *answer.headers_mut() = headers();
    Ok(answer)
}

async fn put(folder: Arc<Folder>, name: String, mut body: Incoming) -> io::Result<()> {
    let number = folder.number.fetch_add(1, Ordering::Relaxed);
    let mut upload = Upload {
        path: folder.path.join(format!("{name}.{number}")),
        file: None,
        pending: Vec::new(),
        pending_size: 0,
    };
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() {
            upload.pending_size += bytes.len() as u64;
            upload.pending.push(bytes);
        }
        if upload.pending_size > PIECE {
            upload = blocking(move || upload.write()).await?;
        }
    }
    let (row, written) = oneshot::channel();
    let sealed = Arc::clone(&folder);
    let line = format!("{name} {number}\n");
    blocking(move || {
        let upload = upload.write()?;
        let file = upload.file.ok_or(io::ErrorKind::NotFound)?;
        file.sync_all()?;
        std::fs::rename(&upload.path, sealed.path.join(&name))?;
        File::open(&sealed.path)?.sync_all()
    })
    .await?;
    let row = Row { line, written: row };
    folder.log.send(row).map_err(io::Error::other)?;
    written.await.map_err(io::Error::other)
}

/// A file that is being written.
struct Upload {
    path: PathBuf,
    file: Option<File>,
    pending: Vec<Bytes>,
    pending_size: u64,
}

impl Upload {
    fn write(mut self) -> io::Result<Self> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::create_new(&self.path)?,
        };
        for bytes in self.pending.drain(..) {
            file.write_all(&bytes)?;
        }
        self.pending_size = 0;
        self.file = Some(file);
        Ok(self)
    }
}

/// A file as a body: the next piece is read while one is sent.
struct FileBody {
    left: u64,
    reading: JoinHandle<io::Result<(File, Bytes)>>,
}

fn read_on(file: File, left: u64) -> JoinHandle<io::Result<(File, Bytes)>> {
    spawn_blocking(move || {
        let mut bytes = Vec::with_capacity(usize::try_from(left.min(PIECE)).map_err(io::Error::other)?);
        (&file).take(left.min(PIECE)).read_to_end(&mut bytes)?;
        Ok((file, bytes.into()))
    })
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let read = ready!(Pin::new(&mut self.reading).poll(cx)).map_err(io::Error::other);
        Poll::Ready(Some(read.flatten().and_then(|(file, bytes)| {
            let read = bytes.len() as u64;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left -= read;
            if self.left > 0 {
                self.reading = read_on(file, self.left);
            }
            Ok(Frame::data(bytes))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other).flatten()
}
