//! Work that was done and thrown away: failed attempts, retried stages, and speculative copies that lost.

use std::collections::BTreeMap;

use super::Finding;
use super::measure;
use super::{conf, worth};
use crate::facts::Run;
use crate::facts::run::{Outcome, Stage, Task};
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Gain, Rule, Severity};
use stoke_model::units::people::{count, counted, duration, percent};

/// Speculative copies below which there is no storm. Ours.
const COPIES: usize = 10;
/// Core time of attempts a copy made useless, over all. Ours.
const WASTED_SHARE: f64 = 0.1;
/// The least such core time. Ours: one minute of a core.
const WASTED: u64 = 60_000;

const STORM: Rule = Rule {
    text: ">= 10 speculative copies, and attempts that were thrown away because another one won took >= 10 % of all task time and >= 1 core-minute.",
    source: "https://spark.apache.org/docs/latest/configuration.html#scheduling (spark.speculation.*)",
};
const LOST: Rule = Rule {
    text: "Task attempts that failed or were killed, and stages that ran again, took slot time that is worth telling.",
    source: "https://spark.apache.org/docs/latest/configuration.html#scheduling (spark.task.maxFailures, spark.stage.maxConsecutiveAttempts)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    storm(run).into_iter().chain(lost(run)).collect()
}

/// Indices of a stage of which a copy was made.
fn copied(stage: &Stage) -> BTreeMap<u32, Vec<&Task>> {
    let copies = stage.tasks.iter().filter(|task| task.speculative);
    let mut by: BTreeMap<u32, Vec<&Task>> = copies.map(|task| (task.index, Vec::new())).collect();
    if by.is_empty() {
        return by;
    }
    for task in &stage.tasks {
        if let Some(attempts) = by.get_mut(&task.index) {
            attempts.push(task);
        }
    }
    by
}

fn storm(run: &Run) -> Option<Finding> {
    let (mut copies, mut won, mut wasted, mut all) = (0usize, 0usize, 0u64, 0u64);
    let mut stages: Vec<(u64, &Stage, usize)> = Vec::new();
    for stage in run.stages.values() {
        all = stage
            .tasks
            .iter()
            .map(|task| u64::from(task.duration))
            .fold(all, u64::saturating_add);
        let (mut here, mut made) = (0, 0);
        for attempts in copied(stage).values() {
            for task in attempts {
                made += usize::from(task.speculative);
                won += usize::from(task.speculative && task.outcome == Outcome::Succeeded);
                here += if task.outcome == Outcome::Killed {
                    u64::from(task.duration)
                } else {
                    0
                };
            }
        }
        copies += made;
        wasted = here.saturating_add(wasted);
        if made > 0 {
            stages.push((here, stage, made));
        }
    }
    if copies < COPIES || wasted < WASTED || (wasted as f64) < WASTED_SHARE * all as f64 {
        return None;
    }
    stages.sort_by_key(|(wasted, ..)| std::cmp::Reverse(*wasted));
    let evidence = stages.iter().take(3).map(|(wasted, stage, made)| {
        Evidence::new(
            measure::place(stage),
            format!(
                "{} of {}; {} of task time thrown away",
                counted(*made, "copy"),
                counted(stage.task_count, "task"),
                duration(*wasted)
            ),
        )
    });
    let mut evidence: Vec<Evidence> = evidence.collect();
    for key in [
        "spark.speculation.quantile",
        "spark.speculation.multiplier",
        "spark.speculation.minTaskRuntime",
    ] {
        if let Some(value) = run.property(key) {
            evidence.push(Evidence::new(key, value));
        }
    }
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "speculation-storm",
            format!(
                "Speculation ran {} copies of tasks; {} of them won, and {} of all task time was \
                thrown away.",
                count(copies as u64),
                count(won as u64),
                percent(wasted as f64 / all as f64)
            ),
        )
        .with_evidence(evidence)
        .with_rule(STORM)
        .with_fix(Fix {
            text: "Let only tasks be copied that are far slower than most: wait for nine tenths of the \
            stage, and for three times the median (the defaults since Spark 4.0)."
                .to_owned(),
            patch: Some(conf(&[
                ("spark.speculation.quantile", "0.9".to_owned()),
                ("spark.speculation.multiplier", "3".to_owned()),
                ("spark.speculation.minTaskRuntime", "30s".to_owned()),
            ])),
        })
        .with_gain(Gain {
            text: format!(
                "{} of core time; less of the run's time, since copies run in slots that were free",
                duration(wasted)
            ),
            milliseconds: None,
        }),
        weight: wasted / 4,
    })
}

