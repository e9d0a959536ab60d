//! The way to one cluster's API server.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use irsa_core::Timestamp;
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::bearer::TokenSource;
use crate::error::{CallError, ClusterError, chain};
use crate::limiter::Limiter;
use crate::{kubeconfig, proxy, transport};

/// Where an API server is, and who we are to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Location {
    /// The cluster that this pod runs in: `KUBERNETES_SERVICE_HOST`, and the token and authority of the pod's service account.
    #[default]
    InCluster,
    /// A kubeconfig file, with its exec plugins and client certificates.
    Kubeconfig {
        /// The file, which has to be there; without one those that `KUBECONFIG` lists, as far as they are there, else `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context; without one the file's current one.
        context: Option<String>,
    },
    /// An address, an authority and bearer tokens: what EKS says of a cluster.
    Address {
        /// The API server's URL.
        server: String,
        /// The certificates of its authority as PEM, or as base64 of that, which is how `DescribeCluster` sends it; without them the system decides.
        certificate_authority: Option<String>,
        /// Who we are.
        token: TokenSource,
    },
    /// An address and nothing else: whoever asks there is nobody in particular.
    Anonymous,
}

/// How a cluster is asked.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where it is.
    pub location: Location,
    /// The API server's URL, instead of the one that the location names.
    pub server: Option<String>,
    /// Calls a second, watches aside; zero: as many as come.
    pub calls_per_second: u32,
    /// Calls that may leave at once after a pause.
    pub burst: u32,
    /// How long a call may take, its wait for its turn included.
    pub deadline: Duration,
    /// How long a call that may be made twice is made again and again, if the API server is busy or away.
    pub patience: Duration,
    /// How long the connection of a watch may be silent before the other side is asked whether it is there, and how long it then has to answer. That is
    /// done over HTTP/2; without it a dead connection is noticed when the watch is opened anew.
    pub silence: Duration,
    /// What the API server's audit log shows as user agent.
    pub user_agent: String,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            location: Location::default(),
            server: None,
            calls_per_second: 50,
            burst: 50,
            deadline: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            silence: Duration::from_secs(5),
            user_agent: concat!("irsa/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl ClusterOptions {
    /// What `--kubeconfig` and `--kube-api` mean together, as in client-go: neither is the cluster around us; the second overrides the URL of the
    /// first, and alone is an address without a name to show.
    #[must_use]
    pub fn from_flags(kubeconfig: &str, kube_api: &str) -> Self {
        let location = match (kubeconfig, kube_api) {
            ("", "") => Location::InCluster,
            ("", _) => Location::Anonymous,
            (path, _) => Location::Kubeconfig {
                path: Some(PathBuf::from(path)),
                context: None,
            },
        };
        Self {
            location,
            server: Some(kube_api).filter(|url| !url.is_empty()).map(str::to_owned),
            ..Self::default()
        }
    }
}

