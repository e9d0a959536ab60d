//! A store that nobody here wrote behind the server: boto3 in a pod on one side, moto's S3 on the other, and the records of it.

use anyhow::{Result, ensure};

use crate::gateway::pod_before_moto;

/// What `s3_upstream.py` may.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["s3:ListAllMyBuckets"],"Resource":"*"},
    {"Effect":"Allow","Action":["s3:CreateBucket","s3:ListBucket","s3:ListBucketMultipartUploads"],"Resource":"arn:aws:s3:::app-data"},
    {"Effect":"Allow","Action":["s3:*Object*","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"arn:aws:s3:::app-data/in/*"}]}"#;

#[tokio::test]
async fn a_pod_keeps_its_objects_in_a_store_of_others() -> Result<()> {
    let arguments = |store: &str| vec!["--s3-upstream".to_owned(), store.to_owned()];
    let records = pod_before_moto(arguments, "s3_upstream.py", POLICY).await?;
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
