//! What a comparison found, for people and for machines.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use stoke_model::units::people::counted;

use super::Options;
use super::schema::SchemaDifference;
use super::spread::Distribution;
use super::tally::{ColumnCounts, Example, RowCounts};
use crate::data::Dataset;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Equal,
    Different,
}

/// One side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SideSummary {
    pub place: String,
    /// `parquet`, `csv`, `json`, `delta` or `iceberg`.
    pub layout: &'static str,
    /// Version of a Delta table, number of an Iceberg table's snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    pub files: usize,
    /// Of the files.
    pub bytes: u64,
    pub rows: u64,
    /// Of the compared columns of all rows, whatever their order: two sides with the same digest have the same rows. It is not cryptographic.
    pub rows_digest: String,
}

impl SideSummary {
    pub(super) fn new(dataset: &Dataset, rows: u64, digest: u128) -> Self {
        Self {
            place: dataset.place.clone(),
            layout: dataset.layout,
            version: dataset.version,
            files: dataset.files.len(),
            bytes: dataset.bytes(),
            rows,
            rows_digest: format!("xxh3-128-sum:{digest:032x}"),
        }
    }
}

/// What rows were found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySummary {
    pub columns: Vec<String>,
    /// Keys that several rows have, among the rows that were looked at closely.
    pub repeated_left: u64,
    pub repeated_right: u64,
}

/// What it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Rows of both sides in buckets that differ.
    pub rows_looked_at: u64,
    /// Bytes that were put aside on disk.
    pub bytes_on_disk: u64,
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub verdict: Verdict,
    pub left: SideSummary,
    pub right: SideSummary,
    /// Columns that differ before their values are looked at.
    pub schema: Vec<SchemaDifference>,
    pub rows: RowCounts,
    /// None when rows are compared as a multiset.
    pub keys: Option<KeySummary>,
    /// Columns that differ in rows that belong together.
    pub columns: Vec<ColumnCounts>,
    /// Of nondeterministic columns.
    pub distributions: Vec<Distribution>,
    /// What differs and does not matter.
    pub notes: Vec<String>,
    /// The first differences, by the order of their values.
    pub examples: Vec<Example>,
    /// Columns whose values were compared.
    pub compared: Vec<String>,
    pub options: Options,
    pub work: Work,
}

impl Difference {
    pub fn is_equal(&self) -> bool {
        self.verdict == Verdict::Equal
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_equal() { "equal" } else { "different" };
        writeln!(f, "{verdict}")?;
        for (name, side) in [("left", &self.left), ("right", &self.right)] {
            let version = side
                .version
                .map(|version| format!(" version {version}"))
                .unwrap_or_default();
            let (rows, files) = (counted(side.rows, "row"), counted(side.files as u64, "file"));
            writeln!(
                f,
                "  {name:<5}  {rows} in {files}, {}{version}: {}",
                side.layout, side.place
            )?;
        }
        if !self.schema.is_empty() {
            writeln!(f, "columns")?;
        }
        for difference in &self.schema {
            let SchemaDifference {
                column,
                left,
                right,
                compared,
                ..
            } = difference;
            match (left, right) {
                (Some(left), Some(right)) => {
                    let rest = if *compared { "" } else { "; its values are not compared" };
                    writeln!(f, "  {column}: {left} on the left, {right} on the right{rest}")?;
                }
                (Some(left), None) => writeln!(f, "  {column}: only on the left ({left})")?,
                (None, Some(right)) => writeln!(f, "  {column}: only on the right ({right})")?,
                (None, None) => {}
            }
        }
        self.write_rows(f)?;
        for column in &self.columns {
            let ColumnCounts {
                column,
                changed,
                within_tolerance,
                largest_within,
            } = column;
            if *changed > 0 {
                writeln!(f, "  {column}: differs in {}", counted(*changed, "row"))?;
            }
            if *within_tolerance > 0 {
                writeln!(
                    f,
                    "  {column}: within the tolerance in {}, by {largest_within:e} at most",
                    counted(*within_tolerance, "row")
                )?;
            }
        }
        if !self.distributions.is_empty() {
            writeln!(f, "distributions")?;
        }
        for distribution in &self.distributions {
            self.write_distribution(f, distribution)?;
        }
        if !self.examples.is_empty() {
            writeln!(f, "the first {}", counted(self.examples.len() as u64, "difference"))?;
        }
        for example in &self.examples {
            write_example(f, example)?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "does not matter")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

impl Difference {
    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RowCounts {
            equal,
            lost,
            added,
            changed,
            repeated,
            ..
        } = self.rows;
        writeln!(f, "rows")?;
        writeln!(
            f,
            "  {equal} equal, {changed} changed, {lost} only on the left, {added} only on the right"
        )?;
        if repeated > 0 {
            writeln!(f, "  of those on one side, the other has {repeated}, but less often")?;
        }
        match &self.keys {
            Some(keys) => writeln!(f, "  found by {}", keys.columns.join(", ")),
            None if lost + added > 0 => writeln!(
                f,
                "  found by all of their values; --key COLUMN shows which rows have changed"
            ),
            None => Ok(()),
        }
    }

    fn write_distribution(&self, f: &mut fmt::Formatter<'_>, distribution: &Distribution) -> fmt::Result {
        let Distribution {
            column,
            left,
            right,
            distance,
            apart,
        } = distribution;
        let distance = distance
            .map(|distance| format!(", distance {distance:.3}"))
            .unwrap_or_default();
        let verdict = if apart.is_empty() {
            "alike".to_owned()
        } else {
            apart.join("; ")
        };
        writeln!(f, "  {column}: {verdict}{distance}")?;
        for (name, side) in [("left", left), ("right", right)] {
            writeln!(
                f,
                "    {name:<5}  {} null, {} different, from {} to {}, mean {}",
                side.nulls,
                side.distinct,
                plain(&side.min),
                plain(&side.max),
                plain(&side.mean)
            )?;
        }
        Ok(())
    }
}

fn write_example(f: &mut fmt::Formatter<'_>, example: &Example) -> fmt::Result {
    let named = |values: &serde_json::Map<String, Value>| {
        let parts: Vec<String> = values
            .iter()
            .map(|(name, value)| format!("{name}={}", plain(value)))
            .collect();
        parts.join(" ")
    };
    match example {
        Example::Changed { key, values } => {
            let parts: Vec<String> = values
                .iter()
                .map(|(name, [one, other])| format!("{name}: {} -> {}", plain(one), plain(other)))
                .collect();
            writeln!(f, "  ~ {}  {}", named(key), parts.join(", "))
        }
        Example::Lost(one) => writeln!(f, "  - {}{}", named(&one.row), often(one.left, one.right)),
        Example::Added(one) => writeln!(f, "  + {}{}", named(&one.row), often(one.left, one.right)),
    }
}

fn often(left: u64, right: u64) -> String {
    match (left, right) {
        (0, 1) | (1, 0) => String::new(),
        (left, right) => format!("  ({left} times on the left, {right} on the right)"),
    }
}

/// A value, so that texts, nulls and numbers are distinguished.
fn plain(value: &Value) -> String {
    value.to_string()
}
