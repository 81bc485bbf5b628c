//! What rules reckon with: slots, orders of tasks, time someone was at work.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use stoke_run::settings;

use crate::facts::Run;
use crate::facts::run::{Outcome, Query, Stage, Task};
use stoke_model::units::people::short;

/// Cores a task takes: of its stage's resource profile, else `spark.task.cpus`.
pub fn task_cpus(run: &Run, profile: i32) -> u32 {
    let configured = run.property(settings::TASK_CPUS).and_then(settings::cpus);
    (settings::task_cpus(run.profiles.get(&profile), configured) as u32).max(1)
}

/// Tasks that can run beside each other between two times (milliseconds since the run's start), on average.
pub fn slots(run: &Run, profile: i32, from: u64, to: u64) -> f64 {
    let cpus = task_cpus(run, profile);
    let span = to.saturating_sub(from).max(1);
    let total: f64 = run
        .workers()
        .filter(|(_, worker)| worker.profile == profile || run.profiles.len() <= 1)
        .map(|(_, worker)| {
            let start = since(run, worker.added).max(from);
            let end = worker.removed.map_or(to, |time| since(run, time)).min(to);
            f64::from(worker.cores / cpus) * end.saturating_sub(start) as f64 / span as f64
        })
        .sum();
    total.max(1.0)
}

/// Cores of executors that were there between two times, on average.
pub fn cores(run: &Run, from: u64, to: u64) -> f64 {
    let span = to.saturating_sub(from).max(1);
    run.workers()
        .map(|(_, worker)| {
            let start = since(run, worker.added).max(from);
            let end = worker.removed.map_or(to, |time| since(run, time)).min(to);
            f64::from(worker.cores) * end.saturating_sub(start) as f64 / span as f64
        })
        .sum()
}

/// A time of the log in milliseconds since the run's start.
pub fn since(run: &Run, time: i64) -> u64 {
    time.saturating_sub(run.started).max(0) as u64
}

/// A stage attempt as it ran. What takes long to find out is found out when it is asked for, once.
pub struct Ran<'a> {
    run: &'a Run,
    /// The stage attempt.
    pub stage: &'a Stage,
    /// Its tasks that ended well.
    pub tasks: Vec<&'a Task>,
    durations: OnceCell<Vec<u64>>,
    /// When its first task was launched.
    pub first: u64,
    /// When its last task ended.
    pub last: u64,
    slots: OnceCell<f64>,
}

impl<'a> Ran<'a> {
    /// Looks at a stage attempt; nothing comes of one in which no task ended well.
    pub fn of(run: &'a Run, stage: &'a Stage) -> Option<Ran<'a>> {
        let tasks: Vec<&Task> = stage
            .tasks
            .iter()
            .filter(|task| task.outcome == Outcome::Succeeded)
            .collect();
        let first = stage.tasks.iter().map(|task| task.launched).min()?;
        let last = tasks.iter().map(|task| task.ended()).max()?;
        Some(Ran {
            run,
            stage,
            durations: OnceCell::new(),
            first,
            last,
            slots: OnceCell::new(),
            tasks,
        })
    }

    /// The durations of its tasks, in rising order.
    pub fn durations(&self) -> &[u64] {
        self.durations.get_or_init(|| {
            let mut durations: Vec<u64> = self.tasks.iter().map(|task| u64::from(task.duration)).collect();
            durations.sort_unstable();
            durations
        })
    }

    /// Tasks of it that could run beside each other.
    pub fn slots(&self) -> f64 {
        *self
            .slots
            .get_or_init(|| slots(self.run, self.stage.profile, self.first, self.last))
    }

    /// From the launch of its first task to the end of its last one.
    pub fn wall(&self) -> u64 {
        self.last.saturating_sub(self.first)
    }

    /// Milliseconds of all its tasks that ended well.
    pub fn work(&self) -> u64 {
        self.sum(|task| u64::from(task.duration))
    }

    /// Something of each of them added up, at most the largest number.
    pub fn sum(&self, of: impl Fn(&Task) -> u64) -> u64 {
        self.tasks.iter().map(|task| of(task)).fold(0, u64::saturating_add)
    }

    /// Its longest task.
    pub fn longest(&self) -> Option<&'a Task> {
        self.tasks.iter().copied().max_by_key(|task| task.duration)
    }

    /// The time it took beyond an even split of its work over the slots its tasks could use.
    pub fn beyond_even(&self) -> u64 {
        let used = self.slots().min(self.tasks.len() as f64).max(1.0);
        self.wall().saturating_sub((self.work() as f64 / used) as u64)
    }

    /// `stage 3`, with its attempt when it is not the first.
    pub fn place(&self) -> String {
        place(self.stage)
    }
}

