//! Others who change things between the plan and its steps, and IAM that knows late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use irsa_reconcile::plan::RefusalKind;

use super::*;
use crate::world::Refuse;
use crate::{AccountState, StepResult, TargetError, TargetErrorKind};

fn one() -> Wish {
    Wish::apply(&[("blue", &[account("one")])])
}

fn role_name(wish: &Wish) -> String {
    match &wish.kind {
        Kind::Apply(desired) => desired.roles[0].name.clone(),
        Kind::Delete(_) => unreachable!(),
    }
}

/// Does it once, before the first call whose words begin so.
fn once(world: &World, words: &'static str, mut edit: impl FnMut(&mut Actual) + Send + 'static) {
    let mut is_done = false;
    world.meddle(move |actual, call| {
        if !is_done && call.starts_with(words) {
            is_done = true;
            edit(actual);
        }
    });
}

fn refusing(words: &'static str, times: usize, kind: TargetErrorKind) -> Refuse {
    let left = AtomicUsize::new(times);
    Box::new(move |call| {
        let is_it = call.starts_with(words);
        let left = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        (is_it && left().is_ok()).then(|| TargetError::new(kind, "no"))
    })
}

#[tokio::test(start_paused = true)]
async fn a_role_of_somebody_else_that_appears_is_not_touched() {
    let world = rich_world();
    let wish = rich();
    let name = role_name(&wish);
    let theirs = strange_role(&name);
    let (its, there) = (name.clone(), theirs.clone());
    once(&world, "create OIDC", move |actual| actual.roles.push(there.clone()));
    let outcome = run(&world, &wish).await;
    let failures: Vec<String> = outcome.failures().map(|(_, failure)| failure.to_string()).collect();
    assert_eq!(
        failures,
        [format!(
            "can't create role {name}: role `{name}` has appeared meanwhile and was not made by irsa"
        )]
    );
    let help = outcome.failures().next().unwrap().1.help().to_owned();
    assert!(help.contains("--override-existing-serviceaccounts"), "{help}");
    assert_eq!(world.actual().roles.iter().find(|role| role.name == its), Some(&theirs));
    let failed = outcome
        .accounts
        .iter()
        .filter(|account| account.state == AccountState::Failed);
    assert_eq!(failed.count(), 1);
    let done = outcome
        .accounts
        .iter()
        .filter(|account| account.state == AccountState::Done);
    assert_eq!(done.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_role_of_ours_that_appears_is_planned_anew() {
    let world = World::new(&[cluster("blue")]);
    let wish = one();
    let other = World::new(&[cluster("blue")]);
    assert_success(&run(&other, &wish).await);
    let mut made = other.actual().roles.remove(0);
    made.tags.insert("old".to_owned(), "x".to_owned());
    made.attached = BTreeSet::from(["arn:aws:iam::aws:policy/Old".to_owned()]);
    made.boundary = Some("arn:aws:iam::111122223333:policy/b".to_owned());
    once(&world, "create role", move |actual| actual.roles.push(made.clone()));
    let outcome = run(&world, &wish).await;
    assert_success(&outcome);
    assert_eq!(outcome.accounts[0].state, AccountState::Done);
    assert!(wish.plan(&world.actual()).is_empty());
    assert_eq!(world.actual().roles.len(), 1);
    assert_eq!(world.actual().roles[0].boundary, None);
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_that_changes_meanwhile_is_merged_anew() {
    let world = rich_world();
    assert_success(&run(&world, &rich()).await);
    let foreign = r#"{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}"#;
    once(&world, "look at role shared", move |actual| {
        let shared = actual.roles.iter_mut().find(|role| role.name == "shared").unwrap();
        shared.trust = shared
            .trust
            .replace("\"Statement\":[", &format!("\"Statement\":[{foreign},"));
    });
    let (outcome, told) = run_told(&world, &rich_changed(), &Options::default(), &Stop::default()).await;
    assert_success(&outcome);
    assert!(told.iter().any(|words| words.starts_with("Replanning")), "{told:?}");
    let actual = world.actual();
    let shared = actual.roles.iter().find(|role| role.name == "shared").unwrap();
    assert!(shared.trust.contains("ec2.amazonaws.com"), "{}", shared.trust);
    assert!(shared.trust.contains("shared*"), "{}", shared.trust);
    assert!(rich_changed().plan(&actual).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_that_never_stays_fails_after_some_plans() {
    let world = rich_world();
    assert_success(&run(&world, &rich()).await);
    let mut count = 0;
    world.meddle(move |actual, call| {
        if call.starts_with("look at role shared") {
            count += 1;
            let shared = actual.roles.iter_mut().find(|role| role.name == "shared").unwrap();
            let sid = format!(r#"{{"Sid":"S{count}","Effect":"Deny","Principal":"*","Action":"sts:TagSession"}}"#);
            shared.trust = shared
                .trust
                .replace("\"Statement\":[", &format!("\"Statement\":[{sid},"));
        }
    });
    let (outcome, told) = run_told(&world, &rich_changed(), &Options::default(), &Stop::default()).await;
    let failures: Vec<String> = outcome.failures().map(|(_, failure)| failure.to_string()).collect();
    let words = "the trust policy of role shared has changed, again and again";
    assert_eq!(
        failures,
        [format!("can't change the trust policy of role shared: {words}")]
    );
    let replans = told.iter().filter(|words| words.starts_with("Replanning"));
    assert_eq!(replans.count(), 2);
    // The other account of the plan is as it was wanted.
    assert_eq!(outcome.accounts[0].state, AccountState::Done);
}

#[tokio::test(start_paused = true)]
async fn what_has_gone_is_made_again() {
    for (words, gone) in [
        ("attach", "roles"),
        ("apply service account", "namespaces"),
        ("apply service account", "accounts"),
        ("write inline", "roles"),
    ] {
        let world = rich_world();
        assert_success(&run(&world, &rich()).await);
        once(&world, words, move |actual| match gone {
            "roles" => actual.roles.clear(),
            "namespaces" => {
                actual.clusters[0].namespaces.remove("apps");
                actual.clusters[0].service_accounts.clear();
            }
            _ => actual.clusters[0].service_accounts.clear(),
        });
        assert_success(&run(&world, &rich_changed()).await);
        assert!(rich_changed().plan(&world.actual()).is_empty(), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_account_of_somebody_else_that_appears_is_not_touched() {
    let world = World::new(&[cluster("blue")]);
    let wish = one();
    let name = ServiceAccountName::new("apps", "one");
    let its = name.clone();
    once(&world, "look at service account", move |actual| {
        actual.clusters[0]
            .service_accounts
            .insert(its.clone(), strange_account());
    });
    let outcome = run(&world, &wish).await;
    assert!(!outcome.is_success());
    let kinds: Vec<RefusalKind> = outcome.refusals.iter().map(|refusal| refusal.kind).collect();
    assert_eq!(kinds, [RefusalKind::ForeignServiceAccount]);
    assert_eq!(outcome.accounts[0].state, AccountState::Failed);
    assert_eq!(world.actual().clusters[0].service_accounts[&name], strange_account());
}

#[tokio::test(start_paused = true)]
async fn a_service_account_that_is_made_again_is_not_taken_for_the_old_one() {
    let world = World::new(&[cluster("blue")]);
    let name = ServiceAccountName::new("apps", "one");
    assert_success(&run(&world, &one()).await);
    let its = name.clone();
    once(&world, "delete service account", move |actual| {
        actual.clusters[0]
            .service_accounts
            .insert(its.clone(), strange_account());
    });
    let outcome = run(&world, &Wish::delete(&[("blue", &["one"])])).await;
    assert_success(&outcome);
    assert_eq!(world.actual().clusters[0].service_accounts[&name], strange_account());
    assert!(world.actual().roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_somebody_begins_to_use_is_not_deleted() {
    for words in ["look at role shared", "detach"] {
        let world = rich_world();
        let wish = rich();
        assert_success(&run(&world, &wish).await);
        let attached = |actual: &Actual| {
            let shared = actual.roles.iter().find(|role| role.name == "shared");
            shared.map(|shared| shared.attached.len())
        };
        let before = attached(&world.actual());
        once(&world, words, |actual| {
            let foreign = r#"{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}"#;
            let shared = actual.roles.iter_mut().find(|role| role.name == "shared").unwrap();
            shared.trust = shared
                .trust
                .replace("\"Statement\":[", &format!("\"Statement\":[{foreign},"));
        });
        let outcome = run(&world, &Wish::delete(&[("blue", &["shared"]), ("green", &["shared"])])).await;
        assert_success(&outcome);
        let actual = world.actual();
        let shared = actual.roles.iter().find(|role| role.name == "shared").unwrap();
        assert!(shared.trust.contains("ec2.amazonaws.com"));
        if words.starts_with("look") {
            assert_eq!(attached(&actual), before, "{words}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn iam_that_knows_late_is_waited_for() {
    let mut world = rich_world();
    world.lag = Duration::from_secs(4);
    let wish = rich();
    let options = Options {
        wait: true,
        ..Options::default()
    };
    let (outcome, told) = run_told(&world, &wish, &options, &Stop::default()).await;
    assert_success(&outcome);
    assert_eq!(outcome.settled, Some(true));
    assert!(told.iter().any(|words| words.starts_with("retrying")), "{told:?}");
    assert!(told.iter().any(|words| words == "Waiting { tries: 2 }"), "{told:?}");
    assert!(wish.plan(&world.actual()).is_empty());
    // The same with two runs in a row, the second of which sees an old listing.
    let mut world = rich_world();
    world.lag = Duration::from_secs(4);
    assert_success(&run(&world, &wish).await);
    let outcome = run(&world, &wish).await;
    assert_success(&outcome);
    assert!(wish.plan(&world.actual()).is_empty());
    assert_eq!(world.actual().roles.len(), 4);
    // What a listing does not show yet cannot be taken away; whoever does not wait may have to come again.
    tokio::time::sleep(world.lag).await;
    assert_success(&run(&world, &rich_changed()).await);
    assert!(rich_changed().plan(&world.actual()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_time() {
    let mut world = World::new(&[cluster("blue")]);
    world.lag = Duration::from_secs(20);
    let options = Options {
        wait: true,
        deadline: Some(tokio::time::Instant::now() + Duration::from_secs(50)),
        ..Options::default()
    };
    world.edit(|actual| actual.clusters[0].namespaces.clear());
    world.meddle(|actual, call| {
        // Somebody takes away what is made, each time before it is read.
        if call == "list cluster blue" {
            actual.clusters[0].service_accounts.clear();
        }
    });
    let (outcome, _) = run_told(&world, &one(), &options, &Stop::default()).await;
    assert_eq!(outcome.settled, Some(false));
    assert!(!outcome.is_success());
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_not_there_is_told_soon() {
    let mut world = World::new(&[cluster("blue")]);
    world.missing_policies.insert("arn:aws:iam::aws:policy/One".to_owned());
    let begun = tokio::time::Instant::now();
    let outcome = run(&world, &one()).await;
    let failures: Vec<String> = outcome
        .failures()
        .map(|(_, failure)| failure.error.to_string())
        .collect();
    let words = "Policy arn:aws:iam::aws:policy/One does not exist or is not attachable.";
    assert_eq!(failures, [words]);
    let help = outcome.failures().next().unwrap().1.help().to_owned();
    assert!(
        help.contains("`aws iam get-policy --policy-arn arn:aws:iam::aws:policy/One`"),
        "{help}"
    );
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    // Of a role that was there before at once.
    let begun = tokio::time::Instant::now();
    assert!(!run(&world, &one()).await.is_success());
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_and_not_for_ever() {
    let mut world = World::new(&[cluster("blue")]);
    world.refuse = Some(refusing("apply service account", 3, TargetErrorKind::Busy));
    let (outcome, told) = run_told(&world, &one(), &Options::default(), &Stop::default()).await;
    assert_success(&outcome);
    let retries = told.iter().filter(|words| words.starts_with("retrying"));
    assert_eq!(retries.count(), 3);
    let mut world = World::new(&[cluster("blue")]);
    world.refuse = Some(refusing("apply service account", usize::MAX, TargetErrorKind::Busy));
    let outcome = run(&world, &one()).await;
    let (_, failure) = outcome.failures().next().unwrap();
    assert_eq!(
        failure.help(),
        "run the same command again: it goes on where this one ended"
    );
    let calls = world.take_log();
    let tries = calls.iter().filter(|call| call.starts_with("apply service account"));
    assert_eq!(tries.count(), 8);
    // What the client has tried often enough is not tried here.
    let mut world = World::new(&[cluster("blue")]);
    world.refuse = Some(refusing("create role", usize::MAX, TargetErrorKind::Unanswered));
    assert!(!run(&world, &one()).await.is_success());
    let calls = world.take_log();
    assert_eq!(calls.iter().filter(|call| call.starts_with("create role")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_that_cannot_be_read_is_told() {
    let mut world = rich_world();
    world.refuse = Some(Box::new(|call| {
        let error = TargetError::new(TargetErrorKind::Denied, format!("no {call}"));
        (call == "list roles" || call == "list cluster green" || call == "quotas").then_some(error)
    }));
    let error = read(&world, &rich().clusters, Scope::default(), &|_| {})
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no list roles; no list cluster green");
    // Quotas are not worth an end, and who needs no roles reads none.
    world.refuse = Some(refusing("quotas", 1, TargetErrorKind::Denied));
    let state = read(&world, &rich().clusters, Scope::default(), &|_| {}).await.unwrap();
    assert!(state.without_quotas.is_some());
    world.take_log();
    let scope = Scope {
        roles: false,
        kubernetes: false,
    };
    let providers = rich().clusters;
    read(&world, &providers, scope, &|_| {}).await.unwrap();
    assert_eq!(world.take_log().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_plan_with_refusals_is_begun() {
    let world = World::new(&[cluster("blue")]);
    let wish = one();
    world.edit(|actual| actual.roles.push(strange_role(&role_name(&wish))));
    let before = world.shape();
    let outcome = run(&world, &wish).await;
    assert_eq!(outcome.refusals.len(), 1);
    assert!(!outcome.is_success());
    assert!(
        outcome
            .steps
            .iter()
            .all(|report| report.result == StepResult::NotStarted)
    );
    assert_eq!(world.shape(), before);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_again_is_told() {
    let mut world = World::new(&[cluster("blue")]);
    let wish = one();
    let lists = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&lists);
    world.refuse = Some(Box::new(move |call| {
        let is_second = call == "list roles" && seen.fetch_add(1, Ordering::SeqCst) > 0;
        is_second.then(|| TargetError::new(TargetErrorKind::Denied, "no longer"))
    }));
    once(&world, "apply service account", |actual| {
        actual.clusters[0].namespaces.clear();
    });
    let outcome = run(&world, &wish).await;
    assert_eq!(outcome.errors.len(), 1);
    assert!(!outcome.is_success());
    assert_eq!(outcome.accounts[0].state, AccountState::Failed);
}
