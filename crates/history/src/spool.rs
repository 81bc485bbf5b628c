//! Answers that wait to be taken. An answer is made at once, whoever asked reads it as slowly as they like: what is not short is put aside
//! in a file, compressed, and read again piece by piece. Neither a thread nor more memory than a piece waits with it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;

use crate::index::lock;
use crate::pieces::nameless;

/// Bytes of a file after which the next answer begins another one: a file goes when its last answer has gone.
const FULL: u64 = 64 << 20;
/// Bytes of an answer that are in memory when it is read, and of one that stays there.
const PIECE: usize = 64 << 10;
/// Bytes of compressed answers in memory, where no file can be written.
const IN_MEMORY: u64 = 64 << 20;
/// Made for speed: answers are JSON with many spaces.
const LEVEL: i32 = 1;

/// Where answers are put aside.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Where files are made, when not where the system keeps temporary ones.
    directory: Option<PathBuf>,
    /// Bytes all of it may take.
    at_most: u64,
    used: Arc<AtomicU64>,
    current: Mutex<Weak<Sheet>>,
}

/// A file answers are put aside in. It has no name: it is gone with the last of them.
#[derive(Debug)]
struct Sheet {
    /// Nothing where no file can be written: answers stay in memory.
    file: Option<File>,
    end: AtomicU64,
    used: Arc<AtomicU64>,
}

impl Drop for Sheet {
    fn drop(&mut self) {
        self.used.fetch_sub(self.end.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A piece of an answer.
#[derive(Debug)]
struct Part {
    place: Place,
    length: u32,
}

#[derive(Debug)]
enum Place {
    File { at: u64, stored: u32 },
    Memory(Box<[u8]>),
}

/// An answer that was put aside.
#[derive(Debug)]
pub(crate) struct Aside {
    sheet: Arc<Sheet>,
    parts: Vec<Part>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) enum Whole {
    /// In memory: it is short.
    Here(Bytes),
    /// In a file.
    Aside(Arc<Aside>),
}

/// There is no place for another answer.
#[derive(Debug, thiserror::Error)]
#[error("answers that slow clients have not taken yet fill the {0} MiB there are for them; ask again later")]
pub(crate) struct Full(u64);

/// Takes an answer piece by piece.
pub(crate) struct Taking<'a> {
    spool: &'a Spool,
    first: Option<Vec<u8>>,
    aside: Option<Aside>,
}

impl Spool {
    pub(crate) fn new(directory: Option<PathBuf>, at_most: u64) -> Spool {
        Spool {
            directory,
            at_most,
            used: Arc::default(),
            current: Mutex::default(),
        }
    }

    /// Begins to take an answer.
    pub(crate) fn take(&self) -> Taking<'_> {
        Taking {
            spool: self,
            first: None,
            aside: None,
        }
    }

    /// Bytes that are put aside.
    #[cfg(test)]
    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn sheet(&self) -> Arc<Sheet> {
        let mut current = lock(&self.current);
        let open = current.upgrade();
        if let Some(sheet) = open.filter(|sheet| sheet.end.load(Ordering::Relaxed) < FULL) {
            return sheet;
        }
        let file = nameless(self.directory.as_deref());
        if let Err(error) = &file {
            tracing::warn!(%error, "no temporary file can be written: answers wait in memory");
        }
        let sheet = Arc::new(Sheet {
            file: file.ok(),
            end: AtomicU64::new(0),
            used: self.used.clone(),
        });
        *current = Arc::downgrade(&sheet);
        sheet
    }
}

impl Sheet {
    fn put(&self, bytes: &[u8], at_most: u64) -> io::Result<Part> {
        let stored = zstd::bulk::compress(bytes, LEVEL)?;
        let size = stored.len() as u64;
        let at_most = match self.file {
            Some(_) => at_most,
            None => at_most.min(IN_MEMORY),
        };
        if self.used.fetch_add(size, Ordering::Relaxed).saturating_add(size) > at_most {
            self.used.fetch_sub(size, Ordering::Relaxed);
            return Err(io::Error::other(Full(at_most >> 20)));
        }
        let at = self.end.fetch_add(size, Ordering::Relaxed);
        let place = match &self.file {
            Some(file) => {
                file.write_all_at(&stored, at)?;
                let stored = u32::try_from(size).map_err(io::Error::other)?;
                Place::File { at, stored }
            }
            None => Place::Memory(stored.into_boxed_slice()),
        };
        Ok(Part {
            place,
            length: u32::try_from(bytes.len()).map_err(io::Error::other)?,
        })
    }
}

impl Taking<'_> {
    /// Takes the next piece.
    ///
    /// # Errors
    /// When it cannot be written, or there is no place ([`Full`]).
    pub(crate) fn piece(&mut self, piece: Vec<u8>) -> io::Result<()> {
        if self.first.is_none() && self.aside.is_none() && piece.len() <= PIECE + (PIECE >> 4) {
            self.first = Some(piece);
            return Ok(());
        }
        let aside = match &mut self.aside {
            Some(aside) => aside,
            none => none.insert(Aside {
                sheet: self.spool.sheet(),
                parts: Vec::new(),
            }),
        };
        for piece in self.first.take().iter().chain([&piece]) {
            for part in piece.chunks(PIECE) {
                aside.parts.push(aside.sheet.put(part, self.spool.at_most)?);
            }
        }
        Ok(())
    }

