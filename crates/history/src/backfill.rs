//! Series of a run that is over, as they would have been scraped from its driver: the names, labels and numbers of Spark's endpoint
//! `/metrics/executors/prometheus`, out of the event log, with the times at which they were so.
//!
//! In: an application as Spark's listeners saw it. Out: OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`. A run of three seconds
//! that was over before any scrape has the same series as one of three hours: each executor at its start, when it had done nothing, and at
//! its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::listing::Attempt;
use crate::model::View;
use crate::model::data::Executor;
use crate::rest::show::{executor_times, peak_names};

/// Job of the series, as the pack's scrape configuration calls it.
const JOB: &str = "spark-executors";
/// Where Spark's configuration has the labels of the driver pod.
const POD_LABEL: &str = "spark.kubernetes.driver.label.";

/// Who the run is, as scraped series say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<&'static str, String>);

impl Labels {
    /// Of this application, by its configuration.
    pub fn of(view: &View, id: &str, name: &str) -> Self {
        let spark: BTreeMap<&str, &str> = view
            .environment()
            .into_iter()
            .flat_map(|environment| environment.spark.iter())
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let pod_label = |label: &str| spark.get(format!("{POD_LABEL}{label}").as_str()).copied();
        let app = pod_label("sparkoperator.k8s.io/scheduled-app-name")
            .or(pod_label("sparkoperator.k8s.io/app-name"))
            .or(pod_label("sparkoperator.k8s.io/connect-name"));
        let pod = spark.get("spark.kubernetes.driver.pod.name").copied();
        let all = [
            ("job", Some(JOB)),
            ("namespace", spark.get("spark.kubernetes.namespace").copied()),
            ("pod", pod),
            ("instance", pod),
            ("app", app),
            ("team", pod_label("team")),
            ("application_id", Some(id)),
            ("application_name", Some(name)),
        ];
        let there = all
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?.to_owned())));
        Self(there.collect())
    }

    fn text(&self, executor: &str) -> String {
        let mut labels: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        labels.push(format!("executor_id=\"{}\"", escaped(executor)));
        labels.join(",")
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A number of an executor.
struct Sample {
    /// Without `_total` of a counter.
    family: String,
    is_counter: bool,
    value: f64,
}

#[allow(clippy::cast_precision_loss, reason = "as Prometheus keeps every number")]
fn float(value: i64) -> f64 {
    value as f64
}

/// The numbers of an executor at its end, in the order of Spark's endpoint.
fn samples(view: &View, executor: &Executor, attempt: &Attempt) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut put = |family: &str, is_counter: bool, value: f64| {
        samples.push(Sample {
            family: format!("metrics_executor_{family}"),
            is_counter,
            value,
        });
    };
    let (duration, gc_time) = executor_times(executor, attempt, attempt.end);
    put("rddBlocks", false, f64::from(executor.rdd_blocks));
    put("memoryUsed_bytes", false, float(executor.memory_used));
    put("diskUsed_bytes", false, float(executor.disk_used));
    put("totalCores", false, f64::from(executor.cores));
    put("maxTasks", false, f64::from(executor.max_tasks));
    put("activeTasks", false, f64::from(executor.active_tasks));
    put("failedTasks", true, f64::from(executor.failed_tasks));
    put("completedTasks", true, f64::from(executor.completed_tasks));
    put("totalTasks", true, f64::from(executor.total_tasks));
    put("totalDuration_seconds", true, float(duration) * 0.001);
    put("totalGCTime_seconds", true, float(gc_time) * 0.001);
    put("totalInputBytes_bytes", true, float(executor.input_bytes));
    put("totalShuffleRead_bytes", true, float(executor.shuffle_read));
    put("totalShuffleWrite_bytes", true, float(executor.shuffle_write));
    put("maxMemory_bytes", false, float(executor.max_memory));
    if let Some([on_used, off_used, on_max, off_max]) = executor.memory {
        put("usedOnHeapStorageMemory_bytes", false, float(on_used));
        put("usedOffHeapStorageMemory_bytes", false, float(off_used));
        put("totalOnHeapStorageMemory_bytes", false, float(on_max));
        put("totalOffHeapStorageMemory_bytes", false, float(off_max));
    }
    for name in peak_names(view).iter().copied().filter(|name| *name != "TotalGCTime") {
        let Some(value) = executor.peaks.get(name) else {
            continue;
        };
        match name {
            name if name.ends_with("GCCount") => put(name, true, float(value)),
            name if name.ends_with("GCTime") => put(&format!("{name}_seconds"), true, float(value) * 0.001),
            name => put(&format!("{name}_bytes"), false, float(value)),
        }
    }
    samples
}

