//! The way in from outside of the cluster: an Ingress, or on OpenShift a Route.

use serde_json::{Value, json};

use super::Scope;
use crate::spec::{Component, Security};

/// What lets a component with a `host` be reached.
pub fn ways(scope: &Scope<'_>, name: &str, component: &Component) -> Option<Value> {
    let host = component.host()?;
    let port = component.about().port;
    if scope.platform.security == Security::Openshift {
        return Some(
            json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": name}, "spec": {
                "host": host, "to": {"kind": "Service", "name": name}, "port": {"targetPort": port},
                "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
            }}),
        );
    }
    let ingress = scope.platform.ingress.clone().unwrap_or_default();
    let mut spec = json!({"rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": name, "port": {"number": port}}}}]}}]});
    if let Some(class) = ingress.class {
        spec["ingressClassName"] = json!(class);
    }
    if let Some(secret) = ingress.tls_secret {
        spec["tls"] = json!([{"hosts": [host], "secretName": secret}]);
    }
    Some(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": spec}))
}
