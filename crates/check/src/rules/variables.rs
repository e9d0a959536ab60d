//! Policy variables: where they stand and how they are written.

use irsa_policy::PolicyKind;
use irsa_policy::syntax::Predicate;

use super::actions::actions;
use super::conditions::conditions;
use super::resources::resources;
use crate::finding::FindingType;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Item;

const PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "MISSING_BRACE_IN_VARIABLE",
        "a policy variable without its end",
        Kinds::ALL,
        |subject, findings| {
            broken(subject, findings, Fault::Brace);
        },
    ),
    Rule::error(
        "MISSING_QUOTE_IN_VARIABLE",
        "a default value without quotes",
        Kinds::ALL,
        |subject, findings| {
            broken(subject, findings, Fault::Quote);
        },
    ),
    Rule::error(
        "UNSUPPORTED_SPACE_IN_VARIABLE",
        "white space in a variable's name",
        Kinds::ALL,
        |subject, findings| {
            broken(subject, findings, Fault::Space);
        },
    ),
    Rule::error(
        "EMPTY_VARIABLE",
        "a policy variable without a name",
        Kinds::ALL,
        |subject, findings| {
            broken(subject, findings, Fault::Empty);
        },
    ),
    Rule::error(
        "VARIABLE_UNSUPPORTED_IN_VERSION",
        "a policy variable in a version that has none",
        Kinds::ALL,
        unsupported_in_version,
    ),
    Rule::error(
        "VARIABLE_UNSUPPORTED_IN_ELEMENT",
        "a policy variable where none may stand",
        Kinds::ALL,
        unsupported_in_element,
    ),
    Rule::error(
        "INVALID_VARIABLE_FOR_OPERATOR",
        "a policy variable under an operator that has none",
        Kinds::ALL,
        unsupported_for_operator,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_UNKNOWN_VARIABLE",
        "a policy variable of no known condition key",
        PAGE,
        Kinds::ALL,
        unknown,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_MULTIVALUED_VARIABLE",
        "a policy variable of a key with several values",
        PAGE,
        Kinds::ALL,
        multivalued,
    ),
    Rule::own(
        FindingType::SecurityWarning,
        "IRSA_VARIABLE_IN_NOT_RESOURCE",
        "Allow for all resources but one that a variable names",
        PAGE,
        Kinds::GRANTING,
        in_not_resource,
    ),
];

/// What is wrong with the way a variable is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Brace,
    Quote,
    Space,
    Empty,
}

/// A piece of a text that may hold variables.
#[derive(Debug, Eq, PartialEq)]
enum Piece<'a> {
    Plain(&'a str),
    /// The variable's name and default, or what is wrong with it.
    Variable(Result<(&'a str, Option<&'a str>), Fault>),
}

/// Splits a text at its variables. A default may hold braces; whatever is behind a variable without end belongs to it.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, inside)) = rest.split_once("${") {
        pieces.push(Piece::Plain(plain));
        let quote = inside.find('\'');
        let brace = inside.find('}');
        let (content, after) = match (quote, brace) {
            (Some(quote), _) if brace.is_none_or(|brace| quote < brace) => {
                let body = inside.get(quote.saturating_add(1)..).unwrap_or_default();
                let end = body.find('\'');
                let Some(end) = end else {
                    // One quote alone: the variable ends at the brace.
                    match inside.split_once('}') {
                        Some((_, after)) => {
                            pieces.push(Piece::Variable(Err(Fault::Quote)));
                            rest = after;
                            continue;
                        }
                        None => {
                            pieces.push(Piece::Variable(Err(Fault::Brace)));
                            return pieces;
                        }
                    }
                };
                let tail = body.get(end.saturating_add(1)..).unwrap_or_default();
                let Some(close) = tail.find('}') else {
                    pieces.push(Piece::Variable(Err(Fault::Brace)));
                    return pieces;
                };
                let length = quote
                    .saturating_add(1)
                    .saturating_add(end)
                    .saturating_add(1)
                    .saturating_add(close);
                inside.split_at_checked(length).unwrap_or((inside, ""))
            }
            (_, Some(brace)) => inside.split_at_checked(brace).unwrap_or((inside, "")),
            (_, None) => {
                pieces.push(Piece::Variable(Err(Fault::Brace)));
                return pieces;
            }
        };
        pieces.push(Piece::Variable(variable(content)));
        rest = after.get(1..).unwrap_or_default();
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

