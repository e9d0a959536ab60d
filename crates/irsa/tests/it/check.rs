//! `irsa policy check`, from outside.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Ended, irsa};

const TRUST: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {"oidc.example.com/id/A:sub": "system:serviceaccount:app:*"}
      }
    },
    {
      "Effect": "Allow",
      "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringLike": {"oidc.example.com/id/A:sub": "system:serviceaccount:team-*:app"},
        "StringEquals": {"oidc.example.com/id/A:aud": "sts.amazonaws.com"}
      }
    }
  ]
}
"#;

const IDENTITY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Action": ["s3:GetObjekt", "iam:PassRole"],
    "Resource": "*"
  }
}
"#;

const GOOD: &str = r#"{
  "Version": "2012-10-17",
  "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
}
"#;

/// A folder with files, and the command in it.
fn check(files: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    check_in(folder.path(), arguments)
}

fn check_in(folder: &Path, arguments: &[&str]) -> Ended {
    Ended::of(irsa().current_dir(folder).args(["policy", "check"]).args(arguments))
}

#[test]
fn text_shows_the_line_and_what_to_do() {
    let ended = check(
        &[("trust.json", TRUST), ("app.json", IDENTITY)],
        &["trust.json", "app.json"],
    );
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    insta::assert_snapshot!("check_text", format!("{}----\n{}", ended.stdout, ended.stderr));
}

#[test]
fn json_is_in_the_form_of_access_analyzer() {
    let ended = check(&[("trust.json", TRUST)], &["-o", "json", "trust.json"]);
    assert_eq!(ended.code, Some(1));
    let findings: Value = serde_json::from_str(&ended.stdout).unwrap();
    for finding in findings.as_array().unwrap() {
        for member in ["findingDetails", "findingType", "issueCode", "learnMoreLink"] {
            assert!(finding[member].is_string(), "{finding}");
        }
        assert!(finding["locations"][0]["span"]["start"]["line"].is_u64(), "{finding}");
        assert!(finding["locations"][0]["path"].is_array(), "{finding}");
    }
    insta::assert_snapshot!("check_json", ended.stdout);
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let ended = check(
        &[("a b.json", TRUST), ("app.json", IDENTITY)],
        &["-o", "sarif", "a b.json", "app.json"],
    );
    assert_eq!(ended.code, Some(1));
    let log: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert!(run["tool"]["driver"]["name"].is_string());
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in rules {
        assert!(
            rule["id"].is_string() && rule["shortDescription"]["text"].is_string(),
            "{rule}"
        );
        assert!(rule["helpUri"].as_str().unwrap().starts_with("https://"), "{rule}");
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() > 3);
    let texts = [("a%20b.json", TRUST), ("app.json", IDENTITY)];
    let at = |text: &str, region: &Value| {
        let start = usize::try_from(region["charOffset"].as_u64().unwrap()).unwrap();
        let length = usize::try_from(region["charLength"].as_u64().unwrap()).unwrap();
        for bound in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(region[bound].as_u64().unwrap() >= 1, "{region}");
        }
        (start, text[start..start + length].to_owned())
    };
    let mut fixes = 0;
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(
            ["error", "warning", "note"].contains(&result["level"].as_str().unwrap()),
            "{result}"
        );
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        let (_, text) = texts.iter().find(|(name, _)| *name == uri).unwrap();
        let (start, _) = at(text, &place["region"]);
        let line = usize::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
        assert_eq!(text[..start].matches('\n').count() + 1, line, "{result}");
        for fix in result["fixes"].as_array().into_iter().flatten() {
            for change in fix["artifactChanges"].as_array().unwrap() {
                assert_eq!(change["artifactLocation"]["uri"], uri);
                for replacement in change["replacements"].as_array().unwrap() {
                    let (start, old) = at(text, &replacement["deletedRegion"]);
                    let new = replacement["insertedContent"]["text"].as_str().unwrap();
                    let mut after = (*text).to_owned();
                    after.replace_range(start..start + old.len(), new);
                    assert!(serde_json::from_str::<Value>(&after).is_ok(), "{after}");
                    fixes += 1;
                }
            }
        }
    }
    assert!(fixes >= 3, "{fixes}");
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    insta::assert_snapshot!("check_sarif", ended.stdout.replace(&version, "\"version\": \"(ours)\""));
}

