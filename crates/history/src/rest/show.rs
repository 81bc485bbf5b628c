//! The JSON of each thing, field by field as Spark's classes have them (`org.apache.spark.status.api.v1`).

use stoke_eventlog::event::{EXECUTOR_METRICS, NamedAccumulable};
use stoke_run::DRIVER;

use crate::json::{Date, Json, Object};
use crate::listing::{Attempt, Listed};
use crate::model::View;
use crate::model::data::{Executor, ExecutorStage, Job, Pairs, Process, Rdd, Stage};
use crate::model::metrics::{Metrics, Peaks, at};
use crate::model::task::Task;
use crate::scala::hash_of_text;
use crate::version::Version;

/// `version` is the Spark whose fields are shown.
pub(super) fn application(json: &mut Json<'_>, listed: &Listed, version: &str) {
    json.object(|o| {
        o.put("id", &listed.id);
        o.put("name", &listed.name);
        o.list("attempts", &listed.attempts, |json, one| attempt(json, one, version));
    });
}

pub(super) fn attempt(json: &mut Json<'_>, attempt: &Attempt, version: &str) {
    json.object(|o| {
        o.maybe("attemptId", attempt.id.as_ref());
        o.put("startTime", Date(attempt.start));
        o.put("endTime", Date(attempt.end));
        o.put("lastUpdated", Date(attempt.last_updated));
        o.put("duration", attempt.duration);
        o.put("sparkUser", &attempt.user);
        o.put("completed", attempt.completed);
        o.put("appSparkVersion", &attempt.spark_version);
        if Version::of(version).names_log_sources() {
            o.maybe("exitCode", attempt.exit_code);
            o.put("logSourceName", &attempt.place);
            o.put("logSourceFullPath", &attempt.place);
        }
        o.put("startTimeEpoch", attempt.start);
        o.put("endTimeEpoch", attempt.end);
        o.put("lastUpdatedEpoch", attempt.last_updated);
    });
}

pub(super) fn job(json: &mut Json<'_>, job: &Job) {
    json.object(|o| {
        o.put("jobId", job.id);
        o.put("name", &job.name);
        o.maybe("description", job.description.as_ref());
        o.maybe("submissionTime", job.submitted.map(Date));
        o.maybe("completionTime", job.completed.map(Date));
        o.scalars("stageIds", job.stage_ids.iter().copied());
        o.maybe("jobGroup", job.group.as_ref());
        o.scalars("jobTags", &job.tags);
        o.put("status", job.status.name());
        o.put("numTasks", job.tasks);
        o.put("numActiveTasks", job.active_tasks);
        o.put("numCompletedTasks", job.completed_tasks);
        o.put("numSkippedTasks", job.skipped_tasks);
        o.put("numFailedTasks", job.failed_tasks);
        o.put("numKilledTasks", job.killed_tasks);
        o.put("numCompletedIndices", job.completed_indices);
        o.put("numActiveStages", job.active_stages);
        o.put("numCompletedStages", job.completed_stages);
        o.put("numSkippedStages", job.skipped_stages);
        o.put("numFailedStages", job.failed_stages);
        o.map(
            "killedTasksSummary",
            job.killed_summary
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count)),
        );
    });
}

/// What a stage is shown with besides itself.
#[derive(Default)]
pub(super) struct Besides<'a> {
    /// Tasks of these statuses; of all when there is none.
    pub(super) tasks: Option<&'a [&'static str]>,
    pub(super) executors: bool,
    pub(super) quantiles: Option<&'a [f64]>,
}

