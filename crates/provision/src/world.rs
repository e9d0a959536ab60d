//! IAM and Kubernetes in memory, with the rules that matter to whoever calls them, and everything that can go wrong on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use irsa_reconcile::ServiceAccountName;
use irsa_reconcile::actual::{Actual, KubernetesAccount, KubernetesState, Provider, Role};
use irsa_reconcile::desired::Cluster;
use irsa_reconcile::plan::{Action, Quotas, Resource, Step};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{RoleHead, Target, TargetError, TargetErrorKind};

/// When the connection to one of the calls, counted from one, is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// It never arrives, and whoever called is dead.
    DeadBefore(usize),
    /// It is done, and whoever called is dead before the answer.
    DeadAfter(usize),
    /// It never arrives.
    Before(usize),
    /// It is done, and the answer is lost.
    After(usize),
}

type Meddle = Box<dyn FnMut(&mut Actual, &str) + Send>;
pub(crate) type Refuse = Box<dyn Fn(&str) -> Option<TargetError> + Send + Sync>;

#[derive(Default)]
struct Inner {
    actual: Actual,
    /// What IAM's listing looked like, and until when.
    past: Vec<(Instant, Vec<Role>)>,
    made: BTreeMap<String, Instant>,
    log: Vec<String>,
    under_way: Vec<Resource>,
    most_under_way: usize,
    most_of_one: usize,
    uids: usize,
    random: u64,
    loss: Option<Loss>,
}

/// The world.
pub(crate) struct World {
    names: Vec<String>,
    inner: Mutex<Inner>,
    dead: watch::Sender<bool>,
    /// How long IAM takes until everybody knows what was done.
    pub(crate) lag: Duration,
    /// How long a call takes.
    pub(crate) latency: Duration,
    /// Calls whose words contain this never end.
    pub(crate) hangs: Option<String>,
    /// Is asked before each call.
    pub(crate) refuse: Option<Refuse>,
    /// What others do before a call takes effect.
    meddle: Mutex<Option<Meddle>>,
    /// The policies that are not there.
    pub(crate) missing_policies: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(clusters: &[Cluster]) -> Self {
        let actual = Actual {
            clusters: clusters.iter().map(|_| KubernetesState::default()).collect(),
            ..Actual::default()
        };
        Self {
            names: clusters.iter().map(|cluster| cluster.name.clone()).collect(),
            inner: Mutex::new(Inner {
                actual,
                random: 1,
                ..Inner::default()
            }),
            dead: watch::Sender::new(false),
            lag: Duration::ZERO,
            latency: Duration::ZERO,
            hangs: None,
            refuse: None,
            meddle: Mutex::default(),
            missing_policies: BTreeSet::new(),
        }
    }

    pub(crate) fn set_seed(&self, seed: u64) {
        self.inner.lock().unwrap().random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }

    pub(crate) fn lose(&self, loss: Option<Loss>) {
        let mut inner = self.inner.lock().unwrap();
        inner.loss = loss;
        inner.log.clear();
        self.dead.send_replace(false);
    }

    pub(crate) fn meddle(&self, meddle: impl FnMut(&mut Actual, &str) + Send + 'static) {
        *self.meddle.lock().unwrap() = Some(Box::new(meddle));
    }

    pub(crate) async fn died(&self) {
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// What there is.
    pub(crate) fn actual(&self) -> Actual {
        self.inner.lock().unwrap().actual.clone()
    }

    /// Changes what there is.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Actual)) {
        edit(&mut self.inner.lock().unwrap().actual);
    }

