//! What an expression's values are measured in.

use crate::catalogue::{Range, Unit};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Memory,
    Time,
    /// Processor time in time, or cores.
    Cores,
    /// Bytes a second.
    Throughput,
    /// Things.
    Count,
    /// Things a second.
    Rate,
    Moment,
    Ratio,
    /// 0 and 1.
    State,
}

/// What is measured, and how much of its base (bytes, seconds, one) a value of 1 is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Amount {
    pub(super) of: Of,
    pub(super) factor: f64,
}

impl Amount {
    pub(super) fn new(of: Of, factor: f64) -> Amount {
        Amount { of, factor }
    }

    /// The amount of a metric's values.
    pub(super) fn of_unit(unit: Unit) -> Option<Amount> {
        let (of, factor) = match unit {
            Unit::Bytes => (Of::Memory, 1.0),
            Unit::Mebibytes => (Of::Memory, 1_048_576.0),
            Unit::Seconds => (Of::Time, 1.0),
            Unit::Milliseconds => (Of::Time, 1e-3),
            Unit::Microseconds => (Of::Time, 1e-6),
            Unit::Nanoseconds => (Of::Time, 1e-9),
            Unit::Timestamp => (Of::Moment, 1.0),
            Unit::TimestampMilliseconds => (Of::Moment, 1e-3),
            Unit::Ratio => (Of::Ratio, 1.0),
            Unit::Percent => (Of::Ratio, 0.01),
            Unit::Cores => (Of::Cores, 1.0),
            Unit::PerSecond => (Of::Rate, 1.0),
            Unit::Bool | Unit::One => (Of::State, 1.0),
            Unit::Count => (Of::Count, 1.0),
            Unit::Mixed | Unit::Other => return None,
        };
        Some(Amount::new(of, factor))
    }

    /// What `rate` makes of it.
    pub(super) fn a_second(self) -> Option<Amount> {
        let of = match self.of {
            Of::Memory => Of::Throughput,
            Of::Time => Of::Cores,
            Of::Count => Of::Rate,
            _ => return None,
        };
        Some(Amount::new(of, self.factor))
    }

    /// The same times a number; none where that is not a unit that has a name, such as a threshold of 80 % of something.
    pub(super) fn times(self, number: f64) -> Option<Amount> {
        let factor = self.factor / number;
        if close(factor, self.factor) {
            return Some(self);
        }
        let scaled = Amount::new(self.of, factor);
        scaled.name().is_some().then_some(scaled)
    }

    pub(super) fn same(self, other: Amount) -> bool {
        // A moment less a moment is a time, and what is compared with it may be either; thousands and 1024s are taken for each other.
        self.of == other.of && (self.factor / other.factor).ln().abs() < 0.2
    }

    /// Its unit in words.
    pub(super) fn name(self) -> Option<&'static str> {
        let table: &[(f64, &str)] = match self.of {
            Of::Memory => &[
                (1.0, "bytes"),
                (1024.0, "KiB"),
                (1e3, "kB"),
                (1_048_576.0, "MiB"),
                (1e6, "MB"),
                (1_073_741_824.0, "GiB"),
                (1e9, "GB"),
                (1_099_511_627_776.0, "TiB"),
                (1e12, "TB"),
                (0.125, "bits"),
            ],
            Of::Time => &[
                (1.0, "seconds"),
                (1e-3, "milliseconds"),
                (1e-6, "microseconds"),
                (1e-9, "nanoseconds"),
                (60.0, "minutes"),
                (3600.0, "hours"),
                (86_400.0, "days"),
            ],
            Of::Cores => &[(1.0, "cores"), (1e-3, "millicores"), (1e-9, "nanoseconds a second")],
            Of::Throughput => &[
                (1.0, "bytes a second"),
                (1024.0, "KiB a second"),
                (1_048_576.0, "MiB a second"),
                (1e6, "MB a second"),
                (1_073_741_824.0, "GiB a second"),
                (0.125, "bits a second"),
            ],
            Of::Count => &[(1.0, "a count")],
            Of::Rate => &[(1.0, "things a second"), (1.0 / 60.0, "things a minute")],
            Of::Moment => &[(1.0, "seconds since 1970"), (1e-3, "milliseconds since 1970")],
            Of::Ratio => &[(1.0, "a ratio"), (0.01, "percent")],
            Of::State => &[(1.0, "0 or 1")],
        };
        table
            .iter()
            .find(|(factor, _)| close(*factor, self.factor))
            .map(|(_, name)| *name)
    }
}

fn close(one: f64, other: f64) -> bool {
    (one / other - 1.0).abs() < 1e-6
}

/// Ranges of values as operators change them.
pub(super) fn combine(op: crate::promql::Op, left: Range, right: Range) -> Range {
    use crate::promql::Op;
    let corners = |f: fn(f64, f64) -> f64| {
        let all = [
            f(left.lowest, right.lowest),
            f(left.lowest, right.highest),
            f(left.highest, right.lowest),
            f(left.highest, right.highest),
        ];
        if all.iter().any(|value| value.is_nan()) {
            return None;
        }
        Some(Range {
            lowest: all.iter().copied().fold(f64::INFINITY, f64::min),
            highest: all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    };
    let positive = left.lowest >= 0.0 && right.lowest >= 0.0;
    let any_positive = Range {
        lowest: 0.0,
        highest: f64::INFINITY,
    };
    match op {
        Op::Add => corners(|a, b| a + b).unwrap_or(Range::ALL),
        Op::Sub => corners(|a, b| a - b).unwrap_or(Range::ALL),
        Op::Mul => corners(|a, b| a * b).unwrap_or(if positive { any_positive } else { Range::ALL }),
        Op::Div if right.lowest > 0.0 => {
            corners(|a, b| a / b).unwrap_or(if positive { any_positive } else { Range::ALL })
        }
        Op::Div | Op::Mod | Op::Pow if positive => any_positive,
        _ => Range::ALL,
    }
}
