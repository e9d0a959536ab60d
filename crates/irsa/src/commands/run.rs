use std::collections::HashMap;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use irsa_webhook::Settings;
use irsa_webhook::manifest::{Workload, WorkloadKind};
use irsa_webhook::process::{ContainerKind, LocalProcess};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{cluster, exec};
use crate::child::{self, AwsEnvironment};
use crate::cli::{Run, ServiceAccountName};
use crate::failure::{self, Failure};
use crate::instance::Instance;
use crate::manifests::{Found, Manifests};
use crate::output::{self, FAINT, shown};
use crate::tokens::{TokenFiles, TokenSource};
use crate::{signals, workload};

/// Runs the pods of manifests until all containers have ended, or a signal stops them.
pub(super) async fn run(arguments: Run) -> anyhow::Result<ExitCode> {
    let manifests = Manifests::read(&arguments.file, &arguments.namespace)?;
    if manifests.workloads.is_empty() {
        return Err(Failure::new("the manifests have nothing that makes pods")
            .hint("a Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job or CronJob is needed")
            .into());
    }
    let instance = Instance::find(&arguments.data.data)?;
    let settings = Settings {
        default_region: Some(instance.region.clone()),
        ..Settings::default()
    };
    let client = instance.root_client(None)?;
    let mut chosen_cluster = arguments.cluster;
    let folder = exec::private_folder()?;
    let mut files = TokenFiles::default();
    let aws = AwsEnvironment {
        endpoint: instance.endpoint.clone(),
        region: instance.region.clone(),
    };

    // All is prepared before anything starts: a mistake in the last manifest leaves nothing half done.
    let mut pods = Vec::new();
    for (number, workload) in manifests.workloads.iter().enumerate() {
        let label = label(workload);
        if workload.replicas == 0 {
            output::note(format_args!("{label} wants no pods"));
            continue;
        }
        if workload.replicas > 1 {
            output::note(format_args!("{label} wants {} pods, one runs here", workload.replicas));
        }
        let name = ServiceAccountName {
            namespace: workload.namespace.clone(),
            name: workload.service_account.clone(),
        };
        let identity = match manifests.identity(&name, &settings)? {
            Found::Identity(identity) => Some(identity),
            Found::NoRole => {
                output::note(format_args!(
                    "{label}: service account `{name}` has no role, its pod gets no credentials"
                ));
                None
            }
            Found::NoServiceAccount => {
                output::note(format_args!(
                    "{label}: service account `{name}` is not in the manifests, its pod gets no credentials"
                ));
                None
            }
        };
        let pod = workload::mutated(&label, &workload.pod, identity.as_ref(), &settings)?;
        let pod_name = pod_name(workload);
        let source = if asks_for_tokens(&pod) {
            let cluster = cluster::chosen(&client, chosen_cluster.take()).await?;
            chosen_cluster = Some(cluster.clone());
            Some(TokenSource::new(
                client.clone(),
                cluster,
                name.clone(),
                Some(pod_name.clone()),
            ))
        } else {
            None
        };
        let root = folder.path().join(number.to_string());
        let processes = workload::processes(&pod, &pod_name, &name, &root, source.as_ref(), &mut files)
            .await
            .with_context(|| label.clone())?;
        say_what_has_no_effect(&label, &pod, &processes);
        pods.push(Pod {
            label: format!("{}/{pod_name}", workload.namespace),
            processes,
            grace: grace(&pod),
        });
    }

    let mut stop_signals = signals::stop_signals().context("signals can't be listened for")?;
    let (stop, stopped) = watch::channel(Stop::No);
    let mut running = JoinSet::new();
    for pod in pods {
        running.spawn(pod.run(aws.clone(), stopped.clone()));
    }
    let mut failed = false;
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                None => break,
                Some(Ok(succeeded)) => failed |= !succeeded,
                Some(Err(error)) => return Err(error).context("a pod's supervisor failed"),
            },
            Some(_) = stop_signals.recv() => stop.send_modify(|stop| *stop = stop.more()),
        }
    }
    drop(files);
    folder.close().context("the tokens' folder can't be removed")?;
    // Whoever stops the pods has what they wanted.
    let was_stopped = *stop.borrow() != Stop::No;
    Ok(if failed && !was_stopped {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What a user has asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stop {
    No,
    /// With SIGTERM, and SIGKILL after the time that the pod allows.
    Gracefully,
    /// With SIGKILL: the second signal.
    AtOnce,
}

impl Stop {
    fn more(self) -> Self {
        match self {
            Self::No => Self::Gracefully,
            Self::Gracefully | Self::AtOnce => Self::AtOnce,
        }
    }
}

struct Pod {
    /// `namespace/name`.
    label: String,
    processes: Vec<LocalProcess>,
    grace: Duration,
}

impl Pod {
    /// Runs the containers to their ends: whether none of those that matter failed.
    async fn run(self, aws: AwsEnvironment, mut stop: watch::Receiver<Stop>) -> bool {
        let mut sidecars = JoinSet::new();
        let (end_sidecars, sidecars_end) = watch::channel(Stop::No);
        let mut main = JoinSet::new();
        let mut succeeded = true;
        for process in self.processes {
            if *stop.borrow() != Stop::No {
                break;
            }
            let container = Container {
                label: format!("{}/{}", self.label, shown(&process.container)),
                grace: self.grace,
            };
            match process.kind {
                ContainerKind::Init => {
                    if !container.run(&process, &aws, &mut stop).await {
                        output::note(format_args!(
                            "{}: an init container failed, the rest is not started",
                            self.label
                        ));
                        succeeded = false;
                        break;
                    }
                }
                ContainerKind::Sidecar => {
                    let (aws, mut stop) = (aws.clone(), sidecars_end.clone());
                    sidecars.spawn(async move { container.run(&process, &aws, &mut stop).await });
                }
                ContainerKind::Main => {
                    let (aws, mut stop) = (aws.clone(), stop.clone());
                    main.spawn(async move { container.run(&process, &aws, &mut stop).await });
                }
            }
        }
        while let Some(ended) = main.join_next().await {
            succeeded &= ended.unwrap_or(false);
        }
        // Sidecars live as long as the others, and how they end when told to is not the pod's result.
        end_sidecars.send_replace(Stop::Gracefully);
        loop {
            tokio::select! {
                ended = sidecars.join_next() => if ended.is_none() { break },
                Ok(()) = stop.changed() => {
                    if *stop.borrow() == Stop::AtOnce {
                        end_sidecars.send_replace(Stop::AtOnce);
                    }
                }
            }
        }
        succeeded
    }
}

struct Container {
    /// `namespace/pod/container`.
    label: String,
    grace: Duration,
}

impl Container {
    /// Runs a container's command to its end, its lines marked with its name: whether it succeeded.
    async fn run(&self, process: &LocalProcess, aws: &AwsEnvironment, stop: &mut watch::Receiver<Stop>) -> bool {
        let started = child::command(process, aws).and_then(|mut command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                // A terminal's signals come to us alone, and what a shell started ends with it.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
                .map_err(|error| child::not_started(process.argv.first().map_or("", String::as_str), error))
        });
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                output::note(format_args!("{}: {}", self.label, failure::line(&error)));
                return false;
            }
        };
        let stdout = tokio::spawn(pass_on(self.label.clone(), child.stdout.take(), false));
        let stderr = tokio::spawn(pass_on(self.label.clone(), child.stderr.take(), true));
        let status = self.wait(&mut child, stop).await;
        let lines = async { (stdout.await, stderr.await) };
        // What the command left running may hold the pipes open: it is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), lines).await;
        match status {
            Ok(status) => {
                let end = match child::exit_code(status) {
                    code if status.code().is_some() => format!("ended with exit code {code}"),
                    code => format!("was ended by signal {}", code.saturating_sub(128)),
                };
                output::note(format_args!("{FAINT}{}{FAINT:#} {end}", self.label));
                status.success()
            }
            Err(error) => {
                output::note(format_args!("{}: can't be waited for: {error}", self.label));
                false
            }
        }
    }

    async fn wait(
        &self,
        child: &mut Child,
        stop: &mut watch::Receiver<Stop>,
    ) -> std::io::Result<std::process::ExitStatus> {
        // Known until it has been waited for; it leads a group of its own.
        let Some(id) = child.id() else {
            return child.wait().await;
        };
        tokio::select! {
            status = child.wait() => return status,
            _ = stop.wait_for(|stop| *stop != Stop::No) => {}
        }
        signals::send_to_group(id, Signal::TERM);
        tokio::select! {
            status = child.wait() => return status,
            () = tokio::time::sleep(self.grace) => {}
            Ok(_) = stop.wait_for(|stop| *stop == Stop::AtOnce) => {}
        }
        signals::send_to_group(id, Signal::KILL);
        child.wait().await
    }
}

