//! All accounts at one revision, in memory. Cloning is cheap: the maps share their parts.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_core::{AccessKeyId, AccountId, Arn};
use irsa_credentials::{KeyEncryptionKey, SecretAccessKey};
use irsa_policy::PolicyKind;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use serde::de::DeserializeOwned;

use crate::key::Key;
use crate::managed;
use crate::record::{
    AccessKeyRecord, AccessKeyStatus, AccountRecord, InlinePolicy, PolicyRecord, PolicyVersion, ProviderRecord,
    RoleRecord, UserRecord,
};

/// Every account, and the index of long-term keys over all of them.
#[derive(Clone, Default)]
pub struct State {
    accounts: HashTrieMapSync<AccountId, Arc<Account>>,
    access_keys: HashTrieMapSync<String, Arc<AccessKey>>,
}

/// One account's entities. Maps are keyed by the name in lower case, so that listings are in the order of names.
#[derive(Clone)]
pub struct Account {
    /// The account's number.
    pub id: AccountId,
    /// Its record; `None` while only parts of it have been seen.
    pub record: Option<AccountRecord>,
    /// Roles.
    pub roles: RedBlackTreeMapSync<String, Arc<Role>>,
    /// Users.
    pub users: RedBlackTreeMapSync<String, Arc<User>>,
    /// Customer managed policies.
    pub policies: RedBlackTreeMapSync<String, Arc<Policy>>,
    /// OIDC providers by URL without scheme; the case counts.
    pub providers: RedBlackTreeMapSync<String, Arc<Provider>>,
    /// Long-term keys by id.
    pub access_keys: RedBlackTreeMapSync<String, Arc<AccessKey>>,
    /// Uses of managed policies: (policy, entity kind, entity name), all in lower case; see
    /// [`Account::attachments_of`].
    pub attachments: RedBlackTreeMapSync<(String, String, String), ()>,
}

/// A role with its policies compiled.
pub struct Role {
    /// The account that it lives in.
    pub account: AccountId,
    /// As stored.
    pub record: RoleRecord,
    /// The ARN, path included.
    pub arn: String,
    /// Who may assume it.
    pub trust: Arc<irsa_policy::Policy>,
    /// Inline policies, in the record's order.
    pub inline: Vec<Arc<irsa_policy::Policy>>,
    /// Revision of the last change: what an update compares with.
    pub revision: u64,
}

/// A user with its policies compiled.
pub struct User {
    /// The account that it lives in.
    pub account: AccountId,
    /// As stored.
    pub record: UserRecord,
    /// The ARN, path included.
    pub arn: String,
    /// Inline policies, in the record's order.
    pub inline: Vec<Arc<irsa_policy::Policy>>,
    /// Revision of the last change.
    pub revision: u64,
}

/// A customer managed policy with its default version compiled.
pub struct Policy {
    /// The account that it lives in.
    pub account: AccountId,
    /// As stored.
    pub record: PolicyRecord,
    /// The ARN, path included.
    pub arn: String,
    /// The default version.
    pub compiled: Arc<irsa_policy::Policy>,
    /// Revision of the last change.
    pub revision: u64,
}

/// An OIDC provider.
pub struct Provider {
    /// The account that it lives in.
    pub account: AccountId,
    /// As stored.
    pub record: ProviderRecord,
    /// The ARN.
    pub arn: String,
    /// Revision of the last change.
    pub revision: u64,
}

/// A long-term key with its secret opened.
pub struct AccessKey {
    /// The account that it belongs to.
    pub account: AccountId,
    /// As stored.
    pub record: AccessKeyRecord,
    /// The secret.
    pub secret: SecretAccessKey,
    /// Revision of the last change.
    pub revision: u64,
}

/// A record can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The key is none of ours.
    #[error("the key `{0}` is of no known kind")]
    Key(String),
    /// The JSON is not a record of its kind.
    #[error("the record `{key}` can't be read: {source}")]
    Record {
        /// The store's key.
        key: String,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A stored policy does not parse.
    #[error("a policy in the record `{key}` can't be read: {reason}")]
    Policy {
        /// The store's key.
        key: String,
        /// What the parser says.
        reason: String,
    },
    /// The secret does not open under the key-encryption key.
    #[error("the secret in the record `{0}` does not open: is this the data folder's own key-encryption key?")]
    Secret(String),
}

