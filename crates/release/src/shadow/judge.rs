//! The verdict, from what was seen of both runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Evidence, Severity};
use stoke_model::units::people;

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// All outputs are equal.
    Same,
    /// They differ by no more than was allowed.
    WithinTolerance,
    /// Something is lost, changed, added, missing or written elsewhere, or it takes too long.
    Worse,
    CannotTell,
}

impl Conclusion {
    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Conclusion::Same => "same",
            Conclusion::WithinTolerance => "different within the tolerance",
            Conclusion::Worse => "worse",
            Conclusion::CannotTell => "cannot tell",
        }
    }

    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Conclusion::Same | Conclusion::WithinTolerance)
    }
}

/// What was seen of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Spark's id of the application; empty when it never began.
    #[serde(default)]
    pub application: String,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// From the start of the driver to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<i64>,
    /// Cores that were reserved, times seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_seconds: Option<i64>,
    /// Memory that was reserved, times seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gib_seconds: Option<i64>,
    /// What it cost, where prices were given: an amount of the table's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Requests to the store.
    pub reads: u64,
    pub writes: u64,
    /// Writes and deletions that the store refused, as `PutObject s3://…`.
    pub refused_writes: BTreeSet<String>,
    /// Reads of what is not among the inputs, likewise.
    pub refused_reads: BTreeSet<String>,
    /// Inputs that were another object by then.
    pub changed: BTreeSet<String>,
    /// Writes that landed where they must not.
    pub strays: BTreeSet<String>,
    /// Why the log of requests is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_broken: Option<String>,
    /// Digest of the log of its requests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
}

/// What a run did at an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub objects: u64,
    pub bytes: u64,
    /// Objects from before that it deleted.
    pub deleted: u64,
}

impl Written {
    fn is_nothing(&self) -> bool {
        self.objects == 0 && self.deleted == 0
    }
}

/// What a comparison of an output came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state", rename_all_fields = "camelCase")]
pub enum Compared {
    Read {
        equal: bool,
        /// Values differ, and by no more than was allowed.
        within_tolerance: bool,
        old_rows: u64,
        new_rows: u64,
        /// What differs, in lines.
        #[serde(default)]
        lines: Vec<String>,
        /// All that `stoke quality diff` says.
        #[serde(default)]
        difference: Value,
    },
    /// It could not be read to its end.
    Unread { why: String },
    /// It was not compared, as a run did not come to its end.
    NotCompared,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub place: String,
    pub old: Written,
    pub new: Written,
    pub compared: Compared,
}

/// What else is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// How much longer it may take, in percent.
    pub slower: Option<f64>,
    /// How many more core-seconds it may reserve, in percent.
    pub dearer: Option<f64>,
    /// Whether outputs without a row on both sides are equal.
    pub empty: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub old: Side,
    pub new: Side,
    /// Inputs that are not what they were before, as `s3://… (replaced)`.
    pub changed: Vec<String>,
    pub outputs: Vec<Output>,
    pub limits: Limits,
}

/// The verdict, and what stands behind it.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub said: Conclusion,
    pub reasons: Vec<Diagnostic>,
}

fn reason(code: &'static str, message: String, fix: &str) -> Diagnostic {
    Diagnostic::new(Severity::Error, code, message).with_fix(fix)
}

/// Some names, and how many more there are.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = names.take(SHOWN).map(String::as_str).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What follows from the facts; the first group of reasons that speaks decides: writes elsewhere, what makes a comparison worthless, what came out.
#[must_use]
pub fn judge(facts: &Facts) -> Judgement {
    let mut reasons = Vec::new();
    elsewhere(facts, &mut reasons);
    let wrote_elsewhere = !reasons.is_empty();
    let before = reasons.len();
    ground(facts, &mut reasons);
    let shaky = reasons.len() > before;
    if !shaky {
        outcome(facts, &mut reasons);
    }
    let said = if wrote_elsewhere {
        Conclusion::Worse
    } else if shaky {
        Conclusion::CannotTell
    } else if reasons.iter().any(|reason| !reason.cannot_tell) {
        Conclusion::Worse
    } else if !reasons.is_empty() || facts.outputs.is_empty() {
        Conclusion::CannotTell
    } else if facts.outputs.iter().any(|output| {
        matches!(
            output.compared,
            Compared::Read {
                within_tolerance: true,
                ..
            }
        )
    }) {
        Conclusion::WithinTolerance
    } else {
        Conclusion::Same
    };
    Judgement { said, reasons }
}

