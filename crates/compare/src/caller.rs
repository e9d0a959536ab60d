//! Who may call: one caller of every kind that the principals of two policies can tell apart.

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use irsa_core::AccountId;
use irsa_policy::{
    Context, Decision, Effect, Layers, Policy, PolicyKind, Principal, Request, StatementOutcome, decision, explain,
};

use self::names::{Callers, enumerate};
use crate::document::{Condition, Document, Statement, quote};

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
    /// For every statement of the old policy, how strongly it is about the caller.
    pub(crate) old: Vec<Option<Strength>>,
    /// The same for the new policy.
    pub(crate) new: Vec<Option<Strength>>,
}

impl Candidate {
    /// The candidate for the comparison the other way round.
    pub(crate) fn swapped(&self) -> Self {
        Self {
            caller: self.caller.clone(),
            bounded: self.bounded,
            old: self.new.clone(),
            new: self.old.clone(),
        }
    }
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
    let mut probes: BTreeMap<Named<'_>, usize> = BTreeMap::new();
    let mut asked: Vec<&Statement> = Vec::new();
    let numbers: Vec<usize> = statements
        .iter()
        .map(|statement| {
            let named = Named {
                principals: &statement.principals,
                not: statement.not_principal,
                deny: statement.effect == Effect::Deny,
            };
            *probes.entry(named).or_insert_with(|| {
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
            // Only who belongs to an account can have a boundary.
            if *bounded && caller.account().is_none() {
                continue;
            }
            let answers: Vec<Option<Strength>> = asked
                .iter()
                .map(|statement| strength(statement, kind, &caller, *bounded))
                .collect();
            let kind_of_caller = (caller.account().is_some(), matches!(caller, Caller::Root { .. }));
            if known.insert((kind_of_caller, answers.clone())) {
                let strengths = |numbers: &[usize]| {
                    let answer = |number: &usize| answers.get(*number).copied().flatten();
                    numbers.iter().map(answer).collect()
                };
                let (old, new) = numbers
                    .split_at_checked(old.statements.len())
                    .unwrap_or((&numbers, &[]));
                candidates.push(Candidate {
                    caller: caller.clone(),
                    bounded: *bounded,
                    old: strengths(old),
                    new: strengths(new),
                });
            }
        }
    }
    // A caller without an account has no keys that tell of its account.
    let of_principals = |condition: &Condition| {
        ["aws:principal", "aws:userid", "aws:username", "aws:token"]
            .iter()
            .any(|start| {
                let head = condition.key.get(..start.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(start))
            })
    };
    if statements
        .iter()
        .any(|statement| statement.conditions.iter().any(of_principals))
    {
        candidates.sort_by_key(|candidate| candidate.caller.account().is_none());
    }
    (candidates, complete)
}

/// What of a statement decides whom it is about.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Named<'s> {
    principals: &'s [(String, String)],
    not: bool,
    deny: bool,
}

/// The label of these policies.
pub(crate) const SURROUNDING: &str = "surroundings";

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
    Policy::parse(SURROUNDING, PolicyKind::Resource, &text).ok()
}

pub(crate) static SURROUNDINGS: LazyLock<Surroundings> = LazyLock::new(|| {
    let everything = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    Surroundings {
        everything: Policy::parse(SURROUNDING, PolicyKind::Identity, everything)
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
        // The quick question first: most statements are not about the caller. From another account all must allow, so that
        // any strength shows.
        let about = match (statement.effect, kind) {
            (Effect::Deny, _) => decision(&layers, &request) == Decision::ExplicitlyDenied,
            (Effect::Allow, PolicyKind::Resource | PolicyKind::Trust) => {
                let open = Layers {
                    identity: &surroundings.everything,
                    session: Some(&surroundings.everything),
                    ..layers
                };
                let elsewhere = Request {
                    resource_account: AccountId::from_number(999_988_887_777),
                    ..request
                };
                decision(&open, &elsewhere) == Decision::Allowed
            }
            (Effect::Allow, _) => true,
        };
        if !about {
            return None;
        }
        let delegates = explain(&layers, &request)
            .statements
            .first()
            .and_then(|trace| match trace.outcome {
                StatementOutcome::Matched { delegates } => Some(delegates),
                StatementOutcome::Missed(_) => None,
            })?;
        // Only resources' own policies tell strengths apart.
        if !matches!(kind, PolicyKind::Resource | PolicyKind::Trust) {
            return Some(Strength::Direct);
        }
        if delegates {
            return Some(Strength::Account);
        }
        // An empty session policy stops what names the role, and not what names the session itself.
        let stopped = Layers {
            session: Some(&[]),
            ..layers
        };
        let ranked = statement.effect == Effect::Allow
            && matches!(
                principal,
                Principal::RoleSession { .. } | Principal::FederatedUser { .. }
            );
        if ranked && decision(&stopped, &request) != Decision::Allowed {
            return Some(Strength::Role);
        }
        Some(Strength::Direct)
    })
}

/// How often the engine is asked whether a statement is about a caller.
const QUESTIONS: usize = 240_000;
