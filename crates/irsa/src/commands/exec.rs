use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use irsa_webhook::process::pod_of_command;
use irsa_webhook::{Identity, Settings};
use rustix::process::Signal;
use tokio::process::Child;

use super::cluster;
use crate::child::{self, AwsEnvironment};
use crate::cli::Exec;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::manifests::{Found, Manifests};
use crate::tokens::{TokenFiles, TokenSource};
use crate::{output, signals, workload};

/// Runs a command as a service account and ends as it does.
pub(super) async fn run(arguments: Exec) -> anyhow::Result<ExitCode> {
    let instance = Instance::find(&arguments.data.data)?;
    let name = &arguments.serviceaccount;
    let settings = Settings {
        default_region: Some(instance.region.clone()),
        ..Settings::default()
    };
    let manifests = Manifests::read(&arguments.file, &name.namespace)?;
    let mut identity = match (arguments.role_arn, manifests.identity(name, &settings)?) {
        (Some(role_arn), Found::Identity(identity)) => Some(Identity { role_arn, ..identity }),
        (Some(role_arn), _) => Some(Identity::new(role_arn, &settings)),
        (None, Found::Identity(identity)) => Some(identity),
        (None, Found::NoServiceAccount) if !arguments.file.is_empty() => {
            return Err(
                Failure::usage(format!("the manifests have no service account `{name}`"))
                    .hint("name its file with `-f`, or the role with `--role-arn`")
                    .into(),
            );
        }
        (None, _) => {
            output::note(format_args!(
                "service account `{name}` has no role: the command gets no credentials"
            ));
            output::hint(
                "the role comes from its annotation `eks.amazonaws.com/role-arn` in `-f FILE`, or from `--role-arn`",
            );
            None
        }
    };
    if let (Some(identity), Some(audience)) = (&mut identity, arguments.audience) {
        identity.audience = audience;
    }

    let client = instance.root_client(None)?;
    let source = match &identity {
        Some(_) => {
            let cluster = cluster::chosen(&client, arguments.cluster).await?;
            Some(TokenSource::new(client, cluster, name.clone(), None))
        }
        None => None,
    };
    // Private to this user, and gone with this process.
    let folder = private_folder()?;
    let mut files = TokenFiles::default();
    let pod = pod_of_command(&arguments.command, &name.namespace, &name.name);
    let pod = workload::mutated("the command", &pod, identity.as_ref(), &settings)?;
    let processes = workload::processes(&pod, "command", name, folder.path(), source.as_ref(), &mut files).await?;
    let process = processes.first().context("the pod has no container")?;
    let aws = AwsEnvironment {
        endpoint: instance.endpoint,
        region: instance.region,
    };
    // Before the start, so that none is lost.
    let signals = signals::forwarded_signals().context("signals can't be listened for")?;
    let child = child::command(process, &aws)?
        .spawn()
        .map_err(|error| child::not_started(process.argv.first().map_or("", String::as_str), error))?;
    let status = wait(child, signals).await.context("the command can't be waited for")?;
    drop(files);
    folder.close().context("the token's folder can't be removed")?;
    Ok(ExitCode::from(child::exit_code(status)))
}

/// Waits for a command, handing it the signals that we get.
async fn wait(
    mut child: Child,
    mut signals: tokio::sync::mpsc::Receiver<Signal>,
) -> std::io::Result<std::process::ExitStatus> {
    // Known until it has been waited for.
    let id = child.id();
    loop {
        tokio::select! {
            status = child.wait() => return status,
            Some(signal) = signals.recv() => {
                if let Some(id) = id.filter(|_| !signals::comes_from_terminal(signal)) {
                    signals::send(id, signal);
                }
            }
        }
    }
}

/// A folder for tokens: in memory where the machine has such a place.
pub(super) fn private_folder() -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("irsa-");
    let memory = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| Path::new(folder).is_dir());
    if let Some(folder) = memory.and_then(|memory| builder.tempdir_in(memory).ok()) {
        return Ok(folder);
    }
    builder.tempdir().context("no temporary folder can be made")
}
