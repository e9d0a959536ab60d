//! The words of `irsa audit`.

use clap::{Args, Subcommand, ValueEnum};
use irsa_core::AccountId;

use super::values::{Moment, moment};
use super::{Data, Output};

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
