//! Data that did not fit in a task's memory and went to disk.

use super::Finding;
use super::measure::{self, Ran};
use super::{conf, heap, number, worth};
use crate::facts::Run;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, count, counted, duration, memory, percent, up_to_multiple};

/// Bytes on disk below which nothing is said. Ours: a second of a usual disk.
const WORTH_BYTES: u64 = 256 << 20;
/// Spilled bytes over the bytes a stage read, where it read any. Ours.
const WORTH_SHARE: f64 = 0.1;
/// Room beyond what was spilled that new partitions get. Ours: sizes of partitions differ by that much.
const HEADROOM: f64 = 1.3;
/// `spark.memory.fraction` by default.
const FRACTION: f64 = 0.6;
/// What Spark sets aside of the heap before that (`UnifiedMemoryManager.RESERVED_SYSTEM_MEMORY_BYTES`).
const RESERVED: u64 = 300 << 20;

const RULE: Rule = Rule {
    text: "A stage spilled >= 256 MiB to disk, and >= 10 % of what it read, in time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/tuning.html#memory-usage-of-reduce-tasks",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut stages: Vec<Ran<'_>> = measure::ran(run)
        .filter(|ran| {
            let totals = &ran.stage.totals;
            let read = totals.input.saturating_add(totals.shuffle_read);
            totals.disk_spilled >= WORTH_BYTES
                && totals.disk_spilled as f64 >= WORTH_SHARE * read as f64
                && worth::time(run, ran.wall())
        })
        .collect();
    stages.sort_by_key(|ran| std::cmp::Reverse(ran.stage.totals.disk_spilled));
    let Some(worst) = stages.first() else {
        return Vec::new();
    };
    let disk: u64 = stages
        .iter()
        .map(|ran| ran.stage.totals.disk_spilled)
        .fold(0, u64::saturating_add);
    let gain: u64 = stages.iter().map(|ran| waiting(ran)).fold(0, u64::saturating_add);
    vec![Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "spill",
            format!(
                "{} went to disk because tasks had too little memory, most of it in {}.",
                bytes(disk),
                worst.place()
            ),
        )
        .with_evidence(stages.iter().take(3).map(|ran| evidence(ran)).collect())
        .with_rule(RULE)
        .with_fix(fix(run, worst))
        .with_gain(Gain {
            text: match gain {
                0 => "the disk's traffic; its time was not recorded".to_owned(),
                _ => format!(
                    "at most {}: the tasks' run time that was neither CPU, garbage collection nor \
                    waiting for shuffle data, over the slots",
                    duration(gain)
                ),
            },
            milliseconds: (gain > 0).then_some(gain),
        }),
        weight: gain.max(stages.iter().map(Ran::wall).fold(0, u64::saturating_add) / 10),
    }]
}

/// Time tasks waited for what is most likely the disk.
fn waiting(ran: &Ran<'_>) -> u64 {
    let total: u64 = ran
        .tasks
        .iter()
        .filter(|task| task.disk_spilled > 0)
        .map(|task| {
            let known = u64::from(task.cpu_time) + u64::from(task.gc_time) + u64::from(task.fetch_wait);
            u64::from(task.run_time).saturating_sub(known)
        })
        .fold(0, u64::saturating_add);
    (total as f64 / ran.slots().min(ran.tasks.len() as f64).max(1.0)) as u64
}

fn evidence(ran: &Ran<'_>) -> Evidence {
    let totals = &ran.stage.totals;
    let read = totals.input.saturating_add(totals.shuffle_read);
    let share = match read {
        0 => String::new(),
        _ => format!(
            ", {} of the {} it read",
            percent(totals.disk_spilled as f64 / read as f64),
            bytes(read)
        ),
    };
    let spilling = ran.tasks.iter().filter(|task| task.disk_spilled > 0).count();
    Evidence::new(
        ran.place(),
        format!(
            "{} spilled to disk ({} in memory) by {} of {}{share}",
            bytes(totals.disk_spilled),
            bytes(totals.memory_spilled),
            count(spilling as u64),
            counted(ran.tasks.len(), "task"),
        ),
    )
}

/// Memory a task may use for execution when all slots of its executor are taken.
fn share_of_memory(run: &Run, ran: &Ran<'_>) -> u64 {
    let fraction = run
        .property("spark.memory.fraction")
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(FRACTION);
    let cpus = measure::task_cpus(run, ran.stage.profile);
    let cores = run.workers().map(|(_, worker)| worker.cores).max().unwrap_or(1);
    // Of tasks that are fewer than the slots each gets more.
    let workers = run.workers().count().max(1);
    let beside = (cores / cpus).max(1).min(ran.tasks.len().div_ceil(workers) as u32);
    let unified = heap(run).saturating_sub(RESERVED) as f64 * fraction;
    (unified / f64::from(beside.max(1))) as u64
}

