//! Cutting a stream of bytes into blocks that end where a line ends.

use std::io::{self, Read};

/// The block we aim at, in bytes: what a core's cache holds while it is parsed.
const BLOCK: usize = 256 << 10;
/// The longest line we take, in bytes. A plan of thousands of operators makes lines of some MiB; what is longer is passed over.
pub(crate) const LONGEST: usize = 64 << 20;

/// Whole lines, or the rest of the stream.
pub(crate) struct Block {
    /// Memory, of which the first bytes are the block. It is initialised once and used again as it is.
    memory: Vec<u8>,
    length: usize,
    /// Where they begin in the decompressed stream.
    pub(crate) offset: u64,
}

impl Block {
    /// The bytes. Every line ends with a line feed, except the last one of a stream that was cut.
    pub(crate) fn text(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }

    /// The memory, for another block.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.memory
    }
}

/// Blocks of a stream.
pub(crate) struct Blocks<R> {
    from: R,
    rest: Vec<u8>,
    offset: u64,
    ended: bool,
    /// In a line that is too long.
    skipping: bool,
}

impl<R: Read> Blocks<R> {
    pub(crate) fn new(from: R, offset: u64) -> Self {
        Blocks {
            from,
            rest: Vec::new(),
            offset,
            ended: false,
            skipping: false,
        }
    }

    /// The next block, in memory that `reuse` brings. An error of the stream comes after every byte before it was given out.
    pub(crate) fn next(&mut self, reuse: Vec<u8>) -> Option<(Block, Option<io::Error>)> {
        if self.ended {
            return None;
        }
        if self.skipping {
            self.skip();
        }
        // Memory a long line took is given back.
        let mut memory = if reuse.len() > 4 * BLOCK { Vec::new() } else { reuse };
        let least = BLOCK.max(self.rest.len() + BLOCK / 2);
        if memory.len() < least {
            memory.resize(least, 0);
        }
        let mut have = self.rest.len();
        memory[..have].copy_from_slice(&self.rest);
        self.rest.clear();
        let mut failure = None;
        let length = loop {
            let before = have;
            while have < memory.len() && !self.ended {
                match self.from.read(&mut memory[have..]) {
                    Ok(0) => self.ended = true,
                    Ok(more) => have += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.ended = true;
                        failure = Some(error);
                    }
                }
            }
            if self.ended {
                break have;
            }
            if let Some(end) = memchr::memrchr(b'\n', &memory[before..have]) {
                self.rest.extend_from_slice(&memory[before + end + 1..have]);
                break before + end + 1;
            }
            if have > LONGEST {
                self.skipping = true;
                let error = io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 64 MiB");
                let block = Block {
                    offset: self.offset,
                    length: 0,
                    memory: Vec::new(),
                };
                self.offset += have as u64;
                return Some((block, Some(error)));
            }
            memory.resize((have * 2).min(LONGEST + BLOCK), 0);
        };
        let block = Block {
            offset: self.offset,
            length,
            memory,
        };
        self.offset += length as u64;
        (length > 0 || failure.is_some()).then_some((block, failure))
    }

    /// Passes over the rest of a line. An error of the stream comes again when the stream is read next.
    fn skip(&mut self) {
        let mut piece = Vec::new();
        while let Ok(read @ 1..) = (&mut self.from).take(BLOCK as u64).read_to_end(&mut piece) {
            if let Some(end) = memchr::memchr(b'\n', &piece) {
                self.offset += end as u64 + 1;
                self.rest.extend_from_slice(&piece[end + 1..]);
                break;
            }
            self.offset += read as u64;
            piece.clear();
        }
        self.skipping = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_where_lines_end() {
        let mut text = Vec::new();
        for line in 0..200_000u32 {
            text.extend_from_slice(format!("line {line}\n").as_bytes());
        }
        text.extend_from_slice(b"cut");
        let mut blocks = Blocks::new(&text[..], 0);
        let mut all = Vec::new();
        let mut count = 0;
        while let Some((block, failure)) = blocks.next(Vec::new()) {
            assert!(failure.is_none());
            assert_eq!(block.offset, all.len() as u64);
            all.extend_from_slice(block.text());
            assert!(block.text().ends_with(b"\n") || all.len() == text.len());
            count += 1;
        }
        assert!(count > 1);
        assert_eq!(all, text);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = LONGEST + 3 * BLOCK;
        let text = b"first\n"
            .chain(io::repeat(b'x').take(long as u64))
            .chain(&b"\nlast\n"[..]);
        let mut blocks = Blocks::new(text, 0);
        let (mut seen, mut failures) = (Vec::new(), 0);
        while let Some((block, failure)) = blocks.next(Vec::new()) {
            if !block.text().is_empty() {
                seen.push((block.offset, block.text().to_vec()));
            }
            failures += usize::from(failure.is_some());
        }
        let last = 6 + long as u64 + 1;
        assert_eq!(
            (seen, failures),
            (vec![(0, b"first\n".to_vec()), (last, b"last\n".to_vec())], 1)
        );
    }
}
