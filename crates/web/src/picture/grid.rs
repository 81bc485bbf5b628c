//! How busy executors were over time: cells, not tasks, so that a million tasks are as many elements as ten.

use std::collections::HashMap;
use std::io;

use stoke_history::model::View;
use stoke_history::model::data::StageKey;
use stoke_history::model::task::Task;

/// Cells of a lane.
pub const CELLS: usize = 120;
/// Tasks that are looked at for a picture, at most.
pub const MOST_TASKS: i64 = 2_000_000;
/// Lanes, at most.
pub const LANES: usize = 32;

/// Milliseconds in tasks, by executor and cell.
#[derive(Debug, Default)]
pub struct Grid {
    /// From when, in milliseconds since 1970.
    pub from: i64,
    /// Milliseconds of a cell.
    pub step: i64,
    lanes: HashMap<String, Vec<i64>>,
}

/// A grid while tasks come.
#[derive(Debug)]
pub struct Filling {
    from: i64,
    step: i64,
    /// By the place of the executor's name.
    lanes: HashMap<u32, Vec<i64>>,
}

impl Filling {
    /// An empty one, from one moment to another.
    pub fn over((from, until): (i64, i64)) -> Filling {
        let cells = i64::try_from(CELLS).unwrap_or(1);
        Filling {
            from,
            step: ((until - from + cells) / cells).max(1),
            lanes: HashMap::new(),
        }
    }

    /// Adds a task.
    pub fn add(&mut self, task: &Task) {
        let lane = self.lanes.entry(task.executor).or_insert_with(|| vec![0; CELLS]);
        add(lane, task.launched - self.from, task.duration, self.step);
    }

    /// Adds what another one over the same time has.
    pub fn merge(&mut self, other: Filling) {
        for (executor, lane) in other.lanes {
            let sums = self.lanes.entry(executor).or_insert_with(|| vec![0; CELLS]);
            sums.iter_mut().zip(lane).for_each(|(sum, more)| *sum += more);
        }
    }

    /// The grid, when there are no more.
    pub fn done(self, view: &View) -> Grid {
        let named = self
            .lanes
            .into_iter()
            .map(|(place, lane)| (view.name(place).to_owned(), lane));
        Grid {
            from: self.from,
            step: self.step,
            lanes: named.collect(),
        }
    }
}

impl Grid {
    /// Looks at the tasks of some stage attempts.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn of(view: &View, stages: impl Iterator<Item = StageKey>, span: (i64, i64)) -> io::Result<Grid> {
        let mut grid = Filling::over(span);
        for key in stages {
            let parts = view.look_at_tasks(key, || Filling::over(span), Filling::add)?;
            parts.into_iter().for_each(|part| grid.merge(part));
        }
        Ok(grid.done(view))
    }

    /// How busy an executor with this many slots was: first cell, cells, and a level from 1 to 5, for each run of cells of the same level.
    pub fn runs(&self, executor: &str, slots: i32) -> Vec<(usize, usize, u8)> {
        let Some(lane) = self.lanes.get(executor) else {
            return Vec::new();
        };
        let full = (self.step * i64::from(slots.max(1))).max(1);
        let level = |busy: i64| u8::try_from((busy * 5 + full - 1) / full).unwrap_or(5).min(5);
        let mut runs: Vec<(usize, usize, u8)> = Vec::new();
        for (place, busy) in lane.iter().enumerate() {
            let level = level(*busy);
            match runs.last_mut() {
                Some((first, length, same)) if *same == level && *first + *length == place => *length += 1,
                _ if level > 0 => runs.push((place, 1, level)),
                _ => {}
            }
        }
        runs
    }
}

/// Adds a span to the cells it touches.
fn add(lane: &mut [i64], from: i64, length: i64, step: i64) {
    let (from, until) = (from.max(0), (from + length).max(0));
    let mut at = from;
    while at < until {
        let cell = at / step;
        let Some(sum) = usize::try_from(cell).ok().and_then(|cell| lane.get_mut(cell)) else {
            return;
        };
        let next = ((cell + 1) * step).min(until);
        *sum += next - at;
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_fall_into_cells() {
        let mut lane = vec![0; 4];
        add(&mut lane, 5, 20, 10);
        add(&mut lane, -5, 8, 10);
        add(&mut lane, 39, 1000, 10);
        add(&mut lane, 0, 0, 10);
        assert_eq!(lane, [8, 10, 5, 1]);
    }

    #[test]
    fn runs_of_the_same_level() {
        let lane = [vec![0, 10, 10, 5, 0, 1], vec![0; CELLS - 6]].concat();
        let grid = Grid {
            from: 0,
            step: 10,
            lanes: HashMap::from([("1".to_owned(), lane)]),
        };
        assert_eq!(grid.runs("1", 1), [(1, 2, 5), (3, 1, 3), (5, 1, 1)]);
        assert_eq!(grid.runs("1", 2), [(1, 2, 3), (3, 1, 2), (5, 1, 1)]);
        assert_eq!(grid.runs("2", 1), []);
    }
}
