//! The response to an incident itself.

use serde_json::Value;
use stoke_model::units::people::counted;

use super::super::action::{Action, Change, Plan};
use super::super::book::{Does, Form, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::WITHIN;

const LOOK: &[Read] = &[Read::Applications, Read::Schedules, Read::Connects, Read::Pods];

pub static BOOK: Runbook = Runbook {
    name: "incident",
    title: "Respond to an incident",
    when: "Several things are wrong at once, or people are affected. What is wrong in the namespace is listed with the runbook for each, an incident is opened that collects what happens, and closed when the symptoms are gone.",
    codes: &[],
    parameters: &[
        Parameter {
            name: "title",
            what: "What people notice, in one line",
            found: "The alert, or who reports it",
            form: Form::Text,
            need: Need::Else("Spark in trouble"),
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "impact",
            what: "What is wrong in the namespace, and which runbook is for it?",
            only: &[],
            reads: LOOK,
            does: Does::Check(check),
        },
        Step {
            name: "open",
            what: "Open an incident with what was seen.",
            only: &[],
            reads: &[Read::Incident],
            does: Does::Act {
                rights: &[],
                plan: plan_open,
                undo: "",
            },
        },
        Step {
            name: "respond",
            what: "Say who leads and who tells the others; run the runbooks that were named, note what is found with `stoke incident note`, then go on.",
            only: &[],
            reads: &[],
            does: Does::Pause,
        },
        Step {
            name: "gone",
            what: "Nothing of what was seen at first is wrong any more.",
            only: &[],
            reads: LOOK,
            does: Does::Verify {
                holds: gone,
                within: 900,
            },
        },
        Step {
            name: "close",
            what: "Close the incident; its review is drafted.",
            only: &[],
            reads: &[Read::Incident],
            does: Does::Act {
                rights: &[],
                plan: plan_close,
                undo: "",
            },
        },
    ],
    limits: &["Who is told, and when, is for people to decide: the review asks for it."],
};

/// What is wrong: a name for it, and the runbook.
fn symptoms(case: &Case<'_>) -> Result<Vec<(String, &'static str)>, Unknown> {
    let mut all = Vec::new();
    for application in case.all(Read::Applications)? {
        let name = spark::name(application);
        match spark::state(application) {
            "FAILED" => all.push((format!("application {name} failed"), "driver-crash-loop")),
            "FAILING" | "PENDING_RERUN" => {
                all.push((format!("application {name} is tried again"), "driver-crash-loop"))
            }
            "SUBMISSION_FAILED" => all.push((format!("application {name} is refused"), "quota")),
            _ => {}
        }
    }
    for schedule in case.all(Read::Schedules)? {
        let name = spark::name(schedule);
        if schedule["status"]["scheduleState"] == "FailedValidation" {
            all.push((format!("schedule {name} is not valid"), "schedule-missed"));
        }
    }
    for connect in case.all(Read::Connects)? {
        if matches!(spark::text(&connect["status"]["state"]), "NotReady" | "Failed") {
            all.push((
                format!("Connect server {} is not ready", spark::name(connect)),
                "connect-trouble",
            ));
        }
    }
    for pod in case.all(Read::Pods)? {
        let is_new = spark::time(&pod["metadata"]["creationTimestamp"]).is_some_and(|at| case.since(at).as_secs() < 30);
        if spark::phase(pod) == "Pending" && !is_new {
            all.push((format!("pod {} waits", spark::name(pod)), "pending-pods"));
        }
    }
    Ok(all)
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let symptoms = symptoms(case)?;
    if symptoms.is_empty() {
        return Ok(Seen::nothing(format!(
            "nothing is wrong in namespace {}",
            case.input.namespace
        )));
    }
    let list: Vec<String> = symptoms
        .iter()
        .map(|(what, runbook)| format!("{what} ({runbook})"))
        .collect();
    let names: Vec<&str> = symptoms.iter().map(|(what, _)| what.as_str()).collect();
    Ok(Seen::go(format!("{}: {}", counted(list.len(), "symptom"), list.join("; "))).keep("symptoms", names))
}

fn kept<'a>(case: &Case<'a>) -> Vec<&'a str> {
    case.kept
        .get("symptoms")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(spark::text)
        .collect()
}

fn plan_open(case: &Case<'_>) -> Result<Plan, Unknown> {
    let title = format!("{}: {}", case.input.text("title"), kept(case).join("; "));
    let action = Action::OpenIncident {
        id: case.record.to_owned(),
        title,
    };
    Ok(Plan::new(
        "a file of this machine; nothing of the cluster",
        vec![Change::only(action)],
    ))
}

fn gone(case: &Case<'_>) -> Result<Held, Unknown> {
    let before = kept(case);
    let left: Vec<String> = symptoms(case)?
        .into_iter()
        .map(|(what, _)| what)
        .filter(|what| before.contains(&what.as_str()))
        .collect();
    Ok(Held::when(
        left.is_empty(),
        format!("all {} are gone", counted(before.len(), "symptom")),
        left.join("; "),
    ))
}

fn plan_close(case: &Case<'_>) -> Result<Plan, Unknown> {
    let action = Action::CloseIncident {
        id: case.record.to_owned(),
        says: format!("gone: {}", kept(case).join("; ")),
    };
    Ok(Plan::new(
        "a file of this machine; nothing of the cluster",
        vec![Change::only(action)],
    ))
}
