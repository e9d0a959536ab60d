//! `Principal` and `NotPrincipal`, and how strongly they name a caller.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.

use irsa_core::AccountId;

use crate::error::{Fault, PolicyProblem};
use crate::policy::{Effect, PolicyKind};
use crate::profile::Profile;
use crate::request::Principal;
use crate::syntax::{self, Element, clip};

/// How directly a statement names the caller; the order is the strength.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Strength {
    /// The caller's account: a delegation to its identity policies, not a grant.
    Account,
    /// The role behind a session, or the user behind a federated user.
    Role,
    /// The caller itself, or everyone.
    Direct,
}

#[derive(Clone, Debug)]
pub(crate) struct Principals {
    pub(crate) negated: bool,
    /// What the profile says about `NotPrincipal` with `Deny`, and about `*` and federated callers.
    needs_the_whole_chain: bool,
    everyone_is_federated_too: bool,
    patterns: Box<[PrincipalPattern]>,
    pub(crate) texts: Box<[Box<str>]>,
}

#[derive(Clone, Debug)]
enum PrincipalPattern {
    /// `"*"` and `{"AWS": "*"}`.
    Everyone,
    /// Twelve digits, or the account's root ARN.
    Account(AccountId),
    /// A user, role, role session or federated user, perhaps bound to the unique id it had when the policy was saved.
    Arn {
        arn: Box<str>,
        bound: Option<Box<str>>,
    },
    /// `AIDA…` or `AROA…`.
    UniqueId(Box<str>),
    Service(Box<str>),
    /// `{"Service": "*"}`, which is no principal of the documentation: it never helps anybody to get in.
    AnyService,
    /// A provider's ARN or a domain name.
    Federated(Box<str>),
    /// `{"Federated": "*"}`: anybody with a token or an assertion of a provider that the account trusts.
    AnyFederated,
    /// A canonical user id: names nobody here.
    CanonicalUser,
}

impl Principals {
    pub(crate) fn new(
        element: &Element<syntax::Principal<'_>>,
        negated: bool,
        profile: &Profile,
    ) -> Result<Self, Fault> {
        let at = element.at;
        let bad = |text: &str| Fault::new(at, PolicyProblem::BadPrincipal(clip(text)));
        let mut patterns = Vec::new();
        let mut texts: Vec<Box<str>> = Vec::new();
        match &element.value {
            syntax::Principal::Text(text) if text == "*" => {
                patterns.push(PrincipalPattern::Everyone);
                texts.push("*".into());
            }
            syntax::Principal::Text(text) => return Err(bad(text)),
            syntax::Principal::Typed(types) => {
                for (name, values) in types {
                    for value in values {
                        let pattern = PrincipalPattern::new(name, value).ok_or_else(|| bad(value))?;
                        patterns.push(pattern);
                        texts.push(format!("{name}:{value}").into());
                    }
                    if !matches!(&**name, "AWS" | "Service" | "Federated" | "CanonicalUser") {
                        return Err(bad(name));
                    }
                }
            }
        }
        if patterns.is_empty() {
            return Err(bad(""));
        }
        Ok(Self {
            negated,
            needs_the_whole_chain: profile.not_principal_needs_the_whole_chain,
            everyone_is_federated_too: !profile.federated_callers_need_federated,
            patterns: patterns.into(),
            texts: texts.into(),
        })
    }

    /// Binds user and role ARNs to the unique ids that `resolve` knows for them.
    pub(crate) fn bind(&mut self, resolve: &mut dyn FnMut(&str) -> Option<String>) {
        for pattern in &mut self.patterns {
            if let PrincipalPattern::Arn { arn, bound } = pattern {
                *bound = resolve(arn).map(Into::into);
            }
        }
    }

    /// How strongly the element covers `caller`; `None` if the statement is not about it.
    #[inline]
    pub(crate) fn covers(&self, caller: &Caller<'_>, effect: Effect, kind: PolicyKind) -> Option<Strength> {
        if self.negated {
            return self.covers_unlisted(caller, effect, kind);
        }
        let mut strongest = None;
        for pattern in &self.patterns {
            let strength = match pattern {
                PrincipalPattern::Everyone => self.everyone_is(caller, effect, kind).then_some(Strength::Direct),
                PrincipalPattern::AnyService if effect == Effect::Deny => {
                    caller.is_service().then_some(Strength::Direct)
                }
                pattern => pattern.strength(caller.principal),
            };
            strongest = strongest.max(strength);
            if strongest == Some(Strength::Direct) {
                break;
            }
        }
        strongest
    }

