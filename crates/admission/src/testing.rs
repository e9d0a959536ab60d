//! A cluster of the tests' own, and what they say to a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use irsa_webhook::{EnvSourceKind, Patch, Settings, apply};
use serde_json::{Value, json};

use crate::admission::{Admission, Entry};
use crate::{Annotations, Cluster, EnvLookUp, LookUp, LookUpError, OnRefusal, Report, Rules, Sources};

pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const LIMIT: Duration = Duration::from_secs(9);

/// The keys of one source of variables.
type Keys = Result<Option<Vec<String>>, LookUpError>;

/// What the API server says of every account that is looked up, and the reports it got.
pub(crate) struct FakeCluster {
    pub(crate) account: Mutex<Result<Option<Annotations>, LookUpError>>,
    pub(crate) reports: Mutex<Vec<Report>>,
    pub(crate) look_ups: Mutex<usize>,
    /// What it says of sources of variables, by their names; of others that they are not there.
    pub(crate) env_keys: Mutex<HashMap<&'static str, Keys>>,
    /// The sources that were asked for.
    pub(crate) env_asked: Mutex<Vec<String>>,
}

impl FakeCluster {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            account: Mutex::new(Ok(None)),
            reports: Mutex::default(),
            look_ups: Mutex::default(),
            env_keys: Mutex::default(),
            env_asked: Mutex::default(),
        })
    }

    pub(crate) fn away(&self) {
        let away = LookUpError::Unavailable {
            reason: "10.1.2.3 is away".to_owned(),
        };
        *self.account.lock().unwrap() = Err(away);
    }

    pub(crate) fn has(&self, annotations: &[(&str, &str)]) {
        let annotations = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        *self.account.lock().unwrap() = Ok(Some(annotations.collect()));
    }
}

impl Cluster for FakeCluster {
    fn look_up<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> LookUp<'a> {
        *self.look_ups.lock().unwrap() += 1;
        let answer = self.account.lock().unwrap().clone();
        Box::pin(async move { answer })
    }

    fn env_keys<'a>(&'a self, _: &'a str, kind: EnvSourceKind, name: &'a str, _: Duration) -> EnvLookUp<'a> {
        self.env_asked.lock().unwrap().push(format!("{kind} {name}"));
        let answer = self.env_keys.lock().unwrap().get(name).cloned().unwrap_or(Ok(None));
        Box::pin(async move { answer })
    }

    fn report(&self, report: Report) {
        self.reports.lock().unwrap().push(report);
    }
}

/// Admission in a cluster where `app/reader` has a role and `app/plain` has none.
pub(crate) struct Fixture {
    pub(crate) admission: Admission,
    pub(crate) cluster: Arc<FakeCluster>,
}

pub(crate) fn rules() -> Rules {
    Rules {
        on_refusal: OnRefusal::Deny,
        grace: Duration::from_secs(3),
        association_grace: Duration::ZERO,
        exempt_namespaces: vec!["webhook".to_owned()],
    }
}

pub(crate) fn fixture() -> Fixture {
    fixture_with(Settings::default(), rules())
}

pub(crate) fn fixture_with(settings: Settings, rules: Rules) -> Fixture {
    let sources = Sources::new(settings, false, true);
    sources.set_served(irsa_webhook::configured::ServedAccounts::default());
    let fixture = fixture_of(sources, rules);
    let accounts = &fixture.admission.sources.accounts;
    let role = [("eks.amazonaws.com/role-arn", ROLE)];
    accounts.replace(["app", "kube-system", "webhook"].into_iter().flat_map(|namespace| {
        [
            accounts.read(namespace, "reader", role),
            accounts.read(namespace, "plain", []),
        ]
    }));
    fixture
}

pub(crate) fn fixture_of(sources: Sources, rules: Rules) -> Fixture {
    let cluster = FakeCluster::new();
    let shared: Arc<dyn Cluster> = Arc::<FakeCluster>::clone(&cluster);
    Fixture {
        admission: Admission::new(Arc::new(sources), shared, rules),
        cluster,
    }
}

pub(crate) fn pod(account: &str) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"serviceAccountName": account, "containers": [{"name": "c"}]}})
}

/// A pod in which another volume has the token's name.
pub(crate) fn blocked(account: &str) -> Value {
    json!({"metadata": {"generateName": "p-", "ownerReferences": [
            {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "1"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "2", "controller": true}]},
        "spec": {"serviceAccountName": account, "volumes": [{"name": "aws-iam-token", "emptyDir": {}}],
            "containers": [{"name": "c"}]}})
}

pub(crate) fn review(namespace: &str, pod: &Value) -> Value {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "namespace": namespace, "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": pod}})
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) Value);

impl Said {
    pub(crate) fn allowed(&self) -> bool {
        self.0["response"]["allowed"].as_bool().unwrap()
    }

    pub(crate) fn message(&self) -> &str {
        self.0["response"]["status"]["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn reason(&self) -> &str {
        self.0["response"]["auditAnnotations"]["reason"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.0["response"]["warnings"].as_array();
        warnings
            .into_iter()
            .flatten()
            .map(|warning| warning.as_str().unwrap())
            .collect()
    }

    pub(crate) fn patch(&self) -> Option<Patch> {
        let patch = self.0["response"].get("patch")?;
        assert_eq!(self.0["response"]["patchType"], "JSONPatch");
        let patch = STANDARD.decode(patch.as_str().unwrap()).unwrap();
        Some(serde_json::from_slice(&patch).unwrap())
    }

    /// The pod as it comes out.
    pub(crate) fn applied(&self, pod: &Value) -> Value {
        let mut pod = pod.clone();
        if let Some(patch) = self.patch() {
            apply(&mut pod, &patch).unwrap();
        }
        pod
    }
}

impl Fixture {
    pub(crate) async fn ask(&self, entry: Entry, review: &Value) -> Said {
        let body = review.to_string();
        let answer = self
            .admission
            .answer(entry, Some(b"application/json"), body.as_bytes(), LIMIT)
            .await;
        Said(serde_json::from_str(&answer.unwrap()).unwrap())
    }

    /// A pod on the default path.
    pub(crate) async fn admit(&self, namespace: &str, pod: &Value) -> Said {
        self.ask(Entry::Default, &review(namespace, pod)).await
    }

    pub(crate) async fn fail_closed(&self, namespace: &str, pod: &Value) -> Said {
        self.ask(Entry::FailClosed, &review(namespace, pod)).await
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.cluster.reports.lock().unwrap().clone()
    }
}
