//! Few tasks that take far longer than the others: because of their data, because of their executor, or for a reason nothing recorded tells.

use std::collections::BTreeMap;

use super::Finding;
use super::measure::{self, Ran};
use super::{conf, on, worth};
use crate::facts::Run;
use crate::facts::run::Task;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, count, counted, duration, short};

/// The longest task over the median one: at least this. `spark.sql.adaptive.skewJoin.skewedPartitionFactor` says 5 of bytes; time has a
/// constant part, so less of it counts.
const OVER_MEDIAN: f64 = 3.0;
/// The longest task over the third quartile, which a few middling tasks do not move. Ours.
const OVER_QUARTILE: f64 = 2.5;
/// The Gini coefficient of durations. Ours: 0.4 is a split in which the longest tenth of the tasks takes half of the time.
const GINI: f64 = 0.4;
/// Bytes of a task over the median's: `spark.sql.adaptive.skewJoin.skewedPartitionFactor`.
const OVER_BYTES: f64 = 5.0;
/// Data explains time when it is this much of the ratio of times at least. Ours.
const EXPLAINS: f64 = 0.3;
/// Definitions of skewed time that must agree, of three.
const AGREE: usize = 2;
/// The median task of a slow executor over that of the others. Ours.
const SLOW: f64 = 2.0;
/// Bytes of a median task that still count as the same work on both. Ours.
const SAME: f64 = 1.5;
/// Tasks an executor must have run to be judged.
const JUDGED: usize = 2;
/// The rest a task would keep if its garbage collection were taken away, over the median's: below it, memory is the trouble and not skew.
const WITHOUT_GC: f64 = 2.0;

const DATA: Rule = Rule {
    text: "At least two of: longest task >= 3 x median, >= 2.5 x third quartile, Gini of durations >= 0.4; and its bytes or records exceed the median's by as much; and the time beyond an even split is worth telling.",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#optimizing-skew-join",
};
const UNEVEN: Rule = Rule {
    text: "At least two of: longest task >= 3 x median, >= 2.5 x third quartile, Gini of durations >= 0.4; its bytes, records and garbage collection do not explain it; and the time beyond an even split is worth telling.",
    source: "https://spark.apache.org/docs/latest/configuration.html#scheduling (spark.speculation)",
};
const EXECUTOR: Rule = Rule {
    text: "The median task of one executor takes >= 2 x that of the others with the same data, and the time lost is worth telling.",
    source: "https://spark.apache.org/docs/latest/configuration.html#scheduling (spark.speculation, spark.excludeOnFailure)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut findings: Vec<Finding> = slow_executor(run).into_iter().collect();
    let slow = !findings.is_empty();
    let mut data = Vec::new();
    let mut other = Vec::new();
    for ran in measure::ran(run) {
        let Some(skew) = Skew::of(run, &ran) else {
            continue;
        };
        match skew.data {
            true => data.push(skew),
            // One slow executor is told once, not again for each of its tasks.
            false if !slow => other.push(skew),
            false => {}
        }
    }
    findings.extend(finding(run, data, true));
    findings.extend(finding(run, other, false));
    findings
}

/// A skewed stage.
struct Skew<'a> {
    ran: Ran<'a>,
    longest: &'a Task,
    median: u64,
    agree: Vec<String>,
    disagree: Vec<String>,
    data: bool,
    bytes_median: u64,
    records_median: u64,
    cost: u64,
}