/// One cluster's API server, and how fast it is asked. Clones share the connections and the rate.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    names: Arc<Names>,
    limiter: Arc<Limiter>,
    deadline: Duration,
    patience: Duration,
    /// Whether the API server has ever answered.
    reached: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Names {
    server: String,
    context: Option<String>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reads how to get there, and runs the kubeconfig's plugin for credentials, which may ask a person. Nothing else is asked yet: the API server
    /// may be away.
    ///
    /// # Errors
    /// Files, variables or options are missing or wrong.
    pub async fn connect(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let server = options.server.as_deref().map(url).transpose()?;
        let (mut context, mut plugin, mut tokens, mut proxy) = (None, None, None, None);
        let mut config = match &options.location {
            Location::InCluster => Config::incluster().map_err(|error| ClusterError::InCluster(chain(&error)))?,
            Location::Kubeconfig { path, context: named } => {
                let chosen = kubeconfig::choose(path.as_deref(), named.as_deref(), server.as_ref()).await?;
                (context, plugin) = (Some(chosen.context), chosen.plugin);
                proxy = match &chosen.proxy {
                    Some(named) => Some(proxy::named(named, &chosen.config.cluster_url)?),
                    None => proxy::of_environment(&chosen.config.cluster_url),
                };
                chosen.config
            }
            Location::Address {
                server,
                certificate_authority,
                token,
            } => {
                let mut config = Config::new(url(server)?);
                config.root_cert = certificate_authority.as_deref().map(authority).transpose()?;
                proxy = proxy::of_environment(&config.cluster_url);
                tokens = Some(token.clone());
                config
            }
            Location::Anonymous => Config::new(server.clone().ok_or_else(|| ClusterError::Url(String::new()))?),
        };
        if let Some(server) = server {
            config.cluster_url = server;
        }
        if let Some(plugin) = plugin {
            let credential = plugin.run().await.map_err(ClusterError::Plugin)?;
            if let Some((certificate, key)) = credential.certificate {
                config.auth_info.client_certificate_data = Some(STANDARD.encode(certificate));
                config.auth_info.client_key_data = Some(STANDARD.encode(key.as_bytes()).into());
            }
            tokens = credential.token.map(|first| plugin.tokens(first));
        }
        let agent = http::HeaderValue::from_str(&options.user_agent)
            .map_err(|error| ClusterError::Client(format!("`{}`: {error}", options.user_agent)))?;
        config.headers.push((http::header::USER_AGENT, agent));
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = transport::client(
            &config,
            proxy,
            tokens,
            transport::Times {
                connected_within: options.deadline,
                silence: options.silence,
            },
        )?;
        Ok(Self {
            client,
            names: Arc::new(Names { server, context }),
            limiter: Arc::new(Limiter::new(options.calls_per_second, options.burst)),
            deadline: options.deadline,
            patience: options.patience,
            reached: Arc::default(),
        })
    }

    /// The API server's URL, without a slash at its end.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.names.server
    }

    /// The context of the kubeconfig that led here.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.names.context.as_deref()
    }

    /// The client, for watches: they have no deadline, and no part in the rate.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// How long one call may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How long a call that may be made twice is made again.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether the API server has ever answered: one that never did is likely to be another than the one that is meant.
    pub(crate) fn reached(&self) -> &AtomicBool {
        &self.reached
    }

    /// Waits until a call may leave.
    pub(crate) async fn turn(&self) {
        self.limiter.wait().await;
    }

    /// Waits for its turn, and then for the answer, both together no longer than the deadline.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
        self.call_within(self.deadline, call).await
    }

    /// The same with another deadline.
    pub(crate) async fn call_within<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CallError> {
        let call = async {
            self.limiter.wait().await;
            call.await
        };
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer.map_err(CallError::from),
            Err(_) => Err(CallError::Deadline(deadline)),
        }
    }

    /// What time it is at the API server, to the second.
    pub(crate) async fn server_time(&self) -> Result<Timestamp, CallError> {
        let request = http::Request::get("/version").body(kube::client::Body::empty());
        let request = request.map_err(|error| CallError::Unreachable(error.to_string()))?;
        // Whatever the answer is, it is dated.
        let answer = self.call(self.client.send(request)).await?;
        let date = answer
            .headers()
            .get(http::header::DATE)
            .and_then(|date| date.to_str().ok());
        date.and_then(http_date)
            .ok_or_else(|| CallError::Unreachable("its answer is not dated".to_owned()))
    }

    /// The API server's version, such as `v1.34.1`.
    ///
    /// # Errors
    /// The API server is away, or refuses.
    pub async fn version(&self) -> Result<String, CallError> {
        Ok(self.call(self.client.apiserver_version()).await?.git_version)
    }
}

