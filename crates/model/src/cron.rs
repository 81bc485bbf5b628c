//! Schedules as `robfig/cron` v3 (and so Kubernetes and the published operator) reads them: five fields, `@daily`-like words,
//! `@every <duration>`, and a `TZ=` or `CRON_TZ=` prefix.
//!
//! At changes of the clock the published rule holds: a local time that is skipped has no run, one that comes twice has two.

use std::str::FromStr;

use crate::duration;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// When to run, in which time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Times {
    Every(SignedDuration),
    Fields(Box<Fields>),
}

/// Bit n of a field is set when the value n matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// `*` or `?` without a step: then day and weekday must both match, otherwise one suffices.
    any_day: bool,
    any_weekday: bool,
}

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schedule {schedule:?}: {reason}")]
pub struct InvalidSchedule {
    /// The text.
    pub schedule: String,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

/// Searches end after so many years, as in the published parser: such a date never comes.
const HORIZON_YEARS: i64 = 5;

/// What a field of a schedule may hold.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What it counts.
    pub name: &'static str,
    /// Its smallest value.
    pub least: u32,
    /// Its largest value.
    pub most: u32,
    /// The names of its values in lower case, from the smallest on; empty where there are none.
    pub words: &'static [&'static str],
}

const fn counts(name: &'static str, least: u32, most: u32, words: &'static [&'static str]) -> Field {
    Field {
        name,
        least,
        most,
        words,
    }
}

/// The fields of a schedule, in their order.
pub const FIELDS: [Field; 5] = [
    counts("minute", 0, 59, &[]),
    counts("hour", 0, 23, &[]),
    counts("day", 1, 31, &[]),
    counts(
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    counts("weekday", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

impl Schedule {
    /// Reads a schedule. A zone in its prefix wins over `zone`, an IANA name, `Local`, or empty for `Local`.
    ///
    /// # Errors
    /// Which field is wrong and how; an unknown zone; a date that never comes.
    ///
    /// ```
    /// use stoke_model::cron::Schedule;
    /// let nightly = Schedule::parse("30 2 * * *", "Europe/Berlin")?;
    /// let next = nightly.after("2026-01-10T12:00:00Z".parse()?);
    /// assert_eq!(next, Some("2026-01-11T01:30:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(schedule: &str, zone: &str) -> Result<Self, InvalidSchedule> {
        let invalid = |reason: String| InvalidSchedule {
            schedule: schedule.to_owned(),
            reason,
        };
        let text = schedule.trim();
        let (zone, text) = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            Some(rest) => rest
                .split_once(' ')
                .ok_or_else(|| invalid("after the time zone nothing follows".to_owned()))?,
            None => (zone, text),
        };
        let zone = time_zone(zone).map_err(&invalid)?;
        let times = times(text.trim()).map_err(&invalid)?;
        let schedule = Self { times, zone };
        // Any moment would do for the question; a fixed one keeps the answer the same every time.
        if schedule.after(Timestamp::UNIX_EPOCH).is_none() {
            return Err(invalid("this date never comes".to_owned()));
        }
        Ok(schedule)
    }

    /// The time zone in force: an IANA name, or `Local` when the system's has none.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("Local")
    }

    /// The first time of this schedule after `moment`.
    #[must_use]
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let second = Timestamp::from_second(moment.as_second()).ok()?;
        match &self.times {
            Times::Every(delay) => second.checked_add(*delay).ok(),
            Times::Fields(fields) => fields.after(second, &self.zone),
        }
    }

    /// The last time of this schedule that is not before `first` and not after `now`, given that `first` is one; and how many lie before it,
    /// counted up to 100.
    #[must_use]
    pub fn latest(&self, first: Timestamp, now: Timestamp) -> (Timestamp, usize) {
        let mut missed = 0;
        let mut latest = first;
        while missed < 100
            && let Some(next) = self.after(latest).filter(|next| *next <= now)
        {
            missed += 1;
            latest = next;
        }
        if missed < 100 {
            return (latest, missed);
        }
        // Far behind: come from the other side, looking back further and further.
        for minutes in [60, 24 * 60, 32 * 24 * 60, 366 * 24 * 60, 5 * 366 * 24 * 60] {
            let back = now
                .checked_sub(SignedDuration::from_mins(minutes))
                .unwrap_or(latest)
                .max(latest);
            if let Some(mut found) = self.after(back).filter(|found| *found <= now) {
                while let Some(next) = self.after(found).filter(|next| *next <= now) {
                    found = next;
                }
                return (found, missed);
            }
        }
        (latest, missed)
    }

    /// True when `moment` is a time of this schedule. Every moment may be one of `@every`.
    #[must_use]
    pub fn contains(&self, moment: Timestamp) -> bool {
        match &self.times {
            Times::Every(_) => true,
            Times::Fields(_) => {
                let before = moment.checked_sub(SignedDuration::from_secs(1)).ok();
                before.and_then(|before| self.after(before)) == Some(moment)
            }
        }
    }
}

