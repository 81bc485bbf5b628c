//! The operators of rules, as the Open Data Contract Standard writes them, and queries with their placeholders.

use stoke_model::manifest::{Node, join, nearest};

use super::{Limit, Literal};
use stoke_model::manifest::Fields;

/// The keys of operators.
pub(super) const OPERATORS: [&str; 8] = [
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
];

/// The one operator of a rule.
pub(super) fn limit(node: &Node, path: &str, fields: &mut Fields<'_>) -> Option<Limit> {
    let mut found: Vec<Limit> = Vec::new();
    let within = |min, max, strict_min, strict_max| Limit::Within {
        min,
        max,
        strict_min,
        strict_max,
    };
    for entry in node.entries().iter().filter(|entry| entry.key.starts_with("must")) {
        let key = entry.key.as_str();
        if key.ends_with("Between") {
            let ends = fields.literals(node, key, path).unwrap_or_default();
            let ends: Vec<f64> = ends.iter().filter_map(Literal::number).collect();
            let [low, high] = ends.as_slice() else {
                let message = format!("`{key}` is a list of two numbers");
                fields.complain("wrong-type", entry.value.place, &join(path, key), message, "");
                return None;
            };
            if low > high {
                let message = format!("{low} is greater than {high}");
                fields.complain(
                    "empty-range",
                    entry.value.place,
                    &join(path, key),
                    message,
                    "exchange the two ends",
                );
            }
            found.push(match key {
                "mustBeBetween" => within(Some(*low), Some(*high), false, false),
                _ => Limit::Outside(*low, *high),
            });
            continue;
        }
        let number = fields.number(node, key, path)?;
        found.push(match key {
            "mustBe" => Limit::Is(number),
            "mustNotBe" => Limit::IsNot(number),
            "mustBeGreaterThan" => within(Some(number), None, true, false),
            "mustBeGreaterOrEqualTo" => Limit::at_least(number),
            "mustBeLessThan" => within(None, Some(number), false, true),
            "mustBeLessOrEqualTo" => Limit::at_most(number),
            _ => return None,
        });
    }
    if found.len() != 1 {
        let message = format!("a rule has one operator; this has {}", found.len());
        fields.complain(
            "one-operator",
            node.place,
            path,
            message,
            "write for example `mustBe: 0`",
        );
        return None;
    }
    found.pop()
}

/// The `query` of a rule with `${…}` filled in by quoted names; a placeholder may be known and not to be had here.
pub(super) fn query(
    node: &Node,
    path: &str,
    holes: &[(&str, Option<&str>)],
    fields: &mut Fields<'_>,
) -> Option<String> {
    let written = fields.needed_text(node, "query", path)?;
    let mut filled = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        // One that does not end stands for nothing.
        let (name, after, ends) = match after.split_once('}') {
            Some((name, after)) => (name, after, true),
            None => (after, "", false),
        };
        let found = holes.iter().find(|(hole, _)| ends && *hole == name);
        let Some((_, Some(value))) = found else {
            let (message, fix) = match found {
                Some(_) => (
                    format!("there is no {name} here that `${{{name}}}` could stand for"),
                    "write the rule at a column, or name the column".to_owned(),
                ),
                None => {
                    let near = nearest(name, holes.iter().map(|(hole, _)| *hole)).unwrap_or("object");
                    (
                        format!("nothing stands for `${{{name}}}`"),
                        format!("did you mean `${{{near}}}`?"),
                    )
                }
            };
            let place = node.get("query").map_or(node.place, |query| query.place);
            fields.complain("unknown-placeholder", place, &join(path, "query"), message, &fix);
            return None;
        };
        filled.push_str(before);
        filled.push_str(&quoted(value));
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

/// A name as Spark SQL quotes it.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
