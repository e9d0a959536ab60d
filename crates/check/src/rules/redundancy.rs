//! What could be left out.

use std::collections::HashMap;

use super::resources::fields;
use crate::glob::{covers, has_wildcard};
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Bytes, List, Statement};

pub(super) static RULES: &[Rule] = &[
    Rule::suggestion(
        "REDUNDANT_ACTION",
        "an action that another one includes",
        Kinds::ALL,
        redundant_action,
    ),
    Rule::suggestion(
        "REDUNDANT_RESOURCE",
        "a resource that another one includes",
        Kinds::ALL,
        redundant_resource,
    ),
    Rule::suggestion(
        "REDUNDANT_STATEMENT",
        "a statement that is there twice",
        Kinds::ALL,
        redundant_statement,
    ),
];

/// Comparisons of two patterns that a document is worth; each is quick, but a hostile list has a pair for every two of
/// its entries.
const WORK: usize = 500_000;

fn redundant_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let mut work = WORK;
    for list in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.action_lists())
    {
        redundant(findings, list, &mut work, "action", |one, other| {
            one == "*" || (one.is_ascii() && other.is_ascii() && covers(one, other, true))
        });
    }
}

fn redundant_resource(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let mut work = WORK;
    for list in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.resource_lists())
    {
        redundant(findings, list, &mut work, "resource", covers_resource);
    }
}

/// Whether a resource pattern surely includes another: field by field, because a `*` stays in its field; a `*` at a
/// field's end can leave it, but then it can in both.
fn covers_resource(one: &str, other: &str) -> bool {
    if one == "*" {
        return true;
    }
    if one.contains("${") || !one.is_ascii() || !other.is_ascii() {
        return false;
    }
    let (Some(first), Some(second)) = (fields(one), fields(other)) else {
        return false;
    };
    let pairs = [
        (first.partition, second.partition),
        (first.service, second.service),
        (first.region, second.region),
        (first.account, second.account),
        (first.resource, second.resource),
    ];
    pairs.into_iter().all(|(one, other)| covers(one, other, false))
}

/// Reports entries that another entry of the list includes. Of two equal ones the first stays.
fn redundant(
    findings: &mut Findings,
    list: &List<'_>,
    work: &mut usize,
    what: &str,
    includes: impl Fn(&str, &str) -> bool,
) {
    if list.items.len() < 2 {
        return;
    }
    let fold = |text: &str| {
        if what == "action" {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    let mut first: HashMap<String, usize> = HashMap::new();
    let wide: Vec<(usize, &str)> = list
        .items
        .iter()
        .enumerate()
        .filter(|(_, item)| has_wildcard(&item.text))
        .map(|(index, item)| (index, &*item.text))
        .collect();
    for (index, item) in list.items.iter().enumerate() {
        let folded = fold(&item.text);
        let same = first.get(&folded).copied();
        let by = same.or_else(|| {
            wide.iter()
                .filter(|(other, _)| *other != index)
                .find(|(_, pattern)| {
                    *work = work.saturating_sub(1);
                    *work > 0 && includes(pattern, &item.text)
                })
                .map(|(other, _)| *other)
        });
        first.entry(folded).or_insert(index);
        let Some(other) = by.and_then(|by| list.items.get(by)) else {
            continue;
        };
        let message = if same.is_some() {
            format!("the {what} `{}` is listed twice", clip(&item.text))
        } else {
            format!("`{}` includes `{}`", clip(&other.text), clip(&item.text))
        };
        let finding = findings.at(item, message);
        finding.fix(format!("remove `{}`", clip(&item.text)));
        if let Some(bytes) = removal(list, index) {
            finding.edit(&bytes, "");
        }
    }
}

/// What is to be cut out for an entry to be gone, with one of the commas beside it.
fn removal(list: &List<'_>, index: usize) -> Option<Bytes> {
    if list.entries != Some(list.items.len()) {
        return None;
    }
    let item = list.items.get(index)?;
    match index.checked_sub(1).and_then(|before| list.items.get(before)) {
        Some(before) => Some(before.bytes.end..item.bytes.end),
        None => Some(item.bytes.start..list.items.get(index.saturating_add(1))?.bytes.start),
    }
}

fn redundant_statement(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, statement) in subject.tree.statements.iter().enumerate() {
        let meaning = meaning(statement);
        match seen.get(&meaning) {
            Some(before) => {
                findings
                    .add(
                        &statement.path,
                        &statement.bytes,
                        format!("statement {before} says the same (counted from 0)"),
                    )
                    .fix("remove one of the two");
            }
            None => {
                seen.insert(meaning, index);
            }
        }
    }
}

/// What a statement says, whatever its Sid and the order of its lists.
fn meaning(statement: &Statement<'_>) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let list = |name: &str, items: Vec<String>| {
        let mut items = items;
        items.sort_unstable();
        items.dedup();
        format!("{name}{items:?}")
    };
    let effect = statement.effect.as_ref().map(|effect| &*effect.text);
    let _ = write!(text, "{effect:?}");
    for actions in statement.action_lists() {
        let items = actions
            .items
            .iter()
            .map(|item| item.text.to_ascii_lowercase())
            .collect();
        text.push_str(&list(&actions.name.text, items));
    }
    for resources in statement.resource_lists() {
        let items = resources.items.iter().map(|item| item.text.to_string()).collect();
        text.push_str(&list(&resources.name.text, items));
    }
    for principal in statement.principals() {
        let everyone = principal.text.iter().map(|item| format!("AWS {}", item.text));
        let entries = principal.entries().map(|(kind, item)| format!("{kind} {}", item.text));
        text.push_str(&list(&principal.name.text, everyone.chain(entries).collect()));
    }
    let conditions = statement.conditions().map(|condition| {
        let values = condition.values.iter().map(|value| value.text.to_string()).collect();
        let key = condition.key.text.to_ascii_lowercase();
        format!("{} {}", condition.operator_name.text, list(&key, values))
    });
    text.push_str(&list("Condition", conditions.collect()));
    text
}
