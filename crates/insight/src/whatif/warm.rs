//! What an executor takes longer for its first tasks of a stage: it fetches the stage's code, loads and compiles it.
//!
//! A run with more executors pays this more often. It is told from the recorded tasks by their place among those of their executor: in
//! the first round (one task for each slot), the second, the third and fourth, and so on, each span as long as all before it.

use std::collections::BTreeMap;

use super::graph::{Taken, slots_of};
use crate::doctor::performance::quantile;
use crate::facts::Run;

/// Spans of rounds that are looked at: the last begins after 128 of them.
const SPANS: usize = 9;
/// Tasks a span must have to be judged.
const FEW: usize = 2;
/// Tasks of a span from which their lower quartile is set against the upper one of what came later; fewer must be above nearly all of it.
const SOME: usize = 8;

/// Milliseconds a task takes longer, by span; empty where that cannot be determined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Warmth(Vec<u32>);

impl Warmth {
    /// Whether any task takes longer.
    pub(super) fn matters(&self) -> bool {
        self.0.iter().any(|longer| *longer > 0)
    }

    /// For the `place`-th task of a stage on an executor of so many slots.
    pub(super) fn cold(&self, place: u32, slots: u32) -> u32 {
        self.0.get(span(place, slots)).copied().unwrap_or(0)
    }
}

fn span(place: u32, slots: u32) -> usize {
    let rounds = place / slots.max(1);
    match rounds {
        0 => 0,
        rounds => (rounds.ilog2() as usize + 1).min(SPANS - 1),
    }
}

/// What executors took longer for their first tasks, and in each task its part of it. A span counts as longer when its lower quartile is
/// above the upper quartile of what came later, or nearly all of it: tasks that merely differ are not taken for cold ones.
pub(super) fn warmth(run: &Run, cpus: u32, executors: &[u32], tasks: &mut [Taken]) -> Warmth {
    let mut places: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    let mut spans: Vec<Vec<usize>> = vec![Vec::new(); SPANS];
    for (index, executor) in executors.iter().enumerate() {
        let (place, slots) = places
            .entry(*executor)
            .or_insert_with(|| (0, u32::try_from(slots_of(run, *executor, cpus)).unwrap_or(u32::MAX)));
        spans[span(*place, *slots)].push(index);
        *place += 1;
    }
    let sorted = |indices: &[usize], tasks: &[Taken]| {
        let mut own: Vec<u64> = indices.iter().map(|index| u64::from(tasks[*index].own)).collect();
        own.sort_unstable();
        own
    };
    let mut longer = vec![0; SPANS];
    let mut least = [0; SPANS];
    let mut later: Vec<u64> = Vec::new();
    for span in (0..SPANS).rev() {
        let own = sorted(&spans[span], tasks);
        let above = if own.len() < SOME { 0.95 } else { 0.75 };
        if own.len() >= FEW && later.len() >= FEW && quantile(&own, 0.25) > quantile(&later, above) {
            let milliseconds = |time: u64| u32::try_from(time).unwrap_or(u32::MAX);
            longer[span] = milliseconds(quantile(&own, 0.5) - quantile(&later, 0.5));
            least[span] = milliseconds(quantile(&later, 0.25));
        }
        // Two runs that are in order already.
        later.extend(own);
        later.sort();
    }
    for (span, indices) in spans.iter().enumerate() {
        for index in indices {
            let task = &mut tasks[*index];
            task.cold = longer[span].min(task.own.saturating_sub(least[span]));
        }
    }
    Warmth(longer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    /// Tasks of two executors of two slots, launched in turn, by the time each takes on its executor.
    fn told(own: impl Iterator<Item = u32>) -> (Warmth, Vec<Taken>) {
        let run = fixture::run(2, 2, 100_000);
        let mut tasks: Vec<Taken> = own
            .map(|own| Taken {
                own,
                ..Taken::default()
            })
            .collect();
        let executors: Vec<u32> = (0..tasks.len() as u32).map(|index| index % 2).collect();
        (warmth(&run, 1, &executors, &mut tasks), tasks)
    }

    #[test]
    fn first_tasks_that_are_clearly_longer_are_cold() {
        let (warmth, tasks) = told((0..40).map(|index| if index < 4 { 900 + index } else { 100 + index % 7 }));
        assert_eq!((warmth.cold(0, 2), warmth.cold(2, 2), warmth.cold(500, 2)), (798, 0, 0));
        assert!(tasks[..4].iter().all(|task| (100..=110).contains(&task.warm())));
        assert!(tasks[4..].iter().all(|task| task.cold == 0));
        // On executors of four slots the first four tasks of each are in the first round.
        assert_eq!((warmth.cold(3, 4), warmth.cold(4, 4)), (798, 0));
    }

    #[test]
    fn tasks_that_differ_are_not_cold() {
        let (warmth, tasks) = told((0..40u32).map(|index| 1_000 + (index.wrapping_mul(2_654_435_761) >> 8) % 2_000));
        assert_eq!(warmth.cold(0, 2), 0);
        assert!(tasks.iter().all(|task| task.cold == 0));
        // One round tells nothing.
        assert_eq!(told([900, 901, 902, 903].into_iter()).0.cold(0, 2), 0);
    }

    #[test]
    fn a_long_task_among_the_first_stays_long() {
        let own = (0..40).map(|index| match index {
            0 => 20_000,
            1..4 => 900,
            _ => 100,
        });
        let (warmth, tasks) = told(own);
        assert_eq!((warmth.cold(0, 2), tasks[0].warm()), (800, 19_200));
    }
}
