//! Executors that were lost, from every place that tells of it, one row for each.

use std::collections::BTreeMap;

use super::context::Outcome;
use crate::facts::cluster::{Cluster, Pod, Role, State};
use crate::facts::run::FailureKind;
use crate::facts::{Facts, Run};
use crate::text::{after, between, leading_number, short};
use stoke_diagnostics::Evidence;

/// Why an executor was lost; the later, the less is said by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// The kernel ended its container for its memory.
    OomKilled,
    /// The kubelet evicted its pod: `memory`, `ephemeral-storage`, `disk`, or empty.
    Evicted(String),
    /// The scheduler preempted it, or its node was taken away (spot, drain, shutdown).
    Preempted,
    /// Its node went away or did not answer.
    NodeLost,
    /// The JVM ran out of memory (exit code 52).
    HeapOom,
    /// It could not make its local directories (exit code 53).
    NoLocalDirectory,
    /// It could not reach the driver with its heartbeats (exit code 56), or the driver did not hear them.
    Heartbeat,
    /// SIGKILL, and no one says whose.
    Killed,
    /// Another exit code.
    Exit(i32),
    /// Someone deleted its pod.
    Deleted,
    /// No one says.
    Unknown,
}

/// A lost executor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loss {
    /// Spark's id.
    pub executor: String,
    pub why: Why,
    pub evidence: Evidence,
    /// Whether tasks failed with it.
    pub cost_tasks: bool,
}

/// Characters of a reason shown as evidence.
const SHOWN: usize = 300;
/// Milliseconds before the end of the driver in which executors go because it ends.
const ENDING: i64 = 5_000;

/// Executors that were lost, without those that Spark itself let go.
pub(super) fn losses(facts: &Facts, outcome: Outcome) -> Vec<Loss> {
    let mut lost: BTreeMap<String, Loss> = BTreeMap::new();
    let mut add = |executor: &str, why: Why, evidence: Evidence| {
        let known = lost.entry(executor.to_owned()).or_insert_with(|| Loss {
            executor: executor.to_owned(),
            why: Why::Unknown,
            evidence: evidence.clone(),
            cost_tasks: false,
        });
        if why < known.why {
            (known.why, known.evidence) = (why, evidence);
        }
    };
    if let Some(run) = &facts.run {
        of_run(run, &mut add);
    }
    for log in facts.logs.iter().filter(|log| log.role == Role::Driver) {
        of_driver_log(log, &mut add);
    }
    if let Some(cluster) = &facts.cluster {
        of_cluster(cluster, &mut add);
    }
    if let Some(run) = &facts.run {
        for stage in run.stages.values() {
            for failure in &stage.failures {
                if let FailureKind::ExecutorLost { executor, .. } = &failure.kind
                    && let Some(loss) = lost.get_mut(executor)
                {
                    loss.cost_tasks = true;
                }
            }
        }
    }
    let mut lost: Vec<Loss> = lost.into_values().collect();
    if let Some(cluster) = &facts.cluster {
        taken_with_nodes(cluster, &mut lost);
    }
    // Signals that end an executor in the usual way matter where tasks failed with it; without an event log, where the run failed.
    lost.retain(|loss| match loss.why {
        Why::Deleted | Why::Unknown | Why::Exit(143) => {
            loss.cost_tasks || facts.run.is_none() && outcome == Outcome::Failed
        }
        _ => true,
    });
    lost.sort_by_key(|loss| (loss.why.clone(), loss.executor.parse::<u64>().unwrap_or(u64::MAX)));
    lost
}

fn of_run(run: &Run, add: &mut impl FnMut(&str, Why, Evidence)) {
    for executor in &run.executors {
        let Some(removed) = executor.removed else { continue };
        let ends = run.ended.is_some_and(|end| removed + ENDING >= end);
        match why(&executor.removed_because) {
            None => {}
            // The pods go when the driver does.
            Some(Why::Deleted | Why::Unknown | Why::Exit(143 | 0)) if ends => {}
            Some(why) => {
                let seen = short(&one_line(&executor.removed_because), SHOWN);
                add(
                    &executor.id,
                    why,
                    Evidence::new(format!("executor {}", executor.id), seen),
                );
            }
        }
    }
}

