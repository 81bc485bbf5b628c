//! Follows one application until it ends: its states, its pods, its driver's log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use stoke_model::crd::{ApplicationStateType, SparkApplication};
use stoke_model::names;
use stoke_model::waiting::refused::Refusals;
use stoke_operator::quality;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::awaited::Awaited;
use crate::failure::{Failure, Outcome};
use crate::progress::{Progress, Voice};
use crate::terminal::{Format, Terminal, dim, duration};

/// Lines of the driver's log kept for the summary.
const TAIL: usize = 2_000;

/// How often pods that do not start are looked at.
const LOOK: Duration = Duration::from_secs(3);

/// Lines of a report of data quality that are shown.
const REPORT: i64 = 60;

/// What to show while following.
pub struct Options {
    /// Hide the lines of Spark's logger.
    pub quiet: bool,
    /// Give up after this time.
    pub timeout: Option<Duration>,
}

/// What was seen of an application until it ended.
pub struct Seen {
    /// The application in its last state.
    pub application: SparkApplication,
    /// Stages and tasks.
    pub progress: Progress,
    /// The last lines of the driver's log.
    pub tail: VecDeque<String>,
    /// Executor pods by name: why each ended, if it ended badly.
    pub executors: BTreeMap<String, Option<String>>,
    /// From the first look to the end.
    pub elapsed: Duration,
}

/// Follows `application` to its end.
pub async fn follow(
    client: &Client,
    application: &SparkApplication,
    options: &Options,
    terminal: &mut Terminal,
) -> Outcome<Seen> {
    let namespace = application.namespace().unwrap_or_else(|| "default".into());
    let name = application.name_any();
    let apps: Api<SparkApplication> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let mut app_events = watcher(
        apps,
        watcher::Config::default().fields(&format!("metadata.name={name}")),
    )
    .boxed();
    let selector = format!("{}={name}", names::LABEL_APP_NAME);
    let mut pod_events = watcher(pods.clone(), watcher::Config::default().labels(&selector)).boxed();
    let (lines, mut incoming) = mpsc::channel::<String>(1024);
    let deadline = options.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    let mut follower = Follower {
        options,
        terminal,
        started: Instant::now(),
        application: application.clone(),
        shown: None,
        waiting: String::new(),
        waits: BTreeSet::new(),
        told: Vec::new(),
        submission: None,
        log: None,
        progress: Progress::default(),
        tail: VecDeque::new(),
        executors: BTreeMap::new(),
        awaited: Awaited::default(),
        refusals: Refusals::default(),
    };
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Lines first: what the driver said before it ended is shown before its end.
            biased;
            Some(line) = incoming.recv() => follower.line(line),
            event = app_events.next() => match event {
                Some(Ok(Event::Apply(app) | Event::InitApply(app))) if app.uid() == application.uid() => {
                    let ended = follower.state(app);
                    follower.open_log(&pods, &lines);
                    if ended {
                        break;
                    }
                }
                Some(Ok(Event::Delete(app))) if app.uid() == application.uid() => {
                    return Err(Failure::environment("stoke::run::deleted", format!("application `{name}` was deleted while it ran")));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => follower.terminal.status(format!("waiting for the API server: {error}")),
                None => return Err(Failure::environment("stoke::run::watch", "the API server ended the watch")),
            },
            Some(event) = pod_events.next() => match event {
                Ok(Event::Apply(pod) | Event::InitApply(pod)) => follower.pod(&pod),
                Ok(Event::Delete(pod)) => follower.awaited.gone(&pod),
                _ => {}
            },
            _ = looks.tick() => for text in follower.awaited.look(client).await {
                follower.wait(&text);
            },
            () = at(deadline) => {
                let timeout = duration(options.timeout.unwrap_or_default());
                let state = if follower.waiting.is_empty() { String::new() } else { format!(" (waiting: {})", follower.waiting) };
                let failure = Failure::environment("stoke::run::timeout", format!("application `{name}` had not ended after {timeout}{state}"));
                return Err(Failure { exit: 124, ..failure });
            }
            result = interrupted() => {
                result?;
                return Err(Failure { exit: 130, ..Failure::environment("stoke::run::interrupted", format!("interrupted; application `{name}` had not ended")) });
            }
        }
    }
    drop(lines);
    // The log's stream ends with its container; a lost connection must not hold the result.
    let drain = async {
        while let Some(line) = incoming.recv().await {
            follower.line(line);
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
    follower.checks(&pods, &selector).await;
    Ok(follower.end())
}

/// Completes at the deadline; never without one.
async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Set once the user or the system wanted the process to end.
static WANTED: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// Listens for Ctrl-C, SIGTERM and SIGHUP from now on; before this call they end the process at once, as they do by default.
pub fn listen() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (wanted, receiver) = watch::channel(false);
    if WANTED.set(receiver).is_ok() {
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let _ = wanted.send(true);
        });
    }
    Ok(())
}

