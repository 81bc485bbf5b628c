//! What the entries say of data: which version readers see, which ones were audited, what is under way.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::entry::{Entry, Event, Step, Verdict};
use crate::oci::Digest;

/// A version that readers saw, or see.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub version: String,
    /// The release that wrote it; none for what others published.
    pub release: Option<Digest>,
    /// Digest of the list of its objects, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Digest>,
    /// Since when, as the ledger knows.
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    /// It was taken back.
    pub bad: bool,
    /// Entry by which it is known.
    #[serde(skip)]
    pub sequence: u64,
}

/// A move without an end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenMove {
    pub sequence: u64,
    pub release: Digest,
    pub step: Step,
    pub from: Option<String>,
    pub to: String,
    #[serde(skip)]
    pub seal: Option<Digest>,
    pub until: Timestamp,
    pub by: String,
}

/// An audit.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    pub release: Digest,
    pub version: String,
    pub contract: Digest,
    pub seal: Option<Digest>,
    pub verdict: Verdict,
    pub time: Timestamp,
}

/// Data of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Data {
    pub versions: Vec<Version>,
    pub open: Option<OpenMove>,
    #[serde(skip)]
    pub audits: Vec<Audited>,
    /// Intents that have come to their end.
    #[serde(skip)]
    ended: BTreeSet<u64>,
}

impl Data {
    /// What readers see, as far as the ledger knows.
    #[must_use]
    pub fn current(&self) -> Option<&Version> {
        self.versions.last().filter(|version| version.until.is_none())
    }

    /// Whether it was taken back.
    #[must_use]
    pub fn went_bad(&self, version: &str) -> bool {
        let last = self.versions.iter().rev().find(|one| one.version == version);
        last.is_some_and(|one| one.bad)
    }

    /// The last version before the current one that was not taken back; of another release than this one, if one is given.
    #[must_use]
    pub fn last_good(&self, not_of: Option<&Digest>) -> Option<&Version> {
        let current = self.current().map(|one| one.version.as_str());
        let mut before = self.versions.iter().rev();
        before.find(|one| {
            Some(one.version.as_str()) != current
                && !self.went_bad(&one.version)
                && (not_of.is_none() || one.release.as_ref() != not_of)
        })
    }

    /// Whether a move that was begun by this entry is known to have happened, by its own end or by what came after.
    #[must_use]
    pub fn is_known(&self, intent: u64, to: &str) -> bool {
        let since = |one: &Version| one.version == to && one.sequence > intent;
        self.ended.contains(&intent) || self.versions.iter().any(since)
    }

    /// Whether the move that was begun by this entry was written down as done.
    #[must_use]
    pub fn has_ended(&self, intent: u64) -> bool {
        self.ended.contains(&intent)
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::DataAudited {
                release,
                version,
                contract,
                seal,
                verdict,
                ..
            } => self.audits.push(Audited {
                release: release.clone(),
                version: version.clone(),
                contract: contract.clone(),
                seal: seal.clone(),
                verdict: *verdict,
                time: entry.time,
            }),
            Event::DataMoving {
                release,
                step,
                from,
                to,
                seal,
                until,
                ..
            } => {
                self.open = Some(OpenMove {
                    sequence: entry.sequence,
                    release: release.clone(),
                    step: *step,
                    from: from.clone(),
                    to: to.clone(),
                    seal: seal.clone(),
                    until: *until,
                    by: entry.by.clone(),
                });
            }
            Event::DataMoved {
                release,
                step,
                from,
                to,
                seal,
                intent,
                ..
            } => {
                self.open.take_if(|open| open.sequence == *intent);
                // The second end of one intent changes nothing.
                if self.ended.insert(*intent) {
                    let release = match step {
                        Step::Promote => Some(release.clone()),
                        Step::Rollback => {
                            let before = self.versions.iter().rev().find(|one| one.version == *to);
                            before.and_then(|one| one.release.clone())
                        }
                    };
                    self.moved(entry, from.as_deref(), to, release, seal.clone(), *step);
                }
            }
            Event::DataAbandoned { intent, .. } => {
                self.open.take_if(|open| open.sequence == *intent);
            }
            _ => {}
        }
    }

    fn moved(
        &mut self,
        entry: &Entry,
        from: Option<&str>,
        to: &str,
        release: Option<Digest>,
        seal: Option<Digest>,
        step: Step,
    ) {
        let known = self.current().map(|one| one.version.clone());
        if known.as_deref() == Some(to) {
            return;
        }
        let mut see = |version: &str, release, seal, bad| {
            if let Some(last) = self.versions.last_mut().filter(|last| last.until.is_none()) {
                last.until = Some(entry.time);
                last.bad = bad;
            }
            self.versions.push(Version {
                version: version.to_owned(),
                release,
                seal,
                from: entry.time,
                until: None,
                bad: false,
                sequence: entry.sequence,
            });
        };
        // What others published in between.
        if let Some(from) = from.filter(|from| known.as_deref() != Some(*from)) {
            see(from, None, None, false);
        }
        see(to, release, seal, step == Step::Rollback);
    }
}
