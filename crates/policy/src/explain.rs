//! Why a request was decided as it was: every statement, and for each that did not match the first part that failed.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::context::Values;
use crate::evaluate::{Part, Tracer, evaluate};
use crate::policy::{Effect, Policy, Statement, StatementRef};
use crate::principal::Strength;
use crate::request::{Decision, Layer, Layers, Principal, Request, Verdict};

/// Decides a request like [`decide`](crate::decide()), by the same function, and writes down how.
#[must_use]
pub fn explain(layers: &Layers<'_>, request: &Request<'_>) -> Explanation {
    let mut recorder = Recorder {
        request,
        statements: Vec::new(),
    };
    let outcome = evaluate(layers, request, &mut recorder);
    let statements = recorder.statements;
    Explanation {
        verdict: outcome.into_verdict(layers),
        action: request.action.to_owned(),
        resource: request.resource.to_owned(),
        principal: describe(&request.principal),
        statements,
    }
}

/// A verdict with its evidence. `Display` gives lines for people, [`to_json`](Self::to_json) an object for programs.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The decision, and the layer and statement that made it.
    pub verdict: Verdict,
    /// The action of the request.
    pub action: String,
    /// The resource of the request.
    pub resource: String,
    /// The caller: its ARN, or in words what has none.
    pub principal: String,
    /// Every statement of every layer that was asked, in the order of evaluation.
    pub statements: Vec<StatementTrace>,
}

/// What one statement had to say.
#[derive(Clone, Debug)]
pub struct StatementTrace {
    /// The layer it belongs to.
    pub layer: Layer,
    /// For organization policies the level, from 0 for the root.
    pub level: usize,
    /// The statement.
    pub statement: StatementRef,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Whether it matched.
    pub outcome: StatementOutcome,
}

/// Whether a statement matched.
#[derive(Clone, Debug)]
pub enum StatementOutcome {
    /// Every part of it did.
    Matched {
        /// It names only the caller's account, which delegates and does not grant.
        delegates: bool,
    },
    /// This part did not.
    Missed(Miss),
}

/// The first part of a statement that did not match.
#[derive(Clone, Debug)]
pub struct Miss {
    /// Which part.
    pub element: Element,
    /// For a condition its operator as written.
    pub operator: Option<String>,
    /// For a condition its key as written.
    pub key: Option<String>,
    /// The policy's values, with the request's values in place of variables.
    pub expected: Vec<String>,
    /// The request's values; none if the key is absent.
    pub actual: Vec<String>,
    /// What is between them.
    pub reason: Reason,
}

/// A part of a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Element {
    /// `Action`.
    Action,
    /// `NotAction`.
    NotAction,
    /// `Resource`.
    Resource,
    /// `NotResource`.
    NotResource,
    /// `Principal`.
    Principal,
    /// `NotPrincipal`.
    NotPrincipal,
    /// One key under one operator of `Condition`.
    Condition,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Action => "Action",
            Self::NotAction => "NotAction",
            Self::Resource => "Resource",
            Self::NotResource => "NotResource",
            Self::Principal => "Principal",
            Self::NotPrincipal => "NotPrincipal",
            Self::Condition => "Condition",
        })
    }
}

/// Why a part did not match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The values differ from what is asked for.
    Differs,
    /// The values are among those that are excepted.
    Excepted,
    /// The request does not have the key.
    Absent,
    /// The key has several values, and the operator no `ForAllValues` or `ForAnyValue`.
    NeedsSetQualifier,
    /// A value on one side is none of the operator's type.
    Uncomparable,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Excepted => "excepted",
            Self::Absent => "absent",
            Self::NeedsSetQualifier => "needs set qualifier",
            Self::Uncomparable => "uncomparable",
        }
    }
}

impl Explanation {
    /// The statement that came closest to allowing what was implicitly denied: among the `Allow` statements of the layer
    /// that decided, the one whose failing part comes last.
    #[must_use]
    pub fn nearest_miss(&self) -> Option<(&StatementTrace, &Miss)> {
        if self.verdict.decision != Decision::ImplicitlyDenied {
            return None;
        }
        self.statements
            .iter()
            .filter(|trace| Some(trace.layer) == self.verdict.layer && trace.effect == Effect::Allow)
            .filter_map(|trace| match &trace.outcome {
                StatementOutcome::Missed(miss) => Some((trace, miss)),
                StatementOutcome::Matched { .. } => None,
            })
            // `max_by_key` keeps the last of equals; the first is what a reader meets first.
            .rev()
            .max_by_key(|(_, miss)| match miss.element {
                Element::Action | Element::NotAction => 0,
                Element::Resource | Element::NotResource => 1,
                Element::Principal | Element::NotPrincipal => 2,
                Element::Condition => 3,
            })
    }

