//! The programs that a kubeconfig names for credentials, run as kubectl runs them.
//!
//! See <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::fmt;
use std::io::IsTerminal as _;
use std::process::Stdio;
use std::time::SystemTime;

use kube::config::{ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::bearer::{BearerToken, TokenSource};

/// The versions of the protocol that there are.
const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

/// A program that says who we are.
#[derive(Clone)]
pub(crate) struct Plugin {
    command: String,
    version: String,
    config: ExecConfig,
}

/// What it answers: a token, a client certificate, or both.
pub(crate) struct Credential {
    pub(crate) token: Option<BearerToken>,
    /// Certificate chain and key as PEM.
    pub(crate) certificate: Option<(String, Zeroizing<String>)>,
}

/// Its arguments and variables may hold secrets.
impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plugin")
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    api_version: String,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<Zeroizing<String>>,
    client_certificate_data: Option<String>,
    client_key_data: Option<Zeroizing<String>>,
}

impl Plugin {
    /// Checks what a kubeconfig says; nothing is run yet.
    pub(crate) fn new(config: ExecConfig) -> Result<Self, String> {
        let command = config.command.clone().unwrap_or_default();
        if command.is_empty() {
            return Err("no `command` is named".to_owned());
        }
        let version = config.api_version.clone().unwrap_or_default();
        if !VERSIONS.contains(&version.as_str()) {
            return Err(format!(
                "`{command}` is to be asked in the version `{version}`, and there are {}",
                VERSIONS.map(|version| format!("`{version}`")).join(" and ")
            ));
        }
        Ok(Self {
            command,
            version,
            config,
        })
    }