/// `Lost executor 1 on 10.0.0.7: …`, and what the API said of it in the lines that follow.
fn of_driver_log(log: &crate::facts::Log, add: &mut impl FnMut(&str, Why, Evidence)) {
    const FOLLOWING: usize = 16;
    for (place, line) in log.lines.iter().enumerate() {
        let Some(matched) = after(&line.text, "Lost executor ") else {
            continue;
        };
        let Some((id, rest)) = matched.split_once(" on ") else {
            continue;
        };
        let mut text = rest.split_once(": ").map_or(rest, |(_, text)| text).to_owned();
        for further in log.lines.iter().skip(place + 1).take(FOLLOWING) {
            if further.text.contains(" INFO ") || further.text.contains(" WARN ") || further.text.contains(" ERROR ") {
                break;
            }
            text.push(' ');
            text.push_str(further.text.trim());
        }
        if let Some(why) = why(&text) {
            let seen = short(&one_line(&format!("Lost executor {id}: {text}")), SHOWN);
            add(
                id,
                why,
                Evidence::new(format!("log {}:{}", log.source, line.number), seen),
            );
        }
    }
}

fn of_cluster(cluster: &Cluster, add: &mut impl FnMut(&str, Why, Evidence)) {
    for pod in cluster.executors() {
        let Role::Executor(id) = &pod.role else { continue };
        if let Some((why, seen)) = of_pod(pod) {
            add(id, why, Evidence::new(format!("pod {}", pod.name), seen));
        }
    }
    // Also of pods that are gone: their names end in the executor's id.
    for event in cluster.events.iter().filter(|event| event.kind == "Pod") {
        let known = cluster.pods.iter().find(|pod| pod.name == event.name);
        let id = match known.map(|pod| &pod.role) {
            Some(Role::Executor(id)) => id.as_str(),
            Some(Role::Driver) => continue,
            None => match event.name.rsplit_once("-exec-") {
                Some((_, id)) => id,
                None => continue,
            },
        };
        if let Some(why) = of_event(&event.reason, &event.message) {
            let seen = short(&format!("{}: {}", event.reason, event.message), SHOWN);
            add(id, why, Evidence::new(format!("event {}", event.reason), seen));
        }
    }
    // Pods that are gone already: the operator told of each.
    for event in cluster
        .events
        .iter()
        .filter(|event| event.reason == "SparkExecutorFailed")
    {
        for part in event.message.split(", Executor ").flat_map(|part| part.split("), ")) {
            let Some(id) = between(part, "-exec-", " ").or_else(|| between(part, "-exec-", ":")) else {
                continue;
            };
            let id = id.trim_end_matches(':');
            let code = after(part, "ExitCode: ").and_then(leading_number);
            let oom = part.contains("Reason: OOMKilled");
            let why = match (oom, code) {
                (true, _) => Why::OomKilled,
                (false, Some(code)) => of_code(i32::try_from(code).unwrap_or_default()),
                _ => continue,
            };
            add(
                id,
                why,
                Evidence::new(format!("event {}", event.reason), short(&event.message, SHOWN)),
            );
        }
    }
}

