//! Keys of rows: which values, or combinations of values, occur how often.
//!
//! Exact, not estimated. A whole number, date or timestamp is its own key, in 8 bytes; where the footers say that such values lie close together, one
//! bit each for "seen" and "seen again" is enough. A text of at most 12 bytes is its own key, too; longer ones, other values and combinations are keys of
//! 128 bits of a hash, in which two different values of a billion meet once in 10^20 runs. Keys are kept by the first bits of their hash in
//! [`PARTS`] parts; beyond a limit of memory the parts go to a file, and at the end each part is sorted on its own.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use twox_hash::XxHash3_128;

use crate::column::{Class, Column, Values};

/// How many parts keys are kept in.
pub const PARTS: usize = 256;

/// Most values that bits stand for: 512 MiB of them for each thread and set.
const MOST_BITS: u64 = 1 << 32;

/// How many times the limit keys may take where no file can be made.
const WITHOUT_FILE: usize = 16;

/// Seed of the hash. What is hashed is data, not requests; whoever could choose values to collide could as well leave them out.
const SEED: u64 = 0x5374_6f6b_6551_7561;

/// The key of a row of some columns. Nulls are equal to each other, and to nothing else; so are malformed values of the same text.
pub fn row_key(columns: &[&Column], row: usize) -> u128 {
    if let [column] = columns {
        return key(column, row);
    }
    let mut bytes = [0_u8; 16 * 8];
    if let Some(bytes) = bytes.get_mut(..16 * columns.len()) {
        for (part, column) in bytes.chunks_exact_mut(16).zip(columns) {
            part.copy_from_slice(&key(column, row).to_le_bytes());
        }
        return XxHash3_128::oneshot_with_seed(SEED, bytes);
    }
    let bytes: Vec<u8> = columns
        .iter()
        .flat_map(|column| key(column, row).to_le_bytes())
        .collect();
    XxHash3_128::oneshot_with_seed(SEED, &bytes)
}

/// Top bits that tell keys that are hashes, and nulls, from those that are values.
const NULL: u128 = u128::MAX;

fn key(column: &Column, row: usize) -> u128 {
    if !column.is_valid(row) {
        return if column.is_malformed(row) {
            hash(column.show(row).to_string().as_bytes())
        } else {
            NULL
        };
    }
    match &column.values {
        Values::None => NULL,
        Values::Bool(values) => u128::from(values.value(row)),
        Values::Long(values) => u128::from(values.values()[row].cast_unsigned()),
        Values::Float(values) => u128::from(normal(values.values()[row]).to_bits()),
        Values::Decimal(values) => values.values()[row].cast_unsigned(),
        Values::Text(values) => view_key(values.views()[row], || hash(values.value(row).as_bytes())),
        Values::Bytes(values) => view_key(values.views()[row], || hash(values.value(row))),
    }
}

/// A view of at most 12 bytes is the value.
fn view_key(view: u128, hashed: impl FnOnce() -> u128) -> u128 {
    if (view as u32) <= 12 { view } else { hashed() }
}

fn hash(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot_with_seed(SEED, bytes)
}

/// Zeros are equal whatever their sign, and so are all that are not a number.
fn normal(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}

/// Keys of other data, for references.
#[derive(Debug)]
pub struct KeySet {
    /// Sorted.
    keys: Vec<u128>,
    classes: Vec<Class>,
    place: String,
}

impl KeySet {
    /// Of all rows' keys, in any order, of columns of these classes at a place.
    pub fn new(mut keys: Vec<u128>, classes: Vec<Class>, place: String) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { keys, classes, place }
    }

    /// Whether a key is among them.
    pub fn contains(&self, key: u128) -> bool {
        self.keys.binary_search(&key).is_ok()
    }

    /// # Errors
    /// When keys of columns of these classes cannot be compared with them.
    pub fn check_classes(&self, classes: &[Class]) -> Result<(), String> {
        match classes.iter().zip(&self.classes).find(|(one, other)| one != other) {
            None => Ok(()),
            Some((one, other)) => Err(format!(
                "the column is {}, the one in {} is {}",
                one.name(),
                self.place,
                other.name()
            )),
        }
    }
}

/// Gathers keys on one thread.
#[derive(Debug)]
pub enum Collector {
    /// One bit a value.
    Bits(Bits),
    /// Keys by the first bits of their hash.
    Parts(Parts),
}

/// Bits for values in a range.
#[derive(Debug)]
pub struct Bits {
    low: i64,
    seen: Vec<u64>,
    again: Vec<u64>,
    rows: u64,
    /// Values that the footer did not promise.
    outside: u64,
}

