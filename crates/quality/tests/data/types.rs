//! Columns of every type, and the edges of each.

use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    ListArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use stoke_quality::Verdict;

use crate::support::{check, column, parquet, run};

fn verdict(columns: Vec<(&str, ArrayRef)>, contract: &str, id: &str) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, columns, 2);
    check(&run(contract, &file), id).verdict
}

#[test]
fn ranges_of_every_type() {
    let micros = |zone: Option<&str>| {
        let at = TimestampMicrosecondArray::from(vec![Some(0), Some(1_500_000), None]);
        column(match zone {
            Some(zone) => at.with_timezone(zone),
            None => at,
        })
    };
    let decimal = |values: Vec<i128>| column(Decimal128Array::from(values).with_precision_and_scale(30, 2).unwrap());
    let words: DictionaryArray<Int8Type> = vec![Some("b"), None, Some("c")].into_iter().collect();
    let table: Vec<(ArrayRef, &str, Verdict)> = vec![
        (
            column(Int32Array::from(vec![Some(1), None, Some(3)])),
            "min: 1, max: 3",
            Verdict::Pass,
        ),
        (
            column(Int32Array::from(vec![Some(1), None, Some(3)])),
            "min: 1, exclusiveMax: 3",
            Verdict::Fail,
        ),
        (
            column(Int64Array::from(vec![i64::MIN, i64::MAX])),
            "min: -9223372036854775808",
            Verdict::Pass,
        ),
        (
            column(UInt64Array::from(vec![u64::MAX, 0])),
            "max: 18446744073709551615, min: 0",
            Verdict::Pass,
        ),
        (
            column(UInt64Array::from(vec![u64::MAX, 0])),
            "max: 18446744073709551614",
            Verdict::Fail,
        ),
        (decimal(vec![10, 20, 30]), "min: 0.1, max: 0.3", Verdict::Pass),
        (decimal(vec![10, 20, 30]), "min: 0.1, exclusiveMax: 0.3", Verdict::Fail),
        (decimal(vec![10, 20, 30]), "min: 0.101", Verdict::Fail),
        (column(Float64Array::from(vec![0.1, 0.2])), "min: 0.1", Verdict::Pass),
        // Not a number lies in no range.
        (
            column(Float64Array::from(vec![0.1, f64::NAN])),
            "min: 0.1",
            Verdict::Fail,
        ),
        (
            column(Float64Array::from(vec![0.1, f64::INFINITY])),
            "min: 0",
            Verdict::Pass,
        ),
        (
            column(Date32Array::from(vec![0, 1])),
            "min: 1970-01-01, max: 1970-01-02",
            Verdict::Pass,
        ),
        (column(Date32Array::from(vec![0, 1])), "min: 1970-01-02", Verdict::Fail),
        (
            column(Time64MicrosecondArray::from(vec![0, 3_600_000_000])),
            "max: '01:00:00'",
            Verdict::Pass,
        ),
        (
            column(Time64MicrosecondArray::from(vec![0, 3_600_000_000])),
            "max: '00:59:59'",
            Verdict::Fail,
        ),
        (
            micros(None),
            "min: 1970-01-01, max: '1970-01-01T00:00:01.5'",
            Verdict::Pass,
        ),
        (micros(None), "max: '1970-01-01T00:00:01'", Verdict::Fail),
        (
            micros(Some("Europe/Berlin")),
            "min: '1970-01-01T01:00:00+01:00'",
            Verdict::Pass,
        ),
        // A bound without a zone says nothing of instants.
        (micros(Some("Europe/Berlin")), "min: 1970-01-01", Verdict::CannotTell),
        (micros(None), "min: '1970-01-01T00:00:00Z'", Verdict::CannotTell),
        (
            column(StringArray::from(vec![Some("a"), Some("b")])),
            "min: a, max: b",
            Verdict::Pass,
        ),
        (
            column(StringArray::from(vec![Some("a"), Some("b")])),
            "min: 1",
            Verdict::CannotTell,
        ),
        (column(words), "min: b", Verdict::Pass),
        (column(BooleanArray::from(vec![true])), "min: 0", Verdict::CannotTell),
        (column(Int32Array::from(vec![None, None])), "min: 5", Verdict::Pass),
    ];
    for (array, range, expected) in table {
        let contract = format!("columns:\n  c: {{{range}}}\n");
        let key = range.split(':').next().unwrap();
        let key = if range.contains("min:") && key != "min" {
            "min"
        } else {
            key
        };
        let about = format!("{range} of {}", array.data_type());
        assert_eq!(
            verdict(vec![("c", array)], &contract, &format!("c.{key}")),
            expected,
            "{about}"
        );
    }
}

