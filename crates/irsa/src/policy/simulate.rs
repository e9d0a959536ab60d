use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// Read cases as JSON lines from stdin, and answer each with a line on stdout
    #[arg(long)]
    pub(crate) batch: bool,
}

pub(crate) fn run(_: &Simulate) -> anyhow::Result<ExitCode> {
    Err(Failure::new("nothing can be simulated yet").into())
}
