//! More executors, and fewer.

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::connect::CONNECT;
use super::shared::{APPLICATION, SETTLE, WITHIN};

const PARAMETERS: &[Parameter] = &[
    Parameter {
        need: Need::Maybe,
        ..APPLICATION
    },
    Parameter {
        need: Need::Maybe,
        what: "The SparkConnect, in place of an application",
        ..CONNECT
    },
    Parameter {
        name: "executors",
        what: "How many executors it may have",
        found: "`stoke size NAME` and `stoke what-if NAME` say what more or fewer would do",
        form: Form::Count,
        need: Need::Always,
    },
    SETTLE,
    WITHIN,
];
const OF: &[Read] = &[Read::Application, Read::ApplicationPods, Read::Schedule, Read::Connect];
const SCALE: Step = Step {
    name: "scale",
    what: "Change the number of executors, also for later runs of its schedule.",
    only: &[],
    reads: OF,
    does: Does::Act {
        rights: &[
            ("patch", Kind::SparkApplication),
            ("patch", Kind::ScheduledSparkApplication),
            ("patch", Kind::SparkConnect),
        ],
        plan,
        undo: "It gets its earlier number.",
    },
};
const SCALED: Step = Step {
    name: "scaled",
    what: "It runs with the new number, or its next run will.",
    only: &[],
    reads: &[Read::Application, Read::Connect],
    does: Does::Verify {
        holds: scaled,
        within: 900,
    },
};

pub static UP: Runbook = Runbook {
    name: "scale-up",
    title: "Give an application or a Connect server more executors",
    when: "A run is late for want of executors, or a Connect server has too few for its users. The nodes are asked first whether they have the room.",
    codes: &["too-few-tasks", "scheduler-delay"],
    parameters: PARAMETERS,
    steps: &[
        Step {
            name: "size",
            what: "How many executors may it have now, and is there room for more?",
            only: &[],
            reads: &[
                Read::Application,
                Read::ApplicationPods,
                Read::Schedule,
                Read::Connect,
                Read::Nodes,
                Read::Placed,
            ],
            does: Does::Check(check_up),
        },
        SCALE,
        SCALED,
    ],
    limits: &[
        "A run in progress is begun again with its new number, unless stoke.dev/on-edit says NextRun: dynamic allocation needs no restart between its bounds.",
    ],
};

pub static DOWN: Runbook = Runbook {
    name: "scale-down",
    title: "Take executors from an application or a Connect server",
    when: "Executors idle, or others need the room more.",
    codes: &["idle-executors", "memory-over-provisioned", "too-many-tasks"],
    parameters: PARAMETERS,
    steps: &[
        Step {
            name: "size",
            what: "How many executors may it have now?",
            only: &[],
            reads: OF,
            does: Does::Check(check_down),
        },
        SCALE,
        SCALED,
    ],
    limits: &["A run in progress is begun again with its new number, unless stoke.dev/on-edit says NextRun."],
};

/// The object, its kind, and the fields that say how many executors it may have.
fn target<'a>(case: &Case<'a>) -> Result<(Kind, &'a Value), Unknown> {
    match (case.input.get("application"), case.input.get("connect")) {
        (Some(_), None) => Ok((Kind::SparkApplication, case.the(Read::Application)?)),
        (None, Some(_)) => Ok((Kind::SparkConnect, case.the(Read::Connect)?)),
        _ => Err("give --application or --connect, one of them".into()),
    }
}

/// How many executors a spec allows.
pub fn most(spec: &Value) -> i64 {
    let dynamic = &spec["dynamicAllocation"];
    match dynamic["enabled"] == true {
        true => dynamic["maxExecutors"].as_i64().unwrap_or(i64::from(i32::MAX)),
        false => spec["executor"]["instances"].as_i64().unwrap_or(1),
    }
}

/// The change of a spec that allows so many.
pub fn change(spec: &Value, executors: i64) -> Value {
    let dynamic = &spec["dynamicAllocation"];
    match dynamic["enabled"] == true {
        true => {
            let mut bounds = json!({"maxExecutors": executors});
            for lower in ["minExecutors", "initialExecutors"] {
                if dynamic[lower].as_i64().is_some_and(|number| number > executors) {
                    bounds[lower] = executors.into();
                }
            }
            json!({"spec": {"dynamicAllocation": bounds}})
        }
        false => json!({"spec": {"executor": {"instances": executors}}}),
    }
}