    /// What was called since the last time.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().log)
    }

    pub(crate) fn most_under_way(&self) -> usize {
        self.inner.lock().unwrap().most_under_way
    }

    pub(crate) fn most_of_one(&self) -> usize {
        self.inner.lock().unwrap().most_of_one
    }

    /// What there is, in a form that two worlds can be compared by.
    pub(crate) fn shape(&self) -> String {
        let mut actual = self.actual();
        actual.roles.sort_by(|one, other| one.name.cmp(&other.name));
        actual.providers.sort_by(|one, other| one.arn.cmp(&other.arn));
        for cluster in &mut actual.clusters {
            for account in cluster.service_accounts.values_mut() {
                account.uid.clear();
            }
        }
        format!("{actual:#?}")
    }

    async fn call<O>(
        &self,
        words: String,
        resource: Option<Resource>,
        effect: impl FnOnce(&mut Inner) -> Result<O, TargetError>,
    ) -> Result<O, TargetError> {
        let (number, pauses) = {
            let mut inner = self.inner.lock().unwrap();
            inner.log.push(words.clone());
            if let Some(resource) = &resource {
                inner.under_way.push(resource.clone());
                inner.most_under_way = inner.most_under_way.max(inner.under_way.len());
                let of_one = inner.under_way.iter().filter(|other| *other == resource).count();
                inner.most_of_one = inner.most_of_one.max(of_one);
            }
            (inner.log.len(), [inner.next(), inner.next()])
        };
        let answer = async {
            self.pause(pauses[0]).await;
            if self.hangs.as_ref().is_some_and(|hangs| words.contains(hangs)) {
                std::future::pending::<()>().await;
            }
            let loss = self.inner.lock().unwrap().loss;
            let unanswered = || TargetError::new(TargetErrorKind::Busy, "the connection was lost");
            match loss {
                Some(Loss::DeadBefore(at)) if at == number => self.die().await,
                Some(Loss::Before(at)) if at == number => return Err(unanswered()),
                _ => {}
            }
            if let Some(meddle) = self.meddle.lock().unwrap().as_mut() {
                meddle(&mut self.inner.lock().unwrap().actual, &words);
            }
            if let Some(error) = self.refuse.as_ref().and_then(|refuse| refuse(&words)) {
                return Err(error);
            }
            let answer = effect(&mut self.inner.lock().unwrap());
            match loss {
                Some(Loss::DeadAfter(at)) if at == number => self.die().await,
                Some(Loss::After(at)) if at == number => return Err(unanswered()),
                _ => {}
            }
            self.pause(pauses[1]).await;
            answer
        };
        let answer = answer.await;
        if let Some(resource) = resource {
            let mut inner = self.inner.lock().unwrap();
            if let Some(at) = inner.under_way.iter().position(|other| *other == resource) {
                inner.under_way.swap_remove(at);
            }
        }
        answer
    }

    async fn die(&self) {
        self.inner.lock().unwrap().under_way.clear();
        self.dead.send_replace(true);
        std::future::pending::<()>().await;
    }

    async fn pause(&self, random: u64) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        for _ in 0..random % 5 {
            tokio::task::yield_now().await;
        }
    }

    fn cluster(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap()
    }

    fn is_settled(&self, inner: &Inner, name: &str) -> bool {
        inner.made.get(name).is_none_or(|made| made.elapsed() >= self.lag)
    }

    fn change_now(&self, inner: &mut Inner, action: &Action) -> Result<(), TargetError> {
        let before = inner.actual.roles.clone();
        self.apply(inner, action)?;
        if !self.lag.is_zero() {
            inner.past.push((Instant::now() + self.lag, before));
        }
        Ok(())
    }

    fn role<'i>(&self, inner: &'i mut Inner, name: &str) -> Result<&'i mut Role, TargetError> {
        let is_settled = self.is_settled(inner, name);
        let mut roles = inner.actual.roles.iter_mut();
        let role = roles.find(|role| role.name == name && is_settled);
        role.ok_or_else(|| absent(&format!("The role with name {name} cannot be found.")))
    }

    fn apply(&self, inner: &mut Inner, action: &Action) -> Result<(), TargetError> {
        match action {
            Action::CreateProvider { arn, client_ids, .. } => {
                if inner.actual.providers.iter().any(|provider| provider.arn == *arn) {
                    return Err(present(arn));
                }
                inner.actual.providers.push(Provider {
                    arn: arn.clone(),
                    client_ids: client_ids.iter().cloned().collect(),
                });
                inner.made.insert(arn.clone(), Instant::now());
            }
            Action::AddClientId { arn, client_id } => {
                let provider = inner.actual.providers.iter_mut().find(|provider| provider.arn == *arn);
                provider
                    .ok_or_else(|| absent(arn))?
                    .client_ids
                    .insert(client_id.clone());
            }
            Action::CreateRole {
                role,
                trust,
                boundary,
                tags,
                ..
            } => {
                let roles = &mut inner.actual.roles;
                if roles.iter().any(|other| other.name.eq_ignore_ascii_case(role)) {
                    return Err(present(role));
                }
                self.check_principals(inner, trust)?;
                inner.actual.roles.push(Role {
                    name: role.clone(),
                    arn: format!("arn:aws:iam::111122223333:role/{role}"),
                    trust: trust.clone(),
                    boundary: boundary.clone(),
                    tags: tags.clone(),
                    ..Role::default()
                });
                inner.made.insert(role.clone(), Instant::now());
            }
            Action::TagRole { role, tags } => self.role(inner, role)?.tags.extend(tags.clone()),
            Action::UntagRole { role, keys } => {
                let role = self.role(inner, role)?;
                role.tags.retain(|key, _| !keys.contains(key));
            }
            Action::UpdateTrust { role, trust, .. } => {
                self.check_principals(inner, trust)?;
                self.role(inner, role)?.trust.clone_from(trust);
            }
            Action::PutRolePolicy { role, policy, document } => {
                let role = self.role(inner, role)?;
                role.inline.insert(policy.clone(), document.clone());
            }
            Action::DeleteRolePolicy { role, policy } => {
                let gone = self.role(inner, role)?.inline.remove(policy);
                gone.ok_or_else(|| absent(policy))?;
            }
            Action::AttachRolePolicy { role, arn } => {
                let is_missing = self.missing_policies.contains(arn);
                let role = self.role(inner, role)?;
                if is_missing {
                    return Err(absent(&format!("Policy {arn} does not exist or is not attachable.")));
                }
                role.attached.insert(arn.clone());
            }
            Action::DetachRolePolicy { role, arn } => {
                if !self.role(inner, role)?.attached.remove(arn) {
                    return Err(absent(arn));
                }
            }
            Action::PutBoundary { role, arn } => self.role(inner, role)?.boundary = Some(arn.clone()),
            Action::DeleteBoundary { role } => self.role(inner, role)?.boundary = None,
            Action::DeleteRole { role } => {
                let there = self.role(inner, role)?;
                if !there.attached.is_empty() || !there.inline.is_empty() {
                    let message = "Cannot delete entity, must detach all policies first.";
                    return Err(TargetError::new(TargetErrorKind::Conflict, message));
                }
                inner.actual.roles.retain(|other| other.name != *role);
            }
            Action::CreateNamespace { cluster, name } => {
                let cluster = &mut inner.actual.clusters[self.cluster(cluster)];
                if !cluster.namespaces.insert(name.clone()) {
                    return Err(present(name));
                }
            }
            Action::ApplyServiceAccount {
                cluster,
                name,
                labels,
                annotations,
                uid,
            } => {
                if let Some(uid) = uid {
                    self.check_uid(inner, cluster, name, uid)?;
                }
                self.apply_account(inner, cluster, name, labels, annotations)?;
            }
            Action::ReleaseServiceAccount { cluster, name, uid } => {
                self.check_uid(inner, cluster, name, uid)?;
                self.apply_account(inner, cluster, name, &BTreeMap::new(), &BTreeMap::new())?;
            }
            Action::DeleteServiceAccount { cluster, name, uid } => {
                let accounts = &mut inner.actual.clusters[self.cluster(cluster)].service_accounts;
                let there = accounts.get(name).ok_or_else(|| absent(&name.to_string()))?;
                if there.uid != *uid {
                    let message = "the UID in the precondition does not match";
                    return Err(TargetError::new(TargetErrorKind::Conflict, message));
                }
                accounts.remove(name);
            }
        }
        Ok(())
    }

    fn check_uid(&self, inner: &Inner, cluster: &str, name: &ServiceAccountName, uid: &str) -> Result<(), TargetError> {
        let accounts = &inner.actual.clusters[self.cluster(cluster)].service_accounts;
        if accounts.get(name).is_some_and(|there| there.uid == uid) {
            Ok(())
        } else {
            let message = format!("uid mismatch: the provided object specified uid {uid}");
            Err(TargetError::new(TargetErrorKind::Conflict, message))
        }
    }

    fn apply_account(
        &self,
        inner: &mut Inner,
        cluster: &str,
        name: &ServiceAccountName,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), TargetError> {
        inner.uids += 1;
        let uid = format!("uid-{}", inner.uids);
        let cluster = &mut inner.actual.clusters[self.cluster(cluster)];
        if !cluster.namespaces.contains(&name.namespace) {
            return Err(absent(&format!("namespaces \"{}\" not found", name.namespace)));
        }
        let account = cluster.service_accounts.entry(name.clone());
        let account = account.or_insert_with(|| KubernetesAccount {
            uid,
            ..KubernetesAccount::default()
        });
        let apply = |is: &mut BTreeMap<String, String>, owned: &mut BTreeSet<String>, wanted: &BTreeMap<_, _>| {
            is.retain(|key, _| !owned.contains(key) || wanted.contains_key(key));
            is.extend(wanted.clone());
            *owned = wanted.keys().cloned().collect();
        };
        apply(&mut account.labels, &mut account.owned_labels, labels);
        apply(&mut account.annotations, &mut account.owned_annotations, annotations);
        Ok(())
    }

    /// IAM refuses who is unknown to it.
    fn check_principals(&self, inner: &Inner, trust: &str) -> Result<(), TargetError> {
        for text in trust.split('"').filter(|text| text.contains(":oidc-provider/")) {
            let is_there = inner.actual.providers.iter().any(|provider| provider.arn == text);
            if !is_there || !self.is_settled(inner, text) {
                let message = format!("Invalid principal in policy: {text}");
                return Err(TargetError::new(TargetErrorKind::UnknownPrincipal, message));
            }
        }
        Ok(())
    }
}

