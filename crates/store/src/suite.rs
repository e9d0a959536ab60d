//! What every backend must do, as checks that its tests run.
//!
//! Each check gets an empty store of its own. A check that fails panics with the reason, as a test does.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{Change, Compare, Entry, Revision, Store, StoreError, Transaction, Watch};

/// Runs all checks; `make` makes an empty store. Needs a tokio runtime.
///
/// # Panics
/// If the store does not behave as this crate says.
pub async fn run<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    empty(&*make().await).await;
    entries_and_revisions(&*make().await).await;
    compares(&*make().await).await;
    transactions_are_whole(&*make().await).await;
    limits(&*make().await).await;
    odd_keys_and_values(&*make().await).await;
    watch_delivers_whole_revisions_in_order(&*make().await).await;
    watch_catches_up(&*make().await).await;
    watches_are_independent(&*make().await).await;
    compaction(&*make().await).await;
    increments_are_not_lost(make().await).await;
    one_of_many_creators_wins(make().await).await;
}

async fn empty(store: &dyn Store) {
    assert_eq!(store.load().await, Ok((0, Vec::new())));
    assert_eq!(
        store.commit(Transaction::default()).await,
        Ok(0),
        "no write, no revision"
    );
    assert_eq!(store.commit(Transaction::default().delete("absent")).await, Ok(0));
    assert_eq!(store.compact(7).await, Ok(()));
    assert_eq!(store.load().await, Ok((0, Vec::new())));
}

async fn entries_and_revisions(store: &dyn Store) {
    let first = commit(store, Transaction::default().put("b", "1").put("a", "1")).await;
    let second = commit(store, Transaction::default().put("a", "2").delete("absent")).await;
    assert_eq!((first, second), (1, 2), "one revision a transaction");
    let both = vec![entry("a", "2", 1, 2), entry("b", "1", 1, 1)];
    assert_eq!(store.load().await, Ok((2, both)), "in byte order of the keys");
    assert_eq!(commit(store, Transaction::default().delete("a").put("c", "")).await, 3);
    assert_eq!(
        commit(store, Transaction::default().delete("a")).await,
        3,
        "nothing to delete"
    );
    assert_eq!(commit(store, Transaction::default().put("a", "3")).await, 4);
    let all = vec![entry("a", "3", 4, 4), entry("b", "1", 1, 1), entry("c", "", 3, 3)];
    assert_eq!(store.load().await, Ok((4, all)), "created anew after the deletion");
}

async fn compares(store: &dyn Store) {
    let key = || "role/a".to_owned();
    let absent = || Compare::Absent { key: key() };
    let present = || Compare::Present { key: key() };
    let at = |revision| Compare::ModifiedAt { key: key(), revision };
    let empty = |prefix: &str| Compare::PrefixEmpty {
        prefix: prefix.to_owned(),
    };
    // Holds exactly as listed, in each of the key's states.
    let check = async |state: &str, holds: Vec<Compare>, fails: Vec<Compare>| {
        for compare in holds {
            let outcome = store.commit(Transaction::default().when(compare.clone())).await;
            assert!(outcome.is_ok(), "{state}: {compare:?} must hold, not {outcome:?}");
        }
        for compare in fails {
            let outcome = store
                .commit(Transaction::default().when(compare.clone()).put("x", "x"))
                .await;
            assert_eq!(outcome, Err(StoreError::Conflict), "{state}: {compare:?}");
        }
    };
    check(
        "never written",
        vec![absent(), empty("role/")],
        vec![present(), at(0), at(1)],
    )
    .await;
    commit(store, Transaction::default().put(key(), "1")).await;
    commit(store, Transaction::default().put("role0", "1").put("role.", "1")).await;
    check(
        "written",
        vec![present(), at(1), empty("role/b"), empty("role/aa")],
        vec![absent(), at(0), at(2), empty("role/"), empty("role/a"), empty("r")],
    )
    .await;
    commit(store, Transaction::default().put(key(), "2")).await;
    check(
        "written again",
        vec![present(), at(3)],
        vec![absent(), at(1), at(2), empty("role/")],
    )
    .await;
    commit(store, Transaction::default().delete(key())).await;
    check("deleted", vec![absent(), empty("role/")], vec![present(), at(3), at(4)]).await;
    commit(store, Transaction::default().put(key(), "3")).await;
    check(
        "written after that",
        vec![present(), at(5)],
        vec![absent(), at(3), empty("role/")],
    )
    .await;
    commit(store, Transaction::default().put("role/b", "1").delete(key())).await;
    check("beside another", vec![empty("role/a")], vec![empty("role/")]).await;
}

async fn transactions_are_whole(store: &dyn Store) {
    commit(store, Transaction::default().put("a", "1")).await;
    let refused = Transaction::default()
        .when_absent("b")
        .when_modified_at("a", 9)
        .put("b", "1")
        .delete("a");
    assert_eq!(store.commit(refused).await, Err(StoreError::Conflict));
    assert_eq!(store.load().await, Ok((1, vec![entry("a", "1", 1, 1)])));
    // A compare speaks of the state before the transaction's own writes.
    let renamed = Transaction::default()
        .when_modified_at("a", 1)
        .when_absent("b")
        .delete("a")
        .put("b", "1");
    assert_eq!(commit(store, renamed).await, 2);
    assert_eq!(store.load().await, Ok((2, vec![entry("b", "1", 2, 2)])));
}

