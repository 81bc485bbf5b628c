//! A month of the calendar: what was promised, what was kept.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use stoke_model::units::people;

use super::objective::{Batch, Objective, Window};
use super::runs::Attempt;
use super::status::{Judge, Page, Status};
use super::text;

/// A month, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    first: Date,
    zone: TimeZone,
}

/// How an objective stood at the end of a month, or now, where it has not ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    #[serde(flatten)]
    pub status: Status,
    pub month: String,
    /// Whether the month is over.
    pub over: bool,
    /// Pages that began in it.
    pub pages_begun: u64,
    /// Minutes of the month in which a page stood.
    pub minutes_paged: u64,
}

impl Month {
    /// `2026-10`, in UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Month> {
        let (year, month) = text.split_once('-')?;
        let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        (text.len() == 7).then_some(Month {
            first,
            zone: TimeZone::UTC,
        })
    }

    /// The one before that of this moment.
    #[must_use]
    pub fn before(now: Timestamp) -> Month {
        let first = now.to_zoned(TimeZone::UTC).date().first_of_month();
        Month {
            first: first.yesterday().map_or(first, Date::first_of_month),
            zone: TimeZone::UTC,
        }
    }

    fn bounds(&self) -> Option<(i64, i64)> {
        let at = |date: Date| Some(date.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond());
        Some((at(self.first)?, at(self.first.last_of_month().tomorrow().ok()?)?))
    }

    /// `2026-10`.
    #[must_use]
    pub fn name(&self) -> String {
        self.first.strftime("%Y-%m").to_string()
    }
}

/// The month of one objective. Nothing of a month that has not begun.
pub fn entries(
    judge: &mut Judge,
    objective: &Objective,
    batch: &Batch,
    attempts: &[Attempt],
    month: &Month,
    now: i64,
) -> Vec<Entry> {
    let Some((from, end)) = month.bounds().filter(|(from, _)| *from < now) else {
        return Vec::new();
    };
    let until = (end - 1).min(now);
    let of_month = Objective {
        window: Window::Month(month.zone.iana_name().unwrap_or("UTC").to_owned()),
        // What was acknowledged later was not known then.
        acknowledged: objective.acknowledged.filter(|at| *at <= until),
        ..objective.clone()
    };
    let statuses = judge.statuses(&of_month, batch, attempts, until);
    let entry = |status: Status| {
        let inside = |page: &&Page| page.until.unwrap_or(until) > from;
        let pages: Vec<Page> = status.pages.iter().filter(inside).copied().collect();
        let minutes = pages
            .iter()
            .map(|page| (page.until.unwrap_or(until) - page.from.max(from)).max(0) / 60_000);
        Entry {
            month: month.name(),
            over: end <= now,
            pages_begun: pages.iter().filter(|page| page.from >= from).count() as u64,
            minutes_paged: minutes.sum::<i64>().unsigned_abs(),
            status,
        }
    };
    statuses.into_iter().map(entry).collect()
}

/// The heading of [`Entry::row`].
pub const HEADING: [&str; 8] = [
    "OBJECTIVE",
    "TARGET",
    "RUNS",
    "BAD",
    "RATE (90 %)",
    "BUDGET LEFT",
    "PAGES",
    "VERDICT",
];

impl Entry {
    /// A line of the table.
    #[must_use]
    pub fn row(&self) -> Vec<String> {
        let mut row = text::row(&self.status);
        row.truncate(6);
        row.push(match self.pages_begun {
            0 => "0".to_owned(),
            pages => format!(
                "{} ({})",
                people::count(pages),
                people::duration(self.minutes_paged.saturating_mul(60_000))
            ),
        });
        row.push(self.status.verdict.text().to_owned());
        row
    }
}
