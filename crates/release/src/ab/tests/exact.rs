//! The false alarm rate by counting instead of by chance: every order that the coin can give, each as probable as any other.

use super::super::bets::{Found, Watch, fewest};

/// Shares of orders in which a difference is reported after any pair, above and below, when there is none; and those of "within" when the truth is the effect.
fn alarms(watch: Watch, sizes: &[f64], truth: f64) -> [f64; 3] {
    let Some((size, rest)) = sizes.split_first() else {
        return [0.0; 3];
    };
    let mut sum = [0.0; 3];
    for sign in [-1.0, 1.0] {
        let mut watch = watch;
        let found = match watch.see(truth + sign * size) {
            Some(Found::Above) => [1.0, 0.0, 0.0],
            Some(Found::Below) => [0.0, 1.0, 0.0],
            Some(Found::Within) => [0.0, 0.0, 1.0],
            None => alarms(watch, rest, truth),
        };
        sum.iter_mut().zip(found).for_each(|(sum, found)| *sum += 0.5 * found);
    }
    sum
}

#[test]
fn no_noise_raises_more_false_alarms_than_alpha() {
    const PAIRS: usize = 15;
    let sizes: [(&str, Vec<f64>); 8] = [
        ("all the same", vec![0.05; PAIRS]),
        ("tiny", vec![1e-6; PAIRS]),
        ("huge", vec![3.0; PAIRS]),
        ("growing", (0..PAIRS).map(|at| 0.01 * 2f64.powi(at as i32)).collect()),
        ("falling", (0..PAIRS).map(|at| 2.0 * 0.5f64.powi(at as i32)).collect()),
        (
            "one hangs",
            (0..PAIRS).map(|at| if at == 4 { 5.0 } else { 0.02 }).collect(),
        ),
        (
            "two speeds",
            (0..PAIRS).map(|at| if at % 3 == 0 { 0.4 } else { 1e-3 }).collect(),
        ),
        ("evenly", (0..PAIRS).map(|at| 0.01 * (at as f64 + 1.0)).collect()),
    ];
    for alpha in [0.1, 0.05] {
        for (name, sizes) in &sizes {
            // An effect that no interval of these comes within, so that nothing ends a search for a false alarm.
            let [above, below, _] = alarms(Watch::new(1e-9, alpha), sizes, 0.0);
            assert!(
                above <= alpha / 2.0 && below <= alpha / 2.0,
                "{name} at {alpha}: {above} {below}"
            );
            let [_, _, within] = alarms(Watch::new(0.05, alpha), sizes, 0.05);
            assert!(within <= alpha / 2.0, "{name} at {alpha}: {within}");
        }
    }
    // The bound is used: it is not a test that never speaks.
    let [above, ..] = alarms(Watch::new(1e-9, 0.05), &[3.0; PAIRS], 0.0);
    assert!(above >= 1.0 / 128.0, "{above}");
}

#[test]
fn the_fewest_pairs_suffice_when_all_say_the_same() {
    for alpha in [0.1, 0.05, 0.01] {
        let mut watch = Watch::new(0.05, alpha);
        let needed = (1..100).find(|_| watch.see(2.0).is_some());
        let needed = needed.unwrap();
        assert!(
            needed == fewest(alpha) || needed == fewest(alpha) + 1,
            "{alpha}: {needed}"
        );
    }
}
