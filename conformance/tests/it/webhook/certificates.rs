//! The webhook's own authority: made once, rotated under load, put right when somebody meddles with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use irsa_conformance::webhook::{Installation, NAME, is_injected, pod, pods};

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pod-identity-webhook";
const SECRET: &str = "/api/v1/namespaces/pod-identity-webhook/secrets/pod-identity-webhook";

fn bundles(configuration: &Value) -> Vec<String> {
    let entries = configuration["webhooks"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            entry["clientConfig"]["caBundle"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_rotates_under_load_and_no_admission_fails() -> Result<()> {
    let lives = [
        "--certificate-lifetime=24s",
        "--certificate-overlap=4s",
        "--resync-period=5s",
    ];
    let installation = Arc::new(Installation::start(2, &lives)?);
    installation.control_plane.must(&["create", "namespace", "app"])?;
    // Whoever fails closed is told of every fault.
    let label = "eks.amazonaws.com/pod-identity-fail-closed=true";
    installation.control_plane.must(&["label", "namespace", "app", label])?;
    installation.account("app", "reader", Some(ROLE)).await?;
    let first = installation.api.get(SECRET).await?["data"]["tls.crt"].clone();

    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (installation, stop) = (Arc::clone(&installation), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut count = 0_usize;
                while !stop.load(Ordering::Relaxed) {
                    let pod = pod(&format!("p-{worker}-{count}"), "reader");
                    let created = installation.api.must("POST", &pods("app"), Some(&pod)).await?;
                    anyhow::ensure!(is_injected(&created), "{created}");
                    count += 1;
                }
                Ok::<_, anyhow::Error>(count)
            })
        })
        .collect();
    let mut seen = vec![first];
    let rotated = installation
        .until("three rotations", async |installation| {
            let certificate = installation.api.get(SECRET).await?["data"]["tls.crt"].clone();
            if seen.last() != Some(&certificate) {
                seen.push(certificate);
            }
            Ok((seen.len() == 4 || workers.iter().any(|worker| worker.is_finished())).then_some(()))
        })
        .await;
    stop.store(true, Ordering::Relaxed);
    let mut created = 0;
    for worker in workers {
        created += worker.await??;
    }
    rotated?;
    assert!(created > 100, "{created}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_over_is_put_right() -> Result<()> {
    let installation = Installation::start(2, &["--resync-period=5s"])?;
    let api = &installation.api;
    let trusted = bundles(&api.get(CONFIGURATION).await?);
    assert!(
        trusted.len() == 3 && trusted.iter().all(|bundle| !bundle.is_empty() && *bundle == trusted[0]),
        "{trusted:?}"
    );
    let secret = api.get(SECRET).await?;
    assert_eq!(secret["data"]["ca.crt"], trusted[0].as_str());
    assert_eq!(
        secret["metadata"]["labels"]["app.kubernetes.io/name"], NAME,
        "what was there is still there"
    );

    // Somebody applies a configuration with another bundle, and with one entry more.
    let mut configuration = api.get(CONFIGURATION).await?;
    let mut more = configuration["webhooks"][2].clone();
    more["name"] = "more.pod-identity-webhook.amazonaws.com".into();
    for entry in configuration["webhooks"].as_array_mut().context("no entries")? {
        entry["clientConfig"]["caBundle"] = "".into();
    }
    more["clientConfig"]["caBundle"] = Value::Null;
    configuration["webhooks"]
        .as_array_mut()
        .context("no entries")?
        .push(more);
    api.must("PUT", CONFIGURATION, Some(&configuration)).await?;
    installation
        .until("the bundle is put right", async |installation| {
            let found = bundles(&installation.api.get(CONFIGURATION).await?);
            Ok((found.len() == 4 && found.iter().all(|bundle| *bundle == trusted[0])).then_some(()))
        })
        .await?;
    let after = api.get(CONFIGURATION).await?;
    for name in ["failurePolicy", "namespaceSelector", "rules", "timeoutSeconds"] {
        assert_eq!(after["webhooks"][0][name], configuration["webhooks"][0][name]);
    }

    // Somebody deletes the Secret: there is another certificate, and pods are injected all along.
    installation.control_plane.must(&["create", "namespace", "app"])?;
    installation.account("app", "reader", Some(ROLE)).await?;
    let label = "eks.amazonaws.com/pod-identity-fail-closed=true";
    installation.control_plane.must(&["label", "namespace", "app", label])?;
    // The account may not make Secrets, so its owner puts an empty one there again.
    api.must("DELETE", SECRET, None).await?;
    let empty = json!({"metadata": {"name": NAME}, "type": "Opaque"});
    api.must("POST", "/api/v1/namespaces/pod-identity-webhook/secrets", Some(&empty))
        .await?;
    let mut count = 0;
    installation
        .until("another certificate", async |installation| {
            let pod = pod(&format!("p-{count}"), "reader");
            count += 1;
            let created = installation.api.must("POST", &pods("app"), Some(&pod)).await?;
            assert!(is_injected(&created));
            let found = installation.api.get(SECRET).await?["data"]["tls.crt"].clone();
            Ok((found.is_string() && found != secret["data"]["tls.crt"]).then_some(()))
        })
        .await?;
    // And still so once it is served.
    let bundle = api.get(SECRET).await?["data"]["ca.crt"].clone();
    installation
        .until("it is trusted", async |installation| {
            let found = bundles(&installation.api.get(CONFIGURATION).await?);
            Ok(found.iter().all(|found| bundle == found.as_str()).then_some(()))
        })
        .await?;
    for more in 0..50 {
        let pod = pod(&format!("q-{more}"), "reader");
        assert!(is_injected(
            &installation.api.must("POST", &pods("app"), Some(&pod)).await?
        ));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
