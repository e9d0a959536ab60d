//! Conditions: an operator, a key, and constants that were read when the policy was compiled.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::arn::ArnPattern;
use crate::context::{Context, Key, Values};
use crate::pattern::{Pattern, Syntax};
use crate::policy::Dialect;
use crate::profile::Profile;
use crate::syntax;
use crate::syntax::{Comparison, Operator, Predicate, Quantifier};
use crate::value::{AddressBlock, Decimal, DecimalConstant, Instant, address, boolean};

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) key: Key,
    pub(crate) operator: Operator,
    rules: Rules,
    test: Test,
    /// Whether every value of the policy can be read as the operator's type.
    all_readable: bool,
    pub(crate) source: Box<ConditionSource>,
}

/// What a person reads of a condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ConditionSource {
    pub(crate) operator: Box<str>,
    pub(crate) values: Box<[Box<str>]>,
}

/// What follows from operator, qualifier, suffix and profile, worked out when the policy is compiled.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The answer for an absent key.
    absent: bool,
    /// Whether a lone empty string satisfies the condition, as an empty set does.
    empty_is_enough: bool,
    list: Lists,
    /// The answer for a value that cannot be compared.
    uncomparable: bool,
}

/// How many values of a list must satisfy the operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lists {
    Refused,
    Any,
    All,
}

impl Rules {
    fn new(operator: Operator, profile: &Profile) -> Self {
        let Operator {
            quantifier,
            negated,
            if_exists,
            ..
        } = operator;
        Self {
            absent: match quantifier {
                Quantifier::None => negated || if_exists,
                Quantifier::All => true,
                Quantifier::Any => if_exists && !profile.for_any_value_needs_a_value,
            },
            empty_is_enough: quantifier == Quantifier::All && profile.empty_string_is_an_empty_set,
            list: match quantifier {
                Quantifier::None if profile.lists_need_a_set_qualifier => Lists::Refused,
                Quantifier::None | Quantifier::Any => Lists::Any,
                Quantifier::All => Lists::All,
            },
            uncomparable: negated && profile.uncomparable_satisfies_negation,
        }
    }
}

/// The policy's values, ready to compare. A value that is none of its type is left out: it equals nothing.
#[derive(Clone, Debug)]
enum Test {
    Text(Box<[Pattern]>),
    TextIgnoringCase(Box<[Pattern]>),
    /// As the last, for more than ASCII letters.
    TextFolded(Box<[Pattern]>),
    /// In order; of an inequality only the constant that is met first.
    Number(Comparison, Numbers, Box<[DecimalConstant]>),
    Date(Comparison, Dates, Box<[Instant]>),
    /// A constant, or text with a variable in it.
    Bool(Box<[Result<bool, Pattern>]>),
    Binary(Box<[Bytes]>),
    Address(Addresses, Box<[AddressBlock]>),
    Arn(Box<[ArnPattern]>),
    Null(Box<[bool]>),
}

/// Bytes, and the base64 that was written for them.
#[derive(Clone, Debug)]
struct Bytes {
    bytes: Box<[u8]>,
    base64: Box<str>,
}

/// How numbers are read.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    exponents: bool,
    blanks: bool,
}

impl Numbers {
    fn read(self, text: &str) -> Option<Decimal<'_>> {
        let text = if self.blanks { text.trim_ascii() } else { text };
        if !self.exponents && text.contains(['e', 'E']) {
            return None;
        }
        Decimal::parse(text)
    }
}

/// How dates are read.
#[derive(Clone, Copy, Debug)]
struct Dates {
    has_years: bool,
}

impl Dates {
    fn read(self, text: &str) -> Option<Instant> {
        Instant::read(text, self.has_years)
    }
}

/// How addresses are read.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    mapped_are_ipv4: bool,
}

impl Addresses {
    fn read(self, address: IpAddr) -> IpAddr {
        if self.mapped_are_ipv4 {
            address.to_canonical()
        } else {
            address
        }
    }
}

/// Values of one request that were read already, because a policy often asks for one value many times.
///
/// Keyed by where the text stands in memory: it holds for one evaluation, which borrows its context.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    address: Option<(*const u8, usize, Option<IpAddr>)>,
}

