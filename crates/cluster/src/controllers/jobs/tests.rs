use jiff::Timestamp;
use serde_json::{Value, json};

use super::decide::{Decision, Make, decide};
use super::facts::{INDEX, Job, TRACKING};
use crate::controllers::facts::{Condition, PodFacts};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn job(spec: Value) -> Job {
    let mut value = json!({"metadata": {"name": "j", "namespace": "n", "uid": "u"}, "spec": {
        "parallelism": 2, "completions": 3, "backoffLimit": 2, "template": {"spec": {"restartPolicy": "Never"}}},
        "status": {"startTime": at(0).to_string()}});
    for (name, field) in spec.as_object().unwrap() {
        value["spec"][name] = field.clone();
    }
    serde_json::from_value(value).unwrap()
}

/// A pod in a phase that ended (if it did) at a second.
fn pod(name: &str, phase: &str, end: i64) -> PodFacts {
    changed(name, phase, end, |_| {})
}

fn changed(name: &str, phase: &str, end: i64, edit: impl Fn(&mut Value)) -> PodFacts {
    let mut value = json!({"metadata": {"name": name, "namespace": "n", "uid": name, "finalizers": [TRACKING],
        "creationTimestamp": at(0).to_string()},
        "spec": {"nodeName": "n"}, "status": {"phase": phase}});
    if matches!(phase, "Succeeded" | "Failed") {
        let code = i64::from(phase == "Failed");
        value["status"]["containerStatuses"] =
            json!([{"name": "c", "state": {"terminated": {"exitCode": code, "finishedAt": at(end).to_string()}}}]);
    }
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

fn indexed(name: &str, phase: &str, index: i64, failures: i64) -> PodFacts {
    changed(name, phase, 0, |pod| {
        pod["metadata"]["annotations"] =
            json!({INDEX: index.to_string(), "batch.kubernetes.io/job-index-failure-count": failures.to_string()});
    })
}

fn holds(decision: &Decision, kind: &str) -> Option<String> {
    let condition = Condition::find(&decision.status.conditions, kind).filter(|condition| condition.status == "True");
    condition.map(|condition| condition.reason.clone())
}

/// Looks again until nothing changes, with the pods released as the decisions say.
fn settled(job: &mut Job, pods: &mut [PodFacts], now: Timestamp) -> Decision {
    for _ in 0..10 {
        let decision = decide(job, pods, now);
        let same = decision.status == job.status && decision.release.is_empty();
        job.status = decision.status.clone();
        for pod in pods
            .iter_mut()
            .filter(|pod| decision.release.contains(&pod.metadata.name))
        {
            pod.metadata.finalizers.clear();
        }
        if same {
            return decision;
        }
    }
    panic!("it never comes to rest");
}

#[test]
fn as_many_pods_as_are_missing_and_allowed() {
    let made = |job: &Job, pods: &[PodFacts]| decide(job, pods, at(1)).make.len();
    assert_eq!(made(&job(json!({})), &[]), 2);
    assert_eq!(made(&job(json!({})), &[pod("a", "Running", 0)]), 1);
    assert_eq!(
        made(&job(json!({})), &[pod("a", "Succeeded", 0), pod("b", "Succeeded", 0)]),
        1
    );
    assert_eq!(made(&job(json!({"parallelism": 0})), &[]), 0);
    assert_eq!(made(&job(json!({"completions": null, "parallelism": 3})), &[]), 3);
    // A work queue makes no more pods once one has succeeded.
    let queue = job(json!({"completions": null, "parallelism": 3}));
    assert_eq!(made(&queue, &[pod("a", "Succeeded", 0), pod("b", "Running", 0)]), 0);
    let too_many = [pod("a", "Running", 0), pod("b", "Running", 0), pod("c", "Pending", 0)];
    assert_eq!(decide(&job(json!({})), &too_many, at(1)).dismiss, ["c"]);
}

#[test]
fn ends_are_counted_once_wherever_the_process_stops() {
    let mut job = job(json!({}));
    let mut pods = vec![
        pod("a", "Succeeded", 0),
        pod("b", "Failed", 0),
        pod("c", "Succeeded", 0),
    ];
    // First the UIDs are written; nothing is in the counts, no pod is let go before that.
    let first = decide(&job, &pods, at(100));
    assert_eq!(first.status.uncounted_terminated_pods.succeeded.len(), 2);
    assert_eq!((first.status.succeeded, first.status.failed), (0, 0));
    assert_eq!(first.release.len(), 3);
    // Stopped before the status was written: the same again.
    assert_eq!(decide(&job, &pods, at(100)).status, first.status);
    // Stopped after it, with one finalizer gone.
    job.status = first.status;
    pods[0].metadata.finalizers.clear();
    let second = decide(&job, &pods, at(100));
    assert_eq!((second.status.succeeded, second.status.failed), (1, 0));
    // A pod that is gone altogether is counted too.
    pods.remove(0);
    let end = settled(&mut job, &mut pods, at(100));
    assert_eq!((end.status.succeeded, end.status.failed), (2, 1));
    assert!(end.status.uncounted_terminated_pods.is_empty());
}

#[test]
fn enough_successes_complete_the_job() {
    let mut job = job(json!({}));
    let mut pods = [
        pod("a", "Succeeded", 0),
        pod("b", "Succeeded", 0),
        pod("c", "Succeeded", 0),
    ];
    let first = decide(&job, &pods, at(1));
    assert_eq!(
        holds(&first, "SuccessCriteriaMet").as_deref(),
        Some("CompletionsReached")
    );
    assert_eq!(holds(&first, "Complete"), None, "not everything is counted yet");
    let end = settled(&mut job, &mut pods, at(1));
    assert_eq!(holds(&end, "Complete").as_deref(), Some("CompletionsReached"));
    assert_eq!((end.status.succeeded, end.status.completion_time), (3, Some(at(1))));
}

#[test]
fn too_many_failures_fail_the_job_after_its_pods_have_gone() {
    let mut job = job(json!({}));
    let mut pods = vec![
        pod("a", "Failed", 0),
        pod("b", "Failed", 0),
        pod("c", "Failed", 0),
        pod("d", "Running", 0),
    ];
    let first = decide(&job, &pods, at(100));
    assert_eq!(holds(&first, "FailureTarget").as_deref(), Some("BackoffLimitExceeded"));
    assert_eq!(
        (first.stop.as_slice(), holds(&first, "Failed")),
        (&["d".to_owned()][..], None)
    );
    pods[3].metadata.deletion_timestamp = Some(at(100));
    let waiting = settled(&mut job, &mut pods, at(101));
    assert_eq!(holds(&waiting, "Failed"), None);
    assert_eq!(waiting.status.terminating, Some(1));
    pods.pop();
    let end = settled(&mut job, &mut pods, at(102));
    assert_eq!(holds(&end, "Failed").as_deref(), Some("BackoffLimitExceeded"));
    assert_eq!(end.status.failed, 4);
}

#[test]
fn failures_are_followed_by_growing_pauses() {
    for (failures, second, made) in [(1, 9, 0), (1, 10, 2), (2, 19, 0), (2, 20, 2)] {
        let pods: Vec<PodFacts> = (0..failures).map(|n| pod(&format!("p{n}"), "Failed", 0)).collect();
        let decision = decide(&job(json!({})), &pods, at(second));
        assert_eq!(decision.make.len(), made, "{failures} failures, {second} s later");
        assert_eq!(decision.later.is_some(), made == 0);
    }
}

#[test]
fn a_deadline_fails_the_job_and_wakes_it_in_time() {
    let job = job(json!({"activeDeadlineSeconds": 30}));
    let early = decide(&job, &[pod("a", "Running", 0)], at(10));
    assert_eq!(early.later.map(|wait| wait.as_secs()), Some(20));
    let late = decide(&job, &[pod("a", "Running", 0)], at(30));
    assert_eq!(holds(&late, "FailureTarget").as_deref(), Some("DeadlineExceeded"));
}

#[test]
fn restarts_of_containers_count_with_on_failure() {
    let spec = json!({"template": {"spec": {"restartPolicy": "OnFailure"}}, "backoffLimit": 2});
    let restarted = |count: i64| {
        changed("a", "Running", 0, |pod| {
            pod["status"]["containerStatuses"] = json!([{"name": "c", "restartCount": count}]);
        })
    };
    assert_eq!(
        holds(&decide(&job(spec.clone()), &[restarted(1)], at(1)), "FailureTarget"),
        None
    );
    assert!(holds(&decide(&job(spec), &[restarted(2)], at(1)), "FailureTarget").is_some());
}

#[test]
fn a_suspended_job_has_no_pods_and_no_start() {
    let mut job = job(json!({"suspend": true}));
    let decision = decide(&job, &[pod("a", "Running", 0)], at(1));
    assert_eq!(decision.dismiss, ["a"]);
    assert_eq!((decision.status.start_time, decision.make.len()), (None, 0));
    assert_eq!(
        decision.events,
        [(false, "Suspended".to_owned(), "Job suspended".to_owned())]
    );
    job.status = decision.status;
    job.spec.suspend = false;
    let resumed = decide(&job, &[], at(5));
    assert_eq!((resumed.status.start_time, resumed.make.len()), (Some(at(5)), 2));
    assert_eq!(resumed.events[0].1, "Resumed");
}

#[test]
fn every_index_has_one_pod() {
    let spec = json!({"completionMode": "Indexed", "completions": 4, "parallelism": 3});
    let made = |pods: &[PodFacts]| -> Vec<i64> {
        let decision = decide(&job(spec.clone()), pods, at(100));
        decision.make.iter().filter_map(|make: &Make| make.index).collect()
    };
    assert_eq!(made(&[]), [0, 1, 2]);
    assert_eq!(
        made(&[indexed("a", "Succeeded", 1, 0), indexed("b", "Running", 0, 0)]),
        [2, 3]
    );
    let doubled = [
        indexed("a", "Running", 0, 0),
        indexed("b", "Running", 0, 0),
        indexed("c", "Running", 9, 0),
    ];
    let decision = decide(&job(spec.clone()), &doubled, at(1));
    assert_eq!(decision.dismiss, ["b", "c"]);
    let all: Vec<PodFacts> = (0..4)
        .map(|index| indexed(&format!("p{index}"), "Succeeded", index, 0))
        .collect();
    let mut whole = job(spec);
    let end = settled(&mut whole, &mut all.clone(), at(1));
    assert_eq!(
        (end.status.completed_indexes.as_str(), end.status.succeeded),
        ("0-3", 4)
    );
    assert!(holds(&end, "Complete").is_some());
}

#[test]
fn an_index_fails_on_its_own() {
    let spec = json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimit": 2_147_483_647,
        "backoffLimitPerIndex": 1});
    let first = decide(
        &job(spec.clone()),
        &[indexed("a", "Failed", 0, 0), indexed("b", "Running", 1, 0)],
        at(100),
    );
    assert_eq!(
        first.make,
        [Make {
            index: Some(0),
            failures: Some(1)
        }]
    );
    let mut job = job(spec);
    let mut pods = [
        indexed("a", "Failed", 0, 0),
        indexed("c", "Failed", 0, 1),
        indexed("b", "Succeeded", 1, 0),
    ];
    let end = settled(&mut job, &mut pods, at(200));
    assert_eq!(end.status.failed_indexes.as_deref(), Some("0"));
    assert_eq!(end.status.completed_indexes, "1");
    assert_eq!(holds(&end, "Failed").as_deref(), Some("FailedIndexes"));
}

