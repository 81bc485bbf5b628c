//! One test per arrow of the published table.

use super::*;

#[test]
fn new_records_the_intent_before_anything_is_created() {
    let facts = fresh(never());
    let decision = decide(&facts, at(5));
    assert_eq!(asked(&decision), [Action::Submit]);
    let status = decision.status;
    assert_eq!(status.app_state.state, State::New);
    assert_eq!(status.driver_info.pod_name.as_deref(), Some("pi-driver"));
    assert!(status.submission_id.is_some());
    assert_eq!((status.submission_attempts, status.execution_attempts), (1, 0));
    assert_eq!(status.last_submission_attempt_time, time(5));
    assert!(decision.requeue_at.is_some());
}

#[test]
fn new_to_submitted() {
    let facts = submitted(never());
    let status = facts.app.status.unwrap();
    assert_eq!(status.spark_application_id.as_deref(), Some("spark-0"));
    assert_eq!((status.submission_attempts, status.execution_attempts), (1, 1));
    assert_eq!(status.driver_info.web_ui_service_name.as_deref(), Some("pi-ui-svc"));
    assert_eq!(
        status.driver_info.web_ui_address.as_deref(),
        Some("pi-ui-svc.default.svc:4040")
    );
}

#[test]
fn new_to_submission_failed() {
    let mut facts = fresh(on_failure(1, 5));
    round(&mut facts, at(0));
    facts.submission = Some(refused());
    let decision = decide(&facts, at(0));
    assert_eq!(state(&decision), State::SubmissionFailed);
    assert_eq!(
        decision.status.app_state.error_message,
        "failed to run spark-submit: pods is forbidden"
    );
    assert_eq!(decision.requeue_at, wait(5));
}

#[test]
fn submitted_stays_while_the_driver_is_pending() {
    let facts = submitted(never());
    let decision = decide(&facts, at(3600));
    assert_eq!(state(&decision), State::Submitted);
    assert!(asked(&decision).is_empty() && decision.requeue_at.is_some());
}

#[test]
fn submitted_to_running() {
    let facts = running(never());
    assert_eq!(facts.app.status.unwrap().app_state.error_message, "");
}

#[test]
fn submitted_to_failing_when_the_api_server_says_the_driver_is_gone() {
    let mut facts = submitted(never());
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(60));
    assert_eq!(path(&facts, &decision), [State::Failing, State::Failed]);
    assert_eq!(decision.status.app_state.error_message, "driver pod not found");
    assert_eq!(decision.status.termination_time, time(60));
}

#[test]
fn running_to_failing_when_the_api_server_says_the_driver_is_gone() {
    let mut facts = running(never());
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(60));
    assert_eq!(path(&facts, &decision), [State::Failing, State::Failed]);
}

#[test]
fn running_to_succeeding_to_completed() {
    let mut facts = running(never());
    facts.driver = driver(&facts, succeeded());
    let decision = decide(&facts, at(60));
    assert_eq!(path(&facts, &decision), [State::Succeeding, State::Completed]);
    assert_eq!(decision.status.termination_time, time(60));
    assert_eq!(decision.requeue_at, None);
}

#[test]
fn submitted_to_succeeding_when_running_was_never_seen() {
    let mut facts = submitted(never());
    facts.driver = driver(&facts, succeeded());
    assert_eq!(
        path(&facts, &decide(&facts, at(60))),
        [State::Succeeding, State::Completed]
    );
}

#[test]
fn running_to_failing_to_failed() {
    let mut facts = running(never());
    facts.driver = driver(&facts, failed());
    let decision = decide(&facts, at(60));
    assert_eq!(path(&facts, &decision), [State::Failing, State::Failed]);
    assert_eq!(
        decision.status.app_state.error_message,
        "driver container failed with ExitCode: 1, Reason: Error"
    );
    assert!(asked(&decision).is_empty(), "the last failed driver stays for its logs");
}

#[test]
fn running_to_unknown_and_back() {
    let mut facts = running(never());
    facts.driver = driver(&facts, Progress::Unknown);
    let decision = decide(&facts, at(60));
    assert_eq!(state(&decision), State::Unknown);
    assert!(decision.requeue_at.is_some());
    write(&mut facts, &decision);
    facts.driver = driver(&facts, Progress::Running);
    assert_eq!(state(&decide(&facts, at(61))), State::Running);
}

#[test]
fn unknown_to_succeeding_and_to_failing() {
    for (progress, end) in [(succeeded(), State::Completed), (failed(), State::Failed)] {
        let mut facts = running(never());
        set_state(&mut facts, State::Unknown);
        facts.driver = driver(&facts, progress);
        assert_eq!(state(&decide(&facts, at(60))), end);
    }
}

