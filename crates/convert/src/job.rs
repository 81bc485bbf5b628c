//! Jobs and CronJobs whose container calls `spark-submit`.
//!
//! In deploy mode client the Job's pod was the driver, so its pod template becomes the driver's, whole. In cluster mode it only submitted,
//! so what made that pod is not needed any more, and is named. A CronJob becomes a `ScheduledSparkApplication`.

mod pod;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Map, Value, json};
use stoke_model::annotations::{ACTIVE_DEADLINE, STARTING_DEADLINE};
use stoke_model::crd::schema_of;
use stoke_model::manifest::{Content, Document, Entry, Node, join};
use stoke_model::schema;

use crate::Options;
use crate::metadata;
use crate::report::Report;
use crate::target::Target;

/// What Kubernetes takes when a Job or CronJob says nothing.
const BACKOFF_LIMIT: i64 = 6;
const BACK_OFF_SECONDS: i64 = 10;
const SUCCESSFUL_KEPT: i64 = 3;
const FAILED_KEPT: i64 = 1;
const TIME_ZONE: &str = "Etc/UTC";

/// Converts one Job or CronJob; none when it is not a valid one or calls no `spark-submit`.
pub(crate) fn convert(document: &Document, options: &Options, report: &mut Report) -> Vec<Target> {
    let schema = match document.kind.as_str() {
        "CronJob" => schema_of::<CronJob>(),
        _ => schema_of::<Job>(),
    };
    let complaints = schema::lint(&document.source, &document.node, &schema);
    let unusable = complaints
        .iter()
        .any(|complaint| complaint.code != "unknown-field" && complaint.is_error());
    report.extend(complaints);
    let (job_path, job) = match document.kind.as_str() {
        "CronJob" => ("spec.jobTemplate.spec", document.node.lookup("spec.jobTemplate.spec")),
        _ => ("spec", document.node.get("spec")),
    };
    let Some(job) = job.filter(|_| !unusable) else {
        return Vec::new();
    };
    let Some(template) = job.get("template") else {
        return Vec::new();
    };
    let mut targets = pod::convert(template, &join(job_path, "template"), options, report);
    let Some(target) = targets.first_mut() else {
        return Vec::new();
    };
    let named = std::mem::take(&mut target.name);
    let (labels, namespace) = (std::mem::take(&mut target.labels), target.namespace.take());
    metadata::carry(document, target, report);
    target.namespace = target.namespace.take().or(namespace);
    for (key, value) in labels {
        target.labels.entry(key).or_insert(value);
    }
    if target.name.is_empty() {
        target.name = named;
    }
    if document.kind == "CronJob" {
        let spec = document.node.get("spec").map(Node::entries).unwrap_or_default();
        schedule(spec, target, report);
    }
    target.set("restartPolicy.type", "OnFailure");
    target.set("restartPolicy.onFailureRetries", BACKOFF_LIMIT);
    for entry in job.entries().iter().filter(|entry| !Report::is_empty(&entry.value)) {
        field(entry, job_path, target, report);
    }
    restart(target);
    targets
}

fn restart(target: &mut Target) {
    let retries = target
        .get("restartPolicy.onFailureRetries")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    if retries == 0 {
        target.set("restartPolicy", json!({"type": "Never"}));
        return;
    }
    target.set("restartPolicy.onFailureRetryInterval", BACK_OFF_SECONDS);
    target.set("restartPolicy.onSubmissionFailureRetries", retries);
    target.set("restartPolicy.onSubmissionFailureRetryInterval", BACK_OFF_SECONDS);
}

/// One field of a Job's spec.
fn field(entry: &Entry, job_path: &str, target: &mut Target, report: &mut Report) {
    let path = join(job_path, &entry.key);
    let place = entry.key_place;
    let number = match &entry.value.content {
        Content::Number(number) => number.as_i64(),
        _ => None,
    };
    match (entry.key.as_str(), number) {
        ("template", _) => {}
        ("backoffLimit", Some(limit)) => target.set("restartPolicy.onFailureRetries", limit),
        ("ttlSecondsAfterFinished", Some(seconds)) => target.set("timeToLiveSeconds", seconds),
        ("suspend", _) => target.set("suspend", entry.value.to_value()),
        ("activeDeadlineSeconds", Some(seconds)) => target.annotate(ACTIVE_DEADLINE, seconds.to_string()),
        ("parallelism" | "completions", Some(1)) => {}
        ("parallelism" | "completions", _) => report.lost(
            place,
            &path,
            "an application has one driver",
            "write one application for each, with names of their own",
        ),
        ("completionMode", _) if entry.value.as_str() == Some("NonIndexed") => {}
        ("selector" | "manualSelector" | "podReplacementPolicy" | "managedBy", _) => report.idle(
            place,
            &path,
            format!("`{}` configures the Job's controller", entry.key),
            "",
        ),
        _ => report.lost(
            place,
            &path,
            format!("`{}` has no counterpart", entry.key),
            "spec.restartPolicy says when an application runs again",
        ),
    }
}

/// The fields of a CronJob's spec.
fn schedule(entries: &[Entry], target: &mut Target, report: &mut Report) {
    let mut schedule = Map::new();
    for entry in entries.iter().filter(|entry| !Report::is_empty(&entry.value)) {
        let value = entry.value.to_value();
        match entry.key.as_str() {
            "schedule" | "timeZone" | "concurrencyPolicy" | "suspend" => {
                schedule.insert(entry.key.clone(), value);
            }
            "successfulJobsHistoryLimit" => {
                schedule.insert("successfulRunHistoryLimit".to_owned(), value);
            }
            "failedJobsHistoryLimit" => {
                schedule.insert("failedRunHistoryLimit".to_owned(), value);
            }
            "startingDeadlineSeconds" => target.annotate(STARTING_DEADLINE, value.to_string()),
            "jobTemplate" => {
                for inner in entry.value.entries().iter().filter(|inner| inner.key != "spec") {
                    job_metadata(inner, target, report);
                }
            }
            _ => {}
        }
    }
    if !schedule.contains_key("timeZone") {
        schedule.insert("timeZone".to_owned(), json!(TIME_ZONE));
        report.changed(
            target.place,
            "spec.timeZone",
            format!("the CronJob names no time zone and so has that of its cluster's controller, mostly UTC; the schedule says {TIME_ZONE}"),
            "change spec.timeZone when it is another",
        );
    }
    for (field, kept) in [
        ("successfulRunHistoryLimit", SUCCESSFUL_KEPT),
        ("failedRunHistoryLimit", FAILED_KEPT),
    ] {
        schedule.entry(field).or_insert_with(|| json!(kept));
    }
    target.schedule = Some(schedule);
}

/// `metadata` of a CronJob's template: a schedule has none, but its labels go to its runs.
fn job_metadata(entry: &Entry, target: &mut Target, report: &mut Report) {
    for part in entry.value.entries() {
        if part.key == "labels" {
            for label in part.value.entries() {
                if let Some(value) = label.value.as_str() {
                    target.labels.entry(label.key.clone()).or_insert_with(|| json!(value));
                }
            }
        } else if !Report::is_empty(&part.value) {
            report.lost(
                part.key_place,
                &format!("spec.jobTemplate.metadata.{}", part.key),
                format!("a schedule gives its runs labels, but no {}", part.key),
                "put what pods need into driver.annotations",
            );
        }
    }
}
