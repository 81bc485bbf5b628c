//! Operators: comparisons that never hold, units that do not go together, vectors that never join.

use stoke_diagnostics::Severity;

use super::join::never_joins;
use super::unit::{Amount, Of, combine};
use super::{Look, Shape, constant, same};
use crate::catalogue::Range;
use crate::promql::{Binary, Expr, Node, Op, Span};

impl Look<'_, '_> {
    pub(super) fn binary(&self, binary: &Binary, expr: &Expr) -> Shape {
        let (left, right) = (self.shape(&binary.left), self.shape(&binary.right));
        if let Some(value) = constant(expr) {
            return Shape::number(Some(value));
        }
        if binary.op.is_set() {
            return self.set_operator(binary, &left, &right);
        }
        if !left.scalar && !right.scalar {
            self.join(binary, &left, &right);
        }
        match binary.op.is_comparison() {
            true => self.comparison(binary, left, right),
            false => self.arithmetic(binary, left, right),
        }
    }

    pub(super) fn comparison(&self, binary: &Binary, left: Shape, right: Shape) -> Shape {
        self.units_of(binary, &left, &right, "compared");
        // A number on the left is compared the other way around.
        let (vector, other, op) = match left.scalar && !right.scalar {
            true => (&right, &left, turned(binary.op)),
            false => (&left, &right, binary.op),
        };
        let holds = holds(op, vector.range, other.range);
        let span = binary.left.span.to(binary.right.span);
        let value = |shape: &Shape| shape.number.map_or_else(|| "the other side".to_owned(), show);
        let values = |shape: &Shape| match (shape.range.lowest, shape.range.highest) {
            (lowest, highest) if lowest == highest => format!("it is always {}", show(lowest)),
            (lowest, f64::INFINITY) => format!("it is at least {}", show(lowest)),
            (lowest, highest) => format!("it is between {} and {}", show(lowest), show(highest)),
        };
        match holds {
            Some(false) => {
                let is_count = vector.range.lowest == 1.0 && vector.range.highest == f64::INFINITY;
                let fix = if is_count {
                    Some(
                        "where there is nothing to count there is no series: write absent(…), or `… or vector(0)`"
                            .to_owned(),
                    )
                } else if vector.range.highest == 1.0
                    && other.range.lowest > 1.0
                    && other.range.lowest <= 100.0
                    && vector.amount.is_some_and(|amount| amount.of == Of::Ratio)
                {
                    Some(format!(
                        "write {}: it is a ratio, not percent",
                        show(other.range.lowest / 100.0)
                    ))
                } else {
                    None
                };
                self.complain_with(
                    Severity::Error,
                    "metric-never-true",
                    span,
                    format!("this is never {} {}: {}", words(op), value(other), values(vector)),
                    fix,
                );
            }
            // `count(…) > 0` and `ALERTS == 1` ask whether there is any.
            Some(true) if !binary.gives_bool && vector.range.lowest < 1.0 => {
                self.complain(
                    Severity::Warning,
                    "metric-always-true",
                    span,
                    format!("this is always {} {}: {}", words(op), value(other), values(vector)),
                );
            }
            _ => self.suspicious(vector, other, op, span),
        }
        let labels = self.joined_labels(binary, &left, &right);
        if binary.gives_bool {
            return Shape {
                labels,
                range: Range {
                    lowest: 0.0,
                    highest: 1.0,
                },
                scalar: left.scalar && right.scalar,
                ..Shape::unknown()
            };
        }
        let kept = if left.scalar { right } else { left };
        Shape {
            labels,
            range: narrowed(op, kept.range, &other_range(binary)),
            filtered: true,
            ..kept
        }
    }

