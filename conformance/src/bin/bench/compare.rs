//! Servers beside each other: short rounds in turns, and the median of each round's ratio, so that a slow minute of the machine, which slows all, says little.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::{Measured, Request, Target, Until};

/// Rounds of each figure.
const ROUNDS: usize = 5;

/// What servers did in each round.
#[derive(Clone)]
pub(crate) struct Compared(Vec<Vec<Measured>>);

/// Measures servers in turns, each with its requests.
pub(crate) fn in_turns(contestants: &[(Target, &[Request])], connections: usize, time: Duration) -> Result<Compared> {
    let round = || {
        let measure =
            |(target, requests): &(Target, &[Request])| target.measure(requests, connections, Until::Time(time));
        contestants.iter().map(measure).collect()
    };
    (0..ROUNDS).map(|_| round()).collect::<Result<_>>().map(Compared)
}

impl Compared {
    /// The round of one server that is in the middle by rate.
    pub(crate) fn middle(&self, of: usize) -> Result<Measured> {
        let mut sorted: Vec<Measured> = self.0.iter().filter_map(|round| round.get(of).copied()).collect();
        sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        sorted.get(sorted.len() / 2).copied().context("no rounds")
    }

    /// The rate of one server by that of another.
    pub(crate) fn rate(&self, of: usize, by: usize) -> f64 {
        self.ratio(of, by, |measured| measured.rate)
    }

    /// The CPU of one server by that of another: below 1, it is the cheaper one.
    pub(crate) fn cpu(&self, of: usize, by: usize) -> f64 {
        self.ratio(of, by, |measured| measured.cpu)
    }

    fn ratio(&self, of: usize, by: usize, figure: fn(&Measured) -> f64) -> f64 {
        let ratios: Vec<f64> = self
            .0
            .iter()
            .filter_map(|round| Some(figure(round.get(of)?) / figure(round.get(by)?)))
            .collect();
        median(&ratios)
    }
}

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
