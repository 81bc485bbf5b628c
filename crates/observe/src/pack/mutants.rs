//! Rules with one thing wrong: a test that cannot tell them from the right rule is worth nothing.
//!
//! In: an alert or a recording rule. Out: every way to change one name, label, number, window, operator or aggregation of it.

use std::ops::Range;

use super::alert::{Alert, Recording};
use super::tempo::{seconds_of, written};

/// A rule with one thing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What was changed, and into what.
    pub change: String,
    /// The expression.
    pub expr: String,
    /// Seconds it must hold, for an alert.
    pub hold: u64,
}

/// Every mutant of an alert.
#[must_use]
pub fn of_alert(alert: &Alert) -> Vec<Mutant> {
    let mut mutants = expressions(alert.expr, alert.hold);
    let holds: &[u64] = match alert.hold {
        0 => &[300],
        hold => &[hold * 2, hold / 2],
    };
    mutants.extend(holds.iter().map(|hold| Mutant {
        change: format!("for: {} -> {hold}", alert.hold),
        expr: alert.expr.to_owned(),
        hold: *hold,
    }));
    mutants
}

/// Every mutant of a recording rule.
#[must_use]
pub fn of_recording(recording: &Recording) -> Vec<Mutant> {
    expressions(recording.expr, 0)
}

/// A piece of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text,
    Sign,
    Time,
}

