//! A real Kubernetes control plane: etcd and kube-apiserver, and the controller manager where there is one, on ports and in a folder of their own.
//!
//! A shell stands between us and them and reads a pipe that we hold: when this process ends, in whatever way, the pipe closes and the shell
//! ends what it started.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;

use crate::{
    authority::Authority,
    kubernetes_api::KubernetesApi,
    server::{Finished, finish},
    until::until,
};

/// How long a start may take before it counts as failed; some five seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(120);
/// The token of a member of `system:masters`.
const TOKEN: &str = "conformance-administrator";

/// What a start may be given.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    /// The folder with the programs; the one that `KUBEBUILDER_ASSETS` names, if not given.
    pub assets: Option<PathBuf>,
    /// Further arguments of kube-apiserver.
    pub arguments: Vec<String>,
    /// Do without the controller manager.
    pub without_controllers: bool,
}

/// A running control plane.
pub struct ControlPlane {
    shell: Child,
    assets: PathBuf,
    folder: TempDir,
    authority: Authority,
    port: u16,
    version: (u32, u32),
    has_controllers: bool,
}

impl ControlPlane {
    /// Starts one.
    pub fn start() -> Result<Self> {
        Self::start_with(&ControlPlaneOptions::default())
    }

    /// Starts one; it is ready when this returns.
    pub fn start_with(options: &ControlPlaneOptions) -> Result<Self> {
        let assets = match &options.assets {
            Some(folder) => folder.clone(),
            None => std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).context(
                "KUBEBUILDER_ASSETS names no folder with kube-apiserver, etcd and kubectl: `cargo xtask kube` makes one",
            )?,
        };
        let version = version(&assets.join("kube-apiserver"))?;
        let has_controllers = !options.without_controllers && assets.join("kube-controller-manager").is_file();
        let folder = tempfile::tempdir()?;
        let authority = Authority::new("conformance control plane")?;
        let [port, etcd_port, peer_port, controller_port] = free_ports()?;
        write_files(folder.path(), &authority, port)?;

        let etcd = vec![
            "--data-dir=etcd".to_owned(),
            format!("--listen-client-urls=http://127.0.0.1:{etcd_port}"),
            format!("--advertise-client-urls=http://127.0.0.1:{etcd_port}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"),
            format!("--initial-cluster=default=http://127.0.0.1:{peer_port}"),
        ];
        let mut api = vec![
            format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            "--tls-cert-file=server.pem".to_owned(),
            "--tls-private-key-file=server.key".to_owned(),
            "--cert-dir=certificates".to_owned(),
            "--token-auth-file=tokens.csv".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            format!("--service-account-issuer={}", issuer(port)),
            // Else it names the machine's first address, which is another host than the issuer's.
            format!("--service-account-jwks-uri={}/openid/v1/jwks", issuer(port)),
            "--service-account-key-file=accounts.key".to_owned(),
            "--service-account-signing-key-file=accounts.key".to_owned(),
            format!("--api-audiences={}", issuer(port)),
        ];
        if version < (1, 21) {
            // Later versions have no tokens in Secrets either, and need no switch for it.
            api.push("--feature-gates=BoundServiceAccountTokenVolume=true".to_owned());
        }
        if version < (1, 24) {
            api.push("--insecure-port=0".to_owned());
        }
        api.extend(options.arguments.iter().cloned());
        let mut controllers = vec![
            "--kubeconfig=kubeconfig".to_owned(),
            "--leader-elect=false".to_owned(),
            "--controllers=serviceaccount,deployment,replicaset,namespace,root-ca-cert-publisher,garbagecollector"
                .to_owned(),
            "--root-ca-file=ca.pem".to_owned(),
            format!("--secure-port={controller_port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--cert-dir=certificates".to_owned(),
        ];
        if version < (1, 24) {
            controllers.push("--port=0".to_owned());
        }

        let mut script = String::from("trap '' INT\n");
        let mut programs = vec![("etcd", etcd), ("kube-apiserver", api)];
        if has_controllers {
            programs.push(("kube-controller-manager", controllers));
        }
        for (name, arguments) in &programs {
            let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
            // The controller manager ends when it finds no API server: it is started again until it does.
            let line = format!("{} {}", quoted(&assets.join(name).to_string_lossy()), words.join(" "));
            let line = if *name == "kube-controller-manager" {
                format!("(trap 'kill $p; exit' TERM; while :; do {line} & p=$!; wait $p; done)")
            } else {
                line
            };
            script.push_str(&format!("{line} > {name}.log 2>&1 & children=\"$children $!\"\n"));
        }
        script.push_str("read end\nkill $children\nwait\n");
        let shell = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the control plane's shell")?;
        let mut control_plane = Self {
            shell,
            assets,
            folder,
            authority,
            port,
            version,
            has_controllers,
        };
        control_plane.wait_until_ready()?;
        Ok(control_plane)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        until(START_LIMIT, || {
            Ok(match self.get("/readyz") {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(format!("{status} {body}")),
                Err(error) => Err(format!("{error:#}")),
            })
        })
        .with_context(|| format!("starting the control plane:\n{}", self.log("kube-apiserver")))
    }

