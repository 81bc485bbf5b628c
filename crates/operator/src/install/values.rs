//! Values of the chart: its defaults, and values files laid over them as helm does it. Pure: texts in, values and complaints out.
//!
//! The chart's own files are in the binary, so chart and binary know the same keys, defaults and reasons.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::{Map, Value, json};
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::{self, Content, Node, join};
use stoke_model::schema;

use super::published;

const DEFAULTS: &str = include_str!("../../../../deploy/chart/values.yaml");
const SCHEMA: &str = include_str!("../../../../deploy/chart/values.schema.json");

static DEFAULT: LazyLock<Value> = LazyLock::new(|| parsed("values.yaml", DEFAULTS));
static RULES: LazyLock<Value> = LazyLock::new(|| parsed("values.schema.json", SCHEMA));

/// A text that is part of the program.
pub(super) fn parsed(name: &str, text: &str) -> Value {
    let (documents, _) = manifest::read(&Source::new(name, text));
    documents.first().map(Node::to_value).unwrap_or_default()
}

/// The values of one installation.
#[derive(Clone, Debug)]
pub struct Values {
    value: Value,
    /// Where the keys of the published chart were given last.
    places: BTreeMap<String, (Arc<Source>, Place)>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            value: DEFAULT.clone(),
            places: BTreeMap::new(),
        }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Values {
    /// Lays a values file over what is there: mappings are merged, everything else is replaced, and a null takes a default away.
    /// A file with errors changes nothing.
    ///
    /// # Errors
    /// Complaints with their places: text that is not YAML, keys that neither chart has, values of the wrong kind.
    pub fn lay(&mut self, name: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        let source = Source::new(name, text);
        let (documents, mut complaints) = manifest::read(&source);
        if let Some(second) = documents.get(1) {
            let message = "a values file is one document, and this is another";
            complaints.push(complaint(&source, second.place, "", "many-documents", message));
        }
        let Some(document) = documents.first().filter(|document| document.content != Content::Null) else {
            return if complaints.is_empty() { Ok(()) } else { Err(complaints) };
        };
        let given = without_nulls(document);
        let rules = expanded(&RULES, Some(&given));
        complaints.extend(schema::lint(&source, &given, &rules).into_iter().map(of_values));
        patterns(&source, &given, &rules, "", &mut complaints);
        if stoke_diagnostics::has_errors(&complaints) {
            return Err(complaints);
        }
        merge(&mut self.value, &document.to_value());
        for key in published::keys().chain([published::IMAGE]) {
            if document.lookup(key).is_some() {
                let place = document.place_of(key);
                self.places.insert(key.to_owned(), (Arc::clone(&source), place));
            }
        }
        Ok(())
    }

    /// Gives one value; `path` is dotted.
    pub fn set(&mut self, path: &str, value: Value) {
        let patch = path.rsplit('.').fold(value, |inner, key| {
            Value::Object(Map::from_iter([(key.to_owned(), inner)]))
        });
        if let Some(Value::Object(_)) = patch.pointer(&pointer(path)) {
            // Replaced, not merged.
            merge(&mut self.value, &nulled(path));
        }
        merge(&mut self.value, &patch);
        self.places.remove(path);
    }

    /// A value by its dotted path; null when there is none.
    #[must_use]
    pub fn get(&self, path: &str) -> &Value {
        self.value.pointer(&pointer(path)).unwrap_or(&Value::Null)
    }

    /// True when it is a true.
    #[must_use]
    pub fn is(&self, path: &str) -> bool {
        self.get(path) == &Value::Bool(true)
    }

    /// A text; empty when it is none.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.get(path).as_str().unwrap_or_default()
    }

    /// A whole number; 0 when it is none.
    #[must_use]
    pub fn number(&self, path: &str) -> u64 {
        self.get(path).as_u64().unwrap_or_default()
    }

    /// A list of texts.
    #[must_use]
    pub fn texts(&self, path: &str) -> Vec<&str> {
        let items = self.get(path).as_array().into_iter().flatten();
        items.filter_map(Value::as_str).collect()
    }

    /// A mapping; empty when it is none.
    #[must_use]
    pub fn map(&self, path: &str) -> Map<String, Value> {
        self.get(path).as_object().cloned().unwrap_or_default()
    }

    /// What has no effect here, with its place where a file gave it. With `strict` each is an error, but for the image: that has no
    /// place of its own in a values file of the published chart.
    #[must_use]
    pub fn without_effect(&self) -> Vec<Diagnostic> {
        let idle = published::without_effect(self).into_iter();
        let complaints = idle.map(|(key, why)| {
            let refused = self.is("strict") && key != published::IMAGE;
            let severity = if refused { Severity::Error } else { Severity::Warning };
            let nowhere = || (Source::new("values", ""), Place::default());
            let (source, place) = self.places.get(key).cloned().unwrap_or_else(nowhere);
            Diagnostic::at(
                severity,
                "no-effect",
                &source,
                place,
                key,
                format!("`{key}` has no effect here"),
            )
            .with_fix(why)
        });
        complaints.collect()
    }

    /// What cannot be installed, though every value is one that there is: a message and what to do.
    #[must_use]
    pub fn refusals(&self, replicas: u64) -> Vec<(&'static str, &'static str)> {
        let alone = !self.is("controller.leaderElection.enable");
        let cases = [
            (
                alone && replicas > 1,
                "controller.leaderElection.enable is false, and there are several operators (controller.replicas, webhook.replicas): all of them would work on every application",
                "leave controller.leaderElection.enable true, or run one operator",
            ),
            (
                alone && self.number("controller.shards") > 1,
                "controller.leaderElection.enable is false, and controller.shards needs leases",
                "leave controller.leaderElection.enable true, or controller.shards 1",
            ),
            (
                self.is("controller.uiIngress.enable") && self.text("controller.uiIngress.urlFormat").is_empty(),
                "controller.uiIngress.urlFormat is needed when controller.uiIngress.enable is true",
                "give it, for example {{$appName}}.spark.example.com",
            ),
        ];
        let cases = cases.into_iter().filter(|(wrong, ..)| *wrong);
        cases.map(|(_, message, fix)| (message, fix)).collect()
    }
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

