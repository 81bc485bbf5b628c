//! Garbage collection and memory over time: sums and peaks of cells, so that a million tasks are as many numbers as ten.

use std::io;

use stoke_history::model::View;
use stoke_history::model::metrics::at;

/// Cells of the time.
pub const CELLS: usize = 60;

/// What executors did in a part of the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// Milliseconds in tasks.
    pub tasks: i64,
    /// Milliseconds of garbage collection while they ran.
    pub gc: i64,
    /// The fullest heap of an executor, in bytes.
    pub heap: i64,
    /// The largest process of an executor, in bytes, where Spark was told to look.
    pub process: i64,
}

/// All of the time.
#[derive(Debug, Default)]
pub struct Load {
    /// From when, in milliseconds since 1970.
    pub from: i64,
    /// Milliseconds of a cell.
    pub step: i64,
    /// Its parts.
    pub cells: Vec<Cell>,
}

impl Load {
    /// Looks at every task and every stage. A task's garbage collection is spread evenly over it, and a stage's peaks are taken to be of all
    /// of its time: logs do not say when in it.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn of(view: &View, (from, until): (i64, i64)) -> io::Result<Load> {
        let count = i64::try_from(CELLS).unwrap_or(1);
        let step = ((until - from + count) / count).max(1);
        let empty = || Load {
            from,
            step,
            cells: vec![Cell::default(); CELLS],
        };
        let mut load = empty();
        for stage in view.stages() {
            let key = (stage.id, stage.attempt);
            let parts = view.look_at_tasks(key, empty, |part, task| {
                let gc = task.metrics.as_ref().map_or(0, |metrics| metrics.get(at::GC_TIME));
                part.add(task.launched - from, task.duration, gc);
            })?;
            for part in parts {
                for (cell, more) in load.cells.iter_mut().zip(&part.cells) {
                    cell.tasks += more.tasks;
                    cell.gc += more.gc;
                }
            }
            let Some(begin) = stage.submitted else {
                continue;
            };
            let cells = load.between(begin - from, stage.completed.unwrap_or(until) - from);
            for done in view.stage_executors(key)?.values() {
                let peak = |name: &str| done.peaks.get(name).unwrap_or(0);
                let (heap, process) = (peak("JVMHeapMemory"), peak("ProcessTreeJVMRSSMemory"));
                for cell in &mut load.cells[cells.clone()] {
                    cell.heap = cell.heap.max(heap);
                    cell.process = cell.process.max(process);
                }
            }
        }
        Ok(load)
    }

    /// The cells of a span.
    fn between(&self, from: i64, until: i64) -> std::ops::Range<usize> {
        let cell = |at: i64| usize::try_from(at.max(0) / self.step).unwrap_or(0);
        let begin = cell(from).min(self.cells.len());
        begin..(cell(until) + 1).clamp(begin, self.cells.len())
    }

    fn add(&mut self, from: i64, length: i64, gc: i64) {
        let until = from + length.max(0);
        for place in self.between(from, until) {
            let begin = i64::try_from(place).unwrap_or(0) * self.step;
            let within = (until.min(begin + self.step) - from.max(begin)).max(0);
            self.cells[place].tasks += within;
            self.cells[place].gc += (i128::from(gc) * i128::from(within) / i128::from(length.max(1))) as i64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_collection_is_spread_over_its_task() {
        let mut load = Load {
            from: 0,
            step: 10,
            cells: vec![Cell::default(); 4],
        };
        load.add(5, 20, 10);
        load.add(35, 1000, 1000);
        load.add(-20, 5, 5);
        let told: Vec<(i64, i64)> = load.cells.iter().map(|cell| (cell.tasks, cell.gc)).collect();
        assert_eq!(told, [(5, 2), (10, 5), (5, 2), (5, 5)]);
    }
}
