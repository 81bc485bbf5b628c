//! Kubernetes quantities (`500m`, `1.5Gi`, `1e3`), exact.
//!
//! The rules are those of `k8s.io/apimachinery/pkg/api/resource`: the smallest unit is a nano (finer values are rounded away from
//! zero), the largest magnitude is 2^63-1 (greater values are that), and the printed form is canonical: the largest suffix that
//! leaves a whole number, in the family (decimal, binary, exponent) the value was written in.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One unit in nanos.
const UNIT: i128 = 1_000_000_000;
/// The largest magnitude Kubernetes keeps: 2^63-1 units.
const LARGEST: i128 = (i64::MAX as i128) * UNIT;

/// The family of suffixes a quantity is printed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `n u m k M G T P E`, powers of 1000.
    #[default]
    Decimal,
    /// `Ki Mi Gi Ti Pi Ei`, powers of 1024.
    Binary,
    /// `e3`, powers of ten.
    Exponent,
}

/// An exact Kubernetes quantity: an amount of bytes, CPUs or anything countable.
///
/// Equality and order are of the amount; `1000m` equals `1`.
///
/// ```
/// use stoke_model::quantity::Quantity;
/// let memory: Quantity = "1024Mi".parse()?;
/// assert_eq!(memory.to_string(), "1Gi");
/// assert_eq!(memory.bytes(), 1 << 30);
/// let cpu: Quantity = "1.5".parse()?;
/// assert_eq!(cpu.millicores(), 1500);
/// # Ok::<(), stoke_model::quantity::QuantityError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// There is no number at the start.
    #[error(
        "`{0}` is not a quantity: it has no digits; write a number and a suffix, for example `500m`, `2` or `1.5Gi`"
    )]
    NoDigits(String),
    /// The suffix is none of Kubernetes'.
    #[error("`{text}` is not a quantity: unknown suffix `{suffix}`; {hint}")]
    Suffix {
        /// What was written.
        text: String,
        suffix: String,
        /// What to write instead.
        hint: String,
    },
}

impl QuantityError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        "bad-quantity"
    }
}

impl Quantity {
    /// A whole number of units (bytes, cores).
    pub fn from_units(units: i64) -> Self {
        Self {
            nanos: i128::from(units) * UNIT,
            format: Format::Decimal,
        }
    }

    /// Thousandths of a unit, as CPU is counted.
    pub fn from_millis(millis: i64) -> Self {
        Self {
            nanos: i128::from(millis) * (UNIT / 1000),
            format: Format::Decimal,
        }
    }

    /// Bytes, printed with binary suffixes (`1Gi`).
    pub fn from_bytes(bytes: u64) -> Self {
        Self {
            nanos: (i128::from(bytes) * UNIT).min(LARGEST),
            format: Format::Binary,
        }
    }

    /// The family it is printed in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The amount in billionths of a unit, exact.
    pub fn nanos(&self) -> i128 {
        self.nanos
    }

    /// The amount in whole units, rounded away from zero.
    pub fn units(&self) -> i64 {
        self.scaled(UNIT)
    }

    /// The amount in thousandths, rounded away from zero, at most 2^63-1.
    pub fn millis(&self) -> i64 {
        self.scaled(UNIT / 1000)
    }

    /// The amount as bytes: whole units, rounded up; zero when negative.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.units()).unwrap_or(0)
    }

    /// The amount as thousandths of a CPU, rounded up; zero when negative.
    pub fn millicores(&self) -> u64 {
        u64::try_from(self.millis()).unwrap_or(0)
    }

    /// True for nothing.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    fn scaled(&self, unit: i128) -> i64 {
        let whole = self.nanos / unit;
        let rounded = if self.nanos % unit == 0 {
            whole
        } else {
            whole + self.nanos.signum()
        };
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The sum, at most 2^63-1 in magnitude; printed like the left side unless that is zero.
    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self {
            nanos: (self.nanos + other.nanos).clamp(-LARGEST, LARGEST),
            format,
        }
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;

    /// The difference, at most 2^63-1 in magnitude; printed like the left side unless that is zero.
    fn sub(self, other: Self) -> Self {
        let nanos = -other.nanos;
        self + Self { nanos, ..other }
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let whole_end = digits_end(rest, 0);
        let (whole, fraction, end) = match rest.as_bytes().get(whole_end) {
            Some(b'.') => {
                let end = digits_end(rest, whole_end + 1);
                (&rest[..whole_end], &rest[whole_end + 1..end], end)
            }
            _ => (&rest[..whole_end], "", whole_end),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::NoDigits(text.to_owned()));
        }
        let suffix = &rest[end..];
        let (scale, format) = Scale::parse(suffix).ok_or_else(|| QuantityError::Suffix {
            text: text.to_owned(),
            suffix: suffix.to_owned(),
            hint: suffix_hint(suffix),
        })?;
        let magnitude = match scale {
            Scale::Ten(exponent) => decimal_nanos(whole, fraction, exponent),
            Scale::Two(power) => binary_nanos(whole, fraction, power),
        };
        Ok(Self {
            nanos: if negative { -magnitude } else { magnitude },
            format,
        })
    }
}