pub(super) fn stage(json: &mut Json<'_>, view: &View, stage: &Stage, besides: &Besides<'_>) {
    let key = (stage.id, stage.attempt);
    let m = |place| stage.metrics.get(place);
    json.object(|o| {
        o.put("status", stage.status.name());
        o.put("stageId", stage.id);
        o.put("attemptId", stage.attempt);
        o.put("numTasks", stage.tasks);
        o.put("numActiveTasks", stage.active_tasks);
        o.put("numCompleteTasks", stage.completed_tasks);
        o.put("numFailedTasks", stage.failed_tasks);
        o.put("numKilledTasks", stage.killed_tasks);
        o.put("numCompletedIndices", stage.completed_indices);
        o.maybe("submissionTime", stage.submitted.map(Date));
        o.maybe("firstTaskLaunchedTime", stage.first_launched.map(Date));
        o.maybe("completionTime", stage.completed.map(Date));
        o.maybe("failureReason", stage.failure.as_ref());
        for (name, number) in stage_metrics(&m) {
            o.put(name, number);
        }
        o.put("name", &stage.name);
        o.maybe("description", stage.description.as_ref());
        o.put("details", &stage.details);
        o.put("schedulingPool", &stage.pool);
        o.scalars("rddIds", stage.rdds.iter().copied());
        o.list("accumulatorUpdates", &stage.accumulators, accumulator);
        if let Some(statuses) = besides.tasks {
            o.object("tasks", |o| {
                for one in view.tasks(key) {
                    match one {
                        Ok(one) if super::has_status(&one, statuses) => {
                            o.object(&one.id.to_string(), |o| task_fields(o, view, &one));
                        }
                        Ok(_) => {}
                        Err(error) => return o.fail(error),
                    }
                }
            });
        }
        if besides.executors {
            o.object("executorSummary", |o| match view.stage_executors(key) {
                Ok(executors) => executors.iter().for_each(|(id, done)| {
                    o.object(id, |o| executor_stage(o, peak_names(view), done));
                }),
                Err(error) => o.fail(error),
            });
        }
        if besides.tasks.is_some()
            && let Some(speculation) = view.speculation(key)
        {
            o.object("speculationSummary", |o| {
                o.put("numTasks", speculation.tasks);
                o.put("numActiveTasks", speculation.active);
                o.put("numCompletedTasks", speculation.completed);
                o.put("numFailedTasks", speculation.failed);
                o.put("numKilledTasks", speculation.killed);
            });
        }
        o.map(
            "killedTasksSummary",
            stage
                .killed_summary
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count)),
        );
        o.put("resourceProfileId", stage.profile);
        peaks(o, "peakExecutorMetrics", peak_names(view), &stage.peaks);
        if let Some(quantiles) = besides.quantiles {
            super::summary::of_stage(o, view, key, quantiles);
        }
        o.put("isShufflePushEnabled", stage.push_enabled);
        o.put("shuffleMergersCount", stage.push_mergers);
    });
}

