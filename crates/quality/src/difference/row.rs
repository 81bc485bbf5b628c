//! A row in the one form: what it is found by, its bytes, its numbers with a tolerance, and a hash of all of it.

use twox_hash::XxHash3_128;

use super::cells::Cells;

/// Seed of the hash. What is hashed is data: whoever could choose values that collide could as well leave them out.
const SEED: u64 = 0x5374_6f6b_6544_6966;

/// A row, written again and again.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub bytes: Vec<u8>,
    /// Numbers that have a tolerance.
    pub floats: Vec<f64>,
    /// Length of the keys.
    keys: usize,
}

impl Row {
    /// Writes a row of these columns, of which the first ones are keys.
    pub(super) fn write(&mut self, cells: &[Cells], keys: usize, row: usize) {
        self.bytes.clear();
        self.floats.clear();
        for (position, column) in cells.iter().enumerate() {
            if position == keys {
                self.keys = self.bytes.len();
            }
            column.write(row, &mut self.floats, &mut self.bytes);
        }
        if keys >= cells.len() {
            self.keys = self.bytes.len();
        }
    }

    /// What rows are found by: their keys, or everything but numbers with a tolerance.
    pub(super) fn group(&self, keyed: bool) -> u128 {
        hash(if keyed { &self.bytes[..self.keys] } else { &self.bytes })
    }

    /// Of all of it.
    pub(super) fn whole(&mut self, group: u128, keyed: bool) -> u128 {
        if !keyed && self.floats.is_empty() {
            return group;
        }
        let length = self.bytes.len();
        for float in &self.floats {
            self.bytes.extend_from_slice(&float.to_bits().to_le_bytes());
        }
        let whole = hash(&self.bytes);
        self.bytes.truncate(length);
        whole
    }
}

fn hash(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot_with_seed(SEED, bytes)
}

/// How many buckets rows are counted in.
const BUCKETS: usize = 1 << 16;

/// Rows by the first bits of what they are found by: how many there are, and the sum of their hashes, which does not depend on their order.
#[derive(Clone, Debug)]
pub(super) struct Buckets(Vec<(u64, u128)>);

impl Buckets {
    pub(super) fn new() -> Self {
        Self(vec![(0, 0); BUCKETS])
    }

    pub(super) fn bucket(group: u128) -> usize {
        (group >> 112) as usize
    }

    pub(super) fn add(&mut self, group: u128, whole: u128) {
        let (rows, sum) = &mut self.0[Self::bucket(group)];
        *rows += 1;
        *sum = sum.wrapping_add(whole);
    }

    pub(super) fn merge(&mut self, more: &Self) {
        for ((rows, sum), (others, other)) in self.0.iter_mut().zip(&more.0) {
            *rows += others;
            *sum = sum.wrapping_add(*other);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.iter().map(|(rows, _)| rows).sum()
    }

    /// Which buckets are not the same, and how many rows these have on both sides.
    pub(super) fn unlike(&self, other: &Self) -> (Vec<bool>, u64) {
        let pairs = || self.0.iter().zip(&other.0);
        let rows = pairs()
            .filter(|(one, other)| one != other)
            .map(|(one, other)| one.0 + other.0);
        (pairs().map(|(one, other)| one != other).collect(), rows.sum())
    }

    /// How many rows are in some of the buckets.
    pub(super) fn rows_of(&self, some: &[bool]) -> u64 {
        let chosen = self.0.iter().zip(some).filter(|(_, chosen)| **chosen);
        chosen.map(|((rows, _), _)| rows).sum()
    }

    /// A number for all rows, whatever their order: not cryptographic.
    pub(super) fn digest(&self) -> u128 {
        let mut bytes = Vec::with_capacity(24);
        bytes.extend_from_slice(&self.rows().to_le_bytes());
        let sum = self.0.iter().fold(0_u128, |sum, (_, more)| sum.wrapping_add(*more));
        bytes.extend_from_slice(&sum.to_le_bytes());
        hash(&bytes)
    }
}
