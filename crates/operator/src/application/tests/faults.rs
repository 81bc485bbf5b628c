//! Faults of other operators, each with the test that shows we do not have it.

use k8s_openapi::api::core::v1::Pod;

use super::*;
use stoke_model::crd::ExecutorState;

#[test]
fn a_crash_after_the_intent_submits_the_same_again() {
    let mut facts = fresh(never());
    let first = decide(&facts, at(0));
    write(&mut facts, &first);
    let again = decide(&facts, at(300));
    assert_eq!(asked(&again), [Action::Submit]);
    assert_eq!(
        again.status, first.status,
        "same id, same attempt, same pod name, same time"
    );
}

#[test]
fn a_cache_without_the_driver_proves_nothing() {
    for make in [submitted, running] {
        let mut facts = make(never());
        facts.driver = Driver::NotCached;
        let decision = decide(&facts, at(3600));
        assert_eq!(asked(&decision), confirm_driver());
        assert_eq!(
            Some(decision.status.app_state),
            facts.app.status.map(|status| status.app_state)
        );
    }
}

#[test]
fn a_driver_of_another_submission_in_the_cache_proves_nothing_either() {
    let mut facts = running(never());
    facts.driver = Driver::Present(DriverPod {
        name: "pi-driver".into(),
        submission_id: Some("old".into()),
        ..Default::default()
    });
    assert_eq!(asked(&decide(&facts, at(60))), confirm_driver());
    if let Driver::Present(pod) = &mut facts.driver {
        pod.live = true;
        pod.progress = failed();
    }
    assert_eq!(state(&decide(&facts, at(60))), State::Failed);
}

#[test]
fn every_wait_for_a_deletion_has_a_time_to_look_again_and_asks_the_api_server() {
    for waiting in [State::Invalidating, State::Suspending] {
        let mut facts = running(never());
        set_state(&mut facts, waiting);
        facts.driver = Driver::NotCached;
        let decision = decide(&facts, at(60));
        assert_eq!(asked(&decision), confirm_driver(), "{waiting:?}");
        assert!(decision.requeue_at.is_some());
    }
}

#[test]
fn the_reason_for_waiting_is_shown_and_goes_when_the_driver_runs() {
    let mut facts = submitted(never());
    let reason = PendingReason {
        reason: "ImagePullBackOff".into(),
        message: "Back-off pulling image \"spark:9\"".into(),
        on_node: true,
    };
    facts.driver = driver(&facts, Progress::Pending(Some(reason)));
    let decision = decide(&facts, at(20));
    assert_eq!(state(&decision), State::Submitted);
    assert_eq!(
        decision.status.app_state.error_message,
        "ImagePullBackOff: Back-off pulling image \"spark:9\""
    );
    let ready = &decision.status.conditions[0];
    assert_eq!(
        (ready.type_.as_str(), ready.status.as_str(), ready.reason.as_str()),
        ("DriverReady", "False", "ImagePullBackOff")
    );
    write(&mut facts, &decision);
    facts.driver = driver(&facts, Progress::Running);
    assert_eq!(decide(&facts, at(30)).status.app_state.error_message, "");
}

/// A driver pod that nothing was done for since it was made, or bound.
fn stalled(facts: &Facts, spec: Value, status: Value) -> Driver {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "pi-driver", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec, "status": status,
    }))
    .unwrap();
    let Driver::Present(known) = driver(facts, Progress::Pending(None)) else {
        unreachable!()
    };
    Driver::Present(DriverPod {
        submission_id: known.submission_id,
        ..DriverPod::read(&pod)
    })
}

#[test]
fn a_scheduler_that_is_not_there_is_told_after_seconds() {
    let mut facts = submitted(never());
    facts.driver = stalled(
        &facts,
        json!({"containers": [], "schedulerName": "yunikorn"}),
        json!({"phase": "Pending"}),
    );
    let decision = decide(&facts, at(1));
    assert_eq!(decision.status.app_state.error_message, "");
    assert_eq!(decision.requeue_at, wait(5), "looks again when it is worth telling");
    assert_eq!(facts.asks_for_events(at(100)), None);
    let decision = decide(&facts, at(5));
    let message = &decision.status.app_state.error_message;
    assert!(
        message.starts_with("NoScheduler: no scheduler by the name yunikorn"),
        "{message}"
    );
    assert_eq!(condition(&decision, "DriverReady"), is("False", "NoScheduler"));
    assert_eq!(
        decide(&facts, at(65)).status.app_state.error_message,
        *message,
        "the same words are written once"
    );
}

