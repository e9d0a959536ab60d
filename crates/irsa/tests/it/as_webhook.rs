//! The binary under the name that images of the reference webhook start.

use std::process::Command;

#[test]
fn under_the_name_of_the_reference_it_takes_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let webhook = folder.path().join("webhook");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_irsa"), &webhook).unwrap();
    let version = Command::new(&webhook)
        .args(["--in-cluster=false", "--logtostderr", "--version"])
        .output()
        .unwrap();
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.starts_with(b"v"), "{version:?}");
    let unknown = Command::new(&webhook).arg("--nosuch").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("unknown flag: --nosuch"));
}
