//! Earlier runs, and whether a number is what it usually is.
//!
//! One file a contract below a directory, a JSON record a line. A number is unusual when it is farther than the threshold from the median of the earlier
//! runs of the same season, in robust standard deviations: 1.4826 times the median of the distances from the median, and at least a hundredth of the
//! median, so that a number that never changed may change a little. Source of the rule: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993),
//! who also give the usual threshold of 3.5.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::contract::Season;
use crate::distribution::{Method, of_categories};
use crate::error::QualityError;
use crate::outcome::Outcome;
use crate::report::Verdict;

/// Records that are kept.
const KEPT: usize = 5_000;
/// What the name of a history ends with.
pub const ENDING: &str = ".jsonl";
/// File of the directory that who adds a record holds.
const LOCK: &str = ".lock";

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
    file: PathBuf,
    records: Vec<Record>,
}

impl History {
    /// Reads the runs of a contract below a directory; none when there is no such file yet.
    ///
    /// # Errors
    /// When the directory is missing, or a record cannot be read.
    pub fn open(directory: &Path, contract: &str) -> Result<Self, QualityError> {
        let file = directory.join(format!("{}{ENDING}", file_name(contract)));
        let failed = |cause: String, fix: &str| QualityError::History {
            place: file.display().to_string(),
            cause,
            fix: fix.to_owned(),
        };
        if !directory.is_dir() {
            return Err(failed(
                "the directory does not exist".into(),
                "make it, or name the right one",
            ));
        }
        let records = read(&file)?;
        Ok(Self { file, records })
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
        let unwritten = |error: std::io::Error| QualityError::History {
            place: self.file.display().to_string(),
            cause: error.to_string(),
            fix: "check that the directory may be written".into(),
        };
        let directory = self.file.parent().unwrap_or(Path::new("."));
        let _alone = locked(directory).map_err(unwritten)?;
        // Another run may have added its own since.
        self.records = read(&self.file)?;
        if let Some(last) = self.records.last_mut().and_then(|last| last.outcome.as_mut()) {
            last.shorten();
        }
        self.records.push(record);
        let surplus = self.records.len().saturating_sub(KEPT);
        self.records.drain(..surplus);
        self.write(directory).map_err(unwritten)
    }

    fn write(&self, directory: &Path) -> std::io::Result<()> {
        // As the user's mask says: others than who checks may be to read it.
        let readable = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(directory)?;
        for record in &self.records {
            let line = serde_json::to_string(record).map_err(std::io::Error::other)?;
            writeln!(file, "{line}")?;
        }
        file.as_file().sync_all()?;
        file.persist(&self.file).map_err(|error| error.error)?;
        Ok(())
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

/// The lock of a directory, as long as it is kept.
fn locked(directory: &Path) -> std::io::Result<File> {
    let path = directory.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(_) => File::create(&path)?,
    };
    file.lock()?;
    Ok(file)
}

fn read(file: &Path) -> Result<Vec<Record>, QualityError> {
    let failed = |cause: String, fix: &str| QualityError::History {
        place: file.display().to_string(),
        cause,
        fix: fix.to_owned(),
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error.to_string(), "check that it may be read")),
    };
    let mut records = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let record = serde_json::from_str(line);
        let record =
            record.map_err(|error| failed(format!("line {}: {error}", number + 1), "repair or remove the line"))?;
        records.push(record);
    }
    Ok(records)
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
        let mut history = History::open(directory.path(), "orders/eu").unwrap();
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
        let history = History::open(directory.path(), "orders/eu").unwrap();
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
                let mut history = History::open(directory.path(), "orders").unwrap();
                scope.spawn(move || history.add(record(number)).unwrap());
            }
        });
        assert_eq!(History::open(directory.path(), "orders").unwrap().records().len(), 8);
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
        let missing = History::open(&directory.path().join("no"), "orders").unwrap_err();
        assert_eq!(missing.code(), "stoke::quality::history");
        std::fs::write(directory.path().join("orders.jsonl"), "{}\n").unwrap();
        assert!(
            History::open(directory.path(), "orders")
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
    }
}
