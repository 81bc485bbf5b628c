//! That `conditions.txt` says the truth of this room: what it says is told, is told.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use libtest_mimic::Trial;

pub fn all() -> Vec<Trial> {
    vec![Trial::test("conditions: what is written to be found is found", || {
        every_condition_is_found();
        Ok(())
    })]
}

fn every_condition_is_found() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/refusals");
    let mut text = String::new();
    for entry in std::fs::read_dir(rules).unwrap() {
        text.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let rows = include_str!("conditions.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let mut told = 0;
    for row in rows {
        let (method, said) = row.split_once(" | ").expect(row);
        if said.starts_with('-') {
            continue;
        }
        for condition in said.split(", ") {
            assert!(text.contains(&format!("\"{condition}\"")), "{method}: {condition}");
            told += 1;
        }
    }
    assert!(told > 120, "{told}");
}
