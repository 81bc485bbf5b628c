//! Great Expectations itself beside ours: a matrix of expectations over generated data, verdict by verdict and count by count.
//!
//! By default what the libraries said of the first seed is replayed ([`record`]). `STOKE_TESTS=full` installs them into the target directory and asks them live; where that is
//! not possible the test is ignored with the reason. `STOKE_WRITE_RECORDS=1` beside it writes the records.

#[path = "gx/record.rs"]
mod record;

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stoke_diagnostics::{Source, has_errors};
use stoke_quality::{Options, Storage, Verdict, contract};
use stoke_testkit::{Tier, python, trial};

/// What the script needs from the Python package index.
const PACKAGES: [&str; 3] = ["great_expectations==1.24.1", "pandas==3.1.1", "pyarrow"];
/// The last of the older library, for Python 3.8 to 3.11.
const OLDER: [&str; 4] = ["great_expectations==0.18.22", "pandas==2.1.4", "numpy<2", "pyarrow<18"];

/// A name, what it needs, and how many seeds: each is some 3,970 cases and three minutes, most of them the library's.
const LIBRARIES: [(&str, &[&str], u64); 2] = [
    ("great-expectations", &PACKAGES, 3),
    ("great-expectations-older", &OLDER, 1),
];

/// A case and what the library says of it.
#[derive(Debug, Deserialize)]
struct Case {
    data: String,
    #[serde(rename = "type")]
    kind: String,
    kwargs: Map<String, Value>,
    /// The library does not take the arguments.
    refused: bool,
    success: bool,
    exception: Option<String>,
    element_count: Option<u64>,
    unexpected_count: Option<u64>,
    missing_count: Option<u64>,
    /// Whether the library is 0.18.
    #[serde(default)]
    older: bool,
}

pub fn all() -> Vec<Trial> {
    let of_libraries = LIBRARIES.into_iter().flat_map(|(name, packages, seeds)| {
        let recorded = trial(
            &format!("as_recorded_of_{name}"),
            Tier::Default,
            || Ok(()),
            move || compare_recorded(record::unpacked(name)?.path()),
        );
        let live = (1..=seeds).map(move |seed| {
            let python = move || python::environment(name, packages);
            let needs = move || python().map(|_| ());
            trial(&format!("as_{name}_{seed}"), Tier::Full, needs, move || {
                compare(name, &python()?, seed)
            })
        });
        live.chain([recorded])
    });
    let mut trials: Vec<Trial> = of_libraries.collect();
    trials.push(trial(
        "formats_of_time_as_python",
        Tier::Default,
        || Ok(()),
        compare_formats,
    ));
    trials
}

