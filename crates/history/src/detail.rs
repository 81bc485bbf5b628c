//! What a log tells beside what Spark's status store keeps: how stages hang together, streaming queries, Spark Connect's sessions and
//! operations, and the plan an execution began with. Read when someone asks for it: lines of other events are passed over unread.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};

use compact_str::CompactString;
use serde::Deserialize;
use serde_json::Value;
use stoke_eventlog::event::{Event, Line, StorageLevel, name_of, parse};
use stoke_eventlog::{Log, Source};

use crate::model::graph::Graph;

/// Stages that are kept, those of the greatest ids.
const MOST_STAGES: usize = 2000;
/// Batches of a streaming query that are kept, the last ones.
const MOST_BATCHES: usize = 1000;
/// Operations, and queries, that are kept: the last ones.
const MOST: usize = 2000;
/// Bytes of a line that is looked at; Spark's own reader ends at strings of 20 MB.
const LONGEST: u64 = 64 << 20;

/// What a log tells.
#[derive(Debug, Default)]
pub struct Detail {
    /// Stages by id, as the first job that has one tells of it.
    pub stages: BTreeMap<i32, StageShape>,
    /// Runs of streaming queries, in the order they were started.
    pub queries: Vec<StreamingQuery>,
    /// Sessions of Spark Connect.
    pub sessions: Vec<Session>,
    /// Operations of Spark Connect, in the order they were started.
    pub operations: Vec<Operation>,
    /// Jobs by the batch of a `StreamingContext` they are of: its time in milliseconds since 1970.
    pub batches: BTreeMap<i64, Vec<i32>>,
}

/// What a stage is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct StageShape {
    /// The stages it needs.
    #[serde(rename = "Parent IDs", default)]
    pub parents: Vec<i32>,
    /// The RDDs it computes.
    #[serde(rename = "RDD Info", default)]
    pub rdds: Vec<RddShape>,
}

/// An RDD of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RddShape {
    /// RDD id.
    #[serde(rename = "RDD ID")]
    pub id: i32,
    #[serde(rename = "Name", default)]
    pub name: CompactString,
    /// The operation it is of, as JSON.
    #[serde(rename = "Scope", default)]
    scope: Option<String>,
    /// Where it was made.
    #[serde(rename = "Callsite", default)]
    pub callsite: String,
    /// The RDDs it is computed from.
    #[serde(rename = "Parent IDs", default)]
    pub parents: Vec<i32>,
    /// How it is kept.
    #[serde(rename = "Storage Level")]
    level: StorageLevel,
    /// Partitions it has.
    #[serde(rename = "Number of Partitions", default)]
    pub partitions: i32,
}

impl RddShape {
    /// The name of the operation it is of: `WholeStageCodegen (1)`, `map`.
    pub fn operation(&self) -> Option<String> {
        let scope: Value = serde_json::from_str(self.scope.as_deref()?).ok()?;
        scope["name"].as_str().map(str::to_owned)
    }

    /// Whether it is kept for others.
    pub fn is_cached(&self) -> bool {
        self.level.memory || self.level.disk
    }
}

/// A run of a streaming query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamingQuery {
    /// The query, the same over its runs.
    pub id: String,
    pub run: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// When it was started, in milliseconds since 1970.
    pub started: Option<i64>,
    /// Whether it has ended.
    pub ended: bool,
    /// Why it failed.
    pub failure: Option<String>,
    /// Its batches, the last ones of many.
    pub batches: Vec<Batch>,
    /// Batches it has told of.
    pub told: u64,
}

/// A batch, or the time without one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Its number.
    pub id: i64,
    /// When it was triggered, in milliseconds since 1970.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub took: i64,
    /// Of it, by what Spark calls it: `addBatch`, `queryPlanning`…
    pub parts: Vec<(String, i64)>,
    /// Rows it read.
    pub rows: i64,
    /// Rows that came in a second, where it is a number.
    pub input_rate: Option<f64>,
    /// Rows that were worked off in a second, where it is a number.
    pub process_rate: Option<f64>,
    /// Rows of all state.
    pub state_rows: i64,
    /// Bytes of memory that state takes.
    pub state_memory: i64,
    /// Rows that came too late.
    pub late_rows: i64,
    /// Until when event time is complete, in milliseconds since 1970.
    pub watermark: Option<i64>,
    /// What it reads.
    pub sources: Vec<String>,
    /// Where it writes.
    pub sink: String,
}

