//! The object store alone: crashes and damage.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use futures_util::StreamExt as _;
use irsa_core::AccountId;
use proptest::prelude::*;

use super::*;
use crate::bucket::{BucketRecord, BucketSettings, Versioning};
use crate::permit::Verb;
use crate::target::{Allowed, Target};

mod disk;
mod listings;
mod migration;
mod model;
mod multipart;
mod recent;
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
    permit_of(key, None)
}

fn permit_of<V: Verb>(key: Option<&str>, version: Option<Version>) -> Permit<V> {
    let mut target = Target {
        event_name: "Test",
        action: V::ACTION,
        bucket: Some("my-bucket".to_owned()),
        bucket_id: None,
        key: key.map(str::to_owned),
        version: None,
        resource_arn: String::new(),
        resource_account: None,
        context: Vec::new(),
        read_only: false,
        data_event: true,
    };
    target.set_version(version.map(|version| version.to_string()).as_deref());
    Permit::new(&Allowed::decided(&Arc::new(target)), &record()).unwrap()
}

/// A bucket whose versioning stays as it is.
fn status(versioning: Versioning) -> Status {
    Arc::new(move || Some(versioning))
}

struct NoDigest;

impl Digest for NoDigest {
    fn update(&mut self, _bytes: &[u8]) {}
}

async fn put(store: &ObjectStore, key: &str, content: impl Into<Bytes>) -> Result<(), ObjectStoreError> {
    write(store, key, content, Versioning::Off).await.map(drop)
}

async fn write(
    store: &ObjectStore,
    key: &str,
    content: impl Into<Bytes>,
    versioning: Versioning,
) -> Result<Written, ObjectStoreError> {
    let permit: Permit<WriteObject> = permit(Some(key));
    let staged = store.stage(&permit);
    let (staged, digest) = staged.push(content.into(), NoDigest).await?;
    let (staged, _) = staged.finish(digest).await?;
    let done = store
        .commit(permit, staged, new_row(key), Precondition::None, status(versioning))
        .await?;
    Ok(done.unwrap())
}

fn new_row(key: &str) -> NewRow {
    NewRow {
        etag: format!("etag of {key}"),
        modified: Timestamp::from_unix_seconds(0),
        attributes: Attributes::default(),
        tags: Tags::new(),
    }
}

async fn get(store: &ObjectStore, key: &str) -> Option<Vec<u8>> {
    get_version(store, key, None).await.ok()
}

async fn get_version(store: &ObjectStore, key: &str, version: Option<Version>) -> Result<Vec<u8>, Refused> {
    let read = store
        .read::<std::convert::Infallible, _>(permit_of(Some(key), version), None, |row, _| Ok(Some(0..row.size)))
        .await;
    match read.unwrap() {
        Ok(found) => Ok(bytes_of(found.content).await),
        Err(NotDone::Refused(refused)) => Err(refused),
    }
}

async fn bytes_of(content: Content) -> Vec<u8> {
    let pieces: Vec<Bytes> = content.map(Result::unwrap).collect().await;
    pieces.concat()
}

/// Opens these bytes of an object.
async fn open(store: &ObjectStore, key: &str, bytes: std::ops::RangeFrom<u64>) -> Content {
    let read = store
        .read::<(), _>(permit(Some(key)), None, move |row, _| Ok(Some(bytes.start..row.size)))
        .await;
    read.unwrap().unwrap().content
}

async fn delete(store: &ObjectStore, key: &str) -> bool {
    remove(store, key, None, Versioning::Off).await.existed
}

async fn remove(store: &ObjectStore, key: &str, version: Option<Version>, versioning: Versioning) -> Deleted {
    store
        .delete(
            permit_of(Some(key), version),
            Precondition::None,
            Timestamp::from_unix_seconds(1),
            status(versioning),
        )
        .await
        .unwrap()
        .unwrap()
}

async fn keys(store: &ObjectStore) -> Vec<String> {
    let query = ListQuery {
        limit: 100_000,
        ..ListQuery::default()
    };
    let page = store.list(permit(None), query).await.unwrap();
    page.entries.iter().map(|entry| entry.position().to_owned()).collect()
}

