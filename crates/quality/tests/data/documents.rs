//! JSON documents, columns of JSON, what objects leave out; and tables of very many columns.

use std::fmt::Write;

use arrow_array::StringArray;
use stoke_quality::{Storage, Verdict};

use crate::support::{check, column, options, parquet, read, run};

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: a
version: 1.0.0
status: active
schema:
- name: o
  physicalType: document
  properties:
  - {name: id, logicalType: integer, required: true}
  - {name: note, logicalType: string, logicalTypeOptions: {minLength: 2}}
  - {name: at, logicalType: timestamp}
  - {name: doc, logicalType: object, physicalType: json}
  - {name: tags, logicalType: array}
  - {name: any, physicalType: JSONB}
";

#[test]
fn objects_are_read_however_they_stand_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let rows = [
        "{\"id\": 1, \"doc\": {\"a\": 1}, \"tags\": [\"x\"]}",
        "{\"id\": 2, \"note\": \"long\"}",
        "{\"id\": null, \"note\": \"x\"}",
    ];
    let spread = rows.map(|row| row.replace(", ", ",\n  ").replace('{', "{\n"));
    for (name, text) in [
        ("lines.json", rows.join("\n")),
        ("array.json", format!("[{}]", rows.join(","))),
        ("lines-in-array.json", format!("[\n{}\n]\n", rows.join(",\n"))),
        ("spread-array.json", format!("[\n{}\n]", spread.join(",\n"))),
        ("spread.json", spread.join("\n")),
    ] {
        let place = directory.path().join(name);
        std::fs::write(&place, text).unwrap();
        let report = run(CONTRACT, &place);
        assert_eq!(report.data.rows, Some(3), "{name}");
        let otherwise: Vec<(&str, Option<u64>)> = report
            .checks
            .iter()
            .filter(|check| check.verdict != Verdict::Pass)
            .map(|check| (check.id.as_str(), check.unexpected))
            .collect();
        assert_eq!(
            otherwise,
            [("id.required", Some(1)), ("note.minLength", Some(1))],
            "{name}"
        );
    }
    for (name, text) in [
        ("cut.json", "[{\"id\": 1},\n{\"id\": 2}"),
        ("numbers.json", "[1, 2]"),
        ("behind.json", "[{\"id\": 1}] {\"id\": 2}"),
    ] {
        let place = directory.path().join(name);
        std::fs::write(&place, text).unwrap();
        let report = run(CONTRACT, &place);
        assert_eq!(check(&report, "id.required").verdict, Verdict::CannotTell, "{name}");
        assert_eq!(report.verdict, Verdict::Fail, "{name}");
    }
}

#[test]
fn what_is_required_may_not_be_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("a.json");
    std::fs::write(&place, "{\"note\": \"long\"}\n{}\n").unwrap();
    let report = run(CONTRACT, &place);
    assert_eq!(check(&report, "id.exists").verdict, Verdict::Fail);
    assert_eq!(check(&report, "tags.exists").verdict, Verdict::Pass);
    // Only JSON leaves out what is null; other files have all columns.
    let place = directory.path().join("a.csv");
    std::fs::write(&place, "id\n1\n").unwrap();
    assert_eq!(check(&run(CONTRACT, &place), "tags.exists").verdict, Verdict::Fail);
}

#[test]
fn texts_of_nested_types_are_documents() {
    let directory = tempfile::tempdir().unwrap();
    for (doc, tags, any, expected) in [
        ("{\"a\": 1}", "[1]", "7", [0, 0, 0]),
        ("[1]", "{}", "quack", [1, 1, 1]),
        ("quack", "quack", "[", [1, 1, 1]),
        ("null", "7", "null", [1, 1, 0]),
    ] {
        let place = directory.path().join("a.csv");
        let quoted = [doc, tags, any].map(|text| format!("\"{}\"", text.replace('"', "\"\"")));
        std::fs::write(
            &place,
            format!("id,note,at,doc,tags,any\n1,,,{}\n2,,,,,\n", quoted.join(",")),
        )
        .unwrap();
        let report = run(CONTRACT, &place);
        let found = ["doc.logicalType", "tags.logicalType", "any.physicalType"].map(|id| check(&report, id).unexpected);
        assert_eq!(found, expected.map(Some), "{doc} {tags} {any}");
    }
    // In files with types, only a column of JSON may be a text.
    let texts = |text: &'static str| column(StringArray::from(vec![Some(text), None]));
    let place = directory.path().join("a.parquet");
    parquet(
        &place,
        vec![("doc", texts("{}")), ("tags", texts("[]")), ("any", texts("1"))],
        8,
    );
    let report = run(CONTRACT, &place);
    let verdict = |id| check(&report, id).verdict;
    assert_eq!(verdict("doc.logicalType"), Verdict::Pass);
    assert_eq!(verdict("doc.physicalType"), Verdict::Pass);
    assert_eq!(verdict("any.physicalType"), Verdict::Pass);
    assert_eq!(verdict("tags.logicalType"), Verdict::Fail);
}

#[test]
fn a_table_of_very_many_columns_takes_the_memory_of_its_values() {
    const COLUMNS: usize = 40_000;
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("a.csv");
    let mut text = String::new();
    for row in 0..4 {
        for at in 0..COLUMNS {
            let between = if at == 0 { "" } else { "," };
            match row {
                0 => write!(text, "{between}c{at}").unwrap(),
                _ => write!(text, "{between}{row}").unwrap(),
            }
        }
        text.push('\n');
    }
    std::fs::write(&place, text).unwrap();
    let before = peak();
    let contract = read(&format!(
        "columns:\n  c{}: {{required: true, unique: true}}\n",
        COLUMNS - 1
    ));
    let report = stoke_quality::run(&contract, &Storage::local(&place), &options()).unwrap();
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(report.data.rows, Some(3));
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 1 << 20, "{} KiB", after - before);
    }
}

/// The most memory this process had, in KiB, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
