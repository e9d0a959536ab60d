//! What is allowed before and after is allowed in between, as far as the quotas let it.

use super::*;

#[test]
fn ten_policies_are_exchanged_for_ten_others() {
    let with = |prefix: &str| {
        let mut account = account("a");
        let arns = (0..10).map(|n| format!("arn:aws:iam::aws:policy/{prefix}{n}").parse().unwrap());
        account.attach_policy_arns = Some(arns.collect());
        desired(&[("blue", &[account])], Mode::Create)
    };
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&with("old"), &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let plan = planned(&with("new"), &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    assert!(
        plan.accounts[0]
            .notes
            .iter()
            .any(|note| note.contains("10 of them go before")),
        "{:?}",
        plan.accounts[0].notes
    );
    assert!(planned(&with("new"), &cloud.actual, &Options::default()).is_empty());
}

/// A permission that moves from one inline policy to the other, and another one that moves back.
#[test]
fn a_statement_that_moves_between_policies_is_never_gone() {
    let with = |action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:{action}","Resource":"*"}}]}}"#
        )
    };
    let mut whole = account("a");
    whole.attach_policy = Some(with("A1"));
    whole.well_known_policies = Some(BTreeSet::from([crate::well_known::WellKnownPolicy::AutoScaler]));
    let mut desired = desired(&[("blue", &[whole])], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&desired, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    // A later version of the well-known policy, as it were.
    desired.roles[0].permissions.inline = Some(Some(with("A2")));
    desired.roles[0].permissions.well_known = Some(vec![crate::well_known::Expansion::Inline {
        name: "irsa-autoScaler",
        document: with("A1"),
    }]);
    cloud.actual.roles[0]
        .inline
        .insert("irsa-autoScaler".to_owned(), with("A2"));
    let plan = planned(&desired, &cloud.actual, &Options::default());
    for seed in 0..16_usize {
        let mut cloud = cloud.clone();
        let mut turn = seed;
        let is_done = cloud.run_some(
            &plan.steps,
            usize::MAX,
            |count| {
                turn = turn.wrapping_mul(31).wrapping_add(7);
                (turn >> 2) % count
            },
            |cloud, step| {
                for action in ["s3:A1", "s3:A2"] {
                    assert!(
                        cloud.allows(&cloud.actual.roles[0], action),
                        "{action} is lost after {}",
                        step.action
                    );
                }
            },
        );
        assert!(is_done);
        assert!(planned(&desired, &cloud.actual, &Options::default()).is_empty());
    }
}

#[test]
fn inline_policies_that_have_no_room_beside_each_other() {
    let large = |letter: &str, count: usize| {
        let resources: Vec<String> = (0..count)
            .map(|number| format!("arn:aws:s3:::{letter}{number:036}/*"))
            .collect();
        let statement = serde_json::json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources});
        serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let with = |text: String| {
        let mut account = account("a");
        account.attach_policy = Some(text);
        desired(&[("blue", &[account])], Mode::Create)
    };
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&with(large("a", 80)), &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    let drift = &mut cloud.actual.roles[0];
    drift.inline.insert("drift".to_owned(), large("d", 90));
    drift.attached.insert("arn:aws:iam::aws:policy/Drift".to_owned());
    let wanted = with(large("b", 150));
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert!(
        plan.accounts[0].notes.iter().any(|note| note.contains("no room")),
        "{:?}",
        plan.accounts[0].notes
    );
    // Whatever the order: what is attached goes last.
    for last in [false, true] {
        let mut cloud = cloud.clone();
        let mut order = Vec::new();
        let is_done = cloud.run_some(
            &plan.steps,
            usize::MAX,
            |count| if last { count - 1 } else { 0 },
            |_, step| order.push(step.action.to_string()),
        );
        assert!(is_done);
        assert!(order.last().unwrap().starts_with("detach "), "{order:?}");
        assert!(planned(&wanted, &cloud.actual, &Options::default()).is_empty());
    }
}

fn shown(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.to_string()).collect()
}

