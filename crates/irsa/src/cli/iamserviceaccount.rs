//! The words of `create|get|update|delete iamserviceaccount`, `apply`, `diff` and `utils`: eksctl's, and a few more.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::values::{go_bool, go_duration, region};

const CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed, or refused: what is wrong is on stderr
  2    wrong usage
  130  interrupted: what was begun is done; run it again to go on";

const DIFF_CODES: &str = "\
Exit codes:
  0    no drift: all is as the files say
  1    failed, or something that the files ask for is refused
  2    wrong usage
  3    drift";

#[derive(Debug, Subcommand)]
pub(crate) enum Utils {
    /// Make the cluster's issuer an OIDC provider of the AWS account: what roles for service accounts need first
    AssociateIamOidcProvider(Associate),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Create {
    /// Make a role and its service account, or repair them
    #[command(visible_alias = "iamserviceaccounts")]
    Iamserviceaccount(Box<CreateAccount>),
    /// Register a file's clusters with an irsa server, and apply the file
    Cluster(Box<CreateCluster>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    /// The service accounts of a cluster that have a role
    #[command(visible_alias = "iamserviceaccounts")]
    Iamserviceaccount(Box<GetAccount>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Update {
    /// Change what is given of a role and its service account, and nothing else
    #[command(visible_alias = "iamserviceaccounts")]
    Iamserviceaccount(Box<UpdateAccount>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Delete {
    /// Delete a role and its service account
    #[command(visible_alias = "iamserviceaccounts")]
    Iamserviceaccount(Box<DeleteAccount>),
}

/// What all of these commands take.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "AWS and Kubernetes")]
pub(crate) struct Access {
    /// The region of the clusters, which files name themselves [default: that of the profile or of AWS_REGION]
    #[arg(short, long, value_parser = region)]
    pub(crate) region: Option<String>,
    /// A profile of the AWS config and credentials files [default: that of AWS_PROFILE]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// How long all of it may take, such as 25m0s
    #[arg(long, value_name = "DURATION", default_value = "25m0s", value_parser = go_duration)]
    pub(crate) timeout: Duration,
    /// The kubeconfig file [default: those of KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: its current one]; for several clusters repeat it as CLUSTER=CONTEXT
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) context: Vec<String>,
    /// How much is said: 0 only errors, 2 warnings, 3 notes, 4 every step
    #[arg(short, long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=5))]
    pub(crate) verbose: u8,
    /// Colours, where somebody looks: true or false
    #[arg(
        short = 'C',
        long,
        value_enum,
        default_value_t,
        value_name = "WHETHER",
        hide_possible_values = true
    )]
    pub(crate) color: Colour,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
}

impl Access {
    /// `--timeout` as Go writes it.
    pub(crate) fn shown_timeout(&self) -> String {
        let (seconds, nanoseconds) = (self.timeout.as_secs(), self.timeout.subsec_nanos());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = format!("{nanoseconds:09}");
        let fraction = match fraction.trim_end_matches('0') {
            "" => String::new(),
            digits => format!(".{digits}"),
        };
        match (hours, minutes) {
            (0, 0) => format!("{seconds}{fraction}s"),
            (0, _) => format!("{minutes}m{seconds}{fraction}s"),
            _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
        }
    }
}

/// Flags of eksctl that have no effect here: there is no CloudFormation, and no log to dump.
#[derive(Args, Clone, Debug)]
pub(crate) struct Ignored {
    #[arg(long, hide = true)]
    pub(crate) cfn_role_arn: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(crate) cfn_disable_rollback: Option<bool>,
    #[arg(short = 'd', long = "dumpLogs", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(crate) dump_logs: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Colour {
    #[default]
    True,
    False,
    #[value(hide = true)]
    Fabulous,
}

/// What is printed on stdout.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Form {
    #[default]
    Table,
    Json,
    Yaml,
}

/// The files.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Files {
    /// A ClusterConfig file instead of flags; `-` is stdin; may be repeated
    #[arg(short = 'f', long = "config-file", alias = "filename", value_name = "FILE")]
    pub(crate) config_file: Vec<PathBuf>,
}

/// The files of commands that take nothing else.
#[derive(Args, Clone, Debug)]
pub(crate) struct NeededFiles {
    /// A ClusterConfig file; `-` is stdin; may be repeated
    #[arg(
        short = 'f',
        long = "config-file",
        alias = "filename",
        value_name = "FILE",
        required = true
    )]
    pub(crate) config_file: Vec<PathBuf>,
}

