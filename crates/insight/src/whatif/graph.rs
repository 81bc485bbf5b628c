//! What waits for what in a run, and how long each step took: the recorded timeline without its executors.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Plan;
use super::simulate::Launching;
use super::warm::{self, Warmth};
use crate::doctor::performance::since;
use crate::facts::Run;
use crate::facts::run::{Outcome, Stage, Task};

/// A step: a job's start, a stage, a job's end, or the end of the run. It begins `delay` after the last of what it waits for.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Milliseconds of the driver between what it waits for and its own start.
    pub delay: u64,
    /// Its tasks in the order they were launched.
    pub tasks: Vec<Taken>,
    /// What an executor takes longer for its first tasks of it.
    pub warmth: Warmth,
    /// Milliseconds from the end of its last task to its completion.
    pub tail: u64,
    /// Where it stands in the scheduler's queue: Spark's FIFO goes by job, then by stage.
    pub rank: (i32, i32, i32),
    /// Steps that wait for it.
    pub then: Vec<usize>,
    /// How many steps it waits for.
    pub waits: usize,
}

/// The time a task takes, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// On its executor: fetched, deserialised, run.
    pub own: u32,
    /// The rest of its time in its slot: the driver's, and the network's.
    pub wait: u32,
    /// Afterwards, when its slot is another's already and the driver fetches its result.
    pub after: u32,
    /// Of `own`, what its executor took longer because it was new to the stage.
    pub cold: u32,
}

/// Results above this are fetched by the driver after the task has left its slot: `spark.task.maxDirectResultSize` by default.
const DIRECT_RESULT: u64 = 1 << 20;

impl Taken {
    /// A task whose slot was another's for the last `shared` milliseconds.
    fn by(task: &Task, shared: u32) -> Taken {
        let own = task.run_time.saturating_add(task.deserialize_time);
        let fetched = match task.result_size > DIRECT_RESULT {
            true => task.duration.saturating_sub(own),
            false => 0,
        };
        let after = shared.max(fetched).min(task.duration);
        let slot = task.duration - after;
        Taken {
            own: own.min(slot),
            wait: slot - own.min(slot),
            after,
            cold: 0,
        }
    }

    /// Milliseconds on an executor that is used to the stage.
    pub fn warm(self) -> u32 {
        self.own - self.cold
    }
}

/// All steps of a run.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub steps: Vec<Step>,
}

impl Graph {
    pub(super) fn of(run: &Run, cpus: u32) -> Graph {
        let mut graph = Graph::default();
        let shared = shared(run, cpus);
        let starts: BTreeMap<i32, usize> = run.jobs.keys().map(|id| (*id, graph.add(Step::default()))).collect();
        let ends: BTreeMap<i32, usize> = run.jobs.keys().map(|id| (*id, graph.add(Step::default()))).collect();
        let mut stages: BTreeMap<(i32, i32), Known> = BTreeMap::new();
        let mut of_jobs: BTreeMap<i32, Vec<(usize, u64)>> = BTreeMap::new();
        for ((key, stage), shared) in run.stages.iter().zip(&shared) {
            let known = Known {
                step: graph.add(step(run, stage, cpus, shared)),
                submitted: submitted(run, stage),
                completed: completed(run, stage),
            };
            stages.insert(*key, known);
            if let Some(job) = stage.job {
                of_jobs.entry(job).or_default().push((known.step, known.completed));
            }
        }
        for (key, stage) in &run.stages {
            let Some(Known { step, submitted, .. }) = stages.get(key).copied() else {
                continue;
            };
            let mut before: Vec<(usize, u64)> = awaited(&stages, stage, submitted)
                .filter_map(|key| stages.get(&key))
                .map(|known| (known.step, known.completed))
                .collect();
            if let Some((job, start)) = stage
                .job
                .and_then(|job| Some((run.jobs.get(&job)?, *starts.get(&job)?)))
            {
                // The log may tell a job's start a moment after its first stage was submitted.
                before.push((start, since(run, job.started).min(submitted)));
            }
            graph.wait(step, &before, submitted);
        }
        let mut ended: Vec<(u64, usize)> = Vec::new();
        for (id, job) in &run.jobs {
            let of_job = of_jobs.remove(id).unwrap_or_default().into_iter();
            let own: Vec<(usize, u64)> = of_job.chain([(starts[id], since(run, job.started))]).collect();
            let last = own.iter().map(|(_, at)| *at).max().unwrap_or(0);
            let end = job.ended.map_or(last, |time| since(run, time));
            graph.wait(ends[id], &own, end);
            ended.push((end, ends[id]));
        }
        ended.sort_unstable();
        for (id, job) in &run.jobs {
            let started = since(run, job.started);
            // What the driver did last before this job: the latest job that had ended.
            let before = ended[..ended.partition_point(|(end, _)| *end <= started)]
                .iter()
                .rev()
                .find(|(_, step)| *step != ends[id])
                .map(|(end, step)| (*step, *end));
            let before: Vec<(usize, u64)> = before.into_iter().filter(|(step, _)| *step != ends[id]).collect();
            graph.wait(starts[id], &before, started);
        }
        let all: Vec<(usize, u64)> = ended
            .iter()
            .map(|(end, step)| (*step, *end))
            .chain(stages.values().map(|known| (known.step, known.completed)))
            .collect();
        let end = graph.add(Step::default());
        graph.wait(end, &all, since(run, run.end()));
        graph
    }

