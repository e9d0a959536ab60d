//! The matrix of SDKs: every client runs the same steps as the program of a pod, unmodified and with its own defaults, and
//! `docs/compatibility.md` says how they end. The programs are under `conformance/sdk`; a step that is not listed here as known must pass.
//!
//! `IRSA_WRITE_COMPATIBILITY=1` writes the table instead of comparing it.

mod clients;
mod link;
mod relay;
mod table;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use irsa_conformance::{Client, Cluster, Server};
use serde_json::Value;

use self::{
    clients::{Known, Sdk},
    relay::{Relay, Seen},
};
use crate::shell;

/// The steps in the order of the table. All but the first are the clients' own; that one is `identity` with fewer variables.
pub(crate) const STEPS: [&str; 14] = [
    "one endpoint",
    "identity",
    "refresh",
    "objects",
    "multipart",
    "presigned-get",
    "presigned-put",
    "denial",
    "buckets",
    "conditional",
    "listing",
    "delete-several",
    "tagging",
    "versions",
];
/// What is asked of every client over TLS as well.
const OVER_TLS: [&str; 5] = ["identity", "objects", "multipart", "presigned-get", "presigned-put"];
/// What a client may take; the slowest needs a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(600);
const FORBIDDEN: &str = "forbidden";
const PRESIGNED_GET: &str = "presigned get+ü";
const PRESIGNED_PUT: &str = "presigned/put ü+.txt";
const PRESIGNED_CONTENT: &str = "presigned content";
/// All that the steps do, and nothing in other buckets.
const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::matrix-*"]},
    {"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}"#;

/// A server with a role for the client, and the client's folder.
struct Stage {
    server: Server,
    root: Client,
    role: String,
    tokens: [String; 2],
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Result<Self> {
        let server = Server::start()?;
        let root = server.root()?;
        let cluster = Cluster::create(&root, "one").await?;
        let role = cluster.role(&root, "matrix", "app", "matrix").await?;
        let parameters = [
            ("Action", "PutRolePolicy"),
            ("RoleName", "matrix"),
            ("PolicyName", "matrix"),
            ("PolicyDocument", DOCUMENT),
        ];
        root.must("iam", &parameters).await?;
        for bucket in ["matrix-http", "matrix-https", FORBIDDEN] {
            let made = root
                .call("s3", "PUT", &format!("/{bucket}"), &[], &[], bytes::Bytes::new())
                .await?;
            ensure!(made.status == 200, "{bucket}: {}", made.text());
        }
        let tokens = [
            cluster.token(&root, "app", "matrix").await?,
            cluster.token(&root, "app", "matrix").await?,
        ];
        Ok(Self {
            server,
            root,
            role,
            tokens,
            folder: tempfile::tempdir()?,
        })
    }

    fn authority(&self) -> PathBuf {
        self.server.data().join("tls/ca.pem")
    }

    /// A new home folder with the token in it.
    fn home(&self, name: &str) -> Result<PathBuf> {
        let home = self.folder.path().join(name);
        std::fs::create_dir(&home)?;
        std::fs::write(home.join("token"), &self.tokens[0])?;
        Ok(home)
    }

    /// Runs the client's program as a pod would: with what says where AWS is, the two variables, and no other credentials.
    async fn run(&self, sdk: &Sdk, home: &Path, endpoint: &str, sts: Option<&str>, steps: &[&str]) -> Result<Lines> {
        let mut command = (sdk.program)(home, &self.authority())?;
        let secure = endpoint.starts_with("https");
        // The command line starts a process for each call, so it gets fewer keys over TLS.
        let keys = if secure && sdk.slow {
            "few-keys.json"
        } else {
            "keys.json"
        };
        command
            .args(steps)
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_REGION", self.server.region()?)
            .env("AWS_DEFAULT_REGION", self.server.region()?)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ROLE_ARN", &self.role)
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", home.join("token"))
            .env("AWS_CA_BUNDLE", self.authority())
            .env("MATRIX_BUCKET", if secure { "matrix-https" } else { "matrix-http" })
            .env("MATRIX_FORBIDDEN", FORBIDDEN)
            .env("MATRIX_KEYS", sources().join(keys))
            .env("MATRIX_PRESIGNED_GET", PRESIGNED_GET)
            .env("MATRIX_PRESIGNED_PUT", PRESIGNED_PUT)
            .env("MATRIX_PRESIGNED_CONTENT", PRESIGNED_CONTENT)
            // Whatever would go to AWS itself ends at a port where nobody listens.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1");
        if let Some(sts) = sts {
            command.env("AWS_ENDPOINT_URL_STS", sts);
        }
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true).stdin(std::process::Stdio::null());
        let output = tokio::time::timeout(PATIENCE, command.output())
            .await
            .with_context(|| format!("{} did not end", sdk.name))?
            .with_context(|| format!("starting {command:?}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = Lines::new();
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let line: Value = serde_json::from_str(line).with_context(|| format!("{}: {line}", sdk.name))?;
            let step = line["step"].as_str().context("a line without a step")?.to_owned();
            lines.insert(step, line);
        }
        for step in steps {
            ensure!(
                lines.contains_key(*step),
                "{}: no word of `{step}`; it ended with {}\n{text}\n{}",
                sdk.name,
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(lines)
    }
}

/// What a client says of each step.
type Lines = BTreeMap<String, Value>;

/// The sources of the clients.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}

/// A command with the path of a user; nothing of AWS is inherited.
fn plain(program: &Path, home: &Path) -> Result<Command> {
    shell::plain(program.to_str().context("a path that is no text")?, home)
}

fn text<'l>(line: &'l Value, member: &str) -> Result<&'l str> {
    let text = line.get(member).and_then(Value::as_str);
    text.with_context(|| format!("no `{member}` in {line}"))
}

/// How a step ended: `Err` with what went wrong.
type Outcomes = BTreeMap<&'static str, Result<(), String>>;

/// Runs a client through the matrix; an error unless every step ends as it is known to, and the table says so.
async fn check(sdk: &Sdk) -> Result<()> {
    let stage = Stage::new().await?;
    let endpoint = stage.server.endpoint()?.to_owned();
    let secure = stage.server.tls_endpoint()?.to_owned();
    let mut outcomes = Outcomes::new();
    let mut note = |step: &'static str, how: Result<(), String>| {
        let outcome = outcomes.entry(step).or_insert(Ok(()));
        if outcome.is_ok() {
            *outcome = how;
        }
    };

    let home = stage.home("http")?;
    let asked: Vec<&str> = STEPS
        .iter()
        .copied()
        .filter(|step| !["one endpoint", "refresh"].contains(step))
        .collect();
    let plain = stage.run(sdk, &home, &endpoint, Some(&endpoint), &asked).await?;
    let over_tls = stage.home("https")?;
    let over_tls = stage.run(sdk, &over_tls, &secure, Some(&secure), &OVER_TLS).await?;
    for lines in [&plain, &over_tls] {
        for step in STEPS {
            let Some(line) = lines.get(step) else { continue };
            let how = if line["result"] == "pass" {
                finding(&stage, step, line).await.map_err(|error| format!("{error:#}"))
            } else {
                Err(line["reason"].as_str().unwrap_or("no reason is given").to_owned())
            };
            note(step, how);
        }
    }
    let one = stage.home("one endpoint")?;
    let one = stage.run(sdk, &one, &endpoint, None, &["identity"]).await?;
    note("one endpoint", passed(&one, "identity"));
    note("refresh", refresh(&stage, sdk, &endpoint).await?);

    let version = text(&plain["identity"], "version").unwrap_or("?").to_owned();
    let checksum = plain["objects"]
        .get("checksum")
        .and_then(Value::as_str)
        .unwrap_or("none");
    judge(sdk, &outcomes)?;
    ensure!(
        checksum == sdk.checksum,
        "{}: its default checksum is {checksum} now",
        sdk.name
    );
    table::hold(sdk, &version)
}

