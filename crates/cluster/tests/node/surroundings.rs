//! What a container sees.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use stoke_cluster::kubelet::LogOptions;

use crate::bench::Bench;

pub async fn volumes_appear_where_they_are_mounted(bench: &Bench) {
    let maps: Api<ConfigMap> = Api::default_namespaced(bench.client.clone());
    let map = json!({"metadata": {"name": "settings"}, "data": {"a.txt": "first", "b": "second"}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    let secrets: Api<Secret> = Api::default_namespaced(bench.client.clone());
    let secret = json!({"metadata": {"name": "hidden"}, "data": {"password": "cHc="}});
    secrets
        .create(&PostParams::default(), &serde_json::from_value(secret).unwrap())
        .await
        .unwrap();
    let script = "cat /etc/settings/a.txt /sub /secret/password /info/labels; echo; echo $B $POD_IP $MEMORY $HOSTNAME; \
                  touch /etc/settings/x 2>&1; echo scratch > /scratch/x && df -m /memory | tail -1 | awk '{print $2}'; \
                  stat -c %a /etc/settings/..data/a.txt; id -u; ls /var/run/secrets/kubernetes.io/serviceaccount";
    let pod = bench
        .create("mounts", json!({
            "restartPolicy": "Never",
            "volumes": [
                {"name": "settings", "configMap": {"name": "settings", "defaultMode": 0o440}},
                {"name": "hidden", "secret": {"secretName": "hidden"}},
                {"name": "info", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"name": "scratch", "emptyDir": {}},
                {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "3Mi"}}
            ],
            "containers": [{
                "name": "main",
                "args": [script],
                "env": [
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "b"}}},
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}
                ],
                "resources": {"limits": {"memory": "64Mi"}},
                "securityContext": {"runAsUser": 1234},
                "volumeMounts": [
                    {"name": "settings", "mountPath": "/etc/settings"},
                    {"name": "settings", "mountPath": "/sub", "subPath": "b"},
                    {"name": "hidden", "mountPath": "/secret"},
                    {"name": "info", "mountPath": "/info"},
                    {"name": "scratch", "mountPath": "/scratch"},
                    {"name": "memory", "mountPath": "/memory"}
                ]
            }]
        }))
        .await;
    let done = bench
        .until("mounts", "over", |pod| {
            pod["status"]["phase"] == "Succeeded" || pod["status"]["phase"] == "Failed"
        })
        .await;
    let log = bench.log(&pod, "main").await;
    let address = done["status"]["podIP"].as_str().unwrap();
    assert!(
        log.starts_with(&format!("firstsecondpwapp=\"mounts\"\nsecond {address} 64 mounts\n")),
        "{log}"
    );
    assert!(log.contains("Read-only file system\n3\n440\n1234\n"), "{log}");
    assert!(log.ends_with("ca.crt\nnamespace\ntoken\n"), "{log}");
}

pub async fn a_pod_waits_for_its_config_map(bench: &Bench) {
    let spec = |name: &str| {
        json!({
            "restartPolicy": "Never",
            "volumes": [{"name": "v", "configMap": {"name": name}}],
            "containers": [{"name": "main", "args": ["cat /v/k; while [ \"$(cat /v/k)\" = one ]; do sleep 0.02; done; cat /v/k"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]
        })
    };
    let pod = bench.create("waits", spec("later")).await;
    let events = bench.events(&pod, 2).await;
    assert_eq!(
        events[1],
        "FailedMount: MountVolume.SetUp failed for volume \"v\" : configmap \"later\" not found"
    );
    let waiting = bench.until_phase("waits", "Pending").await;
    assert_eq!(
        waiting["status"]["containerStatuses"][0]["state"]["waiting"]["reason"],
        "ContainerCreating"
    );
    let maps: Api<ConfigMap> = Api::default_namespaced(bench.client.clone());
    let map = json!({"metadata": {"name": "later"}, "data": {"k": "one"}});
    let start = Instant::now();
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    bench.until_phase("waits", "Running").await;
    println!("  from the ConfigMap to a running pod: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2));
    let changed = json!({"data": {"k": "two"}});
    maps.patch("later", &PatchParams::default(), &Patch::Merge(&changed))
        .await
        .unwrap();
    bench.until_phase("waits", "Succeeded").await;
    assert_eq!(
        bench.log(&pod, "main").await,
        "onetwo",
        "a change reaches a running pod"
    );
}

pub async fn services_resolve_as_they_come(bench: &Bench) {
    let server = bench.script("server", "sleep 30").await;
    let script = "getent hosts kubernetes.default.svc | awk '{print $1}'; echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT; \
                  until getent hosts server-svc.default.svc; do sleep 0.02; done | awk '{print $1}'; getent hosts alias.example | awk '{print $1}'";
    let client = bench
        .create(
            "client",
            json!({"restartPolicy": "Never", "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["alias.example"]}],
            "containers": [{"name": "main", "args": [script]}]}),
        )
        .await;
    bench.until_phase("client", "Running").await;
    let services: Api<Service> = Api::default_namespaced(bench.client.clone());
    let service = json!({"metadata": {"name": "server-svc"}, "spec": {"clusterIP": "None", "selector": {"app": "server"}, "ports": [{"port": 7078}]}});
    services
        .create(&PostParams::default(), &serde_json::from_value(service).unwrap())
        .await
        .unwrap();
    bench.until_phase("client", "Succeeded").await;
    let address = bench.until_phase("server", "Running").await["status"]["podIP"]
        .as_str()
        .unwrap()
        .to_owned();
    let host = bench.until_phase("server", "Running").await["status"]["hostIP"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        bench.log(&client, "main").await,
        format!("{host}\n{host}:{}\n{address}\n10.1.2.3\n", bench.api.port())
    );
    bench.delete(server.metadata.name.as_deref().unwrap(), 0).await;
}

pub async fn logs_are_served(bench: &Bench) {
    let pod = bench
        .script(
            "talks",
            "for i in 1 2 3; do echo line $i; sleep 0.1; done; echo oops >&2",
        )
        .await;
    bench.until_phase("talks", "Running").await;
    let followed = bench
        .log_with(
            &pod,
            "main",
            LogOptions {
                follow: true,
                ..LogOptions::default()
            },
        )
        .await;
    assert_eq!(followed, "line 1\nline 2\nline 3\noops\n");
    let tail = bench
        .log_with(
            &pod,
            "main",
            LogOptions {
                tail_lines: Some(1),
                ..LogOptions::default()
            },
        )
        .await;
    assert_eq!(tail, "oops\n");
    let through_api = bench
        .pods()
        .logs("talks", &kube::api::LogParams::default())
        .await
        .unwrap();
    assert_eq!(through_api, followed);
}
