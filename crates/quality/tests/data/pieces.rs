//! Data that threads share: files of text in blocks, and one row group divided by its columns.

use arrow_array::{Int64Array, StringArray};
use stoke_quality::{Options, Storage, Verdict};

use crate::support::{check, column, options, parquet, read, run};

/// CSV of several blocks, with line ends in quotes.
fn text(rows: usize) -> String {
    let mut text = String::from("id,number,note\n");
    for row in 0..rows {
        let number = if row % 100_000 == 77_777 { -1 } else { row as i64 };
        let note = if row % 3 == 0 {
            "\"a, long\nnote of \"\"two\"\" lines, as\nthey go\""
        } else {
            "plain"
        };
        text.push_str(&format!("{row},{number},{note}\n"));
    }
    text
}

const CONTRACT: &str = "rows: {min: 250000, max: 250000}\ncolumns:\n  id: {type: bigint, required: true, unique: true}\n  number: {type: bigint, min: 0}\n  note: {type: string, in: [plain, \"a, long\\nnote of \\\"two\\\" lines, as\\nthey go\"]}\n";

#[test]
fn blocks_of_csv_are_read_beside_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.csv");
    std::fs::write(&file, text(250_000)).unwrap();
    for threads in [1, 3] {
        let options = Options {
            threads: Some(threads),
            ..options()
        };
        let report = stoke_quality::run(&read(CONTRACT), &Storage::local(&file), &options).unwrap();
        assert_eq!(report.data.rows, Some(250_000));
        let range = check(&report, "number.min");
        assert_eq!((range.considered, range.unexpected), (Some(250_000), Some(2)));
        // Rows are numbered in the file, whoever read them.
        let rows: Vec<u64> = range.examples.iter().map(|example| example.row).collect();
        assert_eq!(rows, [77_778, 177_778]);
        assert_eq!(check(&report, "id.unique").verdict, Verdict::Pass);
        assert_eq!(check(&report, "note.in").verdict, Verdict::Pass);
    }
}

#[test]
fn orders_go_across_blocks_and_errors_name_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.csv");
    std::fs::write(&file, text(250_000)).unwrap();
    let suite = "{\"name\": \"s\", \"expectations\": [{\"type\": \"expect_column_values_to_be_increasing\", \"kwargs\": {\"column\": \"number\"}}]}";
    let report = run(suite, &file);
    let order = &report.checks[0];
    assert_eq!((order.considered, order.unexpected), (Some(250_000), Some(2)));
    assert_eq!(
        order.examples.iter().map(|example| example.row).collect::<Vec<_>>(),
        [77_778, 177_778]
    );
    let mut broken = text(250_000);
    broken.push_str("1,2\n");
    std::fs::write(&file, &broken).unwrap();
    let report = run(CONTRACT, &file);
    assert_eq!(report.data.rows, None);
    let reason = check(&report, "number.min").reason.clone().unwrap();
    assert!(reason.contains("line 250002, expected 3 got 2"), "{reason}");
}

#[test]
fn one_row_group_is_divided_by_its_columns() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let names: Vec<String> = (0..5000).map(|row| format!("name {row}")).collect();
    parquet(
        &file,
        vec![
            ("a", column((0..5000).map(|row| row % 4999).collect::<Int64Array>())),
            ("b", column((0..5000).collect::<Int64Array>())),
            ("c", column(StringArray::from(names))),
        ],
        5000,
    );
    let contract = "rows: {min: 5000, max: 5000}\nunique:\n- [a, b]\ncolumns:\n  a: {unique: true, required: true}\n  b: {max: 4000}\n  c: {pattern: '^name', minLength: 6}\n";
    for threads in [1, 2, 4, 16] {
        let options = Options {
            threads: Some(threads),
            ..options()
        };
        let report = stoke_quality::run(&read(contract), &Storage::local(&file), &options).unwrap();
        assert_eq!(report.data.rows, Some(5000), "{threads}");
        let count = |id: &str| (check(&report, id).considered, check(&report, id).unexpected);
        assert_eq!(count("a.unique"), (Some(5000), Some(2)));
        assert_eq!(count("a+b.unique"), (Some(5000), Some(0)));
        assert_eq!(count("b.max"), (Some(5000), Some(999)));
        assert_eq!(count("c.pattern"), (Some(5000), Some(0)));
        assert_eq!(count("c.minLength"), (Some(5000), Some(0)));
    }
}
