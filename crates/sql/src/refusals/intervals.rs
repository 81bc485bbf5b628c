//! Lengths of time: `INTERVAL '1 day'`, `INTERVAL 1 DAY 2 HOURS`, `INTERVAL '1-2' YEAR TO MONTH`.

use super::{Refusals, text_of};
use crate::parsed::{Node, Piece};

/// Spark's name for what is wrong with an interval.
const INVALID: &str = "INVALID_INTERVAL_FORMAT";
/// Microseconds of each unit of days and below.
const MICROSECONDS: [(&str, i64); 7] = [
    ("week", 7 * 86_400_000_000),
    ("day", 86_400_000_000),
    ("hour", 3_600_000_000),
    ("minute", 60_000_000),
    ("second", 1_000_000),
    ("millisecond", 1_000),
    ("microsecond", 1),
];
/// From which unit to which one value may go.
const RANGES: [(&str, &str); 7] = [
    ("YEAR", "MONTH"),
    ("DAY", "HOUR"),
    ("DAY", "MINUTE"),
    ("DAY", "SECOND"),
    ("HOUR", "MINUTE"),
    ("HOUR", "SECOND"),
    ("MINUTE", "SECOND"),
];

/// A length of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Microseconds of days and below.
    pub microseconds: i64,
    /// Whether months stand in it beside days.
    pub mixes: bool,
    /// Whether it does not fit.
    pub too_long: bool,
}

/// A text of values and units, `1 day -2 hours`; `None` when it is none.
pub fn parse(text: &str) -> Option<Interval> {
    let lower = text.trim().to_lowercase();
    let mut rest = match lower.strip_prefix("interval") {
        Some(behind) if behind.starts_with(char::is_whitespace) => behind.trim_start(),
        Some(_) => return None,
        None => lower.as_str(),
    };
    let (mut interval, mut months, mut has_months, mut has_days) = (Interval::default(), 0i64, false, false);
    let mut days = 0i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let negative = rest.starts_with('-');
        rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start();
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (whole, behind) = rest.split_at(length);
        let fraction = behind.strip_prefix('.').map(|behind| {
            let length = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
            behind.split_at(length)
        });
        let behind = fraction.map_or(behind, |(_, behind)| behind);
        if whole.is_empty() && fraction.is_none_or(|(digits, _)| digits.is_empty()) {
            return None;
        }
        if !behind.starts_with(char::is_whitespace) {
            return None;
        }
        let behind = behind.trim_start();
        let length = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(length);
        rest = behind.trim_start();
        let unit = unit.strip_suffix('s').unwrap_or(unit);
        let mut value: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        if negative {
            value = -value;
        }
        if let Some((digits, _)) = fraction
            && (unit != "second" || digits.len() > 9)
        {
            return None;
        }
        match unit {
            "year" | "month" => {
                has_months = true;
                months = months.checked_add(value.checked_mul(if unit == "year" { 12 } else { 1 })?)?;
                i32::try_from(months).ok()?;
            }
            "week" | "day" => {
                has_days = true;
                days = days.checked_add(value.checked_mul(if unit == "week" { 7 } else { 1 })?)?;
                i32::try_from(days).ok()?;
            }
            _ => {
                has_days = true;
                let (_, each) = MICROSECONDS.iter().find(|(name, _)| *name == unit)?;
                interval.microseconds = interval.microseconds.checked_add(value.checked_mul(*each)?)?;
                if let Some((digits, _)) = fraction {
                    let millionths: String = digits.chars().chain("000000".chars()).take(6).collect();
                    let part: i64 = millionths.parse().ok()?;
                    interval.microseconds += if negative { -part } else { part };
                }
            }
        }
    }
    interval.mixes = has_months && has_days;
    let whole = days
        .checked_mul(86_400_000_000)
        .and_then(|days| days.checked_add(interval.microseconds));
    interval.too_long = whole.is_none();
    interval.microseconds = whole.unwrap_or_default();
    Some(interval)
}

/// The microseconds of an interval in a tree, where it is one of days and below that is right.
pub fn length(node: Node<'_>) -> Option<i64> {
    let below = node.below();
    if let Some(units) = below.iter().find(|node| node.is("multiUnitsInterval")) {
        return parse(&pairs(*units)?).map(|interval| interval.microseconds);
    }
    let range = below.iter().find(|node| node.is("unitToUnitInterval"))?;
    let (negative, text) = value(range.kid("intervalValue")?)?;
    let units: Vec<&str> = range.all("unitInUnitToUnit").filter_map(first_kind).collect();
    let [from, to] = units.as_slice() else { return None };
    let microseconds = day_time(&text, from, to)?;
    Some(if negative { -microseconds } else { microseconds })
}

