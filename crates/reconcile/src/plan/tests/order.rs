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
