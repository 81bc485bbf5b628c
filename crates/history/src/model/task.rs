//! A finished task as a row of about 80 bytes: small numbers take one byte and metrics that are zero take one bit.

use stoke_eventlog::event::NamedAccumulable;
pub use stoke_run::task::{Outcome, Task};

use super::metrics::Metrics;
use super::values::{take_unsigned, unsigned};

const SPECULATIVE: u64 = 1;
const HAS_METRICS: u64 = 2;
const HAS_ERROR: u64 = 4;
const HAS_ACCUMULATORS: u64 = 8;
const FLAGS: u32 = 4;
/// By their number in a row.
const OUTCOMES: [Outcome; 5] = [
    Outcome::Running,
    Outcome::GetResult,
    Outcome::Failed,
    Outcome::Killed,
    Outcome::Succeeded,
];

/// Writes a row.
pub(super) fn write(out: &mut Vec<u8>, task: &Task) {
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
pub(super) fn take_task(from: &mut &[u8]) -> Option<Task> {
    let mut task = Task::default();
    take_into(from, &mut task)?;
    Some(task)
}

/// Takes the next row into `task`, whatever that was before.
pub(super) fn take_into(from: &mut &[u8], task: &mut Task) -> Option<()> {
    let flags = take_unsigned(from)?;
    task.id = take_signed(from)?;
    task.index = i32::try_from(take_signed(from)?).ok()?;
    task.attempt = i32::try_from(take_signed(from)?).ok()?;
    task.partition = i32::try_from(take_signed(from)? + i64::from(task.index)).ok()?;
    task.launched = take_signed(from)?;
    let fetch = take_signed(from)?;
    task.result_fetch = if fetch < 0 {
        -1
    } else {
        task.launched.wrapping_add(fetch)
    };
    task.duration = take_signed(from)?;
    for name in [&mut task.executor, &mut task.host, &mut task.locality] {
        *name = u32::try_from(take_unsigned(from)?).ok()?;
    }
    task.metrics = match flags & HAS_METRICS {
        0 => None,
        _ => {
            let mut set = take_unsigned(from)?;
            let mut metrics = Metrics::default();
            while set != 0 {
                *metrics.0.get_mut(set.trailing_zeros() as usize)? = take_signed(from)?;
                set &= set - 1;
            }
            Some(metrics)
        }
    };
    task.error = match flags & HAS_ERROR {
        0 => None,
        _ => Some(take_text(from)?),
    };
    task.accumulators.clear();
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
            task.accumulators.push(NamedAccumulable {
                id,
                name,
                update,
                value,
            });
        }
    }
    let place = usize::try_from(flags >> FLAGS).ok()?;
    task.status = *OUTCOMES.get(place)?;
    task.speculative = flags & SPECULATIVE != 0;
    Some(())
}

/// LEB128 of the zigzag.
fn signed(out: &mut Vec<u8>, number: i64) {
    unsigned(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

fn text(out: &mut Vec<u8>, text: &str) {
    unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
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
