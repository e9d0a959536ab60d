//! Disks that are full.

use super::*;

/// In a child process whose files cannot grow past a limit: what a full disk looks like to a writer.
#[tokio::test]
async fn child_with_a_full_disk() {
    let Some(root) = child_folder() else { return };
    let store = ObjectStore::open(&root).unwrap();
    put(&store, "before", "small").await.unwrap();
    let error = put(&store, "large", vec![b'x'; 8 * 1024 * 1024]).await.unwrap_err();
    assert!(
        matches!(error, ObjectStoreError::File { action: "write", .. }),
        "{error}"
    );
    assert_eq!(get(&store, "large").await, None);
    store.inner.contents.flush();
    assert_eq!(fs::read_dir(root.join("uploads")).unwrap().count(), 0);
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
        "disk::child_with_a_full_disk",
        folder.path(),
        "trap '' XFSZ; ulimit -f 2000; ",
    )
    .output()
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("full disk survived"), "{text}");
}
