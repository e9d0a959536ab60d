//! Servers in this process, one that most tests share, and what stands in it.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, Once};
use std::time::SystemTime;

use base64::Engine;
use irsa_audit::Filter;
use irsa_core::{AccountId, Timestamp};
use irsa_credentials::{EpochKey, EpochKeys, KeyEncryptionKey, Session, SessionPrincipal};
use irsa_server::{DataFolder, RunningServer, ServerConfig, StartError, start};
use irsa_store::{SqliteStore, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{Key, Request, Response, Signing, send};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER_ACCOUNT: &str = "444455556666";
pub(crate) const ISSUER: &str = "https://issuer.test";

pub(crate) const ALLOW_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// A policy of one statement.
pub(crate) fn policy(statement: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
}

/// Allows one action on everything.
pub(crate) fn allow(action: &str) -> String {
    policy(&format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#))
}

/// Allows everything but one action.
pub(crate) fn allow_all_but(action: &str) -> String {
    policy(&format!(
        r#"{{"Effect":"Allow","NotAction":"{action}","Resource":"*"}}"#
    ))
}

/// Everything that must never be seen outside of an answer to its owner: secret access keys, session tokens, web identity tokens.
static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What all servers of this process logged, at every level.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

pub(crate) fn remember_secret(secret: &str) {
    SECRETS.lock().unwrap().push(secret.to_owned());
}

pub(crate) fn secrets() -> Vec<String> {
    SECRETS.lock().unwrap().clone()
}

pub(crate) fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Logs;

impl MakeWriter<'_> for Logs {
    type Writer = LogWriter;

    fn make_writer(&self) -> LogWriter {
        LogWriter
    }
}

fn capture_logs() {
    static CAPTURE: Once = Once::new();
    CAPTURE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(Logs)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// A number that no other test of this process has.
pub(crate) fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A name that no other test of this process uses.
pub(crate) fn name(prefix: &str) -> String {
    format!("{prefix}-{}", unique())
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A running server.
pub(crate) struct Server {
    runtime: Runtime,
    running: Option<RunningServer>,
    pub(crate) host: String,
    pub(crate) tls_host: String,
    pub(crate) folder: DataFolder,
    /// The first account's root.
    pub(crate) root: Key,
}

/// What a test server is started with.
pub(crate) fn config(data: &Path) -> ServerConfig {
    ServerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        tls_listen: ([127, 0, 0, 1], 0).into(),
        issuer_url: Some(ISSUER.to_owned()),
        ..ServerConfig::new(data.to_owned())
    }
}

impl Server {
    /// Starts a server on free ports; a first start makes the account 111122223333.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(config(data)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn start_with(config: ServerConfig) -> Result<Self, StartError> {
        capture_logs();
        let mut config = config;
        let folder = DataFolder::new(&config.data);
        if !folder.database().exists() && config.account.is_none() {
            config.account = Some(ACCOUNT.parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(start(config))?;
        let root = root_key(running.folder());
        remember_secret(&root.secret);
        Ok(Self {
            host: running.endpoint().trim_start_matches("http://").to_owned(),
            tls_host: running.tls_endpoint().trim_start_matches("https://").to_owned(),
            folder: running.folder().clone(),
            runtime,
            running: Some(running),
            root,
        })
    }

    pub(crate) fn running(&self) -> &RunningServer {
        self.running.as_ref().unwrap()
    }

    /// Stops in the orderly way.
    pub(crate) fn stop(mut self) {
        self.runtime.block_on(self.running.take().unwrap().stop());
    }

    /// Starts the stop, which ends when requests under way are done.
    pub(crate) fn begin_stop(&mut self) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(self.running.take().unwrap().stop())
    }

    pub(crate) fn wait(&self, stopped: tokio::task::JoinHandle<()>) {
        self.runtime.block_on(stopped).unwrap();
    }

    pub(crate) fn send(&self, request: &Request) -> Response {
        send(&self.host, request)
    }

    /// Signs and sends.
    pub(crate) fn signed(&self, request: Request, key: &Key, service: &str) -> Response {
        self.send(&request.sign(&self.host, key, service))
    }

    pub(crate) fn signed_as(&self, request: Request, signing: &Signing<'_>) -> Response {
        self.send(&request.signed(&self.host, signing))
    }

    pub(crate) fn query(&self, key: &Key, service: &str, pairs: &[(&str, &str)]) -> Response {
        self.signed(Request::form(pairs), key, service)
    }

    pub(crate) fn iam(&self, key: &Key, action: &str, pairs: &[(&str, &str)]) -> Response {
        let all: Vec<(&str, &str)> = [("Action", action), ("Version", "2010-05-08")]
            .into_iter()
            .chain(pairs.iter().copied())
            .collect();
        self.query(key, "iam", &all)
    }

    /// A call that must succeed.
    #[track_caller]
    pub(crate) fn iam_ok(&self, key: &Key, action: &str, pairs: &[(&str, &str)]) -> Response {
        let response = self.iam(key, action, pairs);
        assert_eq!(response.status, 200, "{action}: {}", response.text());
        response
    }

    pub(crate) fn sts(&self, key: &Key, action: &str, pairs: &[(&str, &str)]) -> Response {
        let all: Vec<(&str, &str)> = [("Action", action), ("Version", "2011-06-15")]
            .into_iter()
            .chain(pairs.iter().copied())
            .collect();
        self.query(key, "sts", &all)
    }

    pub(crate) fn json(&self, key: &Key, service: &str, method: &str, target: &str, body: &Value) -> Response {
        let body = if method == "GET" {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::new(method, target)
            .header("content-type", "application/json")
            .body(body);
        self.signed(request, key, service)
    }

    pub(crate) fn s3(&self, key: &Key, method: &str, target: &str, body: &[u8]) -> Response {
        self.signed(Request::new(method, target).body(body), key, "s3")
    }

    /// Makes a user with an inline policy, and a key for it.
    pub(crate) fn user(&self, root: &Key, name: &str, document: Option<&str>) -> Key {
        self.iam_ok(root, "CreateUser", &[("UserName", name)]);
        if let Some(document) = document {
            let pairs = [
                ("UserName", name),
                ("PolicyName", "inline"),
                ("PolicyDocument", document),
            ];
            self.iam_ok(root, "PutUserPolicy", &pairs);
        }
        self.access_key(root, name)
    }

    pub(crate) fn access_key(&self, root: &Key, user: &str) -> Key {
        let made = self.iam_ok(root, "CreateAccessKey", &[("UserName", user)]);
        let key = Key {
            id: made.element("AccessKeyId").unwrap(),
            secret: made.element("SecretAccessKey").unwrap(),
            token: None,
        };
        remember_secret(&key.secret);
        key
    }

    /// Makes a role that its own account may take, with an inline policy.
    pub(crate) fn role(&self, root: &Key, name: &str, document: Option<&str>) {
        let account = if root.id == self.root.id {
            ACCOUNT
        } else {
            OTHER_ACCOUNT
        };
        let trust = policy(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}"#
        ));
        self.iam_ok(
            root,
            "CreateRole",
            &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)],
        );
        if let Some(document) = document {
            let pairs = [
                ("RoleName", name),
                ("PolicyName", "inline"),
                ("PolicyDocument", document),
            ];
            self.iam_ok(root, "PutRolePolicy", &pairs);
        }
    }

    /// Takes a role of the first account.
    #[track_caller]
    pub(crate) fn assume(&self, key: &Key, role: &str, pairs: &[(&str, &str)]) -> Key {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
        let all: Vec<(&str, &str)> = [("RoleArn", arn.as_str()), ("RoleSessionName", "test")]
            .into_iter()
            .chain(pairs.iter().copied())
            .collect();
        session_key(&self.sts(key, "AssumeRole", &all))
    }

    /// A token of the service account `ns/name` from a cluster whose issuer the server hosts.
    pub(crate) fn token(&self, key: &Key, cluster: &str, service_account: &str) -> String {
        let (namespace, name) = service_account.split_once('/').unwrap();
        let target = format!("/clusters/{cluster}/namespaces/{namespace}/serviceaccounts/{name}/token");
        let body = json!({ "spec": { "audiences": ["sts.amazonaws.com"], "expirationSeconds": 3600 } });
        let made = self.json(key, "irsa", "POST", &target, &body);
        assert_eq!(made.status, 200, "{}", made.text());
        let token = made.json()["status"]["token"].as_str().unwrap().to_owned();
        remember_secret(&token);
        token
    }

    /// Exchanges a token, unsigned.
    pub(crate) fn exchange(&self, role: &str, token: &str, pairs: &[(&str, &str)]) -> Response {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
        self.send(&Self::exchange_request(&arn, token, pairs))
    }

    pub(crate) fn exchange_request(role_arn: &str, token: &str, pairs: &[(&str, &str)]) -> Request {
        let all: Vec<(&str, &str)> = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role_arn),
            ("RoleSessionName", "pod"),
            ("WebIdentityToken", token),
        ]
        .into_iter()
        .chain(pairs.iter().copied())
        .collect();
        Request::form(&all)
    }

    /// The audit records of a request id.
    pub(crate) fn records(&self, request_id: &str) -> Vec<Value> {
        let filter = Filter {
            request_id: Some(request_id.to_owned()),
            ..Filter::default()
        };
        irsa_audit::lookup(&self.folder.audit(), filter)
            .unwrap()
            .map(|record| record.unwrap().event)
            .collect()
    }

    /// The one audit record of an answered request.
    #[track_caller]
    pub(crate) fn record(&self, response: &Response) -> Value {
        let id = response
            .request_id()
            .unwrap_or_else(|| panic!("no request id: {response:?}"));
        let mut records = self.records(id);
        assert_eq!(
            records.len(),
            1,
            "records of {id}: {records:?}; answer {}",
            response.text()
        );
        records.remove(0)
    }

    /// All audit records, newest first.
    pub(crate) fn all_records(&self, filter: Filter) -> Vec<Value> {
        irsa_audit::lookup(&self.folder.audit(), filter)
            .unwrap()
            .map(|record| record.unwrap().event)
            .collect()
    }
}

