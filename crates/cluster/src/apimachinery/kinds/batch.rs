//! Jobs and CronJobs: what may be left out, what is wrong, what may not change.

use serde_json::{Value, json};
use stoke_model::cron::Schedule;

use super::job_policies::{check_failure_policy, check_success_rule, told_policy};
use super::workload_validation::{at_least_zero, check_template, one_of};
use super::workloads::default_template;
use super::{items_mut, schedule, set_missing, sorted, told_selector};
use crate::apimachinery::meta::write_empty;
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::FieldError;
use crate::apimachinery::validation::words;
use crate::store::fields_of;

/// Labels of a Job's pods that hold its UID, new and legacy.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
/// Labels of a Job's pods that hold its name, new and legacy.
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];
/// Longest name of a CronJob: its jobs' names are eleven characters longer.
const LONGEST_CRON_NAME: usize = 52;

/// Fills what a Job may leave out.
pub(super) fn default_job(job: &mut Value) {
    if job["spec"].is_object() {
        default_job_spec(&mut job["spec"]);
    }
    // Those of a new Job come when its selector is made.
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    let own = job["metadata"]["labels"].as_object();
    if own.is_none_or(serde_json::Map::is_empty) && !labels[UID_LABELS[0]].is_null() {
        job["metadata"]["labels"] = labels;
    }
}

fn default_job_spec(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        set_missing(spec, "completions", || 1.into());
    }
    set_missing(spec, "parallelism", || 1.into());
    let limit = if spec["backoffLimitPerIndex"].is_null() {
        6
    } else {
        i32::MAX
    };
    set_missing(spec, "backoffLimit", || limit.into());
    set_missing(spec, "completionMode", || "NonIndexed".into());
    set_missing(spec, "suspend", || false.into());
    let policy = if spec["podFailurePolicy"].is_object() {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    set_missing(spec, "podReplacementPolicy", || policy.into());
    if spec["podFailurePolicy"].is_object() {
        write_empty(&mut spec["podFailurePolicy"], "rules");
    }
    default_patterns(spec);
    default_template(spec);
}

/// Fills what a CronJob may leave out.
pub(super) fn default_cron_job(cron: &mut Value) {
    let spec = &mut cron["spec"];
    if !spec.is_object() {
        return;
    }
    set_missing(spec, "concurrencyPolicy", || "Allow".into());
    set_missing(spec, "suspend", || false.into());
    set_missing(spec, "successfulJobsHistoryLimit", || 3.into());
    set_missing(spec, "failedJobsHistoryLimit", || 1.into());
    // A template is not a Job yet: how its pods are made complete, the rest is left to the Jobs made of it.
    if spec["jobTemplate"].is_object() {
        set_missing(&mut spec["jobTemplate"], "metadata", || json!({}));
    }
    let template = &mut spec["jobTemplate"]["spec"];
    if template.is_object() {
        if template["template"].is_object() {
            set_missing(&mut template["template"], "metadata", || json!({}));
        }
        default_patterns(template);
        default_template(template);
    }
}

fn default_patterns(spec: &mut Value) {
    for rule in items_mut(spec, "/podFailurePolicy/rules") {
        for pattern in items_mut(rule, "/onPodConditions") {
            if pattern["status"] == "" {
                pattern["status"] = "True".into();
            }
            set_missing(pattern, "status", || "True".into());
        }
    }
}

/// Gives a new Job the selector and the labels by which it knows its pods.
pub(super) fn generate_selector(job: &mut Value) {
    let name = Value::from(job["metadata"]["name"].as_str().unwrap_or_default());
    let uid = job["metadata"]["uid"].clone();
    let spec = &mut job["spec"];
    if spec["manualSelector"] == true {
        return;
    }
    let labels = &mut spec["template"]["metadata"]["labels"];
    for label in NAME_LABELS {
        labels[label] = name.clone();
    }
    for label in UID_LABELS {
        labels[label] = uid.clone();
    }
    spec["selector"]["matchLabels"][UID_LABELS[0]] = uid;
    set_missing(spec, "manualSelector", || false.into());
    let labels = spec["template"]["metadata"]["labels"].clone();
    if job["metadata"]["labels"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        job["metadata"]["labels"] = labels;
    }
}

/// Complaints about a Job.
pub(super) fn validate_job(job: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &job["spec"];
    check_pod_names(job, &mut errors);
    if spec["selector"].is_null() {
        errors.push(FieldError::required("spec.selector", ""));
    }
    let selects = LabelSelector::from_selector(&spec["selector"]).matches(&fields_of(&spec["template"]));
    if spec["selector"].is_null() || !selects {
        let labels = sorted(&spec["template"]["metadata"]["labels"]);
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &labels, detail));
    }
    if spec["manualSelector"] != true {
        check_generated(job, &mut errors);
    }
    check_job_spec(spec, "spec", &mut errors);
    errors
}

