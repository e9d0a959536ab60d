//! Ten thousand pods while the webhook is killed and started again without pause: `storm [COUNT]`, with `KUBEBUILDER_ASSETS` and `IRSA_BINARY`.
//! One line of JSON for each kind of outage.

use anyhow::{Context as _, Result};
use irsa_conformance::webhook::{Outage, storm};

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(10_000), |word| word.parse())
        .context("how many pods?")?;
    for outage in [Outage::OneAtATime, Outage::Both, Outage::ReferenceDefaults] {
        let mut line = storm(count, outage).await?.json();
        line["outage"] = format!("{outage:?}").into();
        #[expect(clippy::print_stdout, reason = "this is what it is for")]
        {
            println!("{line}");
        }
    }
    Ok(())
}