#[test]
fn what_only_events_tell_is_asked_for_soon_and_ever_later() {
    let mut facts = submitted(never());
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({"phase": "Pending", "conditions": [scheduled]});
    facts.driver = stalled(&facts, json!({"containers": [], "nodeName": "n"}), status);
    for (now, next) in [(0, 5), (5, 10), (20, 30), (60, 90), (600, 660)] {
        assert_eq!(decide(&facts, at(now)).requeue_at, wait(next), "{now}");
        assert_eq!(facts.asks_for_events(at(now)).is_some(), now >= 5, "{now}");
    }
    let event = json!({"metadata": {}, "type": "Warning", "reason": "FailedMount", "message": "configmap \"c\" not found",
        "involvedObject": {"kind": "Pod", "name": "pi-driver"}, "lastTimestamp": "2026-01-01T00:00:03Z"});
    facts.events_say =
        stoke_model::waiting::from_events("default", "pi-driver", &[serde_json::from_value(event).unwrap()]);
    let decision = decide(&facts, at(6));
    let message = &decision.status.app_state.error_message;
    assert!(
        message.contains("FailedMount: configmap \"c\" not found")
            && message.contains("create the ConfigMap c in the namespace default"),
        "{message}"
    );
    assert_eq!(condition(&decision, "DriverReady"), is("False", "FailedMount"));
    facts.driver = driver(&facts, Progress::Running);
    assert_eq!(
        decide(&facts, at(7)).status.app_state.error_message,
        "",
        "what was told of a start is over with it"
    );
}

#[test]
fn without_a_timeout_a_pending_driver_waits_with_one_it_fails_and_is_removed() {
    let mut facts = submitted(never());
    let reason = PendingReason {
        reason: "Unschedulable".into(),
        message: "0/1 nodes are available: 1 Insufficient cpu.".into(),
        on_node: false,
    };
    facts.driver = driver(&facts, Progress::Pending(Some(reason)));
    assert_eq!(state(&decide(&facts, at(1_000_000))), State::Submitted);
    annotate(&mut facts, "stoke.dev/pending-timeout", "1m");
    let decision = decide(&facts, at(30));
    assert_eq!((state(&decision), decision.requeue_at), (State::Submitted, wait(60)));
    let decision = decide(&facts, at(60));
    assert_eq!(state(&decision), State::Failing);
    assert_eq!(
        asked(&decision),
        delete_driver(),
        "nothing that might still start is left"
    );
    let message = &decision.status.app_state.error_message;
    assert!(
        message.contains("did not start within 1m") && message.contains("Insufficient cpu"),
        "{message}"
    );
    write(&mut facts, &decision);
    facts.driver = Driver::Gone;
    assert_eq!(state(&decide(&facts, at(61))), State::Failed);
}

#[test]
fn a_timeout_that_is_none_is_refused_before_anything_is_created() {
    let mut facts = fresh(on_failure(5, 1));
    annotate(&mut facts, "stoke.dev/pending-timeout", "soon");
    let decision = decide(&facts, at(0));
    assert_eq!(state(&decision), State::Failed);
    assert!(decision.status.app_state.error_message.contains("is not allowed"));
    assert!(asked(&decision).is_empty());
}

