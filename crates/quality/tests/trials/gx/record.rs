//! What the libraries said, packed: `recorded/<library>.tar.zst` has `cases.jsonl` and the data it speaks of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::{Value, json};
use tempfile::TempDir;

fn archive(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/trials/gx/recorded/{name}.tar.zst"))
}

/// The record's files.
pub fn unpacked(name: &str) -> Result<TempDir, Failed> {
    let path = archive(name);
    let file = std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let directory = tempfile::tempdir()?;
    tar::Archive::new(zstd::Decoder::new(file)?).unpack(&directory)?;
    Ok(directory)
}

/// Fails where the library no longer says what is recorded; writes the record when that is asked for.
pub fn compare(name: &str, live: &Path) -> Result<(), Failed> {
    if std::env::var_os("STOKE_WRITE_RECORDS").is_some() {
        let path = archive(name);
        let mut packed = tar::Builder::new(zstd::Encoder::new(std::fs::File::create(path)?, 19)?);
        packed.mode(tar::HeaderMode::Deterministic);
        for (file, bytes) in files(live)? {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            packed.append_data(&mut header, &file, bytes.as_slice())?;
        }
        packed.into_inner()?.finish()?;
    }
    let recorded = verdicts(unpacked(name)?.path())?;
    let live = verdicts(live)?;
    let differs = recorded.iter().zip(&live).filter(|(recorded, live)| recorded != live);
    let differs: Vec<String> = differs
        .map(|(recorded, live)| format!("{recorded}\n    now {live}"))
        .collect();
    if differs.is_empty() && recorded.len() == live.len() {
        return Ok(());
    }
    let renew = "STOKE_TESTS=full STOKE_WRITE_RECORDS=1 cargo test -p stoke-quality --test great_expectations";
    let counts = format!("{} cases recorded, {} now", recorded.len(), live.len());
    Err(format!(
        "{name} no longer says what is recorded ({counts}); {renew} writes it\n{}",
        differs.join("\n")
    )
    .into())
}

/// The cases with the library's verdicts. The text of an exception is the Python's and not compared.
fn verdicts(directory: &Path) -> Result<Vec<Value>, Failed> {
    let text = std::fs::read_to_string(directory.join("cases.jsonl"))?;
    let cases = text.lines().map(|line| {
        let mut case: Value = serde_json::from_str(line)?;
        case["exception"] = json!(!case["exception"].is_null());
        Ok(case)
    });
    cases.collect()
}

/// Files of a directory, by their names below it.
fn files(directory: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Failed> {
    let (mut found, mut left) = (BTreeMap::new(), vec![directory.to_path_buf()]);
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(directory)?.to_path_buf(), std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
