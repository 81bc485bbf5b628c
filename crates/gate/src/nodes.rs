//! Pods against the shapes of nodes: one that no node can hold waits for ever, unless someone adds another node.
//!
//! Only what holds for an empty node is told: labels, taints, and allocatable amounts less nothing. What DaemonSets and others take is not known here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PodSpec, Taint};
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::kubernetes::selection::{selected, tolerates};
use stoke_model::quantity::Quantity;

use crate::sizing::{Pods, field, total};

/// What is to be said of pods of which some fit on no node. Nothing is said when no nodes are known.
#[must_use]
pub fn misfits(pods: &Pods<'_>, nodes: &[Node]) -> Vec<Diagnostic> {
    let executor = pods
        .executor
        .filter(|_| pods.executors > 0)
        .map(|one| ("executor", one));
    let roles = [Some(("driver", pods.driver)), executor];
    let remarks = roles
        .into_iter()
        .flatten()
        .filter_map(|(role, (pod, path))| misfit(role, pod, path, nodes));
    remarks.collect()
}

fn misfit(role: &str, pod: &Value, path: &str, nodes: &[Node]) -> Option<Diagnostic> {
    let spec: PodSpec = serde_json::from_value(pod["spec"].clone()).ok()?;
    let count = nodes.len();
    let open: Vec<&Node> = nodes.iter().filter(|node| selected(&spec, node)).collect();
    let said = |code, path: String, message: String, fix: &str| {
        Some(
            Diagnostic::new(Severity::Error, code, message)
                .with_path(path)
                .with_fix(fix),
        )
    };
    if open.is_empty() && count > 0 {
        let wish = match spec.node_selector.as_ref().filter(|selector| !selector.is_empty()) {
            Some(selector) => {
                let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
                pairs.join(", ")
            }
            None => "what its node affinity requires".to_owned(),
        };
        let message = format!("the {role} wants a node with {wish}, which none of {count} known has");
        return said(
            "no-node-selected",
            format!("{path}.nodeSelector"),
            message,
            "write labels that nodes have",
        );
    }
    let allowed: Vec<&Node> = open
        .iter()
        .copied()
        .filter(|node| refusing(&spec, node).is_none())
        .collect();
    if allowed.is_empty() {
        let taint = open.iter().find_map(|node| refusing(&spec, node))?;
        let message = format!(
            "the {role} does not tolerate the taint {}{} that every node it could be on has",
            taint.key,
            taint.value.as_ref().map_or(String::new(), |value| format!("={value}"))
        );
        return said(
            "no-node-tolerated",
            format!("{path}.tolerations"),
            message,
            "add a toleration, or choose other nodes",
        );
    }
    let asked = total(pod, "requests");
    let shapes: Vec<BTreeMap<String, Quantity>> = allowed.iter().map(|node| allocatable(node)).collect();
    let holds = |shape: &BTreeMap<String, Quantity>, resource: &str, amount: Quantity| {
        amount.is_zero() || shape.get(resource).is_some_and(|most| *most >= amount)
    };
    let fits = shapes
        .iter()
        .any(|shape| asked.iter().all(|(resource, amount)| holds(shape, resource, *amount)));
    if fits {
        return None;
    }
    let never = asked
        .iter()
        .find(|(resource, amount)| !shapes.iter().any(|shape| holds(shape, resource, **amount)));
    let among = match allowed.len() {
        1 => "the one node it may be on".to_owned(),
        many => format!("the {many} nodes it may be on"),
    };
    let fix = "ask for less, or add larger nodes";
    match never {
        Some((resource, amount)) => {
            let most = shapes
                .iter()
                .filter_map(|shape| shape.get(resource))
                .max()
                .copied()
                .unwrap_or_default();
            let message =
                format!("the {role} pod requests {resource} {amount}; of {among} none offers more than {most}");
            said("no-node-fits", field(path, resource, "requests"), message, fix)
        }
        None => {
            let parts: Vec<String> = asked
                .iter()
                .map(|(resource, amount)| format!("{resource} {amount}"))
                .collect();
            let message = format!(
                "the {role} pod requests {} together; of {among} none has them all",
                parts.join(", ")
            );
            said("no-node-fits", path.to_owned(), message, fix)
        }
    }
}

/// The taint by which a node refuses a pod.
fn refusing(spec: &PodSpec, node: &Node) -> Option<Taint> {
    let of_node = node.spec.as_ref()?;
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let cordoned = of_node.unschedulable.filter(|cordoned| *cordoned).map(|_| Taint {
        effect: "NoSchedule".to_owned(),
        key: "node.kubernetes.io/unschedulable".to_owned(),
        ..Taint::default()
    });
    let taints = of_node.taints.iter().flatten().cloned().chain(cordoned);
    let mut hard = taints.filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    hard.find(|taint| !tolerates(tolerations, taint))
}

fn allocatable(node: &Node) -> BTreeMap<String, Quantity> {
    let status = node.status.as_ref();
    let amounts = status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
    let read = |(key, amount): (&String, &k8s_openapi::apimachinery::pkg::api::resource::Quantity)| {
        Some((key.clone(), amount.0.parse().ok()?))
    };
    amounts.into_iter().flatten().filter_map(read).collect()
}

