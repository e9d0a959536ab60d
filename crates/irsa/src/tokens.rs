//! Projected tokens of local processes: made by the server, written whole, renewed before they expire.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use irsa_aws::{Client, ClientError, encode_path};
use irsa_core::Timestamp;
use irsa_webhook::process::TokenMount;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::ServiceAccountName;
use crate::failure::{self, Failure};
use crate::output;

/// Where tokens of one service account come from.
#[derive(Clone, Debug)]
pub(crate) struct TokenSource {
    client: Client,
    cluster: String,
    service_account: ServiceAccountName,
    /// The pod that the tokens name.
    pod: Option<String>,
}

/// A token as the server gave it.
pub(crate) struct IssuedToken {
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    /// The whole answer.
    pub(crate) answer: Value,
}

impl TokenSource {
    pub(crate) fn new(
        client: Client,
        cluster: String,
        service_account: ServiceAccountName,
        pod: Option<String>,
    ) -> Self {
        Self {
            client,
            cluster,
            service_account,
            pod,
        }
    }

    /// Makes a token.
    pub(crate) async fn issue(&self, audiences: &[String], expiration_seconds: i64) -> anyhow::Result<IssuedToken> {
        let mut spec = json!({"audiences": audiences, "expirationSeconds": expiration_seconds});
        if let Some(pod) = &self.pod {
            spec["boundObjectRef"] = json!({"kind": "Pod", "apiVersion": "v1", "name": pod});
        }
        let path = format!(
            "/clusters/{}/namespaces/{}/serviceaccounts/{}/token",
            encode_path(&self.cluster).replace('/', "%2F"),
            self.service_account.namespace,
            self.service_account.name
        );
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let answer = self
            .client
            .json("irsa", "POST", &path, Some(&body))
            .await
            .map_err(|error| self.failure(error))?;
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
        let token = text("/status/token").map(ToOwned::to_owned);
        let expires = text("/status/expirationTimestamp").and_then(Timestamp::parse_iso8601);
        match (token, expires) {
            (Some(token), Some(expires)) => Ok(IssuedToken { token, expires, answer }),
            _ => Err(Failure::new("the server's answer holds no token").into()),
        }
    }
}

impl TokenSource {
    fn failure(&self, error: ClientError) -> anyhow::Error {
        let failure = Failure::new(format!("no token for service account `{}`", self.service_account));
        let is_unknown = error
            .service()
            .is_some_and(|error| error.code == "ResourceNotFoundException");
        let failure = if is_unknown {
            failure.hint("`irsa cluster list` shows the clusters")
        } else {
            failure
        };
        failure.caused_by(error).into()
    }
}

/// Token files of processes, renewed as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct TokenFiles {
    renewals: JoinSet<()>,
}

impl TokenFiles {
    /// Writes the token of a mount, and renews it from now on. The folder must be private.
    pub(crate) async fn add(&mut self, source: &TokenSource, mount: &TokenMount) -> anyhow::Result<()> {
        let file = TokenFile {
            source: source.clone(),
            path: PathBuf::from(mount.path()),
            audiences: if mount.audience.is_empty() {
                Vec::new()
            } else {
                vec![mount.audience.clone()]
            },
            expiration_seconds: mount.expiration_seconds,
        };
        let expires = file.renew().await?;
        self.renewals.spawn(file.keep(expires));
        Ok(())
    }
}

struct TokenFile {
    source: TokenSource,
    path: PathBuf,
    audiences: Vec<String>,
    expiration_seconds: i64,
}

impl TokenFile {
    async fn renew(&self) -> anyhow::Result<Timestamp> {
        let issued = self.source.issue(&self.audiences, self.expiration_seconds).await?;
        write_token(&self.path, &issued.token)?;
        Ok(issued.expires)
    }

    /// Renews for ever. A server that is away for a while is asked again, less and less often.
    async fn keep(self, expires: Timestamp) {
        let mut wait = renewal_delay(Timestamp::from(SystemTime::now()), expires);
        let mut retry = Duration::from_secs(1);
        loop {
            tokio::time::sleep(wait).await;
            match self.renew().await {
                Ok(expires) => {
                    wait = renewal_delay(Timestamp::from(SystemTime::now()), expires);
                    retry = Duration::from_secs(1);
                }
                Err(error) => {
                    output::warning(format_args!(
                        "a token could not be renewed, and is tried again: {}",
                        failure::line(&error)
                    ));
                    wait = retry;
                    retry = (retry * 2).min(Duration::from_secs(60));
                }
            }
        }
    }
}

/// A token is renewed after four fifths of its life, as by the kubelet.
fn renewal_delay(now: Timestamp, expires: Timestamp) -> Duration {
    let life = expires.unix_millis().saturating_sub(now.unix_millis());
    let delay = u64::try_from(life).unwrap_or_default() / 5 * 4;
    Duration::from_millis(delay.max(1000))
}

/// Writes a token so that a reader sees the old one or the new one, and nobody else sees either.
pub(crate) fn write_token(path: &Path, token: &str) -> anyhow::Result<()> {
    let failed = || format!("`{}` can't be written", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(failed)?;
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary).with_context(failed)?;
    file.write_all(token.as_bytes()).with_context(failed)?;
    drop(file);
    fs::rename(&temporary, path).with_context(failed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn four_fifths_of_a_life() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        assert_eq!(renewal_delay(now, now.plus_seconds(3600)), Duration::from_secs(2880));
        assert_eq!(renewal_delay(now, now.plus_seconds(-5)), Duration::from_secs(1));
    }

    /// Answers every request with another token, whose life is over at once.
    fn server(answers: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for number in 1..=answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).unwrap();
                let body = json!({"status": {"token": format!("token-{number}"), "expirationTimestamp": "2020-01-01T00:00:00Z"}});
                let body = body.to_string();
                write!(
                    stream,
                    "HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
        });
        endpoint
    }

    #[tokio::test]
    async fn tokens_are_renewed_as_long_as_they_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::anonymous(&server(2), "us-east-1").unwrap();
        let source = TokenSource::new(client, "c".to_owned(), "app/reader".parse().unwrap(), None);
        let mount = TokenMount {
            mount_path: folder.path().display().to_string(),
            file: "token".to_owned(),
            audience: String::new(),
            expiration_seconds: 600,
        };
        let mut files = TokenFiles::default();
        files.add(&source, &mount).await.unwrap();
        let token = || fs::read_to_string(mount.path()).unwrap();
        assert_eq!(token(), "token-1");
        let renewed = async {
            while token() != "token-2" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), renewed).await.unwrap();
    }

    #[test]
    fn tokens_are_private_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/run/token");
        write_token(&path, "first").unwrap();
        write_token(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["token"]);
    }
}
