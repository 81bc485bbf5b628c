//! Quantiles of the tasks and executors of a stage attempt, as Spark computes them: the value at a place of the sorted values, never one
//! in between.

use crate::json::{Json, Object};
use crate::model::View;
use crate::model::data::{ExecutorStage, StageKey};
use crate::model::metrics::at;
use crate::model::task::{Status, Task};

/// Values of tasks, one row per metric, each at the wanted quantiles.
pub(super) struct TaskSummary {
    quantiles: Vec<f64>,
    tasks: Vec<Task>,
    succeeded: usize,
}

impl TaskSummary {
    /// Nothing when no task of the stage attempt succeeded.
    pub(super) fn of(view: &View, key: StageKey, quantiles: &[f64]) -> Option<TaskSummary> {
        let tasks = view.tasks(key);
        let succeeded = tasks.iter().filter(|task| task.status == Status::Success).count();
        (succeeded > 0).then(|| TaskSummary {
            quantiles: quantiles.to_vec(),
            tasks,
            succeeded,
        })
    }

    fn row(&self, value: impl Fn(&Task) -> i64) -> Vec<f64> {
        let mut values: Vec<i64> = self.tasks.iter().map(value).filter(|value| *value >= 0).collect();
        values.sort_unstable();
        // Places are counted by successful tasks. Spark hides the metrics of others from this, but not their durations and delays.
        self.quantiles
            .iter()
            .map(|quantile| {
                values
                    .get(place(*quantile, self.succeeded))
                    .map_or(f64::NAN, |value| *value as f64)
            })
            .collect()
    }

    fn metric(&self, place: usize) -> Vec<f64> {
        self.row(|task| match (&task.metrics, task.status) {
            (Some(metrics), Status::Success) => metrics.get(place),
            _ => -1,
        })
    }

    fn sum(&self, one: usize, other: usize) -> Vec<f64> {
        self.row(|task| match (&task.metrics, task.status) {
            (Some(metrics), Status::Success) => metrics.sum(one, other),
            _ => -1,
        })
    }

    pub(super) fn write(&self, json: &mut Json<'_>) {
        json.object(|o| self.fields(o));
    }

    fn fields(&self, o: &mut Object<'_, '_>) {
        o.scalars("quantiles", self.quantiles.iter().copied());
        o.scalars("duration", self.row(|task| task.duration));
        for (name, place) in [
            ("executorDeserializeTime", at::DESERIALIZE_TIME),
            ("executorDeserializeCpuTime", at::DESERIALIZE_CPU_TIME),
            ("executorRunTime", at::RUN_TIME),
            ("executorCpuTime", at::CPU_TIME),
            ("resultSize", at::RESULT_SIZE),
            ("jvmGcTime", at::GC_TIME),
            ("resultSerializationTime", at::RESULT_SERIALIZATION_TIME),
        ] {
            o.scalars(name, self.metric(place));
        }
        let measured =
            |value: fn(&Task) -> i64| move |task: &Task| if task.metrics.is_some() { value(task) } else { -1 };
        o.scalars("gettingResultTime", self.row(measured(Task::getting_result_time)));
        o.scalars("schedulerDelay", self.row(measured(Task::scheduler_delay)));
        for (name, place) in [
            ("peakExecutionMemory", at::PEAK_EXECUTION_MEMORY),
            ("memoryBytesSpilled", at::MEMORY_SPILLED),
            ("diskBytesSpilled", at::DISK_SPILLED),
        ] {
            o.scalars(name, self.metric(place));
        }
        o.object("inputMetrics", |o| {
            o.scalars("bytesRead", self.metric(at::INPUT_BYTES));
            o.scalars("recordsRead", self.metric(at::INPUT_RECORDS));
        });
        o.object("outputMetrics", |o| {
            o.scalars("bytesWritten", self.metric(at::OUTPUT_BYTES));
            o.scalars("recordsWritten", self.metric(at::OUTPUT_RECORDS));
        });
        o.object("shuffleReadMetrics", |o| {
            o.scalars("readBytes", self.sum(at::LOCAL_BYTES, at::REMOTE_BYTES));
            for (name, place) in [
                ("readRecords", at::READ_RECORDS),
                ("remoteBlocksFetched", at::REMOTE_BLOCKS),
                ("localBlocksFetched", at::LOCAL_BLOCKS),
                ("fetchWaitTime", at::FETCH_WAIT_TIME),
                ("remoteBytesRead", at::REMOTE_BYTES),
                ("remoteBytesReadToDisk", at::REMOTE_BYTES_TO_DISK),
            ] {
                o.scalars(name, self.metric(place));
            }
            o.scalars("totalBlocksFetched", self.sum(at::LOCAL_BLOCKS, at::REMOTE_BLOCKS));
            o.scalars("remoteReqsDuration", self.metric(at::REMOTE_REQUESTS));
            o.object("shufflePushReadMetricsDist", |o| {
                for (name, place) in [
                    ("corruptMergedBlockChunks", at::CORRUPT_CHUNKS),
                    ("mergedFetchFallbackCount", at::FALLBACKS),
                    ("remoteMergedBlocksFetched", at::MERGED_REMOTE_BLOCKS),
                    ("localMergedBlocksFetched", at::MERGED_LOCAL_BLOCKS),
                    ("remoteMergedChunksFetched", at::MERGED_REMOTE_CHUNKS),
                    ("localMergedChunksFetched", at::MERGED_LOCAL_CHUNKS),
                    ("remoteMergedBytesRead", at::MERGED_REMOTE_BYTES),
                    ("localMergedBytesRead", at::MERGED_LOCAL_BYTES),
                    ("remoteMergedReqsDuration", at::MERGED_REMOTE_REQUESTS),
                ] {
                    o.scalars(name, self.metric(place));
                }
            });
        });
        o.object("shuffleWriteMetrics", |o| {
            o.scalars("writeBytes", self.metric(at::WRITE_BYTES));
            o.scalars("writeRecords", self.metric(at::WRITE_RECORDS));
            o.scalars("writeTime", self.metric(at::WRITE_TIME));
        });
    }
}

