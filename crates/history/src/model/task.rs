//! The finished tasks of a stage attempt, in about 80 bytes each.
//!
//! Rows are written one after another; small numbers take one byte and metrics that are zero take one bit. A stage attempt keeps at
//! most [`super::Limits::tasks`] of them, dropped by the rule of Spark's listener: those that were completed first.

use serde::{Deserialize, Serialize};
use stoke_eventlog::event::NamedAccumulable;

use super::metrics::{COUNT, Metrics};

/// A task, as its row has it. Times are milliseconds since 1970 and milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // fields are those of Spark's TaskData
pub struct Task {
    pub id: i64,
    pub index: i32,
    pub attempt: i32,
    pub partition: i32,
    pub launched: i64,
    /// When its result began to be fetched, or -1.
    pub result_fetch: i64,
    pub duration: i64,
    /// Place in the application's table of names.
    pub executor: u32,
    /// Likewise.
    pub host: u32,
    /// Likewise.
    pub locality: u32,
    pub status: Status,
    pub speculative: bool,
    pub metrics: Option<Metrics>,
    pub accumulators: Vec<NamedAccumulable>,
    pub error: Option<String>,
}

/// A task's state (`TaskInfo.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Status {
    Running,
    GetResult,
    Failed,
    Killed,
    Success,
}

impl Status {
    /// As Spark writes it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::GetResult => "GET RESULT",
            Status::Failed => "FAILED",
            Status::Killed => "KILLED",
            Status::Success => "SUCCESS",
        }
    }

    /// Reads what [`Status::name`] writes.
    pub fn of(name: &str) -> Status {
        match name {
            "GET RESULT" => Status::GetResult,
            "FAILED" => Status::Failed,
            "KILLED" => Status::Killed,
            "SUCCESS" => Status::Success,
            _ => Status::Running,
        }
    }
}

impl Task {
    /// `AppStatusUtils.gettingResultTime`.
    pub fn getting_result_time(&self) -> i64 {
        match self.result_fetch > 0 {
            true => self
                .launched
                .wrapping_add(self.duration)
                .wrapping_sub(self.result_fetch),
            false => 0,
        }
    }

    /// `AppStatusUtils.schedulerDelay`: what of the time is neither work nor transport.
    pub fn scheduler_delay(&self) -> i64 {
        use super::metrics::at;
        match &self.metrics {
            Some(metrics) if self.status != Status::Running && self.duration > 0 => {
                let worked = metrics
                    .sum(at::DESERIALIZE_TIME, at::RUN_TIME)
                    .wrapping_add(metrics.get(at::RESULT_SERIALIZATION_TIME));
                self.duration
                    .wrapping_sub(worked)
                    .wrapping_sub(self.getting_result_time())
                    .max(0)
            }
            _ => 0,
        }
    }
}

/// Where a row is, and what decides how long it is kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place {
    completed: i64,
    id: i64,
    begin: u64,
    length: u32,
}

/// Rows of a stage attempt.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rows {
    #[serde(with = "bytes")]
    rows: Vec<u8>,
    places: Vec<Place>,
    dead: u64,
    packed: Option<Packed>,
}

/// Rows of an ended stage attempt, in the order of their ids, compressed: a long log has many, and few of them are asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Packed {
    count: u64,
    /// Bytes they are unpacked.
    size: u64,
    #[serde(with = "bytes")]
    rows: Vec<u8>,
}

/// Rows shorter than this, in bytes, stay as they are.
const WORTH_PACKING: usize = 64 << 10;

