//! `stoke-image.yaml`: what an image is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use stoke_diagnostics::{Diagnostic, Severity, Source};
use stoke_model::manifest::{Fields, Node, join, read};

/// The name of the file.
pub const FILE: &str = "stoke-image.yaml";

/// Where code goes when nothing else is said.
pub const APP: &str = "/opt/app";

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stoke-image.yaml")]
pub struct Spec {
    /// The base image: `apache/spark:4.1.4`, `oci:DIRECTORY`, `archive:FILE`, or `runtime:4.1.4` for one that is made of a local Spark.
    pub base: String,
    /// Where code goes: an absolute path.
    pub app: String,
    /// The file of Python's requirements, below the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<String>,
    /// The version of the base's Python, such as `3.10`, where it cannot be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// Jars for the class path of Spark: files and patterns below the directory.
    pub jars: Vec<String>,
    /// Files of the code: from where in the directory to where in the image.
    pub files: Vec<Files>,
    /// Patterns of files that are left out.
    pub exclude: Vec<String>,
    /// Variables of the environment.
    pub env: BTreeMap<String, String>,
    /// Labels, such as `org.opencontainers.image.source`.
    pub labels: BTreeMap<String, String>,
    /// The working directory, instead of the base's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The user, instead of the base's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The entrypoint, instead of the base's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, instead of the base's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
}

/// Files of the directory and their place in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// A file, a directory (what is in it) or a pattern, below the directory.
    pub from: String,
    /// A path in the image, below `app` when it is relative; with a `/` at its end a directory.
    pub to: String,
}

impl Spec {
    /// One with a base and nothing else.
    #[must_use]
    pub fn on(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            app: APP.to_owned(),
            requirements: None,
            python: None,
            jars: Vec::new(),
            files: Vec::new(),
            exclude: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            workdir: None,
            user: None,
            entrypoint: None,
            cmd: None,
        }
    }
}

const KEYS: [&str; 13] = [
    "base",
    "app",
    "requirements",
    "python",
    "jars",
    "files",
    "exclude",
    "env",
    "labels",
    "workdir",
    "user",
    "entrypoint",
    "cmd",
];

/// The JSON schema of the file.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Spec).to_value();
    // All but the base have a default.
    schema["required"] = serde_json::json!(["base"]);
    schema
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it, with places: keys that are unknown, values of another type, paths that are not absolute.
pub fn parse(source: &Source) -> Result<Spec, Vec<Diagnostic>> {
    let (documents, complaints) = read(source);
    if complaints.iter().any(|found| found.severity == Severity::Error) {
        return Err(complaints);
    }
    let [node] = &documents[..] else {
        let message = format!("{} has {} documents; one is wanted", source.name(), documents.len());
        return Err(vec![
            Diagnostic::of_file(Severity::Error, "stoke::build::spec", source.name(), message).with_fix("keep one"),
        ]);
    };
    let mut fields = Fields::new(source);
    let spec = of(node, &mut fields);
    let complaints = fields.into_complaints();
    match spec {
        Some(spec) if complaints.is_empty() => Ok(spec),
        _ => Err(complaints),
    }
}

fn of(node: &Node, fields: &mut Fields<'_>) -> Option<Spec> {
    if !fields.keys(node, "", &KEYS) {
        return None;
    }
    let mut spec = Spec::on(fields.needed_text(node, "base", "").unwrap_or_default());
    if let Some(app) = absolute(node, "app", fields) {
        spec.app = app;
    }
    spec.workdir = absolute(node, "workdir", fields);
    spec.requirements = fields.text(node, "requirements", "").map(str::to_owned);
    spec.python = version(node, fields);
    spec.jars = texts(node, "jars", fields).unwrap_or_default();
    spec.exclude = texts(node, "exclude", fields).unwrap_or_default();
    spec.env = map(node, "env", fields);
    spec.labels = map(node, "labels", fields);
    spec.user = scalar(node, "user", "", fields);
    spec.entrypoint = texts(node, "entrypoint", fields);
    spec.cmd = texts(node, "cmd", fields);
    for (path, item) in fields.list(node, "files", "") {
        if !fields.keys(item, &path, &["from", "to"]) {
            continue;
        }
        let from = fields.needed_text(item, "from", &path).unwrap_or_default().to_owned();
        let to = fields.text(item, "to", &path).unwrap_or("./").to_owned();
        spec.files.push(Files { from, to });
    }
    Some(spec)
}

