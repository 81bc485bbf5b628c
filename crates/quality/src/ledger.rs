//! How the contracts of a place stand: what `--history` kept of their runs, read for people.
//!
//! A place is a directory or what a store holds below a name; the histories are all files below it that end with `.jsonl`. A file is read again only
//! when it has changed. What cannot be read is shown as that: a contract whose newest record cannot be read holds for no one.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stoke_diagnostics::Severity;
use stoke_storage::Entry;

use crate::data::Storage;
use crate::history::{ENDING, contract_name};
use crate::outcome::{CheckOutcome, Outcome};
use crate::report::{Freshness, Verdict};

/// Bytes of a file that is read.
const MOST: u64 = 64 << 20;
/// Lines of a file that cannot be read and are named.
const NAMED: usize = 20;
/// Days that verdicts are counted by.
const DAYS: usize = 90;
/// How long a verdict on other data than the last counts that no later run made good.
const OTHERS: SignedDuration = SignedDuration::from_hours(72);

/// The contracts of a place, as of the last look at it.
#[derive(Debug)]
pub struct Ledger {
    storage: Storage,
    /// One look at a time.
    looking: Mutex<()>,
    shelf: Mutex<Arc<Shelf>>,
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Shelf {
    /// By id.
    pub contracts: BTreeMap<String, Arc<Series>>,
    /// Why the place could not be looked at; `contracts` are those of an earlier look then.
    pub trouble: Option<String>,
}

impl Shelf {
    /// Whether a look has found the same files, unchanged.
    fn is_as(&self, other: &Shelf) -> bool {
        self.trouble == other.trouble
            && self.contracts.len() == other.contracts.len()
            && self
                .contracts
                .iter()
                .zip(&other.contracts)
                .all(|(one, other)| one.0 == other.0 && Arc::ptr_eq(one.1, other.1))
    }
}

/// The runs that are kept of one contract.
#[derive(Debug, Default)]
pub struct Series {
    /// Its file below the place, without the ending: `default/orders`.
    pub id: String,
    /// Name of the contract.
    pub name: String,
    /// The directory of its file below the place; of applications their namespace.
    pub folder: String,
    /// The oldest first.
    pub runs: Vec<Run>,
    pub damage: Damage,
    /// Why the file as a whole cannot be read.
    pub unreadable: Option<String>,
    stamp: Option<Entry>,
}

/// Lines of a file that cannot be read, or contradict themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    pub lines: usize,
    /// The last of them, the newest first.
    pub named: Vec<DamagedLine>,
    /// Whether the newest line is one of them: then how the contract stands is not known.
    pub newest: bool,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedLine {
    /// From 1.
    pub line: usize,
    pub why: String,
}

/// A run, as its record has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub at: Timestamp,
    /// Of which data.
    pub place: String,
    pub rows: Option<u64>,
    pub passed: bool,
    pub score: Option<f64>,
    /// None in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// How a contract stands, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// The data were as it says.
    Holds,
    /// They were, and by now the latest value that is known of is older than it allows.
    Stale,
    /// They were not, or it could not be determined.
    Broken,
    /// What is kept cannot be read.
    Unknown,
}

/// A contract and how it stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub id: String,
    pub name: String,
    pub folder: String,
    pub standing: Standing,
    /// In one line, without values of the data but what a reason names.
    pub why: String,
    /// Since when it stands so, as far as is kept.
    pub since: Option<Timestamp>,
    /// Verdicts that are kept.
    pub verdicts: usize,
    /// Of them those that failed.
    pub failed: usize,
    pub damage: Damage,
    /// The last run.
    pub last: Option<Run>,
    /// Until when the data are fresh enough by every check of freshness, as the last run found them.
    pub fresh_until: Option<Timestamp>,
    /// Other data whose last verdict failed within three days.
    pub others: Vec<Run>,
}

/// The contracts of a place.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub place: String,
    /// Why the place could not be looked at.
    pub trouble: Option<String>,
    /// Those that need someone first; then by id.
    pub contracts: Vec<Summary>,
    /// Up to 90 days, the oldest first, the last one that with the newest verdict.
    pub days: Vec<Day>,
}

/// The verdicts of a day of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    pub day: Date,
    pub verdicts: usize,
    /// Of them those that failed.
    pub failed: usize,
}

