//! A pod as local processes: mutated, its paths moved into a private folder, its tokens in place.

use std::path::Path;

use irsa_webhook::process::{LocalProcess, PodContext, local_processes};
use irsa_webhook::{Decision, Identity, Settings, is_opted_out, mutate};
use serde_json::Value;

use crate::cli::ServiceAccountName;
use crate::output;
use crate::tokens::{TokenFiles, TokenSource};

/// What the webhook does with a pod. Warnings go to stderr.
pub(crate) fn mutated(
    label: &str,
    pod: &Value,
    identity: Option<&Identity>,
    settings: &Settings,
) -> anyhow::Result<Value> {
    let mut pod = pod.clone();
    let Some(identity) = identity else { return Ok(pod) };
    if is_opted_out(&pod) {
        output::note(format_args!(
            "{label} has the label that keeps the webhook away: it gets no credentials"
        ));
        return Ok(pod);
    }
    let mutation = mutate(&pod, identity, settings);
    for warning in &mutation.warnings {
        output::warning(format_args!("{label}: {warning}"));
    }
    irsa_webhook::apply(&mut pod, &mutation.patch)?;
    if let Decision::Refused(_) = mutation.decision {
        output::warning(format_args!(
            "{label}: at least one container goes without the role's credentials"
        ));
    }
    Ok(pod)
}

/// The containers of a mutated pod, with a folder of `root` for each one's tokens.
pub(crate) async fn processes(
    pod: &Value,
    pod_name: &str,
    service_account: &ServiceAccountName,
    root: &Path,
    tokens: Option<&TokenSource>,
    files: &mut TokenFiles,
) -> anyhow::Result<Vec<LocalProcess>> {
    let context = PodContext {
        name: pod_name,
        namespace: &service_account.namespace,
        service_account: &service_account.name,
    };
    let mut processes = local_processes(pod, &context)?;
    for (index, process) in processes.iter_mut().enumerate() {
        if process.token_mounts.is_empty() {
            continue;
        }
        process.relocate(&root.join(index.to_string()))?;
        if let Some(tokens) = tokens {
            for mount in &process.token_mounts {
                files.add(tokens, mount).await?;
            }
        }
    }
    Ok(processes)
}
