//! Time tasks waited: for the driver to start them and take their results, and for other executors' shuffle data.

use super::Finding;
use super::measure::{self, Ran};
use super::worth;
use crate::facts::Run;
use crate::facts::run::Task;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{bytes, count, duration, percent};

/// Waiting for shuffle data over the tasks' run time. Ours.
const FETCH_SHARE: f64 = 0.2;
/// Time outside of run and deserialisation over the tasks' duration. Ours.
const DELAY_SHARE: f64 = 0.3;
/// Shorter tasks are too many tasks, which another rule tells.
const LONG_TASK: u64 = 200;

const FETCH: Rule = Rule {
    text: "Tasks waited for shuffle data for >= 20 % of their run time, and that time is worth telling.",
    source: "https://spark.apache.org/docs/latest/monitoring.html#executor-task-metrics (shuffleReadMetrics.fetchWaitTime)",
};
const DELAY: Rule = Rule {
    text: "Tasks of >= 200 ms were neither deserialised nor run for >= 30 % of their duration, and that time is worth telling.",
    source: "https://spark.apache.org/docs/latest/web-ui.html#stage-detail (scheduler delay)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let fetch = slow_stages(run, |ran| {
        let totals = &ran.stage.totals;
        (totals.fetch_wait as f64 >= FETCH_SHARE * totals.run_time as f64 && totals.shuffle_read > 0)
            .then_some(totals.fetch_wait)
    });
    let delay = slow_stages(run, |ran| {
        let sum = ran.sum(outside);
        let long = measure::quantile(ran.durations(), 0.5) >= LONG_TASK;
        (long && sum as f64 >= DELAY_SHARE * ran.work() as f64).then_some(sum)
    });
    let mut findings = Vec::new();
    if let Some((cost, stages)) = fetch {
        findings.push(fetch_wait(cost, &stages));
    }
    if let Some((cost, stages)) = delay {
        findings.push(scheduler_delay(cost, &stages));
    }
    findings
}

/// Time of a task that was neither run nor deserialisation. Serialising and fetching its result is in it.
fn outside(task: &Task) -> u64 {
    u64::from(task.duration).saturating_sub(u64::from(task.run_time) + u64::from(task.deserialize_time))
}

/// Stages in which something took task time, with that time, the worst first; and what it cost the run over the slots.
fn slow_stages<'a>(run: &'a Run, of: impl Fn(&Ran<'a>) -> Option<u64>) -> Option<(u64, Vec<(u64, Ran<'a>)>)> {
    let mut stages: Vec<(u64, Ran<'_>)> = measure::ran(run).filter_map(|ran| Some((of(&ran)?, ran))).collect();
    stages.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let cost = stages
        .iter()
        .map(|(time, ran)| (*time as f64 / ran.slots().min(ran.tasks.len() as f64).max(1.0)) as u64)
        .fold(0, u64::saturating_add);
    worth::time(run, cost).then_some((cost, stages))
}

fn fetch_wait(cost: u64, stages: &[(u64, Ran<'_>)]) -> Finding {
    let evidence = stages.iter().take(3).map(|(time, ran)| {
        let totals = &ran.stage.totals;
        Evidence::new(
            ran.place(),
            format!(
                "waited {} of {} for {} of shuffle data",
                duration(*time),
                duration(totals.run_time),
                bytes(totals.shuffle_read)
            ),
        )
    });
    Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "shuffle-fetch-wait",
            format!(
                "Tasks waited {} of the run for shuffle data of other executors.",
                duration(cost)
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(FETCH)
        .with_fix(
            "Shuffle less (filter and aggregate before the join, broadcast a small side), use \
            fewer and larger executors so that more data is local, and look at the network and \
            the disks of the nodes that serve it.",
        )
        .with_gain(Gain {
            text: format!("at most {}: the waiting over the slots", duration(cost)),
            milliseconds: Some(cost),
        }),
        weight: cost,
    }
}

fn scheduler_delay(cost: u64, stages: &[(u64, Ran<'_>)]) -> Finding {
    let evidence = stages.iter().take(3).map(|(time, ran)| {
        Evidence::new(
            ran.place(),
            format!(
                "{} of the {} of {} tasks were neither run nor deserialisation; results were {}",
                percent(*time as f64 / (ran.work() as f64).max(1.0)),
                duration(ran.work()),
                count(ran.tasks.len() as u64),
                bytes(ran.stage.totals.result_size),
            ),
        )
    });
    Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "scheduler-delay",
            format!(
                "The driver was slow to start tasks or to take their results: {} of the run.",
                duration(cost)
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(DELAY)
        .with_fix(Fix {
            text: "Give the driver more cores and memory, send less with each task (broadcast large \
            variables instead of capturing them) and return less from it."
                .to_owned(),
            patch: Some(serde_json::json!({"spec": {"driver": {"cores": 2}}})),
        })
        .with_gain(Gain {
            text: format!("at most {}: that time over the slots", duration(cost)),
            milliseconds: Some(cost),
        }),
        weight: cost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    #[test]
    fn waiting_is_told_by_share_and_cost() {
        for (wait, outside, expected) in [
            (3_000, 0, vec!["shuffle-fetch-wait"]),
            (1_000, 0, vec![]),
            (0, 4_000, vec!["scheduler-delay"]),
            (0, 2_000, vec![]),
        ] {
            let mut run = fixture::run(1, 4, 100_000);
            let stage = fixture::stage(&mut run, 1, &fixture::even(16, 4, 10_000));
            for task in &mut stage.tasks {
                (task.fetch_wait, task.shuffle_read) = (wait, 1 << 20);
                task.run_time = task.duration - outside;
            }
            fixture::total(&mut run, 1);
            let codes: Vec<_> = rule(&run)
                .iter()
                .map(|finding| finding.diagnostic.code.clone())
                .collect();
            assert_eq!(codes, expected, "{wait} {outside}");
        }
    }
}
