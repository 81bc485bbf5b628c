//! The numbers tasks reported of a SQL metric: all of them, because the median of a metric is shown, in memory that does not grow with
//! their count.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::pieces::{Piece, Pieces};

/// Numbers in memory; more are sorted and put away.
const FULL: usize = 4096;

/// Numbers of tasks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Values {
    /// Of tasks that did their work: how many, and their sum.
    count: u64,
    sum: i64,
    /// Those that are not put away. None are kept where only the sum is shown.
    here: Vec<i64>,
    runs: Vec<Piece>,
    /// Of tasks that have not done their work yet, by their index: what they report next takes its place.
    early: BTreeMap<i32, i64>,
}

impl Values {
    /// A task of that index reported a number.
    pub(super) fn set(&mut self, index: i32, value: i64, done: bool, only_sum: bool, pieces: &Pieces) {
        if !done {
            self.early.insert(index, value);
            return;
        }
        self.early.remove(&index);
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        if only_sum {
            return;
        }
        self.here.push(value);
        if self.here.len() >= FULL {
            self.here.sort_unstable();
            let mut bytes = Vec::with_capacity(3 * FULL);
            let mut before = 0i64;
            for value in self.here.drain(..) {
                unsigned(&mut bytes, value.wrapping_sub(before).cast_unsigned());
                before = value;
            }
            self.runs.push(pieces.put(&bytes));
        }
    }

    /// How many tasks have reported.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX) + self.early.len()
    }

    /// Adds the numbers to `all`; where only the sum is shown, their sum.
    ///
    /// # Errors
    /// When numbers that were put away cannot be read again.
    pub(super) fn add_to(&self, all: &mut Vec<i64>, only_sum: bool, pieces: &Pieces) -> io::Result<()> {
        all.extend(self.early.values());
        if only_sum {
            all.push(self.sum);
            return Ok(());
        }
        all.extend(&self.here);
        for run in &self.runs {
            let bytes = pieces.get(*run)?;
            let (mut rest, mut value) = (&bytes[..], 0i64);
            while let Some(more) = take_unsigned(&mut rest) {
                value = value.wrapping_add(more.cast_signed());
                all.push(value);
            }
        }
        Ok(())
    }

    /// The pieces numbers are in.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.runs.iter().copied()
    }
}

/// LEB128.
pub(super) fn unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes what [`unsigned`] wrote.
#[inline]
pub(super) fn take_unsigned(from: &mut &[u8]) -> Option<u64> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    match first & 0x80 {
        0 => Some(u64::from(*first)),
        _ => take_further(from, u64::from(first & 0x7f)),
    }
}

/// The rest of a number of more than one byte.
fn take_further(from: &mut &[u8], first: u64) -> Option<u64> {
    let mut number = first;
    for (byte, shift) in from.iter().zip((7..64).step_by(7)) {
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            *from = from.get(shift / 7..)?;
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        let (pieces, mut values) = (Pieces::default(), Values::default());
        let mut expected = Vec::new();
        let mut number = 3u64;
        for index in 0..20_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = number.cast_signed() >> (number % 60);
            values.set(index, 7, false, false, &pieces);
            values.set(index, value, true, false, &pieces);
            expected.push(value);
        }
        values.set(20_000, i64::MIN, false, false, &pieces);
        expected.push(i64::MIN);
        assert!(values.runs.len() == 4 && values.here.len() < FULL && values.len() == 20_001);
        let mut all = Vec::new();
        values.add_to(&mut all, false, &pieces).unwrap();
        all.sort_unstable();
        expected.sort_unstable();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_sum_needs_no_numbers() {
        let (pieces, mut values) = (Pieces::default(), Values::default());
        for index in 0..10_000 {
            values.set(index, 2, true, true, &pieces);
        }
        let mut all = Vec::new();
        values.add_to(&mut all, true, &pieces).unwrap();
        assert_eq!((values.here.capacity(), all, values.len()), (0, vec![20_000], 10_000));
    }
}
