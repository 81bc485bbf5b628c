use serde_json::json;

use super::webhook::denied;
use super::*;
use crate::apimachinery::kinds::admissionregistration;
use crate::store::Store;

fn registry() -> std::sync::Arc<Registry> {
    let settings = crate::registry::Settings {
        place: "127.64.0.1:26473".parse().unwrap(),
        authority_pem: String::new(),
        tokens: crate::registry::tokens::Tokens::new(&[7; 32]),
    };
    Registry::new(Store::in_memory(), settings)
}

fn covers(cover: serde_json::Value, plural: &str, subresource: &str, namespace_labels: serde_json::Value) -> bool {
    let registry = registry();
    let resources = registry.resources();
    let resource = resources.find("", "v1", plural).unwrap();
    let identity = Identity::admin();
    let attempt = Attempt {
        registry: &registry,
        identity: &identity,
        operation: Operation::Create,
        resource: &resource,
        subresource,
        namespace: if resource.namespaced { "a" } else { "" },
        name: "x",
        old: None,
        dry_run: false,
        users: true,
        settle: &|_| {},
    };
    let object = json!({"metadata": {"name": "x", "labels": {"app": "web"}}});
    let namespace = json!({"metadata": {"labels": namespace_labels}});
    let cover = rules::Cover::read(&cover, "rules");
    cover
        .covers(
            &attempt,
            Some(&object),
            resource.namespaced.then_some(&namespace),
            false,
        )
        .is_some()
}

#[test]
fn rules_and_selectors_say_what_is_covered() {
    let rule = |resources: &[&str], scope: &str| json!([{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources, "scope": scope}]);
    for (cover, plural, subresource, expected) in [
        (json!({"rules": rule(&["pods"], "*")}), "pods", "", true),
        (json!({"rules": rule(&["pods"], "*")}), "pods", "status", false),
        (json!({"rules": rule(&["pods/*"], "*")}), "pods", "status", true),
        (json!({"rules": rule(&["*/status"], "*")}), "pods", "status", true),
        (json!({"rules": rule(&["*"], "*")}), "pods", "status", false),
        (json!({"rules": rule(&["*/*"], "*")}), "pods", "", true),
        (json!({"rules": rule(&["*"], "Cluster")}), "pods", "", false),
        (json!({"rules": rule(&["*"], "Cluster")}), "nodes", "", true),
        (
            json!({"rules": rule(&["pods"], "*"), "objectSelector": {"matchLabels": {"app": "web"}}}),
            "pods",
            "",
            true,
        ),
        (
            json!({"rules": rule(&["pods"], "*"), "objectSelector": {"matchLabels": {"app": "db"}}}),
            "pods",
            "",
            false,
        ),
        (
            json!({"rules": rule(&["pods"], "*"), "namespaceSelector": {"matchLabels": {"env": "prod"}}}),
            "pods",
            "",
            true,
        ),
        (
            json!({"rules": rule(&["pods"], "*"), "namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}}),
            "pods",
            "",
            false,
        ),
    ] {
        assert_eq!(
            covers(cover.clone(), plural, subresource, json!({"env": "prod"})),
            expected,
            "{cover} {plural} {subresource}"
        );
    }
}

#[test]
fn refusals_of_webhooks_are_told_in_the_api_servers_words() {
    let error = denied(
        "a.b.c",
        &json!({"allowed": false, "status": {"message": "no", "code": 403, "reason": "Forbidden"}}),
    );
    assert_eq!(
        (error.code, error.reason, error.message.as_str()),
        (403, "Forbidden", "admission webhook \"a.b.c\" denied the request: no")
    );
    let error = denied("a.b.c", &json!({"allowed": false}));
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            400,
            "admission webhook \"a.b.c\" denied the request without explanation"
        )
    );
}

#[test]
fn wrong_configurations_are_refused_by_field() {
    let mut policy = json!({"spec": {"matchConstraints": {"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
        "variables": [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}],
        "validations": [{"expression": "object.spec.x =="}, {"expression": "params.x == 1"}, {"expression": "'text'"}]}});
    admissionregistration::default("ValidatingAdmissionPolicy", &mut policy);
    let texts: Vec<String> = admissionregistration::validate("ValidatingAdmissionPolicy", &policy)
        .iter()
        .map(|error| error.field.clone())
        .collect();
    assert_eq!(
        texts,
        [
            "spec.variables[0].expression",
            "spec.validations[0].expression",
            "spec.validations[1].expression",
            "spec.validations[2].expression"
        ]
    );
    let mut webhooks =
        json!({"webhooks": [{"name": "short", "clientConfig": {"url": "http://x"}, "timeoutSeconds": 60}]});
    admissionregistration::default("ValidatingWebhookConfiguration", &mut webhooks);
    let fields: Vec<String> = admissionregistration::validate("ValidatingWebhookConfiguration", &webhooks)
        .iter()
        .map(|error| error.field.clone())
        .collect();
    assert_eq!(
        fields,
        [
            "webhooks[0].name",
            "webhooks[0].sideEffects",
            "webhooks[0].admissionReviewVersions",
            "webhooks[0].timeoutSeconds",
            "webhooks[0].clientConfig.url"
        ]
    );
}
