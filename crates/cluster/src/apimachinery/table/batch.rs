//! Jobs and cron jobs.

use jiff::Timestamp;
use serde_json::Value;

use super::pods::{containers, images};
use super::{AGE, Column, NAME, column, count, label_selector, list, number, or, plain, text, wide};
use crate::apimachinery::cells::{age, between};

pub(super) const JOBS: &[Column] = &[
    NAME,
    text("Status", |job, _| state(job).into()),
    text("Completions", |job, _| completions(job).into()),
    text("Duration", duration),
    AGE,
    wide("Containers", |job, _| containers(&job["spec"]["template"])),
    wide("Images", |job, _| images(&job["spec"]["template"])),
    wide("Selector", |job, _| label_selector(&job["spec"]["selector"])),
];

pub(super) const CRON_JOBS: &[Column] = &[
    NAME,
    text("Schedule", |cron, _| plain(&cron["spec"]["schedule"]).into()),
    text("Timezone", |cron, _| or(&cron["spec"]["timeZone"], "<none>")),
    column("Suspend", "boolean", 0, |cron, _| {
        match cron["spec"]["suspend"].as_bool() {
            Some(true) => "True".into(),
            Some(false) => "False".into(),
            None => "<unset>".into(),
        }
    }),
    number("Active", |cron, _| list(&cron["status"]["active"]).len().into()),
    text("Last Schedule", |cron, now| match &cron["status"]["lastScheduleTime"] {
        Value::Null => "<none>".into(),
        time => age(time, now).into(),
    }),
    AGE,
    wide("Containers", |cron, _| {
        containers(&cron["spec"]["jobTemplate"]["spec"]["template"])
    }),
    wide("Images", |cron, _| {
        images(&cron["spec"]["jobTemplate"]["spec"]["template"])
    }),
    wide("Selector", |cron, _| {
        label_selector(&cron["spec"]["jobTemplate"]["spec"]["selector"])
    }),
];

fn state(job: &Value) -> &'static str {
    let holds = |kind: &str| {
        let mut conditions = list(&job["status"]["conditions"]).iter();
        conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if !job["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if holds("Suspended") {
        "Suspended"
    } else if holds("FailureTarget") {
        "FailureTarget"
    } else if holds("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = count(&job["status"]["succeeded"]);
    match (job["spec"]["completions"].as_i64(), job["spec"]["parallelism"].as_i64()) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, Some(parallel)) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        _ => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> Value {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let Some(start) = time(&job["status"]["startTime"]) else {
        return "".into();
    };
    let ended = time(&job["status"]["completionTime"]).or_else(|| {
        let mut conditions = list(&job["status"]["conditions"]).iter();
        let failed = conditions.find(|condition| condition["type"] == "Failed" && condition["status"] == "True");
        failed.and_then(|condition| time(&condition["lastTransitionTime"]))
    });
    between(start, ended.unwrap_or(now)).into()
}