#[test]
fn a_good_policy_is_exit_code_0() {
    let ended = check(&[("good.json", GOOD)], &["good.json"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr,
        "good.json: nothing found; checked as an identity-based policy (assumed; `--type` says otherwise)\n"
    );
    let ended = check(
        &[("good.json", GOOD)],
        &["-o", "json", "--type", "boundary", "good.json"],
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "[]\n"));
    assert_eq!(
        ended.stderr,
        "good.json: nothing found; checked as a permissions boundary\n"
    );
}

#[test]
fn what_fails_can_be_widened() {
    let files = [("app.json", IDENTITY)];
    for (threshold, code) in [("error", 0), ("security-warning", 1), ("warning", 1), ("suggestion", 1)] {
        let ended = check(&files, &["--fail-on", threshold, "app.json"]);
        assert_eq!(ended.code, Some(code), "{threshold}");
    }
    assert_eq!(check(&files, &["--type", "trust", "app.json"]).code, Some(1));
    assert_eq!(
        check(&files, &["--resource-type", "AWS::S3::Bucket", "app.json"]).code,
        Some(1)
    );
}

#[test]
fn stdin_is_a_file_too() {
    let mut child = irsa()
        .args(["policy", "check", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(IDENTITY.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings[0]["file"], "stdin");
}

#[test]
fn what_cannot_be_read_is_exit_code_2() {
    for arguments in [
        &["missing.json"][..],
        &["good.json", "missing.json"],
        &["binary.json"],
        &["--services", "missing.json", "good.json"],
        &["--services", "good.json", "good.json"],
        &["--type", "nonsense", "good.json"],
        &[],
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("good.json"), GOOD).unwrap();
        std::fs::write(folder.path().join("binary.json"), [0xff, 0xfe, 0]).unwrap();
        let ended = check_in(folder.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:#?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_read_does_not_hide_the_others() {
    let files = [("good.json", GOOD), ("app.json", IDENTITY)];
    let ended = check(
        &files,
        &["missing.json", "good.json", "gone.json", "app.json", "-o", "json"],
    );
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let findings: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(findings[0]["file"], "app.json");
    for told in ["missing.json", "gone.json", "good.json: nothing found"] {
        assert_eq!(ended.stderr.matches(told).count(), 1, "{told}: {}", ended.stderr);
    }
}

#[test]
fn a_file_without_an_end_is_read_to_the_limit() {
    let ended = check(&[("good.json", GOOD)], &["/dev/zero", "good.json", "-o", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let findings: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(findings.as_array().map(Vec::len), Some(1), "{findings}");
    assert_eq!(findings[0]["issueCode"], "IRSA_TEXT_TOO_LONG");
    // The limit may be within a character.
    for head in ["", "x", "xy", "xyz"] {
        let text = format!("{head}{}", "\u{20ac}".repeat(90_000));
        let ended = check(&[("long.json", &text)], &["long.json", "-o", "json"]);
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stdout.matches("issueCode").count(), 1, "{}", ended.stdout);
        assert!(ended.stdout.contains("IRSA_TEXT_TOO_LONG"), "{}", ended.stdout);
    }
}

#[test]
fn services_of_ones_own() {
    let services = r#"{"services": [{"prefix": "orders", "name": "Orders",
        "actions": [{"name": "CancelOrder", "accessLevel": "Write"}]}]}"#;
    let policy = GOOD
        .replace("s3:GetObject", "orders:CancelOrder")
        .replace("arn:aws:s3:::bucket/*", "*");
    let files = [("own.json", services), ("policy.json", policy.as_str())];
    let without = check(&files, &["policy.json", "-o", "json"]);
    assert!(without.stdout.contains("INVALID_SERVICE_IN_ACTION"), "{without:#?}");
    let with = check(&files, &["--services", "own.json", "policy.json", "-o", "json"]);
    assert_eq!(with.stdout, "[]\n", "{with:#?}");
}

#[test]
fn a_long_line_is_cut_and_hostile_text_is_harmless() {
    let long = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::{}","nope{}"]}}}}"#,
        "b".repeat(5_000),
        "\u{202e}\u{1b}[2J"
    );
    let ended = check(&[("long.json", &long)], &["long.json"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.len() < 5_000, "{}", ended.stdout.len());
    for hostile in ['\u{1b}', '\u{202e}'] {
        assert!(!ended.stdout.contains(hostile) && !ended.stderr.contains(hostile));
    }
    assert!(ended.stdout.contains('…'), "{}", ended.stdout);
}