/// One contract with its runs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    #[serde(flatten)]
    pub summary: Summary,
    /// The newest first.
    pub runs: Vec<Run>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Of a place; nothing is read yet.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            looking: Mutex::default(),
            shelf: Mutex::default(),
        }
    }

    /// The place, for people.
    pub fn place(&self) -> String {
        self.storage.place()
    }

    /// What the last look found; the same as long as looks find nothing else.
    pub fn shelf(&self) -> Arc<Shelf> {
        lock(&self.shelf).clone()
    }

    /// Looks at the place, and reads what has changed. It blocks. What cannot be read is on the shelf as that.
    pub fn look(&self) {
        let _alone = lock(&self.looking);
        let before = self.shelf();
        let shelf = match self.storage.files() {
            Ok(files) => Shelf {
                contracts: files
                    .iter()
                    .filter_map(|file| Some((id_of(&file.path)?, file)))
                    .map(|(id, file)| {
                        let known = before.contracts.get(&id);
                        let known = known.filter(|series| series.stamp.as_ref() == Some(file));
                        let series = known.cloned().unwrap_or_else(|| Arc::new(self.read(&id, file)));
                        (id, series)
                    })
                    .collect(),
                trouble: None,
            },
            Err(error) => Shelf {
                contracts: before.contracts.clone(),
                trouble: Some(error.to_string()),
            },
        };
        if !shelf.is_as(&before) {
            *lock(&self.shelf) = Arc::new(shelf);
        }
    }

    fn read(&self, id: &str, file: &Entry) -> Series {
        let (folder, name) = id.rsplit_once('/').unwrap_or(("", id));
        let mut series = Series {
            id: id.to_owned(),
            name: contract_name(name),
            folder: folder.to_owned(),
            stamp: Some(file.clone()),
            ..Series::default()
        };
        if file.size > MOST {
            series.unreadable = Some(format!(
                "it has {} MiB, and up to {} MiB are read",
                file.size >> 20,
                MOST >> 20
            ));
            return series;
        }
        // As it is now, which may be newer than the listing: then the next look finds that it has changed.
        match self.storage.content(&file.path) {
            Ok(content) => series.take(&content.unwrap_or_default()),
            Err(error) => {
                series.unreadable = Some(error.to_string());
                // It may be readable the next time.
                series.stamp = None;
            }
        }
        series
    }

    /// How all contracts stand at a moment.
    pub fn overview(&self, now: Timestamp) -> Overview {
        let shelf = self.shelf();
        let mut contracts: Vec<Summary> = shelf.contracts.values().map(|series| series.summary(now)).collect();
        contracts.sort_by(|one, other| other.standing.cmp(&one.standing).then_with(|| one.id.cmp(&other.id)));
        Overview {
            place: self.place(),
            trouble: shelf.trouble.clone(),
            contracts,
            days: days(shelf.contracts.values().flat_map(|series| &series.runs)),
        }
    }

    /// Those that do not hold, the worst first.
    pub fn in_need(&self, now: Timestamp) -> Vec<Summary> {
        let shelf = self.shelf();
        let of = |series: &Arc<Series>| {
            let others = series.others(now);
            let standing = series.standing(&others, now);
            (standing != Standing::Holds).then(|| series.stands(standing, others, now))
        };
        let mut all: Vec<Summary> = shelf.contracts.values().filter_map(of).collect();
        all.sort_by(|one, other| other.standing.cmp(&one.standing).then_with(|| one.id.cmp(&other.id)));
        all
    }
}

/// Verdicts by day, up to [`DAYS`] of them; days without one are there between those that have some.
fn days<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<Day> {
    let mut counts: BTreeMap<Date, (usize, usize)> = BTreeMap::new();
    for run in runs {
        let (verdicts, failed) = counts.entry(run.at.to_zoned(TimeZone::UTC).date()).or_default();
        *verdicts += 1;
        *failed += usize::from(!run.passed);
    }
    let Some((newest, _)) = counts.last_key_value() else {
        return Vec::new();
    };
    let back = newest.series(-jiff::Span::new().days(1)).take(DAYS);
    let first = counts.first_key_value().map(|(first, _)| *first);
    let mut days: Vec<Day> = back
        .take_while(|day| Some(*day) >= first)
        .map(|day| {
            let (verdicts, failed) = counts.get(&day).copied().unwrap_or_default();
            Day { day, verdicts, failed }
        })
        .collect();
    days.reverse();
    days
}

/// The id of a history by the path of its file; none for other files.
fn id_of(path: &str) -> Option<String> {
    let id = path.strip_suffix(ENDING)?;
    let name = id.rsplit('/').next().unwrap_or(id);
    (!name.is_empty() && !name.starts_with('.')).then(|| id.to_owned())
}

