//! A run that is slower than it has to be.

use super::super::action::{Change, Plan, stands};
use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, FIX, OF_APPLICATION, SETTLE, WITH_FINDINGS, WITHIN, change};

pub static BOOK: Runbook = Runbook {
    name: "performance",
    title: "A run is slower than it has to be",
    when: "A run took longer or spilled, collected garbage or shuffled more than it should. The doctor's change with the greatest gain is made for the next run; nothing that runs is touched.",
    codes: &[
        "data-skew",
        "uneven-tasks",
        "spill",
        "single-task",
        "large-partitions",
        "small-files-read",
        "small-files-written",
        "gc-pressure",
        "join-small-side-shuffled",
        "broadcast-of-large-table",
        "join-without-keys",
        "driver-bound",
        "speculation-storm",
        "recomputed-data",
        "python-udf",
        "large-results",
    ],
    parameters: &[APPLICATION, FIX, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "slow",
            what: "What made it slow, and what would a change of the manifest gain?",
            only: &[],
            reads: WITH_FINDINGS,
            does: Does::Check(check),
        },
        Step {
            name: "tune",
            what: "Make the change for the next run, also in the schedule; a run in progress goes on.",
            only: &[],
            reads: OF_APPLICATION,
            does: Does::Act {
                rights: &[
                    ("patch", Kind::SparkApplication),
                    ("patch", Kind::ScheduledSparkApplication),
                ],
                plan,
                undo: "The fields that were changed get their earlier values, unless someone changed them since.",
            },
        },
        Step {
            name: "stands",
            what: "The change stands, and no run was begun again for it.",
            only: &[],
            reads: &[Read::Application],
            does: Does::Verify {
                holds: stays,
                within: 60,
            },
        },
    ],
    limits: &[
        "That the change helped is measured after the next run: `stoke compare` says by how much, and which change explains it.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let findings = case.all(Read::Findings)?;
    let known = findings
        .iter()
        .filter(|finding| BOOK.codes.contains(&spark::text(&finding["code"])));
    let best = known
        .filter(|finding| spark::patch_of(finding).is_some())
        .max_by_key(|finding| finding["gain"]["milliseconds"].as_u64().unwrap_or(0));
    let Some(patch) = change(case, best) else {
        return Ok(Seen::nothing(
            "the doctor proposes no change of the manifest that would make it faster",
        ));
    };
    let message = best.map_or("a change was given", |finding| spark::text(&finding["message"]));
    let gain = best.map_or("", |finding| spark::text(&finding["gain"]["text"]));
    if stands(application, &patch) {
        return Ok(Seen::nothing(format!(
            "{message}; the change stands already, and the next run has it"
        )));
    }
    Ok(Seen::go(format!("{message}; {gain}; the change is {patch}"))
        .keep("patch", patch)
        .keep("submitted", application["status"]["lastSubmissionAttemptTime"].clone()))
}

fn plan(case: &Case<'_>) -> Result<Plan, Unknown> {
    let application = case.the(Read::Application)?;
    let mut patch = case.kept.get("patch").cloned().unwrap_or_default();
    if spark::is_in_progress(application) {
        patch["metadata"]["annotations"]["stoke.dev/on-edit"] = "NextRun".into();
    }
    let mut changes = vec![Change::patch(Kind::SparkApplication, application, patch.clone())];
    if let Some(schedule) = case.one(Read::Schedule)? {
        changes.extend(spark::repair_schedule(schedule, &patch));
    }
    Ok(Plan::new(
        format!("the next run of {}; no pod is touched", spark::name(application)),
        changes,
    ))
}

fn stays(case: &Case<'_>) -> Result<Held, Unknown> {
    let application = case.the(Read::Application)?;
    let patch = case.kept.get("patch").cloned().unwrap_or_default();
    let holds = stands(application, &patch);
    let before = case.kept.get("submitted").cloned().unwrap_or_default();
    if application["status"]["lastSubmissionAttemptTime"] != before {
        return Ok(Held::Yes("it stands, and a run was begun with it since".to_owned()));
    }
    Ok(Held::when(
        holds,
        "it stands; the next run has it",
        "someone changed it since",
    ))
}
