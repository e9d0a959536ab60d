//! Any sequence of transactions leaves what a plain map would hold, whatever is compacted and however often the store is opened anew.

use std::collections::BTreeMap;
use std::task::Poll;

use irsa_store::{Compare, Revision, SqliteStore, Store, StoreError, Transaction, Write};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Sent together, so that some of them share a flush.
    Commit(Vec<Transaction>),
    Compact(Revision),
    Reopen,
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("a/"), Just("a/b"), Just("a/c"), Just("b"), Just("ä")].prop_map(str::to_owned)
}

fn compare() -> impl Strategy<Value = Compare> {
    prop_oneof![
        (key(), 0..20_u64).prop_map(|(key, revision)| Compare::ModifiedAt { key, revision }),
        key().prop_map(|key| Compare::Absent { key }),
        key().prop_map(|key| Compare::Present { key }),
        key().prop_map(|prefix| Compare::PrefixEmpty { prefix }),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let write = prop_oneof![
        2 => vec(any::<u8>(), 0..4).prop_map(Some),
        1 => Just(None),
    ];
    (
        vec(compare(), 0..2),
        proptest::collection::btree_map(key(), write, 0..4),
    )
        .prop_map(|(compares, writes)| Transaction {
            compares,
            writes: writes
                .into_iter()
                .map(|(key, value)| match value {
                    Some(value) => Write::Put {
                        key,
                        value: value.into(),
                    },
                    None => Write::Delete { key },
                })
                .collect(),
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => vec(transaction(), 1..4).prop_map(Step::Commit),
        1 => (0..30_u64).prop_map(Step::Compact),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..20)
}

/// What the store should be: value, created and modified of each key.
#[derive(Default)]
struct Model {
    revision: Revision,
    keys: BTreeMap<String, (Vec<u8>, Revision, Revision)>,
}

impl Model {
    fn commit(&mut self, transaction: &Transaction) -> Result<Revision, StoreError> {
        let holds = transaction.compares.iter().all(|compare| match compare {
            Compare::ModifiedAt { key, revision } => self.keys.get(key).is_some_and(|(_, _, at)| at == revision),
            Compare::Absent { key } => !self.keys.contains_key(key),
            Compare::Present { key } => self.keys.contains_key(key),
            Compare::PrefixEmpty { prefix } => !self.keys.keys().any(|key| key.starts_with(prefix)),
        });
        if !holds {
            return Err(StoreError::Conflict);
        }
        let next = self.revision + 1;
        for write in &transaction.writes {
            match write {
                Write::Put { key, value } => {
                    let created = self.keys.get(key).map_or(next, |(_, created, _)| *created);
                    self.keys.insert(key.clone(), (value.to_vec(), created, next));
                    self.revision = next;
                }
                Write::Delete { key } => {
                    if self.keys.remove(key).is_some() {
                        self.revision = next;
                    }
                }
            }
        }
        Ok(self.revision)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_is_a_map_with_revisions(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("irsa.db");
            let mut store = SqliteStore::open(&path).unwrap();
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Commit(transactions) => {
                        // A first poll queues it, so the order is this one, and the futures need not be awaited one by one.
                        let mut sent: Vec<_> = transactions.iter().map(|one| (store.commit(one.clone()), None)).collect();
                        std::future::poll_fn(|context| {
                            for (commit, answer) in &mut sent {
                                if let Poll::Ready(done) = commit.as_mut().poll(context) {
                                    *answer = Some(done);
                                }
                            }
                            Poll::Ready(())
                        })
                        .await;
                        for ((commit, answer), transaction) in sent.into_iter().zip(&transactions) {
                            let answer = match answer {
                                Some(answer) => answer,
                                None => commit.await,
                            };
                            assert_eq!(answer, model.commit(transaction));
                        }
                    }
                    Step::Compact(through) => store.compact(through).await.unwrap(),
                    Step::Reopen => {
                        drop(store);
                        store = SqliteStore::open(&path).unwrap();
                    }
                }
                let (revision, entries) = store.load().await.unwrap();
                assert_eq!(revision, model.revision);
                let found: BTreeMap<_, _> = entries
                    .into_iter()
                    .map(|entry| (entry.key, (entry.value.to_vec(), entry.created, entry.modified)))
                    .collect();
                assert_eq!(found, model.keys);
            }
        });
    }
}
