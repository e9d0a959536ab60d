//! Folders of earlier releases.

use super::versions::pages;
use super::*;

/// A folder as the releases before multipart uploads left it: one object, in a table of version 1.
fn old_folder(root: &Path) -> Vec<u8> {
    let content = b"from long ago".to_vec();
    let id = [7_u8; 16];
    let folder = root.join("content");
    for number in 0..=u8::MAX {
        fs::create_dir_all(folder.join(hex::encode([number]))).unwrap();
    }
    fs::write(folder.join("07").join(hex::encode(id)), &content).unwrap();
    let connection = rusqlite::Connection::open(root.join("index.db")).unwrap();
    schema::create_tables_of(&connection, 1);
    connection
        .execute(
            "INSERT INTO objects VALUES (?1, ?2, ?3, 13, 'tag', 1000, '{\"content_type\":\"text/plain\"}')",
            rusqlite::params![bucket_key(Uuid::from_u128(7)), b"old", id],
        )
        .unwrap();
    content
}

#[tokio::test]
async fn objects_of_version_1_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let content = old_folder(folder.path());
    for _ in 0..2 {
        let store = ObjectStore::open(folder.path()).unwrap();
        // The sweep knows the file by its row.
        assert_eq!(files_swept(&store, folder.path()), 1);
        assert_eq!(get(&store, "old").await.unwrap(), content);
        let found = store
            .read::<(), _>(permit(Some("old")), None, |_, _| Ok(None))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.row.attributes.content_type.as_deref(), Some("text/plain"));
        assert_eq!(
            (found.row.parts, found.row.version, found.row.tags.clone()),
            (0, Version::NULL, Tags::new())
        );
    }
    let store = ObjectStore::open(folder.path()).unwrap();
    put(&store, "old", "new").await.unwrap();
    put(&store, "other", "x").await.unwrap();
    assert_eq!(get(&store, "old").await.unwrap(), b"new");
    assert_eq!(files_left(&store, folder.path()), 2);
}

#[test]
fn a_migration_that_was_cut_off_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    old_folder(folder.path());
    let path = folder.path().join("index.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    // What a process leaves that dies before its commit: nothing.
    connection
        .execute_batch("BEGIN IMMEDIATE; ALTER TABLE objects ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;")
        .unwrap();
    drop(connection);
    drop(ObjectStore::open(folder.path()).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 3);
}

#[tokio::test]
async fn versions_of_version_2_are_kept_and_get_company() {
    let folder = tempfile::tempdir().unwrap();
    let (old, hidden) = ([1_u8; 16], [2_u8; 16]);
    let content = folder.path().join("content");
    for number in 0..=u8::MAX {
        fs::create_dir_all(content.join(hex::encode([number]))).unwrap();
    }
    for id in [old, hidden] {
        fs::write(content.join(hex::encode([id[0]])).join(hex::encode(id)), "x").unwrap();
    }
    let connection = rusqlite::Connection::open(folder.path().join("index.db")).unwrap();
    schema::create_tables_of(&connection, 2);
    let bucket = bucket_key(Uuid::from_u128(7));
    connection
        .execute(
            "INSERT INTO objects (bucket, key, content, size, etag, modified, attributes, tags)
             VALUES (?1, ?2, ?3, 1, 'tag', 1000, '{}', '[[\"team\",\"blue\"]]')",
            rusqlite::params![bucket, b"a", old],
        )
        .unwrap();
    // No release wrote these, but the tables were there.
    for (sequence, version, content) in [(1, [7_u8; 16], Some(hidden)), (2, [8; 16], None)] {
        connection
            .execute(
                "INSERT INTO versions (bucket, key, sequence, version, content, parts, size, etag, modified, attributes)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, 1, 'tag', 1000, '{}')",
                rusqlite::params![bucket, b"b", sequence, version, content],
            )
            .unwrap();
    }
    drop(connection);
    let mut secrets = BTreeSet::new();
    for _ in 0..2 {
        let store = ObjectStore::open(folder.path()).unwrap();
        assert_eq!(files_swept(&store, folder.path()), 2);
        let naming = store.inner.index.naming();
        secrets.insert(naming.place(Version(Some([9; 16]))));
        let listed = pages(&store, "", "", 1).await;
        let of_b = [
            (hex::encode([8; 16]), None, true),
            (hex::encode([7; 16]), Some(1), false),
        ]
        .map(|(version, size, latest)| ("b".to_owned(), version, size, latest));
        assert_eq!(listed[0], ("a".to_owned(), "null".to_owned(), Some(1), true));
        assert_eq!(listed[1..], of_b);
        assert_eq!(
            get_version(&store, "b", Some(Version(Some([7; 16])))).await.unwrap(),
            b"x"
        );
        let tags = store.tags_to_decide(Uuid::from_u128(7), "a", None).await.unwrap();
        assert_eq!(tags, [("team".to_owned(), "blue".to_owned())]);
    }
    // Ids are read with the secret of this folder, whoever opens it.
    assert_eq!(secrets.len(), 1);
    let store = ObjectStore::open(folder.path()).unwrap();
    let new = write(&store, "a", "new", Versioning::Enabled).await.unwrap().version;
    assert_eq!(get_version(&store, "a", new).await.unwrap(), b"new");
    assert!(get_version(&store, "b", None).await.is_err());
    write(&store, "b", "newer", Versioning::Enabled).await.unwrap();
    assert_eq!(pages(&store, "b", "", 1000).await.len(), 3);
}
