//! What is wanted: roles and service accounts, of one cluster or several.
//!
//! # Names of roles
//!
//! A role whose name is not given is called `irsa-<cluster>-<namespace>-<name>-<hash>`. The hash is the first 50 bits, in
//! base 32, of SHA-256 over region, cluster, namespace and name, so `a-b/c` and `a/b-c` get two roles, and so do clusters
//! of one name in two regions or whose names differ only in case. If the name would be longer than 64 characters, the
//! longest of its three parts is cut until it fits. It depends on nothing else, so it is the same every time.
//!
//! # One role for several
//!
//! Accounts that give the same `roleName` share the role, in one cluster or several; they must then ask for the same
//! permissions. The trust policy gets a statement for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use irsa_core::{AccountId, Arn, partition_of_region};

use crate::account::{ServiceAccount, ServiceAccountName};
use crate::names::MAX_ROLE_NAME;
use crate::place::Problem;
use crate::well_known::{Expansion, WellKnownPolicy};

/// The audience of the tokens, in every partition.
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// The inline policy of `attachPolicy`.
pub const ATTACH_POLICY_NAME: &str = "irsa-attachPolicy";

/// A cluster as IAM and its API know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The account of the roles.
    pub account: AccountId,
    /// The partition of the roles.
    pub partition: String,
    /// Who signs its tokens.
    pub issuer: Issuer,
}

impl Cluster {
    /// A cluster in the partition of its region.
    #[must_use]
    pub fn new(name: &str, region: &str, account: AccountId, issuer: Issuer) -> Self {
        Self {
            name: name.to_owned(),
            region: region.to_owned(),
            account,
            partition: partition_of_region(region).to_owned(),
            issuer,
        }
    }

    /// The ARN of its OIDC provider.
    #[must_use]
    pub fn provider_arn(&self) -> String {
        format!(
            "arn:{}:iam::{}:oidc-provider/{}",
            self.partition,
            self.account,
            self.issuer.resource()
        )
    }

    /// The ARN of a role of its account.
    #[must_use]
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    /// The value of the tag `irsa/cluster`.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{}/{}", self.region, self.name)
    }
}

/// What plans call clusters: their names, and `region/name` where several have one name.
#[must_use]
pub fn labels(clusters: &[Cluster]) -> Vec<String> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for cluster in clusters {
        let known = count.entry(&cluster.name).or_default();
        *known = known.saturating_add(1);
    }
    let label = |cluster: &Cluster| match count.get(cluster.name.as_str()) {
        Some(1) => cluster.name.clone(),
        _ => cluster.tag(),
    };
    clusters.iter().map(label).collect()
}

/// An issuer's URL.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Issuer(String);

/// A text that is no issuer's URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown OIDC issuer URL `{0}`: `https://HOST/PATH` is needed")]
pub struct IssuerError(String);

impl Issuer {
    /// Reads a URL. `:443` is dropped, as IAM does; another port, which only private issuers have, stays.
    ///
    /// # Errors
    /// It is not https, has no host, or has a query, a fragment or characters that no URL has.
    pub fn parse(url: &str) -> Result<Self, IssuerError> {
        let error = || IssuerError(url.chars().take(256).collect());
        let rest = url.strip_prefix("https://").ok_or_else(error)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        let authority = authority.strip_suffix(":443").unwrap_or(authority);
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"?#\"\\<>{}|^`*".contains(&byte);
        if authority.is_empty() || url.len() > 255 || authority.contains('@') || !rest.bytes().all(allowed) {
            return Err(error());
        }
        Ok(Self(format!("{authority}{path}")))
    }

    /// Host and path: the name of the provider, and the prefix of its condition keys.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.0
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.0)
    }
}

/// Who may assume a role: a service account of a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// Its cluster, by its index in [`Desired::clusters`].
    pub cluster: usize,
    /// The service account.
    pub account: ServiceAccountName,
    /// What the `sub` claim must be.
    pub subject: Subject,
    /// How much of that is asked for.
    pub wish: Wish,
}

