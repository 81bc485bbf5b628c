//! How an objective stands: its budget with an interval, a forecast, the meters, and what follows.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::evidence::{Design, Meter};
use super::math::interval::{Interval, above, good_events_needed, jeffreys};
use super::math::quantile::{self, Bounds};
use super::math::{binomial, probability};
use super::objective::{Batch, Measure, Objective, Policy, Window};
use super::record::{DAY, Event, Record, Why, record};
use super::runs::{Attempt, runs_of};

/// The confidence of intervals and of what counts as shown.
pub const CONFIDENCE: f64 = 0.9;
/// A window as improbable as this under the objective opens a ticket.
pub const TICKET: f64 = 0.001;
/// Lengths in days of the windows whose tails are computed.
const WINDOWS: [u32; 3] = [1, 7, 30];

/// What the record shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rate of bad events is at most what is allowed, with [`CONFIDENCE`].
    Kept,
    /// It is above.
    Broken,
    /// The record does not show either.
    CannotBeShown,
    NoRuns,
}

impl Verdict {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Broken => "broken",
            Verdict::CannotBeShown => "cannot be shown yet",
            Verdict::NoRuns => "no runs",
        }
    }
}

/// The error budget of the window. Of freshness it is in minutes, else in events.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    pub allowed: f64,
    pub used: f64,
    /// The share that is left; negative when it is overspent.
    pub remaining: f64,
    /// Where the share that is left lies at the underlying rate of bad events; none of freshness, which is a time and not a count.
    pub remaining_between: Option<Interval>,
    /// The probability that the rate of bad events is above what is allowed; none of freshness.
    pub overspent: Option<f64>,
}

/// When the budget is spent, if bad events go on at the rate of the last days, in days from now. None: not before the window ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    pub days: Option<f64>,
    pub earliest: Option<f64>,
    pub latest: Option<f64>,
    /// Over how many days the rate was taken.
    pub rate_of_days: u32,
}

/// A meter and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    pub meter: &'static str,
    /// The logarithm of the likelihood ratio.
    pub evidence: f64,
    /// Where it pages.
    pub threshold: f64,
    pub paging: bool,
    /// Bad runs in a row that page from here.
    pub bad_runs_to_page: u32,
}

/// A stretch of time in which some meter was at its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    pub from: i64,
    /// None while it lasts.
    pub until: Option<i64>,
}

/// The exact tail of a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tail {
    pub days: u32,
    pub events: u64,
    pub bad: u64,
    /// The probability of so many bad events, or more, at the objective itself.
    pub probability: f64,
    /// The number of bad events that opens a ticket; none where there are too few events for one.
    pub alarm: Option<u64>,
}

/// How one job stands under one objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub objective: String,
    pub service: String,
    /// The job; none for all that the objective selects.
    pub job: Option<String>,
    pub measure: &'static str,
    pub target: f64,
    /// Milliseconds since 1970.
    pub from: i64,
    pub until: i64,
    pub events: u64,
    pub bad: u64,
    /// Bad events by why.
    pub why: BTreeMap<Why, u64>,
    pub unknown: u64,
    pub running: u64,
    /// The share of bad events; none without events.
    pub bad_rate: Option<f64>,
    pub bad_rate_between: Option<Interval>,
    pub verdict: Verdict,
    /// Good events in a row that would show that it is kept; none where it is shown already or cannot be.
    pub good_events_needed: Option<u64>,
    pub budget: Option<Budget>,
    pub forecast: Option<Forecast>,
    pub evidence: Vec<Reading>,
    pub pages: Vec<Page>,
    pub windows: Vec<Tail>,
    /// Seconds for which a result has been due; 0 when none is.
    pub overdue_seconds: i64,
    /// Of a measure with a limit: the quantile that is promised, in seconds, currency or a share.
    pub quantile: Option<Bounds>,
    pub runs_a_day: f64,
    #[serde(skip)]
    pub policy: Policy,
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

/// Computes how objectives stand. It keeps the meters that it designed.
#[derive(Default)]
pub struct Judge {
    designs: BTreeMap<(u64, u64), Design>,
}