/// Which service accounts of the files.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Globs {
    /// Only these service accounts of the files: globs over NAMESPACE/NAME, such as kube-system/*
    #[arg(long, value_name = "GLOBS")]
    pub(crate) include: Vec<String>,
    /// Not these service accounts of the files
    #[arg(long, value_name = "GLOBS")]
    pub(crate) exclude: Vec<String>,
}

/// Whose service account.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Who {
    /// The cluster; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(crate) cluster: Vec<String>,
    /// The service account's name
    #[arg(value_name = "NAME")]
    pub(crate) argument: Option<String>,
    /// The service account's name
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// What is asked for the role.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Role {
    /// The service account's namespace [default: default]
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// A managed policy for the role; may be repeated, and commas divide
    #[arg(long, value_name = "ARN")]
    pub(crate) attach_policy_arn: Vec<String>,
    /// The ARN of the policy that bounds the role
    #[arg(long, value_name = "ARN")]
    pub(crate) permissions_boundary: Option<String>,
    /// Tags of the role, such as team=a,stage=b
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<String>,
    /// The role's name [default: made of the cluster's and the service account's]
    #[arg(long, value_name = "NAME")]
    pub(crate) role_name: Option<String>,
    /// Who else may have the role: a pattern for names, such as reader-*
    #[arg(long, value_name = "PATTERN")]
    pub(crate) subject_pattern: Option<String>,
}

/// Taking what others made.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Take {
    /// Take over service accounts and roles that others made
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = go_bool)]
    pub(crate) override_existing_serviceaccounts: bool,
    /// Take over what eksctl's stacks made
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = go_bool)]
    pub(crate) adopt: bool,
}

/// Carrying out.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Approve {
    /// Do it; else only the plan is shown
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(crate) approve: Option<bool>,
}

/// The same of commands that need not be asked to.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Approved {
    /// With --approve=false only the plan is shown
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(crate) approve: Option<bool>,
}

#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    /// End only when IAM shows what was done: its answers are some seconds behind
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = go_bool)]
    pub(crate) wait: bool,
}

#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct RoleOnly {
    /// Only the role: no Kubernetes API is asked, and no service account is touched
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = go_bool)]
    pub(crate) role_only: bool,
}

#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Print {
    /// What is printed on stdout
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Form,
}

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct Associate {
    /// The cluster; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(crate) cluster: Vec<String>,
    #[arg(short, long, hide = true)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) approve: Approve,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct CreateAccount {
    #[command(flatten)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) role: Role,
    /// Use this role as it is, and make none
    #[arg(long, value_name = "ARN")]
    pub(crate) attach_role_arn: Option<String>,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) globs: Globs,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) approve: Approve,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct UpdateAccount {
    #[command(flatten)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) role: Role,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) globs: Globs,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) approve: Approve,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
pub(crate) struct GetAccount {
    #[command(flatten)]
    pub(crate) who: Who,
    /// The namespace [default: all]
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) files: Files,
    #[arg(long, hide = true)]
    pub(crate) chunk_size: Option<u32>,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct DeleteAccount {
    #[command(flatten)]
    pub(crate) who: Who,
    /// The service account's namespace [default: default]
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) globs: Globs,
    /// Delete those that are there and not in the file, instead of those that are
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(crate) only_missing: Option<bool>,
    #[command(flatten)]
    pub(crate) take: Take,
    /// With a file: do it; else only the plan is shown. With flags --approve=false only shows the plan
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(crate) approve: Option<bool>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) files: NeededFiles,
    #[command(flatten)]
    pub(crate) globs: Globs,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) approve: Approved,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
