//! Rules as tables; every rule is held against a real server's answers in `tests/verdicts`.

use serde_json::{Value, json};

use super::{Complaints, pod, words};
use crate::apimachinery::schema::Path;

fn told(spec: &Value) -> Vec<String> {
    let mut said = Complaints::default();
    pod::check(
        &json!({"metadata": {"name": "p"}, "spec": spec}),
        &Path::Start("spec"),
        &mut said,
    );
    said.0.iter().map(ToString::to_string).collect()
}

#[test]
fn names_of_ports_are_short_and_have_a_letter() {
    for (name, broken) in [
        ("driver-rpc", None),
        ("spark-connect-server", Some("must be no more than 15 characters")),
        ("123", Some("must contain at least one letter (a-z)")),
        ("a--b", Some("must not contain consecutive hyphens")),
        ("-a", Some("must not begin or end with a hyphen")),
    ] {
        assert_eq!(words::port_name(name).first().map(String::as_str), broken, "{name}");
    }
}

#[test]
fn texts_are_refused_in_the_words_of_the_real_server() {
    type Rule = fn(&str) -> Vec<String>;
    let rules: [(Rule, &str, usize); 12] = [
        (words::variable, "A b", 0),
        (words::variable, "A=b", 1),
        (words::config_key, "a.b_c-D", 0),
        (words::config_key, "a/b", 1),
        (words::address, "10.0.0.1", 0),
        (words::address, "::1", 0),
        (words::address, "10.0.0", 1),
        (words::inner_path, "a/b", 0),
        (words::inner_path, "/a/../b", 2),
        (words::payload_path, "..a", 1),
        (words::label, "a.b", 1),
        (words::search, "_tcp.example.com.", 0),
    ];
    for (rule, text, count) in rules {
        assert_eq!(rule(text).len(), count, "{text}: {:?}", rule(text));
    }
}

#[test]
fn a_pod_is_refused_with_the_place_of_what_is_wrong() {
    let container = |more: Value| {
        let mut container = json!({"name": "a", "image": "b"});
        for (field, value) in more.as_object().into_iter().flatten() {
            container[field] = value.clone();
        }
        json!({"containers": [container]})
    };
    for (spec, expected) in [
        (
            container(json!({"ports": [{"name": "spark-connect-server", "containerPort": 15002}]})),
            "spec.containers[0].ports[0].name: Invalid value: \"spark-connect-server\": must be no more than 15 characters",
        ),
        (
            container(json!({"volumeMounts": [{"name": "gone", "mountPath": "/a"}]})),
            "spec.containers[0].volumeMounts[0].name: Not found: \"gone\"",
        ),
        (
            container(json!({"livenessProbe": {}})),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            container(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
    ] {
        assert_eq!(told(&spec), [expected]);
    }
    assert!(told(&container(json!({}))).is_empty());
}
