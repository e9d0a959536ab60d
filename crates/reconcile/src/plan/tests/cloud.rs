//! A cloud that does what steps say and refuses what IAM and Kubernetes refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use irsa_policy::validate::non_whitespace_len;
use irsa_policy::{Context, Layers, Policy, PolicyKind, Principal, Request, decide};

use crate::MANAGER;
use crate::actual::{Actual, KubernetesAccount, KubernetesState, Provider, Role};
use crate::desired::Cluster;
use crate::plan::{Action, Quotas, Step};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cloud {
    pub(super) actual: Actual,
    pub(super) quotas: Quotas,
    pub(super) names: Vec<String>,
    pub(super) calls: usize,
}

impl PartialEq for Actual {
    fn eq(&self, other: &Self) -> bool {
        let roles = |actual: &Self| {
            let mut roles = actual.roles.clone();
            roles.sort_by(|one, other| one.name.cmp(&other.name));
            roles
        };
        let providers = |actual: &Self| {
            let mut providers = actual.providers.clone();
            providers.sort_by(|one, other| one.arn.cmp(&other.arn));
            providers
        };
        roles(self) == roles(other) && providers(self) == providers(other) && self.clusters == other.clusters
    }
}

pub(super) fn managed(arn: &str) -> String {
    let name = arn.rsplit('/').next().unwrap_or_default();
    // What it allows an inline policy may allow, too.
    let digit = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":["m:{name}","s3:A{digit}"],"Resource":"*"}}}}"#
    )
}

impl Cloud {
    pub(super) fn new(clusters: &[Cluster]) -> Self {
        Self {
            actual: Actual {
                clusters: clusters.iter().map(|_| KubernetesState::default()).collect(),
                ..Actual::default()
            },
            names: crate::desired::labels(clusters),
            quotas: Quotas::default(),
            calls: 0,
        }
    }

    fn role(&mut self, name: &str) -> &mut Role {
        let roles = self.actual.roles.iter_mut();
        let mut found = roles.filter(|role| role.name == name);
        found.next().unwrap_or_else(|| panic!("no role {name}"))
    }

    fn cluster(&mut self, name: &str) -> &mut KubernetesState {
        let index = self.names.iter().position(|known| known == name).unwrap();
        &mut self.actual.clusters[index]
    }

    pub(super) fn run(&mut self, step: &Step) {
        self.calls += 1;
        let quotas = self.quotas;
        match &step.action {
            Action::CreateProvider { arn, client_ids, .. } => {
                assert!(
                    self.actual.providers.iter().all(|provider| provider.arn != *arn),
                    "{arn}"
                );
                self.actual.providers.push(Provider {
                    arn: arn.clone(),
                    client_ids: client_ids.iter().cloned().collect(),
                });
            }
            Action::AddClientId { arn, client_id } => {
                let provider = self.actual.providers.iter_mut().find(|provider| provider.arn == *arn);
                assert!(provider.unwrap().client_ids.insert(client_id.clone()));
            }
            Action::CreateRole {
                role,
                trust,
                boundary,
                tags,
                description,
            } => {
                assert!(self.actual.role(role).is_none(), "{role} is there");
                assert!(description.len() <= 1000);
                check_trust(trust, &quotas);
                self.actual.roles.push(Role {
                    name: role.clone(),
                    arn: format!("arn:aws:iam::111122223333:role/{role}"),
                    trust: trust.clone(),
                    boundary: boundary.clone(),
                    tags: tags.clone(),
                    ..Role::default()
                });
            }
            Action::TagRole { role, tags } => {
                let role = self.role(role);
                role.tags.extend(tags.clone());
                assert!(role.tags.len() <= quotas.tags);
            }
            Action::UntagRole { role, keys } => {
                for key in keys {
                    self.role(role).tags.remove(key);
                }
            }
            Action::UpdateTrust {
                role,
                trust,
                instead_of,
            } => {
                check_trust(trust, &quotas);
                let role = self.role(role);
                assert_eq!(role.trust, *instead_of);
                role.trust = trust.clone();
            }
            Action::PutRolePolicy { role, policy, document } => {
                irsa_policy::validate::document(PolicyKind::Identity, document).unwrap();
                let role = self.role(role);
                role.inline.insert(policy.clone(), document.clone());
                let size: usize = role.inline.values().map(|text| non_whitespace_len(text)).sum();
                assert!(size <= quotas.inline_policies, "{size}");
            }
            Action::DeleteRolePolicy { role, policy } => {
                assert!(self.role(role).inline.remove(policy).is_some(), "{policy}");
            }
            Action::AttachRolePolicy { role, arn } => {
                let role = self.role(role);
                role.attached.insert(arn.clone());
                assert!(role.attached.len() <= quotas.attached_policies, "{:?}", role.attached);
            }
            Action::DetachRolePolicy { role, arn } => assert!(self.role(role).attached.remove(arn), "{arn}"),
            Action::PutBoundary { role, arn } => self.role(role).boundary = Some(arn.clone()),
            Action::DeleteBoundary { role } => self.role(role).boundary = None,
            Action::DeleteRole { role } => {
                let there = self.role(role);
                assert!(
                    there.attached.is_empty() && there.inline.is_empty(),
                    "{role} is not empty"
                );
                self.actual.roles.retain(|other| other.name != *role);
            }
            Action::CreateNamespace { cluster, name } => {
                assert!(self.cluster(cluster).namespaces.insert(name.clone()), "{name}");
            }
            Action::ApplyServiceAccount {
                cluster,
                name,
                labels,
                annotations,
                uid,
            } => {
                let cluster = self.cluster(cluster);
                assert!(cluster.namespaces.contains(&name.namespace), "{name}");
                let account = cluster.service_accounts.entry(name.clone()).or_default();
                assert_eq!(uid.clone().unwrap_or_default(), account.uid);
                if account.uid.is_empty() {
                    account.uid = "u".to_owned();
                }
                apply(&mut account.labels, &mut account.owned_labels, labels);
                apply(&mut account.annotations, &mut account.owned_annotations, annotations);
            }
            Action::ReleaseServiceAccount { cluster, name, uid } => {
                let account = self.cluster(cluster).service_accounts.get_mut(name).unwrap();
                assert_eq!(*uid, account.uid);
                apply(&mut account.labels, &mut account.owned_labels, &BTreeMap::new());
                apply(
                    &mut account.annotations,
                    &mut account.owned_annotations,
                    &BTreeMap::new(),
                );
            }
            Action::DeleteServiceAccount { cluster, name, uid } => {
                let gone = self.cluster(cluster).service_accounts.remove(name);
                assert_eq!(&gone.unwrap().uid, uid);
            }
        }
    }

