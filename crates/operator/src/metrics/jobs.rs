//! What each job did last, what its present run waits for, and how long it takes. A job is a schedule, or an application that stands alone:
//! runs of a schedule have names that come and go, so the schedule's is the label.
//!
//! In: the cache, at a scrape, and ends of runs as they happen, so that a run that ended and was trimmed between two scrapes is known.
//! Series: a handful for each job whose application or schedule exists, none for those that are gone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use stoke_model::crd::{ApplicationStateType as State, SparkApplication, SparkApplicationStatus};
use stoke_model::waiting::NORMAL_WAITING;

use super::schedules::epoch;
use super::{Metrics, catalogue, class};
use crate::controller::Key;
use crate::controller::cache::{Cache, Folded};

/// Completed runs by which it is known how long a job takes.
const REMEMBERED: usize = 20;
/// How long an ended run has a series, so that its event log can be looked for.
const EVENT_LOG_TOLD: SignedDuration = SignedDuration::from_hours(24);
/// Most jobs that are remembered; of more the newest say what the cache says.
const MOST_JOBS: usize = 20_000;
/// Reasons for waiting that become labels as they are; others are `Other`.
const REASONS: &[&str] = &[
    "Unschedulable",
    "SchedulingGated",
    "NoScheduler",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "FailedMount",
    "FailedAttachVolume",
    "InitContainer",
    "NodeNotReporting",
    "Starting",
    "Retrying",
    "Suspended",
];

/// By namespace and name of the schedule or application.
pub(super) type Jobs = HashMap<Key, Job>;

/// What is remembered of a job.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// When the newest run ended that was counted.
    counted: Option<Timestamp>,
    /// The class of its failure; none after a success.
    failed: Option<&'static str>,
    failures: u32,
    last_success: Option<Timestamp>,
    took: VecDeque<f64>,
}

/// The end of one run.
struct End {
    at: Timestamp,
    begun: Option<Timestamp>,
    /// The class of its failure; none when it completed.
    failed: Option<&'static str>,
}

impl Job {
    /// Counts an end, unless it or a later one was counted.
    fn learn(&mut self, end: &End) {
        if self.counted.is_some_and(|counted| end.at <= counted) {
            return;
        }
        self.counted = Some(end.at);
        self.failed = end.failed;
        if end.failed.is_some() {
            self.failures += 1;
            return;
        }
        self.failures = 0;
        self.last_success = Some(end.at);
        if let Some(begun) = end.begun {
            self.took.push_back(super::applications::seconds(begun, end.at));
            if self.took.len() > REMEMBERED {
                self.took.pop_front();
            }
        }
    }

    /// How long the longest of the remembered runs took.
    fn usual(&self) -> Option<f64> {
        self.took.iter().copied().reduce(f64::max)
    }
}

fn end_of(folded: &Folded) -> Option<End> {
    let summary = &folded.summary;
    let failed = match summary.state {
        State::Completed => None,
        State::Failed => Some(summary.class),
        _ => return None,
    };
    let (begun, at) = (summary.ran.0, summary.ran.1.or(summary.since)?);
    Some(End { at, begun, failed })
}

/// What a run waits for that has no running driver.
fn waits(cache: &Cache, key: &Key, folded: &Folded, now: Timestamp) -> Option<String> {
    let told = match folded.summary.state {
        State::New | State::Submitted | State::Resuming | State::Invalidating => {
            cache.waits(key, now).0.unwrap_or_else(|| "Starting".to_owned())
        }
        State::SubmissionFailed | State::PendingRerun | State::Failing => "Retrying".to_owned(),
        _ => return None,
    };
    Some(known(told))
}

fn known(reason: String) -> String {
    match reason {
        reason if REASONS.contains(&reason.as_str()) => reason,
        reason if NORMAL_WAITING.contains(&reason.as_str()) => "Starting".to_owned(),
        _ => "Other".to_owned(),
    }
}

fn job_of(key: &Key, folded: &Folded) -> Key {
    let name = folded.summary.schedule.as_deref().unwrap_or(&key.name);
    Key::new(key.namespace.clone(), name)
}

/// Everything of one job, while the cache is read.
#[derive(Default)]
struct Seen {
    team: String,
    newest: Option<Timestamp>,
    ends: Vec<End>,
    contract: Option<bool>,
    running: Option<f64>,
    waiting: Option<(f64, String)>,
    executors: BTreeMap<String, f64>,
    ended: Vec<(String, f64)>,
}

