//! Times, where the interpreter is laxer than Go or knows less.

use regorus::Value;
use stoke_model::units::opa;

use super::{builtin, text, whole};

const DAY: i64 = 86_400_000_000_000;

/// As RFC 3339 has it: `T` and `Z` are capitals, and nothing else stands between day and time.
pub(super) fn parse_rfc3339_ns(arguments: &[Value]) -> Option<Value> {
    let text = text(arguments, 0)?;
    if text.as_bytes().get(10) != Some(&b'T') || text.contains('z') {
        return None;
    }
    builtin("time.parse_rfc3339_ns(input[0])", arguments)
}

/// Amounts with units, `1h30m`; `d` is a day.
pub(super) fn parse_duration_ns(arguments: &[Value]) -> Option<Value> {
    let nanoseconds = opa::parse_duration_ns(text(arguments, 0)?)?;
    Value::from_numeric_string(&format!("{nanoseconds:.0}")).ok()
}

/// Years, months and days later, in UTC; the 31st of a month of 30 days is the first of the next.
pub(super) fn add_date(arguments: &[Value]) -> Option<Value> {
    let numbers = arguments.get(1..)?.iter().map(whole).collect::<Option<Vec<_>>>()?;
    let (at, [years, months, days]) = (whole(arguments.first()?)?, numbers.as_slice()) else {
        return None;
    };
    let (year, month, day) = civil(at.div_euclid(DAY));
    let month = month.checked_add(*months)?.checked_sub(1)?;
    let year = year.checked_add(*years)?.checked_add(month.div_euclid(12))?;
    if year.abs() > 1_000_000 {
        return None;
    }
    let first = days_of(year, month.rem_euclid(12) + 1);
    let day = first.checked_add(day)?.checked_sub(1)?.checked_add(*days)?;
    Some(Value::from(day.checked_mul(DAY)?.checked_add(at.rem_euclid(DAY))?))
}

/// Year, month and day of a day counted from 1970, in the calendar that Gregory made, for all times.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The first day of a month, counted from 1970.
fn days_of(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
