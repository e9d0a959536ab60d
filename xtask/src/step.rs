//! Steps of a longer run: named, timed, and summed up at the end.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Steps and how they ended.
#[derive(Default)]
pub(crate) struct Steps(Vec<(&'static str, Duration, Result<()>)>);

impl Steps {
    /// Runs a step; whether it succeeded.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("==> {name}");
        let start = Instant::now();
        let result = step();
        let good = result.is_ok();
        self.0.push((name, start.elapsed(), result));
        good
    }

    /// Prints the summary; an error if a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!();
        let mut failed = 0;
        for (name, time, result) in &self.0 {
            match result {
                Ok(()) => println!("ok      {name:<24} {:>6.1} s", time.as_secs_f64()),
                Err(error) => {
                    failed += 1;
                    println!("FAILED  {name:<24} {:>6.1} s  {error:#}", time.as_secs_f64());
                }
            }
        }
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.0.len());
        }
        Ok(())
    }
}

/// A cargo command at the root of the repository.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(crate::root());
    command
}

/// Runs a command to its end; an error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    let status = command.status().with_context(|| format!("starting `{name}`"))?;
    if !status.success() {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!("`{name} {}` ended with {status}", words.join(" "));
    }
    Ok(())
}
