//! The next step of a publication or of the way back: a function of the ledger, what the place shows, and the time. Asked again after each step, it goes on where
//! an interrupted command stopped.

use jiff::{SignedDuration, Timestamp};
use stoke_diagnostics::Diagnostic;

use super::{Seen, refusal, unknown};
use crate::ledger::act::LEASE;
use crate::ledger::data::{Data, OpenMove};
use crate::ledger::{Event, History, Step, Verdict, decide::clock};
use crate::oci::Digest;

/// How long an audit that passed counts: a command that is given again needs no second one. What a contract says of freshness goes by the clock.
pub const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// Which data.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub environment: String,
    pub data: String,
}

/// Where to go back to.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The last version before the current one that was not taken back.
    Before,
    /// The last version that this release did not write; nothing is done when readers see none of its.
    BeforeRelease(Digest),
    Version(String),
}

/// The next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing is left to do.
    Done,
    /// What was begun has come to its end, or was given up: that is to be written down. True: then all is done.
    Settle(Event, bool),
    /// The candidate is to be audited.
    Audit { version: String, seal: Option<Digest> },
    /// The intent is to be written.
    Begin(Event),
    /// The place is to be changed.
    Set(OpenMove),
}

/// The next step of a publication of what this release wrote. `wanted` names a version; else the candidate of the place is meant.
///
/// # Errors
/// All that speaks against it.
pub fn publish(
    history: &History,
    key: &Key,
    release: Option<&Digest>,
    wanted: Option<&str>,
    contract: &Digest,
    seen: &Seen,
    now: Timestamp,
) -> Result<Next, Vec<Diagnostic>> {
    let now = clock(history, now)?;
    let empty = Data::default();
    let data = history.data(&key.environment, &key.data).unwrap_or(&empty);
    let place = history.place(&key.environment);
    let current = place.and_then(|place| place.current());
    if let Some(open) = &data.open {
        let ours = open.step == Step::Promote
            && Some(&open.release) == release.or(current)
            && wanted.is_none_or(|wanted| wanted == open.to);
        if let Some(event) = came_to_an_end(key, open, seen) {
            return Ok(Next::Settle(event, ours && seen.candidate.as_ref() == Some(&open.to)));
        }
        if ours {
            return Ok(Next::Set(open.clone()));
        }
        if now < open.until {
            return Err(vec![busy(key, open)]);
        }
        return Ok(Next::Settle(given_up(key, open, "another one took its place"), false));
    }
    let mut reasons = Vec::new();
    let Some(current) = current else {
        return Err(vec![refusal(
            "release-data-release",
            format!("no release is in {}, so nothing of it is published", key.environment),
            "promote the release that writes these data",
        )]);
    };
    let release = release.unwrap_or(current);
    if release != current {
        reasons.push(refusal(
            "release-data-release",
            format!(
                "{}: {release} is not the release that is there, {current} is",
                key.environment
            ),
            "publish what the current release wrote, or promote that one",
        ));
    }
    reasons.extend(seen.reasons.iter().cloned());
    let Some(candidate) = &seen.candidate else {
        if reasons.is_empty() {
            reasons.push(nothing(key));
        }
        return Err(reasons);
    };
    if seen.current.as_ref() == Some(candidate) {
        if data.current().is_some_and(|known| known.version == *candidate) {
            return Ok(Next::Done);
        }
        return Err(vec![refusal(
            "release-data-overtaken",
            format!(
                "{}: readers see {candidate} already, and this ledger did not publish it; it was not audited here",
                key.data
            ),
            "let runs write where no reader sees it, and find who published it",
        )]);
    }
    let bad = seen
        .brings
        .iter()
        .chain([candidate])
        .find(|version| data.went_bad(version));
    if let Some(bad) = bad {
        reasons.push(refusal(
            "release-data-rolled-back",
            format!("{}: {candidate} brings {bad} again, which was taken back", key.data),
            "write it again without that: drop the branch (`ALTER TABLE … DROP BRANCH …`), or take another version, and run the release that repairs it",
        ));
    }
    if let Some(by) = seen.written_by.as_ref().filter(|by| **by != release.to_string()) {
        reasons.push(refusal(
            "release-data-release",
            format!(
                "{}: {candidate} was written by the release {by}, not by {release}",
                key.data
            ),
            "run the release that is in the environment, and publish what it writes",
        ));
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let passes = data.audits.iter().rev().find(|audit| {
        audit.version == *candidate
            && audit.contract == *contract
            && audit.seal == seen.seal
            && audit.release == *release
    });
    let passes = passes.is_some_and(|audit| {
        matches!(audit.verdict, Verdict::Pass | Verdict::Waived) && now.duration_since(audit.time) <= FRESH
    });
    if !passes {
        return Ok(Next::Audit {
            version: candidate.clone(),
            seal: seen.seal.clone(),
        });
    }
    Ok(Next::Begin(Event::DataMoving {
        release: release.clone(),
        environment: key.environment.clone(),
        data: key.data.clone(),
        step: Step::Promote,
        from: seen.current.clone(),
        to: candidate.clone(),
        seal: seen.seal.clone(),
        until: now.checked_add(LEASE).unwrap_or(now),
    }))
}

/// The next step of the way back. Nothing holds it up but another way back.
///
/// # Errors
/// There is nothing to go back to, or readers see what this ledger did not publish.
pub fn roll_back(
    history: &History,
    key: &Key,
    target: &Target,
    seen: &Seen,
    now: Timestamp,
) -> Result<Next, Vec<Diagnostic>> {
    let now = clock(history, now)?;
    let empty = Data::default();
    let data = history.data(&key.environment, &key.data).unwrap_or(&empty);
    if let Some(open) = &data.open {
        let back = open.step == Step::Rollback;
        let ours = back && !matches!(target, Target::Version(version) if *version != open.to);
        if let Some(event) = came_to_an_end(key, open, seen) {
            let happened = matches!(event, Event::DataMoved { .. });
            return Ok(Next::Settle(event, ours && happened));
        }
        return match (back, ours) {
            (true, true) => Ok(Next::Set(open.clone())),
            (true, false) if now < open.until => Err(vec![busy(key, open)]),
            (true, false) => Ok(Next::Settle(given_up(key, open, "another one took its place"), false)),
            // Readers never saw it, so they need nothing else; unless another version was asked for.
            (false, _) => {
                let event = given_up(key, open, "it was taken back before readers saw it");
                Ok(Next::Settle(event, !matches!(target, Target::Version(_))))
            }
        };
    }
    let current = data.current();
    let none = || {
        vec![refusal(
            "release-data-no-good",
            format!(
                "{} of {}: no version was published before that was not taken back",
                key.data, key.environment
            ),
            "publish a version that is good",
        )]
    };
    let to = match target {
        Target::Before => data.last_good(None),
        Target::BeforeRelease(release) => match current.and_then(|current| current.release.as_ref()) {
            Some(of) if of == release => data.last_good(Some(release)),
            _ => return Ok(Next::Done),
        },
        Target::Version(version) => match current {
            Some(current) if current.version == *version => return Ok(Next::Done),
            _ => data.versions.iter().rev().find(|one| one.version == *version),
        },
    };
    let (Some(to), Some(current)) = (to, current) else {
        return Err(none());
    };
    if seen.current.as_ref() != Some(&current.version) {
        return Err(vec![refusal(
            "release-data-overtaken",
            format!(
                "{}: readers see {}, and {} is what was published; someone else published in between",
                key.data,
                seen.current.as_deref().unwrap_or("nothing"),
                current.version
            ),
            "find who published it; set what readers see by hand, and publish here from then on",
        )]);
    }
    let Some(release) = &current.release else {
        return Err(none());
    };
    Ok(Next::Begin(Event::DataMoving {
        release: release.clone(),
        environment: key.environment.clone(),
        data: key.data.clone(),
        step: Step::Rollback,
        from: Some(current.version.clone()),
        to: to.version.clone(),
        seal: to.seal.clone(),
        until: now.checked_add(LEASE).unwrap_or(now),
    }))
}

/// The end of what was begun, when the place shows it: it happened, or others changed what readers see.
fn came_to_an_end(key: &Key, open: &OpenMove, seen: &Seen) -> Option<Event> {
    if seen.current.as_ref() == Some(&open.to) {
        return Some(moved(key, open));
    }
    (seen.current != open.from).then(|| {
        let now = seen.current.as_deref().unwrap_or("nothing");
        given_up(
            key,
            open,
            &format!("readers see {now}: someone else published in between"),
        )
    })
}

/// What says that it happened.
#[must_use]
pub fn moved(key: &Key, open: &OpenMove) -> Event {
    Event::DataMoved {
        release: open.release.clone(),
        environment: key.environment.clone(),
        data: key.data.clone(),
        step: open.step,
        from: open.from.clone(),
        to: open.to.clone(),
        seal: open.seal.clone(),
        intent: open.sequence,
    }
}

/// What says that it was given up.
#[must_use]
pub fn given_up(key: &Key, open: &OpenMove, why: &str) -> Event {
    Event::DataAbandoned {
        environment: key.environment.clone(),
        data: key.data.clone(),
        intent: open.sequence,
        why: why.to_owned(),
    }
}

fn busy(key: &Key, open: &OpenMove) -> Diagnostic {
    refusal(
        "release-data-busy",
        format!(
            "{} of {}: {} brings readers {}, until {} at most",
            key.data, key.environment, open.by, open.to, open.until
        ),
        "wait for its end; when it died, give its command again, which goes on where it stopped",
    )
}

fn nothing(key: &Key) -> Diagnostic {
    unknown(
        "release-data-branch",
        format!(
            "{} of {}: no run wrote anything that could be published",
            key.data, key.environment
        ),
        "run the release, then publish what it wrote",
    )
}
