//! What is known of the cluster's service accounts.

mod tables;

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use irsa_webhook::{Identity, Settings, identity_with_warnings};
use serde_json::{Map, Value};

use self::tables::{Packed, Tables};

/// How long an account that a watch has just shown without a role is not taken for one that has none: `kubectl annotate` often follows the
/// account's creation, and the pod follows `kubectl annotate`.
const SETTLING: Duration = Duration::from_secs(10);

/// The cluster's service accounts, as its watch tells of them. Shared by all reviews; a read takes a lock for one look into a table.
///
/// Accounts with roles have a compact entry each. Of others only a hash is kept, so that a pod of theirs needs no look-up.
#[derive(Debug)]
pub struct Accounts {
    settings: Arc<Settings>,
    /// When times in the tables count from.
    start: Instant,
    /// Keyed with random numbers: nobody can choose a name for its hash.
    hasher: RandomState,
    tables: RwLock<Tables>,
    state: AtomicU8,
}

/// An account with annotations of ours, as it was read. What differs from the settings is boxed: most have a role and nothing else.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// Empty: it has none, and the rest may count for EKS Pod Identity.
    role_arn: Box<str>,
    rest: Option<Box<Rest>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rest {
    /// Its role is empty: that stands in the entry.
    identity: Identity,
    warnings: Box<[Box<str>]>,
}

impl Account {
    fn is_bound(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| !entry.role_arn.is_empty())
    }
}

/// One service account, read and made compact.
#[derive(Debug)]
pub struct Account {
    key: Box<str>,
    entry: Option<Entry>,
}

/// The accounts that a list has named so far, by their hashes.
#[derive(Debug, Default)]
pub struct Listed(HashSet<u64>);

/// What is known of one account.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It has a role.
    Bound {
        /// What its annotations say.
        identity: Identity,
        /// What its owner should know of them.
        warnings: Vec<String>,
    },
    /// It has none, and that can be relied on.
    Unbound,
    /// It had none when it was last seen, a moment ago or before the watch was lost: only a look-up tells.
    PerhapsUnbound,
    /// It was never seen.
    Unknown,
}

/// Nothing was listed yet.
const STARTING: u8 = 0;
/// The tables follow the cluster.
const CURRENT: u8 = 1;
/// They did.
const LAGGING: u8 = 2;