    /// Runs steps in an order that `choose` makes, at most so many of them. Answers whether all are done.
    pub(super) fn run_some(
        &mut self,
        steps: &[Step],
        most: usize,
        mut choose: impl FnMut(usize) -> usize,
        mut each: impl FnMut(&Self, &Step),
    ) -> bool {
        let mut done: BTreeSet<usize> = BTreeSet::new();
        for _ in 0..most {
            let ready: Vec<&Step> = steps
                .iter()
                .filter(|step| !done.contains(&step.id) && step.after.iter().all(|id| done.contains(id)))
                .collect();
            if ready.is_empty() {
                break;
            }
            let step = ready[choose(ready.len())];
            self.run(step);
            each(self, step);
            done.insert(step.id);
        }
        done.len() == steps.len()
    }

    /// Whether a role's policies allow an action. A boundary allows the half of them.
    pub(super) fn allows(&self, role: &Role, action: &str) -> bool {
        if role.boundary.is_some() && action.ends_with(['1', '3', '5']) {
            return false;
        }
        let texts = role
            .inline
            .values()
            .cloned()
            .chain(role.attached.iter().map(|arn| managed(arn)));
        let policies: Vec<Arc<Policy>> = texts
            .map(|text| Arc::new(Policy::parse("p", PolicyKind::Identity, &text).unwrap()))
            .collect();
        let context = Context::new();
        let request = Request {
            principal: Principal::User {
                arn: "arn:aws:iam::111122223333:user/u",
                unique_id: "AIDAEXAMPLE1234567890",
                account: "111122223333".parse().unwrap(),
            },
            action,
            resource: "arn:aws:s3:::b/k",
            resource_account: None,
            context: &context,
        };
        let layers = Layers {
            identity: &policies,
            ..Layers::default()
        };
        decide(&layers, &request).is_allowed()
    }
}

fn check_trust(text: &str, quotas: &Quotas) {
    irsa_policy::validate::document(PolicyKind::Trust, text).unwrap();
    assert!(non_whitespace_len(text) <= quotas.trust_policy);
}

fn apply(is: &mut BTreeMap<String, String>, owned: &mut BTreeSet<String>, wanted: &BTreeMap<String, String>) {
    for key in owned.iter().filter(|key| !wanted.contains_key(*key)) {
        is.remove(key);
    }
    is.extend(wanted.clone());
    *owned = wanted.keys().cloned().collect();
}

/// A service account that somebody else made.
pub(super) fn strange(manager: Option<&str>) -> KubernetesAccount {
    let mut account = KubernetesAccount {
        uid: "s".to_owned(),
        ..KubernetesAccount::default()
    };
    account.labels.insert("theirs".to_owned(), "x".to_owned());
    if let Some(manager) = manager {
        assert_ne!(manager, MANAGER);
        account
            .labels
            .insert(crate::MANAGED_BY_LABEL.to_owned(), manager.to_owned());
    }
    account
}
