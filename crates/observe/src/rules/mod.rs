//! What in rules, dashboards and objectives can never work: metrics, labels and values that do not exist, units that do not go together, comparisons that never
//! hold, vectors that never join.
//!
//! In: files of Prometheus' rules, `PrometheusRule` objects, Grafana's dashboards, Sloth and OpenSLO. Out: a [`Report`]. What is not read is in it, too.
//!
//! ```
//! use stoke_observe::rules::{Input, Settings, check};
//!
//! let rules = "groups: [{name: a, rules: [{alert: Down, expr: up > 1}]}]";
//! let report = check(&[Input::named("rules.yaml", rules)], &Settings::default());
//! assert_eq!(report.diagnostics[0].code, "metric-never-true");
//! assert_eq!((report.diagnostics[0].line, report.exit_code()), (1, 1));
//! ```

mod live;
mod look;
mod place;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stoke_diagnostics::{Diagnostic, Severity};

pub use self::live::Live;
use self::read::Found;
use crate::catalogue;

/// A file.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name in reports.
    pub name: String,
    pub bytes: Vec<u8>,
    /// False where it was found in a directory: it may be of another kind then.
    pub named: bool,
}

impl Input {
    /// A file that a person named.
    #[must_use]
    pub fn named(name: &str, text: &str) -> Input {
        Input {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
            named: true,
        }
    }
}

/// What is known of where the files are used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The release of Spark, such as 4.1.
    pub spark: String,
    /// Names of metrics that exist besides those of the catalogue.
    pub known: BTreeSet<String>,
    /// Seconds between two scrapes of a target.
    pub scrape_interval: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            spark: catalogue::spark_releases()
                .last()
                .copied()
                .unwrap_or_default()
                .to_owned(),
            known: BTreeSet::new(),
            scrape_interval: 15.0,
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The release of Spark that the files were held against.
    pub spark: String,
    pub files: usize,
    /// Expressions that were read, by kind of file.
    pub expressions: BTreeMap<&'static str, usize>,
    /// What was left out, by what it is.
    pub skipped: BTreeMap<String, usize>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// 0: nothing is wrong; 1: something is; 2: nothing is known to be wrong, but not everything could be read.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let errors = || self.diagnostics.iter().filter(|found| found.is_error());
        match (errors().any(|found| !found.cannot_tell), errors().next().is_some()) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        }
    }

    /// Lets warnings fail, too.
    pub fn be_strict(&mut self) {
        for found in &mut self.diagnostics {
            if found.severity == Severity::Warning {
                found.severity = Severity::Error;
            }
        }
    }

    /// How many diagnostics are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    }
}

/// Checks files together: what one records the others may use.
#[must_use]
pub fn check(inputs: &[Input], settings: &Settings) -> Report {
    check_with(inputs, settings, None)
}

/// The same, held against what a running Prometheus has.
#[must_use]
pub fn check_with(inputs: &[Input], settings: &Settings, live: Option<&Live>) -> Report {
    let mut found = Found::default();
    for input in inputs {
        read::read(&input.name, &input.bytes, input.named, &mut found);
    }
    let mut diagnostics = std::mem::take(&mut found.complaints);
    let set = look::Set::new(&found.expressions, settings, &mut diagnostics);
    for index in 0..found.expressions.len() {
        diagnostics.extend(set.look(index));
    }
    diagnostics.extend(look::duplicates(&found.expressions));
    if let Some(live) = live {
        live.look(&set, &found.expressions, &mut diagnostics);
    }
    let order: BTreeMap<&str, usize> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| (input.name.as_str(), index))
        .collect();
    diagnostics.sort_by_key(|found| (order.get(found.file.as_str()).copied(), found.line, found.column));
    Report {
        spark: settings.spark.clone(),
        files: inputs.len(),
        expressions: found.kinds,
        skipped: found.skipped,
        diagnostics,
    }
}
