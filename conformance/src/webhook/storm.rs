//! Pods are created without pause while the webhook's replicas are killed and started again without pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Installation, Webhook, is_injected, pod, pods};

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
/// Creations at a time.
const CREATORS: usize = 8;
/// How long a replica lives after it has become ready.
const LIFE: Duration = Duration::from_millis(300);

/// What goes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outage {
    /// One replica after the other.
    OneAtATime,
    /// Both at once.
    Both,
    /// One replica that is alone, pods of accounts with roles are in no namespace that fails closed, and nothing is looked up: what the manifests and flags of the
    /// reference webhook come to.
    ReferenceDefaults,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct StormReport {
    /// Pods of accounts with a role that were created in the end.
    pub bound: usize,
    /// Those of them that have no credentials.
    pub missed: usize,
    /// Creations that were refused or failed, and were tried again, as controllers do.
    pub retries: usize,
    /// Pods of accounts without a role that were created.
    pub unbound: usize,
    /// Those that were refused.
    pub refused: usize,
    /// Replicas that were killed.
    pub kills: usize,
    /// From the first creation to the last.
    pub elapsed: Duration,
}

/// Creates so many pods, half of them of accounts with a role.
///
/// # Errors
/// The API server can't be reached, or a replica does not start.
pub async fn storm(count: usize, outage: Outage) -> Result<StormReport> {
    let (replicas, more): (usize, &[&str]) = match outage {
        Outage::OneAtATime | Outage::Both => (2, &["--backstop-period=0s"]),
        Outage::ReferenceDefaults => (1, &["--backstop-period=0s", "--service-account-lookup-grace-period=0s"]),
    };
    let mut installation = Installation::start(replicas, more)?;
    for namespace in ["bound", "plain"] {
        installation.control_plane.must(&["create", "namespace", namespace])?;
    }
    if outage != Outage::ReferenceDefaults {
        let label = "eks.amazonaws.com/pod-identity-fail-closed=true";
        installation
            .control_plane
            .must(&["label", "namespace", "bound", label])?;
    }
    installation.account("bound", "reader", Some(ROLE)).await?;
    installation.account("plain", "web", None).await?;
    let mut webhooks = std::mem::take(&mut installation.replicas);
    let installation = Arc::new(installation);

    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let killer = std::thread::spawn(move || {
        let mut kills = 0;
        while !stopped.load(Ordering::Relaxed) {
            match outage {
                Outage::Both => {
                    webhooks.iter_mut().for_each(Webhook::kill);
                    kills += webhooks.len();
                    for webhook in &mut webhooks {
                        webhook.spawn()?;
                    }
                    for webhook in &mut webhooks {
                        webhook.wait_until_ready()?;
                    }
                    std::thread::sleep(LIFE);
                }
                Outage::OneAtATime | Outage::ReferenceDefaults => {
                    for webhook in &mut webhooks {
                        webhook.kill();
                        kills += 1;
                        webhook.start()?;
                        std::thread::sleep(LIFE);
                    }
                }
            }
        }
        Ok::<_, anyhow::Error>((kills, webhooks))
    });

    let started = Instant::now();
    let (next, retries, refused) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let creators: Vec<_> = (0..CREATORS)
        .map(|_| {
            let (installation, next) = (Arc::clone(&installation), Arc::clone(&next));
            let (retries, refused, stop) = (Arc::clone(&retries), Arc::clone(&refused), Arc::clone(&stop));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || stop.load(Ordering::Relaxed) {
                        return Ok::<_, anyhow::Error>(());
                    }
                    let is_bound = number % 2 == 0;
                    let (namespace, account) = if is_bound {
                        ("bound", "reader")
                    } else {
                        ("plain", "web")
                    };
                    let pod = pod(&format!("p-{number}"), account);
                    while installation.api.call("POST", &pods(namespace), Some(&pod)).await?.0 != 201 {
                        if !is_bound {
                            refused.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        retries.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        })
        .collect();
    let mut outcome = Ok(());
    for creator in creators {
        outcome = outcome.and(creator.await?);
    }
    let elapsed = started.elapsed();
    stop.store(true, Ordering::Relaxed);
    let killed = killer
        .join()
        .map_err(|_| anyhow::anyhow!("the thread that kills has panicked"))?;
    outcome?;
    let (kills, _webhooks) = killed?;
    let bound = installation.api.list(&pods("bound")).await?;
    let unbound = installation.api.list(&pods("plain")).await?;
    Ok(StormReport {
        bound: bound.len(),
        missed: bound.iter().filter(|pod| !is_injected(pod)).count(),
        retries: retries.load(Ordering::Relaxed),
        unbound: unbound.len(),
        refused: refused.load(Ordering::Relaxed),
        kills,
        elapsed,
    })
}

/// Creates so many accounts, and a pod of each in the same moment; the names of those that were not injected. Two of three accounts are made with
/// their role, the third is annotated after it was made, as `kubectl create` and `kubectl annotate` do it.
///
/// # Errors
/// The API server refuses something.
pub async fn missed_of_fresh_accounts(
    installation: &Arc<Installation>,
    namespace: &'static str,
    count: usize,
) -> Result<Vec<String>> {
    let workers: Vec<_> = (0..CREATORS)
        .map(|worker| {
            let installation = Arc::clone(installation);
            tokio::spawn(async move {
                let mut missed = Vec::new();
                for number in (worker..count).step_by(CREATORS) {
                    let name = format!("reader-{number}");
                    let is_annotated = number % 3 != 0;
                    installation
                        .account(namespace, &name, is_annotated.then_some(ROLE))
                        .await?;
                    if !is_annotated {
                        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
                        let patch = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}});
                        installation.api.must("PATCH", &path, Some(&patch)).await?;
                    }
                    let created = installation
                        .api
                        .must("POST", &pods(namespace), Some(&pod(&name, &name)))
                        .await?;
                    if !is_injected(&created) {
                        missed.push(name);
                    }
                }
                Ok::<_, anyhow::Error>(missed)
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await??);
    }
    Ok(all)
}

/// The same on a control plane of its own, where nothing fails closed: how many were missed, and how long it took.
///
/// # Errors
/// As there.
pub async fn fresh_accounts(count: usize) -> Result<(usize, Duration)> {
    let installation = Arc::new(Installation::start(2, &["--backstop-period=0s"])?);
    installation.control_plane.must(&["create", "namespace", "app"])?;
    let started = Instant::now();
    let missed = missed_of_fresh_accounts(&installation, "app", count).await?;
    Ok((missed.len(), started.elapsed()))
}

impl StormReport {
    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"bound": self.bound, "missed": self.missed, "retries": self.retries, "unbound": self.unbound, "refused": self.refused,
            "kills": self.kills, "seconds": self.elapsed.as_secs()})
    }
}
