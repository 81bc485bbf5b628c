//! Workloads that keep pods running: Deployments, ReplicaSets and what `kubectl rollout` does with them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::case::{Case, Client, Ground, words};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "Workloads",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "`create deployment`, `scale` and `rollout status`: the pods asked for run, and are replaced when deleted",
            deployments_run,
        ),
        case(
            "a changed template rolls out pod by pod; `rollout history` and `rollout undo` know the revisions",
            rolling_update,
        ),
        case(
            "`rollout pause` holds a change back, `rollout resume` lets it go on",
            pause,
        ),
        case("`rollout restart` replaces every pod", restart),
        case("strategy Recreate never runs old and new pods together", recreate),
        case(
            "a rollout that does not progress is reported after progressDeadlineSeconds",
            deadline,
        ),
        case(
            "a ReplicaSet adopts matching pods and releases those whose labels no longer match",
            adoption,
        ),
        case(
            "scaling a Deployment keeps the image of each ReplicaSet and their share",
            proportion,
        ),
        case(
            "deleting a Deployment takes its pods along; `--cascade=orphan` leaves them",
            cascade,
        ),
        case(
            "workloads with a selector that does not match their template, or a changed selector, are refused with the API server's words",
            wording,
        ),
        case(
            "a DaemonSet has one pod on the node, replaces it on an update, and says so in its status",
            daemon_set,
        ),
        case("a ReplicationController keeps its pods", replication_controller),
    ]
}

/// Waits until a question is answered with yes.
pub fn until(what: &str, mut question: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(40);
    while Instant::now() < end {
        if question()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("never came true: {what}"))
}