    /// Thresholds that are right for another unit.
    fn suspicious(&self, vector: &Shape, other: &Shape, op: Op, span: Span) {
        let Some(number) = other.number else { return };
        let Some(amount) = vector.amount else { return };
        let above = matches!(op, Op::Gt | Op::Ge);
        let bare = |factor: f64| (amount.factor - factor).abs() < factor * 1e-6;
        let complaint = match amount.of {
            Of::Memory
                if bare(1.0)
                    && !vector.series.is_empty()
                    && number > 1.0
                    && number < 65_536.0
                    && vector.kind() == Some(crate::catalogue::Kind::Gauge) =>
            {
                Some((
                    format!("bytes are compared with {}", show(number)),
                    Some(format!(
                        "write {} * 1024 * 1024 if MiB are meant, or * 1024 * 1024 * 1024 for GiB",
                        show(number)
                    )),
                ))
            }
            Of::Memory if amount.factor > 1000.0 && number * amount.factor > 1e15 => Some((
                format!(
                    "{} are compared with {}",
                    amount.name().unwrap_or("large units"),
                    show(number)
                ),
                Some(format!(
                    "write {}: the metric is not in bytes",
                    show((number / amount.factor).round())
                )),
            )),
            Of::Moment if number < 1e9 / amount.factor.max(1e-3) && number != 0.0 && above => Some((
                format!(
                    "a moment ({}) is compared with {}",
                    amount.name().unwrap_or("a time"),
                    show(number)
                ),
                Some("write `time() - …` for how long ago it is".to_owned()),
            )),
            Of::Ratio if bare(1.0) && above && (5.0..=100.0).contains(&number) => Some((
                format!("a ratio is compared with {}", show(number)),
                Some(format!("write {}, or multiply the ratio by 100", show(number / 100.0))),
            )),
            Of::Ratio if bare(0.01) && above && number > 0.0 && number < 1.0 && vector.range.highest <= 100.0 => {
                Some((
                    format!("percent are compared with {}", show(number)),
                    Some(format!("write {}, or do not multiply by 100", show(number * 100.0))),
                ))
            }
            Of::Time if bare(1.0) && above && number >= 1000.0 && vector.quick => Some((
                format!("seconds of requests are compared with {}", show(number)),
                Some(format!("write {} if milliseconds are meant", show(number / 1000.0))),
            )),
            Of::Time if bare(1e-9) && above && number > 0.0 && number < 10_000.0 => Some((
                format!("nanoseconds are compared with {}", show(number)),
                Some("divide by 1e9 for seconds, by 1e6 for milliseconds".to_owned()),
            )),
            _ => None,
        };
        if let Some((message, fix)) = complaint {
            self.complain_with(Severity::Warning, "metric-units", span, message, fix);
        }
    }

    fn units_of(&self, binary: &Binary, left: &Shape, right: &Shape, what: &str) {
        let (Some(one), Some(two)) = (left.amount, right.amount) else {
            return;
        };
        if one.same(two) || left.number.is_some() || right.number.is_some() {
            return;
        }
        // What is counted goes together with anything that is counted; states are counts of one; a rate of seconds is a ratio.
        let loose = |of: Of| matches!(of, Of::Count | Of::State | Of::Ratio | Of::Rate | Of::Cores);
        if loose(one.of) && loose(two.of) && (one.factor / two.factor).ln().abs() < 0.2 {
            return;
        }
        let time = |of: Of| matches!(of, Of::Time | Of::Moment);
        if time(one.of) && time(two.of) && (one.factor / two.factor).ln().abs() < 0.2 && binary.op.is_comparison() {
            self.complain_with(
                Severity::Error,
                "metric-units",
                binary.left.span.to(binary.right.span),
                "a moment is compared with a length of time",
                Some("write `time() - …` for how long ago it is"),
            );
            return;
        }
        if time(one.of) && time(two.of) && (one.factor / two.factor).ln().abs() < 0.2 {
            return;
        }
        let name = |amount: Amount| amount.name().unwrap_or("another unit");
        let fix = (one.of == two.of).then(|| {
            let factor = two.factor / one.factor;
            match factor >= 1.0 {
                true => format!("divide the left side by {}", show(factor)),
                false => format!("divide the right side by {}", show(1.0 / factor)),
            }
        });
        self.complain_with(
            Severity::Error,
            "metric-units",
            binary.left.span.to(binary.right.span),
            format!("{} and {} are {what}", name(one), name(two)),
            fix,
        );
    }

