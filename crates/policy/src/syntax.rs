//! A policy document as it is written: every element with its place, nothing compiled yet.
//!
//! For tools that reason about policies rather than evaluate them: linters, comparers, editors. What every kind of
//! policy shares stands here; which kind may hold which element is checked by the compiler
//! ([`Policy::parse`](crate::Policy::parse)) and, with IAM's own words, by [`validate`](crate::validate). A tool that
//! wants to find more than the first fault of a text that is no policy walks the [`Node`]s of [`Node::parse`].
//!
//! Places are byte offsets into the text; [`Locator`] turns them into lines and columns.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>.

mod json;
mod operator;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

pub use self::json::{JsonError, JsonFault, Locator, Member, Node, Value};
pub use self::operator::{Comparison, Operator, Predicate, Quantifier};
use crate::error::{Fault, PolicyError, PolicyProblem};
use crate::pattern::{Syntax, tokenize};
pub use crate::pattern::{Token, Variable};
use crate::policy::{Dialect, PolicyKind};
use crate::profile::Profile;
use crate::resource::readings;
pub use crate::value::{AddressBlock, Decimal, Instant};

/// The longest text that is read. IAM's API takes at most 131 072 characters, each at most two bytes long.
pub(crate) const MAX_LEN: usize = 262_144;

/// A text and where it stands, quotes included.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text<'t> {
    /// The text, its escapes resolved. A number or a boolean is its source text.
    pub value: Cow<'t, str>,
    /// The byte where it begins.
    pub start: usize,
    /// The byte after its end.
    pub end: usize,
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.value
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.value == *other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// A policy document.
#[derive(Clone, Debug)]
pub struct Document<'t> {
    /// `None` if the document names no version, which means 2008-10-17.
    pub version: Option<Version>,
    /// `Id`.
    pub id: Option<Text<'t>>,
    /// `Statement`: at least one.
    pub statements: Vec<Statement<'t>>,
}

/// A version of the language.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// `2008-10-17`, without policy variables.
    V2008,
    /// `2012-10-17`.
    V2012,
}

/// One statement. An element that the text does not have is `None`.
#[derive(Clone, Debug, Default)]
pub struct Statement<'t> {
    /// The byte where its object begins.
    pub start: usize,
    /// The byte after its object's end.
    pub end: usize,
    /// `Sid`.
    pub sid: Option<Text<'t>>,
    /// `Effect`, whatever it says.
    pub effect: Option<Text<'t>>,
    /// `Principal`.
    pub principal: Option<Element<Principal<'t>>>,
    /// `NotPrincipal`.
    pub not_principal: Option<Element<Principal<'t>>>,
    /// `Action`.
    pub action: Option<Element<Vec<Text<'t>>>>,
    /// `NotAction`.
    pub not_action: Option<Element<Vec<Text<'t>>>>,
    /// `Resource`.
    pub resource: Option<Element<Vec<Text<'t>>>>,
    /// `NotResource`.
    pub not_resource: Option<Element<Vec<Text<'t>>>>,
    /// `Condition`, one entry for a key under an operator.
    pub conditions: Option<Vec<Condition<'t>>>,
}

/// An element's value and where its member begins.
#[derive(Clone, Debug)]
pub struct Element<V> {
    /// The byte where the member's name begins.
    pub at: usize,
    /// The value.
    pub value: V,
}

/// The value of `Principal` or `NotPrincipal`.
#[derive(Clone, Debug)]
pub enum Principal<'t> {
    /// A bare string; only `"*"` means something.
    Text(Text<'t>),
    /// By type: `AWS`, `Service`, `Federated`, `CanonicalUser`, or a name that no policy may have.
    Typed(Vec<(Text<'t>, Vec<Text<'t>>)>),
}

/// One key under one operator.
#[derive(Clone, Debug)]
pub struct Condition<'t> {
    /// The operator as it is written; [`Operator::parse`] reads it.
    pub operator: Text<'t>,
    /// The condition key.
    pub key: Text<'t>,
    /// The values: strings, and numbers and booleans as text.
    pub values: Vec<Text<'t>>,
}

impl<'t> Document<'t> {
    /// Reads the grammar that all kinds of policy share. Effects, operators, patterns and keys are taken as they stand.
    ///
    /// # Errors
    /// The text is no policy document.
    pub fn parse(text: &'t str) -> Result<Self, PolicyError> {
        Self::read(text).map_err(|fault| PolicyError::new(text, fault))
    }