impl State {
    /// An account, if it exists.
    #[must_use]
    pub fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts
            .get(&account)
            .map(Arc::as_ref)
            .filter(|account| account.record.is_some())
    }

    /// All accounts, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts
            .values()
            .map(Arc::as_ref)
            .filter(|account| account.record.is_some())
    }

    /// A long-term key by its id, whatever its status.
    #[must_use]
    pub fn access_key(&self, id: &AccessKeyId) -> Option<&Arc<AccessKey>> {
        self.access_keys.get(id.as_str())
    }

    /// Whether `apply` wants this key.
    #[must_use]
    pub fn owns(key: &str) -> bool {
        key.starts_with(crate::key::PREFIX)
    }

    /// Takes in one change of the store.
    ///
    /// # Errors
    /// A record that can't be read: the store was damaged, or a newer version wrote it. The state is unchanged then.
    pub fn apply(
        &mut self,
        key: &str,
        value: Option<&[u8]>,
        revision: u64,
        kek: &KeyEncryptionKey,
    ) -> Result<(), StateError> {
        let parsed = Key::parse(key).ok_or_else(|| StateError::Key(key.to_owned()))?;
        let id = match parsed {
            Key::Account(id)
            | Key::Role(id, _)
            | Key::User(id, _)
            | Key::Policy(id, _)
            | Key::Provider(id, _)
            | Key::AccessKey(id, _) => id,
            Key::Attachment { account, .. } => account,
        };
        let mut account = self
            .accounts
            .get(&id)
            .map_or_else(|| Account::empty(id), |account| account.as_ref().clone());
        match parsed {
            Key::Account(_) => account.record = value.map(|value| record(key, value)).transpose()?,
            Key::Role(_, name) => match value {
                Some(value) => {
                    let role = Role::build(key, id, record(key, value)?, revision)?;
                    account.roles.insert_mut(name.to_owned(), Arc::new(role));
                }
                None => drop(account.roles.remove_mut(name)),
            },
            Key::User(_, name) => match value {
                Some(value) => {
                    let user = User::build(key, id, record(key, value)?, revision)?;
                    account.users.insert_mut(name.to_owned(), Arc::new(user));
                }
                None => drop(account.users.remove_mut(name)),
            },
            Key::Policy(_, name) => match value {
                Some(value) => {
                    let policy = Policy::build(key, id, record(key, value)?, revision)?;
                    account.policies.insert_mut(name.to_owned(), Arc::new(policy));
                }
                None => drop(account.policies.remove_mut(name)),
            },
            Key::Provider(_, url) => match value {
                Some(value) => {
                    let record: ProviderRecord = record(key, value)?;
                    let arn = arn_of(id, "oidc-provider", "/", &record.url);
                    let provider = Provider {
                        account: id,
                        record,
                        arn,
                        revision,
                    };
                    account.providers.insert_mut(url.to_owned(), Arc::new(provider));
                }
                None => drop(account.providers.remove_mut(url)),
            },
            Key::AccessKey(_, name) => match value {
                Some(value) => {
                    let access_key = Arc::new(AccessKey::build(key, id, record(key, value)?, revision, kek)?);
                    self.access_keys.insert_mut(name.to_owned(), Arc::clone(&access_key));
                    account.access_keys.insert_mut(name.to_owned(), access_key);
                }
                None => {
                    self.access_keys.remove_mut(name);
                    account.access_keys.remove_mut(name);
                }
            },
            Key::Attachment { policy, kind, name, .. } => {
                let entry = (policy.to_owned(), kind.to_owned(), name.to_owned());
                if value.is_some() {
                    account.attachments.insert_mut(entry, ());
                } else {
                    account.attachments.remove_mut(&entry);
                }
            }
        }
        self.accounts.insert_mut(id, Arc::new(account));
        Ok(())
    }
}

impl Account {
    fn empty(id: AccountId) -> Self {
        Self {
            id,
            record: None,
            roles: RedBlackTreeMapSync::default(),
            users: RedBlackTreeMapSync::default(),
            policies: RedBlackTreeMapSync::default(),
            providers: RedBlackTreeMapSync::default(),
            access_keys: RedBlackTreeMapSync::default(),
            attachments: RedBlackTreeMapSync::default(),
        }
    }

    /// A role by its name, in any case.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.get(&name.to_ascii_lowercase())
    }

    /// A user by its name, in any case.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(&name.to_ascii_lowercase())
    }

    /// A customer managed policy by its ARN, which must agree in every character.
    #[must_use]
    pub fn policy(&self, arn: &str) -> Option<&Arc<Policy>> {
        let parsed: Arn = arn.parse().ok()?;
        let name = parsed.resource_of_kind("policy").map(|_| parsed.resource_name())?;
        self.policies
            .get(&name.to_ascii_lowercase())
            .filter(|policy| policy.arn == arn)
    }

    /// An OIDC provider by its issuer URL without scheme.
    #[must_use]
    pub fn provider(&self, url: &str) -> Option<&Arc<Provider>> {
        self.providers.get(url)
    }

    /// The policy in force under an ARN: AWS managed, or one of this account.
    #[must_use]
    pub fn managed_policy(&self, arn: &str) -> Option<Arc<irsa_policy::Policy>> {
        managed::compiled(arn).or_else(|| self.policy(arn).map(|policy| Arc::clone(&policy.compiled)))
    }

    /// The uses of a managed policy: entity kind (`role`, `user`, `role-boundary`, `user-boundary`) and entity name in
    /// lower case. A policy of AWS goes by `aws:` and its name.
    pub fn attachments_of(&self, policy_name: &str) -> impl Iterator<Item = (&str, &str)> {
        let policy = policy_name.to_ascii_lowercase();
        let start = (policy.clone(), String::new(), String::new());
        let uses = self
            .attachments
            .range(start..)
            .map(|(entry, ())| entry)
            .take_while(move |(name, _, _)| *name == policy);
        uses.map(|(_, kind, name)| (kind.as_str(), name.as_str()))
    }

    /// How many entities a managed policy is attached to, and of how many it is the boundary.
    #[must_use]
    pub fn uses(&self, policy_name: &str) -> (usize, usize) {
        self.attachments_of(policy_name)
            .fold((0, 0), |(attached, boundary), (kind, _)| {
                if kind.ends_with("-boundary") {
                    (attached, boundary + 1)
                } else {
                    (attached + 1, boundary)
                }
            })
    }
}

