//! The decision on one request.

use irsa_core::{AccountId, Arn};
use irsa_policy::{Decision, Layers, Request, Verdict};

/// A decision in a simulation.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// What the policies say.
    pub verdict: Verdict,
    /// Whose the thing is that nobody may change, if that is why the request is refused although policies allow it.
    pub reserved: Option<&'static str>,
}

/// Decides a request: the engine's decision, and what AWS refuses whatever the policies say.
#[must_use]
pub fn decide(layers: &Layers<'_>, request: &Request<'_>) -> Ruling {
    let verdict = irsa_policy::decide(layers, request);
    let reserved = match verdict.decision {
        Decision::Allowed => reserved(request.action, request.resource),
        Decision::ExplicitlyDenied | Decision::ImplicitlyDenied => None,
    };
    Ruling { verdict, reserved }
}

impl Ruling {
    /// The decision.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match self.reserved {
            Some(_) => Decision::ImplicitlyDenied,
            None => self.verdict.decision,
        }
    }

    /// Why: the end of AWS's sentence, and the statement that denies.
    #[must_use]
    pub fn reason(&self, action: &str) -> String {
        if let Some(owner) = self.reserved {
            return format!("because {owner} can only be changed by AWS, whatever policies allow");
        }
        let reason = self.verdict.reason(action);
        match (self.verdict.decision, &self.verdict.statement) {
            (Decision::ExplicitlyDenied, Some(statement)) => format!("{reason}: {statement}"),
            _ => reason,
        }
    }
}

/// What an action would change although it is AWS's own: managed policies, roles of IAM Identity Center, aliases of AWS's
/// keys.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html>,
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/using-service-linked-roles.html> and
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>.
#[must_use]
pub fn reserved(action: &str, resource: &str) -> Option<&'static str> {
    const POLICY: [&str; 7] = [
        "CreatePolicy",
        "CreatePolicyVersion",
        "DeletePolicy",
        "DeletePolicyVersion",
        "SetDefaultPolicyVersion",
        "TagPolicy",
        "UntagPolicy",
    ];
    const ROLE: [&str; 16] = [
        "AttachRolePolicy",
        "CreateRole",
        "CreateServiceLinkedRole",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DeleteServiceLinkedRole",
        "DetachRolePolicy",
        "PassRole",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
    ];
    const ALIAS: [&str; 3] = ["CreateAlias", "DeleteAlias", "UpdateAlias"];
    let (service, operation) = action.split_once(':')?;
    let is_of = |operations: &[&str]| operations.iter().any(|name| name.eq_ignore_ascii_case(operation));
    let starts = |text: &str, prefix: &str| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if service.eq_ignore_ascii_case("iam") {
        if !is_of(&POLICY) && !is_of(&ROLE) {
            return None;
        }
        let arn: Arn = resource.parse().ok()?;
        if is_of(&POLICY) && arn.account() == "aws" && starts(arn.resource(), "policy/") {
            return Some("an AWS managed policy");
        }
        if is_of(&ROLE) && starts(arn.resource(), "role/aws-reserved/") {
            return Some("a role under `/aws-reserved/`");
        }
    } else if service.eq_ignore_ascii_case("kms") && is_of(&ALIAS) {
        let arn: Arn = resource.parse().ok()?;
        if starts(arn.resource(), "alias/aws/") {
            return Some("an alias of an AWS managed key");
        }
    }
    None
}

/// Whether the text is an action as a request has it: `service:Operation`, without wildcards.
#[must_use]
pub fn is_operation(action: &str) -> bool {
    action
        .split_once(':')
        .is_some_and(|(service, operation)| !service.is_empty() && !operation.is_empty())
        && !action.contains(['*', '?'])
}

/// The account that owns a resource, if its ARN says so.
#[must_use]
pub fn owner(resource: &str) -> Option<AccountId> {
    resource.parse::<Arn>().ok()?.account_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_aws() {
        let policy = "arn:aws:iam::aws:policy/ReadOnlyAccess";
        assert!(reserved("iam:DeletePolicy", policy).is_some());
        assert!(reserved("IAM:deletepolicy", policy).is_some());
        assert!(reserved("iam:GetPolicy", policy).is_none());
        assert!(reserved("iam:DeletePolicy", "arn:aws:iam::111122223333:policy/mine").is_none());
        let role = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1";
        assert!(reserved("iam:PassRole", role).is_some());
        assert!(reserved("iam:GetRole", role).is_none());
        assert!(reserved("iam:PassRole", "arn:aws:iam::111122223333:role/aws-reserved").is_none());
        assert!(reserved("kms:CreateAlias", "arn:aws:kms:us-east-1:111122223333:alias/aws/s3").is_some());
        assert!(reserved("kms:CreateAlias", "arn:aws:kms:us-east-1:111122223333:alias/awsome").is_none());
        assert!(reserved("kms:CreateAlias", "alias/aws/s3").is_none());
        assert!(reserved("kms", "*").is_none());
    }
}
