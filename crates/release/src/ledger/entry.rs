//! One entry, and the chain.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::oci::Digest;

/// What a gate said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Waived,
    Fail,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Event {
    /// A release was made.
    Created { release: Digest, name: String },
    /// A gate judged a release.
    Verified {
        release: Digest,
        gate: String,
        verdict: Verdict,
        /// Digest of what shows it: a report, a comparison of data.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        evidence: Option<Digest>,
        /// The release that it was compared with, by a gate that compares.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        against: Option<Digest>,
    },
    /// Someone agrees, by signature: a sigstore bundle as JSON text.
    Approved {
        release: Digest,
        environment: String,
        bundle: String,
    },
    /// A release is about to be brought to an environment. Until its end, or `until`, no other may be.
    Intended {
        release: Digest,
        environment: String,
        step: Step,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        replaces: Option<Digest>,
        until: Timestamp,
    },
    /// It is there.
    Deployed {
        release: Digest,
        environment: String,
        /// Sequence of its intent.
        intent: u64,
    },
    /// It was given up.
    Abandoned {
        environment: String,
        intent: u64,
        why: String,
    },
    /// Data that a release wrote were held against their contract, where no reader sees them.
    DataAudited {
        release: Digest,
        environment: String,
        data: String,
        /// Number of a snapshot, or name of a version.
        version: String,
        /// Digest of the contract.
        contract: Digest,
        /// Digest of the list of its objects; none for a snapshot, which never changes.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        seal: Option<Digest>,
        verdict: Verdict,
        /// Digest of the report.
        evidence: Digest,
    },
    /// Readers are about to see another version of data.
    DataMoving {
        /// The release that wrote what is published, or what is taken back.
        release: Digest,
        environment: String,
        data: String,
        step: Step,
        /// What readers see until then.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<String>,
        to: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        seal: Option<Digest>,
        until: Timestamp,
    },
    /// They see it. It says all of its intent again, as it may be written after that one was given up.
    DataMoved {
        release: Digest,
        environment: String,
        data: String,
        step: Step,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<String>,
        to: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        seal: Option<Digest>,
        /// Sequence of its intent.
        intent: u64,
    },
    /// It was given up: readers see what they saw, or what others published.
    DataAbandoned {
        environment: String,
        data: String,
        intent: u64,
        why: String,
    },
}

/// The way a release comes to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Promote,
    Rollback,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// From 1, without gaps.
    pub sequence: u64,
    /// Digest of the entry before; of nothing for the first.
    pub previous: Digest,
    pub time: Timestamp,
    /// Who wrote it, for people; it proves nothing.
    pub by: String,
    #[serde(flatten)]
    pub event: Event,
}

/// Where a chain ends: what to remember, to find later that its end was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub sequence: u64,
    pub digest: Digest,
}

/// Where and how a chain is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {sequence}: {what}")]
pub struct Broken {
    pub sequence: u64,
    pub what: String,
}

impl Entry {
    #[must_use]
    pub fn text(&self) -> String {
        canonical::text(self)
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }
}

impl Head {
    /// Of a ledger without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sequence: 0,
            digest: Digest::of(b""),
        }
    }
}

/// The entries of texts in the order of their numbers, when they are one chain that goes through `known`.
///
/// # Errors
/// The first place at which it is not: a text that is not canonical, a gap, another chain's entry, a time that goes back, an end before what was known.
pub fn check_chain(texts: &[(u64, Vec<u8>)], known: Option<&Head>) -> Result<Vec<Entry>, Broken> {
    let mut head = Head::empty();
    let mut entries: Vec<Entry> = Vec::with_capacity(texts.len());
    for (number, bytes) in texts {
        let wrong = |what: String| Broken {
            sequence: head.sequence + 1,
            what,
        };
        if *number != head.sequence + 1 {
            return Err(wrong(format!("it is missing; the next one that is there is {number}")));
        }
        let entry: Entry =
            serde_json::from_slice(bytes).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
        if entry.text().as_bytes() != bytes.as_slice() {
            return Err(wrong("it is not written in canonical form: it was altered".into()));
        }
        if entry.sequence != *number {
            return Err(wrong(format!("it says it is entry {}", entry.sequence)));
        }
        if entry.previous != head.digest {
            return Err(wrong(format!(
                "it follows {}, and the entry before it is {}: one of both was altered or belongs to another chain",
                entry.previous, head.digest
            )));
        }
        if entries.last().is_some_and(|last| last.time > entry.time) {
            return Err(wrong(format!(
                "its time {} is before that of the entry before it",
                entry.time
            )));
        }
        head = Head {
            sequence: entry.sequence,
            digest: Digest::of(bytes),
        };
        if let Some(known) = known.filter(|known| known.sequence == head.sequence && known.digest != head.digest) {
            return Err(wrong_at(
                known.sequence,
                format!(
                    "it is {}, and was {} before: the chain was written again",
                    head.digest, known.digest
                ),
            ));
        }
        entries.push(entry);
    }
    match known {
        Some(known) if known.sequence > head.sequence => Err(wrong_at(
            head.sequence + 1,
            format!(
                "the ledger ends before it, and it went to {} before: its end was cut off",
                known.sequence
            ),
        )),
        _ => Ok(entries),
    }
}

fn wrong_at(sequence: u64, what: String) -> Broken {
    Broken { sequence, what }
}

/// Where these entries end.
#[must_use]
pub fn head(entries: &[Entry]) -> Head {
    entries.last().map_or_else(Head::empty, |last| Head {
        sequence: last.sequence,
        digest: last.digest(),
    })
}
