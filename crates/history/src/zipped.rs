//! Logs as Spark zips them, step by step: a single file under its name, a rolling log as a directory with all its files.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use stoke_eventlog::layout::Entry;
use tokio::sync::OwnedSemaphorePermit;
use zip::ZipWriter;
use zip::write::{SimpleFileOptions, StreamWriter};

use crate::index::{Index, lock};
use crate::later::Steps;
use crate::listing::Attempt;

/// Bytes of a log that are read in a step.
const STEP: usize = 256 << 10;
const FOUR_GIB: u64 = 1 << 32;

/// Bytes the zip wrote that no one took yet.
#[derive(Debug, Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Out {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.0)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is still to be zipped.
enum Next {
    Directory(String),
    File(Entry),
}

/// A zip under way.
pub(crate) struct Zipping {
    index: Arc<Index>,
    next: VecDeque<Next>,
    file: Option<Box<dyn Read + Send>>,
    /// Nothing once it is finished.
    zip: Option<ZipWriter<StreamWriter<Out>>>,
    out: Out,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Zipping {
    pub(crate) fn new(index: Arc<Index>, attempts: &[Attempt]) -> Zipping {
        let mut next = VecDeque::new();
        for log in attempts.iter().filter_map(|attempt| index.log(attempt)) {
            if log.rolling {
                next.push_back(Next::Directory(format!("{}/", log.path)));
            }
            let parts = log.superseded.iter().chain(&log.parts).map(|part| &part.entry);
            next.extend(parts.chain(&log.status).cloned().map(Next::File));
        }
        let out = Out::default();
        Zipping {
            index,
            next,
            file: None,
            zip: Some(ZipWriter::new_stream(out.clone())),
            out,
            _permit: None,
        }
    }

    /// Holds a permit until it has been taken whole.
    pub(crate) fn holding(self, permit: OwnedSemaphorePermit) -> Zipping {
        Zipping {
            _permit: Some(permit),
            ..self
        }
    }

    fn work(&mut self) -> io::Result<()> {
        let Some(zip) = &mut self.zip else {
            return Ok(());
        };
        if let Some(file) = &mut self.file {
            if io::copy(&mut file.take(STEP as u64), zip)? == 0 {
                self.file = None;
            }
            return Ok(());
        }
        match self.next.pop_front() {
            Some(Next::Directory(name)) => zip
                .add_directory(name, SimpleFileOptions::default())
                .map_err(io::Error::other)?,
            Some(Next::File(entry)) => {
                let options = SimpleFileOptions::default().large_file(entry.size >= FOUR_GIB);
                zip.start_file(&entry.path, options).map_err(io::Error::other)?;
                self.file = Some(Box::new(self.index.source().open(&entry, 0).map_err(io::Error::other)?));
            }
            None => {
                if let Some(zip) = self.zip.take() {
                    zip.finish().map_err(io::Error::other)?;
                }
            }
        }
        Ok(())
    }
}

impl Steps for Zipping {
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let made = std::mem::take(&mut *self.out.bytes());
            if !made.is_empty() {
                return Ok(Some(Bytes::from(made)));
            }
            if self.zip.is_none() {
                return Ok(None);
            }
            self.work()?;
        }
    }
}

/// Writes the logs of attempts as a zip.
///
/// # Errors
/// When a log cannot be read, or `out` takes nothing more.
pub fn zipped(index: &Arc<Index>, attempts: &[Attempt], mut out: impl Write) -> io::Result<()> {
    let mut zipping = Zipping::new(index.clone(), attempts);
    while let Some(bytes) = zipping.step()? {
        out.write_all(&bytes)?;
    }
    out.flush()
}