async fn limits(store: &dyn Store) {
    let long = "k".repeat(Transaction::MAX_KEY);
    let large = vec![7; Transaction::MAX_BYTES - long.len()];
    let many = |count: usize| (0..count).fold(Transaction::default(), |many, at| many.put(format!("m/{at:03}"), "v"));
    for fits in [
        Transaction::default().put(&*long, large.clone()),
        many(Transaction::MAX_OPERATIONS),
    ] {
        assert!(store.commit(fits).await.is_ok());
    }
    for refused in [
        Transaction::default().put("", "v"),
        Transaction::default().when_absent("").put("k", "v"),
        Transaction::default().when(Compare::PrefixEmpty { prefix: String::new() }),
        Transaction::default().delete(format!("{long}k")),
        Transaction::default().put(format!("{long}k"), "v"),
        Transaction::default().put(&*long, large.clone()).put("k", "v"),
        Transaction::default().put("k", "1").delete("k"),
        many(Transaction::MAX_OPERATIONS + 1),
    ] {
        let outcome = store.commit(refused).await;
        assert!(matches!(outcome, Err(StoreError::Invalid { .. })), "{outcome:?}");
    }
    let (revision, entries) = store.load().await.expect("a load");
    assert_eq!((revision, entries.len()), (2, 1 + Transaction::MAX_OPERATIONS));
}

async fn odd_keys_and_values(store: &dyn Store) {
    let keys = [
        "\0",
        "\0\0",
        "%",
        "A",
        "_",
        "a",
        "a\u{10ffff}",
        "a'\";--",
        "ä",
        "\u{10ffff}",
    ];
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let all = keys
        .iter()
        .fold(Transaction::default(), |all, key| all.put(*key, every_byte.clone()));
    commit(store, all).await;
    let (_, entries) = store.load().await.expect("a load");
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    assert_eq!(
        entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(),
        sorted
    );
    assert!(entries.iter().all(|entry| entry.value == every_byte));
    for prefix in ["a", "\0\0", "\u{10ffff}", "a\u{10ffff}"] {
        let only_if_empty = Transaction::default().when(Compare::PrefixEmpty {
            prefix: prefix.to_owned(),
        });
        assert_eq!(
            store.commit(only_if_empty).await,
            Err(StoreError::Conflict),
            "{prefix:?}"
        );
    }
}

async fn watch_delivers_whole_revisions_in_order(store: &dyn Store) {
    let mut watch = store.watch(0).await.expect("a watch");
    commit(store, Transaction::default().put("b", "1").put("a", "1")).await;
    commit(store, Transaction::default().delete("a").delete("absent").put("b", "")).await;
    let refused = Transaction::default().when_absent("b").put("never", "1");
    assert_eq!(store.commit(refused).await, Err(StoreError::Conflict));
    commit(store, Transaction::default().put("end", "1")).await;
    let mut expected = vec![
        change(1, "b", Some("1")),
        change(1, "a", Some("1")),
        change(2, "a", None),
        change(2, "b", Some("")),
        change(3, "end", Some("1")),
    ];
    let mut found = read(&mut *watch, 3).await;
    // The order within a revision says nothing.
    expected.sort_by(|one, other| (one.revision, &one.key).cmp(&(other.revision, &other.key)));
    found.sort_by(|one, other| (one.revision, &one.key).cmp(&(other.revision, &other.key)));
    assert_eq!(found, expected);
}

async fn watch_catches_up(store: &dyn Store) {
    const LAST: Revision = 3000;
    let mut idle = store.watch(0).await.expect("a watch");
    for number in 1..=LAST / 100 {
        // Many at once, so that the check does not wait for as many flushes.
        let commits = (0..100).map(|of| {
            store.commit(
                Transaction::default()
                    .put(format!("{number}/{of}"), "v")
                    .put("both", "v"),
            )
        });
        for outcome in all(commits).await {
            outcome.expect("a commit");
        }
    }
    for from in [0, 1, 1234, LAST - 1] {
        let mut late = store.watch(from).await.expect("a watch");
        assert_revisions(&read(&mut *late, LAST).await, from + 1..=LAST);
    }
    assert_revisions(&read(&mut *idle, LAST).await, 1..=LAST);
}

async fn watches_are_independent(store: &dyn Store) {
    let mut first = store.watch(0).await.expect("a watch");
    commit(store, Transaction::default().put("a", "1")).await;
    let mut second = store.watch(1).await.expect("a watch");
    drop(first.next());
    commit(store, Transaction::default().put("a", "2")).await;
    assert_eq!(read(&mut *second, 2).await, [change(2, "a", Some("2"))]);
    drop(second);
    assert_eq!(
        read(&mut *first, 2).await.len(),
        2,
        "a next that was dropped loses nothing"
    );
}