/// Keys in parts.
#[derive(Debug)]
pub struct Parts {
    parts: Vec<Chunks<u128>>,
    narrow: Vec<Chunks<u64>>,
    wide: bool,
    kept: usize,
    limit: usize,
    /// What did not fit, one stretch after the other.
    file: Option<File>,
    written: u64,
    /// Where in the file keys of each part are: offset and number.
    stretches: Vec<Vec<(u64, usize)>>,
    rows: u64,
}

/// A list that grows without being copied: a vector that doubles leaves holes as large as itself behind.
#[derive(Debug)]
struct Chunks<T>(Vec<Vec<T>>);

impl<T> Chunks<T> {
    /// Values of a chunk; the first ones are smaller, for lists of few.
    const SIZE: usize = 2048;
    const FIRST: usize = 16;

    fn new() -> Self {
        Self(Vec::new())
    }

    fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < last.capacity() => last.push(value),
            _ => {
                let size = Self::FIRST << self.0.len().min(7);
                let mut chunk = Vec::with_capacity(size.min(Self::SIZE));
                chunk.push(value);
                self.0.push(chunk);
            }
        }
    }

    /// All values; the list is empty then.
    fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.0).into_iter().flatten()
    }
}

impl Collector {
    /// For 64-bit values that lie in a range and are so many at most, bits where those are smaller; else keys, of which `limit` bytes stay in memory.
    pub fn new(range: Option<(i64, i64)>, rows: u64, is_long: bool, limit: usize) -> Self {
        let span =
            range.and_then(|(low, high)| Some((low, u64::try_from(i128::from(high) - i128::from(low) + 1).ok()?)));
        if let Some((low, span)) = span
            && span <= MOST_BITS
            && span / 8 <= rows.saturating_mul(4).max(1 << 16)
        {
            let words = usize::try_from(span.div_ceil(64)).unwrap_or(0);
            return Self::Bits(Bits {
                low,
                seen: vec![0; words],
                again: vec![0; words],
                rows: 0,
                outside: 0,
            });
        }
        Self::Parts(Parts {
            parts: (0..if is_long { 0 } else { PARTS }).map(|_| Chunks::new()).collect(),
            narrow: (0..if is_long { PARTS } else { 0 }).map(|_| Chunks::new()).collect(),
            wide: !is_long,
            kept: 0,
            limit,
            file: None,
            written: 0,
            stretches: vec![Vec::new(); PARTS],
            rows: 0,
        })
    }

    /// Takes the values of a batch, but for rows that are left out.
    ///
    /// # Errors
    /// When keys cannot be written to a file.
    pub fn take(&mut self, columns: &[&Column], left_out: impl Fn(usize) -> bool) -> io::Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        let long = match columns {
            [column] if column.malformed.is_none() => match &column.values {
                Values::Long(values) => Some((*column, values.values())),
                _ => None,
            },
            _ => None,
        };
        match (self, long) {
            (Self::Bits(bits), Some((column, values))) => {
                if column.nulls.is_none() {
                    values.iter().for_each(|value| bits.note(*value));
                } else {
                    (0..rows)
                        .filter(|row| !left_out(*row))
                        .for_each(|row| bits.note(values[row]));
                }
                Ok(())
            }
            (Self::Parts(parts), Some((column, values))) if !parts.wide => {
                let all = column.nulls.is_none();
                for row in 0..rows {
                    if all || !left_out(row) {
                        parts.note_narrow(values[row].cast_unsigned());
                    }
                }
                parts.spill()
            }
            (Self::Parts(parts), _) => {
                for row in (0..rows).filter(|row| !left_out(*row)) {
                    parts.note(row_key(columns, row));
                }
                parts.spill()
            }
            (Self::Bits(_), None) => Err(io::Error::other("the footer promised whole numbers")),
        }
    }
}

impl Bits {
    fn note(&mut self, value: i64) {
        self.rows += 1;
        let at = value.wrapping_sub(self.low).cast_unsigned();
        let (word, bit) = ((at / 64) as usize, 1_u64 << (at % 64));
        if let (Some(seen), Some(again)) = (self.seen.get_mut(word), self.again.get_mut(word)) {
            *again |= *seen & bit;
            *seen |= bit;
        } else {
            self.outside += 1;
        }
    }
}

impl Parts {
    fn note(&mut self, key: u128) {
        self.rows += 1;
        let part = part_of(key);
        if self.wide {
            self.parts[part].push(key);
            self.kept += 16;
        } else {
            self.note_at(part, key as u64);
        }
    }

    fn note_narrow(&mut self, key: u64) {
        self.rows += 1;
        self.note_at(part_of(u128::from(key)), key);
    }

