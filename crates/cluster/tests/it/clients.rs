//! The API server as clients see it: `kube::Client` in process, and over TLS where the connection matters.

// A test may end in a panic; helpers outside of test functions too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy, WatchEvent,
    WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_cluster::{ApiConfig, ApiServer};

use crate::server::start;

fn config_map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": BTreeMap::from_iter(data.iter().copied())}))
        .unwrap()
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "spark:4.1.4"}]}}))
    .unwrap()
}

fn code(error: kube::Error) -> (u16, String, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn objects_are_created_read_changed_and_deleted() {
    let (server, client, _home) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let made = maps
        .create(&PostParams::default(), &config_map("a", &[("k", "1")]))
        .await
        .unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let twice = maps
        .create(&PostParams::default(), &config_map("a", &[]))
        .await
        .unwrap_err();
    assert_eq!(
        code(twice),
        (409, "AlreadyExists".into(), "configmaps \"a\" already exists".into())
    );
    let same = maps
        .patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "1"}})))
        .await
        .unwrap();
    assert_eq!(
        same.resource_version(),
        made.resource_version(),
        "a change of nothing changes nothing"
    );
    let changed = maps
        .patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}})))
        .await
        .unwrap();
    assert_ne!(changed.resource_version(), made.resource_version());
    let stale = maps.replace("a", &PostParams::default(), &made).await.unwrap_err();
    assert_eq!(code(stale).1, "Conflict");
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let gone = maps.get("a").await.unwrap_err();
    assert_eq!(
        code(gone),
        (404, "NotFound".into(), "configmaps \"a\" not found".into())
    );
    let nowhere: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    let error = nowhere
        .create(&PostParams::default(), &config_map("a", &[]))
        .await
        .unwrap_err();
    assert_eq!(code(error).2, "namespaces \"nowhere\" not found");
    server.stop().await;
}

#[tokio::test]
async fn a_pod_is_completed_and_a_wrong_one_refused() {
    let (server, client, _home) = start().await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let made = pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.tolerations.unwrap().len(), 2);
    assert_eq!(spec.priority, Some(0));
    let mount = &spec.containers[0].volume_mounts.as_ref().unwrap()[0];
    assert_eq!(mount.mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");
    let status = made.status.unwrap();
    assert_eq!(
        (status.phase.as_deref(), status.qos_class.as_deref()),
        (Some("Pending"), Some("BestEffort"))
    );
    let wrong: Pod =
        serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c"}]}})).unwrap();
    let error = pods.create(&PostParams::default(), &wrong).await.unwrap_err();
    assert_eq!(
        code(error).2,
        "Pod \"x\" is invalid: spec.containers[0].image: Required value"
    );
    let mut stranger = pod("s");
    stranger.spec.as_mut().unwrap().service_account_name = Some("nobody".into());
    let error = pods.create(&PostParams::default(), &stranger).await.unwrap_err();
    assert_eq!(
        code(error).2,
        "pods \"s\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found"
    );
    let change = json!({"spec": {"containers": [{"name": "main", "args": ["x"]}]}});
    let error = pods
        .patch("p", &PatchParams::default(), &Patch::Strategic(change))
        .await
        .unwrap_err();
    assert_eq!(code(error).0, 422);
    server.stop().await;
}

