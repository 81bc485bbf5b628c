//! A run of a runbook, from one decision to the next.

use std::time::Duration;

use jiff::Timestamp;
use stoke_observe::runbook::engine;
use stoke_observe::runbook::{Decision, Ending, Entry, Facts, Input, Plan, Runbook};

use super::journal::Journal;
use super::outside::{Outside, Person};
use crate::error::{LaptopError, Outcome};
use crate::home::Home;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Done(Ending),
    /// A person has to do what this step says.
    Paused(&'static str),
}

/// Who runs it, and where.
#[derive(Clone, Debug)]
pub struct Circumstances {
    pub cluster: String,
    pub who: String,
    pub version: String,
    pub dry_run: bool,
}

/// Opens a record. Its id names the runbook and the time, and some of its characters are by chance.
///
/// # Errors
/// It cannot be written.
pub fn start(book: &Runbook, home: &Home, input: Input, around: Circumstances) -> Outcome<Journal> {
    let now = Timestamp::now();
    let second = now.strftime("%Y%m%d%H%M%S");
    let chance = (now.subsec_nanosecond() / 1000).unsigned_abs() ^ std::process::id();
    let id = format!("{}-{second}-{:05x}", book.name, chance & 0xf_ffff);
    let opening = Entry::Opened {
        time: now,
        record: id.clone(),
        runbook: book.name.to_owned(),
        input,
        cluster: around.cluster,
        who: around.who,
        version: around.version,
        dry_run: around.dry_run,
    };
    match around.dry_run {
        true => Ok(Journal::nowhere(opening)),
        false => Journal::create(home, &id, opening),
    }
}

/// Goes on with a record until it ends or pauses.
///
/// # Errors
/// The record cannot be written, a right is missing, or there is no one to ask.
pub async fn go_on(
    book: &'static Runbook,
    journal: &mut Journal,
    outside: &dyn Outside,
    person: &mut dyn Person,
    poll: Duration,
) -> Outcome<Ended> {
    let Some((id, _, input)) = journal.record().opening() else {
        return Err(LaptopError::input(
            "stoke::runbook::record",
            "a record without its first line",
        ));
    };
    let (id, input) = (id.to_owned(), input.clone());
    let is_dry = journal.record().is_dry();
    let mut facts: Option<Facts> = None;
    loop {
        let decision = engine::next(book, journal.record(), facts.as_ref(), Timestamp::now());
        match decision {
            Decision::Read(reads) => {
                let mut read = Facts::new();
                for what in reads {
                    read.insert(*what, outside.read(*what, &input, &id).await);
                }
                facts = Some(read);
            }
            Decision::Write(entry) => {
                write(journal, person, entry)?;
                facts = None;
            }
            Decision::Ask(name) => {
                let step = book.step(name);
                let plan = journal.record().progress(name).plan.cloned().unwrap_or_default();
                let missing = missing(outside, &plan).await?;
                if !missing.is_empty() {
                    let says = format!("{name}: the right to {} is missing", missing.join(", "));
                    ended(journal, person, Ending::Failed, says.clone())?;
                    return Err(LaptopError::environment("stoke::runbook::rights", says)
                        .fix("ask who may grant it; then `stoke runbook resume` goes on here"));
                }
                let by = match (is_dry, step) {
                    (true, _) => Some("a dry run".to_owned()),
                    (false, Some(step)) => person.agrees(step, &plan)?,
                    (false, None) => None,
                };
                match by {
                    Some(by) => write(
                        journal,
                        person,
                        Entry::Agreed {
                            time: Timestamp::now(),
                            step: name.to_owned(),
                            by,
                        },
                    )?,
                    None => ended(journal, person, Ending::Declined, format!("{name}: not agreed to"))?,
                }
            }
            Decision::Do { step, number, action } => match outside.act(&action, &id, is_dry).await {
                Ok(deed) => write(
                    journal,
                    person,
                    Entry::Did {
                        time: Timestamp::now(),
                        step: step.to_owned(),
                        action: number,
                        already: deed.already,
                        says: deed.says,
                    },
                )?,
                Err(why) => ended(
                    journal,
                    person,
                    Ending::Failed,
                    format!("{step}: {}: {why}", action.words()),
                )?,
            },
            Decision::Wait { step, says } => {
                person.waits(step, &says);
                tokio::time::sleep(poll).await;
                facts = None;
            }
            Decision::Paused(step) => return Ok(Ended::Paused(step)),
            Decision::End(ending) => return Ok(Ended::Done(ending)),
        }
    }
}

fn write(journal: &mut Journal, person: &mut dyn Person, entry: Entry) -> Outcome<()> {
    journal.append(entry.clone())?;
    person.sees(&entry);
    Ok(())
}

fn ended(journal: &mut Journal, person: &mut dyn Person, ending: Ending, says: String) -> Outcome<()> {
    let time = Timestamp::now();
    write(journal, person, Entry::Ended { time, ending, says })
}

/// Rights that a plan needs and that are not there, each once.
async fn missing(outside: &dyn Outside, plan: &Plan) -> Outcome<Vec<String>> {
    let mut asked = Vec::new();
    let mut missing = Vec::new();
    for right in plan.changes.iter().flat_map(|change| change.action.rights()) {
        if asked.contains(&right) {
            continue;
        }
        let may = outside.may(&right).await;
        if !may.map_err(|why| LaptopError::environment("stoke::runbook::rights", format!("{right}: {why}")))? {
            missing.push(right.to_string());
        }
        asked.push(right);
    }
    Ok(missing)
}

/// Writes that another command goes on, and, where a person was waited for, that it was done.
///
/// # Errors
/// It cannot be written.
pub fn resume(journal: &mut Journal, person: &mut dyn Person, who: &str) -> Outcome<()> {
    let time = Timestamp::now();
    let paused = journal.record().paused_at().map(str::to_owned);
    let who = who.to_owned();
    write(journal, person, Entry::Resumed { time, who })?;
    match paused {
        Some(step) => write(journal, person, Entry::Continued { time, step }),
        None => Ok(()),
    }
}

/// Undoes what a record did, the last first. What someone changed since stays.
///
/// # Errors
/// The record cannot be written, or an action cannot be undone now.
pub async fn undo(
    book: &'static Runbook,
    journal: &mut Journal,
    outside: &dyn Outside,
    person: &mut dyn Person,
) -> Outcome<usize> {
    let Some((id, ..)) = journal.record().opening() else {
        return Err(LaptopError::input(
            "stoke::runbook::record",
            "a record without its first line",
        ));
    };
    let id = id.to_owned();
    let mut count = 0;
    while let Some((step, number, way_back)) = engine::undo(book, journal.record()) {
        let deed = outside.act(&way_back, &id, false).await.map_err(|why| {
            LaptopError::environment("stoke::runbook::undo", format!("{step}: {}: {why}", way_back.words()))
                .fix("repair what is in the way; the same command goes on")
        })?;
        let entry = Entry::Undid {
            time: Timestamp::now(),
            step: step.to_owned(),
            action: number,
            says: deed.says,
        };
        write(journal, person, entry)?;
        count += 1;
    }
    ended(journal, person, Ending::Undone, format!("{count} undone"))?;
    Ok(count)
}
