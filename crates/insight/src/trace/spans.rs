//! The spans of a run.

use std::collections::{BTreeMap, BTreeSet};

use super::{ids, sample};
use crate::facts::run::{DRIVER, Failure, FailureKind, Outcome, Run, Stage, Task};
use crate::facts::{Cluster, cluster};

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    /// A whole number.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

pub type Attribute = (&'static str, Value);

/// Whether what a span stands for went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It has not ended, or no one can tell.
    Unset,
    /// It went well.
    Ok,
    /// It failed, with the reason.
    Error(String),
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// `exception`.
    pub name: &'static str,
    /// What.
    pub attributes: Vec<Attribute>,
}

/// A span that another follows from.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Its id.
    pub span: String,
    /// What it is to the other.
    pub attributes: Vec<Attribute>,
}

/// A span. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The span it is within; none for the application.
    pub parent: Option<String>,
    /// `job 3`.
    pub name: String,
    /// From when.
    pub start: i64,
    /// Until when.
    pub end: i64,
    /// How it went.
    pub status: Status,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Spans it follows from.
    pub links: Vec<Link>,
}

/// Where spans were made: the driver or an executor.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    pub spans: Vec<Span>,
}

/// A run as spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The driver, then the executors that have spans.
    pub resources: Vec<Resource>,
    /// Task attempts of the run, and how many of them are spans.
    pub tasks: (usize, usize),
}

/// Characters of a stack kept in an event.
const STACK: usize = 8 << 10;
/// Exceptions kept of a stage attempt.
const EXCEPTIONS: usize = 10;

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn int(value: impl TryInto<i64>) -> Value {
    Value::Int(value.try_into().unwrap_or(i64::MAX))
}

/// The spans of a run.
pub fn of(run: &Run, cluster: Option<&Cluster>) -> Trace {
    let id = ids::trace_id(run, cluster);
    let mut maker = Maker {
        run,
        cluster,
        trace: &id,
        executors: BTreeMap::new(),
        tasks: (0, 0),
    };
    let mut driver = vec![maker.application()];
    driver.extend(run.jobs.keys().filter_map(|job| maker.job(*job)));
    let attempts = run
        .stages
        .values()
        .filter(|stage| stage.submitted.is_some() || !stage.tasks.is_empty())
        .count();
    for ((stage, attempt), facts) in &run.stages {
        if facts.submitted.is_some() || !facts.tasks.is_empty() {
            let span = maker.stage(*stage, *attempt, facts, attempts);
            driver.push(span);
        }
    }
    let mut resources = vec![Resource {
        attributes: maker.resource(DRIVER),
        spans: driver,
    }];
    let executors = std::mem::take(&mut maker.executors);
    resources.extend(executors.into_iter().map(|(executor, spans)| {
        let id = run
            .executors
            .get(executor as usize)
            .map_or("unknown", |executor| executor.id.as_str());
        Resource {
            attributes: maker.resource(id),
            spans,
        }
    }));
    let tasks = maker.tasks;
    Trace { resources, tasks, id }
}

struct Maker<'a> {
    run: &'a Run,
    cluster: Option<&'a Cluster>,
    trace: &'a str,
    /// Task spans by place of the executor.
    executors: BTreeMap<u32, Vec<Span>>,
    tasks: (usize, usize),
}

