//! StatefulSets: pods with names and volumes of their own.

use crate::case::{Case, Client, Ground, words};
use crate::workloads::{json, until};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "StatefulSets",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "pods are made in order with stable names, labels, hostname and a claim each; scaling down goes in reverse",
            ordered,
        ),
        case(
            "a pod that is deleted comes back with its name and its data",
            data_stays,
        ),
        case(
            "an update replaces pods from the last down; a partition holds the lower ones back",
            update,
        ),
        case("pods reach each other by name through the headless service", names),
        case(
            "OnDelete replaces a pod only when it is deleted; `rollout history` and `undo` know the revisions",
            on_delete,
        ),
        case(
            "persistentVolumeClaimRetentionPolicy Delete takes the claims along when scaled down",
            retention,
        ),
        case("fields other than the listed ones cannot change", wording),
    ]
}

fn manifest(replicas: u32, more: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: None, selector: {{app: web}}, ports: [{{port: 80}}]}}\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web}}\nspec:\n  serviceName: web\n  replicas: {replicas}\n{more}  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      containers: [{{name: c, image: shell, args: [\"{script}\"], volumeMounts: [{{name: data, mountPath: /data}}]}}]\n  volumeClaimTemplates:\n  - metadata: {{name: data}}\n    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}\n"
    )
}

const SLEEP: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

fn apply(ground: &Ground, namespace: &str, text: &str) -> Result<(), String> {
    ground.kubectl(namespace, &["apply", "-f", "-"], text).ok().map(drop)
}

fn pods(ground: &Ground, namespace: &str) -> Result<Vec<String>, String> {
    let pods = json(ground, namespace, &["get", "pods", "-l", "app=web"])?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    Ok(pods
        .iter()
        .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
        .collect())
}

fn status(ground: &Ground, namespace: &str) -> Result<(), String> {
    ground
        .kubectl(
            namespace,
            &["rollout", "status", "statefulset/web", "--timeout=40s"],
            "",
        )
        .ok()
        .map(drop)
}

/// Deletes `web-0`, and does not wait: kubectl looks for the pod and then, in a second request, for its end, and waits for
/// ever when a new pod has its name in between.
fn delete_pod(ground: &Ground, namespace: &str) -> Result<(), String> {
    let arguments = ["delete", "pod", "web-0", "--wait=false"];
    ground.kubectl(namespace, &arguments, "").ok().map(drop)
}

fn ordered(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(ground, &namespace, &manifest(2, "", SLEEP))?;
    status(ground, &namespace)?;
    let list = json(ground, &namespace, &["get", "pods"])?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    for (ordinal, pod) in items.iter().enumerate() {
        let name = format!("web-{ordinal}");
        let labels = &pod["metadata"]["labels"];
        let good = pod["metadata"]["name"] == *name
            && labels["statefulset.kubernetes.io/pod-name"] == *name
            && labels["apps.kubernetes.io/pod-index"].as_str() == Some(&name[4..])
            && pod["spec"]["hostname"] == *name
            && pod["spec"]["subdomain"] == "web";
        if !good {
            return Err(format!("pod {ordinal} is {pod}"));
        }
    }
    let claims = ground.kubectl(&namespace, &["get", "pvc"], "").ok()?;
    if !claims.contains("data-web-0") || !claims.contains("data-web-1") || items.len() != 2 {
        return Err(format!("{} pods, claims: {claims}", items.len()));
    }
    ground
        .kubectl(&namespace, &["scale", "statefulset/web", "--replicas=1"], "")
        .has("scaled")?;
    until("only the first is left", || Ok(pods(ground, &namespace)? == ["web-0"]))?;
    ground.kubectl(&namespace, &["get", "pvc"], "").has("data-web-1")?;
    ground
        .kubectl(&namespace, &["get", "events"], "")
        .has("create Pod web-1 in StatefulSet web successful")
}

fn data_stays(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let script = "date +%s%N >> /data/starts; cat /data/starts; trap 'exit 0' TERM; while true; do sleep 0.1; done";
    apply(ground, &namespace, &manifest(1, "", script))?;
    status(ground, &namespace)?;
    let uid = || -> Result<String, String> {
        Ok(json(ground, &namespace, &["get", "pod", "web-0"])?["metadata"]["uid"].to_string())
    };
    let before = uid()?;
    delete_pod(ground, &namespace)?;
    until("another pod of the name", || Ok(uid().is_ok_and(|now| now != before)))?;
    status(ground, &namespace)?;
    until("it finds the line of the one before", || {
        let log = ground.kubectl(&namespace, &["logs", "web-0"], "").ok()?;
        Ok(log.lines().count() == 2)
    })
}

fn update(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &manifest(2, "  updateStrategy: {rollingUpdate: {partition: 1}}\n", SLEEP),
    )?;
    status(ground, &namespace)?;
    ground
        .kubectl(&namespace, &["set", "env", "statefulset/web", "VERSION=2"], "")
        .ok()?;
    let changed = |ordinal: u32| -> Result<bool, String> {
        let pod = json(ground, &namespace, &["get", "pod", &format!("web-{ordinal}")]);
        Ok(pod.is_ok_and(|pod| pod["spec"]["containers"][0]["env"].is_array() && pod["status"]["phase"] == "Running"))
    };
    until("the pod above the partition is new", || changed(1))?;
    status(ground, &namespace)?;
    if changed(0)? {
        return Err("the partition did not hold web-0 back".into());
    }
    let patch = "{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":0}}}}";
    ground
        .kubectl(&namespace, &["patch", "statefulset", "web", "-p", patch], "")
        .ok()?;
    until("the rest follows", || changed(0))?;
    until("the rollout is complete", || {
        let set = json(ground, &namespace, &["get", "statefulset", "web"])?;
        Ok(
            set["status"]["currentRevision"] == set["status"]["updateRevision"]
                && set["status"]["currentReplicas"] == 2,
        )
    })
}

