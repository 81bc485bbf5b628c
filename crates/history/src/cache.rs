//! What was found out of logs, kept in a directory so that a log is never replayed twice. Everything here can be deleted at any time: it
//! is made again from the logs.
//!
//! One file holds the list, one file each replayed application. A file begins with the format's name, which changes whenever the
//! format or the rules of replaying do; behind it are the pieces of an application, then what is kept, where that begins, and a checksum
//! of it. Each piece has its own checksum and stays in the file until it is asked for. A file that is not as expected is as if it were not
//! there.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::index::Stamp;
use crate::listing::Found;
use crate::model::{Application, Limits};
use crate::pieces::{Pieces, Spot};
use crate::replay::Position;

/// The format. The crate's version is part of it: rules of replaying may change with it.
const FORMAT: &str = concat!("stoke-history 8 ", env!("CARGO_PKG_VERSION"), "\n");
const LISTING: &str = "listing";
/// Logs shorter than this, in bytes, are replayed as fast as the cache is read.
const WORTH_KEEPING: u64 = 64 << 10;

/// A directory of what was found out.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept<A> {
    path: String,
    stamp: Stamp,
    position: Position,
    limits: Limits,
    pieces: Vec<Spot>,
    application: A,
}

impl Cache {
    /// A cache in a directory, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Cache> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(Cache { directory })
    }

    /// The list as it was kept: path, stamp and what was found.
    pub fn listing(&self) -> Vec<(String, Stamp, Option<Found>)> {
        self.read(LISTING).map(|(logs, _)| logs).unwrap_or_default()
    }

    /// Keeps the list.
    pub fn keep_listing<'a>(&self, logs: impl Iterator<Item = (&'a String, &'a Stamp, &'a Option<Found>)>) {
        let logs: Vec<_> = logs.collect();
        self.write(LISTING, |file, at| write_body(file, at, &logs));
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// An application as it was replayed, when it was replayed into one like `new`; with the log's stamp then and how far it was read.
    pub fn application(&self, path: &str, new: &Application) -> Option<(Application, Stamp, Position)> {
        let (kept, file): (Kept<Application>, File) = self.read(&name_of(path))?;
        if kept.path != path || kept.limits != new.limits() {
            return None;
        }
        let application = kept.application.seen_as(new.answers_as().map(str::to_owned))?;
        let pieces = Pieces::kept(file, kept.pieces, &self.directory);
        Some((application.with_pieces(pieces), kept.stamp, kept.position))
    }

    /// Keeps a replayed application, when its log is long enough.
    pub fn keep_application(&self, path: &str, stamp: &Stamp, application: &Application, position: &Position) {
        if stamp.bytes() < WORTH_KEEPING {
            return;
        }
        self.write(&name_of(path), |file, at| {
            let (pieces, end) = application.pieces().copy(&application.wanted(), file, at)?;
            let kept = Kept {
                path: path.to_owned(),
                stamp: stamp.clone(),
                position: position.clone(),
                limits: application.limits(),
                pieces,
                application,
            };
            write_body(file, end, &kept)
        });
    }

    /// Deletes what is kept of logs that are gone.
    pub fn keep_only(&self, there: impl Fn(&str) -> bool) {
        let Ok(files) = fs::read_dir(&self.directory) else {
            return;
        };
        for file in files.flatten() {
            let name = file.file_name();
            let path = name.to_str().and_then(path_of);
            if path.is_some_and(|path| !there(&path)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Reads what is kept in a file of our format; pieces stay in the file.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<(T, File)> {
        let file = File::open(self.directory.join(name)).ok()?;
        let size = file.metadata().ok()?.len();
        let mut format = [0; FORMAT.len()];
        file.read_exact_at(&mut format, 0).ok()?;
        let mut trailer = [0; TRAILER];
        let end = size.checked_sub(TRAILER as u64)?;
        file.read_exact_at(&mut trailer, end).ok()?;
        let (begin, sum) = trailer.split_at(8);
        let begin = u64::from_le_bytes(begin.try_into().ok()?);
        let sum = u64::from_le_bytes(sum.try_into().ok()?);
        let length = end.checked_sub(begin)?;
        if format != FORMAT.as_bytes() || begin < FORMAT.len() as u64 {
            return None;
        }
        let mut body = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut body, begin).ok()?;
        if XxHash64::oneshot(0, &body) != sum {
            return None;
        }
        Some((postcard::from_bytes(&body).ok()?, file))
    }

    /// Written beside and moved into place: a reader sees the old file or the new one. That it fails costs time later, nothing else.
    fn write(&self, name: &str, body: impl FnOnce(&File, u64) -> io::Result<()>) {
        let beside = self.directory.join(format!(".{name}.{}", std::process::id()));
        let write = || {
            let file = File::create(&beside)?;
            file.write_all_at(FORMAT.as_bytes(), 0)?;
            body(&file, FORMAT.len() as u64)?;
            fs::rename(&beside, self.directory.join(name))
        };
        if let Err(error) = write() {
            tracing::warn!(%error, directory = %self.directory.display(), "the cache of history cannot be written");
            let _ = fs::remove_file(&beside);
        }
    }
}

/// Where the body begins, and its checksum.
const TRAILER: usize = 16;

/// Body and trailer: piece by piece, because an application may be large.
fn write_body(file: &File, begin: u64, body: &impl Serialize) -> io::Result<()> {
    let mut file = file;
    file.seek(SeekFrom::Start(begin))?;
    let mut out = Summed {
        out: BufWriter::with_capacity(256 << 10, file),
        sum: XxHash64::with_seed(0),
    };
    postcard::to_io(body, &mut out).map_err(io::Error::other)?;
    let sum = out.sum.finish();
    out.out.write_all(&begin.to_le_bytes())?;
    out.out.write_all(&sum.to_le_bytes())?;
    out.out.flush()
}

/// Sums up what is written.
struct Summed<W> {
    out: W,
    sum: XxHash64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.write(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

const KEPT: &str = ".app";

/// A file's name for a log's path: letters, digits, `-`, `_` and `.` stay, the rest is written as hexadecimal.
fn name_of(path: &str) -> String {
    let mut name = String::with_capacity(path.len() + KEPT.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name + KEPT
}

fn path_of(name: &str) -> Option<String> {
    let mut rest = name.strip_suffix(KEPT).filter(|name| !name.starts_with('.'))?;
    let mut path = Vec::with_capacity(rest.len());
    while let Some((plain, coded)) = rest.split_once('%') {
        path.extend_from_slice(plain.as_bytes());
        path.push(u8::from_str_radix(coded.get(..2)?, 16).ok()?);
        rest = coded.get(2..)?;
    }
    path.extend_from_slice(rest.as_bytes());
    String::from_utf8(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        for path in ["app-1", "eventlog_v2_a/b", "ü%41 x"] {
            assert_eq!(path_of(&name_of(path)).as_deref(), Some(path));
        }
        assert_eq!(path_of("listing"), None);
    }

    #[test]
    fn a_damaged_file_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        let stamp = Stamp::default();
        cache.keep_listing([(&"a".to_owned(), &stamp, &None)].into_iter());
        assert_eq!(cache.listing().len(), 1);
        let file = directory.path().join(LISTING);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() - TRAILER - 1;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(cache.listing().is_empty());
    }
}