impl Packed {
    /// Nothing when they cannot be unpacked (a damaged cache).
    fn unpacked(&self) -> Vec<u8> {
        let size = usize::try_from(self.size).unwrap_or(0);
        zstd::bulk::decompress(&self.rows, size).unwrap_or_default()
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

impl Rows {
    /// Rows there are.
    pub fn len(&self) -> usize {
        let packed = self.packed.as_ref().map_or(0, |packed| packed.count);
        usize::try_from(packed).unwrap_or(0) + self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory taken.
    pub fn memory(&self) -> usize {
        let packed = self.packed.as_ref().map_or(0, |packed| packed.rows.len());
        packed + self.rows.capacity() + self.places.capacity() * size_of::<Place>()
    }

    /// Adds a task.
    pub fn push(&mut self, task: &Task) {
        self.unpack();
        let begin = self.rows.len();
        write(&mut self.rows, task);
        self.places.push(Place {
            completed: task.launched.wrapping_add(task.duration),
            id: task.id,
            begin: begin as u64,
            length: (self.rows.len() - begin) as u32,
        });
    }

    /// Drops up to `count` rows, those completed first; how many were dropped.
    pub fn drop_oldest(&mut self, count: usize) -> usize {
        self.unpack();
        let count = count.min(self.places.len());
        if count == 0 {
            return 0;
        }
        if count < self.places.len() {
            self.places
                .select_nth_unstable_by_key(count, |place| (place.completed, place.id));
        }
        self.dead += self
            .places
            .drain(..count)
            .map(|place| u64::from(place.length))
            .sum::<u64>();
        if self.dead * 2 > self.rows.len() as u64 {
            self.compact();
        }
        count
    }

    /// Gives up memory that is not needed once no more rows come, and puts rows in the order of their ids.
    pub fn finish(&mut self) {
        self.unpack();
        self.places.sort_unstable_by_key(|place| place.id);
        self.compact();
        if self.rows.len() >= WORTH_PACKING
            && let Ok(rows) = zstd::bulk::compress(&self.rows, 1)
        {
            self.packed = Some(Packed {
                count: self.places.len() as u64,
                size: self.rows.len() as u64,
                rows,
            });
            self.rows = Vec::new();
            self.places = Vec::new();
        }
        self.rows.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    /// Rows that were packed, as they were before.
    fn unpack(&mut self) {
        let Some(packed) = self.packed.take() else {
            return;
        };
        let rows = packed.unpacked();
        let mut rest = &rows[..];
        while let Some(task) = take_task(&mut rest) {
            let begin = self
                .places
                .last()
                .map_or(0, |place| place.begin + u64::from(place.length));
            self.places.push(Place {
                completed: task.launched.wrapping_add(task.duration),
                id: task.id,
                begin,
                length: ((rows.len() - rest.len()) as u64 - begin) as u32,
            });
        }
        self.rows = rows;
        self.dead = 0;
    }

    fn compact(&mut self) {
        let ordered = self.places.windows(2).all(|two| two[0].begin < two[1].begin);
        if self.dead == 0 && ordered {
            return;
        }
        let live: usize = self.places.iter().map(|place| place.length as usize).sum();
        let mut rows = Vec::with_capacity(live + live / 8);
        for place in &mut self.places {
            let begin = place.begin as usize;
            place.begin = rows.len() as u64;
            rows.extend_from_slice(self.rows.get(begin..begin + place.length as usize).unwrap_or_default());
        }
        self.rows = rows;
        self.dead = 0;
    }

    /// The tasks, in the order of their ids. A row that cannot be read (a damaged cache) is passed over.
    pub fn tasks(&self) -> impl Iterator<Item = Task> {
        let mut places: Vec<&Place> = self.places.iter().collect();
        places.sort_unstable_by_key(|place| place.id);
        let packed = self.packed.as_ref().map(Packed::unpacked).unwrap_or_default();
        let mut at = 0;
        let packed = std::iter::from_fn(move || {
            let mut rest = packed.get(at..)?;
            let task = take_task(&mut rest);
            at = packed.len() - rest.len();
            task
        });
        packed.chain(places.into_iter().filter_map(|place| {
            let begin = place.begin as usize;
            take_task(&mut self.rows.get(begin..begin + place.length as usize)?)
        }))
    }
}

const SPECULATIVE: u64 = 1;
const HAS_METRICS: u64 = 2;
const HAS_ERROR: u64 = 4;
const HAS_ACCUMULATORS: u64 = 8;
const FLAGS: u32 = 4;

fn write(out: &mut Vec<u8>, task: &Task) {
    let mut flags = (task.status as u64) << FLAGS;
    flags |= if task.speculative { SPECULATIVE } else { 0 };
    flags |= if task.metrics.is_some() { HAS_METRICS } else { 0 };
    flags |= if task.error.is_some() { HAS_ERROR } else { 0 };
    flags |= if task.accumulators.is_empty() {
        0
    } else {
        HAS_ACCUMULATORS
    };
    unsigned(out, flags);
    signed(out, task.id);
    signed(out, i64::from(task.index));
    signed(out, i64::from(task.attempt));
    signed(out, i64::from(task.partition) - i64::from(task.index));
    signed(out, task.launched);
    signed(
        out,
        if task.result_fetch < 0 {
            -1
        } else {
            task.result_fetch.wrapping_sub(task.launched).max(0)
        },
    );
    signed(out, task.duration);
    for name in [task.executor, task.host, task.locality] {
        unsigned(out, u64::from(name));
    }
    if let Some(metrics) = &task.metrics {
        let mut set = 0;
        for (place, number) in metrics.0.iter().enumerate() {
            set |= u64::from(*number != 0) << place;
        }
        unsigned(out, set);
        for number in metrics.0.iter().filter(|number| **number != 0) {
            signed(out, *number);
        }
    }
    if let Some(error) = &task.error {
        text(out, error);
    }
    if !task.accumulators.is_empty() {
        unsigned(out, task.accumulators.len() as u64);
        for one in &task.accumulators {
            signed(out, one.id);
            for part in [&one.name, &one.update, &one.value] {
                unsigned(out, u64::from(part.is_some()));
                text(out, part.as_deref().unwrap_or(""));
            }
        }
    }
}

/// Takes the next row.
fn take_task(from: &mut &[u8]) -> Option<Task> {
    let flags = take_unsigned(from)?;
    let id = take_signed(from)?;
    let index = i32::try_from(take_signed(from)?).ok()?;
    let attempt = i32::try_from(take_signed(from)?).ok()?;
    let partition = i32::try_from(take_signed(from)? + i64::from(index)).ok()?;
    let launched = take_signed(from)?;
    let fetch = take_signed(from)?;
    let duration = take_signed(from)?;
    let [executor, host, locality] = [(); 3].map(|()| take_unsigned(from).and_then(|name| u32::try_from(name).ok()));
    let metrics = match flags & HAS_METRICS {
        0 => None,
        _ => {
            let set = take_unsigned(from)?;
            let mut metrics = Metrics::default();
            for place in (0..COUNT).filter(|place| set & (1 << place) != 0) {
                metrics.0[place] = take_signed(from)?;
            }
            Some(metrics)
        }
    };
    let error = match flags & HAS_ERROR {
        0 => None,
        _ => Some(take_text(from)?),
    };
    let mut accumulators = Vec::new();
    if flags & HAS_ACCUMULATORS != 0 {
        for _ in 0..take_unsigned(from)? {
            let id = take_signed(from)?;
            let mut parts = [None, None, None];
            for part in &mut parts {
                let some = take_unsigned(from)? != 0;
                let text = take_text(from)?;
                *part = some.then_some(text);
            }
            let [name, update, value] = parts;
            accumulators.push(NamedAccumulable {
                id,
                name,
                update,
                value,
            });
        }
    }
    let status = match flags >> FLAGS {
        0 => Status::Running,
        1 => Status::GetResult,
        2 => Status::Failed,
        3 => Status::Killed,
        _ => Status::Success,
    };
    Some(Task {
        id,
        index,
        attempt,
        partition,
        launched,
        result_fetch: if fetch < 0 { -1 } else { launched.wrapping_add(fetch) },
        duration,
        executor: executor?,
        host: host?,
        locality: locality?,
        status,
        speculative: flags & SPECULATIVE != 0,
        metrics,
        accumulators,
        error,
    })
}

/// LEB128.
fn unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// LEB128 of the zigzag.
fn signed(out: &mut Vec<u8>, number: i64) {
    unsigned(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

fn text(out: &mut Vec<u8>, text: &str) {
    unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take_unsigned(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_signed(from: &mut &[u8]) -> Option<i64> {
    let number = take_unsigned(from)?;
    Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_unsigned(from)?).ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
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
            status: Status::Failed,
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

    #[test]
    fn rows_give_back_what_was_put_in() {
        let mut rows = Rows::default();
        for id in (0..50).rev() {
            rows.push(&task(id));
        }
        let all: Vec<Task> = rows.tasks().collect();
        assert_eq!(all, (0..50).map(task).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_completed_are_dropped() {
        let mut rows = Rows::default();
        (0..50).for_each(|id| rows.push(&task(id)));
        assert_eq!(rows.drop_oldest(30), 30);
        rows.finish();
        let left: Vec<i64> = rows.tasks().map(|task| task.id).collect();
        assert_eq!(left, (0..20).collect::<Vec<_>>(), "durations fall with the id");
        assert_eq!(rows.drop_oldest(100), 20);
    }

    #[test]
    fn packed_rows_are_the_same_rows() {
        let mut rows = Rows::default();
        (0..3000).rev().for_each(|id| rows.push(&task(id)));
        let before = rows.memory();
        rows.finish();
        assert!(rows.packed.is_some() && rows.len() == 3000 && rows.memory() * 3 < before);
        assert_eq!(
            rows.tasks().collect::<Vec<_>>(),
            (0..3000).map(task).collect::<Vec<_>>()
        );
        // A task whose end comes late, and room that is needed.
        rows.push(&task(3000));
        assert_eq!((rows.len(), rows.drop_oldest(2990)), (3001, 2990));
        rows.finish();
        let left: Vec<i64> = rows.tasks().map(|task| task.id).collect();
        assert_eq!(left, (0..11).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_rows_are_passed_over() {
        let mut rows = Rows::default();
        rows.push(&task(1));
        rows.rows.fill(0xff);
        assert_eq!(rows.tasks().count(), 0);
    }
}