#[command(after_long_help = DIFF_CODES)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) files: NeededFiles,
    #[command(flatten)]
    pub(crate) globs: Globs,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct CreateCluster {
    #[command(flatten)]
    pub(crate) files: NeededFiles,
    /// URL of the cluster's own issuer, whose keys the server then fetches; without it the server hosts one
    #[arg(long, value_name = "URL")]
    pub(crate) issuer_url: Option<String>,
    /// The keys of that issuer, as a JSON Web Key Set, where they cannot be fetched
    #[arg(long, value_name = "FILE", requires = "issuer_url")]
    pub(crate) jwks: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) role_only: RoleOnly,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) approve: Approved,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) print: Print,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Command {
        let words = line.split_whitespace().map(|word| word.trim_matches('"'));
        Cli::try_parse_from(words)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .command
    }

    #[test]
    fn the_commands_of_the_documentation() {
        let Command::Utils(Utils::AssociateIamOidcProvider(associate)) =
            parse("irsa utils associate-iam-oidc-provider --region us-west-2 --cluster my-cluster --approve")
        else {
            panic!("another command")
        };
        assert_eq!(associate.cluster, ["my-cluster"]);
        assert_eq!(associate.approve.approve, Some(true));
        parse("irsa utils associate-iam-oidc-provider --config-file=cluster.yaml");
        parse("irsa create iamserviceaccount --config-file=cluster.yaml");
        parse("irsa create cluster -f cluster.yaml");
        let Command::Create(Create::Iamserviceaccount(create)) = parse(
            "irsa create iamserviceaccount --name my-service-account --namespace my-namespace --cluster my-cluster \
             --role-name \"my-role-name\" --attach-policy-arn arn:aws:iam::111122223333:policy/my-iam-policy --approve \
             --override-existing-serviceaccounts",
        ) else {
            panic!("another command")
        };
        assert_eq!(create.role.role_name.as_deref(), Some("my-role-name"));
        assert_eq!(create.approve.approve, Some(true));
        assert!(create.take.override_existing_serviceaccounts);
        assert_eq!(create.access.timeout, Duration::from_secs(25 * 60));
        assert_eq!(create.access.shown_timeout(), "25m0s");
    }

    #[test]
    fn flags_are_those_of_go() {
        let Command::Delete(Delete::Iamserviceaccount(delete)) = parse(
            "irsa delete iamserviceaccounts reader -c blue -c green --namespace=app --approve=false --wait=t -r us-west-2 \
             -p admin --timeout 1h0m0s -v 4 -C false --cfn-role-arn x --cfn-disable-rollback --dumpLogs",
        ) else {
            panic!("another command")
        };
        assert_eq!(delete.who.argument.as_deref(), Some("reader"));
        assert_eq!(delete.who.cluster, ["blue", "green"]);
        assert_eq!(delete.approve, Some(false));
        assert!(delete.wait.wait);
        assert_eq!(delete.access.shown_timeout(), "1h0m0s");
        assert_eq!((delete.access.verbose, delete.access.color), (4, Colour::False));
        let Command::Get(Get::Iamserviceaccount(get)) =
            parse("irsa get iamserviceaccount -c x --chunk-size 100 -o yaml")
        else {
            panic!("another command")
        };
        assert_eq!(get.print.output, Form::Yaml);
        for wrong in [
            "irsa create iamserviceaccount --approve=yes",
            "irsa create iamserviceaccount a b",
            "irsa get iamserviceaccount -o xml",
            "irsa apply",
            "irsa diff",
            "irsa create",
            "irsa delete iamserviceaccount --timeout 0s",
        ] {
            assert!(Cli::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
