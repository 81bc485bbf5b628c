//! What is to be kept of a run: by its application's annotation, from the facts about its pods.

use kube::ResourceExt;
use stoke_model::annotations;
use stoke_model::crd::{ExecutorState, SparkApplication, SparkApplicationStatus};
use stoke_model::names::{DRIVER_CONTAINER, EXECUTOR_CONTAINER};

use crate::application::{Driver, Facts, Progress};
use crate::names;

/// Spark's own key.
pub(crate) const DELETE_EXECUTORS: &str = "spark.kubernetes.executor.deleteOnTermination";

/// Which logs are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    None,
    /// Those of drivers, and of executors that have ended and whose pods are still there when the run ends.
    #[default]
    Driver,
    /// Those of executors too: their pods stay until their logs are kept.
    All,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "driver" => Ok(Self::Driver),
            "all" => Ok(Self::All),
            other => Err(format!("{other:?} is not allowed; write driver, all or none")),
        }
    }
}

impl Which {
    /// What this application asks for, if it asks.
    ///
    /// # Errors
    /// The annotation and what to write, when it says something else.
    pub fn of(app: &SparkApplication) -> Result<Option<Self>, String> {
        let asked = app.annotations().get(annotations::KEEP_LOGS);
        asked
            .map(|text| {
                text.parse()
                    .map_err(|why| format!("annotation {}: {why}", annotations::KEEP_LOGS))
            })
            .transpose()
    }
}

/// A run whose logs are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunLogs {
    /// Its directory: `<attempt>-<trace id>`.
    pub(crate) run: String,
    /// The logs there are to keep now.
    pub(crate) logs: Vec<PodLog>,
    /// Executors that still run, and whose logs are to be kept.
    pub(crate) running: Vec<PodLog>,
    /// Executors whose pods no one needs once their logs are kept.
    pub(crate) spent: Vec<String>,
    /// Every executor's log is to be kept, as it ends.
    pub(crate) of_all: bool,
}

/// The log of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLog {
    /// Name of its pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Name of the object.
    pub file: String,
    /// `driver` or `executor`.
    pub role: &'static str,
}

/// What there is to keep of the run that this status speaks of; none when nothing was submitted.
pub(crate) fn logs_of(facts: &Facts, status: &SparkApplicationStatus, which: Which) -> Option<RunLogs> {
    let submission = status.submission_id.as_ref()?;
    let which = Which::of(&facts.app).ok().flatten().unwrap_or(which);
    if which == Which::None {
        return None;
    }
    let mut logs = Vec::new();
    if let Driver::Present(pod) = &facts.driver
        && pod.submission_id.as_ref() == Some(submission)
        && !matches!(pod.progress, Progress::Pending(_))
    {
        logs.extend(of_pod(&pod.name, &pod.containers, DRIVER_CONTAINER, "driver"));
    }
    let let_go = kept_for_their_logs(&facts.app, which);
    let (mut running, mut spent) = (Vec::new(), Vec::new());
    for pod in facts
        .executors
        .iter()
        .filter(|pod| pod.submission_id.as_ref() == Some(submission))
    {
        let of_pod = of_pod(&pod.name, &pod.containers, EXECUTOR_CONTAINER, "executor");
        match pod.state {
            ExecutorState::Completed | ExecutorState::Failed => {
                logs.extend(of_pod);
                let driver_is_done = matches!(&facts.driver, Driver::Present(driver) if driver.progress.is_finished());
                if let_go && (pod.let_go || driver_is_done) {
                    spent.push(pod.name.clone());
                }
            }
            ExecutorState::Running if which == Which::All => running.extend(of_pod),
            _ => {}
        }
    }
    let run = format!("{}-{}", status.execution_attempts, names::trace_id(submission));
    Some(RunLogs {
        run,
        logs,
        running,
        spent,
        of_all: which == Which::All,
    })
}

/// True when Spark leaves ended executors only because their logs are to be kept: then they go when those are.
pub(crate) fn kept_for_their_logs(app: &SparkApplication, which: Which) -> bool {
    let which = Which::of(app).ok().flatten().unwrap_or(which);
    let said_in_field = app
        .spec
        .executor
        .as_ref()
        .is_some_and(|executor| executor.delete_on_termination.is_some());
    let conf = app.spec.spark_conf.as_ref();
    which == Which::All && !said_in_field && !conf.is_some_and(|conf| conf.contains_key(DELETE_EXECUTORS))
}

/// Spark's container under the pod's name, every other one under both names.
fn of_pod(pod: &str, containers: &[String], usual: &str, role: &'static str) -> Vec<PodLog> {
    let log = |container: &str, file: String| PodLog {
        pod: pod.to_owned(),
        container: container.to_owned(),
        file,
        role,
    };
    let Some((first, others)) = containers.split_first() else {
        return vec![log(usual, format!("{pod}.log.gz"))];
    };
    let mut logs = vec![log(first, format!("{pod}.log.gz"))];
    logs.extend(others.iter().map(|name| log(name, format!("{pod}.{name}.log.gz"))));
    logs
}
