//! `irsa policy diff`: a difference is shown by a request, and the exit code says what was found.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Ended, irsa};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn diff(&self, arguments: &[&str]) -> Ended {
        Ended::of(
            irsa()
                .current_dir(self.0.path())
                .args(["policy", "diff"])
                .args(arguments),
        )
    }
}

fn policy(statement: &str) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [
  {{"Sid": "Objects", "Effect": "Allow", {statement}}}]}}"#
    )
}

#[test]
fn a_wider_policy_is_shown_by_a_request() {
    let folder = Folder::new();
    folder.file(
        "old.json",
        &policy(r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::app/data/*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}"#),
    );
    folder.file(
        "new.json",
        &policy(r#""Action": "s3:Get*", "Resource": "arn:aws:s3:::app/data/*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}"#),
    );
    let ended = folder.diff(&["old.json", "new.json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    insta::assert_snapshot!(ended.stdout);
    let ended = folder.diff(&["old.json", "new.json", "-o", "json"]);
    assert_eq!(ended.code, Some(1));
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["verdict"], "newAccess");
    assert_eq!(json["equivalent"], false);
    assert_eq!(json["lost"]["found"], false);
    let request = &json["gained"]["request"];
    assert_eq!(request["context"]["aws:SecureTransport"], "true");
    assert!(
        request["resource"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:s3:::app/data/")
    );
    assert_eq!(json["gained"]["under"]["decision"], "Allowed");
    assert_eq!(json["gained"]["notUnder"]["decision"], "ImplicitlyDenied");
    // The other way round it is access taken away, which is no fault.
    let ended = folder.diff(&["new.json", "old.json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("no new access") && ended.stdout.contains("access taken away"));
}

#[test]
fn what_means_the_same_is_the_same() {
    let folder = Folder::new();
    folder.file(
        "old.json",
        &policy(r#""Action": ["s3:Get*", "s3:GetObject"], "Resource": "*""#),
    );
    folder.file(
        "new.json",
        &policy(r#""Resource": ["*", "arn:*"], "Action": "S3:get*""#),
    );
    let ended = folder.diff(&["old.json", "new.json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "no new access: OLD and NEW allow the same requests\n");
}

#[test]
fn what_is_not_known_has_a_code_of_its_own() {
    let folder = Folder::new();
    folder.file(
        "old.json",
        &policy(
            r#""Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/", "arn:aws:s3:::b/?", "arn:aws:s3:::b/??*"]"#,
        ),
    );
    folder.file(
        "new.json",
        &policy(r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}""#),
    );
    let ended = folder.diff(&["old.json", "new.json"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stdout.starts_with("unknown: "), "{ended:?}");
    assert!(ended.stdout.contains("`aws:username`"), "{ended:?}");
}

#[test]
fn trust_policies_are_known_by_their_looks() {
    let folder = Folder::new();
    let trust = |operator: &str, subject: &str| {
        policy(&format!(
            r#""Principal": {{"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"}},
   "Action": "sts:AssumeRoleWithWebIdentity",
   "Condition": {{"{operator}": {{"oidc.example.com/id/A:sub": "system:serviceaccount:{subject}"}}}}"#
        ))
    };
    folder.file("old.json", &trust("StringEquals", "shop:cart"));
    folder.file("new.json", &trust("StringLike", "shop:*"));
    let ended = folder.diff(&["old.json", "new.json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    insta::assert_snapshot!(ended.stdout);
}

#[test]
fn wrong_usage_and_wrong_files() {
    let folder = Folder::new();
    folder.file("identity.json", &policy(r#""Action": "*", "Resource": "*""#));
    folder.file("trust.json", &policy(r#""Action": "sts:AssumeRole", "Principal": "*""#));
    folder.file("text.txt", "no policy");
    for (arguments, code, message) in [
        (&["identity.json", "trust.json"][..], 2, "--type"),
        (&["-", "-"], 2, "stdin"),
        (&["identity.json"], 2, "NEW"),
        (&["identity.json", "identity.json", "--type", "x"], 2, "scp"),
        (&["identity.json", "none.json"], 1, "none.json"),
        (&["identity.json", "text.txt"], 1, "text.txt"),
        (
            &["identity.json", "identity.json", "--type", "trust"],
            1,
            "identity.json",
        ),
    ] {
        let ended = folder.diff(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains(message), "{arguments:?} {ended:?}");
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let folder = Folder::new();
    folder.file("policy.json", &policy(r#""Action": "s3:GetObject", "Resource": "*""#));
    // Data of a device that is full is lost; whoever reads only the exit code must not take it for "no difference".
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = irsa()
        .current_dir(folder.0.path())
        .args(["policy", "diff", "policy.json", "policy.json", "-o", "json"])
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("stdout can't be written: No space left on device"),
        "{stderr}"
    );
}
