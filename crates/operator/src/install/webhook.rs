//! What the webhook needs in a cluster: rights to its Secret and its two configurations, a service, and the configurations.
//!
//! The configurations are applied without authorities; the operator writes those.

use serde_json::{Map, Value, json};
use stoke_model::names;

use super::rules::{self, named, rules_of};
use super::{Grant, Options, Rights, object};
use crate::admission::{CHECKING_PATH, DEFAULTING_PATH};

/// Port of the service.
const PORT: u16 = 443;
/// Label of every namespace that is its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Options {
    /// Name of both configurations.
    #[must_use]
    pub fn webhook_name(&self) -> String {
        self.named("webhook")
    }

    /// Name of the Secret.
    #[must_use]
    pub fn webhook_secret(&self) -> String {
        self.named("webhook-certs")
    }

    pub(super) fn webhook_service(&self) -> String {
        self.named("webhook-svc")
    }
}

/// Rights to the Secret and the configurations, by name.
pub(super) fn rights(rights: &mut Rights<'_>, me: &Value) {
    let options = rights.options;
    let name = options.webhook_name();
    let grant = |namespace| Grant {
        name: &name,
        namespace,
        component: "webhook",
        annotations: "webhook.rbac.annotations",
    };
    let secret = [options.webhook_secret()];
    let secrets = if options.values.is("certManager.enable") {
        // Someone else fills it.
        named(rules_of(&[("", &["secrets"], &["get"])]), &secret)
    } else {
        let mut secrets = named(rules_of(&rules::SECRET_RULES), &secret);
        super::extend(&mut secrets, rules_of(&rules::NEW_SECRET_RULES));
        secrets
    };
    rights.allow(&grant(Some(&options.namespace)), secrets, me);
    let configurations = named(rules_of(&rules::CONFIGURATION_RULES), std::slice::from_ref(&name));
    rights.allow(&grant(None), configurations, me);
}

/// The service and the configurations.
pub(super) fn objects(options: &Options) -> Vec<Value> {
    let values = &options.values;
    let port = values.get("webhook.portName");
    let ports = json!([{"name": port, "port": PORT, "targetPort": port, "protocol": "TCP"}]);
    let service = json!({"spec": {"selector": options.selector(), "ports": ports}});
    let own = Some(options.namespace.as_str());
    let selectors = namespaces(options);
    let configuration = |kind: &str, name: &str, path: &str, rules: Value| {
        let entry = |(suffix, selector): &(&str, Value)| {
            json!({
                "name": format!("{name}{suffix}.{}", names::GROUP),
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": values.get("webhook.failurePolicy"),
                "timeoutSeconds": values.get("webhook.timeoutSeconds"),
                "namespaceSelector": selector,
                "clientConfig": {"service": {"namespace": options.namespace, "name": options.webhook_service(), "path": path, "port": PORT}},
                "rules": rules,
            })
        };
        let kind = format!("{kind}WebhookConfiguration");
        let kind = ("admissionregistration.k8s.io/v1", kind.as_str());
        let entries: Vec<Value> = selectors.iter().map(entry).collect();
        object(
            options,
            kind,
            &options.webhook_name(),
            None,
            "webhook",
            json!({ "webhooks": entries }),
        )
    };
    let rule = |version: &str, resources: &[&str]| {
        json!({"apiGroups": [names::GROUP], "apiVersions": [version], "operations": ["CREATE", "UPDATE"],
            "resources": resources, "scope": "Namespaced"})
    };
    let applications = rule("v1beta2", &["sparkapplications", "scheduledsparkapplications"]);
    let servers = rule("v1alpha1", &["sparkconnects"]);
    vec![
        object(
            options,
            ("v1", "Service"),
            &options.webhook_service(),
            own,
            "webhook",
            service,
        ),
        configuration("Mutating", "default", DEFAULTING_PATH, json!([applications])),
        configuration("Validating", "check", CHECKING_PATH, json!([applications, servers])),
    ]
}

/// The namespaces of applications as label selectors, each with what its entry's name ends with. A label selector cannot say "or", so
/// names and labels are two entries; the second leaves the named ones out, so that every object is reviewed once.
fn namespaces(options: &Options) -> Vec<(&'static str, Value)> {
    let names = options.job_namespaces();
    let by_name = |operator: &str| json!({"key": NAME_LABEL, "operator": operator, "values": names});
    if options.everywhere() {
        return vec![("", json!({}))];
    }
    let mut selectors = Vec::new();
    if !names.is_empty() {
        selectors.push(("", json!({"matchExpressions": [by_name("In")]})));
    }
    if options.selected() {
        let mut labels = expressions(&options.job_selector());
        if !names.is_empty() {
            labels.push(by_name("NotIn"));
        }
        let suffix = if names.is_empty() { "" } else { "-selected" };
        selectors.push((suffix, json!({"matchExpressions": labels})));
    }
    selectors
}

/// A selector as a text, out of one as objects write it.
pub(super) fn selector_text(selector: &Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let mut parts: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    parts.sort();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    parts.extend(expressions.into_iter().flatten().map(|expression| {
        let key = text(&expression["key"]);
        let values: Vec<String> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key,
        }
    }));
    parts.join(",")
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
    fn selectors_of_both_forms_mean_the_same() {
        let object = json!({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["x", "y"]}, {"key": "d", "operator": "NotIn", "values": ["z"]},
            {"key": "e", "operator": "Exists"}, {"key": "f", "operator": "DoesNotExist"}]});
        let text = selector_text(object.as_object().unwrap());
        assert_eq!(text, "a=1,b=2,c in (x,y),d notin (z),e,!f");
        assert_eq!(json!(expressions(&text)[2..]), object["matchExpressions"]);
    }

    #[test]
    fn the_namespaces_are_those_of_applications() {
        let entries = |names: &[&str], selector: &str| {
            let options = Options::default()
                .with("spark.jobNamespaces", json!(names))
                .with("spark.jobNamespaceSelector", selector);
            namespaces(&options)
        };
        let by = |key: &str, operator: &str, value: &str| json!({"key": key, "operator": operator, "values": [value]});
        let of = |expressions: Vec<Value>| json!({ "matchExpressions": expressions });
        assert_eq!(entries(&["a"], ""), [("", of(vec![by(NAME_LABEL, "In", "a")]))]);
        assert_eq!(entries(&[], "spark=yes"), [("", of(vec![by("spark", "In", "yes")]))]);
        let both = [
            ("", of(vec![by(NAME_LABEL, "In", "a")])),
            (
                "-selected",
                of(vec![by("spark", "In", "yes"), by(NAME_LABEL, "NotIn", "a")]),
            ),
        ];
        assert_eq!(entries(&["a"], "spark=yes"), both);
        assert_eq!(entries(&[], ""), [("", json!({}))]);
        assert_eq!(entries(&["", "a"], "spark=yes"), [("", json!({}))]);
    }
}
