//! Ids of a trace and its spans.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::facts::{Cluster, Run};

/// The configuration key in which the operator leaves a run's trace id.
const CONF: &str = "spark.stoke.traceId";

/// The trace id of a run, 32 hexadecimal digits: the one the operator gave it (`spark.stoke.traceId`, which is also in the labels of its pods and in
/// the logs); else the UID of its `SparkApplication` without hyphens; else the first half of the SHA-256 of Spark's application id and, where the cluster
/// manager counts them, `/` and the attempt.
pub fn trace_id(run: &Run, cluster: Option<&Cluster>) -> String {
    let uid = cluster.and_then(|cluster| cluster.application["metadata"]["uid"].as_str());
    let given = run.property(CONF).and_then(valid);
    given.or_else(|| uid.and_then(valid)).unwrap_or_else(|| {
        let attempt = run
            .attempt
            .as_ref()
            .map(|attempt| format!("/{attempt}"))
            .unwrap_or_default();
        digest(&format!("{}{attempt}", run.id), 32)
    })
}

/// 32 hexadecimal digits, not all zero (W3C Trace Context, section 3.2.2.3), with or without hyphens.
fn valid(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let hexadecimal = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    (hexadecimal && digits.bytes().any(|digit| digit != b'0')).then(|| digits.to_ascii_lowercase())
}

/// The id of the application's own span: as the operator puts it into `TRACEPARENT` of driver and executors, so that spans made there are its
/// children.
pub(super) fn root(trace_id: &str) -> String {
    span(trace_id)
}

/// The id of another span, by what it is: `job/3`, `stage/4/0`, `task/4/0/17/1`.
pub(super) fn of(trace_id: &str, what: &str) -> String {
    span(&format!("{trace_id}/{what}"))
}

fn span(text: &str) -> String {
    let id = digest(text, 16);
    match id.bytes().all(|digit| digit == b'0') {
        true => "0000000000000001".to_owned(),
        false => id,
    }
}

fn digest(text: &str, digits: usize) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_id_is_the_one_in_the_logs() {
        let mut run = Run {
            id: "spark-1".to_owned(),
            ..Run::default()
        };
        let uid = "0F0E0D0C-0b0a-0908-0706-050403020100";
        let cluster = Cluster {
            application: json!({"metadata": {"uid": uid}}),
            ..Cluster::default()
        };
        assert_eq!(trace_id(&run, None), digest("spark-1", 32));
        assert_eq!(trace_id(&run, Some(&cluster)), "0f0e0d0c0b0a09080706050403020100");
        run.spark
            .insert(CONF.to_owned(), "4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
        assert_eq!(trace_id(&run, Some(&cluster)), "4bf92f3577b34da6a3ce929d0e0e4736");
        run.spark.insert(CONF.to_owned(), "0".repeat(32));
        assert_eq!(trace_id(&run, None), digest("spark-1", 32));
    }
}
