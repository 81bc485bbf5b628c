//! Objectives: files of Sloth, its objects, and OpenSLO v1.

use stoke_model::manifest::{Node, join, join_index};

use super::{Expression, Found, Owner};
use crate::promql::Variables;
use crate::rules::place::Text;

/// A file of Sloth, or the spec of its object; an object has its fields in another style.
pub(super) fn sloth(text: &Text, node: &Node, is_object: bool, found: &mut Found) {
    let base = if is_object { "spec" } else { "" };
    let queries: &[(&str, &str)] = match is_object {
        true => &[
            ("events", "errorQuery"),
            ("events", "totalQuery"),
            ("raw", "errorRatioQuery"),
        ],
        false => &[
            ("events", "error_query"),
            ("events", "total_query"),
            ("raw", "error_ratio_query"),
        ],
    };
    let slos = join(base, "slos");
    for (index, slo) in node.get("slos").map(Node::items).unwrap_or_default().iter().enumerate() {
        let path = join_index(&slos, index);
        let Some(sli) = slo.get("sli") else {
            found.complain(text, "rule-structure", slo.place, &path, "the objective has no `sli`");
            continue;
        };
        if sli.get("plugin").is_some() {
            found.skip("indicator of a Sloth plugin", 1);
        }
        for (kind, query) in queries {
            let Some(expr) = sli.get(kind).and_then(|kind| kind.get(query)) else {
                continue;
            };
            let path = join(&join(&join(&path, "sli"), kind), query);
            let expression = objective(text, expr, path.clone(), Variables::Templates);
            if !expression.text.text.contains(".window") {
                found
                    .complain(
                        text,
                        "rule-structure",
                        expr.place,
                        &path,
                        "the query has no `{{.window}}`: Sloth asks it over several windows",
                    )
                    .fix = Some("write `[{{.window}}]` for the range".into());
            }
            found.add("Sloth", expression);
        }
    }
}

fn objective(text: &Text, expr: &Node, path: String, variables: Variables) -> Expression {
    Expression {
        text: text.of_value(expr),
        path,
        variables,
        owner: Owner::Objective,
        adds: Vec::new(),
    }
}

/// A document of OpenSLO; whether its kind is read.
pub(super) fn openslo(text: &Text, node: &Node, version: &str, kind: &str, found: &mut Found) -> bool {
    if version != "openslo/v1" {
        let message = format!("`{version}` is not a version that is read");
        found
            .complain(
                text,
                "metrics-not-read",
                node.place_of("apiVersion"),
                "apiVersion",
                message,
            )
            .fix = Some("write `openslo/v1`".into());
        return true;
    }
    let (spec, path) = match (kind, node.get("spec")) {
        ("SLI", Some(spec)) => (spec, "spec".to_owned()),
        ("SLO", Some(spec)) => match spec.get("indicator") {
            Some(indicator) => match indicator.get("spec") {
                Some(spec) => (spec, "spec.indicator.spec".to_owned()),
                None => return true,
            },
            None => return true,
        },
        _ => {
            found.skip("OpenSLO object without queries", 1);
            return true;
        }
    };
    for metric in ["counter", "good", "bad", "total", "raw"] {
        if let Some(source) = spec.get("ratioMetric").and_then(|ratio| ratio.get(metric)) {
            source_of(text, source, &join(&join(&path, "ratioMetric"), metric), found);
        }
    }
    if let Some(source) = spec.get("thresholdMetric") {
        source_of(text, source, &join(&path, "thresholdMetric"), found);
    }
    true
}

fn source_of(text: &Text, node: &Node, path: &str, found: &mut Found) {
    let Some(source) = node.get("metricSource") else {
        return;
    };
    let kind = source.get("type").and_then(Node::as_str);
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("prometheus")) {
        found.skip("query of another datasource", 1);
        return;
    }
    let query = ["query", "promql", "expr"]
        .iter()
        .find_map(|key| Some((*key, source.get("spec")?.get(key)?)));
    match query {
        Some((key, expr)) if expr.as_str().is_some() => {
            let path = join(&join(&join(path, "metricSource"), "spec"), key);
            found.add("OpenSLO", objective(text, expr, path, Variables::Templates));
        }
        _ => found.skip("query of another datasource", 1),
    }
}
