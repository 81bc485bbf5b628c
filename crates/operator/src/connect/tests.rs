//! Every arrow of a server's life, by table.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stoke_model::crd::{ConnectState as State, SparkConnect, SparkConnectStatus};

use super::decide::{Action, Decision, decide};
use super::facts::{Facts, Outcome, Phase, Server, ServerPod};
use super::usage::{Counts, Usage};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn facts(state: State, server: Server) -> Facts {
    let mut connect: SparkConnect = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect",
        "metadata": {"name": "lab", "namespace": "jobs", "uid": "u1", "generation": 1},
        "spec": {"sparkVersion": "4.1.4", "server": {}, "executor": {}},
    }))
    .unwrap();
    let mut status = SparkConnectStatus {
        state,
        ..SparkConnectStatus::default()
    };
    if !matches!(state, State::New | State::Failed) {
        status.server.pod_name = Some("lab-server".into());
        status.server.url = Some("sc://lab-server.jobs.svc:15002".into());
    }
    connect.status = Some(status);
    Facts {
        connect,
        spec_digest: "d1".into(),
        server,
        ..Facts::default()
    }
}

fn pod(phase: Phase, ready: bool) -> ServerPod {
    ServerPod {
        uid: "p1".into(),
        owners: vec!["u1".into()],
        ip: "10.0.0.1".into(),
        spec_digest: "d1".into(),
        attempt: 1,
        phase,
        ready,
        deleting: false,
        created_at: Some(now() - SignedDuration::from_secs(60)),
    }
}

fn running(ready: bool) -> Server {
    Server::Present(pod(Phase::Running, ready))
}

fn after(mut facts: Facts, outcome: Outcome) -> Decision {
    facts.outcome = Some(outcome);
    decide(&facts, now())
}

fn reason(decision: &Decision) -> &str {
    &decision.status.conditions[0].reason
}

#[test]
fn a_new_server_is_looked_for_before_it_is_created() {
    let decision = decide(&facts(State::New, Server::NotCached), now());
    assert_eq!(decision.action, Some(Action::Look));
    let decision = decide(&facts(State::New, Server::Gone), now());
    assert_eq!(decision.action, Some(Action::Create(1)));
    assert_eq!(
        (decision.status.state, decision.status.attempts),
        (State::Provisioning, 1)
    );
    assert_eq!(decision.status.server.pod_name, None);
}

#[test]
fn every_server_has_a_number_of_its_own() {
    let mut again = facts(State::Ready, Server::Gone);
    again.connect.status.as_mut().unwrap().attempts = 3;
    let decision = decide(&again, now());
    assert_eq!(decision.action, Some(Action::Create(4)));
    assert_eq!(decision.status.attempts, 4);
}

#[test]
fn the_pod_is_named_only_when_all_of_it_is_there() {
    let mut interrupted = facts(State::Provisioning, Server::Present(pod(Phase::Pending, false)));
    interrupted.connect.status.as_mut().unwrap().server = Default::default();
    let decision = decide(&interrupted, now());
    assert_eq!(decision.action, Some(Action::Create(1)));
    let url = "sc://lab-server.jobs.svc:15002".to_owned();
    let decision = after(interrupted, Outcome::Created { url: url.clone() });
    assert_eq!(decision.action, None);
    let server = decision.status.server;
    assert_eq!(
        (server.pod_name.as_deref(), server.service_name.as_deref()),
        (Some("lab-server"), Some("lab-server"))
    );
    assert_eq!((server.url, server.pod_ip.as_deref()), (Some(url), Some("10.0.0.1")));
}

#[test]
fn an_open_port_is_greeted_and_only_an_answer_makes_it_ready() {
    let decision = decide(&facts(State::Provisioning, running(false)), now());
    assert_eq!((decision.action, decision.status.state), (None, State::Provisioning));
    let open = facts(State::Provisioning, running(true));
    assert_eq!(decide(&open, now()).action, Some(Action::Greet));
    let silent = after(open.clone(), Outcome::Silent { message: "no".into() });
    assert_eq!(
        (silent.status.state, silent.action.clone()),
        (State::Provisioning, None)
    );
    assert_eq!(silent.requeue_at, Some(now() + SignedDuration::from_secs(2)));
    let ready = after(
        open,
        Outcome::Answered {
            says: "Spark 4.1.4 answers".into(),
        },
    );
    assert_eq!((ready.status.state, reason(&ready)), (State::Ready, "ServerPodReady"));
    assert_eq!(ready.status.conditions[0].status, "True");
    assert!(
        ready.events[0].note.contains("sc://lab-server.jobs.svc:15002"),
        "{:?}",
        ready.events
    );
    assert_eq!(ready.status.last_update_time.map(|time| time.0), Some(now()));
}

