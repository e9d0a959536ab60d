//! Patterns of `Resource` and of condition values: characters, wildcards and policy variables.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.

use super::glob::Token;
use super::{Choices, Keys, Values, value_of};

/// One piece of a pattern as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Char(char),
    /// `*`.
    Star,
    /// `?`.
    Question,
    /// `${*}`, `${?}` and `${$}`: the character itself.
    Escape(char),
    /// `${key}` or `${key, 'default'}`.
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// Reads a pattern. `None` if a variable in it is malformed; such a pattern matches nothing.
pub(super) fn pieces(text: &str, has_variables: bool) -> Option<Vec<Piece>> {
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if has_variables && chars[at..].starts_with(&['$', '{']) {
            let (piece, end) = variable(&chars, at + 2)?;
            pieces.push(piece);
            at = end;
        } else {
            pieces.push(match chars[at] {
                '*' => Piece::Star,
                '?' => Piece::Question,
                c => Piece::Char(c),
            });
            at += 1;
        }
    }
    Some(pieces)
}

/// Reads a variable whose inside begins at `start`; also says where the text goes on after its `}`. Blanks may stand around
/// a default.
fn variable(chars: &[char], start: usize) -> Option<(Piece, usize)> {
    if let [c @ ('*' | '?' | '$'), '}', ..] = chars[start..] {
        return Some((Piece::Escape(c), start + 2));
    }
    let name_end = (start..chars.len()).find(|&at| matches!(chars[at], '}' | ','))?;
    let key: String = chars[start..name_end].iter().collect();
    if !is_key_name(&key) {
        return None;
    }
    if chars[name_end] == '}' {
        return Some((Piece::Variable { key, default: None }, name_end + 1));
    }
    let mut quote = name_end + 1;
    while chars.get(quote) == Some(&' ') {
        quote += 1;
    }
    if chars.get(quote) != Some(&'\'') {
        return None;
    }
    let end = (quote + 1..chars.len()).find(|&at| chars[at] == '\'')?;
    let default = Some(chars[quote + 1..end].iter().collect());
    let close = (end + 1..chars.len()).find(|&at| chars[at] != ' ')?;
    (chars[close] == '}').then_some((Piece::Variable { key, default }, close + 1))
}

/// A key's name is not empty and has no blanks, braces, quotes or wildcards.
fn is_key_name(key: &str) -> bool {
    !key.is_empty() && !key.contains([' ', '{', '\'', '$', '*', '?'])
}

/// What a variable stands for: the value of a single-valued key, or else its default. `None` if there is neither.
pub(super) fn resolve(key: &str, default: Option<&str>, keys: &Keys, choices: &Choices) -> Option<String> {
    match (value_of(keys, key), default) {
        (Some(Values::One(value)), Some(default)) if value.is_empty() && choices.defaults_replace_empty_values => {
            Some(default.to_owned())
        }
        (Some(Values::One(value)), _) => Some(value.clone()),
        // A multivalued key is no variable.
        (Some(Values::List(_)) | None, default) => default.map(str::to_owned),
    }
}

/// Puts values in place of the variables. What they bring are plain characters. `None` if one has no value: then the
/// pattern matches nothing.
pub(super) fn tokens(pieces: &[Piece], keys: &Keys, choices: &Choices) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Char(c) | Piece::Escape(c) => tokens.push(Token::Char(*c)),
            Piece::Star => tokens.push(Token::Any),
            Piece::Question => tokens.push(Token::One),
            Piece::Variable { key, default } => {
                let value = resolve(key, default.as_deref(), keys, choices)?;
                tokens.extend(value.chars().map(Token::Char));
            }
        }
    }
    Some(tokens)
}

/// A value in which wildcards are plain characters too, with its variables resolved.
pub(super) fn literal(text: &str, has_variables: bool, keys: &Keys, choices: &Choices) -> Option<String> {
    let mut out = String::new();
    for piece in pieces(text, has_variables)? {
        match piece {
            Piece::Char(c) | Piece::Escape(c) => out.push(c),
            Piece::Star => out.push('*'),
            Piece::Question => out.push('?'),
            Piece::Variable { key, default } => out.push_str(&resolve(&key, default.as_deref(), keys, choices)?),
        }
    }
    Some(out)
}
