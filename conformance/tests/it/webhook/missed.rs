//! Pods that no webhook was asked about, and what a replica does when it comes to a cluster that has some.

use anyhow::Result;
use irsa_conformance::webhook::{Installation, Webhook, is_injected, pod, pods};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
/// A Deployment of `reader` with so many pods.
fn deployment(namespace: &str, replicas: u32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"serviceAccountName": "reader", "containers": [{"name": "app", "image": "x"}]}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_were_missed_are_told_of_and_made_again_on_request() -> Result<()> {
    // Nobody answers yet.
    let mut installation = Installation::start(0, &[])?;
    let control_plane = &installation.control_plane;
    for component in ["backstop", "evict"] {
        let components = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize/components");
        control_plane.must(&["apply", "-f", &format!("{components}/{component}/access.yaml")])?;
    }
    control_plane.namespace("app")?;
    for (namespace, name) in [("app", "reader"), ("kube-system", "reader")] {
        installation.account(namespace, name, Some(ROLE)).await?;
    }
    installation.account("app", "plain", None).await?;
    let mut opted_out = pod("opted-out", "reader");
    opted_out["metadata"]["labels"] = json!({"eks.amazonaws.com/skip-pod-identity-webhook": "true"});
    let others = [
        ("app", pod("alone", "reader")),
        ("app", pod("plain", "plain")),
        ("app", opted_out),
        ("kube-system", pod("own", "reader")),
    ];
    for (namespace, pod) in &others {
        installation.api.must("POST", &pods(namespace), Some(pod)).await?;
    }
    let made = if control_plane.has_controllers() { 3 } else { 0 };
    control_plane.apply(&deployment("app", 3).to_string())?;
    let of_deployment = |list: &[Value]| {
        list.iter()
            .filter(|pod| pod["metadata"]["labels"]["app"] == "web")
            .cloned()
            .collect::<Vec<_>>()
    };
    let before = installation
        .until("the Deployment's pods", async |installation| {
            let list = installation.api.list(&pods("app")).await?;
            Ok((of_deployment(&list).len() == made).then_some(list))
        })
        .await?;
    assert!(before.iter().all(|pod| !is_injected(pod)));

    // A replica that may only tell.
    let mut arguments = installation.arguments.clone();
    arguments.push("--backstop-period=1s".to_owned());
    let mut teller = Webhook::new(&arguments)?;
    teller.start()?;
    let expected = format!("irsa_webhook_uninjected_pods {}", made + 1);
    installation
        .until("the pods are counted", async |_| {
            Ok(teller.get("/metrics")?.contains(&expected).then_some(()))
        })
        .await?;
    let told = installation
        .until("Events on their owners", async |installation| {
            let events = installation.api.list("/api/v1/namespaces/app/events").await?;
            let kinds = events.iter().filter(|event| event["reason"] == "CredentialsMissing");
            let mut kinds: Vec<String> = kinds
                .filter_map(|event| Some(event["involvedObject"]["kind"].as_str()?.to_owned()))
                .collect();
            kinds.sort();
            kinds.dedup();
            Ok((kinds.len() == if made > 0 { 2 } else { 1 }).then_some(kinds))
        })
        .await?;
    assert_eq!(told[0], "Pod", "the one without a controller");
    let names = |list: &[Value]| {
        list.iter()
            .map(|pod| pod["metadata"]["uid"].clone())
            .collect::<Vec<_>>()
    };
    let after = installation.api.list(&pods("app")).await?;
    assert_eq!(
        names(&after),
        names(&before),
        "nothing is deleted without having been asked for"
    );
    teller.kill();

    // And one that makes them again.
    arguments.push("--evict-uninjected=true".to_owned());
    installation.replicas.push(Webhook::new(&arguments)?);
    installation.point_at_all()?;
    installation.replicas[0].start()?;
    let after = installation
        .until("the Deployment's pods are injected", async |installation| {
            let list = installation.api.list(&pods("app")).await?;
            let web = of_deployment(&list);
            Ok((web.len() == made && web.iter().all(is_injected)).then_some(list))
        })
        .await?;
    for name in ["alone", "plain", "opted-out"] {
        let pod = |list: &[Value]| {
            list.iter()
                .find(|pod| pod["metadata"]["name"] == name)
                .map(|pod| pod["metadata"]["uid"].clone())
        };
        assert!(pod(&after).is_some() && pod(&after) == pod(&before), "{name}");
    }
    let own = installation.api.get(&format!("{}/own", pods("kube-system"))).await?;
    assert!(!is_injected(&own), "the control plane's namespaces are left alone");
    Ok(())
}
