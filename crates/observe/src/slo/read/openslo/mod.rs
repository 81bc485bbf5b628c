//! OpenSLO v1. Of its kinds an SLO and an SLI say something here; of the others the keys are checked.
//!
//! Indicators ask Prometheus, or `type: stoke`, whose `spec` names a measure and the runs it is of.

mod policies;
mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use stoke_diagnostics::Source;
use stoke_model::manifest::{Fields, Node, join};

use super::queries::windowed;
use super::{has, labels, refuse, target, text};
use policies::{alert_policy, condition, policy};
use runs::{BatchSpec, batch};

use crate::slo::objective::{Alerting, Batch, Kind, Objective, Policy, Service, Window, Written};

const TOP: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
const METADATA: &[&str] = &["name", "displayName", "labels", "annotations"];
const KINDS: &[(&str, ())] = &[
    ("SLO", ()),
    ("SLI", ()),
    ("Service", ()),
    ("DataSource", ()),
    ("AlertPolicy", ()),
    ("AlertCondition", ()),
    ("AlertNotificationTarget", ()),
];
const VERSIONS: &[(&str, ())] = &[("openslo/v1", ()), ("openslo.com/v1", ())];
const SPEC: &[&str] = &[
    "description",
    "service",
    "indicator",
    "indicatorRef",
    "timeWindow",
    "budgetingMethod",
    "objectives",
    "alertPolicies",
];
const OBJECTIVE: &[&str] = &[
    "displayName",
    "op",
    "value",
    "target",
    "targetPercent",
    "timeSliceTarget",
    "timeSliceWindow",
    "indicator",
    "indicatorRef",
    "compositeWeight",
];
const OPERATORS: &[(&str, &str)] = &[("lte", "<="), ("gte", ">="), ("lt", "<"), ("gt", ">")];
const POLICY: &str = "stoke.dev/error-budget-policy";
const ACKNOWLEDGED: &str = "stoke.dev/acknowledged";

/// What documents share by name.
#[derive(Default)]
pub(super) struct Shared {
    indicators: BTreeMap<String, Indicator>,
    /// Types of data sources.
    sources: BTreeMap<String, String>,
}

/// What is measured, without the limit that an objective adds.
#[derive(Clone)]
enum Indicator {
    Ratio(Service),
    Gauge(String),
    Batch(BatchSpec),
}

impl Shared {
    /// Takes what others may name, and checks the keys of what is not an SLO.
    pub(super) fn collect(&mut self, node: &Node, fields: &mut Fields<'_>) {
        let kind = text(node, "kind");
        if kind == "SLO" || !head(node, fields) {
            return;
        }
        let name = name_of(node, fields);
        let Some(spec) = node.get("spec") else {
            fields.missing(node, "spec", "");
            return;
        };
        match kind {
            "SLI" => {
                if let (Some(name), Some(indicator)) = (name, self.indicator(spec, "spec", fields)) {
                    self.indicators.insert(name, indicator);
                }
            }
            "DataSource" => {
                fields.keys(spec, "spec", &["description", "type", "connectionDetails"]);
                let of_type = fields.needed_text(spec, "type", "spec");
                if let (Some(name), Some(of_type)) = (name, of_type) {
                    self.sources.insert(name, of_type.to_owned());
                }
            }
            "Service" => {
                fields.keys(spec, "spec", &["description"]);
            }
            "AlertPolicy" => policy(spec, "spec", fields),
            "AlertCondition" => condition(spec, "spec", fields),
            "AlertNotificationTarget" => {
                fields.keys(spec, "spec", &["description", "target"]);
            }
            _ => {}
        }
    }

