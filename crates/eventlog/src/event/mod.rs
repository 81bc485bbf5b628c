//! Typed events. The names of fields are Spark's (`org.apache.spark.util.JsonProtocol` and the listener events of Spark SQL); fields a
//! version does not write have the default Spark's reader gives them.
//!
//! A line is dispatched on its event's name before anything else is parsed: every line Spark writes begins with `{"Event":"`, and parsing
//! the one type behind the name is three times faster than a tagged union.

mod accumulable;
mod application;
mod executor;
mod metrics;
mod quick;
mod reason;
mod sql;
mod stage;
mod storage;
mod task;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use accumulable::{Accumulables, NamedAccumulable, StageAccumulable};
pub use application::{ApplicationEnd, ApplicationStart, EnvironmentUpdate, LogStart, Pairs};
pub use executor::{
    BlockManagerAdded, BlockManagerId, ExcludedForStage, Exclusion, ExecutorAdded, ExecutorInfo, ExecutorMetricsUpdate,
    ExecutorRemoved, ExecutorRequest, MiscellaneousProcess, ResourceInformation, ResourceProfile, StageExecutorMetrics,
    TaskRequest,
};
pub use metrics::{
    EXECUTOR_METRICS, ExecutorMetrics, InputMetrics, OutputMetrics, PushReadMetrics, ShuffleReadMetrics,
    ShuffleWriteMetrics, TaskMetrics,
};
pub use reason::{TaskEndReason, TaskFailure};
pub use sql::{
    AdaptiveMetrics, AdaptivePlan, DriverAccumUpdates, PlanInfo, PlanMetric, SqlExecutionEnd, SqlExecutionStart,
};
pub use stage::{JobEnd, JobStart, Properties, RddInfo, StageCompleted, StageInfo, StageSubmitted};
pub use storage::{BlockUpdate, StorageLevel, UnpersistRdd};
pub use task::{SpeculativeTask, TaskEnd, TaskInfo, TaskStart};

/// One event of a log.
#[derive(Debug, Clone, PartialEq)]
// a variant's name is its event's, its type says the rest
pub enum Event {
    LogStart(LogStart),
    ApplicationStart(ApplicationStart),
    ApplicationEnd(ApplicationEnd),
    EnvironmentUpdate(Box<EnvironmentUpdate>),
    ResourceProfileAdded(Box<ResourceProfile>),
    ExecutorAdded(Box<ExecutorAdded>),
    ExecutorRemoved(ExecutorRemoved),
    BlockManagerAdded(BlockManagerAdded),
    MiscellaneousProcessAdded(MiscellaneousProcess),
    ExecutorExcluded(Exclusion),
    ExecutorUnexcluded(Exclusion),
    ExecutorExcludedForStage(ExcludedForStage),
    NodeExcluded(Exclusion),
    NodeUnexcluded(Exclusion),
    NodeExcludedForStage(ExcludedForStage),
    ExecutorMetricsUpdate(Box<ExecutorMetricsUpdate>),
    StageExecutorMetrics(Box<StageExecutorMetrics>),
    JobStart(Box<JobStart>),
    JobEnd(JobEnd),
    StageSubmitted(Box<StageSubmitted>),
    StageCompleted(Box<StageCompleted>),
    TaskStart(Box<TaskStart>),
    TaskGettingResult(Box<TaskInfo>),
    TaskEnd(Box<TaskEnd>),
    SpeculativeTaskSubmitted(SpeculativeTask),
    BlockUpdated(Box<BlockUpdate>),
    UnpersistRdd(UnpersistRdd),
    SqlExecutionStart(Box<SqlExecutionStart>),
    SqlAdaptivePlan(Box<AdaptivePlan>),
    SqlAdaptiveMetrics(Box<AdaptiveMetrics>),
    SqlExecutionEnd(SqlExecutionEnd),
    SqlDriverAccumUpdates(DriverAccumUpdates),
}

/// What a line is.
#[derive(Debug)]
pub enum Line {
    /// An event of a known type.
    Event(Event),
    /// An event we have no use for, by its full name.
    Unknown(String),
}

const PREFIX: &str = r#"{"Event":""#;
/// Events of Spark SQL carry their class's name.
const SQL: &str = "org.apache.spark.sql.execution.ui.SparkListener";

const SCHEDULER: &str = "org.apache.spark.scheduler.";

/// The name of a line's event, without parsing the rest.
pub fn name_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(PREFIX)?;
    rest.split_once('"').map(|(name, _)| name)
}

