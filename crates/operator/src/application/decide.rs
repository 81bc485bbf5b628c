//! The transition function of an application. One function, no I/O, no clock: facts in, decision out.
//!
//! A decision follows arrows until the next one needs an answer from outside (an [`Action`]) or time to pass. The status it returns is written
//! *before* anything is created: what is about to be created is on record first, under names that derive from that record. Around the arrows stand
//! two waits: news of executors alone waits for more of it ([`GATHER`]), and an end waits for its logs.
//!
#![doc = include_str!("decide/table.md")]

mod deadline;
mod driver;
mod ending;
mod logs;
mod quality;
mod submission;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use stoke_model::annotations::quality::Phase;
use stoke_model::crd::{
    ApplicationStateType as State, ExecutorState, RestartPolicyType, SparkApplicationStatus, Transition,
};
use stoke_model::defaults::RETRY_INTERVAL_SECONDS;
use stoke_model::names::driver_pod;

use super::annotations::{self, OnEdit};
use super::facts::{Facts, Outcome};
use super::limits::Limits;
use super::note::EventNote;
use super::{conditions, executors};
use crate::companions;
use crate::logs::PodLog;
use crate::quality::Refused;
use logs::Settled;

/// What to do, with what is to be written and told, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What to do: all of it, in this order, nothing else. The answer to an [asking](Action::asks) action goes into the facts of the next round.
    pub actions: Vec<Action>,
    /// The status that [`Action::Write`] writes; the stored one where nothing is written.
    pub status: SparkApplicationStatus,
    /// The Events that [`Action::Publish`] publishes.
    pub events: Vec<EventNote>,
    /// When to look again even if nothing happens; always some time for an application that has not ended.
    pub requeue_at: Option<Timestamp>,
}

/// Something only the outside can do or answer. Each may be done twice with the effect of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Begin to gather news of executors.
    Gather,
    /// News of executors waits no longer.
    EndGathering,
    /// Begin to copy these logs of a run; [`Facts::logs`] says how far they are.
    CopyLogs { run: String, logs: Vec<PodLog> },
    /// Begin the time that the application waits for the logs of a run.
    HoldForLogs {
        run: String,
        /// True before the application itself goes.
        last: bool,
    },
    /// Delete an executor's pod that Spark left only for its logs, which are kept.
    RemoveSpent {
        run: String,
        pod: String,
        /// Its logs.
        files: Vec<String>,
    },
    /// Tell people that the application goes on without all logs of a run.
    ReportMissingLogs {
        run: String,
        /// Which, and why.
        why: String,
    },
    /// Forget how far the copies of these files are: their pods are gone.
    ForgetCopies(Vec<String>),
    /// Forget how far any copy of the application's logs is: where they are is on record.
    ForgetLogs,
    /// Delete what stands beside the run: services, ingresses and budgets of its driver.
    RemoveCompanions,
    /// Write [`Decision::status`].
    Write,
    /// Publish [`Decision::events`].
    Publish,
    /// Ask the policies about the submission on record. Answer: [`Facts::unjudged`], or [`Facts::submission`] when they refuse it.
    Judge,
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

impl Action {
    /// True when its answer is needed before the application can rest: another decision follows at once.
    #[must_use]
    pub fn asks(&self) -> bool {
        match self {
            Self::Judge
            | Self::Submit
            | Self::ConfirmDriver(_)
            | Self::DeleteDriver(_)
            | Self::Check(_)
            | Self::DeleteCheck(_) => true,
            Self::Gather
            | Self::EndGathering
            | Self::CopyLogs { .. }
            | Self::HoldForLogs { .. }
            | Self::RemoveSpent { .. }
            | Self::ReportMissingLogs { .. }
            | Self::ForgetCopies(_)
            | Self::ForgetLogs
            | Self::RemoveCompanions
            | Self::Write
            | Self::Publish
            | Self::DeleteApplication => false,
        }
    }
}

