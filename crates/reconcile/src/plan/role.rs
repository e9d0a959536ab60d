//! Roles: whose they are, and what must change.

mod permissions;
mod target;
mod whose;

use std::collections::{BTreeMap, BTreeSet};

use irsa_policy::validate::non_whitespace_len;

use super::{
    Action, Change, Part, PlannedRole, Planner, RefusalKind, Resource, Sign, StatementChange, Why, change, sign,
};
use crate::account::ServiceAccountName;
use crate::actual::Role;
use crate::desired::{AUDIENCE, Binding, Cluster, DesiredRole, Mode, Wish};
use crate::document;
use crate::trust::{self, Merged, Owner, Trusted};
use crate::{MANAGER, ROLE_ARN_ANNOTATION};
use permissions::inline_change;
use target::Target;
use whose::{MANAGED_BY, is_of_stack, is_reserved};

pub(crate) use whose::role_of_stack;
pub(super) use whose::{
    BORROWED, HOME, Home, Index, Whose, has_tags, home, home_in, home_of, is_managed, owner, stack_of, trusted, whose,
};

/// What is known about a wanted role before the first step.
pub(super) struct Found<'a> {
    /// The role that is there.
    role: Option<&'a Role>,
    /// Its name.
    name: String,
    target: Target,
    merged: Merged,
    /// It was somebody else's until now.
    taken: bool,
    notes: Vec<String>,
}

impl Found<'_> {
    /// The ARN of the role that is there.
    pub(super) fn arn(&self) -> Option<String> {
        self.role.map(|role| role.arn.clone())
    }

    /// The role's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether there will be no role.
    pub(super) fn is_missing(&self, mode: Mode) -> bool {
        self.role.is_none() && mode == Mode::Update
    }
}

impl<'p> Planner<'p> {
    fn bindings(&self, role: &'p DesiredRole) -> Vec<(&'p Cluster, &'p Binding)> {
        let clusters = &self.desired.clusters;
        let bindings = role.bindings.iter();
        bindings
            .filter_map(|binding| Some((clusters.get(binding.cluster)?, binding)))
            .collect()
    }

