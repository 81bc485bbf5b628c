//! What a list of applications needs of a log, without reading all of it: its first lines and its end.

use std::io::{self, Read};

use memchr::memmem;

use crate::codec::Codec;
use crate::event::{self, ApplicationEnd, ApplicationStart, Event, Line, Pairs};
use crate::layout::{Log, Part};
use crate::lines::Blocks;
use crate::source::Source;
use stoke_storage::StorageError;

/// How much of the end of a plain file is searched first. The end of the application is the last event or one of the last; Spark's own
/// History Server looks at 1 MiB (`spark.history.fs.endEventReparseChunkSize`).
const TAIL: u64 = 1 << 20;
/// The application's start is one of the first events; behind this many bytes of text there is none.
const HEAD: u64 = 64 << 20;
const END: &[u8] = br#"{"Event":"SparkListenerApplicationEnd""#;

/// What a log tells about its application at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glance {
    /// The Spark that wrote it; empty when the log does not tell.
    pub spark_version: String,
    /// How it started. Without it the log is of no one yet.
    pub start: Option<ApplicationStart>,
    /// How it ended.
    pub end: Option<ApplicationEnd>,
}

/// Looks at a log.
///
/// # Errors
/// When one of its files cannot be opened. Bytes that cannot be decoded end the look, they are not an error.
pub fn glance(source: &Source, log: &Log) -> Result<Glance, StorageError> {
    look(source, log, None)
}

/// Looks at a log, and takes along Spark's properties as they were when the application started.
///
/// # Errors
/// As of [`glance`].
pub fn glance_with_properties(source: &Source, log: &Log) -> Result<(Glance, Pairs), StorageError> {
    let mut properties = Pairs::default();
    let seen = look(source, log, Some(&mut properties))?;
    Ok((seen, properties))
}

fn look(source: &Source, log: &Log, properties: Option<&mut Pairs>) -> Result<Glance, StorageError> {
    let mut seen = Glance::default();
    let (Some(first), Some(last)) = (log.parts.first(), log.parts.last()) else {
        return Ok(seen);
    };
    head(source, first, &mut seen, properties)?;
    if seen.start.is_some() {
        seen.end = tail(source, last)?;
    }
    Ok(seen)
}

/// Reads until the application has started.
fn head(
    source: &Source,
    part: &Part,
    seen: &mut Glance,
    mut properties: Option<&mut Pairs>,
) -> Result<(), StorageError> {
    // A small read first: an object store fetches pieces, and a disk page is not the whole file.
    let text = source.text(part, 0)?;
    let mut blocks = Blocks::new(Small(text.take(HEAD)), 0);
    while let Some((block, failure)) = blocks.next(Vec::new()) {
        for line in block.text().split(|byte| *byte == b'\n') {
            // Only two kinds of lines are of interest; the rest of the head is the environment, which is long.
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let wanted = event::name_of(line).is_some_and(|name| match name {
                "SparkListenerLogStart" | "SparkListenerApplicationStart" => true,
                "SparkListenerEnvironmentUpdate" => properties.is_some(),
                _ => false,
            });
            if !wanted {
                continue;
            }
            match event::parse(line) {
                Ok(Line::Event(Event::LogStart(start))) => seen.spark_version = start.spark_version,
                Ok(Line::Event(Event::EnvironmentUpdate(update))) => {
                    if let Some(properties) = &mut properties {
                        **properties = update.spark;
                    }
                }
                Ok(Line::Event(Event::ApplicationStart(start))) => {
                    seen.start = Some(start);
                    return Ok(());
                }
                _ => {}
            }
        }
        if failure.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

/// Gives at most 256 KiB per read, so that the first block of a log is not a MiB.
struct Small<R>(R);

impl<R: Read> Read for Small<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(256 << 10);
        self.0.read(&mut into[..most])
    }
}

fn tail(source: &Source, part: &Part) -> Result<Option<ApplicationEnd>, StorageError> {
    if part.codec == Codec::Plain && part.entry.size > TAIL {
        let mut end = Vec::new();
        let read = source.open(&part.entry, part.entry.size - TAIL)?.read_to_end(&mut end);
        if read.is_ok()
            && let Some(found) = last_end(&end)
        {
            return Ok(Some(found));
        }
    }
    whole(&mut *source.text(part, 0)?)
}

/// Searches all of a text, with the last bytes of each piece carried over.
fn whole(text: &mut dyn Read) -> Result<Option<ApplicationEnd>, StorageError> {
    let finder = memmem::Finder::new(END);
    let mut piece = Vec::with_capacity(1 << 20);
    let mut found = None;
    loop {
        let carried = piece.len();
        let read = text
            .take((1 << 20) - carried.min(1 << 19) as u64)
            .read_to_end(&mut piece);
        if let Some(at) = finder.find(&piece) {
            // The line may not be all there yet.
            let missing = memchr::memchr(b'\n', &piece[at..]).is_none();
            if missing && read.is_ok() {
                let _ = text.take(1 << 16).read_to_end(&mut piece);
            }
            found = last_end(&piece).or(found);
        }
        if piece.len() == carried || read.is_err() {
            return Ok(found);
        }
        let keep = piece.len().min(END.len());
        piece.drain(..piece.len() - keep);
    }
}

fn last_end(bytes: &[u8]) -> Option<ApplicationEnd> {
    let at = memmem::rfind(bytes, END)?;
    let line = bytes[at..].split(|byte| *byte == b'\n').next()?;
    match event::parse(std::str::from_utf8(line).ok()?) {
        Ok(Line::Event(Event::ApplicationEnd(end))) => Some(end),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"Event":"SparkListenerLogStart","Spark Version":"3.5.9"}"#,
        "\n",
        r#"{"Event":"SparkListenerApplicationStart","App Name":"é","App ID":"a-1","Timestamp":7,"User":"u"}"#,
        "\n"
    );
    const LAST: &str = r#"{"Event":"SparkListenerApplicationEnd","Timestamp":9}"#;

    fn look(text: &[u8]) -> Glance {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a-1"), text).unwrap();
        let source = Source::directory(directory.path());
        let log = source.logs().unwrap().remove(0);
        glance(&source, &log).unwrap()
    }

    #[test]
    fn a_long_log_is_seen_by_its_ends() {
        let filler = format!("{{\"Event\":\"Other\",\"x\":\"{}\"}}\n", "y".repeat(1000)).repeat(3000);
        for (filler, end) in [("", true), (&filler[..], true), (&filler[..], false), ("", false)] {
            let last = if end { LAST } else { "" };
            let seen = look(format!("{LINES}{filler}{last}\n").as_bytes());
            assert_eq!(seen.spark_version, "3.5.9");
            assert_eq!(seen.start.as_ref().and_then(|start| start.id.as_deref()), Some("a-1"));
            assert_eq!(seen.end.map(|end| end.time), end.then_some(9));
        }
    }

    #[test]
    fn an_end_across_two_pieces_is_found() {
        for shift in (0..120).step_by(7) {
            let filler = "z".repeat((1 << 20) - 60 + shift);
            let text = format!("{filler}\n{LAST}\n{}", "w\n".repeat(600_000));
            assert_eq!(
                whole(&mut text.as_bytes()).unwrap().map(|end| end.time),
                Some(9),
                "{shift}"
            );
        }
    }
}
