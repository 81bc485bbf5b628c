//! How many pairs more it would take, by simulation of pairs that are as noisy as those that were seen.

use super::bets::{Watch, interval};
use super::dice::Dice;

/// Continuations that are simulated.
const ROUNDS: usize = 400;
/// Pairs more that are simulated at most.
const MOST: usize = 1_000;
/// Fewer pairs say nothing of the noise.
const FEWEST: usize = 3;

/// Pairs more after which this share of continuations has a verdict, when the true ratio is the one that is estimated; none where pairs are too few to say, or
/// it would take more than a thousand.
#[must_use]
pub fn more(values: &[f64], effect: f64, alpha: f64, power: f64, seed: u64) -> Option<usize> {
    let pairs = values.len();
    let estimate = interval(values, alpha).estimate.filter(|_| pairs >= FEWEST)?;
    // The noise is symmetric by the coin; what a sample of it lacks in width is given back.
    let width = (pairs as f64 / (pairs as f64 - 1.0)).sqrt();
    let left: Vec<f64> = values.iter().map(|value| (value - estimate) * width).collect();
    let mut begun = Watch::new(effect, alpha);
    for value in values {
        begun.see(*value);
    }
    let mut dice = Dice::new(seed);
    let mut ends: Vec<usize> = (0..ROUNDS)
        .map(|_| {
            let mut watch = begun;
            let found = (1..=MOST).find(|_| {
                let noise = left[dice.below(left.len())];
                let noise = if dice.coin() { noise } else { -noise };
                watch.see(estimate + noise).is_some()
            });
            found.unwrap_or(usize::MAX)
        })
        .collect();
    ends.sort_unstable();
    let at = ((power * ROUNDS as f64).ceil() as usize).clamp(1, ROUNDS) - 1;
    ends.get(at).copied().filter(|more| *more <= MOST)
}