/// A line whose first field is not its event's name, as no Spark writes it but JSON allows.
#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "Event")]
    event: String,
}

/// Reads one line.
///
/// # Errors
/// When the line is not JSON, has no event name, or its event lacks what its type needs.
pub fn parse(line: &str) -> Result<Line, serde_json::Error> {
    match name_of(line) {
        Some(name) => typed(name, line),
        None => typed(&serde_json::from_str::<Tagged>(line)?.event, line),
    }
}

/// What the quick reader of a line gave, or what the general one gives.
fn or_else<T>(
    quick: Option<T>,
    general: impl FnOnce() -> Result<T, serde_json::Error>,
) -> Result<Box<T>, serde_json::Error> {
    quick.map_or_else(general, Ok).map(Box::new)
}

fn typed(name: &str, line: &str) -> Result<Line, serde_json::Error> {
    // Events JsonProtocol has no code of its own for carry their class's full name.
    let short = name
        .strip_prefix(SCHEDULER)
        .unwrap_or(name)
        .strip_prefix("SparkListener");
    let event = match short {
        Some("TaskEnd") => Event::TaskEnd(or_else(quick::task_end(line), || read(line))?),
        Some("TaskStart") => Event::TaskStart(or_else(quick::task_start(line), || read(line))?),
        Some("TaskGettingResult") => Event::TaskGettingResult(read::<task::GettingResult>(line)?.info),
        Some("SpeculativeTaskSubmitted") => Event::SpeculativeTaskSubmitted(read(line)?),
        Some("BlockUpdated") => Event::BlockUpdated(Box::new(read::<storage::BlockUpdated>(line)?.info)),
        Some("UnpersistRDD") => Event::UnpersistRdd(read(line)?),
        Some("StageSubmitted") => Event::StageSubmitted(or_else(quick::stage_submitted(line), || read(line))?),
        Some("StageCompleted") => Event::StageCompleted(or_else(quick::stage_completed(line), || read(line))?),
        Some("StageExecutorMetrics") => {
            Event::StageExecutorMetrics(or_else(quick::stage_metrics(line), || read(line))?)
        }
        Some("JobStart") => Event::JobStart(or_else(quick::job_start(line), || read(line))?),
        Some("JobEnd") => Event::JobEnd(read(line)?),
        Some("ExecutorMetricsUpdate") => Event::ExecutorMetricsUpdate(read(line)?),
        Some("ExecutorAdded") => Event::ExecutorAdded(read(line)?),
        Some("ExecutorRemoved") => Event::ExecutorRemoved(read(line)?),
        Some("BlockManagerAdded") => Event::BlockManagerAdded(read(line)?),
        Some("MiscellaneousProcessAdded") => {
            Event::MiscellaneousProcessAdded(read::<executor::ProcessAdded>(line)?.process())
        }
        Some("ExecutorExcluded" | "ExecutorBlacklisted") => Event::ExecutorExcluded(read(line)?),
        Some("ExecutorUnexcluded" | "ExecutorUnblacklisted") => Event::ExecutorUnexcluded(read(line)?),
        Some("ExecutorExcludedForStage" | "ExecutorBlacklistedForStage") => {
            Event::ExecutorExcludedForStage(read(line)?)
        }
        Some("NodeExcluded" | "NodeBlacklisted") => Event::NodeExcluded(read(line)?),
        Some("NodeUnexcluded" | "NodeUnblacklisted") => Event::NodeUnexcluded(read(line)?),
        Some("NodeExcludedForStage" | "NodeBlacklistedForStage") => Event::NodeExcludedForStage(read(line)?),
        Some("ResourceProfileAdded") => Event::ResourceProfileAdded(read(line)?),
        Some("EnvironmentUpdate") => Event::EnvironmentUpdate(read(line)?),
        Some("ApplicationStart") => Event::ApplicationStart(read(line)?),
        Some("ApplicationEnd") => Event::ApplicationEnd(read(line)?),
        Some("LogStart") => Event::LogStart(read(line)?),
        _ => match name.strip_prefix(SQL) {
            Some("DriverAccumUpdates") => Event::SqlDriverAccumUpdates(read(line)?),
            Some("SQLExecutionStart") => Event::SqlExecutionStart(or_else(quick::sql_start(line), || deep(line))?),
            Some("SQLExecutionEnd") => Event::SqlExecutionEnd(read(line)?),
            Some("SQLAdaptiveExecutionUpdate") => {
                Event::SqlAdaptivePlan(or_else(quick::adaptive_plan(line), || deep(line))?)
            }
            Some("SQLAdaptiveSQLMetricUpdates") => Event::SqlAdaptiveMetrics(read(line)?),
            _ => return Ok(Line::Unknown(name.to_owned())),
        },
    };
    Ok(Line::Event(event))
}

