//! Types of configuration values, judged exactly as Spark's own converters judge them.
//!
//! The rules are those of Spark's `ConfigHelpers` and `JavaUtils` (`timeStringAs`, `byteStringAs`): numbers may be surrounded by blanks,
//! sizes and times are whole numbers with an optional unit, `true` and `false` are taken in any case, and nothing else is.

use std::fmt;

use crate::units::duration::TimeUnit;
use crate::units::memory::ByteUnit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueType {
    /// Whether the value is a comma-separated list of [`ValueType::scalar`].
    pub list: bool,
    /// The type of the value, or of each of its elements.
    pub scalar: Scalar,
}

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// A decimal number of any precision.
    Decimal,
    /// Any text.
    Text,
    /// One of the names in the rule.
    Enum,
    /// A Java regular expression.
    Regex,
    /// A size.
    Bytes {
        /// What a number without a unit counts, in bytes.
        unit: u64,
        /// Whether the units `ki`, `kib`, `mi`… are taken besides `k`, `kb`, `m`… (Spark 4.2 and later).
        binary_names: bool,
    },
    /// A time; a number without a unit counts this many nanoseconds.
    Time(u64),
}

/// What a value must fulfil besides its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Any,
    /// One of these values.
    OneOf {
        /// The values, separated by `|`.
        values: &'static str,
        /// Whether case matters.
        exact_case: bool,
    },
    /// A whole number (for sizes and times: counted in the unit of the type) within bounds, both included.
    Whole {
        /// The smallest value.
        min: Option<i64>,
        /// The largest value.
        max: Option<i64>,
        /// Values outside the bounds that are nevertheless accepted.
        extra: Vec<i64>,
    },
    /// A fraction in an interval in mathematical notation: `[0,1]`, `(0,` …
    Fraction(&'static str),
}

/// Why Spark would refuse a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The text has not the form of the type; the sentence says which form is expected.
    Form(String),
    /// The form is right but the value breaks the rule.
    Rule(String),
}

fn bytes_type(text: &str) -> Option<Scalar> {
    let (letter, binary_names) = text.strip_suffix('i').map_or((text, false), |letter| (letter, true));
    let power = ["b", "k", "m", "g"].iter().position(|name| *name == letter)?;
    Some(Scalar::Bytes {
        unit: 1 << (10 * power),
        binary_names,
    })
}

impl ValueType {
    pub(super) fn parse(text: &str) -> Option<ValueType> {
        let (list, text) = match text.strip_prefix("seq:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let scalar = match text {
            "bool" => Scalar::Bool,
            "int" => Scalar::Int,
            "long" => Scalar::Long,
            "double" => Scalar::Double,
            "decimal" => Scalar::Decimal,
            "string" => Scalar::Text,
            "enum" => Scalar::Enum,
            "regex" => Scalar::Regex,
            _ if text.starts_with("bytes:") => bytes_type(&text["bytes:".len()..])?,
            "time:ns" => Scalar::Time(1),
            "time:us" => Scalar::Time(1_000),
            "time:ms" => Scalar::Time(1_000_000),
            "time:s" => Scalar::Time(1_000_000_000),
            "time:m" => Scalar::Time(60_000_000_000),
            "time:h" => Scalar::Time(3_600_000_000_000),
            _ => return None,
        };
        Some(ValueType { list, scalar })
    }

    /// Any text.
    pub const TEXT: ValueType = ValueType {
        list: false,
        scalar: Scalar::Text,
    };

