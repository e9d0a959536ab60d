//! Versions: the whole store against a simple model, its listings against a naive reference, and crashes.

use std::collections::BTreeMap;

use super::multipart::{begin, complete_in, upload};
use super::*;

/// From old to new: the version, and its content, or nothing for a delete marker.
type History = Vec<(Version, Option<Vec<u8>>)>;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    /// Of two parts.
    Upload(u8, u8),
    /// From one key's newest version, or one of its others, to another key.
    Copy(u8, Option<usize>, u8),
    Delete(u8),
    /// Removes one of the versions that there are, by its place.
    Remove(u8, usize),
    Tag(u8, usize, u8),
    Versioning(bool),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, any::<u8>()).prop_map(|(key, fill)| Step::Put(key, fill)),
        2 => (0..4_u8, any::<u8>()).prop_map(|(key, fill)| Step::Upload(key, fill)),
        3 => (0..4_u8, proptest::option::of(0..6_usize), 0..4_u8).prop_map(|(from, at, to)| Step::Copy(from, at, to)),
        3 => (0..4_u8).prop_map(Step::Delete),
        5 => (0..4_u8, 0..6_usize).prop_map(|(key, at)| Step::Remove(key, at)),
        2 => (0..4_u8, 0..6_usize, any::<u8>()).prop_map(|(key, at, tag)| Step::Tag(key, at, tag)),
        2 => any::<bool>().prop_map(Step::Versioning),
        1 => Just(Step::Reopen),
    ]
}

const KEYS: [&str; 4] = ["a", "a/1", "a/2", "b"];

fn key(number: u8) -> &'static str {
    KEYS[usize::from(number)]
}

/// The store, and what it should hold.
struct World {
    root: tempfile::TempDir,
    store: ObjectStore,
    versioning: Versioning,
    histories: BTreeMap<&'static str, History>,
    /// Of versions that have some.
    tags: BTreeMap<(&'static str, String), Tags>,
    /// Content files of uploads in parts.
    parts: BTreeMap<String, usize>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            store: ObjectStore::open(root.path()).unwrap(),
            root,
            versioning: Versioning::Off,
            histories: KEYS.into_iter().map(|key| (key, Vec::new())).collect(),
            tags: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }

    /// A version comes in the place of an older one of its id.
    fn push(&mut self, key: &'static str, version: Version, content: Option<Vec<u8>>) {
        self.forget(key, version);
        self.histories.get_mut(key).unwrap().push((version, content));
    }

    fn forget(&mut self, key: &'static str, version: Version) {
        self.histories.get_mut(key).unwrap().retain(|(old, _)| *old != version);
        self.tags.remove(&(key, version.to_string()));
        self.parts.remove(&format!("{key} {version}"));
    }

