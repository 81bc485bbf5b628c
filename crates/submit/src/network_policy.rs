//! The network policy that lets only pods of the same application reach executors (4.2 on).

use serde_json::json;

use crate::build::Build;
use crate::submission::Role;

/// Adds the policy.
pub(crate) fn network_policy(build: &mut Build<'_>) {
    let own = json!({"spark-app-selector": build.app_id()});
    build.add(
        Role::NetworkPolicy,
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"labels": own, "name": format!("{}-policy", build.prefix), "namespace": build.namespace},
            "spec": {
                "ingress": [{"from": [{"podSelector": {"matchLabels": own}}]}],
                "podSelector": {"matchLabels": {"spark-role": "executor", "spark-app-selector": build.app_id()}},
            },
        }),
    );
}
