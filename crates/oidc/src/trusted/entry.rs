use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use irsa_core::Timestamp;
use irsa_token::JwkSet;
use tokio::sync::watch;

use crate::FetchError;
use crate::fetch::Fetched;
use crate::freshness::Freshness;
use crate::options::FetchOptions;

/// How far apart the clocks of two calls may be, the waiting of a fetch for its turn included.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// What is known of one issuer in one account. All decisions about fetching are made here, under one short lock, with no IO.
pub(super) struct Entry {
    thumbprints: Vec<String>,
    last_used: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    good: Option<Good>,
    failure: Option<Failure>,
    /// No unknown key id causes a fetch before.
    unknown_key_after: Timestamp,
    /// The burst budget of an issuer that forbids caching, as the time at which it is whole again.
    revalidation_whole_at: Timestamp,
    /// Ends when the running fetch does.
    running: Option<watch::Receiver<()>>,
}

struct Good {
    keys: Arc<JwkSet>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
    /// Its issuer forbids caching.
    revalidate: bool,
}

struct Failure {
    error: FetchError,
    count: u32,
    retry_at: Timestamp,
}

/// What a call has done so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waited {
    No,
    /// A fetch that was running already: it may have missed a key that is older than this call.
    ForOthers,
    ForOwn,
}

/// What a call is to do next.
pub(super) enum Step {
    Answer(Result<Arc<JwkSet>, FetchError>),
    /// Answer, and fetch for those to come.
    AnswerAndBegin(Arc<JwkSet>, watch::Sender<()>),
    Join(watch::Receiver<()>),
    Begin(watch::Sender<()>, watch::Receiver<()>),
}

impl Entry {
    pub(super) fn new(thumbprints: &[String], now: Timestamp) -> Self {
        Self {
            thumbprints: thumbprints.to_vec(),
            last_used: AtomicI64::new(now.unix_millis()),
            state: Mutex::default(),
        }
    }

