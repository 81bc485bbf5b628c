//! Pods no node takes.

use serde_json::{Value, json};
use stoke_model::quantity::Quantity;
use stoke_model::units::people::{amount, counted};

use super::class::{Class, END, Found, NONE_COME, THROWN, class, patch, words};
use super::context::Context;
use super::pods::Waiting;
use crate::facts::cluster::{Pod, Role};
use crate::text::{between, leading_number, short};
use stoke_diagnostics::{Evidence, Fix};

const ASSIGN: &str = "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/";
const RESOURCES: &str = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/";
const CLAIMS: &str = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/";
const FOLLOWS: &[&[&str]] = &[END, NONE_COME, THROWN];

static CPU: Class = class(
    "unschedulable-cpu",
    900,
    "a node takes a pod when its allocatable cores, less the requests of its pods, are enough",
    RESOURCES,
    FOLLOWS,
);
static MEMORY: Class = class(
    "unschedulable-memory",
    900,
    "a node takes a pod when its allocatable memory, less the requests of its pods, is enough",
    RESOURCES,
    FOLLOWS,
);
static OTHER: Class = class(
    "unschedulable-resource",
    900,
    "a node takes a pod when it has enough of every resource it requests, and room for one more pod",
    RESOURCES,
    FOLLOWS,
);
static TOO_LARGE: Class = class(
    "pod-too-large",
    910,
    "a pod must fit on one node: its requests may not exceed the allocatable resources of the largest",
    RESOURCES,
    &[END, NONE_COME, THROWN, &["unschedulable-cpu", "unschedulable-memory"]],
);
static SELECTOR: Class = class(
    "unschedulable-node-selector",
    902,
    "a pod goes to nodes whose labels fit its node selector and node affinity",
    ASSIGN,
    FOLLOWS,
);
static AFFINITY: Class = class(
    "unschedulable-affinity",
    901,
    "pod affinity, anti-affinity and spread constraints must be met",
    ASSIGN,
    FOLLOWS,
);
static TAINT: Class = class(
    "unschedulable-taint",
    901,
    "a node with a taint takes only pods that tolerate it",
    "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
    FOLLOWS,
);
static CORDONED: Class = class(
    "nodes-cordoned",
    901,
    "a node that is cordoned (spec.unschedulable) takes no new pods",
    "https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/",
    FOLLOWS,
);
static CLAIM_MISSING: Class = class(
    "volume-claim-missing",
    905,
    "a claim a pod mounts must exist in its namespace",
    CLAIMS,
    FOLLOWS,
);
static CLAIM_UNBOUND: Class = class(
    "volume-claim-unbound",
    904,
    "a claim must be bound to a volume a node can reach",
    CLAIMS,
    FOLLOWS,
);
static SCHEDULER: Class = class(
    "scheduler-missing",
    906,
    "a pod waits for the scheduler that its schedulerName names; when no such scheduler runs, there is no event and no message",
    "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-multiple-schedulers/",
    FOLLOWS,
);
static UNKNOWN: Class = class("unschedulable", 890, "the scheduler found no node", ASSIGN, FOLLOWS);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 12] = [
    &CPU,
    &MEMORY,
    &OTHER,
    &TOO_LARGE,
    &SELECTOR,
    &AFFINITY,
    &TAINT,
    &CORDONED,
    &CLAIM_MISSING,
    &CLAIM_UNBOUND,
    &SCHEDULER,
    &UNKNOWN,
];

/// Why no node takes a pod, from its condition and its events.
pub(super) fn look(context: &Context<'_>, waiting: &Waiting<'_>, out: &mut Vec<Found>) {
    let condition = waiting.pod.and_then(|pod| {
        let scheduled = pod
            .conditions
            .iter()
            .find(|condition| condition.kind == "PodScheduled")?;
        (scheduled.status == "False").then_some(scheduled)
    });
    let mut said = condition.map(|condition| {
        let seen = format!("PodScheduled False, {}: {}", condition.reason, condition.message);
        (
            condition.message.as_str(),
            Evidence::new(format!("pod {}", waiting.name), short(&seen, 300)),
        )
    });
    if said.is_none()
        && let Some(cluster) = context.cluster()
    {
        let events: Vec<_> = cluster.events_of("Pod", waiting.name).collect();
        let found =
            events.iter().any(|event| event.reason == "Scheduled") || waiting.pod.is_some_and(|pod| pod.node.is_some());
        said = events
            .iter()
            .rev()
            .find(|event| event.reason == "FailedScheduling" && !found)
            .map(|event| {
                let seen = format!("{} ({}): {}", waiting.name, counted(event.count, "time"), event.message);
                (
                    event.message.as_str(),
                    Evidence::new("event FailedScheduling", short(&seen, 300)),
                )
            });
    }
    let Some((message, evidence)) = said else {
        out.extend(waiting.pod.and_then(|pod| unclaimed(context, pod, waiting.fatal)));
        return;
    };
    if let Some((class, cause, fix)) = explain(context, waiting.pod, message) {
        out.push(Found::new(class, waiting.fatal, cause, evidence, fix));
    }
}

