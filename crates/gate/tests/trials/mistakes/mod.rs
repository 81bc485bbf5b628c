//! Mistakes people make, each put into a correct job by itself: the gate it belongs to finds it, with its code, at the line where it was made; and the correct
//! jobs have no finding.
//!
//! A mistake is a base, what is replaced in it and by what. The expected line is that of the replacement, or one with a text that is named. Mistakes in SQL need a Spark (from the
//! Python package index) and are shown as ignored, with the reason, when there is none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod conf;
mod dependencies;
mod manifest;
mod pods;
mod secrets;
mod sql;

use std::path::PathBuf;
use std::sync::OnceLock;

use libtest_mimic::{Failed, Trial};
use stoke_gate::waivers::Waivers;
use stoke_gate::{Gate, Job, Settings, check, job};
use stoke_testkit::{Tier, trial};

/// One mistake.
pub struct Mistake {
    /// The gate that finds it.
    pub gate: Gate,
    /// Files that are there besides.
    pub beside: &'static [(&'static str, &'static str)],
    /// The file it is made in, and its correct text.
    pub base: (&'static str, &'static str),
    /// What is replaced; empty: the text is appended.
    pub find: &'static str,
    /// By what.
    pub by: &'static str,
    /// The code of the finding.
    pub code: &'static str,
    /// A text on the line it is found at; empty: the line of the replacement, `-`: the file as a whole.
    pub at: &'static str,
}

/// A row of a table: what is replaced, by what, the code, a text on the line it is found at.
pub type Row = (&'static str, &'static str, &'static str, &'static str);

/// Mistakes of one gate in one base.
pub fn rows(gate: Gate, base: (&'static str, &'static str), rows: &[Row]) -> Vec<Mistake> {
    let mistake = |(find, by, code, at): &Row| Mistake {
        gate,
        beside: &[],
        base,
        find,
        by,
        code,
        at,
    };
    rows.iter().map(mistake).collect()
}

/// A correct application in Python.
pub const APP: (&str, &str) = ("app.yaml", include_str!("bases/app.yaml"));
/// A correct application of the JVM.
pub const JVM: (&str, &str) = ("jvm.yaml", include_str!("bases/jvm.yaml"));
/// A correct schedule.
pub const SCHEDULE: (&str, &str) = ("schedule.yaml", include_str!("bases/schedule.yaml"));
/// Correct objects of Kubernetes.
pub const OBJECTS: (&str, &str) = ("objects.yaml", include_str!("bases/objects.yaml"));
/// Correct properties.
pub const PROPERTIES: (&str, &str) = ("spark-defaults.conf", include_str!("bases/spark-defaults.conf"));
/// Correct SQL.
pub const SQL: (&str, &str) = ("etl.sql", include_str!("bases/etl.sql"));
/// Correct SQL with names of every kind.
pub const NAMES: (&str, &str) = ("names.sql", include_str!("bases/names.sql"));
/// Correct Python.
pub const PYTHON: (&str, &str) = ("job.py", include_str!("bases/job.py"));
/// Correct requirements.
pub const REQUIREMENTS: (&str, &str) = ("requirements.txt", include_str!("bases/requirements.txt"));

const BASES: [(&str, &str); 9] = [
    APP,
    JVM,
    SCHEDULE,
    OBJECTS,
    PROPERTIES,
    SQL,
    NAMES,
    PYTHON,
    REQUIREMENTS,
];
const SPARK: &str = "4.1.4";
/// The issue asks for at least as many.
const LEAST: usize = 150;

