//! What is known of one metric.

use std::fmt;

use serde::Serialize;

/// How its values behave, whatever type the endpoint gives it: Spark's servlet gives none, and much of what it calls a gauge only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sum and count, perhaps quantiles.
    Summary,
    /// Sum, count and buckets.
    Histogram,
}

impl Kind {
    /// As Prometheus writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        }
    }

    pub(super) fn read(text: &str) -> Option<Kind> {
        [Self::Counter, Self::Gauge, Self::Summary, Self::Histogram]
            .into_iter()
            .find(|kind| kind.name() == text)
    }
}

macro_rules! units {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal, $lowest:expr, $highest:expr;)*) => {
        /// What its values are measured in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Unit { $($(#[doc = $doc])+ $id),* }

        impl Unit {
            /// Its name in tables and texts.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name),* }
            }

            pub(super) fn read(text: &str) -> Option<Unit> {
                match text { $($name => Some(Self::$id),)* _ => None }
            }

            /// The values that it may have, where nothing else is known.
            pub(super) fn range(self) -> Range {
                match self { $(Self::$id => Range { lowest: $lowest, highest: $highest }),* }
            }
        }
    };
}

const MOST: f64 = f64::INFINITY;

units! {
    /// Things that are counted.
    Count = "count", 0.0, MOST;
    /// What memory and disks hold, never below zero.
    Bytes = "bytes", 0.0, MOST;
    /// 1024 × 1024 bytes.
    Mebibytes = "mebibytes", 0.0, MOST;
    /// A span of time, never below zero.
    Seconds = "seconds", 0.0, MOST;
    /// A thousandth of a second.
    Milliseconds = "milliseconds", 0.0, MOST;
    /// A millionth of a second.
    Microseconds = "microseconds", 0.0, MOST;
    /// Counters of the JVM and of Python.
    Nanoseconds = "nanoseconds", 0.0, MOST;
    /// Seconds since 1970.
    Timestamp = "timestamp", 0.0, MOST;
    /// Milliseconds since 1970.
    TimestampMilliseconds = "timestamp-milliseconds", 0.0, MOST;
    /// A part of one.
    Ratio = "ratio", 0.0, MOST;
    /// A part of a hundred.
    Percent = "percent", 0.0, MOST;
    /// Cores of a processor.
    Cores = "cores", 0.0, MOST;
    /// Things a second.
    PerSecond = "per-second", 0.0, MOST;
    /// 0 or 1.
    Bool = "bool", 0.0, 1.0;
    /// Always 1: what it says is in its labels.
    One = "one", 1.0, 1.0;
    /// Another for each value of its label `resource`.
    Mixed = "mixed", 0.0, MOST;
    /// Not known, or another.
    Other = "other", -MOST, MOST;
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The least and the greatest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub lowest: f64,
    pub highest: f64,
}

impl Range {
    /// Any value.
    pub const ALL: Range = Range {
        lowest: -MOST,
        highest: MOST,
    };
}

/// Which values a label has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "is", content = "values")]
pub enum Values {
    Any,
    /// These and others.
    Such(Vec<String>),
    /// These and no others.
    Only(Vec<String>),
}

/// A label that its program gives a metric; scraping adds others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// Its name; one that ends with a star stands for all that begin so.
    pub name: String,
    /// False where some series lack it.
    pub always: bool,
    pub values: Values,
}

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Read from a program that ran.
    Recorded,
    /// Made from the code of this project, which a test compares with what it serves.
    Code,
    /// The program's documentation says so.
    Documented,
}

impl Evidence {
    /// In a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Code => "code",
            Self::Documented => "documented",
        }
    }
}

/// One metric.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name; `<namespace>` and the like stand for what differs from application to application.
    pub name: String,
    /// Which program has it: the name of a [`Family`](super::Family).
    pub family: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    #[serde(skip)]
    pub range: Range,
    pub labels: Vec<Label>,
    /// What it tells, a sentence.
    pub help: String,
    /// The first release of its program that has it, where that is not the oldest known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The last release of its program that has it, where that is not the newest known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What must be set for it; empty where nothing must.
    pub switched_on: String,
    pub evidence: Evidence,
    /// Its name in Spark's metrics system, which JMX and other sinks show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library_name: Option<String>,
}

impl Metric {
    /// A label by its name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| match label.name.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => label.name == name,
        })
    }

    /// Whether a release of its program has it; only the parts that `release` gives are compared.
    #[must_use]
    pub fn is_in(&self, release: &str) -> bool {
        let since = self.since.as_deref();
        let until = self.until.as_deref();
        since.is_none_or(|since| order(release, since).is_ge())
            && until.is_none_or(|until| order(release, until).is_le())
    }
}

/// Two releases by the numbers that both give.
pub(super) fn order(one: &str, other: &str) -> std::cmp::Ordering {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    let (one, other) = (numbers(one), numbers(other));
    let both = one.len().min(other.len());
    one[..both].cmp(&other[..both])
}
