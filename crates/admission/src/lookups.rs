//! Fresh look-ups of accounts that the tables do not know, so that a pod that is made in the same moment as its account is not left without.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::flights::Flights;
use crate::{Account, Cluster, Known, LookUpError, Sources};

/// How many reviews may wait at a time. More are answered as if their look-ups had failed.
const MAX_WAITING: usize = 2_048;
/// How many accounts are looked up at a time.
const MAX_UNDER_WAY: usize = 32;
/// How long one look-up may take.
const ONE: Duration = Duration::from_secs(2);
/// How long an account that is known, and may have got a role a moment ago, is waited for: it probably has none.
const CONFIRMATION: Duration = Duration::from_secs(1);
/// The least time for a look-up, whatever the grace period says.
const LEAST: Duration = Duration::from_secs(1);
/// The pause after the first look-up in vain; each further one is twice as long, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(800);

/// What a look-up came to.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// What the account is: with a role, or without.
    Account(Known),
    /// The cluster has no such account.
    Absent,
    /// Nobody can tell.
    Undecided(Undecided),
}

/// Why nobody can tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Undecided {
    /// Too many reviews wait already.
    TooManyWaiting,
    /// The API server does not say.
    LookUp(LookUpError),
}

/// Look-ups under way: one an account, which all reviews that asked before it began share.
pub(crate) struct LookUps {
    sources: Arc<Sources>,
    cluster: Arc<dyn Cluster>,
    flights: Arc<Flights<Answer>>,
    places: Semaphore,
}

type Answer = Result<Option<Arc<Account>>, LookUpError>;

impl LookUps {
    pub(crate) fn new(sources: Arc<Sources>, cluster: Arc<dyn Cluster>) -> Arc<Self> {
        Arc::new(Self {
            sources,
            cluster,
            flights: Flights::new(MAX_UNDER_WAY),
            places: Semaphore::new(MAX_WAITING),
        })
    }

    /// Finds an account that the tables do not know, or not for certain (`before`). `grace`: how long one that does not exist is waited for; `limit`:
    /// how long anything may take.
    pub(crate) async fn find(
        self: &Arc<Self>,
        namespace: &str,
        name: &str,
        before: &Known,
        (grace, limit): (Duration, Duration),
    ) -> Found {
        let Ok(_place) = self.places.try_acquire() else {
            return Found::Undecided(Undecided::TooManyWaiting);
        };
        let period = match before {
            Known::PerhapsUnbound => CONFIRMATION,
            _ => grace.max(LEAST),
        };
        let start = Instant::now();
        let deadline = start + period.min(limit);
        // With no grace an account that does not exist is not waited for, though a look-up may take its time.
        let patience = start + grace.min(limit);
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = tokio::time::timeout_at(deadline, self.look_up(namespace, name)).await;
            let (found, until) = match answer.unwrap_or(Err(LookUpError::Deadline)) {
                Ok(Some(account)) => return Found::Account(self.sources.accounts.of(&account)),
                Ok(None) => (Found::Absent, patience.min(deadline)),
                Err(error) => (Found::Undecided(Undecided::LookUp(error)), deadline),
            };
            if Instant::now() + pause >= until {
                return found;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
            // The watch may have been faster.
            if let known @ (Known::Bound { .. } | Known::Unbound) = self.sources.accounts.get(namespace, name) {
                return Found::Account(known);
            }
        }
    }

    /// One look-up that begins after this call.
    async fn look_up(self: &Arc<Self>, namespace: &str, name: &str) -> Answer {
        let asked = (Arc::clone(self), namespace.to_owned(), name.to_owned());
        let ask = move || {
            let (look_ups, namespace, name) = asked.clone();
            async move { look_ups.ask(&namespace, &name).await }
        };
        let answer = self.flights.join(format!("{namespace}/{name}"), ask).await;
        answer.unwrap_or(Err(LookUpError::Deadline))
    }

    async fn ask(&self, namespace: &str, name: &str) -> Answer {
        let answered = tokio::time::timeout(ONE, self.cluster.look_up(namespace, name, ONE)).await;
        let found = answered.unwrap_or(Err(LookUpError::Deadline))?;
        Ok(found.map(|annotations| {
            let annotations = annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            Arc::new(self.sources.accounts.read(namespace, name, annotations))
        }))
    }

    /// How many accounts are being looked up.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.flights.len()
    }
}

#[cfg(test)]
mod tests;
