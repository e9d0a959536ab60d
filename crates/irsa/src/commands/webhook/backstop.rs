//! Pods that no webhook was asked about: found, told of, and, if an operator wants it, made again.
//!
//! Where the API server lets pods through while no replica answers, a pod can start without the credentials of its account's role. Nobody tells of
//! such a pod, so it is looked for: when a replica starts, and now and then.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use irsa_admission::{Known, Sources};
use irsa_core::Timestamp;
use irsa_kubernetes::{Cluster, Events, ObjectReference, Warning, delete_pod, for_each_pod};
use irsa_webhook::{Decision, Outcome, is_opted_out, mutate};
use serde_json::Value;

/// The control plane's own namespaces, where nothing is touched.
const CONTROL_PLANE: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
/// Pods of one look that are told of one by one.
const TOLD: usize = 1_000;
/// Pods of one look that are deleted.
const DELETED: usize = 100;
/// Owners whose deleted pods are remembered.
const REMEMBERED: usize = 4_096;
/// Pods of one owner that are deleted before one of its pods was seen to be injected.
const TRIALS: u8 = 3;
/// What the first look waits for: a list of the accounts.
const PATIENCE: Duration = Duration::from_millis(500);

/// What an operator chooses of it.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// From one look to the next; zero: it is never looked.
    pub(super) period: Duration,
    /// Whether pods that a controller makes again are deleted.
    pub(super) evict: bool,
    /// Of those that run already, only these.
    pub(super) evict_younger_than: Duration,
    /// Namespaces where nothing is touched, beside the control plane's.
    pub(super) exempt_namespaces: Vec<String>,
}

/// A pod that lacks what its account's role asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Missed {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    account: String,
    controller: Option<ObjectReference>,
    is_pending: bool,
    created: Option<Timestamp>,
}

/// What a look at one pod shows.
#[derive(Debug, Eq, PartialEq)]
enum Found {
    /// Nothing of interest.
    Nothing,
    /// A webhook was asked about it: the unique id of its controller, and when it was made.
    Injected(String, Option<Timestamp>),
    Missed(Box<Missed>),
}

/// An owner of which pods were deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Tried {
    pods: u8,
    /// When the newest of its injected pods was made, as it was before; by the API server's clock, to the second.
    newest: Option<Timestamp>,
}

/// What is remembered of owners, by their unique ids.
#[derive(Debug, Default)]
struct Owners {
    tried: HashMap<String, Tried>,
    /// When the newest injected pod of each was made; of this look.
    newest: HashMap<String, Option<Timestamp>>,
    /// Those that lost a pod in this look.
    touched: HashSet<String>,
}

impl Owners {
    fn begin(&mut self) {
        self.newest.clear();
        self.touched.clear();
    }

    fn saw_injected(&mut self, owner: String, created: Option<Timestamp>) {
        let newest = self.newest.entry(owner).or_default();
        *newest = created.max(*newest);
    }

    /// Of each owner one pod is deleted first; the others only once a successor was injected. If the webhook is still not asked, for whatever reason,
    /// nothing else is lost.
    fn may_lose(&self, owner: &str) -> bool {
        let Some(tried) = self.tried.get(owner) else {
            return self.tried.len() < REMEMBERED;
        };
        let is_healed = self.newest.get(owner).is_some_and(|newest| *newest > tried.newest);
        is_healed || tried.pods < TRIALS && !self.touched.contains(owner)
    }

    fn has_lost(&mut self, owner: &str) {
        self.touched.insert(owner.to_owned());
        let newest = self.newest.get(owner).copied().flatten();
        let tried = self.tried.entry(owner.to_owned()).or_insert(Tried { pods: 0, newest });
        tried.pods = tried.pods.saturating_add(1);
    }
}

/// Looks until it is dropped.
pub(super) async fn run(cluster: Cluster, sources: Arc<Sources>, events: Events, options: Options) {
    if options.period.is_zero() {
        return;
    }
    while sources.missing().is_some() {
        tokio::time::sleep(PATIENCE).await;
    }
    let mut owners = Owners::default();
    loop {
        look(&cluster, &sources, &events, &options, &mut owners).await;
        tokio::time::sleep(options.period).await;
    }
}

