//! Exact money, and the one way in which a sum is divided.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Billionths in one unit of a currency.
const UNIT: i128 = 1_000_000_000;
/// Digits after the point.
const DIGITS: usize = 9;

/// An amount of money in billionths of the currency's unit. Whole numbers all the way: nothing is ever lost in a sum.
///
/// ```
/// use stoke_insight::cost::Money;
/// let price: Money = "0.0425".parse()?;
/// assert_eq!(price.to_string(), "0.0425");
/// assert_eq!(price.nanos(), 42_500_000);
/// # Ok::<(), stoke_insight::cost::NoMoney>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount: write digits, and after a point at most 9 more, for example `0.0425`")]
pub struct NoMoney(pub String);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// So many billionths.
    pub fn of_nanos(nanos: i128) -> Money {
        Money(nanos)
    }

    /// The amount in billionths.
    pub fn nanos(self) -> i128 {
        self.0
    }

    /// The sum; none when it is beyond 128 bits.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    /// With exactly `digits` (at most 9) after the point, rounded half to even.
    pub fn rounded(self, digits: usize) -> String {
        let unit = 10i128.pow(DIGITS.saturating_sub(digits) as u32);
        let kept = divide(self.0, unit).unwrap_or(self.0);
        let scale = 10i128.pow(digits.min(DIGITS) as u32);
        let sign = if kept < 0 { "-" } else { "" };
        match digits {
            0 => kept.to_string(),
            _ => format!(
                "{sign}{}.{:0digits$}",
                kept.abs() / scale,
                kept.abs() % scale,
                digits = digits.min(DIGITS)
            ),
        }
    }
}

impl fmt::Display for Money {
    /// All digits, without zeros at the end: `0.0425`, `12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.rounded(DIGITS);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Money {
    /// As text: a JSON number is a float to most readers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Money {
    type Err = NoMoney;

    fn from_str(text: &str) -> Result<Money, NoMoney> {
        let wrong = || NoMoney(text.to_owned());
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > DIGITS || whole.len() > 18 {
            return Err(wrong());
        }
        let whole: i128 = whole.parse().map_err(|_| wrong())?;
        let part: i128 = format!("{part:0<DIGITS$}").parse().map_err(|_| wrong())?;
        Ok(Money(whole * UNIT + part))
    }
}

/// `a / b`, rounded half to even, as banks do. None when `b` is not positive.
pub(crate) fn divide(a: i128, b: i128) -> Option<i128> {
    if b <= 0 {
        return None;
    }
    let (whole, rest) = (a.div_euclid(b), a.rem_euclid(b));
    let up = match rest.cmp(&(b - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => whole % 2 != 0,
    };
    whole.checked_add(i128::from(up))
}

/// Divides a whole number (of billionths, of milliseconds, …) by weights: each part is its exact share rounded down, and what is left goes,
/// one each, to those that lost most by it, the earlier first where they lost the same. The parts always sum to the whole.
///
/// Where all weights are zero the first part is the whole. None when a product is beyond 128 bits.
pub(crate) fn share(whole: i128, weights: &[u64]) -> Option<Vec<i128>> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if weights.is_empty() {
        return Some(Vec::new());
    }
    if sum == 0 {
        let mut parts = vec![0; weights.len()];
        parts[0] = whole;
        return Some(parts);
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut losses = Vec::with_capacity(weights.len());
    let mut left = whole;
    for (place, weight) in weights.iter().enumerate() {
        let product = whole.checked_mul(i128::from(*weight))?;
        let part = product.div_euclid(sum);
        left -= part;
        losses.push((product.rem_euclid(sum), place));
        parts.push(part);
    }
    losses.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    // What is left is less than the number of parts: each lost less than one.
    for (_, place) in losses.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[place] += 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_and_print() {
        let table = [
            ("0", "0", 0),
            ("12", "12", 12_000_000_000),
            ("0.0425", "0.0425", 42_500_000),
            ("1.000000001", "1.000000001", 1_000_000_001),
            ("007.50", "7.5", 7_500_000_000),
        ];
        for (text, printed, nanos) in table {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.to_string().as_str(), money.nanos()), (printed, nanos));
        }
        for wrong in [
            "",
            ".5",
            "5.",
            "-1",
            "+1",
            "1e3",
            "0.0000000001",
            "1,5",
            "٣",
            "9999999999999999999",
        ] {
            assert!(wrong.parse::<Money>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rounding_is_half_to_even() {
        let table = [
            (5, 2, 2),
            (7, 2, 4),
            (-5, 2, -2),
            (-7, 2, -4),
            (10, 4, 2),
            (14, 4, 4),
            (9, 4, 2),
            (11, 4, 3),
        ];
        for (a, b, quotient) in table {
            assert_eq!(divide(a, b), Some(quotient), "{a}/{b}");
        }
        assert_eq!(divide(1, 0), None);
        assert_eq!(Money(-1_250_000_000).rounded(1), "-1.2");
        assert_eq!(Money(1_999_999_999).rounded(0), "2");
    }

    #[test]
    fn shares_sum_to_the_whole() {
        let table: [(i128, &[u64], &[i128]); 6] = [
            (10, &[1, 1, 1], &[4, 3, 3]),
            (10, &[1, 2, 3], &[2, 3, 5]),
            (-10, &[1, 1, 1], &[-3, -3, -4]),
            (7, &[0, 0], &[7, 0]),
            (0, &[5, 5], &[0, 0]),
            (5, &[], &[]),
        ];
        for (whole, weights, parts) in table {
            assert_eq!(share(whole, weights).unwrap(), parts, "{whole} {weights:?}");
        }
        assert_eq!(share(i128::MAX, &[2, 2]), None);
    }
}