    /// A size or time that Spark prints in its smallest unit (`134217728b`, `600000ms`), in the largest unit that keeps it whole.
    pub fn readable(&self, text: &str) -> Option<String> {
        let units: &[(i64, &str)] = match self.scalar {
            Scalar::Bytes { .. } => &[
                (1 << 40, " TiB"),
                (1 << 30, " GiB"),
                (1 << 20, " MiB"),
                (1 << 10, " KiB"),
            ],
            Scalar::Time(_) => &[(86_400_000, " d"), (3_600_000, " h"), (60_000, " min"), (1_000, " s")],
            _ => return None,
        };
        let (digits, suffix) = split_digits(text);
        let scale = match (self.scalar, suffix) {
            (Scalar::Bytes { .. }, "b") | (Scalar::Time(_), "ms") => 1,
            (Scalar::Bytes { .. }, "k") => 1 << 10,
            (Scalar::Bytes { .. }, "m") => 1 << 20,
            _ => return None,
        };
        let number = digits.parse::<i64>().ok()?.checked_mul(scale)?;
        let (unit, name) = units.iter().find(|(unit, _)| number >= *unit && number % unit == 0)?;
        Some(format!("{}{name}", number / unit))
            .filter(|readable| readable.replace(' ', "").to_lowercase() != format!("{text}ib"))
    }

    /// Whether Spark's converter for this type and rule accepts the text.
    pub fn check(&self, rule: &Rule, text: &str) -> Result<(), Refusal> {
        if self.list {
            return elements(text).try_for_each(|element| check_scalar(self.scalar, rule, element));
        }
        check_scalar(self.scalar, rule, text)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list {
            f.write_str("comma-separated list of ")?;
        }
        f.write_str(match self.scalar {
            Scalar::Bool => "true or false",
            Scalar::Int => "whole number (32 bits)",
            Scalar::Long => "whole number (64 bits)",
            Scalar::Double => "number",
            Scalar::Decimal => "decimal number",
            Scalar::Text => "text",
            Scalar::Enum => "one of a set of names",
            Scalar::Regex => "regular expression (Java)",
            Scalar::Bytes { unit: 1, .. } => "bytes, in B when no unit is given",
            Scalar::Bytes { unit: 1_024, .. } => "bytes, in KiB when no unit is given",
            Scalar::Bytes { unit: 1_048_576, .. } => "bytes, in MiB when no unit is given",
            Scalar::Bytes { .. } => "bytes, in GiB when no unit is given",
            Scalar::Time(1) => "time, in nanoseconds when no unit is given",
            Scalar::Time(1_000) => "time, in microseconds when no unit is given",
            Scalar::Time(1_000_000) => "time, in milliseconds when no unit is given",
            Scalar::Time(1_000_000_000) => "time, in seconds when no unit is given",
            Scalar::Time(60_000_000_000) => "time, in minutes when no unit is given",
            Scalar::Time(_) => "time, in hours when no unit is given",
        })
    }
}

impl Rule {
    pub(super) fn parse(text: &'static str) -> Option<Rule> {
        let Some((kind, rest)) = text.split_once(':') else {
            return text.is_empty().then_some(Rule::Any);
        };
        match kind {
            "v" | "i" => Some(Rule::OneOf {
                values: rest,
                exact_case: kind == "v",
            }),
            "f" => Some(Rule::Fraction(rest)),
            "n" => {
                let mut parts = rest.split(',');
                let (min, max) = parts.next()?.split_once("..")?;
                let bound = |text: &str| {
                    if text.is_empty() {
                        Some(None)
                    } else {
                        text.parse().ok().map(Some)
                    }
                };
                Some(Rule::Whole {
                    min: bound(min)?,
                    max: bound(max)?,
                    extra: parts.filter_map(|v| v.parse().ok()).collect(),
                })
            }
            _ => None,
        }
    }

    /// The values of a [`Rule::OneOf`]; empty for the others.
    pub fn values(&self) -> impl Iterator<Item = &'static str> + use<> {
        let values = match self {
            Rule::OneOf { values, .. } => values,
            _ => "",
        };
        values.split('|').filter(|value| !value.is_empty())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Any => Ok(()),
            Rule::OneOf { values, exact_case } => {
                write!(f, "one of {}", values.replace('|', ", "))?;
                f.write_str(if *exact_case { "" } else { " (in any case)" })
            }
            Rule::Whole { min, max, extra } => {
                match (min, max) {
                    (Some(min), Some(max)) => write!(f, "from {min} to {max}")?,
                    (Some(min), None) => write!(f, "at least {min}")?,
                    (None, Some(max)) => write!(f, "at most {max}")?,
                    (None, None) => {}
                }
                extra.iter().try_for_each(|value| write!(f, " or {value}"))
            }
            Rule::Fraction(interval) => match interval.strip_suffix(',') {
                Some(open) => match open.split_at_checked(1) {
                    Some(("(", low)) => write!(f, "greater than {low}"),
                    Some((_, low)) => write!(f, "at least {low}"),
                    None => Ok(()),
                },
                None => write!(f, "in the interval {interval}"),
            },
        }
    }
}

