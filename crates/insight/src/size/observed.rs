//! A size from what a run measured.

use super::{MOST_CORES, Options, PARTITION, SizeError, Sizing, driver, pack};
use crate::doctor::performance;
use crate::facts::Run;
use crate::facts::run::{DRIVER, Outcome};
use stoke_model::units::people::{amount, bytes, counted, duration, percent, short, up_to_multiple};

/// Room above the highest heap that was seen. Ours: data of the next run may be larger by as much.
const HEADROOM: f64 = 1.3;
/// How full the slots should be while tasks run. Ours.
const FULL: f64 = 0.8;
/// The least heap: Spark sets 300 MiB of it aside.
const LEAST_HEAP: u64 = 1 << 30;

/// The size a run should have had, by its own measurements.
///
/// # Errors
/// Options that make no sense, a run without tasks, executors that do not fit the node.
pub fn for_run(run: &Run, options: &Options) -> Result<Sizing, SizeError> {
    options.check()?;
    let mut reasons = Vec::new();
    let mut missing = Vec::new();
    let used = Used::of(run).ok_or(SizeError::NoTasks)?;
    let workers: Vec<_> = run.workers().map(|(_, worker)| worker).collect();
    let local = workers.iter().all(|worker| worker.id == DRIVER);
    let had = workers.iter().map(|worker| worker.cores).max().unwrap_or(1).max(1);
    let cores = options.cores.unwrap_or(had.min(MOST_CORES));
    if cores != had {
        reasons.push(format!(
            "{} instead of {had}: at most 5 for each executor",
            counted(cores, "core")
        ));
    }
    let there = (used.had / f64::from(cores)).ceil();
    let needed = (used.slots / FULL / f64::from(cores)).ceil();
    let executors = (needed.min(there) as u32).max(1);
    let more = match needed > there {
        true => "; they were full, and `stoke what-if` shows what more of them would gain",
        false => "",
    };
    reasons.push(format!(
        "{} (it had {}): while tasks ran ({}) {} of {} at work on average; {} full is the aim{more}",
        counted(executors, "executor"),
        workers.len(),
        duration(used.working),
        short(used.slots),
        amount(&short(used.had), "core"),
        percent(FULL)
    ));
    let heap = heap(run, cores, had, local, &mut reasons, &mut missing);
    let overhead = overhead(run, heap, options, &mut reasons, &mut missing);
    let (bytes_shuffled, tasks) = used.largest_shuffle;
    let slots = u64::from(executors) * u64::from(cores);
    let partitions = match bytes_shuffled {
        0 => slots.saturating_mul(3),
        shuffled => shuffled.div_ceil(PARTITION).max(slots),
    };
    reasons.push(match bytes_shuffled {
        0 => format!(
            "{}: nothing was shuffled; three for each core",
            counted(partitions, "partition")
        ),
        shuffled => format!(
            "{}: the largest shuffle read {} in {}; 128 MiB each, and one for each core at least",
            counted(partitions, "partition"),
            bytes(shuffled),
            counted(tasks, "task")
        ),
    });
    let core_request = u64::from(cores) * 1000;
    let packing = options
        .node
        .as_ref()
        .map(|node| {
            let reserve = node.reserve(options.daemonset_cpu, options.daemonset_memory);
            pack(node, reserve, core_request, heap.saturating_add(overhead), executors)
        })
        .transpose()?;
    let (driver_cores, driver_heap) = driver(partitions, executors);
    let sizing = Sizing {
        executors,
        cores,
        core_request,
        heap,
        overhead,
        partitions,
        driver_cores,
        driver_heap,
        packing,
        reasons,
        missing,
        patch: serde_json::Value::Null,
    };
    Ok(sizing.with_patch(&run.spark_version))
}

/// What tasks used.
struct Used {
    /// Cores at work on average, while any was.
    slots: f64,
    /// Cores that were there meanwhile, on average.
    had: f64,
    /// Milliseconds in which a task ran.
    working: u64,
    /// Bytes and tasks of the stage that read most from a shuffle.
    largest_shuffle: (u64, u64),
}