    /// A GET as administrator, blocking: status and body.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1")?)?;
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut stream = rustls::Stream::new(&mut connection, &mut stream);
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        // It closes without saying so in TLS.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").context("no complete answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// The administrator's way to it for many requests at once.
    pub fn api(&self) -> Result<KubernetesApi> {
        KubernetesApi::new(&format!("127.0.0.1:{}", self.port), TOKEN, &self.authority.pem())
    }

    /// The API server, `https://127.0.0.1:…`; its service account issuer is the same.
    pub fn url(&self) -> String {
        issuer(self.port)
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// Whether controllers make pods of deployments, and accounts of namespaces.
    pub fn has_controllers(&self) -> bool {
        self.has_controllers
    }

    /// The file of the API server's certificate authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The administrator's configuration file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The administrator's bearer token.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// What one of the programs has logged.
    pub fn log(&self, program: &str) -> String {
        fs::read_to_string(self.folder.path().join(format!("{program}.log"))).unwrap_or_default()
    }

    /// `kubectl WORDS…` as administrator.
    pub fn kubectl(&self, words: &[&str]) -> Result<Finished> {
        finish(self.kubectl_command().args(words))
    }

    /// `kubectl WORDS…` as administrator; its standard output, or an error if it fails.
    pub fn must(&self, words: &[&str]) -> Result<String> {
        let finished = self.kubectl(words)?;
        if finished.code != Some(0) {
            bail!(
                "`kubectl {}` ended with {:?}: {}",
                words.join(" "),
                finished.code,
                finished.stderr
            );
        }
        Ok(finished.stdout)
    }

    /// `kubectl apply -f -` with this text.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        let mut child = self
            .kubectl_command()
            .args(["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no stdin")?.write_all(manifest.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "`kubectl apply` ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A namespace that is ready for pods: with its default account, also where no controller makes one.
    pub fn namespace(&self, name: &str) -> Result<()> {
        self.must(&["create", "namespace", name])?;
        let made = self.kubectl(&["create", "serviceaccount", "default", "--namespace", name])?;
        if made.code != Some(0) && !made.stderr.contains("AlreadyExists") && !made.stderr.contains("already exists") {
            bail!("no default account for `{name}`: {}", made.stderr);
        }
        Ok(())
    }

    /// A kubectl command line as administrator, ready for its arguments.
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(self.assets.join("kubectl"));
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn issuer(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

fn write_files(folder: &Path, authority: &Authority, port: u16) -> Result<()> {
    let leaf = authority.leaf(&["127.0.0.1", "localhost", "10.0.0.1", "kubernetes.default.svc"])?;
    let signer = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)?;
    let configuration = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "conformance",
        "clusters": [{"name": "conformance", "cluster": {"server": issuer(port), "certificate-authority": folder.join("ca.pem")}}],
        "users": [{"name": "administrator", "user": {"token": TOKEN}}],
        "contexts": [{"name": "conformance", "context": {"cluster": "conformance", "user": "administrator"}}],
    });
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", leaf.chain_pem),
        ("server.key", leaf.key_pem),
        ("accounts.key", signer.serialize_pem()),
        (
            "tokens.csv",
            format!("{TOKEN},administrator,administrator,system:masters\n"),
        ),
        ("kubeconfig", configuration.to_string()),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn version(server: &Path) -> Result<(u32, u32)> {
    let finished = finish(Command::new(server).arg("--version"))?;
    let text = finished.stdout.trim();
    let mut numbers = text.trim_start_matches("Kubernetes v").split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("`{}` says `{text}` of its version", server.display()),
    }
}

/// Ports that were free a moment ago: these programs can't tell which port they took.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
