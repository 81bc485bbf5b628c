//! What surrounds an expression: how long an alert waits, which labels its texts ask for, rules that stand twice.

use std::collections::HashMap;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::nearest;

use super::labels::{Presence, is_of_targets};
use super::unit::Of;
use super::{Look, Shape, same, selector};
use crate::promql::{Expr, Node};
use crate::rules::place::Text;
use crate::rules::read::{Alert, Expression, Owner};

/// Functions of Prometheus' templates, and those of Go's.
const TEMPLATE_FUNCTIONS: [&str; 64] = [
    "query",
    "first",
    "label",
    "value",
    "sortByLabel",
    "strvalue",
    "args",
    "safeHtml",
    "tableLink",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "title",
    "toUpper",
    "toLower",
    "match",
    "reReplaceAll",
    "stripPort",
    "stripDomain",
    "externalURL",
    "pathPrefix",
    "parseDuration",
    "urlQueryEscape",
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "println",
    "html",
    "js",
    "urlquery",
    "call",
    "if",
    "else",
    "end",
    "range",
    "with",
    "template",
    "define",
    "block",
    "break",
    "continue",
    "nil",
    "true",
    "false",
    "tmpl",
    "pathEscape",
    "joinStrings",
];

impl Look<'_, '_> {
    /// What is wrong with the rule or panel that an expression is of.
    pub(super) fn of_owner(&self, expr: &Expr, shape: &Shape) {
        if let Owner::Alert(alert) = &self.expression.owner {
            self.fires(expr, shape, alert);
            self.waits(alert);
            for (path, is_label, text) in &alert.texts {
                self.template(path, *is_label, text, alert, shape);
            }
        }
    }

    /// An alert whose expression does not ask for anything.
    fn fires(&self, expr: &Expr, shape: &Shape, alert: &Alert) {
        let gives_bool = matches!(&expr.inner().node, Node::Binary(binary) if binary.gives_bool);
        if shape.scalar || gives_bool {
            let what = if gives_bool {
                "`bool` gives 0 where the comparison does not hold"
            } else {
                "a number is always there"
            };
            self.complain_with(
                Severity::Error,
                "metric-always-true",
                expr.span,
                format!("the alert always fires: {what}"),
                gives_bool.then_some("leave out bool"),
            );
            return;
        }
        let compared = compares(expr);
        if shape.raw && !compared && !shape.series.is_empty() && !shape.filtered && alert.name != "Watchdog" {
            let state = shape.amount.is_some_and(|amount| amount.of == Of::State);
            let what = if state {
                "is 0 where it does not hold"
            } else {
                "has a value whether all is well or not"
            };
            let fix = if state {
                "write `== 1`, or `== 0`"
            } else {
                "compare it with a threshold"
            };
            self.complain_with(
                Severity::Error,
                "metric-always-true",
                expr.span,
                format!(
                    "the alert fires as long as there is a series: `{}` {what}",
                    shape.series[0].name
                ),
                Some(fix),
            );
        }
        self.counters(expr);
    }

    /// Counters that an alert compares as they are.
    fn counters(&self, expr: &Expr) {
        let Node::Binary(binary) = &expr.inner().node else {
            return;
        };
        if binary.op.is_set() {
            self.counters(&binary.left);
            self.counters(&binary.right);
            return;
        }
        if !binary.op.is_comparison() || super::constant(&binary.right).is_none() {
            return;
        }
        let inner = match &binary.left.inner().node {
            Node::Aggregate(aggregate) if aggregate.op == "sum" => aggregate.expr.inner(),
            _ => binary.left.inner(),
        };
        let Node::Selector(selector) = &inner.node else { return };
        let Some((name, span)) = selector::plain_name(selector) else {
            return;
        };
        let series = self.set.catalogue.series(name);
        let all_grow = !series.is_empty()
            && series
                .iter()
                .all(|series| series.kind() == crate::catalogue::Kind::Counter);
        if all_grow && self.set.recorded(name).is_none() {
            self.complain_with(
                Severity::Warning,
                "metric-counter-compared",
                span,
                format!("`{name}` only grows: once this holds, it holds until the process ends"),
                Some(format!("compare what it grew by: increase({name}[1h])")),
            );
        }
    }

    fn waits(&self, alert: &Alert) {
        if let (Some(waits), Some(interval)) = (alert.waits, alert.interval)
            && waits > 0.0
            && waits < interval
        {
            self.owner_complaint(
                Severity::Warning,
                "rule-for-short",
                alert,
                format!("`for` is {waits} s, and the group is evaluated every {interval} s: it waits as long as that"),
                "make `for` a multiple of the interval",
            );
        }
    }