fn stage_metrics(m: &dyn Fn(usize) -> i64) -> [(&'static str, i64); 35] {
    [
        ("executorDeserializeTime", m(at::DESERIALIZE_TIME)),
        ("executorDeserializeCpuTime", m(at::DESERIALIZE_CPU_TIME)),
        ("executorRunTime", m(at::RUN_TIME)),
        ("executorCpuTime", m(at::CPU_TIME)),
        ("resultSize", m(at::RESULT_SIZE)),
        ("jvmGcTime", m(at::GC_TIME)),
        ("resultSerializationTime", m(at::RESULT_SERIALIZATION_TIME)),
        ("memoryBytesSpilled", m(at::MEMORY_SPILLED)),
        ("diskBytesSpilled", m(at::DISK_SPILLED)),
        ("peakExecutionMemory", m(at::PEAK_EXECUTION_MEMORY)),
        ("inputBytes", m(at::INPUT_BYTES)),
        ("inputRecords", m(at::INPUT_RECORDS)),
        ("outputBytes", m(at::OUTPUT_BYTES)),
        ("outputRecords", m(at::OUTPUT_RECORDS)),
        ("shuffleRemoteBlocksFetched", m(at::REMOTE_BLOCKS)),
        ("shuffleLocalBlocksFetched", m(at::LOCAL_BLOCKS)),
        ("shuffleFetchWaitTime", m(at::FETCH_WAIT_TIME)),
        ("shuffleRemoteBytesRead", m(at::REMOTE_BYTES)),
        ("shuffleRemoteBytesReadToDisk", m(at::REMOTE_BYTES_TO_DISK)),
        ("shuffleLocalBytesRead", m(at::LOCAL_BYTES)),
        ("shuffleReadBytes", m(at::LOCAL_BYTES).wrapping_add(m(at::REMOTE_BYTES))),
        ("shuffleReadRecords", m(at::READ_RECORDS)),
        ("shuffleCorruptMergedBlockChunks", m(at::CORRUPT_CHUNKS)),
        ("shuffleMergedFetchFallbackCount", m(at::FALLBACKS)),
        ("shuffleMergedRemoteBlocksFetched", m(at::MERGED_REMOTE_BLOCKS)),
        ("shuffleMergedLocalBlocksFetched", m(at::MERGED_LOCAL_BLOCKS)),
        ("shuffleMergedRemoteChunksFetched", m(at::MERGED_REMOTE_CHUNKS)),
        ("shuffleMergedLocalChunksFetched", m(at::MERGED_LOCAL_CHUNKS)),
        ("shuffleMergedRemoteBytesRead", m(at::MERGED_REMOTE_BYTES)),
        ("shuffleMergedLocalBytesRead", m(at::MERGED_LOCAL_BYTES)),
        ("shuffleRemoteReqsDuration", m(at::REMOTE_REQUESTS)),
        ("shuffleMergedRemoteReqsDuration", m(at::MERGED_REMOTE_REQUESTS)),
        ("shuffleWriteBytes", m(at::WRITE_BYTES)),
        ("shuffleWriteTime", m(at::WRITE_TIME)),
        ("shuffleWriteRecords", m(at::WRITE_RECORDS)),
    ]
}

fn accumulator(json: &mut Json<'_>, one: &NamedAccumulable) {
    json.object(|o| {
        o.put("id", one.id);
        o.maybe("name", one.name.as_ref());
        o.maybe("update", one.update.as_ref());
        o.maybe("value", one.value.as_ref());
    });
}

/// The names of peaks the Spark of an application knows.
pub(crate) fn peak_names(view: &View) -> &'static [&'static str] {
    let newer = if Version::of(view.spark_version()).is_4() {
        0
    } else {
        CONCURRENT
    };
    &EXECUTOR_METRICS[..EXECUTOR_METRICS.len() - newer]
}

/// How many of the last names are of concurrent garbage collection.
const CONCURRENT: usize = 2;

/// Peaks by name, left out when there were none.
fn peaks(o: &mut Object<'_, '_>, key: &str, names: &'static [&'static str], peaks: &Peaks) {
    if let Some(numbers) = peaks.numbers() {
        o.map(key, names.iter().copied().zip(numbers.iter().copied()));
    }
}

fn executor_stage(o: &mut Object<'_, '_>, names: &'static [&'static str], done: &ExecutorStage) {
    let m = |place| done.metrics.get(place);
    o.put("taskTime", done.task_time);
    o.put("failedTasks", done.failed);
    o.put("succeededTasks", done.succeeded);
    o.put("killedTasks", done.killed);
    o.put("inputBytes", m(at::INPUT_BYTES));
    o.put("inputRecords", m(at::INPUT_RECORDS));
    o.put("outputBytes", m(at::OUTPUT_BYTES));
    o.put("outputRecords", m(at::OUTPUT_RECORDS));
    o.put("shuffleRead", m(at::REMOTE_BYTES).wrapping_add(m(at::LOCAL_BYTES)));
    o.put("shuffleReadRecords", m(at::READ_RECORDS));
    o.put("shuffleWrite", m(at::WRITE_BYTES));
    o.put("shuffleWriteRecords", m(at::WRITE_RECORDS));
    o.put("memoryBytesSpilled", m(at::MEMORY_SPILLED));
    o.put("diskBytesSpilled", m(at::DISK_SPILLED));
    o.put("isBlacklistedForStage", done.excluded);
    peaks(o, "peakMemoryMetrics", names, &done.peaks);
    o.put("isExcludedForStage", done.excluded);
}

