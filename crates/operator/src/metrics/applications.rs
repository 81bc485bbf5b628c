//! Transitions and states of applications in numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use stoke_model::crd::{ApplicationStateType as State, ExecutorState, SparkApplication, SparkApplicationStatus};

use super::catalogue::{self, Metric};
use super::registry::whole;
use super::{Metrics, MetricsConfig};
use crate::controller::Key;

/// Every state, so that a gauge says 0 rather than nothing.
const STATES: [State; 14] = [
    State::New,
    State::Submitted,
    State::Running,
    State::Completed,
    State::Failed,
    State::SubmissionFailed,
    State::PendingRerun,
    State::Invalidating,
    State::Succeeding,
    State::Failing,
    State::Suspending,
    State::Suspended,
    State::Resuming,
    State::Unknown,
];

/// A state as the status says it; `NEW` for the empty one.
pub(crate) fn name(state: State) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(name)) if !name.is_empty() => name,
        _ => "NEW".to_owned(),
    }
}

/// Values of the labels that published metrics have.
fn labels(config: &MetricsConfig, of_app: Option<&BTreeMap<String, String>>) -> Vec<String> {
    let value = |label: &String| {
        of_app
            .and_then(|labels| labels.get(label))
            .map_or("Unknown", String::as_str)
    };
    config.labels.iter().map(|label| value(label).to_owned()).collect()
}

pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// Phases whose data quality is known by `new` and was not by `old`, with how it ended.
fn checked(old: &SparkApplicationStatus, new: &SparkApplicationStatus) -> Vec<(&'static str, &'static str)> {
    let known = |status: &SparkApplicationStatus, type_: &str| -> Option<&'static str> {
        let found = status.conditions.iter().find(|condition| condition.type_ == type_)?;
        match (found.status.as_str(), found.reason.as_str()) {
            ("True", "Warned") => Some("warned"),
            ("True", _) => Some("passed"),
            ("False", _) => Some("failed"),
            _ => None,
        }
    };
    let phases = [("before", "QualityBefore"), ("after", "QualityAfter")];
    let news = phases.into_iter().filter(|(_, type_)| known(old, type_).is_none());
    news.filter_map(|(phase, type_)| Some((phase, known(new, type_)?)))
        .collect()
}

