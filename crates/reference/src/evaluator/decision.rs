//! From statements to a decision.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>.

use super::document::{Document, Effect, Kind, Statement};
use super::principal::{self, Caller, Link};
use super::resource::{self, Reading};
use super::{Choices, Request, action, condition};

/// Organization policies: one list a level, from the root down.
pub type Organization = Vec<Vec<Document>>;

/// The policies that apply to a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the kinds of policies, as AWS names them")]
pub struct Policies {
    pub identity: Vec<Document>,
    pub boundary: Option<Document>,
    pub session: Option<Vec<Document>>,
    pub resource: Option<Document>,
    pub service_control: Organization,
    pub resource_control: Organization,
    pub vpc_endpoint: Option<Vec<Document>>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the decisions, as AWS names them")]
pub enum Answer {
    Allowed,
    ExplicitlyDenied,
    ImplicitlyDenied,
}

/// Decides a request.
#[must_use]
pub fn decide(policies: &Policies, request: &Request, choices: &Choices) -> Answer {
    let question = Question {
        policies,
        request,
        choices,
    };
    if question.needs_no_permission() {
        return Answer::Allowed;
    }
    if question.something_denies() {
        return Answer::ExplicitlyDenied;
    }
    if question.organization_allows() && question.endpoint_allows() && question.caller_may() {
        Answer::Allowed
    } else {
        Answer::ImplicitlyDenied
    }
}

/// Whether a policy of a kind is asked about a request at all. Service control policies are for principals of an account;
/// neither they nor resource control policies restrict service-linked roles.
///
/// See <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html> and
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html>.
#[must_use]
pub fn is_asked(kind: Kind, request: &Request, choices: &Choices) -> bool {
    match kind {
        Kind::ServiceControl | Kind::ResourceControl if request.caller.is_linked_to_a_service() => false,
        Kind::ServiceControl => request.caller.account().is_some() || !choices.service_control_needs_an_account,
        _ => true,
    }
}

/// How closely a statement names the caller, if every other part of it is about the request too; `None` if it does not
/// apply. `bounded` says whether the caller has a permissions boundary.
#[must_use]
pub fn closeness(
    document: &Document,
    statement: &Statement,
    request: &Request,
    bounded: bool,
    choices: &Choices,
) -> Option<Link> {
    let reading = Reading {
        kind: document.kind,
        has_variables: document.has_variables,
        keys: &request.keys,
        choices,
    };
    let resource_applies = match &statement.resource {
        Some(element) => resource::applies(element, &request.resource, &reading),
        None => true,
    };
    let applies = action::applies(&statement.action, &request.action)
        && resource_applies
        && statement
            .conditions
            .iter()
            .all(|one| condition::holds(one, document.has_variables, &request.keys, choices));
    if applies {
        // Only the policy of a resource treats a bounded caller specially.
        let bounded = bounded && document.kind == Kind::Resource;
        principal::closeness(document.kind, statement, &request.caller, bounded, choices)
    } else {
        None
    }
}

struct Question<'q> {
    policies: &'q Policies,
    request: &'q Request,
    choices: &'q Choices,
}

