//! Listeners: accept, handshake, serve, and stop without dropping anyone in the middle of an answer.

mod timely;

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use irsa_s3::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authorizer;
use crate::body::full;
use crate::early::Early;
use crate::peer::{Peer, TlsSession};
use crate::pipeline::Pipeline;
use timely::Timely;

/// How many connections are served at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8192;
/// How long a caller may take for a handshake, or for the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long requests under way may take once the server stops.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How long an answer may wait for its caller to take some of it.
const READER_DEADLINE_MILLIS: u32 = 60_000;
const MAX_HEAD: usize = 64 * 1024;
/// How many questions one connection of a proxy may put at a time.
const QUESTIONS_A_CONNECTION: u32 = 128;
const MAX_LIST: u32 = 64 * 1024;
/// How often a silent proxy is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long nothing may come from a proxy, nor go to it: longer than it takes to see whether it is still there.
const PROXY_SILENCE: Duration = Duration::from_secs(60);

/// What a listener serves.
#[derive(Clone)]
pub(crate) enum Face {
    /// The AWS API and hosted issuers.
    Api(Option<TlsAcceptor>),
    /// Health and metrics.
    Metrics,
    /// The questions of proxies, over HTTP/1 or HTTP/2.
    Authorizer(Option<TlsAcceptor>),
}

/// Where connections come from.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, address))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

/// Binds an address; the error names it.
pub(crate) async fn bind(address: SocketAddr) -> Result<(Listener, SocketAddr), std::io::Error> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((Listener::Tcp(listener), bound))
}

/// Binds a Unix socket that owner and group may use. One that was left behind, and that nobody listens on, is replaced.
pub(crate) fn bind_unix(path: &Path) -> Result<Listener, std::io::Error> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            if !is_socket || std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(Listener::Unix(listener))
}

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) pipeline: Arc<Pipeline>,
    /// Turns true when the server stops.
    pub(crate) stop: watch::Receiver<bool>,
    /// Held by every request under way, also when its connection is gone: the server ends when the last one is dropped.
    pub(crate) under_way: mpsc::Sender<Infallible>,
}

/// Accepts until told to stop, then waits for what is under way.
pub(crate) async fn serve(listener: Listener, face: Face, service: Service) {
    let mut stop = service.stop.clone();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = stopped(&mut stop) => break,
        };
        let Ok(slot) = slot else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: let some connections end first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (face, service) = (face.clone(), service.clone());
        connections.spawn(async move {
            service.pipeline.metrics.connection_opened();
            match accepted {
                Accepted::Tcp(stream, address) => connection(stream, address, face, &service).await,
                // Only questions come over such a socket.
                Accepted::Unix(stream) => questions(stream, "a Unix socket", &service).await,
            }
            service.pipeline.metrics.connection_closed();
            drop(slot);
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_DEADLINE, drained).await.is_err() {
        tracing::warn!("some requests were still under way when the server stopped");
    }
}

/// Waits until the server is told to stop; a server that is gone has stopped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

async fn connection(stream: TcpStream, address: SocketAddr, face: Face, service: &Service) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection's delay could not be switched off");
    }
    // A caller who never reads its answers would hold its place for ever.
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, READER_DEADLINE_MILLIS) {
        tracing::debug!(%error, "a connection's deadline for readers could not be set");
    }
    match face {
        Face::Api(None) => http(stream, Peer { address, tls: None }, false, service).await,
        Face::Metrics => http(stream, Peer { address, tls: None }, true, service).await,
        Face::Authorizer(None) => questions(stream, address, service).await,
        Face::Authorizer(Some(acceptor)) => {
            if let Some(stream) = handshake(&acceptor, stream, address).await {
                questions(stream, address, service).await;
            }
        }
        Face::Api(Some(acceptor)) => {
            let Some(stream) = handshake(&acceptor, stream, address).await else {
                return;
            };
            let session = stream.get_ref().1;
            let version = match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            };
            let suite = session
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default();
            // rustls writes TLS13_AES_…, the registry and CloudTrail TLS_AES_….
            let tls = TlsSession {
                version,
                cipher_suite: suite.replacen("TLS13_", "TLS_", 1),
            };
            http(
                stream,
                Peer {
                    address,
                    tls: Some(tls),
                },
                false,
                service,
            )
            .await;
        }
    }
}

async fn handshake(acceptor: &TlsAcceptor, stream: TcpStream, address: SocketAddr) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(HEAD_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tracing::debug!(%error, %address, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
    }
    None
}

