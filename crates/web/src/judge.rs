//! A manifest to what `stoke check` finds in it: the gates that look at a text alone, with a limit of time. Files of this machine are not read.

use std::time::{Duration, Instant};

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_gate::waivers::Waivers;
use stoke_gate::{Gate, Job, Settings, job};
use stoke_insight::bundle::redact;

/// The gates that read nothing but the manifest.
const GATES: [Gate; 4] = [Gate::Manifest, Gate::Conf, Gate::Pods, Gate::Secrets];
/// How long they may look.
const PATIENCE: Duration = Duration::from_secs(5);
/// Findings that are shown.
const MOST: usize = 200;

/// What is found, in the order of the lines.
pub fn findings(text: &str, namespace: &str) -> Vec<Diagnostic> {
    let file = job::of_bytes("manifest.yaml", text.as_bytes());
    if !matches!(file.kind, stoke_gate::Kind::Manifest { .. }) {
        let message = "this is not a manifest: it has no `apiVersion` and `kind`, or is not YAML";
        return vec![Diagnostic::new(Severity::Error, "not-an-object", message)];
    }
    let job = Job {
        files: vec![file],
        absent: Vec::new(),
    };
    let settings = Settings {
        gates: GATES.to_vec(),
        today: jiff::Zoned::now().date(),
        namespace: namespace.to_owned(),
        until: Instant::now().checked_add(PATIENCE),
        ..Settings::default()
    };
    let report = stoke_gate::check(&job, &settings, &Waivers::default());
    let mut found: Vec<Diagnostic> = report
        .findings()
        .map(|(_, finding)| finding.diagnostic.clone())
        .collect();
    found.sort_by_key(|one| (one.line, one.column));
    found.truncate(MOST);
    found
}

/// The text of an object as its author would write it, with secrets left out as a bundle leaves them out.
pub fn manifest(object: &serde_json::Value) -> String {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        for of_server in [
            "managedFields",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "selfLink",
        ] {
            metadata.remove(of_server);
        }
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(serde_json::Value::as_object_mut)
        {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        if metadata
            .get("annotations")
            .and_then(serde_json::Value::as_object)
            .is_some_and(serde_json::Map::is_empty)
        {
            metadata.remove("annotations");
        }
    }
    redact::json(&mut object);
    serde_saphyr::to_string(&object).unwrap_or_else(|_| format!("{object:#}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn findings_stand_at_their_lines() {
        let text = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: pi\nspec:\n  type: Python\n  mode: cluster\n  \
                    image: apache/spark:4.1.4\n  sparkVersion: 4.1.4\n  mainApplicationFile: local:///pi.py\n  sparkConf:\n    spark.executor.memry: 1g\n  driver: {}\n  executor: {}\n";
        let found = findings(text, "default");
        let wrong = found.iter().find(|one| one.code == "conf-unknown-key").unwrap();
        assert_eq!((wrong.line, wrong.severity), (12, Severity::Error));
        for odd in ["", "a: [", "x", "\u{0}", "a: &a [*a]", "- - - -"] {
            assert!(!findings(odd, "default").is_empty(), "{odd:?}");
        }
    }

    #[test]
    fn files_of_this_machine_are_not_read() {
        let text = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: pi\nspec:\n  type: Python\n  image: a/b:1\n  \
                    sparkVersion: 4.1.4\n  mainApplicationFile: file:///etc/passwd\n  driver: {}\n  executor: {}\n";
        assert!(
            findings(text, "default")
                .iter()
                .all(|one| !one.to_string().contains("root:"))
        );
    }

    #[test]
    fn secrets_are_hidden() {
        let text = manifest(&json!({
            "metadata": {"name": "a", "managedFields": [], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}},
            "spec": {"sparkConf": {"spark.hadoop.fs.s3a.secret.key": "hunter2", "spark.executor.cores": "2"},
                "driver": {"env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "x"}], "javaOptions": "-Da.password=hunter2"},
                "arguments": ["--password=hunter2", "in", "jdbc:postgresql://me:hunter2@db/x"]},
            "status": {"a": "hunter2"},
        }));
        assert!(!text.contains("hunter2") && !text.contains("managedFields"), "{text}");
        assert!(text.contains("spark.executor.cores") && text.contains("MODE"), "{text}");
    }
}
