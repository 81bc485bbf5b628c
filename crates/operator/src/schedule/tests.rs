//! What a schedule does, one test per rule.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use stoke_model::crd::{ApplicationStateType as State, ScheduleState, ScheduledSparkApplication};

use super::*;

/// Minutes after 2026-01-01T00:00:00Z.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap() + SignedDuration::from_mins(minutes)
}

fn schedule(extra: Value) -> Facts {
    let mut spec = json!({"schedule": "0 * * * *", "timeZone": "UTC", "template": {}});
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let schedule: ScheduledSparkApplication = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication",
        "metadata": {"name": "report", "namespace": "default", "uid": "5c"},
        "spec": spec,
    }))
    .unwrap();
    Facts {
        schedule,
        ..Facts::default()
    }
}

fn round(facts: &mut Facts, now: i64) -> Decision {
    let decision = decide(facts, at(now));
    facts.schedule.status = Some(decision.status.clone());
    facts.created = false;
    decision
}

fn name(minutes: i64) -> String {
    format!("report-{}", at(minutes).as_nanosecond())
}

fn child(minutes: i64, state: State) -> Child {
    Child {
        name: name(minutes),
        created_at: at(minutes),
        state,
        deleting: false,
    }
}

fn next(decision: &Decision) -> Option<Timestamp> {
    decision.status.next_run.as_ref().map(|time| time.0)
}

fn reasons(decision: &Decision) -> Vec<&str> {
    decision.events.iter().map(|event| event.reason).collect()
}

#[test]
fn a_new_schedule_waits_for_its_first_time() {
    let mut facts = schedule(json!({}));
    let decision = round(&mut facts, 10);
    assert_eq!((next(&decision), decision.requeue_at), (Some(at(60)), Some(at(60))));
    assert_eq!(decision.status.schedule_state, ScheduleState::Scheduled);
    assert!(decision.actions.is_empty());
}

#[test]
fn a_run_is_recorded_then_created_then_done() {
    let mut facts = schedule(json!({}));
    round(&mut facts, 10);
    let intent = round(&mut facts, 60);
    assert_eq!(
        intent.actions,
        [Action::Create(name(60))],
        "the name comes from the scheduled time"
    );
    assert_eq!(intent.status.last_run, Some(Time(at(60))));
    assert_eq!(intent.status.last_run_name, Some(name(60)));
    assert_eq!(next(&intent), Some(at(60)), "not moved on before the child exists");
    facts.created = true;
    let done = round(&mut facts, 60);
    assert_eq!(next(&done), Some(at(120)));
    assert!(done.actions.is_empty());
    assert_eq!(reasons(&done), ["ScheduledRunStarted"]);
}

#[test]
fn a_crash_before_the_creation_creates_the_same_later() {
    let mut facts = schedule(json!({}));
    round(&mut facts, 10);
    let intent = round(&mut facts, 60);
    let again = round(&mut facts, 95);
    assert_eq!(again.actions, intent.actions);
    facts.children = vec![child(60, State::Submitted)];
    assert_eq!(
        next(&round(&mut facts, 96)),
        Some(at(120)),
        "found created, it is not created again"
    );
}

#[test]
fn of_missed_runs_the_latest_is_made_up_for_and_the_others_are_said() {
    let mut facts = schedule(json!({}));
    round(&mut facts, 10);
    let decision = round(&mut facts, 60 * 5 + 10);
    assert_eq!(decision.actions, [Action::Create(name(300))]);
    assert_eq!(reasons(&decision), ["ScheduledRunsMissed"]);
    assert!(decision.events[0].note.starts_with("4 runs"));
}

#[test]
fn forbid_skips_and_says_so() {
    let mut facts = schedule(json!({"concurrencyPolicy": "Forbid"}));
    round(&mut facts, 10);
    facts.children = vec![child(0, State::Running)];
    let decision = round(&mut facts, 60);
    assert!(decision.actions.is_empty());
    assert_eq!(next(&decision), Some(at(120)));
    assert_eq!(reasons(&decision), ["ScheduledRunSkipped"]);
    facts.children[0].state = State::Completed;
    assert_eq!(round(&mut facts, 120).actions, [Action::Create(name(120))]);
}