/// An object or a list as JSON.
pub fn json(ground: &Ground, namespace: &str, arguments: &[&str]) -> Result<Value, String> {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
    let text = ground.kubectl(namespace, &arguments, "").ok()?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

/// Names of pods that are neither ended nor ending.
fn alive(ground: &Ground, namespace: &str) -> Result<Vec<String>, String> {
    let pods = json(ground, namespace, &["get", "pods"])?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let alive = pods.iter().filter(|pod| {
        pod["metadata"]["deletionTimestamp"].is_null()
            && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
    });
    Ok(alive
        .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
        .collect())
}

fn manifest(kind: &str, name: &str, replicas: u32, script: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n{more}  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      containers: [{{name: c, image: shell, args: [\"{script}\"]}}]\n"
    )
}

const SLEEP: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

fn status(ground: &Ground, namespace: &str, what: &str) -> Result<(), String> {
    ground
        .kubectl(namespace, &["rollout", "status", what, "--timeout=40s"], "")
        .has("successfully rolled out")
}

fn deployments_run(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&[
        "create",
        "deployment",
        "web",
        "--image=shell",
        "--replicas=2",
        "--",
        "/bin/sh",
        "-c",
        SLEEP,
    ])
    .has("deployment.apps/web created")?;
    status(ground, &namespace, "deployment/web")?;
    run(&["scale", "deployment/web", "--replicas=3"]).has("deployment.apps/web scaled")?;
    status(ground, &namespace, "deployment/web")?;
    let before = alive(ground, &namespace)?;
    if before.len() != 3 {
        return Err(format!("not three pods: {before:?}"));
    }
    run(&["delete", "pod", &before[0], "--wait=false"]).ok()?;
    until("a deleted pod is replaced", || {
        let now = alive(ground, &namespace)?;
        Ok(now.len() == 3 && !now.contains(&before[0]))
    })?;
    let events = run(&["get", "events"]).ok()?;
    for part in [
        "ScalingReplicaSet",
        "Scaled up replica set web-",
        "from 0 to 2",
        "from 2 to 3",
        "SuccessfulCreate",
    ] {
        if !events.contains(part) {
            return Err(format!("no event says {part:?}: {events}"));
        }
    }
    let deployment = json(ground, &namespace, &["get", "deployment", "web"])?;
    if deployment["metadata"]["generation"] != deployment["status"]["observedGeneration"] {
        return Err(format!("the generation was not observed: {deployment}"));
    }
    run(&["scale", "deployment/web", "--current-replicas=7", "--replicas=1"])
        .refused_with("Expected replicas to be 7, was 3")
}

fn rolling_update(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let more = "  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n";
    let first = manifest("Deployment", "web", 2, SLEEP, more);
    ground.kubectl(&namespace, &["apply", "-f", "-"], &first).ok()?;
    status(ground, &namespace, "deployment/web")?;
    run(&["set", "env", "deployment/web", "VERSION=2"]).ok()?;
    run(&["annotate", "deployment/web", "kubernetes.io/change-cause=second"]).ok()?;
    status(ground, &namespace, "deployment/web")?;
    let history = run(&["rollout", "history", "deployment/web"]).ok()?;
    if !history.contains("1         <none>") || !history.contains("2         second") {
        return Err(format!("the history is {history}"));
    }
    run(&["rollout", "history", "deployment/web", "--revision=2"]).has("VERSION")?;
    run(&["rollout", "undo", "deployment/web"]).has("deployment.apps/web rolled back")?;
    status(ground, &namespace, "deployment/web")?;
    let history = run(&["rollout", "history", "deployment/web"]).ok()?;
    if history.contains("\n1  ") || !history.contains("\n3  ") {
        return Err(format!("after the undo the history is {history}"));
    }
    let sets = json(ground, &namespace, &["get", "replicasets"])?;
    if sets["items"].as_array().map(Vec::len) != Some(2) {
        return Err(format!("undoing made a ReplicaSet of its own: {sets}"));
    }
    let deployment = json(ground, &namespace, &["get", "deployment", "web"])?;
    if deployment["spec"]["template"]["spec"]["containers"][0]["env"].is_array() {
        return Err("the template is not that of the first revision".into());
    }
    Ok(())
}

fn pause(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let web = manifest("Deployment", "web", 1, SLEEP, "");
    ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
    status(ground, &namespace, "deployment/web")?;
    run(&["rollout", "pause", "deployment/web"]).has("paused")?;
    run(&[
        "wait",
        "deployment/web",
        "--for=jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=DeploymentPaused",
        "--timeout=20s",
    ])
    .ok()?;
    run(&["set", "env", "deployment/web", "VERSION=2"]).ok()?;
    run(&words(
        "wait deployment/web --for=jsonpath={.status.observedGeneration}=3 --timeout=20s",
    ))
    .ok()?;
    let sets = json(ground, &namespace, &["get", "replicasets"])?;
    if sets["items"].as_array().map(Vec::len) != Some(1) {
        return Err("a paused Deployment rolled out".into());
    }
    run(&["rollout", "resume", "deployment/web"]).has("resumed")?;
    status(ground, &namespace, "deployment/web")?;
    let sets = json(ground, &namespace, &["get", "replicasets"])?;
    if sets["items"].as_array().map(Vec::len) != Some(2) {
        return Err("a resumed Deployment did not roll out".into());
    }
    Ok(())
}

fn restart(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let web = manifest("Deployment", "web", 2, SLEEP, "");
    ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
    status(ground, &namespace, "deployment/web")?;
    let before = alive(ground, &namespace)?;
    ground
        .kubectl(&namespace, &["rollout", "restart", "deployment/web"], "")
        .has("restarted")?;
    status(ground, &namespace, "deployment/web")?;
    until("every pod is another one", || {
        let now = alive(ground, &namespace)?;
        Ok(now.len() == 2 && !now.iter().any(|name| before.contains(name)))
    })
}

fn recreate(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let more = "  strategy: {type: Recreate}\n";
    let web = manifest("Deployment", "web", 2, SLEEP, more);
    ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
    status(ground, &namespace, "deployment/web")?;
    ground
        .kubectl(&namespace, &["set", "env", "deployment/web", "VERSION=2"], "")
        .ok()?;
    status(ground, &namespace, "deployment/web")?;
    // The new ReplicaSet was made only after the last pod of the old had gone: its first pod is younger than the old ones' ends.
    let events = json(ground, &namespace, &["get", "events"])?;
    let scaled: Vec<String> = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["reason"] == "ScalingReplicaSet")
        .filter_map(|event| event["message"].as_str().map(str::to_owned))
        .collect();
    let down = scaled.iter().any(|message| message.contains("from 2 to 0"));
    let up = scaled.iter().filter(|message| message.contains("from 0 to 2")).count();
    if !down || up != 2 {
        return Err(format!("it was not recreated at once: {scaled:?}"));
    }
    Ok(())
}

fn deadline(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let more = "  progressDeadlineSeconds: 1\n";
    let web = manifest("Deployment", "web", 1, SLEEP, more).replace("image: shell", "image: missing");
    ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
    ground
        .kubectl(
            &namespace,
            &["rollout", "status", "deployment/web", "--timeout=40s"],
            "",
        )
        .refused_with("exceeded its progress deadline")?;
    ground
        .kubectl(
            &namespace,
            &[
                "wait",
                "deployment/web",
                "--for=jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=ProgressDeadlineExceeded",
                "--timeout=5s",
            ],
            "",
        )
        .ok()
        .map(drop)
}

fn adoption(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: lone, labels: {app: web}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers: [{name: c, image: shell, args: [\"sleep 300\"]}]\n";
    ground.kubectl(&namespace, &["apply", "-f", "-"], pod).ok()?;
    let set = manifest("ReplicaSet", "web", 1, SLEEP, "");
    ground.kubectl(&namespace, &["apply", "-f", "-"], &set).ok()?;
    until("the pod is adopted", || {
        let pod = json(ground, &namespace, &["get", "pod", "lone"])?;
        Ok(pod["metadata"]["ownerReferences"][0]["name"] == "web")
    })?;
    ground
        .kubectl(
            &namespace,
            &words("wait rs/web --for=jsonpath={.status.readyReplicas}=1 --timeout=20s"),
            "",
        )
        .ok()?;
    let alive_now = alive(ground, &namespace)?;
    if alive_now != ["lone"] {
        return Err(format!("it made pods beside the adopted one: {alive_now:?}"));
    }
    ground
        .kubectl(&namespace, &["label", "pod", "lone", "app=other", "--overwrite"], "")
        .ok()?;
    until("the pod is released and replaced", || {
        let pod = json(ground, &namespace, &["get", "pod", "lone"])?;
        Ok(pod["metadata"]["ownerReferences"].is_null() && alive(ground, &namespace)?.len() == 2)
    })
}

fn proportion(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let more = "  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 1}}\n";
    let web = manifest("Deployment", "web", 4, SLEEP, more);
    ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
    status(ground, &namespace, "deployment/web")?;
    run(&["set", "image", "deployment/web", "c=missing"]).ok()?;
    let sizes = || -> Result<Vec<i64>, String> {
        let sets = json(ground, &namespace, &["get", "replicasets"])?;
        let mut sizes: Vec<i64> = sets["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|set| set["spec"]["replicas"].as_i64())
            .collect();
        sizes.sort_unstable();
        Ok(sizes)
    };
    // 4 wanted, 3 must be available, 6 may be.
    until("the rollout is stuck in the middle", || Ok(sizes()? == [3, 3]))?;
    run(&["scale", "deployment/web", "--replicas=8"]).ok()?;
    until("10 pods are shared by the two", || Ok(sizes()? == [5, 5]))
}

fn cascade(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    for name in ["one", "two"] {
        let web = manifest("Deployment", name, 1, SLEEP, "");
        ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
        status(ground, &namespace, &format!("deployment/{name}"))?;
    }
    run(&["delete", "deployment", "one", "--cascade=orphan"]).ok()?;
    run(&["delete", "deployment", "two", "--cascade=foreground", "--timeout=30s"]).ok()?;
    let left = alive(ground, &namespace)?;
    if left.len() != 1 || !left[0].starts_with("one-") {
        return Err(format!("left are {left:?}"));
    }
    // The same Deployment takes its orphans back instead of making pods again.
    let web = manifest("Deployment", "one", 1, SLEEP, "");
    ground.kubectl(&namespace, &["apply", "-f", "-"], &web).ok()?;
    status(ground, &namespace, "deployment/one")?;
    let again = alive(ground, &namespace)?;
    if again == left {
        Ok(())
    } else {
        Err(format!("{left:?} became {again:?}"))
    }
}

fn wording(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let apply = |text: &str| ground.kubectl(&namespace, &["apply", "-f", "-"], text);
    let web = manifest("Deployment", "web", 1, SLEEP, "");
    apply(&web.replace(
        "selector: {matchLabels: {app: web}}",
        "selector: {matchLabels: {app: x}}",
    ))
    .refused_with("`selector` does not match template `labels`")?;
    apply(&web.replace("  selector: {matchLabels: {app: web}}\n", "")).refused_with("spec.selector: Required value")?;
    apply(&web.replace("replicas: 1", "replicas: -1"))
        .refused_with("spec.replicas: Invalid value: -1: must be greater than or equal to 0")?;
    apply(&web.replace("    spec:\n", "    spec:\n      restartPolicy: Never\n"))
        .refused_with("spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"")?;
    apply(&web.replace("image: shell, ", "")).refused_with("spec.template.spec.containers[0].image: Required value")?;
    apply(&web.replace(
        "  selector",
        "  strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}\n  selector",
    ))
    .refused_with("may not be specified when strategy `type` is 'Recreate'")?;
    let none = "  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}\n  selector";
    apply(&web.replace("  selector", none)).refused_with("may not be 0 when `maxSurge` is 0")?;
    apply(&web).ok()?;
    apply(&web.replace("app: web", "app: other")).refused_with("field is immutable")
}

fn replication_controller(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let text = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: old}\nspec:\n  replicas: 1\n  template:\n    metadata: {labels: {app: old}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      containers: [{name: c, image: shell, args: [\"sleep 300\"]}]\n";
    ground.kubectl(&namespace, &["apply", "-f", "-"], text).ok()?;
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&words(
        "wait rc/old --for=jsonpath={.status.readyReplicas}=1 --timeout=20s",
    ))
    .ok()?;
    run(&["scale", "rc/old", "--replicas=2"]).has("scaled")?;
    run(&words(
        "wait rc/old --for=jsonpath={.status.readyReplicas}=2 --timeout=20s",
    ))
    .ok()
    .map(drop)
}

fn daemon_set(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let text = manifest("DaemonSet", "each", 1, SLEEP, "").replace("  replicas: 1\n", "");
    ground.kubectl(&namespace, &["apply", "-f", "-"], &text).ok()?;
    status(ground, &namespace, "daemonset/each")?;
    let before = alive(ground, &namespace)?;
    let set = json(ground, &namespace, &["get", "daemonset", "each"])?;
    if before.len() != 1 || set["status"]["numberAvailable"] != 1 || set["status"]["desiredNumberScheduled"] != 1 {
        return Err(format!("{before:?}: {}", set["status"]));
    }
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&["set", "env", "daemonset/each", "VERSION=2"]).ok()?;
    status(ground, &namespace, "daemonset/each")?;
    until("the pod is another one", || {
        Ok(alive(ground, &namespace)?.iter().all(|name| !before.contains(name)))
    })?;
    run(&["rollout", "undo", "daemonset/each"]).has("rolled back")?;
    status(ground, &namespace, "daemonset/each")?;
    let away = "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"no\":\"such\"}}}}}";
    run(&["patch", "daemonset", "each", "-p", away]).ok()?;
    until("no node is left for it", || Ok(alive(ground, &namespace)?.is_empty()))
}