    fn at(&self, key: &'static str, at: usize) -> Option<(Version, Option<Vec<u8>>)> {
        self.histories[key].get(at).cloned()
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Versioning(true) => self.versioning = Versioning::Enabled,
            // One that was never enabled stays off: only a bucket that has versions can stop making them.
            Step::Versioning(false) if self.versioning == Versioning::Off => {}
            Step::Versioning(false) => self.versioning = Versioning::Suspended,
            Step::Reopen => {
                let store = std::mem::replace(
                    &mut self.store,
                    ObjectStore::open(&self.root.path().join("other")).unwrap(),
                );
                drop(store);
                self.store = ObjectStore::open(self.root.path()).unwrap();
                fs::remove_dir_all(self.root.path().join("other")).unwrap();
            }
            Step::Put(number, fill) => {
                let content = vec![fill; usize::from(fill) + 1];
                let written = write(&self.store, key(number), content.clone(), self.versioning)
                    .await
                    .unwrap();
                self.written(key(number), &written, content);
            }
            Step::Upload(number, fill) => {
                let key = key(number);
                let id = begin(&self.store, key).await;
                upload(&self.store, key, id, 1, vec![fill; 5]).await.unwrap();
                upload(&self.store, key, id, 2, vec![1; usize::from(fill)])
                    .await
                    .unwrap();
                let done = complete_in(&self.store, key, id, &[1, 2], self.versioning)
                    .await
                    .unwrap();
                assert_eq!(done.version.is_none(), self.versioning == Versioning::Off);
                let version = done.version.unwrap_or_default();
                self.push(key, version, Some([vec![fill; 5], vec![1; usize::from(fill)]].concat()));
                self.parts.insert(format!("{key} {version}"), 2);
            }
            Step::Copy(from, at, to) => self.copy(key(from), at, key(to)).await,
            Step::Delete(number) => {
                let deleted = remove(&self.store, key(number), None, self.versioning).await;
                let newest = self.histories[key(number)].last();
                assert_eq!(deleted.existed, newest.is_some_and(|(_, content)| content.is_some()));
                assert_eq!(deleted.marker, self.versioning != Versioning::Off);
                match deleted.version {
                    None => self.forget(key(number), Version::NULL),
                    Some(version) => self.push(key(number), version, None),
                }
            }
            Step::Remove(number, at) => {
                let (version, there) = match self.at(key(number), at) {
                    Some((version, content)) => (version, Some(content.is_none())),
                    None => (self.store.inner.index.naming().name(7), None),
                };
                let deleted = remove(&self.store, key(number), Some(version), self.versioning).await;
                assert_eq!((deleted.existed, deleted.version), (there.is_some(), Some(version)));
                assert_eq!(deleted.marker, there == Some(true));
                self.forget(key(number), version);
            }
            Step::Tag(number, at, tag) => {
                let Some((version, content)) = self.at(key(number), at) else {
                    return;
                };
                let tags: Tags = vec![("tag".to_owned(), tag.to_string())];
                let permit = permit_with_tags(key(number), version, self.tags.get(&(key(number), version.to_string())));
                let done = self.store.set_tags(permit, tags.clone()).await.unwrap();
                match content {
                    Some(_) => {
                        assert_eq!(done, Ok(version));
                        self.tags.insert((key(number), version.to_string()), tags);
                    }
                    None => assert!(matches!(done, Err(Refused::Marker(marker)) if marker.version == version)),
                }
            }
        }
    }

    fn written(&mut self, key: &'static str, written: &Written, content: Vec<u8>) {
        assert_eq!(written.version.is_none(), self.versioning == Versioning::Off);
        assert_eq!(
            written.row.version != Version::NULL,
            self.versioning == Versioning::Enabled
        );
        assert!(written.version.is_none_or(|version| version == written.row.version));
        self.push(key, written.row.version, Some(content));
    }

    async fn copy(&mut self, from: &'static str, at: Option<usize>, to: &'static str) {
        let wanted = match at {
            None => None,
            Some(at) => match self.at(from, at) {
                Some((version, _)) => Some(version),
                None => return,
            },
        };
        let expected = match wanted {
            None => self.histories[from].last().cloned(),
            Some(wanted) => self.histories[from]
                .iter()
                .find(|(version, _)| *version == wanted)
                .cloned(),
        };
        let seen = expected
            .as_ref()
            .and_then(|(version, _)| self.tags.get(&(from, version.to_string())));
        let source: Permit<ReadObject> = permit_seeing(from, wanted, seen);
        let found = self
            .store
            .read::<(), _>(source.clone(), None, |_, _| Ok(None))
            .await
            .unwrap();
        let Some((version, Some(content))) = expected else {
            assert!(matches!(found, Err(NotDone::Refused(_))));
            return;
        };
        let row = found.unwrap().row;
        assert_eq!(row.version, version);
        if row.parts > 0 {
            // What was uploaded in parts is copied byte by byte: by others.
            return;
        }
        let linked = self
            .store
            .link(
                &source,
                row.content,
                permit(Some(to)),
                new_row(to),
                status(self.versioning),
            )
            .await;
        let written = linked.unwrap().unwrap().unwrap();
        self.written(to, &written, content);
    }

    /// Everything that a client can see is as the model says.
    async fn check(&self, limits: &[usize]) {
        let mut current = Vec::new();
        let mut listed = Vec::new();
        for (key, history) in &self.histories {
            let newest = history.last().map(|(version, content)| (version, content.clone()));
            let seen = |version: &Version| self.tags.get(&(*key, version.to_string()));
            let expected = newest.clone().and_then(|(_, content)| content);
            if expected.is_some() {
                current.push((*key).to_owned());
            }
            let found = read_seeing(&self.store, key, None, newest.and_then(|(version, _)| seen(version))).await;
            match (found, history.last()) {
                (Ok(found), Some((_, Some(content)))) => assert!(found == *content, "{key}"),
                (Err(Refused::Marker(marker)), Some((version, None))) => assert_eq!(marker.version, *version),
                (Err(Refused::NoSuchKey), None) => {}
                (found, newest) => panic!("{key}: {found:?}, not {newest:?}"),
            }
            for (number, (version, content)) in history.iter().enumerate().rev() {
                listed.push((
                    (*key).to_owned(),
                    version.to_string(),
                    content.as_ref().map(Vec::len),
                    number + 1 == history.len(),
                ));
                match (
                    read_seeing(&self.store, key, Some(*version), seen(version)).await,
                    content,
                ) {
                    (Ok(found), Some(content)) => assert!(found == *content, "{key} {version}"),
                    (Err(Refused::Marker(marker)), None) => assert_eq!(marker.version, *version),
                    (found, _) => panic!("{key} {version}: {found:?}"),
                }
                let tags = self
                    .store
                    .tags_to_decide(Uuid::from_u128(7), key, Some(*version))
                    .await
                    .unwrap();
                assert_eq!(tags, seen(version).cloned().unwrap_or_default());
            }
            let unknown = self.store.inner.index.naming().name(1);
            assert_eq!(
                get_version(&self.store, key, Some(unknown)).await,
                Err(Refused::NoSuchVersion)
            );
        }
        assert_eq!(keys(&self.store).await, current);
        for limit in limits {
            assert_eq!(pages(&self.store, "", "", *limit).await, listed);
        }
    }
}

