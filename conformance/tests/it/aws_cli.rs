//! The AWS CLI.

use anyhow::{Context as _, Result};
use irsa_conformance::{Server, finish};

use crate::shell;

/// The lines after `== name` in the output of a script.
fn part<'a>(output: &'a str, name: &str) -> &'a str {
    let (_, rest) = output
        .split_once(&format!("== {name}\n"))
        .unwrap_or_else(|| panic!("no part {name} in:\n{output}"));
    rest.split("== ").next().unwrap_or_default().trim()
}

#[test]
fn the_commands_of_the_documents_work_as_written() -> Result<()> {
    let server = Server::start()?;
    let account = server.account()?;
    let folder = tempfile::tempdir()?;
    let output = shell::script(&server, folder.path(), "documents.sh", &[])?;

    let issuer = part(&output, "issuer");
    assert!(
        issuer.starts_with(&format!("{}/id/", server.tls_endpoint()?)),
        "{issuer}"
    );
    assert_eq!(part(&output, "account"), account);
    let provider = issuer.trim_start_matches("https://");
    assert_eq!(
        part(&output, "provider"),
        format!("arn:aws:iam::{account}:oidc-provider/{provider}")
    );
    assert_eq!(
        part(&output, "policy"),
        format!("arn:aws:iam::{account}:policy/my-iam-policy")
    );
    assert_eq!(
        part(&output, "role"),
        format!("arn:aws:iam::{account}:role/my-iam-role")
    );
    assert!(part(&output, "pod environment").ends_with("16 config.txt"), "{output}");
    assert!(
        part(&output, "whoami").starts_with(&format!("arn:aws:sts::{account}:assumed-role/my-iam-role/")),
        "{output}"
    );
    assert!(part(&output, "deployment").contains("16 config.txt"), "{output}");

    // What the role may not do is denied in AWS's words.
    let pod = |words: &[&str]| {
        let mut command = shell::command(&server, "irsa", folder.path())?;
        finish(
            command
                .args([
                    "exec",
                    "--serviceaccount",
                    "app/s3-reader",
                    "-f",
                    "pod.yaml",
                    "--",
                    "aws",
                ])
                .args(words),
        )
    };
    let denied = pod(&[
        "s3api",
        "put-object",
        "--bucket",
        "my-bucket",
        "--key",
        "new",
        "--body",
        "config.txt",
    ])?;
    assert_ne!(denied.code, Some(0));
    let session = part(&output, "whoami").rsplit('/').next().context("a session name")?;
    assert!(!session.is_empty());
    assert!(
        denied
            .stderr
            .contains("An error occurred (AccessDenied) when calling the PutObject operation: User: ")
            && denied
                .stderr
                .contains(&format!("arn:aws:sts::{account}:assumed-role/my-iam-role/"))
            && denied.stderr.contains(
                "is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::my-bucket/new\" \
                 because no identity-based policy allows the s3:PutObject action"
            ),
        "{}",
        denied.stderr
    );
    let denied = pod(&[
        "iam",
        "create-role",
        "--role-name",
        "mine",
        "--assume-role-policy-document",
        "file://trust.json",
    ])?;
    assert!(
        denied
            .stderr
            .contains("An error occurred (AccessDenied) when calling the CreateRole operation: User: ")
            && denied
                .stderr
                .contains("is not authorized to perform: iam:CreateRole on resource: "),
        "{}",
        denied.stderr
    );

    // Another service account gets nothing, and learns nothing.
    let role = format!("arn:aws:iam::{account}:role/my-iam-role");
    let mut thief = shell::command(&server, "irsa", folder.path())?;
    let words = [
        "exec",
        "--serviceaccount",
        "app/other",
        "--role-arn",
        &role,
        "--",
        "aws",
        "s3",
        "ls",
        "s3://my-bucket",
    ];
    let refused = finish(thief.args(words))?;
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains(
            "An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: \
             Not authorized to perform sts:AssumeRoleWithWebIdentity"
        ),
        "{}",
        refused.stderr
    );

    // All of it is on record: the exchange, the denial, the refused exchange; and the record is whole.
    let lookup = |words: &[&str]| server.run_json(&[&["audit", "lookup"], words].concat());
    let exchanges = lookup(&[
        "--event-name",
        "AssumeRoleWithWebIdentity",
        "--error-code",
        "AccessDenied",
    ])?;
    assert!(!records(&exchanges).is_empty(), "{exchanges}");
    let denials = lookup(&["--event-name", "PutObject", "--error-code", "AccessDenied"])?;
    assert_eq!(records(&denials).len(), 1, "{denials}");
    server.run(&["audit", "verify"])?;
    Ok(())
}

