//! The command line's words. What they do is in [`commands`](crate::commands).

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use irsa_core::{AccountId, Timestamp};
use irsa_server::{AuthorizerAddress, AuthorizerService, GatewayUpstream, S3Upstream, UpstreamCredentials};

use crate::output::Format;
use crate::policy::Policy;

/// IAM Roles for Service Accounts on any cluster, with or without AWS
#[derive(Debug, Parser)]
#[command(name = "irsa", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See the whole of it work, in a temporary folder, in seconds
    Quickstart(Quickstart),
    /// Run a server in the foreground: IAM, STS, EKS, S3 and the clusters' issuers
    Up(Box<Up>),
    /// Run a server whose first purpose is to stand before other AWS services: `irsa up` with at least one `--gateway`
    ///
    /// Every request to such a service is verified, decided by the policies of its caller, and recorded; what is allowed is sent on,
    /// signed with credentials of the gateway's own, to the server that the service's upstream is.
    Gateway(Box<Gateway>),
    /// Point the AWS CLI and SDKs of a shell at the server: `eval "$(irsa env)"`
    Env(Env),
    /// Clusters whose service accounts can be trusted
    #[command(subcommand)]
    Cluster(Cluster),
    /// Tokens of service accounts
    #[command(subcommand)]
    Token(Token),
    /// Run a command as a service account, with the environment that its pods would have
    ///
    /// The role is that of the service account's annotation `eks.amazonaws.com/role-arn` in a manifest, or `--role-arn`.
    /// The command finds AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE as the webhook would inject them, and no other
    /// credentials: no AWS variable of this shell reaches it. The token is renewed as long as the command runs, and gone
    /// when it ends. Signals are handed on, and `irsa exec` ends as its command does: with its exit code, or 128 and the
    /// number of the signal.
    Exec(Exec),
    /// Run the containers of Kubernetes manifests as processes of this machine
    ///
    /// Reads ServiceAccounts and what makes pods (Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob), changes
    /// the pods as the webhook would, and runs the containers' commands: init containers one after the other, then the
    /// containers side by side. One pod of each runs, whatever the number of replicas, and a CronJob's runs at once.
    ///
    /// Nothing is started again: a container whose command ends is reported, and the command ends when all have; it fails if
    /// one of them failed. SIGINT and SIGTERM stop the pods, after `terminationGracePeriodSeconds` by force. There are no
    /// images, volumes, probes or networks: what a manifest says of them has no effect, and is said on stderr.
    Run(Run),
    /// Find and prove what happened
    #[command(subcommand)]
    Audit(Audit),
    /// Say why a request was answered as it was
    Explain(Explain),
    /// What policies allow, what is wrong with them, and what a change of them opens
    #[command(subcommand)]
    Policy(Policy),
    /// Accounts of the server
    #[command(subcommand)]
    Admin(Admin),
    /// What the quickstart runs as a pod's process: uses S3 with the credentials that its environment gives it
    #[command(hide = true)]
    Workload(Workload),
}

/// The data folder of the server that a command is about.
#[derive(Args, Clone, Debug)]
pub(crate) struct Data {
    /// The server's data folder
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./irsa-data",
        env = "IRSA_DATA",
        hide_env_values = true
    )]
    pub(crate) data: PathBuf,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Output {
    /// What is printed on stdout
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Quickstart {
    /// Keep the temporary folder
    #[arg(long)]
    pub(crate) keep: bool,
}

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

#[derive(Args, Debug)]
pub(crate) struct Env {
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Record a cluster; without an issuer of its own the server makes and hosts one
    Register(ClusterRegister),
    /// The clusters and their issuers
    List(ClusterList),
}

#[derive(Args, Debug)]
pub(crate) struct ClusterRegister {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The cluster's name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// URL of the cluster's own issuer, whose keys the server then fetches
    #[arg(long, value_name = "URL")]
    pub(crate) issuer_url: Option<String>,
    /// The keys of that issuer, as a JSON Web Key Set, where they cannot be fetched
    #[arg(long, value_name = "FILE", requires = "issuer_url")]
    pub(crate) jwks: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ClusterList {
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token of a service account, of a cluster whose issuer the server hosts
    Create(TokenCreate),
}

#[derive(Args, Debug)]
pub(crate) struct TokenCreate {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: String,
    /// The service account
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) serviceaccount: ServiceAccountName,
    /// Whom the token is for; may be repeated [default: sts.amazonaws.com]
    #[arg(long)]
    pub(crate) audience: Vec<String>,
    /// How long it is valid, from 10m to 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(crate) duration: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The service account
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) serviceaccount: ServiceAccountName,
    /// The cluster; may be left out if the server has only one
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Manifests with the annotated service account; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// The role, instead of the service account's annotation
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: Option<String>,
    /// Whom the token is for, instead of the service account's annotation
    #[arg(long)]
    pub(crate) audience: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Manifests, YAML or JSON; `-` is stdin
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,
    /// The cluster; may be left out if the server has only one
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Find events, newest first; the server may be running or not
    Lookup(Box<AuditLookup>),
    /// Prove that no event was changed, removed or moved
    Verify(AuditVerify),
}

