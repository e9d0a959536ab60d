//! Cut off anywhere, disturbed anyhow, the way on is the same command.

use super::*;
use crate::world::Loss;

/// A world on which `before` was carried out, and then `wish` with a loss, and then `wish` until it is done.
async fn disturbed(before: &[Wish], wish: &Wish, loss: Option<Loss>, seed: u64) -> (World, bool) {
    let world = rich_world();
    for wish in before {
        assert_success(&run(&world, wish).await);
    }
    world.set_seed(seed);
    world.lose(loss);
    let calls = tokio::select! {
        biased;
        () = world.died() => None,
        _ = run_lenient(&world, wish) => Some(world.take_log().len()),
    };
    world.lose(None);
    let outcome = run(&world, wish).await;
    assert_success(&outcome);
    let again = run(&world, wish).await;
    assert_success(&again);
    assert!(!again.is_changed(), "{again:#?}");
    let at = match loss {
        Some(Loss::Before(at) | Loss::After(at) | Loss::DeadBefore(at) | Loss::DeadAfter(at)) => at,
        None => usize::MAX,
    };
    (world, calls.is_some_and(|calls| calls < at))
}

/// Reading may fail, too.
async fn run_lenient(world: &World, wish: &Wish) -> Option<Outcome> {
    let state = read(world, &wish.clusters, Scope::default(), &|_| {}).await.ok()?;
    let plan = wish.plan(&state.actual);
    let planner = |actual: &Actual| wish.plan(actual);
    let job = Job {
        clusters: &wish.clusters,
        actual: &state.actual,
        plan: &plan,
        planner: &planner,
    };
    Some(carry_out(world, &job, &Options::default(), &Stop::default(), &|_| {}).await)
}

async fn every_call(before: &[Wish], wish: &Wish, calls: usize) {
    let (undisturbed, _) = disturbed(before, wish, None, 1).await;
    let wanted = undisturbed.shape();
    let mut cuts = 0;
    for kind in [Loss::DeadBefore, Loss::DeadAfter, Loss::Before, Loss::After] {
        for at in 1.. {
            let loss = kind(at);
            let (world, was_too_late) = disturbed(before, wish, Some(loss), u64::try_from(at).unwrap()).await;
            assert_eq!(world.shape(), wanted, "{loss:?}");
            if was_too_late {
                break;
            }
            cuts += 1;
        }
    }
    assert!(cuts > 4 * calls, "{cuts}");
}

#[tokio::test(start_paused = true)]
async fn making() {
    every_call(&[], &rich(), 25).await;
}

#[tokio::test(start_paused = true)]
async fn changing() {
    every_call(&[rich()], &rich_changed(), 15).await;
}

#[tokio::test(start_paused = true)]
async fn deleting() {
    let wish = Wish::delete(&[("blue", &["whole", "shared"]), ("green", &["shared"])]);
    every_call(&[rich()], &wish, 15).await;
}

#[tokio::test(start_paused = true)]
async fn deleting_a_part() {
    every_call(&[rich()], &Wish::delete(&[("blue", &["shared"])]), 8).await;
}

#[tokio::test(start_paused = true)]
async fn two_at_the_same_time() {
    let (alone, _) = disturbed(&[], &rich(), None, 1).await;
    let (changed, _) = disturbed(&[rich()], &rich_changed(), None, 1).await;
    let deletion = || Wish::delete(&[("blue", &["whole", "shared"]), ("green", &["shared"])]);
    let (deleted, _) = disturbed(&[rich()], &deletion(), None, 1).await;
    for seed in 0..40 {
        for (before, wish, wanted) in [
            (vec![], rich(), alone.shape()),
            (vec![rich()], rich_changed(), changed.shape()),
            (vec![rich()], deletion(), deleted.shape()),
        ] {
            let world = rich_world();
            for wish in &before {
                assert_success(&run(&world, wish).await);
            }
            world.set_seed(seed);
            let (one, other) = tokio::join!(run(&world, &wish), run(&world, &wish));
            assert_success(&one);
            assert_success(&other);
            assert_eq!(world.shape(), wanted, "seed {seed}");
        }
    }
}

/// A role that two clusters share is extended by both at once. IAM has no compare-and-swap, so one may have to be told again,
/// but nobody is told that all is well when it isn't, unless the other wrote later.
#[tokio::test(start_paused = true)]
async fn two_clusters_of_one_role_at_the_same_time() {
    let mut shared = account("shared");
    shared.role_name = Some("shared".to_owned());
    let home = Wish::apply(&[("home", std::slice::from_ref(&shared))]);
    let with = |name: &str| {
        let shared = std::slice::from_ref(&shared);
        Wish::apply(&[("home", shared), (name, shared)])
    };
    let (blue, green) = (with("blue"), with("green"));
    let mut both_at_once = 0;
    for seed in 0..40 {
        let world = World::new(&["home", "blue", "green"].map(cluster));
        assert_success(&run(&world, &home).await);
        world.set_seed(seed);
        let (one, other) = tokio::join!(run(&world, &blue), run(&world, &green));
        assert_success(&one);
        assert_success(&other);
        let is_there = |wish: &Wish| wish.plan(&world.actual()).is_empty();
        assert!(is_there(&blue) || is_there(&green), "seed {seed}");
        both_at_once += usize::from(is_there(&blue) && is_there(&green));
        assert_success(&run(&world, &blue).await);
        assert_success(&run(&world, &green).await);
        assert!(is_there(&blue) && is_there(&green), "seed {seed}");
    }
    assert!(both_at_once > 25, "{both_at_once}");
}

/// Wishes that change, runs that die one after the other: whatever was asked for last is there in the end, and what is
/// others' is as it was.
#[tokio::test(start_paused = true)]
async fn many_cuts_and_changes_of_mind() {
    let deletion = || Wish::delete(&[("blue", &["whole", "shared"]), ("green", &["shared"])]);
    for seed in 0..60_u64 {
        let world = rich_world();
        world.set_seed(seed);
        let mut draw = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = |most: u64| {
            draw ^= draw << 13;
            draw ^= draw >> 7;
            draw ^= draw << 17;
            draw % most
        };
        let mut wish = rich();
        for _ in 0..4 {
            wish = match draw(3) {
                0 => rich(),
                1 => rich_changed(),
                _ => deletion(),
            };
            let at = usize::try_from(draw(30)).unwrap();
            let kinds = [Loss::DeadBefore, Loss::DeadAfter, Loss::Before, Loss::After];
            world.lose(Some(kinds[usize::try_from(draw(4)).unwrap()](at)));
            tokio::select! {
                biased;
                () = world.died() => {}
                _ = run_lenient(&world, &wish) => {}
            }
        }
        world.lose(None);
        assert_success(&run(&world, &wish).await);
        let actual = world.actual();
        assert!(wish.plan(&actual).is_empty(), "seed {seed}");
        assert!(actual.roles.contains(&strange_role("strange")));
        let strange = ServiceAccountName::new("default", "strange");
        assert_eq!(actual.clusters[0].service_accounts[&strange], strange_account());
        let homes: Vec<_> = actual
            .roles
            .iter()
            .filter(|role| role.tags.contains_key("irsa/name"))
            .map(|role| ["irsa/cluster", "irsa/namespace", "irsa/name"].map(|key| role.tags.get(key)))
            .collect();
        assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), homes.len(), "seed {seed}");
    }
}
