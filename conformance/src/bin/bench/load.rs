//! The load: requests, sent again and again over kept-alive connections, as cheaply as a client can.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

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
            let mut connection = Connection::open(self.address).await?;
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

/// A count as a float; counts here are far below 2^32.
pub(crate) fn float(count: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(count).context("a count beyond 2^32")?))
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
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
        self.stream.write_all(&request.body).await
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