fn used(sessions: u32, operations: u32) -> Outcome {
    Outcome::Counted(Usage::Known(Counts {
        sessions,
        operations,
        latest: Some("2026/11/21 20:37:07".into()),
    }))
}

fn annotated(mut facts: Facts, annotation: &str, value: &str) -> Facts {
    let annotations = facts.connect.metadata.annotations.get_or_insert_default();
    annotations.insert(annotation.into(), value.into());
    facts
}

/// A server that is ready and has an idle timeout of so many seconds.
fn with_timeout(seconds: i64) -> Facts {
    let timeout = format!("{seconds}s");
    annotated(facts(State::Ready, running(true)), "stoke.dev/idle-timeout", &timeout)
}

/// Facts after this decision, so many seconds later, when `outcome` came of a look.
fn later(mut facts: Facts, decision: &Decision, seconds: i64, outcome: Option<Outcome>) -> (Facts, Timestamp) {
    let then = now() + SignedDuration::from_secs(seconds);
    facts.connect.status = Some(decision.status.clone());
    facts.counted_at = outcome.as_ref().map_or(Some(now()), |_| Some(then));
    facts.outcome = outcome;
    (facts, then)
}

fn in_use(decision: &Decision) -> Option<(&str, &str)> {
    let conditions = &decision.status.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == "ServerInUse")?;
    Some((&found.status, &found.reason))
}

#[test]
fn the_use_of_a_ready_server_is_looked_at_twice_a_minute_and_written_when_it_changes() {
    let ready = facts(State::Ready, running(true));
    assert_eq!(decide(&ready, now()).action, Some(Action::Count));
    let seen = after(ready.clone(), used(2, 1));
    assert_eq!(in_use(&seen), Some(("True", "OperationsRun")));
    assert_eq!(
        (seen.action.clone(), seen.requeue_at),
        (None, Some(now() + SignedDuration::from_secs(30)))
    );
    // Before the time no one looks, whatever happens to pods; then someone does, and the same is not written again.
    for (seconds, action) in [(10, None), (30, Some(Action::Count))] {
        let (waiting, then) = later(ready.clone(), &seen, seconds, None);
        let decision = decide(&waiting, then);
        assert_eq!((decision.action, &decision.status), (action, &seen.status), "{seconds}");
    }
    let (same, then) = later(ready.clone(), &seen, 30, Some(used(2, 1)));
    assert_eq!(decide(&same, then).status, seen.status);
    let unknown = Outcome::Counted(Usage::off("spark.ui.enabled is false".into()));
    let (off, then) = later(ready, &seen, 30, Some(unknown));
    let decision = decide(&off, then);
    assert_eq!(in_use(&decision), Some(("Unknown", "UIOff")));
    assert_eq!(decision.status.state, State::Ready);
}

#[test]
fn a_server_is_stopped_when_nothing_was_computed_for_so_long_and_never_for_want_of_knowledge() {
    for (outcome, at, stopped) in [
        (used(0, 0), 59, false),
        (used(0, 0), 60, true),
        (used(2, 0), 60, true),
        (used(2, 1), 600, false),
        (Outcome::Counted(Usage::unreadable("no")), 600, false),
    ] {
        let ready = with_timeout(60);
        let first = after(ready.clone(), outcome.clone());
        assert_eq!(first.action, None);
        let (looked, then) = later(ready, &first, at, Some(outcome.clone()));
        let decision = decide(&looked, then);
        let deleted = decision.action == Some(Action::Delete("p1".into()));
        assert_eq!(deleted, stopped, "{outcome:?} {at}");
        if stopped {
            assert_eq!((decision.status.state, reason(&decision)), (State::NotReady, "Idle"));
            assert_eq!(
                (decision.status.server.pod_name.clone(), in_use(&decision)),
                (None, None)
            );
            let [event] = &decision.events[..] else {
                panic!("{:?}", decision.events)
            };
            assert_eq!((event.warning, event.reason), (false, "SparkConnectStopped"));
            assert!(event.note.contains("stoke connect lab"), "{}", event.note);
        }
    }
}

#[test]
fn only_a_fresh_look_stops_a_server() {
    let ready = with_timeout(60);
    let first = after(ready.clone(), used(1, 0));
    let (waiting, then) = later(ready, &first, 60, None);
    assert_eq!(decide(&waiting, then).action, Some(Action::Count));
}

