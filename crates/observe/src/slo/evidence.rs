//! Evidence that an objective is broken: a clipped sequential likelihood test of the runs of one job.
//!
//! Each run moves a meter: a bad one up by `ln(p1 / p0)`, a good one down by `ln((1 - p0) / (1 - p1))`, never below zero, where `p0` is the rate of bad
//! runs that the objective allows and `p1` a rate that should wake a person. The meter is the logarithm of how much better `p1` explains the runs since
//! it was last at zero. `p1` is moved a little so that a bad run weighs exactly as much as a whole number of good ones: then the meter is a whole
//! number, and the probability that it reaches a threshold is computed exactly ([`crossing`]) instead of bounded or guessed.
//!
//! Two meters watch a job. `fast` looks for fifteen times the allowed rate and for outages, `slow` for five times. Their thresholds are the
//! smallest for which both together page falsely in at most [`AT_OBJECTIVE`] of months at the objective itself and [`WELL_WITHIN`] at 0.4 of
//! the allowed rate, for as many runs a day as the job has.
//!
//! A page begins when a meter reaches its threshold and ends when it falls below it. A meter rises at most half a bad run above its threshold, so some
//! `weight / 2` good runs end a page however long the outage was. An acknowledgement sets both meters to zero: what was seen does not page again, and an
//! outage that goes on does.

use serde::Serialize;

/// The most false pages of a job and month at the objective itself.
pub const AT_OBJECTIVE: f64 = 0.005;
/// The most false pages of a job and month at [`WITHIN`] of the allowed rate.
pub const WELL_WITHIN: f64 = 0.0001;
/// A job that is well within its objective, as a share of the allowed rate.
pub const WITHIN: f64 = 0.4;
/// How much of the first and of the second goes to the fast meter.
const FAST_SHARES: [f64; 2] = [0.92, 0.98];
/// Days of the month that the bounds are for.
const MONTH: f64 = 30.0;
/// Runs that the bounds are for at least: a page of a weekly job needs a record too.
const FEWEST_RUNS: f64 = 30.0;
/// Runs a day for which meters are designed; a job has the meters of the next one, so that they do not move with every run.
pub const RUNS_A_DAY: [u32; 12] = [1, 2, 4, 8, 12, 24, 48, 96, 144, 288, 720, 1440];
/// A weight beyond which a meter of steps would be slow to compute and say no more.
const HEAVIEST: f64 = 500.0;

/// One meter of a job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meter {
    /// `fast` or `slow`.
    pub name: &'static str,
    /// The rate of bad runs it looks for.
    pub bad_rate: f64,
    /// How many good runs take back a bad one.
    pub weight: u32,
    /// The logarithm of the likelihood ratio that a good run takes away.
    pub unit: f64,
    /// Where it pages, in units.
    pub threshold: u32,
}

/// The meters for an objective at a number of runs a day.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Design {
    /// The rate of bad runs that the objective allows.
    pub allowed_rate: f64,
    pub runs_a_day: u32,
    pub meters: Vec<Meter>,
}

impl Meter {
    /// A meter between these rates, without a threshold yet.
    fn between(name: &'static str, allowed: f64, wanted: f64) -> Meter {
        let weight_at = |bad: f64| (bad / allowed).ln() / ((1.0 - allowed) / (1.0 - bad)).ln();
        let weight = weight_at(wanted).round().clamp(1.0, HEAVIEST);
        // The rate with exactly this weight: a higher one has a lower weight.
        let (mut low, mut high) = (allowed, 1.0);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if middle > allowed && weight_at(middle) <= weight {
                high = middle;
            } else {
                low = middle;
            }
        }
        Meter {
            name,
            bad_rate: high,
            weight: weight as u32,
            unit: ((1.0 - allowed) / (1.0 - high)).ln(),
            threshold: u32::MAX,
        }
    }

    /// The highest it can be.
    #[must_use]
    pub fn cap(&self) -> u32 {
        self.threshold.saturating_add(self.weight / 2)
    }

    /// What it is after one more run.
    #[must_use]
    pub fn after(&self, level: u32, bad: bool) -> u32 {
        match bad {
            true => level.saturating_add(self.weight).min(self.cap()),
            false => level.saturating_sub(1),
        }
    }

    /// A level as the logarithm of a likelihood ratio.
    #[must_use]
    pub fn nats(&self, level: u32) -> f64 {
        f64::from(level) * self.unit
    }

    /// How many bad runs in a row page, from zero.
    #[must_use]
    pub fn bad_in_a_row(&self) -> u32 {
        self.threshold.div_ceil(self.weight.max(1)).max(1)
    }
}

/// Where the search for a threshold ends.
const MOST_STEPS: u32 = 1 << 16;

impl Design {
    /// The meters for a target (0.99) and a number of runs a day. A target of 1 pages on the first bad run; one of 0 never does.
    #[must_use]
    pub fn new(target: f64, runs_a_day: f64) -> Design {
        // Without the digits that a subtraction from 1 leaves behind.
        let allowed_rate = super::math::probability(((1.0 - super::math::probability(target)) * 1e12).round() / 1e12);
        let runs_a_day = step_of(runs_a_day);
        let mut design = Design {
            allowed_rate,
            runs_a_day,
            meters: Vec::new(),
        };
        if allowed_rate <= 0.0 {
            design.meters.push(Meter {
                name: "fast",
                bad_rate: 1.0,
                weight: 1,
                unit: 1.0,
                threshold: 1,
            });
            return design;
        }
        if allowed_rate > 0.5 {
            return design;
        }
        let fast = Meter::between("fast", allowed_rate, fast_rate(allowed_rate));
        let slow = Meter::between("slow", allowed_rate, (5.0 * allowed_rate).min(0.5));
        let both = slow.bad_rate > allowed_rate && slow.weight > fast.weight;
        let shares = if both { FAST_SHARES } else { [1.0, 1.0] };
        design.meters.push(design.with_threshold(fast, shares));
        if both {
            let rest = shares.map(|share| 1.0 - share);
            design.meters.push(design.with_threshold(slow, rest));
        }
        design
    }

