//! A radix tree over the texts that resource patterns begin with: a resource leads down the path of all those that it
//! begins with itself.

use crate::context::same;

/// Numbers of statements under texts.
#[derive(Clone, Debug)]
pub(crate) struct Radix {
    /// The children of a node stand side by side.
    nodes: Box<[Node]>,
    labels: Box<[u8]>,
    /// The first byte of every node's label: what tells children of one parent apart, close together.
    firsts: Box<[u8]>,
    numbers: Box<[u32]>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    label: Range,
    children: Range,
    numbers: Range,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    start: u32,
    pub(super) end: u32,
}

impl Range {
    /// Documents are bounded to less than any of this can hold.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let bound = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: bound(start),
            end: bound(end),
        }
    }

    #[inline]
    pub(super) fn of<V>(self, values: &[V]) -> &[V] {
        values.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl Radix {
    /// Puts each number under its text.
    pub(super) fn new(mut entries: Vec<(&str, u32)>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let mut nodes: Vec<Node> = Vec::with_capacity(entries.len().saturating_mul(2));
        let (mut labels, mut numbers): (Vec<u8>, Vec<u32>) = (Vec::new(), Vec::with_capacity(entries.len()));
        // A node's share of the entries, and how many bytes of its texts its ancestors have taken. Level by level.
        let mut shares = vec![(entries.as_slice(), 0_usize)];
        let mut next = 0_usize;
        while let Some((share, depth)) = shares.get(next).copied() {
            next = next.saturating_add(1);
            let end = common(share);
            let label = share
                .first()
                .and_then(|(text, _)| text.as_bytes().get(depth..end))
                .unwrap_or_default();
            let label_start = labels.len();
            labels.extend_from_slice(label);
            let ends_here = share.partition_point(|(text, _)| text.len() <= end);
            let (here, mut deeper) = share.split_at_checked(ends_here).unwrap_or_default();
            let numbers_start = numbers.len();
            numbers.extend(here.iter().map(|(_, number)| number));
            let children_start = shares.len();
            while let Some((text, _)) = deeper.first() {
                let byte = text.as_bytes().get(end);
                let siblings = deeper.partition_point(|(text, _)| text.as_bytes().get(end) == byte);
                let (child, others) = deeper.split_at_checked(siblings).unwrap_or_default();
                shares.push((child, end));
                deeper = others;
            }
            nodes.push(Node {
                label: Range::new(label_start, labels.len()),
                children: Range::new(children_start, shares.len()),
                numbers: Range::new(numbers_start, numbers.len()),
            });
        }
        let first = |node: &Node| node.label.of(&labels).first().copied().unwrap_or_default();
        Self {
            firsts: nodes.iter().map(first).collect(),
            nodes: nodes.into(),
            labels: labels.into(),
            numbers: numbers.into(),
        }
    }

    /// Shows the numbers under every text that `resource` begins with.
    #[inline]
    pub(super) fn walk(&self, resource: &str, mut show: impl FnMut(&[u32])) {
        let mut rest = resource.as_bytes();
        let mut node = self.nodes.first();
        while let Some(found) = node {
            let label = found.label.of(&self.labels);
            let Some((head, left)) = rest.split_at_checked(label.len()) else {
                return;
            };
            if !same(head, label) {
                return;
            }
            let numbers = found.numbers.of(&self.numbers);
            if !numbers.is_empty() {
                show(numbers);
            }
            let Some(next) = left.first() else {
                return;
            };
            let firsts = found.children.of(&self.firsts);
            let child = match firsts.len() {
                0..=16 => firsts.iter().position(|first| first == next),
                _ => firsts.binary_search(next).ok(),
            };
            let Some(child) = child else {
                return;
            };
            node = self.nodes.get((found.children.start as usize).saturating_add(child));
            rest = left;
        }
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
