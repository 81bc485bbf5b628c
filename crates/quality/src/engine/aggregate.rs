//! Numbers computed of a column.
//!
//! Whole numbers and decimals are summed exactly in 128 bits; floating-point numbers with the rounding error carried along (Neumaier), and the variance
//! by Welford's recurrence, put together by Chan's. So the order in which row groups are read changes at most the last digit.

use std::collections::HashMap;

use serde_json::Value;

use super::bounds::integers;
use super::rows::number;
use crate::column::{Class, Column, Values, show_decimal, show_float, show_long};
use crate::contract::{Interpolation, Limit, Literal, Metric, Range};
use crate::distribution::CATEGORIES;

/// The least or greatest value.
#[derive(Clone, Debug, PartialEq)]
pub enum Extreme {
    /// A whole number, date, time or timestamp.
    Long(i64),
    Decimal(i128),
    /// A floating-point number; one that is not a number wins over all.
    Float(f64),
    Text(String),
    /// A truth value.
    Bool(bool),
}

/// What is gathered of a column.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    pub rows: u64,
    /// Rows with a value.
    pub values: u64,
    /// Rows whose text is not of the type.
    pub malformed: u64,
    min: Option<Extreme>,
    max: Option<Extreme>,
    whole: i128,
    overflow: bool,
    sum: Compensated,
    mean: f64,
    squares: f64,
    moments: u64,
    /// All values, for medians and quantiles.
    all: Vec<f64>,
    /// How often each text occurs; none any more when they are too many.
    texts: Option<HashMap<Box<str>, u64>>,
    /// True when there were too many different texts.
    crowded: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn total(self) -> f64 {
        // Once infinite, what is lost is not a number.
        if self.sum.is_finite() {
            self.sum + self.lost
        } else {
            self.sum
        }
    }
}

/// What a metric needs gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The least and greatest.
    pub extremes: bool,
    /// Sum and mean.
    pub sum: bool,
    /// Variance.
    pub moments: bool,
    /// All values.
    pub all: bool,
    /// Of a column of texts, how often each occurs instead.
    pub categories: bool,
}

impl Needs {
    /// Of a metric.
    pub fn of(metric: Metric) -> Self {
        let none = Self::default();
        match metric {
            Metric::Min | Metric::Max => Self { extremes: true, ..none },
            Metric::Sum | Metric::Mean => Self { sum: true, ..none },
            Metric::Stdev => Self { moments: true, ..none },
            Metric::Median => Self { all: true, ..none },
            Metric::Rows | Metric::Distinct | Metric::DistinctShare | Metric::NonNullShare => none,
        }
    }

    /// # Errors
    /// When values of a class cannot be gathered so.
    pub fn check(self, class: Class) -> Result<(), String> {
        let numbers = matches!(class, Class::Int | Class::Decimal(_) | Class::Float | Class::Null);
        let ordered = numbers
            || matches!(
                class,
                Class::Text | Class::Bool | Class::Date | Class::Time | Class::Timestamp(..)
            );
        if self.categories && class == Class::Text {
            return Ok(());
        }
        // The share of what is true is a mean, too.
        let countable = numbers || (class == Class::Bool && !self.all);
        if (self.sum || self.moments || self.all) && !countable {
            return Err(format!(
                "the column is {}, and the number is one of numbers",
                class.name()
            ));
        }
        if self.extremes && !ordered {
            return Err(format!("the column is {}, and has no order", class.name()));
        }
        Ok(())
    }
}

impl Gathered {
    /// Takes a batch of a column.
    pub fn take(&mut self, column: &Column, needs: Needs) {
        self.rows += column.len() as u64;
        let malformed = column.malformed_count();
        self.malformed += malformed as u64;
        self.values += (column.len() - column.null_count() - malformed) as u64;
        if needs.extremes {
            self.extremes(column);
        }
        if needs.sum {
            self.sums(column);
        }
        if needs.categories
            && let Values::Text(texts) = &column.values
        {
            let valid = (0..column.len()).filter(|row| column.is_valid(*row));
            self.count(valid.map(|row| (texts.value(row), 1)));
        }
        if needs.moments || needs.all {
            for value in (0..column.len()).filter_map(|row| number(column, row)) {
                if needs.all {
                    self.all.push(value);
                }
                if needs.moments {
                    self.moments += 1;
                    let from_mean = value - self.mean;
                    self.mean += from_mean / self.moments as f64;
                    self.squares += from_mean * (value - self.mean);
                }
            }
        }
    }

