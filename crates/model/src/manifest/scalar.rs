//! What a YAML scalar means, by the rules of the YAML library Kubernetes clients use (`sigs.k8s.io/yaml`).
//!
//! That library reads YAML 1.1 booleans: unquoted `yes`, `no`, `on`, `off`, `y` and `n` are booleans, not texts. It reads `010` as
//! octal 8, `0x1F`, `0b11` and `1_000` as numbers, dates as texts, and a whole decimal number (`1.0`) as an integer, since it goes
//! through JSON. We do the same, so that a manifest means here what it means to kubectl.

use serde_json::Number;

use super::node::Content;

/// How a scalar without quotes and tag is read.
///
/// # Errors
/// Infinite and not-a-number values, which JSON cannot carry.
pub fn plain(text: &str) -> Result<Content, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Content::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Content::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => {
            return Err(format!(
                "`{text}` cannot be sent to Kubernetes; JSON has no such number"
            ));
        }
        _ => number(text).map_or_else(|| Content::String(text.to_owned()), Content::Number),
    })
}

/// The text a scalar stands for as a mapping's key; keys are texts in Kubernetes, whatever they look like. Null is none.
pub fn key_text(content: &Content) -> Option<String> {
    match content {
        Content::Bool(value) => Some(value.to_string()),
        Content::Number(number) => Some(number.to_string()),
        Content::String(text) => Some(text.clone()),
        Content::Null | Content::List(_) | Content::Map(_) => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    let digits = text.replace('_', "");
    if first != b'.'
        && let Some(whole) = integer(&digits)
    {
        return Some(whole);
    }
    if !is_decimal(&digits) {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    // JSON of a whole float has no fraction, so the reader at the other end sees an integer.
    if value.fract() == 0.0 && value.abs() < 9.0e18 {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: decimal, `0x`, `0o`, `0b`, and a leading zero is octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = magnitude.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    match (negative, i64::try_from(value)) {
        (false, _) => Some(Number::from(value)),
        (true, Ok(value)) => Some(Number::from(-value)),
        (true, Err(_)) if value == i64::MIN.unsigned_abs() => Some(Number::from(i64::MIN)),
        (true, Err(_)) => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && (fraction.is_empty() || all_digits(fraction)),
        None => all_digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(|exponent| all_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value(text: &str) -> Value {
        match plain(text).unwrap() {
            Content::Null => Value::Null,
            Content::Bool(value) => json!(value),
            Content::Number(number) => Value::Number(number),
            Content::String(text) => json!(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_mean_what_they_mean_to_kubectl() {
        let table = [
            ("", json!(null)),
            ("~", json!(null)),
            ("NULL", json!(null)),
            ("nULL", json!("nULL")),
            ("yes", json!(true)),
            ("on", json!(true)),
            ("y", json!(true)),
            ("No", json!(false)),
            ("OFF", json!(false)),
            ("yEs", json!("yEs")),
            ("1", json!(1)),
            ("-1", json!(-1)),
            ("+1", json!(1)),
            ("010", json!(8)),
            ("08", json!(8)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("0o17", json!(15)),
            ("1_000", json!(1000)),
            ("1.0", json!(1)),
            ("1e3", json!(1000)),
            ("0.1", json!(0.1)),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551616", json!(18446744073709551616_f64)),
            ("2026-01-01", json!("2026-01-01")),
            ("1:30", json!("1:30")),
            ("4g", json!("4g")),
            ("3.5.9", json!("3.5.9")),
            ("4.1", json!(4.1)),
            ("1e", json!("1e")),
            ("-", json!("-")),
            (".", json!(".")),
            ("0x", json!("0x")),
            ("0x-1", json!("0x-1")),
            ("1Gi", json!("1Gi")),
        ];
        for (text, expected) in table {
            assert_eq!(value(text), expected, "{text}");
        }
        assert!(plain(".inf").is_err());
    }

    proptest! {
        #[test]
        fn any_scalar_is_answered(text in "\\PC*") {
            let _ = plain(&text);
        }

        #[test]
        fn near_numbers_are_answered(text in "[-+]?[0-9._xobeE]{0,30}") {
            let _ = plain(&text);
        }
    }
}
