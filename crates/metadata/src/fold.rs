//! Comparing names whatever the case: IAM compares ASCII letters so in actions and condition keys.

use std::cmp::Ordering;

/// The order of two texts, ASCII letters lower-cased.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    a.bytes()
        .map(|byte| byte.to_ascii_lowercase())
        .cmp(b.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// Whether a text begins with another.
pub(crate) fn starts_with(text: &str, start: &str) -> bool {
    text.as_bytes()
        .get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// Whether a text ends with another.
pub(crate) fn ends_with(text: &str, end: &str) -> bool {
    text.len()
        .checked_sub(end.len())
        .and_then(|start| text.as_bytes().get(start..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
}

/// A text's first sixteen bytes, lower-cased, as a number that sorts as they do.
pub(crate) fn sort_key(text: &str) -> u128 {
    let mut head = [0_u8; 16];
    for (place, byte) in head.iter_mut().zip(text.bytes()) {
        *place = byte.to_ascii_lowercase();
    }
    u128::from_be_bytes(head)
}