/// What a trust policy is to say of a binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// The subject, and no other one of the account's.
    Exactly,
    /// A subject of the account's: if there is one, it is the right one (an update that gives no pattern).
    Any,
    /// Whatever is there stays, and nothing comes: the account is left out.
    Leave,
}

/// A `sub` claim.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Subject {
    /// The text, or the pattern with `*` and `?`.
    pub text: String,
    /// Whether it is a pattern.
    pub is_pattern: bool,
}

impl Subject {
    /// The account that it is, unless it is a pattern.
    #[must_use]
    pub fn account(&self) -> Option<ServiceAccountName> {
        let account = self.text.strip_prefix("system:serviceaccount:")?;
        let (namespace, name) = account.split_once(':').filter(|_| !self.is_pattern)?;
        Some(ServiceAccountName::new(namespace, name))
    }
}

/// A role's permissions. What is `None` was not given and stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permissions {
    /// The ARNs of `attachPolicyARNs`.
    pub attach: Option<BTreeSet<String>>,
    /// `wellKnownPolicies`, expanded.
    pub well_known: Option<Vec<Expansion>>,
    /// The document of `attachPolicy`; `Some(None)` for none.
    pub inline: Option<Option<String>>,
    /// The boundary; `Some(None)` for none.
    pub boundary: Option<Option<String>>,
    /// Tags, without those that say whose the role is.
    pub tags: Option<BTreeMap<String, String>>,
}

/// A role that is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DesiredRole {
    /// Its name: given, or derived.
    pub name: String,
    /// Whether the name was given. A role that is tagged for the account is used in place of a derived name.
    pub is_named: bool,
    /// Who may assume it; at least one.
    pub bindings: Vec<Binding>,
    /// What it may do.
    pub permissions: Permissions,
}

/// A service account that is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DesiredAccount {
    /// Its cluster, by its index.
    pub cluster: usize,
    /// Its name.
    pub name: ServiceAccountName,
    /// Its role.
    pub role: RoleOf,
    /// Labels; `None` if they were not given.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations but for the role's; `None` if they were not given.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Only the role is wanted.
    pub role_only: bool,
}

/// The role of a service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RoleOf {
    /// One of [`Desired::roles`].
    Desired(usize),
    /// One that is somebody else's business.
    Given(Arn),
}

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// The roles.
    pub roles: Vec<DesiredRole>,
    /// The service accounts.
    pub accounts: Vec<DesiredAccount>,
}

/// Whether what is not given is to be empty, or to stay as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `create`, `apply`, `diff`: what is not given is empty.
    Create,
    /// `update`: what is not given stays; what is not there is not made.
    Update,
}

/// One cluster's part of what is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The cluster.
    pub cluster: Cluster,
    /// Tags for all roles.
    pub tags: BTreeMap<String, String>,
    /// The service accounts.
    pub accounts: Vec<ServiceAccount>,
}

