//! A serving certificate that needs nobody: in a Secret, the same for all replicas, and trusted by the API server before it is shown.
//!
//! No replica leads. Each one sees the same Secret and comes to the same next step; the one whose compare-and-swap on the Secret's
//! `resourceVersion` is first has taken it, the others see what it wrote. What is valid now is judged by the API server's clock, since it is the API
//! server that judges the certificate.

mod bundle;
mod secret;
mod slots;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use irsa_core::Timestamp;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::secret::Found;
pub use self::slots::Rotation;
use self::slots::{Pair, Slots, Step};
use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::error::CallError;
use crate::watch::{WatchOptions, follow_one};

/// How long a start waits for the webhook configuration: it may be that we can't read it at all.
const CONFIGURATION_LIMIT: Duration = Duration::from_secs(10);
/// The longest between two looks at clock and slots.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the API server's clock is believed without another look.
const CLOCK_LIMIT: Duration = Duration::from_secs(600);

/// Whose certificate, and where it lies.
#[derive(Clone, Debug)]
pub struct CertificateOptions {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The Secret. It is made if it is not there, and taken over if it is; one that cert-manager keeps is left alone.
    pub secret: String,
    /// DNS names and addresses of the server, the most important one first.
    pub names: Vec<String>,
    /// The MutatingWebhookConfiguration whose entries are to trust it.
    pub webhook_configuration: String,
    /// When it is replaced.
    pub rotation: Rotation,
    /// How the two objects are watched.
    pub watch: WatchOptions,
}

/// The names of a Service for clients inside of its cluster.
#[must_use]
pub fn service_names(service: &str, namespace: &str) -> Vec<String> {
    vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.to_owned(),
    ]
}

/// What the watches have told; `None`: nothing yet.
#[derive(Default)]
struct Seen {
    secret: Option<Option<Secret>>,
    configuration: Option<Option<MutatingWebhookConfiguration>>,
}

struct Keeper<'a, F> {
    cluster: &'a Cluster,
    options: &'a CertificateOptions,
    seen: &'a Mutex<Seen>,
    changed: &'a Notify,
    on_certificate: F,
    /// The one that is shown, and when it ends in seconds of Unix time.
    shown: Option<(String, i64)>,
    clock: Clock,
    patches: Backoff,
    patch_not_before: Instant,
}

/// Keeps a serving certificate, and the trust in it, until it is dropped; it never ends. `on_certificate` gets the certificate and its key in PEM,
/// whenever another one is to be shown; if it can't use them, new ones are made.
///
/// Needs `get`, `list`, `watch` and `update` of that one Secret, `create` of Secrets if it is not there, and `list`, `watch` and `patch` of that one
/// MutatingWebhookConfiguration. An API server that is away, or that refuses, is asked again.
pub async fn keep_certificate<E: std::fmt::Display>(
    cluster: &Cluster,
    options: &CertificateOptions,
    on_certificate: impl FnMut(&str, &str) -> Result<(), E>,
) {
    let (seen, changed) = (Mutex::new(Seen::default()), Notify::new());
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), &options.namespace);
    let secrets = follow_one(
        "the certificate's Secret",
        cluster,
        secrets,
        &options.secret,
        options.watch,
        |secret| {
            lock().secret = Some(secret);
            changed.notify_one();
        },
    );
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(cluster.client());
    let name = &options.webhook_configuration;
    let configurations = follow_one(
        "the webhook configuration",
        cluster,
        configurations,
        name,
        options.watch,
        |found| {
            lock().configuration = Some(found);
            changed.notify_one();
        },
    );
    let keeper = Keeper {
        cluster,
        options,
        seen: &seen,
        changed: &changed,
        on_certificate,
        shown: None,
        clock: Clock::default(),
        patches: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        patch_not_before: Instant::now(),
    };
    tokio::join!(secrets, configurations, keeper.run());
}

