//! `irsa policy …`: what policies allow, without a server and without AWS. One file a command.

pub(crate) mod simulate;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Decide requests under policies, and say why
    Simulate(simulate::Simulate),
}

/// Runs a command of the group to its exit code.
pub(crate) fn run(command: Policy) -> anyhow::Result<ExitCode> {
    match command {
        Policy::Simulate(arguments) => simulate::run(&arguments),
    }
}
