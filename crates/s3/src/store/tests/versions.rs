//! Versions of objects in the index, against a model.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    /// Removes one of the versions that there are, by its place.
    Remove(u8, usize),
    Versioning(bool),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, any::<u8>()).prop_map(|(key, fill)| Step::Put(key, fill)),
        3 => (0..3_u8).prop_map(Step::Delete),
        4 => (0..3_u8, 0..6_usize).prop_map(|(key, at)| Step::Remove(key, at)),
        2 => any::<bool>().prop_map(Step::Versioning),
        1 => Just(Step::Reopen),
    ]
}

/// From old to new: the version, and its content, or nothing for a delete marker.
type History = Vec<(Version, Option<Vec<u8>>)>;

async fn write(store: &ObjectStore, key: &str, content: Vec<u8>, versioning: Versioning) -> Version {
    let staged = store.stage(&permit::<WriteObject>(Some(key)));
    let (staged, _) = staged.push(content.into(), NoDigest).await.unwrap();
    let file = blocking(move || staged.seal()).await.unwrap();
    let row = ObjectRow {
        content: file.id(),
        parts: 0,
        size: file.size(),
        etag: "etag".to_owned(),
        modified: Timestamp::from_unix_seconds(0),
        attributes: Attributes::default(),
        tags: Tags::new(),
        version: Version::NULL,
    };
    let index = &store.inner.index;
    index
        .put(
            Uuid::from_u128(7),
            key.to_owned(),
            row,
            file,
            Precondition::None,
            versioning,
        )
        .await
        .unwrap()
        .unwrap()
        .version
}

fn content(store: &ObjectStore, key: &str, version: Version) -> Option<Option<u64>> {
    let found = store
        .inner
        .index
        .find_version(Uuid::from_u128(7), key, Some(version))
        .unwrap()?;
    Some(found.object.map(|row| row.size))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn versions_are_what_a_model_says(before in 0..3_usize, steps in proptest::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut store = ObjectStore::open(folder.path()).unwrap();
            let mut model: BTreeMap<String, History> = BTreeMap::new();
            // What was there before versioning was switched on is the null version.
            for key in (0..before).map(|key| format!("k{key}")) {
                write(&store, &key, vec![9], Versioning::Off).await;
                model.insert(key, vec![(Version::NULL, Some(vec![9]))]);
            }
            let mut versioning = Versioning::Enabled;
            for step in steps {
                match step {
                    Step::Versioning(true) => versioning = Versioning::Enabled,
                    Step::Versioning(false) => versioning = Versioning::Suspended,
                    Step::Reopen => {
                        drop(store);
                        store = ObjectStore::open(folder.path()).unwrap();
                    }
                    Step::Put(key, fill) => {
                        let key = format!("k{key}");
                        let bytes = vec![fill; usize::from(fill) + 1];
                        let version = write(&store, &key, bytes.clone(), versioning).await;
                        assert_eq!(version == Version::NULL, versioning == Versioning::Suspended);
                        let history = model.entry(key).or_default();
                        history.retain(|(old, _)| *old != version);
                        history.push((version, Some(bytes)));
                    }
                    Step::Delete(key) => {
                        let key = format!("k{key}");
                        let contents = Arc::clone(&store.inner.contents);
                        let now = Timestamp::from_unix_seconds(1);
                        let index = &store.inner.index;
                        let deleted = index
                            .delete(Uuid::from_u128(7), key.clone(), contents, Precondition::None, versioning, now)
                            .await
                            .unwrap()
                            .unwrap();
                        assert!(deleted.marker);
                        let version = deleted.version.unwrap();
                        let history = model.entry(key).or_default();
                        history.retain(|(old, _)| *old != version);
                        history.push((version, None));
                    }
                    Step::Remove(key, at) => {
                        let key = format!("k{key}");
                        let history = model.entry(key.clone()).or_default();
                        let (version, there) = match history.get(at) {
                            Some((version, content)) => (*version, Some(content.is_none())),
                            None => (Version::random(), None),
                        };
                        let contents = Arc::clone(&store.inner.contents);
                        let index = &store.inner.index;
                        let deleted = index
                            .delete_version(Uuid::from_u128(7), key, version, contents, Precondition::None)
                            .await
                            .unwrap()
                            .unwrap();
                        assert_eq!(deleted.existed, there.is_some());
                        assert_eq!(deleted.marker, there == Some(true));
                        history.retain(|(old, _)| *old != version);
                    }
                }
                for (key, history) in &model {
                    // The newest is the object, unless it is a marker.
                    let expected = history.last().and_then(|(_, content)| content.clone());
                    assert!(get(&store, key).await == expected, "{key} {history:?}");
                    let newest = store.inner.index.find_version(Uuid::from_u128(7), key, None).unwrap();
                    assert_eq!(newest.map(|row| row.version), history.last().map(|(version, _)| *version));
                    for (version, bytes) in history {
                        let size = bytes.as_ref().map(|bytes| bytes.len() as u64);
                        assert_eq!(content(&store, key, *version), Some(size));
                        assert_eq!(Version::parse(&version.to_string()), Some(*version));
                    }
                }
            }
            let expected: usize = model.values().flatten().filter(|(_, content)| content.is_some()).count();
            assert!(until(|| files(folder.path()) == expected), "{} {expected}", files(folder.path()));
            drop(store);
            let store = ObjectStore::open(folder.path()).unwrap();
            sweep::sweep(&store.inner.contents, &store.inner.index.readers()).unwrap();
            assert_eq!(files(folder.path()), expected);
            // A bucket with nothing but old versions or markers is not empty.
            let is_empty = model.values().all(Vec::is_empty);
            assert_eq!(store.close_bucket(&permit(None)).await.unwrap(), is_empty);
        });
    }
}
