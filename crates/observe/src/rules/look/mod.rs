//! What can be said of an expression without asking a server: which series it selects, what their labels, units and values are, and where that cannot go together.

mod aggregate;
mod alert;
mod binary;
mod calls;
mod conditions;
mod join;
mod labels;
mod selector;
mod unit;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use stoke_diagnostics::{Diagnostic, Severity};

use self::labels::{Labels, Presence};
use self::unit::Amount;
use super::Settings;
use super::read::{Expression, Owner};
use crate::catalogue::{Catalogue, Kind, Range, Series};
use crate::promql::{Expr, Node, Span, parse};

pub(super) use alert::duplicates;

/// What is known of an expression's values.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    labels: Labels,
    amount: Option<Amount>,
    range: Range,
    /// The series it selects, while it is a selector or a range of one.
    series: Vec<Known>,
    /// True for a number.
    scalar: bool,
    /// The number, where it is written.
    number: Option<f64>,
    /// True where it is a metric as it is scraped, perhaps compared or joined: not aggregated, not computed with.
    raw: bool,
    /// True where values were compared away, or there is a series only while something holds.
    filtered: bool,
    /// True where the values are of different units, for want of a condition on a label.
    mixed: bool,
    /// True where the values are times of requests and the like, which take no hours.
    quick: bool,
}

impl Shape {
    fn unknown() -> Shape {
        Shape {
            labels: Labels::any(),
            amount: None,
            range: Range::ALL,
            series: Vec::new(),
            scalar: false,
            number: None,
            raw: false,
            filtered: false,
            mixed: false,
            quick: false,
        }
    }

    fn number(value: Option<f64>) -> Shape {
        Shape {
            labels: Labels::none(),
            range: value.map_or(Range::ALL, |value| Range {
                lowest: value,
                highest: value,
            }),
            scalar: true,
            number: value,
            ..Shape::unknown()
        }
    }

    /// The kind of the values, where all series have the same.
    fn kind(&self) -> Option<Kind> {
        let mut kinds = self.series.iter().map(|known| known.kind);
        let first = kinds.next()?;
        kinds.all(|kind| kind == first).then_some(first)
    }
}

/// What is kept of a series.
#[derive(Clone, Debug)]
pub(super) struct Known {
    name: String,
    family: &'static str,
    kind: Kind,
    part: crate::catalogue::Part,
    is_histogram: bool,
    is_summary: bool,
}

impl Known {
    fn of(series: &Series<'_>) -> Known {
        Known {
            name: series.metric.name.clone(),
            family: series.metric.family,
            kind: series.kind(),
            part: series.part,
            is_histogram: series.metric.kind == Kind::Histogram,
            is_summary: series.metric.kind == Kind::Summary,
        }
    }
}

/// All expressions of a set of files, and what the rules among them record.
pub(super) struct Set<'s> {
    pub(super) settings: &'s Settings,
    pub(super) catalogue: &'static Catalogue,
    parsed: Vec<Option<Expr>>,
    expressions: &'s [Expression],
    /// Which expressions record a name.
    records: HashMap<&'s str, Vec<usize>>,
    /// Shapes of what is recorded, once they are known; none while they are being found.
    shapes: RefCell<HashMap<String, Option<Shape>>>,
}

impl<'s> Set<'s> {
    /// Reads all expressions; what cannot be read is complained about.
    pub(super) fn new(
        expressions: &'s [Expression],
        settings: &'s Settings,
        complaints: &mut Vec<Diagnostic>,
    ) -> Set<'s> {
        let mut records: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut parsed = Vec::with_capacity(expressions.len());
        for (index, expression) in expressions.iter().enumerate() {
            if let Owner::Recording(name) = &expression.owner {
                records.entry(name).or_default().push(index);
            }
            match parse(&expression.text.text, expression.variables) {
                Ok(expr) => parsed.push(Some(expr)),
                Err(wrong) => {
                    let code = if wrong.is_type { "promql-type" } else { "promql-syntax" };
                    let place = wrong.span.start..wrong.span.end;
                    let mut complaint =
                        expression
                            .text
                            .diagnostic(Severity::Error, code, place, &expression.path, wrong.message);
                    complaint.fix = wrong.fix.map(Into::into);
                    complaints.push(complaint);
                    parsed.push(None);
                }
            }
        }
        Set {
            settings,
            catalogue: Catalogue::builtin(),
            parsed,
            expressions,
            records,
            shapes: RefCell::default(),
        }
    }

    /// What is wrong with an expression.
    pub fn look(&self, index: usize) -> Vec<Diagnostic> {
        let (Some(expression), Some(Some(expr))) = (self.expressions.get(index), self.parsed.get(index)) else {
            return Vec::new();
        };
        let look = Look {
            set: self,
            expression,
            complaints: RefCell::default(),
            silent: false,
        };
        let shape = look.shape(expr);
        look.of_owner(expr, &shape);
        let mut complaints = look.complaints.into_inner();
        let mut seen = HashSet::new();
        complaints.retain(|complaint| {
            seen.insert((
                complaint.line,
                complaint.column,
                complaint.code.clone(),
                complaint.message.clone(),
            ))
        });
        complaints
    }

    /// The names of metrics that an expression selects, each once.
    pub(super) fn selected(&self) -> BTreeMap<String, Vec<(usize, Span)>> {
        let mut names: BTreeMap<String, Vec<(usize, Span)>> = BTreeMap::new();
        for (index, expr) in self.parsed.iter().enumerate() {
            let Some(expr) = expr else { continue };
            expr.visit(&mut |expr| {
                if let Node::Selector(selector) = &expr.node
                    && let Some((name, span)) = selector::plain_name(selector)
                {
                    names.entry(name.to_owned()).or_default().push((index, span));
                }
            });
        }
        names
    }

    /// Whether a rule of these files records a name.
    pub fn is_recorded(&self, name: &str) -> bool {
        self.records.contains_key(name)
    }

    /// What is recorded under a name.
    fn recorded(&self, name: &str) -> Option<Shape> {
        let indices = self.records.get(name)?;
        if let Some(known) = self.shapes.borrow().get(name) {
            // One that is being found depends on itself.
            return Some(known.clone().unwrap_or_else(Shape::unknown));
        }
        self.shapes.borrow_mut().insert(name.to_owned(), None);
        let mut all: Option<Shape> = None;
        for index in indices {
            let (expression, Some(Some(expr))) = (&self.expressions[*index], self.parsed.get(*index)) else {
                return Some(Shape::unknown());
            };
            let look = Look {
                set: self,
                expression,
                complaints: RefCell::default(),
                silent: true,
            };
            let mut shape = look.shape(expr);
            for label in &expression.adds {
                shape.labels.set(label, Presence::Always, None);
            }
            shape.series.clear();
            shape.raw = false;
            shape.filtered = false;
            shape.scalar = false;
            all = Some(match all {
                None => shape,
                Some(before) => Shape {
                    labels: before.labels.either(&shape.labels),
                    amount: before.amount.filter(|amount| Some(*amount) == shape.amount),
                    range: Range {
                        lowest: before.range.lowest.min(shape.range.lowest),
                        highest: before.range.highest.max(shape.range.highest),
                    },
                    ..shape
                },
            });
        }
        let shape = all.unwrap_or_else(Shape::unknown);
        self.shapes.borrow_mut().insert(name.to_owned(), Some(shape.clone()));
        Some(shape)
    }
}

