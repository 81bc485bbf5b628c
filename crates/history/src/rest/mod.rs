//! Spark's status API, `/api/v1`, over what is known of applications.
//!
//! [`answer`] is a function of a path, a query and a [`Library`]; it knows no sockets. Texts and statuses of failures are those of Spark's
//! History Server, because clients look at them.

mod list;
mod page;
mod params;
mod quantiles;
mod redact;
mod search;
pub(crate) mod show;
mod sql;
mod summary;
mod table;

use std::sync::Arc;

use stoke_run::DRIVER;

use crate::json::Json;
use crate::listing::{Attempt, Listed};
use crate::model::View;
use crate::model::data::Stage;
use crate::model::metrics::at::RUN_TIME;
use crate::model::task::Task;
use crate::version::Version;
pub use params::{Query, decode_path};
pub use redact::redacted;
use show::Besides;
pub use show::executor_times;
pub use summary::{Tally, TaskSummary};
pub use table::TaskOrder;

/// Where applications are found.
pub trait Library: Send + Sync {
    /// Every application, in the order they are listed.
    fn listed(&self) -> Arc<Vec<Listed>>;
    /// An attempt, replayed. Nothing when there is no such attempt.
    ///
    /// # Errors
    /// Why its log cannot be read.
    fn view(&self, attempt: &Attempt) -> Result<Option<Arc<View>>, String>;
    /// The Spark this server answers as: its version, and the fields of all answers.
    fn version(&self) -> String;
    /// Now, in milliseconds since 1970.
    fn now(&self) -> i64;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// 404, with a text.
    NotFound(String),
    /// 400, with a text.
    Bad(String),
    /// 400, with a text that claims to be JSON.
    BadDate(String),
    /// 400 of a path with an empty part.
    BadMessage,
    /// 503, with a text.
    Unavailable(String),
    /// 404 of a page that does not exist, or of a parameter that cannot be read.
    NoPage,
    /// 500, with a page that shows a text.
    Broken(String),
}

/// Writes an answer.
pub type Write = Box<dyn FnOnce(&mut Json<'_>) + Send>;

pub enum Answer {
    /// JSON, written when it is sent.
    Json(Write),
    /// Logs of attempts of an application as a zip of this name.
    Logs {
        /// For the header.
        name: String,
        /// Whose logs.
        attempts: Vec<Attempt>,
    },
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Json(_) => out.write_str("Json"),
            Answer::Logs { name, .. } => out.debug_tuple("Logs").field(name).finish(),
        }
    }
}

