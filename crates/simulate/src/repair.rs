//! Documents that IAM would not take in their place, although what they mean is plain.

use std::ops::Range;

use irsa_policy::PolicyKind;
use irsa_policy::syntax::{Member, Node, Value};

/// Changes a document that is no policy of its kind to what its author must have meant: the kind to read it as, and the
/// changed text, in which everything else stands in the line where it stood. `None` if there is nothing to change.
///
/// * In a policy attached to an identity or an account, a statement that allows is about those that it names, and one that
///   denies about everyone: what IAM refuses shall not allow more than it says.
/// * In a trust policy, `Resource` is compared with the role.
/// * In a VPC endpoint policy or a resource control policy, a statement without principals is about everyone; in another
///   resource policy it is about nobody.
/// * `"Principal": "arn:…"` is the principal of type `AWS`.
/// * A control policy with an empty list of statements matches nothing.
pub(crate) fn repaired(kind: PolicyKind, text: &str) -> Option<(PolicyKind, String)> {
    let document = Node::parse(text).ok()?;
    let Value::Object(members) = &document.value else {
        return None;
    };
    let list = &members.iter().find(|member| member.name == "Statement")?.node;
    let statements = match &list.value {
        Value::Array(statements) => statements.as_slice(),
        Value::Object(_) => std::slice::from_ref(list),
        _ => return None,
    };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let control = matches!(kind, PolicyKind::ServiceControl | PolicyKind::ResourceControl);
    if statements.is_empty() && control {
        let principal = if kind == PolicyKind::ResourceControl {
            r#","Principal":"*""#
        } else {
            ""
        };
        let nothing = format!(r#"[{{"Effect":"Deny","Action":[],"Resource":[]{principal}}}]"#);
        edits.push((list.start..list.end, nothing));
    }
    let has_resource = |members: &[Member<'_>]| {
        members
            .iter()
            .any(|member| matches!(&*member.name, "Resource" | "NotResource"))
    };
    let names_resources = kind == PolicyKind::Trust && statements.iter().filter_map(members_of).any(has_resource);
    let holder = matches!(
        kind,
        PolicyKind::Identity | PolicyKind::Boundary | PolicyKind::Session | PolicyKind::ServiceControl
    );
    let names_principals = holder
        && statements
            .iter()
            .filter_map(members_of)
            .any(|members| principal_of(members).is_some());
    if holder && !names_principals && edits.is_empty() {
        return None;
    }
    for statement in statements {
        let members = members_of(statement)?;
        let principal = principal_of(members);
        let inside = statement.start.saturating_add(1);
        let mut insert = |member: &str| edits.push((inside..inside, format!("{member},")));
        if names_resources && !has_resource(members) {
            insert(r#""Resource":"*""#);
        }
        match principal {
            Some(principal) if holder && denies(members) => {
                edits.push((principal.start..principal.node.end, r#""Principal":"*""#.to_owned()));
            }
            None if holder => insert(r#""Principal":"*""#),
            None if matches!(kind, PolicyKind::VpcEndpoint | PolicyKind::ResourceControl) => {
                insert(r#""Principal":"*""#);
            }
            // No canonical user calls here.
            None => insert(r#""Principal":{"CanonicalUser":"-"}"#),
            Some(Member { node, .. }) => {
                if matches!(&node.value, Value::Text(text) if text != "*") {
                    let source = text.get(node.start..node.end)?;
                    edits.push((node.start..node.end, format!("{{\"AWS\":{source}}}")));
                }
            }
        }
    }
    if edits.is_empty() && !names_resources && !names_principals {
        return None;
    }
    let kind = if names_resources || names_principals {
        PolicyKind::Resource
    } else {
        kind
    };
    let mut changed = text.to_owned();
    edits.sort_by_key(|(range, _)| range.start);
    for (range, instead) in edits.into_iter().rev() {
        let end = changed.get(range.end..)?.to_owned();
        changed.truncate(range.start);
        changed.push_str(&instead);
        changed.push_str(&end);
    }
    Some((kind, changed))
}

fn members_of<'n, 't>(statement: &'n Node<'t>) -> Option<&'n [Member<'t>]> {
    match &statement.value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

fn principal_of<'n, 't>(members: &'n [Member<'t>]) -> Option<&'n Member<'t>> {
    members
        .iter()
        .find(|member| matches!(&*member.name, "Principal" | "NotPrincipal"))
}

fn denies(members: &[Member<'_>]) -> bool {
    members
        .iter()
        .any(|member| member.name == "Effect" && matches!(&member.node.value, Value::Text(text) if text == "Deny"))
}

#[cfg(test)]
mod tests {
    use irsa_policy::Policy;

    use super::*;

    #[track_caller]
    fn is(kind: PolicyKind, text: &str, expected: &str) {
        assert!(Policy::parse("p", kind, text).is_err(), "{text}");
        let (kind, changed) = repaired(kind, text).unwrap();
        assert_eq!(changed, expected);
        Policy::parse("p", kind, &changed).unwrap();
    }

    #[test]
    fn what_is_meant() {
        is(
            PolicyKind::Identity,
            r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]}"#,
        );
        is(
            PolicyKind::Session,
            r#"{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":"x"},{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
            r#"{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"},{"Principal":"*","Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        );
        is(
            PolicyKind::Trust,
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"},{"Resource":"*","Effect":"Deny","Principal":"*","Action":"sts:TagSession"}]}"#,
        );
        is(
            PolicyKind::VpcEndpoint,
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
            r#"{"Statement":[{"Principal":"*","Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        );
        is(
            PolicyKind::Resource,
            r#"{"Statement":[{"Effect":"Allow","Principal":"arn:aws:iam::111122223333:root","Action":"*","Resource":"*"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"*","Resource":"*"}]}"#,
        );
        is(
            PolicyKind::Resource,
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
            r#"{"Statement":[{"Principal":{"CanonicalUser":"-"},"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        );
        is(
            PolicyKind::ServiceControl,
            r#"{"Statement":[]}"#,
            r#"{"Statement":[{"Effect":"Deny","Action":[],"Resource":[]}]}"#,
        );
    }

    #[test]
    fn what_stays_wrong() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"Statement":[]}"#,
            r#"{"Statement":[1]}"#,
            r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#,
        ] {
            assert!(repaired(PolicyKind::Identity, text).is_none(), "{text}");
        }
        let (kind, changed) = repaired(PolicyKind::Resource, r#"{"Statement":{}}"#).unwrap();
        assert!(Policy::parse("p", kind, &changed).is_err());
    }
}
