//! Aggregations: what they group by, and what they must not add up.

use std::collections::BTreeSet;

use stoke_diagnostics::Severity;

use super::calls::POSITIVE;
use super::labels::{Labels, Presence};
use super::unit::{Amount, Of};
use super::{Look, Shape, constant, selector};
use crate::catalogue::{Kind, Part, Range};
use crate::promql::{Aggregate, Expr, Grouping, Node, Selector, Span};

impl Look<'_, '_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate) -> Shape {
        let of = self.shape(&aggregate.expr);
        if let Some(param) = aggregate.param.as_deref() {
            self.shape(param);
        }
        let op = aggregate.op;
        if op == "quantile"
            && let Some(param) = aggregate.param.as_deref()
        {
            self.share(param);
        }
        if let Some(grouping) = &aggregate.grouping {
            self.grouping(grouping, &of, aggregate);
        }
        let keeps = |label: &str| keeps(aggregate.grouping.as_ref(), label);
        self.mixture(aggregate, &of, &keeps);
        let labels = match &aggregate.grouping {
            _ if matches!(op, "topk" | "bottomk" | "limitk" | "limit_ratio") => of.labels.clone(),
            None => Labels::none(),
            Some(grouping) if grouping.without => of
                .labels
                .without(grouping.labels.iter().map(|(label, _)| label.as_str())),
            Some(grouping) => of
                .labels
                .only(grouping.labels.iter().map(|(label, _)| label.as_str()), grouping.open),
        };
        let mut shape = Shape {
            labels,
            ..Shape::unknown()
        };
        let keeps_series = matches!(op, "topk" | "bottomk" | "limitk" | "limit_ratio");
        match op {
            "sum" => {
                shape.amount = of.amount;
                shape.range = if of.range.lowest >= 0.0 { POSITIVE } else { Range::ALL };
                shape.series = of.series.clone();
            }
            "avg" | "min" | "max" | "quantile" | "topk" | "bottomk" | "limitk" | "limit_ratio" => {
                shape.amount = of.amount;
                shape.range = of.range;
                shape.series = of.series.clone();
                shape.filtered = of.filtered && keeps_series;
                shape.mixed = of.mixed && keeps_series;
            }
            "stddev" => {
                shape.amount = of.amount;
                shape.range = POSITIVE;
            }
            "count" | "count_values" => {
                shape.amount = Some(Amount::new(Of::Count, 1.0));
                shape.range = Range {
                    lowest: 1.0,
                    highest: f64::INFINITY,
                };
                if let (Some(Node::Text(label)), "count_values") =
                    (aggregate.param.as_deref().map(|param| &param.inner().node), op)
                {
                    shape.labels.set(label, Presence::Always, None);
                }
            }
            "group" => {
                shape.range = Range {
                    lowest: 1.0,
                    highest: 1.0,
                };
            }
            _ => {}
        }
        shape.raw = keeps_series && of.raw;
        shape
    }

    /// Labels to group by that are not there.
    pub(super) fn grouping(&self, grouping: &Grouping, of: &Shape, aggregate: &Aggregate) {
        let mut seen = BTreeSet::new();
        for (label, span) in &grouping.labels {
            if !seen.insert(label) {
                self.complain(
                    Severity::Warning,
                    "metric-label-unknown",
                    *span,
                    format!("`{label}` stands twice"),
                );
            }
            if grouping.without && of.labels.presence(label) != Presence::Never {
                continue;
            }
            if of.labels.presence(label) == Presence::Never {
                let has: Vec<&str> = of.labels.named().collect();
                let fix = match has.is_empty() {
                    true => "there are no labels left to group by".to_owned(),
                    false => format!("there are {}", has.join(", ")),
                };
                self.complain_with(
                    if grouping.without {
                        Severity::Warning
                    } else {
                        Severity::Error
                    },
                    "metric-label-unknown",
                    *span,
                    format!("`{label}` is not a label of what is aggregated here"),
                    Some(fix),
                );
                continue;
            }
            self.label_of_selectors(label, *span, &aggregate.expr);
        }
    }

    /// Complains about a label that the selectors below an expression do not have, where one of them decides.
    pub(super) fn label_of_selectors(&self, label: &str, span: Span, expr: &Expr) {
        let series = match &expr.inner().node {
            Node::Selector(selector) => match selector::plain_name(selector) {
                Some((name, _)) if self.set.recorded(name).is_none() && !self.set.settings.known.contains(name) => {
                    let asked = selector.matchers.iter().any(|matcher| matcher.label == label);
                    if asked {
                        return;
                    }
                    self.set.catalogue.series(name)
                }
                _ => return,
            },
            Node::Call(call) => {
                let through = [
                    "rate", "irate", "increase", "delta", "deriv", "idelta", "resets", "changes", "abs", "ceil",
                    "floor", "round",
                ];
                let over_time = call.function.name.ends_with("_over_time") && !call.function.name.starts_with("absent");
                if (through.contains(&call.function.name) || over_time)
                    && let Some(arg) = call.args.last()
                {
                    self.label_of_selectors(label, span, arg);
                }
                return;
            }
            Node::Binary(binary) => {
                // A comparison with a number keeps the labels.
                if constant(&binary.right).is_some() {
                    self.label_of_selectors(label, span, &binary.left);
                }
                return;
            }
            _ => return,
        };
        if series.is_empty() || series.iter().any(|series| series.metric.label(label).is_some()) {
            return;
        }
        if series.iter().any(|series| series.part == Part::Bucket) && label == "le" {
            return;
        }
        self.unknown_label(label, span, &series, false);
    }

    /// Values that cannot be added up.
    fn mixture(&self, aggregate: &Aggregate, of: &Shape, keeps: &dyn Fn(&str) -> bool) {
        let op = aggregate.op;
        let computes = matches!(op, "sum" | "avg" | "min" | "max" | "stddev" | "stdvar" | "quantile");
        if !computes {
            self.count_of_states(aggregate, of);
            return;
        }
        let selector = first_selector(&aggregate.expr);
        if of.mixed && !keeps("resource") {
            let name = of.series.first().map_or("", |known| known.name.as_str());
            self.complain_with(
                Severity::Error,
                "metric-mixed-units",
                aggregate.op_span,
                format!("`{name}` has cores, bytes and other units by `resource`: `{op}` mixes them"),
                Some("ask for one, such as resource=\"memory\", or aggregate by (resource)"),
            );
        }
        let kind_of_quota = of.series.iter().any(|known| known.name == "kube_resourcequota");
        let fixed = of.labels.values("type").is_some_and(|values| values.len() == 1);
        if kind_of_quota && !keeps("type") && !fixed {
            self.complain_with(
                Severity::Error,
                "metric-mixed-units",
                aggregate.op_span,
                format!("`kube_resourcequota` has limits and what is used by `type`: `{op}` mixes them"),
                Some("ask for type=\"used\" or type=\"hard\", or aggregate by (type)"),
            );
        }
        let of_units: BTreeSet<&str> = of
            .series
            .iter()
            .filter_map(|known| {
                self.set
                    .catalogue
                    .named(&known.name)
                    .first()
                    .map(|metric| metric.unit.name())
            })
            .collect();
        if of_units.len() > 1 && of.amount.is_none() && !of.mixed && !keeps("__name__") {
            let units: Vec<&str> = of_units.into_iter().collect();
            self.complain(
                Severity::Error,
                "metric-mixed-units",
                aggregate.op_span,
                format!(
                    "the metrics that are selected have different units ({}): `{op}` mixes them",
                    units.join(", ")
                ),
            );
        }
        if op == "sum"
            && of.amount.is_some_and(|amount| matches!(amount.of, Of::Ratio))
            && of.series.iter().all(|known| known.kind == Kind::Gauge)
            && !of.series.is_empty()
        {
            self.complain_with(
                Severity::Warning,
                "metric-mixed-units",
                aggregate.op_span,
                "ratios are added up",
                Some("take avg or max of them, or divide the sums of what they are made of"),
            );
        }
        if op == "sum" && of.amount.is_some_and(|amount| amount.of == Of::Moment) {
            self.complain_with(
                Severity::Warning,
                "metric-mixed-units",
                aggregate.op_span,
                "moments are added up",
                Some("take max or min of them"),
            );
        }
        if op == "sum" {
            self.counted_twice(aggregate, of, selector, keeps);
        }
    }

    /// cAdvisor has a series for each container, one for the pod and those of the cgroups above.
    fn counted_twice(
        &self,
        aggregate: &Aggregate,
        of: &Shape,
        selector: Option<&Selector>,
        keeps: &dyn Fn(&str) -> bool,
    ) {
        let Some(selector) = selector else { return };
        let is_of = |name: &str| {
            name.starts_with("container_cpu_usage")
                || name.starts_with("container_cpu_user")
                || name.starts_with("container_cpu_system")
                || (name.starts_with("container_memory_") && !name.contains("fail"))
        };
        let counts = of
            .series
            .iter()
            .any(|known| known.family == "cadvisor" && is_of(&known.name));
        let divided = ["container", "image", "id", "name", "container_name"];
        let asked = selector
            .matchers
            .iter()
            .any(|matcher| divided.contains(&matcher.label.as_str()));
        if counts && !asked && !keeps("container") && !keeps("id") {
            self.complain_with(
                Severity::Warning,
                "metric-counted-twice",
                aggregate.op_span,
                "cAdvisor has a series for each container and one for its pod: the sum has everything twice or more",
                Some("ask for container!=\"\""),
            );
        }
    }

    /// `count` of series that say yes or no by their value.
    fn count_of_states(&self, aggregate: &Aggregate, of: &Shape) {
        let is_state = of.amount.is_some_and(|amount| amount.of == Of::State) && !of.filtered && of.raw;
        let bool_unit = of.range.lowest < of.range.highest;
        if aggregate.op == "count"
            && is_state
            && bool_unit
            && !of.series.is_empty()
            && of.series.iter().any(|known| known.name != "up")
        {
            let asks = first_selector(&aggregate.expr).is_some_and(|selector| {
                selector
                    .matchers
                    .iter()
                    .any(|matcher| ["phase", "condition", "status", "reason"].contains(&matcher.label.as_str()))
            });
            if asks {
                self.complain_with(
                    Severity::Warning,
                    "metric-count-of-states",
                    aggregate.op_span,
                    format!(
                        "`{}` is 0 where it does not hold: `count` counts those series, too",
                        of.series[0].name
                    ),
                    Some("take sum, or count of it `== 1`"),
                );
            }
        }
    }
}

/// Whether a grouping keeps a label.
pub(super) fn keeps(grouping: Option<&Grouping>, label: &str) -> bool {
    match grouping {
        None => false,
        Some(grouping) => {
            let named = grouping.labels.iter().any(|(named, _)| named == label);
            if grouping.without {
                !named
            } else {
                named || grouping.open
            }
        }
    }
}

/// The first selector below an expression that functions and operators with numbers lead to.
fn first_selector(expr: &Expr) -> Option<&Selector> {
    match &expr.inner().node {
        Node::Selector(selector) => Some(selector),
        Node::Call(call) => call.args.iter().rev().find_map(first_selector),
        Node::Subquery(subquery) => first_selector(&subquery.expr),
        Node::Unary(_, inner) => first_selector(inner),
        Node::Binary(binary) if constant(&binary.right).is_some() => first_selector(&binary.left),
        _ => None,
    }
}
