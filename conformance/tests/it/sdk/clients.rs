//! The clients: how each is started, what its default checksum is, and which steps are known not to pass.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::finish;

use super::{plain, sources};
use crate::shell;

/// A client of the matrix.
pub(super) struct Sdk {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Makes the command that takes names of steps: from the home folder and the file of the certificate authority.
    pub(super) program: fn(&Path, &Path) -> Result<Command>,
    /// The checksum that it sends unless told otherwise.
    pub(super) checksum: &'static str,
    /// Whether every call is a process.
    pub(super) slow: bool,
    /// The steps that do not pass.
    pub(super) known: &'static [Known],
}

/// A step that does not pass, and why.
pub(super) struct Known {
    pub(super) step: &'static str,
    pub(super) reason: &'static str,
}

const GET_ONLY: Known = Known {
    step: "presigned-put",
    reason: "`aws s3 presign` makes URLs for GET only",
};

/// The clients in the order of the table.
pub(super) const ALL: [&Sdk; 7] = [&AWS_CLI_1, &AWS_CLI_2, &BOTO3, &JAVASCRIPT, &GO, &JAVA, &RUST];

pub(super) const AWS_CLI_1: Sdk = Sdk {
    name: "AWS CLI 1",
    program: |home, _| command_line(home, &shell::venv().join("bin/aws")),
    checksum: "CRC32",
    slow: true,
    known: &[GET_ONLY],
};

pub(super) const AWS_CLI_2: Sdk = Sdk {
    name: "AWS CLI 2",
    program: |home, _| command_line(home, &installed("aws-cli-2/aws")),
    checksum: "CRC64NVME",
    slow: true,
    known: &[GET_ONLY],
};

pub(super) const BOTO3: Sdk = Sdk {
    name: "boto3",
    program: |home, _| {
        let mut command = python(home)?;
        command.arg(sources().join("python/matrix.py"));
        Ok(command)
    },
    checksum: "CRC32",
    slow: false,
    known: &[],
};

pub(super) const JAVASCRIPT: Sdk = Sdk {
    name: "JavaScript v3",
    program: |home, authority| {
        let mut command = plain(Path::new("node"), home)?;
        command
            .arg(installed("javascript/matrix.mjs"))
            .env("NODE_EXTRA_CA_CERTS", authority);
        Ok(command)
    },
    checksum: "CRC32",
    slow: false,
    known: &[],
};

pub(super) const GO: Sdk = Sdk {
    name: "Go v2",
    program: |home, authority| native(home, authority, "go/matrix"),
    checksum: "CRC32",
    slow: false,
    known: &[Known {
        step: "one endpoint",
        reason: "it makes the STS client of its credentials before it reads `AWS_ENDPOINT_URL`; `AWS_ENDPOINT_URL_STS` must be set too",
    }],
};

pub(super) const JAVA: Sdk = Sdk {
    name: "Java v2",
    program: |home, authority| {
        // It reads authorities from a store of Java's own form.
        let store = home.join("authorities.p12");
        let mut import = plain(Path::new("keytool"), home)?;
        import.args([
            "-importcert",
            "-noprompt",
            "-alias",
            "irsa",
            "-storetype",
            "PKCS12",
            "-storepass",
            "changeit",
        ]);
        let import = finish(import.arg("-file").arg(authority).arg("-keystore").arg(&store))?;
        ensure!(import.code == Some(0), "{}{}", import.stdout, import.stderr);
        let class_path = std::env::join_paths([installed("java/classes"), installed("java/lib/*")])?;
        let mut command = plain(Path::new("java"), home)?;
        command
            .args([
                "-Dfile.encoding=UTF-8",
                "-Dsun.jnu.encoding=UTF-8",
                "-Djavax.net.ssl.trustStorePassword=changeit",
            ])
            .arg(format!("-Djavax.net.ssl.trustStore={}", store.display()))
            .env("LC_ALL", "C.UTF-8")
            .arg("-cp")
            .arg(class_path)
            .arg("Matrix");
        Ok(command)
    },
    checksum: "CRC32",
    slow: false,
    known: &[],
};

pub(super) const RUST: Sdk = Sdk {
    name: "Rust",
    program: |home, authority| native(home, authority, "rust/matrix"),
    checksum: "CRC32",
    slow: false,
    known: &[],
};

/// What `cargo xtask test` has installed.
fn installed(path: &str) -> PathBuf {
    let folder =
        std::env::var_os("IRSA_CONFORMANCE_CLIENTS").expect("IRSA_CONFORMANCE_CLIENTS names no folder of clients");
    Path::new(&folder).join(path)
}

fn python(home: &Path) -> Result<Command> {
    plain(&shell::venv().join("bin/python"), home)
}

fn command_line(home: &Path, program: &Path) -> Result<Command> {
    let program = program
        .canonicalize()
        .with_context(|| format!("{}", program.display()))?;
    let mut command = python(home)?;
    command
        .arg(sources().join("aws-cli/matrix.py"))
        .env("MATRIX_AWS", program);
    // Names of files are written in this encoding.
    command.env("LC_ALL", "C.UTF-8").env("PYTHONUTF8", "1");
    Ok(command)
}

fn native(home: &Path, authority: &Path, program: &str) -> Result<Command> {
    let mut command = plain(&installed(program), home)?;
    command.env("SSL_CERT_FILE", authority);
    Ok(command)
}
