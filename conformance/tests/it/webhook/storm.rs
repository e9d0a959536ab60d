//! Replicas that are killed without pause; the same with ten thousand pods is `cargo run --package irsa-conformance --bin storm`.

use anyhow::Result;
use irsa_conformance::webhook::{Outage, storm};

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
