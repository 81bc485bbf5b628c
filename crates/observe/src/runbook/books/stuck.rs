//! A run without progress.

use serde_json::json;
use stoke_model::units::people::counted;

use super::super::book::{Does, Form, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, SETTLE, WITH_FINDINGS, WITHIN, on_edit, put_back, repair, runs_after};

pub static BOOK: Runbook = Runbook {
    name: "stuck-run",
    title: "A run makes no progress",
    when: "An application is RUNNING for far longer than it should, and no task ends. It is begun again, after what waits for pods was excluded.",
    codes: &["stage-stuck", "deadline-exceeded", "start-timeout", "job-cancelled"],
    parameters: &[
        APPLICATION,
        Parameter {
            name: "after",
            what: "Seconds that the run must have lasted to be held for stuck",
            found: "Its usual duration: `stoke compare`, or the history of its runs",
            form: Form::Seconds,
            need: Need::Else("3600"),
        },
        SETTLE,
        WITHIN,
    ],
    steps: &[
        Step {
            name: "progress",
            what: "Does it run for too long, with executors, or does it wait for pods?",
            only: &[],
            reads: WITH_FINDINGS,
            does: Does::Check(check),
        },
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
    ],
    limits: &[
        "Work that the run has done is lost unless the program keeps checkpoints. Take `stoke bundle NAME` before, when the cause is to be found later.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let pods = case.all(Read::ApplicationPods)?;
    if spark::state(application) != "RUNNING" {
        return Ok(Seen::nothing(format!(
            "it is {}, not RUNNING",
            spark::word(spark::state(application))
        )));
    }
    let executors = |phase: &str| {
        pods.iter()
            .filter(|pod| spark::is_executor(pod) && spark::phase(pod) == phase)
            .count()
    };
    let (running, pending) = (executors("Running"), executors("Pending"));
    if running == 0 && pending > 0 {
        return Ok(Seen::other(
            "pending-pods",
            format!("{} wait for a node or an image", counted(pending, "executor")),
        ));
    }
    let long = spark::submitted(application).map_or(0, |at| case.since(at).as_secs());
    let after = case.input.count("after").unwrap_or(3600);
    let findings = case.all(Read::Findings).unwrap_or_default();
    let stuck = spark::finding(findings, BOOK.codes);
    if stuck.is_none() && long < after {
        return Ok(Seen::nothing(format!(
            "it runs for {long} s, less than {after} s, and the doctor sees no stage that stands still"
        )));
    }
    let why = stuck.map_or_else(
        || format!("it runs for {long} s, longer than {after} s"),
        |finding| spark::text(&finding["message"]).to_owned(),
    );
    // An edit of any kind begins it again; what is set to wait for the next run is asked to restart for once.
    let patch = json!({
        "metadata": {"annotations": {"stoke.dev/on-edit": "Restart"}},
        "spec": {"driver": {"annotations": {"runbook.stoke.dev/rerun": case.record}}},
    });
    let says = format!("{why}; {} run", counted(running, "executor"));
    Ok(Seen::go(says).keep("patch", patch).keep("onEdit", on_edit(application)))
}
