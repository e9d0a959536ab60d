use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::suite;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("irsa.db");
    (folder, path)
}

/// A database with a history, closed.
async fn filled(path: &Path) -> (Revision, Vec<Entry>) {
    let store = SqliteStore::open(path).unwrap();
    for round in 0..3 {
        let all = (0..100).fold(Transaction::default(), |all, number| {
            all.put(
                format!("iam/role/{number:03}"),
                format!("{round} {}", "policy ".repeat(60)),
            )
        });
        store.commit(all).await.unwrap();
    }
    store
        .commit(Transaction::default().delete("iam/role/007"))
        .await
        .unwrap();
    store.load().await.unwrap()
}

/// What a server's start would do with the file.
async fn start(path: &Path) -> Result<(Revision, Vec<Entry>), StoreError> {
    SqliteStore::open(path)?.load().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    suite::run(|| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join(number.to_string())).unwrap());
        std::future::ready(store)
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (_folder, path) = folder();
    let before = filled(&path).await;
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.load().await.unwrap(), before);
    let next = store.commit(Transaction::default().put("k", "v")).await.unwrap();
    assert_eq!(next, before.0 + 1);
    let mut watch = store.watch(before.0 - 1).await.unwrap();
    assert_eq!(watch.next().await.unwrap().len(), 2, "from the table");
    store.commit(Transaction::default().put("k", "v2")).await.unwrap();
    drop(store);
    assert_eq!(watch.next().await.unwrap().len(), 1, "what it was told before the end");
    assert!(matches!(watch.next().await, Err(StoreError::Unavailable { .. })));
}

