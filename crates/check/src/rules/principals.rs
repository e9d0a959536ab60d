//! Who is named in policies that name principals.

use irsa_policy::PolicyKind;

use super::resources::fields;
use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Item, Principal, Statement};

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "INVALID_PRINCIPAL_FORMAT",
        "a principal that is a bare string",
        Kinds::NAMING,
        invalid_format,
    ),
    Rule::error(
        "INVALID_PRINCIPAL_KEY",
        "an unknown type of principal",
        Kinds::NAMING,
        invalid_key,
    ),
    Rule::error(
        "UNSUPPORTED_WILDCARD_IN_PRINCIPAL",
        "a wildcard in the name of a principal",
        Kinds::NAMING,
        unsupported_wildcard,
    ),
    Rule::own(
        FindingType::Error,
        "IRSA_INVALID_PRINCIPAL",
        "an AWS principal of no known form",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        Kinds::NAMING,
        invalid_aws_principal,
    ),
    Rule::error(
        "FEDERATED_PRINCIPAL_NOT_SUPPORTED",
        "an identity provider in the policy of a resource",
        Kinds::RESOURCE.and(Kinds::VPC_ENDPOINT),
        federated,
    ),
    Rule::error(
        "INVALID_SERVICE_PRINCIPAL_FORMAT",
        "a service principal of the wrong form",
        Kinds::ALL,
        service_format,
    ),
    Rule::warning(
        "INVALID_ROLE_REFERENCE",
        "a role named by its unique id",
        Kinds::NAMING,
        |subject, findings| unique_id(subject, findings, "AROA", "role"),
    ),
    Rule::warning(
        "INVALID_USER_REFERENCE",
        "a user named by its unique id",
        Kinds::NAMING,
        |subject, findings| unique_id(subject, findings, "AIDA", "user"),
    ),
    Rule::security_warning(
        "ALLOW_WITH_NOT_PRINCIPAL",
        "Allow for everyone but some",
        Kinds::RESOURCE.and(Kinds::VPC_ENDPOINT),
        allow_with_not_principal,
    ),
    Rule::security_warning(
        "RESTRICT_ACCESS_TO_SERVICE_PRINCIPAL",
        "a service that may act for anybody",
        Kinds::RESOURCE,
        restrict_service,
    ),
    Rule::suggestion(
        "RECOMMENDED_CONDITION_KEY_FOR_SERVICE_PRINCIPAL",
        "a service restricted by a key that others set",
        Kinds::RESOURCE,
        recommended_key,
    ),
    Rule::error(
        "UNSUPPORTED_CONDITION_KEY_FOR_SERVICE_PRINCIPAL",
        "a service restricted by a key that services do not have",
        Kinds::RESOURCE.and(Kinds::TRUST),
        unsupported_key,
    ),
];

const TYPES: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

fn elements<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Principal<'t>> {
    subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals())
}

fn invalid_format(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for text in elements(subject).filter_map(|principal| principal.text.as_ref()) {
        if text.text == "*" {
            continue;
        }
        let finding = findings.at(text, "a principal has a type: the value is an object, or `\"*\"`");
        let kind = kind_of(&text.text);
        finding.fix(format!("write `{{\"{kind}\": …}}`")).edit(
            &text.bytes,
            format!("{{\"{kind}\": {}}}", crate::rule::quoted(&text.text)),
        );
    }
}

/// The type that a name probably is of.
fn kind_of(name: &str) -> &'static str {
    if name.contains(":oidc-provider/") || name.contains(":saml-provider/") {
        "Federated"
    } else if name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn") {
        "Service"
    } else if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        "CanonicalUser"
    } else {
        "AWS"
    }
}

fn invalid_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in elements(subject).flat_map(|principal| &principal.typed) {
        let name = &list.name;
        if TYPES.contains(&&*name.text) {
            continue;
        }
        let finding = findings.at_name(
            name,
            format!("there are no principals of the type `{}`", clip(&name.text)),
        );
        match TYPES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name.text.trim()))
        {
            Some(meant) => finding.fix(format!("write `{meant}`")).retext(&name.bytes, meant),
            None => finding.fix(format!("the types are {}", TYPES.join(", "))),
        };
    }
}