/// How long news of executors alone waits for more of it: five executors that start are one write and one Event.
pub const GATHER: SignedDuration = SignedDuration::from_millis(500);
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
    let stored = facts.app.status.clone().unwrap_or_default();
    let rest = |actions: Vec<Action>, until: Option<Timestamp>| Decision {
        actions,
        status: stored.clone(),
        events: Vec::new(),
        requeue_at: until,
    };
    if facts.app.metadata.deletion_timestamp.is_some() {
        // Everything we made is owned by the application; the garbage collector does the rest.
        return rest(Vec::new(), None);
    }
    let mut course = follow(facts, now);
    if course.is_about_executors_alone(facts) {
        let left = GATHER - facts.gathering.unwrap_or_default();
        if left.is_positive() {
            let begin = facts.gathering.is_none().then_some(Action::Gather);
            return rest(begin.into_iter().collect(), Some(now + left));
        }
    }
    let mut actions = Vec::new();
    if facts.gathering.is_some() {
        actions.push(Action::EndGathering);
    }
    let ends = companions::end_with(stored.app_state.state, course.status.app_state.state);
    // What comes next settles the logs of executors with all others.
    if !ends && !matches!(course.ask, Some(Action::DeleteDriver(_) | Action::DeleteApplication)) {
        actions.extend(logs::of_executors(facts));
    }
    if ends {
        match logs::settle(facts, facts.app.status.as_ref(), false) {
            Settled::After(wait, begin) => {
                actions.extend(begin);
                return rest(actions, Some(now + wait));
            }
            Settled::Now(done) => actions.extend(done),
        }
        // Before the status says that the application has ended, so that a crash between the two does it again.
        if stored.submission_id.is_some() && stored.driver_info.pod_name.is_some() {
            actions.push(Action::RemoveCompanions);
        }
        companions::forget(&mut course.status.driver_info);
    }
    if course.status != stored {
        if let Some(logs) = &facts.logs
            && (ends || logs.any_kept)
        {
            course.status.kept_logs = logs.kept();
        }
        actions.push(Action::Write);
    }
    if !course.events.is_empty() {
        actions.push(Action::Publish);
    }
    if ends && facts.logs.is_some() {
        actions.push(Action::ForgetLogs);
    }
    let settled = match &course.ask {
        Some(Action::DeleteDriver(_)) => logs::settle(facts, Some(&course.status), false),
        Some(Action::DeleteApplication) => logs::settle(facts, Some(&course.status), true),
        _ => Settled::Now(Vec::new()),
    };
    match settled {
        Settled::After(wait, begin) => {
            actions.extend(begin);
            course.requeue_at = Some(now + wait);
        }
        Settled::Now(done) => {
            actions.extend(done);
            actions.extend(course.ask);
        }
    }
    Decision {
        actions,
        status: course.status,
        events: course.events,
        requeue_at: course.requeue_at,
    }
}

/// Where the arrows lead.
struct Course {
    status: SparkApplicationStatus,
    events: Vec<EventNote>,
    /// What the next arrow needs.
    ask: Option<Action>,
    requeue_at: Option<Timestamp>,
}

impl Course {
    /// True when nothing is to be done and nothing is new but the executors of an application that goes on.
    fn is_about_executors_alone(&self, facts: &Facts) -> bool {
        let Some(old) = &facts.app.status else { return false };
        let new = &self.status;
        if self.ask.is_some() || new.app_state.state.is_terminal() || old.executor_state == new.executor_state {
            return false;
        }
        let mut same = old.clone();
        same.executor_state.clone_from(&new.executor_state);
        same == *new
    }
}

/// Follows the arrows.
fn follow(facts: &Facts, now: Timestamp) -> Course {
    let mut round = Round {
        facts,
        now,
        outcome: facts.submission.as_ref(),
        check_refused: facts.check_refused.as_ref(),
        status: facts.app.status.clone().unwrap_or_default(),
        // One that cannot be read is refused at the next submission; a run that has begun goes on without it.
        limits: Limits::of(&facts.app, facts.limits).unwrap_or(facts.limits),
        events: Vec::new(),
        sent_away: false,
        because: None,
    };
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
    let (ask, requeue_at) = match next {
        Next::Ask(action) => (Some(action), Some(now + SOON)),
        Next::Wait(until) => (None, Some(round.not_past_the_deadline(until))),
        Next::Moved | Next::Rest => (None, None),
    };
    Course {
        status: round.status,
        events: round.events,
        ask,
        requeue_at,
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
