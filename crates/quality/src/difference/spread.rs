//! Columns whose values differ from run to run: how they are spread is compared, not which row has which.
//!
//! Nulls and rows are counted. How many different values there are is exact up to [`DIFFERENT`], and beyond estimated from the least hashes (Bar-Yossef and others,
//! 2002; off by some 3 % at most times). Quantiles are of all rows up to [`SAMPLE`] of them, and of as many beyond, chosen by a hash of their place.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use twox_hash::XxHash3_128;

use super::cells::Cells;
use super::schema::Compared;
use super::value::{Datum, decode, tag};
use crate::column::show_float;
use crate::distribution::{Method, percentiles};

/// Different values that are counted exactly.
const DIFFERENT: usize = 4096;
/// Rows that quantiles are of.
const SAMPLE: usize = 16_384;
/// How far shares may be apart by chance once in a thousand comparisons: Kolmogorov's bound, and the normal one.
const CHANCE: f64 = 1.95;
const NORMAL: f64 = 3.3;

/// How the values of a column lie on one side.
#[derive(Debug)]
pub(super) struct Spread {
    rows: u64,
    nulls: u64,
    numbers: u64,
    sum: f64,
    least: BTreeSet<u64>,
    /// Hash of the place and the number, of the least hashes.
    sample: BTreeSet<(u64, u64)>,
    min: Option<(Vec<u8>, Datum)>,
    max: Option<(Vec<u8>, Datum)>,
}

/// What is said of one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpreadNumbers {
    pub rows: u64,
    pub nulls: u64,
    /// Exact up to 4096, an estimate beyond.
    pub distinct: u64,
    pub min: Value,
    pub max: Value,
    /// Of numbers; of texts, bytes and lists of their length.
    pub mean: Value,
}

/// A column of which only the distribution is compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    pub column: String,
    pub left: SpreadNumbers,
    pub right: SpreadNumbers,
    /// Largest difference between the shares of values up to a number (Kolmogorov-Smirnov), from 0 to 1; none where values have no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// What is too far apart, in words; empty when nothing is.
    pub apart: Vec<String>,
}

impl Spread {
    pub(super) fn new() -> Self {
        Self {
            rows: 0,
            nulls: 0,
            numbers: 0,
            sum: 0.0,
            least: BTreeSet::new(),
            sample: BTreeSet::new(),
            min: None,
            max: None,
        }
    }

    /// Takes a row of a column, of a batch at a place of its own.
    pub(super) fn take(&mut self, cells: &Cells, row: usize, place: u64, bytes: &mut Vec<u8>) {
        bytes.clear();
        cells.write(row, &mut Vec::new(), bytes);
        self.rows += 1;
        if bytes.first() == Some(&tag::NULL) {
            self.nulls += 1;
            return;
        }
        keep(&mut self.least, XxHash3_128::oneshot(bytes) as u64, DIFFERENT);
        if let Some(number) = cells.number(row) {
            self.numbers += 1;
            self.sum += number;
            let chosen = XxHash3_128::oneshot_with_seed(place, &row.to_le_bytes()) as u64;
            keep(&mut self.sample, (chosen, number.to_bits()), SAMPLE);
        }
        self.bound(bytes);
    }

    /// Notes the least and the greatest value.
    fn bound(&mut self, bytes: &[u8]) {
        let known = |bound: &Option<(Vec<u8>, Datum)>| bound.as_ref().is_some_and(|(known, _)| known == bytes);
        if known(&self.min) || known(&self.max) {
            return;
        }
        let value = decode(&mut &bytes[..], &mut &[][..]);
        let beyond = |bound: &Option<(Vec<u8>, Datum)>, than: Ordering| {
            bound.as_ref().is_none_or(|(_, bound)| value.order(bound) == than)
        };
        if beyond(&self.min, Ordering::Less) {
            self.min = Some((bytes.to_vec(), value.clone()));
        }
        if beyond(&self.max, Ordering::Greater) {
            self.max = Some((bytes.to_vec(), value));
        }
    }

    pub(super) fn merge(&mut self, more: Self) {
        self.rows += more.rows;
        self.nulls += more.nulls;
        self.numbers += more.numbers;
        self.sum += more.sum;
        for hash in more.least {
            keep(&mut self.least, hash, DIFFERENT);
        }
        for chosen in more.sample {
            keep(&mut self.sample, chosen, SAMPLE);
        }
        for (bytes, _) in [more.min, more.max].into_iter().flatten() {
            self.bound(&bytes);
        }
    }