/// The elements of a comma-separated list, as Spark splits it: trimmed, empty ones left out.
pub fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(java_trim).filter(|element| !element.is_empty())
}

fn check_scalar(scalar: Scalar, rule: &Rule, text: &str) -> Result<(), Refusal> {
    let trimmed = java_trim(text);
    // Java takes the decimal digits of every script. Such a number is left to Spark.
    let foreign_digits = trimmed.chars().any(|c| !c.is_ascii() && c.is_numeric());
    let form = |expected: &str| Refusal::Form(expected.to_owned());
    match scalar {
        Scalar::Bool => parse_bool(trimmed).map(drop).ok_or_else(|| form("true or false")),
        Scalar::Int | Scalar::Long | Scalar::Decimal if foreign_digits => Ok(()),
        Scalar::Int => {
            let number: i32 =
                whole(trimmed).ok_or_else(|| form("a whole number between -2147483648 and 2147483647"))?;
            check_whole(rule, i64::from(number))
        }
        Scalar::Long => check_whole(rule, whole(trimmed).ok_or_else(|| form("a whole number"))?),
        Scalar::Double => check_fraction(rule, java_double(trimmed).ok_or_else(|| form("a number"))?),
        Scalar::Decimal => {
            let number = decimal(trimmed).ok_or_else(|| form("a decimal number"))?;
            check_fraction(rule, number)
        }
        Scalar::Text => check_one_of(rule, text),
        Scalar::Enum => check_one_of(rule, text),
        Scalar::Regex => Ok(()),
        Scalar::Bytes { unit, binary_names } => check_whole(rule, bytes(text, unit, binary_names)?),
        Scalar::Time(unit) => check_whole(rule, time(text, unit)?),
    }
}

fn check_one_of(rule: &Rule, text: &str) -> Result<(), Refusal> {
    let Rule::OneOf { values, exact_case } = rule else {
        return Ok(());
    };
    let fits = |value: &str| {
        if *exact_case {
            value == text
        } else {
            value.eq_ignore_ascii_case(text)
        }
    };
    if values.split('|').any(fits) {
        return Ok(());
    }
    Err(Refusal::Rule(format!("should be {rule}")))
}

fn check_whole(rule: &Rule, number: i64) -> Result<(), Refusal> {
    let fits = match rule {
        Rule::Whole { min, max, extra } => {
            (min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)) || extra.contains(&number)
        }
        Rule::OneOf { values, .. } => values.split('|').any(|value| value == number.to_string()),
        Rule::Any | Rule::Fraction(_) => true,
    };
    if fits {
        Ok(())
    } else {
        Err(Refusal::Rule(format!("should be {rule}")))
    }
}

fn check_fraction(rule: &Rule, number: f64) -> Result<(), Refusal> {
    let Rule::Fraction(interval) = rule else { return Ok(()) };
    let (open, rest) = interval.split_at_checked(1).unwrap_or(("[", ""));
    let (low, high) = rest.split_once(',').unwrap_or((rest, ""));
    let low: f64 = low.parse().unwrap_or(f64::NEG_INFINITY);
    let above = if open == "(" { number > low } else { number >= low };
    let below = match high.strip_suffix(')') {
        Some(high) => high.parse().is_ok_and(|high: f64| number < high),
        None => high
            .strip_suffix(']')
            .is_none_or(|high| high.parse().is_ok_and(|high: f64| number <= high)),
    };
    if above && below {
        Ok(())
    } else {
        Err(Refusal::Rule(format!("should be {rule}")))
    }
}

