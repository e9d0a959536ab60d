//! Whose roles are: nobody else's is changed or deleted, by whatever way.

use super::*;
use crate::plan::{Deletion, delete};

fn updating() -> Options {
    Options {
        mode: Mode::Update,
        ..Options::default()
    }
}

fn made(cloud: &mut Cloud, accounts: &[ServiceAccount]) {
    let plan = planned(
        &desired(&[("blue", accounts)], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(cloud, &plan);
}

fn shared(name: &str) -> ServiceAccount {
    let mut account = account(name);
    account.role_name = Some("Shared".to_owned());
    account
}

#[test]
fn a_copy_of_a_role_with_all_its_tags_is_not_taken_for_it() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[account("a")]);
    let mut role = cloud.actual.roles[0].clone();
    // The role has a name of its own, as one that was adopted has.
    for role in &mut cloud.actual.roles {
        role.name = "eksctl-x".to_owned();
        role.arn = "arn:aws:iam::111122223333:role/eksctl-x".to_owned();
    }
    for account in cloud.actual.clusters[0].service_accounts.values_mut() {
        account
            .annotations
            .insert(ROLE_ARN_ANNOTATION.to_owned(), cloud.actual.roles[0].arn.clone());
    }
    role.name = "copy".to_owned();
    role.arn = "arn:aws:iam::111122223333:role/copy".to_owned();
    role.attached.clear();
    cloud.actual.roles.insert(0, role);
    let plan = planned(
        &desired(&[("blue", &[account("a")])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    assert!(plan.is_empty(), "{:?}", plan.steps);
    assert!(plan.accounts[0].notes[0].contains("`copy` was made for this account, too"));
}

#[test]
fn tags_in_another_case_say_the_same() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[account("a")]);
    let role = &mut cloud.actual.roles[0];
    role.tags = std::mem::take(&mut role.tags)
        .into_iter()
        .map(|(key, value)| (key.to_uppercase(), value))
        .collect();
    let plan = planned(
        &desired(&[("blue", &[account("a")])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:?}");
}

#[test]
fn an_update_finds_the_role_that_is_shared() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[shared("a"), shared("b")]);
    let mut given = account("b");
    given.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/Two".parse().unwrap()]));
    let update = desired(&[("blue", &[given])], Mode::Update);
    let plan = planned(&update, &cloud.actual, &updating());
    assert_eq!(plan.accounts[0].state, State::Change);
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles.len(), 1);
    assert!(cloud.actual.roles[0].attached.contains("arn:aws:iam::aws:policy/Two"));
    // One that only names a role of somebody else's has none.
    cloud.actual.roles[0].tags.clear();
    let plan = planned(&update, &cloud.actual, &updating());
    assert_eq!(plan.accounts[0].state, State::Missing);
    assert!(plan.is_empty());
}

#[test]
fn an_update_replaces_what_the_stack_called_otherwise() {
    let mut asked = account("a");
    asked.attach_policy_arns = None;
    asked.attach_policy = Some(POLICY.to_owned());
    let mut cloud = cloud(&["blue"]);
    let mut role = stack_role("blue", &asked);
    role.inline = BTreeMap::from([
        ("eksctl-stack-Policy1".to_owned(), POLICY.to_owned()),
        (
            "eksctl-stack-PolicyAutoScaling".to_owned(),
            POLICY.replace("GetObject", "Scale"),
        ),
        ("eksctl-stacks-Policy1".to_owned(), POLICY.replace("GetObject", "Other")),
    ]);
    cloud.actual.roles.push(role);
    let mut given = ServiceAccount::new(asked.name.clone());
    given.attach_policy = Some(POLICY.replace("GetObject", "PutObject"));
    let options = Options {
        adopt: true,
        ..updating()
    };
    let plan = planned(
        &desired(&[("blue", &[given.clone()])], Mode::Update),
        &cloud.actual,
        &options,
    );
    all_steps(&mut cloud, &plan);
    let names = |cloud: &Cloud| cloud.actual.roles[0].inline.keys().cloned().collect::<Vec<String>>();
    assert_eq!(
        names(&cloud),
        [
            "eksctl-stack-PolicyAutoScaling",
            "eksctl-stacks-Policy1",
            "irsa-attachPolicy"
        ]
    );
    given.attach_policy = None;
    given.well_known_policies = Some(BTreeSet::new());
    let plan = planned(
        &desired(&[("blue", &[given])], Mode::Update),
        &cloud.actual,
        &updating(),
    );
    all_steps(&mut cloud, &plan);
    assert_eq!(names(&cloud), ["eksctl-stacks-Policy1", "irsa-attachPolicy"]);
}

