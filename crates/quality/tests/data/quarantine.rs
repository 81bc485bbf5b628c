//! Rows set aside: each with its reasons, and none lost or doubled.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use stoke_quality::{Options, Report, Storage, Verdict};

use crate::support::{check, column, options, parquet, read};

fn rows(path: &Path) -> Vec<RecordBatch> {
    if !path.exists() {
        return Vec::new();
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap();
    reader.map(Result::unwrap).collect()
}

fn set_aside(contract: &str, data: &Path, to: &Path) -> Report {
    let options = Options {
        quarantine: Some(to.to_owned()),
        ..options()
    };
    stoke_quality::run(&read(contract), &Storage::local(data), &options).unwrap()
}

const CONTRACT: &str =
    "columns:\n  id: {required: true, unique: true}\n  n: {min: 0, mostly: 0.1}\n  t: {in: [a, b]}\n";

fn long(batch: &RecordBatch, name: &str) -> Int64Array {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_row_goes_to_one_place_with_its_reasons(
        data in prop::collection::vec((prop::option::of(0_i64..30), prop::option::of(-3_i64..9), prop::option::of("[abc]")), 1..60),
        group in 1_usize..40,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("in/a.parquet");
        // A number of its own, so that rows can be told.
        let own = Int64Array::from_iter_values(0..data.len() as i64);
        let ids: Int64Array = data.iter().map(|(id, ..)| *id).collect();
        let numbers: Int64Array = data.iter().map(|(_, n, _)| *n).collect();
        let texts: StringArray = data.iter().map(|(.., t)| t.clone()).collect();
        parquet(&file, vec![("own", column(own)), ("id", column(ids)), ("n", column(numbers)), ("t", column(texts))], group);
        let to = directory.path().join("out");
        let report = set_aside(CONTRACT, &directory.path().join("in"), &to);
        let mut expected: Vec<Vec<&str>> = Vec::new();
        for (id, n, t) in &data {
            let mut reasons = Vec::new();
            if id.is_none() {
                reasons.push("id.required");
            }
            if id.is_some() && data.iter().filter(|(other, ..)| other == id).count() > 1 {
                reasons.push("id.unique");
            }
            if n.is_some_and(|n| n < 0) {
                reasons.push("n.min");
            }
            if t.as_deref() == Some("c") {
                reasons.push("t.in");
            }
            expected.push(reasons);
        }
        let mut seen = vec![0; data.len()];
        for batch in rows(&to.join("passed/a.parquet")) {
            prop_assert_eq!(batch.num_columns(), 4);
            for own in long(&batch, "own").values() {
                seen[*own as usize] += 1;
                prop_assert!(expected[*own as usize].is_empty());
            }
        }
        for batch in rows(&to.join("quarantined/a.parquet")) {
            let own = long(&batch, "own");
            let reasons = batch.column_by_name("stoke_reasons").unwrap().as_list::<i32>().clone();
            let numbers = long(&batch, "stoke_row");
            for row in 0..batch.num_rows() {
                let at = own.value(row) as usize;
                seen[at] += 1;
                let reasons = reasons.value(row);
                let reasons: Vec<&str> = reasons.as_string::<i32>().iter().flatten().collect();
                prop_assert_eq!(&reasons, &expected[at]);
                prop_assert_eq!(numbers.value(row), own.value(row) + 1);
                prop_assert_eq!(long(&batch, "id").is_valid(row).then(|| long(&batch, "id").value(row)), data[at].0);
            }
        }
        prop_assert!(seen.iter().all(|count| *count == 1), "{:?}", seen);
        let summary = report.quarantine.unwrap();
        let aside = expected.iter().filter(|reasons| !reasons.is_empty()).count() as u64;
        prop_assert_eq!((summary.quarantined, summary.passed), (aside, data.len() as u64 - aside));
    }
}

#[test]
fn texts_are_set_aside_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("in");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("a.csv"), "id,n\n01,x\n2,5\n").unwrap();
    let to = directory.path().join("out");
    let report = set_aside("columns:\n  id: {type: bigint}\n  n: {type: bigint}\n", &data, &to);
    assert_eq!(check(&report, "n.type").verdict, Verdict::Fail);
    let aside = rows(&to.join("quarantined/a.csv.parquet"));
    assert_eq!(aside[0].column(0).as_string::<i32>().value(0), "01");
    assert_eq!(aside[0].column(1).as_string::<i32>().value(0), "x");
    assert_eq!(rows(&to.join("passed/a.csv.parquet"))[0].num_rows(), 1);
}

#[test]
fn what_could_not_be_told_sets_nothing_aside() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("id", column(Int64Array::from(vec![1])))], 8);
    let to = directory.path().join("out");
    let report = set_aside("columns:\n  id: {min: x}\n", &file, &to);
    assert!(report.quarantine.is_none() && !to.exists());
    assert!(report.quarantine_refused.as_ref().unwrap().contains("id.min"));
    assert!(!report.passed());
}

#[test]
fn a_directory_that_is_there_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("id", column(Int64Array::from(vec![1])))], 8);
    let to = directory.path().join("out");
    std::fs::create_dir_all(&to).unwrap();
    std::fs::write(to.join("mine"), "x").unwrap();
    let options = Options {
        quarantine: Some(to.clone()),
        ..options()
    };
    let error = stoke_quality::run(&read("columns:\n  id: {}\n"), &Storage::local(&file), &options).unwrap_err();
    assert_eq!(error.code(), "stoke::quality::quarantine");
    assert!(to.join("mine").exists());
}
