//! `replay FILE… [--binary PATH] [--all]`: replays recorded cases of AWS against the built binary. Exit codes: 0 all passed, 1 some failed, 2 wrong usage.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: its report goes to stdout, what went wrong to stderr"
)]

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use irsa_conformance::replay::{self, Verdict};

const USAGE: &str = "usage: replay FILE… [--binary PATH] [--all]";

struct Arguments {
    files: Vec<PathBuf>,
    binary: Option<PathBuf>,
    all: bool,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments {
        files: Vec::new(),
        binary: None,
        all: false,
    };
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--binary") => match words.next() {
                Some(path) => parsed.binary = Some(path.into()),
                None => bail!("`--binary` needs a path"),
            },
            Some("--all") => parsed.all = true,
            Some(flag) if flag.starts_with("--") => bail!("`{flag}` is not known"),
            _ => parsed.files.push(word.into()),
        }
    }
    if parsed.files.is_empty() {
        bail!("no file is named");
    }
    Ok(parsed)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match replay(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs and reports; whether nothing failed.
async fn replay(arguments: &Arguments) -> Result<bool> {
    let started = Instant::now();
    let reports = replay::run(arguments.binary.clone(), &arguments.files).await?;
    let (mut passed, mut failed, mut skipped, mut differing) = (0, 0, 0, 0);
    for report in &reports {
        match &report.verdict {
            Verdict::Passed => {
                passed += 1;
                if arguments.all {
                    println!("passed   {}", report.id);
                }
            }
            Verdict::Skipped(reason) => {
                skipped += 1;
                println!("skipped  {}: {reason}", report.id);
            }
            Verdict::Differs(reason) => {
                differing += 1;
                println!("differs (documented)  {}: {reason}", report.id);
            }
            Verdict::Failed { expected, actual } => {
                failed += 1;
                println!(
                    "FAILED   {} ({})\n  expected {expected}\n  actual   {actual}",
                    report.id, report.varies
                );
            }
        }
    }
    println!(
        "{} cases in {:.1} s: {skipped} skipped, {differing} differ as documented",
        reports.len(),
        started.elapsed().as_secs_f64()
    );
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}
