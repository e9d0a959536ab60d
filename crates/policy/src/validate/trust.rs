//! Trust policies: who may assume a role. For issuers that many tenants share, the subject must be pinned.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html>.

use irsa_core::{AccountId, Arn};

use super::{Malformed, SYNTAX, dates_are_readable, read, sids_are_unique};
use crate::error::PolicyProblem;
use crate::syntax::{Condition, Principal, Statement, Text};
use crate::syntax::{Operator, Predicate};

/// The actions that a trust policy may name, in exactly this case.
pub const TRUST_ACTIONS: [&str; 12] = [
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    WEB_IDENTITY,
    "sts:TagSession",
    "sts:SetSourceIdentity",
    "sts:SetContext",
    "sts:DecodeAuthorizationMessage",
    "sts:GetAccessKeyInfo",
    "sts:GetCallerIdentity",
    "sts:GetFederationToken",
    "sts:GetServiceBearerToken",
    "sts:GetSessionToken",
];

const WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

/// What a trust policy must check before it may trust an issuer.
#[derive(Clone, Copy, Debug)]
enum Control {
    /// One of the string operators on `<issuer>:<claim>`.
    Claim(&'static str),
    /// The same on a key that is not the issuer's.
    Key(&'static str),
    /// GitHub: `sub` or `job_workflow_ref`, with stricter values, for every issuer that begins like this.
    GitHub,
    /// The providers from before OIDC: an exact comparison with one of these claims.
    BuiltIn(&'static [&'static str]),
}

/// Issuers that many tenants share. Each other issuer belongs to one, and its URL says enough.
const SHARED: [(&str, Control); 24] = [
    (COGNITO, Control::Claim("aud")),
    ("accounts.google.com", Control::BuiltIn(&["aud", "oaud", "sub"])),
    ("www.amazon.com", Control::BuiltIn(&["app_id", "sub"])),
    ("graph.facebook.com", Control::BuiltIn(&["app_id", "sub"])),
    ("vstoken.actions.githubusercontent.com", Control::Claim("sub")),
    (
        "oidc-configuration.audit-log.githubusercontent.com",
        Control::Claim("sub"),
    ),
    ("gitlab.com", Control::Claim("sub")),
    ("app.terraform.io", Control::Claim("sub")),
    ("agent.buildkite.com", Control::Claim("sub")),
    ("oidc.codefresh.io", Control::Claim("sub")),
    ("studio.datachain.ai/api", Control::Claim("sub")),
    ("scalr.io", Control::Claim("sub")),
    ("tokens.cloud.shisho.dev", Control::Claim("sub")),
    ("proidc.upbound.io", Control::Claim("sub")),
    ("api.pulumi.com/oidc", Control::Claim("aud")),
    ("sandboxes.cloud", Control::Claim("aud")),
    ("oidc.vercel.com", Control::Claim("aud")),
    (
        "sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d",
        Control::Key("sts:RoleSessionName"),
    ),
    (
        "rh-oidc.s3.us-east-1.amazonaws.com/22ejnvnnturfmt6km08idd0nt4hekbn7",
        Control::Claim("sub"),
    ),
    (
        "rh-oidc.s3.us-east-1.amazonaws.com/23e3sd27sju1hoou6ohfs68vbno607tr",
        Control::Claim("sub"),
    ),
    (
        "rh-oidc.s3.us-east-1.amazonaws.com/23ne21h005qjl3n33d8dui5dlrmv2tmg",
        Control::Claim("sub"),
    ),
    (
        "rh-oidc.s3.us-east-1.amazonaws.com/24jrf12m5dj7ljlfb4ta2frhrcoadm26",
        Control::Claim("sub"),
    ),
    (
        "oidc.op1.openshiftapps.com/2f785sojlpb85i7402pk3qogugim5nfb",
        Control::Claim("sub"),
    ),
    (
        "oidc.op1.openshiftapps.com/2c51blsaqa9gkjt0o9rt11mle8mmropu",
        Control::Claim("sub"),
    ),
];

const COGNITO: &str = "cognito-identity.amazonaws.com";
const GITHUB: &str = "token.actions.githubusercontent.com";

pub(super) fn check(text: &str) -> Result<(), Malformed> {
    let document = read(text).map_err(|fault| {
        Malformed::new(match fault.problem {
            PolicyProblem::NotJson(_) | PolicyProblem::TooDeep | PolicyProblem::TooLong(_) => {
                "This policy contains invalid Json"
            }
            PolicyProblem::BadVersion(_) => "The policy must contain a valid version string",
            PolicyProblem::Missing("Statement") => "Could not parse the policy: Statement is empty!",
            _ => SYNTAX,
        })
    })?;
    document.statements.iter().try_for_each(check_statement)?;
    if !sids_are_unique(&document.statements) {
        return Err(Malformed::new("Statement IDs (SID) in a single policy must be unique."));
    }
    document.statements.iter().try_for_each(check_issuers)
}

fn check_statement(statement: &Statement<'_>) -> Result<(), Malformed> {
    let missing = |name: &str| Malformed::new(format!("Missing required field {name}"));
    let effect = statement.effect.as_ref().ok_or_else(|| missing("Effect"))?;
    if !matches!(&*effect.value, "Allow" | "Deny") {
        return Err(Malformed::new(format!("Invalid effect: {}", effect.value)));
    }
    if statement.resource.is_some() {
        return Err(Malformed::new("Has prohibited field Resource"));
    }
    if statement.not_resource.is_some() {
        return Err(Malformed::new("AssumeRole policy must not contain resources."));
    }
    if statement.not_principal.is_some() {
        return Err(Malformed::new(if effect.value == "Allow" {
            "Allow with NotPrincipal is not allowed."
        } else {
            "AssumeRole policy must not contain NotPrincipal field."
        }));
    }
    check_principal(statement)?;
    let actions = statement.action.as_ref().or(statement.not_action.as_ref());
    let actions = actions
        .filter(|actions| !actions.value.is_empty())
        .ok_or_else(|| missing("Action"))?;
    if !actions.value.iter().all(|action| TRUST_ACTIONS.contains(&&**action)) {
        return Err(Malformed::new(
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ));
    }
    if !statement.conditions.as_deref().is_none_or(dates_are_readable) {
        return Err(Malformed::new("The policy failed legacy parsing"));
    }
    Ok(())
}

fn check_principal(statement: &Statement<'_>) -> Result<(), Malformed> {
    let principal = statement
        .principal
        .as_ref()
        .ok_or_else(|| Malformed::new("Missing required field Principal"))?;
    let types = match &principal.value {
        Principal::Text(text) if text == "*" => {
            return Err(Malformed::new(
                "AssumeRolepolicy contained an invalid principal: \"STAR\":\"*\".",
            ));
        }
        Principal::Text(_) => return Err(Malformed::new("Principal must be a JSON object.")),
        Principal::Typed(types) => types,
    };
    if !types.iter().any(|(_, values)| !values.is_empty()) {
        return Err(Malformed::new("Missing required field Principal cannot be empty!"));
    }
    for (name, values) in types {
        for value in values {
            let valid = value == "*"
                || match &**name {
                    "AWS" => is_aws_principal(value),
                    "Service" => is_domain(value),
                    "Federated" if !is_federated_principal(value) => {
                        return Err(Malformed::new(
                            "Federated principals must be valid domain names or SAML metadata ARNs",
                        ));
                    }
                    "Federated" => true,
                    _ => false,
                };
            if !valid {
                return Err(Malformed::new(format!(
                    "Invalid principal in policy: \"{}\":\"{value}\"",
                    name.to_ascii_uppercase()
                )));
            }
        }
    }
    Ok(())
}

/// An account, its root, a user, a role, a session, or a unique id. Whether it exists is not known here.
fn is_aws_principal(text: &str) -> bool {
    if text.parse::<AccountId>().is_ok() {
        return true;
    }
    if text.contains(['*', '?']) {
        return false;
    }
    let Ok(arn) = text.parse::<Arn>() else {
        let unique_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        return (16..=128).contains(&text.len()) && text.starts_with('A') && text.bytes().all(unique_id);
    };
    let named = |kind| arn.resource_of_kind(kind).is_some_and(|name| !name.is_empty());
    arn.account_id().is_some()
        && arn.region().is_empty()
        && match arn.service() {
            "iam" => arn.resource() == "root" || named("user") || named("role"),
            "sts" => {
                named("federated-user")
                    || arn
                        .resource_of_kind("assumed-role")
                        .and_then(|rest| rest.split_once('/'))
                        .is_some_and(|(role, session)| !role.is_empty() && !session.is_empty())
            }
            _ => false,
        }
}

fn is_federated_principal(text: &str) -> bool {
    match text.parse::<Arn>() {
        Ok(arn) => {
            arn.service() == "iam"
                && (arn.resource_of_kind("oidc-provider").is_some() || arn.resource_of_kind("saml-provider").is_some())
        }
        Err(_) => is_domain(text),
    }
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.contains('.') && text.split('.').all(label)
}

/// Every shared issuer that the statement lets assume the role must be pinned down.
fn check_issuers(statement: &Statement<'_>) -> Result<(), Malformed> {
    let allows = statement.effect.as_ref().is_some_and(|effect| effect.value == "Allow");
    let names = |list: &[Text<'_>]| list.iter().any(|action| action == WEB_IDENTITY);
    let web_identity = match (&statement.action, &statement.not_action) {
        (Some(actions), _) => names(&actions.value),
        (None, Some(actions)) => !names(&actions.value),
        (None, None) => false,
    };
    let Some(Principal::Typed(types)) = statement.principal.as_ref().map(|element| &element.value) else {
        return Ok(());
    };
    if !allows || !web_identity {
        return Ok(());
    }
    let conditions = statement.conditions.as_deref().unwrap_or_default();
    types
        .iter()
        .filter(|(name, _)| name == "Federated")
        .flat_map(|(_, values)| values)
        .try_for_each(|principal| check_issuer(principal, conditions))
}

fn check_issuer(principal: &str, conditions: &[Condition<'_>]) -> Result<(), Malformed> {
    let issuer = principal
        .split_once(":oidc-provider/")
        .map_or(principal, |(_, issuer)| issuer);
    let shared = SHARED.iter().find(|(known, _)| *known == issuer);
    let control = match shared {
        Some((_, control)) => *control,
        None if issuer.starts_with(GITHUB) => Control::GitHub,
        None => return Ok(()),
    };
    let (name, keys) = match control {
        Control::Claim(_) if issuer == COGNITO && conditions.is_empty() => {
            return Err(Malformed::new(
                "A condition block must be present for the Cognito provider",
            ));
        }
        Control::Claim(claim) => (issuer, vec![format!("{issuer}:{claim}")]),
        Control::Key(key) => (issuer, vec![key.to_owned()]),
        Control::GitHub => (
            principal,
            vec![format!("{issuer}:sub"), format!("{issuer}:job_workflow_ref")],
        ),
        Control::BuiltIn(claims) => {
            return if conditions.iter().any(|condition| is_exact(condition, issuer, claims)) {
                Ok(())
            } else {
                Err(Malformed::new(format!(
                    "Policy trusting {issuer} requires a StringEquals condition on an application id"
                )))
            };
        }
    };
    let pinned = match control {
        Control::GitHub => is_pinned_on_github(conditions, &keys),
        _ => conditions.iter().any(|condition| {
            is_scoping(condition) && is_key(condition, &keys) && !condition.values.iter().any(|value| value == "*")
        }),
    };
    if pinned {
        return Ok(());
    }
    Err(Malformed::new(format!(
        "Trust policy with trusted principal {name} must evaluate, using StringEquals, StringLike or \
         StringEqualsIgnoreCase, {} which is not scoped to all.",
        keys.join(" or ")
    )))
}

/// Some operator block compares one of the keys, and whatever it compares them with is a real value: neither blank
/// nor beginning with `*`.
fn is_pinned_on_github(conditions: &[Condition<'_>], keys: &[String]) -> bool {
    let relevant = || {
        conditions
            .iter()
            .filter(|condition| is_scoping(condition) && is_key(condition, keys))
    };
    relevant().any(|candidate| {
        relevant()
            .filter(|condition| condition.operator == candidate.operator)
            .flat_map(|condition| &condition.values)
            .all(|value| !value.trim().is_empty() && !value.starts_with('*'))
    })
}

fn is_key(condition: &Condition<'_>, keys: &[String]) -> bool {
    keys.iter().any(|key| key.eq_ignore_ascii_case(&condition.key))
}

/// An operator that can pin a subject: positive, about text, and not satisfied by an absent key.
fn is_scoping(condition: &Condition<'_>) -> bool {
    Operator::parse(&condition.operator).is_some_and(|operator| {
        !operator.negated
            && !operator.if_exists
            && matches!(
                operator.predicate,
                Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike
            )
    })
}

/// The older rule: an exact comparison, the key in exactly this case, any value.
fn is_exact(condition: &Condition<'_>, issuer: &str, claims: &[&str]) -> bool {
    is_scoping(condition)
        && Operator::parse(&condition.operator).is_some_and(|operator| operator.predicate != Predicate::StringLike)
        && condition
            .key
            .strip_prefix(issuer)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|claim| claims.contains(&claim))
}