#[derive(Args, Debug)]
pub(crate) struct AuditLookup {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The operation, such as AssumeRoleWithWebIdentity
    #[arg(long, value_name = "NAME")]
    pub(crate) event_name: Option<String>,
    /// The IAM action that policies were asked about, such as s3:GetObject
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// The service, such as sts.amazonaws.com
    #[arg(long, value_name = "SOURCE")]
    pub(crate) event_source: Option<String>,
    /// What became of the call
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub(crate) verdict: Option<Verdict>,
    /// The role that acted or was taken, by name or ARN
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// All that a pod did, and the sessions that it took from there: its uid, its name, or NAMESPACE/NAME
    #[arg(long, value_name = "POD")]
    pub(crate) pod: Option<String>,
    /// All that a service account did, as --pod
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) service_account: Option<String>,
    /// The account that the event belongs to, or whose resources it is about
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<AccountId>,
    /// The event's own id
    #[arg(long, value_name = "ID")]
    pub(crate) event_id: Option<String>,
    /// The caller's name or ARN, a role's ARN, or a token's subject
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The key that signed, or that was issued
    #[arg(long, value_name = "ID")]
    pub(crate) access_key_id: Option<String>,
    /// The request's id, which every answer carries
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// The error code, such as AccessDenied
    #[arg(long, value_name = "CODE")]
    pub(crate) error_code: Option<String>,
    /// ARN of a resource that the event names
    #[arg(long, value_name = "ARN")]
    pub(crate) resource: Option<String>,
    /// Not before: a time such as 2026-11-22T10:00:00Z, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Moment>,
    /// Not after
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Moment>,
    /// The most events
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Verdict {
    /// Done
    Allowed,
    /// Refused for who called, or by policy
    Denied,
    /// Failed for another reason
    Failed,
}

#[derive(Args, Debug)]
pub(crate) struct AuditVerify {
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The request's id, which every answer carries
    #[arg(value_name = "REQUEST-ID")]
    pub(crate) request_id: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Make an account and its root key
    CreateAccount(CreateAccount),
    /// The accounts of the server
    ListAccounts(ListAccounts),
}

#[derive(Args, Debug)]
pub(crate) struct CreateAccount {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Its number; a random one if not given
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<AccountId>,
    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ListAccounts {
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Workload {
    #[arg(long)]
    pub(crate) bucket: String,
    #[arg(long)]
    pub(crate) key: String,
}

/// `namespace/name` of a service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServiceAccountName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::str::FromStr for ServiceAccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = text
            .split_once('/')
            .ok_or("a service account is named `namespace/name`")?;
        if !irsa_webhook::manifest::is_namespace_name(namespace) {
            return Err(format!(
                "`{namespace}` is no namespace's name: lower-case letters, digits and hyphens"
            ));
        }
        if !irsa_webhook::manifest::is_service_account_name(name) {
            return Err(format!(
                "`{name}` is no service account's name: lower-case letters, digits, hyphens and dots"
            ));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A point in time, or a distance back from now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => now.plus_seconds(-i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Some(time) = Timestamp::parse_iso8601(text) {
        return Ok(Moment::At(time));
    }
    duration(text)
        .map(Moment::Ago)
        .map_err(|_| "a time is `2026-11-22T10:00:00Z`, or a duration before now such as `15m`".to_owned())
}

/// `90s`, `10m`, `1h`, `2d`, `1h30m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is a number with `s`, `m`, `h` or `d`, such as `1h30m`".to_owned();
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (unit, after) = match after.chars().next() {
            None if rest.len() == text.len() => (1, after),
            Some('s') => (1, &after[1..]),
            Some('m') => (60, &after[1..]),
            Some('h') => (3600, &after[1..]),
            Some('d') => (86_400, &after[1..]),
            _ => return Err(wrong()),
        };
        seconds = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

/// A region becomes a part of ARNs, credential scopes and shell lines.
fn region(text: &str) -> Result<String, String> {
    let well_formed = (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err("a region is lower-case letters, digits and hyphens, such as `us-east-1`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_gateway_needs_a_service() {
        let of = |words: &[&str]| Cli::try_parse_from([&["irsa"], words].concat());
        let cli = of(&[
            "gateway",
            "--gateway",
            "dynamodb=http://127.0.0.1:8000",
            "--gateway",
            "sqs=https://queues",
        ])
        .unwrap();
        let Command::Gateway(gateway) = cli.command else {
            panic!("another command")
        };
        assert_eq!(gateway.up.gateway.len(), 2);
        assert!(of(&["gateway"]).is_err());
        assert!(of(&["up"]).is_ok());
        assert!(of(&["up", "--gateway", "dynamodb"]).is_err());
        assert!(of(&["up", "--gateway", "dynamodb=http://x/path"]).is_err());
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("1h", 3600),
            ("2d", 172_800),
            ("1h30m", 5400),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "h",
            "1x",
            "1h30",
            "-1s",
            "1.5h",
            "99999999999999999999s",
            "9999999999999999999d",
            "1ü",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        let now = Timestamp::parse_iso8601("2026-11-22T10:00:00Z").unwrap();
        assert_eq!(moment("15m").unwrap().before(now).iso8601(), "2026-11-22T09:45:00Z");
        assert_eq!(
            moment("2026-11-22T09:00:00Z").unwrap().before(now).iso8601(),
            "2026-11-22T09:00:00Z"
        );
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn service_account_names() {
        let name: ServiceAccountName = "app/s3-reader".parse().unwrap();
        assert_eq!((name.namespace.as_str(), name.name.as_str()), ("app", "s3-reader"));
        for text in ["s3-reader", "/a", "a/", "A/b", "a/b/c", "a b/c", "a:b/c", "../x"] {
            assert!(text.parse::<ServiceAccountName>().is_err(), "{text}");
        }
    }

    #[test]
    fn exec_takes_the_command_behind_two_hyphens() {
        let cli = Cli::try_parse_from(["irsa", "exec", "--serviceaccount", "a/b", "--", "sh", "-c", "x"]).unwrap();
        let Command::Exec(exec) = cli.command else {
            panic!("another command")
        };
        assert_eq!(exec.command, ["sh", "-c", "x"]);
        assert!(Cli::try_parse_from(["irsa", "exec", "--serviceaccount", "a/b"]).is_err());
    }
}
