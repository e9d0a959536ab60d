//! `Condition`: operators, their qualifiers, and what a request's values must be.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>.

use std::cmp::Ordering;

use super::{Choices, Keys, Values, address, arn, binary, date, glob, number, pattern, value_of};

/// An operator without its negation and qualifiers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the names are those of the operators")]
pub enum Base {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    NumericEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    DateEquals,
    DateLessThan,
    DateLessThanEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    Bool,
    BinaryEquals,
    IpAddress,
    ArnEquals,
    ArnLike,
    Null,
}

/// Over which of the request's values an operator must hold.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the names are those of the qualifiers")]
pub enum Quantifier {
    Plain,
    ForAllValues,
    ForAnyValue,
}

/// One key under one operator.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the parts of a condition")]
pub struct Condition {
    pub quantifier: Quantifier,
    pub base: Base,
    pub negated: bool,
    pub if_exists: bool,
    pub key: String,
    pub values: Vec<String>,
}

/// The 27 operators: name, what it asks, and whether it is a negation.
pub(crate) const OPERATORS: [(&str, Base, bool); 27] = [
    ("StringEquals", Base::StringEquals, false),
    ("StringNotEquals", Base::StringEquals, true),
    ("StringEqualsIgnoreCase", Base::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Base::StringEqualsIgnoreCase, true),
    ("StringLike", Base::StringLike, false),
    ("StringNotLike", Base::StringLike, true),
    ("NumericEquals", Base::NumericEquals, false),
    ("NumericNotEquals", Base::NumericEquals, true),
    ("NumericLessThan", Base::NumericLessThan, false),
    ("NumericLessThanEquals", Base::NumericLessThanEquals, false),
    ("NumericGreaterThan", Base::NumericGreaterThan, false),
    ("NumericGreaterThanEquals", Base::NumericGreaterThanEquals, false),
    ("DateEquals", Base::DateEquals, false),
    ("DateNotEquals", Base::DateEquals, true),
    ("DateLessThan", Base::DateLessThan, false),
    ("DateLessThanEquals", Base::DateLessThanEquals, false),
    ("DateGreaterThan", Base::DateGreaterThan, false),
    ("DateGreaterThanEquals", Base::DateGreaterThanEquals, false),
    ("Bool", Base::Bool, false),
    ("BinaryEquals", Base::BinaryEquals, false),
    ("IpAddress", Base::IpAddress, false),
    ("NotIpAddress", Base::IpAddress, true),
    ("ArnEquals", Base::ArnEquals, false),
    ("ArnNotEquals", Base::ArnEquals, true),
    ("ArnLike", Base::ArnLike, false),
    ("ArnNotLike", Base::ArnLike, true),
    ("Null", Base::Null, false),
];

