//! `Principal` and `NotPrincipal`: which callers an entry names, and how closely.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>.

use super::Choices;
use super::document::{Effect, Kind, PrincipalEntry, Statement};

/// Who calls.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "what AWS calls the parts of each kind of caller")]
pub enum Caller {
    Anonymous,
    Root {
        account: String,
    },
    User {
        arn: String,
        id: String,
        account: String,
    },
    RoleSession {
        arn: String,
        role_arn: String,
        role_id: String,
        account: String,
    },
    FederatedUser {
        arn: String,
        user_arn: String,
        account: String,
    },
    WebIdentity {
        provider: String,
    },
    Saml {
        provider: String,
    },
    Service {
        names: Vec<String>,
    },
}

impl Caller {
    /// The account it belongs to, if it belongs to one.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::RoleSession { account, .. }
            | Self::FederatedUser { account, .. } => Some(account),
            Self::Anonymous | Self::WebIdentity { .. } | Self::Saml { .. } | Self::Service { .. } => None,
        }
    }

    /// Whether it is a session of a service-linked role, which its path tells.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html>.
    pub(super) fn is_linked_to_a_service(&self) -> bool {
        let Self::RoleSession { role_arn, .. } = self else {
            return false;
        };
        let part = role_arn.splitn(6, ':').nth(5);
        part.is_some_and(|part| part.starts_with("role/aws-service-role/"))
    }

    fn bears_a_token(&self) -> bool {
        matches!(self, Self::WebIdentity { .. } | Self::Saml { .. })
    }
}

/// One of the principals that a caller is at once, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Link {
    /// The account, which delegates.
    Account,
    /// The role of a session, or the user behind a federated user.
    Behind,
    /// The caller itself, or everyone.
    Itself,
}

/// How closely a statement's principal element names the caller; `None` if the statement is not about it.
pub(super) fn closeness(
    kind: Kind,
    statement: &Statement,
    caller: &Caller,
    bounded: bool,
    choices: &Choices,
) -> Option<Link> {
    // Policies of a principal name none: they are about whom they are attached to.
    let Some(element) = &statement.principal else {
        return Some(Link::Itself);
    };
    let leaves_out = statement.effect == Effect::Allow && leaves_out(kind, caller, choices);
    // What an entry names is denied something, or left out of what is allowed.
    let takes_away = (statement.effect == Effect::Deny) != element.negated;
    let everyone = if leaves_out && !element.negated {
        vec![]
    } else {
        vec![Link::Account, Link::Behind, Link::Itself]
    };
    let named = || {
        let entries = element.entries.iter();
        entries.flat_map(|entry| match (entry.kind.as_str(), entry.text.as_str()) {
            ("AWS", "*") => everyone.clone(),
            ("Service", "*") if !takes_away => vec![],
            _ => links(entry, caller),
        })
    };
    match (element.negated, statement.effect) {
        (false, _) => named().max(),
        (true, Effect::Allow) => {
            let excepted = named().next().is_some();
            (!excepted && !leaves_out).then_some(Link::Itself)
        }
        // With a permissions boundary, such a statement denies whomever it excepts.
        (true, Effect::Deny) if bounded => Some(Link::Itself),
        (true, Effect::Deny) => {
            let named: Vec<Link> = named().collect();
            let excepted = if choices.not_principal_needs_the_whole_chain {
                chain(caller).iter().all(|link| named.contains(link))
            } else {
                !named.is_empty()
            };
            (!excepted).then_some(Link::Itself)
        }
    }
}

/// Whether `*` gives this caller nothing: for bearers of a token, `Federated` is the word. The policy of an endpoint grants
/// nothing and lets everyone through with `*`, as the default one does.
///
/// See <https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html>.
fn leaves_out(kind: Kind, caller: &Caller, choices: &Choices) -> bool {
    kind != Kind::VpcEndpoint && caller.bears_a_token() && choices.federated_callers_need_federated
}

/// The links that a denial must except one by one.
fn chain(caller: &Caller) -> Vec<Link> {
    match caller {
        Caller::Anonymous | Caller::WebIdentity { .. } | Caller::Saml { .. } | Caller::Service { .. } => {
            vec![Link::Itself]
        }
        Caller::Root { .. } | Caller::User { .. } => vec![Link::Account, Link::Itself],
        Caller::RoleSession { .. } | Caller::FederatedUser { .. } => vec![Link::Account, Link::Behind, Link::Itself],
    }
}

/// The links of a caller that one entry names. Of providers, `*` is any; of services it is none in particular: it can take
/// away, and gives nothing.
fn links(entry: &PrincipalEntry, caller: &Caller) -> Vec<Link> {
    let text = &entry.text;
    match entry.kind.as_str() {
        "AWS" => aws(entry, caller),
        "Service" => match caller {
            Caller::Service { names } if text == "*" || names.contains(text) => vec![Link::Itself],
            _ => vec![],
        },
        "Federated" => match caller {
            Caller::WebIdentity { provider } | Caller::Saml { provider } if text == "*" || provider == text => {
                vec![Link::Itself]
            }
            _ => vec![],
        },
        // No caller is known by a canonical user id.
        _ => vec![],
    }
}

/// An account, an ARN or a unique id. An ARN that was bound to a unique id names whoever has that id.
fn aws(entry: &PrincipalEntry, caller: &Caller) -> Vec<Link> {
    let text = &entry.text;
    let is_entity = |arn: &String, id: &String| match &entry.id {
        Some(bound) => bound == id,
        None => text == arn || text == id,
    };
    let mut links = Vec::new();
    if caller.account().is_some_and(|account| is_account(text, account)) {
        links.push(Link::Account);
        if matches!(caller, Caller::Root { .. }) {
            links.push(Link::Itself);
        }
    }
    match caller {
        Caller::User { arn, id, .. } if is_entity(arn, id) => links.push(Link::Itself),
        Caller::RoleSession { role_arn, role_id, .. } if is_entity(role_arn, role_id) => links.push(Link::Behind),
        Caller::RoleSession { arn, .. } | Caller::FederatedUser { arn, .. } if text == arn => links.push(Link::Itself),
        // The id of the user behind a federated user is not known.
        Caller::FederatedUser { user_arn, .. } if text == user_arn => links.push(Link::Behind),
        _ => {}
    }
    links
}

/// An account is named by its twelve digits or by the ARN of its root user.
fn is_account(text: &str, account: &str) -> bool {
    let fields: Vec<&str> = text.splitn(6, ':').collect();
    text == account
        || matches!(fields.as_slice(), ["arn", partition, "iam", "", owner, "root"] if !partition.is_empty() && *owner == account)
}
