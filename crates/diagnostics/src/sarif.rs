//! SARIF 2.1.0, which code hosts show beside the lines (OASIS, sarif-v2.1.0).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::codes::Registry;
use super::diagnostic::{Diagnostic, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A diagnostic with what a report knows beside it.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    pub diagnostic: &'a Diagnostic,
    /// Why it is let pass, when it is.
    pub suppressed: Option<String>,
    /// Properties of the result, beside `cannotTell`.
    pub properties: Vec<(&'static str, Value)>,
}

/// A log of one run of `stoke` in a version. What a code means is looked up in the registry.
#[must_use]
pub fn sarif(items: &[Item<'_>], registry: &Registry, version: &str) -> Value {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    let mut listed = Vec::new();
    for item in items {
        let code = &item.diagnostic.code;
        rules.entry(code).or_insert_with(|| {
            listed.push(rule(item.diagnostic, registry));
            listed.len() - 1
        });
    }
    let results: Vec<Value> = items
        .iter()
        .map(|item| result(item, rules[&*item.diagnostic.code]))
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

fn rule(diagnostic: &Diagnostic, registry: &Registry) -> Value {
    let code = &diagnostic.code;
    match registry.find(code) {
        Some(known) => json!({
            "id": code,
            "shortDescription": { "text": known.what },
            "fullDescription": { "text": format!("{}. {}.", known.what, known.why) },
            "help": { "text": known.fix },
        }),
        None => json!({ "id": code }),
    }
}

fn result(item: &Item<'_>, rule: usize) -> Value {
    let found = item.diagnostic;
    let mut message = found.message.clone();
    if let Some(fix) = &found.fix {
        message = format!("{message}; {}", fix.text);
    }
    let level = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    };
    let mut result = json!({
        "ruleId": found.code,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": message },
        "properties": {},
    });
    for (name, value) in &item.properties {
        result["properties"][*name] = value.clone();
    }
    result["properties"]["cannotTell"] = found.cannot_tell.into();
    if !found.file.is_empty() {
        let mut location = json!({ "artifactLocation": { "uri": uri(&found.file) } });
        if found.line > 0 {
            location["region"] = json!({ "startLine": found.line, "startColumn": found.column });
            if found.end_line > 0 {
                location["region"]["endLine"] = found.end_line.into();
                location["region"]["endColumn"] = found.end_column.into();
            }
        }
        result["locations"] = json!([{ "physicalLocation": location }]);
        if !found.path.is_empty() {
            result["locations"][0]["logicalLocations"] = json!([{ "fullyQualifiedName": found.path }]);
        }
    }
    if let Some(why) = &item.suppressed {
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": why }]);
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
