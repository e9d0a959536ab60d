use irsa_reconcile::plan::{Action, Refusal, RefusalKind, Step};

use super::*;

fn step(id: usize, after: &[usize]) -> Step {
    Step {
        id,
        action: Action::DeleteRole { role: id.to_string() },
        after: after.to_vec(),
    }
}

#[test]
fn steps_of_a_plan_behind_another_wait_for_their_own() {
    let plan = |count: usize| Plan {
        steps: (0..count).map(|id| step(id, &(0..id).collect::<Vec<_>>())).collect(),
        ..Plan::default()
    };
    let mut all = plan(2);
    append(&mut all, plan(2));
    let ids: Vec<usize> = all.steps.iter().map(|step| step.id).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
    assert_eq!(all.steps[1].after, [0]);
    assert_eq!(all.steps[2].after, [0; 0]);
    assert_eq!(all.steps[3].after, [2]);
}

#[test]
fn only_what_others_made_is_left_out() {
    let refusal = |name: &str, kind| Refusal {
        cluster: "c".to_owned(),
        account: ServiceAccountName::new("default", name),
        kind,
        message: String::new(),
        help: String::new(),
    };
    let plan = Plan {
        refusals: vec![
            refusal("theirs", RefusalKind::ForeignServiceAccount),
            refusal("stack", RefusalKind::ReferenceTool),
            refusal("both", RefusalKind::ForeignServiceAccount),
            refusal("both", RefusalKind::Quota),
            refusal("large", RefusalKind::Quota),
        ],
        ..Plan::default()
    };
    let names: Vec<String> = others(&plan).iter().map(|(_, name)| name.to_string()).collect();
    assert_eq!(names, ["default/stack", "default/theirs"]);
    let failure = left_out(&[ServiceAccountName::new("default", "theirs")]);
    assert_eq!(
        failure.to_string(),
        "1 service account is not ours and left out: default/theirs"
    );
}