#[test]
fn who_woke_a_server_lately_keeps_it() {
    let woken = (now() + SignedDuration::from_secs(30)).to_string();
    for (at, stopped) in [(60, false), (89, false), (90, true)] {
        let ready = annotated(with_timeout(60), "stoke.dev/wake", &woken);
        let first = after(ready.clone(), used(0, 0));
        let (looked, then) = later(ready, &first, at, Some(used(0, 0)));
        assert_eq!(decide(&looked, then).action.is_some(), stopped, "{at}");
    }
}

/// What was decided when a server was stopped, and the facts then.
fn stopped() -> (Facts, Decision) {
    let ready = with_timeout(60);
    let first = after(ready.clone(), used(1, 0));
    let (looked, then) = later(ready, &first, 60, Some(used(1, 0)));
    let decision = decide(&looked, then);
    (later(looked, &decision, 60, None).0, decision)
}

#[test]
fn a_stopped_server_stays_stopped_until_it_is_asked_for() {
    let (facts, decision) = stopped();
    let then = now() + SignedDuration::from_secs(61);
    let with = |server: Server| Facts {
        server,
        ..facts.clone()
    };
    let going = Server::Present(ServerPod {
        deleting: true,
        ..pod(Phase::Running, false)
    });
    for (server, action) in [
        (Server::NotCached, None),
        (Server::Gone, None),
        (going.clone(), None),
        // Who took over finds the pod still there.
        (running(true), Some(Action::Delete("p1".into()))),
    ] {
        let next = decide(&with(server.clone()), then);
        assert_eq!(
            (next.action, next.status),
            (action, decision.status.clone()),
            "{server:?}"
        );
    }
    let wake = |seconds: i64| (now() + SignedDuration::from_secs(seconds)).to_string();
    let mut edited = with(Server::NotCached);
    edited.connect.metadata.generation = Some(2);
    for (asked, action) in [
        (annotated(with(Server::NotCached), "stoke.dev/wake", &wake(60)), None),
        (annotated(with(Server::NotCached), "stoke.dev/wake", "soon"), None),
        (
            annotated(with(Server::NotCached), "stoke.dev/wake", &wake(61)),
            Some(Action::Look),
        ),
        (
            annotated(with(Server::Gone), "stoke.dev/wake", &wake(61)),
            Some(Action::Create(1)),
        ),
        (
            annotated(with(running(true)), "stoke.dev/wake", &wake(61)),
            Some(Action::Delete("p1".into())),
        ),
        (annotated(with(going), "stoke.dev/wake", &wake(61)), None),
        (edited, Some(Action::Look)),
    ] {
        let next = decide(&asked, then);
        assert_eq!(next.action, action, "{:?} {:?}", asked.server, asked.connect.metadata);
        let starts = matches!(next.action, Some(Action::Create(_)));
        assert!(!starts || next.status.state == State::Provisioning);
    }
}

#[test]
fn a_timeout_that_is_none_begins_no_server_and_ends_none() {
    let wrong = |server, state| annotated(facts(state, server), "stoke.dev/idle-timeout", "soon");
    let decision = decide(&wrong(Server::Gone, State::New), now());
    assert_eq!((decision.status.state, decision.action.clone()), (State::Failed, None));
    assert!(
        decision.status.conditions[0].message.contains("such as 30m"),
        "{decision:?}"
    );
    let running = wrong(running(true), State::Ready);
    let decision = after(running, used(0, 0));
    assert_eq!((decision.status.state, decision.action.clone()), (State::Ready, None));
    let said = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.message.contains("such as 30m")
    };
    assert!(decision.status.conditions.iter().any(said), "{decision:?}");
}

#[test]
fn a_ready_server_is_left_alone_and_one_that_closes_its_port_is_not_ready() {
    let mut ready = facts(State::Ready, running(true));
    ready.connect.status = Some(after(ready.clone(), used(0, 0)).status);
    ready.counted_at = Some(now());
    assert_eq!(decide(&ready, now()).action, None);
    let closed = decide(&facts(State::Ready, running(false)), now());
    assert_eq!(
        (closed.status.state, closed.events[0].reason),
        (State::NotReady, "SparkConnectNotReady")
    );
    assert_eq!(
        decide(&facts(State::NotReady, running(true)), now()).action,
        Some(Action::Greet)
    );
}

