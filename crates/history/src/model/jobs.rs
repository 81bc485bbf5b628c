//! Jobs and stages: from their start to their end, and what is kept of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use stoke_eventlog::event::{JobEnd, JobStart, NamedAccumulable, StageInfo, StageSubmitted};

use super::away::Away;
use super::data::{ExecutorStage, Job, JobStatus, Rdd, Stage, StageKey, StageStatus};
use super::live::{Indices, LiveJob, LiveStage};
use super::metrics::{Metrics, Peaks};
use super::{Application, surplus};
use crate::scala::{Scala, hash_of_long};

impl Application {
    pub(super) fn on_job_start(&mut self, mut event: JobStart) {
        let stages = event.stages_or_ids();
        let last = stages.iter().max_by_key(|stage| stage.id);
        let properties = &event.properties;
        let job = Job {
            id: event.id,
            name: last.map(|stage| stage.name.clone()).unwrap_or_default(),
            description: properties.description().map(str::to_owned),
            submitted: (event.time > 0).then_some(event.time),
            completed: None,
            group: properties.group().map(str::to_owned),
            tags: properties.tags(),
            status: JobStatus::Running,
            // Too many where stages are skipped because their output is there.
            tasks: stages
                .iter()
                .filter(|stage| stage.completed.is_none())
                .fold(0, |sum: i32, stage| sum.wrapping_add(stage.tasks)),
            active_tasks: 0,
            completed_tasks: 0,
            skipped_tasks: 0,
            failed_tasks: 0,
            killed_tasks: 0,
            completed_indices: 0,
            active_stages: 0,
            completed_stages: 0,
            skipped_stages: 0,
            failed_stages: 0,
            killed_summary: BTreeMap::new(),
            sql_execution: properties.execution(),
            stage_ids: event.stage_ids,
        };
        let live = LiveJob {
            job,
            indices: BTreeMap::new(),
            skipped: BTreeSet::new(),
            completed: BTreeSet::new(),
            ended: false,
        };
        self.live_jobs.insert(event.id, live);
        let scala = self.scala();
        for info in stages {
            let stage = self.stage_of(info, scala);
            stage.jobs.push(event.id);
            if !stage.stage.jobs.contains(&event.id) {
                stage.stage.jobs.push(event.id);
            }
        }
    }

    pub(super) fn on_job_end(&mut self, event: &JobEnd) {
        let Some(job) = self.live_jobs.get_mut(&event.id).filter(|job| !job.ended) else {
            return;
        };
        job.ended = true;
        // What waits for this job will not run.
        let pending: Vec<StageKey> = self
            .live_stages
            .iter()
            .filter(|(key, stage)| job.job.stage_ids.contains(&key.0) && stage.stage.status == StageStatus::Pending)
            .map(|(key, _)| *key)
            .collect();
        for key in &pending {
            if let Some(stage) = self.live_stages.get(key) {
                job.skipped.insert(key.0);
                job.job.skipped_tasks = job.job.skipped_tasks.wrapping_add(stage.stage.tasks);
            }
        }
        job.job.status = match event.succeeded() {
            true => JobStatus::Succeeded,
            false => JobStatus::Failed,
        };
        job.job.completed = (event.time > 0).then_some(event.time);
        let written = job.view();
        for key in pending {
            if let Some(mut stage) = self.live_stages.remove(&key) {
                stage.stage.status = StageStatus::Skipped;
                self.write_stage(key, stage);
            }
        }
        self.jobs.insert(event.id, written);
        self.trim_jobs();
        self.forget_jobs();
    }

    /// Lets go of jobs that ended and that no running stage refers to.
    fn forget_jobs(&mut self) {
        let stages = &self.live_stages;
        self.live_jobs
            .retain(|id, job| !job.ended || stages.values().any(|stage| stage.jobs.contains(id)));
    }

