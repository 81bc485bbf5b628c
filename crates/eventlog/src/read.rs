//! Reading a log: threads take blocks of lines in turn, parse them beside each other, and hand the events on in order.
//!
//! Memory is bounded by the blocks under way (256 KiB of text and its events for each thread), not by the log. What cannot be read does not
//! stop the rest: it is counted and placed in the [`Report`].

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crate::event::{self, Event, Line};
use crate::layout::Log;
use crate::lines::{Block, Blocks};
use crate::source::Source;
use stoke_storage::StorageError;

/// How to read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Threads that read and parse, the calling one among them.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8),
        }
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// Where in it, in bytes of the decompressed text.
    pub offset: u64,
    /// What is wrong, for people.
    pub what: String,
}

/// What was read and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events given out.
    pub events: u64,
    /// Bytes of text read.
    pub bytes: u64,
    /// Events of types we have no use for, by name.
    pub unknown: BTreeMap<String, u64>,
    /// Lines that are not events.
    pub bad_lines: u64,
    /// The first of those lines.
    pub faults: Vec<Fault>,
    /// Where the text ends too early: a log that is still being written, or whose driver was killed.
    pub truncated: Option<Fault>,
    /// Bytes of whole lines read of the last file, decompressed: where reading can go on when it has grown.
    pub resume_at: u64,
}

/// Faults kept; further ones are counted only.
const KEPT_FAULTS: usize = 16;

/// Names of unknown events that are kept: logs have a few, a damaged one may have any number.
const KEPT_NAMES: usize = 200;
/// What further ones are counted under.
const OTHERS: &str = "others";

/// A file to read: its name for messages, where its bytes begin in the decompressed text, and its decompressed bytes.
pub struct Input<'a> {
    /// For messages.
    pub name: &'a str,
    /// How many bytes of text came before.
    pub offset: u64,
    /// The text from there on.
    pub text: Box<dyn Read + Send + 'a>,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Input")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Reads a file and hands each event to `take`, in order. `last` says whether this file is the last of its log: only there a line that was
/// cut is a log still being written.
pub fn read(input: Input<'_>, options: Options, report: &mut Report, last: bool, take: impl FnMut(Event) + Send) {
    let Input { name, offset, text } = input;
    report.resume_at = offset;
    let reading = Reading {
        blocks: Mutex::new((0, Blocks::new(text, offset))),
        taking: Mutex::new(Taking {
            next: 0,
            stopped: false,
            report,
            take,
        }),
        taken: Condvar::new(),
        name,
        last,
    };
    thread::scope(|scope| {
        for _ in 1..options.threads {
            scope.spawn(|| reading.work());
        }
        reading.work();
    });
}

/// Reads the files of a log in their order and hands each event to `take`. Reading begins at a file, by its place in the log, behind this many
/// bytes of its text; (0, 0) is the beginning.
///
/// # Errors
/// When a file cannot be opened. What is wrong inside is in the report.
pub fn read_log(
    source: &Source,
    log: &Log,
    (first, offset): (usize, u64),
    options: Options,
    report: &mut Report,
    mut take: impl FnMut(Event) + Send,
) -> Result<(), StorageError> {
    for (place, part) in log.parts.iter().enumerate().skip(first) {
        let offset = if place == first { offset } else { 0 };
        let input = Input {
            name: &part.entry.path,
            offset,
            text: source.text(part, offset)?,
        };
        read(input, options, report, place + 1 == log.parts.len(), &mut take);
    }
    Ok(())
}

/// A file that is being read.
struct Reading<'a, F> {
    /// The number of the next block, and what it comes from.
    blocks: Mutex<(usize, Blocks<Box<dyn Read + Send + 'a>>)>,
    taking: Mutex<Taking<'a, F>>,
    /// A block was taken.
    taken: Condvar,
    name: &'a str,
    last: bool,
}

/// Whom events are handed to, block after block.
struct Taking<'a, F> {
    /// The block whose turn it is.
    next: usize,
    /// A thread ended in a panic: its block will not come.
    stopped: bool,
    report: &'a mut Report,
    take: F,
}

