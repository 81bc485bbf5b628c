//! How long a run would have taken with other executors: its recorded tasks are scheduled again.
//!
//! Kept as recorded: how long each task took on its executor, which stages wait for which, when executors came, and what the driver did
//! between jobs and stages. Changed: how many tasks run beside each other, how long they wait for the driver, which launches one after the
//! other ([`simulate`]), and how many executors are new to a stage ([`warm`]). So the answer is as good as the assumption that a task takes
//! as long beside more or fewer others; its error on the recorded configuration itself is always told with it, and where launching is much
//! of the tasks' time, the range of what it may come to.

mod graph;
mod launching;
mod simulate;
mod warm;

use serde::Serialize;

use self::launching::{LAUNCHING, LaunchingCosts, launching, launching_share, one_machine};
use self::simulate::{Costs, Launching, simulate};
use crate::doctor::performance::task_cpus;
use crate::facts::Run;
use crate::facts::run::DRIVER;
use stoke_model::units::people::{counted, duration, percent, short};

/// Executors to think of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
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
    /// The same with the least and the greatest cost of launching tasks that the log allows.
    pub range: Range,
    /// The share of the recorded tasks' time in which they were launched and not run.
    pub launching: f64,
    /// Whether that is little enough to rely on the prediction.
    pub reliable: bool,
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

/// From the least to the greatest, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Range {
    pub least: u64,
    /// The greatest.
    pub most: u64,
}

impl Range {
    fn take(&mut self, other: u64) {
        (self.least, self.most) = (self.least.min(other), self.most.max(other));
    }
}

/// Lower bounds of the predicted time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// With a slot for every task: driver, start-up, and in each stage its longest task.
    pub critical_path: u64,
    /// All task time evenly over the slots, from the time there are any.
    pub work_over_slots: u64,
    pub longest_task: u64,
}

/// Why nothing is predicted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIfError {
    /// A plan that runs nothing, or is beyond any cluster.
    #[error(
        "{} of {} run nothing or cannot be led by one driver; give 1 to 100,000 in all",
        counted(*.executors, "executor"),
        counted(*.cores, "core")
    )]
    Plan {
        executors: u32,
        /// Cores of each.
        cores: u32,
    },
    /// Fewer cores than a task takes.
    #[error(
        "an executor of {} runs no task, because each takes {cpus} (spark.task.cpus); give at least {}",
        counted(*.cores, "core"),
        counted(*.cpus, "core")
    )]
    TaskCpus {
        /// Cores of an executor.
        cores: u32,
        /// Cores of a task.
        cpus: u32,
    },
    #[error("the run has no task that ended: there is nothing to schedule again; take a run that got further")]
    NoTasks,
    /// Stages that wait for each other.
    #[error(
        "the log does not show in which order its stages ran ({0} of them wait for each other); it has lost events, take a whole one"
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

/// How far apart the ends of the range are, over the prediction, to be told to people. Ours.
const WIDE: f64 = 0.1;

/// Schedules a run's tasks again on other executors. Takes O(tasks x log slots).
///
/// # Errors
/// A plan that can run no task, a run without any.
pub fn what_if(run: &Run, plan: Plan) -> Result<Outcome, WhatIfError> {
    check(run, plan)?;
    Model::of(run)?.predict(run, plan)
}

/// Cores a task takes, where a plan can run one.
fn check(run: &Run, plan: Plan) -> Result<(), WhatIfError> {
    let slots = u64::from(plan.executors) * u64::from(plan.cores);
    if slots == 0 || slots > u64::from(MOST) {
        return Err(WhatIfError::Plan {
            executors: plan.executors,
            cores: plan.cores,
        });
    }
    let cpus = task_cpus(run, 0);
    match plan.cores < cpus {
        true => Err(WhatIfError::TaskCpus {
            cores: plan.cores,
            cpus,
        }),
        false => Ok(()),
    }
}

/// A run's tasks, ready to be scheduled again: what is the same whatever executors are thought of. It takes longer to make than to use.
#[derive(Debug)]
pub struct Model {
    cpus: u32,
    graph: graph::Graph,
    arrivals: Vec<u64>,
    launching: LaunchingCosts,
    /// How the recorded executors end.
    replayed: u64,
    /// How a slot for every task would end.
    unbounded: u64,
}