/// Reads an operator's name with its qualifiers, in any case. `Null` has no `IfExists`.
pub(super) fn operator(name: &str) -> Option<(Quantifier, Base, bool, bool)> {
    let name = name.to_ascii_lowercase();
    let (quantifier, name) = match name.split_once(':') {
        Some(("forallvalues", rest)) => (Quantifier::ForAllValues, rest),
        Some(("foranyvalue", rest)) => (Quantifier::ForAnyValue, rest),
        Some(_) => return None,
        None => (Quantifier::Plain, name.as_str()),
    };
    let (name, if_exists) = match name.strip_suffix("ifexists") {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let (_, base, negated) = OPERATORS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
    if *base == Base::Null && if_exists {
        return None;
    }
    Some((quantifier, *base, *negated, if_exists))
}

/// Whether a condition holds for a request.
#[must_use]
pub fn holds(condition: &Condition, has_variables: bool, keys: &Keys, choices: &Choices) -> bool {
    let found = value_of(keys, &condition.key);
    if condition.base == Base::Null {
        return null(condition, found.is_none());
    }
    let Some(found) = found else {
        return without_value(condition, choices);
    };
    let satisfies = |value: &String| satisfies(condition, value, has_variables, keys, choices);
    match (condition.quantifier, found) {
        (Quantifier::Plain, Values::One(value)) => satisfies(value),
        (Quantifier::Plain, Values::List(_)) if choices.lists_need_a_set_qualifier => false,
        (Quantifier::Plain, Values::List(values)) => values.iter().any(satisfies),
        (Quantifier::ForAllValues, found) => is_empty_set(found, choices) || list(found).iter().all(satisfies),
        (Quantifier::ForAnyValue, found) => list(found).iter().any(satisfies),
    }
}

/// `"true"` asks for a key that is not there, `"false"` for one that is.
fn null(condition: &Condition, is_absent: bool) -> bool {
    condition.values.iter().any(|value| boolean(value) == Some(is_absent))
}

/// What a key that is not there means to an operator.
fn without_value(condition: &Condition, choices: &Choices) -> bool {
    match condition.quantifier {
        // `StringNotEquals` and its like are true of a key that is not there.
        Quantifier::Plain => condition.negated || condition.if_exists,
        // Of no values, all do whatever is asked.
        Quantifier::ForAllValues => true,
        // Of no values, none does.
        Quantifier::ForAnyValue => condition.if_exists && !choices.for_any_value_needs_a_value,
    }
}

fn list(values: &Values) -> Vec<String> {
    match values {
        Values::One(value) => vec![value.clone()],
        Values::List(values) => values.clone(),
    }
}

/// A data set that is nothing but the empty string is a null data set.
fn is_empty_set(values: &Values, choices: &Choices) -> bool {
    choices.empty_string_is_an_empty_set && list(values) == [""]
}

/// Whether one value of the request satisfies the operator: it is among the policy's values, or for a negation it is not.
fn satisfies(condition: &Condition, value: &str, has_variables: bool, keys: &Keys, choices: &Choices) -> bool {
    let mut expected = condition.values.iter();
    let is_among =
        expected.any(|expected| compare(condition.base, expected, value, has_variables, keys, choices) == Some(true));
    if condition.negated {
        !is_among && (choices.uncomparable_satisfies_negation || is_readable(condition.base, value, choices))
    } else {
        is_among
    }
}

/// Whether a value of the request is of the type that a negated operator compares.
fn is_readable(base: Base, value: &str, choices: &Choices) -> bool {
    match base {
        Base::NumericEquals => number::compare(value, value, choices).is_some(),
        Base::DateEquals => date::compare(value, value, choices).is_some(),
        Base::IpAddress => address::is_in("::/0", value, choices).is_some(),
        Base::ArnEquals | Base::ArnLike => value.matches(':').count() >= 5,
        _ => true,
    }
}

/// Whether a value of the request is what a value of the policy asks for; `None` if they cannot be compared.
fn compare(
    base: Base,
    expected: &str,
    value: &str,
    has_variables: bool,
    keys: &Keys,
    choices: &Choices,
) -> Option<bool> {
    match base {
        Base::StringEquals => {
            Some(pattern::literal(expected, has_variables, keys, choices).is_some_and(|expected| expected == value))
        }
        Base::StringEqualsIgnoreCase => Some(
            pattern::literal(expected, has_variables, keys, choices)
                .is_some_and(|expected| folded(&expected, choices) == folded(value, choices)),
        ),
        Base::StringLike => Some(like(expected, value, has_variables, keys, choices)),
        Base::Bool => {
            let expected = pattern::literal(expected, has_variables, keys, choices)?;
            Some(boolean(&expected)? == boolean(value)?)
        }
        // A request's bytes come as they are, or as the same base64.
        Base::BinaryEquals => Some(binary::decode(expected)? == value.as_bytes() || expected == value),
        Base::IpAddress => address::is_in(expected, value, choices),
        Base::ArnEquals | Base::ArnLike => arn::matches(expected, value, has_variables, keys, choices),
        Base::NumericEquals
        | Base::NumericLessThan
        | Base::NumericLessThanEquals
        | Base::NumericGreaterThan
        | Base::NumericGreaterThanEquals => Some(ordered(base, number::compare(value, expected, choices)?)),
        Base::DateEquals
        | Base::DateLessThan
        | Base::DateLessThanEquals
        | Base::DateGreaterThan
        | Base::DateGreaterThanEquals => Some(ordered(base, date::compare(value, expected, choices)?)),
        Base::Null => None,
    }
}

/// A text in which case no longer counts.
fn folded(text: &str, choices: &Choices) -> String {
    if choices.only_ascii_letters_fold {
        text.to_ascii_lowercase()
    } else {
        text.to_lowercase()
    }
}

/// Wildcards match any characters; case counts.
fn like(expected: &str, value: &str, has_variables: bool, keys: &Keys, choices: &Choices) -> bool {
    let Some(pieces) = pattern::pieces(expected, has_variables) else {
        return false;
    };
    match pattern::tokens(&pieces, keys, choices) {
        Some(tokens) => glob::matches(&tokens, &glob::chars(value)),
        None => false,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Whether the request's value stands to the policy's as the operator says.
fn ordered(base: Base, order: Ordering) -> bool {
    match base {
        Base::NumericEquals | Base::DateEquals => order.is_eq(),
        Base::NumericLessThan | Base::DateLessThan => order.is_lt(),
        Base::NumericLessThanEquals | Base::DateLessThanEquals => order.is_le(),
        Base::NumericGreaterThan | Base::DateGreaterThan => order.is_gt(),
        Base::NumericGreaterThanEquals | Base::DateGreaterThanEquals => order.is_ge(),
        _ => false,
    }
}
