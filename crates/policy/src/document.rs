//! The grammar of a policy document: JSON to statements, nothing compiled yet.
//!
//! What every kind of policy shares stands here; which kind may hold which element is checked by the compiler and,
//! with IAM's own words, by the validator.

use std::borrow::Cow;

use crate::error::{Fault, PolicyProblem};
use crate::json::{self, Member, Node, Value};

/// The longest text that is read. IAM's API takes at most 131 072 characters, each at most two bytes long.
pub(crate) const MAX_LEN: usize = 262_144;

#[derive(Debug)]
pub(crate) struct Document<'t> {
    /// `None` if the document names no version, which means 2008-10-17.
    pub(crate) version: Option<Version>,
    pub(crate) has_id: bool,
    pub(crate) statements: Vec<StatementNode<'t>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    V2008,
    V2012,
}

#[derive(Debug, Default)]
pub(crate) struct StatementNode<'t> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) sid: Option<Cow<'t, str>>,
    pub(crate) effect: Option<Element<Cow<'t, str>>>,
    pub(crate) principal: Option<Element<PrincipalNode<'t>>>,
    pub(crate) not_principal: Option<Element<PrincipalNode<'t>>>,
    pub(crate) action: Option<Element<Vec<Cow<'t, str>>>>,
    pub(crate) not_action: Option<Element<Vec<Cow<'t, str>>>>,
    pub(crate) resource: Option<Element<Vec<Cow<'t, str>>>>,
    pub(crate) not_resource: Option<Element<Vec<Cow<'t, str>>>>,
    pub(crate) conditions: Option<Vec<ConditionNode<'t>>>,
}

/// An element's value and where its member begins.
#[derive(Debug)]
pub(crate) struct Element<V> {
    pub(crate) at: usize,
    pub(crate) value: V,
}

#[derive(Debug)]
pub(crate) enum PrincipalNode<'t> {
    /// A bare string; only `"*"` means something.
    Text(Cow<'t, str>),
    /// By type: `AWS`, `Service`, `Federated`, `CanonicalUser`, or a name that no policy may have.
    Typed(Vec<(Cow<'t, str>, Vec<Cow<'t, str>>)>),
}

/// One key under one operator.
#[derive(Debug)]
pub(crate) struct ConditionNode<'t> {
    pub(crate) at: usize,
    pub(crate) operator: Cow<'t, str>,
    pub(crate) key: Cow<'t, str>,
    pub(crate) values: Vec<Cow<'t, str>>,
}

impl<'t> Document<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, Fault> {
        if text.len() > MAX_LEN {
            return Err(Fault::new(0, PolicyProblem::TooLong(MAX_LEN)));
        }
        let node = json::parse(text)?;
        let at = node.start;
        let Value::Object(members) = node.value else {
            return Err(wrong_type(at, "the document", "an object"));
        };
        let mut document = Self {
            version: None,
            has_id: false,
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
                    string(&member)?;
                    document.has_id = true;
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

fn statement(node: Node<'_>) -> Result<StatementNode<'_>, Fault> {
    let mut statement = StatementNode {
        start: node.start,
        end: node.end,
        ..StatementNode::default()
    };
    let Value::Object(members) = node.value else {
        return Err(wrong_type(node.start, "Statement", "an object"));
    };
    for member in members {
        let at = member.start;
        match &*member.name {
            "Sid" => statement.sid = Some(owned_string(member)?),
            "Effect" => {
                statement.effect = Some(Element {
                    at,
                    value: owned_string(member)?,
                });
            }
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

fn principal(member: Member<'_>) -> Result<Element<PrincipalNode<'_>>, Fault> {
    let at = member.start;
    let value = match member.node.value {
        Value::Text(text) => PrincipalNode::Text(text),
        Value::Object(members) => {
            let mut typed = Vec::with_capacity(members.len());
            for member in members {
                let name = member.name.clone();
                typed.push((name, strings(member)?.value));
            }
            PrincipalNode::Typed(typed)
        }
        _ => return Err(wrong_type(member.node.start, &member.name, "`\"*\"` or an object")),
    };
    Ok(Element { at, value })
}

/// A string, or an array of strings.
fn strings(member: Member<'_>) -> Result<Element<Vec<Cow<'_, str>>>, Fault> {
    const EXPECTED: &str = "a string or an array of strings";
    let Member { start, name, node } = member;
    let value = match node.value {
        Value::Text(text) => vec![text],
        Value::Array(nodes) => {
            let mut texts = Vec::with_capacity(nodes.len());
            for node in nodes {
                match node.value {
                    Value::Text(text) => texts.push(text),
                    _ => return Err(wrong_type(node.start, &name, EXPECTED)),
                }
            }
            texts
        }
        _ => return Err(wrong_type(node.start, &name, EXPECTED)),
    };
    Ok(Element { at: start, value })
}

fn conditions(node: Node<'_>) -> Result<Vec<ConditionNode<'_>>, Fault> {
    let Value::Object(operators) = node.value else {
        return Err(wrong_type(node.start, "Condition", "an object"));
    };
    let mut conditions = Vec::new();
    for operator in operators {
        let Value::Object(keys) = operator.node.value else {
            return Err(wrong_type(
                operator.node.start,
                &operator.name,
                "an object of condition keys",
            ));
        };
        for key in keys {
            let at = key.node.start;
            let values = match key.node.value {
                Value::Array(nodes) => nodes.into_iter().map(scalar).collect::<Result<Vec<_>, _>>()?,
                _ => vec![scalar(key.node)?],
            };
            conditions.push(ConditionNode {
                at,
                operator: operator.name.clone(),
                key: key.name,
                values,
            });
        }
    }
    Ok(conditions)
}

/// A condition value: strings, numbers and booleans are all text in the end.
fn scalar(node: Node<'_>) -> Result<Cow<'_, str>, Fault> {
    match node.value {
        Value::Text(text) => Ok(text),
        Value::Number(text) => Ok(Cow::Borrowed(text)),
        Value::Bool(true) => Ok(Cow::Borrowed("true")),
        Value::Bool(false) => Ok(Cow::Borrowed("false")),
        _ => Err(wrong_type(
            node.start,
            "a condition value",
            "a string, a number or a boolean",
        )),
    }
}

fn string<'m>(member: &'m Member<'_>) -> Result<&'m str, Fault> {
    match &member.node.value {
        Value::Text(text) => Ok(text),
        _ => Err(wrong_type(member.node.start, &member.name, "a string")),
    }
}

fn owned_string(member: Member<'_>) -> Result<Cow<'_, str>, Fault> {
    match member.node.value {
        Value::Text(text) => Ok(text),
        _ => Err(wrong_type(member.node.start, &member.name, "a string")),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> PolicyProblem {
        Document::parse(text).unwrap_err().problem
    }

    #[test]
    fn scalars_become_text_and_numbers_keep_theirs() {
        let document = Document::parse(
            r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*",
                "Condition":{"NumericEquals":{"k":[1.50,"x",true]},"Bool":{"b":false}}}}"#,
        )
        .unwrap();
        let conditions = document.statements[0].conditions.as_ref().unwrap();
        assert_eq!(conditions[0].values, ["1.50", "x", "true"]);
        assert_eq!(conditions[1].values, ["false"]);
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
