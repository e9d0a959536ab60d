//! What is asked, under which policies, and what the answer is.

use std::fmt;
use std::sync::Arc;

use irsa_core::AccountId;

use crate::context::Context;
use crate::policy::{Policy, StatementRef};
use crate::profile::Profile;

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Principal<'a> {
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
        arn: &'a str,
        /// Its `AIDA…` id.
        unique_id: &'a str,
        /// Its account.
        account: AccountId,
    },
    /// A session of a role.
    RoleSession {
        /// `arn:aws:sts::…:assumed-role/name/session`.
        session_arn: &'a str,
        /// The role's ARN with its path, which the session's ARN lacks.
        role_arn: &'a str,
        /// The role's `AROA…` id.
        role_unique_id: &'a str,
        /// The role's account.
        account: AccountId,
    },
    /// A user behind GetFederationToken.
    FederatedUser {
        /// `arn:aws:sts::…:federated-user/name`.
        arn: &'a str,
        /// The IAM user that made the session.
        user_arn: &'a str,
        /// The user's account.
        account: AccountId,
    },
    /// The bearer of a verified web identity token.
    WebIdentity {
        /// The provider's ARN, or the domain of a built-in one.
        provider: &'a str,
    },
    /// The bearer of a verified SAML assertion.
    Saml {
        /// The provider's ARN.
        provider: &'a str,
    },
    /// An AWS service, by all the names it goes by.
    Service {
        /// Such as `cloudtrail.amazonaws.com`.
        names: &'a [&'a str],
    },
}

impl Principal<'_> {
    /// The account the caller belongs to, if it belongs to one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::RoleSession { account, .. }
            | Self::FederatedUser { account, .. } => Some(*account),
            Self::Anonymous | Self::WebIdentity { .. } | Self::Saml { .. } | Self::Service { .. } => None,
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who calls.
    pub principal: Principal<'a>,
    /// `service:Operation`, in any case.
    pub action: &'a str,
    /// The resource's ARN, or `*` for an action without resource types.
    pub resource: &'a str,
    /// The account that owns the resource; `None` for one without an owner, which counts as the caller's.
    pub resource_account: Option<AccountId>,
    /// The condition keys.
    pub context: &'a Context,
}

/// The policies that apply to one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layers<'a> {
    /// The caller's identity-based policies.
    pub identity: &'a [Arc<Policy>],
    /// The caller's permissions boundary.
    pub boundary: Option<&'a Policy>,
    /// The session policies, which allow as one; `None` if none was passed.
    pub session: Option<&'a [Arc<Policy>]>,
    /// The resource's own policy; for a role its trust policy.
    pub resource: Option<&'a Policy>,
    /// Service control policies of the caller's account, one list a level from the root down. None for an organization's
    /// management account. Service-linked roles are exempt from these and the next.
    pub service_control: &'a [Vec<Arc<Policy>>],
    /// Resource control policies of the resource's account, one list a level.
    pub resource_control: &'a [Vec<Arc<Policy>>],
    /// The policy of the VPC endpoint that the request came through.
    pub vpc_endpoint: Option<&'a [Arc<Policy>]>,
    /// The choices that are about no single policy. Those about a policy's own text were made when it was compiled.
    pub profile: Profile,
}

/// The answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Something allows it and nothing denies it.
    Allowed,
    /// A `Deny` statement matches.
    ExplicitlyDenied,
    /// Nothing that must allow it does.
    ImplicitlyDenied,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "Allowed",
            Self::ExplicitlyDenied => "ExplicitlyDenied",
            Self::ImplicitlyDenied => "ImplicitlyDenied",
        })
    }
}

/// A kind of policy in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layer {
    /// The caller's identity-based policies.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// The session policies.
    Session,
    /// The resource's policy or the role's trust policy.
    Resource,
    /// Service control policies.
    ServiceControl,
    /// Resource control policies.
    ResourceControl,
    /// The VPC endpoint's policy.
    VpcEndpoint,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Resource => "resource-based policy",
            Self::ServiceControl => "service control policy",
            Self::ResourceControl => "resource control policy",
            Self::VpcEndpoint => "VPC endpoint policy",
        })
    }
}

/// The answer and what decided it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The answer.
    pub decision: Decision,
    /// The layer that decided: the one whose statement allows or denies, or the first that had to allow and did not.
    /// `None` if no policy was asked.
    pub layer: Option<Layer>,
    /// The statement that allows or denies; `None` for an implicit denial, and for what needs no statement.
    pub statement: Option<StatementRef>,
    /// The resource layer is a role's trust policy, which has a name of its own in texts.
    pub(crate) trust: bool,
}

impl Verdict {
    /// Whether the request may go ahead.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision == Decision::Allowed
    }

    /// The end of AWS's sentence `User: … is not authorized to perform: … on resource: …`, such as
    /// `because no identity-based policy allows the s3:PutObject action`, with the action as it is given here.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>.
    #[must_use]
    pub fn reason(&self, action: &str) -> String {
        match (self.decision, self.layer) {
            (Decision::Allowed, None) => "because the action needs no permission".to_owned(),
            (Decision::Allowed, Some(_)) => match &self.statement {
                Some(statement) => format!("because {statement} allows the {action} action"),
                None => format!("because the account's root user may perform the {action} action"),
            },
            (Decision::ExplicitlyDenied, layer) => {
                let policy = self.policy_words(layer);
                let article = if policy.starts_with('i') { "an" } else { "a" };
                format!("with an explicit deny in {article} {policy}")
            }
            (Decision::ImplicitlyDenied, layer) => {
                format!("because no {} allows the {action} action", self.policy_words(layer))
            }
        }
    }

    pub(crate) fn policy_words(&self, layer: Option<Layer>) -> String {
        match layer {
            Some(Layer::Resource) if self.trust => "role trust policy".to_owned(),
            Some(layer) => layer.to_string(),
            None => Layer::Identity.to_string(),
        }
    }
}
