//! Replicas that are killed without pause; the same with ten thousand pods is the program `storm`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use irsa_conformance::webhook::{Installation, Outage, Webhook, is_injected, pod, pods, storm};

async fn nothing_is_lost(outage: Outage) -> Result<()> {
    let report = storm(400, outage).await?;
    let counts = (report.bound, report.missed, report.unbound, report.refused);
    assert_eq!(counts, (200, 0, 200, 0), "{}", report.json());
    assert!(report.kills > 2, "{}", report.json());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_one_replica_after_the_other_is_killed() -> Result<()> {
    nothing_is_lost(Outage::OneAtATime).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_both_replicas_are_killed_at_once() -> Result<()> {
    nothing_is_lost(Outage::Both).await
}

/// As a Deployment does it: another replica is ready before one is told to stop, and who says that it is not ready is no endpoint any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_loses_nothing_though_nothing_fails_closed() -> Result<()> {
    let mut installation = Installation::start(2, &["--backstop-period=0s"])?;
    installation.control_plane.must(&["create", "namespace", "app"])?;
    let role = "arn:aws:iam::111122223333:role/reader";
    installation.account("app", "reader", Some(role)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let creators: Vec<_> = (0..4)
        .map(|creator| {
            let (api, stop) = (installation.api.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut count, mut missed) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let name = format!("p-{creator}-{count}");
                    let created = api.must("POST", &pods("app"), Some(&pod(&name, "reader"))).await?;
                    if !is_injected(&created) {
                        missed.push(name);
                    }
                    count += 1;
                }
                Ok::<_, anyhow::Error>((count, missed))
            })
        })
        .collect();
    for _ in 0..2 {
        let mut newer = Webhook::new(&installation.arguments)?;
        newer.start()?;
        installation.replicas.push(newer);
        installation.point_at_all()?;
        let mut older = installation.replicas.remove(0);
        older.terminate()?;
        installation
            .until("it says that it stops", async |_| {
                Ok((older.probe("/readyz") != Some(200)).then_some(()))
            })
            .await?;
        installation.point_at_all()?;
        assert_eq!(older.wait()?, Some(0), "{}", older.log());
    }
    stop.store(true, Ordering::Relaxed);
    let mut created = 0;
    for creator in creators {
        let (count, missed) = creator.await??;
        assert_eq!(missed, Vec::<String>::new());
        created += count;
    }
    assert!(created > 50, "{created}");
    Ok(())
}
