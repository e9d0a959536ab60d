//! The whole store against a simple model: objects, uploads, copies, versions and tags in buckets whose versioning changes.

use std::collections::BTreeMap;

use super::multipart::{begin, complete_in, upload};
use super::versions::pages;
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
