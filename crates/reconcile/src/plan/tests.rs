mod cloud;
mod delete;
mod order;
mod random;
mod whose;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::actual::Role;
use crate::desired::{Issuer, Request};
use crate::{MANAGED_BY_LABEL, ROLE_ARN_ANNOTATION, ServiceAccount};
use cloud::{Cloud, strange};

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;

fn cluster(name: &str) -> Cluster {
    let issuer = Issuer::parse(&format!("https://oidc.eks.us-west-2.amazonaws.com/id/{name}")).unwrap();
    Cluster::new(name, "us-west-2", "111122223333".parse().unwrap(), issuer)
}

fn account(name: &str) -> ServiceAccount {
    let mut account = ServiceAccount::new(ServiceAccountName::new("apps", name));
    account.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/One".parse().unwrap()]));
    account
}

fn desired(asked: &[(&str, &[ServiceAccount])], mode: Mode) -> Desired {
    let requests: Vec<Request> = asked
        .iter()
        .map(|(name, accounts)| Request {
            cluster: cluster(name),
            tags: BTreeMap::new(),
            accounts: accounts.to_vec(),
        })
        .collect();
    Desired::new(&requests, mode).unwrap()
}

fn cloud(names: &[&str]) -> Cloud {
    let clusters: Vec<Cluster> = names.iter().map(|name| cluster(name)).collect();
    let mut cloud = Cloud::new(&clusters);
    cloud.actual.providers = clusters
        .iter()
        .map(|cluster| crate::actual::Provider {
            arn: cluster.provider_arn(),
            client_ids: BTreeSet::from([crate::desired::AUDIENCE.to_owned()]),
        })
        .collect();
    cloud
}

fn all_steps(cloud: &mut Cloud, plan: &Plan) {
    assert_eq!(plan.refusals, []);
    assert!(cloud.run_some(&plan.steps, usize::MAX, |_| 0, |_, _| {}));
}

fn planned(desired: &Desired, actual: &Actual, options: &Options) -> Plan {
    plan(desired, actual, options)
}

fn kinds(plan: &Plan) -> Vec<RefusalKind> {
    plan.refusals.iter().map(|refusal| refusal.kind).collect()
}

fn adopting() -> Options {
    Options {
        adopt: true,
        ..Options::default()
    }
}

fn overriding() -> Options {
    Options {
        override_existing: true,
        ..Options::default()
    }
}

/// A role as a stack of eksctl's makes it.
fn stack_role(cluster_name: &str, account: &ServiceAccount) -> Role {
    let cluster = cluster(cluster_name);
    let name = format!("eksctl-{cluster_name}-addon-iamserviceaccount-Role1-AAAA");
    let issuer = cluster.issuer.resource();
    let subject = account.name.subject();
    Role {
        arn: cluster.role_arn(&name),
        trust: format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Federated":"{}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{issuer}:sub":"{subject}","{issuer}:aud":"sts.amazonaws.com"}}}}}}]}}"#,
            cluster.provider_arn()
        ),
        inline: BTreeMap::from([(format!("{name}-Policy1"), POLICY.to_owned())]),
        tags: BTreeMap::from([
            ("alpha.eksctl.io/cluster-name".to_owned(), cluster_name.to_owned()),
            (
                "alpha.eksctl.io/iamserviceaccount-name".to_owned(),
                account.name.to_string(),
            ),
            ("aws:cloudformation:stack-name".to_owned(), "eksctl-stack".to_owned()),
        ]),
        name,
        ..Role::default()
    }
}

