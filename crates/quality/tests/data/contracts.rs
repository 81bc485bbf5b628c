//! Contracts in every format: what they mean, what is wrong with them and where; waivers, histories and events.

use arrow_array::{Int64Array, StringArray};
use serde_json::json;
use stoke_diagnostics::{Diagnostic, Source};
use stoke_quality::{Options, Storage, Verdict, contract, lineage};

use crate::support::{check, column, options, parquet, read, run};

/// Code, line and column of what is wrong.
fn wrong(text: &str) -> Vec<(&'static str, usize, usize)> {
    let (contract, complaints) = contract::read(&Source::new("c.yaml", text), None);
    assert!(contract.is_none(), "{text}");
    complaints
        .iter()
        .map(|complaint: &Diagnostic| (&*complaint.code.to_string().leak(), complaint.line, complaint.column))
        .collect()
}

#[test]
fn what_is_wrong_has_a_place() {
    let odcs = "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: active\nschema:\n- name: o\n";
    let table = [
        ("columns:\n  a: {requierd: true}\n".to_owned(), ("unknown-field", 2, 7)),
        ("columns:\n  a: {type: bigin}\n".into(), ("unknown-type", 2, 13)),
        ("columns:\n  a: {min: 5, max: 1}\n".into(), ("empty-range", 2, 7)),
        ("columns:\n  a: {in: [NO, SE]}\n".into(), ("ambiguous-boolean", 2, 12)),
        ("columns:\n  a: {mostly: 99}\n".into(), ("bad-share", 2, 7)),
        ("columns:\n  a: {maxAge: soon}\n".into(), ("bad-duration", 2, 7)),
        (
            "columns:\n  a: {timezone: CET/Berlin, maxAge: 1h}\n".into(),
            ("unknown-zone", 2, 7),
        ),
        ("columns:\n  a: {format: emial}\n".into(), ("unknown-value", 2, 15)),
        ("name: x\n".into(), ("no-checks", 1, 1)),
        ("rows: {min: many}\n".into(), ("wrong-type", 1, 13)),
        ("usual:\n- {metric: rosw}\n".into(), ("unknown-value", 2, 12)),
        (
            "expectations:\n- {type: expect_column_values_to_be_uniqe, kwargs: {column: a}}\n".into(),
            ("unknown-expectation", 2, 10),
        ),
        (
            "expectations:\n- {type: expect_column_to_exist}\n".into(),
            ("missing-field", 2, 3),
        ),
        (
            "expectations:\n- {type: expect_column_values_to_be_between, kwargs: {column: a, min: 1}}\n".into(),
            ("unknown-field", 2, 66),
        ),
        (format!("{odcs}  proprties: []\n"), ("unknown-field", 8, 3)),
        (
            format!("{odcs}  quality:\n  - metric: rowCount\n"),
            ("one-operator", 9, 5),
        ),
        (
            format!("{odcs}  quality:\n  - {{metric: rowCounts, mustBe: 1}}\n"),
            ("unknown-value", 9, 14),
        ),
        (
            format!("{odcs}  properties:\n  - {{name: a, logicalType: int}}\n"),
            ("unknown-value", 9, 28),
        ),
        (format!("{odcs}- name: p\n"), ("which-object", 6, 1)),
        (odcs.replace("v3.1.0", "v9.0.0"), ("unknown-value", 1, 13)),
    ];
    for (text, expected) in table {
        let found = wrong(&text);
        assert!(found.contains(&expected), "{text}: {found:?}");
    }
}

#[test]
fn any_text_is_answered() {
    for text in [
        "",
        "a",
        "[]",
        "- - -",
        "{",
        "expectations: 5",
        "kind: DataContract",
        "columns: []",
        "columns: {a: 5}",
        "expectations: [5, {}]",
    ] {
        let (contract, complaints) = contract::read(&Source::new("c.yaml", text), None);
        assert!(contract.is_none() && !complaints.is_empty(), "{text}");
    }
}

