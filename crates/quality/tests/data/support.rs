//! Data and contracts of the tests.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use stoke_diagnostics::Source;
use stoke_quality::report::CheckResult;
use stoke_quality::{Contract, Options, Report, Storage, contract};

/// Writes a Parquet file with row groups of so many rows.
pub fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>, group: usize) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).unwrap();
    }
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// An array as a column.
pub fn column(array: impl arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// A contract that has nothing wrong.
pub fn read(text: &str) -> Contract {
    let (contract, complaints) = contract::read(&Source::new("contract.yaml", text), None);
    assert!(complaints.is_empty(), "{complaints:?}");
    contract.unwrap()
}

/// A run at a fixed time.
pub fn run(text: &str, data: &Path) -> Report {
    stoke_quality::run(&read(text), &Storage::local(data), &options()).unwrap()
}

pub fn options() -> Options {
    Options::at("2026-02-01T00:00:00Z".parse().unwrap())
}

/// The check of an id.
pub fn check<'a>(report: &'a Report, id: &str) -> &'a CheckResult {
    let found = report.checks.iter().find(|check| check.id == id);
    found.unwrap_or_else(|| {
        panic!(
            "no check {id} in {:?}",
            report.checks.iter().map(|check| &check.id).collect::<Vec<_>>()
        )
    })
}
