//! The record of one run: what was seen, meant, agreed to and done, line by line. Written before an action and after it; never changed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::Plan;
use super::case::Input;

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Entry {
    /// The first line.
    Opened {
        time: Timestamp,
        record: String,
        runbook: String,
        input: Input,
        /// Which cluster, as the command names it.
        cluster: String,
        who: String,
        /// Version of the program.
        version: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
    },
    /// A later command goes on with it.
    Resumed { time: Timestamp, who: String },
    Checked {
        time: Timestamp,
        step: String,
        verdict: Verdict,
        says: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        kept: BTreeMap<String, Value>,
    },
    /// What a step will do, before anyone is asked.
    Intended { time: Timestamp, step: String, plan: Plan },
    /// Someone agreed.
    Agreed { time: Timestamp, step: String, by: String },
    /// One action was done, or was found done.
    Did {
        time: Timestamp,
        step: String,
        action: usize,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        already: bool,
        says: String,
    },
    Verified {
        time: Timestamp,
        step: String,
        says: String,
    },
    /// It belongs to another branch, or nothing was to be done.
    Skipped {
        time: Timestamp,
        step: String,
        says: String,
    },
    /// A person has to do something.
    Paused { time: Timestamp, step: String },
    /// It was done.
    Continued { time: Timestamp, step: String },
    /// One action was undone, or was left for the reason that is said.
    Undid {
        time: Timestamp,
        step: String,
        action: usize,
        says: String,
    },
    Ended {
        time: Timestamp,
        ending: Ending,
        says: String,
    },
}

/// What a check decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Goes,
    Nothing,
    Other,
    Unknown,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// What was wrong is gone, and it was proved.
    Resolved,
    NothingToDo,
    /// Another runbook is the right one.
    OtherRunbook,
    /// Something could not be determined.
    CannotTell,
    /// What was waited for did not come.
    Unresolved,
    /// The person did not agree.
    Declined,
    /// An action was refused or failed.
    Failed,
    Undone,
}

impl Ending {
    /// Whether another command may go on with the run.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Ending::CannotTell | Ending::Unresolved | Ending::Declined | Ending::Failed
        )
    }

    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Ending::Resolved | Ending::NothingToDo | Ending::Undone)
    }

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Ending::Resolved => "resolved",
            Ending::NothingToDo => "nothing to do",
            Ending::OtherRunbook => "another runbook",
            Ending::CannotTell => "cannot tell",
            Ending::Unresolved => "not resolved",
            Ending::Declined => "declined",
            Ending::Failed => "failed",
            Ending::Undone => "undone",
        }
    }
}

impl Entry {
    /// When it was written.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Entry::Opened { time, .. }
            | Entry::Resumed { time, .. }
            | Entry::Checked { time, .. }
            | Entry::Intended { time, .. }
            | Entry::Agreed { time, .. }
            | Entry::Did { time, .. }
            | Entry::Verified { time, .. }
            | Entry::Skipped { time, .. }
            | Entry::Paused { time, .. }
            | Entry::Continued { time, .. }
            | Entry::Undid { time, .. }
            | Entry::Ended { time, .. } => *time,
        }
    }

    /// The step it is about.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Entry::Checked { step, .. }
            | Entry::Intended { step, .. }
            | Entry::Agreed { step, .. }
            | Entry::Did { step, .. }
            | Entry::Verified { step, .. }
            | Entry::Skipped { step, .. }
            | Entry::Paused { step, .. }
            | Entry::Continued { step, .. }
            | Entry::Undid { step, .. } => Some(step),
            Entry::Opened { .. } | Entry::Resumed { .. } | Entry::Ended { .. } => None,
        }
    }
}

/// What the lines say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub entries: Vec<Entry>,
}

/// How far a step is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress<'a> {
    pub checked: bool,
    pub plan: Option<&'a Plan>,
    pub agreed: bool,
    pub done: BTreeSet<usize>,
    pub undone: BTreeSet<usize>,
    pub verified: bool,
    pub skipped: bool,
    pub paused: bool,
    pub continued: bool,
}

