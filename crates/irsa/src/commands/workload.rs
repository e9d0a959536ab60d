use std::process::ExitCode;

use bytes::Bytes;
use irsa_aws::{Client, ClientError, Element, QueryService, default_chain, encode_path};
use serde_json::{Value, json};

use crate::cli::Workload;
use crate::output;

/// Does what a pod's program would, with nothing but the AWS SDK's credential chain, and tells each outcome as one line of
/// JSON. What is refused is an outcome too.
pub(super) async fn run(arguments: Workload) -> anyhow::Result<ExitCode> {
    let client = match default_chain().await {
        Ok(chain) => chain.client()?,
        Err(error) => {
            output::data(json!({"step": "credentials", "error": {"message": error.reason}}));
            return Ok(ExitCode::SUCCESS);
        }
    };
    tell("identity", identity(&client).await);
    tell("list", list(&client, &arguments.bucket).await);
    let object = encode_path(&format!("/{}/{}", arguments.bucket, arguments.key));
    let read = client.s3("GET", &object, "", Bytes::new()).await;
    tell(
        "get",
        read.map(|answer| json!({"text": String::from_utf8_lossy(&answer.body)})),
    );
    let written = client.s3("PUT", &object, "", Bytes::from_static(b"overwritten")).await;
    tell("put", written.map(|_| json!({})));
    Ok(ExitCode::SUCCESS)
}

async fn identity(client: &Client) -> Result<Value, ClientError> {
    let answer = client.query(QueryService::Sts, "GetCallerIdentity", &[]).await?;
    Ok(json!({"arn": answer.text_at("GetCallerIdentityResult/Arn")}))
}

async fn list(client: &Client, bucket: &str) -> Result<Value, ClientError> {
    let answer = client
        .s3("GET", &encode_path(&format!("/{bucket}")), "list-type=2", Bytes::new())
        .await?;
    let root = Element::parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
    let keys: Vec<&str> = root
        .all("", "Contents")
        .filter_map(|object| object.text_at("Key"))
        .collect();
    Ok(json!({"keys": keys}))
}

fn tell(step: &str, outcome: Result<Value, ClientError>) {
    let mut line = json!({"step": step});
    match outcome {
        Ok(outcome) => line["outcome"] = outcome,
        Err(error) => {
            line["error"] = match error.service() {
                Some(error) => json!({"code": error.code, "message": error.message, "requestId": error.request_id}),
                None => json!({"message": error.to_string()}),
            };
        }
    }
    output::data(line);
}
