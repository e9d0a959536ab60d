//! Who may call: one caller of every kind that the principals of two policies can tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use irsa_core::AccountId;
use irsa_policy::{Context, Effect, Layers, Policy, PolicyKind, Principal, Request, StatementOutcome, decide, explain};

use crate::document::{Document, Statement, quote};

/// A caller, as [`Principal`] but with texts of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// Nobody: the request carries no credentials.
    Anonymous,
    /// An account's root user.
    Root {
        /// The account.
        account: AccountId,
    },
    /// An IAM user.
    User {
        /// Its ARN.
        arn: String,
        /// Its `AIDA…` id.
        unique_id: String,
        /// Its account.
        account: AccountId,
    },
    /// A session of a role.
    RoleSession {
        /// The session's ARN.
        session_arn: String,
        /// The role's ARN.
        role_arn: String,
        /// The role's `AROA…` id.
        role_unique_id: String,
        /// The role's account.
        account: AccountId,
    },
    /// A user behind GetFederationToken.
    FederatedUser {
        /// Its ARN.
        arn: String,
        /// The ARN of the user that made the session.
        user_arn: String,
        /// The user's account.
        account: AccountId,
    },
    /// The bearer of a web identity token.
    WebIdentity {
        /// The provider's ARN or domain.
        provider: String,
    },
    /// The bearer of a SAML assertion.
    Saml {
        /// The provider's ARN.
        provider: String,
    },
    /// An AWS service.
    Service {
        /// The names it goes by.
        names: Vec<String>,
    },
}

impl Caller {
    /// Gives `act` the caller in the engine's form.
    pub fn with<R>(&self, act: impl FnOnce(Principal<'_>) -> R) -> R {
        let names: Vec<&str>;
        act(match self {
            Self::Anonymous => Principal::Anonymous,
            Self::Root { account } => Principal::Root { account: *account },
            Self::User {
                arn,
                unique_id,
                account,
            } => Principal::User {
                arn,
                unique_id,
                account: *account,
            },
            Self::RoleSession {
                session_arn,
                role_arn,
                role_unique_id,
                account,
            } => Principal::RoleSession {
                session_arn,
                role_arn,
                role_unique_id,
                account: *account,
            },
            Self::FederatedUser { arn, user_arn, account } => Principal::FederatedUser {
                arn,
                user_arn,
                account: *account,
            },
            Self::WebIdentity { provider } => Principal::WebIdentity { provider },
            Self::Saml { provider } => Principal::Saml { provider },
            Self::Service { names: mine } => {
                names = mine.iter().map(String::as_str).collect();
                Principal::Service { names: &names }
            }
        })
    }

    /// The account it belongs to, if it belongs to one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.with(|principal| principal.account())
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Root { account } => write!(f, "arn:aws:iam::{account}:root"),
            Self::User { arn, .. } | Self::FederatedUser { arn, .. } => f.write_str(arn),
            Self::RoleSession {
                session_arn, role_arn, ..
            } => write!(f, "{session_arn} (a session of {role_arn})"),
            Self::WebIdentity { provider } => write!(f, "web identity of {provider}"),
            Self::Saml { provider } => write!(f, "SAML assertion of {provider}"),
            Self::Service { names } => write!(f, "service {}", names.join(", ")),
        }
    }
}

/// How strongly a resource's policy names a caller: what else must agree before the request is allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Strength {
    /// It delegates to the caller's account: identity policies must allow too.
    Account,
    /// It names the caller's role or user: within the account nothing else need allow, but boundaries and session
    /// policies limit.
    Role,
    /// It names the caller: within the account nothing else need allow.
    Direct,
}

/// A caller, and whether it has a permissions boundary (which `NotPrincipal` with `Deny` takes notice of).
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) caller: Caller,
    pub(crate) bounded: bool,
    /// For every statement of the old policy and then of the new one, how strongly it is about the caller.
    pub(crate) strengths: Vec<Option<Strength>>,
}

