//! What a pod's containers take from ConfigMaps and Secrets, looked up while the review waits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use irsa_webhook::{EnvKeys, EnvSource, Warning};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::flights::Flights;
use crate::{Cluster, LookUpError};

/// How many reviews may wait at a time.
const MAX_WAITING: usize = 2_048;
/// How many sources are read at a time.
const MAX_UNDER_WAY: usize = 32;
/// How many sources of one pod are read.
const MAX_SOURCES: usize = 32;
/// How long one pod waits for its sources, all together.
const LONGEST: Duration = Duration::from_secs(1);

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) keys: EnvKeys,
    pub(crate) warnings: Vec<Warning>,
    /// The first source of which nobody can tell what it sets, but might be able to later.
    pub(crate) undecided: Option<String>,
}

type Answer = Result<Option<Arc<[String]>>, LookUpError>;

/// Reads sources; those who want the same one share what is under way.
pub(crate) struct EnvSources {
    cluster: Arc<dyn Cluster>,
    flights: Arc<Flights<Answer>>,
    places: Semaphore,
}

impl EnvSources {
    pub(crate) fn new(cluster: Arc<dyn Cluster>) -> Self {
        Self {
            cluster,
            flights: Flights::new(MAX_UNDER_WAY),
            places: Semaphore::new(MAX_WAITING),
        }
    }

    /// Reads the sources of a pod in a namespace; it takes no longer than `limit`, nor than a second.
    pub(crate) async fn read(&self, namespace: &str, sources: &[EnvSource], limit: Duration) -> Read {
        let mut read = Read::default();
        if sources.is_empty() {
            return read;
        }
        let deadline = Instant::now() + LONGEST.min(limit);
        let place = self.places.try_acquire();
        let answers = join_all(sources.iter().take(MAX_SOURCES).map(|source| async {
            match &place {
                Ok(_) => timeout_at(deadline, self.look_up(namespace, source)).await.ok(),
                Err(_) => None,
            }
        }))
        .await;
        for (index, source) in sources.iter().enumerate() {
            let (why, may_change) = match answers.get(index) {
                Some(Some(Ok(Some(keys)))) => {
                    read.keys.insert(source, keys.iter().cloned());
                    continue;
                }
                // Its containers start without it.
                Some(Some(Ok(None))) if source.is_optional => continue,
                Some(Some(Ok(None))) => ("it is not there", true),
                // An operator did not want it to be read.
                Some(Some(Err(LookUpError::Forbidden))) => ("the webhook may not read it", false),
                Some(Some(Err(error))) => {
                    tracing::warn!(%error, kind = %source.kind, "a source of variables can't be read");
                    ("it can't be read", true)
                }
                Some(None) => ("it was not read in time", true),
                None => ("the pod names too many", false),
            };
            let warning = Warning::EnvFromUnread {
                kind: source.kind,
                source: source.name.clone(),
                why,
            };
            if may_change && read.undecided.is_none() {
                read.undecided = Some(warning.to_string());
            }
            read.warnings.push(warning);
        }
        read
    }

    async fn look_up(&self, namespace: &str, source: &EnvSource) -> Answer {
        let key = format!("{} {namespace}/{}", source.kind, source.name);
        let asked = (Arc::clone(&self.cluster), namespace.to_owned(), source.clone());
        let ask = move || {
            let (cluster, namespace, source) = asked.clone();
            async move {
                let asked = cluster.env_keys(&namespace, source.kind, &source.name, LONGEST);
                let keys = tokio::time::timeout(LONGEST, asked).await;
                let keys = keys.unwrap_or(Err(LookUpError::Deadline))?;
                Ok(keys.map(|keys| keys.into_iter().filter(|key| EnvKeys::matters(key)).collect()))
            }
        };
        self.flights.join(key, ask).await.unwrap_or(Err(LookUpError::Deadline))
    }
}

#[cfg(test)]
mod tests;
