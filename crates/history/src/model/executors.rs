//! Executors: their coming and going, their peaks, and that they are avoided.

use compact_str::CompactString;
use stoke_eventlog::event::{
    BlockManagerAdded, ExcludedForStage, ExecutorAdded, ExecutorMetrics, ExecutorMetricsUpdate, ExecutorRemoved,
    StageExecutorMetrics,
};
use stoke_run::{DRIVER, settings};

use super::data::{Executor, StageKey};
use super::{Application, surplus};

impl Application {
    fn executor(&mut self, id: &CompactString, time: i64) -> &mut Executor {
        self.live_executors.entry(id.clone()).or_insert_with(|| Executor {
            id: id.to_string(),
            active: true,
            added: time,
            ..Executor::default()
        })
    }

    pub(super) fn on_executor_added(&mut self, event: ExecutorAdded) {
        let info = event.info;
        let max_tasks = self.max_tasks(info.profile, info.cores);
        let executor = self.executor(&event.id, event.time);
        executor.host = Some(info.host);
        executor.active = true;
        executor.cores = info.cores;
        executor.max_tasks = max_tasks;
        executor.logs = info.logs.0;
        executor.resources = info.resources;
        executor.attributes = info.attributes.0;
        executor.profile = info.profile;
    }

    /// Tasks an executor runs at once.
    fn max_tasks(&self, profile: i32, cores: i32) -> i32 {
        // A profile in a log never says how many tasks its executors run: Spark computes that only where it schedules.
        let cpus = settings::task_cpus(self.profiles.get(&profile), self.cpus_per_task);
        if cpus > 0.0 {
            (f64::from(cores) / cpus) as i32
        } else {
            0
        }
    }

    pub(super) fn on_block_manager_added(&mut self, event: &BlockManagerAdded) {
        let executor = self.executor(&event.id.executor, event.time);
        executor.host_port = Some(format!("{}:{}", event.id.host, event.id.port));
        if let Some(on_heap) = event.max_on_heap {
            executor.memory = Some([0, 0, on_heap, event.max_off_heap.unwrap_or(0)]);
        }
        executor.active = true;
        executor.max_memory = event.max_memory;
    }

    pub(super) fn on_executor_removed(&mut self, event: &ExecutorRemoved) {
        let Some(mut executor) = self.live_executors.remove(&event.id) else {
            return;
        };
        executor.active = false;
        executor.removed = Some(event.time);
        executor.remove_reason = Some(event.reason.clone());
        self.executors.insert(event.id.clone(), executor.clone());
        self.written_executors.remove(&event.id);
        self.trim_executors();
        self.forget_blocks_of(&event.id);
        if self.worked_for_live_stages(&executor) {
            self.dead_executors.insert(event.id.clone(), executor);
        }
    }

    fn worked_for_live_stages(&self, executor: &Executor) -> bool {
        let removed = executor.removed.unwrap_or(i64::MAX);
        self.live_stages
            .values()
            .any(|stage| stage.stage.submitted.unwrap_or(0) < removed)
    }

    pub(super) fn forget_dead_executors(&mut self) {
        let dead = std::mem::take(&mut self.dead_executors);
        self.dead_executors = dead
            .into_iter()
            .filter(|(_, executor)| self.worked_for_live_stages(executor))
            .collect();
    }

    /// Takes down that Spark has written a live executor out; the first time it looks whether there are too many.
    pub(super) fn wrote_executor(&mut self, id: &str) {
        if !self.written_executors.contains(id) {
            self.written_executors.insert(id.into());
            self.trim_executors();
        }
    }

    /// Keeps [`super::Limits::dead_executors`] executors that are gone, as Spark counts them: what was written out less what is live, whether
    /// that was written out or not.
    fn trim_executors(&mut self) {
        let count = |gone: usize| (gone + self.written_executors.len()).saturating_sub(self.live_executors.len());
        // Most times not even all of them are too many.
        if surplus(count(self.executors.len()), self.limits.dead_executors) == 0 {
            return;
        }
        let gone = self
            .executors
            .keys()
            .filter(|id| !self.written_executors.contains(*id))
            .count();
        let surplus = surplus(count(gone), self.limits.dead_executors);
        let gone: Vec<CompactString> = self
            .executors
            .iter()
            .filter(|(_, one)| !one.active)
            .map(|(id, _)| id.clone())
            .take(surplus)
            .collect();
        for id in gone {
            self.executors.remove(&id);
        }
    }

    pub(super) fn set_excluded(&mut self, id: &CompactString, excluded: bool) {
        if let Some(executor) = self.live_executors.get_mut(id) {
            executor.excluded = excluded;
        }
    }

    pub(super) fn set_node_excluded(&mut self, host: &CompactString, excluded: bool) {
        for executor in self
            .live_executors
            .values_mut()
            .filter(|executor| executor.hostname() == host.as_str() && executor.id != DRIVER)
        {
            executor.excluded = excluded;
        }
    }

    pub(super) fn exclude_for_stage(&mut self, event: &ExcludedForStage) {
        self.exclude_in((event.stage, event.attempt), &event.id);
        if let Some(executor) = self.live_executors.get_mut(&event.id) {
            executor.excluded_in.insert(event.stage);
        }
    }

    pub(super) fn exclude_node_for_stage(&mut self, event: &ExcludedForStage) {
        let host = event.id.as_str();
        let of_host: Vec<CompactString> = self
            .live_executors
            .iter()
            .filter(|(_, executor)| executor.host.as_deref() == Some(host) && executor.id != DRIVER)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &of_host {
            self.exclude_in((event.stage, event.attempt), id);
        }
        for executor in self.live_executors.values_mut() {
            if executor.hostname() == host && executor.id != DRIVER {
                executor.excluded_in.insert(event.stage);
            }
        }
    }

    fn exclude_in(&mut self, key: StageKey, id: &CompactString) {
        if let Some(stage) = self.live_stages.get_mut(&key) {
            stage.executor(id).excluded = true;
            stage.excluded.insert(id.clone());
        }
    }

    pub(super) fn on_metrics_update(&mut self, event: &ExecutorMetricsUpdate) {
        for update in &event.updates {
            if let Some(executor) = self.live_executors.get_mut(&event.executor)
                && executor.peaks.update(&update.metrics)
            {
                self.wrote_executor(&event.executor);
            }
            self.peaks_in((update.stage, update.attempt), &event.executor, &update.metrics);
        }
    }

    pub(super) fn on_stage_metrics(&mut self, event: &StageExecutorMetrics) {
        if let Some(executor) = self.live_executors.get_mut(&event.executor) {
            if executor.peaks.update(&event.metrics) {
                self.wrote_executor(&event.executor);
            }
        } else if let Some(executor) = self.dead_executors.get_mut(&event.executor)
            && executor.peaks.update(&event.metrics)
        {
            self.executors.insert(event.executor.clone(), executor.clone());
        }
        self.peaks_in((event.stage, event.attempt), &event.executor, &event.metrics);
    }

    fn peaks_in(&mut self, key: StageKey, executor: &CompactString, metrics: &ExecutorMetrics) {
        let Some(stage) = self.live_stages.get_mut(&key) else {
            return;
        };
        let higher = stage.stage.peaks.update(metrics);
        stage.executor(executor).peaks.update(metrics);
        if higher && !self.stages.contains_key(&key) {
            let written = stage.view();
            self.stages.insert(key, written);
            self.trim_stages();
        }
    }
}
