//! What `irsa apply` takes for many accounts: the plan, the first run, and the second, which finds nothing to do; on our server and a kube-apiserver.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{ControlPlane, ControlPlaneOptions, Server, StartOptions};

use crate::process::cpu_microseconds;
use crate::{Options, verdict};

const ACCOUNTS: usize = 500;
const REGION: &str = "us-west-2";
/// The most that the plan, the first run and the second may take.
const LIMITS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(20), Duration::from_secs(3)];

/// Runs and prints.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let control_plane = ControlPlane::start_with(&ControlPlaneOptions {
        without_controllers: true,
        ..ControlPlaneOptions::default()
    })?;
    let server = Server::start_with(&StartOptions {
        binary: Some(options.binary.clone()),
        // The issuer of the API server here has a port.
        arguments: ["--region", REGION, "--allow-private-issuers"]
            .map(str::to_owned)
            .to_vec(),
        ..StartOptions::default()
    })?;
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, control_plane.get("/openid/v1/jwks")?.1)?;
    let keys = keys.to_str().context("the folder has a name in UTF-8")?;
    let url = control_plane.url();
    server.run(&[
        "cluster",
        "register",
        "--name",
        "bench",
        "--issuer-url",
        &url,
        "--jwks",
        keys,
    ])?;
    std::fs::write(folder.path().join("accounts.yaml"), accounts())?;

    let credentials = server.credentials("default")?;
    let timed = |words: &[&str], code: i32| -> Result<Duration> {
        let mut command = Command::new(&options.binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .args(words)
            .current_dir(folder.path())
            .env("AWS_ENDPOINT_URL", server.endpoint()?)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key)
            .env("KUBECONFIG", control_plane.kubeconfig())
            .stdin(Stdio::null());
        let started = Instant::now();
        let output = command.output()?;
        let took = started.elapsed();
        ensure!(
            output.status.code() == Some(code),
            "`irsa {}` ended with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(took)
    };

    println!("{ACCOUNTS} service accounts, each with a role and an inline policy, out of one file\n");
    println!(
        "{:<34} {:>9} {:>9}  {:>10} {:>14}",
        "", "took", "at most", "AWS calls", "server CPU"
    );
    let mut calls = calls_so_far(&server)?;
    let mut per_account = 0.0;
    for ((what, words, code), limit) in [
        ("plan (irsa diff)", ["diff", "-f", "accounts.yaml"], 3),
        ("first irsa apply", ["apply", "-f", "accounts.yaml"], 0),
        ("second irsa apply: nothing to do", ["apply", "-f", "accounts.yaml"], 0),
    ]
    .into_iter()
    .zip(LIMITS)
    {
        let cpu = cpu_microseconds(server.pid())?;
        let took = timed(&words, code)?;
        let cpu = (cpu_microseconds(server.pid())? - cpu) / 1e6;
        let now = calls_so_far(&server)?;
        let made: BTreeMap<&String, usize> = now
            .iter()
            .map(|(name, count)| (name, count - calls.get(name).copied().unwrap_or_default()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let sum: usize = made.values().sum();
        println!(
            "{what:<34} {:>7.2} s {:>7} s  {sum:>10} {cpu:>12.2} s  {}",
            took.as_secs_f64(),
            limit.as_secs(),
            verdict(took <= limit)
        );
        for (name, count) in &made {
            println!("    {count:>6} {name}");
        }
        per_account = f64::from(u32::try_from(sum)?) / f64::from(u32::try_from(ACCOUNTS)?);
        calls = now;
    }
    println!(
        "\nAWS calls for an unchanged account {per_account:>9.3} {:>9.3}  {}",
        1.0,
        verdict(per_account <= 1.0)
    );
    Ok(())
}

/// Calls of AWS by name, as the server's journal has them.
fn calls_so_far(server: &Server) -> Result<BTreeMap<String, usize>> {
    let found = server.run_json(&["audit", "lookup", "--limit", "1000000"])?;
    let mut calls = BTreeMap::new();
    let events = found.as_array().or_else(|| found.get("Records")?.as_array());
    for event in events.context("no list of events")? {
        let name = event["eventName"].as_str().context("an event without a name")?;
        *calls.entry(name.to_owned()).or_default() += 1;
    }
    Ok(calls)
}

fn accounts() -> String {
    let mut text = format!(
        "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {{name: bench, region: {REGION}}}\niam:\n  withOIDC: true\n  serviceAccounts:\n"
    );
    for number in 0..ACCOUNTS {
        text.push_str(&format!(
            "  - metadata: {{name: app-{number}, namespace: team-{}}}\n    attachPolicy: {{Version: '2012-10-17', Statement: [{{Effect: Allow, Action: ['s3:GetObject'], \
             Resource: 'arn:aws:s3:::data/{number}/*'}}]}}\n",
            number / 100
        ));
    }
    text
}
