//! How data was cut into tasks: too finely, too coarsely, or not at all.

use std::cell::OnceCell;

use super::Finding;
use super::measure::{self, Ran, Slots};
use super::{adaptive, conf, worth};
use crate::facts::Run;
use crate::facts::run::Task;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{amount, bytes, count, counted, duration, short};

/// A median task shorter than this is overhead for the most part: the tuning guide says Spark supports tasks as short as 200 ms well.
const SHORT_TASK: u64 = 200;
/// Fewer tasks than this are never too many. Ours.
const MANY: usize = 1_000;
/// Bytes of a good partition: `spark.sql.files.maxPartitionBytes` by default.
const TARGET: u64 = 128 << 20;
/// Bytes of a partition that is too large: sorting or aggregating it takes several times its size of memory. Ours: four targets.
const LARGE: u64 = 512 << 20;
/// Tasks for each slot that keep all slots busy: the tuning guide says two to three per CPU.
const WAVES: f64 = 3.0;
/// The share of the slots a stage leaves alone, beside what other stages take, from which it has too few tasks. Ours.
const UNUSED: f64 = 0.4;
/// The longest task over the mean one up to which the tasks are alike, so that more of them would share the work. Ours.
const ALIKE: f64 = 3.0;
/// Data worth splitting.
const WORTH_BYTES: u64 = 16 << 20;
/// Records worth splitting.
const WORTH_RECORDS: u64 = 100_000;

const TOO_MANY: Rule = Rule {
    text: ">= 1,000 tasks whose median takes < 200 ms and that read < 128 MB each, in time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/tuning.html#level-of-parallelism",
};
const TOO_FEW: Rule = Rule {
    text: "A stage of alike tasks left >= 40 % of the slots unused, and no other stage used them; an even split over all slots would have saved time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/tuning.html#level-of-parallelism",
};
const TOO_LARGE: Rule = Rule {
    text: "The median task read >= 512 MiB, four times what spark.sql.files.maxPartitionBytes makes, in time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/sql-performance-tuning.html#other-configuration-options (spark.sql.files.maxPartitionBytes)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut findings: Vec<Finding> = too_many(run).into_iter().collect();
    let (mut single, mut few, mut large) = (Vec::new(), Vec::new(), Vec::new());
    let taken = OnceCell::new();
    for ran in measure::ran(run) {
        let median = measure::median(ran.tasks.iter().map(|task| measure::read(task)));
        let saved = unused(run, &ran, &taken);
        match (ran.tasks.len(), saved) {
            (1, Some(saved)) => single.push((saved, ran)),
            (_, Some(saved)) => few.push((saved, ran)),
            // What spilled is told as spill.
            (_, None) if median >= LARGE && ran.stage.totals.disk_spilled == 0 && worth::time(run, ran.wall()) => {
                large.push((median, ran));
            }
            _ => {}
        }
    }
    findings.extend(finding_of(run, single, single_task));
    findings.extend(finding_of(run, few, too_few));
    findings.extend(finding_of(run, large, too_large));
    findings
}

