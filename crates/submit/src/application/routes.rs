//! The ways in from outside: an Ingress, or an HTTPRoute where the operator's owner named Gateways.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::IngressTLS;
use serde_json::{Map, Value, json};
use stoke_model::crd::SparkApplication;

use super::error::ApplicationError;
use super::extras::metadata;
use super::settings::IngressSettings;

/// A path of an ingress: everything below it goes to the service without it.
const REWRITE: &str = "nginx.ingress.kubernetes.io/rewrite-target";

/// A way to a service.
pub(super) struct WayIn<'a> {
    pub(super) name: String,
    pub(super) url: &'a Url,
    pub(super) service: &'a str,
    pub(super) port: i32,
    pub(super) annotations: Option<&'a BTreeMap<String, String>>,
    pub(super) tls: Option<&'a [IngressTLS]>,
    /// Field that `tls` came from.
    pub(super) place: &'a str,
}

/// The Ingress or HTTPRoute of a service.
pub(super) fn way_in(
    app: &SparkApplication,
    way: &WayIn<'_>,
    settings: &IngressSettings,
) -> Result<Value, ApplicationError> {
    if settings.gateways.is_empty() {
        return Ok(ingress(app, way, settings));
    }
    if way.tls.is_some_and(|tls| !tls.is_empty()) {
        return Err(ApplicationError::field(
            way.place,
            "has no place in an HTTPRoute, which this operator makes: TLS ends at the Gateway; give its listener the certificate"
                .to_owned(),
        ));
    }
    Ok(route(app, way, settings))
}

/// `gateway.networking.k8s.io/v1`: the path is taken off before the request reaches the service, as with an ingress.
fn route(app: &SparkApplication, way: &WayIn<'_>, settings: &IngressSettings) -> Value {
    let parents: Vec<Value> = settings
        .gateways
        .iter()
        .map(|gateway| {
            let mut parent = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway.name});
            if let Some(namespace) = &gateway.namespace {
                parent["namespace"] = json!(namespace);
            }
            if let Some(listener) = &gateway.listener {
                parent["sectionName"] = json!(listener);
            }
            parent
        })
        .collect();
    let path = if way.url.has_path() { way.url.path.as_str() } else { "/" };
    let mut rule = json!({
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"name": way.service, "port": way.port}],
    });
    if way.url.has_path() {
        let rewrite = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"});
        rule["filters"] = json!([{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}]);
    }
    let mut spec = json!({"parentRefs": parents, "rules": [rule]});
    if !way.url.host.is_empty() {
        spec["hostnames"] = json!([way.url.host]);
    }
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(app, &way.name, None, Some(&annotations(way, settings))),
        "spec": spec,
    })
}

/// The operator's annotations, and the application's, which win.
fn annotations(way: &WayIn<'_>, settings: &IngressSettings) -> BTreeMap<String, String> {
    let mut all = settings.annotations.clone();
    all.extend(way.annotations.cloned().unwrap_or_default());
    all
}

fn ingress(app: &SparkApplication, way: &WayIn<'_>, settings: &IngressSettings) -> Value {
    let mut all = annotations(way, settings);
    let mut path = way.url.path.clone();
    if way.url.has_path() {
        path.push_str("(/|$)(.*)");
        all.entry(REWRITE.to_owned()).or_insert_with(|| "/$2".to_owned());
    }
    let mut rule = Map::new();
    if !way.url.host.is_empty() {
        rule.insert("host".to_owned(), json!(way.url.host));
    }
    let backend = json!({"service": {"name": way.service, "port": {"number": way.port}}});
    let path = if path.is_empty() { "/".to_owned() } else { path };
    rule.insert(
        "http".to_owned(),
        json!({"paths": [{"path": path, "pathType": "ImplementationSpecific", "backend": backend}]}),
    );
    let mut spec = json!({"rules": [rule]});
    if let Some(class) = &settings.class_name {
        spec["ingressClassName"] = json!(class);
    }
    let tls = way.tls.filter(|tls| !tls.is_empty()).unwrap_or(&settings.tls);
    if !tls.is_empty() {
        spec["tls"] = json!(tls);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(app, &way.name, None, Some(&all)),
        "spec": spec,
    })
}

/// The parts of an ingress URL.
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) host: String,
    /// Begins with a slash, or is empty.
    pub(super) path: String,
}

impl Url {
    pub(super) fn of(
        place: &str,
        app: &SparkApplication,
        application_id: &str,
        format: &str,
    ) -> Result<Self, ApplicationError> {
        let mut text = format.to_owned();
        for (variable, value) in [
            ("appName", super::name(app)),
            ("appNamespace", super::namespace(app)),
            ("appId", application_id),
        ] {
            text = replace_variable(&text, variable, value);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", &text));
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, format!("/{path}")),
            None => (rest, String::new()),
        };
        let valid = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '*' | ':');
        if !host.chars().all(valid) || text.contains("{{") || path.contains(char::is_whitespace) {
            return Err(ApplicationError::field(
                place,
                format!(
                    "`{format}` gives `{text}`, which is not a URL; the variables are {{{{$appName}}}}, {{{{$appNamespace}}}} and {{{{$appId}}}}"
                ),
            ));
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.split(':').next().unwrap_or_default().to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn has_path(&self) -> bool {
        !self.path.is_empty()
    }
}

/// Replaces `{{$name}}`, with blanks inside the braces or without.
fn replace_variable(text: &str, name: &str, value: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        if inside.trim().strip_prefix('$') == Some(name) {
            out.push_str(value);
        } else {
            out.push_str("{{");
            out.push_str(inside);
            out.push_str("}}");
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}
