//! Where a pod goes: a pure function, with the real scheduler's words for why it goes nowhere.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::fit::fits;
use super::neighbours::Surroundings;
use super::preempt::{priority, victims};
use super::room::holds_resources;
use super::score::best;

/// The state of the pod's claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claims {
    /// All are bound, or will be once the pod has a node.
    Fine,
    /// One does not exist.
    Missing,
    /// One is not bound and no one will bind it.
    Unbound,
}

/// What to do with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Bind it to this node.
    Bind(String),
    /// It fits nowhere; the message says why.
    Unschedulable(String),
    /// These pods, by UID, are to go from this node to make room; until then it fits nowhere, as the message says.
    Preempt {
        node: String,
        victims: Vec<String>,
        message: String,
    },
}

/// Decides where `pod` goes: of the nodes it fits the one it prefers. `others` are the pods already bound; `missing_claim` is what is said of
/// a claim that does not exist.
pub(crate) fn schedule(
    pod: &Pod,
    nodes: &[Node],
    others: &[Pod],
    claims: Claims,
    missing_claim: Option<&str>,
    around: &Surroundings,
) -> Decision {
    if nodes.is_empty() {
        return Decision::Unschedulable("no nodes available to schedule pods".to_owned());
    }
    let total = nodes.len();
    let whole = |reason: &str| {
        let help = "Preemption is not helpful for scheduling.";
        Decision::Unschedulable(format!(
            "0/{total} nodes are available: {reason}. no new claims to deallocate, preemption: 0/{total} nodes are \
             available: {total} {help}"
        ))
    };
    match claims {
        Claims::Missing => {
            return whole(missing_claim.unwrap_or_default());
        }
        Claims::Unbound => return whole("pod has unbound immediate PersistentVolumeClaims"),
        Claims::Fine => {}
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut helpless = 0;
    let mut possible = Vec::new();
    for node in nodes {
        match fits(pod, node, nodes, others, around) {
            Ok(()) => possible.push(node),
            Err(misfit) => {
                helpless += usize::from(!misfit.preemption_might_help);
                for reason in misfit.reasons {
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
    }
    if let Some(node) = best(pod, &possible, nodes, others, around) {
        return Decision::Bind(node.metadata.name.clone().unwrap_or_default());
    }
    let mut parts: Vec<String> = reasons
        .into_iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    parts.sort();
    let why = format!("0/{total} nodes are available: {}.", parts.join(", "));
    if total > helpless {
        if let Some(reason) = not_eligible(pod, others) {
            let message = format!("{why} preemption: not eligible due to {reason}.");
            return Decision::Unschedulable(message);
        }
        if let Some((node, victims)) = victims(pod, nodes, others, around) {
            let victims = victims.into_iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
            return Decision::Preempt {
                node,
                victims,
                message: why,
            };
        }
    }
    let mut preemption = Vec::new();
    if total > helpless {
        preemption.push(format!(
            "{} No preemption victims found for incoming pod",
            total - helpless
        ));
    }
    if helpless > 0 {
        preemption.push(format!("{helpless} Preemption is not helpful for scheduling"));
    }
    Decision::Unschedulable(format!(
        "{why} no new claims to deallocate, preemption: 0/{total} nodes are available: {}.",
        preemption.join(", ")
    ))
}

/// Why a pod may not take others' room now.
fn not_eligible(pod: &Pod, others: &[Pod]) -> Option<&'static str> {
    let spec = pod.spec.as_ref()?;
    if spec.preemption_policy.as_deref() == Some("Never") {
        return Some("preemptionPolicy=Never");
    }
    let nominated = pod
        .status
        .as_ref()
        .and_then(|status| status.nominated_node_name.as_deref())?;
    let going = others.iter().any(|other| {
        other.metadata.deletion_timestamp.is_some()
            && other.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(nominated)
            && priority(other) < priority(pod)
            && holds_resources(other)
    });
    going.then_some("a terminating pod on the nominated node")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(spec: Value) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "n1", "labels": {"disk": "ssd", "size": "7"}},
            "spec": spec,
            "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "3"}}
        }))
        .unwrap()
    }

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "uid": "p"}, "spec": spec})).unwrap()
    }

    fn asks(cpu: &str, memory: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]})
    }

    fn bound(uid: &str, phase: &str, cpu: &str) -> Pod {
        let mut pod =
            pod(json!({"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}));
        pod.metadata.uid = Some(uid.into());
        pod.status = serde_json::from_value(json!({"phase": phase})).unwrap();
        pod
    }

    fn says(pod: &Pod, node: Node, others: &[Pod]) -> String {
        match schedule(pod, &[node], others, Claims::Fine, None, &Surroundings::default()) {
            Decision::Bind(name) => name,
            Decision::Unschedulable(message) => message,
            Decision::Preempt { victims, .. } => format!("preempts {victims:?}"),
        }
    }

    const NO_VICTIMS: &str = " no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    const NO_HELP: &str = " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

    #[test]
    fn room_is_what_others_leave() {
        let others = [bound("a", "Running", "1500m"), bound("b", "Succeeded", "2")];
        assert_eq!(says(&pod(asks("500m", "1Gi")), node(json!({})), &others), "n1");
        assert_eq!(
            says(&pod(asks("501m", "1Gi")), node(json!({})), &others),
            format!("0/1 nodes are available: 1 Insufficient cpu.{NO_VICTIMS}")
        );
        assert_eq!(
            says(&pod(asks("3", "5Gi")), node(json!({})), &[]),
            format!("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.{NO_HELP}")
        );
        let gpu = json!({"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]});
        assert_eq!(
            says(&pod(gpu), node(json!({})), &[]),
            format!("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.{NO_HELP}")
        );
        let many = [
            bound("a", "Running", "1m"),
            bound("b", "Running", "1m"),
            bound("c", "Pending", "1m"),
        ];
        assert_eq!(
            says(&pod(asks("1m", "1")), node(json!({})), &many),
            format!("0/1 nodes are available: 1 Too many pods.{NO_VICTIMS}")
        );
    }

    #[test]
    fn a_more_important_pod_takes_room_if_it_may() {
        let others = [bound("a", "Running", "2")];
        let with = |priority: i32, policy: &str| {
            let mut spec = asks("1", "1Gi");
            spec["priority"] = priority.into();
            spec["preemptionPolicy"] = policy.into();
            says(&pod(spec), node(json!({})), &others)
        };
        assert_eq!(with(5, "PreemptLowerPriority"), "preempts [\"a\"]");
        assert!(with(0, "PreemptLowerPriority").ends_with(NO_VICTIMS));
        assert_eq!(
            with(5, "Never"),
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
        );
    }

    #[test]
    fn taints_selectors_and_affinity() {
        let table = [
            (
                json!({}),
                json!({"unschedulable": true}),
                "0/1 nodes are available: 1 node(s) were unschedulable.",
            ),
            (
                json!({}),
                json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}),
                "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.",
            ),
            (
                json!({"tolerations": [{"key": "k", "value": "v"}]}),
                json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}),
                "n1",
            ),
            (
                json!({"tolerations": [{"operator": "Exists"}]}),
                json!({"taints": [{"key": "k", "effect": "NoExecute"}]}),
                "n1",
            ),
            (
                json!({"tolerations": [{"key": "k", "value": "w"}]}),
                json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}),
                "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.",
            ),
            (
                json!({}),
                json!({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}),
                "n1",
            ),
            (json!({"nodeSelector": {"disk": "ssd"}}), json!({}), "n1"),
            (
                json!({"nodeSelector": {"disk": "hdd"}}),
                json!({}),
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            ),
        ];
        for (spec, node_spec, expected) in table {
            let mut spec = spec;
            spec["containers"] = json!([]);
            let said = says(&pod(spec), node(node_spec), &[]);
            assert!(said.starts_with(expected), "{said}");
            assert!(said == "n1" || said.ends_with(NO_HELP), "{said}");
        }
        let with = |operator: &str, key: &str, values: Value| {
            let term = json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
            let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}});
            says(
                &pod(json!({"containers": [], "affinity": {"nodeAffinity": required}})),
                node(json!({})),
                &[],
            ) == "n1"
        };
        assert!(with("In", "disk", json!(["ssd"])) && !with("In", "disk", json!(["hdd"])));
        assert!(with("NotIn", "disk", json!(["hdd"])) && with("NotIn", "none", json!(["x"])));
        assert!(with("Exists", "disk", json!([])) && with("DoesNotExist", "none", json!([])));
        assert!(
            with("Gt", "size", json!(["6"])) && !with("Gt", "size", json!(["7"])) && with("Lt", "size", json!(["8"]))
        );
    }

    #[test]
    fn a_host_port_is_taken_once() {
        let with = |uid: &str, port: Value| {
            let mut pod = pod(json!({"nodeName": "n1", "containers": [{"name": "c", "ports": [port]}]}));
            pod.metadata.uid = Some(uid.into());
            pod
        };
        let there = with(
            "a",
            json!({"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}),
        );
        let refused = format!(
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.{NO_VICTIMS}"
        );
        for (port, expected) in [
            (json!({"containerPort": 80, "hostPort": 8080}), refused.as_str()),
            (
                json!({"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}),
                &refused,
            ),
            (
                json!({"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.2"}),
                "n1",
            ),
            (json!({"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}), "n1"),
            (json!({"containerPort": 8080}), "n1"),
        ] {
            assert_eq!(
                says(&with("p", port.clone()), node(json!({})), std::slice::from_ref(&there)),
                expected,
                "{port}"
            );
        }
    }

    #[test]
    fn claims_and_no_nodes() {
        let pod = pod(json!({"containers": []}));
        let around = Surroundings::default();
        let said = |claims, name| match schedule(&pod, &[node(json!({}))], &[], claims, name, &around) {
            Decision::Bind(name) => name,
            Decision::Unschedulable(message) => message,
            Decision::Preempt { message, .. } => message,
        };
        assert!(
            said(Claims::Unbound, None)
                .starts_with("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. ")
        );
        assert!(
            said(Claims::Missing, Some("persistentvolumeclaim \"c\" not found"))
                .starts_with("0/1 nodes are available: persistentvolumeclaim \"c\" not found. ")
        );
        assert_eq!(
            schedule(&pod, &[], &[], Claims::Fine, None, &around),
            Decision::Unschedulable("no nodes available to schedule pods".into())
        );
    }
}