pub fn look(node: Node<'_>, found: &mut Refusals) {
    for part in node.kids() {
        let kids: Vec<Node<'_>> = part.kids().collect();
        match part.rule() {
            "errorCapturingMultiUnitsInterval" | "errorCapturingUnitToUnitInterval" => {
                if kids.len() > 1 {
                    found.add(kids[1], INVALID, "an interval with `TO` stands by itself");
                }
                for kid in kids.iter().take(1) {
                    one(*kid, found);
                }
            }
            _ => one(part, found),
        }
    }
}

fn one(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "multiUnitsInterval" => several(node, found),
        "unitToUnitInterval" => range(node, found),
        _ => {}
    }
}

fn first_kind(node: Node<'_>) -> Option<&str> {
    node.words().next().map(|word| word.kind())
}

/// A value: whether it is negative, and its text; `None` when it is a parameter.
fn value(node: Node<'_>) -> Option<(bool, String)> {
    let text = match node.kid("stringLit") {
        Some(text) => text_of(text)?,
        None => {
            let last = node.words().last()?;
            matches!(last.kind(), "INTEGER_VALUE" | "DECIMAL_VALUE").then(|| last.text())?
        }
    };
    Some((node.has("MINUS"), text))
}

/// Values and units as one text.
fn pairs(node: Node<'_>) -> Option<String> {
    let mut text = String::new();
    for kid in node.kids() {
        if kid.is("intervalValue") {
            let (negative, value) = value(kid)?;
            let value = value.trim();
            match (negative, value.strip_prefix('-')) {
                (true, Some(positive)) => text.push_str(positive),
                (true, None) => {
                    text.push('-');
                    text.push_str(value);
                }
                _ => text.push_str(value),
            }
            text.push(' ');
        } else {
            text.push_str(&kid.text());
            text.push(' ');
        }
    }
    Some(text)
}

fn several(node: Node<'_>, found: &mut Refusals) {
    let Some(text) = pairs(node) else { return };
    for each in node.all("intervalValue") {
        if let Some((_, value)) = value(each)
            && value.chars().any(char::is_alphabetic)
        {
            let message = format!("'{value}' is not a number; the unit stands behind the value");
            found.add(each, INVALID, message);
            return;
        }
    }
    match parse(&text) {
        None => found.add(node, INVALID, format!("`{}` is not a length of time", text.trim())),
        Some(interval) if interval.mixes => found.add(
            node,
            INVALID,
            "years and months cannot stand in one interval with days and hours",
        ),
        Some(interval) if interval.too_long => {
            found.add(node, "INTERVAL_ARITHMETIC_OVERFLOW", "the interval is too long");
        }
        Some(_) => {}
    }
}

/// `'1 2:3' DAY TO MINUTE`.
fn range(node: Node<'_>, found: &mut Refusals) {
    let units: Vec<&str> = node.all("unitInUnitToUnit").filter_map(first_kind).collect();
    // Spark 3.5 has the words themselves.
    let units = match units.as_slice() {
        [from, to] => (*from, *to),
        _ => {
            let own: Vec<&str> = node
                .own()
                .map(|word| word.kind())
                .filter(|kind| *kind != "TO")
                .collect();
            match own.as_slice() {
                [from, to] => (*from, *to),
                _ => return,
            }
        }
    };
    if !RANGES.contains(&units) {
        let message = format!("there are no intervals from {} to {}", units.0, units.1);
        found.add(node, INVALID, message);
        return;
    }
    let Some(written) = node.kid("intervalValue") else {
        return;
    };
    let pieces = written
        .pieces()
        .any(|piece| matches!(piece, Piece::Node(kid) if kid.is("stringLit")));
    if !pieces {
        let number = written
            .words()
            .last()
            .is_some_and(|word| matches!(word.kind(), "INTEGER_VALUE" | "DECIMAL_VALUE"));
        if number {
            found.add(written, INVALID, "what is from one unit to another is a text in quotes");
        }
        return;
    }
    let Some((negative, text)) = value(written) else { return };
    // A sign before the quotes takes one away that is the first in them.
    let text = match (negative, text.strip_prefix('-')) {
        (true, Some(positive)) => positive.to_owned(),
        (true, None) => format!("-{text}"),
        (false, _) => text,
    };
    let right = match units {
        ("YEAR", _) => year_month(&text),
        (from, to) => day_time(&text, from, to).is_some(),
    };
    if !right {
        let message = format!("'{text}' is not an interval from {} to {}", units.0, units.1);
        found.add(written, INVALID, message);
    }
}

