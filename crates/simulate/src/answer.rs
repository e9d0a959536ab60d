//! Cases in, answers out.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use irsa_core::AccountId;
use irsa_policy::{Decision, Policy, Profile, Request};
use serde_json::value::RawValue;

use crate::caller::Caller;
use crate::case::{Asked, Case, Documents, Levels, List, clip, document};
use crate::compiled::{Cache, Place, PolicySet};
use crate::ruling::{decide, is_operation, owner};

/// The longest line that is read, in bytes: some hundred times the policies that AWS lets apply to one request.
pub const MAX_LINE: usize = 8 << 20;

/// Answers cases one by one, and keeps their policies compiled for the cases that follow.
#[derive(Default)]
pub struct Simulator {
    cache: Cache,
}

impl Simulator {
    /// One that has seen no case.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that does otherwise than AWS where AWS is silent.
    #[must_use]
    pub fn with_profile(profile: Profile) -> Self {
        Self {
            cache: Cache::new(profile),
        }
    }

    /// Answers a case, a line without its end: appends `{"id":…,"decision":"…","reason":"…"}` to `answers`, or for what is no
    /// case `{"id":…,"error":"…"}`, without a line's end.
    pub fn answer(&mut self, line: &[u8], answers: &mut String) {
        if line.len() > MAX_LINE {
            return too_long(line, answers);
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("byte {} is not UTF-8", error.valid_up_to().saturating_add(1));
                return refuse(&String::from_utf8_lossy(line), &problem, answers);
            }
        };
        match Case::parse(text).and_then(|case| Ok((case.id, self.decide(&case)?))) {
            Ok((id, (decision, reason))) => {
                answers.push_str("{\"id\":");
                answers.push_str(id.map_or("null", RawValue::get));
                // Writing to a string does not fail.
                let _ = write!(answers, ",\"decision\":\"{decision}\",\"reason\":{}}}", quoted(&reason));
            }
            Err(problem) => refuse(text, &problem, answers),
        }
    }

    fn decide(&mut self, case: &Case<'_>) -> Result<(Decision, String), String> {
        let asked = &case.request;
        check(asked)?;
        let resource_account = match asked.resource_account.as_deref() {
            // What belongs to AWS itself belongs to no account that could be another than the caller's.
            Some("" | "aws") => None,
            Some(text) => Some(text.parse::<AccountId>().map_err(|error| error.to_string())?),
            None => owner(&asked.resource),
        };
        let caller = Caller::parse(&asked.principal)
            .map_err(|error| error.to_string())?
            .informed_by(&asked.context);
        let gathered = self.compile(&case.policies, asked)?;
        let named = gathered.principals.iter().flat_map(|list| list.iter());
        let caller = caller.named_by(named.map(String::as_str));
        let ruling = caller.lend(|principal| {
            decide(
                &gathered.policies.layers(),
                &Request {
                    principal,
                    action: &asked.action,
                    resource: &asked.resource,
                    resource_account,
                    context: &asked.context,
                },
            )
        });
        let mut reason = ruling.reason(&asked.action);
        for objection in &gathered.objections {
            let _ = write!(reason, "; IAM would refuse {objection}");
        }
        Ok((ruling.decision(), reason))
    }

    /// The policies of a case.
    fn compile(&mut self, documents: &Documents<'_>, asked: &Asked<'_>) -> Result<Gathered, String> {
        let mut gathered = Gathered::default();
        gathered.policies.profile = self.cache.profile;
        let Gathered {
            policies,
            principals,
            objections,
        } = &mut gathered;
        let mut one = |place: Place, value: &RawValue| -> Result<Arc<Policy>, String> {
            let text = document(value).map_err(|problem| format!("`{place}`: {problem}"))?;
            let compiled = self
                .cache
                .get(place, &text)
                .map_err(|problem| format!("`{place}`: {problem}"))?;
            if !compiled.principals.is_empty() {
                principals.push(compiled.principals);
            }
            objections.extend(compiled.objection);
            Ok(compiled.policy)
        };
        let mut list = |list: &List<'_>, place: &dyn Fn(usize) -> Place| {
            let numbered = list.0.iter().enumerate();
            numbered
                .map(|(number, value)| one(place(number), value))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut levels = |levels: &Levels<'_>, place: &dyn Fn(usize, usize) -> Place| {
            let numbered = levels.0.iter().enumerate();
            numbered
                .map(|(level, values)| list(values, &|number| place(level, number)))
                .collect::<Result<Vec<_>, _>>()
        };
        policies.service_control = levels(&documents.service_control, &Place::ServiceControl)?;
        policies.resource_control = levels(&documents.resource_control, &Place::ResourceControl)?;
        policies.identity = list(&documents.identity, &Place::Identity)?;
        policies.boundary = list(&documents.boundary, &|_| Place::Boundary)?.pop();
        policies.session = Some(list(&documents.session, &Place::Session)?).filter(|list| !list.is_empty());
        let place = Place::of_resource(&asked.action, &asked.resource);
        policies.resource = list(&documents.resource, &|_| place)?.pop();
        policies.vpc_endpoint =
            Some(list(&documents.vpc_endpoint, &Place::VpcEndpoint)?).filter(|list| !list.is_empty());
        Ok(gathered)
    }
}

/// The policies of a case, and what there is to know of them.
#[derive(Default)]
struct Gathered {
    policies: PolicySet,
    /// The ARNs that they name as principals.
    principals: Vec<Arc<[String]>>,
    /// What IAM would say against them.
    objections: Vec<Arc<str>>,
}

/// Whether the request says what is asked.
fn check(asked: &Asked<'_>) -> Result<(), String> {
    for (name, text) in [
        ("principal", &asked.principal),
        ("action", &asked.action),
        ("resource", &asked.resource),
    ] {
        if text.is_empty() {
            return Err(format!("`request` has no `{name}`"));
        }
    }
    if is_operation(&asked.action) {
        Ok(())
    } else {
        Err(format!(
            "`{}` is no action: `service:Operation` without wildcards is needed",
            clip(&asked.action)
        ))
    }
}

/// Answers a line that is too long to be kept, by its beginning.
fn too_long(line: &[u8], answers: &mut String) {
    let beginning = line.get(..MAX_LINE).unwrap_or(line);
    let problem = format!("the line is longer than {MAX_LINE} bytes");
    refuse(&String::from_utf8_lossy(beginning), &problem, answers);
}

/// Answers what is no case.
fn refuse(line: &str, problem: &str, answers: &mut String) {
    const LONGEST: usize = 1000;
    // Where bytes were replaced, the id is not what it was.
    let id = Case::id(line).map(RawValue::get).filter(|id| !id.contains('\u{fffd}'));
    let mut problem = Cow::Borrowed(problem);
    if let Some((end, _)) = problem.char_indices().nth(LONGEST) {
        problem.to_mut().truncate(end);
        problem.to_mut().push('…');
    }
    let problem = quoted(&problem);
    let _ = write!(answers, "{{\"id\":{},\"error\":{problem}}}", id.unwrap_or("null"));
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests;
