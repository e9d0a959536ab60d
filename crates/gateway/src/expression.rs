//! DynamoDB's expressions, as far as questions need them: which attributes they name, and which they compare for equality.

use crate::error::GatewayError;
use crate::json::Tree;
use crate::path::member;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token<'a> {
    /// An attribute, a keyword or a function.
    Word(&'a str),
    /// `#name`.
    Alias(&'a str),
    /// `:value`.
    Value(&'a str),
    /// `=`, alone.
    Equals,
    /// `<`, `<=`, `<>`, `>`, `>=`.
    Comparison,
    Sign(char),
}

/// Words that are no attributes: reserved in DynamoDB.
const KEYWORDS: [&str; 9] = ["SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"];

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word_end = |text: &str, from: usize| {
            text.char_indices()
                .skip_while(|(index, _)| *index < from)
                .find(|(_, sign)| !(sign.is_alphanumeric() || *sign == '_' || *sign == '-' && from == 1))
                .map_or(text.len(), |(index, _)| index)
        };
        let length = match first {
            '#' | ':' => word_end(rest, 1),
            sign if sign.is_alphanumeric() || sign == '_' => word_end(rest, 0),
            '<' if rest.starts_with("<=") || rest.starts_with("<>") => 2,
            '>' if rest.starts_with(">=") => 2,
            sign => sign.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        match first {
            sign if sign.is_whitespace() => {}
            '#' => tokens.push(Token::Alias(token)),
            ':' => tokens.push(Token::Value(token)),
            '=' => tokens.push(Token::Equals),
            '<' | '>' => tokens.push(Token::Comparison),
            sign if sign.is_alphanumeric() || sign == '_' => tokens.push(Token::Word(token)),
            sign => tokens.push(Token::Sign(sign)),
        }
    }
    tokens
}

fn resolve(alias: &str, holder: &Tree) -> Result<String, GatewayError> {
    let missing = || GatewayError::Missing("ExpressionAttributeNames".to_owned());
    let names = member(holder, "ExpressionAttributeNames")?.ok_or_else(missing)?;
    let found = names.members().iter().find(|(name, _)| name == alias);
    match found {
        Some((_, Tree::Text(name))) => Ok(name.clone()),
        _ => Err(missing()),
    }
}

/// The top-level attributes that an expression names. `holder` is the object with `ExpressionAttributeNames`.
pub(crate) fn attributes(expression: &str, holder: &Tree) -> Result<Vec<String>, GatewayError> {
    let tokens = tokens(expression);
    let mut names = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        if before == Some(&Token::Sign('.')) {
            continue;
        }
        match token {
            Token::Alias(alias) => names.push(resolve(alias, holder)?),
            Token::Word(word) => {
                let is_function = tokens.get(index.saturating_add(1)) == Some(&Token::Sign('('));
                let is_keyword = KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word));
                // An index into a list.
                let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
                if !is_function && !is_keyword && !is_number {
                    names.push((*word).to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// What a key condition compares for equality: attributes and the placeholders of their values.
pub(crate) fn equalities(expression: &str, holder: &Tree) -> Result<Vec<(String, String)>, GatewayError> {
    let tokens = tokens(expression);
    let mut found = Vec::new();
    for (index, _) in tokens.iter().enumerate().filter(|(_, token)| **token == Token::Equals) {
        let left = index.checked_sub(1).and_then(|index| tokens.get(index));
        let right = tokens.get(index.saturating_add(1));
        let ((Some(name), Some(Token::Value(value))) | (Some(Token::Value(value)), Some(name))) = (left, right) else {
            continue;
        };
        let name = match name {
            Token::Alias(alias) => resolve(alias, holder)?,
            Token::Word(word) => (*word).to_owned(),
            _ => continue,
        };
        found.push((name, (*value).to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn attributes_of_expressions() {
        let holder = json::parse(br##"{"ExpressionAttributeNames":{"#n":"name","#a-b":"x"}}"##).unwrap();
        for (expression, expected) in [
            ("a, b.c, d[0].e, #n.f", vec!["a", "b", "d", "name"]),
            (
                "SET a = :v, b = if_not_exists(b, :w) + :x REMOVE c",
                vec!["a", "b", "b", "c"],
            ),
            (
                "attribute_not_exists(pk) AND NOT (x IN (:a, :b)) or y between :a and :b",
                vec!["pk", "x", "y"],
            ),
            ("size(#n)>=:v", vec!["name"]),
            ("", vec![]),
        ] {
            assert_eq!(attributes(expression, &holder).unwrap(), expected, "{expression}");
        }
        assert!(attributes("#none", &holder).is_err());
    }

    #[test]
    fn equalities_of_key_conditions() {
        let holder = json::parse(br##"{"ExpressionAttributeNames":{"#p":"pk"}}"##).unwrap();
        let of = |text: &str| equalities(text, &holder).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(of("#p=:a AND begins_with(sk,:b)"), [pair("pk", ":a")]);
        assert_eq!(of("(sk >= :b) and (pk = :a)"), [pair("pk", ":a")]);
        assert_eq!(of(":a = pk AND sk = :b"), [pair("pk", ":a"), pair("sk", ":b")]);
        assert!(of("pk <= :a").is_empty());
        assert!(of("pk <> :a").is_empty());
    }
}
