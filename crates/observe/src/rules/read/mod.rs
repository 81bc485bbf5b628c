//! Files of users become expressions with their places.

mod grafana;
mod objectives;
mod prometheus;

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::{self, Content, Node};

use super::place::Text;
use crate::promql::Variables;

/// What an expression is for.
#[derive(Clone, Debug)]
pub enum Owner {
    Alert(Alert),
    /// A recording rule, by the name that it records.
    Recording(String),
    /// A panel, a variable or an annotation of a dashboard.
    Dashboard,
    /// An indicator of an objective.
    Objective,
}

/// What an alert has besides its expression.
#[derive(Clone, Debug, Default)]
pub struct Alert {
    pub name: String,
    /// Seconds.
    pub waits: Option<f64>,
    pub waits_place: Place,
    /// Seconds between evaluations of its group, where the file says it.
    pub interval: Option<f64>,
    /// Its labels and annotations: path, whether it is a label, text.
    pub texts: Vec<(String, bool, Text)>,
}

/// An expression of a file.
#[derive(Clone, Debug)]
pub struct Expression {
    pub text: Text,
    /// Where it stands: `groups[0].rules[1].expr`.
    pub path: String,
    pub variables: Variables,
    pub owner: Owner,
    /// Labels that its rule gives the result.
    pub adds: Vec<String>,
}

/// What a set of files has.
#[derive(Debug, Default)]
pub struct Found {
    pub expressions: Vec<Expression>,
    pub complaints: Vec<Diagnostic>,
    /// What was left out, by what it is: `panel of another datasource`.
    pub skipped: BTreeMap<String, usize>,
    /// Expressions by kind of file, for a summary.
    pub kinds: BTreeMap<&'static str, usize>,
}

impl Found {
    pub(super) fn skip(&mut self, what: &str, times: usize) {
        if times > 0 {
            *self.skipped.entry(what.to_owned()).or_default() += times;
        }
    }

    fn add(&mut self, kind: &'static str, expression: Expression) {
        *self.kinds.entry(kind).or_default() += 1;
        self.expressions.push(expression);
    }

    fn complain(
        &mut self,
        text: &Text,
        code: &'static str,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.complain_as(Severity::Error, text, code, place, path, message)
    }

    fn complain_as(
        &mut self,
        severity: Severity,
        text: &Text,
        code: &'static str,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.complaints
            .push(text.diagnostic_at(severity, code, place, path, message));
        let last = self.complaints.len() - 1;
        &mut self.complaints[last]
    }
}

/// Reads a file. One that was `named`, rather than found in a directory, must be of a kind that is read.
pub fn read(name: &str, bytes: &[u8], named: bool, found: &mut Found) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        found.complaints.push(
            Diagnostic::cannot_tell("metrics-not-read", name, "the file is not UTF-8").with_fix("save it as UTF-8"),
        );
        return;
    };
    let source = Source::new(name, text);
    let before = (found.expressions.len(), found.complaints.len(), found.skipped.len());
    let is_read = documents(&Text::of_file(&source), &source, found);
    if !is_read && before.1 == found.complaints.len() {
        match named {
            true => found.complaints.push(
                Diagnostic::cannot_tell("metrics-not-read", name, "the file has no rules, dashboard or objectives that are read")
                    .with_fix("name Prometheus rule files, PrometheusRule objects, Grafana dashboards (JSON, not schema v2), Sloth or OpenSLO files"),
            ),
            false => found.skip("file of another kind", 1),
        }
    }
}

/// Reads the documents of a text; whether one was of a kind that is read.
fn documents(text: &Text, source: &Arc<Source>, found: &mut Found) -> bool {
    let (nodes, complaints) = manifest::read(source);
    let broken = !complaints.is_empty();
    for mut complaint in complaints {
        complaint = complaint.with_code("metrics-not-read").unknown();
        found.complaints.push(complaint);
    }
    let mut is_read = broken;
    for node in &nodes {
        is_read |= document(text, node, found);
    }
    is_read
}