impl Maker<'_> {
    /// Attributes of a resource, by OpenTelemetry's semantic conventions for services, hosts and Kubernetes; those of Spark have no convention
    /// and begin with `spark.`.
    fn resource(&self, id: &str) -> Vec<Attribute> {
        let run = self.run;
        let mut attributes = vec![
            (
                "service.name",
                text(if run.name.is_empty() { &run.id } else { &run.name }),
            ),
            ("service.instance.id", text(format!("{}/{id}", run.id))),
            ("spark.app.id", text(&run.id)),
            ("spark.version", text(&run.spark_version)),
            ("spark.role", text(if id == DRIVER { "driver" } else { "executor" })),
        ];
        if let Some(java) = run.jvm.get("Java Version") {
            attributes.push(("process.runtime.version", text(java)));
        }
        let executor = run.executors.iter().find(|executor| executor.id == id);
        if let Some(executor) = executor {
            attributes.push(("spark.executor.id", text(id)));
            attributes.push(("host.name", text(&executor.host)));
            attributes.push(("spark.executor.cores", int(executor.cores)));
        }
        let namespace = self
            .cluster
            .and_then(|cluster| cluster.application["metadata"]["namespace"].as_str());
        if let Some(namespace) = namespace.or(run.property("spark.kubernetes.namespace")) {
            attributes.push(("k8s.namespace.name", text(namespace)));
        }
        let pod = self.cluster.and_then(|cluster| {
            cluster.pods.iter().find(|pod| match &pod.role {
                cluster::Role::Driver => id == DRIVER,
                cluster::Role::Executor(executor) => executor == id,
            })
        });
        if let Some(pod) = pod {
            attributes.push(("k8s.pod.name", text(&pod.name)));
            if let Some(node) = &pod.node {
                attributes.push(("k8s.node.name", text(node)));
            }
        }
        attributes
    }

    fn application(&self) -> Span {
        let run = self.run;
        let failed = run.jobs.values().rev().find_map(|job| job.failure.as_ref());
        let status = match (run.exit_code, failed) {
            (Some(0), _) => Status::Ok,
            (Some(code), failed) => Status::Error(failed.cloned().unwrap_or_else(|| format!("exit code {code}"))),
            (None, Some(failed))
                if run.ended.is_none()
                    || run
                        .jobs
                        .values()
                        .next_back()
                        .is_some_and(|job| job.succeeded == Some(false)) =>
            {
                Status::Error(failed.clone())
            }
            (None, _) if run.ended.is_some() => Status::Ok,
            (None, _) => Status::Unset,
        };
        Span {
            id: ids::root(self.trace),
            parent: None,
            name: format!("application {}", run.name),
            start: run.started,
            end: run.end(),
            status: cut_status(status),
            attributes: vec![
                ("spark.app.id", text(&run.id)),
                ("spark.app.name", text(&run.name)),
                ("enduser.id", text(&run.user)),
                ("spark.app.ended", Value::Bool(run.ended.is_some())),
            ],
            events: Vec::new(),
            links: Vec::new(),
        }
    }

    fn job(&self, id: i32) -> Option<Span> {
        let job = self.run.jobs.get(&id)?;
        let mut attributes = vec![("spark.job.id", int(id)), ("spark.job.stages", int(job.stages.len()))];
        if !job.description.is_empty() {
            attributes.push(("spark.job.description", text(&job.description)));
        }
        if !job.group.is_empty() {
            attributes.push(("spark.job.group", text(&job.group)));
        }
        if let Some(query) = job.query {
            attributes.push(("spark.sql.execution.id", int(query)));
        }
        Some(Span {
            id: ids::of(self.trace, &format!("job/{id}")),
            parent: Some(ids::root(self.trace)),
            name: format!("job {id}"),
            start: job.started,
            end: job.ended.unwrap_or(self.run.end()).max(job.started),
            status: cut_status(match (job.succeeded, &job.failure) {
                (Some(true), _) => Status::Ok,
                (Some(false), failure) => Status::Error(failure.clone().unwrap_or_default()),
                (None, _) => Status::Unset,
            }),
            attributes,
            events: Vec::new(),
            links: Vec::new(),
        })
    }

    fn stage(&mut self, id: i32, attempt: i32, stage: &Stage, attempts: usize) -> Span {
        let run = self.run;
        let first = stage.tasks.iter().map(|task| at(run, task.launched)).min();
        let start = stage.submitted.or(first).unwrap_or(run.started);
        let end = stage.completed.unwrap_or(run.end()).max(start);
        let own = ids::of(self.trace, &format!("stage/{id}/{attempt}"));
        let (sample, step) = sample::of(stage, attempts);
        self.tasks.0 += stage.tasks.len();
        self.tasks.1 += sample.len();
        for (place, why) in &sample {
            let task = &stage.tasks[*place];
            let span = self.task(&own, (id, attempt), stage, task, *why);
            self.executors.entry(task.executor).or_default().push(span);
        }
        let totals = &stage.totals;
        let mut attributes = vec![
            ("spark.stage.id", int(id)),
            ("spark.stage.attempt", int(attempt)),
            ("spark.stage.name", text(&stage.name)),
            ("spark.stage.tasks", int(stage.task_count)),
            ("spark.stage.task_attempts", int(stage.tasks.len())),
            ("spark.stage.task_spans", int(sample.len())),
            ("spark.stage.task_sample_step", int(step)),
            ("spark.stage.run_time_ms", int(totals.run_time)),
            ("spark.stage.cpu_time_ms", int(totals.cpu_time)),
            ("spark.stage.gc_time_ms", int(totals.gc_time)),
            ("spark.stage.input_bytes", int(totals.input)),
            ("spark.stage.output_bytes", int(totals.output)),
            ("spark.stage.shuffle_read_bytes", int(totals.shuffle_read)),
            ("spark.stage.shuffle_write_bytes", int(totals.shuffle_write)),
            ("spark.stage.disk_spilled_bytes", int(totals.disk_spilled)),
            ("spark.stage.failed_tasks", int(totals.failed)),
        ];
        if let Some(query) = stage.query {
            attributes.push(("spark.sql.execution.id", int(query)));
        }
        let parent = match stage.job.filter(|job| run.jobs.contains_key(job)) {
            Some(job) => ids::of(self.trace, &format!("job/{job}")),
            None => ids::root(self.trace),
        };
        Span {
            id: own,
            parent: Some(parent),
            name: format!(
                "stage {id}{}",
                if attempt > 0 {
                    format!(" attempt {attempt}")
                } else {
                    String::new()
                }
            ),
            start,
            end,
            status: cut_status(match (&stage.failure, stage.completed) {
                (Some(failure), _) => Status::Error(failure.clone()),
                (None, Some(_)) => Status::Ok,
                (None, None) => Status::Unset,
            }),
            attributes,
            events: stage.failures.iter().take(EXCEPTIONS).map(exception).collect(),
            links: self.parents(stage),
        }
    }

    /// The stages a stage waits for, each by its last attempt that ran.
    fn parents(&self, stage: &Stage) -> Vec<Link> {
        let parents: BTreeSet<i32> = stage.parents.iter().copied().collect();
        let link = |parent: i32| {
            let mut attempts = self.run.stages.range((parent, 0)..=(parent, i32::MAX));
            let ((_, attempt), _) =
                attempts.rfind(|(_, facts)| facts.submitted.is_some() || !facts.tasks.is_empty())?;
            Some(Link {
                span: ids::of(self.trace, &format!("stage/{parent}/{attempt}")),
                attributes: vec![("spark.link", text("parent stage")), ("spark.stage.id", int(parent))],
            })
        };
        parents.into_iter().filter_map(link).collect()
    }

    fn task(&self, stage_span: &str, (id, attempt): (i32, i32), stage: &Stage, task: &Task, why: sample::Why) -> Span {
        let start = at(self.run, task.launched);
        let end = match task.outcome {
            Outcome::Running | Outcome::GetResult => self.run.end().max(start),
            _ => at(self.run, task.ended()),
        };
        let failure = (task.outcome == Outcome::Failed)
            .then(|| {
                stage
                    .failures
                    .iter()
                    .find(|failure| failure.first == (task.index, task.attempt))
            })
            .flatten();
        let status = match task.outcome {
            Outcome::Succeeded => Status::Ok,
            Outcome::Failed => Status::Error(failure.map_or_else(
                || "the attempt failed; see the events of the stage".to_owned(),
                |it| it.message.clone(),
            )),
            Outcome::Killed | Outcome::Running | Outcome::GetResult => Status::Unset,
        };
        let outcome = match task.outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Killed => "killed",
            Outcome::Running | Outcome::GetResult => "running",
        };
        Span {
            id: ids::of(
                self.trace,
                &format!("task/{id}/{attempt}/{}/{}", task.index, task.attempt),
            ),
            parent: Some(stage_span.to_owned()),
            name: format!(
                "task {id}/{}{}",
                task.index,
                if task.attempt > 0 {
                    format!(" attempt {}", task.attempt)
                } else {
                    String::new()
                }
            ),
            start,
            end,
            status: cut_status(status),
            attributes: vec![
                ("spark.stage.id", int(id)),
                ("spark.stage.attempt", int(attempt)),
                ("spark.task.index", int(task.index)),
                ("spark.task.attempt", int(task.attempt)),
                ("spark.task.outcome", text(outcome)),
                ("spark.task.speculative", Value::Bool(task.speculative)),
                ("spark.task.sampled_as", text(why.as_str())),
                ("spark.task.run_time_ms", int(task.run_time)),
                ("spark.task.cpu_time_ms", int(task.cpu_time)),
                ("spark.task.gc_time_ms", int(task.gc_time)),
                ("spark.task.input_bytes", int(task.input)),
                ("spark.task.output_bytes", int(task.output)),
                ("spark.task.shuffle_read_bytes", int(task.shuffle_read)),
                ("spark.task.shuffle_write_bytes", int(task.shuffle_write)),
                ("spark.task.disk_spilled_bytes", int(task.disk_spilled)),
            ],
            events: failure.map(exception).into_iter().collect(),
            links: Vec::new(),
        }
    }
}