    /// Finds the role that is meant, and everything that can be said against it.
    pub(super) fn find(&self, wanted: &'p DesiredRole) -> Result<Found<'p>, Vec<Why>> {
        let bindings = self.bindings(wanted);
        let tagged: Vec<&Role> = bindings
            .iter()
            .filter_map(|(cluster, binding)| self.index.homes.get(&home_of(cluster, &binding.account)))
            .flatten()
            .copied()
            .filter(|role| wanted.is_named || !self.index.named.contains(&role.name.to_lowercase()))
            .collect();
        let named = self.index.names.get(&wanted.name.to_lowercase()).copied();
        let stack = || {
            bindings.iter().find_map(|(cluster, binding)| {
                let key = (cluster.name.clone(), binding.account.to_string());
                let roles = self.index.stacks.get(&key)?;
                roles.iter().copied().find(|role| is_of_stack(role, cluster, binding))
            })
        };
        let annotated = self.annotated(&bindings);
        let is_used = |role: &Role| annotated.is_some_and(|used| used.name == role.name);
        let role = if wanted.is_named {
            named
        } else {
            // Of several the one that pods get.
            let first = tagged
                .iter()
                .copied()
                .min_by_key(|role| (!is_used(role), role.name != wanted.name, &role.name));
            // An update gives no name where creating gave one.
            let shared = annotated.filter(|role| {
                self.options.mode == Mode::Update && is_managed(role) && whose(role, &bindings) == Whose::Ours
            });
            first.or(named).or_else(stack).or(shared)
        };
        let mut notes: Vec<String> = tagged
            .iter()
            .filter(|other| role.is_none_or(|role| role.name != other.name))
            .map(|other| {
                format!(
                    "role `{}` was made for this account, too; pods that run use it until they are restarted, then it can be deleted",
                    other.name
                )
            })
            .collect();
        let mut against = Vec::new();
        let mut taken = false;
        if let Some(role) = role {
            match whose(role, &bindings) {
                Whose::Ours => {}
                _ if is_reserved(role) => against.push(Why {
                    kind: RefusalKind::ForeignRole,
                    message: format!("role `{}` belongs to a service of AWS and cannot be changed", role.name),
                    help: "name another role".to_owned(),
                }),
                Whose::Another(_) | Whose::Foreign if self.options.override_existing => taken = true,
                Whose::Stack(_) if self.options.adopt => taken = true,
                Whose::Stack(stack) => against.push(Why {
                    kind: RefusalKind::ReferenceTool,
                    message: format!("role `{}` belongs to eksctl's stack `{stack}`", role.name),
                    help: "`--adopt` takes it over, and `irsa diff --adopt` shows what that would change".to_owned(),
                }),
                Whose::Another(home) => against.push(Why {
                    kind: RefusalKind::OtherOwner,
                    message: format!("role `{}` {home}", role.name),
                    help: "name another role, name that account in the same command, or take it with `--override-existing-serviceaccounts`".to_owned(),
                }),
                Whose::Foreign => against.push(Why {
                    kind: RefusalKind::ForeignRole,
                    message: format!("role `{}` is there and was not made by irsa", role.name),
                    help: "name another role, use it as it is with `--attach-role-arn`, or take it with `--override-existing-serviceaccounts`".to_owned(),
                }),
            }
            if taken && let Whose::Stack(stack) = whose(role, &bindings) {
                notes.push(format!(
                    "eksctl's stack `{stack}` still lists role `{}`: deleting the stack would delete the role",
                    role.name
                ));
            }
        }
        let name = role.map_or_else(|| wanted.name.clone(), |role| role.name.clone());
        let moves = role.is_some_and(|role| self.is_at_home_with_others(role, wanted));
        let borrowed = role
            .filter(|role| taken && whose(role, &bindings) == Whose::Foreign)
            .and_then(|role| {
                let owners: Vec<Owner> = bindings
                    .iter()
                    .map(|(cluster, binding)| owner(cluster, binding))
                    .collect();
                trust::rest(&role.trust, &owners)
            });
        let target = Target::new(wanted, role, &bindings, moves, borrowed);
        let merged = self.trust(role, &name, &bindings, &mut against);
        self.quotas(role, &name, &target, &merged, &mut against);
        self.providers_are_there(&bindings, role, &mut against);
        for open in &merged.open {
            notes.push(format!(
                "a statement of role `{name}`'s trust policy lets every service account of the cluster assume it: {open}"
            ));
        }
        for (cluster, stale) in self.moved(wanted, &merged, &bindings) {
            notes.push(format!(
                "role `{name}` still trusts `{stale}` of cluster `{cluster}`, which has another role now; its pods use this one until they are restarted"
            ));
        }
        for (cluster, binding) in &bindings {
            let namespace = &binding.account.namespace;
            let prefix = format!("system:serviceaccount:{namespace}:");
            let rest = binding
                .subject
                .text
                .strip_prefix(&prefix)
                .filter(|_| binding.subject.is_pattern);
            if rest.is_some_and(|rest| rest.contains('*') && rest.bytes().all(|byte| b"*?".contains(&byte))) {
                notes.push(format!(
                    "warning: the pattern of `{}` lets every service account of namespace `{namespace}` of cluster `{}` assume role `{name}`",
                    binding.account,
                    self.label(cluster)
                ));
            }
        }
        if merged.foreign > 0 {
            let strangers = self.strangers(wanted, &merged, &bindings);
            let named = if strangers.is_empty() { "" } else { ": " };
            notes.push(format!(
                "the trust policy of role `{name}` has {} that none of these accounts asks for, which stay{named}{strangers}",
                counted(merged.foreign, "statement"),
            ));
        }
        if against.is_empty() {
            Ok(Found {
                role,
                name,
                target,
                merged,
                taken,
                notes,
            })
        } else {
            Err(against)
        }
    }

    /// Some of the subjects that a role trusts and that are not asked for.
    fn strangers(&self, wanted: &DesiredRole, merged: &Merged, bindings: &[(&'p Cluster, &Binding)]) -> String {
        const SHOWN: usize = 3;
        let mut strangers = BTreeSet::new();
        for (cluster, _) in bindings {
            let subjects = trust::subjects(&merged.text, &cluster.provider_arn(), &cluster.issuer);
            let is_wanted = |text: &str| {
                let mut bindings = wanted.bindings.iter();
                bindings.any(|binding| binding.wish != Wish::Leave && binding.subject.text == text)
            };
            let others = subjects.into_iter().filter(|subject| !is_wanted(&subject.text));
            strangers.extend(others.map(|subject| format!("`{subject}` of cluster `{}`", self.label(cluster))));
        }
        let more = strangers.len().saturating_sub(SHOWN);
        let mut shown: Vec<String> = strangers.into_iter().take(SHOWN).collect();
        if more > 0 {
            shown.push(format!("{more} more"));
        }
        shown.join(", ")
    }

    /// The role that a service account is annotated with.
    fn annotated(&self, bindings: &[(&'p Cluster, &'p Binding)]) -> Option<&'p Role> {
        let [(_, binding)] = bindings else { return None };
        let there = self
            .actual
            .clusters
            .get(binding.cluster)?
            .service_accounts
            .get(&binding.account)?;
        let arn = there.annotations.get(ROLE_ARN_ANNOTATION)?;
        let name = arn.rsplit('/').next()?.to_lowercase();
        let role = self.index.names.get(&name).copied()?;
        (role.arn == *arn).then_some(role)
    }

    /// The accounts that a role trusts and that want another role now.
    fn moved(
        &self,
        wanted: &DesiredRole,
        merged: &Merged,
        bindings: &[(&'p Cluster, &Binding)],
    ) -> BTreeSet<(String, ServiceAccountName)> {
        let mut moved = BTreeSet::new();
        // Statements of ours alone tell nothing new.
        if merged.foreign == 0 {
            return moved;
        }
        let mut clusters: Vec<&Cluster> = bindings.iter().map(|(cluster, _)| *cluster).collect();
        clusters.dedup();
        for cluster in clusters {
            for subject in trust::subjects(&merged.text, &cluster.provider_arn(), &cluster.issuer) {
                let is_bound = wanted.bindings.iter().any(|binding| binding.subject == subject);
                if let Some(account) = subject.account().filter(|_| !is_bound)
                    && self.index.wanted.contains(&home_of(cluster, &account))
                {
                    moved.insert((self.label(cluster), account));
                }
            }
        }
        moved
    }

    /// Whether the account that a role was made for wants another role now.
    fn is_at_home_with_others(&self, role: &Role, wanted: &DesiredRole) -> bool {
        let Some(home) = home_in(role) else {
            return false;
        };
        let is_home = |binding: &Binding| {
            let cluster = self.desired.clusters.get(binding.cluster);
            cluster.is_some_and(|cluster| home_of(cluster, &binding.account) == home)
        };
        self.index.wanted.contains(&home) && !wanted.bindings.iter().any(is_home)
    }

    fn trust(
        &self,
        role: Option<&Role>,
        name: &str,
        bindings: &[(&Cluster, &Binding)],
        against: &mut Vec<Why>,
    ) -> Merged {
        let old = role.map(|role| role.trust.as_str());
        let bindings = bindings.iter().filter(|(_, binding)| binding.wish != Wish::Leave);
        let mut wanted: Vec<Trusted> = Vec::new();
        let mut owners: Vec<Owner> = Vec::new();
        for (cluster, binding) in bindings {
            let (wish, owner) = (trusted(cluster, binding), owner(cluster, binding));
            let known = match (binding.wish, old) {
                (Wish::Any, Some(old)) => trust::subjects_of(old, &owner),
                _ => Vec::new(),
            };
            owners.push(owner);
            if known.is_empty() {
                wanted.push(wish);
            } else {
                let known = known.into_iter().map(|subject| Trusted {
                    subject,
                    ..wish.clone()
                });
                wanted.extend(known);
            }
        }
        let Some(merged) = trust::merge(old, &wanted, &owners, self.options.quotas.trust_policy) else {
            against.push(Why {
                kind: RefusalKind::Trust,
                message: format!("the trust policy of role `{name}` cannot be read"),
                help: "look at it with `aws iam get-role`".to_owned(),
            });
            return Merged::default();
        };
        if merged.is_changed()
            && let Some(gone) = old.and_then(trust::gone_principal)
        {
            against.push(Why {
                kind: RefusalKind::Trust,
                message: trust::gone_message(name, &gone),
                help: trust::GONE_HELP.to_owned(),
            });
        }
        merged
    }

    fn quotas(&self, role: Option<&Role>, name: &str, target: &Target, merged: &Merged, against: &mut Vec<Why>) {
        let quotas = &self.options.quotas;
        // What is there already has room, whatever the quotas are thought to be.
        let none = Role::default();
        let role = role.unwrap_or(&none);
        let mut check = |what: String, size: usize, now: usize, quota: usize, help: &str| {
            if size > quota && size > now {
                against.push(Why {
                    kind: RefusalKind::Quota,
                    message: format!("{what} of role `{name}` would need {size} of {quota}"),
                    help: help.to_owned(),
                });
            }
        };
        if merged.is_changed() {
            check(
                format!("the characters of the trust policy ({} statements)", merged.count),
                non_whitespace_len(&merged.text),
                non_whitespace_len(&role.trust),
                quotas.trust_policy,
                "take out statements that nobody needs, use several roles, or have the quota raised (to at most 8192)",
            );
        }
        check(
            "the characters of the inline policies".to_owned(),
            target.inline.values().map(|text| non_whitespace_len(text)).sum(),
            role.inline.values().map(|text| non_whitespace_len(text)).sum(),
            quotas.inline_policies,
            "make managed policies of some of them",
        );
        check(
            "the attached policies".to_owned(),
            target.attached.len(),
            role.attached.len(),
            quotas.attached_policies,
            "join some of them, or have the quota raised (to at most 25)",
        );
        check(
            "the tags".to_owned(),
            target.tag_count(),
            role.tags.len(),
            quotas.tags,
            "leave some out",
        );
    }

    fn providers_are_there(&self, bindings: &[(&Cluster, &Binding)], role: Option<&Role>, against: &mut Vec<Why>) {
        if self.options.create_providers || (role.is_none() && self.options.mode == Mode::Update) {
            return;
        }
        let verb = match self.options.mode {
            Mode::Create => "create",
            Mode::Update => "update",
        };
        let mut seen = BTreeSet::new();
        for (cluster, _) in bindings.iter().filter(|(_, binding)| binding.wish != Wish::Leave) {
            let arn = cluster.provider_arn();
            let is_there = self.actual.providers.iter().any(|provider| provider.arn == arn);
            if !is_there && seen.insert(arn) {
                against.push(Why {
                    kind: RefusalKind::NoProvider,
                    message: format!("unable to {verb} iamserviceaccount(s) without IAM OIDC provider enabled"),
                    help: format!(
                        "no IAM OIDC provider associated with cluster, try 'irsa utils associate-iam-oidc-provider --region={} --cluster={}'",
                        cluster.region, cluster.name
                    ),
                });
            }
        }
    }

    /// The steps after which a cluster's provider is as it must be.
    pub(super) fn provider(&mut self, cluster: &Cluster) -> Vec<usize> {
        let arn = cluster.provider_arn();
        if let Some(step) = self.providers.get(&arn) {
            return vec![*step];
        }
        let resource = Resource::Provider(arn.clone());
        let known = self.actual.providers.iter().find(|provider| provider.arn == arn);
        let (part, action) = match known {
            Some(provider) if provider.client_ids.contains(AUDIENCE) => return Vec::new(),
            Some(_) => (
                Part::Audience,
                Action::AddClientId {
                    arn: arn.clone(),
                    client_id: AUDIENCE.to_owned(),
                },
            ),
            None => (
                Part::Whole,
                Action::CreateProvider {
                    arn: arn.clone(),
                    url: cluster.issuer.url(),
                    client_ids: vec![AUDIENCE.to_owned()],
                    tags: BTreeMap::from([
                        (MANAGED_BY.to_owned(), MANAGER.to_owned()),
                        ("irsa/cluster".to_owned(), cluster.tag()),
                    ]),
                },
            ),
        };
        self.plan
            .shared
            .push(change(Sign::Add, &resource, part, None, Some(AUDIENCE)));
        let step = self.step(action, Vec::new());
        self.providers.insert(arn, step);
        vec![step]
    }

    /// Plans a role that nothing can be said against.
    pub(super) fn role(&mut self, wanted: &'p DesiredRole, found: &Found<'p>) -> PlannedRole {
        let bindings = self.bindings(wanted);
        let arn = match (found.role, bindings.first()) {
            (Some(role), _) => role.arn.clone(),
            (None, Some((cluster, _))) => cluster.role_arn(&found.name),
            (None, None) => String::new(),
        };
        let mut planned = PlannedRole {
            arn,
            exists: !found.is_missing(self.options.mode),
            is_new: found.role.is_none(),
            ready: Vec::new(),
            changes: Vec::new(),
            notes: found.notes.clone(),
        };
        if !planned.exists {
            return planned;
        }
        let mut providers = Vec::new();
        for (cluster, _) in bindings.iter().filter(|(_, binding)| binding.wish != Wish::Leave) {
            providers.extend(self.provider(cluster));
        }
        match found.role {
            None => self.new_role(found, &bindings, providers, &mut planned),
            Some(role) => self.old_role(found, role, providers, &mut planned),
        }
        planned
    }

    fn new_role(
        &mut self,
        found: &Found<'_>,
        bindings: &[(&Cluster, &Binding)],
        providers: Vec<usize>,
        planned: &mut PlannedRole,
    ) {
        let (name, target) = (&found.name, &found.target);
        let resource = Resource::Role(name.clone());
        let mut changes = vec![change(Sign::Add, &resource, Part::Whole, None, Some(&planned.arn))];
        changes.push(trust_change(&resource, found, None));
        for arn in &target.attached {
            changes.push(change(Sign::Add, &resource, Part::ManagedPolicy, None, Some(arn)));
        }
        for (policy, text) in &target.inline {
            changes.push(inline_change(&resource, policy, None, Some(text)));
        }
        if let Some(boundary) = &target.boundary {
            changes.push(change(Sign::Add, &resource, Part::Boundary, None, Some(boundary)));
        }
        for (key, value) in &target.set_tags {
            changes.push(change(Sign::Add, &resource, Part::Tag(key.clone()), None, Some(value)));
        }
        planned.changes = changes;
        let accounts: Vec<String> = bindings
            .iter()
            .filter(|(_, binding)| binding.wish != Wish::Leave)
            .map(|(_, binding)| binding.account.to_string())
            .collect();
        let created = self.step(
            Action::CreateRole {
                role: name.clone(),
                trust: found.merged.text.clone(),
                boundary: target.boundary.clone(),
                description: description(&accounts),
                tags: target.set_tags.clone(),
            },
            providers,
        );
        planned.ready.push(created);
        let mut first = vec![created];
        let mut inline: Vec<(&String, &String)> = target.inline.iter().collect();
        inline.sort_by_key(|(_, text)| !document::denies(text));
        for (policy, text) in inline {
            let put = Action::PutRolePolicy {
                role: name.clone(),
                policy: policy.clone(),
                document: text.clone(),
            };
            let step = self.step(put, first.clone());
            planned.ready.push(step);
            if document::denies(text) {
                first.push(step);
            }
        }
        for arn in &target.attached {
            let attach = Action::AttachRolePolicy {
                role: name.clone(),
                arn: arn.clone(),
            };
            planned.ready.push(self.step(attach, first.clone()));
        }
    }

    fn old_role(&mut self, found: &Found<'_>, role: &Role, providers: Vec<usize>, planned: &mut PlannedRole) {
        let (name, target) = (found.name.clone(), &found.target);
        let resource = Resource::Role(name.clone());
        let changes = &mut planned.changes;
        let mut first = Vec::new();
        // What remembers our tags changes after they are gone, or a run that is cut off would leave them.
        let mut untagged = Vec::new();
        if !target.unset_tags.is_empty() {
            for key in &target.unset_tags {
                let before = role.tags.get(key).map(String::as_str);
                changes.push(change(Sign::Remove, &resource, Part::Tag(key.clone()), before, None));
            }
            let untag = Action::UntagRole {
                role: name.clone(),
                keys: target.unset_tags.clone(),
            };
            untagged.push(self.step(untag, Vec::new()));
        }
        if !target.set_tags.is_empty() {
            for (key, value) in &target.set_tags {
                let before = role.tags.get(key).map(String::as_str);
                changes.push(change(
                    sign(before, Some(value)),
                    &resource,
                    Part::Tag(key.clone()),
                    before,
                    Some(value),
                ));
            }
            let tag = Action::TagRole {
                role: name.clone(),
                tags: target.set_tags.clone(),
            };
            let tagged = self.step(tag, untagged);
            // Whose it is stands there before anything of it changes.
            if found.taken {
                first.push(tagged);
            }
        }
        // Who is new comes when the role may do no more than it is to, and who goes goes before it may do more.
        let only_goes = found.merged.added.is_empty();
        let update = Action::UpdateTrust {
            role: name.clone(),
            trust: found.merged.text.clone(),
            instead_of: role.trust.clone(),
        };
        if found.merged.is_changed() {
            changes.push(trust_change(&resource, found, Some(&role.trust)));
        }
        let mut update = found.merged.is_changed().then_some(update);
        if let Some(update) = update.take_if(|_| only_goes) {
            first.push(self.step(update, first.clone()));
            planned.ready.extend(&first);
        }
        let (before, after) = (role.boundary.as_deref(), target.boundary.as_deref());
        if before != after {
            changes.push(change(sign(before, after), &resource, Part::Boundary, before, after));
        }
        // A boundary comes before what it bounds, and goes after it.
        if let Some(arn) = after.filter(|_| before != after) {
            let put = Action::PutBoundary {
                role: name.clone(),
                arn: arn.to_owned(),
            };
            first.push(self.step(put, first.clone()));
            planned.ready.extend(&first);
        }
        let mut late = self.permissions(target, role, &first, planned);
        late.extend(&first);
        if before.is_some() && after.is_none() {
            let delete = self.step(Action::DeleteBoundary { role: name.clone() }, late.clone());
            late.push(delete);
            planned.ready.push(delete);
        }
        if let Some(update) = update {
            late.extend(&providers);
            planned.ready.push(self.step(update, late));
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// At most 1000 characters of those that a description may have.
fn description(accounts: &[String]) -> String {
    let (shown, more) = match accounts.len().checked_sub(3) {
        Some(more) if more > 0 => (accounts.get(..3).unwrap_or_default(), format!(" and {more} more")),
        _ => (accounts, String::new()),
    };
    format!(
        "IAM role for service account {}{more}, managed by irsa",
        shown.join(", ")
    )
}

fn trust_change(resource: &Resource, found: &Found<'_>, old: Option<&str>) -> Change {
    let merged = &found.merged;
    let of = |sign: Sign| {
        move |text: &String| StatementChange {
            sign,
            text: text.clone(),
        }
    };
    let removed = merged.removed.iter().map(of(Sign::Remove));
    let statements = removed.chain(merged.added.iter().map(of(Sign::Add))).collect();
    Change {
        statements,
        ..change(sign(old, Some("")), resource, Part::Trust, old, Some(&merged.text))
    }
}
