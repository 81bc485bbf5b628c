//! Whether a pod fits a node: a pure function, with the real scheduler's words for why not.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration,
};
use stoke_model::quantity::Quantity;

use super::neighbours::{Surroundings, objection};
use super::preempt::{priority, victims};

/// Amounts by resource name: CPU in thousandths, the others in whole units.
pub(crate) type Amounts = BTreeMap<String, u64>;

/// The state of the pod's claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claims {
    /// All are bound, or will be once the pod has a node.
    Fine,
    /// One does not exist.
    Missing,
    /// One is not bound and nobody will bind it.
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

/// Decides where `pod` goes. `others` are the pods already bound; `missing_claim` names a claim that does not exist.
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
            return whole(&format!(
                "persistentvolumeclaim \"{}\" not found",
                missing_claim.unwrap_or_default()
            ));
        }
        Claims::Unbound => return whole("pod has unbound immediate PersistentVolumeClaims"),
        Claims::Fine => {}
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut helpless = 0;
    for node in nodes {
        match fits(pod, node, nodes, others, around) {
            Ok(()) => return Decision::Bind(node.metadata.name.clone().unwrap_or_default()),
            Err(misfit) => {
                helpless += usize::from(!misfit.preemption_might_help);
                for reason in misfit.reasons {
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
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

/// Why a pod does not fit one node.
pub(super) struct Misfit {
    reasons: Vec<String>,
    preemption_might_help: bool,
}

impl Misfit {
    fn helpless(reason: impl Into<String>) -> Misfit {
        Misfit {
            reasons: vec![reason.into()],
            preemption_might_help: false,
        }
    }
}

/// Whether a pod fits a node beside `others`, the pods already bound.
pub(super) fn fits(
    pod: &Pod,
    node: &Node,
    nodes: &[Node],
    others: &[Pod],
    around: &Surroundings,
) -> Result<(), Misfit> {
    let spec = pod.spec.clone().unwrap_or_default();
    let node_spec = node.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let unschedulable = Taint {
        effect: "NoSchedule".to_owned(),
        key: "node.kubernetes.io/unschedulable".to_owned(),
        ..Taint::default()
    };
    if node_spec.unschedulable == Some(true) && !tolerates(tolerations, &unschedulable) {
        return Err(Misfit::helpless("node(s) were unschedulable"));
    }
    let taints = node_spec.taints.unwrap_or_default();
    let untolerated = taints
        .iter()
        .find(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !tolerates(tolerations, taint));
    if let Some(taint) = untolerated {
        let value = taint.value.as_deref().unwrap_or_default();
        return Err(Misfit::helpless(format!(
            "node(s) had untolerated taint {{{}: {value}}}",
            taint.key
        )));
    }
    if !selected(&spec, node) {
        return Err(Misfit::helpless("node(s) didn't match Pod's node affinity/selector"));
    }
    room(pod, &spec, node, others)?;
    let there = others
        .iter()
        .filter(|other| holds_resources(other) && other.metadata.uid != pod.metadata.uid);
    match objection(pod, node, nodes, &there.collect::<Vec<_>>(), around) {
        None => Ok(()),
        Some((reason, preemption_might_help)) => Err(Misfit {
            reasons: vec![reason.to_owned()],
            preemption_might_help,
        }),
    }
}

/// Whether a pod is to be started on a node, and whether it may stay there: its node selection and the node's taints.
pub(crate) fn tolerated(pod: &Pod, node: &Node) -> (bool, bool) {
    let spec = pod.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let taints = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    let hard = |effects: &[&str]| {
        let mut taints = taints.iter().filter(|taint| effects.contains(&taint.effect.as_str()));
        taints.all(|taint| tolerates(tolerations, taint))
    };
    let fits = selected(&spec, node);
    (fits && hard(&["NoSchedule", "NoExecute"]), fits && hard(&["NoExecute"]))
}

/// Whether a toleration matches a taint.
fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let key = toleration.key.as_deref().unwrap_or_default();
        let exists = toleration.operator.as_deref() == Some("Exists");
        (effect.is_empty() || effect == taint.effect)
            && (key.is_empty() && exists || key == taint.key)
            && (exists || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
    })
}

/// Whether the node is one the pod wants: its selector and its required node affinity.
fn selected(spec: &PodSpec, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let selector = spec.node_selector.iter().flatten();
    if !selector.into_iter().all(|(key, value)| labels.get(key) == Some(value)) {
        return false;
    }
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref());
    match affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref()) {
        None => true,
        Some(required) => required
            .node_selector_terms
            .iter()
            .any(|term| matches_term(term, node, labels)),
    }
}

fn matches_term(term: &NodeSelectorTerm, node: &Node, labels: &BTreeMap<String, String>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = node.metadata.name.clone().unwrap_or_default();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions
            .iter()
            .all(|requirement| matches_requirement(requirement, labels.get(&requirement.key)))
        && fields
            .iter()
            .all(|requirement| requirement.key == "metadata.name" && matches_requirement(requirement, Some(&name)))
}

fn matches_requirement(requirement: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let number = |text: &str| text.parse::<i64>().ok();
    let against = values.first().and_then(|text| number(text));
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => value.is_none_or(|value| !values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => matches!((value.and_then(|value| number(value)), against), (Some(own), Some(limit)) if own > limit),
        "Lt" => matches!((value.and_then(|value| number(value)), against), (Some(own), Some(limit)) if own < limit),
        _ => false,
    }
}

