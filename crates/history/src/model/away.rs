//! What is in memory while it is small, and a piece of a file otherwise.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pieces::{Piece, Pieces};

/// What takes more bytes than this is put away.
const SMALL: usize = 4 << 10;

thread_local! {
    /// Making one takes as long as compressing a value.
    static PACKER: RefCell<Option<Packer>> = const { RefCell::new(None) };
}

/// Puts values into bytes. Its memory is used again: plans take hundreds of kilobytes, and memory of that size is given back to the system
/// and asked for again otherwise.
struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

/// Memory beyond this is given back.
const KEPT: usize = 4 << 20;

/// Has `put` take the compressed bytes of a value: what it gives, and how many bytes they were before.
fn packed<T: Serialize, P>(value: &T, put: impl FnOnce(&[u8]) -> P) -> io::Result<(P, u64)> {
    PACKER.with_borrow_mut(|known| {
        let packer = match known {
            Some(packer) => packer,
            none => none.insert(Packer {
                compressor: zstd::bulk::Compressor::new(1)?,
                plain: Vec::new(),
                packed: Vec::new(),
            }),
        };
        let mut plain = std::mem::take(&mut packer.plain);
        plain.clear();
        let plain = postcard::to_extend(value, plain).map_err(io::Error::other)?;
        packer.packed.clear();
        packer.packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        packer.compressor.compress_to_buffer(&plain, &mut packer.packed)?;
        let put = put(&packer.packed);
        let size = plain.len() as u64;
        packer.plain = plain;
        packer.plain.shrink_to(KEPT);
        packer.packed.shrink_to(KEPT);
        Ok((put, size))
    })
}

/// A value, here or put away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Away<T> {
    Here(T),
    There { piece: Piece, size: u64 },
}

impl<T: Clone + Serialize + DeserializeOwned> Away<T> {
    /// Puts a value away when it is large; `about` how many bytes it takes.
    pub(super) fn new(value: T, about: usize, pieces: &Pieces) -> Self {
        if about <= SMALL {
            return Away::Here(value);
        }
        match packed(&value, |bytes| pieces.put(bytes)) {
            Ok((piece, size)) => Away::There { piece, size },
            // Without memory for it, it stays as it is.
            Err(_) => Away::Here(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// When it was put away and cannot be read again.
    pub(super) fn get(&self, pieces: &Pieces) -> io::Result<Cow<'_, T>> {
        match self {
            Away::Here(value) => Ok(Cow::Borrowed(value)),
            Away::There { piece, size } => {
                let size = usize::try_from(*size).map_err(io::Error::other)?;
                let bytes = zstd::bulk::decompress(&pieces.get(*piece)?, size)?;
                let value = postcard::from_bytes(&bytes);
                value.map(Cow::Owned).map_err(io::Error::other)
            }
        }
    }

    pub(super) fn piece(&self) -> Option<Piece> {
        match self {
            Away::Here(_) => None,
            Away::There { piece, .. } => Some(*piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_away_comes_back() {
        let pieces = Pieces::default();
        let value: Vec<String> = (0..100).map(|number| format!("größe {number}")).collect();
        for (about, there) in [(10, false), (SMALL + 1, true)] {
            let away = Away::new(value.clone(), about, &pieces);
            assert_eq!(away.piece().is_some(), there);
            assert_eq!(*away.get(&pieces).unwrap(), value);
        }
    }
}