impl<'a> Skew<'a> {
    fn of(run: &'a Run, ran: &Ran<'a>) -> Option<Skew<'a>> {
        let cost = ran.beyond_even();
        if ran.tasks.len() < 3 || !worth::time(run, cost) {
            return None;
        }
        let longest = ran.longest()?;
        let median = measure::quantile(ran.durations(), 0.5);
        let quartile = measure::quantile(ran.durations(), 0.75);
        let over_median = ratio(u64::from(longest.duration), median);
        let over_quartile = ratio(u64::from(longest.duration), quartile);
        let gini = measure::gini(ran.durations());
        let definitions = [
            (
                over_median >= OVER_MEDIAN,
                format!("longest/median {}", short(over_median)),
            ),
            (
                over_quartile >= OVER_QUARTILE,
                format!("longest/third quartile {}", short(over_quartile)),
            ),
            (gini >= GINI, format!("Gini {gini:.2}")),
        ];
        let (agree, disagree): (Vec<_>, Vec<_>) = definitions.into_iter().partition(|(holds, _)| *holds);
        if agree.len() < AGREE {
            return None;
        }
        let without_gc = |task: &Task| u64::from(task.duration.saturating_sub(task.gc_time));
        let rest = measure::median(ran.tasks.iter().map(|task| without_gc(task)));
        if ratio(without_gc(longest), rest) < WITHOUT_GC {
            return None;
        }
        let bytes_median = measure::median(ran.tasks.iter().map(|task| measure::read(task)));
        let records_median = measure::median(ran.tasks.iter().map(|task| task.records));
        let most = ratio(measure::read(longest), bytes_median).max(ratio(longest.records, records_median));
        let data = longest.records > 0 && (most >= OVER_BYTES || most >= (over_median * EXPLAINS).max(OVER_MEDIAN));
        Some(Skew {
            longest,
            median,
            agree: agree.into_iter().map(|(_, text)| text).collect(),
            disagree: disagree.into_iter().map(|(_, text)| text).collect(),
            data,
            bytes_median,
            records_median,
            cost,
            ran: Ran::of(run, ran.stage)?,
        })
    }

    fn evidence(&self) -> Vec<Evidence> {
        let longest = self.longest;
        let mut seen = vec![
            Evidence::new(
                self.ran.place(),
                format!(
                    "task {} took {}, the median of {} {}; the stage took {} longer than an even split of its work",
                    longest.index,
                    duration(longest.duration.into()),
                    counted(self.ran.tasks.len(), "task"),
                    duration(self.median),
                    duration(self.cost),
                ),
            ),
            Evidence::new(
                format!("task {} of stage {}", longest.index, self.ran.stage.id),
                format!(
                    "read {} and {}; the median task {} and {}",
                    bytes(measure::read(longest)),
                    counted(longest.records, "record"),
                    bytes(self.bytes_median),
                    count(self.records_median),
                ),
            ),
        ];
        let against = match self.disagree.is_empty() {
            true => String::new(),
            false => format!("; does not say so: {}", self.disagree.join(", ")),
        };
        seen.push(Evidence::new(
            format!("durations of stage {}", self.ran.stage.id),
            format!("say skew: {}{against}", self.agree.join(", ")),
        ));
        seen
    }
}

fn finding(run: &Run, mut skews: Vec<Skew<'_>>, data: bool) -> Option<Finding> {
    skews.sort_by_key(|skew| std::cmp::Reverse(skew.cost));
    let worst = skews.first()?;
    let cost: u64 = skews.iter().map(|skew| skew.cost).fold(0, u64::saturating_add);
    let cost = cost.min(run.duration().max(0) as u64);
    let stages = match skews.len() {
        1 => worst.ran.place(),
        many => format!("{} and {} more", worst.ran.place(), many - 1),
    };
    let evidence = skews.iter().take(3).flat_map(Skew::evidence).collect();
    let times = short(ratio(u64::from(worst.longest.duration), worst.median));
    let gain = Some(Gain {
        text: format!(
            "at most {}: the stages' time beyond an even split of their work over the slots they had",
            duration(cost)
        ),
        milliseconds: Some(cost),
    });
    Some(match data {
        true => Finding {
            diagnostic: Diagnostic::new(
                Severity::Advice,
                "data-skew",
                format!(
                    "Data is spread unevenly: in {stages} one task took {times} times the median, with \
                    as much more data."
                ),
            )
            .with_evidence(evidence)
            .with_rule(DATA)
            .with_fix(data_fix(run, worst))
            .with_gain(gain),
            weight: cost,
        },
        false => Finding {
            diagnostic: Diagnostic::new(
                Severity::Advice,
                "uneven-tasks",
                format!(
                    "Tasks of the same size took very different times: in {stages} one took {times} \
                    times the median, and its data does not explain it."
                ),
            )
            .with_evidence(evidence)
            .with_rule(UNEVEN)
            .with_fix(Fix {
                text: "Look at what that task does: records that are far more work than others, a slow \
                service it calls, a busy disk or neighbour. If it is the machine and not the record, \
                let Spark run a second copy of slow tasks."
                    .to_owned(),
                patch: Some(conf(&[("spark.speculation", "true".to_owned())])),
            })
            .with_gain(gain),
            weight: cost,
        },
    })
}

