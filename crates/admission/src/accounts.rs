//! What is known of the cluster's service accounts.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use irsa_webhook::{Identity, Settings, identity_with_warnings};
use serde_json::{Map, Value};

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

#[derive(Debug, Default)]
struct Tables {
    /// Accounts with annotations of ours, by `namespace/name`.
    entries: HashMap<Box<str>, Entry>,
    /// Accounts without, by hash: the second since [`Accounts::start`] from which that can be relied on.
    unbound: HashMap<u64, u32>,
}

/// What differs from the settings is boxed: most accounts have a role and nothing else.
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

impl Entry {
    fn is_bound(&self) -> bool {
        !self.role_arn.is_empty()
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
        for Account { key, entry } in accounts {
            if !entry.as_ref().is_some_and(Entry::is_bound) {
                tables.unbound.insert(self.hash(&key), 0);
            }
            if let Some(entry) = entry {
                tables.entries.insert(key, entry);
            }
        }
        tables.entries.shrink_to_fit();
        tables.unbound.shrink_to_fit();
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
        if account.entry.as_ref().is_some_and(Entry::is_bound) {
            tables.unbound.remove(&hash);
        } else {
            tables.unbound.insert(hash, 0);
        }
        match account.entry {
            // Most are as they were: their memory stays where it is.
            Some(entry) if tables.entries.get(&account.key) == Some(&entry) => {}
            Some(entry) => drop(tables.entries.insert(account.key, entry)),
            None => drop(tables.entries.remove(&account.key)),
        }
    }

    /// A list has ended: these accounts there are, and no others. The tables are current from now on.
    pub fn complete(&self, listed: Listed) {
        let mut tables = self.write();
        tables.entries.retain(|key, _| listed.0.contains(&self.hash(key)));
        tables.unbound.retain(|hash, _| listed.0.contains(hash));
        tables.entries.shrink_to_fit();
        tables.unbound.shrink_to_fit();
        drop(tables);
        self.mark_synced();
    }

    /// The watch shows that an account was made or changed.
    pub fn upsert(&self, account: Account) {
        let hash = self.hash(&account.key);
        let settled = self.elapsed().saturating_add(SETTLING).as_secs().saturating_add(1);
        let settled = u32::try_from(settled).unwrap_or(u32::MAX);
        let mut tables = self.write();
        if account.entry.as_ref().is_some_and(Entry::is_bound) {
            tables.unbound.remove(&hash);
        } else {
            // One that was there all the time does not become uncertain by a change of something else.
            let settled = tables.unbound.get(&hash).map_or(settled, |before| settled.min(*before));
            tables.unbound.insert(hash, settled);
        }
        match account.entry {
            Some(entry) => drop(tables.entries.insert(account.key, entry)),
            None => drop(tables.entries.remove(&account.key)),
        }
    }

    /// The watch shows that an account is gone.
    pub fn remove(&self, namespace: &str, name: &str) {
        let key = key(namespace, name);
        let hash = self.hash(&key);
        let mut tables = self.write();
        tables.entries.remove(key.as_str());
        tables.unbound.remove(&hash);
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
        if let Some(entry) = tables.entries.get(key.as_str()).filter(|entry| entry.is_bound()) {
            return self.known(entry);
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
            Some(entry) if entry.is_bound() => self.known(entry),
            _ => Known::Unbound,
        }
    }

    /// What the account's annotations say beside the role, for a pod that EKS Pod Identity serves: regional STS, and the token's life in seconds.
    #[must_use]
    pub fn beside_role(&self, namespace: &str, name: &str) -> Option<(bool, i64)> {
        let key = key(namespace, name);
        let tables = self.tables();
        let rest = tables.entries.get(key.as_str())?.rest.as_ref()?;
        Some((rest.identity.regional_sts, rest.identity.token_expiration_seconds))
    }

