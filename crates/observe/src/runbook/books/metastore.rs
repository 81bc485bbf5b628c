//! A metastore that is away.

use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Seen, Unknown};
use super::history::{answers, plan_restart, ready, scale, service};
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
            what: "Does its port take connections?",
            only: &[],
            reads: &[Read::Workload, Read::WorkloadPods, Read::Endpoint, Read::Application],
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
        answers(DOWN),
        release(DOWN),
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
    ],
    limits: &[
        "No Hive Metastore was at hand: a program that listens at its port stands in for it. Its database is looked after by who runs it.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let workload = case.the(Read::Workload)?;
    let application = case.one(Read::Application)?;
    let before = application.map(on_edit).unwrap_or_default();
    match service(case, workload)? {
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

fn plan_start(case: &Case<'_>) -> Result<super::super::action::Plan, Unknown> {
    scale(case, 1)
}
