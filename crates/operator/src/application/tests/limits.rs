//! How long things may take, and what is said when they take longer.

use super::*;

fn pending(facts: &Facts, reason: &str, on_node: bool) -> Driver {
    let reason = PendingReason {
        reason: reason.into(),
        message: "m".into(),
        on_node,
    };
    driver(facts, Progress::Pending(Some(reason)))
}

#[test]
fn a_start_timeout_ends_what_a_node_cannot_start_and_says_why() {
    for reason in ["ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName"] {
        let mut facts = submitted(never());
        facts.limits.start = Some(SignedDuration::from_mins(10));
        facts.driver = pending(&facts, reason, true);
        let decision = decide(&facts, at(599));
        assert_eq!((state(&decision), decision.requeue_at), (State::Submitted, wait(600)));
        assert_eq!(condition(&decision, "DriverReady"), is("False", reason));
        let decision = round(&mut facts, at(600));
        assert_eq!(
            (state(&decision), asked(&decision).clone()),
            (State::Failing, delete_driver())
        );
        assert_eq!(condition(&decision, "DriverReady"), is("False", "StartTimeout"));
        assert!(decision.status.app_state.error_message.contains(reason));
        facts.driver = Driver::Gone;
        let decision = decide(&facts, at(601));
        assert_eq!(state(&decision), State::Failed);
        assert_eq!(condition(&decision, "Failed"), is("True", "StartTimeout"));
    }
}

#[test]
fn a_start_timeout_counts_from_the_node_and_not_without_one() {
    let mut facts = submitted(never());
    facts.limits.start = Some(SignedDuration::from_mins(10));
    facts.driver = pending(&facts, "Unschedulable", false);
    assert_eq!(
        state(&decide(&facts, at(1_000_000))),
        State::Submitted,
        "waiting for a node may be a plan"
    );
    facts.driver = pending(&facts, "ErrImagePull", true);
    if let Driver::Present(pod) = &mut facts.driver {
        pod.scheduled_at = Some(at(3_600));
    }
    assert_eq!(state(&decide(&facts, at(3_700))), State::Submitted);
    assert_eq!(state(&decide(&facts, at(4_200))), State::Failing);
}

#[test]
fn a_node_that_cannot_prepare_a_pod_is_given_up_too_and_a_slow_pull_is_not() {
    let mut facts = submitted(never());
    facts.limits.start = Some(SignedDuration::from_mins(10));
    for (unprepared, ends) in [(true, State::Failing), (false, State::Submitted)] {
        facts.driver = driver(&facts, Progress::Pending(None));
        if let Driver::Present(pod) = &mut facts.driver {
            pod.unprepared = unprepared;
        }
        let decision = decide(&facts, at(599));
        assert_eq!(state(&decision), State::Submitted);
        assert_eq!(decision.status.app_state.error_message, "", "every start is like this");
        let decision = decide(&facts, at(600));
        assert_eq!(state(&decision), ends, "{unprepared}");
        let message = &decision.status.app_state.error_message;
        assert_eq!(message.contains("volumes, network or sandbox"), unprepared, "{message}");
    }
}

#[test]
fn an_annotation_wins_over_the_operator_s_limit() {
    let mut facts = submitted(never());
    facts.limits.start = Some(SignedDuration::from_mins(10));
    facts.driver = pending(&facts, "ErrImagePull", true);
    annotate(&mut facts, "stoke.dev/start-timeout", "none");
    assert_eq!(state(&decide(&facts, at(1_000_000))), State::Submitted);
    annotate(&mut facts, "stoke.dev/start-timeout", "5s");
    assert_eq!(state(&decide(&facts, at(5))), State::Failing);
}

#[test]
fn a_timeout_is_retried_as_any_failure() {
    let mut facts = submitted(on_failure(1, 5));
    facts.limits.pending = Some(SignedDuration::from_mins(1));
    facts.driver = pending(&facts, "Unschedulable", false);
    let decision = round(&mut facts, at(60));
    assert_eq!((state(&decision), decision.requeue_at), (State::Failing, wait(65)));
    let decision = round(&mut facts, at(65));
    assert_eq!(asked(&decision), delete_driver());
    facts.driver = Driver::Gone;
    assert_eq!(path(&facts, &decide(&facts, at(66))), [State::PendingRerun]);
}

fn limited(seconds: &str, mut facts: Facts) -> Facts {
    annotate(&mut facts, "stoke.dev/active-deadline-seconds", seconds);
    facts
}

#[test]
fn an_active_deadline_ends_a_running_application_without_a_retry() {
    let mut facts = limited("100", running(on_failure(5, 1)));
    let decision = decide(&facts, at(60));
    assert_eq!(decision.requeue_at, wait(100), "looked at when it is due");
    let decision = round(&mut facts, at(100));
    assert_eq!(
        (state(&decision), asked(&decision).clone()),
        (State::Failing, delete_driver())
    );
    assert!(
        decision
            .status
            .app_state
            .error_message
            .contains("active longer than specified deadline")
    );
    facts.driver = Driver::Gone;
    let decision = decide(&facts, at(101));
    assert_eq!(path(&facts, &decision), [State::Failed]);
    assert_eq!(condition(&decision, "Failed"), is("True", "DeadlineExceeded"));
}