/// The records that `irsa audit lookup -o json` prints.
pub(crate) fn records(printed: &serde_json::Value) -> Vec<serde_json::Value> {
    match printed {
        serde_json::Value::Array(records) => records.clone(),
        other => other
            .get("Records")
            .or_else(|| other.get("events"))
            .and_then(|list| list.as_array())
            .cloned()
            .unwrap_or_default(),
    }
}

#[test]
fn objects_come_back_as_they_went() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let run = |words: &[&str]| {
        let finished = shell::aws(&server, folder.path(), words)?;
        anyhow::ensure!(finished.code == Some(0), "aws {words:?}: {}", finished.stderr);
        anyhow::Ok(finished.stdout)
    };
    let bytes: Vec<u8> = (0u32..1_500_000).flat_map(u32::to_le_bytes).collect();
    std::fs::write(folder.path().join("up"), &bytes)?;
    run(&["s3", "mb", "s3://things"])?;
    run(&["s3", "cp", "up", "s3://things/a"])?;
    run(&["s3", "cp", "up", "s3://things/a/b c+d é"])?;
    run(&["s3", "cp", "s3://things/a/b c+d é", "down"])?;
    assert!(std::fs::read(folder.path().join("down"))? == bytes);

    assert!(run(&["s3", "ls", "s3://things/"])?.contains("PRE a/"));
    let listed = run(&["s3", "ls", "--recursive", "s3://things"])?;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("6000000 a/b c+d é"), "{listed}");
    run(&[
        "s3api",
        "get-object",
        "--bucket",
        "things",
        "--key",
        "a",
        "--range",
        "bytes=4-7",
        "part",
    ])?;
    assert_eq!(std::fs::read(folder.path().join("part"))?, [1, 0, 0, 0]);

    let gone = shell::aws(&server, folder.path(), &["s3", "rb", "s3://things"])?;
    assert!(gone.stderr.contains("BucketNotEmpty"), "{}", gone.stderr);
    run(&["s3", "rm", "s3://things/a"])?;
    run(&["s3", "rm", "s3://things/a/b c+d é"])?;
    let missing = shell::aws(
        &server,
        folder.path(),
        &["s3api", "get-object", "--bucket", "things", "--key", "a", "none"],
    )?;
    assert!(missing.stderr.contains("(NoSuchKey)"), "{}", missing.stderr);
    run(&["s3", "rb", "s3://things"])?;
    assert!(run(&["s3", "ls"])?.trim().is_empty());
    Ok(())
}