/// What helps against skewed data: adaptive execution where it can see the skew, else another key.
fn data_fix(run: &Run, worst: &Skew<'_>) -> Fix {
    let join = worst
        .ran
        .stage
        .query
        .and_then(|query| run.queries.get(&query))
        .is_some_and(|query| {
            query
                .plan
                .nodes()
                .iter()
                .any(|node| node.name.starts_with("SortMergeJoin"))
        });
    let off = !super::adaptive(run) || !on(run, "spark.sql.adaptive.skewJoin.enabled", true);
    let largest = measure::read(worst.longest);
    let usual = worst.bytes_median.max(1 << 20);
    match (join, off) {
        (true, true) => Fix {
            text: "Let adaptive execution split skewed partitions of joins.".to_owned(),
            patch: Some(conf(&[
                ("spark.sql.adaptive.enabled", "true".to_owned()),
                ("spark.sql.adaptive.skewJoin.enabled", "true".to_owned()),
            ])),
        },
        // Adaptive execution was on and did not split: the partition is below the threshold (256 MB without another one).
        (true, false) if largest / 2 > usual => Fix {
            text: format!(
                "Adaptive execution split nothing, because it splits from spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes on (256 MB by default). Lower the threshold below {}, and let it cut into pieces of the usual partition's size.",
                bytes(largest)
            ),
            patch: Some(conf(&[
                ("spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes", stoke_model::units::people::memory(largest / 2)),
                ("spark.sql.adaptive.advisoryPartitionSizeInBytes", stoke_model::units::people::memory(usual)),
            ])),
        },
        _ => Fix {
            text: "Give the key that has most records more partitions: add a random part to it (salting) and aggregate twice, or treat that key by itself. Keys that are null or empty often are the cause: filter them before the shuffle.".to_owned(),
            patch: None,
        },
    }
}

/// What an executor's tasks took beyond what the others' took.
#[derive(Default)]
struct Slowness {
    lost: u64,
    stages: Vec<Evidence>,
}

fn slow_executor(run: &Run) -> Option<Finding> {
    let mut slow: BTreeMap<u32, Slowness> = BTreeMap::new();
    for ran in measure::ran(run) {
        let mut by: BTreeMap<u32, Vec<&Task>> = BTreeMap::new();
        for task in ran
            .tasks
            .iter()
            .filter(|task| task.outcome == crate::facts::run::Outcome::Succeeded)
        {
            by.entry(task.executor).or_default().push(task);
        }
        for (executor, own) in &by {
            let rest: Vec<&Task> = by
                .iter()
                .filter(|(other, _)| *other != executor)
                .flat_map(|(_, tasks)| tasks.iter().copied())
                .collect();
            if own.len() < JUDGED || rest.len() < JUDGED {
                continue;
            }
            let time = |tasks: &[&Task]| {
                measure::median(
                    tasks
                        .iter()
                        .map(|task| u64::from(task.duration - task.gc_time.min(task.duration))),
                )
            };
            let data = |tasks: &[&Task]| measure::median(tasks.iter().map(|task| measure::read(task)));
            let (mine, theirs) = (time(own), time(&rest));
            if ratio(mine, theirs) < SLOW || ratio(data(own), data(&rest)) > SAME {
                continue;
            }
            let lost = mine.saturating_sub(theirs).saturating_mul(own.len() as u64) / ran.slots().max(1.0) as u64;
            let slowness = slow.entry(*executor).or_default();
            slowness.lost = slowness.lost.saturating_add(lost);
            slowness.stages.push(Evidence::new(
                ran.place(),
                format!(
                    "{} took {} there in the median, {} elsewhere {}, each with about {}",
                    counted(own.len(), "task"),
                    duration(mine),
                    rest.len(),
                    duration(theirs),
                    bytes(data(own)),
                ),
            ));
        }
    }
    let (place, slowness) = slow.into_iter().max_by_key(|(_, slowness)| slowness.lost)?;
    if !worth::time(run, slowness.lost) {
        return None;
    }
    let executor = run.executors.get(place as usize)?;
    let mut evidence = slowness.stages;
    evidence.truncate(3);
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "slow-executor",
            format!(
                "Executor {} on {} was slower than the others with the same data.",
                executor.id, executor.host
            ),
        )
        .with_evidence(evidence)
        .with_rule(EXECUTOR)
        .with_fix(Fix {
            text: format!(
                "Look at that machine ({}): a throttled or shared CPU, a slow disk, a slow network. \
                Speculation lets other executors run copies of its slow tasks.",
                executor.host
            ),
            patch: Some(conf(&[("spark.speculation", "true".to_owned())])),
        })
        .with_gain(Gain {
            text: format!(
                "about {}: its tasks at the others' median, over all slots",
                duration(slowness.lost)
            ),
            milliseconds: Some(slowness.lost),
        }),
        weight: slowness.lost,
    })
}

