//! Condition keys as the table of services knows them: which there are, and of what type.

use irsa_metadata::{ConditionKey, ValueType};
use irsa_policy::syntax::{Predicate, Quantifier};

use super::conditions::conditions;
use super::issuers::issuer_key;
use super::services::WORK;
use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Condition;

pub(super) static RULES: &[Rule] = &[
    Rule::doubt(
        "INVALID_GLOBAL_CONDITION_KEY",
        "an unknown global condition key",
        Kinds::ALL,
        unknown_global_key,
    ),
    Rule::doubt(
        "INVALID_SERVICE_CONDITION_KEY",
        "a condition key that its service does not have",
        Kinds::ALL,
        unknown_key,
    ),
    Rule::warning(
        "TYPE_MISMATCH",
        "an operator that does not fit the condition key",
        Kinds::ALL,
        type_mismatch,
    ),
    Rule::security_warning(
        "STRING_LIKE_OPERATOR_WITH_ARN_CONDITION_KEYS",
        "an ARN compared as a text with wildcards",
        Kinds::ALL,
        string_like_arn,
    ),
    Rule::error(
        "MISSING_QUALIFIER",
        "a condition key with several values without a set qualifier",
        Kinds::ALL,
        missing_qualifier,
    ),
    Rule::security_warning(
        "FORALLVALUES_WITH_SINGLE_VALUED_KEY",
        "ForAllValues with a condition key of one value",
        Kinds::ALL,
        for_all_with_single,
    ),
    Rule::own(
        FindingType::Suggestion,
        "IRSA_FORANYVALUE_WITH_SINGLE_VALUED_KEY",
        "ForAnyValue with a condition key of one value",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html",
        Kinds::ALL,
        for_any_with_single,
    ),
];

fn unknown_global_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for condition in conditions(subject).take(WORK) {
        let key = &*condition.key.text;
        let is_global = key
            .split_once(':')
            .is_some_and(|(prefix, _)| prefix.eq_ignore_ascii_case("aws"));
        // Retired and bare ones have findings of their own.
        let bare = ["aws:ARN", "aws:ResourceTag", "aws:RequestTag", "aws:PrincipalTag"];
        let trimmed = key.trim_end_matches('/');
        if !is_global
            || bare.iter().any(|known| known.eq_ignore_ascii_case(trimmed))
            || services.condition_key(key).is_some()
        {
            continue;
        }
        let finding = findings.at_name(
            &condition.key,
            format!(
                "there is no global condition key `{}`, so {}",
                clip(key),
                effect(condition)
            ),
        );
        match subject.near_key(key) {
            Some(near) => finding
                .fix(format!("write `{near}`"))
                .retext(&condition.key.bytes, &near),
            None => finding.fix("see the global condition keys that there are"),
        };
    }
}

fn effect(condition: &Condition<'_>) -> &'static str {
    if condition.holds_when_absent() {
        "this is always met"
    } else {
        "this is never met"
    }
}

fn unknown_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for condition in conditions(subject).take(WORK) {
        let key = &*condition.key.text;
        let Some((prefix, _)) = key.split_once(':') else {
            continue;
        };
        let other = prefix.eq_ignore_ascii_case("aws") || prefix.eq_ignore_ascii_case("saml");
        if other || issuer_key(key).is_some() || services.condition_key(key).is_some() {
            continue;
        }
        let Some(service) = services.service(prefix) else {
            continue;
        };
        let finding = findings.at_name(
            &condition.key,
            format!(
                "{} has no condition key `{}`, so {}",
                service.name(),
                clip(key),
                effect(condition)
            ),
        );
        match subject.near_key(key) {
            Some(near) => finding
                .fix(format!("write `{near}`"))
                .retext(&condition.key.bytes, &near),
            None => finding.fix("correct the key, or remove it"),
        };
    }
}

/// The conditions on known keys.
fn known_keys<'s, 't, 'm>(subject: &'s Subject<'m, 't>) -> impl Iterator<Item = (&'s Condition<'t>, ConditionKey<'m>)> {
    let services = subject.options.services;
    conditions(subject)
        .take(WORK)
        .filter_map(move |condition| Some((condition, services.condition_key(&condition.key.text)?)))
}

/// The operators of a type, for a message.
fn operators(value: ValueType) -> &'static str {
    match value {
        ValueType::String => "a String operator",
        ValueType::Numeric => "a Numeric operator",
        ValueType::Bool => "Bool",
        ValueType::Date => "a Date operator",
        ValueType::Arn => "an Arn operator",
        ValueType::IpAddress => "IpAddress or NotIpAddress",
        ValueType::Binary => "BinaryEquals",
    }
}

