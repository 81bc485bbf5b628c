//! The difference of two wall clocks, divided into named parts that sum to it.
//!
//! The time of a stage is `repair + (lost + busy) / slots + rest`: moments that only made good a loss, attempts that were lost beside others, the
//! work of its tasks, both spread over the slots it used, and what is left, in which slots stood empty because the last tasks were not
//! done. Going from the first run to the second one term at a time (losses, data, time for the data, slots, rest) gives each term its share; more data,
//! or more time for it, stretches the rest as it does the work. A sum of steps from one time to another is their difference, so the parts sum
//! exactly. Steps are rounded to milliseconds where they are taken, not where they are summed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::conf::Change;
use super::matching::{Pair, Whole};
use super::plan::QueryChange;
use super::timeline::{StageTime, Timeline};
use crate::facts::Run;
use stoke_diagnostics::Evidence;

/// The number of tasks of a stage has changed when one count is at least this many times the other.
pub const TASKS_CHANGED: f64 = 2.0;
/// Data of a stage is the same when one size is less than this many times the other.
pub const SAME_DATA: f64 = 1.5;

/// What a part of the difference is due to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// From the driver's start to the first job.
    StartUp,
    /// Time without a job: the driver works alone, or waits.
    Driver,
    /// A job waits and no task runs: planning, broadcasts, commits, executors that are not there.
    Waiting,
    /// Attempts that failed or were killed, and the attempts that made them good.
    Retries,
    /// More or less data.
    Data,
    /// More or less time for the same data.
    Work,
    /// More or fewer tasks at once.
    Parallelism,
    /// More or fewer partitions of the same data.
    Partitions,
    /// Slots empty while the last tasks of a stage ran.
    Skew,
    /// Another plan for the same query.
    Plan,
    /// Stages that only one of the runs has, of no query that both have.
    Stages,
}

/// A part of the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What it is due to.
    pub kind: Kind,
    /// How much, in milliseconds: positive where the second run took longer for it.
    pub milliseconds: i64,
    /// In words.
    pub text: String,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// Evidence given for a part: stages with the largest shares.
const SHOWN: usize = 3;

/// A share of a part that one stage, or nothing but the driver, has.
struct Share<'a> {
    kind: Kind,
    milliseconds: i64,
    pair: Option<&'a Pair>,
}

pub(super) fn explain(
    runs: (&Run, &Run),
    times: (&Timeline, &Timeline),
    pairs: &[Pair],
    queries: &[QueryChange],
    settings: &[Change],
) -> Vec<Explanation> {
    let (a, b) = times;
    let mut shares: Vec<Share<'_>> = [
        (Kind::StartUp, b.start_up - a.start_up),
        (Kind::Driver, b.driver - a.driver),
        (Kind::Waiting, b.waiting - a.waiting),
    ]
    .map(|(kind, milliseconds)| Share {
        kind,
        milliseconds,
        pair: None,
    })
    .into();
    for pair in pairs {
        let steps = steps(pair, a, b, queries);
        shares.extend(steps.into_iter().map(|(kind, milliseconds)| Share {
            kind,
            milliseconds,
            pair: Some(pair),
        }));
    }
    let difference = runs.1.duration() - runs.0.duration();
    let mut parts: BTreeMap<Kind, Vec<Share<'_>>> = BTreeMap::new();
    for share in shares.into_iter().filter(|share| share.milliseconds != 0) {
        parts.entry(share.kind).or_default().push(share);
    }
    let mut explanations: Vec<Explanation> = parts
        .into_iter()
        .map(|(kind, shares)| Explanation {
            kind,
            milliseconds: shares.iter().map(|share| share.milliseconds).sum(),
            text: words(kind, times, pairs),
            evidence: evidence(kind, shares, queries, settings),
        })
        .filter(|part| part.milliseconds != 0)
        .collect();
    let along = if difference < 0 { -1 } else { 1 };
    explanations.sort_by_key(|part| (std::cmp::Reverse(part.milliseconds * along), part.kind));
    explanations
}