#[test]
fn roles_of_services_are_not_taken_by_force() {
    let mut named = account("a");
    named.role_name = Some("AWSServiceRoleForSupport".to_owned());
    let mut cloud = cloud(&["blue"]);
    cloud.actual.roles.push(Role {
        name: "AWSServiceRoleForSupport".to_owned(),
        arn: "arn:aws:iam::111122223333:role/aws-service-role/support.amazonaws.com/AWSServiceRoleForSupport".to_owned(),
        trust: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"support.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#.to_owned(),
        ..Role::default()
    });
    let plan = planned(
        &desired(&[("blue", &[named])], Mode::Create),
        &cloud.actual,
        &overriding(),
    );
    assert_eq!(kinds(&plan), [RefusalKind::ForeignRole]);
}

#[test]
fn whoever_uses_a_role_by_a_pattern_does_not_lose_it() {
    let mut pattern = account("a");
    pattern.subject_pattern = Some("job-?".to_owned());
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, std::slice::from_ref(&pattern));
    let arn = cloud.actual.roles[0].arn.clone();
    let mut job = strange(None);
    job.annotations.insert(ROLE_ARN_ANNOTATION.to_owned(), arn);
    let name = ServiceAccountName::new("apps", "job-1");
    cloud.actual.clusters[0].service_accounts.insert(name.clone(), job);
    let mut deletion = Deletion {
        clusters: vec![cluster("blue")],
        accounts: vec![(0, pattern.name)],
    };
    let plan = delete(&deletion, &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::OtherOwner]);
    assert!(plan.refusals[0].message.contains("`apps/job-1` of cluster `blue`"));
    // Not if it goes, too, or if it is none of the pattern's.
    deletion.accounts.push((0, name.clone()));
    assert_eq!(kinds(&delete(&deletion, &cloud.actual, &Options::default())), []);
    deletion.accounts.pop();
    let other = cloud.actual.clusters[0].service_accounts.remove(&name).unwrap();
    let none_of_them = ServiceAccountName::new("apps", "job-10");
    cloud.actual.clusters[0].service_accounts.insert(none_of_them, other);
    assert_eq!(kinds(&delete(&deletion, &cloud.actual, &Options::default())), []);
}

#[test]
fn who_stands_in_a_trust_policy_by_somebodys_hand_is_not_missing_from_a_file() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[account("a")]);
    let role = &mut cloud.actual.roles[0];
    let statement = role.trust[role.trust.find("{\"Effect\"").unwrap()..]
        .strip_suffix("]}")
        .unwrap();
    role.trust = role.trust.replace(
        "\"Statement\":[",
        &format!("\"Statement\":[{},", statement.replace("apps:a", "apps:theirs")),
    );
    let ours = crate::list::ours(&cluster("blue"), 0, &cloud.actual);
    assert_eq!(ours, BTreeSet::from([ServiceAccountName::new("apps", "a")]));
    let role_of_stack = stack_role("blue", &account("s"));
    cloud.actual.roles.push(role_of_stack);
    assert_eq!(crate::list::ours(&cluster("blue"), 0, &cloud.actual).len(), 2);
    assert_eq!(crate::list::ours(&cluster("green"), 1, &cloud.actual), BTreeSet::new());
}

