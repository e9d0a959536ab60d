//! A shell as a user of the server has it: after `eval "$(irsa env)"`, with the AWS CLI and the binary on its path.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use irsa_conformance::{Finished, Server, binary, finish};
use serde_json::Value;

/// The Python environment with the AWS CLI and boto3.
pub(crate) fn venv() -> PathBuf {
    std::env::var_os("IRSA_CONFORMANCE_VENV")
        .map(PathBuf::from)
        .expect("IRSA_CONFORMANCE_VENV names no Python environment")
}

/// The folder of scripts that the suite runs.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// A command with the path of a user: the clients and the binary first. Nothing of AWS is inherited.
pub(crate) fn plain(program: &str, folder: &Path) -> Result<Command> {
    let own = [
        venv().join("bin"),
        binary()?.parent().context("the binary lies in no folder")?.to_owned(),
    ];
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path: OsString = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&inherited)))?;
    let mut command = Command::new(program);
    command.current_dir(folder).env("PATH", path).env("HOME", folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// The same with what `irsa env` prints.
pub(crate) fn command(server: &Server, program: &str, folder: &Path) -> Result<Command> {
    let mut command = plain(program, folder)?;
    command.env("IRSA_DATA", server.data());
    let variables = server.run_json(&["env"])?;
    for (name, value) in variables.as_object().context("`irsa env -o json` prints an object")? {
        match value {
            Value::String(value) => command.env(name, value),
            _ => command.env_remove(name),
        };
    }
    Ok(command)
}

/// Runs the AWS CLI to its end.
pub(crate) fn aws(server: &Server, folder: &Path, words: &[&str]) -> Result<Finished> {
    finish(command(server, "aws", folder)?.args(words))
}

/// Runs a script of this suite with bash; an error unless it succeeds.
pub(crate) fn script(server: &Server, folder: &Path, name: &str, words: &[&str]) -> Result<String> {
    let finished = finish(command(server, "bash", folder)?.arg(scripts().join(name)).args(words))?;
    anyhow::ensure!(
        finished.code == Some(0),
        "{name} ended with {:?}\n{}\n{}",
        finished.code,
        finished.stdout,
        finished.stderr
    );
    Ok(finished.stdout)
}