#[test]
fn from_nothing_to_done_to_nothing_to_do() {
    let mut whole = account("a");
    whole.attach_policy = Some(POLICY.to_owned());
    whole.permissions_boundary = Some("arn:aws:iam::111122223333:policy/b".parse().unwrap());
    whole.tags = Some(BTreeMap::from([("team".to_owned(), "x".to_owned())]));
    whole.labels = Some(BTreeMap::from([("aws-usage".to_owned(), "app".to_owned())]));
    let desired = desired(&[("blue", &[whole])], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&desired, &cloud.actual, &Options::default());
    let shown: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{} {} after {:?}", step.id, step.action, step.after))
        .collect();
    let role = &desired.roles[0].name;
    assert_eq!(
        shown,
        [
            format!("0 create role {role} after []"),
            format!("1 write inline policy irsa-attachPolicy of role {role} after [0]"),
            format!("2 attach arn:aws:iam::aws:policy/One to role {role} after [0]"),
            "3 create namespace apps in blue after []".to_owned(),
            "4 apply service account apps/a in blue after [0, 1, 2, 3]".to_owned(),
        ]
    );
    assert_eq!(plan.accounts[0].state, State::Create);
    all_steps(&mut cloud, &plan);
    let made = &cloud.actual.roles[0];
    assert_eq!(made.tags["irsa/managed-by"], "irsa");
    assert_eq!(made.tags["irsa/cluster"], "us-west-2/blue");
    assert_eq!(made.tags["irsa/namespace"], "apps");
    assert_eq!(made.tags["irsa/name"], "a");
    let there = &cloud.actual.clusters[0].service_accounts[&ServiceAccountName::new("apps", "a")];
    assert_eq!(there.annotations[ROLE_ARN_ANNOTATION], made.arn);
    assert_eq!(there.labels[MANAGED_BY_LABEL], "irsa");
    let again = planned(&desired, &cloud.actual, &Options::default());
    assert!(again.is_empty(), "{:?}", again.steps);
    assert_eq!(again.accounts[0].state, State::Unchanged);
}

#[test]
fn every_kind_of_drift_is_shown_and_repaired() {
    let mut whole = account("a");
    whole.attach_policy = Some(POLICY.to_owned());
    whole.tags = Some(BTreeMap::from([("team".to_owned(), "x".to_owned())]));
    whole.labels = Some(BTreeMap::from([("usage".to_owned(), "app".to_owned())]));
    let desired = desired(&[("blue", &[whole])], Mode::Create);
    let mut right = cloud(&["blue"]);
    let plan = planned(&desired, &right.actual, &Options::default());
    all_steps(&mut right, &plan);
    let name = ServiceAccountName::new("apps", "a");
    type Drift = fn(&mut Role, &mut crate::actual::KubernetesAccount);
    let drifts: [(&str, Drift); 10] = [
        ("trust policy", |role, _| {
            role.trust = role.trust.replace("apps:a", "apps:*");
        }),
        ("inline policy irsa-attachPolicy", |role, _| {
            for text in role.inline.values_mut() {
                *text = text.replace("GetObject", "*");
            }
        }),
        ("inline policy other", |role, _| {
            role.inline.insert("other".into(), POLICY.into());
        }),
        ("managed policy", |role, _| role.attached.clear()),
        ("managed policy", |role, _| {
            role.attached
                .insert("arn:aws:iam::aws:policy/AdministratorAccess".into());
        }),
        ("permissions boundary", |role, _| {
            role.boundary = Some("arn:aws:iam::111122223333:policy/b".into());
        }),
        ("tag team", |role, _| drop(role.tags.insert("team".into(), "y".into()))),
        ("tag irsa/name", |role, _| drop(role.tags.remove("irsa/name"))),
        ("label usage", |_, account| drop(account.labels.remove("usage"))),
        ("annotation eks.amazonaws.com/role-arn", |_, account| {
            account
                .annotations
                .insert(ROLE_ARN_ANNOTATION.into(), "arn:aws:iam::111122223333:role/x".into());
        }),
    ];
    for (part, drift) in drifts {
        let mut cloud = right.clone();
        let account = cloud.actual.clusters[0].service_accounts.get_mut(&name).unwrap();
        drift(&mut cloud.actual.roles[0], account);
        let plan = planned(&desired, &cloud.actual, &Options::default());
        let parts: Vec<String> = plan.accounts[0]
            .changes
            .iter()
            .map(|change| change.part.to_string())
            .collect();
        assert!(parts.iter().any(|shown| shown == part), "{part}: {parts:?}");
        all_steps(&mut cloud, &plan);
        let end = planned(&desired, &cloud.actual, &Options::default());
        assert!(end.is_empty(), "{part}: {:?}", end.steps);
    }
}

