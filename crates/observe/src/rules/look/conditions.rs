//! Conditions on labels: whether the label is there, and has the value.

use std::collections::BTreeSet;

use stoke_diagnostics::Severity;
use stoke_model::manifest::{is_slip, nearest};

use super::Look;
use super::labels::is_of_targets;
use crate::catalogue::{self, FAMILIES, Label, Metric, Part, Series, Values};
use crate::promql::{ANY, Match, Matcher, Span};

/// Names of cAdvisor's labels before Kubernetes 1.16, and what they are now.
const OLD_LABELS: [(&str, &str); 2] = [("pod_name", "pod"), ("container_name", "container")];

impl Look<'_, '_> {
    /// Conditions on one label that no value meets.
    pub(super) fn contradictions(&self, matchers: &[Matcher]) {
        for (index, one) in matchers.iter().enumerate() {
            for other in &matchers[index + 1..] {
                if one.label != other.label || one.value.contains(ANY) || other.value.contains(ANY) {
                    continue;
                }
                let equal = [one, other].into_iter().find(|matcher| matcher.op == Match::Equal);
                if let Some(equal) = equal
                    && let Some(rest) = [one, other].into_iter().find(|matcher| !std::ptr::eq(*matcher, equal))
                    && meets(rest, &equal.value) == Some(false)
                {
                    self.complain(
                        Severity::Error,
                        "metric-matcher-empty",
                        other.label_span.to(other.value_span),
                        format!("no value of `{}` meets both conditions", one.label),
                    );
                }
            }
        }
    }

