//! Deleting accounts.

use std::collections::{BTreeSet, HashMap};

use super::account::{Maker, maker};
use super::role::{
    BORROWED, HOME, Home, Whose, has_tags, home, home_in, home_of, is_managed, owner, role_of_stack, stack_of, whose,
};
use super::{
    AccountPlan, Action, Change, Options, Part, Plan, Refusal, RefusalKind, Resource, Sign, State, StatementChange,
    change, push,
};
use crate::account::ServiceAccountName;
use crate::actual::{Actual, Role};
use crate::desired::{Binding, Cluster, Subject, Wish, labels};
use crate::select::is_like;
use crate::trust::{self, Owner};
use crate::{MANAGED_BY_LABEL, OWNERSHIP_TAGS, ROLE_ARN_ANNOTATION};

/// What is to be deleted.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// The clusters, in the order of [`Actual::clusters`].
    pub clusters: Vec<Cluster>,
    /// The accounts, each with the index of its cluster.
    pub accounts: Vec<(usize, ServiceAccountName)>,
}

/// Plans a deletion: first the service accounts, so that no new pod gets a role that goes, then their statements in trust
/// policies, and of the roles that nobody else uses everything.
///
/// Namespaces and OIDC providers stay. What is not there is passed over with a note.
#[must_use]
pub fn delete(deletion: &Deletion, actual: &Actual, options: &Options) -> Plan {
    let mut deleter = Deleter {
        actual,
        options,
        labels: labels(&deletion.clusters),
        bindings: deletion
            .accounts
            .iter()
            .filter_map(|(index, name)| {
                let binding = Binding {
                    cluster: *index,
                    account: name.clone(),
                    subject: Subject {
                        text: name.subject(),
                        is_pattern: false,
                    },
                    wish: Wish::Leave,
                };
                Some((deletion.clusters.get(*index)?, binding))
            })
            .collect(),
        plan: Plan::default(),
        steps_of: Vec::new(),
        by: By::default(),
    };
    deleter.index(&deletion.clusters);
    deleter.accounts();
    deleter.roles();
    deleter.plan
}

struct Deleter<'d> {
    actual: &'d Actual,
    options: &'d Options,
    labels: Vec<String>,
    bindings: Vec<(&'d Cluster, Binding)>,
    plan: Plan,
    /// For every binding the step that deletes its service account.
    steps_of: Vec<Option<usize>>,
    by: By<'d>,
}

/// The bindings, by what roles say of them, and service accounts by their roles.
#[derive(Default)]
struct By<'d> {
    clusters: &'d [Cluster],
    homes: HashMap<Home, Vec<usize>>,
    accounts: HashMap<(usize, ServiceAccountName), Vec<usize>>,
    sids: HashMap<(usize, String), Vec<usize>>,
    annotated: HashMap<&'d str, Vec<(usize, &'d ServiceAccountName)>>,
}

impl<'d> Deleter<'d> {
    fn index(&mut self, clusters: &'d [Cluster]) {
        let by = &mut self.by;
        by.clusters = clusters;
        for (index, (cluster, binding)) in self.bindings.iter().enumerate() {
            let account = binding.account.clone();
            by.homes.entry(home_of(cluster, &account)).or_default().push(index);
            let sid = trust::sid(&cluster.issuer, &account);
            by.sids.entry((binding.cluster, sid)).or_default().push(index);
            by.accounts.entry((binding.cluster, account)).or_default().push(index);
        }
        for (index, cluster) in self.actual.clusters.iter().enumerate() {
            for (name, account) in &cluster.service_accounts {
                if let Some(arn) = account.annotations.get(ROLE_ARN_ANNOTATION) {
                    by.annotated.entry(arn).or_default().push((index, name));
                }
            }
        }
    }

    /// The bindings that a role was made for, or that it trusts.
    fn concerned(&self, role: &Role) -> BTreeSet<usize> {
        let by = &self.by;
        let mut concerned = BTreeSet::new();
        if !is_managed(role) {
            for (index, cluster) in by.clusters.iter().enumerate() {
                let account = role_of_stack(role, cluster);
                let found = account.and_then(|account| by.accounts.get(&(index, account)));
                concerned.extend(found.into_iter().flatten());
            }
            return concerned;
        }
        let home = home_in(role);
        concerned.extend(home.and_then(|home| by.homes.get(&home)).into_iter().flatten());
        for (index, cluster) in by.clusters.iter().enumerate() {
            for (subject, sid) in trust::signed_subjects(&role.trust, &cluster.provider_arn(), &cluster.issuer) {
                let found = match (subject.is_pattern, subject.account(), sid) {
                    (true, _, Some(sid)) => by.sids.get(&(index, sid)),
                    (false, Some(account), _) => by.accounts.get(&(index, account)),
                    _ => None,
                };
                concerned.extend(found.into_iter().flatten());
            }
        }
        concerned
    }

