//! Runs made by hand, for tables of tests.

use stoke_eventlog::event::{EXECUTOR_METRICS, ExecutorMetrics};

use crate::facts::Run;
use crate::facts::run::{Executor, Outcome, Stage, Task};

/// A run of `duration` milliseconds on `executors` executors of `cores` cores that were there from the start.
pub fn run(executors: usize, cores: u32, duration: i64) -> Run {
    let started = 1_000_000;
    Run {
        spark_version: "4.1.4".to_owned(),
        started,
        ended: Some(started + duration),
        executors: (1..=executors)
            .map(|id| Executor {
                id: id.to_string(),
                host: format!("host-{id}"),
                cores,
                added: started,
                ..Executor::default()
            })
            .collect(),
        ..Run::default()
    }
}

/// Has an executor reach a peak of a metric by its name.
pub fn peak(executor: &mut Executor, name: &str, value: i64) {
    let mut seen = ExecutorMetrics::default();
    let place = EXECUTOR_METRICS.iter().position(|known| *known == name);
    seen.0[place.expect("a metric")] = value;
    executor.peaks.update(&seen);
}

/// Adds a stage of tasks that ended well: when each was launched and how long it took. Tasks take executors in turn.
pub fn stage<'a>(run: &'a mut Run, id: i32, tasks: &[(u32, u32)]) -> &'a mut Stage {
    let executors = run.executors.len().max(1);
    let tasks: Vec<Task> = tasks
        .iter()
        .enumerate()
        .map(|(index, (launched, duration))| Task {
            index: index as u32,
            outcome: Outcome::Succeeded,
            executor: (index % executors) as u32,
            launched: u64::from(*launched),
            duration: *duration,
            run_time: *duration,
            cpu_time: *duration,
            ..Task::default()
        })
        .collect();
    let job = run.jobs.entry(id).or_default();
    job.stages.push(id);
    let stage = Stage {
        id,
        name: format!("collect at job.py:{id}"),
        task_count: tasks.len() as u32,
        job: Some(id),
        submitted: tasks.iter().map(|task| run.started + task.launched as i64).min(),
        completed: tasks.iter().map(|task| run.started + task.ended() as i64).max(),
        tasks,
        ..Stage::default()
    };
    run.stages.insert((id, 0), stage);
    total(run, id)
}

/// Reckons a stage's totals again, after its tasks were changed.
pub fn total(run: &mut Run, id: i32) -> &mut Stage {
    let stage = run.stages.get_mut(&(id, 0)).expect("the stage was added");
    let totals = &mut stage.totals;
    *totals = Default::default();
    for task in &stage.tasks {
        match task.outcome {
            Outcome::Succeeded => totals.succeeded += 1,
            Outcome::Failed => totals.failed += 1,
            Outcome::Killed => totals.killed += 1,
            Outcome::Running | Outcome::GetResult => {}
        }
        totals.speculative += u32::from(task.speculative);
        totals.duration += u64::from(task.duration);
        totals.run_time += u64::from(task.run_time);
        totals.cpu_time += u64::from(task.cpu_time);
        totals.gc_time += u64::from(task.gc_time);
        totals.fetch_wait += u64::from(task.fetch_wait);
        totals.deserialize_time += u64::from(task.deserialize_time);
        totals.input += task.input;
        totals.shuffle_read += task.shuffle_read;
        totals.shuffle_write += task.shuffle_write;
        totals.memory_spilled += task.memory_spilled;
        totals.disk_spilled += task.disk_spilled;
        totals.result_size += task.result_size;
    }
    stage
}

/// `count` tasks of the same length on `slots` slots, one wave after the other.
pub fn even(count: u32, slots: u32, duration: u32) -> Vec<(u32, u32)> {
    (0..count).map(|index| (index / slots * duration, duration)).collect()
}
