//! Executors that fail.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Action, Change, Object, Plan};
use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, FIX, SETTLE, WITHIN, change, on_edit, put_back, repair, runs_after, without_change};

const NODE: &[&str] = &["node"];
const SETTINGS: &[&str] = &["settings"];

pub static BOOK: Runbook = Runbook {
    name: "executor-failures",
    title: "Executors fail",
    when: "Executors of an application end badly while its driver goes on: killed, evicted, lost with their node. When all of them failed on one node, the node takes no new pods; otherwise the doctor's change is made.",
    codes: &[
        "executor-lost",
        "executor-killed",
        "executor-failure-limit",
        "executor-evicted",
        "executor-evicted-storage",
        "executor-evicted-memory",
        "executor-preempted",
        "node-lost",
        "executor-heartbeat-timeout",
        "executor-pod-deleted",
        "executors-excluded",
        "native-crash",
        "lost-work",
        "slow-executor",
    ],
    parameters: &[APPLICATION, FIX, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "failures",
            what: "Which executors failed, where, and is it the node or the setting?",
            only: &[],
            reads: &[Read::Application, Read::ApplicationPods, Read::Findings, Read::Nodes],
            does: Does::Check(check),
        },
        Step {
            name: "cordon",
            what: "The node on which they failed takes no new pods.",
            only: NODE,
            reads: &[Read::Nodes, Read::Placed],
            does: Does::Act {
                rights: &[("patch", Kind::Node)],
                plan: plan_cordon,
                undo: "The node takes pods again.",
            },
        },
        Step {
            name: "move",
            what: "Evict the application's executors that still run there.",
            only: NODE,
            reads: &[Read::Application, Read::ApplicationPods],
            does: Does::Act {
                rights: &[("create", Kind::Pod)],
                plan: plan_move,
                undo: "",
            },
        },
        Step {
            name: "elsewhere",
            what: "No executor of the application is on the node.",
            only: NODE,
            reads: &[Read::Application, Read::ApplicationPods],
            does: Does::Verify {
                holds: elsewhere,
                within: 300,
            },
        },
        repair(SETTINGS),
        runs_after(SETTINGS),
        put_back(SETTINGS),
    ],
    limits: &[
        "A node that was cordoned is looked after with the runbook node-maintenance.",
        "Failed nodes are tried with nodes that only an API server knows; their executors are played.",
    ],
};

/// Executors that failed and are still there.
fn failed(pods: &[Value]) -> Vec<&Value> {
    pods.iter()
        .filter(|pod| spark::is_executor(pod) && spark::phase(pod) == "Failed")
        .collect()
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let pods = case.all(Read::ApplicationPods)?;
    let findings = case.all(Read::Findings)?;
    if let Some(memory) = spark::finding(findings, super::memory::BOOK.codes) {
        return Ok(Seen::other("out-of-memory", spark::text(&memory["message"])));
    }
    let failed = failed(pods);
    let nodes: BTreeSet<&str> = failed.iter().map(|pod| spark::text(&pod["spec"]["nodeName"])).collect();
    let finding = spark::finding(findings, BOOK.codes);
    if failed.is_empty() && finding.is_none() && case.input.get("fix").is_none() {
        return Ok(Seen::nothing("no executor failed"));
    }
    let cluster = case.all(Read::Nodes)?;
    let only = nodes.iter().next().filter(|_| nodes.len() == 1 && failed.len() > 1);
    if let Some(node) = only
        && let Some(there) = cluster.iter().find(|one| spark::name(one) == *node)
    {
        let others = cluster
            .iter()
            .filter(|one| spark::name(one) != *node && spark::is_schedulable(one))
            .count();
        let live = pods
            .iter()
            .filter(|pod| spark::is_live(pod) && pod["spec"]["nodeName"] == *node && spark::is_executor(pod));
        if there["spec"]["unschedulable"] == true && live.count() == 0 {
            return Ok(Seen::nothing(format!(
                "all of them failed on {node}, which takes no pods any more"
            )));
        }
        if others > 0 {
            let says = format!(
                "all {} failed on node {node}; {} can take others",
                counted(failed.len(), "executor"),
                counted(others, "node")
            );
            return Ok(Seen::go(says).on("node").keep("node", *node));
        }
    }
    let patch = change(case, finding).ok_or_else(|| without_change(finding))?;
    let says = format!("{} failed; the change is {patch}", counted(failed.len(), "executor"));
    Ok(Seen::go(says)
        .on("settings")
        .keep("patch", patch)
        .keep("onEdit", on_edit(application)))
}

fn plan_cordon(case: &Case<'_>) -> Result<Plan, Unknown> {
    let wanted = case.kept_text("node");
    let node = case.all(Read::Nodes)?.iter().find(|node| spark::name(node) == wanted);
    let node = node.ok_or_else(|| format!("node {wanted} is gone"))?;
    if node["spec"]["unschedulable"] == true {
        return Ok(Plan::nothing("it takes no pods already"));
    }
    let stay = case
        .all(Read::Placed)?
        .iter()
        .filter(|pod| pod["spec"]["nodeName"] == wanted)
        .count();
    let change = Change::patch(Kind::Node, node, json!({"spec": {"unschedulable": true}}));
    Ok(Plan::new(
        format!("node {wanted} takes no new pods; {} on it stay", counted(stay, "pod")),
        vec![change],
    ))
}

/// Live executors of the application on the node.
fn there<'a>(case: &Case<'a>) -> Result<Vec<&'a Value>, Unknown> {
    let node = case.kept_text("node");
    let pods = case.all(Read::ApplicationPods)?.iter();
    Ok(pods
        .filter(|pod| spark::is_executor(pod) && spark::is_live(pod) && pod["spec"]["nodeName"] == node)
        .collect())
}

fn plan_move(case: &Case<'_>) -> Result<Plan, Unknown> {
    let there = there(case)?;
    if there.is_empty() {
        return Ok(Plan::nothing("none is there"));
    }
    let evict = |pod: &&Value| {
        Change::only(Action::Evict {
            object: Object::of(Kind::Pod, pod),
            uid: spark::text(&pod["metadata"]["uid"]).to_owned(),
        })
    };
    let changes = there.iter().map(evict).collect();
    Ok(Plan::new(
        format!(
            "{} of application {} end; Spark asks for others and runs their tasks again",
            counted(there.len(), "executor"),
            case.input.text("application")
        ),
        changes,
    ))
}

fn elsewhere(case: &Case<'_>) -> Result<Held, Unknown> {
    let left = there(case)?.len();
    let node = case.kept_text("node");
    Ok(Held::when(
        left == 0,
        format!("no executor is on {node}"),
        format!("{} on {node}", counted(left, "executor")),
    ))
}
