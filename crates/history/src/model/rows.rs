//! The finished tasks of a stage attempt, in memory that does not grow with their number.
//!
//! Rows are gathered in a buffer; a full one is put in the order of ids, compressed and put away as a [`Piece`]. A stage attempt keeps at
//! most [`super::Limits::tasks`] rows, dropped by the rule of Spark's listener: those that were completed first. Because tasks mostly end
//! in the order they are told of, only the oldest pieces are looked at for that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::Decompressor;

use super::task::{Task, take_into, take_task, write};
use crate::pieces::{Piece, Pieces};

/// A buffer is full at this many bytes of rows.
const FULL: usize = 128 << 10;
/// Rows shorter than this, in bytes, stay in memory when the stage attempt has ended.
const WORTH_PACKING: usize = 2 << 10;

/// What decides how long a row is kept: when its task was completed, then its id.
type Age = (i64, i64);

fn age(task: &Task) -> Age {
    (task.launched.wrapping_add(task.duration), task.id)
}

/// Rows of a stage attempt.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rows {
    #[serde(with = "bytes")]
    open: Vec<u8>,
    places: Vec<Place>,
    chunks: Vec<Chunk>,
}

/// A row in the buffer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place {
    age: Age,
    begin: u32,
    length: u32,
}

/// Rows put away, in the order of their ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Chunk {
    piece: Piece,
    /// Bytes unpacked.
    size: u32,
    /// Rows that are kept.
    count: u32,
    /// The age of the oldest one.
    oldest: Age,
    /// Rows before this age are dropped.
    floor: Option<Age>,
    /// The least and the greatest id.
    ids: (i64, i64),
}

impl Chunk {
    fn unpacked(&self, pieces: &Pieces) -> io::Result<Vec<u8>> {
        zstd::bulk::decompress(&pieces.get(self.piece)?, self.size as usize)
    }

    fn has(&self, age: Age) -> bool {
        self.floor.is_none_or(|floor| age >= floor)
    }

    /// The ages of its rows.
    fn ages(&self, pieces: &Pieces) -> io::Result<Vec<Age>> {
        let rows = self.unpacked(pieces)?;
        let mut rest = &rows[..];
        let all = std::iter::from_fn(|| take_task(&mut rest));
        Ok(all.map(|task| age(&task)).filter(|age| self.has(*age)).collect())
    }
}

impl Rows {
    /// Rows there are.
    #[allow(clippy::len_without_is_empty)] // no one asks
    pub fn len(&self) -> usize {
        self.places.len() + self.chunks.iter().map(|chunk| chunk.count as usize).sum::<usize>()
    }

    /// Bytes of memory taken.
    pub fn memory(&self) -> usize {
        self.open.capacity() + self.places.capacity() * size_of::<Place>() + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// The pieces rows are in.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.chunks.iter().map(|chunk| chunk.piece)
    }

    /// Adds a task.
    pub fn push(&mut self, task: &Task, pieces: &Pieces) {
        let begin = self.open.len();
        write(&mut self.open, task);
        self.places.push(Place {
            age: age(task),
            begin: begin as u32,
            length: (self.open.len() - begin) as u32,
        });
        if self.open.len() >= FULL {
            self.put_away(pieces);
        }
    }

    /// Drops up to `count` rows, those completed first.
    ///
    /// # Errors
    /// When rows that were put away cannot be read again.
    pub fn drop_oldest(&mut self, count: usize, pieces: &Pieces) -> io::Result<()> {
        if count >= self.len() {
            *self = Rows::default();
            return Ok(());
        }
        if count == 0 {
            return Ok(());
        }
        let from = self.first_kept(count, pieces)?;
        // The buffer is small.
        let (mut open, mut places) = (Vec::with_capacity(self.open.len()), Vec::new());
        for place in self.places.iter().filter(|place| place.age >= from) {
            let begin = place.begin as usize;
            let row = self.open.get(begin..begin + place.length as usize).unwrap_or_default();
            places.push(Place {
                begin: open.len() as u32,
                ..*place
            });
            open.extend_from_slice(row);
        }
        (self.open, self.places) = (open, places);
        for chunk in self.chunks.iter_mut().filter(|chunk| chunk.oldest < from) {
            chunk.floor = Some(from);
            let ages = chunk.ages(pieces)?;
            chunk.count = ages.len() as u32;
            chunk.oldest = ages.into_iter().min().unwrap_or(from);
        }
        self.chunks.retain(|chunk| chunk.count > 0);
        Ok(())
    }