#[test]
fn succeeding_to_pending_rerun_under_always() {
    let mut facts = running(always());
    facts.driver = driver(&facts, succeeded());
    let decision = decide(&facts, at(60));
    assert_eq!(state(&decision), State::Succeeding);
    assert_eq!(asked(&decision), delete_driver());
    write(&mut facts, &decision);
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(61));
    assert_eq!(path(&facts, &decision), [State::PendingRerun]);
    assert_eq!(asked(&decision), [Action::Submit]);
    let status = decision.status;
    assert_eq!((status.execution_attempts, status.submission_attempts), (1, 1));
    assert_eq!((status.termination_time, status.spark_application_id), (None, None));
}

#[test]
fn failing_waits_from_the_failure_then_goes_to_pending_rerun() {
    let mut facts = running(on_failure(2, 30));
    facts.driver = driver(&facts, failed());
    let decision = decide(&facts, at(4000));
    assert_eq!(state(&decision), State::Failing);
    assert_eq!(decision.requeue_at, wait(4030));
    assert!(asked(&decision).is_empty());
    write(&mut facts, &decision);
    let decision = decide(&facts, at(4029));
    assert_eq!(decision.requeue_at, wait(4030));
    let decision = decide(&facts, at(4030));
    assert_eq!(asked(&decision), delete_driver());
    write(&mut facts, &decision);
    facts.driver = Driver::Gone;
    assert_eq!(path(&facts, &decide(&facts, at(4031))), [State::PendingRerun]);
}

#[test]
fn failing_to_failed_after_n_retries_that_is_n_plus_one_runs() {
    let mut facts = running(on_failure(2, 1));
    let mut now = 10;
    let mut runs = 1;
    loop {
        facts.driver = driver(&facts, failed());
        now += 100;
        let decision = decide(&facts, at(now));
        write(&mut facts, &decision);
        if state(&decision) == State::Failed {
            break;
        }
        facts.driver = Driver::Gone;
        now += 100;
        round(&mut facts, at(now));
        facts.submission = Some(accepted());
        facts.driver = driver(&facts, Progress::Running);
        round(&mut facts, at(now));
        runs += 1;
    }
    assert_eq!(runs, 3);
    assert_eq!(facts.app.status.unwrap().execution_attempts, 3);
}

#[test]
fn submission_failed_is_tried_again_after_its_interval() {
    let mut facts = fresh(on_failure(1, 5));
    round(&mut facts, at(0));
    let first = facts.app.status.clone().unwrap().submission_id;
    facts.submission = Some(refused());
    round(&mut facts, at(0));
    let decision = decide(&facts, at(5));
    assert_eq!(asked(&decision), [Action::Submit]);
    assert_eq!(decision.status.submission_attempts, 2);
    assert_ne!(decision.status.submission_id, first);
    write(&mut facts, &decision);
    facts.submission = Some(accepted());
    facts.driver = driver(&facts, Progress::Pending(None));
    assert_eq!(path(&facts, &decide(&facts, at(5))), [State::Submitted]);
}

#[test]
fn submission_failed_to_failed_when_retries_are_used_up() {
    let mut facts = fresh(on_failure(1, 5));
    for (now, end) in [(0, State::SubmissionFailed), (5, State::Failed)] {
        round(&mut facts, at(now));
        facts.submission = Some(refused());
        assert_eq!(state(&round(&mut facts, at(now))), end);
    }
    assert_eq!(facts.app.status.unwrap().termination_time, time(5));
}

#[test]
fn submission_failed_to_failed_at_once_under_never() {
    let mut facts = fresh(never());
    round(&mut facts, at(0));
    facts.submission = Some(refused());
    let decision = decide(&facts, at(0));
    assert_eq!(path(&facts, &decision), [State::SubmissionFailed, State::Failed]);
}

#[test]
fn pending_rerun_to_submitted() {
    let mut facts = fresh(never());
    set_state(&mut facts, State::PendingRerun);
    let decision = decide(&facts, at(0));
    assert_eq!(asked(&decision), [Action::Submit]);
    write(&mut facts, &decision);
    facts.submission = Some(accepted());
    assert_eq!(path(&facts, &decide(&facts, at(0))), [State::Submitted]);
}

#[test]
fn pending_rerun_removes_a_driver_that_is_still_there() {
    let mut facts = fresh(never());
    set_state(&mut facts, State::PendingRerun);
    facts.driver = driver(&facts, Progress::Running);
    let decision = decide(&facts, at(0));
    assert_eq!(asked(&decision), delete_driver());
    assert!(decision.requeue_at.is_some());
}