    /// The explanation as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let statements: Vec<Json> = self.statements.iter().map(StatementTrace::to_json).collect();
        json!({
            "decision": self.verdict.decision.to_string(),
            "layer": self.verdict.layer.map(|layer| layer.to_string()),
            "reason": self.verdict.reason(&self.action),
            "statement": self.verdict.statement.as_ref().map(statement_json),
            "principal": self.principal,
            "action": self.action,
            "resource": self.resource,
            "nearestMiss": self.nearest_miss().map(|(trace, _)| trace.to_json()),
            "statements": statements,
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.verdict.decision, self.verdict.reason(&self.action))?;
        writeln!(f, "  caller:   {}", self.principal)?;
        writeln!(f, "  action:   {}", self.action)?;
        writeln!(f, "  resource: {}", self.resource)?;
        match (self.verdict.decision, &self.verdict.statement) {
            (Decision::Allowed, Some(statement)) => writeln!(f, "  allowed:  by {statement}")?,
            (_, Some(statement)) => writeln!(f, "  denied:   by {statement}")?,
            (_, None) => {}
        }
        if let Some((trace, miss)) = self.nearest_miss() {
            writeln!(f, "  nearest:  {}: {miss}", trace.statement)?;
        }
        let mut layer = None;
        for trace in &self.statements {
            if layer != Some(trace.layer) {
                writeln!(f, "  {}:", self.verdict.policy_words(Some(trace.layer)))?;
                layer = Some(trace.layer);
            }
            write!(f, "    {}: {} ", trace.statement, trace.effect)?;
            match &trace.outcome {
                StatementOutcome::Matched { delegates: false } => writeln!(f, "matches")?,
                StatementOutcome::Matched { delegates: true } => writeln!(f, "matches the caller's account")?,
                StatementOutcome::Missed(miss) => writeln!(f, "does not match\n      {miss}")?,
            }
        }
        Ok(())
    }
}

impl StatementTrace {
    fn to_json(&self) -> Json {
        let mut json = json!({
            "layer": self.layer.to_string(),
            "level": self.level,
            "effect": self.effect.to_string(),
            "statement": statement_json(&self.statement),
        });
        let (name, value) = match &self.outcome {
            StatementOutcome::Matched { delegates } => ("matched", json!({ "delegates": delegates })),
            StatementOutcome::Missed(miss) => (
                "missed",
                json!({
                    "element": miss.element.to_string(),
                    "operator": miss.operator,
                    "key": miss.key,
                    "expected": miss.expected,
                    "actual": miss.actual,
                    "why": miss.reason.name(),
                }),
            ),
        };
        if let Some(members) = json.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
        json
    }
}

fn statement_json(statement: &StatementRef) -> Json {
    json!({
        "policy": statement.label(),
        "index": statement.index(),
        "sid": statement.sid(),
        "line": statement.line(),
        "column": statement.column(),
    })
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.element)?;
        if let (Some(operator), Some(key)) = (&self.operator, &self.key) {
            write!(f, " {operator} `{key}`")?;
        }
        f.write_str(if self.reason == Reason::Excepted {
            ": expected none of "
        } else {
            ": expected "
        })?;
        list(f, &self.expected)?;
        match self.reason {
            Reason::Absent => f.write_str(", but the request does not have this key"),
            Reason::NeedsSetQualifier => {
                f.write_str(", found the list ")?;
                list(f, &self.actual)?;
                f.write_str(", which needs ForAllValues or ForAnyValue")
            }
            Reason::Uncomparable => {
                f.write_str(", found ")?;
                list(f, &self.actual)?;
                f.write_str(", which cannot be compared")
            }
            Reason::Differs | Reason::Excepted => {
                f.write_str(", found ")?;
                list(f, &self.actual)
            }
        }
    }
}

/// Values for people: quoted, and not more of them than a line holds.
fn list(f: &mut fmt::Formatter<'_>, values: &[String]) -> fmt::Result {
    const SHOWN: usize = 8;
    if values.is_empty() {
        return f.write_str("nothing");
    }
    for (index, value) in values.iter().take(SHOWN).enumerate() {
        if index > 0 {
            f.write_str(" or ")?;
        }
        write!(f, "`{value}`")?;
    }
    if values.len() > SHOWN {
        write!(f, " and {} more", values.len().saturating_sub(SHOWN))?;
    }
    Ok(())
}

