//! Condition keys that mean something else than they seem to, whatever services there are.

use irsa_policy::syntax::{Predicate, Quantifier};

use super::conditions::conditions;
use super::resources::is_region;
use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Condition;

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "INVALID_CONDITION_KEY_FORMAT",
        "a condition key without a service",
        Kinds::ALL,
        invalid_format,
    ),
    Rule::error(
        "MISSING_TAG_KEY_IN_CONDITION",
        "a tag's condition key without the tag",
        Kinds::ALL,
        missing_tag,
    ),
    Rule::warning(
        "DEPRECATED_GLOBAL_CONDITION_KEY",
        "the condition key aws:ARN",
        Kinds::ALL.without(ORGANIZATIONS),
        deprecated,
    ),
    Rule::error(
        "UNSUPPORTED_GLOBAL_CONDITION_KEY",
        "the condition key aws:ARN in an organization's policy",
        ORGANIZATIONS,
        deprecated,
    ),
    Rule::doubt(
        "INVALID_REGION",
        "a value that is no Region",
        Kinds::ALL,
        invalid_region,
    ),
    Rule::security_warning(
        "UNTRUSTWORTHY_CONDITION_KEY",
        "a condition key that callers set as they like",
        Kinds::ALL,
        untrustworthy,
    ),
    Rule::security_warning(
        "MISSING_PAIRED_CONDITION_KEYS",
        "a condition key that says little alone",
        Kinds::ALL,
        missing_pair,
    ),
    Rule::security_warning(
        "DYNAMODB_ATTRIBUTES_WITHOUT_SELECT",
        "attributes of DynamoDB restricted for some requests only",
        Kinds::ALL,
        attributes_without_select,
    ),
    Rule::security_warning(
        "S3_PREFIX_IN_NEGATIVE_CONTEXT",
        "a prefix that is denied while shorter ones are not",
        Kinds::ALL,
        s3_prefix,
    ),
    Rule::error(
        "INVALID_KMS_KEY_VALUE",
        "a value that is no KMS key's ARN",
        Kinds::ALL,
        kms_key,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "WILDCARD_USAGE_TOO_PERMISSIVE",
        "a wildcard in the value of a condition key that names one thing",
        WILDCARD_PAGE,
        Kinds::ALL,
        wide_wildcard,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "VARIABLE_USAGE_TOO_PERMISSIVE",
        "a policy variable in the value of a condition key that names one thing",
        VARIABLE_PAGE,
        Kinds::ALL,
        wide_variable,
    ),
    Rule::warning(
        "USE_CONDITION_KEY_ONLY_WITH_SUPPORTED_SERVICES",
        "a condition key of some services, for all of them",
        Kinds::ALL,
        only_supported_services,
    ),
    Rule::suggestion(
        "IRRELEVANT_CONDITION_KEY_IN_POLICY",
        "a condition key that says nothing in the policy of a resource",
        Kinds::RESOURCE,
        irrelevant,
    ),
];

const ORGANIZATIONS: Kinds = Kinds::SERVICE_CONTROL.and(Kinds::RESOURCE_CONTROL);
const WILDCARD_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html#access-analyzer-reference-policy-checks-error-wildcard-usage-too-permissive";
const VARIABLE_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html#access-analyzer-reference-policy-checks-error-variable-usage-too-permissive";

fn invalid_format(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let key = &*condition.key.text;
        let well_formed = key
            .split_once(':')
            .is_some_and(|(prefix, name)| !prefix.is_empty() && !name.is_empty());
        if well_formed {
            continue;
        }
        let finding = findings.at_name(
            &condition.key,
            format!("`{}` has not the form `service:key`", clip(key)),
        );
        let global = format!("aws:{}", key.trim_start_matches(':'));
        match subject.options.services.condition_key(&global) {
            Some(known) if known.template().is_none() => {
                finding
                    .fix(format!("write `{}`", known.name()))
                    .retext(&condition.key.bytes, known.name());
            }
            _ => {
                finding.fix("write `service:key`, such as `aws:SourceIp`");
            }
        }
    }
}

