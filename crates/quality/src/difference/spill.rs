//! Rows that are looked at closely, in parts by a hash; beyond a limit of memory the parts are in a file without a name.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::row::Row;

/// How many parts there are.
pub(super) const PARTS: usize = 256;
/// How often a part can be divided again: the number of bytes of the low half of the hash.
pub(super) const DEPTHS: u32 = 8;
/// Bytes before those of a row: its group, how many bytes it has, how many numbers.
const HEAD: usize = 24;

/// Rows in parts.
#[derive(Debug)]
pub(super) struct Spill {
    parts: Vec<Vec<u8>>,
    kept: usize,
    limit: usize,
    depth: u32,
    file: Option<File>,
    written: u64,
    /// Where in the file rows of each part are: offset and bytes.
    stretches: Vec<Vec<(u64, usize)>>,
}

/// A row of a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub group: u128,
    pub bytes: &'a [u8],
    floats: &'a [u8],
}

impl<'a> Record<'a> {
    /// A row without numbers that have a tolerance.
    pub(super) fn exact(group: u128, bytes: &'a [u8]) -> Self {
        Self {
            group,
            bytes,
            floats: &[],
        }
    }

    pub(super) fn floats(&self) -> Vec<f64> {
        let numbers = self.floats.chunks_exact(8);
        numbers
            .map(|number| f64::from_bits(u64::from_le_bytes(number.try_into().unwrap_or([0; 8]))))
            .collect()
    }

    /// Whether it is the same to the bit.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.floats == other.floats
    }

    /// What orders rows that are found by the same.
    pub(super) fn content(&self) -> (&[u8], &[u8]) {
        (self.bytes, self.floats)
    }
}

impl Spill {
    /// Of rows whose parts at lower depths are the same; this number of bytes stays in memory.
    pub(super) fn new(limit: usize, depth: u32) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Vec::new()).collect(),
            kept: 0,
            limit,
            depth,
            file: None,
            written: 0,
            stretches: vec![Vec::new(); PARTS],
        }
    }

    /// Bytes in files.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes of a part.
    pub(super) fn size(&self, part: usize) -> usize {
        let written: usize = self.stretches[part].iter().map(|(_, bytes)| bytes).sum();
        written + self.parts[part].len()
    }

    /// Takes a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn push(&mut self, group: u128, row: &Row) -> io::Result<()> {
        let floats: Vec<u8> = row
            .floats
            .iter()
            .flat_map(|float| float.to_bits().to_le_bytes())
            .collect();
        self.push_raw(group, &row.bytes, &floats)
    }

    fn push_raw(&mut self, group: u128, bytes: &[u8], floats: &[u8]) -> io::Result<()> {
        let length =
            |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| io::Error::other("a row has more than 4 GiB"));
        let part = (group >> (8 * self.depth)) as usize % PARTS;
        let into = &mut self.parts[part];
        into.extend_from_slice(&group.to_le_bytes());
        into.extend_from_slice(&length(bytes)?.to_le_bytes());
        into.extend_from_slice(&length(floats)?.to_le_bytes());
        into.extend_from_slice(bytes);
        into.extend_from_slice(floats);
        self.kept += HEAD + bytes.len() + floats.len();
        if self.kept > self.limit { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        for (part, stretches) in self.parts.iter_mut().zip(&mut self.stretches) {
            // What is freed is to be the system's again: the largest parts are not the same each time.
            let part = std::mem::take(part);
            if !part.is_empty() {
                file.write_all(&part)?;
                stretches.push((self.written, part.len()));
                self.written += part.len() as u64;
            }
        }
        self.kept = 0;
        Ok(())
    }

    /// The rows of a part, stretch by stretch; each stretch has at most about as many bytes as stay in memory.
    ///
    /// # Errors
    /// When the file cannot be read, or what `take` says.
    pub(super) fn each(&self, part: usize, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        for (offset, bytes) in &self.stretches[part] {
            let file = self
                .file
                .as_ref()
                .ok_or_else(|| io::Error::other("the file of rows is gone"))?;
            let mut stretch = vec![0; *bytes];
            file.read_exact_at(&mut stretch, *offset)?;
            take(&stretch)?;
        }
        if self.parts[part].is_empty() {
            Ok(())
        } else {
            take(&self.parts[part])
        }
    }

    /// All rows of a part of several, as bytes for [`records`].
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn load(all: &[Self], part: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(all.iter().map(|spill| spill.size(part)).sum());
        for spill in all {
            spill.each(part, |stretch| {
                bytes.extend_from_slice(stretch);
                Ok(())
            })?;
        }
        Ok(bytes)
    }

    /// Divides a part of several again.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) fn divide(all: &[Self], part: usize, limit: usize, depth: u32) -> io::Result<Self> {
        let mut divided = Self::new(limit, depth);
        for spill in all {
            spill.each(part, |stretch| {
                records(stretch).try_for_each(|record| divided.push_raw(record.group, record.bytes, record.floats))
            })?;
        }
        Ok(divided)
    }
}

/// The rows of a stretch.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?) as usize);
        let group = u128::from_le_bytes(head.get(..16)?.try_into().ok()?);
        let (own, rest) = rest.split_at_checked(number(16)?)?;
        let (floats, rest) = rest.split_at_checked(number(20)?)?;
        bytes = rest;
        Some(Record {
            group,
            bytes: own,
            floats,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32) -> Row {
        let mut row = Row::default();
        row.bytes = number.to_le_bytes().repeat(3);
        row.floats = vec![f64::from(number)];
        row
    }

    #[test]
    fn what_was_put_is_there_whether_on_disk_or_not() {
        for limit in [0, 1000, 1 << 20] {
            let mut spill = Spill::new(limit, 1);
            for number in 0..1000_u32 {
                spill.push(u128::from(number % 7) << 8, &row(number)).unwrap();
            }
            assert_eq!(spill.written() > 0, limit < 1 << 20);
            let mut found = Vec::new();
            for part in 0..PARTS {
                let bytes = Spill::load(std::slice::from_ref(&spill), part).unwrap();
                assert_eq!(bytes.len(), spill.size(part));
                for record in records(&bytes) {
                    assert_eq!((record.group >> 8) as usize, part);
                    assert_eq!(record.bytes.len(), 12);
                    found.push(record.floats()[0] as u32);
                }
            }
            found.sort_unstable();
            assert_eq!(found, (0..1000).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn parts_are_divided_by_the_next_byte() {
        let mut spill = Spill::new(1 << 20, 0);
        for number in 0..512_u32 {
            spill.push(u128::from(number) << 8, &row(number)).unwrap();
        }
        let divided = Spill::divide(&[spill], 0, 100, 1).unwrap();
        let rows: Vec<usize> = (0..PARTS)
            .map(|part| records(&Spill::load(std::slice::from_ref(&divided), part).unwrap()).count())
            .collect();
        assert_eq!(rows, [2; PARTS]);
    }
}