impl Desired {
    /// Expands requests.
    ///
    /// # Errors
    /// Accounts that share a role and ask for different permissions, or one role in several AWS accounts; several clusters
    /// for one account of flags without a name for the role; a cluster that is there twice; policies of other AWS accounts.
    /// All of them.
    pub fn new(requests: &[Request], mode: Mode) -> Result<Self, Vec<Problem>> {
        let mut desired = Self::default();
        let mut problems = Vec::new();
        let mut by_name: BTreeMap<String, (usize, &ServiceAccount)> = BTreeMap::new();
        for (index, request) in requests.iter().enumerate() {
            let cluster = &request.cluster;
            let is_known = |known: &Cluster| (&known.name, &known.region) == (&cluster.name, &cluster.region);
            if desired.clusters.iter().any(is_known) {
                problems.push(Problem::error(format!(
                    "cluster `{}` of region `{}` is asked for twice",
                    cluster.name, cluster.region
                )));
            }
            desired.clusters.push(cluster.clone());
            for account in &request.accounts {
                problems.extend(policies_of_others(account, cluster));
                let role = match &account.attach_role_arn {
                    Some(arn) => RoleOf::Given(arn.clone()),
                    None => {
                        let role = role(index, request, account, mode);
                        let among = |other: &&Request| other.accounts.iter().any(|other| other.name == account.name);
                        let flags_of_many = account.place.is_none() && requests.iter().filter(among).count() > 1;
                        if flags_of_many && account.role_name.is_none() {
                            let mut problem = Problem::error(format!(
                                "a role for `{}` in several clusters needs a name that is none of theirs",
                                account.name
                            ));
                            problem.help = Some("give it with `--role-name`".to_owned());
                            // Once is enough.
                            if !problems.iter().any(|known: &Problem| known.message == problem.message) {
                                problems.push(problem);
                            }
                        }
                        let key = role.name.to_lowercase();
                        let known = by_name.get(&key).copied();
                        match known {
                            Some((at, first)) => {
                                let Some(shared) = desired.roles.get_mut(at) else {
                                    continue;
                                };
                                let home = shared.bindings.first().and_then(|first| requests.get(first.cluster));
                                let elsewhere = home.is_some_and(|home| {
                                    let place = |cluster: &Cluster| (cluster.account, cluster.partition.clone());
                                    place(&home.cluster) != place(&request.cluster)
                                });
                                if elsewhere || shared.permissions != role.permissions || shared.name != role.name {
                                    let what = if elsewhere {
                                        "in another AWS account"
                                    } else if shared.name != role.name {
                                        "written in another case"
                                    } else {
                                        "with other permissions, boundary or tags"
                                    };
                                    problems.push(conflict(account, first, &role.name, what));
                                } else {
                                    shared.bindings.extend(role.bindings);
                                }
                                RoleOf::Desired(at)
                            }
                            None => {
                                let at = desired.roles.len();
                                by_name.insert(key, (at, account));
                                desired.roles.push(role);
                                RoleOf::Desired(at)
                            }
                        }
                    }
                };
                let given = |map: &Option<BTreeMap<String, String>>| match mode {
                    Mode::Create => Some(map.clone().unwrap_or_default()),
                    Mode::Update => map.clone(),
                };
                desired.accounts.push(DesiredAccount {
                    cluster: index,
                    name: account.name.clone(),
                    role,
                    labels: given(&account.labels),
                    annotations: given(&account.annotations),
                    role_only: account.role_only,
                });
            }
        }
        if problems.is_empty() {
            Ok(desired)
        } else {
            Err(problems)
        }
    }

    /// Leaves only the accounts that `keep` chooses. Whoever shares a role and is left out keeps what it has of it, and
    /// gets no more.
    pub fn retain(&mut self, keep: impl Fn(usize, &ServiceAccountName) -> bool) {
        self.accounts.retain(|account| keep(account.cluster, &account.name));
        for binding in self.roles.iter_mut().flat_map(|role| &mut role.bindings) {
            if !keep(binding.cluster, &binding.account) {
                binding.wish = Wish::Leave;
            }
        }
    }
}

/// Policies that IAM would not attach: those of other AWS accounts.
/// See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html>.
fn policies_of_others(account: &ServiceAccount, cluster: &Cluster) -> Vec<Problem> {
    let arns = account.attach_policy_arns.iter().flatten();
    let foreign = arns
        .chain(&account.permissions_boundary)
        .filter(|arn| arn.account() != "aws" && arn.account_id() != Some(cluster.account));
    let problem = |arn: &Arn| {
        let mut problem = Problem::error(format!(
            "`{}`: policy `{arn}` is of another AWS account than the role, which is of {}",
            account.name, cluster.account
        ));
        problem.help = Some("IAM takes policies of the role's own account and of AWS".to_owned());
        problem.place = account.place.clone();
        problem
    };
    foreign.map(problem).collect()
}