impl Inner {
    /// xorshift.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn absent(what: &str) -> TargetError {
    TargetError::new(TargetErrorKind::Absent, what)
}

fn present(what: &str) -> TargetError {
    TargetError::new(TargetErrorKind::Present, format!("{what} already exists"))
}

impl Target for World {
    async fn roles(&self, seen: &(dyn Fn(usize) + Sync)) -> Result<Vec<Role>, TargetError> {
        let mut all = Vec::new();
        loop {
            let done = all.len();
            let page = self.call("list roles".to_owned(), None, |inner| {
                let past = inner.past.iter().find(|(until, _)| Instant::now() < *until);
                let roles = past.map_or(&inner.actual.roles, |(_, roles)| roles);
                Ok(roles.iter().skip(done).take(100).cloned().collect::<Vec<_>>())
            });
            let page = page.await?;
            let is_last = page.len() < 100;
            all.extend(page);
            seen(all.len());
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn role(&self, name: &str) -> Result<Option<Role>, TargetError> {
        let words = format!("read role {name}");
        self.call(words, None, |inner| {
            Ok(self.role(inner, name).ok().map(|role| role.clone()))
        })
        .await
    }

    async fn role_head(&self, name: &str) -> Result<Option<RoleHead>, TargetError> {
        let words = format!("look at role {name}");
        let head = |role: &mut Role| RoleHead {
            arn: role.arn.clone(),
            trust: role.trust.clone(),
            boundary: role.boundary.clone(),
            tags: role.tags.clone(),
        };
        self.call(words, None, |inner| Ok(self.role(inner, name).ok().map(head)))
            .await
    }

    async fn provider(&self, arn: &str) -> Result<Option<Provider>, TargetError> {
        let words = format!("look at provider {arn}");
        self.call(words, None, |inner| {
            let is_settled = self.is_settled(inner, arn);
            let mut providers = inner.actual.providers.iter();
            let provider = providers.find(|provider| provider.arn == arn && is_settled);
            Ok(provider.cloned())
        })
        .await
    }

    async fn quotas(&self) -> Result<Quotas, TargetError> {
        self.call("quotas".to_owned(), None, |_| Ok(Quotas::default())).await
    }

    async fn kubernetes(&self, cluster: &str, seen: &(dyn Fn(usize) + Sync)) -> Result<KubernetesState, TargetError> {
        let words = format!("list cluster {cluster}");
        let state = self
            .call(words, None, |inner| {
                Ok(inner.actual.clusters[self.cluster(cluster)].clone())
            })
            .await?;
        seen(state.service_accounts.len());
        Ok(state)
    }

    async fn service_account(
        &self,
        cluster: &str,
        name: &ServiceAccountName,
    ) -> Result<Option<KubernetesAccount>, TargetError> {
        let words = format!("look at service account {name} in {cluster}");
        self.call(words, None, |inner| {
            let accounts = &inner.actual.clusters[self.cluster(cluster)].service_accounts;
            Ok(accounts.get(name).cloned())
        })
        .await
    }

    async fn change(&self, action: &Action) -> Result<(), TargetError> {
        let step = Step {
            id: 0,
            action: action.clone(),
            after: Vec::new(),
        };
        self.call(action.to_string(), Some(step.resource()), |inner| {
            self.change_now(inner, action)
        })
        .await
    }
}
