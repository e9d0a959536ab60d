//! One review: whose pod it is, what it gets, and what is said about it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use irsa_webhook::review::{Answer, Request, Review, ReviewError};
use irsa_webhook::{
    ContainerIdentity, Decision, EnvSource, Identity, Mutation, Refusal, Shown, Warning,
    container_credentials_env_sources, env_sources, is_opted_out, mutate_container_credentials_with, mutate_with,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::env_from::{EnvSources, Read};
use crate::lookups::{Found, LookUps, Undecided};
use crate::metrics::Metrics;
use crate::{Cluster, Known, Owner, Report, Sources};

/// What the API server shows of warnings is at most 4,096 characters, and ours have 256 at most.
const MAX_WARNINGS: usize = 16;
/// How long the message of an Event may be.
const MAX_MESSAGE: usize = 1_000;
/// Namespaces whose pods are never refused: a control plane must be able to start without us.
const CONTROL_PLANE: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
/// The pods of a node's own manifests: <https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What happens to a pod that can't get the credentials that its account asks for, because of the pod itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnRefusal {
    /// It is refused with the reason.
    #[default]
    Deny,
    /// It is let through with what it can get, a warning and an Event.
    Warn,
}

/// Which of the two paths a review came by: the webhook configuration's entry says what its owner chose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    /// A fault of ours lets pods through.
    Default,
    /// A pod of which we cannot say whether it gets its credentials is refused.
    FailClosed,
}

/// What an operator chooses for all reviews.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What a pod's own obstacles come to.
    pub on_refusal: OnRefusal,
    /// How long an account that does not exist yet is waited for.
    pub grace: Duration,
    /// How long a pod of an account without a role waits for EKS Pod Identity to name the account, where there is a file that does.
    pub association_grace: Duration,
    /// Namespaces, beside the control plane's, whose pods are never refused: the webhook's own.
    pub exempt_namespaces: Vec<String>,
}

/// Answers reviews.
pub(crate) struct Admission {
    pub(crate) sources: Arc<Sources>,
    pub(crate) metrics: Metrics,
    rules: Rules,
    cluster: Arc<dyn Cluster>,
    look_ups: Arc<LookUps>,
    env_sources: EnvSources,
}

/// What is said about one review.
struct Verdict {
    decision: &'static str,
    reason: &'static str,
    answer: Answer,
}

/// What applies to a pod.
enum Applied {
    Role(Identity, Vec<String>),
    Served(ContainerIdentity, Vec<String>),
    /// Nothing, and that is certain: the reason.
    Nothing(&'static str),
    /// Nobody can tell.
    Unknown(Fault),
}

/// Why nobody can tell.
struct Fault {
    reason: &'static str,
    message: String,
}

/// The pod of a review, and what was read of it.
struct Pod<'a> {
    namespace: &'a str,
    account: &'a str,
    pod: &'a Value,
    dry_run: bool,
    entry: Entry,
}

impl Admission {
    pub(crate) fn new(sources: Arc<Sources>, cluster: Arc<dyn Cluster>, rules: Rules) -> Self {
        Self {
            look_ups: LookUps::new(Arc::clone(&sources), Arc::clone(&cluster)),
            env_sources: EnvSources::new(Arc::clone(&cluster)),
            metrics: Metrics::default(),
            sources,
            rules,
            cluster,
        }
    }

    /// Answers one review; whatever it is, there is an answer.
    ///
    /// # Errors
    /// What is no review by its content type.
    pub(crate) async fn answer(
        &self,
        entry: Entry,
        content_type: Option<&[u8]>,
        body: &[u8],
        limit: Duration,
    ) -> Result<String, ReviewError> {
        let start = Instant::now();
        let review = Review::read(content_type, body)?;
        let verdict = match &review.request {
            Err(message) => Verdict {
                decision: "refused",
                reason: "malformed_review",
                answer: Answer {
                    refused: Some(message.clone()),
                    ..Answer::default()
                },
            },
            Ok(Request::Other(reason)) => Verdict::nothing(reason),
            Ok(Request::Pod {
                namespace,
                pod,
                dry_run,
            }) => {
                let pod = Pod {
                    namespace,
                    account: text(pod, "/spec/serviceAccountName"),
                    pod,
                    dry_run: *dry_run,
                    entry,
                };
                self.decide(&pod, limit).await
            }
        };
        let answer = review.answer(&verdict.answer);
        self.say(&review, &verdict, start.elapsed());
        Ok(answer)
    }

