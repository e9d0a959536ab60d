//! Conditions: an operator, a key, and constants that were read when the policy was compiled.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::context::{Context, Key, Values};
use crate::pattern::{Pattern, Syntax};
use crate::profile::PROFILE;
use crate::resource::ArnPattern;
use crate::syntax;
use crate::syntax::{Comparison, Operator, Predicate, Quantifier};
use crate::value::{AddressBlock, Decimal, Instant, boolean};

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) key: Key,
    pub(crate) operator: Operator,
    test: Test,
    pub(crate) source: Box<ConditionSource>,
}

/// What a person reads of a condition.
#[derive(Clone, Debug)]
pub(crate) struct ConditionSource {
    pub(crate) operator: Box<str>,
    pub(crate) values: Box<[Box<str>]>,
}

/// The policy's values, ready to compare. A value that is none of its type is left out: it equals nothing.
#[derive(Clone, Debug)]
enum Test {
    Text(Box<[Pattern]>),
    TextIgnoringCase(Box<[Pattern]>),
    Number(Comparison, Box<[Box<str>]>),
    Date(Comparison, Box<[Instant]>),
    /// A constant, or text with a variable in it.
    Bool(Box<[Result<bool, Pattern>]>),
    Binary(Box<[Box<[u8]>]>),
    Address(Box<[AddressBlock]>),
    Arn(Box<[ArnPattern]>),
    Null(Box<[bool]>),
}

impl Condition {
    pub(crate) fn new(node: &syntax::Condition<'_>, operator: Operator, variables: bool) -> Self {
        let texts = || node.values.iter().map(|value| &**value);
        let patterns = |wildcards| {
            texts()
                .map(|text| Pattern::new(text, Syntax { wildcards, variables }))
                .collect()
        };
        let test = match operator.predicate {
            Predicate::StringEquals => Test::Text(patterns(false)),
            Predicate::StringLike => Test::Text(patterns(true)),
            Predicate::StringEqualsIgnoreCase => Test::TextIgnoringCase(patterns(false)),
            Predicate::Numeric(comparison) => Test::Number(
                comparison,
                texts()
                    .filter(|text| Decimal::parse(text).is_some())
                    .map(Into::into)
                    .collect(),
            ),
            Predicate::Date(comparison) => Test::Date(comparison, texts().filter_map(Instant::parse).collect()),
            Predicate::Bool => Test::Bool(
                texts()
                    .filter_map(|text| match boolean(text) {
                        Some(constant) => Some(Ok(constant)),
                        None if variables && text.contains("${") => Some(Err(Pattern::new(
                            text,
                            Syntax {
                                wildcards: false,
                                variables,
                            },
                        ))),
                        None => None,
                    })
                    .collect(),
            ),
            Predicate::Binary => Test::Binary(
                texts()
                    .filter_map(|text| STANDARD.decode(text).ok())
                    .map(Into::into)
                    .collect(),
            ),
            Predicate::IpAddress => Test::Address(texts().filter_map(AddressBlock::parse).collect()),
            Predicate::Arn => Test::Arn(texts().map(|text| ArnPattern::new(text, variables)).collect()),
            Predicate::Null => Test::Null(texts().filter_map(boolean).collect()),
        };
        Self {
            key: Key::new(&node.key),
            operator,
            test,
            source: Box::new(ConditionSource {
                operator: (&*node.operator).into(),
                values: texts().map(Into::into).collect(),
            }),
        }
    }

    /// Whether the condition holds.
    ///
    /// Negation is over the policy's values, the quantifier over the request's.
    #[inline]
    pub(crate) fn holds(&self, context: &Context) -> bool {
        let values = context.find(&self.key);
        if let Test::Null(expected) = &self.test {
            let absent = matches!(values, Values::Absent);
            return expected.contains(&absent);
        }
        let negated = self.operator.negated;
        match (self.operator.quantifier, values) {
            (Quantifier::None, Values::Absent) => negated || self.operator.if_exists,
            (Quantifier::None, Values::Single(value)) => self.satisfied_by(value, context),
            (Quantifier::None, Values::List(values)) => {
                !PROFILE.lists_need_a_set_qualifier && values.iter().any(|value| self.satisfied_by(value, context))
            }
            (Quantifier::All, Values::Absent) => true,
            (Quantifier::All, Values::Single("")) if PROFILE.empty_string_is_an_empty_set => true,
            (Quantifier::All, Values::Single(value)) => self.satisfied_by(value, context),
            (Quantifier::All, Values::List(values)) => {
                (PROFILE.empty_string_is_an_empty_set && values.iter().eq([""]))
                    || values.iter().all(|value| self.satisfied_by(value, context))
            }
            (Quantifier::Any, Values::Absent) => self.operator.if_exists && !PROFILE.for_any_value_needs_a_value,
            (Quantifier::Any, Values::Single(value)) => self.satisfied_by(value, context),
            (Quantifier::Any, Values::List(values)) => values.iter().any(|value| self.satisfied_by(value, context)),
        }
    }

