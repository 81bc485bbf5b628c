//! Literals of a contract in the terms of a column's class.
//!
//! A range over whole numbers, dates, timestamps or decimals becomes a closed range of integers, exactly: `< 1.5` over whole numbers is `<= 1`. Text that
//! stands for a date or timestamp is ISO 8601; a bound of timestamps has a zone when the column has, and none when it has none.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

use crate::column::{Class, nanos_of};
use crate::contract::{Literal, Range};

/// A place among integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The greatest integer that is not above it.
    pub floor: i128,
    /// True when it is that integer.
    pub exact: bool,
}

/// Where a literal lies among the integers that stand for values of a class.
///
/// # Errors
/// When the literal is not one of the class, in words.
pub fn point(literal: &Literal, class: Class) -> Result<Point, String> {
    let mismatch = || format!("the column is {}, and {literal} is not", class.name());
    match (class, literal) {
        (Class::Int, Literal::Int(_) | Literal::Float(_)) => decimal_point(literal, 0).ok_or_else(mismatch),
        (Class::Decimal(scale), Literal::Int(_) | Literal::Float(_) | Literal::Text(_)) => {
            decimal_point(literal, scale).ok_or_else(mismatch)
        }
        (Class::Date, Literal::Text(text)) => {
            let at = date_time(text).ok_or_else(|| format!("{}; write a date such as 2026-01-31", mismatch()))?;
            Ok(from_nanos(
                nanos_of_civil(at),
                i128::from(nanos_of(arrow_schema::TimeUnit::Second)) * 86_400,
            ))
        }
        (Class::Time, Literal::Text(text)) => {
            let at: Time = text
                .parse()
                .map_err(|_| format!("{}; write a time such as 10:30:00", mismatch()))?;
            Ok(from_nanos(
                nanos_of_civil(Date::constant(1970, 1, 1).to_datetime(at)),
                1,
            ))
        }
        (Class::Timestamp(unit, zoned), Literal::Text(text)) => {
            let unit = i128::from(nanos_of(unit));
            match (text.parse::<Timestamp>().ok(), date_time(text), zoned) {
                (Some(at), _, true) => Ok(from_nanos(at.as_nanosecond(), unit)),
                (None, Some(at), false) => Ok(from_nanos(nanos_of_civil(at), unit)),
                (Some(_), _, false) => Err(format!(
                    "the column has no time zone, and {literal} has; write it without one"
                )),
                (None, Some(_), true) => Err(format!(
                    "the column has a time zone, and {literal} has none; write for example 2026-01-31T00:00:00Z"
                )),
                (None, None, _) => Err(format!("{}; write for example 2026-01-31T00:00:00", mismatch())),
            }
        }
        _ => Err(mismatch()),
    }
}

/// The closed range of integers that a range is for a class. Its ends cross when nothing lies in it.
///
/// # Errors
/// As [`point`].
pub fn integers(range: &Range, class: Class) -> Result<(i128, i128), String> {
    let mut ends = (i128::MIN, i128::MAX);
    if let Some(min) = &range.min {
        let at = point(min, class)?;
        ends.0 = if at.exact && !range.strict_min {
            at.floor
        } else {
            at.floor.saturating_add(1)
        };
    }
    if let Some(max) = &range.max {
        let at = point(max, class)?;
        ends.1 = if at.exact && range.strict_max {
            at.floor.saturating_sub(1)
        } else {
            at.floor
        };
    }
    Ok(ends)
}

/// The same in 64 bits.
pub fn narrow((low, high): (i128, i128)) -> (i64, i64) {
    if low > high || low > i128::from(i64::MAX) || high < i128::from(i64::MIN) {
        return (1, 0);
    }
    let clamp = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    (clamp(low), clamp(high))
}

fn from_nanos(nanos: i128, unit: i128) -> Point {
    Point {
        floor: nanos.div_euclid(unit),
        exact: nanos.rem_euclid(unit) == 0,
    }
}

/// A date, which is its midnight, or a date with a time; without a zone.
fn date_time(text: &str) -> Option<DateTime> {
    if text.parse::<Timestamp>().is_ok() {
        return None;
    }
    text.parse::<DateTime>().ok()
}

