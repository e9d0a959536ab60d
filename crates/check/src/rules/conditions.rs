//! Condition operators, and how many values they take.

use irsa_policy::syntax::{Operator, Predicate, Quantifier};

use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Condition;

const OPERATOR_PAGE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "INVALID_CONDITION_OPERATOR",
        "an unknown condition operator",
        Kinds::ALL,
        invalid_operator,
    ),
    Rule::error(
        "NULL_WITH_IF_EXISTS",
        "Null with IfExists",
        Kinds::ALL,
        null_with_if_exists,
    ),
    Rule::suggestion(
        "NULL_WITH_QUALIFIER",
        "Null with a set qualifier",
        Kinds::ALL,
        null_with_qualifier,
    ),
    Rule::own(
        FindingType::Suggestion,
        "IRSA_OPERATOR_CASE",
        "an operator in other letters than the documentation's",
        OPERATOR_PAGE,
        Kinds::ALL,
        operator_case,
    ),
    Rule::error(
        "DUPLICATE_KEYS_WITH_DIFFERENT_CASE",
        "one condition key twice in different letters",
        Kinds::ALL,
        duplicate_keys,
    ),
    Rule::error(
        "INVALID_CONDITION_DATA_TYPE",
        "condition values of different JSON types",
        Kinds::ALL,
        mixed_types,
    ),
    Rule::error(
        "INVALID_CONDITION_MULTIPLE_BOOLEAN",
        "several values under Bool",
        Kinds::ALL,
        multiple_booleans,
    ),
    Rule::warning(
        "WILDCARD_WITHOUT_LIKE_OPERATOR",
        "a wildcard under an operator that has none",
        Kinds::ALL,
        wildcard_without_like,
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_CONDITION",
        "a condition without values",
        Kinds::ALL,
        |subject, findings| {
            empty_values(subject, findings, |operator| operator.is_plain() && !operator.if_exists);
        },
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_CONDITION_FORALLVALUES",
        "ForAllValues without values",
        Kinds::ALL,
        |subject, findings| empty_values(subject, findings, |operator| operator.quantifier == Quantifier::All),
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_CONDITION_FORANYVALUE",
        "ForAnyValue without values",
        Kinds::ALL,
        |subject, findings| empty_values(subject, findings, |operator| operator.quantifier == Quantifier::Any),
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_CONDITION_IFEXISTS",
        "IfExists without values",
        Kinds::ALL,
        |subject, findings| empty_values(subject, findings, |operator| operator.is_plain() && operator.if_exists),
    ),
    Rule::suggestion(
        "REDUNDANT_KEY_DUE_TO_WILDCARD_IN_CONDITION",
        "a condition that is always met",
        Kinds::ALL,
        always_met,
    ),
    Rule::suggestion(
        "REDUNDANT_STATEMENT_DUE_TO_WILDCARD_IN_CONDITION",
        "a condition that is never met",
        Kinds::ALL,
        never_met,
    ),
    Rule::suggestion(
        "EQUIVALENT_TO_NULL_FALSE",
        "a condition that only asks whether a key is there",
        Kinds::ALL,
        equivalent_to_null_false,
    ),
    Rule::suggestion(
        "EQUIVALENT_TO_NULL_TRUE",
        "a condition that only asks whether a key is not there",
        Kinds::ALL,
        equivalent_to_null_true,
    ),
];

/// All conditions of all statements.
pub(super) fn conditions<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Condition<'t>> {
    subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.conditions())
}

const OPERATORS: [&str; 28] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
    "IfExists",
];

/// Names that people write for operators.
const MEANT: [(&str, &str); 12] = [
    ("stringequal", "StringEquals"),
    ("equals", "StringEquals"),
    ("stringequalsignorecases", "StringEqualsIgnoreCase"),
    ("like", "StringLike"),
    ("stringlikes", "StringLike"),
    ("notstringequals", "StringNotEquals"),
    ("notstringlike", "StringNotLike"),
    ("boolean", "Bool"),
    ("ipaddressequals", "IpAddress"),
    ("arnequal", "ArnEquals"),
    ("stringlikeignorecase", "StringLike"),
    ("boolequals", "Bool"),
];

