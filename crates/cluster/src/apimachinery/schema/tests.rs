use serde_json::json;

use super::*;

fn parse(json: serde_json::Value) -> Schema {
    Schema::parse(&json, &|_| None)
}

#[test]
fn built_in_types_know_their_fields_and_list_keys() {
    let pod = builtin::schema("io.k8s.api.core.v1.Pod").unwrap();
    let spec = pod.field("spec").unwrap();
    assert_eq!(
        spec.field("containers").unwrap().list().unwrap().0,
        &ListType::Map(vec!["name".into()])
    );
    assert!(pod.field("metadata").unwrap().field("labels").unwrap().is_map());
    let mut value = json!({"spec": {"containers": [{"name": "a", "imagee": "x", "image": null}], "tolerations": []}});
    assert_eq!(prune(pod, &mut value), ["spec.containers[0].imagee"]);
    assert_eq!(
        value,
        json!({"spec": {"containers": [{"name": "a"}], "tolerations": []}})
    );
}

#[test]
fn complaints_use_the_words_of_the_api_server() {
    let schema = parse(json!({"type": "object", "required": ["image"], "properties": {
        "replicas": {"type": "integer", "minimum": 0}, "image": {"type": "string"},
        "mode": {"type": "string", "enum": ["a", "b"]}}}));
    let errors = validate(&schema, &json!({"replicas": "x", "mode": "c"}), "spec");
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "spec.image: Required value",
            "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
            "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        ]
    );
    let errors = validate(&schema, &json!({"image": "x", "replicas": -1}), "spec");
    assert_eq!(
        errors[0].to_string(),
        "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0"
    );
}

#[test]
fn defaults_reach_into_what_exists_only() {
    let schema = parse(json!({"type": "object", "properties": {
        "a": {"type": "object", "properties": {"b": {"type": "integer", "default": 3}}},
        "c": {"type": "object", "default": {}, "properties": {"d": {"type": "string", "default": "x"}}}}}));
    let mut value = json!({});
    apply_defaults(&schema, &mut value);
    assert_eq!(value, json!({"c": {"d": "x"}}));
    let mut value = json!({"a": {}});
    apply_defaults(&schema, &mut value);
    assert_eq!(value["a"]["b"], 3);
}
