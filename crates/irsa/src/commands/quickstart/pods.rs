//! The steps of pods: processes that know nothing but what was injected.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use irsa_audit::{Filter, lookup};
use irsa_aws::encode_path;
use irsa_webhook::manifest::{Object, read};
use irsa_webhook::process::LocalProcess;
use irsa_webhook::{Identity, apply, mutate};
use serde_json::Value;
use tokio::process::Command;

use super::story::Story;
use super::{BUCKET, CLUSTER, NAMESPACE, OBJECT, OBJECT_TEXT, ROLE, SERVICE_ACCOUNT, Tour};
use crate::cli::ServiceAccountName;
use crate::commands::explain::explanation;
use crate::failure::Failure;
use crate::output::shown;
use crate::tokens::{TokenFiles, TokenSource};
use crate::workload;

/// A process that hangs is a failure.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a pod's process said of each thing that it tried.
pub(super) struct Outcomes(HashMap<String, Value>);

impl Outcomes {
    fn text(&self, step: &str, pointer: &str) -> &str {
        self.0
            .get(step)
            .and_then(|line| line.pointer(pointer)?.as_str())
            .unwrap_or_default()
    }
}

pub(super) async fn reader(story: &Story, tour: &mut Tour) -> anyhow::Result<Outcomes> {
    let name = account(SERVICE_ACCOUNT);
    let pod = pod_of(&tour.mutated)?;
    story.command(format_args!(
        "irsa exec --serviceaccount {name} -f serviceaccount.yaml -- aws s3 ls s3://{BUCKET}"
    ));
    let (process, outcomes) = start(tour, &pod, &name, "reader").await?;
    for (variable, value) in &process.env {
        story.prints(&format!("{variable}={value}"));
    }

    let arn = outcomes.text("identity", "/outcome/arn");
    let expected = format!("arn:aws:sts::{}:assumed-role/{ROLE}/", tour.account);
    story.expect(arn.starts_with(&expected), || said(&outcomes, "identity"))?;
    story.good(format_args!("it is {arn}"));
    let keys = outcomes
        .0
        .get("list")
        .and_then(|line| line.pointer("/outcome/keys"))
        .cloned()
        .unwrap_or_default();
    story.expect(keys == serde_json::json!([OBJECT]), || said(&outcomes, "list"))?;
    story.good(format_args!("it lists s3://{BUCKET}: {OBJECT}"));
    let text = outcomes.text("get", "/outcome/text");
    story.expect(text == format!("{OBJECT_TEXT}\n"), || said(&outcomes, "get"))?;
    story.good(format_args!("it reads s3://{BUCKET}/{OBJECT}: {}", text.trim_end()));
    Ok(outcomes)
}

pub(super) async fn denied(story: &Story, tour: &Tour, outcomes: &Outcomes) -> anyhow::Result<()> {
    story.command(format_args!("aws s3 cp other.txt s3://{BUCKET}/{OBJECT}"));
    let (code, message) = (
        outcomes.text("put", "/error/code"),
        outcomes.text("put", "/error/message"),
    );
    story.expect(code == "AccessDenied" && message.contains("s3:PutObject"), || {
        said(outcomes, "put")
    })?;
    story.denied(format_args!("AccessDenied: {}", shown(message)));
    let read = tour
        .root
        .s3("GET", &encode_path(&format!("/{BUCKET}/{OBJECT}")), "", Bytes::new())
        .await?;
    story.expect(read.body == format!("{OBJECT_TEXT}\n"), || {
        "the object was changed".to_owned()
    })?;
    story.good("the object is as it was");
    explain(story, tour, outcomes.text("put", "/error/requestId"))
}

