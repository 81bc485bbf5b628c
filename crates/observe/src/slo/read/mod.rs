//! Files with objectives: OpenSLO v1, Sloth `prometheus/v1` and Sloth's custom resource.
//!
//! What a file says and these rules do not do is refused in words: an objective that is half understood would promise something else.

mod openslo;
mod queries;
mod sloth;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use stoke_diagnostics::{Diagnostic, Severity, Source};
use stoke_model::manifest::{self, Content, Fields, Node, join};

use super::objective::Objective;

/// What files say.
#[derive(Debug, Default)]
pub struct Reading {
    pub objectives: Vec<Objective>,
    pub complaints: Vec<Diagnostic>,
}

/// Reads files: names and texts. References between documents may go from one file to another.
#[must_use]
pub fn read(files: &[(String, String)]) -> Reading {
    let mut reading = Reading::default();
    let mut shared = openslo::Shared::default();
    let mut documents = Vec::new();
    for (name, text) in files {
        let source = Source::new(name, text);
        let (nodes, complaints) = manifest::read(&source);
        reading.complaints.extend(complaints);
        documents.extend(nodes.into_iter().map(|node| (std::sync::Arc::clone(&source), node)));
    }
    for (source, node) in &documents {
        if is_openslo(node) {
            let mut fields = Fields::new(source);
            shared.collect(node, &mut fields);
            reading.complaints.extend(fields.into_complaints());
        }
    }
    for (source, node) in &documents {
        let mut fields = Fields::new(source);
        let found = match () {
            () if is_openslo(node) => shared.objectives(node, source, &mut fields),
            () if node.get("version").is_some() => sloth::file(node, source, &mut fields),
            () if text(node, "apiVersion").starts_with("sloth.slok.dev/") => sloth::resource(node, source, &mut fields),
            () => {
                let message = "this is not a file of objectives".to_owned();
                let fix = "write `apiVersion: openslo/v1` with a kind, or `version: prometheus/v1` of Sloth";
                fields.complain("slo-unknown-document", node.place, "", message, fix);
                Vec::new()
            }
        };
        reading.complaints.extend(fields.into_complaints());
        reading.objectives.extend(found);
    }
    reading.twice();
    reading
}

fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Node::as_str).unwrap_or_default()
}

fn is_openslo(node: &Node) -> bool {
    let version = text(node, "apiVersion");
    version.starts_with("openslo/") || version.starts_with("openslo.com/")
}

impl Reading {
    /// Two objectives of one name would give the same series.
    fn twice(&mut self) {
        let mut seen: BTreeMap<(&str, &str), String> = BTreeMap::new();
        for objective in &self.objectives {
            let written = &objective.written;
            let place = format!("{}:{}", written.source.name(), written.place.line);
            let key = (objective.service.as_str(), objective.name.as_str());
            if let Some(first) = seen.get(&key) {
                let message = format!(
                    "the objective `{}` of `{}` is at {first} already",
                    objective.name, objective.service
                );
                let complaint = Diagnostic::at(
                    Severity::Error,
                    "slo-twice",
                    &written.source,
                    written.place,
                    "",
                    message,
                );
                self.complaints
                    .push(complaint.with_fix("give one of them another name"));
            }
            seen.entry(key).or_insert(place);
        }
    }
}

/// A mapping of texts to texts.
fn pairs(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str) -> BTreeMap<String, String> {
    let Some(value) = node.get(key) else {
        return BTreeMap::new();
    };
    let path = join(path, key);
    if !fields.mapping(value, &path) {
        return BTreeMap::new();
    }
    let mut pairs = BTreeMap::new();
    for entry in value.entries() {
        if let Some(text) = fields.text(value, &entry.key, &path) {
            pairs.insert(entry.key.clone(), text.to_owned());
        }
    }
    pairs
}

/// The labels of an objective; they become labels of series.
fn labels(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str) -> BTreeMap<String, String> {
    let labels = pairs(fields, node, key, path);
    let mut kept = BTreeMap::new();
    for (name, value) in labels {
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with("__") {
            kept.insert(name, value);
            continue;
        }
        let at = join(path, key);
        let place = node
            .get(key)
            .and_then(|labels| labels.entry(&name))
            .map_or(node.place, |entry| entry.key_place);
        let message = format!("`{name}` is not a name of a label of Prometheus");
        fields.complain(
            "slo-bad-label",
            place,
            &join(&at, &name),
            message,
            "write letters, digits and underscores, a letter first",
        );
    }
    kept
}

/// A promise as a share between 0 and 1, neither of them.
fn target(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str, percent: bool) -> Option<f64> {
    let written = fields.number(node, key, path)?;
    // Without the digits that a division leaves behind.
    let share = if percent {
        (written * 1e10).round() / 1e12
    } else {
        written
    };
    if share > 0.0 && share < 1.0 {
        return Some(share);
    }
    let place = node.get(key).map_or(node.place, |value| value.place);
    let fix = if percent {
        "write a percentage between 0 and 100, 99.5"
    } else {
        "write a share between 0 and 1, 0.995"
    };
    let message = format!("{written} leaves no error budget, or nothing but one");
    fields.complain("slo-bad-target", place, &join(path, key), message, fix);
    None
}

/// Says what is not supported, at a key.
fn refuse(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str, why: &str, fix: &str) {
    let place = node.entry(key).map_or(node.place, |entry| entry.key_place);
    fields.complain(
        "slo-unsupported",
        place,
        &join(path, key),
        format!("`{key}` is not supported: {why}"),
        fix,
    );
}

/// True for a key that is there and not null.
fn has(node: &Node, key: &str) -> bool {
    node.get(key)
        .is_some_and(|value| !matches!(value.content, Content::Null))
}