/// The default profile of the credentials file.
fn root_key(folder: &DataFolder) -> Key {
    let text = fs::read_to_string(folder.credentials_file()).unwrap();
    profile(&text, "default").unwrap()
}

/// One profile of an AWS credentials file.
pub(crate) fn profile(text: &str, name: &str) -> Option<Key> {
    let (_, rest) = text.split_once(&format!("[{name}]\n"))?;
    let rest = rest.split("\n[").next()?;
    let value = |wanted: &str| {
        rest.lines()
            .filter_map(|line| line.split_once(" = "))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned())
    };
    Some(Key {
        id: value("aws_access_key_id")?,
        secret: value("aws_secret_access_key")?,
        token: None,
    })
}

/// The credentials of a successful exchange.
#[track_caller]
pub(crate) fn session_key(response: &Response) -> Key {
    assert_eq!(response.status, 200, "{}", response.text());
    let key = Key {
        id: response.element("AccessKeyId").unwrap(),
        secret: response.element("SecretAccessKey").unwrap(),
        token: response.element("SessionToken"),
    };
    remember_secret(&key.secret);
    remember_secret(key.token.as_deref().unwrap());
    key
}

/// The keys that a stopped server seals sessions with.
fn epoch_keys(folder: &DataFolder) -> EpochKeys {
    let kek: [u8; 32] = fs::read(folder.kek()).unwrap().try_into().unwrap();
    let kek = KeyEncryptionKey::from_bytes(kek);
    let store = SqliteStore::open(&folder.database()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_, entries) = runtime.block_on(store.load()).unwrap();
    let entry = entries.iter().find(|entry| entry.key == "credentials/epoch/1").unwrap();
    let sealed = base64::engine::general_purpose::STANDARD.decode(&entry.value).unwrap();
    let bytes = kek.open(entry.key.as_bytes(), &sealed).unwrap();
    let bytes: [u8; 32] = bytes.as_slice().try_into().unwrap();
    EpochKeys::new(EpochKey::new(1, &bytes), Vec::new())
}

