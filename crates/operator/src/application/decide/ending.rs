//! The arrows after a driver: the run is judged, tried again, removed after an edit or a suspension, and the application forgotten in time.

use jiff::{SignedDuration, Timestamp};
use stoke_model::annotations::quality::Phase;
use stoke_model::crd::{ApplicationStateType as State, DriverInfo, RestartPolicyType};

use super::super::conditions;
use super::super::facts::{Driver, DriverPod};
use super::quality::Gate;
use super::{Action, Next, QUALITY_FAILED, Round, SOON, seconds};

impl Round<'_> {
    pub(super) fn succeeding(&mut self) -> Next {
        match self.quality(Phase::After) {
            Gate::Open => {}
            Gate::Unknown(_) if self.is_overdue() => return self.overdue(),
            Gate::Unknown(next) => return next,
            Gate::Shut(message, _) => {
                self.because = Some(QUALITY_FAILED);
                return self.fail(None, &message);
            }
        }
        if self.policy() == RestartPolicyType::Always && !self.is_overdue() {
            return self.run_again();
        }
        self.enter(State::Completed, "")
    }

    pub(super) fn failing(&mut self) -> Next {
        let policy = self.facts.app.spec.restart_policy.clone().unwrap_or_default();
        let retries = policy.on_failure_retries.unwrap_or(0);
        if self.allows(policy.type_, self.status.execution_attempts, retries) {
            // A failure that the clock, set back, has yet to reach: it was now.
            let failed_at = self
                .status
                .termination_time
                .as_ref()
                .map_or(self.now, |time| time.0.min(self.now));
            self.status.termination_time = Some(seconds(failed_at));
            return match self.back_off(
                failed_at,
                policy.on_failure_retry_interval,
                self.tries_in_a_row(failed_at),
            ) {
                Some(due) => Next::Wait(due),
                None => self.run_again(),
            };
        }
        // The last failed driver stays for its logs, but nothing that might still start or run does.
        if let Some(next) = self.stray_check() {
            return next;
        }
        match &self.facts.driver {
            Driver::Present(pod) if !pod.progress.is_finished() && !pod.deleting => {
                return Next::Ask(Action::DeleteDriver(pod.name.clone()));
            }
            Driver::NotCached if self.intent_recorded() => return Next::Ask(Action::ConfirmDriver(self.driver_name())),
            _ => {}
        }
        let message = self.status.app_state.error_message.clone();
        self.enter(State::Failed, &message)
    }

    pub(super) fn run_again(&mut self) -> Next {
        if let Some(wait) = self.driver_remains() {
            return wait;
        }
        self.forget_run();
        self.status.submission_attempts = 0;
        self.enter(State::PendingRerun, "")
    }

    pub(super) fn invalidating(&mut self) -> Next {
        if let Some(wait) = self.driver_remains() {
            return wait;
        }
        self.forget_run();
        self.status.submission_attempts = 0;
        self.status.execution_attempts = 0;
        self.status.last_submission_attempt_time = None;
        self.status.start_time = None;
        self.enter(State::PendingRerun, "the spec was edited")
    }

    pub(super) fn suspending(&mut self) -> Next {
        if let Some(wait) = self.driver_remains() {
            return wait;
        }
        self.forget_run();
        self.status.start_time = None;
        self.enter(State::Suspended, "spec.suspend is true")
    }

    /// Some step while a check of the data or the recorded driver pod is not known to be gone.
    pub(super) fn driver_remains(&mut self) -> Option<Next> {
        self.stray_check().or_else(|| self.recorded_driver_remains())
    }

    /// Some step while the recorded driver pod is not known to be gone; none when it is, or none was ever recorded.
    pub(super) fn recorded_driver_remains(&mut self) -> Option<Next> {
        let name = self.status.driver_info.pod_name.clone()?;
        match &self.facts.driver {
            Driver::Gone => None,
            Driver::NotCached => Some(Next::Ask(Action::ConfirmDriver(name))),
            Driver::Present(pod) => Some(self.remove(pod)),
        }
    }

    pub(super) fn remove(&mut self, pod: &DriverPod) -> Next {
        if pod.deleting {
            return Next::Wait(self.now + SOON);
        }
        Next::Ask(Action::DeleteDriver(pod.name.clone()))
    }

    pub(super) fn forget_run(&mut self) {
        let status = &mut self.status;
        for phase in Phase::ALL {
            conditions::forget_quality(status, phase);
        }
        status.spark_application_id = None;
        status.termination_time = None;
        status.driver_info = DriverInfo::default();
        status.app_state.error_message.clear();
        status.executor_state.clear();
    }

    pub(super) fn ended(&mut self) -> Next {
        // One that was made and not yet seen when the application ended.
        if let Some(next) = self.stray_check() {
            return next;
        }
        let ended_at = self.status.termination_time.get_or_insert_with(|| seconds(self.now)).0;
        let given = self.facts.app.spec.time_to_live_seconds;
        let given = given.map(|seconds| SignedDuration::from_secs(seconds.max(0)));
        let Some(time_to_live) = given.or(self.limits.time_to_live) else {
            return Next::Rest;
        };
        let expires = ended_at.saturating_add(time_to_live).unwrap_or(Timestamp::MAX);
        if self.now > expires {
            return Next::Ask(Action::DeleteApplication);
        }
        Next::Wait(
            expires
                .saturating_add(SignedDuration::from_millis(1))
                .unwrap_or(Timestamp::MAX),
        )
    }
}
