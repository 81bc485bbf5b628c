//! Data quality before a run and after it: what is asked for, what follows, and what is left.

use stoke_model::annotations::QUALITY;
use stoke_model::annotations::quality::Phase;

use super::*;
use crate::quality::facts::Ended;
use crate::quality::{CheckPod, Refused, pod_name};

const BOTH: &str = "{before: [{contract: c/raw.yaml, data: /raw}], after: [{contract: c/clean.yaml, data: /clean}, {contract: c/more.yaml, data: /more, onFail: warn}], timeout: 30m}";

fn annotated(spec: Value, text: &str) -> Facts {
    let mut facts = fresh(spec);
    annotate(&mut facts, QUALITY, text);
    facts
}

/// The pod of a phase of the submission on record, made at `at(0)`, with containers that ended like this.
fn check(facts: &Facts, phase: Phase, codes: &[i32]) -> CheckPod {
    let ended = |(index, code): (usize, &i32)| {
        let ended = Ended {
            code: *code,
            message: format!("told {code}"),
            ..Ended::default()
        };
        (crate::quality::pod::container(index), ended)
    };
    let status = facts.app.status.as_ref();
    let submission = status.and_then(|status| status.submission_id.as_deref());
    CheckPod {
        name: pod_name(&facts.app, submission, phase),
        phase: Some(phase),
        created: Some(at(0)),
        ended: codes.iter().enumerate().map(ended).collect(),
        done: !codes.is_empty(),
        ..CheckPod::default()
    }
}

fn reasons(decision: &Decision) -> Vec<&str> {
    decision.events.iter().map(|event| event.reason).collect()
}

/// An application whose data were right before it, with its driver at an end.
fn ended_well(spec: Value) -> Facts {
    let mut facts = annotated(spec, BOTH);
    round(&mut facts, at(0));
    facts.checks = vec![check(&facts, Phase::Before, &[0])];
    assert_eq!(asked(&round(&mut facts, at(1))), [Action::Submit]);
    facts.submission = Some(accepted());
    facts.driver = driver(&facts, Progress::Running);
    round(&mut facts, at(2));
    facts.driver = driver(&facts, succeeded());
    facts
}

#[test]
fn without_the_annotation_nothing_is_asked_for() {
    let mut facts = fresh(never());
    assert_eq!(asked(&round(&mut facts, at(0))), [Action::Submit]);
    let only_after = "after: [{contract: c/k, data: /d}]";
    let mut facts = annotated(never(), only_after);
    let decision = round(&mut facts, at(0));
    assert_eq!(
        (asked(&decision).clone(), condition(&decision, "QualityBefore")),
        (vec![Action::Submit], None)
    );
}

#[test]
fn a_run_is_submitted_when_its_data_are_right() {
    let mut facts = annotated(never(), BOTH);
    let decision = round(&mut facts, at(0));
    assert_eq!(asked(&decision), [Action::Check(Phase::Before)]);
    assert_eq!(
        decision.status.driver_info.pod_name.as_deref(),
        Some("pi-driver"),
        "the intent is on record first"
    );
    assert_eq!(condition(&decision, "QualityBefore"), is("Unknown", "CheckPending"));
    facts.checks = vec![check(&facts, Phase::Before, &[])];
    let decision = round(&mut facts, at(1));
    assert_eq!((asked(&decision).clone(), decision.requeue_at), (vec![], wait(61)));
    assert_eq!(condition(&decision, "QualityBefore"), is("Unknown", "CheckRunning"));
    facts.checks = vec![check(&facts, Phase::Before, &[0])];
    let decision = round(&mut facts, at(20));
    assert_eq!(
        (state(&decision), asked(&decision).clone()),
        (State::New, vec![Action::Submit])
    );
    assert_eq!(condition(&decision, "QualityBefore"), is("True", "Passed"));
    assert_eq!(reasons(&decision), ["SparkApplicationQualityPassed"]);
    // Cut off here, the next turn finds it passed and says nothing again.
    let decision = round(&mut facts, at(21));
    assert_eq!(
        (asked(&decision).clone(), reasons(&decision)),
        (vec![Action::Submit], vec![])
    );
}

