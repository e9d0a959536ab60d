//! The index of a large policy.

use std::collections::HashMap;

use crate::action::{ActionForm, ActionPattern};
use crate::policy::Statement;

/// Statements by the literal text that their resources begin with, or by action. Every statement stands in one of the
/// three parts, under all of its texts there, so that what is not found cannot match.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// A radix tree over the beginnings of resource patterns: a resource leads down the path of all that it begins with.
    nodes: Box<[Node]>,
    labels: Box<[u8]>,
    /// The first byte of every node's label: what tells children of one parent apart, close together.
    firsts: Box<[u8]>,
    /// Statements of the nodes, then of the actions.
    entries: Box<[u32]>,
    /// By hash.
    actions: Box<[ByAction]>,
    /// Statements that neither leads to.
    others: Box<[u32]>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    label: Range,
    children: Range,
    statements: Range,
}

#[derive(Clone, Copy, Debug, Default)]
struct Range {
    start: u32,
    end: u32,
}

impl Range {
    /// Documents are bounded to less than any of this can hold.
    fn new(start: usize, end: usize) -> Self {
        let bound = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: bound(start),
            end: bound(end),
        }
    }

    fn of<V>(self, values: &[V]) -> &[V] {
        values.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
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
        beginning_entries.sort_unstable();
        beginning_entries.dedup();
        action_entries.sort_unstable();
        action_entries.dedup();
        let mut tree = Builder::default().build(&beginning_entries);
        let mut actions: Vec<ByAction> = Vec::new();
        for (hash, number) in action_entries {
            let at = tree.entries.len();
            tree.entries.push(number);
            let statements = Range::new(at, at.saturating_add(1));
            match actions.last_mut() {
                Some(last) if last.hash == hash => last.statements.end = statements.end,
                _ => actions.push(ByAction { hash, statements }),
            }
        }
        Self {
            firsts: tree
                .nodes
                .iter()
                .map(|node| node.label.of(&tree.labels).first().copied().unwrap_or_default())
                .collect(),
            nodes: tree.nodes.into(),
            labels: tree.labels.into(),
            entries: tree.entries.into(),
            actions: actions.into(),
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
            show_all(entry.statements.of(&self.entries));
        }
        let mut rest = resource.as_bytes();
        let mut node = self.nodes.first();
        while let Some(found) = node {
            let Some(left) = rest.strip_prefix(found.label.of(&self.labels)) else {
                return;
            };
            show_all(found.statements.of(&self.entries));
            let Some(next) = left.first() else {
                return;
            };
            let children = found.children;
            let firsts = children.of(&self.firsts);
            node = match firsts.len() {
                0..=16 => firsts.iter().position(|first| first == next),
                _ => firsts.binary_search(next).ok(),
            }
            .and_then(|at| children.of(&self.nodes).get(at));
            rest = left;
        }
    }
}

/// What a statement's resources begin with; `None` if it may be about any resource.
fn beginnings(statement: &Statement) -> Option<Vec<&str>> {
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

/// Builds the tree level by level, so that the children of a node stand side by side.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    labels: Vec<u8>,
    entries: Vec<u32>,
}

impl Builder {
    /// `sorted`: by text.
    fn build(mut self, sorted: &[(&str, u32)]) -> Self {
        // A node's share of `sorted`, and how many bytes of its texts its ancestors have taken.
        let mut shares = vec![(sorted, 0_usize)];
        let mut next = 0_usize;
        while let Some((share, depth)) = shares.get(next).copied() {
            next = next.saturating_add(1);
            // The root's label is empty, or a resource that shares nothing with it would miss its statements.
            let end = if next == 1 { 0 } else { common(share) };
            let label = share
                .first()
                .and_then(|(text, _)| text.as_bytes().get(depth..end))
                .unwrap_or_default();
            let label_start = self.labels.len();
            self.labels.extend_from_slice(label);
            let ends_here = share.partition_point(|(text, _)| text.len() <= end);
            let (here, mut deeper) = share.split_at_checked(ends_here).unwrap_or_default();
            let entries_start = self.entries.len();
            self.entries.extend(here.iter().map(|(_, number)| number));
            let children_start = shares.len();
            while let Some((text, _)) = deeper.first() {
                let byte = text.as_bytes().get(end);
                let siblings = deeper.partition_point(|(text, _)| text.as_bytes().get(end) == byte);
                let (child, others) = deeper.split_at_checked(siblings).unwrap_or_default();
                shares.push((child, end));
                deeper = others;
            }
            self.nodes.push(Node {
                label: Range::new(label_start, self.labels.len()),
                children: Range::new(children_start, shares.len()),
                statements: Range::new(entries_start, self.entries.len()),
            });
        }
        self
    }
}

/// How many bytes the texts of a sorted list have in common: what the first and the last have.
fn common(sorted: &[(&str, u32)]) -> usize {
    let (Some((first, _)), Some((last, _))) = (sorted.first(), sorted.last()) else {
        return 0;
    };
    first
        .bytes()
        .zip(last.bytes())
        .take_while(|(one, other)| one == other)
        .count()
}
