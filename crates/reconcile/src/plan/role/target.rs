//! What a role is to be: of what is wanted and, where nothing was said, of what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::whose::{BORROWED, HOME, MANAGED_BY, STACK_NAME, has_tags, home, is_managed};
use crate::MANAGER;
use crate::actual::Role;
use crate::desired::{ATTACH_POLICY_NAME, Binding, Cluster, DesiredRole, Wish, base32};
use crate::document;
use crate::names::is_ownership;
use crate::well_known::{Expansion, WellKnownPolicy};

/// Remembers the tags that are ours.
const RECORD: &str = "irsa/tags";

/// How many letters of a key's hash are remembered: for 46 keys there is room in a tag's 256 characters.
const RECORDED: usize = 5;

/// The role as it will be.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) attached: BTreeSet<String>,
    pub(super) inline: BTreeMap<String, String>,
    pub(super) boundary: Option<String>,
    /// Tags that are not there or have another value.
    pub(super) set_tags: BTreeMap<String, String>,
    pub(super) unset_tags: Vec<String>,
    tags: usize,
}

impl Target {
    /// `moves`: the account that the role was made for has another one now. `borrowed`: it was somebody else's until now.
    pub(super) fn new(
        wanted: &DesiredRole,
        role: Option<&Role>,
        bindings: &[(&Cluster, &Binding)],
        moves: bool,
        borrowed: Option<String>,
    ) -> Self {
        let none = Role::default();
        let there = role.unwrap_or(&none);
        let partition = bindings
            .first()
            .map_or("aws", |(cluster, _)| cluster.partition.as_str());
        let mut target = Self {
            attached: attached(wanted, there, partition),
            inline: inline(wanted, there, partition),
            boundary: match &wanted.permissions.boundary {
                Some(boundary) => boundary.as_ref().map(|arn| known(there.boundary.iter(), arn)),
                None => there.boundary.clone(),
            },
            ..Self::default()
        };
        target.tags(wanted, there, bindings, moves, borrowed);
        target
    }

    pub(super) fn tag_count(&self) -> usize {
        self.tags
    }

    fn tags(
        &mut self,
        wanted: &DesiredRole,
        role: &Role,
        bindings: &[(&Cluster, &Binding)],
        moves: bool,
        borrowed: Option<String>,
    ) {
        let mut all = BTreeMap::from([(MANAGED_BY.to_owned(), MANAGER.to_owned())]);
        all.extend(borrowed.map(|hash| (BORROWED.to_owned(), hash)));
        let is_home = bindings
            .iter()
            .any(|(cluster, binding)| has_tags(role, &home(cluster, binding)));
        // A role of ours that is at home elsewhere, and trusts one of these accounts already, stays at home there, unless
        // that account has another role now.
        let is_elsewhere = is_managed(role) && !moves && HOME.iter().all(|key| role.tag(key).is_some());
        let is_at_home = is_home || is_elsewhere;
        if !is_at_home {
            let first = bindings
                .iter()
                .min_by_key(|(cluster, binding)| (binding.wish == Wish::Leave, cluster.tag(), binding.account.clone()));
            all.extend(
                first
                    .map(|(cluster, binding)| home(cluster, binding))
                    .unwrap_or_default(),
            );
        }
        let mut gone = BTreeSet::new();
        if let Some(tags) = &wanted.permissions.tags {
            let record: String = tags.keys().map(|key| hash(key)).collect();
            let old = role.tag(RECORD).unwrap_or_default();
            let mut rest = old;
            while let Some((recorded, after)) = rest.split_at_checked(RECORDED) {
                rest = after;
                let ours = role
                    .tags
                    .keys()
                    .filter(|key| !is_ownership(key) && hash(key) == recorded);
                gone.extend(ours.filter(|key| !contains(tags, key)).cloned());
            }
            if record.is_empty() {
                gone.extend(role.tags.keys().filter(|key| key.eq_ignore_ascii_case(RECORD)).cloned());
            } else {
                all.insert(RECORD.to_owned(), record);
            }
            all.extend(tags.clone());
        }
        let kept = role
            .tags
            .keys()
            // AWS's own are not counted.
            .filter(|key| !key.starts_with("aws:") && !gone.contains(*key) && !contains(&all, key))
            .count();
        self.tags = kept.saturating_add(all.len());
        // Keys that differ only in case are one key to IAM.
        let same = |key: &str, value: &str| {
            role.tags
                .iter()
                .any(|(there, is)| there.eq_ignore_ascii_case(key) && is == value)
        };
        all.retain(|key, value| !same(key, value));
        self.set_tags = all;
        self.unset_tags = gone.into_iter().collect();
    }
}