    pub(super) fn matcher(&self, matcher: &Matcher, series: &[Series<'static>]) {
        if matcher.label == "__name__" || matcher.label.contains(ANY) {
            return;
        }
        let labels: Vec<&Label> = series
            .iter()
            .filter_map(|series| label_of(series, &matcher.label))
            .collect();
        if labels.is_empty() {
            // `a=""` and `a!="x"` hold where the label is not there.
            let holds_without = meets(matcher, "") == Some(true);
            if !holds_without {
                self.unknown_label(&matcher.label, matcher.label_span, series, true);
            }
            return;
        }
        self.value(matcher, &labels, series);
    }

    /// A label that no series of a selector has by itself.
    pub(super) fn unknown_label(&self, label: &str, span: Span, series: &[Series<'static>], selects: bool) {
        let name = &series[0].metric.name;
        let own: BTreeSet<&str> = series.iter().flat_map(|series| own_labels(series)).collect();
        let consequence = if selects {
            "nothing is selected"
        } else {
            "it is not there to group by"
        };
        if let Some((_, new)) = OLD_LABELS.iter().find(|(old, _)| *old == label)
            && own.contains(new)
        {
            self.complain_with(
                Severity::Error,
                "metric-label-unknown",
                span,
                format!("`{name}` has no label `{label}` since Kubernetes 1.16: {consequence}"),
                Some(format!("write {new}")),
            );
            return;
        }
        if let Some(inner) = label.strip_prefix("exported_") {
            if !own.contains(inner)
                && !own.iter().any(|own| own.ends_with('*'))
                && !["job", "instance"].contains(&inner)
            {
                self.complain_with(
                    Severity::Warning,
                    "metric-exported-label",
                    span,
                    format!("`{name}` has no label `{inner}` that scraping would rename to `{label}`"),
                    Some(format!("write {inner}, if relabelling adds it")),
                );
            }
            return;
        }
        let near = nearest(label, own.iter().copied())
            .filter(|near| is_slip(near, label) || near.replace('_', "").eq_ignore_ascii_case(&label.replace('_', "")));
        let family = series[0].metric.family;
        let of_family = || {
            let metrics = self.set.catalogue.metrics().iter();
            metrics
                .filter(|metric| metric.family == family)
                .any(|metric| metric.labels.iter().any(|own| own.name == label))
        };
        if is_of_targets(label) && near.is_none() {
            return;
        }
        let known_family = FAMILIES
            .iter()
            .any(|known| known.name == family && known.known == catalogue::Known::All);
        let severity = match near.is_some() || (known_family && of_family() && !is_of_targets(label)) {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let shown: Vec<&str> = own.into_iter().filter(|own| !own.ends_with('*')).collect();
        let fix = match (near, shown.is_empty()) {
            (Some(near), _) => format!("write {near}"),
            (None, true) => "it has no labels but those of its target".to_owned(),
            (None, false) => format!("its labels are {}", shown.join(", ")),
        };
        let message = match severity {
            Severity::Error => format!("`{name}` has no label `{label}`: {consequence}"),
            _ => format!("`{name}` has no label `{label}` of its own: where no relabelling adds it, {consequence}"),
        };
        self.complain_with(severity, "metric-label-unknown", span, message, Some(fix));
    }

    pub(super) fn value(&self, matcher: &Matcher, labels: &[&Label], series: &[Series<'static>]) {
        if matcher.value.contains(ANY) {
            return;
        }
        let (label, value) = (&matcher.label, &matcher.value);
        let negative = matches!(matcher.op, Match::NotEqual | Match::NotRegex);
        if let Some(fix) = resource(series, label, value).filter(|_| matches!(matcher.op, Match::Equal)) {
            self.complain_with(
                Severity::Error,
                "metric-label-value",
                matcher.value_span,
                format!("`{}` has no `{label}` with the value `{value}`", series[0].metric.name),
                Some(fix),
            );
            return;
        }
        let only: Option<BTreeSet<&str>> =
            labels
                .iter()
                .try_fold(BTreeSet::new(), |mut all, label| match &label.values {
                    Values::Only(values) => {
                        all.extend(values.iter().map(String::as_str));
                        Some(all)
                    }
                    _ => None,
                });
        let Some(only) = only else {
            return self.open_value(matcher, labels, series);
        };
        let name = &series[0].metric.name;
        let list = || only.iter().copied().collect::<Vec<_>>().join(", ");
        let optional = labels.iter().any(|label| !label.always) || labels.len() < series.len();
        match matcher.op {
            Match::Equal | Match::NotEqual => {
                if only.contains(value.as_str()) || (value.is_empty() && (optional || negative)) {
                    return;
                }
                let near = near_value(value, only.iter().copied());
                let fix = near.map_or_else(|| format!("its values are {}", list()), |near| format!("write {near}"));
                let (severity, what) = match negative {
                    true => (Severity::Warning, "the condition always holds"),
                    false => (Severity::Error, "nothing is selected"),
                };
                self.complain_with(
                    severity,
                    "metric-label-value",
                    matcher.value_span,
                    format!("`{label}` of `{name}` never has the value `{value}`: {what}"),
                    Some(fix),
                );
            }
            Match::Regex | Match::NotRegex => {
                for part in alternatives(value) {
                    let Some(automaton) = catalogue::automaton(part) else {
                        continue;
                    };
                    let any = only.iter().any(|value| catalogue::matches(&automaton, value));
                    let empty = catalogue::matches(&automaton, "");
                    if any || empty {
                        continue;
                    }
                    let whole = part.len() == value.len();
                    let near = near_value(part, only.iter().copied());
                    let fix = near.map_or_else(|| format!("its values are {}", list()), |near| format!("write {near}"));
                    let (severity, what) = match (negative, whole) {
                        (false, true) => (Severity::Error, "nothing is selected"),
                        (false, false) => (Severity::Error, "this alternative selects nothing"),
                        (true, _) => (Severity::Warning, "this excludes nothing"),
                    };
                    let at = self.part_of(matcher, part);
                    self.complain_with(
                        severity,
                        "metric-label-value",
                        at,
                        format!("`{label}` of `{name}` has no value that `{part}` matches: {what}"),
                        Some(fix),
                    );
                }
            }
        }
    }

    /// A value of a label that has others than those known: only slips are found.
    fn open_value(&self, matcher: &Matcher, labels: &[&Label], series: &[Series<'static>]) {
        let known: BTreeSet<&str> = labels
            .iter()
            .flat_map(|label| match &label.values {
                Values::Only(values) | Values::Such(values) => values.as_slice(),
                Values::Any => &[],
            })
            .map(String::as_str)
            .collect();
        if known.is_empty() {
            return;
        }
        let parts = match matcher.op {
            Match::Equal | Match::NotEqual => vec![matcher.value.as_str()],
            Match::Regex | Match::NotRegex => alternatives(&matcher.value),
        };
        for part in parts {
            let plain = !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            if !plain || known.contains(part) {
                continue;
            }
            let Some(near) = known
                .iter()
                .find(|known| is_slip(&known.to_lowercase(), &part.to_lowercase()) || known.eq_ignore_ascii_case(part))
            else {
                continue;
            };
            self.complain_with(
                Severity::Error,
                "metric-label-value",
                self.part_of(matcher, part),
                format!(
                    "`{}` of `{}` does not have the value `{part}`",
                    matcher.label, series[0].metric.name
                ),
                Some(format!("write {near}")),
            );
        }
    }

    /// Where a part of a matcher's value stands.
    fn part_of(&self, matcher: &Matcher, part: &str) -> Span {
        let written = self
            .expression
            .text
            .text
            .get(matcher.value_span.start..matcher.value_span.end)
            .unwrap_or_default();
        match written.find(part).filter(|_| part.len() < matcher.value.len()) {
            Some(at) => Span::new(
                matcher.value_span.start + at,
                matcher.value_span.start + at + part.len(),
            ),
            None => matcher.value_span,
        }
    }
}

/// The value that was probably meant: a slip, another case, or a word of another length.
fn near_value<'v>(value: &str, values: impl Iterator<Item = &'v str> + Clone) -> Option<&'v str> {
    let mut begins = values
        .clone()
        .filter(|known| known.to_lowercase().starts_with(&value.to_lowercase()));
    let first = begins.next().filter(|_| value.len() >= 3);
    first
        .filter(|_| begins.next().is_none())
        .or_else(|| nearest(value, values))
}

/// A value of `resource` that kube-state-metrics does not write: it has `_` where Kubernetes has other signs.
pub(super) fn resource(series: &[Series<'static>], label: &str, value: &str) -> Option<String> {
    let written = [
        "kube_pod_container_resource_",
        "kube_pod_init_container_resource_",
        "kube_node_status_capacity",
        "kube_node_status_allocatable",
    ];
    let is_of = |metric: &Metric| written.iter().any(|begin| metric.name.starts_with(begin));
    if label != "resource" || !series.iter().all(|series| is_of(series.metric)) {
        return None;
    }
    let known = ["cpu", "memory", "ephemeral_storage", "pods", "storage"];
    let signs = value
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect::<String>();
    if signs != value {
        return Some(format!("write {signs}"));
    }
    if known.contains(&value) || value.contains('_') || value.is_empty() {
        return None;
    }
    let lower = value.to_lowercase();
    let near = known
        .iter()
        .find(|known| **known == lower || known.starts_with(&lower) || is_slip(known, &lower));
    Some(near.map_or_else(
        || {
            format!(
                "its values are {}, and extended resources such as nvidia_com_gpu",
                known.join(", ")
            )
        },
        |near| format!("write {near}"),
    ))
}

/// The alternatives of an expression, where it is only such at the top.
pub(super) fn alternatives(expression: &str) -> Vec<&str> {
    let inner = expression
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
        .filter(|inner| !inner.contains(['(', ')']));
    let inner = inner.unwrap_or(expression);
    let inner = inner.strip_prefix('^').unwrap_or(inner);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    if inner.contains(['(', '[', '\\', '{']) {
        return vec![expression];
    }
    inner.split('|').collect()
}

/// Whether a value meets a condition; none where that is not known.
pub(super) fn meets(matcher: &Matcher, value: &str) -> Option<bool> {
    if matcher.value.contains(ANY) {
        return None;
    }
    let regex = || catalogue::automaton(&matcher.value).map(|automaton| catalogue::matches(&automaton, value));
    match matcher.op {
        Match::Equal => Some(matcher.value == value),
        Match::NotEqual => Some(matcher.value != value),
        Match::Regex => regex(),
        Match::NotRegex => regex().map(|matches| !matches),
    }
}

/// A series' own label; a histogram's buckets have `le`.
fn label_of<'c>(series: &Series<'c>, label: &str) -> Option<&'c Label> {
    static LE: std::sync::LazyLock<Label> = std::sync::LazyLock::new(|| Label {
        name: "le".to_owned(),
        always: true,
        values: Values::Any,
    });
    if series.part == Part::Bucket && label == "le" {
        return Some(&LE);
    }
    series.metric.label(label)
}

/// Names of a series' own labels.
fn own_labels<'c>(series: &Series<'c>) -> impl Iterator<Item = &'c str> {
    let le = (series.part == Part::Bucket).then_some("le");
    series.metric.labels.iter().map(|label| label.name.as_str()).chain(le)
}