fn document(text: &Text, node: &Node, found: &mut Found) -> bool {
    let word = |key: &str| node.get(key).and_then(Node::as_str).unwrap_or_default();
    let (version, kind) = (word("apiVersion"), word("kind"));
    match (version.split('/').next().unwrap_or_default(), kind) {
        ("v1", "List") => {
            let mut any = false;
            for item in node.get("items").map(Node::items).unwrap_or_default() {
                any |= document(text, item, found);
            }
            return any;
        }
        ("v1", "ConfigMap") => return config_map(text, node, found),
        ("monitoring.coreos.com", "PrometheusRule") => {
            if let Some(groups) = node.lookup("spec.groups") {
                prometheus::groups(text, groups, "spec.groups", "PrometheusRule", found);
            }
            return true;
        }
        ("sloth.slok.dev", "PrometheusServiceLevel") => {
            objectives::sloth(text, node.get("spec").unwrap_or(node), true, found);
            return true;
        }
        ("grafana.integreatly.org", "GrafanaDashboard") => {
            let Some(json) = node.lookup("spec.json") else {
                found.skip("dashboard at another address", 1);
                return true;
            };
            return embedded(text, json, found);
        }
        ("openslo", _) => return objectives::openslo(text, node, version, kind, found),
        (group, _) if group.starts_with("dashboard.grafana.app") => {
            let is_v1 = node.lookup("spec.panels").is_some();
            match node.get("spec") {
                Some(spec) if is_v1 => grafana::dashboard(text, spec, "spec", found),
                _ => found.complaints.push(unknown_form(text, node, version)),
            }
            return true;
        }
        _ => {}
    }
    if word("version").starts_with("prometheus/") && node.get("slos").is_some() {
        objectives::sloth(text, node, false, found);
        return true;
    }
    if let Some(groups) = node.get("groups") {
        prometheus::groups(text, groups, "groups", "rules", found);
        return true;
    }
    if let Some(inner) = node
        .get("dashboard")
        .filter(|inner| inner.get("panels").is_some() || inner.get("rows").is_some())
    {
        grafana::dashboard(text, inner, "dashboard", found);
        return true;
    }
    if node.get("panels").is_some()
        || node.get("rows").is_some()
        || (node.get("schemaVersion").is_some() && node.get("title").is_some())
    {
        grafana::dashboard(text, node, "", found);
        return true;
    }
    if node.get("rule_files").is_some() && node.get("tests").is_some() {
        found.skip("test of rules", 1);
        return true;
    }
    false
}

fn unknown_form(text: &Text, node: &Node, version: &str) -> Diagnostic {
    let message = format!("`{version}` is not a form of dashboards that is read");
    text.diagnostic_at(
        Severity::Error,
        "metrics-not-read",
        node.place_of("apiVersion"),
        "apiVersion",
        message,
    )
    .with_fix("export the dashboard as classic JSON")
    .unknown()
}

/// Rules and dashboards in the values of a ConfigMap.
fn config_map(text: &Text, node: &Node, found: &mut Found) -> bool {
    const ENDINGS: [&str; 5] = [".json", ".yaml", ".yml", ".rules", ".rule"];
    let mut any = false;
    for entry in node.get("data").map(Node::entries).unwrap_or_default() {
        if ENDINGS.iter().any(|ending| entry.key.ends_with(ending)) && matches!(entry.value.content, Content::String(_))
        {
            any |= embedded(text, &entry.value, found);
        }
    }
    any
}

/// A file within a value of another.
fn embedded(text: &Text, value: &Node, found: &mut Found) -> bool {
    let inner = text.of_value(value);
    let source = Source::new(text.file(), &inner.text);
    let before = found.complaints.len();
    let (nodes, complaints) = manifest::read(&source);
    if let Some(first) = complaints.first() {
        // Their places are of the inner text.
        let message = format!("what stands here cannot be read: {}", first.message);
        found.complaints.truncate(before);
        found.complaints.push(
            text.diagnostic_at(Severity::Error, "metrics-not-read", value.place, "", message)
                .unknown(),
        );
        return true;
    }
    let mut any = false;
    for node in &nodes {
        any |= document(&inner, node, found);
    }
    any
}

/// A duration of a rule file.
fn seconds(node: &Node) -> Option<f64> {
    match &node.content {
        Content::String(text) if text == "0" => Some(0.0),
        Content::String(text) => crate::promql::seconds(text),
        Content::Number(number) => number.as_f64(),
        _ => None,
    }
}