/// How many times one is of the other; something over nothing is as large as can be.
fn ratio(one: u64, of: u64) -> f64 {
    match (one, of) {
        (0, _) => 0.0,
        (_, 0) => f64::from(u32::MAX),
        _ => one as f64 / of as f64,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::doctor::performance::fixture;

    fn codes(run: &Run) -> Vec<Cow<'static, str>> {
        rule(run)
            .iter()
            .map(|finding| finding.diagnostic.code.clone())
            .collect()
    }

    /// 16 tasks on 4 slots, the first of them `longest` milliseconds.
    fn uneven(longest: u32) -> Vec<(u32, u32)> {
        let mut tasks = fixture::even(16, 4, 2_000);
        tasks[0] = (0, longest);
        tasks
    }

    #[test]
    fn data_executor_and_neither_are_told_apart() {
        let mut run = fixture::run(2, 2, 120_000);
        let stage = fixture::stage(&mut run, 1, &uneven(60_000));
        stage
            .tasks
            .iter_mut()
            .for_each(|task| (task.records, task.input) = (1_000, 1 << 20));
        assert_eq!(codes(&run), ["uneven-tasks"]);
        let stage = run.stages.get_mut(&(1, 0)).expect("added");
        (stage.tasks[0].records, stage.tasks[0].input) = (30_000, 30 << 20);
        assert_eq!(codes(&run), ["data-skew"]);
        // The same, because of garbage collection: neither.
        let stage = run.stages.get_mut(&(1, 0)).expect("added");
        (stage.tasks[0].records, stage.tasks[0].input, stage.tasks[0].gc_time) = (1_000, 1 << 20, 58_000);
        assert_eq!(codes(&run), [""; 0]);
        // All tasks of one executor are slow.
        let mut run = fixture::run(2, 2, 120_000);
        let tasks: Vec<(u32, u32)> = (0..40)
            .map(|index| (0, if index % 2 == 0 { 6_000 } else { 1_000 }))
            .collect();
        fixture::stage(&mut run, 1, &tasks);
        assert_eq!(codes(&run), ["slow-executor"]);
        assert_eq!(
            rule(&run)[0]
                .diagnostic
                .gain
                .as_ref()
                .and_then(|gain| gain.milliseconds),
            Some(25_000)
        );
    }

    #[test]
    fn nothing_is_said_of_what_costs_little_or_is_even() {
        let mut run = fixture::run(2, 2, 120_000);
        fixture::stage(&mut run, 1, &uneven(11_000));
        fixture::stage(&mut run, 2, &fixture::even(64, 4, 5_000));
        assert_eq!(codes(&run), [""; 0]);
        // Two tasks of very different length are few partitions, not skew.
        let mut run = fixture::run(2, 2, 120_000);
        fixture::stage(&mut run, 1, &[(0, 60_000), (0, 1_000)]);
        assert_eq!(codes(&run), [""; 0]);
    }

    #[test]
    fn the_patch_of_a_join_lowers_what_kept_it_from_being_split() {
        use crate::facts::run::{Plan, Query};
        let mut run = fixture::run(2, 2, 120_000);
        let stage = fixture::stage(&mut run, 1, &uneven(60_000));
        stage.query = Some(0);
        stage
            .tasks
            .iter_mut()
            .for_each(|task| (task.records, task.shuffle_read) = (1_000, 2 << 20));
        (stage.tasks[0].records, stage.tasks[0].shuffle_read) = (90_000, 180 << 20);
        let plan = Plan {
            name: "SortMergeJoin".to_owned(),
            ..Plan::default()
        };
        run.queries.insert(
            0,
            Query {
                plan,
                ..Query::default()
            },
        );
        let patch = rule(&run).remove(0).diagnostic.patch().cloned().expect("a patch");
        let conf = &patch["spec"]["sparkConf"];
        assert_eq!(
            conf["spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes"],
            "90m"
        );
        run.spark
            .insert("spark.sql.adaptive.enabled".to_owned(), "false".to_owned());
        let patch = rule(&run).remove(0).diagnostic.patch().cloned().expect("a patch");
        assert_eq!(patch["spec"]["sparkConf"]["spark.sql.adaptive.enabled"], "true");
    }
}