impl Judge {
    /// How a batch objective stands at `now`: one entry for all selected runs, or one for each job and one for all of them.
    pub fn statuses(&mut self, objective: &Objective, batch: &Batch, attempts: &[Attempt], now: i64) -> Vec<Status> {
        let selected = attempts.iter().filter(|attempt| batch.runs.fits(attempt));
        if !batch.by_job {
            let selected: Vec<&Attempt> = selected.collect();
            return vec![self.status(objective, batch, None, &record(batch, &runs_of(&selected), now), now)];
        }
        let mut jobs: BTreeMap<(Option<&str>, &str), Vec<&Attempt>> = BTreeMap::new();
        for attempt in selected {
            let job = (attempt.namespace.as_deref(), attempt.job.as_str());
            jobs.entry(job).or_default().push(attempt);
        }
        let mut all = Record::default();
        let mut statuses = Vec::new();
        for ((namespace, job), attempts) in jobs {
            let own = record(batch, &runs_of(&attempts), now);
            let name = namespace.map_or_else(|| job.to_owned(), |namespace| format!("{namespace}/{job}"));
            statuses.push(self.status(objective, batch, Some(name), &own, now));
            all.add(own);
        }
        let mut fleet = self.status(objective, batch, None, &all, now);
        // Runs of different jobs do not follow one another: of all of them there are windows, not meters.
        fleet.evidence.clear();
        fleet.pages.clear();
        statuses.push(fleet);
        statuses
    }

    fn status(
        &mut self,
        objective: &Objective,
        batch: &Batch,
        job: Option<String>,
        record: &Record,
        now: i64,
    ) -> Status {
        let from = window_start(&objective.window, now);
        let allowed_rate = allowed(objective.target);
        let runs_a_day = runs_a_day(batch, record, now);
        let inside: Vec<&Event> = record
            .events
            .iter()
            .filter(|event| (from..=now).contains(&event.time))
            .collect();
        let (events, mut why) = (inside.len() as u64, BTreeMap::new());
        for event in inside.iter().filter(|event| event.bad()) {
            *why.entry(event.why).or_insert(0) += 1;
        }
        let bad: u64 = why.values().sum();
        let of_time = matches!(batch.measure, Measure::Freshness { .. });
        let interval = (events > 0).then(|| jeffreys(bad, events, CONFIDENCE));
        let mut status = Status {
            objective: objective.name.clone(),
            service: objective.service.clone(),
            job,
            measure: batch.measure.name(),
            target: objective.target,
            from,
            until: now,
            events,
            bad,
            why,
            unknown: record.unknown,
            running: record.running,
            bad_rate: (events > 0).then(|| bad as f64 / events as f64),
            bad_rate_between: interval,
            verdict: verdict(interval, allowed_rate),
            good_events_needed: None,
            budget: None,
            forecast: None,
            evidence: Vec::new(),
            pages: Vec::new(),
            windows: Vec::new(),
            overdue_seconds: record.overdue / 1000,
            quantile: None,
            runs_a_day,
            policy: objective.policy,
            labels: objective.labels.clone(),
        };
        if of_time {
            status.of_time(record, allowed_rate, record.first);
            return status;
        }
        if status.verdict == Verdict::CannotBeShown {
            status.good_events_needed = good_events_needed(bad, events, allowed_rate, CONFIDENCE);
        }
        status.budget = interval.map(|interval| {
            let expected = events as f64;
            let allowed = allowed_rate * expected;
            let left = |rate: f64| {
                if allowed > 0.0 {
                    1.0 - rate / allowed_rate
                } else {
                    -rate.min(1.0)
                }
            };
            Budget {
                allowed,
                used: bad as f64,
                remaining: left(bad as f64 / expected),
                remaining_between: Some(Interval {
                    low: left(interval.high),
                    high: left(interval.low),
                }),
                overspent: Some(above(bad, events, allowed_rate)),
            }
        });
        status.forecast = forecast(&record.events, &status, allowed_rate, &objective.window);
        status.windows = WINDOWS
            .iter()
            .map(|days| tail(&record.events, *days, allowed_rate, now))
            .collect();
        if !record.values.is_empty() {
            let inside = record.values.iter().filter(|(time, _)| (from..=now).contains(time));
            let scale = if matches!(batch.measure, Measure::Duration { .. }) {
                1000.0
            } else {
                1.0
            };
            let values: Vec<f64> = inside.map(|(_, value)| value / scale).collect();
            // Of a share, low ones are bad.
            let at = if matches!(batch.measure, Measure::Efficiency { .. }) {
                allowed_rate
            } else {
                objective.target
            };
            status.quantile = quantile::bounds(&values, at, CONFIDENCE);
        }
        let design = self.design(objective.target, runs_a_day);
        let since = objective.acknowledged.unwrap_or(i64::MIN);
        let (readings, pages) = run_meters(
            design,
            record
                .events
                .iter()
                .filter(|event| event.time > since && event.time <= now),
        );
        (status.evidence, status.pages) = (readings, pages);
        status
    }