/// Formats of dates and times beside Python's own `strptime`.
fn compare_formats() -> Result<(), Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/gx/strptime.py");
    let output = Command::new("python3").arg(script).output()?;
    if !output.status.success() {
        return Err(Failed::from(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let mut wrong: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (format, text, taken): (String, String, bool) = serde_json::from_str(line)?;
        if contract::Strptime::new(&format)?.takes(&text) != taken {
            wrong.push(format!(
                "{format:?} {text:?}: Python {}",
                if taken { "takes it" } else { "does not" }
            ));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}

fn compare(name: &str, python: &Path, seed: u64) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/gx/oracle.py");
    let output = Command::new(python)
        .arg(script)
        .arg(directory.path())
        .arg(seed.to_string())
        .output()?;
    if !output.status.success() {
        return Err(Failed::from(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    if seed == 1 {
        record::compare(name, directory.path())?;
    }
    compare_recorded(directory.path())
}

fn compare_recorded(directory: &Path) -> Result<(), Failed> {
    let cases = std::fs::read_to_string(directory.join("cases.jsonl"))?;
    let cases: Vec<Case> = cases.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut wrong: Vec<String> = Vec::new();
    let (mut passed, mut failed, mut told) = (0, 0, 0);
    for case in &cases {
        for legacy in [false, true] {
            match one(case, directory, legacy) {
                Ok(Some(true)) => passed += 1,
                Ok(Some(false)) => failed += 1,
                Ok(None) => told += 1,
                Err(difference) => wrong.push(difference),
            }
        }
    }
    if passed < 100 || failed < 100 {
        wrong.push(format!(
            "the matrix has become too small to show anything: {passed} pass, {failed} fail, {told} are refused"
        ));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}

/// Where we differ on purpose.
fn meant(case: &Case, verdict: Verdict) -> bool {
    if case.older {
        let empty = case.kwargs.get("column") == Some(&json!("empty"));
        // What it stumbles over is often computed here.
        if case.exception.is_some() {
            return true;
        }
        // It gives parameters their values when a suite is run, and here its expectations are called one by one.
        if case.kwargs.values().any(|value| value.get("$PARAMETER").is_some()) {
            return true;
        }
        return match case.kind.as_str() {
            // It has no strict ends, and does not tell that it leaves them out.
            "expect_table_row_count_to_be_between" => case.kwargs.contains_key("strict_min"),
            // One value has no standard deviation, and fails there.
            "expect_column_value_z_scores_to_be_less_than" => case.element_count == Some(1),
            // Nothing sums to 0 there, whatever its type.
            "expect_column_sum_to_be_between" if empty => true,
            _ => case.data == "none" && verdict == Verdict::CannotTell,
        };
    }
    // A check that does not fit the type of the column cannot be determined; over no rows at all the library never finds out, and passes.
    let nothing = case.data == "none" && verdict == Verdict::CannotTell;
    // One end of a range is a date and the other a timestamp, which are two kinds to Python.
    let mixed = case
        .exception
        .as_deref()
        .is_some_and(|exception| exception.starts_with("can't compare datetime"));
    nothing || mixed
}

/// Whether both say success or both say failure; none where the library does not take the arguments (ranges of texts, for example, which we do), or
/// stumbles over what we refuse when we read it, and where we differ on purpose.
fn one(case: &Case, directory: &Path, legacy: bool) -> Result<Option<bool>, String> {
    let suite = if legacy {
        json!({ "expectation_suite_name": "s", "data_asset_type": null, "meta": {}, "expectations":
            [{ "expectation_type": case.kind, "kwargs": case.kwargs, "meta": {} }] })
    } else {
        json!({ "name": "s", "expectations": [{ "type": case.kind, "kwargs": case.kwargs }] })
    };
    let text = suite.to_string();
    let about = |ours: &str| {
        format!(
            "{} {}: ours {ours}, theirs {case:?}",
            case.kind,
            Value::Object(case.kwargs.clone())
        )
    };
    let (contract, complaints) = contract::read(&Source::new("suite.json", &text), None);
    let Some(contract) = contract else {
        assert!(has_errors(&complaints));
        // What the library stumbles over when it runs, we may refuse when we read.
        return if case.refused || case.exception.is_some() {
            Ok(None)
        } else {
            Err(about(&complaints[0].message))
        };
    };
    // What the library refuses we may check, but never leave out.
    if case.refused {
        return match contract.checks.len() {
            1 => Ok(None),
            _ => Err(about("not one check")),
        };
    }
    let storage = Storage::local(directory.join(format!("{}.parquet", case.data)));
    let now = "2026-02-01T00:00:00Z".parse().map_err(|error| format!("{error}"))?;
    let report = stoke_quality::run(&contract, &storage, &Options::at(now)).map_err(|error| error.to_string())?;
    let [check] = report.checks.as_slice() else {
        return Err(about("not one check"));
    };
    let ours = check.verdict == Verdict::Pass;
    if meant(case, check.verdict) {
        return Ok(None);
    }
    if ours != case.success {
        return Err(about(&format!(
            "{:?} {:?} {:?}",
            check.verdict, check.reason, check.observed
        )));
    }
    if case.exception.is_none() && case.element_count.is_some() && check.verdict != Verdict::CannotTell {
        if check.unexpected != case.unexpected_count {
            return Err(about(&format!("{:?} of {:?}", check.unexpected, check.considered)));
        }
        let of_nulls = case.kind.ends_with("be_null");
        let considered = case
            .element_count
            .zip(case.missing_count)
            .map(|(all, missing)| if of_nulls { all } else { all - missing });
        if considered.is_some() && check.considered != considered {
            return Err(about(&format!("{:?} looked at", check.considered)));
        }
    }
    Ok(Some(ours))
}
