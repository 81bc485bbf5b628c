//! What tasks add to their stage, jobs and executor when they start and when they end.

use std::collections::BTreeMap;

use stoke_eventlog::event::TaskStart;
use stoke_run::Ending;

use super::data::{Speculation, StageKey, StageStatus};
use super::metrics::at;
use super::{Application, Limits, surplus};
use crate::pieces::Pieces;

fn count(summary: &mut BTreeMap<String, i32>, reason: &str) {
    *summary.entry(reason.to_owned()).or_default() += 1;
}

impl Application {
    pub(super) fn on_task_start(&mut self, event: &TaskStart) {
        let key = (event.stage, event.attempt);
        let info = &event.info;
        if let Some(stage) = self.live_stages.get_mut(&key) {
            stage.stage.active_tasks += 1;
            let first = stage
                .stage
                .first_launched
                .map_or(info.launched, |first| first.min(info.launched));
            stage.stage.first_launched = Some(first);
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
    }

    pub(super) fn on_task_end(&mut self, ending: Ending) {
        let ended = self.count_in_stage(&ending);
        let (counts, metrics) = (ending.counts, ending.metrics());
        if let Some(executor) = self.live_executors.get_mut(&ending.executor) {
            executor.active_tasks -= counts.active;
            executor.completed_tasks += counts.completed;
            executor.failed_tasks += counts.failed;
            executor.peaks.update(&ending.peaks);
            if !ending.resubmitted() {
                executor.duration = executor.duration.wrapping_add(ending.task.duration);
                executor.gc_time = executor.gc_time.wrapping_add(metrics.get(at::GC_TIME));
                executor.input_bytes = executor.input_bytes.wrapping_add(metrics.get(at::INPUT_BYTES));
                executor.shuffle_read = executor
                    .shuffle_read
                    .wrapping_add(metrics.sum(at::LOCAL_BYTES, at::REMOTE_BYTES));
                executor.shuffle_write = executor.shuffle_write.wrapping_add(metrics.get(at::WRITE_BYTES));
            }
            if executor.active_tasks == 0 {
                self.wrote_executor(&ending.executor);
            }
        }
        let key = ending.stage;
        // Of a task whose start was not seen, or whose end was, only the counts are taken.
        if let Some(stage) = ending.begun {
            let error = ending.error();
            let mut task = ending.task;
            task.error = error;
            self.rows.entry(stage).or_default().push(&task, &self.pieces);
        }
        if ended {
            self.end_stage(key);
        }
    }

    /// Whether the stage's last task ended after the stage did.
    fn count_in_stage(&mut self, ending: &Ending) -> bool {
        let key = ending.stage;
        let Some(stage) = self.live_stages.get_mut(&key) else {
            return false;
        };
        let (task, counts, peaks) = (&ending.task, ending.counts, &ending.peaks);
        let metrics = ending.begun.map(|_| ending.metrics());
        let because = ending.killed_because();
        if let Some(metrics) = metrics {
            stage.stage.metrics.add(metrics);
        }
        stage.stage.active_tasks -= counts.active;
        stage.stage.completed_tasks += counts.completed;
        if counts.completed > 0 {
            stage.indices.insert(task.index);
        }
        stage.stage.failed_tasks += counts.failed;
        stage.stage.killed_tasks += counts.killed;
        if let Some(because) = &because {
            count(&mut stage.stage.killed_summary, because);
        }
        stage.stage.peaks.update(peaks);
        let executor = stage.executor(&ending.executor);
        executor.peaks.update(peaks);
        if !ending.resubmitted() {
            executor.task_time = executor.task_time.wrapping_add(task.duration);
        }
        executor.succeeded += counts.completed;
        executor.failed += counts.failed;
        executor.killed += counts.killed;
        if let Some(metrics) = metrics {
            executor.metrics.add(metrics);
        }
        if task.speculative {
            let speculation = stage.speculation.get_or_insert_with(Speculation::default);
            speculation.active -= counts.active;
            speculation.completed += counts.completed;
            speculation.failed += counts.failed;
            speculation.killed += counts.killed;
        }
        let ended =
            stage.stage.active_tasks == 0 && matches!(stage.stage.status, StageStatus::Complete | StageStatus::Failed);
        let mut first = false;
        for id in &stage.jobs {
            let Some(job) = self.live_jobs.get_mut(id) else {
                continue;
            };
            job.job.active_tasks -= counts.active;
            job.job.completed_tasks += counts.completed;
            if counts.completed > 0 {
                job.indices.entry(key.0).or_default().insert(task.index);
            }
            job.job.failed_tasks += counts.failed;
            job.job.killed_tasks += counts.killed;
            if let Some(because) = &because {
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
