//! Whether the numbers of a column lie, or its texts are spread, as they did in earlier runs.
//!
//! Of each run a history keeps 101 numbers, the percentiles. Between them the share of values up to a number is taken to grow in proportion; so it is known to
//! a hundredth, whatever the number of rows. Earlier runs count alike.
//!
//! - The population stability index compares shares in ten bins that hold a tenth of the earlier values each: the sum of `(now - then) * ln(now / then)`. Below
//!   0.1 little has changed, above 0.2 or 0.25 much; no share is taken as less than 0.0001. Source: Siddiqi, Credit Risk Scorecards (2006).
//! - The Kolmogorov-Smirnov distance is the largest difference between the shares of values up to a number, then and now: from 0 to 1.

use std::collections::BTreeMap;
use std::fmt;

/// Percentiles that are kept, the smallest and the largest value among them.
pub const POINTS: usize = 101;
/// Bins of the index.
const BINS: usize = 10;
/// The least share of a bin.
const FLOOR: f64 = 0.0001;
/// Most different texts of a column of categories.
pub const CATEGORIES: usize = 10_000;
/// Categories whose shares are kept of a run, the most frequent ones.
const KEPT: usize = 50;
/// Categories that are compared, those that were the most frequent; all others are one more.
const COMPARED: usize = 20;

/// The shares of the most frequent of counted texts.
pub fn shares(counts: impl Iterator<Item = (Box<str>, u64)>) -> BTreeMap<String, f64> {
    let mut counts: Vec<(Box<str>, u64)> = counts.collect();
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    counts.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
    counts.truncate(KEPT);
    let share = |(text, count): (Box<str>, u64)| (text.into_string(), count as f64 / all as f64);
    counts.into_iter().map(share).collect()
}

/// The population stability index of categories, given by their shares; infinite when there are none now or before.
pub fn of_categories(earlier: &[&BTreeMap<String, f64>], now: &BTreeMap<String, f64>) -> f64 {
    if now.is_empty() || earlier.iter().all(|run| run.is_empty()) {
        return f64::INFINITY;
    }
    let mut before: BTreeMap<&str, f64> = BTreeMap::new();
    for (text, share) in earlier.iter().flat_map(|run| run.iter()) {
        *before.entry(text).or_default() += share / earlier.len() as f64;
    }
    let mut before: Vec<(&str, f64)> = before.into_iter().collect();
    before.sort_by(|(one, few), (other, many)| many.total_cmp(few).then_with(|| one.cmp(other)));
    before.truncate(COMPARED);
    let mut pairs: Vec<(f64, f64)> = before
        .iter()
        .map(|(text, then)| (*then, now.get(*text).copied().unwrap_or(0.0)))
        .collect();
    let known = pairs
        .iter()
        .fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    pairs.push((1.0 - known.0, 1.0 - known.1));
    let part = |(then, now): (f64, f64)| {
        let (then, now) = (then.max(FLOOR), now.max(FLOOR));
        (now - then) * (now / then).ln()
    };
    pairs.into_iter().map(part).sum()
}

/// How distributions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The population stability index.
    Psi,
    /// The Kolmogorov-Smirnov distance.
    Ks,
}

impl Method {
    /// What is too far when no one says.
    #[must_use]
    pub fn usual_threshold(self) -> f64 {
        match self {
            Method::Psi => 0.2,
            Method::Ks => 0.1,
        }
    }

    /// How far the numbers now are from those of earlier runs, each given by its percentiles; infinite when one of them is empty.
    #[must_use]
    pub fn distance(self, earlier: &[&[f64]], now: &[f64]) -> f64 {
        let mut pooled: Vec<f64> = earlier.iter().flat_map(|run| run.iter().copied()).collect();
        if pooled.is_empty() || now.is_empty() {
            return f64::INFINITY;
        }
        pooled.sort_by(f64::total_cmp);
        let then = |number: f64| {
            let shares: f64 = earlier.iter().map(|run| share(run, number)).sum();
            shares / earlier.len() as f64
        };
        match self {
            Method::Psi => {
                let ends = (1..BINS).map(|bin| pooled[bin * pooled.len() / BINS]);
                let mut ends: Vec<f64> = ends.collect();
                ends.dedup();
                let mut before = (0.0, 0.0);
                let mut index = 0.0;
                for end in ends.into_iter().map(Some).chain([None]) {
                    let up_to = end.map_or((1.0, 1.0), |end| (then(end), share(now, end)));
                    let (then, now) = ((up_to.0 - before.0).max(FLOOR), (up_to.1 - before.1).max(FLOOR));
                    index += (now - then) * (now / then).ln();
                    before = up_to;
                }
                index
            }
            Method::Ks => {
                let places = pooled.iter().chain(now);
                places
                    .map(|place| (then(*place) - share(now, *place)).abs())
                    .fold(0.0, f64::max)
            }
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Psi => "population stability index",
            Method::Ks => "Kolmogorov-Smirnov distance",
        })
    }
}

/// The percentiles of sorted values, in proportion between two; empty when there are none.
#[must_use]
pub fn percentiles(sorted: &[f64]) -> Vec<f64> {
    let Some(last) = sorted.len().checked_sub(1) else {
        return Vec::new();
    };
    let of = |point: usize| {
        let place = point as f64 / (POINTS - 1) as f64 * last as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        if below == above {
            below
        } else {
            below + (above - below) * place.fract()
        }
    };
    (0..POINTS).map(of).collect()
}

