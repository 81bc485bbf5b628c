//! The differences that are known, each with its reason.

use std::fmt::Write as _;
use std::path::PathBuf;

use regex::Regex;
use serde::Deserialize;

use crate::compare::Difference;

/// An entry of `differences.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Names of cases: `*` stands for anything, `|` between alternatives.
    cases: String,
    /// In which way they differ.
    class: String,
    /// How many there are: one that is not one any more is to be taken out, a new one to be looked at.
    count: usize,
    /// Why it stays so, or that it is not done yet.
    #[allow(dead_code, reason = "for the reader")]
    reason: String,
}

/// The file.
pub fn read() -> Vec<Known> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts/differences.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

impl Known {
    fn pattern(&self) -> Regex {
        let alternatives: Vec<String> = self
            .cases
            .split('|')
            .map(|glob| regex::escape(glob.trim()).replace("\\*", ".*"))
            .collect();
        Regex::new(&format!("^(?s:{})$", alternatives.join("|"))).unwrap()
    }
}

/// What is wrong with the list: differences that no entry tells, and entries that tell of more or fewer than there are. A difference counts
/// for the first entry that tells of it.
pub fn check(known: &[Known], found: &[Difference]) -> String {
    let patterns: Vec<Regex> = known.iter().map(Known::pattern).collect();
    let mut counts = vec![0; known.len()];
    let mut wrong = String::new();
    for difference in found {
        let told = (0..known.len()).find(|index| {
            known[*index].class == difference.class.name() && patterns[*index].is_match(&difference.case)
        });
        match told {
            Some(index) => counts[index] += 1,
            None => drop(writeln!(wrong, "{difference}")),
        }
    }
    if std::env::var("STOKE_VERDICTS_KINDS").is_ok() {
        return wrong;
    }
    for (entry, count) in known.iter().zip(counts).filter(|(entry, count)| entry.count != *count) {
        let _ = writeln!(
            wrong,
            "differences.yaml says that {} cases differ ({}, {}): {count} do",
            entry.count, entry.cases, entry.class
        );
    }
    wrong
}