/// Where each of these stands among the steps, with the last of all that wait for it behind it.
fn waits(plan: &Plan, later: &str, earlier: &str) -> bool {
    let find = |words: &str| {
        plan.steps
            .iter()
            .find(|step| step.action.to_string().starts_with(words))
            .unwrap()
    };
    let (later, earlier) = (find(later), find(earlier));
    let mut reached = later.after.clone();
    while let Some(id) = reached.pop() {
        if id == earlier.id {
            return true;
        }
        reached.extend(&plan.steps[id].after);
    }
    false
}

#[test]
fn nobody_may_do_more_for_a_moment() {
    let named = |name: &str, policy: &str| {
        let mut account = account(name);
        account.role_name = Some("r".to_owned());
        account.attach_policy_arns = Some(BTreeSet::from([policy.parse().unwrap()]));
        account
    };
    let (one, two) = ("arn:aws:iam::aws:policy/One", "arn:aws:iam::aws:policy/Two");
    let mut bounded = named("a", one);
    bounded.permissions_boundary = Some("arn:aws:iam::111122223333:policy/b".parse().unwrap());
    let mut cloud = cloud(&["blue"]);
    let first = desired(&[("blue", std::slice::from_ref(&bounded))], Mode::Create);
    let plan = planned(&first, &cloud.actual, &Options::default());
    all_steps(&mut cloud, &plan);
    // An account comes, the policy changes, and the boundary goes.
    let wanted = desired(&[("blue", &[named("a", two), named("d", two)])], Mode::Create);
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert!(waits(&plan, "remove the boundary", "detach"), "{:?}", shown(&plan));
    assert!(
        waits(&plan, "change the trust policy", "remove the boundary"),
        "{:?}",
        shown(&plan)
    );
    assert!(waits(&plan, "apply service account apps/d", "change the trust policy"));
    all_steps(&mut cloud, &plan);
    assert!(planned(&wanted, &cloud.actual, &Options::default()).is_empty());
    // A boundary comes before what it bounds, and who may assume it no longer goes before.
    let role = &mut cloud.actual.roles[0];
    let pattern = crate::trust::statement(&trusted_pattern());
    role.trust = role
        .trust
        .replace(r#""Statement":["#, &format!(r#""Statement":[{pattern},"#));
    let again = desired(&[("blue", &[bounded])], Mode::Create);
    let plan = planned(&again, &cloud.actual, &Options::default());
    assert!(waits(&plan, "attach", "bound role r"), "{:?}", shown(&plan));
    assert!(waits(&plan, "attach", "change the trust policy"), "{:?}", shown(&plan));
    all_steps(&mut cloud, &plan);
    assert!(planned(&again, &cloud.actual, &Options::default()).is_empty());
}

/// What is left of a pattern that account `a` had once.
fn trusted_pattern() -> crate::trust::Trusted {
    let mut pattern = account("a");
    pattern.subject_pattern = Some("a-*".to_owned());
    let desired = desired(&[("blue", &[pattern])], Mode::Create);
    role::trusted(&desired.clusters[0], &desired.roles[0].bindings[0])
}

#[test]
fn denials_come_first_and_go_last() {
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#;
    let mut denied = account("a");
    denied.attach_policy = Some(deny.to_owned());
    let wanted = desired(&[("blue", std::slice::from_ref(&denied))], Mode::Create);
    let mut cloud = cloud(&["blue"]);
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert!(waits(&plan, "attach", "write inline policy"), "{:?}", shown(&plan));
    all_steps(&mut cloud, &plan);
    let mut other = account("a");
    other.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/Two".parse().unwrap()]));
    let plan = planned(
        &desired(&[("blue", &[other])], Mode::Create),
        &cloud.actual,
        &Options::default(),
    );
    assert!(waits(&plan, "delete inline policy", "detach"), "{:?}", shown(&plan));
    all_steps(&mut cloud, &plan);
    let plan = planned(&wanted, &cloud.actual, &Options::default());
    assert!(waits(&plan, "attach", "write inline policy"), "{:?}", shown(&plan));
}
