//! What a Job does next: a pure function of the Job and its pods.
//!
//! An end is counted in three steps, so that none is lost or counted twice wherever the process stops: the pod's UID is written into
//! `uncountedTerminatedPods`; its finalizer is removed; the UID becomes part of the count. Indexes that succeeded are a set already and
//! need no such care.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::facts::{Job, JobStatus, ended_at, failures_before, index_of, tracked};
use super::indexes;
use super::policy::{Verdict, judge, succeeded_early};
use crate::controllers::facts::{Condition, PodFacts, whole};
use crate::controllers::replicas::decide::deletions;

/// The wait after the first failure; every further one doubles it.
const FIRST_DELAY: i64 = 10;
/// The longest wait, in seconds.
const LONGEST_DELAY: i64 = 600;
/// Pods made in one look.
const MOST_AT_ONCE: i64 = 500;

/// A pod to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Make {
    /// Its index, in an Indexed Job.
    pub index: Option<i64>,
    /// How often the index failed before, where that is limited.
    pub failures: Option<i64>,
}

/// What follows from the facts.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// Pods to make.
    pub make: Vec<Make>,
    /// Pods to delete that shall not count: superfluous, or of a suspended Job.
    pub dismiss: Vec<String>,
    /// Pods to delete whose end counts.
    pub stop: Vec<String>,
    /// The status to write after that.
    pub status: JobStatus,
    /// Pods that lose their finalizer once the status is written.
    pub release: Vec<String>,
    /// Events: warning, reason, message.
    pub events: Vec<(bool, String, String)>,
    /// Delete the Job itself.
    pub expired: bool,
    /// When time alone changes something.
    pub later: Option<SignedDuration>,
}

impl Decision {
    fn wake(&mut self, wait: SignedDuration) {
        let wait = wait.max(SignedDuration::from_millis(10));
        self.later = Some(self.later.map_or(wait, |known| known.min(wait)));
    }
}