fn unsupported_wildcard(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (kind, item) in elements(subject).flat_map(Principal::entries) {
        let everyone = item.text == "*" && matches!(kind, "AWS" | "Federated");
        let everyone = everyone || (item.text == "*" && subject.kind == PolicyKind::Trust);
        if everyone || !has_wildcard(&item.text) {
            continue;
        }
        findings
            .at(item, "principals are named whole: here `*` and `?` are no wildcards")
            .fix("name each principal, or name the account and compare `aws:PrincipalArn` in a condition with ArnLike");
    }
}

fn invalid_aws_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for item in elements(subject).flat_map(|principal| principal.of("AWS")) {
        let text = &*item.text;
        if text == "*" || has_wildcard(text) || is_aws_principal(text) {
            continue;
        }
        let finding = findings.at(
            item,
            format!("`{}` is neither an account nor a user, role or session", clip(text)),
        );
        if subject.kind != PolicyKind::Trust {
            finding.as_type(FindingType::Warning);
        }
        let kind = kind_of(text);
        if kind == "AWS" {
            finding.fix("write an account's number, or the ARN of a user, a role or a session");
        } else {
            finding.fix(format!("this is of the type `{kind}`"));
        }
    }
}

/// An account, its root, a user, a role, a session, or a unique id.
fn is_aws_principal(text: &str) -> bool {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if is_account(text) || ((16..=128).contains(&text.len()) && text.starts_with('A') && text.bytes().all(is_id)) {
        return true;
    }
    let Some(arn) = fields(text) else {
        return false;
    };
    let named = |kind: &str| arn.resource.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    let session = || {
        let rest = arn.resource.strip_prefix("assumed-role/");
        rest.and_then(|rest| rest.split_once('/'))
            .is_some_and(|(role, session)| !role.is_empty() && !session.is_empty())
    };
    let resource = match arn.service {
        "iam" => arn.resource == "root" || named("user/") || named("role/"),
        "sts" => named("federated-user/") || session(),
        // CloudFront's origin access identities are users of an account of AWS.
        _ => false,
    };
    resource && arn.region.is_empty() && (is_account(arn.account) || arn.account == "cloudfront")
}

fn federated(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in elements(subject).flat_map(|principal| &principal.typed) {
        if list.name.text == "Federated" && list.entries != Some(0) {
            findings
                .at_name(
                    &list.name,
                    "only trust policies name identity providers: nobody calls as one",
                )
                .fix("name the role that the provider's users assume");
        }
    }
}

/// Keys whose values are service principals.
const SERVICE_KEYS: [&str; 7] = [
    "iam:PassedToService",
    "iam:AWSServiceName",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
];

fn service_format(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let fix = "write the service's principal, such as `ec2.amazonaws.com`";
    for statement in &subject.tree.statements {
        for item in statement.principals().flat_map(|principal| principal.of("Service")) {
            if !has_wildcard(&item.text) && !is_service(&item.text) {
                findings.at(item, wrong_service(&item.text)).fix(fix);
            }
        }
        for condition in statement.conditions() {
            let is_about_services = SERVICE_KEYS.iter().any(|key| condition.is_on(key));
            for value in &condition.values {
                let fixed = !has_wildcard(&value.text) && !value.text.contains("${");
                if is_about_services && fixed && !is_service(&value.text) && !condition.is_null() {
                    findings.at(value, wrong_service(&value.text)).fix(fix);
                }
            }
            if condition.is_on("kms:ViaService") {
                for value in &condition.values {
                    let mut labels = value.text.split('.');
                    let is_regional = labels
                        .nth(1)
                        .is_some_and(|region| super::resources::is_region(region) || has_wildcard(region));
                    if !is_regional && !has_wildcard(&value.text) && !value.text.contains("${") && !condition.is_null()
                    {
                        findings
                            .at(value, format!("`{}` names no service in a Region", clip(&value.text)))
                            .fix("write the service with its Region, such as `s3.eu-central-1.amazonaws.com`");
                    }
                }
            }
        }
    }
}

fn wrong_service(text: &str) -> String {
    format!("`{}` is not the form of a service's name", clip(text))
}

/// Lower-case labels with dots.
fn is_service(text: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(fits)
    };
    text.contains('.') && text.split('.').all(label)
}

