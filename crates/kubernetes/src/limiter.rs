//! How many calls a second may leave.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: a rate, and how many calls may leave at once after a pause.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Between two calls.
    interval: Duration,
    burst: u32,
    /// When the bucket is full again: each call moves it by one interval.
    full_at: Mutex<Instant>,
}

impl Limiter {
    /// A rate of zero is none at all: calls are never held up.
    pub(crate) fn new(calls_per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(calls_per_second).unwrap_or_default();
        Self {
            interval,
            burst: burst.max(1),
            full_at: Mutex::new(Instant::now()),
        }
    }

    /// Takes a place in the row and waits until it is reached.
    pub(crate) async fn wait(&self) {
        let turn = self.take(Instant::now());
        tokio::time::sleep_until(turn).await;
    }

    /// When the call may leave.
    fn take(&self, now: Instant) -> Instant {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at = (*full_at).max(now) + self.interval;
        let ahead = self.interval.saturating_mul(self.burst);
        full_at.checked_sub(ahead).map_or(now, |turn| turn.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_leaves_at_once_and_the_rest_in_a_row() {
        let limiter = Limiter::new(10, 3);
        let started = Instant::now();
        for expected in [0, 0, 0, 100, 200] {
            limiter.wait().await;
            // The clock of these tests moves in whole milliseconds.
            assert_eq!(started.elapsed().as_millis() / 10 * 10, expected);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        let refilled = Instant::now();
        for _ in 0..3 {
            limiter.wait().await;
        }
        assert!(
            refilled.elapsed() < Duration::from_millis(10),
            "a pause fills it, but not beyond its size"
        );
        limiter.wait().await;
        assert!(refilled.elapsed() >= Duration::from_millis(90));
    }
}