#[test]
fn a_run_is_not_submitted_when_they_are_not_and_is_tried_again_as_a_submission() {
    let mut facts = annotated(on_failure(1, 5), BOTH);
    round(&mut facts, at(0));
    facts.driver = Driver::Gone;
    facts.checks = vec![check(&facts, Phase::Before, &[1])];
    let decision = round(&mut facts, at(10));
    assert_eq!(
        (state(&decision), asked(&decision).clone()),
        (State::SubmissionFailed, vec![])
    );
    let message = &decision.status.app_state.error_message;
    assert!(
        message.starts_with("data quality before the run: 0 of 1 contract passed; c/raw.yaml on /raw: told 1"),
        "{message}"
    );
    assert_eq!(condition(&decision, "QualityBefore"), is("False", "Failed"));
    assert_eq!(condition(&decision, "DriverReady"), is("False", "QualityFailed"));
    // The second try checks again, and removes the pod of the first.
    let decision = round(&mut facts, at(16));
    let Action::DeleteCheck(old) = &asked(&decision)[0] else {
        panic!("{decision:?}")
    };
    assert_eq!(*old, facts.checks[0].name);
    facts.checks.clear();
    assert_eq!(asked(&round(&mut facts, at(16))), [Action::Check(Phase::Before)]);
    facts.checks = vec![check(&facts, Phase::Before, &[3])];
    let decision = round(&mut facts, at(20));
    let decision = if state(&decision) == State::Failed {
        decision
    } else {
        round(&mut facts, at(40))
    };
    assert_eq!((state(&decision), asked(&decision).clone()), (State::Failed, vec![]));
    assert_eq!(condition(&decision, "Failed"), is("True", "QualityFailed"));
    assert!(decision.status.execution_attempts == 0);
}

#[test]
fn a_check_that_cannot_be_made_lets_nothing_pass() {
    for permanent in [false, true] {
        let mut facts = annotated(never(), BOTH);
        round(&mut facts, at(0));
        facts.driver = Driver::Gone;
        facts.check_refused = Some(Refused {
            message: "there is no ConfigMap c".into(),
            permanent,
        });
        let decision = decide(&facts, at(1));
        assert_eq!((state(&decision), asked(&decision).clone()), (State::Failed, vec![]));
        assert_eq!(condition(&decision, "QualityBefore"), is("False", "CannotTell"));
        assert!(
            decision
                .status
                .app_state
                .error_message
                .contains("there is no ConfigMap c")
        );
    }
    for wrong in ["", "before: [{contract: c}]", "x: y"] {
        let decision = decide(&annotated(on_failure(3, 1), wrong), at(0));
        assert_eq!(
            (state(&decision), asked(&decision).clone()),
            (State::Failed, vec![]),
            "{wrong}"
        );
        assert!(
            decision.status.app_state.error_message.contains("stoke.dev/quality"),
            "{wrong}"
        );
    }
}

#[test]
fn a_run_that_ended_well_completes_when_its_data_are_right() {
    for (codes, told, event) in [
        ([0, 0], is("True", "Passed"), "SparkApplicationQualityPassed"),
        ([0, 1], is("True", "Warned"), "SparkApplicationQualityWarned"),
    ] {
        let mut facts = ended_well(never());
        let decision = round(&mut facts, at(30));
        assert_eq!(
            (state(&decision), asked(&decision).clone()),
            (State::Succeeding, vec![Action::Check(Phase::After)])
        );
        facts.checks.push(check(&facts, Phase::After, &[]));
        assert_eq!(state(&round(&mut facts, at(31))), State::Succeeding);
        facts.checks[1] = check(&facts, Phase::After, &codes);
        let decision = round(&mut facts, at(40));
        assert_eq!((state(&decision), asked(&decision).clone()), (State::Completed, vec![]));
        assert_eq!(condition(&decision, "QualityAfter"), told);
        assert_eq!(condition(&decision, "QualityBefore"), is("True", "Passed"));
        assert!(reasons(&decision).contains(&event));
        // Nothing is asked for of an application that has ended, also when someone removes the pods.
        facts.checks.clear();
        let decision = decide(&facts, at(50));
        assert_eq!(
            (asked(&decision).clone(), condition(&decision, "QualityAfter")),
            (vec![], told)
        );
    }
}