/// One look at all pods of namespaces with roles.
async fn look(cluster: &Cluster, sources: &Sources, events: &Events, options: &Options, owners: &mut Owners) {
    owners.begin();
    let mut missed = Vec::new();
    let mut count = 0_usize;
    for namespace in namespaces(sources) {
        let looked = for_each_pod(cluster, namespace.as_deref(), |pod| {
            match judge(pod, sources, options) {
                Found::Nothing => {}
                Found::Injected(owner, created) if options.evict => owners.saw_injected(owner, created),
                Found::Injected(..) => {}
                Found::Missed(pod) => {
                    count = count.saturating_add(1);
                    if missed.len() < TOLD {
                        missed.push(*pod);
                    }
                }
            }
        });
        if let Err(error) = looked.await {
            tracing::warn!(%error, namespace = ?namespace, "pods without credentials can't be looked for");
            return;
        }
    }
    sources.set_uninjected(count);
    if count == 0 {
        tracing::debug!("no pod runs without the credentials of its role");
        return;
    }
    tracing::warn!(count, "pods run without the credentials of their roles");
    let now = now();
    let mut deleted = 0_usize;
    for pod in missed {
        events.warn(warning(&pod));
        let controller = pod
            .controller
            .as_ref()
            .filter(|_| deleted < DELETED && may_evict(&pod, options, now));
        let outcome = match controller {
            Some(controller) if owners.may_lose(&controller.uid) => {
                deleted = deleted.saturating_add(1);
                match delete_pod(cluster, &pod.namespace, &pod.name, &pod.uid, &pod.resource_version).await {
                    Ok(true) => {
                        owners.has_lost(&controller.uid);
                        "deleted"
                    }
                    Ok(false) => "changed",
                    Err(error) => {
                        tracing::warn!(%error, "a pod can't be deleted");
                        "kept"
                    }
                }
            }
            _ => "kept",
        };
        tracing::warn!(
            namespace = pod.namespace,
            pod = pod.name,
            account = pod.account,
            outcome,
            "this pod runs without the credentials of its role"
        );
    }
}

/// Where pods of interest are; `None`: anywhere.
fn namespaces(sources: &Sources) -> Vec<Option<String>> {
    if sources.configured().is_some_and(|configured| !configured.is_empty()) {
        return vec![None];
    }
    let bound = sources.accounts.bound();
    let namespaces: BTreeSet<String> = bound
        .into_iter()
        .filter_map(|(key, _)| Some(key.split_once('/')?.0.to_owned()))
        .collect();
    namespaces.into_iter().map(Some).collect()
}

fn judge(pod: &Value, sources: &Sources, options: &Options) -> Found {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = text("/metadata/namespace");
    let mut exempt = options
        .exempt_namespaces
        .iter()
        .map(String::as_str)
        .chain(CONTROL_PLANE);
    let is_static = pod
        .pointer("/metadata/annotations/kubernetes.io~1config.mirror")
        .is_some();
    let is_ending = pod.pointer("/metadata/deletionTimestamp").is_some();
    if is_static || is_ending || is_opted_out(pod) || exempt.any(|exempt| exempt == namespace) {
        return Found::Nothing;
    }
    let account = Some(text("/spec/serviceAccountName"))
        .filter(|name| !name.is_empty())
        .unwrap_or("default");
    if sources
        .served()
        .is_some_and(|served| served.contains(namespace, account))
    {
        return Found::Nothing;
    }
    let identity = match sources.accounts.get(namespace, account) {
        Known::Bound { identity, .. } => identity,
        _ => match sources
            .configured()
            .and_then(|configured| configured.get(namespace, account).cloned())
        {
            Some(identity) => identity,
            None => return Found::Nothing,
        },
    };
    let created = Timestamp::parse_iso8601(text("/metadata/creationTimestamp"));
    let controller = controller(pod, namespace);
    let has_volume = |volume: &Value| volume.get("name").is_some_and(|name| name == "aws-iam-token");
    if pod
        .pointer("/spec/volumes")
        .and_then(Value::as_array)
        .is_some_and(|volumes| volumes.iter().any(has_volume))
    {
        return Found::Injected(controller.map(|controller| controller.uid).unwrap_or_default(), created);
    }
    // A pod that brings credentials of its own lacks nothing, and what cannot be injected was told of when it was created.
    let mutation = mutate(pod, &identity, &sources.settings);
    let gets_role = |outcome: &Outcome| matches!(outcome, Outcome::Injected { variables, .. } if variables.contains(&"AWS_ROLE_ARN"));
    let lacks = mutation.decision == Decision::Injected
        && mutation
            .containers
            .iter()
            .any(|container| gets_role(&container.outcome));
    if !lacks {
        return Found::Nothing;
    }
    Found::Missed(Box::new(Missed {
        namespace: namespace.to_owned(),
        name: text("/metadata/name").to_owned(),
        uid: text("/metadata/uid").to_owned(),
        resource_version: text("/metadata/resourceVersion").to_owned(),
        account: account.to_owned(),
        controller,
        is_pending: text("/status/phase") == "Pending",
        created,
    }))
}

/// Who makes the pod again when it is deleted. A node does not: its pods are files.
fn controller(pod: &Value, namespace: &str) -> Option<ObjectReference> {
    let owners = pod.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("kind") != "Node").then(|| ObjectReference {
        api_version: text("apiVersion"),
        kind: text("kind"),
        namespace: namespace.to_owned(),
        name: text("name"),
        uid: text("uid"),
    })
}

/// Whether the pod may be deleted at all: it does not work yet, or not for long.
fn may_evict(pod: &Missed, options: &Options, now: Timestamp) -> bool {
    let is_young = pod
        .created
        .is_some_and(|created| now.since(created) < options.evict_younger_than);
    options.evict && (pod.is_pending || is_young)
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn warning(pod: &Missed) -> Warning {
    let about = pod.controller.clone().unwrap_or_else(|| ObjectReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    });
    Warning {
        about,
        reason: "CredentialsMissing".to_owned(),
        message: format!(
            "Pod `{}` runs without the credentials of the role of its service account `{}`: delete it, and its successor gets them",
            pod.name, pod.account
        ),
    }
}