/// A pod of another scheduler than Kubernetes' own that no scheduler has looked at: neither a condition nor an event of a scheduler.
fn unclaimed(context: &Context<'_>, pod: &Pod, fatal: bool) -> Option<Found> {
    let name = pod.spec["schedulerName"].as_str()?;
    let is_looked_at = pod.node.is_some() || pod.conditions.iter().any(|condition| condition.kind == "PodScheduled");
    let cluster = context.cluster()?;
    let is_scheduled = cluster
        .events_of("Pod", &pod.name)
        .any(|event| event.reason == "Scheduled");
    if name.is_empty() || name == "default-scheduler" || is_looked_at || is_scheduled {
        return None;
    }
    let who = match pod.role {
        Role::Driver => "The driver",
        Role::Executor(_) => "An executor",
    };
    let cause = format!(
        "{who} waits for the scheduler {name}, which has not looked at it: no such scheduler runs in this cluster"
    );
    let evidence = Evidence::new(
        format!("pod {}", pod.name),
        format!("schedulerName {name}; no condition PodScheduled, no event of a scheduler"),
    );
    let fix = words(stoke_model::waiting::no_scheduler(name));
    Some(Found::new(&SCHEDULER, fatal, cause, evidence, fix))
}

/// What the scheduler's words mean: the obstacle most nodes have, with those first that no node gets over by waiting.
pub(super) fn explain(
    context: &Context<'_>,
    pod: Option<&Pod>,
    message: &str,
) -> Option<(&'static Class, String, Fix)> {
    let said = message.split(" preemption: ").next().unwrap_or(message).trim();
    let who = match pod.map(|pod| &pod.role) {
        Some(Role::Driver) | None => "The driver",
        Some(Role::Executor(_)) => "An executor",
    };
    if message.contains("persistentvolumeclaim") && message.contains("not found") {
        let name = between(message, "persistentvolumeclaim \"", "\"").unwrap_or("?");
        return Some((
            &CLAIM_MISSING,
            format!(
                "{who} mounts the claim {name}, which does not exist in the namespace {}",
                context.namespace()
            ),
            words(
                "correct claimName in the manifest, or make the claim; for executors write claimName: OnDemand, which makes one for each",
            ),
        ));
    }
    if message.contains("unbound immediate PersistentVolumeClaims")
        || message.contains("volume node affinity conflict")
        || message.contains("available persistent volumes to bind")
    {
        return Some((
            &CLAIM_UNBOUND,
            format!(
                "{who} waits for a claim without a volume: {}",
                short(&claims(context).unwrap_or_else(|| said.to_owned()), 250)
            ),
            words(
                "see the claim's events (kubectl describe pvc): a storage class that exists and has a provisioner, a volume in the zone of nodes the pod may use",
            ),
        ));
    }
    if let Some((cause, fix)) = pod.and_then(|pod| too_large(context, pod, who)) {
        return Some((&TOO_LARGE, cause, fix));
    }
    let nodes = message
        .split(" nodes are available")
        .next()
        .and_then(|head| head.rsplit('/').next())
        .and_then(leading_number);
    // "1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}": the most nodes first, in the order told.
    let reasons = said
        .split_once("nodes are available: ")
        .map_or(said, |(_, reasons)| reasons);
    let mut parts: Vec<(i64, &str)> = split(reasons);
    parts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let (number, part) = parts.first().copied()?;
    let asked = pod.map(requests).unwrap_or_default();
    let on = match nodes {
        Some(nodes) => format!("{number} of {}", counted(nodes, "node")),
        None => counted(number, "node"),
    };
    let (have, are, do_not) = match number {
        1 => ("has", "is", "does not"),
        _ => ("have", "are", "do not"),
    };
    Some(match part {
        part if part.starts_with("Insufficient cpu") => (
            &CPU,
            format!("{who} finds no node: {on} {have} too few cores free{asked}"),
            words("ask for fewer cores (coreRequest may be less than cores), fewer executors, or add nodes"),
        ),
        part if part.starts_with("Insufficient memory") => (
            &MEMORY,
            format!("{who} finds no node: {on} {have} too little memory free{asked}"),
            words("ask for less memory or fewer executors, or add nodes"),
        ),
        part if part.starts_with("Insufficient ") || part.starts_with("Too many pods") => (
            &OTHER,
            format!("{who} finds no node: {on}: {part}{asked}"),
            words("ask for less of it, or add nodes that have it"),
        ),
        part if part.contains("untolerated taint") || part.contains("had taint") => {
            let taint = between(part, "{", "}").unwrap_or("");
            let (key, value) = taint.split_once(':').unwrap_or((taint, ""));
            let (key, value) = (key.trim(), value.trim());
            (
                &TAINT,
                format!(
                    "{who} finds no node: {on} {have} the taint {}, which it does not tolerate",
                    taint.trim_end_matches([':', ' '])
                ),
                tolerate(context, key, value),
            )
        }
        part if part.contains("node affinity/selector") || part.contains("node selector") => {
            let wanted = pod
                .map(|pod| pod.spec["nodeSelector"].clone())
                .filter(|selector| selector.is_object());
            let wanted = wanted.map(|selector| format!(" ({selector})")).unwrap_or_default();
            (
                &SELECTOR,
                format!("{who} finds no node: {on} {do_not} fit its node selector or affinity{wanted}"),
                words(
                    "correct nodeSelector or affinity in the manifest, or label a node: kubectl label node NAME KEY=VALUE",
                ),
            )
        }
        part if part.contains("affinity") || part.contains("topology spread") => (
            &AFFINITY,
            format!("{who} finds no node: {on} {}", part.trim_start_matches("node(s) ")),
            words("write the rule as preferred instead of required, or add nodes that let it be met"),
        ),
        part if part.contains("were unschedulable") => (
            &CORDONED,
            format!("{who} finds no node: {on} {are} cordoned"),
            words("kubectl uncordon NAME when the maintenance is over, or add nodes"),
        ),
        part => (
            &UNKNOWN,
            format!("{who} finds no node: {}", short(part, 250)),
            words("see what the scheduler says: kubectl describe pod"),
        ),
    })
}

