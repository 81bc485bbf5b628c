//! Dates and times as people write them, for `parse_strings_as_datetimes` of Great Expectations' older suites, which asks Python's `dateutil`.
//!
//! `dateutil` guesses at nearly everything, and takes from today what a text leaves out. Read here is what is whole and means one moment: the year in four
//! digits, first or last, with the month before the day unless it cannot be one, or the month by its English name; after it a time of day without a zone.

use jiff::civil::{Date, DateTime, Time};

use super::strptime::MONTHS;

/// The moment that a text means; none where it is not read.
pub fn moment(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let (date, time) = match text.split_once('T') {
        Some((date, time)) if date.ends_with(|last: char| last.is_ascii_digit()) => (date, time),
        _ => match text.rsplit_once(' ') {
            Some((date, time)) if time.contains(':') => (date.trim_end(), time),
            _ => return Some(day(text)?.to_datetime(Time::midnight())),
        },
    };
    Some(day(date)?.to_datetime(time_of_day(time)?))
}

fn day(text: &str) -> Option<Date> {
    let parts: Vec<&str> = if text.contains(['-', '/']) {
        let sign = if text.contains('-') { '-' } else { '/' };
        text.split(sign).collect()
    } else if text.len() == 8 && digits(text, 8).is_some() {
        vec![&text[..4], &text[4..6], &text[6..]]
    } else {
        text.split([' ', ',']).filter(|part| !part.is_empty()).collect()
    };
    let [first, second, third] = parts.as_slice() else {
        return None;
    };
    let (year, month, day) = match (month_of(first), month_of(second)) {
        (Some(month), None) => (year(third)?, month, digits(second, 2)?),
        (None, Some(month)) => (year(third)?, month, digits(first, 2)?),
        (Some(_), Some(_)) => return None,
        (None, None) if first.len() == 4 => (year(first)?, digits(second, 2)?, digits(third, 2)?),
        (None, None) => {
            let (one, other) = (digits(first, 2)?, digits(second, 2)?);
            let (month, day) = if one > 12 { (other, one) } else { (one, other) };
            (year(third)?, month, day)
        }
    };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn time_of_day(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] if fraction == "0" => (digits(hour, 2)?, digits(minute, 2)?, 0),
        [hour, minute, second] => (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?),
        _ => return None,
    };
    let places = u32::try_from(fraction.len()).ok()?;
    let nanosecond = digits(fraction, 6)? * 10_i32.pow(9_u32.checked_sub(places)?);
    let small = |number: i32| i8::try_from(number).ok();
    Time::new(small(hour)?, small(minute)?, small(second)?, nanosecond).ok()
}

/// A month by its English name, whole or its first three letters.
fn month_of(text: &str) -> Option<i32> {
    let lower = text.to_ascii_lowercase();
    let named = |name: &str| name == lower || (lower.len() == 3 && name.starts_with(&lower));
    let at = MONTHS.iter().position(|name| named(name))?;
    i32::try_from(at + 1).ok()
}

fn year(text: &str) -> Option<i16> {
    let year = digits(text, 4).filter(|_| text.len() == 4)?;
    i16::try_from(year).ok().filter(|year| *year > 0)
}

/// A number of at most so many digits.
fn digits(text: &str, most: usize) -> Option<i32> {
    let fine = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_dateutil_reads_them() {
        // Right: `dateutil.parser.parse(left).isoformat()` of dateutil 4.0.0.
        let table = [
            ("2020-01-31", "2020-01-31T00:00:00"),
            ("2020-1-3", "2020-01-03T00:00:00"),
            ("2020/01/31", "2020-01-31T00:00:00"),
            ("20200131", "2020-01-31T00:00:00"),
            ("01/02/2003", "2003-01-02T00:00:00"),
            ("1/2/2003", "2003-01-02T00:00:00"),
            ("13/02/2003", "2003-02-13T00:00:00"),
            ("02-13-2003", "2003-02-13T00:00:00"),
            ("Jan 1 1970", "1970-01-01T00:00:00"),
            ("JAN 01, 1970", "1970-01-01T00:00:00"),
            ("January 1, 1970", "1970-01-01T00:00:00"),
            ("1 Sep 2001", "2001-09-01T00:00:00"),
            ("Dec 31 1999 23:59:59", "1999-12-31T23:59:59"),
            ("2020-01-31 04:05", "2020-01-31T04:05:00"),
            ("2020-01-31T04:05:06", "2020-01-31T04:05:06"),
            ("2020-01-31 04:05:06.5", "2020-01-31T04:05:06.5"),
            (" 2020-01-31 04:05:06.123456 ", "2020-01-31T04:05:06.123456"),
        ];
        for (text, expected) in table {
            assert_eq!(moment(text), expected.parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_or_not_certain_is_not_read() {
        let texts = [
            "",
            "x",
            "2020",
            "Jan 1",
            "10:00",
            "1/2/03",
            "2020-01-31T04:05:06Z",
            "2020-01-31 04:05:06+01:00",
            "2020-13-45",
            "31/31/2020",
            "Sept 1 2001",
            "2020-01",
            "Jan Feb 2001",
            "2020-01-31 04:05 PM",
            "0000-01-01",
            "1 2 3 4",
            "2020-01-31 25:00",
            "２020-01-01",
            "T1:00",
        ];
        for text in texts {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