impl<E: std::fmt::Display, F: FnMut(&str, &str) -> Result<(), E>> Keeper<'_, F> {
    async fn run(mut self) {
        let started = Instant::now();
        let mut failures = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        loop {
            let (secret, configuration) = {
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                (seen.secret.clone(), seen.configuration.clone())
            };
            let ready = configuration.is_some() || started.elapsed() >= CONFIGURATION_LIMIT;
            let pause = match secret {
                Some(secret) if ready => match self.turn(secret, configuration.flatten()).await {
                    Ok(pause) => {
                        failures.reset();
                        pause
                    }
                    Err(error) => {
                        let delay = failures.delay();
                        let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                        tracing::warn!(error, retry_ms, "the serving certificate can't be kept current");
                        tokio::time::sleep(delay).await;
                        Duration::ZERO
                    }
                },
                _ => CONFIGURATION_LIMIT
                    .saturating_sub(started.elapsed())
                    .max(Duration::from_secs(1)),
            };
            // Either a change or the time for the next look.
            let _ = timeout(pause.min(LONGEST_PAUSE), self.changed.notified()).await;
        }
    }

    /// One look at everything, and what follows from it; how long there is nothing more to do, unless something changes.
    async fn turn(
        &mut self,
        secret: Option<Secret>,
        configuration: Option<MutatingWebhookConfiguration>,
    ) -> Result<Duration, String> {
        let now = self.clock.now(self.cluster).await;
        let slots = match secret.as_ref().map(secret::read) {
            None | Some(Found::Nothing) => None,
            Some(Found::Slots(slots)) => Some(*slots),
            Some(Found::Foreign(keeper)) => {
                let name = &self.options.secret;
                return Err(format!(
                    "the Secret `{name}` is kept by {keeper}: name another one, or take its files instead"
                ));
            }
        };
        let trusted = |pair: &Pair| {
            let trusts = |configuration| bundle::trusts(configuration, &pair.about.authority);
            configuration.as_ref().is_none_or(trusts)
        };
        let next_is_trusted = slots.as_ref().and_then(|slots| slots.next.as_ref()).is_none_or(trusted);
        let (names, rotation) = (&self.options.names, self.options.rotation);
        let step = slots::step(slots.as_ref(), names, rotation, next_is_trusted, now);
        let make = || Pair::make(names, rotation, now).map_err(|error| error.to_string());
        let written = match (step, &slots) {
            (Step::Wait(pause), Some(slots)) => return self.serve(slots, configuration, pause).await,
            (Step::Publish, Some(slots)) => Slots {
                next: Some(make()?),
                ..slots.clone()
            },
            (Step::Promote, Some(slots)) => slots.promote(rotation, now),
            (Step::Prune, Some(slots)) => slots.prune(now),
            _ => Slots::create(
                make()?,
                configuration.as_ref().map(bundle::trusted).unwrap_or_default(),
                now,
            ),
        };
        self.write(secret, &written, step).await?;
        Ok(Duration::ZERO)
    }

    /// Makes the API server trust what is stored, and shows it.
    async fn serve(
        &mut self,
        slots: &Slots,
        configuration: Option<MutatingWebhookConfiguration>,
        pause: Duration,
    ) -> Result<Duration, String> {
        let patch = configuration
            .as_ref()
            .and_then(|found| bundle::patch(found, &slots.authorities()));
        let mut outcome = Ok(pause);
        if let Some(patch) = patch {
            let now = Instant::now();
            if now < self.patch_not_before {
                outcome = Ok(pause.min(self.patch_not_before - now));
            } else {
                // Who writes it again and again is not to be outrun.
                if now > self.patch_not_before + LONGEST_PAUSE {
                    self.patches.reset();
                }
                self.patch_not_before = now + self.patches.delay();
                outcome = self.patch(&patch, slots).await.map_err(|error| {
                    let name = &self.options.webhook_configuration;
                    format!("the caBundle of `{name}` can't be written: {error}")
                });
            }
        }
        // What the API server does not trust is shown only where there is nothing better: the trust may be another's business, that we may not write.
        let trusts = |found| bundle::trusts(found, &slots.current.about.authority);
        let is_trusted = configuration.as_ref().is_none_or(trusts);
        let has_better = match &self.shown {
            Some((_, expires)) => *expires > self.clock.now(self.cluster).await.unix_seconds(),
            None => false,
        };
        if !is_trusted && (outcome.is_ok() || has_better) {
            return outcome;
        }
        let shown = (slots.current.certificate.clone(), slots.current.about.expires);
        if self.shown.as_ref() != Some(&shown) {
            if let Err(error) = (self.on_certificate)(&slots.current.certificate, &slots.current.key) {
                tracing::error!(%error, secret = self.options.secret, "the stored certificate can't be used, another one is made");
                let now = self.clock.now(self.cluster).await;
                let pair =
                    Pair::make(&self.options.names, self.options.rotation, now).map_err(|error| error.to_string())?;
                let trusted = slots.authorities().into_iter().map(str::to_owned).collect();
                let secret = self
                    .seen
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .secret
                    .clone()
                    .flatten();
                self.write(secret, &Slots::create(pair, trusted, now), Step::Create)
                    .await?;
                return Ok(Duration::ZERO);
            }
            let expires = Timestamp::from_unix_seconds(slots.current.about.expires).iso8601();
            tracing::info!(
                secret = self.options.secret,
                expires,
                "another serving certificate is shown"
            );
            self.shown = Some(shown);
        }
        outcome
    }

    /// Compare-and-swap: whoever was faster has won, and its watch event is on the way.
    async fn write(&self, secret: Option<Secret>, slots: &Slots, step: Step) -> Result<(), String> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), &self.options.namespace);
        let name = self.options.secret.as_str();
        let existing = secret.is_some();
        let blank = || Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.options.namespace.clone()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Secret::default()
        };
        let secret = secret::write(&secret.unwrap_or_else(blank), slots).map_err(|error| error.to_string())?;
        let parameters = PostParams::default();
        let written = if existing {
            self.cluster.call(secrets.replace(name, &parameters, &secret)).await
        } else {
            self.cluster.call(secrets.create(&parameters, &secret)).await
        };
        match written {
            Ok(secret) => {
                tracing::info!(secret = name, ?step, "the serving certificate's Secret is written");
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.secret = Some(Some(secret));
                self.changed.notify_one();
                Ok(())
            }
            Err(error) if error.is_conflict() => {
                tracing::debug!(secret = name, ?step, "another replica was faster");
                // Its event tells what it wrote; a lost one is made up for by a look.
                let found = self
                    .cluster
                    .call(secrets.get_opt(name))
                    .await
                    .map_err(|error| error.to_string())?;
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).secret = Some(found);
                self.changed.notify_one();
                Ok(())
            }
            Err(error) => Err(format!("the Secret `{name}` can't be written: {error}")),
        }
    }

    /// Writes what `slots` come to; a replica that has not heard of the Secret for a while learns it first, since its old word would take away the
    /// trust in what others serve by now.
    async fn patch(&self, operations: &serde_json::Value, slots: &Slots) -> Result<Duration, CallError> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), &self.options.namespace);
        let found = self.cluster.call(secrets.get_opt(&self.options.secret)).await?;
        if found.as_ref().map(secret::read) != Some(Found::Slots(Box::new(slots.clone()))) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).secret = Some(found);
            return Ok(Duration::ZERO);
        }
        let unreadable = |error: serde_json::Error| CallError::Unreachable(error.to_string());
        let patch: Patch<()> = Patch::Json(serde_json::from_value(operations.clone()).map_err(unreadable)?);
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(self.cluster.client());
        let name = self.options.webhook_configuration.as_str();
        let patched = self
            .cluster
            .call(configurations.patch(name, &PatchParams::default(), &patch))
            .await?;
        tracing::info!(webhook_configuration = name, "its caBundle is current");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.configuration = Some(Some(patched));
        self.changed.notify_one();
        Ok(Duration::ZERO)
    }
}

/// The API server's clock.
#[derive(Default)]
struct Clock {
    /// How far it was ahead of ours, in milliseconds, and when it was asked.
    ahead: Option<(i64, Instant)>,
}

impl Clock {
    /// Our own clock, until the API server has told its time.
    async fn now(&mut self, cluster: &Cluster) -> Timestamp {
        let ours = crate::cluster::system_time;
        if self.ahead.is_none_or(|(_, asked)| asked.elapsed() >= CLOCK_LIMIT)
            && let Ok(theirs) = cluster.server_time().await
        {
            let ahead = theirs.unix_millis().saturating_sub(ours().unix_millis());
            if ahead.abs() > 60_000 {
                tracing::warn!(
                    ahead_ms = ahead,
                    "our clock is not the API server's: certificates follow the latter"
                );
            }
            self.ahead = Some((ahead, Instant::now()));
        }
        let ahead = self.ahead.map_or(0, |(ahead, _)| ahead);
        Timestamp::from_unix_millis(ours().unix_millis().saturating_add(ahead))
    }
}