    /// Takes rows of which a footer says all that is needed: how many are null, and the least and greatest value.
    pub fn take_footer(&mut self, rows: u64, nulls: u64, extremes: Option<(i64, i64)>, class: Class) {
        self.rows += rows;
        self.values += rows - nulls.min(rows);
        if let Some((min, max)) = extremes {
            let extreme = |value: i64| match class {
                Class::Decimal(_) => Extreme::Decimal(value.into()),
                _ => Extreme::Long(value),
            };
            keep(&mut self.min, extreme(min), false);
            keep(&mut self.max, extreme(max), true);
        }
    }

    fn count<'t>(&mut self, texts: impl Iterator<Item = (&'t str, u64)>) {
        if self.crowded {
            return;
        }
        let counts = self.texts.get_or_insert_default();
        for (text, more) in texts {
            match counts.get_mut(text) {
                Some(count) => *count += more,
                None => {
                    counts.insert(text.into(), more);
                    if counts.len() > CATEGORIES {
                        self.crowded = true;
                        self.texts = None;
                        return;
                    }
                }
            }
        }
    }

    /// How often each text occurs, when that was gathered; none when there are too many.
    pub fn texts(&mut self) -> Option<HashMap<Box<str>, u64>> {
        if self.crowded {
            None
        } else {
            Some(self.texts.take().unwrap_or_default())
        }
    }

    fn extremes(&mut self, column: &Column) {
        let valid = |row: &usize| column.is_valid(*row);
        let rows = 0..column.len();
        let (min, max) = match &column.values {
            Values::Long(values) => {
                let all = || rows.clone().filter(valid).map(|row| values.values()[row]);
                (all().min().map(Extreme::Long), all().max().map(Extreme::Long))
            }
            Values::Decimal(values) => {
                let all = || rows.clone().filter(valid).map(|row| values.values()[row]);
                (all().min().map(Extreme::Decimal), all().max().map(Extreme::Decimal))
            }
            Values::Float(values) => {
                let all = || rows.clone().filter(valid).map(|row| values.values()[row]);
                let worse = |a: f64, b: f64, greater: bool| {
                    if a.is_nan() || b.is_nan() {
                        f64::NAN
                    } else if greater {
                        a.max(b)
                    } else {
                        a.min(b)
                    }
                };
                (
                    all().reduce(|a, b| worse(a, b, false)).map(Extreme::Float),
                    all().reduce(|a, b| worse(a, b, true)).map(Extreme::Float),
                )
            }
            Values::Bool(values) => {
                let all = || rows.clone().filter(valid).map(|row| values.value(row));
                (all().min().map(Extreme::Bool), all().max().map(Extreme::Bool))
            }
            Values::Text(values) => {
                let all = || rows.clone().filter(valid).map(|row| values.value(row));
                let text = |value: &str| Extreme::Text(value.to_owned());
                (all().min().map(text), all().max().map(text))
            }
            Values::Bytes(_) | Values::None => (None, None),
        };
        if let Some(min) = min {
            keep(&mut self.min, min, false);
        }
        if let Some(max) = max {
            keep(&mut self.max, max, true);
        }
    }

    fn sums(&mut self, column: &Column) {
        let valid = |row: &usize| column.is_valid(*row);
        let rows = (0..column.len()).filter(valid);
        match &column.values {
            Values::Long(values) => rows.for_each(|row| self.whole += i128::from(values.values()[row])),
            Values::Decimal(values) => rows.for_each(|row| match self.whole.checked_add(values.values()[row]) {
                Some(sum) => self.whole = sum,
                None => self.overflow = true,
            }),
            Values::Float(values) => rows.for_each(|row| self.sum.add(values.values()[row])),
            Values::Bool(values) => rows.for_each(|row| self.whole += i128::from(values.value(row))),
            _ => {}
        }
    }

    /// Takes what another thread gathered.
    pub fn merge(&mut self, mut other: Self) {
        self.rows += other.rows;
        self.values += other.values;
        self.malformed += other.malformed;
        if let Some(min) = other.min.take() {
            keep(&mut self.min, min, false);
        }
        if let Some(max) = other.max.take() {
            keep(&mut self.max, max, true);
        }
        match self.whole.checked_add(other.whole) {
            Some(sum) => self.whole = sum,
            None => self.overflow = true,
        }
        self.overflow |= other.overflow;
        self.sum.add(other.sum.sum);
        self.sum.lost += other.sum.lost;
        if other.moments > 0 {
            let (one, two) = (self.moments as f64, other.moments as f64);
            let from_mean = other.mean - self.mean;
            self.mean += from_mean * two / (one + two);
            self.squares += other.squares + from_mean * from_mean * one * two / (one + two);
            self.moments += other.moments;
        }
        self.all.append(&mut other.all);
        self.crowded |= other.crowded;
        if let Some(texts) = other.texts.take() {
            self.count(texts.iter().map(|(text, count)| (text.as_ref(), *count)));
        }
    }

    /// The least or greatest value.
    pub fn extreme(&self, greatest: bool) -> Option<&Extreme> {
        if greatest { self.max.as_ref() } else { self.min.as_ref() }
    }

    /// A metric as a floating-point number; none when there is none of so few values.
    pub fn number(&mut self, metric: Metric, class: Class) -> Option<f64> {
        let scale = match class {
            Class::Decimal(scale) => 10_f64.powi(i32::from(scale)),
            _ => 1.0,
        };
        let sum = || {
            if class == Class::Float {
                self.sum.total()
            } else {
                self.whole as f64 / scale
            }
        };
        match metric {
            Metric::Rows => Some(self.rows as f64),
            Metric::NonNullShare if self.rows == 0 => Some(0.0),
            Metric::NonNullShare => Some((self.values + self.malformed) as f64 / self.rows as f64),
            _ if self.overflow => None,
            Metric::Sum => Some(sum()),
            Metric::Mean if self.values > 0 => Some(sum() / self.values as f64),
            Metric::Stdev if self.moments > 1 => Some((self.squares / (self.moments - 1) as f64).sqrt()),
            Metric::Median => self.median(),
            Metric::Min | Metric::Max => match self.extreme(metric == Metric::Max)? {
                Extreme::Long(value) => Some(*value as f64),
                Extreme::Decimal(value) => Some(*value as f64 / scale),
                Extreme::Float(value) => Some(*value),
                Extreme::Bool(value) => Some(f64::from(u8::from(*value))),
                Extreme::Text(_) => None,
            },
            _ => None,
        }
    }

    fn median(&mut self) -> Option<f64> {
        let count = self.all.len();
        let upper = self.nearest(count / 2)?;
        if count % 2 == 1 {
            return Some(upper);
        }
        let below = self.all[..count / 2].iter().copied().max_by(f64::total_cmp)?;
        Some((below + upper) / 2.0)
    }

    /// The value at a position of the sorted values.
    fn nearest(&mut self, position: usize) -> Option<f64> {
        (position < self.all.len()).then(|| *self.all.select_nth_unstable_by(position, f64::total_cmp).1)
    }

    /// The percentiles of all values.
    pub fn percentiles(&mut self) -> Vec<f64> {
        self.all.sort_unstable_by(f64::total_cmp);
        crate::distribution::percentiles(&self.all)
    }

    /// A quantile: what is at its place among the sorted values.
    pub fn quantile(&mut self, quantile: f64, between: Interpolation) -> Option<f64> {
        let place = quantile * self.all.len().checked_sub(1)? as f64;
        let (below, above) = (place.floor(), place.ceil());
        match between {
            Interpolation::Nearest => self.nearest(place.round_ties_even() as usize),
            Interpolation::Lower => self.nearest(below as usize),
            Interpolation::Higher => self.nearest(above as usize),
            Interpolation::Midpoint if below == above => self.nearest(below as usize),
            Interpolation::Midpoint => Some((self.nearest(below as usize)? + self.nearest(above as usize)?) / 2.0),
            Interpolation::Linear => {
                let (low, high) = (self.nearest(below as usize)?, self.nearest(above as usize)?);
                Some(low + (high - low) * (place - below))
            }
        }
    }

    /// All values as floating-point numbers, when they were gathered.
    pub fn values(&self) -> &[f64] {
        &self.all
    }

    /// Mean and standard deviation of the sample, when moments were gathered of two values at least.
    pub fn deviation(&self) -> Option<(f64, f64)> {
        (self.moments > 1).then(|| (self.mean, (self.squares / (self.moments - 1) as f64).sqrt()))
    }
}