    fn distinct(&self) -> u64 {
        match self.least.last() {
            Some(last) if self.least.len() == DIFFERENT => {
                ((DIFFERENT - 1) as f64 / (*last as f64 / u64::MAX as f64)) as u64
            }
            _ => self.least.len() as u64,
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.sample.iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn numbers(&self, column: &Compared) -> SpreadNumbers {
        let shown = |bound: &Option<(Vec<u8>, Datum)>| {
            bound
                .as_ref()
                .map_or(Value::Null, |(_, value)| value.show(&column.kind))
        };
        let mean = self.sum / self.numbers as f64;
        SpreadNumbers {
            rows: self.rows,
            nulls: self.nulls,
            distinct: self.distinct(),
            min: shown(&self.min),
            max: shown(&self.max),
            // Threads add in any order, which is seen in the last digits.
            mean: format!("{mean:.9e}")
                .parse::<f64>()
                .ok()
                .filter(|_| self.numbers > 0 && !self.is_moment())
                .map_or(Value::Null, show_float),
        }
    }

    /// Whether its values are dates or times, which go on from run to run.
    fn is_moment(&self) -> bool {
        let first = self.min.as_ref().and_then(|(bytes, _)| bytes.first());
        first.is_some_and(|of| [tag::DATE, tag::TIME, tag::INSTANT, tag::LOCAL].contains(of))
    }
}

fn keep<T: Ord + Copy>(set: &mut BTreeSet<T>, value: T, most: usize) {
    if set.len() < most {
        set.insert(value);
    } else if set.last().is_some_and(|last| value < *last) && set.insert(value) {
        set.pop_last();
    }
}

/// Compares how a column lies on both sides. Shares may be `most` apart, or what chance gives once in a thousand times when that is more. Of dates and times
/// the quantiles and the number of different ones are not judged: a later run has later ones.
pub(super) fn compare(column: &Compared, left: &Spread, right: &Spread, most: f64) -> Distribution {
    let (one, other) = (left.numbers(column), right.numbers(column));
    let (rows, others) = (left.rows as f64, right.rows as f64);
    let mut apart = Vec::new();
    let share = |of: &SpreadNumbers| {
        if of.rows == 0 {
            0.0
        } else {
            of.nulls as f64 / of.rows as f64
        }
    };
    let (nulls, their_nulls) = (share(&one), share(&other));
    let pooled = (one.nulls + other.nulls) as f64 / (rows + others).max(1.0);
    let chance = NORMAL * (pooled * (1.0 - pooled) * (1.0 / rows.max(1.0) + 1.0 / others.max(1.0))).sqrt();
    if (nulls - their_nulls).abs() > most.max(chance) {
        apart.push(format!(
            "{:.1} % are null on the left, {:.1} % on the right",
            nulls * 100.0,
            their_nulls * 100.0
        ));
    }
    let moments = left.is_moment() || right.is_moment();
    let (few, many) = (
        one.distinct.min(other.distinct) as f64,
        one.distinct.max(other.distinct) as f64,
    );
    // As many rows have as many different values; fewer rows may have fewer.
    let scale = (rows.min(others) / rows.max(others).max(1.0)).max(f64::MIN_POSITIVE);
    let missing = 1.0 - few / (many * scale).max(1.0);
    if !moments && many > 0.0 && missing > most.max(2.0 / many.sqrt()) {
        apart.push(format!(
            "{} different values on the left, {} on the right",
            one.distinct, other.distinct
        ));
    }
    let (ours, theirs) = (left.sorted(), right.sorted());
    let distance = (!ours.is_empty() && !theirs.is_empty()).then(|| {
        let (ours, theirs) = (percentiles(&ours), percentiles(&theirs));
        Method::Ks.distance(&[&ours], &theirs)
    });
    if let Some(distance) = distance.filter(|_| !moments) {
        let (n, m) = (ours.len() as f64, theirs.len() as f64);
        if distance > most.max(CHANCE * ((n + m) / (n * m)).sqrt()) {
            apart.push(format!(
                "the shares of values up to a number are up to {distance:.3} apart"
            ));
        }
    }
    Distribution {
        column: column.name.clone(),
        left: one,
        right: other,
        distance,
        apart,
    }
}
