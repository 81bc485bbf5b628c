//! Spark's metrics: what was recorded (`data/spark-recorded.tsv`), with what it means (`data/spark-notes.txt`).

use std::collections::BTreeMap;

use stoke_model::manifest::nearest;

use super::metric::{Evidence, Kind, Metric, Range, Unit, order};
use super::{Catalogue, table};

const RECORDED: &str = include_str!("../../data/spark-recorded.tsv");
const NOTES: &str = include_str!("../../data/spark-notes.txt");

/// The releases of Spark that were recorded, oldest first.
#[must_use]
pub fn releases() -> Vec<&'static str> {
    let mut releases: Vec<&str> = RECORDED
        .lines()
        .filter_map(|line| line.strip_prefix("# versions: "))
        .flat_map(str::split_whitespace)
        .collect();
    releases.sort_by(|one, other| order(one, other));
    releases
}

/// A line of the notes: what a metric of the library means.
pub(super) struct Note {
    pub(super) pattern: &'static str,
    kind: Kind,
    unit: Unit,
    range: Range,
    switched_on: &'static str,
    help: &'static str,
}

/// A line of the record.
pub(super) struct Record {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    kind: &'static str,
    labels: &'static str,
    releases: &'static str,
}

pub(super) fn notes() -> Vec<Note> {
    let lines = NOTES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let note = |line: &'static str| {
        let mut columns = line.splitn(5, '|').map(str::trim);
        let (pattern, kind) = (columns.next()?, Kind::read(columns.next()?)?);
        let (unit, range) = table::unit(columns.next()?)?;
        Some(Note {
            pattern,
            kind,
            unit,
            range,
            switched_on: columns.next()?,
            help: columns.next()?,
        })
    };
    lines.filter_map(note).collect()
}

pub(super) fn records() -> Vec<Record> {
    let lines = RECORDED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let record = |line: &'static str| {
        let mut columns = line.split('\t');
        Some(Record {
            place: columns.next()?,
            name: columns.next()?,
            kind: columns.next()?,
            labels: columns.next()?,
            releases: columns.next()?,
        })
    };
    lines.filter_map(record).collect()
}

/// Whether a note is of a metric: a star stands for anything.
pub(super) fn is_of(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((begin, end)) => name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end),
        None => pattern == name,
    }
}

/// A series of a metric of the library: what follows its name, what it holds of it.
struct Ending {
    text: &'static str,
    kind: Option<Kind>,
    unit: Option<Unit>,
    help: &'static str,
}

const fn ending(text: &'static str, kind: Option<Kind>, unit: Option<Unit>, help: &'static str) -> Ending {
    Ending { text, kind, unit, help }
}

const VALUE: Ending = ending("_Value", None, None, "");
const NUMBER: Ending = ending("_Number", None, None, "The same as `_Value`");
const COUNT_OF_COUNTER: Ending = ending("_Count", None, None, "");
const COUNT: Ending = ending(
    "_Count",
    Some(Kind::Counter),
    Some(Unit::Count),
    "How many values there were",
);
const G: Option<Kind> = Some(Kind::Gauge);
const DISTRIBUTION: [Ending; 10] = [
    ending("_Max", G, None, "The greatest of a sample of recent values"),
    ending("_Mean", G, None, "The mean of a sample of recent values"),
    ending("_Min", G, None, "The least of a sample of recent values"),
    ending(
        "_StdDev",
        G,
        None,
        "The standard deviation of a sample of recent values",
    ),
    ending("_50thPercentile", G, None, "The median of a sample of recent values"),
    ending(
        "_75thPercentile",
        G,
        None,
        "75 % of a sample of recent values are at most this",
    ),
    ending(
        "_95thPercentile",
        G,
        None,
        "95 % of a sample of recent values are at most this",
    ),
    ending(
        "_98thPercentile",
        G,
        None,
        "98 % of a sample of recent values are at most this",
    ),
    ending(
        "_99thPercentile",
        G,
        None,
        "99 % of a sample of recent values are at most this",
    ),
    ending(
        "_999thPercentile",
        G,
        None,
        "99.9 % of a sample of recent values are at most this",
    ),
];
const RATES: [Ending; 4] = [
    ending(
        "_FifteenMinuteRate",
        G,
        Some(Unit::PerSecond),
        "Events a second, over fifteen minutes",
    ),
    ending(
        "_FiveMinuteRate",
        G,
        Some(Unit::PerSecond),
        "Events a second, over five minutes",
    ),
    ending(
        "_OneMinuteRate",
        G,
        Some(Unit::PerSecond),
        "Events a second, over a minute",
    ),
    ending(
        "_MeanRate",
        G,
        Some(Unit::PerSecond),
        "Events a second, since the beginning",
    ),
];

fn endings(kind: &str) -> Vec<&'static Ending> {
    match kind {
        "gauges" => vec![&VALUE, &NUMBER],
        "counters" => vec![&COUNT_OF_COUNTER],
        "histograms" => std::iter::once(&COUNT).chain(&DISTRIBUTION).collect(),
        "timers" => std::iter::once(&COUNT).chain(&DISTRIBUTION).chain(&RATES).collect(),
        "meters" => std::iter::once(&COUNT).chain(&RATES).collect(),
        _ => Vec::new(),
    }
}

