//! Trust policies: who may assume a role, and by which action.

use super::issuers::issuer_of;
use super::resources::fields;
use crate::finding::FindingType;
use crate::glob::matches;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Item, Statement};

const OIDC_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html";
const PRINCIPAL_PAGE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "ROLE_TRUST_POLICY_SYNTAX_ERROR_NOTPRINCIPAL",
        "NotPrincipal in a trust policy",
        Kinds::TRUST,
        not_principal,
    ),
    Rule::error(
        "ROLE_TRUST_POLICY_UNSUPPORTED_WILDCARD_IN_PRINCIPAL",
        "the principal \"*\" in a trust policy",
        Kinds::TRUST,
        bare_star,
    ),
    Rule::error(
        "ROLE_TRUST_POLICY_SYNTAX_ERROR_RESOURCE",
        "a resource in a trust policy",
        Kinds::TRUST,
        resource,
    ),
    Rule::error(
        "INVALID_FEDERATED_PRINCIPAL_SYNTAX_IN_ROLE_TRUST_POLICY",
        "an identity provider of the wrong form",
        Kinds::TRUST,
        federated_syntax,
    ),
    Rule::error(
        "MISMATCHED_ACTION_FOR_PRINCIPAL",
        "an action that the principal cannot use",
        Kinds::TRUST,
        mismatched_action,
    ),
    Rule::error(
        "MISSING_ACTION_FOR_ROLES_ANYWHERE_TRUST_POLICY",
        "Roles Anywhere without one of its actions",
        Kinds::TRUST,
        roles_anywhere,
    ),
    Rule::doubt(
        "MISSING_ACTION_FOR_CONDITION_KEY",
        "a condition on what an action sets that is not there",
        Kinds::TRUST,
        missing_action_for_key,
    ),
    Rule::suggestion(
        "REDUNDANT_PRINCIPAL_IN_ROLE_TRUST_POLICY",
        "a role's session beside the role",
        Kinds::TRUST,
        redundant_session,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_ANYONE_MAY_ASSUME",
        "a role that every account's users may assume",
        PRINCIPAL_PAGE,
        Kinds::TRUST,
        anyone,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_ANY_PROVIDER",
        "a role for all identity providers",
        OIDC_PAGE,
        Kinds::TRUST,
        any_provider,
    ),
];

const ASSUME: &str = "sts:AssumeRole";

pub(super) const WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

const SAML: &str = "sts:AssumeRoleWithSAML";

fn is_saml(provider: &str) -> bool {
    provider.contains(":saml-provider/")
}

/// Whether a statement is about an action.
pub(super) fn is_about(statement: &Statement<'_>, action: &str) -> bool {
    match (&statement.action, &statement.not_action) {
        (Some(list), _) => list.items.iter().any(|item| matches(&item.text, action, true)),
        (None, Some(list)) => !list.items.iter().any(|item| matches(&item.text, action, true)),
        (None, None) => false,
    }
}

fn not_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.not_principal.as_ref())
    {
        findings
            .at_name(&principal.name, "trust policies have no `NotPrincipal`")
            .fix("name in `Principal` who may assume the role");
    }
}

fn bare_star(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        let text = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.text.as_ref());
        if let Some(text) = text.filter(|text| text.text == "*") {
            findings
                .at(text, "IAM takes no bare `\"*\"` as the principal of a trust policy")
                .fix("name who may assume the role; `{\"AWS\": \"*\"}` would be everyone in every account");
        }
    }
}

fn resource(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.resource_lists())
    {
        findings
            .at_name(
                &list.name,
                "a trust policy is about the role that it belongs to, and names no resource",
            )
            .fix(format!("remove `{}`", list.name.text));
    }
}

fn federated_syntax(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let principals = subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals());
    for item in principals.flat_map(|principal| principal.of("Federated")) {
        let text = &*item.text;
        if text == "*" {
            continue;
        }
        let label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(fits)
        };
        let fits = match fields(text) {
            Some(arn) => {
                let named = |kind: &str| arn.resource.strip_prefix(kind).is_some_and(|name| !name.is_empty());
                arn.service == "iam" && (named("oidc-provider/") || named("saml-provider/"))
            }
            None => text.contains('.') && text.split('.').all(label),
        };
        if fits {
            let scheme = issuer_of(text).and_then(|issuer| issuer.split_once("://"));
            if scheme.is_some() {
                let whole = text.replacen("https://", "", 1).replacen("http://", "", 1);
                findings
                    .at(
                        item,
                        "a provider's ARN has the issuer's URL without its scheme, so this is no provider's",
                    )
                    .as_type(FindingType::Warning)
                    .fix("remove `https://`")
                    .retext(&item.bytes, &whole);
            }
            continue;
        }
        let finding = findings.at(
            item,
            format!("`{}` is neither a provider's ARN nor a domain", clip(text)),
        );
        finding.fix("write `arn:aws:iam::ACCOUNT:oidc-provider/ISSUER`, with the issuer's URL without `https://`");
    }
}

/// Whether bearers of something can use an action at all. Actions that go along with others fit everybody.
fn fits(kind: &str, name: &str, action: &str) -> bool {
    let is = |wanted: &str| matches(action, wanted, true);
    let assumes = is(ASSUME) || is(WEB_IDENTITY) || is(SAML);
    if !assumes {
        return true;
    }
    // A provider under the wrong type has a finding of its own.
    let is_provider = kind == "Federated" || name.contains(":oidc-provider/") || is_saml(name);
    match if is_provider { "Federated" } else { kind } {
        "Federated" if name == "*" => is(WEB_IDENTITY) || is(SAML),
        "Federated" if is_saml(name) => is(SAML),
        "Federated" => is(WEB_IDENTITY),
        _ => is(ASSUME),
    }
}