    fn design(&mut self, target: f64, runs_a_day: f64) -> &Design {
        let key = (target.to_bits(), super::evidence::step_of(runs_a_day).into());
        self.designs
            .entry(key)
            .or_insert_with(|| Design::new(target, runs_a_day))
    }
}

impl Record {
    fn add(&mut self, other: Record) {
        self.events.extend(other.events);
        self.events.sort_by_key(|event| event.time);
        self.values.extend(other.values);
        self.unknown += other.unknown;
        self.running += other.running;
        self.overdue = self.overdue.max(other.overdue);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.stale.extend(other.stale);
    }
}

impl Status {
    /// Freshness: a share of time.
    fn of_time(&mut self, record: &Record, allowed_rate: f64, first: Option<i64>) {
        let Some(first) = first else { return };
        let from = self.from.max(first);
        let whole = self.until.saturating_sub(from).max(0) as f64;
        let stale: i64 = record
            .stale
            .iter()
            .map(|(begin, end)| (*end.min(&self.until)).saturating_sub(*begin.max(&from)).max(0))
            .sum();
        let rate = if whole > 0.0 { stale as f64 / whole } else { 0.0 };
        let minute = 60_000.0;
        self.bad_rate = Some(rate);
        self.verdict = if rate <= allowed_rate {
            Verdict::Kept
        } else {
            Verdict::Broken
        };
        self.budget = Some(Budget {
            allowed: allowed_rate * whole / minute,
            used: stale as f64 / minute,
            remaining: if allowed_rate > 0.0 {
                1.0 - rate / allowed_rate
            } else {
                -rate
            },
            remaining_between: None,
            overspent: None,
        });
    }

    /// Whether a person is to be woken: a meter is at its threshold, or a result is overdue.
    #[must_use]
    pub fn paging(&self) -> bool {
        self.overdue_seconds > 0 || self.evidence.iter().any(|reading| reading.paging)
    }

    /// Whether someone is to look at it in working hours: a window is as improbable as [`TICKET`] under the objective.
    #[must_use]
    pub fn is_ticket(&self) -> bool {
        let is_improbable = |tail: &Tail| tail.alarm.is_some_and(|alarm| tail.bad >= alarm);
        self.windows.iter().any(is_improbable)
    }

    /// The objective, and the job where each has a record of its own.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.job {
            Some(job) => format!("{} of {job}", self.objective),
            None => self.objective.clone(),
        }
    }
}

/// The rate of bad events that a target allows.
#[must_use]
pub fn allowed(target: f64) -> f64 {
    ((1.0 - probability(target)) * 1e12).round() / 1e12
}

fn verdict(interval: Option<Interval>, allowed_rate: f64) -> Verdict {
    match interval {
        None => Verdict::NoRuns,
        Some(interval) if interval.high <= allowed_rate => Verdict::Kept,
        Some(interval) if interval.low > allowed_rate => Verdict::Broken,
        Some(_) => Verdict::CannotBeShown,
    }
}

/// Where a window begins.
#[must_use]
pub fn window_start(window: &Window, now: i64) -> i64 {
    let rolling = |days: u32| now.saturating_sub(i64::from(days).saturating_mul(DAY));
    match window {
        Window::Rolling(days) => rolling(*days),
        Window::Month(zone) => {
            let moment = Timestamp::from_millisecond(now).and_then(|now| now.in_tz(zone));
            let first = moment.and_then(|moment| moment.first_of_month()?.start_of_day());
            first.map_or_else(|_| rolling(31), |first| first.timestamp().as_millisecond())
        }
    }
}

