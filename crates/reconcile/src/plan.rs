//! The way from what is there to what is wanted.
//!
//! A [`Plan`] says what differs, account by account, and what to do about it: [`Step`]s, each with the steps that must be
//! done before it; any others may run beside it (IAM refuses two changes of one role at a time, so whoever runs them takes
//! one lane for each [`Step::resource`]). Every step may be run twice.
//!
//! Clusters are called by their [`labels`]: one name in two regions is two clusters.
//!
//! A plan is made of a state. Whatever a run that was cut off has done is a state, too, so the way on is a new plan; the
//! plan of the wanted state has no steps.
//!
//! # Whose a role is
//!
//! The tags `irsa/managed-by`, `irsa/cluster` (`region/name`), `irsa/namespace` and `irsa/name` say for whom a role was
//! made; they are there from its first moment. A role of ours that others share trusts them by statements of their own, and
//! what a role of ours trusts already is no stranger to it. `irsa/tags` remembers which of the other tags are ours, by
//! hashes of their keys, so that a tag that is no longer wanted goes and the tags of others stay. `irsa/borrowed` stands on a
//! role that was there before us: when only those are left in its trust policy who were there then, it is given back, and it
//! is deleted only if the options say so. Managed and inline
//! policies of a role of ours that are not wanted go.
//!
//! A service account that we made has our label; of one that somebody else made we own what our field manager owns, and
//! deleting lets go of that alone.
//!
//! # The order of a change
//!
//! What is allowed before and after is allowed in between: policies are attached and written before others are detached and
//! deleted; where a statement may move between two inline policies, both get it before one loses it. What is allowed neither
//! before nor after is not allowed in between, as far as that can be: who may no longer assume a role goes first, and who is
//! new comes last; a boundary comes before what it bounds, and goes after it; denials come first and go last. A service
//! account is pointed to a role when the role is complete. The role
//! that it had before stays, as running pods use it until they are restarted.

mod account;
mod delete;
mod role;
mod step;

use std::collections::BTreeMap;
use std::fmt;

use crate::account::ServiceAccountName;
use crate::actual::Actual;
use crate::desired::{Cluster, Desired, Mode, RoleOf, labels};
use role::{Found, Index};

pub use delete::{Deletion, delete};
pub(crate) use role::role_of_stack;
pub use step::{Action, Step};

/// How to plan.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether missing things are made.
    pub mode: Mode,
    /// Take what others made (`--override-existing-serviceaccounts`).
    pub override_existing: bool,
    /// Take what eksctl's stacks made (`--adopt`).
    pub adopt: bool,
    /// Create the OIDC providers that are missing; else they are asked for.
    pub create_providers: bool,
    /// What the AWS account may hold.
    pub quotas: Quotas,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Create,
            override_existing: false,
            adopt: false,
            create_providers: false,
            quotas: Quotas::default(),
        }
    }
}

/// Quotas of IAM; the defaults are those of a new account.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>; `GetAccountSummary` tells an
/// account's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quotas {
    /// Characters of a trust policy, without white space.
    pub trust_policy: usize,
    /// Characters of all inline policies of a role, without white space.
    pub inline_policies: usize,
    /// Managed policies attached to a role.
    pub attached_policies: usize,
    /// Tags of a role.
    pub tags: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            trust_policy: 2048,
            inline_policies: 10_240,
            attached_policies: 10,
            tags: 50,
        }
    }
}

/// What differs, and what to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Changes that belong to no account: providers, namespaces.
    pub shared: Vec<Change>,
    /// One for every account, in the order asked for.
    pub accounts: Vec<AccountPlan>,
    /// What to do; a step only waits for earlier ones.
    pub steps: Vec<Step>,
    /// What cannot be done. Nothing of a plan with refusals is to be run; who wants the rest leaves the refused accounts
    /// out and plans anew.
    pub refusals: Vec<Refusal>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// The plan of one account.
#[derive(Clone, Debug)]
pub struct AccountPlan {
    /// What the plan calls the cluster.
    pub cluster: String,
    /// The account.
    pub name: ServiceAccountName,
    /// Its role's ARN.
    pub role_arn: Option<String>,
    /// What happens to it.
    pub state: State,
    /// What differs. Changes of a shared role stand at its first account.
    pub changes: Vec<Change>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// What happens to an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is as it should be.
    Unchanged,
    /// It is deleted.
    Delete,
    /// It is to be changed or deleted, and is not there.
    Missing,
    /// It cannot be done.
    Refused,
}

/// Whether something comes or goes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Sign {
    /// It goes.
    Remove,
    /// It comes.
    Add,
    /// It becomes something else.
    Replace,
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Whether it comes, goes or changes.
    pub sign: Sign,
    /// The thing that it is about.
    pub resource: Resource,
    /// The part of the thing.
    pub part: Part,
    /// What is there.
    pub before: Option<String>,
    /// What will be there.
    pub after: Option<String>,
    /// For policies: statement by statement.
    pub statements: Vec<StatementChange>,
    /// For policies that change: what it comes to.
    pub access: Option<Access>,
}

