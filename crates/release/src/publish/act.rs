//! The steps of a publication and of the way back, one after the other until nothing is left: each is decided by the ledger and the place as they are then, so a
//! command that was killed anywhere is given again and goes on.

use jiff::Timestamp;
use stoke_diagnostics::Diagnostic;

use super::decide::{self, Key, Next, Target};
use super::{Auditor, Change, Destination, Seen, refusal};
use crate::ledger::data::OpenMove;
use crate::ledger::keep::LedgerError;
use crate::ledger::{Entry, Event, Head, History, Ledger, Step, Verdict};

/// Steps of one command at most: others may be faster each time.
const STEPS: usize = 60;

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What readers see.
    pub version: Option<String>,
    /// What they saw before, if that changed.
    pub before: Option<String>,
    /// Whether this command changed anything that readers see, or wrote down that it was.
    pub changed: bool,
    /// What was given up before readers saw it.
    pub given_up: Option<String>,
    pub entries: Vec<Entry>,
}

/// Why it did not come to its end.
#[derive(Debug)]
pub enum Stopped {
    /// What speaks against it. What readers see was not changed.
    Refused(Vec<Diagnostic>),
    /// The place did not answer; the intent is open, and the command given again goes on.
    NotDone(Box<Diagnostic>),
    Ledger(LedgerError),
}

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Self {
        Stopped::Ledger(error)
    }
}

/// What a command is about.
pub struct Command<'a> {
    pub ledger: &'a Ledger,
    /// Through where the ledger must go.
    pub known: Option<&'a Head>,
    pub clock: &'a dyn Fn() -> Timestamp,
    pub key: Key,
}

/// Audits and publishes what the release that is in the environment wrote.
///
/// # Errors
/// See [`Stopped`].
pub async fn publish(
    command: &Command<'_>,
    wanted: Option<&str>,
    destination: &mut impl Destination,
    auditor: &mut impl Auditor,
) -> Result<Ended, Stopped> {
    let contract = auditor.contract();
    let mut work = Work::default();
    for _ in 0..STEPS {
        let mut entries = command.ledger.read(command.known).await?;
        let history = History::of(&entries);
        work.still_ours(&history, &command.key)?;
        let seen = destination
            .look()
            .await
            .map_err(|why| Stopped::NotDone(Box::new(why)))?;
        let now = (command.clock)();
        let next = decide::publish(&history, &command.key, None, wanted, &contract, &seen, now);
        let next = next.map_err(Stopped::Refused)?;
        let Next::Audit { version, seal } = next else {
            if let Some(ended) = work.step(command, next, &mut entries, &seen, destination).await? {
                return Ok(ended);
            }
            continue;
        };
        let audit = auditor.audit(&version).await;
        let audit = audit.map_err(|why| Stopped::Refused(vec![why]))?;
        let Some(release) = history
            .place(&command.key.environment)
            .and_then(|place| place.current())
        else {
            continue;
        };
        let event = Event::DataAudited {
            release: release.clone(),
            environment: command.key.environment.clone(),
            data: command.key.data.clone(),
            version: version.clone(),
            contract: contract.clone(),
            seal,
            verdict: audit.verdict,
            evidence: audit.evidence.clone(),
        };
        let written = command
            .ledger
            .record::<LedgerError>(command.known, |_| Ok(Some((event.clone(), (command.clock)()))));
        written.await?;
        if audit.verdict == Verdict::Fail {
            return Err(Stopped::Refused(vec![refusal(
                "release-data-audit",
                format!(
                    "{}: {version} is not as its contract says: {}",
                    command.key.data, audit.summary
                ),
                format!(
                    "repair what writes it, and run it again; the report is {}, and readers see what they saw",
                    audit.evidence
                ),
            )]));
        }
    }
    Err(LedgerError::Busy(command.ledger.url().to_owned()).into())
}

/// Takes back what readers see.
///
/// # Errors
/// See [`Stopped`].
pub async fn roll_back(
    command: &Command<'_>,
    target: &Target,
    destination: &mut impl Destination,
) -> Result<Ended, Stopped> {
    let mut work = Work::default();
    for _ in 0..STEPS {
        let mut entries = command.ledger.read(command.known).await?;
        let history = History::of(&entries);
        work.still_ours(&history, &command.key)?;
        let seen = destination
            .look()
            .await
            .map_err(|why| Stopped::NotDone(Box::new(why)))?;
        let next = decide::roll_back(&history, &command.key, target, &seen, (command.clock)());
        let next = next.map_err(Stopped::Refused)?;
        if let Next::Begin(Event::DataMoving { to, seal, .. }) = &next {
            let whole = destination.is_whole(to, seal.as_ref()).await;
            whole.map_err(|why| Stopped::Refused(vec![why]))?;
        }
        if let Some(ended) = work.step(command, next, &mut entries, &seen, destination).await? {
            return Ok(ended);
        }
    }
    Err(LedgerError::Busy(command.ledger.url().to_owned()).into())
}

/// What one command did so far.
#[derive(Default)]
struct Work {
    /// Its own intent.
    begun: Option<u64>,
    /// What others did to that.
    lost: Option<Diagnostic>,
    /// What readers saw before it.
    before: Option<String>,
    changed: bool,
}

