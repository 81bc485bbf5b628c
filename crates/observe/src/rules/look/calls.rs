//! Functions and aggregations: what they do to labels, units and values, and what they are of no use for.

use std::collections::BTreeSet;

use stoke_diagnostics::Severity;

use super::labels::{Labels, Presence};
use super::unit::{Amount, Of};
use super::{Look, Shape, constant, selector};
use crate::catalogue::{Kind, Part, Range};
use crate::promql::{Call, Expr, Grouping, Match, Node, Op, Selector};

/// Not below 0.
pub(super) const POSITIVE: Range = Range {
    lowest: 0.0,
    highest: f64::INFINITY,
};

/// The selector of a range, through parentheses.
fn selector_of(expr: &Expr) -> Option<&Selector> {
    match &expr.inner().node {
        Node::Selector(selector) => Some(selector),
        _ => None,
    }
}

impl Look<'_, '_> {
    pub(super) fn call(&self, call: &Call) -> Shape {
        let name = call.function.name;
        let shapes: Vec<Shape> = call.args.iter().map(|arg| self.shape(arg)).collect();
        let first = shapes.first().cloned();
        let vector = first.clone().unwrap_or_else(Shape::unknown);
        let plain = |shape: &Shape| Shape {
            raw: false,
            series: Vec::new(),
            number: None,
            ..shape.clone()
        };
        match name {
            "rate" | "irate" | "increase" | "resets" => self.growth(call, &vector),
            "delta" | "idelta" | "deriv" | "predict_linear" | "holt_winters" | "double_exponential_smoothing" => {
                if selector::grows(vector.kind()) && selector_of(&call.args[0]).is_some() {
                    self.complain_with(
                        Severity::Warning,
                        "metric-change-of-counter",
                        call.name_span,
                        format!("`{name}` is for gauges: a counter that begins again at 0 counts as a fall"),
                        Some(if name == "deriv" {
                            "write rate"
                        } else {
                            "write increase, or rate"
                        }),
                    );
                }
                let amount = match name {
                    "deriv" => None,
                    _ => vector.amount,
                };
                Shape {
                    range: Range::ALL,
                    amount,
                    ..plain(&vector)
                }
            }
            "histogram_quantile" => self.quantile(call, &shapes),
            "absent" | "absent_over_time" => self.absent(call),
            "avg_over_time" | "quantile_over_time" | "stddev_over_time" | "stdvar_over_time" | "mad_over_time" => {
                let of = if name == "quantile_over_time" {
                    shapes.get(1).cloned().unwrap_or_else(Shape::unknown)
                } else {
                    vector
                };
                if selector::grows(of.kind()) && of.raw {
                    self.complain_with(
                        Severity::Warning,
                        "metric-change-of-counter",
                        call.name_span,
                        format!("`{name}` of a counter depends on when the process began"),
                        Some("take rate or increase of it"),
                    );
                }
                if name == "quantile_over_time" {
                    self.share(&call.args[0]);
                }
                let spreads = name.starts_with("std") || name.starts_with("mad");
                Shape {
                    range: if spreads { POSITIVE } else { of.range },
                    amount: if name == "stdvar_over_time" { None } else { of.amount },
                    filtered: of.filtered,
                    ..plain(&of)
                }
            }
            "min_over_time" | "max_over_time" | "last_over_time" | "first_over_time" => Shape {
                filtered: vector.filtered,
                ..plain(&vector)
            },
            "sum_over_time" => Shape {
                range: if vector.range.lowest >= 0.0 {
                    POSITIVE
                } else {
                    Range::ALL
                },
                ..plain(&vector)
            },
            "count_over_time" | "changes" => Shape {
                range: Range {
                    lowest: if name == "changes" { 0.0 } else { 1.0 },
                    highest: f64::INFINITY,
                },
                amount: Some(Amount::new(Of::Count, 1.0)),
                ..plain(&vector)
            },
            "present_over_time" => Shape {
                range: Range {
                    lowest: 1.0,
                    highest: 1.0,
                },
                amount: None,
                ..plain(&vector)
            },
            "time" => Shape {
                amount: Some(Amount::new(Of::Moment, 1.0)),
                range: POSITIVE,
                ..Shape::number(None)
            },
            "timestamp" => Shape {
                amount: Some(Amount::new(Of::Moment, 1.0)),
                range: POSITIVE,
                ..plain(&vector)
            },
            "vector" => Shape {
                scalar: false,
                amount: None,
                ..vector
            },
            "scalar" => Shape {
                scalar: true,
                labels: Labels::none(),
                ..plain(&vector)
            },
            "abs" | "sqrt" => Shape {
                range: POSITIVE,
                amount: if name == "abs" { vector.amount } else { None },
                ..plain(&vector)
            },
            "ceil" | "floor" | "round" | "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => Shape {
                raw: vector.raw && name.starts_with("sort"),
                series: if name.starts_with("sort") {
                    vector.series.clone()
                } else {
                    Vec::new()
                },
                range: Range {
                    lowest: vector.range.lowest.floor(),
                    highest: vector.range.highest.ceil(),
                },
                ..plain(&vector)
            },
            "clamp" | "clamp_min" | "clamp_max" => {
                let bound = |index: usize| call.args.get(index).and_then(constant);
                let (least, most) = match name {
                    "clamp" => (bound(1), bound(2)),
                    "clamp_min" => (bound(1), None),
                    _ => (None, bound(1)),
                };
                let known = call.args.iter().skip(1).all(|arg| constant(arg).is_some());
                let mut range = vector.range;
                range.lowest = range
                    .lowest
                    .max(least.unwrap_or(f64::NEG_INFINITY))
                    .min(most.unwrap_or(f64::INFINITY));
                range.highest = range
                    .highest
                    .min(most.unwrap_or(f64::INFINITY))
                    .max(least.unwrap_or(f64::NEG_INFINITY));
                Shape {
                    range: if known { range } else { Range::ALL },
                    ..plain(&vector)
                }
            }
            "label_replace" | "label_join" => {
                let mut shape = plain(&vector);
                shape.raw = vector.raw;
                match call.args.get(1).map(|arg| &arg.inner().node) {
                    Some(Node::Text(label)) if label == "__name__" => {}
                    Some(Node::Text(label)) => shape.labels.set(label, Presence::Perhaps, None),
                    _ => shape.labels = Labels::any(),
                }
                self.source_label(call, &vector);
                shape
            }
            "minute" | "hour" | "day_of_week" | "day_of_month" | "day_of_year" | "days_in_month" | "month" | "year" => {
                let (lowest, highest) = match name {
                    "minute" => (0.0, 59.0),
                    "hour" => (0.0, 23.0),
                    "day_of_week" => (0.0, 6.0),
                    "day_of_month" => (1.0, 31.0),
                    "day_of_year" => (1.0, 366.0),
                    "days_in_month" => (28.0, 31.0),
                    "month" => (1.0, 12.0),
                    _ => (1970.0, f64::INFINITY),
                };
                let labels = if call.args.is_empty() {
                    Labels::none()
                } else {
                    vector.labels.clone()
                };
                Shape {
                    labels,
                    range: Range { lowest, highest },
                    ..Shape::unknown()
                }
            }
            "sgn" => Shape {
                range: Range {
                    lowest: -1.0,
                    highest: 1.0,
                },
                amount: None,
                ..plain(&vector)
            },
            "pi" => Shape::number(Some(std::f64::consts::PI)),
            _ => Shape {
                labels: first.map_or(Labels::any(), |shape| shape.labels),
                ..Shape::unknown()
            },
        }
    }

    /// `rate` and the like.
    fn growth(&self, call: &Call, of: &Shape) -> Shape {
        let name = call.function.name;
        let is_subquery = matches!(call.args[0].inner().node, Node::Subquery(_));
        if of.kind() == Some(Kind::Gauge) && selector_of(&call.args[0]).is_some() {
            let fix = match name {
                "increase" => "write delta",
                "resets" => "write changes",
                _ => "write deriv, or take a counter",
            };
            let metric = &of.series[0].name;
            self.complain_with(
                Severity::Error,
                "metric-rate-of-gauge",
                call.name_span,
                format!(
                    "`{name}` is for counters, and `{metric}` goes up and down: each fall counts as a new beginning"
                ),
                Some(fix),
            );
        }
        if is_subquery
            && let Node::Subquery(subquery) = &call.args[0].inner().node
            && matches!(subquery.expr.inner().node, Node::Aggregate(_))
        {
            self.complain_with(
                Severity::Warning,
                "metric-rate-of-sum",
                call.name_span,
                format!("`{name}` of an aggregation: where one of its counters begins again at 0, the sum falls and all of it counts as growth"),
                Some(format!("take {name} of the counter first, and aggregate that")),
            );
        }
        let amount = match name {
            "increase" => of.amount,
            "resets" => Some(Amount::new(Of::Count, 1.0)),
            _ => of.amount.and_then(Amount::a_second),
        };
        Shape {
            labels: of.labels.clone(),
            amount,
            range: POSITIVE,
            // What a quantile is taken of is known by its buckets.
            series: of.series.clone(),
            raw: false,
            ..Shape::unknown()
        }
    }

    /// A quantile outside 0 to 1.
    pub(super) fn share(&self, expr: &Expr) {
        if let Some(value) = constant(expr)
            && !(0.0..=1.0).contains(&value)
        {
            let fix = (value > 1.0 && value <= 100.0).then(|| format!("write {}", value / 100.0));
            self.complain_with(
                Severity::Error,
                "metric-quantile",
                expr.span,
                format!("a quantile lies between 0 and 1, {value} does not: the result is infinite"),
                fix,
            );
        }
    }

    pub(super) fn quantile(&self, call: &Call, shapes: &[Shape]) -> Shape {
        self.share(&call.args[0]);
        let (Some(arg), Some(of)) = (call.args.get(1), shapes.get(1)) else {
            return Shape::unknown();
        };
        let buckets: Vec<_> = of
            .series
            .iter()
            .filter(|known| known.part == Part::Bucket || known.is_histogram)
            .collect();
        let span = arg.span;
        if let Some(first) = of.series.first()
            && buckets.is_empty()
        {
            let what = match (first.is_summary, first.part) {
                (true, _) => "is a summary and has no buckets",
                (_, Part::Whole) => "has no buckets",
                _ => "is not the series of buckets",
            };
            let fix = match first.is_summary {
                true => "take its own quantiles, or its `_sum` and `_count`",
                false => "take a histogram's `_bucket`",
            };
            self.complain_with(
                Severity::Error,
                "metric-quantile",
                span,
                format!("`{}` {what}", first.name),
                Some(fix),
            );
        } else if let Some(known) = of
            .series
            .iter()
            .find(|known| known.is_histogram && known.part != Part::Bucket)
        {
            self.complain_with(
                Severity::Error,
                "metric-quantile",
                span,
                format!("a quantile is taken of the buckets of `{}`", known.name),
                Some(format!("write {}_bucket", known.name)),
            );
        } else if of.labels.presence("le") == Presence::Never && has_classic_buckets(arg) {
            let at = grouping_of(arg).map_or(span, |grouping| grouping.span);
            self.complain_with(
                Severity::Error,
                "metric-quantile",
                at,
                "the aggregation drops `le`: without it there are no buckets",
                Some("aggregate by (le, …)"),
            );
        } else if of.raw && selector::grows(of.kind()) {
            self.complain_with(
                Severity::Warning,
                "metric-quantile",
                span,
                "this is the quantile of all values since the process began",
                Some("take rate of the buckets over a range"),
            );
        }
        let amount = of
            .series
            .first()
            .and_then(|known| self.set.catalogue.named(&known.name).first().map(|metric| metric.unit))
            .and_then(Amount::of_unit);
        const QUICK: [&str; 5] = [
            "request",
            "reconcile_time",
            "work_duration",
            "admission",
            "runtime_operations",
        ];
        let quick = of
            .series
            .iter()
            .any(|known| QUICK.iter().any(|part| known.name.contains(part)));
        Shape {
            labels: of.labels.without(std::iter::once("le")),
            quick,
            amount,
            range: POSITIVE,
            ..Shape::unknown()
        }
    }

    pub(super) fn absent(&self, call: &Call) -> Shape {
        let mut labels = Labels::none();
        if let Some(selector) = selector_of(&call.args[0]) {
            for matcher in &selector.matchers {
                let again = selector
                    .matchers
                    .iter()
                    .filter(|other| other.label == matcher.label)
                    .count()
                    > 1;
                if matcher.op == Match::Equal && matcher.label != "__name__" && !again && !matcher.value.is_empty() {
                    labels.set(
                        &matcher.label,
                        Presence::Always,
                        Some(BTreeSet::from([matcher.value.clone()])),
                    );
                }
            }
        }
        if let Node::Binary(binary) = &call.args[0].inner().node
            && matches!(binary.op, Op::Gt | Op::Ge | Op::Lt | Op::Le)
            && !binary.gives_bool
        {
            self.complain_with(
                Severity::Warning,
                "metric-absent",
                call.args[0].span,
                "`absent` of a comparison also holds where the metric is there and the comparison does not hold",
                Some("take absent of the metric alone, and compare in another rule"),
            );
        }
        if let Node::Aggregate(aggregate) = &call.args[0].inner().node
            && aggregate
                .grouping
                .as_ref()
                .is_some_and(|grouping| !grouping.labels.is_empty())
        {
            self.complain_with(
                Severity::Warning,
                "metric-absent",
                call.args[0].span,
                "`absent` says nothing of single groups: it holds only where all of them are gone",
                Some("write an absent for each, or compare with an earlier time: `x offset 1h unless x`"),
            );
        }
        Shape {
            labels,
            range: Range {
                lowest: 1.0,
                highest: 1.0,
            },
            filtered: true,
            ..Shape::unknown()
        }
    }

    /// The label that `label_replace` reads.
    fn source_label(&self, call: &Call, of: &Shape) {
        let Some(arg) = call.args.get(3).filter(|_| call.function.name == "label_replace") else {
            return;
        };
        if let Node::Text(label) = &arg.inner().node
            && !label.is_empty()
            && of.labels.presence(label) == Presence::Never
        {
            self.complain(
                Severity::Error,
                "metric-label-unknown",
                arg.span,
                format!("what is given here has no label `{label}` to read"),
            );
        }
    }
}

fn grouping_of(expr: &Expr) -> Option<&Grouping> {
    match &expr.inner().node {
        Node::Aggregate(aggregate) => aggregate.grouping.as_ref(),
        _ => None,
    }
}

/// Whether buckets are series of their own; those of a native histogram are in its values, and it has no `le`.
fn has_classic_buckets(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |part| {
        if let Node::Selector(selector) = &part.node {
            found |= selector.name.as_ref().is_some_and(|(name, _)| name.contains("bucket"));
        }
    });
    found
}
