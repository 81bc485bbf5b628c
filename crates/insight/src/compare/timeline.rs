//! Every moment of a run given to one cause.

use std::collections::BTreeMap;

use crate::facts::Run;
use crate::facts::run::Outcome;

/// The time of a stage, all its attempts together. Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTime {
    /// Of the wall clock: moments in which it was the earliest stage with a running task.
    pub wall: i64,
    /// Of those, moments in which all it ran was to make good a loss: attempts that failed or were killed, and attempts after the first.
    pub repair: i64,
    /// Of task attempts that succeeded, within `wall` and outside `repair`: a second with two tasks counts two.
    pub busy: i64,
    /// Of attempts that failed or were killed, likewise.
    pub lost: i64,
    /// The most of its tasks that ran at once, and at most as many as there was room for.
    pub slots: u32,
}

/// A run's wall clock, divided. `start_up + driver + waiting +` the `wall` of the stages is the run's duration. Milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// From the driver's start to the first job.
    pub start_up: i64,
    /// After that, without a job.
    pub driver: i64,
    /// With a job, and without a task.
    pub waiting: i64,
    /// With tasks.
    pub stages: BTreeMap<i32, StageTime>,
    /// The most tasks there was room for: cores of the executors that were there at once, by the cores a task takes.
    pub slots: u32,
}

/// What a task attempt is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The first of its task, and it succeeded or still runs.
    First,
    /// A later one that succeeded or still runs, or one of a later attempt of the stage.
    Again,
    /// It failed or was killed.
    Lost,
}

/// Running attempts of a stage.
#[derive(Clone, Copy, Default)]
struct Running {
    first: u32,
    again: u32,
    lost: u32,
}

impl Running {
    fn count(&mut self, what: What) -> &mut u32 {
        match what {
            What::First => &mut self.first,
            What::Again => &mut self.again,
            What::Lost => &mut self.lost,
        }
    }

    fn all(self) -> u32 {
        self.first + self.again + self.lost
    }
}

/// What changes at a moment. Ends come before starts, so that a task after a task is not two at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    TaskEnds { stage: i32, what: What },
    JobEnds,
    JobStarts,
    TaskStarts { stage: i32, what: What },
}

impl Timeline {
    /// The timeline of a run.
    pub fn of(run: &Run) -> Timeline {
        let duration = run.duration();
        let mut turns = turns(run, duration);
        turns.sort_unstable();
        turns.push((duration, Turn::JobEnds));
        let mut timeline = Timeline::default();
        let mut running: BTreeMap<i32, Running> = BTreeMap::new();
        let (mut jobs, mut begun, mut now) = (0u32, false, 0i64);
        for (time, turn) in turns {
            timeline.pass(time - now, begun, jobs, &running);
            now = time;
            match turn {
                Turn::JobStarts => {
                    jobs += 1;
                    begun = true;
                }
                Turn::JobEnds => jobs = jobs.saturating_sub(1),
                Turn::TaskStarts { stage, what } => {
                    let running = running.entry(stage).or_default();
                    *running.count(what) += 1;
                    begun = true;
                    let time = timeline.stages.entry(stage).or_default();
                    time.slots = time.slots.max(running.all());
                }
                Turn::TaskEnds { stage, what } => {
                    if let Some(state) = running.get_mut(&stage) {
                        let count = state.count(what);
                        *count = count.saturating_sub(1);
                        if state.all() == 0 {
                            running.remove(&stage);
                        }
                    }
                }
            }
        }
        timeline.slots = room(run);
        // The driver hears of an end a moment after the slot is free, so that more tasks than there is room for seem to run.
        for time in timeline.stages.values_mut().filter(|_| timeline.slots > 0) {
            time.slots = time.slots.min(timeline.slots);
        }
        timeline
    }

    fn pass(&mut self, time: i64, begun: bool, jobs: u32, running: &BTreeMap<i32, Running>) {
        if time <= 0 {
            return;
        }
        match running.first_key_value() {
            Some((stage, running)) => {
                let stage = self.stages.entry(*stage).or_default();
                stage.wall += time;
                match running.first {
                    0 if running.again + running.lost > 0 => stage.repair += time,
                    _ => {
                        stage.busy += time * i64::from(running.first + running.again);
                        stage.lost += time * i64::from(running.lost);
                    }
                }
            }
            None if jobs > 0 => self.waiting += time,
            None if begun => self.driver += time,
            None => self.start_up += time,
        }
    }
}

