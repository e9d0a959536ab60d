//! How fast requests go to a server that has said "too fast": as fast as it lets them, and a little faster each second.
//!
//! Without it, many calls that wait their turn would find out about a limit one by one, each at the cost of its own attempts, and of
//! everybody else who uses the account.

use std::time::Duration;

use tokio::time::Instant;

/// Never slower than this many requests a second: below that, the waits of single calls do the rest.
const SLOWEST: f64 = 4.0;
/// Above this many requests a second nothing is held back.
const FASTEST: f64 = 100.0;
/// What part of the rate is left after "too fast".
const CUT: f64 = 0.7;
/// By how many requests a second the rate grows each second.
const GROWTH: f64 = 1.0;
/// Refusals of requests that were sent together are one.
const TOGETHER: Duration = Duration::from_secs(1);

/// The pace of all requests to one server.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Requests a second; `None` holds nothing back.
    rate: Option<f64>,
    /// When the next request may go.
    next: Instant,
    /// How many requests went since when: the rate at which it became too fast.
    sent: u32,
    since: Instant,
    cut: Option<Instant>,
    grown: Instant,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            rate: None,
            next: now,
            sent: 0,
            since: now,
            cut: None,
            grown: now,
        }
    }

    /// When a request may go that is ready now.
    pub(crate) fn reserve(&mut self, now: Instant) -> Instant {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(2) {
            (self.sent, self.since) = (0, now);
        }
        self.sent = self.sent.saturating_add(1);
        let Some(rate) = self.rate else {
            return now;
        };
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(1.0 / rate);
        at
    }

    /// Takes note of a refusal because of too many requests.
    pub(crate) fn throttled(&mut self, now: Instant) {
        if self
            .cut
            .is_some_and(|cut| now.saturating_duration_since(cut) < TOGETHER)
        {
            return;
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64().max(1.0);
        let measured = f64::from(self.sent) / seconds;
        let rate = self.rate.map_or(measured, |rate| rate.min(measured));
        self.rate = Some((rate * CUT).clamp(SLOWEST, FASTEST));
        (self.cut, self.grown) = (Some(now), now);
    }

    /// Takes note of an answer that says nothing of the kind.
    pub(crate) fn answered(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            let rate = rate + GROWTH * now.saturating_duration_since(self.grown).as_secs_f64();
            self.grown = now;
            self.rate = (rate < FASTEST).then_some(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a server that takes `limit` requests a second, and as many at once, meets `calls` calls that are all ready at
    /// once and come again until they are answered: seconds, and refusals.
    fn simulated(limit: f64, calls: usize, paced: bool) -> (f64, usize) {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let (mut now, mut filled, mut tokens) = (start, start, limit);
        let (mut left, mut refusals) = (calls, 0);
        while left > 0 {
            // 32 at a time take 20 ms each.
            let step = Duration::from_micros(625);
            now = if paced {
                pace.reserve(now).max(now) + step
            } else {
                now + step
            };
            tokens = (tokens + limit * (now - filled).as_secs_f64()).min(limit);
            filled = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                left -= 1;
                pace.answered(now);
            } else {
                refusals += 1;
                pace.throttled(now);
            }
        }
        ((now - start).as_secs_f64(), refusals)
    }

    #[test]
    fn nothing_is_held_back_before_a_refusal() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!((0..1000).all(|_| pace.reserve(start) == start));
        pace.answered(start + Duration::from_secs(1));
        assert_eq!(pace.reserve(start), start);
    }

    #[test]
    fn a_limit_is_found_and_kept() {
        for limit in [5.0, 10.0, 25.0] {
            let calls = 1500;
            let least = 1500.0 / limit;
            let (seconds, refusals) = simulated(limit, calls, true);
            assert!(seconds < least * 1.6, "{limit}: {seconds} s");
            assert!(refusals < calls / 4, "{limit}: {refusals}");
            let (_, without) = simulated(limit, calls, false);
            assert!(without > 10 * refusals, "{limit}: {without} and {refusals}");
        }
    }

    #[test]
    fn it_comes_back_to_full_speed() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.reserve(start);
        pace.throttled(start);
        // One refusal does not slow anybody down for long.
        assert_eq!(pace.reserve(start), start);
        assert_eq!(pace.reserve(start), start + Duration::from_millis(250));
        pace.answered(start + Duration::from_secs(100));
        assert_eq!(pace.rate, None);
    }
}