#[cfg(test)]
mod tests {
    use irsa_webhook::{Settings, apply};
    use serde_json::json;

    use super::*;

    fn options() -> Options {
        Options {
            period: Duration::from_secs(600),
            evict: true,
            evict_younger_than: Duration::from_secs(3_600),
            exempt_namespaces: vec!["webhook".to_owned()],
        }
    }

    fn sources() -> Sources {
        let sources = Sources::new(Settings::default(), false, false);
        let role = [("eks.amazonaws.com/role-arn", "arn:aws:iam::111122223333:role/reader")];
        let accounts =
            ["app", "kube-system", "webhook"].map(|namespace| sources.accounts.read(namespace, "reader", role));
        sources.accounts.replace(accounts);
        sources
    }

    fn pod() -> Value {
        json!({
            "metadata": {"namespace": "app", "name": "web-1", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-11-23T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "o", "controller": true}]},
            "spec": {"serviceAccountName": "reader", "containers": [{"name": "c"}]},
            "status": {"phase": "Running"},
        })
    }

    fn missed(pod: &Value) -> Option<Missed> {
        match judge(pod, &sources(), &options()) {
            Found::Missed(missed) => Some(*missed),
            _ => None,
        }
    }

    #[test]
    fn only_a_pod_that_lacks_its_role_is_missed() {
        let found = missed(&pod()).unwrap();
        assert_eq!(
            (found.name.as_str(), found.account.as_str(), found.is_pending),
            ("web-1", "reader", false)
        );

        let mut injected = pod();
        let sources = sources();
        let Known::Bound { identity, .. } = sources.accounts.get("app", "reader") else {
            panic!("no role");
        };
        let patch = mutate(&injected, &identity, &sources.settings).patch;
        apply(&mut injected, &patch).unwrap();
        assert!(matches!(judge(&injected, &sources, &options()), Found::Injected(owner, Some(_)) if owner == "o"));

        for (pointer, value) in [
            ("/metadata/namespace", json!("kube-system")),
            ("/metadata/namespace", json!("webhook")),
            (
                "/metadata/labels",
                json!({"eks.amazonaws.com/skip-pod-identity-webhook": "x"}),
            ),
            ("/metadata/annotations", json!({"kubernetes.io/config.mirror": "x"})),
            (
                "/metadata/annotations",
                json!({"eks.amazonaws.com/skip-containers": "c"}),
            ),
            ("/metadata/deletionTimestamp", json!("2026-11-23T00:00:00Z")),
            ("/spec/serviceAccountName", json!("other")),
            (
                "/spec/containers",
                json!([{"name": "c", "env": [{"name": "AWS_ROLE_ARN", "value": "x"}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "x"}]}]),
            ),
        ] {
            let mut other = pod();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            other.pointer_mut(parent).unwrap()[name] = value;
            assert_eq!(missed(&other), None, "{other}");
        }
    }

    #[test]
    fn only_pods_that_are_young_or_do_not_run_are_deleted_and_only_on_request() {
        let (options, now) = (options(), Timestamp::parse_iso8601("2026-11-23T00:30:00Z").unwrap());
        let pod = missed(&pod()).unwrap();
        assert!(may_evict(&pod, &options, now));
        let asked_not_to = Options {
            evict: false,
            ..options.clone()
        };
        assert!(!may_evict(&pod, &asked_not_to, now));
        let later = now.plus_seconds(3_600);
        assert!(!may_evict(&pod, &options, later), "it is at work for long");
        let pending = Missed {
            is_pending: true,
            ..pod
        };
        assert!(may_evict(&pending, &options, later));
    }

    #[test]
    fn one_pod_of_an_owner_goes_first_and_the_others_when_that_has_helped() {
        let at = |second: i64| Some(Timestamp::from_unix_seconds(1_800_000_000 + second));
        let mut owners = Owners::default();
        owners.saw_injected("o".to_owned(), at(5));
        assert!(owners.may_lose("o"));
        owners.has_lost("o");
        assert!(!owners.may_lose("o") && owners.may_lose("other"));

        // Nothing new: another trial, and not many.
        for _ in 1..TRIALS {
            owners.begin();
            owners.saw_injected("o".to_owned(), at(5));
            assert!(owners.may_lose("o"));
            owners.has_lost("o");
            assert!(!owners.may_lose("o"));
        }
        owners.begin();
        owners.saw_injected("o".to_owned(), at(5));
        assert!(!owners.may_lose("o"));

        owners.begin();
        owners.saw_injected("o".to_owned(), at(9));
        owners.saw_injected("o".to_owned(), at(7));
        for _ in 0..5 {
            assert!(owners.may_lose("o"), "its successor was injected");
            owners.has_lost("o");
        }
    }

    #[test]
    fn a_pod_of_a_node_is_a_file_there() {
        let mut pod = pod();
        pod["metadata"]["ownerReferences"][0]["kind"] = "Node".into();
        assert_eq!(missed(&pod).unwrap().controller, None);
    }
}