    /// The objectives of an SLO; nothing for other kinds.
    pub(super) fn objectives(&self, node: &Node, source: &Arc<Source>, fields: &mut Fields<'_>) -> Vec<Objective> {
        if text(node, "kind") != "SLO" || !head(node, fields) {
            return Vec::new();
        }
        let name = name_of(node, fields);
        let Some(spec) = node.get("spec") else {
            fields.missing(node, "spec", "");
            return Vec::new();
        };
        if !fields.keys(spec, "spec", SPEC) {
            return Vec::new();
        }
        let service = fields
            .needed_text(spec, "service", "spec")
            .unwrap_or_default()
            .to_owned();
        let methods = [("Occurrences", true), ("Timeslices", false), ("RatioTimeslices", false)];
        if fields.word(spec, "budgetingMethod", "spec", &methods) == Some(false) {
            refuse(
                fields,
                spec,
                "budgetingMethod",
                "spec",
                "only `Occurrences` is computed",
                "write `budgetingMethod: Occurrences`",
            );
        }
        let window = window(spec, fields);
        for (path, item) in fields.list(spec, "alertPolicies", "spec") {
            alert_policy(item, &path, fields);
        }
        let indicator = self.indicator_of(spec, fields);
        let (policy, acknowledged) = annotations(node, fields);
        if spec.get("objectives").is_none() {
            fields.missing(spec, "objectives", "spec");
        }
        let items = fields.list(spec, "objectives", "spec");
        let several = items.len() > 1;
        let description = fields.text(spec, "description", "spec").unwrap_or_default().to_owned();
        let of_metadata = node
            .get("metadata")
            .map(|metadata| labels(fields, metadata, "labels", "metadata"));
        let mut found = Vec::new();
        for (path, item) in items {
            let kind = objective(item, &path, indicator.as_ref(), fields);
            let (Some((target, kind)), Some(name)) = (kind, &name) else {
                continue;
            };
            let display = fields
                .text(item, "displayName", &path)
                .map(slug)
                .filter(|name| !name.is_empty());
            let part = display.unwrap_or_else(|| (found.len() + 1).to_string());
            found.push(Objective {
                name: if several {
                    format!("{name}-{part}")
                } else {
                    name.clone()
                },
                service: service.clone(),
                description: description.clone(),
                target,
                window: window.clone(),
                kind,
                labels: of_metadata.clone().unwrap_or_default(),
                alerting: Alerting::default(),
                policy,
                acknowledged,
                written: Written {
                    source: Arc::clone(source),
                    place: item.place,
                },
            });
        }
        found
    }

    fn indicator_of(&self, spec: &Node, fields: &mut Fields<'_>) -> Option<Indicator> {
        match (spec.get("indicator"), spec.get("indicatorRef")) {
            (Some(indicator), None) => {
                if !fields.keys(indicator, "spec.indicator", &["metadata", "spec"]) {
                    return None;
                }
                let Some(inner) = indicator.get("spec") else {
                    fields.missing(indicator, "spec", "spec.indicator");
                    return None;
                };
                self.indicator(inner, "spec.indicator.spec", fields)
            }
            (None, Some(node)) => {
                let name = fields.text(spec, "indicatorRef", "spec")?;
                let found = self.indicators.get(name).cloned();
                if found.is_none() {
                    let message = format!("there is no SLI `{name}` in these files, or it is not valid");
                    let fix = "add its document, or the file that has it";
                    fields.complain("slo-bad-reference", node.place, "spec.indicatorRef", message, fix);
                }
                found
            }
            _ => {
                let message = "an SLO has either `indicator` or `indicatorRef`".to_owned();
                fields.complain("slo-one-indicator", spec.place, "spec", message, "write one of them");
                None
            }
        }
    }

    fn indicator(&self, spec: &Node, path: &str, fields: &mut Fields<'_>) -> Option<Indicator> {
        if !fields.keys(spec, path, &["description", "thresholdMetric", "ratioMetric"]) {
            return None;
        }
        match (spec.get("thresholdMetric"), spec.get("ratioMetric")) {
            (Some(threshold), None) => {
                let path = join(path, "thresholdMetric");
                match self.metric(threshold, &path, fields)? {
                    Metric::Prometheus(metric, path) => fields
                        .needed_text(metric, "query", &path)
                        .map(|query| Indicator::Gauge(query.trim().to_owned())),
                    Metric::Stoke(metric, path) => batch(metric, &path, true, fields).map(Indicator::Batch),
                }
            }
            (None, Some(ratio)) => self.ratio(ratio, &join(path, "ratioMetric"), fields),
            _ => {
                let message = "an indicator has either `thresholdMetric` or `ratioMetric`".to_owned();
                fields.complain("slo-one-indicator", spec.place, path, message, "write one of them");
                None
            }
        }
    }

