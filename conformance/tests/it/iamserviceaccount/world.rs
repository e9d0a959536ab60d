//! A kube-apiserver, our server that knows it as a cluster, and a shell between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{ControlPlane, ControlPlaneOptions, Finished, Server, StartOptions, finish};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{aws_cli::records, shell};

/// The account number and the region of the documents.
pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "us-west-2";

/// An API server without controllers: nothing but what we put there.
pub(super) fn control_plane(arguments: &[&str]) -> Result<ControlPlane> {
    ControlPlane::start_with(&ControlPlaneOptions {
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        without_controllers: true,
        ..ControlPlaneOptions::default()
    })
}

/// Our server with the documents' account and region.
pub(super) fn server() -> Result<Server> {
    // The issuers of the API servers here have ports.
    let arguments = ["--account", ACCOUNT, "--region", REGION, "--allow-private-issuers"];
    Server::start_with(&StartOptions {
        arguments: arguments.map(str::to_owned).to_vec(),
        ..StartOptions::default()
    })
}

/// All of it.
pub(super) struct World {
    pub(super) control_plane: ControlPlane,
    pub(super) server: Server,
    pub(super) folder: TempDir,
}

impl World {
    /// Starts it; no cluster is registered.
    pub(super) fn start() -> Result<Self> {
        Ok(Self {
            control_plane: control_plane(&[])?,
            server: server()?,
            folder: tempfile::tempdir()?,
        })
    }

    /// Makes the API server known to our server as a cluster of this name.
    pub(super) fn register(&self, cluster: &str) -> Result<()> {
        let keys = self.folder.path().join("keys.json");
        std::fs::write(&keys, self.control_plane.get("/openid/v1/jwks")?.1)?;
        let keys = keys.to_str().context("the folder has a name in UTF-8")?;
        let url = self.control_plane.url();
        let words = [
            "cluster",
            "register",
            "--name",
            cluster,
            "--issuer-url",
            &url,
            "--jwks",
            keys,
        ];
        self.server.run(&words)?;
        Ok(())
    }

    /// A command as a user runs it, in [`folder`](Self::folder).
    pub(super) fn command(&self, program: &str) -> Result<Command> {
        let mut command = shell::command(&self.server, program, self.folder.path())?;
        command.env("KUBECONFIG", self.control_plane.kubeconfig());
        with_kubectl(&mut command)?;
        Ok(command)
    }

    /// `irsa WORDS…`, whatever comes of it.
    pub(super) fn irsa(&self, words: &[&str]) -> Result<Finished> {
        finish(self.command("irsa")?.args(words))
    }

    /// `irsa WORDS…` that succeeds.
    pub(super) fn must(&self, words: &[&str]) -> Result<Finished> {
        let finished = self.irsa(words)?;
        ensure!(
            finished.code == Some(0),
            "`irsa {}` ended with {:?}\n{}\n{}",
            words.join(" "),
            finished.code,
            finished.stdout,
            finished.stderr
        );
        Ok(finished)
    }

    /// A file in [`folder`](Self::folder).
    pub(super) fn file(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), text)?)
    }

    /// The operations of AWS that changed something, or were to, as the journal has them; oldest first.
    pub(super) fn changes(&self) -> Result<Vec<String>> {
        changes(&self.server)
    }

    /// The roles and the service accounts.
    pub(super) fn state(&self) -> Result<State> {
        let words = [
            "iam",
            "get-account-authorization-details",
            "--filter",
            "Role",
            "--output",
            "json",
        ];
        let roles = finish(self.command("aws")?.args(words))?;
        ensure!(roles.code == Some(0), "{}", roles.stderr);
        State::new(&roles.stdout, &self.control_plane)
    }
}

/// Puts kubectl on a command's path.
pub(super) fn with_kubectl(command: &mut Command) -> Result<()> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").context("KUBEBUILDER_ASSETS is not set")?;
    let path = command.get_envs().find(|(name, _)| *name == "PATH");
    let path = path.and_then(|(_, value)| value).unwrap_or_default().to_owned();
    let all = [Path::new(&assets).to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(all)?);
    Ok(())
}

/// The operations that changed something, or were to; oldest first.
pub(super) fn changes(server: &Server) -> Result<Vec<String>> {
    let mut all = records(&server.run_json(&["audit", "lookup", "--limit", "100000"])?);
    all.reverse();
    let names = all
        .iter()
        .filter(|record| record["readOnly"] == json!(false))
        .map(|record| record["eventName"].as_str().unwrap_or_default().to_owned());
    Ok(names.collect())
}

/// What is there, without what is made by chance.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct State {
    /// Roles by name.
    pub(super) roles: BTreeMap<String, Value>,
    /// Service accounts by namespace and name.
    pub(super) accounts: BTreeMap<String, Value>,
    pub(super) namespaces: BTreeSet<String>,
}

impl State {
    /// Of the AWS CLI's listing and an API server.
    pub(super) fn new(details: &str, control_plane: &ControlPlane) -> Result<Self> {
        let details: Value = serde_json::from_str(details)?;
        let mut roles = BTreeMap::new();
        for role in details["RoleDetailList"].as_array().context("no roles")? {
            let sorted = |list: &Value, key: &str| -> Value {
                let items = list.as_array().into_iter().flatten();
                let items: BTreeMap<String, Value> = items.map(|item| (item[key].to_string(), item.clone())).collect();
                items.into_values().collect()
            };
            let name = role["RoleName"].as_str().context("a role without a name")?.to_owned();
            let shown = json!({
                "arn": role["Arn"],
                "trust": role["AssumeRolePolicyDocument"],
                "inline": sorted(&role["RolePolicyList"], "PolicyName"),
                "attached": sorted(&role["AttachedManagedPolicies"], "PolicyArn"),
                "boundary": role["PermissionsBoundary"]["PermissionsBoundaryArn"],
                "tags": sorted(&role["Tags"], "Key"),
            });
            ensure!(
                roles.insert(name.clone(), shown).is_none(),
                "two roles are called {name}"
            );
        }
        let list = |path: &str| -> Result<Vec<Value>> {
            let (status, body) = control_plane.get(path)?;
            ensure!(status == 200, "{path}: {status} {body}");
            let list: Value = serde_json::from_str(&body)?;
            Ok(list["items"].as_array().cloned().unwrap_or_default())
        };
        let text = |object: &Value, key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let accounts = list("/api/v1/serviceaccounts")?;
        let accounts = accounts.iter().map(|account| {
            let metadata = &account["metadata"];
            let shown = json!({"labels": metadata["labels"], "annotations": metadata["annotations"]});
            (
                format!("{}/{}", text(account, "namespace"), text(account, "name")),
                shown,
            )
        });
        Ok(Self {
            roles,
            accounts: accounts.collect(),
            namespaces: list("/api/v1/namespaces")?
                .iter()
                .map(|one| text(one, "name"))
                .collect(),
        })
    }
}
