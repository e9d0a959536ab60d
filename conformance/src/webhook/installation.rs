//! A control plane with the webhook in it, installed with the manifests of `deploy/` as they are.
//!
//! There is no kubelet: replicas are processes on this machine, with the arguments of the Deployment and the permissions of its service account,
//! and the Service's endpoints are written as their controller would.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Webhook, kubeconfig_of, point_at};
use crate::{ControlPlane, ControlPlaneOptions, KubernetesApi};

/// The namespace of the manifests, and the name of most of their objects.
pub const NAME: &str = "pod-identity-webhook";
/// How long something that must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A control plane with the webhook in it.
pub struct Installation {
    /// The replicas, in the order of the endpoints; the first to stop.
    pub replicas: Vec<Webhook>,
    /// The administrator's way to the API server.
    pub api: KubernetesApi,
    /// The control plane.
    pub control_plane: ControlPlane,
    /// The arguments of the Deployment's container, but for ports.
    pub arguments: Vec<String>,
    _folder: TempDir,
}

impl Installation {
    /// Installs, and starts so many replicas with these arguments beside those of the Deployment.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn start(replicas: usize, more: &[&str]) -> Result<Self> {
        Self::start_on(&[], replicas, more)
    }

    /// The same with further arguments of kube-apiserver.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn start_on(api_server: &[&str], replicas: usize, more: &[&str]) -> Result<Self> {
        let mut arguments = vec!["--enable-aggregator-routing=true".to_owned()];
        arguments.extend(api_server.iter().map(|&argument| argument.to_owned()));
        let control_plane = ControlPlane::start_with(&ControlPlaneOptions {
            arguments,
            ..ControlPlaneOptions::default()
        })?;
        let overlay = if control_plane.version() < (1, 21) {
            "overlays/kubernetes-1.20"
        } else {
            "base"
        };
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../deploy/kustomize")
            .join(overlay);
        control_plane.must(&["apply", "-k", &manifests.to_string_lossy()])?;

        let words = ["get", "deployment", NAME, "--namespace", NAME, "--output", "json"];
        let deployment: Value = serde_json::from_str(&control_plane.must(&words)?)?;
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let args = container["args"].as_array().context("no arguments")?;
        let args = args.iter().filter_map(Value::as_str).skip(1);
        let folder = tempfile::tempdir()?;
        let kubeconfig = kubeconfig_of(&control_plane, NAME, NAME, folder.path())?;
        let arguments: Vec<String> = args
            .filter(|word| !word.starts_with("--port=") && !word.starts_with("--metrics-port="))
            .map(|word| word.replace("$(POD_NAMESPACE)", NAME))
            .chain([format!("--kubeconfig={}", kubeconfig.display())])
            .chain(more.iter().map(|&word| word.to_owned()))
            .collect();
        let mut installation = Self {
            replicas: Vec::new(),
            api: control_plane.api()?,
            control_plane,
            arguments,
            _folder: folder,
        };
        for _ in 0..replicas {
            installation.replicas.push(Webhook::new(&installation.arguments)?);
        }
        for replica in &mut installation.replicas {
            replica.start()?;
        }
        installation.point_at_all()?;
        Ok(installation)
    }

    /// All replicas are endpoints of the Service.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn point_at_all(&self) -> Result<()> {
        self.point_at(&self.replicas.iter().collect::<Vec<_>>())
    }

    /// These replicas are endpoints of the Service.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn point_at(&self, replicas: &[&Webhook]) -> Result<()> {
        point_at(&self.control_plane, NAME, NAME, "https", replicas)
    }

    /// A service account with this role, or without one.
    ///
    /// # Errors
    /// It does not come to that.
    pub async fn account(&self, namespace: &str, name: &str, role: Option<&str>) -> Result<()> {
        let mut account = json!({"metadata": {"name": name}});
        if let Some(role) = role {
            account["metadata"]["annotations"] = json!({"eks.amazonaws.com/role-arn": role});
        }
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.api.must("POST", &path, Some(&account)).await.map(drop)
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// It does not come to that.
    pub async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask(self).await? {
                return Ok(answer);
            }
            if started.elapsed() > PATIENCE {
                let logs: Vec<String> = self.replicas.iter().map(Webhook::log).collect();
                anyhow::bail!("{what}: not within a minute\n{}", logs.join("\n---\n"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A pod of this account, ready to be created.
#[must_use]
pub fn pod(name: &str, account: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"serviceAccountName": account, "containers": [{"name": "app", "image": "x"}]}})
}

/// Whether the pod's containers were given a role and a token.
#[must_use]
pub fn is_injected(pod: &Value) -> bool {
    let has = |list: &Value, key: &str, name: &str| {
        list[key]
            .as_array()
            .is_some_and(|items| items.iter().any(|item| item["name"] == name))
    };
    let containers = pod["spec"]["containers"].as_array();
    has(&pod["spec"], "volumes", "aws-iam-token")
        && containers.is_some_and(|containers| {
            containers.iter().all(|container| {
                has(container, "env", "AWS_ROLE_ARN")
                    && has(container, "env", "AWS_WEB_IDENTITY_TOKEN_FILE")
                    && has(container, "volumeMounts", "aws-iam-token")
            })
        })
}

/// The path of a namespace's pods.
#[must_use]
pub fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}