/// The steps from a stage's time in the first run to its time in the second. They sum to the difference of its `wall`.
fn steps(pair: &Pair, a: &Timeline, b: &Timeline, queries: &[QueryChange]) -> Vec<(Kind, i64)> {
    let time = |timeline: &Timeline, whole: &Option<Whole>| {
        whole
            .as_ref()
            .and_then(|whole| timeline.stages.get(&whole.id))
            .copied()
            .unwrap_or_default()
    };
    let (from, to) = (time(a, &pair.a), time(b, &pair.b));
    let whole = to.wall - from.wall;
    let replanned = |query: &&QueryChange| {
        let mine = |whole: &Option<Whole>, id: i64| whole.as_ref().is_some_and(|whole| whole.query == Some(id));
        mine(&pair.a, query.ids.0) || mine(&pair.b, query.ids.1)
    };
    let query = queries.iter().find(replanned);
    if query.is_some_and(|query| query.operators.is_some()) {
        return vec![(Kind::Plan, whole)];
    }
    let (Some(before), Some(after)) = (&pair.a, &pair.b) else {
        return vec![(Kind::Stages, whole)];
    };
    let data = ratio(before, after);
    let same_data = data < SAME_DATA && data > 1.0 / SAME_DATA;
    let tasks = f64::from(after.tasks.max(1)) / f64::from(before.tasks.max(1));
    // Another number of partitions in the plan is the cause of whatever data the stages after it read: less is combined in each.
    let told = query.is_some_and(|query| query.partitions.is_some());
    let repartitioned = (same_data || told) && (tasks >= TASKS_CHANGED || tasks <= 1.0 / TASKS_CHANGED);
    let reach = |stretch: f64, slots: u32| {
        let busy = (to.lost as f64 + from.busy as f64 * stretch) / f64::from(slots.max(1));
        (to.repair as f64 + busy + rest(from) * stretch).round() as i64
    };
    let repaired = reach(1.0, from.slots);
    let retries = repaired - from.wall;
    if repartitioned {
        return vec![(Kind::Retries, retries), (Kind::Partitions, whole - retries)];
    }
    let work = if from.busy > 0 {
        to.busy as f64 / from.busy as f64
    } else {
        data
    };
    // Each is the time after one more term was exchanged; the last is the measured one.
    let reached = [
        repaired,
        reach(data, from.slots),
        reach(work, from.slots),
        reach(work, to.slots),
        to.wall,
    ];
    let kinds = [Kind::Data, Kind::Work, Kind::Parallelism, Kind::Skew];
    let mut steps = vec![(Kind::Retries, retries)];
    steps.extend(
        reached
            .windows(2)
            .zip(kinds)
            .map(|(pair, kind)| (kind, pair[1] - pair[0])),
    );
    // Fewer slots where there was room for as many: the stage had no tasks for them.
    if a.slots == b.slots {
        for step in steps.iter_mut().filter(|step| step.0 == Kind::Parallelism) {
            step.0 = Kind::Skew;
        }
    }
    steps
}

fn rest(time: StageTime) -> f64 {
    (time.wall - time.repair) as f64 - (time.lost + time.busy) as f64 / f64::from(time.slots.max(1))
}

/// How much data the second has for one of the first: by bytes read, else by records, else by bytes written, else the same.
fn ratio(a: &Whole, b: &Whole) -> f64 {
    for (a, b) in [(a.read, b.read), (a.records, b.records), (a.written, b.written)] {
        if a > 0 && b > 0 {
            return b as f64 / a as f64;
        }
    }
    1.0
}

fn words(kind: Kind, (a, b): (&Timeline, &Timeline), pairs: &[Pair]) -> String {
    let failed = |of: fn(&Pair) -> &Option<Whole>| -> u32 {
        pairs
            .iter()
            .filter_map(|pair| of(pair).as_ref())
            .map(|whole| whole.failed + whole.killed)
            .sum()
    };
    let read = |of: fn(&Pair) -> &Option<Whole>| -> u64 {
        pairs
            .iter()
            .filter_map(|pair| of(pair).as_ref())
            .map(|whole| whole.read)
            .sum()
    };
    match kind {
        Kind::StartUp => format!(
            "from the driver's start to its first job: {} -> {}",
            seconds(a.start_up),
            seconds(b.start_up)
        ),
        Kind::Driver => format!(
            "time in which the driver had no job: {} -> {}",
            seconds(a.driver),
            seconds(b.driver)
        ),
        Kind::Waiting => format!(
            "a job waited and no task ran (planning, broadcasts, commits, missing executors): {} -> {}",
            seconds(a.waiting),
            seconds(b.waiting)
        ),
        Kind::Retries => format!(
            "attempts that failed or were killed, and what made them good: {} -> {} attempts lost",
            failed(|pair| &pair.a),
            failed(|pair| &pair.b)
        ),
        Kind::Data => format!(
            "stages read another amount of data: {} -> {}",
            bytes(read(|pair| &pair.a)),
            bytes(read(|pair| &pair.b))
        ),
        Kind::Work => "tasks took another time for the same data".to_owned(),
        Kind::Parallelism => format!(
            "there was room for another number of tasks at once: {} -> {}",
            a.slots, b.slots
        ),
        Kind::Partitions => "the same data was cut into another number of tasks".to_owned(),
        Kind::Skew => "slots stood empty while the last tasks of a stage ran".to_owned(),
        Kind::Plan => "the same query had another plan".to_owned(),
        Kind::Stages => "stages that only one of the runs has".to_owned(),
    }
}