    /// The age of the first row that is not among the `count` oldest ones; there are more.
    fn first_kept(&self, count: usize, pieces: &Pieces) -> io::Result<Age> {
        let mut ages: Vec<Age> = self.places.iter().map(|place| place.age).collect();
        let mut by_age: Vec<&Chunk> = self.chunks.iter().collect();
        by_age.sort_unstable_by_key(|chunk| chunk.oldest);
        for chunk in by_age {
            // Whether what was looked at decides already: every further row is younger.
            if ages.len() > count {
                let (_, found, _) = ages.select_nth_unstable(count);
                if *found <= chunk.oldest {
                    return Ok(*found);
                }
            }
            ages.extend(chunk.ages(pieces)?);
        }
        Ok(*ages.select_nth_unstable(count).1)
    }

    /// Gives up memory that is not needed once no more rows come.
    pub fn finish(&mut self, pieces: &Pieces) {
        if self.open.len() >= WORTH_PACKING {
            self.put_away(pieces);
        }
        self.open.shrink_to_fit();
        self.places.shrink_to_fit();
        self.chunks.shrink_to_fit();
    }

    /// Puts the buffer away.
    fn put_away(&mut self, pieces: &Pieces) {
        let mut places = std::mem::take(&mut self.places);
        places.sort_by_key(|place| place.age.1);
        let row = |place: &Place| {
            let begin = place.begin as usize;
            self.open.get(begin..begin + place.length as usize).unwrap_or_default()
        };
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return;
        };
        let mut sorted = Vec::with_capacity(self.open.len());
        for place in &places {
            sorted.extend_from_slice(row(place));
        }
        let Ok(packed) = zstd::bulk::compress(&sorted, 1) else {
            // Without memory for the compressor they stay where they are.
            self.places = places;
            return;
        };
        self.chunks.push(Chunk {
            piece: pieces.put(&packed),
            size: sorted.len() as u32,
            count: places.len() as u32,
            oldest: places.iter().map(|place| place.age).min().unwrap_or_default(),
            floor: None,
            ids: (first.age.1, last.age.1),
        });
        self.open.clear();
        // The memory of the list is used again.
        places.clear();
        self.places = places;
    }

    /// How many pieces [`Rows::look_at`] knows.
    pub(crate) fn piece_count(&self) -> usize {
        self.chunks.len()
    }

    /// Looks at the tasks of a piece by its number, in the order of their ids.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub(crate) fn look_at(
        &self,
        piece: usize,
        pieces: &Pieces,
        unpacking: &mut Unpacking,
        look: impl FnMut(&Task),
    ) -> io::Result<()> {
        if let Some(chunk) = self.chunks.get(piece) {
            each_of(unpacking.rows(chunk, pieces)?, chunk.floor, look);
        }
        Ok(())
    }

    /// Looks at the tasks that were not put away.
    pub(crate) fn look_at_buffer(&self, look: impl FnMut(&Task)) {
        each_of(&self.open, None, look);
    }

    /// The tasks, in the order of their ids. Pieces are opened when their ids come, and let go of when they have passed.
    pub fn tasks<'a>(&'a self, pieces: &'a Pieces) -> InOrder<'a> {
        self.tasks_in(pieces, |_| true)
    }

    /// The tasks of those pieces that may have one of these ids, which are sorted; others of the same pieces among them.
    pub fn tasks_near<'a>(&'a self, pieces: &'a Pieces, ids: &[i64]) -> InOrder<'a> {
        self.tasks_in(pieces, |(least, greatest)| {
            let from = ids.partition_point(|id| *id < least);
            ids.get(from).is_some_and(|id| *id <= greatest)
        })
    }

    fn tasks_in<'a>(&'a self, pieces: &'a Pieces, wanted: impl Fn((i64, i64)) -> bool) -> InOrder<'a> {
        let mut places: Vec<&Place> = self.places.iter().collect();
        places.sort_by_key(|place| place.age.1);
        let mut buffer = Vec::with_capacity(self.open.len());
        for place in &places {
            let begin = place.begin as usize;
            buffer.extend_from_slice(self.open.get(begin..begin + place.length as usize).unwrap_or_default());
        }
        let mut waiting: Vec<&Chunk> = self.chunks.iter().filter(|chunk| wanted(chunk.ids)).collect();
        waiting.sort_by_key(|chunk| Reverse(chunk.ids.0));
        let mut all = InOrder {
            pieces,
            waiting,
            open: Vec::new(),
            next: BinaryHeap::new(),
        };
        all.add(buffer, None);
        all
    }
}