fn fix(run: &Run, ran: &Ran<'_>) -> Fix {
    let available = share_of_memory(run, ran).max(1 << 20);
    // What a task held and what it had to let go, the most any task needed.
    let needed = ran
        .tasks
        .iter()
        .map(|task| task.memory_spilled.saturating_add(task.peak_execution_memory))
        .max()
        .unwrap_or(0);
    let tasks = ran.tasks.len() as f64;
    let times = (needed as f64 * HEADROOM / available as f64).max(2.0);
    let partitions = (tasks * times).ceil() as u64;
    let computed = format!(
        "the largest task needed {} and had {} ({} of heap shared by the tasks beside it)",
        bytes(needed),
        bytes(available),
        bytes(heap(run)),
    );
    let wanted = (heap(run) as f64 * times.min(8.0)) as u64;
    let or_memory = format!(
        "or give executors about {} of memory",
        memory(up_to_multiple(wanted, 1 << 30))
    );
    match ran.stage.totals.shuffle_read > 0 {
        true if super::adaptive(run) && number(run, "spark.sql.shuffle.partitions", 200) >= partitions => Fix {
            text: format!("Let adaptive execution join fewer partitions into one, {or_memory}: {computed}."),
            patch: Some(conf(&[(
                "spark.sql.adaptive.advisoryPartitionSizeInBytes",
                memory((ran.stage.totals.shuffle_read / partitions).max(1 << 20)),
            )])),
        },
        true => Fix {
            text: format!(
                "Use {} instead of {} (where the code names a number, as repartition does, change it there), {or_memory}: {computed}.",
                counted(partitions, "partition"),
                count(ran.tasks.len() as u64)
            ),
            patch: Some(conf(&[("spark.sql.shuffle.partitions", partitions.to_string())])),
        },
        false if ran.stage.totals.input > 0 => Fix {
            text: format!("Read in smaller pieces, {or_memory}: {computed}."),
            patch: Some(conf(&[(
                "spark.sql.files.maxPartitionBytes",
                memory((ran.stage.totals.input / partitions).max(1 << 20)),
            )])),
        },
        false => Fix {
            text: format!(
                "Make {} of this data instead of {}, {or_memory}: {computed}.",
                counted(partitions, "partition"),
                count(ran.tasks.len() as u64)
            ),
            patch: Some(serde_json::json!({"spec": {"executor": {"memory": memory(up_to_multiple(wanted, 1 << 30))}}})),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    fn spilling(disk: u64, read: u64, length: u32) -> Run {
        let mut run = fixture::run(1, 4, 120_000);
        let stage = fixture::stage(&mut run, 1, &fixture::even(8, 4, length));
        for task in &mut stage.tasks {
            task.disk_spilled = disk / 8;
            task.memory_spilled = disk / 2;
            task.shuffle_read = read / 8;
            task.cpu_time = length / 2;
        }
        fixture::total(&mut run, 1);
        run
    }

    #[test]
    fn spill_is_told_by_bytes_share_and_time() {
        for (disk, read, length, told) in [
            (1 << 30, 2 << 30, 20_000, true),
            (100 << 20, 200 << 20, 20_000, false),
            (1 << 30, 100 << 30, 20_000, false),
            (1 << 30, 2 << 30, 2_000, false),
        ] {
            let run = spilling(disk, read, length);
            assert_eq!(rule(&run).len(), usize::from(told), "{disk} of {read} in {length} ms");
        }
    }

    #[test]
    fn partitions_are_reckoned_from_what_tasks_needed() {
        let mut run = spilling(1 << 30, 2 << 30, 20_000);
        run.spark
            .insert("spark.sql.adaptive.enabled".to_owned(), "false".to_owned());
        let finding = rule(&run).remove(0);
        // (1024 - 300) MiB x 0.6 over four tasks; each needed 512 MiB, with 30 % of room: 6.1 times as many partitions.
        let patch = finding.diagnostic.patch().cloned().expect("a patch");
        assert_eq!(patch["spec"]["sparkConf"]["spark.sql.shuffle.partitions"], "50");
        assert_eq!(
            finding.diagnostic.gain.as_ref().and_then(|gain| gain.milliseconds),
            Some(20_000)
        );
    }
}