/// A thing that can be changed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Resource {
    /// An OIDC provider, by its ARN.
    Provider(String),
    /// A role, by its name.
    Role(String),
    /// A namespace of a cluster.
    Namespace {
        /// What the plan calls the cluster.
        cluster: String,
        /// The namespace.
        name: String,
    },
    /// A service account of a cluster.
    ServiceAccount {
        /// What the plan calls the cluster.
        cluster: String,
        /// The account.
        name: ServiceAccountName,
    },
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(arn) => write!(f, "OIDC provider {arn}"),
            Self::Role(name) => write!(f, "role {name}"),
            Self::Namespace { name, .. } => write!(f, "namespace {name}"),
            Self::ServiceAccount { name, .. } => write!(f, "service account {name}"),
        }
    }
}

/// A part of a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// An audience of a provider.
    Audience,
    /// The trust policy.
    Trust,
    /// An inline policy, by its name.
    InlinePolicy(String),
    /// An attached managed policy.
    ManagedPolicy,
    /// The permissions boundary.
    Boundary,
    /// A tag, by its key.
    Tag(String),
    /// A label, by its key.
    Label(String),
    /// An annotation, by its key.
    Annotation(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Audience => f.write_str("audience"),
            Self::Trust => f.write_str("trust policy"),
            Self::InlinePolicy(name) => write!(f, "inline policy {name}"),
            Self::ManagedPolicy => f.write_str("managed policy"),
            Self::Boundary => f.write_str("permissions boundary"),
            Self::Tag(key) => write!(f, "tag {key}"),
            Self::Label(key) => write!(f, "label {key}"),
            Self::Annotation(key) => write!(f, "annotation {key}"),
        }
    }
}

/// A statement that comes or goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatementChange {
    /// Whether it comes or goes.
    pub sign: Sign,
    /// The statement as compact JSON, its lists sorted.
    pub text: String,
}

/// What a changed policy comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Access {
    /// What is allowed that was not.
    pub gained: Gain,
    /// What was allowed and is not.
    pub lost: Gain,
}

/// Requests that one policy allows and another does not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Gain {
    /// There are none.
    Nothing,
    /// For example this one: `action on resource`.
    Example(String),
    /// That could not be found out.
    Unknown,
}

/// Why an account cannot be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What the plan calls the cluster.
    pub cluster: String,
    /// The account.
    pub account: ServiceAccountName,
    /// Why, for programs.
    pub kind: RefusalKind,
    /// Why, for people.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.cluster, self.account, self.message)
    }
}

/// Why an account cannot be done.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RefusalKind {
    /// The cluster has no OIDC provider in IAM.
    NoProvider,
    /// A role of the name is there and is not ours.
    ForeignRole,
    /// A role of the name was made for another account.
    OtherOwner,
    /// eksctl's stack made the role or the service account.
    ReferenceTool,
    /// The service account is there and is not ours.
    ForeignServiceAccount,
    /// A quota of IAM would be exceeded.
    Quota,
    /// The role's trust policy cannot be read, or nothing would be left of it.
    Trust,
}

/// What is to be said of an account that cannot be done.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    pub(crate) kind: RefusalKind,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Plans the way to what is wanted.
#[must_use]
pub fn plan(desired: &Desired, actual: &Actual, options: &Options) -> Plan {
    let mut planner = Planner {
        desired,
        actual,
        index: Index::new(desired, actual),
        labels: labels(&desired.clusters),
        options,
        plan: Plan::default(),
        namespaces: BTreeMap::new(),
        providers: BTreeMap::new(),
    };
    planner.accounts();
    planner.plan
}

/// Plans the OIDC providers of clusters alone (`utils associate-iam-oidc-provider`): those that are missing are created, and
/// those without our audience get it.
#[must_use]
pub fn associate(clusters: &[Cluster], actual: &Actual) -> Plan {
    let desired = Desired {
        clusters: clusters.to_vec(),
        ..Desired::default()
    };
    let options = Options::default();
    let mut planner = Planner {
        desired: &desired,
        actual,
        index: Index::default(),
        labels: labels(clusters),
        options: &options,
        plan: Plan::default(),
        namespaces: BTreeMap::new(),
        providers: BTreeMap::new(),
    };
    for cluster in clusters {
        planner.provider(cluster);
    }
    planner.plan
}

pub(crate) struct Planner<'p> {
    desired: &'p Desired,
    actual: &'p Actual,
    index: Index<'p>,
    labels: Vec<String>,
    options: &'p Options,
    plan: Plan,
    /// The steps that create namespaces.
    namespaces: BTreeMap<(usize, String), usize>,
    /// The steps that create providers, by ARN.
    providers: BTreeMap<String, usize>,
}

/// A role that has been planned.
struct PlannedRole {
    arn: String,
    /// It is there, or will be.
    exists: bool,
    is_new: bool,
    /// What a service account waits for.
    ready: Vec<usize>,
    changes: Vec<Change>,
    notes: Vec<String>,
}

