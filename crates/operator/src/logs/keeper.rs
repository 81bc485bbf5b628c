//! Which logs were asked for, how many are copied at once, and how long an application waits for its own.
//!
//! Nothing here is on record: an operator that starts again copies again, under the same names, what its applications still wait for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, LogParams};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::copy::{self, Copied};
use super::which::{PodLog, RunLogs};
use super::{KeepLogs, Which};
use crate::act::events::Publisher;
use crate::act::{is_code, refusal};
use crate::application::EventNote;
use crate::controller::Key;
use crate::metrics::{self, Metrics};

/// One copy may take so long; then it is tried again.
const ONE_COPY: Duration = Duration::from_secs(60);
/// The first wait before a copy is tried again; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Copies are tried for so many times [`KeepLogs::hold`]: longer than an application waits, never for ever.
const PATIENCE: u32 = 6;
/// Executors that still run when their driver has ended are given this part of the hold to end too.
const EXECUTORS_END: u32 = 2;

/// Whether an application must wait for its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It need not, or not any longer.
    Now,
    /// So long at most; its key is touched when it is sooner.
    After(Duration),
}

/// Keeps logs. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub(crate) struct Keeper(Arc<Inner>);

struct Inner {
    config: KeepLogs,
    client: Client,
    publisher: Publisher,
    metrics: Metrics,
    jobs: mpsc::UnboundedSender<Job>,
    touched: mpsc::UnboundedSender<Key>,
    runs: Mutex<HashMap<Key, Run>>,
}

/// What was asked for of the run that an application is at.
#[derive(Default)]
struct Run {
    run: String,
    asked: HashMap<String, Phase>,
    kept_any: bool,
    /// Since when the application waits.
    since: Option<Instant>,
    /// That it went on without its logs was said.
    told: bool,
    /// The application is about to be deleted: what failed before was asked for once more.
    last: bool,
}

enum Phase {
    UnderWay(Option<String>),
    Kept {
        removal_asked: bool,
    },
    /// There is none: the pod or its container is gone, or never began.
    Absent,
    Failed(String),
}

/// One log to keep, or one pod that is not needed any more.
struct Job {
    key: Key,
    run: String,
    regarding: ObjectReference,
    work: Work,
    asked_at: Instant,
    wait: Duration,
}

enum Work {
    Keep(PodLog),
    Remove(String),
}

enum Outcome {
    Kept(Copied),
    Absent,
    Failed(String),
    /// Worth trying again.
    Passing(String),
}

impl Keeper {
    /// A keeper, and the task that copies, which is cut off when it is dropped.
    pub(crate) fn new(
        config: KeepLogs,
        client: Client,
        publisher: Publisher,
        metrics: Metrics,
        touched: mpsc::UnboundedSender<Key>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let keeper = Self(Arc::new(Inner {
            config,
            client,
            publisher,
            metrics,
            jobs,
            touched,
            runs: Mutex::default(),
        }));
        (keeper.clone(), copy_all(keeper, waiting))
    }

