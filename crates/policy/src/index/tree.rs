//! The index of a large policy.

use std::collections::HashMap;

use super::radix::{Radix, Range};
use crate::action::{ActionForm, ActionPattern};
use crate::policy::Statement;

/// Statements by the literal text that their resources begin with, or by action. Every statement stands in one of the
/// three parts, under all of its texts there, so that what is not found cannot match.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    resources: Radix,
    /// By hash.
    actions: Box<[ByAction]>,
    numbers: Box<[u32]>,
    /// Statements that neither leads to.
    others: Box<[u32]>,
}

#[derive(Clone, Copy, Debug)]
struct ByAction {
    hash: u32,
    statements: Range,
}

impl Tree {
    pub(super) fn new(statements: &[Statement]) -> Self {
        let mut by_beginning: HashMap<&str, usize> = HashMap::new();
        let mut by_action: HashMap<u32, usize> = HashMap::new();
        for statement in statements {
            for text in beginnings(statement).into_iter().flatten() {
                let count = by_beginning.entry(text).or_default();
                *count = count.saturating_add(1);
            }
            for hash in hashes(statement).into_iter().flatten() {
                let count = by_action.entry(hash).or_default();
                *count = count.saturating_add(1);
            }
        }
        let (mut beginning_entries, mut action_entries, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (number, statement) in (0_u32..).zip(statements) {
            let (texts, hashes) = (beginnings(statement), hashes(statement));
            let crowd_of_texts = texts
                .iter()
                .flatten()
                .map(|text| by_beginning.get(text).copied().unwrap_or_default())
                .fold(0, usize::saturating_add);
            let crowd_of_actions = hashes
                .iter()
                .flatten()
                .map(|hash| by_action.get(hash).copied().unwrap_or_default())
                .fold(0, usize::saturating_add);
            match (texts, hashes) {
                (Some(texts), hashes) if hashes.is_none() || crowd_of_texts <= crowd_of_actions => {
                    beginning_entries.extend(texts.into_iter().map(|text| (text, number)));
                }
                (_, Some(hashes)) => action_entries.extend(hashes.into_iter().map(|hash| (hash, number))),
                _ => others.push(number),
            }
        }
        action_entries.sort_unstable();
        action_entries.dedup();
        let mut actions: Vec<ByAction> = Vec::new();
        let mut numbers = Vec::with_capacity(action_entries.len());
        for (hash, number) in action_entries {
            let at = numbers.len();
            numbers.push(number);
            let statements = Range::new(at, at.saturating_add(1));
            match actions.last_mut() {
                Some(last) if last.hash == hash => last.statements.end = statements.end,
                _ => actions.push(ByAction { hash, statements }),
            }
        }
        Self {
            resources: Radix::new(beginning_entries),
            actions: actions.into(),
            numbers: numbers.into(),
            others: others.into(),
        }
    }

    /// Shows every statement that can be about an action of this hash and the resource, in no order, and a statement with several patterns perhaps
    /// more than once.
    #[inline]
    pub(crate) fn candidates(&self, action: u32, resource: &str, mut show: impl FnMut(u32)) {
        let mut show_all = |numbers: &[u32]| numbers.iter().for_each(|number| show(*number));
        show_all(&self.others);
        if let Ok(at) = self.actions.binary_search_by_key(&action, |entry| entry.hash)
            && let Some(entry) = self.actions.get(at)
        {
            show_all(entry.statements.of(&self.numbers));
        }
        self.resources.walk(resource, show_all);
    }
}

/// What a statement's resources begin with; `None` if it may be about any resource.
pub(super) fn beginnings(statement: &Statement) -> Option<Vec<&str>> {
    let resources = statement.resources.as_ref().filter(|resources| !resources.negated)?;
    let mut texts = Vec::with_capacity(resources.patterns.len());
    for pattern in resources.patterns.iter().filter(|pattern| !pattern.is_broken()) {
        let text = pattern.beginning();
        if text.is_empty() {
            return None;
        }
        texts.push(text);
    }
    Some(texts)
}

/// The hashes of a statement's actions; `None` if it may be about any action.
fn hashes(statement: &Statement) -> Option<Vec<u32>> {
    let actions = &statement.actions;
    if actions.negated {
        return None;
    }
    let exact = |pattern: &ActionPattern| matches!(pattern.form, ActionForm::Exact).then_some(pattern.hash);
    actions.patterns.iter().map(exact).collect()
}
