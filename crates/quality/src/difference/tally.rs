//! Rows that are found by the same are put together, and what differs is counted.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::pairing::{TooNear, pair};
use super::schema::Plan;
use super::spill::{Record, records};
use super::tolerance::Tolerance;
use super::value::{Datum, decode, extent, lexical};

/// Differences that are listed.
pub const EXAMPLES: usize = 20;
/// Characters of a text that are shown.
const SHOWN: usize = 120;

/// Numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowCounts {
    /// On the left.
    pub left: u64,
    pub right: u64,
    /// Rows of the left that are on the right.
    pub equal: u64,
    /// Only on the left.
    pub lost: u64,
    /// Only on the right.
    pub added: u64,
    /// Rows of one key with other values; without keys none are.
    pub changed: u64,
    /// Of lost and added ones those that the other side has, but less often.
    pub repeated: u64,
}

/// Of a column of rows that belong together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnCounts {
    pub column: String,
    /// Rows in which it differs.
    pub changed: u64,
    /// Rows in which it differs within the tolerance.
    pub within_tolerance: u64,
    /// The largest difference within the tolerance.
    pub largest_within: f64,
}

/// A difference of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Example {
    /// A row of a key with other values.
    Changed {
        key: Map<String, Value>,
        /// By column: what is on the left, and on the right.
        values: BTreeMap<String, [Value; 2]>,
    },
    /// A row that is only on the left, or more often.
    Lost(OneSided),
    /// A row that is only on the right, or more often.
    Added(OneSided),
}

/// A row that is missing on the other side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneSided {
    pub row: Map<String, Value>,
    /// How often it is on the left.
    pub left: u64,
    pub right: u64,
}

/// The first ones of some kind, by the order of their values.
#[derive(Debug, Default)]
struct First(Vec<(Vec<Datum>, Example)>);

impl First {
    fn put(&mut self, order: Vec<Datum>, example: impl FnOnce() -> Example) {
        let at = self
            .0
            .partition_point(|(known, _)| lexical(known, &order) == Ordering::Less);
        if at < EXAMPLES {
            self.0.insert(at, (order, example()));
            self.0.truncate(EXAMPLES);
        }
    }