    /// Runs in the month that the bounds are for.
    #[must_use]
    pub fn runs_a_month(&self) -> u64 {
        (f64::from(self.runs_a_day) * MONTH).max(FEWEST_RUNS) as u64
    }

    /// The smallest threshold that keeps this share of the bounds. One of a heavy meter is found to a thirty-second of a bad run.
    fn with_threshold(&self, meter: Meter, shares: [f64; 2]) -> Meter {
        let (at_objective, well_within) = (shares[0] * AT_OBJECTIVE, shares[1] * WELL_WITHIN);
        let runs = self.runs_a_month();
        let step = (meter.weight / 32).max(1);
        let keeps = |steps: u32, rate: f64, most: f64| {
            let threshold = steps.saturating_mul(step);
            crossing_up_to(&Meter { threshold, ..meter }, rate, runs, most) <= most
        };
        let smallest = |from: u32, rate: f64, most: f64| {
            if keeps(from, rate, most) {
                return from;
            }
            // Wald's bound, `runs * p1 * exp(-threshold)`, is seldom too low.
            let wald = (runs as f64 * meter.bad_rate / most).ln().max(1.0) / meter.unit;
            let mut high = (wald as u32 / step).max(from).saturating_add(1).min(MOST_STEPS);
            while high < MOST_STEPS && !keeps(high, rate, most) {
                high = high.saturating_add(meter.weight / step + 1);
            }
            let mut low = from.saturating_add(1);
            while low < high {
                let middle = low + (high - low) / 2;
                if keeps(middle, rate, most) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            high
        };
        let high = smallest(1, self.allowed_rate, at_objective);
        let high = smallest(high, WITHIN * self.allowed_rate, well_within);
        Meter {
            threshold: high.saturating_mul(step),
            ..meter
        }
    }
}

/// The rate that should wake a person at once: fifteen times what is allowed, at least 15 % and at most every second run. Fifteen, not twenty: against a
/// job that is well within its objective, this finds a true 20 % soonest.
fn fast_rate(allowed: f64) -> f64 {
    match allowed > 0.2 {
        true => 0.5 * (1.0 + allowed),
        false => (15.0 * allowed).clamp(0.15, 0.5),
    }
}

/// The number of runs a day that meters are designed for, for a job with so many.
#[must_use]
pub fn step_of(runs: f64) -> u32 {
    let most = RUNS_A_DAY[RUNS_A_DAY.len() - 1];
    let step = RUNS_A_DAY.iter().copied().find(|step| f64::from(*step) >= runs);
    step.unwrap_or(most)
}

/// The probability that a meter reaches its threshold within so many runs, when each is bad with this probability: exact, by the distribution of the
/// meter after each run.
#[must_use]
pub fn crossing(meter: &Meter, rate: f64, runs: u64) -> f64 {
    crossing_up_to(meter, rate, runs, 1.0)
}

/// The same, or any probability above `most` as soon as it is above it.
fn crossing_up_to(meter: &Meter, rate: f64, runs: u64, most: f64) -> f64 {
    let mut chain = Chain::new(meter, rate);
    for _ in 0..runs {
        chain.step();
        if chain.crossed > most {
            break;
        }
    }
    chain.crossed
}

/// How many runs pass until a meter at zero reaches its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Delay {
    pub mean: f64,
    /// The 90th percentile.
    pub p90: u64,
}

/// How soon a meter pages at this rate of bad runs; none when that takes more than a million runs.
#[must_use]
pub fn delay(meter: &Meter, rate: f64) -> Option<Delay> {
    let mut chain = Chain::new(meter, rate);
    let (mut mean, mut p90) = (0.0, None);
    for run in 1..=1_000_000 {
        mean += 1.0 - chain.crossed;
        chain.step();
        if p90.is_none() && chain.crossed >= 0.9 {
            p90 = Some(run);
        }
        if chain.crossed > 1.0 - 1e-9 {
            return p90.map(|p90| Delay { mean, p90 });
        }
    }
    None
}

/// The distribution of a meter that has not reached its threshold.
struct Chain {
    levels: Vec<f64>,
    next: Vec<f64>,
    weight: usize,
    rate: f64,
    crossed: f64,
}

impl Chain {
    fn new(meter: &Meter, rate: f64) -> Chain {
        let mut levels = vec![0.0; meter.threshold.max(1) as usize];
        levels[0] = 1.0;
        Chain {
            next: vec![0.0; levels.len()],
            weight: (meter.weight as usize).min(levels.len()),
            levels,
            rate: super::math::probability(rate),
            crossed: 0.0,
        }
    }

    /// One more run.
    fn step(&mut self) {
        let (good, top) = (1.0 - self.rate, self.levels.len());
        let (stays, crosses) = self.levels.split_at(top - self.weight);
        self.crossed += self.rate * crosses.iter().sum::<f64>();
        for (next, above) in self.next.iter_mut().zip(&self.levels[1..]) {
            *next = good * above;
        }
        self.next[top - 1] = 0.0;
        for (next, below) in self.next[self.weight..].iter_mut().zip(stays) {
            *next += self.rate * below;
        }
        // A good run at zero stays there.
        self.next[0] += good * self.levels[0];
        std::mem::swap(&mut self.levels, &mut self.next);
    }
}
