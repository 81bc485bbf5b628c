//! The record of one job under one measure: which events were good, which bad, and whether something is overdue now.

use jiff::Timestamp;
use serde::Serialize;
use stoke_model::cron::Schedule;

use super::objective::{Batch, Measure};
use super::runs::{Outcome, Run};

/// Days of history that are looked at; a year and a month for reports.
pub const HISTORY_DAYS: i64 = 400;
pub(super) const DAY: i64 = 24 * 60 * 60 * 1000;
/// Slots of a schedule at most: a run each minute for the days of the history.
const MOST_SLOTS: usize = 600_000;

/// Why an event is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    Good,
    Failed,
    /// The schedule has it, and it never began.
    Missed,
    /// It succeeded after its deadline, or not yet.
    Late,
    /// It took too long, cost too much or wasted too much.
    Over,
}

/// One event, at the time when it was certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub time: i64,
    pub why: Why,
}

impl Event {
    #[must_use]
    pub fn bad(&self) -> bool {
        self.why != Why::Good
    }
}

/// What is known of a job.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// In the order of time.
    pub events: Vec<Event>,
    /// What was measured of each good or bad event of a measure with a limit: when, and milliseconds, cost or share.
    pub values: Vec<(i64, f64)>,
    /// Runs that ended, and nothing says how.
    pub unknown: u64,
    pub running: u64,
    /// For how long a result has been due, in milliseconds; 0 when nothing is.
    pub overdue: i64,
    /// When it begins; none without runs.
    pub first: Option<i64>,
    /// For freshness: when the last success was too old.
    pub stale: Vec<(i64, i64)>,
}

/// A time at which the schedule has a run.
struct Slot<'a> {
    due: i64,
    next: i64,
    runs: Vec<&'a Run>,
}

/// The record of a job from its runs, as of `now`.
#[must_use]
pub fn record(batch: &Batch, runs: &[Run], now: i64) -> Record {
    let oldest = now.saturating_sub(HISTORY_DAYS * DAY);
    let runs: Vec<&Run> = runs
        .iter()
        .filter(|run| run.start <= now && run.due >= oldest)
        .collect();
    let mut record = Record {
        first: runs.iter().map(|run| run.due).min(),
        unknown: runs.iter().filter(|run| run.outcome == Outcome::Unknown).count() as u64,
        running: runs.iter().filter(|run| run.outcome == Outcome::Running).count() as u64,
        ..Record::default()
    };
    match batch.measure {
        Measure::Success => record.successes(&runs, batch.schedule.as_ref(), now),
        Measure::Deadline { within } => record.deadlines(&runs, batch.schedule.as_ref(), within, now),
        Measure::Freshness { at_most } => record.freshness(&runs, at_most, now),
        Measure::Duration { at_most } => record.limited(&runs, now, |run| {
            let took = run.duration()?;
            Some((took as f64, took <= at_most))
        }),
        Measure::Cost { at_most } => record.limited(&runs, now, |run| run.cost.map(|cost| (cost, cost <= at_most))),
        Measure::Efficiency { at_least } => {
            record.limited(&runs, now, |run| run.efficiency.map(|share| (share, share >= at_least)))
        }
    }
    record.events.sort_by_key(|event| event.time);
    record
}

impl Record {
    fn push(&mut self, time: i64, why: Why) {
        self.events.push(Event { time, why });
    }

    fn successes(&mut self, runs: &[&Run], schedule: Option<&Schedule>, now: i64) {
        for run in runs {
            let time = run.end.unwrap_or(run.start);
            match run.outcome {
                Outcome::Succeeded => self.push(time, Why::Good),
                Outcome::Failed => self.push(time, Why::Failed),
                Outcome::Running | Outcome::Unknown => {}
            }
        }
        let Some(schedule) = schedule else { return };
        for slot in slots(schedule, runs, now) {
            // The next one is due: this one will not begin any more.
            if slot.runs.is_empty() && slot.next <= now {
                self.push(slot.next, Why::Missed);
            }
        }
    }