impl Fields {
    fn after(&self, second: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = second.to_zoned(zone.clone());
        let last_year = i64::from(start.year()) + HORIZON_YEARS;
        let mut at = start
            .checked_add(SignedDuration::from_secs(60 - i64::from(start.second())))
            .ok()?;
        while i64::from(at.year()) <= last_year {
            if !bit(self.month, at.month()) {
                at = at
                    .first_of_month()
                    .ok()?
                    .checked_add(1.month())
                    .ok()?
                    .start_of_day()
                    .ok()?;
            } else if !self.day_matches(&at) {
                at = at.tomorrow().ok()?.start_of_day().ok()?;
            } else if !bit(self.hour, at.hour()) {
                // Absolute steps: they meet every local time that exists, and one that comes twice twice.
                at = at
                    .checked_add(SignedDuration::from_mins(60 - i64::from(at.minute())))
                    .ok()?;
            } else if !bit(self.minute, at.minute()) {
                at = at.checked_add(SignedDuration::from_mins(1)).ok()?;
            } else {
                return Some(at.timestamp());
            }
        }
        None
    }

    fn day_matches(&self, at: &Zoned) -> bool {
        let day = bit(self.day, at.day());
        let weekday = bit(self.weekday, at.weekday().to_sunday_zero_offset());
        if self.any_day || self.any_weekday {
            day && weekday
        } else {
            day || weekday
        }
    }
}

fn bit(field: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| field & (1 << value) != 0)
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    match name.trim() {
        "" | "Local" => Ok(TimeZone::system()),
        name => TimeZone::get(name).map_err(|_| {
            format!("the time zone {name:?} is not known; write an IANA name such as Europe/Berlin, or UTC")
        }),
    }
}

fn times(text: &str) -> Result<Times, String> {
    if let Some(delay) = text.strip_prefix("@every ") {
        let delay = duration::parse_go(delay.trim()).map_err(|error| error.to_string())?;
        if delay < SignedDuration::from_secs(1) {
            return Err("@every needs at least one second".to_owned());
        }
        return Ok(Times::Every(SignedDuration::from_secs(delay.as_secs())));
    }
    let text = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        word if word.starts_with('@') => {
            return Err(
                "unknown word; write @yearly, @monthly, @weekly, @daily, @hourly or @every <duration>".to_owned(),
            );
        }
        fields => fields,
    };
    let parts: Vec<&str> = text.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!(
            "five fields are needed (minute hour day month weekday), {} are there",
            parts.len()
        ));
    }
    let mut read = [(0, false); FIELDS.len()];
    for ((read, part), of) in read.iter_mut().zip(parts).zip(&FIELDS) {
        *read = field(part, of)?;
    }
    let [minute, hour, day, month, weekday] = read;
    let fields = Fields {
        minute: minute.0,
        hour: hour.0,
        day: day.0,
        month: month.0,
        weekday: weekday.0,
        any_day: day.1,
        any_weekday: weekday.1,
    };
    Ok(Times::Fields(Box::new(fields)))
}