/// A session of Spark Connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    /// Whose.
    pub user: String,
    /// When it was opened, in milliseconds since 1970.
    pub started: i64,
    /// When it was closed.
    pub closed: Option<i64>,
}

/// An operation of Spark Connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation {
    pub id: String,
    /// The tag its jobs have.
    pub tag: String,
    pub session: String,
    /// Whose.
    pub user: String,
    /// What was asked for.
    pub statement: String,
    /// When it was started, in milliseconds since 1970.
    pub started: i64,
    /// When its plan was known.
    pub analyzed: Option<i64>,
    /// When it could begin to run.
    pub ready: Option<i64>,
    /// When it had its result, failed or was cancelled.
    pub ended: Option<i64>,
    /// When the client had all of it.
    pub closed: Option<i64>,
    /// Rows it gave.
    pub rows: Option<i64>,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Goes through the lines of a log. A line that is too long to be an event is as if it were not there.
fn lines(source: &Source, log: &Log, mut take: impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut line = Vec::new();
    for part in &log.parts {
        let mut text = BufReader::with_capacity(256 << 10, source.text(part, 0).map_err(io::Error::other)?);
        loop {
            line.clear();
            // A log that is still written may end in the middle of a frame: what came before counts.
            match io::Read::take(&mut text, LONGEST).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if let Ok(line) = std::str::from_utf8(&line)
                && !take(line.trim_end())
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The plan an execution began with, before adaptive execution changed it.
///
/// # Errors
/// When the log cannot be opened.
pub fn first_plan(source: &Source, log: &Log, execution: i64) -> io::Result<Option<Graph>> {
    let mut found = None;
    lines(source, log, |line| {
        let is_start = name_of(line).is_some_and(|name| name.ends_with("SparkListenerSQLExecutionStart"));
        if is_start
            && let Ok(Line::Event(Event::SqlExecutionStart(start))) = parse(line)
            && start.id == execution
        {
            found = Some(Graph::of(start.plan));
            return false;
        }
        true
    })?;
    Ok(found)
}

/// Reads what a log tells.
///
/// # Errors
/// When it cannot be opened.
pub fn read(source: &Source, log: &Log) -> io::Result<Detail> {
    let mut detail = Detail::default();
    lines(source, log, |line| {
        detail.take(line);
        true
    })?;
    Ok(detail)
}

/// A job's start, as far as it tells of stages and of the batch it is for.
#[derive(Deserialize)]
struct JobStart {
    #[serde(rename = "Job ID")]
    id: i32,
    #[serde(rename = "Stage Infos", default)]
    stages: Vec<StageInfo>,
    #[serde(rename = "Properties", default)]
    properties: Option<BatchOf>,
}

#[derive(Deserialize)]
struct BatchOf {
    #[serde(rename = "spark.streaming.internal.batchTime", default)]
    batch: Option<String>,
}

#[derive(Deserialize)]
struct StageInfo {
    #[serde(rename = "Stage ID")]
    id: i32,
    #[serde(flatten)]
    shape: StageShape,
}

impl Detail {
    fn take(&mut self, line: &str) {
        let Some(name) = name_of(line) else {
            return;
        };
        let short = name.rsplit(['.', '$']).next().unwrap_or(name);
        match short {
            "SparkListenerJobStart" => self.job(line),
            "QueryStartedEvent" | "QueryProgressEvent" | "QueryTerminatedEvent" | "QueryIdleEvent" => {
                if let Ok(event) = serde_json::from_str(line) {
                    self.streaming(short, &event);
                }
            }
            _ => {
                if let Some(what) = short.strip_prefix("SparkListenerConnect")
                    && let Ok(event) = serde_json::from_str(line)
                {
                    self.connect(what, &event);
                }
            }
        }
    }

    fn job(&mut self, line: &str) {
        let Ok(job) = serde_json::from_str::<JobStart>(line) else {
            return;
        };
        let batch = job.properties.and_then(|properties| properties.batch?.parse().ok());
        if let Some(batch) = batch {
            self.batches.entry(batch).or_default().push(job.id);
            if self.batches.len() > MOST {
                self.batches.pop_first();
            }
        }
        for stage in job.stages {
            self.stages.entry(stage.id).or_insert(stage.shape);
        }
        while self.stages.len() > MOST_STAGES {
            self.stages.pop_first();
        }
    }

    fn streaming(&mut self, what: &str, event: &Value) {
        // Some Sparks write what happened beside the event's name, others in an object.
        let told = if event["progress"].is_object() {
            &event["progress"]
        } else {
            event
        };
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let Some(run) = text("runId") else {
            return;
        };
        let place = match self.queries.iter().rposition(|query| query.run == run) {
            Some(place) => place,
            None => {
                if self.queries.len() >= MOST {
                    self.queries.remove(0);
                }
                self.queries.push(StreamingQuery {
                    id: text("id").unwrap_or_default(),
                    run,
                    ..StreamingQuery::default()
                });
                self.queries.len() - 1
            }
        };
        let query = &mut self.queries[place];
        query.name = text("name").or(query.name.take());
        match what {
            "QueryStartedEvent" => query.started = moment(&told["timestamp"]),
            "QueryProgressEvent" => {
                query.told += 1;
                if query.batches.len() >= MOST_BATCHES {
                    query.batches.remove(0);
                }
                query.batches.push(batch(told));
            }
            "QueryTerminatedEvent" => {
                query.ended = true;
                query.failure = text("exception");
            }
            _ => {}
        }
    }

    fn connect(&mut self, what: &str, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let at = event["eventTime"].as_i64();
        match what {
            "SessionStarted" => self.sessions.push(Session {
                id: text("sessionId"),
                user: text("userId"),
                started: at.unwrap_or(0),
                closed: None,
            }),
            "SessionClosed" => {
                let id = text("sessionId");
                if let Some(session) = self.sessions.iter_mut().rev().find(|session| session.id == id) {
                    session.closed = at;
                }
            }
            "OperationStarted" => self.operations.push(Operation {
                id: text("operationId"),
                tag: text("jobTag"),
                session: text("sessionId"),
                user: text("userId"),
                statement: text("statementText"),
                started: at.unwrap_or(0),
                ..Operation::default()
            }),
            _ => {
                let id = text("operationId");
                let Some(known) = self.operations.iter_mut().rev().find(|known| known.id == id) else {
                    return;
                };
                match what {
                    "OperationAnalyzed" => known.analyzed = at,
                    "OperationReadyForExecution" => known.ready = at,
                    "OperationFinished" => {
                        known.ended = at;
                        known.rows = event["producedRowCount"].as_i64();
                    }
                    "OperationFailed" => {
                        known.ended = at;
                        known.failure = Some(text("errorMessage"));
                    }
                    "OperationCanceled" => {
                        known.ended = at;
                        known.cancelled = true;
                    }
                    "OperationClosed" => known.closed = at,
                    _ => {}
                }
            }
        }
        if self.sessions.len() > MOST {
            self.sessions.remove(0);
        }
        if self.operations.len() > MOST {
            self.operations.remove(0);
        }
    }
}

/// A moment as ISO 8601 has it, in milliseconds since 1970.
fn moment(told: &Value) -> Option<i64> {
    let moment: jiff::Timestamp = told.as_str()?.parse().ok()?;
    Some(moment.as_millisecond())
}

fn batch(told: &Value) -> Batch {
    let list = |name: &str| told[name].as_array().map_or(&[][..], Vec::as_slice);
    let sum = |all: &[Value], name: &str| all.iter().filter_map(|one| one[name].as_i64()).sum::<i64>();
    // A rate of no time is no number, and written as a text.
    let rate = |name: &str| {
        let rates: Vec<f64> = list("sources")
            .iter()
            .filter_map(|source| source[name].as_f64())
            .collect();
        let known = rates.iter().all(|rate| rate.is_finite()) && !rates.is_empty();
        told[name].as_f64().or_else(|| known.then(|| rates.iter().sum()))
    };
    let parts: Vec<(String, i64)> = told["durationMs"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, took)| Some((name.clone(), took.as_i64()?)))
        .collect();
    let whole = parts
        .iter()
        .find(|(name, _)| name == "triggerExecution")
        .map(|(_, took)| *took);
    let states = list("stateOperators");
    Batch {
        id: told["batchId"].as_i64().unwrap_or(-1),
        at: moment(&told["timestamp"]).unwrap_or(0),
        took: told["batchDuration"].as_i64().or(whole).unwrap_or(0),
        rows: told["numInputRows"]
            .as_i64()
            .unwrap_or_else(|| sum(list("sources"), "numInputRows")),
        input_rate: rate("inputRowsPerSecond"),
        process_rate: rate("processedRowsPerSecond"),
        state_rows: sum(states, "numRowsTotal"),
        state_memory: sum(states, "memoryUsedBytes"),
        late_rows: sum(states, "numRowsDroppedByWatermark"),
        watermark: moment(&told["eventTime"]["watermark"]),
        sources: list("sources")
            .iter()
            .filter_map(|source| source["description"].as_str().map(str::to_owned))
            .collect(),
        sink: told["sink"]["description"].as_str().unwrap_or_default().to_owned(),
        parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Detail {
        let mut detail = Detail::default();
        lines.iter().for_each(|line| detail.take(line));
        detail
    }

    #[test]
    fn stages_have_their_parents_and_operations() {
        let level = r#""Storage Level":{"Use Disk":false,"Use Memory":true,"Deserialized":false,"Replication":1}"#;
        let job = format!(
            r#"{{"Event":"SparkListenerJobStart","Job ID":4,"Stage Infos":[{{"Stage ID":7,"Stage Name":"x","RDD Info":[{{"RDD ID":3,"Name":"MapPartitionsRDD",
            "Scope":"{{\"id\":\"2\",\"name\":\"map\"}}","Callsite":"here","Parent IDs":[2],{level},"Number of Partitions":8}}],"Parent IDs":[6]}}],
            "Properties":{{"spark.streaming.internal.batchTime":"2000","other":"x"}}}}"#
        );
        let detail = told(&[
            &job.replace('\n', ""),
            "{}",
            "not json",
            r#"{"Event":"SparkListenerJobStart"}"#,
        ]);
        let stage = &detail.stages[&7];
        assert_eq!(stage.parents, [6]);
        let rdd = &stage.rdds[0];
        assert_eq!(
            (rdd.id, rdd.operation().as_deref(), rdd.is_cached()),
            (3, Some("map"), true)
        );
        assert_eq!(detail.batches, BTreeMap::from([(2000, vec![4])]));
    }

    #[test]
    fn rates_that_are_no_numbers_are_none() {
        let event = |rest: &str| {
            format!(
                r#"{{"Event":"org.apache.spark.sql.streaming.StreamingQueryListener$QueryProgressEvent","progress":{{"id":"a","runId":"r","name":null,{rest}}}}}"#
            )
        };
        let detail = told(&[
            &event(
                r#""timestamp":"2026-11-24T00:00:00.500Z","batchId":0,"durationMs":{"triggerExecution":40,"addBatch":30},"sources":[{"inputRowsPerSecond":"NaN","numInputRows":3}]"#,
            ),
            &event(
                r#""timestamp":"2026-11-24T00:00:01.000Z","batchId":1,"batchDuration":7,"sources":[{"inputRowsPerSecond":2.5},{"inputRowsPerSecond":1.5}],"stateOperators":[{"numRowsTotal":4}]"#,
            ),
        ]);
        let batches = &detail.queries[0].batches;
        assert_eq!((batches[0].took, batches[0].rows, batches[0].input_rate), (40, 3, None));
        assert_eq!(
            (batches[1].took, batches[1].input_rate, batches[1].state_rows),
            (7, Some(4.0), 4)
        );
        assert_eq!(batches[1].at - batches[0].at, 500);
    }
}
