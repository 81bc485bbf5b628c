//! The arrows of a submitted application: what its driver pod says, and how long it may say nothing.

use jiff::{SignedDuration, Timestamp};
use stoke_model::annotations;
use stoke_model::crd::ApplicationStateType as State;

use super::super::facts::{Driver, DriverPod, PendingReason, Progress, QUIET};
use super::super::limits;
use super::{Action, HEARTBEAT, Next, Round, SOON};

impl Round<'_> {
    pub(super) fn follow_driver(&mut self) -> Next {
        let pod = match &self.facts.driver {
            Driver::NotCached => return Next::Ask(Action::ConfirmDriver(self.driver_name())),
            Driver::Present(pod) if pod.submission_id == self.status.submission_id => pod,
            Driver::Present(pod) if !pod.live => return Next::Ask(Action::ConfirmDriver(pod.name.clone())),
            Driver::Present(_) | Driver::Gone => {
                self.because = Some("DriverNotFound");
                return self.fail(None, "driver pod not found");
            }
        };
        match &pod.progress {
            Progress::Succeeded { at } => {
                self.status.termination_time = Some(self.ended_at(*at));
                self.status.app_state.error_message.clear();
                self.enter(State::Succeeding, "")
            }
            Progress::Failed { at, message } => self.fail(*at, message),
            _ if self.is_overdue() => self.overdue(),
            Progress::Running => self.settle(State::Running, String::new(), HEARTBEAT),
            Progress::Unknown => self.settle(
                State::Unknown,
                "the node does not report the driver pod".to_owned(),
                SOON,
            ),
            Progress::Pending(reason) => self.pending(pod, reason.as_ref()),
        }
    }

    /// A driver that does not run yet: for how long it may, and what stands in its way.
    fn pending(&mut self, pod: &DriverPod, reason: Option<&PendingReason>) -> Next {
        let waits = self.facts.driver_waits(self.now).map(ToString::to_string);
        let waits_for = waits.or_else(|| reason.map(ToString::to_string)).unwrap_or_default();
        let begun = self.status.last_submission_attempt_time.as_ref();
        let begun = begun.map_or(self.now, |time| time.0);
        let scheduled = pod.scheduled_at.map_or(begun, |at| at.max(begun));
        // Every start is unprepared for a moment: it is a reason only when the time is over.
        let on_node = reason.map_or(pod.unprepared, |reason| reason.on_node);
        let limits = [
            (
                "PendingTimeout",
                annotations::PENDING_TIMEOUT,
                begun,
                self.limits.pending,
            ),
            (
                "StartTimeout",
                annotations::START_TIMEOUT,
                scheduled,
                self.limits.start.filter(|_| on_node),
            ),
        ];
        let mut look_again = self.look_again_at(pod, scheduled);
        for (word, annotation, since, limit) in limits {
            let (Some(limit), Some(end)) = (limit, limits::end(since, limit)) else {
                continue;
            };
            if self.now >= end {
                let why = match reason {
                    _ if !waits_for.is_empty() => waits_for,
                    None if pod.unprepared => format!(
                        "its node still makes its volumes, network or sandbox, or pulls its image; `kubectl get events --field-selector involvedObject.name={}` says which",
                        pod.name
                    ),
                    _ => "no reason was given".to_owned(),
                };
                self.because = Some(word);
                return self.fail(
                    None,
                    &format!("driver pod did not start within {limit:#} ({annotation}): {why}"),
                );
            }
            look_again = look_again.min(end);
        }
        match self.settle(State::Submitted, waits_for, HEARTBEAT) {
            Next::Wait(_) => Next::Wait(look_again),
            next => next,
        }
    }

    /// When a driver that does not run yet may have more to say: a silence is looked into soon, and ever later while it lasts.
    fn look_again_at(&self, pod: &DriverPod, scheduled: Timestamp) -> Timestamp {
        let heartbeat = self.now + HEARTBEAT;
        let silence = self.now.duration_since(scheduled) / 2;
        let of_node = pod.is_on_node().then(|| self.now + silence.clamp(QUIET, HEARTBEAT));
        let of_status = pod
            .waits
            .as_ref()
            .and_then(|waits| waits.after)
            .filter(|after| *after > self.now);
        of_node.into_iter().chain(of_status).fold(heartbeat, Timestamp::min)
    }

    /// Stays in or goes to `state`, saying `message`.
    fn settle(&mut self, state: State, message: String, look_again: SignedDuration) -> Next {
        self.status.app_state.error_message = message;
        if self.state() != state {
            let reason = self.status.app_state.error_message.clone();
            return self.enter(state, &reason);
        }
        Next::Wait(self.now + look_again)
    }

    pub(super) fn fail(&mut self, at: Option<Timestamp>, message: &str) -> Next {
        self.status.termination_time = Some(self.ended_at(at));
        self.status.app_state.error_message = message.to_owned();
        self.enter(State::Failing, message)
    }
}