/// The content files on disk.
fn files(root: &Path) -> usize {
    let folders = fs::read_dir(root.join("content")).unwrap();
    folders
        .map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

/// The content files on disk when all is removed that nobody needs.
fn files_left(store: &ObjectStore, root: &Path) -> usize {
    store.inner.contents.flush();
    files(root)
}

/// The same after a crash: what it left over is swept.
fn files_swept(store: &ObjectStore, root: &Path) -> usize {
    sweep::sweep(
        &store.inner.contents,
        &store.inner.index.readers(),
        &AtomicBool::new(false),
    )
    .unwrap();
    files_left(store, root)
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
    assert_eq!(files_left(&store, folder.path()), 2);
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
    let mut content = open(&store, "a", 1_000_000..).await;
    let first = content.next().await.unwrap().unwrap();
    put(&store, "a", "new").await.unwrap();
    assert_eq!(files_left(&store, folder.path()), 1);
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
    let pieces: Vec<_> = open(&store, "a", 0..).await.collect().await;
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
    assert_eq!(files_left(&store, folder.path()), 0);
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 0);
}

#[test]
fn a_commit_stands_when_its_caller_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let first = runtime();
    first.block_on(async {
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
    });
    // A runtime ends when its threads that may wait are done, and a store when its writer is; then all is removed that is to go.
    drop(first);
    let contents = Arc::clone(&store.inner.contents);
    drop(store);
    contents.flush();
    // Whatever became of them: what is listed can be read, and nothing else is on disk.
    let store = ObjectStore::open(folder.path()).unwrap();
    runtime().block_on(async {
        let keys = keys(&store).await;
        for key in &keys {
            assert_eq!(get(&store, key).await.unwrap(), b"content");
        }
        assert!(keys.len() >= 10);
        assert_eq!(files_left(&store, folder.path()), keys.len());
    });
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
    let commit = |staged, status| store.commit(late.clone(), staged, new_row("late"), Precondition::None, status);
    let refused = commit(staged, status(Versioning::Off)).await.unwrap();
    assert_eq!(refused.unwrap_err(), Refused::BucketGone);
    store.reopen_bucket(&permit(None)).await.unwrap();
    // Nor if the registry has forgotten the bucket.
    let refused = commit(store.stage(&late), Arc::new(|| None)).await.unwrap();
    assert_eq!(refused.unwrap_err(), Refused::BucketGone);
    let done = commit(store.stage(&late), status(Versioning::Off)).await.unwrap();
    assert!(done.is_ok());
    assert_eq!(files_left(&store, folder.path()), 1);
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
    connection.execute_batch("PRAGMA user_version = 4").unwrap();
    drop(connection);
    let error = ObjectStore::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, ObjectStoreError::Newer { found: 4, known: 3 }),
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

/// Runs one test of these in a process of its own, with a folder to work in.
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

/// The folder to work in; `None`: this is not the child process.
fn child_folder() -> Option<PathBuf> {
    std::env::var_os("IRSA_S3_TEST_FOLDER").map(PathBuf::from)
}

/// Runs one test in a process of its own, which is killed when it has said `enough` lines that begin so. What it said: each line was said
/// when it was so.
fn killed(test: &str, folder: &Path, begin: &str, enough: usize) -> Vec<String> {
    let mut process = child(test, folder, "").stdout(Stdio::piped()).spawn().unwrap();
    let mut said = Vec::new();
    let mut count = 0;
    for line in BufReader::new(process.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
    {
        count += usize::from(line.starts_with(begin));
        said.push(line);
        if count == enough {
            // SIGKILL: nothing of the process gets to run any more.
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    assert!(count >= enough, "{said:?}");
    said
}

/// In a child process: puts objects, and says which are on disk.
#[tokio::test]
async fn child_puts_until_it_is_killed() {
    let Some(folder) = child_folder() else { return };
    let store = ObjectStore::open(&folder).unwrap();
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
        let said = killed("child_puts_until_it_is_killed", folder.path(), "put ", 25 + round * 7);
        let keys_said = said
            .iter()
            .filter_map(|line| line.strip_prefix("put ")?.strip_suffix(" done"));
        acknowledged.extend(keys_said.map(str::to_owned));

        let store = ObjectStore::open(folder.path()).unwrap();
        for key in &acknowledged {
            assert_eq!(get(&store, key).await.as_deref(), Some(&*content_of(key)), "{key}");
        }
        // What was not acknowledged is there whole or not at all, and what the crash left over is swept.
        let keys = keys(&store).await;
        for key in &keys {
            assert_eq!(get(&store, key).await.unwrap(), content_of(key));
        }
        assert_eq!(files_swept(&store, folder.path()), keys.len());
        assert_eq!(fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
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
    sweep::sweep(
        &store.inner.contents,
        &store.inner.index.readers(),
        &AtomicBool::new(false),
    )
    .unwrap();
    assert_private(&root, 6);
    assert_eq!(get(&store, "large").await.unwrap().len(), 1_000_000);
}
