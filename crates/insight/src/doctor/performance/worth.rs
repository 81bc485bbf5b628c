//! What is worth telling: the floors below which no rule of this room advises.

use crate::facts::Run;

/// Milliseconds of the run's time a finding must cost. Ours: below it, reading the advice takes longer than the run gains in a week.
pub const WORTH_TIME: u64 = 10_000;
/// The share of the run's time a finding must cost. Ours.
pub const WORTH_SHARE: f64 = 0.05;
/// Milliseconds of cores a finding about money must cost: ten minutes of one core. Ours.
pub const WORTH_CORE_TIME: u64 = 600_000;

/// Whether so many milliseconds of the run's time are worth telling.
pub fn time(run: &Run, cost: u64) -> bool {
    cost >= WORTH_TIME && cost as f64 >= WORTH_SHARE * run.duration() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_floors_rule() {
        for (duration, cost, worth) in [
            (20_000, 9_999, false),
            (20_000, 10_000, true),
            (400_000, 15_000, false),
            (400_000, 20_000, true),
        ] {
            let run = Run {
                ended: Some(duration),
                ..Run::default()
            };
            assert_eq!(time(&run, cost), worth, "{cost} of {duration}");
        }
    }
}
