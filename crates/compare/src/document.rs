//! A policy as the comparison needs it: compiled for the engine, and its statements as lists of texts.

use std::sync::Arc;

use irsa_policy::syntax::{self, Operator, Version};
use irsa_policy::{Effect, Policy, PolicyError, PolicyKind};

/// A policy document, read once and compared as often as one likes.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) policy: Arc<Policy>,
    pub(crate) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    /// Its own policy, to ask the engine whom it names: the same principals, every action, every resource.
    pub(crate) probe: Option<Arc<Policy>>,
    /// The texts of its principals, by type.
    pub(crate) principals: Vec<(String, String)>,
    pub(crate) not_principal: bool,
    pub(crate) actions: List,
    /// `None` in trust policies.
    pub(crate) resources: Option<List>,
    pub(crate) conditions: Vec<Condition>,
    /// Variables mean something.
    pub(crate) variables: bool,
}

/// An element and whether it is its `Not` form.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) texts: Vec<String>,
    pub(crate) negated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) operator: Operator,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

impl Document {
    /// Reads a policy. `label` names it in what the engine says about its statements.
    ///
    /// # Errors
    /// The text is no policy of this kind.
    pub fn parse(label: &str, kind: PolicyKind, text: &str) -> Result<Self, PolicyError> {
        let policy = Arc::new(Policy::parse(label, kind, text)?);
        let tree = syntax::Document::parse(text)?;
        let variables = tree.version == Some(Version::V2012);
        let statements = tree
            .statements
            .iter()
            .map(|node| Statement::new(node, kind, variables))
            .collect();
        Ok(Self { policy, statements })
    }

    /// What kind of policy it is.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        self.policy.kind()
    }
}

/// The kind of policy that a text most looks like: one with principals and resources is a resource's, one with
/// principals alone a trust policy, and any other an identity-based one. `None` if it is no policy at all.
///
/// Boundaries, session policies and service control policies look like identity-based ones; they differ only in how
/// they read short ARNs.
#[must_use]
pub fn kind_of(text: &str) -> Option<PolicyKind> {
    let tree = syntax::Document::parse(text).ok()?;
    let statements = &tree.statements;
    Some(
        if !statements
            .iter()
            .any(|node| node.principal.is_some() || node.not_principal.is_some())
        {
            PolicyKind::Identity
        } else if statements
            .iter()
            .any(|node| node.resource.is_some() || node.not_resource.is_some())
        {
            PolicyKind::Resource
        } else {
            PolicyKind::Trust
        },
    )
}

impl Statement {
    fn new(node: &syntax::Statement<'_>, kind: PolicyKind, variables: bool) -> Self {
        let list = |plain: &Option<syntax::Element<Vec<syntax::Text<'_>>>>,
                    not: &Option<syntax::Element<Vec<syntax::Text<'_>>>>| {
            plain.as_ref().or(not.as_ref()).map(|element| List {
                texts: element.value.iter().map(|text| text.value.to_string()).collect(),
                negated: plain.is_none(),
            })
        };
        let effect = match node.effect.as_deref() {
            Some("Deny") => Effect::Deny,
            _ => Effect::Allow,
        };
        let not_principal = node.not_principal.is_some();
        let principal = node.principal.as_ref().or(node.not_principal.as_ref());
        let mut principals = Vec::new();
        match principal.map(|element| &element.value) {
            Some(syntax::Principal::Text(text)) => principals.push(("AWS".to_owned(), text.to_string())),
            Some(syntax::Principal::Typed(types)) => {
                for (name, values) in types {
                    principals.extend(values.iter().map(|value| (name.to_string(), value.to_string())));
                }
            }
            None => {}
        }
        principals.sort_unstable();
        principals.dedup();
        let probe = principal.and_then(|_| {
            let text = probe(&principals, not_principal, effect, kind);
            Policy::parse("probe", kind, &text).ok().map(Arc::new)
        });
        Self {
            effect,
            probe,
            principals,
            not_principal,
            actions: list(&node.action, &node.not_action).unwrap_or(List {
                texts: Vec::new(),
                negated: false,
            }),
            resources: list(&node.resource, &node.not_resource),
            conditions: node
                .conditions
                .iter()
                .flatten()
                .filter_map(|condition| {
                    Some(Condition {
                        operator: Operator::parse(&condition.operator)?,
                        key: condition.key.to_string(),
                        values: condition.values.iter().map(|value| value.value.to_string()).collect(),
                    })
                })
                .collect(),
            variables,
        }
    }
}

fn probe(principals: &[(String, String)], negated: bool, effect: Effect, kind: PolicyKind) -> String {
    let mut types: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, value) in principals {
        let value = quote(value);
        match types.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => types.push((name, vec![value])),
        }
    }
    let members: Vec<String> = types
        .iter()
        .map(|(name, values)| format!("{}:[{}]", quote(name), values.join(",")))
        .collect();
    let element = if negated { "NotPrincipal" } else { "Principal" };
    let resource = if kind == PolicyKind::Trust {
        ""
    } else {
        r#","Resource":"*""#
    };
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","{element}":{{{}}},"Action":"*"{resource}}}}}"#,
        members.join(",")
    )
}

/// A JSON string (RFC 8259, section 7).
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\u{0}'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_their_looks() {
        for (text, kind) in [
            (
                r#"{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}"#,
                Some(PolicyKind::Identity),
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":"*"}}"#,
                Some(PolicyKind::Resource),
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#,
                Some(PolicyKind::Trust),
            ),
            ("x", None),
        ] {
            assert_eq!(kind_of(text), kind, "{text}");
        }
    }

    #[test]
    fn probes_survive_hostile_principals() {
        let text = r#"{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["a\"\\\n\u0001","111122223333"],"Service":"s"},"Action":"a:b","Resource":"*"}}"#;
        let document = Document::parse("d", PolicyKind::Resource, text).unwrap();
        let statement = &document.statements[0];
        assert!(statement.probe.is_some());
        assert_eq!(statement.principals[1].1, "a\"\\\n\u{1}");
    }
}