/// `stage 3 (collect at job.py:12)`, with its attempt when it is not the first.
pub fn place(stage: &Stage) -> String {
    let name = match stage.name.is_empty() {
        true => String::new(),
        false => format!(" ({})", stage.name),
    };
    match stage.attempt {
        0 => format!("stage {}{name}", stage.id),
        attempt => format!("stage {}.{attempt}{name}", stage.id),
    }
}

/// Every stage attempt that ran tasks.
pub fn ran(run: &Run) -> impl Iterator<Item = Ran<'_>> {
    run.stages.values().filter_map(|stage| Ran::of(run, stage))
}

/// Stage attempts by their jobs: a run may have thousands of queries, and thousands of stages.
pub struct OfJobs<'a>(BTreeMap<i32, Vec<&'a Stage>>);

impl<'a> OfJobs<'a> {
    /// Those of a run.
    pub fn of(run: &'a Run) -> OfJobs<'a> {
        let mut by: BTreeMap<i32, Vec<&Stage>> = BTreeMap::new();
        for stage in run.stages.values() {
            if let Some(job) = stage.job {
                by.entry(job).or_default().push(stage);
            }
        }
        OfJobs(by)
    }

    /// Those of a query, in the order of their ids.
    pub fn stages(&self, query: &Query) -> Vec<&'a Stage> {
        let jobs: BTreeSet<i32> = query.jobs.iter().copied().collect();
        let stages = jobs.iter().filter_map(|job| self.0.get(job)).flatten();
        let mut stages: Vec<&Stage> = stages.copied().collect();
        stages.sort_by_key(|stage| (stage.id, stage.attempt));
        stages
    }
}

/// Bytes a task read.
pub fn read(task: &Task) -> u64 {
    task.input.saturating_add(task.shuffle_read)
}

/// A quantile of values in rising order, the nearest rank; 0 for none.
pub fn quantile(sorted: &[u64], share: f64) -> u64 {
    match sorted.len() {
        0 => 0,
        count => sorted[((share * count as f64).ceil() as usize).clamp(1, count) - 1],
    }
}

/// The median of values in any order.
pub fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    quantile(&values, 0.5)
}

/// The Gini coefficient of values in rising order: 0 when all are equal, near 1 when one has everything.
pub fn gini(sorted: &[u64]) -> f64 {
    let count = sorted.len() as f64;
    let total: f64 = sorted.iter().map(|value| *value as f64).sum();
    if total == 0.0 {
        return 0.0;
    }
    let ranked: f64 = sorted
        .iter()
        .enumerate()
        .map(|(place, value)| (place as f64 + 1.0) * *value as f64)
        .sum();
    2.0 * ranked / (count * total) - (count + 1.0) / count
}

/// Spans in which at least one task ran, in order, none touching the next; milliseconds since the run's start.
pub fn busy(run: &Run) -> Vec<(u64, u64)> {
    let end = since(run, run.end());
    let spans: Vec<(u64, u64)> = run
        .stages
        .values()
        .flat_map(|stage| &stage.tasks)
        .map(|task| match task.outcome {
            Outcome::Running | Outcome::GetResult => (task.launched, end),
            _ => (task.launched, task.ended()),
        })
        .collect();
    merge(spans)
}

/// Spans in which at least one stage was submitted and not complete, as [`busy`]: a stage that waits for executors counts.
pub fn active(run: &Run) -> Vec<(u64, u64)> {
    let end = since(run, run.end());
    let stages = run.stages.values().filter(|stage| stage.submitted.is_some());
    let submitted = stages.map(|stage| {
        let from = stage.submitted.map_or(end, |time| since(run, time));
        (from, stage.completed.map_or(end, |time| since(run, time)))
    });
    merge(submitted.chain(busy(run)).collect())
}

fn merge(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// When tasks were launched and when they ended: how many milliseconds of slots they took until any time takes two searches.
pub struct Slots {
    launched: Turns,
    ended: Turns,
}

/// Times in rising order, and of each part of them, and of what would come next, the sum of those before it.
struct Turns {
    times: Vec<u64>,
    before: Vec<u128>,
}

/// Times of a part.
const PART: usize = 64;

impl Turns {
    fn of(times: impl Iterator<Item = u64>) -> Turns {
        let mut times: Vec<u64> = times.collect();
        times.sort_unstable();
        let mut before = Vec::with_capacity(times.len() / PART + 2);
        let mut sum = 0;
        for part in times.chunks(PART) {
            before.push(sum);
            sum += part.iter().copied().map(u128::from).sum::<u128>();
        }
        before.push(sum);
        Turns { times, before }
    }

    /// Milliseconds since each of them, at a time, in all.
    fn since(&self, at: u64) -> u128 {
        let count = self.times.partition_point(|time| *time < at);
        let whole = count / PART;
        let rest = self.times.get(whole * PART..count).unwrap_or_default().iter();
        let before = self.before.get(whole).copied().unwrap_or(0);
        u128::from(at) * count as u128 - before - rest.copied().map(u128::from).sum::<u128>()
    }
}

impl Slots {
    /// Those of all tasks of a run.
    pub fn taken(run: &Run) -> Slots {
        Slots::of(|| run.stages.values().flat_map(|stage| &stage.tasks))
    }

    fn of<'a, T: Iterator<Item = &'a Task>>(tasks: impl Fn() -> T) -> Slots {
        Slots {
            launched: Turns::of(tasks().map(|task| task.launched)),
            ended: Turns::of(tasks().map(Task::ended)),
        }
    }

    /// Milliseconds of slots that tasks took between two times.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        let until = |time: u64| self.launched.since(time) - self.ended.since(time);
        let taken = until(to.max(from)) - until(from);
        u64::try_from(taken).unwrap_or(u64::MAX)
    }
}