fn permit_with_tags<V: Verb>(key: &str, version: Version, seen: Option<&Tags>) -> Permit<V> {
    permit_seeing(key, Some(version), seen)
}

/// A permit whose decision saw these tags.
fn permit_seeing<V: Verb>(key: &str, version: Option<Version>, seen: Option<&Tags>) -> Permit<V> {
    let mut target = permit_of::<V>(Some(key), version).target().clone();
    for (name, value) in seen.into_iter().flatten() {
        let name = format!("{}{name}", crate::permit::EXISTING_TAG);
        target.context.push((name.into(), vec![value.clone()]));
    }
    Permit::new(&Allowed::decided(&Arc::new(target)), &record()).unwrap()
}

async fn read_seeing(
    store: &ObjectStore,
    key: &str,
    version: Option<Version>,
    seen: Option<&Tags>,
) -> Result<Vec<u8>, Refused> {
    let permit = permit_seeing(key, version, seen);
    let read = store.read::<(), _>(permit, None, |row, _| Ok(Some(0..row.size))).await;
    match read.unwrap() {
        Ok(found) => Ok(bytes_of(found.content).await),
        Err(NotDone::Refused(refused)) => Err(refused),
        Err(NotDone::Plan(())) => unreachable!(),
    }
}

/// Key, version, size unless it is a marker, and whether it is the latest. Of a common prefix: the prefix, and nothing.
type Entry = (String, String, Option<usize>, bool);

/// The whole listing, page by page.
async fn pages(store: &ObjectStore, prefix: &str, delimiter: &str, limit: usize) -> Vec<Entry> {
    let mut query = VersionQuery {
        prefix: prefix.to_owned(),
        delimiter: delimiter.to_owned(),
        limit,
        ..VersionQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = store.list_versions(permit(None), query.clone()).await.unwrap();
        assert!(page.entries.len() <= limit && (!page.truncated || page.entries.len() == limit));
        found.extend(page.entries.iter().map(flat));
        let Some(last) = page.entries.last().filter(|_| page.truncated) else {
            break;
        };
        (query.after, query.after_version) = position(last);
    }
    found
}

fn flat(entry: &ListedVersion) -> Entry {
    match entry {
        ListedVersion::Object { key, row, latest } => (
            key.clone(),
            row.version.to_string(),
            Some(usize::try_from(row.size).unwrap()),
            *latest,
        ),
        ListedVersion::Marker {
            key, version, latest, ..
        } => (key.clone(), version.to_string(), None, *latest),
        ListedVersion::Prefix(prefix) => (prefix.clone(), String::new(), None, false),
    }
}

