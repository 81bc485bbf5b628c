//! A driver that ends again and again.

use serde_json::json;
use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{
    APPLICATION, FIX, SETTLE, WITH_FINDINGS, WITHIN, change, on_edit, put_back, repair, runs_after, without_change,
};

const LOOPING: &[&str] = &["looping"];

pub static BOOK: Runbook = Runbook {
    name: "driver-crash-loop",
    title: "A driver ends again and again",
    when: "An application is submitted, its driver ends badly, and it is submitted again; or its retries are used up. The loop is stopped first, so that it costs nothing while the cause is repaired.",
    codes: &[
        "driver-exit-code",
        "driver-killed",
        "driver-pod-deleted",
        "driver-evicted",
        "main-class-missing",
        "main-file-missing",
        "configuration-invalid",
        "java-options-refused",
        "context-not-started",
        "submission-failed",
    ],
    parameters: &[APPLICATION, FIX, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "loop",
            what: "Is the driver ending again and again, or has it been given up?",
            only: &[],
            reads: &[Read::Application],
            does: Does::Check(check_loop),
        },
        Step {
            name: "cause",
            what: "What does the doctor find, and which change of the manifest does it propose?",
            only: &[],
            reads: WITH_FINDINGS,
            does: Does::Check(check_cause),
        },
        Step {
            name: "stop",
            what: "Suspend the application: the loop ends.",
            only: LOOPING,
            reads: &[Read::Application, Read::ApplicationPods],
            does: Does::Act {
                rights: &[("patch", Kind::SparkApplication)],
                plan: plan_stop,
                undo: "spec.suspend gets its earlier value.",
            },
        },
        Step {
            name: "stopped",
            what: "The application is suspended and has no live pods.",
            only: LOOPING,
            reads: &[Read::Application, Read::ApplicationPods],
            does: Does::Verify {
                holds: stopped,
                within: 180,
            },
        },
        repair(&[]),
        Step {
            name: "resume",
            what: "The application may run again.",
            only: LOOPING,
            reads: &[Read::Application],
            does: Does::Act {
                rights: &[("patch", Kind::SparkApplication)],
                plan: plan_resume,
                undo: "It is suspended again.",
            },
        },
        runs_after(&[]),
        put_back(&["ended"]),
    ],
    limits: &[
        "A fault of the program is repaired by who writes it: give the change with --fix, for example another image.",
    ],
};

fn check_loop(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let (failures, state) = (spark::failures(application), spark::state(application));
    let settle = case.input.count("settle").unwrap_or(30);
    let long = spark::entered(application).map_or(0, |at| case.since(at).as_secs());
    let says = format!(
        "it is {}, {}, {} {}",
        spark::word(state),
        counted(spark::attempts(application).unsigned_abs(), "attempt"),
        counted(failures, "failure"),
        spark::message(application)
    );
    let says = says.trim().to_owned();
    match state {
        "FAILED" => Ok(Seen::go(says).on("ended").keep("onEdit", on_edit(application))),
        "COMPLETED" => Ok(Seen::nothing("it has completed")),
        "SUSPENDED" | "SUSPENDING" => Ok(Seen::nothing("it is suspended; nothing loops")),
        "RUNNING" if long >= settle => Ok(Seen::nothing(format!("it runs since {long} s"))),
        _ if failures >= 1 => Ok(Seen::go(says).on("looping")),
        _ => Ok(Seen::nothing(format!("{says}; it has not failed yet"))),
    }
}

fn check_cause(case: &Case<'_>) -> Result<Seen, Unknown> {
    // A change that was given needs no finding.
    let findings = match case.input.get("fix") {
        Some(_) => case.all(Read::Findings).unwrap_or_default(),
        None => case.all(Read::Findings)?,
    };
    let first = findings
        .iter()
        .find(|finding| spark::patch_of(finding).is_some())
        .or(findings.first());
    let patch = change(case, first).ok_or_else(|| without_change(first))?;
    let cause = first.map_or("the doctor finds no cause", |finding| spark::text(&finding["message"]));
    Ok(Seen::go(format!("{cause}; the change is {patch}")).keep("patch", patch))
}

fn plan_stop(case: &Case<'_>) -> Result<Plan, Unknown> {
    let application = case.the(Read::Application)?;
    let live = case
        .all(Read::ApplicationPods)?
        .iter()
        .filter(|pod| spark::is_live(pod))
        .count();
    let change = Change::patch(Kind::SparkApplication, application, json!({"spec": {"suspend": true}}));
    Ok(Plan::new(
        format!(
            "application {}: {} end, and no attempt follows",
            spark::name(application),
            counted(live, "live pod")
        ),
        vec![change],
    ))
}

fn stopped(case: &Case<'_>) -> Result<Held, Unknown> {
    let application = case.the(Read::Application)?;
    let live = case
        .all(Read::ApplicationPods)?
        .iter()
        .filter(|pod| spark::is_live(pod))
        .count();
    Ok(match spark::state(application) {
        // It used up its retries before it was suspended.
        "FAILED" | "SUSPENDED" if live == 0 => Held::Yes("no attempt follows, and no pod is left".to_owned()),
        state => Held::NotYet(format!(
            "it is {} with {}",
            spark::word(state),
            counted(live, "live pod")
        )),
    })
}

fn plan_resume(case: &Case<'_>) -> Result<Plan, Unknown> {
    let application = case.the(Read::Application)?;
    if application["spec"]["suspend"] != true {
        return Ok(Plan::nothing("it is not suspended"));
    }
    let change = Change::patch(Kind::SparkApplication, application, json!({"spec": {"suspend": false}}));
    Ok(Plan::new(
        format!("application {} begins one attempt", spark::name(application)),
        vec![change],
    ))
}