    /// Runs it. There is no deadline: it may ask a person to log in.
    pub(crate) async fn run(&self) -> Result<Credential, String> {
        let name = &self.command;
        let mut command = Command::new(name);
        command.args(self.config.args.iter().flatten()).kill_on_drop(true);
        for variable in self.config.env.iter().flatten() {
            if let (Some(key), Some(value)) = (variable.get("name"), variable.get("value")) {
                command.env(key, value);
            }
        }
        let terminal = std::io::stdin().is_terminal();
        let interactive = match self.config.interactive_mode {
            Some(ExecInteractiveMode::Never) => false,
            Some(ExecInteractiveMode::IfAvailable) | None => terminal,
            Some(ExecInteractiveMode::Always) if terminal => true,
            Some(ExecInteractiveMode::Always) => {
                return Err(format!(
                    "`{name}` wants to talk to a person, and standard input is no terminal"
                ));
            }
        };
        let mut spec = json!({"interactive": interactive});
        if let (true, Some(cluster)) = (self.config.provide_cluster_info, &self.config.cluster) {
            spec["cluster"] = json!(cluster);
        }
        let information = json!({"apiVersion": self.version, "kind": "ExecCredential", "spec": spec});
        command.env("KUBERNETES_EXEC_INFO", information.to_string());
        command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
        // What it has to say to a person, such as where to log in, and why it fails.
        command.stderr(Stdio::inherit());
        let output = command.output().await.map_err(|error| {
            let hint = self.config.install_hint.as_deref().unwrap_or_default().trim();
            let missing = error.kind() == std::io::ErrorKind::NotFound && !hint.is_empty();
            format!(
                "`{name}` can't be run: {error}{}",
                if missing { format!("\n{hint}") } else { String::new() }
            )
        })?;
        let stdout = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(format!("`{name}` failed ({})", output.status));
        }
        self.read(&stdout)
    }

    fn read(&self, stdout: &[u8]) -> Result<Credential, String> {
        let name = &self.command;
        // The place in the answer, and none of it.
        let answer: Answer = serde_json::from_slice(stdout).map_err(|error| {
            format!(
                "the answer of `{name}` is no ExecCredential: line {}, column {}",
                error.line(),
                error.column()
            )
        })?;
        if answer.api_version != self.version {
            return Err(format!(
                "`{name}` was asked in the version `{}`, and answers in `{}`",
                self.version, answer.api_version
            ));
        }
        let status = answer
            .status
            .ok_or_else(|| format!("the answer of `{name}` has no status"))?;
        let expires = status.expiration_timestamp.as_deref().map(|text| {
            OffsetDateTime::parse(text, &Rfc3339)
                .map(SystemTime::from)
                .map_err(|_| format!("`{name}` names the end `{text}`, which is no time"))
        });
        let expires = expires.transpose()?;
        let token = status
            .token
            .filter(|token| !token.is_empty())
            .map(|token| BearerToken::new(token.as_str(), expires));
        let certificate = match (status.client_certificate_data, status.client_key_data) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(format!("`{name}` has a certificate without its key, or a key alone")),
        };
        if token.is_none() && certificate.is_none() {
            return Err(format!("`{name}` has neither a token nor a certificate"));
        }
        Ok(Credential { token, certificate })
    }

    /// Its tokens from now on, the first of which is there already.
    pub(crate) fn tokens(self, first: BearerToken) -> TokenSource {
        let first = std::sync::Mutex::new(Some(first));
        TokenSource::new(move || {
            let first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let plugin = self.clone();
            async move {
                match first {
                    Some(first) => Ok(first),
                    None => {
                        let token = plugin.run().await?.token;
                        token.ok_or_else(|| format!("`{}` has no token this time", plugin.command))
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A plugin that runs this shell script, as a kubeconfig may name it.
    fn plugin(script: &str, more: Value) -> Plugin {
        let mut config =
            json!({"apiVersion": VERSIONS[0], "command": "sh", "args": ["-c", script], "interactiveMode": "Never"});
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Plugin::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    fn says(status: &Value) -> String {
        let answer = json!({"apiVersion": VERSIONS[0], "kind": "ExecCredential", "status": status});
        format!("echo '{answer}'")
    }

    async fn fails(script: &str, more: Value) -> String {
        match plugin(script, more).run().await {
            Ok(_) => panic!("{script}"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn it_is_told_what_kubectl_tells() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let script = format!(
            "echo \"$KUBERNETES_EXEC_INFO $PROFILE\" > '{}'; {}",
            file.display(),
            says(&json!({"token": "t"}))
        );
        let mut plugin = plugin(
            &script,
            json!({"env": [{"name": "PROFILE", "value": "prod"}], "provideClusterInfo": true}),
        );
        plugin.config.cluster = Some(serde_json::from_value(json!({"server": "https://api"})).unwrap());
        let credential = plugin.run().await.unwrap();
        assert!(credential.token.is_some() && credential.certificate.is_none());
        let told = std::fs::read_to_string(file).unwrap();
        let information: Value = serde_json::from_str(told.strip_suffix(" prod\n").unwrap()).unwrap();
        assert_eq!(
            information,
            json!({"apiVersion": VERSIONS[0], "kind": "ExecCredential",
                "spec": {"interactive": false, "cluster": {"server": "https://api"}}})
        );
    }

    #[tokio::test]
    async fn it_is_run_once_and_again_when_its_token_ends() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let script = format!(
            "echo x >> '{0}'; echo '{{\"apiVersion\":\"{1}\",\"status\":{{\"token\":\"t'$(wc -l < '{0}')'\",\"expirationTimestamp\":\"'$1'\"}}}}'",
            count.display(),
            VERSIONS[0]
        );
        let run = async |expires: &str| {
            let _ = std::fs::remove_file(&count);
            let plugin = plugin("", json!({"args": ["-c", script, "sh", expires]}));
            let first = plugin.run().await.unwrap().token.unwrap();
            let tokens = plugin.tokens(first);
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.push(tokens.header().await.unwrap().to_str().unwrap().to_owned());
            }
            seen
        };
        assert_eq!(run("2999-01-01T00:00:00Z").await, ["Bearer t1"; 3]);
        assert_eq!(
            run("2020-01-01T00:00:00Z").await,
            ["Bearer t1", "Bearer t2", "Bearer t3"]
        );
    }

    #[tokio::test]
    async fn a_certificate_comes_with_its_key() {
        let both = json!({"clientCertificateData": "c", "clientKeyData": "k"});
        let credential = plugin(&says(&both), json!({})).run().await.unwrap();
        assert_eq!(
            credential.certificate,
            Some(("c".to_owned(), Zeroizing::new("k".to_owned())))
        );
        let error = fails(&says(&json!({"clientCertificateData": "c"})), json!({})).await;
        assert_eq!(error, "`sh` has a certificate without its key, or a key alone");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_without_its_secrets() {
        for (script, more, expected) in [
            (
                "echo top-secret; exit 3",
                json!({"env": [{"name": "KEY", "value": "top-secret"}]}),
                "`sh` failed (exit status: 3)",
            ),
            (
                "echo '{\"status\": top-secret'",
                json!({}),
                "the answer of `sh` is no ExecCredential: line 1, column 13",
            ),
            (
                &says(&json!({})),
                json!({}),
                "`sh` has neither a token nor a certificate",
            ),
            (
                &says(&json!({"token": ""})),
                json!({}),
                "`sh` has neither a token nor a certificate",
            ),
            (&says(&Value::Null), json!({}), "the answer of `sh` has no status"),
            (
                &says(&json!({"token": "top-secret", "expirationTimestamp": "soon"})),
                json!({}),
                "`sh` names the end `soon`, which is no time",
            ),
            (
                &says(&json!({"token": "top-secret"})),
                json!({"apiVersion": VERSIONS[1]}),
                "`sh` was asked in the version `client.authentication.k8s.io/v1beta1`, and answers in `client.authentication.k8s.io/v1`",
            ),
            (
                "",
                json!({"command": "no-such-program", "installHint": "get it"}),
                "`no-such-program` can't be run: No such file or directory (os error 2)\nget it",
            ),
        ] {
            assert_eq!(fails(script, more).await, expected);
        }
        let plugin = plugin("top-secret", json!({}));
        assert_eq!(format!("{plugin:?}"), "Plugin { command: \"sh\", .. }");
    }
}
