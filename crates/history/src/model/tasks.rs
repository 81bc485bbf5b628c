//! Tasks: from their start to their end, and what they add to their stage, job and executor.

use std::collections::BTreeMap;

use stoke_eventlog::event::{ExecutorMetrics, TaskEnd, TaskEndReason, TaskFailure, TaskStart};

use super::data::{Speculation, StageKey, StageStatus};
use super::live::LiveTask;
use super::metrics::{Metrics, at};
use super::task::{Status, Task};
use super::{Application, Limits, surplus};
use crate::pieces::Pieces;

/// What the end of a task adds to the counts.
struct Delta {
    completed: i32,
    failed: i32,
    killed: i32,
    active: i32,
}

impl Delta {
    fn of(reason: &TaskEndReason) -> Delta {
        let (completed, failed, killed, active) = match reason {
            TaskEndReason::Success => (1, 0, 0, 1),
            TaskEndReason::Failed(failure) => match **failure {
                TaskFailure::Killed { .. } | TaskFailure::CommitDenied { .. } => (0, 0, 1, 1),
                // The task ended before; its executor was lost with its output.
                TaskFailure::Resubmitted => (0, 1, 0, 0),
                _ => (0, 1, 0, 1),
            },
        };
        Delta {
            completed,
            failed,
            killed,
            active,
        }
    }
}

/// The text a task's end is counted under when it was killed.
fn killed_because(reason: &TaskEndReason) -> Option<String> {
    match reason {
        TaskEndReason::Success => None,
        TaskEndReason::Failed(failure) => match &**failure {
            TaskFailure::Killed { reason } => Some(reason.clone()),
            denied @ TaskFailure::CommitDenied { .. } => Some(denied.text()),
            _ => None,
        },
    }
}

fn count(summary: &mut BTreeMap<String, i32>, reason: &str) {
    *summary.entry(reason.to_owned()).or_default() += 1;
}

impl Application {
    pub(super) fn on_task_start(&mut self, event: TaskStart) {
        let key = (event.stage, event.attempt);
        let info = event.info;
        if let Some(stage) = self.live_stages.get_mut(&key) {
            stage.stage.active_tasks += 1;
            let first = stage
                .stage
                .first_launched
                .map_or(info.launched, |first| first.min(info.launched));
            stage.stage.first_launched = Some(first);
            *stage.active_on.entry(info.executor.clone()).or_default() += 1;
            if info.speculative {
                let speculation = stage.speculation.get_or_insert_with(Speculation::default);
                speculation.active += 1;
                speculation.tasks += 1;
            }
            for id in &stage.jobs {
                if let Some(job) = self.live_jobs.get_mut(id) {
                    job.job.active_tasks += 1;
                }
            }
            stage.saved += 1;
            if stage.saved > self.limits.tasks as i64 {
                stage.saved -= trim(&mut self.rows, key, stage.saved, self.limits, &self.pieces);
            }
        }
        if let Some(executor) = self.live_executors.get_mut(&info.executor) {
            executor.active_tasks += 1;
            executor.total_tasks += 1;
        }
        let task = LiveTask {
            stage: key,
            index: info.index,
            attempt: info.attempt,
            partition: info.partition,
            launched: info.launched,
            getting_result: info.getting_result,
            executor: self.names.place(&info.executor),
            host: self.names.place(&info.host),
            locality: self.names.place(&info.locality),
            speculative: info.speculative,
        };
        self.live_tasks.insert(info.id, task);
    }

    pub(super) fn on_task_end(&mut self, event: TaskEnd) {
        let key = (event.stage, event.attempt);
        let delta = Delta::of(&event.reason);
        let resubmitted =
            matches!(&event.reason, TaskEndReason::Failed(failure) if **failure == TaskFailure::Resubmitted);
        let because = killed_because(&event.reason);
        let duration = event.info.finished.wrapping_sub(event.info.launched);
        // Spark reads metrics that are not there as zeros.
        let metrics = event.metrics.as_ref().map(Metrics::of).unwrap_or_default();
        // Likewise the peaks of its executor.
        let peaks = event.peaks.clone().unwrap_or_default();
        // Of a task whose start was not seen, or whose end was, only the counts are taken.
        let known = self.live_tasks.remove(&event.info.id);
        let counted = known.as_ref().map(|_| metrics);
        let ended = self.count_in_stage(
            &event,
            key,
            &delta,
            resubmitted,
            because.as_deref(),
            counted.as_ref(),
            &peaks,
            duration,
        );
        if let Some(executor) = self.live_executors.get_mut(&event.info.executor) {
            executor.active_tasks -= delta.active;
            executor.completed_tasks += delta.completed;
            executor.failed_tasks += delta.failed;
            executor.peaks.update(&peaks);
            if !resubmitted {
                executor.duration = executor.duration.wrapping_add(duration);
                executor.gc_time = executor.gc_time.wrapping_add(metrics.get(at::GC_TIME));
                executor.input_bytes = executor.input_bytes.wrapping_add(metrics.get(at::INPUT_BYTES));
                executor.shuffle_read = executor
                    .shuffle_read
                    .wrapping_add(metrics.sum(at::LOCAL_BYTES, at::REMOTE_BYTES));
                executor.shuffle_write = executor.shuffle_write.wrapping_add(metrics.get(at::WRITE_BYTES));
            }
            if executor.active_tasks == 0 {
                self.wrote_executor(&event.info.executor);
            }
        }
        if let Some(known) = known {
            self.write_task(event, &known, metrics, duration);
        }
        if ended {
            self.end_stage(key);
        }
    }

