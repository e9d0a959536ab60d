use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::{Change, Revision};

/// The most changes of one answer to a watcher, exceeded only by a single revision.
pub(super) const PAGE_CHANGES: usize = 1024;
/// The most bytes of values in one answer to a watcher, exceeded only by a single revision.
pub(super) const PAGE_BYTES: usize = 2 << 20;

const KEEP_REVISIONS: usize = 1024;
const KEEP_BYTES: usize = 4 << 20;

/// The last revisions, for watchers that keep up. Bounded; one that does not keep up reads the table.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    revisions: VecDeque<Vec<Change>>,
    bytes: usize,
}

impl Recent {
    /// Adds the changes of committed revisions, in order and without a gap to the ones before.
    pub(super) fn push(&self, changes: Vec<Change>) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = changes.into_iter().peekable();
        while let Some(first) = changes.next() {
            let revision = first.revision;
            let mut whole = vec![first];
            while let Some(change) = changes.next_if(|change| change.revision == revision) {
                whole.push(change);
            }
            ring.bytes += size(&whole);
            ring.revisions.push_back(whole);
        }
        while ring.revisions.len() > KEEP_REVISIONS || ring.bytes > KEEP_BYTES {
            match ring.revisions.pop_front() {
                Some(oldest) => ring.bytes -= size(&oldest),
                None => break,
            }
        }
    }

    /// A page of the changes after `revision`; `None` if they are not all here.
    pub(super) fn after(&self, revision: Revision) -> Option<Vec<Change>> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.revisions.front()?.first()?.revision;
        let skip = usize::try_from(revision.checked_add(1)?.checked_sub(oldest)?).ok()?;
        let mut page = Vec::new();
        let mut bytes = 0;
        for whole in ring.revisions.iter().skip(skip) {
            bytes += size(whole);
            if !page.is_empty() && (page.len() + whole.len() > PAGE_CHANGES || bytes > PAGE_BYTES) {
                break;
            }
            page.extend_from_slice(whole);
        }
        (!page.is_empty()).then_some(page)
    }
}

fn size(changes: &[Change]) -> usize {
    changes
        .iter()
        .map(|change| change.key.len() + change.value.as_ref().map_or(0, bytes::Bytes::len))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: Revision, bytes: usize) -> Change {
        Change {
            revision,
            key: "k".to_owned(),
            value: Some(vec![0; bytes].into()),
        }
    }

    #[test]
    fn a_watcher_gets_whole_revisions_or_nothing() {
        let recent = Recent::default();
        assert_eq!(recent.after(0), None);
        recent.push(vec![change(5, 1), change(5, 1), change(6, 1)]);
        assert_eq!(recent.after(3), None, "revision 4 is not here");
        assert_eq!(recent.after(4).unwrap().len(), 3);
        assert_eq!(recent.after(5).unwrap().len(), 1);
        assert_eq!(recent.after(6), None);
    }

    #[test]
    fn memory_and_pages_are_bounded() {
        let recent = Recent::default();
        for revision in 1..=20 {
            recent.push(vec![change(revision, 1 << 20)]);
        }
        assert_eq!(recent.after(0), None);
        assert_eq!(
            recent.after(17).unwrap().len(),
            1,
            "two of 1 MiB and their keys are more than a page"
        );
        for revision in 21..=5000 {
            recent.push(vec![change(revision, 0)]);
        }
        assert_eq!(recent.after(5000 - KEEP_REVISIONS as u64 - 1), None);
        assert_eq!(recent.after(5000 - KEEP_REVISIONS as u64).unwrap().len(), PAGE_CHANGES);
    }
}
