//! Multipart uploads in the store: against a model, across crashes, while others read.

use std::collections::BTreeMap;

use super::*;
use crate::store::uploads::Completed;

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_000_000)
}

pub(super) async fn begin(store: &ObjectStore, key: &str) -> UploadId {
    let permit: Permit<WriteObject> = permit(Some(key));
    store
        .create_upload(&permit, now(), UploadSettings::default())
        .await
        .unwrap()
        .unwrap()
}

pub(super) async fn upload(
    store: &ObjectStore,
    key: &str,
    id: UploadId,
    number: u32,
    content: impl Into<Bytes>,
) -> Result<(), Refused> {
    let permit: Permit<WriteObject> = permit(Some(key));
    let content = content.into();
    let part = PartRow {
        number,
        size: content.len() as u64,
        etag: format!("part {number}"),
        checksum: None,
        modified: now(),
    };
    let staged = store.stage(&permit);
    let (staged, digest) = staged.push(content, NoDigest).await.unwrap();
    let (staged, _) = staged.finish(digest).await.unwrap();
    store.put_part(permit, id, staged, part).await.unwrap()
}

/// Completes with these parts; `Err(None)`: one of them is not there.
pub(super) async fn complete(
    store: &ObjectStore,
    key: &str,
    id: UploadId,
    parts: &[u32],
) -> Result<Completed, Option<Refused>> {
    complete_in(store, key, id, parts, Versioning::Off).await
}

pub(super) async fn complete_in(
    store: &ObjectStore,
    key: &str,
    id: UploadId,
    parts: &[u32],
    versioning: Versioning,
) -> Result<Completed, Option<Refused>> {
    let chosen = parts.to_vec();
    let plan = move |_: &Upload, arrived: &[PartRow]| {
        if chosen
            .iter()
            .any(|number| arrived.iter().all(|part| part.number != *number))
        {
            return Err(());
        }
        Ok(Assembly {
            parts: chosen.clone(),
            etag: format!("{chosen:?}"),
            modified: now(),
            attributes: Attributes::default(),
        })
    };
    store
        .complete_upload(permit(Some(key)), id, Precondition::None, status(versioning), plan)
        .await
        .unwrap()
        .map_err(|refused| match refused {
            NotDone::Refused(refused) => Some(refused),
            NotDone::Plan(()) => None,
        })
}

async fn abort(store: &ObjectStore, key: &str, id: UploadId) -> Result<(), Refused> {
    store.abort_upload(permit(Some(key)), id).await.unwrap()
}

async fn part_numbers(store: &ObjectStore, key: &str, id: UploadId) -> Option<Vec<u32>> {
    let (_, parts) = store.list_parts(permit(Some(key)), id, 0, 10_000).await.unwrap()?;
    Some(parts.iter().map(|part| part.number).collect())
}

async fn range(store: &ObjectStore, key: &str, bytes: std::ops::Range<u64>) -> Vec<u8> {
    let read = store
        .read::<(), _>(permit(Some(key)), None, move |_, _| Ok(Some(bytes.clone())))
        .await;
    bytes_of(read.unwrap().unwrap().content).await
}