fn missing_tag(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let key = condition.key.text.trim_end_matches('/');
        let bare = ["ResourceTag", "RequestTag", "PrincipalTag"];
        let Some((prefix, name)) = key.split_once(':') else {
            continue;
        };
        let is_tag = bare.iter().any(|tag| tag.eq_ignore_ascii_case(name));
        if is_tag && (prefix.eq_ignore_ascii_case("aws") || subject.options.services.condition_key(key).is_none()) {
            findings
                .at_name(&condition.key, format!("`{}` names no tag", clip(&condition.key.text)))
                .fix(format!("write `{key}/` and the tag's key, such as `{key}/team`"));
        }
    }
}

fn deprecated(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject).filter(|condition| condition.is_on("aws:ARN")) {
        findings
            .at_name(&condition.key, "`aws:ARN` is not a condition key any more")
            .fix("write `aws:PrincipalArn`, or `aws:SourceArn` for the resource of a service that calls")
            .retext(&condition.key.bytes, "aws:PrincipalArn");
    }
}

fn invalid_region(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject).filter(|condition| condition.is_on("aws:RequestedRegion")) {
        if condition.is_null() {
            continue;
        }
        for value in &condition.values {
            let open = (has_wildcard(&value.text) && condition.has_wildcards()) || value.text.contains("${");
            if !open && !is_region(&value.text) && value.text != "aws-global" {
                findings
                    .at(value, format!("`{}` is not the name of a Region", clip(&value.text)))
                    .fix("write a Region such as `eu-central-1`");
            }
        }
    }
}

fn untrustworthy(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        if condition.is_on("aws:Referer") || condition.is_on("aws:UserAgent") {
            findings
                .at_name(
                    &condition.key,
                    format!("callers set `{}` to whatever they like", clip(&condition.key.text)),
                )
                .fix("decide by something that callers cannot choose, such as who they are or where they call from");
        }
    }
}

/// Keys that need one of others beside them: what they say is only unique together.
const PAIRS: [(&str, &[&str]); 1] = [(
    "aws:VpcSourceIp",
    &["aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn"],
)];

fn missing_pair(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        for (key, others) in PAIRS {
            let paired = others
                .iter()
                .any(|other| statement.conditions_on(other).next().is_some());
            if paired {
                continue;
            }
            for condition in statement.conditions_on(key) {
                findings
                    .at_name(
                        &condition.key,
                        "private addresses are the same in many networks: anybody's VPC can have these",
                    )
                    .fix(format!("add a condition on {}", others.join(" or ")));
            }
        }
    }
}

fn attributes_without_select(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        if statement.conditions_on("dynamodb:Select").next().is_some() {
            continue;
        }
        for condition in statement.conditions_on("dynamodb:Attributes") {
            findings
                .at_name(&condition.key, "a read that names no attributes gets all of them")
                .fix("add `\"StringEquals\": {\"dynamodb:Select\": \"SPECIFIC_ATTRIBUTES\"}`");
        }
    }
}

fn s3_prefix(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        for condition in statement.conditions_on("s3:prefix") {
            let Some(operator) = condition.operator.filter(|operator| {
                matches!(
                    operator.predicate,
                    Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike
                )
            }) else {
                continue;
            };
            let leaks = (statement.denies() && !operator.negated) || (statement.allows() && operator.negated);
            // Denying every listing that names a prefix other than the empty one leaks nothing.
            if leaks && !condition.values.iter().all(|value| value.text.is_empty()) {
                findings
                    .at_name(
                        &condition.key,
                        "a listing with a shorter prefix is not stopped by this, and shows the same objects",
                    )
                    .fix(
                        "allow with StringLike the prefixes that may be listed, or deny with StringNotLike all others",
                    );
            }
        }
    }
}

fn kms_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let key = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    for condition in conditions(subject).filter(|condition| condition.is_on(key) && !condition.is_null()) {
        for value in &condition.values {
            let open = (has_wildcard(&value.text) && condition.has_wildcards()) || value.text.contains("${");
            let arn = super::resources::fields(&value.text);
            let fits = arn.is_some_and(|arn| {
                arn.service == "kms" && ["key/", "alias/"].iter().any(|kind| arn.resource.starts_with(kind))
            });
            if !open && !fits {
                findings
                    .at(value, format!("`{}` is not the ARN of a KMS key", clip(&value.text)))
                    .fix("write `arn:aws:kms:region:account:key/id`");
            }
        }
    }
}

