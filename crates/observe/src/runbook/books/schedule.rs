//! A schedule that begins no runs.

use jiff::SignedDuration;
use serde_json::{Value, json};
use stoke_model::cron::Schedule;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::WITHIN;

/// How long after its time a run may begin before it counts as missed.
const GRACE: SignedDuration = SignedDuration::from_secs(120);

pub static BOOK: Runbook = Runbook {
    name: "schedule-missed",
    title: "A schedule missed a run",
    when: "A run that was due was not begun: the schedule is suspended or not valid, a run before it has not ended, or no operator was there. What keeps it is removed, and the missed run is begun once.",
    codes: &[],
    parameters: &[
        Parameter {
            name: "schedule",
            what: "The ScheduledSparkApplication",
            found: "`kubectl get scheduledsparkapplications`",
            form: Form::Name,
            need: Need::Always,
        },
        Parameter {
            name: "cron",
            what: "The expression to write, where the one it has is not valid",
            found: "`kubectl get scheduledsparkapplication NAME -o jsonpath={.status.reason}` says what is wrong",
            form: Form::Text,
            need: Need::Maybe,
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "why",
            what: "Was a run missed, and what keeps the schedule?",
            only: &[],
            reads: &[Read::Schedule, Read::Applications],
            does: Does::Check(check),
        },
        Step {
            name: "correct",
            what: "Write the expression that was given.",
            only: &["invalid"],
            reads: &[Read::Schedule],
            does: Does::Act {
                rights: &[("patch", Kind::ScheduledSparkApplication)],
                plan: plan_correct,
                undo: "It has its earlier expression.",
            },
        },
        Step {
            name: "resume",
            what: "The schedule begins runs again.",
            only: &["suspended"],
            reads: &[Read::Schedule],
            does: Does::Act {
                rights: &[("patch", Kind::ScheduledSparkApplication)],
                plan: plan_resume,
                undo: "It is suspended again.",
            },
        },
        Step {
            name: "valid",
            what: "The operator takes the schedule, and knows its next run.",
            only: &[],
            reads: &[Read::Schedule],
            does: Does::Verify {
                holds: valid,
                within: 120,
            },
        },
        Step {
            name: "catch-up",
            what: "Begin the missed run, once.",
            only: &[],
            reads: &[Read::Schedule],
            does: Does::Act {
                rights: &[("patch", Kind::ScheduledSparkApplication)],
                plan: plan_catch_up,
                undo: "",
            },
        },
        Step {
            name: "begun",
            what: "A run was begun, and has not failed.",
            only: &[],
            reads: &[Read::Schedule, Read::Applications],
            does: Does::Verify {
                holds: begun,
                within: 300,
            },
        },
    ],
    limits: &[
        "Of several missed runs one is begun: whether a program works through more days in one run is its own matter.",
    ],
};

fn schedule(object: &Value) -> Result<Schedule, String> {
    let zone = object["spec"]["timeZone"].as_str().unwrap_or_default();
    Schedule::parse(spark::text(&object["spec"]["schedule"]), zone).map_err(|error| error.to_string())
}

