//! SARIF 2.1.0, which code hosts show beside the lines (OASIS, sarif-v2.1.0).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::manifest::Severity;

use crate::codes;
use crate::finding::{Finding, Gate};
use crate::verdict::Report;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The report as one SARIF run. Waived findings are there as suppressed ones.
#[must_use]
pub fn sarif(report: &Report, version: &str) -> Value {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    let waivers = report.waivers.iter().map(|finding| (None, finding));
    let findings: Vec<(Option<Gate>, &Finding)> = report
        .findings()
        .map(|(gate, finding)| (Some(gate), finding))
        .chain(waivers)
        .collect();
    let mut listed = Vec::new();
    for (_, finding) in &findings {
        rules.entry(&finding.code).or_insert_with(|| {
            listed.push(rule(&finding.code));
            listed.len() - 1
        });
    }
    let results: Vec<Value> = findings
        .iter()
        .map(|(gate, finding)| result(*gate, finding, rules[&*finding.code]))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "stoke", "version": version, "semanticVersion": version, "rules": listed } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    match codes::find(code) {
        Some(known) => json!({
            "id": code,
            "shortDescription": { "text": known.what },
            "fullDescription": { "text": format!("{}. {}.", known.what, known.why) },
            "help": { "text": known.fix },
        }),
        None => json!({ "id": code }),
    }
}

fn result(gate: Option<Gate>, finding: &Finding, rule: usize) -> Value {
    let mut message = finding.message.clone();
    if let Some(fix) = &finding.fix {
        message = format!("{message}; {fix}");
    }
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": message },
        "properties": { "gate": gate.map_or("waivers", Gate::name), "cannotTell": finding.cannot_tell },
    });
    if !finding.file.is_empty() {
        let mut location = json!({ "artifactLocation": { "uri": uri(&finding.file) } });
        if finding.line > 0 {
            location["region"] = json!({ "startLine": finding.line, "startColumn": finding.column });
        }
        result["locations"] = json!([{ "physicalLocation": location }]);
        if !finding.path.is_empty() {
            result["locations"][0]["logicalLocations"] = json!([{ "fullyQualifiedName": finding.path }]);
        }
    }
    if let Some(waived) = &finding.waived {
        let justification = format!("{} ({}, until {})", waived.reason, waived.owner, waived.expires);
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": justification }]);
    }
    result
}

/// A path as a relative reference (RFC 3986): what is not unreserved is written in hex, slashes stay.
fn uri(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
