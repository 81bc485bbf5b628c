//! Memory of executors against what they used of it, where peaks were recorded.

use stoke_model::memory::ByteUnit;
use stoke_run::Peaks;

use super::Finding;
use super::measure;
use super::{conf, heap, size};
use crate::facts::Run;
use crate::facts::run::DRIVER;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, counted, duration, memory, percent, short, up_to_multiple};

/// The share of the heap a peak stays below to be told. Ours. The peak is what was in use including garbage, so it errs to the high side.
const LITTLE: f64 = 0.4;
/// Room above the peak in what is proposed. Ours.
const HEADROOM: f64 = 1.5;
/// The least heap that is proposed. Ours: Spark sets 300 MiB of it aside.
const LEAST: u64 = 1 << 30;
/// GiB-hours of memory that are worth telling. Ours: about a cent in a public cloud.
const WORTH: f64 = 1.0;
/// A shorter run has not shown its peaks. Ours: thirty heartbeats.
const LONG_ENOUGH: i64 = 300_000;
/// The share of the container's limit above which the next run may be killed. Ours.
const NEAR: f64 = 0.9;
/// `spark.executor.memoryOverhead` at the least.
const LEAST_OVERHEAD: u64 = 384 << 20;

const OVER: Rule = Rule {
    text: "The highest recorded JVM heap of all executors stayed below 40 % of spark.executor.memory in a run of >= 5 minutes, and what was not used comes to >= 1 GiB-hour.",
    source: "https://spark.apache.org/docs/latest/monitoring.html#executor-metrics (JVMHeapMemory)",
};
const NEAR_LIMIT: Rule = Rule {
    text: "Resident memory of an executor's processes came to >= 90 % of the container's memory (spark.executor.memory and its overhead), at 100 % of which the kernel kills it.",
    source: "https://spark.apache.org/docs/latest/monitoring.html#executor-metrics (ProcessTree*RSSMemory)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    over(run).into_iter().chain(near(run)).collect()
}

fn over(run: &Run) -> Option<Finding> {
    let workers: Vec<_> = run
        .workers()
        .map(|(_, worker)| worker)
        .filter(|worker| worker.id != DRIVER)
        .collect();
    let most = workers
        .iter()
        .max_by_key(|worker| worker.peaks.highest("JVMHeapMemory"))?;
    let used = most.peaks.highest("JVMHeapMemory");
    let given = heap(run);
    // Every executor must have told its peaks: one that did not may be the one that needed more.
    let told = workers.iter().all(|worker| worker.peaks.highest("JVMHeapMemory") > 0);
    if !told || run.duration() < LONG_ENOUGH || used as f64 >= LITTLE * given as f64 {
        return None;
    }
    let wanted = up_to_multiple(((used as f64 * HEADROOM) as u64).max(LEAST), 512 << 20);
    let time: u64 = workers
        .iter()
        .map(|worker| {
            let end = measure::since(run, worker.removed.unwrap_or(run.end()));
            end.saturating_sub(measure::since(run, worker.added))
        })
        .fold(0, u64::saturating_add);
    let unused = given.saturating_sub(wanted) as f64 / f64::from(1u32 << 30) * time as f64 / 3_600_000.0;
    if unused < WORTH {
        return None;
    }
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "memory-over-provisioned",
            format!(
                "No executor used more than {} ({}) of its {} of heap.",
                bytes(used),
                percent(used as f64 / given as f64),
                bytes(given)
            ),
        )
        .with_evidence(vec![
            Evidence::new(
                format!("executor {}", most.id),
                format!(
                    "highest JVMHeapMemory of {}: {}",
                    counted(workers.len(), "executor"),
                    bytes(used)
                ),
            ),
            Evidence::new("spark.executor.memory", memory(given)),
            Evidence::new("run", format!("took {}", duration(run.duration().unsigned_abs()))),
        ])
        .with_rule(OVER)
        .with_fix(Fix {
            text: format!(
                "Give executors {}: half as much again as the highest peak.",
                memory(wanted)
            ),
            patch: Some(serde_json::json!({"spec": {"executor": {"memory": memory(wanted)}}})),
        })
        .with_gain(Gain {
            text: format!(
                "{} GiB-hours of memory in each run; the run does not become shorter",
                short(unused)
            ),
            milliseconds: None,
        }),
        weight: 0,
    })
}

