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