/// Whether a gauge says how large something is, which it was from the start, and not what was done.
fn is_size(family: &str) -> bool {
    [
        "totalCores",
        "maxTasks",
        "maxMemory_bytes",
        "OnHeapStorageMemory_bytes",
        "OffHeapStorageMemory_bytes",
    ]
    .iter()
    .any(|size| family.ends_with(size))
        && !family.contains("_used")
}

/// Series by family, while runs are put together: OpenMetrics wants each family in one piece.
#[derive(Debug, Default)]
pub struct Series(BTreeMap<(String, bool), Vec<(i64, String)>>);

impl Series {
    /// Adds a run that ended. Returns how many series that are; none while it has not ended.
    pub fn add(&mut self, view: &View, attempt: &Attempt, labels: &Labels) -> usize {
        if !attempt.completed {
            return 0;
        }
        let mut count = 0;
        for executor in view.executors() {
            let labels = labels.text(&executor.id);
            let end = executor.removed.unwrap_or(attempt.end).max(executor.added);
            for sample in samples(view, executor, attempt) {
                let name = match sample.is_counter {
                    true => format!("{}_total", sample.family),
                    false => sample.family.clone(),
                };
                let line = |at: i64, value: f64| {
                    let (seconds, millis) = (at.div_euclid(1000), at.rem_euclid(1000));
                    (at, format!("{name}{{{labels}}} {value} {seconds}.{millis:03}"))
                };
                let first = if is_size(&sample.family) { sample.value } else { 0.0 };
                let lines = self.0.entry((sample.family.clone(), sample.is_counter)).or_default();
                if executor.added < end {
                    lines.push(line(executor.added, first));
                }
                lines.push(line(end, sample.value));
                count += 1;
            }
        }
        count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As OpenMetrics.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for ((family, is_counter), lines) in &self.0 {
            let kind = if *is_counter { "counter" } else { "gauge" };
            let _ = writeln!(out, "# TYPE {family} {kind}");
            for (_, line) in lines {
                let _ = writeln!(out, "{line}");
            }
        }
        out + "# EOF\n"
    }
}

#[cfg(test)]
mod tests {
    use stoke_eventlog::{Options, Source};

    use super::*;
    use crate::model::Limits;
    use crate::replay::replay;

    /// A run out of its log, with the attempt that its listing would have.
    fn ended() -> (View, Attempt) {
        let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/../insight/tests/pairs"));
        let log = source
            .logs()
            .unwrap()
            .into_iter()
            .find(|log| log.path.contains("base"))
            .unwrap();
        let seen = stoke_eventlog::glance::glance(&source, &log).unwrap();
        let found = crate::listing::found(&log, &seen, "here", 0).unwrap();
        let replayed = replay(&source, &log, Limits::default(), Options::default()).unwrap();
        (replayed.application.into_view(0), found.attempt)
    }

    #[test]
    fn a_run_that_is_over_has_every_series_of_sparks_endpoint() {
        let (view, attempt) = ended();
        let mut series = Series::default();
        let labels = Labels::of(&view, "spark-1", "a \"name\"");
        let count = series.add(&view, &attempt, &labels);
        let text = series.text();
        let executors = view.executors().count();
        for name in [
            "metrics_executor_completedTasks_total",
            "metrics_executor_totalDuration_seconds_total",
            "metrics_executor_totalGCTime_seconds_total",
            "metrics_executor_JVMHeapMemory_bytes",
            "metrics_executor_MinorGCCount_total",
            "metrics_executor_MinorGCTime_seconds_total",
            "metrics_executor_totalInputBytes_bytes_total",
            "metrics_executor_maxMemory_bytes",
            "metrics_executor_totalCores",
        ] {
            let lines = text
                .lines()
                .filter(|line| line.starts_with(&format!("{name}{{")))
                .count();
            assert!((executors..=2 * executors).contains(&lines), "{name}: {lines}\n{text}");
        }
        assert!(count >= 30 * executors, "{count}");
        assert!(text.contains(r#"application_name="a \"name\"""#) && text.ends_with("# EOF\n"));
        let done: i32 = view.executors().map(|executor| executor.completed_tasks).sum();
        assert!(done > 0);
    }

    #[test]
    fn a_run_that_runs_has_none() {
        let (view, mut attempt) = ended();
        attempt.completed = false;
        let mut series = Series::default();
        assert_eq!(series.add(&view, &attempt, &Labels::default()), 0);
        assert!(series.is_empty() && series.text() == "# EOF\n");
    }
}
