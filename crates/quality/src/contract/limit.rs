//! Limits of numbers, ranges of values, and the literals they are written with.

use std::fmt;

pub use stoke_model::manifest::Literal;

/// A range of values; a missing end is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// The lower end.
    pub min: Option<Literal>,
    /// The upper end.
    pub max: Option<Literal>,
    /// True when the lower end itself is outside.
    pub strict_min: bool,
    /// True when the upper end itself is outside.
    pub strict_max: bool,
}

impl Range {
    /// True when no end is given.
    pub fn is_open(&self) -> bool {
        self.min.is_none() && self.max.is_none()
    }

    /// The limit it is for a number; none when an end is not a number.
    pub fn as_limit(&self) -> Option<Limit> {
        let end = |literal: &Option<Literal>| match literal {
            None => Some(None),
            Some(literal) => literal.number().map(Some),
        };
        Some(Limit::Within {
            min: end(&self.min)?,
            max: end(&self.max)?,
            strict_min: self.strict_min,
            strict_max: self.strict_max,
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ends(f, (&self.min, self.strict_min), (&self.max, self.strict_max))
    }
}

/// What a number must be. A number that is not one (`NaN`) holds no limit.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// Equal to it.
    Is(f64),
    /// Anything else.
    IsNot(f64),
    /// Between two ends, of which either may be open.
    Within {
        /// The lower end.
        min: Option<f64>,
        /// The upper end.
        max: Option<f64>,
        /// True when the lower end itself is outside.
        strict_min: bool,
        /// True when the upper end itself is outside.
        strict_max: bool,
    },
    /// Below the first or above the second.
    Outside(f64, f64),
}

impl Limit {
    /// No more than.
    pub fn at_most(max: f64) -> Self {
        Self::Within {
            min: None,
            max: Some(max),
            strict_min: false,
            strict_max: false,
        }
    }

    /// No less than.
    pub fn at_least(min: f64) -> Self {
        Self::Within {
            min: Some(min),
            max: None,
            strict_min: false,
            strict_max: false,
        }
    }

    /// Whether a number holds it.
    pub fn holds(&self, number: f64) -> bool {
        match self {
            _ if number.is_nan() => false,
            Self::Is(value) => number == *value,
            Self::IsNot(value) => number != *value,
            Self::Outside(low, high) => number < *low || number > *high,
            Self::Within {
                min,
                max,
                strict_min,
                strict_max,
            } => {
                let above = min.is_none_or(|min| if *strict_min { number > min } else { number >= min });
                let below = max.is_none_or(|max| if *strict_max { number < max } else { number <= max });
                above && below
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "= {value}"),
            Self::IsNot(value) => write!(f, "!= {value}"),
            Self::Outside(low, high) => write!(f, "outside {low} to {high}"),
            Self::Within {
                min,
                max,
                strict_min,
                strict_max,
            } => ends(f, (min, *strict_min), (max, *strict_max)),
        }
    }
}

fn ends<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    (min, strict_min): (&Option<T>, bool),
    (max, strict_max): (&Option<T>, bool),
) -> fmt::Result {
    let sign = |strict: bool, sign: &'static str, loose: &'static str| if strict { sign } else { loose };
    match (min, max) {
        (None, None) => f.write_str("anything"),
        (Some(min), None) => write!(f, "{} {min}", sign(strict_min, ">", ">=")),
        (None, Some(max)) => write!(f, "{} {max}", sign(strict_max, "<", "<=")),
        (Some(min), Some(max)) => write!(
            f,
            "{} {min} and {} {max}",
            sign(strict_min, ">", ">="),
            sign(strict_max, "<", "<=")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_or_not() {
        let within = |min, max, strict_min, strict_max| Limit::Within {
            min,
            max,
            strict_min,
            strict_max,
        };
        let table = [
            (Limit::Is(0.0), -0.0, true),
            (Limit::IsNot(1.0), 1.0, false),
            (Limit::IsNot(1.0), f64::NAN, false),
            (within(Some(1.0), Some(2.0), false, false), 2.0, true),
            (within(Some(1.0), Some(2.0), false, true), 2.0, false),
            (within(Some(1.0), Some(2.0), true, false), 1.0, false),
            (within(None, None, true, true), f64::INFINITY, true),
            (Limit::Outside(1.0, 2.0), 1.0, false),
            (Limit::Outside(1.0, 2.0), 2.5, true),
        ];
        for (limit, number, expected) in table {
            assert_eq!(limit.holds(number), expected, "{number} {limit}");
        }
    }
}