fn json(write: impl FnOnce(&mut Json<'_>) + Send + 'static) -> Result<Answer, Failure> {
    Ok(Answer::Json(Box::new(write)))
}

/// The quantiles stages are shown with.
const STAGE_QUANTILES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// The quantiles of a task summary.
const TASK_QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
const TASK_STATUSES: [&str; 5] = ["RUNNING", "KILLED", "FAILED", "SUCCESS", "UNKNOWN"];
const STAGE_STATUSES: [&str; 5] = ["ACTIVE", "COMPLETE", "FAILED", "PENDING", "SKIPPED"];
const JOB_STATUSES: [&str; 4] = ["RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN"];

/// Answers a request for `path` below `/api/v1`.
///
/// # Errors
/// See [`Failure`].
pub fn answer(library: &dyn Library, path: &str, query: &Query) -> Result<Answer, Failure> {
    // The web server in Spark 4 refuses it before anything is looked up.
    if path.contains("//") {
        return Err(match Version::of(&library.version()).is_4() {
            true => Failure::BadMessage,
            false => Failure::NoPage,
        });
    }
    let parts = parts_of(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["version"] => {
            let version = library.version();
            json(move |json| json.object(|o| o.put("spark", version)))
        }
        ["applications"] => list::applications(library, query),
        ["applications", id] => {
            let listed = library.listed();
            let Some(place) = listed.iter().position(|listed| listed.id == id) else {
                return Err(Failure::NotFound(format!("unknown app: {id}")));
            };
            let version = library.version();
            json(move |json| show::application(json, &listed[place], &version))
        }
        ["applications", id, ref rest @ ..] => {
            let uri = || format!("/api/v1/{}", parts.join("/"));
            below(library, id, rest, query, &uri)
        }
        _ => Err(Failure::NoPage),
    }
}

fn parts_of(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(params::decode_path).collect()
}

/// The attempt whose log is to be replayed for an answer to a request for `path`, where one is.
pub fn attempt_of(library: &dyn Library, path: &str) -> Option<Attempt> {
    let parts = parts_of(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ["applications", id, ref rest @ ..] = parts[..] else {
        return None;
    };
    let (attempt, rest) = split(library, rest)?;
    match rest {
        ["logs" | "threads" | "streaming", ..] | ["executors", _, "threads"] => None,
        _ => known_attempt(library, id, attempt),
    }
}

/// The attempt that is named before a resource, where one is, and the resource.
fn split<'a>(library: &dyn Library, rest: &'a [&'a str]) -> Option<(Option<&'a str>, &'a [&'a str])> {
    let newer = Version::of(&library.version()).is_4();
    let known = |rest: &[&str]| is_resource(rest) && (newer || rest != ["threads"]);
    match rest {
        rest if known(rest) => Some((None, rest)),
        [attempt, rest @ ..] if known(rest) => Some((Some(attempt), rest)),
        _ => None,
    }
}

fn known_attempt(library: &dyn Library, id: &str, attempt: Option<&str>) -> Option<Attempt> {
    let listed = library.listed();
    let listed = listed.iter().find(|listed| listed.id == id)?;
    let mut attempts = listed.attempts.iter();
    attempts.find(|known| known.id.as_deref() == attempt).cloned()
}

/// What is asked for below an application, or below one attempt of it.
fn below(
    library: &dyn Library,
    id: &str,
    rest: &[&str],
    query: &Query,
    uri: &dyn Fn() -> String,
) -> Result<Answer, Failure> {
    match (split(library, rest), rest) {
        (Some((attempt, rest)), _) => resource(library, id, attempt, rest, query),
        (None, [attempt]) => list::one_attempt(library, id, attempt),
        (None, _) => Err(Failure::NotFound(uri())),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_resource(rest: &[&str]) -> bool {
    match rest {
        ["jobs" | "executors" | "threads" | "allexecutors" | "allmiscellaneousprocess" | "environment" | "logs"] => {
            true
        }
        ["jobs", id] => is_number(id),
        ["executors", _, "threads"] | ["storage", "rdd"] => true,
        ["storage", "rdd", id] => is_number(id),
        ["stages" | "sql", ..] => true,
        ["streaming", ..] => true,
        _ => false,
    }
}

fn is_of_streaming(rest: &[&str]) -> bool {
    match rest {
        ["statistics" | "receivers" | "batches"] => true,
        ["receivers" | "batches", id] | ["batches", id, "operations"] => is_number(id),
        ["batches", id, "operations", operation] => is_number(id) && is_number(operation),
        _ => false,
    }
}

fn resource(
    library: &dyn Library,
    id: &str,
    attempt: Option<&str>,
    rest: &[&str],
    query: &Query,
) -> Result<Answer, Failure> {
    if rest == ["logs"] {
        return list::logs(library, id, attempt);
    }
    let absent = || {
        let name = attempt.map_or_else(|| id.to_owned(), |attempt| format!("{id}/{attempt}"));
        Failure::NotFound(format!("no such app: {name}"))
    };
    let Some(known) = known_attempt(library, id, attempt) else {
        return Err(absent());
    };
    let view = || library.view(&known).map_err(Failure::Broken)?.ok_or_else(absent);
    match rest {
        ["jobs"] => {
            let wanted = query.names("status", &JOB_STATUSES)?;
            let view = view()?;
            json(move |json| {
                let jobs = view
                    .jobs()
                    .filter(|job| wanted.is_empty() || wanted.contains(&job.status.name()));
                json.list(jobs, show::job);
            })
        }
        ["jobs", job] => {
            let job: i32 = job.parse().map_err(|_| Failure::NoPage)?;
            let view = view()?;
            match view.job(job).is_some() {
                true => json(move |json| view.job(job).into_iter().for_each(|job| show::job(json, job))),
                false => Err(Failure::NotFound(format!("unknown job: {job}"))),
            }
        }
        ["stages", rest @ ..] => stages(&view()?, rest, query),
        ["executors"] => {
            let (view, now) = (view()?, library.now());
            json(move |json| {
                let active = view.executors().rev().filter(|executor| executor.active);
                json.list(active, |json, executor| {
                    show::executor(json, &view, executor, &known, now)
                });
            })
        }
        ["allexecutors"] => {
            let (view, now) = (view()?, library.now());
            json(move |json| {
                json.list(view.executors(), |json, executor| {
                    show::executor(json, &view, executor, &known, now)
                })
            })
        }
        ["allmiscellaneousprocess"] => {
            let view = view()?;
            json(move |json| json.list(view.processes(), show::process))
        }
        ["executors", executor, "threads"] => match *executor == DRIVER || is_number(executor) {
            true => Err(no_threads()),
            false => Err(Failure::Bad(
                "Invalid executorId: neither 'driver' nor number.".to_owned(),
            )),
        },
        ["threads"] => threads(query),
        ["storage", "rdd"] => {
            let view = view()?;
            json(move |json| {
                let cached = view.rdds().filter(|rdd| !rdd.blocks.is_empty());
                json.list(cached, |json, rdd| show::rdd(json, &view, rdd));
            })
        }
        ["storage", "rdd", rdd] => {
            let rdd: i32 = rdd.parse().map_err(|_| Failure::NoPage)?;
            let view = view()?;
            match view.rdd(rdd).is_some() {
                true => json(move |json| view.rdd(rdd).into_iter().for_each(|rdd| show::rdd(json, &view, rdd))),
                false => Err(Failure::NotFound(format!("no rdd found w/ id {rdd}"))),
            }
        }
        ["streaming", rest @ ..] if !is_of_streaming(rest) => Err(Failure::NoPage),
        ["streaming", ..] => {
            let listed = library.listed();
            let name = listed
                .iter()
                .find(|listed| listed.id == id)
                .map_or("", |listed| listed.name.as_str());
            Err(Failure::NotFound(format!("no streaming listener attached to {name}")))
        }
        ["environment"] => {
            let view = view()?;
            json(move |json| show::environment(json, &view))
        }
        ["sql", rest @ ..] => executions(library.now(), view()?, rest, query),
        _ => Err(Failure::NoPage),
    }
}

fn no_threads() -> Failure {
    Failure::Unavailable("Thread dumps not available through the history server.".to_owned())
}

fn threads(query: &Query) -> Result<Answer, Failure> {
    if let Some(task) = query.first("taskId").filter(|task| !task.trim().is_empty()) {
        let _: i64 = task.parse().map_err(|_| Failure::NoPage)?;
    }
    let Some(executor) = query.first("executorId") else {
        // Spark does not expect that.
        return Err(Failure::Broken("no executorId".to_owned()));
    };
    match executor == DRIVER || executor.is_empty() || is_number(executor) {
        true => Err(no_threads()),
        false => Err(Failure::Bad(
            "Invalid executorId: neither 'driver' nor number.".to_owned(),
        )),
    }
}

/// How stages are to be shown.
struct StageQuery {
    details: bool,
    summaries: bool,
    quantiles: Vec<f64>,
    statuses: Vec<&'static str>,
}

impl StageQuery {
    fn of(query: &Query, details: bool) -> Result<Self, Failure> {
        let details = query.flag("details", details);
        let statuses = query.names("taskStatus", &TASK_STATUSES)?;
        Ok(StageQuery {
            details,
            summaries: query.flag("withSummaries", false),
            quantiles: query.quantiles(&STAGE_QUANTILES)?,
            statuses: if details { named(statuses)? } else { statuses },
        })
    }

    fn write(&self, json: &mut Json<'_>, view: &View, stage: &Stage) {
        let besides = Besides {
            tasks: self.details.then_some(&self.statuses[..]),
            executors: self.details,
            quantiles: self.summaries.then_some(&self.quantiles[..]),
        };
        show::stage(json, view, stage, &besides);
    }

    /// Whether a stage has tasks of a wanted status; asked only where tasks are shown.
    fn wants(&self, stage: &Stage) -> bool {
        let count = |status: &str| match status {
            "FAILED" => stage.failed_tasks,
            "KILLED" => stage.killed_tasks,
            "RUNNING" => stage.active_tasks,
            "SUCCESS" => stage.completed_tasks,
            _ => stage.tasks - stage.failed_tasks - stage.killed_tasks - stage.active_tasks - stage.completed_tasks,
        };
        !self.details || self.statuses.is_empty() || self.statuses.iter().any(|status| count(status) > 0)
    }
}

/// Statuses that are asked of tasks. Spark does not expect one without a name.
fn named(statuses: Vec<&'static str>) -> Result<Vec<&'static str>, Failure> {
    match statuses.contains(&params::NO_NAME) {
        true => Err(Failure::Broken("a status without a name".to_owned())),
        false => Ok(statuses),
    }
}

fn has_status(task: &Task, statuses: &[&'static str]) -> bool {
    statuses.is_empty() || statuses.contains(&task.status.name())
}

fn stages(view: &Arc<View>, rest: &[&str], query: &Query) -> Result<Answer, Failure> {
    let view = view.clone();
    let numbers = |texts: &[&str]| -> Result<Vec<i32>, Failure> {
        let all = texts.iter().map(|text| text.parse().ok().filter(|_| is_number(text)));
        all.collect::<Option<_>>().ok_or(Failure::NoPage)
    };
    match rest {
        [] => {
            let wanted = query.names("status", &STAGE_STATUSES)?;
            let how = StageQuery::of(query, false)?;
            json(move |json| {
                let stages = view
                    .stages()
                    .filter(|stage| wanted.is_empty() || wanted.contains(&stage.status.name()))
                    .filter(|stage| how.wants(stage));
                json.list(stages, |json, stage| how.write(json, &view, stage));
            })
        }
        [stage] => {
            let stage = numbers(&[stage])?[0];
            let how = StageQuery::of(query, true)?;
            if view.attempts(stage).next().is_none() {
                return Err(Failure::NotFound(format!("unknown stage: {stage}")));
            }
            json(move |json| json.list(view.attempts(stage), |json, stage| how.write(json, &view, stage)))
        }
        [stage, attempt, rest @ ..] => {
            let key = numbers(&[stage, attempt])?;
            one_stage(view, (key[0], key[1]), rest, query)
        }
    }
}

fn one_stage(view: Arc<View>, key: (i32, i32), rest: &[&str], query: &Query) -> Result<Answer, Failure> {
    match rest {
        [] => {
            let how = StageQuery::of(query, true)?;
            if view.stage(key).is_some() {
                return json(move |json| {
                    view.stage(key)
                        .into_iter()
                        .for_each(|stage| how.write(json, &view, stage))
                });
            }
            let attempts: Vec<String> = view.attempts(key.0).map(|stage| stage.attempt.to_string()).collect();
            Err(Failure::NotFound(match attempts.is_empty() {
                true => format!("unknown stage: {}", key.0),
                false => format!(
                    "unknown attempt for stage {}.  Found attempts: [{}]",
                    key.0,
                    attempts.join(",")
                ),
            }))
        }
        ["taskSummary"] => {
            let quantiles = query.quantiles(&TASK_QUANTILES)?;
            let summary = summary::TaskSummary::of(&view, key, &quantiles);
            match summary.map_err(|error| Failure::Broken(error.to_string()))? {
                Some(summary) => json(move |json| summary.write(json)),
                None => Err(Failure::NotFound(format!(
                    "No tasks reported metrics for {} / {} yet.",
                    key.0, key.1
                ))),
            }
        }
        ["taskList"] => task_list(view, key, query),
        ["taskTable"] => {
            let is_4 = Version::of(view.spark_version()).is_4();
            table::tasks(view, key, query, is_4)
        }
        _ => Err(Failure::NoPage),
    }
}

fn task_list(view: Arc<View>, key: (i32, i32), query: &Query) -> Result<Answer, Failure> {
    let (offset, length) = (query.int("offset", 0)?, query.int("length", 20)?);
    let sort = query.first("sortBy").filter(|sort| !sort.is_empty());
    let sort = sort.unwrap_or("ID").to_lowercase();
    let (by_time, descending) = match sort.as_str() {
        "id" => (false, false),
        "runtime" | "increasing_runtime" => (true, false),
        "-runtime" | "decreasing_runtime" => (true, true),
        _ => return Err(Failure::NoPage),
    };
    let statuses = named(query.names("status", &TASK_STATUSES)?)?;
    // Spark asks its store for a page of all tasks, which takes no page of nothing, and cuts a page of some of them out of all.
    let (offset, length) = match statuses.is_empty() {
        true if length <= 0 => return Err(Failure::Broken("max must be positive.".to_owned())),
        true => (offset.max(0), length),
        false => {
            let end = offset.wrapping_add(length).max(0);
            (offset.max(0), end.saturating_sub(offset.max(0)))
        }
    };
    let (offset, length) = (
        usize::try_from(offset).unwrap_or(0),
        usize::try_from(length).unwrap_or(0),
    );
    let wanted = move |task: &Task| has_status(task, &statuses);
    json(move |json| {
        if !by_time {
            let tasks = view.tasks(key).filter(|task| task.as_ref().map_or(true, &wanted));
            return page::write(json, &view, tasks.skip(offset).take(length));
        }
        let run_time = |task: &Task| page::stored(task, RUN_TIME);
        match page::order(&view, key, || &wanted, run_time, descending) {
            Ok(mut order) => {
                order.keep(offset..offset.saturating_add(length));
                page::write(json, &view, order.tasks(&view, key));
            }
            Err(error) => json.fail(error),
        }
    })
}

fn executions(now: i64, view: Arc<View>, rest: &[&str], query: &Query) -> Result<Answer, Failure> {
    let wanted = sql::Wanted {
        details: query.flag("details", true),
        plan: query.flag("planDescription", true),
        now,
    };
    match rest {
        [] => {
            let all = Version::of(view.spark_version()).lists_all_executions();
            let (offset, length) = (query.int("offset", 0)?, query.int("length", if all { -1 } else { 20 })?);
            let (offset, length) = match (all, length) {
                (true, ..=0) => (0, usize::MAX),
                (false, ..=0) => return Err(Failure::Broken("max must be positive.".to_owned())),
                _ => (
                    usize::try_from(offset).unwrap_or(0),
                    usize::try_from(length).unwrap_or(0),
                ),
            };
            json(move |json| {
                let page = view.executions().into_iter().skip(offset).take(length);
                json.list(page, |json, id| match view.execution(id) {
                    Some(one) => sql::execution(json, &view, &one, wanted),
                    None => json.fail(std::io::ErrorKind::InvalidData.into()),
                });
            })
        }
        ["sqlTable"] if Version::of(view.spark_version()).has_sql_table() => table::executions(now, view, query),
        [id] if is_number(id) => {
            let id: i64 = id.parse().map_err(|_| Failure::NoPage)?;
            match view.execution(id).is_some() {
                true => json(move |json| {
                    view.execution(id)
                        .into_iter()
                        .for_each(|one| sql::execution(json, &view, &one, wanted));
                }),
                false => Err(Failure::NotFound(format!("unknown query execution id: {id}"))),
            }
        }
        _ => Err(Failure::NoPage),
    }
}
