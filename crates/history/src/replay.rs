//! From a log to an application, from its beginning or from where reading stopped.

use std::io::Read;

use serde::{Deserialize, Serialize};
use stoke_eventlog::layout::IN_PROGRESS;
use stoke_eventlog::{Event, Log, Options, Part, Report, Source, StorageError, read_log};
use twox_hash::XxHash64;

use crate::model::{Application, Limits};

/// An application and how far its log was read.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    pub application: Application,
    /// Where reading stopped.
    pub position: Position,
    /// What was read just now and what was not.
    pub report: Report,
}

/// How far a log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The last file that was read.
    file: String,
    /// Bytes of text of it that were read: whole lines.
    text: u64,
    /// Its size then.
    size: u64,
    /// The file the log began with.
    first: String,
    /// How that file began: its length then, up to [`HEAD`], and the sum of these bytes.
    head: (u64, u64),
}

/// Bytes at the beginning of a log that tell it from another of its name: the start of its application is among them.
const HEAD: u64 = 32 << 10;

/// A file's name, whether it is still written or not.
fn name(part: &Part) -> &str {
    let path = part.entry.path.as_str();
    path.strip_suffix(IN_PROGRESS).unwrap_or(path)
}

/// The sum of the first bytes of a file; nothing when it has fewer or cannot be read.
fn sum_of_head(source: &Source, part: &Part, length: u64) -> Option<u64> {
    let mut bytes = Vec::new();
    let read = source.open(&part.entry, 0).ok()?.take(length).read_to_end(&mut bytes);
    (read.ok()? as u64 == length).then(|| XxHash64::oneshot(0, &bytes))
}

impl Position {
    /// Whether `log` is the one that was read, grown since.
    pub fn can_resume(&self, source: &Source, log: &Log) -> bool {
        let first = log.parts.first().filter(|part| name(part) == self.first);
        let read = log.parts.iter().find(|part| name(part) == self.file);
        read.is_some_and(|part| part.entry.size >= self.size)
            && first.is_some_and(|part| sum_of_head(source, part, self.head.0) == Some(self.head.1))
    }
}

/// Replays a log from its beginning.
///
/// # Errors
/// When a file of it cannot be opened.
pub fn replay(source: &Source, log: &Log, limits: Limits, options: Options) -> Result<Replayed, StorageError> {
    begin(source, log, Application::new(limits), options)
}

/// Replays a log from its beginning into an application nothing is known of yet.
///
/// # Errors
/// When a file of it cannot be opened.
pub fn begin(source: &Source, log: &Log, application: Application, options: Options) -> Result<Replayed, StorageError> {
    begin_with(source, log, application, options, |_| {})
}

/// Likewise; `see` is shown each event before it is applied.
pub(crate) fn begin_with(
    source: &Source,
    log: &Log,
    application: Application,
    options: Options,
    see: impl FnMut(&Event) + Send,
) -> Result<Replayed, StorageError> {
    go_on(source, log, application, None, options, see)
}

/// Goes on where reading stopped.
///
/// # Errors
/// When a file of it cannot be opened.
pub fn resume(
    source: &Source,
    log: &Log,
    application: Application,
    position: &Position,
    options: Options,
) -> Result<Replayed, StorageError> {
    go_on(source, log, application, Some(position), options, |_| {})
}

fn go_on(
    source: &Source,
    log: &Log,
    mut application: Application,
    from: Option<&Position>,
    options: Options,
    mut see: impl FnMut(&Event) + Send,
) -> Result<Replayed, StorageError> {
    let mut report = Report::default();
    let mut position = Position::default();
    if let Some(first) = log.parts.first() {
        let length = first.entry.size.min(HEAD);
        position.first = name(first).to_owned();
        position.head = (length, sum_of_head(source, first, length).unwrap_or(0));
    }
    let begin = from
        .and_then(|from| log.parts.iter().position(|part| name(part) == from.file))
        .unwrap_or(0);
    let offset = from
        .filter(|from| log.parts.get(begin).is_some_and(|part| from.file == name(part)))
        .map_or(0, |from| from.text);
    read_log(source, log, (begin, offset), options, &mut report, |event| {
        see(&event);
        application.apply(event);
    })?;
    if let Some(last) = log.parts.last() {
        name(last).clone_into(&mut position.file);
        position.text = report.resume_at;
        position.size = last.entry.size;
    }
    Ok(Replayed {
        application,
        position,
        report,
    })
}