pub fn all() -> Vec<Trial> {
    let mistakes = [
        manifest::all(),
        conf::all(),
        pods::all(),
        sql::all(),
        dependencies::all(),
        secrets::all(),
    ]
    .concat_all();
    let mut trials = vec![Trial::test("there are enough of them", {
        let count = mistakes.len();
        move || {
            if count >= LEAST {
                Ok(())
            } else {
                Err(Failed::from(format!("{count} mistakes")))
            }
        }
    })];
    for (name, text) in BASES.into_iter().chain(dependencies::BASES) {
        let needs = name.ends_with(".sql") || name.ends_with(".py");
        trials.push(with_settings(&format!("{name} is right"), needs, move |settings| {
            let found = findings(&[(name, text)], settings);
            if found.is_empty() {
                Ok(())
            } else {
                Err(Failed::from(format!("{found:#?}")))
            }
        }));
    }
    for (number, mistake) in mistakes.into_iter().enumerate() {
        let name = format!(
            "{} {number:03} {} in {}",
            mistake.gate.name(),
            mistake.code,
            mistake.base.0
        );
        let needs = mistake.gate == Gate::Sql;
        trials.push(with_settings(&name, needs, move |settings| {
            is_found(&mistake, settings)
        }));
    }
    trials
}

trait Concatenated {
    fn concat_all(self) -> Vec<Mistake>;
}

impl<const N: usize> Concatenated for [Vec<Mistake>; N] {
    fn concat_all(self) -> Vec<Mistake> {
        self.into_iter().flatten().collect()
    }
}

/// The Spark whose grammar and functions the job is held against, looked for once.
fn spark() -> Result<PathBuf, String> {
    static HOME: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || stoke_testkit::spark::spark(SPARK).map(|runtime| runtime.spark_home);
    HOME.get_or_init(find).clone()
}

fn with_settings(
    name: &str,
    needs: bool,
    test: impl FnOnce(&Settings) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let spark_is_there = move || if needs { spark().map(|_| ()) } else { Ok(()) };
    trial(name, Tier::Default, spark_is_there, move || {
        let settings = Settings {
            spark: None,
            advisories: dependencies::advisories(),
            runtimes: spark().into_iter().map(|home| (SPARK.to_owned(), home)).collect(),
            ..Settings::default()
        };
        test(&settings)
    })
}

/// Gate, code, file and line of everything that is found.
fn findings(files: &[(&str, &str)], settings: &Settings) -> Vec<(String, String, String, usize)> {
    let files = files
        .iter()
        .map(|(name, text)| job::of_bytes(name, text.as_bytes()))
        .collect();
    let job = Job {
        files,
        ..Job::default()
    };
    let report = check(&job, settings, &Waivers::default());
    let all = report.findings();
    all.map(|(gate, finding)| {
        (
            gate.name().to_owned(),
            finding.code.to_string(),
            finding.file.clone(),
            finding.line,
        )
    })
    .collect()
}

fn is_found(mistake: &Mistake, settings: &Settings) -> Result<(), Failed> {
    let (name, text) = mistake.base;
    let (changed, at) = if mistake.find.is_empty() {
        (format!("{text}{}", mistake.by), text.len())
    } else {
        let at = text
            .find(mistake.find)
            .ok_or_else(|| format!("{:?} is not in {name}", mistake.find))?;
        if text.matches(mistake.find).count() > 1 {
            return Err(Failed::from(format!("{:?} stands twice in {name}", mistake.find)));
        }
        (text.replacen(mistake.find, mistake.by, 1), at)
    };
    let line_of = |at: usize| changed[..at].matches('\n').count() + 1;
    let line = match mistake.at {
        "" => line_of(at),
        "-" => 0,
        place => line_of(
            changed
                .find(place)
                .ok_or_else(|| format!("{place:?} is not in the changed {name}"))?,
        ),
    };
    let files: Vec<(&str, &str)> = mistake
        .beside
        .iter()
        .copied()
        .chain([(name, changed.as_str())])
        .collect();
    let expected = (
        mistake.gate.name().to_owned(),
        mistake.code.to_owned(),
        name.to_owned(),
        line,
    );
    let found = findings(&files, settings);
    // One mistake may be told of several fields, but by one gate and one code.
    let others: Vec<_> = found
        .iter()
        .filter(|one| (&one.0, &one.1) != (&expected.0, &expected.1))
        .collect();
    if !found.contains(&expected) || !others.is_empty() {
        return Err(Failed::from(format!(
            "expected {expected:?} alone, found {found:#?}\nin\n{changed}"
        )));
    }
    Ok(())
}
