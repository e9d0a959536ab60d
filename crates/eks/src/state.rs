//! All clusters at one revision, in memory.

use std::sync::Arc;

use irsa_core::AccountId;
use rpds::RedBlackTreeMapSync;

use crate::cluster::ClusterRecord;

const PREFIX: &str = "eks/";

/// Clusters by account, region and name.
#[derive(Clone, Default)]
pub struct State {
    clusters: RedBlackTreeMapSync<String, Arc<Cluster>>,
}

/// A cluster at one revision.
pub struct Cluster {
    /// As stored.
    pub record: ClusterRecord,
    /// The owner.
    pub account: AccountId,
    /// Revision of the last change.
    pub revision: u64,
}

/// A record can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the record `{key}` can't be read: {reason}")]
pub struct StateError {
    key: String,
    reason: String,
}

impl State {
    /// Whether `apply` wants this key.
    #[must_use]
    pub fn owns(key: &str) -> bool {
        key.starts_with(PREFIX)
    }

    /// Takes in one change of the store.
    ///
    /// # Errors
    /// A record that can't be read.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>, revision: u64) -> Result<(), StateError> {
        let unreadable = |reason: String| StateError {
            key: key.to_owned(),
            reason,
        };
        let Some(value) = value else {
            self.clusters.remove_mut(key);
            return Ok(());
        };
        let record: ClusterRecord = serde_json::from_slice(value).map_err(|error| unreadable(error.to_string()))?;
        let account = record
            .account
            .parse()
            .map_err(|_| unreadable(format!("`{}` is no account", record.account)))?;
        self.clusters.insert_mut(
            key.to_owned(),
            Arc::new(Cluster {
                record,
                account,
                revision,
            }),
        );
        Ok(())
    }

    /// A cluster by its name.
    #[must_use]
    pub fn cluster(&self, account: AccountId, region: &str, name: &str) -> Option<&Arc<Cluster>> {
        self.clusters.get(&key(account, region, name))
    }

    /// The clusters of an account in all regions.
    pub(crate) fn clusters_everywhere(&self, account: AccountId) -> impl Iterator<Item = &Arc<Cluster>> {
        let prefix = format!("{PREFIX}{account}/");
        self.clusters
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, cluster)| cluster)
    }

    /// The clusters of an account in a region, by name.
    pub fn clusters(&self, account: AccountId, region: &str) -> impl Iterator<Item = &Arc<Cluster>> {
        let prefix = key(account, region, "");
        self.clusters
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, cluster)| cluster)
    }
}

/// Where a cluster's record lives in the store.
pub(crate) fn key(account: AccountId, region: &str, name: &str) -> String {
    format!("{PREFIX}{account}/{region}/cluster/{name}")
}
