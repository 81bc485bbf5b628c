//! The active deadline: how long an application may be active in all.

use jiff::Timestamp;
use stoke_model::annotations::ACTIVE_DEADLINE;
use stoke_model::crd::ApplicationStateType as State;

use super::super::limits;
use super::{Next, Round};

impl Round<'_> {
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        limits::end(self.status.start_time.as_ref()?.0, self.limits.active)
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= self.now)
    }

    /// Looks again when the deadline comes, if that is sooner.
    pub(super) fn not_past_the_deadline(&self, until: Timestamp) -> Timestamp {
        self.deadline()
            .filter(|deadline| *deadline > self.now)
            .map_or(until, |deadline| deadline.min(until))
    }

    /// True in states that wait for a driver that does not exist yet; one that exists may have ended in time.
    pub(super) fn awaits_driver(&self) -> bool {
        matches!(
            self.state(),
            State::New | State::Resuming | State::PendingRerun | State::SubmissionFailed
        )
    }

    /// Kubernetes' word and sentence for a Job.
    pub(super) fn overdue(&mut self) -> Next {
        let limit = self.limits.active.unwrap_or_default().as_secs();
        self.because = Some("DeadlineExceeded");
        self.fail(
            None,
            &format!(
                "SparkApplication was active longer than specified deadline ({limit} s, {})",
                ACTIVE_DEADLINE
            ),
        )
    }
}