    pub(super) fn on_stage_submitted(&mut self, event: StageSubmitted) {
        let (pool, description) = (event.properties.pool(), event.properties.description());
        let id = event.info.id;
        let of_jobs: Vec<i32> = self
            .live_jobs
            .values()
            .filter(|job| !job.ended && job.job.stage_ids.contains(&id))
            .map(|job| job.job.id)
            .collect();
        for info in &event.info.rdds {
            if info.level.is_valid() {
                self.rdds.entry(info.id).or_insert_with(|| Rdd {
                    id: info.id,
                    name: info.name.to_string(),
                    partitions: info.partitions,
                    level: info.level,
                    memory_used: 0,
                    disk_used: 0,
                    distributions: Vec::new(),
                    blocks: Vec::new(),
                });
            }
        }
        for job in &of_jobs {
            if let Some(job) = self.live_jobs.get_mut(job) {
                job.completed.remove(&id);
                job.job.active_stages += 1;
            }
        }
        let scala = self.scala();
        let stage = self.stage_of(event.info, scala);
        stage.stage.status = StageStatus::Active;
        stage.stage.pool = pool.unwrap_or("default").to_owned();
        stage.stage.description = description.map(str::to_owned);
        stage.stage.jobs.clone_from(&of_jobs);
        stage.jobs = of_jobs;
    }

    pub(super) fn on_stage_completed(&mut self, info: StageInfo) {
        let key = (info.id, info.attempt);
        let scala = self.scala();
        let Some(stage) = self.live_stages.get_mut(&key) else {
            self.forget_dead_executors();
            return;
        };
        let status = match (&info.failure, info.submitted) {
            (Some(_), _) => StageStatus::Failed,
            (None, Some(_)) => StageStatus::Complete,
            (None, None) => StageStatus::Skipped,
        };
        let tasks = info.tasks;
        fill(&mut stage.stage, info, scala);
        stage.stage.status = status;
        for id in &stage.jobs {
            let Some(job) = self.live_jobs.get_mut(id) else {
                continue;
            };
            match status {
                StageStatus::Complete => {
                    job.completed.insert(key.0);
                }
                StageStatus::Skipped => {
                    job.skipped.insert(key.0);
                    job.job.skipped_tasks = job.job.skipped_tasks.wrapping_add(tasks);
                }
                _ => job.job.failed_stages += 1,
            }
            job.job.active_stages -= 1;
        }
        for executor in &stage.excluded {
            if let Some(executor) = self.live_executors.get_mut(executor) {
                executor.excluded_in.remove(&key.0);
            }
        }
        if stage.stage.active_tasks == 0 {
            self.end_stage(key);
        } else {
            let written = stage.view();
            // Spark looks whether there are too many when a stage is written for the first time or the last.
            if self.stages.insert(key, written).is_none() {
                self.trim_stages();
            }
        }
        self.forget_dead_executors();
    }

    /// Takes a stage without running tasks off the live ones.
    pub(super) fn end_stage(&mut self, key: StageKey) {
        if let Some(stage) = self.live_stages.remove(&key) {
            self.write_stage(key, stage);
            if let Some(rows) = self.rows.get_mut(&key) {
                rows.finish(&self.pieces);
            }
            self.forget_jobs();
        }
    }

    fn write_stage(&mut self, key: StageKey, mut stage: LiveStage) {
        stage.stage.completed_indices = stage.indices.len();
        self.stages.insert(key, stage.stage);
        if let Some(speculation) = stage.speculation {
            self.speculation.insert(key, speculation);
        }
        if !stage.executors.is_empty() {
            let before = self.stage_executors.remove(&key);
            let before = before.map(|before| before.get(&self.pieces).map(Cow::into_owned));
            let mut all = before.and_then(Result::ok).unwrap_or_default();
            all.extend(stage.executors);
            let about = all.len() * size_of::<ExecutorStage>();
            self.stage_executors.insert(key, Away::new(all, about, &self.pieces));
        }
        self.trim_stages();
    }

