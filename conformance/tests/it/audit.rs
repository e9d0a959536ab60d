//! The journal as its readers see it: CloudTrail's LookupEvents under real clients, and `irsa audit lookup` by everything that it can be asked for.

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{Cluster, Server, exchange};
use serde_json::Value;

use crate::{boto3::passes, shell};

#[test]
fn events_are_looked_up_with_boto3() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    passes(shell::command(&server, "python", folder.path())?.arg(shell::scripts().join("trail.py")))
}

#[test]
fn events_are_looked_up_with_the_aws_cli() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let aws = |words: &[&str]| shell::aws(&server, folder.path(), words);
    for user in ["a", "b", "c"] {
        ensure!(aws(&["iam", "create-user", "--user-name", user])?.code == Some(0));
    }
    let created = [
        "--lookup-attributes",
        "AttributeKey=EventName,AttributeValue=CreateUser",
    ];
    let look =
        |more: &[&str]| aws(&[&["cloudtrail", "lookup-events", "--output", "json"], &created[..], more].concat());
    let found: Value = serde_json::from_str(&look(&[])?.stdout)?;
    let names = |found: &Value| -> Vec<String> {
        let events = found["Events"].as_array().into_iter().flatten();
        events
            .filter_map(|event| Some(event["Resources"][0]["ResourceName"].as_str()?.to_owned()))
            .collect()
    };
    ensure!(names(&found) == ["c", "b", "a"], "{found}");
    let record: Value = serde_json::from_str(found["Events"][0]["CloudTrailEvent"].as_str().unwrap_or_default())?;
    ensure!(record["requestParameters"]["userName"] == "c", "{record}");
    // Pages of the command line: what it prints as a token begins the next one.
    let first: Value = serde_json::from_str(&look(&["--max-items", "2", "--page-size", "1"])?.stdout)?;
    let token = first["NextToken"].as_str().context("a page has a token")?;
    let rest: Value = serde_json::from_str(&look(&["--starting-token", token])?.stdout)?;
    ensure!(names(&first) == ["c", "b"] && names(&rest) == ["a"], "{first} {rest}");
    for (words, code) in [
        (
            ["--start-time", "2030-01-02", "--end-time", "2030-01-01"].as_slice(),
            "InvalidTimeRangeException",
        ),
        (&["--max-results", "51"], "InvalidMaxResultsException"),
        (&["--next-token", "x"], "InvalidNextTokenException"),
        (
            &["--lookup-attributes", "AttributeKey=ReadOnly,AttributeValue=maybe"],
            "InvalidLookupAttributesException",
        ),
    ] {
        let refused = aws(&[&["cloudtrail", "lookup-events", "--no-paginate"], words].concat())?;
        ensure!(
            refused.code != Some(0) && refused.stderr.contains(code),
            "{code}: {}",
            refused.stderr
        );
    }
    Ok(())
}

/// One exchange of a pod and what its session did, found by pod, service account, role, action, verdict and time, and explained.
#[tokio::test]
async fn what_a_pod_did_is_found_and_explained() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}}"#;
    let parameters = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "app"),
        ("PolicyName", "read"),
        ("PolicyDocument", document),
    ];
    root.must("iam", &parameters).await?;
    for (path, body) in [("/data", ""), ("/data/a", "content")] {
        let answer = root.call("s3", "PUT", path, &[], &[], body.to_owned().into()).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
    }
    let token = cluster.token(&root, "app", "reader").await?;
    let session = root
        .with(None)
        .must("sts", &exchange(&role, "work", &token))
        .await?
        .credentials()?;
    let pod = root.with(Some(session));
    let call = async |method: &str, path: &str| -> Result<(u16, String)> {
        let answer = pod.call("s3", method, path, &[], &[], "".into()).await?;
        let id = answer
            .headers
            .get("x-amz-request-id")
            .map_or("", |id| id.to_str().unwrap_or_default())
            .to_owned();
        Ok((answer.status, id))
    };
    let (read, _) = call("GET", "/data/a").await?;
    let (head, _) = call("HEAD", "/data/a").await?;
    let (list, _) = call("GET", "/data").await?;
    let (denied, denied_id) = call("DELETE", "/data/a").await?;
    ensure!(
        [read, head, list, denied] == [200, 200, 200, 403],
        "{read} {head} {list} {denied}"
    );

    let look = |words: &[&str]| -> Result<Vec<String>> {
        let found = server.run_json(&[&["audit", "lookup"], words].concat())?;
        let records = found["Records"].as_array().context("there are records")?;
        let names = records
            .iter()
            .filter_map(|record| Some(record["eventName"].as_str()?.to_owned()));
        Ok(names.collect())
    };
    let all = [
        "DeleteObject",
        "ListObjects",
        "HeadObject",
        "GetObject",
        "AssumeRoleWithWebIdentity",
    ];
    for (words, expected) in [
        (&["--service-account", "app/reader"][..], &all[..]),
        (&["--service-account", "app/other"], &[]),
        (
            &["--service-account", "app/reader", "--action", "s3:GetObject"],
            &["HeadObject", "GetObject"],
        ),
        (
            &["--service-account", "app/reader", "--action", "S3:listbucket"],
            &["ListObjects"],
        ),
        (
            &["--service-account", "app/reader", "--action", "s3:DeleteObject"],
            &["DeleteObject"],
        ),
        (
            &["--service-account", "app/reader", "--event-name", "GetObject"],
            &["GetObject"],
        ),
        (&["--role", "app", "--verdict", "denied"], &["DeleteObject"]),
        (
            &["--role", &role, "--verdict", "allowed", "--limit", "2"],
            &["ListObjects", "HeadObject"],
        ),
        (&["--service-account", "app/reader", "--until", "1h"], &[]),
        (
            &[
                "--service-account",
                "app/reader",
                "--since",
                "1h",
                "--verdict",
                "denied",
            ],
            &["DeleteObject"],
        ),
        (&["--request-id", &denied_id], &["DeleteObject"]),
        (
            &["--resource", "arn:aws:s3:::data/a", "--role", "app"],
            &["DeleteObject", "HeadObject", "GetObject"],
        ),
    ] {
        let found = look(words)?;
        ensure!(found == expected, "{words:?}: {found:?}");
    }
    let explained = server.run(&["explain", &denied_id])?;
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    for part in ["app", "reader", "s3:DeleteObject"] {
        ensure!(text.contains(part), "{part} is not in\n{text}");
    }
    server.run(&["audit", "verify"])?;
    Ok(())
}