const ODCS: &str = "
apiVersion: v3.1.0
kind: DataContract
id: 1
version: 1.0.0
status: active
name: shop
schema:
- name: orders
  properties:
  - name: id
    logicalType: integer
    primaryKey: true
    logicalTypeOptions: {minimum: 1}
  - name: status
    logicalType: string
    required: true
    logicalTypeOptions: {minLength: 3, pattern: '^[a-z]+$'}
    quality:
    - metric: invalidValues
      arguments: {validValues: [new, paid]}
      mustBeLessThan: 50
      unit: percent
    - type: custom
      engine: greatExpectations
      implementation: |
        type: expect_column_value_lengths_to_be_between
        kwargs: {max_value: 4}
    - {metric: duplicateValues, mustBe: 1}
    - {type: text, description: People look at it.}
  - name: code
    relationships: [{to: codes.id}]
  quality:
  - {metric: rowCount, mustBeBetween: [3, 5]}
  - {metric: duplicateValues, mustBe: 0, arguments: {properties: [id, status]}}
  - {type: sql, query: select 1, mustBe: 1, severity: warning}
  - {type: custom, engine: soda, implementation: x, name: of-soda}
";

#[test]
fn odcs_means_what_the_standard_says() {
    let text = ODCS.replace("id: 1\n", "id: '1'\n");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("orders/a.parquet");
    let ids = column(Int64Array::from(vec![1, 2, 3]));
    let status = column(StringArray::from(vec![Some("new"), Some("new"), Some("gone")]));
    let codes = column(Int64Array::from(vec![None, None, Some(7)]));
    parquet(&file, vec![("id", ids), ("status", status), ("code", codes)], 2);
    parquet(
        &directory.path().join("codes/a.parquet"),
        vec![("id", column(Int64Array::from(vec![7])))],
        2,
    );
    let report = run(&text, &directory.path().join("orders"));
    let verdict = |id: &str| check(&report, id).verdict;
    assert_eq!(report.contract, "shop");
    for id in [
        "id.exists",
        "id.logicalType",
        "id.primaryKey.required",
        "id.primaryKey",
        "id.minimum",
        "status.required",
        "status.minLength",
        "status.pattern",
        "status.invalidValues",
        "status.expect_column_value_lengths_to_be_between",
        "status.duplicateValues",
        "code.relationship",
        "rowCount",
        "id+status.duplicateValues",
    ] {
        assert_eq!(verdict(id), Verdict::Pass, "{id}: {report}");
    }
    assert_eq!(
        (verdict("sql"), verdict("of-soda")),
        (Verdict::CannotTell, Verdict::CannotTell)
    );
    assert!(!report.passed());
    // A third of the rows is otherwise, and less than half may be.
    assert_eq!(check(&report, "status.invalidValues").unexpected, Some(1));
}

#[test]
fn what_is_waived_does_not_fail_until_its_day() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("a", column(Int64Array::from(vec![1, 1])))], 2);
    let waived = |until: &str| {
        run(
            &format!(
                "columns:\n  a: {{unique: true}}\nwaivers:\n- {{check: a.unique, until: {until}, reason: old, by: us}}\n"
            ),
            &file,
        )
    };
    let report = waived("2026-02-01");
    assert_eq!(check(&report, "a.unique").verdict, Verdict::Waived);
    assert!(
        report.passed() && report.to_string().contains("waived until 2026-02-01 by us: old"),
        "{report}"
    );
    let report = waived("2026-01-31");
    assert!(
        !report.passed()
            && check(&report, "a.unique")
                .reason
                .as_ref()
                .unwrap()
                .contains("ended on 2026-01-31")
    );
    let stray = read("columns:\n  a: {}\nwaivers:\n- {check: a.exist, until: 2026-02-01, reason: old, by: us}\n");
    let error = stoke_quality::run(&stray, &Storage::local(&file), &options()).unwrap_err();
    assert!(error.to_string().contains("did you mean `a.exists`"), "{error}");
}

