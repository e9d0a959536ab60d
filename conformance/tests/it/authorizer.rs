//! The authorizer behind proxies that nobody here wrote: nginx from Debian and Envoy, with the very files that the documentation shows. Before
//! them boto3 in a pod, and a client that lies; behind them moto, and a server that tells what it was sent.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{Cluster, Server, StartOptions, until};

use crate::{boto3::passes, gateway::Moto, shell};

const ACCOUNT: &str = "111122223333";

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["s3:CreateBucket","s3:ListBucket"],"Resource":"arn:aws:s3:::photos"},
    {"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:AbortMultipartUpload"],"Resource":"arn:aws:s3:::photos/public/*"},
    {"Effect":"Allow","Action":["dynamodb:CreateTable","dynamodb:PutItem","dynamodb:GetItem"],"Resource":"arn:aws:dynamodb:*:*:table/orders"}]}"#;

/// The folder of the files that the documentation shows.
fn documented() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/authorizer")
}

/// A proxy; ends with this value.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    /// nginx before a store, with the documented file: only addresses and the places of its own files are others.
    fn nginx(folder: &Path, socket: &Path, store: SocketAddr, keep_signature: bool) -> Result<Self> {
        let address = free_address()?;
        let documented = std::fs::read_to_string(documented().join("nginx.conf"))?;
        let text = replaced(
            &documented,
            &[
                ("listen 8080;", format!("listen {address};")),
                ("server 127.0.0.1:4702;", format!("server unix:{};", socket.display())),
                ("server 127.0.0.1:9000;", format!("server {store};")),
            ],
        )?;
        let own = folder.join("nginx");
        std::fs::create_dir_all(&own)?;
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {}/{name};", own.display()))
            .join("\n");
        // moto takes requests without a signature for strangers', and gives them no object.
        let text = match keep_signature {
            true => replaced(&text, &[("proxy_set_header Authorization \"\";", String::new())])?,
            false => text,
        };
        let text = text.replacen("http {", &format!("http {{\naccess_log off;\n{places}\n"), 1);
        let file = own.join("nginx.conf");
        // Run by root, its worker would be another user, whom the socket does not let in.
        std::fs::write(&file, format!("user root;\n{text}"))?;
        let globals = format!("daemon off; pid {}/pid;", own.display());
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(&own)
            .args(["-e", "stderr", "-g", &globals, "-c"])
            .arg(&file);
        Self::start(command, address)
    }

    /// Envoy before services, with the documented file.
    fn envoy(folder: &Path, socket: &Path, upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let documented = std::fs::read_to_string(documented().join("envoy.yaml"))?;
        let of = |port: u16| format!("socket_address: {{ address: 127.0.0.1, port_value: {port} }}");
        let text = replaced(
            &documented,
            &[
                (
                    "socket_address: { address: 0.0.0.0, port_value: 8080 }",
                    of(address.port()),
                ),
                (&of(4702), format!("pipe: {{ path: {} }}", socket.display())),
                (&of(9000), of(upstream.port())),
            ],
        )?;
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, text)?;
        let mut command = shell::plain("envoy", folder)?;
        command
            .args([
                "--use-dynamic-base-id",
                "--concurrency",
                "1",
                "--log-level",
                "warn",
                "-c",
            ])
            .arg(&file);
        Self::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {command:?}: `cargo xtask test` installs it"))?;
        let mut proxy = Self { child, address };
        // Neither proxy can say when it is ready.
        until(Duration::from_secs(60), || {
            ensure!(proxy.child.try_wait()?.is_none(), "the proxy ended: {command:?}");
            Ok(TcpStream::connect(address).map_err(|error| format!("the proxy does not listen: {error}")))
        })?;
        Ok(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked to, not when it is killed.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|asked| asked.success()) {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

/// An address that nobody listens on: these proxies can't choose one and tell.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Each text exactly once in the file, and another in its place.
fn replaced(text: &str, pairs: &[(&str, String)]) -> Result<String> {
    let mut text = text.to_owned();
    for (old, new) in pairs {
        ensure!(
            text.matches(*old).count() == 1,
            "`{old}` is not once in the documented file"
        );
        text = text.replace(*old, new);
    }
    Ok(text)
}

/// A server that answers with the head that it was sent.
fn telltale() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || tell(stream));
        }
    });
    Ok(address)
}

fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend_from_slice(&byte);
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        head.len()
    );
    stream.write_all(answer.as_bytes())?;
    stream.write_all(&head)
}

/// A server with an authorizer, and a pod's role.
struct Scene {
    folder: tempfile::TempDir,
    server: Server,
    role: String,
    token: PathBuf,
    socket: PathBuf,
}

impl Scene {
    async fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("authorizer.sock");
        let mut arguments: Vec<String> = ["--account", ACCOUNT, "--authorizer"].map(str::to_owned).into();
        arguments.push(format!("unix:{}", socket.display()));
        for service in ["s3=127.0.0.1", "dynamodb=127.0.0.1"] {
            arguments.extend(["--authorizer-for".to_owned(), service.to_owned()]);
        }
        let server = Server::start_with(&StartOptions {
            arguments,
            ..StartOptions::default()
        })?;
        let root = server.root()?;
        let cluster = Cluster::create(&root, "one").await?;
        let role = cluster.role(&root, "app", "shop", "reader").await?;
        let parameters = [
            ("Action", "PutRolePolicy"),
            ("RoleName", "app"),
            ("PolicyName", "photos"),
            ("PolicyDocument", DOCUMENT),
        ];
        root.must("iam", &parameters).await?;
        let token = folder.path().join("token");
        std::fs::write(&token, cluster.token(&root, "shop", "reader").await?)?;
        Ok(Self {
            folder,
            server,
            role,
            token,
            socket,
        })
    }

    /// A script as the pod's program, whose services are reached through a proxy.
    fn pod(&self, script: &str, kind: &str, proxy: &Proxy) -> Result<()> {
        let mut pod = shell::plain("python", self.folder.path())?;
        let endpoint = format!("http://{}", proxy.address);
        pod.arg(shell::scripts().join(script))
            .arg(kind)
            .env("AWS_ENDPOINT_URL_STS", self.server.endpoint()?)
            .env("AWS_ENDPOINT_URL_S3", &endpoint)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)
            .env("AWS_REGION", self.server.region()?)
            .env("AWS_DEFAULT_REGION", self.server.region()?)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ROLE_ARN", &self.role)
            .env("AWS_ROLE_SESSION_NAME", "pod")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &self.token);
        passes(&mut pod).with_context(|| format!("the server's log:\n{}", self.server.log()))
    }
}

#[tokio::test]
async fn a_pod_uses_a_store_behind_nginx() -> Result<()> {
    let scene = Scene::set().await?;
    let folder = scene.folder.path();
    let moto = Moto::start(folder)?;
    let nginx = Proxy::nginx(folder, &scene.socket, moto.address, true)?;
    scene.pod("authorizer.py", "nginx", &nginx)
}

#[tokio::test]
async fn a_pod_uses_services_behind_envoy() -> Result<()> {
    let scene = Scene::set().await?;
    let folder = scene.folder.path();
    let moto = Moto::start(folder)?;
    let envoy = Proxy::envoy(folder, &scene.socket, moto.address)?;
    scene.pod("authorizer.py", "envoy", &envoy)
}

#[tokio::test]
async fn a_client_that_lies_to_nginx() -> Result<()> {
    let scene = Scene::set().await?;
    let folder = scene.folder.path();
    let nginx = Proxy::nginx(folder, &scene.socket, telltale()?, false)?;
    scene.pod("authorizer_attacks.py", "nginx", &nginx)
}

#[tokio::test]
async fn a_client_that_lies_to_envoy() -> Result<()> {
    let scene = Scene::set().await?;
    let folder = scene.folder.path();
    let envoy = Proxy::envoy(folder, &scene.socket, telltale()?)?;
    scene.pod("authorizer_attacks.py", "envoy", &envoy)
}
