//! A real kube-apiserver: its tokens, its admission, its clients.

use anyhow::Result;
use irsa_conformance::{AUDIENCE, Cluster, ControlPlane, Server, StartOptions, exchange};

/// Discovery is for whoever may see it; STS asks without a name.
const PUBLIC_DISCOVERY: &str = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
    "metadata": {"name": "issuer-discovery"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:service-account-issuer-discovery"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_api_server_becomes_a_role() -> Result<()> {
    let control_plane = ControlPlane::start()?;
    control_plane.namespace("app")?;
    control_plane.must(&["create", "serviceaccount", "reader", "--namespace", "app"])?;
    let authority = control_plane.authority().to_string_lossy().into_owned();
    let server = Server::start_with(&StartOptions {
        arguments: ["--allow-private-issuers", "--issuer-ca", &authority]
            .map(str::to_owned)
            .to_vec(),
        ..StartOptions::default()
    })?;
    let root = server.root()?;
    let cluster = Cluster::foreign(&root, "real", &control_plane.url()).await?;
    let role = cluster.role(&root, "reader", "app", "reader").await?;
    let token = |audience: &str| {
        let words = [
            "create",
            "token",
            "reader",
            "--namespace",
            "app",
            "--audience",
            audience,
        ];
        Ok::<_, anyhow::Error>(control_plane.must(&words)?.trim().to_owned())
    };

    // Without the binding nobody can see the keys.
    let answer = root
        .with(None)
        .query("sts", &exchange(&role, "session", &token(AUDIENCE)?))
        .await?;
    assert_eq!(
        answer.error_code().as_deref(),
        Some("InvalidIdentityToken"),
        "{}",
        answer.text()
    );

    control_plane.apply(PUBLIC_DISCOVERY)?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let answer = loop {
        // A failed look at the issuer is remembered for a while, so that an issuer that is away is not asked by everybody.
        let answer = root
            .with(None)
            .query("sts", &exchange(&role, "session", &token(AUDIENCE)?))
            .await?;
        if answer.status == 200 || std::time::Instant::now() > deadline {
            break answer;
        }
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
    let identity = root
        .with(Some(answer.credentials()?))
        .must("sts", &[("Action", "GetCallerIdentity")])
        .await?;
    assert!(
        identity.must_xml("Arn")?.ends_with(":assumed-role/reader/session"),
        "{}",
        identity.text()
    );

    // The API server's own audience is not STS's, and STS's not the API server's.
    let answer = root
        .with(None)
        .query("sts", &exchange(&role, "session", &token(&control_plane.url())?))
        .await?;
    assert_eq!(
        answer.error_code().as_deref(),
        Some("InvalidIdentityToken"),
        "{}",
        answer.text()
    );
    let stolen = token(AUDIENCE)?;
    let refused = control_plane.kubectl(&[
        "auth",
        "can-i",
        "--list",
        "--token",
        &stolen,
        "--kubeconfig",
        "/dev/null",
        "--server",
        &control_plane.url(),
        "--certificate-authority",
        &authority,
    ])?;
    assert_ne!(refused.code, Some(0), "{}", refused.stdout);
    Ok(())
}