/// What is remembered of a key, whose case is of no account to IAM.
fn hash(key: &str) -> String {
    base32(&key.to_lowercase(), RECORDED)
}

fn contains(tags: &BTreeMap<String, String>, key: &str) -> bool {
    tags.keys().any(|other| other.eq_ignore_ascii_case(key))
}

/// An ARN as IAM writes it, if it is there: names of policies that differ only in case are one.
fn known<'a>(mut there: impl Iterator<Item = &'a String>, arn: &str) -> String {
    let same = there.find(|known| known.eq_ignore_ascii_case(arn));
    same.map_or_else(|| arn.to_owned(), Clone::clone)
}

/// For a policy that eksctl's stack made: its name in the template, `Policy1` for that of `attachPolicy`.
fn of_stack<'a>(role: &Role, policy: &'a str) -> Option<&'a str> {
    let name = policy.strip_prefix(role.tag(STACK_NAME)?)?.strip_prefix('-')?;
    name.starts_with("Policy").then_some(name)
}

fn attached(wanted: &DesiredRole, role: &Role, partition: &str) -> BTreeSet<String> {
    let is_well_known = |arn: &&String| {
        WellKnownPolicy::ALL
            .iter()
            .any(|policy| policy.expand(partition) == Expansion::Managed((*arn).clone()))
    };
    let permissions = &wanted.permissions;
    let given: BTreeSet<String> = match &permissions.attach {
        Some(given) => given.iter().map(|arn| known(role.attached.iter(), arn)).collect(),
        None => role
            .attached
            .iter()
            .filter(|arn| !is_well_known(arn))
            .cloned()
            .collect(),
    };
    let well_known: BTreeSet<String> = match &permissions.well_known {
        Some(expanded) => expanded
            .iter()
            .filter_map(|expansion| match expansion {
                Expansion::Managed(arn) => Some(arn.clone()),
                Expansion::Inline { .. } => None,
            })
            .collect(),
        None => role.attached.iter().filter(is_well_known).cloned().collect(),
    };
    given.union(&well_known).cloned().collect()
}

fn inline(wanted: &DesiredRole, role: &Role, partition: &str) -> BTreeMap<String, String> {
    let permissions = &wanted.permissions;
    let is_well_known = |name: &str| {
        WellKnownPolicy::ALL
            .iter()
            .any(|policy| matches!(policy.expand(partition), Expansion::Inline { name: known, .. } if known == name))
    };
    // If everything was given, everything else goes.
    let mut kept = match (&permissions.inline, &permissions.well_known) {
        (Some(_), Some(_)) => BTreeMap::new(),
        _ => role.inline.clone(),
    };
    let mut all = BTreeMap::new();
    if let Some(given) = &permissions.inline {
        kept.remove(ATTACH_POLICY_NAME);
        kept.retain(|name, _| of_stack(role, name) != Some("Policy1"));
        all.extend(given.iter().map(|text| (ATTACH_POLICY_NAME.to_owned(), text.clone())));
    }
    if let Some(expanded) = &permissions.well_known {
        let of_template = |name: &str| of_stack(role, name).is_some_and(|name| name != "Policy1");
        kept.retain(|name, _| !is_well_known(name) && !of_template(name));
        for expansion in expanded {
            if let Expansion::Inline { name, document } = expansion {
                all.insert((*name).to_owned(), document.clone());
            }
        }
    }
    // What stands there with the same meaning under another name may keep its name.
    let mut named = kept;
    for (name, text) in all {
        let twin = role.inline.iter().find(|(other, there)| {
            !role.inline.contains_key(&name) && !named.contains_key(*other) && document::is_same(there, &text)
        });
        match twin {
            Some((other, _)) => drop(named.insert(other.clone(), text)),
            None => drop(named.insert(name, text)),
        }
    }
    named
}
