//! Policies of organizations.

use irsa_policy::PolicyKind;

use super::actions::actions;
use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Statement;

const SERVICE: Kinds = Kinds::SERVICE_CONTROL;
const RESOURCE: Kinds = Kinds::RESOURCE_CONTROL;

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "SCP_SYNTAX_ERROR_PRINCIPAL",
        "principals in a service control policy",
        SERVICE,
        service_principal,
    ),
    Rule::error(
        "RCP_SYNTAX_ERROR_PRINCIPAL",
        "a resource control policy about some principals",
        RESOURCE,
        resource_principal,
    ),
    Rule::error(
        "RCP_SYNTAX_ERROR_ALLOW",
        "Allow in a resource control policy",
        RESOURCE,
        allow,
    ),
    Rule::error(
        "RCP_SYNTAX_ERROR_NOTACTION",
        "NotAction in a resource control policy",
        RESOURCE,
        not_action,
    ),
    Rule::error(
        "RCP_SYNTAX_ERROR_ACTION",
        "an action that resource control policies do not reach",
        RESOURCE,
        action,
    ),
    Rule::warning(
        "RCP_MISSING_RELATED_PRINCIPAL_CONDITION_KEY",
        "a resource control policy that also stops AWS services",
        RESOURCE,
        |subject, findings| {
            related(
                subject,
                findings,
                &[
                    "aws:PrincipalOrgID",
                    "aws:PrincipalOrgPaths",
                    "aws:PrincipalAccount",
                    "aws:PrincipalArn",
                    "aws:PrincipalTag",
                ],
                "false",
                "AWS services that act for you have no such key, so they are stopped, too",
            );
        },
    ),
    Rule::warning(
        "RCP_MISSING_RELATED_SERVICE_PRINCIPAL_CONDITION_KEY",
        "a resource control policy for services that also stops principals",
        RESOURCE,
        |subject, findings| {
            related(
                subject,
                findings,
                &SOURCES,
                "true",
                "users and roles have no such key, so they are stopped, too",
            );
        },
    ),
    Rule::warning(
        "RCP_MISSING_SERVICE_CONDITION_KEY_NULL_CHECK",
        "a resource control policy that stops services without a source",
        RESOURCE,
        null_check,
    ),
];

const SOURCES: [&str; 4] = [
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
];

fn service_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals())
    {
        findings
            .at_name(
                &principal.name,
                "service control policies are about all principals of their accounts",
            )
            .fix(format!(
                "remove `{}`; compare `aws:PrincipalArn` in a condition",
                principal.name.text
            ));
    }
}

fn resource_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        if let Some(principal) = &statement.not_principal {
            findings
                .at_name(&principal.name, "resource control policies have no `NotPrincipal`")
                .fix("write `\"Principal\": \"*\"`, and compare `aws:PrincipalArn` in a condition");
        }
        if let Some(principal) = &statement.principal
            && principal.text.as_ref().is_none_or(|text| text.text != "*")
        {
            findings
                .add(
                    &principal.name.path,
                    &principal.value,
                    "resource control policies are about everyone",
                )
                .fix("write `\"*\"`")
                .edit(&principal.value, "\"*\"");
        }
    }
}

/// Whether a statement is that of AWS's own policy, which allows everything.
fn is_full_access(statement: &Statement<'_>) -> bool {
    let all = |list: &Option<crate::tree::List<'_>>| {
        list.as_ref()
            .is_some_and(|list| list.items.iter().all(|item| item.text == "*") && !list.items.is_empty())
    };
    statement.allows()
        && all(&statement.action)
        && all(&statement.resource)
        && statement.condition.is_none()
        && statement
            .principal
            .as_ref()
            .is_some_and(|principal| principal.everyone().is_some())
}

fn allow(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        if let Some(effect) = statement.effect.as_ref().filter(|_| !is_full_access(statement)) {
            findings
                .at(effect, "only the policy RCPFullAWSAccess allows; yours can only deny")
                .fix("write `Deny`, and turn the conditions round");
        }
    }
}

fn not_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.not_action.as_ref())
    {
        findings
            .at_name(&list.name, "resource control policies have no `NotAction`")
            .fix("list the actions in `Action`");
    }
}

fn action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    debug_assert_eq!(subject.kind, PolicyKind::ResourceControl);
    let full = subject.tree.statements.iter().any(is_full_access);
    for action in actions(subject) {
        if action.text == "*" {
            if !full {
                findings
                    .at(action, "in a resource control policy `*` needs a service before it")
                    .fix("write `service:*` for each service that is meant");
            }
            continue;
        }
        let Some((prefix, _)) = action.text.split_once(':') else {
            continue;
        };
        if has_wildcard(prefix) {
            continue;
        }
        let service = subject.options.services.service(prefix);
        if service.is_some_and(|service| !service.supports_resource_control_policies()) {
            findings
                .at(
                    action,
                    format!("resource control policies do not reach `{}`", clip(prefix)),
                )
                .as_type(FindingType::Warning)
                .fix("remove the action: see the services that support resource control policies");
        }
    }
}

/// A statement that denies whoever differs in one of these keys, without saying which kind of caller is meant.
fn related(subject: &Subject<'_, '_>, findings: &mut Findings, keys: &[&str], needed: &str, why: &str) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.denies()) {
        if statement.conditions_on("aws:PrincipalIsAWSService").next().is_some() {
            continue;
        }
        let found = statement.conditions().find(|condition| {
            let head = condition.key.text.split('/').next().unwrap_or_default();
            condition.holds_when_absent()
                && !condition.is_null()
                && keys.iter().any(|key| head.eq_ignore_ascii_case(key))
        });
        if let Some(condition) = found {
            findings.at_name(&condition.key, why).fix(format!(
                "add `\"BoolIfExists\": {{\"aws:PrincipalIsAWSService\": \"{needed}\"}}`"
            ));
        }
    }
}

fn null_check(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.denies()) {
        let checked = statement.conditions().any(|condition| {
            condition.is_null() && (condition.is_on("aws:SourceAccount") || condition.is_on("aws:SourceArn"))
        });
        if checked {
            continue;
        }
        let found = statement.conditions().find(|condition| {
            condition.holds_when_absent()
                && !condition.is_null()
                && (condition.is_on("aws:SourceOrgID") || condition.is_on("aws:SourceOrgPaths"))
        });
        if let Some(condition) = found {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "services that do not send `{}` are stopped by this",
                        clip(&condition.key.text)
                    ),
                )
                .fix(
                    "add `\"Null\": {\"aws:SourceAccount\": \"false\"}` or `\"Null\": {\"aws:SourceArn\": \"false\"}`",
                );
        }
    }
}