fn nulled(path: &str) -> Value {
    path.rsplit('.').fold(Value::Null, |inner, key| json!({ key: inner }))
}

fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (&mut *into, from) else {
        *into = from.clone();
        return;
    };
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (_, Value::Null) => {
                into.shift_remove(key);
            }
            (Some(there @ Value::Object(_)), Value::Object(_)) => merge(there, value),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

fn without_nulls(node: &Node) -> Node {
    let mut node = node.clone();
    if let Content::Map(entries) = &mut node.content {
        entries.retain(|entry| entry.value.content != Content::Null);
        for entry in entries {
            entry.value = without_nulls(&entry.value);
        }
    }
    node
}

/// The schema without references and without choices: of several types, the one that is written.
fn expanded(schema: &Value, node: Option<&Node>) -> Value {
    let reference = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    let schema = reference.and_then(|path| RULES.pointer(path)).unwrap_or(schema);
    let Some(from) = schema.as_object() else {
        return schema.clone();
    };
    let mut out = from.clone();
    if let Some(types) = from.get("type").and_then(Value::as_array) {
        let written = node.and_then(|node| match &node.content {
            Content::Map(_) => Some("object"),
            Content::String(_) => Some("string"),
            Content::Number(number) if !number.is_f64() => Some("integer"),
            Content::Bool(_) => Some("boolean"),
            _ => None,
        });
        let chosen = written.filter(|written| types.iter().any(|one| one == written));
        out.insert("type".into(), chosen.map_or_else(|| types[0].clone(), Value::from));
    }
    if from.contains_key("enum") && !from.contains_key("type") {
        out.insert("type".into(), "string".into());
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        for (key, property) in properties {
            *property = expanded(property, node.and_then(|node| node.get(key)));
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner @ Value::Object(_)) = out.get_mut(key) {
            *inner = expanded(inner, None);
        }
    }
    Value::Object(out)
}

/// Texts that must have a form.
fn patterns(source: &Source, node: &Node, schema: &Value, path: &str, complaints: &mut Vec<Diagnostic>) {
    for entry in node.entries() {
        let inner = join(path, &entry.key);
        let schema = &schema["properties"][&entry.key];
        patterns(source, &entry.value, schema, &inner, complaints);
        let (Some(text), Some(pattern)) = (entry.value.as_str(), schema["pattern"].as_str()) else {
            continue;
        };
        if Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
            let message = format!("`{inner}` cannot be `{text}`: it does not match {pattern}");
            complaints.push(complaint(source, entry.value.place, &inner, "bad-value", &message));
        }
    }
}

fn complaint(source: &Source, place: Place, path: &str, code: &'static str, message: &str) -> Diagnostic {
    Diagnostic::at(Severity::Error, code, source, place, path, message)
}