    pub(crate) fn read(text: &'t str) -> Result<Self, Fault> {
        if text.len() > MAX_LEN {
            return Err(Fault::new(0, PolicyProblem::TooLong(MAX_LEN)));
        }
        let node = Node::parse(text)?;
        let at = node.start;
        let Value::Object(members) = node.value else {
            return Err(wrong_type(at, "the document", "an object"));
        };
        let mut document = Self {
            version: None,
            id: None,
            statements: Vec::new(),
        };
        let mut found = false;
        for member in members {
            match &*member.name {
                "Version" => {
                    document.version = Some(match string(&member)? {
                        "2012-10-17" => Version::V2012,
                        "2008-10-17" => Version::V2008,
                        other => return Err(Fault::new(member.node.start, PolicyProblem::BadVersion(clip(other)))),
                    });
                }
                "Id" => {
                    document.id = Some(owned_string(member)?);
                }
                "Statement" => {
                    found = true;
                    let at = member.node.start;
                    match member.node.value {
                        Value::Object(_) => document.statements.push(statement(member.node)?),
                        Value::Array(nodes) if !nodes.is_empty() => {
                            for node in nodes {
                                document.statements.push(statement(node)?);
                            }
                        }
                        Value::Array(_) => return Err(Fault::new(at, PolicyProblem::Missing("Statement"))),
                        _ => return Err(wrong_type(at, "Statement", "an object or an array of at least one")),
                    }
                }
                other => return Err(Fault::new(member.start, PolicyProblem::UnknownElement(clip(other)))),
            }
        }
        if !found {
            return Err(Fault::new(at, PolicyProblem::Missing("Statement")));
        }
        Ok(document)
    }
}

fn statement(node: Node<'_>) -> Result<Statement<'_>, Fault> {
    let mut statement = Statement {
        start: node.start,
        end: node.end,
        ..Statement::default()
    };
    let Value::Object(members) = node.value else {
        return Err(wrong_type(node.start, "Statement", "an object"));
    };
    for member in members {
        let at = member.start;
        match &*member.name {
            "Sid" => statement.sid = Some(owned_string(member)?),
            "Effect" => statement.effect = Some(owned_string(member)?),
            "Principal" => statement.principal = Some(principal(member)?),
            "NotPrincipal" => statement.not_principal = Some(principal(member)?),
            "Action" => statement.action = Some(strings(member)?),
            "NotAction" => statement.not_action = Some(strings(member)?),
            "Resource" => statement.resource = Some(strings(member)?),
            "NotResource" => statement.not_resource = Some(strings(member)?),
            "Condition" => statement.conditions = Some(conditions(member.node)?),
            other => return Err(Fault::new(at, PolicyProblem::UnknownElement(clip(other)))),
        }
    }
    let both = |at, one, other| Err(Fault::new(at, PolicyProblem::Both(one, other)));
    if let (Some(_), Some(second)) = (&statement.principal, &statement.not_principal) {
        return both(second.at, "Principal", "NotPrincipal");
    }
    if let (Some(_), Some(second)) = (&statement.action, &statement.not_action) {
        return both(second.at, "Action", "NotAction");
    }
    if let (Some(_), Some(second)) = (&statement.resource, &statement.not_resource) {
        return both(second.at, "Resource", "NotResource");
    }
    Ok(statement)
}

fn principal(member: Member<'_>) -> Result<Element<Principal<'_>>, Fault> {
    let at = member.start;
    let Node { start, end, value } = member.node;
    let value = match value {
        Value::Text(value) => Principal::Text(Text { value, start, end }),
        Value::Object(members) => {
            let mut typed = Vec::with_capacity(members.len());
            for member in members {
                typed.push((name(&member), strings(member)?.value));
            }
            Principal::Typed(typed)
        }
        _ => return Err(wrong_type(start, &member.name, "`\"*\"` or an object")),
    };
    Ok(Element { at, value })
}

/// A string, or an array of strings.
fn strings<'t>(member: Member<'t>) -> Result<Element<Vec<Text<'t>>>, Fault> {
    const EXPECTED: &str = "a string or an array of strings";
    let Member {
        start: at, name, node, ..
    } = member;
    let text = |node: Node<'t>| match node.value {
        Value::Text(value) => Ok(Text {
            value,
            start: node.start,
            end: node.end,
        }),
        _ => Err(wrong_type(node.start, &name, EXPECTED)),
    };
    let value = match node.value {
        Value::Array(nodes) => nodes.into_iter().map(text).collect::<Result<_, _>>()?,
        _ => vec![text(node)?],
    };
    Ok(Element { at, value })
}

fn conditions(node: Node<'_>) -> Result<Vec<Condition<'_>>, Fault> {
    let Value::Object(operators) = node.value else {
        return Err(wrong_type(node.start, "Condition", "an object"));
    };
    let mut conditions = Vec::new();
    for operator in operators {
        let operator_name = name(&operator);
        let Value::Object(keys) = operator.node.value else {
            return Err(wrong_type(
                operator.node.start,
                &operator.name,
                "an object of condition keys",
            ));
        };
        for member in keys {
            let key = name(&member);
            let values = match member.node.value {
                Value::Array(nodes) => nodes.into_iter().map(scalar).collect::<Result<Vec<_>, _>>()?,
                _ => vec![scalar(member.node)?],
            };
            conditions.push(Condition {
                operator: operator_name.clone(),
                key,
                values,
            });
        }
    }
    Ok(conditions)
}

/// A condition value: strings, numbers and booleans are all text in the end.
fn scalar(node: Node<'_>) -> Result<Text<'_>, Fault> {
    let Node { start, end, value } = node;
    let value = match value {
        Value::Text(text) => text,
        Value::Number(text) => Cow::Borrowed(text),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        _ => {
            return Err(wrong_type(
                start,
                "a condition value",
                "a string, a number or a boolean",
            ));
        }
    };
    Ok(Text { value, start, end })
}

fn name<'t>(member: &Member<'t>) -> Text<'t> {
    Text {
        value: member.name.clone(),
        start: member.start,
        end: member.name_end,
    }
}

