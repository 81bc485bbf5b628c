//! Whether a pod fits one node.

use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use stoke_model::kubernetes::selection::{selected, tolerates};

use super::neighbours::{Surroundings, objection};
use super::room::{Misfit, holds_resources, ports_free, room};

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
    if !ports_free(pod, node, others) {
        return Err(Misfit {
            reasons: vec!["node(s) didn't have free ports for the requested pod ports".to_owned()],
            preemption_might_help: true,
        });
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
