//! What pairs of runs say of the ratio behind them, looked at after every pair.
//!
//! **What is assumed.** The new release takes a constant multiple of what the old one would have taken in its place, and a coin decides for each pair which of
//! both runs first. Nothing is assumed of the noise: it may be skewed, have heavy tails, drift or depend on what was before. For the true ratio the sign
//! of what is left of each pair is then a fair coin, whatever its size: the coin that was thrown (R. Fisher, "The Design of Experiments", 1935).
//!
//! **The rule.** Someone bets on these signs. With one unit at the beginning, the share `EDGE * tanh(rate * size)` of the wealth is put on "above" before
//! each sign is seen, so a fair coin does not let the wealth grow in expectation: it is a martingale that stays above zero, and the probability that it ever
//! reaches `1 / p` is at most `p` (J. Ville, 1939). The bets of symmetric variables are those of V. de la Peña, "A general class of exponential inequalities
//! for martingales and ratios", 1999; betting as a test, with intervals that hold at all times: A. Ramdas, P. Grünwald, V. Vovk and G. Shafer,
//! "Game-theoretic statistics and safe anytime-valid inference", 2023. Rates are mixed, as the noise is not known in advance, and follow the scale
//! of the pairs before, which a bet may know.
//!
//! A ratio against which either side reached `2 / alpha` is out. What remains is an interval that holds the true ratio after every pair at once, with a
//! probability of at least `1 - alpha`: who stops when they like what they see deceives no one.

/// Share of the wealth that is put on a sign at most. Less than all of it: one run that hangs must not end the test.
const EDGE: f64 = 0.95;
/// Rates of betting, in units of the scale of the pairs before: the first finds small effects after many pairs, the last large ones after few.
const RATES: [f64; 3] = [0.35, 1.0, 3.0];
/// Scale of the logarithm of a ratio before there are pairs; it counts as much as one pair.
const SCALE: f64 = 0.05;
/// How much wider than the scale so far a difference counts at most.
const CUT: f64 = 2.0;
/// Steps by which a bound is found.
const HALVINGS: u32 = 80;

/// On which side of a ratio the true one is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

/// The scale with which the next pair is bet on: known before it is seen. Of differences between neighbours, so that no mean is needed, and cut, so that one
/// run that hangs does not widen it for good.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    pairs: f64,
    last: f64,
    squares: f64,
}

impl Scale {
    fn now(&self) -> f64 {
        ((SCALE * SCALE + self.squares) / self.pairs.max(1.0)).sqrt()
    }

    fn add(&mut self, value: f64) {
        if self.pairs > 0.0 {
            let step = (value - self.last).abs() / std::f64::consts::SQRT_2;
            self.squares += step.min(CUT * self.now()).powi(2);
        }
        self.pairs += 1.0;
        self.last = value;
    }
}

/// The wealth of one who bets that the true logarithm of the ratio is on one side of `at`.
#[derive(Clone, Copy, Debug)]
struct Wealth {
    at: f64,
    side: Side,
    /// Logarithms, one for each rate.
    logs: [f64; RATES.len()],
}

impl Wealth {
    fn new(at: f64, side: Side) -> Self {
        Self {
            at,
            side,
            logs: [0.0; RATES.len()],
        }
    }

    fn bet(&mut self, value: f64, scale: f64) {
        let left = match self.side {
            Side::Above => value - self.at,
            Side::Below => self.at - value,
        };
        for (log, rate) in self.logs.iter_mut().zip(RATES) {
            *log += (EDGE * (rate * left / scale).tanh()).ln_1p();
        }
    }

    fn is_at_least(&self, log: f64) -> bool {
        // The mean is no more than the greatest.
        self.logs.iter().any(|one| *one >= log) && self.log() >= log
    }

    /// The logarithm of the mean of all rates.
    fn log(&self) -> f64 {
        let most = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.logs.iter().map(|log| (log - most).exp()).sum();
        most + (sum / RATES.len() as f64).ln()
    }
}

