//! Policies that take part in a simulation, and the places of their statements.

use std::cell::OnceCell;
use std::sync::Arc;

use irsa_policy::syntax::{Document, Locator};
use irsa_policy::{Policy, PolicyError, PolicyKind};

use crate::error::IamError;

/// A policy: its name in answers, its text, and its compiled form.
pub(super) struct Source<'s> {
    pub(super) id: String,
    text: &'s str,
    pub(super) policy: Arc<Policy>,
    places: OnceCell<Vec<Place>>,
}

/// Line and column, both from 1.
pub(super) type Position = (u32, u32);
/// The beginning and the end of a statement.
type Place = (Position, Position);

impl<'s> Source<'s> {
    /// A policy that the caller sent.
    pub(super) fn sent(id: String, kind: PolicyKind, text: &'s str) -> Result<Self, IamError> {
        let policy = Policy::parse(&id, kind, text).map_err(|error| malformed(&id, &error))?;
        Ok(Self::stored(id, text, Arc::new(policy)))
    }

    /// A policy of the state.
    pub(super) fn stored(id: String, text: &'s str, policy: Arc<Policy>) -> Self {
        Self {
            id,
            text,
            policy,
            places: OnceCell::new(),
        }
    }

    pub(super) fn text(&self) -> &'s str {
        self.text
    }

    /// Where a statement begins and ends, as AWS counts.
    pub(super) fn place(&self, index: usize) -> Option<Place> {
        self.places.get_or_init(|| places(self.text)).get(index).copied()
    }
}

/// AWS's parser notes where it stands when it turns to a statement. That is behind the bracket of the list or behind the statement before,
/// white space and comma not yet read; for a statement that is no list's, behind its own brace. The end is behind its last brace.
fn places(text: &str) -> Vec<Place> {
    let Ok(document) = Document::parse(text) else {
        return Vec::new();
    };
    let mut locator = Locator::new(text);
    let mut places: Vec<Place> = Vec::new();
    for statement in &document.statements {
        let start = match places.last() {
            Some((_, end)) => *end,
            None => {
                let head = text.get(..statement.start).unwrap_or_default();
                let head = head.trim_end_matches([' ', '\t', '\n', '\r']);
                locator.locate(if head.ends_with('[') {
                    head.len()
                } else {
                    statement.start.saturating_add(1)
                })
            }
        };
        places.push((start, locator.locate(statement.end)));
    }
    places
}

/// The refusal of a text that is no policy.
pub(super) fn malformed(name: &str, error: &PolicyError) -> IamError {
    IamError::InvalidInput(format!("Syntax errors in policy. {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places in answers that were recorded from AWS and published, among them those of the CLI's documentation.
    #[test]
    fn places_are_awss() {
        let one = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}"#;
        assert_eq!(places(one), [((1, 38), (1, 167))]);
        let list = r#"{"Version": "2012-10-17", "Statement": [{"Sid": "s3", "Effect": "Allow", "Action": ["s3:GetObject", "s3:DeleteObject"], "Resource": ["arn:aws:s3:::tims-fancy-bucket/only-here/*"]}]}"#;
        assert_eq!(places(list), [((1, 41), (1, 180))]);
        let administrator = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\",\n      \"Action\": \"*\",\n      \"Resource\": \"*\"\n    }\n  ]\n}";
        assert_eq!(places(administrator), [((3, 17), (8, 6))]);
        let sample = "{\n  \"Version\":\"2012-10-17\",\n  \"Statement\":{\n    \"Effect\":\"Allow\",\n    \"Action\":\"s3:PutObject\",\n    \"Resource\":\"arn:aws:s3:::my-test-bucket\"\n  }\n}";
        assert_eq!(places(sample), [((3, 16), (7, 4))]);
        let bucket = concat!(
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"DenyInsecureTransport","Effect":"Deny","Action":"*","Resource":"#,
            r#"["arn:aws:s3:::tims-fancy-bucket/*","arn:aws:s3:::tims-fancy-bucket"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#,
            r#","#,
            r#"{"Sid":"Second","Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}"#
        );
        let found = places(bucket);
        assert_eq!(found[0].0, (1, 38));
        // A later statement begins where the one before ends.
        assert_eq!(found[1].0, found[0].1);
    }

    #[test]
    fn lines_of_any_end_and_letters_of_two_bytes() {
        let text = " \r\n{\r\n \"Id\": \"caf\u{e9}\", \"Statement\": [ {\"Effect\": \"Allow\", \"Action\": \"a:b\", \"Resource\": \"*\"}]}";
        assert_eq!(places(text), [((3, 30), (3, 84))]);
    }

    #[test]
    fn no_statement_has_no_place() {
        let source = Source::sent(
            "x".to_owned(),
            PolicyKind::Identity,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        );
        assert_eq!(source.unwrap().place(1), None);
    }
}
