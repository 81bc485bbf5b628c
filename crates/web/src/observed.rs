//! What is watched beside a cluster and its history: objectives, alerts, records of runbooks, incidents. Whoever serves the pages reads it
//! and puts it on a [`Board`]; pages show what stands there, and since when.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use stoke_observe::incident::Incident;
use stoke_observe::incident::timeline::Item;
use stoke_observe::pack::firing::Firing;
use stoke_observe::runbook::Record;
use stoke_observe::slo::status::Status;

/// What was read again and again.
#[derive(Debug, Clone)]
pub struct Reading<T> {
    /// Where it is read, as people write it.
    pub place: String,
    /// What was read last, and when.
    pub last: Option<(Timestamp, Arc<T>)>,
    /// Why the newest reading failed; what was read before it stays, and is not taken for new.
    pub trouble: Option<String>,
}

impl<T> Reading<T> {
    /// A place that was not read yet.
    pub fn of(place: impl Into<String>) -> Reading<T> {
        Reading {
            place: place.into(),
            last: None,
            trouble: None,
        }
    }

    /// The newest reading.
    pub fn tell(&mut self, read: Result<T, String>, at: Timestamp) {
        match read {
            Ok(value) => {
                self.last = Some((at, Arc::new(value)));
                self.trouble = None;
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    pub fn value(&self) -> Option<&T> {
        self.last.as_ref().map(|(_, value)| &**value)
    }
}

/// How objectives stand.
#[derive(Debug, Clone, Default)]
pub struct Objectives {
    pub statuses: Vec<Status>,
    /// Objectives of services, which Prometheus judges.
    pub services: usize,
    /// What could not be read of the runs they are judged by.
    pub notes: Vec<String>,
}

/// An incident, and everything that is known of its time.
#[derive(Debug, Clone)]
pub struct Story {
    pub incident: Incident,
    pub items: Vec<Item>,
    /// What could not be had.
    pub notes: Vec<String>,
    /// The draft of its review, in Markdown.
    pub review: String,
}

/// Everything that is watched; nothing where it was not asked for.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub objectives: Option<Reading<Objectives>>,
    pub alerts: Option<Reading<Vec<Firing>>>,
    pub records: Option<Reading<Vec<Record>>>,
    pub incidents: Option<Reading<Vec<Story>>>,
}

impl Observed {
    /// Alerts that need someone.
    pub fn firing(&self) -> impl Iterator<Item = &Firing> {
        let all = self.alerts.as_ref().and_then(Reading::value);
        all.into_iter().flatten().filter(|one| one.needs_someone())
    }

    /// Objectives by which someone is to be woken.
    pub fn paging(&self) -> impl Iterator<Item = &Status> {
        let all = self.objectives.as_ref().and_then(Reading::value);
        all.into_iter().flat_map(|all| &all.statuses).filter(|one| one.paging())
    }

    /// Incidents that are not over.
    pub fn open(&self) -> impl Iterator<Item = &Story> {
        let all = self.incidents.as_ref().and_then(Reading::value);
        all.into_iter().flatten().filter(|one| one.incident.closing().is_none())
    }
}

/// Where it stands, for those who read it and those who show it.
#[derive(Debug, Default)]
pub struct Board {
    now: Mutex<Arc<Observed>>,
}

impl Board {
    /// What stands there now.
    pub fn seen(&self) -> Arc<Observed> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what stands there; who looks meanwhile sees it as it was.
    pub fn change(&self, change: impl FnOnce(&mut Observed)) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_failed_keeps_what_was_read_and_says_why() {
        let mut reading: Reading<u8> = Reading::of("http://alertmanager");
        let at = Timestamp::from_second(1_795_000_000).unwrap();
        reading.tell(Err("refused".to_owned()), at);
        assert_eq!((reading.value(), reading.trouble.as_deref()), (None, Some("refused")));
        reading.tell(Ok(1), at);
        reading.tell(Err("refused".to_owned()), Timestamp::now());
        assert_eq!(
            (reading.value(), reading.trouble.as_deref()),
            (Some(&1), Some("refused"))
        );
        assert_eq!(reading.last.as_ref().map(|(at, _)| *at), Some(at));
        reading.tell(Ok(2), at);
        assert_eq!((reading.value(), reading.trouble.as_deref()), (Some(&2), None));
    }

    #[test]
    fn who_looks_sees_a_whole() {
        let board = Board::default();
        let before = board.seen();
        board.change(|now| now.alerts = Some(Reading::of("x")));
        assert!(before.alerts.is_none() && board.seen().alerts.is_some());
        assert_eq!(
            board.seen().firing().count() + board.seen().open().count() + board.seen().paging().count(),
            0
        );
    }
}
