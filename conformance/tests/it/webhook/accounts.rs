//! Accounts, ConfigMap and Events, as the API server tells of them.

use std::sync::Arc;

use anyhow::Result;
use irsa_conformance::webhook::{Installation, NAME, Webhook, is_injected, missed_of_fresh_accounts, pod, pods};
use serde_json::json;

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
/// Pods of one second each.
const PAIRS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_right_after_its_account_is_never_missed() -> Result<()> {
    let installation = Arc::new(Installation::start(2, &[])?);
    // Nothing fails closed here: a miss would go unnoticed.
    installation.control_plane.must(&["create", "namespace", "app"])?;
    assert_eq!(
        missed_of_fresh_accounts(&installation, "app", PAIRS).await?,
        Vec::<String>::new()
    );

    // What is taken away from an account, later pods do not get.
    let path = "/api/v1/namespaces/app/serviceaccounts/reader-1";
    let patch = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": null}}});
    installation.api.must("PATCH", path, Some(&patch)).await?;
    let mut count = 0;
    installation
        .until("the role is gone", async |installation| {
            count += 1;
            let pod = pod(&format!("later-{count}"), "reader-1");
            let created = installation.api.must("POST", &pods("app"), Some(&pod)).await?;
            Ok((!is_injected(&created)).then_some(()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_counts_breaks_goes_and_comes_back() -> Result<()> {
    let mut installation = Installation::start(0, &["--watch-config-map=true"])?;
    let access = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/kustomize/components/config-map/access.yaml"
    );
    let control_plane = &installation.control_plane;
    control_plane.must(&["apply", "--namespace", NAME, "-f", access])?;
    control_plane.namespace("app")?;
    let mut replica = Webhook::new(&installation.arguments)?;
    replica.start()?;
    installation.replicas.push(replica);
    installation.point_at_all()?;
    installation.account("app", "mapped", None).await?;
    let api = &installation.api;
    let maps = format!("/api/v1/namespaces/{NAME}/configmaps");
    let map = format!("{maps}/{NAME}");
    let config = json!({"app/mapped": {"RoleARN": ROLE}, "broken": null}).to_string();
    let object = |text: &str| json!({"metadata": {"name": NAME}, "data": {"config": text}});
    let mut count = 0;
    let mut expect = async |what: &str, expected: bool| {
        installation
            .until(what, async |installation| {
                count += 1;
                let created = installation
                    .api
                    .must("POST", &pods("app"), Some(&pod(&format!("p-{count}"), "mapped")))
                    .await?;
                Ok((is_injected(&created) == expected).then_some(()))
            })
            .await
    };
    expect("there is no ConfigMap", false).await?;
    api.must("POST", &maps, Some(&object(&config))).await?;
    expect("its entry counts", true).await?;
    // A text that is none changes nothing; the next good one counts, also where it says less.
    api.must("PUT", &map, Some(&object("{"))).await?;
    let log = |words: &str| installation.replicas[0].log().contains(words);
    installation
        .until("the broken text is told", async |_| {
            Ok(log("last good text").then_some(()))
        })
        .await?;
    expect("the last good text applies", true).await?;
    api.must("PUT", &map, Some(&object("{}"))).await?;
    expect("its entry is gone", false).await?;
    api.must("PUT", &map, Some(&object(&config))).await?;
    expect("its entry is back", true).await?;
    api.must("DELETE", &map, None).await?;
    expect("the ConfigMap is gone", false).await?;
    api.must("POST", &maps, Some(&object(&config))).await?;
    expect("the ConfigMap is back", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_of_pods_that_go_without() -> Result<()> {
    let installation = Installation::start(1, &["--on-refusal=warn"])?;
    installation.control_plane.namespace("app")?;
    installation.account("app", "reader", Some(ROLE)).await?;
    let api = &installation.api;
    let mut spoiled = pod("spoiled", "reader");
    spoiled["spec"]["volumes"] = json!([{"name": "aws-iam-token", "emptyDir": {}}]);
    let owner = |name: &str| json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": format!("uid-{name}"), "controller": true}]);
    // A trial leaves nothing behind.
    spoiled["metadata"]["ownerReferences"] = owner("trial");
    let dry = format!("{}?dryRun=All", pods("app"));
    api.must("POST", &dry, Some(&spoiled)).await?;
    spoiled["metadata"]["ownerReferences"] = owner("web");
    for number in 0..5 {
        spoiled["metadata"]["name"] = format!("spoiled-{number}").into();
        let created = api.must("POST", &pods("app"), Some(&spoiled)).await?;
        assert!(created["spec"]["containers"][0].get("env").is_none(), "{created:#}");
    }
    let events = installation
        .until("an Event on the owner", async |installation| {
            let events = installation.api.list("/api/v1/namespaces/app/events").await?;
            let told = events.iter().any(|event| event["involvedObject"]["name"] == "web");
            Ok(told.then_some(events))
        })
        .await?;
    let ours: Vec<_> = events
        .iter()
        .filter(|event| event["source"]["component"] == NAME)
        .collect();
    assert_eq!(ours.len(), 1, "one for all, and none of the trial: {events:#?}");
    assert_eq!(ours[0]["involvedObject"]["uid"], "uid-web");
    assert_eq!(
        (&ours[0]["type"], &ours[0]["reason"]),
        (&json!("Warning"), &json!("ForeignVolume"))
    );
    assert!(
        ours[0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("aws-iam-token")),
        "{:#}",
        ours[0]
    );
    Ok(())
}
