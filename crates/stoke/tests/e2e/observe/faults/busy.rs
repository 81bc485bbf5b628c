//! Runs that work and get nowhere, or pay too much for it.

use super::manifests::App;
use super::stage::Stage;
use super::{Fault, Group, alert};

pub const GROUP: Group = Group {
    name: "runs that get nowhere",
    stage: Stage::inside,
    rounds: &[STUCK, COSTLY],
};

const STUCK: &[Fault] = &[
    Fault::new(
        "task-sleeps",
        &[alert("StokeJobStuck", "app=sleeps")],
        |stage| stage.apply(&App::new("sleeps", "sleep.py").manifest()),
        |stage| stage.delete(&["sparkapplication/sleeps"]),
    ),
    Fault::new(
        "tasks-fail-first",
        &[alert("StokeTasksFail", "app=stumbles")],
        |stage| stage.apply(&App::new("stumbles", "stumble.py").manifest()),
        |stage| stage.delete(&["sparkapplication/stumbles"]),
    ),
];

const COSTLY: &[Fault] = &[
    Fault::new(
        "listener-queue-of-one",
        &[alert("StokeListenerEventsDropped", "app=crowded")],
        |stage| {
            let crowded = App {
                conf: "spark.scheduler.listenerbus.eventqueue.capacity: \"1\"",
                ..App::new("crowded", "crowd.py")
            };
            stage.apply(&crowded.manifest())
        },
        |stage| stage.delete(&["sparkapplication/crowded"]),
    ),
    Fault::new(
        "full-collection-with-each-row",
        &[alert("StokeGarbageCollection", "app=collects")],
        |stage| stage.apply(&App::new("collects", "collect.py").manifest()),
        |stage| stage.delete(&["sparkapplication/collects"]),
    ),
];