/// An operator as the documentation writes it, if it is one in any case.
fn canonical(name: &str) -> Option<String> {
    let (prefix, rest) = ["ForAllValues:", "ForAnyValue:"]
        .into_iter()
        .find_map(|prefix| {
            let (head, rest) = name.split_at_checked(prefix.len())?;
            head.eq_ignore_ascii_case(prefix).then_some((prefix, rest))
        })
        .unwrap_or(("", name));
    let at = rest.len().checked_sub("IfExists".len());
    let (base, suffix) = match at.and_then(|at| rest.split_at_checked(at)) {
        Some((base, suffix)) if suffix.eq_ignore_ascii_case("IfExists") => (base, "IfExists"),
        _ => (rest, ""),
    };
    let lower = base.to_ascii_lowercase();
    let known = OPERATORS.into_iter().find(|known| known.eq_ignore_ascii_case(base));
    let meant = MEANT
        .into_iter()
        .find(|(written, _)| *written == lower)
        .map(|(_, meant)| meant);
    let whole = format!("{prefix}{}{suffix}", known.or(meant)?);
    Operator::parse(&whole).is_some().then_some(whole)
}

/// The operators of all statements, each where it stands.
fn operators<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s crate::tree::Name<'t>> {
    let blocks = subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.condition.as_ref());
    blocks.flat_map(|block| &block.operators).map(|(name, ..)| name)
}

fn is_null_if_exists(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.rsplit(':').next() == Some("nullifexists")
}

fn invalid_operator(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for name in operators(subject) {
        if Operator::parse(&name.text).is_some() || is_null_if_exists(&name.text) {
            continue;
        }
        let finding = findings.at_name(name, format!("there is no condition operator `{}`", clip(&name.text)));
        match canonical(name.text.trim()) {
            Some(meant) => finding.fix(format!("write `{meant}`")).retext(&name.bytes, &meant),
            None if name.text.contains(':') && !name.text.starts_with("For") => finding.fix(
                "this looks like a condition key: it stands inside an operator's object, as in \
                             `\"StringEquals\": {\"aws:PrincipalAccount\": \"111122223333\"}`",
            ),
            None => finding.fix("see the documentation for the operators that there are"),
        };
    }
}

fn null_with_if_exists(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for name in operators(subject).filter(|name| is_null_if_exists(&name.text)) {
        findings
            .at_name(
                name,
                "`Null` asks whether a key is there, so `IfExists` makes no sense with it",
            )
            .fix("write `Null`")
            .retext(&name.bytes, "Null");
    }
}

fn null_with_qualifier(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for name in operators(subject) {
        let is_qualified = Operator::parse(&name.text)
            .is_some_and(|operator| operator.predicate == Predicate::Null && !operator.is_plain());
        if is_qualified {
            findings
                .at_name(
                    name,
                    "`Null` asks whether a key is there, however many values it has: the qualifier means nothing",
                )
                .fix("write `Null`")
                .retext(&name.bytes, "Null");
        }
    }
}

fn operator_case(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for name in operators(subject) {
        let Some(canonical) = Operator::parse(&name.text).and_then(|_| canonical(&name.text)) else {
            continue;
        };
        if canonical != *name.text {
            findings
                .at_name(name, format!("the operator's name is `{canonical}`"))
                .fix(format!("write `{canonical}`"))
                .retext(&name.bytes, &canonical);
        }
    }
}

fn duplicate_keys(subject: &Subject<'_, '_>, findings: &mut Findings) {
    use std::collections::HashSet;
    let mut seen: HashSet<(usize, String)> = HashSet::new();
    for condition in conditions(subject) {
        let key = condition.key.text.to_ascii_lowercase();
        // An operator's place tells it from all others.
        if !seen.insert((condition.operator_name.bytes.start, key)) {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "`{}` stands here twice: condition keys have no case",
                        clip(&condition.key.text)
                    ),
                )
                .fix("merge the two");
        }
    }
}

fn mixed_types(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let Some(first) = condition.values.first() else {
            continue;
        };
        if let Some(other) = condition.values.iter().find(|value| value.form != first.form) {
            findings
                .at(other, "the values of a condition should be of one JSON type")
                .fix("put quotes around all of them")
                .retext(&other.bytes, &other.text);
        }
    }
}

fn multiple_booleans(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let is_bool = condition
            .operator
            .is_some_and(|operator| operator.predicate == Predicate::Bool);
        if is_bool && condition.values.len() > 1 {
            findings
                .add(
                    &condition.key.path,
                    &condition.value,
                    format!(
                        "`{}` is true or false: compare it with one of them",
                        clip(&condition.key.text)
                    ),
                )
                .fix("keep one value");
        }
    }
}

