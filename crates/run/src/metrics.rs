//! Sums and peaks of task and executor metrics.

use serde::{Deserialize, Serialize};
use stoke_eventlog::event::{EXECUTOR_METRICS, ExecutorMetrics, TaskMetrics};

/// How many numbers a task's metrics are.
pub const COUNT: usize = 35;

/// A task's metrics, or the sum of many, as numbers by place. The places are named by [`at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics(pub [i64; COUNT]);

impl Default for Metrics {
    fn default() -> Self {
        Metrics::ZERO
    }
}

/// Places of metrics, in the order of Spark's status API.
pub mod at {
    pub const DESERIALIZE_TIME: usize = 0;
    pub const DESERIALIZE_CPU_TIME: usize = 1;
    pub const RUN_TIME: usize = 2;
    pub const CPU_TIME: usize = 3;
    pub const RESULT_SIZE: usize = 4;
    pub const GC_TIME: usize = 5;
    pub const RESULT_SERIALIZATION_TIME: usize = 6;
    pub const MEMORY_SPILLED: usize = 7;
    pub const DISK_SPILLED: usize = 8;
    pub const PEAK_EXECUTION_MEMORY: usize = 9;
    pub const INPUT_BYTES: usize = 10;
    pub const INPUT_RECORDS: usize = 11;
    pub const OUTPUT_BYTES: usize = 12;
    pub const OUTPUT_RECORDS: usize = 13;
    pub const REMOTE_BLOCKS: usize = 14;
    pub const LOCAL_BLOCKS: usize = 15;
    pub const FETCH_WAIT_TIME: usize = 16;
    pub const REMOTE_BYTES: usize = 17;
    pub const REMOTE_BYTES_TO_DISK: usize = 18;
    pub const LOCAL_BYTES: usize = 19;
    pub const READ_RECORDS: usize = 20;
    pub const REMOTE_REQUESTS: usize = 21;
    pub const CORRUPT_CHUNKS: usize = 22;
    pub const FALLBACKS: usize = 23;
    pub const MERGED_REMOTE_BLOCKS: usize = 24;
    pub const MERGED_LOCAL_BLOCKS: usize = 25;
    pub const MERGED_REMOTE_CHUNKS: usize = 26;
    pub const MERGED_LOCAL_CHUNKS: usize = 27;
    pub const MERGED_REMOTE_BYTES: usize = 28;
    pub const MERGED_LOCAL_BYTES: usize = 29;
    pub const MERGED_REMOTE_REQUESTS: usize = 30;
    pub const WRITE_BYTES: usize = 31;
    pub const WRITE_TIME: usize = 32;
    pub const WRITE_RECORDS: usize = 33;
    /// Not a metric of Spark's: keeps the count even for the encoding of rows.
    pub const SPARE: usize = 34;
}

impl Metrics {
    /// Nothing was measured.
    pub const ZERO: Metrics = Metrics([0; COUNT]);

    /// The metrics of one task.
    #[inline]
    pub fn of(task: &TaskMetrics) -> Self {
        let (read, push) = (&task.shuffle_read, &task.shuffle_read.push);
        Metrics([
            task.deserialize_time,
            task.deserialize_cpu_time,
            task.run_time,
            task.cpu_time,
            task.result_size,
            task.gc_time,
            task.result_serialization_time,
            task.memory_spilled,
            task.disk_spilled,
            task.peak_execution_memory,
            task.input.bytes,
            task.input.records,
            task.output.bytes,
            task.output.records,
            read.remote_blocks,
            read.local_blocks,
            read.fetch_wait_time,
            read.remote_bytes,
            read.remote_bytes_to_disk,
            read.local_bytes,
            read.records,
            read.remote_requests_duration,
            push.corrupt_chunks,
            push.fallbacks,
            push.remote_blocks,
            push.local_blocks,
            push.remote_chunks,
            push.local_chunks,
            push.remote_bytes,
            push.local_bytes,
            push.remote_requests_duration,
            task.shuffle_write.bytes,
            task.shuffle_write.time,
            task.shuffle_write.records,
            0,
        ])
    }

