//! `EvaluationResult`: one a action, with one `ResourceSpecificResult` a resource.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html>.

use std::collections::HashSet;

use irsa_metadata::Metadata;
use irsa_policy::Decision;

use super::result::{Matched, ResourceResult, Simulation, strictest};
use crate::operation::render::Members;

/// The answer for one action.
pub(super) fn action(simulation: &Simulation<'_>, action: &str) -> Members {
    let results: Vec<(&str, ResourceResult)> = simulation
        .resources
        .iter()
        .map(|resource| (resource.as_str(), simulation.decide(action, resource)))
        .collect();
    let whole = Whole::of(&results);
    let mut answer = Members::new()
        .text("EvalActionName", action)
        .text("EvalResourceName", resource_name(simulation, action))
        .text("EvalDecision", word(whole.decision))
        .list("MatchedStatements", statements(simulation, &whole.matched))
        .texts("MissingContextValues", simulation.missing.iter().cloned());
    if let Some(allowed) = whole.within_organization {
        let detail = Members::new().boolean("AllowedByOrganizations", allowed);
        answer = answer.members("OrganizationsDecisionDetail", detail);
    }
    answer = with_boundary(answer, whole.within_boundary);
    if simulation.is_explicit {
        // An empty element says that the request stays within its account.
        answer = answer.words("EvalDecisionDetails", words(&whole.details)).list(
            "ResourceSpecificResults",
            results
                .iter()
                .map(|(resource, result)| specific(simulation, resource, result)),
        );
    }
    answer
}

fn specific(simulation: &Simulation<'_>, resource: &str, result: &ResourceResult) -> Members {
    let mut answer = Members::new()
        .text("EvalResourceName", resource)
        .text("EvalResourceDecision", word(result.decision))
        .list("MatchedStatements", statements(simulation, &result.matched))
        .texts("MissingContextValues", simulation.missing.iter().cloned());
    if !result.details.is_empty() {
        answer = answer.words("EvalDecisionDetails", words(&result.details));
    }
    with_boundary(answer, result.within_boundary)
}

fn with_boundary(answer: Members, within: Option<bool>) -> Members {
    match within {
        Some(allowed) => {
            let detail = Members::new().boolean("AllowedByPermissionsBoundary", allowed);
            answer.members("PermissionsBoundaryDecisionDetail", detail)
        }
        None => answer,
    }
}

/// A single resource goes by its name, several by the form of what the action acts on.
fn resource_name(simulation: &Simulation<'_>, action: &str) -> String {
    match simulation.resources {
        [resource] => resource.clone(),
        [first, ..] => template(action, first).unwrap_or_else(|| "*".to_owned()),
        [] => "*".to_owned(),
    }
}

/// The form of the ARNs that an action acts on.
fn template(action: &str, resource: &str) -> Option<String> {
    let action = Metadata::aws().action(action)?;
    let named = action.service().resource_types_named_by(resource);
    let accepted: Vec<_> = action
        .resource_types()
        .map(|accepted| accepted.resource_type())
        .collect();
    let kind = accepted
        .iter()
        .find(|kind| named.contains(kind))
        .or_else(|| accepted.first())?;
    kind.arn_patterns().next().map(str::to_owned)
}

/// The results of all resources as one.
struct Whole {
    decision: Decision,
    matched: Vec<Matched>,
    within_boundary: Option<bool>,
    within_organization: Option<bool>,
    details: Vec<(&'static str, Decision)>,
}

impl Whole {
    fn of(results: &[(&str, ResourceResult)]) -> Self {
        let all = |of: fn(&ResourceResult) -> Option<bool>| {
            let known: Vec<bool> = results.iter().filter_map(|(_, result)| of(result)).collect();
            (!known.is_empty()).then(|| known.iter().all(|allowed| *allowed))
        };
        let mut whole = Self {
            decision: Decision::Allowed,
            matched: Vec::new(),
            within_boundary: all(|result| result.within_boundary),
            within_organization: all(|result| result.within_organization),
            details: Vec::new(),
        };
        let mut seen = HashSet::new();
        for (_, result) in results {
            whole.decision = strictest(whole.decision, result.decision);
            let new = result.matched.iter().filter(|matched| seen.insert(**matched));
            whole.matched.extend(new);
            for (kind, decision) in &result.details {
                match whole.details.iter_mut().find(|(known, _)| known == kind) {
                    Some((_, known)) => *known = strictest(*known, *decision),
                    None => whole.details.push((kind, *decision)),
                }
            }
        }
        whole.matched.retain(|matched| match whole.decision {
            Decision::Allowed => !matched.denies,
            Decision::ExplicitlyDenied => matched.denies,
            Decision::ImplicitlyDenied => false,
        });
        whole
    }
}

fn statements(simulation: &Simulation<'_>, matched: &[Matched]) -> Vec<Members> {
    let statement = |matched: &Matched| {
        let source = simulation.source(matched)?;
        let (start, end) = source.place(matched.statement)?;
        let position = |(line, column): (u32, u32)| Members::new().number("Line", line).number("Column", column);
        Some(
            Members::new()
                .text("SourcePolicyId", source.id.as_str())
                .text("SourcePolicyType", matched.kind)
                .members("StartPosition", position(start))
                .members("EndPosition", position(end)),
        )
    };
    matched.iter().filter_map(statement).collect()
}

fn words(details: &[(&'static str, Decision)]) -> Vec<(&'static str, &'static str)> {
    details
        .iter()
        .map(|(kind, decision)| (*kind, word(*decision)))
        .collect()
}

/// `PolicyEvaluationDecisionType`.
fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allowed => "allowed",
        Decision::ExplicitlyDenied => "explicitDeny",
        Decision::ImplicitlyDenied => "implicitDeny",
    }
}
