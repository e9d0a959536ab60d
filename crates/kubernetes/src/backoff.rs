//! How long to wait before something is asked again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Delays that double from one failure to the next, each with up to half of it left out at random, so that replicas do not ask in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The delay after one more failure.
    pub(crate) fn delay(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.longest);
        // Keyed anew by each thread, and otherwise each time: random enough to spread calls.
        let random = RandomState::new().hash_one(whole);
        let thousandths = u32::try_from(random % 500).unwrap_or_default();
        whole - whole / 1000 * thousandths
    }

    /// What was asked has answered.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_differ() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 5);
        let mut seen = Vec::new();
        for whole in [1, 2, 4, 5, 5, 5, 5, 5] {
            let delay = backoff.delay();
            assert!(
                delay <= second * whole && delay >= second * whole / 2,
                "{delay:?} of {whole}"
            );
            seen.push(delay);
        }
        seen.dedup();
        assert!(seen.len() > 5, "{seen:?}");
        backoff.reset();
        assert!(backoff.delay() <= second);
    }
}