/// The account that stands for the reader's own.
pub(crate) const ACCOUNT: &str = "111122223333";
const USER_ID: &str = "AIDAEXAMPLE1234567890";
const ROLE_ID: &str = "AROAEXAMPLE1234567890";

/// The caller where no principal is named: any user will do.
pub(crate) fn anyone() -> Option<Caller> {
    Some(Caller::User {
        arn: format!("arn:aws:iam::{ACCOUNT}:user/example"),
        unique_id: USER_ID.to_owned(),
        account: ACCOUNT.parse().ok()?,
    })
}

/// One caller of every kind that the statements tell apart, strangers first; and whether that is all of them.
pub(crate) fn candidates(old: &Document, new: &Document) -> (Vec<Candidate>, bool) {
    let statements: Vec<&Statement> = old.statements.iter().chain(&new.statements).collect();
    let kind = new.kind();
    let callers = if statements.iter().all(|statement| statement.probe.is_none()) {
        Callers {
            all: anyone().into_iter().collect(),
            is_full: false,
        }
    } else {
        enumerate(&statements, kind)
    };
    let boundaries: &[bool] = if kind == PolicyKind::Resource
        && statements
            .iter()
            .any(|statement| statement.not_principal && statement.effect == Effect::Deny)
    {
        &[false, true]
    } else {
        &[false]
    };
    // Statements that name the same principals need to be asked once.
    let mut probes: BTreeMap<(&[(String, String)], bool, bool), usize> = BTreeMap::new();
    let mut asked: Vec<&Statement> = Vec::new();
    let numbers: Vec<usize> = statements
        .iter()
        .map(|statement| {
            let deny = statement.effect == Effect::Deny;
            *probes
                .entry((&statement.principals, statement.not_principal, deny))
                .or_insert_with(|| {
                    asked.push(statement);
                    asked.len().saturating_sub(1)
                })
        })
        .collect();
    let most = QUESTIONS.checked_div(asked.len()).unwrap_or(QUESTIONS).max(1);
    let complete = !callers.is_full && callers.all.len() <= most;
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut known = BTreeSet::new();
    for caller in callers.all.into_iter().take(most) {
        for bounded in boundaries {
            if *bounded && !matches!(caller, Caller::User { .. } | Caller::RoleSession { .. }) {
                continue;
            }
            let answers: Vec<Option<Strength>> = asked
                .iter()
                .map(|statement| strength(statement, kind, &caller, *bounded))
                .collect();
            let kind_of_caller = (caller.account().is_some(), matches!(caller, Caller::Root { .. }));
            if known.insert((kind_of_caller, answers.clone())) {
                let strengths = numbers
                    .iter()
                    .map(|number| answers.get(*number).copied().flatten())
                    .collect();
                candidates.push(Candidate {
                    caller: caller.clone(),
                    bounded: *bounded,
                    strengths,
                });
            }
        }
    }
    (candidates, complete)
}

/// Policies that stand around the one that is looked at.
pub(crate) struct Surroundings {
    /// Allows everything to its holder.
    pub(crate) everything: Vec<Arc<Policy>>,
    /// Leaves everything to the identity policies of [`ACCOUNT`].
    pub(crate) delegation: Option<Policy>,
}

