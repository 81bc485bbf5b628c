//! What pods take of a node: requests, by Kubernetes' way of counting them, and host ports.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Node, Pod, PodSpec};
use stoke_model::quantity::Quantity;

/// Why a pod does not fit one node.
pub(super) struct Misfit {
    /// In the scheduler's words.
    pub reasons: Vec<String>,
    /// Whether the end of other pods could change it.
    pub preemption_might_help: bool,
}

impl Misfit {
    pub(super) fn helpless(reason: impl Into<String>) -> Misfit {
        Misfit {
            reasons: vec![reason.into()],
            preemption_might_help: false,
        }
    }
}

/// Amounts by resource name: CPU in thousandths, the others in whole units.
pub(crate) type Amounts = BTreeMap<String, u64>;

/// The ports of the host that a pod takes.
fn host_ports(pod: &Pod) -> Vec<&ContainerPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars);
    let ports = ports.flat_map(|container| container.ports.iter().flatten());
    ports
        .filter(|port| port.host_port.is_some_and(|number| number > 0))
        .collect()
}

/// Whether the ports of the host that a pod wants are free beside `others`.
pub(super) fn ports_free(pod: &Pod, node: &Node, others: &[Pod]) -> bool {
    let wanted = host_ports(pod);
    if wanted.is_empty() {
        return true;
    }
    let name = node.metadata.name.as_deref();
    let here = others.iter().filter(|other| {
        let there = other.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        there == name && holds_resources(other) && other.metadata.uid != pod.metadata.uid
    });
    let address = |port: &ContainerPort| match port.host_ip.as_deref() {
        None | Some("" | "0.0.0.0" | "::") => None,
        Some(address) => Some(address.to_owned()),
    };
    let clash = |left: &ContainerPort, right: &ContainerPort| {
        let protocol = |port: &ContainerPort| port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        left.host_port == right.host_port
            && protocol(left) == protocol(right)
            && address(left).is_none_or(|left| address(right).is_none_or(|right| left == right))
    };
    let mut taken = here.flat_map(host_ports);
    !taken.any(|taken| wanted.iter().any(|wanted| clash(wanted, taken)))
}

/// Whether what the pod requests is free on the node.
pub(super) fn room(pod: &Pod, spec: &PodSpec, node: &Node, others: &[Pod]) -> Result<(), Misfit> {
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
pub(super) fn holds_resources(pod: &Pod) -> bool {
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
    use serde_json::json;

    use super::*;

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
}