    /// Tasks of all steps.
    pub(super) fn tasks(&self) -> usize {
        self.steps.iter().map(|step| step.tasks.len()).sum()
    }

    /// Milliseconds of all tasks on executors that are used to their stages.
    pub(super) fn work(&self) -> u64 {
        self.steps
            .iter()
            .flat_map(|step| &step.tasks)
            .map(|task| u64::from(task.warm()))
            .sum()
    }

    /// Milliseconds the driver works to launch all tasks.
    pub(super) fn driver(&self, launching: Launching) -> u64 {
        let tasks = self.steps.iter().flat_map(|step| &step.tasks);
        tasks.map(|task| launching.work(*task)).sum::<u64>() / 1000
    }

    /// Milliseconds of the longest task.
    pub(super) fn longest(&self) -> u64 {
        self.steps
            .iter()
            .flat_map(|step| &step.tasks)
            .map(|task| task.warm() + task.after)
            .max()
            .unwrap_or(0)
            .into()
    }

    fn add(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// Lets a step wait for others (each with the time it was recorded to be done) and keeps the recorded pause after the last of them.
    fn wait(&mut self, step: usize, before: &[(usize, u64)], recorded: u64) {
        let last = before.iter().map(|(_, done)| *done).max().unwrap_or(0);
        self.steps[step].delay = recorded.saturating_sub(last);
        self.steps[step].waits = before.len();
        for (other, _) in before {
            self.steps[*other].then.push(step);
        }
    }
}

/// What is known of a stage attempt: its step, and when it was submitted and complete.
#[derive(Debug, Clone, Copy)]
struct Known {
    step: usize,
    submitted: u64,
    completed: u64,
}

/// Attempts of stages a stage attempt waits for: the attempt before it, and its parents' that were complete when it was submitted.
fn awaited<'a>(
    stages: &'a BTreeMap<(i32, i32), Known>,
    stage: &'a Stage,
    submitted: u64,
) -> impl Iterator<Item = (i32, i32)> + 'a {
    let parents = stage.parents.iter().filter_map(move |parent| {
        stages
            .range((*parent, i32::MIN)..=(*parent, i32::MAX))
            .filter(|(key, known)| **key < (stage.id, stage.attempt) && known.completed <= submitted)
            .map(|(key, _)| *key)
            .next_back()
    });
    let earlier = (stage.id, stage.attempt - 1);
    parents.chain(stages.contains_key(&earlier).then_some(earlier))
}

fn step(run: &Run, stage: &Stage, cpus: u32, shared: &[u32]) -> Step {
    // A copy that lost, or a task of a cancelled stage, was not work that had to be done.
    let worked = |(_, task): &(u32, &Task)| matches!(task.outcome, Outcome::Succeeded | Outcome::Failed);
    let mut places: Vec<u32> = (0..).zip(&stage.tasks).filter(worked).map(|(place, _)| place).collect();
    let task = |place: &u32| &stage.tasks[*place as usize];
    // Unstable, which takes no memory: of two that are equal in this the first stays the first.
    places.sort_unstable_by_key(|place| (task(place).launched, task(place).index, *place));
    let tasks = || places.iter().map(task);
    let last = tasks().map(Task::ended).max();
    let taken = |place: &u32| Taken::by(task(place), shared.get(*place as usize).copied().unwrap_or(0));
    let mut taken: Vec<Taken> = places.iter().map(taken).collect();
    let executors: Vec<u32> = tasks().map(|task| task.executor).collect();
    let warmth = warm::warmth(run, cpus, &executors, &mut taken);
    Step {
        tail: last.map_or(0, |last| completed(run, stage).saturating_sub(last)),
        tasks: taken,
        warmth,
        rank: (stage.job.unwrap_or(i32::MAX), stage.id, stage.attempt),
        ..Step::default()
    }
}

/// Milliseconds at a task's end in which its slot was another's, by stage attempts in their order and the places of their tasks.
type Shared = Vec<Vec<u32>>;

