//! Variables that containers take from ConfigMaps and Secrets, with the permissions of the components.

use anyhow::Result;
use irsa_conformance::webhook::{Installation, is_injected, pod, pods};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";

/// A pod of `reader` that takes variables from this.
fn taking(name: &str, reference: &str, source: &str) -> Value {
    let mut pod = pod(name, "reader");
    pod["spec"]["containers"][0]["envFrom"] = json!([{"prefix": "AWS_", reference: {"name": source}}]);
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sources_set_is_left_to_them_where_it_may_be_read() -> Result<()> {
    let installation = Installation::start(1, &["--env-from=all"])?;
    let control_plane = &installation.control_plane;
    for component in ["env-from", "env-from-secrets"] {
        let components = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize/components");
        control_plane.must(&["apply", "-f", &format!("{components}/{component}/access.yaml")])?;
    }
    control_plane.namespace("app")?;
    control_plane.namespace("strict")?;
    let label = "eks.amazonaws.com/pod-identity-fail-closed=true";
    control_plane.must(&["label", "namespace", "strict", label])?;
    let api = &installation.api;
    let variables = json!({"ROLE_ARN": "own", "WEB_IDENTITY_TOKEN_FILE": "own"});
    for namespace in ["app", "strict"] {
        installation.account(namespace, "reader", Some(ROLE)).await?;
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        let secret = json!({"metadata": {"name": "aws"}, "stringData": variables});
        api.must("POST", &path, Some(&secret)).await?;
    }
    let maps = "/api/v1/namespaces/app/configmaps";
    let map = json!({"metadata": {"name": "aws"}, "data": variables});
    api.must("POST", maps, Some(&map)).await?;

    let mut count = 0;
    let mut until = async |what: &str, reference: &str, injected: bool| {
        installation
            .until(what, async |installation| {
                count += 1;
                let pod = taking(&format!("{reference}-{count}").to_lowercase(), reference, "aws");
                let created = installation.api.must("POST", &pods("app"), Some(&pod)).await?;
                Ok((is_injected(&created) == injected).then_some(()))
            })
            .await
    };
    until("the ConfigMap's role", "configMapRef", false).await?;
    // Nobody has allowed it yet.
    until("the account's role", "secretRef", true).await?;
    let binding = [
        "create",
        "rolebinding",
        "env-from",
        "--namespace=app",
        "--clusterrole=pod-identity-webhook-env-from-secrets",
        "--serviceaccount=pod-identity-webhook:pod-identity-webhook",
    ];
    control_plane.must(&binding)?;
    until("the Secret's role", "secretRef", false).await?;

    // Where it may not be read it sets nothing, also for those who fail closed; what may come can be waited for.
    let created = api
        .must("POST", &pods("strict"), Some(&taking("closed", "secretRef", "aws")))
        .await?;
    assert!(is_injected(&created), "{created:#}");
    let early = taking("early", "configMapRef", "aws");
    let refused = api.must("POST", &pods("strict"), Some(&early)).await;
    let refused = refused.expect_err("nobody can tell").to_string();
    assert!(
        refused.contains("ConfigMap `aws`") && refused.contains("it is not there"),
        "{refused}"
    );
    api.must("POST", "/api/v1/namespaces/strict/configmaps", Some(&map))
        .await?;
    let created = api.must("POST", &pods("strict"), Some(&early)).await?;
    assert!(!is_injected(&created), "{created:#}");
    Ok(())
}