    fn known(&self, entry: &Entry) -> Known {
        match &entry.rest {
            None => Known::Bound {
                identity: Identity::new(&*entry.role_arn, &self.settings),
                warnings: Vec::new(),
            },
            Some(rest) => Known::Bound {
                identity: Identity {
                    role_arn: entry.role_arn.as_ref().into(),
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
        let all = bound.filter_map(|(key, entry)| match self.known(entry) {
            Known::Bound { identity, .. } => Some((key.as_ref().to_owned(), identity)),
            _ => None,
        });
        all.collect()
    }

    /// Whether any account has a role.
    #[must_use]
    pub fn has_bound(&self) -> bool {
        self.tables().entries.values().any(Entry::is_bound)
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
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/reader";

    fn accounts() -> Accounts {
        Accounts::new(Arc::default())
    }

    fn bound(accounts: &Accounts, name: &str) -> Account {
        accounts.read(
            "app",
            name,
            [("eks.amazonaws.com/role-arn", ROLE), ("other.example/x", "y")],
        )
    }

    fn role(known: Known) -> String {
        match known {
            Known::Bound { identity, .. } => identity.role_arn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn accounts_come_change_and_go() {
        let accounts = accounts();
        assert!(!accounts.is_synced());
        assert_eq!(accounts.get("app", "a"), Known::Unknown);
        accounts.replace([bound(&accounts, "a"), accounts.read("app", "plain", [])]);
        assert!(accounts.is_synced());
        assert_eq!(role(accounts.get("app", "a")), ROLE);
        assert_eq!(accounts.get("app", "plain"), Known::Unbound);
        accounts.upsert(bound(&accounts, "plain"));
        assert_eq!(role(accounts.get("app", "plain")), ROLE);
        assert_eq!(accounts.counts(), (2, 0));
        accounts.remove("app", "a");
        assert_eq!(accounts.get("app", "a"), Known::Unknown);
        accounts.replace([]);
        assert_eq!(accounts.get("app", "plain"), Known::Unknown);
    }

    #[test]
    fn what_a_list_does_not_name_goes_when_it_ends_and_not_before() {
        let accounts = accounts();
        let plain = |name| accounts.read("app", name, []);
        accounts.replace([bound(&accounts, "a"), bound(&accounts, "b"), plain("c"), plain("d")]);
        let mut listed = Listed::default();
        for account in [bound(&accounts, "a"), plain("c"), bound(&accounts, "new")] {
            accounts.list(&mut listed, account);
        }
        assert_eq!(role(accounts.get("app", "b")), ROLE);
        assert_eq!(role(accounts.get("app", "new")), ROLE);
        accounts.complete(listed);
        assert_eq!(role(accounts.get("app", "a")), ROLE);
        assert_eq!(accounts.get("app", "b"), Known::Unknown);
        assert_eq!(accounts.get("app", "c"), Known::Unbound);
        assert_eq!(accounts.get("app", "d"), Known::Unknown);
        // A role that was taken away while nobody watched.
        let mut listed = Listed::default();
        accounts.list(&mut listed, plain("a"));
        accounts.complete(listed);
        assert_eq!(accounts.get("app", "a"), Known::Unbound);
        assert_eq!(accounts.counts(), (0, 1));
    }

    #[test]
    fn an_account_that_was_just_made_may_get_its_role_in_a_moment() {
        let accounts = accounts();
        accounts.replace([]);
        accounts.upsert(accounts.read("app", "fresh", [("eks.amazonaws.com/role-arn", "")]));
        assert_eq!(accounts.get("app", "fresh"), Known::PerhapsUnbound);
    }

    #[test]
    fn that_there_is_no_role_is_not_believed_of_a_lost_watch() {
        let accounts = accounts();
        accounts.mark_lagging();
        assert!(!accounts.is_synced());
        accounts.replace([bound(&accounts, "a"), accounts.read("app", "plain", [])]);
        accounts.mark_lagging();
        assert_eq!(accounts.get("app", "plain"), Known::PerhapsUnbound);
        assert_eq!(role(accounts.get("app", "a")), ROLE);
        assert!(accounts.is_synced());
        accounts.mark_synced();
        assert_eq!(accounts.get("app", "plain"), Known::Unbound);
    }

    #[test]
    fn annotations_beside_the_role_are_kept_with_their_warnings() {
        let accounts = accounts();
        let annotations = [
            ("eks.amazonaws.com/role-arn", ROLE),
            ("eks.amazonaws.com/audience", "other"),
            ("eks.amazonaws.com/token-expiration", "soon"),
        ];
        accounts.upsert(accounts.read("app", "a", annotations));
        let Known::Bound { identity, warnings } = accounts.get("app", "a") else {
            panic!("no role");
        };
        assert_eq!(
            (identity.role_arn.as_str(), identity.audience.as_str()),
            (ROLE, "other")
        );
        assert_eq!(warnings, ["token expiration `soon` is not usable, 86400 seconds apply"]);
    }

    #[test]
    fn what_an_account_without_a_role_says_counts_for_pod_identity() {
        let accounts = accounts();
        let annotations = [
            ("eks.amazonaws.com/sts-regional-endpoints", "true"),
            ("eks.amazonaws.com/token-expiration", "7200"),
        ];
        accounts.replace([
            accounts.read("app", "a", annotations),
            accounts.read("app", "plain", [("eks.amazonaws.com/role-arn", "")]),
        ]);
        assert_eq!(accounts.get("app", "a"), Known::Unbound);
        assert_eq!(accounts.beside_role("app", "a"), Some((true, 7_200)));
        assert_eq!(accounts.beside_role("app", "plain"), None);
        assert!(accounts.bound().is_empty());
    }

    #[test]
    fn a_look_up_teaches_the_tables_nothing() {
        let accounts = accounts();
        let looked_up = bound(&accounts, "a");
        assert_eq!(role(accounts.of(&looked_up)), ROLE);
        assert_eq!(accounts.get("app", "a"), Known::Unknown);
    }
}
