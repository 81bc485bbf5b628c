//! Reading a sequence of blocks as one stream, one block in memory at a time.

use std::io::{self, Read};

/// What a framing knows: where the next block ends and how it is decoded.
pub(super) trait Frames {
    /// Puts the next block, decoded, into `out` (which is empty). `false` when the stream ended where a block may end.
    fn next(&mut self, bytes: &mut dyn Read, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// Blocks of `R` as one stream.
pub(super) struct Framed<R, F> {
    bytes: R,
    frames: F,
    block: Vec<u8>,
    given: usize,
}

impl<R: Read, F: Frames> Framed<R, F> {
    pub(super) fn new(bytes: R, frames: F) -> Self {
        Framed {
            bytes,
            frames,
            block: Vec::new(),
            given: 0,
        }
    }
}

impl<R: Read, F: Frames> Read for Framed<R, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.block.len() {
            self.block.clear();
            self.given = 0;
            if !self.frames.next(&mut self.bytes, &mut self.block)? {
                return Ok(0);
            }
        }
        let take = into.len().min(self.block.len() - self.given);
        into[..take].copy_from_slice(&self.block[self.given..self.given + take]);
        self.given += take;
        Ok(take)
    }
}

/// Fills `into`. `false` when the stream ended before the first byte; an error when it ended in between.
pub(super) fn fill(bytes: &mut dyn Read, into: &mut [u8]) -> io::Result<bool> {
    let mut have = 0;
    while have < into.len() {
        match bytes.read(&mut into[have..]) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Fills `block` with exactly `length` bytes. Memory grows with the bytes that are really there, never with a length a damaged header claims.
pub(super) fn fill_block(bytes: &mut dyn Read, block: &mut Vec<u8>, length: usize) -> io::Result<()> {
    block.clear();
    bytes.take(length as u64).read_to_end(block)?;
    match block.len() == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