fn finding_of<'a>(
    run: &Run,
    mut stages: Vec<(u64, Ran<'a>)>,
    finding: impl Fn(&Run, &[(u64, Ran<'a>)]) -> Finding,
) -> Option<Finding> {
    stages.sort_by_key(|(much, _)| std::cmp::Reverse(*much));
    (!stages.is_empty()).then(|| finding(run, &stages))
}

/// What an even split over all slots would have saved of a stage whose tasks are alike and too few; none where that is not worth telling.
/// `all` is filled when it is needed.
fn unused(run: &Run, ran: &Ran<'_>, all: &OnceCell<Slots>) -> Option<u64> {
    let tasks = ran.tasks.len() as f64;
    let longest = u64::from(ran.longest()?.duration);
    let alike = longest as f64 * tasks <= ALIKE * ran.work() as f64;
    if !alike || tasks >= ran.slots() || !worth_splitting(ran) {
        return None;
    }
    let space = ran.slots() * ran.wall() as f64;
    let all = all.get_or_init(|| Slots::taken(run));
    let others = measure::others(all, ran.stage, ran.first, ran.last) as f64;
    let taken = ran.work() as f64 + others;
    let saved = ran.wall().saturating_sub((taken / ran.slots()) as u64);
    (taken <= (1.0 - UNUSED) * space && worth::time(run, saved)).then_some(saved)
}

/// Whether there is data to split. Data that no metric counts (generated, or from a service) is judged by the CPU it took.
fn worth_splitting(ran: &Ran<'_>) -> bool {
    let data = ran.sum(measure::read);
    let records = ran.sum(|task| task.records);
    let cpu = ran.sum(|task| u64::from(task.cpu_time));
    let counted = data > 0 || records > 0;
    data >= WORTH_BYTES || records >= WORTH_RECORDS || (!counted && cpu >= worth::WORTH_TIME)
}

fn too_many(run: &Run) -> Option<Finding> {
    let mut stages: Vec<(u64, u64, Ran<'_>)> = Vec::new();
    for ran in measure::ran(run) {
        let tasks = ran.tasks.len();
        let data = ran.sum(measure::read);
        if measure::quantile(ran.durations(), 0.5) >= SHORT_TASK || data / tasks.max(1) as u64 >= TARGET {
            continue;
        }
        let wanted = data.div_ceil(TARGET).max((ran.slots() * WAVES) as u64).max(1);
        if tasks as u64 <= wanted.saturating_mul(2) {
            continue;
        }
        let run_time = |task: &Task| u64::from(task.run_time);
        let useful = ran.sum(run_time) as f64 / ran.slots();
        let overhead = (ran.wall() as f64 - useful).max(0.0);
        let saved = (overhead * (1.0 - wanted as f64 / tasks as f64)) as u64;
        stages.push((saved, wanted, ran));
    }
    let tasks: usize = stages.iter().map(|(.., ran)| ran.tasks.len()).sum();
    let saved: u64 = stages.iter().map(|(saved, ..)| *saved).fold(0, u64::saturating_add);
    if tasks < MANY || !worth::time(run, saved) {
        return None;
    }
    stages.sort_by_key(|(saved, ..)| std::cmp::Reverse(*saved));
    let (_, wanted, worst) = stages.first()?;
    let evidence = stages.iter().take(3).map(|(saved, wanted, ran)| {
        let data = ran.sum(measure::read);
        Evidence::new(
            ran.place(),
            format!(
                "{}, the median {}, {} each; {} would do; starting them cost {} of {}",
                counted(ran.tasks.len(), "task"),
                duration(measure::quantile(ran.durations(), 0.5)),
                bytes(data / ran.tasks.len().max(1) as u64),
                count(*wanted),
                duration(*saved),
                duration(ran.wall()),
            ),
        )
    });
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "too-many-tasks",
            format!(
                "{} tasks were so short that starting them took longer than their work, most of them in {}.",
                count(tasks as u64),
                worst.place()
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(TOO_MANY)
        .with_fix(fewer(run, worst, *wanted))
        .with_gain(Gain {
            text: format!(
                "about {}: the stages' time beyond their tasks' run time, for the tasks that are too many",
                duration(saved)
            ),
            milliseconds: Some(saved),
        }),
        weight: saved,
    })
}

fn fewer(run: &Run, ran: &Ran<'_>, wanted: u64) -> Fix {
    let shuffled = ran.stage.totals.shuffle_read > 0;
    match (shuffled && ran.stage.query.is_some(), adaptive(run)) {
        (true, false) => Fix {
            text: format!("Let adaptive execution join small partitions after a shuffle, or ask for {}.", counted(wanted, "partition")),
            patch: Some(conf(&[
                ("spark.sql.adaptive.enabled", "true".to_owned()),
                ("spark.sql.adaptive.coalescePartitions.enabled", "true".to_owned()),
            ])),
        },
        (true, true) => Fix {
            text: format!("Use {}, or none that the code names: adaptive execution does not join those of repartition(n).", counted(wanted, "shuffle partition")),
            patch: Some(conf(&[("spark.sql.shuffle.partitions", wanted.to_string())])),
        },
        _ if ran.stage.totals.input > 0 => Fix {
            text: "Let one task read several small files, by raising what opening a file counts for less and a partition for more; better, write fewer and larger files.".to_owned(),
            patch: Some(conf(&[
                ("spark.sql.files.maxPartitionBytes", "128m".to_owned()),
                ("spark.sql.files.openCostInBytes", "1m".to_owned()),
            ])),
        },
        _ => Fix {
            text: format!(
                "Ask for about {} where the code makes this data (the second argument of parallelize, the last one of range, repartition).",
                counted(wanted, "partition")
            ),
            patch: None,
        },
    }
}

fn alike_evidence(stages: &[(u64, Ran<'_>)]) -> Vec<Evidence> {
    let seen = stages.iter().take(3).map(|(saved, ran)| {
        let data = ran.sum(measure::read);
        let records = ran.sum(|task| task.records);
        let data = match (data, records) {
            (0, 0) => String::new(),
            (0, records) => format!(" of {}", counted(records, "record")),
            (data, _) => format!(" of {}", bytes(data)),
        };
        Evidence::new(
            ran.place(),
            format!(
                "{}{data} on {} for {}, {} beyond an even split",
                counted(ran.tasks.len(), "task"),
                amount(&short(ran.slots()), "slot"),
                duration(ran.wall()),
                duration(*saved)
            ),
        )
    });
    seen.collect()
}

fn even_gain(saved: u64) -> Option<Gain> {
    Some(Gain {
        text: format!("at most {}: the work split evenly over all slots", duration(saved)),
        milliseconds: Some(saved),
    })
}

fn too_few(run: &Run, stages: &[(u64, Ran<'_>)]) -> Finding {
    let saved: u64 = stages.iter().map(|(saved, _)| *saved).fold(0, u64::saturating_add);
    let (_, worst) = &stages[0];
    let wanted = (worst.slots() * WAVES) as u64;
    let fix = match worst.stage.totals.shuffle_read > 0 {
        true => Fix {
            text: format!("Use about {}, three for each slot.", counted(wanted, "partition")),
            patch: Some(match adaptive(run) {
                true => {
                    let each = (worst.stage.totals.shuffle_read / wanted.max(1)).max(1 << 20);
                    conf(&[
                        ("spark.sql.shuffle.partitions", wanted.to_string()),
                        (
                            "spark.sql.adaptive.advisoryPartitionSizeInBytes",
                            stoke_model::units::people::memory(each),
                        ),
                    ])
                }
                false => conf(&[("spark.sql.shuffle.partitions", wanted.to_string())]),
            }),
        },
        false if worst.stage.totals.input > 0 => Fix {
            text: format!(
                "Read in about {}. Files that cannot be split (gzip, JSON and CSV with multiLine) are one task each: write more of them, or another format.",
                counted(wanted, "piece")
            ),
            patch: Some(conf(&[(
                "spark.sql.files.maxPartitionBytes",
                stoke_model::units::people::memory((worst.stage.totals.input / wanted.max(1)).max(1 << 20)),
            )])),
        },
        false => Fix {
            text: format!(
                "Ask for about {} where the code makes this data (parallelize, range, repartition), three for each slot.",
                counted(wanted, "partition")
            ),
            patch: None,
        },
    };
    Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "too-few-tasks",
            format!(
                "{} had {} for {}; the other slots had nothing to do.",
                worst.place(),
                counted(worst.tasks.len(), "task"),
                amount(&short(worst.slots()), "slot")
            ),
        )
        .with_evidence(alike_evidence(stages))
        .with_rule(TOO_FEW)
        .with_fix(fix)
        .with_gain(even_gain(saved)),
        weight: saved,
    }
}

fn single_task(run: &Run, stages: &[(u64, Ran<'_>)]) -> Finding {
    let saved: u64 = stages.iter().map(|(saved, _)| *saved).fold(0, u64::saturating_add);
    let (_, worst) = &stages[0];
    let plan = worst
        .stage
        .query
        .and_then(|query| run.queries.get(&query))
        .map(|query| &query.plan);
    let nodes = plan.map(|plan| plan.nodes()).unwrap_or_default();
    let gathers = nodes
        .iter()
        .any(|node| node.name == "Exchange" && node.text.contains("SinglePartition"));
    let window = nodes.iter().find(|node| node.name.starts_with("Window") && gathers);
    let coalesced = worst.stage.rdds.iter().any(|rdd| rdd.name.contains("Coalesced"))
        || nodes.iter().any(|node| node.name.starts_with("Coalesce"));
    let (why, text) = match (window, coalesced) {
        (Some(_), _) => (
            "because a window has no PARTITION BY",
            "Give the window a partitionBy; where a number for each row is all that is wanted, monotonically_increasing_id or zipWithIndex need no single task.",
        ),
        (None, true) => (
            "because the code asks for one partition (coalesce)",
            "Use repartition(1) instead of coalesce(1) where one file is really wanted: what comes before it then keeps its tasks. Better, write several files.",
        ),
        (None, false) if gathers => (
            "because all data goes to one partition",
            "Aggregate or filter before the step that needs all data in one place (a global sort with limit, a global distinct, toPandas-like gathering).",
        ),
        _ => (
            "although it had much to do",
            "Split its data: more partitions of the source, or repartition before the work. Files that cannot be split (gzip, multiLine) are one task each; a JDBC source needs partitionColumn, lowerBound, upperBound and numPartitions.",
        ),
    };
    Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "single-task",
            format!(
                "{} was one task for {}, {why}.",
                worst.place(),
                amount(&short(worst.slots()), "slot")
            ),
        )
        .with_evidence(
            alike_evidence(stages)
                .into_iter()
                .chain(window.map(|node| Evidence::new("plan", node.text.clone())))
                .collect(),
        )
        .with_rule(TOO_FEW)
        .with_fix(text)
        .with_gain(even_gain(saved)),
        weight: saved,
    }
}

fn too_large(_: &Run, stages: &[(u64, Ran<'_>)]) -> Finding {
    let (median, worst) = &stages[0];
    let totals = &worst.stage.totals;
    let partitions = (totals.input.saturating_add(totals.shuffle_read)).div_ceil(TARGET);
    let evidence = stages.iter().take(3).map(|(median, ran)| {
        Evidence::new(
            ran.place(),
            format!("{}, the median of {}", counted(ran.tasks.len(), "task"), bytes(*median)),
        )
    });
    let fix = match totals.shuffle_read > totals.input {
        true => conf(&[("spark.sql.shuffle.partitions", partitions.to_string())]),
        false => conf(&[("spark.sql.files.maxPartitionBytes", "128m".to_owned())]),
    };
    Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "large-partitions",
            format!(
                "Tasks of {} read {} each; one that fails or is slow costs as much again.",
                worst.place(),
                bytes(*median)
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(TOO_LARGE)
        .with_fix(Fix {
            text: format!("Use about {} of 128 MB.", counted(partitions, "partition")),
            patch: Some(fix),
        }),
        weight: 0,
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

    #[test]
    fn many_short_tasks_are_told_when_starting_them_cost_time() {
        for (tasks, length, run_time, told) in [
            (20_000, 8, 2, true),
            (20_000, 8, 8, false),
            (900, 100, 1, false),
            (20_000, 400, 1, false),
        ] {
            let mut run = fixture::run(1, 4, 100_000);
            let stage = fixture::stage(&mut run, 1, &fixture::even(tasks, 4, length));
            stage.tasks.iter_mut().for_each(|task| task.run_time = run_time);
            let expected: &[&str] = if told { &["too-many-tasks"] } else { &[] };
            assert_eq!(codes(&run), expected, "{tasks} of {length}");
        }
    }

    #[test]
    fn few_tasks_are_told_when_slots_were_free() {
        let mut run = fixture::run(4, 4, 200_000);
        let stage = fixture::stage(&mut run, 1, &fixture::even(4, 16, 60_000));
        stage.tasks.iter_mut().for_each(|task| task.input = 100 << 20);
        fixture::total(&mut run, 1);
        assert_eq!(codes(&run), ["too-few-tasks"]);
        let finding = rule(&run).remove(0);
        assert_eq!(
            finding.diagnostic.gain.as_ref().and_then(|gain| gain.milliseconds),
            Some(45_000)
        );
        assert_eq!(
            finding.diagnostic.patch().expect("a patch")["spec"]["sparkConf"]["spark.sql.files.maxPartitionBytes"],
            "9m"
        );
        // Another stage used the slots meanwhile.
        fixture::stage(&mut run, 2, &fixture::even(12, 12, 60_000));
        assert_eq!(codes(&run), [""; 0]);
        // Little data that takes long is a service that answers slowly, not work to split.
        let mut run = fixture::run(4, 4, 200_000);
        let stage = fixture::stage(&mut run, 1, &fixture::even(4, 16, 60_000));
        stage
            .tasks
            .iter_mut()
            .for_each(|task| (task.input, task.records) = (1 << 10, 10));
        assert_eq!(codes(&run), [""; 0]);
    }

    #[test]
    fn one_task_is_told_with_its_reason() {
        use crate::facts::run::{Plan, Query};
        let mut run = fixture::run(2, 2, 100_000);
        let stage = fixture::stage(&mut run, 1, &[(0, 50_000)]);
        (stage.tasks[0].records, stage.query) = (1_000_000, Some(3));
        assert!(rule(&run)[0].diagnostic.message.contains("although"));
        let node = |name: &str, text: &str, children| Plan {
            name: name.to_owned(),
            text: text.to_owned(),
            children,
            ..Plan::default()
        };
        let plan = node(
            "Window",
            "Window [row_number() ...]",
            vec![node(
                "Exchange",
                "Exchange SinglePartition, ENSURE_REQUIREMENTS",
                vec![],
            )],
        );
        run.queries.insert(
            3,
            Query {
                plan,
                ..Query::default()
            },
        );
        assert_eq!(codes(&run), ["single-task"]);
        assert!(rule(&run)[0].diagnostic.message.contains("PARTITION BY"));
        // On one slot there is nothing to gain.
        run.executors.truncate(1);
        run.executors[0].cores = 1;
        assert_eq!(codes(&run), [""; 0]);
    }

    #[test]
    fn large_partitions_are_told_unless_they_spilled() {
        for (spilled, told) in [(0, true), (1 << 30, false)] {
            let mut run = fixture::run(1, 4, 100_000);
            let stage = fixture::stage(&mut run, 1, &fixture::even(8, 4, 20_000));
            for task in &mut stage.tasks {
                (task.shuffle_read, task.disk_spilled) = (1 << 30, spilled);
            }
            fixture::total(&mut run, 1);
            let expected: &[&str] = if told { &["large-partitions"] } else { &[] };
            assert_eq!(codes(&run), expected);
        }
    }
}
