//! Copies logs, a bounded number at a time, and knows how far each is and how long an application has waited for its own. What is copied and how
//! long the wait may be is decided elsewhere.
//!
//! Nothing here is on record: an operator that starts again copies again, under the same names, what its applications still wait for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, LogParams};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::KeepLogs;
use super::copy::{self, Copied};
use super::which::PodLog;
use crate::act::events::Publisher;
use crate::act::{is_code, refusal};
use crate::application::{EventNote, LogCopy, Logs};
use crate::controller::Key;
use crate::metrics::{self, Metrics};

/// One copy may take so long; then it is tried again.
const ONE_COPY: Duration = Duration::from_secs(60);
/// The first wait before a copy is tried again; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Copies are tried for so many times [`KeepLogs::hold`]: longer than an application waits, never for ever.
const PATIENCE: u32 = 6;
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

/// How far the logs are of the run that an application is at.
#[derive(Default)]
struct Run {
    run: String,
    copies: BTreeMap<String, LogCopy>,
    any_kept: bool,
    /// Since when the application waits.
    since: Option<Instant>,
    /// That it went on without its logs was reported.
    reported: bool,
    /// The application is about to be deleted: what failed before was asked for once more.
    last: bool,
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

    fn runs(&self) -> MutexGuard<'_, HashMap<Key, Run>> {
        // The runs are whole between any two statements that could panic.
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the logs of this application are.
    pub(crate) fn facts(&self, key: &Key) -> Logs {
        let config = &self.0.config;
        let mut logs = Logs {
            which: config.which,
            hold: SignedDuration::try_from(config.hold).unwrap_or(SignedDuration::MAX),
            place: format!("{}/{}/{}", config.place.url(), key.namespace, key.name),
            ..Logs::default()
        };
        if let Some(run) = self.runs().get(key) {
            logs.run.clone_from(&run.run);
            logs.copies.clone_from(&run.copies);
            let waited = run.since.map(|since| since.elapsed());
            logs.waited = waited.map(|waited| SignedDuration::try_from(waited).unwrap_or(SignedDuration::MAX));
            (logs.any_kept, logs.reported, logs.last) = (run.any_kept, run.reported, run.last);
        }
        logs
    }

    /// Begins to copy these logs of a run.
    pub(crate) fn copy(&self, key: &Key, regarding: &ObjectReference, run: &str, logs: Vec<PodLog>) {
        let mut runs = self.runs();
        let run = Run::at(&mut runs, key, run);
        for log in logs {
            run.copies.insert(log.file.clone(), LogCopy::UnderWay(None));
            self.send(key, run, regarding, Work::Keep(log));
        }
    }

    /// Begins the time that an application waits.
    pub(crate) fn hold(&self, key: &Key, run: &str, last: bool) {
        let mut runs = self.runs();
        let run = Run::at(&mut runs, key, run);
        (run.since, run.reported, run.last) = (Some(Instant::now()), false, last);
    }

    /// Removes a pod whose logs, these files, are kept.
    pub(crate) fn remove(&self, key: &Key, regarding: &ObjectReference, run: &str, pod: String, files: &[String]) {
        let mut runs = self.runs();
        let run = Run::at(&mut runs, key, run);
        for file in files {
            if let Some(LogCopy::Kept { removed }) = run.copies.get_mut(file) {
                *removed = true;
            }
        }
        self.send(key, run, regarding, Work::Remove(pod));
    }

    /// Tells people that the application goes on without these.
    pub(crate) fn report(&self, key: &Key, regarding: &ObjectReference, run: &str, why: &str) {
        Run::at(&mut self.runs(), key, run).reported = true;
        let note = EventNote {
            warning: true,
            reason: "SparkLogsNotKept",
            action: "KeepLogs",
            note: format!(
                "not all logs are kept at {}, the application goes on without: {why}",
                self.facts(key).url(run)
            ),
        };
        tracing::warn!(application = %key, why, "the application goes on without all its logs being kept");
        self.0.publisher.publish(regarding, run, &note);
    }

    /// Drops what is known of these files.
    pub(crate) fn forget_copies(&self, key: &Key, files: &[String]) {
        if let Some(run) = self.runs().get_mut(key) {
            run.copies.retain(|file, _| !files.contains(file));
        }
    }

    /// Nothing more is asked about this application.
    pub(crate) fn forget(&self, key: &Key) {
        self.runs().remove(key);
    }

    fn send(&self, key: &Key, run: &Run, regarding: &ObjectReference, work: Work) {
        self.0.metrics.log_queued();
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
            self.note(&job, LogCopy::UnderWay(Some(why.clone())));
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
                    LogCopy::Kept { removed: false }
                }
                Outcome::Absent => {
                    self.0.metrics.log_kept(log.role, "absent", 0, job.asked_at.elapsed());
                    LogCopy::Absent
                }
                Outcome::Failed(why) | Outcome::Passing(why) => {
                    tracing::warn!(application = %job.key, pod = log.pod, why, "a log is not kept");
                    self.0.metrics.log_kept(log.role, "failed", 0, job.asked_at.elapsed());
                    LogCopy::Failed(format!("{}: {why}", log.file))
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
    fn note(&self, job: &Job, phase: LogCopy) {
        let Work::Keep(log) = &job.work else { return };
        let kept = matches!(phase, LogCopy::Kept { .. });
        let mut late = kept;
        let mut runs = self.runs();
        if let Some(run) = runs.get_mut(&job.key).filter(|run| run.run == job.run) {
            run.copies.insert(log.file.clone(), phase);
            run.any_kept |= kept;
            late &= run.reported;
            if !run.copies.values().any(|phase| matches!(phase, LogCopy::UnderWay(_))) {
                let _ = self.0.touched.send(job.key.clone());
            }
        }
        drop(runs);
        if late {
            let note = EventNote {
                warning: false,
                reason: "SparkLogsKept",
                action: "KeepLogs",
                note: format!(
                    "{} is kept after all at {}",
                    log.file,
                    self.facts(&job.key).url(&job.run)
                ),
            };
            self.0.publisher.publish(&job.regarding, &job.run, &note);
        }
    }
}

impl Run {
    fn at<'a>(runs: &'a mut HashMap<Key, Self>, key: &Key, name: &str) -> &'a mut Self {
        let run = runs.entry(key.clone()).or_default();
        if run.run != name {
            *run = Self {
                run: name.to_owned(),
                ..Self::default()
            };
        }
        run
    }
}

/// Copies what is asked for, a bounded number at a time; what waits to be tried again takes no place.
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