/// `true` or `false` in any case.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A whole number as Java's `parseInt` and `parseLong` take it.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A number as Java's `Double.parseDouble` takes it: an optional `f` or `d` at the end, `NaN`, `Infinity`, hexadecimal forms.
fn java_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.replace("Infinity", "inf").parse().ok();
    }
    if let Some(hexadecimal) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        return hexadecimal_double(hexadecimal).map(|number| if text.starts_with('-') { -number } else { number });
    }
    decimal(text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text))
}

fn hexadecimal_double(text: &str) -> Option<f64> {
    let text = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = integer
        .chars()
        .chain(fraction.chars())
        .try_fold(0f64, |sum, c| Some(sum * 16.0 + f64::from(c.to_digit(16)?)))?;
    let exponent: i32 = whole(exponent)?;
    Some(digits * 2f64.powi(exponent) / 16f64.powi(i32::try_from(fraction.len()).ok()?))
}

/// Digits, an optional point and an optional exponent.
fn decimal(text: &str) -> Option<f64> {
    let numeric = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    (numeric && text.bytes().any(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

const SIZE_FORM: &str = "a whole number with a unit b, k, m, g, t or p, such as 512m";
const TIME_FORM: &str = "a whole number with a unit us, ms, s, m, min, h or d, such as 30s";

/// A size in the given unit, as Spark reads it.
fn bytes(text: &str, unit: u64, binary_names: bool) -> Result<i64, Refusal> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let lower = java_trim(rest).to_ascii_lowercase();
    let (digits, suffix) = split_digits(&lower);
    let suffix = match suffix {
        "ki" | "kib" | "mi" | "mib" | "gi" | "gib" | "ti" | "tib" | "pi" | "pib" if binary_names => &suffix[..1],
        other => other,
    };
    let factor = match suffix {
        "" => Some(unit),
        _ => ByteUnit::of_suffix(suffix).map(ByteUnit::bytes),
    };
    let (Some(factor), Ok(number)) = (factor, digits.parse::<i64>()) else {
        let fraction = suffix.starts_with('.') && !digits.is_empty();
        return Err(Refusal::Form(format!(
            "{SIZE_FORM}{}",
            if fraction { "; fractions are not supported" } else { "" }
        )));
    };
    // Spark multiplies when the unit given is larger than the unit wanted, and refuses an overflow; otherwise it divides.
    let number = match factor / unit {
        0 => Some(number / i64::try_from(unit / factor).unwrap_or(i64::MAX)),
        ratio => i64::try_from(ratio).ok().and_then(|ratio| number.checked_mul(ratio)),
    };
    let number = number.ok_or_else(|| Refusal::Form("a size that fits 64 bits".to_owned()))?;
    Ok(if negative { -number } else { number })
}

/// A time in the given unit, as Spark reads it; too large values saturate as in Java.
fn time(text: &str, unit: u64) -> Result<i64, Refusal> {
    let lower = java_trim(text).to_ascii_lowercase();
    let sign = usize::from(lower.starts_with('-'));
    let (digits, suffix) = split_digits(&lower[sign..]);
    let digits = &lower[..sign + digits.len()];
    let factor = match suffix {
        "" => Some(i128::from(unit)),
        _ => TimeUnit::of_suffix(suffix).map(TimeUnit::nanos),
    };
    let (Some(factor), Ok(number)) = (factor, digits.parse::<i64>()) else {
        let fraction = suffix.starts_with('.') && !digits.is_empty();
        return Err(Refusal::Form(format!(
            "{TIME_FORM}{}",
            if fraction { "; fractions are not supported" } else { "" }
        )));
    };
    let converted = i128::from(number) * factor / i128::from(unit);
    Ok(i64::try_from(converted).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX }))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

/// Java's `String.trim`: removes characters up to and including the blank at both ends.
pub fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}
