//! What is still changing: jobs, stages and tasks between their first and last event.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::data::{ExecutorStage, Job, Speculation, Stage};

/// A set of task indices.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Indices {
    bits: Vec<u64>,
    far: BTreeSet<i32>,
    count: i32,
}

/// Indices kept as bits; a stage has fewer tasks than this, and a damaged index must not take memory.
const NEAR: i32 = 1 << 22;

impl Indices {
    pub(super) fn insert(&mut self, index: i32) {
        let new = if (0..NEAR).contains(&index) {
            let (word, bit) = (index as usize / 64, index % 64);
            if word >= self.bits.len() {
                self.bits.resize(word + 1, 0);
            }
            let before = self.bits[word];
            self.bits[word] |= 1 << bit;
            before != self.bits[word]
        } else {
            self.far.insert(index)
        };
        self.count += i32::from(new);
    }

    pub(super) fn contains(&self, index: i32) -> bool {
        match (0..NEAR).contains(&index) {
            true => self
                .bits
                .get(index as usize / 64)
                .is_some_and(|word| word & (1 << (index % 64)) != 0),
            false => self.far.contains(&index),
        }
    }

    pub(super) fn len(&self) -> i32 {
        self.count
    }
}

/// A job that runs, or one that ended while a stage of it has tasks running.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LiveJob {
    pub(super) job: Job,
    /// By stage.
    pub(super) indices: BTreeMap<i32, Indices>,
    pub(super) skipped: BTreeSet<i32>,
    pub(super) completed: BTreeSet<i32>,
    pub(super) ended: bool,
}

impl LiveJob {
    /// The job as it is shown now.
    pub(super) fn view(&self) -> Job {
        Job {
            completed_indices: self.indices.values().map(Indices::len).sum(),
            completed_stages: self.completed.len() as i32,
            skipped_stages: self.skipped.len() as i32,
            ..self.job.clone()
        }
    }
}

/// A stage attempt that waits or runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LiveStage {
    pub(super) stage: Stage,
    pub(super) jobs: Vec<i32>,
    pub(super) indices: Indices,
    pub(super) executors: BTreeMap<CompactString, ExecutorStage>,
    pub(super) excluded: BTreeSet<CompactString>,
    pub(super) speculation: Option<Speculation>,
    /// Tasks begun and not dropped.
    pub(super) saved: i64,
}

impl LiveStage {
    pub(super) fn view(&self) -> Stage {
        Stage {
            completed_indices: self.indices.len(),
            ..self.stage.clone()
        }
    }

    pub(super) fn executor(&mut self, id: &CompactString) -> &mut ExecutorStage {
        self.executors.entry(id.clone()).or_default()
    }
}
