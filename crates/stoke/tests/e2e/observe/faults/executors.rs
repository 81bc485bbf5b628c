//! Runs that lose executors.

use super::manifests::App;
use super::stage::Stage;
use super::{Fault, Group, alert};

pub const GROUP: Group = Group {
    name: "executors that are lost",
    stage: Stage::inside,
    rounds: &[OWN, TAKEN],
};

const OWN: &[Fault] = &[
    Fault::new(
        "executors-killed",
        &[alert("StokeExecutorsChurning", "app=churns")],
        |stage| {
            let churns = App {
                executors: 3,
                ..App::new("churns", "kill.py")
            };
            stage.apply(&churns.manifest())
        },
        |stage| stage.delete(&["sparkapplication/churns"]),
    ),
    Fault::new(
        "executor-oom",
        &[alert("StokeExecutorsOutOfMemory", "app=hungry")],
        |stage| stage.apply(&App::new("hungry", "hungry.py").manifest()),
        |stage| stage.delete(&["sparkapplication/hungry"]),
    ),
];

const TAKEN: &[Fault] = &[Fault::new(
    "executors-evicted",
    &[alert("StokeExecutorsDisrupted", "app=evicted")],
    |stage| {
        let evicted = App {
            executors: 3,
            ..App::new("evicted", "long.py")
        };
        stage.apply(&evicted.manifest())?;
        stage.until(
            "count(metrics_executor_maxTasks{app=\"evicted\",executor_id!=\"driver\"}) >= 3",
            150,
        )?;
        let node = stage.asked(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])?;
        stage.kubectl(&[
            "drain",
            &node,
            "--pod-selector=spark-role=executor",
            "--force",
            "--delete-emptydir-data",
            "--timeout=90s",
        ])?;
        stage.kubectl(&["uncordon", &node])
    },
    |stage| stage.delete(&["sparkapplication/evicted"]),
)];