impl Planner<'_> {
    fn accounts(&mut self) {
        let desired = self.desired;
        // Whatever can be said against a role or an account is said before the first step is made.
        let mut roles: BTreeMap<usize, Result<Found<'_>, Vec<Why>>> = BTreeMap::new();
        for account in &desired.accounts {
            if let RoleOf::Desired(index) = account.role
                && let Some(role) = desired.roles.get(index)
            {
                roles.entry(index).or_insert_with(|| self.find(role));
            }
        }
        self.one_role_each(&mut roles);
        let mut refused: Vec<Option<Vec<Why>>> = Vec::new();
        for account in &desired.accounts {
            let mut against = Vec::new();
            if let RoleOf::Desired(index) = account.role
                && let Some(Err(why)) = roles.get(&index)
            {
                against.extend(why.iter().cloned());
            }
            against.extend(self.against_account(account, &roles));
            refused.push((!against.is_empty()).then_some(against));
        }
        let is_refused = |index: usize| {
            desired
                .accounts
                .iter()
                .zip(&refused)
                .any(|(account, refused)| account.role == RoleOf::Desired(index) && refused.is_some())
        };
        let mut planned: BTreeMap<usize, PlannedRole> = BTreeMap::new();
        for (index, found) in &roles {
            if let (Ok(found), Some(role)) = (found, desired.roles.get(*index))
                && !is_refused(*index)
            {
                planned.insert(*index, self.role(role, found));
            }
        }
        for (account, refused) in desired.accounts.iter().zip(refused) {
            let cluster = self.cluster_name(account.cluster);
            if let Some(against) = refused {
                self.plan.accounts.push(AccountPlan {
                    cluster: cluster.clone(),
                    name: account.name.clone(),
                    role_arn: None,
                    state: State::Refused,
                    changes: Vec::new(),
                    notes: Vec::new(),
                });
                for why in against {
                    self.plan.refusals.push(Refusal {
                        cluster: cluster.clone(),
                        account: account.name.clone(),
                        kind: why.kind,
                        message: why.message,
                        help: why.help,
                    });
                }
                continue;
            }
            let shared_with_refused = matches!(account.role, RoleOf::Desired(index) if !planned.contains_key(&index));
            if shared_with_refused {
                self.plan.accounts.push(AccountPlan {
                    cluster,
                    name: account.name.clone(),
                    role_arn: None,
                    state: State::Refused,
                    changes: Vec::new(),
                    notes: vec!["it shares its role with an account that is refused".to_owned()],
                });
                continue;
            }
            let done = match &account.role {
                RoleOf::Desired(index) => planned.get_mut(index),
                RoleOf::Given(_) => None,
            };
            self.account(account, done);
        }
    }

    /// Two that are wanted must not be one that is there: each would undo what the other does.
    fn one_role_each(&self, roles: &mut BTreeMap<usize, Result<Found<'_>, Vec<Why>>>) {
        let account = |index: usize| {
            let first = self.desired.roles.get(index).and_then(|role| role.bindings.first());
            first.map(|binding| binding.account.to_string()).unwrap_or_default()
        };
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, found) in roles {
            let Ok(role) = found else { continue };
            if let Some(first) = seen.get(&role.name().to_lowercase()) {
                *found = Err(vec![Why {
                    kind: RefusalKind::OtherOwner,
                    message: format!(
                        "its role is `{}`, and that of `{}` is the same",
                        role.name(),
                        account(*first)
                    ),
                    help: "say so by giving both the role's name (`roleName`), and the same permissions".to_owned(),
                }]);
            } else {
                seen.insert(role.name().to_lowercase(), *index);
            }
        }
    }

    fn cluster_name(&self, index: usize) -> String {
        self.labels.get(index).cloned().unwrap_or_default()
    }

    /// What the plan calls a cluster of its own.
    fn label(&self, cluster: &Cluster) -> String {
        let clusters = &self.desired.clusters;
        let index = clusters.iter().position(|known| known == cluster);
        index.map(|index| self.cluster_name(index)).unwrap_or_default()
    }

    fn step(&mut self, action: Action, after: Vec<usize>) -> usize {
        push(&mut self.plan.steps, action, after)
    }
}

/// Adds a step and answers with its number.
fn push(steps: &mut Vec<Step>, action: Action, mut after: Vec<usize>) -> usize {
    after.sort_unstable();
    after.dedup();
    let id = steps.len();
    steps.push(Step { id, action, after });
    id
}

/// A difference without statements.
fn change(sign: Sign, resource: &Resource, part: Part, before: Option<&str>, after: Option<&str>) -> Change {
    Change {
        sign,
        resource: resource.clone(),
        part,
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        statements: Vec::new(),
        access: None,
    }
}

/// The sign of going from one to the other.
fn sign(before: Option<&str>, after: Option<&str>) -> Sign {
    match (before, after) {
        (None, _) => Sign::Add,
        (_, None) => Sign::Remove,
        _ => Sign::Replace,
    }
}

#[cfg(test)]
mod tests;
