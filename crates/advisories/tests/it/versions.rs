//! The order of versions, held against the programs that define it: `ComparableVersion` of Maven 3.9.11 and `packaging` 26.3. `oracles` has the recordings and what made them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::cmp::Ordering;

use stoke_advisories::Ecosystem;

fn differing(ecosystem: Ecosystem, recorded: &str) -> Vec<String> {
    let order = |one: &str, other: &str| {
        let version = |text: &str| ecosystem.version(text).unwrap_or_else(|error| panic!("{error}"));
        version(one).compare(&version(other))
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in recorded.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let &[one, other, sign] = parts.as_slice() else {
            panic!("{line}")
        };
        let expected = sign.parse::<i8>().unwrap().cmp(&0);
        count += 1;
        for (left, right, expected) in [(one, other, expected), (other, one, expected.reverse())] {
            if order(left, right) != expected {
                wrong.push(format!("{left} {right}: {:?}, is {expected:?}", order(left, right)));
            }
        }
        assert_eq!(order(one, one), Ordering::Equal, "{one}");
    }
    assert!(count > 2000, "{count} pairs");
    wrong
}

#[test]
fn maven() {
    let recorded = match std::env::var("STOKE_ORACLE_MAVEN") {
        Ok(file) => std::fs::read_to_string(file).unwrap(),
        Err(_) => include_str!("../oracles/maven.txt").to_owned(),
    };
    let wrong = differing(Ecosystem::Maven, &recorded);
    assert!(
        wrong.is_empty(),
        "{}: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(40)]
    );
}

#[test]
fn python() {
    let recorded = match std::env::var("STOKE_ORACLE_PYTHON") {
        Ok(file) => std::fs::read_to_string(file).unwrap(),
        Err(_) => include_str!("../oracles/python.txt").to_owned(),
    };
    let wrong = differing(Ecosystem::PyPI, &recorded);
    assert!(
        wrong.is_empty(),
        "{}: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(40)]
    );
}