/// What time it is here.
pub(crate) fn system_time() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `Mon, 23 Nov 2026 00:00:00 GMT`, the only form that servers may write: RFC 9110, 5.6.7.
fn http_date(text: &str) -> Option<Timestamp> {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = time::PrimitiveDateTime::parse(text, format).ok()?;
    Some(Timestamp::from_unix_seconds(date.assume_utc().unix_timestamp()))
}

fn url(text: &str) -> Result<Uri, ClusterError> {
    let url = || ClusterError::Url(text.to_owned());
    let parsed: Uri = text.parse().map_err(|_| url())?;
    match parsed.scheme_str() {
        Some("http" | "https") if parsed.host().is_some_and(|host| !host.is_empty()) => Ok(parsed),
        _ => Err(url()),
    }
}

/// Certificates out of PEM, or out of the base64 of it.
fn authority(text: &str) -> Result<Vec<Vec<u8>>, ClusterError> {
    let wrong = |error: String| ClusterError::Client(format!("the certificates of the cluster's authority: {error}"));
    let pem = match text.contains("-----BEGIN") {
        true => text.as_bytes().to_vec(),
        false => STANDARD.decode(text.trim()).map_err(|error| wrong(error.to_string()))?,
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem)
        .map(|read| Ok(read?.to_vec()))
        .collect();
    let certificates = certificates.map_err(|error: rustls_pki_types::pem::Error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("there are none".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_flags_of_the_reference() {
        let location = |kubeconfig, kube_api| {
            let options = ClusterOptions::from_flags(kubeconfig, kube_api);
            (options.location, options.server)
        };
        assert_eq!(location("", ""), (Location::InCluster, None));
        assert_eq!(
            location("", "https://api"),
            (Location::Anonymous, Some("https://api".to_owned()))
        );
        let file = Location::Kubeconfig {
            path: Some("/etc/kubeconfig".into()),
            context: None,
        };
        assert_eq!(location("/etc/kubeconfig", ""), (file.clone(), None));
        assert_eq!(
            location("/etc/kubeconfig", "http://api"),
            (file, Some("http://api".to_owned()))
        );
    }

    async fn refused(options: ClusterOptions) -> String {
        Cluster::connect(&options).await.expect_err("no cluster").to_string()
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, "current-context: nowhere\n").unwrap();
        let of = |kubeconfig: &std::path::Path, kube_api| {
            ClusterOptions::from_flags(&kubeconfig.to_string_lossy(), kube_api)
        };
        assert!(refused(of(&file, "")).await.contains("nowhere"));
        assert!(
            refused(of(&folder.path().join("none"), ""))
                .await
                .starts_with("the kubeconfig can't be used")
        );
        assert_eq!(
            refused(ClusterOptions::from_flags("", "api:6443/x")).await,
            "`api:6443/x` is not the URL of an API server"
        );
        assert_eq!(
            refused(ClusterOptions::from_flags("", "ftp://api")).await,
            "`ftp://api` is not the URL of an API server"
        );
    }

    #[tokio::test]
    async fn an_option_names_the_server_that_the_file_leaves_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        let text = "{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {}}], users: []}";
        std::fs::write(&file, text).unwrap();
        let options = ClusterOptions::from_flags(&file.to_string_lossy(), "http://127.0.0.1:9");
        let cluster = Cluster::connect(&options).await.unwrap();
        assert!(matches!(cluster.version().await, Err(CallError::Unreachable(_))));
    }

    #[test]
    fn dates_of_answers() {
        let date = http_date("Mon, 23 Nov 2026 00:00:05 GMT").unwrap();
        assert_eq!(date.iso8601(), "2026-11-23T00:00:05Z");
        assert_eq!(http_date("yesterday"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline() {
        let options = ClusterOptions {
            deadline: Duration::from_millis(1500),
            ..ClusterOptions::from_flags("", "http://127.0.0.1:9")
        };
        let cluster = Cluster::connect(&options).await.unwrap();
        let error = cluster
            .call(std::future::pending::<Result<(), kube::Error>>())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "the API server did not answer within 1500 ms");
    }
}
