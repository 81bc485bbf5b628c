//! Quantiles of the tasks and executors of a stage attempt, as Spark computes them: the value at a place of the sorted values, never one
//! in between.

use std::cell::RefCell;
use std::io;

use super::quantiles::{Bins, Picked};
use crate::json::{Json, Object};
use crate::model::View;
use crate::model::data::{ExecutorStage, StageKey};
use crate::model::metrics::at;
use crate::model::task::{Outcome, Task};

/// What is summed up: a number of a task, or nothing where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Duration,
    GettingResult,
    SchedulerDelay,
    /// The metric at a place.
    Metric(usize),
    /// The sum of two.
    Sum(usize, usize),
}

impl Column {
    /// The numbers of successful tasks decide where quantiles are. Spark hides the metrics of others from this, but not their durations
    /// and delays.
    fn of(self, task: &Task) -> Option<i64> {
        let metrics = task.metrics.as_ref();
        let done = || metrics.filter(|_| task.status == Outcome::Succeeded);
        let number = match self {
            Column::Duration => Some(task.duration),
            Column::GettingResult => metrics.map(|_| task.getting_result_time()),
            Column::SchedulerDelay => metrics.map(|_| task.scheduler_delay()),
            Column::Metric(place) => done().map(|metrics| metrics.get(place)),
            Column::Sum(one, other) => done().map(|metrics| metrics.sum(one, other)),
        };
        number.filter(|number| *number >= 0)
    }
}

/// Columns besides metrics.
const BESIDES: [Column; 5] = [
    Column::Duration,
    Column::GettingResult,
    Column::SchedulerDelay,
    Column::Sum(at::LOCAL_BYTES, at::REMOTE_BYTES),
    Column::Sum(at::LOCAL_BLOCKS, at::REMOTE_BLOCKS),
];

/// What a first look tells of every column.
#[derive(Debug, Clone)]
pub struct Tally {
    succeeded: usize,
    /// Tasks that succeeded and have metrics.
    measured: u32,
    besides: [Bins; BESIDES.len()],
    metrics: Vec<Bins>,
    /// Of those tasks, how many do not have zero of a metric.
    other: Vec<u32>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            succeeded: 0,
            measured: 0,
            besides: Default::default(),
            metrics: vec![Bins::default(); at::SPARE],
            other: vec![0; at::SPARE],
        }
    }
}

impl Tally {
    /// Looks at a task.
    pub fn add(&mut self, task: &Task) {
        for (column, bins) in BESIDES.iter().zip(&mut self.besides) {
            if let Some(number) = column.of(task) {
                bins.add(number);
            }
        }
        if task.status != Outcome::Succeeded {
            return;
        }
        self.succeeded += 1;
        let Some(metrics) = &task.metrics else {
            return;
        };
        self.measured += 1;
        // Most are zero.
        let places = self.metrics.iter_mut().zip(&mut self.other);
        for (number, (bins, other)) in metrics.0.iter().zip(places).filter(|(number, _)| **number != 0) {
            *other += 1;
            bins.add(*number);
        }
    }

    /// Adds what another one tells.
    #[must_use]
    pub fn and(mut self, other: &Tally) -> Tally {
        self.succeeded += other.succeeded;
        self.measured += other.measured;
        let bins = self.besides.iter_mut().chain(&mut self.metrics);
        bins.zip(other.besides.iter().chain(&other.metrics))
            .for_each(|(bins, other)| bins.merge(other));
        let counts = self.other.iter_mut().zip(&other.other);
        counts.for_each(|(count, other)| *count += other);
        self
    }

    /// Every column with its numbers.
    fn columns(self) -> Vec<(Column, Bins)> {
        let zeros = |other: u32| self.measured.saturating_sub(other);
        let metrics = self.metrics.into_iter().zip(&self.other).enumerate();
        let metrics = metrics.map(|(place, (mut bins, other))| {
            bins.add_often(0, zeros(*other));
            (Column::Metric(place), bins)
        });
        BESIDES.into_iter().zip(self.besides).chain(metrics).collect()
    }
}

/// Bytes of numbers that are taken in one look at the tasks.
const AT_ONCE: usize = 32 << 20;

/// Values of tasks, one row per metric, each at the wanted quantiles.
#[derive(Debug)]
pub struct TaskSummary {
    quantiles: Vec<f64>,
    rows: Vec<(Column, Vec<f64>)>,
}

