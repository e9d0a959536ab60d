use std::sync::atomic::{AtomicUsize, Ordering};

use irsa_webhook::{EnvSourceKind, Settings};

use super::*;
use crate::{Annotations, EnvLookUp, LookUp, Report};

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const LONG: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(9));

/// A cluster that answers what a test says, after some time.
struct Scripted<F> {
    calls: AtomicUsize,
    takes: Duration,
    answer: F,
}

impl<F> Cluster for Scripted<F>
where
    F: Fn(usize) -> Result<Option<Annotations>, LookUpError> + Send + Sync + 'static,
{
    fn look_up<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> LookUp<'a> {
        Box::pin(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            (self.answer)(call)
        })
    }

    fn env_keys<'a>(&'a self, _: &'a str, _: EnvSourceKind, _: &'a str, _: Duration) -> EnvLookUp<'a> {
        Box::pin(async { Ok(None) })
    }

    fn report(&self, _: Report) {}
}

type Looking<F> = (Arc<LookUps>, Arc<Scripted<F>>, Arc<Sources>);

fn looking<F>(takes: Duration, answer: F) -> Looking<F>
where
    F: Fn(usize) -> Result<Option<Annotations>, LookUpError> + Send + Sync + 'static,
{
    let cluster = Arc::new(Scripted {
        calls: AtomicUsize::new(0),
        takes,
        answer,
    });
    let sources = Arc::new(Sources::new(Settings::default(), false, false));
    let shared: Arc<dyn Cluster> = Arc::<Scripted<F>>::clone(&cluster);
    (LookUps::new(Arc::clone(&sources), shared), cluster, sources)
}

fn bound() -> Annotations {
    vec![("eks.amazonaws.com/role-arn".to_owned(), ROLE.to_owned())]
}

fn role(found: &Found) -> Option<&str> {
    match found {
        Found::Account(Known::Bound { identity, .. }) => Some(&identity.role_arn),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn pods_of_one_account_share_a_look_up() {
    let (look_ups, cluster, _) = looking(Duration::from_millis(100), |_| Ok(Some(bound())));
    let asked = (0..500).map(|_| {
        let look_ups = Arc::clone(&look_ups);
        tokio::spawn(async move { look_ups.find("app", "a", &Known::Unknown, LONG).await })
    });
    for found in asked.collect::<Vec<_>>() {
        assert_eq!(role(&found.await.unwrap()), Some(ROLE));
    }
    assert_eq!(cluster.calls.load(Ordering::SeqCst), 1);
    // The task that served them ends when it finds that nobody waits.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(look_ups.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_gets_a_look_up_that_began_later() {
    let (look_ups, cluster, _) = looking(Duration::from_millis(100), |call| Ok((call > 0).then(bound)));
    let first = {
        let look_ups = Arc::clone(&look_ups);
        let no_grace = (Duration::ZERO, Duration::from_secs(9));
        tokio::spawn(async move { look_ups.find("app", "a", &Known::Unknown, no_grace).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = look_ups.find("app", "a", &Known::Unknown, LONG).await;
    assert_eq!(role(&second), Some(ROLE));
    assert!(matches!(first.await.unwrap(), Found::Absent));
    assert_eq!(cluster.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_comes_within_the_grace_period_is_found() {
    let (look_ups, _, _) = looking(Duration::ZERO, |call| Ok((call >= 4).then(bound)));
    let start = Instant::now();
    let found = look_ups.find("app", "a", &Known::Unknown, LONG).await;
    assert_eq!(role(&found), Some(ROLE));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_comes_is_waited_for_until_the_period_ends_and_forgotten() {
    let (look_ups, cluster, _) = looking(Duration::ZERO, |_| Ok(None));
    let start = Instant::now();
    let found = look_ups.find("app", "a", &Known::Unknown, LONG).await;
    assert!(matches!(found, Found::Absent));
    assert!(start.elapsed() <= LONG.0 && start.elapsed() > Duration::from_secs(2));
    assert!((5..12).contains(&cluster.calls.load(Ordering::SeqCst)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(look_ups.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_period_one_look_up_is_made_all_the_same() {
    let no_grace = (Duration::ZERO, Duration::from_secs(9));
    let (look_ups, cluster, _) = looking(Duration::from_millis(300), |_| Ok(None));
    let start = Instant::now();
    assert!(matches!(
        look_ups.find("app", "a", &Known::Unknown, no_grace).await,
        Found::Absent
    ));
    assert_eq!(start.elapsed(), Duration::from_millis(300));
    assert_eq!(cluster.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_given_up() {
    let (look_ups, _, _) = looking(Duration::from_secs(60), |_| Ok(Some(bound())));
    for (before, limit, longest) in [
        (Known::Unknown, 9_000, 3_000),
        (Known::Unknown, 500, 500),
        (Known::PerhapsUnbound, 9_000, 1_000),
    ] {
        let start = Instant::now();
        let found = look_ups
            .find("app", "a", &before, (LONG.0, Duration::from_millis(limit)))
            .await;
        assert!(matches!(found, Found::Undecided(Undecided::LookUp(_))), "{found:?}");
        assert!(
            start.elapsed() <= Duration::from_millis(longest),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_a_moment_is_asked_again() {
    let away = || LookUpError::Unavailable {
        reason: "away".to_owned(),
    };
    let (look_ups, _, _) = looking(
        Duration::ZERO,
        move |call| if call < 3 { Err(away()) } else { Ok(Some(bound())) },
    );
    assert_eq!(
        role(&look_ups.find("app", "a", &Known::Unknown, LONG).await),
        Some(ROLE)
    );
}

#[tokio::test(start_paused = true)]
async fn the_watch_may_be_faster() {
    let (look_ups, _, sources) = looking(Duration::ZERO, |_| Err(LookUpError::Deadline));
    let annotations = bound();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let annotations = annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        sources.accounts.upsert(sources.accounts.read("app", "a", annotations));
    });
    let start = Instant::now();
    assert_eq!(
        role(&look_ups.find("app", "a", &Known::Unknown, LONG).await),
        Some(ROLE)
    );
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_bounded_in_number() {
    let (look_ups, _, _) = looking(Duration::from_secs(60), |_| Ok(None));
    let many: Vec<_> = (0..MAX_WAITING)
        .map(|number| {
            let look_ups = Arc::clone(&look_ups);
            tokio::spawn(async move { look_ups.find("app", &number.to_string(), &Known::Unknown, LONG).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let found = look_ups.find("app", "one more", &Known::Unknown, LONG).await;
    assert!(matches!(found, Found::Undecided(Undecided::TooManyWaiting)));
    for found in many {
        found.await.unwrap();
    }
    // Each look-up that nobody waits for any more is given up after its two seconds.
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(look_ups.len(), 0);
    assert!(matches!(
        look_ups.find("app", "x", &Known::Unknown, LONG).await,
        Found::Undecided(Undecided::LookUp(_))
    ));
}