    fn ratio(&self, node: &Node, path: &str, fields: &mut Fields<'_>) -> Option<Indicator> {
        if !fields.keys(node, path, &["counter", "good", "bad", "total", "rawType", "raw"]) {
            return None;
        }
        let counter = fields.flag(node, "counter", path).unwrap_or_default();
        if let Some(raw) = node.get("raw") {
            let success = fields.word(node, "rawType", path, &[("success", true), ("failure", false)]);
            return match self.metric(raw, &join(path, "raw"), fields)? {
                Metric::Stoke(metric, path) => batch(metric, &path, false, fields).map(Indicator::Batch),
                Metric::Prometheus(metric, path) => {
                    let query = windowed(fields, metric, "query", &path, false)?;
                    Some(Indicator::Ratio(match success {
                        Some(false) => Service::Ratio(query),
                        _ => Service::GoodRatio(query),
                    }))
                }
            };
        }
        let side = |fields: &mut Fields<'_>, key: &str| {
            let path = join(path, key);
            let metric = self.metric(node.get(key)?, &path, fields)?;
            match metric {
                Metric::Prometheus(metric, path) => windowed(fields, metric, "query", &path, counter),
                Metric::Stoke(metric, path) => {
                    let message = "runs are not counted by two metrics".to_owned();
                    fields.complain(
                        "slo-unsupported",
                        metric.place,
                        &path,
                        message,
                        "write `ratioMetric.raw` with `type: stoke`",
                    );
                    None
                }
            }
        };
        if !has(node, "total") {
            fields.missing(node, "total", path);
        }
        let total = side(fields, "total");
        match (node.get("good"), node.get("bad")) {
            (Some(_), None) => {
                let good = side(fields, "good");
                Some(Indicator::Ratio(Service::Good {
                    good: good?,
                    total: total?,
                }))
            }
            (None, Some(_)) => {
                let bad = side(fields, "bad");
                Some(Indicator::Ratio(Service::Bad {
                    bad: bad?,
                    total: total?,
                }))
            }
            _ => {
                let message = "a ratio has either `good` or `bad` beside `total`, or `raw`".to_owned();
                fields.complain("slo-one-indicator", node.place, path, message, "write one of them");
                None
            }
        }
    }

    /// The `spec` of a metric source, by its type or that of its data source.
    fn metric<'n>(&self, node: &'n Node, path: &str, fields: &mut Fields<'_>) -> Option<Metric<'n>> {
        if !fields.keys(node, path, &["metricSource"]) {
            return None;
        }
        let Some(source) = node.get("metricSource") else {
            fields.missing(node, "metricSource", path);
            return None;
        };
        let path = join(path, "metricSource");
        if !fields.keys(source, &path, &["metricSourceRef", "type", "spec"]) {
            return None;
        }
        let referred = fields.text(source, "metricSourceRef", &path).map(str::to_owned);
        let of_type = match (fields.text(source, "type", &path), &referred) {
            (Some(of_type), _) => of_type.to_owned(),
            (None, Some(name)) => match self.sources.get(name) {
                Some(of_type) => of_type.clone(),
                None => {
                    let place = source.get("metricSourceRef").map_or(source.place, |node| node.place);
                    let message = format!("there is no DataSource `{name}` in these files");
                    let fix = "add its document, or write the `type` here";
                    fields.complain(
                        "slo-bad-reference",
                        place,
                        &join(&path, "metricSourceRef"),
                        message,
                        fix,
                    );
                    return None;
                }
            },
            (None, None) => {
                fields.missing(source, "type", &path);
                return None;
            }
        };
        let Some(spec) = source.get("spec") else {
            fields.missing(source, "spec", &path);
            return None;
        };
        let inner = join(&path, "spec");
        match of_type.to_lowercase().as_str() {
            "prometheus" => fields
                .keys(spec, &inner, &["query", "queryType"])
                .then_some(Metric::Prometheus(spec, inner)),
            "stoke" => Some(Metric::Stoke(spec, inner)),
            _ => {
                let why = format!("metrics of `{of_type}` are not read");
                let key = if source.get("type").is_some() {
                    "type"
                } else {
                    "metricSourceRef"
                };
                refuse(
                    fields,
                    source,
                    key,
                    &path,
                    &why,
                    "write a metric of `type: Prometheus`, or `type: stoke` for runs",
                );
                None
            }
        }
    }
}