impl Condition {
    pub(crate) fn new(node: &syntax::Condition<'_>, operator: Operator, dialect: &Dialect) -> Self {
        let Dialect { variables, profile, .. } = dialect;
        let texts = || node.values.iter().map(|value| &**value);
        let patterns = |wildcards| {
            let syntax = Syntax::new(wildcards, *variables, profile);
            texts().map(|text| Pattern::new(text, syntax)).collect()
        };
        let mut readable = 0_usize;
        let test = match operator.predicate {
            Predicate::StringEquals => Test::Text(patterns(false)),
            Predicate::StringLike => Test::Text(patterns(true)),
            Predicate::StringEqualsIgnoreCase if profile.only_ascii_letters_fold => {
                Test::TextIgnoringCase(patterns(false))
            }
            Predicate::StringEqualsIgnoreCase => Test::TextFolded(patterns(false)),
            Predicate::Numeric(comparison) => {
                let numbers = Numbers {
                    exponents: profile.numbers_may_have_exponents,
                    blanks: profile.numbers_may_have_blanks,
                };
                let mut constants: Vec<Decimal<'_>> = texts().filter_map(|text| numbers.read(text)).collect();
                readable = constants.len();
                constants.sort_by(|one, other| one.compare(*other));
                let constants = decisive(comparison, constants);
                Test::Number(
                    comparison,
                    numbers,
                    constants.into_iter().map(DecimalConstant::new).collect(),
                )
            }
            Predicate::Date(comparison) => {
                let dates = Dates {
                    has_years: !profile.digits_are_epoch_seconds,
                };
                let mut constants: Vec<Instant> = texts().filter_map(|text| dates.read(text)).collect();
                readable = constants.len();
                constants.sort_unstable();
                Test::Date(comparison, dates, decisive(comparison, constants).into())
            }
            Predicate::Bool => {
                let syntax = Syntax::new(false, *variables, profile);
                let constant = |text| match boolean(text) {
                    Some(constant) => Some(Ok(constant)),
                    None => (*variables && text.contains("${")).then(|| Err(Pattern::new(text, syntax))),
                };
                let constants: Box<[_]> = texts().filter_map(constant).collect();
                readable = constants.len();
                Test::Bool(constants)
            }
            Predicate::Binary => {
                let constant = |text: &str| {
                    let bytes = STANDARD.decode(text).ok()?.into();
                    let base64 = text.into();
                    Some(Bytes { bytes, base64 })
                };
                let constants: Box<[_]> = texts().filter_map(constant).collect();
                readable = constants.len();
                Test::Binary(constants)
            }
            Predicate::IpAddress => {
                let addresses = Addresses {
                    mapped_are_ipv4: !profile.mapped_addresses_are_ipv6,
                };
                let blocks: Box<[_]> = texts().filter_map(AddressBlock::parse).collect();
                readable = blocks.len();
                Test::Address(addresses, blocks)
            }
            Predicate::Arn => {
                let patterns: Box<[_]> = texts().map(|text| ArnPattern::new(text, dialect)).collect();
                let is_readable = |pattern: &&ArnPattern| !matches!(pattern, ArnPattern::Never);
                readable = patterns.iter().filter(is_readable).count();
                Test::Arn(patterns)
            }
            Predicate::Null => {
                let constants: Box<[_]> = texts().filter_map(boolean).collect();
                readable = constants.len();
                Test::Null(constants)
            }
        };
        if let Test::Text(patterns) | Test::TextIgnoringCase(patterns) | Test::TextFolded(patterns) = &test {
            let is_readable = |pattern: &&Pattern| !matches!(pattern, Pattern::Never);
            readable = patterns.iter().filter(is_readable).count();
        }
        Self {
            key: Key::new(&node.key),
            operator,
            rules: Rules::new(operator, profile),
            test,
            all_readable: readable == node.values.len(),
            source: Box::new(ConditionSource {
                operator: (&*node.operator).into(),
                values: texts().map(Into::into).collect(),
            }),
        }
    }

    /// Whether the condition was written like this.
    pub(crate) fn is_written(&self, node: &syntax::Condition<'_>) -> bool {
        let values = &self.source.values;
        *self.key.text == *node.key
            && *self.source.operator == *node.operator
            && values.len() == node.values.len()
            && values.iter().zip(&node.values).all(|(mine, other)| **mine == **other)
    }

    /// Whether the condition holds.
    ///
    /// Negation is over the policy's values, the quantifier over the request's.
    pub(crate) fn holds(&self, context: &Context, memo: &mut Memo) -> bool {
        let values = context.find(&self.key);
        if let Test::Null(expected) = &self.test {
            let absent = matches!(values, Values::Absent);
            return expected.contains(&absent);
        }
        let rules = self.rules;
        match values {
            Values::Absent => rules.absent,
            Values::Single(value) => {
                (rules.empty_is_enough && value.is_empty()) || self.satisfied_by(value, context, memo)
            }
            Values::List(values) => match rules.list {
                Lists::Refused => false,
                Lists::Any => values.iter().any(|value| self.satisfied_by(value, context, memo)),
                Lists::All => {
                    (rules.empty_is_enough && values.iter().eq([""]))
                        || values.iter().all(|value| self.satisfied_by(value, context, memo))
                }
            },
        }
    }