/// The same operator with wildcards.
fn like(name: &str) -> Option<String> {
    let canonical = canonical(name)?;
    let like = canonical
        .replace("StringNotEqualsIgnoreCase", "StringNotLike")
        .replace("StringEqualsIgnoreCase", "StringLike")
        .replace("StringNotEquals", "StringNotLike")
        .replace("StringEquals", "StringLike");
    (like != canonical).then_some(like)
}

fn wildcard_without_like(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        let exact = condition.operator.is_some_and(|operator| {
            matches!(
                operator.predicate,
                Predicate::StringEquals | Predicate::StringEqualsIgnoreCase
            )
        });
        // For the subjects of tokens there is a rule that knows more.
        if !exact || super::issuers::is_subject(&condition.key.text) {
            continue;
        }
        for value in &condition.values {
            let outside = super::variables::outside(&value.text, subject.has_variables());
            if !has_wildcard(&outside) {
                continue;
            }
            let finding = findings.at(
                value,
                format!(
                    "under `{}` a `*` or `?` is that character, no wildcard",
                    condition.operator_name.text
                ),
            );
            if let Some(like) = like(&condition.operator_name.text) {
                finding.fix(format!("if a wildcard is meant, write `{like}`"));
                let alone = condition.is_alone;
                if alone {
                    finding.retext(&condition.operator_name.bytes, &like);
                }
            }
        }
    }
}

fn empty_values(subject: &Subject<'_, '_>, findings: &mut Findings, applies: impl Fn(Operator) -> bool) {
    for condition in conditions(subject) {
        if condition.entries != Some(0) || !condition.operator.is_some_and(&applies) {
            continue;
        }
        let key = clip(&condition.key.text);
        let when = match condition.operator {
            Some(operator) if operator.negated && operator.quantifier == Quantifier::None => "always met",
            Some(operator) if operator.quantifier == Quantifier::Any => "never met",
            _ if condition.holds_when_absent() => "met only by requests without the key",
            _ => "never met",
        };
        findings
            .add(
                &condition.key.path,
                &condition.value,
                format!("there are no values for `{key}`, so the condition is {when}"),
            )
            .fix(format!(
                "give values, or ask with `\"Null\": {{\"{key}\": \"true\"}}` whether the key is missing"
            ));
    }
}

/// `*` alone, or several of them.
fn is_all(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte == b'*')
}

/// Whether the operator is `StringLike` and one of the values matches every text.
fn likes_all(condition: &Condition<'_>) -> bool {
    let like = condition
        .operator
        .is_some_and(|operator| operator.predicate == Predicate::StringLike);
    like && condition.values.iter().any(|value| is_all(&value.text))
}

fn always_met(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject).filter(|condition| likes_all(condition)) {
        let Some(operator) = condition.operator else {
            continue;
        };
        let always = !operator.negated
            && match operator.quantifier {
                Quantifier::All => true,
                Quantifier::Any => false,
                Quantifier::None => operator.if_exists,
            };
        if always {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "every value of `{}` is taken, and so is none: this is always met",
                        clip(&condition.key.text)
                    ),
                )
                .fix("remove the key");
        }
    }
}

fn never_met(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject).filter(|condition| likes_all(condition)) {
        let Some(operator) = condition.operator else {
            continue;
        };
        if operator.negated && operator.quantifier == Quantifier::Any {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "no value of `{}` differs from `*`: this is never met",
                        clip(&condition.key.text)
                    ),
                )
                .fix("remove the statement, or compare with something else");
        }
    }
}

fn equivalent_to_null_false(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject).filter(|condition| likes_all(condition)) {
        let Some(operator) = condition.operator else {
            continue;
        };
        let asks = !operator.negated
            && match operator.quantifier {
                Quantifier::All => false,
                Quantifier::Any => true,
                Quantifier::None => !operator.if_exists,
            };
        if asks && !super::issuers::is_subject(&condition.key.text) {
            findings
                .at_name(
                    &condition.key,
                    format!("this only asks whether the request has `{}`", clip(&condition.key.text)),
                )
                .fix(format!(
                    "write `\"Null\": {{\"{}\": \"false\"}}`",
                    clip(&condition.key.text)
                ));
        }
    }
}

fn equivalent_to_null_true(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject).filter(|condition| likes_all(condition)) {
        let Some(operator) = condition.operator else {
            continue;
        };
        if operator.negated && operator.quantifier != Quantifier::Any {
            findings
                .at_name(
                    &condition.key,
                    format!("this is met only by requests without `{}`", clip(&condition.key.text)),
                )
                .fix(format!(
                    "write `\"Null\": {{\"{}\": \"true\"}}`",
                    clip(&condition.key.text)
                ));
        }
    }
}
