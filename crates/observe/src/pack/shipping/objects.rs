//! The collector on every node.

use serde_json::{Value, json};

use super::Logs;
use super::collector::{AUTHORIZATION, NODE, POD_LOGS, STATE, configuration};
use crate::pack::{Settings, yaml};

/// Name of every object.
const NAME: &str = "stoke-logs";
/// File of the ConfigMap.
const FILE: &str = "collector.yaml";
const MOUNTED: &str = "/etc/stoke-logs";

/// ServiceAccount, its right to read pods, configuration and DaemonSet.
#[must_use]
pub fn objects(settings: &Settings, logs: &Logs) -> Vec<Value> {
    let labels = json!({"app.kubernetes.io/name": NAME});
    let meta = json!({"name": NAME, "namespace": settings.namespace, "labels": labels});
    let everywhere = json!({"name": NAME, "labels": labels});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": everywhere,
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": everywhere,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": settings.namespace}],
        }),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {FILE: yaml(&configuration(logs))}}),
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta,
            "spec": {
                "selector": {"matchLabels": labels},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
                "template": {"metadata": {"labels": labels}, "spec": pod(logs)},
            },
        }),
    ]
}

fn pod(logs: &Logs) -> Value {
    let mut env = vec![json!({"name": NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})];
    if let Some(secret) = &logs.secret {
        env.push(
            json!({"name": AUTHORIZATION, "valueFrom": {"secretKeyRef": {"name": secret, "key": "authorization"}}}),
        );
    }
    json!({
        "serviceAccountName": NAME,
        // Executors run on nodes that others keep away from.
        "tolerations": [{"operator": "Exists"}],
        "containers": [{
            "name": "collector",
            "image": logs.image,
            "args": [format!("--config={MOUNTED}/{FILE}")],
            "env": env,
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            // Logs of pods are root's.
            "securityContext": {
                "runAsUser": 0, "runAsGroup": 0, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [
                {"name": "configuration", "mountPath": MOUNTED, "readOnly": true},
                {"name": "pods", "mountPath": POD_LOGS, "readOnly": true},
                {"name": "state", "mountPath": STATE},
            ],
        }],
        "volumes": [
            {"name": "configuration", "configMap": {"name": NAME}},
            {"name": "pods", "hostPath": {"path": POD_LOGS, "type": "Directory"}},
            {"name": "state", "hostPath": {"path": STATE, "type": "DirectoryOrCreate"}},
        ],
    })
}