    fn owner_complaint(&self, severity: Severity, code: &'static str, alert: &Alert, message: String, fix: &str) {
        if !self.silent {
            let path = self.expression.path.replace(".expr", ".for");
            let complaint = self
                .expression
                .text
                .in_file(severity, code, alert.waits_place, &path, message);
            self.complaints.borrow_mut().push(complaint.with_fix(fix));
        }
    }

    /// A label or an annotation with a template in it.
    fn template(&self, path: &str, is_label: bool, text: &Text, alert: &Alert, shape: &Shape) {
        let mut rest_at = 0;
        while let Some(open) = text.text.get(rest_at..).and_then(|rest| rest.find("{{")) {
            let begin = rest_at + open;
            let Some(end) = text.text[begin..].find("}}").map(|end| begin + end + 2) else {
                self.of_text(
                    text,
                    Severity::Error,
                    "rule-template",
                    begin..text.text.len(),
                    path,
                    "`{{` has no `}}`",
                    None,
                );
                return;
            };
            self.action(path, is_label, text, begin..end, alert, shape);
            rest_at = end;
        }
        let stray = text.text.get(rest_at..).and_then(|rest| rest.find("}}"));
        if let Some(at) = stray.filter(|_| rest_at == 0 || !text.text[rest_at..].contains("{{")) {
            let at = rest_at + at;
            self.of_text(
                text,
                Severity::Warning,
                "rule-template",
                at..at + 2,
                path,
                "`}}` has no `{{`",
                None,
            );
        }
        // `$labels.pod` outside of braces is shown as it stands.
        for word in ["$labels.", "$value"] {
            for (at, _) in text.text.match_indices(word) {
                let before = &text.text[..at];
                if before.matches("{{").count() == before.matches("}}").count() {
                    let end = at
                        + word.len()
                        + text.text[at + word.len()..]
                            .chars()
                            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                            .count();
                    let shown = text.text[at..end].to_owned();
                    self.of_text(
                        text,
                        Severity::Warning,
                        "rule-template",
                        at..end,
                        path,
                        format!("`{shown}` stands outside of braces and is shown as it is"),
                        Some(format!("write {{{{ {shown} }}}}")),
                    );
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn of_text(
        &self,
        text: &Text,
        severity: Severity,
        code: &'static str,
        stretch: std::ops::Range<usize>,
        path: &str,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        if self.silent {
            return;
        }
        let mut complaint = text.diagnostic(severity, code, stretch, path, message);
        complaint.fix = fix.map(Into::into);
        self.complaints.borrow_mut().push(complaint);
    }

    fn action(
        &self,
        path: &str,
        is_label: bool,
        text: &Text,
        stretch: std::ops::Range<usize>,
        alert: &Alert,
        shape: &Shape,
    ) {
        let action = text.text[stretch.clone()].to_owned();
        let inner = action
            .trim_start_matches("{{")
            .trim_end_matches("}}")
            .trim_matches('-')
            .trim();
        if inner.starts_with("/*") {
            return;
        }
        if is_label && inner.contains("$value") && alert.waits.is_some_and(|waits| waits > 0.0) {
            self.of_text(
                text,
                Severity::Error,
                "rule-template",
                stretch.clone(),
                path,
                "a label with the value changes at each evaluation: every value is another alert, and none waits long enough to fire",
                Some("move it to an annotation".to_owned()),
            );
        }
        for (label, at) in labels_of(&action) {
            let at = stretch.start + at..stretch.start + at + label.len();
            self.label_of_text(text, label, at, path, shape);
        }
        self.functions(text, inner, stretch, path);
    }

    fn label_of_text(&self, text: &Text, label: &str, at: std::ops::Range<usize>, path: &str, shape: &Shape) {
        if self.expression.adds.iter().any(|added| added == label) || label == "alertname" {
            return;
        }
        let has: Vec<&str> = shape.labels.named().collect();
        if shape.labels.presence(label) == Presence::Never {
            let fix = match (nearest(label, has.iter().copied()), has.is_empty()) {
                (Some(near), _) => format!("write {near}, or keep `{label}` in the expression"),
                (None, true) => format!("the result has no labels; aggregate by ({label})"),
                (None, false) => format!(
                    "the result has {}; keep `{label}` in the expression: by ({}, {label})",
                    has.join(", "),
                    has.join(", ")
                ),
            };
            self.of_text(
                text,
                Severity::Error,
                "rule-label-missing",
                at,
                path,
                format!("the result of the expression has no label `{label}`: nothing stands here"),
                Some(fix),
            );
            return;
        }
        // A metric as it is: a label that neither it nor scraping has.
        let only_series = shape
            .series
            .first()
            .filter(|_| shape.raw && shape.labels.presence(label) == Presence::Perhaps);
        let Some(known) = only_series else { return };
        let listed = shape.labels.named().any(|named| named == label);
        let open = self
            .set
            .catalogue
            .named(&known.name)
            .iter()
            .any(|metric| metric.label(label).is_some());
        if listed || open || is_of_targets(label) {
            return;
        }
        let near = nearest(label, has.iter().copied());
        self.of_text(
            text,
            Severity::Warning,
            "rule-label-missing",
            at,
            path,
            format!(
                "`{}` has no label `{label}` of its own: where no relabelling adds it, nothing stands here",
                known.name
            ),
            near.map(|near| format!("write {near}")),
        );
    }

    /// Functions that templates do not have.
    fn functions(&self, text: &Text, inner: &str, stretch: std::ops::Range<usize>, path: &str) {
        // After a pipe stands a function.
        for part in inner.split('|').skip(1) {
            let name: String = part
                .trim_start()
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            if name.is_empty()
                || TEMPLATE_FUNCTIONS.contains(&name.as_str())
                || part.contains('"') && part.matches('"').count() % 2 == 1
            {
                continue;
            }
            let near = nearest(&name, TEMPLATE_FUNCTIONS);
            self.of_text(
                text,
                Severity::Error,
                "rule-template",
                stretch.clone(),
                path,
                format!("templates have no function `{name}`"),
                near.map(|near| format!("write {near}")),
            );
        }
    }
}

/// Labels that a template asks for: `$labels.pod`, `.Labels.pod`, `index $labels "pod"`; each with its place.
fn labels_of(action: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for word in ["$labels.", ".Labels."] {
        for (at, _) in action.match_indices(word) {
            let begin = at + word.len();
            let label: &str = action[begin..].split(|c| !is_part(c)).next().unwrap_or_default();
            // `$externalLabels.` ends with the same letters in another case.
            if !label.is_empty() {
                found.push((label, begin));
            }
        }
    }
    for word in ["index $labels \"", "index .Labels \""] {
        for (at, _) in action.match_indices(word) {
            let begin = at + word.len();
            if let Some(label) = action[begin..].split('"').next() {
                found.push((label, begin));
            }
        }
    }
    found
}

/// Whether something is compared, or taken away, on the way to the result.
fn compares(expr: &Expr) -> bool {
    let mut compares = false;
    expr.visit(&mut |part| {
        if let Node::Binary(binary) = &part.node {
            compares |= binary.op.is_comparison() || binary.op.is_set();
        }
        if let Node::Call(call) = &part.node {
            compares |= call.function.name.starts_with("absent");
        }
    });
    compares
}

/// Rules that stand twice.
pub fn duplicates(expressions: &[Expression]) -> Vec<Diagnostic> {
    let mut seen: HashMap<(&str, String), Vec<&Expression>> = HashMap::new();
    let mut complaints = Vec::new();
    for expression in expressions {
        let (kind, name, what) = match &expression.owner {
            Owner::Alert(alert) => ("alert", alert.name.as_str(), "alert"),
            Owner::Recording(name) => ("record", name.as_str(), "rule that records"),
            _ => continue,
        };
        let before = seen.entry((kind, name.to_owned())).or_default();
        let labels = |of: &Expression| {
            let mut all: Vec<String> = of.adds.clone();
            if let Owner::Alert(alert) = &of.owner {
                all.extend(
                    alert
                        .texts
                        .iter()
                        .filter(|(_, is_label, _)| *is_label)
                        .map(|(path, _, text)| {
                            format!("{}={}", path.rsplit('.').next().unwrap_or_default(), text.text)
                        }),
                );
            }
            all.sort();
            all
        };
        let twice = before.iter().find(|other| {
            same(&other.text.text, &expression.text.text)
                && labels(other) == labels(expression)
                && other.text.file() == expression.text.file()
        });
        if let Some(other) = twice {
            complaints.push(
                expression
                    .text
                    .diagnostic(
                        Severity::Warning,
                        "rule-duplicate",
                        0..expression.text.text.len(),
                        &expression.path,
                        format!(
                            "the {what} `{name}` stands twice with the same expression: also at {}",
                            other.path
                        ),
                    )
                    .with_fix("remove one"),
            );
        }
        before.push(expression);
    }
    complaints
}