/// All series of Spark.
pub(super) fn metrics() -> Vec<Metric> {
    let notes = notes();
    let known = releases();
    let mut metrics = Vec::new();
    // The releases of a metric are those of all its records: labels may differ between releases.
    type Releases<'a> = Vec<&'a str>;
    type Labels<'a> = Vec<&'a str>;
    let mut by_metric: BTreeMap<(&str, &str, &str), (Releases<'_>, Labels<'_>)> = BTreeMap::new();
    for record in records() {
        let entry = by_metric.entry((record.place, record.name, record.kind)).or_default();
        entry.0.extend(record.releases.split_whitespace());
        entry.1.push(record.labels);
    }
    for ((place, name, kind), (mut releases, labels)) in by_metric {
        let Some(note) = notes.iter().find(|note| is_of(note.pattern, name)) else {
            continue;
        };
        releases.sort_by(|one, other| order(one, other));
        let since = releases.first().filter(|first| Some(*first) != known.first());
        let until = releases.last().filter(|last| Some(*last) != known.last());
        let of = |full: String, family, ending: Option<&Ending>| Metric {
            name: full,
            family,
            kind: ending.and_then(|ending| ending.kind).unwrap_or(note.kind),
            unit: ending.and_then(|ending| ending.unit).unwrap_or(note.unit),
            range: match ending.and_then(|ending| ending.unit) {
                Some(unit) => unit.range(),
                None => note.range,
            },
            labels: match ending {
                Some(_) => vec![table::label(&format!("type={kind}"))],
                None => labels
                    .first()
                    .into_iter()
                    .flat_map(|all| all.split_whitespace())
                    .map(table::label)
                    .collect(),
            },
            help: match ending.map_or("", |ending| ending.help) {
                "" => note.help.to_owned(),
                ending => format!("{ending}: {}", first_small(note.help)),
            },
            since: since.map(|release| minor(release)),
            until: until.map(|release| minor(release)),
            switched_on: note.switched_on.to_owned(),
            evidence: Evidence::Recorded,
            library_name: ending.map(|_| match place {
                "executor" => format!("<namespace>.<executor>.{name}"),
                _ => format!("<namespace>.driver.{name}"),
            }),
        };
        if place == "endpoint" {
            metrics.push(of(name.to_owned(), "spark-executors", None));
            continue;
        }
        let (family, process) = match place {
            "executor" => ("spark-executor", "<executor>"),
            _ => ("spark-driver", "driver"),
        };
        for ending in endings(kind) {
            let full = format!("metrics_<namespace>_{process}_{}{}", written(name), ending.text);
            metrics.push(of(full, family, Some(ending)));
        }
    }
    metrics
}

/// A name of the library as it stands in the name of a series.
fn written(name: &str) -> String {
    let part = |character: char| match character {
        '<' | '>' => character,
        other if other.is_ascii_alphanumeric() => other,
        _ => '_',
    };
    name.chars().map(part).collect()
}

fn minor(release: &str) -> String {
    release.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

fn first_small(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_lowercase().to_string());
    let rest: String = characters.collect();
    match rest.chars().next() {
        // `JVM` stays as it is.
        Some(second) if second.is_uppercase() => text.to_owned(),
        _ => first.unwrap_or_default() + &rest,
    }
}

/// Where in a name of a driver's or executor's series the library's name begins: after `_driver_`, or after a number.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("metrics_")?;
    if let Some(at) = rest.find("_driver_") {
        let at = "metrics_".len() + at + "_driver_".len();
        return Some(name.split_at(at));
    }
    let mut from = 0;
    for part in rest.split('_') {
        from += part.len() + 1;
        if from > part.len() + 1 && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            let at = "metrics_".len() + from;
            return name.is_char_boundary(at).then(|| name.split_at(at));
        }
    }
    None
}

/// The first words of the library's names: what Spark calls sources.
pub(super) fn sources() -> impl Iterator<Item = &'static str> {
    let mut sources: Vec<&str> = records()
        .into_iter()
        .filter(|record| record.place != "endpoint")
        .filter_map(|record| record.name.split_once('.').map(|(source, _)| source))
        .filter(|source| !source.starts_with('<'))
        .collect();
    sources.sort_unstable();
    sources.dedup();
    sources.into_iter()
}

/// The name of a driver's or executor's series that a wrong one was probably meant to be.
pub(super) fn nearest_name(catalogue: &Catalogue, name: &str) -> Option<String> {
    let (begin, rest) = split(name)?;
    let family = if begin.ends_with("_driver_") {
        "spark-driver"
    } else {
        "spark-executor"
    };
    let of_family = catalogue.metrics().iter().filter(|metric| metric.family == family);
    let rests = of_family.filter_map(|metric| {
        metric
            .name
            .split_once("_<executor>_")
            .or_else(|| metric.name.split_once("_driver_"))
    });
    let rests: Vec<&str> = rests.map(|(_, rest)| rest).filter(|rest| !rest.contains('<')).collect();
    for ending in ["_Value", "_Count"] {
        let longer = format!("{rest}{ending}");
        if rests.contains(&longer.as_str()) {
            return Some(format!("{begin}{longer}"));
        }
    }
    let wrong_ending = rest.rsplit_once('_').map(|(before, _)| before);
    for ending in ["_Value", "_Count"] {
        let other = format!("{}{ending}", wrong_ending.unwrap_or(rest));
        if rests.contains(&other.as_str()) {
            return Some(format!("{begin}{other}"));
        }
    }
    nearest(rest, rests.iter().copied()).map(|near| format!("{begin}{near}"))
}
