//! The published columns of every built-in kind.

use super::{CREATED, Column, NAME, batch, core, events, network, pods, policy, workloads};

/// The columns of a resource, by its store key. Kinds without columns of their own show when they were created.
pub(super) fn of(key: &str) -> &'static [Column] {
    match key {
        "pods" => pods::PODS,
        "podtemplates" => pods::TEMPLATES,
        "replicationcontrollers" => workloads::REPLICATION_CONTROLLERS,
        "replicasets.apps" => workloads::REPLICA_SETS,
        "deployments.apps" => workloads::DEPLOYMENTS,
        "statefulsets.apps" => workloads::STATEFUL_SETS,
        "daemonsets.apps" => workloads::DAEMON_SETS,
        "controllerrevisions.apps" => workloads::REVISIONS,
        "horizontalpodautoscalers.autoscaling" => workloads::AUTOSCALERS,
        "jobs.batch" => batch::JOBS,
        "cronjobs.batch" => batch::CRON_JOBS,
        "services" => network::SERVICES,
        "endpoints" => network::ENDPOINTS,
        "endpointslices.discovery.k8s.io" => network::SLICES,
        "ingresses.networking.k8s.io" => network::INGRESSES,
        "ingressclasses.networking.k8s.io" => network::CLASSES,
        "networkpolicies.networking.k8s.io" => network::POLICIES,
        "configmaps" => core::CONFIG_MAPS,
        "secrets" => core::SECRETS,
        "serviceaccounts" => core::SERVICE_ACCOUNTS,
        "namespaces" => core::NAMESPACES,
        "nodes" => core::NODES,
        "persistentvolumeclaims" => core::CLAIMS,
        "persistentvolumes" => core::VOLUMES,
        "storageclasses.storage.k8s.io" => core::CLASSES,
        "leases.coordination.k8s.io" => core::LEASES,
        "events" => events::EVENTS,
        "resourcequotas" => policy::QUOTAS,
        "poddisruptionbudgets.policy" => policy::BUDGETS,
        "priorityclasses.scheduling.k8s.io" => policy::PRIORITIES,
        "runtimeclasses.node.k8s.io" => policy::RUNTIMES,
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => policy::BINDINGS,
        "validatingwebhookconfigurations.admissionregistration.k8s.io"
        | "mutatingwebhookconfigurations.admissionregistration.k8s.io" => policy::WEBHOOKS,
        "validatingadmissionpolicies.admissionregistration.k8s.io" => policy::ADMISSION_POLICIES,
        "validatingadmissionpolicybindings.admissionregistration.k8s.io" => policy::ADMISSION_BINDINGS,
        _ => const { &[NAME, CREATED] },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    /// The row of an object: heading and cell, wide ones in brackets.
    fn row(key: &str, object: &Value) -> String {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let cells = of(key).iter().map(|column| {
            let cell = match (column.cell)(object, now) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let (open, close) = if column.priority > 0 { ("[", "]") } else { ("", "") };
            format!("{open}{}: {cell}{close}", column.name)
        });
        cells.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn every_kind_shows_what_kubernetes_shows() {
        let made = json!({"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let template = json!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}});
        let selector = json!({"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["1", "2"]}]});
        let cases: &[(&str, Value, &str)] = &[
            (
                "pods",
                json!({"metadata": made, "spec": {"containers": [{}], "initContainers": [{"name": "s", "restartPolicy": "Always"}], "nodeName": "node"},
                    "status": {"phase": "Running", "podIP": "127.0.0.9", "conditions": [{"type": "Ready", "status": "True"}],
                        "initContainerStatuses": [{"name": "s", "ready": true, "started": true, "restartCount": 0, "state": {"running": {}}}],
                        "containerStatuses": [{"ready": true, "restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:05:00Z"}}}]}}),
                "Name: n | Ready: 2/2 | Status: Running | Restarts: 2 (5m ago) | Age: 10m | [IP: 127.0.0.9] | [Node: node] | [Nominated Node: <none>] | [Readiness Gates: <none>]",
            ),
            (
                "deployments.apps",
                json!({"metadata": made, "spec": {"replicas": 3, "template": template, "selector": selector}, "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}}),
                "Name: n | Ready: 1/3 | Up-to-date: 2 | Available: 1 | Age: 10m | [Containers: a,b] | [Images: x,y] | [Selector: app=x,k in (1,2)]",
            ),
            (
                "replicasets.apps",
                json!({"metadata": made, "spec": {"replicas": 3, "template": template, "selector": selector}, "status": {"replicas": 2}}),
                "Name: n | Desired: 3 | Current: 2 | Ready: 0 | Age: 10m | [Containers: a,b] | [Images: x,y] | [Selector: app=x,k in (1,2)]",
            ),
            (
                "statefulsets.apps",
                json!({"metadata": made, "spec": {"replicas": 2, "template": template}, "status": {"readyReplicas": 2}}),
                "Name: n | Ready: 2/2 | Age: 10m | [Containers: a,b] | [Images: x,y]",
            ),
            (
                "jobs.batch",
                json!({"metadata": made, "spec": {"completions": 3, "template": template, "selector": selector},
                    "status": {"succeeded": 3, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:30Z", "conditions": [{"type": "Complete", "status": "True"}]}}),
                "Name: n | Status: Complete | Completions: 3/3 | Duration: 90s | Age: 10m | [Containers: a,b] | [Images: x,y] | [Selector: app=x,k in (1,2)]",
            ),
            (
                "cronjobs.batch",
                json!({"metadata": made, "spec": {"schedule": "* * * * *", "suspend": false, "jobTemplate": {"spec": {"template": template}}}, "status": {"lastScheduleTime": "2026-01-01T00:09:00Z"}}),
                "Name: n | Schedule: * * * * * | Timezone: <none> | Suspend: False | Active: 0 | Last Schedule: 60s | Age: 10m | [Containers: a,b] | [Images: x,y] | [Selector: <none>]",
            ),
            (
                "services",
                json!({"metadata": made, "spec": {"type": "LoadBalancer", "clusterIP": "127.0.0.8", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}], "selector": {"a": "b"}}}),
                "Name: n | Type: LoadBalancer | Cluster-IP: 127.0.0.8 | External-IP: <pending> | Port(s): 80:30080/TCP | Age: 10m | [Selector: a=b]",
            ),
            (
                "ingresses.networking.k8s.io",
                json!({"metadata": made, "spec": {"tls": [{}], "rules": [{"host": "a.example"}, {"host": "b.example"}]}}),
                "Name: n | Class: <none> | Hosts: a.example,b.example | Address:  | Ports: 80, 443 | Age: 10m",
            ),
            (
                "endpoints",
                json!({"metadata": made, "subsets": [{"addresses": [{"ip": "1"}, {"ip": "2"}, {"ip": "3"}, {"ip": "4"}], "ports": [{"port": 80}]}]}),
                "Name: n | Endpoints: 1:80,2:80,3:80 + 1 more... | Age: 10m",
            ),
            (
                "persistentvolumeclaims",
                json!({"metadata": made, "spec": {"volumeName": "v", "storageClassName": "local", "volumeMode": "Filesystem"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}}),
                "Name: n | Status: Bound | Volume: v | Capacity: 1Gi | Access Modes: RWO | StorageClass: local | VolumeAttributesClass: <unset> | Age: 10m | [VolumeMode: Filesystem]",
            ),
            (
                "storageclasses.storage.k8s.io",
                json!({"metadata": {"name": "local", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
                "Name: local (default) | Provisioner: p | ReclaimPolicy: Delete | VolumeBindingMode: Immediate | AllowVolumeExpansion: false | Age: 10m",
            ),
            (
                "events",
                json!({"metadata": made, "type": "Normal", "reason": "Pulled", "message": "done\n", "involvedObject": {"kind": "Pod", "name": "p"}, "lastTimestamp": "2026-01-01T00:09:50Z", "firstTimestamp": "2026-01-01T00:00:00Z", "count": 3, "source": {"component": "kubelet", "host": "h"}}),
                "Last Seen: 10s | Type: Normal | Reason: Pulled | Object: pod/p | [Subobject: ] | [Source: kubelet, h] | Message: done | [First Seen: 10m] | [Count: 3] | [Name: n]",
            ),
            (
                "resourcequotas",
                json!({"metadata": made, "spec": {"hard": {"pods": "4", "limits.cpu": "2"}}, "status": {"hard": {"pods": "4", "limits.cpu": "2"}, "used": {"pods": "1", "limits.cpu": "500m"}}}),
                "Name: n | Request: pods: 1/4 | Limit: limits.cpu: 500m/2 | Age: 10m",
            ),
            (
                "poddisruptionbudgets.policy",
                json!({"metadata": made, "spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}}),
                "Name: n | Min Available: 50% | Max Unavailable: N/A | Allowed Disruptions: 1 | Age: 10m",
            ),
            (
                "rolebindings.rbac.authorization.k8s.io",
                json!({"metadata": made, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "x", "name": "s"}]}),
                "Name: n | Role: Role/r | Age: 10m | [Users: u] | [Groups: ] | [ServiceAccounts: x/s]",
            ),
            (
                "priorityclasses.scheduling.k8s.io",
                json!({"metadata": made, "value": 5, "preemptionPolicy": "Never"}),
                "Name: n | Value: 5 | Global-Default: false | Age: 10m | [PreemptionPolicy: Never]",
            ),
            (
                "limitranges",
                json!({"metadata": made}),
                "Name: n | Created At: 2026-01-01T00:00:00Z",
            ),
        ];
        for (key, object, expected) in cases {
            assert_eq!(row(key, object), *expected, "{key}");
        }
    }

    #[test]
    fn an_empty_object_of_any_kind_is_a_row() {
        for resource in crate::apimachinery::resources::Resources::built_in().all() {
            assert!(row(&resource.key, &json!({})).contains(": "), "{}", resource.key);
        }
    }
}