#[test]
fn edit_of_a_running_application_to_invalidating_to_pending_rerun() {
    let mut facts = running(never());
    edit(&mut facts);
    let decision = decide(&facts, at(60));
    assert_eq!(path(&facts, &decision), [State::Invalidating]);
    assert_eq!(asked(&decision), delete_driver());
    write(&mut facts, &decision);
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(61));
    assert_eq!(path(&facts, &decision), [State::PendingRerun]);
    assert_eq!(
        (decision.status.execution_attempts, decision.status.submission_attempts),
        (0, 1)
    );
    assert_eq!(asked(&decision), [Action::Submit]);
}

#[test]
fn invalidating_looks_again_while_the_driver_is_being_deleted() {
    let mut facts = running(never());
    edit(&mut facts);
    round(&mut facts, at(60));
    if let Driver::Present(pod) = &mut facts.driver {
        pod.deleting = true;
    }
    let decision = decide(&facts, at(61));
    assert_eq!(state(&decision), State::Invalidating);
    assert!(asked(&decision).is_empty() && decision.requeue_at.is_some());
}

#[test]
fn suspend_to_suspending_to_suspended() {
    let mut facts = running(never());
    suspend(&mut facts, true);
    let decision = decide(&facts, at(60));
    assert_eq!(path(&facts, &decision), [State::Suspending]);
    assert_eq!(asked(&decision), delete_driver());
    write(&mut facts, &decision);
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(61));
    assert_eq!(path(&facts, &decision), [State::Suspended]);
    assert_eq!(decision.status.execution_attempts, 1, "counters stay");
    assert_eq!(decision.status.driver_info.pod_name, None);
    assert!(decision.requeue_at.is_some());
}

#[test]
fn suspended_to_resuming_to_submitted() {
    let mut facts = fresh(json!({"suspend": true}));
    let decision = decide(&facts, at(0));
    assert_eq!(
        path(&facts, &decision),
        [State::Suspending, State::Suspended],
        "nothing was created, nothing is asked"
    );
    assert!(asked(&decision).is_empty());
    write(&mut facts, &decision);
    suspend(&mut facts, false);
    let decision = decide(&facts, at(10));
    assert_eq!(path(&facts, &decision), [State::Resuming]);
    assert_eq!(asked(&decision), [Action::Submit]);
    write(&mut facts, &decision);
    facts.submission = Some(accepted());
    assert_eq!(path(&facts, &decide(&facts, at(10))), [State::Submitted]);
}

#[test]
fn resuming_to_submission_failed() {
    let mut facts = fresh(never());
    set_state(&mut facts, State::Resuming);
    round(&mut facts, at(0));
    facts.submission = Some(refused());
    assert_eq!(path(&facts, &decide(&facts, at(0)))[0], State::SubmissionFailed);
}

#[test]
fn an_ended_application_is_deleted_when_its_time_to_live_is_strictly_over() {
    for end in [State::Completed, State::Failed] {
        let mut facts = fresh(json!({"timeToLiveSeconds": 60}));
        set_state(&mut facts, end);
        facts.app.status.as_mut().unwrap().termination_time = time(0);
        let decision = decide(&facts, at(60));
        assert!(asked(&decision).is_empty());
        let due = decision.requeue_at.unwrap();
        assert!(due > at(60));
        assert_eq!(asked(&decide(&facts, due)), [Action::DeleteApplication]);
    }
}

#[test]
fn the_operator_gives_a_time_to_live_to_those_that_say_none() {
    let after = |spec: serde_json::Value, seconds: i64| {
        let mut facts = fresh(spec);
        facts.limits.time_to_live = Some(SignedDuration::from_secs(60));
        set_state(&mut facts, State::Completed);
        facts.app.status.as_mut().unwrap().termination_time = time(0);
        asked(&decide(&facts, at(seconds)))
    };
    assert_eq!(after(never(), 61), [Action::DeleteApplication]);
    assert_eq!(after(never(), 60), []);
    assert_eq!(after(json!({"timeToLiveSeconds": 600}), 61), [], "the spec's own");
}

#[test]
fn an_ended_application_without_a_time_to_live_rests() {
    let mut facts = fresh(never());
    set_state(&mut facts, State::Completed);
    facts.app.status.as_mut().unwrap().termination_time = time(0);
    let decision = decide(&facts, at(1_000_000));
    assert_eq!((asked(&decision).len(), decision.requeue_at), (0, None));
}

#[test]
fn an_application_being_deleted_is_left_to_the_garbage_collector() {
    let mut facts = running(never());
    facts.app.metadata.deletion_timestamp = time(50);
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(60));
    assert_eq!(decision.status, facts.app.status.unwrap());
    assert!(asked(&decision).is_empty() && decision.requeue_at.is_none());
}
