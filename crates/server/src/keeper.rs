//! Keeps the snapshot current: loads it, follows the store's watch, and carries writes to the store.

use std::sync::Arc;

use arc_swap::ArcSwap;
use irsa_credentials::KeyEncryptionKey;
use irsa_store::{Revision, Store, StoreError, Transaction, Write};
use tokio::sync::watch;

use crate::snapshot::{Snapshot, SnapshotError};

/// What `applied` says when the store is not followed any more.
const FAILED: Revision = Revision::MAX;

/// The current snapshot and the way to change it.
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    current: ArcSwap<Snapshot>,
    applied: watch::Sender<Revision>,
    kek: Arc<KeyEncryptionKey>,
}

/// Why the snapshot can't be made.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl Keeper {
    /// Loads everything.
    pub(crate) async fn load(store: Arc<dyn Store>, kek: Arc<KeyEncryptionKey>) -> Result<Arc<Self>, KeeperError> {
        let snapshot = read_all(store.as_ref(), &kek).await?;
        let (applied, _) = watch::channel(snapshot.revision);
        Ok(Arc::new(Self {
            store,
            current: ArcSwap::from_pointee(snapshot),
            applied,
            kek,
        }))
    }

    /// The state that a request reads from its first to its last line.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The key that secrets at rest are sealed under.
    pub(crate) fn kek(&self) -> &KeyEncryptionKey {
        &self.kek
    }

    /// Writes, and waits until the snapshot has what was written: who asks next sees it. What could not be read back is not written.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        let mut trial = Snapshot::clone(&self.current.load());
        for write in &transaction.writes {
            if let Write::Put { key, value } = write {
                let revision = trial.revision;
                let tried = trial.apply(key, Some(value), revision, &self.kek);
                tried.map_err(|error| StoreError::Invalid {
                    reason: error.to_string(),
                })?;
            }
        }
        drop(trial);
        let revision = self.store.commit(transaction).await?;
        let mut applied = self.applied.subscribe();
        let seen = applied.wait_for(|applied| *applied >= revision).await;
        let unavailable = |reason: &str| StoreError::Unavailable {
            reason: reason.to_owned(),
        };
        match seen.map(|applied| *applied) {
            Ok(FAILED) => Err(unavailable(
                "the store can't be followed any more; start the server again",
            )),
            Ok(_) => Ok(()),
            Err(_) => Err(unavailable("the server is stopping")),
        }
    }

    /// Whether the snapshot still follows the store.
    pub(crate) fn healthy(&self) -> bool {
        *self.applied.borrow() != FAILED
    }

    /// Follows the store until it closes.
    pub(crate) async fn follow(self: Arc<Self>) {
        self.follow_until_it_fails().await;
        // Nobody may wait for what will never be seen.
        self.applied.send_replace(FAILED);
    }

    async fn follow_until_it_fails(&self) {
        loop {
            if let Err(error) = self.follow_watch().await {
                match error {
                    KeeperError::Store(StoreError::Compacted { .. }) => {}
                    KeeperError::Store(StoreError::Unavailable { reason }) => {
                        tracing::info!(reason, "the store's watch ended");
                        return;
                    }
                    error => {
                        tracing::error!(%error, "a change of the store can't be read; what it changes is served as it was");
                    }
                }
            }
            match read_all(self.store.as_ref(), &self.kek).await {
                Ok(snapshot) => self.publish(snapshot),
                Err(error) => {
                    tracing::error!(%error, "the store can't be read");
                    return;
                }
            }
        }
    }

    async fn follow_watch(&self) -> Result<(), KeeperError> {
        let mut watch = self.store.watch(self.current.load().revision).await?;
        loop {
            let changes = watch.next().await?;
            let mut snapshot = Snapshot::clone(&self.current.load());
            for change in changes {
                snapshot.apply(&change.key, change.value.as_deref(), change.revision, &self.kek)?;
            }
            self.publish(snapshot);
        }
    }

    fn publish(&self, snapshot: Snapshot) {
        let revision = snapshot.revision;
        self.current.store(Arc::new(snapshot));
        self.applied.send_replace(revision);
    }
}

async fn read_all(store: &dyn Store, kek: &KeyEncryptionKey) -> Result<Snapshot, KeeperError> {
    let (revision, entries) = store.load().await?;
    let mut snapshot = Snapshot::empty();
    for entry in entries {
        snapshot.apply(&entry.key, Some(&entry.value), entry.modified, kek)?;
    }
    snapshot.revision = revision;
    Ok(snapshot)
}
