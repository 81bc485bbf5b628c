//! Executors without tasks, and a driver that keeps them waiting.

use super::Finding;
use super::measure::{self, core_time};
use super::{conf, on, worth};
use crate::facts::Run;
use crate::facts::run::DRIVER;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{counted, duration, percent};

/// The share of the executors' core time without a task from which it is told. Ours: half is usual for runs of many short stages.
const IDLE_SHARE: f64 = 0.6;
/// The share of the run's time without any task from which the driver is told. Ours.
const DRIVER_SHARE: f64 = 0.3;
/// How full executors of the size the patch proposes would be. Ours.
const FULL: f64 = 0.7;
/// Shorter pauses between stages are planning and the application's own steps, and usual. Ours.
const LONG_GAP: u64 = 10_000;

const IDLE: Rule = Rule {
    text: "Executors' cores had no task for >= 60 % of their time and >= 10 core-minutes together.",
    source: "https://spark.apache.org/docs/latest/job-scheduling.html#dynamic-resource-allocation",
};
const DRIVER_BOUND: Rule = Rule {
    text: "In pauses of >= 10 s, no stage was active for >= 30 % of the time between the first stage and the end, in time that is worth telling; servers and streaming queries excepted.",
    source: "https://spark.apache.org/docs/latest/cluster-overview.html (the driver runs what is not in tasks)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    // A run that has not ended may yet use what it holds; a server waits by nature.
    if run.ended.is_none() || measure::stays(run) {
        return Vec::new();
    }
    idle(run).into_iter().chain(driver_bound(run)).collect()
}

/// Core time of executors, in core-milliseconds.
struct Cores {
    had: u64,
    busy: u64,
    before: u64,
    after: u64,
    between: u64,
}

fn cores(run: &Run, spans: &[(u64, u64)]) -> Cores {
    let end = measure::since(run, run.end());
    let (first, last) = match (spans.first(), spans.last()) {
        (Some(first), Some(last)) => (first.0, last.1),
        _ => (end, end),
    };
    let gaps: Vec<(u64, u64)> = spans.windows(2).map(|pair| (pair[0].1, pair[1].0)).collect();
    let mut cores = Cores {
        had: 0,
        busy: 0,
        before: 0,
        after: 0,
        between: 0,
    };
    for (_, worker) in run.workers() {
        let from = measure::since(run, worker.added);
        let to = worker.removed.map_or(end, |time| measure::since(run, time)).min(end);
        let within = |start: u64, stop: u64| {
            u64::from(worker.cores).saturating_mul(stop.min(to).saturating_sub(start.max(from)))
        };
        cores.had = cores.had.saturating_add(within(from, to));
        cores.before = cores.before.saturating_add(within(0, first));
        cores.after = cores.after.saturating_add(within(last, end));
        cores.between = gaps
            .iter()
            .map(|gap| within(gap.0, gap.1))
            .fold(cores.between, u64::saturating_add);
    }
    for stage in run.stages.values() {
        let cpus = u64::from(measure::task_cpus(run, stage.profile));
        cores.busy = stage
            .tasks
            .iter()
            .map(|task| cpus.saturating_mul(u64::from(task.duration)))
            .fold(cores.busy, u64::saturating_add);
    }
    cores
}

/// A local master has no executors that cost anything.
fn has_executors(run: &Run) -> bool {
    run.workers().any(|(_, worker)| worker.id != DRIVER)
}

/// The share of the time of executors' cores that ran tasks; none for a run without executors of its own.
pub fn busy_share(run: &Run) -> Option<f64> {
    let cores = cores(run, &measure::busy(run));
    let share = cores.busy as f64 / cores.had as f64;
    (has_executors(run) && cores.had > 0).then(|| share.min(1.0))
}

