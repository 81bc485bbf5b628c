//! Names that derive from an application, so that doing a thing twice finds it done. Published names are in `stoke_model::names`.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};
use stoke_model::crd::SparkApplication;

/// Label of pods: the trace id of their run. See [`trace_id`].
pub use stoke_model::names::LABEL_TRACE_ID as TRACE_ID;
/// Spark configuration, and so in the event log: the same id.
pub const CONF_TRACE_ID: &str = "spark.stoke.traceId";
/// Variable of drivers and executors: the run as a W3C `traceparent`, for whoever traces in them.
pub const TRACEPARENT: &str = "TRACEPARENT";
/// Label of applications, schedules and their pods: who looks after them; alerts go to that team.
pub const TEAM: &str = "team";
/// API version of the resources we serve.
pub const API_VERSION: &str = "sparkoperator.k8s.io/v1beta2";
/// Who writes: the field manager and the reporting component of Events.
pub const COMPONENT: &str = "stoke-operator";

/// The id of a submission, in the shape of a UUID. The same application, spec and counters give the same id; any other gives another, so that
/// a pod tells exactly which try it belongs to.
#[must_use]
pub fn submission_id(app: &SparkApplication, spec_digest: &str, execution: i32, submission: i32) -> String {
    let uid = app.metadata.uid.as_deref().unwrap_or_default();
    let generation = app.metadata.generation.unwrap_or_default();
    let hex = hex(format!("{uid}/{generation}/{spec_digest}/{execution}/{submission}").as_bytes());
    let variant = ['8', '9', 'a', 'b'][usize::from(hex.as_bytes()[16]) % 4];
    stoke_model::names::uuid(&hex, variant)
}

/// The trace id of a run, 32 hexadecimal digits as in a W3C trace context: its submission id without the hyphens, so that either is
/// found by the other. A submission id that is not a UUID gives its digest.
#[must_use]
pub fn trace_id(submission_id: &str) -> String {
    let digits: String = submission_id.chars().filter(|digit| *digit != '-').collect();
    let valid = digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    match valid && digits.chars().any(|digit| digit != '0') {
        true => digits.to_ascii_lowercase(),
        false => hex(submission_id.as_bytes())[..32].to_owned(),
    }
}

/// The run as a W3C `traceparent`: spans begun by it are children of the run's own, whose id derives from the trace's.
#[must_use]
pub fn traceparent(trace_id: &str) -> String {
    format!("00-{trace_id}-{}-01", &hex(trace_id.as_bytes())[..16])
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

/// `name` within `room` bytes: as it is, or its beginning and a digest of the whole. Ends in a letter or digit as a label must.
#[must_use]
pub fn shortened(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    let digest = &hex(name.as_bytes())[..8];
    let kept: String = name.chars().take(room.saturating_sub(digest.len() + 1)).collect();
    format!("{}-{digest}", kept.trim_end_matches(['-', '.']))
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
    fn trace_ids_are_those_of_w3c_and_tell_runs_apart() {
        for (submission, trace) in [
            (
                "0f1e2d3c-0000-8000-8000-0000000000AB",
                Some("0f1e2d3c0000800080000000000000ab"),
            ),
            ("00000000-0000-0000-0000-000000000000", None),
            ("by-hand", None),
            ("", None),
        ] {
            let id = trace_id(submission);
            assert!(trace.is_none_or(|trace| trace == id), "{id}");
            assert!(id.len() == 32 && id != "0".repeat(32), "{id}");
            assert!(
                id.chars()
                    .all(|digit| digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase())
            );
            let parent = traceparent(&id);
            let parts: Vec<&str> = parent.split('-').collect();
            assert_eq!(
                (parts[0], parts[1], parts[2].len(), parts[3]),
                ("00", id.as_str(), 16, "01")
            );
            assert_ne!(parts[2], "0".repeat(16));
        }
        assert_ne!(trace_id("by-hand"), trace_id("by-foot"));
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
}
