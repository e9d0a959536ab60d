//! The documents' ServiceAccount and Deployment, from `kubectl apply` to the object in the bucket.

use anyhow::{Context as _, Result};
use irsa_conformance::{Cluster, Server, StartOptions, exchange};
use serde_json::{Value, json};

use irsa_conformance::webhook::{Installation, NAME, is_injected, pods};

/// As the document has it, but for the account's number.
const ACCOUNT: &str = "apiVersion: v1
kind: ServiceAccount
metadata:
  name: s3-reader
  namespace: app
  annotations:
    eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/S3ReadRole
";
const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: reader
  namespace: app
spec:
  replicas: 1
  selector:
    matchLabels:
      app: reader
  template:
    metadata:
      labels:
        app: reader
    spec:
      serviceAccountName: s3-reader
      containers:
      - name: app
        image: amazonlinux
        command:
          - sh
          - -c
          - aws s3 ls s3://my-bucket
";

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_pod_is_injected_and_its_token_reads_the_bucket() -> Result<()> {
    let installation = Installation::start(2, &[])?;
    let control_plane = &installation.control_plane;
    // Whoever wants may look at the issuer's keys: STS does.
    control_plane.must(&[
        "create",
        "clusterrolebinding",
        "issuer-discovery",
        "--clusterrole=system:service-account-issuer-discovery",
        "--group=system:unauthenticated",
    ])?;
    let authority = control_plane.authority().to_string_lossy().into_owned();
    let server = Server::start_with(&StartOptions {
        arguments: ["--allow-private-issuers", "--issuer-ca", &authority]
            .map(str::to_owned)
            .to_vec(),
        ..StartOptions::default()
    })?;
    let root = server.root()?;
    let cluster = Cluster::foreign(&root, "real", &control_plane.url()).await?;
    let role = cluster.role(&root, "S3ReadRole", "app", "s3-reader").await?;
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"]}]}"#;
    let parameters = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "S3ReadRole"),
        ("PolicyName", "read"),
        ("PolicyDocument", policy),
    ];
    root.must("iam", &parameters).await?;
    for (path, body) in [("/my-bucket", ""), ("/my-bucket/config.txt", "of the bucket")] {
        let answer = root.call("s3", "PUT", path, &[], &[], body.into()).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    control_plane.namespace("app")?;
    control_plane.apply(&ACCOUNT.replace("123456789012", server.account()?))?;
    control_plane.apply(DEPLOYMENT)?;
    if !control_plane.has_controllers() {
        let deployment: Value =
            serde_json::from_str(&control_plane.must(&["get", "-n", "app", "deployment/reader", "-o", "json"])?)?;
        let mut pod = deployment["spec"]["template"].clone();
        pod["metadata"]["generateName"] = "reader-".into();
        installation.api.must("POST", &pods("app"), Some(&pod)).await?;
    }
    let pod = installation
        .until("a pod of the Deployment", async |installation| {
            let list = installation.api.list(&pods("app")).await?;
            Ok(list.into_iter().next())
        })
        .await?;

    // What a container of it would see.
    assert!(is_injected(&pod), "{pod:#}");
    let container = &pod["spec"]["containers"][0];
    let variable = |name: &str| {
        let all = container["env"].as_array().into_iter().flatten();
        all.filter(|variable| variable["name"] == name)
            .map(|variable| variable["value"].clone())
            .next()
    };
    assert_eq!(variable("AWS_ROLE_ARN"), Some(json!(role)));
    let mount = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
    assert_eq!(
        variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
        Some(json!(format!("{mount}/token")))
    );
    let source = &pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(
        *source,
        json!({"audience": "sts.amazonaws.com", "expirationSeconds": 86_400, "path": "token"})
    );

    // What the kubelet would ask for, and put there.
    let request = json!({"spec": {"audiences": [source["audience"]], "expirationSeconds": source["expirationSeconds"],
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}}});
    let path = "/api/v1/namespaces/app/serviceaccounts/s3-reader/token";
    let answer = installation.api.must("POST", path, Some(&request)).await?;
    let token = answer["status"]["token"].as_str().context("no token")?;
    let answer = root.with(None).query("sts", &exchange(&role, "reader", token)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let reader = root.with(Some(answer.credentials()?));
    let object = reader
        .call("s3", "GET", "/my-bucket/config.txt", &[], &[], "".into())
        .await?;
    assert_eq!((object.status, object.text().as_str()), (200, "of the bucket"));
    let denied = reader
        .call("s3", "PUT", "/my-bucket/config.txt", &[], &[], "x".into())
        .await?;
    assert_eq!(denied.status, 403);

    // The webhook's own pods were never its business.
    if control_plane.has_controllers() {
        let own = installation
            .until("pods of the webhook's Deployment", async |installation| {
                let list = installation.api.list(&pods(NAME)).await?;
                Ok((list.len() == 2).then_some(list))
            })
            .await?;
        assert!(own.iter().all(|pod| !is_injected(pod)));
    }
    Ok(())
}