#[test]
fn what_is_not_ours_is_not_touched() {
    let mut named = account("a");
    named.role_name = Some("theirs".to_owned());
    let desired = desired(&[("blue", &[named])], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    cloud.actual.clusters[0].namespaces.insert("apps".to_owned());
    let name = ServiceAccountName::new("apps", "a");
    cloud.actual.clusters[0]
        .service_accounts
        .insert(name.clone(), strange(Some("Helm")));
    cloud.actual.roles.push(Role {
        name: "Theirs".to_owned(),
        arn: "arn:aws:iam::111122223333:role/Theirs".to_owned(),
        trust: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}"#
            .to_owned(),
        ..Role::default()
    });
    let plan = planned(&desired, &cloud.actual, &Options::default());
    assert!(plan.is_empty());
    assert_eq!(
        kinds(&plan),
        [RefusalKind::ForeignRole, RefusalKind::ForeignServiceAccount]
    );
    assert_eq!(plan.accounts[0].state, State::Refused);

    let plan = planned(&desired, &cloud.actual, &overriding());
    all_steps(&mut cloud, &plan);
    let role = &cloud.actual.roles[0];
    assert_eq!(cloud.actual.roles.len(), 1);
    assert!(role.trust.contains(r#"{"AWS":"111122223333"}"#), "{}", role.trust);
    // What made it stays on it, or Helm would refuse it.
    let there = &cloud.actual.clusters[0].service_accounts[&name];
    assert_eq!(there.labels[MANAGED_BY_LABEL], "Helm");
    assert_eq!(there.annotations[ROLE_ARN_ANNOTATION], role.arn);
    let again = planned(&desired, &cloud.actual, &Options::default());
    assert_eq!(kinds(&again), []);
    assert!(again.is_empty(), "{:?}", again.steps);
}

#[test]
fn a_role_of_a_stack_is_adopted_with_what_it_has() {
    let mut asked = account("a");
    asked.attach_policy_arns = None;
    asked.attach_policy = Some(POLICY.to_owned());
    let desired = desired(&[("blue", std::slice::from_ref(&asked))], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    cloud.actual.clusters[0].namespaces.insert("apps".to_owned());
    let role = stack_role("blue", &asked);
    let mut there = strange(Some("eksctl"));
    there
        .annotations
        .insert(ROLE_ARN_ANNOTATION.to_owned(), role.arn.clone());
    cloud.actual.clusters[0]
        .service_accounts
        .insert(asked.name.clone(), there);
    cloud.actual.roles.push(role);
    let plan = planned(&desired, &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::ReferenceTool]);
    let plan = planned(&desired, &cloud.actual, &adopting());
    let shown: Vec<String> = plan.steps.iter().map(|step| step.action.to_string()).collect();
    let role = cloud.actual.roles[0].name.clone();
    assert_eq!(
        shown,
        [
            format!("tag role {role}"),
            "apply service account apps/a in blue".to_owned()
        ]
    );
    assert!(plan.accounts[0].notes[0].contains("eksctl's stack `eksctl-stack`"));
    all_steps(&mut cloud, &plan);
    let again = planned(&desired, &cloud.actual, &Options::default());
    assert!(again.is_empty() && again.refusals.is_empty(), "{again:?}");
    // The name that it has by its tags is its name from now on.
    assert_eq!(
        again.accounts[0].role_arn.as_deref(),
        Some(cloud.actual.roles[0].arn.as_str())
    );
}

#[test]
fn from_one_cluster_to_another() {
    let mut shared = account("a");
    shared.role_name = Some("shared".to_owned());
    let both = std::slice::from_ref(&shared);
    let mut cloud = cloud(&["blue", "green"]);
    let blue = desired(&[("blue", both)], Mode::Create);
    let plan = planned(&blue, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let two = desired(&[("blue", both), ("green", both)], Mode::Create);
    let plan = planned(&two, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles.len(), 1);
    assert_eq!(
        cloud.actual.roles[0].tags["irsa/cluster"], "us-west-2/blue",
        "it stays at home"
    );
    assert!(planned(&two, &cloud.actual, &Options::default()).is_empty());
    // The new cluster alone knows the role as its own, and leaves the old one's statement.
    let mut only_green = cloud.clone();
    only_green.actual.clusters.remove(0);
    let green = desired(&[("green", both)], Mode::Create);
    let plan = planned(&green, &only_green.actual, &Options::default());
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:?}");
    // A third, which it does not trust, does not get it unasked.
    let red = desired(&[("red", both)], Mode::Create);
    let mut other = self::cloud(&["red"]);
    other.actual.roles.clone_from(&cloud.actual.roles);
    let plan = planned(&red, &other.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::OtherOwner]);
    assert!(
        plan.refusals[0].message.contains("us-west-2/blue/apps/a"),
        "{}",
        plan.refusals[0]
    );
}

#[test]
fn quotas_are_counted_before_anything_is_sent() {
    let mut shared = account("a");
    shared.role_name = Some("shared".to_owned());
    let names: Vec<String> = (0..9).map(|number| format!("cluster-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let asked: Vec<(&str, &[ServiceAccount])> = names
        .iter()
        .map(|name| (*name, std::slice::from_ref(&shared)))
        .collect();
    let many = desired(&asked, Mode::Create);
    let plan = planned(&many, &cloud(&names).actual, &Options::default());
    assert!(plan.is_empty());
    assert!(kinds(&plan).iter().all(|kind| *kind == RefusalKind::Quota));
    assert!(
        plan.refusals[0]
            .message
            .starts_with("the characters of the trust policy (9 statements) of role `shared` would need "),
        "{}",
        plan.refusals[0]
    );
    let mut wide = account("b");
    wide.attach_policy_arns = Some(
        (0..11)
            .map(|n| format!("arn:aws:iam::aws:policy/P{n}").parse().unwrap())
            .collect(),
    );
    let wide = desired(&[("blue", &[wide])], Mode::Create);
    let plan = planned(&wide, &cloud(&["blue"]).actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::Quota]);
}

#[test]
fn update_changes_only_what_is_given() {
    let mut whole = account("a");
    whole.attach_policy = Some(POLICY.to_owned());
    whole.tags = Some(BTreeMap::from([("team".to_owned(), "x".to_owned())]));
    whole.labels = Some(BTreeMap::from([("usage".to_owned(), "app".to_owned())]));
    whole.permissions_boundary = Some("arn:aws:iam::111122223333:policy/b".parse().unwrap());
    let mut cloud = cloud(&["blue"]);
    let plan = planned(
        &desired(&[("blue", &[whole])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &plan);
    let mut given = account("a");
    given.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/Two".parse().unwrap()]));
    let missing = account("nobody");
    let updating = Options {
        mode: Mode::Update,
        ..Options::default()
    };
    let before = cloud.clone();
    let plan = planned(
        &desired(&[("blue", &[given, missing])], Mode::Update),
        &cloud.actual,
        &updating,
    );
    let shown: Vec<String> = plan.steps.iter().map(|step| step.action.to_string()).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(plan.accounts[1].state, State::Missing);
    assert_eq!(
        plan.accounts[1].notes,
        ["cannot update IAMServiceAccount apps/nobody as it does not exist"]
    );
    all_steps(&mut cloud, &plan);
    assert_eq!(
        cloud.actual.roles[0].attached,
        BTreeSet::from(["arn:aws:iam::aws:policy/Two".to_owned()])
    );
    cloud.actual.roles[0]
        .attached
        .clone_from(&before.actual.roles[0].attached);
    assert_eq!(cloud.actual, before.actual);
}

#[test]
fn a_provider_is_needed_or_made() {
    let desired = desired(&[("blue", &[account("a")])], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    cloud.actual.providers.clear();
    let plan = planned(&desired, &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::NoProvider]);
    assert!(
        plan.refusals[0]
            .help
            .contains("irsa utils associate-iam-oidc-provider --region=us-west-2 --cluster=blue")
    );
    let alone = associate(&desired.clusters, &cloud.actual);
    assert!(
        matches!(&alone.steps[..], [Step { action: Action::CreateProvider { url, .. }, .. }]
        if url == "https://oidc.eks.us-west-2.amazonaws.com/id/blue")
    );
    let creating = Options {
        create_providers: true,
        ..Options::default()
    };
    let plan = planned(&desired, &cloud.actual, &creating);
    assert!(matches!(plan.steps[0].action, Action::CreateProvider { .. }));
    all_steps(&mut cloud, &plan);
    // One that lacks the audience gets it.
    cloud.actual.providers[0].client_ids.clear();
    let plan = planned(&desired, &cloud.actual, &Options::default());
    // A role that needs no change is none to wait for.
    assert_eq!(plan.steps.len(), 1);
    all_steps(&mut cloud, &plan);
    assert!(planned(&desired, &cloud.actual, &Options::default()).is_empty());
}

#[test]
fn a_given_role_is_only_named() {
    let mut given = ServiceAccount::new(ServiceAccountName::new("apps", "a"));
    given.attach_role_arn = Some("arn:aws:iam::111122223333:role/theirs".parse().unwrap());
    let desired = desired(&[("blue", &[given])], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    // It needs no provider of ours.
    cloud.actual.providers.clear();
    let plan = planned(&desired, &cloud.actual, &Options::default());
    assert_eq!(
        plan.accounts[0].notes,
        ["role `arn:aws:iam::111122223333:role/theirs` is not there"]
    );
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles.is_empty());
    assert_eq!(cloud.calls, 2);
}

#[test]
fn five_hundred_accounts_and_then_nothing_to_do() {
    let accounts: Vec<ServiceAccount> = (0..500)
        .map(|number| {
            let mut account = account(&format!("account-{number}"));
            account.attach_policy = Some(POLICY.to_owned());
            account
        })
        .collect();
    let desired = desired(&[("blue", &accounts)], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&desired, &cloud.actual, &Options::default());
    assert_eq!(plan.steps.len(), 4 * 500 + 1);
    for step in &plan.steps {
        cloud.run(step);
    }
    assert!(planned(&desired, &cloud.actual, &Options::default()).is_empty());
}

#[test]
fn who_leaves_out_what_is_refused_gets_the_rest() {
    let mut desired = desired(&[("blue", &[account("a"), account("b")])], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    cloud.actual.clusters[0].namespaces.insert("apps".to_owned());
    let strange = strange(None);
    cloud.actual.clusters[0]
        .service_accounts
        .insert(ServiceAccountName::new("apps", "a"), strange.clone());
    let plan = planned(&desired, &cloud.actual, &Options::default());
    let refused: Vec<ServiceAccountName> = plan.refusals.iter().map(|refusal| refusal.account.clone()).collect();
    assert_eq!(
        crate::render::excluded(&refused).unwrap(),
        "1 existing iamserviceaccount(s) (apps/a) will be excluded"
    );
    desired.retain(|_, name| !refused.contains(name));
    let plan = planned(&desired, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles.len(), 1);
    let accounts = &cloud.actual.clusters[0].service_accounts;
    assert_eq!(accounts[&ServiceAccountName::new("apps", "a")], strange);
    assert!(accounts.contains_key(&ServiceAccountName::new("apps", "b")));
}

#[test]
fn an_account_that_moves_is_told_of_where_it_was() {
    let shared = |name: &str| {
        let mut account = account(name);
        account.role_name = Some("shared".to_owned());
        account
    };
    let mut cloud = cloud(&["blue"]);
    let plan = planned(
        &desired(&[("blue", &[shared("a"), shared("b")])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &plan);
    let moved = desired(&[("blue", &[account("a"), shared("b")])], Mode::Create);
    let plan = planned(&moved, &cloud.actual, &Options::default());
    let notes = &plan.accounts[1].notes;
    assert!(
        notes[0].contains("still trusts `apps/a` of cluster `blue`"),
        "{notes:?}"
    );
    assert!(
        plan.accounts[0].notes[0].contains("pods that run keep role"),
        "{:?}",
        plan.accounts[0].notes
    );
    all_steps(&mut cloud, &plan);
    assert!(
        cloud.actual.role("shared").unwrap().trust.contains("apps:a"),
        "its pods run on"
    );
    assert_eq!(cloud.actual.role("shared").unwrap().tags["irsa/name"], "b");
    assert!(planned(&moved, &cloud.actual, &Options::default()).is_empty());
}

#[test]
fn a_tag_that_is_no_longer_wanted_goes_and_those_of_others_stay() {
    let with = |tags: &[(&str, &str)]| {
        let mut account = account("a");
        account.tags = Some(
            tags.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        );
        desired(&[("blue", &[account])], Mode::Create)
    };
    let mut cloud = cloud(&["blue"]);
    let plan = planned(
        &with(&[("Team", "x"), ("stage", "y")]),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &plan);
    cloud.actual.roles[0].tags.insert("theirs".to_owned(), "z".to_owned());
    // IAM keeps the case that it saw first, and cares for it no further.
    let plan = planned(&with(&[("team", "x")]), &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let keys: Vec<&String> = cloud.actual.roles[0]
        .tags
        .keys()
        .filter(|key| !key.starts_with("irsa/"))
        .collect();
    assert_eq!(keys, ["Team", "theirs"]);
    let plan = planned(&with(&[]), &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let keys: Vec<&String> = cloud.actual.roles[0]
        .tags
        .keys()
        .filter(|key| !key.starts_with("irsa/"))
        .collect();
    assert_eq!(keys, ["theirs"]);
    assert!(!cloud.actual.roles[0].tags.contains_key("irsa/tags"));
}

#[test]
fn clusters_of_one_name_in_two_regions_are_two() {
    let west = cluster("prod");
    let mut east = Cluster::new("prod", "us-east-1", west.account, cluster("east").issuer);
    east.issuer = Issuer::parse("https://oidc.eks.us-east-1.amazonaws.com/id/E").unwrap();
    let clusters = [west, east, cluster("test")];
    assert_eq!(labels(&clusters), ["us-west-2/prod", "us-east-1/prod", "test"]);
    let mut shared = account("a");
    shared.role_name = Some("shared".to_owned());
    let requests = clusters.clone().map(|cluster| Request {
        cluster,
        tags: BTreeMap::new(),
        accounts: vec![shared.clone()],
    });
    let desired = Desired::new(&requests, Mode::Create).unwrap();
    let mut cloud = Cloud::new(&clusters);
    let creating = Options {
        create_providers: true,
        ..Options::default()
    };
    let plan = planned(&desired, &cloud.actual, &creating);
    let named: Vec<&str> = plan.accounts.iter().map(|account| account.cluster.as_str()).collect();
    assert_eq!(named, ["us-west-2/prod", "us-east-1/prod", "test"]);
    all_steps(&mut cloud, &plan);
    for cluster in &cloud.actual.clusters {
        assert_eq!(cluster.service_accounts.len(), 1);
    }
    // And one of them goes.
    let deletion = Deletion {
        clusters: clusters.to_vec(),
        accounts: vec![(1, shared.name.clone())],
    };
    let plan = delete(&deletion, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let left: Vec<usize> = cloud
        .actual
        .clusters
        .iter()
        .map(|cluster| cluster.service_accounts.len())
        .collect();
    assert_eq!(left, [1, 0, 1]);
    let [first, ..] = requests;
    let twice = Desired::new(&[first.clone(), first], Mode::Create).unwrap_err();
    assert_eq!(
        twice[0].message,
        "cluster `prod` of region `us-west-2` is asked for twice"
    );
}

#[test]
fn an_update_without_a_pattern_leaves_the_pattern() {
    let mut whole = account("a");
    whole.subject_pattern = Some("a-*".to_owned());
    let mut cloud = cloud(&["blue"]);
    let plan = planned(
        &desired(&[("blue", std::slice::from_ref(&whole))], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &plan);
    let before = cloud.actual.roles[0].trust.clone();
    let updating = Options {
        mode: Mode::Update,
        ..Options::default()
    };
    let update = |given: &ServiceAccount| desired(&[("blue", std::slice::from_ref(given))], Mode::Update);
    let mut given = account("a");
    given.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/Two".parse().unwrap()]));
    let plan = planned(&update(&given), &cloud.actual, &updating);
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles[0].trust, before);
    // What is given is changed, and what is lost comes again.
    given.subject_pattern = Some("b-*".to_owned());
    let plan = planned(&update(&given), &cloud.actual, &updating);
    all_steps(&mut cloud, &plan);
    let trust = &cloud.actual.roles[0].trust;
    assert!(trust.contains("apps:b-*") && !trust.contains("apps:a-*"), "{trust}");
    given.subject_pattern = None;
    cloud.actual.roles[0].trust = trust.replace(":sub", ":amr");
    let plan = planned(&update(&given), &cloud.actual, &updating);
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles[0].trust.contains("apps:a\""));
}

#[test]
fn who_is_left_out_gets_nothing_of_a_shared_role_and_loses_nothing() {
    let shared = |name: &str| {
        let mut account = account(name);
        account.role_name = Some("shared".to_owned());
        account
    };
    let all = [shared("a"), shared("b")];
    let mut some = desired(&[("blue", &all)], Mode::Create);
    some.retain(|_, name| name.name == "a");
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&some, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert!(
        !cloud.actual.roles[0].trust.contains("apps:b"),
        "{}",
        cloud.actual.roles[0].trust
    );
    let plan = planned(
        &desired(&[("blue", &all)], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles[0].trust.contains("apps:b"));
    assert!(planned(&some, &cloud.actual, &Options::default()).is_empty());
}

#[test]
fn a_principal_that_is_gone_is_found_before_iam_refuses_it() {
    let named = {
        let mut account = account("a");
        account.role_name = Some("r".to_owned());
        account
    };
    let wanted = desired(&[("blue", std::slice::from_ref(&named))], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let gone = r#""Statement":[{"Effect":"Allow","Principal":{"AWS":["111122223333","AROAEXAMPLE1234567890"]},"Action":"sts:AssumeRole"},"#;
    let role = &mut cloud.actual.roles[0];
    role.trust = role.trust.replace(r#""Statement":["#, gone);
    // As long as nothing is to change it harms nobody.
    assert!(planned(&wanted, &cloud.actual, &Options::default()).is_empty());
    cloud.actual.roles[0].trust = cloud.actual.roles[0].trust.replace("apps:a\"", "apps:*\"");
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::Trust]);
    assert!(
        plan.refusals[0]
            .message
            .contains("`AROAEXAMPLE1234567890`, which is gone")
    );
    cloud.actual.roles[0].trust = cloud.actual.roles[0].trust.replace("apps:*\"", "apps:a\"");
    let deletion = Deletion {
        clusters: vec![cluster("blue")],
        accounts: vec![(0, named.name)],
    };
    let plan = delete(&deletion, &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::Trust]);
}