#[test]
fn an_active_deadline_counts_retries_too_and_cuts_their_waits_short() {
    let mut facts = limited("100", running(on_failure(5, 90)));
    facts.driver = driver(&facts, failed());
    let decision = round(&mut facts, at(50));
    assert_eq!((state(&decision), decision.requeue_at), (State::Failing, wait(100)));
    let decision = decide(&facts, at(100));
    assert_eq!(path(&facts, &decision), [State::Failed]);
}

#[test]
fn an_active_deadline_ends_always() {
    let mut facts = limited("100", running(always()));
    facts.driver = driver(&facts, succeeded());
    assert_eq!(
        path(&facts, &decide(&facts, at(100))),
        [State::Succeeding, State::Completed]
    );
}

#[test]
fn an_active_deadline_ends_what_was_never_submitted() {
    for outcome in [
        refused(),
        Outcome::Blocked {
            message: "in the way".into(),
        },
    ] {
        let mut facts = limited("100", fresh(always()));
        round(&mut facts, at(0));
        facts.submission = Some(outcome);
        round(&mut facts, at(0));
        facts.driver = Driver::Gone;
        let decision = decide(&facts, at(100));
        assert_eq!(path(&facts, &decision), [State::Failing, State::Failed]);
        assert_eq!(condition(&decision, "Failed"), is("True", "DeadlineExceeded"));
        assert!(asked(&decision).is_empty());
    }
}

#[test]
fn what_ended_in_time_is_not_judged_by_when_it_was_seen() {
    let mut facts = limited("100", running(never()));
    facts.driver = driver(&facts, succeeded());
    assert_eq!(state(&decide(&facts, at(5_000))), State::Completed);
}

#[test]
fn an_active_deadline_does_not_count_while_suspended() {
    let mut facts = limited("100", running(never()));
    suspend(&mut facts, true);
    facts.driver = Driver::Gone;
    let decision = round(&mut facts, at(60));
    assert_eq!((state(&decision), decision.status.start_time), (State::Suspended, None));
    suspend(&mut facts, false);
    facts.driver = Driver::NotCached;
    let decision = round(&mut facts, at(5_000));
    assert_eq!(
        (state(&decision), decision.status.start_time),
        (State::Resuming, time(5_000))
    );
}

#[test]
fn a_failing_application_whose_driver_is_not_cached_asks_before_it_rests() {
    let mut facts = running(never());
    set_state(&mut facts, State::Failing);
    facts.driver = Driver::NotCached;
    assert_eq!(asked(&decide(&facts, at(60))), confirm_driver());
}

#[test]
fn a_driver_that_does_not_go_says_who_holds_it_once() {
    let mut facts = running(always());
    edit(&mut facts);
    round(&mut facts, at(60));
    if let Driver::Present(pod) = &mut facts.driver {
        pod.deleting = true;
        pod.gone_by = Some(at(90));
        pod.held_by = "node worker-3, finalizers a/b".into();
    }
    let decision = round(&mut facts, at(100));
    assert_eq!(
        condition(&decision, "DriverReady"),
        is("False", "NotSubmitted"),
        "it still has time"
    );
    let decision = round(&mut facts, at(120));
    assert_eq!(state(&decision), State::Invalidating);
    assert_eq!(
        condition(&decision, "DriverReady"),
        is("False", "DriverStuckTerminating")
    );
    let note = &decision.events[0].note;
    assert!(
        note.contains("node worker-3, finalizers a/b") && note.contains("--force"),
        "{note}"
    );
    assert_eq!(decision.requeue_at, wait(130));
    assert!(decide(&facts, at(130)).events.is_empty(), "said once");
}

#[test]
fn a_failure_after_a_long_good_run_is_a_first_one_again() {
    for (ended, wait_for) in [(200, 20), (601, 10)] {
        let mut facts = running(on_failure(9, 10));
        facts.app.status.as_mut().unwrap().execution_attempts = 2;
        facts.driver = driver(&facts, failed());
        assert_eq!(decide(&facts, at(ended)).requeue_at, wait(ended + wait_for));
    }
}

#[test]
fn a_back_off_ends_growing_at_five_minutes_or_at_its_interval() {
    for (interval, longest) in [(10, 300), (1_000, 1_000)] {
        let mut facts = running(json!({"restartPolicy": {"type": "Always", "onFailureRetryInterval": interval}}));
        facts.app.status.as_mut().unwrap().execution_attempts = 5_000;
        facts.driver = driver(&facts, failed());
        assert_eq!(decide(&facts, at(60)).requeue_at, wait(60 + longest));
    }
}

#[test]
fn a_deadline_that_is_none_is_refused_before_anything_is_created() {
    let decision = decide(&limited("soon", fresh(always())), at(0));
    assert_eq!(state(&decision), State::Failed);
    assert!(decision.status.app_state.error_message.contains("is not allowed"));
    assert!(asked(&decision).is_empty());
}
