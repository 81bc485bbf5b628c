//! Room `convert`: what others run Spark with becomes a `SparkApplication` of `sparkoperator.k8s.io/v1beta2`.
//!
//! In: the text of a manifest (Apache's `spark.apache.org` `SparkApplication`, a Job or CronJob that calls `spark-submit`), a shell script, or
//! the words of one command line. Out: [`Converted`]: manifests, and a complaint for every part of the source that they do not carry as it
//! was: a warning when it is carried otherwise or means nothing any more, an error when it is lost. Every part is either in the
//! manifests or complained about; unknown keys are errors. What comes out was read by our own manifest reader.
//! Never: I/O (files that a command line names come through [`Files`]), the running of anything, a guess without a word about it.
//! - [`apache`]: fields of Apache's operator
//! - [`shell`], [`command`]: scripts and command lines
//! - [`job`]: Jobs and CronJobs
//! - [`helm`]: values of Helm charts, which become a `SparkConnect`, or a `platform.yaml` ([`platform`])
//! - [`configuration`]: Spark's keys to fields, the same for all of them
//! - [`target`], [`report`]: what becomes of it, and what is said about it
//!
//! ```
//! let words = ["spark-submit", "--deploy-mode", "cluster", "--name", "nightly", "--conf", "spark.executor.instances=4",
//!     "--conf", "spark.kubernetes.container.image=apache/spark:4.1.4", "local:///opt/app/nightly.py"];
//! let words = words.map(str::to_owned);
//! let converted = stoke_convert::command_line(&words, &stoke_submit::argv::MemoryFiles::default(), &stoke_convert::Options::default());
//! assert!(!converted.is_partial(), "{:?}", converted.complaints);
//! assert_eq!(converted.documents[0]["spec"]["executor"]["instances"], 4);
//! ```

mod apache;
pub mod codes;
mod command;
mod configuration;
mod helm;
mod job;
mod metadata;
mod report;
mod shell;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity, Source};
use stoke_model::manifest;
use stoke_submit::SparkVersion;
use stoke_submit::argv::Files;

pub use helm::platform::{Platform, platform};
use report::Report;
use target::Target;

/// What came of a source.
#[derive(Debug, Clone, Default)]
pub struct Converted {
    /// The manifests, in the order of the source.
    pub documents: Vec<Value>,
    /// What they do not carry as it was, and what is wrong with the source; see the room.
    pub complaints: Vec<Diagnostic>,
}

/// What the source does not say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the application.
    pub name: Option<String>,
    /// Namespace of the application.
    pub namespace: Option<String>,
    /// Version of Spark, where the image's tag does not tell.
    pub spark_version: Option<SparkVersion>,
    /// Values of environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Converts every document of a manifest, or a file of Helm values. Documents of other kinds are errors: nothing is passed over.
#[must_use]
pub fn manifest(name: &str, text: &str, options: &Options) -> Converted {
    if helm::is_values(name, text) {
        let (documents, mut complaints) = helm::convert(name, text, options);
        complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
        return Converted { documents, complaints };
    }
    let (documents, mut complaints) = manifest::check(name, text);
    // Where our own reader says that it is another operator's, the conversion begins.
    complaints.retain(|complaint| complaint.code != "wrong-api-version");
    let mut converted = Converted {
        documents: Vec::new(),
        complaints,
    };
    if stoke_diagnostics::has_errors(&converted.complaints) {
        return converted;
    }
    for document in documents {
        let mut report = Report::new(&document.source);
        let group = document.api_version.split('/').next().unwrap_or_default();
        let targets = match (group, document.kind.as_str()) {
            ("spark.apache.org", "SparkApplication") => apache::convert(&document, &mut report),
            ("batch", "Job" | "CronJob") => job::convert(&document, options, &mut report),
            _ => {
                unknown_kind(&document, &mut report);
                Vec::new()
            }
        };
        converted.finish(targets, report, options);
    }
    converted
}

/// Converts every `spark-submit` of a shell script.
#[must_use]
pub fn script(name: &str, text: &str, files: &dyn Files, options: &Options) -> Converted {
    let source = Source::new(name, text);
    let mut report = Report::new(&source);
    let targets = command::convert(&source, files, options, &mut report);
    let mut converted = Converted::default();
    converted.finish(targets, report, options);
    converted
}

/// Converts one command line, as a shell has split it.
#[must_use]
pub fn command_line(words: &[String], files: &dyn Files, options: &Options) -> Converted {
    let begins_with_program = words
        .first()
        .is_some_and(|first| stoke_submit::argv::parse::is_program(first));
    let program = (!begins_with_program).then(|| "spark-submit".to_owned());
    let quoted: Vec<String> = program
        .into_iter()
        .chain(words.iter().map(|word| shell::quote(word)))
        .collect();
    script("<command line>", &quoted.join(" "), files, options)
}

fn unknown_kind(document: &manifest::Document, report: &mut Report) {
    let message = format!("a {} of {} is not converted", document.kind, document.api_version);
    let fix = match document.kind.as_str() {
        "SparkApplication" | "ScheduledSparkApplication" | "SparkConnect" if document.is_ours() => {
            "it needs no conversion: run it as it is"
        }
        "SparkCluster" => "a standalone cluster has no counterpart: its applications run as SparkApplications",
        "ConfigMap" | "Secret" | "ServiceAccount" | "Role" | "RoleBinding" | "PersistentVolumeClaim" => {
            "apply it as it is, beside the converted manifest; take it out of this file"
        }
        _ => "convert SparkApplications of spark.apache.org, Jobs, CronJobs and scripts; take this one out of the file",
    };
    report.lost(document.node.place_of("kind"), "kind", message, fix);
}

impl Converted {
    /// Completes the targets and has our own manifest reader look at them.
    fn finish(&mut self, targets: Vec<Target>, mut report: Report, options: &Options) {
        for mut target in targets {
            if let Some(name) = &options.name {
                target.name.clone_from(name);
            }
            if let Some(namespace) = &options.namespace {
                target.namespace = Some(namespace.clone());
            }
            target.settle_version(options.spark_version.as_ref(), &mut report);
            let place = target.place;
            let settings = std::mem::take(&mut target.places);
            let documents = target.finish();
            for document in &documents {
                report.read_back(document, place, &settings);
            }
            self.documents.extend(documents);
        }
        self.complaints.extend(report.into_complaints());
        self.complaints
            .sort_by_key(|complaint| (complaint.line, complaint.column));
    }

    /// True when something of the source is in none of the manifests.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.complaints
            .iter()
            .any(|complaint| complaint.severity == Severity::Error)
    }
}
