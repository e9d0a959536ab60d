//! Which objects were read a moment ago.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use uuid::Uuid;

/// So many objects are known at most; of two that fall on one place, the later is.
const PLACES: usize = 4096;
/// What was read so many seconds ago is still in the system's memory.
const SECONDS: u64 = 30;
/// The low bits of a mark are a time, the others tell objects apart.
const TIME_BITS: u32 = 32;

/// Small objects whose rows and contents the system has in memory, most likely: they are read where they are asked for. A thread that may wait for a
/// disk is asked about all others, and costs more than such a read.
///
/// Nothing but speed depends on this: an object that is taken for another is read all the same.
pub(super) struct Warm {
    marks: Box<[AtomicU64]>,
    hash: RandomState,
    start: Instant,
}

impl Warm {
    pub(super) fn new() -> Self {
        Self {
            marks: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hash: RandomState::new(),
            start: Instant::now(),
        }
    }

    /// Whether this object was read a moment ago.
    pub(super) fn knows(&self, bucket: Uuid, key: &str) -> bool {
        let (place, object) = self.place(bucket, key);
        let mark = place.map_or(0, |place| place.load(Ordering::Relaxed));
        let (read, now) = (mark & u64::from(u32::MAX), self.seconds());
        mark >> TIME_BITS == object && mark != 0 && now.saturating_sub(read) < SECONDS
    }

    /// Notes that this object is being read.
    pub(super) fn note(&self, bucket: Uuid, key: &str) {
        let (place, object) = self.place(bucket, key);
        if let Some(place) = place {
            place.store(object << TIME_BITS | self.seconds(), Ordering::Relaxed);
        }
    }

    fn place(&self, bucket: Uuid, key: &str) -> (Option<&AtomicU64>, u64) {
        let hash = self.hash.hash_one((bucket, key));
        let place = usize::try_from(hash).unwrap_or_default() % PLACES;
        (self.marks.get(place), hash >> TIME_BITS)
    }

    /// Since the start, and one: no mark is zero.
    fn seconds(&self) -> u64 {
        let seconds = self.start.elapsed().as_secs().saturating_add(1);
        seconds.min(u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_known_and_nothing_else() {
        let warm = Warm::new();
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        assert!(!warm.knows(one, "key"));
        warm.note(one, "key");
        assert!(warm.knows(one, "key"));
        assert!(!warm.knows(other, "key"));
        assert!(!warm.knows(one, "other"));
    }
}
