//! What comes next in a run, from its record alone. Pure: the same record, facts and time give the same decision.
//!
//! An action is done only after its step's whole plan stands in the record, and the plan in the record is what is done, also by a later command.
//! So a run that was killed between any two lines goes on where it was, and an action whose end was not written down is done again, which does no harm
//! ([`Action`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::action::Action;
use super::book::{Does, Read, Runbook, Step};
use super::case::{Case, Facts, Held, Seen, Unknown};
use super::record::{Ending, Entry, Record, Verdict};

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Read these, and decide again with them.
    Read(&'static [Read]),
    /// Append this to the record, forget the facts, and decide again.
    Write(Entry),
    /// Ask whether the plan of this step may be done. The answer is an entry.
    Ask(&'static str),
    /// Do this action, append how it went, and decide again.
    Do {
        step: &'static str,
        number: usize,
        action: Action,
    },
    /// Look again a little later.
    Wait { step: &'static str, says: String },
    /// A person has to do what the step says.
    Paused(&'static str),
    /// Nothing is left.
    End(Ending),
}

/// What comes next.
#[must_use]
pub fn next(book: &'static Runbook, record: &Record, facts: Option<&Facts>, now: Timestamp) -> Decision {
    if let Some((ending, _)) = record.ending() {
        return Decision::End(ending);
    }
    if let Some(end) = after_check(record, now) {
        return end;
    }
    let branch = record.branch();
    for step in book.steps {
        let progress = record.progress(step.name);
        if progress.skipped {
            continue;
        }
        let belongs = step.only.is_empty() || branch.is_some_and(|branch| step.only.contains(&branch));
        if !belongs {
            // Before its branch is known a step of a branch cannot come.
            return Decision::Write(Entry::Skipped {
                time: now,
                step: step.name.to_owned(),
                says: format!("for {} only", step.only.join(", ")),
            });
        }
        let is_done = match step.does {
            Does::Check(_) => progress.checked,
            Does::Act { .. } => progress
                .plan
                .is_some_and(|plan| progress.agreed && progress.done.len() == plan.changes.len()),
            Does::Verify { .. } => progress.verified,
            Does::Pause => progress.continued,
        };
        if !is_done {
            return at(step, record, facts, now);
        }
    }
    let says = match record.is_dry() {
        true => "a dry run: nothing was changed".to_owned(),
        false => last_words(book, record),
    };
    ended(Ending::Resolved, says, now)
}

/// The decision about the step at hand.
fn at(step: &'static Step, record: &Record, facts: Option<&Facts>, now: Timestamp) -> Decision {
    let progress = record.progress(step.name);
    let name = || step.name.to_owned();
    if let (Does::Act { .. }, Some(plan)) = (step.does, progress.plan) {
        if !progress.agreed {
            return Decision::Ask(step.name);
        }
        let next = plan
            .changes
            .iter()
            .enumerate()
            .find(|(number, _)| !progress.done.contains(number));
        return match next {
            Some((number, change)) => Decision::Do {
                step: step.name,
                number,
                action: change.action.clone(),
            },
            None => Decision::End(Ending::Failed),
        };
    }
    if let Does::Pause = step.does {
        if record.is_dry() {
            return skipped(step, "a dry run waits for no one", now);
        }
        return match progress.paused {
            true => Decision::Paused(step.name),
            false => Decision::Write(Entry::Paused {
                time: now,
                step: name(),
            }),
        };
    }
    if record.is_dry()
        && let Does::Verify { .. } = step.does
    {
        return skipped(step, "a dry run waits for nothing", now);
    }
    let Some(facts) = facts else {
        return Decision::Read(step.reads);
    };
    let Some((id, _, input)) = record.opening() else {
        return Decision::End(Ending::Failed);
    };
    let kept = record.kept();
    let opened = record.opened().unwrap_or(now);
    let case = Case {
        input,
        facts,
        kept: &kept,
        record: id,
        opened,
        decided: record.decided().unwrap_or(opened),
        lines: record,
        now,
    };
    match step.does {
        Does::Check(look) => checked(step, look(&case), now),
        Does::Act { plan, .. } => match plan(&case) {
            Ok(plan) if plan.changes.is_empty() => skipped(step, &plan.blast, now),
            Ok(plan) => Decision::Write(Entry::Intended {
                time: now,
                step: name(),
                plan,
            }),
            Err(Unknown(why)) => ended(Ending::CannotTell, format!("{}: {why}", step.name), now),
        },
        Does::Verify { holds, within } => {
            let within = input.count("within").unwrap_or(i64::from(within));
            let began = record.step_began().unwrap_or(now);
            let is_late = now.duration_since(began) > SignedDuration::from_secs(within);
            let says = match holds(&case) {
                Ok(Held::Yes(says)) => {
                    return Decision::Write(Entry::Verified {
                        time: now,
                        step: name(),
                        says,
                    });
                }
                Ok(Held::Never(says)) => return ended(Ending::Unresolved, format!("{}: {says}", step.name), now),
                Ok(Held::NotYet(says)) | Err(Unknown(says)) => says,
            };
            match is_late {
                true => ended(
                    Ending::Unresolved,
                    format!("{}: not within {within} s: {says}", step.name),
                    now,
                ),
                false => Decision::Wait { step: step.name, says },
            }
        }
        Does::Pause => Decision::Paused(step.name),
    }
}

/// The end that follows from a check that does not let the run go on.
fn after_check(record: &Record, now: Timestamp) -> Option<Decision> {
    let of_matter = |entry: &&Entry| !matches!(entry, Entry::Resumed { .. });
    let Entry::Checked {
        step, verdict, says, ..
    } = record.entries.iter().rev().find(of_matter)?
    else {
        return None;
    };
    let ending = match verdict {
        Verdict::Goes => return None,
        Verdict::Nothing => Ending::NothingToDo,
        Verdict::Other => Ending::OtherRunbook,
        // A later command looks again.
        Verdict::Unknown if matches!(record.entries.last(), Some(Entry::Resumed { .. })) => return None,
        Verdict::Unknown => Ending::CannotTell,
    };
    Some(ended(ending, format!("{step}: {says}"), now))
}

fn checked(step: &'static Step, seen: Result<Seen, Unknown>, now: Timestamp) -> Decision {
    let (verdict, says, branch, kept) = match seen {
        Ok(Seen::Go { says, branch, kept }) => (Verdict::Goes, says, branch, kept),
        Ok(Seen::Nothing(says)) => (Verdict::Nothing, says, None, BTreeMap::new()),
        Ok(Seen::Other { runbook, says }) => {
            let says = format!("{says}; `stoke runbook show {runbook}`");
            (Verdict::Other, says, None, BTreeMap::new())
        }
        Err(Unknown(says)) => (Verdict::Unknown, says, None, BTreeMap::new()),
    };
    Decision::Write(Entry::Checked {
        time: now,
        step: step.name.to_owned(),
        verdict,
        says,
        branch: branch.map(str::to_owned),
        kept,
    })
}

fn skipped(step: &Step, says: &str, now: Timestamp) -> Decision {
    Decision::Write(Entry::Skipped {
        time: now,
        step: step.name.to_owned(),
        says: says.to_owned(),
    })
}

fn ended(ending: Ending, says: String, now: Timestamp) -> Decision {
    Decision::Write(Entry::Ended {
        time: now,
        ending,
        says,
    })
}

/// What the last verified step said.
fn last_words(book: &Runbook, record: &Record) -> String {
    let said = record.entries.iter().rev().find_map(|entry| match entry {
        Entry::Verified { says, .. } => Some(says.clone()),
        _ => None,
    });
    said.unwrap_or_else(|| format!("all steps of {} are done", book.name))
}

/// What is to be undone next: the last action that was done, has a way back and was not undone.
///
/// `None` when nothing is left.
#[must_use]
pub fn undo(book: &'static Runbook, record: &Record) -> Option<(&'static str, usize, Action)> {
    book.steps.iter().rev().find_map(|step| {
        let progress = record.progress(step.name);
        let plan = progress.plan?;
        let left = progress
            .done
            .iter()
            .rev()
            .filter(|number| !progress.undone.contains(number));
        left.filter_map(|number| {
            let way_back = plan.changes.get(*number)?.undo.clone()?;
            Some((step.name, *number, way_back))
        })
        .next()
    })
}

#[cfg(test)]
#[path = "engine/tests.rs"]
mod tests;