impl Record {
    /// Reads the lines of a file. A last line that was cut off while it was written is left out.
    ///
    /// # Errors
    /// The number of a line that is not an entry.
    pub fn parse(text: &str) -> Result<Record, usize> {
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let lines = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let entries = lines.map(|(at, line)| serde_json::from_str(line).map_err(|_| at + 1));
        Ok(Record {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// The first line; none of a record that was never opened.
    #[must_use]
    pub fn opening(&self) -> Option<(&str, &str, &Input)> {
        match self.entries.first()? {
            Entry::Opened {
                record, runbook, input, ..
            } => Some((record, runbook, input)),
            _ => None,
        }
    }

    /// Whether nothing was to be changed.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        matches!(self.entries.first(), Some(Entry::Opened { dry_run: true, .. }))
    }

    /// When it was opened.
    #[must_use]
    pub fn opened(&self) -> Option<Timestamp> {
        self.entries.first().map(Entry::time)
    }

    /// When the last line was written.
    #[must_use]
    pub fn changed(&self) -> Option<Timestamp> {
        self.entries.last().map(Entry::time)
    }

    /// When the last change was decided; the opening before there was one. What follows from the change is not earlier.
    #[must_use]
    pub fn decided(&self) -> Option<Timestamp> {
        let intended = |entry: &&Entry| matches!(entry, Entry::Intended { .. });
        self.entries
            .iter()
            .rev()
            .find(intended)
            .map(Entry::time)
            .or(self.opened())
    }

    /// Whether an action of this step was done.
    #[must_use]
    pub fn did(&self, name: &str) -> bool {
        let is = |entry: &Entry| matches!(entry, Entry::Did { step, .. } if step == name);
        self.entries.iter().any(is)
    }

    /// How it ended; none while it goes on.
    #[must_use]
    pub fn ending(&self) -> Option<(Ending, &str)> {
        match self.entries.last()? {
            Entry::Ended { ending, says, .. } => Some((*ending, says)),
            _ => None,
        }
    }

    /// Whether it waits for a person.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let of_matter = |entry: &&Entry| !matches!(entry, Entry::Resumed { .. });
        matches!(self.entries.iter().rev().find(of_matter), Some(Entry::Paused { .. }))
    }

    /// The step that a person is waited for.
    #[must_use]
    pub fn paused_at(&self) -> Option<&str> {
        let step = self.entries.iter().rev().find_map(Entry::step);
        step.filter(|_| self.is_paused())
    }

    /// The branch that was taken last.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        let branch = |entry: &'_ Entry| match entry {
            Entry::Checked { branch, .. } => branch.is_some(),
            _ => false,
        };
        match self.entries.iter().rev().find(|entry| branch(entry))? {
            Entry::Checked { branch, .. } => branch.as_deref(),
            _ => None,
        }
    }

    /// What checks kept, later ones over earlier ones.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<String, Value> {
        let kept = |entry: &Entry| match entry {
            Entry::Checked { kept, .. } => kept.clone(),
            _ => BTreeMap::new(),
        };
        self.entries.iter().flat_map(kept).collect()
    }

    /// How far a step is. A check that could not tell is not made.
    #[must_use]
    pub fn progress(&self, step: &str) -> Progress<'_> {
        let mut progress = Progress::default();
        for entry in &self.entries {
            // What no one has agreed to is planned again by a later command: the world went on.
            if matches!(entry, Entry::Resumed { .. }) && !progress.agreed {
                progress.plan = None;
            }
            if entry.step() != Some(step) {
                continue;
            }
            match entry {
                Entry::Checked { verdict, .. } => progress.checked = *verdict != Verdict::Unknown,
                Entry::Intended { plan, .. } => progress.plan = Some(plan),
                Entry::Agreed { .. } => progress.agreed = true,
                Entry::Did { action, .. } => {
                    progress.done.insert(*action);
                }
                Entry::Undid { action, .. } => {
                    progress.undone.insert(*action);
                }
                Entry::Verified { .. } => progress.verified = true,
                Entry::Skipped { .. } => progress.skipped = true,
                Entry::Paused { .. } => progress.paused = true,
                Entry::Continued { .. } => progress.continued = true,
                Entry::Opened { .. } | Entry::Resumed { .. } | Entry::Ended { .. } => {}
            }
        }
        progress
    }

    /// When the step at hand was begun: the end of the one before, or the command that goes on.
    #[must_use]
    pub fn step_began(&self) -> Option<Timestamp> {
        self.changed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out_and_nonsense_is_named() {
        let entry = Entry::Paused {
            time: time(),
            step: "wait".into(),
        };
        let line = serde_json::to_string(&entry).unwrap();
        let record = Record::parse(&format!("{line}\n{line}\n{}", &line[..10])).unwrap();
        assert_eq!(record.entries.len(), 2);
        assert!(record.is_paused());
        assert_eq!(Record::parse(&format!("{line}\nnonsense\n")), Err(2));
        assert_eq!(Record::parse("").unwrap(), Record::default());
    }

    #[test]
    fn every_entry_is_read_as_it_was_written() {
        let entries = [
            Entry::Checked {
                time: time(),
                step: "a".into(),
                verdict: Verdict::Goes,
                says: "s".into(),
                branch: Some("b".into()),
                kept: BTreeMap::from([("k".into(), serde_json::json!({"x": null}))]),
            },
            Entry::Did {
                time: time(),
                step: "a".into(),
                action: 1,
                already: true,
                says: String::new(),
            },
            Entry::Ended {
                time: time(),
                ending: Ending::OtherRunbook,
                says: "x".into(),
            },
        ];
        for entry in entries {
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry, "{text}");
        }
    }
}