    fn merge(&mut self, more: Self) {
        self.0.extend(more.0);
        self.0.sort_by(|(one, _), (other, _)| lexical(one, other));
        self.0.truncate(EXAMPLES);
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub rows: RowCounts,
    /// Keys that more than one row of the left has.
    pub repeated_left: u64,
    pub repeated_right: u64,
    columns: Vec<(u64, u64, f64)>,
    changed: First,
    lost: First,
    added: First,
}

impl Tally {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            columns: vec![(0, 0, 0.0); plan.rows],
            ..Self::default()
        }
    }

    pub(super) fn merge(&mut self, more: Self) {
        self.rows.equal += more.rows.equal;
        self.rows.lost += more.rows.lost;
        self.rows.added += more.rows.added;
        self.rows.changed += more.rows.changed;
        self.rows.repeated += more.rows.repeated;
        self.repeated_left += more.repeated_left;
        self.repeated_right += more.repeated_right;
        for ((changed, within, largest), (more, others, other)) in self.columns.iter_mut().zip(more.columns) {
            *changed += more;
            *within += others;
            *largest = largest.max(other);
        }
        self.changed.merge(more.changed);
        self.lost.merge(more.lost);
        self.added.merge(more.added);
    }

    /// The columns that differ in some row.
    pub(super) fn columns(&self, plan: &Plan) -> Vec<ColumnCounts> {
        let named = plan.columns.iter().zip(&self.columns);
        let differing = named.filter(|(_, (changed, within, _))| *changed + *within > 0);
        let counts = differing.map(|(column, (changed, within, largest))| ColumnCounts {
            column: column.name.clone(),
            changed: *changed,
            within_tolerance: *within,
            largest_within: *largest,
        });
        counts.collect()
    }

    /// The first differences: of each kind in turn, so that all kinds are there.
    pub(super) fn examples(self) -> Vec<Example> {
        let mut kinds =
            [self.changed.0, self.lost.0, self.added.0].map(|kind| kind.into_iter().map(|(_, example)| example));
        let mut taken: [Vec<Example>; 3] = Default::default();
        let mut left = EXAMPLES;
        while left > 0 {
            let before = left;
            for (kind, taken) in kinds.iter_mut().zip(&mut taken) {
                if left > 0
                    && let Some(example) = kind.next()
                {
                    taken.push(example);
                    left -= 1;
                }
            }
            if before == left {
                break;
            }
        }
        taken.into_iter().flatten().collect()
    }

    /// Takes all rows of a part, of both sides.
    ///
    /// # Errors
    /// When too many rows are near each other.
    pub(super) fn part(&mut self, plan: &Plan, left: &[u8], right: &[u8]) -> Result<(), TooNear> {
        let sorted = |bytes| {
            let mut rows: Vec<Record<'_>> = records(bytes).collect();
            rows.sort_unstable_by(|one, other| {
                one.group
                    .cmp(&other.group)
                    .then_with(|| one.content().cmp(&other.content()))
            });
            rows
        };
        let (left, right) = (sorted(left), sorted(right));
        let (mut ours, mut theirs) = (&left[..], &right[..]);
        loop {
            let group = match (ours.first(), theirs.first()) {
                (Some(one), Some(other)) => one.group.min(other.group),
                (Some(one), None) | (None, Some(one)) => one.group,
                (None, None) => return Ok(()),
            };
            let (one, rest) = ours.split_at(ours.partition_point(|row| row.group == group));
            ours = rest;
            let (other, rest) = theirs.split_at(theirs.partition_point(|row| row.group == group));
            theirs = rest;
            if plan.keys > 0 {
                self.key(plan, one, other)?;
            } else {
                let (alone, others) = self.alike(plan, one, other)?;
                let counts = (one.len() as u64, other.len() as u64);
                self.one_sided(plan, &alone, &others, counts);
            }
        }
    }

    /// Rows that are all the same: `left` of them on the left and `right` on the right.
    pub(super) fn same(&mut self, plan: &Plan, row: &Record<'_>, left: u64, right: u64) {
        self.rows.equal += left.min(right);
        let more = left.abs_diff(right);
        if more == 0 {
            return;
        }
        if left.min(right) > 0 {
            self.rows.repeated += more;
        }
        let of = if left > right {
            &mut self.rows.lost
        } else {
            &mut self.rows.added
        };
        *of += more;
        self.list(plan, row, left, right, left > right);
    }

    /// Rows of one key.
    fn key(&mut self, plan: &Plan, left: &[Record<'_>], right: &[Record<'_>]) -> Result<(), TooNear> {
        self.repeated_left += u64::from(left.len() > 1);
        self.repeated_right += u64::from(right.len() > 1);
        if let ([one], [other]) = (left, right) {
            self.compare(plan, one, other);
            return Ok(());
        }
        if left.is_empty() || right.is_empty() {
            self.one_sided(plan, left, right, (left.len() as u64, right.len() as u64));
            return Ok(());
        }
        // Rows that are the same belong together first; those that are left are put together in their order.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut one, mut other) = (left, right);
        while !one.is_empty() || !other.is_empty() {
            let bytes = match (one.first(), other.first()) {
                (Some(one), Some(other)) => one.bytes.min(other.bytes),
                (Some(row), None) | (None, Some(row)) => row.bytes,
                (None, None) => break,
            };
            let (some, rest) = one.split_at(one.partition_point(|row| row.bytes == bytes));
            one = rest;
            let (others, rest) = other.split_at(other.partition_point(|row| row.bytes == bytes));
            other = rest;
            let (alone, without) = self.alike(plan, some, others)?;
            ours.extend(alone);
            theirs.extend(without);
        }
        let pairs = ours.len().min(theirs.len());
        for (one, other) in ours.iter().zip(&theirs) {
            self.compare(plan, one, other);
        }
        self.one_sided(
            plan,
            &ours[pairs..],
            &theirs[pairs..],
            (left.len() as u64, right.len() as u64),
        );
        Ok(())
    }

    /// Puts rows together that have the same bytes; those without a partner come back.
    fn alike<'a>(
        &mut self,
        plan: &Plan,
        left: &[Record<'a>],
        right: &[Record<'a>],
    ) -> Result<(Vec<Record<'a>>, Vec<Record<'a>>), TooNear> {
        let Some(first) = left.first().filter(|_| !right.is_empty()) else {
            return Ok((left.to_vec(), right.to_vec()));
        };
        let owners = owners(plan, first);
        let tolerances: Vec<Tolerance> = owners.iter().map(|column| plan.columns[*column].tolerance).collect();
        let numbers = |rows: &[Record<'_>]| -> Vec<Vec<f64>> { rows.iter().map(Record::floats).collect() };
        let (ours, theirs) = (numbers(left), numbers(right));
        let pairs = pair(&ours, &theirs, &tolerances)?;
        self.rows.equal += pairs.len() as u64;
        let (mut with, mut having) = (vec![false; left.len()], vec![false; right.len()]);
        for (one, other) in pairs {
            with[one] = true;
            having[other] = true;
            let apart = ours[one]
                .iter()
                .zip(&theirs[other])
                .map(|(one, other)| (one - other).abs());
            let mut before = None;
            for (column, apart) in owners.iter().zip(apart).filter(|(_, apart)| *apart > 0.0) {
                let (_, within, largest) = &mut self.columns[*column];
                *within += u64::from(before != Some(column));
                *largest = largest.max(apart);
                before = Some(column);
            }
        }
        let without = |rows: &[Record<'a>], with: &[bool]| -> Vec<Record<'a>> {
            let pairs = rows.iter().zip(with);
            pairs.filter(|(_, with)| !**with).map(|(row, _)| *row).collect()
        };
        Ok((without(left, &with), without(right, &having)))
    }

    /// Rows without a partner. `counts` say how many rows there are that they are found among.
    fn one_sided(&mut self, plan: &Plan, left: &[Record<'_>], right: &[Record<'_>], counts: (u64, u64)) {
        if plan.keys == 0 && counts.0.min(counts.1) > 0 && left.iter().chain(right).all(|row| row.floats().is_empty()) {
            self.rows.repeated += (left.len() + right.len()) as u64;
        }
        self.rows.lost += left.len() as u64;
        self.rows.added += right.len() as u64;
        for (rows, (on_left, on_right)) in [(left, (1, 0)), (right, (0, 1))] {
            let mut rest = rows;
            while let Some(first) = rest.first() {
                let (same, others) = rest.split_at(rest.partition_point(|row| row.same(first)));
                rest = others;
                let exact = plan.keys == 0 && first.floats().is_empty();
                let number = same.len() as u64;
                let (one, other) = if exact {
                    counts
                } else {
                    (on_left * number, on_right * number)
                };
                self.list(plan, first, one, other, on_left > 0);
            }
        }
    }

    fn list(&mut self, plan: &Plan, row: &Record<'_>, left: u64, right: u64, lost: bool) {
        let values = values(row, plan.rows);
        let kind = if lost { &mut self.lost } else { &mut self.added };
        let order = values.clone();
        kind.put(order, || {
            let shown = values.iter().zip(&plan.columns);
            let row = shown.map(|(value, column)| (column.name.clone(), shortened(value.show(&column.kind))));
            let one = OneSided {
                row: row.collect(),
                left,
                right,
            };
            if lost { Example::Lost(one) } else { Example::Added(one) }
        });
    }

    /// Compares two rows column by column.
    fn compare(&mut self, plan: &Plan, left: &Record<'_>, right: &Record<'_>) {
        if left.same(right) {
            self.rows.equal += 1;
            return;
        }
        let (numbers, others) = (left.floats(), right.floats());
        let (mut one, mut other) = (left.bytes, right.bytes);
        let (mut ours, mut theirs) = (&numbers[..], &others[..]);
        let mut differing = Vec::new();
        for (position, column) in plan.columns[..plan.rows].iter().enumerate() {
            let ((end, count), (stop, number)) = (extent(one), extent(other));
            let (value, rest) = one.split_at(end);
            one = rest;
            let (another, rest) = other.split_at(stop);
            other = rest;
            let (floats, rest) = ours.split_at_checked(count).unwrap_or((ours, &[]));
            ours = rest;
            let (more, rest) = theirs.split_at_checked(number).unwrap_or((theirs, &[]));
            theirs = rest;
            let near = value == another
                && floats
                    .iter()
                    .zip(more)
                    .all(|(one, other)| column.tolerance.near(*one, *other));
            let (changed, within, largest) = &mut self.columns[position];
            if !near {
                *changed += 1;
                differing.push((position, (value, floats), (another, more)));
            } else {
                let apart = floats
                    .iter()
                    .zip(more)
                    .map(|(one, other)| (one - other).abs())
                    .fold(0.0, f64::max);
                *within += u64::from(apart > 0.0);
                *largest = largest.max(apart);
            }
        }
        if differing.is_empty() {
            self.rows.equal += 1;
            return;
        }
        self.rows.changed += 1;
        let key = values(left, plan.keys);
        self.changed.put(key.clone(), || {
            let named = key.iter().zip(&plan.columns);
            let shown = named.map(|(value, column)| (column.name.clone(), shortened(value.show(&column.kind))));
            let values = differing.iter().map(|(position, (one, ours), (other, theirs))| {
                let column = &plan.columns[*position];
                let show = |bytes: &[u8], floats: &[f64]| decode(&mut &bytes[..], &mut &floats[..]).show(&column.kind);
                (column.name.clone(), apart(show(one, ours), show(other, theirs)))
            });
            Example::Changed {
                key: shown.collect(),
                values: values.collect(),
            }
        });
    }
}

/// Which column each number of a row with a tolerance is of.
fn owners(plan: &Plan, row: &Record<'_>) -> Vec<usize> {
    let mut bytes = row.bytes;
    let mut owners = Vec::new();
    for column in 0..plan.rows {
        let (end, count) = extent(bytes);
        bytes = &bytes[end..];
        owners.extend(std::iter::repeat_n(column, count));
    }
    owners
}

fn values(row: &Record<'_>, columns: usize) -> Vec<Datum> {
    let floats = row.floats();
    let (mut bytes, mut outside) = (row.bytes, &floats[..]);
    (0..columns).map(|_| decode(&mut bytes, &mut outside)).collect()
}

/// A value that is not too long.
fn shortened(value: Value) -> Value {
    let text = match &value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        _ => return value,
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => value,
    }
}

/// Two values, shortened so that where they differ is seen.
fn apart(one: Value, other: Value) -> [Value; 2] {
    let (first, second) = (shortened(one.clone()), shortened(other.clone()));
    if first != second {
        return [first, second];
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (one, other) = (text(&one), text(&other));
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let from = same.saturating_sub(SHOWN / 4);
    let cut = |text: &str| -> Value {
        let rest: String = text.chars().skip(from).collect();
        let rest = match shortened(rest.into()) {
            Value::String(rest) => rest,
            other => other.to_string(),
        };
        format!("…{rest}").into()
    };
    [cut(&one), cut(&other)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_show_where_they_differ() {
        let long = |end: &str| Value::String(format!("{}{end}", "a".repeat(500)));
        let [one, other] = apart(long("b"), long("c"));
        assert_ne!(one, other);
        assert!(one.as_str().unwrap().chars().count() < 2 * SHOWN);
        assert_eq!(apart(1.into(), 2.into()), [Value::from(1), Value::from(2)]);
    }
}