fn unique_id(subject: &Subject<'_, '_>, findings: &mut Findings, prefix: &str, what: &str) {
    for item in elements(subject).flat_map(|principal| principal.of("AWS")) {
        let is_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let text = &*item.text;
        if text.starts_with(prefix) && text.len() >= 16 && text.bytes().all(is_id) {
            findings
                .at(
                    item,
                    format!(
                        "`{}` is a {what}'s unique id, which IAM writes there once a {what} is deleted",
                        clip(text)
                    ),
                )
                .fix(format!(
                    "write the {what}'s ARN, or remove the entry if the {what} is gone"
                ));
        }
    }
}

fn allow_with_not_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        if let Some(not_principal) = &statement.not_principal {
            findings
                .at_name(
                    &not_principal.name,
                    "Allow with `NotPrincipal` lets everyone else in, also callers without credentials",
                )
                .fix("name in `Principal` who is meant, and deny the exceptions in a statement of their own");
        }
    }
}

/// The keys that say for whom a service acts.
const SOURCES: [&str; 4] = [
    "aws:SourceArn",
    "aws:SourceAccount",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
];
/// Keys with the same purpose that some services or callers set otherwise.
const LESSER: [&str; 4] = [
    "aws:Referer",
    "aws:SourceOwner",
    "aws:PrincipalOrgID",
    "kms:CallerAccount",
];

fn services<'s, 't>(statement: &'s Statement<'t>) -> Vec<&'s Item<'t>> {
    let principal = statement.principal.iter();
    principal.flat_map(|principal| principal.of("Service")).collect()
}

fn restrict_service(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let restricted = statement
            .conditions()
            .any(|condition| SOURCES.iter().chain(&LESSER).any(|key| condition.is_on(key)));
        if restricted {
            continue;
        }
        for item in services(statement) {
            // Services that act for nobody but the account itself.
            let own = ["ec2.", "ecs-tasks.", "pods.eks.", "rolesanywhere."];
            if own.iter().any(|start| item.text.starts_with(start)) {
                continue;
            }
            findings
                .at(
                    item,
                    format!(
                        "`{}` may use this for customers of any account: it can be made a confused deputy",
                        clip(&item.text)
                    ),
                )
                .fix("add a condition on aws:SourceArn, aws:SourceAccount, aws:SourceOrgID or aws:SourceOrgPaths");
        }
    }
}

fn recommended_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let Some(service) = services(statement).first().copied() else {
            continue;
        };
        if SOURCES.iter().any(|key| statement.conditions_on(key).next().is_some()) {
            continue;
        }
        for condition in statement.conditions() {
            if LESSER.iter().any(|key| condition.is_on(key)) {
                findings
                    .at_name(
                        &condition.key,
                        format!(
                            "`{}` does not reliably say for whom {} acts",
                            condition.key.text,
                            clip(&service.text)
                        ),
                    )
                    .fix("compare aws:SourceArn, aws:SourceAccount, aws:SourceOrgID or aws:SourceOrgPaths instead");
            }
        }
    }
}

fn unsupported_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        let Some(principal) = &statement.principal else {
            continue;
        };
        let only_services = principal.text.is_none()
            && !principal.typed.is_empty()
            && principal.typed.iter().all(|list| list.name.text == "Service");
        if !only_services {
            continue;
        }
        // Roles Anywhere comes with tags that say what stands in the certificate.
        let has_tags = principal
            .of("Service")
            .any(|item| item.text.starts_with("rolesanywhere.amazonaws."));
        for condition in statement.conditions() {
            let head = condition.key.text.split('/').next().unwrap_or_default();
            if has_tags && head.eq_ignore_ascii_case("aws:PrincipalTag") {
                continue;
            }
            let is_about_principals = ["aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalTag"]
                .iter()
                .any(|key| head.eq_ignore_ascii_case(key));
            if is_about_principals && !condition.holds_when_absent() && !condition.is_null() {
                findings
                    .at_name(
                        &condition.key,
                        format!("services have no `{}`, so this is never met", clip(&condition.key.text)),
                    )
                    .fix("compare aws:SourceOrgID or aws:SourceOrgPaths, which say for whom the service acts");
            }
        }
    }
}
