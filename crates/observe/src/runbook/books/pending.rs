//! Pods that do not start.

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, FIX, SETTLE, WITHIN, change, on_edit, put_back, repair, runs_after, without_change};

const CORDONED: &[&str] = &["cordoned"];
const SETTINGS: &[&str] = &["settings"];

pub static BOOK: Runbook = Runbook {
    name: "pending-pods",
    title: "Pods do not start",
    when: "The driver or executors of an application wait: no node takes them, their image cannot be had, something they mount is missing. Nodes that were left cordoned take pods again; what the manifest asks wrongly is changed.",
    codes: &[
        "unschedulable",
        "unschedulable-cpu",
        "unschedulable-memory",
        "unschedulable-resource",
        "unschedulable-node-selector",
        "unschedulable-affinity",
        "unschedulable-taint",
        "pod-too-large",
        "nodes-cordoned",
        "no-executors",
        "volume-claim-missing",
        "volume-claim-unbound",
        "image-not-found",
        "image-pull-denied",
        "image-pull-failed",
        "image-name-invalid",
        "image-architecture",
        "registry-unreachable",
        "config-map-missing",
        "secret-missing",
        "config-key-missing",
        "container-cannot-start",
    ],
    parameters: &[
        APPLICATION,
        Parameter {
            name: "image",
            what: "The image to run with, where the one of the manifest cannot be had",
            found: "The last run that went well: `kubectl get sparkapplication NAME -o jsonpath={.spec.image}`",
            form: Form::Image,
            need: Need::Maybe,
        },
        FIX,
        SETTLE,
        WITHIN,
    ],
    steps: &[
        Step {
            name: "why",
            what: "Why do its pods wait?",
            only: &[],
            reads: &[Read::Application, Read::ApplicationPods, Read::Findings, Read::Nodes],
            does: Does::Check(check),
        },
        Step {
            name: "uncordon",
            what: "Nodes that are ready and were left cordoned take pods again.",
            only: CORDONED,
            reads: &[Read::Nodes],
            does: Does::Act {
                rights: &[("patch", Kind::Node)],
                plan: plan_uncordon,
                undo: "The nodes are cordoned again.",
            },
        },
        Step {
            name: "placed",
            what: "Every pod of the application has a node.",
            only: CORDONED,
            reads: &[Read::ApplicationPods],
            does: Does::Verify {
                holds: placed,
                within: 300,
            },
        },
        repair(SETTINGS),
        runs_after(SETTINGS),
        put_back(SETTINGS),
    ],
    limits: &["Ask who cordoned a node before it takes pods again; `kubectl describe node` names no one."],
};

/// Pods that do not start: without a node, or with a reason that is not the usual one of a pod that is being started.
fn waiting(pods: &[Value]) -> Vec<&Value> {
    let starts = |pod: &Value| {
        let reason = spark::waiting(pod).map(|(reason, _)| reason);
        pod["spec"]["nodeName"].is_string() && matches!(reason, None | Some("PodInitializing"))
    };
    let pending = pods.iter().filter(|pod| spark::phase(pod) == "Pending");
    pending.filter(|pod| !starts(pod)).collect()
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let waiting = waiting(case.all(Read::ApplicationPods)?);
    let findings = case.all(Read::Findings)?;
    if spark::finding(findings, super::quota::BOOK.codes).is_some() {
        return Ok(Seen::other("quota", "a quota refuses its pods"));
    }
    let finding = spark::finding(findings, BOOK.codes);
    let usual = |pod: &&Value| {
        let reason = spark::waiting(pod).map(|(reason, _)| reason);
        pod["spec"]["nodeName"].is_string() && reason == Some("ContainerCreating")
    };
    let waiting: Vec<&Value> = match finding {
        Some(_) => waiting,
        // Without a finding it is being created, and nothing is missing.
        None => waiting.into_iter().filter(|pod| !usual(pod)).collect(),
    };
    // What ended for want of its pods has none that wait; what runs may have waited before.
    if waiting.is_empty() && (finding.is_none() || spark::is_in_progress(application)) {
        return Ok(Seen::nothing("none of its pods waits"));
    }
    let on_edit = on_edit(application);
    let count = counted(waiting.len(), "pod");
    if let Some(image) = case.input.get("image") {
        let patch = json!({"spec": {"image": image}});
        return Ok(Seen::go(format!("{count} wait; the image is to be {image}"))
            .on("settings")
            .keep("patch", patch)
            .keep("onEdit", on_edit));
    }
    let cordoned: Vec<&str> = cordoned(case.all(Read::Nodes)?)
        .iter()
        .map(|node| spark::name(node))
        .collect();
    let without_node = waiting.iter().any(|pod| pod["spec"]["nodeName"].is_null());
    let code = finding.map_or("", |finding| spark::text(&finding["code"]));
    if !cordoned.is_empty()
        && without_node
        && (code.is_empty() || code == "nodes-cordoned" || code.starts_with("unschedulable"))
    {
        let says = format!(
            "{count} wait for a node, and {} {} cordoned",
            cordoned.join(", "),
            if cordoned.len() == 1 { "is" } else { "are" }
        );
        return Ok(Seen::go(says).on("cordoned").keep("nodes", cordoned));
    }
    match change(case, finding) {
        Some(patch) => {
            let message = finding.map_or("a change was given", |finding| spark::text(&finding["message"]));
            Ok(Seen::go(format!("{count} wait: {message}; the change is {patch}"))
                .on("settings")
                .keep("patch", patch)
                .keep("onEdit", on_edit))
        }
        None if matches!(
            code,
            "unschedulable-cpu" | "unschedulable-memory" | "unschedulable-resource"
        ) =>
        {
            Ok(Seen::other("capacity", format!("{count} wait for room on the nodes")))
        }
        None => Err(without_change(finding)),
    }
}

fn cordoned(nodes: &[Value]) -> Vec<&Value> {
    nodes
        .iter()
        .filter(|node| node["spec"]["unschedulable"] == true && spark::condition(node, "Ready") == Some("True"))
        .collect()
}

/// Also of the runbook `capacity`.
pub fn plan_uncordon(case: &Case<'_>) -> Result<Plan, Unknown> {
    let wanted: Vec<&str> = case
        .kept
        .get("nodes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(spark::text)
        .collect();
    let nodes = cordoned(case.all(Read::Nodes)?)
        .into_iter()
        .filter(|node| wanted.contains(&spark::name(node)));
    let changes: Vec<Change> = nodes
        .map(|node| Change::patch(Kind::Node, node, json!({"spec": {"unschedulable": null}})))
        .collect();
    match changes.is_empty() {
        true => Ok(Plan::nothing("they take pods already")),
        false => Ok(Plan::new(
            format!("{} take new pods; none is moved", counted(changes.len(), "node")),
            changes,
        )),
    }
}

fn placed(case: &Case<'_>) -> Result<Held, Unknown> {
    let left = waiting(case.all(Read::ApplicationPods)?);
    let without = left.iter().filter(|pod| pod["spec"]["nodeName"].is_null()).count();
    Ok(Held::when(
        without == 0,
        "every pod has a node",
        format!("{} without a node", counted(without, "pod")),
    ))
}
