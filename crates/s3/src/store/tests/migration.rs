//! Folders of earlier releases.

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
    index::create_first_tables(&connection);
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
        sweep::sweep(&store.inner.contents, &store.inner.index.readers()).unwrap();
        assert_eq!(get(&store, "old").await.unwrap(), content);
        let found = store
            .read::<(), _>(permit(Some("old")), None, |_, _| Ok(None))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.row.attributes.content_type.as_deref(), Some("text/plain"));
        assert_eq!(
            (found.row.parts, found.row.version, found.row.tags),
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
