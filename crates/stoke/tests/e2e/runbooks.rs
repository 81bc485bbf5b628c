//! `stoke runbook` and `stoke incident` as commands: what they print, ask and refuse. Every runbook against its fault is in `laptop/drills`.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, expect_code, expect_parts, program, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    vec![
        context.trial("runbook: listed, shown, refused", &[], listed),
        context.trial("runbook: asked, paused, gone on with, undone", &[kubectl], |context| {
            a_node(context)
        }),
    ]
}

fn listed(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let stoke = |arguments: &[&str]| crate::common::stoke(home.path(), arguments).output();
    let list = stoke(&["runbook", "list"])?;
    expect_code(&list, 0)?;
    expect_parts(&text(&list), &["driver-crash-loop", "rotate-secrets"])?;
    let show = stoke(&["runbook", "show", "quota", "--output", "json"])?;
    expect_code(&show, 0)?;
    let shown: Value = serde_json::from_slice(&show.stdout)?;
    if shown["steps"].as_array().is_none_or(|steps| steps.len() < 4) || shown["page"] != "docs/runbooks/quota.md" {
        return Err(format!("{shown:#}").into());
    }
    let unknown = stoke(&["runbook", "run", "crash-loop"])?;
    expect_code(&unknown, 2)?;
    expect_parts(
        &text(&unknown),
        &["stoke::runbook::unknown", "perhaps driver-crash-loop"],
    )?;
    let slip = stoke(&["runbook", "show", "qouta"])?;
    expect_code(&slip, 2)?;
    expect_parts(&text(&slip), &["perhaps quota"])?;
    // What is wrong with the input is said before a cluster is asked for.
    let input = stoke(&[
        "runbook",
        "run",
        "history-server",
        "--workload",
        "history",
        "--port",
        "65536",
    ])?;
    expect_code(&input, 2)?;
    expect_parts(
        &text(&input),
        &[
            "stoke::runbook::parameter",
            "deployment/NAME",
            "1 to 65535",
            "stoke runbook show history-server",
        ],
    )?;
    let none = stoke(&["runbook", "records"])?;
    expect_code(&none, 0)?;
    expect_parts(&text(&none), &["no runbook was run from here yet"])?;
    let without_cluster = stoke(&["runbook", "run", "quota", "--application", "etl"])?;
    expect_code(&without_cluster, 3)?;
    expect_parts(&text(&without_cluster), &["stoke::cluster::not-running"])?;
    let record = stoke(&["runbook", "resume", "quota-1"])?;
    expect_code(&record, 2)?;
    expect_parts(&text(&record), &["stoke::runbook::no-record"])?;
    let incident = stoke(&["incident", "show", "incident-1"])?;
    expect_code(&incident, 2)?;
    expect_parts(&text(&incident), &["stoke::incident::unknown"])
}

fn a_node(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let node = up
        .kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])
        .output()?;
    let node = text(&node);
    let cordoned = || -> Result<bool, Failed> {
        let found = up
            .kubectl(&["get", "node", &node, "-o", "jsonpath={.spec.unschedulable}"])
            .output()?;
        Ok(text(&found) == "true")
    };
    let run = ["runbook", "run", "node-maintenance", "--node", &node];

    let wrong = up
        .stoke(&["runbook", "run", "node-maintenance", "--application", "etl"])
        .output()?;
    expect_code(&wrong, 2)?;
    expect_parts(
        &text(&wrong),
        &[
            "stoke::runbook::parameter",
            "--node is missing",
            "takes no --application",
        ],
    )?;

    // No terminal can answer.
    let asked = up.stoke(&run).output()?;
    expect_code(&asked, 2)?;
    expect_parts(
        &text(&asked),
        &["stoke::runbook::consent", "takes no new pods", "--yes"],
    )?;
    let dry = up.stoke(&[&run[..], &["--dry-run", "--new"]].concat()).output()?;
    expect_code(&dry, 0)?;
    expect_parts(&text(&dry), &["would take it", "a dry run"])?;
    if cordoned()? {
        return Err("what was not agreed to was done".into());
    }

    // The record that was left where it was asked goes on.
    let paused = up.stoke(&[&run[..], &["--yes"]].concat()).output()?;
    expect_code(&paused, 4)?;
    expect_parts(&text(&paused), &["left unfinished", "now you", "stoke runbook resume"])?;
    if !cordoned()? {
        return Err("it is not cordoned".into());
    }
    let again = up
        .stoke(&[&run[..], &["--yes", "--output", "json"]].concat())
        .output()?;
    expect_code(&again, 4)?;
    let answer: Value = serde_json::from_slice(&again.stdout)?;
    let record = answer["record"].as_str().ok_or("no record")?.to_owned();
    if answer["paused"] != "maintained" {
        return Err(format!("{answer:#}").into());
    }
    let resumed = up.stoke(&["runbook", "resume", &record, "--yes"]).output()?;
    expect_code(&resumed, 0)?;
    expect_parts(&text(&resumed), &["resolved", "it takes pods"])?;
    if cordoned()? {
        return Err("it is still cordoned".into());
    }
    let over = up.stoke(&["runbook", "resume", &record, "--yes"]).output()?;
    expect_code(&over, 2)?;
    expect_parts(&text(&over), &["stoke::runbook::ended"])?;

    // Undone from the end: cordoned again, then as it was at first.
    let undone = up.stoke(&["runbook", "undo", &record, "--yes"]).output()?;
    expect_code(&undone, 0)?;
    expect_parts(&text(&undone), &["2 undone"])?;
    if cordoned()? {
        return Err("undone, and cordoned".into());
    }
    let records = up.stoke(&["runbook", "records"]).output()?;
    expect_parts(&text(&records), &[&record, "undone"])?;

    // An incident sees what was done.
    let opened = up
        .stoke(&["incident", "open", "pods wait", "--severity", "low"])
        .output()?;
    expect_code(&opened, 0)?;
    let incident = String::from_utf8_lossy(&opened.stdout).trim().to_owned();
    expect_code(
        &up.stoke(&[
            "incident",
            "note",
            &incident,
            "--about",
            "cause",
            "a node was worked on",
        ])
        .output()?,
        0,
    )?;
    let closed = up.stoke(&["incident", "close", &incident]).output()?;
    expect_code(&closed, 0)?;
    expect_parts(&text(&closed), &["pods wait", "node-maintenance", "repaired after"])?;
    let review = up.stoke(&["incident", "review", &incident]).output()?;
    expect_parts(&text(&review), &["## Why", "- a node was worked on", "## What next"])?;
    up.down()
}