/// What a stage lost.
#[derive(Default)]
struct Lost {
    attempts: u64,
    time: u64,
    slots: f64,
}

/// Code of the finding about work that was done again.
pub(in crate::doctor) const LOST_WORK: &str = "lost-work";

fn lost(run: &Run) -> Option<Finding> {
    let mut stages: Vec<(u64, &Stage, Lost)> = Vec::new();
    for stage in run.stages.values() {
        let mut lost = Lost::default();
        let copied = copied(stage);
        let repeated = stage.failure.is_some() && run.stages.contains_key(&(stage.id, stage.attempt.saturating_add(1)));
        let failed = || {
            let ended_badly = |task: &&Task| matches!(task.outcome, Outcome::Failed | Outcome::Killed);
            stage.tasks.iter().filter(ended_badly)
        };
        let mut latest: BTreeMap<u32, u16> = failed().map(|task| (task.index, 0)).collect();
        if !latest.is_empty() {
            for task in &stage.tasks {
                if let Some(attempt) = latest.get_mut(&task.index) {
                    *attempt = task.attempt.max(*attempt);
                }
            }
        }
        for task in failed() {
            // An attempt no one made again belongs to a job that ended with it.
            let again = repeated || task.attempt < latest.get(&task.index).copied().unwrap_or(0);
            if again && !copied.contains_key(&task.index) {
                lost.attempts += 1;
                lost.time += u64::from(task.duration);
            }
        }
        // A stage that comes back after a failed fetch runs only what is missing: all of its later attempt is extra work.
        let again = stage.attempt > 0;
        if again {
            lost.time = stage
                .tasks
                .iter()
                .filter(|task| task.outcome == Outcome::Succeeded)
                .map(|task| u64::from(task.duration))
                .fold(lost.time, u64::saturating_add);
        }
        if lost.time == 0 && !repeated {
            continue;
        }
        let from = stage.tasks.iter().map(|task| task.launched).min().unwrap_or(0);
        let to = stage.tasks.iter().map(Task::ended).max().unwrap_or(0);
        lost.slots = measure::slots(run, stage.profile, from, to).min(f64::from(stage.task_count.max(1)));
        stages.push(((lost.time as f64 / lost.slots.max(1.0)) as u64, stage, lost));
    }
    let cost: u64 = stages.iter().map(|(cost, ..)| *cost).fold(0, u64::saturating_add);
    if !worth::time(run, cost) {
        return None;
    }
    stages.sort_by_key(|(cost, ..)| std::cmp::Reverse(*cost));
    let attempts: u64 = stages
        .iter()
        .map(|(.., lost)| lost.attempts)
        .fold(0, u64::saturating_add);
    let mut evidence = Vec::new();
    for (_, stage, lost) in stages.iter().take(3) {
        let again = if stage.attempt > 0 {
            ", and this is a repeated stage"
        } else {
            ""
        };
        evidence.push(Evidence::new(
            measure::place(stage),
            format!(
                "{} lost{again}: {} of task time",
                counted(lost.attempts, "attempt"),
                duration(lost.time)
            ),
        ));
        // An executor that went leaves no message of its tasks.
        let told = stage
            .failures
            .iter()
            .filter(|failure| !telling(&failure.message).is_empty());
        evidence.extend(told.max_by_key(|failure| failure.count).map(|failure| {
            let line = telling(&failure.message);
            let times = match failure.count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            };
            Evidence::new(
                format!("task {} of stage {}", failure.first.0, stage.id),
                format!("{times}: {line}"),
            )
        }));
        evidence.extend(
            stage
                .failure
                .as_ref()
                .map(|why| Evidence::new(measure::place(stage), telling(why))),
        );
    }
    Some(Finding {
        diagnostic: Diagnostic::new(
            Severity::Warning,
            LOST_WORK,
            format!(
                "{} {} lost and done again: about {} of the run.",
                counted(attempts, "task attempt"),
                if attempts == 1 { "was" } else { "were" },
                duration(cost)
            ),
        )
        .with_evidence(evidence)
        .with_rule(LOST)
        .with_fix(
            "Fix what makes them fail (the messages above). Lost shuffle data of executors that \
            go is kept by spark.decommission.enabled or by shuffle storage on claims that are \
            reused.",
        )
        .with_gain(Gain {
            text: format!("about {}: the lost task time over the slots", duration(cost)),
            milliseconds: Some(cost),
        }),
        weight: cost,
    })
}