    /// Which logs are kept of applications that say nothing.
    pub(crate) fn which(&self) -> Which {
        self.0.config.which
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<Key, Run>> {
        // The runs are whole between any two statements that could panic.
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for these logs of executors while their application goes on, and lets go of those whose logs are kept.
    pub(crate) fn offer(&self, key: &Key, regarding: &ObjectReference, wanted: &RunLogs) {
        let mut runs = self.runs();
        let run = Run::at(&mut runs, key, wanted);
        let there = |file: &str| wanted.logs.iter().chain(&wanted.running).any(|log| log.file == file);
        run.asked
            .retain(|file, phase| matches!(phase, Phase::UnderWay(_)) || there(file));
        let executors = wanted.logs.iter().filter(|log| log.role == "executor");
        self.ask(run, key, regarding, executors);
        self.let_go(run, key, regarding, wanted);
    }

    /// Asks for these logs, and whether the application must wait for them. `last`: before the application itself goes.
    pub(crate) fn settle(&self, key: &Key, regarding: &ObjectReference, wanted: &RunLogs, last: bool) -> Settled {
        let mut runs = self.runs();
        let run = Run::at(&mut runs, key, wanted);
        if last && !run.last {
            run.last = true;
            run.asked
                .retain(|_, phase| matches!(phase, Phase::UnderWay(_) | Phase::Kept { .. }));
            (run.since, run.told) = (None, false);
        }
        let hold = self.0.config.hold;
        let waited = run.since.get_or_insert_with(Instant::now).elapsed();
        self.ask(run, key, regarding, wanted.logs.iter());
        let until_end = (hold / EXECUTORS_END).saturating_sub(waited);
        let await_executors = !wanted.running.is_empty() && !until_end.is_zero();
        if !await_executors {
            // What they have said so far, rather than nothing.
            self.ask(run, key, regarding, wanted.running.iter());
        }
        let under_way = run.asked.values().any(|phase| matches!(phase, Phase::UnderWay(_)));
        let left = hold.saturating_sub(waited);
        if (under_way || await_executors) && !left.is_zero() {
            let wait = if await_executors { left.min(until_end) } else { left };
            return Settled::After(wait.max(Duration::from_millis(1)));
        }
        self.let_go(run, key, regarding, wanted);
        if let Some(why) = run.trouble().filter(|_| !run.told) {
            run.told = true;
            let note = EventNote {
                warning: true,
                reason: "SparkLogsNotKept",
                action: "KeepLogs",
                note: format!(
                    "not all logs are kept at {}, the application goes on without: {why}",
                    self.url(key, &run.run)
                ),
            };
            tracing::warn!(application = %key, why, "the application goes on without all its logs being kept");
            self.0.publisher.publish(regarding, &run.run, &note);
        }
        Settled::Now
    }

    /// Where logs of this run are kept, when at least one is.
    pub(crate) fn kept(&self, key: &Key) -> Option<String> {
        let runs = self.runs();
        let run = runs.get(key).filter(|run| run.kept_any)?;
        Some(self.url(key, &run.run))
    }

    /// Nothing more is asked about this application.
    pub(crate) fn forget(&self, key: &Key) {
        self.runs().remove(key);
    }

    /// URL of a run's directory.
    pub(crate) fn url(&self, key: &Key, run: &str) -> String {
        format!("{}/{}/{}/{run}", self.0.config.place.url(), key.namespace, key.name)
    }

    fn ask<'a>(&self, run: &mut Run, key: &Key, regarding: &ObjectReference, logs: impl Iterator<Item = &'a PodLog>) {
        for log in logs {
            if run.asked.contains_key(&log.file) {
                continue;
            }
            run.asked.insert(log.file.clone(), Phase::UnderWay(None));
            self.send(key, run, regarding, Work::Keep(log.clone()));
        }
    }

    /// Removes pods that Spark left only for their logs.
    fn let_go(&self, run: &mut Run, key: &Key, regarding: &ObjectReference, wanted: &RunLogs) {
        for pod in &wanted.spent {
            let files: Vec<&str> = wanted
                .logs
                .iter()
                .filter(|log| log.pod == *pod)
                .map(|log| log.file.as_str())
                .collect();
            let kept = |file: &&str| matches!(run.asked.get(*file), Some(Phase::Kept { .. } | Phase::Absent));
            if !files.iter().all(kept) {
                continue;
            }
            let mut asked = false;
            for file in files {
                if let Some(Phase::Kept { removal_asked }) = run.asked.get_mut(file) {
                    asked |= !std::mem::replace(removal_asked, true);
                }
            }
            if asked {
                self.send(key, run, regarding, Work::Remove(pod.clone()));
            }
        }
    }

    fn send(&self, key: &Key, run: &Run, regarding: &ObjectReference, work: Work) {
        self.0.metrics.log_asked();
        let job = Job {
            key: key.clone(),
            run: run.run.clone(),
            regarding: regarding.clone(),
            work,
            asked_at: Instant::now(),
            wait: FIRST_WAIT,
        };
        // Its receiver lives as long as the operator works.
        let _ = self.0.jobs.send(job);
    }

    /// Does a job; answers it when it is to be done again.
    async fn work(self, job: Job) -> Option<Job> {
        let client = metrics::counted(&self.0.client, &self.0.metrics, Some(&job.key));
        let pods: Api<Pod> = Api::namespaced(client, &job.key.namespace);
        let outcome = match &job.work {
            Work::Remove(pod) => match pods.delete(pod, &DeleteParams::default()).await {
                Err(error) if !is_code(&error, 404) && refusal(&error).is_none() => Outcome::Passing(error.to_string()),
                // One that may not be removed goes with its driver.
                _ => {
                    self.0.metrics.log_done();
                    return None;
                }
            },
            Work::Keep(log) => self.keep(&pods, &job, log).await,
        };
        if let Outcome::Passing(why) = &outcome
            && job.asked_at.elapsed() + job.wait < self.0.config.hold * PATIENCE
        {
            tracing::debug!(application = %job.key, why, "a log is not kept yet");
            self.note(&job, Phase::UnderWay(Some(why.clone())));
            return Some(job);
        }
        self.0.metrics.log_done();
        if let Work::Keep(log) = &job.work {
            let phase = match outcome {
                Outcome::Kept(copied) => {
                    let result = if copied.left_out > 0 { "cut" } else { "kept" };
                    self.0
                        .metrics
                        .log_kept(log.role, result, copied.stored, job.asked_at.elapsed());
                    Phase::Kept { removal_asked: false }
                }
                Outcome::Absent => {
                    self.0.metrics.log_kept(log.role, "absent", 0, job.asked_at.elapsed());
                    Phase::Absent
                }
                Outcome::Failed(why) | Outcome::Passing(why) => {
                    tracing::warn!(application = %job.key, pod = log.pod, why, "a log is not kept");
                    self.0.metrics.log_kept(log.role, "failed", 0, job.asked_at.elapsed());
                    Phase::Failed(format!("{}: {why}", log.file))
                }
            };
            self.note(&job, phase);
        }
        None
    }

    async fn keep(&self, pods: &Api<Pod>, job: &Job, log: &PodLog) -> Outcome {
        let parameters = LogParams {
            container: Some(log.container.clone()),
            ..LogParams::default()
        };
        let path = format!("{}/{}/{}/{}", job.key.namespace, job.key.name, job.run, log.file);
        let copying = async {
            let text = match pods.log_stream(&log.pod, &parameters).await {
                Ok(text) => text,
                Err(error) => match refusal(&error).map(|status| status.code) {
                    // Gone, or its container never began.
                    Some(404 | 400) => return Outcome::Absent,
                    Some(_) => return Outcome::Failed(error.to_string()),
                    None => return Outcome::Passing(error.to_string()),
                },
            };
            match copy::copy(text, &self.0.config.place, &path, self.0.config.sizes).await {
                Ok(copied) => Outcome::Kept(copied),
                Err(error) => Outcome::Passing(error.to_string()),
            }
        };
        match timeout(ONE_COPY, copying).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Passing(format!("not copied within {} seconds", ONE_COPY.as_secs())),
        }
    }

