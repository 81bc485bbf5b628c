//! Results that all go to the driver.

use super::Finding;
use super::measure;
use super::size;
use crate::facts::Run;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Rule, Severity};
use stoke_model::memory::ByteUnit;
use stoke_model::units::people::{bytes, memory, percent, up_to_multiple};

/// `spark.driver.maxResultSize` by default.
const DEFAULT_LIMIT: u64 = 1 << 30;
/// The share of the limit from which the next run may be refused. Ours: data of a half more is nothing unusual.
const NEAR: f64 = 0.6;
/// Below it nothing is said, whatever the limit.
const WORTH_BYTES: u64 = 64 << 20;

const RULE: Rule = Rule {
    text: "The results of one stage's tasks, >= 64 MiB together, came to >= 60 % of spark.driver.maxResultSize, above which Spark ends the job.",
    source: "https://spark.apache.org/docs/latest/configuration.html#application-properties (spark.driver.maxResultSize)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    // 0 is not a limit, and nothing is near it.
    let Some(limit @ 1..) = size(run, "spark.driver.maxResultSize", ByteUnit::Byte, DEFAULT_LIMIT) else {
        return Vec::new();
    };
    let near = |bytes: u64| bytes >= WORTH_BYTES && bytes as f64 >= NEAR * limit as f64 && bytes <= limit;
    let mut stages: Vec<_> = measure::ran(run)
        .filter(|ran| near(ran.stage.totals.result_size))
        .collect();
    stages.sort_by_key(|ran| std::cmp::Reverse(ran.stage.totals.result_size));
    let Some(worst) = stages.first() else {
        return Vec::new();
    };
    let largest = worst.stage.totals.result_size;
    vec![Finding {
        diagnostic: Diagnostic::new(
            Severity::Warning,
            "large-results",
            format!(
                "{} sent {} to the driver, {} of what it takes; somewhat more data would end the \
                job.",
                worst.place(),
                bytes(largest),
                percent(largest as f64 / limit as f64)
            ),
        )
        .with_evidence(
            stages
                .iter()
                .take(3)
                .map(|ran| {
                    Evidence::new(
                        ran.place(),
                        format!("{} of results", bytes(ran.stage.totals.result_size)),
                    )
                })
                .chain([Evidence::new("spark.driver.maxResultSize", bytes(limit))])
                .collect(),
        )
        .with_rule(RULE)
        .with_fix(Fix {
            text: "Write the result to storage instead of collecting it, or collect less of it (limit, \
            aggregate). A higher limit needs as much more memory in the driver."
                .to_owned(),
            patch: Some(super::conf(&[(
                "spark.driver.maxResultSize",
                memory(up_to_multiple(largest.saturating_mul(2), 1 << 30)),
            )])),
        }),
        weight: largest >> 20,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    #[test]
    fn results_near_the_limit_are_told() {
        for (limit, result, told) in [
            (None, 800u64 << 20, true),
            (None, 500 << 20, false),
            (Some("100m"), 70 << 20, true),
            (Some("10m"), 9 << 20, false),
            (Some("0"), 8 << 30, false),
            (Some("many"), 8 << 30, false),
            // Above the limit the job was refused: a failure, not advice.
            (Some("100m"), 101 << 20, false),
        ] {
            let mut run = fixture::run(1, 4, 100_000);
            let stage = fixture::stage(&mut run, 1, &fixture::even(4, 4, 1_000));
            stage.tasks[0].result_size = result;
            fixture::total(&mut run, 1);
            if let Some(limit) = limit {
                run.spark
                    .insert("spark.driver.maxResultSize".to_owned(), limit.to_owned());
            }
            assert_eq!(rule(&run).len(), usize::from(told), "{limit:?} {result}");
        }
    }
}
