//! Whose a role is: what its tags and its trust policy say.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::MANAGER;
use crate::account::ServiceAccountName;
use crate::actual::{Actual, Role};
use crate::desired::{Binding, Cluster, Desired, derived_role_name};
use crate::trust::{self, Owner, Trusted};

pub(in crate::plan) const MANAGED_BY: &str = "irsa/managed-by";
/// A role that was there before us, by what its trust policy said.
pub(in crate::plan) const BORROWED: &str = "irsa/borrowed";
pub(in crate::plan) const HOME: [&str; 3] = ["irsa/cluster", "irsa/namespace", "irsa/name"];
/// The tags of eksctl's stacks, which CloudFormation gives to the role.
const STACK_CLUSTER: &str = "alpha.eksctl.io/cluster-name";
const STACK_ACCOUNT: &str = "alpha.eksctl.io/iamserviceaccount-name";
pub(super) const STACK_NAME: &str = "aws:cloudformation:stack-name";

/// Cluster, namespace and name, as the tags of a role say them.
pub(in crate::plan) type Home = (String, String, String);

/// What is there and what is wanted, by what it is looked for by.
#[derive(Default)]
pub(in crate::plan) struct Index<'a> {
    /// Roles of ours, by the account that they were made for.
    pub(super) homes: HashMap<Home, Vec<&'a Role>>,
    /// All roles, by name in lower case: names that differ only in case are one name to IAM.
    pub(super) names: HashMap<String, &'a Role>,
    /// Roles of eksctl's stacks, by cluster and account.
    pub(super) stacks: HashMap<(String, String), Vec<&'a Role>>,
    /// The names, in lower case, that are given to roles.
    pub(super) named: HashSet<String>,
    /// The accounts that are wanted.
    pub(super) wanted: HashSet<Home>,
}

impl<'a> Index<'a> {
    pub(in crate::plan) fn new(desired: &Desired, actual: &'a Actual) -> Self {
        let mut index = Self::default();
        for role in &actual.roles {
            index.names.insert(role.name.to_lowercase(), role);
            if is_managed(role) {
                if let Some(home) = home_in(role) {
                    index.homes.entry(home).or_default().push(role);
                }
            } else if let (Some(cluster), Some(account)) = (role.tag(STACK_CLUSTER), role.tag(STACK_ACCOUNT)) {
                let key = (cluster.to_owned(), account.to_owned());
                index.stacks.entry(key).or_default().push(role);
            }
        }
        let named = desired.roles.iter().filter(|role| role.is_named);
        index.named = named.map(|role| role.name.to_lowercase()).collect();
        for account in &desired.accounts {
            let cluster = desired.clusters.get(account.cluster);
            index
                .wanted
                .extend(cluster.map(|cluster| home_of(cluster, &account.name)));
        }
        index
    }
}

pub(in crate::plan) fn home_of(cluster: &Cluster, account: &ServiceAccountName) -> Home {
    (cluster.tag(), account.namespace.clone(), account.name.clone())
}

pub(in crate::plan) fn home_in(role: &Role) -> Option<Home> {
    let [cluster, namespace, name] = HOME.map(|key| role.tag(key).map(str::to_owned));
    Some((cluster?, namespace?, name?))
}

/// Whose a role is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::plan) enum Whose {
    /// Ours, and for one of these accounts.
    Ours,
    /// Ours, for another account; the text says for which.
    Another(String),
    /// A stack of eksctl's, for one of these accounts.
    Stack(String),
    /// Anybody's.
    Foreign,
}

/// The tags that say for whom a role is.
pub(in crate::plan) fn home(cluster: &Cluster, binding: &Binding) -> BTreeMap<String, String> {
    let values = [
        cluster.tag(),
        binding.account.namespace.clone(),
        binding.account.name.clone(),
    ];
    HOME.iter().map(|key| (*key).to_owned()).zip(values).collect()
}

pub(in crate::plan) fn is_managed(role: &Role) -> bool {
    role.tag(MANAGED_BY) == Some(MANAGER)
}

pub(in crate::plan) fn has_tags(role: &Role, tags: &BTreeMap<String, String>) -> bool {
    tags.iter().all(|(key, value)| role.tag(key) == Some(value))
}

pub(in crate::plan) fn trusted(cluster: &Cluster, binding: &Binding) -> Trusted {
    Trusted {
        provider: cluster.provider_arn(),
        issuer: cluster.issuer.clone(),
        subject: binding.subject.clone(),
        account: binding.account.clone(),
    }
}

pub(in crate::plan) fn owner(cluster: &Cluster, binding: &Binding) -> Owner {
    Owner {
        provider: cluster.provider_arn(),
        issuer: cluster.issuer.clone(),
        account: binding.account.clone(),
    }
}

/// Whether eksctl's stack made a role for an account.
pub(in crate::plan) fn is_of_stack(role: &Role, cluster: &Cluster, binding: &Binding) -> bool {
    role_of_stack(role, cluster).is_some_and(|account| account == binding.account)
}

pub(in crate::plan) fn stack_of(role: &Role) -> String {
    role.tag(STACK_NAME).unwrap_or_default().to_owned()
}

/// Whose a role is, seen from bindings.
pub(in crate::plan) fn whose(role: &Role, bindings: &[(&Cluster, &Binding)]) -> Whose {
    if is_managed(role) {
        let is_home = bindings
            .iter()
            .any(|(cluster, binding)| has_tags(role, &home(cluster, binding)));
        let is_trusted = bindings.iter().any(|(cluster, binding)| {
            trust::trusts(&role.trust, &trusted(cluster, binding))
                || !trust::subjects_of(&role.trust, &owner(cluster, binding)).is_empty()
        });
        // An account that let go of its role, because others' statements are in it, may come back: the name is nobody else's.
        let is_left = home_in(role).is_none()
            && role.tag(BORROWED).is_none()
            && bindings.iter().any(|(cluster, binding)| {
                derived_role_name(cluster, &binding.account).eq_ignore_ascii_case(&role.name)
            });
        if is_home || is_trusted || is_left {
            return Whose::Ours;
        }
        return Whose::Another(match home_in(role) {
            Some((cluster, namespace, name)) => format!("was made for `{cluster}/{namespace}/{name}`"),
            None => "is irsa's, and the account that it was made for has let go of it".to_owned(),
        });
    }
    if bindings
        .iter()
        .any(|(cluster, binding)| is_of_stack(role, cluster, binding))
    {
        return Whose::Stack(stack_of(role));
    }
    Whose::Foreign
}

/// The account of a cluster that eksctl's stack made a role for.
pub(crate) fn role_of_stack(role: &Role, cluster: &Cluster) -> Option<ServiceAccountName> {
    let (namespace, name) = role.tag(STACK_ACCOUNT)?.split_once('/')?;
    // Clusters of one name in two regions have the same tags.
    let is_of_cluster = role.tag(STACK_CLUSTER) == Some(&cluster.name)
        && role.trust.contains(&format!("\"{}\"", cluster.provider_arn()));
    is_of_cluster.then(|| ServiceAccountName::new(namespace, name))
}

/// Whether a role is a service's own, which nobody can change.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html>.
pub(super) fn is_reserved(role: &Role) -> bool {
    ["/aws-service-role/", "/aws-reserved/"]
        .iter()
        .any(|path| role.arn.contains(&format!(":role{path}")))
}
