//! Which stage of one run is which of another.

use std::collections::BTreeMap;

use super::StageChange;
use super::timeline::Timeline;
use crate::facts::Run;
use crate::facts::run::{Outcome, Stage};

/// A stage with all its attempts.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole {
    pub id: i32,
    pub name: String,
    pub query: Option<i64>,
    /// Tasks of the first attempt: partitions.
    pub tasks: u32,
    pub read: u64,
    pub written: u64,
    pub records: u64,
    pub gc_time: u64,
    pub run_time: u64,
    pub cpu_time: u64,
    pub spilled: u64,
    pub failed: u32,
    pub killed: u32,
    pub attempts: usize,
    /// The longest task that succeeded, and the middle one, in milliseconds.
    pub longest: u32,
    pub median: u32,
}

/// The same stage in two runs, or one that only one has.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub a: Option<Whole>,
    pub b: Option<Whole>,
}

impl Pair {
    pub fn name(&self) -> &str {
        self.a
            .as_ref()
            .or(self.b.as_ref())
            .map_or("", |whole| whole.name.as_str())
    }

    pub fn change(&self, a: &Timeline, b: &Timeline) -> StageChange {
        let wall = |timeline: &Timeline, whole: &Option<Whole>| {
            whole
                .as_ref()
                .and_then(|whole| timeline.stages.get(&whole.id))
                .map_or(0, |time| time.wall)
        };
        let of = |whole: &Option<Whole>, number: fn(&Whole) -> u64| whole.as_ref().map_or(0, number);
        StageChange {
            name: self.name().to_owned(),
            ids: (
                self.a.as_ref().map(|whole| whole.id),
                self.b.as_ref().map(|whole| whole.id),
            ),
            milliseconds: (wall(a, &self.a), wall(b, &self.b)),
            tasks: (
                self.a.as_ref().map_or(0, |whole| whole.tasks),
                self.b.as_ref().map_or(0, |whole| whole.tasks),
            ),
            read: (of(&self.a, |whole| whole.read), of(&self.b, |whole| whole.read)),
            written: (of(&self.a, |whole| whole.written), of(&self.b, |whole| whole.written)),
        }
    }
}

/// The stages of a run that ran a task, by id.
fn wholes(run: &Run) -> Vec<Whole> {
    let mut wholes: BTreeMap<i32, (Whole, Vec<u32>)> = BTreeMap::new();
    for ((id, attempt), stage) in run.stages.iter().filter(|(_, stage)| !stage.tasks.is_empty()) {
        let (whole, times) = wholes.entry(*id).or_default();
        if *attempt == 0 || whole.attempts == 0 {
            whole.id = *id;
            whole.name.clone_from(&stage.name);
            whole.query = stage.query;
            whole.tasks = stage.task_count;
        }
        add(whole, stage);
        let succeeded = stage.tasks.iter().filter(|task| task.outcome == Outcome::Succeeded);
        times.extend(succeeded.map(|task| task.duration));
    }
    let finish = |(mut whole, mut times): (Whole, Vec<u32>)| {
        times.sort_unstable();
        whole.longest = times.last().copied().unwrap_or(0);
        whole.median = times.get(times.len() / 2).copied().unwrap_or(0);
        whole
    };
    wholes.into_values().map(finish).collect()
}

fn add(whole: &mut Whole, stage: &Stage) {
    let totals = &stage.totals;
    whole.attempts += 1;
    // What lost attempts read is the loss's doing, not more data.
    let succeeded = stage.tasks.iter().filter(|task| task.outcome == Outcome::Succeeded);
    for task in succeeded {
        whole.read += task.input + task.shuffle_read;
        whole.written += task.shuffle_write + task.output;
        whole.records += task.records;
    }
    whole.gc_time += totals.gc_time;
    whole.run_time += totals.run_time;
    whole.cpu_time += totals.cpu_time;
    whole.spilled += totals.disk_spilled;
    whole.failed += totals.failed;
    whole.killed += totals.killed;
}

/// Matches stages by name and by the description of their query or job, those of one name in their order. Ids play no part: an added stage
/// shifts them. Lines in names may move when code is edited, so a second look matches what is left without them.
pub(super) fn stages(a: &Run, b: &Run) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = wholes(a)
        .into_iter()
        .map(|whole| Pair {
            a: Some(whole),
            b: None,
        })
        .collect();
    let mut others: Vec<Option<Whole>> = wholes(b).into_iter().map(Some).collect();
    let exact = |run: &Run, whole: &Whole| (whole.name.clone(), description(run, whole));
    let loose = |run: &Run, whole: &Whole| (without_line(&whole.name), description(run, whole));
    for key in [&exact as &dyn Fn(&Run, &Whole) -> (String, String), &loose] {
        for pair in pairs.iter_mut().filter(|pair| pair.b.is_none()) {
            let Some(mine) = &pair.a else { continue };
            let wanted = key(a, mine);
            let found = others
                .iter_mut()
                .find(|other| other.as_ref().is_some_and(|other| key(b, other) == wanted));
            pair.b = found.and_then(Option::take);
        }
    }
    pairs.extend(others.into_iter().flatten().map(|whole| Pair {
        a: None,
        b: Some(whole),
    }));
    pairs
}

/// What a stage is for, in the words of the program.
fn description(run: &Run, whole: &Whole) -> String {
    let query = whole
        .query
        .and_then(|id| run.queries.get(&id))
        .map(|query| query.description.as_str());
    let job = run
        .stages
        .get(&(whole.id, 0))
        .and_then(|stage| stage.job)
        .and_then(|id| run.jobs.get(&id));
    without_line(query.or(job.map(|job| job.description.as_str())).unwrap_or_default())
}

/// `collect at job.py:12` without its line.
fn without_line(name: &str) -> String {
    match name.rsplit_once(':') {
        Some((rest, line)) if !line.is_empty() && line.bytes().all(|digit| digit.is_ascii_digit()) => rest.to_owned(),
        _ => name.to_owned(),
    }
}
