//! A/B: two releases run several times in turn on the same inputs, and whether one is slower or dearer is distinguished from noise.
//!
//! In: pairs of runs, and what is asked for ([`Design`]). Out: what they say of each metric ([`judge`]), whether another pair is needed, and the [`Record`] that
//! stands for it in the ledger. Nothing here runs anything.
//! - [`bets`]: the statistics; what is assumed, and what holds then
//! - [`judge`]: verdicts of metrics and of the whole
//! - [`dice`]: which release runs first
//! - [`outlook`]: how many pairs more it would take
//! - [`runs`]: pairs that others measured, read from a file

pub mod bets;
pub mod dice;
pub mod judge;
pub mod outlook;
pub mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};

pub use dice::{Which, first};
pub use judge::{Conclusion, Fate, Finding, Standing, conclude, fate, standing};

use crate::oci::Digest;
use crate::shadow::{Inputs, Output, Side};

/// Name of the gate that this is.
pub const GATE: &str = "ab";

/// What a record is.
pub const KIND: &str = "https://stoke.dev/predicates/ab/v1";

/// How the statistics are done; another rule gets another name.
pub const RULE: &str = "bets-on-signs/1";

/// Pairs that may be left out, since the old release failed or something could not be measured, before the A/B ends.
pub const LEFT_OUT: usize = 3;

/// Pairs that can be asked for.
const MOST_PAIRS: u32 = 10_000;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// From the start of the driver to its end.
    Time,
    /// Cores that were reserved, times seconds.
    CoreSeconds,
    /// What it cost by a price table.
    Cost,
}

impl Metric {
    /// As it is written in commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::Time => "time",
            Metric::CoreSeconds => "core-seconds",
            Metric::Cost => "cost",
        }
    }
}

/// What is asked for, before anything runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Design {
    pub rule: String,
    pub metrics: Vec<Metric>,
    /// The effect that matters, as a share: 0.05 is 5 % more, or the inverse of it less.
    pub effect: f64,
    /// How improbable a wrong verdict must be, over all metrics and looks together.
    pub alpha: f64,
    /// In which share of cases the number of pairs that is foretold suffices.
    pub power: f64,
    pub most_pairs: u32,
    /// No pair begins after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_seconds: Option<u64>,
    /// Of the coin.
    pub seed: u64,
}

impl Design {
    /// What each metric may spend of `alpha`.
    #[must_use]
    pub fn alpha_each(&self) -> f64 {
        self.alpha / self.metrics.len().max(1) as f64
    }

    /// The logarithm of the ratio that matters.
    #[must_use]
    pub fn log_effect(&self) -> f64 {
        self.effect.ln_1p()
    }

    /// The fewest pairs that can end in a verdict.
    #[must_use]
    pub fn fewest(&self) -> usize {
        bets::fewest(self.alpha_each())
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// A number that makes no sense, with the option that it belongs to.
    pub fn check(&self) -> Result<(), Box<Diagnostic>> {
        let wrong = |message: String, fix: &str| {
            Err(Box::new(
                Diagnostic::new(Severity::Error, "release-ab-design", message).with_fix(fix.to_owned()),
            ))
        };
        if self.rule != RULE {
            return wrong(
                format!("the rule `{}` is not the one of this Stoke, `{RULE}`", self.rule),
                "begin a new A/B",
            );
        }
        let mut seen = self.metrics.clone();
        seen.sort();
        seen.dedup();
        if seen.is_empty() || seen.len() < self.metrics.len() {
            return wrong(
                "--metric: none is named, or one twice".to_owned(),
                "name each of time, core-seconds and cost once at most",
            );
        }
        if !(0.001..=10.0).contains(&self.effect) {
            return wrong(
                format!("--effect: {} % is not between 0.1 % and 1000 %", self.effect * 100.0),
                "write the smallest difference that would matter to you, for example 5%",
            );
        }
        if !(1e-6..=0.5).contains(&self.alpha) {
            return wrong(
                format!("--alpha: {} is not between 0.000001 and 0.5", self.alpha),
                "write the probability of a false alarm that you accept, for example 0.05",
            );
        }
        if !(0.5..=0.99).contains(&self.power) {
            return wrong(
                format!("--power: {} is not between 0.5 and 0.99", self.power),
                "write the share of cases in which the foretold number of pairs suffices, for example 0.8",
            );
        }
        let fewest = self.fewest();
        if (self.most_pairs as usize) < fewest || self.most_pairs > MOST_PAIRS {
            return wrong(
                format!(
                    "--max-pairs: {} is not between {fewest} and {MOST_PAIRS}: with alpha {} and {} no verdict comes before pair {fewest}",
                    self.most_pairs,
                    self.alpha,
                    match self.metrics.len() {
                        1 => "one metric".to_owned(),
                        more => format!("{more} metrics"),
                    }
                ),
                "allow more pairs, or a greater alpha",
            );
        }
        if self.most_seconds == Some(0) {
            return wrong(
                "--max-time: no pair begins within 0 s".to_owned(),
                "write a time with a unit, for example 2h",
            );
        }
        Ok(())
    }
}

/// What both releases took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Values {
    pub old: f64,
    pub new: f64,
}

