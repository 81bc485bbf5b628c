//! How the run went: what cost it time or money although it may have ended well.
//!
//! Each file is a family of rules. Every rule has a floor in time or money besides its ratio ([`worth`]), so that a run which is short, small
//! or simply well made gets no advice. What a fix gains is computed from recorded tasks by a model the gain's text names; where the model
//! can only bound the gain from above, it says "at most".

mod churn;
mod delays;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod gc;
mod idle;
mod incomplete;
mod joins;
pub(super) mod lost;
mod measure;
mod memory;
mod partitions;
mod python;
mod recompute;
mod results;
mod skew;
mod spill;
mod worth;

pub use idle::busy_share;

use std::cmp::Reverse;

pub(crate) use measure::{busy, cores, quantile, since, task_cpus};
use serde_json::{Map, Value, json};

use stoke_diagnostics::Diagnostic;

use crate::facts::{Facts, Run};

/// What a rule found.
#[derive(Debug)]
struct Finding {
    diagnostic: Diagnostic,
    /// What comes first within its severity: milliseconds of the run's time it costs.
    weight: u64,
}

/// All findings about how the run went, the most costly first within each severity.
pub fn findings(facts: &Facts) -> Vec<Diagnostic> {
    let Some(run) = &facts.run else {
        return Vec::new();
    };
    let rules: [fn(&Run) -> Vec<Finding>; 15] = [
        skew::rule,
        spill::rule,
        partitions::rule,
        files::rule,
        gc::rule,
        joins::rule,
        idle::rule,
        memory::rule,
        delays::rule,
        results::rule,
        lost::rule,
        recompute::rule,
        python::rule,
        incomplete::rule,
        churn::rule,
    ];
    let mut all: Vec<Finding> = rules.iter().flat_map(|rule| rule(run)).collect();
    all.sort_by_key(|finding| Reverse((finding.diagnostic.severity, finding.weight)));
    all.into_iter().map(|finding| finding.diagnostic).collect()
}

/// A patch of keys of `sparkConf`.
fn conf(keys: &[(&str, String)]) -> Value {
    let keys: Map<String, Value> = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str())))
        .collect();
    json!({"spec": {"sparkConf": keys}})
}

/// A number of a property, or what Spark takes without it.
fn number(run: &Run, key: &str, default: u64) -> u64 {
    run.property(key)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(default)
}

/// Whether a property is on.
fn on(run: &Run, key: &str, default: bool) -> bool {
    run.property(key)
        .map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
}

/// A size of a property in bytes, or what Spark takes without it; none for a negative one (which switches things off) and what is not a size.
fn size(run: &Run, key: &str, unit: stoke_model::memory::ByteUnit, default: u64) -> Option<u64> {
    match run.property(key) {
        None => Some(default),
        Some(text) => stoke_model::memory::Memory::parse(text.trim(), unit)
            .ok()
            .map(stoke_model::memory::Memory::bytes),
    }
}

/// Whether adaptive execution was on (the default since 3.2).
fn adaptive(run: &Run) -> bool {
    on(run, "spark.sql.adaptive.enabled", true)
}

/// The memory an executor's JVM was given: `spark.executor.memory`, or the driver's where the master is local.
pub(crate) fn heap(run: &Run) -> u64 {
    let local = run.workers().all(|(_, worker)| worker.id == crate::facts::run::DRIVER);
    let key = if local {
        "spark.driver.memory"
    } else {
        "spark.executor.memory"
    };
    size(run, key, stoke_model::memory::ByteUnit::Mib, 1 << 30).unwrap_or(1 << 30)
}
