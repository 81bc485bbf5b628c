//! How long a run would have taken with other executors: its recorded tasks are scheduled again.
//!
//! Kept as recorded: how long each task took, which stages wait for which, when executors came, and what the driver did between jobs and
//! stages. Changed: how many tasks run beside each other. So the answer is as good as the assumption that a task takes as long beside more
//! or fewer others; its error on the recorded configuration itself is always told with it.

mod graph;
mod simulate;

use serde::Serialize;

use crate::facts::Run;
use crate::facts::run::DRIVER;
use crate::units::{count, duration, percent, short};

/// Executors to think of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Executors.
    pub executors: u32,
    /// Cores of each.
    pub cores: u32,
}

/// The largest plan: more than one driver leads.
const MOST: u32 = 100_000;

/// What is predicted. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The executors that were there, at the most.
    pub recorded_plan: Plan,
    /// The executors thought of.
    pub plan: Plan,
    /// How long it took.
    pub recorded: u64,
    /// How long the simulation says the recorded executors take.
    pub replayed: u64,
    /// `replayed` over `recorded`, less 1: the simulation's own error.
    pub error: f64,
    /// How long it would take with the executors thought of.
    pub predicted: u64,
    /// No configuration is faster than these.
    pub bounds: Bounds,
    /// Milliseconds of the prediction in which no task runs.
    pub without_tasks: u64,
    /// Core-hours that are paid for: executors from their start to the end.
    pub core_hours: f64,
    /// The same of the recorded run.
    pub recorded_core_hours: f64,
    /// What the prediction does not know.
    pub limits: Vec<String>,
}

/// Lower bounds of the predicted time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// With a slot for every task: driver, start-up, and in each stage its longest task.
    pub critical_path: u64,
    /// All task time evenly over the slots, from the time there are any.
    pub work_over_slots: u64,
    /// The longest task.
    pub longest_task: u64,
}

/// Why nothing is predicted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIfError {
    /// A plan that runs nothing, or is beyond any cluster.
    #[error(
        "{executors} executors of {cores} cores run nothing or cannot be led by one driver; give 1 to 100,000 in all"
    )]
    Plan {
        /// Executors.
        executors: u32,
        /// Cores of each.
        cores: u32,
    },
    /// Fewer cores than a task takes.
    #[error(
        "an executor of {cores} cores runs no task, because each takes {cpus} (spark.task.cpus); give at least {cpus} cores"
    )]
    TaskCpus {
        /// Cores of an executor.
        cores: u32,
        /// Cores of a task.
        cpus: u32,
    },
    /// No tasks.
    #[error("the run has no task that ended: there is nothing to schedule again; take a run that got further")]
    NoTasks,
    /// Stages that wait for each other.
    #[error(
        "the log does not tell in which order its stages ran ({0} of them wait for each other); it has lost events, take a whole one"
    )]
    Order(usize),
}

impl WhatIfError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            WhatIfError::Plan { .. } => "stoke::insight::what_if::plan",
            WhatIfError::TaskCpus { .. } => "stoke::insight::what_if::task_cpus",
            WhatIfError::NoTasks => "stoke::insight::what_if::no_tasks",
            WhatIfError::Order(_) => "stoke::insight::what_if::order",
        }
    }
}

