//! Which condition keys requests for an action have.

use std::collections::{BTreeSet, HashSet};

use super::services::{WORK, halves};
use crate::finding::FindingType;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Condition, Item, Statement};

pub(super) static RULES: &[Rule] = &[
    Rule::doubt(
        "UNSUPPORTED_ACTION_FOR_CONDITION_KEY",
        "a condition key that requests for the action never have",
        Kinds::ALL.without(Kinds::TRUST),
        unsupported_action,
    ),
    Rule::security_warning(
        "DENY_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Deny by a tag that a service does not tell",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Deny", false),
    ),
    Rule::security_warning(
        "DENY_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Deny by a tag for all actions but some",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Deny", true),
    ),
    Rule::suggestion(
        "ALLOW_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Allow by a tag that a service does not tell",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Allow", false),
    ),
    Rule::suggestion(
        "ALLOW_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Allow by a tag for all actions but some",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Allow", true),
    ),
];

fn unsupported_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut work = WORK;
    for statement in &subject.tree.statements {
        let Some(list) = statement
            .action
            .as_ref()
            .filter(|_| statement.allows() || statement.denies())
        else {
            continue;
        };
        for condition in statement.conditions() {
            let Some(key) = services.condition_key(&condition.key.text) else {
                continue;
            };
            let of_service = key.name().split(':').next().unwrap_or_default();
            // Cross-service keys come with requests of other services.
            if (key.category().is_some() && !key.is_about_tags()) || condition.operator.is_none() {
                continue;
            }
            work = work.saturating_sub(list.items.len());
            if work == 0 {
                return;
            }
            let lacking: Vec<&Item<'_>> = list
                .items
                .iter()
                .filter(|item| {
                    let action = halves(&item.text).and_then(|_| services.action(&item.text));
                    action.is_some_and(|action| {
                        let told = !key.is_about_tags() || action.service().actions().any(|other| other.carries(key));
                        told && !action.carries(key)
                    })
                })
                .collect();
            let Some(first) = lacking.first() else {
                continue;
            };
            let more = match lacking.len() {
                1 => String::new(),
                2 => " and another".to_owned(),
                many => format!(" and {} others", many.saturating_sub(1)),
            };
            let absent = condition.holds_when_absent();
            // `IfExists` in a Deny says that requests without the key are meant.
            if statement.denies() && condition.operator.is_some_and(|operator| operator.if_exists) {
                continue;
            }
            let result = match (absent, statement.allows()) {
                (false, true) => "so these are never allowed here",
                (false, false) => "so these are never denied here",
                (true, true) => "so these are allowed without it",
                (true, false) => "so these are always denied here",
            };
            let finding = findings.at_name(
                &condition.key,
                format!(
                    "requests for {}{more} have no `{}`, {result}",
                    clip(&first.text),
                    clip(&condition.key.text)
                ),
            );
            if absent == statement.allows() && !of_service.is_empty() {
                finding.as_type(FindingType::SecurityWarning);
            }
            finding.fix("put these actions into a statement without the condition");
        }
    }
}

/// The tags of the resource: the key that the four rules are about.
fn tag_conditions<'s, 't>(statement: &'s Statement<'t>) -> impl Iterator<Item = &'s Condition<'t>> {
    statement.conditions().filter(|condition| {
        let head = condition.key.text.split('/').next().unwrap_or_default();
        head.eq_ignore_ascii_case("aws:ResourceTag") && condition.key.text.len() > head.len()
    })
}

fn unsupported_tag(subject: &Subject<'_, '_>, findings: &mut Findings, effect: &str, not_action: bool) {
    let services = subject.options.services;
    for statement in &subject.tree.statements {
        let has_effect = statement.effect.as_ref().is_some_and(|item| item.text == effect);
        let is_not_action = statement.not_action.is_some() && statement.action.is_none();
        if !has_effect || is_not_action != not_action {
            continue;
        }
        let Some(condition) = tag_conditions(statement).find(|condition| !condition.holds_when_absent()) else {
            continue;
        };
        let Some(key) = services.condition_key(&condition.key.text) else {
            continue;
        };
        let result = if effect == "Deny" { "not denied" } else { "not allowed" };
        if not_action {
            findings
                .at_name(
                    &condition.key,
                    format!("many actions do not tell the tags of their resources: those are {result} by this"),
                )
                .fix("list in `Action` the actions that are meant");
            continue;
        }
        let prefixes: BTreeSet<&str> = statement
            .action
            .iter()
            .flat_map(|list| &list.items)
            .filter_map(|item| halves(&item.text).map(|(prefix, _)| prefix))
            .collect();
        let mut seen: HashSet<String> = HashSet::new();
        let lacking: Vec<&str> = prefixes
            .into_iter()
            .filter(|prefix| seen.insert(prefix.to_ascii_lowercase()))
            .filter(|prefix| {
                services
                    .service(prefix)
                    .is_some_and(|service| !service.actions().any(|action| action.carries(key)))
            })
            .collect();
        if !lacking.is_empty() {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "no action of {} tells the tags of its resource: those are {result} by this",
                        lacking.join(", ")
                    ),
                )
                .fix("put these actions into a statement without the condition");
        }
    }
}
