//! Shuffle data that cannot be fetched.

use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{
    APPLICATION, FIX, SETTLE, WITHIN, WORKLOAD, change, on_edit, put_back, repair, runs_after, without_change,
};

const WORKERS: &[&str] = &["workers"];

pub static BOOK: Runbook = Runbook {
    name: "shuffle-fetch-failures",
    title: "Shuffle data cannot be fetched",
    when: "Stages fail with FetchFailed. Where the shuffle lies with a service of its own (Apache Celeborn), its workers are looked at first; otherwise the doctor's change is made: more patience, or executors that hand their blocks over before they go.",
    codes: &[
        "fetch-failed",
        "fetch-failed-executor-lost",
        "fetch-failed-timeout",
        "fetch-failed-disk",
        "fetch-failed-corrupt",
        "shuffle-fetch-wait",
    ],
    parameters: &[
        APPLICATION,
        Parameter {
            need: Need::Maybe,
            what: "The workers of the shuffle service, as statefulset/NAME, where there is one",
            found: "`kubectl get statefulsets`; spark.celeborn.master.endpoints names the namespace",
            ..WORKLOAD
        },
        FIX,
        SETTLE,
        WITHIN,
    ],
    steps: &[
        Step {
            name: "cause",
            what: "Is a worker of the shuffle service down, or is it the settings?",
            only: &[],
            reads: &[
                Read::Application,
                Read::ApplicationPods,
                Read::Findings,
                Read::Workload,
                Read::WorkloadPods,
            ],
            does: Does::Check(check),
        },
        Step {
            name: "replace-workers",
            what: "Delete the pods of workers that are not ready; their StatefulSet makes others.",
            only: WORKERS,
            reads: &[Read::Workload, Read::WorkloadPods],
            does: Does::Act {
                rights: &[("delete", Kind::Pod)],
                plan: plan_workers,
                undo: "",
            },
        },
        Step {
            name: "workers",
            what: "All workers are ready.",
            only: WORKERS,
            reads: &[Read::Workload],
            does: Does::Verify {
                holds: workers,
                within: 600,
            },
        },
        repair(&[]),
        Step {
            name: "works",
            what: "The application runs or has completed.",
            only: WORKERS,
            reads: &[Read::Application],
            does: Does::Verify {
                holds: works,
                within: 900,
            },
        },
        runs_after(&["settings"]),
        put_back(&[]),
    ],
    limits: &[
        "Not tried with Apache Celeborn itself: its master and workers cannot be had from Maven Central, so a StatefulSet of other programs is drilled. What is done is that of any StatefulSet; that fetches work again is believed when the application runs.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let keep = |seen: Seen| seen.keep("onEdit", on_edit(application));
    if case.input.workload().is_some() {
        let workers = case.the(Read::Workload)?;
        let (wanted, ready, _) = spark::replicas(workers);
        if ready < wanted {
            return Ok(keep(
                Seen::go(format!("{ready} of {wanted} workers are ready")).on("workers"),
            ));
        }
    }
    let findings = case.all(Read::Findings)?;
    let finding = spark::finding(findings, BOOK.codes);
    if finding.is_none() && case.input.get("fix").is_none() {
        return Ok(Seen::nothing("no fetch failed, and no worker is missing"));
    }
    let patch = change(case, finding).ok_or_else(|| without_change(finding))?;
    let message = finding.map_or("a change was given", |finding| spark::text(&finding["message"]));
    Ok(keep(
        Seen::go(format!("{message}; the change is {patch}"))
            .on("settings")
            .keep("patch", patch),
    ))
}

fn plan_workers(case: &Case<'_>) -> Result<Plan, Unknown> {
    let pods = case.all(Read::WorkloadPods)?.iter().filter(|pod| !spark::is_ready(pod));
    let changes: Vec<Change> = pods.map(|pod| Change::delete(Kind::Pod, pod)).collect();
    match changes.is_empty() {
        true => Ok(Plan::nothing(
            "no pod of a worker is unready; its StatefulSet makes those that are missing",
        )),
        false => Ok(Plan::new(
            format!(
                "{} of {} are made again; blocks that only they hold are computed again",
                counted(changes.len(), "worker"),
                case.input.text("workload")
            ),
            changes,
        )),
    }
}

fn workers(case: &Case<'_>) -> Result<Held, Unknown> {
    let (wanted, ready, _) = spark::replicas(case.the(Read::Workload)?);
    Ok(Held::when(
        ready >= wanted,
        format!("{} ready", counted(ready.unsigned_abs(), "worker")),
        format!("{ready} of {wanted} workers are ready"),
    ))
}

fn works(case: &Case<'_>) -> Result<Held, Unknown> {
    let application = case.the(Read::Application)?;
    let state = spark::state(application);
    Ok(Held::when(
        matches!(state, "RUNNING" | "COMPLETED"),
        format!("it is {state}"),
        format!("it is {} {}", spark::word(state), spark::message(application)),
    ))
}