/// A complaint about an object, as one about values.
fn of_values(mut complaint: Diagnostic) -> Diagnostic {
    if complaint.code == "unknown-field" {
        complaint = complaint.with_code("unknown-value");
        complaint.message = format!("neither this chart nor the published one has `{}`", complaint.path);
        let help = complaint.fix_text();
        if !help.starts_with("did you mean") && !help.starts_with("that field") {
            complaint.fix = Some("remove it; deploy/chart/values.yaml names what there is".into());
        }
    }
    complaint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Values {
        let mut values = Values::default();
        values.lay("values.yaml", text).unwrap();
        values
    }

    #[test]
    fn files_are_merged_as_helm_does_it() {
        let mut values = with("controller: {replicas: 3, securityContext: {runAsUser: 1}, volumes: []}");
        values
            .lay("more.yaml", "controller: {replicas: 2}\nimage: null\n")
            .unwrap();
        assert_eq!(values.number("controller.replicas"), 2);
        assert_eq!(values.get("controller.securityContext.runAsUser"), &json!(1));
        assert!(values.is("controller.securityContext.readOnlyRootFilesystem"), "merged");
        assert_eq!(values.get("controller.volumes"), &json!([]), "replaced");
        assert_eq!(values.get("image"), &Value::Null, "taken away");
        values.set("controller.securityContext", json!({"runAsUser": 2}));
        assert_eq!(values.get("controller.securityContext"), &json!({"runAsUser": 2}));
        assert!(with("").without_effect().is_empty());
    }

    #[test]
    fn errors_have_a_place_and_a_fix() {
        let cases = [
            (
                "controller:\n  replica: 2\n",
                "unknown-value",
                2,
                Some("did you mean `replicas`?"),
            ),
            (
                "replicas: 2\n",
                "unknown-value",
                1,
                Some("that field belongs to `controller` or `webhook`"),
            ),
            ("controller:\n  replicas: two\n", "wrong-type", 2, None),
            ("controller:\n  keepLogs: {url: ftp://x}\n", "bad-value", 2, None),
            (
                "webhook:\n  failurePolicy: fail\n",
                "bad-value",
                2,
                Some("write `Fail`"),
            ),
            ("webhook:\n  timeoutSeconds: 31\n", "out-of-range", 2, None),
            (
                "spark:\n  jobNamespaceSelector: {matchLabel: {a: b}}\n",
                "unknown-value",
                2,
                Some("did you mean `matchLabels`?"),
            ),
            ("a: 1\n---\nb: 2\n", "many-documents", 3, None),
        ];
        for (text, code, line, fix) in cases {
            let mut values = Values::default();
            let complaints = values.lay("v.yaml", text).unwrap_err();
            let found = &complaints[0];
            assert_eq!((&*found.code, found.line), (code, line), "{text}: {found}");
            if let Some(fix) = fix {
                assert_eq!(found.fix_text(), fix, "{text}");
            }
            assert_eq!(values, Values::default(), "nothing half-applied: {text}");
        }
    }

    #[test]
    fn what_has_no_effect_is_named_with_its_place_unless_it_is_a_published_default() {
        let text = "controller:\n  pprof:\n    enable: true\n    port: 6060\n  featureGates: [{name: A, enabled: false}]\nwebhook:\n  volumes: []\n";
        let named = with(text).without_effect();
        assert_eq!(named.len(), 1, "{named:?}");
        assert_eq!((named[0].path.as_str(), named[0].line), ("controller.pprof.enable", 3));
        assert!(!named[0].is_error());
        let mut strict = with(text);
        strict.set("strict", true.into());
        assert!(strict.without_effect()[0].is_error());
        let gate = with("controller: {featureGates: [{name: A, enabled: true}]}");
        assert_eq!(gate.without_effect().len(), 1);
        let mut image =
            with("strict: true\nimage: {registry: ghcr.io, repository: kubeflow/spark-operator/controller}");
        assert!(
            image
                .without_effect()
                .iter()
                .any(|named| named.path == "image.repository" && !named.is_error())
        );
        image.set("image.repository", "ours".into());
        assert!(image.without_effect().is_empty());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let none: Vec<(&str, &str)> = Vec::new();
        assert_eq!(Values::default().refusals(3), none);
        let alone = with("controller: {leaderElection: {enable: false}}");
        assert_eq!((alone.refusals(1).len(), alone.refusals(2).len()), (0, 1));
        assert_eq!(
            with("controller: {leaderElection: {enable: false}, shards: 2}")
                .refusals(1)
                .len(),
            1
        );
        assert_eq!(with("controller: {uiIngress: {enable: true}}").refusals(1).len(), 1);
    }
}
