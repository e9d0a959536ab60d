use crate::test_server::{Reply, TestServer};
use crate::{ClientError, ClusterDescription, NewCluster, Service};

const DESCRIBED: &str = r#"{"cluster":{"name":"c","arn":"arn:aws:eks:eu-west-1:111122223333:cluster/c","status":"ACTIVE",
    "version":"1.36","endpoint":"https://1.example","identity":{"oidc":{"issuer":"https://issuer.example/1"}},
    "certificateAuthority":{"data":"LS0t"},"connectorConfig":null,"tags":{}}}"#;

fn not_found() -> Reply {
    Reply::Answer(
        404,
        "x-amzn-errortype: ResourceNotFoundException\r\nx-amzn-requestid: r-7\r\n",
        r#"{"message":"No cluster found for name: c."}"#.to_owned(),
    )
}

#[tokio::test]
async fn a_cluster_and_none() {
    let server = TestServer::start([Reply::ok(DESCRIBED), not_found(), Reply::ok(r#"{"cluster":{}}"#)]).await;
    let session = server.session();
    assert_eq!(session.endpoint(Service::Eks), Some(server.endpoint.as_str()));
    assert!(!session.is_aws(Service::Eks));
    let eks = session.eks().unwrap();
    assert_eq!(
        eks.describe_cluster("c").await.unwrap(),
        ClusterDescription {
            name: "c".to_owned(),
            arn: "arn:aws:eks:eu-west-1:111122223333:cluster/c".to_owned(),
            status: "ACTIVE".to_owned(),
            version: Some("1.36".to_owned()),
            issuer: Some("https://issuer.example/1".to_owned()),
            endpoint: Some("https://1.example".to_owned()),
            certificate_authority: Some("LS0t".to_owned()),
            is_connected: false,
            id: None,
        }
    );
    let error = eks.describe_cluster("a/b").await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        "DescribeCluster of cluster `a/b` failed with ResourceNotFoundException: No cluster found for name: c."
    );
    assert_eq!(error.hint().unwrap(), "`irsa cluster list` lists those that there are");
    let error = eks.describe_cluster("c").await.unwrap_err();
    assert!(matches!(error, ClientError::Unreadable { .. }), "{error}");
    let requests = server.requests();
    assert!(
        requests[0].starts_with("GET /clusters/c HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(requests[0].contains("/eu-west-1/eks/aws4_request"), "{}", requests[0]);
    // A name stays one segment of the path.
    assert!(
        requests[1].starts_with("GET /clusters/a%2Fb HTTP/1.1\r\n"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn a_cluster_is_registered() {
    let server = TestServer::start([Reply::ok(DESCRIBED)]).await;
    let cluster = NewCluster {
        name: "c".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/cluster".to_owned(),
        version: Some("1.36".to_owned()),
        issuer: Some("https://issuer.example/1".to_owned()),
        keys: Some(serde_json::json!({"keys": []})),
        tags: [("k".to_owned(), "v".to_owned())].into(),
    };
    server.session().eks().unwrap().create_cluster(&cluster).await.unwrap();
    assert!(server.requests()[0].starts_with("POST /clusters HTTP/1.1\r\n"));
    let body: serde_json::Value = serde_json::from_str(&server.bodies()[0]).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "name": "c", "roleArn": "arn:aws:iam::111122223333:role/cluster", "version": "1.36", "resourcesVpcConfig": {},
            "tags": {"k": "v"}, "oidc": {"issuer": "https://issuer.example/1", "keys": {"keys": []}},
        })
    );
}

#[tokio::test]
async fn a_token_is_made_without_a_call() {
    let server = TestServer::start([]).await;
    let token = server.session().eks().unwrap().cluster_token("c").await.unwrap();
    assert!(token.as_str().starts_with("k8s-aws-v1."));
    assert_eq!(server.connections(), 0);
}