/// A task attempt that ended: on which executor, and where it stands: the place of its stage attempt, and its own.
type Turn = (u32, u32, u32);

/// The driver gives a slot away when it hears that its task has ended, and takes the task's result after that: in a full executor the next
/// task is launched before the one it follows has ended.
fn shared(run: &Run, cpus: u32) -> Shared {
    let mut shared: Shared = run.stages.values().map(|stage| vec![0; stage.tasks.len()]).collect();
    let stages: Vec<&Stage> = run.stages.values().collect();
    let mut turns: Vec<Turn> = Vec::with_capacity(shared.iter().map(Vec::len).sum());
    for (stage_place, stage) in (0..).zip(&stages) {
        for (place, task) in (0..).zip(&stage.tasks) {
            if task.outcome.has_ended() {
                turns.push((task.executor, stage_place, place));
            }
        }
    }
    let task_of = |stage: u32, place: u32| &stages[stage as usize].tasks[place as usize];
    turns.sort_unstable_by_key(|(executor, stage, place)| {
        let task = task_of(*stage, *place);
        (*executor, task.launched, task.ended(), *stage, *place)
    });
    for of_executor in turns.chunk_by(|one, other| one.0 == other.0) {
        let slots = of_executor.first().map_or(1, |turn| slots_of(run, turn.0, cpus));
        let mut runs: BinaryHeap<Reverse<(u64, u32, u32)>> = BinaryHeap::new();
        for (_, stage, place) in of_executor {
            let task = task_of(*stage, *place);
            let launched = task.launched;
            while runs.peek().is_some_and(|Reverse((end, ..))| *end <= launched) {
                runs.pop();
            }
            if runs.len() >= slots
                && let Some(Reverse((end, stage, place))) = runs.pop()
            {
                shared[stage as usize][place as usize] = u32::try_from(end - launched).unwrap_or(u32::MAX);
            }
            runs.push(Reverse((task.ended(), *stage, *place)));
        }
    }
    shared
}

/// Tasks that run beside each other on an executor.
pub(super) fn slots_of(run: &Run, executor: u32, cpus: u32) -> usize {
    let cores = run
        .executors
        .get(executor as usize)
        .map_or(u32::MAX, |executor| executor.cores);
    ((cores / cpus) as usize).max(1)
}

fn submitted(run: &Run, stage: &Stage) -> u64 {
    let launched = stage.tasks.iter().map(|task| task.launched).min();
    match (stage.submitted, launched) {
        (Some(time), Some(launched)) => since(run, time).min(launched),
        (Some(time), None) => since(run, time),
        (None, launched) => launched.unwrap_or(0),
    }
}

fn completed(run: &Run, stage: &Stage) -> u64 {
    let ended = stage.tasks.iter().map(|task| task.ended()).max();
    match stage.completed {
        Some(time) => since(run, time),
        None => ended.unwrap_or_else(|| submitted(run, stage)),
    }
}

/// When executors come and go, and how many slots each brings.
pub(super) type Slots = Vec<(u64, u64, u32)>;

/// Executors' lives: from, until, cores.
pub(super) fn lives(run: &Run) -> impl Iterator<Item = (u64, u64, u32)> + '_ {
    run.workers().map(|(_, worker)| {
        let until = worker.removed.map_or(u64::MAX, |time| since(run, time));
        (since(run, worker.added), until, worker.cores)
    })
}

/// When executors came, in order.
pub(super) fn arrivals(run: &Run) -> Vec<u64> {
    let mut arrivals: Vec<u64> = lives(run).map(|(from, ..)| from).collect();
    arrivals.sort_unstable();
    arrivals
}

/// When so many executors would come: as those that did, and further ones with the last of them.
pub(super) fn arrivals_of(arrivals: &[u64], executors: u32) -> impl Iterator<Item = u64> + '_ {
    let last = arrivals.last().copied().unwrap_or(0);
    (0..executors as usize).map(move |place| arrivals.get(place).copied().unwrap_or(last))
}

/// The slots of the recorded executors. One that ran tasks before the log tells that it came was there for them.
pub(super) fn recorded_slots(run: &Run, cpus: u32) -> Slots {
    lives(run)
        .map(|(from, until, cores)| (from, until, cores / cpus))
        .collect()
}

/// The slots of executors thought of, which stay.
pub(super) fn planned_slots(arrivals: &[u64], plan: Plan, cpus: u32) -> Slots {
    arrivals_of(arrivals, plan.executors)
        .map(|from| (from, u64::MAX, plan.cores / cpus))
        .collect()
}

/// A slot for every task, as soon as there is any.
pub(super) fn unbounded(arrivals: &[u64]) -> Slots {
    vec![(arrivals.first().copied().unwrap_or(0), u64::MAX, u32::MAX)]
}
