//! A run: a contract and data in, a report out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use stoke_diagnostics::{Diagnostic, Place, Source};
use stoke_model::manifest::nearest;

use crate::contract::{Contract, Format, Kind, Severity, Waiver};
use crate::data::{CsvOptions, Dataset, FileFormat, OpenOptions, Storage};
use crate::engine::finish::{Finished, finish};
use crate::engine::keys::KeySet;
use crate::engine::plan::Plan;
use crate::engine::prior;
use crate::engine::reread::all_keys;
use crate::engine::scan::{Limits, scan};
use crate::error::QualityError;
use crate::history::{self, History, Record};
use crate::outcome::Outcome;
use crate::quarantine::{self, Separator};
use crate::report::{CheckResult, DataSummary, Report, Verdict};
use crate::sql;

/// Bytes of keys that stay in memory unless something else is said: half of what a check of many random ids may take.
const KEY_MEMORY: usize = 64 << 20;

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time of the run: freshness, seasons and waivers go by it.
    pub now: Timestamp,
    /// Threads; as many as there are processors when none.
    pub threads: Option<usize>,
    /// Bytes of keys of uniqueness that stay in memory; what is beyond goes to temporary files.
    pub key_memory: usize,
    /// How CSV is written. When none, its nulls are those of pandas for suites of Great Expectations, else the empty text.
    pub csv: Option<CsvOptions>,
    /// The format of the files, when their names do not tell.
    pub file_format: Option<FileFormat>,
    /// Waivers, besides those of the contract.
    pub waivers: Vec<Waiver>,
    /// The place of earlier runs; this run is added.
    pub history: Option<Storage>,
    /// Where rows are set aside.
    pub quarantine: Option<PathBuf>,
    /// Version of a Delta table, or snapshot, branch or tag of an Iceberg table; the current one when none.
    pub version: Option<String>,
    /// The metadata file of an Iceberg table, as its catalogue names it.
    pub metadata: Option<String>,
}

impl Options {
    /// At a time, with nothing else said.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            threads: None,
            key_memory: KEY_MEMORY,
            csv: None,
            file_format: None,
            waivers: Vec::new(),
            history: None,
            quarantine: None,
            version: None,
            metadata: None,
        }
    }
}

/// Checks data by a contract. It blocks, and reads on threads of its own.
///
/// What single checks cannot tell is in the report, rules in SQL among them; the verdict then fails.
///
/// # Errors
/// When there are no data, a waiver is of no check, or the history or quarantine cannot be used.
pub fn run(contract: &Contract, storage: &Storage, options: &Options) -> Result<Report, QualityError> {
    run_with(contract, storage, options, None)
}