/// Writes down every statement.
struct Recorder<'r> {
    request: &'r Request<'r>,
    statements: Vec<StatementTrace>,
}

impl<'a> Tracer<'a> for Recorder<'_> {
    const COMPLETE: bool = true;

    fn statement(
        &mut self,
        (layer, level): (Layer, usize),
        policy: &'a Policy,
        statement: &'a Statement,
        result: Result<Strength, Part>,
    ) {
        let outcome = match result {
            Ok(strength) => StatementOutcome::Matched {
                delegates: strength == Strength::Account,
            },
            Err(part) => StatementOutcome::Missed(miss(policy, statement, part, self.request)),
        };
        self.statements.push(StatementTrace {
            layer,
            level,
            statement: statement.to_ref(),
            effect: statement.effect,
            outcome,
        });
    }
}

fn miss(policy: &Policy, statement: &Statement, part: Part, request: &Request<'_>) -> Miss {
    let plain = |element, negated: bool, expected, actual| Miss {
        element,
        operator: None,
        key: None,
        expected,
        actual,
        reason: if negated { Reason::Excepted } else { Reason::Differs },
    };
    match part {
        Part::Action => {
            let actions = &statement.actions;
            plain(
                if actions.negated {
                    Element::NotAction
                } else {
                    Element::Action
                },
                actions.negated,
                actions
                    .patterns
                    .iter()
                    .map(|pattern| pattern.text.to_string())
                    .collect(),
                vec![request.action.to_owned()],
            )
        }
        Part::Resource => {
            let negated = statement.resources.as_ref().is_some_and(|resources| resources.negated);
            plain(
                if negated {
                    Element::NotResource
                } else {
                    Element::Resource
                },
                negated,
                statement
                    .resources
                    .iter()
                    .flat_map(|resources| &resources.patterns)
                    .map(|pattern| {
                        pattern
                            .resolved(request.context)
                            .unwrap_or_else(|| pattern.text.to_string())
                    })
                    .collect(),
                vec![request.resource.to_owned()],
            )
        }
        Part::Principal => {
            let negated = statement
                .principals
                .as_ref()
                .is_some_and(|principals| principals.negated);
            plain(
                if negated {
                    Element::NotPrincipal
                } else {
                    Element::Principal
                },
                negated,
                statement
                    .principals
                    .iter()
                    .flat_map(|principals| &principals.texts)
                    .map(|text| text.to_string())
                    .collect(),
                vec![describe(&request.principal)],
            )
        }
        Part::Condition(number) => match policy.conditions.get(number as usize) {
            Some(condition) => {
                let values = request.context.find(&condition.key);
                let (actual, reason) = match values {
                    Values::Absent => (Vec::new(), Reason::Absent),
                    Values::Single(value) => (vec![value.to_owned()], Reason::Differs),
                    Values::List(values) => (
                        values.iter().map(str::to_owned).collect(),
                        if condition.refuses_lists() {
                            Reason::NeedsSetQualifier
                        } else {
                            Reason::Differs
                        },
                    ),
                };
                let reason = match reason {
                    Reason::Differs if condition.is_uncomparable(request.context) => Reason::Uncomparable,
                    Reason::Differs if condition.operator.negated => Reason::Excepted,
                    reason => reason,
                };
                Miss {
                    element: Element::Condition,
                    operator: Some(condition.source.operator.to_string()),
                    key: Some(condition.key.text.to_string()),
                    expected: condition.resolved_values(request.context),
                    actual,
                    reason,
                }
            }
            None => plain(Element::Condition, false, Vec::new(), Vec::new()),
        },
    }
}

/// A caller for people.
fn describe(principal: &Principal<'_>) -> String {
    match principal {
        Principal::Anonymous => "anonymous".to_owned(),
        Principal::Root { account } => format!("arn:aws:iam::{account}:root"),
        Principal::User { arn, .. } | Principal::FederatedUser { arn, .. } => (*arn).to_owned(),
        Principal::RoleSession { session_arn, .. } => (*session_arn).to_owned(),
        Principal::WebIdentity { provider } => format!("web identity of {provider}"),
        Principal::Saml { provider } => format!("SAML assertion of {provider}"),
        Principal::Service { names } => format!("service {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
