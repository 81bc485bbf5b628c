//! What a CronJob does next: a pure function of the CronJob, its Jobs and the time.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_model::cron::Schedule;

use crate::controllers::facts::{Condition, Meta, nullable};

/// Missed times beyond this are reported, and the last of them is run.
const MANY_MISSED: usize = 100;

/// A CronJob.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cron {
    pub metadata: Meta,
    pub spec: CronSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: CronStatus,
}

/// What is asked of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CronSpec {
    pub schedule: String,
    pub time_zone: Option<String>,
    pub concurrency_policy: Option<String>,
    pub starting_deadline_seconds: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    pub successful_jobs_history_limit: Option<i64>,
    pub failed_jobs_history_limit: Option<i64>,
}

/// How it was at the last look; written back whole.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CronStatus {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<Value>,
    pub last_schedule_time: Option<Timestamp>,
    pub last_successful_time: Option<Timestamp>,
}

/// A Job of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Child {
    pub metadata: Meta,
    #[serde(deserialize_with = "nullable")]
    pub status: ChildStatus,
}

/// How a Job is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ChildStatus {
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    pub start_time: Option<Timestamp>,
    pub completion_time: Option<Timestamp>,
}

impl Child {
    /// The condition that ended it.
    fn end(&self) -> Option<&'static str> {
        let conditions = &self.status.conditions;
        ["Complete", "Failed"]
            .into_iter()
            .find(|kind| Condition::holds(conditions, kind))
    }
}

/// A run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// When it was due.
    pub time: Timestamp,
    /// Name of its Job.
    pub name: String,
    /// The time in the schedule's zone, RFC 3339.
    pub written: String,
}

/// What follows from the facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// The run to start.
    pub start: Option<Due>,
    /// Jobs to delete: name, UID.
    pub delete: Vec<(String, String)>,
    /// The status before the start.
    pub status: CronStatus,
    /// Events: warning, reason, message.
    pub events: Vec<(bool, &'static str, String)>,
    /// Time until the next run.
    pub later: Option<SignedDuration>,
}

pub(super) fn decide(cron: &Cron, children: &[Child], now: Timestamp) -> Decision {
    let mut decision = Decision {
        status: cron.status.clone(),
        ..Decision::default()
    };
    look_at_children(cron, children, &mut decision);
    history(cron, children, &mut decision);
    if cron.metadata.deleting() || cron.spec.suspend {
        return decision;
    }
    let zone = cron.spec.time_zone.as_deref().unwrap_or("UTC");
    let schedule = match Schedule::parse(&cron.spec.schedule, zone) {
        Ok(schedule) => schedule,
        Err(error) => {
            let message = format!("unparseable schedule: {:?} : {}", cron.spec.schedule, error.reason);
            decision.events.push((true, "UnparseableSchedule", message));
            return decision;
        }
    };
    let next = schedule
        .after(now)
        .map(|next| next.duration_since(now) + SignedDuration::from_millis(20));
    decision.later = next;
    let Some(time) = due(cron, &schedule, now, &mut decision) else {
        return decision;
    };
    start(cron, children, time, zone, now, &mut decision);
    decision
}

/// The most recent time that has passed and was not run.
fn due(cron: &Cron, schedule: &Schedule, now: Timestamp, decision: &mut Decision) -> Option<Timestamp> {
    let mut earliest = cron.status.last_schedule_time.or(cron.metadata.creation_timestamp)?;
    if let Some(seconds) = cron.spec.starting_deadline_seconds {
        let limit = now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(earliest);
        earliest = earliest.max(limit);
    }
    let first = schedule.after(earliest).filter(|first| *first <= now)?;
    let (latest, missed) = schedule.latest(first, now);
    if missed >= MANY_MISSED {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        decision.events.push((true, "TooManyMissedTimes", message.into()));
    }
    Some(latest)
}