impl Metrics {
    /// A run of an application ended for good.
    pub(super) fn run_ended(&self, key: &Key, app: &SparkApplication, status: &SparkApplicationStatus, now: Timestamp) {
        let failed = match status.app_state.state {
            State::Completed => None,
            State::Failed => Some(class(&status.app_state.error_message)),
            _ => return,
        };
        let owners = app.metadata.owner_references.iter().flatten();
        let schedule = owners
            .into_iter()
            .find(|owner| owner.kind == "ScheduledSparkApplication");
        let name = schedule.map_or(&key.name, |schedule| &schedule.name);
        let end = End {
            at: status.termination_time.as_ref().map_or(now, |time| time.0),
            begun: status.last_submission_attempt_time.as_ref().map(|time| time.0),
            failed,
        };
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() < MOST_JOBS {
            jobs.entry(Key::new(key.namespace.clone(), name))
                .or_default()
                .learn(&end);
        }
    }

    /// Reads the cache: every application that is ours, and every schedule, whose job is remembered while it has no run.
    pub(super) fn observe_jobs(&self) {
        let Some((cache, gate)) = self.0.live.get() else { return };
        let now = Timestamp::now();
        let by_default = self.0.writes_event_logs.load(std::sync::atomic::Ordering::Relaxed);
        let mut all: BTreeMap<Key, Seen> = BTreeMap::new();
        for (key, schedule) in cache.schedules() {
            if gate.is_ours(&key) {
                all.entry(key).or_default().team = schedule.summary.team.to_string();
            }
        }
        for (key, folded) in cache.apps() {
            if gate.is_ours(&key) {
                let seen = all.entry(job_of(&key, &folded)).or_default();
                look(seen, cache, &key, &folded, by_default, now);
            }
        }
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|key, _| all.contains_key(key));
        let mut gauges = Gauges::default();
        for (key, mut seen) in all {
            seen.ends.sort_by_key(|end| end.at);
            let mut fresh = Job::default();
            let room = jobs.len() < MOST_JOBS || jobs.contains_key(&key);
            let job = if room {
                jobs.entry(key.clone()).or_default()
            } else {
                &mut fresh
            };
            seen.ends.iter().for_each(|end| job.learn(end));
            gauges.job(&key, &seen, job);
        }
        drop(jobs);
        self.with(|registry| {
            registry.replace(&catalogue::JOB_FAILED, gauges.failed);
            registry.replace(&catalogue::JOB_FAILURES, gauges.failures);
            registry.replace(&catalogue::JOB_LAST_SUCCESS, gauges.last_success);
            registry.replace(&catalogue::JOB_RUNNING, gauges.running);
            registry.replace(&catalogue::JOB_USUAL, gauges.usual);
            registry.replace(&catalogue::JOB_WAITING, gauges.waiting);
            registry.replace(&catalogue::JOB_EXECUTORS_WAITING, gauges.executors);
            registry.replace(&catalogue::JOB_CONTRACT_BROKEN, gauges.contract);
            registry.replace(&catalogue::RUN_ENDED, gauges.ended);
        });
    }
}

fn look(seen: &mut Seen, cache: &Cache, key: &Key, folded: &Folded, by_default: bool, now: Timestamp) {
    let summary = &folded.summary;
    if seen.newest <= summary.created {
        seen.newest = summary.created;
        seen.contract = summary.contract;
        seen.team = summary.team.to_string();
    }
    seen.ends.extend(end_of(folded));
    if summary.state == State::Running
        && let Some(begun) = summary.ran.0
    {
        let age = super::applications::seconds(begun, now);
        seen.running = Some(seen.running.map_or(age, |oldest| oldest.max(age)));
        for reason in cache.waits(key, now).1 {
            *seen.executors.entry(known(reason)).or_default() += 1.0;
        }
    }
    if let Some(reason) = waits(cache, key, folded, now) {
        let age = summary
            .since
            .map_or(0.0, |since| super::applications::seconds(since, now));
        if seen.waiting.as_ref().is_none_or(|(oldest, _)| *oldest < age) {
            seen.waiting = Some((age, reason));
        }
    }
    let writes = summary.event_log.unwrap_or(by_default) && !summary.application_id.is_empty();
    if writes
        && let Some(end) = end_of(folded).filter(|end| now.duration_since(end.at) < EVENT_LOG_TOLD)
        // A run that never had a driver wrote nothing.
        && summary.class != "configuration-invalid"
    {
        seen.ended.push((summary.application_id.to_string(), epoch(end.at)));
    }
}

/// Series.
#[derive(Default)]
struct Gauges {
    failed: Vec<(Vec<String>, f64)>,
    failures: Vec<(Vec<String>, f64)>,
    last_success: Vec<(Vec<String>, f64)>,
    running: Vec<(Vec<String>, f64)>,
    usual: Vec<(Vec<String>, f64)>,
    waiting: Vec<(Vec<String>, f64)>,
    executors: Vec<(Vec<String>, f64)>,
    contract: Vec<(Vec<String>, f64)>,
    ended: Vec<(Vec<String>, f64)>,
}

