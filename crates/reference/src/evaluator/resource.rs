//! `Resource` and `NotResource`.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>.

use super::document::{Kind, Names};
use super::glob::{self, Token};
use super::pattern::{self, Piece};
use super::{Choices, Keys};

/// What the entries of an element are read with.
pub(super) struct Reading<'r> {
    pub(super) kind: Kind,
    pub(super) has_variables: bool,
    pub(super) keys: &'r Keys,
    pub(super) choices: &'r Choices,
}

/// Whether the resource of a request is one that the element speaks of.
pub(super) fn applies(element: &Names<String>, resource: &str, reading: &Reading<'_>) -> bool {
    let listed = element.entries.iter().any(|entry| matches(entry, resource, reading));
    listed != element.negated
}

/// `*` is every resource, and nothing else is the resource of an action that has none.
pub(super) fn matches(entry: &str, resource: &str, reading: &Reading<'_>) -> bool {
    if entry == "*" {
        return true;
    }
    if resource == "*" {
        return false;
    }
    let Some(pieces) = pattern::pieces(entry, reading.has_variables) else {
        return false;
    };
    as_it_stands(&pieces, resource, reading)
        || (reading.choices.short_arns_are_padded
            && colons(&pieces) < 5
            && is_padded(entry, reading.kind)
            && as_it_stands(&padded(pieces), resource, reading))
}

fn as_it_stands(pieces: &[Piece], resource: &str, reading: &Reading<'_>) -> bool {
    if variable_before_resource_part(pieces) {
        return false;
    }
    let Some(tail) = pattern::tokens(&pieces[head(pieces)..], reading.keys, reading.choices) else {
        return false;
    };
    let mut tokens = field_tokens(&pieces[..head(pieces)]);
    tokens.extend(tail);
    glob::matches(&tokens, &glob::chars(resource))
}

fn colons(pieces: &[Piece]) -> usize {
    pieces.iter().filter(|piece| **piece == Piece::Char(':')).count()
}

/// How many pieces come before the resource part: all up to the fifth colon, or all there are.
fn head(pieces: &[Piece]) -> usize {
    let mut colons = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if *piece == Piece::Char(':') {
            colons += 1;
            if colons == 5 {
                return at + 1;
            }
        }
    }
    pieces.len()
}

/// Variables stand in the resource part only. The escapes of single characters are no variables: they bring nothing from
/// the request.
fn variable_before_resource_part(pieces: &[Piece]) -> bool {
    pieces[..head(pieces)]
        .iter()
        .any(|piece| matches!(piece, Piece::Variable { .. }))
}

/// In the first five fields a wildcard stays within its field, unless it is a `*` that ends the field.
fn field_tokens(pieces: &[Piece]) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let ends_field = matches!(pieces.get(at + 1), None | Some(Piece::Char(':')));
        tokens.push(match piece {
            Piece::Star if ends_field => Token::Any,
            Piece::Star => Token::AnyInField,
            Piece::Question => Token::OneInField,
            Piece::Char(c) | Piece::Escape(c) => Token::Char(*c),
            Piece::Variable { .. } => unreachable!("none before the resource part"),
        });
    }
    tokens
}

/// Whether an ARN that lacks fields gets them: always in policies of a principal, in those of resources and endpoints if
/// its text has a `*`, in service control policies if it ends with one, never in resource control policies.
fn is_padded(entry: &str, kind: Kind) -> bool {
    match kind {
        Kind::Identity | Kind::Boundary | Kind::Session => true,
        Kind::Resource | Kind::VpcEndpoint => entry.contains('*'),
        Kind::ServiceControl => entry.ends_with('*'),
        Kind::ResourceControl | Kind::Trust => false,
    }
}

/// The fields that are missing are `*`.
fn padded(mut pieces: Vec<Piece>) -> Vec<Piece> {
    while colons(&pieces) < 5 {
        pieces.extend([Piece::Char(':'), Piece::Star]);
    }
    pieces
}