    /// Whether the stage's last task ended after the stage did.
    #[allow(clippy::too_many_arguments)] // the parts of one event
    fn count_in_stage(
        &mut self,
        event: &TaskEnd,
        key: StageKey,
        delta: &Delta,
        resubmitted: bool,
        because: Option<&str>,
        counted: Option<&Metrics>,
        peaks: &ExecutorMetrics,
        duration: i64,
    ) -> bool {
        let Some(stage) = self.live_stages.get_mut(&key) else {
            return false;
        };
        let info = &event.info;
        if let Some(metrics) = counted {
            stage.stage.metrics.add(metrics);
        }
        stage.stage.active_tasks -= delta.active;
        stage.stage.completed_tasks += delta.completed;
        if delta.completed > 0 {
            stage.indices.insert(info.index);
        }
        stage.stage.failed_tasks += delta.failed;
        stage.stage.killed_tasks += delta.killed;
        if let Some(because) = because {
            count(&mut stage.stage.killed_summary, because);
        }
        *stage.active_on.entry(info.executor.clone()).or_default() -= delta.active;
        stage.stage.peaks.update(peaks);
        let executor = stage.executor(&info.executor);
        executor.peaks.update(peaks);
        if !resubmitted {
            executor.task_time = executor.task_time.wrapping_add(duration);
        }
        executor.succeeded += delta.completed;
        executor.failed += delta.failed;
        executor.killed += delta.killed;
        if let Some(metrics) = counted {
            executor.metrics.add(metrics);
        }
        if info.speculative {
            let speculation = stage.speculation.get_or_insert_with(Speculation::default);
            speculation.active -= delta.active;
            speculation.completed += delta.completed;
            speculation.failed += delta.failed;
            speculation.killed += delta.killed;
        }
        let ended =
            stage.stage.active_tasks == 0 && matches!(stage.stage.status, StageStatus::Complete | StageStatus::Failed);
        let mut first = false;
        for id in &stage.jobs {
            let Some(job) = self.live_jobs.get_mut(id) else {
                continue;
            };
            job.job.active_tasks -= delta.active;
            job.job.completed_tasks += delta.completed;
            if delta.completed > 0 {
                job.indices.entry(key.0).or_default().insert(info.index);
            }
            job.job.failed_tasks += delta.failed;
            job.job.killed_tasks += delta.killed;
            if let Some(because) = because {
                count(&mut job.job.killed_summary, because);
            }
            if ended {
                first |= self.jobs.insert(*id, job.view()).is_none();
            }
        }
        if stage.saved > self.limits.tasks as i64 {
            stage.saved -= trim(&mut self.rows, key, stage.saved, self.limits, &self.pieces);
        }
        if first {
            self.trim_jobs();
        }
        ended
    }

    fn write_task(&mut self, event: TaskEnd, known: &LiveTask, metrics: Metrics, duration: i64) {
        let error = match &event.reason {
            TaskEndReason::Success => None,
            TaskEndReason::Failed(failure) => Some(match &**failure {
                TaskFailure::Killed { reason } => reason.clone(),
                other => other.text(),
            }),
        };
        let info = event.info;
        let status = Status::of(info.status());
        let task = Task {
            id: info.id,
            index: info.index,
            attempt: info.attempt,
            partition: info.partition,
            launched: info.launched,
            result_fetch: if info.getting_result > 0 {
                info.getting_result
            } else {
                -1
            },
            duration,
            executor: self.names.again(known.executor, &info.executor),
            host: self.names.again(known.host, &info.host),
            locality: self.names.again(known.locality, &info.locality),
            status,
            speculative: info.speculative,
            metrics: Some(metrics),
            accumulators: info.accumulables.named,
            error,
        };
        self.rows.entry(known.stage).or_default().push(&task, &self.pieces);
    }

    /// A running task as it is shown, as of the log's last change.
    pub(super) fn running(id: i64, task: &LiveTask, now: i64) -> Task {
        Task {
            id,
            index: task.index,
            attempt: task.attempt,
            partition: task.partition,
            launched: task.launched,
            result_fetch: if task.getting_result > 0 {
                task.getting_result
            } else {
                -1
            },
            duration: now.wrapping_sub(task.launched),
            executor: task.executor,
            host: task.host,
            locality: task.locality,
            status: if task.getting_result > 0 {
                Status::GetResult
            } else {
                Status::Running
            },
            speculative: task.speculative,
            metrics: None,
            accumulators: Vec::new(),
            error: None,
        }
    }
}

/// Drops tasks of a stage attempt that has too many: how many are no longer counted.
fn trim(rows: &mut BTreeMap<StageKey, super::Rows>, key: StageKey, saved: i64, limits: Limits, pieces: &Pieces) -> i64 {
    let too_many = surplus(usize::try_from(saved).unwrap_or(0), limits.tasks);
    if let Some(rows) = rows.get_mut(&key)
        && let Err(error) = rows.drop_oldest(too_many, pieces)
    {
        tracing::warn!(%error, "tasks that are too many stay");
    }
    // Spark counts running tasks as dropped, too, when too few have ended.
    too_many as i64
}
