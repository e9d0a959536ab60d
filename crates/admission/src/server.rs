use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admission::{Admission, Rules};
use crate::files::{PERIOD, read};
use crate::listener::{self, Face, Phase};
use crate::route::Routes;
use crate::tls::{TlsOptions, not_after, server_config};
use crate::{Cluster, ServingCertificate, Sources};

/// Certificate authorities of clients have a few KiB each.
const MAX_AUTHORITIES: u64 = 1024 * 1024;
/// How long before its end a certificate that nobody renewed is warned about, in seconds.
const EARLY: i64 = 7 * 86_400;

/// Why the server does not start.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StartError {
    /// A file is not there.
    #[error("`{path}` does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or used.
    #[error("`{path}` can't be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An option has a value that cannot be used.
    #[error("{option}: {reason}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be served.
    #[error("TLS can't be served: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// A port cannot be listened on.
    #[error("can't listen on port {port}: {reason}")]
    Listen {
        /// The port.
        port: u16,
        /// What is wrong.
        reason: String,
    },
}

/// What an operator chooses of the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where both ports are; `None`: on every address.
    pub address: Option<IpAddr>,
    /// The HTTPS port; 0 takes a free one.
    pub port: u16,
    /// The port of metrics.
    pub metrics_port: u16,
    /// Whether the debug handlers are there.
    pub debug: bool,
    /// TLS.
    pub tls: TlsOptions,
    /// How long the server goes on serving after it has said that it is not ready any more.
    pub drain: Duration,
    /// How many connections the HTTPS port serves at a time; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How reviews are decided.
    pub rules: Rules,
}

/// The server, listening.
pub struct Server {
    options: Options,
    reviews: TcpListener,
    metrics: TcpListener,
    tls: Arc<ArcSwap<rustls::ServerConfig>>,
    authorities: Option<Vec<u8>>,
    routes: Arc<Routes>,
    phase: watch::Sender<Phase>,
    certificate: Arc<ServingCertificate>,
}

impl Server {
    /// Binds both ports. Connections are taken once [`run`](Self::run) is called.
    ///
    /// # Errors
    /// A port is taken, or TLS cannot be served as it is asked for.
    pub async fn bind(
        options: Options,
        sources: Arc<Sources>,
        cluster: Arc<dyn Cluster>,
        certificate: Arc<ServingCertificate>,
    ) -> Result<Self, StartError> {
        let authorities = match &options.tls.client_ca {
            Some(path) => Some(read(path, MAX_AUTHORITIES)?),
            None => None,
        };
        let config = server_config(&options.tls, &certificate, authorities.as_deref())?;
        let (sender, phase) = watch::channel(Phase::Serving);
        let admission = Admission::new(sources, cluster, options.rules.clone());
        let flags = (options.debug, authorities.is_some());
        let routes = Routes::new(admission, Arc::clone(&certificate), flags, phase);
        Ok(Self {
            reviews: listen(options.address, options.port).await?,
            metrics: listen(options.address, options.metrics_port).await?,
            tls: Arc::new(ArcSwap::from_pointee(config)),
            authorities,
            routes: Arc::new(routes),
            phase: sender,
            certificate,
            options,
        })
    }

    /// Where reviews are answered, and where metrics are.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.reviews.local_addr()?, self.metrics.local_addr()?))
    }

    /// Serves until `stop` ends; then says that it is not ready, serves on for the drain time, finishes what is under way, and returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            options,
            reviews,
            metrics,
            tls,
            authorities,
            routes,
            phase,
            certificate,
        } = self;
        let listening =
            |listener: &TcpListener| listener.local_addr().map(|address| address.port()).unwrap_or_default();
        tracing::info!("Listening on :{}", listening(&reviews));
        tracing::info!("Listening on :{} for metrics", listening(&metrics));
        let face = Face::Reviews(Arc::clone(&tls));
        let serving = listener::serve(
            reviews,
            face,
            Arc::clone(&routes),
            options.max_connections,
            phase.subscribe(),
        );
        let watching = listener::serve(
            metrics,
            Face::Metrics,
            Arc::clone(&routes),
            METRICS_CONNECTIONS,
            phase.subscribe(),
        );
        let serving = async { tokio::join!(serving, watching) };
        let stopping = async {
            stop.await;
            phase.send_replace(Phase::Draining);
            tracing::info!(
                seconds = options.drain.as_secs(),
                "stopping: not ready any more, and serving on"
            );
            // By then whoever balances connections knows that we are not ready.
            tokio::time::sleep(options.drain / 2).await;
            phase.send_replace(Phase::Parting);
            tokio::time::sleep(options.drain / 2).await;
            phase.send_replace(Phase::Finishing);
        };
        let upkeep = upkeep(&options, authorities, &tls, &routes, &certificate);
        tokio::select! {
            _ = async { tokio::join!(serving, stopping) } => {}
            () = upkeep => {}
        }
        tracing::info!("stopped");
    }
}

/// How many connections the metrics port serves at a time.
const METRICS_CONNECTIONS: usize = 64;

/// Looks after what changes while the server runs: clients' authorities, the certificate's end, readiness.
async fn upkeep(
    options: &Options,
    mut authorities: Option<Vec<u8>>,
    tls: &ArcSwap<rustls::ServerConfig>,
    routes: &Routes,
    certificate: &Arc<ServingCertificate>,
) {
    let mut warned = None;
    let mut not_ready = Some("starting");
    loop {
        let now_not_ready = routes.not_ready();
        if now_not_ready != not_ready {
            match now_not_ready {
                None => tracing::info!("ready"),
                Some(why) => tracing::info!(why, "not ready"),
            }
            not_ready = now_not_ready;
        }
        let current = certificate.current();
        let end = current.and_then(|current| not_after(current.cert.first()?));
        routes.metrics().certificate_expires(end.unwrap_or_default());
        if end != warned
            && let Some(seconds) = end.map(|end| end.saturating_sub(now()))
            && seconds < EARLY
        {
            tracing::warn!(seconds, "the serving certificate ends soon");
            warned = end;
        }
        if let Some(path) = &options.tls.client_ca
            && let Ok(read) = read(path, MAX_AUTHORITIES)
            && Some(&read) != authorities.as_ref()
        {
            match server_config(&options.tls, certificate, Some(&read)) {
                Ok(config) => {
                    tls.store(Arc::new(config));
                    tracing::info!("the clients' certificate authorities are in force");
                }
                Err(error) => {
                    tracing::error!(%error, "the clients' certificate authorities can't be used, the last good ones stay");
                }
            }
            authorities = Some(read);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// Listens on an address, or on all of them: those of both protocols where the machine has both.
async fn listen(address: Option<IpAddr>, port: u16) -> Result<TcpListener, StartError> {
    let addresses: &[IpAddr] = match &address {
        Some(address) => std::slice::from_ref(address),
        None => &[IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
    };
    let mut failed = String::new();
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(*address, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error.to_string(),
        }
    }
    Err(StartError::Listen { port, reason: failed })
}