#[test]
fn replace_deletes_what_runs_and_allow_does_not() {
    for (policy, expected) in [
        ("Replace", vec![Action::Delete(name(0)), Action::Create(name(60))]),
        ("Allow", vec![Action::Create(name(60))]),
    ] {
        let mut facts = schedule(json!({"concurrencyPolicy": policy}));
        round(&mut facts, 10);
        facts.children = vec![child(0, State::Running)];
        assert_eq!(round(&mut facts, 60).actions, expected);
    }
}

#[test]
fn suspended_times_are_not_made_up_for() {
    let mut facts = schedule(json!({"suspend": true}));
    facts.schedule.status.get_or_insert_default().next_run = Some(Time(at(60)));
    let decision = round(&mut facts, 200);
    assert_eq!(
        (next(&decision), decision.requeue_at, decision.actions.len()),
        (None, None, 0)
    );
    facts.schedule.spec.suspend = Some(false);
    assert_eq!(next(&round(&mut facts, 250)), Some(at(300)));
}

#[test]
fn a_changed_schedule_takes_effect() {
    let mut facts = schedule(json!({}));
    round(&mut facts, 10);
    facts.schedule.spec.schedule = "15 * * * *".into();
    assert_eq!(next(&round(&mut facts, 11)), Some(at(15)));
    facts.schedule.spec.schedule = "@every 2m".into();
    assert_eq!(
        next(&round(&mut facts, 12)),
        Some(at(14)),
        "a shorter interval does not wait for the old time"
    );
}

#[test]
fn an_invalid_schedule_says_why_once_and_is_left_when_mended() {
    let mut facts = schedule(json!({"schedule": "61 * * * *"}));
    let decision = round(&mut facts, 10);
    assert_eq!(decision.status.schedule_state, ScheduleState::FailedValidation);
    assert!(decision.status.reason.contains("between 0 and 59"));
    assert_eq!(reasons(&decision), ["ScheduleInvalid"]);
    assert!(round(&mut facts, 11).events.is_empty());
    facts.schedule.spec.schedule = "0 * * * *".into();
    let decision = round(&mut facts, 12);
    assert_eq!(
        (decision.status.schedule_state, decision.status.reason.as_str()),
        (ScheduleState::Scheduled, "")
    );
    assert_eq!(next(&decision), Some(at(60)));
}

#[test]
fn history_keeps_the_newest_and_never_touches_what_runs() {
    let mut facts = schedule(json!({"successfulRunHistoryLimit": 2, "failedRunHistoryLimit": 0}));
    facts.children = vec![
        child(1, State::Completed),
        child(3, State::Completed),
        child(2, State::Completed),
        child(4, State::Failed),
        child(0, State::Running),
    ];
    let decision = round(&mut facts, 10);
    assert_eq!(decision.actions, [Action::Delete(name(1)), Action::Delete(name(4))]);
    assert_eq!(decision.status.past_successful_run_names, [name(3), name(2)]);
    assert!(decision.status.past_failed_run_names.is_empty());
}

#[test]
fn long_names_are_shortened_and_stay_apart() {
    let mut long = Vec::new();
    for last in ["a", "b"] {
        let mut facts = schedule(json!({}));
        facts.schedule.metadata.name = Some("r".repeat(60) + last);
        round(&mut facts, 10);
        match &round(&mut facts, 60).actions[..] {
            [Action::Create(name)] => long.push(name.clone()),
            other => panic!("{other:?}"),
        }
    }
    assert!(long.iter().all(|name| name.len() <= 63), "{long:?}");
    assert_ne!(long[0], long[1]);
}

fn annotate(facts: &mut Facts, key: &str, value: &str) {
    let annotations = facts.schedule.metadata.annotations.get_or_insert_default();
    annotations.insert(key.into(), value.into());
}

#[test]
fn a_run_later_than_its_starting_deadline_is_missed_and_counted() {
    let mut facts = schedule(json!({}));
    annotate(&mut facts, "stoke.dev/starting-deadline-seconds", "300");
    round(&mut facts, 10);
    assert_eq!(
        decide(&facts, at(65)).actions,
        [Action::Create(name(60))],
        "five minutes late is in time"
    );
    let decision = round(&mut facts, 60 * 3 + 6);
    assert!(decision.actions.is_empty());
    assert_eq!((decision.status.missed_runs, next(&decision)), (3, Some(at(240))));
    assert_eq!(reasons(&decision), ["ScheduledRunsMissed"]);
    annotate(&mut facts, "stoke.dev/starting-deadline-seconds", "soon");
    let decision = round(&mut facts, 190);
    assert_eq!(decision.status.schedule_state, ScheduleState::FailedValidation);
    assert!(decision.status.reason.contains("is not allowed"));
}