/// A text; a number as it is written: `1.10` stays that.
fn scalar(node: &Node, key: &str, path: &str, fields: &mut Fields<'_>) -> Option<String> {
    fields.literal(node, key, path)?;
    let value = node.get(key)?;
    let written = || fields.source.written(value.place).trim().to_owned();
    Some(value.as_str().map_or_else(written, str::to_owned))
}

/// `3.10` must be in quotes: as a number it is 3.1.
fn version(node: &Node, fields: &mut Fields<'_>) -> Option<String> {
    let value = node.get("python")?;
    match value.as_str() {
        Some(text) if is_python(text) => Some(text.to_owned()),
        _ => {
            let message = "`python` is not a version such as \"3.10\", in quotes".to_owned();
            fields.complain(
                "stoke::build::spec",
                value.place,
                "python",
                message,
                "write python: \"3.10\"",
            );
            None
        }
    }
}

/// `3.10`.
pub(crate) fn is_python(text: &str) -> bool {
    let minor = text.strip_prefix("3.");
    minor.is_some_and(|minor| !minor.is_empty() && minor.len() <= 2 && minor.bytes().all(|byte| byte.is_ascii_digit()))
}

fn absolute(node: &Node, key: &str, fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.text(node, key, "")?.to_owned();
    let plain = text.starts_with('/') && text.len() > 1 && !text.split('/').any(|part| part == "..");
    if !plain {
        let message = format!("`{key}` is `{text}`, which is not an absolute path of the image");
        let place = node.get(key).map(|value| value.place).unwrap_or_default();
        fields.complain("stoke::build::spec", place, key, message, "write it like /opt/app");
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn texts(node: &Node, key: &str, fields: &mut Fields<'_>) -> Option<Vec<String>> {
    fields.texts(node, key, "")
}

fn map(node: &Node, key: &str, fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(value) = node.get(key) else {
        return BTreeMap::new();
    };
    if !fields.mapping(value, key) {
        return BTreeMap::new();
    }
    let mut found = BTreeMap::new();
    for entry in value.entries() {
        let name = fields.key(entry);
        let bad = name.is_empty() || (key == "env" && name.contains(['=', ' ']));
        if bad {
            let message = format!("`{name}` is not the name of a variable");
            fields.complain(
                "stoke::build::spec",
                entry.key_place,
                &join(key, &name),
                message,
                "use letters, digits and _",
            );
            continue;
        }
        if let Some(text) = scalar(value, &entry.key, key, fields) {
            found.insert(name, text);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(text: &str) -> Result<Spec, Vec<String>> {
        parse(&Source::new("stoke-image.yaml", text)).map_err(|found| {
            found
                .iter()
                .map(|found| format!("{}:{} {}", found.line, found.code, found.message))
                .collect()
        })
    }

    #[test]
    fn a_whole_file() {
        let spec = parsed(
            "base: apache/spark:4.1.4\nrequirements: requirements.txt\npython: \"3.10\"\njars: [lib/*.jar]\nfiles:\n- from: src\n- {from: conf/x.yaml, to: /etc/x.yaml}\nenv: {A: 1, B: \"yes\"}\nuser: 185\n",
        )
        .unwrap();
        assert_eq!(spec.env["A"], "1");
        assert_eq!((spec.user.as_deref(), spec.app.as_str()), (Some("185"), "/opt/app"));
        assert_eq!(
            spec.files[0],
            Files {
                from: "src".into(),
                to: "./".into()
            }
        );
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        for (text, wanted) in [
            ("base: x\nbas: y\n", "2:unknown-field there is no key `bas` here"),
            ("env: {}\n", "1:missing-field `base` is missing"),
            (
                "base: x\npython: 3.10\n",
                "2:stoke::build::spec `python` is not a version such as \"3.10\", in quotes",
            ),
            (
                "base: x\napp: opt\n",
                "2:stoke::build::spec `app` is `opt`, which is not an absolute path of the image",
            ),
            (
                "base: x\nfiles:\n- {from: a, too: b}\n",
                "3:unknown-field there is no key `too` here",
            ),
            (
                "base: x\nenv: {A B: 1}\n",
                "2:stoke::build::spec `A B` is not the name of a variable",
            ),
            ("base: x\njars: 7\n", "2:wrong-type"),
            ("- base\n", "1:wrong-type"),
        ] {
            let found = parsed(text).unwrap_err();
            assert!(found.iter().any(|found| found.starts_with(wanted)), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_schema_has_the_keys() {
        let schema = schema();
        let mut properties: Vec<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut keys = KEYS.to_vec();
        properties.sort_unstable();
        keys.sort_unstable();
        assert_eq!(properties, keys);
        assert_eq!(schema["additionalProperties"], false);
    }
}