#[test]
fn the_failure_policy_ignores_fails_the_job_or_counts() {
    let policy = |action: &str| {
        job(json!({"podReplacementPolicy": "Failed", "podFailurePolicy": {"rules": [
            {"action": action, "onExitCodes": {"operator": "In", "values": [1]}}]}}))
    };
    let mut ignoring = policy("Ignore");
    let mut pods = [pod("a", "Failed", 0)];
    let ignored = settled(&mut ignoring, &mut pods, at(1));
    assert_eq!(
        (ignored.status.failed, ignored.make.len()),
        (0, 2),
        "and without a pause"
    );
    let failed = decide(&policy("FailJob"), &[pod("a", "Failed", 0)], at(1));
    assert_eq!(holds(&failed, "FailureTarget").as_deref(), Some("PodFailurePolicy"));
}

#[test]
fn a_pod_being_deleted_is_replaced_at_once_or_when_it_has_ended() {
    let dying = changed("a", "Running", 0, |pod| {
        pod["metadata"]["deletionTimestamp"] = at(0).to_string().into()
    });
    let at_once = decide(&job(json!({"parallelism": 1})), std::slice::from_ref(&dying), at(100));
    assert_eq!(at_once.make.len(), 1);
    let patient = decide(
        &job(json!({"parallelism": 1, "podReplacementPolicy": "Failed"})),
        &[dying],
        at(100),
    );
    assert_eq!(patient.make.len(), 0);
}

#[test]
fn a_finished_job_goes_when_its_time_to_live_is_over() {
    let mut job = job(json!({"ttlSecondsAfterFinished": 10}));
    job.status.conditions = vec![Condition::new("Complete", "True", "x", "", at(0))];
    assert_eq!(decide(&job, &[], at(4)).later.map(|wait| wait.as_secs()), Some(6));
    assert!(decide(&job, &[], at(10)).expired);
}
