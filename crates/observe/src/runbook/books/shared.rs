//! Parameters and steps that several runbooks have.

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Action, Change, Plan, stands};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Step};
use super::super::case::{Case, Held, Unknown};
use super::super::spark;

pub const APPLICATION: Parameter = Parameter {
    name: "application",
    what: "The application",
    found: "`stoke ps`; the label `sparkoperator.k8s.io/app-name` of the alert",
    form: Form::Name,
    need: Need::Always,
};
pub const ANY_APPLICATION: Parameter = Parameter {
    need: Need::Maybe,
    what: "An application that failed of it and is to run again",
    ..APPLICATION
};
pub const FIX: Parameter = Parameter {
    name: "fix",
    what: "A file with a merge patch of the application, in place of the one that the doctor proposes",
    found: "`stoke doctor NAME --output json` shows the doctor's as `fix.patch`",
    form: Form::Patch,
    need: Need::Maybe,
};
pub const SETTLE: Parameter = Parameter {
    name: "settle",
    what: "Seconds that an application must run to be believed",
    found: "How long it ran before it failed: `stoke ps`",
    form: Form::Seconds,
    need: Need::Else("30"),
};
pub const WITHIN: Parameter = Parameter {
    name: "within",
    what: "Seconds that each step waits at most, in place of its own limit",
    found: "How long such a thing takes with you",
    form: Form::Seconds,
    need: Need::Maybe,
};
pub const WORKLOAD: Parameter = Parameter {
    name: "workload",
    what: "The Deployment or StatefulSet, as deployment/NAME or statefulset/NAME",
    found: "`kubectl get deployments,statefulsets`",
    form: Form::Workload,
    need: Need::Always,
};
pub const PORT: Parameter = Parameter {
    name: "port",
    what: "The port its pods listen at",
    found: "`kubectl get service`",
    form: Form::Port,
    need: Need::Always,
};
pub const STORE: Parameter = Parameter {
    name: "store",
    what: "A place in the object store",
    found: "spark.eventLog.dir, or a path of the application",
    form: Form::Place,
    need: Need::Always,
};

/// What a runbook for one application needs of it.
pub const OF_APPLICATION: &[Read] = &[Read::Application, Read::ApplicationPods, Read::Schedule];
/// The same, and what the doctor finds.
pub const WITH_FINDINGS: &[Read] = &[Read::Application, Read::ApplicationPods, Read::Findings];

const REPAIR: Step = Step {
    name: "repair",
    what: "Put the change into the application, and into the schedule that begins its like. What has ended begins again.",
    only: &[],
    reads: OF_APPLICATION,
    does: Does::Act {
        rights: &[
            ("patch", Kind::SparkApplication),
            ("patch", Kind::ScheduledSparkApplication),
        ],
        plan: plan_repair,
        undo: "The fields that were changed get their earlier values, unless someone changed them since.",
    },
};
const RUNS: Step = Step {
    name: "runs",
    what: "The application was submitted again, and runs or has completed.",
    only: &[],
    reads: &[Read::Application],
    does: Does::Verify {
        holds: runs,
        within: 900,
    },
};
const PUT_BACK: Step = Step {
    name: "put-back",
    what: "What an edit does to the application (stoke.dev/on-edit) is as it was before.",
    only: &[],
    reads: &[Read::Application],
    does: Does::Act {
        rights: &[("patch", Kind::SparkApplication)],
        plan: plan_put_back,
        undo: "The annotation is Restart again.",
    },
};

/// A shared step for branches.
pub const fn repair(only: &'static [&'static str]) -> Step {
    Step { only, ..REPAIR }
}

/// A shared step for branches.
pub const fn runs_after(only: &'static [&'static str]) -> Step {
    Step { only, ..RUNS }
}

/// A shared step for branches.
pub const fn put_back(only: &'static [&'static str]) -> Step {
    Step { only, ..PUT_BACK }
}

/// The change that is to be made: the one that was given, else the one that a finding proposes.
pub fn change(case: &Case<'_>, finding: Option<&Value>) -> Option<Value> {
    let given = case.input.get("fix").and_then(|text| serde_json::from_str(text).ok());
    given.or_else(|| finding.and_then(spark::patch_of).cloned())
}

/// What the doctor says, when it proposes no change.
pub fn without_change(finding: Option<&Value>) -> Unknown {
    match finding {
        Some(finding) => Unknown(format!(
            "{}: {}; the doctor proposes no change of the manifest ({}); give one with --fix",
            spark::text(&finding["code"]),
            spark::text(&finding["message"]),
            spark::text(&finding["fix"]["text"])
        )),
        None => Unknown("the doctor finds no cause; give a change with --fix".to_owned()),
    }
}

/// What a check keeps, so that the application can be left as it was.
pub fn on_edit(application: &Value) -> Value {
    application["metadata"]["annotations"]["stoke.dev/on-edit"].clone()
}

