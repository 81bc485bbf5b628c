//! Runs that are late, or do not come.

use super::manifests::{App, BY_HAND, trigger};
use super::stage::Stage;
use super::{Fault, Group, alert};

pub const GROUP: Group = Group {
    name: "runs that are late",
    stage: Stage::inside,
    rounds: &[FAULTS],
};

const FAULTS: &[Fault] = &[
    Fault::new(
        "run-takes-longer-than-before",
        &[alert("StokeJobLate", "app=late")],
        |stage| {
            stage.apply(&App::new("late", "quick.py").schedule(BY_HAND))?;
            trigger(stage, "late", "short")?;
            stage.until("stoke_job_usual_seconds{app=\"late\"}", 150)?;
            stage.apply(&App::new("late", "long.py").schedule(BY_HAND))?;
            trigger(stage, "late", "long")
        },
        |stage| stage.delete(&["scheduledsparkapplication/late"]),
    ),
    Fault::new(
        "schedule-fails-after-success",
        &[alert("StokeJobOverdue", "app=often")],
        |stage| {
            stage.apply(&App::new("often", "quick.py").schedule("@every 30s"))?;
            stage.until("stoke_job_last_success_timestamp_seconds{app=\"often\"}", 150)?;
            stage.apply(&App::new("often", "exit.py").schedule("@every 30s"))
        },
        |stage| stage.delete(&["scheduledsparkapplication/often"]),
    )
    .beside(&["StokeJobFailingAgainAndAgain"]),
];
