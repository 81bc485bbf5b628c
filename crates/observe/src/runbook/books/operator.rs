//! Another version of the operator.

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::history::ready;
use super::shared::{WITHIN, WORKLOAD};

pub static BOOK: Runbook = Runbook {
    name: "upgrade-operator",
    title: "Upgrade the operator, pod by pod",
    when: "Another image of the operator is to work. Applications go on meanwhile: their drivers need no operator. What does not become ready is put back with `stoke runbook undo`.",
    codes: &[],
    parameters: &[
        Parameter {
            need: Need::Else("deployment/spark-operator-controller"),
            ..WORKLOAD
        },
        Parameter {
            name: "image",
            what: "The image of the new operator",
            found: "The release notes; `scripts/operator-image` makes one",
            form: Form::Image,
            need: Need::Always,
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "healthy",
            what: "Is the operator whole, and of which image is it?",
            only: &[],
            reads: &[Read::Workload, Read::WorkloadPods, Read::Leases],
            does: Does::Check(check),
        },
        Step {
            name: "upgrade",
            what: "Write the new image into its first container.",
            only: &[],
            reads: &[Read::Workload],
            does: Does::Act {
                rights: &[("patch", Kind::Deployment), ("patch", Kind::StatefulSet)],
                plan,
                undo: "The earlier image is rolled out again.",
            },
        },
        ready(&[]),
        Step {
            name: "works",
            what: "Its pods run the new image, and where leases are kept, one was renewed since.",
            only: &[],
            reads: &[Read::Workload, Read::WorkloadPods, Read::Leases],
            does: Does::Verify {
                holds: works,
                within: 120,
            },
        },
    ],
    limits: &[
        "New fields need the new definitions: `stoke operator install` or the chart applies them first.",
        "The trial rolls a stand-in; the operator itself is upgraded on a real Kubernetes in the tier `real`.",
    ],
};

fn image(workload: &Value) -> &str {
    spark::text(&workload["spec"]["template"]["spec"]["containers"][0]["image"])
}

/// The leases of an operator.
fn leases<'a>(case: &Case<'a>) -> Result<Vec<&'a Value>, Unknown> {
    let name = stoke_model::names::LEADER_LEASE;
    Ok(case
        .all(Read::Leases)?
        .iter()
        .filter(|lease| spark::name(lease).starts_with(name))
        .collect())
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let workload = case.the(Read::Workload)?;
    let (wanted, ready, is_current) = spark::replicas(workload);
    let (now, next) = (image(workload), case.input.text("image"));
    if now == next && is_current && ready == wanted {
        return Ok(Seen::nothing(format!("it works with {now} already")));
    }
    if now != next && ready < wanted {
        return Err(Unknown(format!(
            "{ready} of {wanted} pods are ready: repair what is there before another version hides why"
        )));
    }
    if wanted > 1 && leases(case)?.is_empty() {
        return Err("more than one operator without leases: two would work at once".into());
    }
    Ok(Seen::go(format!(
        "{} of {now} ready; the new image is {next}",
        counted(ready.unsigned_abs(), "pod")
    )))
}

fn plan(case: &Case<'_>) -> Result<Plan, Unknown> {
    let workload = case.the(Read::Workload)?;
    let (kind, name) = case
        .input
        .workload()
        .ok_or("--workload is deployment/NAME or statefulset/NAME")?;
    let next = case.input.text("image");
    if image(workload) == next {
        return Ok(Plan::nothing("it has this image"));
    }
    // A merge patch replaces a list, so it carries all containers.
    let mut containers = workload["spec"]["template"]["spec"]["containers"].clone();
    containers[0]["image"] = next.into();
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let (wanted, ..) = spark::replicas(workload);
    Ok(Plan::new(
        format!(
            "{} of {name} are replaced one after the other; no application is touched",
            counted(wanted.unsigned_abs(), "pod")
        ),
        vec![Change::patch(kind, workload, patch)],
    ))
}

fn works(case: &Case<'_>) -> Result<Held, Unknown> {
    let next = case.input.text("image");
    let pods = case
        .all(Read::WorkloadPods)?
        .iter()
        .filter(|pod| spark::is_live(pod) && pod["metadata"]["deletionTimestamp"].is_null());
    let old = pods
        .filter(|pod| spark::text(&pod["spec"]["containers"][0]["image"]) != next)
        .count();
    if old > 0 {
        return Ok(Held::NotYet(format!("{} of another image", counted(old, "pod"))));
    }
    let leases = leases(case)?;
    let renewed = |lease: &&&Value| spark::time(&lease["spec"]["renewTime"]).is_some_and(|time| time >= case.decided);
    match leases.iter().filter(renewed).count() {
        _ if leases.is_empty() => Ok(Held::Yes(format!("all pods are of {next}; no lease is kept"))),
        0 => Ok(Held::NotYet("no lease was renewed since".to_owned())),
        count => Ok(Held::Yes(format!(
            "all pods are of {next}; {} renewed since",
            counted(count, "lease")
        ))),
    }
}
