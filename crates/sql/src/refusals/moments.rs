//! Dates and times as Spark reads them in literals.
//!
//! Source: what Spark's documentation says of datetime literals, and what its parsers answered when they were asked.

/// Words that stand for moments; all but `now` may have a time zone behind them.
const SPECIAL: [&str; 5] = ["epoch", "now", "today", "tomorrow", "yesterday"];
/// Minutes a time zone may be away.
const MOST_OFFSET: u32 = 18 * 60;
/// What the names of time zones begin with, before a `/`.
const AREAS: [&str; 17] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "SystemV",
    "US",
];

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

fn is_special(text: &str) -> bool {
    let word = trimmed(text).to_lowercase();
    let first = word.split_whitespace().next().unwrap_or_default();
    SPECIAL.contains(&first) && (first != "now" || word == first)
}

/// A number of so many digits, and what follows it.
fn number(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if length < least || length > most {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

fn days_of(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A year, perhaps with a month and a day; and what follows.
fn date(text: &str, digits: usize) -> Option<((i64, u32, u32), &str)> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (year, rest) = number(unsigned, 4, digits)?;
    let year = sign * i64::from(year);
    let Some(rest) = rest.strip_prefix('-') else {
        return Some(((year, 1, 1), rest));
    };
    let (month, rest) = number(rest, 1, 2)?;
    if !(1..=12).contains(&month) {
        return None;
    }
    let Some(rest) = rest.strip_prefix('-') else {
        return rest.is_empty().then_some(((year, month, 1), rest));
    };
    let (day, rest) = number(rest, 1, 2)?;
    (1..=days_of(year, month))
        .contains(&day)
        .then_some(((year, month, day), rest))
}

/// Whether a text is a date: `yyyy`, `yyyy-m`, `yyyy-m-d`, the last perhaps with a blank or `T` and anything behind it.
pub fn is_date(text: &str) -> bool {
    if is_special(text) {
        return true;
    }
    let Some((date, rest)) = date(trimmed(text), 7) else {
        return false;
    };
    // As many days as a number of four bytes holds.
    let holds = ((-5_877_641, 6, 23)..=(5_881_580, 7, 11)).contains(&date);
    let has_day = trimmed(text).trim_start_matches(['-', '+']).matches('-').count() >= 2;
    holds && (rest.is_empty() || (has_day && rest.starts_with([' ', 'T'])))
}

/// A time and what follows it: hours, minutes and seconds may have one digit, and may be missing from the end; only seconds are followed by anything.
fn time(text: &str) -> Option<&str> {
    let (hour, mut rest) = number(text, 1, 2)?;
    let (mut right, mut complete) = (hour < 24, false);
    for place in 0..2 {
        let Some(behind) = rest.strip_prefix(':') else { break };
        let (value, behind) = number(behind, 1, 2)?;
        right &= value < 60;
        rest = behind;
        complete = place == 1;
        if complete && let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    (right && (complete || rest.is_empty())).then_some(rest)
}

/// Whether a time zone may be one: offsets are looked at, of names only the area, and that those without one are not in small letters.
fn is_zone(text: &str) -> bool {
    let zone = text.trim();
    let Some(offset) = zone.strip_prefix(['+', '-']) else {
        let right = zone.chars().all(|c| c.is_ascii_alphanumeric() || "/_+-:~ ".contains(c));
        let known = match zone.split_once('/') {
            Some((area, _)) => AREAS.contains(&area),
            None => !zone.starts_with(|c: char| c.is_ascii_lowercase()) && !matches!(zone, "AM" | "PM"),
        };
        return right && known;
    };
    if !offset.chars().all(|c| c.is_ascii_digit() || c == ':') {
        return false;
    }
    let mut parts = offset.split(':');
    let hours: Option<u32> = parts.next().and_then(|hours| match hours.len() {
        1 | 2 => hours.parse().ok(),
        4 | 6 => Some(0),
        _ => None,
    });
    let minutes: Option<Vec<u32>> = parts.map(|part| part.parse().ok().filter(|part| *part < 60)).collect();
    hours.zip(minutes).is_some_and(|(hours, minutes)| {
        let later = minutes.iter().skip(1).any(|seconds| *seconds > 0);
        hours * 60 + minutes.first().copied().unwrap_or_default() + u32::from(later) <= MOST_OFFSET
    })
}

/// Whether a text is a moment; `alone`: a time without a day is one, too.
pub fn is_timestamp(text: &str, alone: bool) -> bool {
    if is_special(text) {
        return true;
    }
    let text = trimmed(text);
    let clock = text
        .strip_prefix('T')
        .or_else(|| text.get(..3).filter(|start| start.contains(':')).map(|_| text));
    if let Some(clock) = clock {
        return alone && time(clock).is_some_and(is_zone);
    }
    let Some(((year, ..), rest)) = date(text, 6) else {
        return false;
    };
    if !(-290_308..=294_247).contains(&year) {
        return false;
    }
    match rest.strip_prefix([' ', 'T']) {
        None => rest.is_empty(),
        Some(clock) => time(clock).is_some_and(is_zone),
    }
}

/// Whether a text is a time of day: `h:m`, `h:m:s`, `h:m:s.ffffff`, perhaps with `AM` or `PM`.
pub fn is_time(text: &str) -> bool {
    let text = trimmed(text).to_ascii_uppercase();
    let halves = ["AM", "PM"].into_iter().find_map(|half| text.strip_suffix(half));
    let clock = halves.unwrap_or(&text).trim();
    let clock = clock.strip_prefix('T').unwrap_or(clock);
    let hour = clock.split(':').next().and_then(|hour| hour.parse::<u32>().ok());
    let right = hour.is_some_and(|hour| halves.is_none() || (1..=12).contains(&hour));
    right && clock.contains(':') && time(clock).is_some_and(str::is_empty)
}

/// Whether it is a moment as `t@20240229235959999` has it.
pub fn is_compact(text: &str) -> bool {
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let spelled = format!(
        "{}-{}-{} {}:{}:{}.{}",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14),
        part(14, 17)
    );
    text.len() == 17 && text.chars().all(|c| c.is_ascii_digit()) && is_timestamp(&spelled, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_what_is_none() {
        for right in [
            "2026-01-01",
            "2026",
            "2026-1",
            " 2024-02-29 ",
            "2026-01-01T9",
            "now",
            "-0044-03-15",
        ] {
            assert!(is_date(right), "{right}");
        }
        for wrong in [
            "",
            "x",
            "2026-02-29",
            "2026-13-01",
            "26-01-01",
            "2026-1-",
            "20260101",
            "2026-01 x",
        ] {
            assert!(!is_date(wrong), "{wrong}");
        }
        for right in [
            "2026-01-01 1:2:3.5 Europe/Berlin",
            "2026-01-01T00:00:00+01:00",
            "12:13:14",
            "2026-01-01 23:59",
        ] {
            assert!(is_timestamp(right, true), "{right}");
        }
        for wrong in [
            "2026-01-01 24:00:00",
            "2026-01-01 00:00:00+19:00",
            "2026-01-01x",
            "12:61",
            "2026-01-01T",
            "2026-01-01 00:00:00+18:01",
            "2026-01-01 00:00:00+530",
            "2026-01-01 00:00:00 utc",
            "2026-01-01 00:00:00 europe/berlin",
            "2026-01-01 00:00 Europe/Berlin",
            "2026-01-01 00:00:00 AM",
            "now UTC",
        ] {
            assert!(!is_timestamp(wrong, true), "{wrong}");
        }
        assert!(!is_timestamp("12:13:14", false));
        assert!(is_time("1:2:3.5") && is_time("12:13 PM") && !is_time("13:00 PM") && !is_time("12"));
    }
}
