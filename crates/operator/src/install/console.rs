//! The console, when it is asked for: a Deployment without rights, and its service. Visitors bring tokens of their own.

use serde_json::{Map, Value, json};

use super::{COMPONENT, Options, filled, object};

/// Where a pod finds the authority of its API server.
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn objects(options: &Options) -> Vec<Value> {
    if !options.values.is("console.enable") {
        return Vec::new();
    }
    let own = Some(options.namespace.as_str());
    let name = options.named("console");
    let make = |kind, spec: Value| object(options, kind, &name, own, "console", json!({ "spec": spec }));
    let service = json!({
        "selector": selector(options),
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    });
    vec![
        make(("apps/v1", "Deployment"), deployment(options)),
        make(("v1", "Service"), service),
    ]
}

fn selector(options: &Options) -> Map<String, Value> {
    let mut selector = options.selector();
    selector.insert(COMPONENT.to_owned(), "console".into());
    selector
}

fn deployment(options: &Options) -> Value {
    let values = &options.values;
    let mut pod = json!({
        // Nothing is asked in its own name: only the address and the authority of the API server are needed.
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 15,
        "containers": [container(options)],
        "volumes": [
            {"name": "authority", "configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    });
    let parts = [
        ("serviceAccountName", "console.serviceAccountName"),
        ("securityContext", "controller.podSecurityContext"),
        ("imagePullSecrets", "image.pullSecrets"),
        ("nodeSelector", "console.nodeSelector"),
        ("affinity", "console.affinity"),
        ("tolerations", "console.tolerations"),
    ];
    for (key, path) in parts {
        if let Some(value) = filled(values.get(path)) {
            pod[key] = value.clone();
        }
    }
    json!({
        // Sessions are in memory.
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": selector(options)},
        "template": {"metadata": {"labels": options.labels("console")}, "spec": pod},
    })
}

fn container(options: &Options) -> Value {
    let values = &options.values;
    let port = values.number("console.port");
    let mut arguments = vec![
        "console".to_owned(),
        "--tokens".to_owned(),
        format!("--listen=0.0.0.0:{port}"),
    ];
    arguments.extend(
        values
            .texts("console.hosts")
            .iter()
            .map(|host| format!("--host={host}")),
    );
    for (flag, path) in [
        ("--base-path", "console.basePath"),
        ("--history", "console.history"),
        ("--quality", "console.quality"),
        ("--idle", "console.idle"),
        ("--session", "console.session"),
    ] {
        match values.text(path) {
            "" => {}
            text => arguments.push(format!("{flag}={text}")),
        }
    }
    let probe = |seconds: u32| json!({"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": seconds});
    let mut container = json!({
        "name": "console",
        "image": options.image(),
        "imagePullPolicy": values.get("image.pullPolicy"),
        "args": arguments,
        "ports": [{"name": "http", "containerPort": port}],
        "livenessProbe": probe(10),
        "readinessProbe": probe(5),
        "volumeMounts": [
            {"name": "authority", "mountPath": AUTHORITY, "readOnly": true},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    });
    for (key, path) in [
        ("env", "console.env"),
        ("envFrom", "console.envFrom"),
        ("resources", "console.resources"),
        ("securityContext", "controller.securityContext"),
    ] {
        if let Some(value) = filled(values.get(path)) {
            container[key] = value.clone();
        }
    }
    container
}