/// Copies lines, with the container's name in front, to the same stream of ours.
async fn pass_on(label: String, stream: Option<impl AsyncRead + Unpin>, is_error: bool) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    // A stream that breaks has no more lines.
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(count) if count > 0) {
        let text = String::from_utf8_lossy(&line);
        let text = format!("{FAINT}{label}{FAINT:#} {}", text.trim_end_matches(['\n', '\r']));
        if is_error {
            output::note(text);
        } else {
            output::data(text);
        }
        line.clear();
    }
}

fn label(workload: &Workload) -> String {
    format!("{} `{}/{}`", workload.kind.as_str(), workload.namespace, workload.name)
}

/// A pod's own name, or that of the first one which a controller would make.
fn pod_name(workload: &Workload) -> String {
    match workload.kind {
        WorkloadKind::Pod => workload.name.clone(),
        _ => format!("{}-0", workload.name),
    }
}

fn asks_for_tokens(pod: &Value) -> bool {
    let volumes = pod
        .pointer("/spec/volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let sources = volumes
        .filter_map(|volume| volume.pointer("/projected/sources")?.as_array())
        .flatten();
    sources
        .into_iter()
        .any(|source| source.get("serviceAccountToken").is_some())
}

fn grace(pod: &Value) -> Duration {
    let seconds = pod
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_u64);
    Duration::from_secs(seconds.unwrap_or(30))
}