#[tokio::test]
async fn an_object_of_parts_is_read_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let id = begin(&store, "a").await;
    let sizes = [300_000_usize, 1, 0, 70_000, 500_000, 3];
    let mut whole = Vec::new();
    for (number, size) in (1_u32..).zip(sizes) {
        let content: Vec<u8> = (0..size).map(|byte| (byte % 251) as u8 ^ number as u8).collect();
        whole.extend_from_slice(&content);
        upload(&store, "a", id, number * 3, content).await.unwrap();
    }
    // Nothing is to be seen before the end, and a part may come again.
    upload(&store, "a", id, 2, "unused").await.unwrap();
    upload(&store, "a", id, 6, "replaced").await.unwrap();
    upload(&store, "a", id, 6, vec![2_u8]).await.unwrap();
    assert_eq!(get(&store, "a").await, None);
    assert_eq!(part_numbers(&store, "a", id).await.unwrap(), [2, 3, 6, 9, 12, 15, 18]);
    let done = complete(&store, "a", id, &[3, 6, 9, 12, 15, 18]).await.unwrap();
    assert!(!done.before);
    assert_eq!(part_numbers(&store, "a", id).await, None);
    assert_eq!(files_left(&store, folder.path()), 6);

    drop(store);
    let store = ObjectStore::open(folder.path()).unwrap();
    assert_eq!(files_swept(&store, folder.path()), 6);
    assert!(get(&store, "a").await.unwrap() == whole);
    let length = whole.len() as u64;
    for (from, to) in [
        (0, length),
        (0, 1),
        (299_999, 300_001),
        (300_000, 300_001),
        (300_001, 370_001),
        (100, 870_003),
        (length - 1, length),
        (370_000, 370_002),
    ] {
        let expected = &whole[from as usize..to as usize];
        assert!(range(&store, "a", from..to).await == expected, "{from}..{to}");
    }
    // Parts are counted from one.
    for (number, start, size) in [(1, 0, 300_000), (2, 300_000, 1), (5, 370_001, 500_000)] {
        let found = store
            .read::<(), _>(permit(Some("a")), Some(number), |_, _| Ok(None))
            .await
            .unwrap()
            .unwrap();
        let part = found.part.unwrap();
        assert_eq!((part.start, part.row.size), (start, size));
    }
    // Asked again, it is answered again; what it became may be gone by then.
    let again = complete(&store, "a", id, &[3, 6, 9, 12, 15, 18]).await.unwrap();
    assert!(again.before && again.etag == done.etag);
    assert!(delete(&store, "a").await);
    assert_eq!(files_left(&store, folder.path()), 0);
    assert!(complete(&store, "a", id, &[3]).await.unwrap().before);
    assert_eq!(get(&store, "a").await, None);
}

#[tokio::test]
async fn an_upload_is_its_key_s_and_its_bucket_s() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let id = begin(&store, "a").await;
    upload(&store, "a", id, 1, "x").await.unwrap();
    assert_eq!(upload(&store, "b", id, 1, "y").await, Err(Refused::NoSuchUpload));
    assert_eq!(
        complete(&store, "b", id, &[1]).await.unwrap_err(),
        Some(Refused::NoSuchUpload)
    );
    assert_eq!(abort(&store, "b", id).await, Err(Refused::NoSuchUpload));
    assert_eq!(part_numbers(&store, "b", id).await, None);
    assert_eq!(complete(&store, "a", id, &[1, 2]).await.unwrap_err(), None);
    complete(&store, "a", id, &[1]).await.unwrap();
    assert_eq!(
        complete(&store, "b", id, &[1]).await.unwrap_err(),
        Some(Refused::NoSuchUpload)
    );
    assert_eq!(abort(&store, "a", id).await, Err(Refused::NoSuchUpload));
    assert_eq!(upload(&store, "a", id, 1, "late").await, Err(Refused::NoSuchUpload));
    assert_eq!(get(&store, "a").await.unwrap(), b"x");
    assert_eq!(files_left(&store, folder.path()), 1);
}

#[tokio::test]
async fn a_reader_of_parts_finishes_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let id = begin(&store, "a").await;
    for number in 1..=8 {
        upload(&store, "a", id, number, vec![number as u8; 300_000])
            .await
            .unwrap();
    }
    complete(&store, "a", id, &[1, 2, 3, 4, 5, 6, 7, 8]).await.unwrap();
    let (mut first, second) = (open(&store, "a", 0..).await, open(&store, "a", 0..).await);
    let begun = first.next().await.unwrap().unwrap();
    put(&store, "a", "new").await.unwrap();
    assert_eq!(get(&store, "a").await.unwrap(), b"new");
    // The parts wait for their readers, also for one who goes away.
    drop(second);
    let rest: Vec<Bytes> = first.map(Result::unwrap).collect().await;
    let whole = [vec![begun], rest].concat().concat();
    assert_eq!(whole.len(), 2_400_000);
    assert!((1..=8_u8).all(|number| whole[usize::from(number - 1) * 300_000] == number));
    assert_eq!(files_left(&store, folder.path()), 1);
}