fn last_run<'a>(case: &Case<'a>, object: &Value) -> Result<Option<&'a Value>, Unknown> {
    let name = spark::text(&object["status"]["lastRunName"]);
    Ok(case
        .all(Read::Applications)?
        .iter()
        .find(|application| spark::name(application) == name))
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let object = case.the(Read::Schedule)?;
    let parsed = match schedule(object) {
        Ok(parsed) => parsed,
        Err(why) if case.input.get("cron").is_some() => return Ok(Seen::go(why).on("invalid")),
        Err(why) => return Err(Unknown(format!("{why}; give an expression with --cron"))),
    };
    let status = &object["status"];
    let since = spark::time(&status["lastRun"]).or_else(|| spark::time(&object["metadata"]["creationTimestamp"]));
    let since = since.ok_or("it has no time of creation")?;
    let due = parsed.after(since).filter(|due| *due + GRACE < case.now);
    let Some(due) = due else {
        return Ok(Seen::nothing(format!("no run is due since {since}")));
    };
    if status["lastTrigger"]
        .as_str()
        .is_some_and(|trigger| trigger.starts_with("schedule-missed-"))
        && object["spec"]["suspend"] != true
        && status["missedRuns"].as_i64().unwrap_or(0) == 0
    {
        return Ok(Seen::nothing("the missed run was begun by an earlier record"));
    }
    if object["spec"]["suspend"] == true {
        return Ok(Seen::go(format!("it is suspended; a run was due at {due}")).on("suspended"));
    }
    if let Some(last) = last_run(case, object)?.filter(|last| spark::is_in_progress(last))
        && object["spec"]["concurrencyPolicy"] == "Forbid"
    {
        return Ok(Seen::other(
            "stuck-run",
            format!(
                "its last run {} has not ended, and two may not run at once",
                spark::name(last)
            ),
        ));
    }
    if spark::time(&status["nextRun"]).is_some_and(|next| next + GRACE < case.now) {
        return Ok(Seen::other(
            "upgrade-operator",
            format!("a run was due at {due}, and no operator acts on it"),
        ));
    }
    Ok(Seen::go(format!(
        "a run was due at {due}; {} missed in all",
        status["missedRuns"].as_i64().unwrap_or(0)
    ))
    .on("missed"))
}

fn plan_correct(case: &Case<'_>) -> Result<Plan, Unknown> {
    let object = case.the(Read::Schedule)?;
    let cron = case.input.text("cron");
    let change = Change::patch(
        Kind::ScheduledSparkApplication,
        object,
        json!({"spec": {"schedule": cron}}),
    );
    Ok(Plan::new(
        format!("schedule {} begins runs at {cron}", spark::name(object)),
        vec![change],
    ))
}

fn plan_resume(case: &Case<'_>) -> Result<Plan, Unknown> {
    let object = case.the(Read::Schedule)?;
    let change = Change::patch(
        Kind::ScheduledSparkApplication,
        object,
        json!({"spec": {"suspend": false}}),
    );
    Ok(Plan::new(
        format!("schedule {} begins runs again", spark::name(object)),
        vec![change],
    ))
}

fn valid(case: &Case<'_>) -> Result<Held, Unknown> {
    let status = &case.the(Read::Schedule)?["status"];
    let next = spark::text(&status["nextRun"]);
    let state = spark::text(&status["scheduleState"]);
    Ok(Held::when(
        state == "Scheduled" && !next.is_empty(),
        format!("its next run is at {next}"),
        format!("it is {} {}", spark::word(state), spark::text(&status["reason"])),
    ))
}

fn plan_catch_up(case: &Case<'_>) -> Result<Plan, Unknown> {
    let object = case.the(Read::Schedule)?;
    let patch = json!({"metadata": {"annotations": {"stoke.dev/trigger": case.record}}});
    let change = Change::patch(Kind::ScheduledSparkApplication, object, patch);
    // Taking the wish back begins nothing and ends nothing.
    Ok(Plan::new(
        format!("one run of schedule {} is begun now", spark::name(object)),
        vec![Change { undo: None, ..change }],
    ))
}

fn begun(case: &Case<'_>) -> Result<Held, Unknown> {
    let object = case.the(Read::Schedule)?;
    if object["status"]["lastTrigger"] != case.record {
        return Ok(Held::NotYet("the operator has not answered the wish".to_owned()));
    }
    let Some(run) = last_run(case, object)? else {
        return Ok(Held::NotYet("no run is there".to_owned()));
    };
    Ok(match spark::state(run) {
        "FAILED" => Held::Never(format!("{} failed: {}", spark::name(run), spark::message(run))),
        "" | "SUBMITTED" | "SUBMISSION_FAILED" => {
            Held::NotYet(format!("{} is {}", spark::name(run), spark::word(spark::state(run))))
        }
        state => Held::Yes(format!("{} is {state}", spark::name(run))),
    })
}
