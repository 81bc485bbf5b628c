//! Names other programs depend on, and names that derive from an application so that doing a thing twice finds it done.

use std::fmt::Write as _;

use kube::ResourceExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use stoke_model::crd::SparkApplication;

/// Label: name of the application.
pub const APP_NAME: &str = "sparkoperator.k8s.io/app-name";
/// Label: `true` on every pod of an application.
pub const LAUNCHED_BY: &str = "sparkoperator.k8s.io/launched-by-spark-operator";
/// Label: the submission a pod belongs to.
pub const SUBMISSION_ID: &str = "sparkoperator.k8s.io/submission-id";
/// Label: name of the schedule an application came from.
pub const SCHEDULED_APP_NAME: &str = "sparkoperator.k8s.io/scheduled-app-name";
/// Spark's label: application id.
pub const SPARK_APP_SELECTOR: &str = "spark-app-selector";
/// Spark's label: `driver` or `executor`.
pub const SPARK_ROLE: &str = "spark-role";
/// Spark's label: executor id.
pub const SPARK_EXEC_ID: &str = "spark-exec-id";
/// Annotation of an application: how long its driver may wait for a start, `10m`.
pub const PENDING_TIMEOUT: &str = "stoke.dev/pending-timeout";
/// Annotation of an application: what an edit of its spec does, `Restart`, `NextRun` or `Reject`.
pub const ON_EDIT: &str = "stoke.dev/on-edit";
/// API group and version of the resources we serve.
pub const API_VERSION: &str = "sparkoperator.k8s.io/v1beta2";
/// Port name of the UI service.
pub const UI_PORT_NAME: &str = "spark-driver-ui-port";

/// Name of the driver pod: `spec.driver.podName`, else `spark.kubernetes.driver.pod.name` of `sparkConf`, else `<application>-driver`.
#[must_use]
pub fn driver_pod(app: &SparkApplication) -> String {
    let named = app.spec.driver.as_ref().and_then(|driver| driver.pod_name.clone());
    let configured = || {
        app.spec
            .spark_conf
            .as_ref()?
            .get("spark.kubernetes.driver.pod.name")
            .cloned()
    };
    named
        .or_else(configured)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("{}-driver", app.name_any()))
}

/// Name of the service of the Spark UI: `<application>-ui-svc`, shortened with a digest when a label could not hold it.
#[must_use]
pub fn ui_service(app: &str) -> String {
    shortened(app, "-ui-svc", 63)
}

/// `base` + `suffix`, or as much of `base` as fits into `limit` characters, `-`, 8 digits of a digest of `base`, and `suffix`.
#[must_use]
pub fn shortened(base: &str, suffix: &str, limit: usize) -> String {
    if base.len() + suffix.len() <= limit {
        return format!("{base}{suffix}");
    }
    let digest = &hex(base.as_bytes())[..8];
    let room = limit.saturating_sub(suffix.len() + digest.len() + 1);
    let kept: String = base.chars().take(room).collect();
    format!("{}-{digest}{suffix}", kept.trim_end_matches(['-', '.']))
}

/// The id of a submission, in the shape of a UUID. The same application, spec and counters give the same id; any other gives another, so that
/// a pod tells exactly which try it belongs to.
#[must_use]
pub fn submission_id(app: &SparkApplication, spec_digest: &str, execution: i32, submission: i32) -> String {
    let uid = app.metadata.uid.as_deref().unwrap_or_default();
    let generation = app.metadata.generation.unwrap_or_default();
    let hex = hex(format!("{uid}/{generation}/{spec_digest}/{execution}/{submission}").as_bytes());
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16]) % 4];
    // Version 8: the bits are ours.
    format!(
        "{}-{}-8{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

/// Digest of a stored spec without `suspend` and `timeToLiveSeconds`, which stop and remove but do not change what runs. Key order does not matter.
#[must_use]
pub fn spec_digest(spec: &Value) -> String {
    let mut canonical = String::new();
    write_canonical(spec, &["suspend", "timeToLiveSeconds"], &mut canonical);
    hex(canonical.as_bytes())[..16].to_owned()
}

fn write_canonical(value: &Value, without: &[&str], out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().filter(|key| !without.contains(&key.as_str())).collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                let _ = write!(out, "{key:?}:");
                write_canonical(&map[key.as_str()], &[], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, &[], out);
                out.push(',');
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// SHA-256 in 64 hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digest_ignores_key_order_suspend_and_ttl_only() {
        let base = json!({"image": "a", "driver": {"cores": 1, "suspend": true}});
        let same =
            json!({"driver": {"suspend": true, "cores": 1}, "suspend": true, "timeToLiveSeconds": 5, "image": "a"});
        assert_eq!(spec_digest(&base), spec_digest(&same));
        for other in [
            json!({"image": "b", "driver": {"cores": 1, "suspend": true}}),
            json!({"image": "a", "driver": {"cores": 1}}),
            json!({"image": "a", "driver": {"cores": 1, "suspend": true}, "arguments": []}),
        ] {
            assert_ne!(spec_digest(&base), spec_digest(&other), "{other}");
        }
    }

    #[test]
    fn submission_ids_are_uuids_and_differ_in_every_part() {
        let mut app = SparkApplication::new("pi", Default::default());
        app.metadata.uid = Some("u1".into());
        app.metadata.generation = Some(1);
        let id = submission_id(&app, "d", 0, 1);
        assert_eq!(id, submission_id(&app, "d", 0, 1));
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "8");
        let mut seen = std::collections::BTreeSet::from([id]);
        for (digest, execution, submission) in [("e", 0, 1), ("d", 1, 1), ("d", 0, 2)] {
            assert!(seen.insert(submission_id(&app, digest, execution, submission)));
        }
        app.metadata.generation = Some(2);
        assert!(seen.insert(submission_id(&app, "d", 0, 1)));
    }

    #[test]
    fn long_names_fit_a_label_and_stay_apart() {
        assert_eq!(ui_service("pi"), "pi-ui-svc");
        let (a, b) = ("a".repeat(80), "a".repeat(81));
        assert_eq!(ui_service(&a).len(), 63);
        assert_ne!(ui_service(&a), ui_service(&b));
    }
}
