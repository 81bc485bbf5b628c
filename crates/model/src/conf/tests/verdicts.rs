//! Our judgement of values against that of real Spark, recorded by `scripts/record-conf-verdicts`: every entry, some 200 values each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::conf::Catalogue;

const RECORDED: &str = include_str!("../../../data/conf-verdicts.tsv");

struct Comparison {
    verdicts: usize,
    refused_by_spark: usize,
    /// Values that Spark accepts and we refuse.
    false_alarms: Vec<String>,
    /// Keys with values that Spark refuses and we let pass: `key` -> values.
    missed: BTreeMap<String, Vec<String>>,
}

static COMPARISON: LazyLock<Comparison> = LazyLock::new(compare);

fn compare() -> Comparison {
    let candidates: Vec<String> = RECORDED
        .lines()
        .filter_map(|line| line.strip_prefix("# candidate\t"))
        .map(|text| text.replace("\\t", "\t").replace("\\n", "\n"))
        .collect();
    let mut result = Comparison {
        verdicts: 0,
        refused_by_spark: 0,
        false_alarms: Vec::new(),
        missed: BTreeMap::new(),
    };
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (key, minors, digits) = (columns[0], columns[1], columns[2]);
        let bits: Vec<bool> = digits
            .chars()
            .flat_map(|digit| (0..4).rev().map(move |bit| digit.to_digit(16).unwrap() >> bit & 1 == 1))
            .collect();
        let bits = &bits[bits.len() - candidates.len()..];
        for minor in minors.split(',') {
            let entry = Catalogue::for_version(minor)
                .get(key)
                .unwrap_or_else(|| panic!("{key} in {minor}"));
            for (candidate, accepted) in candidates.iter().zip(bits) {
                result.verdicts += 1;
                result.refused_by_spark += usize::from(!accepted);
                let ours = entry.value_type.check(&entry.rule, candidate).is_ok();
                if *accepted && !ours {
                    result
                        .false_alarms
                        .push(format!("{minor} {key} ({}) {candidate:?}", entry.value_type));
                }
                if !*accepted && ours {
                    let values = result.missed.entry(key.to_owned()).or_default();
                    if !values.contains(candidate) {
                        values.push(candidate.clone());
                    }
                }
            }
        }
    }
    result
}

#[test]
fn no_value_is_refused_that_spark_accepts() {
    let result = &*COMPARISON;
    assert!(result.verdicts > 1_000_000, "{}", result.verdicts);
    assert_eq!(result.false_alarms, Vec::<String>::new());
}

#[test]
fn what_spark_refuses_is_refused_but_for_these_keys() {
    let result = &*COMPARISON;
    let missed: usize = result.missed.values().map(Vec::len).sum();
    assert!(
        missed * 200 < result.refused_by_spark,
        "{missed} of {}",
        result.refused_by_spark
    );
    let lines: Vec<String> = result
        .missed
        .iter()
        .map(|(key, values)| format!("{key}: {}", values.len()))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}