    /// Whether the condition is about the key's presence only.
    pub(crate) fn is_null_test(&self) -> bool {
        matches!(self.test, Test::Null(_))
    }

    #[inline]
    fn satisfied_by(&self, value: &str, context: &Context) -> bool {
        match self.equals_one(value, context) {
            Some(found) => found != self.operator.negated,
            None => self.operator.negated && PROFILE.uncomparable_satisfies_negation,
        }
    }

    /// Whether `value` agrees with one of the policy's; `None` if it cannot be compared at all.
    fn equals_one(&self, value: &str, context: &Context) -> Option<bool> {
        Some(match &self.test {
            Test::Text(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Test::TextIgnoringCase(patterns) => patterns
                .iter()
                .any(|pattern| pattern.matches_ignoring_case(value, context)),
            Test::Number(comparison, constants) => {
                let value = Decimal::parse(value)?;
                constants.iter().any(|constant| {
                    Decimal::parse(constant).is_some_and(|constant| comparison.accepts(value.compare(constant)))
                })
            }
            Test::Date(comparison, constants) => {
                let value = Instant::parse(value)?;
                constants.iter().any(|constant| comparison.accepts(value.cmp(constant)))
            }
            Test::Bool(constants) => {
                let wanted = boolean(value)?;
                constants.iter().any(|constant| match constant {
                    Ok(constant) => *constant == wanted,
                    Err(pattern) => pattern.matches_ignoring_case(value, context),
                })
            }
            Test::Binary(constants) => constants.iter().any(|constant| **constant == *value.as_bytes()),
            Test::Address(blocks) => {
                let address: IpAddr = value.parse().ok()?;
                blocks.iter().any(|block| block.contains(address))
            }
            Test::Arn(patterns) => {
                if value.bytes().filter(|byte| *byte == b':').count() < 5
                    && !patterns.iter().any(|pattern| matches!(pattern, ArnPattern::Any))
                {
                    return None;
                }
                patterns.iter().any(|pattern| pattern.matches(value, context))
            }
            Test::Null(_) => return None,
        })
    }

    /// Whether some value on either side cannot be read as the operator's type: "uncomparable" in explanations.
    pub(crate) fn is_uncomparable(&self, context: &Context) -> bool {
        let read = match &self.test {
            Test::Number(_, constants) => constants.len(),
            Test::Date(_, constants) => constants.len(),
            Test::Bool(constants) => constants.len(),
            Test::Binary(constants) => constants.len(),
            Test::Address(constants) => constants.len(),
            Test::Null(constants) => constants.len(),
            Test::Arn(patterns) => {
                let broken = |pattern: &&ArnPattern| matches!(pattern, ArnPattern::Never);
                patterns.len().saturating_sub(patterns.iter().filter(broken).count())
            }
            Test::Text(patterns) | Test::TextIgnoringCase(patterns) => {
                let broken = |pattern: &&Pattern| matches!(pattern, Pattern::Never);
                patterns.len().saturating_sub(patterns.iter().filter(broken).count())
            }
        };
        read < self.source.values.len()
            || (!self.is_null_test()
                && match context.find(&self.key) {
                    Values::Absent => false,
                    Values::Single(value) => self.equals_one(value, context).is_none(),
                    Values::List(values) => values.iter().any(|value| self.equals_one(value, context).is_none()),
                })
    }

    /// The policy's values with the request's in place of variables.
    pub(crate) fn resolved_values(&self, context: &Context) -> Vec<String> {
        let values = &self.source.values;
        let of_patterns = |patterns: &[Pattern]| -> Vec<String> {
            patterns
                .iter()
                .zip(values)
                .map(|(pattern, text)| pattern.resolved(context).unwrap_or_else(|| text.to_string()))
                .collect()
        };
        match &self.test {
            Test::Text(patterns) | Test::TextIgnoringCase(patterns) => of_patterns(patterns),
            Test::Arn(patterns) => patterns
                .iter()
                .zip(values)
                .map(|(pattern, text)| pattern.resolved(context).unwrap_or_else(|| text.to_string()))
                .collect(),
            _ => values.iter().map(|text| text.to_string()).collect(),
        }
    }
}

impl Comparison {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests;
