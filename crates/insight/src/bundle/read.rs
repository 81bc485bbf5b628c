//! Reading a bundle: nothing in it is believed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use stoke_eventlog::Report;
use stoke_eventlog::event::{self, Line as EventLine};

use super::{Bundle, EVENT_LOG, FORMAT, INDEX, Index, OBJECTS, VERSION};
use crate::facts::collect::Collector;
use crate::facts::log::{HEAD, Line, TAIL, WIDTH};
use crate::facts::{Cluster, Facts, Log, Objects, Run};

/// Bytes an index may have.
const MAX_INDEX: u64 = 16 << 20;
/// Bytes the objects may have.
const MAX_OBJECTS: u64 = 256 << 20;
/// Bytes the logs may have in all.
const MAX_LOGS: u64 = 1 << 30;
/// Bytes the event log may have.
const MAX_EVENT_LOG: u64 = 64 << 30;
/// Bytes a line of the event log may have.
const MAX_LINE: u64 = 1 << 30;
/// Logs it may have.
const MAX_FILES: usize = 10_000;

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is not there, or reading failed.
    #[error("{place}: {error}")]
    Io {
        /// The file.
        place: String,
        /// What the system says.
        error: io::Error,
    },
    /// It is not an archive, or a damaged one.
    #[error("it is not a bundle, or was damaged on its way: {0}")]
    Archive(String),
    /// Its index is of something else.
    #[error("it is not a bundle of Stoke: {0}")]
    Foreign(String),
    /// It is of a newer Stoke.
    #[error("it has version {found} of the format, and this Stoke reads up to {VERSION}: read it with a newer one")]
    Newer {
        /// Its version.
        found: u32,
    },
    /// A file of it is missing or is not what the index says.
    #[error("{file}: {why}")]
    Damaged {
        /// The file in the bundle.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A file of it is larger than anything Stoke writes.
    #[error("{file} is larger than {limit} bytes, the most that is read")]
    TooLarge {
        /// The file in the bundle.
        file: String,
        limit: u64,
    },
}

impl BundleError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            BundleError::Io { .. } => "stoke::bundle::io",
            BundleError::Archive(_) => "stoke::bundle::archive",
            BundleError::Foreign(_) => "stoke::bundle::foreign",
            BundleError::Newer { .. } => "stoke::bundle::newer",
            BundleError::Damaged { .. } => "stoke::bundle::damaged",
            BundleError::TooLarge { .. } => "stoke::bundle::too-large",
        }
    }
}

/// Reads a bundle.
///
/// # Errors
/// When it is none, is damaged, or is larger than the limits.
pub fn read(from: impl Read + Seek) -> Result<Bundle, BundleError> {
    let archive = zip::ZipArchive::new(from).map_err(|error| BundleError::Archive(error.to_string()))?;
    gather(&mut Zip(archive))
}

/// Reads what a bundle has, and nothing else of it.
///
/// # Errors
/// As [`read`].
pub fn read_index(from: impl Read + Seek) -> Result<Index, BundleError> {
    let archive = zip::ZipArchive::new(from).map_err(|error| BundleError::Archive(error.to_string()))?;
    index(&mut Zip(archive))
}

/// Reads the Kubernetes objects a bundle has, and no logs.
///
/// # Errors
/// As [`read`].
pub fn read_objects(from: impl Read + Seek) -> Result<Option<Objects>, BundleError> {
    let archive = zip::ZipArchive::new(from).map_err(|error| BundleError::Archive(error.to_string()))?;
    let mut files = Zip(archive);
    let index = index(&mut files)?;
    objects(&mut files, &index)
}

/// Reads a bundle that was unpacked.
///
/// # Errors
/// As [`read`].
pub fn read_directory(path: &Path) -> Result<Bundle, BundleError> {
    if !path.join(INDEX).is_file() {
        return Err(BundleError::Foreign(format!("{} has no {INDEX}", path.display())));
    }
    gather(&mut Directory(path.to_owned()))
}

/// Where the files of a bundle are.
trait Files {
    /// A file; none when there is none of that name.
    fn open<'a>(&'a mut self, name: &str) -> Result<Option<Box<dyn Read + 'a>>, BundleError>;
}

struct Zip<R: Read + Seek>(zip::ZipArchive<R>);

impl<R: Read + Seek> Files for Zip<R> {
    fn open<'a>(&'a mut self, name: &str) -> Result<Option<Box<dyn Read + 'a>>, BundleError> {
        match self.0.by_name(name) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(zip::result::ZipError::FileNotFound) => Ok(None),
            Err(error) => Err(damaged(name, error)),
        }
    }
}

struct Directory(PathBuf);

