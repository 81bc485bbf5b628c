use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A record as it is written.
fn record(time: &str, place: &str, verdict: &str) -> Value {
    let passed = verdict == "pass";
    json!({
        "at": time, "place": place, "rows": 4, "numbers": {"a": 1.0}, "passed": passed, "score": if passed { 100.0 } else { 75.0 },
        "outcome": {
            "contract": "orders", "format": "short", "layout": "csv", "files": 1, "bytes": 40, "summary": format!("it is {verdict}"),
            "counts": {"passed": 1, "failed": i32::from(!passed), "cannotTell": 0, "waived": 0, "learning": 0},
            "checks": [
                {"id": "id.unique", "severity": "error", "verdict": verdict, "expected": "no value twice", "considered": 4, "unexpected": i32::from(!passed)},
                {"id": "created.maxAge", "severity": "error", "verdict": "pass", "expected": "x",
                    "freshness": {"latest": "2026-11-01T00:00:00Z", "maxAge": 86400}},
            ],
        },
    })
}

fn ledger(directory: &Path, file: &str, lines: &[String]) -> Ledger {
    let path = directory.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, lines.join("\n")).unwrap();
    let ledger = Ledger::new(Storage::local(directory));
    ledger.look();
    ledger
}

fn of(ledger: &Ledger, now: &str) -> Summary {
    let mut all = ledger.overview(at(now)).contracts;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Lines, now, and how it stands then: why, and since when.
type Row<'a> = (&'a [String], &'a str, Standing, &'a str, Option<&'a str>);

#[test]
fn a_contract_stands_as_its_newest_verdict_says() {
    let passed = |time: &str, place: &str| record(time, place, "pass").to_string();
    let failed = |time: &str, place: &str| record(time, place, "fail").to_string();
    let now = "2026-11-01T12:00:00Z";
    let table: [Row<'_>; 10] = [
        (&[passed("2026-11-01T01:00:00Z", "a")], now, Standing::Holds, "it is pass", Some("2026-11-01T01:00:00Z")),
        (
            &[failed("2026-11-01T01:00:00Z", "a"), failed("2026-11-01T02:00:00Z", "a")],
            now,
            Standing::Broken,
            "it is fail",
            Some("2026-11-01T01:00:00Z"),
        ),
        (
            &[failed("2026-11-01T01:00:00Z", "a"), passed("2026-11-01T02:00:00Z", "a")],
            now,
            Standing::Holds,
            "it is pass",
            Some("2026-11-01T02:00:00Z"),
        ),
        // That other data are right does not make these right, for three days.
        (
            &[failed("2026-11-01T01:00:00Z", "a"), passed("2026-11-01T02:00:00Z", "b")],
            now,
            Standing::Broken,
            "a: it is fail",
            Some("2026-11-01T01:00:00Z"),
        ),
        (
            &[failed("2026-10-28T01:00:00Z", "a"), passed("2026-11-01T02:00:00Z", "b")],
            now,
            Standing::Holds,
            "it is pass",
            Some("2026-11-01T02:00:00Z"),
        ),
        (
            &[passed("2026-11-01T01:00:00Z", "a")],
            "2026-11-02T00:00:01Z",
            Standing::Stale,
            "created.maxAge: the latest value is of 2026-11-01T00:00:00Z, and may be 86400 s old",
            Some("2026-11-02T00:00:00Z"),
        ),
        (&[passed("2026-11-01T01:00:00Z", "a"), "{\"at\": 3".into()], now, Standing::Unknown, "line 2, the newest, cannot be read", None),
        (&["\u{0}\u{0}".into(), passed("2026-11-01T01:00:00Z", "a")], now, Standing::Holds, "it is pass", Some("2026-11-01T01:00:00Z")),
        (&[], now, Standing::Unknown, "no verdict is in its file", None),
        (
            &[json!({"at": "2026-11-01T01:00:00Z", "place": "a", "rows": 3, "numbers": {}, "passed": true, "score": 100.0}).to_string()],
            now,
            Standing::Holds,
            "its checks were not kept",
            Some("2026-11-01T01:00:00Z"),
        ),
    ];
    for (lines, now, standing, why, since) in table {
        let directory = tempfile::tempdir().unwrap();
        let found = of(&ledger(directory.path(), "default/orders.jsonl", lines), now);
        assert_eq!(
            (found.standing, found.since),
            (standing, since.map(at)),
            "{lines:?}: {found:?}"
        );
        assert!(found.why.contains(why), "{}", found.why);
        assert_eq!((found.name.as_str(), found.folder.as_str()), ("orders", "default"));
    }
}

#[test]
fn verdicts_are_counted_by_day() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        record("2026-07-01T01:00:00Z", "a", "fail").to_string(),
        record("2026-10-30T23:59:59Z", "a", "fail").to_string(),
        record("2026-11-01T00:00:00Z", "a", "pass").to_string(),
        record("2026-11-01T05:00:00Z", "a", "fail").to_string(),
    ];
    let ledger = ledger(directory.path(), "orders.jsonl", &lines);
    let days = ledger.overview(at("2026-11-01T06:00:00Z")).days;
    let last: Vec<(String, usize, usize)> = days[87..]
        .iter()
        .map(|day| (day.day.to_string(), day.verdicts, day.failed))
        .collect();
    let expected = [("2026-10-30", 1, 1), ("2026-10-31", 0, 0), ("2026-11-01", 2, 1)];
    assert_eq!(days.len(), 90);
    assert_eq!(
        last,
        expected.map(|(day, verdicts, failed)| (day.to_owned(), verdicts, failed))
    );
    assert_eq!(ledger.in_need(at("2026-11-01T06:00:00Z")).len(), 1);
}