fn idle(run: &Run) -> Option<Finding> {
    if !has_executors(run) {
        return None;
    }
    let workers: Vec<_> = run.workers().map(|(_, worker)| worker).collect();
    let spans = measure::busy(run);
    let cores = cores(run, &spans);
    let idle = cores.had.saturating_sub(cores.busy);
    if idle < worth::WORTH_CORE_TIME || (idle as f64) < IDLE_SHARE * cores.had as f64 {
        return None;
    }
    let partly = idle.saturating_sub(cores.before.saturating_add(cores.after).saturating_add(cores.between));
    let part = |time: u64| format!("{} ({})", core_time(time), percent(time as f64 / idle as f64));
    let evidence = vec![
        Evidence::new(
            "executors",
            format!(
                "{} had {} of cores and used {} of it for tasks",
                counted(workers.len(), "executor"),
                core_time(cores.had),
                core_time(cores.busy)
            ),
        ),
        Evidence::new(
            "when",
            format!(
                "before the first task {}, between stages while no task ran {}, beside running tasks {}, after the last task {}",
                part(cores.before),
                part(cores.between),
                part(partly),
                part(cores.after)
            ),
        ),
    ];
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "idle-executors",
            format!(
                "Executors had no task for {} of their time: {} of cores.",
                percent(idle as f64 / cores.had as f64),
                core_time(idle)
            ),
        )
        .with_evidence(evidence)
        .with_rule(IDLE)
        .with_fix(idle_fix(run, &cores, &spans, partly > idle / 2))
        .with_gain(Gain {
            text: format!(
                "up to {} of cores that are paid for; the run does not become shorter",
                core_time(idle)
            ),
            milliseconds: None,
        }),
        // Money, not time: an hour of the run with all cores idle weighs as much as an hour of the run.
        weight: idle
            / u64::from(
                workers
                    .iter()
                    .map(|worker| worker.cores)
                    .fold(0, u32::saturating_add)
                    .max(1),
            ),
    })
}

fn idle_fix(run: &Run, cores: &Cores, spans: &[(u64, u64)], beside: bool) -> Fix {
    let each = run.workers().map(|(_, worker)| worker.cores).max().unwrap_or(1).max(1);
    let working: u64 = spans
        .iter()
        .map(|span| span.1.saturating_sub(span.0))
        .fold(0, u64::saturating_add);
    let needed = cores.busy as f64 / working.max(1) as f64 / FULL / f64::from(each);
    let executors = (needed.ceil() as usize).clamp(1, run.workers().count().max(1));
    let dynamic = on(run, "spark.dynamicAllocation.enabled", false);
    match (dynamic, beside) {
        (true, _) => Fix {
            text: "Dynamic allocation is on: let idle executors go sooner, and keep fewer of them.".to_owned(),
            patch: Some(conf(&[
                ("spark.dynamicAllocation.executorIdleTimeout", "30s".to_owned()),
                ("spark.dynamicAllocation.minExecutors", "0".to_owned()),
            ])),
        },
        (false, true) => Fix {
            text: format!(
                "Its stages have fewer tasks than slots: {} of {} would be {} full.",
                counted(executors, "executor"),
                counted(each, "core"),
                percent(FULL)
            ),
            patch: Some(serde_json::json!({"spec": {"executor": {"instances": executors}}})),
        },
        (false, false) => Fix {
            text: "Let executors come when there are tasks and go when there are none.".to_owned(),
            patch: Some(serde_json::json!({"spec": {"dynamicAllocation": {
                "enabled": true,
                "initialExecutors": executors,
                "minExecutors": 1,
                "maxExecutors": run.workers().count().max(1),
            }}})),
        },
    }
}

fn driver_bound(run: &Run) -> Option<Finding> {
    let spans = measure::active(run);
    let first = spans.first()?.0;
    let end = measure::since(run, run.end());
    let mut gaps: Vec<(u64, u64)> = spans.windows(2).map(|pair| (pair[0].1, pair[1].0)).collect();
    gaps.push((spans.last()?.1, end));
    gaps.retain(|(from, to)| to.saturating_sub(*from) >= LONG_GAP);
    let waited: u64 = gaps
        .iter()
        .map(|(from, to)| to.saturating_sub(*from))
        .fold(0, u64::saturating_add);
    if (waited as f64) < DRIVER_SHARE * end.saturating_sub(first) as f64 || !worth::time(run, waited) {
        return None;
    }
    gaps.sort_by_key(|(from, to)| std::cmp::Reverse(to.saturating_sub(*from)));
    let evidence = gaps.iter().take(3).filter(|(from, to)| to > from).map(|(from, to)| {
        Evidence::new(
            format!("{} after the start", duration(*from)),
            format!("no stage for {}: {}", duration(to - from), meanwhile(run, *from, *to)),
        )
    });
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "driver-bound",
            format!(
                "For {} ({} of the run) no stage was active: the driver was at work alone, or \
                waited.",
                duration(waited),
                percent(waited as f64 / run.duration().max(1) as f64)
            ),
        )
        .with_evidence(evidence.collect())
        .with_rule(DRIVER_BOUND)
        .with_fix(
            "Look at what the driver's code does at those times: collected data worked on in \
            Python or with pandas, calls to services, listing and committing many files, \
            planning of very large queries. Move it into tasks, or run jobs that do not depend \
            on each other from several threads.",
        )
        .with_gain(Gain {
            text: format!("at most {}: those pauses", duration(waited)),
            milliseconds: Some(waited),
        }),
        weight: waited,
    })
}

