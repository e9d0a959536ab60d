//! The real clients: a Python environment under the target folder with the AWS CLI and boto3 in pinned versions, and moto, the server that
//! stands behind the gateway.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::step::run;

/// The AWS CLI's version 1 is the one that the package index carries; all share botocore.
const PACKAGES: [&str; 3] = ["awscli==1.46.3", "boto3==1.44.5", "moto[server]==5.2.5"];

/// Makes the environment unless it is there already; hands its folder back.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = crate::target().join("conformance/venv");
    let mark = folder.join("installed");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    if !has_python() {
        system_python()?;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES))
    .context("the AWS CLI, boto3 and moto could not be installed from the package index")?;
    std::fs::write(&mark, wanted)?;
    Ok(folder)
}

/// Debian ships `venv` without `ensurepip`, which only fails halfway through: ask for both.
fn has_python() -> bool {
    let mut command = Command::new("python3");
    command
        .args(["-c", "import venv, ensurepip"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn system_python() -> Result<()> {
    let id = Command::new("id")
        .arg("-u")
        .output()
        .context("asking for the user id")?;
    let is_root = String::from_utf8_lossy(&id.stdout).trim() == "0";
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "Python 3 with its venv module is needed: install python3 and python3-venv, or leave the real clients out with --no-clients"
        );
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "python3", "python3-venv"])
        .env("DEBIAN_FRONTEND", "noninteractive"))
}