/// The scheduler's reasons with their numbers of nodes; commas inside of braces are a taint's.
fn split(reasons: &str) -> Vec<(i64, &str)> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in reasons.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&reasons[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&reasons[start..]);
    let numbered = |part: &str| leading_number(part);
    let parts = parts.into_iter().map(|part| part.trim().trim_end_matches('.'));
    parts
        .filter_map(|part| {
            let number = numbered(part)?;
            Some((
                number,
                part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start(),
            ))
        })
        .collect()
}

/// The tolerations of the manifest and one more.
fn tolerate(context: &Context<'_>, key: &str, value: &str) -> Fix {
    let toleration = match value {
        "" => json!({"key": key, "operator": "Exists"}),
        value => json!({"key": key, "operator": "Equal", "value": value}),
    };
    let with = |role: &str| {
        let mut known: Vec<Value> = context
            .spec(&format!("/{role}/tolerations"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        known.push(toleration.clone());
        json!({ "tolerations": known })
    };
    patch(
        format!("let the pods tolerate it, if they may use those nodes (taint {key})"),
        json!({"spec": {"driver": with("driver"), "executor": with("executor")}}),
    )
}

/// Unbound claims and what is told of them.
fn claims(context: &Context<'_>) -> Option<String> {
    let cluster = context.cluster()?;
    let unbound = cluster
        .claims
        .iter()
        .find(|claim| claim["status"]["phase"] != "Bound")?;
    let name = unbound["metadata"]["name"].as_str()?;
    let class = unbound["spec"]["storageClassName"].as_str().unwrap_or("the default");
    let why = cluster
        .events_of("PersistentVolumeClaim", name)
        .last()
        .map(|event| format!(": {}", event.message))
        .unwrap_or_default();
    Some(format!(
        "the claim {name} of the storage class {class} is not bound{why}"
    ))
}

/// The containers' requests of a resource in all, in thousandths.
fn requested(pod: &Pod, resource: &str) -> Option<i128> {
    let amounts = pod.containers.iter().filter(|container| !container.init);
    let amounts = amounts.filter_map(|container| {
        container
            .requests
            .get(resource)
            .or_else(|| container.limits.get(resource))
    });
    let sum = amounts
        .filter_map(|text| text.parse::<Quantity>().ok())
        .map(|quantity| quantity.nanos() / 1_000_000)
        .sum();
    (sum > 0).then_some(sum)
}

fn requests(pod: &Pod) -> String {
    let cpu = requested(pod, "cpu").map(|milli| amount(&(milli as f64 / 1000.0).to_string(), "core"));
    let memory = requested(pod, "memory").map(|milli| format!("{} MiB of memory", (milli / 1000) >> 20));
    let parts: Vec<String> = cpu.into_iter().chain(memory).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("; it asks for {}", parts.join(" and ")),
    }
}

/// A pod that asks for more than the largest node has.
fn too_large(context: &Context<'_>, pod: &Pod, who: &str) -> Option<(String, Fix)> {
    let nodes = &context.cluster()?.nodes;
    for (resource, field, unit) in [("memory", "memory", "MiB"), ("cpu", "cores", "cores")] {
        let asked = requested(pod, resource)?;
        let largest = nodes
            .iter()
            .filter_map(|node| node.allocatable.get(resource)?.parse::<Quantity>().ok())
            .map(|quantity| quantity.nanos() / 1_000_000)
            .max();
        let Some(largest) = largest.filter(|largest| asked > *largest) else {
            continue;
        };
        let shown = |milli: i128| match resource {
            "memory" => format!("{} {unit}", (milli / 1000) >> 20),
            _ => format!("{} {unit}", milli as f64 / 1000.0),
        };
        return Some((
            format!(
                "{who} asks for {}, and the largest node has {} to give: it fits on none",
                shown(asked),
                shown(largest)
            ),
            words(format!(
                "ask for less {field} (heap and overhead together for memory), or add larger nodes; more and smaller executors do the same work"
            )),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Cluster, Facts, Objects};

    fn matched(message: &str, nodes: Value) -> (&'static str, String, Fix) {
        let pod = json!({
            "metadata": {"name": "d", "labels": {"spark-role": "driver"}},
            "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "spark-kubernetes-driver", "resources": {"requests": {"cpu": "2", "memory": "4505Mi"}}}]},
            "status": {"phase": "Pending"},
        });
        let cluster = Cluster::of_objects(Objects {
            pods: vec![pod],
            nodes: nodes.as_array().cloned().unwrap_or_default(),
            ..Objects::default()
        });
        let facts = Facts {
            cluster: Some(cluster),
            ..Facts::default()
        };
        let context = Context::new(&facts);
        let (class, cause, fix) = explain(&context, context.cluster().unwrap().driver(), message).unwrap();
        (class.id, cause, fix)
    }

    #[test]
    fn what_the_scheduler_says() {
        const TAIL: &str = " preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
        for (message, id) in [
            ("0/3 nodes are available: 3 Insufficient cpu.", "unschedulable-cpu"),
            (
                "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient memory.",
                "unschedulable-memory",
            ),
            (
                "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                "unschedulable-resource",
            ),
            ("0/3 nodes are available: 3 Too many pods.", "unschedulable-resource"),
            (
                "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
                "unschedulable-node-selector",
            ),
            (
                "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {dedicated: gpu}.",
                "unschedulable-taint",
            ),
            (
                "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.",
                "unschedulable-affinity",
            ),
            (
                "0/3 nodes are available: 3 node(s) were unschedulable.",
                "nodes-cordoned",
            ),
            (
                "0/3 nodes are available: persistentvolumeclaim \"data\" not found.",
                "volume-claim-missing",
            ),
            (
                "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
                "volume-claim-unbound",
            ),
        ] {
            assert_eq!(matched(&format!("{message}{TAIL}"), json!([])).0, id, "{message}");
        }
    }

    #[test]
    fn a_taint_is_tolerated_by_the_patch() {
        let (_, cause, fix) = matched(
            "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}.",
            json!([]),
        );
        assert_eq!(
            cause,
            "The driver finds no node: 2 of 2 nodes have the taint dedicated: gpu, which it does not tolerate"
        );
        let tolerations = &fix.patch.unwrap()["spec"]["executor"]["tolerations"];
        assert_eq!(
            tolerations,
            &json!([{"key": "dedicated", "operator": "Equal", "value": "gpu"}])
        );
    }

    #[test]
    fn a_pod_larger_than_any_node_is_told_as_such() {
        let nodes = json!([{"status": {"allocatable": {"cpu": "4", "memory": "2Gi"}}}, {"status": {"allocatable": {"cpu": "8", "memory": "4Gi"}}}]);
        let (id, cause, _) = matched("0/2 nodes are available: 2 Insufficient memory.", nodes);
        assert_eq!(id, "pod-too-large");
        assert_eq!(
            cause,
            "The driver asks for 4505 MiB, and the largest node has 4096 MiB to give: it fits on none"
        );
    }
}