impl<F: FnMut(Event)> Reading<'_, F> {
    /// What each thread does: takes the next block, parses it beside the others, and hands its events on when those before it are handed
    /// on. What a thread parses it also hands on and lets go of, so nothing moves between cores but the order.
    fn work(&self) {
        let _unless_done = Stop(self);
        let mut parsed = Parsed::default();
        let mut spare = Vec::new();
        loop {
            let (number, block, failure) = {
                let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
                let Some((block, failure)) = blocks.1.next(std::mem::take(&mut spare)) else {
                    return;
                };
                blocks.0 += 1;
                (blocks.0 - 1, block, failure)
            };
            parse(&block, &mut parsed);
            spare = block.into_memory();
            let taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = |taking: &mut Taking<'_, F>| taking.next != number && !taking.stopped;
            let mut taking = self
                .taken
                .wait_while(taking, turn)
                .unwrap_or_else(PoisonError::into_inner);
            if taking.stopped {
                return;
            }
            for event in parsed.events.drain(..) {
                (taking.take)(event);
                taking.report.events += 1;
            }
            taking.report.add(self.name, self.last, &mut parsed, failure);
            taking.next += 1;
            drop(taking);
            self.taken.notify_all();
        }
    }
}

/// Stops the others when a thread ends in a panic: they would wait for its block.
struct Stop<'r, 'a, F>(&'r Reading<'a, F>);

impl<F> Drop for Stop<'_, '_, F> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut taking = self.0.taking.lock().unwrap_or_else(PoisonError::into_inner);
            taking.stopped = true;
            self.0.taken.notify_all();
        }
    }
}

/// What a block held.
#[derive(Default)]
struct Parsed {
    events: Vec<Event>,
    unknown: BTreeMap<String, u64>,
    bad: Vec<(u64, String)>,
    bad_lines: u64,
    /// The last line lacks its end: where it begins, and whether it is an event all the same.
    cut: Option<(u64, bool)>,
    end: u64,
    bytes: u64,
}

fn parse(block: &Block, parsed: &mut Parsed) {
    let bytes = block.text();
    *parsed = Parsed {
        bytes: bytes.len() as u64,
        end: block.offset + bytes.len() as u64,
        // The memory is used again.
        events: std::mem::take(&mut parsed.events),
        ..Parsed::default()
    };
    parsed.events.clear();
    // One check for the block; only a block that is not UTF-8 is looked at line by line.
    let whole = simdutf8::basic::from_utf8(bytes).ok();
    let mut at = 0;
    while at < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[at..]).map(|length| at + length);
        let stop = end.unwrap_or(bytes.len());
        let line = match whole {
            Some(text) => Ok(&text[at..stop]),
            None => std::str::from_utf8(&bytes[at..stop]),
        };
        let place = block.offset + at as u64;
        let outcome = match line {
            Ok(line) if line.trim().is_empty() => Ok(None),
            Ok(line) => event::parse(line).map(Some).map_err(|error| error.to_string()),
            Err(error) => Err(format!("not UTF-8: {error}")),
        };
        if end.is_none() {
            // An event that lacks no more than the end of its line is taken now, and not again when reading goes on.
            parsed.cut = Some((place, outcome.is_ok()));
            parsed.end = if outcome.is_ok() { parsed.end } else { place };
        }
        match outcome {
            Ok(Some(Line::Event(event))) => parsed.events.push(event),
            Ok(Some(Line::Unknown(name))) => *parsed.unknown.entry(name).or_default() += 1,
            Ok(None) => {}
            Err(_) if end.is_none() => {}
            Err(what) => {
                parsed.bad_lines += 1;
                if parsed.bad.len() < KEPT_FAULTS {
                    parsed.bad.push((place, what));
                }
            }
        }
        at = stop + 1;
    }
}

