//! Objects that were read a moment ago, whole: what is small and often read needs neither the index nor its file.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use uuid::Uuid;

use super::ObjectRow;

/// So many objects are kept at most; of two that fall on one place, the later is.
const PLACES: usize = 2048;
/// Contents up to so many bytes are kept.
pub(super) const KEPT: u64 = 8 * 1024;

/// The newest versions of some objects, as they are in the index at this moment.
///
/// What is kept here is never older than the index: whoever is about to write takes a [`Writing`] before the transaction and drops it after; from the one to
/// the other nothing is kept at that place, and what was read of the index before or meanwhile is not kept afterwards.
pub(super) struct Recent {
    places: Box<[Mutex<Place>]>,
    hash: RandomState,
}

#[derive(Default)]
struct Place {
    kept: Option<Kept>,
    /// Transactions under way that may change an object of this place.
    writers: usize,
    /// How many transactions have begun.
    writes: u64,
}

struct Kept {
    bucket: Uuid,
    key: String,
    found: Recently,
}

/// An object as it was read.
#[derive(Clone)]
pub(super) struct Recently {
    pub(super) row: Arc<ObjectRow>,
    /// All of its bytes, if they are few and somebody wanted them.
    pub(super) content: Option<Bytes>,
}

/// The right to keep what is read of the index after it was taken.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    place: usize,
    writes: u64,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
            hash: RandomState::new(),
        }
    }

    /// The object, if it is here, and the ticket for keeping more of it, if nobody is writing.
    pub(super) fn find(&self, bucket: Uuid, key: &str) -> (Option<Recently>, Option<Ticket>) {
        let number = self.number(bucket, key);
        let Some(place) = self.place(number) else {
            return (None, None);
        };
        let kept = place.kept.as_ref();
        let found = kept.filter(|kept| kept.bucket == bucket && kept.key == key);
        let ticket = (place.writers == 0).then_some(Ticket {
            place: number,
            writes: place.writes,
        });
        (found.map(|kept| kept.found.clone()), ticket)
    }

    /// Keeps an object that was read since the ticket was taken, unless a write has begun since.
    pub(super) fn keep(&self, ticket: Ticket, bucket: Uuid, key: &str, found: Recently) {
        if let Some(mut place) = self.place(ticket.place)
            && place.writers == 0
            && place.writes == ticket.writes
        {
            place.kept = Some(Kept {
                bucket,
                key: key.to_owned(),
                found,
            });
        }
    }

    /// To be taken before a transaction that may change this object, and dropped when it is committed or rolled back.
    pub(super) fn write(self: &Arc<Self>, bucket: Uuid, key: &str) -> Writing {
        let number = self.number(bucket, key);
        if let Some(mut place) = self.place(number) {
            place.kept = None;
            place.writers = place.writers.saturating_add(1);
            place.writes = place.writes.wrapping_add(1);
        }
        Writing {
            recent: Arc::clone(self),
            place: number,
        }
    }

    fn number(&self, bucket: Uuid, key: &str) -> usize {
        usize::try_from(self.hash.hash_one((bucket, key))).unwrap_or_default() % PLACES
    }

    fn place(&self, number: usize) -> Option<MutexGuard<'_, Place>> {
        let place = self.places.get(number)?;
        Some(place.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Nothing is kept of what a write may change while this lives.
pub(super) struct Writing {
    recent: Arc<Recent>,
    place: usize,
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(mut place) = self.recent.place(self.place) {
            place.writers = place.writers.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use irsa_core::Timestamp;

    use super::super::content::ContentId;
    use super::super::{Attributes, Version};
    use super::*;

    fn found(etag: &str) -> Recently {
        Recently {
            row: Arc::new(ObjectRow {
                content: ContentId([0; 16]),
                parts: 0,
                size: 1,
                etag: etag.to_owned(),
                modified: Timestamp::from_unix_seconds(0),
                attributes: Attributes::default(),
                tags: Vec::new(),
                version: Version::NULL,
            }),
            content: None,
        }
    }

    fn etag(recent: &Recent, bucket: Uuid) -> Option<String> {
        recent.find(bucket, "key").0.map(|found| found.row.etag.clone())
    }

    #[test]
    fn what_was_read_before_a_write_is_not_kept_after_it() {
        let (recent, bucket) = (Arc::new(Recent::new()), Uuid::new_v4());
        let ticket = |recent: &Recent| recent.find(bucket, "key").1;
        let before = ticket(&recent).unwrap();
        recent.keep(before, bucket, "key", found("old"));
        assert_eq!(etag(&recent, bucket).as_deref(), Some("old"));
        assert_eq!(etag(&recent, Uuid::new_v4()), None);
        let writing = recent.write(bucket, "key");
        // Gone as soon as the write begins, and nobody may keep anything before it ends.
        assert_eq!(etag(&recent, bucket), None);
        assert!(ticket(&recent).is_none());
        recent.keep(before, bucket, "key", found("old"));
        assert_eq!(etag(&recent, bucket), None);
        // Two at a time: the first to end lets nothing in.
        let other = recent.write(bucket, "key");
        drop(writing);
        assert!(ticket(&recent).is_none());
        drop(other);
        recent.keep(before, bucket, "key", found("old"));
        assert_eq!(etag(&recent, bucket), None);
        recent.keep(ticket(&recent).unwrap(), bucket, "key", found("new"));
        assert_eq!(etag(&recent, bucket).as_deref(), Some("new"));
    }
}