/// Schedules a run's tasks again on other executors. Takes O(tasks x log slots).
///
/// # Errors
/// A plan that can run no task, a run without any.
pub fn what_if(run: &Run, plan: Plan) -> Result<Outcome, WhatIfError> {
    let slots = u64::from(plan.executors) * u64::from(plan.cores);
    if slots == 0 || slots > u64::from(MOST) {
        return Err(WhatIfError::Plan {
            executors: plan.executors,
            cores: plan.cores,
        });
    }
    let cpus = crate::doctor::performance::task_cpus(run, 0);
    if plan.cores < cpus {
        return Err(WhatIfError::TaskCpus {
            cores: plan.cores,
            cpus,
        });
    }
    let graph = graph::Graph::of(run);
    if graph.tasks() == 0 {
        return Err(WhatIfError::NoTasks);
    }
    let arrivals = graph::arrivals(run);
    let recorded_slots = graph::recorded_slots(run, cpus);
    let replayed = simulate::simulate(&graph, &recorded_slots)?;
    let planned = graph::planned_slots(&arrivals, plan, cpus);
    let predicted = simulate::simulate(&graph, &planned)?;
    let unbounded = simulate::simulate(&graph, &graph::unbounded(&arrivals))?;
    let recorded = run.duration().max(1).unsigned_abs();
    let each = plan.cores / cpus;
    let first = arrivals.first().copied().unwrap_or(0);
    let hours = |from: u64, cores: u32, end: u64| end.saturating_sub(from) as f64 * f64::from(cores) / 3_600_000.0;
    let core_hours = graph::arrivals_of(&arrivals, plan.executors)
        .map(|from| hours(from, plan.cores, predicted.end))
        .sum();
    let recorded_core_hours = graph::lives(run)
        .map(|(from, until, cores)| hours(from, cores, until.min(recorded)))
        .sum();
    Ok(Outcome {
        recorded_plan: recorded_plan(run),
        plan,
        recorded,
        replayed: replayed.end,
        error: replayed.end as f64 / recorded as f64 - 1.0,
        predicted: predicted.end,
        bounds: Bounds {
            critical_path: unbounded.end,
            work_over_slots: first + graph.work() / (u64::from(plan.executors) * u64::from(each)).max(1),
            longest_task: graph.longest(),
        },
        without_tasks: predicted.end.saturating_sub(predicted.working),
        core_hours,
        recorded_core_hours,
        limits: limits(run),
    })
}

