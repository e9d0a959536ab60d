//! Versions: listings against a naive reference, writes that race, and crashes.

use std::collections::BTreeMap;

use super::multipart::{begin, complete_in, upload};
use super::*;

/// Key, version, size unless it is a marker, and whether it is the latest. Of a common prefix: the prefix, and nothing.
type Entry = (String, String, Option<usize>, bool);

/// The whole listing, page by page.
pub(super) async fn pages(store: &ObjectStore, prefix: &str, delimiter: &str, limit: usize) -> Vec<Entry> {
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
            for sql in crate::store::versions::statements().into_iter().chain([rows::by_id()]) {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
                let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))?;
                plans.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            Ok(plans)
        })
        .unwrap();
    // By the id alone, however many versions there are.
    assert!(plan.last().unwrap().contains("version=?"), "{plan:#?}");
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
