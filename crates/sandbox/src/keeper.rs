//! Keeping the log: what the container writes goes to its log file, and to those who listen to it.
//!
//! In: the container's two streams, or its terminal, and the gallery, through which listeners come. Out: log lines, and
//! the very bytes for the listeners. It never lets a slow listener hold up the container.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::log::{Cutter, Log, Stream, now};
use crate::wire::{Guest, receive};

/// A listener that is behind by more than this is given up: some ten milliseconds of a container that writes as fast as it can, so that one
/// who is only late to wake is not.
const BEHIND: usize = 4 << 20;
/// How long listeners get to take the rest when the container has ended.
const LAST: Duration = Duration::from_secs(1);

/// One of the container's outputs.
struct Source {
    file: OwnedFd,
    stream: Stream,
    cutter: Cutter,
}

/// Someone who listens to one stream.
struct Listener {
    file: OwnedFd,
    stream: Stream,
    waiting: VecDeque<u8>,
}

/// Keeps one container's log.
pub(crate) struct Keeper {
    log: Log,
    sources: Vec<Source>,
    listeners: Vec<Listener>,
    gallery: Option<OwnedFd>,
    expects_terminal: bool,
    buffer: Vec<u8>,
    lines: Vec<u8>,
}

/// What a poll can tell of.
#[derive(Clone, Copy)]
enum Ready {
    Gallery,
    Source(usize),
    Listener(usize),
}

impl Keeper {
    pub(crate) fn new(log: Log, streams: [OwnedFd; 2], gallery: Option<OwnedFd>, expects_terminal: bool) -> Keeper {
        let [out, err] = streams;
        Keeper {
            log,
            sources: vec![Source::new(out, Stream::Out), Source::new(err, Stream::Err)],
            listeners: Vec::new(),
            gallery,
            expects_terminal,
            buffer: vec![0; 64 << 10],
            lines: Vec::with_capacity(128 << 10),
        }
    }

    /// Copies until every process of the container has closed its streams and the terminal, if there is one, has ended.
    pub(crate) fn keep(mut self) {
        while !self.sources.is_empty() || self.expects_terminal && self.gallery.is_some() {
            if !self.step(None) {
                return;
            }
        }
        self.gallery = None;
        let end = Instant::now() + LAST;
        while self.listeners.iter().any(|listener| !listener.waiting.is_empty()) && Instant::now() < end {
            if !self.step(Some(end - Instant::now())) {
                return;
            }
        }
    }

    /// Waits for something and does it; false when waiting is impossible.
    fn step(&mut self, longest: Option<Duration>) -> bool {
        let ready: Vec<Ready> = {
            let gallery = self.gallery.iter().map(|file| (Ready::Gallery, file, PollFlags::IN));
            let sources = self.sources.iter().enumerate();
            let sources = sources.map(|(index, source)| (Ready::Source(index), &source.file, PollFlags::IN));
            let listeners = self.listeners.iter().enumerate().map(|(index, listener)| {
                // Without anything to write it is only of interest whether the listener is gone, which is always told.
                let wanted = if listener.waiting.is_empty() {
                    PollFlags::empty()
                } else {
                    PollFlags::OUT
                };
                (Ready::Listener(index), &listener.file, wanted)
            });
            let all: Vec<_> = sources.chain(listeners).chain(gallery).collect();
            let mut polled: Vec<PollFd<'_>> = all
                .iter()
                .map(|(_, file, wanted)| PollFd::from_borrowed_fd(file.as_fd(), *wanted))
                .collect();
            let longest = longest.map(|time| Timespec {
                tv_sec: time.as_secs().try_into().unwrap_or(1),
                tv_nsec: time.subsec_nanos().into(),
            });
            match poll(&mut polled, longest.as_ref()) {
                Ok(_) => {}
                Err(Errno::INTR) => return true,
                Err(_) => return false,
            }
            std::iter::zip(&all, &polled)
                .filter(|(_, polled)| !polled.revents().is_empty())
                .map(|((ready, ..), _)| *ready)
                .collect()
        };
        // What has ended is removed from the last to the first; the output itself keeps its order.
        for ready in ready.iter().rev() {
            // With nothing waiting for it, the only news of a listener is that it is gone.
            if let Ready::Listener(index) = *ready
                && (self.listeners[index].waiting.is_empty() || !self.listeners[index].push(&[]))
            {
                self.listeners.remove(index);
            }
        }
        let mut ended = Vec::new();
        for ready in ready {
            match ready {
                Ready::Source(index) if !self.read(index) => ended.push(index),
                Ready::Gallery => self.admit_all(),
                Ready::Source(_) | Ready::Listener(_) => {}
            }
        }
        for index in ended.into_iter().rev() {
            self.sources.remove(index);
        }
        true
    }

