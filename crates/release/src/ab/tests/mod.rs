mod exact;
mod record;
mod simulation;

use proptest::prelude::*;
use stoke_diagnostics::Source;

use super::bets::{Found, Watch, fewest, interval};
use super::dice::Dice;
use super::judge::percent;
use super::*;

pub(super) fn design() -> Design {
    Design {
        rule: RULE.into(),
        metrics: vec![Metric::Time],
        effect: 0.05,
        alpha: 0.05,
        power: 0.8,
        most_pairs: 30,
        most_seconds: None,
        seed: 1,
    }
}

/// What is found, and after how many pairs.
pub(super) fn watched(values: &[f64], effect: f64, alpha: f64) -> (Option<Found>, usize) {
    let mut watch = Watch::new(effect, alpha);
    for (at, value) in values.iter().enumerate() {
        if let Some(found) = watch.see(*value) {
            return (Some(found), at + 1);
        }
    }
    (None, values.len())
}

#[test]
fn bounds_and_verdicts_are_those_of_numpy_and_scipy() {
    let (mut seen, mut wrong) = (0, Vec::new());
    let lines = include_str!("references.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let alpha: f64 = words[1].parse().unwrap();
        let values: Vec<f64> = words[2].split(',').map(|word| word.parse().unwrap()).collect();
        let is_right = match words[0] {
            "bounds" => {
                let ours = interval(&values, alpha);
                let close = |ours: Option<f64>, word: &str| match (ours, word.parse::<f64>()) {
                    (None, Err(_)) => word == "none",
                    (Some(ours), Ok(theirs)) => (ours - theirs).abs() < 1e-9,
                    _ => false,
                };
                close(ours.estimate, words[3]) && close(ours.low, words[4]) && close(ours.high, words[5])
            }
            "verdict" => {
                let (found, pairs) = watched(&values, words[3].parse().unwrap(), alpha);
                let word = match found {
                    Some(Found::Above) => "above",
                    Some(Found::Below) => "below",
                    Some(Found::Within) => "within",
                    None => "none",
                };
                (word, pairs.to_string().as_str()) == (words[4], words[5])
            }
            "fewest" => fewest(alpha) as f64 == values[0],
            other => panic!("{other}"),
        };
        seen += 1;
        if !is_right {
            wrong.push(format!("{line}: {:?}", interval(&values, alpha)));
        }
    }
    assert!(seen > 250 && wrong.is_empty(), "{seen} compared\n{}", wrong.join("\n"));
}

#[test]
fn an_interval_and_a_verdict_say_the_same() {
    // Zero is out when the interval leaves it out, whatever the noise.
    let mut dice = Dice::new(5);
    for round in 0..200 {
        let shift = f64::from(round % 5) * 0.03;
        let values: Vec<f64> = (0..12).map(|_| shift + 0.1 * (dice.share() - dice.share())).collect();
        let (found, pairs) = watched(&values, 0.2, 0.05);
        let bounds = interval(&values[..pairs], 0.05);
        let (low, high) = (
            bounds.low.unwrap_or(f64::NEG_INFINITY),
            bounds.high.unwrap_or(f64::INFINITY),
        );
        let expected = if high < 0.2 && low > -0.2 {
            Some(Found::Within)
        } else if low > 0.0 {
            Some(Found::Above)
        } else if high < 0.0 {
            Some(Found::Below)
        } else {
            None
        };
        assert_eq!(found, expected, "{values:?} {bounds:?}");
        let estimate = bounds.estimate.unwrap();
        assert!(low <= estimate && estimate <= high, "{values:?} {bounds:?}");
    }
}

#[test]
fn one_run_that_hangs_does_not_hide_a_difference() {
    let mut values = vec![0.1, 0.11, 0.09, 0.1];
    values.push(-4.0);
    values.extend([0.1, 0.11, 0.09, 0.1, 0.12, 0.1, 0.09, 0.1, 0.1, 0.11]);
    let (found, pairs) = watched(&values, 0.05, 0.05);
    assert_eq!(found, Some(Found::Above));
    assert!(pairs < values.len(), "{pairs}");
}

