//! A running `irsa up`, and the commands beside it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use irsa_aws::{Client, Credentials};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) const ACCOUNT: &str = "111122223333";

/// The binary with a clean environment: what a test inherits of AWS's must not change its outcome.
pub(crate) fn irsa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irsa"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text.starts_with("AWS_") || text.starts_with("IRSA_") || text.contains("COLOR") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a command that has ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Stdout of a command that succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }
}

/// A server of its own, on ports of its own, over a folder of its own.
pub(crate) struct Server {
    pub(crate) data: PathBuf,
    pub(crate) ready: Value,
    process: Child,
    stderr: std::thread::JoinHandle<String>,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::over(&folder.path().join("data"), &["--account", ACCOUNT]);
        server._folder = Some(folder);
        server
    }

    pub(crate) fn over(data: &Path, more: &[&str]) -> Self {
        let mut process = irsa()
            .args([
                "up",
                "-o",
                "json",
                "--listen",
                "127.0.0.1:0",
                "--tls-listen",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = read_to_end(process.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("not ready: {:?} {}", process.wait(), process.id());
        });
        Self {
            data: data.to_owned(),
            ready,
            process,
            stderr,
            _folder: None,
        }
    }

    /// A command that is about this server: `--data` comes behind the subcommands' names.
    pub(crate) fn command(&self, subcommands: &[&str]) -> Command {
        let mut command = irsa();
        command.args(subcommands).arg("--data").arg(&self.data);
        command
    }

    pub(crate) fn run(&self, subcommands: &[&str], arguments: &[&str]) -> Ended {
        Ended::of(self.command(subcommands).args(arguments))
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.ready["endpoint"].as_str().unwrap()
    }

    /// Id and secret of the first account's root key.
    pub(crate) fn root_key(&self) -> (String, String) {
        let text = std::fs::read_to_string(self.data.join("credentials")).unwrap();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(" = ").unwrap().1.to_owned()
        };
        (value("aws_access_key_id"), value("aws_secret_access_key"))
    }

    pub(crate) fn root(&self) -> Client {
        let (id, secret) = self.root_key();
        Client::new(
            self.endpoint(),
            "us-east-1",
            Credentials::new(id, secret, None, None, "test"),
        )
        .unwrap()
    }

    /// Stops it as a user does; its status and what it said.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        signal(&self.process, Signal::TERM);
        let status = self.process.wait().unwrap();
        let stderr = std::mem::replace(&mut self.stderr, std::thread::spawn(String::new));
        (status, stderr.join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended where the test stopped it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn signal(process: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

pub(crate) fn read_to_end(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

/// Waits for a process that must end by itself.
pub(crate) fn wait(process: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > Duration::from_secs(60) {
            process.kill().unwrap();
            panic!("the process does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Blocks on a call of a client.
pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