/// Looks at one expression.
struct Look<'l, 's> {
    set: &'l Set<'s>,
    expression: &'l Expression,
    complaints: RefCell<Vec<Diagnostic>>,
    /// Complaints are of no interest.
    silent: bool,
}

impl Look<'_, '_> {
    fn complain(&self, severity: Severity, code: &'static str, span: Span, message: impl Into<String>) {
        self.complain_with(severity, code, span, message, None::<String>);
    }

    fn complain_with(
        &self,
        severity: Severity,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        fix: Option<impl Into<String>>,
    ) {
        if self.silent {
            return;
        }
        let expression = self.expression;
        let mut complaint = expression
            .text
            .diagnostic(severity, code, span.start..span.end, &expression.path, message);
        complaint.fix = fix.map(|fix| fix.into().into());
        self.complaints.borrow_mut().push(complaint);
    }

    fn written(&self, expr: &Expr) -> &str {
        self.expression
            .text
            .text
            .get(expr.span.start..expr.span.end)
            .unwrap_or_default()
    }

    /// What an expression gives; complains about what is wrong within.
    fn shape(&self, expr: &Expr) -> Shape {
        match &expr.node {
            Node::Number(value) => Shape::number(Some(*value)),
            Node::Text(_) => Shape::number(None),
            Node::Variable => Shape::unknown(),
            Node::Paren(inner) => self.shape(inner),
            Node::Unary(negated, inner) => {
                let mut shape = self.shape(inner);
                if *negated {
                    shape.range = Range {
                        lowest: -shape.range.highest,
                        highest: -shape.range.lowest,
                    };
                    shape.number = shape.number.map(|number| -number);
                    shape.series.clear();
                    shape.raw = false;
                }
                shape
            }
            Node::Selector(selector) => self.selector(selector),
            Node::Subquery(subquery) => {
                let mut shape = self.shape(&subquery.expr);
                if let (Some(range), Some(Some(step))) =
                    (subquery.range.seconds, subquery.step.map(|step| step.seconds))
                    && step > range
                {
                    let span = subquery.range.span;
                    self.complain(
                        Severity::Warning,
                        "metric-range",
                        span,
                        "the step is longer than the range: the subquery has one value at most",
                    );
                }
                shape.raw = false;
                shape
            }
            Node::Call(call) => self.call(call),
            Node::Aggregate(aggregate) => self.aggregate(aggregate),
            Node::Binary(binary) => self.binary(binary, expr),
        }
    }
}

/// The number that an expression of numbers alone is.
fn constant(expr: &Expr) -> Option<f64> {
    use crate::promql::Op;
    match &expr.node {
        Node::Number(value) => Some(*value),
        Node::Paren(inner) => constant(inner),
        Node::Unary(negated, inner) => constant(inner).map(|value| if *negated { -value } else { value }),
        Node::Binary(binary) => {
            let (left, right) = (constant(&binary.left)?, constant(&binary.right)?);
            match binary.op {
                Op::Add => Some(left + right),
                Op::Sub => Some(left - right),
                Op::Mul => Some(left * right),
                Op::Div => Some(left / right),
                Op::Pow => Some(left.powf(right)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether two expressions are the same but for blanks.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace()
        .flat_map(str::chars)
        .eq(other.split_whitespace().flat_map(str::chars))
}
