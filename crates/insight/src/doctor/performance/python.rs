//! Time rows spent in Python workers.

use super::Finding;
use super::measure;
use super::{conf, on, worth};
use crate::facts::Run;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, counted, duration, percent};

/// The share of a query's task time spent in Python from which it is told. Ours.
const SHARE: f64 = 0.3;

const RULE: Rule = Rule {
    text: "Plain Python UDFs (BatchEvalPython) took >= 30 % of a query's task time by Spark's own measure, in time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/api/python/tutorial/sql/arrow_pandas.html#arrow-python-udfs",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let mut found: Vec<(u64, Finding)> = Vec::new();
    for (id, query) in &run.queries {
        let stages: Vec<_> = measure::ran(run)
            .filter(|ran| ran.stage.job.is_some_and(|job| query.jobs.contains(&job)))
            .collect();
        let work: u64 = stages
            .iter()
            .map(|ran| ran.stage.totals.run_time)
            .fold(0, u64::saturating_add);
        let slots = stages
            .iter()
            .map(|ran| ran.slots().min(ran.tasks.len() as f64))
            .fold(1.0, f64::max);
        for node in query.plan.nodes() {
            if node.name != "BatchEvalPython" {
                continue;
            }
            let metric = |name| node.metric(name).map_or(0, i64::unsigned_abs);
            let time = metric("time to run Python workers");
            let cost = (time as f64 / slots) as u64;
            if (time as f64) < SHARE * work as f64 || !worth::time(run, cost) {
                continue;
            }
            let evidence = vec![
                Evidence::new(format!("query {id}"), node.text.clone()),
                Evidence::new(
                    format!("query {id}"),
                    format!(
                        "Python workers ran {} of {} of task time for {}; {} went to them and {} came back",
                        duration(time),
                        duration(work),
                        counted(metric("number of output rows"), "row"),
                        bytes(metric("data sent to Python workers")),
                        bytes(metric("data returned from Python workers"))
                    ),
                ),
            ];
            let arrow = on(run, "spark.sql.execution.pythonUDF.arrow.enabled", false);
            found.push((
                cost,
                Finding {
                    diagnostic: Diagnostic::new(
                        Severity::Advice,
                        "python-udf",
                        format!(
                            "A Python function that is called for each row took {} of query {id}'s task time.",
                            percent((time as f64 / work.max(1) as f64).min(1.0))
                        ),
                    )
                    .with_evidence(evidence)
                    .with_rule(RULE)
                    .with_fix(Fix {
                        text: "Use Spark's own functions where there are any: they run in the JVM. Else make it a \
                        pandas UDF that works on whole columns, or let Spark move rows by Arrow instead of \
                        pickle, which helps with moving them and not with the function itself."
                            .to_owned(),
                        patch: (!arrow)
                            .then(|| conf(&[("spark.sql.execution.pythonUDF.arrow.enabled", "true".to_owned())])),
                    })
                    .with_gain(Gain {
                        text: format!("at most {}: all time in Python workers, over the slots", duration(cost)),
                        milliseconds: Some(cost),
                    }),
                    weight: cost,
                },
            ));
        }
    }
    found
        .into_iter()
        .max_by_key(|(cost, _)| *cost)
        .map(|(_, finding)| finding)
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;
    use crate::facts::run::{Plan, Query};

    #[test]
    fn python_is_told_where_spark_measured_it() {
        for (name, time, told) in [
            ("BatchEvalPython", Some(60_000), true),
            ("BatchEvalPython", Some(10_000), false),
            ("BatchEvalPython", None, false),
            ("ArrowEvalPython", Some(60_000), false),
        ] {
            let mut run = fixture::run(1, 4, 100_000);
            fixture::stage(&mut run, 1, &fixture::even(16, 4, 6_000));
            fixture::total(&mut run, 1);
            let plan = Plan {
                name: name.to_owned(),
                metrics: vec![("time to run Python workers".to_owned(), "timing".to_owned(), time)],
                ..Plan::default()
            };
            run.queries.insert(
                0,
                Query {
                    plan,
                    jobs: vec![1],
                    ..Query::default()
                },
            );
            assert_eq!(rule(&run).len(), usize::from(told), "{name} {time:?}");
        }
    }
}