fn is_assuming(action: &str) -> bool {
    [ASSUME, WEB_IDENTITY, SAML]
        .iter()
        .any(|known| matches(action, known, true))
}

fn mismatched_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let (Some(principal), Some(actions)) = (&statement.principal, &statement.action) else {
            continue;
        };
        let assuming: Vec<&Item<'_>> = actions
            .items
            .iter()
            .filter(|action| is_assuming(&action.text))
            .take(16)
            .collect();
        if assuming.is_empty() || principal.typed.is_empty() {
            continue;
        }
        let mut any_action_fits = false;
        for action in &assuming {
            if principal
                .entries()
                .any(|(kind, item)| fits(kind, &item.text, &action.text))
            {
                any_action_fits = true;
                continue;
            }
            let wanted = match principal.entries().next() {
                Some(("Federated", item)) if is_saml(&item.text) => SAML,
                Some(("Federated", _)) => WEB_IDENTITY,
                Some(_) => ASSUME,
                None => continue,
            };
            let finding = findings.at(
                action,
                format!("none of the principals here can use `{}`", clip(&action.text)),
            );
            finding.fix(format!("write `{wanted}`"));
            let is_there = actions.items.iter().any(|item| item.text == wanted);
            if !is_there {
                finding.retext(&action.bytes, wanted);
            }
        }
        if !any_action_fits {
            continue;
        }
        for (kind, item) in principal.entries() {
            if !assuming.iter().any(|action| fits(kind, &item.text, &action.text)) {
                findings
                    .at(item, format!("`{}` can use none of the actions here", clip(&item.text)))
                    .fix("give it a statement of its own, with the action that it uses");
            }
        }
    }
}

fn roles_anywhere(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let needed = [ASSUME, "sts:SetSourceIdentity", "sts:TagSession"];
    let statements = || subject.tree.statements.iter().filter(|statement| statement.allows());
    let named = |statement: &Statement<'_>| {
        let services = statement.principal.iter().flat_map(|principal| principal.of("Service"));
        services
            .into_iter()
            .any(|item| item.text == "rolesanywhere.amazonaws.com")
    };
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|action| !statements().any(|statement| named(statement) && is_about(statement, action)))
        .collect();
    let Some(statement) = statements().find(|statement| named(statement)) else {
        return;
    };
    if let (Some(list), false) = (statement.action_lists().next(), missing.is_empty()) {
        findings
            .add(
                &list.name.path,
                &list.value,
                format!("IAM Roles Anywhere also needs {}", missing.join(" and ")),
            )
            .fix(format!("add {}", missing.join(" and ")));
    }
}

/// Condition keys that a request has only with an action of its own.
const SET_BY: [(&str, &str); 4] = [
    ("sts:SourceIdentity", "sts:SetSourceIdentity"),
    ("aws:RequestTag", "sts:TagSession"),
    ("aws:TagKeys", "sts:TagSession"),
    ("sts:TransitiveTagKeys", "sts:TagSession"),
];

fn missing_action_for_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let allowed = |action: &str| {
        let mut allowing = subject.tree.statements.iter().filter(|statement| statement.allows());
        allowing.any(|statement| is_about(statement, action))
    };
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        for condition in statement.conditions() {
            let head = condition.key.text.split('/').next().unwrap_or_default();
            let set_by = SET_BY.iter().find(|(key, _)| head.eq_ignore_ascii_case(key));
            if let Some((_, action)) = set_by
                && !condition.holds_when_absent()
                && !allowed(action)
            {
                findings
                    .at_name(
                        &condition.key,
                        format!(
                            "without {action} nobody can set `{}`, so this is never met",
                            clip(&condition.key.text)
                        ),
                    )
                    .fix(format!("add {action} to `Action`"));
            }
        }
    }
}

fn redundant_session(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.principal.as_ref())
    {
        let roles: std::collections::HashSet<(&str, &str)> = principal
            .of("AWS")
            .filter_map(|item| {
                let arn = fields(&item.text)?;
                let role = arn.resource.strip_prefix("role/")?;
                Some((arn.account, role.rsplit('/').next().unwrap_or(role)))
            })
            .collect();
        for item in principal.of("AWS") {
            let session = fields(&item.text).and_then(|arn| {
                let role = arn.resource.strip_prefix("assumed-role/")?.split('/').next()?;
                Some((arn.account, role))
            });
            if session.is_some_and(|session| roles.contains(&session)) {
                findings
                    .at(
                        item,
                        "the role of this session is a principal here, too, and means all of its sessions",
                    )
                    .fix("remove the session, or the role if only the session is meant");
            }
        }
    }
}

/// Whether something holds callers off: a condition that a request without the key does not meet.
fn is_restricted(statement: &Statement<'_>) -> bool {
    statement
        .conditions()
        .any(|condition| !condition.holds_when_absent() && condition.operator.is_some() && !condition.is_null())
}

fn anyone(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let everyone = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.of("AWS").find(|item| item.text == "*"));
        if let Some(item) = everyone
            && !is_restricted(statement)
            && is_about(statement, ASSUME)
        {
            findings
                .at(item, "users and roles of every AWS account may assume this role")
                .fix("name accounts, users or roles, or add a condition such as one on aws:PrincipalOrgID");
        }
    }
}

fn any_provider(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let all = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.of("Federated").find(|item| item.text == "*"));
        if let Some(item) = all {
            findings
                .at(
                    item,
                    "every identity provider of the account is trusted, and those that are added later",
                )
                .fix("name the provider's ARN");
        }
    }
}