#[tokio::test]
async fn history_is_bounded() {
    let (_folder, path) = folder();
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let mut old = store.watch(0).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..9000_u32 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let key = format!("k{}", number % 10);
            store
                .commit(Transaction::default().put(key, vec![0; 1000]))
                .await
                .unwrap()
        });
    }
    tasks.join_all().await;
    let (revision, entries) = store.load().await.unwrap();
    assert_eq!((revision, entries.len()), (9000, 10));
    assert!(
        matches!(old.next().await, Err(StoreError::Compacted { .. })),
        "told, not served a gap"
    );
    assert!(store.watch(9000 - 1000).await.is_ok());
    drop(store);
    let rows: u32 = rusqlite::Connection::open(&path)
        .and_then(|sql| sql.query_row("SELECT count(*) FROM revisions", [], |row| row.get(0)))
        .unwrap();
    assert!(rows < 8192 + 300, "{rows} rows");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let (folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let error = SqliteStore::open(name).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    drop(store);
    assert!(SqliteStore::open(&path).is_ok());
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let (folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(Transaction::default().put("k", "v")).await.unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(SqliteStore::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_first_start_that_was_interrupted_starts_again() {
    let (folder, path) = folder();
    fs::write(folder.path().join("irsa.db.new"), "half a database").unwrap();
    fs::write(folder.path().join("irsa.db.new-wal"), "half a log").unwrap();
    assert_eq!(start(&path).await, Ok((0, Vec::new())));
}

#[tokio::test]
async fn what_is_not_our_database_stops_the_start_and_says_what_to_do() {
    let (_folder, path) = folder();
    let text = "this is not a database. ".repeat(1000);
    for content in ["", "x", "SQLite format 3\0", &text] {
        fs::write(&path, content).unwrap();
        let error = start(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains(path.to_str().unwrap()) && message.contains("restore it from a backup"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "left as it was");
    }
    fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(other);
    assert!(matches!(start(&path).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_log_without_its_database_is_not_thrown_away() {
    let (_folder, path) = folder();
    let log = path.with_file_name("irsa.db-wal");
    fs::write(&log, "records").unwrap();
    assert!(matches!(start(&path).await, Err(StoreError::Damaged { .. })));
    assert_eq!(fs::read_to_string(&log).unwrap(), "records");
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let (_folder, path) = folder();
    filled(&path).await;
    rusqlite::Connection::open(&path)
        .and_then(|sql| sql.pragma_update(None, "user_version", 2))
        .unwrap();
    let message = start(&path).await.unwrap_err().to_string();
    assert!(message.contains("newer than the format 1"), "{message}");
}

/// Wherever the file is cut, the start either stops or finds everything.
#[tokio::test]
async fn a_truncated_file_is_found() {
    let (_folder, path) = folder();
    let before = filled(&path).await;
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 20 * 4096, "{}", whole.len());
    for length in (1..whole.len()).step_by(1999).chain((0..whole.len()).step_by(4096)) {
        fs::write(&path, &whole[..length]).unwrap();
        match start(&path).await {
            Err(StoreError::Damaged { .. }) => (),
            other => panic!(
                "{length} of {} bytes: {:?}",
                whole.len(),
                other.map(|(revision, _)| revision)
            ),
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(start(&path).await, Ok(before));
}

/// Wherever bytes change, the start either stops or finds exactly what was there.
#[tokio::test]
async fn flipped_bytes_are_found() {
    let (_folder, path) = folder();
    let before = filled(&path).await;
    let length = fs::metadata(&path).unwrap().len();
    let whole = fs::read(&path).unwrap();
    let mut found = 0;
    let places: Vec<u64> = (0..length).step_by(331).chain(0..100).chain(4096..4110).collect();
    for at in &places {
        flip(&path, *at);
        match start(&path).await {
            Ok(after) => assert_eq!(after, before, "byte {at} was not found"),
            Err(StoreError::Damaged { .. }) => found += 1,
            // A version number in the head that asks for a newer SQLite makes the file read-only.
            Err(StoreError::Unavailable { reason }) if *at < 100 => assert!(reason.contains("read-only"), "{reason}"),
            Err(other) => panic!("byte {at}: {other:?}"),
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(found > places.len() / 2, "{found} of {}", places.len());
}

fn flip(path: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x5a]).unwrap();
}

/// Damage that SQLite itself cannot see: rows that were changed, lost or exchanged.
#[tokio::test]
async fn records_that_were_tampered_with_are_found() {
    let (_folder, path) = folder();
    let before = filled(&path).await;
    let whole = fs::read(&path).unwrap();
    for change in [
        "UPDATE revisions SET value = x'00' WHERE position = 600",
        "UPDATE revisions SET key = 'iam/role/x' WHERE position = 600",
        "UPDATE revisions SET value = NULL WHERE position = 800",
        "DELETE FROM revisions WHERE position = 800",
        "DELETE FROM revisions",
        "INSERT INTO revisions SELECT position + 300, key, value, created, previous, checksum FROM revisions WHERE position = 800",
        "UPDATE state SET revision = 3",
        "DELETE FROM state",
        "DROP TABLE revisions",
        "DROP INDEX by_key",
    ] {
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let outcome = start(&path).await;
        assert!(
            matches!(outcome, Err(StoreError::Damaged { .. })),
            "{change}: {outcome:?}"
        );
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(start(&path).await, Ok(before));
}

#[tokio::test]
async fn a_full_disk_fails_the_transaction_and_nothing_else() {
    let (_folder, path) = folder();
    let store = SqliteStore::open_with(&path, SqliteOptions { max_pages: Some(100) }).unwrap();
    let mut last = 0;
    let full = loop {
        match store.commit(Transaction::default().put("large", vec![1; 50_000])).await {
            Ok(revision) => last = revision,
            Err(error) => break error,
        }
    };
    assert_eq!(
        full,
        StoreError::Full {
            path: store.path().to_path_buf()
        }
    );
    assert!(last >= 3, "{last}");
    let (revision, entries) = store.load().await.unwrap();
    assert_eq!((revision, entries[0].modified), (last, last), "what was there is there");
    // Together with some that fit: each gets its own answer.
    let large = || Transaction::default().put("large", vec![2; 200_000]);
    let small = |key: &str| Transaction::default().put(key, "v");
    let (one, two, three, four) = tokio::join!(
        store.commit(small("a")),
        store.commit(large()),
        store.commit(small("b")),
        store.commit(large()),
    );
    assert_eq!((one, three), (Ok(last + 1), Ok(last + 2)));
    assert!(matches!(
        (two, four),
        (Err(StoreError::Full { .. }), Err(StoreError::Full { .. }))
    ));
    // Space is back.
    store.compact(last).await.unwrap();
    let mut watch = store.watch(last + 2).await.unwrap();
    let revision = store.commit(large()).await.unwrap();
    assert_eq!(revision, last + 3);
    assert_eq!(watch.next().await.unwrap()[0].revision, revision);
    let state = store.load().await.unwrap();
    drop(store);
    assert_eq!(start(&path).await, Ok(state));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let (folder, _) = folder();
    File::create(folder.path().join("file")).unwrap();
    let error = SqliteStore::open(&folder.path().join("file/irsa.db")).unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable { reason } if reason.contains("file")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_backup_tool_can_read_it_meanwhile() {
    let (folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(Transaction::default().put("k", "v")).await.unwrap();
    let copy = folder.path().join("copy.db");
    rusqlite::Connection::open(&path)
        .and_then(|sql| sql.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]))
        .unwrap();
    store.commit(Transaction::default().put("k", "v2")).await.unwrap();
    let (revision, entries) = start(&copy).await.unwrap();
    assert_eq!((revision, &entries[0].value[..]), (1, &b"v"[..]));
}