fn keep(kept: &mut Option<Extreme>, value: Extreme, greatest: bool) {
    let replaces = match (&*kept, &value) {
        (None, _) => true,
        (Some(Extreme::Float(old)), Extreme::Float(new)) => {
            new.is_nan() || (if greatest { new > old } else { new < old })
        }
        (Some(Extreme::Long(old)), Extreme::Long(new)) => {
            if greatest {
                new > old
            } else {
                new < old
            }
        }
        (Some(Extreme::Decimal(old)), Extreme::Decimal(new)) => {
            if greatest {
                new > old
            } else {
                new < old
            }
        }
        (Some(Extreme::Bool(old)), Extreme::Bool(new)) => {
            if greatest {
                new > old
            } else {
                new < old
            }
        }
        (Some(Extreme::Text(old)), Extreme::Text(new)) => {
            if greatest {
                new > old
            } else {
                new < old
            }
        }
        _ => false,
    };
    if replaces {
        *kept = Some(value);
    }
}

impl Extreme {
    /// For people.
    pub fn show(&self, class: Class) -> Value {
        match (self, class) {
            (Self::Long(value), class) => show_long(class, *value),
            (Self::Decimal(value), Class::Decimal(scale)) => show_decimal(*value, scale).into(),
            (Self::Decimal(value), _) => value.to_string().into(),
            (Self::Float(value), _) => show_float(*value),
            (Self::Text(value), _) => value.clone().into(),
            (Self::Bool(value), _) => (*value).into(),
        }
    }

