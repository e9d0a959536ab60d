//! The object store alone: crashes, full disks, damage, and listings against a naive reference.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures_util::StreamExt as _;
use irsa_core::AccountId;
use proptest::prelude::*;

use super::*;
use crate::bucket::{BucketRecord, BucketSettings};
use crate::permit::Verb;
use crate::target::{Allowed, Target};

mod migration;
mod multipart;
mod versions;

/// A bucket that is the same in every process.
fn record() -> BucketRecord {
    BucketRecord {
        name: "my-bucket".to_owned(),
        id: Uuid::from_u128(7),
        account: AccountId::from_number(1).unwrap(),
        region: "us-east-1".to_owned(),
        created: Timestamp::from_unix_seconds(0),
        settings: BucketSettings::default(),
    }
}

fn permit<V: Verb>(key: Option<&str>) -> Permit<V> {
    let target = Target {
        event_name: "Test",
        action: V::ACTION,
        bucket: Some("my-bucket".to_owned()),
        key: key.map(str::to_owned),
        version: None,
        resource_arn: String::new(),
        resource_account: None,
        context: Vec::new(),
        read_only: false,
        data_event: true,
    };
    Permit::new(&Allowed::decided(&Arc::new(target)), &record()).unwrap()
}

struct NoDigest;

impl Digest for NoDigest {
    fn update(&mut self, _bytes: &[u8]) {}
}

async fn put(store: &ObjectStore, key: &str, content: impl Into<Bytes>) -> Result<(), ObjectStoreError> {
    let permit: Permit<WriteObject> = permit(Some(key));
    let staged = store.stage(&permit);
    let (staged, digest) = staged.push(content.into(), NoDigest).await?;
    let (staged, _) = staged.finish(digest).await?;
    let row = NewRow {
        etag: format!("etag of {key}"),
        modified: Timestamp::from_unix_seconds(0),
        attributes: Attributes::default(),
        tags: Tags::new(),
    };
    let done = store.commit(permit, staged, row, Precondition::None).await?;
    assert!(done.is_ok());
    Ok(())
}

async fn get(store: &ObjectStore, key: &str) -> Option<Vec<u8>> {
    let read = store
        .read::<std::convert::Infallible, _>(
            permit(Some(key)),
            None,
            || unreachable!(),
            |row, _| Ok(Some(0..row.size)),
        )
        .await;
    let content = read.unwrap()?.unwrap().content;
    let pieces: Vec<Bytes> = content.map(Result::unwrap).collect().await;
    Some(pieces.concat())
}

async fn delete(store: &ObjectStore, key: &str) -> bool {
    store
        .delete(permit(Some(key)), Precondition::None, Timestamp::from_unix_seconds(0))
        .await
        .unwrap()
        .unwrap()
        .existed
}

/// The content files on disk.
fn files(root: &Path) -> usize {
    let folders = fs::read_dir(root.join("content")).unwrap();
    folders
        .map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

/// Waits for a thread that removes files: up to ten seconds, and no longer than needed.
fn until(what: impl Fn() -> bool) -> bool {
    (0..1000).any(|_| {
        what() || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            false
        }
    })
}

#[tokio::test]
async fn objects_outlive_the_process_and_old_contents_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "a", "one").await.unwrap();
    put(&store, "a/b", "two").await.unwrap();
    put(&store, "a", vec![b'x'; 1_000_000]).await.unwrap();
    put(&store, "gone", "three").await.unwrap();
    assert!(delete(&store, "gone").await);
    assert!(!delete(&store, "gone").await);
    assert!(until(|| files(folder.path()) == 2));
    drop(store);
    let store = ObjectStore::open(folder.path()).unwrap();
    assert_eq!(get(&store, "a").await.unwrap(), vec![b'x'; 1_000_000]);
    assert_eq!(get(&store, "a/b").await.unwrap(), b"two");
    assert_eq!(get(&store, "gone").await, None);
    assert_eq!(get(&store, "A").await, None);
}

