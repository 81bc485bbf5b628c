//! Numbers as people read them.

/// Bytes: `512 B`, `1.5 MiB`, `20 GiB`.
pub fn bytes(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{} {unit}", short(value))
}

/// Milliseconds: `850 ms`, `12.5 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds.saturating_add(500) / 1000;
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{} s", short(milliseconds as f64 / 1000.0)),
        60_000..3_600_000 => two(seconds / 60, "min", seconds % 60, "s"),
        _ => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
    }
}

/// As [`duration`], of a span.
pub fn elapsed(span: std::time::Duration) -> String {
    duration(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A count with its thousands set apart: `12,345`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 core`, `2 cores`, `12,345 queries`; the largest number for one that is below zero.
pub fn counted(number: impl TryInto<u64>, one: &str) -> String {
    amount(&count(number.try_into().unwrap_or(u64::MAX)), one)
}

/// A number that is shown already, of things: `1 core`, `1.5 cores`.
pub fn amount(shown: &str, one: &str) -> String {
    if shown == "1" {
        return format!("1 {one}");
    }
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{shown} {stem}ies"),
        _ if one.ends_with(['s', 'x']) || one.ends_with("ch") => format!("{shown} {one}es"),
        _ => format!("{shown} {one}s"),
    }
}

/// A share in percent, without digits after the point.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A number with one digit after the point, unless that is 0 or the number has three digits before it.
pub fn short(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    match rounded >= 100.0 || rounded.fract() == 0.0 {
        true => format!("{rounded:.0}"),
        false => format!("{rounded:.1}"),
    }
}

/// The next multiple of a step that is no less; the largest number where there is none.
pub fn up_to_multiple(number: u64, step: u64) -> u64 {
    number.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

/// A size Spark's configuration takes: `768m`, `4g`; whole MiB, rounded up.
pub fn memory(bytes: u64) -> String {
    let mib = bytes.div_ceil(1 << 20);
    match mib.is_multiple_of(1024) && mib > 0 {
        true => format!("{}g", mib / 1024),
        false => format!("{mib}m"),
    }
}

fn two(large: u64, unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        for (given, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (20 << 30, "20 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(given), text);
        }
        for (given, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (12_540, "12.5 s"),
            (200_000, "3 min 20 s"),
            (119_700, "2 min"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(duration(given), text);
        }
        for (given, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(given), text);
        }
        for (given, text) in [
            (1, "1m"),
            (768 << 20, "768m"),
            (4 << 30, "4g"),
            ((4 << 30) + 1, "4097m"),
        ] {
            assert_eq!(memory(given), text);
        }
        assert_eq!(percent(0.256), "26 %");
        for (number, one, text) in [
            (1, "core", "1 core"),
            (0, "core", "0 cores"),
            (12_345, "query", "12,345 queries"),
            (2, "key", "2 keys"),
            (2, "batch", "2 batches"),
        ] {
            assert_eq!(counted(number, one), text);
        }
        assert_eq!(counted(1_usize, "task"), "1 task");
        assert_eq!(amount("1.5", "core"), "1.5 cores");
    }
}
