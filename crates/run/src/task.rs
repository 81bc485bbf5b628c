//! A task attempt as a row, and how it ended.

use std::borrow::Cow;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use stoke_eventlog::event::{ExecutorMetrics, NamedAccumulable, TaskEndReason, TaskFailure, TaskInfo};

use crate::StageKey;
use crate::metrics::{Metrics, at};

/// A task attempt. Times are milliseconds since 1970 and milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
// fields are those of Spark's TaskData
pub struct Task {
    pub id: i64,
    pub index: i32,
    pub attempt: i32,
    pub partition: i32,
    pub launched: i64,
    /// When its result began to be fetched, or -1.
    pub result_fetch: i64,
    pub duration: i64,
    /// A place in [`crate::Names`].
    pub executor: u32,
    /// Likewise.
    pub host: u32,
    /// Likewise.
    pub locality: u32,
    pub status: Outcome,
    pub speculative: bool,
    pub metrics: Option<Metrics>,
    pub accumulators: Vec<NamedAccumulable>,
    pub error: Option<String>,
}

impl Task {
    /// `AppStatusUtils.gettingResultTime`.
    pub fn getting_result_time(&self) -> i64 {
        match self.result_fetch > 0 {
            true => self
                .launched
                .wrapping_add(self.duration)
                .wrapping_sub(self.result_fetch),
            false => 0,
        }
    }

    /// `AppStatusUtils.schedulerDelay`: what of the time is neither work nor transport.
    pub fn scheduler_delay(&self) -> i64 {
        match &self.metrics {
            Some(metrics) if self.status != Outcome::Running && self.duration > 0 => {
                let worked = metrics
                    .sum(at::DESERIALIZE_TIME, at::RUN_TIME)
                    .wrapping_add(metrics.get(at::RESULT_SERIALIZATION_TIME));
                self.duration
                    .wrapping_sub(worked)
                    .wrapping_sub(self.getting_result_time())
                    .max(0)
            }
            _ => 0,
        }
    }
}

/// How a task attempt ended, or that it has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It had not ended when the log did.
    #[default]
    Running,
    /// It did its work, and the driver fetches the result.
    GetResult,
    Failed,
    /// It was killed: a faster copy won, or its stage was cancelled.
    Killed,
    /// It did its work.
    Succeeded,
}

impl Outcome {
    /// `TaskInfo.status`: a task without a time of its end is running.
    pub fn of(info: &TaskInfo) -> Outcome {
        match info.finished != 0 {
            true => Outcome::at_end(info),
            false => Outcome::before_end(info.getting_result),
        }
    }

    /// Of a task with an event of its end, whether the event has a time or not.
    pub fn at_end(info: &TaskInfo) -> Outcome {
        match (info.failed, info.killed) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Killed,
            (false, false) => Outcome::Succeeded,
        }
    }

    /// Of a task that has not ended, by when its result began to be fetched.
    pub fn before_end(getting_result: i64) -> Outcome {
        match getting_result != 0 {
            true => Outcome::GetResult,
            false => Outcome::Running,
        }
    }

    /// As Spark writes it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Running => "RUNNING",
            Outcome::GetResult => "GET RESULT",
            Outcome::Failed => "FAILED",
            Outcome::Killed => "KILLED",
            Outcome::Succeeded => "SUCCESS",
        }
    }

    /// Whether it ended.
    pub fn has_ended(self) -> bool {
        !matches!(self, Outcome::Running | Outcome::GetResult)
    }
}

/// What the end of a task adds to Spark's counts. They go by the reason, not by [`Outcome`]: a denied commit is a task that failed and is
/// counted as killed, and a task that is resubmitted had succeeded and is counted as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// 1 when it did its work.
    pub completed: i32,
    /// 1 when it failed.
    pub failed: i32,
    /// 1 when it was killed.
    pub killed: i32,
    /// 1 when it ran until now.
    pub active: i32,
}

impl Counts {
    /// By the reason of an end.
    pub fn of(reason: &TaskEndReason) -> Counts {
        let (completed, failed, killed, active) = match reason {
            TaskEndReason::Success => (1, 0, 0, 1),
            TaskEndReason::Failed(failure) => match **failure {
                TaskFailure::Killed { .. } | TaskFailure::CommitDenied { .. } => (0, 0, 1, 1),
                // The task ended before; its executor was lost with its output.
                TaskFailure::Resubmitted => (0, 1, 0, 0),
                _ => (0, 1, 0, 1),
            },
        };
        Counts {
            completed,
            failed,
            killed,
            active,
        }
    }
}

