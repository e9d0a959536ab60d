//! `bench --binary PATH [--sessions N] [--roles N] [--seconds S]`: what a token exchange and a signed call cost, beside this machine's ceiling for the same work,
//! and whether that stays so. `bench s3 --binary PATH --upstream PATH [--only TEXT] [--seconds S]`: what objects cost to read and write, in the store of our own and before
//! another one. `bench webhook --binary PATH [--seconds S]`: what a review of a pod costs, beside a bare HTTPS server that parses and answers the same JSON.
//! `bench reconcile --binary PATH`: what a file of five hundred service accounts takes to plan and to apply, the first time and again. Everything on loopback, bounded in time and count. Exit codes: 0 measured, 1 failed, 2 wrong usage; a missed target is printed as
//! such and fails nothing, because a busy machine misses them too.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: its report goes to stdout, what went wrong to stderr"
)]

mod bare;
mod ceiling;
mod compare;
mod load;
mod process;
mod reconcile;
mod s3;
mod sts;
mod webhook;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use load::Target;

const USAGE: &str = "\
usage: bench --binary PATH [--sessions N] [--roles N] [--seconds S]
       bench s3 --binary PATH --upstream PATH [--only TEXT] [--seconds S]
       bench webhook --binary PATH [--seconds S]
       bench reconcile --binary PATH";

/// The form of SigV4's dates. Signed requests are valid for a quarter of an hour; each phase signs anew.
const DATE: &[time::format_description::BorrowedFormatItem<'_>] =
    time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");

struct Options {
    binary: PathBuf,
    /// The S3 server of another program.
    upstream: PathBuf,
    /// Only figures of S3 whose names hold this.
    only: String,
    sessions: u64,
    roles: u64,
    time: Duration,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match words.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (first.as_str(), rest),
        _ => ("sts", words.as_slice()),
    };
    let bench = match (command, rest) {
        ("ceiling", [setup]) => return done(ceiling::main(Path::new(setup))),
        ("bare", [folder]) => return done(bare::main(Path::new(folder))),
        ("bare-webhook", [folder]) => return done(webhook::bare::main(Path::new(folder))),
        ("reconcile", _) => reconcile::bench,
        ("s3", _) => s3::bench,
        ("webhook", _) => webhook::bench,
        ("sts", _) => sts::bench,
        _ => return wrong(&anyhow::anyhow!("`{command}` is not known")),
    };
    match options(rest) {
        Ok(options) => done(bench(&options)),
        Err(error) => wrong(&error),
    }
}

fn wrong(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}\n{USAGE}");
    ExitCode::from(2)
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options {
        binary: PathBuf::new(),
        upstream: PathBuf::new(),
        only: String::new(),
        sessions: 300_000,
        roles: 10_000,
        time: Duration::from_secs(2),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("`{word}` needs a value"))?;
        match word.as_str() {
            "--binary" => options.binary = value.into(),
            "--upstream" => options.upstream = value.into(),
            "--only" => options.only.clone_from(value),
            "--sessions" => options.sessions = value.parse()?,
            "--roles" => options.roles = value.parse()?,
            "--seconds" => options.time = Duration::from_secs(value.parse()?),
            _ => bail!("`{word}` is not known"),
        }
    }
    if options.binary.as_os_str().is_empty() {
        bail!("no binary is named");
    }
    Ok(options)
}

/// A child process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that prints its address when it listens.
fn serving(command: &mut Command) -> Result<(Ended, Target)> {
    let mut child = Ended(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().context("no stdout")?).read_line(&mut line)?;
    let target = Target {
        address: line
            .trim()
            .parse()
            .with_context(|| format!("{command:?} did not start"))?,
        pid: child.0.id(),
        tls: false,
    };
    Ok((child, target))
}

/// The time in SigV4's form.
fn now() -> Result<String> {
    Ok(time::OffsetDateTime::now_utc().format(DATE)?)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
