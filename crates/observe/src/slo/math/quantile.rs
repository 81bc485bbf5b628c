//! Bounds of a quantile from order statistics: how long runs take, without a guess at their distribution.

use serde::Serialize;

use super::binomial;

/// What a sample says of a quantile. A bound is missing where the sample is too small for one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// The quantile of the sample.
    pub estimate: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// The quantile of a sample, with bounds between which the true one is with this confidence. Numbers that are not finite are left out; none for nothing.
#[must_use]
pub fn bounds(sample: &[f64], quantile: f64, confidence: f64) -> Option<Bounds> {
    let mut sorted: Vec<f64> = sample.iter().copied().filter(|number| number.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let events = sorted.len() as u64;
    let quantile = super::probability(quantile);
    let tail = 0.5 * (1.0 - super::probability(confidence));
    let at = ((quantile * events as f64).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    let estimate = *sorted.get(at)?;
    // The r-th smallest is above the quantile when fewer than r are at most the quantile.
    let lowest = largest(events, |rank| binomial::at_most(rank - 1, events, quantile) <= tail);
    let highest = smallest(events, |rank| binomial::at_least(rank, events, quantile) <= tail);
    let value = |rank: u64| sorted.get(usize::try_from(rank).ok()?.checked_sub(1)?).copied();
    Some(Bounds {
        estimate,
        low: lowest.and_then(value),
        high: highest.and_then(value),
    })
}

/// The largest rank for which this still holds.
fn largest(events: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if events == 0 || !holds(1) {
        return None;
    }
    let (mut low, mut high) = (1, events);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

/// The smallest rank from which this holds.
fn smallest(events: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if events == 0 || !holds(events) {
        return None;
    }
    let (mut low, mut high) = (1, events);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}