fn string<'m>(member: &'m Member<'_>) -> Result<&'m str, Fault> {
    match &member.node.value {
        Value::Text(text) => Ok(text),
        _ => Err(wrong_type(member.node.start, &member.name, "a string")),
    }
}

fn owned_string(member: Member<'_>) -> Result<Text<'_>, Fault> {
    let Node { start, end, value } = member.node;
    match value {
        Value::Text(value) => Ok(Text { value, start, end }),
        _ => Err(wrong_type(start, &member.name, "a string")),
    }
}

fn wrong_type(at: usize, element: &str, expected: &'static str) -> Fault {
    Fault::new(
        at,
        PolicyProblem::WrongType {
            element: clip(element),
            expected,
        },
    )
}

/// Foreign text in a message, cut to what a person reads.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

/// The tokens of an action, a principal or a condition value; `None` if a variable in it is broken, in which case it
/// matches nothing. Variables mean something in version 2012-10-17 only, and not in actions.
#[must_use]
pub fn tokens(text: &str, wildcards: bool, variables: bool) -> Option<Vec<Token>> {
    tokenize(text, Syntax::new(wildcards, variables, &Profile::AWS))
}

/// The tokens of a resource pattern in each of its readings: one, or two for a short ARN that this kind of policy also
/// reads padded with `*` fields. `None` if a variable in it is broken or misplaced: it matches nothing.
///
/// The resource `*` of an action without resource types matches the pattern `*` alone, whatever the tokens say.
#[must_use]
pub fn resource_tokens(text: &str, kind: PolicyKind, variables: bool) -> Option<Vec<Vec<Token>>> {
    let dialect = Dialect {
        kind,
        variables,
        profile: Profile::AWS,
    };
    let (first, padded) = readings(text, &dialect)?;
    Some(std::iter::once(first).chain(padded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> PolicyProblem {
        Document::read(text).unwrap_err().problem
    }

    #[test]
    fn scalars_become_text_and_numbers_keep_theirs() {
        let document = Document::parse(
            r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*",
                "Condition":{"NumericEquals":{"k":[1.50,"x",true]},"Bool":{"b":false}}}}"#,
        )
        .unwrap();
        let conditions = document.statements[0].conditions.as_ref().unwrap();
        let values = |index: usize| conditions[index].values.iter().map(|text| &**text).collect::<Vec<_>>();
        assert_eq!(values(0), ["1.50", "x", "true"]);
        assert_eq!(values(1), ["false"]);
        assert_eq!(document.version, None);
    }

    #[test]
    fn unknown_and_misspelt_elements() {
        assert_eq!(
            problem(r#"{"Statement":[{"Effect":"Allow","NotAcion":"*"}]}"#),
            PolicyProblem::UnknownElement("NotAcion".into())
        );
        assert_eq!(
            problem(r#"{"version":"2012-10-17","Statement":[]}"#),
            PolicyProblem::UnknownElement("version".into())
        );
    }

    #[test]
    fn shapes_that_are_refused() {
        for bad in [
            "[]",
            "{}",
            r#"{"Statement":[]}"#,
            r#"{"Statement":"x"}"#,
            r#"{"Statement":[[]]}"#,
            r#"{"Version":2012,"Statement":{}}"#,
            r#"{"Version":"2012-10-18","Statement":{}}"#,
            r#"{"Statement":{"Sid":1}}"#,
            r#"{"Statement":{"Action":{}}}"#,
            r#"{"Statement":{"Action":[1]}}"#,
            r#"{"Statement":{"Action":"a","NotAction":"b"}}"#,
            r#"{"Statement":{"Resource":"a","NotResource":"b"}}"#,
            r#"{"Statement":{"Principal":"*","NotPrincipal":"*"}}"#,
            r#"{"Statement":{"Principal":["*"]}}"#,
            r#"{"Statement":{"Condition":[]}}"#,
            r#"{"Statement":{"Condition":{"Bool":"x"}}}"#,
            r#"{"Statement":{"Condition":{"Bool":{"k":null}}}}"#,
            r#"{"Statement":{"Condition":{"Bool":{"k":[[]]}}}}"#,
        ] {
            assert!(Document::parse(bad).is_err(), "{bad}");
        }
    }
}