fn start(cron: &Cron, children: &[Child], time: Timestamp, zone: &str, now: Timestamp, decision: &mut Decision) {
    let late = cron
        .spec
        .starting_deadline_seconds
        .is_some_and(|seconds| now.duration_since(time) > SignedDuration::from_secs(seconds));
    let written = TimeZone::get(zone)
        .map(|zone| time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
        .map(|text| text.replace("+00:00", "Z"))
        .unwrap_or_else(|_| time.to_string());
    if late {
        let message = format!("Missed scheduled time to start a job: {written}");
        decision.events.push((true, "MissSchedule", message));
        return;
    }
    let name = format!("{}-{}", cron.metadata.name, time.as_second() / 60);
    if cron.status.last_schedule_time == Some(time) {
        return;
    }
    let running: Vec<&Child> = children.iter().filter(|child| child.end().is_none()).collect();
    match cron.spec.concurrency_policy.as_deref() {
        Some("Forbid") if running.iter().any(|child| child.metadata.name != name) => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            decision.events.push((false, "JobAlreadyActive", message.into()));
            return;
        }
        Some("Replace") => {
            for child in running.iter().filter(|child| child.metadata.name != name) {
                decision
                    .delete
                    .push((child.metadata.name.clone(), child.metadata.uid.clone()));
                decision
                    .status
                    .active
                    .retain(|known| known["uid"] != child.metadata.uid);
            }
        }
        _ => {}
    }
    decision.start = Some(Due { time, name, written });
}

/// Jobs that ended are no longer active; the last success is noted.
fn look_at_children(cron: &Cron, children: &[Child], decision: &mut Decision) {
    let status = &mut decision.status;
    for known in &cron.status.active {
        let child = children.iter().find(|child| known["uid"] == child.metadata.uid);
        let name = known["name"].as_str().unwrap_or_default();
        match child.map(Child::end) {
            None => decision
                .events
                .push((false, "MissingJob", format!("Active job went missing: {name}"))),
            Some(Some(end)) => {
                let message = format!("Saw completed job: {name}, condition: {end}");
                decision.events.push((false, "SawCompletedJob", message));
            }
            Some(None) => continue,
        }
        status.active.retain(|other| other["uid"] != known["uid"]);
    }
    let successes = children.iter().filter(|child| child.end() == Some("Complete"));
    let last = successes.filter_map(|child| child.status.completion_time).max();
    status.last_successful_time = status.last_successful_time.max(last);
}

