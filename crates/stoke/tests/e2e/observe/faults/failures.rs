//! Runs that fail, each for a reason of its own.

use super::manifests::{App, BY_HAND, trigger};
use super::stage::Stage;
use super::{Fault, Group, alert};

pub const GROUP: Group = Group {
    name: "runs that fail",
    stage: Stage::inside,
    rounds: &[OF_ONE_JOB, OF_WHAT_THEY_NEED],
};

const OF_ONE_JOB: &[Fault] = &[
    Fault::new(
        "driver-exits-1",
        &[alert("StokeJobFailed", "app=fails")],
        |stage| stage.apply(&App::new("fails", "exit.py").manifest()),
        |stage| stage.delete(&["sparkapplication/fails"]),
    ),
    Fault::new(
        "driver-exits-1-three-times",
        &[alert("StokeJobFailingAgainAndAgain", "app=again")],
        |stage| {
            stage.apply(&App::new("again", "exit.py").schedule(BY_HAND))?;
            for run in 1..=3 {
                trigger(stage, "again", &run.to_string())?;
                stage.until(&format!("stoke_job_failures_in_a_row{{app=\"again\"}} >= {run}"), 120)?;
            }
            Ok(())
        },
        |stage| stage.delete(&["scheduledsparkapplication/again"]),
    )
    .silencing(&[alert("StokeJobFailed", "app=again")]),
    Fault::new(
        "driver-oom",
        &[alert("StokeJobOutOfMemory", "app=eats")],
        |stage| stage.apply(&App::new("eats", "eat.py").manifest()),
        |stage| stage.delete(&["sparkapplication/eats"]),
    )
    .silencing(&[alert("StokeJobFailed", "app=eats")]),
];

const OF_WHAT_THEY_NEED: &[Fault] = &[
    Fault::new(
        "metastore-address-unserved",
        &[alert("StokeMetastoreUnreachable", "")],
        |stage| {
            let tables = App {
                conf: "spark.hadoop.hive.metastore.uris: \"thrift://127.0.0.1:1\", spark.sql.catalogImplementation: hive",
                ..App::new("tables", "metastore.py")
            };
            stage.apply(&tables.manifest())
        },
        |stage| stage.delete(&["sparkapplication/tables"]),
    )
    .silencing(&[alert("StokeJobFailed", "app=tables")]),
    Fault::new(
        "store-address-unserved",
        &[alert("StokeObjectStoreRefuses", "")],
        |stage| {
            stage.apply(&App::new("away-one", "away.py").manifest())?;
            stage.apply(&App::new("away-two", "away.py").manifest())
        },
        |stage| stage.delete(&["sparkapplication/away-one", "sparkapplication/away-two"]),
    )
    .silencing(&[
        alert("StokeJobFailed", "app=away-one"),
        alert("StokeJobFailed", "app=away-two"),
    ]),
];