/// The selector of a Job and the labels of its pods, where the server has made them.
fn check_generated(job: &Value, errors: &mut Vec<FieldError>) {
    let (spec, uid) = (&job["spec"], &job["metadata"]["uid"]);
    let labels = UID_LABELS.map(|label| (label, uid));
    for (label, value) in labels
        .into_iter()
        .chain(NAME_LABELS.map(|label| (label, &job["metadata"]["name"])))
    {
        let path = format!("spec.template.metadata.labels[{label}]");
        let detail = format!("must be '{}'", value.as_str().unwrap_or_default());
        match &spec["template"]["metadata"]["labels"][label] {
            Value::Null => errors.push(FieldError::required(&path, &detail)),
            found if found.as_str() != Some(value.as_str().unwrap_or_default()) => {
                errors.push(FieldError::invalid(&path, found, &detail))
            }
            _ => {}
        }
    }
    let generated = |label: &str| spec["selector"] == json!({"matchLabels": {label: uid}});
    if !UID_LABELS.into_iter().any(generated) {
        let told = told_selector(&spec["selector"]);
        errors.push(FieldError::invalid(
            "spec.selector",
            &told,
            "`selector` not auto-generated",
        ));
    }
}

/// The pods of an indexed Job have its name and their index for a host name.
fn check_pod_names(job: &Value, errors: &mut Vec<FieldError>) {
    let spec = &job["spec"];
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let last = spec["completions"].as_i64().unwrap_or(0) - 1;
    if spec["completionMode"] != "Indexed" || last < 0 {
        return;
    }
    let host = format!("{name}-{last}");
    if !words::label(&host).is_empty() {
        let detail = format!("will not able to create pod with invalid DNS label: {host}");
        errors.push(FieldError::invalid("metadata.name", &name.into(), &detail));
    }
}

fn check_job_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let numbers = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "backoffLimitPerIndex",
        "ttlSecondsAfterFinished",
        "maxFailedIndexes",
    ];
    at_least_zero(spec, &numbers, path, errors);
    let at = |field: &str| format!("{path}.{field}");
    one_of(
        &spec["completionMode"],
        &at("completionMode"),
        &["NonIndexed", "Indexed"],
        errors,
    );
    let indexed = spec["completionMode"] == "Indexed";
    if indexed {
        if spec["completions"].is_null() {
            errors.push(FieldError::required(
                &at("completions"),
                "when completion mode is Indexed",
            ));
        }
        if spec["parallelism"].as_i64().is_some_and(|number| number > 100_000) {
            let detail = "must be less than or equal to 100000 when completion mode is Indexed";
            errors.push(FieldError::invalid(&at("parallelism"), &spec["parallelism"], detail));
        }
    } else {
        // A mode that is none is not held to be the other one, but for the success policy.
        let plain = spec["completionMode"] == "NonIndexed";
        for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
            if !spec[field].is_null() && (plain || field == "successPolicy") {
                let detail = "requires indexed completion mode";
                errors.push(FieldError::invalid(&at(field), &told_policy(&spec[field]), detail));
            }
        }
    }
    if spec["successPolicy"].is_object() && spec["successPolicy"]["rules"].as_array().is_none_or(Vec::is_empty) {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(&at("successPolicy.rules"), detail));
    }
    let most = spec["completions"].as_i64().unwrap_or(i64::MAX);
    if spec["maxFailedIndexes"].as_i64().is_some_and(|count| count > most) {
        let detail = "must be less than or equal to completions";
        errors.push(FieldError::invalid(
            &at("maxFailedIndexes"),
            &spec["maxFailedIndexes"],
            detail,
        ));
    }
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        errors.push(FieldError::required(
            &at("backoffLimitPerIndex"),
            "when maxFailedIndexes is specified",
        ));
    }
    let replacement = &spec["podReplacementPolicy"];
    if spec["podFailurePolicy"].is_object() {
        one_of(replacement, &at("podReplacementPolicy"), &["Failed"], errors);
        check_failure_policy(spec, path, errors);
    } else {
        one_of(
            replacement,
            &at("podReplacementPolicy"),
            &["Failed", "TerminatingOrFailed"],
            errors,
        );
    }
    for (index, rule) in spec["successPolicy"]["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let place = format!("{path}.successPolicy.rules[{index}]");
        if rule["succeededCount"].is_null() && rule["succeededIndexes"].is_null() {
            errors.push(FieldError::required(
                &place,
                "at least one of succeededCount or succeededIndexes must be specified",
            ));
        }
        check_success_rule(rule, spec, &place, errors);
    }
    if spec["managedBy"].as_str().is_some_and(|name| !name.contains('/')) {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(&at("managedBy"), &spec["managedBy"], detail));
    }
    check_template(spec, &at("template"), &["OnFailure", "Never"], errors);
}

