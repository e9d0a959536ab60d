//! The words of `irsa up` and `irsa gateway`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use irsa_core::AccountId;
use irsa_server::{AuthorizerAddress, AuthorizerService, GatewayUpstream, S3Upstream, UpstreamCredentials};

use super::values::{duration, region};
use super::{Data, Output};

#[derive(Args, Debug)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Where the AWS API is served; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4700")]
    pub(crate) listen: SocketAddr,
    /// Where issuers, and the AWS API too, are served over TLS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4701")]
    pub(crate) tls_listen: SocketAddr,
    /// Where health and metrics are served
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Number of the first account, which the first start makes; a random one if not given
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<AccountId>,
    /// The region that the server stands in
    #[arg(long, default_value = "us-east-1", value_parser = region)]
    pub(crate) region: String,
    /// URL under which clusters' issuers are reached, if it is not that of `--tls-listen`
    #[arg(long, value_name = "URL")]
    pub(crate) issuer_url: Option<String>,
    /// Certificate authorities, in PEM, of issuers that are not ours
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) issuer_ca: Vec<PathBuf>,
    /// Also fetch keys of issuers on loopback and private addresses, and from any port
    #[arg(long)]
    pub(crate) allow_private_issuers: bool,
    /// Who has an answer's audit record before it leaves: the kernel (on disk within 100 ms) or the disk
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    pub(crate) audit_durability: Durability,
    /// How long audit records are kept, such as 90d; a day's records go together. Kept for ever if not given
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) audit_retention: Option<Duration>,
    /// How many MiB the audit journal and its indexes may have before the oldest records go
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(64..=1 << 30))]
    pub(crate) audit_max_size: Option<u64>,
    /// Proxies whose X-Forwarded-For is believed
    #[arg(long, value_name = "IP", num_args = 1..)]
    pub(crate) trusted_proxy: Vec<IpAddr>,
    /// Days after which a multipart upload that nobody completed is ended; 0: never
    #[arg(long, default_value_t = 7, value_name = "DAYS")]
    pub(crate) upload_lifetime: u32,
    /// A service behind this server and where it is, such as dynamodb=http://127.0.0.1:8000; may be repeated
    #[arg(long, value_name = "[ACCOUNT/]SERVICE=URL")]
    pub(crate) gateway: Vec<GatewayUpstream>,
    #[command(flatten)]
    pub(crate) gateway_options: GatewayOptions,
    /// An S3 store behind this server for one bucket, or for all that are named nowhere else, such as http://127.0.0.1:9000; may be repeated
    #[arg(long, value_name = "[ACCOUNT/][BUCKET=]URL")]
    pub(crate) s3_upstream: Vec<S3Upstream>,
    #[command(flatten)]
    pub(crate) s3_upstream_options: S3UpstreamOptions,
    /// Where proxies ask whether requests may pass, such as 127.0.0.1:4702 or unix:/run/irsa.sock: Envoy by ext_authz, nginx by auth_request
    #[arg(long, value_name = "ADDR", requires = "authorizer_for")]
    pub(crate) authorizer: Option<AuthorizerAddress>,
    #[command(flatten)]
    pub(crate) authorizer_options: AuthorizerOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `irsa up` whose `--gateway` is required.
#[derive(Args, Debug)]
#[command(mut_arg("gateway", |argument| argument.required(true)))]
pub(crate) struct Gateway {
    #[command(flatten)]
    pub(crate) up: Up,
}

#[derive(Args, Debug)]
pub(crate) struct GatewayOptions {
    /// What requests to those services are signed with: what the AWS SDK finds in this environment, or nothing
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) gateway_credentials: GatewayCredentials,
    /// Rules over the built-in ones: services, operations, resources
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway_rules: Option<PathBuf>,
    /// Refuse operations without rules, and those whose resource the rules can't tell exactly
    #[arg(long)]
    pub(crate) gateway_strict: bool,
    /// Regions beside --region that requests to those services may be signed for
    #[arg(long, value_name = "REGION", num_args = 1.., value_parser = region)]
    pub(crate) gateway_region: Vec<String>,
    /// Certificate authorities, in PEM, of those services
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway_ca: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct S3UpstreamOptions {
    /// What requests to those stores are signed with: what the AWS SDK finds in this environment, or nothing
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) s3_upstream_credentials: GatewayCredentials,
    /// The region that they are signed for, if it is not --region
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(crate) s3_upstream_region: Option<String>,
    /// Certificate authorities, in PEM, of those stores
    #[arg(long, value_name = "FILE")]
    pub(crate) s3_upstream_ca: Option<PathBuf>,
    /// Those stores take keys with //, /./ and /../ as they are: they keep no files under such names
    #[arg(long)]
    pub(crate) s3_upstream_literal_keys: bool,
}

#[derive(Args, Debug)]
pub(crate) struct AuthorizerOptions {
    /// A service behind those proxies, by the name that clients call it, such as s3=s3.example.com; may be repeated
    #[arg(long, value_name = "[ACCOUNT/]SERVICE=HOST[:PORT]", requires = "authorizer")]
    pub(crate) authorizer_for: Vec<AuthorizerService>,
    /// Certificate authorities, in PEM, of those proxies
    #[arg(long, value_name = "FILE", requires = "authorizer")]
    pub(crate) authorizer_client_ca: Option<PathBuf>,
    /// The S3 store behind them takes keys with //, /./ and /../ as they are
    #[arg(long, requires = "authorizer")]
    pub(crate) authorizer_literal_keys: bool,
    /// Let Envoy remove signature and session token from what it sends on
    #[arg(long, requires = "authorizer")]
    pub(crate) authorizer_strip_credentials: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum GatewayCredentials {
    #[default]
    Environment,
    None,
}

impl From<GatewayCredentials> for UpstreamCredentials {
    fn from(credentials: GatewayCredentials) -> Self {
        match credentials {
            GatewayCredentials::Environment => Self::Environment,
            GatewayCredentials::None => Self::None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Durability {
    // Survives the process; on disk within 100 ms.
    #[default]
    Kernel,
    Disk,
}
