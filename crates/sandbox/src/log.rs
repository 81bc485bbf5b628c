//! The container log in the CRI format: `2026-11-21T02:32:28.274105123Z stdout F the line`.
//! `F` ends a line; `P` marks a part of a line longer than 16 KiB or one not ended when the container did.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A log larger than this is renamed with [`CRI_ROTATED_SUFFIX`] appended (replacing an older one), and a new one begun.
pub const LOG_ROTATION_BYTES: u64 = 64 << 20;
/// The suffix of a rotated log.
pub const CRI_ROTATED_SUFFIX: &str = ".1";
/// Longest line written in one piece, as in container runtimes.
const LINE: usize = 16 << 10;

/// Which stream of the container a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Cuts bytes into log lines. Pure: it neither reads the clock nor writes.
#[derive(Debug)]
pub(crate) struct Cutter {
    stream: Stream,
    rest: Vec<u8>,
}

impl Cutter {
    pub(crate) fn new(stream: Stream) -> Cutter {
        Cutter {
            stream,
            rest: Vec::new(),
        }
    }

    /// Appends to `out` the log lines that `bytes` complete, stamped with `time`.
    pub(crate) fn push(&mut self, time: &str, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.take(time, &bytes[..end], out);
            self.emit(time, true, out);
            bytes = &bytes[end + 1..];
        }
        self.take(time, bytes, out);
    }

    /// Writes what is left when the stream ends without a newline.
    pub(crate) fn finish(&mut self, time: &str, out: &mut Vec<u8>) {
        if !self.rest.is_empty() {
            self.emit(time, false, out);
        }
    }

    fn take(&mut self, time: &str, mut bytes: &[u8], out: &mut Vec<u8>) {
        while self.rest.len() + bytes.len() > LINE {
            let part = LINE - self.rest.len();
            self.rest.extend_from_slice(&bytes[..part]);
            self.emit(time, false, out);
            bytes = &bytes[part..];
        }
        self.rest.extend_from_slice(bytes);
    }

    fn emit(&mut self, time: &str, full: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(match (self.stream, full) {
            (Stream::Out, true) => b" stdout F ",
            (Stream::Out, false) => b" stdout P ",
            (Stream::Err, true) => b" stderr F ",
            (Stream::Err, false) => b" stderr P ",
        });
        out.extend_from_slice(&self.rest);
        out.push(b'\n');
        self.rest.clear();
    }
}

/// The log file, locked exclusively while it is written. A write that fails (disk full) loses lines, never blocks the container, and is told when writing works again.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    lost: u64,
    torn: bool,
    rotation: u64,
}

impl Log {
    /// Opens `path` for appending, making its directory.
    pub(crate) fn open(path: &Path, rotation: u64) -> io::Result<Log> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        // Held as long as the container runs: who follows the log can tell whether more may come.
        file.lock()?;
        let length = file.metadata()?.len();
        Ok(Log {
            path: path.to_owned(),
            file,
            length,
            lost: 0,
            torn: false,
            rotation,
        })
    }

    /// Appends complete log lines.
    pub(crate) fn write(&mut self, time: &str, lines: &[u8]) {
        if self.length > self.rotation {
            self.rotate();
        }
        if self.lost > 0 {
            let tear = if self.torn { "\n" } else { "" };
            let note = format!(
                "{tear}{time} stderr F [stoke] {} bytes of output were lost: the log could not be written\n",
                self.lost
            );
            if !self.append(note.as_bytes()) {
                self.lost += lines.len() as u64;
                return;
            }
            self.lost = 0;
            self.torn = false;
        }
        if !self.append(lines) {
            self.lost += lines.len() as u64;
        }
    }

    fn append(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(count) if count > 0 => {
                    self.length += count as u64;
                    bytes = &bytes[count..];
                    self.torn |= !bytes.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return false,
            }
        }
        self.torn = false;
        true
    }

    fn rotate(&mut self) {
        let mut old = self.path.clone().into_os_string();
        old.push(CRI_ROTATED_SUFFIX);
        if std::fs::rename(&self.path, &old).is_err() {
            return;
        }
        if let Ok(file) = OpenOptions::new().create(true).append(true).open(&self.path) {
            let _ = file.lock();
            self.file = file;
            self.length = 0;
        }
    }
}

/// The time now, as it stands at the start of a log line.
pub(crate) fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_marked() {
        let long = "x".repeat(LINE + 3);
        let table: [(&[&str], String); 4] = [
            (&["one\ntwo\n"], "T stdout F one\nT stdout F two\n".into()),
            (&["on", "e\n\n"], "T stdout F one\nT stdout F \n".into()),
            (&["unfinished"], "T stdout P unfinished\n".into()),
            (
                &[&long, "\n"],
                format!("T stdout P {}\nT stdout F xxx\n", "x".repeat(LINE)),
            ),
        ];
        for (input, expected) in table {
            let mut cutter = Cutter::new(Stream::Out);
            let mut out = Vec::new();
            for part in input {
                cutter.push("T", part.as_bytes(), &mut out);
            }
            cutter.finish("T", &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_full_log_is_set_aside_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c").join("0.log");
        let mut log = Log::open(&path, 10).unwrap();
        log.write("T", b"T stdout F first\n");
        log.write("T", b"T stdout F second\n");
        log.write("T", b"T stdout F third\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "T stdout F third\n");
        let rotated = directory.path().join("c").join(format!("0.log{CRI_ROTATED_SUFFIX}"));
        assert_eq!(std::fs::read_to_string(rotated).unwrap(), "T stdout F second\n");
    }

    #[test]
    fn the_stamp_has_nine_digits_and_ends_in_z() {
        let stamp = now();
        assert_eq!(stamp.len(), "2026-11-21T02:32:28.274105123Z".len());
        assert!(stamp.ends_with('Z'));
    }
}