/// The end of a task attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The stage attempt the end names.
    pub stage: StageKey,
    /// The stage attempt its start named; none when its start was not seen, or its end was.
    pub begun: Option<StageKey>,
    /// The attempt as a row. It has metrics, which are zeros where the end has none, as Spark reads them.
    pub task: Task,
    /// How it ended, whether the end has a time or not; see [`Outcome::at_end`].
    pub outcome: Outcome,
    /// What it adds to Spark's counts.
    pub counts: Counts,
    /// Why it failed.
    pub failure: Option<Box<TaskFailure>>,
    /// When it ended.
    pub finished: i64,
    /// The id of its executor.
    pub executor: CompactString,
    /// Peaks of its executor while it ran; zeros where the end has none.
    pub peaks: ExecutorMetrics,
    /// What it did to SQL metrics: accumulator and number.
    pub sql: Vec<(i64, i64)>,
}

impl Ending {
    /// What it measured.
    pub fn metrics(&self) -> &Metrics {
        self.task.metrics.as_ref().unwrap_or(&Metrics::ZERO)
    }

    /// Whether it ended before, and this end only says that it must run again.
    pub fn resubmitted(&self) -> bool {
        self.counts.active == 0
    }

    /// The text a killed task is counted under.
    pub fn killed_because(&self) -> Option<Cow<'_, str>> {
        match self.failure.as_deref()? {
            TaskFailure::Killed { reason } => Some(Cow::Borrowed(reason)),
            denied @ TaskFailure::CommitDenied { .. } => Some(Cow::Owned(denied.text())),
            _ => None,
        }
    }

    /// The text Spark shows as its error.
    pub fn error(&self) -> Option<String> {
        Some(match self.failure.as_deref()? {
            TaskFailure::Killed { reason } => reason.clone(),
            other => other.text(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoke_eventlog::event::{Event, Line, parse};

    use crate::Tasks;

    /// The end of a task that was launched at 100, as Spark writes it.
    fn end(reason: &str, info: &str) -> Ending {
        let line = format!(
            r#"{{"Event":"SparkListenerTaskEnd","Stage ID":4,"Task End Reason":{reason},"Task Info":{{"Task ID":7,"Index":0,"Attempt":0,"Launch Time":100,"Executor ID":"1","Host":"h","Locality":"ANY"{info}}}}}"#
        );
        match parse(&line).unwrap() {
            Line::Event(Event::TaskEnd(event)) => Tasks::default().end(*event),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_end_counts_by_its_reason_and_is_shown_by_its_marks() {
        let finished = r#","Finish Time":900"#;
        let failed = r#","Finish Time":900,"Failed":true"#;
        let killed = r#","Finish Time":900,"Killed":true"#;
        let denied = "TaskCommitDenied (Driver denied task commit) for job: 1, partition: 2, attemptNumber: 3";
        // The reason, the marks, how it ended, how it is shown, the counts, the text it is counted under, its error.
        let table = [
            (
                r#"{"Reason":"Success"}"#,
                finished,
                Outcome::Succeeded,
                "SUCCESS",
                [1, 0, 0, 1],
                None,
                None,
            ),
            // An end without a time: Spark shows the task as running, and counts it as completed.
            (
                r#"{"Reason":"Success"}"#,
                "",
                Outcome::Succeeded,
                "RUNNING",
                [1, 0, 0, 1],
                None,
                None,
            ),
            (
                r#"{"Reason":"ExceptionFailure","Class Name":"a.B","Full Stack Trace":"a.B: x"}"#,
                failed,
                Outcome::Failed,
                "FAILED",
                [0, 1, 0, 1],
                None,
                Some("a.B: x"),
            ),
            (
                r#"{"Reason":"TaskKilled","Kill Reason":"Stage cancelled"}"#,
                killed,
                Outcome::Killed,
                "KILLED",
                [0, 0, 1, 1],
                Some("Stage cancelled"),
                Some("Stage cancelled"),
            ),
            (
                r#"{"Reason":"TaskCommitDenied","Job ID":1,"Partition ID":2,"Attempt Number":3}"#,
                failed,
                Outcome::Failed,
                "FAILED",
                [0, 0, 1, 1],
                Some(denied),
                Some(denied),
            ),
            (
                r#"{"Reason":"Resubmitted"}"#,
                finished,
                Outcome::Succeeded,
                "SUCCESS",
                [0, 1, 0, 0],
                None,
                Some("Resubmitted (resubmitted due to lost executor)"),
            ),
        ];
        for (reason, marks, outcome, shown, counts, because, error) in table {
            let ending = end(reason, marks);
            let found = ending.counts;
            assert_eq!(
                (ending.outcome, ending.task.status.name()),
                (outcome, shown),
                "{reason}"
            );
            assert_eq!(
                [found.completed, found.failed, found.killed, found.active],
                counts,
                "{reason}"
            );
            assert_eq!(ending.killed_because().as_deref(), because, "{reason}");
            assert_eq!(ending.error().as_deref(), error, "{reason}");
            assert_eq!(ending.resubmitted(), reason.contains("Resubmitted"));
        }
    }
}