#[test]
fn histories_tell_what_is_unusual() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let contract = read("name: o\nusual:\n- {metric: rows}\n- {metric: mean, column: a}\n");
    let at = |day: usize, rows: i64| {
        parquet(&file, vec![("a", column(Int64Array::from_iter_values(0..rows)))], 64);
        let options = Options {
            history: Some(Storage::local(directory.path())),
            ..Options::at(format!("2026-01-{day:02}T00:00:00Z").parse().unwrap())
        };
        stoke_quality::run(&contract, &Storage::local(&file), &options).unwrap()
    };
    for day in 1..=5 {
        let report = at(day, 100 + day as i64);
        assert!(
            report.passed() && check(&report, "usual-rows").verdict == Verdict::Learning,
            "{report}"
        );
    }
    assert_eq!(check(&at(6, 104), "usual-rows").verdict, Verdict::Pass);
    let report = at(7, 10);
    assert_eq!(check(&report, "usual-rows").verdict, Verdict::Fail, "{report}");
    assert_eq!(check(&report, "a.usual-mean").verdict, Verdict::Fail, "{report}");
    // Without a directory there is nothing to compare with.
    let report = stoke_quality::run(&contract, &Storage::local(&file), &options()).unwrap();
    assert_eq!(check(&report, "usual-rows").verdict, Verdict::CannotTell);
}

#[test]
fn events_carry_assertions_and_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("a", column(Int64Array::from(vec![Some(1), None])))], 2);
    let report = run("rows: {min: 1}\ncolumns:\n  a: {required: true, unique: true}\n", &file);
    let names = lineage::Names {
        run: "123e4567-e89b-12d3-a456-426614174000",
        job_namespace: "stoke",
        job: "quality.a",
        namespace: "file",
        name: "/data/a.parquet",
    };
    let event = lineage::event(&report, &names);
    let facets = &event["inputs"][0]["inputFacets"];
    let assertions = &facets["dataQualityAssertions"]["assertions"];
    assert_eq!(assertions[0], json!({"assertion": "rows", "success": true}));
    assert_eq!(
        assertions[2],
        json!({"assertion": "required", "success": false, "column": "a"})
    );
    let metrics = &facets["dataQualityMetrics"];
    assert_eq!((&metrics["rowCount"], &metrics["fileCount"]), (&json!(2), &json!(1)));
    assert_eq!(
        metrics["columnMetrics"]["a"],
        json!({"nullCount": 1, "distinctCount": 1})
    );
    assert_eq!(event["run"]["runId"], names.run);
}

#[test]
fn texts_are_spread_as_they_usually_are() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let history = directory.path().join("history");
    std::fs::create_dir(&history).unwrap();
    let text = "name: c\nusual:\n- {metric: distribution, column: country, season: none, atLeast: 2}\n";
    let ran = |countries: &[(&str, usize)], day: i64| {
        let all = countries
            .iter()
            .flat_map(|(country, rows)| std::iter::repeat_n(*country, *rows));
        let all: StringArray = all.map(Some).chain([None]).collect();
        parquet(&file, vec![("country", column(all))], 64);
        let options = Options {
            history: Some(Storage::local(&history)),
            ..Options::at(options().now + jiff::Span::new().hours(24 * day))
        };
        let report = stoke_quality::run(&read(text), &Storage::local(&file), &options).unwrap();
        (
            report.checks[0].verdict,
            report.checks[0].reason.clone().unwrap_or_default(),
        )
    };
    let usual = [("DE", 500), ("FR", 300), ("US", 200)];
    assert_eq!(ran(&usual, 0).0, Verdict::Learning);
    assert_eq!(ran(&usual, 1).0, Verdict::Learning);
    let (verdict, reason) = ran(&[("US", 210), ("FR", 290), ("DE", 500)], 2);
    assert_eq!(verdict, Verdict::Pass, "{reason}");
    let (verdict, reason) = ran(&[("DE", 500), ("XX", 500)], 3);
    assert_eq!(verdict, Verdict::Fail, "{reason}");
    assert!(reason.contains("population stability index"), "{reason}");
    let many: Vec<String> = (0..10_001).map(|at| format!("text {at}")).collect();
    let many: Vec<(&str, usize)> = many.iter().map(|text| (text.as_str(), 1)).collect();
    let (verdict, reason) = ran(&many, 4);
    assert_eq!(verdict, Verdict::CannotTell);
    assert!(reason.contains("10000 different texts"), "{reason}");
}
