//! Where in a turn logs are kept: before an application is said to have ended, before its driver is deleted, before it goes itself, and, of
//! executors that are to be kept too, as they end. The decision is made without knowing of it; here it waits.

use std::time::Duration;

use stoke_model::crd::SparkApplicationStatus;

use super::reconcile::Turn;
use crate::application::{Action, Decision, Facts};
use crate::companions;
use crate::logs::{Settled, logs_of};

impl Turn<'_> {
    /// Of executors that have ended while their application goes on.
    pub(super) fn keep_logs_of_executors(&self, facts: &Facts) {
        let Some(keeper) = &self.context.logs else { return };
        let running = facts.app.status.as_ref();
        if running.is_none_or(|status| status.app_state.state.is_terminal()) || facts.executors.is_empty() {
            return;
        }
        let wanted = logs_of(facts, keeper.which()).filter(|wanted| wanted.of_all);
        if let Some(wanted) = wanted {
            keeper.offer(self.key, &self.regarding(), &wanted);
        }
    }

    /// How long to wait before the status may say that the application has ended.
    pub(super) fn await_logs_at_the_end(&self, facts: &Facts, decision: &Decision) -> Option<Duration> {
        let before = facts.app.status.as_ref()?.app_state.state;
        let ends = companions::end_with(before, decision.status.app_state.state);
        ends.then(|| self.await_logs(facts, false)).flatten()
    }

    /// How long to wait before this is done.
    pub(super) fn await_logs_before(&self, facts: &Facts, action: &Action) -> Option<Duration> {
        match action {
            Action::DeleteDriver(_) => self.await_logs(facts, false),
            Action::DeleteApplication => self.await_logs(facts, true),
            Action::Submit | Action::ConfirmDriver(_) | Action::Check(_) | Action::DeleteCheck(_) => None,
        }
    }

    fn await_logs(&self, facts: &Facts, last: bool) -> Option<Duration> {
        let keeper = self.context.logs.as_ref()?;
        let wanted = logs_of(facts, keeper.which())?;
        let kept = facts.app.status.as_ref()?.kept_logs.as_ref();
        // What is on record is kept.
        if last && kept == Some(&keeper.url(self.key, &wanted.run)) {
            return None;
        }
        match keeper.settle(self.key, &self.regarding(), &wanted, last) {
            Settled::Now => None,
            Settled::After(wait) => Some(wait),
        }
    }

    /// A status that is written anyway says where logs are.
    pub(super) fn note_kept_logs(&self, old: &SparkApplicationStatus, new: &mut SparkApplicationStatus) {
        let Some(keeper) = &self.context.logs else { return };
        let kept = keeper.kept(self.key);
        if kept.is_some() || companions::end_with(old.app_state.state, new.app_state.state) {
            new.kept_logs = kept;
        }
    }

    /// What has ended is on record; it costs no memory any more.
    pub(super) fn forget_logs(&self, old: &SparkApplicationStatus, new: &SparkApplicationStatus) {
        if let Some(keeper) = &self.context.logs
            && companions::end_with(old.app_state.state, new.app_state.state)
        {
            keeper.forget(self.key);
        }
    }
}