/// Runs a day: of the schedule over four weeks, else as seen.
fn runs_a_day(batch: &Batch, record: &Record, now: i64) -> f64 {
    let scheduled = batch.schedule.as_ref().and_then(|schedule| {
        let start = Timestamp::from_millisecond(now).ok()?;
        let end = start.checked_add((28 * 24).hours()).ok()?;
        let mut at = start;
        let mut count = 0u32;
        while let Some(next) = schedule.after(at).filter(|next| *next <= end && *next > at) {
            count += 1;
            at = next;
            if count >= 28 * 1440 {
                break;
            }
        }
        Some(f64::from(count) / 28.0)
    });
    scheduled.unwrap_or_else(|| {
        let from = now.saturating_sub(30 * DAY);
        let recent = record.events.iter().filter(|event| event.time >= from).count();
        let began = record.first.unwrap_or(now).max(from);
        let days = (now.saturating_sub(began) as f64 / DAY as f64).max(1.0);
        recent as f64 / days
    })
}

fn tail(events: &[Event], days: u32, allowed_rate: f64, now: i64) -> Tail {
    let from = now.saturating_sub(i64::from(days) * DAY);
    let inside = events.iter().filter(|event| event.time > from && event.time <= now);
    let (mut events, mut bad) = (0, 0);
    for event in inside {
        events += 1;
        bad += u64::from(event.bad());
    }
    Tail {
        days,
        events,
        bad,
        probability: binomial::at_least(bad, events, allowed_rate),
        alarm: binomial::alarm(events, allowed_rate, TICKET),
    }
}

/// A budget lasts until the bad events that are left have come, at the rate of the last week; of all the window where that has fewer than ten events.
fn forecast(events: &[Event], status: &Status, allowed_rate: f64, window: &Window) -> Option<Forecast> {
    let budget = status.budget?;
    let days = window.days();
    let week = tail(events, 7.min(days), allowed_rate, status.until);
    let (seen, bad, rate_of_days) = match week.events >= 10 {
        true => (week.events, week.bad, 7.min(days)),
        false => (status.events, status.bad, days),
    };
    if seen == 0 {
        return None;
    }
    // The budget of the whole window, not of the part that has passed.
    let whole = allowed_rate * (status.runs_a_day * f64::from(days)).max(status.events as f64);
    let left = whole - budget.used;
    let lasts = |rate: f64| {
        let days_left = if left <= 0.0 {
            0.0
        } else {
            left / (rate * status.runs_a_day)
        };
        (days_left <= f64::from(days)).then_some(days_left)
    };
    let interval = jeffreys(bad, seen, CONFIDENCE);
    Some(Forecast {
        days: lasts(bad as f64 / seen as f64),
        earliest: lasts(interval.high),
        latest: lasts(interval.low),
        rate_of_days,
    })
}

/// The meters after these events, and when they paged.
pub fn run_meters<'a>(design: &Design, events: impl Iterator<Item = &'a Event>) -> (Vec<Reading>, Vec<Page>) {
    let mut levels = vec![0u32; design.meters.len()];
    let mut pages: Vec<Page> = Vec::new();
    let mut paging = false;
    for event in events {
        let mut now_paging = false;
        for (level, meter) in levels.iter_mut().zip(&design.meters) {
            *level = meter.after(*level, event.bad());
            now_paging |= *level >= meter.threshold;
        }
        match (paging, now_paging) {
            (false, true) => pages.push(Page {
                from: event.time,
                until: None,
            }),
            (true, false) => {
                if let Some(page) = pages.last_mut() {
                    page.until = Some(event.time);
                }
            }
            _ => {}
        }
        paging = now_paging;
    }
    let reading = |(level, meter): (&u32, &Meter)| Reading {
        meter: meter.name,
        evidence: meter.nats(*level),
        threshold: meter.nats(meter.threshold),
        paging: *level >= meter.threshold,
        bad_runs_to_page: meter.threshold.saturating_sub(*level).div_ceil(meter.weight.max(1)),
    };
    (levels.iter().zip(&design.meters).map(reading).collect(), pages)
}