impl TaskSummary {
    /// Nothing when no task of the stage attempt succeeded.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn of(view: &View, key: StageKey, quantiles: &[f64]) -> io::Result<Option<TaskSummary>> {
        let tallies = view.look_at_tasks(key, Tally::default, Tally::add)?;
        let tally = tallies.iter().fold(Tally::default(), Tally::and);
        TaskSummary::of_tally(tally, view, key, quantiles)
    }

    /// Likewise, where the first look was taken.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn of_tally(tally: Tally, view: &View, key: StageKey, quantiles: &[f64]) -> io::Result<Option<TaskSummary>> {
        let succeeded = tally.succeeded;
        if succeeded == 0 {
            return Ok(None);
        }
        let mut rows = Vec::new();
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        let columns = tally.columns();
        let count = columns.len();
        for (place, (column, bins)) in columns.into_iter().enumerate() {
            let places = places_of(quantiles, succeeded, bins.count);
            let picked = Picked::at(bins, &places);
            bytes += picked.to_take() * size_of::<i64>();
            waiting.push((column, picked));
            if bytes < AT_ONCE && place + 1 < count {
                continue;
            }
            let all = match bytes {
                0 => std::mem::take(&mut waiting),
                _ => again(view, key, std::mem::take(&mut waiting))?,
            };
            let row = |picked: &Picked| at_places(quantiles, succeeded, picked.count(), |at| picked.number(at));
            rows.extend(all.iter().map(|(column, picked)| (*column, row(picked))));
            bytes = 0;
        }
        Ok(Some(TaskSummary {
            quantiles: quantiles.to_vec(),
            rows,
        }))
    }

    /// The numbers that pages show, by the names of the status API. Times are milliseconds (`shuffleWriteTime` nanoseconds), sizes bytes.
    pub fn shown(&self) -> Vec<(&'static str, Vec<f64>)> {
        let columns = [
            ("duration", Column::Duration),
            ("schedulerDelay", Column::SchedulerDelay),
            ("executorDeserializeTime", Column::Metric(at::DESERIALIZE_TIME)),
            ("jvmGcTime", Column::Metric(at::GC_TIME)),
            ("resultSerializationTime", Column::Metric(at::RESULT_SERIALIZATION_TIME)),
            ("gettingResultTime", Column::GettingResult),
            ("peakExecutionMemory", Column::Metric(at::PEAK_EXECUTION_MEMORY)),
            ("inputBytes", Column::Metric(at::INPUT_BYTES)),
            ("inputRecords", Column::Metric(at::INPUT_RECORDS)),
            ("outputBytes", Column::Metric(at::OUTPUT_BYTES)),
            ("outputRecords", Column::Metric(at::OUTPUT_RECORDS)),
            ("shuffleReadBytes", Column::Sum(at::LOCAL_BYTES, at::REMOTE_BYTES)),
            ("shuffleReadRecords", Column::Metric(at::READ_RECORDS)),
            ("shuffleFetchWaitTime", Column::Metric(at::FETCH_WAIT_TIME)),
            ("shuffleRemoteBytesRead", Column::Metric(at::REMOTE_BYTES)),
            ("shuffleWriteBytes", Column::Metric(at::WRITE_BYTES)),
            ("shuffleWriteRecords", Column::Metric(at::WRITE_RECORDS)),
            ("shuffleWriteTime", Column::Metric(at::WRITE_TIME)),
            ("memoryBytesSpilled", Column::Metric(at::MEMORY_SPILLED)),
            ("diskBytesSpilled", Column::Metric(at::DISK_SPILLED)),
        ];
        columns
            .map(|(name, column)| (name, self.row(column).collect()))
            .to_vec()
    }

    fn row(&self, wanted: Column) -> impl Iterator<Item = f64> {
        let row = self.rows.iter().find(|(column, _)| *column == wanted);
        row.into_iter().flat_map(|(_, row)| row.iter().copied())
    }

    fn metric(&self, place: usize) -> impl Iterator<Item = f64> {
        self.row(Column::Metric(place))
    }

    fn sum(&self, one: usize, other: usize) -> impl Iterator<Item = f64> {
        self.row(Column::Sum(one, other))
    }

    pub(super) fn write(&self, json: &mut Json<'_>) {
        json.object(|o| self.fields(o));
    }

    fn fields(&self, o: &mut Object<'_, '_>) {
        o.scalars("quantiles", self.quantiles.iter().copied());
        o.scalars("duration", self.row(Column::Duration));
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
        o.scalars("gettingResultTime", self.row(Column::GettingResult));
        o.scalars("schedulerDelay", self.row(Column::SchedulerDelay));
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

/// `min((q * count).toLong, count - 1)`; Java's conversion takes what is not a number for 0.
fn place(quantile: f64, count: usize) -> i64 {
    let last = i64::try_from(count).unwrap_or(i64::MAX) - 1;
    ((quantile * count as f64) as i64).min(last)
}

/// The values at quantiles of `count` tasks, of `length` values in ascending order, as Spark finds them: it goes on through the values from
/// one quantile to the next. Behind the last one there is no number, and before the first one it takes the next.
fn at_places(quantiles: &[f64], count: usize, length: usize, value: impl Fn(usize) -> i64) -> Vec<f64> {
    let (mut before, mut next, mut last) = (-1i64, 0usize, f64::NAN);
    let mut at = |quantile: &f64| {
        let place = place(*quantile, count);
        if place == before {
            return last;
        }
        let skipped = place.wrapping_sub(before).wrapping_sub(1);
        next = next.saturating_add(usize::try_from(skipped).unwrap_or(0));
        before = place;
        if next >= length {
            return f64::NAN;
        }
        last = value(next) as f64;
        next += 1;
        last
    };
    quantiles.iter().map(&mut at).collect()
}

/// The places [`at_places`] asks for.
fn places_of(quantiles: &[f64], count: usize, length: usize) -> Vec<usize> {
    let asked = RefCell::new(Vec::new());
    at_places(quantiles, count, length, |place| {
        asked.borrow_mut().push(place);
        0
    });
    asked.into_inner()
}

/// A second look, at what bins do not tell.
fn again(view: &View, key: StageKey, waiting: Vec<(Column, Picked)>) -> io::Result<Vec<(Column, Picked)>> {
    let (open, mut done): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, picked)| picked.to_take() > 0);
    let taken = view.look_at_tasks(
        key,
        || open.clone(),
        |open, task| {
            for (column, picked) in open {
                if let Some(number) = column.of(task) {
                    picked.take(number);
                }
            }
        },
    )?;
    let mut taken = taken.into_iter();
    let mut all = taken.next().unwrap_or_default();
    for other in taken {
        let pairs = all.iter_mut().zip(other);
        pairs.for_each(|((_, picked), (_, other))| picked.merge(other));
    }
    all.iter_mut().for_each(|(_, picked)| picked.finish());
    done.append(&mut all);
    Ok(done)
}