/// The logarithm of the wealth at which a ratio is out.
fn threshold(alpha: f64) -> f64 {
    (2.0 / alpha).ln()
}

/// The fewest pairs that can end in a verdict: when all of them say the same.
#[must_use]
pub fn fewest(alpha: f64) -> usize {
    (threshold(alpha) / EDGE.ln_1p()).floor() as usize + 1
}

/// What was found, of the logarithm of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The true ratio is above 1.
    Above,
    /// It is below 1.
    Below,
    /// It is nearer to 1 than the effect that matters, on both sides.
    Within,
}

/// The verdict as pairs come, without the interval: four wealths.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    scale: Scale,
    threshold: f64,
    above: Wealth,
    below: Wealth,
    /// Below the effect that matters, and above its inverse.
    not_more: Wealth,
    not_less: Wealth,
}

impl Watch {
    /// `effect` is the logarithm of the ratio that matters.
    #[must_use]
    pub fn new(effect: f64, alpha: f64) -> Self {
        Self {
            scale: Scale::default(),
            threshold: threshold(alpha),
            above: Wealth::new(0.0, Side::Above),
            below: Wealth::new(0.0, Side::Below),
            not_more: Wealth::new(effect, Side::Below),
            not_less: Wealth::new(-effect, Side::Above),
        }
    }

    /// The verdict with one more logarithm of a ratio, if there is one.
    pub fn see(&mut self, value: f64) -> Option<Found> {
        let scale = self.scale.now();
        self.scale.add(value);
        for wealth in [&mut self.above, &mut self.below, &mut self.not_more, &mut self.not_less] {
            wealth.bet(value, scale);
        }
        let out = |wealth: &Wealth| wealth.is_at_least(self.threshold);
        if out(&self.not_more) && out(&self.not_less) {
            return Some(Found::Within);
        }
        // Both at once would say that the assumption does not hold: no verdict.
        match (out(&self.above), out(&self.below)) {
            (true, false) => Some(Found::Above),
            (false, true) => Some(Found::Below),
            _ => None,
        }
    }
}

/// What pairs say of the logarithm of the ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// Where neither side has the better bets; between the bounds.
    pub estimate: Option<f64>,
    /// None: there are too few pairs for a bound.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// The interval after these pairs. Numbers that are not finite are left out.
#[must_use]
pub fn interval(values: &[f64], alpha: f64) -> Interval {
    let mut scale = Scale::default();
    let bets: Vec<(f64, f64)> = values
        .iter()
        .filter(|value| value.is_finite())
        .map(|value| {
            let before = scale.now();
            scale.add(*value);
            (*value, before)
        })
        .collect();
    if bets.is_empty() {
        return Interval::default();
    }
    // Beyond this all bets are won, or lost, as far as they can be.
    let wide = 50.0 * bets.iter().map(|(_, scale)| *scale).fold(SCALE, f64::max);
    let least = bets.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min) - wide;
    let most = bets.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max) + wide;
    let log = |at: f64, side: Side| {
        let mut wealth = Wealth::new(at, side);
        bets.iter().for_each(|(value, scale)| wealth.bet(*value, *scale));
        wealth.log()
    };
    let threshold = threshold(alpha);
    // The wealth of "above" falls as the ratio that it is held against rises.
    let low = (log(least, Side::Above) >= threshold).then(|| last(least, most, |at| log(at, Side::Above) >= threshold));
    let high = (log(most, Side::Below) >= threshold).then(|| last(most, least, |at| log(at, Side::Below) >= threshold));
    Interval {
        estimate: Some(last(least, most, |at| log(at, Side::Above) >= log(at, Side::Below))),
        low,
        high,
    }
}

/// The last point, from `holds` to `fails`, at which something still holds.
fn last(holds: f64, fails: f64, is: impl Fn(f64) -> bool) -> f64 {
    let (mut holds, mut fails) = (holds, fails);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (holds + fails);
        if middle == holds || middle == fails {
            break;
        }
        if is(middle) { holds = middle } else { fails = middle }
    }
    holds
}
