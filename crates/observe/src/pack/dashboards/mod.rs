//! Pages of Grafana for five kinds of people, each of which answers the questions they have.
//!
//! In: nothing. Out: dashboards as JSON of Grafana's schema 1. Every expression returns data on a live platform; a test asks a real Prometheus.

mod pages;

use serde_json::{Value, json};

/// A page.
#[derive(Clone, Copy, Debug)]
pub struct Dashboard {
    /// Its name in addresses and files.
    pub name: &'static str,
    pub title: &'static str,
    /// For whom, and what it answers.
    pub about: &'static str,
    pub panels: &'static [Panel],
}

/// How numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One number.
    Stat,
    /// Numbers over time.
    Lines,
    /// Rows.
    Table,
}

/// One question on a page, and the expressions that answer it.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The question it answers.
    pub title: &'static str,
    pub shape: Shape,
    /// Unit, as Grafana names it.
    pub unit: &'static str,
    /// Expressions and what each is called; `$namespace` and `$app` are what was chosen.
    pub queries: &'static [(&'static str, &'static str)],
}

/// All pages.
#[must_use]
pub fn all() -> &'static [Dashboard] {
    pages::ALL
}

/// What stands for everything where a namespace or application can be chosen.
const EVERYTHING: &str = ".*";

/// The expression with everything chosen.
#[must_use]
pub fn unchosen(query: &str) -> String {
    query.replace("$namespace", EVERYTHING).replace("$app", EVERYTHING)
}

const WIDTH: usize = 24;

fn size(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Stat => (6, 4),
        Shape::Lines => (12, 8),
        Shape::Table => (24, 8),
    }
}

/// A page as Grafana reads it.
#[must_use]
pub fn json(dashboard: &Dashboard) -> Value {
    let (mut x, mut y, mut tallest) = (0, 0, 0);
    let mut panels = Vec::new();
    for (at, panel) in dashboard.panels.iter().enumerate() {
        let (width, height) = size(panel.shape);
        if x + width > WIDTH {
            (x, y, tallest) = (0, y + tallest, 0);
        }
        panels.push(of_panel(
            at + 1,
            panel,
            json!({"x": x, "y": y, "w": width, "h": height}),
        ));
        x += width;
        tallest = tallest.max(height);
    }
    json!({
        "uid": format!("stoke-{}", dashboard.name),
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["stoke", "spark"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
            variable("namespace", "Namespace", "label_values(stoke_job_failed, namespace)"),
            variable("app", "Job", "label_values(stoke_job_failed{namespace=~\"$namespace\"}, app)"),
        ]},
        "annotations": {"list": [{
            "name": "Alerts", "enable": true, "iconColor": "red", "datasource": source(),
            "expr": "ALERTS{alertstate=\"firing\",severity=~\"page|ticket\"}", "titleFormat": "{{alertname}}", "tagKeys": "namespace,app",
        }]},
        "panels": panels,
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": source(), "query": query, "definition": query,
        "includeAll": true, "allValue": EVERYTHING, "multi": true, "refresh": 2, "sort": 1, "current": {"text": "All", "value": "$__all"},
    })
}

fn of_panel(id: usize, panel: &Panel, place: Value) -> Value {
    let is_table = panel.shape == Shape::Table;
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|((query, called), letter)| {
            let format = if is_table { "table" } else { "time_series" };
            json!({"refId": letter.to_string(), "expr": query, "legendFormat": called, "datasource": source(), "format": format, "instant": panel.shape != Shape::Lines})
        })
        .collect();
    let kind = match panel.shape {
        Shape::Stat => "stat",
        Shape::Lines => "timeseries",
        Shape::Table => "table",
    };
    let mut made = json!({
        "id": id, "type": kind, "title": panel.title, "datasource": source(), "gridPos": place, "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []}, "options": {},
    });
    if is_table {
        made["transformations"] = json!([{"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true, "instance": true, "job": true}}}]);
    }
    made
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pages_are_for_five_kinds_of_people_and_panels_do_not_lie_on_each_other() {
        let names: BTreeSet<&str> = all().iter().map(|dashboard| dashboard.name).collect();
        assert_eq!(names, ["data-engineer", "dataops", "platform", "product", "sre"].into());
        for dashboard in all() {
            let page = json(dashboard);
            let mut taken = BTreeSet::new();
            for panel in page["panels"].as_array().unwrap() {
                let number = |name: &str| panel["gridPos"][name].as_u64().unwrap();
                assert!(number("x") + number("w") <= 24);
                for cell in (0..number("h")).flat_map(|row| (0..number("w")).map(move |column| (row, column))) {
                    let place = (number("y") + cell.0, number("x") + cell.1);
                    assert!(
                        taken.insert(place),
                        "{}: {} at {place:?}",
                        dashboard.name,
                        panel["title"]
                    );
                }
            }
        }
    }
}
