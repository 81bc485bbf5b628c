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
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|known| {
        let compressor = match known {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(1)?),
        };
        compressor.compress(bytes)
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
        let packed = postcard::to_stdvec(&value)
            .map_err(io::Error::other)
            .and_then(|bytes| Ok((compressed(&bytes)?, bytes.len() as u64)));
        match packed {
            Ok((packed, size)) => Away::There {
                piece: pieces.put(&packed),
                size,
            },
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

    /// The piece it is in.
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