#[test]
fn missed_and_skipped_runs_are_counted_in_the_status() {
    let mut facts = schedule(json!({"concurrencyPolicy": "Forbid"}));
    round(&mut facts, 10);
    facts.children = vec![child(0, State::Running)];
    let decision = round(&mut facts, 60 * 4 + 1);
    assert_eq!((decision.status.missed_runs, decision.status.skipped_runs), (3, 1));
}

#[test]
fn a_trigger_begins_one_run_now_even_while_suspended() {
    let mut facts = schedule(json!({"suspend": true}));
    annotate(&mut facts, "stoke.dev/trigger", "monday");
    let intent = round(&mut facts, 10);
    let Action::Create(first) = intent.actions[0].clone() else {
        panic!("{intent:?}")
    };
    assert_eq!(intent.status.last_trigger.as_deref(), Some("monday"));
    assert_eq!(intent.status.last_run_name.as_ref(), Some(&first));
    assert_eq!(
        round(&mut facts, 11).actions,
        [Action::Create(first.clone())],
        "a crash before the creation creates the same later"
    );
    facts.created = true;
    round(&mut facts, 11);
    let rest = round(&mut facts, 12);
    assert_eq!((rest.actions.len(), next(&rest)), (0, None));
    annotate(&mut facts, "stoke.dev/trigger", "tuesday");
    let again = round(&mut facts, 12);
    assert!(matches!(&again.actions[..], [Action::Create(name)] if *name != first));
}

#[test]
fn a_trigger_keeps_the_times_of_the_schedule_and_its_policy() {
    let mut facts = schedule(json!({"concurrencyPolicy": "Forbid"}));
    round(&mut facts, 10);
    annotate(&mut facts, "stoke.dev/trigger", "1");
    round(&mut facts, 20);
    facts.created = true;
    assert_eq!(next(&round(&mut facts, 20)), Some(at(60)));
    facts.children = vec![child(20, State::Running)];
    annotate(&mut facts, "stoke.dev/trigger", "2");
    let decision = round(&mut facts, 30);
    assert_eq!(reasons(&decision), ["ScheduledRunSkipped"]);
    assert_eq!((decision.status.skipped_runs, next(&decision)), (1, Some(at(60))));
    assert!(round(&mut facts, 31).events.is_empty(), "answered once");
}

#[test]
fn a_clock_set_back_does_not_repeat_a_run() {
    let mut facts = schedule(json!({}));
    round(&mut facts, 10);
    round(&mut facts, 60);
    facts.created = true;
    round(&mut facts, 60);
    for minutes in [-30, 30, 59, 60, 61] {
        let decision = round(&mut facts, minutes);
        assert_eq!(
            (decision.actions.len(), next(&decision)),
            (0, Some(at(120))),
            "{minutes}"
        );
    }
}

#[test]
fn the_time_zone_in_force_is_shown_and_followed() {
    let mut facts = schedule(json!({"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"}));
    let decision = round(&mut facts, 0);
    assert_eq!(decision.status.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(next(&decision), Some(at(90)), "half past one in UTC");
    facts.schedule.spec.time_zone = Some("UTC".into());
    assert_eq!(
        next(&round(&mut facts, 1)),
        Some(at(150)),
        "an edit of the zone takes effect"
    );
}

#[test]
fn a_night_whose_clock_is_changed_has_the_runs_its_clock_shows() {
    // In Berlin on 25 October 2026 half past two comes twice; on 29 March 2026 not at all.
    for (day, runs) in [
        ("2026-10-24T22:00:00Z", 2),
        ("2026-03-28T23:00:00Z", 0),
        ("2026-06-09T22:00:00Z", 1),
    ] {
        let mut facts = schedule(json!({"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"}));
        let midnight: Timestamp = day.parse().unwrap();
        let mut begun = 0;
        // One day of this clock lasts 23 to 25 hours.
        for minute in 0..23 * 60 {
            let decision = decide(&facts, midnight + SignedDuration::from_mins(minute));
            facts.created = !decision.actions.is_empty();
            begun += decision.actions.len();
            facts.schedule.status = Some(decision.status);
        }
        assert_eq!(begun, runs, "{day}");
    }
}
