//! Months of runs by a fixed generator: what the meters promise holds, over the grid of objectives and runs a day, and for failures of several patterns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use stoke_testkit::Tier;

use crate::slo::evidence::{AT_OBJECTIVE, Design, RUNS_A_DAY, WELL_WITHIN, WITHIN, crossing, delay};
use crate::slo::math::binomial;

/// The design of a cell of the grid; each is computed once.
pub(super) fn design(target: f64, runs_a_day: u32) -> Arc<Design> {
    static DESIGNS: Mutex<BTreeMap<(u64, u32), Arc<Design>>> = Mutex::new(BTreeMap::new());
    let mut designs = DESIGNS.lock().unwrap();
    let made = || Arc::new(Design::new(target, f64::from(runs_a_day)));
    Arc::clone(designs.entry((target.to_bits(), runs_a_day)).or_insert_with(made))
}

/// SplitMix64: the same numbers everywhere.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How runs fail.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    /// Each with this probability.
    Steady(f64),
    /// From the first rate to the second over the month.
    Rise(f64, f64),
    /// Three in a row, as often as gives this rate.
    Bursts(f64),
    /// With this rate in all; after a failed run the next one fails with probability 0.3.
    Correlated(f64),
}

impl Pattern {
    /// Whether each run of a month is bad.
    pub(super) fn month(self, runs: usize, dice: &mut Dice) -> Vec<bool> {
        let mut month = Vec::with_capacity(runs + 2);
        let mut last = false;
        while month.len() < runs {
            let at = month.len() as f64 / runs as f64;
            let bad = |rate: f64, dice: &mut Dice| dice.uniform() < rate;
            match self {
                Pattern::Steady(rate) => month.push(bad(rate, dice)),
                Pattern::Rise(from, to) => month.push(bad(from + (to - from) * at, dice)),
                Pattern::Bursts(rate) => match bad(rate / 3.0, dice) {
                    true => month.extend([true; 3]),
                    false => month.push(false),
                },
                Pattern::Correlated(rate) => {
                    let again = 0.3;
                    last = bad(
                        if last {
                            again
                        } else {
                            rate * (1.0 - again) / (1.0 - rate)
                        },
                        dice,
                    );
                    month.push(last);
                }
            }
        }
        month.truncate(runs);
        month
    }
}

/// Runs until the meters page, from zero; none when they do not.
pub(super) fn evidence_pages(design: &Design, month: &[bool]) -> Option<usize> {
    let mut levels = vec![0; design.meters.len()];
    month.iter().position(|bad| {
        let mut pages = false;
        for (level, meter) in levels.iter_mut().zip(&design.meters) {
            *level = meter.after(*level, *bad);
            pages |= *level >= meter.threshold;
        }
        pages
    })
}

/// Runs until the burn-rate rules page: 14.4 times the allowed rate in the last hour and in the last five minutes, or 6 times in six hours and in thirty minutes. A window
/// has the last run at least: the rules are evaluated just after it.
pub(super) fn burn_pages(allowed: f64, runs_a_day: u32, month: &[bool]) -> Option<usize> {
    let mut sums = vec![0u32];
    for bad in month {
        sums.push(sums.last().unwrap() + u32::from(*bad));
    }
    let runs_in = |minutes: u32| ((minutes * runs_a_day) as usize / 1440).max(1);
    let over = |end: usize, minutes: u32, factor: f64| {
        let runs = runs_in(minutes).min(end);
        f64::from(sums[end] - sums[end - runs]) / runs as f64 > factor * allowed
    };
    // Windows are full: before the month there was another.
    (runs_in(360)..=month.len())
        .find(|end| (over(*end, 60, 14.4) && over(*end, 5, 14.4)) || (over(*end, 360, 6.0) && over(*end, 30, 6.0)))
        .map(|end| end - 1)
}

pub(super) const TARGETS: [f64; 6] = [0.9, 0.95, 0.98, 0.99, 0.995, 0.999];
pub(super) const GRID: [u32; 6] = [1, 4, 24, 96, 288, 1440];

#[test]
fn thresholds_keep_their_bounds_exactly() {
    for target in TARGETS {
        for runs_a_day in GRID {
            let design = design(target, runs_a_day);
            let rates = [(1.0, AT_OBJECTIVE), (WITHIN, WELL_WITHIN)];
            for (share, most) in rates {
                let rate = share * design.allowed_rate;
                let sum: f64 = design
                    .meters
                    .iter()
                    .map(|meter| crossing(meter, rate, design.runs_a_month()))
                    .sum();
                assert!(sum <= most, "{target} {runs_a_day} {share}: {sum} above {most}");
            }
            // A month of nothing but failures pages, and soon.
            let row = design.meters.iter().map(|meter| meter.bad_in_a_row()).min().unwrap();
            assert!(row <= 10, "{target} {runs_a_day}: {row} in a row");
        }
    }
}

