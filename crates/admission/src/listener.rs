//! Listeners: accept, handshake, serve, and stop without dropping a review that was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::route::{Caller, Routes};

/// How long a caller may take for a handshake, or for the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long requests under way may take once the server stops, as with the reference.
const FINISH_DEADLINE: Duration = Duration::from_secs(10);
/// How long an answer may wait for its caller to take some of it, in milliseconds.
const READER_DEADLINE_MILLIS: u32 = 30_000;
const MAX_HEAD: usize = 64 * 1024;
const MAX_LIST: u32 = 64 * 1024;
/// How many reviews one connection may ask at a time; what Go's servers allow.
const STREAMS: u32 = 250;
/// How often a silent HTTP/2 connection is asked whether anybody is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long an HTTP/2 connection may have no request: places are few, and an API server opens another one when it needs it.
const IDLE: Duration = Duration::from_secs(120);

/// What a port serves.
#[derive(Clone)]
pub(crate) enum Face {
    /// Reviews and health, over TLS with the settings of the moment.
    Reviews(Arc<ArcSwap<ServerConfig>>),
    /// Metrics and health, in plain text.
    Metrics,
}

/// When to stop.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    Serving,
    /// Not ready any more, and still serving.
    Draining,
    /// Still serving, and those who are connected over HTTP/2 are asked to go elsewhere for their next review.
    Parting,
    /// What is under way is finished, and nothing new is taken.
    Finishing,
}

/// Waits until it is time to finish; a server that is gone has finished.
async fn finishing(phase: &mut watch::Receiver<Phase>) {
    reached(phase, Phase::Finishing).await;
}

async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    drop(phase.wait_for(|phase| *phase >= wanted).await);
}

/// Accepts until told to stop, then waits for what is under way.
pub(crate) async fn serve(
    listener: TcpListener,
    face: Face,
    routes: Arc<Routes>,
    max_connections: usize,
    mut phase: watch::Receiver<Phase>,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = finishing(&mut phase) => break,
        };
        let Ok(slot) = slot else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = finishing(&mut phase) => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: let some connections end first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (face, routes, phase) = (face.clone(), Arc::clone(&routes), phase.clone());
        connections.spawn(async move {
            connection(stream, address, face, &routes, phase).await;
            drop(slot);
        });
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_DEADLINE, finished).await.is_err() {
        tracing::warn!("some requests were still under way when the server stopped");
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    face: Face,
    routes: &Arc<Routes>,
    phase: watch::Receiver<Phase>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection's delay could not be switched off");
    }
    // A caller who never reads its answers would hold its place for ever.
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, READER_DEADLINE_MILLIS) {
        tracing::debug!(%error, "a connection's deadline for readers could not be set");
    }
    match face {
        Face::Metrics => http1(stream, Caller::Metrics, routes, phase).await,
        Face::Reviews(config) => {
            let acceptor = TlsAcceptor::from(config.load_full());
            let metrics = routes.metrics();
            let Some(stream) = handshake(&acceptor, stream, address).await else {
                metrics.handshake_failed();
                return;
            };
            let session = stream.get_ref().1;
            let caller = Caller::Reviews {
                has_certificate: session.peer_certificates().is_some_and(|chain| !chain.is_empty()),
            };
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            metrics.connections.fetch_add(1, Ordering::Relaxed);
            if is_http2 {
                http2(stream, caller, routes, phase).await;
            } else {
                http1(stream, caller, routes, phase).await;
            }
            metrics.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

async fn handshake(acceptor: &TlsAcceptor, stream: TcpStream, address: SocketAddr) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(HEAD_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        // An API server whose caBundle is stale says so in an alert; port scanners and probes end here too.
        Ok(Err(error)) => tracing::debug!(%error, %address, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
    }
    None
}

async fn http1<S>(stream: S, caller: Caller, routes: &Arc<Routes>, mut phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // API servers ask webhooks over HTTP/1.1, and a request that meets the end of a connection is lost to them: while there is time, each is told with an
    // answer that the connection ends.
    let parting = phase.clone();
    let answer = service_fn(move |request| {
        let (routes, parting) = (Arc::clone(routes), parting.clone());
        async move {
            let mut response = answer(routes, caller, request).await?;
            if *parting.borrow() >= Phase::Parting {
                let close = http::HeaderValue::from_static("close");
                response.headers_mut().insert(http::header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .half_close(false);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = finishing(&mut phase) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn http2<S>(stream: S, caller: Caller, routes: &Arc<Routes>, mut phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = Arc::clone(routes);
    let requests = Arc::new(Requests::default());
    let counted = Arc::clone(&requests);
    let answer = service_fn(move |request| {
        let (routes, counted) = (Arc::clone(&routes), Counted::new(&counted));
        async move {
            let answered = answer(routes, caller, request).await;
            drop(counted);
            answered
        }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_LIST)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(HEAD_DEADLINE);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    // Who comes after the others were asked to go has nowhere else to go yet.
    let parting = if *phase.borrow() < Phase::Parting {
        Phase::Parting
    } else {
        Phase::Finishing
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = reached(&mut phase, parting) => {}, () = requests.idle() => {} } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The requests of one connection: how many there were, and how many are under way.
#[derive(Default)]
struct Requests {
    begun: AtomicU64,
    under_way: AtomicU64,
}

impl Requests {
    /// Waits until there was no request for some time.
    async fn idle(&self) {
        loop {
            let before = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(IDLE).await;
            if self.begun.load(Ordering::Relaxed) == before && self.under_way.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

/// One request under way, also while nobody polls it.
struct Counted(Arc<Requests>);

impl Counted {
    fn new(requests: &Arc<Requests>) -> Self {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        requests.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(requests))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(
    routes: Arc<Routes>,
    caller: Caller,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(routes.answer(caller, request).await)
}
