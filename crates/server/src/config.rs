use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use irsa_audit::Retention;
use irsa_core::AccountId;

use crate::authorizer::AuthorizerConfig;
use crate::gateway::GatewayConfig;
use crate::s3_upstream::S3UpstreamConfig;

/// When an audit record counts as written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuditDurability {
    /// When the kernel has it: it survives the process, and is on disk within 100 ms.
    #[default]
    Kernel,
    /// When the disk has it: every answer waits for a group commit.
    Disk,
}

/// What a server is told at its start. Nothing here changes while it runs.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The folder of everything that the server keeps.
    pub data: PathBuf,
    /// Where the AWS API is served without TLS.
    pub listen: SocketAddr,
    /// Where the AWS API and hosted issuers are served over TLS.
    pub tls_listen: SocketAddr,
    /// Where health and metrics are served; `None`: not on a port of their own.
    pub metrics_listen: Option<SocketAddr>,
    /// The number of the first account, made at the first start; `None`: a random one.
    pub account: Option<AccountId>,
    /// The region that the server stands in.
    pub region: String,
    /// `https://host[:port]` under which hosted issuers are reached; `None`: the TLS listener's own address.
    pub issuer_url: Option<String>,
    /// Files with certificate authorities that issuers may be signed by, in PEM.
    pub issuer_ca: Vec<PathBuf>,
    /// Whether issuers may stand on loopback and private addresses, and have ports.
    pub allow_private_issuers: bool,
    /// When an audit record counts as written.
    pub audit_durability: AuditDurability,
    /// How long audit records are kept.
    pub audit_retention: Retention,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Services that stand behind the server.
    pub gateway: GatewayConfig,
    /// S3 stores that stand behind the server.
    pub s3_upstream: S3UpstreamConfig,
    /// The answering of proxies' questions, by the rules and regions of the gateway.
    pub authorizer: Option<AuthorizerConfig>,
    /// How long a multipart upload may go on before its parts are removed; `None`: for ever, as on AWS.
    pub upload_lifetime: Option<Duration>,
}

impl ServerConfig {
    /// The defaults of `irsa up` with a data folder.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            listen: SocketAddr::from(([127, 0, 0, 1], 4700)),
            tls_listen: SocketAddr::from(([127, 0, 0, 1], 4701)),
            metrics_listen: None,
            account: None,
            region: "us-east-1".to_owned(),
            issuer_url: None,
            issuer_ca: Vec::new(),
            allow_private_issuers: false,
            audit_durability: AuditDurability::default(),
            audit_retention: Retention::default(),
            trusted_proxies: Vec::new(),
            gateway: GatewayConfig::default(),
            s3_upstream: S3UpstreamConfig::default(),
            authorizer: None,
            upload_lifetime: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        }
    }
}