fn turns(run: &Run, duration: i64) -> Vec<(i64, Turn)> {
    let mut turns = Vec::new();
    let clamp = |time: i64| time.clamp(0, duration);
    for job in run.jobs.values() {
        let ended = job.ended.unwrap_or(run.end());
        turns.push((clamp(job.started - run.started), Turn::JobStarts));
        turns.push((clamp(ended.max(job.started) - run.started), Turn::JobEnds));
    }
    for ((stage, attempt), facts) in &run.stages {
        for task in &facts.tasks {
            let from = clamp(i64::try_from(task.launched).unwrap_or(duration));
            let until = match task.outcome {
                Outcome::Running | Outcome::GetResult => duration,
                _ => clamp(i64::try_from(task.ended()).unwrap_or(duration)),
            };
            let again = *attempt > 0 || (task.attempt > 0 && !task.speculative);
            let what = match task.outcome {
                Outcome::Failed | Outcome::Killed => What::Lost,
                _ if again => What::Again,
                _ => What::First,
            };
            if until > from {
                turns.push((from, Turn::TaskStarts { stage: *stage, what }));
                turns.push((until, Turn::TaskEnds { stage: *stage, what }));
            }
        }
    }
    turns
}

/// The most tasks that executors had room for at once. A task of a profile that takes more cores finds less room; the default one is taken.
fn room(run: &Run) -> u32 {
    let cpus = run
        .property("spark.task.cpus")
        .and_then(|cpus| cpus.trim().parse().ok())
        .unwrap_or(1)
        .max(1);
    let mut turns: Vec<(i64, i64)> = Vec::new();
    for (_, executor) in run.workers() {
        let tasks = i64::from(executor.cores / cpus);
        turns.push((executor.added, tasks));
        turns.push((executor.removed.unwrap_or(i64::MAX), -tasks));
    }
    turns.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in turns {
        now += change;
        most = most.max(now);
    }
    u32::try_from(most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::run::{Executor, Job, Stage, Task};

    #[test]
    fn every_moment_has_one_cause() {
        let task = |launched, duration, attempt, outcome| Task {
            launched,
            duration,
            attempt,
            outcome,
            ..Task::default()
        };
        let stage = |tasks: Vec<Task>| Stage {
            tasks,
            ..Stage::default()
        };
        let run = Run {
            started: 1_000,
            ended: Some(2_000),
            executors: vec![Executor {
                id: "1".to_owned(),
                cores: 2,
                added: 1_050,
                ..Executor::default()
            }],
            jobs: [(
                0,
                Job {
                    started: 1_100,
                    ended: Some(1_700),
                    ..Job::default()
                },
            )]
            .into(),
            stages: [
                (
                    (0, 0),
                    stage(vec![
                        task(150, 100, 0, Outcome::Succeeded),
                        task(150, 50, 0, Outcome::Failed),
                        task(250, 100, 1, Outcome::Succeeded),
                    ]),
                ),
                ((1, 0), stage(vec![task(200, 300, 0, Outcome::Succeeded)])),
            ]
            .into(),
            ..Run::default()
        };
        let timeline = Timeline::of(&run);
        assert_eq!(
            (timeline.start_up, timeline.waiting, timeline.driver, timeline.slots),
            (100, 250, 300, 2)
        );
        assert_eq!(
            timeline.stages[&0],
            StageTime {
                wall: 200,
                repair: 100,
                busy: 100,
                lost: 50,
                slots: 2
            }
        );
        assert_eq!(
            timeline.stages[&1],
            StageTime {
                wall: 150,
                repair: 0,
                busy: 150,
                lost: 0,
                slots: 1
            }
        );
        let stages: i64 = timeline.stages.values().map(|stage| stage.wall).sum();
        assert_eq!(
            timeline.start_up + timeline.waiting + timeline.driver + stages,
            run.duration()
        );
    }
}