fn at(run: &Run, milliseconds: u64) -> i64 {
    run.started
        .saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// A failure as the event `exception` of the semantic conventions.
fn exception(failure: &Failure) -> Event {
    let class = match &failure.kind {
        FailureKind::Exception { class } => class.as_str(),
        FailureKind::Fetch { .. } => "org.apache.spark.shuffle.FetchFailedException",
        FailureKind::ExecutorLost { .. } => "ExecutorLostFailure",
        FailureKind::CommitDenied => "TaskCommitDenied",
        FailureKind::ResultLost => "TaskResultLost",
        FailureKind::Other => "TaskFailed",
    };
    let mut attributes = vec![
        ("exception.type", text(class)),
        ("exception.message", text(cut(&failure.message, STACK))),
        ("spark.failure.count", int(failure.count)),
        ("spark.executor.id", text(&failure.executor)),
    ];
    if !failure.stack.is_empty() {
        attributes.push(("exception.stacktrace", text(cut(&failure.stack, STACK))));
    }
    Event {
        time: failure.time,
        name: "exception",
        attributes,
    }
}

/// A status message of one paragraph.
fn cut_status(status: Status) -> Status {
    match status {
        Status::Error(message) => Status::Error(cut(message.split("\n\n").next().unwrap_or_default(), 1024).to_owned()),
        other => other,
    }
}

fn cut(text: &str, most: usize) -> &str {
    match text.len() > most {
        true => &text[..text.floor_char_boundary(most)],
        false => text,
    }
}