/// Whether what the pod requests is free on the node.
fn room(pod: &Pod, spec: &PodSpec, node: &Node, others: &[Pod]) -> Result<(), Misfit> {
    let name = node.metadata.name.as_deref();
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
    let offered: Amounts = allocatable
        .into_iter()
        .flatten()
        .map(|(resource, quantity)| (resource.clone(), amount(resource, &quantity.0)))
        .collect();
    let here = others.iter().filter(|other| {
        let spec = other.spec.as_ref();
        spec.and_then(|spec| spec.node_name.as_deref()) == name
            && holds_resources(other)
            && other.metadata.uid != pod.metadata.uid
    });
    let mut used = Amounts::new();
    let mut pods = 0;
    for other in here {
        pods += 1;
        if let Some(spec) = &other.spec {
            add(&mut used, &requests(spec));
        }
    }
    let mut reasons = Vec::new();
    let mut might_help = true;
    if pods + 1 > offered.get("pods").copied().unwrap_or(u64::MAX) {
        reasons.push("Too many pods".to_owned());
    }
    for (resource, wanted) in requests(spec) {
        let all = offered.get(&resource).copied().unwrap_or(0);
        let free = all.saturating_sub(used.get(&resource).copied().unwrap_or(0));
        if wanted > free {
            might_help &= wanted <= all;
            reasons.push(format!("Insufficient {resource}"));
        }
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Misfit {
            reasons,
            preemption_might_help: might_help,
        })
    }
}

/// A pod that has ended holds nothing.
fn holds_resources(pod: &Pod) -> bool {
    !matches!(
        pod.status.as_ref().and_then(|status| status.phase.as_deref()),
        Some("Succeeded" | "Failed")
    )
}

/// What a pod requests: the sum of its containers and sidecars, or what its greediest init container needs beside the sidecars
/// started before it, whichever is more; plus overhead. Zero requests are left out.
pub(crate) fn requests(spec: &PodSpec) -> Amounts {
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &container_requests(container));
    }
    let mut sidecars = Amounts::new();
    let mut most = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let own = container_requests(container);
        let mut beside = sidecars.clone();
        add(&mut beside, &own);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &own);
        }
        for (resource, value) in beside {
            let entry = most.entry(resource).or_default();
            *entry = (*entry).max(value);
        }
    }
    add(&mut sum, &sidecars);
    for (resource, value) in most {
        let entry = sum.entry(resource).or_default();
        *entry = (*entry).max(value);
    }
    let overhead = spec
        .overhead
        .iter()
        .flatten()
        .map(|(name, quantity)| (name.clone(), amount(name, &quantity.0)));
    add(&mut sum, &overhead.collect());
    sum.retain(|_, value| *value > 0);
    sum
}

fn container_requests(container: &Container) -> Amounts {
    let Some(resources) = &container.resources else {
        return Amounts::new();
    };
    let read = |list: &Option<BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>| -> Amounts {
        list.iter()
            .flatten()
            .map(|(name, quantity)| (name.clone(), amount(name, &quantity.0)))
            .collect()
    };
    // A limit without a request is the request, as the API server's defaulting has it.
    let mut amounts = read(&resources.limits);
    amounts.extend(read(&resources.requests));
    amounts
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (resource, value) in more {
        let entry = sum.entry(resource.clone()).or_default();
        *entry = entry.saturating_add(*value);
    }
}

/// An amount; what cannot be read counts as nothing, the API server has refused it long before.
fn amount(resource: &str, text: &str) -> u64 {
    let Ok(quantity) = text.parse::<Quantity>() else {
        return 0;
    };
    if resource == "cpu" {
        quantity.millicores()
    } else {
        quantity.bytes()
    }
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
    fn init_containers_sidecars_and_overhead_count_as_kubernetes_counts_them() {
        let container = |name: &str, cpu: &str, policy: Option<&str>| {
            let mut value = json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
            if let Some(policy) = policy {
                value["restartPolicy"] = json!(policy);
            }
            value
        };
        let table = [
            (
                json!({"containers": [container("a", "1", None), container("b", "500m", None)]}),
                1500,
            ),
            (
                json!({"initContainers": [container("i", "3", None)], "containers": [container("a", "1", None)]}),
                3000,
            ),
            (
                json!({"initContainers": [container("s", "1", Some("Always")), container("i", "3", None)], "containers": [container("a", "1", None)]}),
                4000,
            ),
            (
                json!({"initContainers": [container("i", "3", None), container("s", "1", Some("Always"))], "containers": [container("a", "1", None)]}),
                3000,
            ),
            (
                json!({"initContainers": [container("s", "1", Some("Always"))], "containers": [container("a", "2", None)], "overhead": {"cpu": "250m"}}),
                3250,
            ),
            (
                json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": "2"}}}]}),
                2000,
            ),
        ];
        for (spec, expected) in table {
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(requests(&spec).get("cpu"), Some(&expected));
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
            said(Claims::Missing, Some("c"))
                .starts_with("0/1 nodes are available: persistentvolumeclaim \"c\" not found. ")
        );
        assert_eq!(
            schedule(&pod, &[], &[], Claims::Fine, None, &around),
            Decision::Unschedulable("no nodes available to schedule pods".into())
        );
    }
}