#[test]
fn what_differs_only_in_case_is_no_difference() {
    let mut cloud = cloud(&["blue"]);
    let mut bounded = account("a");
    bounded.permissions_boundary = Some("arn:aws:iam::111122223333:policy/Bound".parse().unwrap());
    made(&mut cloud, std::slice::from_ref(&bounded));
    bounded.permissions_boundary = Some("arn:aws:iam::111122223333:policy/bound".parse().unwrap());
    bounded.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/ONE".parse().unwrap()]));
    bounded.role_name = Some(cloud.actual.roles[0].name.to_uppercase());
    let plan = planned(
        &desired(&[("blue", &[bounded])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:?}");
}

#[test]
fn what_is_there_has_room() {
    let mut cloud = cloud(&["blue"]);
    let mut wide = account("a");
    wide.attach_policy_arns = Some(
        (0..12)
            .map(|n| format!("arn:aws:iam::aws:policy/P{n}").parse().unwrap())
            .collect(),
    );
    let wanted = desired(&[("blue", std::slice::from_ref(&wide))], Mode::Create);
    let mut raised = Options::default();
    raised.quotas.attached_policies = 20;
    cloud.quotas = raised.quotas;
    let plan = planned(&wanted, &cloud.actual, &raised);
    all_steps(&mut cloud, &plan);
    let role = &mut cloud.actual.roles[0];
    for number in 0..60 {
        role.tags.insert(format!("aws:cloudformation:{number}"), "x".to_owned());
    }
    // Who may not ask for the quotas takes the usual ones for true.
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:?}");
}

#[test]
fn a_given_role_with_a_path_is_named_as_it_is() {
    let mut given = ServiceAccount::new(ServiceAccountName::new("apps", "a"));
    given.attach_role_arn = Some("arn:aws:iam::111122223333:role/theirs".parse().unwrap());
    let mut cloud = cloud(&["blue"]);
    cloud.actual.roles.push(Role {
        name: "theirs".to_owned(),
        arn: "arn:aws:iam::111122223333:role/team/theirs".to_owned(),
        ..Role::default()
    });
    let plan = planned(
        &desired(&[("blue", &[given])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    assert_eq!(
        plan.accounts[0].notes,
        [
            "role `arn:aws:iam::111122223333:role/theirs` is not there: the one of its name is `arn:aws:iam::111122223333:role/team/theirs`"
        ]
    );
}

#[test]
fn policies_of_other_aws_accounts_are_found_at_once() {
    let mut foreign = account("a");
    foreign.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::444455556666:policy/x".parse().unwrap()]));
    foreign.permissions_boundary = Some("arn:aws:iam::444455556666:policy/y".parse().unwrap());
    let request = Request {
        cluster: cluster("blue"),
        tags: BTreeMap::new(),
        accounts: vec![foreign],
    };
    let problems = Desired::new(&[request], Mode::Create).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0]
            .message
            .contains("is of another AWS account than the role, which is of 111122223333")
    );
}

#[test]
fn a_stranger_in_a_trust_policy_is_spoken_of() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[account("a")]);
    let role = &mut cloud.actual.roles[0];
    role.trust = role.trust.replace("apps:a\"", "default:anybody\"");
    let wanted = desired(&[("blue", &[account("a")])], Mode::Create);
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert!(plan.is_empty());
    let notes = &plan.accounts[0].notes;
    assert!(
        notes[0].contains("has 1 statement that none of these accounts asks for, which stay: `system:serviceaccount:default:anybody` of cluster `blue`"),
        "{notes:?}"
    );
    assert!(crate::render::text(&plan).contains("default:anybody"));
}

#[test]
fn two_that_are_wanted_are_not_one_that_is_there() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[shared("a"), shared("b"), shared("c")]);
    let mut first = account("b");
    first.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/Two".parse().unwrap()]));
    let plan = planned(
        &desired(&[("blue", &[first, account("c")])], Mode::Update),
        &cloud.actual,
        &updating(),
    );
    assert_eq!(kinds(&plan), [RefusalKind::OtherOwner]);
    assert!(
        plan.refusals[0]
            .message
            .contains("its role is `Shared`, and that of `apps/b` is the same")
    );
}

#[test]
fn a_new_shared_role_is_not_at_home_with_who_is_left_out() {
    let all = [shared("a"), shared("b")];
    let mut some = desired(
        &[("blue", std::slice::from_ref(&all[0])), ("green", &all[1..])],
        Mode::Create,
    );
    some.retain(|_, name| name.name == "b");
    let mut cloud = cloud(&["blue", "green"]);
    // Nobody asks for anything of the other cluster.
    cloud.actual.providers.remove(0);
    let plan = planned(&some, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles[0].tags["irsa/cluster"], "us-west-2/green");
    assert_eq!(cloud.actual.roles[0].tags["irsa/name"], "b");
}

#[test]
fn a_label_that_was_copied_makes_no_account_ours() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[account("a")]);
    let name = |name: &str| ServiceAccountName::new("apps", name);
    let restored = {
        // As a backup brings it again.
        let mut account = cloud.actual.clusters[0].service_accounts[&name("a")].clone();
        account.owned_labels.clear();
        account.owned_annotations.clear();
        account
    };
    let mut copied = strange(None);
    copied.labels.insert(MANAGED_BY_LABEL.to_owned(), "irsa".to_owned());
    let accounts = &mut cloud.actual.clusters[0].service_accounts;
    accounts.insert(name("copied"), copied);
    accounts.insert(name("restored"), restored);
    let ours = crate::list::ours(&cluster("blue"), 0, &cloud.actual);
    assert_eq!(ours, BTreeSet::from([name("a"), name("restored")]));
}