pub(super) async fn stranger(story: &Story, tour: &mut Tour) -> anyhow::Result<()> {
    let name = account("default");
    let mut deployment = tour.deployment.clone();
    if let Some(spec) = deployment
        .pointer_mut("/spec/template/spec")
        .and_then(Value::as_object_mut)
    {
        spec.remove("serviceAccountName");
    }
    let mut pod = pod_of(&deployment)?;
    story.command(format_args!(
        "irsa exec --serviceaccount {name} -- aws s3 ls s3://{BUCKET}"
    ));
    let (process, outcomes) = start(tour, &pod, &name, "stranger").await?;
    story.expect(process.env.is_empty() && process.token_mounts.is_empty(), || {
        "something was injected".to_owned()
    })?;
    let reason = outcomes.text("credentials", "/error/message");
    story.expect(!reason.is_empty(), || said(&outcomes, "identity"))?;
    story.denied("the service account names no role, so nothing is injected, and the SDK finds no credentials");

    story.command(format_args!(
        "irsa exec --serviceaccount {name} --role-arn {} -- aws s3 ls s3://{BUCKET}",
        tour.role_arn()
    ));
    let mutation = mutate(&pod, &Identity::new(tour.role_arn(), &tour.settings), &tour.settings);
    apply(&mut pod, &mutation.patch)?;
    let (process, outcomes) = start(tour, &pod, &name, "pretender").await?;
    story.expect(process.token_mounts.len() == 1, || "it has no token".to_owned())?;
    let reason = outcomes.text("credentials", "/error/message");
    let refusal = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
    story.expect(reason.contains(refusal), || said(&outcomes, "credentials"))?;
    story.denied(format_args!("AccessDenied: {refusal}"));

    let filter = Filter {
        event_name: Some("AssumeRoleWithWebIdentity".to_owned()),
        error_code: Some("AccessDenied".to_owned()),
        limit: Some(1),
        ..Filter::default()
    };
    let record = lookup(&tour.server.folder().audit(), filter)?
        .next()
        .context("the refusal is not on record")??;
    explain(story, tour, record.event["requestID"].as_str().unwrap_or_default())
}

/// Shows what operators may know of a refusal, beyond what the caller was told.
fn explain(story: &Story, tour: &Tour, request_id: &str) -> anyhow::Result<()> {
    story.expect(!request_id.is_empty(), || "the refusal has no request id".to_owned())?;
    story.command(format_args!("irsa explain {request_id}"));
    let filter = Filter {
        request_id: Some(request_id.to_owned()),
        ..Filter::default()
    };
    let record = lookup(&tour.server.folder().audit(), filter)?
        .next()
        .with_context(|| format!("request {request_id} is not on record"))??;
    let reason = record
        .event
        .pointer("/additionalEventData/irsa/reason")
        .and_then(Value::as_str)
        .unwrap_or_default();
    story.expect(!reason.is_empty(), || "the record does not say why".to_owned())?;
    story.prints(&explanation(&record.event, &[]));
    Ok(())
}

/// Starts the container of a pod, with our stand-in for its image's program, and hears what it could do.
async fn start(
    tour: &mut Tour,
    pod: &Value,
    name: &ServiceAccountName,
    folder: &str,
) -> anyhow::Result<(LocalProcess, Outcomes)> {
    let pod_name = "reader-0";
    let source = TokenSource::new(
        tour.root.clone(),
        CLUSTER.to_owned(),
        name.clone(),
        Some(pod_name.to_owned()),
    );
    let mut files = TokenFiles::default();
    let root = tour.tokens.path().join(folder);
    let mut processes = workload::processes(pod, pod_name, name, &root, Some(&source), &mut files).await?;
    let process = processes.pop().context("the pod has no container")?;
    for mount in &process.token_mounts {
        tour.secrets
            .push(std::fs::read_to_string(Path::new(&mount.path())).context("the token is not there")?);
    }
    let program = std::env::current_exe().context("this program's file is unknown")?;
    let child = Command::new(program)
        .args(["workload", "--bucket", BUCKET, "--key", OBJECT])
        // Nothing but what was injected, and where the server is.
        .env_clear()
        .envs(tour.aws.variables())
        .envs(process.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, child)
        .await
        .context("the pod's process does not end")?
        .context("the pod's process can't be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::new(format!("the pod's process failed: {}", said.trim())).into());
    }
    let mut outcomes = HashMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).context("the pod's process said something unexpected")?;
        outcomes.insert(line["step"].as_str().unwrap_or_default().to_owned(), line);
    }
    Ok((process, Outcomes(outcomes)))
}

/// The pod of a Deployment.
fn pod_of(deployment: &Value) -> anyhow::Result<Value> {
    let mut objects = read(std::slice::from_ref(deployment), "default")?;
    match objects.pop() {
        Some(Object::Workload(workload)) => Ok(workload.pod),
        _ => Err(Failure::new("the Deployment has no pod").into()),
    }
}

fn account(name: &str) -> ServiceAccountName {
    ServiceAccountName {
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
    }
}

/// What the process said of a step instead of what it should.
fn said(outcomes: &Outcomes, step: &str) -> String {
    match outcomes.0.get(step).or_else(|| outcomes.0.get("credentials")) {
        Some(line) => format!("the pod's process said {line}"),
        None => format!("the pod's process said nothing of `{step}`"),
    }
}
