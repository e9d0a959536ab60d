//! The load: requests, sent again and again over kept-alive connections, as cheaply as a client can.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use crate::process;

/// No run may take longer than this, whatever count it was asked for.
const LIMIT: Duration = Duration::from_secs(300);
/// The longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;
/// Large bodies are read in pieces of this size, and forgotten.
const PIECE: usize = 256 * 1024;

/// When a run ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After so much time.
    Time(Duration),
    /// After so many requests.
    Count(u64),
}

/// What a run measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Requests answered with 200.
    pub(crate) requests: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// CPU of the server, microseconds a request.
    pub(crate) cpu: f64,
}

/// The bytes of one request. Copies share them.
#[derive(Clone)]
pub(crate) struct Request {
    /// Request line and headers, with the empty line at their end.
    pub(crate) head: Bytes,
    /// As long as the head says.
    pub(crate) body: Bytes,
    /// How long the body of the answer must be, where that is known.
    pub(crate) answer: Option<usize>,
}

/// A server process under load.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// Whether it speaks TLS, with a certificate that was given to [`trust`].
    pub(crate) tls: bool,
}

/// How servers are spoken to over TLS.
static TRUST: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// Trusts one certificate from now on, and no other.
pub(crate) fn trust(certificate: CertificateDer<'static>) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let _ = TRUST.set(Arc::new(config));
    Ok(())
}

impl Target {
    /// Sends requests over `connections` connections, each connection one of them again and again. Any other answer than 200 is an error.
    pub(crate) fn measure(self, requests: &[Request], connections: usize, until: Until) -> Result<Measured> {
        // One thread: on two cores, the load generator must leave as much as it can to the server.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.run(requests, connections, until))
    }

    async fn run(self, requests: &[Request], connections: usize, until: Until) -> Result<Measured> {
        let mut lanes = Vec::with_capacity(connections);
        for request in requests.iter().cycle().take(connections) {
            let mut connection = Connection::open(self).await?;
            // One request ahead of the clock warms the connection up.
            connection.exchange(request).await?;
            lanes.push((connection, request.clone()));
        }
        let (time, count) = match until {
            Until::Time(time) => (time, u64::MAX),
            Until::Count(count) => (LIMIT, count),
        };
        let taken = Arc::new(AtomicU64::new(0));
        let cpu = process::cpu_microseconds(self.pid)?;
        let start = Instant::now();
        let end = start + time;
        let mut tasks = JoinSet::new();
        for (mut connection, request) in lanes {
            let taken = Arc::clone(&taken);
            tasks.spawn(async move {
                let mut done = 0u64;
                while Instant::now() < end && taken.fetch_add(1, Ordering::Relaxed) < count {
                    connection.exchange(&request).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            });
        }
        let mut answered = 0;
        while let Some(done) = tasks.join_next().await {
            answered += done??;
        }
        let elapsed = start.elapsed().as_secs_f64();
        let cpu = process::cpu_microseconds(self.pid)? - cpu;
        if let Until::Count(count) = until
            && answered < count
        {
            bail!("only {answered} of {count} requests were answered within {LIMIT:?}");
        }
        let requests = float(answered)?;
        Ok(Measured {
            requests: answered,
            rate: requests / elapsed,
            cpu: cpu / requests,
        })
    }
}

impl Target {
    /// Sends requests at a steady rate, whether or not the earlier ones were answered, and returns how long each took from the moment when it was due,
    /// in microseconds, sorted.
    pub(crate) fn pace(self, request: &Request, connections: usize, rate: u32, time: Duration) -> Result<Vec<u64>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let every = Duration::from_secs(1) / rate;
            let lanes = u32::try_from(connections)?;
            let mut tasks = JoinSet::new();
            let mut opened = Vec::new();
            for _ in 0..connections {
                let mut connection = Connection::open(self).await?;
                connection.exchange(request).await?;
                opened.push(connection);
            }
            let start = Instant::now() + Duration::from_millis(50);
            for (mut connection, lane) in opened.into_iter().zip(0..) {
                let request = request.clone();
                tasks.spawn(async move {
                    let mut took = Vec::new();
                    let mut due = start + every * lane;
                    while due < start + time {
                        // A timer that fires late is no fault of the server's; an answer that makes the next request late is.
                        let is_late = Instant::now() > due;
                        tokio::time::sleep_until(due.into()).await;
                        let from = if is_late { due } else { Instant::now() };
                        connection.exchange(&request).await?;
                        took.push(u64::try_from(from.elapsed().as_micros())?);
                        due += every * lanes;
                    }
                    anyhow::Ok(took)
                });
            }
            let mut all = Vec::new();
            while let Some(took) = tasks.join_next().await {
                all.extend(took??);
            }
            all.sort_unstable();
            Ok(all)
        })
    }
}

/// A count as a float; counts here are far below 2^32.
pub(crate) fn float(count: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(count).context("a count beyond 2^32")?))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(target: Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = if target.tls {
            let trust = TRUST.get().context("no certificate is trusted")?;
            let name = target.address.ip().into();
            Box::new(TlsConnector::from(Arc::clone(trust)).connect(name, stream).await?)
        } else {
            Box::new(stream)
        };
        Ok(Self {
            stream,
            buffer: vec![0; MAX_HEAD],
        })
    }

    /// Sends the request and reads one whole answer.
    async fn exchange(&mut self, request: &Request) -> Result<()> {
        if let Err(error) = self.send(request).await {
            // A server that refuses a long body says so before it closes.
            self.receive(request.answer).await.map_err(|why| why.context(error))?;
            bail!("the server answered before it had the request");
        }
        self.receive(request.answer).await
    }

    async fn send(&mut self, request: &Request) -> std::io::Result<()> {
        self.stream.write_all(&request.head).await?;
        self.stream.write_all(&request.body).await?;
        self.stream.flush().await
    }

    async fn receive(&mut self, expected: Option<usize>) -> Result<()> {
        let mut filled = 0;
        let length = loop {
            let space = self.buffer.get_mut(filled..).context("no space")?;
            let read = self.stream.read(space).await?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            filled += read;
            if let Some(length) = lengths(self.buffer.get(..filled).unwrap_or_default(), expected)? {
                break length;
            }
            if filled == self.buffer.len() {
                bail!("an answer whose head has more than {filled} bytes");
            }
        };
        let mut left = length.checked_sub(filled).context("more than one answer came")?;
        if left > MAX_HEAD && self.buffer.len() < PIECE {
            self.buffer.resize(PIECE, 0);
        }
        while left > 0 {
            let most = left.min(self.buffer.len());
            let read = self
                .stream
                .read(self.buffer.get_mut(..most).context("no space")?)
                .await?;
            if read == 0 {
                bail!("the server closed the connection {left} bytes before the end of its answer");
            }
            left -= read;
        }
        Ok(())
    }
}

/// The length of the answer that begins here, head and body, once its head is there.
fn lengths(text: &[u8], expected: Option<usize>) -> Result<Option<usize>> {
    let Some(head) = text.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    if !text.starts_with(b"HTTP/1.1 200") {
        bail!("the server answered: {}", String::from_utf8_lossy(text));
    }
    let head_text = std::str::from_utf8(text.get(..head).unwrap_or_default())?;
    for line in head_text.split("\r\n") {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let body: usize = value.trim().parse()?;
            if expected.is_some_and(|expected| body != expected) {
                bail!("an answer of {body} bytes, and {expected:?} were asked for");
            }
            return Ok(Some(head + 4 + body));
        }
    }
    bail!("an answer without a length: {head_text}")
}
