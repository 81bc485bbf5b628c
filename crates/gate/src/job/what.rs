//! What a file is, by its name and its content.

use std::path::PathBuf;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Severity, Source};
use stoke_model::manifest::{self, Document};

use super::{File, Kind, MOST_BYTES, Unread};
use crate::Gate;
use crate::text;

/// Complaints about text that is not YAML, or that no one meant as YAML.
const UNREAD: [&str; 3] = ["yaml-syntax", "bad-key", "unknown-tag"];
/// Complaints after which nothing more of a text is read.
const STOPS: [&str; 3] = ["yaml-syntax", "too-deep", "too-large"];
/// A file that is not held, by its beginning.
pub(super) fn large_file(name: &str, size: u64, beginning: &[u8]) -> File {
    // A character may be cut in two at the end.
    let text = text::decode(&beginning[..beginning.len().saturating_sub(4)]);
    let json = name.to_ascii_lowercase().ends_with(".json");
    // Data lie beside a job as JSON, too.
    let is_data = json && !text.as_ref().is_some_and(|found| looks_like_object(&found.text));
    let mut file = File {
        name: name.to_owned(),
        path: PathBuf::from(name),
        source: Source::new(name, ""),
        kind: if text.is_some() { Kind::Large } else { Kind::Binary },
        unread: Vec::new(),
    };
    if reader(name).is_some() && !is_data {
        let message = format!(
            "the file has {} MiB; more than {} are looked through for secrets only",
            size >> 20,
            MOST_BYTES >> 20
        );
        file.was_not_read(
            "file-unread",
            message,
            "split it, or move it out of the job's directory if it does not belong to the job",
        );
    }
    file
}

/// The gate that reads a file of a name, where its name tells.
pub(super) fn reader(name: &str) -> Option<Gate> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let extension = base.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" | "json" => Some(Gate::Manifest),
        "sql" | "hql" | "py" => Some(Gate::Sql),
        "conf" | "properties" if base.starts_with("spark") => Some(Gate::Conf),
        "txt" | "in" if base.starts_with("requirements") || base.starts_with("constraints") => Some(Gate::Dependencies),
        _ => None,
    }
}

/// The file of a name and its content.
#[must_use]
pub fn of_bytes(name: &str, bytes: &[u8]) -> File {
    let base = name.rsplit('/').next().unwrap_or(name);
    let extension = base
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    let archive = is_archive(name);
    let decoded = if archive { None } else { text::decode(bytes) };
    let mut file = File {
        name: name.to_owned(),
        path: PathBuf::from(name),
        source: Source::new(name, decoded.as_ref().map_or("", |found| &found.text)),
        kind: match archive {
            true => Kind::Archive,
            false => Kind::Binary,
        },
        unread: Vec::new(),
    };
    let Some(decoded) = decoded else {
        if !archive && reader(name).is_some() {
            let message = "this is not text, although its name says so: nothing in it was checked".to_owned();
            file.was_not_read("file-unread", message, "save it as text in UTF-8, or remove it");
        }
        return file;
    };
    file.kind = match extension.as_str() {
        "yaml" | "yml" | "json" => manifest(name, bytes, decoded.odd, &mut file),
        "sql" | "hql" => Kind::Sql,
        "py" => Kind::Python,
        "txt" | "in" if reader(name).is_some() => Kind::Requirements,
        "conf" | "properties" if reader(name).is_some() => Kind::Properties,
        _ => Kind::Text,
    };
    if let Some(at) = decoded.odd {
        encoding(&mut file, bytes, at, decoded.encoding);
    }
    file
}

/// What comes of an encoding that is not UTF-8, by who reads such a file.
fn encoding(file: &mut File, bytes: &[u8], at: usize, encoding: &str) {
    let (gate, code, severity, cannot_tell, message, fix) = match &file.kind {
        Kind::Python => {
            let declared = text::declared(bytes);
            if declared.as_deref().is_some_and(text::is_single_byte) {
                return;
            }
            match declared.filter(|declared| !declared.starts_with("utf")) {
                Some(declared) => (
                    Gate::Sql,
                    "file-unread",
                    Severity::Error,
                    true,
                    format!("the text is in {declared}, which is not read here"),
                    "save it as UTF-8",
                ),
                None => (
                    Gate::Sql,
                    "python-syntax",
                    Severity::Error,
                    false,
                    format!("Python does not read this: it is {encoding}, and no encoding is declared"),
                    "save it as UTF-8",
                ),
            }
        }
        // Spark opens both as UTF-8.
        Kind::Sql | Kind::Properties => (
            if matches!(file.kind, Kind::Sql) {
                Gate::Sql
            } else {
                Gate::Conf
            },
            "not-utf8",
            Severity::Warning,
            false,
            format!("this is {encoding}; Spark reads UTF-8, and other characters instead of these"),
            "save the file as UTF-8",
        ),
        _ => return,
    };
    file.unread.push(Unread {
        gate,
        code,
        severity,
        cannot_tell,
        place: file.source.place_at(before(bytes, at)),
        message,
        fix,
    });
}