/// Reads what stands between the braces.
fn variable(content: &str) -> Result<(&str, Option<&str>), Fault> {
    if matches!(content, "*" | "?" | "$") {
        return Ok((content, None));
    }
    let (name, default) = match content.split_once(',') {
        Some((name, default)) => (name, Some(default.trim())),
        None => (content, None),
    };
    if name.trim().is_empty() {
        return Err(Fault::Empty);
    }
    if name.contains("${") {
        return Err(Fault::Brace);
    }
    if name.contains([' ', '\t', '\n', '\r']) {
        return Err(Fault::Space);
    }
    let Some(default) = default else {
        return if name.contains('\'') {
            Err(Fault::Quote)
        } else {
            Ok((name, None))
        };
    };
    let inner = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match inner {
        Some(inner) => Ok((name, Some(inner))),
        None => Err(Fault::Quote),
    }
}

/// A text without its variables and escapes.
pub(super) fn outside(text: &str, variables: bool) -> String {
    if !variables || !text.contains("${") {
        return text.to_owned();
    }
    let plain = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Plain(text) => Some(text),
        Piece::Variable(_) => None,
    });
    plain.collect()
}

/// The texts in which variables are replaced.
fn texts<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Item<'t>> {
    let values = conditions(subject).filter(|condition| {
        condition
            .operator
            .is_none_or(|operator| takes_variables(operator.predicate))
    });
    resources(subject).chain(values.flat_map(|condition| &condition.values))
}

fn takes_variables(predicate: Predicate) -> bool {
    matches!(
        predicate,
        Predicate::StringEquals
            | Predicate::StringEqualsIgnoreCase
            | Predicate::StringLike
            | Predicate::Arn
            | Predicate::Bool
    )
}

fn broken(subject: &Subject<'_, '_>, findings: &mut Findings, fault: Fault) {
    if !subject.has_variables() {
        return;
    }
    for item in texts(subject) {
        if !item.text.contains("${") {
            continue;
        }
        let found = pieces(&item.text).contains(&Piece::Variable(Err(fault)));
        if !found {
            continue;
        }
        let (message, fix) = match fault {
            Fault::Brace => (
                "a policy variable here has no `}`",
                "write `${key}`, or `${$}{` for the characters",
            ),
            Fault::Quote => (
                "a default value here has no single quotes around it",
                "write `${key, 'default'}`",
            ),
            Fault::Space => (
                "the name of a policy variable here has white space in it",
                "write `${key}`",
            ),
            Fault::Empty => ("a policy variable here has no name", "write `${key}`, or remove it"),
        };
        findings
            .at(item, format!("{message}, so `{}` matches nothing", clip(&item.text)))
            .fix(fix);
    }
}

fn unsupported_in_version(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if subject.has_variables() {
        return;
    }
    for item in texts(subject) {
        let holds = pieces(&item.text)
            .iter()
            .any(|piece| matches!(piece, Piece::Variable(Ok(_))));
        if !holds {
            continue;
        }
        let finding = findings.at(
            item,
            "in this version of the language policy variables are plain text, so nothing is put in here",
        );
        finding.fix("set `Version` to `2012-10-17`");
        if let Some(version) = &subject.tree.version {
            finding.retext(&version.bytes, "2012-10-17");
        }
    }
}

fn unsupported_in_element(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let principals = subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals())
        .flat_map(|principal| principal.entries().map(|(_, item)| item));
    for item in actions(subject).chain(principals) {
        if item.text.contains("${") {
            findings
                .at(
                    item,
                    format!("a policy variable is plain text here: `{}`", clip(&item.text)),
                )
                .fix("policy variables stand in `Resource` and in condition values");
        }
    }
    for condition in conditions(subject) {
        if condition.key.text.contains("${") {
            findings
                .at_name(&condition.key, "a policy variable is plain text in a condition key")
                .fix("policy variables stand in `Resource` and in condition values");
        }
    }
}

fn unsupported_for_operator(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for condition in conditions(subject) {
        if condition
            .operator
            .is_none_or(|operator| takes_variables(operator.predicate))
        {
            continue;
        }
        for value in condition.values.iter().filter(|value| value.text.contains("${")) {
            findings
                .at(
                    value,
                    format!("`{}` takes no policy variables", condition.operator_name.text),
                )
                .fix("use a String or ARN operator, or write the value out");
        }
    }
}

