//! A selector: does such a metric, such a label, such a value exist?

use std::collections::BTreeSet;

use stoke_diagnostics::Severity;
use stoke_model::manifest::{is_slip, nearest};

use super::conditions::{alternatives, meets};
use super::labels::{Labels, Presence};
use super::unit::Amount;
use super::{Known, Look, Shape};
use crate::catalogue::{self, Kind, Metric, Part, Range, Series, Unit, Values};
use crate::promql::{ANY, Match, Selector, Span};

/// The name that a selector asks for, where it is a plain one.
pub(super) fn plain_name(selector: &Selector) -> Option<(&str, Span)> {
    if let Some((name, span)) = &selector.name {
        return (!name.contains(ANY)).then_some((name.as_str(), *span));
    }
    let by_name = selector
        .matchers
        .iter()
        .find(|matcher| matcher.label == "__name__" && matcher.op == Match::Equal)?;
    (!by_name.value.contains(ANY)).then_some((by_name.value.as_str(), by_name.value_span))
}

/// What matches a name with variables in it.
fn with_anything(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            ANY => ".+".to_owned(),
            c if c.is_ascii_alphanumeric() || c == '_' || c == ':' => c.to_string(),
            c => format!("\\{c}"),
        })
        .collect()
}

impl Look<'_, '_> {
    pub(super) fn selector(&self, selector: &Selector) -> Shape {
        self.contradictions(&selector.matchers);
        let (series, at): (Vec<Series<'static>>, Span) = match plain_name(selector) {
            Some((name, at)) => {
                if let Some(shape) = self.set.recorded(name) {
                    return self.of_recorded(shape, selector);
                }
                if self.set.settings.known.contains(name) {
                    return unknown_with(selector);
                }
                let found = self.set.catalogue.series(name);
                if found.is_empty() {
                    self.unknown_name(name, at);
                    return unknown_with(selector);
                }
                self.one_application(name, at);
                (found, at)
            }
            None => match self.by_expression(selector) {
                Some(found) => found,
                None => return unknown_with(selector),
            },
        };
        let series = self.of_this_release(series, at);
        if series.is_empty() {
            return unknown_with(selector);
        }
        if selector.range.is_some() {
            self.range(selector);
        }
        for matcher in &selector.matchers {
            self.matcher(matcher, &series);
        }
        shape_of(&series, selector)
    }

    /// Series of a name that is given by an expression or a variable.
    fn by_expression(&self, selector: &Selector) -> Option<(Vec<Series<'static>>, Span)> {
        let (expression, at) = match &selector.name {
            Some((name, _)) if name.chars().all(|c| c == ANY) => return None,
            Some((name, at)) => (with_anything(name), *at),
            None => {
                let matcher = selector
                    .matchers
                    .iter()
                    .find(|matcher| matcher.label == "__name__" && matcher.op == Match::Regex)?;
                if matcher.value.contains(ANY) {
                    return None;
                }
                (matcher.value.clone(), matcher.value_span)
            }
        };
        let found = self.set.catalogue.matching(&expression);
        if !found.is_empty() {
            return Some((found, at));
        }
        // Names of rules, and those that a person knows, may match.
        let automaton = catalogue::automaton(&expression)?;
        let others = self
            .set
            .records
            .keys()
            .copied()
            .chain(self.set.settings.known.iter().map(String::as_str));
        if others.into_iter().any(|name| catalogue::matches(&automaton, name)) {
            return None;
        }
        let begin: String = expression
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let is_spark = begin.starts_with("metrics_") || expression.contains("_driver_");
        let family = self
            .set
            .catalogue
            .family_of(&begin)
            .filter(|family| family.known == catalogue::Known::All);
        let shown = expression.replace(".+", "…");
        if family.is_some() || is_spark {
            let example = expression.replace(".+", "x").replace(".*", "x");
            let near = self.set.catalogue.suggestion(&example);
            let program = family.map_or("Spark", |family| family.program);
            self.complain_with(
                Severity::Error,
                "metric-unknown",
                at,
                format!("{program} has no metric whose name matches `{shown}`"),
                near.map(|near| format!("perhaps {near}, with what you have before it, is meant")),
            );
        }
        None
    }