    fn arithmetic(&self, binary: &Binary, left: Shape, right: Shape) -> Shape {
        let op = binary.op;
        if matches!(op, Op::Add | Op::Sub) && !left.mixed && !right.mixed {
            self.units_of(
                binary,
                &left,
                &right,
                if op == Op::Add { "added" } else { "subtracted" },
            );
        }
        let amount = match (op, left.amount, right.amount) {
            (Op::Mul, Some(amount), _) if right.number.is_some() => {
                right.number.and_then(|number| amount.times(number))
            }
            (Op::Mul, _, Some(amount)) if left.number.is_some() => left.number.and_then(|number| amount.times(number)),
            (Op::Div, Some(amount), _) if right.number.is_some() => {
                right.number.and_then(|number| amount.times(1.0 / number))
            }
            (Op::Div, Some(one), Some(two)) => self.division(binary, one, two),
            (Op::Mul, Some(one), Some(two)) => match (one.of, two.of) {
                (Of::State, _) => Some(two),
                (_, Of::State) => Some(one),
                (Of::Ratio | Of::Count, _) if one.factor == 1.0 => Some(two).filter(|_| one.of == Of::Ratio),
                (_, Of::Ratio) if two.factor == 1.0 => Some(one),
                _ => None,
            },
            (Op::Sub, Some(one), Some(two)) if one.of == Of::Moment && two.of == Of::Moment => {
                Some(Amount::new(Of::Time, one.factor))
            }
            (Op::Sub | Op::Add, Some(one), Some(two)) if one.of == Of::Moment || two.of == Of::Moment => {
                let factor = if one.of == Of::Moment { one.factor } else { two.factor };
                Some(Amount::new(Of::Moment, factor))
            }
            (Op::Add | Op::Sub, Some(one), Some(two)) => Some(one).filter(|one| one.same(two)),
            (Op::Add | Op::Sub, Some(one), None) if right.number.is_some() => Some(one),
            (Op::Add | Op::Sub, None, Some(two)) if left.number.is_some() => Some(two),
            _ => None,
        };
        let mut range = combine(op, left.range, right.range);
        if op == Op::Div && part_of_whole(self.written(&binary.left), self.written(&binary.right)) {
            range = Range {
                lowest: 0.0,
                highest: 1.0,
            };
        }
        Shape {
            labels: self.joined_labels(binary, &left, &right),
            amount,
            range,
            scalar: left.scalar && right.scalar,
            mixed: (left.mixed && right.number.is_some()) || (right.mixed && left.number.is_some()),
            ..Shape::unknown()
        }
    }

    fn division(&self, binary: &Binary, one: Amount, two: Amount) -> Option<Amount> {
        if one.of == two.of {
            if !one.same(two) {
                let name = |amount: Amount| amount.name().unwrap_or("another unit");
                self.complain(
                    Severity::Error,
                    "metric-units",
                    binary.left.span.to(binary.right.span),
                    format!("{} are divided by {}", name(one), name(two)),
                );
                return None;
            }
            // Things divided by how many series there are is a mean, not a share.
            let is_mean = counts_series(&binary.left) != counts_series(&binary.right);
            return Some(Amount::new(Of::Ratio, 1.0)).filter(|_| !matches!(one.of, Of::Moment) && !is_mean);
        }
        None
    }

    fn set_operator(&self, binary: &Binary, left: &Shape, right: &Shape) -> Shape {
        let (one, other) = (self.written(&binary.left), self.written(&binary.right));
        match binary.op {
            Op::Or => {
                if same(one, other) {
                    self.complain(
                        Severity::Warning,
                        "metric-dead-branch",
                        binary.right.span,
                        "both sides of `or` are the same",
                    );
                } else if self.always_there(&binary.left)
                    && binary
                        .matching
                        .as_ref()
                        .is_none_or(|matching| matching.on && matching.labels.is_empty())
                    && right.labels.is_closed()
                    && right.labels.named().next().is_none()
                {
                    self.complain(
                        Severity::Warning,
                        "metric-dead-branch",
                        binary.right.span,
                        "the left side always has a series without labels: this side of `or` never counts",
                    );
                }
                return Shape {
                    labels: left.labels.either(&right.labels),
                    amount: left
                        .amount
                        .filter(|amount| right.amount.is_none_or(|other| amount.same(other))),
                    range: Range {
                        lowest: left.range.lowest.min(right.range.lowest),
                        highest: left.range.highest.max(right.range.highest),
                    },
                    filtered: left.filtered && right.filtered,
                    ..Shape::unknown()
                };
            }
            Op::Unless if same(one, other) => {
                self.complain(
                    Severity::Error,
                    "metric-never-true",
                    binary.left.span.to(binary.right.span),
                    "both sides of `unless` are the same: nothing is left",
                );
            }
            Op::And => self.contradiction(binary),
            _ => {}
        }
        match binary.op {
            Op::Unless => self.dead_unless(binary, left, right),
            _ => self.join(binary, left, right),
        }
        Shape {
            filtered: true,
            ..left.clone()
        }
    }

