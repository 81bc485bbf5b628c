//! What each kind is checked against.

use crate::conf::{Catalogue, MOST_PAIRS, On};
use crate::crd::{self, KINDS};
use crate::{annotations, names, schema};

use super::node::{Content, join};
use super::{Document, application, nearest, refused_spark_conf};
use stoke_diagnostics::{Diagnostic, Severity};

/// Longest name of a SparkConnect: its service is `<name>-server`.
const CONNECT_NAME_LIMIT: usize = names::LABEL_LIMIT - "-server".len();

/// Everything that can be said about a document by itself.
pub(super) fn check(document: &Document) -> Vec<Diagnostic> {
    if !matches!(document.node.content, Content::Map(_)) {
        let message = format!("this document is {}, not an object", document.node.type_name());
        let complaint = document.complain(Severity::Error, "not-an-object", "", message);
        return vec![complaint.with_fix("write `apiVersion:`, `kind:`, `metadata:` and `spec:`")];
    }
    if let Some(complaint) = header(document) {
        return vec![complaint];
    }
    let Some(kind_schema) = crd::shared_schema(&document.kind).filter(|_| document.is_ours()) else {
        return Vec::new();
    };
    let mut complaints = schema::lint(&document.source, &document.node, kind_schema);
    complaints.extend(check_annotations(document));
    match document.kind.as_str() {
        "SparkApplication" | "ScheduledSparkApplication" => {
            complaints.extend(application::check_name(document, names::LABEL_LIMIT));
            complaints.extend(application::check(document, document.spec_path()));
        }
        _ => complaints.extend(application::check_name(document, CONNECT_NAME_LIMIT)),
    }
    complaints.extend(spark_conf(document, document.spec_path()));
    complaints
}

/// What is wrong with `apiVersion` and `kind`.
fn header(document: &Document) -> Option<Diagnostic> {
    for (field, text) in [("apiVersion", &document.api_version), ("kind", &document.kind)] {
        if text.is_empty() {
            let place = document.node.entry(field).or_else(|| document.node.entries().first());
            let place = place.map_or(document.node.place, |entry| entry.key_place);
            let message = format!("the object has no `{field}`");
            let complaint = Diagnostic::at(
                Severity::Error,
                "missing-field",
                &document.source,
                place,
                field,
                message,
            );
            let meant = if field == "kind" {
                KINDS[0]
            } else {
                crd::api_version(&document.kind).unwrap_or("sparkoperator.k8s.io/v1beta2")
            };
            return Some(complaint.with_fix(format!("add for example `{field}: {meant}`")));
        }
    }
    let value_place = |field: &str| document.node.get(field).map_or(document.node.place, |node| node.place);
    let complain = |field: &str, code, message: String, help: String| {
        Some(
            Diagnostic::at(
                Severity::Error,
                code,
                &document.source,
                value_place(field),
                field,
                message,
            )
            .with_fix(help),
        )
    };
    let (api_version, kind) = (document.api_version.as_str(), document.kind.as_str());
    match crd::api_version(kind) {
        Some(served) if served == api_version => None,
        Some(served) => {
            let (message, help) = match api_version.split_once('/').map(|(group, _)| group) {
                Some("spark.apache.org") => (
                    format!("`{kind}` of `{api_version}` is the Apache operator's; it has other fields"),
                    format!("`stoke convert FILE` makes it one of `{served}`"),
                ),
                _ => (
                    format!("there is no `{kind}` in `{api_version}`"),
                    format!("write `{served}`"),
                ),
            };
            complain("apiVersion", "wrong-api-version", message, help)
        }
        None => {
            let ours = document.is_ours() || nearest(api_version, ["sparkoperator.k8s.io/v1beta2"]).is_some();
            match nearest(kind, KINDS) {
                Some(near) => complain(
                    "kind",
                    "wrong-kind",
                    format!("there is no kind `{kind}`"),
                    format!("did you mean `{near}`?"),
                ),
                None if ours => complain(
                    "kind",
                    "wrong-kind",
                    format!("`{api_version}` has no kind `{kind}`"),
                    format!("it has {}", KINDS.join(", ")),
                ),
                None => None,
            }
        }
    }
}

/// Our annotations: a name there is, on a kind that reads it, with a value that means something.
fn check_annotations(document: &Document) -> Vec<Diagnostic> {
    let Some(written) = document.node.lookup("metadata.annotations") else {
        return Vec::new();
    };
    let kind = document.kind.as_str();
    let ours = written
        .entries()
        .iter()
        .filter(|entry| entry.key.starts_with(annotations::PREFIX));
    let wrong = ours.filter_map(|entry| {
        let name = entry.key.as_str();
        let (code, place, message, help) = match annotations::find(name) {
            None => {
                let known = annotations::ALL.iter().filter(|known| known.kinds.contains(&kind));
                let help = match nearest(name, known.clone().map(|known| known.name)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "a {kind} has {}",
                        known.map(|known| known.name).collect::<Vec<_>>().join(", ")
                    ),
                };
                let message = format!("there is no annotation `{name}`");
                ("unknown-annotation", entry.key_place, message, help)
            }
            Some(known) if !known.kinds.contains(&kind) => {
                let message = format!("the annotation `{name}` has no effect on a {kind}");
                let help = format!("it is read on a {}", known.kinds.join(" or a "));
                ("unknown-annotation", entry.key_place, message, help)
            }
            Some(known) => {
                // What is not text the schema has complained about.
                let text = entry.value.as_str()?;
                let wanted = known.form.check(text).err()?;
                let message = match text.contains('\n') {
                    true => format!("annotation {name} is not allowed as it is"),
                    false => format!("annotation {name}: {text:?} is not allowed"),
                };
                ("bad-annotation", entry.value.place, message, wanted)
            }
        };
        let path = join("metadata.annotations", name);
        let complaint = Diagnostic::at(Severity::Error, code, &document.source, place, &path, message);
        Some(complaint.with_fix(help))
    });
    wrong.collect()
}

/// Lint of the Spark configuration of a spec by the catalogue of its Spark version; each finding where the key or value is written.
fn spark_conf(document: &Document, path: &str) -> Vec<Diagnostic> {
    let Some(spec) = document.node.lookup(path) else {
        return Vec::new();
    };
    let Some(conf) = spec.get("sparkConf") else {
        return Vec::new();
    };
    let version = match spec.get("sparkVersion").map(|node| &node.content) {
        Some(Content::String(version)) => version.clone(),
        // Written without quotes; the schema complains about that.
        Some(Content::Number(version)) => version.to_string(),
        _ => return Vec::new(),
    };
    let catalogue = Catalogue::for_version(&version);
    let mut complaints = Vec::new();
    if conf.entries().len() > MOST_PAIRS {
        let message = format!(
            "{} keys of Spark are more than are looked at ({MOST_PAIRS})",
            conf.entries().len()
        );
        let path = join(path, "sparkConf");
        complaints.push(document.complain(Severity::Error, "too-large", &path, message));
    }
    for entry in conf.entries().iter().take(MOST_PAIRS) {
        // What is not text the schema has complained about; what is refused needs no second complaint.
        let Some(value) = entry.value.as_str() else { continue };
        if refused_spark_conf(&entry.key, value, document.namespace.as_deref()).is_some() {
            continue;
        }
        for finding in catalogue.lint([(entry.key.as_str(), value)]) {
            let place = match finding.on {
                On::Key => entry.key_place,
                On::Value => entry.value.place,
            };
            let path = join(&join(path, "sparkConf"), &entry.key);
            complaints.push(finding.diagnostic(&document.source, place, &path, &entry.key));
        }
    }
    complaints
}