fn nanos_of_civil(at: DateTime) -> i128 {
    // As if it were UTC, like the integers of the column.
    at.to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(0, |at| at.timestamp().as_nanosecond())
}

/// A number times ten to the scale, from its decimal text, so that `0.1` is a tenth.
fn decimal_point(literal: &Literal, scale: i8) -> Option<Point> {
    let text = match literal {
        Literal::Int(value) => value.to_string(),
        Literal::Float(value) if value.is_finite() => value.to_string(),
        Literal::Text(text) => text.clone(),
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let places = i32::from(scale) - i32::try_from(fraction.len()).ok()?;
    let unscaled: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let unscaled = if negative { -unscaled } else { unscaled };
    let power = 10_i128.checked_pow(places.unsigned_abs());
    Some(match (places >= 0, power) {
        (true, Some(power)) => Point {
            floor: unscaled.checked_mul(power)?,
            exact: true,
        },
        (false, Some(power)) => from_nanos(unscaled, power),
        // Far below the last digit that is kept.
        (false, None) => Point {
            floor: if negative && unscaled != 0 { -1 } else { 0 },
            exact: unscaled == 0,
        },
        (true, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;

    use super::*;

    fn range(min: Option<Literal>, max: Option<Literal>, strict: bool) -> Range {
        Range {
            min,
            max,
            strict_min: strict,
            strict_max: strict,
        }
    }

    #[test]
    fn ranges_become_integers_exactly() {
        let float = |value| Some(Literal::Float(value));
        let int = |value| Some(Literal::Int(value));
        let text = |value: &str| Some(Literal::Text(value.into()));
        let micros = Class::Timestamp(TimeUnit::Microsecond, false);
        let table = [
            (range(int(1), int(5), false), Class::Int, (1, 5)),
            (range(int(1), int(5), true), Class::Int, (2, 4)),
            (range(float(0.5), float(1.5), false), Class::Int, (1, 1)),
            (range(float(0.5), float(1.5), true), Class::Int, (1, 1)),
            (range(float(-1.5), float(-0.5), false), Class::Int, (-1, -1)),
            (range(float(0.1), float(0.3), false), Class::Decimal(1), (1, 3)),
            (range(float(0.15), float(0.15), false), Class::Decimal(1), (2, 1)),
            (range(text("10.50"), None, false), Class::Decimal(2), (1050, i128::MAX)),
            (range(int(7), None, false), Class::Decimal(-1), (1, i128::MAX)),
            (
                range(text("1970-01-02"), text("1970-01-03"), false),
                Class::Date,
                (1, 2),
            ),
            (
                range(text("1970-01-02T12:00:00"), None, false),
                Class::Date,
                (2, i128::MAX),
            ),
            (
                range(text("1970-01-01"), text("1970-01-01 00:00:01"), true),
                micros,
                (1, 999_999),
            ),
            (
                range(text("1969-12-31T23:59:59"), None, false),
                micros,
                (-1_000_000, i128::MAX),
            ),
        ];
        for (range, class, expected) in table {
            assert_eq!(integers(&range, class).unwrap(), expected, "{range} {class:?}");
        }
    }

    #[test]
    fn what_is_of_another_kind_is_told() {
        let zoned = Class::Timestamp(TimeUnit::Microsecond, true);
        let text = |value: &str| Literal::Text(value.into());
        assert!(
            point(&text("2026-01-31T00:00:00"), zoned)
                .unwrap_err()
                .contains("has none")
        );
        assert!(
            point(&text("2026-01-31T00:00:00Z"), Class::Timestamp(TimeUnit::Second, false))
                .unwrap_err()
                .contains("without one")
        );
        assert_eq!(point(&text("1970-01-01T01:00:00+01:00"), zoned).unwrap().floor, 0);
        assert!(point(&Literal::Int(1), Class::Date).is_err());
        assert!(point(&text("x"), Class::Decimal(2)).is_err());
        assert!(point(&Literal::Float(f64::NAN), Class::Int).is_err());
    }

    #[test]
    fn ranges_beyond_64_bits_are_cut() {
        assert_eq!(narrow((i128::MIN, 5)), (i64::MIN, 5));
        assert_eq!(narrow((i128::from(i64::MAX) + 1, i128::MAX)), (1, 0));
        assert_eq!(narrow((5, 4)), (1, 0));
    }
}