impl Series {
    fn take(&mut self, bytes: &[u8]) {
        let lines = bytes.split(|byte| *byte == b'\n').enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let read = serde_json::from_slice::<Run>(line).map_err(|error| error.to_string());
            match read.and_then(consistent) {
                Ok(run) => {
                    self.damage.newest = false;
                    self.runs.push(run);
                }
                Err(why) => {
                    self.damage.newest = true;
                    self.damage.lines += 1;
                    self.damage.named.insert(0, DamagedLine { line: number + 1, why });
                    self.damage.named.truncate(NAMED);
                }
            }
        }
        if let Some(outcome) = self.runs.last().and_then(|run| run.outcome.as_ref()) {
            self.name.clone_from(&outcome.contract);
        }
    }

    /// The last run that can be read.
    pub fn last(&self) -> Option<&Run> {
        self.runs.last()
    }

    fn standing(&self, others: &[&Run], now: Timestamp) -> Standing {
        match self.last() {
            Some(last) if self.unreadable.is_none() && !self.damage.newest => {
                if !last.passed || !others.is_empty() {
                    Standing::Broken
                } else if last.is_stale(now) {
                    Standing::Stale
                } else {
                    Standing::Holds
                }
            }
            _ => Standing::Unknown,
        }
    }

    /// Of each other data than the last run's the last verdict, where it failed not long ago.
    fn others(&self, now: Timestamp) -> Vec<&Run> {
        let Some(last) = self.last() else { return Vec::new() };
        let mut seen = HashSet::from([last.place.as_str()]);
        let recent = self
            .runs
            .iter()
            .rev()
            .take_while(|run| now.duration_since(run.at) <= OTHERS);
        let newest = recent.filter(|run| seen.insert(&run.place));
        newest.filter(|run| !run.passed).collect()
    }

    fn since(&self, standing: Standing, others: &[&Run]) -> Option<Timestamp> {
        let last = self.last()?;
        match standing {
            Standing::Unknown => None,
            Standing::Stale => last.fresh_until(),
            Standing::Broken if last.passed => others.iter().map(|run| run.at).min(),
            Standing::Holds | Standing::Broken => {
                let same = self.runs.iter().rev().filter(|run| run.place == last.place);
                same.take_while(|run| run.passed == last.passed)
                    .map(|run| run.at)
                    .last()
            }
        }
    }

    fn why(&self, standing: Standing, others: &[&Run], now: Timestamp) -> String {
        if let Some(why) = &self.unreadable {
            return why.clone();
        }
        if let (true, Some(DamagedLine { line, why })) = (self.damage.newest, self.damage.named.first()) {
            return format!("line {line}, the newest, cannot be read: {why}");
        }
        let Some(last) = self.last() else {
            return "no verdict is in its file".to_owned();
        };
        match standing {
            Standing::Broken if last.passed => {
                let first = others
                    .first()
                    .map_or_else(String::new, |run| format!("{}: {}", run.place, run.told()));
                match others.len() {
                    0 | 1 => first,
                    more => format!("{first}; and {} more", more - 1),
                }
            }
            Standing::Stale => {
                let stale: Vec<String> = last
                    .freshness()
                    .filter(|(_, freshness)| freshness.is_stale(now))
                    .map(|(check, freshness)| {
                        format!(
                            "{}: the latest value is of {}, and may be {} s old",
                            check.id, freshness.latest, freshness.max_age
                        )
                    })
                    .collect();
                stale.join("; ")
            }
            _ => last.told(),
        }
    }

    /// How it stands.
    pub fn summary(&self, now: Timestamp) -> Summary {
        let others = self.others(now);
        let standing = self.standing(&others, now);
        self.stands(standing, others, now)
    }

    fn stands(&self, standing: Standing, others: Vec<&Run>, now: Timestamp) -> Summary {
        Summary {
            id: self.id.clone(),
            name: self.name.clone(),
            folder: self.folder.clone(),
            standing,
            why: self.why(standing, &others, now),
            since: self.since(standing, &others),
            verdicts: self.runs.len(),
            failed: self.runs.iter().filter(|run| !run.passed).count(),
            damage: self.damage.clone(),
            last: self.last().cloned(),
            fresh_until: self.last().and_then(Run::fresh_until),
            others: others.into_iter().cloned().collect(),
        }
    }

    /// How it stands, with its runs.
    pub fn detail(&self, now: Timestamp) -> Detail {
        Detail {
            summary: self.summary(now),
            runs: self.runs.iter().rev().cloned().collect(),
        }
    }
}

/// A record that says it passed, and has a check that failed it, says nothing.
fn consistent(run: Run) -> Result<Run, String> {
    let failed = run
        .outcome
        .iter()
        .flat_map(|outcome| &outcome.checks)
        .find(|check| check.fails());
    match failed {
        Some(check) if run.passed => Err(format!("it says that it passed, and that {} did not", check.id)),
        _ => Ok(run),
    }
}

impl Run {
    /// Checks of freshness that count: those that could be determined, are no warnings and are not waived.
    pub fn freshness(&self) -> impl Iterator<Item = (&CheckOutcome, &Freshness)> {
        let checks = self.outcome.iter().flat_map(|outcome| &outcome.checks);
        let counts = |check: &&CheckOutcome| check.severity == Severity::Error && check.verdict != Verdict::Waived;
        checks
            .filter(counts)
            .filter_map(|check| Some((check, check.freshness.as_ref()?)))
    }

    /// Until when all of them hold without newer data.
    pub fn fresh_until(&self) -> Option<Timestamp> {
        self.freshness().filter_map(|(_, freshness)| freshness.until()).min()
    }

    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.fresh_until().is_some_and(|until| now > until)
    }

    /// In one line, as its report says it.
    pub fn told(&self) -> String {
        match (&self.outcome, self.passed) {
            (
                Some(Outcome {
                    quarantine_refused: Some(refused),
                    ..
                }),
                _,
            ) => refused.clone(),
            (Some(outcome), _) => outcome.summary.clone(),
            (None, true) => "as the contract says; its checks were not kept".to_owned(),
            (None, false) => "not as the contract says; its checks were not kept".to_owned(),
        }
    }
}

impl Standing {
    /// Its name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Stale => "stale",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests;