impl Values {
    /// The logarithm of new over old; none where that is not a number.
    #[must_use]
    pub fn log_ratio(&self) -> Option<f64> {
        let sensible = |value: f64| value.is_finite() && value > 0.0;
        let ratio = (sensible(self.old) && sensible(self.new)).then(|| self.new.ln() - self.old.ln());
        ratio.filter(|ratio| ratio.is_finite())
    }
}

/// Both releases, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pair {
    /// Which ran first.
    pub first: Which,
    pub began: Timestamp,
    pub old: Side,
    pub new: Side,
    #[serde(default)]
    pub values: BTreeMap<Metric, Values>,
    /// Why it does not count, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// What was done and seen; its digest stands in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub kind: String,
    /// What was tried.
    pub release: Digest,
    /// What it was compared with.
    pub against: Digest,
    pub verdict: Conclusion,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub design: Design,
    /// The overlay that both ran with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    pub inputs: Inputs,
    /// What each metric came to.
    pub metrics: Vec<Standing>,
    /// The pair that warms up and whose outputs are compared; it does not count.
    pub warm_up: Option<Pair>,
    pub outputs: Vec<Output>,
    pub pairs: Vec<Pair>,
    /// Why one run of the last pair took longer than the other, as `stoke compare` says it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub comparison: Value,
    /// What stands behind the verdict.
    #[serde(default)]
    pub reasons: Vec<Value>,
    /// What a reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Record {
    /// Reads a record about a release, and asks its pairs again what they say.
    ///
    /// # Errors
    /// Bytes that are something else, a record about another release, or one whose verdict does not follow from its pairs.
    pub fn read(bytes: &[u8], release: &Digest) -> Result<Self, Box<Diagnostic>> {
        let wrong = |message: String, fix: &str| {
            Box::new(Diagnostic::new(Severity::Error, "release-ab-record", message).with_fix(fix.to_owned()))
        };
        let record: Record = serde_json::from_slice(bytes).map_err(|error| {
            wrong(
                format!("that is not a record of an A/B: {error}"),
                "`stoke release ab --output json` writes one",
            )
        })?;
        if record.kind != KIND {
            let message = format!("the record is a `{}`, not a `{KIND}`", record.kind);
            return Err(wrong(message, "make it with this Stoke: `stoke release ab`"));
        }
        if record.release != *release {
            let message = format!("the record is about {}, not about {release}", record.release);
            return Err(wrong(
                message,
                "run the A/B of this release: what another one took says nothing of it",
            ));
        }
        record.design.check()?;
        let standings: Vec<Standing> = record
            .design
            .metrics
            .iter()
            .map(|metric| standing(*metric, &record.ratios(*metric), &record.design))
            .collect();
        let follows = conclude(&standings);
        // What ended it otherwise stands in its reasons, and can only be worse news than the pairs.
        if record.verdict.passes() && record.verdict != follows {
            let message = format!(
                "the record says `{}`, and its pairs say `{}`",
                record.verdict.words(),
                follows.words()
            );
            return Err(wrong(message, "take the record as `stoke release ab` wrote it"));
        }
        Ok(record)
    }

    /// Logarithms of the ratios of the pairs that count, in their order.
    #[must_use]
    pub fn ratios(&self, metric: Metric) -> Vec<f64> {
        ratios(&self.pairs, metric)
    }
}

/// Logarithms of the ratios of the pairs that count, in their order.
#[must_use]
pub fn ratios(pairs: &[Pair], metric: Metric) -> Vec<f64> {
    let counting = pairs.iter().filter(|pair| pair.left_out.is_none());
    counting
        .filter_map(|pair| pair.values.get(&metric)?.log_ratio())
        .collect()
}
