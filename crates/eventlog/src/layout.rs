//! Which event logs a directory holds, told from names alone.
//!
//! Spark writes a log either as one file, `APP[_ATTEMPT][.CODEC][.inprogress]`, or rolling, as a directory `eventlog_v2_APP[_ATTEMPT]` of
//! `events_N_APP[_ATTEMPT][.CODEC][.compact]` and an empty `appstatus_APP[_ATTEMPT][.inprogress]`
//! (`EventLogFileWriters.scala`, `EventLogFileReaders.scala`). The id in a name is only a guess: the log itself says whose it is.

use std::collections::BTreeMap;

pub use stoke_storage::Entry;

use crate::codec::Codec;

/// Ends the name of a log that is still being written, or whose driver died.
pub const IN_PROGRESS: &str = ".inprogress";
const COMPACT: &str = ".compact";
const ROLLING: &str = "eventlog_v2_";
const EVENTS: &str = "events_";
const STATUS: &str = "appstatus_";

/// A file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub entry: Entry,
    /// Its place in a rolling log, from 1; 1 for a single file.
    pub index: u64,
    /// How it is compressed.
    pub codec: Codec,
    /// What older files were compacted into.
    pub compact: bool,
}

/// One attempt's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The file, or the directory of a rolling log, below the listed directory.
    pub path: String,
    /// Its files, to be read in this order. Files that a compacted one stands for are not among them.
    pub parts: Vec<Part>,
    /// Files a compacted one stands for: not read, but part of what the application wrote.
    pub superseded: Vec<Part>,
    /// The `appstatus_` file of a rolling log.
    pub status: Option<Entry>,
    /// Whether it is a directory.
    pub rolling: bool,
    /// Whether its name says that the application has not ended.
    pub in_progress: bool,
    /// Places missing between the first and the last file of a rolling log.
    pub missing: Vec<u64>,
}

impl Log {
    /// Bytes it takes, compressed as they are.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.entry.size).sum()
    }

    /// When the file that grows was changed, in milliseconds since 1970.
    pub fn modified(&self) -> i64 {
        self.last().map_or(0, |entry| entry.modified)
    }

    /// The file that grows.
    pub fn last(&self) -> Option<&Entry> {
        self.parts.last().map(|part| &part.entry)
    }
}

/// Finds the logs of a listing, sorted by path. Files that are not logs (hidden ones, empty ones, files deeper down) are passed over.
pub fn logs(entries: impl IntoIterator<Item = Entry>) -> Vec<Log> {
    let mut single = Vec::new();
    let mut rolling: BTreeMap<String, Vec<(String, Entry)>> = BTreeMap::new();
    for entry in entries {
        match entry.path.split_once('/') {
            None => single.extend(of_file(entry)),
            Some((directory, name)) if directory.starts_with(ROLLING) && !name.contains('/') => {
                let (directory, name) = (directory.to_owned(), name.to_owned());
                rolling.entry(directory).or_default().push((name, entry));
            }
            Some(_) => {}
        }
    }
    single.extend(
        rolling
            .into_iter()
            .filter_map(|(directory, files)| of_directory(directory, files)),
    );
    single.sort_by(|a, b| a.path.cmp(&b.path));
    single
}

fn of_file(entry: Entry) -> Option<Log> {
    if entry.path.starts_with('.') || entry.size == 0 {
        return None;
    }
    let in_progress = entry.path.ends_with(IN_PROGRESS);
    let codec = Codec::of_name(entry.path.trim_end_matches(IN_PROGRESS));
    Some(Log {
        path: entry.path.clone(),
        parts: vec![Part {
            entry,
            index: 1,
            codec,
            compact: false,
        }],
        superseded: Vec::new(),
        status: None,
        rolling: false,
        in_progress,
        missing: Vec::new(),
    })
}

fn of_directory(path: String, files: Vec<(String, Entry)>) -> Option<Log> {
    let mut parts = Vec::new();
    let mut status = None;
    let mut in_progress = false;
    for (name, entry) in files {
        if name.starts_with(STATUS) {
            in_progress = name.ends_with(IN_PROGRESS);
            status = Some(entry);
        } else if let Some(index) = index_of(&name) {
            let compact = name.ends_with(COMPACT);
            let codec = Codec::of_name(name.trim_end_matches(COMPACT));
            parts.push(Part {
                entry,
                index,
                codec,
                compact,
            });
        }
    }
    // Spark itself takes a directory without its status file for no log.
    status.as_ref()?;
    parts.sort_by_key(|part| (part.index, part.compact));
    // The last compacted file stands for everything up to it.
    let begin = parts.iter().rposition(|part| part.compact).unwrap_or(0);
    let kept = parts.split_off(begin);
    let missing = kept
        .windows(2)
        .flat_map(|pair| pair[0].index + 1..pair[1].index.max(pair[0].index + 1))
        .take(64)
        .collect();
    match kept.iter().any(|part| part.entry.size > 0) {
        true => Some(Log {
            path,
            parts: kept,
            superseded: parts,
            status,
            rolling: true,
            in_progress,
            missing,
        }),
        false => None,
    }
}

/// `7` of `events_7_local-1.zstd`.
fn index_of(name: &str) -> Option<u64> {
    name.strip_prefix(EVENTS)?.split_once('_')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        sized(path, 10)
    }

    fn sized(path: &str, size: u64) -> Entry {
        Entry {
            path: path.to_owned(),
            size,
            modified: 5,
            tag: None,
        }
    }

    #[test]
    fn single_files() {
        let found = logs([
            entry("application_1_2_3"),
            entry("local-1.zstd.inprogress"),
            entry(".hidden"),
            sized("empty", 0),
            entry("some/other/file"),
        ]);
        let told: Vec<_> = found
            .iter()
            .map(|log| (log.path.as_str(), log.in_progress, log.parts[0].codec))
            .collect();
        assert_eq!(
            told,
            [
                ("application_1_2_3", false, Codec::Plain),
                ("local-1.zstd.inprogress", true, Codec::Zstd)
            ]
        );
    }

    #[test]
    fn a_rolling_log_is_read_in_the_order_of_its_numbers() {
        let found = logs([
            entry("eventlog_v2_a/events_10_a.zstd"),
            entry("eventlog_v2_a/events_9_a.zstd"),
            entry("eventlog_v2_a/events_12_a.zstd"),
            sized("eventlog_v2_a/appstatus_a.inprogress", 0),
        ]);
        assert_eq!(found.len(), 1);
        let indices: Vec<_> = found[0].parts.iter().map(|part| part.index).collect();
        assert_eq!(
            (indices, found[0].in_progress, &found[0].missing[..]),
            (vec![9, 10, 12], true, &[11][..])
        );
        assert_eq!(found[0].parts[0].codec, Codec::Zstd);
    }

    #[test]
    fn a_compacted_file_stands_for_those_before_it() {
        let found = logs([
            entry("eventlog_v2_a/events_1_a"),
            entry("eventlog_v2_a/events_2_a"),
            entry("eventlog_v2_a/events_2_a.compact"),
            entry("eventlog_v2_a/events_3_a"),
            sized("eventlog_v2_a/appstatus_a", 0),
        ]);
        let read: Vec<_> = found[0].parts.iter().map(|part| (part.index, part.compact)).collect();
        let left: Vec<_> = found[0].superseded.iter().map(|part| part.index).collect();
        assert_eq!((read, left), (vec![(2, true), (3, false)], vec![1, 2]));
    }

    #[test]
    fn a_directory_without_status_is_no_log() {
        assert_eq!(logs([entry("eventlog_v2_a/events_1_a")]), []);
    }
}
