//! What runs beside what, and how much is asked.

use std::collections::HashSet;
use std::time::Duration;

use irsa_reconcile::plan::Step;

use super::*;
use crate::{AccountState, Halt, Limits, StepReport, StepResult, TargetError, TargetErrorKind};

fn many(count: usize) -> Wish {
    let accounts: Vec<ServiceAccount> = (0..count).map(|number| account(&format!("a{number}"))).collect();
    Wish::apply(&[("blue", &accounts)])
}

/// The plan's steps, and what was told of them.
async fn recorded(world: &World, wish: &Wish, options: &Options) -> (Vec<Step>, Vec<String>) {
    let plan = wish.plan(&world.actual());
    let (outcome, told) = run_told(world, wish, options, &Stop::default()).await;
    assert_success(&outcome);
    (plan.steps, told)
}

#[tokio::test(start_paused = true)]
async fn steps_wait_for_theirs_and_for_their_resource() {
    let options = Options {
        limits: Limits { iam: 5, kubernetes: 3 },
        ..Options::default()
    };
    for seed in 0..20 {
        let mut world = rich_world();
        world.latency = Duration::from_millis(10);
        world.set_seed(seed);
        for wish in [rich(), rich_changed()] {
            let (steps, told) = recorded(&world, &wish, &options).await;
            let mut ended: HashSet<usize> = HashSet::new();
            let mut under_way: Vec<usize> = Vec::new();
            let mut most = 0;
            for line in told {
                let mut words = line.split(' ');
                match (words.next(), words.next().map(str::parse::<usize>)) {
                    (Some("started"), Some(Ok(step))) => {
                        let step = &steps[step];
                        assert!(step.after.iter().all(|before| ended.contains(before)), "{step:?}");
                        let is_of_it = |other: &&usize| steps[**other].resource() == step.resource();
                        assert_eq!(under_way.iter().find(is_of_it), None, "{step:?}");
                        under_way.push(step.id);
                        most = most.max(under_way.len());
                    }
                    (Some("ended"), Some(Ok(step))) => {
                        under_way.retain(|other| *other != step);
                        assert!(ended.insert(step));
                    }
                    _ => {}
                }
            }
            assert_eq!(ended.len(), steps.len());
            assert!(most > 1);
        }
        assert_eq!(world.most_of_one(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_at_once_than_the_limits_say() {
    let mut world = World::new(&[cluster("blue")]);
    world.latency = Duration::from_millis(10);
    let options = Options {
        limits: Limits { iam: 4, kubernetes: 0 },
        ..Options::default()
    };
    let begun = tokio::time::Instant::now();
    recorded(&world, &many(40), &options).await;
    // A limit of nothing is one.
    assert_eq!(world.most_under_way(), 5);
    // 81 calls of IAM by four at a time, and 81 of Kubernetes one at a time, each of 20 ms.
    assert!(begun.elapsed() < Duration::from_millis(2200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn five_hundred_accounts() {
    let wish = many(500);
    let world = World::new(&[cluster("blue")]);
    assert_success(&run(&world, &wish).await);
    let first = world.take_log();
    // A role, its policy, a look at the account, the account; and the rest is for all of them.
    assert!(first.len() <= 4 * 500 + 20, "{}", first.len());
    let outcome = run(&world, &wish).await;
    assert_success(&outcome);
    assert!(!outcome.is_changed());
    let second = world.take_log();
    assert!(second.len() <= 10, "{second:?}");
    // One of them drifts.
    world.edit(|actual| actual.roles[7].attached.clear());
    assert_success(&run(&world, &wish).await);
    let third = world.take_log();
    assert!(third.len() <= 11, "{third:?}");
    assert!(wish.plan(&world.actual()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_fails_what_waits_for_it_and_nothing_else() {
    let mut world = World::new(&[cluster("blue")]);
    world.refuse = Some(Box::new(|words| {
        let is_it = words.starts_with("create role") && words.contains("-a1-");
        is_it.then(|| TargetError::new(TargetErrorKind::Denied, "not authorized to perform: iam:CreateRole"))
    }));
    let outcome = run(&world, &many(3)).await;
    assert!(!outcome.is_success());
    let states: Vec<AccountState> = outcome.accounts.iter().map(|account| account.state).collect();
    assert_eq!(states, [AccountState::Done, AccountState::Failed, AccountState::Done]);
    let failures: Vec<String> = outcome.failures().map(|(_, failure)| failure.to_string()).collect();
    let [failure] = failures.as_slice() else {
        panic!("{failures:?}");
    };
    assert!(failure.starts_with("can't create role irsa-blue-apps-a1-"), "{failure}");
    assert!(
        failure.ends_with(": not authorized to perform: iam:CreateRole"),
        "{failure}"
    );
    let failed = outcome.failures().next().unwrap().0.id;
    let skipped: Vec<&StepReport> = outcome
        .steps
        .iter()
        .filter(|report| report.result == StepResult::Skipped { because: failed })
        .collect();
    // The policy and the account.
    assert_eq!(skipped.len(), 2);
    assert_eq!(world.actual().roles.len(), 2);
    assert_eq!(world.actual().clusters[0].service_accounts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_what_is_under_way_end() {
    let mut world = World::new(&[cluster("blue")]);
    world.latency = Duration::from_secs(1);
    let wish = many(20);
    let stop = Stop::default();
    let stopping = async {
        // Reading takes two seconds, the provider two more.
        tokio::time::sleep(Duration::from_millis(5500)).await;
        stop.stop();
    };
    let options = Options::default();
    let ((outcome, told), ()) = tokio::join!(run_told(&world, &wish, &options, &stop), stopping);
    assert_eq!(outcome.halted, Some(Halt::Stopped));
    assert!(told.contains(&"Halting(Stopped)".to_owned()));
    let count = |result: &StepResult| outcome.steps.iter().filter(|report| report.result == *result).count();
    // The provider, the namespace, and the roles that were under way.
    assert_eq!(count(&StepResult::Done), 2 + Limits::default().iam);
    assert_eq!(
        count(&StepResult::Done) + count(&StepResult::NotStarted),
        outcome.steps.len()
    );
    assert_eq!(world.actual().roles.len(), Limits::default().iam);
    assert!(
        outcome
            .accounts
            .iter()
            .all(|account| account.state == AccountState::Unfinished)
    );
    assert!(!outcome.is_success());
    assert_success(&run(&world, &wish).await);
    assert!(wish.plan(&world.actual()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_long_after_the_deadline() {
    let mut world = World::new(&[cluster("blue")]);
    world.hangs = Some("create role irsa-blue-apps-a3-".to_owned());
    let wish = many(5);
    let begun = tokio::time::Instant::now();
    let options = Options {
        deadline: Some(begun + Duration::from_secs(60)),
        ..Options::default()
    };
    let (outcome, _) = run_told(&world, &wish, &options, &Stop::default()).await;
    assert_eq!(outcome.halted, Some(Halt::Deadline));
    assert!(begun.elapsed() < Duration::from_secs(70), "{:?}", begun.elapsed());
    let unknown: Vec<String> = outcome
        .steps
        .iter()
        .filter(|report| report.result == StepResult::Unknown)
        .map(|report| report.step.action.to_string())
        .collect();
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].contains("-a3-"));
    let states: Vec<AccountState> = outcome.accounts.iter().map(|account| account.state).collect();
    let (done, unfinished) = (AccountState::Done, AccountState::Unfinished);
    assert_eq!(states, [done, done, done, unfinished, done]);
}
