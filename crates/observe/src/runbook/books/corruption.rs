//! Files that cannot be read.

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Action, Change, Plan};
use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{ANY_APPLICATION, SETTLE, STORE, WITHIN, on_edit, put_back, repair, runs_after};

pub static BOOK: Runbook = Runbook {
    name: "data-corruption",
    title: "Files of a data set cannot be read",
    when: "Readers fail on files that are empty, cut off or not of their format. The writer's schedule is held, the files are set aside, where readers do not look, and the writer makes them again.",
    codes: &[
        "file-unreadable",
        "file-changed",
        "file-schema-mismatch",
        "table-format-wrong",
        "path-already-exists",
    ],
    parameters: &[STORE, ANY_APPLICATION, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "damaged",
            what: "Which files are empty, cut off or not of the format that their names say?",
            only: &[],
            reads: &[Read::Files, Read::Application],
            does: Does::Check(check),
        },
        Step {
            name: "hold-writer",
            what: "Suspend the schedule of the writer.",
            only: &[],
            reads: &[Read::Schedule],
            does: Does::Act {
                rights: &[("patch", Kind::ScheduledSparkApplication)],
                plan: plan_hold,
                undo: "The schedule goes on.",
            },
        },
        Step {
            name: "set-aside",
            what: "Move the damaged files to a folder that readers leave out.",
            only: &[],
            reads: &[Read::Files],
            does: Does::Act {
                rights: &[],
                plan: plan_aside,
                undo: "The files are moved back.",
            },
        },
        Step {
            name: "readable",
            what: "No damaged file is left where readers look.",
            only: &[],
            reads: &[Read::Files],
            does: Does::Verify {
                holds: readable,
                within: 120,
            },
        },
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
        Step {
            name: "release-writer",
            what: "The schedule of the writer goes on.",
            only: &[],
            reads: &[Read::Schedule],
            does: Does::Act {
                rights: &[("patch", Kind::ScheduledSparkApplication)],
                plan: plan_release,
                undo: "It is suspended again.",
            },
        },
    ],
    limits: &[
        "For data that can be read and are wrong: `stoke quality check` with a contract, and its quarantine.",
        "A table of Delta Lake, Iceberg or Hudi is set back to an earlier version by its own engine (`RESTORE`, `rollback_to_snapshot`): a file that its log names must not be moved.",
    ],
};

fn damaged<'a>(case: &Case<'a>) -> Result<Vec<(&'a str, &'a str)>, Unknown> {
    let files = case.all(Read::Files)?.iter();
    Ok(files
        .filter_map(|file| Some((spark::text(&file["name"]), file["damaged"].as_str()?)))
        .collect())
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let files = case.all(Read::Files)?;
    let logs = ["_delta_log/", "metadata/", ".hoodie/"];
    if let Some(table) = files
        .iter()
        .map(|file| spark::text(&file["name"]))
        .find(|name| logs.iter().any(|log| name.starts_with(log)))
    {
        return Err(Unknown(format!(
            "this is a table with a log ({table}): set it back with its own engine"
        )));
    }
    let damaged = damaged(case)?;
    if damaged.is_empty() {
        return Ok(Seen::nothing(format!(
            "{}, none of them damaged",
            counted(files.len(), "file")
        )));
    }
    let list: Vec<String> = damaged
        .iter()
        .take(5)
        .map(|(name, why)| format!("{name} ({why})"))
        .collect();
    let names: Vec<&str> = damaged.iter().map(|(name, _)| *name).collect();
    let before = case.one(Read::Application)?.map(on_edit).unwrap_or_default();
    Ok(Seen::go(format!(
        "{} of {}: {}",
        names.len(),
        counted(files.len(), "file"),
        list.join(", ")
    ))
    .keep("files", names)
    .keep("onEdit", before)
    .keep("again", true))
}

fn plan_hold(case: &Case<'_>) -> Result<Plan, Unknown> {
    let Some(schedule) = case.one(Read::Schedule)? else {
        return Ok(Plan::nothing("no schedule begins the writer, or none was named"));
    };
    if schedule["spec"]["suspend"] == true {
        return Ok(Plan::nothing("it is suspended already"));
    }
    let patch =
        json!({"spec": {"suspend": true}, "metadata": {"annotations": {"runbook.stoke.dev/held-by": case.record}}});
    Ok(Plan::new(
        format!("schedule {} begins no runs", spark::name(schedule)),
        vec![Change::patch(Kind::ScheduledSparkApplication, schedule, patch)],
    ))
}

fn plan_aside(case: &Case<'_>) -> Result<Plan, Unknown> {
    let files: Vec<String> = case
        .kept
        .get("files")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|name| spark::text(name).to_owned())
        .collect();
    let from = case.input.text("store").trim_end_matches('/').to_owned();
    // Spark leaves out what begins with an underscore.
    let to = format!("{from}/_damaged/{}", case.record);
    let blast = format!(
        "{} go from {from} to {to}; readers see no rows of them",
        counted(files.len(), "file")
    );
    let back = Action::Move {
        from: to.clone(),
        to: from.clone(),
        files: files.clone(),
    };
    let action = Action::Move { from, to, files };
    Ok(Plan::new(
        blast,
        vec![Change {
            action,
            undo: Some(back),
        }],
    ))
}

fn readable(case: &Case<'_>) -> Result<Held, Unknown> {
    let left = damaged(case)?.len();
    Ok(Held::when(
        left == 0,
        "no damaged file is left",
        format!("{} left", counted(left, "damaged file")),
    ))
}

fn plan_release(case: &Case<'_>) -> Result<Plan, Unknown> {
    let held = case
        .one(Read::Schedule)?
        .filter(|schedule| schedule["metadata"]["annotations"]["runbook.stoke.dev/held-by"] == case.record);
    let Some(schedule) = held else {
        return Ok(Plan::nothing("no schedule was suspended here"));
    };
    let patch = json!({"spec": {"suspend": false}, "metadata": {"annotations": {"runbook.stoke.dev/held-by": null}}});
    Ok(Plan::new(
        format!("schedule {} begins runs again", spark::name(schedule)),
        vec![Change::patch(Kind::ScheduledSparkApplication, schedule, patch)],
    ))
}