impl Accounts {
    /// Knows of no account.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            start: Instant::now(),
            hasher: RandomState::new(),
            tables: RwLock::default(),
            state: AtomicU8::new(STARTING),
        }
    }

    /// Reads an account's annotations; what does not concern us is not kept.
    pub fn read<'a>(
        &self,
        namespace: &str,
        name: &str,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Account {
        let ours: Map<String, Value> = annotations
            .into_iter()
            .filter(|(key, _)| {
                let rest = key.strip_prefix(self.settings.annotation_prefix.as_str());
                rest.is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect();
        let entry = (!ours.is_empty()).then(|| self.entry(ours)).flatten();
        Account {
            key: key(namespace, name).into(),
            entry,
        }
    }

    fn entry(&self, mut annotations: Map<String, Value>) -> Option<Entry> {
        let role = format!("{}/role-arn", self.settings.annotation_prefix);
        let bound = annotations.get(&role).is_some_and(|role| role != "");
        if !bound {
            // Without a role nothing of an account is read.
            annotations.insert(role, "none".into());
        }
        let metadata = Map::from_iter([("annotations".to_owned(), annotations.into())]);
        let object = Map::from_iter([("metadata".to_owned(), metadata.into())]);
        // Annotations that are strings can always be read.
        let (identity, warnings) = identity_with_warnings(&object.into(), &self.settings).ok()?;
        let mut identity = identity?;
        let role_arn = std::mem::take(&mut identity.role_arn);
        let role_arn: Box<str> = if bound { role_arn.into() } else { Box::default() };
        let warnings: Box<[Box<str>]> = warnings.iter().map(|warning| warning.to_string().into()).collect();
        let plain = warnings.is_empty() && identity == Identity::new("", &self.settings);
        (bound || !plain).then_some(Entry {
            role_arn,
            rest: (!plain).then(|| Box::new(Rest { identity, warnings })),
        })
    }

    /// The accounts are these and no others: a list has ended. The tables are current from now on.
    pub fn replace(&self, accounts: impl IntoIterator<Item = Account>) {
        let mut tables = Tables::default();
        for account in accounts {
            let hash = self.hash(&account.key);
            if !account.is_bound() {
                tables.unbound.insert(hash, 0);
            }
            tables.set(hash, account);
        }
        tables.shrink();
        let replaced = std::mem::replace(&mut *self.write(), tables);
        self.mark_synced();
        // Not under the lock: there may be many.
        drop(replaced);
    }

    /// An account is on a list that has begun. It counts at once; what the list does not name goes when the list is [complete](Self::complete). Nothing
    /// is held twice meanwhile.
    pub fn list(&self, listed: &mut Listed, account: Account) {
        let hash = self.hash(&account.key);
        listed.0.insert(hash);
        let mut tables = self.write();
        if account.is_bound() {
            tables.unbound.remove(&hash);
        } else {
            tables.unbound.insert(hash, 0);
        }
        tables.set(hash, account);
    }

    /// A list has ended: these accounts there are, and no others. The tables are current from now on.
    pub fn complete(&self, listed: Listed) {
        let mut tables = self.write();
        tables.entries.retain(|hash, _| listed.0.contains(hash));
        tables.rests.retain(|hash, _| listed.0.contains(hash));
        tables.unbound.retain(|hash, _| listed.0.contains(hash));
        tables.shrink();
        drop(tables);
        self.mark_synced();
    }

    /// The watch shows that an account was made or changed.
    pub fn upsert(&self, account: Account) {
        let hash = self.hash(&account.key);
        let settled = self.elapsed().saturating_add(SETTLING).as_secs().saturating_add(1);
        let settled = u32::try_from(settled).unwrap_or(u32::MAX);
        let mut tables = self.write();
        if account.is_bound() {
            tables.unbound.remove(&hash);
        } else {
            // One that was there all the time does not become uncertain by a change of something else.
            let settled = tables.unbound.get(&hash).map_or(settled, |before| settled.min(*before));
            tables.unbound.insert(hash, settled);
        }
        tables.set(hash, account);
    }

    /// The watch shows that an account is gone.
    pub fn remove(&self, namespace: &str, name: &str) {
        let key = key(namespace, name);
        let hash = self.hash(&key);
        let mut tables = self.write();
        tables.unbound.remove(&hash);
        if tables.entry(hash, &key).is_some() {
            tables.entries.remove(&hash);
            tables.rests.remove(&hash);
        }
    }

    /// The tables follow the cluster: after the first list, and when a watch that was lost has caught up.
    pub fn mark_synced(&self) {
        self.state.store(CURRENT, Ordering::Release);
    }

    /// The watch is lost, and not for a moment: that an account has no role is looked up until [`mark_synced`](Self::mark_synced).
    pub fn mark_lagging(&self) {
        // Before the first list there is nothing that could lag.
        let _ = self
            .state
            .compare_exchange(CURRENT, LAGGING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether a list has ended since the start.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.state.load(Ordering::Acquire) != STARTING
    }

    /// Whether the tables follow the cluster at this moment.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.state.load(Ordering::Acquire) == CURRENT
    }

    /// What is known of an account.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Known {
        let key = key(namespace, name);
        let hash = self.hash(&key);
        let tables = self.tables();
        if let Some(entry) = tables.entry(hash, &key).filter(|entry| entry.is_bound()) {
            return self.known(tables.role_arn(entry), tables.rests.get(&hash).map(Box::as_ref));
        }
        let Some(&settled) = tables.unbound.get(&hash) else {
            return Known::Unknown;
        };
        drop(tables);
        if self.is_current() && self.elapsed().as_secs() >= u64::from(settled) {
            Known::Unbound
        } else {
            Known::PerhapsUnbound
        }
    }

    /// What an account that was looked up is, which the tables do not learn: a watch's event may be newer, and comes in any case.
    #[must_use]
    pub fn of(&self, account: &Account) -> Known {
        match &account.entry {
            Some(entry) if account.is_bound() => self.known(entry.role_arn.as_ref().into(), entry.rest.as_deref()),
            _ => Known::Unbound,
        }
    }

    /// What the account's annotations say beside the role, for a pod that EKS Pod Identity serves: regional STS, and the token's life in seconds.
    #[must_use]
    pub fn beside_role(&self, namespace: &str, name: &str) -> Option<(bool, i64)> {
        let key = key(namespace, name);
        let tables = self.tables();
        let hash = self.hash(&key);
        let rest = tables.entry(hash, &key).and_then(|_| tables.rests.get(&hash))?;
        Some((rest.identity.regional_sts, rest.identity.token_expiration_seconds))
    }

    fn known(&self, role_arn: String, rest: Option<&Rest>) -> Known {
        match rest {
            None => Known::Bound {
                identity: Identity::new(role_arn, &self.settings),
                warnings: Vec::new(),
            },
            Some(rest) => Known::Bound {
                identity: Identity {
                    role_arn,
                    ..rest.identity.clone()
                },
                warnings: rest.warnings.iter().map(|warning| warning.as_ref().into()).collect(),
            },
        }
    }

    /// All accounts with roles, as `namespace/name` with their identities, in no order.
    #[must_use]
    pub fn bound(&self) -> Vec<(String, Identity)> {
        let tables = self.tables();
        let bound = tables.entries.iter().filter(|(_, entry)| entry.is_bound());
        let all = bound.filter_map(|(hash, entry)| {
            match self.known(tables.role_arn(entry), tables.rests.get(hash).map(Box::as_ref)) {
                Known::Bound { identity, .. } => Some((entry.parts().key.to_owned(), identity)),
                _ => None,
            }
        });
        all.collect()
    }

    /// Whether any account has a role.
    #[must_use]
    pub fn has_bound(&self) -> bool {
        self.tables().entries.values().any(Packed::is_bound)
    }

    /// How many accounts are known: with annotations of ours, mostly a role; and without a role.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let tables = self.tables();
        (tables.entries.len(), tables.unbound.len())
    }

    /// Forgets all, as the reference's debug handler does; what the cluster has is looked up until the watch tells of it.
    pub fn clear(&self) {
        let cleared = std::mem::take(&mut *self.write());
        drop(cleared);
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    // Nothing panics under these locks; and if it did, the tables would still be whole.
    fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of namespaces and accounts have no slash, so keys are unambiguous.
fn key(namespace: &str, name: &str) -> String {
    let mut key = String::with_capacity(namespace.len().saturating_add(name.len()).saturating_add(1));
    key.push_str(namespace);
    key.push('/');
    key.push_str(name);
    key
}

#[cfg(test)]
mod tests;