    fn deadlines(&mut self, runs: &[&Run], schedule: Option<&Schedule>, within: i64, now: i64) {
        let Some(schedule) = schedule else { return };
        let succeeded = |run: &&&Run| run.outcome == Outcome::Succeeded;
        let done = runs.iter().filter(succeeded).filter_map(|run| run.end).max();
        for slot in slots(schedule, runs, now) {
            let deadline = slot.due.saturating_add(within);
            let end = slot.runs.iter().filter(succeeded).filter_map(|run| run.end).min();
            match end {
                Some(end) if end <= deadline => self.push(end, Why::Good),
                _ if deadline >= now => {}
                _ => {
                    self.push(deadline, if slot.runs.is_empty() { Why::Missed } else { Why::Late });
                    // A success since, of this run or a later one, is what was waited for.
                    if done.is_none_or(|done| done < slot.due) {
                        self.overdue = self.overdue.max(now.saturating_sub(deadline));
                    }
                }
            }
        }
    }

    fn freshness(&mut self, runs: &[&Run], at_most: i64, now: i64) {
        let succeeded = runs.iter().filter(|run| run.outcome == Outcome::Succeeded);
        let mut ends: Vec<i64> = succeeded.filter_map(|run| run.end).filter(|end| *end <= now).collect();
        ends.sort_unstable();
        // Before the first success the clock runs from the first attempt at one.
        let Some(first) = self.first else { return };
        let mut since = first;
        for end in ends.iter().copied().chain([now]) {
            let stale = since.saturating_add(at_most);
            if stale < end {
                self.stale.push((stale, end));
            }
            since = since.max(end);
        }
        let last = ends.last().copied().unwrap_or(first);
        self.overdue = now.saturating_sub(last.saturating_add(at_most)).max(0);
    }

    fn limited(&mut self, runs: &[&Run], now: i64, measured: impl Fn(&Run) -> Option<(f64, bool)>) {
        let succeeded = runs.iter().filter(|run| run.outcome == Outcome::Succeeded);
        for run in succeeded {
            let time = run.end.unwrap_or(run.start).min(now);
            match measured(run).filter(|(value, _)| value.is_finite()) {
                Some((value, kept)) => {
                    self.values.push((time, value));
                    self.push(time, if kept { Why::Good } else { Why::Over });
                }
                None => self.unknown += 1,
            }
        }
        self.values.sort_by_key(|(time, _)| *time);
    }
}

/// The times of a schedule from the first run on, each with the runs that belong to it: those that were due, or began, before the next one.
fn slots<'a>(schedule: &Schedule, runs: &[&'a Run], now: i64) -> Vec<Slot<'a>> {
    let mut runs = runs.to_vec();
    runs.sort_by_key(|run| run.due);
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let after = |time: i64| {
        let moment = Timestamp::from_millisecond(time).ok()?;
        Some(schedule.after(moment)?.as_millisecond())
    };
    // A run begins at its time or a little later. What began outside the schedule belongs to the time before it.
    let mut slots = Vec::new();
    let Some(mut due) = time_before(&after, first.due) else {
        return Vec::new();
    };
    let mut rest = runs.into_iter().peekable();
    while due <= now && slots.len() < MOST_SLOTS {
        let next = after(due).filter(|next| *next > due).unwrap_or(i64::MAX);
        let mut own = Vec::new();
        while let Some(run) = rest.next_if(|run| run.due < next) {
            own.push(run);
        }
        slots.push(Slot { due, next, runs: own });
        due = next;
    }
    slots
}

/// The last time that is not after a moment: found from further and further back.
fn time_before(after: &dyn Fn(i64) -> Option<i64>, moment: i64) -> Option<i64> {
    for minutes in [2, 90, 26 * 60, 8 * 24 * 60, 32 * 24 * 60, 367 * 24 * 60] {
        let mut at = after(moment.saturating_sub(minutes * 60_000)).filter(|at| *at <= moment);
        while let Some(found) = at {
            match after(found).filter(|next| *next <= moment && *next > found) {
                Some(next) => at = Some(next),
                None => return Some(found),
            }
        }
    }
    None
}
