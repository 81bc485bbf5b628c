//! What fuzzing drives: no promise to anybody else.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::data::{Dataset, OpenOptions, Storage};

/// A table's directory, gone when it is dropped.
struct Table(PathBuf);

impl Drop for Table {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens a table of these files.
fn open(files: &[(&str, &[u8])]) -> std::io::Result<()> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!(
        "stoke-fuzz-table-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let table = Table(std::env::temp_dir().join(name));
    for (path, bytes) in files {
        let path = table.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        std::fs::write(path, bytes)?;
    }
    let _ = Dataset::open(&Storage::local(&table.0), &OpenOptions::default());
    Ok(())
}

/// The first commit of a Delta table.
pub fn delta(bytes: &[u8]) {
    let _ = open(&[("_delta_log/00000000000000000000.json", bytes)]);
}

/// The metadata file of an Iceberg table.
pub fn iceberg(bytes: &[u8]) {
    let _ = open(&[("metadata/v1.metadata.json", bytes)]);
}

/// The list of manifests of an Iceberg table, and each manifest that it names.
pub fn avro(bytes: &[u8]) {
    let metadata = br#"{"format-version": 2, "location": "/t", "current-snapshot-id": 1, "current-schema-id": 0,
        "schemas": [{"schema-id": 0, "type": "struct", "fields": [{"id": 1, "name": "a", "type": "long", "required": false}]}],
        "snapshots": [{"snapshot-id": 1, "manifest-list": "/t/metadata/list.avro"}]}"#;
    let _ = open(&[
        ("metadata/v1.metadata.json", metadata),
        ("metadata/list.avro", bytes),
        ("metadata/manifest.avro", bytes),
    ]);
}

#[cfg(test)]
mod tests {
    use stoke_testkit::damage::damaged;

    #[test]
    fn damaged_logs_of_delta_are_read_or_refused() {
        damaged("delta", 300, super::delta);
    }

    #[test]
    fn damaged_metadata_of_iceberg_are_read_or_refused() {
        damaged("iceberg", 300, super::iceberg);
    }

    #[test]
    fn damaged_avro_is_read_or_refused() {
        damaged("avro", 300, super::avro);
    }
}