impl Work {
    /// What this command began may have been given up by others, when its time was over: then they went on, and it does not.
    fn still_ours(&self, history: &History, key: &Key) -> Result<(), Stopped> {
        let data = history.data(&key.environment, &key.data);
        let (Some(begun), Some(data)) = (self.begun, data) else {
            return Ok(());
        };
        let open = data.open.as_ref().is_some_and(|open| open.sequence == begun);
        if open || data.has_ended(begun) {
            return Ok(());
        }
        Err(Stopped::Refused(vec![refusal(
            "release-data-overtaken",
            format!("{}: another command took the place of this one", key.data),
            "see what readers see with `stoke release published`; run the release on it again, and publish that",
        )]))
    }

    async fn step(
        &mut self,
        command: &Command<'_>,
        next: Next,
        entries: &mut Vec<Entry>,
        seen: &Seen,
        destination: &mut impl Destination,
    ) -> Result<Option<Ended>, Stopped> {
        let now = (command.clock)();
        match next {
            Next::Done => return Ok(Some(self.ended(seen, None, std::mem::take(entries)))),
            Next::Settle(event, all) => {
                let (mut given_up, mut moved) = (None, false);
                match &event {
                    Event::DataAbandoned { intent, why, data, .. } => {
                        given_up = Some(why.clone());
                        if self.begun == Some(*intent) {
                            self.lost = Some(refusal(
                                "release-data-overtaken",
                                format!("{data}: {why}"),
                                "look at what readers see now; run the release on it again, and publish that",
                            ));
                        }
                    }
                    Event::DataMoved { from, .. } => {
                        moved = true;
                        self.before.clone_from(from);
                    }
                    _ => {}
                }
                match command.ledger.add(entries, event, now).await {
                    Ok(_) => {}
                    Err(LedgerError::Taken(_)) if self.lost.is_none() => return Ok(None),
                    // Who was faster, or the next command, writes down what happened.
                    Err(LedgerError::Taken(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                self.changed |= moved;
                if let Some(lost) = self.lost.take() {
                    return Err(Stopped::Refused(vec![lost]));
                }
                if all {
                    return Ok(Some(self.ended(seen, given_up, std::mem::take(entries))));
                }
            }
            Next::Begin(event) => match command.ledger.add(entries, event, now).await {
                Ok(sequence) => self.begun = Some(sequence),
                Err(LedgerError::Taken(_)) => {}
                Err(error) => return Err(error.into()),
            },
            Next::Set(open) => {
                let change = change_of(&open);
                let done = destination.set(&change).await;
                let done = match done {
                    Ok(done) => done,
                    // It may have happened, or may the next time.
                    Err(why) if why.cannot_tell => return Err(Stopped::NotDone(Box::new(why))),
                    Err(why) => {
                        let event = decide::given_up(&command.key, &open, &why.message);
                        let written = command.ledger.record::<LedgerError>(command.known, |history| {
                            let known = history.data(&command.key.environment, &command.key.data);
                            let is_open = known
                                .and_then(|data| data.open.as_ref())
                                .is_some_and(|one| *one == open);
                            Ok(is_open.then(|| (event.clone(), (command.clock)())))
                        });
                        written.await?;
                        return Err(Stopped::Refused(vec![why]));
                    }
                };
                if done {
                    self.write_down(command, &open).await?;
                    self.changed = true;
                    self.before.clone_from(&open.from);
                    let entries = command.ledger.read(command.known).await?;
                    let mut ended = self.ended(seen, None, entries);
                    ended.version = Some(open.to.clone());
                    return Ok(Some(ended));
                }
                // It is this command's by now, which reports what comes of it.
                self.begun = Some(open.sequence);
            }
            Next::Audit { .. } => {}
        }
        Ok(None)
    }

    /// That it happened, also when the intent was given up meanwhile: readers see it.
    async fn write_down(&self, command: &Command<'_>, open: &OpenMove) -> Result<(), Stopped> {
        let key = &command.key;
        let written = command.ledger.record::<LedgerError>(command.known, |history| {
            let known = history.data(&key.environment, &key.data);
            let known = known.is_some_and(|data| data.is_known(open.sequence, &open.to));
            Ok((!known).then(|| (decide::moved(key, open), (command.clock)())))
        });
        written.await?;
        Ok(())
    }

    fn ended(&mut self, seen: &Seen, given_up: Option<String>, entries: Vec<Entry>) -> Ended {
        Ended {
            version: seen.current.clone(),
            before: self.before.take(),
            changed: self.changed,
            given_up,
            entries,
        }
    }
}

fn change_of(open: &OpenMove) -> Change {
    Change {
        release: open.release.clone(),
        step: open.step,
        from: open.from.clone(),
        to: open.to.clone(),
        seal: open.seal.clone(),
        intent: open.sequence,
    }
}

/// What a plan would do, without doing it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub step: Step,
    pub from: Option<String>,
    /// None: nothing is to be done.
    pub to: Option<String>,
    pub resumes: bool,
    /// Whether it would be audited first.
    pub audits: bool,
}

/// What a decision would do.
#[must_use]
pub fn planned(next: &Next, step: Step, seen: &Seen) -> Planned {
    let mut plan = Planned {
        step,
        from: seen.current.clone(),
        to: None,
        resumes: false,
        audits: false,
    };
    match next {
        Next::Done => {}
        Next::Audit { version, .. } => {
            plan.to = Some(version.clone());
            plan.audits = true;
        }
        Next::Begin(Event::DataMoving { to, .. }) => plan.to = Some(to.clone()),
        Next::Set(open) => {
            plan.to = Some(open.to.clone());
            plan.resumes = true;
        }
        Next::Begin(_) | Next::Settle(..) => plan.resumes = true,
    }
    plan
}
