//! The command line's words. What they do is in [`commands`](crate::commands).

mod audit;
pub(crate) mod iamserviceaccount;
mod server;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use irsa_core::AccountId;

pub(crate) use audit::{Audit, AuditLookup, AuditVerify, Verdict};
pub(crate) use iamserviceaccount::{Apply, Create, Delete, Diff, Get, Update, Utils};
pub(crate) use server::{Durability, Gateway, Up};
pub(crate) use values::ServiceAccountName;

use values::duration;

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
    /// Make a role and its service account, or a cluster of an irsa server
    #[command(subcommand)]
    Create(Create),
    /// List service accounts and their roles
    #[command(subcommand)]
    Get(Get),
    /// Change a role and its service account
    #[command(subcommand)]
    Update(Update),
    /// Delete a role and its service account
    #[command(subcommand)]
    Delete(Delete),
    /// Make all service accounts of ClusterConfig files and their roles as the files say
    ///
    /// Makes what is missing, the OIDC providers of `iam.withOIDC` included, and repairs what differs; what the files do not
    /// name stays. What would be done is `irsa diff`. A run that was cut off is run again.
    Apply(Box<Apply>),
    /// Show how ClusterConfig files and what is there differ
    Diff(Box<Diff>),
    /// What a cluster needs once
    #[command(subcommand)]
    Utils(Utils),
    /// Accounts of the server
    #[command(subcommand)]
    Admin(Admin),
    /// Serve the pod identity webhook: answers an API server's reviews of new pods
    // Its flags are those of another program, in the syntax of another library.
    #[command(disable_help_flag = true)]
    Webhook(Webhook),
    /// What the quickstart runs as a pod's process: uses S3 with the credentials that its environment gives it
    #[command(hide = true)]
    Workload(Workload),
}

impl Command {
    /// Whether the log is to say what is called.
    pub(crate) fn is_verbose(&self) -> bool {
        let access = match self {
            Self::Create(Create::Iamserviceaccount(arguments)) => &arguments.access,
            Self::Create(Create::Cluster(arguments)) => &arguments.access,
            Self::Get(Get::Iamserviceaccount(arguments)) => &arguments.access,
            Self::Update(Update::Iamserviceaccount(arguments)) => &arguments.access,
            Self::Delete(Delete::Iamserviceaccount(arguments)) => &arguments.access,
            Self::Apply(arguments) => &arguments.access,
            Self::Diff(arguments) => &arguments.access,
            Self::Utils(Utils::AssociateIamOidcProvider(arguments)) => &arguments.access,
            _ => return false,
        };
        access.verbose >= 4
    }
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
pub(crate) struct Webhook {
    /// `irsa webhook --help` lists them
    #[arg(
        value_name = "FLAGS",
        num_args = 0..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) words: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Quickstart {
    /// Keep the temporary folder
    #[arg(long)]
    pub(crate) keep: bool,
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
    fn exec_takes_the_command_behind_two_hyphens() {
        let cli = Cli::try_parse_from(["irsa", "exec", "--serviceaccount", "a/b", "--", "sh", "-c", "x"]).unwrap();
        let Command::Exec(exec) = cli.command else {
            panic!("another command")
        };
        assert_eq!(exec.command, ["sh", "-c", "x"]);
        assert!(Cli::try_parse_from(["irsa", "exec", "--serviceaccount", "a/b"]).is_err());
    }
}
