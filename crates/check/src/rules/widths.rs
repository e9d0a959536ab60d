//! How much a wildcard in an action means, counted in the table of services.

use irsa_metadata::Width;

use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};

pub(super) static RULES: &[Rule] = &[Rule::own(
    FindingType::Suggestion,
    "IRSA_WILDCARD_WIDTH",
    "a wildcard that also changes permissions",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
    Kinds::IDENTITY,
    width,
)];

/// Patterns of a document that are counted; each can read the whole table.
const MOST: usize = 50;

fn width(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let patterns = subject
        .tree
        .statements
        .iter()
        .filter(|statement| statement.allows())
        .flat_map(|statement| &statement.action)
        .flat_map(|list| &list.items)
        .filter(|item| has_wildcard(&item.text) && item.text.len() <= 128);
    for item in patterns.take(MOST) {
        let width = subject.options.services.width(&item.text);
        let total = width.total();
        if total < 2 || width.permissions_management == 0 {
            continue;
        }
        findings
            .at(
                item,
                format!("`{}` is {total} actions: {}", clip(&item.text), levels(&width)),
            )
            .fix("list the actions that are needed");
    }
}

/// The numbers, the most powerful first.
fn levels(width: &Width) -> String {
    let parts = [
        (width.permissions_management, "permissions management"),
        (width.tagging, "tagging"),
        (width.write, "write"),
        (width.read, "read"),
        (width.list, "list"),
    ];
    let some = parts.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, level)| format!("{count} {level}"))
        .collect::<Vec<_>>()
        .join(", ")
}