impl Model {
    /// Of a run.
    ///
    /// # Errors
    /// A run without tasks, or one whose stages wait for each other.
    pub fn of(run: &Run) -> Result<Model, WhatIfError> {
        let cpus = task_cpus(run, 0);
        let graph = graph::Graph::of(run, cpus);
        if graph.tasks() == 0 {
            return Err(WhatIfError::NoTasks);
        }
        let arrivals = graph::arrivals(run);
        let recorded_slots = graph::recorded_slots(run, cpus);
        let launching = launching(run, &graph, &recorded_slots)?;
        let replayed = simulate(&graph, &recorded_slots, Costs::Real(launching.taken))?;
        let unbounded = simulate(&graph, &graph::unbounded(&arrivals), Costs::Ideal)?;
        Ok(Model {
            cpus,
            graph,
            arrivals,
            launching,
            replayed: replayed.end,
            unbounded: unbounded.end,
        })
    }

    /// What the run it was made of would take on these executors.
    ///
    /// # Errors
    /// A plan that can run no task.
    pub fn predict(&self, run: &Run, plan: Plan) -> Result<Outcome, WhatIfError> {
        check(run, plan)?;
        let (graph, cpus) = (&self.graph, self.cpus);
        let planned = graph::planned_slots(&self.arrivals, plan, cpus);
        let predicted = simulate(graph, &planned, Costs::Real(self.launching.taken))?;
        let recorded = run.duration().max(1).unsigned_abs();
        let mut range = Range {
            least: predicted.end,
            most: predicted.end,
        };
        for other in [Launching::APART, self.launching.greatest] {
            if other != self.launching.taken {
                range.take(simulate(graph, &planned, Costs::Real(other))?.end);
            }
        }
        let share = launching_share(run);
        if one_machine(run) && share >= LAUNCHING {
            range.take(recorded);
        }
        let each = plan.cores / cpus;
        let first = self.arrivals.first().copied().unwrap_or(0);
        let hours = |from: u64, cores: u32, end: u64| end.saturating_sub(from) as f64 * f64::from(cores) / 3_600_000.0;
        let core_hours = graph::arrivals_of(&self.arrivals, plan.executors)
            .map(|from| hours(from, plan.cores, predicted.end))
            .sum();
        let recorded_core_hours = graph::lives(run)
            .map(|(from, until, cores)| hours(from, cores, until.min(recorded)))
            .sum();
        Ok(Outcome {
            recorded_plan: recorded_plan(run),
            plan,
            recorded,
            replayed: self.replayed,
            error: self.replayed as f64 / recorded as f64 - 1.0,
            predicted: predicted.end,
            range,
            launching: share,
            reliable: share < LAUNCHING,
            bounds: Bounds {
                critical_path: self.unbounded,
                work_over_slots: first + graph.work() / (u64::from(plan.executors) * u64::from(each)).max(1),
                longest_task: graph.longest(),
            },
            without_tasks: predicted.end.saturating_sub(predicted.working),
            core_hours,
            recorded_core_hours,
            limits: limits(run, share),
        })
    }
}