    fn stage_of(&mut self, info: StageInfo, scala: Scala) -> &mut LiveStage {
        let key = (info.id, info.attempt);
        let live = self.live_stages.entry(key).or_insert_with(|| LiveStage {
            stage: unknown(),
            jobs: Vec::new(),
            indices: Indices::default(),
            executors: BTreeMap::new(),
            excluded: BTreeSet::new(),
            speculation: None,
            saved: 0,
        });
        fill(&mut live.stage, info, scala);
        live
    }

    /// Keeps [`super::Limits::jobs`] jobs: those that ended first go first.
    pub(super) fn trim_jobs(&mut self) {
        let surplus = surplus(self.jobs.len(), self.limits.jobs);
        if surplus == 0 {
            return;
        }
        let mut ended: Vec<(i64, i32)> = self
            .jobs
            .values()
            .filter(|job| job.status != JobStatus::Running)
            .filter_map(|job| job.completed.map(|completed| (completed, job.id)))
            .collect();
        ended.sort_unstable();
        for (_, id) in ended.into_iter().take(surplus) {
            self.jobs.remove(&id);
        }
    }

    /// Keeps [`super::Limits::stages`] stage attempts: skipped ones go first, then those that ended first.
    pub(super) fn trim_stages(&mut self) {
        let surplus = surplus(self.stages.len(), self.limits.stages);
        if surplus == 0 {
            return;
        }
        let mut ended: Vec<(i64, StageKey)> = self
            .stages
            .iter()
            .filter(|(_, stage)| !matches!(stage.status, StageStatus::Active | StageStatus::Pending))
            .map(|(key, stage)| (stage.completed.unwrap_or(-1), *key))
            .collect();
        ended.sort_unstable();
        for (_, key) in ended.into_iter().take(surplus) {
            self.stages.remove(&key);
            self.stage_executors.remove(&key);
            self.speculation.remove(&key);
            self.rows.remove(&key);
        }
    }
}

fn unknown() -> Stage {
    Stage {
        status: StageStatus::Pending,
        id: 0,
        attempt: 0,
        tasks: 0,
        active_tasks: 0,
        completed_tasks: 0,
        failed_tasks: 0,
        killed_tasks: 0,
        completed_indices: 0,
        submitted: None,
        first_launched: None,
        completed: None,
        failure: None,
        metrics: Metrics::default(),
        name: String::new(),
        description: None,
        details: String::new(),
        pool: "default".to_owned(),
        rdds: Vec::new(),
        accumulators: Vec::new(),
        killed_summary: BTreeMap::new(),
        profile: 0,
        peaks: Peaks::default(),
        push_enabled: false,
        push_mergers: 0,
        jobs: Vec::new(),
    }
}

/// An accumulable: its id, and the rest where it has a name.
type Identified = (i64, Option<Box<NamedAccumulable>>);

/// Takes over what an event says of a stage.
fn fill(stage: &mut Stage, info: StageInfo, scala: Scala) {
    stage.id = info.id;
    stage.attempt = info.attempt;
    stage.tasks = info.tasks;
    stage.submitted = info.submitted;
    stage.completed = info.completed;
    stage.failure = info.failure;
    stage.name = info.name;
    stage.details = info.details;
    stage.rdds = info.rdds.iter().map(|rdd| rdd.id).collect();
    stage.profile = info.profile;
    stage.push_enabled = info.push_enabled;
    stage.push_mergers = info.push_mergers;
    if info.accumulables.iter().all(|one| one.named.is_none()) {
        stage.accumulators = Vec::new();
        return;
    }
    // The map holds internal ones too, which decide its size and so its order.
    let mut seen: Vec<(i32, Identified)> = Vec::with_capacity(info.accumulables.len());
    for one in info.accumulables {
        match seen.iter_mut().find(|(_, (id, _))| *id == one.id) {
            Some((_, (_, named))) => *named = one.named,
            None => seen.push((hash_of_long(one.id), (one.id, one.named))),
        }
    }
    stage.accumulators = scala
        .mutable_order(seen)
        .into_iter()
        .filter_map(|(_, named)| named.map(|named| *named))
        .collect();
}
