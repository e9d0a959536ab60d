//! The binary: command line, output, exit codes.
//!
//! Data goes to stdout, all else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 what a comparison is asked for
//! (`irsa diff`, `irsa policy diff`); `irsa exec` ends as its command did.

mod child;
mod cli;
mod commands;
mod failure;
mod instance;
mod manifests;
mod output;
mod policy;
mod signals;
mod table;
mod tokens;
mod workload;
mod yaml;

use std::ffi::OsString;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, Webhook};

/// A request allocates some hundred small things and a few of a kilobyte, for which the system's allocator sweeps its small
/// ones together: with copying, a seventh of the server's work in a profile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A webhook on a node with a hundred cores needs no more: a review takes some fifty microseconds, and every thread has memory of its own.
const WEBHOOK_THREADS: usize = 2;

fn main() -> ExitCode {
    let words = words(std::env::args_os().collect());
    let command = webhook(&words).unwrap_or_else(|| Cli::parse_from(words).command);
    start_log(&command);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if matches!(command, Command::Webhook(_)) && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        runtime.worker_threads(cores.min(WEBHOOK_THREADS));
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("the runtime can't be started")),
    };
    let outcome = runtime.block_on(commands::run(command));
    // A command that is done does not wait for what it left behind, such as a read of stdin.
    runtime.shutdown_background();
    match (outcome, output::lost()) {
        (Ok(code), None) => code,
        (Ok(_), Some(error)) => failure::report(&anyhow::anyhow!("stdout can't be written: {error}")),
        (Err(error), _) => failure::report(&error),
    }
}

/// `irsa webhook` with its words, which are none of the parser's. The parser is not even made: what it builds of all commands would stay in memory,
/// and a webhook is to be small.
fn webhook(words: &[OsString]) -> Option<Command> {
    let (name, rest) = words.get(1..)?.split_first()?;
    let words = rest.iter().map(|word| word.to_str().map(str::to_owned));
    (name == "webhook")
        .then(|| words.collect())
        .flatten()
        .map(|words| Command::Webhook(Webhook { words }))
}

/// Under the name `webhook` the program is `irsa webhook`: manifests for the reference webhook start `/webhook`.
fn words(mut words: Vec<OsString>) -> Vec<OsString> {
    let name = words.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == "webhook") {
        words.insert(1, "webhook".into());
    }
    words
}

/// Logs go to stderr: what a server does by default, of other commands only warnings.
fn start_log(command: &Command) {
    // The S3 library calls every refusal an error; what matters of it is in the audit journal.
    let default = match command {
        Command::Up(_) | Command::Gateway(_) => "info,s3s=off",
        Command::Webhook(arguments) if commands::webhook::is_verbose(&arguments.words) => {
            "info,irsa=debug,irsa_admission=debug,irsa_kubernetes=debug"
        }
        command if command.is_verbose() => {
            "warn,kube_client=off,aws_config=off,aws_runtime=off,irsa=debug,irsa_aws=debug,irsa_kubernetes=debug,irsa_provision=debug"
        }
        // The client of the Kubernetes API logs as errors what is tried again.
        Command::Webhook(_) => "info,kube_client=off",
        // What they fail with, they say themselves.
        Command::Create(_)
        | Command::Get(_)
        | Command::Update(_)
        | Command::Delete(_)
        | Command::Apply(_)
        | Command::Diff(_)
        | Command::Utils(_) => "warn,kube_client=off,aws_config=off,aws_runtime=off",
        _ => "warn,s3s=off",
    };
    let filter = std::env::var("IRSA_LOG").ok().filter(|text| !text.is_empty());
    let (filter, wrong) = match filter.as_deref().map(EnvFilter::try_new) {
        None => (EnvFilter::new(default), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default), Some(error)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output::stderr_has_colour())
        .with_writer(std::io::stderr)
        .init();
    if let Some(error) = wrong {
        tracing::warn!("IRSA_LOG is not understood, `{default}` applies: {error}");
    }
}
