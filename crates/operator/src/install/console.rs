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
        "volumes": volumes(options),
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

/// Files about the identity provider that are there: the name of the volume, where it is mounted, the values that name it.
fn files(options: &Options) -> Vec<(&'static str, &'static str, &'static str)> {
    let all = [
        ("oidc-secret", "/etc/stoke/oidc/secret", "console.oidc.clientSecret"),
        ("oidc-authority", "/etc/stoke/oidc/authority", "console.oidc.authority"),
    ];
    let is_there = |path: &str| {
        !options.values.text("console.oidc.issuer").is_empty()
            && !options.values.text(&format!("{path}.name")).is_empty()
    };
    all.into_iter().filter(|(_, _, path)| is_there(path)).collect()
}

fn volumes(options: &Options) -> Vec<Value> {
    let mut volumes = vec![
        json!({"name": "authority", "configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
        json!({"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}),
    ];
    for (volume, _, path) in files(options) {
        let named = |field: &str| options.values.text(&format!("{path}.{field}"));
        let items = json!([{"key": named("key"), "path": named("key")}]);
        volumes.push(match volume {
            "oidc-secret" => json!({"name": volume, "secret": {"secretName": named("name"), "items": items}}),
            _ => json!({"name": volume, "configMap": {"name": named("name"), "items": items}}),
        });
    }
    volumes
}

/// The identity provider, where there is one.
fn provider(options: &Options) -> Vec<String> {
    let values = &options.values;
    let issuer = values.text("console.oidc.issuer");
    if issuer.is_empty() {
        return Vec::new();
    }
    let mut arguments = vec![
        format!("--oidc-issuer={issuer}"),
        format!("--oidc-client-id={}", values.text("console.oidc.clientId")),
    ];
    for (volume, mounted, path) in files(options) {
        let flag = match volume {
            "oidc-secret" => "--oidc-client-secret-file",
            _ => "--oidc-ca-file",
        };
        arguments.push(format!("{flag}={mounted}/{}", values.text(&format!("{path}.key"))));
    }
    arguments.push(format!(
        "--oidc-scopes={}",
        values.texts("console.oidc.scopes").join(",")
    ));
    arguments
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
        ("--idle", "console.idle"),
        ("--session", "console.session"),
    ] {
        match values.text(path) {
            "" => {}
            text => arguments.push(format!("{flag}={text}")),
        }
    }
    arguments.extend(provider(options));
    let mut mounts = vec![
        json!({"name": "authority", "mountPath": AUTHORITY, "readOnly": true}),
        json!({"name": "tmp", "mountPath": "/tmp"}),
    ];
    for (volume, mounted, _) in files(options) {
        mounts.push(json!({"name": volume, "mountPath": mounted, "readOnly": true}));
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
        "volumeMounts": mounts,
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