/// Writes of the new release where it must not write.
fn elsewhere(facts: &Facts, reasons: &mut Vec<Diagnostic>) {
    let new = &facts.new;
    if !new.refused_writes.is_empty() {
        reasons.push(reason(
            "release-shadow-elsewhere",
            format!(
                "the new release writes outside of its outputs, and the store refused it: {}",
                some(new.refused_writes.iter())
            ),
            "name the place with --writes when it is an output; else take the write out of the release",
        ));
    }
    let strays: BTreeSet<String> = facts.old.strays.union(&new.strays).cloned().collect();
    if !strays.is_empty() {
        reasons.push(reason(
            "release-shadow-stray",
            format!(
                "the access log has writes that were not kept apart: {}",
                some(strays.iter())
            ),
            "look at these objects at once, and report it: the store must not let that happen",
        ));
    }
}

/// What makes a comparison worthless, whatever it says.
fn ground(facts: &Facts, reasons: &mut Vec<Diagnostic>) {
    let seen = facts.old.changed.union(&facts.new.changed);
    let seen = seen.filter(|object| !facts.changed.iter().any(|changed| changed.starts_with(object.as_str())));
    let changed: Vec<String> = facts.changed.iter().chain(seen).cloned().collect();
    if !changed.is_empty() {
        reasons.push(
            reason(
                "release-shadow-input",
                format!(
                    "inputs changed while the releases ran, so both did not read the same: {}",
                    some(changed.iter())
                ),
                "give the command again when no one writes there, or name a copy that stays",
            )
            .unknown(),
        );
    }
    for (name, side) in [("old", &facts.old), ("new", &facts.new)] {
        if let Some(why) = &side.log_broken {
            reasons.push(
                reason(
                    "release-shadow-log",
                    format!("the access log of the {name} release could not be written: {why}"),
                    "free some space in the home, and give the command again",
                )
                .unknown(),
            );
        }
        let undeclared: Vec<&String> = side
            .refused_reads
            .iter()
            .filter(|read| !is_on_the_way(read, &side.refused_writes))
            .collect();
        if !undeclared.is_empty() {
            reasons.push(
                reason(
                    "release-shadow-undeclared",
                    format!(
                        "the {name} release reads what is not pinned, and the store refused it: {}",
                        some(undeclared.into_iter())
                    ),
                    "name the place with --reads",
                )
                .unknown(),
            );
        }
    }
    if !facts.old.refused_writes.is_empty() {
        reasons.push(
            reason(
                "release-shadow-baseline",
                format!(
                    "the old release writes outside of the outputs that are named: {}",
                    some(facts.old.refused_writes.iter())
                ),
                "name all places that the releases write with --writes",
            )
            .unknown(),
        );
    } else if let Some(why) = &facts.old.failed {
        reasons.push(
            reason(
                "release-shadow-baseline",
                format!("the old release failed, so there is nothing to compare with: {why}"),
                "compare with a release that runs on these inputs",
            )
            .unknown(),
        );
    }
}

