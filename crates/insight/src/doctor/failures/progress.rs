//! Runs that do not come on: refused, out of time, without executors, stuck.

use super::class::{Class, END, Found, THROWN, class, words};
use super::context::{Context, Outcome};
use crate::facts::{Run, run};
use crate::text::{between, short};
use stoke_diagnostics::Evidence;
use stoke_model::units::people::counted;

const OPERATOR: &str = "https://github.com/kubeflow/spark-operator/blob/master/docs/api-docs.md";
const SCHEDULING: &str = "https://spark.apache.org/docs/latest/job-scheduling.html";

static SUBMISSION_FAILED: Class = class(
    "submission-failed",
    110,
    "the operator could not make the driver's objects (status SUBMISSION_FAILED)",
    OPERATOR,
    &[&["job-aborted", "driver-exit-code"]],
);
static DEADLINE: Class = class(
    "deadline-exceeded",
    736,
    "an application may be active for the seconds of stoke.dev/active-deadline-seconds, retries included",
    "stoke.dev/active-deadline-seconds",
    &[END, &["driver-killed"]],
);
static START_TIMEOUT: Class = class(
    "start-timeout",
    205,
    "a driver must start within stoke.dev/pending-timeout and stoke.dev/start-timeout",
    "stoke.dev/start-timeout",
    &[END],
);
static NO_EXECUTORS: Class = class(
    "no-executors",
    310,
    "tasks wait until executors with enough cores and memory have registered",
    SCHEDULING,
    &[END, THROWN, &["stage-stuck"]],
);
static STUCK: Class = class(
    "stage-stuck",
    230,
    "no task of a running stage has ended for 30 minutes",
    SCHEDULING,
    &[],
);

/// How long no task of a running stage may end before it counts as stuck, in milliseconds. Ours: longer than nearly every task (Spark's
/// own advice is tasks of seconds), shorter than what people wait before they look.
const STUCK_AFTER: i64 = 30 * 60 * 1000;

/// The classes of this family.
pub(super) static CLASSES: [&Class; 5] = [&SUBMISSION_FAILED, &DEADLINE, &START_TIMEOUT, &NO_EXECUTORS, &STUCK];

/// What the operator's words, the driver's log and the stages tell.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    of_status(context, out);
    no_executors(context, out);
    stuck(context, out);
}

fn of_status(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(cluster) = context.cluster().filter(|_| context.failed()) else {
        return;
    };
    let matched = cluster.application["status"]["applicationState"]["errorMessage"]
        .as_str()
        .unwrap_or_default();
    let evidence = Evidence::new("status.applicationState.errorMessage", short(matched, 300));
    if matched.contains("failed to run spark-submit") {
        let why = matched
            .split_once("failed to run spark-submit: ")
            .map_or(matched, |(_, why)| why);
        out.push(Found::new(
            &SUBMISSION_FAILED,
            true,
            format!("The application could not be submitted: {}", short(why, 250)),
            evidence,
            words("correct what the message names in the manifest"),
        ));
    } else if matched.contains("active longer than specified deadline") {
        let limit = between(matched, "deadline (", ",").unwrap_or("?");
        out.push(Found::new(
            &DEADLINE,
            true,
            format!("The application was ended because it was active for longer than {limit}"),
            evidence,
            words("allow more time with the annotation stoke.dev/active-deadline-seconds, or find out what takes it"),
        ));
    } else if let Some(rest) = matched
        .split_once("driver pod did not start within ")
        .map(|(_, rest)| rest)
    {
        out.push(Found::new(
            &START_TIMEOUT,
            true,
            format!("The driver did not start within {}", short(rest, 200)),
            evidence,
            words("fix what it waited for, or allow more time with the annotation named"),
        ));
    }
}