/// The executors of the run, at the most beside each other, and their cores.
pub fn recorded_plan(run: &Run) -> Plan {
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

fn limits(run: &Run, launching: f64) -> Vec<String> {
    let mut limits = Vec::new();
    if launching >= LAUNCHING {
        limits.push(format!(
            "{} of the tasks' time went into launching them, and the log does not show how that changes with the executors: do not rely on the prediction; fewer and longer tasks would help more than executors (stoke doctor)",
            percent(launching)
        ));
    }
    if one_machine(run) && run.workers().any(|(_, worker)| worker.id != DRIVER) {
        limits.push("its executors ran on one machine, whose cores the log does not show: tasks that compute wait for each other there".to_owned());
    }
    limits.extend([
        "a task is taken to be as long beside more or fewer others: shared disks, networks, caches and garbage collection make that untrue at the ends".to_owned(),
        "partitions stay as they are: adaptive execution may cut others for another number of cores".to_owned(),
    ]);
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
        let plan = |plan: Plan| {
            format!(
                "{} of {}",
                counted(plan.executors, "executor"),
                counted(plan.cores, "core")
            )
        };
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
        ];
        if !self.reliable || (self.range.most - self.range.least) as f64 > WIDE * self.predicted as f64 {
            lines.push(format!(
                "  range      {:>14}   to {}{}",
                duration(self.range.least),
                duration(self.range.most),
                match self.reliable {
                    true => "",
                    false => ", not to be relied on: much of the tasks is their launch",
                }
            ));
        }
        lines.extend([
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
        ]);
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

    /// 1,000 tasks of 20 ms on slots that were always full, each of which waited for the driver for `wait` ms of it; executors on hosts of
    /// their own, 1 s of the driver before and after.
    fn short(executors: usize, cores: u32, wait: u32) -> Run {
        let slots = executors as u32 * cores;
        let mut run = fixture::run(executors, cores, i64::from(1_000 / slots * 20) + 2_000);
        let tasks: Vec<(u32, u32)> = fixture::even(1_000, slots, 20)
            .iter()
            .map(|task| (task.0 + 1_000, task.1))
            .collect();
        let stage = fixture::stage(&mut run, 0, &tasks);
        stage.tasks.iter_mut().for_each(|task| task.run_time = 20 - wait);
        let started = run.started;
        run.jobs.get_mut(&0).expect("added").started = started + 1_000;
        run
    }

    #[test]
    fn a_driver_that_was_busy_stays_so() {
        // 20 slots and 20 ms: a task each ms, of which the driver took all. Twice the slots gain nothing.
        let outcome = what_if(&short(20, 1, 19), plan(40, 1)).expect("an outcome");
        assert_eq!(outcome.recorded, 3_000);
        assert!(outcome.error.abs() < 0.02, "{outcome:?}");
        assert!(outcome.predicted > 2_850, "{outcome:?}");
        // Tasks that worked all the time need no driver: half the time.
        let outcome = what_if(&short(20, 1, 0), plan(40, 1)).expect("an outcome");
        assert_eq!((outcome.predicted, outcome.range.most), (2_500, 2_500));
        assert!(outcome.reliable && outcome.limits.iter().all(|limit| !limit.contains("launching")));
    }

    #[test]
    fn waiting_on_few_slots_is_the_network_and_the_range_tells_what_else_it_may_be() {
        // One slot shows no queue: 5 ms may be the driver's work, or the network.
        let outcome = what_if(&short(1, 1, 5), plan(20, 1)).expect("an outcome");
        assert!(outcome.error.abs() < 0.01, "{outcome:?}");
        // 1 ms for each of 1,000 tasks, and no less than 50 rounds of 20 ms.
        assert!((3_000..3_100).contains(&outcome.predicted), "{outcome:?}");
        // 5 ms for each.
        assert!((6_900..7_100).contains(&outcome.range.most), "{outcome:?}");
        assert!(!outcome.reliable && outcome.limits[0].contains("launching"));
        assert!(outcome.lines().iter().any(|line| line.contains("not to be relied on")));
        // On one machine there is no network.
        let mut run = short(1, 1, 5);
        run.spark
            .insert("spark.master".to_owned(), "local-cluster[1,1,512]".to_owned());
        let outcome = what_if(&run, plan(20, 1)).expect("an outcome");
        assert!((6_900..7_100).contains(&outcome.predicted), "{outcome:?}");
        assert_eq!(outcome.range.most, outcome.recorded);
    }

    #[test]
    fn new_executors_pay_for_their_first_tasks() {
        let mut run = fixture::run(1, 2, 60_000);
        let tasks: Vec<(u32, u32)> = fixture::even(80, 2, 1_000)
            .iter()
            .enumerate()
            .map(|(index, task)| match index {
                0 | 1 => (task.0, 6_000),
                _ => (task.0 + 5_000, task.1 + index as u32 % 3),
            })
            .collect();
        fixture::stage(&mut run, 0, &tasks);
        run.jobs.get_mut(&0).expect("added").started = run.started;
        // 40 executors of 2 slots run all at once, and each task is the first there.
        let outcome = what_if(&run, plan(40, 2)).expect("an outcome");
        let pause = outcome.recorded - 45_000;
        assert!((5_900..6_100).contains(&(outcome.predicted - pause)), "{outcome:?}");
        // No configuration needs to pay that.
        assert!(outcome.bounds.critical_path < pause + 1_100, "{outcome:?}");
    }

    #[test]
    fn a_slot_that_was_given_away_is_taken_once() {
        // The driver took 400 ms for the result of each task, when its slot was the next one's already.
        let mut run = fixture::run(1, 1, 10_400);
        let tasks: Vec<(u32, u32)> = (0..10).map(|index| (index * 1_000, 1_400)).collect();
        fixture::stage(&mut run, 0, &tasks)
            .tasks
            .iter_mut()
            .for_each(|task| task.run_time = 1_000);
        run.jobs.get_mut(&0).expect("added").started = run.started;
        let outcome = what_if(&run, plan(1, 1)).expect("an outcome");
        assert!(outcome.error.abs() < 0.01, "{outcome:?}");
        let outcome = what_if(&run, plan(2, 1)).expect("an outcome");
        assert!((5_000..5_900).contains(&outcome.predicted), "{outcome:?}");
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
