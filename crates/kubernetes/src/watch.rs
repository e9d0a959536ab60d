//! Lists that stay true: a paged list, then a watch from where it ended.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::Api;
use kube::runtime::watcher::{self, DefaultBackoff, Event};
use serde::de::DeserializeOwned;

use crate::cluster::chain;

/// The longest that one watch is left open before it is asked for anew, from where it is.
pub(crate) const LONGEST_WATCH: Duration = Duration::from_secs(290);
/// The shortest: below it, opening watches would be all that we do.
const SHORTEST_WATCH: Duration = Duration::from_secs(5);

/// How a list is kept true.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// How often a watch is opened anew, from where it is: a connection that died without a word is noticed by then. Kept between 5 and 290
    /// seconds.
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

/// What a list that stays true tells, in this order: a new list begins, what is on it, it is complete; then single changes, until a new list
/// begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change<T> {
    /// A new list begins: at the start, and when the API server no longer knows what happened since the last word.
    Relisting,
    /// An object is there: on the list, new, or changed.
    Present(T),
    /// The list is complete: what it did not name is no longer there.
    Complete,
    /// An object is no longer there.
    Removed(T),
}

/// Tells of every change until it is dropped; it never ends, and never gives up: an API server that is away, or that refuses, is asked again after
/// 0.8 to 30 seconds with jitter.
pub(crate) async fn follow<K>(
    what: &'static str,
    api: Api<K>,
    field_selector: Option<String>,
    options: WatchOptions,
    mut on_change: impl FnMut(Change<K>),
) where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let seconds = options.resync.clamp(SHORTEST_WATCH, LONGEST_WATCH).as_secs();
    let config = watcher::Config {
        field_selector,
        timeout: u32::try_from(seconds).ok(),
        page_size: Some(options.page_size),
        ..watcher::Config::default()
    };
    loop {
        let mut events = std::pin::pin!(watcher::watcher(api.clone(), config.clone()));
        let mut delays = DefaultBackoff::default();
        let mut failing = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if failing && matches!(event, Event::InitDone | Event::Apply(_) | Event::Delete(_)) {
                        tracing::info!(what, "the API server answers again");
                        failing = false;
                        delays = DefaultBackoff::default();
                    }
                    on_change(match event {
                        Event::Init => Change::Relisting,
                        Event::InitApply(object) | Event::Apply(object) => Change::Present(object),
                        Event::InitDone => Change::Complete,
                        Event::Delete(object) => Change::Removed(object),
                    });
                }
                Err(error) => {
                    let delay = delays.next().unwrap_or(LONGEST_WATCH);
                    let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    // A watch that is too old is everyday life; anything else is told once, and then with each attempt in the debug log.
                    if expired(&error) {
                        tracing::debug!(what, "the watch is too old, the list begins anew");
                        continue;
                    }
                    if failing {
                        tracing::debug!(what, error = chain(&error), retry_ms, "the API server still does not answer");
                    } else {
                        tracing::warn!(what, error = chain(&error), retry_ms, "the API server does not answer");
                    }
                    failing = true;
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }
}

/// The API server has forgotten where the watch stands: 410 Gone.
fn expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}