    fn unknown_name(&self, name: &str, at: Span) {
        let catalogue = self.set.catalogue;
        let near = catalogue.suggestion(name);
        if name.contains(':') {
            let recorded = nearest(name, self.set.records.keys().copied());
            let message = match recorded {
                Some(_) => format!("no rule of these files records `{name}`"),
                None => format!("`{name}` is recorded by a rule that is not among these files"),
            };
            let severity = if recorded.is_some() {
                Severity::Warning
            } else {
                Severity::Advice
            };
            let fix = recorded.map_or(
                "give the file that records it as well, or name it with --known".to_owned(),
                |near| format!("write {near}"),
            );
            self.complain_with(severity, "metric-not-known", at, message, Some(fix));
            return;
        }
        let slip = near.as_deref().is_some_and(|near| {
            is_slip(near, name) || near.strip_prefix(name).is_some() || name.strip_prefix(near).is_some()
        });
        let (sure, program) = match catalogue.family_of(name) {
            Some(family) => (family.known == catalogue::Known::All || slip, family.program),
            None => match catalogue::source_of(name) {
                Some(true) => (true, "Spark"),
                Some(false) => (near.is_some(), "Spark"),
                None => (slip, "any program that is known"),
            },
        };
        let severity = if sure { Severity::Error } else { Severity::Advice };
        let (code, message) = match sure {
            true if program.starts_with("any") => ("metric-unknown", format!("there is no metric `{name}`")),
            true => ("metric-unknown", format!("{program} has no metric `{name}`")),
            false => (
                "metric-not-known",
                format!("`{name}` is not in the catalogue: whether it exists was not checked"),
            ),
        };
        let fix = match (near, sure) {
            (Some(near), _) => format!("write {near}"),
            (None, true) => "`stoke metrics list` shows what there is".to_owned(),
            (None, false) => "name it with --known where a program of yours has it".to_owned(),
        };
        self.complain_with(severity, code, at, message, Some(fix));
    }

