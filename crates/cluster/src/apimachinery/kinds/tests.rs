use serde_json::json;

use super::*;
use crate::apimachinery::resources::Resources;

fn resource(plural: &str) -> std::sync::Arc<Resource> {
    Resources::built_in().find("", "v1", plural).unwrap()
}

#[test]
fn a_pod_gets_the_defaults_of_the_api_server() {
    let mut pod = json!({"spec": {"containers": [{"name": "a", "image": "spark:4.1.4", "ports": [{"containerPort": 1}],
        "resources": {"limits": {"memory": "1Gi"}}, "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
        {"name": "b", "image": "x"}], "volumes": [{"name": "v"}, {"name": "c", "configMap": {"name": "c"}}]}});
    default(&resource("pods"), &mut pod);
    prepare_create(&resource("pods"), &mut pod);
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "Burstable"}));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(pod["spec"]["containers"][1]["imagePullPolicy"], "Always");
    assert_eq!(container["resources"]["requests"]["memory"], "1Gi");
    assert_eq!(container["ports"][0]["protocol"], "TCP");
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
    assert_eq!(
        pod["spec"]["volumes"],
        json!([{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c", "defaultMode": 420}}])
    );
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 30);
}

#[test]
fn complaints_about_pods() {
    let pod = json!({"spec": {"containers": [{"name": "A_", "volumeMounts": [{"name": "nope", "mountPath": "/x"}]}]}});
    let texts: Vec<String> = validate(&resource("pods"), &pod)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        texts[0].starts_with("spec.containers[0].name: Invalid value: \"A_\""),
        "{texts:?}"
    );
    assert_eq!(texts[1], "spec.containers[0].image: Required value");
    assert_eq!(texts[2], "spec.containers[0].volumeMounts[0].name: Not found: \"nope\"");
    assert_eq!(
        validate(&resource("pods"), &json!({"spec": {}}))[0].to_string(),
        "spec.containers: Required value"
    );
}

#[test]
fn only_a_few_fields_of_a_pod_may_change() {
    let old = json!({"spec": {"containers": [{"name": "a", "image": "1"}], "tolerations": [{"key": "x"}]}});
    let change = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut new = old.clone();
        edit(&mut new["spec"]);
        validate_update(&resource("pods"), &old, &new).len()
    };
    assert_eq!(change(&|spec| spec["containers"][0]["image"] = "2".into()), 0);
    assert_eq!(
        change(&|spec| spec["tolerations"] = json!([{"key": "x"}, {"key": "y"}])),
        0
    );
    assert_eq!(change(&|spec| spec["tolerations"] = json!([])), 1);
    assert_eq!(change(&|spec| spec["containers"][0]["args"] = json!(["x"])), 1);
    assert_eq!(change(&|spec| spec["nodeName"] = "n".into()), 1);
}

#[test]
fn immutable_config_maps_stay_as_they_are() {
    let old = json!({"immutable": true, "data": {"a": "1"}});
    assert_eq!(
        validate_update(
            &resource("configmaps"),
            &old,
            &json!({"immutable": true, "data": {"a": "2"}})
        )
        .len(),
        1
    );
    assert_eq!(
        validate_update(&resource("configmaps"), &old, &json!({"data": {"a": "1"}})).len(),
        1
    );
    assert_eq!(
        validate_update(
            &resource("configmaps"),
            &json!({"data": {}}),
            &json!({"data": {"a": "2"}})
        )
        .len(),
        0
    );
}

#[test]
fn string_data_of_a_secret_is_stored_encoded() {
    let mut secret = json!({"stringData": {"a": "b"}});
    default(&resource("secrets"), &mut secret);
    assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "Yg=="}}));
}

#[test]
fn a_service_that_changes_its_type_loses_what_the_old_one_brought() {
    let service = |kind: &str| {
        json!({"spec": {"type": kind, "clusterIP": "127.1.192.1", "clusterIPs": ["127.1.192.1"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "nodePort": 30_080}]}})
    };
    for (kind, kept, dropped) in [
        ("ClusterIP", "clusterIP", "externalTrafficPolicy"),
        ("ExternalName", "ports", "clusterIP"),
    ] {
        let mut new = service(kind);
        drop_of_other_type(&service("NodePort"), &mut new);
        assert!(
            new["spec"][kept] != json!(null) && new["spec"].get(dropped).is_none(),
            "{kind}: {new}"
        );
        assert!(new["spec"]["ports"][0].get("nodePort").is_none());
    }
}
