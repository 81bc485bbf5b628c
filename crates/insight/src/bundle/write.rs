//! Writing a bundle.

use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::{EVENT_LOG, FORMAT, INDEX, Index, IndexLog, OBJECTS, VERSION, redact};
use crate::facts::cluster::Role;
use crate::facts::{Log, Objects};

/// What goes into a bundle, with its secrets.
#[derive(Default)]
pub struct Contents<'a> {
    /// The application's name.
    pub application: String,
    /// The Stoke that writes it.
    pub stoke: String,
    /// When it was gathered, in milliseconds since 1970.
    pub gathered: i64,
    /// What could not be had and why.
    pub notes: Vec<String>,
    /// Kubernetes objects.
    pub objects: Option<Objects>,
    /// Logs of containers.
    pub logs: Vec<Log>,
    /// The decompressed text of the event log, its parts in order.
    pub event_log: Vec<Box<dyn Read + 'a>>,
}

/// Writes a bundle. Every text goes through [`redact`].
///
/// # Errors
/// When something cannot be read or written.
pub fn write(contents: Contents<'_>, to: impl Write + Seek) -> io::Result<Index> {
    let mut zip = zip::ZipWriter::new(to);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .large_file(true);
    let mut index = Index {
        format: FORMAT.to_owned(),
        version: VERSION,
        stoke: contents.stoke,
        application: contents.application,
        gathered: contents.gathered,
        notes: contents
            .notes
            .iter()
            .map(|note| redact::text(note).into_owned())
            .collect(),
        objects: contents.objects.is_some(),
        logs: Vec::new(),
        event_log: !contents.event_log.is_empty(),
    };
    if let Some(objects) = &contents.objects {
        let mut value = serde_json::to_value(objects)?;
        redact::json(&mut value);
        zip.start_file(OBJECTS, options)?;
        serde_json::to_writer_pretty(&mut zip, &value)?;
    }
    for (number, log) in contents.logs.iter().enumerate() {
        let executor = match &log.role {
            Role::Driver => None,
            Role::Executor(id) => Some(id.clone()),
        };
        let file = match &executor {
            None => format!("logs/{number:04}-driver.log"),
            Some(_) => format!("logs/{number:04}-executor.log"),
        };
        zip.start_file(&file, options)?;
        let mut lines = redact::Lines::default();
        for line in &log.lines {
            zip.write_all(lines.next(&line.text).as_bytes())?;
            zip.write_all(b"\n")?;
        }
        index.logs.push(IndexLog {
            file,
            source: log.source.clone(),
            executor,
            left_out: log.left_out,
            lines: runs(log),
        });
    }
    if index.event_log {
        zip.start_file(EVENT_LOG, options)?;
        for part in contents.event_log {
            copy_lines(part, &mut zip)?;
        }
    }
    zip.start_file(INDEX, options)?;
    serde_json::to_writer_pretty(&mut zip, &index)?;
    zip.finish()?.flush()?;
    Ok(index)
}

/// Lines by runs of consecutive numbers.
fn runs(log: &Log) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for line in &log.lines {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == line.number => *count += 1,
            _ => runs.push((line.number, 1)),
        }
    }
    runs
}

fn copy_lines(from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut lines = redact::Lines::default();
    while from.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        to.write_all(lines.next(text.trim_end_matches(['\n', '\r'])).as_bytes())?;
        to.write_all(b"\n")?;
        line.clear();
    }
    Ok(())
}
