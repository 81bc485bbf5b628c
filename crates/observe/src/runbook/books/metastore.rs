//! A metastore that is away.

use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::history::{plan_restart, ready, scale, service};
use super::shared::{
    ANY_APPLICATION, PORT, SETTLE, WITHIN, WORKLOAD, hold, on_edit, put_back, release, repair, runs_after,
};

const DOWN: &[&str] = &["down", "stopped"];

pub static BOOK: Runbook = Runbook {
    name: "metastore-outage",
    title: "The metastore is away",
    when: "Applications fail because no Hive Metastore answers. Schedules begin no runs that can only fail, the metastore is started again, then they go on and what failed runs again.",
    codes: &["metastore-unreachable"],
    parameters: &[WORKLOAD, PORT, ANY_APPLICATION, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "answer",
            what: "Does it answer a call of its protocol?",
            only: &[],
            reads: &[Read::Workload, Read::WorkloadPods, Read::Thrift, Read::Application],
            does: Does::Check(check),
        },
        hold(DOWN),
        Step {
            name: "start",
            what: "Scale it to one pod.",
            only: &["stopped"],
            reads: &[Read::Workload],
            does: Does::Act {
                rights: &[("patch", Kind::Deployment), ("patch", Kind::StatefulSet)],
                plan: plan_start,
                undo: "It is scaled to nothing again.",
            },
        },
        Step {
            name: "restart",
            what: "Make its pods again, one after the other.",
            only: &["down"],
            reads: &[Read::Workload],
            does: Does::Act {
                rights: &[("patch", Kind::Deployment), ("patch", Kind::StatefulSet)],
                plan: plan_restart,
                undo: "The annotation that made them again is removed, which makes them again.",
            },
        },
        ready(DOWN),
        Step {
            name: "answers",
            what: "It answers a call of its protocol.",
            only: DOWN,
            reads: &[Read::Workload, Read::WorkloadPods, Read::Thrift],
            does: Does::Verify {
                holds: answers,
                within: 120,
            },
        },
        release(DOWN),
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
    ],
    limits: &[
        "A Hive Metastore that wants SASL or TLS is asked nothing: that it takes a connection counts as an answer, so one that hangs is not found.",
        "Its database is looked after by who runs it.",
        "Cut off at every point it is drilled with a program that speaks the one call; Hive Metastore 3.1.3 itself is stopped and hung in the tests of tier full.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let workload = case.the(Read::Workload)?;
    let application = case.one(Read::Application)?;
    let before = application.map(on_edit).unwrap_or_default();
    match service(case, workload, Read::Thrift)? {
        Seen::Nothing(says) => match application {
            Some(application) if super::super::spark::state(application) == "FAILED" => Ok(Seen::go(format!(
                "{says}; the application that failed of it may run again"
            ))
            .on("answers")
            .keep("onEdit", before)),
            _ => Ok(Seen::nothing(says)),
        },
        seen => Ok(seen.keep("onEdit", before)),
    }
}

fn answers(case: &Case<'_>) -> Result<Held, Unknown> {
    let (answered, says) = case.tried(Read::Thrift)?;
    Ok(Held::when(answered, says, says))
}

fn plan_start(case: &Case<'_>) -> Result<super::super::action::Plan, Unknown> {
    scale(case, 1)
}