    /// Notes how far a log is, and wakes its application when it was the last.
    fn note(&self, job: &Job, phase: Phase) {
        let Work::Keep(log) = &job.work else { return };
        let kept = matches!(phase, Phase::Kept { .. });
        let mut late = kept;
        let mut runs = self.runs();
        if let Some(run) = runs.get_mut(&job.key).filter(|run| run.run == job.run) {
            run.asked.insert(log.file.clone(), phase);
            run.kept_any |= kept;
            late &= run.told;
            if !run.asked.values().any(|phase| matches!(phase, Phase::UnderWay(_))) {
                let _ = self.0.touched.send(job.key.clone());
            }
        }
        drop(runs);
        if late {
            let note = EventNote {
                warning: false,
                reason: "SparkLogsKept",
                action: "KeepLogs",
                note: format!("{} is kept after all at {}", log.file, self.url(&job.key, &job.run)),
            };
            self.0.publisher.publish(&job.regarding, &job.run, &note);
        }
    }
}

impl Run {
    fn at<'a>(runs: &'a mut HashMap<Key, Self>, key: &Key, wanted: &RunLogs) -> &'a mut Self {
        let run = runs.entry(key.clone()).or_default();
        if run.run != wanted.run {
            *run = Self {
                run: wanted.run.clone(),
                ..Self::default()
            };
        }
        run
    }

    /// Why not all is kept.
    fn trouble(&self) -> Option<String> {
        let mut why = self.asked.iter().filter_map(|(file, phase)| match phase {
            Phase::Failed(why) => Some(why.clone()),
            Phase::UnderWay(Some(why)) => Some(format!("{file}: {why}")),
            Phase::UnderWay(None) => Some(format!("{file}: not copied in time")),
            Phase::Kept { .. } | Phase::Absent => None,
        });
        let first = why.next()?;
        Some(match why.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}

/// Copies what is asked for, so many at a time; what waits to be tried again takes no place.
async fn copy_all(keeper: Keeper, mut waiting: mpsc::UnboundedReceiver<Job>) {
    let at_once = keeper.0.config.at_once.max(1);
    let mut copying: JoinSet<Option<Job>> = JoinSet::new();
    let mut again: FuturesUnordered<BoxFuture<'static, Job>> = FuturesUnordered::new();
    loop {
        let job = tokio::select! {
            Some(done) = copying.join_next() => {
                if let Ok(Some(mut job)) = done {
                    let wait = job.wait;
                    job.wait = (wait * 2).min(LONGEST_WAIT);
                    again.push(Box::pin(async move {
                        tokio::time::sleep(wait).await;
                        job
                    }));
                }
                continue;
            }
            Some(job) = again.next(), if copying.len() < at_once => job,
            Some(job) = waiting.recv(), if copying.len() < at_once => job,
        };
        copying.spawn(keeper.clone().work(job));
    }
}