impl Gauges {
    fn job(&mut self, key: &Key, seen: &Seen, job: &Job) {
        let labels = || vec![key.namespace.clone(), key.name.clone(), seen.team.clone()];
        let with = |more: &str| {
            let mut labels = labels();
            labels.push(more.to_owned());
            labels
        };
        if job.counted.is_some() {
            let failed = f64::from(u8::from(job.failed.is_some()));
            self.failed.push((with(job.failed.unwrap_or("none")), failed));
            self.failures.push((labels(), f64::from(job.failures)));
        }
        self.last_success
            .extend(job.last_success.map(|at| (labels(), epoch(at))));
        self.running.extend(seen.running.map(|age| (labels(), age)));
        self.usual.extend(job.usual().map(|usual| (labels(), usual)));
        self.waiting
            .extend(seen.waiting.as_ref().map(|(age, reason)| (with(reason), *age)));
        let executors = seen.executors.iter().map(|(reason, count)| (with(reason), *count));
        self.executors.extend(executors);
        self.contract
            .extend(seen.contract.map(|holds| (labels(), f64::from(u8::from(!holds)))));
        self.ended.extend(seen.ended.iter().map(|(id, at)| (with(id), *at)));
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::json;

    use super::*;
    use crate::gate::Gate;

    fn app(name: &str, schedule: Option<&str>, state: &str, ended: &str, message: &str) -> DynamicObject {
        let owners: Vec<_> = schedule
            .map(|name| json!({"apiVersion": "v1", "kind": "ScheduledSparkApplication", "name": name, "uid": "s"}))
            .into_iter()
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": name, "namespace": "jobs", "uid": name, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"team": "etl"}, "ownerReferences": owners},
            "spec": {"driver": {}, "executor": {}},
            "status": {"applicationState": {"state": state, "errorMessage": message}, "lastSubmissionAttemptTime": "2026-01-01T00:00:00Z",
                "terminationTime": ended, "sparkApplicationId": format!("spark-{name}")},
        }))
        .unwrap()
    }

    fn lines(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text();
        text.lines()
            .filter(|line| line.starts_with("stoke_job_"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn runs_of_a_schedule_are_one_job_and_a_success_ends_its_failures() {
        let (metrics, cache) = (Metrics::default(), Cache::default());
        metrics.attach(&cache, &Gate::open());
        let bad = "driver container failed with ExitCode: 1, Reason: Error";
        cache.app_seen(
            "",
            &app("etl-1", Some("etl"), "FAILED", "2026-01-01T00:01:00Z", bad),
            true,
        );
        cache.app_seen(
            "",
            &app("etl-2", Some("etl"), "FAILED", "2026-01-01T00:02:00Z", bad),
            true,
        );
        let job = r#"{namespace="jobs",app="etl",team="etl""#;
        for line in [
            format!(r#"stoke_job_failed{job},class="driver-exit-code"}} 1"#),
            format!("stoke_job_failures_in_a_row{job}}} 2"),
        ] {
            assert!(lines(&metrics).contains(&line), "{line}: {:#?}", lines(&metrics));
        }
        // Read again, nothing is counted twice; what was trimmed stays counted.
        cache.app_gone("", &app("etl-1", Some("etl"), "FAILED", "2026-01-01T00:01:00Z", bad));
        let count = format!("stoke_job_failures_in_a_row{job}}} 2");
        assert!(lines(&metrics).contains(&count));
        cache.app_seen(
            "",
            &app("etl-3", Some("etl"), "COMPLETED", "2026-01-01T00:03:00Z", ""),
            true,
        );
        for line in [
            format!(r#"stoke_job_failed{job},class="none"}} 0"#),
            format!("stoke_job_failures_in_a_row{job}}} 0"),
            format!("stoke_job_last_success_timestamp_seconds{job}}} 1767225780"),
            format!("stoke_job_usual_seconds{job}}} 180"),
        ] {
            assert!(lines(&metrics).contains(&line), "{line}: {:#?}", lines(&metrics));
        }
        cache.app_gone("", &app("etl-2", Some("etl"), "FAILED", "", bad));
        cache.app_gone("", &app("etl-3", Some("etl"), "COMPLETED", "", ""));
        assert_eq!(
            lines(&metrics),
            Vec::<String>::new(),
            "a job that is gone has no series"
        );
    }

    #[test]
    fn reasons_are_few() {
        assert_eq!(known("Unschedulable".into()), "Unschedulable");
        assert_eq!(known("ContainerCreating".into()), "Starting");
        assert_eq!(known("SomethingOfAVendor-1234".into()), "Other");
    }

    #[test]
    fn how_long_a_job_takes_is_known_by_its_last_runs() {
        let mut job = Job::default();
        for second in 1..=30_i64 {
            let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
            let end = End {
                at: at(second * 1000),
                begun: Some(at(second * 1000 - (100 - second))),
                failed: None,
            };
            job.learn(&end);
        }
        assert_eq!((job.took.len(), job.usual()), (20, Some(89.0)));
    }
}