/// The share of values up to a number, by percentiles.
fn share(percentiles: &[f64], number: f64) -> f64 {
    let below = percentiles.partition_point(|point| *point <= number);
    if below == 0 || below == percentiles.len() {
        return if below == 0 { 0.0 } else { 1.0 };
    }
    let (low, high) = (percentiles[below - 1], percentiles[below]);
    let part = (number - low) / (high - low);
    (below as f64 - 1.0 + part) / (percentiles.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_compared_by_their_shares() {
        let of = |counts: &[(&str, u64)]| shares(counts.iter().map(|(text, count)| ((*text).into(), *count)));
        let usual = of(&[("DE", 50), ("FR", 30), ("US", 20)]);
        assert_eq!(usual["DE"], 0.5);
        assert_eq!(of_categories(&[&usual, &usual], &usual), 0.0);
        let little = of(&[("DE", 52), ("FR", 29), ("US", 19)]);
        assert!(of_categories(&[&usual], &little) < 0.01);
        // By hand: 0.3 * ln(0.8 / 0.5) + -0.2 * ln(0.1 / 0.3) + -0.1 * ln(0.1 / 0.2).
        let much = of(&[("DE", 80), ("FR", 10), ("US", 10)]);
        assert!((of_categories(&[&usual], &much) - 0.430_038_6).abs() < 1e-6);
        // A text that is new is of the rest.
        assert!(of_categories(&[&usual], &of(&[("XX", 1)])) > 1.0);
        assert_eq!(of_categories(&[&usual], &of(&[])), f64::INFINITY);
        // What is rare is one group, whatever it is.
        let tail = |name: &str| {
            let rare: Vec<(Box<str>, u64)> = (0..200).map(|at| (format!("{name}{at}").into(), 1)).collect();
            shares(rare.into_iter().chain([("DE".into(), 10_000)]))
        };
        assert_eq!(tail("a").len(), 50);
        assert!(of_categories(&[&tail("a")], &tail("b")) < 0.02);
    }

    fn of(values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        percentiles(&values)
    }

    fn near(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by, "{found} and not {expected}");
    }

    #[test]
    fn the_same_is_not_far_whatever_its_size() {
        let then = of((0..10_000).map(f64::from));
        let now = of((0..1_000).map(|value| f64::from(value) * 10.0));
        near(Method::Psi.distance(&[&then], &now), 0.0, 0.001);
        near(Method::Ks.distance(&[&then], &now), 0.0, 0.002);
    }

    #[test]
    fn shifts_are_as_far_as_they_are() {
        // Uniform over [0, 1] and over [0.1, 1.1]: a tenth has left at the bottom and come at the top.
        let then = of((0..=10_000).map(|value| f64::from(value) / 10_000.0));
        let now = of((0..=10_000).map(|value| f64::from(value) / 10_000.0 + 0.1));
        near(Method::Ks.distance(&[&then], &now), 0.1, 0.002);
        // The lowest bin has nothing (0.0001) where it had a tenth, the highest two tenths where it had one.
        let expected = (0.0001_f64 - 0.1) * (0.0001_f64 / 0.1).ln() + (0.2 - 0.1) * (2.0_f64).ln();
        near(Method::Psi.distance(&[&then], &now), expected, 0.01);
        // Half of the values have doubled.
        let mixed = of((0..=10_000).map(|value| f64::from(value) / 10_000.0 * if value % 2 == 0 { 2.0 } else { 1.0 }));
        near(Method::Ks.distance(&[&then], &mixed), 0.25, 0.003);
    }

    #[test]
    fn few_different_values_are_steps() {
        let flags = |ones: usize| of((0..1000).map(move |value| if value < ones { 1.0 } else { 0.0 }));
        near(Method::Ks.distance(&[&flags(300)], &flags(500)), 0.2, 0.011);
        near(Method::Ks.distance(&[&flags(300)], &flags(300)), 0.0, 1e-9);
        let expected = (0.5_f64 - 0.7) * (0.5_f64 / 0.7).ln() + (0.5_f64 - 0.3) * (0.5_f64 / 0.3).ln();
        near(Method::Psi.distance(&[&flags(300)], &flags(500)), expected, 0.02);
        let constant = of([7.0; 50].into_iter());
        near(Method::Psi.distance(&[&constant], &constant), 0.0, 1e-9);
        assert!(Method::Psi.distance(&[&constant], &of([8.0; 50].into_iter())) > 1.0);
    }

    #[test]
    fn earlier_runs_count_alike_and_nothing_is_far_from_everything() {
        let low = of((0..100).map(f64::from));
        let high = of((100..200).map(f64::from));
        let both = of((0..200).map(f64::from));
        near(Method::Ks.distance(&[&low, &high], &both), 0.0, 0.01);
        assert!(Method::Ks.distance(&[&low], &[]).is_infinite());
        assert!(Method::Psi.distance(&[], &low).is_infinite());
        assert_eq!(percentiles(&[]), Vec::<f64>::new());
        assert_eq!(percentiles(&[3.0])[50], 3.0);
    }
}