/// Plans nest: two levels for each operator that feeds another. Jackson, and so Spark itself, reads up to this.
const DEEPEST: usize = 1000;
/// What serde_json reads without being asked to.
const USUAL: usize = 120;
/// Bytes of stack that are enough for the deepest line.
const STACK: usize = 64 << 20;

/// Reads a line that may nest deeper than usual; such a line gets a stack of its own. How deep it nests is looked at only when the usual
/// reader gave up: few lines do, and looking takes as long as reading.
fn deep<T: DeserializeOwned + Send>(line: &str) -> Result<T, serde_json::Error> {
    let error = match read(line) {
        Err(error) if error.is_syntax() => error,
        done => return done,
    };
    let depth = depth_of(line);
    if depth <= USUAL || depth > DEEPEST {
        return Err(error);
    }
    let parse = || {
        let mut from = serde_json::Deserializer::from_str(line);
        from.disable_recursion_limit();
        T::deserialize(&mut from)
    };
    std::thread::scope(|scope| {
        let parsed = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, parse)
            .map(|thread| thread.join());
        match parsed {
            Ok(Ok(parsed)) => parsed,
            // Without a thread the line is not read, with an error that says so.
            _ => Err(error),
        }
    })
}

/// How deep objects and lists nest.
fn depth_of(line: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in line.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads a line as its type. What `JsonProtocol` reads and our types do not take at once is read a second time: `null` where a field may be
/// absent, a key that comes twice, whole numbers written with a fraction.
fn read<T: DeserializeOwned>(line: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(line).or_else(|error| match error.is_data() {
        true => serde_json::from_str(line)
            .and_then(|value| serde_json::from_value(plain(value)))
            .map_err(|_: serde_json::Error| error),
        false => Err(error),
    })
}

/// Takes fields that are `null` away, and fractions of nothing off numbers.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, plain(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(all) => all.into_iter().map(plain).collect::<Vec<_>>().into(),
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or(f64::NAN);
            match float.fract() == 0.0 && float.abs() < 9e15 {
                true => Value::from(float as i64),
                false => Value::Number(number),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_hundreds_of_operators_are_read() {
        for (operators, read) in [(3, true), (100, true), (480, true), (600, false)] {
            let plan = (0..operators).fold(String::new(), |inner, _| {
                format!("{{\"nodeName\":\"Project\",\"simpleString\":\"[{{\",\"children\":[{inner}],\"metrics\":[]}}")
            });
            let line = format!(
                "{{\"Event\":\"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart\",\"executionId\":1,\"sparkPlanInfo\":{plan},\"time\":1}}"
            );
            assert_eq!(parse(&line).is_ok(), read, "{operators}");
        }
    }

    #[test]
    fn null_is_absent() {
        let line = concat!(
            r#"{"Event":"SparkListenerTaskStart","Stage ID":1.0,"Stage Attempt ID":null,"Task Info":{"Task ID":7,"Index":3,"Attempt":null,"#,
            r#""Launch Time":5,"Executor ID":"1","Host":"h","Locality":"ANY","Speculative":null,"Getting Result Time":0,"Finish Time":0,"#,
            r#""Failed":false,"Killed":null,"Accumulables":null}}"#
        );
        let Ok(Line::Event(Event::TaskStart(task))) = parse(line) else {
            panic!("{:?}", parse(line));
        };
        assert_eq!(
            (task.stage, task.attempt, task.info.attempt, task.info.partition),
            (1, 0, 1, -1)
        );
    }

    #[test]
    fn names_are_found_with_and_without_a_package() {
        for name in [
            "SparkListenerExecutorExcluded",
            "org.apache.spark.scheduler.SparkListenerExecutorExcluded",
        ] {
            let line = format!("{{\"Event\":\"{name}\",\"time\":1,\"executorId\":\"7\",\"taskFailures\":2}}");
            assert!(matches!(parse(&line), Ok(Line::Event(Event::ExecutorExcluded(one))) if one.id == "7"));
        }
        let late = "{\"time\":1,\"Event\":\"SparkListenerUnpersistRDD\",\"RDD ID\":3}";
        assert!(matches!(parse(late), Ok(Line::Event(Event::UnpersistRdd(_)))));
    }
}
