//! Runs that go on, and what is looked at meanwhile: every panel of the pack's dashboards.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use stoke_observe::pack::dashboards;

use super::count::{note_panel, queries};
use super::manifests::{App, BY_HAND, trigger};
use super::stage::Stage;
use super::{Fault, Group, alert};
use crate::common::eventually;

pub const GROUP: Group = Group {
    name: "runs that go on, and every panel",
    stage: Stage::inside,
    rounds: &[FAULTS],
};

const FAULTS: &[Fault] = &[
    Fault::new(
        "event-log-removed",
        &[alert("StokeEventLogMissing", "app=unwritten")],
        |stage| {
            stage.apply(&App::new("unwritten", "quick.py").manifest())?;
            stage.reaches("unwritten", "COMPLETED")?;
            moved(stage, "event-logs", "event-logs-taken")
        },
        |stage| moved(stage, "event-logs-taken", "event-logs"),
    ),
    Fault::new(
        "run-longer-than-interval",
        &[alert("StokeScheduleSkips", "app=slow")],
        |stage| {
            stage.apply(&App::new("slow", "long.py").schedule(BY_HAND))?;
            trigger(stage, "slow", "0")?;
            stage.until("stoke_job_running_seconds{app=\"slow\"}", 120)?;
            for skipped in 1..=2 {
                trigger(stage, "slow", &skipped.to_string())?;
                stage.until(
                    &format!("stoke_schedule_skipped_runs_total{{app=\"slow\"}} >= {skipped}"),
                    30,
                )?;
            }
            Ok(())
        },
        |stage| stage.delete(&["scheduledsparkapplication/slow"]),
    )
    .while_it_is_there(panels),
    Fault::new(
        "executors-unschedulable",
        &[alert("StokeExecutorsWaiting", "app=lonely")],
        |stage| {
            let lonely = App {
                requests: ["100m", "900"],
                ..App::new("lonely", "long.py")
            };
            stage.apply(&lonely.manifest())
        },
        |stage| stage.delete(&["sparkapplication/lonely"]),
    ),
];

/// Every expression of every panel has data in Prometheus, all of them on this one platform.
fn panels(stage: &Stage) -> Result<(), Failed> {
    // Panels of failures and of losses have something to show when there was one.
    stage.apply(&App::new("failed", "exit.py").manifest())?;
    let mut empty: Vec<&str> = queries().collect();
    let all = empty.len();
    let looked = eventually("every panel has data", Duration::from_secs(90), || {
        empty.retain(|query| {
            let has_data = stage.servers.count(&dashboards::unchosen(query)) > 0;
            if has_data {
                note_panel(query);
            }
            !has_data
        });
        empty.is_empty()
    });
    println!("{} of {all} expressions of panels have data", all - empty.len());
    stage.delete(&["sparkapplication/failed"])?;
    looked.map_err(|_| format!("without data:\n{}", empty.join("\n")).into())
}

/// Moves the event log of the application `unwritten`.
fn moved(stage: &Stage, from: &str, to: &str) -> Result<(), Failed> {
    let id = stage.asked(&[
        "get",
        "sparkapplication",
        "unwritten",
        "-o",
        "jsonpath={.status.sparkApplicationId}",
    ])?;
    let (from, to) = (stage.up.home().join(from), stage.up.home().join(to));
    std::fs::create_dir_all(&to)?;
    let names = std::fs::read_dir(&from)?.flatten().map(|entry| entry.file_name());
    let name = names.into_iter().find(|name| name.to_string_lossy().contains(&id));
    let name = name.ok_or_else(|| format!("no event log of {id}"))?;
    assert!(
        Command::new("mv")
            .arg(from.join(&name))
            .arg(to.join(&name))
            .status()?
            .success()
    );
    Ok(())
}