#[test]
fn what_cannot_be_carried_out_is_refused_with_its_option() {
    type Change = fn(&mut Design);
    let table: [(&str, Change); 14] = [
        ("--effect: 0 %", |design| design.effect = 0.0),
        ("--effect: -5 %", |design| design.effect = -0.05),
        ("--effect: NaN %", |design| design.effect = f64::NAN),
        ("--effect: inf %", |design| design.effect = f64::INFINITY),
        ("--alpha: 2 ", |design| design.alpha = 2.0),
        ("--alpha: 0 ", |design| design.alpha = 0.0),
        ("--alpha: NaN", |design| design.alpha = f64::NAN),
        ("--power: 1 ", |design| design.power = 1.0),
        (
            "--max-pairs: 1 is not between 6 and 10000: with alpha 0.05 and one metric no verdict comes before pair 6",
            |design| design.most_pairs = 1,
        ),
        ("--max-pairs: 6 is not between 7 and 10000", |design| {
            design.metrics.push(Metric::Cost);
            design.most_pairs = 6;
        }),
        ("--max-pairs: 4000000000", |design| design.most_pairs = 4_000_000_000),
        ("--metric", |design| design.metrics.clear()),
        ("--metric", |design| design.metrics.push(Metric::Time)),
        ("--max-time", |design| design.most_seconds = Some(0)),
    ];
    for (part, change) in table {
        let mut design = design();
        change(&mut design);
        let reason = design.check().unwrap_err();
        assert_eq!(reason.code, "release-ab-design");
        assert!(reason.message.starts_with(part), "{part}: {}", reason.message);
        assert!(reason.fix.is_some());
    }
    assert!(design().check().is_ok());
}

#[test]
fn runs_are_read_or_refused_at_their_place() {
    let read = |text: &str| runs::read(&Source::new("runs.csv", text));
    let good =
        read("\u{feff}date, new ,old\r\n# a note\r\n2026-01-01,63.5,61\r\n\r\n2026-01-02,\"1e1\",20.0\r\n").unwrap();
    assert_eq!(good.ignored, ["date"]);
    assert_eq!(
        good.pairs,
        [Values { old: 61.0, new: 63.5 }, Values { old: 20.0, new: 10.0 }]
    );
    for (text, place, part) in [
        ("", "runs.csv:1:1", "no runs"),
        ("# nothing\n", "runs.csv:1:1", "no runs"),
        ("old\n1\n", "runs.csv:1:1", "no column `new`"),
        ("old,new,old\n1,2,3\n", "runs.csv:1:1", "more than one column `old`"),
        ("old,new\n", "runs.csv:1:1", "no pair after the head"),
        ("old,new\n1,NaN\n", "runs.csv:2:3", "`NaN` is not a positive number"),
        ("old,new\n1,2\n0,3\n", "runs.csv:3:1", "`0` is not"),
        ("old,new\n1,-2\n", "runs.csv:2:3", "`-2` is not"),
        ("old,new\n1,inf\n", "runs.csv:2:3", "`inf` is not"),
        ("old,new\n1,1e999\n", "runs.csv:2:3", "`1e999` is not"),
        ("old,new\nfailed,2\n", "runs.csv:2:1", "`failed` is not"),
        ("old,new\n1\n", "runs.csv:2:1", "a line of 1 values"),
        ("old,new\n1,5,2\n", "runs.csv:2:1", "a line of 3 values"),
        ("ä,old,new\nä,1,ü\n", "runs.csv:2:5", "`ü` is not"),
    ] {
        let complaints = read(text).unwrap_err();
        assert_eq!(complaints[0].place(), place, "{text:?}: {}", complaints[0]);
        assert!(complaints[0].message.contains(part), "{text:?}: {}", complaints[0]);
        assert_eq!(complaints[0].code, "release-ab-runs");
        assert!(complaints[0].fix.is_some(), "{text:?}");
    }
    let many: String = std::iter::once("old,new\n".to_owned())
        .chain((0..1000).map(|_| "a,b\n".to_owned()))
        .collect();
    assert!(read(&many).unwrap_err().len() < 30);
}