#[tokio::test]
async fn one_of_many_completions_and_aborts_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    for round in 0..20_usize {
        let id = begin(&store, "a").await;
        upload(&store, "a", id, 1, "x").await.unwrap();
        let racers = (0..6_usize).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                match (number + round) % 3 {
                    0 => abort(&store, "a", id).await.is_ok(),
                    _ => complete(&store, "a", id, &[1]).await.is_ok_and(|done| !done.before),
                }
            })
        });
        let won = futures_util::future::join_all(racers).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
    }
    assert_eq!(files_left(&store, folder.path()), keys(&store).await.len());
}

#[tokio::test]
async fn old_uploads_and_those_of_a_gone_bucket_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let mut ids = Vec::new();
    for number in 0..40 {
        let id = begin(&store, &format!("k{number}")).await;
        upload(&store, &format!("k{number}"), id, 1, "x").await.unwrap();
        ids.push(id);
    }
    assert_eq!(store.expire_uploads(now()).await.unwrap(), 0);
    assert_eq!(store.expire_uploads(now().plus_seconds(1)).await.unwrap(), 40);
    assert_eq!(files_left(&store, folder.path()), 0);
    assert_eq!(part_numbers(&store, "k0", ids[0]).await, None);

    let id = begin(&store, "a").await;
    upload(&store, "a", id, 1, "x").await.unwrap();
    // An upload keeps no bucket from going, and nothing comes after.
    assert!(store.close_bucket(&permit(None)).await.unwrap());
    assert_eq!(upload(&store, "a", id, 2, "y").await, Err(Refused::BucketGone));
    assert_eq!(
        complete(&store, "a", id, &[1]).await.unwrap_err(),
        Some(Refused::BucketGone)
    );
    assert_eq!(store.end_uploads_of(&permit(None)).await.unwrap(), 1);
    assert_eq!(files_left(&store, folder.path()), 0);
}

/// In a child process: uploads in parts, and says what is on disk.
#[tokio::test]
async fn child_uploads_until_it_is_killed() {
    let Some(folder) = child_folder() else { return };
    let store = ObjectStore::open(&folder).unwrap();
    let lanes = (0..4_usize).map(|lane| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..100_000_usize {
                let key = format!("{lane}/{}", number % 7);
                let id = begin(&store, &key).await;
                say(&format!("begun {key} {id}"));
                for part in 1..=3_u32 {
                    upload(&store, &key, id, part, content_of(&format!("{key} {part} ")))
                        .await
                        .unwrap();
                    say(&format!("part {key} {id} {part}"));
                }
                match number % 3 {
                    0 => {
                        abort(&store, &key, id).await.unwrap();
                        say(&format!("end aborted {id}"));
                    }
                    _ => {
                        complete(&store, &key, id, &[1, 3]).await.unwrap();
                        say(&format!("end completed {id}"));
                    }
                }
            }
        })
    });
    futures_util::future::join_all(lanes).await;
}

