//! Ours beside the ceiling: short rounds in turns, and the median of each round's ratio, so that a slow minute of the machine, which slows both, says little.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    Target,
    load::{Measured, Until},
};

/// Pairs of rounds of each figure.
const ROUNDS: usize = 5;

/// The medians of a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Compared {
    /// Requests a second and CPU of ours: the middle round by rate.
    pub(crate) ours: Measured,
    /// The same of the ceiling.
    pub(crate) ceiling: Measured,
    /// Our rate by the ceiling's.
    pub(crate) rate: f64,
    /// The ceiling's CPU by ours: 1 is as cheap as the ceiling.
    pub(crate) cpu: f64,
}

/// Measures ours and the ceiling in turns, each with its request.
pub(crate) fn in_turns(
    ours: (&Target, &[u8]),
    ceiling: (&Target, &[u8]),
    connections: usize,
    time: Duration,
) -> Result<Compared> {
    let (mut own, mut best) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        best.push(ceiling.0.measure(ceiling.1, connections, Until::Time(time))?);
        own.push(ours.0.measure(ours.1, connections, Until::Time(time))?);
    }
    let ratios = |of: fn(&Measured, &Measured) -> f64| {
        own.iter()
            .zip(&best)
            .map(|(own, best)| of(own, best))
            .collect::<Vec<_>>()
    };
    Ok(Compared {
        ours: middle(&own)?,
        ceiling: middle(&best)?,
        rate: median(&ratios(|own, best| own.rate / best.rate)),
        cpu: median(&ratios(|own, best| best.cpu / own.cpu)),
    })
}

/// The round in the middle by rate.
fn middle(rounds: &[Measured]) -> Result<Measured> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    sorted.get(sorted.len() / 2).copied().context("no rounds")
}

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
