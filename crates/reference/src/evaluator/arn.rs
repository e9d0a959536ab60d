//! ARNs in conditions.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use super::glob::{self, Token};
use super::{Choices, Keys, pattern};

/// Whether a policy's pattern matches a request's ARN: each of the six fields by itself. `None` if one of the two is no ARN.
pub(super) fn matches(pattern: &str, value: &str, has_variables: bool, keys: &Keys, choices: &Choices) -> Option<bool> {
    if pattern == "*" && choices.lone_star_matches_any_arn {
        return Some(true);
    }
    let pattern = pattern::tokens(&pattern::pieces(pattern, has_variables)?, keys, choices)?;
    let pattern = fields(&pattern, &Token::Char(':'))?;
    let value = fields(&glob::chars(value), &':')?;
    let mut pairs = pattern.iter().zip(&value);
    Some(pairs.all(|(pattern, value)| glob::matches(pattern, value)))
}

/// The six fields between the first five colons; `None` if there are fewer colons.
fn fields<T: Clone + PartialEq>(items: &[T], colon: &T) -> Option<Vec<Vec<T>>> {
    let fields: Vec<Vec<T>> = items.splitn(6, |item| item == colon).map(<[T]>::to_vec).collect();
    (fields.len() == 6).then_some(fields)
}