#[test]
fn what_contradicts_itself_is_not_a_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let mut lies = record("2026-11-01T01:00:00Z", "a", "fail");
    lies["passed"] = json!(true);
    let found = of(
        &ledger(directory.path(), "orders.jsonl", &[lies.to_string()]),
        "2026-11-01T02:00:00Z",
    );
    assert_eq!(
        (found.standing, found.verdicts, found.damage.lines),
        (Standing::Unknown, 0, 1)
    );
    assert!(
        found.why.contains("it says that it passed, and that id.unique did not"),
        "{}",
        found.why
    );
}

#[test]
fn files_are_read_again_when_they_change_and_others_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("report.json"), "{}").unwrap();
    std::fs::write(directory.path().join(".hidden.jsonl"), "{}").unwrap();
    let line = record("2026-11-01T01:00:00Z", "a", "pass").to_string();
    let ledger = ledger(directory.path(), "orders%2f%eu.jsonl", std::slice::from_ref(&line));
    let first = ledger.shelf().contracts.values().next().unwrap().clone();
    ledger.look();
    assert!(Arc::ptr_eq(&first, &ledger.shelf().contracts["orders%2f%eu"]));
    std::fs::write(directory.path().join("orders%2f%eu.jsonl"), format!("{line}\n{line}\n")).unwrap();
    ledger.look();
    assert_eq!(ledger.shelf().contracts["orders%2f%eu"].runs.len(), 2);
    // What was known stays when the place goes, and it is said.
    std::fs::remove_dir_all(directory.path()).unwrap();
    ledger.look();
    let shelf = ledger.shelf();
    assert!(shelf.trouble.is_some() && shelf.contracts.len() == 1);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.jsonl");
    let line = record("2026-11-01T01:00:00Z", "a", "pass").to_string();
    std::fs::write(&path, line + "\n").unwrap();
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_len(MOST + 1)
        .unwrap();
    let ledger = Ledger::new(Storage::local(directory.path()));
    ledger.look();
    let found = of(&ledger, "2026-11-01T02:00:00Z");
    assert_eq!(found.standing, Standing::Unknown);
    assert!(found.why.contains("up to 64 MiB are read"), "{}", found.why);
}
