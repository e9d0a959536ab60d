//! A store that nobody here wrote behind the server: boto3 in a pod on one side, moto's S3 on the other, and the records of it.

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{Cluster, Server, StartOptions};

use crate::{boto3::passes, gateway::Moto, shell};

/// What `s3_upstream.py` may.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["s3:ListAllMyBuckets"],"Resource":"*"},
    {"Effect":"Allow","Action":["s3:CreateBucket","s3:ListBucket"],"Resource":"arn:aws:s3:::app-data"},
    {"Effect":"Allow","Action":["s3:*Object*","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"arn:aws:s3:::app-data/in/*"}]}"#;

#[tokio::test]
async fn a_pod_keeps_its_objects_in_a_store_of_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let moto = Moto::start(folder.path())?;
    let store = format!("http://{}", moto.address);
    let server = Server::start_with(&StartOptions {
        arguments: vec!["--s3-upstream".to_owned(), store.clone()],
        environment: vec![
            ("AWS_ACCESS_KEY_ID", "AKIAUPSTREAMEXAMPLE1".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of-the-upstream".to_owned()),
        ],
        ..StartOptions::default()
    })?;
    let root = server.root()?;
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let parameters = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "app"),
        ("PolicyName", "objects"),
        ("PolicyDocument", POLICY),
    ];
    root.must("iam", &parameters).await?;
    let token = folder.path().join("token");
    std::fs::write(&token, cluster.token(&root, "app", "reader").await?)?;
    let mut pod = shell::plain("python", folder.path())?;
    pod.arg(shell::scripts().join("s3_upstream.py"))
        .env("UPSTREAM", store)
        .env("AWS_ENDPOINT_URL", server.endpoint()?)
        .env("AWS_REGION", server.region()?)
        .env("AWS_DEFAULT_REGION", server.region()?)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ROLE_ARN", &role)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    passes(&mut pod)?;
    let found = server.run_json(&["audit", "lookup", "--service-account", "app/reader", "--limit", "1000"])?;
    let records = found["Records"]
        .as_array()
        .context("`irsa audit lookup` prints records")?;
    for (event, key, error) in [
        ("PutObject", "in/a b+c", None),
        ("CopyObject", "in/copy", None),
        ("CompleteMultipartUpload", "in/parts", None),
        ("DeleteObject", "out/a", Some("AccessDenied")),
        ("PutObject", "out/a", Some("AccessDenied")),
    ] {
        let told = records.iter().any(|record| {
            record["eventName"] == event
                && record["requestParameters"]["key"] == key
                && record["errorCode"].as_str() == error
        });
        ensure!(told, "no record of {event} {key} {error:?}");
    }
    Ok(())
}