fn position(entry: &ListedVersion) -> (String, Option<Version>) {
    match entry {
        ListedVersion::Object { key, row, .. } => (key.clone(), Some(row.version)),
        ListedVersion::Marker { key, version, .. } => (key.clone(), Some(*version)),
        ListedVersion::Prefix(prefix) => (prefix.clone(), None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_store_is_what_a_model_says(steps in proptest::collection::vec(step(), 1..36)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.run(step).await;
                world.check(&[1000]).await;
            }
            // Of every version there is its content on disk, and nothing else is.
            let versions = world.histories.iter().flat_map(|(key, history)| {
                history
                    .iter()
                    .filter(|(_, content)| content.is_some())
                    .map(move |(version, _)| format!("{key} {version}"))
            });
            let expected: usize = versions.map(|name| world.parts.get(&name).copied().unwrap_or(1)).sum();
            assert_eq!(files_left(&world.store, world.root.path()), expected);
            world.run(Step::Reopen).await;
            assert_eq!(files_swept(&world.store, world.root.path()), expected);
            world.check(&[1, 2, 3]).await;
            // A bucket with nothing but old versions or markers is not empty.
            let is_empty = world.histories.values().all(Vec::is_empty);
            assert_eq!(world.store.close_bucket(&permit(None)).await.unwrap(), is_empty);
        });
    }
}

/// Ten versions of each of some keys, old ones first; some are markers.
async fn fill(store: &ObjectStore) -> Vec<Entry> {
    let mut all = Vec::new();
    for key in ["a/1", "a/2", "b", "c/x/1", "d"] {
        let mut entries = Vec::new();
        for number in 0..10_usize {
            if number % 4 == 3 {
                let deleted = remove(store, key, None, Versioning::Enabled).await;
                entries.push((key.to_owned(), deleted.version.unwrap().to_string(), None, number == 9));
            } else {
                let written = write(store, key, vec![0; number], Versioning::Enabled).await.unwrap();
                let version = written.row.version.to_string();
                entries.push((key.to_owned(), version, Some(number), number == 9));
            }
        }
        entries.reverse();
        all.extend(entries);
    }
    all
}

#[tokio::test]
async fn listings_are_what_they_are_defined_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let all = fill(&store).await;
    for (prefix, delimiter) in [
        ("", ""),
        ("", "/"),
        ("a", "/"),
        ("a/", "/"),
        ("c", "/"),
        ("b", ""),
        ("x", ""),
        ("c/x/1", "/x"),
    ] {
        let mut expected: Vec<Entry> = Vec::new();
        for entry in all.iter().filter(|entry| entry.0.starts_with(prefix)) {
            let common = (!delimiter.is_empty())
                .then(|| entry.0[prefix.len()..].find(delimiter))
                .flatten()
                .map(|at| entry.0[..prefix.len() + at + delimiter.len()].to_owned());
            let entry = common.map_or_else(|| entry.clone(), |common| (common, String::new(), None, false));
            if expected.last() != Some(&entry) {
                expected.push(entry);
            }
        }
        for limit in [1, 2, 7, 10, 11, 1000] {
            assert_eq!(
                pages(&store, prefix, delimiter, limit).await,
                expected,
                "{prefix} {delimiter} {limit}"
            );
        }
    }
    // A key without a version: what comes after all of its versions.
    let query = VersionQuery {
        after: "a/2".to_owned(),
        limit: 1000,
        ..VersionQuery::default()
    };
    let page = store.list_versions(permit(None), query).await.unwrap();
    assert_eq!(page.entries.iter().map(flat).collect::<Vec<_>>(), all[20..]);
}

#[tokio::test]
async fn who_removes_what_each_page_lists_removes_everything_once() {
    for limit in [1, 3, 10, 17] {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(folder.path()).unwrap();
        let all = fill(&store).await;
        let mut query = VersionQuery {
            limit,
            ..VersionQuery::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = store.list_versions(permit(None), query.clone()).await.unwrap();
            for entry in &page.entries {
                let (key, version) = position(entry);
                seen.push((key.clone(), version.unwrap().to_string()));
                // One that stays moves nothing, wherever it is.
                if seen.len() % 5 != 0 {
                    assert!(remove(&store, &key, version, Versioning::Enabled).await.existed);
                }
            }
            let Some(last) = page.entries.last().filter(|_| page.truncated) else {
                break;
            };
            (query.after, query.after_version) = position(last);
        }
        let expected: Vec<_> = all
            .iter()
            .map(|(key, version, ..)| (key.clone(), version.clone()))
            .collect();
        assert_eq!(seen, expected, "{limit}");
        assert_eq!(pages(&store, "", "", 1000).await.len(), 10);
    }
}