fn digits_end(text: &str, from: usize) -> usize {
    from + text.as_bytes()[from..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count()
}

enum Scale {
    Ten(i64),
    Two(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Option<(Self, Format)> {
        let decimal = |exponent| Some((Scale::Ten(exponent), Format::Decimal));
        let binary = |power| Some((Scale::Two(power), Format::Binary));
        match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E'])?;
                Some((Scale::Ten(i64::from(exponent.parse::<i32>().ok()?)), Format::Exponent))
            }
        }
    }
}

fn suffix_hint(suffix: &str) -> String {
    let meant = match suffix {
        "K" => Some("k` (1000) or `Ki` (1024)"),
        "g" | "gb" | "GB" | "Gb" | "gi" | "GiB" => Some("Gi"),
        "mb" | "MB" | "Mb" | "mi" | "MiB" => Some("Mi"),
        "kb" | "KB" | "Kb" | "ki" | "KiB" => Some("Ki"),
        "t" | "tb" | "TB" | "ti" | "TiB" => Some("Ti"),
        _ => None,
    };
    match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "Kubernetes knows n u m k M G T P E, Ki Mi Gi Ti Pi Ei and exponents such as e3".to_owned(),
    }
}

/// `whole.fraction * 10^exponent` in nanos, rounded up, at most [`LARGEST`].
fn decimal_nanos(whole: &str, fraction: &str, exponent: i64) -> i128 {
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|b| b - b'0')
        .skip_while(|digit| *digit == 0)
        .collect();
    if digits.is_empty() {
        return 0;
    }
    let shift = exponent + 9 - fraction.len() as i64;
    let kept = digits.len() as i64 + shift;
    if kept > 30 {
        return LARGEST;
    }
    if kept < 0 {
        return 1;
    }
    let (kept, cut) = digits.split_at(usize::try_from(kept).unwrap_or(0).min(digits.len()));
    let mut nanos = kept.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(*digit));
    for _ in 0..shift.max(0) {
        nanos *= 10;
    }
    if cut.iter().any(|digit| *digit != 0) {
        nanos += 1;
    }
    nanos.min(LARGEST)
}

