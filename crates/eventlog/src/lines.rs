//! Cutting a stream of bytes into blocks that end where a line ends.

use std::io::{self, Read};

/// The block we aim at, in bytes.
const BLOCK: usize = 1 << 20;
/// The longest line we take, in bytes. A plan of thousands of operators makes lines of some MiB; what is longer is passed over.
pub(crate) const LONGEST: usize = 64 << 20;

/// Whole lines, or the rest of the stream.
pub(crate) struct Block {
    /// The bytes. Every line ends with a line feed, except the last one of a stream that was cut.
    pub(crate) bytes: Vec<u8>,
    /// Where they begin in the decompressed stream.
    pub(crate) offset: u64,
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
    pub(crate) fn next(&mut self, mut reuse: Vec<u8>) -> Option<(Block, Option<io::Error>)> {
        if self.ended {
            return None;
        }
        reuse.clear();
        if self.skipping {
            self.skip();
        }
        reuse.append(&mut self.rest);
        let mut failure = None;
        loop {
            let have = reuse.len();
            let want = BLOCK.saturating_sub(have).max(BLOCK / 2) as u64;
            match (&mut self.from).take(want).read_to_end(&mut reuse) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    failure = Some(error);
                }
            }
            if self.ended {
                break;
            }
            if let Some(end) = memchr::memrchr(b'\n', &reuse[have..]) {
                self.rest.extend_from_slice(&reuse[have + end + 1..]);
                reuse.truncate(have + end + 1);
                break;
            }
            if reuse.len() > LONGEST {
                self.skipping = true;
                let error = io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 64 MiB");
                let block = Block {
                    offset: self.offset,
                    bytes: Vec::new(),
                };
                self.offset += reuse.len() as u64;
                return Some((block, Some(error)));
            }
        }
        let block = Block {
            offset: self.offset,
            bytes: reuse,
        };
        self.offset += block.bytes.len() as u64;
        (!block.bytes.is_empty() || failure.is_some()).then_some((block, failure))
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
            all.extend_from_slice(&block.bytes);
            assert!(block.bytes.ends_with(b"\n") || all.len() == text.len());
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
            if !block.bytes.is_empty() {
                seen.push((block.offset, block.bytes));
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