/// Decides. `pods` are those the Job controls, ended ones too.
pub(super) fn decide(job: &Job, pods: &[PodFacts], now: Timestamp) -> Decision {
    let mut decision = Decision {
        status: flushed(&job.status, pods),
        ..Decision::default()
    };
    if job.finished() {
        after_the_end(job, pods, now, &mut decision);
        return decision;
    }
    let suspended = suspension(job, now, &mut decision);
    if decision.status.start_time.is_none() && !suspended {
        decision.status.start_time = Some(whole(now));
    }
    let count = Count::of(job, pods, &decision.status);
    let outcome = outcome(job, pods, &count, suspended, now, &mut decision);
    record(job, &count, pods, &outcome, now, &mut decision);
    let mut active: Vec<&PodFacts> = pods.iter().filter(|pod| pod.active()).collect();
    match &outcome {
        _ if job.metadata.deleting() => {}
        Some(_) => {
            decision.stop = active.iter().map(|pod| pod.metadata.name.clone()).collect();
            active.clear();
        }
        None if suspended => {
            decision.dismiss = active.iter().map(|pod| pod.metadata.name.clone()).collect();
            active.clear();
        }
        None => manage(job, pods, &count, &mut active, now, &mut decision),
    }
    let terminating = pods
        .iter()
        .filter(|pod| pod.metadata.deleting() && !pod.ended())
        .count()
        + decision.stop.len();
    let status = &mut decision.status;
    status.active = number(active.len() + decision.make.len());
    status.ready = Some(number(active.iter().filter(|pod| pod.ready()).count()));
    status.terminating = Some(number(terminating));
    if let Some(outcome) = outcome {
        let quiet = status.active == 0 && terminating == 0 && status.uncounted_terminated_pods.is_empty();
        let all_released = !pods
            .iter()
            .any(|pod| tracked(pod) && !decision.release.contains(&pod.metadata.name));
        if quiet && all_released {
            finish(outcome, now, &mut decision);
        }
    }
    decision
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The last step of counting: what has lost its finalizer, or is gone, is in the numbers.
fn flushed(status: &JobStatus, pods: &[PodFacts]) -> JobStatus {
    let held: BTreeSet<&str> = pods
        .iter()
        .filter(|pod| tracked(pod))
        .map(|pod| pod.metadata.uid.as_str())
        .collect();
    let mut status = status.clone();
    let before = |set: &BTreeSet<String>| set.len();
    let uncounted = &mut status.uncounted_terminated_pods;
    let (succeeded, failed) = (before(&uncounted.succeeded), before(&uncounted.failed));
    uncounted.succeeded.retain(|uid| held.contains(uid.as_str()));
    uncounted.failed.retain(|uid| held.contains(uid.as_str()));
    status.succeeded += number(succeeded - uncounted.succeeded.len());
    status.failed += number(failed - uncounted.failed.len());
    status
}

/// A Job that is over holds no pod back, and goes when its time to live is over.
fn after_the_end(job: &Job, pods: &[PodFacts], now: Timestamp, decision: &mut Decision) {
    decision.release = pods
        .iter()
        .filter(|pod| tracked(pod))
        .map(|pod| pod.metadata.name.clone())
        .collect();
    let Some(seconds) = job.spec.ttl_seconds_after_finished.filter(|_| !job.metadata.deleting()) else {
        return;
    };
    let conditions = job.status.conditions.iter();
    let ended = conditions
        .filter(|condition| matches!(condition.kind.as_str(), "Complete" | "Failed") && condition.status == "True")
        .find_map(|condition| condition.last_transition_time);
    let left = ended.map(|ended| SignedDuration::from_secs(seconds) - now.duration_since(ended));
    match left {
        Some(left) if left > SignedDuration::ZERO => decision.wake(left),
        _ => decision.expired = true,
    }
}

/// Whether the Job is suspended; tells when that changes.
fn suspension(job: &Job, now: Timestamp, decision: &mut Decision) -> bool {
    let status = &mut decision.status;
    let known = Condition::find(&status.conditions, "Suspended").map(|condition| condition.status == "True");
    let ending = ["FailureTarget", "SuccessCriteriaMet"]
        .iter()
        .any(|kind| Condition::holds(&status.conditions, kind));
    if job.spec.suspend && !ending {
        status.start_time = None;
        if known != Some(true) {
            put(
                &mut status.conditions,
                dated("Suspended", "True", "JobSuspended", "Job suspended", now),
            );
            decision
                .events
                .push((false, "Suspended".into(), "Job suspended".into()));
        }
        return true;
    }
    if known == Some(true) {
        put(
            &mut status.conditions,
            dated("Suspended", "False", "JobResumed", "Job resumed", now),
        );
        decision.events.push((false, "Resumed".into(), "Job resumed".into()));
        status.start_time = Some(whole(now));
    }
    false
}

fn dated(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Condition {
    let mut condition = Condition::new(kind, status, reason, message, now);
    condition.last_probe_time = condition.last_transition_time;
    condition
}

fn put(conditions: &mut Vec<Condition>, condition: Condition) {
    match conditions.iter_mut().find(|known| known.kind == condition.kind) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

/// What has been reached so far, counted and not yet counted.
struct Count {
    succeeded: i64,
    failed: i64,
    completed: BTreeSet<i64>,
    failed_indexes: BTreeSet<i64>,
    /// UIDs of pods that ended since the last look, and whether each counts.
    new_failures: Vec<(String, bool)>,
    new_successes: Vec<String>,
    /// Why the policy says that the Job has failed.
    fail_job: Option<String>,
}

impl Count {
    fn of(job: &Job, pods: &[PodFacts], status: &JobStatus) -> Count {
        let completions = job.spec.completions.unwrap_or(0);
        let uncounted = &status.uncounted_terminated_pods;
        let mut count = Count {
            succeeded: status.succeeded + number(uncounted.succeeded.len()),
            failed: status.failed + number(uncounted.failed.len()),
            completed: indexes::parse(&status.completed_indexes, completions),
            failed_indexes: indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), completions),
            new_failures: Vec::new(),
            new_successes: Vec::new(),
            fail_job: None,
        };
        let won = Condition::holds(&status.conditions, "SuccessCriteriaMet");
        for pod in pods.iter().filter(|pod| tracked(pod)) {
            let uid = &pod.metadata.uid;
            if pod.phase() == "Succeeded" {
                match index_of(pod) {
                    Some(index) if job.indexed() && (0..completions).contains(&index) => {
                        count.completed.insert(index);
                    }
                    _ if !job.indexed() && !uncounted.succeeded.contains(uid) => count.new_successes.push(uid.clone()),
                    _ => {}
                }
            } else if job.counts_as_failed(pod) && !uncounted.failed.contains(uid) {
                let verdict = judge(&job.spec.pod_failure_policy, pod);
                if let Verdict::FailJob(message) = &verdict {
                    count.fail_job.get_or_insert(message.clone());
                }
                let limit = job.spec.backoff_limit_per_index;
                if let (Some(index), Some(limit)) = (index_of(pod), limit) {
                    let spent = failures_before(pod) >= limit && verdict != Verdict::Ignore;
                    if (spent || verdict == Verdict::FailIndex) && (0..completions).contains(&index) {
                        count.failed_indexes.insert(index);
                    }
                }
                // What a Job that has won ends is not a failure.
                count
                    .new_failures
                    .push((uid.clone(), verdict != Verdict::Ignore && !won));
            }
        }
        if job.indexed() {
            count.succeeded = number(count.completed.len());
        } else {
            count.succeeded += number(count.new_successes.len());
        }
        count.failed += number(count.new_failures.iter().filter(|(_, counts)| *counts).count());
        count.failed_indexes.retain(|index| !count.completed.contains(index));
        count
    }
}

/// Writes what was counted, and says which pods need not be held any longer once that is written.
fn record(
    job: &Job,
    count: &Count,
    pods: &[PodFacts],
    outcome: &Option<Outcome>,
    _now: Timestamp,
    decision: &mut Decision,
) {
    let status = &mut decision.status;
    let uncounted = &mut status.uncounted_terminated_pods;
    if job.indexed() {
        status.succeeded = count.succeeded;
        status.completed_indexes = indexes::format(&count.completed);
        if job.spec.backoff_limit_per_index.is_some() {
            status.failed_indexes = Some(indexes::format(&count.failed_indexes));
        }
    } else {
        uncounted.succeeded.extend(count.new_successes.iter().cloned());
    }
    let counting = count.new_failures.iter().filter(|(_, counts)| *counts);
    uncounted.failed.extend(counting.map(|(uid, _)| uid.clone()));
    let won = matches!(outcome, Some(outcome) if outcome.kind == "SuccessCriteriaMet");
    let over =
        |pod: &PodFacts| pod.phase() == "Succeeded" || job.counts_as_failed(pod) || (won && pod.metadata.deleting());
    let held = pods.iter().filter(|pod| tracked(pod) && over(pod));
    decision.release = held.map(|pod| pod.metadata.name.clone()).collect();
}

/// How a Job will end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    kind: &'static str,
    reason: String,
    message: String,
}

