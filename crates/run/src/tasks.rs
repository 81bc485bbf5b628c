//! Tasks from their start to their end.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use stoke_eventlog::event::{TaskEnd, TaskEndReason, TaskInfo, TaskStart};

use crate::metrics::Metrics;
use crate::task::{Counts, Ending, Outcome, Task};
use crate::{Names, StageKey};

/// Applies the events of tasks: keeps those that run, and gives each as a row when it ends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tasks {
    begun: HashMap<i64, RunningTask>,
    names: Names,
    /// Places of the names of the task that started last: the next one's are mostly the same.
    latest: [u32; 3],
}

/// A task attempt that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunningTask {
    stage: StageKey,
    index: i32,
    attempt: i32,
    partition: i32,
    launched: i64,
    getting_result: i64,
    /// Places of the names of its executor, host and locality.
    names: [u32; 3],
    speculative: bool,
}

/// When a result began to be fetched as rows have it.
fn result_fetch(getting_result: i64) -> i64 {
    match getting_result > 0 {
        true => getting_result,
        false => -1,
    }
}

impl RunningTask {
    /// The stage attempt it is of.
    pub fn stage(&self) -> StageKey {
        self.stage
    }

    /// As a row, as of `now` (milliseconds since 1970); `id` is its id.
    pub fn row(&self, id: i64, now: i64) -> Task {
        let [executor, host, locality] = self.names;
        Task {
            id,
            index: self.index,
            attempt: self.attempt,
            partition: self.partition,
            launched: self.launched,
            result_fetch: result_fetch(self.getting_result),
            duration: now.wrapping_sub(self.launched),
            executor,
            host,
            locality,
            status: Outcome::before_end(self.getting_result.max(0)),
            speculative: self.speculative,
            metrics: None,
            accumulators: Vec::new(),
            error: None,
        }
    }
}

impl Tasks {
    /// A task started.
    pub fn start(&mut self, event: &TaskStart) {
        let info = &event.info;
        let names = self.places(self.latest, info);
        self.latest = names;
        let begun = RunningTask {
            stage: (event.stage, event.attempt),
            index: info.index,
            attempt: info.attempt,
            partition: info.partition,
            launched: info.launched,
            getting_result: info.getting_result,
            names,
            speculative: info.speculative,
        };
        self.begun.insert(info.id, begun);
    }

    /// The driver fetches the result of a task.
    pub fn getting_result(&mut self, info: &TaskInfo) {
        if let Some(task) = self.begun.get_mut(&info.id) {
            task.getting_result = info.getting_result;
        }
    }

    /// A task ended.
    pub fn end(&mut self, event: TaskEnd) -> Ending {
        let begun = self.begun.remove(&event.info.id);
        let before = begun.as_ref().map_or(self.latest, |begun| begun.names);
        let [executor, host, locality] = self.places(before, &event.info);
        let info = event.info;
        Ending {
            stage: (event.stage, event.attempt),
            begun: begun.map(|begun| begun.stage),
            outcome: Outcome::at_end(&info),
            counts: Counts::of(&event.reason),
            finished: info.finished,
            peaks: event.peaks.unwrap_or_default(),
            task: Task {
                id: info.id,
                index: info.index,
                attempt: info.attempt,
                partition: info.partition,
                launched: info.launched,
                result_fetch: result_fetch(info.getting_result),
                duration: info.finished.wrapping_sub(info.launched),
                executor,
                host,
                locality,
                status: Outcome::of(&info),
                speculative: info.speculative,
                metrics: Some(event.metrics.as_ref().map(Metrics::of).unwrap_or_default()),
                accumulators: info.accumulables.named,
                error: None,
            },
            failure: match event.reason {
                TaskEndReason::Success => None,
                TaskEndReason::Failed(failure) => Some(failure),
            },
            executor: info.executor,
            sql: info.accumulables.sql,
        }
    }

    fn places(&mut self, before: [u32; 3], info: &TaskInfo) -> [u32; 3] {
        let [executor, host, locality] = before;
        [
            self.names.again(executor, &info.executor),
            self.names.again(host, &info.host),
            self.names.again(locality, &info.locality),
        ]
    }

    /// Those that run, with their ids, in no order.
    pub fn running(&self) -> impl ExactSizeIterator<Item = (i64, &RunningTask)> {
        self.begun.iter().map(|(id, begun)| (*id, begun))
    }

    /// The names behind the places in rows.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Likewise, to add some.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }
}
