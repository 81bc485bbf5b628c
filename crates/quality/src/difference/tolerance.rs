//! How far two floating-point numbers may lie apart and be taken as equal.

use std::fmt;

use serde::Serialize;

/// A tolerance: numbers are near when one of the bounds that are given holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tolerance {
    /// Largest difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute: Option<f64>,
    /// Largest difference as a share of the larger magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<f64>,
    /// Most steps from one number of 64 bits to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ulps: Option<u64>,
}

impl Tolerance {
    /// Whether two numbers are near. Those that are not numbers are near each other, and infinite ones to themselves.
    pub fn near(&self, one: f64, other: f64) -> bool {
        if one == other || (one.is_nan() && other.is_nan()) {
            return true;
        }
        if !one.is_finite() || !other.is_finite() {
            return false;
        }
        let apart = (one - other).abs();
        self.absolute.is_some_and(|most| apart <= most)
            || self
                .relative
                .is_some_and(|most| apart <= most * one.abs().max(other.abs()))
            || self
                .ulps
                .is_some_and(|most| ordinal(one).abs_diff(ordinal(other)) <= most)
    }
}

/// Numbers of 64 bits counted from the least to the greatest; both zeros are 0.
fn ordinal(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    if bits < 0 { i64::MIN - bits } else { bits }
}

impl std::str::FromStr for Tolerance {
    type Err = String;

    /// `relative=1e-9`, `absolute=0.01`, `ulps=4`, or several with commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut tolerance = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                format!(
                    "`{part}` is not a tolerance; write relative=1e-9, absolute=0.01 or ulps=4, several with commas"
                )
            })?;
            let bound = || -> Result<f64, String> {
                let bound = value
                    .trim()
                    .parse::<f64>()
                    .ok()
                    .filter(|bound| bound.is_finite() && *bound >= 0.0);
                bound.ok_or_else(|| format!("`{value}` is not a number from 0"))
            };
            let twice = match name.trim() {
                "absolute" => tolerance.absolute.replace(bound()?).is_some(),
                "relative" => {
                    let share = bound()?;
                    if share >= 1.0 {
                        return Err(format!(
                            "a relative tolerance of {value} takes every two numbers as equal; write less than 1"
                        ));
                    }
                    tolerance.relative.replace(share).is_some()
                }
                "ulps" | "ulp" => {
                    let steps = value
                        .trim()
                        .parse()
                        .map_err(|_| format!("`{value}` is not a whole number"))?;
                    tolerance.ulps.replace(steps).is_some()
                }
                other => {
                    return Err(format!(
                        "`{other}` is not a kind of tolerance; there are absolute, relative and ulps"
                    ));
                }
            };
            if twice {
                return Err(format!("`{}` is given twice", name.trim()));
            }
        }
        Ok(tolerance)
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.absolute.map(|most| format!("absolute={most}")),
            self.relative.map(|most| format!("relative={most}")),
            self.ulps.map(|most| format!("ulps={most}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_near_by_any_bound() {
        let of = |text: &str| text.parse::<Tolerance>().unwrap();
        let table = [
            ("absolute=0.5", 1.0, 1.5, true),
            ("absolute=0.5", 1.0, 1.500_001, false),
            ("relative=0.1", 90.0, 100.0, true),
            ("relative=0.1", 89.0, 100.0, false),
            ("relative=0.1", 0.0, 1e-300, false),
            ("relative=0.1,absolute=1e-9", 0.0, 1e-300, true),
            ("ulps=1", 1.0, 1.0 + f64::EPSILON, true),
            ("ulps=1", 1.0, 1.0 + 2.0 * f64::EPSILON, false),
            ("ulps=2", f64::from_bits(1), -f64::from_bits(1), true),
            ("ulps=1", f64::from_bits(1), -f64::from_bits(1), false),
            ("ulps=1", f64::MAX, f64::INFINITY, false),
            ("absolute=1e9", f64::NAN, 1.0, false),
            ("absolute=0", f64::NAN, f64::NAN, true),
            ("absolute=0", -0.0, 0.0, true),
        ];
        for (text, one, other, expected) in table {
            assert_eq!(of(text).near(one, other), expected, "{text} {one} {other}");
            assert_eq!(of(text).near(other, one), expected, "{text} {other} {one}");
        }
    }

    #[test]
    fn what_is_not_a_tolerance_is_said() {
        for text in [
            "",
            "1e-9",
            "absolute=-1",
            "relative=1",
            "ulps=0.5",
            "near=1",
            "absolute=1,absolute=2",
            "absolute=NaN",
        ] {
            assert!(text.parse::<Tolerance>().is_err(), "{text}");
        }
        assert_eq!(
            "ulp=4, relative=1e-9".parse::<Tolerance>().unwrap().to_string(),
            "relative=0.000000001,ulps=4"
        );
    }
}