/// `min((q * count).toLong, count - 1)`; Java's conversion takes what is no number for 0.
fn place(quantile: f64, count: usize) -> usize {
    ((quantile * count as f64) as usize).min(count.saturating_sub(1))
}

/// The distributions a stage is shown with.
pub(super) fn of_stage(o: &mut Object<'_, '_>, view: &View, key: StageKey, quantiles: &[f64]) {
    if let Some(summary) = TaskSummary::of(view, key, quantiles) {
        o.object("taskMetricsDistributions", |o| summary.fields(o));
    }
    let executors: Vec<&ExecutorStage> = view.stage_executors(key).into_values().collect();
    if executors.is_empty() {
        return;
    }
    let row = |value: &dyn Fn(&ExecutorStage) -> i64| -> Vec<f64> {
        let mut values: Vec<i64> = executors.iter().map(|done| value(done)).collect();
        values.sort_unstable();
        quantiles
            .iter()
            .map(|quantile| values[place(*quantile, values.len())] as f64)
            .collect()
    };
    o.object("executorMetricsDistributions", |o| {
        o.scalars("quantiles", quantiles.iter().copied());
        o.scalars("taskTime", row(&|done| done.task_time));
        o.scalars("failedTasks", row(&|done| i64::from(done.failed)));
        o.scalars("succeededTasks", row(&|done| i64::from(done.succeeded)));
        o.scalars("killedTasks", row(&|done| i64::from(done.killed)));
        for (name, place) in [
            ("inputBytes", at::INPUT_BYTES),
            ("inputRecords", at::INPUT_RECORDS),
            ("outputBytes", at::OUTPUT_BYTES),
            ("outputRecords", at::OUTPUT_RECORDS),
        ] {
            o.scalars(name, row(&|done| done.metrics.get(place)));
        }
        o.scalars(
            "shuffleRead",
            row(&|done| done.metrics.sum(at::REMOTE_BYTES, at::LOCAL_BYTES)),
        );
        for (name, place) in [
            ("shuffleReadRecords", at::READ_RECORDS),
            ("shuffleWrite", at::WRITE_BYTES),
            ("shuffleWriteRecords", at::WRITE_RECORDS),
            ("memoryBytesSpilled", at::MEMORY_SPILLED),
            ("diskBytesSpilled", at::DISK_SPILLED),
        ] {
            o.scalars(name, row(&|done| done.metrics.get(place)));
        }
        let peaks: Vec<_> = executors.iter().filter_map(|done| done.peaks.numbers()).collect();
        o.object("peakMemoryMetrics", |o| {
            for (metric, name) in super::show::peak_names(view)
                .iter()
                .enumerate()
                .filter(|_| !peaks.is_empty())
            {
                let mut values: Vec<i64> = peaks.iter().map(|peaks| peaks[metric]).collect();
                values.sort_unstable();
                o.scalars(
                    name,
                    quantiles
                        .iter()
                        .map(|quantile| values[place(*quantile, values.len())] as f64),
                );
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_quantiles() {
        for (quantile, count, expected) in [
            (0.0, 4, 0),
            (0.5, 4, 2),
            (0.5, 5, 2),
            (0.95, 100, 95),
            (1.0, 4, 3),
            (7.0, 4, 3),
            (f64::NAN, 4, 0),
        ] {
            assert_eq!(place(quantile, count), expected, "{quantile} of {count}");
        }
    }
}