/// Milliseconds of slots that tasks of other stages took between two times; `all` are those of all tasks.
pub fn others(all: &Slots, stage: &Stage, from: u64, to: u64) -> u64 {
    let own = stage.tasks.iter().map(|task| {
        let start = task.launched.max(from);
        task.ended().min(to).saturating_sub(start)
    });
    all.between(from, to).saturating_sub(own.fold(0, u64::saturating_add))
}

/// Whether the application stays for requests or streams, and so is idle by nature: a streaming query, a Spark Connect or Thrift server.
pub fn stays(run: &Run) -> bool {
    let plugins = run.property("spark.plugins").unwrap_or_default();
    let class = run
        .property("spark.kubernetes.driver.mainClass")
        .or(run.property("spark.submit.mainClass"));
    plugins.contains("SparkConnectPlugin")
        || run.name.contains("Thrift JDBC/ODBC Server")
        || run.name == "Spark Connect server"
        || class.is_some_and(|class| class.contains("thriftserver") || class.contains("SparkConnectServer"))
        || run.jobs.values().any(|job| job.description.contains("\nbatch = "))
}

/// Milliseconds of cores, for people.
pub fn core_time(milliseconds: u64) -> String {
    match milliseconds {
        0..3_600_000 => format!("{} core-minutes", short(milliseconds as f64 / 60_000.0)),
        _ => format!("{} core-hours", short(milliseconds as f64 / 3_600_000.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    #[test]
    fn statistics_are_those_of_the_books() {
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), 2);
        assert_eq!(quantile(&[1, 2, 3, 4], 0.75), 3);
        assert_eq!(quantile(&[], 0.5), 0);
        assert!(gini(&[5, 5, 5, 5]).abs() < 1e-9);
        assert!((gini(&[0, 0, 0, 10]) - 0.75).abs() < 1e-9);
        assert!(gini(&[0, 0]).abs() < 1e-9);
    }

    #[test]
    fn slots_that_tasks_took_are_those_of_each_task() {
        let mut tasks: Vec<Task> = (0..200u64)
            .map(|place| Task {
                launched: place * 7919 % 500,
                duration: (place * 31 % 90) as u32,
                ..Task::default()
            })
            .collect();
        tasks[7].launched = crate::facts::run::LARGEST.unsigned_abs();
        let taken = Slots::of(|| tasks.iter());
        for (from, to) in [(0, 0), (0, 1000), (100, 101), (250, 300), (300, 250), (490, u64::MAX)] {
            let each = tasks
                .iter()
                .map(|task| task.ended().min(to).saturating_sub(task.launched.max(from)));
            assert_eq!(taken.between(from, to), each.sum::<u64>(), "{from} to {to}");
        }
        assert_eq!(Slots::of(|| [].iter()).between(0, 9), 0);
    }

    #[test]
    fn slots_are_those_of_executors_that_were_there() {
        let mut run = fixture::run(2, 4, 100_000);
        assert!((slots(&run, 0, 0, 100_000) - 8.0).abs() < 1e-9);
        run.executors[1].removed = Some(run.started + 50_000);
        assert!((slots(&run, 0, 0, 100_000) - 6.0).abs() < 1e-9);
        run.spark.insert("spark.task.cpus".to_owned(), "2".to_owned());
        assert!((slots(&run, 0, 0, 50_000) - 4.0).abs() < 1e-9);
        // Before any executor a stage still has one slot to divide by.
        assert!((slots(&run, 7, 200_000, 200_000) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn spans_of_work_are_put_together() {
        let mut run = fixture::run(1, 2, 100_000);
        fixture::stage(&mut run, 0, &[(0, 10_000), (5_000, 10_000), (40_000, 1_000)]);
        assert_eq!(busy(&run), [(0, 15_000), (40_000, 41_000)]);
    }

    #[test]
    fn a_server_or_a_stream_stays() {
        let mut run = fixture::run(1, 2, 100_000);
        assert!(!stays(&run));
        run.jobs.entry(0).or_default().description = "id = 1\nrunId = 2\nbatch = 3".to_owned();
        assert!(stays(&run));
    }
}
