//! Service accounts.

use std::collections::{BTreeMap, BTreeSet};

use super::role::Found;
use super::{AccountPlan, Action, Change, Part, PlannedRole, Planner, RefusalKind, Resource, State, Why, change, sign};
use crate::account::ServiceAccountName;
use crate::actual::KubernetesAccount;
use crate::desired::{Binding, DesiredAccount, Mode, RoleOf, Subject, Wish};
use crate::plan::Sign;
use crate::trust;
use crate::{MANAGED_BY_LABEL, MANAGER, ROLE_ARN_ANNOTATION};

/// Who made a service account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Maker {
    /// We did.
    Us,
    /// Somebody else; the role's annotation is ours.
    Shared,
    /// eksctl.
    ReferenceTool,
    /// Somebody else.
    Other,
}

pub(super) fn maker(account: &KubernetesAccount) -> Maker {
    match account.labels.get(MANAGED_BY_LABEL).map(String::as_str) {
        Some(MANAGER) => Maker::Us,
        _ if account.owned_annotations.contains(ROLE_ARN_ANNOTATION) => Maker::Shared,
        Some("eksctl") => Maker::ReferenceTool,
        _ => Maker::Other,
    }
}

/// What a service account is to have.
struct Wanted {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Wanted {
    fn new(account: &DesiredAccount, there: Option<&KubernetesAccount>, role_arn: &str, adopt: bool) -> Self {
        // What was not given stays, so it must be said again: applying takes away what it does not say.
        let ours = |values: &BTreeMap<String, String>, owned: &BTreeSet<String>| {
            let ours = values.iter().filter(|(key, _)| owned.contains(*key));
            ours.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let none = KubernetesAccount::default();
        let is = there.unwrap_or(&none);
        let labels = account.labels.clone();
        let mut labels = labels.unwrap_or_else(|| ours(&is.labels, &is.owned_labels));
        let annotations = account.annotations.clone();
        let mut annotations = annotations.unwrap_or_else(|| ours(&is.annotations, &is.owned_annotations));
        annotations.insert(ROLE_ARN_ANNOTATION.to_owned(), role_arn.to_owned());
        labels.remove(MANAGED_BY_LABEL);
        let is_ours = match there.map(maker) {
            None | Some(Maker::Us) => true,
            Some(Maker::ReferenceTool) => adopt,
            Some(Maker::Shared | Maker::Other) => false,
        };
        if is_ours {
            labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
        }
        Self { labels, annotations }
    }

    fn changes(&self, there: Option<&KubernetesAccount>, resource: &Resource) -> Vec<Change> {
        let none = KubernetesAccount::default();
        let there = there.unwrap_or(&none);
        let mut changes = Vec::new();
        let mut compare = |wanted: &BTreeMap<String, String>,
                           is: &BTreeMap<String, String>,
                           owned: &BTreeSet<String>,
                           part: fn(String) -> Part| {
            for (key, value) in wanted {
                let before = is.get(key).map(String::as_str);
                if before != Some(value) {
                    let part = part(key.clone());
                    changes.push(change(sign(before, Some(value)), resource, part, before, Some(value)));
                }
            }
            for key in owned.iter().filter(|key| !wanted.contains_key(*key)) {
                if let Some(before) = is.get(key) {
                    changes.push(change(Sign::Remove, resource, part(key.clone()), Some(before), None));
                }
            }
        };
        compare(&self.labels, &there.labels, &there.owned_labels, Part::Label);
        compare(
            &self.annotations,
            &there.annotations,
            &there.owned_annotations,
            Part::Annotation,
        );
        changes
    }
}

impl Planner<'_> {
    fn kubernetes(&self, cluster: usize, name: &ServiceAccountName) -> Option<&KubernetesAccount> {
        self.actual.clusters.get(cluster)?.service_accounts.get(name)
    }

    /// What can be said against touching a service account.
    pub(super) fn against_account(
        &self,
        account: &DesiredAccount,
        roles: &BTreeMap<usize, Result<Found<'_>, Vec<Why>>>,
    ) -> Option<Why> {
        let options = self.options;
        let there = self.kubernetes(account.cluster, &account.name)?;
        if account.role_only {
            return None;
        }
        let arn = match &account.role {
            RoleOf::Given(arn) => Some(arn.to_string()),
            RoleOf::Desired(index) => match roles.get(index) {
                Some(Ok(found)) if found.is_missing(options.mode) => return None,
                Some(Ok(found)) => {
                    let cluster = self.desired.clusters.get(account.cluster);
                    found.arn().or_else(|| Some(cluster?.role_arn(found.name())))
                }
                // It is refused, anyway.
                _ => None,
            },
        };
        let resource = self.account_resource(account);
        let differs = |adopt| match &arn {
            Some(arn) => !Wanted::new(account, Some(there), arn, adopt)
                .changes(Some(there), &resource)
                .is_empty(),
            None => true,
        };
        let name = &account.name;
        let is_said = matches!(&account.role, RoleOf::Desired(index)
            if matches!(roles.get(index), Some(Err(against)) if against.iter().any(|why| why.kind == RefusalKind::ReferenceTool)));
        match maker(there) {
            // The role's refusal says it all.
            Maker::ReferenceTool if is_said => None,
            Maker::ReferenceTool if !options.adopt && !options.override_existing && differs(false) => Some(Why {
                kind: RefusalKind::ReferenceTool,
                message: format!("service account `{name}` was made by eksctl"),
                help: "`--adopt` takes it over, and `irsa diff --adopt` shows what that would change".to_owned(),
            }),
            Maker::Other if !options.override_existing && differs(false) => Some(Why {
                kind: RefusalKind::ForeignServiceAccount,
                message: format!("service account `{name}` is there and was not made by irsa"),
                help: "use --override-existing-serviceaccounts to override".to_owned(),
            }),
            _ => None,
        }
    }