/// The nodes in a text: what `kubectl get nodes -o yaml` or `-o json` prints, or objects of kind Node.
///
/// # Errors
/// What is wrong with the text.
pub fn read(name: &str, bytes: &[u8]) -> Result<Vec<Node>, String> {
    let (documents, complaints) = stoke_model::manifest::check_bytes(name, bytes);
    if documents.is_empty() {
        let why = complaints
            .first()
            .map_or("it is empty".to_owned(), |complaint| complaint.message.clone());
        return Err(why);
    }
    let mut nodes = Vec::new();
    for document in &documents {
        let list = matches!(document.kind.as_str(), "List" | "NodeList");
        let items = match document.value["items"].as_array().filter(|_| list) {
            Some(items) => items.clone(),
            None => vec![document.value.clone()],
        };
        for item in items {
            let kind = item["kind"].as_str().unwrap_or("Node");
            if kind != "Node" {
                return Err(format!("a {kind} is not a Node"));
            }
            nodes.push(serde_json::from_value(item).map_err(|error| error.to_string())?);
        }
    }
    if nodes.is_empty() {
        return Err("there is no node in it".to_owned());
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(labels: Value, spec: Value, cpu: &str, memory: &str) -> Node {
        let value = json!({"metadata": {"name": "n", "labels": labels}, "spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}}});
        serde_json::from_value(value).unwrap()
    }

    fn said(spec: Value, nodes: &[Node]) -> Vec<(String, String)> {
        let mut pod = json!({"spec": {"containers": [{"name": "spark", "resources": {"requests": {"cpu": "4", "memory": "8Gi"}}}]}});
        for (key, value) in spec.as_object().unwrap() {
            pod["spec"][key] = value.clone();
        }
        let pods = Pods {
            driver: (
                &json!({"spec": {"containers": [], "tolerations": [{"operator": "Exists"}]}}),
                "spec.driver",
            ),
            executor: Some((&pod, "spec.executor")),
            executors: 1,
        };
        misfits(&pods, nodes)
            .into_iter()
            .map(|remark| (remark.code.to_string(), remark.path))
            .collect()
    }

    #[test]
    fn a_pod_fits_a_node_that_it_may_be_on_and_that_has_all_of_it() {
        let none = || json!({});
        let rows = [
            (json!({}), vec![], ""),
            (json!({}), vec![node(none(), none(), "4", "8Gi")], ""),
            (
                json!({}),
                vec![node(none(), none(), "3900m", "8Gi"), node(none(), none(), "2", "64Gi")],
                "no-node-fits spec.executor.cores",
            ),
            (
                json!({}),
                vec![node(none(), none(), "8", "7Gi")],
                "no-node-fits spec.executor.memory",
            ),
            (
                json!({}),
                vec![node(none(), none(), "8", "7Gi"), node(none(), none(), "2", "64Gi")],
                "no-node-fits spec.executor",
            ),
            (
                json!({"nodeSelector": {"pool": "spark"}}),
                vec![node(none(), none(), "8", "64Gi")],
                "no-node-selected spec.executor.nodeSelector",
            ),
            (
                json!({"nodeSelector": {"pool": "spark"}}),
                vec![
                    node(json!({"pool": "spark"}), none(), "1", "64Gi"),
                    node(none(), none(), "8", "64Gi"),
                ],
                "no-node-fits spec.executor.cores",
            ),
            (
                json!({}),
                vec![node(
                    none(),
                    json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}),
                    "8",
                    "64Gi",
                )],
                "no-node-tolerated spec.executor.tolerations",
            ),
            (
                json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}),
                vec![node(
                    none(),
                    json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}),
                    "8",
                    "64Gi",
                )],
                "",
            ),
            (
                json!({}),
                vec![node(none(), json!({"unschedulable": true}), "8", "64Gi")],
                "no-node-tolerated spec.executor.tolerations",
            ),
            (
                json!({"containers": [{"name": "spark", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}),
                vec![node(none(), none(), "8", "64Gi")],
                "no-node-fits spec.executor",
            ),
        ];
        for (spec, nodes, expected) in rows {
            let found: Vec<String> = said(spec.clone(), &nodes)
                .iter()
                .map(|(code, path)| format!("{code} {path}"))
                .collect();
            assert_eq!(found.join(", "), expected, "{spec}");
        }
    }

    #[test]
    fn nodes_are_read_as_kubectl_prints_them() {
        let one = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n";
        assert_eq!(read("n.yaml", one.as_bytes()).unwrap().len(), 1);
        let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Node\n  metadata: {name: a}\n- kind: Node\n  metadata: {name: b}\n";
        assert_eq!(read("n.yaml", list.as_bytes()).unwrap().len(), 2);
        for wrong in [
            "",
            "a: [",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
            "kind: List\napiVersion: v1\nitems: []\n",
        ] {
            assert!(read("n.yaml", wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