/// The keys that a text's variables name.
fn keys(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Variable(Ok((key, _))) if !matches!(key, "*" | "?" | "$") => Some(key),
        _ => None,
    })
}

fn unknown(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if !subject.has_variables() {
        return;
    }
    let services = subject.options.services;
    for item in texts(subject).filter(|item| item.text.contains("${")) {
        for key in keys(&item.text) {
            let prefix = key.split(':').next().unwrap_or_default();
            let is_known_place = services.service(prefix).is_some() || prefix.eq_ignore_ascii_case("aws");
            if services.condition_key(key).is_some() || super::issuers::issuer_key(key).is_some() {
                continue;
            }
            if !is_known_place && key.contains(':') {
                continue;
            }
            let finding = findings.at(
                item,
                format!(
                    "there is no condition key `{}`, so `{}` matches nothing",
                    clip(key),
                    clip(&item.text)
                ),
            );
            match subject.near_key(key) {
                Some(near) => {
                    let whole = item.text.replace(&format!("${{{key}"), &format!("${{{near}"));
                    finding.fix(format!("write `${{{near}}}`")).retext(&item.bytes, &whole);
                }
                None => {
                    finding.fix("write the key of a value that requests have, such as `${aws:PrincipalTag/team}`");
                }
            }
        }
    }
}

fn multivalued(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if !subject.has_variables() {
        return;
    }
    for item in texts(subject).filter(|item| item.text.contains("${")) {
        for key in keys(&item.text) {
            let multivalued = subject
                .options
                .services
                .condition_key(key)
                .is_some_and(|key| key.key_type().is_multivalued);
            if multivalued {
                findings
                    .at(
                        item,
                        format!(
                            "`{}` can have several values, so it can stand for none of them",
                            clip(key)
                        ),
                    )
                    .fix("name a key with a single value");
            }
        }
    }
}

fn in_not_resource(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if !subject.has_variables() || subject.kind == PolicyKind::Trust {
        return;
    }
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        for item in statement.not_resource.iter().flat_map(|list| &list.items) {
            let without_default = pieces(&item.text)
                .iter()
                .any(|piece| matches!(piece, Piece::Variable(Ok((key, None))) if !matches!(*key, "*" | "?" | "$")));
            if without_default {
                findings
                    .at(
                        item,
                        "a caller without a value for the variable is allowed all resources, this one included",
                    )
                    .fix("name in `Resource` what is allowed, or give the variable a default");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        pieces(text).into_iter().find_map(|piece| match piece {
            Piece::Variable(Err(fault)) => Some(fault),
            _ => None,
        })
    }

    #[test]
    fn faults_of_variables() {
        for good in [
            "",
            "plain",
            "${aws:username}",
            "a/${aws:username}/b",
            "${aws:PrincipalTag/team, 'none}'}x",
            "${*}${?}${$}",
            "$notone",
            "{}",
            "${a,'b'}",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for (bad, expected) in [
            ("${aws:username", Fault::Brace),
            ("x${", Fault::Brace),
            ("${}", Fault::Empty),
            ("${ }", Fault::Empty),
            ("${, 'x'}", Fault::Empty),
            ("${aws:user name}", Fault::Space),
            ("${ aws:username}", Fault::Space),
            ("${a, b}", Fault::Quote),
            ("${a, 'b}", Fault::Quote),
            ("${a, b'}", Fault::Quote),
            ("${a, 'b'", Fault::Brace),
        ] {
            assert_eq!(fault(bad), Some(expected), "{bad}");
        }
    }

    #[test]
    fn what_the_engine_cannot_read_has_a_fault() {
        for text in [
            "${a",
            "${}",
            "${a b}",
            "${a, b}",
            "${a, 'b}",
            "${a}",
            "${a, 'b'}",
            "${*}",
            "$",
            "${a,'}'}",
        ] {
            let reads = irsa_policy::syntax::tokens(text, true, true).is_some();
            assert_eq!(fault(text).is_none(), reads, "{text}");
        }
    }

    #[test]
    fn text_outside_of_variables() {
        assert_eq!(outside("a${*}b*${k, '*'}", true), "ab*");
        assert_eq!(outside("${*}", false), "${*}");
    }
}
