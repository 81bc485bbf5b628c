//! Rules of Prometheus: files, and `PrometheusRule` objects. Alerts that Grafana provisions have the same outer form.

use std::collections::HashMap;

use stoke_diagnostics::Severity;
use stoke_model::manifest::{Content, Node, join, join_index, nearest};

use super::{Alert, Expression, Found, Owner, seconds};
use crate::promql::Variables;
use crate::rules::place::Text;

const OF_GROUP: [&str; 8] = [
    "name",
    "interval",
    "query_offset",
    "limit",
    "rules",
    "labels",
    "partial_response_strategy",
    "evaluation_delay",
];
const OF_RULE: [&str; 7] = [
    "record",
    "alert",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
];

pub(super) fn groups(text: &Text, groups: &Node, path: &str, kind: &'static str, found: &mut Found) {
    if !matches!(groups.content, Content::List(_)) {
        found.complain(
            text,
            "rule-structure",
            groups.place,
            path,
            format!("groups are a list, not {}", groups.type_name()),
        );
        return;
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (index, group) in groups.items().iter().enumerate() {
        let path = join_index(path, index);
        if group
            .get("rules")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .any(|rule| rule.get("data").is_some())
        {
            of_grafana(text, group, &path, found);
            continue;
        }
        keys(text, group, &OF_GROUP, "a group", &path, found);
        match group.get("name").and_then(Node::as_str) {
            Some(name) => {
                if names.insert(name, index).is_some() {
                    let place = group.place_of("name");
                    found.complain(
                        text,
                        "rule-structure",
                        place,
                        &join(&path, "name"),
                        format!("the group `{name}` stands twice"),
                    );
                }
            }
            None => {
                found.complain(text, "rule-structure", group.place, &path, "the group has no name");
            }
        }
        let interval = group
            .get("interval")
            .and_then(|node| duration(text, node, &join(&path, "interval"), found));
        let rules = join(&path, "rules");
        for (index, rule) in group
            .get("rules")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            self::rule(text, rule, &join_index(&rules, index), interval, kind, found);
        }
    }
}

/// Keys that are not known.
fn keys(text: &Text, node: &Node, known: &[&str], of: &str, path: &str, found: &mut Found) {
    for entry in node.entries() {
        if !known.contains(&entry.key.as_str()) {
            let fix = nearest(&entry.key, known.iter().copied());
            let complaint = found.complain(
                text,
                "rule-structure",
                entry.key_place,
                &join(path, &entry.key),
                format!("`{}` is not a field of {of}", entry.key),
            );
            complaint.fix = fix.map(|near| format!("write {near}").into());
        }
    }
}

fn duration(text: &Text, node: &Node, path: &str, found: &mut Found) -> Option<f64> {
    let read = seconds(node);
    if read.is_none() {
        found
            .complain(text, "rule-structure", node.place, path, "this is not a duration")
            .fix = Some("write one such as `5m` or `1h30m`".into());
    }
    read
}

