//! What is made only when it is asked for: a disruption budget, a PodMonitor, certificates by cert-manager.

use serde_json::{Value, json};

use super::{Options, filled, object};

pub(super) fn objects(options: &Options) -> Vec<Value> {
    let values = &options.values;
    let mut objects = Vec::new();
    if values.is("controller.podDisruptionBudget.enable") {
        objects.push(budget(options));
    }
    if values.is("prometheus.podMonitor.create") {
        objects.push(monitor(options));
    }
    if values.is("certManager.enable") && values.is("webhook.enable") {
        objects.extend(certificates(options));
    }
    objects
}

fn budget(options: &Options) -> Value {
    let available = options.values.get("controller.podDisruptionBudget.minAvailable");
    let spec = json!({"minAvailable": available, "selector": {"matchLabels": options.selector()}});
    let own = Some(options.namespace.as_str());
    let kind = ("policy/v1", "PodDisruptionBudget");
    object(
        options,
        kind,
        &options.controller(),
        own,
        "controller",
        json!({ "spec": spec }),
    )
}

fn monitor(options: &Options) -> Value {
    let values = &options.values;
    let mut endpoint = json!({
        "port": values.get("prometheus.metrics.portName"),
        "path": values.get("prometheus.metrics.endpoint"),
    });
    if let Some(endpoint) = endpoint.as_object_mut() {
        endpoint.extend(values.map("prometheus.podMonitor.podMetricsEndpoint"));
    }
    let spec = json!({
        "jobLabel": values.get("prometheus.podMonitor.jobLabel"),
        "namespaceSelector": {"matchNames": [options.namespace]},
        "selector": {"matchLabels": options.selector()},
        "podMetricsEndpoints": [endpoint],
    });
    let own = Some(options.namespace.as_str());
    let kind = ("monitoring.coreos.com/v1", "PodMonitor");
    let mut monitor = object(
        options,
        kind,
        &options.named("podmonitor"),
        own,
        "controller",
        json!({ "spec": spec }),
    );
    let mut labels = values.map("prometheus.podMonitor.labels");
    labels.extend(options.labels("controller"));
    monitor["metadata"]["labels"] = labels.into();
    monitor
}

fn certificates(options: &Options) -> Vec<Value> {
    let values = &options.values;
    let own = Some(options.namespace.as_str());
    let webhook = options.webhook_name();
    let make = |kind: &str, name: &str, spec: Value| {
        object(
            options,
            ("cert-manager.io/v1", kind),
            name,
            own,
            "webhook",
            json!({ "spec": spec }),
        )
    };
    let named = |suffix: &str| format!("{webhook}-{suffix}");
    let given = filled(values.get("certManager.issuerRef"));
    let mut objects = Vec::new();
    if given.is_none() {
        objects.push(make("Issuer", &named("self-signed"), json!({"selfSigned": {}})));
        // An authority of its own that outlives many certificates: they are renewed without a change of what API servers trust.
        let authority = json!({
            "secretName": named("ca"), "commonName": named("ca"), "isCA": true, "duration": "87600h",
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"kind": "Issuer", "name": named("self-signed")},
        });
        objects.push(make("Certificate", &named("ca"), authority));
        objects.push(make(
            "Issuer",
            &named("issuer"),
            json!({"ca": {"secretName": named("ca")}}),
        ));
    }
    let service = format!("{}.{}.svc", options.webhook_service(), options.namespace);
    let mut spec = json!({
        "secretName": options.webhook_secret(),
        "dnsNames": [service, format!("{service}.cluster.local")],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": given.cloned().unwrap_or_else(|| json!({"kind": "Issuer", "name": named("issuer")})),
    });
    for key in ["duration", "renewBefore"] {
        if let Some(time) = filled(values.get(&format!("certManager.{key}"))) {
            spec[key] = time.clone();
        }
    }
    objects.push(make("Certificate", &webhook, spec));
    objects
}
