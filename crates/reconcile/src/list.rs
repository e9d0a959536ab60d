//! What is there, as `get iamserviceaccount` lists it.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::ServiceAccountName;
use crate::actual::{Actual, KubernetesAccount, Role};
use crate::desired::{Cluster, Subject};
use crate::document;
use crate::plan::role_of_stack;
use crate::trust;
use crate::well_known::{Expansion, WellKnownPolicy};
use crate::{MANAGED_BY_LABEL, MANAGER, OWNERSHIP_TAGS, ROLE_ARN_ANNOTATION};

/// A service account with a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The account.
    pub name: ServiceAccountName,
    /// Its role's ARN.
    pub role_arn: String,
    /// The stack of eksctl's that made the role.
    pub stack_name: Option<String>,
    /// The role's tags, without those that say whose it is.
    pub tags: BTreeMap<String, String>,
    /// The well-known policies that it has, in their present form.
    pub well_known: Vec<WellKnownPolicy>,
}

/// The service accounts of a cluster that have a role of ours or of eksctl's, or were given one by us; by name.
///
/// `index` is the cluster's among those of the actual state.
#[must_use]
pub fn list(cluster: &Cluster, index: usize, actual: &Actual) -> Vec<Listed> {
    let kubernetes = actual.clusters.get(index);
    let annotated = |name: &ServiceAccountName| {
        let account = kubernetes?.service_accounts.get(name)?;
        account.annotations.get(ROLE_ARN_ANNOTATION)
    };
    let mut listed: BTreeMap<ServiceAccountName, Listed> = BTreeMap::new();
    for role in &actual.roles {
        for name in accounts_of(role, cluster) {
            // Of several roles the one that pods get.
            let is_used = annotated(&name) == Some(&role.arn);
            if is_used || !listed.contains_key(&name) {
                listed.insert(name.clone(), of_role(name, role, &cluster.partition));
            }
        }
    }
    for (name, account) in kubernetes.iter().flat_map(|cluster| &cluster.service_accounts) {
        if let Some(arn) = account
            .annotations
            .get(ROLE_ARN_ANNOTATION)
            .filter(|_| is_ours(account))
        {
            listed.entry(name.clone()).or_insert_with(|| Listed {
                name: name.clone(),
                role_arn: arn.clone(),
                stack_name: None,
                tags: BTreeMap::new(),
                well_known: Vec::new(),
            });
        }
    }
    listed.into_values().collect()
}

/// The service accounts of a cluster that are ours or eksctl's beyond doubt: those that roles were made for, and those that
/// we made or gave a role. Somebody may have written others into the trust policy of a role of ours; those are not to be
/// deleted because no file names them.
#[must_use]
pub fn ours(cluster: &Cluster, index: usize, actual: &Actual) -> BTreeSet<ServiceAccountName> {
    let of_roles = actual
        .roles
        .iter()
        .filter_map(|role| match role.tag("irsa/managed-by") {
            Some(MANAGER) => home_in(role, cluster),
            _ => role_of_stack(role, cluster),
        });
    let accounts = actual.clusters.get(index).map(|cluster| &cluster.service_accounts);
    // A label anybody can write, and charts copy; a backup brings it again without its field managers.
    let names_ours = |account: &KubernetesAccount| {
        let arn = account.annotations.get(ROLE_ARN_ANNOTATION);
        arn.is_some_and(|arn| {
            let mut roles = actual.roles.iter();
            roles.any(|role| role.arn == *arn && role.tag("irsa/managed-by") == Some(MANAGER))
        })
    };
    let of_cluster = accounts.into_iter().flatten().filter(|(_, account)| {
        let applied =
            account.owned_labels.contains(MANAGED_BY_LABEL) || account.owned_annotations.contains(ROLE_ARN_ANNOTATION);
        applied || (is_ours(account) && names_ours(account))
    });
    of_roles.chain(of_cluster.map(|(name, _)| name.clone())).collect()
}

fn is_ours(account: &KubernetesAccount) -> bool {
    account.labels.get(MANAGED_BY_LABEL).is_some_and(|by| by == MANAGER)
        || account.owned_annotations.contains(ROLE_ARN_ANNOTATION)
}

/// The account of a cluster that a role of ours was made for.
fn home_in(role: &Role, cluster: &Cluster) -> Option<ServiceAccountName> {
    let is_here = role.tag("irsa/cluster") == Some(&cluster.tag());
    let (namespace, name) = (role.tag("irsa/namespace")?, role.tag("irsa/name")?);
    is_here.then(|| ServiceAccountName::new(namespace, name))
}

/// The accounts of a cluster that a role is for.
fn accounts_of(role: &Role, cluster: &Cluster) -> Vec<ServiceAccountName> {
    let mut names = Vec::new();
    if role.tag("irsa/managed-by") == Some(MANAGER) {
        names.extend(home_in(role, cluster));
        let subjects = trust::subjects(&role.trust, &cluster.provider_arn(), &cluster.issuer);
        names.extend(subjects.iter().filter_map(Subject::account));
    } else if let Some(name) = role_of_stack(role, cluster) {
        names.push(name);
    }
    names
}

fn of_role(name: ServiceAccountName, role: &Role, partition: &str) -> Listed {
    let has = |policy: &WellKnownPolicy| match policy.expand(partition) {
        Expansion::Managed(arn) => role.attached.contains(&arn),
        Expansion::Inline { name, document } => role
            .inline
            .get(name)
            .is_some_and(|text| document::is_same(text, &document)),
    };
    let tags = role
        .tags
        .iter()
        .filter(|(key, _)| !OWNERSHIP_TAGS.contains(&key.as_str()));
    Listed {
        name,
        role_arn: role.arn.clone(),
        stack_name: role.tags.get("aws:cloudformation:stack-name").cloned(),
        tags: tags.map(|(key, value)| (key.clone(), value.clone())).collect(),
        well_known: WellKnownPolicy::ALL.into_iter().filter(has).collect(),
    }
}
