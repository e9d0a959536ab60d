//! A running `irsa up`: started on free ports in a folder of its own, stopped when it goes out of scope.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Credentials, Transport};

/// How long a start may take before it counts as hung; the measured time is [`Server::ready_after`].
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a graceful stop may take before the process is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The binary under test: `IRSA_BINARY`, else the debug build in this workspace's target folder.
pub fn binary() -> Result<PathBuf> {
    let path = match std::env::var_os("IRSA_BINARY") {
        Some(path) => PathBuf::from(path),
        None => {
            let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
                || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
                PathBuf::from,
            );
            target.join("debug/irsa")
        }
    };
    fs::canonicalize(&path).with_context(|| {
        format!(
            "no binary at {}: build it with `cargo build`, or name one in IRSA_BINARY",
            path.display()
        )
    })
}

/// What a start may be given.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// The binary; [`binary`] if not given.
    pub binary: Option<PathBuf>,
    /// The data folder; a temporary one if not given.
    pub data: Option<PathBuf>,
    /// Further arguments of `irsa up`.
    pub arguments: Vec<String>,
    /// Variables of its environment beside those of this process.
    pub environment: Vec<(&'static str, String)>,
}

/// A running server.
pub struct Server {
    binary: PathBuf,
    child: Child,
    data: PathBuf,
    ready: Value,
    ready_after: Duration,
    errors: PathBuf,
    /// What it prints; ends when the process does.
    lines: Mutex<mpsc::Receiver<(String, Duration)>>,
    // Held for their removal at the end.
    _own_data: Option<TempDir>,
    _logs: TempDir,
}

impl Server {
    /// Starts a server in a temporary folder.
    pub fn start() -> Result<Self> {
        Self::start_with(&StartOptions::default())
    }

    /// Starts a server in `data`, which may hold what an earlier one left.
    pub fn start_in(data: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(&StartOptions {
            data: Some(data.to_owned()),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            ..StartOptions::default()
        })
    }

    /// Starts a server.
    pub fn start_with(options: &StartOptions) -> Result<Self> {
        let binary = match &options.binary {
            Some(path) => path.clone(),
            None => binary()?,
        };
        let (data, own_data) = match &options.data {
            Some(path) => (path.clone(), None),
            None => {
                let folder = tempfile::tempdir()?;
                (folder.path().join("irsa-data"), Some(folder))
            }
        };
        let logs = tempfile::tempdir()?;
        let errors = logs.path().join("stderr");
        let started = Instant::now();
        let mut child = Command::new(&binary)
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--tls-listen",
                "127.0.0.1:0",
                "-o",
                "json",
                "--data",
            ])
            .arg(&data)
            .args(&options.arguments)
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // The pipe is read to its end, so that the server never blocks on it.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send((line, started.elapsed()));
            }
        });
        let mut server = Self {
            binary,
            child,
            data,
            ready: Value::Null,
            ready_after: Duration::ZERO,
            errors,
            lines: Mutex::new(lines),
            _own_data: own_data,
            _logs: logs,
        };
        loop {
            let left = START_LIMIT.saturating_sub(started.elapsed());
            let Ok((line, after)) = server.lines().recv_timeout(left) else {
                bail!("the server did not become ready:\n{}", server.log());
            };
            if let Ok(value) = serde_json::from_str::<Value>(&line)
                && value.get("ready") == Some(&Value::Bool(true))
            {
                (server.ready, server.ready_after) = (value, after);
                return Ok(server);
            }
        }
    }

    fn lines(&mut self) -> &mut mpsc::Receiver<(String, Duration)> {
        self.lines.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready_text(&self, name: &str) -> Result<&str> {
        self.ready
            .get(name)
            .and_then(Value::as_str)
            .with_context(|| format!("no `{name}` in the ready line {}", self.ready))
    }

    /// The AWS endpoint, `http://127.0.0.1:…`.
    pub fn endpoint(&self) -> Result<&str> {
        self.ready_text("endpoint")
    }

    /// The TLS endpoint, `https://127.0.0.1:…`.
    pub fn tls_endpoint(&self) -> Result<&str> {
        self.ready_text("tlsEndpoint")
    }

    /// The first account.
    pub fn account(&self) -> Result<&str> {
        self.ready_text("account")
    }

    /// The region it answers for.
    pub fn region(&self) -> Result<&str> {
        self.ready_text("region")
    }

    /// From the start of the process to its ready line.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// The keys of a profile in the credentials file under the data folder.
    pub fn credentials(&self, profile: &str) -> Result<Credentials> {
        let file = self.data.join("credentials");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let mut inside = false;
        let (mut id, mut secret) = (None, None);
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                inside = name == profile;
            } else if let Some((name, value)) = line.split_once('=').filter(|_| inside) {
                match name.trim() {
                    "aws_access_key_id" => id = Some(value.trim().to_owned()),
                    "aws_secret_access_key" => secret = Some(value.trim().to_owned()),
                    _ => {}
                }
            }
        }
        Ok(Credentials {
            access_key_id: id.with_context(|| format!("no key of profile {profile} in {}", file.display()))?,
            secret_access_key: secret
                .with_context(|| format!("no secret of profile {profile} in {}", file.display()))?,
            session_token: None,
        })
    }

    /// A client with the root key of the first account.
    pub fn root(&self) -> Result<Client> {
        Ok(Client {
            transport: Transport::new(self.endpoint()?)?,
            region: self.region()?.to_owned(),
            credentials: Some(self.credentials("default")?),
        })
    }

    /// A command line of the same binary on the same data folder, ready for its arguments.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--data").arg(&self.data).stdin(Stdio::null());
        // What the shell of whoever runs the suite exports for AWS must not decide what a test sees.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `irsa WORDS… --data DATA` and hands back its output, or an error with its stderr if it fails.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        let output = self.command(words).output()?;
        if !output.status.success() {
            bail!(
                "`irsa {}` ended with {}: {}",
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output)
    }

    /// Runs `irsa WORDS… -o json` and parses what it prints.
    pub fn run_json(&self, words: &[&str]) -> Result<Value> {
        let output = self.run(&[words, &["-o", "json"]].concat())?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "`irsa {}` printed no JSON: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stdout)
            )
        })
    }

    /// Ends the process with SIGKILL and waits for its end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.terminate()
    }

    fn terminate(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        // The standard library sends no other signal than SIGKILL; `kill` is a builtin of every shell.
        Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status()?;
        let asked = Instant::now();
        // The end of its output is the end of the process.
        loop {
            match self.lines().recv_timeout(STOP_LIMIT.saturating_sub(asked.elapsed())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(self.child.wait()?),
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        self.child.kill()?;
        self.child.wait()?;
        Err(anyhow!(
            "the server did not stop within {STOP_LIMIT:?}:\n{}",
            self.log()
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.terminate();
    }
}

/// What a command did, as text.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Result<Finished> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    Ok(Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