    fn account_resource(&self, account: &DesiredAccount) -> Resource {
        Resource::ServiceAccount {
            cluster: self.cluster_name(account.cluster),
            name: account.name.clone(),
        }
    }

    /// Plans an account that nothing can be said against.
    pub(super) fn account(&mut self, account: &DesiredAccount, role: Option<&mut PlannedRole>) {
        let mut plan = AccountPlan {
            cluster: self.cluster_name(account.cluster),
            name: account.name.clone(),
            role_arn: None,
            state: State::Unchanged,
            changes: Vec::new(),
            notes: Vec::new(),
        };
        let mut ready = Vec::new();
        let mut is_new = false;
        match (&account.role, role) {
            (RoleOf::Given(arn), _) => {
                plan.role_arn = Some(arn.to_string());
                plan.notes.extend(self.given_role(account));
            }
            (RoleOf::Desired(_), Some(role)) if role.exists => {
                plan.role_arn = Some(role.arn.clone());
                is_new = role.is_new;
                ready.clone_from(&role.ready);
                // A shared role is told of once.
                plan.changes = std::mem::take(&mut role.changes);
                plan.notes = std::mem::take(&mut role.notes);
            }
            (RoleOf::Desired(_), _) => {
                plan.state = State::Missing;
                plan.notes.push(format!(
                    "cannot update IAMServiceAccount {} as it does not exist",
                    account.name
                ));
            }
        }
        if let Some(arn) = plan.role_arn.clone()
            && !account.role_only
        {
            let is_new_account = self.service_account(account, &arn, ready, &mut plan);
            is_new |= is_new_account && matches!(account.role, RoleOf::Given(_));
        }
        if plan.state != State::Missing {
            plan.state = match (plan.changes.is_empty(), is_new) {
                (true, _) => State::Unchanged,
                (false, true) => State::Create,
                (false, false) => State::Change,
            };
        }
        self.plan.accounts.push(plan);
    }

    /// Answers whether it is new.
    fn service_account(
        &mut self,
        account: &DesiredAccount,
        role_arn: &str,
        mut after: Vec<usize>,
        plan: &mut AccountPlan,
    ) -> bool {
        let there = self.kubernetes(account.cluster, &account.name).cloned();
        if there.is_none() && self.options.mode == Mode::Update {
            plan.notes
                .push(format!("serviceaccount \"{}\" is not there", account.name));
            return false;
        }
        let resource = self.account_resource(account);
        let wanted = Wanted::new(account, there.as_ref(), role_arn, self.options.adopt);
        let changes = wanted.changes(there.as_ref(), &resource);
        if changes.is_empty() {
            return false;
        }
        if there.is_none() {
            plan.changes.push(change(Sign::Add, &resource, Part::Whole, None, None));
            after.extend(self.namespace(account));
        }
        let old = there
            .as_ref()
            .and_then(|there| there.annotations.get(ROLE_ARN_ANNOTATION));
        if let Some(old) = old.filter(|old| *old != role_arn) {
            plan.notes
                .push(format!("pods that run keep role `{old}` until they are restarted"));
        }
        plan.changes.extend(changes);
        let apply = Action::ApplyServiceAccount {
            cluster: plan.cluster.clone(),
            name: account.name.clone(),
            labels: wanted.labels,
            annotations: wanted.annotations,
            uid: there.as_ref().map(|there| there.uid.clone()),
        };
        self.step(apply, after);
        there.is_none()
    }

    /// The step that creates an account's namespace.
    fn namespace(&mut self, account: &DesiredAccount) -> Option<usize> {
        let namespace = &account.name.namespace;
        let known = self.actual.clusters.get(account.cluster);
        if known.is_some_and(|cluster| cluster.namespaces.contains(namespace)) {
            return None;
        }
        let key = (account.cluster, namespace.clone());
        if let Some(step) = self.namespaces.get(&key) {
            return Some(*step);
        }
        let resource = Resource::Namespace {
            cluster: self.cluster_name(account.cluster),
            name: namespace.clone(),
        };
        let create = Action::CreateNamespace {
            cluster: self.cluster_name(account.cluster),
            name: namespace.clone(),
        };
        self.plan
            .shared
            .push(change(Sign::Add, &resource, Part::Whole, None, None));
        let step = self.step(create, Vec::new());
        self.namespaces.insert(key, step);
        Some(step)
    }

    /// What is odd about a role that stays as it is.
    fn given_role(&self, account: &DesiredAccount) -> Option<String> {
        let RoleOf::Given(arn) = &account.role else {
            return None;
        };
        let cluster = self.desired.clusters.get(account.cluster)?;
        if arn.account_id() != Some(cluster.account) {
            return None;
        }
        let Some(role) = self.actual.role(arn.resource_name()) else {
            return Some(format!("role `{arn}` is not there"));
        };
        if role.arn != arn.as_str() {
            return Some(format!(
                "role `{arn}` is not there: the one of its name is `{}`",
                role.arn
            ));
        }
        let binding = Binding {
            cluster: account.cluster,
            account: account.name.clone(),
            subject: Subject {
                text: account.name.subject(),
                is_pattern: false,
            },
            wish: Wish::Leave,
        };
        let is_trusted = trust::trusts(&role.trust, &super::role::trusted(cluster, &binding));
        (!is_trusted).then(|| {
            format!(
                "no plain statement of role `{}`'s trust policy names this account, so its pods may not be able to assume it: add one, or have irsa keep the role (`--role-name {} --override-existing-serviceaccounts`)",
                role.name, role.name
            )
        })
    }
}
