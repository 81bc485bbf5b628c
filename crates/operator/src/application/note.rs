//! What people are told: Kubernetes Events, as values.

use kube::ResourceExt;
use stoke_model::annotations::quality::Phase;
use stoke_model::crd::{ApplicationStateType as State, ExecutorState, SparkApplication, SparkApplicationStatus};
use stoke_model::units::people::counted;

use super::annotations::OnEdit;
use super::facts::ExecutorPod;

/// One Kubernetes Event about an application, to be published once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// Published reason, UpperCamelCase.
    pub reason: &'static str,
    /// What was being done, UpperCamelCase.
    pub action: &'static str,
    /// A sentence.
    pub note: String,
}

impl EventNote {
    fn new(warning: bool, reason: &'static str, action: &'static str, note: String) -> Self {
        Self {
            warning,
            reason,
            action,
            note,
        }
    }

    /// What is said when an application enters a state; most states between are not worth an Event.
    pub(super) fn entering(state: State, app: &SparkApplication, status: &SparkApplicationStatus) -> Vec<Self> {
        let name = app.name_any();
        let driver = status.driver_info.pod_name.as_deref().unwrap_or("?");
        let why = &status.app_state.error_message;
        let run = status.execution_attempts;
        let one = |warning, reason, action, note| vec![Self::new(warning, reason, action, note)];
        match state {
            State::Submitted if run > 0 && status.app_state.error_message.is_empty() => one(
                false,
                "SparkApplicationSubmitted",
                "Submit",
                format!("SparkApplication {name} was submitted, run {run}, driver pod {driver}"),
            ),
            State::SubmissionFailed => one(
                true,
                "SparkApplicationSubmissionFailed",
                "Submit",
                format!("SparkApplication {name} could not be submitted: {why}"),
            ),
            State::Running => one(
                false,
                "SparkDriverRunning",
                "Watch",
                format!("Driver {driver} is running"),
            ),
            State::Succeeding => one(
                false,
                "SparkDriverCompleted",
                "Watch",
                format!("Driver {driver} completed"),
            ),
            State::Failing => one(
                true,
                "SparkDriverFailed",
                "Watch",
                format!("Driver {driver} failed: {why}"),
            ),
            State::Unknown => one(true, "SparkDriverUnknown", "Watch", format!("Driver {driver}: {why}")),
            State::PendingRerun => one(
                true,
                "SparkApplicationPendingRerun",
                "Rerun",
                format!("SparkApplication {name} will run again, run {}", run.saturating_add(1)),
            ),
            State::Completed => one(
                false,
                "SparkApplicationCompleted",
                "Complete",
                format!("SparkApplication {name} completed after {}", counted(run, "run")),
            ),
            State::Failed => one(
                true,
                "SparkApplicationFailed",
                "Fail",
                format!("SparkApplication {name} failed after {}: {why}", counted(run, "run")),
            ),
            State::Invalidating => one(
                false,
                "SparkApplicationSpecUpdateProcessed",
                "Restart",
                format!("The spec of SparkApplication {name} was edited: it starts again"),
            ),
            State::Suspending => one(
                false,
                "SparkApplicationSuspending",
                "Suspend",
                format!("SparkApplication {name} is being suspended"),
            ),
            State::Resuming => one(
                false,
                "SparkApplicationResuming",
                "Resume",
                format!("SparkApplication {name} resumes"),
            ),
            State::New | State::Suspended | State::Submitted => Vec::new(),
        }
    }

    /// Executors changed to the same state: one is told of by name with its detail, many by number and names.
    pub(super) fn executors(pods: &[&ExecutorPod]) -> Option<Self> {
        let first = pods.first()?;
        let (warning, reason, one, many) = match first.state {
            ExecutorState::Pending => (false, "SparkExecutorPending", "is pending", "are pending"),
            ExecutorState::Running => (false, "SparkExecutorRunning", "is running", "are running"),
            ExecutorState::Completed => (false, "SparkExecutorCompleted", "completed", "completed"),
            ExecutorState::Failed => (true, "SparkExecutorFailed", "failed", "failed"),
            ExecutorState::Unknown => (
                true,
                "SparkExecutorUnknown",
                "is in an unknown state",
                "are in an unknown state",
            ),
        };
        let told = |pod: &&ExecutorPod| match pod.detail.is_empty() {
            true => pod.name.clone(),
            false => format!("{} ({})", pod.name, pod.detail),
        };
        let note = match pods {
            [pod] if pod.detail.is_empty() => format!("Executor {} {one}", pod.name),
            [pod] => format!("Executor {} {one}: {}", pod.name, pod.detail),
            pods => {
                let names: Vec<String> = pods.iter().map(told).collect();
                format!("{} executors {many}: {}", pods.len(), names.join(", "))
            }
        };
        Some(Self::new(warning, reason, "Watch", note))
    }

    /// What the data of a run are by their contracts.
    pub(super) fn quality(phase: Phase, warning: bool, goes_on: bool, summary: &str) -> Self {
        let reason = match (warning, goes_on) {
            (false, _) => "SparkApplicationQualityPassed",
            (true, true) => "SparkApplicationQualityWarned",
            (true, false) => "SparkApplicationQualityFailed",
        };
        let note = format!("Data quality {} the run: {summary}", phase.word());
        Self::new(warning, reason, "Check", note)
    }

    /// A driver pod that is being deleted does not go.
    pub(super) fn stuck(message: &str) -> Self {
        Self::new(true, "SparkDriverStuckTerminating", "Delete", message.to_owned())
    }

    /// An edit that the running application does not take up.
    pub(super) fn edit_kept_out(on_edit: OnEdit) -> Self {
        match on_edit {
            OnEdit::Reject => Self::new(
                true,
                "SparkApplicationSpecUpdateRejected",
                "Edit",
                "The spec was edited while the application runs, which stoke.dev/on-edit: Reject does not allow: the run goes on as submitted".into(),
            ),
            _ => Self::new(
                false,
                "SparkApplicationSpecUpdateDeferred",
                "Edit",
                "The spec was edited while the application runs: the next run reads it (stoke.dev/on-edit: NextRun)".into(),
            ),
        }
    }
}
