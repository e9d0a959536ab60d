//! `irsa policy …`: what policies allow, without a server and without AWS. One file a command.

pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod simulate;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Find what is wrong with policies: what IAM refuses, what opens too much, what has no effect
    ///
    /// Findings have the codes of IAM Access Analyzer where it has such a check; those of this tool begin with `IRSA_`. The exit
    /// code is 1 if there is an error (or what `--fail-on` says), and 2 if a file can't be read.
    Check(check::Check),
    /// Does NEW allow a request that OLD does not?
    ///
    /// Policies are compared by what they mean, not by their text. A difference is shown by a request, which the policy engine
    /// itself decides differently; that there is none is proved.
    Diff(diff::Diff),
    /// Decide requests under policies, and say why
    ///
    /// Neither a server nor AWS is asked: the policies are those of the arguments, and the request has the condition keys of
    /// `--context` and no others. Fails if a request is denied.
    Simulate(Box<simulate::Simulate>),
}

/// Runs a command of the group to its exit code.
pub(crate) fn run(command: Policy) -> anyhow::Result<ExitCode> {
    match command {
        Policy::Check(arguments) => check::run(&arguments),
        Policy::Diff(arguments) => diff::run(&arguments),
        Policy::Simulate(arguments) => simulate::run(&arguments),
    }
}
