//! What launching a task costs, fitted to the recorded run.

use super::WhatIfError;
use super::graph::{Graph, Slots};
use super::simulate::{Costs, Launching, simulate};
use crate::facts::Run;

/// Milliseconds of a driver on a machine of its own for a task, at the most, unless the log shows that it was slower. Ours, above what is
/// reported of Spark's scheduler (about 1,500 tasks a second).
const DRIVER_WORK: u32 = 1;
/// The same for the end of the range. Ours: ten times that.
const MOST_DRIVER_WORK: u32 = 10;
/// The part of the recorded time by which a queue before the driver may lengthen it: a two-hundredth.
const TOLERANCE: u64 = 200;
/// The share of the time tasks ran from which the driver counts as busy: then what tasks waited for was the driver. Ours.
const BUSY: f64 = 0.8;
/// The least part of the waiting that is looked at as the driver's work: half of it, and half of that, so many times.
const LEAST_SHARE: f64 = 16.0;
/// How often what is between is halved: to a hundredth of the part.
const HALVINGS: u32 = 10;

/// What launching costs: as it is taken, and as the log allows at the most.
#[derive(Debug)]
pub(super) struct LaunchingCosts {
    pub taken: Launching,
    pub greatest: Launching,
}

/// What the log tells of launching. Tasks of the recorded run waited for the driver; how much of that was its work and how much a queue
/// before it shows when the recorded executors are simulated: of all parts, the greatest with which they take no longer than without a
/// queue.
pub(super) fn launching(run: &Run, graph: &Graph, slots: &Slots) -> Result<LaunchingCosts, WhatIfError> {
    let apart = simulate(graph, slots, Costs::Real(Launching::APART))?;
    let limit = apart.end + apart.end / TOLERANCE;
    let fitted = |most: u32| -> Result<Launching, WhatIfError> {
        let ends =
            |share: f64| simulate(graph, slots, Costs::Real(Launching { share, most })).map(|simulated| simulated.end);
        if ends(1.0)? <= limit {
            return Ok(Launching { share: 1.0, most });
        }
        let (mut below, mut above) = (-LEAST_SHARE, 0.0_f64);
        for _ in 0..HALVINGS {
            let middle = (below + above) / 2.0;
            match ends(middle.exp2())? <= limit {
                true => below = middle,
                false => above = middle,
            }
        }
        Ok(Launching {
            share: below.exp2(),
            most,
        })
    };
    let all = fitted(u32::MAX)?;
    let busy = graph.driver(all) as f64 / (apart.working as f64).max(1.0);
    let (taken, greatest) = match one_machine(run) || busy >= BUSY {
        true => (all, all),
        false => (fitted(DRIVER_WORK)?, fitted(MOST_DRIVER_WORK)?),
    };
    Ok(LaunchingCosts { taken, greatest })
}

/// Whether executors and driver were on one machine: no network between them, and its cores are shared by all.
pub(super) fn one_machine(run: &Run) -> bool {
    let local = run
        .property("spark.master")
        .is_some_and(|master| master.starts_with("local"));
    let driver = run.property("spark.driver.host");
    local || driver.is_some_and(|host| run.workers().all(|(_, worker)| worker.host == host))
}

/// The share of the tasks' time in which they did not run: they were launched, deserialised, and their results taken.
pub(super) fn launching_share(run: &Run) -> f64 {
    let tasks = run.stages.values().flat_map(|stage| &stage.tasks);
    let (all, ran) = tasks.fold((0u64, 0u64), |(all, ran), task| {
        (
            all + u64::from(task.duration),
            ran + u64::from(task.run_time.min(task.duration)),
        )
    });
    1.0 - ran as f64 / (all as f64).max(1.0)
}

/// The share of launching in the tasks' time from which a prediction cannot be relied on. Ours.
pub(super) const LAUNCHING: f64 = 0.25;
