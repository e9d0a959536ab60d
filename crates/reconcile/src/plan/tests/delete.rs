use super::*;
use crate::plan::{Deletion, delete};

fn deletion(accounts: &[(usize, &str)], clusters: &[&str]) -> Deletion {
    Deletion {
        clusters: clusters.iter().map(|name| cluster(name)).collect(),
        accounts: accounts
            .iter()
            .map(|(cluster, name)| (*cluster, ServiceAccountName::new("apps", *name)))
            .collect(),
    }
}

#[test]
fn all_that_was_made_goes_and_nothing_else() {
    let mut cloud = cloud(&["blue"]);
    let mut whole = account("a");
    whole.attach_policy = Some(POLICY.to_owned());
    let plan = plan(
        &desired(&[("blue", &[whole, account("b")])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &plan);
    let one = deletion(&[(0, "a"), (0, "gone")], &["blue"]);
    let plan = delete(&one, &cloud.actual, &Options::default());
    assert_eq!(plan.accounts[0].state, State::Delete);
    assert_eq!(plan.accounts[1].state, State::Missing);
    assert_eq!(
        plan.accounts[1].notes,
        ["serviceaccount \"apps/gone\" was already deleted"]
    );
    // Cut off anywhere, it goes on.
    for most in 0..plan.steps.len() {
        let mut cut = cloud.clone();
        cut.run_some(&plan.steps, most, |_| 0, |_, _| {});
        let rest = delete(&one, &cut.actual, &Options::default());
        all_steps(&mut cut, &rest);
        assert_eq!(cut.actual.roles.len(), 1, "cut after {most}");
        assert_eq!(cut.actual.roles[0].tags["irsa/name"], "b");
        assert_eq!(cut.actual.clusters[0].service_accounts.len(), 1);
        assert!(delete(&one, &cut.actual, &Options::default()).is_empty());
    }
}

#[test]
fn a_shared_role_stays_for_those_who_remain() {
    let mut shared = account("a");
    shared.role_name = Some("shared".to_owned());
    let both = std::slice::from_ref(&shared);
    let mut cloud = cloud(&["blue", "green"]);
    let made = plan(
        &desired(&[("blue", both), ("green", both)], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    all_steps(&mut cloud, &made);
    let blue = deletion(&[(0, "a")], &["blue", "green"]);
    let gone = delete(&blue, &cloud.actual, &Options::default());
    assert!(
        gone.accounts[0].notes[0].contains("stays: 1 statements"),
        "{:?}",
        gone.accounts[0].notes
    );
    all_steps(&mut cloud, &gone);
    let role = &cloud.actual.roles[0];
    assert!(
        !role.trust.contains("/id/blue") && role.trust.contains("/id/green"),
        "{}",
        role.trust
    );
    assert!(!role.tags.contains_key("irsa/cluster"));
    // It is at home with the other one from now on.
    let rest = desired(&[("blue", &[]), ("green", both)], Mode::Create);
    let plan = planned(&rest, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert_eq!(cloud.actual.roles[0].tags["irsa/cluster"], "us-west-2/green");
    let green = deletion(&[(1, "a")], &["blue", "green"]);
    let plan = delete(&green, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles.is_empty());
}

#[test]
fn what_others_made_stays() {
    let mut cloud = cloud(&["blue"]);
    let name = ServiceAccountName::new("apps", "a");
    cloud.actual.clusters[0].namespaces.insert("apps".to_owned());
    cloud.actual.clusters[0]
        .service_accounts
        .insert(name.clone(), strange(None));
    let one = deletion(&[(0, "a")], &["blue"]);
    let plan = delete(&one, &cloud.actual, &Options::default());
    assert!(plan.is_empty());
    assert_eq!(
        plan.accounts[0].notes,
        ["serviceaccount \"apps/a\" was not created by irsa; will not be deleted"]
    );
    // What we put onto it goes.
    let made = planned(
        &desired(&[("blue", &[account("a")])], Mode::Create),
        &cloud.actual,
        &overriding(),
    );
    all_steps(&mut cloud, &made);
    let plan = delete(&one, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles.is_empty());
    assert_eq!(cloud.actual.clusters[0].service_accounts[&name], strange(None));
    // A stack of eksctl's is asked about.
    cloud.actual.roles.push(stack_role("blue", &account("a")));
    let plan = delete(&one, &cloud.actual, &Options::default());
    assert_eq!(kinds(&plan), [RefusalKind::ReferenceTool]);
    let plan = delete(&one, &cloud.actual, &adopting());
    all_steps(&mut cloud, &plan);
    assert!(cloud.actual.roles.is_empty());
}