#[tokio::test]
async fn a_reader_finishes_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "a", vec![b'x'; 3_000_000]).await.unwrap();
    let read = store
        .read::<(), _>(permit(Some("a")), None, || (), |row, _| Ok(Some(1_000_000..row.size)))
        .await;
    let mut content = read.unwrap().unwrap().unwrap().content;
    let first = content.next().await.unwrap().unwrap();
    put(&store, "a", "new").await.unwrap();
    assert!(until(|| files(folder.path()) == 1));
    let rest: Vec<Bytes> = content.map(Result::unwrap).collect().await;
    assert_eq!(first.len() + rest.concat().len(), 2_000_000);
    assert!(rest.concat().iter().all(|byte| *byte == b'x'));
    assert_eq!(get(&store, "a").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_content_cut_short_is_an_error_and_not_a_short_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "a", vec![b'x'; 500_000]).await.unwrap();
    for entry in fs::read_dir(folder.path().join("content")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            File::options()
                .write(true)
                .open(file.unwrap().path())
                .unwrap()
                .set_len(400_000)
                .unwrap();
        }
    }
    let read = store
        .read::<(), _>(permit(Some("a")), None, || (), |row, _| Ok(Some(0..row.size)))
        .await;
    let content = read.unwrap().unwrap().unwrap().content;
    let pieces: Vec<_> = content.collect().await;
    assert!(pieces.last().unwrap().is_err());
}

#[tokio::test]
async fn an_upload_that_ends_early_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let permit: Permit<WriteObject> = permit(Some("a"));
    let staged = store.stage(&permit);
    let (staged, _) = staged.push(vec![0; 400_000].into(), NoDigest).await.unwrap();
    let uploads = folder.path().join("uploads");
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 1);
    drop(staged);
    assert!(until(|| fs::read_dir(&uploads).unwrap().count() == 0));
    assert_eq!(files(folder.path()), 0);
}

#[tokio::test]
async fn a_commit_stands_when_its_caller_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    for number in 0..40_u32 {
        let store = store.clone();
        let key = format!("k{number}");
        let upload = tokio::spawn(async move { put(&store, &key, "content").await });
        // Some are cut off at once, some later, some never.
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
        if number % 4 != 0 {
            upload.abort();
        }
        let _ = upload.await;
    }
    // Whatever became of them: what is listed can be read, and nothing else is on disk.
    drop(store);
    let store = ObjectStore::open(folder.path()).unwrap();
    let page = store
        .list(
            permit(None),
            ListQuery {
                limit: 1000,
                ..ListQuery::default()
            },
        )
        .await
        .unwrap();
    for entry in &page.entries {
        assert_eq!(get(&store, entry.position()).await.unwrap(), b"content");
    }
    assert!(page.entries.len() >= 10);
    assert!(
        until(|| files(folder.path()) == page.entries.len()),
        "{} files",
        files(folder.path())
    );
}

#[tokio::test]
async fn a_closed_bucket_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "a", "x").await.unwrap();
    assert!(!store.close_bucket(&permit(None)).await.unwrap());
    // An upload that began before the bucket went does not land in its successor.
    let late: Permit<WriteObject> = permit(Some("late"));
    let staged = store.stage(&late);
    delete(&store, "a").await;
    assert!(store.close_bucket(&permit(None)).await.unwrap());
    let row = NewRow {
        etag: String::new(),
        modified: Timestamp::from_unix_seconds(0),
        attributes: Attributes::default(),
        tags: Tags::new(),
    };
    let refused = store
        .commit(late.clone(), staged, row.clone(), Precondition::None)
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err(), Refused::BucketGone);
    store.reopen_bucket(&permit(None)).await.unwrap();
    let staged = store.stage(&late);
    assert!(
        store
            .commit(late, staged, row, Precondition::None)
            .await
            .unwrap()
            .is_ok()
    );
}

#[test]
fn a_folder_is_opened_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    assert!(matches!(
        ObjectStore::open(folder.path()),
        Err(ObjectStoreError::Locked(_))
    ));
    drop(store);
    ObjectStore::open(folder.path()).unwrap();
}

#[test]
fn damage_and_the_future_are_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(ObjectStore::open(folder.path()).unwrap());
    let path = folder.path().join("index.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 3").unwrap();
    drop(connection);
    let error = ObjectStore::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, ObjectStoreError::Newer { found: 3, known: 2 }),
        "{error}"
    );
    // The sweep of the first opening may still have read what it read, and then a log stays that has the old pages.
    for log in ["index.db-wal", "index.db-shm"] {
        drop(fs::remove_file(folder.path().join(log)));
    }
    fs::write(
        &path,
        "this is not a database, and longer than the header of one, which has one hundred bytes in it.....",
    )
    .unwrap();
    let error = ObjectStore::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
}

/// Runs one test of this file in a process of its own, with a folder to work in.
fn child(test: &str, folder: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(
            "{shell}exec \"$0\" --exact store::tests::{test} --nocapture --test-threads=1"
        ))
        .arg(std::env::current_exe().unwrap())
        .env("IRSA_S3_TEST_FOLDER", folder)
        .stderr(Stdio::null());
    command
}