fn passed(lines: &Lines, step: &str) -> Result<(), String> {
    let line = &lines[step];
    if line["result"] == "pass" {
        return Ok(());
    }
    Err(line["reason"].as_str().unwrap_or("no reason is given").to_owned())
}

/// Each step must end as it is known to.
fn judge(sdk: &Sdk, outcomes: &Outcomes) -> Result<()> {
    let mut surprises = Vec::new();
    for step in STEPS {
        let known = sdk.known.iter().find(|known| known.step == step);
        match (outcomes.get(step), known) {
            (Some(Ok(())), None) | (Some(Err(_)), Some(_)) => {}
            (Some(Ok(())), Some(Known { reason, .. })) => {
                surprises.push(format!("{step} passes, which is listed as: {reason}"));
            }
            (Some(Err(how)), None) => surprises.push(format!("{step}: {how}")),
            (None, _) => surprises.push(format!("{step} was not run")),
        }
    }
    if surprises.is_empty() {
        return Ok(());
    }
    bail!("{}:\n  {}", sdk.name, surprises.join("\n  "))
}

/// What the server must know of a step that the client calls passed.
async fn finding(stage: &Stage, step: &str, line: &Value) -> Result<()> {
    match step {
        "identity" => {
            let account = stage.server.account()?;
            let arn = text(line, "arn")?;
            ensure!(text(line, "account")? == account, "{line}");
            ensure!(
                arn.starts_with(&format!("arn:aws:sts::{account}:assumed-role/matrix/")),
                "{line}"
            );
            ensure!(text(line, "userId")?.starts_with("AROA"), "{line}");
        }
        "presigned-get" => {
            let url = text(line, "url")?;
            let got = link::fetch("GET", url, "", &stage.authority()).await?;
            ensure!(got == (200, PRESIGNED_CONTENT.to_owned()), "the URL answered {got:?}");
            let other = url.replacen("presigned%20get", "presigned%20gets", 1);
            let (status, answer) = link::fetch("GET", &other, "", &stage.authority()).await?;
            ensure!(
                status == 403 && answer.contains("SignatureDoesNotMatch"),
                "another key: {status} {answer}"
            );
        }
        "presigned-put" => {
            let url = text(line, "url")?;
            let (status, answer) = link::fetch("PUT", url, "put by a link", &stage.authority()).await?;
            ensure!(status == 200, "the URL answered {status}: {answer}");
            let bucket = if url.starts_with("https") {
                "matrix-https"
            } else {
                "matrix-http"
            };
            let path = format!("/{bucket}/presigned/put%20%C3%BC%2B.txt");
            let got = stage
                .root
                .call("s3", "GET", &path, &[], &[], bytes::Bytes::new())
                .await?;
            ensure!(got.text() == "put by a link", "{}: {}", got.status, got.text());
        }
        "denial" => {
            let message = text(line, "message")?;
            ensure!(
                message.ends_with(
                    "is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::forbidden/key\" \
                     because no identity-based policy allows the s3:PutObject action"
                ),
                "{message}"
            );
            let found = stage
                .server
                .run_json(&["audit", "lookup", "--request-id", text(line, "requestId")?])?;
            let record = found
                .pointer("/Records/0")
                .with_context(|| format!("not on record: {line}"))?;
            ensure!(
                record["eventName"] == "PutObject" && record["errorCode"] == "AccessDenied",
                "{record}"
            );
        }
        _ => {}
    }
    Ok(())
}