fn evidence(kind: Kind, mut shares: Vec<Share<'_>>, queries: &[QueryChange], settings: &[Change]) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if kind == Kind::Plan {
        let changed = queries
            .iter()
            .filter_map(|query| Some((query, query.operators.as_ref()?)));
        evidence.extend(changed.take(SHOWN).map(|(query, (a, b))| {
            let place = format!("query {} ({})", query.ids.0, query.ids.1);
            Evidence::new(place, format!("only before: {}; only after: {}", list(a), list(b)))
        }));
    }
    shares.sort_by_key(|share| std::cmp::Reverse(share.milliseconds.abs()));
    for share in shares.iter().take(SHOWN) {
        let Some(pair) = share.pair else { continue };
        evidence.push(Evidence::new(
            place(pair),
            format!("{}; {}", signed(share.milliseconds), seen(kind, pair)),
        ));
    }
    let related = settings.iter().filter(|change| relates(kind, &change.key));
    evidence.extend(related.map(|change| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
        Evidence::new(
            change.key.clone(),
            format!("{} -> {}", value(&change.a), value(&change.b)),
        )
    }));
    evidence
}

fn place(pair: &Pair) -> String {
    match (&pair.a, &pair.b) {
        (Some(a), Some(b)) => format!("stage {} ({})", a.id, b.id),
        (Some(a), None) => format!("stage {} (only before)", a.id),
        (None, Some(b)) => format!("stage {} (only after)", b.id),
        (None, None) => String::new(),
    }
}

/// What is seen of a stage that shows a part.
fn seen(kind: Kind, pair: &Pair) -> String {
    let (Some(a), Some(b)) = (&pair.a, &pair.b) else {
        return pair.name().to_owned();
    };
    let numbers = match kind {
        Kind::Data => format!(
            "read {} -> {}, {} -> {} records",
            bytes(a.read),
            bytes(b.read),
            a.records,
            b.records
        ),
        Kind::Work => format!(
            "run time {} -> {}, of it CPU {} -> {}, GC {} -> {}, spilled {} -> {}",
            span(a.run_time),
            span(b.run_time),
            span(a.cpu_time),
            span(b.cpu_time),
            span(a.gc_time),
            span(b.gc_time),
            bytes(a.spilled),
            bytes(b.spilled)
        ),
        Kind::Skew => format!(
            "longest task {} -> {}, median {} -> {}",
            span(a.longest.into()),
            span(b.longest.into()),
            span(a.median.into()),
            span(b.median.into())
        ),
        Kind::Retries => format!(
            "{} -> {} attempts lost, {} -> {} stage attempts",
            a.failed + a.killed,
            b.failed + b.killed,
            a.attempts,
            b.attempts
        ),
        _ => format!(
            "{} -> {} tasks, read {} -> {}",
            a.tasks,
            b.tasks,
            bytes(a.read),
            bytes(b.read)
        ),
    };
    format!("{numbers} ({})", pair.name())
}

/// Settings that can bring about a part, by the documentation of Spark's configuration.
fn relates(kind: Kind, key: &str) -> bool {
    let any = |keys: &[&str]| keys.iter().any(|known| key.starts_with(known));
    match kind {
        Kind::Parallelism | Kind::StartUp => any(&[
            "spark.master",
            "spark.executor.cores",
            "spark.executor.instances",
            "spark.cores.max",
            "spark.task.cpus",
            "spark.dynamicAllocation.",
            "spark.kubernetes.allocation.",
        ]),
        Kind::Partitions => any(&[
            "spark.sql.shuffle.partitions",
            "spark.default.parallelism",
            "spark.sql.files.",
            "spark.sql.adaptive.",
        ]),
        Kind::Plan => any(&[
            "spark.sql.autoBroadcastJoinThreshold",
            "spark.sql.adaptive.",
            "spark.sql.join.",
            "spark.sql.cbo.",
            "spark.sql.optimizer.",
        ]),
        Kind::Skew => any(&["spark.sql.adaptive.", "spark.speculation"]),
        Kind::Work => {
            let memory = any(&[
                "spark.executor.memory",
                "spark.driver.memory",
                "spark.memory.",
                "spark.executor.extraJavaOptions",
            ]);
            memory
                || any(&[
                    "spark.serializer",
                    "spark.io.compression.",
                    "Spark version",
                    "Java version",
                    "spark.sql.codegen.",
                ])
        }
        Kind::Retries => any(&[
            "spark.task.maxFailures",
            "spark.stage.maxConsecutiveAttempts",
            "spark.speculation",
        ]),
        Kind::Driver | Kind::Waiting | Kind::Data | Kind::Stages => false,
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        _ => names.join(", "),
    }
}

pub(super) fn signed(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "+" };
    format!("{sign}{}", seconds(milliseconds.abs()))
}

pub(super) fn seconds(milliseconds: i64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

fn span(milliseconds: u64) -> String {
    seconds(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}