/// In a child process: puts objects, and says which are on disk.
#[tokio::test]
async fn child_puts_until_it_is_killed() {
    let Some(folder) = std::env::var_os("IRSA_S3_TEST_FOLDER") else {
        return;
    };
    let store = ObjectStore::open(Path::new(&folder)).unwrap();
    let puts = (0..4_usize).map(|lane| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..100_000_usize {
                // Every tenth replaces the one before, and some are large.
                let key = format!("{lane}/{}", number - number % 10 / 9);
                put(&store, &key, content_of(&key)).await.unwrap();
                say(&format!("put {key} done"));
            }
        })
    });
    futures_util::future::join_all(puts).await;
}

/// Tells the parent process.
fn say(line: &str) {
    use io::Write as _;
    // The harness may be in the middle of a line of its own. The parent may be gone.
    let _ = writeln!(io::stdout().lock(), "\n{line}");
}

fn content_of(key: &str) -> Bytes {
    let repeats = if key.ends_with('5') { 60_000 } else { 10 };
    key.repeat(repeats).into()
}

#[tokio::test]
async fn kill_9_loses_no_acknowledged_object() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let mut process = child("child_puts_until_it_is_killed", folder.path(), "")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut count = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(key) = line.strip_prefix("put ").and_then(|rest| rest.strip_suffix(" done")) {
                acknowledged.insert(key.to_owned());
                count += 1;
            }
            if count == 25 + round * 7 {
                // SIGKILL: nothing of the process gets to run any more.
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        assert!(count >= 25);

        let store = ObjectStore::open(folder.path()).unwrap();
        for key in &acknowledged {
            assert_eq!(get(&store, key).await.as_deref(), Some(&*content_of(key)), "{key}");
        }
        // What was not acknowledged is there whole or not at all, and what the crash left over is swept.
        let page = store
            .list(
                permit(None),
                ListQuery {
                    limit: 100_000,
                    ..ListQuery::default()
                },
            )
            .await
            .unwrap();
        for entry in &page.entries {
            assert_eq!(
                get(&store, entry.position()).await.unwrap(),
                content_of(entry.position())
            );
        }
        assert!(until(|| files(folder.path()) == page.entries.len()));
        assert_eq!(fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
    }
}

/// In a child process whose files cannot grow past a limit: what a full disk looks like to a writer.
#[tokio::test]
async fn child_with_a_full_disk() {
    let Some(folder) = std::env::var_os("IRSA_S3_TEST_FOLDER") else {
        return;
    };
    let root = Path::new(&folder);
    let store = ObjectStore::open(root).unwrap();
    put(&store, "before", "small").await.unwrap();
    let error = put(&store, "large", vec![b'x'; 8 * 1024 * 1024]).await.unwrap_err();
    assert!(
        matches!(error, ObjectStoreError::File { action: "write", .. }),
        "{error}"
    );
    assert_eq!(get(&store, "large").await, None);
    assert!(until(|| fs::read_dir(root.join("uploads")).unwrap().count() == 0));
    // Nothing else is harmed.
    put(&store, "after", "small").await.unwrap();
    assert!(delete(&store, "before").await);
    assert_eq!(get(&store, "after").await.unwrap(), b"small");
    // The index fills up too, in the end; its writes fail and what was written stays.
    let mut last = 0;
    let error = loop {
        let key = format!("{last:06}{}", "k".repeat(1000));
        match put(&store, &key, "x").await {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
        assert!(last < 20_000);
    };
    assert!(matches!(error, ObjectStoreError::Index(_)), "{error}");
    assert_eq!(get(&store, "after").await.unwrap(), b"small");
    assert_eq!(
        get(&store, &format!("{:06}{}", last - 1, "k".repeat(1000)))
            .await
            .unwrap(),
        b"x"
    );
    say("full disk survived");
}

#[test]
fn a_full_disk_fails_the_request_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // Blocks of 512 bytes; the signal that comes with the limit is ignored, so that the write fails instead.
    let output = child(
        "child_with_a_full_disk",
        folder.path(),
        "trap '' XFSZ; ulimit -f 2000; ",
    )
    .output()
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("full disk survived"), "{text}");
}

/// The definition of a listing, without any cleverness.
fn naive(keys: &BTreeSet<String>, query: &ListQuery) -> (Vec<(bool, String)>, bool) {
    let mut entries: Vec<(bool, String)> = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(&query.prefix) else {
            continue;
        };
        let common = (!query.delimiter.is_empty())
            .then(|| rest.find(&query.delimiter))
            .flatten()
            .map(|at| format!("{}{}", query.prefix, &rest[..at + query.delimiter.len()]));
        let entry = common.map_or_else(|| (false, key.clone()), |common| (true, common));
        if entry.1 > query.after && entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    let truncated = query.limit > 0 && entries.len() > query.limit;
    entries.truncate(query.limit);
    (entries, truncated)
}

