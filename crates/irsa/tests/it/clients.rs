//! What an administrator does with the AWS CLI, done with our own client.

use bytes::Bytes;
use irsa_aws::QueryService;
use serde_json::json;

use crate::support::{ACCOUNT, Server, block};

/// The role of the story, in place: cluster, provider, role, policy, bucket and object.
pub(crate) fn story(server: &Server) -> String {
    let issuer = server.run(&["cluster", "register"], &["--name", "my-cluster"]).done();
    let issuer = issuer.trim();
    let provider = issuer.trim_start_matches("https://");
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            format!("{provider}:aud"): "sts.amazonaws.com",
            format!("{provider}:sub"): "system:serviceaccount:app:s3-reader",
        }},
    }]})
    .to_string();
    let policy = include_str!("../../src/quickstart/policy.json");
    let root = server.root();
    block(async {
        let params = [("Url", issuer), ("ClientIDList.member.1", "sts.amazonaws.com")];
        root.query(QueryService::Iam, "CreateOpenIDConnectProvider", &params)
            .await
            .unwrap();
        let params = [("RoleName", "S3ReadRole"), ("AssumeRolePolicyDocument", trust.as_str())];
        root.query(QueryService::Iam, "CreateRole", &params).await.unwrap();
        let params = [
            ("RoleName", "S3ReadRole"),
            ("PolicyName", "read"),
            ("PolicyDocument", policy),
        ];
        root.query(QueryService::Iam, "PutRolePolicy", &params).await.unwrap();
        root.s3("PUT", "/my-bucket", "", Bytes::new()).await.unwrap();
        root.s3("PUT", "/my-bucket/hello.txt", "", Bytes::from_static(b"hello"))
            .await
            .unwrap();
    });
    format!("arn:aws:iam::{ACCOUNT}:role/S3ReadRole")
}

/// The manifest of the service account of the story, in a file.
pub(crate) fn service_account(folder: &std::path::Path, role_arn: &str) -> String {
    let path = folder.join("serviceaccount.yaml");
    let text = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: s3-reader\n  namespace: app\n  annotations:\n    \
         eks.amazonaws.com/role-arn: {role_arn}\n"
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