/// Of a pod that is still there.
fn of_pod(pod: &Pod) -> Option<(Why, String)> {
    let loss = |why: Why, detail: &str| Some((why, short(&format!("{}: {detail}", pod.reason), SHOWN)));
    match pod.reason.as_str() {
        "Evicted" => return loss(Why::Evicted(resource(&pod.message)), &pod.message),
        "Preempting" | "Preempted" | "Terminated" | "NodeShutdown" | "Shutdown" => {
            return loss(Why::Preempted, &pod.message);
        }
        "NodeLost" | "NodeAffinity" => return loss(Why::NodeLost, &pod.message),
        _ => {}
    }
    let disrupted = pod
        .conditions
        .iter()
        .find(|condition| condition.kind == "DisruptionTarget" && condition.status == "True");
    if let Some(condition) = disrupted {
        let why = match condition.reason.as_str() {
            "PreemptionByScheduler" | "TerminationByKubelet" | "EvictionByEvictionAPI" => Why::Preempted,
            "DeletionByTaintManager" | "DeletionByPodGC" => Why::NodeLost,
            _ => Why::Preempted,
        };
        return Some((
            why,
            short(
                &format!("DisruptionTarget {}: {}", condition.reason, condition.message),
                SHOWN,
            ),
        ));
    }
    let container = pod.containers.first()?;
    let ended = match (&container.state, &container.last) {
        (State::Terminated { .. }, _) => &container.state,
        (_, State::Terminated { .. }) => &container.last,
        _ => return None,
    };
    let State::Terminated { reason, exit_code, .. } = ended else {
        return None;
    };
    let seen = format!(
        "container {} terminated, exit code {exit_code}, reason {reason}",
        container.name
    );
    match (reason.as_str(), exit_code) {
        ("OOMKilled", _) => Some((Why::OomKilled, seen)),
        (_, 0) => None,
        (_, code) => Some((of_code(*code), seen)),
    }
}

fn of_event(reason: &str, message: &str) -> Option<Why> {
    match reason {
        // The kubelet says of which resource; a node's autoscaler says the same word of pods it moves away.
        "Evicted" if resource(message).is_empty() && message.starts_with("Evicted pod") => Some(Why::Preempted),
        "Evicted" => Some(Why::Evicted(resource(message))),
        "TaintManagerEviction" if message.starts_with("Cancelling") => None,
        "Preempted" | "TaintManagerEviction" | "ScaleDown" => Some(Why::Preempted),
        "NodeNotReady" => Some(Why::NodeLost),
        _ => None,
    }
}

/// What a node's event says of pods that went with it: that it is drained, or taken away. Words of kubectl and the kubelet, of autoscalers and of
/// the agents that pass on a cloud's notices.
pub(super) fn takes_node(reason: &str, message: &str) -> Option<&'static str> {
    const NOTICES: [&str; 9] = [
        "SpotInterruption",
        "SpotInterrupted",
        "RebalanceRecommendation",
        "PreemptScheduled",
        "TerminateScheduled",
        "InstanceTerminating",
        "InstanceStopping",
        "PreemptingNode",
        "VMEventScheduled",
    ];
    const LEAVING: [&str; 8] = [
        "NodeNotSchedulable",
        "CordonStarting",
        "Drain",
        "NodeShutdown",
        "Shutdown",
        "ScaleDown",
        "DeletingNode",
        "Disruption",
    ];
    let starts = |words: &[&str]| words.iter().any(|word| reason.starts_with(word));
    if starts(&NOTICES) || message.to_ascii_lowercase().contains("spot interruption") {
        return Some("its node was taken away (a notice for a spot or preemptible node)");
    }
    starts(&LEAVING).then_some("its node was drained or taken out of service")
}

/// What a node's taints say of pods that went with it.
const TAKEN: [&str; 6] = [
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupt",
    "aws-node-termination-handler/",
    "cloud.google.com/impending-node-termination",
    "remediation.medik8s.io/",
    "node.kubernetes.io/out-of-service",
];