/// The session ends in the middle of the program's work; meanwhile the token in the file is another one. See [`Relay`].
async fn refresh(stage: &Stage, sdk: &Sdk, endpoint: &str) -> Result<Result<(), String>> {
    let home = stage.home("refresh")?;
    let relay = Relay::start(&stage.root.transport, &stage.tokens, &home.join("token")).await?;
    let lines = stage
        .run(sdk, &home, endpoint, Some(relay.endpoint()), &["refresh"])
        .await?;
    let seen = relay.seen();
    Ok(passed(&lines, "refresh").and_then(|()| came_back(&seen).map_err(|error| format!("{error:#}: {seen:?}"))))
}

/// The first call was made with a session of the first token; the others with one of the second token, and with the same one.
fn came_back(seen: &[Seen]) -> Result<()> {
    let sessions = |wanted: usize| -> Vec<&String> {
        let given = seen.iter().filter_map(|seen| match seen {
            Seen::Exchange { token, session } if *token == wanted => Some(session),
            _ => None,
        });
        given.collect()
    };
    let calls: Vec<&String> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Call { session } => Some(session),
            Seen::Exchange { .. } => None,
        })
        .collect();
    let [first, second, third] = calls.as_slice() else {
        bail!("{} calls came where three were expected", calls.len());
    };
    ensure!(sessions(0).contains(first), "the first call is not of the first token");
    ensure!(
        sessions(1) == [*second],
        "the session was not renewed once, with the new token"
    );
    ensure!(second == third, "a session that is good was not kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_cli_1() -> Result<()> {
    check(&clients::AWS_CLI_1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_cli_2() -> Result<()> {
    check(&clients::AWS_CLI_2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3() -> Result<()> {
    check(&clients::BOTO3).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn javascript() -> Result<()> {
    check(&clients::JAVASCRIPT).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go() -> Result<()> {
    check(&clients::GO).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java() -> Result<()> {
    check(&clients::JAVA).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rust() -> Result<()> {
    check(&clients::RUST).await
}
