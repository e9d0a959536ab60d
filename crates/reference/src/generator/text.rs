//! Texts made of texts: wider, bent a little, or written with variables.

use super::Random;
use super::access::recased;
use crate::evaluator::{Keys, Values};

/// The text with one character changed, added or taken away.
pub(super) fn bent(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = random.below(chars.len() + 1);
    match random.below(4) {
        0 if at < chars.len() => {
            chars.remove(at);
        }
        1 if at < chars.len() => chars[at] = swapped(chars[at]),
        2 => chars.insert(at, random.pick(&['x', ':', '/', '*', '?', ' ', 'é', '$'])),
        _ => chars.truncate(at),
    }
    chars.into_iter().collect()
}

fn swapped(c: char) -> char {
    if c.is_ascii_lowercase() {
        c.to_ascii_uppercase()
    } else {
        c.to_ascii_lowercase()
    }
}

/// The text with ASCII letters in another case.
pub(super) fn swapped_case(text: &str, random: &mut Random) -> String {
    match random.below(3) {
        0 => text.to_ascii_uppercase(),
        1 => text.to_ascii_lowercase(),
        _ => text
            .chars()
            .map(|c| if random.one_in(3) { swapped(c) } else { c })
            .collect(),
    }
}

/// The text with `*` for parts and `?` for characters; the same text still matches.
pub(super) fn widened(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(3) {
        let from = random.below(chars.len() + 1);
        let to = match random.below(4) {
            0 => chars.len(),
            1 => from,
            _ => from + random.below(chars.len() - from + 1),
        };
        if random.one_in(3) {
            if from < chars.len() {
                chars[from] = '?';
            }
        } else {
            chars.splice(from..to, ['*']);
        }
    }
    chars.into_iter().collect()
}

/// The text with its special characters escaped, as variables write it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '$') {
            out.extend(["${", &c.to_string(), "}"]);
        } else {
            out.push(c);
        }
    }
    out
}

/// The text with a part of it written as a variable: one whose value it is, or the default of one without value.
pub(super) fn with_variable(text: &str, keys: &Keys, random: &mut Random) -> String {
    let mut fitting = Vec::new();
    for (key, values) in keys {
        if let Values::One(value) = values
            && !value.is_empty()
            && let Some(at) = text.find(value.as_str())
        {
            fitting.push((key, at, value.len()));
        }
    }
    if !fitting.is_empty() && random.percent(75) {
        let (key, at, length) = fitting[random.below(fitting.len())];
        let (before, after) = (&text[..at], &text[at + length..]);
        let default = ["", "", "", ", 'other'", ", ''"][random.below(5)];
        return format!("{before}${{{}{default}}}{after}", recased(key, random));
    }
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let (one, two) = (random.below(places.len()), random.below(places.len()));
    let (from, to) = (places[one.min(two)], places[one.max(two)]);
    let (before, part, after) = (&text[..from], &text[from..to], &text[to..]);
    let variable = match random.below(12) {
        0..=3 => format!("${{x:Missing, '{part}'}}"),
        4..=5 if !keys.is_empty() => {
            // The default of an empty value is another matter than that of none.
            let empty = keys.iter().find(|(_, values)| *values == Values::One(String::new()));
            let (key, _) = empty.unwrap_or(&keys[random.below(keys.len())]);
            format!("${{{key}, '{part}'}}")
        }
        6 => "${x:Missing}".to_owned(),
        7 => "${aws:TagKeys, '*'}".to_owned(),
        8 => random
            .pick(&[
                "${}",
                "${",
                "${a b}",
                "${x:y, z}",
                "${x:y, 'z}",
                "${x:y, 'z' }",
                "${**}",
                "$",
                "${x:y,'z'}",
                "${'z'}",
                "${x:y",
                "${${*}}",
            ])
            .to_owned(),
        9 => "${aws:username, '}'}".to_owned(),
        10 => format!("${{{}}}", random.pick(&["*", "?", "$"])),
        _ => "${aws:username}".to_owned(),
    };
    format!("{before}{variable}{after}")
}
