//! Pieces: what an application has too much of to keep in memory, written to a file once and read when it is asked for.
//!
//! A replay writes pieces to a file without a name, beside the cache or where the system keeps temporary files; the first piece makes it.
//! The cache copies those that are still wanted into its own file, and an application that comes from there reads them where they are.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

/// The number of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece(u32);

/// Where a piece is in a file, and the sum of its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    at: u64,
    length: u32,
    sum: u64,
}

/// Pieces of an application. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Where temporary files go, when not where the system keeps them.
    directory: Option<PathBuf>,
    places: Vec<Place>,
    own: Option<Own>,
    /// No file can be written: pieces stay in memory.
    failed: bool,
}

#[derive(Debug)]
struct Own {
    file: Arc<File>,
    end: u64,
}

#[derive(Debug, Clone)]
enum Place {
    File(Arc<File>, Spot),
    Memory(Arc<[u8]>),
    /// Not taken over into the cache: nothing refers to it.
    Gone,
}

impl Pieces {
    /// Pieces whose file is made in `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Pieces {
        let state = State {
            directory: Some(directory.into()),
            ..State::default()
        };
        Pieces(Arc::new(Mutex::new(state)))
    }

    /// Pieces that are in a file of the cache. Further ones go to a file in `directory`.
    pub(crate) fn kept(file: File, spots: Vec<Spot>, directory: &Path) -> Pieces {
        let pieces = Pieces::in_directory(directory);
        let file = Arc::new(file);
        let place = |spot: Spot| match spot.length {
            0 => Place::Gone,
            _ => Place::File(file.clone(), spot),
        };
        pieces.state().places = spots.into_iter().map(place).collect();
        pieces
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts bytes away. Where no file can be written they stay in memory.
    pub fn put(&self, bytes: &[u8]) -> Piece {
        let mut state = self.state();
        let place = match state.write(bytes) {
            Ok(place) => place,
            Err(error) => {
                if !std::mem::replace(&mut state.failed, true) {
                    tracing::warn!(%error, "no temporary file can be written: tasks stay in memory");
                }
                Place::Memory(bytes.into())
            }
        };
        state.places.push(place);
        Piece(u32::try_from(state.places.len() - 1).unwrap_or(u32::MAX))
    }

    /// The bytes of a piece, as they were put away.
    ///
    /// # Errors
    /// When its file cannot be read or is damaged.
    pub fn get(&self, piece: Piece) -> io::Result<Vec<u8>> {
        let place = self.state().places.get(piece.0 as usize).cloned();
        match place {
            Some(Place::Memory(bytes)) => Ok(bytes.to_vec()),
            Some(Place::File(file, spot)) => {
                let mut bytes = vec![0; spot.length as usize];
                file.read_exact_at(&mut bytes, spot.at)?;
                match XxHash64::oneshot(0, &bytes) == spot.sum {
                    true => Ok(bytes),
                    false => Err(damaged()),
                }
            }
            Some(Place::Gone) | None => Err(damaged()),
        }
    }

    /// Writes the pieces of these numbers into a file from `at` on, one after another: where each piece is there, by number, and the end.
    pub(crate) fn copy(&self, wanted: &[Piece], into: &File, mut at: u64) -> io::Result<(Vec<Spot>, u64)> {
        let mut spots = vec![Spot::default(); self.state().places.len()];
        for piece in wanted {
            let bytes = self.get(*piece)?;
            into.write_all_at(&bytes, at)?;
            if let Some(spot) = spots.get_mut(piece.0 as usize) {
                *spot = Spot {
                    at,
                    length: bytes.len() as u32,
                    sum: XxHash64::oneshot(0, &bytes),
                };
            }
            at += bytes.len() as u64;
        }
        Ok((spots, at))
    }

    /// Bytes of memory taken.
    pub fn memory(&self) -> usize {
        let state = self.state();
        let bytes = |place: &Place| match place {
            Place::Memory(bytes) => bytes.len(),
            _ => 0,
        };
        state.places.capacity() * size_of::<Place>() + state.places.iter().map(bytes).sum::<usize>()
    }
}

impl State {
    fn write(&mut self, bytes: &[u8]) -> io::Result<Place> {
        if self.failed {
            return Ok(Place::Memory(bytes.into()));
        }
        let own = match &mut self.own {
            Some(own) => own,
            none => none.insert(Own {
                file: Arc::new(nameless(self.directory.as_deref())?),
                end: 0,
            }),
        };
        let spot = Spot {
            at: own.end,
            length: u32::try_from(bytes.len()).map_err(io::Error::other)?,
            sum: XxHash64::oneshot(0, bytes),
        };
        own.file.write_all_at(bytes, spot.at)?;
        own.end += bytes.len() as u64;
        Ok(Place::File(own.file.clone(), spot))
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "what was kept of this application is damaged; delete the cache of history",
    )
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file only we know of: it is gone when we are.
pub(crate) fn nameless(directory: Option<&Path>) -> io::Result<File> {
    let name = format!(
        ".stoke-pieces.{}.{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let path = match directory {
        Some(directory) => directory.join(name),
        None => std::env::temp_dir().join(name),
    };
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_and_are_copied() {
        let directory = tempfile::tempdir().unwrap();
        let pieces = Pieces::in_directory(directory.path());
        let all: Vec<Piece> = (0..5u8).map(|byte| pieces.put(&vec![byte; 1000])).collect();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "it has no name");
        assert_eq!(pieces.get(all[3]).unwrap(), vec![3; 1000]);
        let path = directory.path().join("kept");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        let (spots, end) = pieces.copy(&[all[1], all[4]], &file, 7).unwrap();
        assert_eq!(end, 2007);
        let kept = Pieces::kept(file, spots, directory.path());
        assert_eq!(kept.get(all[4]).unwrap(), vec![4; 1000]);
        assert!(kept.get(all[0]).is_err());
        let more = kept.put(b"more");
        assert_eq!(kept.get(more).unwrap(), b"more");
        // One byte of a piece is another.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .write_all_at(b"x", 1500)
            .unwrap();
        assert!(kept.get(all[4]).is_err() && kept.get(all[1]).is_ok());
    }

    #[test]
    fn without_a_file_pieces_stay_in_memory() {
        let pieces = Pieces::in_directory("/no/such/directory");
        let one = pieces.put(b"one");
        assert_eq!(pieces.get(one).unwrap(), b"one");
    }
}
