//! What is promised: objectives of services, measured by Prometheus, and of batch runs, measured by their outcomes.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_diagnostics::{Place, Source};
use stoke_model::cron::Schedule;

/// One objective.
#[derive(Clone, Debug)]
pub struct Objective {
    pub name: String,
    pub service: String,
    pub description: String,
    /// The share of good events that is promised, for example 0.99.
    pub target: f64,
    pub window: Window,
    pub kind: Kind,
    /// Labels of its rules and gauges besides those that name it.
    pub labels: BTreeMap<String, String>,
    pub alerting: Alerting,
    pub policy: Policy,
    /// When a person took note of a page: meters begin at zero there. In milliseconds since 1970.
    pub acknowledged: Option<i64>,
    pub written: Written,
}

/// Where an objective is written.
#[derive(Clone, Debug)]
pub struct Written {
    pub source: Arc<Source>,
    pub place: Place,
}

/// Over which time an objective holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many days.
    Rolling(u32),
    /// A month of the calendar of this time zone.
    Month(String),
}

impl Window {
    /// Days of it, of the longest month.
    #[must_use]
    pub fn days(&self) -> u32 {
        match self {
            Window::Rolling(days) => *days,
            Window::Month(_) => 31,
        }
    }
}

/// How an objective is measured.
#[derive(Clone, Debug)]
pub enum Kind {
    Service(Service),
    Batch(Box<Batch>),
}

/// The share of bad events of a service, in PromQL. A query has [`WINDOW`] where the length of the window goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// The number of bad events over that of all.
    Bad { bad: String, total: String },
    /// One less the number of good events over that of all.
    Good { good: String, total: String },
    /// The share of bad events itself.
    Ratio(String),
    /// The share of good events itself.
    GoodRatio(String),
    /// A gauge is good while this comparison holds: a query, an operator and a number.
    Threshold {
        query: String,
        operator: &'static str,
        value: f64,
    },
}

/// Stands for the length of a window in a query.
pub const WINDOW: &str = "{{.window}}";

/// An objective of batch runs.
#[derive(Clone, Debug)]
pub struct Batch {
    pub measure: Measure,
    pub runs: Selector,
    /// Each job that is selected has a record and meters of its own.
    pub by_job: bool,
    pub schedule: Option<Schedule>,
}

/// What makes a run good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// It succeeded, at the first attempt or a later one. A run that the schedule has and that never began is bad.
    Success,
    /// It succeeded within so many milliseconds of the time it was due.
    Deadline { within: i64 },
    /// The last success is at most so many milliseconds old: good and bad are times, not runs.
    Freshness { at_most: i64 },
    /// It took at most so many milliseconds. Runs that failed do not count: they are bad under [`Measure::Success`].
    Duration { at_most: i64 },
    /// It cost at most so much, in the currency of the price table.
    Cost { at_most: f64 },
    /// Its executors' cores were busy for at least this share of their time.
    Efficiency { at_least: f64 },
}

impl Measure {
    /// Its name in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Measure::Success => "success",
            Measure::Deadline { .. } => "deadline",
            Measure::Freshness { .. } => "freshness",
            Measure::Duration { .. } => "duration",
            Measure::Cost { .. } => "cost",
            Measure::Efficiency { .. } => "efficiency",
        }
    }
}

/// Which runs are meant; all of it must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// A pattern of the job's name, `orders-*`.
    pub job: Option<String>,
    pub namespace: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// Alerts that the rules of a service contain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    pub name: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub page: Alert,
    pub ticket: Alert,
}

/// One severity of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alert {
    pub disable: bool,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// What a release gate does when the budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Releases stop until the objective is kept again.
    #[default]
    Freeze,
    /// It is only reported.
    Report,
}
