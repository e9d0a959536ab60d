//! What is asked and changed.

use std::collections::BTreeMap;
use std::future::Future;

use irsa_reconcile::ServiceAccountName;
use irsa_reconcile::actual::{KubernetesAccount, KubernetesState, Provider, Role};
use irsa_reconcile::plan::{Action, Quotas};

/// IAM of one AWS account and the Kubernetes APIs of some clusters.
///
/// Clusters are called as plans call them ([`labels`](irsa_reconcile::desired::labels)).
///
/// Every method is one call of an API, or the pages of one listing. It tries again what was throttled or not answered where
/// its client does so; a call that was sent twice may answer "is there already" to itself, and that is handed on as it is.
pub trait Target: Sync {
    /// All roles of the AWS account with all that belongs to them. `seen` is told how many there are so far.
    ///
    /// # Errors
    /// It could not be read.
    fn roles(&self, seen: &(dyn Fn(usize) + Sync)) -> impl Future<Output = Result<Vec<Role>, TargetError>> + Send;

    /// One role with all that belongs to it.
    ///
    /// # Errors
    /// It could not be read. A role that is not there is none.
    fn role(&self, name: &str) -> impl Future<Output = Result<Option<Role>, TargetError>> + Send;

    /// What one `GetRole` says of a role.
    ///
    /// # Errors
    /// It could not be read. A role that is not there is none.
    fn role_head(&self, name: &str) -> impl Future<Output = Result<Option<RoleHead>, TargetError>> + Send;

    /// An OIDC provider.
    ///
    /// # Errors
    /// It could not be read. A provider that is not there is none.
    fn provider(&self, arn: &str) -> impl Future<Output = Result<Option<Provider>, TargetError>> + Send;

    /// What the AWS account may hold.
    ///
    /// # Errors
    /// It could not be read.
    fn quotas(&self) -> impl Future<Output = Result<Quotas, TargetError>> + Send;

    /// Namespaces and service accounts of a cluster. `seen` is told how many accounts there are so far.
    ///
    /// # Errors
    /// It could not be read.
    fn kubernetes(
        &self,
        cluster: &str,
        seen: &(dyn Fn(usize) + Sync),
    ) -> impl Future<Output = Result<KubernetesState, TargetError>> + Send;

    /// One service account.
    ///
    /// # Errors
    /// It could not be read. An account that is not there is none.
    fn service_account(
        &self,
        cluster: &str,
        name: &ServiceAccountName,
    ) -> impl Future<Output = Result<Option<KubernetesAccount>, TargetError>> + Send;

    /// Makes the call of an action.
    ///
    /// # Errors
    /// It was not done, or nobody knows.
    fn change(&self, action: &Action) -> impl Future<Output = Result<(), TargetError>> + Send;
}

/// A role as `GetRole` tells of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleHead {
    /// Its ARN.
    pub arn: String,
    /// The trust policy as JSON.
    pub trust: String,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Why a call brought nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct TargetError {
    /// Of which kind it is.
    pub kind: TargetErrorKind,
    /// The service's own words, or what happened on the way.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl TargetError {
    /// An error without help.
    #[must_use]
    pub fn new(kind: TargetErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
        }
    }
}

/// Kinds of refusals and faults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetErrorKind {
    /// Something that is named is not there: IAM's `NoSuchEntity`, HTTP 404.
    Absent,
    /// It is there already: IAM's `EntityAlreadyExists`, Kubernetes' `AlreadyExists`.
    Present,
    /// It is not in a state for this: IAM's `DeleteConflict`, Kubernetes' `Conflict` and preconditions that do not hold.
    Conflict,
    /// A policy names somebody whom IAM does not know: a provider that was made a moment ago, perhaps.
    UnknownPrincipal,
    /// We may not.
    Denied,
    /// A quota is used up.
    Limit,
    /// Throttled, away, or not answered; nobody knows whether it was done. It may be asked again.
    Busy,
    /// The same, and whoever sent it has asked again often enough.
    Unanswered,
    /// Anything else.
    Other,
}