#[tokio::test]
async fn kill_9_in_the_middle_of_uploads() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let said = killed(
            "multipart::child_uploads_until_it_is_killed",
            folder.path(),
            "end ",
            12 + round * 5,
        );
        // What each upload had when the process said so last: its parts, or its end.
        let mut told: BTreeMap<String, (String, Vec<u32>, Option<bool>)> = BTreeMap::new();
        for line in &said {
            match *line.split(' ').collect::<Vec<_>>() {
                ["begun", key, id] => {
                    told.insert(id.to_owned(), (key.to_owned(), Vec::new(), None));
                }
                ["part", _, id, part] => told.get_mut(id).unwrap().1.push(part.parse().unwrap()),
                ["end", how, id] => told.get_mut(id).unwrap().2 = Some(how == "completed"),
                _ => {}
            }
        }
        let store = ObjectStore::open(folder.path()).unwrap();
        let mut parts_left = 0;
        for (id, (key, parts, end)) in &told {
            let id = UploadId::parse(id).unwrap();
            match (part_numbers(&store, key, id).await, end) {
                (None, Some(_)) => {}
                // Parts that were told are there, and perhaps one more.
                (Some(found), None) => {
                    assert!(found.starts_with(parts), "{found:?} {parts:?}");
                    parts_left += found.len();
                }
                // The end was on disk, and not yet told.
                (None, None) => assert_eq!(parts.len(), 3, "{key}"),
                (Some(_), Some(_)) => panic!("the upload of {key} has ended and is there"),
            }
            if *end == Some(true) {
                let whole = [content_of(&format!("{key} 1 ")), content_of(&format!("{key} 3 "))].concat();
                assert!(get(&store, key).await.unwrap() == whole, "{key}");
            }
        }
        // Nothing but what has a row is left on the disk.
        let expected = keys(&store).await.len() * 2 + parts_left;
        assert_eq!(files_swept(&store, folder.path()), expected);
        // The next round begins without uploads.
        store.expire_uploads(now().plus_seconds(1)).await.unwrap();
    }
}

/// One step of somebody who uploads.
#[derive(Clone, Debug)]
enum Step {
    Begin(u8),
    Part(u8, u32, u8),
    Complete(u8, Vec<u32>),
    Abort(u8),
    Put(u8),
    Delete(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Begin),
        8 => (0..6_u8, 1..5_u32, any::<u8>()).prop_map(|(upload, number, fill)| Step::Part(upload, number, fill)),
        4 => (0..6_u8, proptest::collection::btree_set(1..5_u32, 1..4))
            .prop_map(|(upload, parts)| Step::Complete(upload, parts.into_iter().collect())),
        2 => (0..6_u8).prop_map(Step::Abort),
        1 => (0..4_u8).prop_map(Step::Put),
        1 => (0..4_u8).prop_map(Step::Delete),
        1 => Just(Step::Reopen),
    ]
}

type Parts = BTreeMap<u32, Vec<u8>>;

