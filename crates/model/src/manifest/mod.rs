//! Manifests with places.
//!
//! In: the text of a file, YAML of one or more documents or JSON. Out: its [`Document`]s (value and tree with places) and
//! [`Diagnostic`]s, each with `file:line:column`, cause and fix. Our custom resources are checked against their schema, by the rules
//! an application must obey before it can be submitted, and their Spark configuration against the catalogue of their Spark version;
//! other kinds are only read. Nothing here touches a file, a cluster or the clock.

mod application;
mod fields;
mod kinds;
mod literal;
mod nearest;
mod node;
mod pods;
mod read;
mod refused;
mod scalar;

pub use fields::Fields;
pub use literal::Literal;
pub use nearest::{is_slip, nearest};
pub use node::{Content, Entry, Node, Step, join, join_index, parse_path, push_key};
pub use read::{MAX_BYTES, MAX_DEPTH, MAX_NODES, read};
pub use refused::refused_spark_conf;

use std::sync::Arc;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity, Source};

/// One document of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// `apiVersion`; empty when missing.
    pub api_version: String,
    /// `kind`; empty when missing.
    pub kind: String,
    /// `metadata.name`; empty when missing.
    pub name: String,
    /// `metadata.namespace`, when given.
    pub namespace: Option<String>,
    /// The whole object.
    pub value: Value,
    /// The same with places.
    pub node: Node,
    /// The text it is of.
    pub source: Arc<Source>,
}

impl Document {
    fn new(node: Node, source: &Arc<Source>) -> Self {
        let text = |path: &str| node.lookup(path).and_then(Node::as_str).map(str::to_owned);
        Self {
            api_version: text("apiVersion").unwrap_or_default(),
            kind: text("kind").unwrap_or_default(),
            name: text("metadata.name").unwrap_or_default(),
            namespace: text("metadata.namespace"),
            value: node.to_value(),
            node,
            source: Arc::clone(source),
        }
    }

    /// A complaint about a path of this document, placed where the path (or the part of it that exists) is written.
    pub fn complain(
        &self,
        severity: Severity,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::at(severity, code, &self.source, self.node.place_of(path), path, message)
    }

    /// Where one of our objects has the spec of what runs: a schedule in its template.
    pub fn spec_path(&self) -> &'static str {
        match self.kind.as_str() {
            "ScheduledSparkApplication" => "spec.template",
            _ => "spec",
        }
    }

    /// True for the custom resources of this API group.
    pub fn is_ours(&self) -> bool {
        self.api_version
            .split_once('/')
            .is_some_and(|(group, _)| group == crate::names::GROUP)
    }
}

/// Reads and checks a manifest. The documents are returned whatever is wrong with them; use them when
/// [`has_errors`](stoke_diagnostics::has_errors) says no.
///
/// ```
/// let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: b}\n";
/// let (documents, complaints) = stoke_model::manifest::check("a.yaml", text);
/// assert_eq!(documents[0].kind, "ConfigMap");
/// assert_eq!((&*complaints[0].code, complaints[0].line, complaints[0].column), ("duplicate-key", 3, 21));
/// ```
pub fn check(source_name: &str, text: &str) -> (Vec<Document>, Vec<Diagnostic>) {
    let source = Source::new(source_name, text);
    let (nodes, mut complaints) = read(&source);
    let documents: Vec<Document> = nodes
        .into_iter()
        .flat_map(expand_list)
        .map(|node| Document::new(node, &source))
        .collect();
    complaints.extend(documents.iter().flat_map(kinds::check));
    complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
    (documents, complaints)
}

/// Like [`check`] for bytes that may not be UTF-8.
pub fn check_bytes(source_name: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Diagnostic>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => check(source_name, text),
        Err(error) => {
            let source = Source::new(source_name, &String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
            let place = source.place_at(error.valid_up_to());
            let complaint = Diagnostic::at(
                Severity::Error,
                "not-utf8",
                &source,
                place,
                "",
                "the text is not UTF-8 from here on",
            )
            .with_fix("save the file as UTF-8");
            (Vec::new(), vec![complaint])
        }
    }
}

/// The items of a `kind: List`, as kubectl takes them apart; any other document as it is.
fn expand_list(node: Node) -> Vec<Node> {
    let is_list = node.get("kind").and_then(Node::as_str) == Some("List")
        && node.get("apiVersion").and_then(Node::as_str) == Some("v1");
    match node.content {
        Content::Map(entries) if is_list => entries
            .into_iter()
            .filter(|entry| entry.key == "items")
            .flat_map(|entry| match entry.value.content {
                Content::List(items) => items,
                _ => Vec::new(),
            })
            .collect(),
        content => vec![Node {
            place: node.place,
            content,
        }],
    }
}

#[cfg(test)]
mod tests;