/// The distributions a stage is shown with.
pub(super) fn of_stage(o: &mut Object<'_, '_>, view: &View, key: StageKey, quantiles: &[f64]) {
    match TaskSummary::of(view, key, quantiles) {
        Ok(Some(summary)) => o.object("taskMetricsDistributions", |o| summary.fields(o)),
        Ok(None) => {}
        Err(error) => return o.fail(error),
    }
    let executors: Vec<ExecutorStage> = match view.stage_executors(key) {
        Ok(executors) => executors.into_values().collect(),
        Err(error) => return o.fail(error),
    };
    if executors.is_empty() {
        return;
    }
    // Spark does not expect a place before the first executor.
    let places = |count: usize| -> Option<Vec<usize>> {
        let places = quantiles
            .iter()
            .map(|quantile| usize::try_from(place(*quantile, count) as i32));
        places.collect::<Result<_, _>>().ok()
    };
    let peaks: Vec<_> = executors.iter().filter_map(|done| done.peaks.numbers()).collect();
    let (Some(of_executors), Some(of_peaks)) = (places(executors.len()), places(peaks.len().max(1))) else {
        return o.fail(io::Error::other("a quantile below zero"));
    };
    let row = |value: &dyn Fn(&ExecutorStage) -> i64| -> Vec<f64> {
        let mut values: Vec<i64> = executors.iter().map(value).collect();
        values.sort_unstable();
        of_executors.iter().map(|place| values[*place] as f64).collect()
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
        o.object("peakMemoryMetrics", |o| {
            for (metric, name) in super::show::peak_names(view)
                .iter()
                .enumerate()
                .filter(|_| !peaks.is_empty())
            {
                let mut values: Vec<i64> = peaks.iter().map(|peaks| peaks[metric]).collect();
                values.sort_unstable();
                o.scalars(name, of_peaks.iter().map(|place| values[*place] as f64));
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
            (-0.5, 4, -2),
            (f64::INFINITY, 4, 3),
        ] {
            assert_eq!(place(quantile, count), expected, "{quantile} of {count}");
        }
    }

    #[test]
    fn values_at_places() {
        let nan = f64::NAN;
        for (quantiles, count, length, expected) in [
            (&[0.0, 0.5, 1.0][..], 4, 4, vec![0.0, 2.0, 3.0]),
            (&[0.5, 0.6, 0.7], 2, 2, vec![1.0, 1.0, 1.0]),
            (&[0.5, 1.0], 4, 3, vec![2.0, nan]),
            (&[-0.25, 0.0], 4, 4, vec![nan, 0.0]),
            (&[-0.5, 0.0], 4, 4, vec![0.0, 2.0]),
            (&[f64::NEG_INFINITY, 1.0], 4, 4, vec![0.0, 1.0]),
            (&[], 4, 4, vec![]),
        ] {
            let found = at_places(quantiles, count, length, |at| at as i64);
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{quantiles:?}");
        }
    }
}
