//! Events: what `kubectl describe` shows of an object's troubles.
//!
//! What is reported waits in a short queue and is written by one task, so that whoever reports never waits. The same words about the same object
//! are one Event that counts; an object gets so many a minute, and all of them together too.
//! See <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use irsa_core::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cluster::{Cluster, system_time};
use crate::error::CallError;
use crate::service_accounts::is_name;

/// Reports that may wait.
const QUEUE: usize = 1024;
/// Events that are remembered, to count on.
const REMEMBERED: usize = 4096;
/// How long an Event is counted on, rather than written anew; API servers keep them for an hour.
const COUNTED_FOR: Duration = Duration::from_secs(600);
/// The shortest between two writes of one Event.
const QUIET: Duration = Duration::from_secs(5);
/// Writes a second, of all Events.
const WRITES_PER_SECOND: u32 = 10;
/// The longest text that API servers take, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// Which object it is about.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ObjectReference {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its unique id; empty if it is not known.
    pub uid: String,
}

/// A warning about an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// Whom it is about.
    pub about: ObjectReference,
    /// In one word, in camel case.
    pub reason: String,
    /// In a sentence; cut after a kilobyte.
    pub message: String,
}

/// Writes Events on behalf of everybody who has a clone of this.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Warning>);

impl Events {
    /// Begins to write, as `component`. It ends when the last clone is gone.
    ///
    /// Needs `create` and `patch` of `events`; without, what is reported is only logged.
    #[must_use]
    pub fn start(cluster: &Cluster, component: &str) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer {
            cluster: cluster.clone(),
            component: component.to_owned(),
            remembered: HashMap::new(),
            order: VecDeque::new(),
            limiter: crate::limiter::Limiter::new(WRITES_PER_SECOND, 4 * WRITES_PER_SECOND),
            refused: false,
        };
        tokio::spawn(writer.run(receiver));
        Self(sender)
    }

    /// Reports, without waiting for anything; a report that finds the queue full is dropped.
    pub fn warn(&self, warning: Warning) {
        if self.0.try_send(warning).is_err() {
            tracing::debug!("too many Events at once, one is dropped");
        }
    }
}

struct Writer {
    cluster: Cluster,
    component: String,
    remembered: HashMap<(ObjectReference, String, String), Written>,
    /// The remembered ones, oldest first.
    order: VecDeque<(ObjectReference, String, String)>,
    limiter: crate::limiter::Limiter,
    /// Whether it was already told that we may not.
    refused: bool,
}

struct Written {
    name: String,
    count: i32,
    first: Instant,
    last: Instant,
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<Warning>) {
        while let Some(warning) = receiver.recv().await {
            if let Err(error) = self.write(warning).await {
                if error.is_forbidden() && !std::mem::replace(&mut self.refused, true) {
                    tracing::warn!(%error, "Events can't be written");
                } else {
                    tracing::debug!(%error, "an Event is not written");
                }
            }
        }
    }

    async fn write(&mut self, mut warning: Warning) -> Result<(), CallError> {
        let (namespace, name) = (&warning.about.namespace, &warning.about.name);
        // These come from pods, and become parts of a path.
        if !is_name(namespace) || name.is_empty() {
            return Ok(());
        }
        truncate(&mut warning.message);
        let api: Api<Event> = Api::namespaced(self.cluster.client(), namespace);
        let key = (warning.about.clone(), warning.reason.clone(), warning.message.clone());
        let now = system_time();
        if let Some(written) = self.remembered.get_mut(&key)
            && written.first.elapsed() < COUNTED_FOR
        {
            written.count = written.count.saturating_add(1);
            if written.last.elapsed() < QUIET {
                return Ok(());
            }
            written.last = Instant::now();
            self.limiter.wait().await;
            let patch = Patch::Merge(json!({"count": written.count, "lastTimestamp": now.iso8601()}));
            let name = written.name.clone();
            let patched = self
                .cluster
                .call(api.patch(&name, &PatchParams::default(), &patch))
                .await;
            match patched {
                Err(error) if error.is_not_found() => {}
                other => return other.map(drop),
            }
        }
        self.limiter.wait().await;
        let event = event(&warning, &self.component, now)?;
        let name = event.metadata.name.clone().unwrap_or_default();
        self.cluster.call(api.create(&PostParams::default(), &event)).await?;
        self.remember(key, name);
        Ok(())
    }

    fn remember(&mut self, key: (ObjectReference, String, String), name: String) {
        let written = Written {
            name,
            count: 1,
            first: Instant::now(),
            last: Instant::now(),
        };
        if self.remembered.insert(key.clone(), written).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }
}

