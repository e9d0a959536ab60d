//! Times on a machine that others use too.

use std::time::{Duration, Instant};

/// A batch is long beside the clock's grain, and short beside a scheduler's.
const BATCH: Duration = Duration::from_micros(50);
const BATCHES: usize = 1_000;

/// Nanoseconds that one run takes, by the least of many batches.
pub(crate) fn least(run: &mut dyn FnMut()) -> f64 {
    let [time] = in_turn([run]);
    time
}

/// As [`least`], for several, a batch of each in turn.
pub(crate) fn in_turn<const N: usize>(runs: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut runs = runs.map(|run| {
        let mut times = 1_u32;
        while batch(run, times) < BATCH {
            times *= 2;
        }
        (run, times, f64::INFINITY)
    });
    for _ in 0..BATCHES {
        for (run, times, best) in &mut runs {
            let time = batch(*run, *times).as_nanos() as f64 / f64::from(*times);
            *best = best.min(time);
        }
    }
    runs.map(|(_, _, best)| best)
}

fn batch(run: &mut dyn FnMut(), times: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        run();
    }
    start.elapsed()
}

/// A time in its usual unit.
pub(crate) fn spread(nanoseconds: f64) -> String {
    if nanoseconds < 1_000.0 {
        format!("{nanoseconds:.1} ns")
    } else {
        format!("{:.2} µs", nanoseconds / 1_000.0)
    }
}