    /// Whether the condition is about the key's presence only.
    pub(crate) fn is_null_test(&self) -> bool {
        matches!(self.test, Test::Null(_))
    }

    /// Whether a list of values fails the condition, whatever is in it.
    pub(crate) fn refuses_lists(&self) -> bool {
        self.rules.list == Lists::Refused && !self.is_null_test()
    }

    #[inline]
    fn satisfied_by(&self, value: &str, context: &Context, memo: &mut Memo) -> bool {
        match self.equals_one(value, context, memo) {
            Some(found) => found != self.operator.negated,
            None => self.rules.uncomparable,
        }
    }

    /// Whether `value` agrees with one of the policy's; `None` if it cannot be compared at all.
    #[inline(always)]
    fn equals_one(&self, value: &str, context: &Context, memo: &mut Memo) -> Option<bool> {
        Some(match &self.test {
            Test::Text(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Test::TextIgnoringCase(patterns) => patterns
                .iter()
                .any(|pattern| pattern.matches_ignoring_case(value, context)),
            Test::TextFolded(patterns) => patterns.iter().any(|pattern| pattern.matches_folded(value, context)),
            Test::Number(comparison, numbers, constants) => {
                let value = numbers.read(value)?;
                comparison.accepts_one(constants, |constant| constant.get().compare(value))
            }
            Test::Date(comparison, dates, constants) => {
                let value = dates.read(value)?;
                comparison.accepts_one(constants, |constant| constant.cmp(&value))
            }
            Test::Bool(constants) => {
                let wanted = boolean(value)?;
                constants.iter().any(|constant| match constant {
                    Ok(constant) => *constant == wanted,
                    Err(pattern) => pattern.matches_ignoring_case(value, context),
                })
            }
            Test::Binary(constants) => constants
                .iter()
                .any(|constant| *constant.bytes == *value.as_bytes() || *constant.base64 == *value),
            Test::Address(addresses, blocks) => {
                let read = match memo.address {
                    Some((at, len, address)) if at == value.as_ptr() && len == value.len() => address,
                    _ => {
                        let address = address(value);
                        memo.address = Some((value.as_ptr(), value.len(), address));
                        address
                    }
                };
                let address = addresses.read(read?);
                blocks.iter().any(|block| block.contains(address))
            }
            Test::Arn(patterns) => {
                let found = patterns.iter().any(|pattern| pattern.matches(value, context));
                // Mostly it is all the same whether the value differs or is no ARN.
                if !found && self.rules.uncomparable != self.operator.negated && !is_arn(value) {
                    return None;
                }
                found
            }
            Test::Null(_) => return None,
        })
    }

    /// Whether some value on either side cannot be read as the operator's type: "uncomparable" in explanations.
    pub(crate) fn is_uncomparable(&self, context: &Context) -> bool {
        let mut memo = Memo::default();
        let mut is_unread = |value| match (self.equals_one(value, context, &mut memo), &self.test) {
            (Some(false), Test::Arn(_)) => !is_arn(value),
            (found, _) => found.is_none(),
        };
        !self.all_readable
            || (!self.is_null_test()
                && match context.find(&self.key) {
                    Values::Absent => false,
                    Values::Single(value) => is_unread(value),
                    Values::List(values) => values.iter().any(is_unread),
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
            Test::Text(patterns) | Test::TextIgnoringCase(patterns) | Test::TextFolded(patterns) => {
                of_patterns(patterns)
            }
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
    /// Whether some constant of an ordered list accepts a value. `order`: of a constant to the value.
    fn accepts_one<C>(self, constants: &[C], order: impl Fn(&C) -> Ordering) -> bool {
        match self {
            Self::Equal => constants.binary_search_by(order).is_ok(),
            Self::Less => constants.iter().any(|constant| order(constant).is_gt()),
            Self::LessOrEqual => constants.iter().any(|constant| order(constant).is_ge()),
            Self::Greater => constants.iter().any(|constant| order(constant).is_lt()),
            Self::GreaterOrEqual => constants.iter().any(|constant| order(constant).is_le()),
        }
    }
}

/// Whether a text has the six fields of an ARN.
fn is_arn(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b':').nth(4).is_some()
}

/// Of an ordered list of constants, those that decide: an inequality is met by some constant only if it is met by the
/// largest or the smallest.
fn decisive<C>(comparison: Comparison, mut constants: Vec<C>) -> Vec<C> {
    match comparison {
        Comparison::Equal => {}
        Comparison::Less | Comparison::LessOrEqual => {
            constants.drain(..constants.len().saturating_sub(1));
        }
        Comparison::Greater | Comparison::GreaterOrEqual => constants.truncate(1),
    }
    constants
}

#[cfg(test)]
mod tests;
