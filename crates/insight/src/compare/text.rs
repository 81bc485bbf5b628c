//! A comparison as text.

use super::explain::{bytes, seconds, signed};
use super::{Comparison, SAME_PERCENT, Side};

/// Settings, queries and stages shown.
const SHOWN: usize = 15;

impl Comparison {
    /// Whether both took about the same time; see [`SAME_PERCENT`].
    pub fn is_same_time(&self) -> bool {
        self.difference.abs() * 100 < self.a.milliseconds.max(1) * SAME_PERCENT
    }

    /// The comparison as text: aligned, no colours.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.headline()];
        lines.push(String::new());
        lines.push(format!("{:>9}  WHY", "TIME"));
        for part in &self.explanations {
            lines.push(format!("{:>9}  {}", signed(part.milliseconds), part.text));
            lines.extend(
                part.evidence
                    .iter()
                    .map(|seen| format!("{:>9}    {}: {}", "", seen.place, seen.seen)),
            );
        }
        lines.push(format!("{:>9}  in all", signed(self.difference)));
        lines.push(String::new());
        lines.extend(self.table());
        self.changes(&mut lines);
        lines
    }

    fn headline(&self) -> String {
        let (a, b) = (seconds(self.a.milliseconds), seconds(self.b.milliseconds));
        if self.is_same_time() {
            return format!("Both took about the same time: {a} and {b}.");
        }
        let (word, percent) = match self.difference > 0 {
            true => ("longer", self.difference * 100 / self.a.milliseconds.max(1)),
            false => ("shorter", -self.difference * 100 / self.a.milliseconds.max(1)),
        };
        format!("{} took {b}, {} took {a}: {percent}% {word}.", self.b.id, self.a.id)
    }

    fn table(&self) -> Vec<String> {
        let row = |name: &str, of: &dyn Fn(&Side) -> String| {
            let (a, b) = (of(&self.a), of(&self.b));
            let mark = if a == b { "" } else { "  *" };
            format!("{name:24}  {a:>16}  {b:>16}{mark}")
        };
        vec![
            format!("{:24}  {:>16}  {:>16}", "", "BEFORE", "AFTER"),
            row("time", &|side| seconds(side.milliseconds)),
            row("executors", &|side| side.executors.to_string()),
            row("room for tasks", &|side| side.slots.to_string()),
            row("tasks succeeded", &|side| side.succeeded.to_string()),
            row("tasks failed", &|side| side.failed.to_string()),
            row("tasks killed", &|side| side.killed.to_string()),
            row("stages retried", &|side| side.stage_retries.to_string()),
            row("input", &|side| bytes(side.input)),
            row("shuffle read", &|side| bytes(side.shuffle_read)),
            row("output", &|side| bytes(side.output)),
            row("spilled to disk", &|side| bytes(side.disk_spilled)),
        ]
    }

    fn changes(&self, lines: &mut Vec<String>) {
        if !self.settings.is_empty() {
            lines.push(String::new());
            lines.push("SETTINGS".to_owned());
        }
        for change in self.settings.iter().take(SHOWN) {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
            lines.push(format!("{}: {} -> {}", change.key, value(&change.a), value(&change.b)));
        }
        more(lines, self.settings.len());
        if !self.queries.is_empty() {
            lines.push(String::new());
            lines.push("PLANS".to_owned());
        }
        for query in self.queries.iter().take(SHOWN) {
            let name = query.description.lines().next().unwrap_or_default();
            lines.push(format!("query {} ({}): {name}", query.ids.0, query.ids.1));
            if let Some((a, b)) = &query.operators {
                lines.push(format!(
                    "  operators only before: {}; only after: {}",
                    listed(a),
                    listed(b)
                ));
            }
            if let Some((a, b)) = &query.partitions {
                lines.push(format!("  partitions of exchanges: {a:?} -> {b:?}"));
            }
            if let Some((a, b)) = &query.pushed_filters {
                lines.push(format!("  pushed filters: {} -> {}", listed(a), listed(b)));
            }
        }
        more(lines, self.queries.len());
    }
}

fn more(lines: &mut Vec<String>, all: usize) {
    if all > SHOWN {
        lines.push(format!("and {} more", all - SHOWN));
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.join(", "),
    }
}