fn rule(text: &Text, rule: &Node, path: &str, interval: Option<f64>, kind: &'static str, found: &mut Found) {
    keys(text, rule, &OF_RULE, "a rule", path, found);
    let word = |key: &str| rule.get(key).and_then(Node::as_str);
    let (alert, record) = (word("alert"), word("record"));
    let expr = match rule.get("expr") {
        Some(expr) => expr,
        None => {
            found.complain(text, "rule-structure", rule.place, path, "the rule has no `expr`");
            return;
        }
    };
    match (alert, record) {
        (Some(_), Some(_)) => {
            found.complain(
                text,
                "rule-structure",
                rule.place_of("record"),
                path,
                "a rule is an alert or records, not both",
            );
        }
        (None, None) => {
            found.complain(
                text,
                "rule-structure",
                rule.place,
                path,
                "the rule has neither `alert` nor `record`",
            );
        }
        (None, Some(name)) => {
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            if !is_name {
                found.complain(
                    text,
                    "rule-structure",
                    rule.place_of("record"),
                    &join(path, "record"),
                    format!("`{name}` is not a name of a metric"),
                );
            }
            for key in ["for", "keep_firing_for", "annotations"] {
                if let Some(entry) = rule.entry(key) {
                    let place = entry.key_place;
                    found.complain(
                        text,
                        "rule-structure",
                        place,
                        &join(path, key),
                        format!("a rule that records has no `{key}`"),
                    );
                }
            }
        }
        (Some(_), None) => {}
    }
    let adds: Vec<String> = rule
        .get("labels")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.key.clone())
        .collect();
    let owner = match (alert, record) {
        (Some(name), _) => {
            let waits = rule
                .get("for")
                .and_then(|node| duration(text, node, &join(path, "for"), found));
            Owner::Alert(Alert {
                name: name.to_owned(),
                waits,
                waits_place: text.place_of(rule.place_of("for")),
                interval,
                texts: texts(text, rule, path, found),
            })
        }
        (None, name) => Owner::Recording(name.unwrap_or_default().to_owned()),
    };
    let path = join(path, "expr");
    let written = match &expr.content {
        Content::String(_) => text.of_value(expr),
        Content::Number(number) => {
            found.complain_as(
                Severity::Warning,
                text,
                "metric-always-true",
                expr.place,
                &path,
                format!("the expression is the number {number}: it selects no series"),
            );
            return;
        }
        _ => {
            found.complain(
                text,
                "rule-structure",
                expr.place,
                &path,
                format!("an expression is a text, not {}", expr.type_name()),
            );
            return;
        }
    };
    found.add(
        kind,
        Expression {
            text: written,
            path,
            variables: Variables::None,
            owner,
            adds,
        },
    );
}

/// Labels and annotations of an alert.
fn texts(text: &Text, rule: &Node, path: &str, found: &mut Found) -> Vec<(String, bool, Text)> {
    let mut texts = Vec::new();
    for (key, is_label) in [("labels", true), ("annotations", false)] {
        for entry in rule.get(key).map(Node::entries).unwrap_or_default() {
            let path = join(&join(path, key), &entry.key);
            let is_name = !entry.key.starts_with(|c: char| c.is_ascii_digit())
                && entry.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name {
                let message = format!(
                    "`{}` is not a name of {}",
                    entry.key,
                    if is_label { "a label" } else { "an annotation" }
                );
                found.complain(text, "rule-structure", entry.key_place, &path, message);
            }
            match &entry.value.content {
                Content::String(_) => texts.push((path, is_label, text.of_value(&entry.value))),
                Content::List(_) | Content::Map(_) => {
                    let message = format!("the value is a text, not {}", entry.value.type_name());
                    found.complain(text, "rule-structure", entry.value.place, &path, message);
                }
                _ => {}
            }
        }
    }
    texts
}

/// Alerts as Grafana provisions them: queries in `data`, of which those with `expr` are Prometheus'.
fn of_grafana(text: &Text, group: &Node, path: &str, found: &mut Found) {
    let rules = join(path, "rules");
    for (index, rule) in group
        .get("rules")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let data = join(&join_index(&rules, index), "data");
        for (index, query) in rule.get("data").map(Node::items).unwrap_or_default().iter().enumerate() {
            let is_query = query
                .get("datasourceUid")
                .and_then(Node::as_str)
                .is_none_or(|uid| uid != "__expr__" && uid != "-100");
            match query.lookup("model.expr").filter(|_| is_query) {
                Some(expr) if expr.as_str().is_some() => found.add(
                    "Grafana alerts",
                    Expression {
                        text: text.of_value(expr),
                        path: join(&join(&join_index(&data, index), "model"), "expr"),
                        variables: Variables::Grafana,
                        owner: Owner::Dashboard,
                        adds: Vec::new(),
                    },
                ),
                _ if is_query => found.skip("query of another datasource", 1),
                _ => {}
            }
        }
    }
}
