//! An application that takes more than it should.

use std::collections::BTreeMap;

use serde_json::Value;
use stoke_model::names;
use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::scale::{change, most};
use super::shared::WITHIN;

const LOOK: &[Read] = &[Read::Applications, Read::Pods, Read::Schedules];

pub static BOOK: Runbook = Runbook {
    name: "cost-spike",
    title: "Applications of a namespace hold more cores than their budget",
    when: "The bill of a namespace rises. The application that holds the most is given no more executors than fit into the budget, now and in its schedule.",
    codes: &[],
    parameters: &[
        Parameter {
            name: "cores",
            what: "Cores that applications of the namespace may hold together",
            found: "Its budget by the price of a core and hour: `stoke cost --by namespace`",
            form: Form::Count,
            need: Need::Always,
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "spender",
            what: "How many cores do they hold, and who holds the most?",
            only: &[],
            reads: LOOK,
            does: Does::Check(check),
        },
        Step {
            name: "cap",
            what: "The greatest gets no more executors than fit, its schedule too.",
            only: &[],
            reads: LOOK,
            does: Does::Act {
                rights: &[
                    ("patch", Kind::SparkApplication),
                    ("patch", Kind::ScheduledSparkApplication),
                ],
                plan,
                undo: "It gets its earlier number.",
            },
        },
        Step {
            name: "within",
            what: "They hold no more cores than their budget.",
            only: &[],
            reads: LOOK,
            does: Does::Verify {
                holds: within,
                within: 900,
            },
        },
    ],
    limits: &[
        "What it costs in money, and for what: `stoke cost`. Whether it would finish as well with fewer: `stoke what-if`.",
    ],
};

/// Thousandths of a core by application, of pods that have not ended.
fn held(case: &Case<'_>) -> Result<BTreeMap<String, i64>, Unknown> {
    let mut all = BTreeMap::new();
    for pod in case.all(Read::Pods)?.iter().filter(|pod| spark::is_live(pod)) {
        let name = spark::label(pod, names::LABEL_APP_NAME);
        if !name.is_empty() {
            *all.entry(name.to_owned()).or_insert(0) += spark::requests(pod).0;
        }
    }
    Ok(all)
}

fn cores(thousandths: i64) -> String {
    format!("{}.{}", thousandths / 1000, thousandths % 1000 / 100)
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let held = held(case)?;
    let sum: i64 = held.values().sum();
    let budget = case.input.count("cores").unwrap_or(0) * 1000;
    let says = format!(
        "{} hold {} of {} cores",
        counted(held.len(), "application"),
        cores(sum),
        cores(budget)
    );
    if sum <= budget {
        return Ok(Seen::nothing(says));
    }
    let Some((name, greatest)) = held.iter().max_by_key(|(_, cores)| **cores) else {
        return Ok(Seen::nothing(says));
    };
    let pods = case.all(Read::Pods)?.iter();
    let executors: Vec<&Value> = pods
        .filter(|pod| {
            spark::is_live(pod) && spark::is_executor(pod) && spark::label(pod, names::LABEL_APP_NAME) == name
        })
        .collect();
    let each = executors.first().map_or(1000, |pod| spark::requests(pod).0.max(1));
    let left = (budget - (sum - greatest) - (greatest - each * i64::try_from(executors.len()).unwrap_or(0))) / each;
    if left < 1 {
        return Err(Unknown(format!(
            "{says}; {name} holds {}, and without an executor of its own the others still hold too much: end one of them",
            cores(*greatest)
        )));
    }
    Ok(Seen::go(format!(
        "{says}; {name} holds {} with {}, of which {left} fit",
        cores(*greatest),
        counted(executors.len(), "executor")
    ))
    .keep("application", name.as_str())
    .keep("executors", left))
}

fn plan(case: &Case<'_>) -> Result<Plan, Unknown> {
    let name = case.kept_text("application");
    let wanted = case.kept.get("executors").and_then(Value::as_i64).unwrap_or(1);
    let application = case
        .all(Read::Applications)?
        .iter()
        .find(|one| spark::name(one) == name);
    let application = application.ok_or_else(|| format!("application {name} is gone"))?;
    if most(&application["spec"]) <= wanted {
        return Ok(Plan::nothing("it may have no more already"));
    }
    let patch = change(&application["spec"], wanted);
    let mut changes = vec![Change::patch(Kind::SparkApplication, application, patch.clone())];
    let schedule = spark::label(application, names::LABEL_SCHEDULED_APP_NAME);
    if let Some(schedule) = case
        .all(Read::Schedules)?
        .iter()
        .find(|one| !schedule.is_empty() && spark::name(one) == schedule)
    {
        changes.extend(spark::repair_schedule(schedule, &patch));
    }
    let pods: Vec<Value> = case
        .all(Read::Pods)?
        .iter()
        .filter(|pod| spark::label(pod, names::LABEL_APP_NAME) == name)
        .cloned()
        .collect();
    Ok(Plan::new(
        format!(
            "{}; it may have {}",
            spark::blast(application, &pods),
            counted(wanted.unsigned_abs(), "executor")
        ),
        changes,
    ))
}

fn within(case: &Case<'_>) -> Result<Held, Unknown> {
    let sum: i64 = held(case)?.values().sum();
    let budget = case.input.count("cores").unwrap_or(0) * 1000;
    let name = case.kept_text("application");
    let application = case
        .all(Read::Applications)?
        .iter()
        .find(|one| spark::name(one) == name);
    let settled = application.is_none_or(|one| matches!(spark::state(one), "RUNNING" | "COMPLETED" | "FAILED"));
    let says = format!("{} of {} cores are held", cores(sum), cores(budget));
    Ok(Held::when(sum <= budget && settled, says.clone(), says))
}
