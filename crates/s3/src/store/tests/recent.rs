//! What is kept of objects that were read a moment ago is what is there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

/// What a reader sees never goes back, and has every write that was answered before it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_write_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "key", "0").await.unwrap();
    let (answered, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..6)
        .map(|reader| {
            let (store, answered, done) = (store.clone(), Arc::clone(&answered), Arc::clone(&done));
            tokio::spawn(async move {
                let (mut last, mut reads) = (0, 0_u64);
                while !done.load(Ordering::SeqCst) || reads == 0 {
                    let before = answered.load(Ordering::SeqCst);
                    // Some want a part of it, which is read of what others have kept.
                    let read = store.read::<(), _>(permit(Some("key")), None, move |row, _| {
                        Ok(Some(if reader % 3 == 0 {
                            row.size - 1..row.size
                        } else {
                            0..row.size
                        }))
                    });
                    let found = read.await.unwrap().unwrap();
                    let size = found.row.size;
                    let bytes = bytes_of(found.content).await;
                    if reader % 3 != 0 {
                        let seen: u64 = String::from_utf8(bytes).unwrap().parse().unwrap();
                        assert_eq!(size, seen.to_string().len() as u64);
                        assert!(seen >= before && seen >= last, "{seen} after {before} and {last}");
                        last = seen;
                    }
                    reads += 1;
                    if reads.is_multiple_of(64) {
                        tokio::task::yield_now().await;
                    }
                }
                reads
            })
        })
        .collect();
    for number in 1..=150_u64 {
        put(&store, "key", number.to_string()).await.unwrap();
        answered.store(number, Ordering::SeqCst);
        assert_eq!(get(&store, "key").await.unwrap(), number.to_string().into_bytes());
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn every_kind_of_write_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "key", "one").await.unwrap();
    for _ in 0..2 {
        assert_eq!(get(&store, "key").await.unwrap(), b"one");
        assert_eq!(tags_of(&store).await, Some(Tags::new()));
    }
    let labels = vec![("a".to_owned(), "b".to_owned())];
    store
        .set_tags(permit(Some("key")), labels.clone())
        .await
        .unwrap()
        .unwrap();
    // A decision that saw no tags is of yesterday.
    let refused = store
        .read::<(), _>(permit(Some("key")), None, |_, _| Ok(None))
        .await
        .unwrap();
    assert!(matches!(refused, Err(NotDone::Refused(Refused::Changed))));
    let mut seen = (*permit::<crate::permit::DeleteTags>(Some("key")).target()).clone();
    seen.context
        .push(("s3:ExistingObjectTag/a".into(), vec!["b".to_owned()]));
    let seen: Permit<crate::permit::DeleteTags> = Permit::new(&Allowed::decided(&Arc::new(seen)), &record()).unwrap();
    store.delete_tags(seen).await.unwrap().unwrap();
    assert_eq!(tags_of(&store).await, Some(Tags::new()));
    write(&store, "key", "two", Versioning::Enabled).await.unwrap();
    assert_eq!(get(&store, "key").await.unwrap(), b"two");
    let marker = remove(&store, "key", None, Versioning::Enabled).await;
    assert_eq!(get(&store, "key").await, None);
    remove(&store, "key", marker.version, Versioning::Enabled).await;
    assert_eq!(get(&store, "key").await.unwrap(), b"two");
    remove(&store, "key", Some(Version::NULL), Versioning::Enabled).await;
    assert_eq!(get(&store, "key").await.unwrap(), b"two");
}

async fn tags_of(store: &ObjectStore) -> Option<Tags> {
    let read = store.read::<(), _>(permit(Some("key")), None, |_, _| Ok(None));
    read.await.unwrap().map(|found| found.row.tags.clone()).ok()
}