/// The pieces of an expression, with their places.
fn pieces(expr: &str) -> Vec<(Kind, Range<usize>)> {
    let bytes = expr.as_bytes();
    let mut pieces = Vec::new();
    let mut at = 0;
    let until = |from: usize, good: fn(u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| good(**byte)).count()
    };
    while let Some(byte) = bytes.get(at) {
        let (kind, end) = match byte {
            b'"' => {
                let close = expr.get(at + 1..).and_then(|rest| rest.find('"')).unwrap_or(0);
                (Kind::Text, at + close + 2)
            }
            b'<' if bytes
                .get(at + 1)
                .is_some_and(|next| next.is_ascii_digit() || *next == b'#') =>
            {
                let close = expr.get(at..).and_then(|rest| rest.find('>')).unwrap_or(0);
                (Kind::Time, at + close + 1)
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => (
                Kind::Word,
                until(at, |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'),
            ),
            b'0'..=b'9' => (Kind::Number, until(at, |byte| byte.is_ascii_digit() || byte == b'.')),
            b'=' | b'!' | b'>' | b'<' => (
                Kind::Sign,
                until(at, |byte| matches!(byte, b'=' | b'!' | b'>' | b'<' | b'~')),
            ),
            b'+' | b'-' | b'*' | b'/' => (Kind::Sign, at + 1),
            _ => {
                at += 1;
                continue;
            }
        };
        pieces.push((kind, at..end));
        at = end.max(at + 1);
    }
    pieces
}

fn expressions(expr: &str, hold: u64) -> Vec<Mutant> {
    let pieces = pieces(expr);
    let text = |range: &Range<usize>| expr.get(range.clone()).unwrap_or_default();
    let mut mutants = Vec::new();
    for (at, (kind, range)) in pieces.iter().enumerate() {
        let piece = text(range);
        let next = pieces.get(at + 1).map(|(_, range)| text(range)).unwrap_or_default();
        let before = at
            .checked_sub(1)
            .and_then(|at| pieces.get(at))
            .map(|(_, range)| text(range));
        let is_matcher = expr[..range.start].matches('{').count() > expr[..range.start].matches('}').count();
        for other in changed(*kind, piece, next, before.unwrap_or_default(), is_matcher) {
            let (left, right) = (expr.get(..range.start), expr.get(range.end..));
            mutants.push(Mutant {
                change: format!("{piece} -> {other}"),
                expr: format!("{}{other}{}", left.unwrap_or_default(), right.unwrap_or_default()),
                hold,
            });
        }
    }
    mutants.extend(fewer_labels(expr, hold));
    mutants
}

/// What a piece may be changed into.
fn changed(kind: Kind, piece: &str, next: &str, before: &str, is_matcher: bool) -> Vec<String> {
    let all = |others: &[&str]| others.iter().map(|other| (*other).to_owned()).collect::<Vec<_>>();
    match kind {
        Kind::Sign if is_matcher => match piece {
            "=" => all(&["!="]),
            "!=" => all(&["="]),
            "=~" => all(&["!~"]),
            "!~" => all(&["=~"]),
            _ => Vec::new(),
        },
        Kind::Sign => match piece {
            ">" => all(&[">=", "<"]),
            ">=" => all(&[">", "<"]),
            "<" => all(&["<=", ">"]),
            "<=" => all(&["<", ">"]),
            "==" => all(&["!="]),
            "-" => all(&["+"]),
            "/" => all(&["*"]),
            _ => Vec::new(),
        },
        Kind::Number => {
            // What is multiplied by nothing says only that there is something.
            if before == "*" && piece == "0" {
                return Vec::new();
            }
            let Ok(number) = piece.parse::<f64>() else {
                return Vec::new();
            };
            match number {
                0.0 => all(&["1"]),
                number => vec![(number * 2.0).to_string(), (number / 2.0).to_string()],
            }
        }
        Kind::Time => {
            let inner = piece.trim_matches(['<', '>']);
            if let Some(seconds) = inner.strip_prefix('#').and_then(|inner| inner.parse::<u64>().ok()) {
                return vec![format!("<#{}>", seconds * 2), format!("<#{}>", seconds / 2)];
            }
            let seconds = seconds_of(inner).unwrap_or_default();
            vec![
                format!("<{}>", written(seconds * 2)),
                format!("<{}>", written(seconds / 2)),
            ]
        }
        Kind::Text if is_matcher => {
            let inner = piece.trim_matches('"');
            let parts: Vec<&str> = inner.split('|').collect();
            if parts.len() < 2 {
                return vec![format!("\"not-{inner}\"")];
            }
            let without = |left: usize| {
                let kept = parts.iter().enumerate().filter(|(at, _)| *at != left);
                format!("\"{}\"", kept.map(|(_, part)| *part).collect::<Vec<_>>().join("|"))
            };
            (0..parts.len()).map(without).collect()
        }
        Kind::Text => Vec::new(),
        Kind::Word => match piece {
            "sum" => all(&["max", "count"]),
            "max" => all(&["min", "sum"]),
            "count" => all(&["max"]),
            "absent" => all(&["sum"]),
            "and" => all(&["or", "unless"]),
            "unless" => all(&["and"]),
            "or" => all(&["and"]),
            "rate" | "increase" => all(&["sum_over_time"]),
            name if is_matcher => vec![format!("{name}_wrong")],
            name if name.contains('_') && next != "(" && !KEYWORDS.contains(&name) => vec![format!("{name}_wrong")],
            name if name.contains(':') => vec![format!("{name}_wrong")],
            _ => Vec::new(),
        },
    }
}

const KEYWORDS: &[&str] = &["label_replace", "histogram_quantile", "application_id"];

/// Lists of labels after `by`, each with one label less.
fn fewer_labels(expr: &str, hold: u64) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut from = 0;
    while let Some(found) = expr.get(from..).and_then(|rest| rest.find("by (")) {
        let begin = from + found + "by (".len();
        let Some(length) = expr.get(begin..).and_then(|rest| rest.find(')')) else {
            break;
        };
        let list = expr.get(begin..begin + length).unwrap_or_default();
        let labels: Vec<&str> = list.split(", ").collect();
        for left in 0..labels.len() {
            let kept: Vec<&str> = labels
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != left)
                .map(|(_, label)| *label)
                .collect();
            let (before, after) = (expr.get(..begin), expr.get(begin + length..));
            mutants.push(Mutant {
                change: format!("by ({list}) -> by ({})", kept.join(", ")),
                expr: format!(
                    "{}{}{}",
                    before.unwrap_or_default(),
                    kept.join(", "),
                    after.unwrap_or_default()
                ),
                hold,
            });
        }
        from = begin + length;
    }
    mutants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_rule_is_changed() {
        let changes = |expr: &str| -> Vec<String> {
            let mutants = expressions(expr, 0);
            assert!(mutants.iter().all(|mutant| mutant.expr != expr), "{mutants:#?}");
            mutants.into_iter().map(|mutant| mutant.change).collect()
        };
        let found = changes(
            r#"sum by (a, b) (increase(x_total{code=~"5..|err",role!="r"}[<5m>])) > 3 and time() - y_z > <#60>"#,
        );
        for expected in [
            "sum -> max",
            "by (a, b) -> by (b)",
            "increase -> sum_over_time",
            "x_total -> x_total_wrong",
            "code -> code_wrong",
            "=~ -> !~",
            "!= -> =",
            "\"5..|err\" -> \"err\"",
            "\"r\" -> \"not-r\"",
            "<5m> -> <10m>",
            "> -> >=",
            "> -> <",
            "3 -> 6",
            "and -> or",
            "- -> +",
            "y_z -> y_z_wrong",
            "<#60> -> <#120>",
        ] {
            assert!(found.iter().any(|change| change == expected), "{expected}: {found:#?}");
        }
    }
}
