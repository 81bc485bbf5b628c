//! What the webhook needs in a cluster: rights to its Secret and its two configurations, a service, and the configurations.
//!
//! The configurations are applied without authorities; the operator writes those.

use serde_json::{Value, json};
use stoke_model::names;

use super::{Options, Webhook, object};
use crate::admission::{CHECKING_PATH, DEFAULTING_PATH};

/// What the operator may do in the namespaces of applications, besides the rest.
pub const JOB_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["limitranges", "resourcequotas"], &["list"])];

/// What it may do with its Secret. It is not there at first, and a name cannot be demanded of what is created.
pub const SECRET_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["secrets"], &["get", "update"])];
/// See [`SECRET_RULES`].
pub const NEW_SECRET_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["secrets"], &["create"])];

/// What it may do with its configurations, in the whole cluster.
pub const CONFIGURATION_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "admissionregistration.k8s.io",
    &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
    &["get", "patch"],
)];

/// Port of the service.
const PORT: u16 = 443;
/// Label of every namespace that is its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Options {
    /// Name of both configurations.
    pub(super) fn webhook_name(&self) -> String {
        format!("{}-webhook", self.name)
    }

    /// Name of the Secret.
    #[must_use]
    pub fn webhook_secret(&self) -> String {
        format!("{}-webhook-certs", self.name)
    }

    fn webhook_service(&self) -> String {
        format!("{}-webhook-svc", self.name)
    }

    /// Arguments of the operator.
    pub(super) fn webhook_arguments(&self, webhook: &Webhook) -> Vec<String> {
        vec![
            "--enable-webhook=true".to_owned(),
            format!("--webhook-port={}", webhook.port),
            format!("--webhook-secret-name={}", self.webhook_secret()),
            format!("--webhook-service-name={}", self.webhook_service()),
            format!("--mutating-webhook-name={}", self.webhook_name()),
            format!("--validating-webhook-name={}", self.webhook_name()),
        ]
    }
}

/// Rules for objects of these names only.
pub(super) fn named(rules: Value, names: &[String]) -> Value {
    let mut rules = rules;
    for rule in rules.as_array_mut().into_iter().flatten() {
        rule["resourceNames"] = json!(names);
    }
    rules
}

/// The service and the configurations.
pub(super) fn objects(options: &Options, webhook: &Webhook) -> Vec<Value> {
    let ports = json!([{"name": "webhook", "port": PORT, "targetPort": "webhook", "protocol": "TCP"}]);
    let service = json!({"spec": {"selector": super::selector(options), "ports": ports}});
    let own = Some(options.namespace.as_str());
    let configuration = |kind: &str, webhook: Value| {
        let body = json!({"webhooks": [webhook]});
        object(
            options,
            "admissionregistration.k8s.io/v1",
            &format!("{kind}WebhookConfiguration"),
            &options.webhook_name(),
            None,
            body,
        )
    };
    let entry = |name: &str, path: &str, rules: Value| {
        json!({
            "name": format!("{name}.{}", names::GROUP),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": webhook.failure_policy,
            "timeoutSeconds": webhook.timeout_seconds,
            "namespaceSelector": namespaces(options),
            "clientConfig": {"service": {"namespace": options.namespace, "name": options.webhook_service(), "path": path, "port": PORT}},
            "rules": rules,
        })
    };
    let rule = |version: &str, resources: &[&str]| {
        json!({"apiGroups": [names::GROUP], "apiVersions": [version], "operations": ["CREATE", "UPDATE"],
            "resources": resources, "scope": "Namespaced"})
    };
    let applications = rule("v1beta2", &["sparkapplications", "scheduledsparkapplications"]);
    let servers = rule("v1alpha1", &["sparkconnects"]);
    vec![
        object(options, "v1", "Service", &options.webhook_service(), own, service),
        configuration("Mutating", entry("default", DEFAULTING_PATH, json!([applications]))),
        configuration(
            "Validating",
            entry("check", CHECKING_PATH, json!([applications, servers])),
        ),
    ]
}

/// The namespaces of applications, as a label selector.
fn namespaces(options: &Options) -> Value {
    match &options.namespace_selector {
        Some(selector) => json!({"matchExpressions": expressions(selector)}),
        None if options.job_namespaces.is_empty() => json!({}),
        None => json!({"matchExpressions": [{"key": NAME_LABEL, "operator": "In", "values": options.job_namespaces}]}),
    }
}

/// `a=b,c in (d,e),!f,g!=h` as an object writes it. What is wrong in it, the API server says.
fn expressions(selector: &str) -> Vec<Value> {
    let mut parts = vec![String::new()];
    let mut inside = false;
    for letter in selector.chars() {
        match letter {
            ',' if !inside => parts.push(String::new()),
            _ => {
                inside = (inside || letter == '(') && letter != ')';
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.map(expression).collect()
}

fn expression(part: &str) -> Value {
    let with = |key: &str, operator: &str, values: Vec<&str>| json!({"key": key.trim(), "operator": operator, "values": values});
    if let Some((key, values)) = part.split_once('(') {
        let values = values.trim_end_matches(')').split(',').map(str::trim).collect();
        let (key, word) = key.trim().split_once(char::is_whitespace).unwrap_or((key, ""));
        return with(key, if word.trim() == "notin" { "NotIn" } else { "In" }, values);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return with(key, "NotIn", vec![value.trim()]);
    }
    if let Some((key, value)) = part.split_once('=') {
        return with(key, "In", vec![value.trim_start_matches('=').trim()]);
    }
    match part.strip_prefix('!') {
        Some(key) => json!({"key": key.trim(), "operator": "DoesNotExist"}),
        None => json!({"key": part, "operator": "Exists"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_objects_write_them() {
        let with =
            |key: &str, operator: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
        let cases = [
            ("spark=yes", vec![with("spark", "In", &["yes"])]),
            (
                "a==b, c != d",
                vec![with("a", "In", &["b"]), with("c", "NotIn", &["d"])],
            ),
            (
                "e in (x, y),f notin (z)",
                vec![with("e", "In", &["x", "y"]), with("f", "NotIn", &["z"])],
            ),
            (
                "g,!h",
                vec![
                    json!({"key": "g", "operator": "Exists"}),
                    json!({"key": "h", "operator": "DoesNotExist"}),
                ],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(expressions(text), expected, "{text}");
        }
    }

    #[test]
    fn the_namespaces_are_those_of_applications() {
        let options = |names: &[&str], selector: Option<&str>| Options {
            job_namespaces: names.iter().map(|name| (*name).to_owned()).collect(),
            namespace_selector: selector.map(str::to_owned),
            ..Options::default()
        };
        let keys = |options: &Options| namespaces(options)["matchExpressions"][0]["key"].clone();
        assert_eq!(keys(&options(&["a"], None)), NAME_LABEL);
        assert_eq!(keys(&options(&["a"], Some("spark=yes"))), "spark");
        assert_eq!(namespaces(&options(&[], None)), json!({}));
    }
}
