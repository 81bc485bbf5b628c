//! The transition function of an application. One function, no I/O, no clock: facts in, decision out.
//!
//! A decision follows arrows until the next one needs an answer from outside (an [`Action`]) or time to pass. The status it returns is to be
//! written *before* its actions are taken: what is about to be created is on record first, under names that derive from that record.

mod deadline;
mod driver;
mod quality;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use stoke_model::annotations::quality::Phase;
use stoke_model::crd::{
    ApplicationStateType as State, DriverInfo, ExecutorState, RestartPolicyType, SparkApplicationStatus, Transition,
};
use stoke_model::defaults::RETRY_INTERVAL_SECONDS;
use stoke_model::names::driver_pod;

use super::annotations::{self, OnEdit};
use super::facts::{Driver, DriverPod, Facts, Outcome};
use super::limits::Limits;
use super::note::EventNote;
use super::{conditions, executors};
use crate::names;
use crate::quality::Refused;
use quality::Gate;

/// What is to be written, done, said, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The status to write, before any action.
    pub status: SparkApplicationStatus,
    /// What to do, in order. The answer to an asking action goes into the facts of the next round.
    pub actions: Vec<Action>,
    /// When to look again even if nothing happens; always some time for an application that has not ended.
    pub requeue_at: Option<Timestamp>,
    /// What to tell people.
    pub events: Vec<EventNote>,
}

/// Something only the outside can do or answer. Each may be done twice with the effect of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create the driver pod and what it owns under the names recorded in the status, or find them created. Answer: [`Facts::submission`].
    Submit,
    /// Ask the API server itself for this pod. Answer: [`Facts::driver`].
    ConfirmDriver(String),
    /// Delete this pod of ours. Answer: [`Facts::driver`].
    DeleteDriver(String),
    /// Make the pod that holds the run's data against their contracts, or find it made. Answer: [`Facts::checks`], [`Facts::check_refused`].
    Check(Phase),
    /// Delete this pod that checks data. Answer: [`Facts::checks`].
    DeleteCheck(String),
    /// Delete the application object; its time to live is over.
    DeleteApplication,
}

/// Transitions kept in the status.
pub const KEPT_TRANSITIONS: usize = 20;
/// How soon to look again at what should have moved on by an event: a lost event costs this much, not for ever.
const SOON: SignedDuration = SignedDuration::from_secs(10);
/// The word for a run that its data did not let be.
const QUALITY_FAILED: &str = "QualityFailed";
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(60);
/// What a growing back-off ends at.
const LONGEST_BACK_OFF: SignedDuration = SignedDuration::from_mins(5);
/// A run that lasted so long does not count among failures in a row, as with a container's restarts.
const WENT_WELL: SignedDuration = SignedDuration::from_mins(10);

/// Decides what follows from `facts` at the time `now`.
#[must_use]
pub fn decide(facts: &Facts, now: Timestamp) -> Decision {
    let status = facts.app.status.clone().unwrap_or_default();
    let mut round = Round {
        facts,
        now,
        outcome: facts.submission.as_ref(),
        check_refused: facts.check_refused.as_ref(),
        status,
        // One that cannot be read is refused at the next submission; a run that has begun goes on without it.
        limits: Limits::of(&facts.app, facts.limits).unwrap_or(facts.limits),
        events: Vec::new(),
        sent_away: false,
        because: None,
    };
    if facts.app.metadata.deletion_timestamp.is_some() {
        // Everything we made is owned by the application; the garbage collector does the rest.
        return Decision {
            status: round.status,
            ..Decision::default()
        };
    }
    let next = loop {
        match round.step() {
            Next::Moved => {}
            next => break next,
        }
    };
    round.status.observed_generation = facts.app.metadata.generation;
    let kept = round.limits.executors;
    executors::update(&mut round.status, &facts.executors, kept, &mut round.events);
    conditions::update(&mut round.status, facts, round.because, now, &mut round.events);
    let (actions, requeue_at) = match next {
        Next::Ask(action) => (vec![action], Some(now + SOON)),
        Next::Wait(until) => (Vec::new(), Some(round.not_past_the_deadline(until))),
        Next::Moved | Next::Rest => (Vec::new(), None),
    };
    Decision {
        status: round.status,
        actions,
        requeue_at,
        events: round.events,
    }
}

/// What one arrow leads to.
enum Next {
    /// Another state; look for its arrows.
    Moved,
    /// An answer is needed.
    Ask(Action),
    /// Time must pass, or an event come.
    Wait(Timestamp),
    /// Nothing more, unless the user asks.
    Rest,
}

struct Round<'a> {
    facts: &'a Facts,
    now: Timestamp,
    outcome: Option<&'a Outcome>,
    check_refused: Option<&'a Refused>,
    status: SparkApplicationStatus,
    limits: Limits,
    events: Vec<EventNote>,
    /// The word for why the run failed, when it is not the driver's own doing.
    because: Option<&'static str>,
    /// The submission was refused for a reason that no retry can change.
    sent_away: bool,
}