/// The executors of the run, at the most beside each other, and their cores.
fn recorded_plan(run: &Run) -> Plan {
    let mut changes: Vec<(u64, i64)> = Vec::new();
    for (from, until, _) in graph::lives(run) {
        changes.push((from, 1));
        changes.push((until, -1));
    }
    changes.sort_unstable();
    let (mut now, mut most) = (0i64, 0i64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    Plan {
        executors: u32::try_from(most).unwrap_or(0).max(1),
        cores: run.workers().map(|(_, worker)| worker.cores).max().unwrap_or(1),
    }
}

fn limits(run: &Run) -> Vec<String> {
    let mut limits = vec![
        "a task is taken to be as long beside more or fewer others: shared disks, networks, caches and garbage collection make that untrue at the ends".to_owned(),
        "partitions stay as they are: adaptive execution may cut others for another number of cores".to_owned(),
    ];
    if run.property("spark.dynamicAllocation.enabled") == Some("true") {
        limits.push(
            "dynamic allocation was on: the executors thought of are all there from the start to the end".to_owned(),
        );
    }
    if run.profiles.len() > 1 {
        limits.push("it has several resource profiles: all tasks are taken to run anywhere".to_owned());
    }
    if run.workers().all(|(_, worker)| worker.id == DRIVER) {
        limits.push("it ran in the driver's process (a local master): executors of their own start later and shuffle over the network".to_owned());
    }
    if run.ended.is_none() {
        limits.push("it had not ended: what is predicted goes as far as the log".to_owned());
    }
    limits
}

impl Outcome {
    /// The outcome as lines for people.
    pub fn lines(&self) -> Vec<String> {
        let plan = |plan: Plan| format!("{} executors of {} cores", count(plan.executors.into()), plan.cores);
        let change = self.predicted as f64 / self.recorded as f64 - 1.0;
        let mut lines = vec![
            format!(
                "recorded     {:>14}   {}, {} core-hours",
                duration(self.recorded),
                plan(self.recorded_plan),
                short(self.recorded_core_hours)
            ),
            format!(
                "predicted    {:>14}   {}, {} core-hours ({}{})",
                duration(self.predicted),
                plan(self.plan),
                short(self.core_hours),
                if change > 0.0 { "+" } else { "" },
                percent(change)
            ),
            format!("  of which   {:>14}   no task runs", duration(self.without_tasks)),
            "not faster than".to_owned(),
            format!(
                "  path       {:>14}   driver, start-up and the longest task of each stage",
                duration(self.bounds.critical_path)
            ),
            format!(
                "  work       {:>14}   all task time evenly over the slots",
                duration(self.bounds.work_over_slots)
            ),
            format!(
                "  task       {:>14}   the longest task",
                duration(self.bounds.longest_task)
            ),
            format!(
                "error        {:>14}   the recorded executors, simulated: {}",
                format!("{:+.1} %", self.error * 100.0),
                duration(self.replayed)
            ),
            "not known".to_owned(),
        ];
        lines.extend(self.limits.iter().map(|limit| format!("  {limit}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    fn plan(executors: u32, cores: u32) -> Plan {
        Plan { executors, cores }
    }

    /// Two jobs of one stage each, 16 tasks of 10 s, on 2 executors of 2 cores; 5 s of the driver before, between and after.
    fn run() -> Run {
        let mut run = fixture::run(2, 2, 95_000);
        for (job, start) in [(0, 5_000), (1, 50_000)] {
            let tasks: Vec<(u32, u32)> = fixture::even(16, 4, 10_000)
                .iter()
                .map(|task| (task.0 + start, task.1))
                .collect();
            fixture::stage(&mut run, job, &tasks);
            let started = run.started;
            let job = run.jobs.get_mut(&job).expect("added");
            job.started = started + i64::from(start);
            job.ended = Some(job.started + 40_000);
        }
        run
    }

    #[test]
    fn other_executors_change_the_waves_and_not_the_driver() {
        for (executors, cores, predicted) in [
            (2, 2, 95_000),
            (4, 2, 55_000),
            (1, 2, 175_000),
            (8, 2, 35_000),
            // More slots than tasks help no more.
            (100, 5, 35_000),
            // 3 slots: 6 waves.
            (3, 1, 135_000),
        ] {
            let outcome = what_if(&run(), plan(executors, cores)).expect("an outcome");
            assert_eq!(outcome.predicted, predicted, "{executors} x {cores}");
            assert_eq!((outcome.recorded, outcome.replayed), (95_000, 95_000));
            assert_eq!(outcome.bounds.critical_path, 35_000);
            assert_eq!(outcome.bounds.longest_task, 10_000);
        }
        let outcome = what_if(&run(), plan(4, 2)).expect("an outcome");
        assert_eq!(
            (outcome.without_tasks, outcome.bounds.work_over_slots),
            (15_000, 40_000)
        );
        assert!((outcome.core_hours - 55.0 * 8.0 / 3600.0).abs() < 1e-9);
    }

    #[test]
    fn executors_that_come_late_come_late_again() {
        let mut late = run();
        for executor in &mut late.executors {
            executor.added += 4_000;
        }
        late.executors[1].added = late.started + 30_000;
        let outcome = what_if(&late, plan(4, 2)).expect("an outcome");
        // Two slots from 4 s on, the others from 30 s on: 2 waves of 2 by 25 s, a third by 35 s, and 6 slots from 30 s on.
        assert!(
            outcome.predicted > 55_000 && outcome.predicted < 85_000,
            "{}",
            outcome.predicted
        );
    }

    #[test]
    fn bounds_hold_for_any_plan() {
        let mut seed = 7u64;
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut run = fixture::run(3, 4, 1_000_000);
            for id in 0..4 {
                let tasks: Vec<(u32, u32)> = (0..1 + random(60))
                    .map(|_| (random(900_000) as u32, 1 + random(90_000) as u32))
                    .collect();
                fixture::stage(&mut run, id, &tasks);
                let started = run.started;
                let job = run.jobs.get_mut(&id).expect("added");
                (job.started, job.ended) = (started + random(1_000_000) as i64, None);
                run.stages.get_mut(&(id, 0)).expect("added").parents = (0..id).filter(|_| random(2) == 0).collect();
            }
            let plan = plan(1 + random(9) as u32, 1 + random(5) as u32);
            let outcome = what_if(&run, plan).expect("an outcome");
            let bounds = outcome.bounds;
            let most = bounds
                .critical_path
                .max(bounds.work_over_slots)
                .max(bounds.longest_task);
            assert!(outcome.predicted >= most, "{outcome:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (executors, cores, code) in [
            (0, 4, "plan"),
            (4, 0, "plan"),
            (u32::MAX, u32::MAX, "plan"),
            (4, 1, "task_cpus"),
        ] {
            let mut run = run();
            run.spark.insert("spark.task.cpus".to_owned(), "2".to_owned());
            let error = what_if(&run, plan(executors, cores)).expect_err(code);
            assert_eq!(error.code(), format!("stoke::insight::what_if::{code}"));
        }
        let error = what_if(&fixture::run(1, 1, 1_000), plan(1, 1)).expect_err("no tasks");
        assert_eq!(error, WhatIfError::NoTasks);
    }
}
