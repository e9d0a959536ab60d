//! From configuration to a server that answers.

use std::convert::Infallible;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use irsa_audit::{AuditError, Durability, Journal, JournalOptions};
use irsa_core::{AccountId, Clock, Timestamp};
use irsa_iam::Quotas;
use irsa_oidc::{ExtraCaError, FetchOptions, Trusted};
use irsa_s3::{Front, FrontOptions, ObjectStore, ObjectStoreError};
use irsa_store::{SqliteStore, StoreError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authenticate::SigningKeys;
use crate::authorizer::{Authorizer, AuthorizerAddress, AuthorizerConfigError};
use crate::buckets::StoreBuckets;
use crate::config::{AuditDurability, ServerConfig};
use crate::data_folder::{DataFolder, DataFolderError, write_private};
use crate::first_start::{FirstStartError, RootKey, first_start};
use crate::gateway::{Gateway, GatewayConfigError};
use crate::keeper::{Keeper, KeeperError};
use crate::listener::{DRAIN_DEADLINE, Face, Service, bind, bind_unix, serve};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::s3_upstream::{S3UpstreamError, S3Upstreams};
use crate::tls::{ServerCertificate, TlsError};

/// How often the TLS files are looked at for a new certificate.
const TLS_RELOAD: Duration = Duration::from_secs(60);
/// Why a server doesn't start. The messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's records.
    #[error("the store's records can't be used: {0}")]
    Records(#[from] KeeperError),
    /// The audit journal.
    #[error("the audit journal can't be used: {0}")]
    Journal(#[from] AuditError),
    /// The object store.
    #[error("the object store can't be used: {0}")]
    Objects(#[from] ObjectStoreError),
    /// The first start.
    #[error("the first account can't be made: {0}")]
    First(#[from] FirstStartError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file of `--issuer-ca`.
    #[error("`{file}` can't be used as a certificate authority for issuers: {reason}")]
    IssuerCa {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A listener.
    #[error("`{address}` can't be listened on: {source}; choose another with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The S3 stores behind the server.
    #[error("the S3 store can't be used: {0}")]
    S3Upstream(#[from] S3UpstreamError),
    /// The gateway.
    #[error("the gateway can't be used: {0}")]
    Gateway(#[from] GatewayConfigError),
    /// The authorizer.
    #[error("the authorizer can't be used: {0}")]
    Authorizer(#[from] AuthorizerConfigError),
    /// The authorizer's Unix socket.
    #[error("`{socket}` can't be listened on: {source}; choose another with --authorizer")]
    Socket {
        /// The socket.
        socket: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// `--account` names another account than the one that the data folder began with.
    #[error(
        "the data folder's first account is {found}, not {asked}; leave --account away, or choose another --data folder"
    )]
    Account {
        /// The one that exists.
        found: AccountId,
        /// The one that was asked for.
        asked: AccountId,
    },
    /// The store has no first account, though it is not empty.
    #[error(
        "the store has records but no first account: restore the data folder from a backup, or choose another --data folder"
    )]
    NoAccount,
}

/// A server that answers until it is stopped.
pub struct RunningServer {
    endpoint: String,
    tls_endpoint: String,
    authorizer: Option<AuthorizerAddress>,
    account: AccountId,
    first_root: Option<RootKey>,
    folder: DataFolder,
    stop: watch::Sender<bool>,
    idle: mpsc::Receiver<Infallible>,
    listeners: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    pipeline: Arc<Pipeline>,
    /// The data folder is ours as long as this file is open.
    lock: File,
}

impl RunningServer {
    /// Where the AWS API is, such as `http://127.0.0.1:4700`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where the AWS API and hosted issuers are over TLS.
    #[must_use]
    pub fn tls_endpoint(&self) -> &str {
        &self.tls_endpoint
    }

    /// Where proxies ask, if they may.
    #[must_use]
    pub fn authorizer(&self) -> Option<&AuthorizerAddress> {
        self.authorizer.as_ref()
    }

    /// The first account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The root key that this very start made; `None` at every later one.
    #[must_use]
    pub fn first_root(&self) -> Option<&RootKey> {
        self.first_root.as_ref()
    }

    /// The data folder.
    #[must_use]
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// Stops: no new connections, requests under way are finished, the journal is on disk.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener ended badly");
            }
        }
        if tokio::time::timeout(DRAIN_DEADLINE, self.idle.recv()).await.is_err() {
            tracing::warn!("some requests were still under way when the server stopped");
        }
        for task in &self.background {
            task.abort();
        }
        if let Err(error) = self.pipeline.journal.flush() {
            tracing::error!(%error, "the audit journal could not be flushed");
        }
        if let Err(error) = std::fs::remove_file(self.folder.server_file()) {
            tracing::debug!(%error, "the server file could not be removed");
        }
        if let Some(AuthorizerAddress::Unix(socket)) = &self.authorizer
            && let Err(error) = std::fs::remove_file(socket)
        {
            tracing::debug!(%error, "the authorizer's socket could not be removed");
        }
        drop(self.lock);
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// Starts a server; its listeners accept when this returns.
///
/// # Errors
/// Whatever keeps it from starting, with advice.
pub async fn start(config: ServerConfig) -> Result<RunningServer, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    let folder = DataFolder::new(absolute(&config.data));
    let lock = folder.create()?;
    let kek = Arc::new(folder.key_encryption_key()?);
    let journal_key = kek.derive("audit journal");
    let store = Arc::new(SqliteStore::open(&folder.database())?);
    let keeper = Keeper::load(store, Arc::clone(&kek)).await?;
    let mut background = vec![tokio::spawn(Arc::clone(&keeper).follow())];

    let snapshot = keeper.snapshot();
    let first_root = match snapshot.operator_account {
        Some(found) => {
            if let Some(asked) = config.account.filter(|asked| *asked != found) {
                return Err(StartError::Account { found, asked });
            }
            None
        }
        None if snapshot.revision > 0 => return Err(StartError::NoAccount),
        None => {
            let (transaction, root) = first_start(config.account, now, &kek)?;
            // The key goes to its file first: an account whose key nobody has would be lost.
            folder.add_root_profile(
                root.account,
                &root.access_key_id,
                &root.secret_access_key,
                &config.region,
                true,
            )?;
            keeper.commit(transaction).await?;
            Some(root)
        }
    };
    drop(snapshot);
    let account = keeper.snapshot().operator_account.ok_or(StartError::NoAccount)?;

    let durability = match config.audit_durability {
        AuditDurability::Kernel => Durability::Kernel,
        AuditDurability::Disk => Durability::Disk,
    };
    let options = JournalOptions {
        retention: config.audit_retention,
        ..JournalOptions::new(durability, *journal_key)
    };
    let journal = Journal::open(&folder.audit(), options)?;
    let objects = ObjectStore::open(&folder.objects())?;
    let listen = |flag, address| move |source| StartError::Listen { address, flag, source };
    let (plain, plain_address) = bind(config.listen).await.map_err(listen("--listen", config.listen))?;
    let (tls, tls_address) = bind(config.tls_listen)
        .await
        .map_err(listen("--tls-listen", config.tls_listen))?;
    let metrics = match config.metrics_listen {
        Some(address) => Some(bind(address).await.map_err(listen("--metrics-listen", address))?),
        None => None,
    };
    let questions = match &config.authorizer {
        Some(authorizer) => {
            authorizer.check()?;
            Some(match &authorizer.listen {
                AuthorizerAddress::Tcp(address) => {
                    let (listener, bound) = bind(*address).await.map_err(listen("--authorizer", *address))?;
                    (listener, AuthorizerAddress::Tcp(bound))
                }
                AuthorizerAddress::Unix(path) => {
                    let listener = bind_unix(path).map_err(|source| StartError::Socket {
                        socket: path.display().to_string(),
                        source,
                    })?;
                    (listener, AuthorizerAddress::Unix(path.clone()))
                }
            })
        }
        None => None,
    };
    let (endpoint, tls_endpoint) = (
        format!("http://{}", reachable(plain_address)),
        format!("https://{}", reachable(tls_address)),
    );
    let issuer_base = config.issuer_url.clone().unwrap_or_else(|| tls_endpoint.clone());
    let hosts = certificate_hosts(&issuer_base, tls_address);
    let certificate = ServerCertificate::open(&folder, &hosts, now)?;
    let acceptor = TlsAcceptor::from(certificate.server_config()?);
    let verifier = match &config.authorizer {
        Some(authorizer) => authorizer.client_verifier()?,
        None => None,
    };
    let proxies = match verifier {
        Some(verifier) => Some(TlsAcceptor::from(certificate.proxies_config(verifier)?)),
        None => None,
    };

    let trusted = Trusted::new(FetchOptions {
        extra_ca: issuer_authorities(&config)?,
        allow_private: config.allow_private_issuers,
        ..FetchOptions::default()
    })
    .map_err(|error: ExtraCaError| StartError::IssuerCa {
        file: "--issuer-ca".to_owned(),
        reason: error.to_string(),
    })?;
    let domains = vec!["localhost".to_owned()];
    let s3_upstreams = S3Upstreams::new(
        &config.s3_upstream,
        Arc::new(StoreBuckets::new(Arc::clone(&keeper))),
        &config.region,
        &domains,
        account,
        Arc::clone(&clock),
        keeper.kek(),
    )?;
    let front = Front::new(FrontOptions {
        store: objects,
        buckets: s3_upstreams.buckets(),
        clock: Arc::clone(&clock),
        region: config.region.clone(),
        domains,
        upload_lifetime: config.upload_lifetime,
    });
    let gateway = Gateway::new(&config.gateway, &config.region, account)?;
    let authorizer = match &config.authorizer {
        Some(authorizer) => Some(Authorizer::new(authorizer, &gateway.desk, account)?),
        None => None,
    };
    let pipeline = Arc::new(Pipeline {
        keeper,
        signing_keys: SigningKeys::default(),
        journal,
        trusted,
        front,
        s3_upstreams,
        gateway,
        authorizer,
        clock: Arc::clone(&clock),
        quotas: Quotas::default(),
        metrics: Metrics::new(),
        issuer_base,
        folder: folder.clone(),
        config,
    });
    let (stop, stopped) = watch::channel(false);
    let (under_way, idle) = mpsc::channel(1);
    let service = Service {
        pipeline: Arc::clone(&pipeline),
        stop: stopped,
        under_way,
    };
    let mut listeners = vec![
        tokio::spawn(serve(plain, Face::Api(None), service.clone())),
        tokio::spawn(serve(tls, Face::Api(Some(acceptor)), service.clone())),
    ];
    if let Some((metrics, _)) = metrics {
        listeners.push(tokio::spawn(serve(metrics, Face::Metrics, service.clone())));
    }
    let authorizer = questions.as_ref().map(|(_, address)| address.clone());
    if let Some((listener, _)) = questions {
        listeners.push(tokio::spawn(serve(
            listener,
            Face::Authorizer(proxies),
            service.clone(),
        )));
    }
    drop(service);
    background.push(tokio::spawn(reload_certificate(
        certificate,
        folder.clone(),
        hosts,
        clock,
    )));
    let about = serde_json::json!({
        "endpoint": endpoint,
        "tlsEndpoint": tls_endpoint,
        "region": pipeline.config.region,
        "account": account.to_string(),
        "pid": std::process::id(),
    });
    write_private(&folder.server_file(), about.to_string().as_bytes())?;
    Ok(RunningServer {
        endpoint,
        tls_endpoint,
        authorizer,
        account,
        first_root,
        folder,
        stop,
        idle,
        listeners,
        background,
        pipeline,
        lock,
    })
}

fn absolute(path: &std::path::Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// An address that clients on this machine can use: the loopback one where every address is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The names that the server's certificate must be good for.
fn certificate_hosts(issuer_base: &str, address: SocketAddr) -> Vec<String> {
    let authority = issuer_base
        .trim_start_matches("https://")
        .split('/')
        .next()
        .unwrap_or_default();
    let host = match authority.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => authority.split(':').next().unwrap_or_default().to_owned(),
    };
    let mut hosts = vec![host, reachable(address).ip().to_string(), "localhost".to_owned()];
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| !host.is_empty() && seen.insert(host.clone()));
    hosts
}

fn issuer_authorities(config: &ServerConfig) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let mut authorities = Vec::new();
    for file in &config.issuer_ca {
        let unusable = |reason: String| StartError::IssuerCa {
            file: file.display().to_string(),
            reason,
        };
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(error.to_string()))?;
        if found.is_empty() {
            return Err(unusable("there is no certificate in it".to_owned()));
        }
        authorities.extend(found);
    }
    Ok(authorities)
}

/// Looks for new TLS files, and renews the server's own certificate before it ends.
async fn reload_certificate(
    certificate: Arc<ServerCertificate>,
    folder: DataFolder,
    hosts: Vec<String>,
    clock: Arc<dyn Clock>,
) {
    let mut ticks = tokio::time::interval(TLS_RELOAD);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Err(error) = certificate.reload(&folder, &hosts, clock.now()) {
            tracing::error!(%error, "the TLS files can't be used; the certificate stays as it was");
        }
    }
}