/// A policy of a resource that allows everything to everybody, this caller included.
pub(crate) fn open_to(caller: &Caller) -> Option<Policy> {
    let federated = match caller {
        Caller::WebIdentity { provider } | Caller::Saml { provider } => format!(r#","Federated":{}"#, quote(provider)),
        _ => String::new(),
    };
    open(&format!(r#""AWS":"*"{federated}"#))
}

fn open(principal: &str) -> Option<Policy> {
    let text =
        format!(r#"{{"Statement":{{"Effect":"Allow","Principal":{{{principal}}},"Action":"*","Resource":"*"}}}}"#);
    Policy::parse("surroundings", PolicyKind::Resource, &text).ok()
}

pub(crate) static SURROUNDINGS: LazyLock<Surroundings> = LazyLock::new(|| {
    let everything = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    Surroundings {
        everything: Policy::parse("surroundings", PolicyKind::Identity, everything)
            .map(Arc::new)
            .into_iter()
            .collect(),
        delegation: open(&format!(r#""AWS":"{ACCOUNT}""#)),
    }
});

/// Asks the engine how strongly a statement is about a caller.
fn strength(statement: &Statement, kind: PolicyKind, caller: &Caller, bounded: bool) -> Option<Strength> {
    let Some(probe) = &statement.probe else {
        return Some(Strength::Direct);
    };
    let surroundings = &*SURROUNDINGS;
    let context = Context::default();
    let boundary = surroundings
        .everything
        .first()
        .map(|policy| &**policy)
        .filter(|_| bounded);
    let endpoint = [Arc::clone(probe)];
    let level = [vec![Arc::clone(probe)]];
    let mut layers = Layers {
        boundary,
        ..Layers::default()
    };
    match kind {
        PolicyKind::VpcEndpoint => layers.vpc_endpoint = Some(&endpoint),
        PolicyKind::ResourceControl => layers.resource_control = &level,
        _ => layers.resource = Some(probe),
    }
    caller.with(|principal| {
        let request = Request {
            principal,
            action: "example:Probe",
            resource: "*",
            resource_account: principal.account(),
            context: &context,
        };
        let matched = explain(&layers, &request)
            .statements
            .first()
            .and_then(|trace| match trace.outcome {
                StatementOutcome::Matched { delegates } => Some(delegates),
                StatementOutcome::Missed(_) => None,
            })?;
        if matched {
            return Some(Strength::Account);
        }
        // An empty session policy stops what names the role, and not what names the session itself.
        let stopped = Layers {
            session: Some(&[]),
            ..layers
        };
        let ranked = statement.effect == Effect::Allow
            && matches!(kind, PolicyKind::Resource | PolicyKind::Trust)
            && matches!(
                principal,
                Principal::RoleSession { .. } | Principal::FederatedUser { .. }
            );
        if ranked && !decide(&stopped, &request).is_allowed() {
            return Some(Strength::Role);
        }
        Some(Strength::Direct)
    })
}

/// How many callers are looked at.
const MANY: usize = 4096;

/// How often the engine is asked whether a statement is about a caller.
const QUESTIONS: usize = 60_000;

fn enumerate(statements: &[&Statement], kind: PolicyKind) -> Callers {
    let mut names = Names::default();
    for (name, value) in statements.iter().flat_map(|statement| &statement.principals) {
        names.add(name, value);
    }
    let fresh = names.fresh("example");
    let mut callers = Callers::default();
    names.strangers(kind, &fresh, &mut callers);
    // A stranger's account may own what is named by its id.
    let others = names.stranger().filter(|_| !names.ids.is_empty());
    for account in names.accounts.iter().chain(&others) {
        if callers.is_full {
            break;
        }
        callers.push(Caller::Root { account: *account });
        names.users(*account, &fresh, &mut callers);
        names.roles(*account, &fresh, &mut callers);
    }
    for provider in names.providers.iter().cloned() {
        callers.push(if provider.contains(":saml-provider/") {
            Caller::Saml { provider }
        } else {
            Caller::WebIdentity { provider }
        });
    }
    names.services(&mut callers);
    if kind == PolicyKind::Trust {
        callers.push(Caller::Anonymous);
    }
    callers
}

/// The callers that are looked at.
#[derive(Default)]
struct Callers {
    all: Vec<Caller>,
    /// There are more.
    is_full: bool,
}

impl Callers {
    fn push(&mut self, caller: Caller) {
        if self.all.len() < MANY {
            self.all.push(caller);
        } else {
            self.is_full = true;
        }
    }
}

/// What the principals of the policies name.
#[derive(Default)]
struct Names {
    accounts: BTreeSet<AccountId>,
    users: BTreeSet<(AccountId, String)>,
    roles: BTreeSet<(AccountId, String)>,
    sessions: BTreeSet<(AccountId, String)>,
    federated_users: BTreeSet<(AccountId, String)>,
    ids: BTreeSet<String>,
    services: BTreeSet<String>,
    providers: BTreeSet<String>,
    texts: BTreeSet<String>,
}

impl Names {
    fn add(&mut self, name: &str, value: &str) {
        self.texts.insert(value.to_owned());
        if value == "*" {
            return;
        }
        match name {
            "Service" => {
                self.services.insert(value.to_owned());
            }
            "Federated" => {
                self.providers.insert(value.to_owned());
            }
            "AWS" if value.starts_with("arn:") => {
                let mut fields = value.splitn(6, ':').skip(4);
                let account = fields.next().and_then(|account| account.parse().ok());
                let resource = fields.next().unwrap_or_default();
                // An ARN that is in no account may still be somebody's.
                let Some(account) = account.or_else(|| ACCOUNT.parse().ok()) else {
                    return;
                };
                self.accounts.insert(account);
                let set = if resource.starts_with("role/") {
                    &mut self.roles
                } else if resource.starts_with("assumed-role/") {
                    &mut self.sessions
                } else if resource.starts_with("federated-user/") {
                    &mut self.federated_users
                } else if resource == "root" {
                    return;
                } else {
                    &mut self.users
                };
                set.insert((account, value.to_owned()));
            }
            "AWS" => match value.parse() {
                Ok(account) => {
                    self.accounts.insert(account);
                }
                Err(_) => {
                    // An id may belong to any account, named or not.
                    self.ids.insert(value.to_owned());
                }
            },
            _ => {}
        }
    }

    /// A word that no principal contains.
    fn fresh(&self, word: &str) -> String {
        const TRIES: u32 = 32;
        let is_fresh = |candidate: &String| !self.texts.iter().any(|text| text.contains(candidate));
        std::iter::once(word.to_owned())
            .chain((2..TRIES).map(|number| format!("{word}-{number}")))
            .find(is_fresh)
            .unwrap_or_else(|| {
                let longest = self.texts.iter().map(String::len).max().unwrap_or_default();
                format!("{word}-{}", "x".repeat(longest))
            })
    }

    fn users(&self, account: AccountId, fresh: &str, callers: &mut Callers) {
        let of = |set: &BTreeSet<(AccountId, String)>, new: String| -> Vec<String> {
            let named = set
                .iter()
                .filter(|(owner, _)| *owner == account)
                .map(|(_, arn)| arn.clone());
            std::iter::once(new).chain(named).collect()
        };
        let unique_ids = self.ids_but("AROA", USER_ID);
        let federated = of(
            &self.federated_users,
            format!("arn:aws:sts::{account}:federated-user/{fresh}"),
        );
        for arn in of(&self.users, format!("arn:aws:iam::{account}:user/{fresh}")) {
            for unique_id in &unique_ids {
                callers.push(Caller::User {
                    arn: arn.clone(),
                    unique_id: unique_id.clone(),
                    account,
                });
            }
            for federated in &federated {
                callers.push(Caller::FederatedUser {
                    arn: federated.clone(),
                    user_arn: arn.clone(),
                    account,
                });
            }
            if callers.is_full {
                return;
            }
        }
    }

    fn roles(&self, account: AccountId, fresh: &str, callers: &mut Callers) {
        let mine = |set: &'_ BTreeSet<(AccountId, String)>| -> Vec<String> {
            set.iter()
                .filter(|(owner, _)| *owner == account)
                .map(|(_, arn)| arn.clone())
                .collect()
        };
        let unique_ids = self.ids_but("AIDA", ROLE_ID);
        let fresh_session = self.fresh("session");
        let sessions = mine(&self.sessions);
        // A session that is named has a role, named or not, under any path.
        let implied = sessions.iter().flat_map(|arn| {
            let name = arn
                .split(":assumed-role/")
                .nth(1)
                .and_then(|rest| rest.split('/').next());
            name.into_iter().flat_map(|name| {
                ["".to_owned(), format!("{fresh}/")].map(|path| format!("arn:aws:iam::{account}:role/{path}{name}"))
            })
        });
        let new = std::iter::once(format!("arn:aws:iam::{account}:role/{fresh}"));
        let arns: BTreeSet<String> = new.chain(mine(&self.roles)).chain(implied).collect();
        for role_arn in arns {
            let name = role_arn.rsplit('/').next().unwrap_or_default();
            let prefix = format!(":assumed-role/{name}/");
            let named = sessions.iter().filter(|arn| arn.contains(&prefix)).cloned();
            let new = format!("arn:aws:sts::{account}{prefix}{fresh_session}");
            for session_arn in std::iter::once(new).chain(named) {
                for role_unique_id in &unique_ids {
                    callers.push(Caller::RoleSession {
                        session_arn: session_arn.clone(),
                        role_arn: role_arn.clone(),
                        role_unique_id: role_unique_id.clone(),
                        account,
                    });
                }
            }
            if callers.is_full {
                return;
            }
        }
    }

    /// An id that is not named, and the named ones but for those of the other kind.
    fn ids_but(&self, other: &str, usual: &str) -> Vec<String> {
        let named = self.ids.iter().filter(|id| !id.starts_with(other)).cloned();
        std::iter::once(self.fresh(usual)).chain(named).collect()
    }

    /// An account that no policy names.
    fn stranger(&self) -> Option<AccountId> {
        ["444455556666", "777788889999", "123456789012"]
            .iter()
            .filter_map(|text| text.parse().ok())
            .chain((1..=u64::MAX).filter_map(AccountId::from_number))
            .find(|account| !self.accounts.contains(account))
    }

    /// Callers that no policy names.
    fn strangers(&self, kind: PolicyKind, fresh: &str, callers: &mut Callers) {
        if kind != PolicyKind::Trust {
            callers.push(Caller::Anonymous);
        }
        if let Some(account) = self.stranger() {
            callers.push(Caller::User {
                arn: format!("arn:aws:iam::{account}:user/{fresh}"),
                unique_id: self.fresh(USER_ID),
                account,
            });
            callers.push(Caller::RoleSession {
                session_arn: format!("arn:aws:sts::{account}:assumed-role/{fresh}/session"),
                role_arn: format!("arn:aws:iam::{account}:role/{fresh}"),
                role_unique_id: self.fresh(ROLE_ID),
                account,
            });
            callers.push(Caller::FederatedUser {
                arn: format!("arn:aws:sts::{account}:federated-user/{fresh}"),
                user_arn: format!("arn:aws:iam::{account}:user/{fresh}"),
                account,
            });
            callers.push(Caller::Root { account });
        }
        callers.push(Caller::WebIdentity {
            provider: format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{fresh}.example.com"),
        });
        callers.push(Caller::Service {
            names: vec![format!("{fresh}.amazonaws.com")],
        });
    }

    /// A service goes by one name, or by several that begin with the same label.
    fn services(&self, callers: &mut Callers) {
        const TOGETHER: usize = 6;
        let mut labels: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for name in &self.services {
            labels
                .entry(name.split('.').next().unwrap_or_default())
                .or_default()
                .push(name);
        }
        for names in labels.into_values() {
            if names.len() > TOGETHER {
                callers.is_full = true;
                for name in names {
                    callers.push(Caller::Service {
                        names: vec![name.clone()],
                    });
                }
                continue;
            }
            for chosen in 1_u32..(1 << names.len()) {
                let chosen = names.iter().enumerate().filter(|(number, _)| chosen >> number & 1 == 1);
                callers.push(Caller::Service {
                    names: chosen.map(|(_, name)| (*name).clone()).collect(),
                });
            }
        }
    }
}
