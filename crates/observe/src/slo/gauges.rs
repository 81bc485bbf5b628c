//! Objectives as gauges in the text format of Prometheus, so that every rule is one comparison.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::status::{Status, allowed};

/// A gauge: its name, its labels besides those of the objective, what it says.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    pub name: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// Labels of every gauge of an objective.
pub const LABELS: [&str; 4] = ["slo", "service", "job", "measure"];

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Gauge {
    Gauge { name, labels, help }
}

/// All gauges of objectives, in the order of the output.
pub const ALL: [Gauge; 16] = [
    gauge(
        "stoke_slo_objective_ratio",
        &[],
        "The share of good events that is promised.",
    ),
    gauge("stoke_slo_events", &[], "Events in the window."),
    gauge("stoke_slo_bad_events", &[], "Bad events in the window."),
    gauge("stoke_slo_unknown_runs", &[], "Runs that ended, and nothing says how."),
    gauge("stoke_slo_bad_ratio", &[], "The share of bad events in the window."),
    gauge(
        "stoke_slo_bad_ratio_low",
        &[],
        "The lower end of the 90 % interval of the rate of bad events.",
    ),
    gauge(
        "stoke_slo_bad_ratio_high",
        &[],
        "The upper end of the 90 % interval of the rate of bad events.",
    ),
    gauge(
        "stoke_slo_budget_remaining_ratio",
        &[],
        "The share of the error budget that is left; negative when it is overspent.",
    ),
    gauge(
        "stoke_slo_budget_remaining_ratio_low",
        &[],
        "The lower end of what is left of the budget, with 90 % confidence.",
    ),
    gauge(
        "stoke_slo_budget_remaining_ratio_high",
        &[],
        "The upper end of what is left of the budget: below zero it is shown to be overspent.",
    ),
    gauge(
        "stoke_slo_budget_exhausted_in_seconds",
        &[],
        "When the budget is spent, at the rate of the last days; no series where that is not in this window.",
    ),
    gauge(
        "stoke_slo_evidence",
        &["meter"],
        "Evidence that the objective is broken: a clipped logarithm of a likelihood ratio.",
    ),
    gauge("stoke_slo_evidence_threshold", &["meter"], "Where the evidence pages."),
    gauge(
        "stoke_slo_window_probability",
        &["window"],
        "The probability of as many bad events in this window, or more, at the objective itself.",
    ),
    gauge(
        "stoke_slo_overdue_seconds",
        &[],
        "For how long a result has been due; 0 when none is.",
    ),
    gauge(
        "stoke_slo_read_timestamp_seconds",
        &[],
        "When the runs were read, in seconds since 1970.",
    ),
];

/// The text of all gauges. `at` is when the runs were read, in milliseconds.
#[must_use]
pub fn text(statuses: &[Status], at: i64) -> String {
    let mut series: BTreeMap<&str, Vec<(String, f64)>> = BTreeMap::new();
    for status in statuses {
        for (name, extra, value) in values(status) {
            series.entry(name).or_default().push((labels(status, extra), value));
        }
    }
    series.insert(
        "stoke_slo_read_timestamp_seconds",
        vec![(String::new(), at as f64 / 1000.0)],
    );
    let mut text = String::new();
    for gauge in &ALL {
        let Some(series) = series.get(gauge.name) else { continue };
        let _ = writeln!(
            text,
            "# HELP {} {}\n# TYPE {} gauge",
            gauge.name, gauge.help, gauge.name
        );
        for (labels, value) in series {
            let _ = writeln!(text, "{}{labels} {}", gauge.name, number(*value));
        }
    }
    text
}

/// A name, a further label, a number.
type Value = (&'static str, Option<(&'static str, String)>, f64);

fn values(status: &Status) -> Vec<Value> {
    let mut values = vec![
        ("stoke_slo_objective_ratio", None, 1.0 - allowed(status.target)),
        ("stoke_slo_events", None, status.events as f64),
        ("stoke_slo_bad_events", None, status.bad as f64),
        ("stoke_slo_unknown_runs", None, status.unknown as f64),
        ("stoke_slo_overdue_seconds", None, status.overdue_seconds as f64),
    ];
    let mut put = |name, value: Option<f64>| values.extend(value.map(|value| (name, None, value)));
    put("stoke_slo_bad_ratio", status.bad_rate);
    put(
        "stoke_slo_bad_ratio_low",
        status.bad_rate_between.map(|between| between.low),
    );
    put(
        "stoke_slo_bad_ratio_high",
        status.bad_rate_between.map(|between| between.high),
    );
    put(
        "stoke_slo_budget_remaining_ratio",
        status.budget.map(|budget| budget.remaining),
    );
    let between = status.budget.and_then(|budget| budget.remaining_between);
    put(
        "stoke_slo_budget_remaining_ratio_low",
        between.map(|between| between.low),
    );
    put(
        "stoke_slo_budget_remaining_ratio_high",
        between.map(|between| between.high),
    );
    let spent = status.forecast.and_then(|forecast| forecast.days);
    put(
        "stoke_slo_budget_exhausted_in_seconds",
        spent.map(|days| days * 86_400.0),
    );
    for reading in &status.evidence {
        let meter = || Some(("meter", reading.meter.to_owned()));
        values.push(("stoke_slo_evidence", meter(), reading.evidence));
        values.push(("stoke_slo_evidence_threshold", meter(), reading.threshold));
    }
    for tail in status.windows.iter().filter(|tail| tail.events > 0) {
        let window = Some(("window", format!("{}d", tail.days)));
        values.push(("stoke_slo_window_probability", window, tail.probability));
    }
    values
}

fn labels(status: &Status, extra: Option<(&'static str, String)>) -> String {
    let all = status.job.as_deref().unwrap_or("*");
    let own = [status.objective.as_str(), &status.service, all, status.measure];
    let mut labels: BTreeMap<&str, &str> = LABELS.into_iter().zip(own).collect();
    for (name, value) in &status.labels {
        labels.entry(name).or_insert(value);
    }
    if let Some((name, value)) = &extra {
        labels.insert(name, value);
    }
    let written = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

/// A value of a label as Prometheus writes it.
pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned(),
        value => value.to_string(),
    }
}