async fn http<S>(stream: S, peer: Peer, metrics: bool, service: &Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = &Arc::new(peer);
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| async move {
        if metrics {
            return Ok::<_, Infallible>(metrics_page(&service.pipeline, request.uri().path()));
        }
        let may_leave_body = may_leave_body(&request);
        let (pipeline, peer) = (Arc::clone(&service.pipeline), Arc::clone(peer));
        let mut response = if pipeline.s3_upstreams.may_be_slow() {
            begun_or_whole(service, peer, request).await
        } else {
            whole(service, async move { pipeline.serve(&peer, request).await }).await
        };
        if may_leave_body(response.status()) {
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert(http::header::CONNECTION, close);
        }
        Ok(response)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .half_close(false);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    to_its_end(
        connection,
        |connection| connection.graceful_shutdown(),
        peer.address,
        service,
    )
    .await;
}

/// Tells by an answer's status whether the request's body may still be to come, of a caller who waits for leave to send it. Nobody can say then whether the
/// next bytes are that body or another request, and two that share the connection could be read into one: it ends. Only what takes a body, and
/// succeeds, has read it. See <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>.
fn may_leave_body<B>(request: &hyper::Request<B>) -> impl Fn(http::StatusCode) -> bool + use<B> {
    let waits = request.headers().contains_key(http::header::EXPECT);
    let takes_body = matches!(*request.method(), http::Method::PUT | http::Method::POST)
        && !request.headers().contains_key("x-amz-copy-source");
    move |status| waits && !(takes_body && status.is_success())
}

/// Serves a connection until it ends; once the server stops, only what is under way.
async fn to_its_end<C, E: Display>(
    connection: C,
    shut_down: impl FnOnce(Pin<&mut C>),
    address: impl Display,
    service: &Service,
) where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = std::pin::pin!(connection);
    let mut stop = service.stop.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            shut_down(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %address, "a connection ended early");
    }
}

/// Serves the questions of a proxy: HTTP/1, or HTTP/2 from its first byte. Heads and silence have their deadlines here, whole questions
/// theirs in [`authorizer::serve`].
async fn questions<S>(stream: S, address: impl Display, service: &Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (pipeline, service) = (Arc::clone(&service.pipeline), service.clone());
        async move {
            let answered = async move { authorizer::serve(&pipeline, request).await };
            Ok::<_, Infallible>(whole(&service, answered).await)
        }
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(QUESTIONS_A_CONNECTION)
        .max_header_list_size(MAX_LIST)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(HEAD_DEADLINE);
    let stream = TokioIo::new(Timely::new(stream, HEAD_DEADLINE, PROXY_SILENCE));
    let connection = builder.serve_connection(stream, answer);
    to_its_end(
        connection,
        |connection| connection.graceful_shutdown(),
        address,
        service,
    )
    .await;
}

/// The answer to a request, or its beginning if it takes long.
async fn begun_or_whole(
    service: &Service,
    peer: Arc<Peer>,
    mut request: hyper::Request<hyper::body::Incoming>,
) -> http::Response<Body> {
    let pipeline = Arc::clone(&service.pipeline);
    let (early, begun) = Early::new();
    request.extensions_mut().insert(early.clone());
    let answered = whole(service, async move {
        let response = pipeline.serve(&peer, request).await;
        early.finish(response).await
    });
    tokio::select! {
        biased;
        // What is left of the request is finished in the background then.
        Ok(response) = begun => response,
        response = answered => response,
    }
}

/// Serves a request to its end, whether or not its caller waits for it.
async fn whole(
    service: &Service,
    answer: impl Future<Output = http::Response<Body>> + Send + 'static,
) -> http::Response<Body> {
    let under_way = service.under_way.clone();
    let answering = AssertUnwindSafe(async move {
        let response = answer.await;
        drop(under_way);
        response
    });
    let answered = Unabandoned(Some(Box::pin(answering.catch_unwind()))).await;
    answered.unwrap_or_else(|_| {
        tracing::error!("a request was not answered: the program has a fault");
        let mut response = http::Response::new(full("an internal error occurred"));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// A request that is finished in the background when its connection is dropped: a caller who hangs up must not end it between its change
/// and its record.
struct Unabandoned<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Future for Unabandoned<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = self.0.as_mut() else {
            return Poll::Pending;
        };
        let output = ready!(future.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Unabandoned<F> {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

fn metrics_page(pipeline: &Pipeline, path: &str) -> http::Response<Body> {
    if path != "/metrics" {
        return pipeline.health(path);
    }
    let mut response = http::Response::new(full(pipeline.metrics.text()));
    let content_type = http::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}
