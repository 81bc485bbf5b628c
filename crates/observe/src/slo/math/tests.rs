use proptest::prelude::*;

use super::{beta, binomial, interval, quantile};

/// Relative to the reference, or absolute where it is nearly nothing.
fn close(ours: f64, reference: f64, digits: i32) -> bool {
    (ours - reference).abs() <= 10f64.powi(-digits) * reference.abs() + 1e-290
}

#[test]
fn tails_and_intervals_are_those_of_scipy() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for line in include_str!("references.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<f64>().unwrap();
        let (bad, events) = (number(1) as u64, number(2) as u64);
        let (ours, reference) = match words[0] {
            "at_least" => (vec![binomial::at_least(bad, events, number(3))], vec![number(4)]),
            "at_most" => (vec![binomial::at_most(bad, events, number(3))], vec![number(4)]),
            "above" => (vec![interval::above(bad, events, number(3))], vec![number(4)]),
            "jeffreys" => {
                let ours = interval::jeffreys(bad, events, number(3));
                (vec![ours.low, ours.high], vec![number(4), number(5)])
            }
            other => panic!("{other}"),
        };
        seen += 1;
        for (ours, reference) in ours.iter().zip(&reference) {
            if !close(*ours, *reference, 9) {
                wrong.push(format!("{line}: {ours:e}"));
            }
        }
    }
    assert!(seen > 400 && wrong.is_empty(), "{seen} compared\n{}", wrong.join("\n"));
}

#[test]
fn alarms_of_windows_are_those_of_the_literature() {
    // FIELD: smallest k with a tail of at most 0.001.
    for (events, rate, bad) in [
        (24, 0.01, 4),
        (168, 0.01, 8),
        (720, 0.01, 18),
        (200, 0.01, 9),
        (30, 0.05, 7),
    ] {
        assert_eq!(binomial::alarm(events, rate, 0.001), Some(bad), "{events} at {rate}");
    }
    // Even one run of one is not improbable under 90 %.
    assert_eq!(binomial::alarm(1, 0.1, 0.001), None);
    assert_eq!(binomial::alarm(0, 0.1, 0.001), None);
}

#[test]
fn a_record_over_the_point_budget_is_not_proof() {
    for (bad, low, high) in [(2, 0.005, 0.02), (8, 0.6, 0.68), (15, 0.99, 0.999)] {
        let above = interval::above(bad, 720, 0.01);
        assert!((low..high).contains(&above), "{bad}: {above}");
    }
}

#[test]
fn bounds_of_a_quantile_hold_as_often_as_they_say() {
    // A fixed generator; the true 90th percentile of uniform numbers is 0.9.
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let (mut holds, rounds) = (0, 500);
    for _ in 0..rounds {
        let sample: Vec<f64> = (0..100).map(|_| uniform()).collect();
        let bounds = quantile::bounds(&sample, 0.9, 0.9).unwrap();
        let low = bounds.low.unwrap();
        holds += usize::from(low <= 0.9 && bounds.high.is_none_or(|high| high >= 0.9));
    }
    assert!(holds >= 450, "{holds} of {rounds}");
    // Five runs say nothing of an upper bound of the 90th percentile.
    let few = quantile::bounds(&[1.0, 2.0, 3.0, 4.0, f64::NAN], 0.9, 0.9).unwrap();
    assert_eq!((few.estimate, few.high), (4.0, None));
    assert_eq!(quantile::bounds(&[f64::NAN], 0.9, 0.9), None);
}

#[test]
fn a_proof_names_the_events_it_needs() {
    let needed = interval::good_events_needed(0, 0, 0.01, 0.9).unwrap();
    assert!(interval::jeffreys(0, needed, 0.9).high <= 0.01);
    assert!(interval::jeffreys(0, needed - 1, 0.9).high > 0.01);
    assert_eq!(interval::good_events_needed(0, 0, 0.0, 0.9), None);
}

proptest! {
    #[test]
    fn hostile_numbers_do_not_panic(bad in any::<u64>(), events in any::<u64>(), rate in any::<f64>(), confidence in any::<f64>()) {
        // The continued fraction is long only where its parameters are large and near the middle.
        let (bad, events) = (bad % 2_000_000, events % 1_000_000);
        for value in [binomial::at_least(bad, events, rate), binomial::at_most(bad, events, rate), interval::above(bad, events, rate), beta::below(rate, confidence, rate)] {
            prop_assert!((0.0..=1.0).contains(&value));
        }
    }

    #[test]
    fn tails_complete_each_other(bad in 1u64..500, more in 0u64..500, rate in 0.0f64..1.0) {
        let sum = binomial::at_least(bad, bad + more, rate) + binomial::at_most(bad - 1, bad + more, rate);
        prop_assert!((sum - 1.0).abs() < 1e-11, "{sum}");
        let interval = interval::jeffreys(bad, bad + more, 0.9);
        prop_assert!(interval.low <= interval.high && interval.low <= bad as f64 / (bad + more) as f64);
    }
}