#[tokio::test]
async fn the_status_is_a_world_of_its_own() {
    let (server, client, _home) = start().await;
    let pods: Api<Pod> = Api::namespaced(client, "default");
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    let running = json!({"status": {"phase": "Running", "podIP": "127.70.1.1"}, "spec": {"nodeName": "no"}});
    let after = pods
        .patch_status("p", &PatchParams::default(), &Patch::Merge(running))
        .await
        .unwrap();
    assert_eq!(after.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
    assert_eq!(after.spec.as_ref().unwrap().node_name, None);
    let label = json!({"metadata": {"labels": {"x": "y"}}, "status": {"phase": "Failed"}});
    let after = pods
        .patch("p", &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    assert_eq!(after.labels()["x"], "y");
    assert_eq!(after.status.unwrap().phase.as_deref(), Some("Running"));
    server.stop().await;
}

#[tokio::test]
async fn a_watch_sees_what_matches_start_change_and_stop_matching() {
    let (server, client, _home) = start().await;
    let pods: Api<Pod> = Api::namespaced(client, "default");
    let before = pods.list(&ListParams::default()).await.unwrap();
    let watch = WatchParams::default()
        .labels("app in (p),spark-exec-inactive!=true")
        .timeout(20);
    let events = pods
        .watch(&watch, &before.metadata.resource_version.unwrap())
        .await
        .unwrap();
    pods.create(&PostParams::default(), &pod("other")).await.unwrap();
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    let running = json!({"status": {"phase": "Running"}});
    pods.patch_status("p", &PatchParams::default(), &Patch::Merge(running))
        .await
        .unwrap();
    let inactive = json!({"metadata": {"labels": {"spark-exec-inactive": "true"}}});
    pods.patch("p", &PatchParams::default(), &Patch::Merge(inactive))
        .await
        .unwrap();
    let seen: Vec<String> = tokio::time::timeout(
        Duration::from_secs(10),
        events.take(3).map_ok(describe).try_collect::<Vec<_>>(),
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(seen, ["added p", "modified p", "deleted p"]);
    server.stop().await;
}

fn describe(event: WatchEvent<Pod>) -> String {
    match event {
        WatchEvent::Added(pod) => format!("added {}", pod.name_any()),
        WatchEvent::Modified(pod) => format!("modified {}", pod.name_any()),
        WatchEvent::Deleted(pod) => format!("deleted {}", pod.name_any()),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_graceful_deletion_waits_for_the_kubelet() {
    let (server, client, _home) = start().await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    pods.create_subresource::<Value, Value>("binding", "p", &PostParams::default(), &binding)
        .await
        .unwrap();
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    let ending = pods.get("p").await.unwrap();
    assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(30));
    assert!(ending.metadata.deletion_timestamp.is_some());
    pods.delete(
        "p",
        &DeleteParams {
            grace_period_seconds: Some(0),
            ..DeleteParams::default()
        },
    )
    .await
    .unwrap();
    assert!(pods.get_opt("p").await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let (server, client, _home) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut map = config_map("held", &[]);
    map.finalizers_mut().push("stoke.dev/test".into());
    maps.create(&PostParams::default(), &map).await.unwrap();
    maps.delete("held", &DeleteParams::default()).await.unwrap();
    assert!(maps.get("held").await.unwrap().metadata.deletion_timestamp.is_some());
    let patch: json_patch::Patch = serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "stoke.dev/test"}, {"op": "remove", "path": "/metadata/finalizers/0"}]))
    .unwrap();
    let body = serde_json::to_vec(&patch).unwrap();
    let request = http::Request::patch("/api/v1/namespaces/default/configmaps/held")
        .header("content-type", "application/json-patch+json")
        .body(body)
        .unwrap();
    server.client().request::<Value>(request).await.unwrap();
    assert!(maps.get_opt("held").await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn server_side_apply_keeps_owners_apart() {
    let (server, client, _home) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let apply = |manager: &'static str, data: Value, force: bool| {
        let maps = maps.clone();
        async move {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
            let parameters = PatchParams {
                force,
                ..PatchParams::apply(manager)
            };
            maps.patch("a", &parameters, &Patch::Apply(object)).await
        }
    };
    let first = apply("one", json!({"a": "1", "b": "1"}), false).await.unwrap();
    let again = apply("one", json!({"a": "1", "b": "1"}), false).await.unwrap();
    assert_eq!(
        first.resource_version(),
        again.resource_version(),
        "applying the same changes nothing"
    );
    apply("two", json!({"c": "1"}), false).await.unwrap();
    let error = code(apply("two", json!({"a": "2"}), false).await.unwrap_err());
    assert_eq!(
        (error.0, error.2.as_str()),
        (409, "Apply failed with 1 conflict: conflict with \"one\": .data.a")
    );
    let after = apply("two", json!({"a": "2"}), true).await.unwrap();
    assert_eq!(
        after.data.unwrap(),
        BTreeMap::from([("a".into(), "2".into()), ("b".into(), "1".into())])
    );
    server.stop().await;
}

fn definition(group: &str) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
            "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["size"], "properties": {
                    "size": {"type": "integer", "maximum": 5}, "color": {"type": "string", "default": "red"}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

/// What is deleted between the look and the write is created: an apply is never told that its object is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_beside_deletions_creates_what_went() {
    let (server, client, _home) = start().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let others = services.clone();
    let deletes = tokio::spawn(async move {
        for _ in 0..300 {
            let _ = others.delete("ui", &DeleteParams::default()).await;
            tokio::task::yield_now().await;
        }
    });
    for port in (4040..4060).cycle().take(300) {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ui"},
            "spec": {"selector": {"app": "ui"}, "ports": [{"name": "ui", "port": port}]}});
        let applied = services
            .patch("ui", &PatchParams::apply("operator").force(), &Patch::Apply(service))
            .await;
        applied.unwrap_or_else(|error| panic!("{:?}", code(error)));
    }
    deletes.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_custom_resource_is_pruned_defaulted_and_checked() {
    let (server, client, _home) = start().await;
    let crd = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ));
    let definitions: Api<DynamicObject> = Api::all_with(client.clone(), &crd);
    definitions
        .create(
            &PostParams::default(),
            &serde_json::from_value(definition("example.com")).unwrap(),
        )
        .await
        .unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Thing"));
    let things: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    let thing = |spec: Value| -> DynamicObject {
        serde_json::from_value(
            json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec,
            "status": {"x": 1}}),
        )
        .unwrap()
    };
    let error = code(
        things
            .create(&PostParams::default(), &thing(json!({"size": 9})))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (error.0, error.2.as_str()),
        (
            422,
            "Thing.example.com \"t\" is invalid: spec.size: Invalid value: 9: spec.size in body should be less than or equal to 5"
        )
    );
    let made = things
        .create(&PostParams::default(), &thing(json!({"size": 1, "unknown": 1})))
        .await
        .unwrap();
    assert_eq!(made.data["spec"], json!({"size": 1, "color": "red"}));
    assert!(made.data.get("status").is_none());
    assert_eq!(made.metadata.generation, Some(1));
    let after = things
        .patch_status(
            "t",
            &PatchParams::default(),
            &Patch::Merge(json!({"status": {"y": 2}, "spec": {"size": 3}})),
        )
        .await
        .unwrap();
    assert_eq!(
        (&after.data["spec"]["size"], &after.data["status"]),
        (&json!(1), &json!({"y": 2}))
    );
    assert_eq!(after.metadata.generation, Some(1));
    let after = things
        .patch(
            "t",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"size": 2}})),
        )
        .await
        .unwrap();
    assert_eq!(after.metadata.generation, Some(2));
    let strict = http::Request::post("/apis/example.com/v1/namespaces/default/things?fieldValidation=Strict")
        .header("content-type", "application/json")
        .body(
            json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "u"}, "spec": {"size": 1, "sise": 2}})
                .to_string()
                .into_bytes(),
        )
        .unwrap();
    let error = code(client.request::<Value>(strict).await.unwrap_err());
    assert_eq!(
        (error.0, error.2.as_str()),
        (
            400,
            "Thing in version \"v1\" cannot be handled as a Thing: strict decoding error: unknown field \"spec.sise\""
        )
    );
    server.stop().await;
}