impl Round<'_> {
    fn state(&self) -> State {
        self.status.app_state.state
    }

    /// Follows one arrow.
    fn step(&mut self) -> Next {
        if self.facts.app.spec.suspend == Some(true) && !self.stopping_or_ended() {
            return self.enter(State::Suspending, "spec.suspend is true");
        }
        if self.was_edited() {
            // Answered once, whatever the answer.
            self.status.observed_generation = self.facts.app.metadata.generation;
            if self.edit_restarts() {
                return self.enter(State::Invalidating, "the spec was edited");
            }
        }
        if self.is_overdue() && self.awaits_driver() {
            return self.overdue();
        }
        match self.state() {
            State::New | State::Resuming => self.submit(),
            State::PendingRerun => self.rerun(),
            State::SubmissionFailed => self.submission_failed(),
            State::Submitted | State::Running | State::Unknown => self.follow_driver(),
            State::Succeeding => self.succeeding(),
            State::Failing => self.failing(),
            State::Invalidating => self.invalidating(),
            State::Suspending => self.suspending(),
            State::Suspended if self.facts.app.spec.suspend == Some(true) => Next::Wait(self.now + HEARTBEAT),
            State::Suspended => self.enter(State::Resuming, "spec.suspend is false"),
            State::Completed | State::Failed => self.ended(),
        }
    }

    // --- submission -------------------------------------------------------------------------------------------------------------

    /// Records the intent, asks for the submission, and takes its answer, over as many rounds as it needs.
    fn submit(&mut self) -> Next {
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
    fn submit_checked(&mut self) -> Next {
        match self.quality(Phase::Before) {
            Gate::Open => Next::Ask(Action::Submit),
            Gate::Unknown(next) => next,
            Gate::Shut(message, permanent) => {
                self.because = Some(QUALITY_FAILED);
                self.refuse(&message, permanent)
            }
        }
    }

    fn refuse(&mut self, message: &str, permanent: bool) -> Next {
        self.sent_away = permanent;
        self.status.spec_digest = Some(self.facts.spec_digest.clone());
        self.status.driver_info = DriverInfo::default();
        self.status.app_state.error_message = message.to_owned();
        self.enter(State::SubmissionFailed, message)
    }

    /// The name of the driver pod is in the status from the moment before the pod is made until it is known to be gone.
    fn intent_recorded(&self) -> bool {
        self.status.driver_info.pod_name.is_some()
    }

    fn record_intent(&mut self) {
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

    fn rerun(&mut self) -> Next {
        // A driver of an earlier try, seen without having been recorded as ours to remove, goes first.
        if !self.intent_recorded()
            && let Driver::Present(pod) = &self.facts.driver
        {
            return self.remove(pod);
        }
        self.submit()
    }

    fn submission_failed(&mut self) -> Next {
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

    // --- the end of a run -------------------------------------------------------------------------------------------------------

    fn succeeding(&mut self) -> Next {
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

    fn failing(&mut self) -> Next {
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

    fn run_again(&mut self) -> Next {
        if let Some(wait) = self.driver_remains() {
            return wait;
        }
        self.forget_run();
        self.status.submission_attempts = 0;
        self.enter(State::PendingRerun, "")
    }

    fn invalidating(&mut self) -> Next {
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

    fn suspending(&mut self) -> Next {
        if let Some(wait) = self.driver_remains() {
            return wait;
        }
        self.forget_run();
        self.status.start_time = None;
        self.enter(State::Suspended, "spec.suspend is true")
    }

    /// Some step while the recorded driver pod is not known to be gone; none when it is, or none was ever recorded.
    fn driver_remains(&mut self) -> Option<Next> {
        if let Some(next) = self.stray_check() {
            return Some(next);
        }
        let name = self.status.driver_info.pod_name.clone()?;
        match &self.facts.driver {
            Driver::Gone => None,
            Driver::NotCached => Some(Next::Ask(Action::ConfirmDriver(name))),
            Driver::Present(pod) => Some(self.remove(pod)),
        }
    }

    fn remove(&mut self, pod: &DriverPod) -> Next {
        if pod.deleting {
            return Next::Wait(self.now + SOON);
        }
        Next::Ask(Action::DeleteDriver(pod.name.clone()))
    }

    fn forget_run(&mut self) {
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

    // --- the end ----------------------------------------------------------------------------------------------------------------

    fn ended(&mut self) -> Next {
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

    // --- edits, policies, times -------------------------------------------------------------------------------------------------

    fn stopping_or_ended(&self) -> bool {
        self.state().is_terminal() || matches!(self.state(), State::Suspended | State::Suspending)
    }

    /// True when the spec asks for other pods than were submitted and this edit was not answered yet.
    fn was_edited(&self) -> bool {
        let submitted = self.status.spec_digest.as_ref();
        self.facts.app.metadata.generation != self.status.observed_generation
            && submitted.is_some_and(|digest| *digest != self.facts.spec_digest)
    }

    /// What the edit does in this state; says so when it does nothing yet.
    fn edit_restarts(&mut self) -> bool {
        let asked = annotations::on_edit(&self.facts.app);
        match self.state() {
            // Nothing runs: what is submitted next reads the new spec anyway.
            State::Invalidating | State::Suspending | State::Suspended => false,
            State::New | State::PendingRerun | State::Resuming => self.intent_recorded(),
            State::SubmissionFailed => true,
            State::Completed | State::Failed => {
                // What never ran was not finished; what did is rerun only when that was asked for.
                asked == Ok(Some(OnEdit::Restart)) || self.status.execution_attempts == 0
            }
            State::Submitted | State::Running | State::Unknown | State::Succeeding | State::Failing => {
                let on_edit = asked.unwrap_or_default().unwrap_or_default();
                if on_edit != OnEdit::Restart {
                    self.events.push(EventNote::edit_kept_out(on_edit));
                }
                on_edit == OnEdit::Restart
            }
        }
    }

    fn policy(&self) -> RestartPolicyType {
        let policy = self.facts.app.spec.restart_policy.as_ref();
        policy.and_then(|policy| policy.type_).unwrap_or_default()
    }

    /// `retries` retries are `retries` + 1 tries.
    fn allows(&self, policy: Option<RestartPolicyType>, tries: i32, retries: i32) -> bool {
        if self.is_overdue() {
            return false;
        }
        match policy.unwrap_or_default() {
            RestartPolicyType::Never => false,
            RestartPolicyType::OnFailure => tries <= retries,
            RestartPolicyType::Always => true,
        }
    }

    /// When the next try is due, if that is still to come: `interval` seconds after the failure for the first, twice that for the second, …,
    /// at most [`LONGEST_BACK_OFF`] unless the interval itself is longer. Times in a status have whole seconds, so the first wait may be
    /// shorter by less than one.
    fn back_off(&self, failed_at: Timestamp, interval: Option<i64>, tries: i32) -> Option<Timestamp> {
        let interval = interval.unwrap_or(RETRY_INTERVAL_SECONDS).max(0);
        let most = interval.max(LONGEST_BACK_OFF.as_secs());
        let wait = SignedDuration::from_secs(interval.saturating_mul(i64::from(tries.max(1))).min(most));
        let due = failed_at.saturating_add(wait).unwrap_or(Timestamp::MAX);
        (due > self.now).then_some(due)
    }

    /// The tries a back-off grows with: after a run that went well for long, the next failure is a first one again.
    fn tries_in_a_row(&self, failed_at: Timestamp) -> i32 {
        let begun = self.status.last_submission_attempt_time.as_ref().map(|time| time.0);
        match begun {
            Some(begun) if failed_at.duration_since(begun) >= WENT_WELL => 1,
            _ => self.status.execution_attempts,
        }
    }

    /// The node's time of the end, unless its clock disagrees with ours about the order of things.
    fn ended_at(&self, at: Option<Timestamp>) -> Time {
        let begun = self.status.last_submission_attempt_time.as_ref().map(|time| time.0);
        seconds(
            at.filter(|at| *at <= self.now && begun.is_none_or(|begun| begun <= *at))
                .unwrap_or(self.now),
        )
    }

    fn driver_name(&self) -> String {
        self.status
            .driver_info
            .pod_name
            .clone()
            .unwrap_or_else(|| driver_pod(&self.facts.app.name_any(), &self.facts.app.spec))
    }

    fn enter(&mut self, state: State, reason: &str) -> Next {
        self.status.app_state.state = state;
        self.status.transitions.push(Transition {
            state,
            time: seconds(self.now),
            reason: reason.to_owned(),
        });
        let surplus = self.status.transitions.len().saturating_sub(KEPT_TRANSITIONS);
        self.status.transitions.drain(..surplus);
        self.events
            .extend(EventNote::entering(state, &self.facts.app, &self.status));
        Next::Moved
    }
}

/// As the published operator says it.
fn cannot_submit(message: &str) -> String {
    format!("failed to run spark-submit: {message}")
}

/// Kubernetes times have whole seconds.
pub(super) fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// True while executors of the recorded submission belong into the status.
pub(super) fn shows_executors(state: State) -> bool {
    matches!(
        state,
        State::Submitted
            | State::Running
            | State::Unknown
            | State::Succeeding
            | State::Failing
            | State::Completed
            | State::Failed
    )
}

/// What became of an executor whose pod is gone, by the published rule.
pub(super) fn vanished(state: State) -> ExecutorState {
    match state {
        State::Completed | State::Succeeding => ExecutorState::Completed,
        State::Running => ExecutorState::Unknown,
        _ => ExecutorState::Failed,
    }
}