impl Report {
    fn add(&mut self, file: &str, last: bool, parsed: &mut Parsed, failure: Option<io::Error>) {
        self.bytes += parsed.bytes;
        self.bad_lines += parsed.bad_lines;
        self.resume_at = parsed.end;
        for (name, count) in std::mem::take(&mut parsed.unknown) {
            let name = match self.unknown.len() < KEPT_NAMES || self.unknown.contains_key(&name) {
                true => name,
                false => OTHERS.to_owned(),
            };
            *self.unknown.entry(name).or_default() += count;
        }
        for (offset, what) in parsed.bad.drain(..) {
            self.fault(file, offset, what);
        }
        let cut_off = match (&parsed.cut, &failure) {
            (_, Some(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                self.bad_lines += 1;
                return self.fault(file, parsed.end, error.to_string());
            }
            (_, Some(_)) => Some("the compressed stream ends in the middle of a block"),
            (Some((_, false)), None) => Some("the text ends in the middle of a line"),
            (Some((_, true)) | None, None) => None,
        };
        let Some(what) = cut_off else {
            return;
        };
        let fault = Fault {
            file: file.to_owned(),
            offset: parsed.cut.map_or(parsed.end, |(place, _)| place),
            what: what.to_owned(),
        };
        match last {
            true => self.truncated = Some(fault),
            false => {
                self.bad_lines += 1;
                self.fault(&fault.file, fault.offset, fault.what);
            }
        }
    }

    fn fault(&mut self, file: &str, offset: u64, what: String) {
        if self.faults.len() < KEPT_FAULTS {
            self.faults.push(Fault {
                file: file.to_owned(),
                offset,
                what,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &[u8], threads: usize) -> (Vec<Event>, Report) {
        let mut report = Report::default();
        let mut events = Vec::new();
        let input = Input {
            name: "log",
            offset: 0,
            text: Box::new(text),
        };
        read(input, Options { threads }, &mut report, true, |event| {
            events.push(event)
        });
        (events, report)
    }

    const START: &str = r#"{"Event":"SparkListenerLogStart","Spark Version":"4.1.4"}"#;

    #[test]
    fn unknown_events_are_counted_and_bad_lines_are_placed() {
        let text =
            format!("{START}\n{{\"Event\":\"com.example.Mine\",\"x\":1}}\nnot json\n{START}\n{{\"Event\":\"SparkLis");
        for threads in [1, 2] {
            let (events, report) = run(text.as_bytes(), threads);
            assert_eq!(events.len(), 2);
            assert_eq!(report.unknown["com.example.Mine"], 1);
            assert_eq!(report.bad_lines, 1);
            assert_eq!(report.faults[0].offset as usize, text.find("not json").unwrap());
            let cut = report.truncated.unwrap();
            assert_eq!(cut.offset as usize, text.rfind('{').unwrap());
            assert_eq!(report.resume_at, cut.offset);
        }
    }

    #[test]
    fn names_without_end_take_no_memory() {
        let text: String = (0..5000).map(|id| format!("{{\"Event\":\"e{id}\"}}\n")).collect();
        let (_, report) = run(text.as_bytes(), 2);
        assert_eq!(
            (report.unknown.len(), report.unknown.values().sum::<u64>()),
            (KEPT_NAMES + 1, 5000)
        );
    }

    #[test]
    fn the_last_line_may_lack_its_end() {
        let (events, report) = run(START.as_bytes(), 2);
        let end = START.len() as u64;
        assert_eq!(
            (events.len(), report.truncated, report.resume_at),
            (1, None, end),
            "it is not read twice"
        );
    }

    #[test]
    fn events_keep_their_order_on_any_number_of_threads() {
        let mut text = String::new();
        for id in 0..60_000 {
            text.push_str(&format!(
                "{{\"Event\":\"SparkListenerUnpersistRDD\",\"RDD ID\":{id},\"Filler\":\"{}\"}}\n",
                "x".repeat(id % 90)
            ));
        }
        for threads in [1, 2, 5] {
            let (events, report) = run(text.as_bytes(), threads);
            assert_eq!(report.events, 60_000);
            for (expected, event) in events.iter().enumerate() {
                assert!(matches!(event, Event::UnpersistRdd(rdd) if rdd.id as usize == expected));
            }
        }
    }

    #[test]
    fn a_line_that_is_not_utf8_harms_no_other() {
        let mut text = format!("{START}\n").into_bytes();
        text.extend_from_slice(b"{\"Event\":\"\xff\xfe\"}\n");
        text.extend_from_slice(START.as_bytes());
        text.push(b'\n');
        let (events, report) = run(&text, 2);
        assert_eq!((events.len(), report.bad_lines), (2, 1));
    }
}