pub(super) fn task(json: &mut Json<'_>, view: &View, task: &Task) {
    json.object(|o| task_fields(o, view, task));
}

fn task_fields(o: &mut Object<'_, '_>, view: &View, task: &Task) {
    let executor = view.name(task.executor);
    o.put("taskId", task.id);
    o.put("index", task.index);
    o.put("attempt", task.attempt);
    o.put("partitionId", task.partition);
    o.put("launchTime", Date(task.launched));
    o.maybe(
        "resultFetchStart",
        (task.result_fetch > 0).then_some(Date(task.result_fetch)),
    );
    o.maybe("duration", (task.duration > 0).then_some(task.duration));
    o.put("executorId", executor);
    o.put("host", view.name(task.host));
    o.put("status", task.status.name());
    o.put("taskLocality", view.name(task.locality));
    o.put("speculative", task.speculative);
    o.list("accumulatorUpdates", &task.accumulators, accumulator);
    o.maybe("errorMessage", task.error.as_ref());
    if let Some(metrics) = &task.metrics {
        o.object("taskMetrics", |o| task_metrics(o, metrics));
    }
    pairs_as_map(
        o,
        "executorLogs",
        view.executor(executor).map(|executor| &executor.logs),
    );
    o.put("schedulerDelay", task.scheduler_delay());
    o.put("gettingResultTime", task.getting_result_time());
}

fn task_metrics(o: &mut Object<'_, '_>, metrics: &Metrics) {
    let m = |place| metrics.get(place);
    o.put("executorDeserializeTime", m(at::DESERIALIZE_TIME));
    o.put("executorDeserializeCpuTime", m(at::DESERIALIZE_CPU_TIME));
    o.put("executorRunTime", m(at::RUN_TIME));
    o.put("executorCpuTime", m(at::CPU_TIME));
    o.put("resultSize", m(at::RESULT_SIZE));
    o.put("jvmGcTime", m(at::GC_TIME));
    o.put("resultSerializationTime", m(at::RESULT_SERIALIZATION_TIME));
    o.put("memoryBytesSpilled", m(at::MEMORY_SPILLED));
    o.put("diskBytesSpilled", m(at::DISK_SPILLED));
    o.put("peakExecutionMemory", m(at::PEAK_EXECUTION_MEMORY));
    o.object("inputMetrics", |o| {
        o.put("bytesRead", m(at::INPUT_BYTES));
        o.put("recordsRead", m(at::INPUT_RECORDS));
    });
    o.object("outputMetrics", |o| {
        o.put("bytesWritten", m(at::OUTPUT_BYTES));
        o.put("recordsWritten", m(at::OUTPUT_RECORDS));
    });
    o.object("shuffleReadMetrics", |o| {
        o.put("remoteBlocksFetched", m(at::REMOTE_BLOCKS));
        o.put("localBlocksFetched", m(at::LOCAL_BLOCKS));
        o.put("fetchWaitTime", m(at::FETCH_WAIT_TIME));
        o.put("remoteBytesRead", m(at::REMOTE_BYTES));
        o.put("remoteBytesReadToDisk", m(at::REMOTE_BYTES_TO_DISK));
        o.put("localBytesRead", m(at::LOCAL_BYTES));
        o.put("recordsRead", m(at::READ_RECORDS));
        o.put("remoteReqsDuration", m(at::REMOTE_REQUESTS));
        o.object("shufflePushReadMetrics", |o| {
            o.put("corruptMergedBlockChunks", m(at::CORRUPT_CHUNKS));
            o.put("mergedFetchFallbackCount", m(at::FALLBACKS));
            o.put("remoteMergedBlocksFetched", m(at::MERGED_REMOTE_BLOCKS));
            o.put("localMergedBlocksFetched", m(at::MERGED_LOCAL_BLOCKS));
            o.put("remoteMergedChunksFetched", m(at::MERGED_REMOTE_CHUNKS));
            o.put("localMergedChunksFetched", m(at::MERGED_LOCAL_CHUNKS));
            o.put("remoteMergedBytesRead", m(at::MERGED_REMOTE_BYTES));
            o.put("localMergedBytesRead", m(at::MERGED_LOCAL_BYTES));
            o.put("remoteMergedReqsDuration", m(at::MERGED_REMOTE_REQUESTS));
        });
    });
    o.object("shuffleWriteMetrics", |o| {
        o.put("bytesWritten", m(at::WRITE_BYTES));
        o.put("writeTime", m(at::WRITE_TIME));
        o.put("recordsWritten", m(at::WRITE_RECORDS));
    });
}

