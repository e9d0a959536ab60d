//! Condition values that their operator cannot read.

use irsa_policy::syntax::{AddressBlock, Comparison, Decimal, Instant, Predicate, Quantifier};

use super::conditions::conditions;
use crate::finding::FindingType;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Condition, Item};

pub(super) static RULES: &[Rule] = &[
    Rule::warning(
        "TYPE_MISMATCH_BOOLEAN",
        "a value under Bool that is neither true nor false",
        Kinds::ALL,
        booleans,
    ),
    Rule::warning("TYPE_MISMATCH_DATE", "a value that is no date", Kinds::ALL, dates),
    Rule::warning("TYPE_MISMATCH_NUMBER", "a value that is no number", Kinds::ALL, numbers),
    Rule::warning(
        "TYPE_MISMATCH_STRING",
        "a value that is no base64",
        Kinds::ALL,
        binaries,
    ),
    Rule::error(
        "TYPE_MISMATCH_IP_RANGE",
        "a value that is no address or block",
        Kinds::ALL,
        blocks,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_TYPE_MISMATCH_ARN",
        "a value under an ARN operator that is no ARN",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN",
        Kinds::ALL,
        arns,
    ),
    Rule::warning("INVALID_DATE_VALUE", "a date in epoch seconds", Kinds::ALL, epochs),
    Rule::suggestion(
        "REDUNDANT_CONDITION_VALUE_NUM",
        "several bounds where one counts",
        Kinds::ALL,
        redundant_bounds,
    ),
];

/// The conditions whose operator compares in some way, and their values.
fn under<'s, 't>(
    subject: &'s Subject<'_, 't>,
    applies: impl Fn(Predicate) -> bool,
) -> impl Iterator<Item = (&'s Condition<'t>, &'s Item<'t>)> {
    conditions(subject)
        .filter(move |condition| condition.operator.is_some_and(|operator| applies(operator.predicate)))
        .flat_map(|condition| condition.values.iter().map(move |value| (condition, value)))
        // What variables do here has a rule of its own.
        .filter(|(_, value)| !value.text.contains("${"))
}

fn booleans(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let applies = |predicate| matches!(predicate, Predicate::Bool | Predicate::Null);
    for (condition, value) in under(subject, applies) {
        let is_bool = ["true", "false"]
            .iter()
            .any(|word| value.text.eq_ignore_ascii_case(word));
        if !is_bool {
            findings
                .at(
                    value,
                    format!(
                        "`{}` takes true and false, not `{}`",
                        condition.operator_name.text,
                        clip(&value.text)
                    ),
                )
                .fix("write `true` or `false`");
        }
    }
}

fn dates(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (_, value) in under(subject, |predicate| matches!(predicate, Predicate::Date(_))) {
        if Instant::parse(&value.text).is_none() {
            let finding = findings.at(value, format!("`{}` is no date", clip(&value.text)));
            // IAM reads dates when a policy is written.
            if Kinds::IAM.contain(subject.kind) {
                finding.as_type(FindingType::Error);
            }
            finding.fix("write a date such as `2026-01-31` or `2026-01-31T12:00:00Z`");
        }
    }
}

fn numbers(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (_, value) in under(subject, |predicate| matches!(predicate, Predicate::Numeric(_))) {
        if Decimal::parse(&value.text).is_none() {
            findings
                .at(value, format!("`{}` is no number", clip(&value.text)))
                .fix("write a decimal number");
        }
    }
}

fn binaries(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (_, value) in under(subject, |predicate| predicate == Predicate::Binary) {
        if !is_base64(&value.text) {
            findings
                .at(value, format!("`{}` is no base64", clip(&value.text)))
                .fix("write the bytes in base64, with padding");
        }
    }
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(body.len());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(fits)
}

fn blocks(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (_, value) in under(subject, |predicate| predicate == Predicate::IpAddress) {
        if AddressBlock::parse(&value.text).is_none() {
            findings
                .at(
                    value,
                    format!("`{}` is neither an address nor a block of addresses", clip(&value.text)),
                )
                .fix("write an address such as `203.0.113.7`, or a block such as `203.0.113.0/24`");
        }
    }
}

fn arns(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, value) in under(subject, |predicate| predicate == Predicate::Arn) {
        let text = &*value.text;
        if text == "*" || text.splitn(6, ':').count() == 6 {
            continue;
        }
        let negated = condition.operator.is_some_and(|operator| operator.negated);
        let effect = if negated {
            "differs from every ARN"
        } else {
            "matches no ARN"
        };
        findings
            .at(
                value,
                format!("`{}` has less than six fields, so it {effect}", clip(text)),
            )
            .fix("write all six fields, with `*` for those that may be anything");
    }
}

fn epochs(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (_, value) in under(subject, |predicate| matches!(predicate, Predicate::Date(_))) {
        let is_number = !value.text.is_empty() && value.text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            continue;
        }
        let finding = findings.at(value, format!("`{}` counts seconds since 1970", clip(&value.text)));
        if value.text.len() == 4 {
            finding.fix(format!("if the year is meant, write `{}-01-01`", value.text));
        } else {
            finding.fix("write a date such as `2026-01-31T12:00:00Z`, which people can read");
        }
    }
}

fn redundant_bounds(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let Some(operator) = condition.operator else {
            continue;
        };
        if condition.values.len() < 2 || operator.negated || operator.quantifier == Quantifier::All {
            continue;
        }
        let which = match operator.predicate {
            Predicate::Numeric(Comparison::Less | Comparison::LessOrEqual) => "greatest",
            Predicate::Numeric(Comparison::Greater | Comparison::GreaterOrEqual) => "least",
            Predicate::Date(Comparison::Less | Comparison::LessOrEqual) => "latest",
            Predicate::Date(Comparison::Greater | Comparison::GreaterOrEqual) => "earliest",
            _ => continue,
        };
        findings
            .add(
                &condition.key.path,
                &condition.value,
                format!(
                    "of several bounds for `{}` only the {which} counts",
                    clip(&condition.key.text)
                ),
            )
            .fix(format!("keep the {which} value"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        for text in ["", "QUJD", "QUI=", "QQ==", "+/+/"] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["Q", "QUJ", "Q===", "QU-D", "QQ=A", "Q Q="] {
            assert!(!is_base64(text), "{text}");
        }
    }
}