fn unsigned(text: &str) -> (bool, &str) {
    let text = text.trim();
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Whether a text is of digits, at most so many.
fn digits(text: &str, most: usize) -> Option<i64> {
    let right = !text.is_empty() && text.len() <= most && text.chars().all(|c| c.is_ascii_digit());
    right.then(|| text.parse().ok()).flatten()
}

fn year_month(text: &str) -> bool {
    let (negative, text) = unsigned(text);
    let parts = text.split_once('-');
    parts.is_some_and(|(years, months)| {
        let years = digits(years, 18).filter(|years| *years <= 178_956_970);
        let months = digits(months, 18).filter(|months| *months <= 11);
        let most = i64::from(i32::MAX) + i64::from(negative);
        years
            .zip(months)
            .is_some_and(|(years, months)| years * 12 + months <= most)
    })
}

/// The microseconds of a value from one unit to another.
fn day_time(text: &str, from: &str, to: &str) -> Option<i64> {
    const UNITS: [(&str, i64, i64, usize); 4] = [
        ("DAY", 86_400_000_000, i64::MAX, 9),
        ("HOUR", 3_600_000_000, 23, 10),
        ("MINUTE", 60_000_000, 59, 12),
        ("SECOND", 1_000_000, 59, 13),
    ];
    let place = |name: &str| UNITS.iter().position(|(unit, ..)| *unit == name);
    let (first, last) = (place(from)?, place(to)?);
    let (negative, text) = unsigned(text);
    let mut parts: Vec<&str> = Vec::new();
    let clock = if first == 0 {
        let (days, clock) = text.split_once(' ')?;
        parts.push(days);
        clock
    } else {
        text
    };
    parts.extend(clock.split(':'));
    if Some(parts.len()) != (last + 1).checked_sub(first) {
        return None;
    }
    let mut sum = 0i64;
    for (index, part) in parts.into_iter().enumerate() {
        let (name, each, most, width) = *UNITS.get(first + index)?;
        let (whole, fraction) = match part.split_once('.') {
            Some((whole, fraction)) if name == "SECOND" => (whole, Some(fraction)),
            Some(_) => return None,
            None => (part, None),
        };
        if let Some(fraction) = fraction {
            digits(fraction, 9)?;
        }
        // The first may be as large as it likes, the others are parts of it.
        let value = digits(whole, if index == 0 { width } else { 2 })?;
        if index > 0 && value > most {
            return None;
        }
        sum = sum.checked_add(value.checked_mul(each)?)?;
    }
    Some(if negative { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_values_and_units() {
        for right in [
            "1 day",
            "interval -1 DAY +2 hours",
            "1.5 seconds",
            " 3 weeks ",
            ".5 second",
        ] {
            assert!(parse(right).is_some_and(|interval| !interval.mixes), "{right}");
        }
        for wrong in [
            "",
            "x",
            "1",
            "1 fortnight",
            "1.5 days",
            "interval",
            "1day",
            "1.1234567891 second",
            "99999999999 days",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(parse("1 month 1 day").unwrap().mixes);
        assert!(parse("106751992 days").unwrap().too_long);
    }

    #[test]
    fn values_from_one_unit_to_another() {
        assert!(year_month("-178956970-8") && !year_month("178956970-8"));
        assert!(year_month("-1-11") && !year_month("1-12") && !year_month("1 2") && !year_month(""));
        assert_eq!(day_time("1 2", "DAY", "HOUR"), Some(93_600_000_000));
        assert_eq!(day_time("-25:00", "HOUR", "MINUTE"), Some(-90_000_000_000));
        assert!(day_time("1 24", "DAY", "HOUR").is_none());
        assert!(day_time("2:3:4", "HOUR", "MINUTE").is_none());
        assert!(day_time("3:4.1234567891", "MINUTE", "SECOND").is_none());
        assert!(day_time("2:3", "MINUTE", "HOUR").is_none());
    }
}