    /// `unless` with a side that never takes anything away.
    fn dead_unless(&self, binary: &Binary, left: &Shape, right: &Shape) {
        if let Some(why) = never_joins(binary.matching.as_ref(), &left.labels, &right.labels) {
            self.complain_with(
                Severity::Error,
                "metric-never-joins",
                binary.right.span,
                format!("this side of `unless` never takes anything away: {}", why.reason),
                Some(why.fix),
            );
        }
    }

    /// Whether an expression has a series whatever there is.
    fn always_there(&self, expr: &Expr) -> bool {
        match &expr.inner().node {
            Node::Call(call) => call.function.name == "vector",
            Node::Binary(binary) => {
                binary.op == Op::Or && (self.always_there(&binary.left) || self.always_there(&binary.right))
            }
            _ => false,
        }
    }

    /// `x > 5 and x < 3`; `x and absent(x)`.
    fn contradiction(&self, binary: &Binary) {
        let mut sides = Vec::new();
        conjuncts(&binary.left, &mut sides);
        conjuncts(&binary.right, &mut sides);
        for (index, one) in sides.iter().enumerate() {
            for other in &sides[index + 1..] {
                let span = one.span.to(other.span);
                if let (Some((a, op_a, x)), Some((b, op_b, y))) = (compared(one), compared(other))
                    && same(self.written(a), self.written(b))
                    && disjoint((op_a, x), (op_b, y))
                {
                    self.complain(
                        Severity::Error,
                        "metric-never-true",
                        span,
                        format!("nothing is {} {} and {} {}", words(op_a), show(x), words(op_b), show(y)),
                    );
                }
                for (absent, there) in [(one, other), (other, one)] {
                    if let Node::Call(call) = &absent.inner().node
                        && call.function.name == "absent"
                        && let there = compared(there).map_or(there.inner(), |(inner, ..)| inner.inner())
                        && same(self.written(call.args[0].inner()), self.written(there))
                    {
                        self.complain(
                            Severity::Error,
                            "metric-never-true",
                            span,
                            "it cannot be there and absent",
                        );
                    }
                }
            }
        }
    }
}

/// The comparison with its sides exchanged.
fn turned(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        other => other,
    }
}

/// Whether a comparison of values in two ranges always or never holds.
pub(super) fn holds(op: Op, left: Range, right: Range) -> Option<bool> {
    let is_point = left.lowest == left.highest && right.lowest == right.highest;
    match op {
        Op::Gt if left.highest <= right.lowest => Some(false),
        Op::Gt if left.lowest > right.highest => Some(true),
        Op::Ge if left.highest < right.lowest => Some(false),
        Op::Ge if left.lowest >= right.highest => Some(true),
        Op::Lt if left.lowest >= right.highest => Some(false),
        Op::Lt if left.highest < right.lowest => Some(true),
        Op::Le if left.lowest > right.highest => Some(false),
        Op::Le if left.highest <= right.lowest => Some(true),
        Op::Eq if left.highest < right.lowest || left.lowest > right.highest => Some(false),
        Op::Ne if left.highest < right.lowest || left.lowest > right.highest => Some(true),
        Op::Eq if is_point => Some(left.lowest == right.lowest),
        Op::Ne if is_point => Some(left.lowest != right.lowest),
        _ => None,
    }
}

/// The values that a comparison leaves.
fn narrowed(op: Op, range: Range, other: &Range) -> Range {
    let mut left = range;
    match op {
        Op::Gt | Op::Ge => left.lowest = left.lowest.max(other.lowest),
        Op::Lt | Op::Le => left.highest = left.highest.min(other.highest),
        Op::Eq => left = *other,
        _ => {}
    }
    if left.lowest > left.highest { range } else { left }
}

