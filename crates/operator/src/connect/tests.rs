//! Every arrow of a server's life, by table.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stoke_model::crd::{ConnectState as State, SparkConnect, SparkConnectStatus};

use super::decide::{Action, Decision, decide};
use super::facts::{Facts, Outcome, Phase, Server, ServerPod};

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

#[test]
fn a_ready_server_is_left_alone_and_one_that_closes_its_port_is_not_ready() {
    let ready = facts(State::Ready, running(true));
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
    let decision = decide(&facts, now());
    assert_eq!(decision.status.executors, facts.executors);
    // Nothing more to write once it is known.
    facts.connect.status = Some(decision.status.clone());
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