/// What rows are unpacked with, one piece after the other.
pub(crate) struct Unpacking {
    decompressor: Decompressor<'static>,
    rows: Vec<u8>,
}

impl Unpacking {
    /// # Errors
    /// When a decompressor cannot be set up.
    pub(crate) fn new() -> io::Result<Unpacking> {
        Ok(Unpacking {
            decompressor: Decompressor::new()?,
            rows: Vec::new(),
        })
    }

    fn rows(&mut self, chunk: &Chunk, pieces: &Pieces) -> io::Result<&[u8]> {
        let size = chunk.size as usize;
        if self.rows.len() < size {
            self.rows.resize(size, 0);
        }
        let packed = pieces.get(chunk.piece)?;
        let length = self
            .decompressor
            .decompress_to_buffer(&packed, &mut self.rows[..size])?;
        Ok(&self.rows[..length])
    }
}

/// Looks at rows one after the other, without those before `floor`. A row that cannot be read ends them.
fn each_of(rows: &[u8], floor: Option<Age>, mut look: impl FnMut(&Task)) {
    let (mut rest, mut task) = (rows, Task::default());
    while take_into(&mut rest, &mut task).is_some() {
        if floor.is_none_or(|floor| age(&task) >= floor) {
            look(&task);
        }
    }
}

/// Rows in the order of their ids.
#[derive(Debug)]
pub struct InOrder<'a> {
    pieces: &'a Pieces,
    /// Those with the least ids last.
    waiting: Vec<&'a Chunk>,
    open: Vec<Option<Open>>,
    /// The next id of each that is open.
    next: BinaryHeap<Reverse<(i64, usize)>>,
}

/// Rows that are being read.
#[derive(Debug)]
struct Open {
    rows: Vec<u8>,
    at: usize,
    floor: Option<Age>,
    task: Task,
}

impl Open {
    /// Takes the next row. A row that cannot be read ends them.
    fn advance(&mut self) -> bool {
        loop {
            let mut rest = self.rows.get(self.at..).unwrap_or_default();
            let Some(task) = take_task(&mut rest) else {
                return false;
            };
            self.at = self.rows.len() - rest.len();
            if self.floor.is_none_or(|floor| age(&task) >= floor) {
                self.task = task;
                return true;
            }
        }
    }
}

impl InOrder<'_> {
    fn add(&mut self, rows: Vec<u8>, floor: Option<Age>) {
        let mut open = Open {
            rows,
            at: 0,
            floor,
            task: Task::default(),
        };
        if !open.advance() {
            return;
        }
        let id = open.task.id;
        let place = match self.open.iter().position(Option::is_none) {
            Some(free) => {
                self.open[free] = Some(open);
                free
            }
            None => {
                self.open.push(Some(open));
                self.open.len() - 1
            }
        };
        self.next.push(Reverse((id, place)));
    }
}

impl Iterator for InOrder<'_> {
    type Item = io::Result<Task>;

    fn next(&mut self) -> Option<io::Result<Task>> {
        while let Some(chunk) = self.waiting.last() {
            let due = self.next.peek().is_none_or(|Reverse((id, _))| chunk.ids.0 <= *id);
            if !due {
                break;
            }
            let (rows, floor) = (chunk.unpacked(self.pieces), chunk.floor);
            self.waiting.pop();
            match rows {
                Ok(rows) => self.add(rows, floor),
                Err(error) => return Some(Err(error)),
            }
        }
        let Reverse((_, place)) = self.next.pop()?;
        let open = self.open.get_mut(place)?.as_mut()?;
        let task = std::mem::take(&mut open.task);
        match open.advance() {
            true => self.next.push(Reverse((open.task.id, place))),
            false => self.open[place] = None,
        }
        Some(Ok(task))
    }
}

/// Bytes as bytes, not as a list of numbers.
mod bytes {
    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use stoke_eventlog::event::NamedAccumulable;