fn event(warning: &Warning, component: &str, now: Timestamp) -> Result<Event, CallError> {
    let about = &warning.about;
    // A name that no other Event has; of the object's own name only what may stand there.
    let mut stem: String = about.name.to_ascii_lowercase();
    stem.retain(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    let stem: String = stem.trim_matches('-').chars().take(200).collect();
    let id = uuid::Uuid::new_v4().simple();
    let name = if stem.is_empty() {
        format!("x.{id}")
    } else {
        format!("{stem}.{id}")
    };
    let mut object = json!({
        "apiVersion": about.api_version, "kind": about.kind, "namespace": about.namespace, "name": about.name,
    });
    if !about.uid.is_empty() {
        object["uid"] = about.uid.as_str().into();
    }
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": about.namespace},
        "involvedObject": object, "type": "Warning", "reason": warning.reason, "message": warning.message,
        "source": {"component": component}, "count": 1, "firstTimestamp": now.iso8601(), "lastTimestamp": now.iso8601(),
    }))
    .map_err(|error| CallError::Unreachable(error.to_string()))
}

fn truncate(message: &mut String) {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE - 3)
            .rev()
            .find(|&end| message.is_char_boundary(end));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fake::{Reply, Requests, api_server};

    fn warning(message: &str) -> Warning {
        Warning {
            about: ObjectReference {
                api_version: "apps/v1".to_owned(),
                kind: "ReplicaSet".to_owned(),
                namespace: "app".to_owned(),
                name: "web-5d4".to_owned(),
                uid: "u-1".to_owned(),
            },
            reason: "CredentialsMissing".to_owned(),
            message: message.to_owned(),
        }
    }

    async fn until(requests: &Requests, count: usize) -> Vec<(String, Value)> {
        loop {
            let asked = requests.lock().unwrap().clone();
            if asked.len() >= count {
                let read = |body: &str| serde_json::from_str(body).unwrap_or_default();
                return asked.into_iter().map(|(head, body)| (head, read(&body))).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn the_same_words_are_one_event() {
        let (cluster, requests) = api_server(|_, body| Reply::Json(201, serde_json::from_str(body).unwrap())).await;
        let events = Events::start(&cluster, "pod-identity-webhook");
        for message in ["no role", "no role", "no role", "no volume"] {
            events.warn(warning(message));
        }
        let asked = until(&requests, 2).await;
        assert_eq!(asked.len(), 2, "{asked:?}");
        for ((head, body), message) in asked.iter().zip(["no role", "no volume"]) {
            assert_eq!(head, "POST /api/v1/namespaces/app/events?");
            assert_eq!(body["message"], message);
            assert_eq!(body["involvedObject"]["uid"], "u-1");
            assert_eq!(body["type"], "Warning");
            assert!(body["metadata"]["name"].as_str().unwrap().starts_with("web-5d4."));
        }
    }

    #[tokio::test]
    async fn names_from_pods_never_become_paths_and_texts_are_cut() {
        let (cluster, requests) = api_server(|_, body| Reply::Json(201, serde_json::from_str(body).unwrap())).await;
        let events = Events::start(&cluster, "webhook");
        let mut foreign = warning("x");
        foreign.about.namespace = "../../secrets".to_owned();
        events.warn(foreign);
        let mut odd = warning(&"é".repeat(2_000));
        odd.about.name = "../É?".to_owned();
        events.warn(odd);
        let asked = until(&requests, 1).await;
        assert_eq!(asked[0].0, "POST /api/v1/namespaces/app/events?");
        assert!(asked[0].1["message"].as_str().unwrap().len() <= LONGEST_MESSAGE);
        assert!(asked[0].1["metadata"]["name"].as_str().unwrap().starts_with("x."));
    }
}
