//! Why a task ended (`TaskEndReason`), and the text Spark shows for it (`toErrorString`).

use serde::Deserialize;
use serde::de::Deserializer;

use super::executor::BlockManagerId;

/// Why a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TaskEndReason {
    /// It did its work.
    #[default]
    Success,
    /// It did not.
    Failed(Box<TaskFailure>),
}

/// Why a task did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
// fields are named as Spark names them
pub enum TaskFailure {
    Resubmitted,
    FetchFailed {
        from: Option<BlockManagerId>,
        shuffle: i32,
        map: i64,
        map_index: i32,
        reduce: i32,
        message: String,
    },
    Exception {
        class: String,
        description: Option<String>,
        stack: Vec<String>,
        full_stack: Option<String>,
    },
    ResultLost,
    Killed {
        reason: String,
    },
    CommitDenied {
        job: i32,
        partition: i32,
        attempt: i32,
    },
    ExecutorLost {
        executor: String,
        by_application: bool,
        reason: Option<String>,
    },
    Unknown,
}

impl TaskFailure {
    /// The text Spark shows for a failed task.
    pub fn text(&self) -> String {
        match self {
            TaskFailure::Resubmitted => "Resubmitted (resubmitted due to lost executor)".to_owned(),
            TaskFailure::FetchFailed {
                from,
                shuffle,
                map,
                map_index,
                reduce,
                message,
            } => {
                let from = match from {
                    Some(id) => format!("BlockManagerId({}, {}, {}, None)", id.executor, id.host, id.port),
                    None => "null".to_owned(),
                };
                let map_index = match *map_index {
                    i32::MIN => "Unknown".to_owned(),
                    index => index.to_string(),
                };
                format!(
                    "FetchFailed({from}, shuffleId={shuffle}, mapIndex={map_index}, mapId={map}, reduceId={reduce}, message=\n{message}\n)"
                )
            }
            TaskFailure::Exception {
                class,
                description,
                stack,
                full_stack,
            } => match full_stack {
                Some(full) => full.clone(),
                None => {
                    let stack: Vec<String> = stack.iter().map(|line| format!("        {line}")).collect();
                    format!(
                        "{class}: {}\n{}",
                        description.as_deref().unwrap_or(""),
                        stack.join("\n")
                    )
                }
            },
            TaskFailure::ResultLost => "TaskResultLost (result lost from block manager)".to_owned(),
            TaskFailure::Killed { reason } => format!("TaskKilled ({reason})"),
            TaskFailure::CommitDenied {
                job,
                partition,
                attempt,
            } => format!(
                "TaskCommitDenied (Driver denied task commit) for job: {job}, partition: {partition}, attemptNumber: {attempt}"
            ),
            TaskFailure::ExecutorLost {
                executor,
                by_application,
                reason,
            } => {
                let why = match by_application {
                    true => "caused by one of the running tasks",
                    false => "unrelated to the running tasks",
                };
                let reason = reason
                    .as_ref()
                    .map(|reason| format!(" Reason: {reason}"))
                    .unwrap_or_default();
                format!("ExecutorLostFailure (executor {executor} exited {why}){reason}")
            }
            TaskFailure::Unknown => "UnknownReason".to_owned(),
        }
    }
}

/// One line of a stack as Spark writes it.
#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "Declaring Class", default)]
    class: String,
    #[serde(rename = "Method Name", default)]
    method: String,
    #[serde(rename = "File Name", default)]
    file: Option<String>,
    #[serde(rename = "Line Number", default)]
    line: i32,
}

impl Frame {
    /// As `StackTraceElement.toString` prints it.
    fn text(&self) -> String {
        let place = match (&self.file, self.line) {
            (_, -2) => "Native Method".to_owned(),
            (Some(file), line) if line >= 0 => format!("{file}:{line}"),
            (Some(file), _) => file.clone(),
            (None, _) => "Unknown Source".to_owned(),
        };
        format!("{}.{}({place})", self.class, self.method)
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "Reason")]
    reason: String,
    #[serde(rename = "Block Manager Address", default)]
    from: Option<BlockManagerId>,
    #[serde(rename = "Shuffle ID", default)]
    shuffle: i32,
    #[serde(rename = "Map ID", default)]
    map: i64,
    #[serde(rename = "Map Index", default = "no_map_index")]
    map_index: i32,
    #[serde(rename = "Reduce ID", default)]
    reduce: i32,
    #[serde(rename = "Message", default)]
    message: Option<String>,
    #[serde(rename = "Class Name", default)]
    class: String,
    #[serde(rename = "Description", default)]
    description: Option<String>,
    #[serde(rename = "Stack Trace", default)]
    stack: Option<Vec<Frame>>,
    #[serde(rename = "Full Stack Trace", default)]
    full_stack: Option<String>,
    #[serde(rename = "Kill Reason", default)]
    kill_reason: Option<String>,
    #[serde(rename = "Job ID", default = "unknown_index")]
    job: i32,
    #[serde(rename = "Partition ID", default = "unknown_index")]
    partition: i32,
    #[serde(rename = "Attempt Number", default = "unknown_index")]
    attempt: i32,
    #[serde(rename = "Executor ID", default)]
    executor: Option<String>,
    #[serde(rename = "Exit Caused By App", default = "yes")]
    by_application: bool,
    #[serde(rename = "Loss Reason", default)]
    loss: Option<String>,
}

/// Logs before 3.0 do not tell it; Spark reads `Int.MinValue` then.
fn no_map_index() -> i32 {
    i32::MIN
}

fn unknown_index() -> i32 {
    -1
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for TaskEndReason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(from)?;
        let failure = match raw.reason.as_str() {
            "Success" => return Ok(TaskEndReason::Success),
            "Resubmitted" => TaskFailure::Resubmitted,
            "FetchFailed" => TaskFailure::FetchFailed {
                from: raw.from,
                shuffle: raw.shuffle,
                map: raw.map,
                map_index: raw.map_index,
                reduce: raw.reduce,
                message: raw.message.unwrap_or_else(|| "Unknown reason".to_owned()),
            },
            "ExceptionFailure" => TaskFailure::Exception {
                class: raw.class,
                description: raw.description,
                stack: raw.stack.unwrap_or_default().iter().map(Frame::text).collect(),
                full_stack: raw.full_stack,
            },
            "TaskResultLost" => TaskFailure::ResultLost,
            "TaskKilled" => TaskFailure::Killed {
                reason: raw.kill_reason.unwrap_or_else(|| "unknown reason".to_owned()),
            },
            "TaskCommitDenied" => TaskFailure::CommitDenied {
                job: raw.job,
                partition: raw.partition,
                attempt: raw.attempt,
            },
            "ExecutorLostFailure" => TaskFailure::ExecutorLost {
                executor: raw.executor.unwrap_or_else(|| "Unknown".to_owned()),
                by_application: raw.by_application,
                reason: raw.loss,
            },
            _ => TaskFailure::Unknown,
        };
        Ok(TaskEndReason::Failed(Box::new(failure)))
    }
}