    /// The answer, which is whole.
    pub(crate) fn whole(self) -> Whole {
        match self.aside {
            Some(aside) => Whole::Aside(Arc::new(aside)),
            None => Whole::Here(Bytes::from(self.first.unwrap_or_default())),
        }
    }
}

impl Aside {
    /// Bytes of the answer.
    pub(crate) fn length(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.length)).sum()
    }

    /// A piece of it, by number. Nothing behind the last one.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub(crate) fn piece(&self, place: usize) -> io::Result<Option<Bytes>> {
        let Some(part) = self.parts.get(place) else {
            return Ok(None);
        };
        let length = part.length as usize;
        let piece = match (&part.place, &self.sheet.file) {
            (Place::Memory(stored), _) => zstd::bulk::decompress(stored, length)?,
            (Place::File { at, stored }, Some(file)) => {
                let mut bytes = vec![0; *stored as usize];
                file.read_exact_at(&mut bytes, *at)?;
                zstd::bulk::decompress(&bytes, length)?
            }
            (Place::File { .. }, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Some(Bytes::from(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(spool: &Spool, pieces: &[Vec<u8>]) -> io::Result<Whole> {
        let mut taking = spool.take();
        for piece in pieces {
            taking.piece(piece.clone())?;
        }
        Ok(taking.whole())
    }

    fn read(whole: &Whole) -> Vec<u8> {
        match whole {
            Whole::Here(bytes) => bytes.to_vec(),
            Whole::Aside(aside) => (0..).map_while(|place| aside.piece(place).unwrap()).flatten().collect(),
        }
    }

    #[test]
    fn answers_come_back_and_leave_nothing() {
        let spool = Spool::new(None, 1 << 20);
        let short = taken(&spool, &[b"short".to_vec()]).unwrap();
        assert!(matches!(short, Whole::Here(_)) && spool.used() == 0);
        let long = taken(&spool, &[vec![7; 1 << 20]]).unwrap();
        let parts = |whole: &Whole| match whole {
            Whole::Here(_) => 0,
            Whole::Aside(aside) => aside.parts.len(),
        };
        assert_eq!((read(&long), parts(&long)), (vec![7; 1 << 20], 16), "no piece is long");
        drop(long);
        let pieces: Vec<Vec<u8>> = (0..50u8).map(|byte| vec![byte; 3000]).collect();
        let (one, other) = (taken(&spool, &pieces).unwrap(), taken(&spool, &pieces[7..]).unwrap());
        assert_eq!((read(&short), read(&one)), (b"short".to_vec(), pieces.concat()));
        assert_eq!(read(&other), pieces[7..].concat());
        assert!(matches!(&one, Whole::Aside(aside) if aside.length() == 150_000));
        assert!(
            (1..20_000).contains(&spool.used()),
            "{} bytes, compressed",
            spool.used()
        );
        drop(one);
        assert!(spool.used() > 0, "the other is in the same file");
        drop(other);
        assert_eq!(spool.used(), 0);
    }

    #[test]
    fn without_a_file_answers_wait_in_memory() {
        let spool = Spool::new(Some("/no/such/directory".into()), 1 << 30);
        let pieces: Vec<Vec<u8>> = (0..9u8).map(|byte| vec![byte; 100_000]).collect();
        let long = taken(&spool, &pieces).unwrap();
        assert!(read(&long) == pieces.concat() && spool.used() > 0);
        drop(long);
        assert_eq!(spool.used(), 0);
    }

    #[test]
    fn what_has_no_place_is_refused_and_short_answers_are_not() {
        let spool = Spool::new(None, 10_000);
        // Nothing that can be compressed.
        let mut number = 1u64;
        let mut noise = || -> Vec<u8> {
            let next = |_| {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (number >> 56) as u8
            };
            (0..4000).map(next).collect()
        };
        let held = taken(&spool, &[noise(), noise()]).unwrap();
        let error = taken(&spool, &[noise(), noise()]).unwrap_err();
        assert!(error.to_string().contains("ask again later"), "{error}");
        assert!(taken(&spool, &[noise()]).is_ok());
        drop(held);
        assert!(taken(&spool, &[noise(), noise()]).is_ok() && spool.used() == 0);
    }
}
