//! Tasks that fail by the program's own doing.

use serde_json::json;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, FIX, SETTLE, WITHIN, change, on_edit, put_back, repair, runs_after};

const CODE: &[&str] = &["program"];
const SETTINGS: &[&str] = &["settings"];

pub static BOOK: Runbook = Runbook {
    name: "task-failures",
    title: "Tasks fail",
    when: "A stage is given up because one task failed too often. What a setting repairs is repaired; for a fault of the program no further run is begun until someone repaired it.",
    codes: &[
        "job-aborted",
        "python-exception",
        "jvm-exception",
        "not-serializable",
        "context-in-task",
        "python-worker-crashed",
        "python-result-type",
        "python-module-missing",
        "python-package-version",
        "python-mismatch",
        "task-result-lost",
        "task-too-large",
        "class-not-found",
        "method-missing",
        "scala-mismatch",
        "sql-analysis-error",
        "sql-runtime-error",
        "stack-overflow",
        "disk-full",
        "too-many-open-files",
    ],
    parameters: &[APPLICATION, FIX, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "cause",
            what: "Is it a setting that a change repairs, or the program?",
            only: &[],
            reads: &[Read::Application, Read::ApplicationPods, Read::Findings, Read::Schedule],
            does: Does::Check(check),
        },
        Step {
            name: "hold-schedule",
            what: "Suspend the schedule that begins it, so that no run begins that can only fail.",
            only: CODE,
            reads: &[Read::Schedule],
            does: Does::Act {
                rights: &[("patch", Kind::ScheduledSparkApplication)],
                plan: plan_hold,
                undo: "The schedule goes on: do this when the program is repaired.",
            },
        },
        Step {
            name: "held",
            what: "No run is begun by a clock.",
            only: CODE,
            reads: &[Read::Schedule],
            does: Does::Verify {
                holds: held,
                within: 60,
            },
        },
        repair(SETTINGS),
        runs_after(SETTINGS),
        put_back(SETTINGS),
    ],
    limits: &["The program is repaired by who owns it; `stoke runbook undo RECORD` lets the schedule go on then."],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let findings = case.all(Read::Findings)?;
    let finding = spark::finding(findings, BOOK.codes);
    let given = case.input.get("fix").is_some();
    if let Some(other) = findings
        .first()
        .filter(|first| !BOOK.codes.contains(&spark::text(&first["code"])) && first["severity"] == "error")
        && finding.is_none()
        && !given
        && let Some(book) = super::for_code(spark::text(&other["code"]))
    {
        return Ok(Seen::other(book.name, spark::text(&other["message"])));
    }
    if finding.is_none() && !given {
        return Ok(Seen::nothing("the doctor finds no task that failed by its own doing"));
    }
    let message = finding.map_or("a change was given", |finding| spark::text(&finding["message"]));
    match change(case, finding) {
        Some(patch) => Ok(Seen::go(format!("{message}; the change is {patch}"))
            .on("settings")
            .keep("patch", patch)
            .keep("onEdit", on_edit(application))),
        None => Ok(Seen::go(format!("{message}; no setting repairs it")).on("program")),
    }
}

fn plan_hold(case: &Case<'_>) -> Result<Plan, Unknown> {
    let Some(schedule) = case.one(Read::Schedule)? else {
        return Ok(Plan::nothing("no schedule begins it"));
    };
    if schedule["spec"]["suspend"] == true {
        return Ok(Plan::nothing("its schedule is suspended already"));
    }
    let change = Change::patch(
        Kind::ScheduledSparkApplication,
        schedule,
        json!({"spec": {"suspend": true}}),
    );
    Ok(Plan::new(
        format!("schedule {} begins no runs", spark::name(schedule)),
        vec![change],
    ))
}

fn held(case: &Case<'_>) -> Result<Held, Unknown> {
    let Some(schedule) = case.one(Read::Schedule)? else {
        return Ok(Held::Yes("no schedule begins it".to_owned()));
    };
    Ok(Held::when(
        schedule["spec"]["suspend"] == true && schedule["status"]["nextRun"].is_null(),
        format!("schedule {} begins no runs until it is repaired", spark::name(schedule)),
        format!(
            "schedule {} has a next run at {}",
            spark::name(schedule),
            spark::text(&schedule["status"]["nextRun"])
        ),
    ))
}
