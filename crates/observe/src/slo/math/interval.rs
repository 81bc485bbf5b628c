//! What a record of good and bad events says of the rate behind it: an interval in place of a point.

use serde::Serialize;

use super::{beta, probability};

/// An interval of a rate, with the confidence it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// The interval of Jeffreys: the rate is outside it, on either side, with half of what is left of the confidence. Without events it is everything.
#[must_use]
pub fn jeffreys(bad: u64, events: u64, confidence: f64) -> Interval {
    let bad = bad.min(events);
    if events == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let tail = 0.5 * (1.0 - probability(confidence));
    let (a, b) = (bad as f64 + 0.5, (events - bad) as f64 + 0.5);
    Interval {
        low: if bad == 0 { 0.0 } else { beta::quantile(a, b, tail) },
        high: if bad == events {
            1.0
        } else {
            beta::quantile(a, b, 1.0 - tail)
        },
    }
}

/// The probability that the rate is above `rate`, after this record.
#[must_use]
pub fn above(bad: u64, events: u64, rate: f64) -> f64 {
    let bad = bad.min(events);
    if events == 0 {
        return 0.5;
    }
    let good = (events - bad) as f64 + 0.5;
    // The upper tail by the mirror image, so that it keeps its digits.
    beta::below(good, bad as f64 + 0.5, 1.0 - probability(rate))
}

/// Events without a bad one that show a rate of at most `rate`, when `bad` of `events` were bad so far; none beyond a million.
#[must_use]
pub fn good_events_needed(bad: u64, events: u64, rate: f64, confidence: f64) -> Option<u64> {
    const MOST: u64 = 1_000_000;
    let shown = |more: u64| jeffreys(bad, events.saturating_add(more), confidence).high <= rate;
    if !shown(MOST) {
        return None;
    }
    let (mut low, mut high) = (0, MOST);
    while low < high {
        let middle = low + (high - low) / 2;
        if shown(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}