/// Seals a session that the server would have made some time ago.
pub(crate) fn mint(keys: &EpochKeys, session: &Session) -> Key {
    let made = keys.mint(session).unwrap();
    let key = Key {
        id: made.access_key_id.as_str().to_owned(),
        secret: made.secret_access_key.expose().to_owned(),
        token: Some(made.session_token),
    };
    remember_secret(&key.secret);
    remember_secret(key.token.as_deref().unwrap());
    key
}

/// A session of a role, to be changed by the test.
pub(crate) fn role_session(account: &str, name: &str, id: &str) -> Session {
    let now = now();
    Session {
        account: account.parse::<AccountId>().unwrap(),
        principal: SessionPrincipal::Role {
            role_name: name.to_owned(),
            role_path: "/".to_owned(),
            role_id: id.to_owned(),
            session_name: "test".to_owned(),
        },
        issued_at: now,
        expires_at: now.plus_seconds(3600),
        source_identity: None,
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        session_policy: None,
        session_policy_arns: Vec::new(),
        federated: None,
        mfa: false,
        chained: false,
    }
}

/// The server that most tests share, with two accounts in it. It was stopped once and started again.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) epoch: EpochKeys,
    /// The second account's root.
    pub(crate) other_root: Key,
    /// A user of the first account who may do nothing.
    pub(crate) nobody: Key,
    /// A user of the first account who may do everything.
    pub(crate) admin: Key,
    /// The id of the role `everything`.
    pub(crate) everything_id: String,
    /// The issuer of the cluster `main`.
    pub(crate) issuer: String,
    /// A session of the role `everything` that ended an hour ago.
    pub(crate) expired: Key,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub(crate) fn world() -> &'static World {
    &WORLD
}

