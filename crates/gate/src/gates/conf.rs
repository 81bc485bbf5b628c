//! Spark configuration: keys and values by the catalogue of the job's Spark version, pairs that contradict each other, and what cannot work on Kubernetes.
//!
//! Of a manifest the keys are linted by `model` already; here they get the gate they belong to. A properties file (`spark-defaults.conf`) is linted the
//! same way. The rules over the whole of a configuration are in [`configuration`](crate::configuration).

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::conf::{Catalogue, MOST_PAIRS, On, properties};
use stoke_model::manifest::{Step, parse_path};

use super::Looked;
use super::manifest::is_conf;
use crate::Settings;
use crate::configuration::{Conf, Pair, contradictions, of_document, other_products};
use crate::job::{File, Job, Kind};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let mut count = 0;
    for file in &job.files {
        let confs = match &file.kind {
            Kind::Manifest { documents, complaints } => {
                let of_conf = complaints.iter().filter(|complaint| is_conf(&complaint.code));
                let of_conf = of_conf.filter(|complaint| !is_own(job, &complaint.code, &complaint.path));
                findings.extend(of_conf.cloned());
                documents.iter().filter_map(of_document).collect()
            }
            Kind::Properties => vec![of_properties(file, job, settings, &mut findings)],
            _ => Vec::new(),
        };
        count += confs.len();
        for conf in confs {
            findings.extend(contradictions(&conf));
            findings.extend(other_products(&conf));
        }
    }
    Looked::at(count, "configuration", findings)
}

/// A properties file, linted by the catalogue of the job's Spark version.
fn of_properties(file: &File, job: &Job, settings: &Settings, findings: &mut Vec<Diagnostic>) -> Conf {
    let source = Arc::clone(&file.source);
    let mut conf = Conf {
        source: Arc::clone(&source),
        path: String::new(),
        pairs: BTreeMap::new(),
        mounts: Vec::new(),
        has_gpu: false,
        artifacts: Vec::new(),
        official: false,
        version: settings.spark_versions(job).first().map(ToString::to_string),
    };
    let pairs = match properties::read_pairs(source.text()) {
        Ok(pairs) => pairs,
        Err(cause) => {
            let finding = Diagnostic::of_file(Severity::Error, "conf-properties", &file.name, cause.to_string());
            findings.push(finding.with_fix("write one `key value` on a line"));
            return conf;
        }
    };
    let version = conf.version.as_deref();
    let catalogue = version.map_or_else(Catalogue::newest, Catalogue::for_version);
    if pairs.len() > MOST_PAIRS {
        let message = format!(
            "the file has {} pairs; the first {MOST_PAIRS} were looked at",
            pairs.len()
        );
        let finding = Diagnostic::cannot_tell("too-much", &file.name, message);
        findings.push(finding.with_fix("remove keys that Spark does not have"));
    }
    for pair in pairs.into_iter().take(MOST_PAIRS) {
        let place = source.line_place(pair.line);
        for said in catalogue.lint([(pair.key.as_str(), pair.value.as_str())]) {
            let about = match said.on {
                On::Key => pair.key.clone(),
                On::Value => format!("{}={}", pair.key, pair.value),
            };
            findings.push(said.diagnostic(&source, place, &pair.key, &about));
        }
        let path = pair.key.clone();
        let value = pair.value;
        conf.pairs.insert(pair.key, Pair { value, place, path });
    }
    conf
}

/// Whether a key that Spark does not know is one that a program of the job asks for itself.
fn is_own(job: &Job, code: &str, path: &str) -> bool {
    if code != "conf-unknown-key" && code != "conf-unknown-namespace" {
        return false;
    }
    let Some(Step::Key(key)) = parse_path(path).pop() else {
        return false;
    };
    let quoted = [format!("\"{key}\""), format!("'{key}'")];
    let is_program = |file: &&File| {
        let ends = [".scala", ".java", ".R", ".r", ".kt"];
        matches!(file.kind, Kind::Python) || ends.iter().any(|end| file.name.ends_with(end))
    };
    let asks = |text: &str, at: usize| {
        let call = text[..at].trim_end().strip_suffix('(').map_or("", str::trim_end);
        let methods = [
            ".get",
            ".getOption",
            ".getInt",
            ".getLong",
            ".getBoolean",
            ".getDouble",
            ".contains",
        ];
        methods.iter().any(|method| call.ends_with(method))
    };
    // A program that sets a misspelt key asks for nothing.
    job.files.iter().filter(is_program).any(|file| {
        let text = file.source.text();
        let places = quoted.iter().flat_map(|quoted| text.match_indices(quoted.as_str()));
        places.into_iter().any(|(at, _)| asks(text, at))
    })
}
