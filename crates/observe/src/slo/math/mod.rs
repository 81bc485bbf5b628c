//! Exact statistics of few events: binomial tails, intervals of a rate, bounds of a quantile.
//!
//! Everything rests on the regularised incomplete beta function, computed in a form that loses no digits for a million events. Numbers that make no
//! sense (a rate of 2, not a number) give an answer at the edge of what is possible, never a panic.

pub mod beta;
pub mod binomial;
pub mod interval;
pub mod quantile;
#[cfg(test)]
mod tests;

/// A probability: what is not a number counts as 0.
pub(crate) fn probability(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}