/// What was going on between two times.
fn meanwhile(run: &Run, from: u64, to: u64) -> String {
    let over = |start: i64, end: Option<i64>| {
        let start = measure::since(run, start);
        let end = end.map_or(u64::MAX, |end| measure::since(run, end));
        end.min(to).saturating_sub(start.max(from)) > to.saturating_sub(from) / 2
    };
    let query = run.queries.iter().find(|(_, query)| over(query.started, query.ended));
    match query {
        Some((id, _)) => format!("query {id} was being planned, committed or collected"),
        None => {
            let last = run
                .jobs
                .iter()
                .filter(|(_, job)| job.ended.is_some_and(|end| measure::since(run, end) <= to))
                .max_by_key(|(_, job)| job.ended);
            match last {
                Some((id, _)) => format!("between queries, after job {id}, in the application's own code"),
                None => "before any job had ended".to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::doctor::performance::fixture;

    fn codes(run: &Run) -> Vec<Cow<'static, str>> {
        rule(run)
            .iter()
            .map(|finding| finding.diagnostic.code.clone())
            .collect()
    }

    #[test]
    fn idle_cores_and_a_driver_at_work_are_told_with_when() {
        let mut run = fixture::run(4, 4, 200_000);
        fixture::stage(&mut run, 1, &fixture::even(16, 16, 10_000));
        let late: Vec<(u32, u32)> = fixture::even(16, 16, 10_000)
            .iter()
            .map(|task| (task.0 + 180_000, task.1))
            .collect();
        fixture::stage(&mut run, 2, &late);
        let findings = rule(&run);
        assert_eq!(codes(&run), ["idle-executors", "driver-bound"]);
        // 16 cores for 200 s, of which 20 s were used.
        assert!(
            findings[0].diagnostic.message.contains("90 %")
                && findings[0].diagnostic.message.contains("48 core-minutes"),
            "{}",
            findings[0].diagnostic.message
        );
        assert_eq!(
            findings[1].diagnostic.gain.as_ref().and_then(|gain| gain.milliseconds),
            Some(180_000)
        );
        let patch = findings[0].diagnostic.patch().cloned().expect("a patch");
        assert_eq!(patch["spec"]["dynamicAllocation"]["maxExecutors"], 4);
        // The same, of a stream.
        run.jobs.entry(1).or_default().description = "id = a\nrunId = b\nbatch = 7".to_owned();
        assert_eq!(codes(&run), [""; 0]);
    }

    #[test]
    fn fewer_executors_are_proposed_where_tasks_are_few() {
        let mut run = fixture::run(10, 4, 200_000);
        fixture::stage(&mut run, 1, &fixture::even(40, 8, 39_000));
        let finding = rule(&run).remove(0);
        assert_eq!(
            finding.diagnostic.patch().expect("a patch")["spec"]["executor"]["instances"],
            3
        );
    }

    #[test]
    fn busy_short_local_and_unfinished_runs_are_left_alone() {
        let mut run = fixture::run(4, 4, 100_000);
        fixture::stage(&mut run, 1, &fixture::even(160, 16, 9_000));
        assert_eq!(codes(&run), [""; 0]);
        let mut run = fixture::run(1, 4, 60_000);
        fixture::stage(&mut run, 1, &fixture::even(4, 4, 45_000));
        assert_eq!(codes(&run), [""; 0]);
        let mut run = fixture::run(1, 16, 400_000);
        run.executors[0].id = DRIVER.to_owned();
        fixture::stage(&mut run, 1, &fixture::even(16, 16, 390_000));
        run.stages.get_mut(&(1, 0)).expect("added").tasks.truncate(1);
        assert_eq!(codes(&run), [""; 0]);
        let mut run = fixture::run(4, 4, 200_000);
        fixture::stage(&mut run, 1, &fixture::even(16, 16, 10_000));
        (run.last_event, run.ended) = (run.end(), None);
        assert_eq!(codes(&run), [""; 0]);
    }
}
