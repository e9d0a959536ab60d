//! Disks that are full.

use super::multipart::{begin, complete_in, upload};
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

/// A file system of its own in memory, gone with the value.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None`: nothing may be mounted here.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self { at: at.to_owned() })
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        use io::Write as _;
        let mut file = File::create(self.at.join("filler")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![b'x'; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.at.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

#[tokio::test]
async fn a_full_disk_takes_no_part_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), "24m") else {
        say("nothing may be mounted here: that a part meets a full disk is not tested");
        return;
    };
    let root = disk.at.join("objects");
    let store = ObjectStore::open(&root).unwrap();
    let first = write(&store, "a", "kept", Versioning::Enabled).await.unwrap().version;
    let id = begin(&store, "a").await;
    upload(&store, "a", id, 1, vec![1; 2_000_000]).await.unwrap();
    disk.fill();
    // A part that is larger than what is left, and one that hardly needs more than a row.
    for size in [4_000_000, 1] {
        let permit: Permit<WriteObject> = permit(Some("a"));
        let part = PartRow {
            number: 2,
            size,
            etag: "part".to_owned(),
            checksum: None,
            modified: Timestamp::from_unix_seconds(0),
        };
        let content = Bytes::from(vec![2; usize::try_from(size).unwrap()]);
        let done = async {
            let (staged, digest) = store.stage(&permit).push(content, NoDigest).await?;
            let (staged, _) = staged.finish(digest).await?;
            store.put_part(permit, id, staged, part).await
        };
        assert!(done.await.is_err(), "{size} bytes found a place");
        // What did not fit is gone, and what was there is there.
        assert_eq!(files_left(&store, &root), 2);
        assert_eq!(fs::read_dir(root.join("uploads")).unwrap().count(), 0);
        assert_eq!(get(&store, "a").await.unwrap(), b"kept");
    }
    assert!(write(&store, "a", vec![3; 100_000], Versioning::Enabled).await.is_err());
    assert_eq!(get(&store, "a").await.unwrap(), b"kept");
    disk.free();
    upload(&store, "a", id, 2, vec![2; 1_000_000]).await.unwrap();
    let done = complete_in(&store, "a", id, &[1, 2], Versioning::Enabled)
        .await
        .unwrap();
    assert_eq!(get_version(&store, "a", done.version).await.unwrap().len(), 3_000_000);
    assert_eq!(get_version(&store, "a", first).await.unwrap(), b"kept");
    // A crash on a full disk, too: all is there after it.
    disk.fill();
    assert!(write(&store, "b", vec![3; 100_000], Versioning::Enabled).await.is_err());
    drop(store);
    disk.free();
    let store = ObjectStore::open(&root).unwrap();
    assert_eq!(files_swept(&store, &root), 3);
    assert_eq!(get_version(&store, "a", done.version).await.unwrap().len(), 3_000_000);
}
