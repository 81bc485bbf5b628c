//! Memory that runs out.

use serde_json::Value;
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::units::people::memory as shown;

use super::super::book::{Does, Read, Runbook, Step};
use super::super::case::{Case, Seen, Unknown};
use super::super::spark;
use super::shared::{
    APPLICATION, FIX, SETTLE, WITH_FINDINGS, WITHIN, change, on_edit, put_back, repair, runs_after, without_change,
};

pub static BOOK: Runbook = Runbook {
    name: "out-of-memory",
    title: "A driver or executors run out of memory",
    when: "A heap, a container or a Python worker needs more memory than it has. The doctor says which of them and how much more; the cluster must have a node that holds it.",
    codes: &[
        "executor-oom-killed",
        "python-memory",
        "executor-heap-oom",
        "direct-memory-oom",
        "metaspace-oom",
        "threads-exhausted",
        "driver-heap-oom",
        "driver-oom-killed",
        "result-too-large",
        "broadcast-too-large",
        "broadcast-timeout",
        "memory-near-limit",
    ],
    parameters: &[APPLICATION, FIX, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "memory",
            what: "Which memory ran out, and how much more does the doctor propose?",
            only: &[],
            reads: WITH_FINDINGS,
            does: Does::Check(check),
        },
        Step {
            name: "room",
            what: "Is there a node that can hold so large a pod?",
            only: &[],
            reads: &[Read::Application, Read::Nodes],
            does: Does::Check(check_room),
        },
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
    ],
    limits: &[
        "A step that grows by factors is no cure for one partition that is too large: `stoke doctor` names skew, and `stoke size` a shape.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let findings = match case.input.get("fix") {
        Some(_) => case.all(Read::Findings).unwrap_or_default(),
        None => case.all(Read::Findings)?,
    };
    let Some(finding) = spark::finding(findings, BOOK.codes) else {
        return Ok(Seen::nothing("the doctor finds no memory that ran out"));
    };
    let patch = change(case, Some(finding)).ok_or_else(|| without_change(Some(finding)))?;
    let says = format!("{}; the change is {patch}", spark::text(&finding["message"]));
    Ok(Seen::go(says).keep("patch", patch).keep("onEdit", on_edit(application)))
}

/// Bytes of the container of a role with this change: what the manifest says, or Spark's defaults.
fn bytes(application: &Value, patch: &Value, role: &str) -> u64 {
    let field = |name: &str| {
        let changed = &patch["spec"][role][name];
        let written = if changed.is_null() {
            &application["spec"][role][name]
        } else {
            changed
        };
        written
            .as_str()
            .and_then(|text| Memory::parse(text, ByteUnit::Mib).ok())
            .map(|memory| memory.mib())
    };
    let heap = field("memory").unwrap_or(1024);
    let overhead = field("memoryOverhead").unwrap_or((heap / 10).max(384));
    (heap + overhead) << 20
}

fn check_room(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let patch = case.kept.get("patch").cloned().unwrap_or_default();
    let wanted = bytes(application, &patch, "driver").max(bytes(application, &patch, "executor"));
    let nodes = case.all(Read::Nodes)?.iter().filter(|node| spark::is_schedulable(node));
    let largest = nodes
        .map(|node| spark::amount(&node["status"]["allocatable"]["memory"]).1)
        .max();
    let largest = largest.unwrap_or(0).unsigned_abs();
    if wanted > largest {
        let says = format!(
            "the largest pod would need {}, and the largest node that takes pods offers {}",
            shown(wanted),
            shown(largest)
        );
        return Ok(Seen::other("capacity", says));
    }
    Ok(Seen::go(format!(
        "the largest pod needs {} of a node with {}",
        shown(wanted),
        shown(largest)
    )))
}
