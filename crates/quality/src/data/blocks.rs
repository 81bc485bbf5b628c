//! A file of text in blocks of whole records, so that threads read one file together.
//!
//! Whoever takes a block reads the bytes of it while the others wait, and looks for the end of its last record; parsing, which takes far longer, is done
//! beside each other. A line end in quotes ends no record, so quotes are followed as the parser of CSV follows them: one opens a field only where a field
//! begins, and two in a row stand for one. A record longer than a block makes the block longer.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use memchr::{memchr, memrchr, memrchr2};

/// Bytes of a block.
const BLOCK: usize = 4 << 20;

/// The blocks of a file that are not yet taken.
pub struct Blocks(Mutex<Rest>);

struct Rest {
    bytes: Box<dyn Read + Send>,
    /// What was read and belongs to the next block.
    begun: Vec<u8>,
    next: usize,
    ended: bool,
    /// Between fields, in files with quotes.
    delimiter: Option<u8>,
    size: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number in the file, from 0.
    pub number: usize,
    /// Whole records. All but the first block begin with the line end of the record before.
    pub bytes: Vec<u8>,
}

impl Blocks {
    /// Of the bytes of a file; quotes are followed where there is a `delimiter`.
    pub fn new(bytes: Box<dyn Read + Send>, delimiter: Option<u8>) -> Self {
        Self::of_size(bytes, delimiter, BLOCK)
    }

    fn of_size(bytes: Box<dyn Read + Send>, delimiter: Option<u8>, size: usize) -> Self {
        Self(Mutex::new(Rest {
            bytes,
            begun: Vec::new(),
            next: 0,
            ended: false,
            delimiter,
            size,
        }))
    }

    /// The next block; none at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read. There are no more blocks then.
    pub fn next(&self) -> Option<Result<Block, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// Leaves what is not yet taken.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    }
}

impl Rest {
    fn next(&mut self) -> Option<Result<Block, String>> {
        if self.ended {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.begun);
        let mut wanted = self.size;
        loop {
            let missing = wanted.saturating_sub(bytes.len()) as u64;
            bytes.reserve_exact(usize::try_from(missing).unwrap_or(0));
            match (&mut self.bytes).take(missing).read_to_end(&mut bytes) {
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.to_string()));
                }
                Ok(read) if (read as u64) < missing => {
                    self.ended = true;
                    break;
                }
                Ok(_) => {}
            }
            if let Some(end) = self.last_end(&bytes) {
                self.begun = bytes.split_off(end);
                break;
            }
            wanted = wanted.saturating_mul(2);
        }
        let number = self.next;
        self.next += 1;
        (!bytes.is_empty()).then_some(Ok(Block { number, bytes }))
    }

    /// Where the last line end of a stretch that begins with a record is, outside of quotes and not at the very start.
    fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        let first = |stretch: &[u8]| {
            let end = memrchr(b'\n', stretch).or_else(|| memrchr(b'\r', stretch));
            end.filter(|end| *end > 0)
        };
        let Some(delimiter) = self.delimiter.filter(|_| memchr(b'"', bytes).is_some()) else {
            return first(bytes);
        };
        let mut last = None;
        let mut at = match bytes {
            [0xEF, 0xBB, 0xBF, ..] if self.next == 0 => 3,
            _ => 0,
        };
        let begin = at;
        while at < bytes.len() {
            let quote = memchr(b'"', &bytes[at..]).map_or(bytes.len(), |found| at + found);
            if let Some(end) = memrchr2(b'\n', b'\r', &bytes[at..quote])
                && at + end > begin
            {
                last = Some(at + end);
            }
            if quote == bytes.len() {
                break;
            }
            let opens = quote == begin || [delimiter, b'\n', b'\r'].contains(&bytes[quote - 1]);
            at = quote + 1;
            if opens {
                match after_quoted(bytes, at) {
                    Some(after) => at = after,
                    None => break,
                }
            }
        }
        last
    }
}

/// Where a quoted field ends that begins before a place: after its closing quote; none when that is not in the bytes.
fn after_quoted(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', &bytes[at..])? + 1;
        match bytes.get(at) {
            Some(b'"') => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn records(bytes: &[u8]) -> Vec<Vec<String>> {
        let reader = arrow_csv::reader::Format::default().with_header(false);
        let Ok((schema, _)) = reader.infer_schema(Cursor::new(bytes), Some(1)) else {
            return Vec::new();
        };
        let columns = schema.fields().len();
        let fields =
            (0..columns).map(|at| arrow_schema::Field::new(at.to_string(), arrow_schema::DataType::Utf8, true));
        let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
        let read = arrow_csv::ReaderBuilder::new(schema)
            .with_truncated_rows(true)
            .with_batch_size(1)
            .build(Cursor::new(bytes));
        let mut records = Vec::new();
        for batch in read.unwrap() {
            let Ok(batch) = batch else { break };
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter().map(|column| {
                    let column = arrow_array::cast::AsArray::as_string::<i32>(column.as_ref());
                    if arrow_array::Array::is_valid(column, row) {
                        column.value(row).to_owned()
                    } else {
                        String::new()
                    }
                });
                records.push(values.collect());
            }
        }
        records
    }

    fn blocks(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let blocks = Blocks::of_size(Box::new(Cursor::new(text.to_vec())), Some(b','), size);
        let all: Vec<Block> = std::iter::from_fn(|| blocks.next()).map(Result::unwrap).collect();
        assert!(all.iter().enumerate().all(|(at, block)| block.number == at));
        all.into_iter().map(|block| block.bytes).collect()
    }

    #[test]
    fn line_ends_in_quotes_end_no_record() {
        let text = b"a,\"x\ny\"\nb,c\nd,\"\"\"\n\"\n";
        for size in 1..40 {
            let blocks = blocks(text, size);
            assert_eq!(blocks.concat(), text);
            for block in &blocks[1..] {
                let begins: &[&[u8]] = &[b"\nb", b"\nd", b"\n"];
                assert!(begins.iter().any(|begin| block.starts_with(begin)), "{size}: {block:?}");
            }
        }
        assert!(blocks(text, 1).len() > 2);
    }

    proptest! {
        /// Records of the blocks, one after the other, are those of the whole.
        #[test]
        fn blocks_together_are_the_file(parts in prop::collection::vec(
            prop::sample::select(vec!["a", "b,", ",", "\"", "\"\"", "\"x\"", "\n", "\r\n", "\r", "c\"d", " "]), 0..60), size in 1usize..30)
        {
            let mut text = "1,2\n".to_owned();
            text.extend(parts);
            let blocks = blocks(text.as_bytes(), size);
            prop_assert_eq!(blocks.concat(), text.as_bytes());
            let joined: Vec<Vec<String>> = blocks.iter().map(|block| {
                let mut with_columns = b"1,2\n".to_vec();
                with_columns.extend(block);
                with_columns
            }).flat_map(|block| records(&block).into_iter().skip(1)).collect();
            let whole = records(text.as_bytes());
            // A record with too many fields ends both.
            let same = joined.len().min(whole.len());
            prop_assert_eq!(&joined[..same], &whole[..same]);
        }
    }
}
