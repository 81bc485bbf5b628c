//! Earlier runs, and whether a number is what it usually is.
//!
//! One file a contract at a place, a JSON record a line. A number is unusual when it is farther than the threshold from the median of the earlier
//! runs of the same season, in robust standard deviations: 1.4826 times the median of the distances from the median, and at least a hundredth of the
//! median, so that a number that never changed may change a little. Source of the rule: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993),
//! who also give the usual threshold of 3.5.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::contract::Season;
use crate::data::{Storage, Unwritten};
use crate::distribution::{Method, of_categories};
use crate::error::QualityError;
use crate::outcome::Outcome;
use crate::report::Verdict;

/// Records that are kept.
const KEPT: usize = 5_000;
/// What the name of a history ends with.
pub const ENDING: &str = ".jsonl";

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Of which data.
    pub place: String,
    /// Rows, when all could be read.
    pub rows: Option<u64>,
    /// Numbers that checks found, by their ids.
    pub numbers: BTreeMap<String, f64>,
    /// Percentiles of columns whose distribution is checked, by the ids of the checks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub percentiles: BTreeMap<String, Vec<f64>>,
    /// Shares of the most frequent texts of columns of categories, by the ids of the checks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, BTreeMap<String, f64>>,
    /// Whether the data were as the contract says.
    pub passed: bool,
    pub score: Option<f64>,
    /// What people are shown of it; the first versions kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// The runs of a contract.
#[derive(Clone, Debug)]
pub struct History {
    storage: Storage,
    file: String,
    records: Vec<Record>,
}

impl History {
    /// Reads the runs of a contract at a place; none when there is no such file yet.
    ///
    /// # Errors
    /// When the place is a directory that is missing, or a record cannot be read.
    pub fn open(storage: &Storage, contract: &str) -> Result<Self, QualityError> {
        let mut history = Self {
            storage: storage.clone(),
            file: format!("{}{ENDING}", file_name(contract)),
            records: Vec::new(),
        };
        if storage.local_path().is_some_and(|directory| !directory.is_dir()) {
            return Err(history.failed("the directory does not exist".into(), "make it, or name the right one"));
        }
        let content = storage.content(&history.file);
        let content = content.map_err(|error| history.failed(error.to_string(), "check that it may be read"))?;
        history.records = history.read(content.as_deref())?;
        Ok(history)
    }

    /// The runs, the oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Adds a run to those that are there by now. The file is replaced as a whole, so that it is never half written.
    ///
    /// # Errors
    /// When it cannot be read again or written.
    pub fn add(&mut self, record: Record) -> Result<(), QualityError> {
        let mut kept = Vec::new();
        let added = self.storage.update(&self.file, |before| -> Result<Vec<u8>, Problem> {
            // Another run may have added its own since.
            kept = self.read(before.as_deref())?;
            if let Some(last) = kept.last_mut().and_then(|last| last.outcome.as_mut()) {
                last.shorten();
            }
            kept.push(record.clone());
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
            let mut text = Vec::new();
            for record in &kept {
                serde_json::to_writer(&mut text, record).map_err(|error| Problem::Unwritten(error.to_string()))?;
                text.push(b'\n');
            }
            Ok(text)
        });
        added.map_err(|problem| match problem {
            Problem::Unread(error) => error,
            Problem::Unwritten(cause) => self.failed(cause, "check that the place may be written"),
        })?;
        self.records = kept;
        Ok(())
    }

    fn failed(&self, cause: String, fix: &str) -> QualityError {
        QualityError::History {
            place: format!("{}/{}", self.storage.place(), self.file),
            cause,
            fix: fix.to_owned(),
        }
    }

    fn read(&self, content: Option<&[u8]>) -> Result<Vec<Record>, QualityError> {
        let mut records = Vec::new();
        let lines = content.unwrap_or_default().split(|byte| *byte == b'\n').enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let record = serde_json::from_slice(line)
                .map_err(|error| self.failed(format!("line {}: {error}", number + 1), "repair or remove the line"))?;
            records.push(record);
        }
        Ok(records)
    }

    /// Earlier values of a check's number, of the season of a moment.
    pub fn values(&self, check: &str, season: Season, now: Timestamp) -> Vec<f64> {
        let same = self.earlier(season, now);
        same.filter_map(|record| record.numbers.get(check).copied()).collect()
    }

    /// Earlier percentiles of a check's column, of the season of a moment.
    pub fn percentiles(&self, check: &str, season: Season, now: Timestamp) -> Vec<&[f64]> {
        let same = self.earlier(season, now);
        same.filter_map(|record| record.percentiles.get(check).map(Vec::as_slice))
            .collect()
    }

    /// Earlier shares of the texts of a check's column, of the season of a moment.
    pub fn categories(&self, check: &str, season: Season, now: Timestamp) -> Vec<&BTreeMap<String, f64>> {
        let same = self.earlier(season, now);
        same.filter_map(|record| record.categories.get(check)).collect()
    }

    /// Earlier runs of the season of a moment.
    fn earlier(&self, season: Season, now: Timestamp) -> impl Iterator<Item = &Record> {
        let phase = move |at: Timestamp| {
            let at = at.to_zoned(TimeZone::UTC);
            match season {
                Season::None => 0,
                Season::Hour => i16::from(at.hour()),
                Season::Weekday => i16::from(at.weekday().to_monday_zero_offset()),
            }
        };
        self.records
            .iter()
            .filter(move |record| record.at < now && phase(record.at) == phase(now))
    }
}

