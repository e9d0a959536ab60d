//! Any state, any wanted state, any order, cut off anywhere.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::desired::DesiredAccount;
use crate::plan::{Deletion, delete};
use crate::trust;
use crate::well_known::WellKnownPolicy;

/// Xorshift: small choices of one seed.
struct Choice(u64);

impl Choice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

const CLUSTERS: [&str; 2] = ["blue", "green"];

fn policy(choice: &mut Choice) -> String {
    let statements: Vec<_> = (0..=choice.below(3))
        .map(|_| json!({"Effect": "Allow", "Action": format!("s3:A{}", choice.below(5)), "Resource": "*"}))
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn texts(choice: &mut Choice) -> Option<BTreeMap<String, String>> {
    let keys = ["team", "stage", "cost centre"];
    let some = (0..choice.below(3)).map(|_| (keys[choice.below(3)].to_owned(), choice.below(3).to_string()));
    let some: BTreeMap<String, String> = some.collect();
    (!some.is_empty()).then_some(some)
}

fn labels(choice: &mut Choice) -> Option<BTreeMap<String, String>> {
    texts(choice).map(|texts| {
        texts
            .into_iter()
            .map(|(key, value)| (key.replace(' ', "-"), value))
            .collect()
    })
}

fn permissions(choice: &mut Choice, account: &mut ServiceAccount) {
    let arns = (0..choice.below(4)).map(|_| format!("arn:aws:iam::aws:policy/M{}", choice.below(6)).parse().unwrap());
    account.attach_policy_arns = Some(arns.collect());
    account.attach_policy = choice.chance(2).then(|| policy(choice));
    let known = [
        WellKnownPolicy::AutoScaler,
        WellKnownPolicy::CertManager,
        WellKnownPolicy::EbsCsiController,
    ];
    account.well_known_policies = Some((0..choice.below(3)).map(|_| known[choice.below(3)]).collect());
    account.permissions_boundary = choice
        .chance(3)
        .then(|| "arn:aws:iam::111122223333:policy/b".parse().unwrap());
    account.tags = texts(choice);
}

fn wanted(choice: &mut Choice) -> Desired {
    // Those who share a role share its permissions.
    let mut shared = account("x");
    permissions(choice, &mut shared);
    let mut asked = Vec::new();
    for name in CLUSTERS {
        let mut accounts = Vec::new();
        for account_name in ["a", "b", "c"] {
            if choice.chance(4) {
                continue;
            }
            let mut account = account(account_name);
            if choice.chance(3) {
                account = shared.clone();
                account.name.name = account_name.to_owned();
                account.role_name = Some("shared".to_owned());
            } else {
                permissions(choice, &mut account);
                account.role_name = choice.chance(3).then(|| format!("{name}-{account_name}-role"));
            }
            // As if they stood in a file for each cluster.
            account.place = Some(crate::Place {
                file: "f".into(),
                line: 1,
                column: 1,
                offset: 0,
                length: 0,
            });
            account.labels = labels(choice);
            account.annotations = labels(choice);
            account.role_only = choice.chance(6);
            account.subject_pattern = choice.chance(5).then(|| format!("{account_name}-*"));
            accounts.push(account);
        }
        asked.push((name, accounts));
    }
    let asked: Vec<(&str, &[ServiceAccount])> = asked
        .iter()
        .map(|(name, accounts)| (*name, accounts.as_slice()))
        .collect();
    desired(&asked, Mode::Create)
}

/// What others have, beside and within what is ours.
fn strangers(cloud: &mut Cloud, choice: &mut Choice) {
    cloud.actual.roles.push(Role {
        name: "strange".to_owned(),
        arn: "arn:aws:iam::111122223333:role/strange".to_owned(),
        trust: FOREIGN.to_owned(),
        attached: BTreeSet::from(["arn:aws:iam::aws:policy/Theirs".to_owned()]),
        ..Role::default()
    });
    if choice.chance(2) {
        cloud.actual.clusters[0].namespaces.insert("apps".to_owned());
        cloud.actual.clusters[0]
            .service_accounts
            .insert(ServiceAccountName::new("apps", "theirs"), strange(Some("Helm")));
    }
}

const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn drift(cloud: &mut Cloud, choice: &mut Choice) {
    for role in &mut cloud.actual.roles {
        if role.name == "strange" {
            continue;
        }
        match choice.below(8) {
            0 => drop(role.attached.insert("arn:aws:iam::aws:policy/Drift".to_owned())),
            1 => role.attached.clear(),
            2 => drop(role.inline.insert("drift".to_owned(), policy(choice))),
            3 => role.inline.clear(),
            4 => drop(role.tags.insert("theirs".to_owned(), "kept".to_owned())),
            5 => role.trust = role.trust.replacen("{\"Effect\"", "{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"},{\"Effect\"", 1),
            _ => {}
        }
    }
    for cluster in &mut cloud.actual.clusters {
        for account in cluster.service_accounts.values_mut() {
            match choice.below(6) {
                0 => account.annotations.clear(),
                1 => drop(account.labels.insert("drift".to_owned(), "x".to_owned())),
                2 => drop(account.labels.remove("team")),
                _ => {}
            }
        }
    }
}

/// All statements of others, wherever they stand.
fn foreign(cloud: &Cloud) -> Vec<(String, usize)> {
    let roles = cloud.actual.roles.iter();
    let mut counts: Vec<(String, usize)> = roles
        .map(|role| (role.name.clone(), role.trust.matches("pods.eks.amazonaws.com").count()))
        .filter(|(_, count)| *count > 0)
        .collect();
    counts.sort();
    counts
}

/// What is no part of the meaning: the order of statements.
fn settled(cloud: &Cloud) -> Cloud {
    let mut cloud = cloud.clone();
    cloud.calls = 0;
    for role in &mut cloud.actual.roles {
        let document = crate::document::object(&role.trust).unwrap();
        let mut statements: Vec<String> = crate::document::statements(&document)
            .iter()
            .map(|statement| crate::document::canonical(statement).to_string())
            .collect();
        statements.sort();
        role.trust = statements.join("\n");
    }
    cloud
}

/// The same policies with single values as lists and lists of one as single values, members and items in another order,
/// and blanks between.
fn rewritten(cloud: &Cloud) -> Cloud {
    let mut cloud = cloud.clone();
    for role in &mut cloud.actual.roles {
        for text in role.inline.values_mut().chain([&mut role.trust]) {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            *text = format!("{:#}", otherwise(value, ""));
        }
    }
    cloud
}

fn otherwise(value: serde_json::Value, name: &str) -> serde_json::Value {
    use serde_json::Value;
    let is_list = ["Action", "Resource", "Federated", "Service"].contains(&name) || name.contains(':');
    match value {
        Value::Object(members) => {
            let turned = members.into_iter().rev();
            Value::Object(
                turned
                    .map(|(key, value)| (key.clone(), otherwise(value, &key)))
                    .collect(),
            )
        }
        Value::Array(items) if items.len() == 1 && (is_list || name == "Statement") => {
            otherwise(items.into_iter().next().unwrap(), "")
        }
        Value::Array(items) => items.into_iter().rev().map(|item| otherwise(item, "")).collect(),
        Value::String(text) if is_list => json!([text]),
        other => other,
    }
}

/// Whoever may do something before and after may do it in between.
struct Uninterrupted {
    may: Vec<(String, String)>,
    trusted: Vec<(String, trust::Trusted)>,
    /// Whoever may not do something before nor after may not do it in between.
    never: Vec<(String, Option<trust::Trusted>, String)>,
}

impl Uninterrupted {
    fn new(before: &Cloud, after: &Cloud, desired: &Desired) -> Self {
        let actions: Vec<String> = (0..5)
            .map(|n| format!("s3:A{n}"))
            .chain((0..6).map(|n| format!("m:M{n}")))
            .chain(
                [
                    "autoscaling:SetDesiredCapacity",
                    "route53:GetChange",
                    "m:AmazonEBSCSIDriverPolicy",
                ]
                .map(str::to_owned),
            )
            .collect();
        let mut all = Self {
            may: Vec::new(),
            trusted: Vec::new(),
            never: Vec::new(),
        };
        for role in &before.actual.roles {
            let Some(then) = after.actual.role(&role.name) else {
                continue;
            };
            let both_bounded = role.boundary.is_some() && then.boundary.is_some() && role.boundary != then.boundary;
            for action in &actions {
                match (before.allows(role, action), after.allows(then, action)) {
                    (true, true) => all.may.push((role.name.clone(), action.clone())),
                    (false, false) if !both_bounded => all.never.push((role.name.clone(), None, action.clone())),
                    _ => {}
                }
            }
            for binding in desired.roles.iter().flat_map(|role| &role.bindings) {
                let trusted = role::trusted(&desired.clusters[binding.cluster], binding);
                let (was, will) = (
                    trust::trusts(&role.trust, &trusted),
                    trust::trusts(&then.trust, &trusted),
                );
                if was && will {
                    all.trusted.push((role.name.clone(), trusted.clone()));
                }
                for action in &actions {
                    let may = was && before.allows(role, action) || will && after.allows(then, action);
                    if !may && !both_bounded {
                        all.never
                            .push((role.name.clone(), Some(trusted.clone()), action.clone()));
                    }
                }
            }
        }
        all
    }

    fn holds(&self, cloud: &Cloud, step: &Step) {
        let Resource::Role(changed) = step.resource() else {
            return;
        };
        for (role, action) in self.may.iter().filter(|(role, _)| *role == changed) {
            let role = cloud.actual.role(role).unwrap();
            assert!(cloud.allows(role, action), "{action} is lost after {}", step.action);
        }
        for (role, trusted, action) in self.never.iter().filter(|(role, ..)| *role == changed) {
            let role = cloud.actual.role(role).unwrap();
            let may_assume = trusted
                .as_ref()
                .is_none_or(|trusted| trust::trusts(&role.trust, trusted));
            assert!(
                !(may_assume && cloud.allows(role, action)),
                "{trusted:?} may do {action} after {}",
                step.action
            );
        }
        for (role, trusted) in self.trusted.iter().filter(|(role, _)| *role == changed) {
            let role = cloud.actual.role(role).unwrap();
            assert!(
                trust::trusts(&role.trust, trusted),
                "{trusted:?} is lost after {}",
                step.action
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_done_before_the_end_is_the_same(seed in 1_u64..) {
        let mut choice = Choice(seed);
        // Statements of others may fill what there is.
        let quotas = Quotas { trust_policy: 2600, ..Quotas::default() };
        let mut options = Options { create_providers: true, quotas, ..Options::default() };
        let mut cloud = Cloud::new(&CLUSTERS.map(cluster));
        cloud.quotas = quotas;
        strangers(&mut cloud, &mut choice);
        // Another wanted state, half or wholly made.
        let earlier = wanted(&mut choice);
        let plan = planned(&earlier, &cloud.actual, &options);
        prop_assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
        let most = if choice.chance(2) { usize::MAX } else { choice.below(plan.steps.len() + 1) };
        cloud.run_some(&plan.steps, most, |count| choice.below(count), |_, _| {});
        drift(&mut cloud, &mut choice);

        // One run to the end.
        let desired = wanted(&mut choice);
        let before = cloud.clone();
        let plan = planned(&desired, &cloud.actual, &options);
        // A role that was shared may be at home with an account that no longer asks for it.
        prop_assert!(plan.refusals.iter().all(|refusal| refusal.kind == RefusalKind::OtherOwner));
        options.override_existing = !plan.refusals.is_empty();
        let plan = planned(&desired, &cloud.actual, &options);
        prop_assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
        let mut straight = cloud.clone();
        let is_done = straight.run_some(&plan.steps, usize::MAX, |_| 0, |_, _| {});
        prop_assert!(is_done);
        let again = planned(&desired, &straight.actual, &options);
        prop_assert!(again.is_empty(), "{:?}", again.steps);
        prop_assert!(again.accounts.iter().all(|account| account.changes.is_empty()));
        // However IAM writes what it was sent.
        let again = planned(&desired, &rewritten(&straight).actual, &options);
        prop_assert!(again.is_empty(), "{:?}", again.steps);
        prop_assert_eq!(foreign(&before), foreign(&straight));
        for role in &before.actual.roles {
            if role.name == "strange" {
                prop_assert_eq!(Some(role), straight.actual.role("strange"));
            }
            if role.tags.contains_key("theirs") {
                prop_assert_eq!(&straight.actual.role(&role.name).unwrap().tags["theirs"], "kept");
            }
        }

        // Many runs, each cut off, each in another order.
        let uninterrupted = Uninterrupted::new(&before, &straight, &desired);
        loop {
            let plan = planned(&desired, &cloud.actual, &options);
            prop_assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
            let most = choice.below(plan.steps.len() + 2);
            let done = cloud.run_some(
                &plan.steps,
                most,
                |count| choice.below(count),
                |cloud, step| uninterrupted.holds(cloud, step),
            );
            if done {
                break;
            }
        }
        let (many, one) = (settled(&cloud), settled(&straight));
        for role in &many.actual.roles {
            prop_assert_eq!(Some(role), one.actual.role(&role.name));
        }
        prop_assert_eq!(&many.actual.clusters, &one.actual.clusters);
        prop_assert!(many == one);

        // Some of it goes again, and the rest does not notice.
        let mut gone = Vec::new();
        let mut stays = Vec::new();
        for account in &desired.accounts {
            let list = if choice.chance(2) { &mut gone } else { &mut stays };
            list.push((account.cluster, account.name.clone()));
        }
        let some = Deletion { clusters: desired.clusters.clone(), accounts: gone };
        let plan = delete(&some, &cloud.actual, &Options::default());
        prop_assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
        let is_done = cloud.run_some(&plan.steps, usize::MAX, |count| choice.below(count), |_, _| {});
        prop_assert!(is_done);
        prop_assert!(delete(&some, &cloud.actual, &Options::default()).is_empty());
        for binding in desired.roles.iter().flat_map(|role| &role.bindings) {
            let here = |account: &&DesiredAccount| account.cluster == binding.cluster && account.name == binding.account;
            let account = desired.accounts.iter().find(here).unwrap();
            let there = cloud.actual.clusters[binding.cluster].service_accounts.get(&binding.account);
            if !stays.contains(&(binding.cluster, binding.account.clone())) {
                prop_assert!(there.is_none());
            } else if !account.role_only {
                let arn = &there.unwrap().annotations[ROLE_ARN_ANNOTATION];
                let role = cloud.actual.roles.iter().find(|role| role.arn == *arn).unwrap();
                let trusted = role::trusted(&desired.clusters[binding.cluster], binding);
                prop_assert!(trust::trusts(&role.trust, &trusted));
            }
        }

        // And all of it.
        let deletion = Deletion {
            clusters: desired.clusters.clone(),
            accounts: desired.accounts.iter().map(|account| (account.cluster, account.name.clone())).collect(),
        };
        loop {
            let plan = delete(&deletion, &cloud.actual, &Options::default());
            prop_assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
            let most = choice.below(plan.steps.len() + 2);
            if cloud.run_some(&plan.steps, most, |count| choice.below(count), |_, _| {}) {
                break;
            }
        }
        for account in &desired.accounts {
            prop_assert!(!cloud.actual.clusters[account.cluster].service_accounts.contains_key(&account.name));
        }
        prop_assert_eq!(
            Some(before.actual.role("strange")),
            Some(cloud.actual.role("strange"))
        );
    }

    #[test]
    fn an_update_changes_nothing_that_is_not_given(seed in 1_u64..) {
        let mut choice = Choice(seed);
        let options = Options { create_providers: true, ..Options::default() };
        let mut cloud = Cloud::new(&CLUSTERS.map(cluster));
        let mut whole = account("a");
        permissions(&mut choice, &mut whole);
        whole.labels = labels(&mut choice);
        let plan = planned(&desired(&[("blue", std::slice::from_ref(&whole))], Mode::Create), &cloud.actual, &options);
        let is_done = cloud.run_some(&plan.steps, usize::MAX, |_| 0, |_, _| {});
        prop_assert!(is_done);
        let mut other = account("a");
        permissions(&mut choice, &mut other);
        other.labels = labels(&mut choice);
        let mut given = ServiceAccount::new(whole.name.clone());
        let mut expected = whole.clone();
        macro_rules! give {
            ($($field:ident),*) => {$(
                if choice.chance(2) && other.$field.is_some() {
                    given.$field.clone_from(&other.$field);
                    expected.$field.clone_from(&other.$field);
                }
            )*};
        }
        give!(attach_policy_arns, attach_policy, well_known_policies, permissions_boundary, tags, labels);
        // What both name, one way or the other, is not told apart.
        let ebs = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy".parse().unwrap();
        prop_assume!(!whole.attach_policy_arns.as_ref().unwrap().contains(&ebs));
        let updating = Options { mode: Mode::Update, ..options };
        let update = desired(&[("blue", &[given])], Mode::Update);
        let plan = planned(&update, &cloud.actual, &updating);
        prop_assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
        let is_done = cloud.run_some(&plan.steps, usize::MAX, |count| choice.below(count), |_, _| {});
        prop_assert!(is_done);
        prop_assert!(planned(&update, &cloud.actual, &updating).is_empty());
        // It is what creating the sum of both makes.
        let plan = planned(&desired(&[("blue", &[expected])], Mode::Create), &cloud.actual, &options);
        prop_assert!(plan.is_empty(), "{:?}", plan.steps);
    }
}
