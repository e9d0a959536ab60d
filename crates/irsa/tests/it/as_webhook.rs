//! The binary under the name that images of the reference webhook start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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

fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_irsa")).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The flags of a text, each with its two dashes.
fn flags(text: &str) -> BTreeSet<String> {
    let is_of_a_name =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character);
    let mut flags = BTreeSet::new();
    for (start, _) in text.match_indices("--") {
        let before = text[..start].chars().next_back().unwrap_or(' ');
        let name: String = text[start + 2..]
            .chars()
            .take_while(|character| is_of_a_name(*character))
            .collect();
        if !is_of_a_name(before) && name.starts_with(|first: char| first.is_ascii_lowercase()) {
            flags.insert(format!("--{}", name.trim_end_matches('-')));
        }
    }
    flags
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push(path);
        }
    }
}

#[test]
fn manifests_and_manual_name_flags_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut known = flags(&help(&["webhook", "--help"]));
    known.extend(flags(&help(&["webhook", "policy", "--help"])));
    assert!(known.len() > 40, "{known:?}");
    let mut manifests = Vec::new();
    files(&root.join("deploy/kustomize"), &mut manifests);
    files(&root.join("deploy/helm"), &mut manifests);
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap();
        for flag in flags(&text) {
            assert!(known.contains(&flag), "{flag} in {}", path.display());
        }
    }
    // Those of other programs in the manual's command lines.
    let others = ["--help", "--create-namespace", "--set", "--prefix", "--field-selector"];
    known.extend(others.map(str::to_owned));
    let manual = std::fs::read_to_string(root.join("docs/webhook.md")).unwrap();
    for flag in flags(&manual) {
        assert!(known.contains(&flag), "{flag} in the manual");
    }
}