/// Names the fields that have no counterpart on this machine, once a pod.
fn say_what_has_no_effect(label: &str, pod: &Value, processes: &[LocalProcess]) {
    let mut fields: HashMap<&str, Vec<&str>> = HashMap::new();
    for field in [
        "hostAliases",
        "dnsConfig",
        "securityContext",
        "hostNetwork",
        "runtimeClassName",
    ] {
        if pod
            .pointer("/spec")
            .and_then(|spec| spec.get(field))
            .is_some_and(|value| !value.is_null())
        {
            fields.entry("the pod").or_default().push(field);
        }
    }
    for list in ["initContainers", "containers"] {
        let containers = pod
            .pointer("/spec")
            .and_then(|spec| spec.get(list))
            .and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            for field in [
                "image",
                "ports",
                "resources",
                "securityContext",
                "lifecycle",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
            ] {
                if container.get(field).is_some_and(|value| !value.is_null()) {
                    fields.entry(name).or_default().push(field);
                }
            }
        }
    }
    let mut places: Vec<_> = fields.into_iter().collect();
    places.sort_unstable();
    for (place, fields) in places {
        output::note(format_args!(
            "{label}, {}: no effect here: {}",
            shown(place),
            fields.join(", ")
        ));
    }
    for process in processes {
        for mount in &process.other_mounts {
            let folder_is_here = Path::new(mount).exists();
            output::warning(format_args!(
                "{label}, {}: the volume at `{}` is not mounted here{}",
                shown(&process.container),
                shown(mount),
                if folder_is_here {
                    ", the process sees this machine's own"
                } else {
                    ""
                }
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_with_tokens() {
        let volume = |source: Value| json!({"spec": {"volumes": [{"name": "v", "projected": {"sources": [source]}}]}});
        assert!(asks_for_tokens(&volume(
            json!({"serviceAccountToken": {"path": "token"}})
        )));
        assert!(!asks_for_tokens(&volume(json!({"configMap": {}}))));
        assert!(!asks_for_tokens(&json!({"spec": {}})));
    }

    #[test]
    fn a_second_signal_is_meant_seriously() {
        assert_eq!(Stop::No.more(), Stop::Gracefully);
        assert_eq!(Stop::No.more().more(), Stop::AtOnce);
    }
}