impl Used {
    fn of(run: &Run) -> Option<Used> {
        let tasks = || run.stages.values().flat_map(|stage| &stage.tasks);
        tasks().find(|task| task.outcome == Outcome::Succeeded)?;
        let spans = performance::busy(run);
        let working: u64 = spans.iter().map(|(from, to)| to.saturating_sub(*from)).sum();
        let busy: u64 = tasks().map(|task| u64::from(task.duration)).sum();
        let largest_shuffle = run
            .stages
            .values()
            .map(|stage| (stage.totals.shuffle_read, u64::from(stage.task_count)))
            .max()
            .unwrap_or((0, 0));
        let (first, last) = (spans.first()?.0, spans.last()?.1);
        Some(Used {
            had: performance::cores(run, first, last),
            slots: busy as f64 / working.max(1) as f64,
            working,
            largest_shuffle,
        })
    }
}

/// The heap: by the highest peak, for each core as it was then; more where tasks spilled; as it was where nothing was recorded.
fn heap(run: &Run, cores: u32, had: u32, local: bool, reasons: &mut Vec<String>, missing: &mut Vec<String>) -> u64 {
    let given = performance::heap(run);
    let scaled = |bytes: u64| (bytes as f64 * f64::from(cores) / f64::from(had)) as u64;
    let peaks: Vec<u64> = run
        .workers()
        .map(|(_, worker)| worker.peaks.highest("JVMHeapMemory"))
        .collect();
    let highest = peaks.iter().copied().max().unwrap_or(0);
    let spilled: u64 = run.stages.values().map(|stage| stage.totals.disk_spilled).sum();
    let spilled_by_task = run
        .stages
        .values()
        .flat_map(|stage| &stage.tasks)
        .map(|task| task.memory_spilled.min(4 << 30))
        .max()
        .unwrap_or(0);
    if peaks.contains(&0) {
        missing.push(format!(
            "peaks of memory of {} of {}: set spark.eventLog.logStageExecutorMetrics=true and run it once; until then the heap is what it had for each core, at least {}",
            peaks.iter().filter(|peak| **peak == 0).count(),
            counted(peaks.len(), "executor"),
            bytes(LEAST_HEAP)
        ));
        let heap = up_to_multiple(scaled(given).max(LEAST_HEAP), 256 << 20);
        reasons.push(match heap == given {
            true => format!("{} of heap, as it was", bytes(given)),
            false => format!(
                "{} of heap: it was {} for {}, and {cores} have {}",
                bytes(heap),
                bytes(given),
                counted(had, "core"),
                if heap == up_to_multiple(scaled(given), 256 << 20) {
                    "their share".to_owned()
                } else {
                    format!("at least {}", bytes(LEAST_HEAP))
                }
            ),
        });
        return heap;
    }
    // The heap was full of what could be collected as well: the peak cannot tell more than what was given.
    let wanted = match spilled {
        0 => (highest as f64 * HEADROOM) as u64,
        _ => given.saturating_add(spilled_by_task.saturating_mul(had.into())),
    };
    let heap = up_to_multiple(scaled(wanted).max(LEAST_HEAP), 256 << 20);
    reasons.push(match spilled {
        0 => format!(
            "{} of heap: the highest peak of {} was {} of {}{}, and 30 % of room (the peak counts garbage too, so less may do)",
            bytes(heap),
            counted(peaks.len(), "executor"),
            bytes(highest),
            bytes(given),
            if local { " in the driver, where a local run has its tasks" } else { "" }
        ),
        _ => format!(
            "{} of heap: {} went to disk; the task that spilled most lacked {}, for each of {}",
            bytes(heap),
            bytes(spilled),
            bytes(spilled_by_task),
            counted(had, "core")
        ),
    });
    heap
}