/// Where a byte of a file stands in the text that is made of it: every byte became a character.
fn before(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().map(|byte| char::from(*byte).len_utf8()).sum()
}

pub(super) fn is_archive(name: &str) -> bool {
    [".jar", ".whl", ".zip", ".egg", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// True for an object of Kubernetes, however wrong.
pub(super) fn is_object(document: &Document) -> bool {
    !document.api_version.is_empty() && !document.kind.is_empty()
}

/// What a YAML or JSON file is.
fn manifest(name: &str, bytes: &[u8], odd: Option<usize>, file: &mut File) -> Kind {
    let source = Arc::clone(&file.source);
    let text = source.text();
    let (documents, mut complaints) = manifest::check(name, text);
    // Only objects must be UTF-8.
    if let Some(at) = odd.filter(|_| looks_like_object(text)) {
        let place = source.place_at(before(bytes, at));
        let message = "the text is not UTF-8 from here on";
        let complaint = Diagnostic::at(Severity::Error, "not-utf8", &source, place, "", message.to_owned());
        complaints.push(complaint.with_fix("save the file as UTF-8"));
    }
    let unread = complaints.iter().any(|complaint| UNREAD.contains(&&*complaint.code));
    // Templates of Helm and Jinja stand where YAML has no meaning for them, or in the directory where Helm looks for them; in a text they are just text.
    let chart = name.split('/').rev().skip(1).any(|directory| directory == "templates");
    if text.contains("{{") && (unread || chart) {
        return if looks_like_object(text) {
            Kind::Template
        } else {
            Kind::Text
        };
    }
    if is_contract(name, &documents) {
        return Kind::Contract;
    }
    let card = name == "Chart.yaml" || name.ends_with("/Chart.yaml");
    if card && !documents.iter().any(is_object) {
        return Kind::Text;
    }
    if documents.iter().any(is_object) || (looks_like_object(text) && stoke_diagnostics::has_errors(&complaints)) {
        return Kind::Manifest { documents, complaints };
    }
    let stopped = complaints
        .into_iter()
        .find(|complaint| complaint.is_error() && STOPS.contains(&&*complaint.code));
    if let Some(complaint) = stopped.filter(|_| is_meant(name, text, bytes)) {
        file.unread.push(Unread {
            gate: Gate::Manifest,
            code: "yaml-unread",
            severity: Severity::Error,
            cannot_tell: true,
            place: file.source.line_place(complaint.line),
            message: format!(
                "this cannot be read to its end, so what it is cannot be determined: {}",
                complaint.message
            ),
            fix: "fix it, or move it out of the job's directory if it does not belong to the job",
        });
    }
    Kind::Text
}

/// Whether a text that cannot be read as YAML or JSON was meant to be: of JSON there are dialects (records one after the other, comments) that are no
/// manifest.
fn is_meant(name: &str, text: &str, bytes: &[u8]) -> bool {
    if text.contains("{%") {
        return false;
    }
    if !name.to_ascii_lowercase().ends_with(".json") {
        return true;
    }
    let contract = name.split('/').rev().skip(1).any(|directory| directory == "contracts");
    let records = || {
        let mut all = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
        all.all(|record| record.is_ok())
    };
    (contract || text.contains("apiVersion") || text.contains("\"expectations\"")) && !records()
}

/// True for a data contract: one of the Open Data Contract Standard, a suite of Great Expectations, or a short one where contracts are kept.
fn is_contract(name: &str, documents: &[Document]) -> bool {
    let Some(first) = documents.first() else {
        return false;
    };
    let has = |key: &str| first.value.get(key).is_some();
    let kept = name.split('/').rev().skip(1).any(|directory| directory == "contracts")
        || [".contract.yaml", ".contract.yml"]
            .iter()
            .any(|end| name.ends_with(end));
    first.kind == "DataContract"
        || (has("expectations") && (has("name") || has("expectation_suite_name")))
        || (kept && (has("columns") || has("rows")))
}

/// True for a text in which someone began to write an object.
fn looks_like_object(text: &str) -> bool {
    let begins = |word: &str| {
        text.lines().any(|line| {
            let line = line.trim_start().trim_start_matches('"');
            line.strip_prefix(word)
                .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with(':'))
        })
    };
    begins("apiVersion") || begins("kind")
}