    /// A name with the id of one application in it.
    fn one_application(&self, name: &str, at: Span) {
        let Some((begin, _)) = catalogue::split_name(name) else {
            return;
        };
        let namespace = begin.trim_start_matches("metrics_");
        let hexadecimal = namespace
            .split('_')
            .any(|part| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let by_time = ["app_", "application_", "local_"].iter().any(|start| {
            let rest = namespace.strip_prefix(start);
            rest.is_some_and(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() >= 12)
        });
        if hexadecimal || by_time {
            self.complain_with(
                Severity::Warning,
                "metric-one-application",
                at,
                "the name has the id of one run in it: the next run's is another",
                Some("set spark.metrics.namespace to the application's name, and write this in place of the id"),
            );
        }
    }

    /// The series that the release in question has.
    fn of_this_release(&self, series: Vec<Series<'static>>, at: Span) -> Vec<Series<'static>> {
        let release = &self.set.settings.spark;
        let (there, gone): (Vec<_>, Vec<_>) = series
            .into_iter()
            .partition(|series| !series.metric.family.starts_with("spark-") || series.metric.is_in(release));
        if there.is_empty()
            && let Some(first) = gone.first()
        {
            let metric = first.metric;
            let when = match (&metric.since, &metric.until) {
                (Some(since), _) => format!("it is there from {since} on"),
                (_, Some(until)) => format!("{until} was the last that had it"),
                _ => String::new(),
            };
            self.complain_with(
                Severity::Error,
                "metric-not-in-release",
                at,
                format!("Spark {release} has no metric `{}`; {when}", metric.name),
                Some("write another, or name the release that runs with --spark"),
            );
        }
        there
    }

    /// A range with too few values for a rate.
    pub(super) fn range(&self, selector: &Selector) {
        let every = self.set.settings.scrape_interval;
        let Some(range) = selector.range else { return };
        if let Some(seconds) = range.seconds
            && seconds < 2.0 * every
        {
            self.complain_with(
                Severity::Warning,
                "metric-range",
                range.span,
                format!("a range of {seconds} s has fewer than two values where targets are scraped every {every} s: nothing comes of it"),
                Some(format!("write at least [{:.0}s], or give --scrape-interval", 4.0 * every)),
            );
        }
    }

    /// What is recorded, with the conditions of a selector.
    fn of_recorded(&self, mut shape: Shape, selector: &Selector) -> Shape {
        for matcher in &selector.matchers {
            if shape.labels.presence(&matcher.label) == Presence::Never
                && meets(matcher, "") == Some(false)
                && matcher.label != "__name__"
            {
                let has: Vec<&str> = shape.labels.named().collect();
                let fix = match has.is_empty() {
                    true => "it has no labels".to_owned(),
                    false => format!("its labels are {}", has.join(", ")),
                };
                self.complain_with(
                    Severity::Error,
                    "metric-label-unknown",
                    matcher.label_span,
                    format!(
                        "what is recorded here has no label `{}`: nothing is selected",
                        matcher.label
                    ),
                    Some(fix),
                );
            }
        }
        narrow(&mut shape.labels, selector);
        shape
    }
}

fn unknown_with(selector: &Selector) -> Shape {
    let mut shape = Shape {
        raw: true,
        ..Shape::unknown()
    };
    narrow(&mut shape.labels, selector);
    shape
}

/// What a selector's conditions say of labels.
fn narrow(labels: &mut Labels, selector: &Selector) {
    for matcher in &selector.matchers {
        if matcher.label == "__name__" || matcher.value.contains(ANY) || matcher.label.contains(ANY) {
            continue;
        }
        match matcher.op {
            Match::Equal if matcher.value.is_empty() => labels.set(&matcher.label, Presence::Never, None),
            Match::Equal => labels.set(
                &matcher.label,
                Presence::Always,
                Some(BTreeSet::from([matcher.value.clone()])),
            ),
            Match::Regex => {
                let plain = alternatives(&matcher.value);
                let all_plain = plain.iter().all(|part| {
                    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
                });
                if all_plain {
                    let values = plain.into_iter().map(str::to_owned).collect();
                    labels.set(&matcher.label, Presence::Always, Some(values));
                } else if meets(matcher, "") == Some(false) {
                    labels.set(&matcher.label, Presence::Always, None);
                }
            }
            _ if meets(matcher, "") == Some(false) => {
                let values = labels.values(&matcher.label).cloned().map(|values| {
                    values
                        .into_iter()
                        .filter(|value| meets(matcher, value) != Some(false))
                        .collect()
                });
                labels.set(&matcher.label, Presence::Always, values);
            }
            _ => {}
        }
    }
}

fn shape_of(series: &[Series<'static>], selector: &Selector) -> Shape {
    let mut labels: Option<Labels> = None;
    for one in series {
        let mut of = Labels::any();
        for label in &one.metric.labels {
            if label.name.ends_with('*') {
                continue;
            }
            let presence = if label.always {
                Presence::Always
            } else {
                Presence::Perhaps
            };
            let values = match &label.values {
                Values::Only(values) => Some(values.iter().cloned().collect()),
                _ => None,
            };
            of.set(&label.name, presence, values);
        }
        if one.part == Part::Bucket {
            of.set("le", Presence::Always, None);
        }
        for label in ["job", "instance"] {
            of.set(label, Presence::Always, None);
        }
        // What has a container is in a pod.
        let asked = |label: &str| {
            selector
                .matchers
                .iter()
                .any(|matcher| matcher.label == label && meets(matcher, "") == Some(false))
        };
        if one.metric.family == "cadvisor" && (asked("container") || asked("pod")) {
            for label in ["namespace", "pod"] {
                of.set(label, Presence::Always, None);
            }
        }
        if one.metric.name == "ALERTS" || one.metric.name == "ALERTS_FOR_STATE" {
            of = Labels::any();
        }
        labels = Some(labels.map_or(of.clone(), |before| before.either(&of)));
    }
    let mut labels = labels.unwrap_or_else(Labels::any);
    narrow(&mut labels, selector);
    let mut units: Vec<Unit> = series.iter().map(|series| unit_of(series, &labels)).collect();
    units.dedup();
    let unit = match units.as_slice() {
        [unit] => Some(*unit),
        _ => None,
    };
    let mut range = series[0].metric.range;
    for one in series {
        let of = match one.part {
            Part::Whole => one.metric.range,
            _ => Range {
                lowest: 0.0,
                highest: f64::INFINITY,
            },
        };
        range.lowest = range.lowest.min(of.lowest);
        range.highest = range.highest.max(of.highest);
    }
    // A series is there only while it holds.
    let momentary = |metric: &Metric| {
        metric.name.contains("_reason")
            || metric.name.ends_with("_unschedulable")
            || matches!(metric.unit, Unit::One)
            || metric.name == "ALERTS"
    };
    Shape {
        amount: unit.and_then(Amount::of_unit),
        range,
        series: series.iter().map(Known::of).collect(),
        scalar: false,
        number: None,
        raw: true,
        filtered: series.iter().all(|series| momentary(series.metric)),
        mixed: unit.is_none_or(|unit| unit == Unit::Mixed)
            && series.iter().any(|series| series.metric.unit == Unit::Mixed),
        quick: false,
        labels,
    }
}

/// The unit of a series; of a metric with another for each resource, that of the resource which is selected.
fn unit_of(series: &Series<'static>, labels: &Labels) -> Unit {
    if series.unit() != Unit::Mixed {
        return series.unit();
    }
    let Some(values) = labels.values("resource") else {
        return Unit::Mixed;
    };
    let mut units: Vec<Unit> = values
        .iter()
        .map(|value| match value.rsplit(['.', '/']).next().unwrap_or_default() {
            "cpu" => Unit::Cores,
            "memory" | "ephemeral_storage" | "ephemeral-storage" | "storage" => Unit::Bytes,
            "pods" => Unit::Count,
            _ => Unit::Other,
        })
        .collect();
    units.dedup();
    match units.as_slice() {
        [unit] => *unit,
        _ => Unit::Mixed,
    }
}

/// Whether a kind only grows.
pub(super) fn grows(kind: Option<Kind>) -> bool {
    kind == Some(Kind::Counter)
}