/// `whole.fraction * 2^power` in nanos, rounded up, at most [`LARGEST`].
fn binary_nanos(whole: &str, fraction: &str, power: u32) -> i128 {
    let whole = whole.trim_start_matches('0');
    if whole.len() > 19 {
        return LARGEST;
    }
    let multiplier = 1_i128 << power;
    let whole = whole.bytes().fold(0_i128, |sum, b| sum * 10 + i128::from(b - b'0'));
    // The fraction in groups of nine digits, least significant first: carry what reaches the next group, remember what does not.
    let mut carry = 0_i128;
    let mut inexact = false;
    let groups: Vec<&[u8]> = fraction.as_bytes().chunks(9).collect();
    for (index, group) in groups.iter().enumerate().rev() {
        let padded = (0..9).fold(0_i128, |sum, place| {
            sum * 10 + i128::from(group.get(place).map_or(0, |b| b - b'0'))
        });
        let value = padded * multiplier + carry;
        if index == 0 {
            carry = value;
        } else {
            inexact |= value % UNIT != 0;
            carry = value / UNIT;
        }
    }
    let Some(nanos) = whole.checked_mul(multiplier).and_then(|units| units.checked_mul(UNIT)) else {
        return LARGEST;
    };
    (nanos + carry + i128::from(inexact)).min(LARGEST)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let small = self.nanos.abs() < 1024 * UNIT;
        if self.format == Format::Binary && !small && self.nanos % UNIT == 0 {
            let mut amount = self.nanos / UNIT;
            let mut suffix = 0;
            while amount % 1024 == 0 && suffix < 6 {
                amount /= 1024;
                suffix += 1;
            }
            return write!(f, "{amount}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][suffix]);
        }
        let mut amount = self.nanos;
        let mut thousands = 0_usize;
        while amount % 1000 == 0 && thousands < 9 {
            amount /= 1000;
            thousands += 1;
        }
        match (self.format, thousands) {
            (Format::Exponent, 3) => write!(f, "{amount}"),
            (Format::Exponent, _) => write!(f, "{amount}e{}", thousands as i32 * 3 - 9),
            _ => write!(
                f,
                "{amount}{}",
                ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][thousands]
            ),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// Reads a string or a bare number, as Kubernetes does.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text.trim().to_owned(),
            serde_json::Value::Number(number) => number.to_string(),
            other => {
                return Err(serde::de::Error::custom(format!(
                    "a quantity is a string or a number, not {other}"
                )));
            }
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn canonical_form_is_kubernetes() {
        let table = [
            ("0", "0"),
            ("0n", "0"),
            ("0Ki", "0"),
            ("-0", "0"),
            ("1", "1"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("1500m", "1500m"),
            ("1Ki", "1Ki"),
            ("1Mi", "1Mi"),
            ("1Gi", "1Gi"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("1.5Gi", "1536Mi"),
            ("1000M", "1G"),
            ("1000000Ki", "1000000Ki"),
            ("1000000", "1M"),
            (".001Ki", "1024m"),
            (".000001Ki", "1024u"),
            (".000000001Ki", "1024n"),
            (".000000000001Ki", "2n"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("100", "100"),
            ("1E", "1E"),
            ("1Ei", "1Ei"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("1e+3", "1e3"),
            ("1e-3", "1e-3"),
            ("12e2", "1200"),
            ("100e3", "100e3"),
            ("5e0", "5"),
            ("1.", "1"),
            (".5", "500m"),
            ("+2", "2"),
            ("-1.5", "-1500m"),
            ("-2Gi", "-2Gi"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("1e-400", "1e-9"),
            ("0.0000000001e-20", "1e-9"),
            ("10E", "9223372036854775807"),
            ("1e400", "9223372036854775807"),
            ("100Ei", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775807"),
            ("-10E", "-9223372036854775807"),
            ("0001", "1"),
            ("1.2345678901", "1234567891n"),
            ("99999999999999999999999Ki", "9223372036854775807"),
        ];
        for (text, canonical) in table {
            assert_eq!(
                text.parse::<Quantity>().map(|q| q.to_string()),
                Ok(canonical.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_with_a_hint() {
        for text in [
            "",
            "+",
            "-",
            ".",
            "m",
            "Ki",
            "e3",
            "--1",
            "1 ",
            " 1",
            "1 Gi",
            "1e",
            "1e1.5",
            "1Gi ",
            "1..2",
            "ⅷ",
            "1e99999999999",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
        let table = [
            ("2g", "did you mean `Gi`?"),
            ("1K", "did you mean `k` (1000) or `Ki` (1024)`?"),
            ("5GB", "did you mean `Gi`?"),
        ];
        for (text, hint) in table {
            assert!(
                text.parse::<Quantity>().unwrap_err().to_string().contains(hint),
                "{text}"
            );
        }
    }

    #[test]
    fn amounts_round_up() {
        let table = [
            ("1.5", 2, 1500),
            ("1n", 1, 1),
            ("100m", 1, 100),
            ("-1.5", -2, -1500),
            ("9E", 9_000_000_000_000_000_000, i64::MAX),
        ];
        for (text, units, millis) in table {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!((quantity.units(), quantity.millis()), (units, millis), "{text}");
        }
    }

    #[test]
    fn sums_keep_the_left_format_unless_zero() {
        let sum = |left: &str, right: &str| (left.parse::<Quantity>().unwrap() + right.parse().unwrap()).to_string();
        assert_eq!(sum("1Gi", "512Mi"), "1536Mi");
        assert_eq!(sum("0", "1Gi"), "1Gi");
        assert_eq!(sum("100m", "1900m"), "2");
        assert_eq!(sum("9E", "9E"), "9223372036854775807");
    }

    #[test]
    fn json_numbers_are_quantities_too() {
        let read: Vec<Quantity> = serde_json::from_str(r#"["1Gi", 2, 1.5, " 3 "]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["1Gi","2","1500m","3"]"#);
        assert!(serde_json::from_str::<Quantity>("true").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            let _ = text.parse::<Quantity>();
        }

        #[test]
        fn canonical_text_reads_back_as_itself(text in "[-+]?[0-9]{0,25}(\\.[0-9]{0,30})?(n|u|m||k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]|e-[0-9]{1,2})") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                let canonical = quantity.to_string();
                let again: Quantity = canonical.parse().unwrap();
                prop_assert_eq!(again, quantity);
                prop_assert_eq!(again.to_string(), canonical);
            }
        }

        #[test]
        fn order_and_sum_are_those_of_the_numbers(a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000) {
            let (left, right) = (Quantity::from_millis(a), Quantity::from_millis(b));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!((left + right).millis(), a + b);
        }

        #[test]
        fn bytes_round_trip(bytes in 0_u64..(i64::MAX as u64)) {
            prop_assert_eq!(Quantity::from_bytes(bytes).to_string().parse::<Quantity>().unwrap().bytes(), bytes);
        }
    }
}
