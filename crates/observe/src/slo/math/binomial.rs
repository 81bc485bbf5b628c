//! Tails of the binomial distribution: how improbable a record is.

use super::{beta, probability};

/// The probability of at least `bad` among `events` when each is bad with probability `rate`.
#[must_use]
pub fn at_least(bad: u64, events: u64, rate: f64) -> f64 {
    if bad == 0 {
        return 1.0;
    }
    if bad > events {
        return 0.0;
    }
    beta::below(bad as f64, (events - bad) as f64 + 1.0, probability(rate))
}

/// The probability of at most `bad` among `events`.
#[must_use]
pub fn at_most(bad: u64, events: u64, rate: f64) -> f64 {
    if bad >= events {
        return 1.0;
    }
    let rate = probability(rate);
    beta::below((events - bad) as f64, bad as f64 + 1.0, 1.0 - rate)
}

/// The smallest number of bad events among `events` that has at most this probability; none where even all of them would not be improbable enough.
#[must_use]
pub fn alarm(events: u64, rate: f64, most: f64) -> Option<u64> {
    if at_least(events, events, rate) > most || events == 0 {
        return None;
    }
    let (mut low, mut high) = (0, events);
    while low < high {
        let middle = low + (high - low) / 2;
        if at_least(middle, events, rate) <= most {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}
