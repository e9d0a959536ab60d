//! boto3: as an administrator, and as the program in a pod, whose only credentials are AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE.

use std::process::Command;

use anyhow::{Result, ensure};
use irsa_conformance::{Cluster, Server, finish};

use crate::shell;

/// Runs a Python script of this suite; its last line must be `ok`, so that a script that stops early has not passed.
pub(crate) fn passes(command: &mut Command) -> Result<()> {
    let finished = finish(command)?;
    ensure!(
        finished.code == Some(0) && finished.stdout.lines().last() == Some("ok"),
        "ended with {:?}\n{}\n{}",
        finished.code,
        finished.stdout,
        finished.stderr
    );
    Ok(())
}

#[test]
fn an_administrator_uses_iam() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    passes(shell::command(&server, "python", folder.path())?.arg(shell::scripts().join("administrator.py")))
}

#[test]
fn objects_in_parts() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    passes(shell::command(&server, "python", folder.path())?.arg(shell::scripts().join("objects.py")))
}

#[tokio::test]
async fn a_pod_needs_nothing_but_its_role_and_its_token_file() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::my-bucket","arn:aws:s3:::my-bucket/*"]}]}"#;
    let parameters = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "app"),
        ("PolicyName", "read"),
        ("PolicyDocument", document),
    ];
    root.must("iam", &parameters).await?;
    for (path, body) in [
        ("/my-bucket", ""),
        ("/my-bucket/a", "content of a"),
        ("/my-bucket/b/c", "content of c"),
        ("/others", ""),
    ] {
        assert_eq!(
            root.call("s3", "PUT", path, &[], &[], body.to_owned().into())
                .await?
                .status,
            200
        );
    }
    let token = folder.path().join("token");
    std::fs::write(&token, cluster.token(&root, "app", "reader").await?)?;
    // No key, no profile, no file of ours: what a pod has.
    let mut pod = shell::plain("python", folder.path())?;
    pod.arg(shell::scripts().join("pod.py"))
        .env("AWS_ENDPOINT_URL", server.endpoint()?)
        .env("AWS_REGION", server.region()?)
        .env("AWS_DEFAULT_REGION", server.region()?)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ROLE_ARN", &role)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("ACCOUNT", server.account()?);
    passes(&mut pod)
}
