//! Relays between a program and the servers that it calls: every call is counted and named, and one of them can be lost.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use crate::{authority::Authority, control_plane::ControlPlane};

/// When a call is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// The server never sees it.
    Before,
    /// The server has answered, and the program never sees that.
    After,
}

/// How a call is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// Its connection is closed.
    Cut,
    /// Nothing more is heard of it, and whoever [waits](Calls::lost_within) is told: now the program can be killed.
    Silence,
}

/// The one call that is lost.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its number, from 1.
    pub at: usize,
    /// When.
    pub moment: Moment,
    /// How.
    pub loss: Loss,
}

/// The calls that went through some relays, in one count. Clones are the same.
#[derive(Clone)]
pub struct Calls(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    tell: mpsc::Sender<()>,
    told: Mutex<mpsc::Receiver<()>>,
}

#[derive(Default)]
struct State {
    names: Vec<String>,
    fault: Option<Fault>,
}

impl Default for Calls {
    fn default() -> Self {
        let (tell, told) = mpsc::channel();
        let told = Mutex::new(told);
        Self(Arc::new(Shared {
            state: Mutex::default(),
            tell,
            told,
        }))
    }
}

impl Calls {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count anew.
    pub fn begin(&self, fault: Option<Fault>) {
        *self.state() = State {
            names: Vec::new(),
            fault,
        };
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        while told.try_recv().is_ok() {}
    }

    /// The calls so far: operations of AWS's Query protocol by their names, all others by method and path.
    pub fn names(&self) -> Vec<String> {
        self.state().names.clone()
    }

    /// Whether a call was lost in [silence](Loss::Silence), now or within this time.
    pub fn lost_within(&self, time: Duration) -> bool {
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.recv_timeout(time).is_ok()
    }

    /// Counts a call; how it is lost, if it is the one.
    fn count(&self, name: String) -> Option<Fault> {
        let mut state = self.state();
        state.names.push(name);
        let number = state.names.len();
        state.fault.filter(|fault| fault.at == number)
    }

    async fn lose(&self, loss: Loss) -> io::Error {
        if loss == Loss::Silence {
            // Whoever waits is there, or nobody is.
            let _ = self.0.tell.send(());
            std::future::pending::<()>().await;
        }
        io::ErrorKind::ConnectionReset.into()
    }
}

/// A running relay; it ends with this value.
pub struct Relay {
    address: String,
    folder: TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

#[derive(Clone)]
struct Upstream {
    authority: String,
    tls: Option<tokio_rustls::TlsConnector>,
}

impl Relay {
    /// A relay to a plain HTTP endpoint like `http://127.0.0.1:4700`.
    pub fn plain(endpoint: &str, calls: &Calls) -> Result<Self> {
        let authority = endpoint
            .strip_prefix("http://")
            .context("the endpoint is not http://")?
            .trim_end_matches('/')
            .to_owned();
        Self::start(Upstream { authority, tls: None }, None, tempfile::tempdir()?, calls)
    }

    /// A relay to a control plane, with a certificate of its own and a [`kubeconfig`](Self::kubeconfig).
    pub fn kubernetes(control_plane: &ControlPlane, calls: &Calls) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(control_plane.authority())?)?;
        let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let authority = Authority::new("conformance relay")?;
        let leaf = authority.leaf(&["127.0.0.1"])?;
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(leaf.chain, leaf.key)?;
        let folder = tempfile::tempdir()?;
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem())?;
        let upstream = Upstream {
            authority: control_plane.url().trim_start_matches("https://").to_owned(),
            tls: Some(tokio_rustls::TlsConnector::from(Arc::new(client))),
        };
        let relay = Self::start(upstream, Some(server), folder, calls)?;
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "relay",
            "clusters": [{"name": "relay", "cluster": {"server": relay.endpoint(), "certificate-authority": ca}}],
            "users": [{"name": "administrator", "user": {"token": control_plane.token()}}],
            "contexts": [{"name": "relay", "context": {"cluster": "relay", "user": "administrator"}}],
        });
        std::fs::write(relay.kubeconfig(), config.to_string())?;
        Ok(relay)
    }

    fn start(upstream: Upstream, tls: Option<rustls::ServerConfig>, folder: TempDir, calls: &Calls) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr()?);
        let acceptor = tls.map(|tls| tokio_rustls::TlsAcceptor::from(Arc::new(tls)));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let calls = calls.clone();
        std::thread::Builder::new().name("relay".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = listen(listener, acceptor, upstream, calls) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            address,
            folder,
            _stop: stop,
        })
    }

    /// Where programs find it: `http://…` or `https://127.0.0.1:…`.
    pub fn endpoint(&self) -> &str {
        &self.address
    }

    /// The administrator's configuration file of a relay to a control plane.
    pub fn kubeconfig(&self) -> PathBuf {
        Path::new(self.folder.path()).join("kubeconfig")
    }
}

async fn listen(
    listener: std::net::TcpListener,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    upstream: Upstream,
    calls: Calls,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (upstream, calls, acceptor) = (upstream.clone(), calls.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, upstream, calls).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, upstream, calls).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, upstream: Upstream, calls: Calls) {
    let service = service_fn(move |request| relay(request, upstream.clone(), calls.clone()));
    // An error of the service ends the connection without an answer: that is how a call is cut.
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(served.await);
}

async fn relay(request: Request<Incoming>, upstream: Upstream, calls: Calls) -> io::Result<Response<Full<Bytes>>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let action = std::str::from_utf8(&body)
        .ok()
        .and_then(|form| form.split('&').find_map(|field| field.strip_prefix("Action=")));
    let name = match action {
        Some(action) if head.method == "POST" => action.to_owned(),
        _ => format!("{} {}", head.method, head.uri.path()),
    };
    let fault = calls.count(name);
    if let Some(fault) = fault.filter(|fault| fault.moment == Moment::Before) {
        return Err(calls.lose(fault.loss).await);
    }
    // The name of the relay stays in `Host`: it is signed.
    head.headers.remove(header::CONNECTION);
    head.headers.remove(header::TRANSFER_ENCODING);
    let request = Request::from_parts(head, Full::new(body));
    let answer = upstream.send(request).await.map_err(io::Error::other)?;
    match fault {
        Some(fault) => Err(calls.lose(fault.loss).await),
        None => Ok(answer),
    }
}

impl Upstream {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some(tls) => exchange(tls.connect(ServerName::try_from("127.0.0.1")?, stream).await?, request).await,
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Full<Bytes>>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}