    fn accounts(&mut self) {
        let actual = self.actual;
        for (_, binding) in self.bindings.clone() {
            let cluster = self.labels.get(binding.cluster).cloned().unwrap_or_default();
            let name = &binding.account;
            let there = actual.clusters.get(binding.cluster);
            let there = there.and_then(|cluster| cluster.service_accounts.get(name));
            let resource = Resource::ServiceAccount {
                cluster: cluster.clone(),
                name: name.clone(),
            };
            let mut plan = AccountPlan {
                cluster: cluster.clone(),
                name: name.clone(),
                role_arn: None,
                state: State::Missing,
                changes: Vec::new(),
                notes: Vec::new(),
            };
            let taken = |by: &str| format!("serviceaccount \"{name}\" was not created by {by}; will not be deleted");
            let mut action = None;
            match there {
                None => plan
                    .notes
                    .push(format!("serviceaccount \"{name}\" was already deleted")),
                Some(there) => {
                    plan.role_arn = there.annotations.get(ROLE_ARN_ANNOTATION).cloned();
                    let delete = Action::DeleteServiceAccount {
                        cluster: cluster.clone(),
                        name: name.clone(),
                        uid: there.uid.clone(),
                    };
                    match maker(there) {
                        Maker::Us => action = Some(delete),
                        _ if self.options.override_existing => action = Some(delete),
                        Maker::ReferenceTool if self.options.adopt => action = Some(delete),
                        Maker::Shared => {
                            for key in &there.owned_labels {
                                let part = Part::Label(key.clone());
                                let before = there.labels.get(key).map(String::as_str);
                                plan.changes.push(change(Sign::Remove, &resource, part, before, None));
                            }
                            for key in &there.owned_annotations {
                                let part = Part::Annotation(key.clone());
                                let before = there.annotations.get(key).map(String::as_str);
                                plan.changes.push(change(Sign::Remove, &resource, part, before, None));
                            }
                            action = Some(Action::ReleaseServiceAccount {
                                cluster: cluster.clone(),
                                name: name.clone(),
                                uid: there.uid.clone(),
                            });
                        }
                        Maker::ReferenceTool | Maker::Other => {
                            let by = there.labels.get(MANAGED_BY_LABEL).filter(|by| *by == "eksctl");
                            plan.notes.push(taken("irsa"));
                            plan.notes
                                .extend(by.map(|_| "eksctl made it: `--adopt` deletes it".to_owned()));
                        }
                    }
                }
            }
            let step = action.map(|action| {
                if matches!(action, Action::DeleteServiceAccount { .. }) {
                    plan.changes
                        .push(change(Sign::Remove, &resource, Part::Whole, None, None));
                }
                plan.state = State::Delete;
                push(&mut self.plan.steps, action, Vec::new())
            });
            self.steps_of.push(step);
            self.plan.accounts.push(plan);
        }
    }

    fn roles(&mut self) {
        let actual = self.actual;
        for role in &actual.roles {
            let concerned: Vec<usize> = self.concerned(role).into_iter().collect();
            if let Some(first) = concerned.first() {
                self.role(role, *first, &concerned);
            }
        }
    }