impl Metrics {
    /// The status of an application changed.
    pub(crate) fn changed(
        &self,
        key: &Key,
        app: &SparkApplication,
        old: &SparkApplicationStatus,
        new: &SparkApplicationStatus,
        now: Timestamp,
    ) {
        let values = labels(&self.0.config, app.metadata.labels.as_ref());
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let (from, to) = (old.app_state.state, new.app_state.state);
        let first_seen = from == State::New && old.observed_generation.is_none() && old.transitions.is_empty();
        if from != to && to.is_terminal() {
            self.run_ended(key, app, new, now);
        }
        let requests = (from != to && to.is_terminal())
            .then(|| self.requests_of(key))
            .flatten();
        self.with(|registry| {
            if first_seen {
                registry.add(&catalogue::COUNT, &values, 1.0);
            }
            for (metric, state) in [
                (&catalogue::EXECUTOR_SUCCESS_COUNT, ExecutorState::Completed),
                (&catalogue::EXECUTOR_FAILURE_COUNT, ExecutorState::Failed),
            ] {
                let reached = |(pod, now): &(&String, &ExecutorState)| {
                    **now == state && old.executor_state.get(*pod) != Some(&state)
                };
                let count = new.executor_state.iter().filter(reached).count();
                registry.add(metric, &values, f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            }
            // An attempt that begins is recorded before it is made, in the state it came from.
            if new.execution_attempts > old.execution_attempts {
                registry.add(&catalogue::SUBMIT_COUNT, &values, 1.0);
                if new.execution_attempts == 1 {
                    self.latency(
                        registry,
                        app,
                        now,
                        &values,
                        &catalogue::SUBMIT_LATENCY,
                        &catalogue::SUBMIT_LATENCY_HISTOGRAM,
                    );
                }
            }
            for (phase, result) in checked(old, new) {
                registry.add(&catalogue::QUALITY_CHECKS, &[phase, result], 1.0);
            }
            if from == to {
                return;
            }
            let (from_name, to_name) = (name(from), name(to));
            registry.add(&catalogue::TRANSITIONS, &[&from_name, &to_name], 1.0);
            let since = old.transitions.last().map(|entered| entered.time.0);
            let since = since.or_else(|| app.metadata.creation_timestamp.as_ref().map(|created| created.0));
            if let Some(since) = since {
                registry.observe(&catalogue::STATE_AGE, &[&from_name], seconds(since, now));
            }
            let ran = || {
                Some(seconds(
                    new.last_submission_attempt_time.as_ref()?.0,
                    new.termination_time.as_ref()?.0,
                ))
            };
            match to {
                State::Running if new.execution_attempts == 1 && from != State::Unknown => {
                    self.latency(
                        registry,
                        app,
                        now,
                        &values,
                        &catalogue::START_LATENCY,
                        &catalogue::START_LATENCY_HISTOGRAM,
                    );
                }
                State::SubmissionFailed => registry.add(&catalogue::FAILED_SUBMISSION_COUNT, &values, 1.0),
                State::Completed => {
                    registry.add(&catalogue::SUCCESS_COUNT, &values, 1.0);
                    ran()
                        .into_iter()
                        .for_each(|ran| registry.observe(&catalogue::SUCCESS_TIME, &values, ran));
                }
                State::Failed => {
                    registry.add(&catalogue::FAILURE_COUNT, &values, 1.0);
                    ran()
                        .into_iter()
                        .for_each(|ran| registry.observe(&catalogue::FAILURE_TIME, &values, ran));
                }
                State::PendingRerun => {
                    let cause = match from {
                        State::Failing => "DriverFailed",
                        State::Succeeding => "Always",
                        State::Invalidating => "Edited",
                        _ => "Other",
                    };
                    registry.add(&catalogue::RETRIES, &[cause], 1.0);
                }
                State::Submitted if from == State::SubmissionFailed => {
                    registry.add(&catalogue::RETRIES, &["SubmissionFailed"], 1.0);
                }
                _ => {}
            }
            if let Some(requests) = requests {
                registry.observe(&catalogue::API_REQUESTS, &[], whole(requests));
            }
        });
    }

    fn latency(
        &self,
        registry: &mut super::registry::Registry,
        app: &SparkApplication,
        now: Timestamp,
        values: &[&str],
        summary: &Metric,
        histogram: &Metric,
    ) {
        if let Some(created) = &app.metadata.creation_timestamp {
            let latency = seconds(created.0, now);
            registry.observe(summary, values, latency);
            registry.observe(histogram, values, latency);
        }
    }

    /// A run was created that was due then.
    pub(crate) fn scheduled(&self, due: Timestamp, now: Timestamp) {
        self.with(|registry| registry.observe(&catalogue::LATENESS, &[], seconds(due, now)));
    }

    /// How many applications are in which state now, and for how long.
    pub(super) fn observe_states(&self) {
        let Some((cache, gate)) = self.0.live.get() else { return };
        let now = Timestamp::now();
        let mut states: BTreeMap<String, (f64, f64)> = STATES.iter().map(|state| (name(*state), (0.0, 0.0))).collect();
        let mut running: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        let mut executors: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for (key, app) in cache.apps() {
            if !gate.is_ours(&key) {
                continue;
            }
            let summary = &app.summary;
            let (count, oldest) = states.entry(name(summary.state)).or_default();
            *count += 1.0;
            *oldest = oldest.max(summary.since.map_or(0.0, |since| seconds(since, now)));
            // Labels are read only when someone asked for them.
            let of_app = (!self.0.config.labels.is_empty()).then(|| app.labels());
            let values = labels(&self.0.config, of_app.as_ref());
            *running.entry(values.clone()).or_default() += f64::from(u8::from(summary.state == State::Running));
            *executors.entry(values).or_default() += f64::from(summary.executors);
        }
        self.with(|registry| {
            let of = |pick: fn(&(f64, f64)) -> f64| {
                let states = states
                    .iter()
                    .map(move |(state, numbers)| (vec![state.clone()], pick(numbers)));
                states.collect::<Vec<_>>()
            };
            registry.replace(&catalogue::APPLICATIONS, of(|numbers| numbers.0));
            registry.replace(&catalogue::OLDEST, of(|numbers| numbers.1));
            registry.replace(&catalogue::RUNNING_COUNT, running);
            registry.replace(&catalogue::EXECUTOR_RUNNING_COUNT, executors);
        });
    }
}
