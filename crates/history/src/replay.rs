//! From a log to an application, from its beginning or from where reading stopped.

use serde::{Deserialize, Serialize};
use stoke_eventlog::read::Input;
use stoke_eventlog::{Log, Options, Report, Source, SourceError, read};

use crate::model::{Application, Limits};

/// An application and how far its log was read.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// The application.
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
}

impl Position {
    /// Whether `log` is the one that was read, grown since.
    pub fn can_resume(&self, log: &Log) -> bool {
        let first = log.parts.first().is_some_and(|part| part.entry.path == self.first);
        let read = log.parts.iter().find(|part| part.entry.path == self.file);
        first && read.is_some_and(|part| part.entry.size >= self.size)
    }
}

/// Replays a log from its beginning.
///
/// # Errors
/// When a file of it cannot be opened.
pub fn replay(source: &Source, log: &Log, limits: Limits, options: Options) -> Result<Replayed, SourceError> {
    begin(source, log, Application::new(limits), options)
}

/// Replays a log from its beginning into an application nothing is known of yet.
///
/// # Errors
/// When a file of it cannot be opened.
pub fn begin(source: &Source, log: &Log, application: Application, options: Options) -> Result<Replayed, SourceError> {
    go_on(source, log, application, None, options)
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
) -> Result<Replayed, SourceError> {
    go_on(source, log, application, Some(position), options)
}

fn go_on(
    source: &Source,
    log: &Log,
    mut application: Application,
    from: Option<&Position>,
    options: Options,
) -> Result<Replayed, SourceError> {
    let mut report = Report::default();
    let mut position = Position {
        first: log
            .parts
            .first()
            .map(|part| part.entry.path.clone())
            .unwrap_or_default(),
        ..Position::default()
    };
    let begin = from
        .and_then(|from| log.parts.iter().position(|part| part.entry.path == from.file))
        .unwrap_or(0);
    for (place, part) in log.parts.iter().enumerate().skip(begin) {
        let offset = from
            .filter(|from| from.file == part.entry.path)
            .map_or(0, |from| from.text);
        let input = Input {
            name: &part.entry.path,
            offset,
            text: source.text(part, offset)?,
        };
        let last = place + 1 == log.parts.len();
        read(input, options, &mut report, last, |event| application.apply(event));
        position.file.clone_from(&part.entry.path);
        position.text = report.resume_at;
        position.size = part.entry.size;
    }
    Ok(Replayed {
        application,
        position,
        report,
    })
}