/// What should be there.
#[derive(Default)]
struct Model {
    objects: BTreeMap<String, (Vec<u8>, usize)>,
    /// In the order of their beginning: key, id, and the parts while it is under way.
    uploads: Vec<(String, UploadId, Option<Parts>)>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn uploads_in_any_order_are_what_a_model_says(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut store = ObjectStore::open(folder.path()).unwrap();
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Begin(key) => {
                        let key = format!("k{key}");
                        let id = begin(&store, &key).await;
                        model.uploads.push((key, id, Some(BTreeMap::new())));
                    }
                    Step::Part(at, number, fill) => {
                        let Some((key, id, parts)) = model.uploads.get_mut(usize::from(at)) else { continue };
                        let content = vec![fill; usize::from(fill) * 400];
                        let done = upload(&store, key, *id, number, content.clone()).await;
                        assert_eq!(done.is_ok(), parts.is_some());
                        if let Some(parts) = parts {
                            parts.insert(number, content);
                        }
                    }
                    Step::Complete(at, numbers) => {
                        let Some((key, id, parts)) = model.uploads.get_mut(usize::from(at)) else { continue };
                        let done = complete(&store, key, *id, &numbers).await;
                        let Some(known) = parts else { continue };
                        assert_eq!(done.is_ok(), numbers.iter().all(|number| known.contains_key(number)));
                        if done.is_ok() {
                            let whole: Vec<Vec<u8>> = numbers.iter().map(|number| known[number].clone()).collect();
                            model.objects.insert(key.clone(), (whole.concat(), numbers.len()));
                            *parts = None;
                        }
                    }
                    Step::Abort(at) => {
                        let Some((key, id, parts)) = model.uploads.get_mut(usize::from(at)) else { continue };
                        assert_eq!(abort(&store, key, *id).await.is_ok(), parts.is_some());
                        *parts = None;
                    }
                    Step::Put(key) => {
                        put(&store, &format!("k{key}"), "put").await.unwrap();
                        model.objects.insert(format!("k{key}"), (b"put".to_vec(), 1));
                    }
                    Step::Delete(key) => {
                        let existed = delete(&store, &format!("k{key}")).await;
                        assert_eq!(existed, model.objects.remove(&format!("k{key}")).is_some());
                    }
                    Step::Reopen => {
                        drop(store);
                        store = ObjectStore::open(folder.path()).unwrap();
                    }
                }
                for key in (0..4).map(|key| format!("k{key}")) {
                    let expected = model.objects.get(&key).map(|(content, _)| content.clone());
                    assert!(get(&store, &key).await == expected, "{key}");
                }
            }
            for (key, id, parts) in &model.uploads {
                let expected = parts.as_ref().map(|parts| parts.keys().copied().collect::<Vec<_>>());
                assert_eq!(part_numbers(&store, key, *id).await, expected);
            }
            // On disk there is what the model knows, and nothing else.
            let expected = model.objects.values().map(|(_, files)| files).sum::<usize>()
                + model.uploads.iter().flat_map(|(_, _, parts)| parts).map(BTreeMap::len).sum::<usize>();
            assert_eq!(files_swept(&store, folder.path()), expected);
        });
    }
}

fn upload_positions(page: &[ListedUpload]) -> Vec<String> {
    page.iter()
        .map(|entry| match entry {
            ListedUpload::Upload(upload) => format!("{} {}", upload.key, upload.id),
            ListedUpload::Prefix(prefix) => format!("{prefix}*"),
        })
        .collect()
}

#[tokio::test]
async fn listings_of_uploads_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let mut all = Vec::new();
    for key in ["a", "b/1", "b/1", "b/2", "c", "c", "c", "d/x/y"] {
        let id = begin(&store, key).await;
        all.push(format!("{key} {id}"));
    }
    all.sort();
    for limit in 1..=9 {
        for (prefix, delimiter) in [("", ""), ("", "/"), ("b", "/"), ("c", ""), ("b/", "/"), ("x", "")] {
            let mut query = UploadQuery {
                prefix: prefix.to_owned(),
                delimiter: delimiter.to_owned(),
                limit,
                ..UploadQuery::default()
            };
            let mut found = Vec::new();
            loop {
                let (page, more) = store.list_uploads(permit(None), query.clone()).await.unwrap();
                assert!(page.len() <= limit);
                found.extend(upload_positions(&page));
                if !more {
                    break;
                }
                (query.after, query.after_upload) = match page.last().unwrap() {
                    ListedUpload::Upload(upload) => (upload.key.clone(), Some(upload.id)),
                    ListedUpload::Prefix(prefix) => (prefix.clone(), None),
                };
            }
            let mut expected: Vec<String> = Vec::new();
            for entry in all.iter().filter(|entry| entry.starts_with(prefix)) {
                let key = entry.split(' ').next().unwrap();
                let common = (!delimiter.is_empty())
                    .then(|| key[prefix.len()..].find(delimiter))
                    .flatten()
                    .map(|at| format!("{}*", &key[..=prefix.len() + at]));
                let entry = common.unwrap_or_else(|| entry.clone());
                if expected.last() != Some(&entry) {
                    expected.push(entry);
                }
            }
            assert_eq!(found, expected, "{prefix} {delimiter} {limit}");
        }
    }
}
