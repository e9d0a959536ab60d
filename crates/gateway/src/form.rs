//! Forms of the Query protocol as a tree: `Tags.member.1.Key=x` is an object of objects.

use percent_encoding::percent_decode_str;

use crate::error::GatewayError;
use crate::json::Tree;

/// How deep names may go, and how many parameters there may be.
const MAX_DEPTH: usize = 32;
const MAX_PARAMETERS: usize = 10_000;

/// Reads a form. A name that comes twice, or that is both a value and the beginning of other names, is refused; so is a semicolon that is
/// not encoded, at which some servers begin another parameter.
pub(crate) fn parse(form: &str) -> Result<Tree, GatewayError> {
    if form.contains(';') {
        return Err(GatewayError::Ambiguous("a form has a semicolon".to_owned()));
    }
    let mut root = Tree::Object(Vec::new());
    let parts = form.split('&').filter(|part| !part.is_empty());
    for (index, part) in parts.enumerate() {
        if index >= MAX_PARAMETERS {
            return Err(GatewayError::Body("it has too many parameters".to_owned()));
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if name.split('.').count() > MAX_DEPTH {
            return Err(GatewayError::Body("a parameter's name is too deep".to_owned()));
        }
        insert(&mut root, &name, value)?;
    }
    Ok(root)
}

fn insert(root: &mut Tree, name: &str, value: String) -> Result<(), GatewayError> {
    let twice = || GatewayError::Ambiguous("a parameter comes twice, or is a value and a structure".to_owned());
    let mut place = root;
    for part in name.split('.') {
        let Tree::Object(members) = place else {
            return Err(twice());
        };
        let found = match members.iter().position(|(known, _)| known == part) {
            Some(found) => found,
            None => {
                members.push((part.to_owned(), Tree::Nothing));
                members.len().saturating_sub(1)
            }
        };
        let Some((_, next)) = members.get_mut(found) else {
            return Err(twice());
        };
        place = next;
        if matches!(place, Tree::Nothing) {
            *place = Tree::Object(Vec::new());
        }
    }
    match place {
        Tree::Object(members) if members.is_empty() => {
            *place = Tree::Text(value);
            Ok(())
        }
        _ => Err(twice()),
    }
}

/// Decodes a name or a value: escapes must be whole, and the bytes UTF-8.
pub(crate) fn decode(text: &str) -> Result<String, GatewayError> {
    let broken = || GatewayError::Body("an escape or its bytes are no UTF-8 text".to_owned());
    let bytes = text.as_bytes();
    let whole = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(index, _)| {
            let digit = |offset: usize| {
                bytes
                    .get(index.saturating_add(offset))
                    .is_some_and(u8::is_ascii_hexdigit)
            };
            digit(1) && digit(2)
        });
    if !whole {
        return Err(broken());
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_values_are_no_structures() {
        for form in [
            "A=1&A=2",
            "A=1&%41=2",
            "A=1&A.B=2",
            "A.B=2&A=1",
            "A=&A=",
            "A=%",
            "A=%zz",
            "A=%ff",
            "%ff=1",
            "Action=A&B=1;Action=C",
        ] {
            assert!(parse(form).is_err(), "{form}");
        }
        let tree = parse("Action=A&Tags.member.1.Key=a+b&Tags.member.1.Value=%2B&&X").unwrap();
        assert_eq!(tree.members().len(), 3);
    }
}