/// Pods that were deleted while their node was drained or taken away went with it.
fn taken_with_nodes(cluster: &Cluster, lost: &mut [Loss]) {
    for loss in lost
        .iter_mut()
        .filter(|loss| matches!(loss.why, Why::Deleted | Why::Exit(143)))
    {
        let Some(node) = node_of(cluster, &loss.executor) else {
            continue;
        };
        let mut events = cluster
            .events
            .iter()
            .rev()
            .filter(|event| event.kind == "Node" && event.name == node);
        let event = events.find(|event| takes_node(&event.reason, &event.message).is_some());
        let now = cluster.nodes.iter().find(|known| known.name == node);
        let state = now.and_then(|now| {
            match now
                .taints
                .iter()
                .find(|taint| TAKEN.iter().any(|word| taint.starts_with(word)))
            {
                Some(taint) => Some(format!("it has the taint {taint}")),
                None => now
                    .unschedulable
                    .then(|| "it is cordoned (spec.unschedulable), as a drain begins".to_owned()),
            }
        });
        loss.evidence = match (event, state) {
            (Some(event), _) => {
                let seen = short(&format!("node {node}: {}: {}", event.reason, event.message), SHOWN);
                Evidence::new(format!("event {}", event.reason), seen)
            }
            (None, Some(state)) => Evidence::new(
                format!("node {node}"),
                short(&format!("{}; {state}", loss.evidence.seen), SHOWN),
            ),
            (None, None) => continue,
        };
        loss.why = Why::Preempted;
    }
}

/// The node an executor was on: of its pod, or of the scheduler's event about it.
fn node_of<'a>(cluster: &'a Cluster, executor: &str) -> Option<&'a str> {
    let pod = cluster
        .pods
        .iter()
        .find(|pod| matches!(&pod.role, Role::Executor(id) if id == executor));
    if let Some(node) = pod.and_then(|pod| pod.node.as_deref()) {
        return Some(node);
    }
    let ending = format!("-exec-{executor}");
    let mut events = cluster.events.iter().rev();
    let scheduled = events.find(|event| event.reason == "Scheduled" && event.name.ends_with(&ending))?;
    scheduled.message.rsplit_once(" to ").map(|(_, node)| node.trim())
}

/// What an executor's end means; none when Spark itself wanted it.
pub(super) fn why(text: &str) -> Option<Why> {
    let has = |words: &str| text.contains(words);
    const WANTED: [&str; 6] = [
        "Executor killed by driver",
        "killed by driver",
        "Executor decommission finished",
        "Executor is decommissioned",
        "decommissioned",
        "shutdown",
    ];
    if has("OOMKilled") {
        return Some(Why::OomKilled);
    }
    if has("Evicted") || has("low on resource") || has("ephemeral local storage usage exceeds") {
        return Some(Why::Evicted(resource(text)));
    }
    if has("Preempt")
        || has("EvictionByEvictionAPI")
        || has("NodeShutdown")
        || has("Pod was terminated in response to imminent node shutdown")
    {
        return Some(Why::Preempted);
    }
    if has("NodeLost") || has("worker lost") || has("Worker shutting down") && !has("decommission") {
        return Some(Why::NodeLost);
    }
    let code = [
        "exited with exit code ",
        "exited with code ",
        "with exit status ",
        "exitStatus ",
    ]
    .iter()
    .find_map(|mark| after(text, mark).and_then(leading_number));
    match code {
        Some(0) => return None,
        Some(code) => return Some(of_code(i32::try_from(code).unwrap_or(1))),
        None => {}
    }
    if has("heartbeat timed out") {
        return Some(Why::Heartbeat);
    }
    if has("deleted by a user or the framework") {
        return Some(Why::Deleted);
    }
    match WANTED.iter().any(|words| has(words)) {
        true => None,
        false => Some(Why::Unknown),
    }
}

/// Exit codes: of Spark's executors (`ExecutorExitCode`), and 128 and a signal.
fn of_code(code: i32) -> Why {
    match code {
        52 => Why::HeapOom,
        53 => Why::NoLocalDirectory,
        56 => Why::Heartbeat,
        137 => Why::Killed,
        code => Why::Exit(code),
    }
}

/// What a node or a pod had too little of.
fn resource(text: &str) -> String {
    let resource = match text {
        text if text.contains("ephemeral") || text.contains("emptyDir") || text.contains("EmptyDir") => {
            "ephemeral-storage"
        }
        text if text.contains("resource: memory") || text.contains("MemoryPressure") => "memory",
        text if text.contains("DiskPressure") || text.contains("nodefs") || text.contains("imagefs") => {
            "ephemeral-storage"
        }
        _ => "",
    };
    resource.to_owned()
}