/// Keys whose values are whole ids: what begins like one is another's.
const IDS: [&str; 8] = [
    "aws:PrincipalOrgID",
    "aws:PrincipalAccount",
    "aws:SourceAccount",
    "aws:SourceOrgID",
    "aws:ResourceOrgID",
    "aws:ResourceAccount",
    "aws:SourceVpc",
    "aws:SourceVpce",
];

/// Conditions that let in what their pattern matches, in statements that allow.
fn opening<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Condition<'t>> {
    let allowing = subject.tree.statements.iter().filter(|statement| statement.allows());
    allowing
        .flat_map(|statement| statement.conditions())
        .filter(|condition| {
            condition
                .operator
                .is_some_and(|operator| !operator.negated && operator.quantifier != Quantifier::All)
                && condition.has_wildcards()
        })
}

fn wide_wildcard(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in opening(subject) {
        let key = &*condition.key.text;
        for value in &condition.values {
            let text = super::variables::outside(&value.text, subject.has_variables());
            let Some(at) = text.find(['*', '?']) else {
                continue;
            };
            if IDS.iter().any(|id| condition.is_on(id)) {
                findings
                    .at(
                        value,
                        format!("a value of `{key}` is one id: with a wildcard the ids of others fit, too"),
                    )
                    .fix("list the ids");
            } else if condition.is_on("aws:userid") && !is_session_pattern(&text) {
                findings
                    .at(
                        value,
                        "with a wildcard before the colon, ids of other users and roles fit, too",
                    )
                    .fix("write the role's unique id, a colon, and `*`");
            } else if super::issuers::is_subject(key) && at < 6 && !text.starts_with("system:") {
                findings
                    .at(
                        value,
                        format!("`{}` fits subjects of nearly any form", clip(&value.text)),
                    )
                    .fix("begin the value with six characters or more that only your own subjects have");
            }
        }
    }
}

/// `AROA…:*`, or `*:name`.
fn is_session_pattern(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(id, _)| id == "*" || !has_wildcard(id))
}

fn wide_variable(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if !subject.has_variables() {
        return;
    }
    let allowing = subject.tree.statements.iter().filter(|statement| statement.allows());
    for condition in allowing.flat_map(|statement| statement.conditions()) {
        let positive = condition.operator.is_some_and(|operator| !operator.negated);
        let of_principal = ["aws:PrincipalOrgID", "aws:PrincipalAccount"]
            .iter()
            .any(|key| condition.is_on(key));
        let sensitive = of_principal || condition.is_on("aws:SourceAccount") || condition.is_on("aws:SourceOrgID");
        if !positive || !sensitive {
            continue;
        }
        for value in condition.values.iter().filter(|value| value.text.contains("${")) {
            // Tags and the like are chosen by those whom the condition should hold off.
            let lower = value.text.to_ascii_lowercase();
            if ["tag/", "aws:userid", "aws:username", "aws:principal"]
                .iter()
                .any(|part| lower.contains(part))
            {
                findings
                    .at(
                        value,
                        "the value that the caller is compared with comes from the caller",
                    )
                    .fix("write the value out");
            }
        }
    }
}

fn only_supported_services(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let keys = ["aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths"];
    for statement in &subject.tree.statements {
        let every = statement.not_action.is_some()
            || statement
                .action
                .iter()
                .flat_map(|list| &list.items)
                .any(|action| action.text.split(':').next().is_some_and(has_wildcard));
        if !every {
            continue;
        }
        for condition in statement.conditions() {
            if keys.iter().any(|key| condition.is_on(key)) {
                findings
                    .at_name(
                        &condition.key,
                        format!(
                            "only some services send `{}`, and the statement is about all",
                            clip(&condition.key.text)
                        ),
                    )
                    .fix("name the actions of services that send it");
            }
        }
    }
}

fn irrelevant(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let keys = [
            "s3:ResourceAccount",
            "aws:ResourceAccount",
            "aws:ResourceOrgID",
            "aws:ResourceOrgPaths",
        ];
        if keys.iter().any(|key| condition.is_on(key)) {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "for the policy of a resource `{}` is always the same",
                        clip(&condition.key.text)
                    ),
                )
                .fix("compare it in identity-based policies, or remove it");
        }
    }
}
