use std::collections::BTreeSet;

use super::*;

fn recorded() -> Vec<String> {
    let path = format!("{}/tests/fixtures/conditions.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let names = text.lines().filter(|line| !line.starts_with('#'));
    names
        .filter_map(|line| line.split('\t').next().map(str::to_owned))
        .collect()
}

#[test]
fn every_condition_of_spark_is_decided() {
    let recorded = recorded();
    assert!(recorded.len() > 1_600, "{}", recorded.len());
    let undecided: Vec<&String> = recorded.iter().filter(|name| decide(name).is_none()).collect();
    assert!(undecided.is_empty(), "add rows to conditions.tsv for {undecided:?}");
}

#[test]
fn every_row_is_of_a_condition_and_every_decision_is_used_and_whole() {
    let recorded: BTreeSet<String> = recorded().into_iter().collect();
    let lines = rows(include_str!("conditions.tsv")).count();
    assert_eq!(lines, TABLE.conditions.len(), "a condition has two rows");
    assert_eq!(rows(include_str!("decisions.tsv")).count(), TABLE.decisions.len());
    let mut used = BTreeSet::new();
    for (name, key) in &TABLE.conditions {
        used.insert(*key);
        assert!(
            *name == "_LEGACY_ERROR_TEMP" || recorded.contains(*name),
            "{name} is none of Spark's"
        );
        assert!(TABLE.decisions.contains_key(key), "{name}: no decision {key}");
        if let Some((class, _)) = name.split_once('.') {
            assert_ne!(TABLE.conditions.get(class), Some(key), "{name} is decided as its class");
        }
    }
    for (key, decision) in &TABLE.decisions {
        assert!(used.contains(key), "{key} is used by no condition");
        let Some(finding) = decision.finding else { continue };
        assert!(
            super::super::codes().contains(&finding),
            "{key}: {finding} is not a finding"
        );
        assert!(
            decision.says.len() > 10 && decision.fix.len() > 10,
            "{key} says nothing"
        );
    }
}

#[test]
fn a_condition_of_a_newer_spark_is_decided_by_its_state() {
    for (state, finding) in [
        ("42ABC", Some("sql-analysis-error")),
        ("22018", Some("sql-runtime-error")),
        ("XX000", Some("spark-internal-error")),
        ("39000", None),
    ] {
        assert_eq!(decide_by_state(state).unwrap().finding, finding, "{state}");
    }
    assert!(decide_by_state("99999").is_none() && decide_by_state("4").is_none());
}

#[test]
fn only_what_the_message_offers_is_offered() {
    for (message, expected) in [
        (
            r#"1) You can set "spark.sql.legacy.timeParserPolicy" to "LEGACY" to restore the behavior before Spark 3.0. 2) You can form a valid datetime pattern"#,
            Some(("spark.sql.legacy.timeParserPolicy", "LEGACY")),
        ),
        (
            r#"You can set "spark.sql.legacy.timeParserPolicy" to "LEGACY" to restore the behavior before Spark 3.0, or set to "CORRECTED" and treat it as an invalid datetime string."#,
            Some(("spark.sql.legacy.timeParserPolicy", "CORRECTED")),
        ),
        (
            r#"All week-based patterns are unsupported since Spark 3.0, detected week-based character: Y. Please use the SQL function EXTRACT instead."#,
            None,
        ),
        (
            r#"please set "spark.sql.legacy.charVarcharAsString" to "true"."#,
            Some(("spark.sql.legacy.charVarcharAsString", "true")),
        ),
    ] {
        let found = offered(message);
        let found = found.as_ref().map(|(key, value)| (key.as_str(), value.as_str()));
        assert_eq!(found, expected, "{message}");
    }
}