#[tokio::test]
async fn a_listing_costs_its_page_and_no_sorting() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let plan: Vec<String> = store
        .inner
        .index
        .readers()
        .with(|connection| {
            let mut plans = Vec::new();
            for sql in crate::store::versions::statements() {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
                let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))?;
                plans.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            Ok(plans)
        })
        .unwrap();
    assert!(
        !plan.is_empty() && plan.iter().all(|line| !line.contains("TEMP B-TREE")),
        "{plan:#?}"
    );
}

#[tokio::test]
async fn what_was_written_while_versioning_was_switched_on_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "a", "from before").await.unwrap();
    // An upload begins, versioning is enabled, others write, and the upload ends.
    let status_now = Arc::new(std::sync::Mutex::new(Versioning::Off));
    let status: Status = {
        let status_now = Arc::clone(&status_now);
        Arc::new(move || Some(*status_now.lock().unwrap()))
    };
    let late: Permit<WriteObject> = permit(Some("a"));
    let (staged, digest) = store.stage(&late).push("late".into(), NoDigest).await.unwrap();
    let (staged, _) = staged.finish(digest).await.unwrap();
    *status_now.lock().unwrap() = Versioning::Enabled;
    let other = write(&store, "a", "other", Versioning::Enabled).await.unwrap();
    let done = store
        .commit(late, staged, new_row("a"), Precondition::None, status)
        .await
        .unwrap()
        .unwrap();
    assert!(done.version.is_some());
    assert_eq!(get(&store, "a").await.unwrap(), b"late");
    assert_eq!(get_version(&store, "a", other.version).await.unwrap(), b"other");
    assert_eq!(
        get_version(&store, "a", Some(Version::NULL)).await.unwrap(),
        b"from before"
    );

    // Should the registry be older than the objects, nothing is lost either.
    put(&store, "a", "null again").await.unwrap();
    assert!(delete(&store, "a").await);
    assert_eq!(get(&store, "a").await, None);
    assert_eq!(get_version(&store, "a", other.version).await.unwrap(), b"other");
    assert_eq!(get_version(&store, "a", done.version).await.unwrap(), b"late");
}

#[tokio::test]
async fn conditions_are_about_the_newest_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let old = write(&store, "a", "1", Versioning::Enabled).await.unwrap().version;
    let commit = async |precondition| {
        let permit: Permit<WriteObject> = permit(Some("a"));
        let (staged, digest) = store.stage(&permit).push("x".into(), NoDigest).await.unwrap();
        let (staged, _) = staged.finish(digest).await.unwrap();
        let mut row = new_row("a");
        row.etag = "second".to_owned();
        let done = store
            .commit(permit, staged, row, precondition, status(Versioning::Enabled))
            .await;
        done.unwrap().map(drop)
    };
    let delete = async |version, etag: &str| {
        let permit = permit_of(Some("a"), version);
        let precondition = Precondition::ETag(etag.to_owned());
        let now = Timestamp::from_unix_seconds(1);
        store
            .delete(permit, precondition, now, status(Versioning::Enabled))
            .await
            .unwrap()
            .map(drop)
    };
    assert_eq!(commit(Precondition::Absent).await, Err(Refused::Precondition));
    assert_eq!(commit(Precondition::ETag("etag of a".to_owned())).await, Ok(()));
    assert_eq!(delete(old, "etag of a").await, Err(Refused::Precondition));
    assert_eq!(delete(old, "second").await, Ok(()));
    assert_eq!(delete(None, "second").await, Ok(()));
    // Now a delete marker is the newest: there is no object.
    assert_eq!(commit(Precondition::Present).await, Err(Refused::NoSuchKey));
    assert_eq!(delete(None, "second").await, Err(Refused::NoSuchKey));
    assert_eq!(commit(Precondition::Absent).await, Ok(()));
}