#[tokio::test]
async fn service_accounts_act_only_where_they_are_bound() {
    let (server, client, _home) = start().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    accounts
        .create(
            &PostParams::default(),
            &serde_json::from_value(json!({"metadata": {"name": "weak"}})).unwrap(),
        )
        .await
        .unwrap();
    let token = async |name: &str| -> String {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600, "audiences": []}});
        let path = format!("/api/v1/namespaces/default/serviceaccounts/{name}/token");
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .unwrap();
        let answer: Value = client.request(request).await.unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    };
    let driver = remote(&server, Some(token("default").await)).await;
    let weak = remote(&server, Some(token("weak").await)).await;
    let pods = |client: &Client| -> Api<Pod> { Api::namespaced(client.clone(), "default") };
    pods(&driver)
        .create(&PostParams::default(), &pod("exec"))
        .await
        .unwrap();
    let error = code(pods(&weak).list(&ListParams::default()).await.unwrap_err());
    assert_eq!(error.0, 403);
    assert!(error.2.contains("User \"system:serviceaccount:default:weak\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""));
    let elsewhere: Api<Secret> = Api::namespaced(driver, "kube-system");
    assert_eq!(code(elsewhere.list(&ListParams::default()).await.unwrap_err()).0, 403);
    let nobody = remote(&server, None).await;
    assert_eq!(
        code(pods(&nobody).list(&ListParams::default()).await.unwrap_err()).0,
        401
    );
    assert!(nobody.apiserver_version().await.unwrap().git_version.contains("+stoke"));
    server.stop().await;
}

/// A client over TLS: with a token, or with no credentials.
async fn remote(server: &ApiServer, token: Option<String>) -> Client {
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    config.auth_info = Default::default();
    config.auth_info.token = token.map(Into::into);
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn the_kubeconfig_opens_the_server_over_tls() {
    let (server, _, _home) = start().await;
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let names: Vec<String> = namespaces
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let services: Api<Service> = Api::namespaced(client, "default");
    let kubernetes = services.get("kubernetes").await.unwrap();
    assert_eq!(kubernetes.spec.unwrap().cluster_ip, Some(server.address().to_string()));
    server.stop().await;
}

#[tokio::test]
async fn kinds_that_would_do_nothing_are_refused_or_warned_about() {
    let (server, client, _home) = start().await;
    let class = json!({"metadata": {"name": "gvisor"}, "handler": "runsc"});
    let request = http::Request::post("/apis/node.k8s.io/v1/runtimeclasses")
        .header("content-type", "application/json")
        .body(class.to_string().into_bytes())
        .unwrap();
    let error = code(client.request::<Value>(request).await.unwrap_err());
    assert!(
        error.0 == 405
            && error
                .2
                .contains("runtimeclasses.node.k8s.io have no effect on this cluster"),
        "{error:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn only_one_cluster_runs_in_a_home_and_what_it_acknowledged_stays() {
    let directory = tempfile::tempdir().unwrap();
    let config = ApiConfig {
        home: directory.path().to_owned(),
        in_memory: false,
    };
    let server = ApiServer::start(&config).await.unwrap();
    let refused = ApiServer::start(&config).await.err().unwrap();
    assert!(refused.to_string().contains("already running"), "{refused}");
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    maps.create(&PostParams::default(), &config_map("kept", &[("a", "1")]))
        .await
        .unwrap();
    drop(maps);
    server.stop().await;
    let server = ApiServer::start(&config).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    assert_eq!(maps.get("kept").await.unwrap().data.unwrap()["a"], "1");
    server.stop().await;
}

#[tokio::test]
async fn dependents_follow_their_owner_or_are_left() {
    let (server, client, _home) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    for (propagation, left) in [
        (PropagationPolicy::Background, false),
        (PropagationPolicy::Foreground, false),
        (PropagationPolicy::Orphan, true),
    ] {
        let owner = maps
            .create(&PostParams::default(), &config_map("owner", &[]))
            .await
            .unwrap();
        let mut child = config_map("child", &[]);
        child.owner_references_mut().push(
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
            "uid": owner.uid(), "blockOwnerDeletion": true}))
            .unwrap(),
        );
        maps.create(&PostParams::default(), &child).await.unwrap();
        let parameters = DeleteParams {
            propagation_policy: Some(propagation.clone()),
            ..DeleteParams::default()
        };
        maps.delete("owner", &parameters).await.unwrap();
        until(async || maps.get_opt("owner").await.unwrap().is_none()).await;
        if left {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(maps.get("child").await.unwrap().owner_references().is_empty());
        } else {
            until(async || maps.get_opt("child").await.unwrap().is_none()).await;
        }
    }
    server.stop().await;
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come true in 5 s");
}