/// A text of several lines on one.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_pods_and_nodes_tell_apart_why_a_pod_went() {
        for (reason, message, expected) in [
            (
                "Evicted",
                "The node was low on resource: ephemeral-storage. ",
                Some(Why::Evicted("ephemeral-storage".into())),
            ),
            (
                "Evicted",
                "Usage of EmptyDir volume \"spark-local-dir-1\" exceeds the limit \"1Gi\". ",
                Some(Why::Evicted("ephemeral-storage".into())),
            ),
            ("Evicted", "Evicted pod: SpotInterrupted", Some(Why::Preempted)),
            ("ScaleDown", "deleting pod for node scale down", Some(Why::Preempted)),
            (
                "TaintManagerEviction",
                "Marking for deletion Pod team-a/etl-exec-1",
                Some(Why::Preempted),
            ),
            (
                "TaintManagerEviction",
                "Cancelling deletion of Pod team-a/etl-exec-1",
                None,
            ),
            ("Preempted", "Preempted by pod 5b2d on node n1", Some(Why::Preempted)),
            ("Killing", "Stopping container spark-kubernetes-executor", None),
        ] {
            assert_eq!(of_event(reason, message), expected, "{reason}: {message}");
        }
        for (reason, message, words) in [
            (
                "SpotInterruption",
                "Spot Interruption event received. Instance will be interrupted at 2026-11-22T03:10:00Z",
                Some("spot"),
            ),
            ("RebalanceRecommendation", "", Some("spot")),
            (
                "SpotInterrupted",
                "Spot interruption warning was triggered",
                Some("spot"),
            ),
            (
                "NodeNotSchedulable",
                "Node n1 status is now: NodeNotSchedulable",
                Some("drained"),
            ),
            (
                "NodeShutdown",
                "Shutdown manager detected shutdown event",
                Some("drained"),
            ),
            (
                "DisruptionTerminating",
                "Disrupting Node: Underutilized/Delete",
                Some("drained"),
            ),
            ("NodeReady", "Node n1 status is now: NodeReady", None),
            ("Starting", "Starting kubelet.", None),
        ] {
            let matched = takes_node(reason, message);
            assert_eq!(matched.is_some(), words.is_some(), "{reason}");
            assert!(
                matched.is_none_or(|matched| words.is_some_and(|words| matched.contains(words))),
                "{reason}: {matched:?}"
            );
        }
    }

    #[test]
    fn ends_of_executors_as_spark_words_them() {
        for (text, expected) in [
            (
                "The executor with id 1 exited with exit code 137(SIGKILL, possible container OOM).\n\n\ttermination reason: OOMKilled",
                Some(Why::OomKilled),
            ),
            (
                "The executor with id 1 exited with exit code 137(SIGKILL, possible container OOM).",
                Some(Why::Killed),
            ),
            (
                "The executor with id 3 exited with exit code 52(JVM OOM).",
                Some(Why::HeapOom),
            ),
            ("Command exited with code 52", Some(Why::HeapOom)),
            ("Command exited with code 0", None),
            ("Executor killed by driver.", None),
            ("Executor decommission finished: spark scale down", None),
            ("Executor heartbeat timed out after 130000 ms", Some(Why::Heartbeat)),
            (
                "The executor with id 2 was deleted by a user or the framework.",
                Some(Why::Deleted),
            ),
            (
                "The executor with id 4 exited with exit code 1(Unexpected).",
                Some(Why::Exit(1)),
            ),
            (
                "The API gave the following brief reason: Evicted. The node was low on resource: memory.",
                Some(Why::Evicted("memory".into())),
            ),
            (
                "The API gave the following brief reason: Evicted. Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.",
                Some(Why::Evicted("ephemeral-storage".into())),
            ),
            (
                "Remote RPC client disassociated. Likely due to containers exceeding thresholds, or network issues.",
                Some(Why::Unknown),
            ),
        ] {
            assert_eq!(why(text), expected, "{text}");
        }
    }
}
