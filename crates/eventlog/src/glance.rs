//! What a list of applications needs of a log, without reading all of it: its first lines and its end.

use std::cell::RefCell;
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

/// A plain file up to this many bytes is read once, as a whole.
const SHORT: u64 = 1 << 20;

thread_local! {
    /// Where short files are read to: a place has thousands of them.
    static MEMORY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
    if log.parts.len() == 1 && first.codec == Codec::Plain && first.entry.size <= SHORT {
        return MEMORY.with_borrow_mut(|memory| short(source, first, memory, properties));
    }
    head(source, first, &mut seen, properties)?;
    if seen.start.is_some() {
        seen.end = tail(source, last, log.in_progress)?;
    }
    Ok(seen)
}

/// Looks at a short file.
fn short(
    source: &Source,
    part: &Part,
    memory: &mut Vec<u8>,
    properties: Option<&mut Pairs>,
) -> Result<Glance, StorageError> {
    memory.clear();
    let mut seen = Glance::default();
    // What came before an error counts.
    let _ = source.open(&part.entry, 0)?.read_to_end(memory);
    if begins(memory, &mut seen, properties) {
        seen.end = last_end(memory);
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
    let mut memory = Vec::new();
    while let Some((block, failure)) = blocks.next(memory) {
        if begins(block.text(), seen, properties.as_deref_mut()) || failure.is_some() {
            return Ok(());
        }
        memory = block.into_memory();
    }
    Ok(())
}

const LOG_START: &[u8] = br#"{"Event":"SparkListenerLogStart""#;
const START: &[u8] = br#"{"Event":"SparkListenerApplicationStart""#;

const ENVIRONMENT: &[u8] = br#"{"Event":"SparkListenerEnvironmentUpdate""#;

/// Whether the application starts in these lines. Only two kinds of them are of interest, and the environment, which is long, where its
/// properties are asked for.
fn begins(text: &[u8], seen: &mut Glance, mut properties: Option<&mut Pairs>) -> bool {
    let mut at = 0;
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text.get(at..end).unwrap_or_default();
        at = end + 1;
        let environment = properties.is_some() && line.starts_with(ENVIRONMENT);
        if !environment && !line.starts_with(LOG_START) && !line.starts_with(START) {
            continue;
        }
        match std::str::from_utf8(line).map(event::parse) {
            Ok(Ok(Line::Event(Event::LogStart(start)))) => seen.spark_version = start.spark_version,
            Ok(Ok(Line::Event(Event::EnvironmentUpdate(update)))) => {
                if let Some(properties) = &mut properties {
                    **properties = update.spark;
                }
            }
            Ok(Ok(Line::Event(Event::ApplicationStart(start)))) => {
                seen.start = Some(start);
                return true;
            }
            _ => {}
        }
    }
    false
}

/// Gives at most 256 KiB per read, so that the first block of a log is not a MiB.
struct Small<R>(R);

impl<R: Read> Read for Small<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(256 << 10);
        self.0.read(&mut into[..most])
    }
}

/// Stored bytes of a compressed file that is still written, above which no one decodes it again and again to see whether it has ended: then
/// Spark takes the end off its name.
const LATE: u64 = 8 << 20;

fn tail(source: &Source, part: &Part, in_progress: bool) -> Result<Option<ApplicationEnd>, StorageError> {
    if in_progress && part.codec != Codec::Plain && part.entry.size > LATE {
        return Ok(None);
    }
    if part.codec == Codec::Plain && part.entry.size > TAIL {
        let mut end = Vec::new();
        let read = source.open(&part.entry, part.entry.size - TAIL)?.read_to_end(&mut end);
        if read.is_ok()
            && let Some(found) = last_end(&end)
        {
            return Ok(Some(found));
        }
        if in_progress {
            return Ok(None);
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
        look_at("a-1", text)
    }

    fn look_at(name: &str, text: &[u8]) -> Glance {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), text).unwrap();
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
    fn of_a_log_that_is_still_written_only_the_end_is_looked_at() {
        let filler = format!("{{\"Event\":\"Other\",\"x\":\"{}\"}}\n", "y".repeat(1000)).repeat(3000);
        for (name, before, after, ended) in [
            ("a-1.inprogress", &filler[..], "", true),
            ("a-1.inprogress", "", &filler[..], false),
            ("a-1", "", &filler[..], true),
        ] {
            let seen = look_at(name, format!("{LINES}{before}{LAST}\n{after}").as_bytes());
            assert_eq!((seen.start.is_some(), seen.end.is_some()), (true, ended), "{name}");
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