#[test]
fn changes_are_shown_as_people_read_them() {
    for (ratio, shown) in [
        (1.0, "+0.0 %"),
        (1.312, "+31.2 %"),
        (0.5, "-50.0 %"),
        (3.0, "+200 %"),
        (0.0, "-100 %"),
    ] {
        assert_eq!(percent(ratio), shown);
    }
    let values = [0.3, 0.31, 0.29, 0.3, 0.3, 0.32, 0.28];
    let found = standing(Metric::Time, &values, &design());
    assert_eq!(found.words(), "slower");
    assert!(
        found.change().starts_with("+3") && found.change().contains(" % to +"),
        "{}",
        found.change()
    );
    let few = standing(Metric::Cost, &values[..2], &design());
    assert_eq!((few.words(), few.low, few.more_pairs), ("cannot tell", None, None));
    assert!(few.change().ends_with("(no bounds yet)"));
    assert_eq!(standing(Metric::Time, &[], &design()).change(), "no pair yet");
}

#[test]
fn the_order_is_a_coin_for_each_pair_that_comes_again_with_its_seed() {
    let orders = |seed: u64| -> Vec<Which> { (0..400).map(|pair| first(seed, pair)).collect() };
    assert_eq!(orders(7), orders(7));
    assert_ne!(orders(7), orders(8));
    for seed in 0..20 {
        let old = orders(seed).iter().filter(|first| **first == Which::Old).count();
        // Five standard deviations.
        assert!((150..=250).contains(&old), "{seed}: {old}");
    }
}

#[test]
fn what_it_would_take_is_estimated_from_the_noise() {
    // A difference of 3 % in noise of 6 %: some tens of pairs more.
    let mut dice = Dice::new(3);
    let values: Vec<f64> = (0..8).map(|_| 0.03 + 0.2 * (dice.share() - 0.5)).collect();
    assert_eq!(watched(&values, 0.0487, 0.05).0, None);
    let more = |power| outlook::more(&values, 0.0487, 0.05, power, 1).unwrap();
    assert!(more(0.5) <= more(0.8) && more(0.8) <= more(0.99));
    assert!((5..300).contains(&more(0.8)), "{}", more(0.8));
    // The same seed says the same; too few pairs, or noise without end, say nothing.
    assert_eq!(more(0.8), more(0.8));
    assert_eq!(outlook::more(&values[..2], 0.0487, 0.05, 0.8, 1), None);
    let wild: Vec<f64> = (0..8).map(|at| if at % 2 == 0 { 9.0 } else { -9.0 }).collect();
    assert_eq!(outlook::more(&wild, 0.0487, 0.05, 0.8, 1), None);
}

proptest! {
    #[test]
    fn hostile_numbers_do_not_panic(values in proptest::collection::vec(any::<f64>(), 0..40), alpha in any::<f64>(), old in any::<f64>(), new in any::<f64>()) {
        let bounds = interval(&values, alpha);
        for bound in [bounds.estimate, bounds.low, bounds.high].into_iter().flatten() {
            prop_assert!(!bound.is_nan());
        }
        if let Some(ratio) = (Values { old, new }).log_ratio() {
            prop_assert!(ratio.is_finite() && ratio.abs() < 1500.0);
        }
        let asked = Design { alpha, effect: old, power: new, ..design() };
        if asked.check().is_ok() {
            let finite: Vec<f64> = values.iter().copied().filter(|value| value.abs() < 1500.0).collect();
            let found = standing(Metric::Time, &finite, &asked);
            prop_assert!(found.pairs <= finite.len());
        }
    }

    #[test]
    fn damaged_files_do_not_panic(text in "[old,new0-9.eE\"\n#äN-]{0,200}") {
        let _ = runs::read(&Source::new("runs.csv", &text));
        let _ = runs::read(&Source::new("runs.csv", &format!("old,new\n{text}")));
    }
}