impl Files for Directory {
    fn open<'a>(&'a mut self, name: &str) -> Result<Option<Box<dyn Read + 'a>>, BundleError> {
        // The index is not ours to trust: only names of the format lead to files.
        let plain = name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains('\\'));
        if !plain {
            return Err(damaged(name, "is not the name of a file of a bundle"));
        }
        match File::open(self.0.join(name)) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BundleError::Io {
                place: self.0.join(name).display().to_string(),
                error,
            }),
        }
    }
}

fn damaged(file: &str, why: impl ToString) -> BundleError {
    BundleError::Damaged {
        file: file.to_owned(),
        why: why.to_string(),
    }
}

fn index(files: &mut dyn Files) -> Result<Index, BundleError> {
    let Some(text) = whole(files, INDEX, MAX_INDEX)? else {
        return Err(BundleError::Foreign(format!("it has no {INDEX}")));
    };
    let index: Index =
        serde_json::from_slice(&text).map_err(|error| BundleError::Foreign(format!("{INDEX}: {error}")))?;
    if index.format != FORMAT {
        return Err(BundleError::Foreign(format!(
            "{INDEX} says that its format is {:?}",
            index.format
        )));
    }
    if index.version > VERSION {
        return Err(BundleError::Newer { found: index.version });
    }
    if index.logs.len() > MAX_FILES {
        return Err(damaged(INDEX, format!("it names {} logs", index.logs.len())));
    }
    Ok(index)
}

fn objects(files: &mut dyn Files, index: &Index) -> Result<Option<Objects>, BundleError> {
    if !index.objects {
        return Ok(None);
    }
    let text = whole(files, OBJECTS, MAX_OBJECTS)?.ok_or_else(|| damaged(OBJECTS, "is missing"))?;
    serde_json::from_slice(&text).map_err(|error| damaged(OBJECTS, error))
}

fn gather(files: &mut dyn Files) -> Result<Bundle, BundleError> {
    let index = index(files)?;
    let objects = objects(files, &index)?;
    let mut left = MAX_LOGS;
    let mut logs = Vec::new();
    for entry in &index.logs {
        let text = whole(files, &entry.file, left)?.ok_or_else(|| damaged(&entry.file, "is missing"))?;
        left -= text.len() as u64;
        let text = String::from_utf8_lossy(&text);
        let numbers = entry
            .lines
            .iter()
            .flat_map(|(first, count)| *first..first.saturating_add(*count));
        let lines = text.lines().zip(numbers).take(HEAD + TAIL);
        let lines = lines.map(|(line, number)| Line {
            number,
            text: line[..line.floor_char_boundary(WIDTH)].to_owned(),
        });
        logs.push(Log {
            role: entry.role(),
            source: entry.source.clone(),
            lines: lines.collect(),
            left_out: entry.left_out,
        });
    }
    let run = match index.event_log {
        true => Some(event_log(files)?),
        false => None,
    };
    let facts = Facts {
        run,
        cluster: objects.clone().map(Cluster::of_objects),
        logs,
        now: index.gathered,
    };
    Ok(Bundle { index, objects, facts })
}

/// A whole file, if it is there and not larger than `limit`.
fn whole(files: &mut dyn Files, name: &str, limit: u64) -> Result<Option<Vec<u8>>, BundleError> {
    let Some(file) = files.open(name)? else { return Ok(None) };
    let mut text = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut text)
        .map_err(|error| damaged(name, error))?;
    match text.len() as u64 > limit {
        true => Err(BundleError::TooLarge {
            file: name.to_owned(),
            limit,
        }),
        false => Ok(Some(text)),
    }
}

/// The run of the event log, line by line.
fn event_log(files: &mut dyn Files) -> Result<Run, BundleError> {
    let Some(file) = files.open(EVENT_LOG)? else {
        return Err(damaged(EVENT_LOG, "is missing"));
    };
    let too_large = |limit| BundleError::TooLarge {
        file: EVENT_LOG.to_owned(),
        limit,
    };
    let mut file = BufReader::new(file.take(MAX_EVENT_LOG));
    let (mut collector, mut report, mut line) = (Collector::default(), Report::default(), Vec::new());
    loop {
        line.clear();
        let length = (&mut file)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|error| damaged(EVENT_LOG, error))?;
        if length == 0 {
            break;
        }
        report.bytes += length as u64;
        if length as u64 == MAX_LINE {
            return Err(too_large(MAX_LINE));
        }
        if report.bytes >= MAX_EVENT_LOG {
            return Err(too_large(MAX_EVENT_LOG));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        match event::parse(text) {
            Ok(EventLine::Event(event)) => {
                collector.apply(event);
                report.events += 1;
            }
            Ok(EventLine::Unknown(name)) => *report.unknown.entry(name).or_default() += 1,
            Err(_) => report.bad_lines += 1,
        }
    }
    Ok(collector.finish(&report))
}