impl Question<'_> {
    /// Whoever has credentials may ask whose they are, whatever policies say.
    ///
    /// See <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>.
    fn needs_no_permission(&self) -> bool {
        self.request.caller.account().is_some() && self.request.action.eq_ignore_ascii_case("sts:GetCallerIdentity")
    }

    /// One matching `Deny` in any policy that applies is enough.
    fn something_denies(&self) -> bool {
        self.all_documents().into_iter().any(|document| {
            let mut denials = document.statements.iter().filter(|one| one.effect == Effect::Deny);
            denials.any(|one| self.closeness(document, one).is_some())
        })
    }

    fn all_documents(&self) -> Vec<&Document> {
        let policies = self.policies;
        let mut all: Vec<&Document> = Vec::new();
        all.extend(&policies.identity);
        all.extend(&policies.boundary);
        all.extend(policies.session.iter().flatten());
        all.extend(&policies.resource);
        all.extend(policies.service_control.iter().flatten());
        all.extend(policies.resource_control.iter().flatten());
        all.extend(policies.vpc_endpoint.iter().flatten());
        all.retain(|document| is_asked(document.kind, self.request, self.choices));
        all
    }

    fn closeness(&self, document: &Document, statement: &Statement) -> Option<Link> {
        let bounded = self.policies.boundary.is_some();
        closeness(document, statement, self.request, bounded, self.choices)
    }

    /// The closest of the statements in some policies that allow.
    fn grant(&self, documents: &[Document]) -> Option<Link> {
        let mut closest = None;
        for document in documents {
            for statement in &document.statements {
                if statement.effect == Effect::Allow {
                    closest = closest.max(self.closeness(document, statement));
                }
            }
        }
        closest
    }

    fn allows(&self, documents: &[Document]) -> bool {
        self.grant(documents).is_some()
    }

    /// Every level of the organization must allow.
    ///
    /// See <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html>.
    fn organization_allows(&self) -> bool {
        !is_asked(Kind::ServiceControl, self.request, self.choices)
            || self.policies.service_control.iter().all(|level| self.allows(level))
    }

    /// An endpoint that has a policy must allow.
    ///
    /// See <https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html>.
    fn endpoint_allows(&self) -> bool {
        self.policies
            .vpc_endpoint
            .as_ref()
            .is_none_or(|policies| self.allows(policies))
    }

    fn caller_may(&self) -> bool {
        let grant = self
            .policies
            .resource
            .as_ref()
            .and_then(|policy| self.grant(std::slice::from_ref(policy)));
        match self.request.caller.account() {
            // Who has no identity in any account can only be named by the resource.
            None => grant == Some(Link::Itself),
            Some(account) if self.is_account_of_resource(account) => self.may_within_account(grant),
            // Across accounts, both sides must allow.
            Some(_) => grant.is_some() && self.identity_allows() && self.boundary_allows() && self.session_allows(),
        }
    }

    fn is_account_of_resource(&self, account: &str) -> bool {
        match &self.request.resource_account {
            Some(owner) => owner == account,
            None => self.choices.unknown_account_is_the_callers,
        }
    }

    /// Within an account, either side may allow; what ceilings apply depends on how closely the resource names the caller.
    fn may_within_account(&self, grant: Option<Link>) -> bool {
        let ceilings = self.boundary_allows() && self.session_allows();
        match grant {
            // A resource that names the caller itself grants, whatever its ceilings.
            Some(Link::Itself) => true,
            // One that names its role is limited by them.
            Some(Link::Behind) if ceilings => true,
            // One that names its account leaves it to the identity's policies.
            _ => {
                let resource_leaves_it = !self.resource_must_allow() || grant.is_some();
                let is_root = matches!(self.request.caller, Caller::Root { .. });
                (is_root && !self.resource_must_allow()) || (self.identity_allows() && ceilings && resource_leaves_it)
            }
        }
    }

    /// Root has every permission of its account.
    fn identity_allows(&self) -> bool {
        matches!(self.request.caller, Caller::Root { .. }) || self.allows(&self.policies.identity)
    }

    fn boundary_allows(&self) -> bool {
        self.policies
            .boundary
            .as_ref()
            .is_none_or(|policy| self.allows(std::slice::from_ref(policy)))
    }

    /// Without a session policy, the session of a role has all permissions of the role, and that of GetFederationToken none.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_getfederationtoken.html>.
    fn session_allows(&self) -> bool {
        match &self.policies.session {
            Some(policies) => self.allows(policies),
            None => !matches!(self.request.caller, Caller::FederatedUser { .. }),
        }
    }

    /// The trust policy of a role, for whoever assumes it and what they bring into the session, and the policy of a KMS key
    /// must allow even within the account.
    ///
    /// See <https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html> and
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>.
    fn resource_must_allow(&self) -> bool {
        let is_trust = self
            .policies
            .resource
            .as_ref()
            .is_some_and(|policy| policy.kind == Kind::Trust);
        let is_action = |pattern| action::matches(pattern, &self.request.action);
        let is_about = |part| self.request.resource.contains(part);
        let assumes = is_action("sts:AssumeRole*");
        let passes_on = (is_action("sts:TagSession") || is_action("sts:SetSourceIdentity")) && is_about(":role/");
        let uses_key = is_action("kms:*") && is_about(":key/");
        is_trust || assumes || passes_on || uses_key
    }
}
