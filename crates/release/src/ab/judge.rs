//! What follows from pairs: of a metric, of the whole, and of one pair that did not go as it should.

use serde::{Deserialize, Serialize};
use stoke_diagnostics::Diagnostic;

use super::bets::{Found, Watch, interval};
use super::{Design, Metric, outlook};
use crate::shadow::{Conclusion as OfShadow, Facts, judge as of_shadow};

/// What was found of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The new release takes more.
    More,
    /// It takes less.
    Less,
    /// It takes neither more nor less by the effect that matters.
    NoDifference,
}

/// What pairs say of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    pub metric: Metric,
    /// Pairs that were looked at: all, or those up to the verdict.
    pub pairs: usize,
    /// New over old: 1.05 is 5 % more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Bounds of the true ratio; without one there are too few pairs for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The verdict; without one it cannot be told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Finding>,
    /// Pairs more that it would take, estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_pairs: Option<usize>,
}

/// What the logarithms of the ratios of a metric say, looked at one after the other; what comes after the verdict is not looked at.
#[must_use]
pub fn standing(metric: Metric, ratios: &[f64], design: &Design) -> Standing {
    let (alpha, effect) = (design.alpha_each(), design.log_effect());
    let mut watch = Watch::new(effect, alpha);
    let mut pairs = 0;
    let found = ratios.iter().find_map(|ratio| {
        pairs += 1;
        watch.see(*ratio)
    });
    let seen = &ratios[..pairs];
    let bounds = interval(seen, alpha);
    let more_pairs = match found {
        Some(_) => None,
        None => outlook::more(seen, effect, alpha, design.power, design.seed),
    };
    Standing {
        metric,
        pairs,
        ratio: bounds.estimate.map(f64::exp),
        low: bounds.low.map(f64::exp),
        high: bounds.high.map(f64::exp),
        found: found.map(|found| match found {
            Found::Above => Finding::More,
            Found::Below => Finding::Less,
            Found::Within => Finding::NoDifference,
        }),
        more_pairs,
    }
}

impl Standing {
    /// The verdict in a word or some.
    #[must_use]
    pub fn words(&self) -> &'static str {
        let is_time = self.metric == Metric::Time;
        match self.found {
            Some(Finding::More) if is_time => "slower",
            Some(Finding::More) => "dearer",
            Some(Finding::Less) if is_time => "faster",
            Some(Finding::Less) => "cheaper",
            Some(Finding::NoDifference) => "no difference that matters",
            None => "cannot tell",
        }
    }

    /// The ratio with its bounds, as changes in percent: `+31.2 % (+20.1 % to +43.0 %)`.
    #[must_use]
    pub fn change(&self) -> String {
        let Some(ratio) = self.ratio else {
            return "no pair yet".to_owned();
        };
        let bounds = match (self.low, self.high) {
            (None, None) => "no bounds yet".to_owned(),
            (low, high) => {
                let side = |bound: Option<f64>, none: &str| bound.map_or_else(|| none.to_owned(), percent);
                format!("{} to {}", side(low, "any less"), side(high, "any more"))
            }
        };
        format!("{} ({bounds})", percent(ratio))
    }
}

/// A ratio as a change in percent, with its sign.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let change = (ratio - 1.0) * 100.0;
    match change.abs() >= 99.95 {
        true => format!("{change:+.0} %"),
        false => format!("{change:+.1} %"),
    }
}

/// What comes out of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// No metric differs by what matters.
    NoDifference,
    /// A metric is better, and none is worse.
    Better,
    /// A metric is worse; or the new release fails, writes other data or writes elsewhere.
    Worse,
    CannotTell,
}

impl Conclusion {
    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Conclusion::NoDifference => "no difference that matters",
            Conclusion::Better => "better",
            Conclusion::Worse => "worse",
            Conclusion::CannotTell => "cannot tell",
        }
    }

    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Conclusion::NoDifference | Conclusion::Better)
    }
}

/// What the metrics say together: one that is worse decides, then one that cannot be told.
#[must_use]
pub fn conclude(standings: &[Standing]) -> Conclusion {
    let has = |found: Option<Finding>| standings.iter().any(|one| one.found == found);
    if has(Some(Finding::More)) {
        Conclusion::Worse
    } else if has(None) || standings.is_empty() {
        Conclusion::CannotTell
    } else if has(Some(Finding::Less)) {
        Conclusion::Better
    } else {
        Conclusion::NoDifference
    }
}

/// What becomes of a pair.
#[derive(Clone, Debug)]
pub enum Fate {
    Counts,
    /// It does not count, for this reason, and the A/B goes on.
    LeftOut(String),
    /// The A/B ends.
    Ends(Conclusion, Vec<Diagnostic>),
}

/// What becomes of a pair whose outputs are not compared: writes elsewhere and changed inputs are as bad as in a shadow run, a new release that fails is worse; one
/// failure of the old release, which completed before, is an accident.
#[must_use]
pub fn fate(facts: &Facts) -> Fate {
    let judged = of_shadow(facts);
    if judged.reasons.is_empty() {
        return Fate::Counts;
    }
    let baseline = |reason: &Diagnostic| reason.code == "release-shadow-baseline";
    match (&facts.old.failed, judged.said) {
        (Some(why), OfShadow::CannotTell)
            if facts.old.refused_writes.is_empty() && judged.reasons.iter().all(baseline) =>
        {
            Fate::LeftOut(format!("the old release failed: {why}"))
        }
        (_, OfShadow::Worse) => Fate::Ends(Conclusion::Worse, judged.reasons),
        _ => Fate::Ends(Conclusion::CannotTell, judged.reasons),
    }
}