fn conflict(account: &ServiceAccount, first: &ServiceAccount, role: &str, what: &str) -> Problem {
    let mut problem = Problem::error(format!(
        "`{}` and `{}` share the role `{role}`, {what}",
        first.name, account.name
    ));
    problem.place = account.place.clone();
    problem.help = first.place.as_ref().map(|place| format!("the first is at {place}"));
    problem
}

fn role(index: usize, request: &Request, account: &ServiceAccount, mode: Mode) -> DesiredRole {
    let cluster = &request.cluster;
    let subject = match &account.subject_pattern {
        Some(pattern) => Subject {
            text: ServiceAccountName::new(account.name.namespace.clone(), pattern.clone()).subject(),
            is_pattern: true,
        },
        None => Subject {
            text: account.name.subject(),
            is_pattern: false,
        },
    };
    let texts = |arns: &BTreeSet<Arn>| arns.iter().map(ToString::to_string).collect();
    let expand = |policies: &BTreeSet<WellKnownPolicy>| {
        policies
            .iter()
            .map(|policy| policy.expand(&cluster.partition))
            .collect()
    };
    let mut tags = request.tags.clone();
    tags.extend(
        account
            .tags
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    let mut permissions = Permissions {
        attach: account.attach_policy_arns.as_ref().map(texts),
        well_known: account.well_known_policies.as_ref().map(expand),
        inline: account.attach_policy.clone().map(Some),
        boundary: account.permissions_boundary.as_ref().map(|arn| Some(arn.to_string())),
        tags: (account.tags.is_some() || !request.tags.is_empty()).then_some(tags),
    };
    if mode == Mode::Create {
        permissions.attach.get_or_insert_default();
        permissions.well_known.get_or_insert_default();
        permissions.inline.get_or_insert_default();
        permissions.boundary.get_or_insert_default();
        permissions.tags.get_or_insert_default();
    }
    DesiredRole {
        name: account
            .role_name
            .clone()
            .unwrap_or_else(|| derived_role_name(cluster, &account.name)),
        is_named: account.role_name.is_some(),
        bindings: vec![Binding {
            cluster: index,
            account: account.name.clone(),
            subject,
            wish: match (mode, &account.subject_pattern) {
                (Mode::Update, None) => Wish::Any,
                _ => Wish::Exactly,
            },
        }],
        permissions,
    }
}

/// The name of a role that is given none; see the module.
#[must_use]
pub fn derived_role_name(cluster: &Cluster, account: &ServiceAccountName) -> String {
    let identity = [&cluster.region, &cluster.name, &account.namespace, &account.name].map(String::as_str);
    let hash = base32(&identity.join("\0"), 10);
    let mut parts = [&cluster.name, &account.namespace, &account.name].map(Clone::clone);
    // The prefix, the hash, and the hyphens between.
    let room = MAX_ROLE_NAME
        .saturating_sub("irsa----".len())
        .saturating_sub(hash.len());
    while parts.iter().map(String::len).sum::<usize>() > room {
        if let Some(longest) = parts.iter_mut().max_by_key(|part| part.len()) {
            longest.pop();
        }
    }
    let [cluster, namespace, name] = parts;
    format!("irsa-{cluster}-{namespace}-{name}-{hash}")
}

/// The first letters of a hash.
pub(crate) fn base32(text: &str, length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut bits = 0_u32;
    let mut count = 0_u32;
    let mut letters = String::new();
    for byte in digest.as_ref() {
        bits = (bits << 8) | u32::from(*byte);
        count = count.saturating_add(8);
        while count >= 5 {
            count = count.saturating_sub(5);
            let index = usize::try_from((bits >> count) & 31).unwrap_or_default();
            letters.push(LETTERS.get(index).copied().map_or('a', char::from));
        }
        bits &= 31;
    }
    letters.truncate(length);
    letters
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
