//! The load: one request, sent again and again over kept-alive connections, as cheaply as a client can.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::process;

/// No run may take longer than this, whatever count it was asked for.
const LIMIT: Duration = Duration::from_secs(300);

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

/// Sends `request` over `connections` connections to the process `pid` at `address`. Any other answer than 200 is an error.
pub(crate) fn run(address: SocketAddr, pid: u32, request: &[u8], connections: usize, until: Until) -> Result<Measured> {
    // One thread: on two cores, the load generator must leave as much as it can to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = Connection::open(address).await?;
            // One request ahead of the clock warms the connection up.
            connection.exchange(request).await?;
            streams.push(connection);
        }
        let (time, count) = match until {
            Until::Time(time) => (time, u64::MAX),
            Until::Count(count) => (LIMIT, count),
        };
        let taken = Arc::new(AtomicU64::new(0));
        let request: Arc<[u8]> = request.into();
        let cpu = process::cpu_microseconds(pid)?;
        let start = Instant::now();
        let end = start + time;
        let mut tasks = JoinSet::new();
        for mut connection in streams {
            let (taken, request) = (Arc::clone(&taken), Arc::clone(&request));
            tasks.spawn(async move {
                let mut done = 0u64;
                while Instant::now() < end && taken.fetch_add(1, Ordering::Relaxed) < count {
                    connection.exchange(&request).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            });
        }
        let mut requests = 0;
        while let Some(done) = tasks.join_next().await {
            requests += done??;
        }
        let elapsed = start.elapsed().as_secs_f64();
        let cpu = process::cpu_microseconds(pid)? - cpu;
        if let Until::Count(count) = until
            && requests < count
        {
            bail!("only {requests} of {count} requests were answered within {LIMIT:?}");
        }
        let answered = float(requests)?;
        Ok(Measured {
            requests,
            rate: answered / elapsed,
            cpu: cpu / answered,
        })
    })
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
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Sends the request and reads one whole answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let space = self.buffer.get_mut(filled..).context("no space")?;
            let read = self.stream.read(space).await?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            filled += read;
            let text = self.buffer.get(..filled).unwrap_or_default();
            if let Some(length) = whole(text)? {
                if length == filled {
                    return Ok(());
                }
                if length < filled {
                    bail!("more than one answer came");
                }
            }
            if filled == self.buffer.len() {
                bail!("an answer of more than {filled} bytes");
            }
        }
    }
}

/// The length of the answer that begins here, once its head is there.
fn whole(text: &[u8]) -> Result<Option<usize>> {
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
            return Ok(Some(head + 4 + body));
        }
    }
    bail!("an answer without a length: {head_text}")
}