/// Why a run was not added.
enum Problem {
    Unread(QualityError),
    Unwritten(String),
}

impl From<QualityError> for Problem {
    fn from(error: QualityError) -> Self {
        Self::Unread(error)
    }
}

impl From<Unwritten> for Problem {
    fn from(Unwritten(cause): Unwritten) -> Self {
        Self::Unwritten(cause)
    }
}

/// The name of the contract that a file is of, without its ending; what is not written as [`file_name`] does stands as it is.
pub(crate) fn contract_name(file: &str) -> String {
    let mut name = String::new();
    let mut rest = file;
    while let Some((before, after)) = rest.split_once('%') {
        name.push_str(before);
        let code = after.split_once('%');
        let letter = code.and_then(|(code, after)| Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, after)));
        match letter {
            Some((letter, after)) => {
                name.push(letter);
                rest = after;
            }
            None => {
                name.push('%');
                rest = after;
            }
        }
    }
    name + rest
}

/// Letters, digits, dots, dashes and underscores as they are; others by their code, so that two names never meet.
fn file_name(contract: &str) -> String {
    let mut name = String::new();
    for character in contract.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => name.push(character),
            '.' if !name.is_empty() => name.push(character),
            other => name.push_str(&format!("%{:x}%", u32::from(other))),
        }
    }
    name
}

/// Why earlier runs are too few to compare with, when they are.
fn too_few(known: usize, at_least: usize) -> Option<String> {
    (known < at_least)
        .then(|| format!("{known} of the {at_least} earlier runs of this season that are needed are known"))
}

/// Whether numbers lie as usual, how far they are from that, and why in words.
pub fn judge_distribution(
    method: Method,
    now: &[f64],
    earlier: &[&[f64]],
    threshold: f64,
    at_least: usize,
) -> (Verdict, Option<f64>, String) {
    if let Some(reason) = too_few(earlier.len(), at_least) {
        return (Verdict::Learning, None, reason);
    }
    judge_distance(method, method.distance(earlier, now), earlier.len(), threshold)
}

/// The same of texts, by their shares and the population stability index.
pub fn judge_categories(
    now: &BTreeMap<String, f64>,
    earlier: &[&BTreeMap<String, f64>],
    threshold: f64,
    at_least: usize,
) -> (Verdict, Option<f64>, String) {
    if let Some(reason) = too_few(earlier.len(), at_least) {
        return (Verdict::Learning, None, reason);
    }
    let distance = of_categories(earlier, now);
    judge_distance(Method::Psi, distance, earlier.len(), threshold)
}