fn names(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let script = "while true; do getent hosts web-0.web; getent hosts web-1.web && echo both; sleep 0.2; done";
    apply(ground, &namespace, &manifest(2, "", script))?;
    status(ground, &namespace)?;
    until("the first finds the second", || {
        let log = ground.kubectl(&namespace, &["logs", "web-0"], "").ok()?;
        Ok(log.contains("both"))
    })
}

fn on_delete(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &manifest(1, "  updateStrategy: {type: OnDelete}\n", SLEEP),
    )?;
    ground
        .kubectl(
            &namespace,
            &words("wait statefulset/web --for=jsonpath={.status.readyReplicas}=1 --timeout=40s"),
            "",
        )
        .ok()?;
    ground
        .kubectl(&namespace, &["set", "env", "statefulset/web", "VERSION=2"], "")
        .ok()?;
    until("the new revision is known", || {
        let set = json(ground, &namespace, &["get", "statefulset", "web"])?;
        Ok(set["status"]["currentRevision"] != set["status"]["updateRevision"])
    })?;
    let has_env = || -> Result<bool, String> {
        let pod = json(ground, &namespace, &["get", "pod", "web-0"]);
        Ok(pod.is_ok_and(|pod| pod["spec"]["containers"][0]["env"].is_array()))
    };
    if has_env()? {
        return Err("the pod was replaced".into());
    }
    delete_pod(ground, &namespace)?;
    until("the new pod is of the new revision", has_env)?;
    let history = ground
        .kubectl(&namespace, &["rollout", "history", "statefulset/web"], "")
        .ok()?;
    if !history.contains("\n1  ") || !history.contains("\n2  ") {
        return Err(history);
    }
    ground
        .kubectl(&namespace, &["rollout", "undo", "statefulset/web"], "")
        .has("rolled back")?;
    until("the first template is the third revision", || {
        let history = ground
            .kubectl(&namespace, &["rollout", "history", "statefulset/web"], "")
            .ok()?;
        Ok(history.contains("\n3  ") && !history.contains("\n1  "))
    })
}

fn retention(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let more = "  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete, whenDeleted: Delete}\n";
    apply(ground, &namespace, &manifest(2, more, SLEEP))?;
    status(ground, &namespace)?;
    ground
        .kubectl(&namespace, &["scale", "statefulset/web", "--replicas=1"], "")
        .ok()?;
    let claims = || -> Result<Vec<String>, String> {
        let list = json(ground, &namespace, &["get", "pvc"])?;
        let list = list["items"].as_array().cloned().unwrap_or_default();
        Ok(list
            .iter()
            .filter_map(|claim| claim["metadata"]["name"].as_str().map(str::to_owned))
            .collect())
    };
    until("the second claim is gone", || Ok(claims()? == ["data-web-0"]))?;
    ground.kubectl(&namespace, &["delete", "statefulset", "web"], "").ok()?;
    until("the first is gone with the set", || Ok(claims()?.is_empty()))
}

fn wording(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let text = manifest(0, "", SLEEP);
    apply(ground, &namespace, &text)?;
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &text.replace("serviceName: web", "serviceName: other"))
        .refused_with("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")
}