/// Complaints about a change of a Job.
pub(super) fn validate_job_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (before, after) = (&old["spec"], &new["spec"]);
    let fields = [
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ];
    for field in fields {
        if before[field] != after[field] {
            let told = match field {
                "podFailurePolicy" | "successPolicy" => told_policy(&after[field]),
                _ => after[field].clone(),
            };
            errors.push(FieldError::invalid(
                &format!("spec.{field}"),
                &told,
                "field is immutable",
            ));
        }
    }
    if before["completions"] != after["completions"] {
        let elastic = before["completionMode"] == "Indexed" && after["completions"] == after["parallelism"];
        if before["completionMode"] != "Indexed" {
            errors.push(FieldError::invalid(
                "spec.completions",
                &after["completions"],
                "field is immutable",
            ));
        } else if !elastic {
            let detail = format!("can only be modified in tandem with {}", "spec.parallelism");
            errors.push(FieldError::invalid("spec.completions", &after["completions"], &detail));
        }
    }
    // Where its pods may run can still change while a suspended Job has never started.
    let movable = before["suspend"] == true && old["status"]["startTime"].is_null();
    let template = |spec: &Value| {
        let mut template = spec["template"].clone();
        if movable {
            for field in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
                template["spec"]
                    .as_object_mut()
                    .map(|fields| fields.shift_remove(field));
            }
            for field in ["labels", "annotations"] {
                template["metadata"]
                    .as_object_mut()
                    .map(|fields| fields.shift_remove(field));
            }
            let metadata = template["metadata"].as_object();
            if metadata.is_none_or(|fields| fields.values().all(Value::is_null)) {
                template.as_object_mut().map(|fields| fields.shift_remove("metadata"));
            }
        }
        template
    };
    if template(before) != template(after) {
        errors.push(FieldError::invalid(
            "spec.template",
            &after["template"],
            "field is immutable",
        ));
    }
    errors
}

/// Whether there is a time zone of this name, written as it is.
fn is_time_zone(name: &str) -> bool {
    let zone = jiff::tz::TimeZone::get(name);
    zone.is_ok_and(|zone| zone.iana_name().is_none_or(|known| known == name))
        && Schedule::parse("0 0 * * *", name).is_ok()
}

/// Complaints about a CronJob.
pub(super) fn validate_cron_job(cron: &Value) -> Vec<FieldError> {
    let spec = &cron["spec"];
    let mut errors = Vec::new();
    let schedule = spec["schedule"].as_str().unwrap_or_default();
    let zone = spec["timeZone"].as_str();
    if schedule.is_empty() {
        errors.push(FieldError::required("spec.schedule", ""));
    } else if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid("spec.schedule", &spec["schedule"], detail));
    } else if let Err(error) = Schedule::parse(schedule, "UTC") {
        let why = schedule::complaint(schedule).unwrap_or(error.reason);
        errors.push(FieldError::invalid("spec.schedule", &spec["schedule"], &why));
    }
    match zone {
        Some("") => {
            let detail = "timeZone must be nil or non-empty string";
            errors.push(FieldError::invalid("spec.timeZone", &spec["timeZone"], detail));
        }
        Some(local) if local.eq_ignore_ascii_case("local") => {
            let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            errors.push(FieldError::invalid("spec.timeZone", &spec["timeZone"], detail));
            if local != "Local" {
                let detail = format!("unknown time zone {local}");
                errors.push(FieldError::invalid("spec.timeZone", &spec["timeZone"], &detail));
            }
        }
        Some(name) if !is_time_zone(name) => {
            let detail = format!("unknown time zone {name}");
            errors.push(FieldError::invalid("spec.timeZone", &spec["timeZone"], &detail));
        }
        _ => {}
    }
    let numbers = [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ];
    at_least_zero(spec, &numbers, "spec", &mut errors);
    let policies = ["Allow", "Forbid", "Replace"];
    one_of(
        &spec["concurrencyPolicy"],
        "spec.concurrencyPolicy",
        &policies,
        &mut errors,
    );
    let name = cron["metadata"]["name"].as_str().unwrap_or_default();
    if name.len() > LONGEST_CRON_NAME {
        let detail = "must be no more than 52 characters";
        errors.push(FieldError::invalid("metadata.name", &cron["metadata"]["name"], detail));
    }
    let template = &spec["jobTemplate"]["spec"];
    if template["manualSelector"] == true {
        let allowed = [json!("nil"), json!("false")];
        errors.push(FieldError::not_supported(
            "spec.jobTemplate.spec.manualSelector",
            &json!(true),
            &allowed,
        ));
    }
    if !template["selector"].is_null() {
        let detail = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(
            "spec.jobTemplate.spec.selector",
            &template["selector"],
            detail,
        ));
    }
    check_job_spec(template, "spec.jobTemplate.spec", &mut errors);
    errors
}
