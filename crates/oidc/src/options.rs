use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

/// Finds the addresses of a host. Everything it answers is checked before anything is connected to, and only checked addresses are.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, each with `port`.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Limits and trust of fetching. `Default` gives the documented values.
#[derive(Clone)]
pub struct FetchOptions {
    /// Certificate authorities beside the system's (`--issuer-ca`). None by default.
    pub extra_ca: Vec<CertificateDer<'static>>,
    /// Whether the system's certificate authorities count, which `SSL_CERT_FILE` replaces. Yes by default.
    pub system_ca: bool,
    /// Whether loopback and private addresses may be fetched from, and ports other than 443 may be used. No by default.
    pub allow_private: bool,
    /// Whether `jwks_uri` may be on another host than the issuer, as with AWS; that host is checked no less. Yes by default.
    pub allow_other_host: bool,
    /// The largest discovery document in bytes: 64 KiB.
    pub discovery_limit: usize,
    /// The largest key set in bytes: 256 KiB.
    pub keys_limit: usize,
    /// The time for one whole fetch, discovery document and key set: 5 s.
    pub deadline: Duration,
    /// How long a key set without `Cache-Control` is used: 5 minutes.
    pub default_lifetime: Duration,
    /// The shortest time that a key set is used if `max-age` is above zero: 30 s.
    pub minimum_lifetime: Duration,
    /// The longest time that a key set is used whatever `max-age` says: 1 hour.
    pub maximum_lifetime: Duration,
    /// The least time between two fetches that unknown key ids cause: 5 s.
    pub unknown_key_interval: Duration,
    /// How many fetches in a row an issuer gets that forbids caching (`no-cache`, `no-store`, `max-age=0`): 8.
    pub revalidation_burst: u32,
    /// After a burst, such an issuer gets one fetch each interval: 1 s. In between, the last key set is used.
    pub revalidation_interval: Duration,
    /// How long after a first failure nothing is fetched from the issuer: 2 s. Each further failure doubles it.
    pub first_retry: Duration,
    /// The longest pause after failures: 60 s.
    pub maximum_retry: Duration,
    /// How long the last good key set is used while the issuer fails, counted from its fetch: 24 hours.
    pub stale_limit: Duration,
    /// How many issuers are remembered; beyond, the one not used for longest is forgotten: 10,000.
    pub maximum_issuers: usize,
    /// How many fetches run at a time: 256. Another one waits for its turn for at most `deadline`.
    pub maximum_fetches: usize,
    /// Where addresses come from: the system's resolver.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            extra_ca: Vec::new(),
            system_ca: true,
            allow_private: false,
            allow_other_host: true,
            discovery_limit: 64 * 1024,
            keys_limit: 256 * 1024,
            deadline: Duration::from_secs(5),
            default_lifetime: Duration::from_secs(300),
            minimum_lifetime: Duration::from_secs(30),
            maximum_lifetime: Duration::from_secs(3600),
            unknown_key_interval: Duration::from_secs(5),
            revalidation_burst: 8,
            revalidation_interval: Duration::from_secs(1),
            first_retry: Duration::from_secs(2),
            maximum_retry: Duration::from_secs(60),
            stale_limit: Duration::from_secs(24 * 3600),
            maximum_issuers: 10_000,
            maximum_fetches: 256,
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl fmt::Debug for FetchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchOptions")
            .field("extra_ca", &self.extra_ca.len())
            .field("allow_private", &self.allow_private)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