    pub(super) fn thumbprints(&self) -> &[String] {
        &self.thumbprints
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.last_used.store(now.unix_millis(), Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> i64 {
        self.last_used.load(Ordering::Relaxed)
    }

    pub(super) fn step(&self, kid: Option<&str>, now: Timestamp, waited: Waited, options: &FetchOptions) -> Step {
        let mut state = self.lock();
        if state
            .good
            .as_ref()
            .is_some_and(|good| now.since(good.fetched_at) > options.stale_limit)
        {
            state.good = None;
        }
        let has_key = state
            .good
            .as_ref()
            .is_some_and(|good| kid.is_none_or(|kid| good.keys.contains(kid)));
        let is_failing = state.failure.is_some();
        // Whatever a fetch brought is the answer, unless it lacks the key and began before this call.
        if waited == Waited::ForOwn || waited == Waited::ForOthers && (has_key || is_failing) {
            return Step::Answer(state.answer(has_key));
        }
        let pausing = state
            .failure
            .as_ref()
            .is_some_and(|failure| lies_ahead(failure.retry_at, now, options.maximum_retry));
        let is_running = state
            .running
            .as_ref()
            .is_some_and(|running| running.has_changed().is_ok());
        let fresh_until = state.good.as_ref().map_or(now, |good| good.fresh_until);
        let is_fresh = lies_ahead(fresh_until, now, options.maximum_lifetime);
        if let Some(good) = &state.good
            && has_key
            && (is_fresh || is_failing)
        {
            let keys = Arc::clone(&good.keys);
            // A set is fetched anew in its last quarter, so that no call waits for an issuer that is used; and an issuer that fails is
            // tried again behind the back of those whom the old set serves.
            let whole = fresh_until.since(good.fetched_at);
            let is_due = is_failing || fresh_until.since(now) < whole / 4;
            if !is_due || pausing || is_running {
                return Step::Answer(Ok(keys));
            }
            return Step::AnswerAndBegin(keys, state.begin().0);
        }
        if is_running && let Some(running) = &state.running {
            return Step::Join(running.clone());
        }
        if pausing || !state.may_fetch(is_fresh, now, options) {
            return Step::Answer(state.answer(has_key));
        }
        let (end, done) = state.begin();
        Step::Begin(end, done)
    }

    /// Takes the result of a fetch that began at `now` and took `elapsed`.
    pub(super) fn finish(
        &self,
        result: Result<Fetched, FetchError>,
        now: Timestamp,
        elapsed: Duration,
        options: &FetchOptions,
    ) {
        let mut state = self.lock();
        state.running = None;
        match result {
            Ok(fetched) => {
                let (lifetime, revalidate) = match fetched.freshness {
                    Freshness::Revalidate => (Duration::ZERO, true),
                    Freshness::Unsaid => (options.default_lifetime, false),
                    Freshness::For(lifetime) => (lifetime.max(options.minimum_lifetime), false),
                };
                state.good = Some(Good {
                    keys: fetched.keys,
                    fetched_at: now,
                    fresh_until: after(now, lifetime.min(options.maximum_lifetime)),
                    revalidate,
                });
                state.failure = None;
            }
            Err(error) => {
                // Who gives away private keys cannot be trusted by the old ones either.
                if matches!(error, FetchError::PrivateKeys { .. }) {
                    state.good = None;
                }
                let count = state
                    .failure
                    .as_ref()
                    .map_or(0, |failure| failure.count)
                    .saturating_add(1);
                let pause = options
                    .first_retry
                    .saturating_mul(1 << (count - 1).min(16))
                    .min(options.maximum_retry);
                state.failure = Some(Failure {
                    error,
                    count,
                    retry_at: after(after(now, elapsed), pause),
                });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The best that is known: the last good set, unless fetching fails and the set lacks the key.
    fn answer(&self, has_key: bool) -> Result<Arc<JwkSet>, FetchError> {
        match (&self.good, &self.failure) {
            (Some(good), None) => Ok(Arc::clone(&good.keys)),
            (Some(good), Some(_)) if has_key => Ok(Arc::clone(&good.keys)),
            (_, Some(failure)) => Err(failure.error.clone()),
            (None, None) => Err(FetchError::Abandoned { issuer: String::new() }),
        }
    }

    /// Whether a call that finds the known set too old, or without its key, may fetch; takes from the budget if so.
    fn may_fetch(&mut self, is_fresh: bool, now: Timestamp, options: &FetchOptions) -> bool {
        match &self.good {
            None => true,
            Some(good) if good.revalidate => {
                let interval = options.revalidation_interval;
                let burst = interval.saturating_mul(options.revalidation_burst.max(1));
                let from = if lies_ahead(self.revalidation_whole_at, now, burst) {
                    self.revalidation_whole_at
                } else {
                    now
                };
                let whole_at = after(from, interval);
                let allowed = whole_at.since(now) <= burst;
                if allowed {
                    self.revalidation_whole_at = whole_at;
                }
                allowed
            }
            Some(_) if is_fresh => {
                let allowed = !lies_ahead(self.unknown_key_after, now, options.unknown_key_interval);
                if allowed {
                    self.unknown_key_after = after(now, options.unknown_key_interval);
                }
                allowed
            }
            Some(_) => true,
        }
    }

    fn begin(&mut self) -> (watch::Sender<()>, watch::Receiver<()>) {
        let (end, done) = watch::channel(());
        self.running = Some(done.clone());
        (end, done)
    }
}

/// Whether `instant` is still to come, and not much further away than it can be: a clock that was set back must not keep anything waiting.
/// Calls that run side by side may come with times that are a little apart.
fn lies_ahead(instant: Timestamp, now: Timestamp, at_most: Duration) -> bool {
    instant > now && instant.since(now) <= at_most.saturating_add(CLOCK_TOLERANCE)
}

fn after(instant: Timestamp, duration: Duration) -> Timestamp {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_millis(instant.unix_millis().saturating_add(millis))
}
