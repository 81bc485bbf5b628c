//! What gates said, as an in-toto `test-result`: which passed, which did not, and of which report.
//!
//! Source: in-toto's predicate `test-result`, version 0.1: `result` is PASSED, WARNED or FAILED; names of tests are free.

use serde_json::{Value, json};

use super::error::EvidenceError;
use crate::oci::Digest;

/// The predicate of a report of `stoke check --output json`. The whole report is named by its digest, so that no one can put another in its place.
///
/// # Errors
/// Bytes that are not such a report, and verdicts that are not known: one must not be taken for passed.
pub fn predicate(report: &[u8]) -> Result<Value, EvidenceError> {
    let bad = |why: String| {
        EvidenceError::new(
            "evidence-malformed",
            format!("it is not a report of gates: {why}"),
            "name what `stoke check --output json` wrote",
        )
    };
    let read: Value = serde_json::from_slice(report).map_err(|error| bad(error.to_string()))?;
    let gates = read.get("gates").and_then(Value::as_array);
    let gates = gates.ok_or_else(|| bad("it has no list of gates".to_owned()))?;
    let (mut passed, mut warned, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for gate in gates {
        let text = |key: &str| {
            let value = gate.get(key).and_then(Value::as_str);
            value.ok_or_else(|| bad(format!("a gate has no `{key}`")))
        };
        let name = text("gate")?;
        match text("verdict")? {
            "pass" => passed.push(name),
            "waived" => warned.push(name),
            "fail" | "cannot-tell" => failed.push(name),
            // It had nothing to look at, or was not asked for: it says nothing.
            "not-applicable" | "not-asked" => {}
            other => {
                return Err(bad(format!(
                    "the gate {name} has the verdict `{other}`, which is not known"
                )));
            }
        }
    }
    let result = match (failed.is_empty(), warned.is_empty(), passed.is_empty()) {
        (false, _, _) => "FAILED",
        (true, false, _) => "WARNED",
        (true, true, false) => "PASSED",
        (true, true, true) => return Err(bad("no gate looked at anything".to_owned())),
    };
    Ok(json!({
        "result": result,
        "configuration": [{
            "name": "stoke check",
            "digest": {"sha256": Digest::of(report).hex()},
        }],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_gate_decides() {
        let report = |verdicts: &[&str]| {
            let gates: Vec<Value> = verdicts
                .iter()
                .enumerate()
                .map(|(index, verdict)| json!({"gate": format!("g{index}"), "verdict": verdict}))
                .collect();
            predicate(json!({"gates": gates}).to_string().as_bytes())
        };
        for (verdicts, result) in [
            (&["pass", "not-asked"][..], "PASSED"),
            (&["pass", "waived"], "WARNED"),
            (&["waived", "fail"], "FAILED"),
            (&["pass", "cannot-tell"], "FAILED"),
        ] {
            assert_eq!(report(verdicts).unwrap()["result"], result, "{verdicts:?}");
        }
        for verdicts in [&["not-asked"][..], &[], &["excellent"]] {
            assert_eq!(report(verdicts).unwrap_err().code, "evidence-malformed", "{verdicts:?}");
        }
        assert!(predicate(b"{}").is_err() && predicate(b"garbage").is_err());
    }
}