#[test]
fn simulated_months_page_as_seldom_as_is_promised() {
    // Runs simulated for each cell and rate.
    let work = if Tier::selected() == Tier::Full {
        100_000_000
    } else {
        400_000
    };
    let mut dice = Dice(19);
    for target in TARGETS {
        for runs_a_day in GRID {
            let design = design(target, runs_a_day);
            let runs = design.runs_a_month() as usize;
            for (share, most) in [(1.0, AT_OBJECTIVE), (WITHIN, WELL_WITHIN)] {
                let months = (work / runs).max(10);
                let pattern = Pattern::Steady(share * design.allowed_rate);
                let pages = (0..months).filter(|_| evidence_pages(&design, &pattern.month(runs, &mut dice)).is_some());
                let pages = pages.count() as u64;
                // So many would be improbable if the bound did not hold.
                let chance = binomial::at_least(pages, months as u64, most);
                assert!(
                    chance > 1e-5,
                    "{target} {runs_a_day} at {share}: {pages} pages in {months} months"
                );
            }
        }
    }
}

#[test]
fn an_hourly_job_of_99_percent_pages_when_it_should() {
    let design = design(0.99, 24);
    assert_eq!(design.meters[0].bad_in_a_row(), 4);
    let healthy = Pattern::Steady(0.004);
    let mut dice = Dice(99);
    // An outage after a quiet time pages at the fourth failure.
    let mut outage = vec![false; 100];
    outage.extend([true; 10]);
    assert_eq!(evidence_pages(&design, &outage), Some(103));
    // From zero, exactly; no test with these false pages finds it sooner, since the clipped test is the quickest there is (Moustakides, 1986).
    let exact = delay(&design.meters[0], 0.2).unwrap();
    assert!(exact.mean < 22.4 && exact.p90 <= 38, "{exact:?}");
    // After a healthy month, with both meters.
    let rounds = if Tier::selected() == Tier::Full { 200_000 } else { 5_000 };
    let mut delays: Vec<usize> = Vec::with_capacity(rounds);
    while delays.len() < rounds {
        let mut month = healthy.month(200, &mut dice);
        month.extend(Pattern::Steady(0.2).month(1000, &mut dice));
        // A page before the trouble is another trouble.
        if let Some(at) = evidence_pages(&design, &month).and_then(|at| at.checked_sub(200)) {
            delays.push(at + 1);
        }
    }
    delays.sort_unstable();
    let mean = delays.iter().sum::<usize>() as f64 / rounds as f64;
    let p90 = delays[rounds * 9 / 10];
    assert!(mean < 22.5 && p90 <= 40, "mean {mean}, 90th percentile {p90}");
}

#[test]
fn a_slow_rise_is_found_and_bursts_within_the_budget_are_not() {
    let (months, mut dice) = (2000, Dice(7));
    let design = design(0.99, 24);
    let mut share = |pattern: Pattern| {
        let paged = (0..months).filter(|_| evidence_pages(&design, &pattern.month(720, &mut dice)).is_some());
        paged.count() as f64 / f64::from(months)
    };
    assert!(share(Pattern::Rise(0.004, 0.2)) > 0.999);
    assert!(share(Pattern::Rise(0.004, 0.05)) > 0.5);
    // Three in a row are not yet a page, and with another failure soon after they are.
    assert!(share(Pattern::Bursts(0.004)) < 0.1);
    assert!(share(Pattern::Correlated(0.004)) < 0.1);
}

#[test]
fn a_page_ends_some_good_runs_after_the_repair() {
    for target in TARGETS {
        let design = design(target, 24);
        for meter in &design.meters {
            let mut level = 0;
            for _ in 0..1000 {
                level = meter.after(level, true);
            }
            let good = (0..).take_while(|_| {
                level = meter.after(level, false);
                level >= meter.threshold
            });
            assert_eq!(good.count() as u32, meter.weight / 2, "{target} {}", meter.name);
        }
    }
}

#[test]
fn burn_rates_page_on_one_failure_of_an_hourly_job() {
    let mut month = vec![false; 50];
    month.push(true);
    assert_eq!(burn_pages(0.01, 24, &month), Some(50));
    // Of a job each minute they do not.
    assert_eq!(burn_pages(0.01, 1440, &month), None);
}

#[test]
fn promises_of_everything_and_of_nothing_have_meters_that_make_sense() {
    let all = Design::new(1.0, 24.0);
    assert_eq!(evidence_pages(&all, &[false, true]), Some(1));
    assert!(Design::new(0.0, 24.0).meters.is_empty() && Design::new(0.3, 24.0).meters.is_empty());
    for target in [f64::NAN, f64::INFINITY, -1.0, 2.0, 0.5, 0.79, 0.999_999, 1.0 - 1e-13] {
        for runs in [f64::NAN, -1.0, 0.0, 24.0, f64::INFINITY] {
            let design = Design::new(target, if target > 0.9 { runs.min(24.0) } else { runs });
            assert!(RUNS_A_DAY.contains(&design.runs_a_day), "{target} {runs}");
        }
    }
}