fn is_text(predicate: Predicate) -> bool {
    matches!(
        predicate,
        Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike
    )
}

fn type_mismatch(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        let Some(operator) = condition.operator else {
            continue;
        };
        let value = key.key_type().value;
        let fits = match (value, operator.predicate) {
            (_, Predicate::Null) => true,
            (ValueType::String, Predicate::Arn) => is_maybe_arn(key.name()),
            (ValueType::String, predicate) => is_text(predicate),
            (ValueType::Numeric, predicate) => matches!(predicate, Predicate::Numeric(_)),
            (ValueType::Bool, predicate) => predicate == Predicate::Bool,
            (ValueType::Date, Predicate::Numeric(_)) => key.name().eq_ignore_ascii_case("aws:EpochTime"),
            (ValueType::Date, predicate) => matches!(predicate, Predicate::Date(_)),
            (ValueType::Arn, predicate) => predicate == Predicate::Arn || is_text(predicate),
            (ValueType::IpAddress, predicate) => predicate == Predicate::IpAddress,
            (ValueType::Binary, predicate) => predicate == Predicate::Binary,
        };
        if !fits {
            findings
                .at_name(
                    &condition.operator_name,
                    format!(
                        "`{}` is not for values of the type {value}, which those of `{}` are",
                        condition.operator_name.text,
                        clip(&condition.key.text)
                    ),
                )
                .fix(format!("use {}", operators(value)));
        }
    }
}

/// Keys that the table calls texts and that hold ARNs sometimes.
fn is_maybe_arn(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("arn") || lower.contains("encryptioncontext") || lower.contains("tag/")
}

fn string_like_arn(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        let like = condition
            .operator
            .is_some_and(|operator| operator.predicate == Predicate::StringLike);
        let wild = condition
            .values
            .iter()
            .any(|value| has_wildcard(&value.text) && value.text != "*");
        if !like || !wild || key.key_type().value != ValueType::Arn {
            continue;
        }
        let better = condition
            .operator_name
            .text
            .replace("StringLike", "ArnLike")
            .replace("StringNotLike", "ArnNotLike");
        let finding = findings.at_name(
            &condition.operator_name,
            format!(
                "under `{}` a `*` also stands for colons, so it matches ARNs of other accounts than it seems",
                condition.operator_name.text
            ),
        );
        finding.fix(format!("write `{better}`"));
        if condition.is_alone {
            finding.retext(&condition.operator_name.bytes, &better);
        }
    }
}

fn missing_qualifier(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        let plain = condition
            .operator
            .is_some_and(|operator| operator.is_plain() && operator.predicate != Predicate::Null);
        if !plain || !key.key_type().is_multivalued {
            continue;
        }
        let finding = findings.at_name(
            &condition.operator_name,
            format!(
                "`{}` can have several values: without ForAllValues or ForAnyValue it matches none",
                clip(&condition.key.text)
            ),
        );
        if key.category().is_none() {
            finding.as_type(FindingType::Warning);
        }
        let better = format!("ForAnyValue:{}", condition.operator_name.text);
        finding.fix(format!("write `{better}` or `ForAllValues:…`"));
    }
}

fn qualified(condition: &Condition<'_>, quantifier: Quantifier) -> bool {
    condition
        .operator
        .is_some_and(|operator| operator.quantifier == quantifier && operator.predicate != Predicate::Null)
}

fn for_all_with_single(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        if !qualified(condition, Quantifier::All) || key.key_type().is_multivalued {
            continue;
        }
        let rest = condition
            .operator_name
            .text
            .get("ForAllValues:".len()..)
            .unwrap_or_default();
        let finding = findings.at_name(
            &condition.operator_name,
            format!(
                "`ForAllValues` is also met by requests without `{}`",
                clip(&condition.key.text)
            ),
        );
        finding.fix(format!("write `{rest}`"));
        if condition.is_alone {
            finding.retext(&condition.operator_name.bytes, rest);
        }
    }
}

fn for_any_with_single(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        // How many values a claim has is the issuer's choice: `amr` has several.
        let is_claim = issuer_key(&condition.key.text).is_some();
        if !qualified(condition, Quantifier::Any) || key.key_type().is_multivalued || is_claim {
            continue;
        }
        let rest = condition
            .operator_name
            .text
            .get("ForAnyValue:".len()..)
            .unwrap_or_default();
        findings
            .at_name(
                &condition.operator_name,
                format!(
                    "`{}` has one value, so it needs no qualifier",
                    clip(&condition.key.text)
                ),
            )
            .fix(format!("write `{rest}`"));
    }
}