    use super::super::metrics::Metrics;
    use super::super::task::Outcome;
    use super::*;

    fn task(id: i64) -> Task {
        let mut metrics = Metrics::default();
        metrics.0[2] = id * 1000;
        metrics.0[33] = i64::MIN;
        Task {
            id,
            index: 3,
            attempt: 1,
            partition: -1,
            launched: 1_795_304_716_338,
            result_fetch: if id % 2 == 0 { -1 } else { 1_795_304_716_400 },
            duration: 100 - id,
            executor: 1,
            host: 300,
            locality: 0,
            status: Outcome::Failed,
            speculative: id % 3 == 0,
            metrics: (id % 5 != 0).then_some(metrics),
            accumulators: vec![NamedAccumulable {
                id: 9,
                name: None,
                update: Some("ü".to_owned()),
                value: Some(String::new()),
            }],
            error: (id % 4 == 0).then(|| "beim\nersten".to_owned()),
        }
    }

    fn all(rows: &Rows, pieces: &Pieces) -> Vec<Task> {
        rows.tasks(pieces).collect::<io::Result<_>>().unwrap()
    }

    fn ids(rows: &Rows, pieces: &Pieces) -> Vec<i64> {
        all(rows, pieces).iter().map(|task| task.id).collect()
    }

    #[test]
    fn rows_give_back_what_was_put_in() {
        let (mut rows, pieces) = (Rows::default(), Pieces::default());
        for id in (0..50).rev() {
            rows.push(&task(id), &pieces);
        }
        assert_eq!(all(&rows, &pieces), (0..50).map(task).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_completed_are_dropped() {
        let (mut rows, pieces) = (Rows::default(), Pieces::default());
        (0..50).for_each(|id| rows.push(&task(id), &pieces));
        rows.drop_oldest(30, &pieces).unwrap();
        rows.finish(&pieces);
        let left = ids(&rows, &pieces);
        assert_eq!(left, (0..20).collect::<Vec<_>>(), "durations fall with the id");
        rows.drop_oldest(100, &pieces).unwrap();
        assert_eq!(rows.len(), 0);
    }

    #[test]
    fn rows_put_away_are_the_same_rows() {
        let (mut rows, pieces) = (Rows::default(), Pieces::default());
        // Ids come in no order, as tasks end: every piece has some of each part.
        let order = |id: i64| id * 7919 % 30_011;
        for id in 0..30_011 {
            rows.push(&task(order(id)), &pieces);
        }
        assert!(rows.chunks.len() > 10);
        rows.finish(&pieces);
        assert!(rows.open.is_empty() && rows.len() == 30_011 && rows.memory() < 40_000);
        assert_eq!(all(&rows, &pieces), (0..30_011).map(task).collect::<Vec<_>>());
        // A task whose end comes late, and room that is needed.
        rows.push(&task(30_011), &pieces);
        for (dropped, left) in [(1, 30_011), (9_000, 21_011), (21_000, 11)] {
            rows.drop_oldest(dropped, &pieces).unwrap();
            rows.finish(&pieces);
            assert_eq!(ids(&rows, &pieces), (0..left).collect::<Vec<_>>());
        }
    }

    #[test]
    fn dropping_is_what_sorting_all_would_drop() {
        let (mut rows, pieces) = (Rows::default(), Pieces::default());
        let mut expected: Vec<Age> = Vec::new();
        let mut number = 7u64;
        for id in 0..20_000i64 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let one = Task {
                duration: id / 3 + (number >> 55) as i64,
                ..task(id)
            };
            rows.push(&one, &pieces);
            expected.push(age(&one));
            if expected.len() > 6000 {
                rows.drop_oldest(600, &pieces).unwrap();
                expected.sort_unstable();
                expected.drain(..600);
                let mut have: Vec<Age> = all(&rows, &pieces).iter().map(age).collect();
                have.sort_unstable();
                assert!(have == expected && rows.len() == expected.len());
            }
        }
    }

    #[test]
    fn rows_that_are_damaged_end() {
        let (mut rows, pieces) = (Rows::default(), Pieces::default());
        rows.push(&task(1), &pieces);
        rows.open.fill(0xff);
        assert_eq!(rows.tasks(&pieces).count(), 0);
    }
}