    /// One line and one count for each decision.
    fn say(&self, review: &Review, verdict: &Verdict, took: Duration) {
        self.metrics.decision(verdict.decision, verdict.reason, took);
        let (namespace, pod) = match &review.request {
            Ok(Request::Pod { namespace, pod, .. }) => (namespace.as_str(), pod),
            _ => ("", &Value::Null),
        };
        let name = match text(pod, "/metadata/name") {
            "" => text(pod, "/metadata/generateName"),
            name => name,
        };
        let (decision, reason) = (verdict.decision, verdict.reason);
        // Names are what a stranger wrote: nothing of the pod was validated yet.
        tracing::info!(
            decision,
            reason,
            namespace = %Shown(namespace),
            pod = %Shown(name),
            account = %Shown(text(pod, "/spec/serviceAccountName")),
            uid = %Shown(review.uid()),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            warnings = verdict.answer.warnings.len(),
            refused = verdict.answer.refused.as_deref(),
        );
    }

    async fn decide(&self, pod: &Pod<'_>, limit: Duration) -> Verdict {
        if is_opted_out(pod.pod) {
            return Verdict::nothing("opted_out");
        }
        let annotations = pod.pod.pointer("/metadata/annotations");
        if annotations.is_some_and(|annotations| annotations.get(MIRROR).is_some()) {
            return Verdict::nothing("mirror_pod");
        }
        if pod.account.is_empty() {
            return Verdict::nothing("no_service_account");
        }
        let start = Instant::now();
        let applied = self.applied(pod, limit).await;
        // Nothing panics there, and a pod must not pay for it if something does.
        let sources = catch_unwind(AssertUnwindSafe(|| self.env_sources_of(pod, &applied))).unwrap_or_default();
        let left = limit.saturating_sub(start.elapsed());
        let read = self.env_sources.read(pod.namespace, &sources, left).await;
        catch_unwind(AssertUnwindSafe(|| self.verdict(pod, applied, read))).unwrap_or_else(|panic| {
            tracing::error!(
                panic = panic_text(panic.as_ref()),
                "a review was not answered: the program has a fault"
            );
            let message = "an internal error occurred".to_owned();
            self.fault(
                pod,
                Fault {
                    reason: "internal_error",
                    message,
                },
            )
        })
    }

    /// Where the pod's containers take variables from, as far as it makes a difference.
    fn env_sources_of(&self, pod: &Pod<'_>, applied: &Applied) -> Vec<EnvSource> {
        let settings = &self.sources.settings;
        match applied {
            Applied::Role(identity, _) => env_sources(pod.pod, identity, settings),
            Applied::Served(identity, _) => container_credentials_env_sources(pod.pod, identity, settings),
            Applied::Nothing(_) | Applied::Unknown(_) => Vec::new(),
        }
    }

    fn verdict(&self, pod: &Pod<'_>, applied: Applied, read: Read) -> Verdict {
        let settings = &self.sources.settings;
        if let Some(why) = &read.undecided
            && pod.entry == Entry::FailClosed
            && !self.is_exempt(pod.namespace)
        {
            let (namespace, account) = (Shown(pod.namespace), Shown(pod.account));
            let message = format!(
                "whether a pod of service account `{account}` in `{namespace}` sets its credentials itself can't be told: {why}"
            );
            return Verdict::refused("env_from_unread", message);
        }
        match applied {
            Applied::Nothing(reason) => Verdict::nothing(reason),
            Applied::Unknown(fault) => self.fault(pod, fault),
            Applied::Role(identity, warnings) => {
                self.metrics.method("sts_web_identity");
                let mutation = mutate_with(pod.pod, &identity, settings, &read.keys);
                let warnings = (warnings, read.warnings);
                let asked = format!("role `{}`", Shown(&identity.role_arn));
                self.mutated(pod, mutation, warnings, ("role", &asked))
            }
            Applied::Served(identity, warnings) => {
                self.metrics.method("container_credentials");
                let mutation = mutate_container_credentials_with(pod.pod, &identity, settings, &read.keys);
                let warnings = (warnings, read.warnings);
                let asked = ("container_credentials", "the credentials of EKS Pod Identity");
                self.mutated(pod, mutation, warnings, asked)
            }
        }
    }