#[test]
fn what_no_retry_can_change_is_not_retried() {
    let mut facts = fresh(always());
    round(&mut facts, at(0));
    facts.submission = Some(Outcome::Refused {
        code: "ForbiddenKey".into(),
        message: "spark.master is not allowed".into(),
        permanent: true,
    });
    let decision = decide(&facts, at(0));
    assert_eq!(state(&decision), State::Failed);
    let reasons: Vec<_> = decision
        .status
        .conditions
        .iter()
        .map(|c| (c.type_.as_str(), c.reason.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [("DriverReady", "ForbiddenKey"), ("Failed", "SubmissionFailed")]
    );
}

#[test]
fn an_edit_of_what_never_ran_runs_it() {
    let mut facts = fresh(never());
    round(&mut facts, at(0));
    facts.submission = Some(refused());
    round(&mut facts, at(0));
    assert!(asked(&decide(&facts, at(10))).is_empty());
    edit(&mut facts);
    let decision = decide(&facts, at(20));
    assert_eq!(path(&facts, &decision), [State::Invalidating, State::PendingRerun]);
    assert_eq!(asked(&decision), [Action::Submit]);
}

#[test]
fn an_edit_of_what_has_ended_changes_nothing_unless_asked() {
    let mut facts = running(never());
    facts.driver = driver(&facts, succeeded());
    round(&mut facts, at(60));
    edit(&mut facts);
    let decision = decide(&facts, at(70));
    assert_eq!(state(&decision), State::Completed);
    annotate(&mut facts, "stoke.dev/on-edit", "Restart");
    let decision = decide(&facts, at(70));
    assert_eq!(path(&facts, &decision), [State::Invalidating]);
}

#[test]
fn an_edit_may_be_kept_for_the_next_run() {
    for (value, reason) in [
        ("NextRun", "SparkApplicationSpecUpdateDeferred"),
        ("Reject", "SparkApplicationSpecUpdateRejected"),
    ] {
        let mut facts = running(never());
        annotate(&mut facts, "stoke.dev/on-edit", value);
        edit(&mut facts);
        let decision = decide(&facts, at(60));
        assert_eq!(state(&decision), State::Running);
        assert_eq!(decision.events.iter().filter(|event| event.reason == reason).count(), 1);
        write(&mut facts, &decision);
        assert!(decide(&facts, at(61)).events.is_empty(), "said once");
    }
}

#[test]
fn suspend_and_time_to_live_are_no_edits() {
    let mut facts = running(never());
    facts.app.spec.time_to_live_seconds = Some(5);
    facts.app.metadata.generation = Some(2);
    let decision = decide(&facts, at(60));
    assert_eq!(state(&decision), State::Running);
    assert_eq!(decision.status.observed_generation, Some(2));
}

#[test]
fn an_edit_between_intent_and_driver_starts_over() {
    let mut facts = fresh(never());
    round(&mut facts, at(0));
    edit(&mut facts);
    let decision = decide(&facts, at(1));
    assert_eq!(path(&facts, &decision), [State::Invalidating]);
    assert_eq!(asked(&decision), confirm_driver());
}

#[test]
fn a_pod_in_the_way_is_waited_for_and_removed_when_it_is_ours() {
    let mut facts = fresh(never());
    round(&mut facts, at(0));
    facts.submission = Some(Outcome::Blocked {
        message: "pod pi-driver of an earlier run is being deleted".into(),
    });
    let decision = decide(&facts, at(1));
    assert_eq!(decision.requeue_at, wait(2));
    assert!(decision.status.app_state.error_message.contains("earlier run"));
    facts.driver = driver(&facts, Progress::Running);
    assert_eq!(asked(&decide(&facts, at(1))), delete_driver());
}

#[test]
fn termination_time_is_always_set_when_an_application_has_ended() {
    let mut facts = fresh(json!({"timeToLiveSeconds": 60}));
    set_state(&mut facts, State::Failed);
    let decision = decide(&facts, at(5));
    assert_eq!(decision.status.termination_time, time(5));
    assert!(decision.requeue_at.is_some());
}

#[test]
fn the_node_s_time_of_the_end_is_used_unless_its_clock_is_off() {
    for (at_node, recorded) in [(40, 40), (500, 60), (-500, 60)] {
        let mut facts = running(never());
        facts.driver = driver(&facts, Progress::Succeeded { at: Some(at(at_node)) });
        assert_eq!(decide(&facts, at(60)).status.termination_time, time(recorded));
    }
}

#[test]
fn a_clock_that_goes_backwards_does_not_stretch_the_back_off() {
    let mut facts = running(on_failure(3, 30));
    facts.driver = driver(&facts, failed());
    round(&mut facts, at(100_000));
    let decision = round(&mut facts, at(1_000));
    assert_eq!(decision.requeue_at, wait(1_030));
    assert_eq!(
        asked(&decide(&facts, at(1_030))),
        delete_driver(),
        "nor does looking again"
    );
}

#[test]
fn nor_that_of_a_failed_submission() {
    let mut facts = fresh(on_failure(3, 30));
    round(&mut facts, at(100_000));
    facts.submission = Some(refused());
    round(&mut facts, at(100_000));
    let decision = round(&mut facts, at(1_000));
    assert_eq!(decision.requeue_at, wait(1_030));
    assert_eq!(asked(&decide(&facts, at(1_030))), [Action::Submit]);
}

#[test]
fn transitions_are_bounded() {
    let mut facts = running(never());
    for turn in 0..60 {
        let progress = if turn % 2 == 0 {
            Progress::Unknown
        } else {
            Progress::Running
        };
        facts.driver = driver(&facts, progress);
        round(&mut facts, at(100 + turn));
    }
    let transitions = facts.app.status.unwrap().transitions;
    assert_eq!(transitions.len(), KEPT_TRANSITIONS);
    assert_eq!(transitions.last().unwrap().time, Time(at(159)));
}

fn executor(facts: &Facts, id: u64, state: ExecutorState) -> ExecutorPod {
    ExecutorPod {
        name: format!("pi-exec-{id}"),
        id: Some(id),
        submission_id: facts
            .app
            .status
            .as_ref()
            .and_then(|status| status.submission_id.clone()),
        state,
        detail: String::new(),
        ..ExecutorPod::default()
    }
}

#[test]
fn executors_follow_their_pods() {
    let mut facts = running(never());
    facts.executors = vec![
        executor(&facts, 1, ExecutorState::Running),
        executor(&facts, 2, ExecutorState::Pending),
    ];
    let mut other = executor(&facts, 9, ExecutorState::Running);
    other.submission_id = Some("an earlier attempt".into());
    facts.executors.push(other);
    facts.gathering = Some(GATHER);
    let decision = decide(&facts, at(20));
    let seen = |decision: &Decision| -> Vec<(String, ExecutorState)> {
        decision
            .status
            .executor_state
            .iter()
            .map(|(name, state)| (name.clone(), *state))
            .collect()
    };
    assert_eq!(
        seen(&decision),
        [
            ("pi-exec-1".into(), ExecutorState::Running),
            ("pi-exec-2".into(), ExecutorState::Pending)
        ]
    );
    assert_eq!(decision.events.len(), 2);
    write(&mut facts, &decision);
    facts.executors.truncate(1);
    assert_eq!(
        seen(&decide(&facts, at(21)))[1].1,
        ExecutorState::Unknown,
        "gone while the driver runs"
    );
    facts.driver = driver(&facts, succeeded());
    assert_eq!(
        seen(&decide(&facts, at(22)))[1].1,
        ExecutorState::Completed,
        "gone when the driver completed"
    );
    facts.driver = driver(&facts, failed());
    assert_eq!(
        seen(&decide(&facts, at(22)))[1].1,
        ExecutorState::Failed,
        "gone when the driver failed"
    );
}

#[test]
fn executor_state_is_bounded_and_never_hides_a_live_executor() {
    let mut facts = running(never());
    facts.executors = (1..=1500)
        .map(|id| executor(&facts, id, ExecutorState::Failed))
        .collect();
    let running: Vec<_> = (1501..=1600)
        .map(|id| executor(&facts, id, ExecutorState::Running))
        .collect();
    facts.executors.extend(running);
    facts.executors[0].state = ExecutorState::Running;
    facts.gathering = Some(GATHER);
    let decision = decide(&facts, at(20));
    let map = &decision.status.executor_state;
    assert_eq!(map.len(), KEPT_EXECUTORS);
    let mut few = facts.clone();
    few.limits.executors = Some(50);
    assert_eq!(decide(&few, at(20)).status.executor_state.len(), 101, "the live ones");
    assert_eq!(
        map.values().filter(|state| **state == ExecutorState::Running).count(),
        101
    );
    assert!(
        map.contains_key("pi-exec-1500") && !map.contains_key("pi-exec-2"),
        "the oldest ended ones go"
    );
    write(&mut facts, &decision);
    let again = decide(&facts, at(21));
    assert_eq!(
        again.status.executor_state, decision.status.executor_state,
        "and do not come back"
    );
    assert!(again.events.is_empty());
}

#[test]
fn news_of_executors_alone_waits_for_more_of_it() {
    let mut facts = running(never());
    facts.executors = vec![executor(&facts, 1, ExecutorState::Running)];
    let waited = |facts: &Facts, milliseconds: Option<i64>| {
        let gathering = milliseconds.map(SignedDuration::from_millis);
        decide(
            &Facts {
                gathering,
                ..facts.clone()
            },
            at(20),
        )
    };
    for (milliseconds, actions, left) in [
        (None, vec![Action::Gather], Some(500)),
        (Some(0), vec![], Some(500)),
        (Some(300), vec![], Some(200)),
    ] {
        let decision = waited(&facts, milliseconds);
        assert_eq!(decision.actions, actions, "{milliseconds:?}");
        assert_eq!(
            decision.requeue_at,
            left.map(|left| at(20) + SignedDuration::from_millis(left))
        );
        assert_eq!(Some(decision.status), facts.app.status, "nothing is written");
        assert!(decision.events.is_empty());
    }
    let over = waited(&facts, Some(500));
    assert_eq!(over.actions, [Action::EndGathering, Action::Write, Action::Publish]);
    // News of anything else is written at once, with what was gathered.
    facts.driver = driver(&facts, failed());
    let ended = waited(&facts, Some(1));
    assert!(ended.actions.starts_with(&[Action::EndGathering]) && ended.actions.contains(&Action::Write));
}