    /// `NotPrincipal`.
    fn covers_unlisted(&self, caller: &Caller<'_>, effect: Effect, kind: PolicyKind) -> Option<Strength> {
        let listed = |strength| {
            self.patterns.iter().any(|pattern| match pattern {
                PrincipalPattern::Everyone => true,
                PrincipalPattern::AnyService if effect == Effect::Allow => {
                    caller.is_service() && strength == Strength::Direct
                }
                pattern => pattern.strength(caller.principal) == Some(strength),
            })
        };
        let (itself, role, account) = (
            listed(Strength::Direct),
            listed(Strength::Role),
            listed(Strength::Account),
        );
        let applies = match effect {
            Effect::Allow => !itself && !role && !account && self.everyone_is(caller, effect, kind),
            // "Always denies" if the caller has a permissions boundary.
            Effect::Deny if caller.has_boundary && kind == PolicyKind::Resource => true,
            Effect::Deny if !self.needs_the_whole_chain => !itself && !role && !account,
            Effect::Deny => {
                let spared = match caller.principal {
                    Principal::User { .. } => account && itself,
                    Principal::RoleSession { .. } | Principal::FederatedUser { .. } => account && role && itself,
                    Principal::Anonymous
                    | Principal::Root { .. }
                    | Principal::WebIdentity { .. }
                    | Principal::Saml { .. }
                    | Principal::Service { .. } => itself,
                };
                !spared
            }
        };
        applies.then_some(Strength::Direct)
    }

    /// Whether `*` means the caller.
    fn everyone_is(&self, caller: &Caller<'_>, effect: Effect, kind: PolicyKind) -> bool {
        let federated = matches!(caller.principal, Principal::WebIdentity { .. } | Principal::Saml { .. });
        !federated
            || effect == Effect::Deny
            || matches!(kind, PolicyKind::VpcEndpoint | PolicyKind::ResourceControl)
            || self.everyone_is_federated_too
    }
}

/// The caller, and what else decides whether a statement is about it.
pub(crate) struct Caller<'r> {
    pub(crate) principal: &'r Principal<'r>,
    pub(crate) has_boundary: bool,
}

impl Caller<'_> {
    fn is_service(&self) -> bool {
        matches!(self.principal, Principal::Service { .. })
    }
}

impl PrincipalPattern {
    fn new(name: &str, value: &str) -> Option<Self> {
        let everything = value == "*";
        if value.is_empty() || (!everything && value.contains(['*', '?'])) {
            return None;
        }
        Some(match name {
            "AWS" if everything => Self::Everyone,
            "AWS" => {
                if let Some(account) = account_of(value) {
                    Self::Account(account)
                } else if value.starts_with("arn:") {
                    Self::Arn {
                        arn: value.into(),
                        bound: None,
                    }
                } else {
                    Self::UniqueId(value.into())
                }
            }
            "Service" if everything => Self::AnyService,
            "Service" => Self::Service(value.into()),
            "Federated" if everything => Self::AnyFederated,
            "Federated" => Self::Federated(value.into()),
            "CanonicalUser" => Self::CanonicalUser,
            _ => return None,
        })
    }

    /// How strongly this names the caller. `*` for everyone and for services are settled before.
    fn strength(&self, principal: &Principal<'_>) -> Option<Strength> {
        match (self, principal) {
            (Self::Account(mine), Principal::Root { account }) => (mine == account).then_some(Strength::Direct),
            (
                Self::Account(mine),
                Principal::User { account, .. }
                | Principal::RoleSession { account, .. }
                | Principal::FederatedUser { account, .. },
            ) => (mine == account).then_some(Strength::Account),
            (Self::Arn { arn: mine, bound }, Principal::User { arn, unique_id, .. }) => {
                (**mine == **arn && is_bound_to(bound, unique_id)).then_some(Strength::Direct)
            }
            (
                Self::Arn { arn: mine, bound },
                Principal::RoleSession {
                    session_arn,
                    role_arn,
                    role_unique_id,
                    ..
                },
            ) => {
                if !is_bound_to(bound, role_unique_id) {
                    None
                } else if **mine == **session_arn {
                    Some(Strength::Direct)
                } else {
                    (**mine == **role_arn).then_some(Strength::Role)
                }
            }
            (Self::Arn { arn: mine, .. }, Principal::FederatedUser { arn, user_arn, .. }) => {
                if **mine == **arn {
                    Some(Strength::Direct)
                } else {
                    (**mine == **user_arn).then_some(Strength::Role)
                }
            }
            (Self::UniqueId(mine), Principal::User { unique_id, .. }) => {
                (**mine == **unique_id).then_some(Strength::Direct)
            }
            (Self::UniqueId(mine), Principal::RoleSession { role_unique_id, .. }) => {
                (**mine == **role_unique_id).then_some(Strength::Role)
            }
            (Self::Service(mine), Principal::Service { names }) => names.contains(&&**mine).then_some(Strength::Direct),
            (Self::AnyFederated, Principal::WebIdentity { .. } | Principal::Saml { .. }) => Some(Strength::Direct),
            (Self::Federated(mine), Principal::WebIdentity { provider } | Principal::Saml { provider }) => {
                (**mine == **provider).then_some(Strength::Direct)
            }
            _ => None,
        }
    }
}

fn is_bound_to(bound: &Option<Box<str>>, unique_id: &str) -> bool {
    bound.as_ref().is_none_or(|bound| **bound == *unique_id)
}

/// The account that `111122223333` or `arn:aws:iam::111122223333:root` names.
fn account_of(text: &str) -> Option<AccountId> {
    if let Ok(account) = text.parse() {
        return Some(account);
    }
    let mut fields = text.splitn(6, ':');
    let (arn, _partition, service, region) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (account, resource) = (fields.next()?, fields.next()?);
    (arn == "arn" && service == "iam" && region.is_empty() && resource == "root")
        .then(|| account.parse().ok())
        .flatten()
}
