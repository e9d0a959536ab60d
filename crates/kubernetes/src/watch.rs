//! Lists that stay true: a paged list, then a watch from where it ended.
//!
//! See <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::core::Status;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::error::CallError;

/// The longest that one watch is left open before it is asked for anew, from where it is; API servers refuse more than 295 seconds.
pub(crate) const LONGEST_WATCH: Duration = Duration::from_secs(290);
/// The shortest: below it, opening watches would be all that we do.
const SHORTEST_WATCH: Duration = Duration::from_secs(5);
/// How much later than it said itself a watch may end.
const LATE: Duration = Duration::from_secs(5);
/// How long after the first failure what is known counts as old.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a list is kept true.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// How often a watch is opened anew, from where it is: a connection that died without a word is noticed by then, if HTTP/2 has not told before
    /// ([`ClusterOptions::silence`](crate::ClusterOptions::silence)). Kept between 5 and 290 seconds.
    pub resync: Duration,
    /// Objects a page of the list.
    pub page_size: u32,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(60),
            page_size: 500,
        }
    }
}

/// What a list that stays true tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change<T> {
    /// A list begins: at the start, and when the API server no longer knows what happened since the last word.
    Relisting,
    /// An object is there: on the list, or, after it, new or changed.
    Present(T),
    /// The list is complete: what it did not name is no longer there.
    Complete,
    /// An object is no longer there.
    Removed(T),
    /// For ten seconds or more, nobody could tell what has changed. Not told before the first list is complete.
    Lost,
    /// What has changed is told again, what was missed included.
    Found,
}

/// The state of one list.
struct Follower<'a, K, F> {
    what: &'static str,
    cluster: &'a Cluster,
    api: Api<K>,
    field_selector: Option<String>,
    options: WatchOptions,
    on_change: F,
    backoff: Backoff,
    /// Since when it fails.
    failing: Option<Instant>,
    /// Whether that was told.
    lost: bool,
    /// Whether a list was ever complete.
    listed: bool,
}

/// Why a watch is not simply opened again.
enum End {
    /// The API server has forgotten where it was: 410 Gone.
    Expired,
    Failed(CallError),
}

impl From<kube::Error> for End {
    fn from(error: kube::Error) -> Self {
        Self::from(CallError::from(error))
    }
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { code: 410, .. } => Self::Expired,
            error => Self::Failed(error),
        }
    }
}

impl From<Box<Status>> for End {
    fn from(status: Box<Status>) -> Self {
        Self::from(kube::Error::Api(status))
    }
}

/// Tells of every change until it is dropped; it never ends, and never gives up: an API server that is away, or that refuses, is asked again after
/// half a second to half a minute.
pub(crate) async fn follow<K>(
    what: &'static str,
    cluster: &Cluster,
    api: Api<K>,
    field_selector: Option<String>,
    options: WatchOptions,
    on_change: impl FnMut(Change<K>),
) where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let follower = Follower {
        what,
        cluster,
        api,
        field_selector,
        options,
        on_change,
        backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(30)),
        failing: None,
        lost: false,
        listed: false,
    };
    follower.run().await;
}

impl<K, F> Follower<'_, K, F>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: FnMut(Change<K>),
{
    async fn run(mut self) {
        let mut version = None;
        loop {
            let started = Instant::now();
            let listing = version.is_none();
            let ended = match version.as_mut() {
                None => self.list().await.map(|listed| version = Some(listed)),
                Some(version) => self.watch(version).await,
            };
            match ended {
                Ok(()) if listing => {}
                // Something between us and the API server closes whatever is open.
                Ok(()) if started.elapsed() < SHORTEST_WATCH / 2 => sleep(self.backoff.delay()).await,
                Ok(()) => self.backoff.reset(),
                Err(End::Expired) => {
                    tracing::info!(what = self.what, "the watch is too old, the list begins anew");
                    version = None;
                    sleep(self.backoff.delay()).await;
                }
                Err(End::Failed(error)) => {
                    let delay = self.backoff.delay();
                    let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(what = self.what, %error, retry_ms, "the cluster can't be watched");
                    let since = *self.failing.get_or_insert_with(Instant::now);
                    sleep(delay).await;
                    if self.listed && !self.lost && since.elapsed() >= PATIENCE {
                        self.lost = true;
                        (self.on_change)(Change::Lost);
                    }
                }
            }
        }
    }

    /// Tells of all pages; the version that a watch goes on from.
    async fn list(&mut self) -> Result<String, End> {
        let mut parameters = ListParams {
            field_selector: self.field_selector.clone(),
            limit: Some(self.options.page_size),
            ..ListParams::default()
        };
        let started = Instant::now();
        let mut count = 0_usize;
        (self.on_change)(Change::Relisting);
        loop {
            let page = self.cluster.call(self.api.list(&parameters)).await?;
            count = count.saturating_add(page.items.len());
            for object in page.items {
                (self.on_change)(Change::Present(object));
            }
            parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                self.listed = true;
                (self.on_change)(Change::Complete);
                let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(what = self.what, count, elapsed_ms, "listed");
                return Ok(page.metadata.resource_version.unwrap_or_default());
            }
        }
    }

    /// Tells of changes after `version`, which it moves on, until the watch ends as it should.
    async fn watch(&mut self, version: &mut String) -> Result<(), End> {
        let length = self.options.resync.clamp(SHORTEST_WATCH, LONGEST_WATCH);
        let mut parameters = WatchParams::default().timeout(u32::try_from(length.as_secs()).unwrap_or(60));
        parameters.field_selector.clone_from(&self.field_selector);
        let opening = async {
            let events = self.api.watch(&parameters, version).await?;
            Ok(events.boxed())
        };
        let mut events = self.cluster.call(opening).await?;
        if self.failing.take().is_some() {
            tracing::info!(what = self.what, "the cluster is watched again");
        }
        if std::mem::take(&mut self.lost) {
            (self.on_change)(Change::Found);
        }
        let ends = Instant::now() + length + LATE;
        // Silence is no news: bookmarks come once a minute, from some API servers less often.
        while let Ok(Some(event)) = timeout(ends.saturating_duration_since(Instant::now()), events.next()).await {
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    move_on(version, &object);
                    (self.on_change)(Change::Present(object));
                }
                WatchEvent::Deleted(object) => {
                    move_on(version, &object);
                    (self.on_change)(Change::Removed(object));
                }
                WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => return Err(End::from(status)),
            }
            self.backoff.reset();
        }
        Ok(())
    }
}

/// Follows one object by its name: tells of it as it is now, and `None` where it is not there. The first word is that of a complete list.
pub(crate) async fn follow_one<K>(
    what: &'static str,
    cluster: &Cluster,
    api: Api<K>,
    name: &str,
    options: WatchOptions,
    mut on_change: impl FnMut(Option<K>),
) where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let selector = Some(format!("metadata.name={name}"));
    let is_it = |object: &K| object.meta().name.as_deref() == Some(name);
    let mut seen = false;
    follow(what, cluster, api, selector, options, |change| match change {
        Change::Relisting => seen = false,
        Change::Present(object) if is_it(&object) => {
            seen = true;
            on_change(Some(object));
        }
        Change::Removed(object) if is_it(&object) => on_change(None),
        Change::Complete if !seen => on_change(None),
        _ => {}
    })
    .await;
}

fn move_on<K: kube::Resource>(version: &mut String, object: &K) {
    if let Some(newer) = &object.meta().resource_version {
        version.clone_from(newer);
    }
}

#[cfg(test)]
mod tests;