/// How it ends, if that is known: from before, or now.
fn outcome(
    job: &Job,
    pods: &[PodFacts],
    count: &Count,
    suspended: bool,
    now: Timestamp,
    decision: &mut Decision,
) -> Option<Outcome> {
    for kind in ["FailureTarget", "SuccessCriteriaMet"] {
        if let Some(known) = Condition::find(&decision.status.conditions, kind).filter(|known| known.status == "True") {
            return Some(Outcome {
                kind,
                reason: known.reason.clone(),
                message: known.message.clone(),
            });
        }
    }
    let found = judged(job, pods, count, suspended, now, decision)?;
    put(
        &mut decision.status.conditions,
        dated(found.kind, "True", &found.reason, &found.message, now),
    );
    Some(found)
}

fn judged(
    job: &Job,
    pods: &[PodFacts],
    count: &Count,
    suspended: bool,
    now: Timestamp,
    decision: &mut Decision,
) -> Option<Outcome> {
    let outcome = |kind, reason: &str, message: &str| {
        Some(Outcome {
            kind,
            reason: reason.into(),
            message: message.into(),
        })
    };
    let failure = |reason: &str, message: &str| outcome("FailureTarget", reason, message);
    if let Some(message) = &count.fail_job {
        return failure("PodFailurePolicy", message);
    }
    if count.failed > job.spec.backoff_limit.unwrap_or(6) || restarted_too_often(job, pods) {
        return failure("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    if let (Some(deadline), Some(start), false) =
        (job.spec.active_deadline_seconds, decision.status.start_time, suspended)
    {
        let left = SignedDuration::from_secs(deadline) - now.duration_since(start);
        if left <= SignedDuration::ZERO {
            return failure("DeadlineExceeded", "Job was active longer than specified deadline");
        }
        decision.wake(left);
    }
    let active = pods.iter().filter(|pod| pod.active()).count();
    let completions = job.spec.completions;
    if job.indexed() && job.spec.backoff_limit_per_index.is_some() {
        let failed = number(count.failed_indexes.len());
        if job.spec.max_failed_indexes.is_some_and(|most| failed > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return failure("MaxFailedIndexesExceeded", message);
        }
        if failed > 0 && completions.is_some_and(|wanted| count.succeeded + failed >= wanted) {
            return failure("FailedIndexes", "Job has failed indexes");
        }
    }
    if job.indexed() {
        let early = succeeded_early(&job.spec.success_policy, &count.completed, completions.unwrap_or(0));
        if let Some(message) = early {
            return outcome("SuccessCriteriaMet", "SuccessPolicy", &message);
        }
    }
    let reached = match completions {
        None => count.succeeded > 0 && active == 0,
        Some(wanted) => count.succeeded >= wanted && active == 0,
    };
    if reached {
        return outcome(
            "SuccessCriteriaMet",
            "CompletionsReached",
            "Reached expected number of succeeded pods",
        );
    }
    None
}

/// With restartPolicy OnFailure the restarts of containers count instead of failed pods.
fn restarted_too_often(job: &Job, pods: &[PodFacts]) -> bool {
    if job.spec.template["spec"]["restartPolicy"] != "OnFailure" {
        return false;
    }
    let alive = pods.iter().filter(|pod| matches!(pod.phase(), "Pending" | "Running"));
    let restarts: i64 = alive
        .map(|pod| {
            let initial: i64 = pod
                .status
                .init_container_statuses
                .iter()
                .map(|status| status.restart_count)
                .sum();
            pod.restarts() + initial
        })
        .sum();
    let limit = job.spec.backoff_limit.unwrap_or(6);
    if limit == 0 { restarts > 0 } else { restarts >= limit }
}

/// Makes pods that are missing and dismisses those that are too many.
fn manage(
    job: &Job,
    pods: &[PodFacts],
    count: &Count,
    active: &mut Vec<&PodFacts>,
    now: Timestamp,
    decision: &mut Decision,
) {
    let useless = useless(job, count, active);
    active.retain(|pod| !useless.contains(&pod.metadata.name));
    decision.dismiss = useless;
    let wanted = match job.spec.completions {
        None if count.succeeded > 0 => number(active.len()).min(job.parallelism()),
        None => job.parallelism(),
        Some(completions) => (completions - count.succeeded - number(count.failed_indexes.len()))
            .min(job.parallelism())
            .max(0),
    };
    let surplus = number(active.len()) - wanted;
    if surplus > 0 {
        let owned: Vec<PodFacts> = active.iter().map(|pod| (*pod).clone()).collect();
        let chosen = deletions(&owned, usize::try_from(surplus).unwrap_or(0), now);
        let names: Vec<String> = chosen.iter().map(|pod| pod.metadata.name.clone()).collect();
        active.retain(|pod| !names.contains(&pod.metadata.name));
        decision.dismiss.extend(names);
        return;
    }
    let ending: Vec<&PodFacts> = pods
        .iter()
        .filter(|pod| pod.metadata.deleting() && !pod.ended())
        .collect();
    let waits = if job.replaces_only_failed() {
        number(ending.len())
    } else {
        0
    };
    let missing = (wanted - number(active.len()) - waits).clamp(0, MOST_AT_ONCE);
    if missing == 0 {
        return;
    }
    let blocked: &[&PodFacts] = if job.replaces_only_failed() { &ending } else { &[] };
    if job.indexed() {
        make_indexes(job, pods, count, active, blocked, missing, now, decision);
        return;
    }
    let failures = failed_since_success(job, pods);
    if let Some(left) = backoff(failures, now) {
        decision.wake(left);
        return;
    }
    decision.make = (0..missing)
        .map(|_| Make {
            index: None,
            failures: None,
        })
        .collect();
}

/// Active pods of an Indexed Job that work on nothing: an index that is done, does not exist, or is another pod's already.
fn useless(job: &Job, count: &Count, active: &[&PodFacts]) -> Vec<String> {
    if !job.indexed() {
        return Vec::new();
    }
    let mut order: Vec<&&PodFacts> = active.iter().collect();
    order.sort_by_key(|pod| (!pod.ready(), pod.metadata.creation_timestamp, pod.metadata.name.clone()));
    let mut taken = BTreeSet::new();
    let keeps = |pod: &PodFacts, taken: &mut BTreeSet<i64>| {
        index_of(pod).is_some_and(|index| {
            (0..job.spec.completions.unwrap_or(0)).contains(&index)
                && !count.completed.contains(&index)
                && !count.failed_indexes.contains(&index)
                && taken.insert(index)
        })
    };
    order.retain(|pod| !keeps(pod, &mut taken));
    order.iter().map(|pod| pod.metadata.name.clone()).collect()
}

#[allow(clippy::too_many_arguments, reason = "the facts of one decision")]
fn make_indexes(
    job: &Job,
    pods: &[PodFacts],
    count: &Count,
    active: &[&PodFacts],
    blocked: &[&PodFacts],
    missing: i64,
    now: Timestamp,
    decision: &mut Decision,
) {
    let busy: BTreeSet<i64> = active.iter().chain(blocked).filter_map(|pod| index_of(pod)).collect();
    let limited = job.spec.backoff_limit_per_index.is_some();
    let mut failed: BTreeMap<i64, (i64, Option<Timestamp>)> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| job.counts_as_failed(pod)) {
        let ignored = judge(&job.spec.pod_failure_policy, pod) == Verdict::Ignore;
        let Some(index) = index_of(pod) else { continue };
        let entry = failed.entry(index).or_default();
        entry.0 = entry.0.max(failures_before(pod) + i64::from(!ignored));
        entry.1 = entry.1.max(ended_at(pod));
    }
    if !limited && let Some(left) = backoff(failed_since_success(job, pods), now) {
        decision.wake(left);
        return;
    }
    let mut left_to_make = missing;
    for index in 0..job.spec.completions.unwrap_or(0) {
        if left_to_make == 0 {
            break;
        }
        if busy.contains(&index) || count.completed.contains(&index) || count.failed_indexes.contains(&index) {
            continue;
        }
        let (failures, last) = failed.get(&index).copied().unwrap_or_default();
        if limited && let Some(left) = backoff((failures, last), now) {
            decision.wake(left);
            continue;
        }
        left_to_make -= 1;
        decision.make.push(Make {
            index: Some(index),
            failures: limited.then_some(failures),
        });
    }
}

/// Pods that failed since the last that succeeded, and when the last of them did.
fn failed_since_success(job: &Job, pods: &[PodFacts]) -> (i64, Option<Timestamp>) {
    let success = pods
        .iter()
        .filter(|pod| pod.phase() == "Succeeded")
        .filter_map(ended_at)
        .max();
    let failed = pods.iter().filter(|pod| pod.phase() == "Failed");
    let counting = failed.filter(|pod| judge(&job.spec.pod_failure_policy, pod) != Verdict::Ignore);
    let ends: Vec<Timestamp> = counting
        .filter_map(ended_at)
        .filter(|end| Some(*end) > success)
        .collect();
    (number(ends.len()), ends.into_iter().max())
}

/// How long to wait after failures.
fn backoff((failures, last): (i64, Option<Timestamp>), now: Timestamp) -> Option<SignedDuration> {
    if failures == 0 {
        return None;
    }
    let power = u32::try_from((failures - 1).min(10)).unwrap_or(10);
    let delay = (FIRST_DELAY * 2_i64.pow(power)).min(LONGEST_DELAY);
    let left = SignedDuration::from_secs(delay) - now.duration_since(last?);
    (left > SignedDuration::ZERO).then_some(left)
}

/// Ends the Job: nothing of it runs and everything is counted.
fn finish(outcome: Outcome, now: Timestamp, decision: &mut Decision) {
    let Outcome { kind, reason, message } = outcome;
    if kind == "SuccessCriteriaMet" {
        put(
            &mut decision.status.conditions,
            dated("Complete", "True", &reason, &message, now),
        );
        decision.status.completion_time = Some(whole(now));
        decision
            .events
            .push((false, "Completed".into(), "Job completed".into()));
    } else {
        put(
            &mut decision.status.conditions,
            dated("Failed", "True", &reason, &message, now),
        );
        decision.events.push((true, reason, message));
    }
    // The end itself may set off the time to live.
    decision.wake(SignedDuration::ZERO);
}
