//! What the entries of a ledger say together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::data::Data;
use super::entry::{Entry, Event, Step, Verdict};
use crate::oci::Digest;

/// A time in which a release was current in an environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub release: Digest,
    pub from: Timestamp,
    /// None: it still is.
    pub until: Option<Timestamp>,
    /// It ended by a rollback.
    pub bad: bool,
}

/// An intent without an end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Open {
    pub sequence: u64,
    pub release: Digest,
    pub step: Step,
    pub until: Timestamp,
    pub by: String,
}

/// What is, and was, in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Place {
    pub intervals: Vec<Interval>,
    pub open: Option<Open>,
    /// Approvals by release, as they stand in the ledger.
    #[serde(skip)]
    pub approvals: Vec<(Digest, String)>,
}

/// A release that was compared with another one, by a shadow run or an A/B.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub gate: String,
    pub release: Digest,
    /// None: it was recorded without saying so.
    pub against: Option<Digest>,
    pub verdict: Verdict,
    pub time: Timestamp,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// Releases in the order of their creation, with names.
    pub releases: Vec<(Digest, String)>,
    #[serde(skip)]
    known: BTreeSet<Digest>,
    /// The last verdict of each gate about each release.
    #[serde(skip)]
    pub verdicts: BTreeMap<(Digest, String), Verdict>,
    /// Verdicts of gates that compare releases, in their order.
    #[serde(skip)]
    pub comparisons: Vec<Comparison>,
    pub places: BTreeMap<String, Place>,
    /// By environment and name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, BTreeMap<String, Data>>,
    pub last: Option<Timestamp>,
}

impl Place {
    #[must_use]
    pub fn current(&self) -> Option<&Digest> {
        let last = self.intervals.last().filter(|interval| interval.until.is_none());
        last.map(|interval| &interval.release)
    }

    /// How long a release was current here, in milliseconds.
    #[must_use]
    pub fn was_current(&self, release: &Digest, now: Timestamp) -> i64 {
        let of = self.intervals.iter().filter(|interval| interval.release == *release);
        of.map(|interval| {
            let until = interval.until.unwrap_or(now).min(now);
            (until.as_millisecond() - interval.from.as_millisecond()).max(0)
        })
        .sum()
    }

    /// Whether its last time here ended by a rollback.
    #[must_use]
    pub fn went_bad(&self, release: &Digest) -> bool {
        let last = self
            .intervals
            .iter()
            .rev()
            .find(|interval| interval.release == *release);
        last.is_some_and(|interval| interval.bad)
    }

    #[must_use]
    pub fn was_here(&self, release: &Digest) -> bool {
        self.intervals.iter().any(|interval| interval.release == *release)
    }

    /// The last release before the current one that no rollback ended.
    #[must_use]
    pub fn last_good(&self) -> Option<&Digest> {
        let current = self.current();
        // From the end, the first interval of a release is its last one.
        let mut seen = BTreeSet::new();
        let mut last = self.intervals.iter().rev().filter(|one| seen.insert(&one.release));
        let good = last.find(|one| Some(&one.release) != current && !one.bad);
        good.map(|one| &one.release)
    }
}

impl History {
    /// The same entries give the same history.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.add(entry);
        }
        history
    }

    #[must_use]
    pub fn knows(&self, release: &Digest) -> bool {
        self.known.contains(release)
    }

    #[must_use]
    pub fn place(&self, environment: &str) -> Option<&Place> {
        self.places.get(environment)
    }

    /// What is known of data in an environment.
    #[must_use]
    pub fn data(&self, environment: &str, data: &str) -> Option<&Data> {
        self.data.get(environment)?.get(data)
    }

    fn add(&mut self, entry: &Entry) {
        self.last = Some(entry.time);
        match &entry.event {
            Event::Created { release, name } => {
                if self.known.insert(release.clone()) {
                    self.releases.push((release.clone(), name.clone()));
                }
            }
            Event::Verified {
                release,
                gate,
                verdict,
                against,
                ..
            } => {
                if [crate::shadow::GATE, crate::ab::GATE].contains(&gate.as_str()) {
                    self.comparisons.push(Comparison {
                        gate: gate.clone(),
                        release: release.clone(),
                        against: against.clone(),
                        verdict: *verdict,
                        time: entry.time,
                    });
                }
                self.verdicts.insert((release.clone(), gate.clone()), *verdict);
            }
            Event::Approved {
                release,
                environment,
                bundle,
            } => {
                let place = self.places.entry(environment.clone()).or_default();
                place.approvals.push((release.clone(), bundle.clone()));
            }
            Event::Intended {
                release,
                environment,
                step,
                until,
                ..
            } => {
                self.places.entry(environment.clone()).or_default().open = Some(Open {
                    sequence: entry.sequence,
                    release: release.clone(),
                    step: *step,
                    until: *until,
                    by: entry.by.clone(),
                });
            }
            Event::Deployed {
                environment, intent, ..
            } => {
                let place = self.places.entry(environment.clone()).or_default();
                // One that has no open intent is the second of its kind, and changes nothing.
                let Some(open) = place.open.take_if(|open| open.sequence == *intent) else {
                    return;
                };
                if place.current() == Some(&open.release) {
                    return;
                }
                if let Some(last) = place.intervals.last_mut() {
                    last.until = Some(entry.time);
                    last.bad = open.step == Step::Rollback;
                }
                place.intervals.push(Interval {
                    release: open.release,
                    from: entry.time,
                    until: None,
                    bad: false,
                });
            }
            Event::Abandoned {
                environment, intent, ..
            } => {
                let place = self.places.entry(environment.clone()).or_default();
                place.open.take_if(|open| open.sequence == *intent);
            }
            Event::DataAudited { environment, data, .. }
            | Event::DataMoving { environment, data, .. }
            | Event::DataMoved { environment, data, .. }
            | Event::DataAbandoned { environment, data, .. } => {
                let of = self.data.entry(environment.clone()).or_default();
                of.entry(data.clone()).or_default().add(entry);
            }
        }
    }
}
