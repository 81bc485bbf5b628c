//! Sizes and durations as the functions of Rego read them, in the numbers that Rego has: floats.

/// Bytes (`units.parse_bytes`), of `1.5Gi`, `10MB`, `8g`; what is less than a byte is left off.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<f64> {
    let text = text.replace('"', "");
    if text.contains(' ') {
        return None;
    }
    let is_number = |(at, character): &(usize, char)| {
        let exponent = matches!(character, 'e' | 'E') && text[at + 1..].starts_with(|next: char| next.is_ascii_digit());
        character.is_ascii_digit() || matches!(character, '.' | '+' | '-') || exponent
    };
    let split = text
        .char_indices()
        .take_while(is_number)
        .last()
        .map_or(0, |(at, last)| at + last.len_utf8());
    let (amount, unit) = text.split_at(split);
    let amount: f64 = amount.parse().ok()?;
    let power = |base: u64, exponent: u32| base.checked_pow(exponent);
    let unit = unit.to_ascii_lowercase();
    let factor = match unit.strip_suffix('b').filter(|rest| !rest.is_empty()).unwrap_or(&unit) {
        "" => 1,
        "k" => power(1_000, 1)?,
        "m" => power(1_000, 2)?,
        "g" => power(1_000, 3)?,
        "t" => power(1_000, 4)?,
        "p" => power(1_000, 5)?,
        "e" => power(1_000, 6)?,
        "ki" => power(1_024, 1)?,
        "mi" => power(1_024, 2)?,
        "gi" => power(1_024, 3)?,
        "ti" => power(1_024, 4)?,
        "pi" => power(1_024, 5)?,
        "ei" => power(1_024, 6)?,
        _ => return None,
    };
    // Amounts of bytes that a float cannot hold exactly are beyond what there is.
    #[expect(clippy::cast_precision_loss, reason = "units are powers that a float holds")]
    let bytes = (amount * factor as f64).trunc();
    Some(bytes)
}

/// Nanoseconds (`time.parse_duration_ns`), of amounts with units, `1h30m`; beside Go's units `d` is a day and `w` a week.
#[must_use]
pub fn parse_duration_ns(text: &str) -> Option<f64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (amount, after) = rest.split_at(end);
        let amount: f64 = amount.parse().ok()?;
        let end = after
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            _ => return None,
        };
        nanoseconds += amount * factor;
        rest = after;
    }
    Some(if negative { -nanoseconds } else { nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_functions_of_rego_read_them() {
        for (text, bytes) in [
            ("1.5Gi", Some(1_610_612_736.0)),
            ("10MB", Some(10_000_000.0)),
            ("8g", Some(8_000_000_000.0)),
            ("1e3", Some(1000.0)),
            ("0.5", Some(0.0)),
            ("1 G", None),
            ("G", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        for (text, nanoseconds) in [
            ("1h30m", Some(5_400e9)),
            ("-1.5s", Some(-1.5e9)),
            ("1d", Some(86_400e9)),
            ("0", Some(0.0)),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(parse_duration_ns(text), nanoseconds, "{text}");
        }
    }
}
