//! The arrows before a driver runs: the intent is recorded, policies and data are asked, the submission is made, refused or tried again.

use jiff::SignedDuration;
use kube::ResourceExt;
use stoke_model::annotations::quality::Phase;
use stoke_model::crd::{ApplicationStateType as State, DriverInfo};
use stoke_model::names::driver_pod;

use super::super::annotations;
use super::super::facts::{Driver, Outcome};
use super::super::limits::Limits;
use super::quality::Gate;
use super::{Action, Next, QUALITY_FAILED, Round, seconds};
use crate::names;

impl Round<'_> {
    /// Records the intent, asks for the submission, and takes its answer, over as many rounds as it needs.
    pub(super) fn submit(&mut self) -> Next {
        if !self.intent_recorded() {
            if let Err(message) = annotations::on_edit(&self.facts.app) {
                return self.refuse(&cannot_submit(&message), true);
            }
            if let Err(message) = Limits::of(&self.facts.app, self.facts.limits) {
                return self.refuse(&cannot_submit(&message), true);
            }
            self.record_intent();
            return self.submit_checked();
        }
        match self.outcome.take() {
            None => self.submit_checked(),
            Some(Outcome::Submitted(submitted)) => {
                self.status.spark_application_id = Some(submitted.application_id.clone());
                if let Some((service, port)) = &submitted.web_ui {
                    let namespace = self.facts.app.namespace().unwrap_or_default();
                    self.status.driver_info.web_ui_service_name = Some(service.clone());
                    self.status.driver_info.web_ui_address = Some(format!("{service}.{namespace}.svc:{port}"));
                    self.status.driver_info.web_ui_port = Some(*port);
                }
                if let Some((ingress, address)) = submitted.web_ui_ingress.clone() {
                    self.status.driver_info.web_ui_ingress_name = Some(ingress);
                    self.status.driver_info.web_ui_ingress_address = Some(address);
                }
                self.status.execution_attempts = self.status.execution_attempts.saturating_add(1);
                self.status.app_state.error_message.clear();
                self.enter(State::Submitted, "")
            }
            Some(Outcome::Refused { message, permanent, .. }) => self.refuse(&cannot_submit(message), *permanent),
            Some(Outcome::Blocked { message }) => {
                self.status.app_state.error_message.clone_from(message);
                match &self.facts.driver {
                    Driver::Present(pod) if !pod.deleting => Next::Ask(Action::DeleteDriver(pod.name.clone())),
                    _ => Next::Wait(self.now + SignedDuration::from_secs(1)),
                }
            }
        }
    }

    /// The submission on record, once the data are as they must be before it.
    pub(super) fn submit_checked(&mut self) -> Next {
        match self.quality(Phase::Before) {
            Gate::Open if self.facts.unjudged => Next::Ask(Action::Judge),
            Gate::Open => Next::Ask(Action::Submit),
            Gate::Unknown(next) => next,
            Gate::Shut(message, permanent) => {
                // One that was made before its check was deleted goes before the refusal forgets its name.
                if self.was_on_record()
                    && let Some(next) = self.recorded_driver_remains()
                {
                    return next;
                }
                self.because = Some(QUALITY_FAILED);
                self.refuse(&message, permanent)
            }
        }
    }

    /// True when the submission was on record before this decision, so that its driver may have been made.
    fn was_on_record(&self) -> bool {
        let stored = self.facts.app.status.as_ref();
        stored.is_some_and(|status| status.driver_info.pod_name.is_some())
    }

    pub(super) fn refuse(&mut self, message: &str, permanent: bool) -> Next {
        self.sent_away = permanent;
        self.status.spec_digest = Some(self.facts.spec_digest.clone());
        self.status.driver_info = DriverInfo::default();
        self.status.app_state.error_message = message.to_owned();
        self.enter(State::SubmissionFailed, message)
    }

    /// The name of the driver pod is in the status from the moment before the pod is made until it is known to be gone.
    pub(super) fn intent_recorded(&self) -> bool {
        self.status.driver_info.pod_name.is_some()
    }

    pub(super) fn record_intent(&mut self) {
        let status = &mut self.status;
        status.submission_attempts = status.submission_attempts.saturating_add(1);
        status.submission_id = Some(names::submission_id(
            &self.facts.app,
            &self.facts.spec_digest,
            status.execution_attempts,
            status.submission_attempts,
        ));
        status.spec_digest = Some(self.facts.spec_digest.clone());
        status.last_submission_attempt_time = Some(seconds(self.now));
        status.start_time.get_or_insert_with(|| seconds(self.now));
        status.driver_info = DriverInfo {
            pod_name: Some(driver_pod(&self.facts.app.name_any(), &self.facts.app.spec)),
            ..DriverInfo::default()
        };
    }

    pub(super) fn rerun(&mut self) -> Next {
        // A driver of an earlier try, seen without having been recorded as ours to remove, goes first.
        if !self.intent_recorded()
            && let Driver::Present(pod) = &self.facts.driver
        {
            return self.remove(pod);
        }
        self.submit()
    }

    pub(super) fn submission_failed(&mut self) -> Next {
        if self.intent_recorded() {
            return self.submit();
        }
        let policy = self.facts.app.spec.restart_policy.clone().unwrap_or_default();
        let retries = policy.on_submission_failure_retries.unwrap_or(0);
        let again = self.allows(policy.type_, self.status.submission_attempts, retries);
        if self.sent_away || !again {
            if let Some(next) = self.stray_check() {
                return next;
            }
            self.status.termination_time = Some(seconds(self.now));
            let message = self.status.app_state.error_message.clone();
            return self.enter(State::Failed, &message);
        }
        // A failure that the clock, set back, has yet to reach: it was now.
        if let Some(last) = self.status.transitions.last_mut().filter(|last| last.time.0 > self.now) {
            last.time = seconds(self.now);
        }
        let failed_at = self.status.transitions.last().map_or(self.now, |last| last.time.0);
        match self.back_off(
            failed_at,
            policy.on_submission_failure_retry_interval,
            self.status.submission_attempts,
        ) {
            Some(due) => Next::Wait(due),
            None => self.submit(),
        }
    }
}

/// As the published operator says it.
fn cannot_submit(message: &str) -> String {
    format!("failed to run spark-submit: {message}")
}