impl World {
    fn new() -> Self {
        let folder = shared_folder();
        let first = Server::start(&folder);
        assert!(first.running().first_root().is_some());
        let data = first.folder.clone();
        first.stop();
        let epoch = epoch_keys(&data);
        let server = Server::start(&folder);
        assert!(server.running().first_root().is_none());
        let root = server.root.clone();

        let body = json!({ "accountId": OTHER_ACCOUNT, "name": "other" });
        let made = server.json(&root, "irsa", "POST", "/accounts", &body);
        assert_eq!(made.status, 200, "{}", made.text());
        let made = made.json();
        let other_root = Key {
            id: made["accessKey"]["accessKeyId"].as_str().unwrap().to_owned(),
            secret: made["accessKey"]["secretAccessKey"].as_str().unwrap().to_owned(),
            token: None,
        };
        remember_secret(&other_root.secret);
        let nobody = server.user(&root, "nobody", None);
        let admin = server.user(&root, "admin", Some(ALLOW_ALL));
        server.role(&root, "everything", Some(ALLOW_ALL));
        let role = server.iam_ok(&root, "GetRole", &[("RoleName", "everything")]);
        let everything_id = role.element("RoleId").unwrap();
        let issuer = cluster(&server, &root, "main");
        web_role(
            &server,
            &root,
            "web",
            &issuer,
            "system:serviceaccount:shop:app",
            Some(&allow("s3:*")),
        );
        let mut session = role_session(ACCOUNT, "everything", &everything_id);
        session.issued_at = now().plus_seconds(-7200);
        session.expires_at = now().plus_seconds(-3600);
        let expired = mint(&epoch, &session);
        for bucket in ["first-bucket", "second-bucket"] {
            let owner = if bucket == "first-bucket" { &root } else { &other_root };
            assert_eq!(server.s3(owner, "PUT", &format!("/{bucket}"), b"").status, 200);
            let put = server.s3(owner, "PUT", &format!("/{bucket}/hello.txt"), b"hello");
            assert_eq!(put.status, 200, "{}", put.text());
        }
        Self {
            server,
            epoch,
            other_root,
            nobody,
            admin,
            everything_id,
            issuer,
            expired,
        }
    }
}

/// Makes a cluster whose issuer the server hosts, and the IAM provider of that; gives the issuer's URL.
pub(crate) fn cluster(server: &Server, root: &Key, name: &str) -> String {
    let body = json!({ "name": name, "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/eks"), "resourcesVpcConfig": {} });
    let made = server.json(root, "eks", "POST", "/clusters", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    let issuer = made.json()["cluster"]["identity"]["oidc"]["issuer"]
        .as_str()
        .unwrap()
        .to_owned();
    let pairs = [("Url", issuer.as_str()), ("ClientIDList.member.1", "sts.amazonaws.com")];
    server.iam_ok(root, "CreateOpenIDConnectProvider", &pairs);
    issuer
}

/// The ARN of an issuer's provider.
pub(crate) fn provider_arn(issuer: &str) -> String {
    format!(
        "arn:aws:iam::{ACCOUNT}:oidc-provider/{}",
        issuer.trim_start_matches("https://")
    )
}

/// Makes a role that a service account of a cluster may take.
pub(crate) fn web_role(server: &Server, root: &Key, name: &str, issuer: &str, subject: &str, document: Option<&str>) {
    let condition = issuer.trim_start_matches("https://");
    let trust = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"{}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{condition}:sub":"{subject}","{condition}:aud":"sts.amazonaws.com"}}}}}}"#,
        provider_arn(issuer)
    ));
    server.iam_ok(
        root,
        "CreateRole",
        &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)],
    );
    if let Some(document) = document {
        let pairs = [
            ("RoleName", name),
            ("PolicyName", "inline"),
            ("PolicyDocument", document),
        ];
        server.iam_ok(root, "PutRolePolicy", &pairs);
    }
}

/// A folder that lives as long as this process, and is removed by a later one.
fn shared_folder() -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let running: HashSet<String> = fs::read_dir("/proc")
        .map(|entries| {
            entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect()
        })
        .unwrap_or_default();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(process) = name.strip_prefix("server-it-")
            && !running.contains(process)
        {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    let folder = parent.join(format!("server-it-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    folder
}