/// Checks data by a contract as [`run()`] does, with something that answers rules in SQL. It is asked once, and only when there are any.
///
/// # Errors
/// As [`run()`].
pub fn run_with(
    contract: &Contract,
    storage: &Storage,
    options: &Options,
    runner: Option<&mut sql::Runner<'_>>,
) -> Result<Report, QualityError> {
    let waivers: Vec<&Waiver> = contract.waivers.iter().chain(&options.waivers).collect();
    check_waivers(contract, &waivers)?;
    let mut history = match &options.history {
        Some(place) => Some(History::open(place, &contract.name)?),
        None => None,
    };
    let open = OpenOptions {
        csv: options.csv.clone().unwrap_or_else(|| match contract.format {
            Format::GreatExpectations => CsvOptions::pandas(),
            Format::Odcs | Format::Short => CsvOptions::default(),
        }),
        types: contract.types.clone(),
        optional: contract.optional.clone(),
        format: options.file_format,
        version: options.version.clone(),
        metadata: options.metadata.clone(),
    };
    let dataset = Dataset::open(storage, &open)?;
    let known: Vec<_> = contract
        .checks
        .iter()
        .map(|check| keys_of(&check.kind, storage, contract, options))
        .collect();
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let limits = Limits {
        threads,
        key_memory: options.key_memory,
    };
    // What is measured against numbers of the same data takes these first.
    let resolved = prior::resolved(contract, &dataset, limits);
    let contract = resolved.as_ref().unwrap_or(contract);
    let plan = Plan::new(&dataset, contract, &known);
    let scanned = scan(&plan, limits);
    let rows = scanned.rows;
    let mut finished = finish(&plan, scanned, options.now);
    if let Some(runner) = runner {
        sql::ask(contract, &dataset, storage, &open.csv, runner, &mut finished);
    }
    for (one, check) in finished.iter_mut().zip(&contract.checks) {
        compare_with_earlier(one, &check.kind, history.as_ref(), options.now);
        waive(&mut one.result, &waivers, options.now);
    }
    let numbers: BTreeMap<String, f64> = finished
        .iter()
        .filter_map(|one| Some((one.result.id.clone(), one.number?)))
        .collect();
    let percentiles = finished
        .iter()
        .filter_map(|one| Some((one.result.id.clone(), one.percentiles.clone()?)))
        .collect();
    let categories = finished
        .iter()
        .filter_map(|one| Some((one.result.id.clone(), one.categories.clone()?)))
        .collect();
    let (quarantine, refused) = match &options.quarantine {
        None => (None, None),
        Some(directory) => match separators(&plan, &finished, rows) {
            Ok((separators, rows)) => (Some(quarantine::write(&plan, &separators, directory, rows)?), None),
            Err(reason) => (None, Some(reason)),
        },
    };
    let checks: Vec<CheckResult> = finished.into_iter().map(|one| one.result).collect();
    let (verdict, score) = Report::judge(&checks);
    let report = Report {
        contract: contract.name.clone(),
        format: contract.format,
        data: DataSummary {
            place: dataset.place.clone(),
            layout: dataset.layout,
            version: dataset.version,
            files: dataset.files.len(),
            bytes: dataset.bytes(),
            rows,
        },
        at: options.now,
        // Rows that were to be set aside and are not must not pass for checked ones.
        verdict: if refused.is_some() { Verdict::Fail } else { verdict },
        score,
        checks,
        quarantine,
        quarantine_refused: refused,
    };
    if let Some(history) = &mut history {
        history.add(Record {
            at: options.now,
            place: report.data.place.clone(),
            rows,
            numbers,
            percentiles,
            categories,
            passed: report.passed(),
            score,
            outcome: Some(Outcome::of(&report)),
        })?;
    }
    Ok(report)
}

fn check_waivers(contract: &Contract, waivers: &[&Waiver]) -> Result<(), QualityError> {
    let ids = || contract.checks.iter().map(|check| check.id.as_str());
    let complaints: Vec<Diagnostic> = waivers
        .iter()
        .filter(|waiver| ids().all(|id| id != waiver.check))
        .map(|waiver| {
            let place = Place {
                line: waiver.at.line,
                column: waiver.at.column,
                ..Place::default()
            };
            let source = Source::new(&waiver.at.file, "");
            let message = format!("the contract has no check `{}`", waiver.check);
            let complaint = Diagnostic::at(Severity::Error, "unknown-check", &source, place, "waivers", message);
            match nearest(&waiver.check, ids()) {
                Some(near) => complaint.with_fix(format!("did you mean `{near}`?")),
                None => complaint.with_fix("take an id from a report"),
            }
        })
        .collect();
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(QualityError::Contract(complaints))
    }
}

