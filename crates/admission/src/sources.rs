use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use irsa_webhook::Settings;
use irsa_webhook::configured::{ConfiguredIdentities, ServedAccounts};

use crate::Accounts;

/// Where identities come from. Whoever watches the cluster or a file feeds these; reviews read them.
#[derive(Debug)]
pub struct Sources {
    /// What an operator chose.
    pub settings: Arc<Settings>,
    /// The cluster's service accounts.
    pub accounts: Accounts,
    configured: Source<ConfiguredIdentities>,
    served: Source<ServedAccounts>,
    uninjected: AtomicUsize,
}

/// What is read as a whole, and may not have been read yet.
#[derive(Debug)]
struct Source<T> {
    wanted: bool,
    current: ArcSwapOption<T>,
}

impl<T> Source<T> {
    fn new(wanted: bool) -> Self {
        Self {
            wanted,
            current: ArcSwapOption::empty(),
        }
    }

    fn is_missing(&self) -> bool {
        self.wanted && self.current.load().is_none()
    }
}

impl Sources {
    /// Knows of nothing. `config_map`: whether identities of the ConfigMap count; `container_credentials`: whether a file names accounts that EKS
    /// Pod Identity serves.
    #[must_use]
    pub fn new(settings: Settings, config_map: bool, container_credentials: bool) -> Self {
        let settings = Arc::new(settings);
        Self {
            accounts: Accounts::new(Arc::clone(&settings)),
            settings,
            configured: Source::new(config_map),
            served: Source::new(container_credentials),
            uninjected: AtomicUsize::new(0),
        }
    }

    /// The ConfigMap's identities are these: the last good ones, or none where there is no ConfigMap.
    pub fn set_configured(&self, identities: ConfiguredIdentities) {
        self.configured.current.store(Some(Arc::new(identities)));
    }

    /// Reads the text that the ConfigMap holds; `None`: there is none. A broken text changes nothing, a broken entry is left out, and both are logged.
    pub fn read_configured(&self, text: Option<&str>) {
        let identities = match text.map(|text| ConfiguredIdentities::read(text, &self.settings)) {
            None => ConfiguredIdentities::default(),
            Some(Ok((identities, faults))) => {
                for fault in faults {
                    tracing::warn!(%fault, "an entry of the ConfigMap is left out");
                }
                identities
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the ConfigMap can't be read, its last good text applies");
                if self.configured().is_some() {
                    return;
                }
                ConfiguredIdentities::default()
            }
        };
        tracing::info!(identities = identities.len(), "the ConfigMap's identities are read");
        self.set_configured(identities);
    }

    /// The accounts that EKS Pod Identity serves are these.
    pub fn set_served(&self, served: ServedAccounts) {
        self.served.current.store(Some(Arc::new(served)));
    }

    /// The ConfigMap's identities; `None`: they don't count, or were not read yet.
    #[must_use]
    pub fn configured(&self) -> Option<Arc<ConfiguredIdentities>> {
        self.configured.current.load_full()
    }

    /// The accounts that EKS Pod Identity serves, in the same way.
    #[must_use]
    pub fn served(&self) -> Option<Arc<ServedAccounts>> {
        self.served.current.load_full()
    }

    /// So many pods were found that run without the credentials of their account's role.
    pub fn set_uninjected(&self, count: usize) {
        self.uninjected.store(count, Ordering::Relaxed);
    }

    /// How many such pods there were at the last look.
    #[must_use]
    pub fn uninjected(&self) -> usize {
        self.uninjected.load(Ordering::Relaxed)
    }

    /// What was not read yet, in a word; `None`: reviews can be answered from here.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        if !self.accounts.is_synced() {
            Some("service accounts")
        } else if self.configured.is_missing() {
            Some("the ConfigMap")
        } else if self.served.is_missing() {
            Some("the container credentials file")
        } else {
            None
        }
    }

    /// Whether the ConfigMap's identities count and were not read yet.
    #[must_use]
    pub fn configured_is_missing(&self) -> bool {
        self.configured.is_missing()
    }

    /// Whether the accounts that EKS Pod Identity serves count and were not read yet.
    #[must_use]
    pub fn served_is_missing(&self) -> bool {
        self.served.is_missing()
    }
}
