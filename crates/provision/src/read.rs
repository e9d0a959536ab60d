//! Reading what is there.

use std::collections::BTreeSet;

use futures_util::future::{join_all, join4};
use irsa_reconcile::actual::{Actual, KubernetesState, Role};
use irsa_reconcile::desired::{Cluster, labels};
use irsa_reconcile::plan::Quotas;

use crate::{Event, Observer, Target, TargetError};

/// What is to be read, beside the OIDC providers of the clusters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scope {
    /// The roles of the AWS account, and what it may hold.
    pub roles: bool,
    /// Namespaces and service accounts.
    pub kubernetes: bool,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            roles: true,
            kubernetes: true,
        }
    }
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What a plan is made of.
    pub actual: Actual,
    /// What the AWS account may hold; those of a new account where that is not told.
    pub quotas: Quotas,
    /// Why the quotas are not the account's own.
    pub without_quotas: Option<TargetError>,
}

/// The state could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", words(.errors))]
pub struct ReadError {
    /// Everything that went wrong.
    pub errors: Vec<TargetError>,
}

fn words(errors: &[TargetError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Reads the state of clusters, all at once: roles a page at a time, each cluster's provider, namespaces and service
/// accounts. What does not change costs no call of its own.
///
/// # Errors
/// Anything but the quotas could not be read; all that went wrong.
pub async fn read<T: Target>(
    target: &T,
    clusters: &[Cluster],
    scope: Scope,
    observer: Observer<'_>,
) -> Result<State, ReadError> {
    let roles = async {
        if !scope.roles {
            return Ok(Vec::new());
        }
        target.roles(&|count| observer(Event::Roles(count))).await
    };
    let quotas = async {
        if !scope.roles {
            return Ok(Quotas::default());
        }
        target.quotas().await
    };
    let arns: BTreeSet<String> = clusters.iter().map(Cluster::provider_arn).collect();
    let providers = join_all(arns.iter().map(|arn| target.provider(arn)));
    let labels = labels(clusters);
    let kubernetes = join_all(labels.iter().map(|cluster| async move {
        if !scope.kubernetes {
            return Ok(KubernetesState::default());
        }
        let seen = |count| {
            observer(Event::ServiceAccounts { cluster, count });
        };
        target.kubernetes(cluster, &seen).await
    }));
    let (roles, quotas, providers, kubernetes) = join4(roles, quotas, providers, kubernetes).await;
    let mut errors = Vec::new();
    let mut state = State::default();
    match roles {
        Ok(roles) => state.actual.roles = roles,
        Err(error) => errors.push(error),
    }
    match quotas {
        Ok(quotas) => state.quotas = quotas,
        Err(error) => state.without_quotas = Some(error),
    }
    for provider in providers {
        match provider {
            Ok(provider) => state.actual.providers.extend(provider),
            Err(error) => errors.push(error),
        }
    }
    for cluster in kubernetes {
        match cluster {
            Ok(cluster) => state.actual.clusters.push(cluster),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(state)
    } else {
        Err(ReadError { errors })
    }
}

/// Reads the state again. IAM's listing may be older than what was done a moment ago, so roles that matter are read one by
/// one: those of `changed`, and those of `made` that the listing does not have.
pub(crate) async fn read_again<T: Target>(
    target: &T,
    clusters: &[Cluster],
    scope: Scope,
    changed: &BTreeSet<String>,
    made: &BTreeSet<String>,
    observer: Observer<'_>,
) -> Result<Actual, ReadError> {
    let mut actual = read(target, clusters, scope, observer).await?.actual;
    let listed: BTreeSet<String> = actual.roles.iter().map(|role| role.name.clone()).collect();
    let missing = made.iter().filter(|name| !listed.contains(*name));
    let names: BTreeSet<&String> = changed.iter().chain(missing).collect();
    let mut errors = Vec::new();
    for name in names {
        match target.role(name).await {
            Ok(role) => put(&mut actual.roles, name, role),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(actual)
    } else {
        Err(ReadError { errors })
    }
}

fn put(roles: &mut Vec<Role>, name: &str, role: Option<Role>) {
    roles.retain(|other| other.name != name);
    roles.extend(role);
}