fn flat(page: &ListPage) -> Vec<(bool, String)> {
    page.entries
        .iter()
        .map(|entry| (matches!(entry, Listed::Prefix(_)), entry.position().to_owned()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn listings_are_what_they_are_defined_to_be(
        keys in proptest::collection::btree_set("[ab/\u{e4}\u{10ffff}]{1,6}", 0..40),
        prefix in prop_oneof![3 => Just(String::new()), 2 => "[ab/\u{e4}]{0,3}"],
        delimiter in prop_oneof![Just(String::new()), Just("/".to_owned()), Just("b/".to_owned()), Just("\u{10ffff}".to_owned())],
        after in prop_oneof![Just(String::new()), "[ab/\u{e4}\u{10ffff}]{0,4}"],
        limit in 0_usize..8,
    ) {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        index::create_tables(&connection);
        let bucket = Uuid::from_u128(7);
        for (number, key) in keys.iter().enumerate() {
            // A neighbour on either side must not be seen.
            for (offset, id) in [(0_u128, 6_u128), (1, 7), (2, 8)] {
                let content = (number as u128 * 3 + offset).to_be_bytes();
                connection
                    .execute(
                        "INSERT INTO objects (bucket, key, content, size, etag, modified, attributes)
                         VALUES (?1, ?2, ?3, 0, '', 0, '{}')",
                        rusqlite::params![bucket_key(Uuid::from_u128(id)), key.as_bytes(), content],
                    )
                    .unwrap();
            }
        }
        let query = ListQuery { prefix, delimiter, after, limit };
        let page = listing::list(&connection, bucket, &query).unwrap();
        let (expected, truncated) = naive(&keys, &query);
        prop_assert_eq!(flat(&page), expected);
        prop_assert_eq!(page.truncated, truncated);

        // Page by page, everything comes once and in order.
        if limit > 0 {
            let mut query = ListQuery { after: String::new(), ..query };
            let (whole, _) = naive(&keys, &ListQuery { limit: usize::MAX, ..query.clone() });
            let mut pages = Vec::new();
            loop {
                let page = listing::list(&connection, bucket, &query).unwrap();
                pages.extend(flat(&page));
                let Some(last) = page.entries.last().filter(|_| page.truncated) else { break };
                query.after = last.position().to_owned();
            }
            prop_assert_eq!(pages, whole);
        }
    }
}

#[cfg(unix)]
fn modes(folder: &Path) -> Vec<(PathBuf, bool, u32)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = vec![(
        folder.to_owned(),
        true,
        fs::metadata(folder).unwrap().permissions().mode(),
    )];
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(modes(&entry.path()));
        } else {
            found.push((entry.path(), false, entry.metadata().unwrap().permissions().mode()));
        }
    }
    found
}

#[cfg(unix)]
#[track_caller]
fn assert_private(root: &Path, files: usize) {
    let modes = modes(root);
    for (path, is_folder, mode) in &modes {
        let wanted = if *is_folder { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o777, wanted, "{} has mode {mode:o}", path.display());
    }
    assert_eq!(
        modes.iter().filter(|(_, is_folder, _)| !is_folder).count(),
        files,
        "{modes:?}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_open_anything() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    // Somebody else made the folder above.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let root = folder.path().join("a").join("objects");
    let store = ObjectStore::open(&root).unwrap();
    put(&store, "small", "x").await.unwrap();
    put(&store, "large", vec![7; 1_000_000]).await.unwrap();
    let staged = store.stage(&permit::<WriteObject>(Some("on its way")));
    let (staged, _) = staged.push(vec![7; 1_000_000].into(), NoDigest).await.unwrap();
    // A lock, the index with its two companions, two objects and an upload.
    assert_private(&root, 7);
    drop((staged, store));

    // A folder of an earlier release, or one that was restored carelessly.
    for (path, is_folder, _) in modes(&root) {
        let mode = if is_folder { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let store = ObjectStore::open(&root).unwrap();
    assert_eq!(get(&store, "small").await.unwrap(), b"x");
    sweep::sweep(&store.inner.contents, &store.inner.index.readers()).unwrap();
    assert_private(&root, 6);
    assert_eq!(get(&store, "large").await.unwrap().len(), 1_000_000);
}
