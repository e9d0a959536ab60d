//! A running `irsa webhook`, and the ways on which an API server finds it.

mod installation;
mod storm;

pub use installation::{Installation, NAME, is_injected, pod, pods};
pub use storm::{Outage, StormReport, fresh_accounts, missed_of_fresh_accounts, storm};

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane::ControlPlane;
use crate::server::binary;
use crate::until;

/// How long a start may take before it counts as hung.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a graceful stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// One replica: its place, and its process as long as it has one.
pub struct Webhook {
    arguments: Vec<String>,
    port: u16,
    metrics_port: u16,
    log: PathBuf,
    child: Option<Child>,
    _folder: TempDir,
}

impl Webhook {
    /// A replica that is started with these arguments, beside its ports.
    ///
    /// # Errors
    /// No folder or no ports for it.
    pub fn new(arguments: &[String]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [port, metrics_port] = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?]
            .map(|listener| listener.local_addr().map(|address| address.port()));
        Ok(Self {
            arguments: arguments.to_vec(),
            port: port?,
            metrics_port: metrics_port?,
            log: folder.path().join("log"),
            child: None,
            _folder: folder,
        })
    }

    /// Starts it, and comes back at once.
    ///
    /// # Errors
    /// There is no binary.
    pub fn spawn(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(binary()?)
            .arg("webhook")
            .args(&self.arguments)
            .arg(format!("--port={}", self.port))
            .arg(format!("--metrics-port={}", self.metrics_port))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become so.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_until_ready()
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It does not become so.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        // It tells of its readiness only when it is asked.
        let ready = until(START_LIMIT, || {
            if self.probe("/readyz") == Some(200) {
                return Ok(Ok(()));
            }
            match self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                Some(status) => bail!("it ended with {status}"),
                None => Ok(Err("it says that it is not".to_owned())),
            }
        });
        ready.with_context(|| format!("the webhook did not become ready:\n{}", self.log()))
    }

    /// The status of a path on the plain port.
    pub fn probe(&self, path: &str) -> Option<u16> {
        let answer = self.get(path).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// The whole answer of a path on the plain port.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics_port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// `SIGKILL`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `SIGTERM`, and nothing else.
    ///
    /// # Errors
    /// There is no process.
    pub fn terminate(&self) -> Result<()> {
        let child = self.child.as_ref().context("no process")?;
        let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        anyhow::ensure!(status.success(), "no signal was sent");
        Ok(())
    }

    /// Waits for the end of a process that was told to stop; its exit code.
    ///
    /// # Errors
    /// It goes on.
    pub fn wait(&mut self) -> Result<Option<i32>> {
        let mut child = self.child.take().context("no process")?;
        let ended = until(STOP_LIMIT, || {
            Ok(child.try_wait()?.ok_or_else(|| "the process is there".to_owned()))
        });
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let status = ended.with_context(|| format!("the webhook does not stop:\n{}", self.log()))?;
        Ok(status.code())
    }

    /// The memory that it holds now, and the most that it ever held, in KiB.
    ///
    /// # Errors
    /// There is no process.
    pub fn memory_kib(&self) -> Result<(u64, u64)> {
        let child = self.child.as_ref().context("no process")?;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let field = |name: &str| {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .context("no such field")?;
            let number = line.split_whitespace().nth(1).context("no number")?;
            Ok::<u64, anyhow::Error>(number.parse()?)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Where the API server finds it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of this machine that is not its loopback: API servers take no other for endpoints.
///
/// # Errors
/// The machine has none.
pub fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Nothing is sent: this only chooses the interface.
    socket
        .connect("203.0.113.1:9")
        .context("the machine has no address but its loopback")?;
    Ok(socket.local_addr()?.ip())
}

/// The endpoints of a Service, as its controller would write them for these replicas; `port` is the name of the Service's port.
///
/// # Errors
/// The API server does not take them.
pub fn point_at(
    control_plane: &ControlPlane,
    namespace: &str,
    service: &str,
    port: &str,
    replicas: &[&Webhook],
) -> Result<()> {
    let address = own_address()?.to_string();
    let subsets: Vec<Value> = replicas
        .iter()
        .map(|replica| json!({"addresses": [{"ip": address}], "ports": [{"name": port, "port": replica.port()}]}))
        .collect();
    let metadata = json!({"name": service, "namespace": namespace});
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets});
    control_plane.apply(&endpoints.to_string())?;
    // Later versions look at slices, of which each has ports of its own.
    if control_plane.version() >= (1, 21) {
        for (index, replica) in replicas.iter().enumerate() {
            control_plane.apply(&slice(namespace, service, port, index, &address, Some(replica.port())))?;
        }
        for index in replicas.len()..3 {
            control_plane.apply(&slice(namespace, service, port, index, &address, None))?;
        }
    }
    Ok(())
}

fn slice(namespace: &str, service: &str, name: &str, index: usize, address: &str, port: Option<u16>) -> String {
    let endpoints = match port {
        Some(_) => json!([{"addresses": [address], "conditions": {"ready": true}}]),
        None => json!([]),
    };
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{service}-{index}"), "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "endpoints": endpoints, "ports": [{"name": name, "port": port.unwrap_or(1), "protocol": "TCP"}]})
    .to_string()
}

/// A kubeconfig with which a service account of the cluster comes to the API server, as its pods do, and no further.
///
/// # Errors
/// It gets no token.
pub fn kubeconfig_of(control_plane: &ControlPlane, namespace: &str, account: &str, folder: &Path) -> Result<PathBuf> {
    let words = [
        "create",
        "token",
        account,
        "--namespace",
        namespace,
        "--duration",
        "24h",
    ];
    let token = control_plane.must(&words)?;
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": control_plane.url(), "certificate-authority": control_plane.authority()}}],
        "users": [{"name": "u", "user": {"token": token.trim()}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    let path = folder.join(format!("{account}.kubeconfig"));
    fs::write(&path, text.to_string())?;
    Ok(path)
}
