//! Actions as the table of services knows them, and the resources that they are about.
//!
//! Nothing here is an error: the table can be older than a service, and a service of one's own is in no table.

use std::collections::BTreeSet;

use irsa_metadata::{Action, Metadata};

use super::actions::actions;
use super::resources::fields;
use crate::finding::FindingType;
use crate::glob::{has_wildcard, matches};
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Statement;

const REFERENCE: &str = "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html";

pub(super) static RULES: &[Rule] = &[
    Rule::doubt(
        "INVALID_ACTION",
        "an action that does not exist",
        Kinds::ALL,
        unknown_action,
    ),
    Rule::doubt(
        "INVALID_SERVICE_IN_ACTION",
        "an action of no known service",
        Kinds::ALL,
        unknown_service_in_action,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_RESOURCE_NOT_FOR_ACTIONS",
        "a resource that none of the actions is about",
        REFERENCE,
        Kinds::ALL.without(Kinds::TRUST),
        resource_not_for_actions,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_ACTION_NEEDS_STAR",
        "an action that only works with the resource `*`",
        REFERENCE,
        Kinds::ALL.without(Kinds::TRUST),
        action_needs_star,
    ),
];

/// Questions to the table that a document is worth. A text that needs more was not written by hand.
pub(super) const WORK: usize = 20_000;

/// The two halves of a well-formed action.
pub(super) fn halves(action: &str) -> Option<(&str, &str)> {
    let (service, name) = action.split_once(':')?;
    let plain = !service.is_empty() && !has_wildcard(service) && !name.contains(':') && !action.contains("${");
    plain.then_some((service, name))
}

fn unknown_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for action in actions(subject).take(WORK) {
        let Some((prefix, name)) = halves(&action.text) else {
            continue;
        };
        let Some(service) = services.service(prefix) else {
            continue;
        };
        if has_wildcard(name) {
            if name.bytes().all(|byte| byte == b'*') || service.actions().any(|known| matches(name, known.name(), true))
            {
                continue;
            }
            findings
                .at(
                    action,
                    format!("no action of {} matches `{}`", service.name(), clip(&action.text)),
                )
                .fix("correct the pattern, or remove it");
        } else if service.action(name).is_none() {
            let finding = findings.at(action, format!("{} has no action `{}`", service.name(), clip(name)));
            match subject.near_action(&action.text) {
                Some(near) => finding.fix(format!("write `{near}`")).retext(&action.bytes, &near),
                None => finding.fix("correct the name, or remove the action"),
            };
        }
    }
}

fn unknown_service_in_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for action in actions(subject).take(WORK) {
        let Some((prefix, name)) = halves(&action.text) else {
            continue;
        };
        if services.service(prefix).is_some() {
            continue;
        }
        let finding = findings.at(action, format!("no service has the prefix `{}`", clip(prefix)));
        let near = subject.near_services(prefix);
        let best = near
            .iter()
            .find(|near| services.action(&format!("{near}:{name}")).is_some())
            .or(near.first());
        match best {
            Some(near) => finding
                .fix(format!(
                    "write `{near}:{name}`, or register the service if it is one of your own"
                ))
                .retext(&action.bytes, &format!("{near}:{name}")),
            None => finding.fix("correct the prefix, or register the service if it is one of your own"),
        };
    }
}

/// The actions of a statement, if all of them are known; at most so many.
fn known_actions<'m>(services: &'m Metadata, statement: &Statement<'_>) -> Option<Vec<Action<'m>>> {
    const MOST: usize = 2_000;
    let mut known = Vec::new();
    for item in &statement.action.as_ref()?.items {
        let (prefix, name) = halves(&item.text)?;
        if has_wildcard(name) {
            let before = known.len();
            services.service(prefix)?;
            known.extend(services.actions_matching(&item.text).take(MOST));
            if known.len() == before {
                return None;
            }
        } else {
            known.push(services.action(&item.text)?);
        }
        if known.len() >= MOST {
            return None;
        }
    }
    Some(known)
}

fn resource_not_for_actions(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut work = WORK;
    for statement in &subject.tree.statements {
        let Some(list) = &statement.resource else {
            continue;
        };
        let Some(mut actions) = known_actions(services, statement) else {
            continue;
        };
        // Those about no resource at all have a finding of their own.
        actions.retain(|action| !action.is_wildcard_only());
        if actions.is_empty() {
            continue;
        }
        let prefixes: BTreeSet<&str> = actions.iter().map(|action| action.service().prefix()).collect();
        for item in &list.items {
            let Some(arn) = fields(&item.text) else {
                continue;
            };
            // An ARN that is wrong in itself has a finding.
            let Some(service) = services.service(arn.service).filter(|_| !has_wildcard(arn.service)) else {
                continue;
            };
            if arn.resource.is_empty() || service.resource_types_named_by(&item.text).is_empty() {
                continue;
            }
            work = work.saturating_sub(actions.len());
            if work == 0 {
                return;
            }
            // A service's table can name types of another service's ARNs.
            let foreign = !prefixes.contains(service.prefix());
            let accepted = actions.iter().any(|action| {
                action.accepts_resource(&item.text)
                    || action
                        .resource_types()
                        .any(|accepted| accepted.resource_type().overlaps(&item.text))
            });
            if !accepted {
                let what = if foreign && prefixes.len() == 1 {
                    format!(
                        "this is a resource of {}, the actions are those of {}",
                        service.prefix(),
                        prefixes.iter().next().copied().unwrap_or_default()
                    )
                } else {
                    "none of the actions here is about such a resource".to_owned()
                };
                findings
                    .at(item, what)
                    .fix("name resources that the actions are about, or add the actions that this one is meant for");
            }
        }
    }
}

fn action_needs_star(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut work = WORK;
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let (Some(resources), Some(actions)) = (&statement.resource, &statement.action) else {
            continue;
        };
        if resources.items.is_empty() || resources.items.iter().any(|item| item.text == "*") {
            continue;
        }
        for item in &actions.items {
            work = work.saturating_sub(1);
            let Some(action) = halves(&item.text)
                .and_then(|_| services.action(&item.text))
                .filter(|_| work > 0)
            else {
                continue;
            };
            if action.is_wildcard_only() {
                findings
                    .at(
                        item,
                        format!("{action} is about no particular resource: only `\"Resource\": \"*\"` allows it"),
                    )
                    .fix("put it into a statement with `\"Resource\": \"*\"`");
            }
        }
    }
}