enum Metric<'n> {
    Prometheus(&'n Node, String),
    Stoke(&'n Node, String),
}

/// What every document has.
fn head(node: &Node, fields: &mut Fields<'_>) -> bool {
    if !fields.keys(node, "", TOP) {
        return false;
    }
    fields.word(node, "apiVersion", "", VERSIONS);
    fields.needed_text(node, "kind", "");
    fields.word(node, "kind", "", KINDS).is_some()
}

fn name_of(node: &Node, fields: &mut Fields<'_>) -> Option<String> {
    let Some(metadata) = node.get("metadata") else {
        fields.missing(node, "metadata", "");
        return None;
    };
    if !fields.keys(metadata, "metadata", METADATA) {
        return None;
    }
    fields.needed_text(metadata, "name", "metadata").map(str::to_owned)
}

/// What an objective says beside its indicator.
fn annotations(node: &Node, fields: &mut Fields<'_>) -> (Policy, Option<i64>) {
    let Some(annotations) = node.lookup("metadata.annotations") else {
        return (Policy::default(), None);
    };
    let path = "metadata.annotations";
    for entry in annotations.entries() {
        let ours = entry.key.starts_with("stoke.dev/");
        if ours && ![POLICY, ACKNOWLEDGED].contains(&entry.key.as_str()) {
            let message = format!("there is no annotation `{}` of objectives", entry.key);
            let fix = match stoke_model::manifest::nearest(&entry.key, [POLICY, ACKNOWLEDGED]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {POLICY} and {ACKNOWLEDGED}"),
            };
            fields.complain("unknown-field", entry.key_place, &join(path, &entry.key), message, &fix);
        }
    }
    let policy = fields.word(
        annotations,
        POLICY,
        path,
        &[("freeze", Policy::Freeze), ("report", Policy::Report)],
    );
    let acknowledged = fields.text(annotations, ACKNOWLEDGED, path).and_then(|written| {
        let read: Option<Timestamp> = written.parse().ok();
        if read.is_none() {
            let place = annotations
                .get(ACKNOWLEDGED)
                .map_or(annotations.place, |node| node.place);
            let message = format!("`{written}` is not a time");
            fields.complain(
                "bad-date",
                place,
                &join(path, ACKNOWLEDGED),
                message,
                "write it like \"2026-11-20T08:00:00Z\"",
            );
        }
        read.map(Timestamp::as_millisecond)
    });
    (policy.unwrap_or_default(), acknowledged)
}

fn window(spec: &Node, fields: &mut Fields<'_>) -> Window {
    let items = fields.list(spec, "timeWindow", "spec");
    let Some((path, item)) = items.first() else {
        return Window::Rolling(30);
    };
    if items.len() > 1 {
        let message = "an SLO has one time window".to_owned();
        fields.complain("slo-bad-window", item.place, path, message, "keep one");
    }
    if !fields.keys(item, path, &["duration", "isRolling", "calendar"]) {
        return Window::Rolling(30);
    }
    let written = fields.needed_text(item, "duration", path).unwrap_or("30d");
    let rolling = fields.flag(item, "isRolling", path).unwrap_or(!has(item, "calendar"));
    let zone = item.get("calendar").and_then(|calendar| {
        let path = join(path, "calendar");
        fields.keys(calendar, &path, &["startTime", "timeZone"]);
        fields.text(calendar, "startTime", &path);
        fields.needed_text(calendar, "timeZone", &path)
    });
    let place = item.get("duration").map_or(item.place, |node| node.place);
    let at = join(path, "duration");
    match (rolling, days(written)) {
        (true, Some(days)) if (1..=366).contains(&days) => Window::Rolling(days),
        (false, _) if written == "1M" => {
            let zone = zone.unwrap_or("UTC");
            if jiff::tz::TimeZone::get(zone).is_err() {
                let message = format!("`{zone}` is not a time zone");
                fields.complain(
                    "unknown-zone",
                    place,
                    &join(path, "calendar.timeZone"),
                    message,
                    "write one of the IANA database, like Europe/Oslo",
                );
            }
            Window::Month(zone.to_owned())
        }
        _ => {
            let message = format!("a window of `{written}` is not computed");
            let fix = "write whole days that roll (`duration: 30d`, `isRolling: true`), or a month of the calendar (`duration: 1M`, `isRolling: false`)";
            fields.complain("slo-bad-window", place, &at, message, fix);
            Window::Rolling(30)
        }
    }
}

/// Whole days of OpenSLO's shorthand.
fn days(written: &str) -> Option<u32> {
    let unit = written.chars().last()?;
    let number: u32 = written[..written.len() - unit.len_utf8()].parse().ok()?;
    match unit {
        'h' if number.is_multiple_of(24) => Some(number / 24),
        'd' => Some(number),
        'w' => number.checked_mul(7),
        _ => None,
    }
}

fn objective(node: &Node, path: &str, indicator: Option<&Indicator>, fields: &mut Fields<'_>) -> Option<(f64, Kind)> {
    if !fields.keys(node, path, OBJECTIVE) {
        return None;
    }
    for key in ["indicator", "indicatorRef", "compositeWeight"] {
        if has(node, key) {
            refuse(
                fields,
                node,
                key,
                path,
                "objectives of several indicators are not computed",
                "write an SLO for each indicator",
            );
        }
    }
    for key in ["timeSliceTarget", "timeSliceWindow"] {
        if has(node, key) {
            refuse(
                fields,
                node,
                key,
                path,
                "time slices are not computed",
                "write `budgetingMethod: Occurrences` without it",
            );
        }
    }
    let target = match (has(node, "target"), has(node, "targetPercent")) {
        (true, false) => target(fields, node, "target", path, false),
        (false, true) => target(fields, node, "targetPercent", path, true),
        _ => {
            let message = "an objective has either `target` or `targetPercent`".to_owned();
            fields.complain("slo-bad-target", node.place, path, message, "write one of them");
            None
        }
    };
    let operator = fields.word(node, "op", path, OPERATORS);
    let value = fields.number(node, "value", path);
    let indicator = indicator?;
    let limited = match indicator {
        Indicator::Ratio(_) => false,
        Indicator::Gauge(_) => true,
        Indicator::Batch(spec) => spec.takes_value(),
    };
    if limited {
        for key in ["op", "value"] {
            if !has(node, key) {
                fields.missing(node, key, path);
            }
        }
    } else if let Some(key) = ["op", "value"].into_iter().find(|key| has(node, key)) {
        refuse(
            fields,
            node,
            key,
            path,
            "this indicator is a share already and has nothing to compare",
            "remove it",
        );
        return None;
    }
    let kind = match indicator {
        Indicator::Ratio(service) => Kind::Service(service.clone()),
        Indicator::Gauge(query) => Kind::Service(Service::Threshold {
            query: query.clone(),
            operator: operator?,
            value: value?,
        }),
        Indicator::Batch(spec) => Kind::Batch(Box::new(Batch {
            measure: spec.measure(node, path, operator, value, fields)?,
            runs: spec.runs.clone(),
            by_job: spec.by_job,
            schedule: spec.schedule.clone(),
        })),
    };
    Some((target?, kind))
}

/// A display name as a part of a name.
fn slug(display: &str) -> String {
    let lower: String = display
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    lower
        .split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}