/// Completes when the user or the system wants the process to end, at once if they did since [`listen`].
pub async fn interrupted() -> std::io::Result<()> {
    listen()?;
    if let Some(mut wanted) = WANTED.get().cloned() {
        let _ = wanted.wait_for(|wanted| *wanted).await;
    }
    Ok(())
}

struct Follower<'a> {
    options: &'a Options,
    terminal: &'a mut Terminal,
    started: Instant,
    application: SparkApplication,
    shown: Option<ApplicationStateType>,
    /// What was waited for last, and all that was.
    waiting: String,
    waits: BTreeSet<String>,
    /// What was said of data quality.
    told: Vec<String>,
    submission: Option<String>,
    log: Option<JoinHandle<()>>,
    progress: Progress,
    tail: VecDeque<String>,
    executors: BTreeMap<String, Option<String>>,
    awaited: Awaited,
    /// Executors the API server refused to make.
    refusals: Refusals,
}

impl Follower<'_> {
    /// Takes a new state of the application; true when it has ended.
    fn state(&mut self, application: SparkApplication) -> bool {
        let status = application.status.clone().unwrap_or_default();
        let state = status.app_state.state;
        if self.shown != Some(state) && state != ApplicationStateType::New {
            self.shown = Some(state);
            let word = serde_json::to_value(state)
                .ok()
                .and_then(|word| word.as_str().map(str::to_string))
                .unwrap_or_default();
            let attempt = if status.execution_attempts > 1 {
                format!(" (attempt {})", status.execution_attempts)
            } else {
                String::new()
            };
            self.note(&format!("{word}{attempt}"));
        }
        if !state.is_terminal() && !status.app_state.error_message.is_empty() {
            self.wait(&status.app_state.error_message);
        }
        for condition in status
            .conditions
            .iter()
            .filter(|condition| condition.type_.starts_with("Quality"))
        {
            let told = format!("{}: {}: {}", condition.type_, condition.reason, condition.message);
            if condition.status != "Unknown" && !self.told.contains(&told) {
                self.note(&told);
                self.told.push(told);
            }
        }
        self.application = application;
        state.is_terminal()
    }

    /// Opens the driver's log once per submission, as soon as the driver has run.
    fn open_log(&mut self, pods: &Api<Pod>, lines: &mpsc::Sender<String>) {
        use ApplicationStateType::{Completed, Failed, Failing, Running, Succeeding};
        let Some(status) = &self.application.status else { return };
        let ran = matches!(
            status.app_state.state,
            Running | Succeeding | Failing | Completed | Failed
        );
        let Some(pod) = status.driver_info.pod_name.clone() else {
            return;
        };
        if !ran || self.submission == status.submission_id {
            return;
        }
        self.submission.clone_from(&status.submission_id);
        self.log = Some(tokio::spawn(send_log(pods.clone(), pod, lines.clone())));
    }

    fn line(&mut self, line: String) {
        let namespace = self.application.namespace().unwrap_or_default();
        let refused = self.refusals.line(&line, Some(Timestamp::now()), &namespace);
        if let Some(text) = refused.map(|waits| format!("executors: {waits}")) {
            self.wait(&text);
        }
        let voice = self.progress.line(&line);
        match voice {
            Voice::Application if self.terminal.format() == Format::Text => self.terminal.out(&line),
            // Standard output is the summary's alone when programs read it.
            Voice::Application => self.terminal.note(&line),
            Voice::Spark if !self.options.quiet => self.terminal.note(dim(&line)),
            Voice::Spark => {}
        }
        self.terminal.status(self.progress.status());
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    fn pod(&mut self, pod: &Pod) {
        if pod.labels().get("spark-role").map(String::as_str) == Some("executor") {
            let entry = self.executors.entry(pod.name_any()).or_default();
            if let Some(reason) = bad_end(pod) {
                *entry = Some(reason);
            }
        }
        self.awaited.see(pod);
    }

    /// Shows what the steps of data quality reported that do not hold: their pods may be gone with the cluster.
    async fn checks(&mut self, pods: &Api<Pod>, selector: &str) {
        if !self.told.iter().any(|told| !told.contains(": Passed: ")) {
            return;
        }
        let of_quality = format!("{selector},{}={}", names::LABEL_SPARK_ROLE, quality::ROLE);
        let Ok(found) = pods.list(&ListParams::default().labels(&of_quality)).await else {
            return;
        };
        for pod in found {
            let statuses = pod
                .status
                .as_ref()
                .and_then(|status| status.container_statuses.as_ref());
            let bad = statuses.into_iter().flatten().filter(|container| {
                let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
                ended.is_some_and(|ended| ended.exit_code != 0)
            });
            for container in bad {
                let parameters = LogParams {
                    container: Some(container.name.clone()),
                    tail_lines: Some(REPORT),
                    ..LogParams::default()
                };
                self.note(&format!("pod {}, {}:", pod.name_any(), container.name));
                let log = pods.logs(&pod.name_any(), &parameters).await.unwrap_or_default();
                log.lines().for_each(|line| self.terminal.note(line));
            }
        }
    }

    fn wait(&mut self, reason: &str) {
        if self.waits.insert(reason.to_string()) {
            self.waiting = reason.to_string();
            self.note(&format!("waiting: {reason}"));
        }
    }

    fn note(&mut self, text: &str) {
        let line = format!(
            "{:>7}  {}  {text}",
            duration(self.started.elapsed()),
            self.application.name_any()
        );
        self.terminal.note(dim(line));
    }

    fn end(self) -> Seen {
        self.terminal.end_status();
        if let Some(log) = self.log {
            log.abort();
        }
        Seen {
            application: self.application,
            progress: self.progress,
            tail: self.tail,
            executors: self.executors,
            elapsed: self.started.elapsed(),
        }
    }
}

/// Sends a driver's log line by line until its container ends.
async fn send_log(pods: Api<Pod>, pod: String, lines: mpsc::Sender<String>) {
    let parameters = LogParams {
        follow: true,
        container: Some(names::DRIVER_CONTAINER.into()),
        ..LogParams::default()
    };
    let Ok(stream) = pods.log_stream(&pod, &parameters).await else {
        return;
    };
    let mut log = stream.lines();
    while let Ok(Some(line)) = log.try_next().await {
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

/// Why a pod ended badly.
fn bad_end(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let ended = status
        .container_statuses
        .iter()
        .flatten()
        .find_map(|container| container.state.as_ref()?.terminated.as_ref());
    match ended {
        Some(ended) if ended.exit_code != 0 => Some(format!(
            "{} ({})",
            ended.reason.as_deref().unwrap_or("Error"),
            ended.exit_code
        )),
        _ => (status.phase.as_deref() == Some("Failed"))
            .then(|| status.reason.clone().unwrap_or_else(|| "Failed".into())),
    }
}
