//! Follows one application until it ends: its states, its pods, its driver's log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use stoke_model::crd::{ApplicationStateType, SparkApplication};
use stoke_model::names;
use stoke_model::units::people::elapsed;
use stoke_model::waiting::refused::Refusals;
use stoke_operator::quality;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::awaited::Awaited;
use crate::error::{Kind, LaptopError, Outcome};
use crate::interrupt::interrupted;
use crate::progress::{Progress, Voice};

/// Lines of the driver's log kept for the summary.
const TAIL: usize = 2_000;

/// How often pods that do not start are looked at.
const LOOK: Duration = Duration::from_secs(3);

/// Lines of a report of data quality that are shown.
const REPORT: i64 = 60;

/// Something that is seen of an application while it is followed.
#[derive(Debug)]
pub enum Sight<'a> {
    /// It is in another state; the attempt counts from 1.
    State(ApplicationStateType, u32),
    /// What it or its pods wait for, once each.
    Waits(&'a str),
    /// What a step of data quality came to, once each.
    Quality(&'a str),
    /// The report of a step that does not hold: pod, container, text.
    Report(&'a str, &'a str, &'a str),
    /// A line of the driver's log, and what the log told so far.
    Line(Voice, &'a str, &'a Progress),
    /// The watch broke off and is begun again.
    Unreachable(&'a str),
}

/// Is called with what is seen, and how long after the first look.
pub trait Watch {
    /// Takes what is seen.
    fn see(&mut self, sight: Sight<'_>, after: Duration);
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

impl Seen {
    /// Exit code: 0 for success, the driver's own after a failure where it is known, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let Some(status) = &self.application.status else {
            return 1;
        };
        if status.app_state.state == ApplicationStateType::Completed {
            return 0;
        }
        driver_exit_code(&status.app_state.error_message).unwrap_or(1)
    }
}

fn driver_exit_code(message: &str) -> Option<u8> {
    let rest = message.split_once("ExitCode: ")?.1;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|code| *code != 0)
}

/// Follows `application` to its end, or gives up after a time.
///
/// # Errors
/// It was deleted, did not end in time, the cluster is gone, or the process is to end.
pub async fn follow(
    client: &Client,
    application: &SparkApplication,
    timeout: Option<Duration>,
    watch: &mut dyn Watch,
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
    let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    let mut follower = Follower {
        watch,
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
                    return Err(LaptopError::environment("stoke::run::deleted", format!("application `{name}` was deleted while it ran")));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => follower.see(Sight::Unreachable(&error.to_string())),
                None => return Err(LaptopError::environment("stoke::run::watch", "the API server ended the watch")),
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
                let timeout = elapsed(timeout.unwrap_or_default());
                let state = if follower.waiting.is_empty() { String::new() } else { format!(" (waiting: {})", follower.waiting) };
                let message = format!("application `{name}` had not ended after {timeout}{state}");
                return Err(LaptopError::new(Kind::TimedOut, "stoke::run::timeout", message));
            }
            result = interrupted() => {
                result?;
                let message = format!("interrupted; application `{name}` had not ended");
                return Err(LaptopError::new(Kind::Interrupted, "stoke::run::interrupted", message));
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

struct Follower<'a> {
    watch: &'a mut dyn Watch,
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
            self.see(Sight::State(
                state,
                u32::try_from(status.execution_attempts).unwrap_or(0),
            ));
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
                self.see(Sight::Quality(&told));
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
        let after = self.started.elapsed();
        self.watch.see(Sight::Line(voice, &line, &self.progress), after);
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
                let log = pods.logs(&pod.name_any(), &parameters).await.unwrap_or_default();
                self.see(Sight::Report(&pod.name_any(), &container.name, &log));
            }
        }
    }

    fn wait(&mut self, reason: &str) {
        if self.waits.insert(reason.to_string()) {
            self.waiting = reason.to_string();
            self.see(Sight::Waits(reason));
        }
    }

    fn see(&mut self, sight: Sight<'_>) {
        self.watch.see(sight, self.started.elapsed());
    }

    fn end(self) -> Seen {
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

#[cfg(test)]
mod tests {
    use super::driver_exit_code;

    #[test]
    fn the_drivers_exit_code_is_read_from_the_message() {
        let cases = [
            ("driver container failed with ExitCode: 11, Reason: Error", Some(11)),
            (
                "driver container failed with ExitCode: 137, Reason: OOMKilled",
                Some(137),
            ),
            ("driver pod not found", None),
            ("driver container failed with ExitCode: 0, Reason: X", None),
        ];
        for (message, code) in cases {
            assert_eq!(driver_exit_code(message), code, "{message}");
        }
    }
}