/// Keys of other data, for a check that refers to them.
fn keys_of(
    kind: &Kind,
    storage: &Storage,
    contract: &Contract,
    options: &Options,
) -> Option<Result<Arc<KeySet>, String>> {
    let Kind::Reference { data, columns } = kind else {
        return None;
    };
    let other = storage.other(data);
    let place = other.place();
    let open = OpenOptions {
        csv: options.csv.clone().unwrap_or_default(),
        format: options.file_format,
        ..OpenOptions::default()
    };
    let read = Dataset::open(&other, &open)
        .map_err(|error| error.to_string())
        .and_then(|dataset| {
            let keys = all_keys(&dataset, columns, contract.nan_is_null);
            keys.map_err(|reason| format!("the data referred to cannot be used: {reason}"))
        });
    Some(read.map(|(keys, classes)| Arc::new(KeySet::new(keys, classes, place))))
}

fn compare_with_earlier(one: &mut Finished, kind: &Kind, history: Option<&History>, now: Timestamp) {
    let (Kind::Usual {
        season,
        threshold,
        at_least,
        ..
    }
    | Kind::Distribution {
        season,
        threshold,
        at_least,
        ..
    }) = kind
    else {
        return;
    };
    if one.result.verdict == Verdict::CannotTell {
        return;
    }
    let id = &one.result.id;
    if let (Some(history), Some(lies), Kind::Distribution { method, .. }) = (history, &one.percentiles, kind) {
        let earlier = history.percentiles(id, *season, now);
        let (verdict, distance, reason) = history::judge_distribution(*method, lies, &earlier, *threshold, *at_least);
        one.result.verdict = verdict;
        one.result.observed = distance.map(Into::into);
        one.result.reason = Some(reason);
        return;
    }
    if let (Some(history), Some(shares)) = (history, &one.categories) {
        let earlier = history.categories(id, *season, now);
        let (verdict, distance, reason) = history::judge_categories(shares, &earlier, *threshold, *at_least);
        one.result.verdict = verdict;
        one.result.observed = distance.map(Into::into);
        one.result.reason = Some(reason);
        return;
    }
    let (Some(history), Some(number)) = (history, one.number) else {
        one.result.verdict = Verdict::CannotTell;
        one.result.reason = Some("no directory of earlier runs is given to compare with".into());
        return;
    };
    let earlier = history.values(id, *season, now);
    let (verdict, reason) = history::judge(number, &earlier, *threshold, *at_least);
    one.result.verdict = verdict;
    one.result.reason = Some(reason);
}

fn waive(result: &mut CheckResult, waivers: &[&Waiver], now: Timestamp) {
    if !matches!(result.verdict, Verdict::Fail | Verdict::CannotTell) {
        return;
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let own = waivers.iter().filter(|waiver| waiver.check == result.id);
    let Some(latest) = own.max_by_key(|waiver| waiver.until) else {
        return;
    };
    let Waiver { until, reason, by, .. } = latest;
    let note = if *until >= today {
        result.verdict = Verdict::Waived;
        format!("waived until {until} by {by}: {reason}")
    } else {
        format!("its waiver by {by} ended on {until}")
    };
    result.reason = Some(match result.reason.take() {
        Some(before) => format!("{before}; {note}"),
        None => note,
    });
}

/// The checks that set rows aside, and how many rows there are.
///
/// # Errors
/// When a check that should could not be determined.
fn separators<'a>(
    plan: &Plan<'_>,
    finished: &'a [Finished],
    rows: Option<u64>,
) -> Result<(Vec<Separator<'a>>, u64), String> {
    let rows = rows.ok_or("not all rows could be read, so none were set aside")?;
    let mut separators = Vec::new();
    for (check, one) in finished.iter().enumerate() {
        let of = &plan.contract.checks[check];
        let separates = quarantine::separates(&plan.tasks[check], &of.kind);
        if !separates || of.severity == Severity::Warning || one.result.verdict == Verdict::Waived {
            continue;
        }
        if one.result.verdict == Verdict::CannotTell {
            return Err(format!(
                "{} could not be determined, so rows could not be separated, and none were quarantined",
                of.id
            ));
        }
        separators.push(Separator {
            check,
            repeated: one.repeated.as_ref(),
        });
    }
    Ok((separators, rows))
}
