//! A History Server that does not serve.

use serde_json::json;
use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{PORT, STORE, WITHIN, WORKLOAD};

pub static BOOK: Runbook = Runbook {
    name: "history-server",
    title: "The History Server does not answer",
    when: "Pages or the status API of the history cannot be had. A server that is scaled to nothing is started, one that does not answer is started again; event logs that cannot be read are another runbook's.",
    codes: &[],
    parameters: &[
        WORKLOAD,
        Parameter {
            need: Need::Else("18080"),
            ..PORT
        },
        Parameter {
            name: "path",
            what: "What it is asked for over HTTP",
            found: "The status API",
            form: Form::Text,
            need: Need::Else("/api/v1/applications"),
        },
        Parameter {
            need: Need::Maybe,
            what: "Where its event logs are",
            found: "spark.history.fs.logDirectory",
            ..STORE
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "answer",
            what: "Does it answer, are its pods there, can its event logs be listed?",
            only: &[],
            reads: &[Read::Workload, Read::WorkloadPods, Read::Endpoint, Read::Store],
            does: Does::Check(check),
        },
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
        ready(&[]),
        ANSWERS,
    ],
    limits: &[
        "Its drills run the History Server of Stoke. Of Spark's own they say that it is started, stopped and asked in the same way.",
    ],
};

const READY: Step = Step {
    name: "ready",
    what: "All its pods are ready and of the last template.",
    only: &[],
    reads: &[Read::Workload],
    does: Does::Verify {
        holds: rolled_out,
        within: 600,
    },
};
const ANSWERS: Step = Step {
    name: "answers",
    what: "It answers what it is asked.",
    only: &[],
    reads: &[Read::Workload, Read::WorkloadPods, Read::Endpoint],
    does: Does::Verify {
        holds: endpoint,
        within: 120,
    },
};

/// A step of services.
pub const fn ready(only: &'static [&'static str]) -> Step {
    Step { only, ..READY }
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let workload = case.the(Read::Workload)?;
    if case.input.get("store").is_some() {
        let (listed, says) = case.tried(Read::Store)?;
        if !listed {
            return Ok(Seen::other(
                "object-store",
                format!("its event logs cannot be listed: {says}"),
            ));
        }
    }
    service(case, workload, Read::Endpoint)
}

/// How a service is: it answers, it is scaled to nothing, its pods wait, or it is down.
pub fn service(case: &Case<'_>, workload: &serde_json::Value, answer: Read) -> Result<Seen, Unknown> {
    let (wanted, ready, _) = spark::replicas(workload);
    if wanted == 0 {
        return Ok(Seen::go("it is scaled to nothing").on("stopped"));
    }
    let (answered, says) = case.tried(answer)?;
    if answered {
        return Ok(Seen::nothing(format!("it answers: {says}")));
    }
    let waits = case.all(Read::WorkloadPods)?.iter().find(|pod| {
        spark::phase(pod) == "Pending" && spark::waiting(pod).is_none_or(|(reason, _)| reason != "ContainerCreating")
    });
    if let Some(pod) = waits {
        let why = spark::waiting(pod).map_or_else(
            || "it has no node".to_owned(),
            |(reason, message)| format!("{reason} {message}"),
        );
        return Ok(Seen::other(
            "pending-pods",
            format!("pod {} waits: {why}", spark::name(pod)),
        ));
    }
    Ok(Seen::go(format!(
        "{ready} of {} ready, and it does not answer: {says}",
        counted(wanted.unsigned_abs(), "pod")
    ))
    .on("down"))
}

fn plan_start(case: &Case<'_>) -> Result<Plan, Unknown> {
    scale(case, 1)
}

/// A plan that gives a workload so many pods.
pub fn scale(case: &Case<'_>, replicas: i64) -> Result<Plan, Unknown> {
    let workload = case.the(Read::Workload)?;
    let (kind, name) = case
        .input
        .workload()
        .ok_or("--workload is deployment/NAME or statefulset/NAME")?;
    let (wanted, ..) = spark::replicas(workload);
    if wanted == replicas {
        return Ok(Plan::nothing("it has as many"));
    }
    let change = Change::patch(kind, workload, json!({"spec": {"replicas": replicas}}));
    Ok(Plan::new(
        format!(
            "{name} has {wanted} and gets {}",
            counted(replicas.unsigned_abs(), "pod")
        ),
        vec![change],
    ))
}

/// A plan that makes the pods of a workload again.
pub fn plan_restart(case: &Case<'_>) -> Result<Plan, Unknown> {
    let workload = case.the(Read::Workload)?;
    let (kind, name) = case
        .input
        .workload()
        .ok_or("--workload is deployment/NAME or statefulset/NAME")?;
    let (wanted, ..) = spark::replicas(workload);
    let change = Change::patch(kind, workload, spark::restart(case));
    Ok(Plan::new(
        format!("{} of {name} are made again", counted(wanted.unsigned_abs(), "pod")),
        vec![change],
    ))
}

/// Whether a workload is whole.
pub fn rolled_out(case: &Case<'_>) -> Result<Held, Unknown> {
    Ok(spark::is_rolled_out(case.the(Read::Workload)?))
}

fn endpoint(case: &Case<'_>) -> Result<Held, Unknown> {
    let (answered, says) = case.tried(Read::Endpoint)?;
    Ok(Held::when(answered, says, says))
}