async fn compaction(store: &dyn Store) {
    commit(store, Transaction::default().put("a", "1").put("b", "1").put("c", "1")).await;
    commit(store, Transaction::default().put("a", "2").delete("b")).await;
    commit(store, Transaction::default().put("a", "3").delete("c")).await;
    commit(store, Transaction::default().put("a", "4").put("b", "4")).await;
    let before = store.load().await;
    assert_eq!(store.compact(2).await, Ok(()));
    assert_eq!(store.load().await, before, "compaction changes nothing that exists");
    for gone in [0, 1] {
        let refused = store.watch(gone).await.err();
        assert_eq!(refused, Some(StoreError::Compacted { oldest: 2 }));
    }
    let mut watch = store.watch(2).await.expect("a watch");
    let mut found = read(&mut *watch, 4).await;
    found.sort_by(|one, other| (one.revision, &one.key).cmp(&(other.revision, &other.key)));
    let after = [
        change(3, "a", Some("3")),
        change(3, "c", None),
        change(4, "a", Some("4")),
        change(4, "b", Some("4")),
    ];
    assert_eq!(found, after);
    // Back, the same, and beyond the end.
    for through in [1, 2, 99] {
        assert_eq!(store.compact(through).await, Ok(()));
        assert_eq!(store.load().await, before);
    }
    assert_eq!(
        commit(store, Transaction::default().when_absent("c").put("c", "5")).await,
        5
    );
    assert_eq!(
        commit(store, Transaction::default().when_modified_at("a", 4).delete("a")).await,
        6
    );
    let left = vec![entry("b", "4", 4, 4), entry("c", "5", 5, 5)];
    assert_eq!(store.load().await, Ok((6, left)));
}

async fn increments_are_not_lost(store: Arc<dyn Store>) {
    const TASKS: u64 = 8;
    const EACH: u64 = 25;
    commit(&*store, Transaction::default().put("count", "0")).await;
    let tasks = (0..TASKS).map(|_| {
        let store = Arc::clone(&store);
        async move {
            let mut done = 0;
            while done < EACH {
                let (_, entries) = store.load().await.expect("a load");
                let count = entries.first().expect("the counter");
                let next = String::from_utf8_lossy(&count.value).parse::<u64>().expect("a number") + 1;
                let increment = Transaction::default()
                    .when_modified_at("count", count.modified)
                    .put("count", next.to_string());
                match store.commit(increment).await {
                    Ok(_) => done += 1,
                    Err(error) => assert_eq!(error, StoreError::Conflict),
                }
            }
        }
    });
    all(tasks).await;
    let (revision, entries) = store.load().await.expect("a load");
    assert_eq!(entries, [entry("count", &(TASKS * EACH).to_string(), 1, revision)]);
    assert_eq!(revision, TASKS * EACH + 1);
}

async fn one_of_many_creators_wins(store: Arc<dyn Store>) {
    let tasks = (0..50_u64).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let create = Transaction::default().when_absent("it").put("it", number.to_string());
            store.commit(create).await.map(|revision| (number, revision))
        }
    });
    let outcomes = all(tasks).await;
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let (_, entries) = store.load().await.expect("a load");
    assert_eq!(entries, [entry("it", &winners[0].0.to_string(), 1, 1)]);
}

async fn commit(store: &dyn Store, transaction: Transaction) -> Revision {
    store.commit(transaction).await.expect("a commit")
}

/// Runs futures at the same time on this task.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, outcome) in &mut running {
            if outcome.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
            {
                *outcome = Some(done);
            }
        }
        if running.iter().all(|(_, outcome)| outcome.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

/// Reads until revision `last` has come, and checks on the way that no revision comes in parts.
async fn read(watch: &mut dyn Watch, last: Revision) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    while found.last().is_none_or(|change| change.revision < last) {
        let page = watch.next().await.expect("changes");
        let first = page.first().expect("never an empty page").revision;
        assert!(
            found.last().is_none_or(|before| before.revision < first),
            "a revision came in parts"
        );
        assert!(page.is_sorted_by_key(|change| change.revision));
        found.extend(page);
    }
    found
}

/// Each revision is there, with its two changes.
fn assert_revisions(changes: &[Change], revisions: std::ops::RangeInclusive<Revision>) {
    assert!(changes.is_sorted_by_key(|change| change.revision));
    let found: BTreeSet<Revision> = changes.iter().map(|change| change.revision).collect();
    let count = usize::try_from(revisions.end() - revisions.start() + 1).expect("a small number");
    assert_eq!(changes.len(), 2 * count);
    assert!(found.into_iter().eq(revisions));
}

fn entry(key: &str, value: &str, created: Revision, modified: Revision) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_owned().into(),
        created,
        modified,
    }
}

fn change(revision: Revision, key: &str, value: Option<&str>) -> Change {
    Change {
        revision,
        key: key.to_owned(),
        value: value.map(|value| value.to_owned().into()),
    }
}