/// Ended Jobs beyond the limits, the oldest first.
fn history(cron: &Cron, children: &[Child], decision: &mut Decision) {
    let limits = [
        ("Complete", cron.spec.successful_jobs_history_limit),
        ("Failed", cron.spec.failed_jobs_history_limit),
    ];
    for (end, limit) in limits {
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else {
            continue;
        };
        let mut ended: Vec<&Child> = children
            .iter()
            .filter(|child| child.end() == Some(end) && !child.metadata.deleting())
            .collect();
        ended.sort_by_key(|child| (child.status.start_time, child.metadata.name.clone()));
        let surplus = ended.len().saturating_sub(limit);
        let gone = ended.into_iter().take(surplus);
        decision
            .delete
            .extend(gone.map(|child| (child.metadata.name.clone(), child.metadata.uid.clone())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cron(spec: Value, status: Value) -> Cron {
        let mut spec = spec;
        if spec["schedule"].is_null() {
            spec["schedule"] = "*/10 * * * *".into();
        }
        serde_json::from_value(
            json!({"metadata": {"name": "c", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec, "status": status}),
        )
        .unwrap()
    }

    fn child(name: &str, end: Option<&str>, time: &str) -> Child {
        let conditions: Vec<Value> = end
            .map(|end| json!({"type": end, "status": "True"}))
            .into_iter()
            .collect();
        serde_json::from_value(json!({"metadata": {"name": name, "uid": name},
            "status": {"conditions": conditions, "startTime": time, "completionTime": time}}))
        .unwrap()
    }

    #[test]
    fn a_run_starts_when_it_is_due_and_is_named_by_its_time() {
        let cron = cron(json!({}), json!({}));
        let early = decide(&cron, &[], at("2026-01-01T00:09:59Z"));
        assert_eq!((early.start, early.later.map(|wait| wait.as_secs())), (None, Some(1)));
        let due = decide(&cron, &[], at("2026-01-01T00:10:01Z")).start.unwrap();
        assert_eq!(
            (due.name.as_str(), due.written.as_str()),
            ("c-29453770", "2026-01-01T00:10:00Z")
        );
    }

    #[test]
    fn of_missed_runs_only_the_last_is_made_good() {
        let missed = decide(&cron(json!({}), json!({})), &[], at("2026-01-01T00:45:00Z"));
        assert_eq!(missed.start.unwrap().time, at("2026-01-01T00:40:00Z"));
        let many = decide(&cron(json!({}), json!({})), &[], at("2026-01-03T00:45:00Z"));
        assert_eq!(many.events[0].1, "TooManyMissedTimes");
        assert_eq!(many.start.unwrap().time, at("2026-01-03T00:40:00Z"));
        let deadline = cron(json!({"startingDeadlineSeconds": 60}), json!({}));
        assert_eq!(decide(&deadline, &[], at("2026-01-01T00:45:00Z")).start, None);
        assert!(decide(&deadline, &[], at("2026-01-01T00:40:30Z")).start.is_some());
        let done = cron(json!({}), json!({"lastScheduleTime": "2026-01-01T00:40:00Z"}));
        assert_eq!(decide(&done, &[], at("2026-01-01T00:45:00Z")).start, None);
        let suspended = cron(json!({"suspend": true}), json!({}));
        assert_eq!(decide(&suspended, &[], at("2026-01-01T00:45:00Z")).start, None);
    }

    #[test]
    fn what_happens_to_a_run_that_meets_another() {
        let running = [child("a", None, "2026-01-01T00:00:00Z")];
        let now = at("2026-01-01T00:10:01Z");
        let with = |policy: &str| decide(&cron(json!({"concurrencyPolicy": policy}), json!({})), &running, now);
        assert!(with("Allow").start.is_some());
        let forbidden = with("Forbid");
        assert_eq!((forbidden.start, forbidden.events[0].1), (None, "JobAlreadyActive"));
        let replaced = with("Replace");
        assert_eq!((replaced.start.is_some(), replaced.delete.len()), (true, 1));
    }

    #[test]
    fn ended_jobs_leave_the_status_and_then_the_cluster() {
        let cron = cron(
            json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0, "suspend": true}),
            json!({"active": [{"name": "b", "uid": "b"}, {"name": "x", "uid": "x"}, {"name": "r", "uid": "r"}]}),
        );
        let children = [
            child("a", Some("Complete"), "2026-01-01T00:00:00Z"),
            child("b", Some("Complete"), "2026-01-01T01:00:00Z"),
            child("f", Some("Failed"), "2026-01-01T02:00:00Z"),
            child("r", None, "2026-01-01T03:00:00Z"),
        ];
        let decision = decide(&cron, &children, at("2026-01-01T04:00:00Z"));
        assert_eq!(decision.status.active, [json!({"name": "r", "uid": "r"})]);
        assert_eq!(decision.status.last_successful_time, Some(at("2026-01-01T01:00:00Z")));
        assert_eq!(
            decision
                .delete
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
            ["a", "f"]
        );
        let reasons: Vec<&str> = decision.events.iter().map(|event| event.1).collect();
        assert_eq!(reasons, ["SawCompletedJob", "MissingJob"]);
    }

    #[test]
    fn the_zone_of_the_schedule_counts() {
        let cron = cron(
            json!({"schedule": "30 1 * * *", "timeZone": "Europe/Berlin"}),
            json!({}),
        );
        let due = decide(&cron, &[], at("2026-01-01T00:30:01Z")).start.unwrap();
        assert_eq!(due.written, "2026-01-01T01:30:00+01:00");
    }
}