fn plan_repair(case: &Case<'_>) -> Result<Plan, Unknown> {
    if case.input.get("application").is_none() {
        return Ok(Plan::nothing("no application was named"));
    }
    let application = case.the(Read::Application)?;
    let pods = case.all(Read::ApplicationPods)?;
    let patch = case.kept.get("patch").cloned().unwrap_or_else(|| json!({}));
    if patch == json!({}) && spark::state(application) == "COMPLETED" && case.kept.get("again") != Some(&json!(true)) {
        return Ok(Plan::nothing(format!("{} ended well", spark::name(application))));
    }
    let changes = spark::repair(case, application, &patch)?;
    // What stands already is not done again, and begins nothing again.
    let asks = |change: &Change| match &change.action {
        Action::Patch { object, patch, .. } => {
            let now = match object.kind {
                Kind::SparkApplication => Some(application),
                _ => case.one(Read::Schedule).ok().flatten(),
            };
            now.is_none_or(|now| !stands(now, patch))
        }
        _ => true,
    };
    let changes: Vec<Change> = changes.into_iter().filter(asks).collect();
    if changes.is_empty() {
        return Ok(Plan::nothing(format!("{} goes on by itself", spark::name(application))));
    }
    let schedule = match changes.len() {
        1 => String::new(),
        _ => "; its schedule begins later runs with the change".to_owned(),
    };
    Ok(Plan::new(
        format!("{}{schedule}", spark::blast(application, pods)),
        changes,
    ))
}

fn runs(case: &Case<'_>) -> Result<Held, Unknown> {
    if case.input.get("application").is_none() {
        return Ok(Held::Yes("no application was named".to_owned()));
    }
    let application = case.the(Read::Application)?;
    if !case.lines.did("repair") && !case.lines.did("resume") {
        let state = spark::state(application);
        let says = format!("{} is {}", spark::name(application), spark::word(state));
        return Ok(match state {
            "RUNNING" | "COMPLETED" => Held::Yes(format!("{says}, untouched")),
            "FAILED" => Held::Never(format!("{says}: {}", spark::message(application))),
            _ => Held::NotYet(says),
        });
    }
    Ok(spark::runs_again(case, application))
}

fn plan_put_back(case: &Case<'_>) -> Result<Plan, Unknown> {
    if case.input.get("application").is_none() {
        return Ok(Plan::nothing("no application was named"));
    }
    let application = case.the(Read::Application)?;
    let before = case.kept.get("onEdit").cloned().unwrap_or_default();
    let now = on_edit(application);
    if now == before || now != "Restart" {
        return Ok(Plan::nothing("it is as it was"));
    }
    let patch = json!({"metadata": {"annotations": {"stoke.dev/on-edit": before}}});
    let change = Change::patch(Kind::SparkApplication, application, patch);
    Ok(Plan::new(
        format!(
            "an annotation of application {}; no pod is touched",
            spark::name(application)
        ),
        vec![change],
    ))
}

/// The annotation of what a run holds back.
const HELD: &str = "runbook.stoke.dev/held-by";

const HOLD: Step = Step {
    name: "hold",
    what: "Suspend the schedules of the namespace, so that no run begins that can only fail.",
    only: &[],
    reads: &[Read::Schedules],
    does: Does::Act {
        rights: &[("patch", Kind::ScheduledSparkApplication)],
        plan: plan_hold,
        undo: "The schedules that were suspended here go on.",
    },
};
const RELEASE: Step = Step {
    name: "release",
    what: "The schedules that this run suspended go on.",
    only: &[],
    reads: &[Read::Schedules],
    does: Does::Act {
        rights: &[("patch", Kind::ScheduledSparkApplication)],
        plan: plan_release,
        undo: "They are suspended again.",
    },
};

/// A shared step for branches.
pub const fn hold(only: &'static [&'static str]) -> Step {
    Step { only, ..HOLD }
}

/// A shared step for branches.
pub const fn release(only: &'static [&'static str]) -> Step {
    Step { only, ..RELEASE }
}

fn plan_hold(case: &Case<'_>) -> Result<Plan, Unknown> {
    let going = case
        .all(Read::Schedules)?
        .iter()
        .filter(|schedule| schedule["spec"]["suspend"] != true);
    let changes: Vec<Change> = going
        .map(|schedule| {
            let patch = json!({"spec": {"suspend": true}, "metadata": {"annotations": {HELD: case.record}}});
            Change::patch(Kind::ScheduledSparkApplication, schedule, patch)
        })
        .collect();
    if changes.is_empty() {
        return Ok(Plan::nothing("no schedule begins runs here"));
    }
    Ok(Plan::new(
        format!(
            "{} of namespace {} begin no runs; what runs goes on",
            counted(changes.len(), "schedule"),
            case.input.namespace
        ),
        changes,
    ))
}

fn plan_release(case: &Case<'_>) -> Result<Plan, Unknown> {
    let held = case
        .all(Read::Schedules)?
        .iter()
        .filter(|schedule| schedule["metadata"]["annotations"][HELD] == case.record);
    let changes: Vec<Change> = held
        .map(|schedule| {
            let patch = json!({"spec": {"suspend": false}, "metadata": {"annotations": {HELD: null}}});
            Change::patch(Kind::ScheduledSparkApplication, schedule, patch)
        })
        .collect();
    if changes.is_empty() {
        return Ok(Plan::nothing("no schedule was suspended here"));
    }
    Ok(Plan::new(
        format!("{} begin runs again", counted(changes.len(), "schedule")),
        changes,
    ))
}
