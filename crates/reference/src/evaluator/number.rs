//! Decimal numbers of any size, compared exactly.

use std::cmp::Ordering;

use super::Choices;

/// `0.digits × 10^point`, with a sign. The first and the last digit are not zero; zero has no digits.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i128,
}

/// Compares two texts as numbers; `None` if one is none.
pub(super) fn compare(left: &str, right: &str, choices: &Choices) -> Option<Ordering> {
    let (left, right) = (parse(left, choices)?, parse(right, choices)?);
    Some(match (sign(&left), sign(&right)) {
        (left, right) if left != right => left.cmp(&right),
        (0, _) => Ordering::Equal,
        (1, _) => magnitude(&left, &right),
        _ => magnitude(&right, &left),
    })
}

fn sign(number: &Decimal) -> i8 {
    match (number.digits.is_empty(), number.negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    }
}

/// Digits after the point compare like words.
fn magnitude(left: &Decimal, right: &Decimal) -> Ordering {
    left.point
        .cmp(&right.point)
        .then_with(|| left.digits.cmp(&right.digits))
}

/// A sign, digits, perhaps a point with more digits, and an exponent.
fn parse(text: &str, choices: &Choices) -> Option<Decimal> {
    let text = if choices.numbers_may_have_blanks {
        text.trim()
    } else {
        text
    };
    let (negative, text) = signed(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some(_) if !choices.numbers_may_have_exponents => return None,
        Some((mantissa, exponent)) => (mantissa, self::exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return None;
    }
    let digits = format!("{whole}{}", fraction.unwrap_or_default());
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let point = i128::try_from(whole.len()).ok()? - i128::try_from(zeros).ok()? + exponent;
    let digits = digits.trim_matches('0').bytes().collect();
    Some(Decimal {
        negative,
        digits,
        point,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Thirty digits are more than any exponent has.
fn exponent(text: &str) -> Option<i128> {
    let (negative, digits) = signed(text);
    if !is_digits(digits) || digits.len() > 30 {
        return None;
    }
    let exponent: i128 = digits.parse().ok()?;
    Some(if negative { -exponent } else { exponent })
}