    fn note_at(&mut self, part: usize, key: u64) {
        self.narrow[part].push(key);
        self.kept += 8;
    }

    /// Writes what is beyond the limit to a file without a name.
    fn spill(&mut self) -> io::Result<()> {
        if self.kept <= self.limit {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => match tempfile::tempfile() {
                Ok(file) => none.insert(file),
                // With no place to write, more of the memory is taken.
                Err(_) if self.kept <= self.limit.saturating_mul(WITHOUT_FILE) => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        for part in 0..PARTS {
            let bytes: Vec<u8> = if self.wide {
                self.parts[part].drain().flat_map(u128::to_le_bytes).collect()
            } else {
                self.narrow[part]
                    .drain()
                    .flat_map(|key| u128::from(key).to_le_bytes())
                    .collect()
            };
            if !bytes.is_empty() {
                file.write_all(&bytes)?;
                self.stretches[part].push((self.written, bytes.len() / 16));
                self.written += bytes.len() as u64;
            }
        }
        self.kept = 0;
        Ok(())
    }

    fn part(&mut self, part: usize, into: &mut Vec<u128>) -> io::Result<()> {
        if self.wide {
            into.extend(self.parts[part].drain());
        } else {
            into.extend(self.narrow[part].drain().map(u128::from));
        }
        let Some(file) = &self.file else { return Ok(()) };
        for (offset, keys) in &self.stretches[part] {
            let mut bytes = vec![0; keys * 16];
            file.read_exact_at(&mut bytes, *offset)?;
            into.extend(
                bytes
                    .chunks_exact(16)
                    .filter_map(|key| key.try_into().ok().map(u128::from_le_bytes)),
            );
        }
        Ok(())
    }
}

fn part_of(key: u128) -> usize {
    // Multiplying mixes all bits into the highest ones (Fibonacci hashing).
    let folded = (key as u64) ^ ((key >> 64) as u64);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

/// What all keys together say.
#[derive(Debug, Default)]
pub struct Groups {
    /// Rows that had a key.
    pub rows: u64,
    /// Different keys.
    pub distinct: u64,
    /// Rows of a key that occurs more than once.
    pub repeated_rows: u64,
    /// How often the most frequent key occurs.
    pub most: u64,
    /// Keys that occur so often.
    pub at_most: u64,
    /// How often each of the keys that were asked for occurs.
    pub asked: Vec<u64>,
    /// The sum of `c ln c` over all keys that occur `c` times; only when some were asked for.
    pub logs: f64,
    /// Keys that occur more than once.
    pub repeated: Repeated,
}

/// Keys that occur more than once.
#[derive(Debug, Default)]
pub struct Repeated {
    keys: Vec<u128>,
    bits: Option<(i64, Vec<u64>)>,
}

impl Repeated {
    /// Whether a row's key is among them.
    pub fn contains(&self, columns: &[&Column], row: usize) -> bool {
        if let (Some((low, again)), [column]) = (&self.bits, columns)
            && let Values::Long(values) = &column.values
        {
            let at = values.value(row).wrapping_sub(*low).cast_unsigned();
            return again
                .get((at / 64) as usize)
                .is_some_and(|word| word & (1 << (at % 64)) != 0);
        }
        self.keys.binary_search(&row_key(columns, row)).is_ok()
    }
}

/// Puts the threads' keys together; `asked` are keys to count. Bits do not count how often, only that a value is seen again, so for the most frequent
/// key and for those asked for, parts must have been gathered.
///
/// # Errors
/// When keys cannot be read from a file.
pub fn group(collectors: Vec<Collector>, asked: &[Option<u128>]) -> io::Result<Groups> {
    let mut bits: Option<Bits> = None;
    let mut parts: Vec<Parts> = Vec::new();
    for collector in collectors {
        match (collector, &mut bits) {
            (Collector::Parts(more), _) => parts.push(more),
            (Collector::Bits(first), none @ None) => *none = Some(first),
            (Collector::Bits(more), Some(all)) => {
                let words = all
                    .seen
                    .iter_mut()
                    .zip(&mut all.again)
                    .zip(more.seen.iter().zip(&more.again));
                for ((seen, again), (more_seen, more_again)) in words {
                    *again |= more_again | (*seen & more_seen);
                    *seen |= more_seen;
                }
                all.rows += more.rows;
                all.outside += more.outside;
            }
        }
    }
    match bits {
        Some(bits) if bits.outside > 0 => Err(io::Error::other(
            "values lie outside of what the footers of the files say",
        )),
        Some(bits) => Ok(of_bits(bits)),
        None => of_parts(parts, asked),
    }
}

fn of_bits(bits: Bits) -> Groups {
    let ones = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
    let (distinct, repeated) = (ones(&bits.seen), ones(&bits.again));
    Groups {
        rows: bits.rows,
        distinct,
        repeated_rows: bits.rows - distinct + repeated,
        repeated: Repeated {
            keys: Vec::new(),
            bits: Some((bits.low, bits.again)),
        },
        ..Groups::default()
    }
}

fn of_parts(mut parts: Vec<Parts>, asked: &[Option<u128>]) -> io::Result<Groups> {
    let mut groups = Groups {
        rows: parts.iter().map(|part| part.rows).sum(),
        asked: vec![0; asked.len()],
        ..Groups::default()
    };
    let mut keys = Vec::new();
    for part in 0..PARTS {
        keys.clear();
        for thread in &mut parts {
            thread.part(part, &mut keys)?;
        }
        keys.sort_unstable();
        for run in keys.chunk_by(|one, other| one == other) {
            let count = run.len() as u64;
            groups.distinct += 1;
            if !asked.is_empty() {
                groups.logs += count as f64 * (count as f64).ln();
            }
            if count > 1 {
                groups.repeated_rows += count;
                groups.repeated.keys.push(run[0]);
            }
            match count.cmp(&groups.most) {
                std::cmp::Ordering::Greater => (groups.most, groups.at_most) = (count, 1),
                std::cmp::Ordering::Equal => groups.at_most += 1,
                std::cmp::Ordering::Less => {}
            }
        }
        for (count, key) in groups.asked.iter_mut().zip(asked) {
            if let Some(key) = key
                && part_of(*key) == part
            {
                let from = keys.partition_point(|known| known < key);
                let to = keys.partition_point(|known| known <= key);
                *count += (to - from) as u64;
            }
        }
    }
    groups.repeated.keys.sort_unstable();
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn column(array: impl Array + 'static) -> Column {
        let array: ArrayRef = Arc::new(array);
        Column::of(&array, array.data_type(), false).unwrap()
    }

    fn groups(columns: &[&Column], range: Option<(i64, i64)>, long: bool, limit: usize, threads: usize) -> Groups {
        let rows = columns[0].len();
        let mut collectors: Vec<Collector> = (0..threads)
            .map(|_| Collector::new(range, 1 << 20, long, limit))
            .collect();
        for (thread, collector) in collectors.iter_mut().enumerate() {
            collector
                .take(columns, |row| {
                    row % threads != thread || columns.iter().any(|column| column.is_null(row))
                })
                .unwrap();
        }
        assert!(rows > 0);
        group(collectors, &[]).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_way_of_counting_counts_the_same(values in prop::collection::vec(prop::option::of(-20_i64..20), 1..200)) {
            let mut counts: HashMap<i64, u64> = HashMap::new();
            values.iter().flatten().for_each(|value| *counts.entry(*value).or_default() += 1);
            let distinct = counts.len() as u64;
            let repeated: u64 = counts.values().filter(|count| **count > 1).sum();
            let long = column(Int64Array::from(values.clone()));
            let text = column(StringArray::from_iter(values.iter().map(|value| value.map(|value| format!("a long text with {value}")))));
            let with_null = column(Int64Array::from_iter(values.iter().copied().chain([None])));
            for threads in [1, 3] {
                for (column, range, is_long, limit) in [
                    (&with_null, Some((-20, 19)), true, usize::MAX),
                    (&with_null, None, true, usize::MAX),
                    (&with_null, None, true, 0),
                    (&text, None, false, usize::MAX),
                    (&text, None, false, 0),
                    (&long, None, false, 64),
                ] {
                    let found = groups(&[column], range, is_long, limit, threads);
                    prop_assert_eq!((found.distinct, found.repeated_rows), (distinct, repeated));
                    for row in (0..values.len()).filter(|row| column.is_valid(*row)) {
                        let expected = counts[&values[row].unwrap()] > 1;
                        prop_assert_eq!(found.repeated.contains(&[column], row), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn combinations_differ_where_a_part_differs() {
        let one = column(StringArray::from(vec!["a", "ab", "a", "a"]));
        let other = column(StringArray::from(vec!["bc", "c", "bc", "c"]));
        let found = groups(&[&one, &other], None, false, usize::MAX, 1);
        assert_eq!(
            (found.distinct, found.repeated_rows, found.most, found.at_most),
            (3, 2, 2, 1)
        );
    }

    #[test]
    fn zeros_and_what_is_no_number_are_equal() {
        let floats = column(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN, 1.0]));
        let found = groups(&[&floats], None, false, usize::MAX, 1);
        assert_eq!(found.distinct, 3);
    }
}