    /// Copies what there is; false at the end of the stream.
    fn read(&mut self, index: usize) -> bool {
        let time = now();
        self.lines.clear();
        let read = rustix::io::read(&self.sources[index].file, &mut self.buffer);
        // Who came before these bytes were written hears them, however late this thread wakes: what was typed after
        // attaching is answered to the one who typed it. So the gallery is looked at after the bytes were taken.
        self.admit_all();
        let source = &mut self.sources[index];
        let open = match read {
            Ok(count) if count > 0 => {
                let bytes = &self.buffer[..count];
                source.cutter.push(&time, bytes, &mut self.lines);
                let stream = source.stream;
                self.listeners
                    .retain_mut(|listener| listener.stream != stream || listener.push(bytes));
                true
            }
            Err(Errno::INTR | Errno::AGAIN) => true,
            // The end of a pipe, or the error that is the end of a terminal.
            _ => {
                source.cutter.finish(&time, &mut self.lines);
                false
            }
        };
        if !self.lines.is_empty() {
            self.log.write(&time, &self.lines);
        }
        open
    }

    /// Lets in everyone who waits in the gallery now.
    fn admit_all(&mut self) {
        while let Some(gallery) = &self.gallery {
            let mut polled = [PollFd::from_borrowed_fd(gallery.as_fd(), PollFlags::IN)];
            match poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                Ok(0) => return,
                Ok(_) => self.admit(),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Lets in who comes through the gallery.
    fn admit(&mut self) {
        let received = self.gallery.as_ref().map(|gallery| receive::<Guest>(gallery.as_fd()));
        let Some(Ok(Some((guest, files)))) = received else {
            self.gallery = None;
            return;
        };
        let mut files = files.into_iter();
        match guest {
            Guest::Terminal => {
                self.expects_terminal = false;
                self.sources
                    .extend(files.next().map(|file| Source::new(file, Stream::Out)));
            }
            Guest::Listener { out, err } => {
                let wanted = [(out, Stream::Out), (err, Stream::Err)]
                    .into_iter()
                    .filter(|(wanted, _)| *wanted);
                for ((_, stream), file) in std::iter::zip(wanted, files) {
                    self.listeners.extend(Listener::new(file, stream));
                }
            }
        }
    }
}

impl Source {
    fn new(file: OwnedFd, stream: Stream) -> Source {
        Source {
            file,
            stream,
            cutter: Cutter::new(stream),
        }
    }
}

impl Listener {
    fn new(file: OwnedFd, stream: Stream) -> Option<Listener> {
        let flags = fcntl_getfl(&file).ok()?;
        fcntl_setfl(&file, flags | OFlags::NONBLOCK).ok()?;
        Some(Listener {
            file,
            stream,
            waiting: VecDeque::new(),
        })
    }

    /// Writes what waits and then `bytes`, as far as the file takes it; false when the listener is gone or too far behind.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.waiting.extend(bytes);
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match rustix::io::write(&self.file, front) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return self.waiting.len() <= BEHIND,
                Err(_) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::wire::send;

    #[test]
    fn who_comes_before_the_bytes_hears_them_however_late_the_keeper_wakes() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(&directory.path().join("0.log"), 1 << 20).unwrap();
        let ((out, mut out_writer), (err, err_writer)) = (pipe().unwrap(), pipe().unwrap());
        let (door, gallery) = UnixStream::pair().unwrap();
        let (mut heard, ear) = pipe().unwrap();
        // All of this has happened when the keeper looks for the first time.
        let guest = Guest::Listener { out: true, err: false };
        send(door.as_fd(), &guest, &[ear.as_fd()]).unwrap();
        out_writer.write_all(b"an answer\n").unwrap();
        drop((out_writer, err_writer, ear));
        Keeper::new(log, [out.into(), err.into()], Some(gallery.into()), false).keep();
        let mut text = String::new();
        heard.read_to_string(&mut text).unwrap();
        assert_eq!(text, "an answer\n");
    }
}