fn check_down(case: &Case<'_>) -> Result<Seen, Unknown> {
    let (_, object) = target(case)?;
    let (now, wanted) = (most(&object["spec"]), case.input.count("executors").unwrap_or(1));
    match now <= wanted {
        true => Ok(Seen::nothing(format!("it may have {now}, not more than {wanted}"))),
        false => Ok(Seen::go(format!("it may have {now}, and shall have {wanted}"))),
    }
}

fn check_up(case: &Case<'_>) -> Result<Seen, Unknown> {
    let (_, object) = target(case)?;
    let (now, wanted) = (most(&object["spec"]), case.input.count("executors").unwrap_or(1));
    if now >= wanted {
        return Ok(Seen::nothing(format!("it may have {now}, not fewer than {wanted}")));
    }
    // What one asks for now is what another will ask for.
    let pods = case.all(Read::ApplicationPods)?;
    let one = pods.iter().find(|pod| spark::is_executor(pod)).map(spark::requests);
    let Some(one) = one.filter(|one| one.0 > 0) else {
        return Ok(Seen::go(format!(
            "it may have {now}, and shall have {wanted}; no executor is there to measure the room by"
        )));
    };
    let placed = case.all(Read::Placed)?;
    let nodes = case.all(Read::Nodes)?.iter().filter(|node| spark::is_schedulable(node));
    let fit: i64 = nodes
        .map(|node| {
            let (_, free) = spark::room(node, placed);
            (free.0 / one.0)
                .min(if one.1 > 0 { free.1 / one.1 } else { i64::MAX })
                .max(0)
        })
        .sum();
    let live = pods
        .iter()
        .filter(|pod| spark::is_executor(pod) && spark::is_live(pod))
        .count();
    let more = wanted - i64::try_from(live).unwrap_or(i64::MAX);
    match more > fit {
        true => Ok(Seen::other(
            "capacity",
            format!(
                "{} are missing, and the nodes have room for {fit}",
                counted(more.unsigned_abs(), "executor")
            ),
        )),
        false => Ok(Seen::go(format!(
            "it may have {now}, and shall have {wanted}; the nodes have room for {fit} more"
        ))),
    }
}

fn plan(case: &Case<'_>) -> Result<Plan, Unknown> {
    let (kind, object) = target(case)?;
    let wanted = case.input.count("executors").unwrap_or(1);
    let patch = change(&object["spec"], wanted);
    let name = spark::name(object);
    if kind == Kind::SparkConnect {
        let blast = format!(
            "Connect server {name} may have {}; the operator makes its pod again if it must",
            counted(wanted.unsigned_abs(), "executor")
        );
        return Ok(Plan::new(blast, vec![Change::patch(kind, object, patch)]));
    }
    // What has ended stays so: its next run has the number.
    let mut changes = vec![Change::patch(kind, object, patch.clone())];
    if let Some(schedule) = case.one(Read::Schedule)? {
        changes.extend(spark::repair_schedule(schedule, &patch));
    }
    let blast = match spark::is_in_progress(object) {
        true => spark::blast(object, case.all(Read::ApplicationPods)?),
        false => format!(
            "application {name} has ended; later runs may have {}",
            counted(wanted.unsigned_abs(), "executor")
        ),
    };
    Ok(Plan::new(blast, changes))
}

fn scaled(case: &Case<'_>) -> Result<Held, Unknown> {
    let (kind, object) = target(case)?;
    let wanted = case.input.count("executors").unwrap_or(1);
    let now = most(&object["spec"]);
    if now != wanted {
        return Ok(Held::Never(format!("someone gave it {now}")));
    }
    if kind == Kind::SparkApplication && spark::is_in_progress(object) {
        let asked = object["metadata"]["annotations"]["stoke.dev/on-edit"].as_str();
        return Ok(match asked {
            Some("NextRun" | "Reject") => Held::Yes("the next run has it".to_owned()),
            _ => spark::runs_again(case, object),
        });
    }
    let state = spark::text(&object["status"]["state"]);
    Ok(Held::when(
        kind == Kind::SparkApplication || state == "Ready",
        format!("it may have {now}"),
        format!("the server is {state}"),
    ))
}
