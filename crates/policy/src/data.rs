//! Data files: what policies read below `data`.

use std::sync::Arc;

use serde_json::{Map, Value};
use stoke_diagnostics::Source;
use stoke_model::manifest::{self, Content, Node};

use crate::problem::{Problem, at};

/// The name of `data` that is ours: [`Facts`](crate::Facts).
pub(crate) const OURS: &str = "stoke";
/// Where Gatekeeper has other objects.
pub(crate) const INVENTORY: &str = "inventory";

/// One document of a file with its places.
pub(crate) struct Document {
    pub source: Arc<Source>,
    pub node: Node,
    pub value: Value,
}

/// Documents of a YAML or JSON file; empty ones are left out.
pub(crate) fn documents(name: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let source = Source::new(name, text);
    let (nodes, complaints) = manifest::read(&source);
    if stoke_diagnostics::has_errors(&complaints) {
        return Err(complaints);
    }
    let nodes = nodes.into_iter().filter(|node| !matches!(node.content, Content::Null));
    let documents = nodes.map(|node| Document {
        source: Arc::clone(&source),
        value: node.to_value(),
        node,
    });
    Ok(documents.collect())
}

impl Document {
    /// True for something with `apiVersion` and `kind`; the rest is data.
    pub fn is_object(&self) -> bool {
        self.value["apiVersion"].is_string() && self.value["kind"].is_string()
    }

    /// A problem at a path of it.
    pub fn complain(&self, code: &'static str, path: &str, message: impl Into<String>) -> Problem {
        let mut problem = at(&self.source, self.node.place_of(path), code, message);
        path.clone_into(&mut problem.path);
        problem
    }
}

/// Puts a document into `data`, below the directories its file is in, as OPA does.
pub(crate) fn put(data: &mut Map<String, Value>, folders: &str, document: &Document) -> Result<(), Box<Problem>> {
    let complain = |path: &str, message: String| document.complain("policy-data", path, message);
    let mut value = document.value.clone();
    for folder in folders.split('/').rev().filter(|folder| !folder.is_empty()) {
        value = Value::Object(Map::from_iter([(folder.to_owned(), value)]));
    }
    let Value::Object(fields) = value else {
        return Err(complain("", "data is a map at its top".to_owned()).into());
    };
    if let Some(taken) = [OURS, INVENTORY].into_iter().find(|taken| fields.contains_key(*taken)) {
        let message = format!("`data.{taken}` is what is known around a subject; data cannot be there");
        return Err(complain(taken, message).with_fix("call it something else").into());
    }
    merge(data, fields, "").map_err(|path| {
        let message = format!("`data.{path}` has another value in another file");
        complain("", message).with_fix("keep one of them").into()
    })
}

/// Merges maps; says which path both have with different values.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>, at: &str) -> Result<(), String> {
    for (key, value) in from {
        let path = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        match (into.get_mut(&key), value) {
            (None, value) => {
                into.insert(key, value);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new, &path)?,
            (Some(old), new) if *old == new => {}
            _ => return Err(path),
        }
    }
    Ok(())
}

/// A path, dotted, where data files have a value and a rule is defined.
pub(crate) struct Conflict(pub String);

impl Conflict {
    /// Where a path of a rule meets a value of data: at its end, or on its way, where something other than a map is.
    pub fn find<'a>(data: &Value, path: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut node = data;
        let mut gone = Vec::new();
        for step in path {
            let Value::Object(fields) = node else {
                return Some(Self(gone.join(".")));
            };
            gone.push(step);
            node = fields.get(step)?;
        }
        Some(Self(gone.join(".")))
    }
}

/// Puts values over those that are there.
pub(crate) fn put_over(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => put_over(old, new),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn loaded(files: &[(&str, &str, &str)]) -> Result<Value, String> {
        let mut data = Map::new();
        for (folders, name, text) in files {
            let documents = documents(name, text).map_err(|problems| problems[0].message.clone())?;
            for document in documents {
                put(&mut data, folders, &document).map_err(|problem| problem.message.clone())?;
            }
        }
        Ok(Value::Object(data))
    }

    #[test]
    fn directories_are_places() {
        let files = [
            ("", "a.yaml", "parameters: {x: {a: 1}}"),
            ("", "b.json", "{\"parameters\": {\"x\": {\"b\": 2}}}"),
            ("team/one", "c.yml", "---\nlimit: 5\n---\nother: 6\n"),
        ];
        let expected = json!({"parameters": {"x": {"a": 1, "b": 2}}, "team": {"one": {"limit": 5, "other": 6}}});
        assert_eq!(loaded(&files), Ok(expected));
    }

    #[test]
    fn contradictions_are_refused() {
        let twice = [("", "a.yaml", "x: {b: 1}"), ("", "b.yaml", "x: {b: 2}")];
        assert_eq!(
            loaded(&twice),
            Err("`data.x.b` has another value in another file".to_owned())
        );
        assert!(
            loaded(&[("", "a.yaml", "stoke: {}")])
                .unwrap_err()
                .contains("data.stoke")
        );
        assert!(
            loaded(&[("stoke", "a.yaml", "x: 1")])
                .unwrap_err()
                .contains("data.stoke")
        );
        assert!(loaded(&[("", "a.yaml", "[1]")]).unwrap_err().contains("a map"));
    }
}
