//! The store across processes.

mod model;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use irsa_store::{SqliteStore, Store, StoreError, Transaction};

const FOLDER: &str = "IRSA_STORE_CRASH_FOLDER";

/// Everything that a killed process had acknowledged is there, and whole, and the lock is free.
#[tokio::test]
async fn acknowledged_writes_survive_kill() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_until_killed(&PathBuf::from(folder).join("irsa.db")).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("irsa.db");
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = start_writer(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed in the middle of its work, at another place each time.
        for line in lines.by_ref() {
            note(&mut acknowledged, &line.unwrap());
            if acknowledged >= round * 150 {
                break;
            }
        }
        assert!(acknowledged >= round * 150, "the writer ended early");
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(&mut acknowledged, &line.unwrap());
        }
        let store = SqliteStore::open(&path).unwrap();
        let (_, entries) = store.load().await.unwrap();
        let find = |key: String| entries.iter().find(|entry| entry.key == key);
        for number in 1..=acknowledged {
            let (one, other) = (find(format!("one/{number:06}")), find(format!("other/{number:06}")));
            assert_eq!(
                one.map(|entry| (&entry.value, entry.modified)),
                other.map(|entry| (&entry.value, entry.modified)),
                "half of a transaction"
            );
            assert!(one.is_some(), "{number} of {acknowledged} is lost");
        }
    }
}

fn start_writer(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["acknowledged_writes_survive_kill", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The largest number such that it and all before it are acknowledged: the writer says them in order.
fn note(acknowledged: &mut u64, line: &str) {
    if let Some(number) = line.strip_prefix("acknowledged ") {
        *acknowledged = number.parse().unwrap();
    }
}

#[expect(clippy::print_stdout, reason = "how the test's process talks to its parent")]
async fn write_until_killed(path: &Path) {
    let store = Arc::new(SqliteStore::open(path).unwrap());
    let (_, entries) = store.load().await.unwrap();
    let mut next = entries.len() as u64 / 2 + 1;
    loop {
        let mut group = tokio::task::JoinSet::new();
        for number in next..next + 20 {
            let store = Arc::clone(&store);
            group.spawn(async move {
                let transaction = Transaction::default()
                    .when_absent(format!("one/{number:06}"))
                    .put(format!("one/{number:06}"), number.to_string())
                    .put(format!("other/{number:06}"), number.to_string());
                match store.commit(transaction).await {
                    // The killed process may have written it without having said so.
                    Ok(_) | Err(StoreError::Conflict) => (),
                    Err(error) => panic!("{error}"),
                }
            });
        }
        group.join_all().await;
        next += 20;
        println!("acknowledged {}", next - 1);
    }
}
