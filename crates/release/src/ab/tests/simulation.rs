//! Thousands of A/B of releases whose difference is known, looked at after every pair. Their figures stand in docs/how-to/ab.md.

use std::fmt::Write;

use stoke_testkit::generated;

use super::super::bets::Found;
use super::super::dice::{Dice, Which, first};
use super::watched;

const ROUNDS: u64 = 2_000;
const PAIRS: usize = 40;
const ALPHA: f64 = 0.05;

fn normal(dice: &mut Dice) -> f64 {
    let (radius, angle) = (1.0 - dice.share(), dice.share());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// What runs take beyond what they should, one after the other, in units of the noise.
#[derive(Clone, Copy)]
enum Shape {
    Normal,
    /// Some runs take much longer.
    Skewed,
    /// Student's t with two degrees of freedom: its variance is infinite.
    Heavy,
    /// One run in twelve hangs.
    Hangs,
    /// A run is fast or slow.
    TwoSpeeds,
    /// Each run is slower than the one before.
    Drift,
    /// A run is as the one before, mostly.
    Sticky,
    /// The second run of a pair finds its files in memory.
    Warm,
}

const SHAPES: [(&str, Shape); 8] = [
    ("normal", Shape::Normal),
    ("skewed", Shape::Skewed),
    ("heavy tails", Shape::Heavy),
    ("one in twelve hangs", Shape::Hangs),
    ("two speeds", Shape::TwoSpeeds),
    ("drift over time", Shape::Drift),
    ("each like the one before", Shape::Sticky),
    ("second run faster", Shape::Warm),
];

/// Logarithms of what the runs of an A/B take.
fn noise(shape: Shape, dice: &mut Dice) -> Vec<[f64; 2]> {
    let mut before = 0.0;
    (0..PAIRS)
        .map(|pair| {
            [0, 1].map(|place| match shape {
                Shape::Normal => normal(dice),
                Shape::Skewed => -(1.0 - dice.share()).ln(),
                Shape::Heavy => normal(dice) / (-(1.0 - dice.share()).ln()).sqrt(),
                Shape::Hangs => normal(dice) + f64::from(u8::from(dice.below(12) == 0)) * 30.0,
                Shape::TwoSpeeds => f64::from(u8::from(dice.coin())) * 2.0,
                Shape::Drift => 0.3 * (2 * pair + place) as f64 + normal(dice),
                Shape::Sticky => {
                    before = 0.9 * before + normal(dice);
                    before
                }
                Shape::Warm => normal(dice) - 3.0 * place as f64,
            })
        })
        .collect()
}

/// Logarithms of ratios of an A/B, as its coin orders the runs.
fn pairs(shape: Shape, deviation: f64, effect: f64, round: u64) -> Vec<f64> {
    let mut dice = Dice::new(round.wrapping_mul(977) + 13);
    let noise = noise(shape, &mut dice);
    let of = |(pair, runs): (usize, &[f64; 2])| {
        let [earlier, later] = runs.map(|run| run * deviation);
        effect
            + match first(round, pair as u64) {
                Which::Old => later - earlier,
                Which::New => earlier - later,
            }
    };
    noise.iter().enumerate().map(of).collect()
}

struct Outcome {
    more: f64,
    less: f64,
    within: f64,
    none: f64,
    mean_pairs: f64,
}

fn outcome(shape: Shape, deviation: f64, truth: f64, effect: f64) -> Outcome {
    let mut counts = [0u32; 4];
    let mut sum = 0;
    for round in 0..ROUNDS {
        let (found, pairs) = watched(&pairs(shape, deviation, truth.ln_1p(), round), effect.ln_1p(), ALPHA);
        sum += pairs;
        counts[match found {
            Some(Found::Above) => 0,
            Some(Found::Below) => 1,
            Some(Found::Within) => 2,
            None => 3,
        }] += 1;
    }
    let [more, less, within, none] = counts.map(|count| f64::from(count) / ROUNDS as f64);
    Outcome {
        more,
        less,
        within,
        none,
        mean_pairs: sum as f64 / ROUNDS as f64,
    }
}

/// Runs of tests of a share: this many standard deviations above what it may be are no chance.
fn surely_above(share: f64, most: f64) -> bool {
    share > most + 4.0 * (most * (1.0 - most) / ROUNDS as f64).sqrt()
}

/// One test: both write the same page.
#[test]
fn figures_of_the_generated_page_hold() {
    false_alarms();
    power();
}

fn false_alarms() {
    let mut page = String::from("| noise of a run | 1 % | 5 % | 20 % |\n|---|---|---|---|\n");
    for (name, shape) in SHAPES {
        let _ = write!(page, "| {name} |");
        for deviation in [0.01, 0.05, 0.2] {
            // So small an effect is never shown to be absent, so each A/B is looked at 40 times.
            let seen = outcome(shape, deviation, 0.0, 0.001);
            let alarms = seen.more + seen.less;
            assert!(!surely_above(alarms, ALPHA), "{name} at {deviation}: {alarms}");
            let _ = write!(page, " {:.1} % |", alarms * 100.0);
        }
        page.push('\n');
    }
    generated::part("docs/how-to/ab.md", "<!-- false alarms -->\n", "<!-- end -->", &page).unwrap();
}

fn power() {
    let mut page = String::from(
        "| true difference | noise of a run | slower | faster | no difference | cannot tell | pairs, mean |\n|---|---|---|---|---|---|---|\n",
    );
    for (shape, deviation, truth) in [
        (Shape::Normal, 0.01, 0.0),
        (Shape::Normal, 0.02, 0.0),
        (Shape::Normal, 0.05, 0.0),
        (Shape::Normal, 0.02, 0.05),
        (Shape::Normal, 0.05, 0.05),
        (Shape::Normal, 0.05, 0.1),
        (Shape::Normal, 0.05, 0.3),
        (Shape::Heavy, 0.02, 0.05),
        (Shape::Hangs, 0.02, 0.05),
        (Shape::Skewed, 0.05, 0.1),
        (Shape::Normal, 0.05, -0.1),
    ] {
        let seen = outcome(shape, deviation, truth, 0.05);
        // What is said wrongly: the other direction, or that nothing matters where the effect is there.
        let wrong = match truth {
            0.0 => seen.more + seen.less,
            _ if truth > 0.0 => seen.less + seen.within,
            _ => seen.more + seen.within,
        };
        assert!(!surely_above(wrong, ALPHA), "{deviation} {truth}: {wrong}");
        let shape = match shape {
            Shape::Heavy => ", heavy tails",
            Shape::Hangs => ", one in twelve hangs",
            Shape::Skewed => ", skewed",
            _ => "",
        };
        let _ = writeln!(
            page,
            "| {:+.0} % | {:.0} %{shape} | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.1} |",
            truth * 100.0,
            deviation * 100.0,
            seen.more * 100.0,
            seen.less * 100.0,
            seen.within * 100.0,
            seen.none * 100.0,
            seen.mean_pairs
        );
    }
    generated::part("docs/how-to/ab.md", "<!-- power -->\n", "<!-- end -->", &page).unwrap();
}

#[test]
fn an_interval_holds_the_truth_after_every_pair_at_once() {
    let mut missed = 0;
    let rounds = 300;
    for round in 0..rounds {
        let values = pairs(Shape::Skewed, 0.05, 0.2, round);
        // The truth is out exactly when a bet against it was won.
        let mut watch = super::super::bets::Watch::new(1e-9, ALPHA);
        missed += u32::from(
            values
                .iter()
                .any(|value| matches!(watch.see(value - 0.2), Some(Found::Above | Found::Below))),
        );
        let bounds = super::super::bets::interval(&values, ALPHA);
        assert!(bounds.low < bounds.high, "{bounds:?}");
    }
    assert!(missed <= 30, "{missed} of {rounds}");
}