/// Memory beside the heap: what the processes had in memory beyond it, where the run recorded that; else by Spark's factor.
fn overhead(run: &Run, heap: u64, options: &Options, reasons: &mut Vec<String>, missing: &mut Vec<String>) -> u64 {
    let given = performance::heap(run);
    let beyond = run
        .workers()
        .map(|(_, worker)| {
            let jvm = worker.peaks.highest("ProcessTreeJVMRSSMemory");
            let others = worker
                .peaks
                .highest("ProcessTreePythonRSSMemory")
                .saturating_add(worker.peaks.highest("ProcessTreeOtherRSSMemory"));
            (jvm > 0).then(|| jvm.saturating_sub(given).saturating_add(others))
        })
        .collect::<Option<Vec<u64>>>();
    let off_heap = run
        .workers()
        .map(|(_, worker)| worker.peaks.highest("JVMOffHeapMemory"))
        .max()
        .unwrap_or(0);
    let by_factor = options.overhead(heap);
    match beyond.and_then(|beyond| beyond.into_iter().max()) {
        Some(most) => {
            let wanted = ((most.saturating_add(off_heap) as f64 * HEADROOM) as u64).max(super::LEAST_OVERHEAD);
            let wanted = up_to_multiple(wanted, 64 << 20);
            reasons.push(format!(
                "{} of overhead: processes came to {} beside the heap, the JVM's own off-heap memory to {}",
                bytes(wanted),
                bytes(most),
                bytes(off_heap)
            ));
            wanted
        }
        None => {
            missing.push(
                "resident memory of processes: set spark.executor.processTreeMetrics.enabled=true and run it once; until then the overhead is Spark's factor"
                    .to_owned(),
            );
            reasons.push(format!(
                "{} of overhead: factor {}, at least 384 MiB",
                bytes(by_factor),
                options.factor()
            ));
            by_factor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    fn with_peak(run: &mut Run, name: &str, value: i64) {
        run.executors
            .iter_mut()
            .for_each(|executor| fixture::peak(executor, name, value));
    }

    fn run() -> Run {
        let mut run = fixture::run(10, 8, 600_000);
        run.spark.insert("spark.executor.memory".to_owned(), "32g".to_owned());
        let stage = fixture::stage(&mut run, 1, &fixture::even(160, 16, 30_000));
        stage.totals.shuffle_read = 50 << 30;
        run
    }

    #[test]
    fn what_was_measured_decides_and_what_was_not_is_said() {
        let sizing = for_run(&run(), &Options::default()).expect("a size");
        // 16 of 80 cores were at work.
        assert_eq!((sizing.executors, sizing.cores, sizing.partitions), (4, 5, 400));
        assert_eq!((sizing.heap, sizing.missing.len()), (20 << 30, 2));
        let heap = "20 GiB of heap: it was 32 GiB for 8 cores, and 5 have their share";
        assert!(
            sizing.reasons.iter().any(|reason| reason == heap),
            "{:?}",
            sizing.reasons
        );
        let mut small = run();
        small
            .spark
            .insert("spark.executor.memory".to_owned(), "512m".to_owned());
        let sizing = for_run(&small, &Options::default()).expect("a size");
        let heap = "1 GiB of heap: it was 512 MiB for 8 cores, and 5 have at least 1 GiB";
        assert_eq!(sizing.heap, 1 << 30);
        assert!(
            sizing.reasons.iter().any(|reason| reason == heap),
            "{:?}",
            sizing.reasons
        );
        let mut measured = run();
        with_peak(&mut measured, "JVMHeapMemory", 8 << 30);
        let sizing = for_run(&measured, &Options::default()).expect("a size");
        // 8 GiB with 8 cores: 5 GiB with 5, and room.
        assert_eq!((sizing.heap, sizing.missing.len()), (6_656 << 20, 1));
        with_peak(&mut measured, "ProcessTreeJVMRSSMemory", 34 << 30);
        let sizing = for_run(&measured, &Options::default()).expect("a size");
        assert!(sizing.missing.is_empty());
        assert_eq!(
            sizing.overhead,
            ((2.6 * f64::from(1 << 30)) as u64).next_multiple_of(64 << 20)
        );
    }

    #[test]
    fn executors_that_were_full_are_kept() {
        let mut full = fixture::run(2, 4, 100_000);
        fixture::stage(&mut full, 1, &fixture::even(64, 8, 10_000));
        let sizing = for_run(&full, &Options::default()).expect("a size");
        assert_eq!((sizing.executors, sizing.cores), (2, 4));
        assert!(sizing.reasons[0].contains("what-if"), "{:?}", sizing.reasons);
    }

    #[test]
    fn spill_asks_for_more_than_the_peak() {
        let mut run = run();
        with_peak(&mut run, "JVMHeapMemory", 30 << 30);
        let stage = run.stages.get_mut(&(1, 0)).expect("added");
        stage.totals.disk_spilled = 10 << 30;
        stage.tasks[0].memory_spilled = 2 << 30;
        let sizing = for_run(&run, &Options::default()).expect("a size");
        assert_eq!(sizing.heap, 30 << 30);
    }

    #[test]
    fn a_run_without_tasks_has_no_size() {
        assert_eq!(
            for_run(&fixture::run(1, 1, 1), &Options::default()),
            Err(SizeError::NoTasks)
        );
    }
}