    fn role(&mut self, role: &Role, first: usize, concerned: &[usize]) {
        let pairs: Vec<(&Cluster, &Binding)> = concerned
            .iter()
            .filter_map(|index| self.bindings.get(*index))
            .map(|(cluster, binding)| (*cluster, binding))
            .collect();
        let owners: Vec<Owner> = pairs.iter().map(|(cluster, binding)| owner(cluster, binding)).collect();
        let is_home = pairs
            .iter()
            .any(|(cluster, binding)| has_tags(role, &home(cluster, binding)));
        let stack = match whose(role, &pairs) {
            Whose::Stack(_) => Some(stack_of(role)),
            _ => None,
        };
        let has_home = role.tag("irsa/cluster").is_some();
        let after: Vec<usize> = concerned
            .iter()
            .filter_map(|index| self.steps_of.get(*index).copied().flatten())
            .collect();
        let merged = trust::merge(Some(&role.trust), &[], &owners, usize::MAX);
        let gone = trust::gone_principal(&role.trust);
        let borrowed = role.tag(BORROWED);
        // Only those are left who were there before us.
        let is_returned = borrowed.is_some() && trust::rest(&role.trust, &owners).as_deref() == borrowed;
        let others = match &merged {
            Some(merged) if merged.count == 0 && !self.options.override_existing => self.others_by_pattern(role),
            _ => None,
        };
        let refusal = match (&stack, &merged) {
            (Some(stack), _) if !self.options.adopt => Some((
                RefusalKind::ReferenceTool,
                format!("role `{}` belongs to eksctl's stack `{stack}`", role.name),
                format!(
                    "delete it with `eksctl delete iamserviceaccount` or `aws cloudformation delete-stack --stack-name {stack}`, or with `--adopt`"
                ),
            )),
            (_, None) => Some((
                RefusalKind::Trust,
                format!("the trust policy of role `{}` cannot be read", role.name),
                "look at it with `aws iam get-role`".to_owned(),
            )),
            (_, Some(merged)) if merged.count > 0 && merged.is_changed() && gone.is_some() => Some((
                RefusalKind::Trust,
                trust::gone_message(&role.name, gone.as_deref().unwrap_or_default()),
                trust::GONE_HELP.to_owned(),
            )),
            (_, Some(merged)) if merged.count == 0 && borrowed.is_some() && !self.options.override_existing => Some((
                RefusalKind::ForeignRole,
                format!("role `{}` was there before irsa took it, and would be deleted", role.name),
                "`--override-existing-serviceaccounts` deletes it".to_owned(),
            )),
            _ if others.is_some() => Some((
                RefusalKind::OtherOwner,
                format!(
                    "service account {} uses role `{}`, too, by a pattern, and would lose it",
                    others.unwrap_or_default(),
                    role.name
                ),
                "delete that one, too, or give it a role of its own first; `--override-existing-serviceaccounts` deletes the role all the same".to_owned(),
            )),
            (_, Some(merged)) if merged.count == 0 && has_home && !is_home && stack.is_none() => Some((
                RefusalKind::Trust,
                format!(
                    "role `{}` was made for another account, and nobody would be left to assume it",
                    role.name
                ),
                "repair that account first, with `irsa apply`, or delete it, too".to_owned(),
            )),
            _ => None,
        };
        if let Some((kind, message, help)) = refusal {
            if let Some(account) = self.plan.accounts.get_mut(first) {
                account.state = State::Refused;
                self.plan.refusals.push(Refusal {
                    cluster: account.cluster.clone(),
                    account: account.name.clone(),
                    kind,
                    message,
                    help,
                });
            }
            return;
        }
        let Some(merged) = merged else { return };
        let resource = Resource::Role(role.name.clone());
        let mut changes: Vec<Change> = Vec::new();
        let mut notes = Vec::new();
        if merged.count == 0 {
            self.whole_role(role, after);
            changes.push(change(Sign::Remove, &resource, Part::Whole, Some(&role.arn), None));
        } else {
            let mut after = after;
            notes.push(format!(
                "role `{}` stays: {} statements of its trust policy are others'",
                role.name, merged.count
            ));
            if merged.is_changed() {
                let removed = merged.removed.iter().map(|text| StatementChange {
                    sign: Sign::Remove,
                    text: text.clone(),
                });
                changes.push(Change {
                    statements: removed.collect(),
                    ..change(
                        Sign::Replace,
                        &resource,
                        Part::Trust,
                        Some(&role.trust),
                        Some(&merged.text),
                    )
                });
                let update = Action::UpdateTrust {
                    role: role.name.clone(),
                    trust: merged.text.clone(),
                    instead_of: role.trust.clone(),
                };
                after = vec![push(&mut self.plan.steps, update, after)];
            }
            if is_home || is_returned {
                let mut keys = HOME.map(str::to_owned).to_vec();
                if is_returned {
                    keys = OWNERSHIP_TAGS.map(str::to_owned).to_vec();
                }
                keys.retain(|key| role.tag(key).is_some());
                for key in &keys {
                    let before = role.tag(key);
                    changes.push(change(Sign::Remove, &resource, Part::Tag(key.clone()), before, None));
                }
                let untag = Action::UntagRole {
                    role: role.name.clone(),
                    keys,
                };
                push(&mut self.plan.steps, untag, after);
            }
        }
        if let Some(account) = self.plan.accounts.get_mut(first) {
            account.role_arn = Some(role.arn.clone());
            if !changes.is_empty() {
                account.state = State::Delete;
            }
            account.changes.extend(changes);
            account.notes.extend(notes);
        }
    }

    /// A service account that stays, names the role, and is trusted by a pattern.
    fn others_by_pattern(&self, role: &Role) -> Option<String> {
        for (index, name) in self.by.annotated.get(role.arn.as_str()).into_iter().flatten() {
            let goes = self.by.accounts.contains_key(&(*index, (*name).clone()));
            let Some(cluster) = self.by.clusters.get(*index).filter(|_| !goes) else {
                continue;
            };
            let subjects = trust::subjects(&role.trust, &cluster.provider_arn(), &cluster.issuer);
            let subject = name.subject();
            if subjects
                .iter()
                .any(|known| known.is_pattern && is_like(&known.text, &subject))
            {
                let cluster = self.labels.get(*index).cloned().unwrap_or_default();
                return Some(format!("`{name}` of cluster `{cluster}`"));
            }
        }
        None
    }

    fn whole_role(&mut self, role: &Role, after: Vec<usize>) {
        let name = &role.name;
        let mut emptied = after.clone();
        for arn in &role.attached {
            let detach = Action::DetachRolePolicy {
                role: name.clone(),
                arn: arn.clone(),
            };
            emptied.push(push(&mut self.plan.steps, detach, after.clone()));
        }
        for policy in role.inline.keys() {
            let delete = Action::DeleteRolePolicy {
                role: name.clone(),
                policy: policy.clone(),
            };
            emptied.push(push(&mut self.plan.steps, delete, after.clone()));
        }
        push(&mut self.plan.steps, Action::DeleteRole { role: name.clone() }, emptied);
    }
}