    /// Whether it lies in a range.
    ///
    /// # Errors
    /// When the range is not of its class.
    pub fn within(&self, range: &Range, class: Class) -> Result<bool, String> {
        let mismatch = || format!("the column is {}, and the range {range} is not of it", class.name());
        Ok(match self {
            Self::Long(value) => {
                let (low, high) = integers(range, class)?;
                (low..=high).contains(&i128::from(*value))
            }
            Self::Decimal(value) => {
                let (low, high) = integers(range, class)?;
                (low..=high).contains(value)
            }
            Self::Float(value) => limit(range).ok_or_else(mismatch)?.holds(*value),
            Self::Bool(value) => limit(range).ok_or_else(mismatch)?.holds(f64::from(u8::from(*value))),
            Self::Text(value) => {
                let end = |literal: &Option<Literal>| match literal {
                    None => Ok(None),
                    Some(Literal::Text(text)) => Ok(Some(text.clone())),
                    Some(_) => Err(mismatch()),
                };
                let (min, max) = (end(&range.min)?, end(&range.max)?);
                let above = min.is_none_or(|min| if range.strict_min { *value > min } else { *value >= min });
                let below = max.is_none_or(|max| if range.strict_max { *value < max } else { *value <= max });
                above && below
            }
        })
    }
}

fn limit(range: &Range) -> Option<Limit> {
    range.as_limit()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int64Array};

    use super::*;

    const ALL: Needs = Needs {
        extremes: true,
        sum: true,
        moments: true,
        all: true,
        categories: false,
    };

    fn gathered(arrays: Vec<ArrayRef>) -> (Gathered, Class) {
        let mut all = Gathered::default();
        let mut class = Class::Null;
        for array in arrays {
            let column = Column::of(&array, array.data_type(), false).unwrap();
            class = column.class;
            let mut one = Gathered::default();
            one.take(&column, ALL);
            all.merge(one);
        }
        (all, class)
    }

    #[test]
    fn numbers_of_parts_are_those_of_the_whole() {
        let parts: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(2), None, Some(4), Some(4)])),
            Arc::new(Int64Array::from(vec![Some(4), Some(5), Some(5), Some(7), Some(9)])),
        ];
        let (mut found, class) = gathered(parts);
        let expected = [
            (Metric::Rows, 9.0),
            (Metric::Min, 2.0),
            (Metric::Max, 9.0),
            (Metric::Sum, 40.0),
            (Metric::Mean, 5.0),
            (Metric::Stdev, (32.0_f64 / 7.0).sqrt()),
            (Metric::Median, 4.5),
            (Metric::NonNullShare, 8.0 / 9.0),
        ];
        for (metric, value) in expected {
            assert!(
                (found.number(metric, class).unwrap() - value).abs() < 1e-12,
                "{metric:?}"
            );
        }
        assert_eq!(found.quantile(0.5, Interpolation::Nearest), Some(5.0));
        assert_eq!(found.quantile(0.0, Interpolation::Nearest), Some(2.0));
    }

    #[test]
    fn nothing_has_no_numbers() {
        let (mut found, class) = gathered(vec![Arc::new(Float64Array::from(vec![None, None]))]);
        for metric in [Metric::Min, Metric::Mean, Metric::Stdev, Metric::Median] {
            assert_eq!(found.number(metric, class), None, "{metric:?}");
        }
        assert_eq!(found.number(Metric::Sum, class), Some(0.0));
        assert_eq!(found.quantile(0.5, Interpolation::Nearest), None);
    }

    #[test]
    fn small_numbers_are_not_lost_beside_large_ones() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1e16, 1.0, -1e16]));
        let (mut found, class) = gathered(vec![floats]);
        assert_eq!(found.number(Metric::Sum, class), Some(1.0));
        let decimals = Decimal128Array::from(vec![150, -25])
            .with_precision_and_scale(10, 2)
            .unwrap();
        let (mut found, class) = gathered(vec![Arc::new(decimals)]);
        assert_eq!(found.number(Metric::Sum, class), Some(1.25));
        assert_eq!(found.extreme(true).unwrap().show(class), serde_json::json!("1.50"));
    }
}
