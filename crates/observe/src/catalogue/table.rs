//! Tables of metrics as texts.
//!
//! A line is `name | kind | unit | labels | releases | switched on | meaning`; `#` begins a comment, `@family` and `@evidence` say what follows is of. The unit may
//! have a range after it (`ratio 0..1`). Of a label, `=` gives all its values, `~` some, `?` says that not every series has it.

use super::metric::{Evidence, Kind, Label, Metric, Range, Unit, Values};
use super::{FAMILIES, spark};

const TABLES: &[&str] = &[
    include_str!("../../data/operator.txt"),
    include_str!("../../data/kube-state-metrics.txt"),
    include_str!("../../data/cadvisor.txt"),
    include_str!("../../data/kubelet.txt"),
    include_str!("../../data/prometheus.txt"),
    include_str!("../../data/kubernetes.txt"),
    include_str!("../../data/client-libraries.txt"),
    include_str!("../../data/node-exporter.txt"),
];

/// All metrics of the tables. A line that is not right is left out; a test finds it.
pub(super) fn builtin() -> Vec<Metric> {
    let mut metrics = spark::metrics();
    for table in TABLES {
        metrics.extend(read(table).into_iter().filter_map(Result::ok));
    }
    metrics
}

/// All tables, for a test that finds lines which are not right.
#[cfg(test)]
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().copied()
}

/// The metrics of a table, or what is wrong with its lines.
pub(super) fn read(table: &str) -> Vec<Result<Metric, String>> {
    let mut family = "";
    let mut evidence = Evidence::Documented;
    let mut lines = Vec::new();
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("@family ") {
            family = FAMILIES
                .iter()
                .find(|known| known.name == name)
                .map_or("", |known| known.name);
        } else if let Some(name) = line.strip_prefix("@evidence ") {
            evidence = [Evidence::Recorded, Evidence::Code, Evidence::Documented]
                .into_iter()
                .find(|known| known.name() == name)
                .unwrap_or(Evidence::Documented);
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            lines.push(metric(line, family, evidence).ok_or_else(|| line.to_owned()));
        }
    }
    lines
}

fn metric(line: &str, family: &'static str, evidence: Evidence) -> Option<Metric> {
    let mut columns = line.splitn(7, '|').map(str::trim);
    let mut next = || columns.next();
    let (name, kind) = (next()?, Kind::read(next()?)?);
    let (unit, range) = unit(next()?)?;
    let labels = next()?.split_whitespace().map(label).collect();
    let (since, until) = releases(next()?);
    let (switched_on, help) = (next()?, next()?);
    if family.is_empty() || name.is_empty() || help.is_empty() {
        return None;
    }
    Some(Metric {
        name: name.to_owned(),
        family,
        kind,
        unit,
        range,
        labels,
        help: help.to_owned(),
        since,
        until,
        switched_on: switched_on.to_owned(),
        evidence,
        library_name: None,
    })
}

/// `bytes`, `ratio 0..1`, `bytes -1..`.
pub(super) fn unit(text: &str) -> Option<(Unit, Range)> {
    let (name, range) = text
        .split_once(' ')
        .map_or((text, None), |(name, range)| (name, Some(range)));
    let unit = Unit::read(name)?;
    let mut of = unit.range();
    if let Some((lowest, highest)) = range.and_then(|range| range.split_once("..")) {
        of = Range {
            lowest: lowest.trim().parse().unwrap_or(f64::NEG_INFINITY),
            highest: highest.trim().parse().unwrap_or(f64::INFINITY),
        };
    }
    Some((unit, of))
}

pub(super) fn label(text: &str) -> Label {
    let list = |values: &str| values.split(',').map(str::to_owned).collect();
    let (name, values) = match (text.split_once('='), text.split_once('~')) {
        (Some((name, values)), _) => (name, Values::Only(list(values))),
        (_, Some((name, values))) => (name, Values::Such(list(values))),
        _ => (text, Values::Any),
    };
    let shorter = name.strip_suffix('?');
    Label {
        name: shorter.unwrap_or(name).to_owned(),
        always: shorter.is_none() && !name.ends_with('*'),
        values,
    }
}

fn releases(text: &str) -> (Option<String>, Option<String>) {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    text.split_once("..")
        .map_or((None, None), |(since, until)| (some(since), some(until)))
}