#[test]
fn a_pattern_for_everybody_is_warned_of() {
    for (pattern, is_warned) in [("*", true), ("?*", true), ("a*", false), ("??", false)] {
        let mut open = account("a");
        open.subject_pattern = Some(pattern.to_owned());
        let plan = planned(
            &desired(&[("blue", &[open])], Mode::Create),
            &cloud(&["blue"]).actual,
            &Options::default(),
        );
        let notes = &plan.accounts[0].notes;
        let warned = notes
            .iter()
            .any(|note| note.contains("lets every service account of namespace `apps`"));
        assert_eq!(warned, is_warned, "{pattern}: {notes:?}");
    }
}

#[test]
fn a_role_that_was_only_borrowed_is_given_back() {
    let mut named = account("a");
    named.role_name = Some("foreign".to_owned());
    let mut cloud = cloud(&["blue"]);
    let theirs = crate::trust::statement(&role::trusted(
        &cluster("blue"),
        &desired(&[("blue", &[account("eign")])], Mode::Create).roles[0].bindings[0],
    ));
    let before = Role {
        name: "foreign".to_owned(),
        arn: "arn:aws:iam::111122223333:role/foreign".to_owned(),
        trust: format!(r#"{{"Version":"2012-10-17","Statement":[{theirs}]}}"#),
        ..Role::default()
    };
    cloud.actual.roles.push(before.clone());
    let wanted = desired(&[("blue", std::slice::from_ref(&named))], Mode::Create);
    let plan = planned(&wanted, &cloud.actual, &overriding());
    all_steps(&mut cloud, &plan);
    assert!(planned(&wanted, &cloud.actual, &Options::default()).is_empty());
    let taken = cloud.clone();
    let deletion = |name: &str| Deletion {
        clusters: vec![cluster("blue")],
        accounts: vec![(0, ServiceAccountName::new("apps", name))],
    };
    let plan = delete(&deletion("a"), &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles[0].trust, before.trust);
    assert_eq!(cloud.actual.roles[0].tags, before.tags);
    for only in ["a", "eign"] {
        assert!(delete(&deletion(only), &cloud.actual, &Options::default()).is_empty());
    }
    // Even while it is borrowed it does not go unasked.
    let mut cloud = taken;
    cloud.actual.roles[0].trust = before.trust.replace("apps:eign", "apps:a");
    let plan = delete(&deletion("a"), &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::ForeignRole]);
    let plan = delete(&deletion("a"), &cloud.actual, &overriding());
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles.is_empty());
}

#[test]
fn a_thousand_accounts_are_deleted_in_no_time() {
    let accounts: Vec<ServiceAccount> = (0..1000).map(|number| account(&format!("account-{number}"))).collect();
    let mut cloud = cloud(&["blue"]);
    let plan = planned(
        &desired(&[("blue", &accounts)], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    for step in &plan.steps {
        cloud.run(step);
    }
    let deletion = Deletion {
        clusters: vec![cluster("blue")],
        accounts: accounts.into_iter().map(|account| (0, account.name)).collect(),
    };
    let begun = std::time::Instant::now();
    let plan = delete(&deletion, &cloud.actual, &Options::default());
    assert_eq!(plan.steps.len(), 3000);
    // A merge for each pair takes minutes.
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn who_comes_back_finds_the_role_that_stayed_for_others() {
    let mut cloud = cloud(&["blue"]);
    made(&mut cloud, &[account("a")]);
    // Somebody else's statement keeps the role.
    let role = &mut cloud.actual.roles[0];
    let root = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}"#;
    role.trust = role
        .trust
        .replace("\"Statement\":[", &format!("\"Statement\":[{root},"));
    let deletion = Deletion {
        clusters: vec![cluster("blue")],
        accounts: vec![(0, ServiceAccountName::new("apps", "a"))],
    };
    let plan = delete(&deletion, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles.len(), 1);
    // For an account of another name it is still somebody else's.
    let mut other = account("b");
    other.role_name = Some(cloud.actual.roles[0].name.clone());
    let refused = planned(
        &desired(&[("blue", &[other])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    assert_eq!(kinds(&refused), [RefusalKind::OtherOwner]);
    assert!(
        refused.refusals[0].message.contains("has let go of it"),
        "{}",
        refused.refusals[0].message
    );
    made(&mut cloud, &[account("a")]);
    assert_eq!(cloud.actual.roles.len(), 1);
    let role = &cloud.actual.roles[0];
    assert_eq!(role.tags["irsa/name"], "a");
    assert!(
        role.trust.contains("system:serviceaccount:apps:a") && role.trust.contains(":root"),
        "{}",
        role.trust
    );
}