/// A comma-separated field: the matching values, and whether it says "any".
fn field(text: &str, of: &Field) -> Result<(u64, bool), String> {
    let name = of.name;
    let mut bits = 0;
    let mut any = false;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (part_bits, part_any) = range(part, of).map_err(|reason| format!("{name} {part:?}: {reason}"))?;
        bits |= part_bits;
        any |= part_any;
    }
    match bits {
        0 => Err(format!("{name} is empty")),
        _ => Ok((bits, any)),
    }
}

/// `*`, `?`, `5`, `5-9`, each with an optional `/step`; `5/2` means from 5 on.
fn range(text: &str, of: &Field) -> Result<(u64, bool), String> {
    let (min, max, words) = (of.least, of.most, of.words);
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(number(step)?)),
        None => (text, None),
    };
    let any = span == "*" || span == "?";
    let (first, last) = match span.split_once('-') {
        _ if any => (min, max),
        Some((first, last)) => (value(first, min, words)?, value(last, min, words)?),
        None => {
            let first = value(span, min, words)?;
            (first, if step.is_some() { max } else { first })
        }
    };
    if first < min || last > max {
        return Err(format!("values lie between {min} and {max}"));
    }
    if first > last {
        return Err("the range ends before it begins".to_owned());
    }
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err("the step must be positive".to_owned());
    }
    let bits = (first..=last)
        .step_by(step as usize)
        .fold(0, |bits, value| bits | 1 << value);
    Ok((bits, any && step == 1))
}