#[test]
fn uniqueness_is_exact() {
    let contract = "columns:\n  c: {unique: true}\n";
    let long = "x".repeat(100_000);
    let table: Vec<(ArrayRef, Verdict)> = vec![
        (
            column(Int64Array::from(vec![Some(1), Some(2), None, None])),
            Verdict::Pass,
        ),
        (column(Int64Array::from(vec![1, 2, 1])), Verdict::Fail),
        (column(Int64Array::from(vec![i64::MIN, i64::MAX, 0])), Verdict::Pass),
        (
            column(Int64Array::from(vec![i64::MIN, i64::MAX, i64::MIN])),
            Verdict::Fail,
        ),
        (column(StringArray::from(vec!["", "a", "b"])), Verdict::Pass),
        (column(StringArray::from(vec!["", "a", ""])), Verdict::Fail),
        (
            column(StringArray::from(vec![long.clone(), format!("{long}y")])),
            Verdict::Pass,
        ),
        (
            column(StringArray::from(vec![long.clone(), long.clone()])),
            Verdict::Fail,
        ),
        (column(Float64Array::from(vec![0.0, -0.0])), Verdict::Fail),
        (column(Float64Array::from(vec![f64::NAN, f64::NAN])), Verdict::Fail),
        (column(BooleanArray::from(vec![true, false])), Verdict::Pass),
        (column(Date32Array::from(vec![0, 1, 0])), Verdict::Fail),
        (
            column(
                Decimal128Array::from(vec![1, 2])
                    .with_precision_and_scale(38, 10)
                    .unwrap(),
            ),
            Verdict::Pass,
        ),
        (column(TimestampMicrosecondArray::from(vec![5, 6, 5])), Verdict::Fail),
    ];
    for (array, expected) in table {
        let about = format!("{array:?}");
        assert_eq!(verdict(vec![("c", array)], contract, "c.unique"), expected, "{about}");
    }
}

#[test]
fn repeated_rows_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let one = column(Int64Array::from(vec![Some(1), Some(1), Some(1), None, None]));
    let other = column(StringArray::from(vec![
        Some("a"),
        Some("b"),
        Some("a"),
        Some("a"),
        Some("a"),
    ]));
    parquet(&file, vec![("one", one), ("other", other)], 2);
    let report = run("unique:\n  - [one, other]\n", &file);
    let found = check(&report, "one+other.unique");
    assert_eq!(
        (found.verdict, found.considered, found.unexpected),
        (Verdict::Fail, Some(3), Some(2))
    );
    let rows: Vec<u64> = found.examples.iter().map(|example| example.row).collect();
    assert_eq!(rows, [1, 3]);
    assert_eq!(found.examples[1].values["other"], "a");
}

#[test]
fn nested_columns_are_refused_but_for_their_nulls() {
    let lists = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(vec![
        Some(vec![Some(1)]),
        None,
        Some(vec![]),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("c", column(lists))], 8);
    let report = run(
        "columns:\n  c: {required: true, unique: true, min: 1, type: array}\n",
        &file,
    );
    let verdicts: Vec<Verdict> = ["c.required", "c.unique", "c.min", "c.type"]
        .iter()
        .map(|id| check(&report, id).verdict)
        .collect();
    assert_eq!(
        verdicts,
        [Verdict::Fail, Verdict::CannotTell, Verdict::CannotTell, Verdict::Pass]
    );
    assert_eq!(check(&report, "c.required").unexpected, Some(1));
    assert!(check(&report, "c.min").reason.as_ref().unwrap().contains("nested"));
}

#[test]
fn freshness_wants_a_zone() {
    // 2026-01-31T23:00:00, an hour before the time of the run when it is UTC.
    let at = || TimestampMicrosecondArray::from(vec![Some(1_769_900_400_000_000), Some(0), None]);
    let day = || column(Date32Array::from(vec![20_484]));
    let table: Vec<(ArrayRef, &str, Verdict)> = vec![
        (column(at()), "maxAge: 1h, timezone: UTC", Verdict::Pass),
        (column(at()), "maxAge: 59m, timezone: UTC", Verdict::Fail),
        (column(at()), "maxAge: 1h", Verdict::CannotTell),
        (column(at()), "maxAge: 2h, timezone: Europe/Berlin", Verdict::Pass),
        (column(at()), "maxAge: 119m, timezone: Europe/Berlin", Verdict::Fail),
        (column(at().with_timezone("UTC")), "maxAge: 1h", Verdict::Pass),
        (day(), "maxAge: 1d, timezone: UTC", Verdict::Pass),
        (day(), "maxAge: 23h, timezone: UTC", Verdict::Fail),
        (
            column(StringArray::from(vec!["2026-01-31"])),
            "maxAge: 1h, timezone: UTC",
            Verdict::CannotTell,
        ),
        (
            column(Int64Array::from(vec![1])),
            "maxAge: 1h, timezone: UTC",
            Verdict::CannotTell,
        ),
    ];
    for (array, wanted, expected) in table {
        let about = format!("{wanted} of {}", array.data_type());
        let contract = format!("columns:\n  c: {{{wanted}}}\n");
        assert_eq!(verdict(vec![("c", array)], &contract, "c.maxAge"), expected, "{about}");
    }
}

