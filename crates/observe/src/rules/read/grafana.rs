//! Dashboards of Grafana: classic JSON, with rows, nested panels, variables and annotations.

use stoke_model::manifest::{Content, Node, join, join_index};

use super::{Expression, Found, Owner};
use crate::promql::Variables;
use crate::rules::place::Text;

const KIND: &str = "dashboards";
/// The deepest nesting of panels.
const MAX_DEPTH: usize = 10;

pub(super) fn dashboard(text: &Text, node: &Node, path: &str, found: &mut Found) {
    panels(text, node, path, None, 0, found);
    if let Some(rows) = node.get("rows") {
        let path = join(path, "rows");
        for (index, row) in rows.items().iter().enumerate() {
            panels(text, row, &join_index(&path, index), None, 0, found);
        }
    }
    let list = |key: &str| (node.lookup(&format!("{key}.list")), join(&join(path, key), "list"));
    if let (Some(variables), path) = list("templating") {
        for (index, item) in variables.items().iter().enumerate() {
            variable(text, item, &join_index(&path, index), found);
        }
    }
    if let (Some(annotations), path) = list("annotations") {
        for (index, item) in annotations.items().iter().enumerate() {
            if is_prometheus(item.get("datasource"), None) == Some(false) {
                continue;
            }
            if let Some(expr) = item
                .get("expr")
                .filter(|expr| expr.as_str().is_some_and(|text| !text.trim().is_empty()))
            {
                add(text.of_value(expr), join(&join_index(&path, index), "expr"), found);
            }
        }
    }
}

fn add(text: Text, path: String, found: &mut Found) {
    found.add(
        KIND,
        Expression {
            text,
            path,
            variables: Variables::Grafana,
            owner: Owner::Dashboard,
            adds: Vec::new(),
        },
    );
}

fn panels<'n>(text: &Text, node: &'n Node, path: &str, above: Option<&'n Node>, depth: usize, found: &mut Found) {
    let Some(panels) = node.get("panels").filter(|_| depth < MAX_DEPTH) else {
        return;
    };
    let path = join(path, "panels");
    for (index, panel) in panels.items().iter().enumerate() {
        let path = join_index(&path, index);
        let of_panel = panel.get("datasource").or(above);
        self::panels(text, panel, &path, of_panel, depth + 1, found);
        let targets = join(&path, "targets");
        for (index, target) in panel
            .get("targets")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let expr = target.get("expr");
            let is_prometheus = is_prometheus(target.get("datasource"), of_panel);
            match expr {
                Some(expr) if is_prometheus != Some(false) && expr.as_str().is_some() => {
                    if expr.as_str().is_some_and(|text| !text.trim().is_empty()) {
                        add(text.of_value(expr), join(&join_index(&targets, index), "expr"), found);
                    }
                }
                _ => found.skip("query of another datasource", 1),
            }
        }
    }
}

/// Whether a query goes to Prometheus, where the file says it: a name of a datasource says nothing of its type.
fn is_prometheus(of_target: Option<&Node>, of_panel: Option<&Node>) -> Option<bool> {
    let kind = |node: &Node| {
        node.get("type")
            .and_then(Node::as_str)
            // Mixed: each query has its own.
            .filter(|kind| *kind != "datasource")
            .map(|kind| kind.contains("prometheus"))
    };
    let of_target = of_target.filter(|node| matches!(node.content, Content::Map(_)));
    of_target.and_then(kind).or_else(|| of_panel.and_then(kind))
}

/// A variable whose values are asked for: `label_values(metric, label)`, `query_result(expression)`, `metrics(regex)`.
fn variable(text: &Text, node: &Node, path: &str, found: &mut Found) {
    if node.get("type").and_then(Node::as_str) != Some("query")
        || is_prometheus(node.get("datasource"), None) == Some(false)
    {
        return;
    }
    let (query, path) = match node.get("query") {
        Some(query) if query.as_str().is_some() => (query, join(path, "query")),
        Some(query) => match query.get("query") {
            Some(inner) => (inner, join(&join(path, "query"), "query")),
            None => return,
        },
        None => return,
    };
    let whole = text.of_value(query);
    let written = whole.text.trim().to_owned();
    let inner = |function: &str| {
        let rest = written
            .strip_prefix(function)?
            .trim_start()
            .strip_prefix('(')?
            .strip_suffix(')')?;
        whole.text.find(rest).map(|at| (at, rest.to_owned()))
    };
    if let Some((at, arguments)) = inner("label_values") {
        // The last comma outside braces and quotes divides them; without one there is a label alone.
        if let Some(comma) = last_comma(&arguments) {
            add(whole.part(at..at + comma), path, found);
        }
    } else if let Some((at, arguments)) = inner("query_result") {
        add(whole.part(at..at + arguments.len()), path, found);
    } else if !["label_names", "metrics"]
        .iter()
        .any(|function| written.starts_with(function))
        && !written.is_empty()
    {
        add(whole, path, found);
    }
}

fn last_comma(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut last) = (0_i32, None, None);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(character),
            (None, '{' | '(' | '[') => depth += 1,
            (None, '}' | ')' | ']') => depth -= 1,
            (None, ',') if depth == 0 => last = Some(at),
            _ => {}
        }
    }
    last
}
