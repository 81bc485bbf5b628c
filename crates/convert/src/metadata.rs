//! `metadata` of a source object.

use serde_json::json;
use stoke_model::manifest::{Document, join};

use crate::report::Report;
use crate::target::Target;

/// What kubectl writes for itself.
const OF_KUBECTL: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Carries names, labels and annotations; the rest belongs to the object in its cluster.
pub(crate) fn carry(document: &Document, target: &mut Target, report: &mut Report) {
    if let Some(status) = document.node.entry("status") {
        report.idle(
            status.key_place,
            "status",
            "the status is the other operator's account; the new application begins without one",
            "",
        );
    }
    let Some(metadata) = document.node.get("metadata") else {
        return;
    };
    for entry in metadata.entries() {
        let path = join("metadata", &entry.key);
        let text = entry.value.as_str();
        match (entry.key.as_str(), text) {
            ("name", Some(name)) => target.settle_name(name, entry.value.place, &path, report),
            ("namespace", Some(namespace)) => target.namespace = Some(namespace.to_owned()),
            ("generateName", Some(prefix)) => {
                let name = prefix.trim_end_matches('-');
                report.changed(
                    entry.value.place,
                    &path,
                    format!("a generated name would differ every time it is applied; it is called `{name}`"),
                    "give another with --name",
                );
                target.settle_name(name, entry.value.place, &path, report);
            }
            ("labels", _) => {
                for label in entry.value.entries() {
                    if let Some(value) = label.value.as_str() {
                        target.labels.insert(label.key.clone(), json!(value));
                    }
                }
            }
            ("annotations", _) => {
                for annotation in entry.value.entries() {
                    match annotation.value.as_str() {
                        Some(_) if annotation.key == OF_KUBECTL => report.idle(
                            annotation.key_place,
                            &join(&path, OF_KUBECTL),
                            "kubectl's own note about the source object",
                            "",
                        ),
                        Some(value) => target.annotate(&annotation.key, value),
                        None => {}
                    }
                }
            }
            _ if Report::is_empty(&entry.value) => {}
            _ => report.idle(
                entry.key_place,
                &path,
                format!("`{}` belongs to the source object in its cluster", entry.key),
                "",
            ),
        }
    }
}