/// The line of a message that tells: the first one, or where that opens the traceback of Python, the last of the traceback, with the
/// exception.
fn telling(message: &str) -> &str {
    let first = message.lines().next().unwrap_or_default();
    if !first.trim_end().ends_with("Traceback (most recent call last):") {
        return first;
    }
    let rest = message.lines().skip(1);
    rest.filter(|line| !line.trim().is_empty())
        .find(|line| !line.starts_with(char::is_whitespace))
        .unwrap_or(first)
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
    fn copies_that_lose_and_attempts_that_fail_are_two_things() {
        for (speculative, outcome, attempts, expected) in [
            (true, Outcome::Killed, 24, vec!["speculation-storm"]),
            (true, Outcome::Killed, 5, vec![]),
            (false, Outcome::Failed, 24, vec!["lost-work"]),
            (false, Outcome::Failed, 2, vec![]),
        ] {
            let mut run = fixture::run(1, 4, 150_000);
            let stage = fixture::stage(&mut run, 1, &fixture::even(24, 4, 10_000));
            let further: Vec<Task> = stage.tasks[..attempts.min(24)]
                .iter()
                .map(|task| Task {
                    attempt: u16::from(speculative),
                    outcome,
                    speculative,
                    ..*task
                })
                .collect();
            stage
                .tasks
                .iter_mut()
                .for_each(|task| task.attempt = u16::from(!speculative));
            stage.tasks.extend(further);
            assert_eq!(codes(&run), expected);
        }
    }

    #[test]
    fn attempts_of_a_job_that_ended_with_them_are_not_lost() {
        let mut run = fixture::run(1, 4, 150_000);
        let stage = fixture::stage(&mut run, 1, &fixture::even(24, 4, 10_000));
        stage.tasks.iter_mut().for_each(|task| task.outcome = Outcome::Killed);
        assert_eq!(codes(&run), [""; 0]);
    }

    #[test]
    fn a_message_is_told_by_its_line_that_tells() {
        for (message, line) in [
            ("ExecutorLost\nmore", "ExecutorLost"),
            (
                "Traceback (most recent call last):\n  File \"a\", line 1\nValueError: no\n",
                "ValueError: no",
            ),
            (
                "x: Traceback (most recent call last):",
                "x: Traceback (most recent call last):",
            ),
            ("", ""),
        ] {
            assert_eq!(telling(message), line);
        }
    }

    #[test]
    fn a_stage_that_runs_again_is_lost_work() {
        let mut run = fixture::run(1, 4, 150_000);
        fixture::stage(&mut run, 1, &fixture::even(24, 4, 10_000)).failure = Some("FetchFailed(...)".to_owned());
        assert_eq!(codes(&run), [""; 0]);
        let mut again = run.stages[&(1, 0)].clone();
        again.attempt = 1;
        run.stages.insert((1, 1), again);
        assert_eq!(codes(&run), ["lost-work"]);
    }
}