/// The range of the number that a comparison is with.
fn other_range(binary: &Binary) -> Range {
    let number = constant(&binary.right).or_else(|| constant(&binary.left));
    number.map_or(Range::ALL, |number| Range {
        lowest: number,
        highest: number,
    })
}

pub(super) fn words(op: Op) -> &'static str {
    match op {
        Op::Gt => "above",
        Op::Ge => "at least",
        Op::Lt => "below",
        Op::Le => "at most",
        Op::Eq => "equal to",
        _ => "other than",
    }
}

pub(super) fn show(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}

/// The sides of `and`, however many.
fn conjuncts<'e>(expr: &'e Expr, into: &mut Vec<&'e Expr>) {
    match &expr.inner().node {
        Node::Binary(binary) if binary.op == Op::And && binary.matching.is_none() => {
            conjuncts(&binary.left, into);
            conjuncts(&binary.right, into);
        }
        _ => into.push(expr),
    }
}

/// What is compared with a number.
pub(super) fn compared(expr: &Expr) -> Option<(&Expr, Op, f64)> {
    let Node::Binary(binary) = &expr.inner().node else {
        return None;
    };
    if !binary.op.is_comparison() || binary.gives_bool {
        return None;
    }
    match (constant(&binary.left), constant(&binary.right)) {
        (None, Some(number)) => Some((binary.left.inner(), binary.op, number)),
        (Some(number), None) => Some((binary.right.inner(), turned(binary.op), number)),
        _ => None,
    }
}

/// Whether no number meets both conditions.
fn disjoint(one: (Op, f64), other: (Op, f64)) -> bool {
    let ((a, x), (b, y)) = (one, other);
    match (a, b) {
        (Op::Gt | Op::Ge, Op::Lt | Op::Le) => x > y || (x == y && !(a == Op::Ge && b == Op::Le)),
        (Op::Lt | Op::Le, Op::Gt | Op::Ge) => disjoint(other, one),
        (Op::Eq, Op::Eq) => x != y,
        (Op::Eq, Op::Ne) | (Op::Ne, Op::Eq) => x == y,
        (Op::Eq, Op::Gt) => x <= y,
        (Op::Eq, Op::Ge) => x < y,
        (Op::Eq, Op::Lt) => x >= y,
        (Op::Eq, Op::Le) => x > y,
        (_, Op::Eq) => disjoint(other, one),
        _ => false,
    }
}

/// Metrics of which the first is a part of the second.
const PARTS: [(&str, &str); 10] = [
    ("jvm_heap_used_Value", "jvm_heap_max_Value"),
    ("jvm_heap_used_Value", "jvm_heap_committed_Value"),
    ("_memory_memUsed_MB_Value", "_memory_maxMem_MB_Value"),
    ("_memory_remainingMem_MB_Value", "_memory_maxMem_MB_Value"),
    ("kubelet_volume_stats_used_bytes", "kubelet_volume_stats_capacity_bytes"),
    (
        "kubelet_volume_stats_available_bytes",
        "kubelet_volume_stats_capacity_bytes",
    ),
    ("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    ("node_filesystem_free_bytes", "node_filesystem_size_bytes"),
    ("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"),
    ("process_open_fds", "process_max_fds"),
];

/// Whether what is divided is a part of what it is divided by.
fn part_of_whole(part: &str, whole: &str) -> bool {
    let plain = |text: &str| !text.contains(['(', '+', '-', '*', '/']);
    let name = |text: &str| text.split(['{', ' ', '\n']).next().unwrap_or_default().to_owned();
    plain(part)
        && plain(whole)
        && PARTS
            .iter()
            .any(|(one, two)| name(part).ends_with(one) && name(whole).ends_with(two))
}

/// Whether an expression is a number of series.
fn counts_series(expr: &Expr) -> bool {
    match &expr.inner().node {
        Node::Aggregate(aggregate) => aggregate.op == "count",
        Node::Call(call) if call.function.name == "scalar" => call.args.first().is_some_and(counts_series),
        _ => false,
    }
}