/// Whether a read is a look at where one of these writes goes, or at a directory above.
fn is_on_the_way(read: &str, writes: &BTreeSet<String>) -> bool {
    let object = |text: &str| {
        text.split_once(' ')
            .map_or_else(String::new, |(_, object)| object.to_owned())
    };
    let looked_at = object(read);
    writes.iter().any(|write| {
        let written = object(write);
        written
            .strip_prefix(&looked_at)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn outcome(facts: &Facts, reasons: &mut Vec<Diagnostic>) {
    if let Some(why) = &facts.new.failed {
        reasons.push(reason(
            "release-shadow-failed",
            format!("the new release failed where the old one completes: {why}"),
            "repair what its log says, and create a release of it",
        ));
        return;
    }
    for output in &facts.outputs {
        at_output(output, facts.limits, reasons);
    }
    let limits = [
        (
            "time",
            facts.limits.slower,
            facts.old.milliseconds,
            facts.new.milliseconds,
            true,
        ),
        (
            "core-seconds",
            facts.limits.dearer,
            facts.old.core_seconds,
            facts.new.core_seconds,
            false,
        ),
    ];
    for (what, limit, old, new, is_time) in limits {
        let Some(limit) = limit else { continue };
        let (Some(old), Some(new)) = (old, new) else {
            reasons.push(
                reason(
                    "release-shadow-slower",
                    format!("how much {what} the releases took is not known, and a limit is set"),
                    "leave the limit out, or let both write their event logs",
                )
                .unknown(),
            );
            continue;
        };
        let more = (new - old) as f64 * 100.0 / old.max(1) as f64;
        if more > limit {
            let shown = |value: i64| match is_time {
                true => people::duration(u64::try_from(value).unwrap_or(0)),
                false => format!("{value} core-seconds"),
            };
            reasons.push(reason(
                "release-shadow-slower",
                format!(
                    "the new release took {}, {more:.0} % more than {}; {limit} % are allowed",
                    shown(new),
                    shown(old)
                ),
                "see why in the comparison of both runs, or allow more",
            ));
        }
    }
}

fn at_output(output: &Output, limits: Limits, reasons: &mut Vec<Diagnostic>) {
    let place = &output.place;
    if output.old.is_nothing() && output.new.is_nothing() {
        reasons.push(
            reason(
                "release-shadow-empty",
                format!("{place}: neither release wrote anything there, so it shows nothing"),
                "name the place that they write with --writes",
            )
            .unknown(),
        );
        return;
    }
    if output.new.is_nothing() {
        reasons.push(reason(
            "release-shadow-nothing",
            format!(
                "{place}: the new release wrote nothing there, the old one {}",
                people::counted(output.old.objects, "object")
            ),
            "look for why in its log; what stands there from before is not its output",
        ));
        return;
    }
    match &output.compared {
        Compared::NotCompared => reasons.push(
            reason(
                "release-shadow-unread",
                format!("{place}: it was not compared"),
                "give the command again",
            )
            .unknown(),
        ),
        Compared::Unread { why } => reasons.push(
            reason(
                "release-shadow-unread",
                format!("{place}: what the releases wrote cannot be compared: {why}"),
                "write it as Parquet, CSV, JSON lines, Delta or Iceberg; what is not read never passes",
            )
            .unknown(),
        ),
        Compared::Read {
            equal: true,
            old_rows: 0,
            new_rows: 0,
            ..
        } if !limits.empty => reasons.push(
            reason(
                "release-shadow-empty",
                format!("{place}: no rows on both sides, so it shows nothing"),
                "take inputs that lead to rows, or say with --allow-empty that none is right",
            )
            .unknown(),
        ),
        Compared::Read { equal: true, .. } => {}
        Compared::Read {
            equal: false,
            old_rows,
            new_rows,
            lines,
            ..
        } => reasons.push(
            reason(
                "release-shadow-data",
                format!("{place}: the new release writes other data: {new_rows} rows, the old one {old_rows}"),
                "repair the release, or say what may differ with --tolerance, --ignore or --nondeterministic",
            )
            .with_evidence(
                lines
                    .iter()
                    .map(|line| Evidence::new(place.clone(), line.clone()))
                    .collect(),
            ),
        ),
    }
}
