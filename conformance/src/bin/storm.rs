//! Ten thousand pods while the webhook is killed and started again without pause: `storm [COUNT [fresh]]`, with `KUBEBUILDER_ASSETS` and `IRSA_BINARY`.
//! Then, or with `fresh` alone, as many accounts with a pod in the same moment. One line of JSON for each.

use anyhow::{Context as _, Result};
use irsa_conformance::webhook::{Outage, fresh_accounts, storm};

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(10_000), |word| word.parse())
        .context("how many pods?")?;
    let outages: &[Outage] = match std::env::args().nth(2).as_deref() {
        None => &[Outage::OneAtATime, Outage::Both, Outage::ReferenceDefaults],
        Some("fresh") => &[],
        Some(word) => anyhow::bail!("`{word}`: only `fresh` can stand there"),
    };
    for &outage in outages {
        let mut line = storm(count, outage).await?.json();
        line["outage"] = format!("{outage:?}").into();
        print(&line);
    }
    let (missed, elapsed) = fresh_accounts(count).await?;
    print(&serde_json::json!({"freshAccounts": count, "missed": missed, "seconds": elapsed.as_secs()}));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn print(line: &serde_json::Value) {
    println!("{line}");
}