    /// What a mutation comes to. `warnings`: of the account, and of the sources of variables; `asked`: the reason where all is well, and what the account asks for.
    fn mutated(
        &self,
        pod: &Pod<'_>,
        mutation: Mutation,
        warnings: (Vec<String>, Vec<Warning>),
        asked: (&'static str, &str),
    ) -> Verdict {
        let (account, sources) = warnings;
        let mut warnings: Vec<String> = account
            .into_iter()
            .chain(mutation.warnings.iter().chain(&sources).map(ToString::to_string))
            .collect();
        warnings.truncate(MAX_WARNINGS);
        let (decision, reason) = match mutation.decision {
            Decision::Injected => ("injected", asked.0),
            Decision::Unchanged => ("unchanged", asked.0),
            Decision::Refused(refusal) => {
                let reason = match refusal {
                    Refusal::RoleArn => "role_arn",
                    Refusal::Malformed => "malformed_pod",
                    Refusal::ForeignVolume => "foreign_volume",
                    Refusal::MountPathTaken => "mount_path_taken",
                };
                let why = warnings
                    .iter()
                    .take(3)
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join("; ");
                let message = format!(
                    "service account `{}` in `{}` asks for {}, which this pod can't get: {why}",
                    Shown(pod.account),
                    Shown(pod.namespace),
                    asked.1,
                );
                if self.rules.on_refusal == OnRefusal::Deny && !self.is_exempt(pod.namespace) {
                    return Verdict::refused(reason, message);
                }
                self.report(pod, reason, &message);
                ("left_without", reason)
            }
        };
        Verdict {
            decision,
            reason,
            answer: Answer {
                refused: None,
                patch: mutation.patch,
                warnings,
                audit_annotations: vec![("decision", decision.to_owned()), ("reason", reason.to_owned())],
            },
        }
    }

    /// A pod of which nobody can tell what it should get.
    fn fault(&self, pod: &Pod<'_>, fault: Fault) -> Verdict {
        let message = format!(
            "whether service account `{}` in `{}` has a role can't be told: {}",
            Shown(pod.account),
            Shown(pod.namespace),
            fault.message
        );
        if pod.entry == Entry::FailClosed && !self.is_exempt(pod.namespace) {
            return Verdict::refused(fault.reason, message);
        }
        self.report(pod, fault.reason, &message);
        let decision = "left_without";
        Verdict {
            decision,
            reason: fault.reason,
            answer: Answer {
                warnings: vec![message.chars().take(255).collect()],
                audit_annotations: vec![("decision", decision.to_owned()), ("reason", fault.reason.to_owned())],
                ..Answer::default()
            },
        }
    }

    fn is_exempt(&self, namespace: &str) -> bool {
        CONTROL_PLANE.contains(&namespace) || self.rules.exempt_namespaces.iter().any(|exempt| exempt == namespace)
    }

    fn report(&self, pod: &Pod<'_>, reason: &'static str, message: &str) {
        if pod.dry_run {
            return;
        }
        let some = |pointer| {
            Some(text(pod.pod, pointer))
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        self.cluster.report(Report {
            namespace: pod.namespace.to_owned(),
            name: some("/metadata/name"),
            generate_name: some("/metadata/generateName"),
            owner: owner(pod.pod),
            service_account: pod.account.to_owned(),
            reason,
            message: message.chars().take(MAX_MESSAGE).collect(),
        });
    }

    /// What applies to a pod: the file of EKS Pod Identity before the account's role, that before the ConfigMap.
    async fn applied(&self, pod: &Pod<'_>, limit: Duration) -> Applied {
        let (namespace, account) = (pod.namespace, pod.account);
        let sources = &self.sources;
        let start = Instant::now();
        let mut known = sources.accounts.get(namespace, account);
        if sources
            .served()
            .is_some_and(|served| served.contains(namespace, account))
        {
            return self.served(namespace, account, &known);
        }
        if matches!(known, Known::Unknown | Known::PerhapsUnbound) {
            let times = (self.rules.grace, limit);
            match self.look_ups.find(namespace, account, &known, times).await {
                Found::Account(found) => {
                    let is_bound = matches!(found, Known::Bound { .. });
                    self.metrics.look_up(if is_bound { "bound" } else { "unbound" });
                    known = found;
                }
                Found::Absent => {
                    self.metrics.look_up("absent");
                    return match self.configured(namespace, account) {
                        Some(identity) => Applied::Role(identity, Vec::new()),
                        None => {
                            self.metrics.missing_account();
                            let message = "there is no such service account".to_owned();
                            Applied::Unknown(Fault {
                                reason: "account_missing",
                                message,
                            })
                        }
                    };
                }
                Found::Undecided(why) => {
                    self.metrics.look_up("failed");
                    // What an operator configured is better than nothing.
                    if let Some(identity) = self.configured(namespace, account) {
                        return Applied::Role(identity, Vec::new());
                    }
                    match (&known, sources.accounts.is_current(), pod.entry) {
                        // The watch is there, and showed the account without a role some seconds ago at most.
                        (Known::PerhapsUnbound, true, _) => {}
                        // A lost watch says nothing against what it showed before.
                        (Known::PerhapsUnbound, false, Entry::Default) => {
                            return Applied::Nothing("no_role_unconfirmed");
                        }
                        _ => {
                            self.metrics.missing_account();
                            return Applied::Unknown(undecided(why));
                        }
                    }
                }
            }
        }
        if let Known::Bound { identity, warnings } = known {
            return Applied::Role(identity, warnings);
        }
        while sources.configured_is_missing() || sources.served_is_missing() {
            if start.elapsed() >= self.rules.grace.min(limit) {
                let message = "the configuration of this webhook was not read yet".to_owned();
                return Applied::Unknown(Fault {
                    reason: "not_synced",
                    message,
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Some(identity) = self.configured(namespace, account) {
            return Applied::Role(identity, Vec::new());
        }
        // The file that names it may be on its way.
        let patience = self.rules.association_grace.min(limit);
        while sources.served().is_some() && start.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if sources
                .served()
                .is_some_and(|served| served.contains(namespace, account))
            {
                return self.served(namespace, account, &Known::Unbound);
            }
        }
        Applied::Nothing("no_role")
    }

    fn configured(&self, namespace: &str, account: &str) -> Option<Identity> {
        self.sources.configured()?.get(namespace, account).cloned()
    }

    fn served(&self, namespace: &str, account: &str, known: &Known) -> Applied {
        let sources = &self.sources;
        let plain = Identity::new("", &sources.settings);
        let configured = sources.configured();
        let configured = configured
            .as_ref()
            .and_then(|configured| configured.exact(namespace, account));
        let beside = sources.accounts.beside_role(namespace, account);
        let (regional_sts, token_expiration_seconds) = match (beside, known, configured) {
            (Some(beside), ..) => beside,
            (None, Known::Unknown, Some(identity)) => (identity.regional_sts, identity.token_expiration_seconds),
            _ => (plain.regional_sts, plain.token_expiration_seconds),
        };
        let mut warnings = Vec::new();
        if matches!(known, Known::Bound { .. }) || configured.is_some() {
            let both = "the service account has a role and is served by EKS Pod Identity, which goes first";
            warnings.push(both.to_owned());
        }
        let identity = ContainerIdentity {
            regional_sts,
            token_expiration_seconds,
            jitter_seconds: jitter(),
        };
        Applied::Served(identity, warnings)
    }
}

impl Verdict {
    /// The pod, if it is one, is let through as it is.
    fn nothing(reason: &'static str) -> Self {
        Self {
            decision: "none",
            reason,
            answer: Answer::default(),
        }
    }

    fn refused(reason: &'static str, message: String) -> Self {
        Self {
            decision: "refused",
            reason,
            answer: Answer {
                refused: Some(message),
                audit_annotations: vec![("decision", "refused".to_owned()), ("reason", reason.to_owned())],
                ..Answer::default()
            },
        }
    }
}

fn undecided(why: Undecided) -> Fault {
    let (reason, message) = match why {
        Undecided::TooManyWaiting => ("too_many_waiting", "too many reviews wait for look-ups".to_owned()),
        Undecided::LookUp(error) => {
            // Where the API server is, is for the operator alone.
            tracing::warn!(%error, "a look-up failed");
            ("look_up_failed", "the API server can't be asked".to_owned())
        }
    };
    Fault { reason, message }
}

fn text<'a>(pod: &'a Value, pointer: &str) -> &'a str {
    pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The owner that made the pod.
fn owner(pod: &Value) -> Option<Owner> {
    let owners = pod.pointer("/metadata/ownerReferences")?.as_array()?;
    let controls = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
    let owner = owners.iter().find(controls).or_else(|| owners.first())?;
    Some(Owner {
        api_version: text(owner, "/apiVersion").to_owned(),
        kind: text(owner, "/kind").to_owned(),
        name: text(owner, "/name").to_owned(),
        uid: text(owner, "/uid").to_owned(),
    })
}

/// A random number of seconds, evenly between none and two hours.
fn jitter() -> i64 {
    const ALL: u32 = 7_201;
    let mut bytes = [0; 4];
    // Without random numbers tokens end together, which is all that this is for.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    i64::from(u32::from_le_bytes(bytes) % ALL)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default()
}

#[cfg(test)]
mod adversarial;
#[cfg(test)]
mod tests;