/// `Initial job has not accepted any resources`, and no one came after.
fn no_executors(context: &Context<'_>, out: &mut Vec<Found>) {
    if context.outcome == Outcome::Succeeded {
        return;
    }
    let Some(log) = context.facts.driver_log() else { return };
    let Some(line) = log.find_last(&["Initial job has not accepted any resources"]) else {
        return;
    };
    let came = log.lines.iter().any(|later| {
        later.number > line.number
            && (later.text.contains("Registered executor") || later.text.contains("Starting task"))
    });
    if came {
        return;
    }
    let asked = context
        .facts
        .property("spark.executor.instances")
        .map(|number| format!(" of the {number} asked for"))
        .unwrap_or_default();
    let mut found = Found::new(
        &NO_EXECUTORS,
        true,
        format!("Tasks wait, and no executor{asked} has come"),
        Evidence::new(format!("log {}:{}", log.source, line.number), short(&line.text, 300)),
        words(
            "see the executors' pods: why they are not scheduled, do not start, or end at once (stoke status APP); a worker must have the cores and the memory one executor asks for",
        ),
    );
    let pending = context
        .cluster()
        .into_iter()
        .flat_map(|cluster| cluster.executors())
        .find(|pod| pod.phase == "Pending");
    found
        .evidence
        .extend(pending.map(|pod| Evidence::new(format!("pod {}", pod.name), "Pending")));
    out.push(found);
}

fn stuck(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(run) = context
        .run()
        .filter(|run| context.outcome == Outcome::Running && run.ended.is_none())
    else {
        return;
    };
    let now = context.facts.now.max(run.last_event);
    for stage in run.stages.values().filter(|stage| stage.completed.is_none()) {
        let Some(submitted) = stage.submitted.or_else(|| ready(run, stage)) else {
            continue;
        };
        let ended = stage.tasks.iter().filter(|task| task.outcome.has_ended());
        let last = ended
            .map(|task| {
                run.started
                    .saturating_add(i64::try_from(task.ended()).unwrap_or(i64::MAX))
            })
            .max()
            .unwrap_or(submitted);
        let still = stage.tasks.iter().filter(|task| !task.outcome.has_ended()).count();
        let since = now.saturating_sub(last);
        if since < STUCK_AFTER {
            continue;
        }
        let (done, minutes) = (stage.totals.succeeded, since / 60_000);
        let doing = match (still, run.workers().next()) {
            (0, None) => "no task runs: there are no executors for it".to_owned(),
            (0, Some(_)) => "the log does not say which run".to_owned(),
            (still, _) => format!("{} at work", counted(still, "task")),
        };
        let mut found = Found::new(
            &STUCK,
            true,
            format!(
                "Stage {} has not come on for {}: {done} of {} done, {doing}",
                stage.id,
                counted(minutes, "minute"),
                counted(stage.task_count, "task")
            ),
            Evidence::new(
                format!("stage {} (attempt {})", stage.id, stage.attempt),
                stage.name.clone(),
            ),
            words(
                "see what its tasks do: a thread dump of the executor in the Spark UI; a task that waits for an outside service has no timeout of Spark's",
            ),
        );
        found.evidence.push(Evidence::new(
            "event log",
            format!(
                "its last event is {} old; Spark writes task events when a job or stage begins or ends, or spark.eventLog.buffer.kb are full, so what ended since is not in it",
                counted(now.saturating_sub(run.last_event) / 60_000, "minute")
            ),
        ));
        out.push(found);
    }
}

/// When a stage could begin that the log does not tell to be submitted: its job runs, and what it waits for is complete.
fn ready(run: &Run, stage: &run::Stage) -> Option<i64> {
    let job = run.jobs.get(&stage.job?).filter(|job| job.ended.is_none())?;
    let mut ready = job.started;
    for parent in &stage.parents {
        let attempts = run.stages.range((*parent, i32::MIN)..=(*parent, i32::MAX));
        // A stage the log never told of ran in an earlier job, which kept its output.
        for (_, attempt) in attempts {
            ready = ready.max(attempt.completed?);
        }
    }
    Some(ready)
}