#[tokio::test]
async fn a_reader_of_a_version_finishes_though_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let id = begin(&store, "a").await;
    for number in 1..=4 {
        upload(&store, "a", id, number, vec![number as u8; 300_000])
            .await
            .unwrap();
    }
    let version = complete_in(&store, "a", id, &[1, 2, 3, 4], Versioning::Enabled)
        .await
        .unwrap()
        .version;
    write(&store, "a", "newer", Versioning::Enabled).await.unwrap();
    let read = store
        .read::<(), _>(permit_of(Some("a"), version), None, |row, _| Ok(Some(0..row.size)))
        .await;
    let mut content = read.unwrap().unwrap().content;
    let first = content.next().await.unwrap().unwrap();
    assert!(remove(&store, "a", version, Versioning::Enabled).await.existed);
    let rest = bytes_of(content).await;
    assert_eq!(first.len() + rest.len(), 1_200_000);
    assert_eq!(get_version(&store, "a", version).await, Err(Refused::NoSuchVersion));
    assert_eq!(files_left(&store, folder.path()), 1);
}

/// In a child process: makes versions and removes some, and says what it is about to do and what it did.
#[tokio::test]
async fn child_makes_versions_until_it_is_killed() {
    let Some(folder) = child_folder() else { return };
    let store = ObjectStore::open(&folder).unwrap();
    let lanes = (0..4_usize).map(|lane| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = format!("{lane}");
            let mut made = Vec::new();
            for number in 0..100_000_usize {
                let versioning = if number % 7 < 5 {
                    Versioning::Enabled
                } else {
                    Versioning::Suspended
                };
                if versioning == Versioning::Suspended {
                    say(&format!("going {key} null"));
                }
                let version = match number % 5 {
                    3 => remove(&store, &key, None, versioning).await.version,
                    2 => {
                        let id = begin(&store, &key).await;
                        upload(&store, &key, id, 1, content_of(&key)).await.unwrap();
                        complete_in(&store, &key, id, &[1], versioning).await.unwrap().version
                    }
                    _ => write(&store, &key, content_of(&key), versioning).await.unwrap().version,
                };
                let version = version.unwrap();
                say(&format!(
                    "made {key} {version} {}",
                    if number % 5 == 3 { "marker" } else { "object" }
                ));
                made.push(version);
                if number % 3 == 2 {
                    let version = made.remove(made.len() / 2);
                    say(&format!("going {key} {version}"));
                    remove(&store, &key, Some(version), versioning).await;
                    say(&format!("gone {key} {version}"));
                }
            }
        })
    });
    futures_util::future::join_all(lanes).await;
}

#[tokio::test]
async fn kill_9_loses_no_version_and_leaks_no_file() {
    let folder = tempfile::tempdir().unwrap();
    // What was told of each version last.
    let mut told: BTreeMap<(String, String), String> = BTreeMap::new();
    for round in 0..3 {
        let test = "versions::child_makes_versions_until_it_is_killed";
        for line in killed(test, folder.path(), "gone ", 14 + round * 9) {
            match *line.split(' ').collect::<Vec<_>>() {
                ["made", key, version, kind] => {
                    told.insert((key.to_owned(), version.to_owned()), kind.to_owned());
                }
                [state @ ("going" | "gone"), key, version] => {
                    told.insert((key.to_owned(), version.to_owned()), state.to_owned());
                }
                _ => {}
            }
        }
        let store = ObjectStore::open(folder.path()).unwrap();
        let listed = pages(&store, "", "", 1000).await;
        for ((key, version), state) in &told {
            let found = listed.iter().find(|entry| entry.0 == *key && entry.1 == *version);
            match state.as_str() {
                "gone" => assert!(found.is_none(), "{key} {version} was removed"),
                "going" => {}
                kind => {
                    let size = found.unwrap_or_else(|| panic!("{key} {version} is lost")).2;
                    assert_eq!(size.is_none(), kind == "marker", "{key} {version}");
                }
            }
        }
        for (key, version, size, _) in &listed {
            let found = get_version(&store, key, Version::parse(version)).await;
            match size {
                Some(_) => assert_eq!(found.unwrap(), content_of(key)),
                None => assert!(matches!(found, Err(Refused::Marker(_)))),
            }
        }
        // Those that are not completed go; then there is a file of each object and no other.
        store
            .expire_uploads(Timestamp::from_unix_seconds(2_000_000))
            .await
            .unwrap();
        let objects = listed.iter().filter(|entry| entry.2.is_some()).count();
        assert_eq!(files_swept(&store, folder.path()), objects);
    }
}