#[test]
fn missing_and_repeated_columns_cannot_be_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let ones = || column(Int32Array::from(vec![1]));
    parquet(&file, vec![("amount", ones()), ("twice", ones()), ("twice", ones())], 8);
    let report = run(
        "columns:\n  amuont: {required: true}\n  twice: {required: true}\nextraColumns: false\n",
        &file,
    );
    let missing = check(&report, "amuont.required");
    assert_eq!(missing.verdict, Verdict::CannotTell);
    assert!(
        missing.reason.as_ref().unwrap().contains("did you mean `amount`"),
        "{missing:?}"
    );
    assert_eq!(check(&report, "amuont.exists").verdict, Verdict::Fail);
    let twice = check(&report, "twice.required");
    assert!(twice.reason.as_ref().unwrap().contains("more than once"), "{twice:?}");
    assert!(!report.passed());
}

#[test]
fn footers_answer_what_they_can() {
    // Rows of the second group only break the range; without footers all of them would be read.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let values: Vec<Option<i64>> = (0..100).map(|row| (row != 55).then_some(row)).collect();
    parquet(&file, vec![("c", column(Int64Array::from(values)))], 50);
    let report = run("columns:\n  c: {min: 0, max: 70, required: true}\n", &file);
    let range = check(&report, "c.min");
    assert_eq!((range.considered, range.unexpected), (Some(99), Some(29)));
    assert_eq!(range.examples[0].row, 72);
    assert_eq!(range.examples.len(), 20);
    let required = check(&report, "c.required");
    assert_eq!((required.considered, required.unexpected), (Some(100), Some(1)));
    assert_eq!(required.examples[0].row, 56);
}

#[test]
fn older_suites_read_texts_as_dates() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let days = StringArray::from(vec![
        Some("Jan 1 2020"),
        Some("2020-01-02"),
        None,
        Some("01/03/2020 10:00"),
    ]);
    let odd = StringArray::from(vec![Some("Jan 1 2020"), Some("yesterday"), None, None]);
    parquet(&file, vec![("day", column(days)), ("odd", column(odd))], 2);
    let verdict = |kind: &str, kwargs: &str| {
        let suite = format!(
            "{{\"expectation_suite_name\": \"s\", \"expectations\": [{{\"expectation_type\": \"{kind}\", \"kwargs\": {{\"parse_strings_as_datetimes\": true, {kwargs}}}}}]}}"
        );
        let report = run(&suite, &file);
        (report.checks[0].verdict, report.checks[0].unexpected)
    };
    let between = "expect_column_values_to_be_between";
    let day = "\"column\": \"day\"";
    let both = |min: &str, max: &str| format!("{day}, \"min_value\": \"{min}\", \"max_value\": \"{max}\"");
    assert_eq!(
        verdict(between, &both("Jan 1 2020", "2020-01-04")),
        (Verdict::Pass, Some(0))
    );
    assert_eq!(
        verdict(between, &both("1/2/2020", "2020-01-03")),
        (Verdict::Fail, Some(2))
    );
    assert_eq!(verdict(between, &both("soon", "tomorrow")).0, Verdict::CannotTell);
    let odd = "\"column\": \"odd\", \"min_value\": \"2020-01-01\"";
    assert_eq!(verdict(between, odd).0, Verdict::CannotTell);
    assert_eq!(
        verdict("expect_column_values_to_be_increasing", day),
        (Verdict::Pass, Some(0))
    );
    assert_eq!(
        verdict("expect_column_max_to_be_between", &both("Jan 3 2020", "Jan 4 2020")).0,
        Verdict::Pass
    );
    let set = format!("{day}, \"value_set\": [\"2020-01-01\", \"2 Jan 2020\", \"2020-01-03T10:00:00\"]");
    assert_eq!(
        verdict("expect_column_values_to_be_in_set", &set),
        (Verdict::Pass, Some(0))
    );
    assert_eq!(
        verdict("expect_column_distinct_values_to_equal_set", &set).0,
        Verdict::Pass
    );
    // It says nothing to what compares no values.
    assert_eq!(
        verdict("expect_column_values_to_be_unique", "\"column\": \"odd\"").0,
        Verdict::Pass
    );
}
