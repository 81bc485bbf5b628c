//! The regularised incomplete beta function and its inverse.
//!
//! The density in front of the continued fraction is computed from deviances (C. Loader, "Fast and accurate computation of binomial probabilities",
//! 2000), since the difference of three logarithms of gamma functions loses six digits at a million.

use std::f64::consts::PI;

/// Terms of the continued fraction at most; near the middle it takes some `4 sqrt(a + b)`.
const TERMS: u32 = 200_000;
/// A number in place of a zero that would be divided by.
const TINY: f64 = 1e-300;

/// What Stirling's approximation of `ln Γ(x + 1)` leaves out.
fn stirling_rest(x: f64) -> f64 {
    let mut rest = 0.0;
    let mut x = x;
    while x < 16.0 {
        // The difference of two neighbours.
        rest += (x + 0.5) * (1.0 / x).ln_1p() - 1.0;
        x += 1.0;
    }
    let square = x * x;
    rest + (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / x
}

/// `x ln(x / mean) + mean - x`, also where both are nearly the same.
fn deviance(x: f64, mean: f64) -> f64 {
    let difference = x - mean;
    if difference.abs() < 0.1 * (x + mean) {
        let ratio = difference / (x + mean);
        let mut sum = difference * ratio;
        let mut term = 2.0 * x * ratio;
        for odd in 1..1000 {
            term *= ratio * ratio;
            let next = sum + term / f64::from(2 * odd + 1);
            if next == sum {
                break;
            }
            sum = next;
        }
        return sum;
    }
    x * (x / mean).ln() + mean - x
}

/// `x^a (1 - x)^b / B(a, b)`.
fn density(a: f64, b: f64, x: f64) -> f64 {
    let n = a + b;
    let rest = stirling_rest(n) - stirling_rest(a) - stirling_rest(b);
    let logarithm = rest - deviance(a, n * x) - deviance(b, n * (1.0 - x));
    logarithm.exp() * (n / (2.0 * PI * a * b)).sqrt() * (a * b / n)
}

/// The continued fraction (modified Lentz), for `x` below the middle.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away = |number: f64| if number.abs() < TINY { TINY } else { number };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for term in 1..TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let factor = d * c;
        value *= factor;
        if (factor - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The probability that a beta variable of these parameters is at most `x`. Parameters that are not positive give the nearest limit.
#[must_use]
pub fn below(a: f64, b: f64, x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 || b.is_nan() || a.is_nan() {
        return 0.0;
    }
    if x >= 1.0 || a <= 0.0 {
        return 1.0;
    }
    if b <= 0.0 {
        return 0.0;
    }
    if !(a.is_finite() && b.is_finite()) {
        return if a > b { 0.0 } else { 1.0 };
    }
    let value = if x < (a + 1.0) / (a + b + 2.0) {
        density(a, b, x) * fraction(a, b, x) / a
    } else {
        1.0 - density(b, a, 1.0 - x) * fraction(b, a, 1.0 - x) / b
    };
    super::probability(value)
}

/// The `x` below which a beta variable of these parameters is with this probability.
#[must_use]
pub fn quantile(a: f64, b: f64, probability: f64) -> f64 {
    let wanted = super::probability(probability);
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Halving until two neighbours: each step costs one continued fraction.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if below(a, b, middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
        if high - low < 1e-15 * high {
            break;
        }
    }
    0.5 * (low + high)
}
