//! Executors that dynamic allocation lets go and asks for again soon after.

use super::Finding;
use super::measure::{core_time, since};
use super::{conf, on, worth};
use crate::facts::Run;
use stoke_diagnostics::{Diagnostic, Evidence, Gain, Rule, Severity};
use stoke_model::units::duration::{TimeUnit, parse_spark};
use stoke_model::units::people::{counted, duration};

/// A pause after which keeping an executor would have cost more than starting one. Ours.
const SOON: u64 = 120_000;
/// Core time that the start of a pod, a JVM and its caches costs on each core. Ours: the least of our recorded runs on Kubernetes.
const START: u64 = 10_000;

const RULE: Rule = Rule {
    text: "Dynamic allocation replaced at least as many executors as it ever had at once, each within 2 minutes of letting one go, and at 10 s for each start that is >= 10 core-minutes.",
    source: "https://spark.apache.org/docs/latest/job-scheduling.html#remove-policy",
};

/// An executor that was let go, and for how long none took its place.
struct Replaced {
    at: u64,
    pause: u64,
    cores: u64,
}

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    if !on(run, "spark.dynamicAllocation.enabled", false) {
        return Vec::new();
    }
    let replaced = replaced(run);
    let cost = replaced
        .iter()
        .map(|one| one.cores.saturating_mul(START))
        .fold(0, u64::saturating_add);
    if replaced.is_empty() || replaced.len() < most_at_once(run) || cost < worth::WORTH_CORE_TIME {
        return Vec::new();
    }
    let longest = replaced.iter().map(|one| one.pause).max().unwrap_or_default();
    let timeout = idle_timeout(run).saturating_add(longest).div_ceil(1_000);
    let evidence = replaced.iter().take(3).map(|one| {
        Evidence::new(
            format!("{} after the start", duration(one.at)),
            format!(
                "an executor was let go; {} later another one joined",
                duration(one.pause)
            ),
        )
    });
    let cores = replaced.iter().map(|one| one.cores).fold(0, u64::saturating_add);
    vec![Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "executor-churn",
            format!(
                "Dynamic allocation let {} go and started others within 2 minutes.",
                counted(replaced.len(), "executor")
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(RULE)
        .with_fix(stoke_diagnostics::Fix {
            text: format!(
                "Keep executors through the pauses between stages, of which the longest was {}. They cost money meanwhile.",
                duration(longest)
            ),
            patch: Some(conf(&[(
                "spark.dynamicAllocation.executorIdleTimeout",
                format!("{timeout}s"),
            )])),
        })
        .with_gain(Gain {
            text: format!(
                "about {} that only started up; and stages do not wait for them",
                core_time(cost)
            ),
            milliseconds: None,
        }),
        weight: cost / cores.max(1),
    }]
}

/// Removals that Spark itself wanted, each with the next executor that joined and was not counted for another.
fn replaced(run: &Run) -> Vec<Replaced> {
    let mut gone: Vec<(i64, u32)> = run
        .workers()
        .filter(|(_, worker)| worker.removed_because.contains("killed by driver"))
        .filter_map(|(_, worker)| Some((worker.removed?, worker.cores)))
        .collect();
    gone.sort_unstable();
    let mut joined: Vec<i64> = run.workers().map(|(_, worker)| worker.added).collect();
    joined.sort_unstable();
    let mut joined = joined.into_iter().peekable();
    let mut all = Vec::new();
    for (removed, cores) in gone {
        while joined.next_if(|added| *added < removed).is_some() {}
        let Some(pause) = joined.peek().map(|added| added.saturating_sub(removed).unsigned_abs()) else {
            break;
        };
        if pause <= SOON {
            joined.next();
            all.push(Replaced {
                at: since(run, removed),
                pause,
                cores: u64::from(cores),
            });
        }
    }
    all
}

fn most_at_once(run: &Run) -> usize {
    let mut changes: Vec<(i64, isize)> = run
        .workers()
        .flat_map(|(_, worker)| [(worker.added, 1), (worker.removed.unwrap_or(i64::MAX), -1)])
        .collect();
    changes.sort_unstable();
    let mut now = 0isize;
    let most = changes.iter().map(|(_, change)| {
        now = now.saturating_add(*change);
        now
    });
    most.max().unwrap_or_default().unsigned_abs()
}

/// Milliseconds; Spark's default is a minute.
fn idle_timeout(run: &Run) -> u64 {
    run.property("spark.dynamicAllocation.executorIdleTimeout")
        .and_then(|text| parse_spark(text.trim(), TimeUnit::Second).ok())
        .and_then(|time| u64::try_from(time.as_millis()).ok())
        .unwrap_or(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::performance::fixture;

    /// Ten executors of eight cores that leave at `left` and ten that join at `joined`.
    fn run(left: i64, joined: i64) -> Run {
        let mut run = fixture::run(20, 8, 900_000);
        run.spark
            .insert("spark.dynamicAllocation.enabled".to_owned(), "true".to_owned());
        let start = run.started;
        for (index, executor) in run.executors.iter_mut().enumerate() {
            if index < 10 {
                executor.removed = Some(start + left + index as i64);
                executor.removed_because = "Executor killed by driver.".to_owned();
            } else {
                executor.added = start + joined + index as i64;
            }
        }
        run
    }

    #[test]
    fn a_fleet_that_comes_back_is_found_and_one_that_stays_away_is_not() {
        let finding = rule(&run(300_000, 345_000)).remove(0).diagnostic;
        assert_eq!(finding.code, "executor-churn");
        assert!(finding.message.contains("10 executors"), "{}", finding.message);
        // 80 cores for 10 s each.
        assert!(
            finding
                .gain
                .as_ref()
                .is_some_and(|gain| gain.text.contains("13.3 core-minutes")),
            "{:?}",
            finding.gain
        );
        assert_eq!(
            finding.patch().expect("a patch")["spec"]["sparkConf"]["spark.dynamicAllocation.executorIdleTimeout"],
            "106s"
        );
        assert!(rule(&run(300_000, 421_000)).is_empty(), "they came after two minutes");
        assert!(rule(&run(300_000, 200_000)).is_empty(), "none came after");
        let mut crashed = run(300_000, 345_000);
        for executor in &mut crashed.executors {
            executor.removed_because = "The executor with id 1 exited with exit code 137.".to_owned();
        }
        assert!(rule(&crashed).is_empty());
        let mut fixed = run(300_000, 345_000);
        fixed.spark.clear();
        assert!(rule(&fixed).is_empty());
        let mut small = run(300_000, 345_000);
        small.executors.iter_mut().for_each(|executor| executor.cores = 1);
        assert!(rule(&small).is_empty(), "100 core-seconds are not worth a line");
    }
}