#[test]
fn a_server_that_was_ready_is_replaced_later_each_time() {
    let ended = |attempt, lived| {
        let pod = ServerPod {
            attempt,
            created_at: Some(now() - SignedDuration::from_secs(lived)),
            ..pod(
                Phase::Ended("the server ended with exit code 137, reason OOMKilled".into()),
                false,
            )
        };
        facts(State::Ready, Server::Present(pod))
    };
    for (attempt, lived, wait) in [(1, 60, 5), (2, 60, 10), (4, 60, 40), (20, 60, 300), (20, 6000, 5)] {
        let first = decide(&ended(attempt, lived), now());
        assert_eq!((first.status.state, first.action.clone()), (State::Failed, None));
        assert!(first.status.conditions[0].message.contains("OOMKilled"));
        let due = now() + SignedDuration::from_secs(wait);
        assert_eq!(first.requeue_at, Some(due), "{attempt} {lived}");
        let mut later = ended(attempt, lived);
        later.connect.status = Some(first.status);
        let second = decide(&later, due);
        assert_eq!(second.action, Some(Action::Delete("p1".into())));
        assert_eq!(
            (second.status.state, second.status.server.pod_name),
            (State::Provisioning, None)
        );
    }
}

#[test]
fn a_server_that_never_was_ready_stays_for_its_log() {
    let mut facts = facts(
        State::Provisioning,
        Server::Present(pod(Phase::Ended("exit code 1".into()), false)),
    );
    let decision = decide(&facts, now());
    assert_eq!(
        (decision.status.state, reason(&decision)),
        (State::Failed, "ServerNeverReady")
    );
    assert_eq!((decision.action.clone(), decision.requeue_at), (None, None));
    assert!(
        decision.status.conditions[0]
            .message
            .contains("kubectl logs lab-server")
    );
    facts.connect.status = Some(decision.status.clone());
    let again = decide(&facts, now() + SignedDuration::from_mins(60));
    assert_eq!((again.status, again.action), (decision.status, None));
}

#[test]
fn an_edit_replaces_the_server() {
    let edited = Facts {
        spec_digest: "d2".into(),
        ..facts(State::Ready, running(true))
    };
    let decision = decide(&edited, now());
    assert_eq!(decision.action, Some(Action::Delete("p1".into())));
    assert_eq!(decision.status.state, State::Provisioning);
    let going = Facts {
        server: Server::Present(ServerPod {
            deleting: true,
            ..pod(Phase::Running, false)
        }),
        ..edited
    };
    assert_eq!(decide(&going, now()).action, None);
}

#[test]
fn what_is_refused_is_said_and_tried_again_only_where_that_can_help() {
    for (permanent, again) in [(true, None), (false, Some(now() + SignedDuration::from_secs(30)))] {
        let refused = Outcome::Refused {
            message: "sparkConf key \"spark.master\" is not allowed".into(),
            permanent,
        };
        let decision = after(facts(State::Provisioning, Server::Gone), refused);
        assert_eq!((decision.status.state, decision.requeue_at), (State::Failed, again));
        assert!(decision.status.conditions[0].message.contains("is not allowed"));
        // Trying again does not flap.
        let mut again = facts(State::Failed, Server::Gone);
        again.connect.status = Some(decision.status.clone());
        let tried = decide(&again, now());
        assert_eq!(
            (tried.status.state, tried.action),
            (State::Failed, Some(Action::Create(1)))
        );
    }
}

#[test]
fn a_pod_of_another_is_never_touched() {
    let other = Server::Present(ServerPod {
        owners: vec!["u2".into()],
        ..pod(Phase::Running, true)
    });
    let decision = decide(&facts(State::New, other), now());
    assert_eq!((decision.status.state, decision.action.clone()), (State::Failed, None));
    assert!(decision.status.conditions[0].message.contains("does not belong"));
}

#[test]
fn executors_are_counted_by_phase() {
    let mut facts = facts(State::Ready, running(true));
    facts.executors = [("running".to_owned(), 2), ("pending".to_owned(), 1)].into();
    facts.outcome = Some(used(0, 0));
    let decision = decide(&facts, now());
    assert_eq!(decision.status.executors, facts.executors);
    // Nothing more to write once it is known.
    facts.connect.status = Some(decision.status.clone());
    facts.outcome = None;
    assert_eq!(
        decide(&facts, now() + SignedDuration::from_mins(1)).status,
        decision.status
    );
}

#[test]
fn a_deleted_object_is_left_to_the_garbage_collector() {
    let mut facts = facts(State::Ready, Server::Gone);
    facts.connect.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    assert_eq!(decide(&facts, now()).action, None);
}