fn near(run: &Run) -> Option<Finding> {
    let resident = |peaks: &Peaks| {
        let of = |what| peaks.highest(&format!("ProcessTree{what}RSSMemory"));
        of("JVM").saturating_add(of("Python")).saturating_add(of("Other"))
    };
    let most = run
        .workers()
        .map(|(_, worker)| worker)
        .filter(|worker| worker.id != DRIVER)
        .max_by_key(|worker| resident(&worker.peaks))?;
    let used = resident(&most.peaks);
    let limit = container(run);
    if (used as f64) < NEAR * limit as f64 {
        return None;
    }
    let [jvm, python, other] =
        ["JVM", "Python", "Other"].map(|what| most.peaks.highest(&format!("ProcessTree{what}RSSMemory")));
    // What is not heap: the heap may still grow to its limit.
    let beyond = python
        .saturating_add(other)
        .saturating_add(jvm.saturating_sub(heap(run)));
    let wanted = up_to_multiple(((beyond as f64 * 1.3) as u64).max(LEAST_OVERHEAD), 128 << 20);
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Warning,
            "memory-near-limit",
            format!(
                "Executor {} came to {} of the {} its container has on Kubernetes{}: {} and it is killed.",
                most.id,
                percent(used as f64 / limit as f64),
                bytes(limit),
                if python > used / 2 {
                    ", most of it in Python"
                } else {
                    ""
                },
                if used < limit { "somewhat more" } else { "as much" },
            ),
        )
        .with_evidence(vec![Evidence::new(
            format!("executor {}", most.id),
            format!(
                "resident: JVM {}, Python {}, others {}",
                bytes(jvm),
                bytes(python),
                bytes(other)
            ),
        )])
        .with_rule(NEAR_LIMIT)
        .with_fix(Fix {
            text: format!("Raise what the container has beside the heap to {}.", memory(wanted)),
            patch: Some(conf(&[("spark.executor.memoryOverhead", memory(wanted))])),
        }),
        weight: used >> 20,
    })
}

/// Memory of an executor's container: heap, overhead and what is set aside for Python and off-heap.
fn container(run: &Run) -> u64 {
    let heap = heap(run);
    let python = run
        .property("spark.kubernetes.resource.type")
        .is_some_and(|kind| kind != "java");
    let factor = [
        "spark.executor.memoryOverheadFactor",
        "spark.kubernetes.memoryOverheadFactor",
    ]
    .iter()
    .find_map(|key| run.property(key)?.trim().parse::<f64>().ok())
    .unwrap_or(if python { 0.4 } else { 0.1 });
    let overhead = run
        .property("spark.executor.memoryOverhead")
        .and_then(|_| size(run, "spark.executor.memoryOverhead", ByteUnit::Mib, 0))
        .unwrap_or(((heap as f64 * factor) as u64).max(LEAST_OVERHEAD));
    let further = ["spark.executor.pyspark.memory", "spark.memory.offHeap.size"]
        .iter()
        .zip([ByteUnit::Mib, ByteUnit::Byte])
        .filter_map(|(key, unit)| size(run, key, unit, 0));
    further.fold(heap.saturating_add(overhead), u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    fn with(heap: &str, peaks: &[(&str, u64)], duration: i64) -> Run {
        let mut run = fixture::run(4, 4, duration);
        run.spark.insert("spark.executor.memory".to_owned(), heap.to_owned());
        for executor in &mut run.executors {
            for (name, value) in peaks {
                fixture::peak(executor, name, *value as i64);
            }
        }
        run
    }

    #[test]
    fn memory_is_judged_by_recorded_peaks_only() {
        let gib = 1u64 << 30;
        for (heap, peaks, duration, expected) in [
            (
                "16g",
                vec![("JVMHeapMemory", 3 * gib)],
                1_200_000,
                vec!["memory-over-provisioned"],
            ),
            ("16g", vec![("JVMHeapMemory", 8 * gib)], 1_200_000, vec![]),
            ("16g", vec![], 1_200_000, vec![]),
            ("16g", vec![("JVMHeapMemory", 3 * gib)], 60_000, vec![]),
            ("1g", vec![("JVMHeapMemory", gib / 4)], 1_200_000, vec![]),
            (
                "4g",
                vec![
                    ("ProcessTreeJVMRSSMemory", 4 * gib),
                    ("ProcessTreePythonRSSMemory", gib / 3),
                ],
                60_000,
                vec!["memory-near-limit"],
            ),
            ("4g", vec![("ProcessTreeJVMRSSMemory", 3 * gib)], 60_000, vec![]),
        ] {
            let run = with(heap, &peaks, duration);
            let codes: Vec<_> = rule(&run)
                .iter()
                .map(|finding| finding.diagnostic.code.clone())
                .collect();
            assert_eq!(codes, expected, "{heap} {peaks:?}");
        }
        let run = with("16g", &[("JVMHeapMemory", 3 * gib)], 1_200_000);
        assert_eq!(
            rule(&run)[0].diagnostic.patch().expect("a patch")["spec"]["executor"]["memory"],
            "4608m"
        );
    }

    #[test]
    fn one_executor_without_peaks_is_enough_to_say_nothing() {
        let mut run = with("16g", &[("JVMHeapMemory", 1 << 30)], 1_200_000);
        run.executors[2].peaks = Peaks::default();
        assert!(rule(&run).is_empty());
    }
}
