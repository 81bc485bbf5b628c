//! Durations: Spark's time strings (`100ms`, `50s`, `2min`) Go's (`1h30m`, `1.5h`), which Kubernetes uses, and kubectl's (`3d2h`).

use jiff::SignedDuration;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not one of Spark's time strings.
    #[error(
        "`{text}` is not a time string: {hint}; write a whole number and one of us, ms, s, m, min, h, d, for example `50s` or `100ms`"
    )]
    Spark {
        /// What was written.
        text: String,
        /// What is wrong with it.
        hint: &'static str,
    },
    /// Not one of Go's durations.
    #[error(
        "`{text}` is not a duration: {hint}; write numbers with units ns, us, ms, s, m, h, for example `90s` or `1h30m`"
    )]
    Go {
        /// What was written.
        text: String,
        /// What is wrong with it.
        hint: &'static str,
    },
}

impl DurationError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        "bad-duration"
    }
}

/// Units of time strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    /// Days of 24 hours.
    Day,
}

impl TimeUnit {
    /// The unit of one of Spark's suffixes, in lower case.
    pub(crate) fn of_suffix(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "us" => Self::Microsecond,
            "ms" => Self::Millisecond,
            "s" => Self::Second,
            "m" | "min" => Self::Minute,
            "h" => Self::Hour,
            "d" => Self::Day,
            _ => return None,
        })
    }

    pub(crate) fn nanos(self) -> i128 {
        match self {
            Self::Microsecond => 1_000,
            Self::Millisecond => 1_000_000,
            Self::Second => NANOS,
            Self::Minute => 60 * NANOS,
            Self::Hour => 3600 * NANOS,
            Self::Day => 86_400 * NANOS,
        }
    }
}

const NANOS: i128 = 1_000_000_000;

fn from_nanos(nanos: i128) -> Option<SignedDuration> {
    SignedDuration::try_from_nanos_i128(nanos)
}

/// Reads a Spark time string; a number without suffix is in `unit`.
///
/// The rule is Spark's `JavaUtils.timeStringAs`: a whole number, negative allowed, with suffix us, ms, s, m, min, h or d in any case.
///
/// # Errors
/// Fractions, unknown suffixes, and numbers beyond 64 bits, which Spark refuses too.
pub fn parse_spark(text: &str, unit: TimeUnit) -> Result<SignedDuration, DurationError> {
    let fail = |hint| DurationError::Spark {
        text: text.to_owned(),
        hint,
    };
    let lower = text.trim().to_lowercase();
    let sign = usize::from(lower.starts_with('-'));
    let end = sign
        + lower.as_bytes()[sign..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
    let (number, suffix) = lower.split_at(end);
    if end == sign {
        return Err(fail("it does not begin with a number"));
    }
    let unit = match suffix {
        "" => unit,
        _ if suffix.starts_with('.') => return Err(fail("Spark takes whole numbers only")),
        _ => TimeUnit::of_suffix(suffix).ok_or_else(|| fail("its unit is unknown"))?,
    };
    let number: i64 = number.parse().map_err(|_| fail("the number is too large"))?;
    from_nanos(i128::from(number) * unit.nanos()).ok_or_else(|| fail("it is too long"))
}

/// Reads a Go duration (`time.ParseDuration`), as Kubernetes' `metav1.Duration` does: `1h30m`, `-1.5s`, `0`.
///
/// # Errors
/// Missing or unknown units, and more than about 292 years (2^63 ns).
pub fn parse_go(text: &str) -> Result<SignedDuration, DurationError> {
    let fail = |hint| DurationError::Go {
        text: text.to_owned(),
        hint,
    };
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let whole_end = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, after) = rest.split_at(whole_end);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(after.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(fail("a number is missing"));
        }
        let unit_end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS,
            "m" => 60 * NANOS,
            "h" => 3600 * NANOS,
            "" => return Err(fail("a unit is missing")),
            _ => return Err(fail("a unit is unknown")),
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            i128::from(whole.parse::<u64>().map_err(|_| fail("it is too long"))?)
        };
        // Eighteen digits are far below a nanosecond even of hours; what follows them cannot matter.
        let fraction = &fraction[..fraction.len().min(18)];
        let part = if fraction.is_empty() {
            0
        } else {
            fraction.parse::<i128>().map_err(|_| fail("a number is missing"))?
        };
        let scale = 10_i128.pow(fraction.len() as u32);
        total += whole * unit + part * unit / scale;
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return Err(fail("it is too long"));
        }
        rest = after;
    }
    from_nanos(if negative { -total } else { total }).ok_or_else(|| fail("it is too long"))
}

/// A time as kubectl writes it: `5s`, `3m20s`, `5h`, `3d2h`.
#[must_use]
pub fn kubectl(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".into();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let with = |whole: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 {
            format!("{whole}{unit}")
        } else {
            format!("{whole}{unit}{rest}{small}")
        }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => with(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => with(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => with(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, expected) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (3600, "60m"),
            (11_000, "3h3m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
        ] {
            assert_eq!(kubectl(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn spark_time_strings() {
        let table = [
            ("50s", 50_000),
            ("100ms", 100),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("250", 250),
            ("-1", -1),
            (" 5S ", 5_000),
        ];
        for (text, millis) in table {
            assert_eq!(
                parse_spark(text, TimeUnit::Millisecond),
                Ok(SignedDuration::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(parse_spark("7us", TimeUnit::Second), Ok(SignedDuration::from_micros(7)));
        for (text, hint) in [
            ("1.5s", "whole numbers"),
            ("5w", "unit is unknown"),
            ("", "begin with a number"),
            ("s", "begin with"),
            ("99999999999999999999s", "too large"),
        ] {
            assert!(
                parse_spark(text, TimeUnit::Second)
                    .unwrap_err()
                    .to_string()
                    .contains(hint),
                "{text}"
            );
        }
    }

    #[test]
    fn go_durations() {
        let table = [
            ("0", 0),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("-10s", -10_000),
            ("+10s", 10_000),
            (".5s", 500),
            ("1m0.5s", 60_500),
            ("300ms", 300),
        ];
        for (text, millis) in table {
            assert_eq!(parse_go(text), Ok(SignedDuration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_go("1µs").unwrap(), SignedDuration::from_micros(1));
        for (text, hint) in [
            ("", "empty"),
            ("5", "unit is missing"),
            ("1d", "unit is unknown"),
            ("-", "empty"),
            (".s", "number is missing"),
            ("9999999h", "too long"),
            ("1h-5m", "unit is unknown"),
        ] {
            assert!(
                parse_go(text).unwrap_err().to_string().contains(hint),
                "{text}: {:?}",
                parse_go(text)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            let _ = parse_spark(&text, TimeUnit::Second);
            let _ = parse_go(&text);
        }

        #[test]
        fn near_misses_are_answered(text in "[-+]?([0-9]{0,22}\\.?[0-9]{0,40}(ns|us|ms|s|m|h|d|min)?){0,3}") {
            let _ = parse_spark(&text, TimeUnit::Second);
            let _ = parse_go(&text);
        }
    }
}