impl Role {
    fn build(key: &str, account: AccountId, record: RoleRecord, revision: u64) -> Result<Self, StateError> {
        let arn = arn_of(account, "role", &record.path, &record.name);
        let mut trust = compile(
            key,
            &format!("trust policy of role {}", record.name),
            PolicyKind::Trust,
            &record.trust_policy,
        )?;
        trust.bind_principals(|arn| {
            let bound = record.trusted_principals.iter().find(|principal| principal.arn == arn);
            bound.map(|principal| principal.id.clone())
        });
        let inline = compile_inline(key, &format!("role {}", record.name), &record.inline_policies)?;
        Ok(Self {
            account,
            record,
            arn,
            trust: Arc::new(trust),
            inline,
            revision,
        })
    }

    /// The policies that speak for a session of this role: inline and attached.
    #[must_use]
    pub fn permissions(&self, account: &Account) -> Vec<Arc<irsa_policy::Policy>> {
        permissions(&self.inline, &self.record.attached_policies, account)
    }
}

impl User {
    fn build(key: &str, account: AccountId, record: UserRecord, revision: u64) -> Result<Self, StateError> {
        let arn = arn_of(account, "user", &record.path, &record.name);
        let inline = compile_inline(key, &format!("user {}", record.name), &record.inline_policies)?;
        Ok(Self {
            account,
            record,
            arn,
            inline,
            revision,
        })
    }

    /// The policies that speak for the user: inline and attached.
    #[must_use]
    pub fn permissions(&self, account: &Account) -> Vec<Arc<irsa_policy::Policy>> {
        permissions(&self.inline, &self.record.attached_policies, account)
    }
}

impl Policy {
    fn build(key: &str, account: AccountId, record: PolicyRecord, revision: u64) -> Result<Self, StateError> {
        let arn = arn_of(account, "policy", &record.path, &record.name);
        let document = record.default_document().ok_or_else(|| StateError::Policy {
            key: key.to_owned(),
            reason: format!("the default version v{} is missing", record.default_version),
        })?;
        let compiled = Arc::new(compile(key, &arn, PolicyKind::Identity, &document.document)?);
        Ok(Self {
            account,
            record,
            arn,
            compiled,
            revision,
        })
    }
}

impl PolicyRecord {
    /// The version in force.
    #[must_use]
    pub fn default_document(&self) -> Option<&PolicyVersion> {
        self.versions
            .iter()
            .find(|version| version.number == self.default_version)
    }
}

impl AccessKey {
    fn build(
        key: &str,
        account: AccountId,
        record: AccessKeyRecord,
        revision: u64,
        kek: &KeyEncryptionKey,
    ) -> Result<Self, StateError> {
        let unreadable = || StateError::Secret(key.to_owned());
        let sealed = STANDARD.decode(&record.sealed_secret).map_err(|_| unreadable())?;
        let opened = kek.open(record.id.as_bytes(), &sealed).map_err(|_| unreadable())?;
        let secret = std::str::from_utf8(&opened).map_err(|_| unreadable())?;
        Ok(Self {
            account,
            secret: SecretAccessKey::from_stored(secret),
            record,
            revision,
        })
    }

    /// Whether requests may be signed with it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.record.status == AccessKeyStatus::Active
    }
}

/// The ARN of an entity of IAM; the path begins and ends with a slash.
pub(crate) fn arn_of(account: AccountId, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}{path}{name}")
}

fn permissions(
    inline: &[Arc<irsa_policy::Policy>],
    attached: &[String],
    account: &Account,
) -> Vec<Arc<irsa_policy::Policy>> {
    let attached = attached.iter().filter_map(|arn| account.managed_policy(arn));
    inline.iter().cloned().chain(attached).collect()
}

fn record<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(value).map_err(|source| StateError::Record {
        key: key.to_owned(),
        source,
    })
}

fn compile(key: &str, label: &str, kind: PolicyKind, document: &str) -> Result<irsa_policy::Policy, StateError> {
    irsa_policy::Policy::parse(label, kind, document).map_err(|error| StateError::Policy {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

fn compile_inline(
    key: &str,
    owner: &str,
    policies: &[InlinePolicy],
) -> Result<Vec<Arc<irsa_policy::Policy>>, StateError> {
    let label = |policy: &InlinePolicy| format!("inline policy {} of {owner}", policy.name);
    policies
        .iter()
        .map(|policy| compile(key, &label(policy), PolicyKind::Identity, &policy.document).map(Arc::new))
        .collect()
}