fn pairs_as_map(o: &mut Object<'_, '_>, key: &str, pairs: Option<&Pairs>) {
    let pairs = pairs.into_iter().flatten();
    o.map(key, pairs.map(|(name, value)| (name.as_str(), value)));
}

/// Time in tasks and time of garbage collection, in milliseconds. The driver runs as long as the application does, and its garbage collection is measured as a peak (`AppStatusStore.executorList`).
pub fn executor_times(executor: &Executor, attempt: &Attempt, now: i64) -> (i64, i64) {
    if executor.id != DRIVER {
        return (executor.duration, executor.gc_time);
    }
    let end = if attempt.completed { attempt.end } else { now };
    let collected = executor.peaks.get("TotalGCTime").unwrap_or(executor.gc_time);
    (end.wrapping_sub(attempt.start), collected)
}

pub(super) fn executor(json: &mut Json<'_>, view: &View, executor: &Executor, attempt: &Attempt, now: i64) {
    let (duration, gc_time) = executor_times(executor, attempt, now);
    json.object(|o| {
        o.put("id", &executor.id);
        o.maybe("hostPort", executor.address());
        o.put("isActive", executor.active);
        o.put("rddBlocks", executor.rdd_blocks);
        o.put("memoryUsed", executor.memory_used);
        o.put("diskUsed", executor.disk_used);
        o.put("totalCores", executor.cores);
        o.put("maxTasks", executor.max_tasks);
        o.put("activeTasks", executor.active_tasks);
        o.put("failedTasks", executor.failed_tasks);
        o.put("completedTasks", executor.completed_tasks);
        o.put("totalTasks", executor.total_tasks);
        o.put("totalDuration", duration);
        o.put("totalGCTime", gc_time);
        o.put("totalInputBytes", executor.input_bytes);
        o.put("totalShuffleRead", executor.shuffle_read);
        o.put("totalShuffleWrite", executor.shuffle_write);
        o.put("isBlacklisted", executor.excluded);
        o.put("maxMemory", executor.max_memory);
        o.put("addTime", Date(executor.added));
        o.maybe("removeTime", executor.removed.map(Date));
        o.maybe("removeReason", executor.remove_reason.as_ref());
        pairs_as_map(o, "executorLogs", Some(&executor.logs));
        if let Some([on_used, off_used, on_max, off_max]) = executor.memory {
            o.object("memoryMetrics", |o| {
                o.put("usedOnHeapStorageMemory", on_used);
                o.put("usedOffHeapStorageMemory", off_used);
                o.put("totalOnHeapStorageMemory", on_max);
                o.put("totalOffHeapStorageMemory", off_max);
            });
        }
        o.scalars("blacklistedInStages", executor.excluded_in.iter().copied());
        peaks(o, "peakMemoryMetrics", peak_names(view), &executor.peaks);
        pairs_as_map(o, "attributes", Some(&executor.attributes));
        o.object("resources", |o| {
            for (name, resource) in &executor.resources {
                o.object(name, |o| {
                    o.put("name", &resource.name);
                    o.scalars("addresses", &resource.addresses);
                });
            }
        });
        o.put("resourceProfileId", executor.profile);
        o.put("isExcluded", executor.excluded);
        o.scalars("excludedInStages", executor.excluded_in.iter().copied());
    });
}

