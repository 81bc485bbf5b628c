//! Numbers and typed literals.

use super::{Refusals, intervals, moments, text_of};
use crate::parsed::Node;

/// Digits a decimal may have.
const MOST_DIGITS: i64 = 38;

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "constant" => typed(node, found),
        "number" => number(node, found),
        "interval" => intervals::look(node, found),
        _ => {}
    }
}

/// `DATE '2026-01-01'`.
fn typed(node: Node<'_>, found: &mut Refusals) {
    let mut kids = node.kids();
    let (Some(kind), Some(text)) = (kids.next(), kids.next()) else {
        return;
    };
    if !matches!(kind.rule(), "literalType" | "identifier") {
        return;
    }
    let name = kind.text().to_ascii_uppercase();
    let version = node.version();
    let Some(value) = text_of(text) else { return };
    let right = match name.as_str() {
        "DATE" => moments::is_date(&value),
        "TIMESTAMP" | "TIMESTAMP_LTZ" => moments::is_timestamp(&value, true),
        "TIMESTAMP_NTZ" => moments::is_timestamp(&value, false),
        "TIME" if version >= (4, 2) && fraction(&value) > 9 => false,
        "TIME" if version >= (4, 1) => moments::is_time(&value),
        "TIME" if version == (0, 0) => true,
        "INTERVAL" => {
            if let Some(parsed) = intervals::parse(&value) {
                if parsed.mixes {
                    found.add(
                        node,
                        "INVALID_INTERVAL_FORMAT",
                        "years and months cannot stand in one interval with days and hours",
                    );
                } else if parsed.too_long {
                    found.add(node, "INTERVAL_ARITHMETIC_OVERFLOW", "the interval is too long");
                }
                true
            } else {
                false
            }
        }
        "X" => value.chars().all(|c| c.is_ascii_hexdigit()),
        _ => {
            let message = format!(
                "there are no literals of type `{name}`; write `CAST({} AS {name})`",
                text.text()
            );
            found.add(node, "UNSUPPORTED_TYPED_LITERAL", message);
            return;
        }
    };
    if !right {
        let message = format!("'{value}' is not a {name}");
        found.add(node, "INVALID_TYPED_LITERAL", message);
    }
}

/// How many digits stand behind the point of a second.
fn fraction(text: &str) -> usize {
    let behind = text.split_once('.').map_or("", |(_, behind)| behind);
    behind.chars().take_while(char::is_ascii_digit).count()
}

fn number(node: Node<'_>, found: &mut Refusals) {
    let Some(word) = node.own().last() else { return };
    let written = word.text();
    let digits = written.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let negative = node.has("MINUS");
    let whole = |least: i128, most: i128| {
        let value: Option<i128> = digits.parse().ok();
        value.is_some_and(|value| (least..=most).contains(&if negative { -value } else { value }))
    };
    let real = |most: f64| digits.parse::<f64>().map_or(true, |value| value <= most);
    let (right, kind) = match word.kind() {
        "TINYINT_LITERAL" => (whole(i8::MIN.into(), i8::MAX.into()), "tinyint"),
        "SMALLINT_LITERAL" => (whole(i16::MIN.into(), i16::MAX.into()), "smallint"),
        "BIGINT_LITERAL" => (whole(i64::MIN.into(), i64::MAX.into()), "bigint"),
        "FLOAT_LITERAL" => (real(f32::MAX.into()), "float"),
        "DOUBLE_LITERAL" | "EXPONENT_VALUE" => (real(f64::MAX), "double"),
        "BIGDECIMAL_LITERAL" | "DECIMAL_VALUE" | "INTEGER_VALUE" => {
            if precision(digits).is_some_and(|precision| precision > MOST_DIGITS) {
                let message = format!("{written} has more than {MOST_DIGITS} digits, which no decimal holds");
                found.add(node, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", message);
            }
            return;
        }
        _ => return,
    };
    if !right {
        let sign = if negative { "-" } else { "" };
        let message = format!("{sign}{written} is not a {kind}: it is out of its range");
        found.add(node, "INVALID_NUMERIC_LITERAL_RANGE", message);
    }
}

/// The digits a decimal needs; `None` for what is not a decimal.
fn precision(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = i64::try_from(digits.trim_start_matches('0').len().max(1)).ok()?;
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    Some(match scale < 0 {
        true => significant.checked_sub(scale)?,
        false => significant.max(scale),
    })
}

#[cfg(test)]
mod tests {
    use super::precision;

    #[test]
    fn digits_of_decimals() {
        for (text, digits) in [
            ("1", 1),
            ("0.5", 1),
            ("12.345", 5),
            ("0.001", 3),
            ("1e10", 11),
            ("1e-10", 10),
            ("1.5e1", 2),
        ] {
            assert_eq!(precision(text), Some(digits), "{text}");
        }
        assert_eq!(precision("1e99999999999999999999"), None);
    }
}