fn value(text: &str, min: u32, words: &[&str]) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    match words.iter().position(|word| *word == lower) {
        Some(at) => Ok(min + u32::try_from(at).unwrap_or_default()),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => u32::from_str(text).map_err(|_| format!("{text:?} is not a number")),
        false => Err(format!("{text:?} is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &str, zone: &str, moment: &str) -> String {
        let schedule = Schedule::parse(schedule, zone).unwrap();
        let zone = schedule.zone.clone();
        let moment: Timestamp = moment.parse().unwrap();
        match schedule.after(moment) {
            Some(next) => next.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            None => "never".to_owned(),
        }
    }

    #[test]
    fn next_times() {
        for (schedule, moment, next) in [
            ("0/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00+00:00"),
            ("0/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00+00:00"),
            ("20-35/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00+00:00"),
            ("5/15 0 * Jul *", "2012-07-10T23:45:00Z", "2012-07-11T00:05:00+00:00"),
            ("0 0 9 Apr-Oct *", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00+00:00"),
            (
                "0 0 */5 Apr,Aug,Oct Mon",
                "2012-07-09T23:35:00Z",
                "2012-08-01T00:00:00+00:00",
            ),
            ("0 0 * Feb Mon", "2012-07-09T23:35:00Z", "2013-02-04T00:00:00+00:00"),
            ("0 0 29 Feb *", "2012-07-09T23:35:00Z", "2016-02-29T00:00:00+00:00"),
            ("0 0 1,15 * Sun", "2012-07-09T23:35:00Z", "2012-07-15T00:00:00+00:00"),
            ("0 0 13 * Fri", "2012-07-09T23:35:00Z", "2012-07-13T00:00:00+00:00"),
            ("0 0 ? * Mon", "2012-07-09T00:00:00Z", "2012-07-16T00:00:00+00:00"),
            ("@hourly", "2012-12-31T23:59:45Z", "2013-01-01T00:00:00+00:00"),
            ("@weekly", "2012-07-09T00:00:00Z", "2012-07-15T00:00:00+00:00"),
            ("@monthly", "2012-07-09T00:00:00Z", "2012-08-01T00:00:00+00:00"),
            ("@yearly", "2012-07-09T00:00:00Z", "2013-01-01T00:00:00+00:00"),
            ("@every 1h30m", "2012-07-09T14:45:00.7Z", "2012-07-09T16:15:00+00:00"),
            ("@every 1m30.5s", "2012-07-09T14:45:00Z", "2012-07-09T14:46:30+00:00"),
        ] {
            assert_eq!(after(schedule, "UTC", moment), next, "{schedule} after {moment}");
        }
    }

    #[test]
    fn clocks_that_change() {
        let berlin = "Europe/Berlin";
        for (schedule, moment, next) in [
            // 02:00 to 03:00 does not exist on 29 March 2026.
            ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T02:30:00+02:00"),
            ("0 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00+02:00"),
            // 02:00 to 03:00 comes twice on 25 October 2026.
            ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00"),
            ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00+01:00"),
            ("30 2 * * *", "2026-10-25T01:30:00Z", "2026-10-26T02:30:00+01:00"),
            ("0 0 * * *", "2026-10-24T22:00:00Z", "2026-10-26T00:00:00+01:00"),
        ] {
            assert_eq!(after(schedule, berlin, moment), next, "{schedule} after {moment}");
        }
        // Midnight itself is skipped in Beirut on 29 March 2026: the day begins at one.
        assert_eq!(
            after("0 1 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z"),
            "2026-03-29T01:00:00+03:00"
        );
    }

    #[test]
    fn a_zone_in_the_schedule_wins() {
        for prefix in ["TZ=Asia/Tokyo", "CRON_TZ=Asia/Tokyo"] {
            assert_eq!(
                after(&format!("{prefix} 0 5 * * *"), "UTC", "2026-01-01T00:00:00Z"),
                "2026-01-02T05:00:00+09:00"
            );
        }
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (schedule, reason) in [
            ("", "five fields"),
            ("* * * *", "five fields"),
            ("0 0 0 1 1 *", "five fields"),
            ("60 * * * *", "between 0 and 59"),
            ("* 24 * * *", "between 0 and 23"),
            ("* * 0 * *", "between 1 and 31"),
            ("* * * * 7", "between 0 and 6"),
            ("5-3 * * * *", "ends before it begins"),
            ("*/0 * * * *", "step must be positive"),
            ("a * * * *", "is not a number"),
            ("+5 * * * *", "is not a number"),
            ("* * * Foo *", "is not a number"),
            (", * * * *", "is empty"),
            ("@fortnightly", "unknown word"),
            ("@every soon", "soon"),
            ("@every 10ms", "at least one second"),
            ("0 0 30 2 *", "never comes"),
            ("TZ=Mars/Olympus 0 5 * * *", "time zone"),
            ("TZ=UTC", "nothing follows"),
        ] {
            let error = Schedule::parse(schedule, "UTC").unwrap_err().to_string();
            assert!(error.contains(reason), "{schedule}: {error}");
        }
    }

    #[test]
    fn missed_times_are_counted_and_the_latest_is_found() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let hourly = Schedule::parse("@hourly", "UTC").unwrap();
        assert_eq!(
            hourly.latest(at("2026-01-01T01:00:00Z"), at("2026-01-01T01:30:00Z")),
            (at("2026-01-01T01:00:00Z"), 0)
        );
        assert_eq!(
            hourly.latest(at("2026-01-01T01:00:00Z"), at("2026-01-01T04:30:00Z")),
            (at("2026-01-01T04:00:00Z"), 3)
        );
        let minutely = Schedule::parse("* * * * *", "UTC").unwrap();
        assert_eq!(
            minutely.latest(at("2020-01-01T00:00:00Z"), at("2026-01-01T04:30:30Z")),
            (at("2026-01-01T04:30:00Z"), 100)
        );
        assert!(minutely.contains(at("2026-01-01T04:30:00Z")) && !minutely.contains(at("2026-01-01T04:30:01Z")));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_times_go_forward(text in "[-*/0-9,?@a-zA-Z= ]{0,24}", seconds in 0i64..4_000_000_000) {
            if let Ok(schedule) = Schedule::parse(&text, "Europe/Berlin") {
                let moment = Timestamp::from_second(seconds).unwrap();
                if let Some(next) = schedule.after(moment) {
                    proptest::prop_assert!(next > moment);
                    proptest::prop_assert!(schedule.contains(next));
                }
            }
        }
    }
}