pub(super) fn process(json: &mut Json<'_>, process: &Process) {
    json.object(|o| {
        o.put("id", &process.id);
        o.put("hostPort", &process.host_port);
        o.put("isActive", true);
        o.put("totalCores", process.cores);
        o.put("addTime", Date(process.added));
        pairs_as_map(o, "processLogs", Some(&process.logs));
    });
}

pub(super) fn rdd(json: &mut Json<'_>, view: &View, rdd: &Rdd) {
    let keyed = rdd
        .distributions
        .iter()
        .map(|one| (hash_of_text(&one.executor), one))
        .collect();
    let distributions = view.scala().mutable_order(keyed);
    json.object(|o| {
        o.put("id", rdd.id);
        o.put("name", &rdd.name);
        o.put("numPartitions", rdd.partitions);
        o.put("numCachedPartitions", rdd.blocks.len());
        o.put("storageLevel", rdd.level.description());
        o.put("memoryUsed", rdd.memory_used);
        o.put("diskUsed", rdd.disk_used);
        if !distributions.is_empty() {
            o.list("dataDistribution", distributions, |json, one| {
                json.object(|o| {
                    o.maybe("address", one.address.as_ref());
                    o.put("memoryUsed", one.memory_used);
                    o.put("memoryRemaining", one.memory_remaining);
                    o.put("diskUsed", one.disk_used);
                    if let Some([on_heap, off_heap]) = one.remaining {
                        o.put("onHeapMemoryUsed", one.on_heap_used);
                        o.put("offHeapMemoryUsed", one.off_heap_used);
                        o.put("onHeapMemoryRemaining", on_heap);
                        o.put("offHeapMemoryRemaining", off_heap);
                    }
                });
            });
        }
        o.list("partitions", &rdd.blocks, |json, block| {
            json.object(|o| {
                o.put("blockName", &block.name);
                o.put("storageLevel", &block.level);
                o.put("memoryUsed", block.memory_used);
                o.put("diskUsed", block.disk_used);
                o.scalars("executors", &block.executors);
            });
        });
    });
}

pub(super) fn environment(json: &mut Json<'_>, view: &View) {
    let unknown = Default::default();
    let environment = view.environment().unwrap_or(&unknown);
    let list = |o: &mut Object<'_, '_>, key: &str, pairs: &Pairs, hide: bool| {
        let pairs = super::redact::redacted(pairs, hide);
        o.list(key, pairs, |json, (name, value)| {
            json.list([name, value], |json, text| json.scalar(text));
        });
    };
    json.object(|o| {
        o.object("runtime", |o| {
            o.maybe("javaVersion", environment.java_version.as_ref());
            o.maybe("javaHome", environment.java_home.as_ref());
            o.maybe("scalaVersion", environment.scala_version.as_ref());
        });
        list(o, "sparkProperties", &environment.spark, true);
        list(o, "hadoopProperties", &environment.hadoop, true);
        list(o, "systemProperties", &environment.system, true);
        list(o, "metricsProperties", &environment.metrics, true);
        list(o, "classpathEntries", &environment.classpath, false);
        o.list("resourceProfiles", view.profiles(), |json, profile| {
            json.object(|o| {
                o.put("id", profile.id);
                o.object("executorResources", |o| {
                    for (name, request) in &profile.executor {
                        o.object(name, |o| {
                            o.put("resourceName", &request.name);
                            o.put("amount", request.amount);
                            o.put("discoveryScript", &request.script);
                            o.put("vendor", &request.vendor);
                        });
                    }
                });
                o.object("taskResources", |o| {
                    for (name, request) in &profile.task {
                        o.object(name, |o| {
                            o.put("resourceName", &request.name);
                            o.put("amount", request.amount);
                        });
                    }
                });
            });
        });
    });
}