/// With the CLI's own settings: above 8 MiB it uploads in parts, several at once, with checksums.
#[test]
fn large_objects_come_back_as_they_went() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let run = |words: &[&str]| {
        let finished = shell::aws(&server, folder.path(), words)?;
        anyhow::ensure!(finished.code == Some(0), "aws {words:?}: {}", finished.stderr);
        anyhow::Ok(finished.stdout)
    };
    let bytes: Vec<u8> = (0u32..16 * 1024 * 1024).flat_map(u32::to_le_bytes).collect();
    std::fs::write(folder.path().join("up"), &bytes)?;
    run(&["s3", "mb", "s3://large"])?;
    run(&["s3", "cp", "--content-type", "text/x-large", "up", "s3://large/a"])?;
    let head = run(&[
        "s3api",
        "head-object",
        "--bucket",
        "large",
        "--key",
        "a",
        "--checksum-mode",
        "ENABLED",
    ])?;
    let head: serde_json::Value = serde_json::from_str(&head)?;
    assert_eq!(head["ContentLength"], 67_108_864);
    assert_eq!(head["ContentType"], "text/x-large");
    assert!(head["ETag"].as_str().unwrap_or_default().ends_with("-8\""), "{head}");
    run(&["s3", "cp", "s3://large/a", "down"])?;
    assert!(std::fs::read(folder.path().join("down"))? == bytes);
    // From bucket to bucket, in parts that are copied.
    run(&["s3", "mb", "s3://other"])?;
    run(&["s3", "cp", "s3://large/a", "s3://other/b"])?;
    std::fs::remove_file(folder.path().join("down"))?;
    run(&["s3", "mv", "s3://other/b", "down"])?;
    assert!(std::fs::read(folder.path().join("down"))? == bytes);

    // Each operation by its name.
    let api = |words: &[&str]| {
        let mut all = vec!["s3api"];
        all.extend_from_slice(words);
        all.extend_from_slice(&["--bucket", "other", "--output", "json"]);
        let printed = run(&all)?;
        if printed.trim().is_empty() {
            return Ok(serde_json::Value::Null);
        }
        anyhow::Ok(serde_json::from_str::<serde_json::Value>(&printed)?)
    };
    let upload = api(&[
        "create-multipart-upload",
        "--key",
        "k",
        "--checksum-algorithm",
        "SHA256",
    ])?;
    let id = upload["UploadId"].as_str().unwrap_or_default().to_owned();
    std::fs::write(folder.path().join("first"), &bytes[..5 * 1024 * 1024])?;
    let place = ["--key", "k", "--upload-id", &id];
    let first = api(&[
        &[
            "upload-part",
            "--part-number",
            "1",
            "--body",
            "first",
            "--checksum-algorithm",
            "SHA256",
        ],
        &place[..],
    ]
    .concat())?;
    let second = api(&[
        &[
            "upload-part-copy",
            "--part-number",
            "2",
            "--copy-source",
            "large/a",
            "--copy-source-range",
            "bytes=0-9",
        ],
        &place[..],
    ]
    .concat())?;
    let uploads = api(&["list-multipart-uploads"])?;
    assert_eq!(uploads["Uploads"][0]["UploadId"], id.as_str(), "{uploads}");
    let listed = api(&[&["list-parts"], &place[..]].concat())?;
    assert_eq!(listed["Parts"].as_array().map(Vec::len), Some(2), "{listed}");
    let parts = serde_json::json!({ "Parts": [
        { "PartNumber": 1, "ETag": first["ETag"], "ChecksumSHA256": first["ChecksumSHA256"] },
        { "PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"], "ChecksumSHA256": second["CopyPartResult"]["ChecksumSHA256"] },
    ] })
    .to_string();
    let done = api(&[&["complete-multipart-upload", "--multipart-upload", &parts], &place[..]].concat())?;
    assert_eq!(done["ChecksumType"], "COMPOSITE", "{done}");
    let got = api(&["get-object", "--key", "k", "--part-number", "2", "part"])?;
    assert_eq!(
        (got["PartsCount"].as_i64(), got["ContentLength"].as_i64()),
        (Some(2), Some(10))
    );
    assert!(std::fs::read(folder.path().join("part"))? == bytes[..10]);
    let upload = api(&["create-multipart-upload", "--key", "k"])?;
    let id = upload["UploadId"].as_str().unwrap_or_default().to_owned();
    api(&["abort-multipart-upload", "--key", "k", "--upload-id", &id])?;
    let gone = shell::aws(
        &server,
        folder.path(),
        &[
            "s3api",
            "list-parts",
            "--bucket",
            "other",
            "--key",
            "k",
            "--upload-id",
            &id,
        ],
    )?;
    assert!(gone.stderr.contains("(NoSuchUpload)"), "{}", gone.stderr);
    Ok(())
}

#[test]
fn the_identity_that_the_shell_has_is_the_root_of_the_first_account() -> Result<()> {
    let server = Server::start_with(&irsa_conformance::StartOptions {
        arguments: ["--account", "123456789012", "--region", "eu-central-1"]
            .map(str::to_owned)
            .to_vec(),
        ..Default::default()
    })?;
    let folder = tempfile::tempdir()?;
    let finished = shell::aws(
        &server,
        folder.path(),
        &["sts", "get-caller-identity", "--query", "Account"],
    )?;
    assert_eq!(finished.stdout.trim(), "\"123456789012\"", "{}", finished.stderr);
    let finished = shell::aws(
        &server,
        folder.path(),
        &["sts", "get-caller-identity", "--query", "Arn", "--output", "text"],
    )?;
    assert_eq!(finished.stdout.trim(), "arn:aws:iam::123456789012:root");
    // The shell form is what people use: it must do the same.
    let mut shell = shell::plain("bash", folder.path())?;
    let words = [
        "-c",
        "eval \"$(irsa env --data \"$1\")\" && aws sts get-caller-identity --query Account --output text && echo $AWS_REGION",
        "bash",
    ];
    let finished = finish(shell.args(words).arg(server.data()))?;
    assert_eq!(finished.stdout, "123456789012\neu-central-1\n", "{}", finished.stderr);
    Ok(())
}
