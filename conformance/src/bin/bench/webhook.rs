//! What a review of a pod costs: beside a bare HTTPS server that parses and answers the same JSON, at a steady rate, and in memory.
//!
//! The cluster is a listing of service accounts, each with a role. Reviews come over TLS 1.3 and kept-alive connections, and each is logged to a file.

mod accounts;
pub(crate) mod bare;
mod review;

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use irsa_conformance::until;

use crate::{
    Ended, Options,
    compare::in_turns,
    load::{Request, Target, trust},
    process, serving, verdict,
};

const CONNECTIONS: usize = 16;
/// The least share of the ceiling.
const OF_CEILING: f64 = 0.7;
/// Reviews a second at which latency is measured, and the longest that one in a hundred may take, in microseconds.
const PACE: u32 = 1_000;
const P99: u64 = 2_000;
/// Accounts, and the memory that they may take in all, in MiB, where there is a target.
const MEMORY: [(usize, Option<f64>); 2] = [(20_000, Some(25.0)), (200_000, None)];

/// Measures, and prints as it goes.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("irsa-bench").tempdir()?;
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem())?;
    std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem())?;
    trust(made.cert.der().clone())?;

    let mut command = Command::new(std::env::current_exe()?);
    let (_bare, target) = serving(command.arg("bare-webhook").arg(folder.path()))?;
    let bare = Target { tls: true, ..target };
    let (ours, reviews) = start(&options.binary, folder.path(), 1_000)?;

    println!("                              webhook               ceiling              webhook / ceiling");
    println!(
        "review, {CONNECTIONS} connections           req/s    CPU µs        req/s    CPU µs       req/s   CPU    target"
    );
    for (name, body) in review::all()? {
        let requests = [request(bare, &body), request(reviews, &body)];
        let [first, second] = &requests;
        let contestants = [
            (bare, std::slice::from_ref(first)),
            (reviews, std::slice::from_ref(second)),
        ];
        let compared = in_turns(&contestants, CONNECTIONS, options.time)?;
        let (best, own) = (compared.middle(0)?, compared.middle(1)?);
        let rate = compared.rate(1, 0);
        println!(
            "{name:<28} {:>9.0} {:>9.1} {:>12.0} {:>9.1} {:>11.0}% {:>5.0}%   ≥ {:.0}% {}",
            own.rate,
            own.cpu,
            best.rate,
            best.cpu,
            rate * 100.0,
            compared.cpu(0, 1) * 100.0,
            OF_CEILING * 100.0,
            verdict(rate >= OF_CEILING),
        );
    }
    println!("\nlatency at {PACE} reviews a second, µs       p50       p99     p99.9       max    target");
    for (name, target) in [("webhook", reviews), ("ceiling", bare)] {
        let (_, body) = review::all()?.into_iter().next().context("no review")?;
        let took = target.pace(&request(target, &body), CONNECTIONS, PACE, options.time * 5)?;
        let at = |share: usize| {
            took.get((took.len() * share / 1_000).min(took.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        let judged = if name == "webhook" {
            format!("p99 ≤ {P99} {}", verdict(at(990) <= P99))
        } else {
            String::new()
        };
        println!(
            "{name:<36} {:>9} {:>9} {:>9} {:>9}    {judged}",
            at(500),
            at(990),
            at(999),
            at(1_000)
        );
    }
    drop(ours);

    println!("\nmemory, MiB       accounts   listed     peak   after 20,000 reviews    target");
    for (accounts, most) in MEMORY {
        let (_ours, reviews) = start(&options.binary, folder.path(), accounts)?;
        let pid = reviews.pid;
        let (listed, peak) = (process::resident_mebibytes(pid)?, process::peak_mebibytes(pid)?);
        let (_, body) = review::all()?.into_iter().next().context("no review")?;
        let until = crate::load::Until::Count(20_000);
        reviews.measure(&[request(reviews, &body)], CONNECTIONS, until)?;
        let after = process::resident_mebibytes(pid)?;
        let judged = most.map_or_else(String::new, |most| {
            format!("≤ {most:.0} {}", verdict(listed.max(after) <= most))
        });
        println!("{accounts:>26} {listed:>8.1} {peak:>8.1} {after:>22.1}    {judged}");
    }
    Ok(())
}

fn request(target: Target, body: &Bytes) -> Request {
    let head = format!(
        "POST /mutate?timeout=10s HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        target.address,
        body.len()
    );
    Request {
        head: head.into(),
        body: body.clone(),
        answer: None,
    }
}

/// Starts a webhook in a cluster of so many accounts, and waits until it knows them all.
fn start(binary: &Path, folder: &Path, accounts: usize) -> Result<(Ended, Target)> {
    let cluster = accounts::serve(accounts)?;
    let log = folder.join(format!("webhook-{accounts}.log"));
    let child = Command::new(binary)
        .args([
            "webhook",
            "--in-cluster=false",
            "--bind-address=127.0.0.1",
            "--port=0",
            "--metrics-port=0",
            "--backstop-period=0",
        ])
        .arg(format!("--tls-cert={}", folder.join("tls.crt").display()))
        .arg(format!("--tls-key={}", folder.join("tls.key").display()))
        .arg(format!("--kube-api=http://{cluster}"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()?;
    let child = Ended(child);
    let ready = until(Duration::from_secs(60), || {
        let (mut address, mut ready) = (None, false);
        for line in BufReader::new(File::open(&log)?).lines() {
            let line = line?;
            if let Some((_, rest)) = line.split_once(" reviews=") {
                address = rest.split_whitespace().next().map(str::to_owned);
            }
            ready |= line.ends_with(": ready");
        }
        Ok(address
            .filter(|_| ready)
            .ok_or_else(|| "its log does not say so".to_owned()))
    });
    let address =
        ready.with_context(|| format!("the webhook: {}", std::fs::read_to_string(&log).unwrap_or_default()))?;
    let target = Target {
        address: address.parse()?,
        pid: child.0.id(),
        tls: true,
    };
    Ok((child, target))
}
