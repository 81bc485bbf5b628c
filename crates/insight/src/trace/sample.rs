//! Which tasks of a stage become spans.

use crate::facts::run::{Outcome, Stage};

/// Task spans of a whole trace, at most.
pub const MOST: usize = 4_000;
/// Task spans of a stage attempt, at most.
pub const MOST_OF_STAGE: usize = 40;
/// Of them, the slowest.
pub const SLOWEST: usize = 5;
/// Of them, failed ones at most.
pub const FAILED: usize = 15;

/// Why a task became a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its attempt failed.
    Failed,
    /// It is one of the slowest.
    Slowest,
    /// It is every so manieth of its stage attempt, in the order tasks were launched.
    Systematic,
}

impl Why {
    /// As an attribute has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Failed => "failed",
            Why::Slowest => "slowest",
            Why::Systematic => "systematic",
        }
    }
}

/// The sample of a stage attempt: places of its tasks in their order, each with the reason, and the step of the systematic part (1 is every task).
pub(super) fn of(stage: &Stage, stages: usize) -> (Vec<(usize, Why)>, usize) {
    let most = (MOST / stages.max(1)).clamp(1, MOST_OF_STAGE);
    let mut order: Vec<usize> = (0..stage.tasks.len()).collect();
    order.sort_by_key(|place| {
        (
            stage.tasks[*place].launched,
            stage.tasks[*place].index,
            stage.tasks[*place].attempt,
        )
    });
    let mut chosen: Vec<Option<Why>> = vec![None; stage.tasks.len()];
    let mut left = most;
    if stage.tasks.len() <= most {
        chosen.fill(Some(Why::Systematic));
        left = 0;
    }
    let failed = order
        .iter()
        .filter(|place| stage.tasks[**place].outcome == Outcome::Failed);
    for place in failed.take(if left == 0 { usize::MAX } else { FAILED.min(left) }) {
        chosen[*place] = Some(Why::Failed);
        left = left.saturating_sub(1);
    }
    let mut slowest = order.clone();
    slowest.sort_by_key(|place| std::cmp::Reverse(stage.tasks[*place].duration));
    for place in slowest
        .into_iter()
        .filter(|_| stage.tasks.len() > most)
        .take(SLOWEST.min(left))
    {
        if chosen[place].is_none() {
            chosen[place] = Some(Why::Slowest);
            left -= 1;
        }
    }
    let step = match stage.tasks.len() <= most {
        true => 1,
        false => stage.tasks.len().div_ceil(left.max(1)),
    };
    if stage.tasks.len() > most && left > 0 {
        for place in order.iter().step_by(step) {
            chosen[*place].get_or_insert(Why::Systematic);
        }
    }
    let sample = chosen
        .into_iter()
        .enumerate()
        .filter_map(|(place, why)| Some((place, why?)));
    (sample.collect(), step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::run::Task;

    #[test]
    fn a_sample_is_bounded_and_has_the_slowest_and_the_failed() {
        for count in [0usize, 1, 40, 41, 1_000, 100_000] {
            let tasks = (0..count).map(|place| Task {
                launched: place as u64,
                duration: if place == count / 2 { 99_999 } else { 10 },
                outcome: if place == count / 3 {
                    Outcome::Failed
                } else {
                    Outcome::Succeeded
                },
                ..Task::default()
            });
            let stage = Stage {
                tasks: tasks.collect(),
                ..Stage::default()
            };
            let (sample, step) = of(&stage, 1);
            assert!(
                sample.len() <= MOST_OF_STAGE && sample.len() >= count.min(20),
                "{count}: {}",
                sample.len()
            );
            assert!(count <= 40 || step > 1);
            if count > 1 {
                assert!(sample.contains(&(count / 3, Why::Failed)), "{count}");
                assert!(sample.iter().any(|(place, _)| *place == count / 2), "{count}");
            }
        }
        let stage = Stage {
            tasks: vec![Task::default(); 100],
            ..Stage::default()
        };
        assert_eq!(of(&stage, 1_000_000).0.len(), 1);
    }
}
