//! Records as files: `<home>/runbooks/<record>.jsonl`, one line for each entry, on the disk before anything follows from it.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use stoke_observe::runbook::{Entry, Record};

use crate::error::{LaptopError, Outcome};
use crate::home::{Home, create_private};

/// A record and where it is kept.
#[derive(Debug)]
pub struct Journal {
    /// None for a dry run, which leaves nothing.
    file: Option<(PathBuf, File)>,
    record: Record,
}

/// Where records are.
#[must_use]
pub fn directory(home: &Home) -> PathBuf {
    home.root().join("runbooks")
}

fn failed(path: &Path, error: impl std::fmt::Display) -> LaptopError {
    LaptopError::environment("stoke::runbook::record", format!("{}: {error}", path.display()))
}

impl Journal {
    /// A record that is kept nowhere.
    #[must_use]
    pub fn nowhere(opening: Entry) -> Journal {
        Journal {
            file: None,
            record: Record { entries: vec![opening] },
        }
    }

    /// A new record.
    ///
    /// # Errors
    /// It cannot be written, or there is one of that name.
    pub fn create(home: &Home, record: &str, opening: Entry) -> Outcome<Journal> {
        let directory = directory(home);
        create_private(&directory)?;
        let path = directory.join(format!("{record}.jsonl"));
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(|error| failed(&path, error))?;
        claim(&file, record)?;
        let mut journal = Journal {
            file: Some((path, file)),
            record: Record::default(),
        };
        journal.append(opening)?;
        Ok(journal)
    }

    /// A record that is there, to go on with. No other process goes on with it meanwhile.
    ///
    /// # Errors
    /// There is none of that name, it cannot be read, or another process works on it.
    pub fn open(home: &Home, record: &str) -> Outcome<Journal> {
        let path = directory(home).join(format!("{record}.jsonl"));
        let is_name = !record.is_empty() && record.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name || !path.is_file() {
            return Err(
                LaptopError::input("stoke::runbook::no-record", format!("there is no record {record}"))
                    .fix("`stoke runbook records` lists those there are"),
            );
        }
        let mut file = OpenOptions::new()
            .append(true)
            .read(true)
            .open(&path)
            .map_err(|error| failed(&path, error))?;
        claim(&file, record)?;
        let (read, whole) = parse(&path)?;
        // A line that was cut off is removed, so that the next one begins a line of its own.
        file.set_len(whole).map_err(|error| failed(&path, error))?;
        file.seek(std::io::SeekFrom::End(0))
            .map_err(|error| failed(&path, error))?;
        Ok(Journal {
            file: Some((path, file)),
            record: read,
        })
    }

    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Writes a line; it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, entry: Entry) -> Outcome<()> {
        if let Some((path, file)) = &mut self.file {
            let line = serde_json::to_string(&entry).map_err(|error| failed(path, error))? + "\n";
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
            written.map_err(|error| failed(path, error))?;
        }
        self.record.entries.push(entry);
        Ok(())
    }
}

/// Times that a lock is tried for, and the pause between: a program that was started meanwhile holds it until it runs.
const TRIES: (u32, Duration) = (20, Duration::from_millis(50));

fn claim(file: &File, record: &str) -> Outcome<()> {
    for _ in 0..TRIES.0 {
        if file.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(TRIES.1);
    }
    Err(LaptopError::input(
        "stoke::runbook::busy",
        format!("another process works on record {record}"),
    )
    .fix("wait for it, or end it"))
}

/// A record, and how many bytes of its file are whole lines.
fn parse(path: &Path) -> Outcome<(Record, u64)> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(path, error))?;
    let record =
        Record::parse(&text).map_err(|line| failed(path, format!("line {line} is not an entry of a record")))?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    Ok((record, u64::try_from(whole).unwrap_or(0)))
}

/// All records, the last first.
///
/// # Errors
/// One of them cannot be read.
pub fn all(home: &Home) -> Outcome<Vec<Record>> {
    let entries = std::fs::read_dir(directory(home)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let mut records = Vec::new();
    for path in files {
        let (record, _) = parse(&path)?;
        // One that was killed before its first line was whole says nothing.
        if record.opening().is_some() {
            records.push(record);
        }
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.opened()));
    Ok(records)
}