#[test]
fn a_run_whose_results_are_not_right_has_failed_and_is_run_again_as_the_policy_says() {
    let mut facts = ended_well(on_failure(1, 0));
    round(&mut facts, at(30));
    facts.checks.push(check(&facts, Phase::After, &[1, 0]));
    let decision = round(&mut facts, at(40));
    assert!(
        path(&facts, &decision).is_empty()
            && decision
                .status
                .app_state
                .error_message
                .contains("data quality after the run")
    );
    assert!(reasons(&decision).contains(&"SparkApplicationQualityFailed"));
    assert_eq!(asked(&decision), delete_driver(), "{decision:?}");
    facts.driver = Driver::Gone;
    let decision = round(&mut facts, at(41));
    assert_eq!(
        condition(&decision, "QualityAfter"),
        None,
        "a new run knows nothing of its data yet"
    );
    // Pods of the first run go, phase by phase, as the second comes to them.
    assert!(
        matches!(&asked(&decision)[..], [Action::DeleteCheck(name)] if *name == facts.checks[0].name),
        "{decision:?}"
    );

    let mut facts = ended_well(never());
    round(&mut facts, at(30));
    facts.checks.push(check(&facts, Phase::After, &[1, 0]));
    let decision = round(&mut facts, at(40));
    assert_eq!(
        (state(&decision), condition(&decision, "Failed")),
        (State::Failed, is("True", "QualityFailed"))
    );
}

#[test]
fn nobody_waits_for_ever() {
    let mut facts = ended_well(never());
    round(&mut facts, at(30));
    facts.checks.push(check(&facts, Phase::After, &[]));
    assert_eq!(round(&mut facts, at(1799)).requeue_at, wait(1800));
    let decision = round(&mut facts, at(1800));
    // What still may run goes before the application is called failed.
    assert_eq!((state(&decision), asked(&decision).len()), (State::Failing, 1));
    assert!(matches!(&asked(&decision)[0], Action::DeleteCheck(name) if *name == facts.checks[1].name));
    assert!(
        decision.status.app_state.error_message.contains("did not end within"),
        "{decision:?}"
    );
    facts.checks.pop();
    assert_eq!(state(&decide(&facts, at(1801))), State::Failed);

    // A node that cannot start it: the operator's limit for drivers.
    let mut facts = annotated(never(), BOTH);
    facts.limits.start = Some(SignedDuration::from_mins(10));
    round(&mut facts, at(0));
    facts.driver = Driver::Gone;
    facts.checks = vec![CheckPod {
        pending: Some(PendingReason {
            reason: "ImagePullBackOff".into(),
            message: "m".into(),
            on_node: true,
        }),
        ..check(&facts, Phase::Before, &[])
    }];
    assert_eq!(round(&mut facts, at(100)).requeue_at, wait(160));
    let decision = decide(&facts, at(600));
    assert_eq!(state(&decision), State::SubmissionFailed, "its pod goes first");
    let message = &decision.status.app_state.error_message;
    assert!(
        message.contains("did not start within 10m") && message.contains("ImagePullBackOff: m"),
        "{message}"
    );

    // The application's own deadline.
    let mut facts = ended_well(never());
    annotate(&mut facts, "stoke.dev/active-deadline-seconds", "60");
    facts.checks.push(check(&facts, Phase::After, &[]));
    round(&mut facts, at(30));
    let decision = decide(&facts, at(60));
    assert_eq!(
        (state(&decision), condition(&decision, "DriverReady")),
        (State::Failing, is("False", "DeadlineExceeded"))
    );
}

#[test]
fn a_suspension_and_an_edit_end_a_check() {
    for change in [|facts: &mut Facts| suspend(facts, true), edit] {
        let mut facts = annotated(never(), BOTH);
        round(&mut facts, at(0));
        facts.checks = vec![check(&facts, Phase::Before, &[])];
        round(&mut facts, at(1));
        change(&mut facts);
        let decision = round(&mut facts, at(2));
        assert!(
            matches!(&asked(&decision)[..], [Action::DeleteCheck(_)]),
            "{decision:?}"
        );
        facts.checks.clear();
        facts.driver = Driver::Gone;
        let decision = round(&mut facts, at(3));
        assert_eq!(
            decision
                .status
                .conditions
                .iter()
                .filter(|c| c.type_ == "QualityBefore" && c.reason != "CheckPending")
                .count(),
            0
        );
    }
}

#[test]
fn an_annotation_that_is_edited_meanwhile_is_asked_anew() {
    let mut facts = annotated(never(), BOTH);
    round(&mut facts, at(0));
    facts.checks = vec![check(&facts, Phase::Before, &[1])];
    annotate(&mut facts, QUALITY, "before: [{contract: c/other.yaml, data: /raw}]");
    let decision = round(&mut facts, at(1));
    assert!(
        matches!(&asked(&decision)[..], [Action::DeleteCheck(_)]),
        "{decision:?}"
    );
    facts.checks.clear();
    assert_eq!(asked(&round(&mut facts, at(1))), [Action::Check(Phase::Before)]);
}