    /// Adds another's numbers. Sums wrap as the JVM's do.
    #[inline]
    pub fn add(&mut self, other: &Metrics) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_add(more);
        }
    }

    /// The sum of the numbers at two places, which wraps too.
    #[inline]
    pub fn sum(&self, one: usize, other: usize) -> i64 {
        self.get(one).wrapping_add(self.get(other))
    }

    /// The number at a place.
    #[inline]
    pub fn get(&self, place: usize) -> i64 {
        self.0.get(place).copied().unwrap_or(0)
    }
}

impl Serialize for Metrics {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0[..].serialize(to)
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let numbers = Vec::<i64>::deserialize(from)?;
        let numbers = numbers
            .try_into()
            .map_err(|_| serde::de::Error::custom("not the metrics of a task"))?;
        Ok(Metrics(numbers))
    }
}

fn place_of(name: &str) -> Option<usize> {
    EXECUTOR_METRICS.iter().position(|known| *known == name)
}

/// The first number while there is none.
const UNSET: i64 = -1;

/// Peaks of an executor: over tasks, stages and heartbeats, whatever the log has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peaks(Option<Box<[i64; EXECUTOR_METRICS.len()]>>);

impl Peaks {
    /// Takes higher numbers over (`ExecutorMetrics.compareAndUpdatePeakValues`): whether any was higher.
    pub fn update(&mut self, seen: &ExecutorMetrics) -> bool {
        let peaks = self.0.get_or_insert_with(|| {
            let mut unset = [0; EXECUTOR_METRICS.len()];
            unset[0] = UNSET;
            Box::new(unset)
        });
        let mut higher = false;
        for (peak, now) in peaks.iter_mut().zip(seen.0) {
            if now > *peak {
                *peak = now;
                higher = true;
            }
        }
        higher
    }

    /// The number of a name in [`EXECUTOR_METRICS`], when there were any.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.numbers().and_then(|numbers| numbers.get(place_of(name)?).copied())
    }

    /// The number of a name in [`EXECUTOR_METRICS`]; 0 when it was not recorded.
    pub fn highest(&self, name: &str) -> u64 {
        let numbers = self.0.as_deref();
        let number = numbers.and_then(|numbers| numbers.get(place_of(name)?));
        number.map_or(0, |number| (*number).max(0).unsigned_abs())
    }

    /// Every number, to limit it.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut i64> {
        self.0.iter_mut().flat_map(|numbers| numbers.iter_mut())
    }

    /// The numbers, when there were any (`ExecutorMetrics.isSet`).
    pub fn numbers(&self) -> Option<&[i64; EXECUTOR_METRICS.len()]> {
        self.0.as_deref().filter(|numbers| numbers[0] > UNSET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_there_once_the_heap_was_measured() {
        let seen = |heap: i64, other: i64| {
            let mut numbers = [0; EXECUTOR_METRICS.len()];
            (numbers[0], numbers[5]) = (heap, other);
            ExecutorMetrics(numbers)
        };
        let mut peaks = Peaks::default();
        assert!(!peaks.update(&seen(-1, 0)) && peaks.numbers().is_none());
        assert!(peaks.update(&seen(-1, 7)) && peaks.numbers().is_none());
        assert!(peaks.update(&seen(0, 3)) && !peaks.update(&seen(-5, 7)));
        assert_eq!(peaks.numbers(), Some(&seen(0, 7).0));
        assert_eq!(
            (peaks.get(EXECUTOR_METRICS[5]), peaks.highest(EXECUTOR_METRICS[5])),
            (Some(7), 7)
        );
    }

    #[test]
    fn a_peak_without_the_heap_is_still_one() {
        let mut numbers = [0; EXECUTOR_METRICS.len()];
        (numbers[0], numbers[5]) = (-1, 7);
        let mut peaks = Peaks::default();
        assert_eq!(peaks.highest(EXECUTOR_METRICS[5]), 0);
        peaks.update(&ExecutorMetrics(numbers));
        assert_eq!(
            (peaks.get(EXECUTOR_METRICS[5]), peaks.highest(EXECUTOR_METRICS[5])),
            (None, 7)
        );
        assert_eq!(
            (peaks.highest(EXECUTOR_METRICS[0]), peaks.highest("no such metric")),
            (0, 0)
        );
        peaks.each_mut().for_each(|number| *number = (*number).min(5));
        assert_eq!(peaks.highest(EXECUTOR_METRICS[5]), 5);
    }
}