fn judge_distance(method: Method, distance: f64, earlier: usize, threshold: f64) -> (Verdict, Option<f64>, String) {
    let verdict = if distance <= threshold {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    let reason = format!("the {method} to {earlier} earlier runs is {distance:.4}, up to {threshold} is usual");
    (verdict, Some(distance), reason)
}

/// Whether a number is as usual, and why in words.
pub fn judge(number: f64, earlier: &[f64], threshold: f64, at_least: usize) -> (Verdict, String) {
    if let Some(reason) = too_few(earlier.len(), at_least) {
        return (Verdict::Learning, reason);
    }
    let usual = median(earlier);
    let distances: Vec<f64> = earlier.iter().map(|value| (value - usual).abs()).collect();
    let spread = (1.4826 * median(&distances)).max(usual.abs() / 100.0);
    let distance = (number - usual).abs();
    let fine = distance <= threshold * spread;
    let reason = format!(
        "the median of {} earlier runs is {usual}, from {} to {} is usual",
        earlier.len(),
        usual - threshold * spread,
        usual + threshold * spread
    );
    (if fine { Verdict::Pass } else { Verdict::Fail }, reason)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_usual_fails() {
        let earlier = [100.0, 104.0, 98.0, 101.0, 97.0, 103.0];
        assert_eq!(judge(108.0, &earlier, 3.5, 5).0, Verdict::Pass);
        assert_eq!(judge(150.0, &earlier, 3.5, 5).0, Verdict::Fail);
        assert_eq!(judge(0.0, &earlier, 3.5, 5).0, Verdict::Fail);
        assert_eq!(judge(0.0, &earlier, 3.5, 7).0, Verdict::Learning);
        assert_eq!(judge(101.0, &[100.0; 9], 3.5, 5).0, Verdict::Pass);
        assert_eq!(judge(110.0, &[100.0; 9], 3.5, 5).0, Verdict::Fail);
        assert_eq!(judge(f64::NAN, &earlier, 3.5, 5).0, Verdict::Fail);
    }

    #[test]
    fn runs_are_kept_and_found_by_season() {
        let directory = tempfile::tempdir().unwrap();
        let mut history = History::open(&Storage::local(directory.path()), "orders/eu").unwrap();
        // A week has its Sunday low.
        let first: Timestamp = "2026-10-04T06:00:00Z".parse().unwrap();
        for day in 0..42 {
            let at = first + jiff::Span::new().hours(24 * day);
            let rows = if day % 7 == 0 { 100.0 } else { 1000.0 };
            let record = Record {
                at,
                place: "p".into(),
                rows: Some(rows as u64),
                numbers: BTreeMap::from([("usual-rows".to_owned(), rows)]),
                percentiles: BTreeMap::from([("amount.distribution".to_owned(), vec![0.0, rows])]),
                categories: BTreeMap::new(),
                passed: true,
                score: Some(100.0),
                outcome: None,
            };
            history.add(record).unwrap();
        }
        let history = History::open(&Storage::local(directory.path()), "orders/eu").unwrap();
        let sunday = first + jiff::Span::new().hours(24 * 42);
        let usual = |at, season| judge(100.0, &history.values("usual-rows", season, at), 3.5, 5).0;
        assert_eq!(usual(sunday, Season::Weekday), Verdict::Pass);
        assert_eq!(usual(sunday, Season::None), Verdict::Fail);
        assert_eq!(
            usual(sunday + jiff::Span::new().hours(24), Season::Weekday),
            Verdict::Fail
        );
        assert_eq!(history.values("other", Season::None, sunday), Vec::<f64>::new());
        // The same column lies otherwise on Sundays.
        let lies = |now: &[f64], season| {
            let earlier = history.percentiles("amount.distribution", season, sunday);
            judge_distribution(Method::Ks, now, &earlier, 0.1, 5).0
        };
        assert_eq!(lies(&[0.0, 100.0], Season::Weekday), Verdict::Pass);
        assert_eq!(lies(&[0.0, 1000.0], Season::Weekday), Verdict::Fail);
        assert_eq!(lies(&[0.0, 100.0], Season::None), Verdict::Fail);
        assert_eq!(
            judge_distribution(Method::Psi, &[0.0], &[], 0.2, 1).0,
            Verdict::Learning
        );
    }

    #[test]
    fn runs_that_end_at_once_are_all_kept() {
        let directory = tempfile::tempdir().unwrap();
        let record = |number: i64| Record {
            at: Timestamp::from_second(number).unwrap(),
            place: "p".into(),
            rows: None,
            numbers: BTreeMap::new(),
            percentiles: BTreeMap::new(),
            categories: BTreeMap::new(),
            passed: true,
            score: None,
            outcome: None,
        };
        std::thread::scope(|scope| {
            for number in 0..8 {
                let mut history = History::open(&Storage::local(directory.path()), "orders").unwrap();
                scope.spawn(move || history.add(record(number)).unwrap());
            }
        });
        assert_eq!(
            History::open(&Storage::local(directory.path()), "orders")
                .unwrap()
                .records()
                .len(),
            8
        );
    }

    #[test]
    fn names_of_files_lead_back_to_contracts() {
        for name in ["orders/eu", "a b", "..", "заказы", "%", "50%%", "a.b-c_d"] {
            assert_eq!(contract_name(&file_name(name)), name);
        }
        assert_eq!(contract_name("50%"), "50%");
    }

    #[test]
    fn a_missing_directory_or_a_broken_line_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let missing = History::open(&Storage::local(directory.path().join("no")), "orders").unwrap_err();
        assert_eq!(missing.code(), "stoke::quality::history");
        std::fs::write(directory.path().join("orders.jsonl"), "{}\n").unwrap();
        assert!(
            History::open(&Storage::local(directory.path()), "orders")
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
    }
}
